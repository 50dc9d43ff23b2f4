/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_INSIDE_H
#define MESHD_NODE_INSIDE_H

#include "base/log.h"
#include "base/rng.h"
#include "base/timers.h"
#include "base/u32map.h"
#include "node/change.h"
#include "node/fanout.h"
#include "node/fib.h"
#include "node/lane.h"
#include "node/links.h"
#include "node/mesh.h"
#include "node/node.h"
#include "node/paths.h"
#include "node/shortcut.h"
#include "node/spread.h"
#include "path/path.h"
#include "transport/cookie.h"
#include "transport/noise.h"
#include "transport/ratelimit.h"
#include "transport/rekey.h"

/*
 * The inside of a node: shared by node.c (life and turns), handshakes.c and apply.c, and by
 * nobody else.
 */

enum {
	NODE_PEERS_MAX = 65536,
	NODE_OUT_MAX = 32,		/* handshake messages between two flushes */
	NODE_HANDSHAKES_A_TURN = 16,	/* that cost X25519; the rest waits for the next turn */
	NODE_LOADED_QUEUE = 64,		/* so many waiting: we are under load, and ask for cookies */
	NODE_LOADED_MS = 1000,		/* and for so long after */
	NODE_HANDSHAKE_TOS = 0x88,	/* AF41, Not-ECT, as WireGuard's */
	NODE_CONTROLS_A_TURN = 256,	/* control messages from peers */
	NODE_CROSSING_MS = 500,		/* initiations of both sides cross if they are so close: longer than a round trip */
	NODE_RATE_MS = 1000,		/* how often transfer rates are sampled while there is traffic */
};

struct mesh;
struct routing;
struct routing_iface;

/* What the mesh makes of a peer (mesh_inside.h). All zero: nothing. */
struct peer_mesh {
	bool recorded;			/* it is there because of a record or an invitation, not of the config */
	bool joiner;			/* it holds a one-time key: it may speak of joining, and of nothing else */
	bool never;			/* the config wants no Babel on the link */
	bool good;			/* it has a record in good standing, and is a meshd */
	bool device;			/* it is a plain WireGuard behind us */
	bool neighbour;			/* gossiped with */
	bool told_out;			/* it was told that it is revoked, and goes */
	bool primed;			/* the endpoints of its record are candidates: not of thousands of peers at once */
	bool trying;			/* a session is wanted, to have a backbone link */
	bool sought;			/* ...because no route led to it */
	bool backbone;			/* Babel runs on the link, for the mesh's sake */
	bool chosen;			/* ...by our own choice */
	bool opening, shortcut;		/* a shortcut is wanted; stands */
	uint64_t serial;		/* of its record, whose prefixes lanes know as its */
	uint8_t roles;			/* enum node_role, of its record */
	bool reachable;			/* its record has endpoints, or it was found in another way */
	struct ip_prefix address;	/* the first of its record; family IP_NONE: it has none */
	int64_t trimmed_us;		/* when the link was given up for there were too many; 0: never */
	int64_t since_us;		/* it is tried, or a backbone link, or wanted as a shortcut, since then */
	int64_t babel_us;		/* its last packet of Babel's; 0: never */
	int64_t retry_us;		/* not to be tried before */
	unsigned int backoff_s;		/* how long after the last time in vain */
	int64_t open_us;		/* a shortcut is not to be opened before */
	int64_t punch_us;		/* until then initiations go to all addresses again and again */
	int64_t punched_us;		/* last message about it sent; and taken */
	int64_t struck_us;
	int64_t used_us;		/* when packets last took the shortcut, or would have */
	int64_t asked_us;		/* when a joiner last asked... */
	bool answered;			/* ...and it was given the last of its answer */
	int64_t routed_us;		/* when it may have passed on all of MESH_ROUTED_BURST again */
	struct endpoint seen;		/* where it sees us; family IP_NONE: not told */
	struct path_remote *told;	/* what it told of its addresses by itself; told_count */
	size_t told_count;
	struct path_remote *struck;	/* and by a message that went through others */
	size_t struck_count;
};

struct peer {
	struct lane_peer data;
	struct noise_handshake handshake;
	struct cookie_maker cookies;
	struct rekey rekey;
	struct timer timer;		/* rekey_next(), spread_next() and peer_paths_next() in the node's heap */
	struct spread spread;
	struct change_endpoint *endpoints;	/* as configured */
	size_t endpoint_count;
	struct path_set paths;
	struct peer_ways ways;
	struct fanout *fanout;		/* NULL: no initiation of ours is under way */
	struct answered *answered;	/* the last of the peer's; NULL: none, or its session is in use */
	uint8_t public_key[KEY_LEN];
	char name[NAME_MAX_LEN + 1];
	struct link_settings link;
	unsigned int link_bits;		/* those of 'link' that are the peer's own: enum change_peer_bit of CHANGE_PEER_LINK */
	uint32_t handshake_index;	/* in the node's table while a handshake is under way; 0: none */
	uint32_t confirmed_index;	/* of the last keypair that was heard on, having been answered for */
	int64_t initiated_us;		/* when our last initiation went out */
	int64_t handshake_wall_ns;
	uint64_t rx_bytes, tx_bytes;	/* of handshakes; the lane counts data */
	bool babel, allowed_auto;	/* as configured: struct change_peer */
	struct peer_mesh mesh;
	int64_t rate_us;		/* when the bytes below were taken */
	uint64_t rate_rx_bytes, rate_tx_bytes;
	uint64_t rx_rate, tx_rate;	/* between the last two samples */
	struct routing_iface *routing;	/* routing.c; NULL: no Babel on the link */
	size_t position;		/* in node.peers */
	uint32_t allowed_first, allowed_count;	/* its part of node.allowed_list */
	struct peer *bucket_next;
	/* Marks of node_apply(), clear outside it. */
	bool fresh, doomed, removed, kept, replace_allowed, given, whole;
};

struct node {
	struct rng rng;
	struct log log;
	struct lane *lanes;
	unsigned int lane_count;
	unsigned int next_home;		/* of the next new peer */
	unsigned int next_lane;		/* whose handshakes are taken next */
	bool more_handshakes;		/* wait in lanes, beyond what one turn takes; and control messages */
	struct lpm allowed;		/* allowed IPs to lane peers: the lanes read it, it changes while all gates are closed */
	struct ip_prefix *allowed_list;	/* the same, a peer's side by side, in address order */
	struct fib fib;			/* Babel's routes and who announces them, for the lanes, likewise */
	struct owners owners;		/* whose prefixes are by the records of a mesh, for the lanes, likewise */
	struct lpm host;		/* addresses and networks the host itself has, for the lanes, likewise */
	struct routing *routing;
	struct mesh *mesh;		/* NULL: this node is of none... */
	struct node_exchange exchange;	/* ...and may be about to join one */
	struct noise_identity identity;
	struct cookie_checker checker;
	struct ratelimit ratelimit;
	struct timers timers;
	struct u32map handshakes;	/* our index in a handshake under way to its peer */

	struct peer **peers;		/* in the order they were configured */
	size_t peer_count, peer_size;
	struct peer **buckets;		/* by public key */
	size_t bucket_count;
	uint8_t bucket_key[16];

	struct path_local locals[PATH_LOCALS_MAX];	/* addresses of this host */
	size_t local_count;
	enum path_spread path_spread;
	size_t way_at;			/* where node_next_path() goes on */
	uint16_t listen_port;
	uint32_t fwmark;
	struct link_settings links;	/* of peers that have none of their own */
	enum flow_spread spread;
	struct ip_prefix listen_prefix;
	struct shaper shaper;		/* of all peers together */
	unsigned int ports_wanted, port_count;	/* sockets P_1.. */
	bool ports_failed;		/* no more can be had */
	uint16_t ports[SUB_SESSIONS];	/* their numbers */
	uint64_t subs_lost;		/* sub-sessions that were not heard any more */
	bool up;
	struct instant now;		/* of the call under way */
	unsigned int effects;
	uint8_t stamp[WG_TAI64N_LEN], stamp_saved[WG_TAI64N_LEN];
	int64_t loaded_us;		/* when we were last under load; 0: never */
	int64_t rates_us;		/* when rates were last sampled */

	struct dgram out[NODE_OUT_MAX];
	uint8_t out_bytes[NODE_OUT_MAX][WG_HANDSHAKE_MAX];
	size_t out_count;

	uint64_t handshakes_sent, handshakes_received, handshakes_done;
	uint64_t drops[DROP_REASONS];	/* of handshakes; the lanes have their own */
};

/* The lane a peer lives in. */
static inline struct lane *peer_lane(const struct node *n, const struct peer *p)
{
	return &n->lanes[p->data.home];
}

/* The peer in the lane it lives in. */
static inline struct lane_link *peer_link(const struct peer *p)
{
	return &p->data.links[p->data.home];
}

/* Whether Babel is to run on the link to the peer: as configured, or for the mesh's sake. */
static inline bool peer_has_babel(const struct peer *p)
{
	return p->babel || p->mesh.backbone;
}

/* What holds for the peer: its own settings, and the interface's for the rest. Its bandwidth is its own or none. */
struct link_settings peer_settings(const struct node *n, const struct peer *p);

/* Where the peer is now: the lane may be writing it, so it is copied. */
struct path_addr peer_path(struct node *n, struct peer *p);

/* endpoints.c */

/* The configured endpoint that 'remote' is of: by address and port, else by address alone, else by a prefix around it. NULL: none. */
const struct change_endpoint *peer_endpoint_of(const struct peer *p, const struct endpoint *remote);

/* Whether an endpoint of the peer was given as a prefix. */
bool peer_has_prefix(const struct peer *p);

/* The configured endpoints of the peer were set anew. Gates closed. */
void peer_endpoints_changed(struct node *n, struct peer *p, struct instant now);

/* node.c */

/*
 * Let the kernel choose the local address again - but keep one of the listen prefix: it is ours as long as the prefix is, and the peer sends
 * to it, while the kernel would choose one that the peer knows nothing of.
 */
void peer_forget_local(struct node *n, struct peer *p);

struct peer *node_find(const struct node *n, const uint8_t public_key[KEY_LEN]);

/* A new peer in the table, with nothing set: spread_settings() has to come before its lanes work for it. NULL: no memory, or too many. */
struct peer *peer_new(struct node *n, const uint8_t public_key[KEY_LEN]);

/* Out of every table, wiped, freed. Its allowed IPs must be gone. */
void peer_free(struct node *n, struct peer *p);

/* Forget the handshake under way and all keys. */
void peer_forget_keys(struct node *n, struct peer *p);

/* Put the peer's timer where rekey_next(), spread_next() and peer_paths_next() are now. */
void peer_rearm(struct node *n, struct peer *p);

/* routing.c */

bool node_routing_init(struct node *n);		/* false: no memory */
void node_routing_done(struct node *n);

/* Settings for the change under way, copied where that can still fail; they are taken over, and then everything is made as they say. */
void node_routing_apply(struct node *n, struct babel_settings *settings, struct instant now);

/* Peers, allowed IPs, identity or names changed. */
void node_routing_changed(struct node *n, struct instant now);

/* The peer goes, before anything of it is freed. */
void node_routing_forget_peer(struct node *n, struct peer *p);

/* What the paths to the peer say of the link, if they say anything. */
void node_routing_cost(struct node *n, struct peer *p, struct instant now);

void node_routing_turn(struct node *n, struct instant now);
int64_t node_routing_deadline(const struct node *n);

/* handshakes.c */

/* Send an initiation if none went out within REKEY_TIMEOUT and there is room for it. */
void peer_initiate(struct node *n, struct peer *p, struct instant now);

/* Send the next of a row of attempts. */
void peer_retry(struct node *n, struct peer *p, struct instant now);

/* Take handshake messages from the lane, a bounded number. */
void node_take_handshakes(struct node *n, struct instant now);

#endif
