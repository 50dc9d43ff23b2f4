/* SPDX-License-Identifier: MIT */
/*
 * What happens in a Babel world, one line each: for who looks for the reason of a violation. Packets as they are sent (whether they arrive is
 * another matter), and changes of forwarding tables.
 */
#include "babel_trace.h"

#include <stdio.h>

static bool traced(const struct world *w)
{
	const struct trace *t = w->ctx;

	return w->counts.events >= t->from_event;
}

static void show_tlv(const struct world *w, const struct babel_tlv *t)
{
	static const char *const names[] = { "pad1", "padn", "ack-request", "ack", "hello", "ihu", "router-id", "next-hop", "update",
					     "route-request", "seqno-request" };
	const char *name = t->type <= BABEL_SEQNO_REQUEST ? names[t->type] : "mac";

	if (t->type == BABEL_UPDATE || t->type == BABEL_ROUTE_REQUEST || t->type == BABEL_SEQNO_REQUEST)
		printf(" %s(pair %d origin %d.%d seqno %u metric %u)", name, t->wildcard ? -1 : (int)world_find(w, &t->prefix),
		       t->router_id[2] - 1, t->router_id[4] << 8 | t->router_id[5], t->seqno, t->metric);
	else if (t->type == BABEL_IHU)
		printf(" ihu(%u.%u: %u)", t->addr.bytes[5 + 8] - 1, t->addr.bytes[15] - 1, t->metric);
	else if (t->type == BABEL_HELLO)
		printf(" hello(%u, %u)", t->seqno, t->interval_cs);
	else
		printf(" %s(%u)", name, t->opaque);
}

static void show_packet(struct world *w, const struct world_port *from, const struct babel_datagram *d)
{
	struct babel_parser p;
	struct babel_tlv t;

	if (!traced(w) || !babel_parse_begin(&p, d->data, d->len, &d->src))
		return;
	printf("# %.6f (%llu) %zu.%zu to %s%d:", (double)w->now_us / 1e6, (unsigned long long)w->counts.events, from->node->number,
	       from->number, ip_addr_is_multicast(&d->dst) ? "all " : "", ip_addr_is_multicast(&d->dst) ? 0 : d->dst.bytes[13] - 1);
	while (babel_parse_next(&p, &t))
		show_tlv(w, &t);
	printf("\n");
}

static void show_change(struct world *w, struct world_node *n, size_t pair, const struct babel_change *c)
{
	static const char *const names[] = { "no route", "via", "unreachable", "own" };
	const struct world_port *to = c->action == BABEL_VIA ? world_port_of(w, &c->next_hop) : NULL;

	if (traced(w))
		printf("# %.6f (%llu) node %zu pair %zu: %s %d metric %u\n", (double)w->now_us / 1e6, (unsigned long long)w->counts.events,
		       n->number, pair, names[c->action], to ? (int)to->node->number : -1, c->metric);
}

void trace_begin(struct trace *t, struct world *w, uint64_t from_event)
{
	t->from_event = from_event;
	w->ctx = t;
	w->on_packet = show_packet;
	w->on_change = show_change;
}
