/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_NODE_H
#define MESHD_NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/packet.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "node/change.h"
#include "node/drops.h"
#include "path/path.h"

/*
 * The control plane of a node: who its peers are, handshakes, timers, and what the lane needs to know. A driver
 * (src/sys in the daemon, tests/sim in the simulator) feeds it and carries out what comes out:
 *
 *	now = both clocks, once
 *	lane_from_tun() / lane_from_udp()	batches in, results in lane_out(): perhaps in threads of their own
 *	node_turn(now)				timers, handshakes, the lane's events
 *	send lane_out() and node_out(); look at node_effects()
 *	sleep until node_deadline() or input
 */

struct lane;
struct node;

/* Things the driver has to do, as bits; see node_effects(). */
enum node_effect {
	NODE_EFFECT_ENDPOINTS = 1,	/* some path may be unchecked: ask node_next_path() for them */
	NODE_EFFECT_TIMESTAMP = 2,	/* node_timestamp() moved past what was saved */
	NODE_EFFECT_ALLOWED = 4,	/* allowed IPs changed */
	NODE_EFFECT_PORTS = 8,		/* more sockets for sub-sessions are wanted: node_ports_wanted(), node_set_ports() */
	NODE_EFFECT_BABEL_STATE = 16,	/* node_routing_state() has to be saved */
	NODE_EFFECT_RESOLVE = 32,	/* names of endpoints shall be resolved again: node_next_stale() */
	NODE_EFFECT_MESH_FILE = 64,	/* the mesh's (node/mesh.h): node_mesh_file() has to be written */
	NODE_EFFECT_MESH_ISSUED = 128,	/* node_mesh_issued() */
	NODE_EFFECT_MESH_HOSTS = 256,	/* node_mesh_hosts() */
	NODE_EFFECT_MESH_ADDRESSES = 512,	/* node_mesh_addresses() */
};

/* NULL: no memory. 'rng' and 'log' are copied. 'lanes' is 1 to LANES_MAX. */
struct node *node_new(const struct rng *rng, const struct log *log, unsigned int lanes);

/* Wipe and free; NULL is fine. */
void node_free(struct node *n);

/* The data planes this node feeds. */
struct lane *node_lane(struct node *n, unsigned int i);

/* Close and open the gates of all lanes, around calls that look at much, or that change what lanes read. */
void node_close_lanes(struct node *n);
void node_open_lanes(struct node *n);

/*
 * Whether 'c' can be applied: 0, or -EINVAL, -E2BIG, -EADDRINUSE... Touches nothing. node_apply() checks by itself;
 * this is for drivers that must open sockets in between.
 */
int node_check(const struct node *n, const struct change *c);

/* Apply a change: all of it (0), or nothing (negative errno). Sessions of peers whose keys stay survive. */
int node_apply(struct node *n, const struct change *c, struct instant now);

/* The interface went up or down. Down forgets all keys and timers; up starts persistent keepalives. */
void node_set_up(struct node *n, bool up, struct instant now);

/* The interface's MTU: bounds the padding. */
void node_set_mtu(struct node *n, uint32_t mtu);

/* Where the sockets listen: what the change said, or what the kernel chose for port 0. */
void node_set_listen_port(struct node *n, uint16_t port);

/*
 * How many sockets P_1.. for sub-sessions shall be open, and how many are, with their port numbers ('numbers' from P_1 on). Fewer than
 * wanted: no more can be had.
 */
unsigned int node_ports_wanted(const struct node *n);
void node_set_ports(struct node *n, const uint16_t *numbers, unsigned int count, struct instant now);

/*
 * Run timers, waiting handshakes (a bounded number a turn) and what the lanes noticed. Returns whether there was traffic: then look again before
 * long.
 */
bool node_turn(struct node *n, struct instant now);

/* When node_turn() is next needed even without input: microseconds, monotonic, or NEVER_US. */
int64_t node_deadline(const struct node *n);

/* Handshake messages to send, oldest first. They live until node_out_clear(). */
size_t node_out(struct node *n, struct dgram **dgrams);
void node_out_clear(struct node *n);

/* What the driver has to do (enum node_effect); asking clears it. */
unsigned int node_effects(struct node *n);

/* After a change of the host's routes: all paths are to be asked about again. */
void node_uncheck_endpoints(struct node *n);

/*
 * Addresses of this host that packets may leave from, with their interface (up, with a carrier, not our own) and what is said of it; more
 * than PATH_LOCALS_MAX are left out. Paths whose address is not among them go at once. Until the first call, and with none, the kernel chooses.
 */
void node_set_locals(struct node *n, const struct path_local *v, size_t count, struct instant now);

/*
 * Paths, to be asked about after NODE_EFFECT_ENDPOINTS: the next one nobody has checked, of whatever peer. False: none left. The driver asks the
 * kernel for a route with the source (and interface) given, and answers by node_set_way(): paths_set_way().
 */
bool node_next_path(struct node *n, uint8_t public_key[KEY_LEN], struct path_addr *path);
void node_set_way(struct node *n, const uint8_t public_key[KEY_LEN], const struct path_addr *path, enum path_way way, bool preferred,
		  uint32_t mtu, struct instant now);

/* The paths of the i-th peer, to look at; NULL: there is no such peer. As with node_peer(). */
const struct path_set *node_paths(const struct node *n, size_t i);

/*
 * The next peer with named endpoints that answers nowhere: its names may have other addresses by now. Each comes at most once a minute. False:
 * none left.
 */
bool node_next_stale(struct node *n, uint8_t public_key[KEY_LEN]);

/*
 * The greatest TAI64N stamp sent so far. At start the saved one is put back, so that a lost clock does no harm. A
 * driver that saves a later stamp than the current one (to write seldom) tells so by node_timestamp_saved(); the effect
 * comes again when that is passed.
 */
void node_timestamp(const struct node *n, uint8_t stamp[12]);
void node_timestamp_saved(struct node *n, const uint8_t stamp[12]);
void node_set_timestamp(struct node *n, const uint8_t stamp[12]);

/*
 * What status and "wg show" tell. A snapshot: valid until the next call that changes the node. Where lanes have threads of their own, ask
 * between node_close_lanes() and node_open_lanes().
 */
struct node_info {
	bool has_key;
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	uint16_t listen_port;
	uint32_t fwmark;
	uint32_t mtu;
	struct link_settings links;	/* as struct change has them */
	enum flow_spread spread;
	struct ip_prefix listen_prefix;
	enum path_spread path_spread;
	int mss_clamp;
	bool up;
	size_t peer_count;
	uint64_t rx_packets, tx_packets;		/* inner packets, as the TUN saw them */
	uint64_t drops[DROP_REASONS];
	uint64_t marked_out, marked_in;			/* packets our queues set CE on, going out and coming in */
	uint64_t ce_kept;				/* CE outside, Not-ECT inside, delivered as it was */
	unsigned int ports;				/* sockets for sub-sessions that are open */
	uint64_t subs_lost;				/* sub-sessions that were not heard any more, and given up */
	uint64_t handshakes_sent, handshakes_received, handshakes_done;
};

struct peer_info {
	uint8_t public_key[KEY_LEN], psk[KEY_LEN];
	const char *name;		/* "" when it has none */
	const char *endpoint_name;	/* of the configured endpoint in use, or else of the first, if it has a name; or "" */
	const struct change_endpoint *endpoints;	/* all, as configured */
	size_t endpoint_count;
	struct path_addr path;		/* remote.addr.family IP_NONE: no endpoint */
	uint8_t endpoint_prefix_len;	/* the prefix around path.remote that was configured, while the peer is in it; else 0 */
	bool endpoint_loops;		/* its route leads into our own TUN */
	int64_t handshake_wall_ns;	/* when the last handshake ended; 0: never */
	uint64_t rx_bytes, tx_bytes;	/* outer payload, as wg show counts */
	uint64_t rx_rate, tx_rate;	/* bytes a second, over the last few seconds */
	uint16_t keepalive_s;
	struct link_settings link;	/* what is the peer's own... */
	unsigned int link_bits;		/* ...are these of it, out of CHANGE_PEER_LINK */
	bool babel, allowed_auto;	/* as struct change_peer has them; Babel may run for the mesh's sake as well */
	bool recorded;			/* it is there because of a record or an invitation: no config has it */
	const char *mesh_use;		/* node_mesh_use() */
	const void *owner;		/* what babel_neighbour_info has as the owner of the link to it */
	size_t waiting;			/* packets that wait for a session */
	bool has_session;		/* a key that can send */
	size_t queued;			/* packets in the queue, those included */
	bool managed;			/* it speaks paths: which one is used is chosen, not where it was heard */
	bool mesh;			/* it is a meshd... */
	unsigned int sub_sessions;	/* ...and so many sub-sessions may be open to it; */
	unsigned int sub_opened, sub_usable, sub_busy;	/* so many are, are heard, and have a flow */
	bool opener, behind_nat;	/* we open them; we are behind a NAT, as the peer sees it */
	bool ecn_out;			/* the outer header carries ECN */
	bool ecn_untrusted;		/* the path marks what must not be marked: ECN is not used on it */
	bool ecn_bleached;		/* the path takes ECT away: nobody can mark on it */
};

void node_info(const struct node *n, struct node_info *info);

/* The share of one lane in rx_packets and tx_packets. */
void node_lane_packets(const struct node *n, unsigned int lane, uint64_t *rx, uint64_t *tx);

/* Whether there is a peer of that key, and we know where. */
bool node_has_endpoint(struct node *n, const uint8_t public_key[KEY_LEN]);

/* The endpoints of the peer of that key, as configured; NULL: there is no such peer, or it has none. */
const struct change_endpoint *node_endpoints(const struct node *n, const uint8_t public_key[KEY_LEN], size_t *count);

/* The i-th peer, in the order they were configured; false: no more. */
bool node_peer(const struct node *n, size_t i, struct instant now, struct peer_info *info);

/* Visit the allowed IPs of the i-th peer, IPv4 first, in address order. */
void node_peer_allowed(const struct node *n, size_t i,
		       void (*visit)(void *ctx, const struct ip_prefix *p), void *ctx);

#endif
