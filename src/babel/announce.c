/* SPDX-License-Identifier: MIT */
/*
 * What we say of prefixes (RFC 8966 3.7; reference chapter 8), and what we say them of: our own announcements and the filters. send.c asks at
 * the moment it writes, so nothing stale is ever sent; and in that moment the feasibility distance is recorded, with the very metric that
 * is sent (3.7.3): whoever hears it may route through us, and from then on we must not route through whoever is not strictly better.
 *
 * A retraction carries our own router-id, so that one goes before it in the packet: some receivers drop all that stands under theirs (C6).
 */
#include <stdlib.h>

#include "babel/filter.h"
#include "babel/table.h"

static uint16_t out_metric(const struct babel_filter *filters, size_t count, const struct babel_prefix *p, const struct babel_iface *i,
			   uint16_t metric)
{
	struct babel_filter_route judged = { .prefix = &p->pair, .iface = i->config.name };

	return metric == BABEL_INFINITY ? metric : babel_filter_metric(filters, count, BABEL_FILTER_OUT, &judged, metric);
}

bool announce_is_echo(const struct babel_prefix *p, const struct babel_iface *i)
{
	return !p->own && p->selected && p->selected->neighbour->iface == i;
}

static bool split_horizon(const struct babel_prefix *p, const struct babel_iface *i)
{
	return i->config.split_horizon && announce_is_echo(p, i);
}

/* Never shorter than it is (U7). */
static uint16_t announced_interval(int64_t us)
{
	int64_t cs = (us + 10 * US_PER_MS - 1) / (10 * US_PER_MS);

	return cs < 1 ? 1 : cs > 0xfffe ? 0xfffe : (uint16_t)cs;
}

bool announce_update(struct babel *b, struct babel_prefix *p, const struct babel_iface *i, bool forced, struct babel_update *u)
{
	uint16_t said = b->stopped ? BABEL_INFINITY : prefix_metric(p), metric;

	if (said != BABEL_INFINITY && !forced && split_horizon(p, i))
		return false;
	metric = out_metric(b->filters, b->filter_count, p, i, said);
	if (metric == BABEL_INFINITY && said != BABEL_INFINITY && !forced && b->now.mono_us >= p->denied_until_us)
		return false;
	if (said == BABEL_INFINITY && !forced && !p->announced)
		return false;
	if (metric != BABEL_INFINITY && !source_record(b, p, prefix_seqno(b, p), metric))
		metric = BABEL_INFINITY;
	*u = (struct babel_update){ .prefix = p->pair, .metric = metric, .interval_cs = announced_interval(i->config.update_us) };
	if (metric == BABEL_INFINITY) {
		memcpy(u->router_id, b->router_id, sizeof(u->router_id));
		u->seqno = b->seqno;
		p->retraction_said = p->retraction_said || p->held;
		return true;
	}
	memcpy(u->router_id, p->router_id, sizeof(u->router_id));
	u->seqno = prefix_seqno(b, p);
	p->announced = true;
	p->told_metric = said;
	memcpy(p->told_id, p->router_id, sizeof(p->told_id));
	return true;
}

static bool is_told(const struct babel_prefix *p)
{
	return p->present || (p->held && p->announced);
}

size_t announce_all(struct babel *b, struct babel_prefix **out)
{
	size_t count = 0;

	for (size_t i = 0; i < b->bucket_count; i++)
		for (struct babel_prefix *p = b->buckets[i]; p; p = p->next)
			if (is_told(p))
				out[count++] = p;
	qsort(out, count, sizeof(*out), announce_order);
	return count;
}

static int compare(const struct ip_prefix *x, const struct ip_prefix *y)
{
	int order = memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));

	return order ? order : x->len - y->len;
}

int announce_order(const void *a, const void *b)
{
	const struct babel_prefix *x = *(struct babel_prefix *const *)a, *y = *(struct babel_prefix *const *)b;
	int order = memcmp(x->router_id, y->router_id, sizeof(x->router_id));

	if (!order)
		order = y->pair.dst.addr.family - x->pair.dst.addr.family;
	if (!order)
		order = compare(&x->pair.dst, &y->pair.dst);
	return order ? order : compare(&x->pair.src, &y->pair.src);
}

/* One form of a pair, whoever made it: masked, and any source is zero. */
static struct prefix_pair canonical(const struct prefix_pair *pair)
{
	struct prefix_pair c = *pair;

	ip_prefix_mask(&c.dst);
	ip_prefix_mask(&c.src);
	return c.src.len ? c : prefix_pair_any(&c.dst);
}

bool babel_originate(struct babel *b, const struct prefix_pair *pair, uint16_t metric, struct instant now)
{
	struct prefix_pair c = canonical(pair);
	struct babel_prefix *p;

	b->now = now;
	if (metric == BABEL_INFINITY) {
		babel_withdraw(b, pair, now);
		return true;
	}
	p = prefix_get(b, &c, NULL);
	if (!p)
		return false;
	if (!p->own)
		prefix_changed(b, p);
	p->own = true;
	p->own_metric = metric;
	select_route(b, p);
	requests_check(b, p);
	prefix_release(b, p);
	return true;
}

void babel_withdraw(struct babel *b, const struct prefix_pair *pair, struct instant now)
{
	struct prefix_pair c = canonical(pair);
	struct babel_prefix *p = prefix_find(b, &c);

	b->now = now;
	if (!p || !p->own)
		return;
	prefix_hold(p);
	p->own = false;
	p->own_metric = BABEL_INFINITY;
	prefix_changed(b, p);
	select_route(b, p);
	requests_check(b, p);
	prefix_release(b, p);
}

/* The in-filters, on all that neighbours ever said. */
static void filter_in(struct babel *b, struct babel_prefix *p, void *ctx)
{
	(void)ctx;
	for (struct babel_route *r = p->routes; r; r = r->next)
		route_filter(b, r);
	if (p->routes)
		select_route(b, p);
	requests_check(b, p);
}

void babel_judge_again(struct babel *b, struct instant now)
{
	b->now = now;
	prefix_walk(b, filter_in, NULL);
}

void babel_set_judge(struct babel *b, const struct babel_judge *judge, struct instant now)
{
	b->judge = judge ? *judge : (struct babel_judge){ 0 };
	babel_judge_again(b, now);
}

struct old_filters {
	const struct babel_filter *filters;
	size_t count;
};

/* The out-filters: what is said otherwise now must be said soon, and what is hidden now was not lost by any change of routes. */
static void filter_out(struct babel *b, struct babel_prefix *p, void *ctx)
{
	const struct old_filters *old = ctx;
	uint16_t said = prefix_metric(p);

	if (said == BABEL_INFINITY)
		return;
	for (struct babel_iface *i = b->ifaces; i; i = i->next) {
		uint16_t was = out_metric(old->filters, old->count, p, i, said);
		uint16_t is = out_metric(b->filters, b->filter_count, p, i, said);

		if (!i->up || was == is)
			continue;
		if (is == BABEL_INFINITY)
			p->denied_until_us = b->now.mono_us + BABEL_HOLD_DEFAULT_US;
		send_update(b, i, NULL, p, is == BABEL_INFINITY ? SEND_RELIABLE : SEND_URGENT, is == BABEL_INFINITY);
	}
}

bool babel_set_filters(struct babel *b, const struct babel_filter *filters, size_t count, struct instant now)
{
	struct old_filters old = { .filters = b->filters, .count = b->filter_count };
	struct babel_filter *copy = NULL, *former = b->filters;

	b->now = now;
	if (count > BABEL_FILTERS_MAX)
		return false;
	if (count) {
		copy = calloc(count, sizeof(*copy));
		if (!copy)
			return false;
		memcpy(copy, filters, count * sizeof(*copy));
	}
	b->filters = copy;
	b->filter_count = count;
	prefix_walk(b, filter_in, NULL);
	prefix_walk(b, filter_out, &old);
	free(former);
	return true;
}
