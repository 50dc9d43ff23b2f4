/* SPDX-License-Identifier: MIT */
/*
 * What a quiet world must have come to: neighbours are those that hear each other, links cost what their ends say, and each node has for each
 * prefix the shortest way there is to the nearest that originates it - or none where there is none. The way is computed here by itself
 * (Bellman and Ford), from the topology and not from what speakers think of it, but for the part of a cost that a round trip makes.
 */
#include "babel_world.h"

#include <stdio.h>

enum {
	EDGES_MAX = WORLD_SEGMENTS_MAX * WORLD_SEGMENT_PORTS * (WORLD_SEGMENT_PORTS - 1),
	SHOWN_MAX = 12,		/* nodes, when something is wrong */
};

struct edge {
	const struct world_port *from, *to;
	uint32_t cost;
};

struct graph {
	struct edge edges[EDGES_MAX];
	size_t count;
};

static bool alive(const struct world_port *p)
{
	return p->iface && p->up && !p->measured.down;
}

static bool hear_each_other(const struct world_port *a, const struct world_port *b)
{
	const struct world_segment *s = a->segment;

	return alive(a) && alive(b) && !s->cut && !(s->deaf[a->place] & (1u << b->place)) && !(s->deaf[b->place] & (1u << a->place));
}

/* What 'from' pays for the way to 'to', both hearing everything: A.2, or what was measured. 0: cannot be told. */
static uint32_t expected_cost(const struct world_port *from, const struct world_port *to)
{
	uint32_t tx = to->measured.nominal ? to->measured.nominal : to->config.rxcost;

	if (from->measured.nominal)
		return from->measured.nominal;
	if (from->config.rtt)
		return 0;
	if (from->config.type == BABEL_WIRELESS) {
		uint32_t cost = (tx > 256 ? tx : 256) * from->config.rxcost / 256;

		return cost < BABEL_INFINITY ? cost : BABEL_INFINITY;
	}
	return tx;
}

static void add_edge(struct world *w, struct graph *g, const struct world_port *from, const struct world_port *to)
{
	uint16_t cost = watch_cost(from->node, from, to);
	uint32_t expected = expected_cost(from, to);

	if (!hear_each_other(from, to)) {
		if (cost != BABEL_INFINITY)
			world_fail(w, from->node, "reaches node %zu over %u, and there is no way", to->node->number, cost);
		return;
	}
	if (expected == BABEL_INFINITY && cost == BABEL_INFINITY)
		return;
	if (cost == BABEL_INFINITY)
		world_fail(w, from->node, "does not reach its neighbour %zu", to->node->number);
	else if (expected && cost != expected)
		world_fail(w, from->node, "pays %u to its neighbour %zu, not %u", cost, to->node->number, expected);
	g->edges[g->count++] = (struct edge){ .from = from, .to = to, .cost = cost };
}

static void survey(struct world *w, struct graph *g)
{
	g->count = 0;
	for (size_t i = 0; i < w->segment_count; i++) {
		const struct world_segment *s = w->segments[i];

		for (size_t a = 0; a < s->count; a++)
			for (size_t b = 0; b < s->count; b++)
				if (a != b && s->ports[a]->iface)
					add_edge(w, g, s->ports[a], s->ports[b]);
	}
}

static bool carries(const struct edge *e, uint8_t family)
{
	return family != IP_V4 || e->to->config.address4.family || e->from->config.via6;
}

static void shortest(const struct world *w, const struct graph *g, size_t k, uint32_t metric[WORLD_NODES_MAX])
{
	bool again = true;

	for (size_t i = 0; i < w->node_count; i++)
		metric[i] = w->nodes[i]->babel && w->nodes[i]->own[k] ? w->nodes[i]->own_metric[k] : BABEL_INFINITY;
	while (again) {
		again = false;
		for (size_t i = 0; i < g->count; i++) {
			const struct edge *e = &g->edges[i];
			size_t from = e->from->node->number;
			uint32_t m = metric[e->to->node->number] + e->cost;

			if (w->nodes[from]->own[k] || m >= metric[from] || !carries(e, w->pairs[k].dst.addr.family))
				continue;
			metric[from] = m;
			again = true;
		}
	}
}

static bool announced_there(const struct world *w, const struct world_node *n, size_t k)
{
	struct babel_iface *out[WORLD_PORTS_MAX];
	size_t count = babel_announcers(n->babel, &w->pairs[k], out, WORLD_PORTS_MAX);

	for (size_t at = 0; at < count; at++)
		if (babel_iface_owner(out[at]) == n->pairs[k].from)
			return true;
	return false;
}

struct shown {
	const struct world_node *node;
	size_t pair;
};

static void show_route(void *ctx, const struct babel_route_info *r)
{
	const struct shown *s = ctx;
	const struct world_port *to;
	uint16_t seqno = 0, metric = 0;

	if (r->own || r->held || world_find(s->node->world, &r->prefix) != s->pair)
		return;
	to = world_port_of(s->node->world, &r->neighbour);
	babel_distance(s->node->babel, &r->prefix, r->router_id, &seqno, &metric);
	printf("#   node %zu over %zu: origin %d.%d seqno %u announced %u metric %u smoothed %u distance %u:%u%s%s\n", s->node->number,
	       to->node->number, r->router_id[2] - 1, r->router_id[4] << 8 | r->router_id[5], r->seqno, r->announced, r->metric, r->smoothed,
	       seqno, metric, r->feasible ? " feasible" : "", r->selected ? " selected" : "");
}

/* The links there are, and all that all have of a pair, as comments. */
static void show_all(const struct world *w, const struct graph *g, size_t k)
{
	for (size_t i = 0; i < g->count && i < 4 * SHOWN_MAX; i++) {
		const struct world_port *from = g->edges[i].from, *to = g->edges[i].to;

		printf("#   link %zu.%zu to %zu.%zu: cost %u, type %d, %zu ports%s%s%s\n", from->node->number, from->number, to->node->number,
		       to->number, g->edges[i].cost, from->config.type, from->segment->count, from->config.split_horizon ? ", split horizon" : "",
		       from->config.via6 ? ", via6" : "", from->config.address4.family ? ", IPv4" : "");
	}
	for (size_t i = 0; i < w->node_count && i < SHOWN_MAX; i++) {
		struct shown s = { .node = w->nodes[i], .pair = k };

		if (!s.node->babel)
			continue;
		if (s.node->own[k])
			printf("#   node %zu: own, seqno %u metric %u\n", i, babel_seqno(s.node->babel), s.node->own_metric[k]);
		babel_routes(s.node->babel, world_instant(s.node), show_route, &s);
	}
	fflush(stdout);
}

static void check_pair(struct world *w, const struct world_node *n, size_t k, uint32_t metric)
{
	const struct watch_pair *s = &n->pairs[k];
	struct babel_route_info r;
	bool has = babel_selected(n->babel, &w->pairs[k], &r);

	if (n->own[k])
		return;
	if (has != (metric != BABEL_INFINITY))
		world_fail(w, n, "pair %zu: selected %d, the shortest way is %u", k, has, metric);
	else if (has && r.metric != metric)
		world_fail(w, n, "pair %zu: metric %u (smoothed %u, over node %zu), the shortest way is %u", k, r.metric, r.smoothed,
			   s->to->node->number, metric);
	else if (!has && s->fib != BABEL_NO_ROUTE)
		world_fail(w, n, "pair %zu: still held", k);
	else if (has && !announced_there(w, n, k))
		world_fail(w, n, "pair %zu: selected, and not announced there", k);
}

void watch_settled(struct world *w)
{
	static struct graph g;

	survey(w, &g);
	w->counts.settlings++;
	for (size_t k = 0; k < w->pair_count && !w->failed; k++) {
		uint32_t metric[WORLD_NODES_MAX];

		shortest(w, &g, k, metric);
		for (size_t i = 0; i < w->node_count && !w->failed; i++)
			if (w->nodes[i]->babel)
				check_pair(w, w->nodes[i], k, metric[i]);
		if (w->failed)
			show_all(w, &g, k);
	}
	for (size_t i = 0; i < w->node_count && !w->failed; i++) {
		struct babel_info info;

		if (!w->nodes[i]->babel)
			continue;
		babel_info(w->nodes[i]->babel, &info);
		if (info.requests_pending)
			world_fail(w, w->nodes[i], "%zu requests are still pending", info.requests_pending);
	}
}
