/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_ROUTING_H
#define MESHD_NODE_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "babel/babel.h"
#include "base/addr.h"
#include "base/instant.h"

struct node;
struct text;

/*
 * Routing: a Babel speaker (babel/babel.h) joined to the node's links, to the host's ordinary interfaces and to its kernel. Part of node_turn()
 * and node_deadline(); what is here is for the driver:
 *
 *	node_routing_begin(), node_routing_resume()		before the config is applied
 *	node_set_addresses(), node_set_lan(), node_set_kernel_routes(), node_lan_receive()	what it sees
 *	node_lan_next() until false				Babel packets to send on ordinary interfaces
 *	node_next_route() until false				changes for the kernel's table
 *	node_routing_state()					when NODE_EFFECT_BABEL_STATE is set: save it
 */

/* What must survive a restart (reference D4). */
struct routing_state {
	uint8_t router_id[BABEL_ROUTER_ID_LEN];		/* all zero: none is saved */
	uint16_t seqno;
	bool clean;				/* the last run ended by node_routing_stop(), not planned */
};

/* NULL: nothing was saved. Without a RouterId in the config it is made of the public key. */
void node_routing_begin(struct node *n, const struct routing_state *saved);
void node_routing_state(const struct node *n, struct routing_state *state);

/*
 * What the next run must know beside that for neighbours' routes to stay right over a planned stop (resume.c): text, to be given back before
 * the config is applied. It is good for ROUTING_RESUME_US. False: 'text' is none, or too old, and the next start is as after a crash.
 */
#define ROUTING_RESUME_US (60 * US_PER_S)
void node_routing_suspend(const struct node *n, struct text *out, struct instant now);
bool node_routing_resume(struct node *n, const char *text, struct instant now);

/* How often Hellos are sent where nothing else is said. */
int64_t node_routing_hello_us(const struct node *n);

/* Whether Babel runs: there is a [Babel] section, or a peer with Babel. */
bool node_routing_on(const struct node *n);

/*
 * Whether lanes forward, or drop, what is for other peers, and have to know what is the host's own: addresses and kernel's routes are wanted then,
 * Babel or not.
 */
bool node_forwards(const struct node *n);

/* The addresses of our own interface (host bits kept): announced as host routes, and the source of ICMP errors. False: no memory. */
bool node_set_addresses(struct node *n, const struct ip_prefix *addresses, size_t count, struct instant now);

/* The ordinary interfaces the config names; false: there is no i-th. */
bool node_lan_wanted(const struct node *n, size_t i, char name[16]);

/* One of them as the host has it. Without ifindex or link-local address, or down, it is not there. */
struct node_lan {
	char name[16];
	uint32_t ifindex, mtu;
	bool up;
	struct ip_addr address;		/* link-local */
	struct ip_addr address4;	/* family IP_NONE: none */
};

void node_set_lan(struct node *n, const struct node_lan *lan, struct instant now);

struct node_lan_packet {
	uint32_t ifindex;
	struct ip_addr src, dst;
	uint16_t src_port;
	const uint8_t *data;		/* payload of UDP; ours is good until the next call */
	size_t len;
	int64_t stamp_us;		/* when it came in, on the monotonic clock */
};

void node_lan_receive(struct node *n, const struct node_lan_packet *p, struct instant now);
bool node_lan_next(struct node *n, struct node_lan_packet *p, struct instant now);

/* A route the kernel shall have, in the place of any before for the same pair. */
enum node_route_kind {
	NODE_ROUTE_NONE,
	NODE_ROUTE_TUN,			/* over our own interface: meshd finds the peer */
	NODE_ROUTE_LAN,			/* to 'gateway' over 'ifindex' */
	NODE_ROUTE_UNREACHABLE,
};

struct node_route {
	struct prefix_pair prefix;
	enum node_route_kind kind;
	uint32_t ifindex;
	struct ip_addr gateway;		/* IPv6 also for IPv4 prefixes (RFC 9229) */
};

bool node_next_route(struct node *n, struct node_route *r);

/* The routes of the kernel's that could be redistributed, ours excluded: all of them, in the place of those before. False: no memory. */
struct kernel_route {
	struct prefix_pair prefix;
	uint32_t ifindex;
	char iface[16];
	uint8_t protocol;		/* rtm_protocol: 2 kernel, 3 boot, 4 static... */
};

bool node_set_kernel_routes(struct node *n, const struct kernel_route *routes, size_t count, struct instant now);

/*
 * The interface goes down for good. 'planned': it comes back at once. Then send what node_lan_next() and the lanes have, and give the last
 * node_routing_state() to the file, or node_routing_suspend() if it was planned.
 */
void node_routing_stop(struct node *n, bool planned, struct instant now);

/* What "meshd routes" shows: the speaker, or NULL; and the name of the peer or interface behind a babel_iface_info's or route's owner. */
const struct babel *node_babel(const struct node *n);
const char *node_babel_owner_name(const struct node *n, const void *owner, bool *is_peer);

#endif
