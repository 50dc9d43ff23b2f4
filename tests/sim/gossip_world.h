/* SPDX-License-Identifier: MIT */
#ifndef MESHD_GOSSIP_WORLD_H
#define MESHD_GOSSIP_WORLD_H

#include "exchange/gossip.h"
#include "exchange/mint.h"
#include "exchange/store.h"

/*
 * Many stores that gossip, in virtual time: nodes are a store and a gossip core each, links carry messages with random delays and lose some. What a message costs is its
 * length and WORLD_OVERHEAD, which is about what the transport, UDP and IP add. Everything comes from the seed: a run is repeatable.
 */
enum {
	WORLD_NODES_MAX = 512,
	WORLD_DEGREE_MAX = 8,
	WORLD_OVERHEAD = 60,
	WORLD_START_S = 1800000000,	/* Unix time at the beginning */
};

struct world_link {
	size_t to;
	bool up;			/* a session; the same at both ends */
};

struct world_node {
	struct world *world;
	size_t number;
	uint8_t public_key[KEY_LEN], seed[SIGN_SEED_LEN], sign_key[SIGN_KEY_LEN];
	struct store *store;		/* NULL: it has not joined */
	struct gossip *gossip;		/* NULL: it is off */
	struct world_link links[WORLD_DEGREE_MAX];
	size_t degree;
	int64_t clock_us;		/* its wall clock is off by so much */
	int64_t wake_us;
	uint64_t sequence;		/* of its last self record; 0: none */
	uint64_t bytes, messages;	/* sent, since world_count() */
	uint64_t second_bytes, peak_bytes;	/* in this second; in the worst */
	int64_t second;
};

struct world {
	struct world_node nodes[WORLD_NODES_MAX];
	size_t count;
	int64_t now_us;
	uint64_t random;
	unsigned int loss;		/* of 10000 */
	size_t selves;			/* each how manyth that joins makes a self record at once */
	uint8_t mesh[SIGN_KEY_LEN], mesh_seed[SIGN_SEED_LEN];
	struct world_event *events;	/* a heap */
	size_t event_count, event_size;
	uint64_t order, turns;
	uint64_t sent[MESSAGE_JOIN + 1];	/* messages, by kind */
};

/* 'count' nodes in a random connected graph of degree 3 to 8, none of which has joined; the first has the right to sign. */
struct world *world_new(size_t count, uint64_t seed, unsigned int loss, int64_t clock_s);
void world_free(struct world *w);

uint32_t world_random(struct world *w, uint32_t below);
struct instant world_clock(const struct world_node *n);

/* The first node: record by the mesh key, delegation. */
void world_found(struct world *w);
/* A record for 'number', minted at a node that is on; the node joins with that and the delegation alone, and makes a self record, if it is its turn. */
void world_join(struct world *w, size_t number, size_t at);
/* Make a new self record. */
void world_self(struct world *w, size_t number);
/* Revoke a node, by the one that may sign; at what time it was. */
void world_revoke(struct world *w, size_t number);
/* Switch off, keeping the store; and on again. */
void world_off(struct world *w, size_t number);
void world_on(struct world *w, size_t number);
/* Which halves may talk to each other: links from below 'border' to above end or come back. */
void world_cut(struct world *w, size_t border, bool cut);

void world_run(struct world *w, int64_t until_us);
/* Start counting bytes anew. */
void world_count(struct world *w);

/* Whether all that are on have the same items, among them the newest record and self record of every node that has joined, revoked ones aside. */
bool world_is_complete(const struct world *w, const uint8_t *revoked);
/* Run until it is, looked at 'step_us' apart; how long that took, or -1: longer than 'most_us'. */
int64_t world_settle(struct world *w, int64_t step_us, int64_t most_us, const uint8_t *revoked);

/* Signatures that were verified, and of them those that were not known from before (the test is linked so that sign_check() is ours). */
extern uint64_t world_checks, world_real_checks;

#endif
