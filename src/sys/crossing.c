/* SPDX-License-Identifier: MIT */
/*
 * Copies on their way from worker to worker. A worker that finds no free one drops what it has: the others are behind by as much as
 * there is memory for, and more would only wait.
 */
#include "sys/crossing.h"

#include <stdlib.h>
#include <string.h>

bool crossing_init(struct crossing *c)
{
	memset(c, 0, sizeof(*c));
	c->strays = calloc(STRAYS, sizeof(*c->strays));
	c->blocks = calloc(BLOCKS, sizeof(*c->blocks));
	return c->strays && c->blocks;
}

void crossing_done(struct crossing *c)
{
	free(c->strays);
	free(c->blocks);
	memset(c, 0, sizeof(*c));
}

/* Make it ours if nobody has it. Only its worker takes, so it cannot be taken meanwhile. */
static bool take(atomic_bool *used)
{
	if (atomic_load_explicit(used, memory_order_acquire))
		return false;
	atomic_store_explicit(used, true, memory_order_relaxed);
	return true;
}

struct stray *crossing_copy(struct crossing *c, const struct dgram *d)
{
	struct stray *s = NULL;

	for (size_t i = 0; i < STRAYS && d->len <= STRAY_SIZE && !s; i++)
		if (take(&c->strays[i].used))
			s = &c->strays[i];
	if (!s)
		return NULL;
	s->dgram = *d;
	s->dgram.data = s->bytes + PACKET_HEADROOM;
	memcpy(s->dgram.data, d->data, d->len);
	return s;
}

/* Bytes a packet takes in a block. */
static size_t room_of(const struct packet *p)
{
	return PACKET_HEADROOM + (size_t)p->len + PACKET_TAILROOM;
}

static struct block *begin(struct crossing *c)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		struct block *b = &c->blocks[i];

		if (take(&b->used)) {
			b->count = b->bytes_used = 0;
			return b;
		}
	}
	return NULL;
}

bool crossing_add(struct crossing *c, unsigned int to, const struct handover *h, struct block **full)
{
	size_t room = room_of(&h->packet);
	struct block *b = c->filling[to];
	struct handover *copy;

	*full = NULL;
	if (room > BLOCK_BYTES)
		return false;
	if (b && (b->count == BLOCK_PACKETS || b->bytes_used + room > BLOCK_BYTES)) {
		*full = b;
		b = NULL;
	}
	if (!b)
		b = begin(c);
	c->filling[to] = b;
	if (!b)
		return false;
	copy = &b->items[b->count++];
	*copy = *h;
	copy->packet.data = b->bytes + b->bytes_used + PACKET_HEADROOM;
	memcpy(copy->packet.data, h->packet.data, h->packet.len);
	b->bytes_used += room;
	return true;
}

struct block *crossing_take(struct crossing *c, unsigned int to)
{
	struct block *b = c->filling[to];

	c->filling[to] = NULL;
	return b;
}
