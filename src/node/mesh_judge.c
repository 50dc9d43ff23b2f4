/* SPDX-License-Identifier: MIT */
/*
 * Who may announce what in a mesh (doc/protocol.md, "Who may say what"). Asked of every route that comes over a link to a node with a record: is the prefix within the record of
 * the node it comes from - by its router-id, which is made of its key - and may the neighbour pass on what is not its own? Links to peers that are only configured, and ordinary interfaces, are the
 * operator's own affair.
 *
 * Router-ids of nodes in good standing are in a sorted list, made again whenever records change: all routes are judged anew then.
 */
#include <stdlib.h>
#include <string.h>

#include "babel/babel.h"
#include "node/mesh_inside.h"
#include "node/routing_inside.h"

static int by_router_id(const void *a, const void *b)
{
	return memcmp(a, b, BABEL_ROUTER_ID_LEN);
}

static bool is_within(const struct ip_prefix *v, size_t count, const struct ip_prefix *p)
{
	for (size_t i = 0; i < count; i++)
		if (ip_prefix_contains(&v[i], p))
			return true;
	return false;
}

static bool is_in_record(const struct node_record *r, const struct ip_prefix *p)
{
	return is_within(r->addresses, r->address_count, p) || is_within(r->prefixes, r->prefix_count, p);
}

static bool is_external(const struct node_record *r, const struct ip_prefix *p)
{
	return r->roles & ROLE_GATEWAY && is_within(r->external, r->external_count, p);
}

/* Of a plain device behind this gateway? */
static bool is_devices(const struct mesh *m, const uint8_t gateway[KEY_LEN], const struct ip_prefix *p, int64_t now_s)
{
	struct store_node sn;

	for (size_t i = 0; i < m->device_count; i++)
		if (store_find(m->store, m->devices[i], now_s, &sn) && sn.standing == NODE_GOOD && sn.record->has_gateway &&
		    !memcmp(sn.record->gateway, gateway, KEY_LEN) && is_in_record(sn.record, p))
			return true;
	return false;
}

/* May a node with this record announce the pair as its own? */
static bool may_originate(const struct mesh *m, const struct node_record *r, const struct prefix_pair *p, int64_t now_s)
{
	if (is_external(r, &p->dst))
		return true;
	if (p->dst.len == 0)
		return r->roles & ROLE_EXIT && (p->src.len == 0 || is_in_record(r, &p->src));
	return is_in_record(r, &p->dst) || is_devices(m, r->public_key, &p->dst, now_s);
}

/* May it come from a router that is no node, behind whatever gateway? */
static bool is_anybodys_external(const struct mesh *m, const struct ip_prefix *p, int64_t now_s)
{
	struct store_node sn;

	for (size_t i = 0; i < m->gateway_count; i++)
		if (store_find(m->store, m->gateways[i], now_s, &sn) && sn.standing == NODE_GOOD && is_external(sn.record, p))
			return true;
	return false;
}

static bool may(void *ctx, void *owner, const struct ip_addr *neighbour, const struct prefix_pair *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	struct node *n = ctx;
	struct mesh *m = n->mesh;
	const struct routing_iface *i = owner;
	const struct mesh_router *router;
	uint8_t id[BABEL_ROUTER_ID_LEN];
	struct store_node sn;
	bool good;

	(void)neighbour;
	if (!m || !i->peer || !i->peer->mesh.good)
		return true;
	routing_router_id(i->peer->public_key, id);
	good = !memcmp(id, router_id, sizeof(id)) || i->peer->mesh.roles & ROLE_TRANSIT;
	router = m->router_count ? bsearch(router_id, m->routers, m->router_count, sizeof(*m->routers), by_router_id) : NULL;
	if (good && router)
		good = store_find(m->store, router->public_key, wall_s(n->now), &sn) && sn.standing == NODE_GOOD &&
		       may_originate(m, sn.record, p, wall_s(n->now));
	else if (good)
		good = is_anybodys_external(m, &p->dst, wall_s(n->now));
	m->routes_refused += !good;
	return good;
}

/* Room for all members in each of the three lists. */
static bool make_room(struct mesh *m, size_t count)
{
	void *routers = realloc(m->routers, (count + 1) * sizeof(*m->routers)), *v;

	if (routers)
		m->routers = routers;
	v = realloc(m->gateways, (count + 1) * sizeof(*m->gateways));
	if (v)
		m->gateways = v;
	if (!routers || !v)
		return false;
	v = realloc(m->devices, (count + 1) * sizeof(*m->devices));
	if (v)
		m->devices = v;
	return v;
}

void mesh_judge_rebuild(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;
	size_t devices = m->device_count;
	struct store_node sn;

	m->router_count = m->gateway_count = m->device_count = 0;
	if (!make_room(m, store_node_count(m->store))) {
		log_error(&n->log, "mesh %s: routes are not believed, out of memory", m->name);
		return;
	}
	for (size_t i = 0; store_node_at(m->store, i, wall_s(now), &sn); i++) {
		if (sn.standing != NODE_GOOD)
			continue;
		if (sn.record->has_gateway) {
			memcpy(m->devices[m->device_count++], sn.record->public_key, KEY_LEN);
			continue;
		}
		routing_router_id(sn.record->public_key, m->routers[m->router_count].id);
		memcpy(m->routers[m->router_count++].public_key, sn.record->public_key, KEY_LEN);
		if (sn.record->roles & ROLE_GATEWAY)
			memcpy(m->gateways[m->gateway_count++], sn.record->public_key, KEY_LEN);
	}
	if (m->router_count)
		qsort(m->routers, m->router_count, sizeof(*m->routers), by_router_id);
	if (n->routing->babel)
		babel_judge_again(n->routing->babel, now);
	if (devices || m->device_count)
		node_routing_changed(n, now);
}

void mesh_judge_end(struct mesh *m)
{
	free(m->routers);
	free(m->gateways);
	free(m->devices);
}

void node_mesh_judge(struct node *n, struct babel *b, struct instant now)
{
	const struct babel_judge judge = { may, n };

	babel_set_judge(b, n->mesh ? &judge : NULL, now);
}

void node_mesh_devices(const struct node *n, void (*visit)(void *ctx, const struct ip_prefix *p), void *ctx)
{
	const struct mesh *m = n->mesh;
	struct store_node sn;

	for (size_t i = 0; m && i < m->device_count; i++) {
		if (!store_find(m->store, m->devices[i], wall_s(n->now), &sn) || sn.standing != NODE_GOOD || !sn.record->has_gateway ||
		    memcmp(sn.record->gateway, n->identity.public_key, KEY_LEN))
			continue;
		for (size_t k = 0; k < sn.record->address_count; k++)
			visit(ctx, &sn.record->addresses[k]);
		for (size_t k = 0; k < sn.record->prefix_count; k++)
			visit(ctx, &sn.record->prefixes[k]);
	}
}
