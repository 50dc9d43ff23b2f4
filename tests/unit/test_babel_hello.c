/* SPDX-License-Identifier: MIT */
/* Hello histories, step by step: bits, what is expected next, and the cost that follows (RFC 8966 appendix A). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "babel/hello.h"
#include "wire/babel.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { MISS = -1, END = -2 };

/* Steps from a new history: seqnos, or MISS. */
static void table(void **state)
{
	static const struct {
		int steps[24];
		uint16_t reach, expected;
		uint8_t seen;
		bool up;
		uint16_t etx;		/* of a nominal cost of 256 */
	} c[] = {
		/*  1 */ { { END }, 0x0000, 0, 0, false, 0xffff },
		/*  2 */ { { MISS, END }, 0x0000, 0, 0, false, 0xffff },		/* nobody has been there */
		/*  3 */ { { 100, END }, 0x8000, 101, 1, false, 256 },
		/*  4 */ { { 100, 101, END }, 0xc000, 102, 2, true, 256 },
		/*  5 */ { { 100, 101, MISS, END }, 0x6000, 103, 3, true, 384 },
		/*  6 */ { { 100, 101, MISS, MISS, END }, 0x3000, 104, 4, false, 512 },
		/*  7 */ { { 100, 102, END }, 0xa000, 103, 3, true, 384 },		/* one lost */
		/*  8 */ { { 100, 103, END }, 0x9000, 104, 4, false, 512 },
		/*  9 */ { { 100, MISS, 101, END }, 0xc000, 102, 2, true, 256 },	/* late, not lost */
		/* 10 */ { { 100, MISS, MISS, 101, END }, 0xc000, 102, 2, true, 256 },
		/* 11 */ { { 100, MISS, 102, END }, 0xa000, 103, 3, true, 384 },
		/* 12 */ { { 65534, 65535, 0, END }, 0xe000, 1, 3, true, 256 },	/* H1: the seqno wraps... */
		/* 13 */ { { 65534, 1, END }, 0x9000, 2, 4, false, 512 },		/* ...with some lost */
		/* 14 */ { { 65535, MISS, 0, END }, 0xc000, 1, 2, true, 256 },
		/* 15 */ { { 65535, MISS, MISS, END }, 0x2000, 2, 3, false, 768 },
		/* 16 */ { { 100, 117, END }, 0x8000, 118, 16, false, 1536 },		/* 16 on: all of it is lost */
		/* 17 */ { { 65530, 11, END }, 0x8000, 12, 16, false, 1536 },
		/* 18 */ { { 1, 2, 3, 4, 5, 6, END }, 0xfc00, 7, 6, true, 256 },
		/* 19 */ { { 1, 2, 3, 4, 5, 6, 7, MISS, END }, 0x7f00, 9, 8, true, 307 },
		/* 20 */ { { 1, MISS, MISS, MISS, MISS, MISS, END }, 0x0400, 7, 6, false, 1536 },
		/* 21 */ { { 1, MISS, MISS, MISS, MISS, MISS, MISS, END }, 0x0200, 8, 7, false, 0xffff },
		/* 22 */ { { 5, 5, END }, 0x8000, 6, 1, false, 256 },			/* the same again */
		/* 23 */ { { 1, 2, 3, 1, END }, 0x8000, 2, 1, false, 256 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct hello_history h = { 0 };

		for (const int *s = c[i].steps; *s != END; s++) {
			if (*s == MISS)
				hello_missed(&h);
			else if (hello_received(&h, (uint16_t)*s, US_PER_S) != HELLO_TAKEN)
				fail_msg("case %zu: rebooted", i + 1);
		}
		if (h.reach != c[i].reach || h.expected != c[i].expected || h.seen != c[i].seen)
			fail_msg("case %zu: reach %04x, expected %u, seen %u", i + 1, h.reach, h.expected, h.seen);
		if (hello_two_of_three(&h) != c[i].up || hello_etx(&h, 256) != c[i].etx)
			fail_msg("case %zu: %s, ETX %u", i + 1, hello_two_of_three(&h) ? "up" : "down", hello_etx(&h, 256));
	}
}

/* Up to 16 off either way is loss or a longer interval; from 17 on it is another life, and the history is left alone. */
static void reboots(void **state)
{
	static const uint16_t starts[] = { 1000, 65535, 65530, 0, 10, 32767 };

	(void)state;
	for (size_t i = 0; i < COUNT(starts); i++) {
		for (int off = -40; off <= 40; off++) {
			struct hello_history h = { 0 }, before;
			bool taken;

			hello_received(&h, starts[i], US_PER_S);
			memcpy(&before, &h, sizeof(before));
			taken = hello_received(&h, (uint16_t)(starts[i] + 1 + off), 2 * US_PER_S) == HELLO_TAKEN;
			if (taken != (off >= -16 && off <= 16))
				fail_msg("%u, %d off", starts[i], off);
			if (!taken)
				assert_memory_equal(&h, &before, sizeof(h));
			else
				assert_int_equal(h.expected, (uint16_t)(starts[i] + 2 + off));
		}
	}
	for (unsigned int seqno = 0; seqno < 65536; seqno += 4096) {
		struct hello_history h = { 0 };

		hello_received(&h, 7, US_PER_S);
		assert_int_equal(hello_received(&h, (uint16_t)(seqno + 1000), US_PER_S), HELLO_REBOOTED);
	}
}

/* Undone in the middle of a long history: only the newest go, and what was there before is back. */
static void undoes_in_place(void **state)
{
	struct hello_history h = { 0 };

	(void)state;
	for (uint16_t s = 1; s <= 16; s++)
		hello_received(&h, s, US_PER_S);
	assert_int_equal(h.reach, 0xffff);
	for (int i = 0; i < 3; i++)
		hello_missed(&h);
	assert_int_equal(h.reach, 0x1fff);
	hello_received(&h, 17, US_PER_S);
	assert_int_equal(h.reach, 0xfffc);		/* what had fallen off the end is gone */
	assert_int_equal(h.expected, 18);
}

static void timer(void **state)
{
	struct hello_history h = { 0 };

	(void)state;
	assert_int_equal(hello_wait_us(&h, true), 0);
	hello_received(&h, 1, 0);			/* unscheduled: no timer */
	assert_int_equal(hello_wait_us(&h, true), 0);
	hello_received(&h, 2, 4 * US_PER_S);
	assert_int_equal(hello_wait_us(&h, true), 6 * US_PER_S);
	assert_int_equal(hello_wait_us(&h, false), 4 * US_PER_S);
	hello_received(&h, 3, 0);			/* leaves it as it is */
	assert_int_equal(hello_wait_us(&h, true), 6 * US_PER_S);
	hello_received(&h, 4, 655350000);
	assert_int_equal(hello_wait_us(&h, true), 983025000);
}

static void etx_of_costs(void **state)
{
	struct hello_history h = { 0 };

	(void)state;
	hello_received(&h, 1, US_PER_S);
	assert_int_equal(hello_etx(&h, 96), 96);
	assert_int_equal(hello_etx(&h, 65534), 65534);
	hello_missed(&h);
	assert_int_equal(hello_etx(&h, 96), 192);
	assert_int_equal(hello_etx(&h, 65534), BABEL_INFINITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(reboots),
		cmocka_unit_test(undoes_in_place),
		cmocka_unit_test(timer),
		cmocka_unit_test(etx_of_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
