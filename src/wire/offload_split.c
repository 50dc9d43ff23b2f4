/* SPDX-License-Identifier: MIT */
/*
 * Cutting super-packets of the TUN: what the kernel's tcp_gso_segment() and __udp_gso_segment() do, in place.
 *
 * A segment is its header and its piece of payload side by side. The payload stays where it is; the header is stamped in front
 * of it, over the end of what was handed out before. Each header is a copy of the first with zeros for length, identification,
 * sequence number, some flags and checksums; their sum is known from the beginning, so a segment costs one copy of the header,
 * a dozen stores, and one pass over its payload. The pseudo-header is summed here and the kernel's sum in the checksum field
 * not used: super-packets on their way through may come without VNET_NEEDS_CSUM.
 *
 * All offsets are checked once, in split_begin(), against the length the IP header gives, which ip_view() has checked against
 * the packet's.
 */
#include "wire/offload.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/ecn.h"
#include "wire/ip.h"

enum {
	TCP_HEADER_MIN = 20,
	UDP_HEADER = 8,
	EXTENSIONS_MAX = 4,	/* extension headers before the transport header */
	EXT_HOP_BY_HOP = 0,
	EXT_DESTINATION = 60,
	NOT_DONT_FRAGMENT = 0xbfff,
};

/* Byte 13 of a TCP header. */
enum {
	TCP_FIN = 0x01,
	TCP_PSH = 0x08,
	TCP_CWR = 0x80,
};

void vnet_read(struct vnet *v, const uint8_t bytes[VNET_LEN])
{
	v->flags = bytes[0];
	v->gso_type = bytes[1];
	memcpy(&v->hdr_len, bytes + 2, 2);
	memcpy(&v->gso_size, bytes + 4, 2);
	memcpy(&v->csum_start, bytes + 6, 2);
	memcpy(&v->csum_offset, bytes + 8, 2);
}

void vnet_write(uint8_t bytes[VNET_LEN], const struct vnet *v)
{
	bytes[0] = v->flags;
	bytes[1] = v->gso_type;
	memcpy(bytes + 2, &v->hdr_len, 2);
	memcpy(bytes + 4, &v->gso_size, 2);
	memcpy(bytes + 6, &v->csum_start, 2);
	memcpy(bytes + 8, &v->csum_offset, 2);
}

static uint32_t checksum_offset(uint8_t proto)
{
	return proto == IP_PROTO_TCP ? 16 : 6;
}

/*
 * Complete a partial checksum: of any protocol, since the kernel says where. The field has the sum of the
 * pseudo-header; with it and all behind csum_start the sum is complete.
 */
static bool complete_checksum(const struct packet *p)
{
	uint32_t start = p->vnet.csum_start, field = start + p->vnet.csum_offset;
	struct ip_view v;
	uint16_t sum;

	if (!ip_view(&v, p->data, p->len) || start < v.header_len || field + 2 > v.len || p->vnet.csum_offset % 2)
		return false;
	sum = ip_sum_fold(ip_sum(0, p->data + start, v.len - start));
	/* By offset and not by protocol, which may stand behind anything: UDP and UDP-Lite have it at 6, where 0 is "none". */
	if (sum == 0 && p->vnet.csum_offset == checksum_offset(IP_PROTO_UDP))
		sum = 0xffff;
	put_be16(p->data + field, sum);
	return true;
}

static bool begin_plain(struct split *s, const struct packet *p)
{
	if ((p->vnet.flags & VNET_NEEDS_CSUM) && !complete_checksum(p))
		return false;
	s->len = s->size = p->len;
	s->count = 1;
	return true;
}

/*
 * Where the transport header of 'proto' begins; 0 if it is not there. IPv6: behind extension headers that each segment can
 * repeat and that leave the pseudo-header alone (a routing header does not).
 */
static uint32_t find_transport(const struct ip_view *v, const uint8_t *p, uint8_t proto)
{
	uint32_t at = v->header_len;
	uint8_t next = v->proto;

	if (v->family == IP_V4)
		return next == proto && !(get_be16(p + 6) & NOT_DONT_FRAGMENT) ? at : 0;
	for (int i = 0; i < EXTENSIONS_MAX && (next == EXT_HOP_BY_HOP || next == EXT_DESTINATION); i++) {
		if (at + 8 > v->len)
			return 0;
		next = p[at];
		at += 8 * (1 + (uint32_t)p[at + 1]);
	}
	return next == proto ? at : 0;
}

/* Whether IP version and protocol are those of the type; sets the protocol. */
static bool match_type(struct split *s, uint8_t gso_type)
{
	switch (gso_type) {
	case VNET_GSO_TCP4:
		s->proto = IP_PROTO_TCP;
		return s->family == IP_V4;
	case VNET_GSO_TCP6:
		s->proto = IP_PROTO_TCP;
		return s->family == IP_V6;
	case VNET_GSO_UDP_L4:
		s->proto = IP_PROTO_UDP;
		return true;
	default:
		return false;
	}
}

/* Where everything is, and whether it is all inside. */
static bool measure(struct split *s, const struct packet *p, const struct ip_view *v)
{
	uint32_t at = find_transport(v, p->data, s->proto), header;

	if (!at)
		return false;
	header = UDP_HEADER;
	if (s->proto == IP_PROTO_TCP) {
		if (at + TCP_HEADER_MIN > v->len)
			return false;
		header = 4 * (uint32_t)(p->data[at + 12] >> 4);
		if (header < TCP_HEADER_MIN)
			return false;
	}
	s->len = v->len;
	s->ip_header_len = at;
	s->header_len = at + header;
	s->size = p->vnet.gso_size;
	if (s->header_len > s->len || s->header_len > SPLIT_HEADER_MAX || s->size == 0)
		return false;
	return !(p->vnet.flags & VNET_NEEDS_CSUM) ||
		(p->vnet.csum_start == at && p->vnet.csum_offset == checksum_offset(s->proto));
}

/* Take out of the header what differs from segment to segment, and sum up the rest. */
static void prepare_header(struct split *s)
{
	uint8_t *h = s->header, *transport = h + s->ip_header_len;

	memcpy(h, s->packet, s->header_len);
	if (s->family == IP_V4) {
		s->id = get_be16(h + 4);
		memset(h + 2, 0, 4);
		put_be16(h + 10, 0);
		s->ip_sum = ip_sum(0, h, s->ip_header_len);
	} else {
		put_be16(h + 4, 0);
	}
	if (s->proto == IP_PROTO_TCP) {
		s->seq = get_be32(transport + 4);
		s->flags = transport[13];
		put_be32(transport + 4, 0);
		transport[13] &= (uint8_t)~(TCP_FIN | TCP_PSH | TCP_CWR);
	} else {
		put_be16(transport + 4, 0);
	}
	put_be16(transport + checksum_offset(s->proto), 0);
	s->sum = ip_sum(ip_sum_pseudo(h, s->proto), transport, s->header_len - s->ip_header_len);
}

bool split_begin(struct split *s, const struct packet *p)
{
	struct ip_view v;
	uint32_t payload;

	s->packet = p->data;
	s->header_len = s->done = 0;
	if (p->vnet.gso_type == VNET_GSO_NONE)
		return begin_plain(s, p);
	if (!ip_view(&v, p->data, p->len))
		return false;
	s->family = v.family;
	if (!match_type(s, p->vnet.gso_type & (uint8_t)~VNET_GSO_ECN) || !measure(s, p, &v))
		return false;
	prepare_header(s);
	payload = s->len - s->header_len;
	s->count = payload > s->size ? (payload + s->size - 1) / s->size : 1;
	s->next = s->header_len;
	return true;
}

static void stamp_ip(struct split *s, uint8_t *h, uint32_t len)
{
	if (s->family == IP_V6) {
		put_be16(h + 4, (uint16_t)(len - IP6_HEADER));
		return;
	}
	put_be16(h + 2, (uint16_t)len);
	put_be16(h + 4, s->id);
	put_be16(h + 10, ip_sum_fold(s->ip_sum + len + s->id));
	s->id++;
}

static void stamp_tcp(struct split *s, uint8_t *h, uint32_t header_len, uint32_t payload)
{
	uint64_t sum = ip_sum(s->sum, h + header_len, payload);
	uint8_t allowed = 0, flags;

	if (s->done == 0)
		allowed |= TCP_CWR;
	if (s->done + 1 == s->count)
		allowed |= TCP_FIN | TCP_PSH;
	flags = s->flags & allowed;
	put_be32(h + 4, s->seq);
	h[13] |= flags;
	put_be16(h + 16, ip_sum_fold(sum + header_len + payload + s->seq + flags));
	s->seq += payload;
}

static void stamp_udp(const struct split *s, uint8_t *h, uint32_t payload)
{
	uint32_t len = UDP_HEADER + payload;
	uint16_t sum = ip_sum_fold(ip_sum(s->sum, h + UDP_HEADER, payload) + 2 * len);

	put_be16(h + 4, (uint16_t)len);
	put_be16(h + 6, sum ? sum : 0xffff);
}

static uint32_t next_payload(const struct split *s)
{
	uint32_t payload = s->len - s->next;

	return payload < s->size ? payload : s->size;
}

bool split_next(struct split *s, uint8_t **segment, uint32_t *len)
{
	uint32_t payload;
	uint8_t *h;

	if (s->done == s->count)
		return false;
	if (s->header_len == 0) {
		*segment = s->packet;
		*len = s->len;
		s->done++;
		return true;
	}
	payload = next_payload(s);
	h = s->packet + s->next - s->header_len;
	memcpy(h, s->header, s->header_len);
	stamp_ip(s, h, s->header_len + payload);
	if (s->proto == IP_PROTO_TCP)
		stamp_tcp(s, h + s->ip_header_len, s->header_len - s->ip_header_len, payload);
	else
		stamp_udp(s, h + s->ip_header_len, payload);
	s->next += payload;
	s->done++;
	*segment = h;
	*len = s->header_len + payload;
	return true;
}

uint32_t split_next_len(const struct split *s)
{
	if (!split_more(s))
		return 0;
	return s->header_len == 0 ? s->len : s->header_len + next_payload(s);
}

uint32_t split_rest_len(const struct split *s)
{
	if (!split_more(s))
		return 0;
	return s->header_len == 0 ? s->len : (s->count - s->done) * s->header_len + s->len - s->next;
}

void split_skip(struct split *s)
{
	if (!split_more(s))
		return;
	if (s->header_len) {
		uint32_t payload = next_payload(s);

		s->next += payload;
		s->seq += payload;
		s->id++;
	}
	s->done++;
}

bool split_shrink(struct split *s, uint32_t len)
{
	uint32_t rest = s->len - s->next;

	if (!s->header_len || s->proto != IP_PROTO_TCP || len <= s->header_len)
		return false;
	if (s->size <= len - s->header_len)
		return true;
	s->size = len - s->header_len;
	s->count = s->done + (rest + s->size - 1) / s->size;
	return true;
}

uint8_t split_tos(const struct split *s)
{
	return packet_tos(s->header_len ? s->header : s->packet);
}

void split_set_ecn(struct split *s, uint8_t ecn)
{
	if (!s->header_len) {
		packet_set_ecn(s->packet, ecn);
		return;
	}
	packet_set_ecn(s->header, ecn);
	if (s->family == IP_V4) {
		put_be16(s->header + 10, 0);	/* each segment's is made from the sum */
		s->ip_sum = ip_sum(0, s->header, s->ip_header_len);
	}
}
