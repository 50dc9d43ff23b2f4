/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SIM_H
#define MESHD_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/rng.h"
#include "nat.h"
#include "node/lane.h"
#include "node/node.h"
#include "node/routing.h"

/*
 * Many nodes in one process, in virtual time, from one seed: the second driver of the core. Nothing here sleeps,
 * and a run is repeated exactly by its seed. One event at a time: the earliest arrival, node deadline or script
 * line is taken, the clock jumps there, that one thing is done.
 *
 * A node's sockets are at its address: the listen port, and behind it P_1, P_2... It may be behind a NAT of its own. It may have more addresses,
 * each an uplink: then it knows which it has, packets leave by the one that is said, and every pair of two nodes' addresses is a way of its own.
 */

#define SECONDS(n) ((n) * US_PER_S)
#define MS(n) ((n) * US_PER_MS)

enum {
	SIM_NODES_MAX = 64,
	SIM_DGRAM_MAX = 2048,
	SIM_PORT = 51820,
	SIM_DRAIN_BYTES = 16384,	/* asked of a lane at once */
	SIM_ADDRESSES_MAX = 4,		/* of a node */
	SIM_WAYS_MAX = 64,		/* pairs of addresses that differ from the nodes' link */
};

/* What a link does to datagrams, in one direction. All zero: perfect and immediate. Probabilities in 1/1000. */
struct sim_link {
	int64_t delay_us, jitter_us;	/* each datagram: delay + [0, jitter) - jitter reorders */
	unsigned int loss, duplicate;
	uint32_t mtu;			/* bytes of UDP payload; 0: no limit */
	bool cut;
	bool no_handshakes;		/* loses types 1 to 3 alone */
	bool no_data;			/* loses type 4 alone */
};

/* Something that happened on the wire or at a TUN, for tests that watch. */
struct sim_seen {
	uint64_t initiations, responses, cookie_replies, data, keepalives;	/* sent, by type */
	uint64_t controls;		/* mesh control messages, which are not among 'data' */
	uint64_t answered;		/* those that go out on a sub-session of data: probes and replies */
	uint64_t delivered;		/* inner packets the node wrote to its TUN */
	uint64_t refused;		/* ICMP errors among them */
};

struct sim_node {
	struct node *node;
	struct endpoint endpoint;	/* where it is now, as it sees it itself */
	struct sim_nat nat;		/* of its first address */
	struct ip_addr more[SIM_ADDRESSES_MAX - 1];	/* its other addresses */
	size_t address_count;		/* all of them; 1 at first, and the kernel chooses */
	bool gone[SIM_ADDRESSES_MAX];	/* it does not have them now */
	struct path_terms terms[SIM_ADDRESSES_MAX];
	unsigned int lanes;
	uint8_t flow_sessions;		/* as it is started; see sim_set_flow_sessions() */
	unsigned int ports_max;		/* sockets for sub-sessions it can have; 126 at first */
	bool plain;			/* its indices are as a plain WireGuard's: random in all bits */
	int64_t wall_offset_ns;		/* how wrong its clock is */
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	struct sim_stream { uint64_t s; } random;
	struct sim_seen seen;
	int64_t wake_us;		/* its deadline */
	int64_t last_sent_us;		/* any datagram */
	int64_t last_initiation_us;
	uint64_t routes_changed;	/* that the kernel would have been told of */
};

struct sim_event;

/* A datagram as it is outside: behind the NAT of who sent it, before that of who gets it. */
struct sim_dgram {
	struct endpoint from, to;
	const uint8_t *msg;
	size_t len;
	unsigned int number;		/* of its sub-session; 0 for handshakes */
	bool control;			/* a mesh control message, as can be told from its length and number */
};

/* What is between two addresses, in one direction. */
struct sim_way {
	size_t a, a_address, b, b_address;
	struct sim_link link;
};

struct sim {
	struct sim_stream random;
	int64_t now_us, wall_ns;	/* virtual */
	struct sim_node nodes[SIM_NODES_MAX];
	size_t node_count;
	unsigned int lanes;		/* of each node made from now on; 1 at first */
	uint8_t flow_sessions;		/* the same; 32 at first */
	uint64_t handed_over, strays;	/* packets and messages that went from lane to lane */
	struct sim_dgram arriving;	/* the datagram whose packet on_packet() is called for */
	struct sim_link links[SIM_NODES_MAX][SIM_NODES_MAX];
	struct sim_way ways[SIM_WAYS_MAX];	/* these go before 'links' */
	size_t way_count;
	struct sim_event *events;	/* sorted by time, then by order of making */
	size_t in_flight;
	uint64_t trace;			/* a hash over everything that was sent: equal seeds, equal traces */
	/* Called for each inner packet that reaches a node's TUN. May be NULL. */
	void (*on_packet)(struct sim *s, size_t node, const uint8_t *packet, size_t len);
	/* Called for each datagram a node sends, before the link has its way. May be NULL. */
	void (*on_dgram)(struct sim *s, size_t from, const struct sim_dgram *d);
	/* Whether a way of the node leads into its own mesh. NULL: none does. */
	bool (*astray)(size_t node, const struct path_addr *path);
	void *ctx;
};

void sim_init(struct sim *s, uint64_t seed);
void sim_done(struct sim *s);

/* A node with a key, up, no peers. Its number is its place in s->nodes; its inner address fd00::N+1 and 10.9.0.N+1. */
size_t sim_add_node(struct sim *s);

/* Take a node away and start it afresh with the same key; with_stamp: it remembers its last TAI64N. Peers must be added again. */
void sim_restart_node(struct sim *s, size_t i, bool with_stamp);

/*
 * Put node i behind a NAT, at an address of its own; its peers must be added afterwards. Mappings live 30 s.
 */
void sim_add_nat(struct sim *s, size_t i, enum sim_nat_kind kind);

/* One more address for node i: returns which. From then on the node knows its addresses. Restarted, it has them still. */
size_t sim_add_address(struct sim *s, size_t i);

/* All addresses of b become the endpoints of that peer at a. */
void sim_set_endpoints(struct sim *s, size_t a, size_t b);

/* Take an address away from the node, or give it back. */
void sim_set_address(struct sim *s, size_t i, size_t address, bool there);

/* Where its k-th address is. */
struct endpoint sim_address(const struct sim *s, size_t i, size_t address);

/* Between two addresses, one direction; both by sim_set_way(). */
void sim_set_way_out(struct sim *s, size_t a, size_t a_address, size_t b, size_t b_address, const struct sim_link *link);
void sim_set_way(struct sim *s, size_t a, size_t a_address, size_t b, size_t b_address, const struct sim_link *link);

/* The paths of b at a. */
const struct path_set *sim_paths(struct sim *s, size_t a, size_t b);

/* Where node i is for others. */
struct endpoint sim_outside(const struct sim *s, size_t i);

/* FlowSessions of a running node, and of what it is when it is restarted. */
void sim_set_flow_sessions(struct sim *s, size_t i, uint8_t sessions);

/* Make b a peer of a (one direction of configuration). Endpoint: b's, if 'endpoint'. psk may be NULL. */
void sim_add_peer(struct sim *s, size_t a, size_t b, bool endpoint, const uint8_t *psk, uint16_t keepalive_s);

/* Both ways, with endpoints. */
void sim_connect(struct sim *s, size_t a, size_t b);

/*
 * Routing: node i runs Babel with Hellos so often, and announces its inner addresses; links between such nodes carry it, and their allowed IPs
 * are what Babel brings. sim_link_babel() is sim_connect() for two of them.
 */
void sim_route(struct sim *s, size_t i, int64_t hello_us);
void sim_link_babel(struct sim *s, size_t a, size_t b);
void sim_unlink(struct sim *s, size_t a, size_t b);

/* Set both directions of a link. */
void sim_set_link(struct sim *s, size_t a, size_t b, const struct sim_link *link);

/* Put an inner packet (IPv6, UDP-like, carrying 'tag') into a's TUN for b. */
void sim_send(struct sim *s, size_t a, size_t b, uint64_t tag, size_t payload_len);

/* The same, in flow 'flow' of the two; sim_send() is flow 0. */
void sim_send_flow(struct sim *s, size_t a, size_t b, unsigned int flow, uint64_t tag, size_t payload_len);

/* A packet in a's TUN for b whose source is that of node 'as' (which need not exist). */
void sim_send_as(struct sim *s, size_t a, size_t as, size_t b, uint64_t tag);

/* The tag of a packet sim_send() made, or 0. */
uint64_t sim_tag(const uint8_t *packet, size_t len);

/* Put raw bytes in front of node i, as if they came from 'from'. */
void sim_inject(struct sim *s, size_t i, const struct endpoint *from, const void *msg, size_t len);

/* Run until the virtual time is 'us' later. */
void sim_run(struct sim *s, int64_t us);

/* Uniform number in [0, bound). */
uint64_t sim_random(struct sim_stream *r, uint64_t bound);

/* The peer_info of b at a. */
struct peer_info sim_peer(struct sim *s, size_t a, size_t b);
uint64_t sim_drops(struct sim *s, size_t i, enum drop_reason reason);

#endif
