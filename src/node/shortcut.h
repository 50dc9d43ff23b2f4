/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_SHORTCUT_H
#define MESHD_NODE_SHORTCUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/lpm.h"

struct lane_peer;

/*
 * Owners: whose a prefix is by the records of the mesh, beside routes (fib.h) and allowed IPs. For the lanes, changed while all gates are closed:
 *
 *	from the TUN	a packet that Babel's route (or nothing) sends to another peer than the owner of its destination: noted, so that the node opens a
 *			shortcut; and sent by the shortcut instead where one stands. Only what has a source of our own record; never transit
 *	from a peer	what the owner of its source sends itself is accepted, whoever announces it
 *
 * Notes are a counter each that the lane writes and the node reads: relaxed atomics, no lock.
 */
struct owner {
	struct ip_prefix prefix;
	struct lane_peer *peer;		/* NULL: it is ours */
	bool shortcut;			/* packets for it may go to the peer itself; set by the node */
	_Atomic uint32_t wanted;	/* packets for it that went, or would go, another way; wraps */
	_Atomic uint32_t used;		/* that went by the shortcut */
	struct owner *next;		/* of the same peer's, in lane_peer.owned */
	size_t place;			/* in owners.v */
};

struct owners {
	struct lpm table;		/* prefix to struct owner; all zero is empty */
	struct owner **v;
	size_t count, size;
};

void owners_clear(struct owners *o);
/* Exactly this prefix is the peer's; who had it has it no more. NULL: no memory. */
struct owner *owners_set(struct owners *o, const struct ip_prefix *p, struct lane_peer *peer);
void owners_remove(struct owners *o, const struct ip_prefix *p);
void owners_forget_peer(struct owners *o, const struct lane_peer *peer);
struct owner *owners_lookup(const struct owners *o, uint8_t family, const uint8_t *addr);

/* Counts of all the peer's prefixes since the last call. Returns whether there are any prefixes of its. */
bool owners_take(const struct lane_peer *peer, uint32_t *wanted, uint32_t *used);

/* Whether packets for this peer may go to it by a shortcut. Gates closed. */
void owners_set_shortcut(const struct lane_peer *peer, bool on);

#endif
