/* SPDX-License-Identifier: MIT */
/* Headers that tell the truth, headers that lie, and the checksum against the way RFC 1071 first puts it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "wire/ip.h"

/* View a copy in memory of exactly 'len' bytes, so that a stray read shows under the sanitizer. */
static bool view(struct ip_view *v, const uint8_t *packet, size_t len, uint8_t **copy)
{
	*copy = malloc(len ? len : 1);
	assert_non_null(*copy);
	memcpy(*copy, packet, len);
	return ip_view(v, *copy, len);
}

static bool is_seen(const uint8_t *packet, size_t len)
{
	struct ip_view v;
	uint8_t *copy;
	bool seen = view(&v, packet, len, &copy);

	free(copy);
	return seen;
}

static void sees_v4(void **state)
{
	uint8_t p[100] = { 0x46, 0xb9, 0, 90, 0, 0, 0, 0, 64, IP_PROTO_UDP, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2 };
	struct ip_view v;
	uint8_t *copy;

	(void)state;
	assert_true(view(&v, p, sizeof(p), &copy));
	assert_int_equal(v.family, IP_V4);
	assert_int_equal(v.proto, IP_PROTO_UDP);
	assert_int_equal(v.tos, 0xb9);
	assert_int_equal(v.len, 90);		/* ten bytes of padding are no part of it */
	assert_int_equal(v.header_len, 24);
	assert_ptr_equal(v.src, copy + 12);
	assert_ptr_equal(v.dst, copy + 16);
	free(copy);
	for (size_t len = 0; len <= sizeof(p); len++)
		assert_int_equal(is_seen(p, len), len >= 90);
}

static void sees_v6(void **state)
{
	uint8_t p[100] = { 0x6b, 0x9f, 0xff, 0xff, 0, 50, IP_PROTO_TCP, 64, 0x20, [23] = 1, [24] = 0xfd, [39] = 2 };
	struct ip_view v;
	uint8_t *copy;

	(void)state;
	assert_true(view(&v, p, sizeof(p), &copy));
	assert_int_equal(v.family, IP_V6);
	assert_int_equal(v.proto, IP_PROTO_TCP);
	assert_int_equal(v.tos, 0xb9);
	assert_int_equal(v.len, 90);
	assert_int_equal(v.header_len, 40);
	assert_ptr_equal(v.src, copy + 8);
	assert_ptr_equal(v.dst, copy + 24);
	free(copy);
	for (size_t len = 0; len <= sizeof(p); len++)
		assert_int_equal(is_seen(p, len), len >= 90);
}

static void refuses_lies(void **state)
{
	static const struct {
		uint8_t first;
		uint16_t claim;		/* IPv4 total length, IPv6 payload length */
		size_t len;
		bool good;
	} c[] = {
		/*  1 */ { 0x45, 20, 20, true },
		/*  2 */ { 0x45, 20, 19, false },
		/*  3 */ { 0x45, 21, 20, false },
		/*  4 */ { 0x45, 19, 64, false },	/* shorter than a header */
		/*  5 */ { 0x45, 0, 64, false },
		/*  6 */ { 0x45, 65535, 64, false },
		/*  7 */ { 0x44, 64, 64, false },	/* a header below the minimum */
		/*  8 */ { 0x40, 64, 64, false },
		/*  9 */ { 0x4f, 64, 64, true },
		/* 10 */ { 0x4f, 60, 64, true },
		/* 11 */ { 0x4f, 59, 64, false },	/* options beyond the packet */
		/* 12 */ { 0x46, 20, 64, false },
		/* 13 */ { 0x60, 0, 40, true },
		/* 14 */ { 0x60, 0, 39, false },
		/* 15 */ { 0x60, 1, 40, false },
		/* 16 */ { 0x60, 24, 64, true },
		/* 17 */ { 0x60, 25, 64, false },
		/* 18 */ { 0x60, 65535, 64, false },
		/* 19 */ { 0x6f, 24, 64, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t p[64] = { c[i].first };

		put_be16(p + (c[i].first >> 4 == 4 ? 2 : 4), c[i].claim);
		if (is_seen(p, c[i].len) != c[i].good)
			fail_msg("case %zu", i + 1);
	}
	for (unsigned int version = 0; version < 16; version++) {
		uint8_t p[64] = { (uint8_t)(version << 4 | 5), [3] = 60 };

		assert_int_equal(is_seen(p, sizeof(p)), version == 4 || version == 6);
	}
}

/* Random bytes: whatever is seen keeps its promises. */
static void views_stay_inside(void **state)
{
	unsigned int seed = 17;
	int seen = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint8_t p[96], *copy;
		size_t len = (size_t)rand_r(&seed) % (sizeof(p) + 1);
		struct ip_view v;

		for (size_t b = 0; b < len; b++)
			p[b] = (uint8_t)rand_r(&seed);
		if (len > 5 && rand_r(&seed) % 2) {
			p[0] = (uint8_t)((rand_r(&seed) % 2 ? 0x40 : 0x60) | (p[0] & 0xf));
			p[2] = p[4] = 0;
			p[3] %= 128;
			p[5] %= 128;
		}
		if (view(&v, p, len, &copy)) {
			assert_true(v.family == IP_V4 || v.family == IP_V6);
			assert_true(v.header_len <= v.len && v.len <= len);
			assert_true(v.src >= copy && v.dst + ip_family_bytes(v.family) <= copy + v.header_len);
			seen++;
		}
		free(copy);
	}
	assert_in_range(seen, 5000, 90000);
}

/* RFC 1071 section 1: 16-bit words, carries put back one by one. */
static uint16_t naive_checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		sum += (uint32_t)(p[i] << 8 | (i + 1 < len ? p[i + 1] : 0));
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (uint16_t)(0xffff - sum);
}

static void checksum_vectors(void **state)
{
	/* RFC 1071 section 3's bytes, and an IPv4 header from a real wire, whose own sum must come to nothing. */
	static const uint8_t rfc[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	static const uint8_t header[] = {
		0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
	};
	static const uint8_t zeros[8], ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };

	(void)state;
	assert_int_equal(ip_sum_fold(ip_sum(0, rfc, sizeof(rfc))), 0xffff - 0xddf2);
	assert_int_equal(ip_sum_fold(ip_sum(0, header, sizeof(header))), 0);
	assert_int_equal(ip_sum_fold(ip_sum(0, zeros, sizeof(zeros))), 0xffff);
	assert_int_equal(ip_sum_fold(ip_sum(0, ones, sizeof(ones))), 0);
	assert_int_equal(ip_sum_fold(0), 0xffff);
	assert_int_equal(ip_sum_fold(UINT64_MAX), 0);
}

/* Every length and alignment, in one piece and cut at an even place; in memory that ends where the bytes do. */
static void checksum_twin(void **state)
{
	enum { MAX = 4096, ALIGNMENTS = 32 };
	unsigned int seed = 19;
	uint8_t *bytes = malloc(MAX + ALIGNMENTS), *end = bytes + MAX + ALIGNMENTS;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < MAX + ALIGNMENTS; i++)
		bytes[i] = rand_r(&seed) % 4 ? (uint8_t)rand_r(&seed) : 0xff;
	for (size_t len = 0; len <= MAX; len++) {
		for (size_t skew = 0; skew < ALIGNMENTS; skew += len < 512 ? 1 : 5) {
			size_t cut = (size_t)rand_r(&seed) % (len / 2 + 1) * 2;
			const uint8_t *p = end - len - skew;
			uint16_t want = naive_checksum(p, len);

			assert_int_equal(ip_sum_fold(ip_sum(0, p, len)), want);
			assert_int_equal(ip_sum_fold(ip_sum(ip_sum(0, p, cut), p + cut, len - cut)), want);
		}
	}
	free(bytes);
}

/* A sum is 0 of zeros only: 0 and 0xffff are the same to RFC 1071, but not to UDP. */
static void checksum_of_nothing(void **state)
{
	uint8_t bytes[100] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(ip_sum(0, bytes, sizeof(bytes)), 0);
		bytes[i] = 0xff;
		bytes[i ^ 1] = 0xff;
		assert_int_equal(ip_sum_fold(ip_sum(0, bytes, sizeof(bytes))), 0);
		bytes[i] = bytes[i ^ 1] = 0;
	}
}

static void pseudo_header(void **state)
{
	uint8_t p4[20] = { 0x45, [9] = 99, [12] = 192, 0, 2, 1, 198, 51, 100, 7 };
	uint8_t p6[40] = { 0x60, [6] = 99, [8] = 0x20, 0x01, 0x0d, 0xb8, [23] = 5, 0xfd, [39] = 6 };

	(void)state;
	assert_int_equal(ip_sum_fold(ip_sum_pseudo(p4, 6)), naive_checksum((uint8_t[]){ 192, 0, 2, 1, 198, 51, 100, 7, 0, 6 }, 10));
	assert_int_equal(ip_sum_fold(ip_sum_pseudo(p6, 17)),
		naive_checksum((uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8, 0, 5, 0xfd, 0, 0, 6, 0, 17 }, 12));
}

static void checksum_of_the_largest(void **state)
{
	static uint8_t big[65535];

	(void)state;
	memset(big, 0xff, sizeof(big));
	big[12345] = 0x12;
	assert_int_equal(ip_sum_fold(ip_sum(0, big, sizeof(big))), naive_checksum(big, sizeof(big)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_v4),
		cmocka_unit_test(sees_v6),
		cmocka_unit_test(refuses_lies),
		cmocka_unit_test(views_stay_inside),
		cmocka_unit_test(checksum_vectors),
		cmocka_unit_test(checksum_twin),
		cmocka_unit_test(checksum_of_nothing),
		cmocka_unit_test(pseudo_header),
		cmocka_unit_test(checksum_of_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
