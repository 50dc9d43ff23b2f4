/* SPDX-License-Identifier: MIT */
#ifndef MESHD_FLOW_TABLE_H
#define MESHD_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which sub-session a flow has. A flow is a keyed hash of its inner 5-tuple (wire/flow_key.h), taken for the flow itself: 64 bits, never
 * 0. A new flow takes a sub-session nobody has; only when all there will be are taken do flows share, by hash. A flow that had to
 * start on sub-session 0 leaves it once, when one is free; after that it moves only across an idle gap, when nothing of it can be on
 * the way any more, or when its sub-session is no longer usable.
 *
 * The table is a fixed, set-associative array: a flow that finds its set full takes the place of the one that was silent for
 * longest. A flow that was forgotten is placed anew; its sub-session remembers who had it. Belongs to one lane.
 */
enum {
	FLOW_WAYS = 8,
	FLOW_NONE = -1,			/* no sub-session: 0 it is */
	FLOW_GAP_MIN_US = 50000,	/* an idle gap is twice the round trip and at least this */
};

/* A sub-session, as far as placing goes. */
struct flow_slot {
	uint64_t owner;			/* the flow that has it; 0: nobody yet */
	int64_t used_us;		/* when a packet of any flow last went on it */
	bool usable;			/* it was heard on, and is worth putting flows on */
};

/* Those of one link in one lane. All zero: none. */
struct flow_slots {
	struct flow_slot *v;
	unsigned int count;
	unsigned int usable;		/* how many are: flow_slot_set() keeps count */
	int64_t gap_us;			/* idle gap of this link; 0: FLOW_GAP_MIN_US */
	bool complete;			/* no more are on their way: flows that find none free share */
};

struct flow_table {
	struct flow_entry *entries;
	size_t sets;			/* a power of two */
};

struct flow_place {
	int slot;			/* in the slots' array, or FLOW_NONE */
	bool own;			/* it is this flow's alone, as far as we know */
};

/* Room for 'flows' (a power of two, at least FLOW_WAYS). False: no memory. Memory that no flow reached is not touched. */
bool flow_table_init(struct flow_table *t, size_t flows);
void flow_table_done(struct flow_table *t);

/* Say whether a slot may have flows. One that may no longer loses its owner. */
void flow_slot_set(struct flow_slots *s, unsigned int slot, bool usable);

/* Where a packet of flow 'hash' to the link of 's' goes, at 'now_us'; counts as use. For every packet: no more than FLOW_WAYS + s->count steps. */
struct flow_place flow_place(struct flow_table *t, struct flow_slots *s, uint64_t hash, int64_t now_us);

/* The link goes away: forget its flows. */
void flow_table_forget(struct flow_table *t, const struct flow_slots *s);

/* Who is on a slot. */
struct flow_use {
	unsigned int flows;
	int64_t used_us;		/* last packet of any of them; 0: there are none */
};

/*
 * The flows of a link that had a packet since 'since_us': those on each of its slots in v[0] to v[s->count - 1], those on none in v[s->count].
 * Looks at the whole table: for people who ask, not for packets.
 */
void flow_table_use(const struct flow_table *t, const struct flow_slots *s, int64_t since_us, struct flow_use *v);

/* What is on a slot now. */
enum flow_rest {
	FLOW_SPARE,			/* nobody has had it */
	FLOW_IDLE,			/* nothing for an idle gap: who comes back is placed anew, and nothing of it is on the way */
	FLOW_BUSY,
};
enum flow_rest flow_slot_rest(const struct flow_slots *s, unsigned int slot, int64_t now_us);

/* Usable slots nobody has used for an idle gap. */
unsigned int flow_slots_free(const struct flow_slots *s, int64_t now_us);

#endif
