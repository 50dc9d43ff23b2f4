/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_MAC_H
#define MESHD_BABEL_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/rng.h"
#include "wire/babel.h"

struct babel_key;

/* Authentication of packets (RFC 8967), with the relaxed counters of RFC 9467: one for multicast, one for unicast, with a window. */
#define BABEL_CHALLENGE_US (30 * US_PER_S)		/* how long a challenge may be answered */
#define BABEL_CHALLENGE_GAP_US (300 * US_PER_MS)	/* between two challenges, or two answers, of one neighbour */
#define BABEL_MAC_FORGET_US (300 * US_PER_S)		/* after the last packet that was accepted */

enum {
	BABEL_OWN_INDEX_LEN = 8,
	BABEL_OWN_NONCE_LEN = 10,
	BABEL_PC_WINDOW = 128,
};

/* Ours, of one interface. */
struct babel_mac_own {
	bool set;			/* index is drawn */
	uint8_t index[BABEL_OWN_INDEX_LEN];
	uint32_t pc;			/* of the last packet sent */
};

/* A counter with its window. */
struct babel_pc {
	uint32_t highest;
	uint64_t window[BABEL_PC_WINDOW / 64];
};

/* A neighbour's. */
struct babel_mac_peer {
	int index_len;			/* -1: none yet; 0 is a legal index (M3b) */
	uint8_t index[BABEL_INDEX_MAX];
	struct babel_pc multicast, unicast;
	bool challenged;		/* a nonce is out */
	uint8_t nonce[BABEL_OWN_NONCE_LEN];
	int64_t challenge_us, reply_us;	/* when the last went out; 0: never */
	int64_t accepted_us;
};

void babel_mac_peer_init(struct babel_mac_peer *p);

/* Draw a new index, and begin counting. */
void babel_mac_own_init(struct babel_mac_own *o, const struct rng *rng);

/* The MAC of a packet's first 'len' bytes (babel_body_end()) between these addresses, both ports BABEL_PORT. Returns its length, 32 or 16. */
uint8_t babel_mac(uint8_t out[BABEL_MAC_MAX], const struct babel_key *key, const struct ip_addr *src, const struct ip_addr *dst,
		  const uint8_t *packet, size_t len);

/* Whether a MAC in the trailer is one of a key of ours: a MAC is computed once a key, whatever the packet brings. Constant time. */
bool babel_mac_check(const struct babel_key *keys, unsigned int count, const struct ip_addr *src, const struct ip_addr *dst,
		     const uint8_t *packet, size_t len);

enum babel_mac_verdict {
	BABEL_MAC_ACCEPT,
	BABEL_MAC_DROP,
	BABEL_MAC_CHALLENGE,		/* drop, and send a challenge with p->nonce, which was drawn */
};

/*
 * Judge a packet whose MAC was right by its PC and challenges (RFC 8967 4.3). 'reply' is filled with the nonce of a Challenge Request that
 * shall be answered by unicast at once, NULL when there is none.
 */
struct babel_mac_reply {
	const uint8_t *nonce;
	uint8_t len;
};

enum babel_mac_verdict babel_mac_judge(struct babel_mac_peer *p, const uint8_t *packet, size_t len, const struct ip_addr *src,
				       bool multicast, int64_t now_us, const struct rng *rng, struct babel_mac_reply *reply);

#endif
