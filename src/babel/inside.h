/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_INSIDE_H
#define MESHD_BABEL_INSIDE_H

#include "babel/babel.h"
#include "babel/hello.h"
#include "babel/mac.h"
#include "babel/rtt.h"
#include "base/slab.h"
#include "base/timers.h"

/*
 * The inside of a Babel speaker, shared by the files of this directory and by nobody else. Two halves:
 *
 *	links	iface.c neighbour.c receive.c queue.c send.c ack.c	who is there, what the way to them costs, bytes in and out
 *	routes	prefix.c source.c route.c select.c request.c announce.c	what they announce, what of it is used, what we announce
 *
 * Links call routes_...() when something came in or a cost changed; routes call send_...() when something shall go out; and
 * when a packet is built send.c asks announce_...() what there is to say at that moment, so that what waited is never stale.
 */

#define BABEL_URGENT_US (200 * US_PER_MS)	/* Appendix B: an urgent TLV leaves within this */
#define BABEL_REQUEST_US (2 * US_PER_S)		/* first resend of a request, then doubled... */
#define BABEL_SOURCE_US (180 * US_PER_S)	/* source GC time */

enum {
	BABEL_REQUEST_RESENDS = 3,		/* ...so often */
	BABEL_HOP_COUNT = 64,
	BABEL_ACK_NEIGHBOURS = 4,		/* with more, urgent updates are repeated rather than acknowledged */
	BABEL_COPIES_MAX = 5,
	BABEL_BEAT_PART = 16,			/* intervals are kept to a part of so many */
	BABEL_ECHO_UPDATES = 2,			/* a route is told to whom we have it from with every second full update only */
};

/* Every timer of the speaker is one of these: babel.c gives it to the half it belongs to. */
enum babel_timer_kind {
	BABEL_TIMER_IFACE_HELLO, BABEL_TIMER_IFACE_UPDATE, BABEL_TIMER_QUEUE,
	BABEL_TIMER_NEIGHBOUR_HELLO, BABEL_TIMER_NEIGHBOUR_UNICAST, BABEL_TIMER_NEIGHBOUR_IHU, BABEL_TIMER_NEIGHBOUR_RTT,
	BABEL_TIMER_NEIGHBOUR_TRUST, BABEL_TIMER_NEIGHBOUR_MAC, BABEL_TIMER_ACK,
	BABEL_TIMER_ROUTES,			/* all from here on are the routes half's */
	BABEL_TIMER_ROUTE = BABEL_TIMER_ROUTES, BABEL_TIMER_PREFIX, BABEL_TIMER_HOLD, BABEL_TIMER_SOURCE, BABEL_TIMER_REQUEST,
};

struct babel_timer {
	struct timer timer;		/* its 'kind' is one of these */
};

struct babel_dump;
struct babel_prefix;
struct babel_queue;
struct babel_request;
struct babel_route;

/* A neighbour: an address heard on an interface. The link half's, but for what is marked. */
struct babel_neighbour {
	struct babel_iface *iface;
	struct babel_neighbour *next;		/* of the same interface */
	struct ip_addr address;
	struct hello_history multicast, unicast;
	struct babel_timer hello_timer, unicast_timer, ihu_timer, rtt_timer, trust_timer, mac_timer;
	uint16_t rxcost, txcost;		/* what we tell it, and it told us; BABEL_INFINITY: nothing heard */
	uint16_t cost;				/* of the link: what routes add. Never 0; BABEL_INFINITY: down */
	struct babel_rtt rtt;
	struct babel_mac_peer mac;
	bool trusted;				/* may be selected through: after an unclean start only when it knows that we forgot all */
	unsigned int frozen;			/* Hellos that could not come while the link was said to be down: histories stand still */
	bool ihu_due;				/* an IHU for it is to go out with the interface's next packet */
	bool asked;				/* for all its routes, when the link to it was first usable */
	struct babel_queue *queue;		/* unicast; NULL: nothing was ever sent so */
	struct babel_route *routes;		/* routes half: all it announces */
	size_t route_count;
	bool refused_logged;			/* routes half */
	bool reachable;				/* routes half: counted in b->reachable_count */
};

struct babel_iface {
	struct babel *babel;
	struct babel_iface *next;
	void *owner;
	struct babel_iface_config config;
	struct babel_link_cost measured;
	bool up;
	uint16_t hello_seqno;
	struct babel_timer hello_timer, update_timer;
	struct babel_neighbour *neighbours;
	size_t neighbour_count;
	unsigned int starting;			/* rounds of the start sequence still to come: no updates before */
	int64_t resumed_until_us;		/* what neighbours hold of us is right, and they are no new ones; 0: not so */
	unsigned int greetings;			/* early Hellos still to come, for somebody new */
	int64_t greeted_us;
	unsigned int updates;			/* full ones by the timer: see BABEL_ECHO_UPDATES */
	unsigned int hellos;			/* sent since it went up: every BABEL_IHU_HELLOS-th goes with IHUs to all */
	struct babel_queue *queue;		/* multicast */
	struct babel_ack *acks;			/* ack.c */
	size_t ack_count;
	struct babel_mac_own mac;
	int64_t dumped_us;			/* last full update: a wildcard request draws another only some time later (Q2) */
	int64_t drawn_us;			/* when what requests may draw, one a Hello interval, is used up to */
	bool dump_wanted;			/* the next full update is for somebody who asked */
	int64_t pace_us;			/* when the running 10 ms began... */
	unsigned int pace_packets;		/* ...and how many packets went out since */
	uint64_t packets_sent, packets_received, bytes_sent, bytes_received;
	uint64_t dropped_mac, dropped_malformed, dropped_source;
	bool refused_logged;
	unsigned int made;			/* routes half: prefixes that its neighbours were the first to tell of, until... */
	int64_t made_until_us;			/* ...then, when they are counted anew */
	bool listed;				/* routes half: by the babel_announcers() under way */
};

struct babel {
	struct rng rng;
	struct log log;
	struct instant now;			/* of the call under way */
	struct timers timers;
	size_t timer_count;			/* that there is room for: babel_timers_want() */
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno;
	bool clean, stopped;
	struct babel_iface *ifaces;		/* in the order they were added */
	size_t iface_count, neighbour_count;
	uint16_t opaque;			/* of the next AckReq */
	size_t ack_count;			/* of all interfaces */
	struct babel_queue *ready_first, *ready_last;	/* queues whose time has come */
	struct babel_dump *dump;		/* queue.c: the newest one that is still in use */
	uint8_t packet[BABEL_PACKET_MAX + BABEL_KEYS_MAX * (2 + BABEL_MAC_MAX)];	/* being written */

	/* Routes half. */
	uint8_t hash_key[16];
	struct babel_prefix **buckets;
	size_t bucket_count, prefix_count, route_count, source_count, request_count;
	struct slab prefix_slab, route_slab, source_slab;
	struct babel_timer source_timer;	/* when sources are looked at next */
	uint64_t told_version;			/* grows with every change of what announce_all() says */
	size_t reachable_count;			/* neighbours with a finite cost */
	struct babel_request *forwarded;	/* those that somebody waits for */
	int64_t seqno_us;			/* when our own last grew */
	struct babel_prefix *changed_first, *changed_last;	/* for babel_next_change() */
	struct babel_filter *filters;
	size_t filter_count;
	struct babel_judge judge;	/* may == NULL: everybody may announce everything */
	uint64_t route_changes, requests_sent, requests_forwarded, requests_answered, unfeasible, refused;
	bool prefixes_logged;
};

/* babel.c */

/* Room for 'count' more timers (a negative one gives it back), before what holds them is made. False: no memory. */
bool babel_timers_want(struct babel *b, int count);
void babel_timer_set(struct babel *b, struct babel_timer *t, int64_t due_us);
void babel_timer_unset(struct babel *b, struct babel_timer *t);

/* A time about 'us' from now: between 3/4 and 4/4 of it, so that honest intervals stay honest. */
int64_t babel_jitter(struct babel *b, int64_t us);

/* The next of a row that is promised every 'us': a little before, and no two nodes at one beat. */
int64_t babel_beat(struct babel *b, int64_t us);

/* Seqno arithmetic (3.2.1): whether a is newer than b... */
static inline bool seqno_newer(uint16_t a, uint16_t b)
{
	uint16_t ahead = (uint16_t)(a - b);

	return ahead && ahead < 0x8000;
}

/*
 * Links half, for the routes half: send.c. 'n' NULL is multicast on the interface; 'i' NULL all interfaces that are up. What waits for the same
 * receiver is sent once. A prefix in a queue is held: prefix_hold(), prefix_release().
 */

enum send_urgency {
	SEND_WHENEVER,		/* within half a Hello interval */
	SEND_URGENT,		/* within BABEL_URGENT_US */
	SEND_RELIABLE,		/* urgent, and acknowledged or repeated (3.7.2, 2.8): routes_acked() tells */
};

/* An update of the prefix, whatever announce_update() says when it is written. 'forced': also where split horizon would hide it. */
void send_update(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, struct babel_prefix *p, enum send_urgency urgency,
		 bool forced);

/* All there is, as at every update interval. */
void send_all(struct babel *b, struct babel_iface *i, struct babel_neighbour *n);

void send_route_request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct prefix_pair *prefix);
void send_seqno_request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct prefix_pair *prefix,
			const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno, uint8_t hop_count);

/*
 * Routes half, for the links half.
 */

/* An update of neighbour 'n', parsed; a wildcard is a retraction of all it announced. */
void routes_update(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *u);
void routes_route_request(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *r);	/* not the wildcard: send_all() answers */
void routes_seqno_request(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *r);

/* n->cost or n->trusted changed: all its routes are looked at again. */
void routes_neighbour_changed(struct babel *b, struct babel_neighbour *n);

/* It is going: its routes go. */
void routes_neighbour_gone(struct babel *b, struct babel_neighbour *n);

/* It acknowledged our last retraction of the prefix (K2 b). */
void routes_acked(struct babel *b, struct babel_neighbour *n, struct babel_prefix *p);

/* A timer of kind >= BABEL_TIMER_ROUTES. */
void routes_timer(struct babel *b, struct babel_timer *t);

void routes_init(struct babel *b);
void routes_done(struct babel *b);

/* babel_stop(): from now on announce_update() says infinity for everything. */

/* announce.c: what send.c writes. */

/*
 * What there is to say of a prefix on an interface now: a selected or own route, or a retraction. The feasibility distance is recorded by
 * this very call (F2), so what it fills in must be sent. False: nothing to say there (split horizon, filtered, never announced).
 */
bool announce_update(struct babel *b, struct babel_prefix *p, const struct babel_iface *i, bool forced, struct babel_update *u);

/*
 * Whether the route is over this very interface. Where split horizon is off neighbours hear of it all the same - not to use it, but a
 * mesh's source check lives on it - and half as often, which its interval says.
 */
bool announce_is_echo(const struct babel_prefix *p, const struct babel_iface *i);

/* All prefixes that a full update tells of: selected, own and lately retracted ones, sorted as C5 says. 'out' has room for b->prefix_count. */
size_t announce_all(struct babel *b, struct babel_prefix **out);

/* The order of C5: by router-id, IPv6 before IPv4, prefix. For qsort() of pointers to prefixes. */
int announce_order(const void *a, const void *b);

void prefix_hold(struct babel_prefix *p);
void prefix_release(struct babel *b, struct babel_prefix *p);
const struct prefix_pair *prefix_pair_of(const struct babel_prefix *p);

/* How often it was lost: an acknowledgement of what was sent before the last time says nothing of our retraction. */
uint16_t prefix_losses(const struct babel_prefix *p);

#endif
