/* SPDX-License-Identifier: MIT */
/*
 * The timers of a WireGuard peer (whitepaper section 6; the five of kernel WireGuard's
 * timers.c), as data: deadlines that event verbs set and rekey_expire() reads. No timer
 * is armed anywhere else, and nothing here sends: what is due comes back as a set of
 * actions for whoever owns the peer.
 *
 *	event			retransmit  keepalive  silence  wipe   persistent
 *	initiation sent		5 s+jitter
 *	data sent				       15 s, if idle
 *	data received			    10 s, if idle
 *	any sent			    off
 *	any received				       off
 *	any sent or received						again
 *	session derived						540 s
 *	handshake complete	off
 */
#include "transport/rekey.h"

#include <string.h>

#include "base/instant.h"

void rekey_init(struct rekey *r)
{
	memset(r, 0, sizeof(*r));
	rekey_stop(r);
}

void rekey_stop(struct rekey *r)
{
	r->retransmit_us = NEVER_US;
	r->keepalive_us = NEVER_US;
	r->silence_us = NEVER_US;
	r->wipe_us = NEVER_US;
	r->persistent_us = NEVER_US;
	r->initiated_us = 0;
	r->attempts = 0;
	r->another_keepalive = false;
	r->last_minute = false;
}

bool rekey_set_persistent(struct rekey *r, uint16_t seconds)
{
	bool switched_on = !r->persistent_s && seconds;

	r->persistent_s = seconds;
	if (!seconds)
		r->persistent_us = NEVER_US;
	return switched_on;
}

bool rekey_may_initiate(const struct rekey *r, int64_t now_us)
{
	if (!r->initiated_us)
		return true;
	/* With its jitter, or two sides whose initiations crossed once would cross again every five seconds. */
	if (r->retransmit_us != NEVER_US && now_us < r->retransmit_us)
		return false;
	return now_us - r->initiated_us >= REKEY_TIMEOUT_S * US_PER_S;
}

void rekey_restart_attempts(struct rekey *r)
{
	r->attempts = 0;
}

void rekey_forget_sent(struct rekey *r)
{
	r->initiated_us = 0;
}

static int64_t jitter_us(const struct rng *rng)
{
	return (int64_t)rng_below(rng, REKEY_JITTER_MAX_MS + 1) * US_PER_MS;
}

void rekey_initiation_sent(struct rekey *r, int64_t now_us, const struct rng *rng)
{
	r->initiated_us = now_us;
	r->retransmit_us = now_us + REKEY_TIMEOUT_S * US_PER_S + jitter_us(rng);
}

void rekey_initiation_postponed(struct rekey *r, int64_t now_us)
{
	r->silence_us = now_us;
}

void rekey_response_sent(struct rekey *r, int64_t now_us)
{
	r->initiated_us = now_us;
}

void rekey_data_sent(struct rekey *r, int64_t now_us, const struct rng *rng)
{
	if (r->silence_us == NEVER_US)
		r->silence_us = now_us + (KEEPALIVE_TIMEOUT_S + REKEY_TIMEOUT_S) * US_PER_S + jitter_us(rng);
}

void rekey_data_received(struct rekey *r, int64_t now_us)
{
	if (r->keepalive_us == NEVER_US)
		r->keepalive_us = now_us + KEEPALIVE_TIMEOUT_S * US_PER_S;
	else
		r->another_keepalive = true;
}

void rekey_any_sent(struct rekey *r)
{
	r->keepalive_us = NEVER_US;
}

void rekey_any_received(struct rekey *r)
{
	r->silence_us = NEVER_US;
}

void rekey_any_traversed(struct rekey *r, int64_t now_us)
{
	if (r->persistent_s)
		r->persistent_us = now_us + r->persistent_s * US_PER_S;
}

void rekey_session_derived(struct rekey *r, int64_t now_us)
{
	r->wipe_us = now_us + 3 * REJECT_AFTER_S * US_PER_S;
}

void rekey_handshake_complete(struct rekey *r)
{
	r->retransmit_us = NEVER_US;
	r->attempts = 0;
	r->last_minute = false;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t rekey_next(const struct rekey *r)
{
	return earlier(earlier(earlier(r->retransmit_us, r->keepalive_us), earlier(r->silence_us, r->wipe_us)),
		       r->persistent_us);
}

static bool due(int64_t *deadline_us, int64_t now_us)
{
	if (*deadline_us > now_us)
		return false;
	*deadline_us = NEVER_US;
	return true;
}

/* 90 s of silence end the retries; the keys live on for a while, should the peer come back by itself. */
static unsigned int retransmit(struct rekey *r, int64_t now_us)
{
	if (r->attempts < REKEY_ATTEMPTS_MAX) {
		r->attempts++;
		return REKEY_RETRY;
	}
	r->keepalive_us = NEVER_US;
	if (r->wipe_us == NEVER_US)
		r->wipe_us = now_us + 3 * REJECT_AFTER_S * US_PER_S;
	return REKEY_GIVE_UP;
}

unsigned int rekey_expire(struct rekey *r, int64_t now_us)
{
	unsigned int actions = 0;

	if (due(&r->retransmit_us, now_us))
		actions |= retransmit(r, now_us);
	if (due(&r->keepalive_us, now_us)) {
		actions |= REKEY_KEEPALIVE;
		if (r->another_keepalive) {
			r->another_keepalive = false;
			r->keepalive_us = now_us + KEEPALIVE_TIMEOUT_S * US_PER_S;
		}
	}
	if (due(&r->silence_us, now_us))
		actions |= REKEY_INITIATE;
	if (due(&r->wipe_us, now_us))
		actions |= REKEY_WIPE;
	if (due(&r->persistent_us, now_us) && r->persistent_s)
		actions |= REKEY_KEEPALIVE;
	return actions;
}
