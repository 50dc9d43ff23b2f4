/* SPDX-License-Identifier: MIT */
/*
 * Pieces grow from PIECE_FIRST items to PIECE_MAX, so that a table of three entries stays small and one of a hundred thousand wastes
 * little. Items are taken from the chain of those given back, last in first out, then from the newest piece.
 *
 * Single items are not freed to the system: tables that use this come and go as a whole, or have about as many entries tomorrow. With the
 * last item all pieces go. Under the address sanitizer every item is malloc()'s, so that it sees what is used after it was given back.
 */
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_PLAIN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SLAB_PLAIN 1
#endif

enum {
	PIECE_FIRST = 8,	/* items */
	PIECE_MAX = 128,
	PIECE_HEAD = 8,
};

#ifdef SLAB_PLAIN

void *slab_take(struct slab *s, size_t size)
{
	void *item = calloc(1, size);

	s->used += item != NULL;
	return item;
}

void slab_give(struct slab *s, void *item)
{
	s->used--;
	free(item);
}

#else

/* The word at the beginning of something: the next in its chain. */
static void *next_of(const void *p)
{
	void *next;

	memcpy(&next, p, sizeof(next));
	return next;
}

static void set_next(void *p, void *next)
{
	memcpy(p, &next, sizeof(next));
}

static int piece_add(struct slab *s, size_t size)
{
	size_t count = !s->last ? PIECE_FIRST : s->last < PIECE_MAX ? 2 * s->last : PIECE_MAX;
	void *piece = malloc(PIECE_HEAD + count * size);

	if (!piece)
		return 0;
	set_next(piece, s->pieces);
	s->pieces = piece;
	s->fresh = s->last = count;
	return 1;
}

void *slab_take(struct slab *s, size_t size)
{
	void *item = s->free;

	if (item) {
		s->free = next_of(item);
	} else {
		if (!s->fresh && !piece_add(s, size))
			return NULL;
		item = (char *)s->pieces + PIECE_HEAD + --s->fresh * size;
	}
	s->used++;
	return memset(item, 0, size);
}

void slab_give(struct slab *s, void *item)
{
	set_next(item, s->free);
	s->free = item;
	if (--s->used)
		return;
	while (s->pieces) {
		void *piece = s->pieces;

		s->pieces = next_of(piece);
		free(piece);
	}
	*s = (struct slab){ 0 };
}

#endif
