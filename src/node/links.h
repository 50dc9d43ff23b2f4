/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_LINKS_H
#define MESHD_NODE_LINKS_H

#include <stdbool.h>

#include "node/lane.h"

/*
 * What the node does to a peer in all of its lanes at once: keypairs and sub-sessions. Every lane has each keypair before anybody may
 * send with it, and nobody has it any more when it is wiped: for the gates are closed in between.
 *
 * All functions are the control plane's. 'lanes' are the node's, 'count' of them.
 */

/* Links of a new peer, one a lane. False: no memory. */
bool links_init(struct lane_peer *p, unsigned int home, unsigned int count);

/* Forget keys, packets, everything. */
void links_done(struct lane *lanes, unsigned int count, struct lane_peer *p);

/* Use a new session, with the sub-sessions the peer has. Takes 'k' over, also on failure (false: no memory, and nothing changed). */
bool links_install(struct lane *lanes, unsigned int count, struct lane_peer *p, struct keypair *k);

/* A lane has heard on a keypair we answered for: use it everywhere. Nothing happens if that is known already. */
void links_confirm(struct lane *lanes, unsigned int count, struct lane_peer *p);

/* Forget every key of the peer. */
void links_clear(struct lane *lanes, unsigned int count, struct lane_peer *p);

/* Tell all lanes where the peer is, as its home lane has it. */
void links_spread_path(struct lane *lanes, unsigned int count, struct lane_peer *p);

/*
 * Have the control sub-session and those from 1 to 'subs' in every keypair, and places for flows on them - unusable at first. What is there
 * stays as it is. False: no memory; what was made stays.
 */
bool links_open_subs(struct lane *lanes, unsigned int count, struct lane_peer *p, unsigned int subs);

/* Say whether flows may be put on sub-session 'number' (1 to sub_count). */
void links_set_usable(struct lane *lanes, unsigned int count, struct lane_peer *p, unsigned int number, bool usable);
bool links_usable(const struct lane_peer *p, unsigned int count, unsigned int number);

/* What flows are on it: the gate of its lane is closed. */
enum flow_rest links_rest(const struct lane_peer *p, unsigned int count, unsigned int number, int64_t now_us);

#endif
