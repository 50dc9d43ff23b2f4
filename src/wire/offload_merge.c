/* SPDX-License-Identifier: MIT */
/*
 * Merging packets of a batch into super-packets, after the kernel's tcp_gro_receive() and udp_gro_receive(), but for a writer
 * who gathers: payload is pointed to, not moved.
 *
 * A packet of a flow that may grow opens a write and takes a place among the open flows; what joins adds its payload to the
 * write; what does not join closes it. Closing stamps the super-packet's header over the first packet's, which until then
 * is as it came and what others are compared with. So at any time a flow has one open write at most, and it is
 * the flow's last: that keeps its order. Packets are noted in the order of arrival, each with its write, and sorted by write
 * at the end, by counting: memory is touched in proportion to the batch.
 *
 * Checksums are verified when two packets are about to be merged, the first one's late, so that a packet
 * nobody follows costs no pass over its payload.
 */
#include "wire/offload.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/ip.h"

enum {
	TCP_HEADER_MIN = 20,
	UDP_HEADER = 8,
	IP_DF = 0x4000,
	PORT_GENEVE = 6081,
	PORT_VXLAN = 4789,
	PORT_VXLAN_LINUX = 8472,	/* what Linux took before there was an assignment */
};

/* Byte 13 of a TCP header. */
enum {
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_ECE = 0x40,
};

enum kind {
	KIND_OTHER,	/* has no flow that could be merged */
	KIND_HIDDEN,	/* belongs to some flow of its addresses, but which is not to be seen */
	KIND_FLOW,
};

/* A packet on its way in. */
struct candidate {
	uint8_t *packet;
	uint32_t len, hash;
	uint32_t payload;
	uint8_t family, proto, ip_header_len, header_len;
	bool may_merge;
	bool push;		/* nothing may come behind it */
	bool verified;
};

static bool is_ip4(const uint8_t *packet)
{
	return packet[0] >> 4 == IP_V4;
}

static uint32_t address_bytes(const uint8_t *packet)
{
	return is_ip4(packet) ? 8 : 32;
}

/* Both addresses, side by side in either version. */
static const uint8_t *addresses(const uint8_t *packet)
{
	return packet + (is_ip4(packet) ? 12 : 8);
}

/* Not a strong hash: flows that meet in it cost a comparison, and there are few to compare with. */
static uint32_t hash_flow(const struct candidate *c)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	const uint8_t *a = addresses(c->packet);
	uint64_t h = (get_be32(c->packet + c->ip_header_len) + ((uint64_t)c->proto << 32)) * odd;

	for (uint32_t i = 0; i < address_bytes(c->packet); i += 8)
		h = ((h >> 32 | h << 32) ^ get_le64(a + i)) * odd;
	return (uint32_t)(h >> 32);
}

static enum kind look_tcp(struct candidate *c)
{
	const uint8_t *tcp = c->packet + c->ip_header_len;
	uint32_t room = c->len - c->ip_header_len, header;

	if (room < TCP_HEADER_MIN)
		return KIND_HIDDEN;
	header = 4 * (uint32_t)(tcp[12] >> 4);
	if (header < TCP_HEADER_MIN || header > room)
		return KIND_HIDDEN;
	c->header_len = (uint8_t)(c->ip_header_len + header);
	c->payload = room - header;
	c->may_merge = c->payload > 0 && (tcp[13] & ~(TCP_PSH | TCP_ECE)) == TCP_ACK;
	c->push = tcp[13] & TCP_PSH;
	return KIND_FLOW;
}

static bool is_tunnel(uint16_t port)
{
	return port == PORT_VXLAN || port == PORT_GENEVE || port == PORT_VXLAN_LINUX;
}

static enum kind look_udp(struct candidate *c)
{
	const uint8_t *udp = c->packet + c->ip_header_len;
	uint32_t room = c->len - c->ip_header_len;

	if (room < UDP_HEADER)
		return KIND_HIDDEN;
	c->header_len = (uint8_t)(c->ip_header_len + UDP_HEADER);
	c->payload = room - UDP_HEADER;
	c->may_merge = c->payload > 0 && get_be16(udp + 4) == room && get_be16(udp + 6) != 0 &&
		!is_tunnel(get_be16(udp)) && !is_tunnel(get_be16(udp + 2));
	return KIND_FLOW;
}

/* What hides a transport header, or part of its packet (IANA's extension headers, less those nothing can follow). */
static bool is_extension(uint8_t next)
{
	static const uint8_t extensions[] = { 0, 43, 44, 51, 60, 135, 139, 140 };

	return memchr(extensions, next, sizeof(extensions));
}

/* IP headers as the rules want them, and where the packet's transport header is. */
static enum kind look_ip(struct candidate *c)
{
	const uint8_t *p = c->packet;
	uint16_t fragment;

	if (c->len >= IP4_HEADER_MIN && is_ip4(p)) {
		c->family = IP_V4;
		c->proto = p[9];
		c->ip_header_len = IP4_HEADER_MIN;
		if (c->proto != IP_PROTO_TCP && c->proto != IP_PROTO_UDP)
			return KIND_OTHER;
		fragment = get_be16(p + 6);
		return p[0] == 0x45 && get_be16(p + 2) == c->len && (fragment & ~IP_DF) == 0 ? KIND_FLOW : KIND_HIDDEN;
	}
	if (c->len >= IP6_HEADER && p[0] >> 4 == IP_V6) {
		c->family = IP_V6;
		c->proto = p[6];
		c->ip_header_len = IP6_HEADER;
		if (c->proto != IP_PROTO_TCP && c->proto != IP_PROTO_UDP)
			return is_extension(c->proto) ? KIND_HIDDEN : KIND_OTHER;
		return (uint32_t)get_be16(p + 4) + IP6_HEADER == c->len ? KIND_FLOW : KIND_HIDDEN;
	}
	return KIND_OTHER;
}

static enum kind look(struct candidate *c)
{
	enum kind kind = look_ip(c);

	if (kind != KIND_FLOW)
		return kind;
	kind = c->proto == IP_PROTO_TCP ? look_tcp(c) : look_udp(c);
	if (kind == KIND_FLOW)
		c->hash = hash_flow(c);
	return kind;
}

/* The IPv4 header's checksum and the transport's. */
static bool verify(const uint8_t *packet, uint32_t len, uint8_t proto, uint8_t ip_header_len)
{
	uint32_t transport = len - ip_header_len;

	if (is_ip4(packet) && ip_sum_fold(ip_sum(0, packet, IP4_HEADER_MIN)) != 0)
		return false;
	return ip_sum_fold(ip_sum(ip_sum_pseudo(packet, proto) + transport, packet + ip_header_len, transport)) == 0;
}

static bool verify_first(struct merge_flow *f)
{
	if (!f->verified)
		f->verified = verify(f->first, (uint32_t)f->header_len + f->size, f->proto, f->ip_header_len);
	return f->verified;
}

static bool is_of_flow(const struct merge_flow *f, const struct candidate *c)
{
	return f->proto == c->proto && f->ip_header_len == c->ip_header_len &&
		memcmp(f->first + c->ip_header_len, c->packet + c->ip_header_len, 4) == 0 &&
		memcmp(addresses(f->first), addresses(c->packet), address_bytes(c->packet)) == 0;
}

/* TOS or traffic class and flow label, TTL or hop limit, and IPv4's flags and identification. */
static bool agrees_ip(const struct merge_flow *f, const struct candidate *c)
{
	const uint8_t *a = f->first, *b = c->packet;
	uint16_t fragment;

	if (c->family == IP_V6)
		return memcmp(a, b, 4) == 0 && a[7] == b[7];
	fragment = get_be16(b + 6);
	if (a[1] != b[1] || get_be16(a + 6) != fragment || a[8] != b[8])
		return false;
	return (fragment & IP_DF) || get_be16(b + 4) == (uint16_t)(get_be16(a + 4) + f->packets);
}

static bool agrees_tcp(const struct merge_flow *f, const struct candidate *c)
{
	const uint8_t *a = f->first + f->ip_header_len, *b = c->packet + c->ip_header_len;

	/* The fifth byte is the data offset: the headers are of one length. */
	if (get_be32(b + 4) != f->next_seq || memcmp(a + 8, b + 8, 5) != 0 || ((a[13] ^ b[13]) & ~TCP_PSH))
		return false;
	if (memcmp(a + 14, b + 14, 2) != 0 || memcmp(a + 18, b + 18, 2) != 0)
		return false;
	return memcmp(a + TCP_HEADER_MIN, b + TCP_HEADER_MIN, (size_t)(c->header_len - c->ip_header_len - TCP_HEADER_MIN)) == 0;
}

static bool fits(const struct merge_flow *f, const struct candidate *c)
{
	return c->may_merge && c->payload <= f->size && f->len + c->payload <= MERGE_BYTES_MAX &&
		agrees_ip(f, c) && (c->proto != IP_PROTO_TCP || agrees_tcp(f, c));
}

static void note_packet(struct merge *m, uint8_t *base, uint32_t len, uint32_t write)
{
	m->packets[m->packet_count++] = (struct merge_packet){ .base = base, .len = len, .write = write };
	m->writes[write].packets++;
}

/* The packet begins a write of its own. */
static uint32_t begin_write(struct merge *m, const struct candidate *c)
{
	uint32_t write = m->write_count++;

	memset(c->packet - VNET_LEN, 0, VNET_LEN);
	m->writes[write].packets = 0;
	note_packet(m, c->packet - VNET_LEN, VNET_LEN + c->len, write);
	return write;
}

/* Transport checksum of a super-packet: the sum of its pseudo-header, for the kernel or the card to complete. */
static void stamp_transport(const struct merge_flow *f)
{
	uint8_t *h = f->first + f->ip_header_len;
	uint32_t len = f->len - f->ip_header_len;
	uint16_t partial = (uint16_t)~ip_sum_fold(ip_sum_pseudo(f->first, f->proto) + len);

	if (f->proto == IP_PROTO_TCP) {
		h[13] |= f->push ? TCP_PSH : 0;
		put_be16(h + 16, partial);
	} else {
		put_be16(h + 4, (uint16_t)len);
		put_be16(h + 6, partial);
	}
}

static void stamp_ip_len(uint8_t *packet, uint32_t len)
{
	if (!is_ip4(packet)) {
		put_be16(packet + 4, (uint16_t)(len - IP6_HEADER));
		return;
	}
	put_be16(packet + 2, (uint16_t)len);
	put_be16(packet + 10, 0);
	put_be16(packet + 10, ip_sum_fold(ip_sum(0, packet, IP4_HEADER_MIN)));
}

/* Make the header that of a super-packet. */
static void finish(const struct merge_flow *f)
{
	struct vnet v = {
		.flags = VNET_NEEDS_CSUM, .gso_type = VNET_GSO_UDP_L4,
		.hdr_len = f->header_len, .gso_size = f->size, .csum_start = f->ip_header_len, .csum_offset = 6,
	};

	if (f->packets == 1)
		return;
	if (f->proto == IP_PROTO_TCP) {
		v.gso_type = is_ip4(f->first) ? VNET_GSO_TCP4 : VNET_GSO_TCP6;
		v.csum_offset = 16;
	}
	vnet_write(f->first - VNET_LEN, &v);
	stamp_ip_len(f->first, f->len);
	stamp_transport(f);
}

static void close_flow(struct merge *m, uint32_t i)
{
	finish(&m->flows[i]);
	m->flow_count--;
	m->flows[i] = m->flows[m->flow_count];
	m->hashes[i] = m->hashes[m->flow_count];
}

/* Every flow between two addresses, in this direction. */
static void close_pair(struct merge *m, const struct candidate *c)
{
	for (uint32_t i = m->flow_count; i-- > 0;) {
		const uint8_t *first = m->flows[i].first;

		if (is_ip4(first) == is_ip4(c->packet) &&
		    memcmp(addresses(first), addresses(c->packet), address_bytes(first)) == 0)
			close_flow(m, i);
	}
}

static uint32_t silent_longest(const struct merge *m)
{
	uint32_t longest = 0;

	for (uint32_t i = 1; i < m->flow_count; i++)
		if (m->flows[i].used < m->flows[longest].used)
			longest = i;
	return longest;
}

static void open_flow(struct merge *m, const struct candidate *c)
{
	uint32_t i;

	if (m->flow_count == MERGE_FLOWS_MAX)
		close_flow(m, silent_longest(m));
	i = m->flow_count++;
	m->hashes[i] = c->hash;
	m->flows[i] = (struct merge_flow){
		.first = c->packet, .len = c->len, .used = m->packet_count,
		.packets = 1, .size = (uint16_t)c->payload, .header_len = c->header_len,
		.ip_header_len = c->ip_header_len, .proto = c->proto, .verified = c->verified,
	};
	if (c->proto == IP_PROTO_TCP)
		m->flows[i].next_seq = get_be32(c->packet + c->ip_header_len + 4) + c->payload;
	m->flows[i].write = (uint16_t)begin_write(m, c);
}

/* The flow's index, or flow_count. */
static uint32_t find_flow(const struct merge *m, const struct candidate *c)
{
	uint32_t i = 0;

	while (i < m->flow_count && !(m->hashes[i] == c->hash && is_of_flow(&m->flows[i], c)))
		i++;
	return i;
}

static void append(struct merge *m, uint32_t i, const struct candidate *c)
{
	struct merge_flow *f = &m->flows[i];

	f->used = m->packet_count;
	note_packet(m, c->packet + c->header_len, c->payload, f->write);
	f->len += c->payload;
	f->next_seq += c->payload;
	f->packets++;
	f->push = c->push;
	if (f->push || c->payload < f->size || f->packets == MERGE_SEGMENTS_MAX)
		close_flow(m, i);
}

/* Join the flow's write, or close it and begin another. */
static void add_to_flow(struct merge *m, struct candidate *c)
{
	uint32_t i = find_flow(m, c);

	if (i < m->flow_count) {
		if (fits(&m->flows[i], c)) {
			c->verified = c->may_merge = verify(c->packet, c->len, c->proto, c->ip_header_len);
			if (c->verified && verify_first(&m->flows[i])) {
				append(m, i, c);
				return;
			}
		}
		close_flow(m, i);
	}
	if (c->may_merge && !c->push)
		open_flow(m, c);
	else
		begin_write(m, c);
}

void merge_begin(struct merge *m, const struct merge_options *options)
{
	m->options = *options;
	m->packet_count = m->write_count = m->flow_count = 0;
}

bool merge_add(struct merge *m, uint8_t *packet, uint32_t len)
{
	struct candidate c = { .packet = packet, .len = len };
	enum kind kind = look(&c);

	if (m->packet_count == MERGE_PACKETS_MAX)
		return false;
	if (kind == KIND_FLOW && (c.proto == IP_PROTO_TCP ? m->options.tcp : m->options.udp)) {
		add_to_flow(m, &c);
		return true;
	}
	if (kind == KIND_HIDDEN)
		close_pair(m, &c);
	begin_write(m, &c);
	return true;
}

size_t merge_end(struct merge *m, const struct tun_write **writes)
{
	uint32_t at = 0;

	while (m->flow_count)
		close_flow(m, m->flow_count - 1);
	for (uint32_t i = 0; i < m->write_count; i++) {
		m->writes[i].pieces = m->pieces + at;
		m->writes[i].count = 0;
		at += m->writes[i].packets;
	}
	for (uint32_t i = 0; i < m->packet_count; i++) {
		const struct merge_packet *p = &m->packets[i];
		struct tun_write *w = &m->writes[p->write];

		m->pieces[w->pieces - m->pieces + w->count++] = (struct piece){ .base = p->base, .len = p->len };
	}
	*writes = m->writes;
	return m->write_count;
}
