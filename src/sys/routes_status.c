/* SPDX-License-Identifier: MIT */
/*
 * From a node's Babel to the message "meshd routes" shows, in the manner of sys/status.c: strings are the message's own, and a list's count is
 * raised only after the element is whole, so a message given up half way can be freed as it is.
 *
 * Routes are gone through twice. What packets follow - routes chosen, our own, and those held as lost - goes in first, so that a large table
 * loses only what explains it. Within one pass the speaker's order stays: the routes of one prefix behind each other.
 */
#include "sys/routes_status.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "node/babel_settings.h"
#include "node/routing.h"

/* Give a string field its own copy; an empty one stays as it was initialised. */
static bool set_string(char **field, const char *s)
{
	if (!s || !*s)
		return true;
	*field = strdup(s);
	return *field;
}

static bool set_address(char **field, const struct ip_addr *a)
{
	char text[ADDR_TEXT_MAX];

	return a->family == IP_NONE || set_string(field, ip_addr_format(a, text));
}

static bool set_prefix(char **field, const struct ip_prefix *p)
{
	char text[PREFIX_TEXT_MAX];

	return set_string(field, ip_prefix_format(p, text));
}

static bool set_router_id(ProtobufCBinaryData *field, const uint8_t id[BABEL_ROUTER_ID_LEN])
{
	field->data = malloc(BABEL_ROUTER_ID_LEN);
	if (!field->data)
		return false;
	memcpy(field->data, id, BABEL_ROUTER_ID_LEN);
	field->len = BABEL_ROUTER_ID_LEN;
	return true;
}

/* The name behind an owner; the speaker's own name of the interface where the node does not know it. */
static bool set_via(const struct node *n, const void *owner, const char *iface, char **name, protobuf_c_boolean *is_peer)
{
	bool peer = false;
	const char *s = node_babel_owner_name(n, owner, &peer);

	*is_peer = peer;
	return set_string(name, s ? s : iface);
}

/* Room for one more in a list of pointers, by doubling: its room is the power of two its count has reached. */
static bool grow(void *list, size_t count)
{
	void **old, **bigger;

	if (count & (count - 1))
		return true;
	memcpy(&old, list, sizeof(old));
	bigger = reallocarray(old, count ? 2 * count : 1, sizeof(*bigger));
	if (bigger)
		memcpy(list, &bigger, sizeof(bigger));
	return bigger;
}

static bool fill_interface(const struct node *n, const struct babel_iface_info *info, Meshd__BabelInterface *m)
{
	m->up = info->up;
	m->hello_ms = (uint64_t)(info->hello_us / US_PER_MS);
	m->update_ms = (uint64_t)(info->update_us / US_PER_MS);
	m->neighbours = (uint32_t)info->neighbour_count;
	m->authenticated = info->authenticated;
	m->tx_packets = info->packets_sent;
	m->rx_packets = info->packets_received;
	m->tx_bytes = info->bytes_sent;
	m->rx_bytes = info->bytes_received;
	m->dropped_mac = info->dropped_mac;
	m->dropped_malformed = info->dropped_malformed;
	m->dropped_source = info->dropped_source;
	return set_string(&m->type, babel_link_type_name(info->type)) && set_address(&m->address, &info->address) &&
	       set_via(n, info->owner, info->name, &m->name, &m->peer);
}

static Meshd__BabelInterface *add_interface(Meshd__Routes *out)
{
	Meshd__BabelInterface *m;

	if (!grow(&out->interfaces, out->n_interfaces) || !(m = malloc(sizeof(*m))))
		return NULL;
	meshd__babel_interface__init(m);
	out->interfaces[out->n_interfaces++] = m;
	return m;
}

static bool is_listed(const Meshd__Routes *out, const char *name)
{
	for (size_t i = 0; i < out->n_interfaces; i++)
		if (!out->interfaces[i]->peer && out->interfaces[i]->name && !strcmp(out->interfaces[i]->name, name))
			return true;
	return false;
}

/* Ordinary interfaces that are wanted and not there, are down, or have their port taken. */
static bool fill_missing(const struct node *n, Meshd__Routes *out)
{
	char name[16];

	for (size_t i = 0; i < BABEL_LANS_MAX && node_lan_wanted(n, i, name); i++) {
		Meshd__BabelInterface *m;

		if (is_listed(out, name))
			continue;
		m = add_interface(out);
		if (!m || !set_string(&m->name, name))
			return false;
	}
	return true;
}

static bool fill_interfaces(const struct node *n, const struct babel *b, Meshd__Routes *out)
{
	struct babel_iface_info info;

	for (size_t i = 0; i < BABEL_IFACES_MAX && babel_iface_at(b, i, &info); i++) {
		Meshd__BabelInterface *m = add_interface(out);

		if (!m || !fill_interface(n, &info, m))
			return false;
	}
	return fill_missing(n, out);
}

static bool fill_neighbours(const struct node *n, const struct babel *b, Meshd__Routes *out)
{
	struct babel_neighbour_info info;

	for (size_t i = 0; i < BABEL_NEIGHBOURS_ALL_MAX && babel_neighbour_at(b, i, &info); i++) {
		Meshd__BabelNeighbour *m;

		if (!grow(&out->neighbours, out->n_neighbours) || !(m = malloc(sizeof(*m))))
			return false;
		meshd__babel_neighbour__init(m);
		out->neighbours[out->n_neighbours++] = m;
		m->reach = info.reach;
		m->rxcost = info.rxcost;
		m->txcost = info.txcost;
		m->cost = info.cost;
		m->rtt_us = info.has_rtt ? info.rtt_us : -1;
		m->routes = (uint32_t)info.routes;
		m->untrusted = info.untrusted;
		if (!set_via(n, info.owner, info.iface_name, &m->via, &m->via_peer) || !set_address(&m->address, &info.address))
			return false;
	}
	return true;
}

struct routes_fill {
	const struct node *node;
	const struct babel *babel;
	Meshd__Routes *out;
	bool chosen;		/* this pass takes what packets follow; else the rest */
	bool failed;
};

static void fill_distance(const struct babel *b, const struct babel_route_info *r, Meshd__BabelRoute *m)
{
	uint16_t seqno, metric;

	if (r->own || r->held || r->feasible || !babel_distance(b, &r->prefix, r->router_id, &seqno, &metric))
		return;
	m->has_distance = true;
	m->distance_seqno = seqno;
	m->distance = metric;
}

static bool fill_route(const struct routes_fill *f, const struct babel_route_info *r, Meshd__BabelRoute *m)
{
	m->own = r->own;
	m->seqno = r->seqno;
	m->announced = r->announced;
	m->metric = r->metric;
	m->smoothed = r->smoothed;
	m->feasible = r->feasible;
	m->selected = r->selected;
	m->held = r->held;
	m->age_ms = r->age_us / US_PER_MS;
	fill_distance(f->babel, r, m);
	if (!set_prefix(&m->prefix, &r->prefix.dst) || (r->prefix.src.len && !set_prefix(&m->from, &r->prefix.src)))
		return false;
	if (r->own || r->held)
		return true;
	return set_via(f->node, r->owner, r->iface_name, &m->via, &m->via_peer) && set_address(&m->neighbour, &r->neighbour) &&
	       set_address(&m->next_hop, &r->next_hop) && set_router_id(&m->router_id, r->router_id);
}

static void add_route(void *ctx, const struct babel_route_info *r)
{
	struct routes_fill *f = ctx;
	Meshd__Routes *out = f->out;
	Meshd__BabelRoute *m;

	if (f->failed || (r->selected || r->own || r->held) != f->chosen)
		return;
	if (out->n_routes >= ROUTES_STATUS_MAX) {
		out->left_out++;
		return;
	}
	m = grow(&out->routes, out->n_routes) ? malloc(sizeof(*m)) : NULL;
	f->failed = !m;
	if (!m)
		return;
	meshd__babel_route__init(m);
	out->routes[out->n_routes++] = m;
	f->failed = !fill_route(f, r, m);
}

static void fill_totals(const struct babel *b, Meshd__Routes *out)
{
	struct babel_info info;

	babel_info(b, &info);
	out->seqno = babel_seqno(b);
	out->route_changes = info.route_changes;
	out->requests_sent = info.requests_sent;
	out->requests_forwarded = info.requests_forwarded;
	out->requests_answered = info.requests_answered;
	out->unfeasible = info.unfeasible;
	out->refused = info.refused;
	out->prefixes = (uint32_t)info.prefixes;
	out->routes_known = (uint32_t)info.routes;
	out->requests_pending = (uint32_t)info.requests_pending;
}

bool routes_status_fill(const struct node *n, const char *name, struct instant now, Meshd__Routes *out)
{
	const struct babel *b = node_babel(n);
	struct routes_fill f = { .node = n, .babel = b, .out = out, .chosen = true };

	if (!set_string(&out->name, name))
		return false;
	if (!b || !node_routing_on(n))
		return true;
	out->on = true;
	fill_totals(b, out);
	if (!set_router_id(&out->router_id, babel_router_id(b)) || !fill_interfaces(n, b, out) || !fill_neighbours(n, b, out))
		return false;
	babel_routes(b, now, add_route, &f);
	f.chosen = false;
	babel_routes(b, now, add_route, &f);
	return !f.failed;
}

static int compare_owners(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct routes_status_link *)a)->owner;
	uintptr_t y = (uintptr_t)((const struct routes_status_link *)b)->owner;

	return (x > y) - (x < y);
}

struct routes_status_link *routes_status_links(const struct node *n, size_t *count)
{
	const struct babel *b = node_babel(n);
	struct routes_status_link *links;
	struct babel_neighbour_info info;
	struct babel_info all;
	size_t taken = 0;

	*count = 0;
	if (!b)
		return NULL;
	babel_info(b, &all);
	if (!all.neighbours)
		return NULL;
	links = calloc(all.neighbours, sizeof(*links));
	if (!links) {
		*count = 1;
		return NULL;
	}
	for (; taken < all.neighbours && babel_neighbour_at(b, taken, &info); taken++)
		links[taken] = (struct routes_status_link){ info.owner, info.cost, info.reach };
	qsort(links, taken, sizeof(*links), compare_owners);
	*count = taken;
	return links;
}

const struct routes_status_link *routes_status_link(const struct routes_status_link *links, size_t count, const void *owner)
{
	const struct routes_status_link wanted = { .owner = owner };

	return links ? bsearch(&wanted, links, count, sizeof(*links), compare_owners) : NULL;
}
