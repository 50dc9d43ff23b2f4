/* SPDX-License-Identifier: MIT */
#ifndef MESHD_FLOW_FQ_H
#define MESHD_FLOW_FQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/codel.h"

/*
 * The queue of one lane: FQ-CoDel (RFC 8290) over the flows of many links. Every flow of every link is one queue with a CoDel of
 * its own; links take turns by bytes, and so do flows in a link. An item may be a super-packet, of which CoDel drops one packet
 * and the sender sends as many as its turn allows.
 *
 * It moves pointers only: items are the owner's memory. No allocation after fq_init(), no clock, no lock: belongs to one lane.
 */

enum {
	FQ_FLOWS_MAX = 1024,		/* in the pool: also the usual size */
	FQ_QUANTUM = 1514,		/* bytes of a turn, until fq_set_quantum() */
	FQ_QUANTUM_MIN = 256,
	FQ_OVERFLOW_BATCH = 64,		/* items dropped at once where room is short */
	FQ_CODEL_BATCH = 64,		/* packets CoDel drops before it lets one go */
	FQ_BUCKETS = 320,		/* flows by size: 8 an octave, to 2^41 bytes */
};

/* The inner packet's ECN field (RFC 3168). */
enum fq_ecn {
	FQ_NOT_ECT = 0,
	FQ_ECT1 = 1,
	FQ_ECT0 = 2,
	FQ_CE = 3,
};

/* Why an item or packet goes. */
enum fq_reason {
	FQ_CODEL,		/* it waited too long */
	FQ_OVERFLOW,		/* the queue is full and its flow the fattest */
	FQ_OLDEST,		/* too many wait for a session */
	FQ_PURGED,		/* the link wants none of it any more */
};

/*
 * What waits. At the head of the memory that holds a packet or super-packet. The owner fills len, packet_len, memory and
 * ecn; the rest is the queue's. While an item is queued the owner changes len and packet_len only where said below.
 */
struct fq_item {
	struct fq_item *next;		/* in its flow */
	struct fq_item *older, *newer;	/* in its tin */
	struct fq_flow *flow;
	int64_t queued_us;
	uint32_t len;			/* bytes it will still cost on the wire */
	uint32_t packet_len;		/* what its first packet costs: the smallest send or drop */
	uint32_t memory;		/* bytes it holds */
	uint8_t ecn;			/* enum fq_ecn */
};

/* What the owner of the items does for the queue. Must not call back into it. */
struct fq_ops {
	/*
	 * whole: the item is out of the queue and the callee's again; the answer does not matter. Otherwise take the first packet off,
	 * set len and packet_len to what is left, and return true; or, if nothing is left, return false: then the item is the callee's.
	 */
	bool (*drop)(void *ctx, struct fq_item *item, bool whole, enum fq_reason reason);
	/* Set CE on all that is left of the item, which stays queued. The queue sets item->ecn itself. */
	void (*mark)(void *ctx, struct fq_item *item);
};

struct fq_link {
	struct fq_link *prev, *next;
};

/* One queue. In the pool, or a tin's own. */
struct fq_flow {
	struct fq_link turn;		/* in the tin's list of new or old flows */
	struct fq_item *head, *tail;
	struct fq_tin *tin;		/* whose it is while listed, whose it was last otherwise */
	int64_t deficit;
	uint64_t bytes;			/* sum of len */
	struct fq_link size;		/* among the flows of about the same size */
	uint16_t bucket;		/* which these are; meaningless while empty */
	bool listed, is_new;		/* in one of the tin's lists, and which */
	struct codel codel;
};

/* A link's share of the queue. Embedded in the link; at a fixed address. */
struct fq_tin {
	struct fq_link turn;		/* in the queue's list of new or old tins */
	struct fq_link new_flows, old_flows;
	struct fq_item *oldest, *newest;
	struct fq_flow fallback;	/* used when a hash lands on another tin's flow */
	uint64_t strays[FQ_FLOWS_MAX / 64];	/* for which places of the pool it stands in; none: empty */
	bool has_strays;
	int64_t deficit;
	int64_t ready_us;		/* what was queued before began to wait only now */
	size_t items;
	uint64_t bytes;
	size_t items_max;		/* while blocked; 0: no bound of its own */
	bool listed, is_new;
	bool blocked;
};

/* Bounds over all tins; at least 1. */
struct fq_limits {
	size_t items_max;
	uint64_t memory_max;		/* bytes */
};

/* Counted since fq_init(). */
struct fq_stats {
	uint64_t enqueued;		/* items */
	uint64_t marked;		/* items, by CoDel or step */
	uint64_t codel_dropped;		/* packets */
	uint64_t overflow_dropped;	/* items, as the rest */
	uint64_t oldest_dropped;
	uint64_t purged;
	uint64_t collisions;		/* items that went to their tin's fallback flow */
	uint64_t new_flows;		/* how often an idle flow became busy */
	uint64_t memory_max;		/* the most held at once */
};

struct fq {
	struct fq_flow *flows;
	unsigned int shift;		/* 64 less the bits of the pool's size */
	struct fq_link new_tins, old_tins;
	int64_t quantum;
	struct codel_params codel;
	struct fq_limits limits;
	const struct fq_ops *ops;
	void *ctx;
	size_t items, ready_items;	/* in all; in tins that are not blocked */
	uint64_t bytes, memory;
	const struct fq_item *judged;	/* what CoDel let go at judged_us and is not sent yet */
	int64_t judged_us;
	uint64_t bucket_bits[FQ_BUCKETS / 64];
	struct fq_link buckets[FQ_BUCKETS];
	struct fq_stats stats;
};

/* A place in the round, from fq_head() to fq_sent(). */
struct fq_turn {
	struct fq_tin *tin;
	struct fq_flow *flow;
	uint32_t bytes;			/* what may be sent of the item: whole packets, at least one */
	uint32_t len;			/* the item's when it was given out */
	bool alone;			/* no other flow had anything listed */
};

/* 'flows' is a power of two from 2 to FQ_FLOWS_MAX. 'ops' is borrowed. False: no memory. */
bool fq_init(struct fq *q, size_t flows, const struct fq_limits *limits, const struct fq_ops *ops, void *ctx);

/* Free the pool. Every tin must have been purged before. */
void fq_done(struct fq *q);

/* Bytes of a turn: about one burst, or less on a slow link (RFC 8290 section 5.2.4). At least FQ_QUANTUM_MIN is used. */
void fq_set_quantum(struct fq *q, uint32_t bytes);

/*
 * The delay CoDel lets stand: at least twice what a burst takes. The step for ECT(1) is a fifth of it. At least the
 * constants of codel.h are used.
 */
void fq_set_target_us(struct fq *q, int64_t target_us);

/* Nothing to undo but fq_tin_purge(), which must come before the memory goes. */
void fq_tin_init(struct fq_tin *t);

/* Drop all of a tin's items and let its flows go. It may be used again; whether it is blocked stays as it is. */
void fq_tin_purge(struct fq *q, struct fq_tin *t, enum fq_reason reason);

/*
 * No more than this many items in the tin as long as it is blocked: the oldest go. 0, as at first: no bound. For a link without a
 * session; not for one that waits for its shaper.
 */
void fq_tin_limit(struct fq *q, struct fq_tin *t, size_t items_max);

/* Do not serve the tin. Nothing happens when it is blocked already. */
void fq_tin_block(struct fq *q, struct fq_tin *t);

/*
 * Serve it again. restart: what is in it could not have gone before (there was no session), so its time counts from now, and the link
 * is like one that just became busy. Otherwise (its own shaper) time went on, and it takes its place behind the others.
 */
void fq_tin_unblock(struct fq *q, struct fq_tin *t, int64_t now_us, bool restart);

/*
 * Queue an item. It is the queue's from here on, and may be dropped before this returns. 'hash' is of the flow, under a secret
 * key. Where a limit is exceeded the fattest flow (within an eighth) of all loses up to half of what it has, from its head.
 */
void fq_enqueue(struct fq *q, struct fq_tin *t, uint64_t hash, struct fq_item *item, int64_t now_us);

/*
 * The item whose turn it is, still queued, after CoDel had its say; NULL: nothing may be sent. Asked again at the same instant
 * without fq_sent() the answer is the same. 'turn' is good until anything else is done with the queue but fq_tin_block().
 */
struct fq_item *fq_head(struct fq *q, int64_t now_us, struct fq_turn *turn);

/*
 * 'bytes' of the turn's item were sent, which pays for them even beyond turn->bytes. done: all of it; it is out of the queue and the
 * caller's again. Otherwise the caller has set the item's len and packet_len to what is left.
 */
void fq_sent(struct fq *q, const struct fq_turn *turn, uint32_t bytes, bool done);

static inline size_t fq_items(const struct fq *q)
{
	return q->items;
}

static inline uint64_t fq_bytes(const struct fq *q)
{
	return q->bytes;
}

static inline bool fq_empty(const struct fq *q)
{
	return !q->items;
}

/* Whether a tin that is not blocked has something. */
static inline bool fq_has_work(const struct fq *q)
{
	return q->ready_items;
}

#endif
