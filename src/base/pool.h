/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_POOL_H
#define MESHD_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Equal slots from one piece of memory, last in first out: memory the pool never handed
 * out is never touched, and so costs nothing. Taking and giving back neither allocate nor fail
 * but for an empty pool.
 */
struct pool {
	unsigned char *memory;
	void *free;		/* a chain through the free slots' first bytes */
	size_t slot_size, count;
	size_t touched;		/* slots handed out at least once: the first ones */
	size_t used;
};

/* 'slot_size' is rounded up to 64. False: no memory. */
bool pool_init(struct pool *p, size_t slot_size, size_t count);
void pool_done(struct pool *p);

/* NULL: all are in use. */
void *pool_take(struct pool *p);
void pool_give(struct pool *p, void *slot);

#endif
