/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_ARENA_H
#define MESHD_SYS_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/packet.h"

/*
 * Slots: what packets and datagrams are read into, each large enough for any of them, with the room around it that base/packet.h
 * promises. A worker's are its lane's (lane_slot_take()), for a lane keeps the slot of what must wait and gives another for it. A region
 * of slots without a lane, as here, is for who uses sockets or a TUN alone: the tests. Mapped, not allocated, so that only pages a
 * packet reached ever cost memory. The odd stride spreads the slots over the sets of the first-level cache.
 */
enum {
	ARENA_PACKET_MAX = 65536,
	ARENA_STRIDE = (PACKET_HEADROOM + ARENA_PACKET_MAX + PACKET_TAILROOM + 127) / 128 * 128,
};

struct arena {
	uint8_t *base;		/* NULL: nothing is mapped */
	size_t count;		/* of slots */
};

/* 'base' is NULL when there is no memory. */
static inline struct arena arena_map(size_t count)
{
	void *p = mmap(NULL, ARENA_STRIDE * count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return (struct arena){ .base = NULL };
	madvise(p, ARENA_STRIDE * count, MADV_NOHUGEPAGE);
	return (struct arena){ .base = p, .count = count };
}

/* Nothing mapped is fine. */
static inline void arena_unmap(struct arena *a)
{
	if (a->base)
		munmap(a->base, ARENA_STRIDE * a->count);
	*a = (struct arena){ .base = NULL };
}

/* Slot i: where its packet starts. */
static inline uint8_t *arena_slot(const struct arena *a, size_t i)
{
	return a->base + i * ARENA_STRIDE + PACKET_HEADROOM;
}

/* A batch of slots, from the one numbered 'first' on. */
static inline void arena_fill(const struct arena *a, size_t first, uint8_t *slots[PACKET_BATCH])
{
	for (size_t i = 0; i < PACKET_BATCH; i++)
		slots[i] = arena_slot(a, first + i);
}

#endif
