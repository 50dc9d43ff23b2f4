/* SPDX-License-Identifier: MIT */
/* The timers of a peer: every row of the table in rekey.c, on the microsecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "stream.h"
#include "transport/rekey.h"

#define T (INT64_C(1000) * US_PER_S)

/* Jitter at its ends: random bits all clear and all set. */
static void fill_with(void *ctx, void *out, size_t len)
{
	memset(out, *(const int *)ctx, len);
}

static int clear = 0, set = 0xff;
static const struct rng least = { fill_with, &clear }, most = { fill_with, &set };

/* Nothing comes at 'us' - 1, exactly 'actions' at 'us', and not a second time. */
static void assert_fires(struct rekey *r, int64_t us, unsigned int actions)
{
	assert_int_equal(rekey_next(r), us);
	assert_int_equal(rekey_expire(r, us - 1), 0);
	assert_int_equal(rekey_next(r), us);
	assert_int_equal(rekey_expire(r, us), actions);
	assert_int_equal(rekey_expire(r, us), 0);
}

static void assert_quiet(struct rekey *r)
{
	assert_int_equal(rekey_next(r), NEVER_US);
	assert_int_equal(rekey_expire(r, NEVER_US - 1), 0);
}

static void a_new_peer_is_quiet(void **state)
{
	struct rekey r;

	(void)state;
	memset(&r, 0xee, sizeof(r));
	rekey_init(&r);
	assert_quiet(&r);
	assert_true(rekey_may_initiate(&r, 1));
	assert_int_equal(r.persistent_s, 0);
}

static void whitepaper_constants(void **state)
{
	(void)state;
	assert_int_equal(REKEY_AFTER_S, 120);
	assert_int_equal(REJECT_AFTER_S, 180);
	assert_int_equal(REKEY_ATTEMPT_S, 90);
	assert_int_equal(REKEY_TIMEOUT_S, 5);
	assert_int_equal(KEEPALIVE_TIMEOUT_S, 10);
	assert_true(REKEY_AFTER_MESSAGES == UINT64_C(1) << 60);
	assert_true(REJECT_AFTER_MESSAGES == UINT64_C(0xffffffffffffdfff));	/* 2^64 - 2^13 - 1 */
}

static void initiation_sent(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_initiation_sent(&r, T, &least);
	assert_fires(&r, T + 5000000, REKEY_RETRY);
	assert_quiet(&r);
	rekey_initiation_sent(&r, T, &most);
	assert_fires(&r, T + 5333000, REKEY_RETRY);
	/* Sending again moves it. */
	rekey_initiation_sent(&r, T, &least);
	rekey_initiation_sent(&r, T + 2 * US_PER_S, &least);
	assert_fires(&r, T + 7 * US_PER_S, REKEY_RETRY);
}

static void one_handshake_message_in_five_seconds(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_initiation_sent(&r, T, &most);
	assert_false(rekey_may_initiate(&r, T));
	assert_false(rekey_may_initiate(&r, T + 5 * US_PER_S - 1));
	/* With the jitter of the repetition: or two that crossed would cross again. */
	assert_false(rekey_may_initiate(&r, T + 5 * US_PER_S + REKEY_JITTER_MAX_MS * US_PER_MS - 1));
	assert_true(rekey_may_initiate(&r, T + 5 * US_PER_S + REKEY_JITTER_MAX_MS * US_PER_MS));
	rekey_init(&r);
	rekey_response_sent(&r, T);
	assert_quiet(&r);		/* a response is not repeated */
	assert_false(rekey_may_initiate(&r, T + 5 * US_PER_S - 1));
	assert_true(rekey_may_initiate(&r, T + 5 * US_PER_S));
}

static void initiation_postponed(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_initiation_postponed(&r, T);
	assert_fires(&r, T, REKEY_INITIATE);
	assert_true(rekey_may_initiate(&r, T));
	assert_quiet(&r);
}

static void data_sent(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_data_sent(&r, T, &least);
	rekey_data_sent(&r, T + 14 * US_PER_S, &most);		/* the first one counts */
	assert_fires(&r, T + 15 * US_PER_S, REKEY_INITIATE);
	assert_quiet(&r);
	rekey_data_sent(&r, T, &most);
	assert_fires(&r, T + 15333000, REKEY_INITIATE);
	/* Any packet of the peer's ends it; the next data begins anew. */
	rekey_data_sent(&r, T, &least);
	rekey_any_received(&r);
	assert_quiet(&r);
	rekey_data_sent(&r, T + US_PER_S, &least);
	assert_fires(&r, T + 16 * US_PER_S, REKEY_INITIATE);
	/* Sending does not end it. */
	rekey_data_sent(&r, T, &least);
	rekey_any_sent(&r);
	rekey_handshake_complete(&r);
	assert_fires(&r, T + 15 * US_PER_S, REKEY_INITIATE);
}

static void data_received(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_data_received(&r, T);
	assert_fires(&r, T + 10 * US_PER_S, REKEY_KEEPALIVE);
	assert_quiet(&r);
	/* More that came while it ran: one more round, from when it fired. */
	rekey_data_received(&r, T);
	rekey_data_received(&r, T + 3 * US_PER_S);
	rekey_data_received(&r, T + 6 * US_PER_S);
	assert_fires(&r, T + 10 * US_PER_S, REKEY_KEEPALIVE);
	assert_fires(&r, T + 20 * US_PER_S, REKEY_KEEPALIVE);
	assert_quiet(&r);
	/* Anything sent makes it needless; receiving something else does not. */
	rekey_data_received(&r, T);
	rekey_any_sent(&r);
	assert_quiet(&r);
	rekey_data_received(&r, T + US_PER_S);
	rekey_any_received(&r);
	rekey_handshake_complete(&r);
	assert_fires(&r, T + 11 * US_PER_S, REKEY_KEEPALIVE);
}

static void session_derived(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_session_derived(&r, T);
	rekey_session_derived(&r, T + 100 * US_PER_S);		/* the last session counts */
	rekey_any_sent(&r);
	rekey_any_received(&r);
	rekey_handshake_complete(&r);
	assert_fires(&r, T + 640 * US_PER_S, REKEY_WIPE);
	assert_quiet(&r);
}

static void handshake_complete(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_initiation_sent(&r, T, &least);
	assert_int_equal(rekey_expire(&r, T + 5 * US_PER_S), REKEY_RETRY);
	rekey_initiation_sent(&r, T + 5 * US_PER_S, &least);
	assert_int_equal(r.attempts, 1);
	r.last_minute = true;
	rekey_handshake_complete(&r);
	assert_quiet(&r);
	assert_int_equal(r.attempts, 0);
	assert_false(r.last_minute);
}

static void persistent(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_any_traversed(&r, T);
	assert_quiet(&r);				/* it is off */
	assert_true(rekey_set_persistent(&r, 25));	/* switched on: one now */
	assert_quiet(&r);				/* that one starts the timer */
	rekey_any_traversed(&r, T);
	rekey_any_traversed(&r, T + US_PER_S);
	assert_fires(&r, T + 26 * US_PER_S, REKEY_KEEPALIVE);
	assert_quiet(&r);				/* and so does each */
	rekey_any_traversed(&r, T);
	assert_false(rekey_set_persistent(&r, 60));	/* another interval is not a switch */
	assert_fires(&r, T + 25 * US_PER_S, REKEY_KEEPALIVE);
	rekey_any_traversed(&r, T);
	assert_fires(&r, T + 60 * US_PER_S, REKEY_KEEPALIVE);
	rekey_any_traversed(&r, T);
	assert_false(rekey_set_persistent(&r, 0));
	assert_quiet(&r);
	assert_true(rekey_set_persistent(&r, 65535));
	rekey_any_traversed(&r, T);
	assert_fires(&r, T + 65535 * US_PER_S, REKEY_KEEPALIVE);
	assert_false(rekey_set_persistent(&r, 65535));
}

static void several_at_once(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_set_persistent(&r, 30);
	rekey_initiation_sent(&r, T, &most);
	rekey_data_sent(&r, T, &most);
	rekey_data_received(&r, T);
	rekey_any_traversed(&r, T);
	rekey_session_derived(&r, T);
	assert_int_equal(rekey_next(&r), T + 5333000);
	assert_int_equal(rekey_expire(&r, T + 1000 * US_PER_S),
			 REKEY_RETRY | REKEY_KEEPALIVE | REKEY_INITIATE | REKEY_WIPE);
	assert_quiet(&r);
}

static void stop(void **state)
{
	struct rekey r;

	(void)state;
	rekey_init(&r);
	rekey_set_persistent(&r, 30);
	rekey_initiation_sent(&r, T, &most);
	rekey_expire(&r, T + 6 * US_PER_S);
	rekey_initiation_sent(&r, T + 6 * US_PER_S, &most);
	rekey_data_sent(&r, T, &most);
	rekey_data_received(&r, T);
	rekey_data_received(&r, T);
	rekey_any_traversed(&r, T);
	rekey_session_derived(&r, T);
	r.last_minute = true;
	rekey_stop(&r);
	assert_quiet(&r);
	assert_true(rekey_may_initiate(&r, T + 6 * US_PER_S));
	assert_int_equal(r.attempts, 0);
	assert_false(r.last_minute);
	assert_false(r.another_keepalive);
	assert_int_equal(r.persistent_s, 30);		/* that is configuration, not life */
}

/*
 * An initiation nobody answers: 5 s and jitter apart for 90 s, then the end. Returns when.
 */
static int64_t walk_the_row(struct rekey *r, const struct rng *rng)
{
	int64_t sent_us = T;
	unsigned int actions, retries = 0;

	rekey_restart_attempts(r);
	rekey_initiation_sent(r, sent_us, rng);
	for (;;) {
		int64_t due_us = r->retransmit_us;

		assert_in_range(due_us - sent_us, 5000000, 5333000);
		actions = rekey_expire(r, due_us);
		if (actions & REKEY_GIVE_UP) {
			assert_int_equal(retries, 18);
			assert_int_equal(r->retransmit_us, NEVER_US);
			return due_us;
		}
		assert_int_equal(actions, REKEY_RETRY);
		assert_true(rekey_may_initiate(r, due_us));
		sent_us = due_us;
		retries++;
		rekey_initiation_sent(r, sent_us, rng);
	}
}

static void retries_for_ninety_seconds(void **state)
{
	struct stream s = { 4 };
	struct rng any = stream_rng(&s);
	struct rekey r;
	int64_t end_us;

	(void)state;
	rekey_init(&r);
	assert_int_equal(walk_the_row(&r, &least), T + 95 * US_PER_S);	/* the last one went out at 90 s */
	rekey_init(&r);
	assert_int_equal(walk_the_row(&r, &most), T + 95 * US_PER_S + 19 * 333000);
	rekey_init(&r);
	end_us = walk_the_row(&r, &any);
	assert_in_range(end_us, T + 95 * US_PER_S + 333000, T + 95 * US_PER_S + 18 * 333000);	/* the jitter varies */
}

static void the_end_of_retries(void **state)
{
	struct rekey r;
	int64_t end_us;

	(void)state;
	/* Old keys live on for a while, then go; no keepalive is sent into the void. */
	rekey_init(&r);
	rekey_data_received(&r, T + 90 * US_PER_S);
	end_us = walk_the_row(&r, &least);
	assert_fires(&r, end_us + 540 * US_PER_S, REKEY_WIPE);
	assert_quiet(&r);
	/* When a session has its end set already, that stays. */
	rekey_init(&r);
	rekey_session_derived(&r, T - 10 * US_PER_S);
	walk_the_row(&r, &least);
	assert_fires(&r, T + 530 * US_PER_S, REKEY_WIPE);
	/* A new reason: the whole row again. */
	walk_the_row(&r, &least);
}

static void a_new_reason_starts_over(void **state)
{
	struct rekey r;
	int64_t now_us = T;

	(void)state;
	rekey_init(&r);
	for (int i = 0; i < 100; i++) {
		if (i % 10 == 0)
			rekey_restart_attempts(&r);
		rekey_initiation_sent(&r, now_us, &least);
		now_us += 5 * US_PER_S;
		assert_int_equal(rekey_expire(&r, now_us), REKEY_RETRY);
	}
}

static void jitter_covers_its_range(void **state)
{
	enum { STEPS = 20000 };
	static int seen[334];
	struct stream s = { 6 };
	struct rng rng = stream_rng(&s);
	struct rekey r;

	(void)state;
	rekey_init(&r);
	for (int i = 0; i < STEPS; i++) {
		int64_t jitter_us;

		rekey_initiation_sent(&r, T, &rng);
		jitter_us = r.retransmit_us - T - 5 * US_PER_S;
		assert_in_range(jitter_us, 0, 333000);
		seen[jitter_us / 1000]++;
	}
	for (size_t i = 0; i < 334; i++)
		assert_in_range(seen[i], 1, STEPS / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_peer_is_quiet),
		cmocka_unit_test(whitepaper_constants),
		cmocka_unit_test(initiation_sent),
		cmocka_unit_test(one_handshake_message_in_five_seconds),
		cmocka_unit_test(initiation_postponed),
		cmocka_unit_test(data_sent),
		cmocka_unit_test(data_received),
		cmocka_unit_test(session_derived),
		cmocka_unit_test(handshake_complete),
		cmocka_unit_test(persistent),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(stop),
		cmocka_unit_test(retries_for_ninety_seconds),
		cmocka_unit_test(the_end_of_retries),
		cmocka_unit_test(a_new_reason_starts_over),
		cmocka_unit_test(jitter_covers_its_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
