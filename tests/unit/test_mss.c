/* SPDX-License-Identifier: MIT */
/* The MSS option of TCP SYNs, made smaller: the value, the checksum, and everything that is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inner_packets.h"
#include "wire/mss.h"

enum { SYN = 0x02, ACK = 0x10, OPTIONS = 12 };

static size_t build(uint8_t *p, int version, uint8_t flags, const uint8_t *options, bool partial)
{
	struct inner say = { .version = version, .proto = 6, .ttl = 64, .src = 1, .dst = 2, .sport = 5, .dport = 6, .seq = 77,
			     .flags = flags, .window = 1000, .options = OPTIONS };
	size_t len = inner_build(p, &say, (const uint8_t *)"abc", 3, partial), ip = inner_ip_len(&say);
	uint32_t sum;

	memcpy(p + ip + 20, options, OPTIONS);
	sum = naive_pseudo(p, 6, len - ip);
	put16(p + ip + 16, 0);
	if (!partial)
		sum = 0xffff - naive_add(sum, p + ip, len - ip);
	put16(p + ip + 16, sum);
	return len;
}

/* The kernel's part of a partial checksum. */
static void complete(uint8_t *p, size_t len, size_t ip)
{
	put16(p + ip + 16, 0xffff - naive_add(0, p + ip, len - ip));
}

static void clamped(void **state)
{
	/* The option at even and at odd places; what is said before, and where. */
	static const struct { uint8_t options[OPTIONS]; size_t at; } c[] = {
		/* 1 */ { { 2, 4, 0x05, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0 }, 2 },
		/* 2 */ { { 1, 2, 4, 0x05, 0xb4, 4, 2, 0, 0, 0, 0, 0 }, 3 },
		/* 3 */ { { 3, 3, 7, 1, 1, 1, 1, 2, 4, 0xff, 0xff, 0 }, 9 },
		/* 4 */ { { 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0x23, 0x00 }, 10 },
	};
	static const uint16_t maxs[] = { 1, 88, 0x100, 1380, 1459 };

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		for (size_t m = 0; m < sizeof(maxs) / sizeof(maxs[0]); m++)
			for (int v = 4; v <= 6; v += 2)
				for (int partial = 0; partial < 2; partial++) {
					size_t ip = v == 4 ? 20 : 40, len;
					uint8_t p[200], was[200];

					print_message("case %zu\n", i + 1);
					len = build(p, v, m % 2 ? SYN : SYN | ACK, c[i].options, partial);
					memcpy(was, p, len);
					assert_true(mss_clamp(p, len, maxs[m], partial));
					assert_int_equal(get16(p + ip + 20 + c[i].at), maxs[m]);
					if (partial) {
						assert_memory_equal(p + ip + 16, was + ip + 16, 2);
						complete(p, len, ip);
					}
					assert_true(inner_is_valid(p, len, 6, ip));
					/* nothing else */
					memcpy(was + ip + 20 + c[i].at, p + ip + 20 + c[i].at, 2);
					memcpy(was + ip + 16, p + ip + 16, 2);
					assert_memory_equal(p, was, len);
					assert_true(!mss_clamp(p, len, maxs[m], partial));
				}
}

/* A checksum that was wrong must not become right. */
static void wrong_stays_wrong(void **state)
{
	static const uint8_t options[OPTIONS] = { 2, 4, 0x05, 0xb4 };
	uint8_t p[200];
	size_t len = build(p, 4, SYN, options, false);

	(void)state;
	p[20 + 16] ^= 1;
	assert_true(mss_clamp(p, len, 1000, false));
	assert_true(!inner_is_valid(p, len, 6, 20));
}

static void alone(uint8_t *p, size_t len, uint16_t max)
{
	uint8_t was[200];

	memcpy(was, p, sizeof(was));
	assert_true(!mss_clamp(p, len, max, false));
	assert_memory_equal(p, was, sizeof(was));
}

static void left_alone(void **state)
{
	static const uint8_t mss[OPTIONS] = { 2, 4, 0x05, 0xb4 };
	static const uint8_t nonsense[][OPTIONS] = {
		/* 1: none */ { 4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
		/* 2: too short */ { 2, 3, 0x05, 0xb4 },
		/* 3: too long */ { 2, 5, 0x05, 0xb4 },
		/* 4: cut off */ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0xff },
		/* 5: and its length */ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2 },
		/* 6: behind the end */ { 0, 2, 4, 0x05, 0xb4 },
		/* 7: behind one without a length */ { 9, 0, 2, 4, 0x05, 0xb4 },
		/* 8: behind one that is too long */ { 9, 40, 2, 4, 0x05, 0xb4 },
	};
	uint8_t p[200] = { 0 };
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		print_message("case %zu\n", i + 1);
		len = build(p, 4, SYN, nonsense[i], false);
		alone(p, len, 100);
	}
	len = build(p, 4, ACK, mss, false);
	alone(p, len, 100);		/* no SYN */
	len = build(p, 4, SYN, mss, false);
	alone(p, len, 1460);		/* is small enough */
	alone(p, len - 1, 100);		/* cut off */
	put16(p + 6, 0x2000);
	alone(p, len, 100);		/* fragments */
	put16(p + 6, 1);
	alone(p, len, 100);
	put16(p + 6, 0x4000);
	p[9] = 17;
	alone(p, len, 100);
	len = build(p, 4, SYN, mss, false);
	p[20 + 12] = 0xf0;		/* a header beyond the packet */
	alone(p, len, 100);
	p[20 + 12] = 0x40;		/* and one too short */
	alone(p, len, 100);
	len = build(p, 4, SYN, mss, false);
	put16(p + 2, 39);		/* not even a whole one */
	alone(p, len, 100);
	len = build(p, 6, SYN, mss, false);
	p[6] = 44;
	alone(p, len, 100);
	alone(p, 0, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clamped),
		cmocka_unit_test(wrong_stays_wrong),
		cmocka_unit_test(left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
