/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_INNER_PACKETS_H
#define MESHD_TESTS_INNER_PACKETS_H

/*
 * Inner packets made and judged by the simplest code there is, which shares nothing with src/wire: bytes are put one by one, sums
 * go two bytes at a time with the carry put back at once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { INNER_MAX = 65575 };

/* What a packet says; payload apart. */
struct inner {
	int version;			/* 4 or 6 */
	int proto;			/* 6 or 17 */
	uint8_t tos, ttl, src, dst;	/* last bytes of addresses */
	uint16_t sport, dport;
	uint16_t id, fragment;		/* IPv4 */
	uint32_t label;			/* IPv6 */
	uint8_t ip_options;		/* bytes of IPv4 options, or of an IPv6 destination options header */
	uint32_t seq, ack;
	uint8_t reserved, flags;	/* low half of byte 12, and byte 13 */
	uint16_t window, urgent;
	uint8_t options;		/* bytes of TCP options */
	uint8_t option_seed;		/* what is in them */
	bool no_checksum;		/* UDP */
};

static inline uint32_t naive_add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* The sum of the pseudo-header, for 'len' bytes of transport (65535 at most). */
static inline uint32_t naive_pseudo(const uint8_t *packet, int proto, size_t len)
{
	uint8_t tail[4] = { (uint8_t)(len >> 8), (uint8_t)len, 0, (uint8_t)proto };
	uint32_t sum = packet[0] >> 4 == 4 ? naive_add(0, packet + 12, 8) : naive_add(0, packet + 8, 32);

	return naive_add(sum, tail, 4);
}

static inline size_t inner_ip_len(const struct inner *s)
{
	return (s->version == 4 ? 20u : 40u) + s->ip_options;
}

static inline size_t inner_header_len(const struct inner *s)
{
	return inner_ip_len(s) + (s->proto == 6 ? 20u + s->options : 8u);
}

static inline void inner_put_ip4(uint8_t *p, const struct inner *s, size_t len)
{
	memset(p, 0, 20);
	p[0] = (uint8_t)(0x40 | (20 + s->ip_options) / 4);
	p[1] = s->tos;
	put16(p + 2, (uint32_t)len);
	put16(p + 4, s->id);
	put16(p + 6, s->fragment);
	p[8] = s->ttl;
	p[9] = (uint8_t)s->proto;
	p[12] = p[16] = 10;
	p[15] = s->src;
	p[19] = s->dst;
	memset(p + 20, 1, s->ip_options);	/* no operation */
	put16(p + 10, 0xffff - naive_add(0, p, 20u + s->ip_options));
}

static inline void inner_put_ip6(uint8_t *p, const struct inner *s, size_t len)
{
	memset(p, 0, 40);
	put32(p, 6u << 28 | (uint32_t)s->tos << 20 | s->label);
	put16(p + 4, (uint32_t)len - 40);
	p[6] = s->ip_options ? 60 : (uint8_t)s->proto;
	p[7] = s->ttl;
	p[8] = p[24] = 0xfd;
	p[23] = s->src;
	p[39] = s->dst;
	if (s->ip_options) {
		memset(p + 40, 0, s->ip_options);	/* Pad1 all through */
		p[40] = (uint8_t)s->proto;
		p[41] = (uint8_t)(s->ip_options / 8 - 1);
	}
}

static inline void inner_put_tcp(uint8_t *h, const struct inner *s)
{
	put16(h, s->sport);
	put16(h + 2, s->dport);
	put32(h + 4, s->seq);
	put32(h + 8, s->ack);
	h[12] = (uint8_t)((20 + s->options) / 4 << 4 | s->reserved);
	h[13] = s->flags;
	put16(h + 14, s->window);
	put16(h + 16, 0);
	put16(h + 18, s->urgent);
	for (int i = 0; i < s->options; i++)
		h[20 + i] = (uint8_t)(s->option_seed + i);
}

/* The packet, complete with its checksums; 'partial': with the sum of the pseudo-header instead. Returns its length. */
static inline size_t inner_build(uint8_t *p, const struct inner *s, const uint8_t *payload, size_t payload_len, bool partial)
{
	size_t ip = inner_ip_len(s), header = inner_header_len(s), len = header + payload_len, transport = len - ip;
	uint8_t *h = p + ip;
	uint32_t sum;

	if (s->version == 4)
		inner_put_ip4(p, s, len);
	else
		inner_put_ip6(p, s, len);
	if (s->proto == 6) {
		inner_put_tcp(h, s);
	} else {
		put16(h, s->sport);
		put16(h + 2, s->dport);
		put16(h + 4, (uint32_t)transport);
		put16(h + 6, 0);
	}
	if (payload_len)
		memcpy(p + header, payload, payload_len);
	sum = naive_pseudo(p, s->proto, transport);
	if (!partial)
		sum = 0xffff - naive_add(sum, h, transport);
	if (s->proto == 17 && sum == 0 && !partial)
		sum = 0xffff;
	if (s->proto == 17 && s->no_checksum)
		sum = 0;
	put16(h + (s->proto == 6 ? 16 : 6), sum);
	return len;
}

/* Whether the packet is whole, 'transport' bytes behind its beginning there is TCP or UDP, and every checksum is right. */
static inline bool inner_is_valid(const uint8_t *p, size_t len, int proto, size_t transport)
{
	const uint8_t *h = p + transport;

	if (p[0] >> 4 == 4) {
		size_t header = 4 * (size_t)(p[0] & 15);

		if (get16(p + 2) != len || header < 20 || header > len || naive_add(0, p, header) != 0xffff)
			return false;
	} else if (p[0] >> 4 != 6 || get16(p + 4) + 40 != len) {
		return false;
	}
	if (proto == 17 && (get16(h + 4) != len - transport || get16(h + 6) == 0))
		return false;
	return naive_add(naive_pseudo(p, proto, len - transport), h, len - transport) == 0xffff;
}

#endif
