/* SPDX-License-Identifier: MIT */
/* The search for a path's MTU (RFC 8899), against a path with a known one: what is found, how fast, with how many probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/instant.h"
#include "path/pmtu.h"

enum {
	STEP_US = 5000,
	SMALL_US = 200000,	/* small probes, on a path that is alive */
	PROBES_MAX = 22,	/* of one search */
};

/* A path that carries 'mtu' bytes, and its owner's clock. */
struct road {
	struct pmtu m;
	uint32_t mtu;		/* 0: carries nothing at all */
	int64_t rtt_us, rto_us;
	bool active, busy;
	int64_t now_us, small_us, answered_us;
	uint32_t flying;	/* size of the probe under way; 0: none, or lost */
	int64_t arrives_us;
	unsigned int probes, changes;
	uint32_t lose;		/* so many of the next probes are lost for another reason */
	uint32_t least, most;	/* sizes in use since reset() */
};

static void note_size(struct road *r)
{
	r->least = r->m.size < r->least ? r->m.size : r->least;
	r->most = r->m.size > r->most ? r->m.size : r->most;
}

static void reset(struct road *r)
{
	r->probes = r->changes = 0;
	r->least = r->most = r->m.size;
}

static void road_init(struct road *r, uint8_t family, uint32_t way_mtu, uint32_t mtu)
{
	memset(r, 0, sizeof(*r));
	r->now_us = 1000000;
	r->rtt_us = 20000;
	r->rto_us = 50000;
	r->mtu = mtu;
	pmtu_init(&r->m, family, way_mtu, r->now_us);
	reset(r);
}

static void send_due(struct road *r)
{
	int64_t next_us = pmtu_next(&r->m, r->active, r->busy, r->rto_us);
	bool changed;
	uint32_t size = pmtu_due(&r->m, r->active, r->busy, r->rto_us, r->answered_us, r->now_us, &changed);

	/* Whoever waits for pmtu_next() misses nothing. */
	if (size || changed)
		assert_true(next_us <= r->now_us);
	r->changes += changed;
	if (!size)
		return;
	pmtu_sent(&r->m, size, r->now_us);
	r->probes++;
	if (r->lose) {
		r->lose--;
	} else if (size <= r->mtu) {
		r->flying = size;
		r->arrives_us = r->now_us + r->rtt_us;
	}
}

static void run(struct road *r, int64_t us)
{
	for (int64_t end_us = r->now_us + us; r->now_us < end_us; r->now_us += STEP_US) {
		if (r->mtu && r->now_us >= r->small_us + SMALL_US)
			r->small_us = r->answered_us = r->now_us;
		if (r->flying && r->now_us >= r->arrives_us) {
			r->answered_us = r->now_us;
			r->changes += pmtu_answered(&r->m, r->flying, r->now_us);
			r->flying = 0;
		}
		send_due(r);
		note_size(r);
	}
}

/* On the usual path there is one probe and no change. */
static void usual_path(void **state)
{
	static const struct { uint8_t family; uint32_t way_mtu, size; } c[] = {
		{ IP_V4, 1500, 1500 }, { IP_V6, 1500, 1500 }, { IP_V4, 0, 1500 }, { IP_V4, 1492, 1492 }, { IP_V6, 1280, 1280 }, { IP_V4, 1000, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct road r;

		print_message("case %zu\n", i + 1);
		road_init(&r, c[i].family, c[i].way_mtu, c[i].size);
		assert_int_equal(r.m.size, c[i].size);
		run(&r, 10 * US_PER_S);
		assert_int_equal(r.m.state, PMTU_COMPLETE);
		assert_int_equal(r.m.size, c[i].size);
		assert_int_equal(r.probes, 1);
		assert_int_equal(r.changes, 0);
	}
}

/* Whatever the MTU is, it is found as closely as padding makes a difference, never exceeded, and with few probes. */
static void search(void **state)
{
	static const uint8_t families[] = { IP_V4, IP_V6 };

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		for (uint32_t mtu = families[f] == IP_V6 ? PMTU_BASE6 : PMTU_BASE4; mtu < 1500; mtu++) {
			struct road r;

			road_init(&r, families[f], 1500, mtu);
			run(&r, (PMTU_TRIES * PMTU_RETRY_MS + 20) * US_PER_MS);
			assert_true(r.m.size <= mtu);
			run(&r, 10 * US_PER_S);
			assert_int_equal(r.m.state, PMTU_COMPLETE);
			assert_true(r.m.size <= mtu);
			assert_true(pmtu_plain(mtu, families[f]) - pmtu_plain(r.m.size, families[f]) < 16);
			assert_true(r.probes <= PROBES_MAX);
			/* and then it is quiet */
			reset(&r);
			run(&r, 100 * US_PER_S);
			assert_int_equal(r.probes, 0);
		}
	}
}

/* The sizes paths have are found exactly. */
static void usual_sizes(void **state)
{
	static const uint32_t mtus[] = { 1280, 1400, 1420, 1452, 1480, 1492, 1500 };

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct road r;

		road_init(&r, IP_V4, 1500, mtus[i]);
		run(&r, 10 * US_PER_S);
		assert_int_equal(r.m.size, mtus[i]);
	}
}

static void jumbo(void **state)
{
	static const uint32_t mtus[] = { 1500, 1600, 2304, 4470, 8000, 9000, 9216, 20000 };

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct road r;

		road_init(&r, IP_V4, 20000, mtus[i]);
		assert_int_equal(r.m.size, PMTU_START);
		run(&r, 10 * US_PER_S);
		assert_int_equal(r.m.state, PMTU_COMPLETE);
		assert_true(r.m.size <= mtus[i] && r.m.size <= PMTU_MAX);
		assert_true((uint32_t)r.m.size + PMTU_STEP_JUMBO > (mtus[i] < PMTU_MAX ? mtus[i] : PMTU_MAX));
		assert_true(r.probes <= PROBES_MAX);
		/* what is larger and lost has not lowered what passes */
		assert_int_equal(r.least, PMTU_START);
	}
}

/* Traffic flows, and the MTU drops: found in an interval and three tries; back to something that passes at once. */
static void black_hole(void **state)
{
	(void)state;
	for (unsigned int busy = 0; busy < 2; busy++) {
		int64_t interval_us = (busy ? PMTU_CONFIRM_BUSY_MS : PMTU_CONFIRM_MS) * US_PER_MS;
		struct road r;

		road_init(&r, IP_V4, 1500, 1500);
		r.active = true;
		r.busy = busy;
		run(&r, 20 * US_PER_S);
		assert_int_equal(r.least, 1500);
		r.mtu = 1280;
		reset(&r);
		run(&r, interval_us + (PMTU_TRIES * PMTU_RETRY_MS + 50) * US_PER_MS);
		assert_true(r.m.size <= 1280);
		assert_true(r.m.size >= PMTU_BASE4);
		reset(&r);
		run(&r, 4 * US_PER_S);
		assert_int_equal(r.m.size, 1280);
		assert_true(r.most <= 1280);
		assert_int_equal(r.m.state, PMTU_COMPLETE);
	}
}

/* The probes of one size are a round trip apart where that is long. */
static void slow_path(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 1500, 1500);
	r.active = r.busy = true;
	r.rtt_us = 400000;
	r.rto_us = 600000;
	run(&r, 5 * US_PER_S);
	assert_int_equal(r.least, 1500);
	r.mtu = 1280;
	r.flying = 0;
	reset(&r);
	run(&r, 1700000);
	assert_int_equal(r.m.size, 1500);
	assert_true(r.probes <= 3);
	run(&r, 1500000);
	assert_int_equal(r.m.size, PMTU_BASE4);
}

/* One or two probes lost are no black hole, and neither is a path that carries nothing at all for a while. */
static void losses(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 1500, 1500);
	r.active = r.busy = true;
	r.lose = 2;
	run(&r, 3 * US_PER_S);
	r.lose = 2;
	run(&r, 3 * US_PER_S);
	for (int64_t ms = 50; ms <= 700; ms += 50) {
		r.mtu = 0;
		run(&r, ms * US_PER_MS);
		r.mtu = 1500;
		run(&r, 3 * US_PER_S);
	}
	assert_int_equal(r.least, 1500);
	assert_int_equal(r.changes, 0);
	assert_int_equal(r.m.state, PMTU_COMPLETE);
	/* not asked while it is dead, and lost before */
	r.mtu = 0;
	run(&r, 700 * US_PER_MS);
	r.now_us += 60 * US_PER_S;
	r.mtu = 1500;
	run(&r, 3 * US_PER_S);
	assert_int_equal(r.least, 1500);
}

/* Though nothing else is ever answered, it is not believed for ever. */
static void silent(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 1500, 0);
	run(&r, 5 * US_PER_S);
	assert_true(r.m.size < 1500);
	assert_true(r.probes <= 3 * (PMTU_TRIES + PMTU_UNSURE_MAX));
}

/* Below the base something is found as well, and what is larger again before long. */
static void below_base(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 1500, 1000);
	r.active = true;
	run(&r, 12 * US_PER_S);
	assert_int_equal(r.m.state, PMTU_ERROR);
	assert_true(r.m.size <= 1000 && r.m.size > 1000 - PMTU_STEP_ERROR);
	r.mtu = 1500;
	run(&r, (PMTU_RAISE_ERROR_S + 10) * US_PER_S);
	assert_int_equal(r.m.state, PMTU_COMPLETE);
	assert_int_equal(r.m.size, 1500);

	/* not even the least passes: the least it is */
	road_init(&r, IP_V4, 1500, 400);
	r.active = true;
	run(&r, 30 * US_PER_S);
	assert_int_equal(r.m.state, PMTU_ERROR);
	assert_int_equal(r.m.size, PMTU_MIN4);
	r.mtu = 1500;
	run(&r, 30 * US_PER_S);
	assert_int_equal(r.m.size, 1500);

	/* IPv6 promises its minimum, and nobody sends less */
	road_init(&r, IP_V6, 1500, 1000);
	r.active = true;
	run(&r, 30 * US_PER_S);
	assert_int_equal(r.m.state, PMTU_ERROR);
	assert_int_equal(r.m.size, PMTU_BASE6);
	r.mtu = 1400;
	run(&r, 10 * US_PER_S);
	assert_int_equal(r.m.size, 1400);
	assert_int_equal(r.m.state, PMTU_COMPLETE);
}

/* What has become possible is found when it is looked for: not before, and only while somebody sends. */
static void raise_timer(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 1500, 1452);
	run(&r, 10 * US_PER_S);
	assert_int_equal(r.m.size, 1452);
	r.mtu = 1500;
	run(&r, 2 * PMTU_RAISE_S * US_PER_S);
	assert_int_equal(r.m.size, 1452);	/* idle */
	reset(&r);
	r.active = true;
	run(&r, 2 * US_PER_S);
	assert_int_equal(r.m.size, 1500);
	assert_int_equal(r.least, 1452);

	road_init(&r, IP_V4, 1500, 1452);
	r.active = true;
	run(&r, 10 * US_PER_S);
	r.mtu = 1500;
	run(&r, (PMTU_RAISE_S - 20) * US_PER_S);
	assert_int_equal(r.m.size, 1452);
	run(&r, 30 * US_PER_S);
	assert_int_equal(r.m.size, 1500);
}

/* The way's interface bounds it at once, and lets it grow again. */
static void way(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 0, 9000);
	assert_true(!pmtu_set_way(&r.m, 1500, r.now_us));
	assert_true(pmtu_set_way(&r.m, 1420, r.now_us));	/* before anything was sent: as if it had begun so */
	assert_true(pmtu_set_way(&r.m, 1500, r.now_us));
	assert_int_equal(r.m.size, 1500);
	run(&r, US_PER_S);
	assert_int_equal(r.probes, 1);
	assert_true(pmtu_set_way(&r.m, 1400, r.now_us));
	assert_int_equal(r.m.size, 1400);
	/* an answer from before */
	assert_true(!pmtu_answered(&r.m, 1500, r.now_us));
	assert_int_equal(r.m.size, 1400);
	run(&r, US_PER_S);
	assert_true(!pmtu_set_way(&r.m, 9000, r.now_us));	/* 'size' grows with an answer only */
	assert_int_equal(r.m.size, 1400);
	run(&r, 2 * US_PER_S);
	assert_int_equal(r.m.size, 9000);
	assert_int_equal(r.least, 1400);
}

/* An answer that comes when its probe was given up counts all the same. */
static void late(void **state)
{
	struct road r;

	(void)state;
	road_init(&r, IP_V4, 1500, 1280);
	run(&r, 10 * US_PER_S);
	assert_int_equal(r.m.size, 1280);
	assert_true(pmtu_answered(&r.m, 1500, r.now_us));
	assert_int_equal(r.m.size, 1500);
	/* what is smaller than what is in use tells nothing */
	assert_true(!pmtu_answered(&r.m, 1280, r.now_us));
	assert_int_equal(r.m.size, 1500);
	/* and if it was wrong that is found as ever */
	r.active = r.busy = true;
	run(&r, 5 * US_PER_S);
	assert_int_equal(r.m.size, 1280);
}

static void inner(void **state)
{
	(void)state;
	assert_int_equal(pmtu_inner(1500, IP_V4), 1440);
	assert_int_equal(pmtu_inner(1500, IP_V6), 1420);	/* WireGuard's usual one */
	assert_int_equal(pmtu_inner(1280, IP_V6), 1200);
	assert_int_equal(pmtu_plain(1500, IP_V4), 1440);
	assert_int_equal(pmtu_plain(10, IP_V4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_path),
		cmocka_unit_test(search),
		cmocka_unit_test(usual_sizes),
		cmocka_unit_test(jumbo),
		cmocka_unit_test(black_hole),
		cmocka_unit_test(slow_path),
		cmocka_unit_test(losses),
		cmocka_unit_test(silent),
		cmocka_unit_test(below_base),
		cmocka_unit_test(raise_timer),
		cmocka_unit_test(way),
		cmocka_unit_test(late),
		cmocka_unit_test(inner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
