/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_RING_H
#define MESHD_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A bounded ring of pointers between one thread that puts and one that takes. Neither ever waits or locks. Each side has its
 * index in a cache line of its own. All zero is an empty ring.
 */
enum { RING_SIZE = 64 };	/* a power of two */

struct ring {
	_Alignas(64) atomic_size_t head;	/* of the taker */
	_Alignas(64) atomic_size_t tail;	/* of the putter */
	_Alignas(64) void *slots[RING_SIZE];
};

/* False: full. */
static inline bool ring_put(struct ring *r, void *item)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&r->head, memory_order_acquire) == RING_SIZE)
		return false;
	r->slots[tail % RING_SIZE] = item;
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

/* NULL: empty. */
static inline void *ring_take(struct ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	void *item;

	if (head == atomic_load_explicit(&r->tail, memory_order_acquire))
		return NULL;
	item = r->slots[head % RING_SIZE];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return item;
}

#endif
