/* SPDX-License-Identifier: MIT */
/* ICMP errors: field by field, checksums by code of its own, and everything that must stay silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "wire/icmp.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { PACKET_MAX = 2000 };

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] * 256 + p[1];
}

/* One's complement sum of 16-bit words, carries put back one by one; 0xffff is what a right checksum gives. */
static unsigned int ones_sum(unsigned int sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (unsigned int)p[i] * 256;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static void put_addr(uint8_t *p, const char *text)
{
	struct ip_addr a;

	if (!ip_addr_parse(text, &a))
		fail_msg("bad address in a test: %s", text);
	memcpy(p, a.bytes, ip_family_bytes(a.family));
}

/* An IPv4 packet of 'len' bytes in all, with a payload that counts. */
static void make4(uint8_t *p, const char *src, const char *dst, uint8_t proto, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)i;
	memset(p, 0, 20);
	p[0] = 0x45;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	p[8] = 63;
	p[9] = proto;
	put_addr(p + 12, src);
	put_addr(p + 16, dst);
}

static void make6(uint8_t *p, const char *src, const char *dst, uint8_t proto, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)i;
	memset(p, 0, 40);
	p[0] = 0x60;
	p[4] = (uint8_t)((len - 40) >> 8);
	p[5] = (uint8_t)(len - 40);
	p[6] = proto;
	p[7] = 63;
	put_addr(p + 8, src);
	put_addr(p + 24, dst);
}

/* Write an error about a copy in memory of exactly 'len' bytes, so that a stray read shows. */
static size_t answer(uint8_t out[ICMP_ERROR_MAX], enum icmp_error what, uint32_t mtu, const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	size_t n;

	assert_non_null(copy);
	memcpy(copy, p, len);
	memset(out, 0xee, ICMP_ERROR_MAX);
	n = icmp_error_write(out, what, mtu, copy, len);
	free(copy);
	return n;
}

static bool answered(const uint8_t *p, size_t len)
{
	uint8_t out[ICMP_ERROR_MAX];

	return answer(out, ICMP_NO_ROUTE, 0, p, len) != 0;
}

static void check4(enum icmp_error what, uint32_t mtu, unsigned int code, unsigned int mtu_field, size_t len)
{
	uint8_t p[PACKET_MAX], out[ICMP_ERROR_MAX];
	size_t quote = len < 576 - 28 ? len : 576 - 28, n;

	make4(p, "10.1.2.3", "192.0.2.9", 17, len);
	n = answer(out, what, mtu, p, len);
	assert_int_equal(n, 28 + quote);
	assert_int_equal(out[0], 0x45);
	assert_int_equal(be16(out + 2), n);
	assert_int_equal(be16(out + 6) & 0x3fff, 0);	/* no fragment */
	assert_true(out[8] >= 32);
	assert_int_equal(out[9], 1);
	assert_int_equal(ones_sum(0, out, 20), 0xffff);
	assert_memory_equal(out + 12, p + 16, 4);	/* from where the packet went... */
	assert_memory_equal(out + 16, p + 12, 4);	/* ...to where it came from */
	assert_int_equal(out[20], 3);
	assert_int_equal(out[21], code);
	assert_int_equal(be16(out + 24), 0);
	assert_int_equal(be16(out + 26), mtu_field);
	assert_memory_equal(out + 28, p, quote);
	assert_int_equal(ones_sum(0, out + 20, n - 20), 0xffff);
	if (n < ICMP_ERROR_MAX)
		assert_int_equal(out[n], 0xee);
}

static void fields_v4(void **state)
{
	static const size_t lens[] = { 20, 21, 28, 101, 547, 548, 549, 1500 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		check4(ICMP_NO_ROUTE, 0, 1, 0, lens[i]);
		check4(ICMP_NO_ROUTE, 1400, 1, 0, lens[i]);	/* no MTU where none belongs */
		check4(ICMP_NO_ENDPOINT, 0, 1, 0, lens[i]);
		check4(ICMP_TOO_BIG, 1280, 4, 1280, lens[i]);
		check4(ICMP_TOO_BIG, 70000, 4, 65535, lens[i]);
	}
}

static void check6(enum icmp_error what, uint32_t mtu, unsigned int type, unsigned int code, size_t len)
{
	uint8_t p[PACKET_MAX], out[ICMP_ERROR_MAX];
	size_t quote = len < 1280 - 48 ? len : 1280 - 48, n;
	unsigned int sum;

	make6(p, "2001:db8::1", "fd00::9", 17, len);
	n = answer(out, what, mtu, p, len);
	assert_int_equal(n, 48 + quote);
	assert_int_equal(out[0] >> 4, 6);
	assert_int_equal(be16(out + 4), n - 40);
	assert_int_equal(out[6], 58);
	assert_true(out[7] >= 32);
	assert_memory_equal(out + 8, p + 24, 16);
	assert_memory_equal(out + 24, p + 8, 16);
	assert_int_equal(out[40], type);
	assert_int_equal(out[41], code);
	assert_int_equal(be16(out + 44) * 65536 + be16(out + 46), type == 2 ? mtu : 0);
	assert_memory_equal(out + 48, p, quote);
	sum = ones_sum((unsigned int)(n - 40) + 58, out + 8, 32);
	assert_int_equal(ones_sum(sum, out + 40, n - 40), 0xffff);
	if (n < ICMP_ERROR_MAX)
		assert_int_equal(out[n], 0xee);
}

static void fields_v6(void **state)
{
	static const size_t lens[] = { 40, 41, 48, 101, 1231, 1232, 1233, 1500 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		check6(ICMP_NO_ROUTE, 0, 1, 0, lens[i]);
		check6(ICMP_NO_ROUTE, 1400, 1, 0, lens[i]);
		check6(ICMP_NO_ENDPOINT, 0, 1, 3, lens[i]);
		check6(ICMP_TOO_BIG, 1280, 2, 0, lens[i]);
		check6(ICMP_TOO_BIG, 0x12345678, 2, 0, lens[i]);
	}
}

/* Padding behind the packet is not quoted; what is no packet gets no answer. */
static void padding_and_junk(void **state)
{
	uint8_t p[PACKET_MAX], out[ICMP_ERROR_MAX];

	(void)state;
	make4(p, "10.1.2.3", "192.0.2.9", 17, 50);
	assert_int_equal(answer(out, ICMP_NO_ROUTE, 0, p, 64), 28 + 50);
	for (size_t len = 0; len < 50; len++)
		assert_false(answered(p, len));
	make6(p, "2001:db8::1", "fd00::9", 17, 50);
	assert_int_equal(answer(out, ICMP_NO_ROUTE, 0, p, 64), 48 + 50);
	for (size_t len = 0; len < 50; len++)
		assert_false(answered(p, len));
	memset(p, 0, 64);
	assert_false(answered(p, 64));
}

static void addresses(void **state)
{
	static const struct {
		const char *src, *dst;
		bool good;
	} c[] = {
		/*  1 */ { "10.0.0.1", "192.0.2.1", true },
		/*  2 */ { "0.0.0.0", "192.0.2.1", false },
		/*  3 */ { "0.1.2.3", "192.0.2.1", false },
		/*  4 */ { "127.0.0.1", "192.0.2.1", false },
		/*  5 */ { "224.0.0.1", "192.0.2.1", false },
		/*  6 */ { "240.0.0.1", "192.0.2.1", false },
		/*  7 */ { "255.255.255.255", "192.0.2.1", false },
		/*  8 */ { "10.0.0.1", "224.0.0.251", false },
		/*  9 */ { "10.0.0.1", "239.255.255.250", false },
		/* 10 */ { "10.0.0.1", "255.255.255.255", false },
		/* 11 */ { "10.0.0.1", "0.0.0.0", false },
		/* 12 */ { "10.0.0.1", "127.0.0.1", false },
		/* 13 */ { "223.255.255.255", "126.255.255.255", true },
		/* 14 */ { "128.0.0.1", "1.0.0.0", true },
		/* 15 */ { "fd00::1", "2001:db8::1", true },
		/* 16 */ { "fe80::1", "2001:db8::1", true },
		/* 17 */ { "::", "2001:db8::1", false },
		/* 18 */ { "::1", "2001:db8::1", false },
		/* 19 */ { "::2", "2001:db8::1", true },
		/* 20 */ { "ff02::1", "2001:db8::1", false },
		/* 21 */ { "fd00::1", "ff02::1", false },
		/* 22 */ { "fd00::1", "ff0e::1", false },
		/* 23 */ { "fd00::1", "::", false },
		/* 24 */ { "fd00::1", "::1", false },
	};
	uint8_t p[PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		if (strchr(c[i].src, ':'))
			make6(p, c[i].src, c[i].dst, 17, 60);
		else
			make4(p, c[i].src, c[i].dst, 17, 60);
		if (answered(p, 60) != c[i].good)
			fail_msg("case %zu: %s to %s", i + 1, c[i].src, c[i].dst);
	}
}

static void fragments_v4(void **state)
{
	static const struct {
		uint8_t hi, lo;
		bool good;
	} c[] = {
		/* 1 */ { 0x00, 0x00, true },
		/* 2 */ { 0x40, 0x00, true },	/* don't fragment */
		/* 3 */ { 0x20, 0x00, true },	/* the first of several */
		/* 4 */ { 0x20, 0x01, false },
		/* 5 */ { 0x00, 0x01, false },
		/* 6 */ { 0x1f, 0xff, false },
		/* 7 */ { 0x10, 0x00, false },
	};
	uint8_t p[PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		make4(p, "10.0.0.1", "192.0.2.1", 17, 60);
		p[6] = c[i].hi;
		p[7] = c[i].lo;
		if (answered(p, 60) != c[i].good)
			fail_msg("case %zu", i + 1);
	}
}

/* Every ICMP type: echo and the other questions and answers may be told of, errors and the unknown may not. */
static void icmp_about_icmp_v4(void **state)
{
	static const uint8_t fine[] = { 0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43 };
	uint8_t p[PACKET_MAX];

	(void)state;
	for (unsigned int options = 0; options <= 40; options += 20) {
		for (unsigned int type = 0; type < 256; type++) {
			bool good = memchr(fine, (int)type, sizeof(fine)) != NULL;

			make4(p, "10.0.0.1", "192.0.2.1", 1, 100);
			p[0] = (uint8_t)(0x45 + options / 4);
			p[20 + options] = (uint8_t)type;
			if (answered(p, 100) != good)
				fail_msg("type %u behind %u bytes of options", type, options);
		}
	}
	make4(p, "10.0.0.1", "192.0.2.1", 1, 20);	/* no room for a type */
	assert_false(answered(p, 20));
}

static void icmp_about_icmp_v6(void **state)
{
	uint8_t p[PACKET_MAX];

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		make6(p, "fd00::1", "2001:db8::1", 58, 60);
		p[40] = (uint8_t)type;
		assert_int_equal(answered(p, 60), type >= 128 && type != 137);
	}
	make6(p, "fd00::1", "2001:db8::1", 58, 40);
	assert_false(answered(p, 40));
}

/* One extension header of a chain: its type, bytes, and what it says about its length and fragment offset. */
struct ext {
	uint8_t type;
	size_t len;
	uint8_t len_field;
	uint16_t offset;
};

/* Put 'count' headers in front of 'last' and eight bytes starting with 'type'; return the packet's length. */
static size_t make_chain(uint8_t *p, const struct ext *e, size_t count, uint8_t last, uint8_t type)
{
	size_t at = 40;

	make6(p, "fd00::1", "2001:db8::1", count ? e[0].type : last, 1000);
	for (size_t i = 0; i < count; i++) {
		memset(p + at, 0, e[i].len);
		p[at] = i + 1 < count ? e[i + 1].type : last;
		p[at + 1] = e[i].len_field;
		if (e[i].type == 44) {
			p[at + 2] = (uint8_t)(e[i].offset >> 8);
			p[at + 3] = (uint8_t)e[i].offset;
		}
		at += e[i].len;
	}
	memset(p + at, 0, 8);
	p[at] = type;
	at += 8;
	p[4] = (uint8_t)((at - 40) >> 8);
	p[5] = (uint8_t)(at - 40);
	return at;
}

static void extension_headers(void **state)
{
	static const struct {
		struct ext e[10];
		size_t count;
		uint8_t last, type;
		bool good;
	} c[] = {
		/*  1 */ { { { 0, 8, 0, 0 } }, 1, 58, 128, true },
		/*  2 */ { { { 0, 8, 0, 0 } }, 1, 58, 1, false },
		/*  3 */ { { { 60, 24, 2, 0 } }, 1, 58, 3, false },
		/*  4 */ { { { 60, 24, 2, 0 } }, 1, 58, 129, true },
		/*  5 */ { { { 43, 16, 1, 0 }, { 60, 8, 0, 0 } }, 2, 58, 2, false },
		/*  6 */ { { { 51, 24, 4, 0 } }, 1, 58, 2, false },	/* AH counts in words of four */
		/*  7 */ { { { 51, 24, 4, 0 } }, 1, 58, 128, true },
		/*  8 */ { { { 44, 8, 255, 0 } }, 1, 58, 1, false },	/* a fragment header has no length field */
		/*  9 */ { { { 44, 8, 255, 1 } }, 1, 58, 128, true },	/* the first fragment */
		/* 10 */ { { { 44, 8, 0, 8 } }, 1, 17, 0, false },	/* a later one */
		/* 11 */ { { { 44, 8, 0, 0xfff8 } }, 1, 58, 128, false },
		/* 12 */ { { { 0, 8, 0, 0 }, { 44, 8, 0, 9 } }, 2, 6, 0, false },
		/* 13 */ { { { 0, 8, 0, 0 }, { 43, 8, 0, 0 } }, 2, 6, 0, true },
		/* 14 */ { { { 0, 8, 0, 0 } }, 1, 59, 0, true },	/* no next header */
		/* 15 */ { { { 0, 8, 0, 0 } }, 1, 50, 0, true },	/* ESP */
		/* 16 */ { { { 0, 8, 0, 0 }, { 58, 8, 0, 0 } }, 2, 17, 0, false },	/* ICMP error of type 17 */
		/* 17 */ { { { 60, 8, 200, 0 } }, 1, 17, 0, false },	/* claims more than there is */
		/* 18 */ { { { 60, 8, 1, 0 } }, 1, 17, 0, true },	/* to the very end of the packet */
		/* 19 */ { { { 60, 8, 1, 0 } }, 1, 58, 128, false },	/* so that no ICMP type is left */
		/* 20 */ { { { 135, 8, 0, 0 }, { 139, 8, 0, 0 }, { 140, 8, 0, 0 } }, 3, 58, 4, false },
		/* 21 */ { { { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 },
			     { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 } }, 8, 17, 0, true },
		/* 22 */ { { { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 },
			     { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 } }, 8, 58, 1, false },
		/* 23 */ { { { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 },
			     { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 }, { 60, 8, 0, 0 } }, 9, 17, 0, false },
	};
	uint8_t p[PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		size_t len = make_chain(p, c[i].e, c[i].count, c[i].last, c[i].type);

		if (answered(p, len) != c[i].good)
			fail_msg("case %zu", i + 1);
	}
}

/* A chain that ends in the middle of a header: nobody knows what it would have been. */
static void cut_chains(void **state)
{
	static const uint8_t types[] = { 0, 43, 44, 51, 60, 135, 139, 140 };
	uint8_t p[PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		for (size_t n = 0; n < 8; n++) {
			make6(p, "fd00::1", "2001:db8::1", types[i], 40 + n);
			assert_false(answered(p, 40 + n));
		}
	}
}

/* An error never begets another, whatever the first was about. */
static void no_answer_to_an_answer(void **state)
{
	uint8_t p[PACKET_MAX], out[ICMP_ERROR_MAX];
	size_t n;

	(void)state;
	for (int what = ICMP_NO_ROUTE; what <= ICMP_TOO_BIG; what++) {
		make4(p, "10.0.0.1", "192.0.2.1", 17, 100);
		n = answer(out, (enum icmp_error)what, 1300, p, 100);
		assert_true(n > 0);
		assert_false(answered(out, n));
		make6(p, "fd00::1", "2001:db8::1", 17, 100);
		n = answer(out, (enum icmp_error)what, 1300, p, 100);
		assert_true(n > 0);
		assert_false(answered(out, n));
	}
}

/* Random packets: no crash, and what is answered is well-formed and within its limit. */
static void random_packets(void **state)
{
	static const uint8_t protos[] = { 0, 43, 44, 51, 60, 58, 17, 1 };
	unsigned int seed = 23;
	int answers = 0;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		uint8_t p[160], out[ICMP_ERROR_MAX];
		bool v4 = rand_r(&seed) % 3 == 0;
		size_t len = (v4 ? 20 : 40) + (size_t)rand_r(&seed) % 100, n;

		if (v4)
			make4(p, "10.0.0.1", "192.0.2.1", protos[(size_t)rand_r(&seed) % COUNT(protos)], len);
		else
			make6(p, "fd00::1", "fd00::2", protos[(size_t)rand_r(&seed) % COUNT(protos)], len);
		for (size_t b = v4 ? 20 : 40; b < len; b++) {
			p[b] = (uint8_t)rand_r(&seed);
			if (p[b] % 3)
				p[b] = protos[(size_t)rand_r(&seed) % COUNT(protos)];
		}
		for (int flips = rand_r(&seed) % 3; flips; flips--)
			p[(size_t)rand_r(&seed) % len] ^= (uint8_t)(1 << rand_r(&seed) % 8);
		n = answer(out, (enum icmp_error)(i % 3), 1300, p, len);
		if (n == 0)
			continue;
		answers++;
		assert_true(n <= (p[0] >> 4 == 4 ? 576 : 1280));
		assert_int_equal(out[0] >> 4, p[0] >> 4);
		assert_int_equal(p[0] >> 4 == 4 ? be16(out + 2) : 40 + be16(out + 4), n);
	}
	assert_in_range(answers, 10000, 55000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_v4),
		cmocka_unit_test(fields_v6),
		cmocka_unit_test(padding_and_junk),
		cmocka_unit_test(addresses),
		cmocka_unit_test(fragments_v4),
		cmocka_unit_test(icmp_about_icmp_v4),
		cmocka_unit_test(icmp_about_icmp_v6),
		cmocka_unit_test(extension_headers),
		cmocka_unit_test(cut_chains),
		cmocka_unit_test(no_answer_to_an_answer),
		cmocka_unit_test(random_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
