/* SPDX-License-Identifier: MIT */
/*
 * FQ-CoDel (RFC 8290) in the shape it has in Linux's mac80211: one pool of flows for all links, and in each link ("tin") only the
 * lists of its own. Both levels are deficit round robins with a list of new and one of old members, after RFC 8290 section 4.2: who
 * becomes busy is new and served first, for one quantum; a new one found empty goes behind the old ones before it may be new again,
 * so that it cannot have the first place forever.
 *
 * Invariants:
 * - A flow with items is listed in its tin; a listed flow may be empty until its turn finds it so. A listed flow belongs to its tin.
 * - A tin that is not blocked and has items is listed; a blocked one is not, though its flows stay in its lists.
 * - Items of a tin are also in one list by age, whose first is the head of its flow.
 * - Every flow with items is in the bucket of its bytes; bucket_bits tells which buckets have any. So the fattest is found at once.
 * - With nothing ready (ready_items is 0) the lists mean nothing; settle() clears them before they are used again.
 */
#include "flow/fq.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"

enum {
	SUB_BITS = 3,			/* buckets in an octave, as bits */
	DEBT_QUANTA_MAX = 64,		/* bounds the rounds until somebody may send */
	STEPS_IN_TARGET = CODEL_TARGET_US / CODEL_STEP_US,
};

static void link_init(struct fq_link *l)
{
	l->prev = l->next = l;
}

static bool link_empty(const struct fq_link *l)
{
	return l->next == l;
}

static void link_append(struct fq_link *list, struct fq_link *l)
{
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

static void link_remove(struct fq_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
}

/* Whether the two lists together have one member, and it is in 'list'. */
static bool link_sole(const struct fq_link *list, const struct fq_link *other)
{
	return list->next == list->prev && link_empty(other);
}

static struct fq_flow *flow_at(struct fq_link *l)
{
	return container_of(l, struct fq_flow, turn);
}

static struct fq_tin *tin_at(struct fq_link *l)
{
	return container_of(l, struct fq_tin, turn);
}

/*
 * Flows by size.
 */

static unsigned int bucket_of(uint64_t bytes)
{
	unsigned int octave, bucket;

	if (bytes < 1u << SUB_BITS)
		return (unsigned int)bytes;
	octave = 63 - (unsigned int)__builtin_clzll(bytes) - SUB_BITS;
	bucket = ((octave + 1) << SUB_BITS) + ((unsigned int)(bytes >> octave) & ((1u << SUB_BITS) - 1));
	return bucket < FQ_BUCKETS ? bucket : FQ_BUCKETS - 1;
}

static void bucket_enter(struct fq *q, struct fq_flow *f)
{
	unsigned int b = bucket_of(f->bytes);

	f->bucket = (uint16_t)b;
	link_append(&q->buckets[b], &f->size);
	q->bucket_bits[b / 64] |= UINT64_C(1) << b % 64;
}

static void bucket_leave(struct fq *q, struct fq_flow *f)
{
	unsigned int b = f->bucket;

	link_remove(&f->size);
	if (link_empty(&q->buckets[b]))
		q->bucket_bits[b / 64] &= ~(UINT64_C(1) << b % 64);
}

/* A flow's bytes changed, and it had items before. */
static void bucket_refile(struct fq *q, struct fq_flow *f)
{
	if (f->head && bucket_of(f->bytes) == f->bucket)
		return;
	bucket_leave(q, f);
	if (f->head)
		bucket_enter(q, f);
}

/* NULL: all are empty. */
static struct fq_flow *fattest(struct fq *q)
{
	for (unsigned int i = FQ_BUCKETS / 64; i-- > 0;) {
		uint64_t bits = q->bucket_bits[i];

		if (bits) {
			unsigned int b = i * 64 + 63 - (unsigned int)__builtin_clzll(bits);

			return container_of(q->buckets[b].next, struct fq_flow, size);
		}
	}
	return NULL;
}

/*
 * Who takes part in the rounds.
 */

static void list_tin(struct fq *q, struct fq_tin *t, bool is_new)
{
	t->listed = true;
	t->is_new = is_new;
	link_append(is_new ? &q->new_tins : &q->old_tins, &t->turn);
}

static void unlist_tin(struct fq_tin *t)
{
	link_remove(&t->turn);
	t->listed = false;
}

static void move_tin_back(struct fq *q, struct fq_tin *t)
{
	if (!t->is_new && t->turn.next == t->turn.prev)
		return;		/* there is nobody to go behind */
	link_remove(&t->turn);
	list_tin(q, t, false);
}

static void list_flow(struct fq_tin *t, struct fq_flow *f, bool is_new)
{
	f->listed = true;
	f->is_new = is_new;
	link_append(is_new ? &t->new_flows : &t->old_flows, &f->turn);
}

/* Let an empty flow go: it may be another tin's next. */
static void unlist_flow(struct fq_flow *f)
{
	link_remove(&f->turn);
	f->listed = false;
	codel_empty(&f->codel);
}

static void move_flow_back(struct fq_tin *t, struct fq_flow *f)
{
	if (!f->is_new && f->turn.next == f->turn.prev)
		return;
	link_remove(&f->turn);
	list_flow(t, f, false);
}

/* Of a tin without items. */
static void unlist_flows(struct fq_tin *t)
{
	while (!link_empty(&t->new_flows))
		unlist_flow(flow_at(t->new_flows.next));
	while (!link_empty(&t->old_flows))
		unlist_flow(flow_at(t->old_flows.next));
}

/*
 * Nothing is ready: had the round gone on it would have found everybody empty, and let them go. Costs one step for each flow that
 * became busy since the last time.
 */
static void settle(struct fq *q)
{
	while (!link_empty(&q->new_tins) || !link_empty(&q->old_tins)) {
		struct fq_tin *t = tin_at(link_empty(&q->new_tins) ? q->old_tins.next : q->new_tins.next);

		unlist_flows(t);
		unlist_tin(t);
	}
}

/*
 * Items in and out.
 */

static void append(struct fq *q, struct fq_flow *f, struct fq_item *item)
{
	struct fq_tin *t = f->tin;
	bool was_empty = !f->head;

	item->flow = f;
	item->next = NULL;
	item->newer = NULL;
	item->older = t->newest;
	*(was_empty ? &f->head : &f->tail->next) = item;
	f->tail = item;
	*(t->newest ? &t->newest->newer : &t->oldest) = item;
	t->newest = item;
	f->bytes += item->len;
	t->bytes += item->len;
	t->items++;
	q->bytes += item->len;
	q->memory += item->memory;
	q->items++;
	if (!t->blocked)
		q->ready_items++;
	if (was_empty)
		bucket_enter(q, f);
	else
		bucket_refile(q, f);
}

static void lose_bytes(struct fq *q, struct fq_flow *f, uint32_t bytes)
{
	f->bytes -= bytes;
	f->tin->bytes -= bytes;
	q->bytes -= bytes;
	bucket_refile(q, f);
}

/*
 * Take the head of its flow out. 'was' is the item or a copy of it; the item itself may be gone already. 'len' is what the sums
 * have for it.
 */
static void take_out(struct fq *q, const struct fq_item *was, uint32_t len)
{
	struct fq_flow *f = was->flow;
	struct fq_tin *t = f->tin;

	f->head = was->next;
	if (!f->head)
		f->tail = NULL;
	*(was->older ? &was->older->newer : &t->oldest) = was->newer;
	*(was->newer ? &was->newer->older : &t->newest) = was->older;
	t->items--;
	q->items--;
	q->memory -= was->memory;
	if (!t->blocked)
		q->ready_items--;
	q->judged = NULL;
	lose_bytes(q, f, len);
}

static void drop_whole(struct fq *q, struct fq_flow *f, enum fq_reason reason)
{
	struct fq_item *item = f->head;

	take_out(q, item, item->len);
	q->ops->drop(q->ctx, item, true, reason);
}

/* CoDel's drop: one packet, so that a super-packet loses no more than any other. */
static void drop_packet(struct fq *q, struct fq_flow *f)
{
	struct fq_item *item = f->head;
	const struct fq_item was = *item;

	q->stats.codel_dropped++;
	if (q->ops->drop(q->ctx, item, false, FQ_CODEL))
		lose_bytes(q, f, was.len - item->len);
	else
		take_out(q, &was, was.len);
}

/*
 * Limits.
 */

static bool over_limits(const struct fq *q)
{
	return q->items > q->limits.items_max || q->memory > q->limits.memory_max;
}

/* RFC 8290 section 4.1, with the batch of its Linux author: half the backlog, so that the search pays. */
static void drop_overflow(struct fq *q)
{
	struct fq_flow *f = fattest(q);
	uint64_t half = f->bytes / 2;
	uint32_t dropped = 0;

	do {
		drop_whole(q, f, FQ_OVERFLOW);
		dropped++;
	} while (f->head && f->bytes > half && dropped < FQ_OVERFLOW_BATCH);
	codel_overflow(&f->codel, dropped);
	q->stats.overflow_dropped += dropped;
}

static void drop_oldest(struct fq *q, struct fq_tin *t)
{
	while (t->blocked && t->items_max && t->items > t->items_max) {
		drop_whole(q, t->oldest->flow, FQ_OLDEST);
		q->stats.oldest_dropped++;
	}
}

/*
 * The verbs.
 */

bool fq_init(struct fq *q, size_t flows, const struct fq_limits *limits, const struct fq_ops *ops, void *ctx)
{
	memset(q, 0, sizeof(*q));
	q->flows = calloc(flows, sizeof(*q->flows));
	if (!q->flows)
		return false;
	q->shift = (unsigned int)__builtin_clzll(flows) + 1;
	link_init(&q->new_tins);
	link_init(&q->old_tins);
	for (size_t i = 0; i < FQ_BUCKETS; i++)
		link_init(&q->buckets[i]);
	q->quantum = FQ_QUANTUM;
	codel_params_init(&q->codel);
	q->limits = *limits;
	q->ops = ops;
	q->ctx = ctx;
	return true;
}

void fq_done(struct fq *q)
{
	free(q->flows);
	q->flows = NULL;
}

void fq_set_quantum(struct fq *q, uint32_t bytes)
{
	q->quantum = bytes > FQ_QUANTUM_MIN ? bytes : FQ_QUANTUM_MIN;
}

void fq_set_target_us(struct fq *q, int64_t target_us)
{
	q->codel.target_us = target_us > CODEL_TARGET_US ? target_us : CODEL_TARGET_US;
	q->codel.step_us = q->codel.target_us / STEPS_IN_TARGET;
}

void fq_tin_init(struct fq_tin *t)
{
	memset(t, 0, sizeof(*t));
	link_init(&t->new_flows);
	link_init(&t->old_flows);
}

void fq_tin_purge(struct fq *q, struct fq_tin *t, enum fq_reason reason)
{
	while (t->oldest) {
		drop_whole(q, t->oldest->flow, reason);
		q->stats.purged++;
	}
	unlist_flows(t);
	if (t->listed)
		unlist_tin(t);
}

void fq_tin_limit(struct fq *q, struct fq_tin *t, size_t items_max)
{
	t->items_max = items_max;
	drop_oldest(q, t);
}

void fq_tin_block(struct fq *q, struct fq_tin *t)
{
	if (t->blocked)
		return;
	t->blocked = true;
	q->ready_items -= t->items;
	if (t->listed)
		unlist_tin(t);
	drop_oldest(q, t);
}

void fq_tin_unblock(struct fq *q, struct fq_tin *t, int64_t now_us, bool restart)
{
	if (!t->blocked)
		return;
	t->blocked = false;
	if (restart)
		t->ready_us = now_us;
	if (!t->items) {
		unlist_flows(t);
		return;
	}
	if (!q->ready_items)
		settle(q);
	q->ready_items += t->items;
	if (restart)
		t->deficit = q->quantum;
	list_tin(q, t, restart);
}

/*
 * An empty flow of a blocked tin is free to take, though no turn has found it empty; such a tin could keep the whole pool
 * otherwise.
 */
static bool flow_taken(struct fq_flow *f, const struct fq_tin *t)
{
	if (!f->listed || f->tin == t)
		return false;
	if (f->head || !f->tin->blocked)
		return true;
	unlist_flow(f);
	return false;
}

/*
 * The hash's bits are mixed once more: the caller may have used some of them to choose the tin or the lane. Who has packets
 * in the fallback stays there though its place in the pool becomes free, or later packets would overtake them.
 */
static struct fq_flow *choose_flow(struct fq *q, struct fq_tin *t, uint64_t hash)
{
	size_t place = (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> q->shift);
	uint64_t *strays = &t->strays[place / 64], stray = UINT64_C(1) << place % 64;
	bool taken = flow_taken(&q->flows[place], t);

	if (t->has_strays && !t->fallback.head) {
		memset(t->strays, 0, sizeof(t->strays));
		t->has_strays = false;
	}
	if (!taken && !(*strays & stray))
		return &q->flows[place];
	*strays |= stray;
	t->has_strays = true;
	q->stats.collisions++;
	return &t->fallback;
}

/* A flow becomes busy. Its CoDel goes on where it was if it is the tin's again. */
static void begin_flow(struct fq *q, struct fq_tin *t, struct fq_flow *f)
{
	if (f->tin != t)
		memset(&f->codel, 0, sizeof(f->codel));
	f->tin = t;
	f->deficit = q->quantum;
	list_flow(t, f, true);
	q->stats.new_flows++;
}

void fq_enqueue(struct fq *q, struct fq_tin *t, uint64_t hash, struct fq_item *item, int64_t now_us)
{
	struct fq_flow *f;

	if (!q->ready_items)
		settle(q);
	f = choose_flow(q, t, hash);
	if (!f->listed)
		begin_flow(q, t, f);
	item->queued_us = now_us;
	append(q, f, item);
	q->stats.enqueued++;
	if (!t->blocked && !t->listed) {
		t->deficit = q->quantum;
		list_tin(q, t, true);
	}
	drop_oldest(q, t);
	while (over_limits(q))
		drop_overflow(q);
	if (q->memory > q->stats.memory_max)
		q->stats.memory_max = q->memory;
}

/* Whether a member may send. If not it gets another quantum, and has to go behind the others. */
static bool has_credit(const struct fq *q, int64_t *deficit)
{
	int64_t debt_max = DEBT_QUANTA_MAX * q->quantum;

	if (*deficit > q->quantum)	/* which was larger when it got it */
		*deficit = q->quantum;
	if (*deficit > 0)
		return true;
	if (*deficit < -debt_max)
		*deficit = -debt_max;
	*deficit += q->quantum;
	return false;
}

/* The first flow of the tin that may send and is not empty; NULL: the tin has none. */
static struct fq_flow *next_flow(struct fq *q, struct fq_tin *t)
{
	for (;;) {
		bool is_new = !link_empty(&t->new_flows);
		struct fq_link *list = is_new ? &t->new_flows : &t->old_flows;
		struct fq_flow *f = flow_at(list->next);

		if (link_empty(list))
			return NULL;
		if (!has_credit(q, &f->deficit))
			move_flow_back(t, f);
		else if (f->head)
			return f;
		else if (is_new && !link_empty(&t->old_flows))
			move_flow_back(t, f);
		else
			unlist_flow(f);
	}
}

/* The first tin that may send, and its flow. Something is ready. */
static struct fq_flow *next_turn(struct fq *q)
{
	for (;;) {
		bool is_new = !link_empty(&q->new_tins);
		struct fq_tin *t = tin_at(is_new ? q->new_tins.next : q->old_tins.next);
		struct fq_flow *f;

		if (!has_credit(q, &t->deficit)) {
			move_tin_back(q, t);
			continue;
		}
		f = next_flow(q, t);
		if (f)
			return f;
		if (is_new && !link_empty(&q->old_tins))
			move_tin_back(q, t);
		else
			unlist_tin(t);
	}
}

static void mark(struct fq *q, struct fq_item *item)
{
	q->ops->mark(q->ctx, item);
	item->ecn = FQ_CE;
	q->stats.marked++;
}

/* What CoDel says to the head of the flow. False: drop its first packet. */
static bool judge(struct fq *q, struct fq_flow *f, int64_t now_us)
{
	struct fq_item *item = f->head;
	int64_t ready_us = f->tin->ready_us;
	int64_t sojourn_us = now_us - (item->queued_us > ready_us ? item->queued_us : ready_us);

	if (item->ecn == FQ_ECT1) {
		if (codel_step(&q->codel, sojourn_us))
			mark(q, item);
		return true;
	}
	if (!codel_signal(&f->codel, &q->codel, sojourn_us, f->bytes - item->packet_len, now_us))
		return true;
	if (item->ecn == FQ_NOT_ECT)
		return false;
	if (item->ecn == FQ_ECT0)
		mark(q, item);
	return true;
}

/* The item of the flow to send; NULL: CoDel has emptied it. */
static struct fq_item *admit(struct fq *q, struct fq_flow *f, int64_t now_us)
{
	if (q->judged == f->head && q->judged_us == now_us)
		return f->head;
	for (int i = 0; f->head && i < FQ_CODEL_BATCH && !judge(q, f, now_us); i++)
		drop_packet(q, f);
	q->judged = f->head;
	q->judged_us = now_us;
	return f->head;
}

/*
 * A turn ends with the packet that uses the credit up, as if packets were asked for one by one. Who is alone need not be
 * interrupted.
 */
static void fill_turn(const struct fq *q, struct fq_turn *turn)
{
	const struct fq_tin *t = turn->tin;
	const struct fq_flow *f = turn->flow;
	const struct fq_item *item = f->head;
	int64_t credit = f->deficit < t->deficit ? f->deficit : t->deficit;

	turn->len = item->len;
	turn->alone = link_sole(t->is_new ? &q->new_tins : &q->old_tins, t->is_new ? &q->old_tins : &q->new_tins) &&
		      link_sole(f->is_new ? &t->new_flows : &t->old_flows, f->is_new ? &t->old_flows : &t->new_flows);
	turn->bytes = item->len;
	if (!turn->alone && credit < item->len && item->packet_len) {
		uint32_t packets = ((uint32_t)credit + item->packet_len - 1) / item->packet_len;

		if ((uint64_t)packets * item->packet_len < item->len)
			turn->bytes = packets * item->packet_len;
	}
}

struct fq_item *fq_head(struct fq *q, int64_t now_us, struct fq_turn *turn)
{
	while (q->ready_items) {
		struct fq_flow *f = next_turn(q);
		struct fq_item *item = admit(q, f, now_us);

		if (item) {
			turn->flow = f;
			turn->tin = f->tin;
			fill_turn(q, turn);
			return item;
		}
	}
	settle(q);
	return NULL;
}

/* Who was alone took nothing from anybody: a quantum of debt is enough. */
static void charge(const struct fq *q, int64_t *deficit, uint32_t bytes, bool alone)
{
	*deficit -= bytes;
	if (alone && *deficit < -q->quantum)
		*deficit = -q->quantum;
}

void fq_sent(struct fq *q, const struct fq_turn *turn, uint32_t bytes, bool done)
{
	struct fq_flow *f = turn->flow;
	struct fq_item *item = f->head;

	charge(q, &f->deficit, bytes, turn->alone);
	charge(q, &turn->tin->deficit, bytes, turn->alone);
	if (done) {
		take_out(q, item, turn->len);
	} else {
		q->judged = NULL;
		lose_bytes(q, f, turn->len - item->len);
	}
}
