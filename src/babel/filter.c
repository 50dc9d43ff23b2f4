/* SPDX-License-Identifier: MIT */
/*
 * Filters on routes: a list, the first that matches decides. Whoever writes a filter for destinations alone means it for source-specific
 * routes, too (RFC 9079 chapter 9), so no source in a filter is any source, not none; a filter for routes of any source says so with
 * a range of length 0. A metric only ever gets worse on its way through (RFC 8966 3.5.2), and what is infinite stays so.
 */
#include "babel/filter.h"

#include <string.h>

#include "wire/babel.h"

static bool range_matches(const struct babel_filter_range *range, const struct ip_prefix *p)
{
	if (range->prefix.addr.family == IP_NONE)
		return true;
	return p->len >= range->len_min && p->len <= range->len_max && ip_prefix_contains(&range->prefix, p);
}

static bool filter_matches(const struct babel_filter *f, enum babel_filter_direction direction, const struct babel_filter_route *r)
{
	if (f->direction != direction)
		return false;
	if (f->iface[0] && (!r->iface || strcmp(f->iface, r->iface) != 0))
		return false;
	if (f->neighbour.family != IP_NONE && !ip_addr_equal(&f->neighbour, &r->neighbour))
		return false;
	return range_matches(&f->dst, &r->prefix->dst) && range_matches(&f->src, &r->prefix->src);
}

const struct babel_filter *babel_filter_match(const struct babel_filter *filters, size_t count, enum babel_filter_direction direction,
					      const struct babel_filter_route *r)
{
	for (size_t i = 0; i < count; i++)
		if (filter_matches(&filters[i], direction, r))
			return &filters[i];
	return NULL;
}

uint16_t babel_filter_metric(const struct babel_filter *filters, size_t count, enum babel_filter_direction direction,
			     const struct babel_filter_route *r, uint16_t metric)
{
	const struct babel_filter *f = babel_filter_match(filters, count, direction, r);
	uint32_t sum = metric;

	if (metric == BABEL_INFINITY || !f)
		return metric;
	if (f->deny)
		return BABEL_INFINITY;
	if (f->has_add)
		sum = direction == BABEL_FILTER_REDISTRIBUTE ? f->add : sum + f->add;
	return sum < BABEL_INFINITY ? (uint16_t)sum : BABEL_INFINITY - 1;
}
