/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_RIB_H
#define MESHD_NODE_RIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/slab.h"
#include "node/fib.h"
#include "node/routing.h"

struct lane_peer;

/*
 * What routing decided of every prefix pair, before it is in the tables that forward: the lanes' (node/fib.h) and the kernel's. An entry that
 * changed is on a list for either until it was carried over, so what changes twice between two turns is carried over once.
 *
 * Also who announced a pair lately: the source check goes on to accept a neighbour for RIB_LINGER_US after it stopped.
 */
#define RIB_LINGER_US (30 * US_PER_S)

enum { RIB_LINGER_MAX = BABEL_PREFIXES_MAX };	/* entries up to which announcers linger: so there are never more than twice as many */

struct rib_announcer {
	struct lane_peer *peer;
	int64_t until_us;		/* NEVER_US: announces; else it did, and counts until then */
};

struct rib_entry {
	struct rib_entry *next, *fib_next, *kernel_next;
	struct lane_peer *peer;		/* FIB_PEER */
	struct rib_announcer *announcers;
	uint16_t announcer_count, announcer_size;
	uint32_t ifindex;
	struct ip_addr gateway;
	uint8_t action;			/* enum fib_action */
	uint8_t kind;			/* enum node_route_kind: the kernel's view */
	bool for_fib : 1, for_kernel : 1;	/* on the lists below */
	bool in_kernel : 1;		/* the kernel was told of a route */
	struct prefix_pair prefix;
};

struct rib {
	uint8_t key[16];		/* of the hash; random */
	struct rib_entry **buckets;
	size_t bucket_count, count;
	struct slab entries;
	struct rib_entry *fib_first, *fib_last, *kernel_first, *kernel_last;
	size_t lingering;		/* about how many announcers are not NEVER_US; 0 only if none is */
};

void rib_done(struct rib *r);

/* The entry of a pair, made if need be. NULL: no memory. (There may be a hundred thousand.) */
struct rib_entry *rib_get(struct rib *r, const struct prefix_pair *p);

/* It changed: put it on both lists. */
void rib_changed(struct rib *r, struct rib_entry *e);

/*
 * Exactly 'count' peers announce the pair at 'now_us'; who did before lingers. False: no memory, and some may be missing. The entry is
 * gone afterwards if there is nothing in it.
 */
bool rib_set_announcers(struct rib *r, struct rib_entry *e, struct lane_peer *const *peers, size_t count, int64_t now_us);

/* End what has lingered long enough; the entries are on the list for the lanes then. */
void rib_expire(struct rib *r, int64_t now_us);

/* The peer goes: nothing names it any more. Routes over it become none, and all of these are on both lists. */
void rib_forget_peer(struct rib *r, const struct lane_peer *peer);

/* No route and no announcer any more: the speaker begins anew. */
void rib_reset(struct rib *r);

/* Have the route of this pair, if there is one, go to the kernel again. */
void rib_kernel_again(struct rib *r, const struct prefix_pair *p);

/*
 * Carry up to 'max' changes over to the lanes' table, whose gates are closed. True: there are more, to go on with. False with some left: no memory,
 * try again another time.
 */
bool rib_to_fib(struct rib *r, struct fib *f, unsigned int max);

/* The next change for the kernel. False: none. */
bool rib_to_kernel(struct rib *r, struct node_route *route);

#endif
