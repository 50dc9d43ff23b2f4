/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UDP_H
#define MESHD_SYS_UDP_H

#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"

/*
 * The node's sockets: one for IPv4, one for IPv6 (v6only), on the same port, unconnected, non-blocking. Where the
 * system has no IPv6 the second is -1 and all works without. Local addresses are told and taken by pktinfo, so an
 * answer leaves from the address it was asked at. DF is off and paths decide fragmenting, as in WireGuard.
 */
struct udp {
	int fd4, fd6;			/* -1: none */
	uint16_t port;
	uint32_t fwmark;
	uint8_t *arena;			/* receive buffers: PACKET_BATCH slots for the one batch in flight */
};

/* All -1: nothing open. */
void udp_init(struct udp *u);

/*
 * Open both on 'port' (0: the kernel picks one that is free in both families) with SO_MARK 'fwmark' (0: none). 'u' is as after
 * udp_init(). On failure returns negative errno (-EADDRINUSE: the port is taken in either family) and 'u' is so again.
 */
int udp_open(struct udp *u, uint16_t port, uint32_t fwmark);

/* Close what is open; 'u' is as after udp_init(). */
void udp_close(struct udp *u);

/* Change the mark of open sockets. 0, or negative errno with the old mark on both. */
int udp_set_fwmark(struct udp *u, uint32_t fwmark);

/*
 * Receive a batch from one socket (fd4 or fd6) with recvmmsg(2): data, length, TOS, where from, where to. Returns how many,
 * 0 when none wait, negative errno otherwise; what ICMP told the socket is no error. Truncated datagrams are left out, so 0
 * may also mean that there is more: the descriptor stays readable. The batch is valid until the next call, on either socket.
 */
int udp_receive(struct udp *u, int fd, struct dgram out[PACKET_BATCH]);

/*
 * Send a batch with sendmmsg(2), of any length, in order within each family. Each datagram is judged by itself, the others
 * go on. A local address the host no longer has (EINVAL and the like) is left away and the datagram sent once more; full
 * buffers are waited for, a few milliseconds a call at most. Returns how many were refused for good.
 */
size_t udp_send(struct udp *u, const struct dgram *dgrams, size_t count);

#endif
