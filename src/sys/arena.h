/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_ARENA_H
#define MESHD_SYS_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/packet.h"

/*
 * The buffers one batch is read into: PACKET_BATCH slots, each large enough for any packet, with the room around it that
 * base/packet.h promises. Mapped, not allocated, so that only pages a packet reached ever cost memory; without huge
 * pages, which would undo that. The odd stride spreads the slots over the sets of the first-level cache.
 */
enum {
	ARENA_PACKET_MAX = 65536,
	ARENA_STRIDE = (PACKET_HEADROOM + ARENA_PACKET_MAX + PACKET_TAILROOM + 127) / 128 * 128,
	ARENA_SIZE = ARENA_STRIDE * PACKET_BATCH,
};

/* NULL: no memory. */
static inline uint8_t *arena_map(void)
{
	void *p = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, ARENA_SIZE, MADV_NOHUGEPAGE);
	return p;
}

/* NULL is fine. */
static inline void arena_unmap(uint8_t *arena)
{
	if (arena)
		munmap(arena, ARENA_SIZE);
}

/* Where the packet of slot i starts. */
static inline uint8_t *arena_slot(uint8_t *arena, size_t i)
{
	return arena + i * ARENA_STRIDE + PACKET_HEADROOM;
}

#endif
