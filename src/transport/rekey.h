/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TRANSPORT_REKEY_H
#define MESHD_TRANSPORT_REKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

/* WireGuard's constants (whitepaper section 6.1), in seconds and messages. */
enum {
	REKEY_AFTER_S = 120,
	REJECT_AFTER_S = 180,
	REKEY_ATTEMPT_S = 90,
	REKEY_TIMEOUT_S = 5,
	REKEY_JITTER_MAX_MS = 333,
	KEEPALIVE_TIMEOUT_S = 10,
	REKEY_ATTEMPTS_MAX = REKEY_ATTEMPT_S / REKEY_TIMEOUT_S,
};
#define REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))

/* What has to be done when timers fire; a set of bits. */
enum rekey_action {
	REKEY_INITIATE = 1,	/* send an initiation, unless one was sent within REKEY_TIMEOUT */
	REKEY_RETRY = 2,	/* the same as one more attempt; forget the local address used */
	REKEY_GIVE_UP = 4,	/* retries ended: drop the packets that wait */
	REKEY_KEEPALIVE = 8,	/* send an empty packet */
	REKEY_WIPE = 16,	/* forget the handshake and every key */
};

/*
 * The five timers of a peer and nothing else of it. Deadlines in microseconds, NEVER_US when
 * not running. Verbs say what happened; they alone arm and disarm.
 *
 *   retransmit   an initiation went out; again 5 s (and jitter) later, for 90 s
 *   keepalive    data came in and nothing went out for 10 s
 *   silence      data went out and nothing came in for 15 s: a new handshake
 *   wipe         three times REJECT_AFTER after the last session
 *   persistent   the peer's PersistentKeepalive
 */
struct rekey {
	int64_t retransmit_us, keepalive_us, silence_us, wipe_us, persistent_us;
	int64_t initiated_us;	/* last handshake message sent; 0: none in this life */
	uint32_t attempts;
	uint16_t persistent_s;
	bool another_keepalive;
	bool last_minute;	/* a handshake was begun because the receive key is about to end */
};

void rekey_init(struct rekey *r);

/* Stop everything, as when the interface goes down. */
void rekey_stop(struct rekey *r);

/* Change PersistentKeepalive; 0 is off. Returns true when a keepalive shall go out now (it was switched on). */
bool rekey_set_persistent(struct rekey *r, uint16_t seconds);

/* Whether an initiation may go out now: none did within REKEY_TIMEOUT, and if one waits to be repeated it is time for that. */
bool rekey_may_initiate(const struct rekey *r, int64_t now_us);

/* A new reason, not a retry: attempts start over. Call when a session is wanted, whether an initiation may go out now or not. */
void rekey_restart_attempts(struct rekey *r);

/* Our key changed: what was sent with the old one holds nothing back. */
void rekey_forget_sent(struct rekey *r);

/* The events, named as in kernel WireGuard's timers.h. */
void rekey_initiation_sent(struct rekey *r, int64_t now_us, const struct rng *rng);
void rekey_initiation_postponed(struct rekey *r, int64_t now_us);	/* no room to send it: again as soon as possible */
void rekey_response_sent(struct rekey *r, int64_t now_us);
void rekey_data_sent(struct rekey *r, int64_t now_us, const struct rng *rng);
void rekey_data_received(struct rekey *r, int64_t now_us);
void rekey_any_sent(struct rekey *r);
void rekey_any_received(struct rekey *r);
void rekey_any_traversed(struct rekey *r, int64_t now_us);
void rekey_session_derived(struct rekey *r, int64_t now_us);
void rekey_handshake_complete(struct rekey *r);

/* The earliest deadline, or NEVER_US. */
int64_t rekey_next(const struct rekey *r);

/* Fire what is due; returns the actions (enum rekey_action) to carry out. */
unsigned int rekey_expire(struct rekey *r, int64_t now_us);

#endif
