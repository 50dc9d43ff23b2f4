/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_PACKET_H
#define MESHD_BASE_PACKET_H

#include <stdint.h>

#include "base/addr.h"

/*
 * What passes between a driver and a lane. The memory is the driver's; a lane works on it in
 * place and hands the same memory back in its output. Around every buffer a driver passes in it
 * guarantees PACKET_HEADROOM writable bytes before 'data' and PACKET_TAILROOM
 * after data + len, so a packet is sealed where it was read.
 */
enum {
	PACKET_HEADROOM = 64,	/* a data message's header, and more to come */
	PACKET_TAILROOM = 48,	/* padding and tag */
	PACKET_BATCH = 64,	/* the most a driver passes at once */
};

/* An inner packet, from or to the TUN. */
struct packet {
	uint8_t *data;
	uint32_t len;
};

/* An outer datagram, from or to a UDP socket. */
struct dgram {
	uint8_t *data;
	uint32_t len;
	uint8_t tos;		/* DSCP and ECN of the outer header */
	struct path_addr path;	/* whence it came, or where it shall go */
};

#endif
