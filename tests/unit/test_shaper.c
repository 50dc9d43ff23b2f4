/* SPDX-License-Identifier: MIT */
/* The shaper: what it lets through against the rate, from the slowest to the fastest, and from several threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "flow/shaper.h"

#define START_US INT64_C(1000000000)

static void no_limit(void **state)
{
	struct shaper s = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(shaper_wait_us(&s, START_US), 0);
		shaper_sent(&s, START_US, 65535);
	}
	assert_true(shaper_burst_bytes(&s) == UINT64_MAX);
	shaper_set_rate(&s, 8000);
	shaper_sent(&s, START_US, 65535);
	assert_true(shaper_wait_us(&s, START_US) > 60000000);
	shaper_set_rate(&s, 1000000000);	/* the minute of debt is gone with the slow rate */
	assert_int_equal(shaper_wait_us(&s, START_US), 0);
	shaper_set_rate(&s, 8000);
	shaper_sent(&s, START_US, 65535);
	shaper_set_rate(&s, 0);
	assert_int_equal(shaper_wait_us(&s, START_US), 0);
}

/* Send as much as may be sent for a while, waiting exactly as told. */
static uint64_t greedy(struct shaper *s, int64_t *now_us, int64_t until_us, uint32_t len)
{
	uint64_t bytes = 0;

	while (*now_us < until_us) {
		int64_t wait_us = shaper_wait_us(s, *now_us);

		if (wait_us) {
			*now_us += wait_us;
			continue;
		}
		shaper_sent(s, *now_us, len);
		bytes += len;
	}
	return bytes;
}

static void keeps_the_rate(void **state)
{
	static const struct {
		uint64_t rate_bps;
		uint32_t len;
		int64_t for_us;
	} step[] = {
		/*  1 */ { 8000, 1500, 1000000000 },
		/*  2 */ { 8000, 65535, 10000000000 },
		/*  3 */ { 64000, 64, 100000000 },
		/*  4 */ { 1000000, 1500, 10000000 },
		/*  5 */ { 20000000, 1500, 10000000 },
		/*  6 */ { 999999937, 1500, 1000000 },
		/*  7 */ { 1000000000, 64, 1000000 },
		/*  8 */ { 10000000000, 65535, 1000000 },
		/*  9 */ { 100000000000, 65535, 1000000 },
		/* 10 */ { 100000000000, 1500, 1000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		struct shaper s = { 0 };
		int64_t now_us = START_US;
		double want, got;

		shaper_set_rate(&s, step[i].rate_bps);
		got = (double)greedy(&s, &now_us, START_US + step[i].for_us, step[i].len);
		want = (double)step[i].rate_bps / 8 * (double)(now_us - START_US) / 1e6;
		print_message("case %zu: %.4f of the rate\n", i + 1, got / want);
		assert_true(got >= want * 0.99);
		assert_true(got <= want * 1.01 + (double)shaper_burst_bytes(&s) + 2.0 * step[i].len);
	}
}

/* However long it was idle, no more than a burst goes at once, and the one send that goes beyond. */
static void idle_credit(void **state)
{
	static const struct {
		uint64_t rate_bps;
		uint64_t burst;
	} step[] = {
		/* 1 */ { 8000, 1514 },
		/* 2 */ { 4000000, 1514 },
		/* 3 */ { 20000000, 3750 },
		/* 4 */ { 1000000000, 187500 },
		/* 5 */ { 100000000000, 18750000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		struct shaper s = { 0 };
		uint64_t sent = 0;

		print_message("case %zu\n", i + 1);
		shaper_set_rate(&s, step[i].rate_bps);
		assert_int_equal(shaper_burst_bytes(&s), step[i].burst);
		for (; !shaper_wait_us(&s, 3600 * START_US); sent += 100)
			shaper_sent(&s, 3600 * START_US, 100);
		assert_in_range(sent, step[i].burst - 100, step[i].burst + 200);
	}
}

static void wait_is_exact(void **state)
{
	struct shaper s = { 0 };

	(void)state;
	shaper_set_rate(&s, 8000000);		/* a byte a microsecond */
	shaper_sent(&s, START_US, 10000);	/* 1514 of it were credit */
	assert_int_equal(shaper_wait_us(&s, START_US), 10000 - 1514);
	assert_int_equal(shaper_wait_us(&s, START_US + 8485), 1);
	assert_int_equal(shaper_wait_us(&s, START_US + 8486), 0);
	shaper_set_rate(&s, 3000000000);
	shaper_sent(&s, START_US, 562500 + 1);	/* 2.67 ns beyond the credit */
	assert_int_equal(shaper_wait_us(&s, START_US), 1);
}

enum { THREADS = 4, SENDS = 200000 };

static void *charge(void *arg)
{
	for (int i = 0; i < SENDS; i++)
		shaper_sent(arg, START_US, 1000);
	return NULL;
}

/* No charge is lost between threads. */
static void shared(void **state)
{
	struct shaper s = { 0 };
	pthread_t thread[THREADS];

	(void)state;
	shaper_set_rate(&s, 1000000000);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, charge, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(shaper_wait_us(&s, START_US), (int64_t)THREADS * SENDS * 8 - 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit),
		cmocka_unit_test(keeps_the_rate),
		cmocka_unit_test(idle_credit),
		cmocka_unit_test(wait_is_exact),
		cmocka_unit_test(shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
