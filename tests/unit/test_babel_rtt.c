/* SPDX-License-Identifier: MIT */
/* Round trips: two clocks that know nothing of each other, both modulo 2^32, with delays of our choosing (RFC 9616). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "babel/rtt.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * One exchange that ends at 'now_us': our Hello left 'ours_us' before, was 'there' for that long, and came back. 'clock' is what the neighbour's
 * clock has more than ours.
 */
static bool exchange(struct babel_rtt *r, int64_t now_us, int64_t ours_us, int64_t there_us, uint32_t clock)
{
	int64_t back = (ours_us - there_us) / 2;
	uint32_t sent = (uint32_t)(now_us - back) + clock;

	rtt_hello(r, sent, now_us);
	return rtt_ihu(r, (uint32_t)(now_us - ours_us), sent - (uint32_t)there_us, now_us);
}

static void samples(void **state)
{
	static const struct {
		int64_t now_us;
		uint32_t clock;
	} c[] = {
		/* 1 */ { 1000 * US_PER_S, 0 },
		/* 2 */ { 1000 * US_PER_S, 12345678 },
		/* 3 */ { 1000 * US_PER_S, 0u - 1000000000u },		/* its clock wraps meanwhile */
		/* 4 */ { (INT64_C(1) << 32) + 100, 0 },		/* ours does */
		/* 5 */ { (INT64_C(1) << 32) + 100, 0xffffff00 },	/* both do */
		/* 6 */ { (INT64_C(1) << 40) + 7, 0x80000000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct babel_rtt r = { 0 };

		assert_true(exchange(&r, c[i].now_us, 4040000, 4000000, c[i].clock));
		assert_true(r.has_rtt);
		assert_int_equal(r.rtt_us, 40000);
	}
}

/* T4: 836 parts in a thousand stay. */
static void smoothing(void **state)
{
	struct babel_rtt r = { 0 };
	int64_t now = 1000 * US_PER_S;

	(void)state;
	assert_true(exchange(&r, now, 100000, 0, 5));
	assert_int_equal(r.rtt_us, 100000);
	assert_true(exchange(&r, now + US_PER_S, 200000, 0, 5));
	assert_int_equal(r.rtt_us, 116400);
	for (int i = 2; i < 60; i++)
		assert_true(exchange(&r, now + i * US_PER_S, 50000, 0, 5));
	assert_in_range(r.rtt_us, 49990, 50010);
	/* What is three minutes old is not mixed with. */
	now += 60 * US_PER_S + BABEL_RTT_STALE_US;
	exchange(&r, now, 1000, 0, 5);		/* the Hello's stamp is far from the last one's, so not yet */
	assert_true(exchange(&r, now + US_PER_S, 70000, 0, 5));
	assert_int_equal(r.rtt_us, 70000);
}

/* T2: what cannot be is no sample, and the one after it is. */
static void absurd(void **state)
{
	int64_t now = 1000 * US_PER_S;
	uint32_t here = (uint32_t)now;
	struct babel_rtt r = { 0 };

	(void)state;
	assert_false(rtt_ihu(&r, here - 1000, 1, now));			/* no Hello yet */
	rtt_hello(&r, 500000000, now);
	assert_false(rtt_ihu(&r, here + 1, 499999999, now));		/* our stamp is of tomorrow */
	assert_false(rtt_ihu(&r, here - 180000001, 499999999, now));	/* or long gone */
	assert_false(rtt_ihu(&r, here - 1000, 500000001, now));		/* it had it after it answered */
	assert_false(rtt_ihu(&r, here - 1000, 500000000 - 180000001, now));
	assert_false(rtt_ihu(&r, here - 1000, 499999999, now + 1));	/* of another packet than the Hello */
	assert_false(r.has_rtt);
	assert_true(rtt_ihu(&r, here - 180000000, 500000000, now));
	assert_int_equal(r.rtt_us, 180000000);

	r = (struct babel_rtt){ 0 };
	rtt_hello(&r, 500000000, now);
	assert_true(rtt_ihu(&r, here - 1000, 499998000, now));		/* less than nothing is nothing: clocks drift */
	assert_int_equal(r.rtt_us, 0);
	now += US_PER_S;
	here = (uint32_t)now;
	rtt_hello(&r, 499999999, now);					/* it went back */
	assert_false(rtt_ihu(&r, here - 1000, 499999999, now));
	assert_int_equal(rtt_echo(&r, now)->origin, 499999999);		/* but that is what is echoed now */
	now += US_PER_S;
	here = (uint32_t)now;
	rtt_hello(&r, 499999999 + 180000001, now);			/* it leapt */
	assert_false(rtt_ihu(&r, here - 1000, 499999999 + 180000001, now));
	now += US_PER_S;
	here = (uint32_t)now;
	rtt_hello(&r, 499999999 + 180000002, now);
	assert_true(rtt_ihu(&r, here - 1000, 499999999 + 180000002, now));
}

/* T1: an echo is what came, while it is fresh. */
static void echoes(void **state)
{
	struct babel_rtt r = { 0 };
	int64_t now = (INT64_C(5) << 32) + 77;

	(void)state;
	assert_null(rtt_echo(&r, now));
	rtt_hello(&r, 0xdeadbeef, now);
	assert_int_equal(rtt_echo(&r, now + 10)->origin, 0xdeadbeef);
	assert_int_equal(rtt_echo(&r, now + 10)->receive, 77);
	assert_non_null(rtt_echo(&r, now + BABEL_RTT_STALE_US));
	assert_null(rtt_echo(&r, now + BABEL_RTT_STALE_US + 1));
}

/* T5. */
static void costs(void **state)
{
	static const struct {
		int64_t rtt_us;
		uint16_t cost;
	} c[] = {
		{ 0, 0 }, { 9999, 0 }, { 10000, 0 }, { 10001, 0 }, { 11000, 1 }, { 65000, 75 }, { 119999, 149 }, { 120000, 150 }, { 120001, 150 },
		{ 1000000000, 150 },
	};
	struct babel_rtt r = { 0 };

	(void)state;
	assert_int_equal(rtt_cost(&r, 0, 1, 150), 0);			/* nothing known costs nothing */
	for (size_t i = 0; i < COUNT(c); i++) {
		r = (struct babel_rtt){ .has_rtt = true, .rtt_us = c[i].rtt_us };
		if (rtt_cost(&r, 10000, 120000, 150) != c[i].cost)
			fail_msg("case %zu: %u", i + 1, rtt_cost(&r, 10000, 120000, 150));
	}
	r.rtt_us = 5000;
	assert_int_equal(rtt_cost(&r, 4000, 4000, 65534), 65534);	/* a step */
	assert_int_equal(rtt_cost(&r, 5000, 5000, 65534), 0);
	assert_int_equal(rtt_cost(&r, 0, 10000, 65534), 32767);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples),
		cmocka_unit_test(smoothing),
		cmocka_unit_test(absurd),
		cmocka_unit_test(echoes),
		cmocka_unit_test(costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
