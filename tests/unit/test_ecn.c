/* SPDX-License-Identifier: MIT */
/* RFC 6040's table cell by cell, and the two bits in real headers, with the checksum against one computed anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "wire/ecn.h"

static void encapsulates(void **state)
{
	static const struct {
		uint8_t inner, mesh, plain;
	} c[] = {
		/* 1 */ { ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT },
		/* 2 */ { ECN_ECT0, ECN_ECT0, ECN_ECT0 },
		/* 3 */ { ECN_ECT1, ECN_ECT1, ECN_ECT1 },
		/* 4 */ { ECN_CE, ECN_CE, ECN_ECT0 },
		/* 5 */ { 0xb8, ECN_NOT_ECT, ECN_NOT_ECT },	/* with a DSCP around them */
		/* 6 */ { 0xff, ECN_CE, ECN_ECT0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		if (ecn_outer_mesh(c[i].inner) != c[i].mesh || ecn_outer_plain(c[i].inner) != c[i].plain)
			fail_msg("case %zu", i + 1);
}

/* RFC 6040 figure 4, in its order. */
static void decapsulates(void **state)
{
	static const struct {
		uint8_t inner, outer;
		enum ecn_verdict verdict;
		uint8_t result;
	} c[] = {
		/*  1 */ { ECN_NOT_ECT, ECN_NOT_ECT, ECN_KEEP, ECN_NOT_ECT },
		/*  2 */ { ECN_NOT_ECT, ECN_ECT0, ECN_KEEP, ECN_NOT_ECT },
		/*  3 */ { ECN_NOT_ECT, ECN_ECT1, ECN_KEEP, ECN_NOT_ECT },
		/*  4 */ { ECN_NOT_ECT, ECN_CE, ECN_DROP, ECN_NOT_ECT },
		/*  5 */ { ECN_ECT0, ECN_NOT_ECT, ECN_KEEP, ECN_ECT0 },
		/*  6 */ { ECN_ECT0, ECN_ECT0, ECN_KEEP, ECN_ECT0 },
		/*  7 */ { ECN_ECT0, ECN_ECT1, ECN_CHANGE, ECN_ECT1 },
		/*  8 */ { ECN_ECT0, ECN_CE, ECN_CHANGE, ECN_CE },
		/*  9 */ { ECN_ECT1, ECN_NOT_ECT, ECN_KEEP, ECN_ECT1 },
		/* 10 */ { ECN_ECT1, ECN_ECT0, ECN_KEEP, ECN_ECT1 },
		/* 11 */ { ECN_ECT1, ECN_ECT1, ECN_KEEP, ECN_ECT1 },
		/* 12 */ { ECN_ECT1, ECN_CE, ECN_CHANGE, ECN_CE },
		/* 13 */ { ECN_CE, ECN_NOT_ECT, ECN_KEEP, ECN_CE },
		/* 14 */ { ECN_CE, ECN_ECT0, ECN_KEEP, ECN_CE },
		/* 15 */ { ECN_CE, ECN_ECT1, ECN_KEEP, ECN_CE },
		/* 16 */ { ECN_CE, ECN_CE, ECN_KEEP, ECN_CE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t result = 0xee;

		if (ecn_decapsulate(c[i].inner, c[i].outer, &result) != c[i].verdict || result != c[i].result)
			fail_msg("case %zu", i + 1);
		/* The same with different DSCPs around the bits. */
		result = 0xee;
		if (ecn_decapsulate(c[i].inner | 0xb8, c[i].outer | 0x44, &result) != c[i].verdict || result != c[i].result)
			fail_msg("case %zu with DSCP", i + 1);
	}
}

/* RFC 1071 section 1, over a header whose checksum is taken for zero. */
static uint16_t header_checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		if (i != 10)
			sum += get_be16(p + i);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/* A header of 20 to 60 bytes in memory of that size. Now and then its bytes make sums around the two zeros. */
static uint8_t *random_header4(size_t *len, unsigned int *seed)
{
	uint8_t *p;

	*len = 4 * (5 + (size_t)rand_r(seed) % 11);
	p = malloc(*len);
	assert_non_null(p);
	for (size_t i = 0; i < *len; i++)
		p[i] = (uint8_t)rand_r(seed);
	p[0] = (uint8_t)(0x40 | *len / 4);
	if (rand_r(seed) % 4 == 0) {
		memset(p + 2, 0, *len - 2);
		put_be16(p + 4, (uint16_t)(0xffff - get_be16(p) - 2 + rand_r(seed) % 5));
	}
	put_be16(p + 10, header_checksum(p, *len));
	return p;
}

static void sets_v4(void **state)
{
	unsigned int seed = 6040;
	int zeros = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint8_t before[60], ecn = (uint8_t)(rand_r(&seed) % 4);
		size_t len;
		uint8_t *p = random_header4(&len, &seed);

		memcpy(before, p, len);
		assert_int_equal(packet_tos(p), p[1]);
		packet_set_ecn(p, ecn);
		assert_int_equal(packet_tos(p), (before[1] & 0xfc) | ecn);
		assert_int_equal(get_be16(p + 10), header_checksum(p, len));
		zeros += get_be16(p + 10) == 0;
		p[1] = before[1];
		memcpy(p + 10, before + 10, 2);
		assert_memory_equal(p, before, len);
		free(p);
	}
	assert_in_range(zeros, 1000, 200000);
}

/* What arrived broken must not be mended, and what needs no change not be touched: 0xffff for 0 is right, if odd. */
static void keeps_what_is_wrong(void **state)
{
	unsigned int seed = 1624;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t before[60];
		size_t len;
		uint8_t *p = random_header4(&len, &seed);
		uint16_t wrong = (uint16_t)(1 + rand_r(&seed) % 0xfffe), sum = get_be16(p + 10);

		put_be16(p + 10, (uint16_t)((uint32_t)(sum + wrong) % 0xffff));
		memcpy(before, p, len);
		packet_set_ecn(p, p[1] & 3);
		assert_memory_equal(p, before, len);
		packet_set_ecn(p, (p[1] & 3) ^ 1);
		assert_int_not_equal(get_be16(p + 10) % 0xffff, header_checksum(p, len) % 0xffff);
		packet_set_ecn(p, before[1] & 3);
		assert_memory_equal(p, before, len);
		free(p);
	}
}

static void takes_the_other_zero(void **state)
{
	uint8_t p[20] = { 0x45, 2, 0, 20 };

	(void)state;
	put_be16(p + 4, 0xffff - 0x4502 - 20);
	assert_int_equal(header_checksum(p, 20), 0);
	put_be16(p + 10, 0xffff);
	packet_set_ecn(p, ECN_ECT0);
	assert_int_equal(get_be16(p + 10), 0xffff);
	packet_set_ecn(p, ECN_CE);
	assert_int_equal(get_be16(p + 10), header_checksum(p, 20));
	packet_set_ecn(p, ECN_ECT0);
	assert_int_equal(get_be16(p + 10), 0);
}

static void sets_v6(void **state)
{
	unsigned int seed = 8200;

	(void)state;
	for (unsigned int class = 0; class < 256; class++)
		for (uint8_t ecn = 0; ecn < 4; ecn++) {
			uint8_t before[40], *p = malloc(40);

			assert_non_null(p);
			for (size_t i = 0; i < 40; i++)
				p[i] = (uint8_t)rand_r(&seed);
			p[0] = (uint8_t)(0x60 | class >> 4);
			p[1] = (uint8_t)(class << 4 | (p[1] & 0xf));
			memcpy(before, p, 40);
			assert_int_equal(packet_tos(p), class);
			packet_set_ecn(p, ecn);
			assert_int_equal(packet_tos(p), (class & 0xfc) | ecn);
			p[1] = (uint8_t)((p[1] & 0xcf) | (before[1] & 0x30));
			assert_memory_equal(p, before, 40);
			free(p);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encapsulates),
		cmocka_unit_test(decapsulates),
		cmocka_unit_test(sets_v4),
		cmocka_unit_test(keeps_what_is_wrong),
		cmocka_unit_test(takes_the_other_zero),
		cmocka_unit_test(sets_v6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
