/* SPDX-License-Identifier: MIT */
/*
 * What must always hold of Babel speakers, whatever happens between them (RFC 8966 chapter 2, reference F6 and N2). After every event the node
 * it happened to is looked at, as far as the event can have changed it, and held against what the others were last seen to have:
 *
 *	- along a selected route feasibility distances grow strictly better, so that no router-id's routes have a cycle; cycles are looked for too
 *	- a feasibility distance gets no worse, and is not forgotten within the time for that; it is recorded before it is sent (F2)
 *	- what is selected is finite and feasible, what is announced is what is selected, what is in the tables too
 *	- a node's seqno grows by one for each request that asks for more, and never else
 *	- a prefix that was lost is unreachable until no neighbour sends packets for it here any more
 *
 * A node that began anew without what it had known breaks the first by itself: routes to it from before are excused, for as long as they may live.
 */
#include "babel_world.h"

#include <stdlib.h>
#include <string.h>

#define ROUTE_LIFE_US (60 * US_PER_S)	/* 3.5 of the longest update interval there is, and some */
#define GC_US (180 * US_PER_S)

static uint32_t rid_of(const uint8_t *id)
{
	return (uint32_t)(id[2] - 1) << 16 | (uint32_t)id[4] << 8 | id[5];
}

static uint32_t own_rid(const struct world_node *n)
{
	return (uint32_t)n->number << 16 | n->generation;
}

static void rid_bytes(uint32_t rid, uint8_t out[BABEL_ROUTER_ID_LEN])
{
	const uint8_t id[BABEL_ROUTER_ID_LEN] = { 0x02, 0x5a, (uint8_t)((rid >> 16) + 1), 0, (uint8_t)(rid >> 8), (uint8_t)rid, 0x77, 0x01 };

	memcpy(out, id, sizeof(id));
}

/* Whether distance a is strictly better than b. */
static bool better(uint16_t seqno_a, uint16_t metric_a, uint16_t seqno_b, uint16_t metric_b)
{
	uint16_t ahead = (uint16_t)(seqno_a - seqno_b);

	return ahead ? ahead < 0x8000 : metric_a < metric_b;
}

static struct watch_distance *find_distance(struct watch_pair *s, uint32_t rid)
{
	for (size_t i = 0; i < s->distance_count; i++)
		if (s->distances[i].rid == rid)
			return &s->distances[i];
	return NULL;
}

static struct watch_distance *make_distance(struct watch_pair *s, uint32_t rid)
{
	struct watch_distance *d = find_distance(s, rid);

	if (d)
		return d;
	if (s->distance_count == s->distance_size) {
		s->distance_size = s->distance_size ? 2 * s->distance_size : 4;
		s->distances = realloc(s->distances, s->distance_size * sizeof(*s->distances));
		if (!s->distances)
			abort();
	}
	d = &s->distances[s->distance_count++];
	*d = (struct watch_distance){ .rid = rid };
	return d;
}

void watch_forget(struct world_node *n)
{
	for (size_t k = 0; k < WORLD_PAIRS_MAX; k++) {
		struct watch_pair *s = &n->pairs[k];
		struct watch_distance *distances = s->distances;
		size_t size = s->distance_size;

		*s = (struct watch_pair){ .distances = distances, .distance_size = size };
	}
}

/*
 * What is sent.
 */

static void check_own_update(struct world *w, const struct world_node *n, size_t k, const struct babel_tlv *t)
{
	if (!n->own[k])
		world_fail(w, n, "announces pair %zu as its own and does not originate it", k);
	else if (t->seqno != babel_seqno(n->babel) || t->metric != n->own_metric[k])
		world_fail(w, n, "announces its pair %zu with seqno %u metric %u, has %u %u", k, t->seqno, t->metric,
			   babel_seqno(n->babel), n->own_metric[k]);
}

static void check_learned_update(struct world *w, const struct world_node *n, size_t k, const struct babel_tlv *t)
{
	struct babel_route_info r;

	if (!babel_selected(n->babel, &w->pairs[k], &r))
		world_fail(w, n, "announces pair %zu and has selected nothing", k);
	else if (memcmp(r.router_id, t->router_id, sizeof(r.router_id)) != 0 || r.seqno != t->seqno || r.metric != t->metric)
		world_fail(w, n, "announces pair %zu as seqno %u metric %u, has selected %u %u", k, t->seqno, t->metric, r.seqno, r.metric);
}

static void sent_update(struct world *w, struct world_node *n, size_t k, const struct babel_tlv *t)
{
	uint32_t rid = rid_of(t->router_id);
	struct watch_distance *d;
	uint16_t seqno, metric;

	if (t->metric == BABEL_INFINITY)
		return;
	if (rid == own_rid(n))
		check_own_update(w, n, k, t);
	else
		check_learned_update(w, n, k, t);
	if (!babel_distance(n->babel, &w->pairs[k], t->router_id, &seqno, &metric))
		world_fail(w, n, "sends pair %zu and records no distance", k);
	else if (better(t->seqno, t->metric, seqno, metric))
		world_fail(w, n, "sends pair %zu as %u:%u, has the distance %u:%u", k, t->seqno, t->metric, seqno, metric);
	d = make_distance(&n->pairs[k], rid);
	d->sent_us = w->now_us;
}

uint64_t watch_sent(struct world *w, const struct world_port *from, const struct babel_datagram *d, bool *asks)
{
	uint32_t room = from->config.mtu > 512 + 48 ? from->config.mtu - 48 : 512;
	struct babel_parser p;
	struct babel_tlv t;
	uint64_t pairs = 0;

	if (d->len > room)
		world_fail(w, from->node, "sends %zu bytes, of at most %u", d->len, room);
	if (!babel_parse_begin(&p, d->data, d->len, &d->src)) {
		world_fail(w, from->node, "sends what is no packet");
		return 0;
	}
	while (babel_parse_next(&p, &t)) {
		size_t k;

		if (t.type == BABEL_SEQNO_REQUEST) {
			*asks = true;
			if (t.hop_count < 64 && ip_addr_is_multicast(&d->dst))
				world_fail(w, from->node, "forwards a seqno request to everybody");
		}
		if (t.type == BABEL_UPDATE && t.wildcard)
			pairs = WATCH_ALL;
		if (t.type != BABEL_UPDATE || t.wildcard || (k = world_find(w, &t.prefix)) == WORLD_PAIRS_MAX)
			continue;
		pairs |= UINT64_C(1) << k;
		sent_update(w, from->node, k, &t);
	}
	if (p.broken || p.ignored)
		world_fail(w, from->node, "sends what a receiver has to ignore");
	return pairs;
}

unsigned int watch_raises(const struct world_node *n, const uint8_t *data, size_t len, const struct ip_addr *src)
{
	uint16_t seqno = babel_seqno(n->babel);
	unsigned int raises = 0;
	struct babel_parser p;
	struct babel_tlv t;

	if (!babel_parse_begin(&p, data, len, src))
		return 0;
	while (babel_parse_next(&p, &t))
		if (t.type == BABEL_SEQNO_REQUEST && rid_of(t.router_id) == own_rid(n) && better(t.seqno, 0, seqno, 0)) {
			raises++;
			seqno++;
		}
	return raises;
}

/*
 * What is selected.
 */

/* A route from before its next hop forgot everything. */
static bool excused(const struct watch_pair *s)
{
	const struct world_node *next = s->to->node;

	return !next->babel || next->forgot_us > s->updated_us;
}

/* After an unclean start nothing is selected through a neighbour that, on this very link, still routes through us by what we were. */
static void check_trust(struct world *w, const struct world_node *n, size_t k)
{
	const struct watch_pair *s = &n->pairs[k], *o = &s->to->node->pairs[k];
	int64_t wait_us = s->to->config.hello_us * 3 / 4;	/* one and a half of the shortest interval it may have announced */

	if (!n->clean && s->to->node->babel && o->selected && o->to == s->from && o->from == s->to && excused(o) &&
	    w->now_us - n->forgot_us < wait_us)
		world_fail(w, n, "pair %zu: trusts node %zu too early", k, s->to->node->number);
}

static void check_edge(struct world *w, const struct world_node *n, size_t k)
{
	const struct watch_pair *s = &n->pairs[k];
	struct world_node *next = s->to->node;
	const struct watch_distance *mine = find_distance(&w->nodes[n->number]->pairs[k], s->rid), *theirs;

	check_trust(w, n, k);
	if (excused(s)) {
		w->counts.edges_excused++;
		if (w->now_us - s->updated_us > ROUTE_LIFE_US)
			world_fail(w, n, "pair %zu: keeps a route of an earlier life of node %zu", k, next->number);
		return;
	}
	if (s->rid == own_rid(next))
		return;
	theirs = find_distance(&next->pairs[k], s->rid);
	if (!theirs || !theirs->there)
		world_fail(w, n, "pair %zu: selected over node %zu, which has no feasibility distance", k, next->number);
	else if (mine && mine->there && !better(theirs->seqno, theirs->metric, mine->seqno, mine->metric))
		world_fail(w, n, "pair %zu: distance %u:%u here, no better %u:%u at next hop %zu", k, mine->seqno, mine->metric,
			   theirs->seqno, theirs->metric, next->number);
}

static void check_edges_to(struct world *w, const struct world_node *n, size_t k)
{
	for (size_t i = 0; i < w->node_count; i++) {
		const struct world_node *m = w->nodes[i];

		if (m->babel && m != n && m->pairs[k].selected && m->pairs[k].to->node == n)
			check_edge(w, m, k);
	}
}

static void check_cycle(struct world *w, const struct world_node *n, size_t k)
{
	const struct world_node *at = n;
	bool stale = false;

	for (size_t i = 0; i <= w->node_count; i++) {
		const struct watch_pair *s = &at->pairs[k];

		if (!at->babel || !s->selected || s->rid != n->pairs[k].rid)
			return;
		stale |= excused(s);
		at = s->to->node;
		if (at != n)
			continue;
		w->counts.cycles_excused += stale;
		if (!stale)
			world_fail(w, n, "pair %zu: a cycle of %zu nodes, by %zu", k, i + 1, s->to->node->number);
		return;
	}
}

static void look_distances(struct world *w, struct world_node *n, size_t k)
{
	struct watch_pair *s = &n->pairs[k];

	for (size_t i = 0; i < s->distance_count; i++) {
		struct watch_distance *d = &s->distances[i];
		uint8_t id[BABEL_ROUTER_ID_LEN];
		uint16_t seqno, metric;

		rid_bytes(d->rid, id);
		if (!babel_distance(n->babel, &w->pairs[k], id, &seqno, &metric)) {
			if (w->now_us - d->sent_us < GC_US)
				world_fail(w, n, "pair %zu: forgot a distance after %.3f s", k, (double)(w->now_us - d->sent_us) / 1e6);
			*d = s->distances[--s->distance_count];
			i--;
			check_edges_to(w, n, k);
			continue;
		}
		if (d->there && better(d->seqno, d->metric, seqno, metric))
			world_fail(w, n, "pair %zu: distance %u:%u became %u:%u", k, d->seqno, d->metric, seqno, metric);
		*d = (struct watch_distance){ .rid = d->rid, .seqno = seqno, .metric = metric, .there = true, .sent_us = d->sent_us };
	}
}

static void check_fib(struct world *w, const struct world_node *n, size_t k)
{
	const struct watch_pair *s = &n->pairs[k];

	if (n->own[k] != (s->fib == BABEL_OWN))
		world_fail(w, n, "pair %zu: own %d, in the tables %d", k, n->own[k], s->fib);
	else if (!n->own[k] && s->selected != (s->fib == BABEL_VIA))
		world_fail(w, n, "pair %zu: selected %d, in the tables %d", k, s->selected, s->fib);
	else if (s->fib == BABEL_VIA && (s->fib_port != s->from || world_port_of(w, &s->fib_next_hop) != s->to))
		world_fail(w, n, "pair %zu: selected and tables have different next hops", k);
}

static void check_selected(struct world *w, const struct world_node *n, size_t k, const struct babel_route_info *r)
{
	const struct watch_distance *d = find_distance(&w->nodes[n->number]->pairs[k], rid_of(r->router_id));

	if (r->metric == BABEL_INFINITY || r->announced == BABEL_INFINITY || r->metric <= r->announced)
		world_fail(w, n, "pair %zu: selected with metric %u, announced %u", k, r->metric, r->announced);
	if (!r->feasible || !r->selected || r->own)
		world_fail(w, n, "pair %zu: selected is said to be feasible %d, selected %d, own %d", k, r->feasible, r->selected, r->own);
	if (d && d->there && !better(r->seqno, r->announced, d->seqno, d->metric))
		world_fail(w, n, "pair %zu: selected %u:%u is not feasible by %u:%u", k, r->seqno, r->announced, d->seqno, d->metric);
	if (rid_of(r->router_id) == own_rid(n))
		world_fail(w, n, "pair %zu: selected a route with its own router-id", k);
}

static void look(struct world *w, struct world_node *n, size_t k)
{
	struct watch_pair *s = &n->pairs[k];
	const struct world_port *was_to = s->selected ? s->to : NULL;
	uint32_t was_rid = s->rid;
	struct babel_route_info r;

	s->selected = babel_selected(n->babel, &w->pairs[k], &r);
	look_distances(w, n, k);
	if (!s->selected) {
		check_fib(w, n, k);
		return;
	}
	s->from = r.owner;
	s->to = world_port_of(w, &r.neighbour);
	if (!s->to || s->to->segment != s->from->segment) {
		world_fail(w, n, "pair %zu: selected over nobody", k);
		s->selected = false;
		return;
	}
	s->rid = rid_of(r.router_id);
	s->seqno = r.seqno;
	s->announced = r.announced;
	s->metric = r.metric;
	s->updated_us = w->now_us - r.age_us;
	check_selected(w, n, k, &r);
	check_fib(w, n, k);
	check_edge(w, n, k);
	if (s->to != was_to || s->rid != was_rid)
		check_cycle(w, n, k);
}

void watch_node(struct world *w, struct world_node *n, uint64_t pairs, unsigned int raises)
{
	uint16_t grown = (uint16_t)(n->seqno - n->seqno_watched);

	if (grown > raises)
		world_fail(w, n, "seqno grew by %u, was asked for %u", grown, raises);
	n->seqno_watched = n->seqno;
	if (w->pair_count < 64)
		pairs &= (UINT64_C(1) << w->pair_count) - 1;
	for (; pairs && !w->failed; pairs &= pairs - 1) {
		w->counts.checks++;
		look(w, n, (size_t)__builtin_ctzll(pairs));
	}
}

/*
 * What is in the tables.
 */

uint16_t watch_cost(const struct world_node *n, const struct world_port *via, const struct world_port *to)
{
	struct babel_neighbour_info info;

	for (size_t i = 0; n->babel && babel_neighbour_at(n->babel, i, &info); i++)
		if (info.owner == via && ip_addr_equal(&info.address, &to->config.address))
			return info.cost;
	return BABEL_INFINITY;
}

/* A prefix is let go: packets for it follow a shorter one from now on, so nobody may send them here by this one. */
static void check_release(struct world *w, const struct world_node *n, size_t k)
{
	if (!w->pairs[k].dst.len)
		return;
	for (size_t i = 0; i < w->node_count; i++) {
		const struct world_node *m = w->nodes[i];
		const struct watch_pair *o = &m->pairs[k];

		if (m == n || !m->babel || !o->selected || o->to->node != n || w->reorders || excused(o))
			continue;
		if (o->to->segment->count > 1 + 4)	/* too many to be asked for acknowledgements: a retraction of theirs is taken for one */
			continue;
		if (watch_cost(n, o->to, o->from) != BABEL_INFINITY)
			world_fail(w, n, "pair %zu: is let go while node %zu uses it", k, i);
	}
}

void watch_change(struct world *w, struct world_node *n, const struct babel_change *c)
{
	size_t k = world_find(w, &c->prefix);
	struct watch_pair *s = &n->pairs[k];

	if (c->action == BABEL_UNREACHABLE && !c->prefix.dst.len)
		world_fail(w, n, "pair %zu: a default route is unreachable", k);
	if (c->action == BABEL_VIA && !c->iface)
		world_fail(w, n, "pair %zu: a route over nothing", k);
	if (c->action == BABEL_NO_ROUTE && !w->unwatched && s->fib != BABEL_NO_ROUTE)
		check_release(w, n, k);
	if (c->action != s->fib && s->fib == BABEL_VIA)
		w->counts.outages++;
	s->fib = c->action;
	s->fib_port = c->action == BABEL_VIA && c->iface ? babel_iface_owner(c->iface) : NULL;
	s->fib_next_hop = c->next_hop;
}
