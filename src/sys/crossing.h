/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_CROSSING_H
#define MESHD_SYS_CROSSING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ring.h"
#include "node/lane.h"

/*
 * What goes from one worker to others by copying: datagrams that were steered to the wrong lane, one by one, and in blocks packets that one
 * lane opened for a peer of another's. Each worker has memory of its own for what it sends; who takes something gives the memory back
 * by clearing 'used'. No locks: a stray or block has one owner at any time.
 */
enum {
	STRAY_SIZE = 2048,
	STRAYS = RING_SIZE,
	BLOCKS = 32,		/* fewer than places in a ring */
	BLOCK_PACKETS = 256,
	BLOCK_BYTES = LANE_SLOT_LEN + PACKET_HEADROOM + PACKET_TAILROOM,
};

struct stray {
	atomic_bool used;
	struct dgram dgram;
	uint8_t bytes[PACKET_HEADROOM + STRAY_SIZE + PACKET_TAILROOM];
};

/* Packets for one lane, one behind the other with room around each. */
struct block {
	atomic_bool used;
	size_t count, bytes_used;
	struct handover items[BLOCK_PACKETS];
	uint8_t bytes[BLOCK_BYTES];
};

struct crossing {
	struct stray *strays;
	struct block *blocks;
	struct block *filling[LANES_MAX];	/* those begun, by lane */
};

bool crossing_init(struct crossing *c);
void crossing_done(struct crossing *c);

/* A copy of a datagram. NULL: too many are under way, or it is too long. */
struct stray *crossing_copy(struct crossing *c, const struct dgram *d);

/*
 * Copy a packet into the block for a lane. False: all blocks are under way. '*full' is the block that had no room for it and has to be sent
 * off, or NULL.
 */
bool crossing_add(struct crossing *c, unsigned int to, const struct handover *h, struct block **full);

/* The block that was begun for a lane, to be sent off; NULL: none. */
struct block *crossing_take(struct crossing *c, unsigned int to);

/* Done with it. */
static inline void crossing_return(atomic_bool *used)
{
	atomic_store_explicit(used, false, memory_order_release);
}

#endif
