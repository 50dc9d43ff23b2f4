/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_GOSSIP_H
#define MESHD_EXCHANGE_GOSSIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/rng.h"
#include "exchange/message.h"
#include "exchange/store.h"

/*
 * Gossip: keeping the store the same as those of the neighbours, which are the nodes we have a session with. What is new is pushed once to each
 * neighbour that is not known to have it. What is lost is found by summaries, which go out when something changed and GOSSIP_SUMMARY_S apart: a
 * different one is answered by digests, a different digest by a list of ids, a list by another one or by wants, a want by items. Each answer is
 * about less than what it answers, and wants are asked of one neighbour at a time: so every exchange ends, and nothing comes twice but by
 * accident. All that goes to a neighbour is held to a rate; where two stores cannot become the same (a clock, a full table) they compare ever
 * more seldom; so they do where a neighbour has items of a later version, which are not taken, and asked for once. Pure: messages, time and random bytes in; messages and deadlines out.
 */
struct gossip;

enum {
	GOSSIP_NEIGHBOURS_MAX = 64,	/* more are not gossiped with */
	GOSSIP_SUMMARY_S = 60,		/* between summaries to a neighbour where nothing changes, give or take a quarter */
	GOSSIP_CHANGED_MS = 3000,	/* and so long after a change: what was pushed may have been lost */
	GOSSIP_APART_S = 5,		/* but so long after the last at the earliest */
	GOSSIP_COMPARE_MS = 1000,	/* between comparisons with a neighbour, doubled while nothing comes of it, up to GOSSIP_SUMMARY_S, */
	GOSSIP_SAME_S = 600,		/* or this, where both have what they had the last time */
	GOSSIP_PUSH_MS = 50,		/* what is new waits up to this, a random time: the neighbour may send it first */
	GOSSIP_BURST = 65536,		/* bytes to a neighbour at once, */
	GOSSIP_RATE = 16384,		/* and a second */
	GOSSIP_TAKEN_RATE = 200,	/* items of a neighbour that are verified a second: a signature costs something */
	GOSSIP_QUEUE_MAX = 256,		/* items that wait to go to a neighbour */
	GOSSIP_WANTS_MAX = 256,		/* that shall be asked of it */
	GOSSIP_WANTS_OUT = 48,		/* asked of it and not there yet */
	GOSSIP_ASK_MS = 2000,		/* what did not come for so long is asked for again, */
	GOSSIP_ASK_TRIES = 4,		/* so often in all */
	GOSSIP_PARTIAL_MAX = 4,		/* long items of a neighbour that are incomplete */
	GOSSIP_REFUSED_S = 5,		/* what was refused is not wanted again for so long, each time twice as long, */
	GOSSIP_OLD_S = 600,		/* up to this; at once what is old */
	GOSSIP_MEMORY = 256,		/* ids that are remembered of a neighbour, of what it has, and of what was refused */
	GOSSIP_LISTS_MAX = 64,		/* of its lists that wait for an answer */
};

/* 's' stays the caller's, and is changed by what comes in. NULL: no memory. */
struct gossip *gossip_new(struct store *s, const struct rng *rng, const struct log *log);
void gossip_free(struct gossip *g);

/* A neighbour with a session that speaks the exchange came or went. A new one gets a summary at once. False: too many. */
bool gossip_neighbour(struct gossip *g, const uint8_t public_key[KEY_LEN], bool there, struct instant now);

/* A message of one of the kinds up to MESSAGE_PIECE came from a neighbour. */
void gossip_receive(struct gossip *g, const uint8_t from[KEY_LEN], const struct message *m, struct instant now);

/* Something was added to the store by somebody else (minted, imported): it is pushed. */
void gossip_added(struct gossip *g, struct instant now);

void gossip_turn(struct gossip *g, struct instant now);
int64_t gossip_deadline(const struct gossip *g);

/* The next message to send: kind 4, whole. False: none, or none that the rate allows now. */
bool gossip_next(struct gossip *g, uint8_t to[KEY_LEN], uint8_t msg[MESSAGE_MAX], size_t *len, struct instant now);

/* For status and tests. */
struct gossip_info {
	size_t later;			/* items of kinds of a later version that others have: the last ones */
	size_t neighbours, in_step;	/* of them, those whose last summary was as ours */
	uint64_t sent, received, sent_bytes, received_bytes, items_taken, items_refused;
	const char *last_refused;	/* why; NULL: none was */
};
void gossip_info(const struct gossip *g, struct gossip_info *info);

#endif
