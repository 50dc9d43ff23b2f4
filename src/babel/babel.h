/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_BABEL_H
#define MESHD_BABEL_BABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/rng.h"
#include "babel/filter.h"
#include "wire/babel.h"

/*
 * A Babel speaker (RFC 8966), source-specific (RFC 9079), with the delay metric (RFC 9616), authentication (RFC 8967, 9467) and IPv4 via
 * IPv6 (RFC 9229). Pure: packets, time and random bytes come in; packets, route changes and deadlines come out. A driver
 *
 *	babel_receive() / babel_iface_...() / babel_originate()		as things happen
 *	babel_turn(now)							when babel_deadline() has come, and after input
 *	babel_next_packet() until false					send them
 *	babel_next_change() until false					put them into the forwarding tables
 *
 * An interface is whatever a multicast reaches all neighbours of: a LAN, or, over the mesh, one link to one peer. Nothing here knows which.
 * All tables are bounded: what does not fit is refused, counted, and logged once. Who comes late gets something all the same: of the room for
 * prefixes and for routes a neighbour with BABEL_ROUTES_FEW routes or more - or on an interface over which so many new prefixes came in the last
 * minutes, for what is withdrawn is still known for a while - may not touch the last BABEL_RESERVE places. And none may touch the
 * BABEL_PREFIXES_OWN places beyond BABEL_PREFIXES_MAX, which only our own announcements use.
 */
struct babel;
struct babel_datagram;
struct babel_iface;

enum {
	BABEL_IFACES_MAX = 4096,
	BABEL_NEIGHBOURS_MAX = 256,	/* of one interface */
	BABEL_NEIGHBOURS_ALL_MAX = 4096,
	BABEL_PREFIXES_MAX = 65536,	/* prefix pairs known, our own and retracted ones included: neighbours make no more... */
	BABEL_PREFIXES_OWN = 16384,	/* ...but babel_originate() so many: what a neighbour takes of us */
	BABEL_ROUTES_MAX = 1 << 18,	/* routes of all neighbours together... */
	BABEL_ROUTES_NEIGHBOUR = 16384,	/* ...and of one */
	BABEL_ROUTES_FEW = 1024,	/* a neighbour that has fewer may use up both tables, one that has more leaves... */
	BABEL_RESERVE = 8192,		/* ...so many places */
	BABEL_SOURCES_PREFIX = 64,	/* router-ids remembered of one prefix pair */
	BABEL_KEYS_MAX = 4,		/* MAC keys of one interface */
	BABEL_PACKET_MAX = 1452,	/* bytes of a packet we write, whatever the MTU */
	BABEL_NAME_MAX = 63,
	BABEL_KEY_MAX = 128,
};

/* Defaults, as babeld and BIRD have them. */
#define BABEL_HELLO_US (4 * US_PER_S)
#define BABEL_INTERVAL_MAX_US (655340 * US_PER_MS)	/* the longest that can be announced */
#define BABEL_UPDATE_HELLOS 4		/* an update interval is so many Hello intervals... */
#define BABEL_IHU_HELLOS 3		/* ...and an IHU's so many */

enum babel_link_type {
	BABEL_WIRED,		/* 2-out-of-3, nominal cost 96, split horizon */
	BABEL_WIRELESS,		/* ETX, nominal cost 256 */
	BABEL_TUNNEL,		/* 2-out-of-3, nominal cost 96, delay metric, no split horizon */
};

enum babel_mac_kind {
	BABEL_MAC_HMAC_SHA256,
	BABEL_MAC_BLAKE2S_128,
};

struct babel_key {
	enum babel_mac_kind kind;
	uint8_t len;		/* 1..BABEL_KEY_MAX; BLAKE2s: at most 32 */
	uint8_t bytes[BABEL_KEY_MAX];
};

/* What an interface is. babel_iface_defaults() fills in what a type has by itself. */
struct babel_iface_config {
	char name[BABEL_NAME_MAX + 1];	/* for filters, logs and status */
	enum babel_link_type type;
	int64_t hello_us, update_us;	/* 10 ms to 655.34 s; a longer update_us is taken for that */
	uint16_t rxcost;		/* nominal cost, 1..65534 */
	uint32_t mtu;			/* of the interface: packets are at most max(512, mtu - 48) */
	bool split_horizon;
	bool rtt;			/* send timestamps, and add to the cost: */
	int64_t rtt_min_us, rtt_max_us;	/* nothing up to one, rtt_cost from the other on, linear between (RFC 9616) */
	uint16_t rtt_cost;
	struct ip_addr address;		/* ours, link-local IPv6: the source of packets */
	struct ip_addr address4;	/* ours, IPv4, given as next hop; family IP_NONE: none, prefixes go as AE 4 */
	bool via6;			/* IPv4 routes with IPv6 next hops can be installed (RFC 9229) */
	unsigned int key_count;
	bool accept_unauthenticated;	/* keys are being introduced: send MACs, take packets without */
	struct babel_key keys[BABEL_KEYS_MAX];
};

void babel_iface_defaults(struct babel_iface_config *c, enum babel_link_type type);

struct babel_config {
	uint8_t router_id[BABEL_ROUTER_ID_LEN];	/* neither all zero nor all one */
	uint16_t seqno;			/* saved from the last run, or a random small one */
	bool clean;			/* the last run ended with babel_stop(), or there was none: neighbours hold nothing of us that is wrong */
};

/* 'rng' and 'log' are copied. NULL: no memory. */
struct babel *babel_new(const struct babel_config *c, const struct rng *rng, const struct log *log);
void babel_free(struct babel *b);

/* Our sequence number: save it when it changed, for the next start (reference D4). It grows only by requests. */
uint16_t babel_seqno(const struct babel *b);
const uint8_t *babel_router_id(const struct babel *b);

/*
 * Interfaces. 'owner' is the driver's, given back with packets and changes. A changed config is set in place, and nothing is sent or
 * computed anew but for what differs: neighbours, routes and MAC state stay, unless the address changed. NULL: no memory, or too many. Removing
 * forgets its neighbours and routes at once.
 */
struct babel_iface *babel_iface_add(struct babel *b, const struct babel_iface_config *c, void *owner, struct instant now);
void babel_iface_set(struct babel *b, struct babel_iface *i, const struct babel_iface_config *c, struct instant now);
void babel_iface_remove(struct babel *b, struct babel_iface *i, struct instant now);
void *babel_iface_owner(const struct babel_iface *i);

/* Right after babel_iface_add(): go on where a planned stop ended. Hellos count on from this one, nothing is retracted first, and the
 * first Hello of a neighbour is not its first. */
void babel_iface_resume(struct babel_iface *i, uint16_t hello_seqno);

/*
 * The farewell to one interface, to be sent before babel_iface_remove(): that all we announced there is void, and a Hello that soon expires. It is
 * in 'd' at once, whatever waits, and its data is good until the next call. False: it is down, or babel_stop() has seen to it.
 */
bool babel_iface_farewell(struct babel *b, struct babel_iface *i, struct babel_datagram *d, struct instant now);

/* The interface has or lost its carrier. Down: neighbours and routes are forgotten at once. Interfaces begin up. */
void babel_iface_up(struct babel *b, struct babel_iface *i, bool up, struct instant now);

/*
 * What somebody who measures the link better than Babel's Hellos says of it (the paths of a mesh link). 'nominal' stands in the place of
 * rxcost and delay metric, added to nothing: 1..65534, or 0: nobody measures, Babel does. 'down': the link carries nothing now, as if all
 * Hellos were lost; its neighbour is kept, and is back at once when it is up again. Hellos go on in any case.
 */
struct babel_link_cost {
	uint16_t nominal;
	bool down;
};

void babel_iface_cost(struct babel *b, struct babel_iface *i, const struct babel_link_cost *cost, struct instant now);

/*
 * A packet came in: the payload of UDP from src:src_port to dst. 'stamp_us' is when, on the monotonic clock, as early as it was taken.
 */
struct babel_datagram {
	struct babel_iface *iface;
	struct ip_addr src, dst;
	uint16_t src_port;
	const uint8_t *data;
	size_t len;
	int64_t stamp_us;
};

void babel_receive(struct babel *b, const struct babel_datagram *d, struct instant now);

/* Timers that have come, and all that follows from them and from what came in. */
void babel_turn(struct babel *b, struct instant now);

/* When babel_turn() is next needed: microseconds, monotonic; NEVER_US only without interfaces and routes. */
int64_t babel_deadline(const struct babel *b);

/*
 * The next packet to send now, in 'd' (src is the interface's address, dst babel_group or a neighbour; ports are BABEL_PORT). Its data is good
 * until the next call. The timestamp in it is 'now': take packets out when they can be sent. False: no more.
 */
bool babel_next_packet(struct babel *b, struct babel_datagram *d, struct instant now);

/* Announce a prefix as ours with this metric (again: change it); withdraw it. False: no memory, or no room. */
bool babel_originate(struct babel *b, const struct prefix_pair *p, uint16_t metric, struct instant now);
void babel_withdraw(struct babel *b, const struct prefix_pair *p, struct instant now);

/*
 * Who may announce what, beside filters: asked of every announcement that comes in (with its router-id), before it is more than parsed; false: it is as if
 * filters denied it. NULL: everybody may. After its answers may have changed babel_judge_again() has it asked anew of every route there is.
 */
struct babel_judge {
	bool (*may)(void *ctx, void *owner, const struct ip_addr *neighbour, const struct prefix_pair *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN]);
	void *ctx;
};

void babel_set_judge(struct babel *b, const struct babel_judge *judge, struct instant now);
void babel_judge_again(struct babel *b, struct instant now);

/* Filters, copied; all routes are looked at again. False, with nothing changed: no memory. */
bool babel_set_filters(struct babel *b, const struct babel_filter *filters, size_t count, struct instant now);

/*
 * A clean end: withdraw everything (babel_next_packet() has the packets: retraction and a Hello that soon expires). 'planned': the node comes
 * back at once, so say nothing: neighbours keep their routes for their hold time. What they hold of us is right only as long as the next
 * run has these distances: babel_distances() to babel_restore_distance(), and babel_iface_resume().
 */
void babel_stop(struct babel *b, bool planned, struct instant now);

/*
 * What the forwarding tables shall have of a prefix pair. Changes of one pair between two calls are one; another metric alone is none, so
 * 'metric' is what it was when the change was taken out.
 */
enum babel_action {
	BABEL_NO_ROUTE,		/* nothing: a shorter prefix may have it */
	BABEL_VIA,		/* to next_hop over iface */
	BABEL_UNREACHABLE,	/* was lost: packets must not follow a shorter prefix yet (2.8, K1). Never for /0 */
	BABEL_OWN,		/* we originate it */
};

struct babel_change {
	struct prefix_pair prefix;
	enum babel_action action;
	struct babel_iface *iface;
	struct ip_addr next_hop;	/* of IPv6, or of the prefix's family */
	uint16_t metric;
	bool announcers_changed;	/* babel_announcers() say something else */
};

bool babel_next_change(struct babel *b, struct babel_change *c);

/*
 * The interfaces over which a neighbour announces exactly this pair (metric not infinite, not denied by filters), for the source check: each once,
 * and at most 'max' of them. Returns how many are in 'out'; BABEL_IFACES_MAX always has room for all.
 */
size_t babel_announcers(const struct babel *b, const struct prefix_pair *p, struct babel_iface **out, size_t max);

/* Snapshots for status; good until the next call that changes anything. False: there is no i-th. */
struct babel_iface_info {
	const char *name;
	void *owner;
	enum babel_link_type type;
	bool up;
	struct ip_addr address;
	int64_t hello_us, update_us;
	size_t neighbour_count;
	bool authenticated;
	uint16_t hello_seqno;		/* of the last Hello */
	uint64_t packets_sent, packets_received, bytes_sent, bytes_received;	/* payload of UDP */
	uint64_t dropped_mac, dropped_malformed, dropped_source;
};

struct babel_neighbour_info {
	const struct babel_iface *iface;
	void *owner;			/* of the interface */
	const char *iface_name;
	struct ip_addr address;
	uint16_t reach;			/* multicast Hellos, newest in the highest bit */
	uint16_t rxcost, txcost, cost;
	bool has_rtt;
	int64_t rtt_us;
	size_t routes;			/* it announces */
	bool untrusted;			/* not chosen through yet: after an unclean start, until it knows that we forgot all */
};

struct babel_route_info {
	struct prefix_pair prefix;
	bool own;			/* originated here: no neighbour */
	const struct babel_iface *iface;
	void *owner;
	const char *iface_name;
	struct ip_addr neighbour, next_hop;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno;
	uint16_t announced, metric, smoothed;	/* as announced, with the link's cost, and over time */
	bool feasible, selected;
	bool held;			/* no route is left: unreachable until neighbours know */
	int64_t age_us;			/* since the last update */
};

struct babel_info {
	size_t prefixes, routes, neighbours, ifaces, sources;
	uint64_t route_changes, requests_sent, requests_forwarded, requests_answered, unfeasible, refused;	/* since start */
	size_t requests_pending;
};

void babel_info(const struct babel *b, struct babel_info *info);
bool babel_iface_at(const struct babel *b, size_t i, struct babel_iface_info *info);
bool babel_neighbour_at(const struct babel *b, size_t i, struct babel_neighbour_info *info);

/* Visit all routes, our own first of each prefix, prefixes in no order. */
void babel_routes(const struct babel *b, struct instant now, void (*visit)(void *ctx, const struct babel_route_info *r), void *ctx);

/* The feasibility distance held for a pair and router-id (chapter 2.4): for tests and status. False: none. */
bool babel_distance(const struct babel *b, const struct prefix_pair *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN],
		    uint16_t *seqno, uint16_t *metric);

/* Visit all of them; and have one that a planned stop saved again, before there are interfaces. False: no memory, or too many. */
struct babel_distance {
	struct prefix_pair prefix;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno, metric;
};

void babel_distances(const struct babel *b, void (*visit)(void *ctx, const struct babel_distance *d), void *ctx);
bool babel_restore_distance(struct babel *b, const struct babel_distance *d, struct instant now);

/* The same for the pair's selected route: its neighbour and what it announced. False: none is selected, or it is our own. */
bool babel_selected(const struct babel *b, const struct prefix_pair *p, struct babel_route_info *info);

#endif
