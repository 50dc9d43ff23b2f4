/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UDP_H
#define MESHD_SYS_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/offloads.h"

enum {
	UDP_LANES_MAX = 8,
	UDP_SEGMENTS_MAX = 128,		/* a received dgram never stands for more datagrams than this */
};

/* The sockets of one lane. Everything in it but the descriptors is for its thread alone, except where said. */
struct udp_lane {
	int fd4, fd6;			/* -1: none */
	_Atomic bool gso4, gso6;	/* many datagrams in one send: until an error shows that it does not work. Any thread may look */
	bool gro;			/* many datagrams in one receive */
	int full;			/* the socket that had no room for what udp_send() left unsent */
	unsigned int vlen;		/* messages the next receive asks for */
	uint64_t truncated;		/* received datagrams that were not whole, and dropped */
	uint8_t *arena;			/* receive buffers: PACKET_BATCH slots for the one batch in flight */
};

/*
 * The node's sockets: for each lane one for IPv4 and one for IPv6 (v6only), all on the same port, unconnected, non-blocking. With more
 * than one lane they are SO_REUSEPORT groups, steered by sys/steering.h. Where the system has no IPv6, fd6 is -1 and all works
 * without. Local addresses are told and taken by pktinfo, so an answer leaves from the address it was asked at. DF is off
 * and paths decide fragmenting, as in WireGuard. Different lanes may be used by different threads at once.
 */
struct udp {
	struct udp_lane lanes[UDP_LANES_MAX];
	unsigned int count;		/* of lanes; 0: nothing is open */
	uint16_t port;
	uint32_t fwmark;
	unsigned int offloads;		/* that could be had when opened, of OFFLOAD_GSO and OFFLOAD_GRO */
	unsigned int segments_max;	/* datagrams in one send */
	bool steered;			/* lanes are chosen by receiver index, not by addresses and ports */
};

/* What a lane's sending counts; the caller's, added to. */
struct udp_stats {
	uint64_t supers;		/* sends of more than one datagram that were taken */
	uint64_t split;			/* the same, but refused, and sent one by one */
	uint64_t gso_off;		/* sockets whose GSO was given up */
	uint64_t full;			/* times a socket had no room */
};

/* Nothing open. */
void udp_init(struct udp *u);

/*
 * Open 'lanes' (1..UDP_LANES_MAX) pairs on 'port' (0: the kernel picks one that is free in both families) with SO_MARK 'fwmark' (0: none) and
 * those of 'offloads_wanted' that can be had. 'u' is as after udp_init(). On failure returns negative errno
 * (-EADDRINUSE: the port is taken in either family, be it by sockets that would share it) and 'u' is so again.
 */
int udp_open(struct udp *u, uint16_t port, uint32_t fwmark, unsigned int lanes, unsigned int offloads_wanted);

/* Close what is open; 'u' is as after udp_init(). */
void udp_close(struct udp *u);

/* Change the mark of open sockets. 0, or negative errno with the old mark on all. */
int udp_set_fwmark(struct udp *u, uint32_t fwmark);

bool udp_is_open(const struct udp *u);

/* Of u->offloads those that are still in force on every socket. */
unsigned int udp_offloads(const struct udp *u);

/* How many datagrams of one path are worth putting in one dgram on a lane: 1 where they go one by one anyway. */
unsigned int udp_run_messages_max(const struct udp *u, unsigned int lane);

/* Datagrams that 'count' dgrams stand for. */
size_t udp_messages(const struct dgram *dgrams, size_t count);

/*
 * Receive a batch from one socket of a lane (fd4 or fd6) with recvmmsg(2): data, length, size of segments, TOS, where from, where to.
 * Returns how many, 0 when none wait, negative errno otherwise; what ICMP told the socket is no error. Truncated datagrams are left
 * out, so 0 may also mean that there is more: the descriptor stays readable. The batch is valid until the lane's
 * next call, on either socket.
 */
int udp_receive(struct udp *u, unsigned int lane, int fd, struct dgram out[PACKET_BATCH]);

/*
 * Send a batch of any length from a lane's sockets with sendmmsg(2), in order. A dgram of many goes by GSO where that works, in as few sends as the
 * kernel's limits allow. Each is judged by itself, the others go on. A local address the host no longer has (EINVAL and
 * the like) is left away and the datagram sent once more.
 *
 * Ends early when a socket is full: *unsent is then the index of the first dgram not sent, of which a part may be
 * gone; in that case its 'data' and 'len' are what is left. Wait until lanes[lane].full is writable. Otherwise *unsent
 * is 'count'. Returns how many datagrams (segments) were refused for good.
 */
size_t udp_send(struct udp *u, unsigned int lane, struct dgram *dgrams, size_t count, struct udp_stats *stats,
		size_t *unsent);

/* Wait until there is room where udp_send() ended early, at most so long. False: there is none. */
bool udp_wait(const struct udp *u, unsigned int lane, int wait_ms);

/* Send what cannot be queued (handshakes): waits for room, a few milliseconds at most, then refuses. Returns how many were refused. */
size_t udp_send_waiting(struct udp *u, unsigned int lane, struct dgram *dgrams, size_t count);

/* Whether less than 'bytes_max' bytes (as the kernel counts memory) wait in a lane's sockets. */
bool udp_room(const struct udp *u, unsigned int lane, uint64_t bytes_max);

#endif
