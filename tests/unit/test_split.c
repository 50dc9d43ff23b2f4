/* SPDX-License-Identifier: MIT */
/*
 * Cutting super-packets: every segment is compared, byte by byte, with the packet that a naive builder makes of what it should
 * say. Packets lie in memory of exactly their size, so that the sanitizers see a stray access.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inner_packets.h"
#include "wire/offload.h"

enum { FIN = 1, SYN = 2, PSH = 8, ACK = 0x10, URG = 0x20, ECE = 0x40, CWR = 0x80, DF = 0x4000 };

static const struct inner tcp4 = {
	.version = 4, .proto = 6, .tos = 0x28, .ttl = 61, .src = 1, .dst = 2, .sport = 5201, .dport = 40000, .id = 0xfffe,
	.fragment = DF, .seq = 0xffffff00, .ack = 77, .flags = ACK, .window = 502, .options = 12, .option_seed = 9,
};
static const struct inner udp4 = {
	.version = 4, .proto = 17, .tos = 1, .ttl = 61, .src = 1, .dst = 2, .sport = 443, .dport = 40000, .id = 12, .fragment = DF,
};

static struct inner as_v6(struct inner s)
{
	s.version = 6;
	s.label = 0x54321;
	return s;
}

static uint8_t gso_type_of(const struct inner *s)
{
	if (s->proto == 17)
		return VNET_GSO_UDP_L4;
	return s->version == 4 ? VNET_GSO_TCP4 : VNET_GSO_TCP6;
}

/* A super-packet as the kernel hands it over, in memory of its own. */
struct super {
	struct packet packet;
	uint8_t *payload, *copy;	/* of all */
	size_t payload_len;
};

static void make_super(struct super *u, const struct inner *s, size_t payload_len, uint16_t gso_size, unsigned int *seed)
{
	size_t len = inner_header_len(s) + payload_len;

	u->payload_len = payload_len;
	u->payload = malloc(payload_len ? payload_len : 1);
	u->packet.data = malloc(len);
	u->copy = malloc(len);
	assert_true(u->payload && u->packet.data && u->copy);
	for (size_t i = 0; i < payload_len; i++)
		u->payload[i] = (uint8_t)rand_r(seed);
	assert_int_equal(inner_build(u->packet.data, s, u->payload, payload_len, true), len);
	memcpy(u->copy, u->packet.data, len);
	u->packet.len = (uint32_t)len;
	u->packet.vnet = (struct vnet){
		.flags = VNET_NEEDS_CSUM, .gso_type = gso_type_of(s), .hdr_len = (uint16_t)rand_r(seed), .gso_size = gso_size,
		.csum_start = (uint16_t)inner_ip_len(s), .csum_offset = s->proto == 6 ? 16 : 6,
	};
}

static void free_super(struct super *u)
{
	free(u->packet.data);
	free(u->payload);
	free(u->copy);
}

/* What segment 'i' of 'count' should say. */
static struct inner segment_of(const struct inner *s, uint32_t i, uint32_t count, uint16_t gso_size)
{
	struct inner t = *s;

	t.id = (uint16_t)(s->id + i);
	t.seq = s->seq + i * gso_size;
	if (i > 0)
		t.flags &= (uint8_t)~CWR;
	if (i + 1 < count)
		t.flags &= (uint8_t)~(FIN | PSH);
	return t;
}

/* Cut it, and compare each segment with what it should be. The caller behaves as it may: it writes padding and takes it back. */
static void cut_and_compare(struct super *u, const struct inner *s, uint16_t gso_size)
{
	uint32_t count = (uint32_t)(u->payload_len + gso_size - 1) / gso_size, done = 0, len;
	const uint8_t *end = u->packet.data + u->packet.len;
	static uint8_t want[INNER_MAX];
	uint8_t *segment, saved[16];
	struct split split;

	assert_true(split_begin(&split, &u->packet));
	assert_int_equal(split.count, count ? count : 1);
	while (split_next(&split, &segment, &len)) {
		size_t at = (size_t)done * gso_size, n = u->payload_len - at < gso_size ? u->payload_len - at : gso_size, behind;
		struct inner t = segment_of(s, done, split.count, gso_size);

		assert_int_equal(len, inner_build(want, &t, u->payload + at, n, false));
		assert_true(segment >= u->packet.data && segment + len <= end);
		assert_memory_equal(segment, want, len);
		behind = (size_t)(end - (segment + len));
		behind = behind < sizeof(saved) ? behind : sizeof(saved);
		memcpy(saved, segment + len, behind);
		memset(segment + len, 0, behind);
		memcpy(segment + len, saved, behind);
		done++;
	}
	assert_int_equal(done, split.count);
	assert_false(split_next(&split, &segment, &len));
}

static void cut(const struct inner *s, size_t payload_len, uint16_t gso_size)
{
	unsigned int seed = (unsigned int)payload_len;
	struct super u;

	make_super(&u, s, payload_len, gso_size, &seed);
	cut_and_compare(&u, s, gso_size);
	free_super(&u);
}

static void vnet_header(void **state)
{
	const struct vnet v = { 1, 0x84, 66, 1400, 34, 16 };
	uint16_t words[4] = { 66, 1400, 34, 16 };
	uint8_t want[VNET_LEN] = { 1, 0x84 }, bytes[VNET_LEN];
	struct vnet again;

	(void)state;
	memcpy(want + 2, words, 8);
	vnet_write(bytes, &v);
	assert_memory_equal(bytes, want, VNET_LEN);
	vnet_read(&again, bytes);
	assert_memory_equal(&again, &v, sizeof(v));
}

static void cuts_tcp(void **state)
{
	struct inner s = tcp4, s6 = as_v6(tcp4);

	(void)state;
	for (unsigned int flags = 0; flags < 256; flags++) {
		s.flags = s6.flags = (uint8_t)flags;
		cut(&s, 5000, 1000);		/* 5 full ones; sequence numbers and identifications go round */
		cut(&s6, 5001, 1000);		/* a last one of one byte */
	}
	s.options = 40;
	s.ip_options = 40;
	cut(&s, 3000, 1000);
	s6.ip_options = 24;			/* destination options */
	cut(&s6, 3000, 1000);
	cut(&tcp4, 20, 1);			/* headers reach over many payloads */
	cut(&tcp4, 1000, 1000);
	cut(&tcp4, 999, 1000);			/* super-packets of one */
	cut(&tcp4, 0, 1000);
	cut(&tcp4, 65535 - 52, 1372);		/* as large as they come */
	cut(&s6, 65535 - 24 - 32, 1348);
	cut(&tcp4, 65535 - 52, 128);		/* 512 segments */
	cut(&tcp4, 65535 - 52, 65535);
}

static void cuts_udp(void **state)
{
	struct inner s6 = as_v6(udp4);

	(void)state;
	cut(&udp4, 5000, 1000);
	cut(&udp4, 5001, 1000);
	cut(&s6, 5000, 1201);
	cut(&s6, 54 * 1200, 1200);
	cut(&udp4, 10, 3);
	cut(&udp4, 65535 - 28, 1372);
}

/* A UDP checksum that comes out as 0 says "none": it must be sent as 0xffff. The last word of a payload makes it so. */
static void udp_checksum_is_never_zero(void **state)
{
	struct inner kinds[2] = { udp4, as_v6(udp4) };
	unsigned int seed = 3;

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct super u;
		uint8_t *segment, probe[700];
		struct split split;
		uint32_t len, zeros = 0;

		make_super(&u, &kinds[k], 300, 100, &seed);
		for (uint32_t i = 0; i < 3; i++) {
			struct inner t = segment_of(&kinds[k], i, 3, 100);
			uint8_t *word = u.payload + 100 * i + 98;

			put16(word, 0);
			inner_build(probe, &t, u.payload + 100 * i, 100, false);
			put16(word, get16(probe + inner_ip_len(&t) + 6));
		}
		inner_build(u.packet.data, &kinds[k], u.payload, 300, true);
		assert_true(split_begin(&split, &u.packet));
		while (split_next(&split, &segment, &len)) {
			assert_int_equal(get16(segment + inner_ip_len(&kinds[k]) + 6), 0xffff);
			assert_true(inner_is_valid(segment, len, 17, inner_ip_len(&kinds[k])));
			zeros++;
		}
		assert_int_equal(zeros, 3);
		free_super(&u);
	}
}

/* The kernel marks a super-packet whose first segment has CWR, and may leave the checksum field to us. */
static void type_bits(void **state)
{
	struct inner s = tcp4;
	unsigned int seed = 5;
	struct super u;

	(void)state;
	s.flags = ACK | CWR | PSH;
	make_super(&u, &s, 4000, 1000, &seed);
	u.packet.vnet.gso_type |= VNET_GSO_ECN;
	cut_and_compare(&u, &s, 1000);
	free_super(&u);
	make_super(&u, &s, 4000, 1000, &seed);
	u.packet.vnet.flags = 0;
	u.packet.vnet.csum_start = u.packet.vnet.csum_offset = 60000;
	put16(u.packet.data + 20 + 16, 0xdead);
	cut_and_compare(&u, &s, 1000);
	free_super(&u);
}

static void cuts_anything(void **state)
{
	unsigned int seed = 11;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct inner s = rand_r(&seed) % 2 ? tcp4 : udp4;
		uint16_t size = (uint16_t)(1 + rand_r(&seed) % (rand_r(&seed) % 4 ? 1500 : 30));
		size_t room = rand_r(&seed) % 16 ? 6000 : 65000;
		struct super u;

		if (rand_r(&seed) % 2)
			s = as_v6(s);
		s.id = (uint16_t)rand_r(&seed);
		s.seq = (uint32_t)rand_r(&seed) * 3;
		s.tos = (uint8_t)rand_r(&seed);
		s.flags = (uint8_t)rand_r(&seed);
		s.reserved = (uint8_t)rand_r(&seed) & 15;
		s.urgent = (uint16_t)rand_r(&seed);
		s.fragment = rand_r(&seed) % 2 ? DF : 0;
		s.options = (uint8_t)(4 * (rand_r(&seed) % 11));
		s.ip_options = (uint8_t)(8 * (rand_r(&seed) % (s.version == 4 ? 6 : 3)) * (rand_r(&seed) % 4 == 0));
		make_super(&u, &s, (size_t)rand_r(&seed) % (size < 30 ? 2000 : room), size, &seed);
		cut_and_compare(&u, &s, size);
		free_super(&u);
	}
}

/* What a mutation makes of a good super-packet is refused, and its memory untouched. */
static void refused(const struct inner *s, void (*spoil)(struct packet *p))
{
	unsigned int seed = 1;
	struct split split;
	struct super u;

	make_super(&u, s, 3000, 1000, &seed);
	spoil(&u.packet);
	u.packet.data = realloc(u.packet.data, u.packet.len ? u.packet.len : 1);
	assert_non_null(u.packet.data);
	memcpy(u.copy, u.packet.data, u.packet.len);
	assert_false(split_begin(&split, &u.packet));
	assert_memory_equal(u.packet.data, u.copy, u.packet.len);
	free_super(&u);
}

static void size_zero(struct packet *p) { p->vnet.gso_size = 0; }
static void type_ecn_alone(struct packet *p) { p->vnet.gso_type = VNET_GSO_ECN; }
static void type_other_tcp(struct packet *p) { p->vnet.gso_type ^= VNET_GSO_TCP4 ^ VNET_GSO_TCP6; }
static void type_tcp4(struct packet *p) { p->vnet.gso_type = VNET_GSO_TCP4; p->vnet.csum_offset = 16; }
static void type_ufo(struct packet *p) { p->vnet.gso_type = VNET_GSO_UDP; }
static void type_uso(struct packet *p) { p->vnet.gso_type = VNET_GSO_UDP_L4; p->vnet.csum_offset = 6; }
static void type_tunnel(struct packet *p) { p->vnet.gso_type |= 0x20; }
static void type_unknown(struct packet *p) { p->vnet.gso_type = 2; }
static void start_early(struct packet *p) { p->vnet.csum_start--; }
static void start_beyond(struct packet *p) { p->vnet.csum_start = 65535; }
static void offset_other(struct packet *p) { p->vnet.csum_offset ^= 16 ^ 6; }
static void offset_beyond(struct packet *p) { p->vnet.csum_offset = 65535; }
static void version_other(struct packet *p) { p->data[0] ^= 0x20; }
static void version_none(struct packet *p) { p->data[0] &= 0x0f; }
static void claims_more(struct packet *p) { p->len--; }
static void in_ip_header(struct packet *p) { p->len = 19; }
static void empty(struct packet *p) { p->len = 0; }
static void more_fragments(struct packet *p) { p->data[6] |= 0x20; }
static void later_fragment(struct packet *p) { p->data[7] = 1; }
static void data_offset_small(struct packet *p) { p->data[p->vnet.csum_start + 12] = 0x40; }
static void cut_to(struct packet *p, uint32_t len)
{
	p->len = len;
	put16(p->data + (p->data[0] >> 4 == 4 ? 2 : 4), p->data[0] >> 4 == 4 ? len : len - 40);
}
static void data_offset_beyond(struct packet *p) { cut_to(p, p->vnet.csum_start + 24u); }
static void transport_cut(struct packet *p) { cut_to(p, p->vnet.csum_start + 7u); }
static void transport_gone(struct packet *p) { cut_to(p, p->vnet.csum_start); }
static void tcp_cut(struct packet *p) { cut_to(p, p->vnet.csum_start + 12u); }
static void extension_cut(struct packet *p) { cut_to(p, 41); }
static void extension_gone(struct packet *p) { cut_to(p, 40); }
static void fragment_header(struct packet *p) { p->data[6] = 44; }
static void routing_header(struct packet *p) { p->data[6] = 43; }
static void extension_beyond(struct packet *p) { p->data[41] = 255; p->vnet.flags = 0; }
static void extension_too_long(struct packet *p)
{
	p->data[41] = 12;	/* 104 bytes: 40 + 104 + 8 are more than a header may have */
	p->data[40] = 17;
	p->vnet.flags = 0;
}
static void extensions_without_end(struct packet *p)
{
	for (int i = 0; i < 5; i++)
		put16(p->data + 40 + 8 * i, i < 4 ? 60u << 8 : 17u << 8);
	p->vnet.csum_start = 80;
}

static void refuses_lies(void **state)
{
	struct inner tcp6 = as_v6(tcp4), udp6 = as_v6(udp4), long6 = as_v6(udp4), bare = udp4;
	static void (*const any[])(struct packet *) = {
		size_zero, type_ecn_alone, type_ufo, type_tunnel, type_unknown, start_early, start_beyond, offset_other,
		offset_beyond, version_other, version_none, claims_more, in_ip_header, empty, transport_cut,
		transport_gone,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
		refused(&tcp4, any[i]);
		refused(&tcp6, any[i]);
		refused(&udp4, any[i]);
		refused(&udp6, any[i]);
	}
	for (int i = 0; i < 2; i++) {
		refused(i ? &tcp4 : &tcp6, type_other_tcp);
		refused(i ? &tcp4 : &tcp6, type_uso);
		refused(i ? &tcp4 : &tcp6, data_offset_small);
		refused(i ? &tcp4 : &tcp6, data_offset_beyond);
		refused(i ? &tcp4 : &tcp6, tcp_cut);
		refused(i ? &tcp6 : &udp4, type_tcp4);
		refused(i ? &tcp4 : &udp4, more_fragments);
		refused(i ? &tcp4 : &udp4, later_fragment);
		refused(i ? &tcp6 : &udp6, fragment_header);
		refused(i ? &tcp6 : &udp6, routing_header);
	}
	long6.ip_options = 8;
	refused(&long6, extension_beyond);
	refused(&long6, extension_too_long);
	refused(&long6, extension_cut);
	refused(&long6, extension_gone);
	long6.ip_options = 40;
	refused(&long6, extensions_without_end);
	/* And the good ones these were made of are not. */
	bare.ip_options = 40;
	cut(&tcp6, 3000, 1000);
	cut(&long6, 3000, 1000);
	cut(&bare, 3000, 1000);
}

/* A plain packet: one segment, the same bytes; nobody looks at them unless there is a checksum to complete. */
static void plain_packets_pass(void **state)
{
	uint8_t bytes[64], copy[64], *segment;
	struct packet p = { .data = bytes, .len = sizeof(bytes) };
	struct split split;
	uint32_t len;

	(void)state;
	memset(bytes, 0xa5, sizeof(bytes));
	memset(copy, 0xa5, sizeof(copy));
	for (int i = 0; i < 2; i++) {
		p.vnet.flags = i ? VNET_DATA_VALID : 0;
		assert_true(split_begin(&split, &p));
		assert_int_equal(split.count, 1);
		assert_int_equal(split.size, sizeof(bytes));
		assert_true(split_next(&split, &segment, &len));
		assert_ptr_equal(segment, bytes);
		assert_int_equal(len, sizeof(bytes));
		assert_false(split_next(&split, &segment, &len));
	}
	assert_memory_equal(bytes, copy, sizeof(bytes));
	p.vnet.flags = VNET_NEEDS_CSUM;
	assert_false(split_begin(&split, &p));
}

static void completes_checksums(void **state)
{
	unsigned int seed = 7;
	uint8_t payload[600], p[700], want[700], *segment;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct inner s = i % 2 ? tcp4 : udp4;
		struct packet packet = { .data = p };
		size_t n = (size_t)rand_r(&seed) % sizeof(payload);
		struct split split;
		uint32_t len;

		if (i % 4 < 2)
			s = as_v6(s);
		for (size_t b = 0; b < n; b++)
			payload[b] = (uint8_t)rand_r(&seed);
		memset(p, 0, sizeof(p));	/* padding behind the packet is zeros */
		packet.len = (uint32_t)(inner_build(p, &s, payload, n, true) + (size_t)rand_r(&seed) % 16);
		packet.vnet = (struct vnet){
			.flags = VNET_NEEDS_CSUM, .csum_start = (uint16_t)inner_ip_len(&s), .csum_offset = s.proto == 6 ? 16 : 6,
		};
		n = inner_build(want, &s, payload, n, false);
		assert_true(split_begin(&split, &packet));
		assert_true(split_next(&split, &segment, &len));
		assert_ptr_equal(segment, p);
		assert_int_equal(len, packet.len);
		assert_memory_equal(p, want, n);
		assert_false(split_next(&split, &segment, &len));
	}
}

/* ICMPv6, whose checksum is at 2 and may be 0; UDP deep inside of something, whose must not. */
static void completes_by_position(void **state)
{
	uint8_t p[60] = { 0x60, [5] = 20, 58, 255, 0xfd, [24] = 0xfd, [40] = 128 };
	struct packet packet = { .data = p, .len = sizeof(p), .vnet = { .flags = VNET_NEEDS_CSUM, .csum_start = 40, .csum_offset = 2 } };
	struct split split;

	(void)state;
	put16(p + 42, naive_pseudo(p, 58, 20));
	assert_true(split_begin(&split, &packet));
	assert_int_equal(naive_add(naive_pseudo(p, 58, 20), p + 40, 20), 0xffff);
	for (int offset = 2; offset <= 6; offset += 4) {
		memset(p + 44, 0, 16);
		put16(p + 44, 0x8000);
		put16(p + 44 + offset, 0x7fff);		/* the sum of all is 0xffff, so the checksum 0 */
		packet.vnet.csum_start = 44;
		packet.vnet.csum_offset = (uint16_t)offset;
		assert_true(split_begin(&split, &packet));
		assert_int_equal(get16(p + 44 + offset), offset == 6 ? 0xffff : 0);
	}
}

static void refuses_checksums_outside(void **state)
{
	static const struct {
		uint16_t start, offset;
		bool good;
		uint8_t payload;
	} c[] = {
		/*  1 */ { 20, 16, true, 0 },
		/*  2 */ { 20, 18, true, 0 },	/* the last two bytes */
		/*  3 */ { 20, 20, false, 0 },
		/*  4 */ { 20, 19, false, 0 },
		/*  5 */ { 38, 0, true, 0 },
		/*  6 */ { 40, 0, false, 0 },
		/*  7 */ { 19, 2, false, 0 },	/* in the IP header */
		/*  8 */ { 0, 10, false, 0 },
		/*  9 */ { 65535, 65535, false, 0 },
		/* 10 */ { 20, 65534, false, 0 },
		/* 11 */ { 65535, 1, false, 0 },
		/* 12 */ { 20, 7, false, 0 },	/* no word of the sum */
		/* 13 */ { 20, 20, false, 1 },	/* half a word */
		/* 14 */ { 20, 20, true, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct packet p = { .vnet = { .flags = VNET_NEEDS_CSUM, .csum_start = c[i].start, .csum_offset = c[i].offset } };
		uint8_t copy[42] = { 0 };
		struct split split;

		p.len = 40u + c[i].payload;
		p.data = calloc(1, p.len);
		assert_non_null(p.data);
		inner_build(p.data, &(struct inner){ .version = 4, .proto = 6 }, copy, c[i].payload, true);
		memcpy(copy, p.data, p.len);
		if (split_begin(&split, &p) != c[i].good)
			fail_msg("case %zu", i + 1);
		if (!c[i].good)
			assert_memory_equal(p.data, copy, p.len);
		free(p.data);
	}
}

/*
 * What waits: segments left out, marks set, at any point.
 */

/* What split_rest_len() should say: a header for each segment from 'done' on, and their payload. */
static size_t rest_of(const struct super *u, const struct inner *s, uint32_t done, uint32_t count, uint16_t gso_size)
{
	return (count - done) * inner_header_len(s) + u->payload_len - (size_t)done * gso_size;
}

/* Cut it, leaving out each segment whose bit in 'skip' is set, and with CE set before the one numbered 'mark'. */
static void cut_with_gaps(struct super *u, struct inner s, uint16_t gso_size, uint64_t skip, uint32_t mark)
{
	static uint8_t want[INNER_MAX];
	struct split split;
	uint8_t *segment;
	uint32_t len;

	assert_true(split_begin(&split, &u->packet));
	assert_int_equal(split_tos(&split), s.tos);
	for (uint32_t i = 0; i < split.count; i++) {
		size_t at = (size_t)i * gso_size, n = u->payload_len - at < gso_size ? u->payload_len - at : gso_size;
		struct inner t;

		if (i == mark) {
			split_set_ecn(&split, 3);
			s.tos |= 3;
		}
		assert_true(split_more(&split));
		assert_int_equal(split_tos(&split), s.tos);
		assert_int_equal(split_next_len(&split), inner_header_len(&s) + n);
		assert_int_equal(split_rest_len(&split), rest_of(u, &s, i, split.count, gso_size));
		if (skip >> i % 64 & 1) {
			split_skip(&split);
			continue;
		}
		t = segment_of(&s, i, split.count, gso_size);
		assert_true(split_next(&split, &segment, &len));
		assert_int_equal(len, inner_build(want, &t, u->payload + at, n, false));
		assert_memory_equal(segment, want, len);
		assert_true(inner_is_valid(segment, len, s.proto, inner_ip_len(&s)));
	}
	assert_false(split_more(&split));
	assert_int_equal(split_next_len(&split), 0);
	assert_int_equal(split_rest_len(&split), 0);
	split_skip(&split);
	assert_false(split_next(&split, &segment, &len));
}

static void gaps_and_marks(void **state)
{
	unsigned int seed = 11;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		struct inner s = i % 2 ? tcp4 : udp4;
		uint16_t gso_size = (uint16_t)(1 + rand_r(&seed) % 1400);
		size_t segments = 1 + (size_t)rand_r(&seed) % 45, payload_len = segments * gso_size;
		uint64_t skip = (uint64_t)rand_r(&seed) << 32 ^ (uint64_t)rand_r(&seed) << 11;
		uint32_t mark = (uint32_t)rand_r(&seed) % 50;
		struct super u;

		if (i % 4 < 2)
			s = as_v6(s);
		s.tos = (uint8_t)rand_r(&seed);
		s.flags = ACK | FIN | PSH | CWR;
		if (i % 3 == 0)
			skip = i % 2 ? 1 : ~(uint64_t)0;
		payload_len -= (size_t)rand_r(&seed) % gso_size;
		if (payload_len + inner_header_len(&s) > 65535)
			continue;
		make_super(&u, &s, payload_len, gso_size, &seed);
		cut_with_gaps(&u, s, gso_size, skip, mark);
		free_super(&u);
	}
}

/* Each codepoint over each, for what is cut and what is plain. */
static void every_mark(void **state)
{
	unsigned int seed = 5;

	(void)state;
	for (int i = 0; i < 2 * 4 * 4 * 256; i++) {
		struct inner s = i & 1 ? tcp4 : as_v6(udp4), t;
		uint8_t ecn = i >> 1 & 3, want[400], *segment;
		struct split split;
		struct super u;
		uint32_t len;

		s.tos = (uint8_t)(i >> 3);
		t = s;
		t.tos = (uint8_t)((s.tos & 0xfc) | ecn);
		make_super(&u, &s, 200, 100, &seed);
		assert_true(split_begin(&split, &u.packet));
		split_set_ecn(&split, ecn);
		assert_true(split_next(&split, &segment, &len));
		t = segment_of(&t, 0, 2, 100);
		assert_int_equal(len, inner_build(want, &t, u.payload, 100, false));
		assert_memory_equal(segment, want, len);
		/* The same as a plain packet, whole. */
		inner_build(u.packet.data, &s, u.payload, 200, false);
		u.packet.vnet = (struct vnet){ 0 };
		assert_true(split_begin(&split, &u.packet));
		assert_int_equal(split_tos(&split), s.tos);
		assert_int_equal(split_next_len(&split), u.packet.len);
		split_set_ecn(&split, ecn);
		assert_int_equal(split_tos(&split) & 3, ecn);
		assert_true(split_next(&split, &segment, &len));
		t = s;
		t.tos = (uint8_t)((s.tos & 0xfc) | ecn);
		inner_build(want, &t, u.payload, 200, false);
		assert_memory_equal(segment, want, len);
		free_super(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vnet_header),
		cmocka_unit_test(cuts_tcp),
		cmocka_unit_test(cuts_udp),
		cmocka_unit_test(udp_checksum_is_never_zero),
		cmocka_unit_test(type_bits),
		cmocka_unit_test(cuts_anything),
		cmocka_unit_test(refuses_lies),
		cmocka_unit_test(plain_packets_pass),
		cmocka_unit_test(completes_checksums),
		cmocka_unit_test(completes_by_position),
		cmocka_unit_test(refuses_checksums_outside),
		cmocka_unit_test(gaps_and_marks),
		cmocka_unit_test(every_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
