/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TRANSPORT_SESSION_H
#define MESHD_TRANSPORT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key.h"
#include "transport/replay.h"
#include "wire/wg.h"

struct aead;
struct noise_keys;

enum {
	SUB_SESSIONS_MAX = 126,		/* beside 0 and the control sub-session */
	SUB_SESSION_CONTROL = 127,
	SUB_SESSIONS = 128,
};

/*
 * One numbered slice of a session: keys, counter and window of its own (doc/protocol.md, "Sub-sessions"). Belongs to one lane, which
 * alone seals and opens with it.
 */
struct subsession {
	struct aead *sealer, *opener;
	uint64_t counter;		/* of the next message to send */
	struct replay replay;		/* counters received */
};

/*
 * The keys of one handshake, for both directions. On the heap; belongs to the session it is installed in. Lanes share it; what one of
 * them writes is in its own sub-sessions.
 */
struct keypair {
	struct subsession zero;		/* the WireGuard session itself */
	struct subsession **subs;	/* SUB_SESSIONS, those that were made; NULL: none */
	uint32_t local_index, remote_index;
	int64_t born_us;
	bool initiator;			/* we began the handshake, so we renew it */
	uint8_t exporter[KEY_LEN];	/* secret for sub-sessions */
	void *owner;			/* whose session this is; set by who installs it */
};

/*
 * The keypairs of one peer (whitepaper section 6.3). We send with 'current'. 'next' is one we answered for, and not yet
 * heard on: hearing on it makes it current. 'previous' still opens what was on its way.
 */
struct session {
	struct keypair *previous, *current, *next;
};

/* Keypairs a change of session left behind; the caller forgets their indices and then frees them. */
struct session_dropped {
	struct keypair *v[3];
	size_t count;
};

enum keypair_advice {
	KEYPAIR_FINE,
	KEYPAIR_REKEY,		/* works, but a new handshake is due */
	KEYPAIR_EXPIRED,	/* must not be used any more */
};

/* NULL: no memory. */
struct keypair *keypair_new(const struct noise_keys *keys, int64_t now_us);

/* Wipe and free; NULL is fine. */
void keypair_free(struct keypair *k);

/*
 * Make the control sub-session and those from 1 to 'count' that are not there yet. False: no memory; what was made stays. Not for the
 * packet path: the lanes that use 'k' stand still meanwhile.
 */
bool keypair_open_subs(struct keypair *k, unsigned int count);

/* Whether the other side's index has room for the number of a sub-session: else it is no meshd. */
static inline bool keypair_may_extend(const struct keypair *k)
{
	return !(k->remote_index & WG_INDEX_SUB_SESSION);
}

/* Sub-session 'number' (below SUB_SESSIONS), or NULL where it was not made. */
static inline struct subsession *keypair_sub(struct keypair *k, unsigned int number)
{
	if (number == 0)
		return &k->zero;
	return k->subs ? k->subs[number] : NULL;
}

/*
 * Whether sub-session 's' of 'k' may seal now, by the age of the session and its own count. The initiator is told to renew after
 * REKEY_AFTER.
 */
enum keypair_advice keypair_sending(const struct keypair *k, const struct subsession *s, int64_t now_us);

/*
 * Whether 'k' may open now. The initiator is told to renew when the key is about to end while only
 * receiving (REJECT_AFTER less the time a handshake may need).
 */
enum keypair_advice keypair_receiving(const struct keypair *k, int64_t now_us);

/* Put in the keypair of a handshake that just ended. */
void session_install(struct session *s, struct keypair *k, struct session_dropped *dropped);

/* An authenticated packet came in on 'k'. True when that confirmed it: it is current now. */
bool session_confirm(struct session *s, struct keypair *k, struct session_dropped *dropped);

/* Take all keypairs out. */
void session_clear(struct session *s, struct session_dropped *dropped);

#endif
