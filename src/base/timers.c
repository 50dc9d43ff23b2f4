/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of deadlines, earliest first. Every set takes the next number of a running order and
 * equal deadlines are decided by it, so that what runs first never depends on the
 * shape of the heap: a simulated run repeats exactly. (The numbers begin again after 2^32; of two that wait for the same microsecond
 * none was set half of that before the other.)
 *
 * Invariant: heap[i]->slot == i + 1 for every i < count, and no timer sorts before its parent; a timer that is not in
 * the heap has slot 0. Set, move and unset take logarithmic time; nothing allocates but timers_reserve().
 */
#include "base/timers.h"

#include <stdlib.h>

#include "base/instant.h"

static bool before(const struct timer *a, const struct timer *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : (int32_t)(a->order - b->order) < 0;
}

static void put(struct timers *ts, size_t i, struct timer *t)
{
	ts->heap[i] = t;
	t->slot = (uint32_t)(i + 1) & TIMERS_MAX;
}

/* Let 't', whose place is 'i', rise past everything it sorts before. */
static void rise(struct timers *ts, size_t i, struct timer *t)
{
	while (i > 0 && before(t, ts->heap[(i - 1) / 2])) {
		put(ts, i, ts->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(ts, i, t);
}

/* Let 't', whose place is 'i', sink below everything that sorts before it. */
static void sink(struct timers *ts, size_t i, struct timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < ts->count && before(ts->heap[child + 1], ts->heap[child]))
			child++;
		if (child >= ts->count || !before(ts->heap[child], t))
			break;
		put(ts, i, ts->heap[child]);
		i = child;
	}
	put(ts, i, t);
}

/* Give 't' the place 'i', from where it may have to go either way. */
static void settle(struct timers *ts, size_t i, struct timer *t)
{
	if (i > 0 && before(t, ts->heap[(i - 1) / 2]))
		rise(ts, i, t);
	else
		sink(ts, i, t);
}

bool timers_reserve(struct timers *ts, size_t count)
{
	struct timer **heap;

	if (count <= ts->size)
		return true;
	if (count > TIMERS_MAX)
		return false;
	heap = realloc(ts->heap, count * sizeof(*heap));
	if (!heap)
		return false;
	ts->heap = heap;
	ts->size = count;
	return true;
}

void timers_done(struct timers *ts)
{
	for (size_t i = 0; i < ts->count; i++)
		ts->heap[i]->slot = 0;
	free(ts->heap);
	*ts = (struct timers){ 0 };
}

void timers_set(struct timers *ts, struct timer *t, int64_t due_us)
{
	if (due_us == NEVER_US) {
		timers_unset(ts, t);
		return;
	}
	if (!t->slot) {
		if (ts->count == ts->size)	/* nobody reserved: a bug, and better a stop than a stray write */
			__builtin_trap();
		put(ts, ts->count++, t);
	}
	t->due_us = due_us;
	t->order = ts->order++;
	settle(ts, t->slot - 1, t);
}

void timers_unset(struct timers *ts, struct timer *t)
{
	struct timer *last;
	size_t i;

	if (!t->slot)
		return;
	i = t->slot - 1;
	t->slot = 0;
	last = ts->heap[--ts->count];
	if (last != t)
		settle(ts, i, last);
}

int64_t timers_next(const struct timers *ts)
{
	return ts->count ? ts->heap[0]->due_us : NEVER_US;
}

struct timer *timers_pop(struct timers *ts, int64_t now_us)
{
	struct timer *t;

	if (!ts->count || ts->heap[0]->due_us > now_us)
		return NULL;
	t = ts->heap[0];
	timers_unset(ts, t);
	return t;
}
