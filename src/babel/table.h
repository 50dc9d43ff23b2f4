/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_TABLE_H
#define MESHD_BABEL_TABLE_H

#include <string.h>

#include "babel/inside.h"
#include "babel/smooth.h"

/*
 * The tables of the routes half. A prefix pair has everything that is about it: routes, sources, requests; a route is in the lists of its
 * prefix and of its neighbour. Nothing frees a prefix but prefix_release(): whoever comes in from outside holds it while it works.
 *
 * There may be a hundred thousand of each, so what is in them is packed; of a prefix pair from one neighbour there are a prefix, a route and
 * a source, and where a neighbour tells it back one route more.
 */

#define BABEL_HOLD_DEFAULT_US (BABEL_UPDATE_HELLOS * BABEL_HELLO_US * 7 / 2)	/* of what we announced ourselves */
#define BABEL_HOLD_MAX_US (180 * US_PER_S)	/* whatever interval a neighbour claims */
#define BABEL_FORWARD_GAP_US (1 * US_PER_S)	/* a request for the same is not forwarded again earlier... */
#define BABEL_FORWARD_US (10 * US_PER_S)	/* ...and its answer waited for so long */
#define BABEL_SEQNO_GAP_US (10 * US_PER_MS)	/* our seqno grows no faster: 2^15 steps must take longer than a distance lives */

enum {
	BABEL_SOURCES_MAX = 1 << 18,
	BABEL_REQUESTS_PREFIX = 8,
	BABEL_REQUESTS_MAX = BABEL_PREFIXES_MAX,
	BABEL_REQUESTERS_MAX = 4,	/* of one request that are told by name; with more everybody is */
	BABEL_ASKS = 2,			/* Route Requests before a selected route expires */
	BABEL_ASKED_MAX = 8,		/* neighbours that get one seqno request; the next ones get it when it is sent again */
	BABEL_BETTER_MIN = 64,		/* an unfeasible route is asked about when it is better by so much... */
	BABEL_BETTER_PART = 4,		/* ...and by a quarter of the selected one's metric */
	ROUTE_ONCE = 0xffff,		/* the interval of what is not repeated */
};

/* A feasibility distance (2.4). */
struct babel_source {
	struct babel_source *next;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno, metric;
	uint32_t used_ms;		/* announced last, of the monotonic clock: what is older than 49 days is long gone */
};

/* What one neighbour says of one prefix. */
struct babel_route {
	struct babel_route *next;			/* of the prefix */
	struct babel_route *neighbour_next, **neighbour_at;
	struct babel_prefix *prefix;
	struct babel_neighbour *neighbour;
	struct babel_timer timer;
	int64_t updated_us;		/* or when it was lost */
	struct smooth metric;		/* 'filtered' with the link's cost */
	uint16_t seqno;
	uint16_t announced;		/* as it said; BABEL_INFINITY: retracted or expired */
	uint16_t filtered;		/* with what the in-filters add; BABEL_INFINITY: denied */
	uint16_t interval_cs;		/* as it said; ROUTE_ONCE: not repeated */
	uint16_t kept_cs;		/* of a retracted one: how long it stays known */
	bool via6 : 1;
	bool marker : 1;		/* never announced: it stands only for an acknowledgement */
	bool quiet : 1;			/* while the prefix is held: it has retracted it, or... */
	bool acked : 1;			/* ...knows that we did (K2 b) */
	uint8_t asked : 2;
	struct ip_addr next_hop;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
};

_Static_assert(BABEL_ASKS < 4 && BABEL_HOLD_MAX_US < 65535 * 10 * US_PER_MS, "they fit");

/* A seqno request that has no answer yet (3.2.7). */
struct babel_request {
	struct babel_request *next;
	struct babel_request *forwarded_next, **forwarded_at;	/* in b->forwarded while somebody waits */
	struct babel_prefix *prefix;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno;
	bool own;			/* we want it: it is sent again */
	bool starving;			/* any route would do */
	bool tell_all;
	uint8_t resends, requester_count;
	struct babel_neighbour *requesters[BABEL_REQUESTERS_MAX];
	struct babel_neighbour *target;	/* whom we asked, NULL: all that announce it; compared and looked for, never followed blindly */
	int64_t sent_us;
	struct babel_timer timer;
};

struct babel_prefix {
	struct babel_prefix *next;	/* in the bucket */
	struct babel_prefix *changed_next;
	struct babel_route *routes, *selected;
	struct babel_source *sources;
	struct babel_request *requests;
	struct babel_timer timer;	/* BABEL_TIMER_HOLD while held, BABEL_TIMER_PREFIX while a better route is watched */
	int64_t slight_us;		/* when an unfeasible route was last asked about that is better, if not clearly */
	int64_t denied_until_us;	/* a new filter hides it: say retractions where it does */
	unsigned int refs;
	uint32_t hash;
	struct prefix_pair pair;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];		/* of what we announce */
	uint8_t told_id[BABEL_ROUTER_ID_LEN];		/* neighbours know, or are about to: */
	uint16_t told_metric;
	uint16_t own_metric;
	uint16_t losses;
	uint16_t quiet_count;		/* routes that are quiet or acked */
	uint8_t source_count, request_count;
	bool own : 1;
	bool present : 1;		/* own or selected, as neighbours were told */
	bool held : 1;			/* lost, and neighbours may not know it yet */
	bool retraction_said : 1;	/* since it is held */
	bool announced : 1;		/* a neighbour may have it from us */
	bool changed : 1, announcers_changed : 1;
};

static inline bool id_equal(const uint8_t a[BABEL_ROUTER_ID_LEN], const uint8_t b[BABEL_ROUTER_ID_LEN])
{
	return !memcmp(a, b, BABEL_ROUTER_ID_LEN);
}

/* prefix.c */
struct babel_prefix *prefix_find(const struct babel *b, const struct prefix_pair *pair);

/* Held; made where there is none, for what 'n' says, or with NULL for our own announcement. NULL: no room for that. */
struct babel_prefix *prefix_get(struct babel *b, const struct prefix_pair *pair, struct babel_neighbour *n);

void prefix_changed(struct babel *b, struct babel_prefix *p);				/* for babel_next_change() */
void prefix_announcers_changed(struct babel *b, struct babel_prefix *p);
void prefix_walk(struct babel *b, void (*visit)(struct babel *b, struct babel_prefix *p, void *ctx), void *ctx);

/* What we say of it: the seqno and metric of p->router_id, BABEL_INFINITY where there is no route. */
uint16_t prefix_seqno(const struct babel *b, const struct babel_prefix *p);
uint16_t prefix_metric(const struct babel_prefix *p);

/* source.c */
struct babel_source *source_find(const struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN]);
bool source_feasible(const struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno, uint16_t metric);
bool source_record(struct babel *b, struct babel_prefix *p, uint16_t seqno, uint16_t metric);	/* F2, of p->router_id. False: no room */
void sources_expire(struct babel *b);
void sources_free(struct babel *b, struct babel_prefix *p);

/* route.c */
size_t route_reserve(const struct babel *b, const struct babel_neighbour *n);	/* places of each table that are not for this neighbour */
bool route_usable(const struct babel_route *r);
bool route_finite(const struct babel_route *r);		/* unexpired and reachable, feasible or not */
int64_t route_interval_us(const struct babel_route *r);	/* NEVER_US: it is not repeated */
int64_t route_hold_us(const struct babel_route *r);	/* 3.5 of its intervals */
void route_quiet(struct babel_route *r, bool quiet, bool acked);
void route_filter(struct babel *b, struct babel_route *r);	/* the in-filters, and then the metric, anew */
void route_timer(struct babel *b, struct babel_timer *t);
void routes_free(struct babel *b, struct babel_prefix *p);

/* select.c */
void select_route(struct babel *b, struct babel_prefix *p);
void select_after(struct babel *b, struct babel_route *r);	/* only this one changed */
void select_timer(struct babel *b, struct babel_timer *t);
void select_quiet(struct babel *b, struct babel_prefix *p);	/* a neighbour more is quiet: the hold may end */

/* request.c */
void request_starving(struct babel *b, struct babel_prefix *p, const uint8_t lost_id[BABEL_ROUTER_ID_LEN]);
void request_unfeasible(struct babel *b, struct babel_route *r);	/* an update that may not be used: ask, where it were worth it */
void requests_check(struct babel *b, struct babel_prefix *p);	/* what is satisfied now */
void request_timer(struct babel *b, struct babel_timer *t);
void requests_forget(struct babel *b, const struct babel_neighbour *n);
void requests_free(struct babel *b, struct babel_prefix *p);

#endif
