/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UDP_H
#define MESHD_SYS_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/packet.h"
#include "base/offloads.h"

enum {
	UDP_LANES_MAX = 8,
	UDP_SEGMENTS_MAX = 128,		/* a received dgram never stands for more datagrams than this */
	UDP_PORTS_MAX = 126,		/* beside the listen port */
};

/* The sockets of one lane. Everything in it but the descriptors is for its thread alone, except where said. */
struct udp_lane {
	int fd4, fd6;			/* -1: none */
	_Atomic bool gso4, gso6;	/* many datagrams in one send: until an error shows that it does not work. Any thread may look */
	bool gro;			/* many datagrams in one receive */
	bool freebind;			/* as fd6 has it at present */
	bool df4, df6;			/* whether the sockets send with DF at present */
	bool label_refused;		/* a flow label was, because somebody on this host claims labels: none is sent any more */
	int full;			/* the socket that had no room for what udp_send() left unsent */
	uint64_t used[(2 * (UDP_PORTS_MAX + 1) + 63) / 64];	/* sockets that may hold something unsent: bit 2 i + (IPv6) for P_i's */
	unsigned int vlen;		/* messages the next receive asks for */
	uint64_t truncated;		/* received datagrams that were not whole, and dropped */
	uint8_t *slots[PACKET_BATCH];	/* what is received into, as in sys/arena.h; their memory is the lane's */
	uint8_t origins[PACKET_BATCH];	/* the place in 'slots' of each dgram of the last batch */
};

/*
 * P_i, a further port for sub-sessions, shared by all peers: one socket for each family, like the listen port's but not shared by lanes.
 * It is used by one lane's thread only: udp_port_lane(). All but the descriptors and the number is for that thread, except where said.
 */
struct udp_port {
	int fd4, fd6;			/* -1: none */
	uint16_t number;		/* the same in both families, chosen by the kernel */
	_Atomic bool gso4, gso6;	/* as in struct udp_lane; any thread may look */
	bool freebind, df4, df6;
};

/*
 * The node's sockets: for each lane one for IPv4 and one for IPv6 (v6only), all on the same port, unconnected, non-blocking. With more
 * than one lane they are SO_REUSEPORT groups, steered by sys/steering.h. Where the system has no IPv6, fd6 is -1 and all works
 * without. Further ports P_1.. are opened when needed. Local addresses are told and taken by pktinfo, so an answer leaves from the address it
 * was asked at. DF is off and paths decide fragmenting, as in WireGuard - but for a dgram that asks for it (df). Different lanes may be used by
 * different threads at once.
 */
struct udp {
	struct udp_lane lanes[UDP_LANES_MAX];
	struct udp_port ports[UDP_PORTS_MAX + 1];	/* P_1.. P_port_count are open; [0] is not used, it stands for the listen port */
	unsigned int port_count;
	struct ip_prefix listen_prefix;	/* addresses that are ours without being anybody's interface's; IP_NONE: none */
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

/*
 * Open further ports, up to P_count (UDP_PORTS_MAX at most), where 'count' is more than u->port_count; they stay until udp_close(). On
 * failure returns negative errno, and those that could be had stay: u->port_count tells. Gates closed: sending uses
 * them at once. Whoever watches sockets looks for ports above those it knows, of its lane.
 */
int udp_open_ports(struct udp *u, unsigned int count);

/* The lane P_port belongs to. */
static inline unsigned int udp_port_lane(const struct udp *u, unsigned int port)
{
	return port % u->count;
}

/*
 * 'fresh', just opened with as many lanes, is to be used in the place of 'old' (open or not): move to it what outlives another listen
 * port, which is ports, listen prefix and slots. Gates closed. What 'old' keeps is to be closed.
 */
void udp_carry_over(struct udp *fresh, struct udp *old);

/* The memory a lane receives into, before its first receive. It may be given before anything is open. */
void udp_give_slots(struct udp *u, unsigned int lane, uint8_t *const slots[PACKET_BATCH]);

/*
 * Send from addresses of 'p' (family IP_NONE: of none) although no interface has them; a local route makes them ours. For other addresses the
 * rule stays that one which the host no longer has is left away. Gates closed.
 */
void udp_set_listen_prefix(struct udp *u, const struct ip_prefix *p);

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
 * Receive a batch from one socket of a lane, 'fd', which is one of P_port or (0) of the lane's own, with recvmmsg(2): data, length, size of
 * segments, TOS, where from, where to, and when the kernel got it, on the clock of clock_now().
 * Returns how many, 0 when none wait, negative errno otherwise; what ICMP told the socket is no error. Truncated datagrams are left
 * out, so 0 may also mean that there is more: the descriptor stays readable. The batch is valid until the lane's
 * next call, on any socket. 'port' is told in each dgram, and 'slot' is where it lies.
 */
int udp_receive(struct udp *u, unsigned int lane, unsigned int port, int fd, struct dgram out[PACKET_BATCH]);

/*
 * Before the next receive: the dgrams of the last one, the first 'count' of them, with the slot that is now in the place of each -
 * the same, or an empty one for one that was kept.
 */
void udp_return_slots(struct udp *u, unsigned int lane, const struct dgram *dgrams, size_t count);

/*
 * Send a batch of any length from a lane's sockets with sendmmsg(2), in order; from P_port's if it is open and the lane's, else from
 * the listen port. A dgram of many goes by GSO where that works, in as few sends as the
 * kernel's limits allow. Each is judged by itself, the others go on. A local address the host no longer has (EINVAL and
 * the like) is left away and the datagram sent once more; where the path is pinned it is refused, for who pins wants it by that way or
 * not at all. One with df that is larger than its interface's MTU is lost like any that is too large further on: it does not count as refused.
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

/* Whether less than 'bytes_max' bytes (as the kernel counts memory) wait in a lane's sockets, those of ports included. */
bool udp_room(struct udp *u, unsigned int lane, uint64_t bytes_max);

#endif
