/* SPDX-License-Identifier: MIT */
/* The rate limit by source: burst, refill, who counts as one source, a full set, and a twin of another design. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/instant.h"
#include "stream.h"
#include "transport/ratelimit.h"

#define TOKEN_US INT64_C(50000)
#define FULL_US (5 * TOKEN_US)
#define START_US INT64_C(1000000000)

static const uint8_t key[16] = { 1, 2, 3 };

static int setup(void **state)
{
	static struct ratelimit r;

	*state = &r;
	return ratelimit_init(&r, key) ? 0 : -1;
}

static int teardown(void **state)
{
	ratelimit_done(*state);
	return 0;
}

static struct ip_addr v4(uint32_t n)
{
	struct ip_addr a = { .family = IP_V4 };

	put_be32(a.bytes, n);
	return a;
}

static struct ip_addr v6(uint64_t net, uint64_t host)
{
	struct ip_addr a = { .family = IP_V6 };

	put_be64(a.bytes, net);
	put_be64(a.bytes + 8, host);
	return a;
}

/* How many of 'tries' pass at one instant. */
static int passed(struct ratelimit *r, struct ip_addr a, int64_t now_us, int tries)
{
	int n = 0;

	for (int i = 0; i < tries; i++)
		n += ratelimit_allow(r, &a, now_us);
	return n;
}

static void burst_and_refill(void **state)
{
	struct ip_addr a = v4(0xc0000201);
	int64_t t = START_US;

	assert_int_equal(RATELIMIT_BURST, 5);
	assert_int_equal(RATELIMIT_PER_S, 20);
	assert_int_equal(passed(*state, a, t, 100), 5);
	assert_int_equal(passed(*state, a, t + TOKEN_US - 1, 100), 0);	/* being refused costs nothing... */
	assert_int_equal(passed(*state, a, t + TOKEN_US, 100), 1);	/* ...so one comes exactly here */
	t += TOKEN_US;
	assert_int_equal(passed(*state, a, t + 3 * TOKEN_US, 100), 3);
	t += 3 * TOKEN_US;
	assert_int_equal(passed(*state, a, t + FULL_US - 1, 100), 4);
	t += FULL_US;
	assert_int_equal(passed(*state, a, t + 1, 100), 1);
	t += INT64_C(3600) * US_PER_S;
	assert_int_equal(passed(*state, a, t, 100), 5);			/* rest does not save up */
}

static void steady_rate(void **state)
{
	struct ip_addr a = v4(0xc0000202);
	int n = 0;

	for (int64_t t = START_US; t < START_US + 10 * US_PER_S; t += US_PER_MS)
		n += ratelimit_allow(*state, &a, t);
	assert_int_equal(n, 5 + 10 * 20 - 1);	/* the burst, and one each 50 ms after the start */
}

static void who_is_one_source(void **state)
{
	const uint64_t net = UINT64_C(0x20010db800000001);
	int64_t t = START_US;
	int n = 0;

	for (uint64_t host = 0; host < 100; host++)
		n += passed(*state, v6(net, host << 32 | host), t, 1);
	assert_int_equal(n, 5);					/* a /64 is one */
	assert_int_equal(passed(*state, v6(net + 1, 7), t, 9), 5);	/* the next /64 another */
	assert_int_equal(passed(*state, v4(0x0a000001), t, 9), 5);
	assert_int_equal(passed(*state, v4(0x0a000002), t, 9), 5);	/* and each IPv4 address */
	/* The number 10.0.0.1 in an IPv6 prefix is no IPv4 address. */
	assert_int_equal(passed(*state, v6(0x0a000001, 0), t, 9), 5);
	assert_int_equal(passed(*state, v6(UINT64_C(0x0a00000100000000), 0), t, 9), 5);
	assert_int_equal(passed(*state, v4(0), t, 9), 5);
	assert_int_equal(passed(*state, v6(0, 1), t, 9), 5);
}

static size_t set_of(uint32_t addr)
{
	uint64_t source = UINT64_C(1) << 32 | addr;

	return (size_t)(hash_bytes(key, &source, sizeof(source)) % RATELIMIT_SETS);
}

static void a_full_set_refuses(void **state)
{
	uint32_t same[RATELIMIT_WAYS + 1];
	size_t found = 0;
	int64_t t = START_US;

	for (uint32_t a = 1; found < RATELIMIT_WAYS + 1; a++)
		if (set_of(a) == set_of(1))
			same[found++] = a;
	for (size_t i = 0; i < RATELIMIT_WAYS; i++)
		assert_int_equal(passed(*state, v4(same[i]), t, 5), 5);
	/* All eight are busy. A ninth is refused until one of them has been quiet for so long that it is full. */
	assert_int_equal(passed(*state, v4(same[8]), t, 9), 0);
	assert_int_equal(passed(*state, v4(same[8]), t + FULL_US - 1, 9), 0);
	for (size_t i = 1; i < RATELIMIT_WAYS; i++)
		assert_int_equal(passed(*state, v4(same[i]), t + FULL_US - 1, 9), 4);
	assert_int_equal(passed(*state, v4(same[8]), t + FULL_US, 9), 5);
	/* It took the quiet one's place, not a busy one's. */
	for (size_t i = 1; i < RATELIMIT_WAYS; i++)
		assert_int_equal(passed(*state, v4(same[i]), t + FULL_US, 9), 1);
	assert_int_equal(passed(*state, v4(same[0]), t + FULL_US, 9), 0);
	assert_int_equal(passed(*state, v4(same[8]), t + FULL_US, 9), 0);
}

/* An attacker with a million addresses: no growth (the table is fixed), and none gets more than its share. */
static void many_sources(void **state)
{
	struct stream s = { 3 };
	int n = 0;

	for (int i = 0; i < 200000; i++)
		n += passed(*state, v4((uint32_t)stream_next(&s)), START_US, 1);
	assert_int_equal(n, RATELIMIT_SETS * RATELIMIT_WAYS);
}

static void time_jumps(void **state)
{
	struct ip_addr a = v4(0xc0000203);

	assert_int_equal(passed(*state, a, 1, 9), 5);		/* the first microsecond there is */
	assert_int_equal(passed(*state, a, INT64_MAX / 4, 9), 5);
	assert_int_equal(passed(*state, a, INT64_MAX / 2, 9), 5);
	/* A monotonic clock never goes back; if it does all the same nothing is to be won by it. */
	assert_int_equal(passed(*state, a, START_US, 9), 0);
	assert_int_equal(passed(*state, a, START_US + TOKEN_US, 9), 0);
	assert_int_equal(passed(*state, a, INT64_MAX / 2 + 2 * TOKEN_US, 9), 2);
}

/*
 * The twin keeps for every source the time by which its bucket will be full again (the virtual scheduling of
 * ITU-T I.371), for ever, in a list without sets.
 */
static void same_as_twin(void **state)
{
	enum { SOURCES = 300, STEPS = 300000 };
	static int64_t full_at_us[SOURCES];
	struct stream s = { 5 };
	int per_set[RATELIMIT_SETS] = { 0 }, allowed = 0;
	int64_t t = START_US;

	memset(full_at_us, 0, sizeof(full_at_us));
	/* The twin has no sets, so none may overflow here. */
	for (uint32_t i = 0; i < SOURCES; i++)
		assert_true(++per_set[set_of(i)] <= RATELIMIT_WAYS);
	for (int step = 0; step < STEPS; step++) {
		size_t i = (size_t)(stream_below(&s, SOURCES) * stream_below(&s, SOURCES) / SOURCES);
		struct ip_addr a = v4((uint32_t)i);
		int64_t full_at = full_at_us[i] > t ? full_at_us[i] : t;
		bool expected = full_at - t <= FULL_US - TOKEN_US;

		assert_int_equal(ratelimit_allow(*state, &a, t), expected);
		if (expected)
			full_at_us[i] = full_at + TOKEN_US;
		allowed += expected;
		t += (int64_t)stream_below(&s, 200);
		if (stream_below(&s, 20000) == 0)
			t += (int64_t)stream_below(&s, 1000000);
	}
	assert_in_range(allowed, STEPS / 20, STEPS - STEPS / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(burst_and_refill, setup, teardown),
		cmocka_unit_test_setup_teardown(steady_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_one_source, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_set_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(many_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(time_jumps, setup, teardown),
		cmocka_unit_test_setup_teardown(same_as_twin, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
