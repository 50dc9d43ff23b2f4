/* SPDX-License-Identifier: MIT */
/* A slab of equal slots with a chain of the free ones; slots beyond 'touched' have never been used. */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

bool pool_init(struct pool *p, size_t slot_size, size_t count)
{
	memset(p, 0, sizeof(*p));
	p->slot_size = (slot_size + 63) & ~(size_t)63;
	p->count = count;
	if (count > SIZE_MAX / p->slot_size)
		return false;
	p->memory = malloc(p->slot_size * count);
	return p->memory != NULL;
}

void pool_done(struct pool *p)
{
	free(p->memory);
	memset(p, 0, sizeof(*p));
}

void *pool_take(struct pool *p)
{
	void *slot = p->free;

	if (slot)
		memcpy(&p->free, slot, sizeof(p->free));
	else if (p->touched < p->count)
		slot = p->memory + p->slot_size * p->touched++;
	else
		return NULL;
	p->used++;
	return slot;
}

void pool_give(struct pool *p, void *slot)
{
	memcpy(slot, &p->free, sizeof(p->free));
	p->free = slot;
	p->used--;
}
