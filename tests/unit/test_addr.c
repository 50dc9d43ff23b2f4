/* SPDX-License-Identifier: MIT */
/* Addresses and their text: numbered cases, then against the C library on texts bent at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "base/addr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Fails unless both readers agree on 'text', in the answer and in the bytes. */
static bool same_as_library(const char *text)
{
	struct ip_addr a = { .family = 99, .bytes = { 1, 2, 3 } }, before = a;
	uint8_t v4[4], v6[16];
	bool is4 = inet_pton(AF_INET, text, v4) == 1, is6 = inet_pton(AF_INET6, text, v6) == 1;
	bool ok = ip_addr_parse(text, &a);

	if (ok != (is4 || is6))
		fail_msg("'%s': %s, the library says otherwise", text, ok ? "taken" : "refused");
	if (is4) {
		assert_int_equal(a.family, IP_V4);
		assert_memory_equal(a.bytes, v4, 4);
		for (int i = 4; i < 16; i++)
			assert_int_equal(a.bytes[i], 0);
	} else if (is6) {
		assert_int_equal(a.family, IP_V6);
		assert_memory_equal(a.bytes, v6, 16);
	} else {
		assert_memory_equal(&a, &before, sizeof(a));
	}
	return ok;
}

static void reads_addresses(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} c[] = {
		/*  1 */ { "0.0.0.0", true },
		/*  2 */ { "255.255.255.255", true },
		/*  3 */ { "256.1.1.1", false },
		/*  4 */ { "1.2.3", false },
		/*  5 */ { "1.2.3.4.5", false },
		/*  6 */ { "01.2.3.4", false },
		/*  7 */ { "00.2.3.4", false },
		/*  8 */ { "1.2.3.4 ", false },
		/*  9 */ { " 1.2.3.4", false },
		/* 10 */ { "1..3.4", false },
		/* 11 */ { "1.2.3.", false },
		/* 12 */ { ".1.2.3", false },
		/* 13 */ { "1.2.3.-4", false },
		/* 14 */ { "1.2.3.4/32", false },
		/* 15 */ { "0x1.2.3.4", false },
		/* 16 */ { "", false },
		/* 17 */ { "::", true },
		/* 18 */ { "::1", true },
		/* 19 */ { "1::", true },
		/* 20 */ { ":", false },
		/* 21 */ { ":::", false },
		/* 22 */ { ":1", false },
		/* 23 */ { "1:", false },
		/* 24 */ { "1::2::3", false },
		/* 25 */ { "1:2:3:4:5:6:7:8", true },
		/* 26 */ { "1:2:3:4:5:6:7", false },
		/* 27 */ { "1:2:3:4:5:6:7:8:9", false },
		/* 28 */ { "1:2:3:4:5:6:7::", true },
		/* 29 */ { "::2:3:4:5:6:7:8", true },
		/* 30 */ { "1:2:3:4:5:6:7:8::", false },	/* "::" for nothing */
		/* 31 */ { "::1:2:3:4:5:6:7:8", false },
		/* 32 */ { "1:2:3:4::5:6:7:8", false },
		/* 33 */ { "fe80::ABCD:ef01", true },
		/* 34 */ { "12345::", false },
		/* 35 */ { "00001::", false },
		/* 36 */ { "0001::", true },
		/* 37 */ { "g::", false },
		/* 38 */ { "::ffff:1.2.3.4", true },
		/* 39 */ { "1:2:3:4:5:6:1.2.3.4", true },
		/* 40 */ { "1:2:3:4:5:6:7:1.2.3.4", false },
		/* 41 */ { "1:2:3:4:5:1.2.3.4", false },
		/* 42 */ { "::1.2.3", false },
		/* 43 */ { "::1.2.3.4:5", false },
		/* 44 */ { "1.2.3.4::", false },
		/* 45 */ { "::01.2.3.4", false },
		/* 46 */ { "fe80::1%1", false },
		/* 47 */ { "[::1]", false },
		/* 48 */ { "1:2:3:4:5:6::1.2.3.4", false },
		/* 49 */ { "1:2:3:4:5::1.2.3.4", true },
		/* 50 */ { "::256", true },
		/* 51 */ { "::256.1.1.1", false },
		/* 52 */ { "1111:2222:3333:4444:5555:6666:255.255.255.255", true },
		/* 53 */ { "1:2:3:4:5:6:7:\xff", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++)
		if (same_as_library(c[i].text) != c[i].good)
			fail_msg("case %zu: %s", i + 1, c[i].text);
}

/* RFC 5952, section by section. */
static void writes_addresses(void **state)
{
	static const struct {
		const char *text, *canonical;
	} c[] = {
		/*  1 */ { "2001:0db8::0001", "2001:db8::1" },			/* 4.1 */
		/*  2 */ { "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },		/* 4.2.1 */
		/*  3 */ { "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },	/* 4.2.2 */
		/*  4 */ { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },		/* 4.2.3 */
		/*  5 */ { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },	/* 4.2.3, a tie */
		/*  6 */ { "2001:DB8::ABCD", "2001:db8::abcd" },		/* 4.3 */
		/*  7 */ { "::ffff:c000:201", "::ffff:192.0.2.1" },		/* 5 */
		/*  8 */ { "::", "::" },
		/*  9 */ { "::1", "::1" },
		/* 10 */ { "1::", "1::" },
		/* 11 */ { "0:0:1::", "0:0:1::" },
		/* 12 */ { "::1.2.3.4", "::102:304" },	/* deprecated form: not told from any other */
		/* 13 */ { "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
		/* 14 */ { "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		/* 15 */ { "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0" },
		/* 16 */ { "0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
		/* 17 */ { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		/* 18 */ { "10.0.200.255", "10.0.200.255" },
		/* 19 */ { "0.0.0.0", "0.0.0.0" },
		/* 20 */ { "fe80::10:100:1000", "fe80::10:100:1000" },
		/* 21 */ { "::fffe:1.2.3.4", "::fffe:102:304" },
	};
	struct ip_addr none = { 0 }, a;
	char out[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		assert_true(ip_addr_parse(c[i].text, &a));
		if (strcmp(ip_addr_format(&a, out), c[i].canonical))
			fail_msg("case %zu: %s, not %s", i + 1, out, c[i].canonical);
	}
	assert_string_equal(ip_addr_format(&none, out), "(none)");
}

/* Change, drop, insert or double characters of 'text', in place. */
static void bend(char *text, size_t size, unsigned int *seed)
{
	static const char often[] = "::::....0011234f9aFg%/ 25";
	int times = rand_r(seed) % 4;

	while (times--) {
		size_t len = strlen(text), at = (size_t)rand_r(seed) % (len + 1);
		char fresh = often[(size_t)rand_r(seed) % (sizeof(often) - 1)];

		if (rand_r(seed) % 3 == 0 && at < len) {
			memmove(text + at, text + at + 1, len - at);
		} else if (rand_r(seed) % 2 && at < len) {
			text[at] = fresh;
		} else if (len + 2 < size) {
			memmove(text + at + 1, text + at, len - at + 1);
			text[at] = fresh;
		}
	}
}

/* A random address, with many zero groups, now and then mapped. */
static struct ip_addr random_addr(unsigned int *seed)
{
	struct ip_addr a = { .family = rand_r(seed) % 4 ? IP_V6 : IP_V4 };
	int zeros = rand_r(seed) % 4;

	for (unsigned int i = 0; i < ip_family_bytes(a.family); i += 2) {
		if (rand_r(seed) % 4 < zeros)
			continue;
		a.bytes[i] = rand_r(seed) % 3 ? (uint8_t)rand_r(seed) : 0;
		a.bytes[i + 1] = rand_r(seed) % 3 ? (uint8_t)rand_r(seed) : 0;
	}
	if (a.family == IP_V6 && rand_r(seed) % 16 == 0) {
		memset(a.bytes, 0, 10);
		memset(a.bytes + 10, 0xff, 2);
	}
	return a;
}

/* Whether the library writes this address by the same rules: glibc alone, and not for ::/96. */
static bool library_writes_alike(const struct ip_addr *a)
{
#ifdef __GLIBC__
	static const uint8_t zeros[12];

	return a->family == IP_V4 || memcmp(a->bytes, zeros, 12) != 0;
#else
	return a->family == IP_V4;
#endif
}

static void twin_of_library(void **state)
{
	enum { STEPS = 200000 };
	unsigned int seed = 11;
	int good = 0, compared = 0;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		struct ip_addr a = random_addr(&seed), back;
		int af = a.family == IP_V4 ? AF_INET : AF_INET6;
		char ours[ADDR_TEXT_MAX], theirs[INET6_ADDRSTRLEN], text[80];

		ip_addr_format(&a, ours);
		assert_non_null(inet_ntop(af, a.bytes, theirs, sizeof(theirs)));
		if (library_writes_alike(&a)) {
			assert_string_equal(ours, theirs);
			compared++;
		}
		assert_true(ip_addr_parse(ours, &back));
		assert_true(ip_addr_equal(&a, &back));

		strcpy(text, rand_r(&seed) % 2 ? ours : theirs);
		bend(text, sizeof(text), &seed);
		good += same_as_library(text);
	}
	/* Both answers must have been exercised. */
	assert_in_range(good, STEPS / 5, STEPS - STEPS / 5);
	assert_in_range(compared, STEPS / 5, STEPS);
}

static void prefixes(void **state)
{
	static const struct {
		const char *text, *back;	/* NULL: refused */
	} c[] = {
		/*  1 */ { "10.0.0.1/8", "10.0.0.1/8" },	/* host bits are kept */
		/*  2 */ { "10.0.0.1", "10.0.0.1/32" },
		/*  3 */ { "0.0.0.0/0", "0.0.0.0/0" },
		/*  4 */ { "::/0", "::/0" },
		/*  5 */ { "fd00::1", "fd00::1/128" },
		/*  6 */ { "fd00::1/128", "fd00::1/128" },
		/*  7 */ { "10.0.0.1/33", NULL },
		/*  8 */ { "fd00::/129", NULL },
		/*  9 */ { "fd00::/", NULL },
		/* 10 */ { "fd00::/-1", NULL },
		/* 11 */ { "fd00::/ 8", NULL },
		/* 12 */ { "fd00::/8/8", NULL },
		/* 13 */ { "/8", NULL },
		/* 14 */ { "10.0.0/8", NULL },
		/* 15 */ { "10.0.0.0/8x", NULL },
		/* 16 */ { "10.0.0.0/255.0.0.0", NULL },
		/* 17 */ { "10.0.0.0/4294967304", NULL },	/* 2^32 + 8 */
		/* 18 */ { "", NULL },
		/* 19 */ { "1111:2222:3333:4444:5555:6666:255.255.255.255/128",
			   "1111:2222:3333:4444:5555:6666:ffff:ffff/128" },
		/* 20 */ { "00000000000000000000000000000000000000000000000000000000000000000000::/8", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct ip_prefix p, before;
		char out[PREFIX_TEXT_MAX];

		memset(&p, 0x5a, sizeof(p));
		before = p;
		if (ip_prefix_parse(c[i].text, &p) != !!c[i].back)
			fail_msg("case %zu: %s", i + 1, c[i].text);
		if (c[i].back)
			assert_string_equal(ip_prefix_format(&p, out), c[i].back);
		else
			assert_memory_equal(&p, &before, sizeof(p));
	}
}

static void endpoints(void **state)
{
	static const struct {
		const char *text, *back;	/* NULL: refused */
	} c[] = {
		/*  1 */ { "192.0.2.1:51820", "192.0.2.1:51820" },
		/*  2 */ { "[2001:db8::1]:51820", "[2001:db8::1]:51820" },
		/*  3 */ { "[192.0.2.1]:1", "192.0.2.1:1" },
		/*  4 */ { "[fe80::1%3]:65535", "[fe80::1%3]:65535" },
		/*  5 */ { "[fe80::1]:51820", "[fe80::1]:51820" },
		/*  6 */ { "[fe80::1%4294967295]:1", "[fe80::1%4294967295]:1" },
		/*  7 */ { "[fe80::1%4294967296]:1", NULL },
		/*  8 */ { "[fe80::1%0]:1", NULL },
		/*  9 */ { "[fe80::1%]:1", NULL },
		/* 10 */ { "[fe80::1%eth0]:1", NULL },
		/* 11 */ { "[2001:db8::1%3]:1", NULL },		/* only link-local has a scope */
		/* 12 */ { "[192.0.2.1%3]:1", NULL },
		/* 13 */ { "2001:db8::1:51820", NULL },		/* which colon? */
		/* 14 */ { "192.0.2.1", NULL },
		/* 15 */ { "192.0.2.1:", NULL },
		/* 16 */ { "192.0.2.1:0", NULL },
		/* 17 */ { "192.0.2.1:65536", NULL },
		/* 18 */ { "192.0.2.1:+1", NULL },
		/* 19 */ { "192.0.2.1:1 ", NULL },
		/* 20 */ { "[::1]51820", NULL },
		/* 21 */ { "[::1]", NULL },
		/* 22 */ { "[::1:51820", NULL },
		/* 23 */ { "[]:1", NULL },
		/* 24 */ { ":1", NULL },
		/* 25 */ { "", NULL },
		/* 26 */ { "[", NULL },
		/* 27 */ { "host.example:51820", NULL },
		/* 28 */ { "192.0.2.1:000001", NULL },
		/* 29 */ { "[fe80::1%3%4]:1", NULL },
		/* 30 */ { "[febf:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535",
			   "[febf:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535" },
	};
	struct endpoint none = { 0 };
	char out[ENDPOINT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct endpoint e, before;

		memset(&e, 0x5a, sizeof(e));
		memset(&before, 0x5a, sizeof(before));
		if (endpoint_parse(c[i].text, &e) != !!c[i].back)
			fail_msg("case %zu: %s", i + 1, c[i].text);
		if (c[i].back)
			assert_string_equal(endpoint_format(&e, out), c[i].back);
		else
			assert_memory_equal(&e, &before, sizeof(e));
	}
	assert_string_equal(endpoint_format(&none, out), "(none)");
}

/* Covering, bit by bit: the naive way compares bits one at a time. */
static void covers_and_masks(void **state)
{
	unsigned int seed = 3;
	int yes = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		struct ip_prefix p = { .addr = random_addr(&seed) }, masked;
		struct ip_addr a = p.addr;
		unsigned int bits = ip_family_bits(a.family), flip = (unsigned int)rand_r(&seed) % bits;
		bool same = true;

		p.len = (uint8_t)((unsigned int)rand_r(&seed) % (bits + 1));
		a.bytes[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		for (unsigned int b = 0; b < p.len; b++)
			same &= (p.addr.bytes[b / 8] >> (7 - b % 8) & 1) == (a.bytes[b / 8] >> (7 - b % 8) & 1);
		assert_int_equal(ip_prefix_covers(&p, &a), same);
		assert_true(ip_prefix_covers(&p, &p.addr));
		yes += same;

		masked = p;
		ip_prefix_mask(&masked);
		for (unsigned int b = 0; b < 128; b++)
			assert_int_equal(masked.addr.bytes[b / 8] >> (7 - b % 8) & 1,
					 b < p.len ? p.addr.bytes[b / 8] >> (7 - b % 8) & 1 : 0);
		a.family = a.family == IP_V4 ? IP_V6 : IP_V4;
		assert_false(ip_prefix_covers(&p, &a));
	}
	assert_in_range(yes, 10000, 40000);
}

/* Containing is covering for prefixes: of every shorter one, of itself, never of a wider one or across families. */
static void contains(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool in;
	} c[] = {
		/*  1 */ { "10.0.0.0/8", "10.0.0.0/8", true },
		/*  2 */ { "10.0.0.0/8", "10.255.0.0/16", true },
		/*  3 */ { "10.0.0.0/8", "10.0.0.0/7", false },
		/*  4 */ { "10.0.0.0/8", "11.0.0.0/16", false },
		/*  5 */ { "0.0.0.0/0", "255.255.255.255/32", true },
		/*  6 */ { "0.0.0.0/0", "0.0.0.0/0", true },
		/*  7 */ { "0.0.0.0/0", "::/0", false },
		/*  8 */ { "::/0", "0.0.0.0/0", false },
		/*  9 */ { "fd00::/8", "fdff:ffff::/128", true },
		/* 10 */ { "fd00::/128", "fd00::/127", false },
		/* 11 */ { "fd00::/127", "fd00::1/128", true },
		/* 12 */ { "fd00::/127", "fd00::2/128", false },
	};
	struct ip_prefix none = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct ip_prefix outer, inner;

		assert_true(ip_prefix_parse(c[i].outer, &outer) && ip_prefix_parse(c[i].inner, &inner));
		if (ip_prefix_contains(&outer, &inner) != c[i].in)
			fail_msg("case %zu", i + 1);
		assert_int_equal(ip_prefix_equal(&outer, &inner), c[i].in && ip_prefix_contains(&inner, &outer));
	}
	assert_false(ip_prefix_contains(&none, &none));
}

static void pairs(void **state)
{
	struct ip_prefix dst, src, none;
	struct prefix_pair any, from, other;
	char out[PAIR_TEXT_MAX];

	(void)state;
	assert_true(ip_prefix_parse("2001:db8::/32", &dst));
	assert_true(ip_prefix_parse("fd00::/8", &src));
	assert_true(ip_prefix_parse("::/0", &none));
	any = prefix_pair_any(&dst);
	assert_true(ip_prefix_equal(&any.dst, &dst));
	assert_true(ip_prefix_equal(&any.src, &none));
	from = (struct prefix_pair){ .dst = dst, .src = src };
	assert_true(prefix_pair_equal(&any, &any) && prefix_pair_equal(&from, &from));
	assert_false(prefix_pair_equal(&any, &from));
	other = from;
	other.dst.len++;
	assert_false(prefix_pair_equal(&from, &other));
	other = from;
	other.src.addr.bytes[15]++;
	assert_false(prefix_pair_equal(&from, &other));
	assert_string_equal(prefix_pair_format(&any, out), "2001:db8::/32");
	assert_string_equal(prefix_pair_format(&from, out), "2001:db8::/32 from fd00::/8");
	assert_true(ip_prefix_parse("0.0.0.0/0", &dst));
	any = prefix_pair_any(&dst);
	assert_int_equal(any.src.addr.family, IP_V4);
	assert_string_equal(prefix_pair_format(&any, out), "0.0.0.0/0");
	/* The longest there is fits. */
	assert_true(ip_prefix_parse("1111:2222:3333:4444:5555:6666:7777:8888/128", &dst));
	from = (struct prefix_pair){ .dst = dst, .src = dst };
	assert_string_equal(prefix_pair_format(&from, out),
			    "1111:2222:3333:4444:5555:6666:7777:8888/128 from 1111:2222:3333:4444:5555:6666:7777:8888/128");
}

static void kinds(void **state)
{
	static const struct {
		const char *text;
		bool multicast, link_local;
	} c[] = {
		/*  1 */ { "223.255.255.255", false, false },
		/*  2 */ { "224.0.0.0", true, false },
		/*  3 */ { "239.255.255.255", true, false },
		/*  4 */ { "240.0.0.1", false, false },
		/*  5 */ { "255.255.255.255", true, false },
		/*  6 */ { "255.255.255.254", false, false },
		/*  7 */ { "169.254.1.1", false, false },
		/*  8 */ { "ff02::1", true, false },
		/*  9 */ { "feff::1", false, false },
		/* 10 */ { "fe80::1", false, true },
		/* 11 */ { "febf:ffff::1", false, true },
		/* 12 */ { "fec0::1", false, false },
		/* 13 */ { "fe7f::1", false, false },
		/* 14 */ { "2001:db8::1", false, false },
	};
	struct ip_addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		assert_true(ip_addr_parse(c[i].text, &a));
		if (ip_addr_is_multicast(&a) != c[i].multicast || ip_addr_is_link_local(&a) != c[i].link_local)
			fail_msg("case %zu: %s", i + 1, c[i].text);
	}
	assert_int_equal(ip_family_bits(IP_V4), 32);
	assert_int_equal(ip_family_bits(IP_V6), 128);
	assert_int_equal(ip_family_bits(IP_NONE), 0);
	assert_int_equal(ip_family_bytes(IP_V4), 4);
	assert_int_equal(ip_family_bytes(IP_V6), 16);
	assert_int_equal(ip_family_bytes(5), 0);
}

/* Every field counts, one at a time. */
static void equality(void **state)
{
	struct path_addr a = { .ifindex = 2 }, b;

	(void)state;
	assert_true(endpoint_parse("[fe80::1%3]:51820", &a.remote));
	assert_true(ip_addr_parse("fe80::2", &a.local));
	b = a;
	assert_true(path_addr_equal(&a, &b));
	b.ifindex++;
	assert_false(path_addr_equal(&a, &b));
	b = a;
	b.local.bytes[15]++;
	assert_false(path_addr_equal(&a, &b));
	b = a;
	b.remote.scope++;
	assert_false(path_addr_equal(&a, &b));
	b = a;
	b.remote.port++;
	assert_false(endpoint_equal(&a.remote, &b.remote));
	b = a;
	b.remote.addr.bytes[0]++;
	assert_false(endpoint_equal(&a.remote, &b.remote));
	b = a;
	b.remote.addr.family = IP_V4;
	assert_false(ip_addr_equal(&a.remote.addr, &b.remote.addr));
	assert_false(path_addr_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(writes_addresses),
		cmocka_unit_test(twin_of_library),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(covers_and_masks),
		cmocka_unit_test(contains),
		cmocka_unit_test(pairs),
		cmocka_unit_test(kinds),
		cmocka_unit_test(equality),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
