/* SPDX-License-Identifier: MIT */
/* What makes two packets one flow: each protocol, fragments, extension headers, and packets that end too soon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "wire/flow_key.h"
#include "wire/ip.h"

static const uint8_t secret[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint8_t src4[4] = { 192, 0, 2, 1 }, dst4[4] = { 198, 51, 100, 2 };
static const uint8_t src6[16] = { 0xfd, [1] = 1, [15] = 1 }, dst6[16] = { 0xfd, [1] = 2, [15] = 2 };

enum { PACKET_MAX = 256 };

struct bytes {
	uint8_t b[PACKET_MAX];
	uint32_t len;
};

/* An IPv4 packet with 'options' bytes of them and what is behind. */
static struct bytes packet4(uint8_t proto, uint16_t fragment, uint32_t options, const uint8_t *payload, uint32_t n)
{
	struct bytes p = { .len = 20 + options + n };

	p.b[0] = (uint8_t)(0x45 + options / 4);
	put_be16(p.b + 2, (uint16_t)p.len);
	put_be16(p.b + 4, 0x1d1d);
	put_be16(p.b + 6, fragment);
	p.b[8] = 64;
	p.b[9] = proto;
	memcpy(p.b + 12, src4, 4);
	memcpy(p.b + 16, dst4, 4);
	memset(p.b + 20, 1, options);
	if (n)
		memcpy(p.b + 20 + options, payload, n);
	return p;
}

static struct bytes packet6(uint8_t next, const uint8_t *payload, uint32_t n)
{
	struct bytes p = { .len = 40 + n };

	p.b[0] = 0x60;
	put_be16(p.b + 4, (uint16_t)n);
	p.b[6] = next;
	p.b[7] = 64;
	memcpy(p.b + 8, src6, 16);
	memcpy(p.b + 24, dst6, 16);
	if (n)
		memcpy(p.b + 40, payload, n);
	return p;
}

/* Read from memory of exactly that size, and see that the hash is one of the key and not 0. */
static struct flow_key key_of(const uint8_t *packet, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct flow_key k;

	assert_non_null(copy);
	memcpy(copy, packet, len);
	memset(&k, 0xee, sizeof(k));
	flow_key_read(&k, copy, len);
	assert_true(flow_hash(secret, copy, len) != 0);
	assert_int_equal(k.zero, 0);
	free(copy);
	return k;
}

static bool same_flow(const struct bytes *a, const struct bytes *b)
{
	struct flow_key ka = key_of(a->b, a->len), kb = key_of(b->b, b->len);
	bool same = !memcmp(&ka, &kb, sizeof(ka));

	assert_int_equal(same, flow_hash(secret, a->b, a->len) == flow_hash(secret, b->b, b->len));
	return same;
}

static bool is_key(const struct flow_key *k, uint8_t family, uint8_t proto, uint8_t kind, const uint8_t selector[4])
{
	struct flow_key want = { .family = family, .proto = proto, .kind = kind };
	uint32_t bytes = family == IP_V4 ? 4 : 16;

	memcpy(want.src, family == IP_V4 ? src4 : src6, bytes);
	memcpy(want.dst, family == IP_V4 ? dst4 : dst6, bytes);
	memcpy(want.selector, selector, 4);
	return !memcmp(k, &want, sizeof(want));
}

/* One protocol behind the plain header of both families, or of one. */
static void reads_protocols(void **state)
{
	enum { A = FLOW_KEY_ADDRESSES, P = FLOW_KEY_PORTS };
	static const struct {
		uint8_t families;	/* 4, 6, or 10 for both */
		uint8_t proto, n;
		uint8_t payload[16];
		uint8_t kind, selector[4];
	} c[] = {
		/*  1 */ { 10, 6, 16, { 1, 2, 3, 4, 5, 6 }, P, { 1, 2, 3, 4 } },		/* TCP */
		/*  2 */ { 10, 17, 8, { 1, 2, 3, 4, 5, 6 }, P, { 1, 2, 3, 4 } },		/* UDP */
		/*  3 */ { 10, 33, 16, { 1, 2, 3, 4, 5, 6 }, P, { 1, 2, 3, 4 } },		/* DCCP */
		/*  4 */ { 10, 132, 12, { 1, 2, 3, 4, 5, 6 }, P, { 1, 2, 3, 4 } },		/* SCTP */
		/*  5 */ { 10, 136, 8, { 1, 2, 3, 4, 5, 6 }, P, { 1, 2, 3, 4 } },		/* UDP-Lite */
		/*  6 */ { 10, 17, 4, { 1, 2, 3, 4 }, P, { 1, 2, 3, 4 } },
		/*  7 */ { 10, 17, 3, { 1, 2, 3 }, A, { 0 } },
		/*  8 */ { 10, 6, 0, { 0 }, A, { 0 } },
		/*  9 */ { 4, 1, 8, { 8, 0, 9, 9, 1, 2, 3, 4 }, P, { 1, 2 } },		/* echo, without its sequence */
		/* 10 */ { 4, 1, 8, { 0, 0, 9, 9, 1, 2, 3, 4 }, P, { 1, 2 } },
		/* 11 */ { 4, 1, 8, { 3, 1, 9, 9, 1, 2, 3, 4 }, A, { 0 } },		/* unreachable */
		/* 12 */ { 4, 1, 8, { 13, 0, 9, 9, 1, 2, 3, 4 }, A, { 0 } },		/* timestamp */
		/* 13 */ { 4, 1, 8, { 128, 0, 9, 9, 1, 2, 3, 4 }, A, { 0 } },		/* the other family's echo */
		/* 14 */ { 4, 1, 5, { 8, 0, 9, 9, 1 }, A, { 0 } },
		/* 15 */ { 4, 1, 0, { 0 }, A, { 0 } },
		/* 16 */ { 6, 58, 8, { 128, 0, 9, 9, 1, 2, 3, 4 }, P, { 1, 2 } },
		/* 17 */ { 6, 58, 8, { 129, 0, 9, 9, 1, 2, 3, 4 }, P, { 1, 2 } },
		/* 18 */ { 6, 58, 8, { 2, 0, 9, 9, 1, 2, 3, 4 }, A, { 0 } },		/* too big */
		/* 19 */ { 6, 58, 8, { 8, 0, 9, 9, 1, 2, 3, 4 }, A, { 0 } },
		/* 20 */ { 6, 58, 5, { 128, 0, 9, 9, 1 }, A, { 0 } },
		/* 21 */ { 6, 1, 8, { 8, 0, 9, 9, 1, 2, 3, 4 }, A, { 0 } },		/* ICMP in the wrong family */
		/* 22 */ { 4, 58, 8, { 128, 0, 9, 9, 1, 2, 3, 4 }, A, { 0 } },
		/* 23 */ { 10, 47, 8, { 0x20, 0, 8, 0, 1, 2, 3, 4 }, P, { 1, 2, 3, 4 } },	/* GRE with a key */
		/* 24 */ { 10, 47, 8, { 0x30, 0, 8, 0, 1, 2, 3, 4 }, P, { 1, 2, 3, 4 } },	/* a sequence number behind it */
		/* 25 */ { 10, 47, 12, { 0xa0, 0, 8, 0, 9, 9, 0, 0, 1, 2, 3, 4 }, P, { 1, 2, 3, 4 } },	/* a checksum before it */
		/* 26 */ { 10, 47, 12, { 0x60, 0, 8, 0, 9, 9, 0, 0, 1, 2, 3, 4 }, P, { 1, 2, 3, 4 } },	/* RFC 1701 routing */
		/* 27 */ { 10, 47, 8, { 0x00, 0, 8, 0, 1, 2, 3, 4 }, A, { 0 } },
		/* 28 */ { 10, 47, 8, { 0x20, 1, 0x88, 0x0b, 1, 2, 3, 4 }, A, { 0 } },	/* version 1, PPTP */
		/* 29 */ { 10, 47, 7, { 0x20, 0, 8, 0, 1, 2, 3 }, A, { 0 } },
		/* 30 */ { 10, 47, 11, { 0xa0, 0, 8, 0, 9, 9, 0, 0, 1, 2, 3 }, A, { 0 } },
		/* 31 */ { 10, 47, 1, { 0x20 }, A, { 0 } },
		/* 32 */ { 10, 50, 8, { 1, 2, 3, 4, 0, 0, 0, 7 }, P, { 1, 2, 3, 4 } },	/* ESP */
		/* 33 */ { 10, 50, 3, { 1, 2, 3 }, A, { 0 } },
		/* 34 */ { 4, 51, 12, { 6, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 7 }, P, { 1, 2, 3, 4 } },	/* AH */
		/* 35 */ { 4, 51, 7, { 6, 4, 0, 0, 1, 2, 3 }, A, { 0 } },
		/* 36 */ { 10, 89, 8, { 1, 2, 3, 4 }, A, { 0 } },				/* OSPF */
		/* 37 */ { 6, 59, 8, { 1, 2, 3, 4 }, A, { 0 } },				/* no next header */
		/* 38 */ { 4, 0, 12, { 6, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4 }, A, { 0 } },	/* IPv4 has no such headers */
		/* 39 */ { 4, 44, 8, { 6, 0, 0, 1, 1, 2, 3, 4 }, A, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		for (uint32_t options = 0; c[i].families != 6 && options <= 40; options += 20) {
			struct bytes p = packet4(c[i].proto, 0x4000, options, c[i].payload, c[i].n);
			struct flow_key k = key_of(p.b, p.len);

			if (!is_key(&k, IP_V4, c[i].proto, c[i].kind, c[i].selector))
				fail_msg("case %zu, IPv4, %u bytes of options", i + 1, options);
		}
		if (c[i].families != 4) {
			struct bytes p = packet6(c[i].proto, c[i].payload, c[i].n);
			struct flow_key k = key_of(p.b, p.len);

			if (!is_key(&k, IP_V6, c[i].proto, c[i].kind, c[i].selector))
				fail_msg("case %zu, IPv6", i + 1);
		}
	}
}

static void reads_fragments4(void **state)
{
	static const uint8_t udp[8] = { 1, 2, 3, 4, 0, 8 }, none[4];
	static const struct {
		uint16_t fragment;
		bool is_fragment;
	} c[] = {
		/* 1 */ { 0x0000, false },
		/* 2 */ { 0x4000, false },	/* DF */
		/* 3 */ { 0x8000, false },	/* reserved */
		/* 4 */ { 0x2000, true },	/* MF: the first */
		/* 5 */ { 0x2001, true },
		/* 6 */ { 0x0001, true },	/* the last */
		/* 7 */ { 0x1fff, true },
		/* 8 */ { 0x6000, true },	/* DF and MF, from a tunnel that cut it */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct bytes p = packet4(IP_PROTO_UDP, c[i].fragment, 0, udp, 8), empty = packet4(IP_PROTO_UDP, c[i].fragment, 0, udp, 0);
		struct flow_key k = key_of(p.b, p.len), short_key = key_of(empty.b, empty.len);
		uint8_t kind = c[i].is_fragment ? FLOW_KEY_FRAGMENT : FLOW_KEY_PORTS;
		const uint8_t *selector = c[i].is_fragment ? (const uint8_t[4]){ 0x1d, 0x1d } : udp;

		if (!is_key(&k, IP_V4, IP_PROTO_UDP, kind, selector))
			fail_msg("case %zu", i + 1);
		if (!is_key(&short_key, IP_V4, IP_PROTO_UDP, c[i].is_fragment ? kind : FLOW_KEY_ADDRESSES,
			    c[i].is_fragment ? selector : none))
			fail_msg("case %zu, without payload", i + 1);
	}
}

/* Chains of IPv6 extension headers before ports 1 2 3 4. */
static void reads_extensions(void **state)
{
	enum { A = FLOW_KEY_ADDRESSES, P = FLOW_KEY_PORTS, F = FLOW_KEY_FRAGMENT };
	static const struct {
		uint8_t next, n;
		uint8_t payload[48];
		uint8_t proto, kind, selector[4];
	} c[] = {
		/*  1 */ { 0, 12, { 17, 0, [8] = 1, 2, 3, 4 }, 17, P, { 1, 2, 3, 4 } },
		/*  2 */ { 43, 12, { 17, 0, [8] = 1, 2, 3, 4 }, 17, P, { 1, 2, 3, 4 } },
		/*  3 */ { 60, 12, { 17, 0, [8] = 1, 2, 3, 4 }, 17, P, { 1, 2, 3, 4 } },
		/*  4 */ { 0, 20, { 6, 1, [16] = 1, 2, 3, 4 }, 6, P, { 1, 2, 3, 4 } },
		/*  5 */ { 51, 28, { 6, 4, [24] = 1, 2, 3, 4 }, 6, P, { 1, 2, 3, 4 } },	/* AH counts in fours */
		/*  6 */ { 51, 12, { 6, 0, [8] = 1, 2, 3, 4 }, 6, P, { 1, 2, 3, 4 } },
		/*  7 */ { 0, 36, { 43, 0, [8] = 60, 0, [16] = 51, 0, [24] = 50, 0, [32] = 1, 2, 3, 4 }, 50, P, { 1, 2, 3, 4 } },
		/*  8 */ { 0, 16, { 58, 0, [8] = 128, 0, 9, 9, 1, 2, 3, 4 }, 58, P, { 1, 2 } },
		/*  9 */ { 0, 16, { 47, 0, [8] = 0x20, 0, 8, 0, 1, 2, 3, 4 }, 47, P, { 1, 2, 3, 4 } },
		/* 10 */ { 0, 11, { 17, 0, [8] = 1, 2, 3 }, 17, A, { 0 } },			/* ports cut off */
		/* 11 */ { 0, 8, { 17, 0 }, 17, A, { 0 } },
		/* 12 */ { 0, 7, { 17, 0 }, 0, A, { 0 } },					/* the header cut off */
		/* 13 */ { 0, 1, { 17 }, 0, A, { 0 } },
		/* 14 */ { 0, 0, { 0 }, 0, A, { 0 } },
		/* 15 */ { 0, 15, { 17, 1, [8] = 1, 2, 3, 4 }, 0, A, { 0 } },			/* longer than the packet */
		/* 16 */ { 60, 48, { 17, 255, [8] = 1, 2, 3, 4 }, 60, A, { 0 } },
		/* 17 */ { 51, 48, { 17, 255, [8] = 1, 2, 3, 4 }, 51, A, { 0 } },
		/* 18 */ { 135, 12, { 17, 0, [8] = 1, 2, 3, 4 }, 135, A, { 0 } },		/* mobility is not looked through */
		/* 19 */ { 44, 12, { 17, 0, 0, 1, 5, 6, 7, 8, 1, 2, 3, 4 }, 44, F, { 5, 6, 7, 8 } },	/* the first fragment */
		/* 20 */ { 44, 12, { 6, 0, 0, 8, 5, 6, 7, 8, 9, 9, 9, 9 }, 44, F, { 5, 6, 7, 8 } },	/* the last, of the same */
		/* 21 */ { 44, 8, { 17, 0, 0xff, 0xf8, 5, 6, 7, 8 }, 44, F, { 5, 6, 7, 8 } },
		/* 22 */ { 44, 12, { 17, 0, 0, 0, 5, 6, 7, 8, 1, 2, 3, 4 }, 17, P, { 1, 2, 3, 4 } },	/* all of it, RFC 6946 */
		/* 23 */ { 44, 12, { 17, 9, 0, 6, 5, 6, 7, 8, 1, 2, 3, 4 }, 17, P, { 1, 2, 3, 4 } },	/* reserved bits */
		/* 24 */ { 44, 7, { 17, 0, 0, 1, 5, 6, 7 }, 44, A, { 0 } },
		/* 25 */ { 0, 20, { 44, 0, [8] = 17, 0, 0, 1, 5, 6, 7, 8, 1, 2, 3, 4 }, 44, F, { 5, 6, 7, 8 } },
		/* 26 */ { 60, 12, { 59, 0, [8] = 1, 2, 3, 4 }, 59, A, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct bytes p = packet6(c[i].next, c[i].payload, c[i].n);
		struct flow_key k = key_of(p.b, p.len);

		if (!is_key(&k, IP_V6, c[i].proto, c[i].kind, c[i].selector))
			fail_msg("case %zu", i + 1);
	}
}

static void gives_up_on_long_chains(void **state)
{
	static const uint8_t none[4], ports[4] = { 1, 2, 3, 4 };

	(void)state;
	for (uint32_t count = 0; count <= FLOW_KEY_EXTENSIONS_MAX + 3; count++) {
		uint8_t payload[8 * (FLOW_KEY_EXTENSIONS_MAX + 3) + 4] = { 0 };
		bool seen = count <= FLOW_KEY_EXTENSIONS_MAX;
		struct bytes p;
		struct flow_key k;

		for (uint32_t i = 0; i < count; i++)
			payload[8 * i] = i + 1 < count ? 60 : 17;
		memcpy(payload + 8 * count, ports, 4);
		p = packet6(count ? 60 : 17, payload, 8 * count + 4);
		k = key_of(p.b, p.len);
		assert_true(is_key(&k, IP_V6, seen ? 17 : 60, seen ? FLOW_KEY_PORTS : FLOW_KEY_ADDRESSES, seen ? ports : none));
	}
}

/* Change one byte of a packet: 'same' says whether it stays in its flow. */
static void tells_flows_apart(void **state)
{
	static const uint8_t tcp[20] = { 1, 2, 3, 4, 5, 6, 7, 8, [13] = 0x10 };
	static const struct {
		uint8_t family, at;
		bool same;
	} c[] = {
		/*  1 */ { 4, 1, true },	/* TOS */
		/*  2 */ { 4, 5, true },	/* identification */
		/*  3 */ { 4, 8, true },	/* TTL */
		/*  4 */ { 4, 9, false },	/* protocol */
		/*  5 */ { 4, 10, true },	/* checksum */
		/*  6 */ { 4, 12, false },
		/*  7 */ { 4, 15, false },	/* source */
		/*  8 */ { 4, 16, false },
		/*  9 */ { 4, 19, false },	/* destination */
		/* 10 */ { 4, 21, false },	/* source port */
		/* 11 */ { 4, 23, false },	/* destination port */
		/* 12 */ { 4, 24, true },	/* sequence */
		/* 13 */ { 4, 33, true },	/* flags */
		/* 14 */ { 6, 1, true },	/* traffic class and flow label */
		/* 15 */ { 6, 2, true },
		/* 16 */ { 6, 3, true },
		/* 17 */ { 6, 6, false },	/* next header */
		/* 18 */ { 6, 7, true },	/* hop limit */
		/* 19 */ { 6, 8, false },
		/* 20 */ { 6, 23, false },
		/* 21 */ { 6, 24, false },
		/* 22 */ { 6, 39, false },
		/* 23 */ { 6, 40, false },
		/* 24 */ { 6, 43, false },
		/* 25 */ { 6, 44, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct bytes a = c[i].family == 4 ? packet4(6, 0x4000, 0, tcp, 20) : packet6(6, tcp, 20), b = a;

		b.b[c[i].at] ^= 0x13;
		if (same_flow(&a, &b) != c[i].same)
			fail_msg("case %zu", i + 1);
	}
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/* The way back is another flow: it has another queue and may have another path. */
static void tells_directions_apart(void **state)
{
	static const uint8_t udp[8] = { 1, 2, 3, 4 }, echo[8] = { 8, 0, 0, 0, 1, 2, 0, 1 };
	struct bytes a, b;

	(void)state;
	a = b = packet4(17, 0, 0, udp, 8);
	swap(b.b + 12, b.b + 16, 4);
	assert_false(same_flow(&a, &b));
	swap(b.b + 20, b.b + 22, 2);
	assert_false(same_flow(&a, &b));
	a = b = packet6(17, udp, 8);
	swap(b.b + 8, b.b + 24, 16);
	swap(b.b + 40, b.b + 42, 2);
	assert_false(same_flow(&a, &b));
	a = b = packet4(1, 0, 0, echo, 8);
	b.b[27] = 2;
	assert_true(same_flow(&a, &b));		/* the next echo */
	b.b[20] = 0;
	swap(b.b + 12, b.b + 16, 4);
	assert_false(same_flow(&a, &b));
}

/* All fragments of a packet, and of no other: another identification, another protocol (IPv4 numbers them apart). */
static void keeps_fragments_together(void **state)
{
	static const uint8_t first[8] = { 1, 2, 3, 4 }, later[8] = { 9, 9, 9, 9 };
	static const uint8_t first6[16] = { 17, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4 }, later6[16] = { 60, 0, 0, 8, 0, 0, 0, 7, 9, 9, 9, 9 };
	struct bytes a = packet4(17, 0x2000, 0, first, 8), b = packet4(17, 1, 0, later, 8), whole = packet4(17, 0, 0, first, 8);

	(void)state;
	assert_true(same_flow(&a, &b));
	assert_false(same_flow(&a, &whole));
	b.b[5]++;
	assert_false(same_flow(&a, &b));
	b = packet4(6, 1, 0, later, 8);
	assert_false(same_flow(&a, &b));

	a = packet6(44, first6, 16);
	b = packet6(44, later6, 16);
	assert_true(same_flow(&a, &b));
	b.b[47]++;
	assert_false(same_flow(&a, &b));
}

/* Padding is no part of a packet, even where ports would be. */
static void ignores_padding(void **state)
{
	static const uint8_t none[4];
	struct bytes p[2] = { packet4(17, 0, 0, none, 2), packet6(17, none, 2) };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct flow_key k = key_of(p[i].b, p[i].len), padded;

		assert_int_equal(k.kind, FLOW_KEY_ADDRESSES);
		memset(p[i].b + p[i].len, 7, 16);
		padded = key_of(p[i].b, p[i].len + 16);
		assert_memory_equal(&k, &padded, sizeof(k));
	}
}

/* Cut anywhere, with a header that says so: read from memory that ends there, under the sanitizer. */
static void survives_truncation(void **state)
{
	static const uint8_t chain[48] = { 43, 0, [8] = 60, 1, [24] = 51, 1, [36] = 47, 0, 0xa0, 0, 8, 0 };
	static const uint8_t zeros[sizeof(struct flow_key)];
	struct bytes p[2] = { packet4(47, 0, 12, chain + 38, 10), packet6(0, chain, 48) };
	struct flow_key k;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (uint32_t len = i ? 40 : 32; len <= p[i].len; len++) {
			put_be16(p[i].b + (i ? 4 : 2), (uint16_t)(i ? len - 40 : len));
			k = key_of(p[i].b, len);
			assert_int_equal(k.family, i ? IP_V6 : IP_V4);
			k = key_of(p[i].b, len - 1);	/* no packet */
			assert_memory_equal(&k, zeros, sizeof(zeros));
		}
	k = key_of(zeros, 0);
	assert_memory_equal(&k, zeros, sizeof(zeros));
}

static void hash_needs_its_key(void **state)
{
	static const uint8_t udp[8] = { 1, 2, 3, 4 }, other[16] = { 1 };
	struct bytes p = packet4(17, 0, 0, udp, 8);

	(void)state;
	assert_true(flow_hash(secret, p.b, p.len) == flow_hash(secret, p.b, p.len));
	assert_true(flow_hash(secret, p.b, p.len) != flow_hash(other, p.b, p.len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_protocols),
		cmocka_unit_test(reads_fragments4),
		cmocka_unit_test(reads_extensions),
		cmocka_unit_test(gives_up_on_long_chains),
		cmocka_unit_test(tells_flows_apart),
		cmocka_unit_test(tells_directions_apart),
		cmocka_unit_test(keeps_fragments_together),
		cmocka_unit_test(ignores_padding),
		cmocka_unit_test(survives_truncation),
		cmocka_unit_test(hash_needs_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
