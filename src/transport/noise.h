/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TRANSPORT_NOISE_H
#define MESHD_TRANSPORT_NOISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/rng.h"
#include "crypto/blake2s.h"
#include "crypto/key.h"
#include "wire/wg.h"

/* The most initiations a peer may have us consume, a second (flood guard of the kernel's). */
enum { NOISE_INITIATIONS_PER_S = 50 };

/* Our own static key pair. */
struct noise_identity {
	bool set;
	uint8_t private_key[KEY_LEN];
	uint8_t public_key[KEY_LEN];
};

enum noise_state {
	NOISE_ZEROED,
	NOISE_CREATED_INITIATION,
	NOISE_CONSUMED_INITIATION,
	NOISE_CREATED_RESPONSE,
	NOISE_CONSUMED_RESPONSE,
};

/* One handshake with one peer: at most one is under way at any time. Embedded in its peer. */
struct noise_handshake {
	enum noise_state state;
	uint8_t remote_static[KEY_LEN];
	uint8_t static_static[KEY_LEN];	/* X25519 of both static keys */
	bool possible;			/* false: no identity, or a remote key of small order */
	uint8_t psk[KEY_LEN];

	uint8_t hash[BLAKE2S_LEN];
	uint8_t chaining_key[BLAKE2S_LEN];
	uint8_t ephemeral_private[KEY_LEN];
	uint8_t remote_ephemeral[KEY_LEN];
	uint32_t local_index, remote_index;

	/* Replay and flood guards; they outlive a single handshake. */
	uint8_t latest_timestamp[WG_TAI64N_LEN];
	int64_t consumed_us;		/* when an initiation was last taken; 0: never */
};

/* What an initiation says before its peer is known. On the stack of the caller; wiped by noise_accept_initiation(). */
struct noise_offer {
	uint8_t remote_static[KEY_LEN];
	uint8_t remote_ephemeral[KEY_LEN];
	uint8_t hash[BLAKE2S_LEN];
	uint8_t chaining_key[BLAKE2S_LEN];
	uint8_t timestamp_sealed[WG_TAI64N_LEN + 16];
	uint32_t remote_index;
};

/* What a finished handshake leaves: the keys of a session. Wipe after use. */
struct noise_keys {
	uint8_t send[KEY_LEN], receive[KEY_LEN];
	uint8_t exporter[KEY_LEN];	/* third output, for sub-sessions (doc/protocol.md) */
	uint32_t local_index, remote_index;
	bool initiator;
};

enum noise_verdict {
	NOISE_OK,
	NOISE_FORGED,		/* does not authenticate */
	NOISE_REPLAYED,		/* timestamp not newer than the last */
	NOISE_FLOODED,		/* too soon after the last */
	NOISE_UNEXPECTED,	/* no handshake of ours that this would answer */
};

/* Set our key; clears 'id' when 'private_key' is NULL. Afterwards call noise_handshake_rekey_static() for every peer. */
void noise_identity_set(struct noise_identity *id, const uint8_t *private_key);

/* Prepare for a peer; psk NULL is all zero. */
void noise_handshake_init(struct noise_handshake *hs, const struct noise_identity *id,
			  const uint8_t remote_static[KEY_LEN], const uint8_t *psk);

/* Compute the static-static secret again after our key changed; forgets the handshake under way. */
void noise_handshake_rekey_static(struct noise_handshake *hs, const struct noise_identity *id);

/* Forget the handshake under way and wipe its secrets; guards and static secrets stay. */
void noise_handshake_clear(struct noise_handshake *hs);

/* Wipe everything. */
void noise_handshake_done(struct noise_handshake *hs);

/*
 * First message. 'timestamp' must be newer than any sent to this peer before. False: not possible
 * with these keys.
 */
bool noise_create_initiation(struct noise_handshake *hs, const struct noise_identity *id,
			     uint32_t local_index, const uint8_t timestamp[WG_TAI64N_LEN],
			     const struct rng *rng, struct wg_initiation *m);

/* Open an initiation as far as the sender's static key. Touches no handshake. */
enum noise_verdict noise_read_initiation(struct noise_offer *offer, const struct noise_identity *id,
					 const struct wg_initiation *m);

/*
 * The second half, once the caller has found the peer of offer->remote_static. The handshake changes on NOISE_OK
 * only. Wipes the offer.
 */
enum noise_verdict noise_accept_initiation(struct noise_handshake *hs, struct noise_offer *offer,
					   int64_t now_us);

/* Second message; hs must hold a consumed initiation. False: not possible. */
bool noise_create_response(struct noise_handshake *hs, uint32_t local_index,
			   const struct rng *rng, struct wg_response *m);

/* Take the answer to our initiation. The handshake changes on NOISE_OK only. */
enum noise_verdict noise_consume_response(struct noise_handshake *hs, const struct noise_identity *id,
					  const struct wg_response *m);

/* Derive the session of a finished handshake and clear the handshake. False: not finished. */
bool noise_begin_session(struct noise_handshake *hs, struct noise_keys *keys);

/*
 * A TAI64N stamp of 'wall_ns', whitened to 2^24 ns so that it tells no more than WireGuard's does, and
 * at least one step behind 'last' (WG_TAI64N_LEN bytes, updated) so that it grows even if the clock was set back.
 */
void noise_timestamp(uint8_t last[WG_TAI64N_LEN], int64_t wall_ns);

#endif
