/* SPDX-License-Identifier: MIT */
/* Fragments of IPv4 packets: put together again by the simplest code there is, they are the packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "inner_packets.h"
#include "stream.h"
#include "wire/fragment.h"

enum { BEHIND = 16, DF = 0x4000, MF = 0x2000 };

/* What came of one packet. */
struct sum {
	uint8_t payload[65536 + 8];
	size_t from, to;		/* of 'payload', in bytes of the whole datagram */
	size_t count;			/* fragments */
	uint16_t last_field;
	uint8_t first[60], later[60];
	size_t first_len, later_len;
};

/* One fragment: a right header, and what follows the one before. */
static void take(struct sum *s, const uint8_t *p, size_t len, const uint8_t *packet, uint32_t mtu)
{
	size_t header = 4 * (size_t)(p[0] & 15), payload = len - header, at = 8 * (size_t)(get16(p + 6) & 0x1fff);

	assert_true(len <= mtu && header >= 20 && header < len);
	assert_int_equal(p[0] >> 4, 4);
	assert_int_equal(get16(p + 2), len);
	assert_int_equal(naive_add(0, p, header), 0xffff);
	assert_memory_equal(p + 4, packet + 4, 2);
	assert_int_equal(p[1], packet[1]);
	assert_memory_equal(p + 8, packet + 8, 2);
	assert_memory_equal(p + 12, packet + 12, 8);
	if (s->count == 0) {
		s->from = s->to = at;
		memcpy(s->first, p, header);
		s->first_len = header;
	} else {
		assert_true(s->last_field & MF);
		memcpy(s->later, p, header);
		s->later_len = header;
	}
	assert_int_equal(at, s->to);
	memcpy(s->payload + s->to, p + header, payload);
	s->to += payload;
	s->last_field = (uint16_t)get16(p + 6);
	/* all but the last are as long as they can be */
	if (s->to < s->from + get16(packet + 2) - 4 * (size_t)(packet[0] & 15))
		assert_true(len + 8 > mtu && payload % 8 == 0);
	s->count++;
}

/* Cut 'packet' as a lane does, with something behind each piece that is put back, and sum up. False: it is not cut. */
static bool cut(struct sum *s, const uint8_t *packet, size_t len, uint32_t mtu)
{
	uint8_t *room = malloc(len + BEHIND), *one;
	struct fragment f;
	uint32_t one_len;
	bool begun;

	assert_non_null(room);
	memcpy(room, packet, len);
	memset(room + len, 0xee, BEHIND);
	memset(s, 0, sizeof(*s));
	begun = fragment_begin(&f, room, len, mtu);
	if (!begun)
		assert_memory_equal(room, packet, len);
	while (begun && fragment_next(&f, &one, &one_len)) {
		uint8_t behind[BEHIND];

		assert_true(one >= room && one + one_len <= room + len);
		take(s, one, one_len, packet, mtu);
		memcpy(behind, one + one_len, BEHIND);
		memset(one + one_len, 0, BEHIND);
		memcpy(one + one_len, behind, BEHIND);
	}
	if (begun) {
		assert_true(mtu < 68 || s->count <= fragment_count_max((uint32_t)len, mtu));
		assert_true(!fragment_next(&f, &one, &one_len));
	}
	free(room);
	return begun;
}

static size_t build(uint8_t *p, size_t payload_len, uint16_t field, uint8_t options)
{
	static uint8_t payload[65536];
	struct inner say = { .version = 4, .proto = 17, .tos = 0x2a, .ttl = 9, .src = 1, .dst = 2, .sport = 5, .dport = 6, .id = 0xbeef,
			     .fragment = field, .ip_options = options };

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 >> 2 ^ i >> 9);
	return inner_build(p, &say, payload, payload_len, false);
}

static uint8_t packet[65536];
static struct sum sum;

/* Every length around the steps, and the largest packet there is. */
static void together_again(void **state)
{
	static const uint32_t mtus[] = { 68, 576, 1200, 1239, 1240, 1400, 1420 };

	(void)state;
	for (size_t m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++) {
		for (size_t n = 1; n <= 4100; n += n > 60 ? 61 : 1) {
			size_t len = build(packet, n, 0, 0);

			assert_true(cut(&sum, packet, len, mtus[m]));
			assert_int_equal(sum.to, len - 20);
			assert_memory_equal(sum.payload, packet + 20, len - 20);
			assert_true(!(sum.last_field & MF));
		}
		assert_true(cut(&sum, packet, build(packet, 65535 - 28, 0, 0), mtus[m]));
		assert_int_equal(sum.to, 65515);
		assert_memory_equal(sum.payload, packet + 20, 65515);
	}
}

/* A fragment in fragments: offsets go on from its own, and only the last of the last is the last. */
static void of_a_fragment(void **state)
{
	size_t len;

	(void)state;
	len = build(packet, 2992, MF | 100, 0);
	assert_true(cut(&sum, packet, len, 1400));
	assert_int_equal(sum.from, 800);
	assert_int_equal(sum.to, 800 + 3000);
	assert_int_equal(sum.count, 3);
	assert_true(sum.last_field & MF);
	assert_memory_equal(sum.payload + 800, packet + 20, 3000);

	len = build(packet, 2990, 100, 0);
	assert_true(cut(&sum, packet, len, 1400));
	assert_true(!(sum.last_field & MF));
	assert_int_equal(sum.to, 800 + 2998);

	/* one that would end beyond 64 KiB */
	len = build(packet, 2990, 0x1fff, 0);
	assert_true(!cut(&sum, packet, len, 1400));
}

static void not_cut(void **state)
{
	struct inner six = { .version = 6, .proto = 17, .ttl = 64 };
	size_t len;

	(void)state;
	len = build(packet, 2000, DF, 0);
	assert_true(!cut(&sum, packet, len, 1400));
	len = build(packet, 2000, 0, 0);
	assert_true(!cut(&sum, packet, len - 1, 1400));	/* cut off */
	assert_true(!cut(&sum, packet, len, 27));		/* no room for eight bytes */
	assert_true(cut(&sum, packet, len, 28));
	len = inner_build(packet, &six, sum.payload, 2000, false);
	assert_true(!cut(&sum, packet, len, 1400));
	len = build(packet, 2000, 0, 0);
	put16(packet + 2, 20);
	assert_true(!cut(&sum, packet, len, 1400));		/* nothing but a header */
}

static void set_options(uint8_t *p, const uint8_t *options, size_t len)
{
	memcpy(p + 20, options, len);
	put16(p + 10, 0);
	put16(p + 10, 0xffff - naive_add(0, p, 20 + len));
}

/* RFC 791: all options in the first fragment, in the others those that say so. */
static void options(void **state)
{
	static const struct {
		uint8_t options[12], later[12];
		size_t later_len;
	} c[] = {
		/* record route (7) is not copied, loose source route (131) is */
		/* 1 */ { { 7, 3, 4, 131, 7, 4, 10, 0, 0, 9, 0, 0 }, { 131, 7, 4, 10, 0, 0, 9, 0 }, 8 },
		/* 2 */ { { 1, 1, 148, 4, 0, 0, 7, 3, 4, 0, 0, 0 }, { 148, 4, 0, 0 }, 4 },
		/* 3 */ { { 68, 12, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, { 0 }, 0 },
		/* 4 */ { { 130, 12, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, { 130, 12, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, 12 },
		/* 5: nonsense, and what is behind it */ { { 148, 4, 0, 0, 130, 1, 148, 4, 0, 0, 0, 0 }, { 148, 4, 0, 0 }, 4 },
		/* 6: beyond the header */ { { 148, 4, 0, 0, 1, 1, 1, 1, 1, 1, 130, 3 }, { 148, 4, 0, 0 }, 4 },
		/* 7: its length is cut off */ { { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 130 }, { 0 }, 0 },
		/* 8: behind the end */ { { 0, 148, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, { 0 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		size_t len = build(packet, 3000, 0, 12);

		print_message("case %zu\n", i + 1);
		set_options(packet, c[i].options, 12);
		assert_true(cut(&sum, packet, len, 1000));
		assert_int_equal(sum.first_len, 32);
		assert_memory_equal(sum.first + 20, c[i].options, 12);
		assert_int_equal(sum.later_len, 20 + c[i].later_len);
		assert_memory_equal(sum.later + 20, c[i].later, c[i].later_len);
		assert_int_equal(sum.to, len - 32);
		assert_memory_equal(sum.payload, packet + 32, len - 32);
	}
}

/* Whatever there is in the header, it is cut right or not at all. */
static void anything(void **state)
{
	struct stream r = { 5 };
	size_t done = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint8_t n = (uint8_t)(4 * stream_below(&r, 11));
		size_t payload_len = 1 + (size_t)stream_below(&r, 5000), len = build(packet, payload_len, 0, n), header = 20 + (size_t)n;

		for (size_t k = 0; k < n; k++)
			packet[20 + k] = (uint8_t)(stream_next(&r) % 5 ? stream_below(&r, 12) : stream_next(&r));
		put16(packet + 6, (uint32_t)stream_below(&r, 0x4000));
		if (!cut(&sum, packet, len, 68 + (uint32_t)stream_below(&r, 1500)))
			continue;
		done++;
		assert_int_equal(sum.to - sum.from, len - header);
		assert_memory_equal(sum.payload + sum.from, packet + header, len - header);
	}
	assert_true(done > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(together_again),
		cmocka_unit_test(of_a_fragment),
		cmocka_unit_test(not_cut),
		cmocka_unit_test(options),
		cmocka_unit_test(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
