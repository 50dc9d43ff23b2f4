/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_SLAB_H
#define MESHD_BASE_SLAB_H

#include <stddef.h>

/*
 * Many small things of one size, out of larger pieces of memory: each costs no more than its size, where malloc() adds 8 to 24 bytes. All
 * zero is an empty slab. What is given back is kept for the next one of its kind; the memory is freed when none is left.
 */
struct slab {
	void *pieces;		/* a chain through the first words of the pieces */
	void *free;		/* and one through those of what was given back */
	size_t used;
	size_t fresh;		/* in the newest piece, from its end on: never taken yet */
	size_t last;		/* what the newest piece has room for */
};

/* Zeroed; 'size' is the same each time, and a multiple of 8. NULL: no memory. */
void *slab_take(struct slab *s, size_t size);
void slab_give(struct slab *s, void *item);

#endif
