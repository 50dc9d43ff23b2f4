/* SPDX-License-Identifier: MIT */
/* What people are shown of interfaces and neighbours: snapshots of what the other files hold, which nothing is decided by. */
#include "babel/babel.h"

#include "babel/inside.h"

void babel_info(const struct babel *b, struct babel_info *info)
{
	*info = (struct babel_info){
		.prefixes = b->prefix_count, .routes = b->route_count, .neighbours = b->neighbour_count, .ifaces = b->iface_count,
		.sources = b->source_count, .route_changes = b->route_changes, .requests_sent = b->requests_sent,
		.requests_forwarded = b->requests_forwarded, .requests_answered = b->requests_answered,
		.unfeasible = b->unfeasible, .refused = b->refused, .requests_pending = b->request_count,
	};
}

bool babel_iface_at(const struct babel *b, size_t at, struct babel_iface_info *info)
{
	const struct babel_iface *i = b->ifaces;

	for (; i && at; at--)
		i = i->next;
	if (!i)
		return false;
	*info = (struct babel_iface_info){
		.name = i->config.name, .owner = i->owner, .type = i->config.type, .up = i->up, .address = i->config.address,
		.hello_us = i->config.hello_us, .update_us = i->config.update_us, .neighbour_count = i->neighbour_count,
		.authenticated = i->config.key_count && !i->config.accept_unauthenticated,
		.hello_seqno = i->hello_seqno,
		.packets_sent = i->packets_sent, .packets_received = i->packets_received,
		.bytes_sent = i->bytes_sent, .bytes_received = i->bytes_received,
		.dropped_mac = i->dropped_mac, .dropped_malformed = i->dropped_malformed, .dropped_source = i->dropped_source,
	};
	return true;
}

static const struct babel_neighbour *neighbour_nth(const struct babel *b, size_t at)
{
	for (const struct babel_iface *i = b->ifaces; i; i = i->next) {
		const struct babel_neighbour *n = i->neighbours;

		if (at >= i->neighbour_count) {
			at -= i->neighbour_count;
			continue;
		}
		for (; n && at; at--)
			n = n->next;
		return n;
	}
	return NULL;
}

bool babel_neighbour_at(const struct babel *b, size_t at, struct babel_neighbour_info *info)
{
	const struct babel_neighbour *n = neighbour_nth(b, at);

	if (!n)
		return false;
	*info = (struct babel_neighbour_info){
		.iface = n->iface, .owner = n->iface->owner, .iface_name = n->iface->config.name, .address = n->address,
		.reach = n->multicast.reach, .rxcost = n->rxcost, .txcost = n->txcost, .cost = n->cost,
		.has_rtt = n->rtt.has_rtt, .rtt_us = n->rtt.rtt_us, .routes = n->route_count, .untrusted = !n->trusted,
	};
	return true;
}
