/* SPDX-License-Identifier: MIT */
/*
 * The flow table. Two sides remember each other: an entry the slot its flow was put on, a slot the flow that has it. Where they
 * disagree the slot was given to somebody else, which happens only after an idle gap, so the flow may be placed anew.
 *
 * Invariant: of two flows with packets within one gap of each other, both owners, no two own the same slot.
 */
#include "flow/table.h"

#include <stdlib.h>
#include <string.h>

struct flow_entry {
	uint64_t hash;			/* 0: free */
	const struct flow_slots *slots;	/* of which link */
	int64_t used_us;
	int16_t slot;			/* or FLOW_NONE */
	bool shared;			/* put on a slot somebody else has */
};

bool flow_table_init(struct flow_table *t, size_t flows)
{
	t->sets = flows / FLOW_WAYS;
	t->entries = calloc(flows, sizeof(*t->entries));
	return t->entries;
}

void flow_table_done(struct flow_table *t)
{
	free(t->entries);
	memset(t, 0, sizeof(*t));
}

static int64_t gap_of(const struct flow_slots *s)
{
	return s->gap_us > FLOW_GAP_MIN_US ? s->gap_us : FLOW_GAP_MIN_US;
}

void flow_slot_set(struct flow_slots *s, unsigned int slot, bool usable)
{
	struct flow_slot *v = &s->v[slot];

	if (v->usable == usable)
		return;
	*v = (struct flow_slot){ .usable = usable };
	s->usable = usable ? s->usable + 1 : s->usable - 1;
}

static bool is_free(const struct flow_slot *v, int64_t now_us, int64_t gap_us)
{
	return v->usable && (!v->owner || now_us - v->used_us > gap_us);
}

/* The flow's own slot, should it have one still, else the free one that was silent for longest. FLOW_NONE: all are taken. */
static int find_free(const struct flow_slots *s, uint64_t hash, int64_t now_us)
{
	int64_t gap_us = gap_of(s);
	int best = FLOW_NONE;

	for (unsigned int i = 0; i < s->count; i++) {
		const struct flow_slot *v = &s->v[i];

		if (v->usable && v->owner == hash)
			return (int)i;
		if (is_free(v, now_us, gap_us) && (best == FLOW_NONE || v->used_us < s->v[best].used_us))
			best = (int)i;
	}
	return best;
}

/* One of the usable slots, the same for the same flow as long as they stay. */
static int by_hash(const struct flow_slots *s, uint64_t hash)
{
	unsigned int nth;

	if (!s->usable)
		return FLOW_NONE;
	nth = (unsigned int)((hash >> 32) * s->usable >> 32);
	for (unsigned int i = 0; i < s->count; i++)
		if (s->v[i].usable && nth-- == 0)
			return (int)i;
	return FLOW_NONE;
}

/* The entry of the flow, or the one whose place it takes. */
static struct flow_entry *find_entry(struct flow_table *t, const struct flow_slots *s, uint64_t hash, bool *fresh)
{
	struct flow_entry *set = &t->entries[(hash & (t->sets - 1)) * FLOW_WAYS], *oldest = set;

	*fresh = false;
	for (struct flow_entry *e = set; e < set + FLOW_WAYS; e++) {
		if (e->hash == hash && e->slots == s)
			return e;
		if (e->used_us < oldest->used_us)
			oldest = e;
	}
	*fresh = true;
	return oldest;
}

static void take(struct flow_entry *e, struct flow_slots *s, int slot, bool shared, int64_t now_us)
{
	e->slot = (int16_t)slot;
	e->shared = shared;
	if (slot == FLOW_NONE)
		return;
	if (!shared)
		s->v[slot].owner = e->hash;
	s->v[slot].used_us = now_us;
}

/* Put a flow where it may stay. 'may_share': on a slot others have, when there is no free one. */
static void place(struct flow_entry *e, struct flow_slots *s, bool may_share, int64_t now_us)
{
	int slot = find_free(s, e->hash, now_us);

	if (slot != FLOW_NONE)
		take(e, s, slot, false, now_us);
	else
		take(e, s, may_share ? by_hash(s, e->hash) : FLOW_NONE, true, now_us);
}

/* Whether the flow is where it may stay for this packet. */
static bool settled(const struct flow_entry *e, const struct flow_slots *s, int64_t idle_us)
{
	const struct flow_slot *v;

	if (e->slot == FLOW_NONE || !s->v[e->slot].usable)
		return false;
	v = &s->v[e->slot];
	if (e->shared)
		return idle_us <= gap_of(s);
	return v->owner == e->hash;
}

struct flow_place flow_place(struct flow_table *t, struct flow_slots *s, uint64_t hash, int64_t now_us)
{
	bool fresh;
	struct flow_entry *e = find_entry(t, s, hash, &fresh);
	int64_t idle_us = now_us - e->used_us;
	bool may_share;

	if (fresh)
		*e = (struct flow_entry){ .hash = hash, .slots = s, .slot = FLOW_NONE };
	e->used_us = now_us;
	/* One that started on session 0 leaves that once it is clear that there will be no slot of its own. */
	may_share = s->complete && (e->slot == FLOW_NONE || idle_us > gap_of(s));
	if (fresh || !settled(e, s, idle_us))
		place(e, s, may_share, now_us);
	else
		s->v[e->slot].used_us = now_us;
	return (struct flow_place){ .slot = e->slot, .own = e->slot != FLOW_NONE && !e->shared };
}

void flow_table_forget(struct flow_table *t, const struct flow_slots *s)
{
	for (size_t i = 0; i < t->sets * FLOW_WAYS; i++)
		if (t->entries[i].slots == s)
			t->entries[i] = (struct flow_entry){ 0 };
}

/* Whether the flow is still where it was put; its slot may have been given away since, or be no longer usable. */
static bool is_there(const struct flow_entry *e, const struct flow_slots *s)
{
	return e->slot == FLOW_NONE || (s->v[e->slot].usable && (e->shared || s->v[e->slot].owner == e->hash));
}

void flow_table_use(const struct flow_table *t, const struct flow_slots *s, int64_t since_us, struct flow_use *v)
{
	memset(v, 0, (s->count + 1) * sizeof(*v));
	for (size_t i = 0; i < t->sets * FLOW_WAYS; i++) {
		const struct flow_entry *e = &t->entries[i];
		struct flow_use *use;

		if (!e->hash || e->slots != s || e->used_us < since_us || !is_there(e, s))
			continue;
		use = &v[e->slot == FLOW_NONE ? s->count : (unsigned int)e->slot];
		use->flows++;
		if (e->used_us > use->used_us)
			use->used_us = e->used_us;
	}
}

unsigned int flow_slots_free(const struct flow_slots *s, int64_t now_us)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < s->count; i++)
		count += is_free(&s->v[i], now_us, gap_of(s));
	return count;
}

enum flow_rest flow_slot_rest(const struct flow_slots *s, unsigned int slot, int64_t now_us)
{
	const struct flow_slot *v = &s->v[slot];

	if (!v->owner)
		return FLOW_SPARE;
	return now_us - v->used_us > gap_of(s) ? FLOW_IDLE : FLOW_BUSY;
}
