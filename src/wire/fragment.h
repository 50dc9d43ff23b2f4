/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_FRAGMENT_H
#define MESHD_WIRE_FRAGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAGMENT_HEADER_MAX = 60 };	/* IPv4's, with all its options */

/* An IPv4 packet, being cut into fragments. On the stack of the caller; nothing to free. */
struct fragment {
	uint8_t *packet;
	uint32_t len, mtu;
	uint32_t header_len;		/* of the packet, and the first fragment */
	uint32_t rest_len;		/* of the others: options that are not copied are left out */
	uint32_t next;			/* where the next one's payload begins */
	uint16_t field;			/* flags and offset of the packet, which may be a fragment itself */
	uint8_t header[FRAGMENT_HEADER_MAX], rest[FRAGMENT_HEADER_MAX];
};

/*
 * Look at a packet whose checksums are complete. True: fragment_next() gives it in fragments of at most 'mtu' bytes (one, if it fits). False: it
 * must not or cannot be cut; nothing was written.
 */
bool fragment_begin(struct fragment *f, uint8_t *packet, size_t len, uint32_t mtu);

/*
 * The next fragment, contiguous inside the memory of the packet: its header is stamped over payload that was handed out before, as by split_next().
 * Up to 16 bytes behind it may be changed if they are put back. False: no more.
 */
bool fragment_next(struct fragment *f, uint8_t **fragment, uint32_t *len);

/* The most fragments that a packet of 'len' bytes comes to, for an 'mtu' of 68 at least (RFC 791). */
static inline uint32_t fragment_count_max(uint32_t len, uint32_t mtu)
{
	return len / ((mtu - FRAGMENT_HEADER_MAX) & ~7U) + 1;
}

#endif
