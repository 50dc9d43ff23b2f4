/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_PACKET_H
#define MESHD_BASE_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * What passes between a driver and a lane. The memory of what comes in is the driver's; a lane works on it in place. Around
 * every buffer a driver passes in it guarantees PACKET_HEADROOM writable bytes before 'data' and PACKET_TAILROOM
 * after data + len.
 */
enum {
	PACKET_HEADROOM = 64,	/* a data message's header, a vnet header, and more to come */
	PACKET_TAILROOM = 48,	/* padding and tag */
	PACKET_BATCH = 64,	/* the most packets or datagrams a driver passes at once */
	VNET_LEN = 10,		/* struct virtio_net_hdr, before every packet on a TUN with IFF_VNET_HDR */
};

/* What the kernel says about a packet from the TUN, or we say to it: struct virtio_net_hdr, in the machine's byte order. */
enum vnet_flag {
	VNET_NEEDS_CSUM = 1,	/* the checksum at csum_start + csum_offset holds the sum of the pseudo-header only */
	VNET_DATA_VALID = 2,
};

enum vnet_gso {
	VNET_GSO_NONE = 0,
	VNET_GSO_TCP4 = 1,
	VNET_GSO_UDP = 3,	/* UFO: fragments, not wanted and never asked for */
	VNET_GSO_TCP6 = 4,
	VNET_GSO_UDP_L4 = 5,	/* USO: a train of datagrams */
	VNET_GSO_ECN = 0x80,	/* or-ed in: the first segment has CWR */
};

struct vnet {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

/*
 * An inner packet from the TUN; with gso_type != VNET_GSO_NONE a super-packet that stands for many.
 *
 * 'slot' is the memory it was read into, taken from the lane's own pool (lane_slot_take()), or NULL for memory that is only lent. A
 * lane that must keep a packet takes the slot over and puts an empty one in its place: nothing is copied.
 */
struct packet {
	uint8_t *data;
	uint32_t len;
	struct vnet vnet;	/* all zero: a plain packet with a complete checksum */
	void *slot;
};

/* One or more outer datagrams of one path: from a socket by GRO, to a socket by GSO. */
struct dgram {
	uint8_t *data;
	uint32_t len;		/* of all of them */
	uint32_t segment;	/* of each but the last, which may be shorter; 0: there is one */
	uint8_t tos;		/* DSCP and ECN of the outer header */
	uint8_t port;		/* our side's socket: 0 the listen port's, i the one of P_i (doc/protocol.md, "Sub-sessions") */
	bool df;		/* to send: must not be fragmented, and is refused (as lost) where it would have to be. Goes alone */
	uint32_t label;		/* IPv6 flow label to send with; 0: the kernel's choice. Not told of what was received */
	int64_t at_us;		/* when the kernel received it, monotonic; 0: not told */
	struct path_addr path;	/* whence it came, or where it shall go */
	void *slot;		/* of what was received: as in struct packet */
};

/* A piece of memory; has the shape of struct iovec (a test in sys/ holds it to that). */
struct piece {
	uint8_t *base;
	size_t len;
};

/* One write to the TUN: a vnet header and a packet, or a merged super-packet, in pieces. */
struct tun_write {
	const struct piece *pieces;
	uint32_t count;		/* of pieces */
	uint32_t packets;	/* inner packets in it */
};

#endif
