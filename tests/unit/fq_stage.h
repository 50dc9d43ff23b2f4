/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_FQ_STAGE_H
#define MESHD_TESTS_FQ_STAGE_H

/* A queue with packets of the test's own, whose sums the test keeps as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/fq.h"

#define START_US INT64_C(1000000)

enum {
	TINS = 6,
	HASHES = 64,
	MSS = 1500,
	SUPER = 44 * MSS,
};

/* A packet as its owner has it. */
struct packet {
	struct fq_item item;
	unsigned int tin, hash;
	uint64_t number;	/* in the order of arrival */
	bool queued;
};

struct stage {
	struct fq q;
	struct fq_tin tin[TINS];
	struct packet *packets;
	size_t packet_count, free_hint;
	uint64_t numbers;
	size_t queued;
	uint64_t bytes, memory;		/* of what is queued, by the owner's count */
	uint64_t tin_items[TINS];
	uint64_t dropped[4];		/* by reason: whole items, or packets for CoDel */
	uint64_t marks;
	uint64_t last_dropped;		/* its number */
	unsigned int last_dropped_hash;
};

static inline void forget(struct stage *s, struct packet *p)
{
	assert_true(p->queued);
	p->queued = false;
	s->queued--;
	s->tin_items[p->tin]--;
	s->bytes -= p->item.len;
	s->memory -= p->item.memory;
}

static inline bool drop(void *ctx, struct fq_item *item, bool whole, enum fq_reason reason)
{
	struct stage *s = ctx;
	struct packet *p = (struct packet *)(void *)item;

	s->dropped[reason]++;
	s->last_dropped = p->number;
	s->last_dropped_hash = p->hash;
	if (!whole && item->len > item->packet_len) {
		s->bytes -= item->packet_len;
		item->len -= item->packet_len;
		if (item->packet_len > item->len)
			item->packet_len = item->len;
		return true;
	}
	forget(s, p);
	memset(item, 0xee, sizeof(*item));	/* whoever looks at it now will notice */
	return false;
}

static inline void set_ce(void *ctx, struct fq_item *item)
{
	struct stage *s = ctx;

	s->marks++;
	assert_int_not_equal(item->ecn, FQ_NOT_ECT);
}

static const struct fq_ops ops = { drop, set_ce };

static struct stage *stage_new(size_t flows, size_t items_max, uint64_t memory_max)
{
	struct fq_limits limits = { items_max, memory_max };
	struct stage *s = calloc(1, sizeof(*s));

	s->packet_count = items_max + 2;
	s->packets = calloc(s->packet_count, sizeof(*s->packets));
	assert_true(fq_init(&s->q, flows, &limits, &ops, s));
	for (int i = 0; i < TINS; i++)
		fq_tin_init(&s->tin[i]);
	return s;
}

static inline void stage_free(struct stage *s)
{
	for (int i = 0; i < TINS; i++)
		fq_tin_purge(&s->q, &s->tin[i], FQ_PURGED);
	assert_int_equal(s->queued, 0);
	assert_true(fq_empty(&s->q));
	assert_int_equal(fq_bytes(&s->q), 0);
	fq_done(&s->q);
	free(s->packets);
	free(s);
}

static struct packet *put_ecn(struct stage *s, unsigned int tin, unsigned int hash, uint32_t len, enum fq_ecn ecn, int64_t now_us)
{
	struct packet *p;

	do
		p = &s->packets[s->free_hint++ % s->packet_count];
	while (p->queued);
	memset(p, 0, sizeof(*p));
	p->tin = tin;
	p->hash = hash;
	p->number = ++s->numbers;
	p->queued = true;
	p->item.len = len;
	p->item.packet_len = len < MSS ? len : MSS;
	p->item.memory = len < 2048 ? 2048 : 65536 + 256;
	p->item.ecn = (uint8_t)ecn;
	s->queued++;
	s->tin_items[tin]++;
	s->bytes += len;
	s->memory += p->item.memory;
	fq_enqueue(&s->q, &s->tin[tin], hash, &p->item, now_us);
	return p;
}

static struct packet *put(struct stage *s, unsigned int tin, unsigned int hash, uint32_t len, int64_t now_us)
{
	return put_ecn(s, tin, hash, len, FQ_NOT_ECT, now_us);
}

/* What was sent in one go; tin -1: nothing. */
struct sent {
	int tin;
	unsigned int hash;
	uint64_t number;
	uint32_t bytes;
	bool done;
};

/* Send what the turn allows, at most 'max' bytes but a whole packet. */
static struct sent get_max(struct stage *s, int64_t now_us, uint32_t max)
{
	struct fq_turn turn, again;
	struct packet *p = (struct packet *)(void *)fq_head(&s->q, now_us, &turn);
	struct sent r = { -1, 0, 0, 0, false };
	uint32_t bytes;

	if (!p)
		return r;
	assert_ptr_equal(fq_head(&s->q, now_us, &again), &p->item);
	assert_memory_equal(&again.bytes, &turn.bytes, sizeof(turn.bytes));
	assert_true(p->queued && turn.tin == &s->tin[p->tin] && turn.flow->head == &p->item);
	assert_in_range(turn.bytes, p->item.packet_len, p->item.len);
	/* As if packets were asked for one by one: the last may go beyond the credit, none begins after it. */
	if (!turn.alone)
		assert_true(turn.bytes < turn.flow->deficit + p->item.packet_len &&
			    turn.bytes < turn.tin->deficit + p->item.packet_len);
	bytes = turn.bytes;
	if (bytes > max)
		bytes = max < p->item.packet_len ? p->item.packet_len : max / MSS * MSS;
	r = (struct sent){ (int)p->tin, p->hash, p->number, bytes, bytes == p->item.len };
	if (r.done) {
		forget(s, p);
	} else {
		p->item.len -= bytes;
		p->item.packet_len = p->item.len < MSS ? p->item.len : MSS;
		s->bytes -= bytes;
	}
	fq_sent(&s->q, &turn, bytes, r.done);
	return r;
}

static struct sent get(struct stage *s, int64_t now_us)
{
	return get_max(s, now_us, UINT32_MAX);
}

static inline void check_sums(const struct stage *s)
{
	size_t ready = 0;

	assert_int_equal(fq_items(&s->q), s->queued);
	assert_int_equal(fq_bytes(&s->q), s->bytes);
	assert_int_equal(s->q.memory, s->memory);
	for (int i = 0; i < TINS; i++) {
		assert_int_equal(s->tin[i].items, s->tin_items[i]);
		ready += s->tin[i].blocked ? 0 : s->tin[i].items;
	}
	assert_int_equal(fq_has_work(&s->q), ready != 0);
}

/* The oldest queued packet of a flow or (hash -1) tin, found the slow way. */
static inline const struct packet *oldest(const struct stage *s, unsigned int tin, int hash)
{
	const struct packet *found = NULL;

	for (size_t i = 0; i < s->packet_count; i++) {
		const struct packet *p = &s->packets[i];

		if (p->queued && p->tin == tin && (hash < 0 || p->hash == (unsigned int)hash) &&
		    (!found || p->number < found->number))
			found = p;
	}
	return found;
}

#endif
