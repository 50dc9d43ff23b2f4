/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_FILTER_H
#define MESHD_BABEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * Which routes are taken, announced and redistributed, and what is added to their metric. A list is gone through in order, and the first
 * filter of the direction that matches decides; where none does the route passes unchanged. Both prefixes are looked at (RFC 9079 chapter
 * 9): one that names no source matches routes of any source.
 */
enum babel_filter_direction {
	BABEL_FILTER_IN,		/* updates of neighbours */
	BABEL_FILTER_OUT,		/* our updates */
	BABEL_FILTER_REDISTRIBUTE,	/* what we originate; its interface is that of the kernel's route */
};

enum { BABEL_FILTER_NAME_MAX = 63, BABEL_FILTERS_MAX = 1024 };

/* A prefix with bounds of length: matches what it contains, len_min <= length <= len_max. family IP_NONE: anything. */
struct babel_filter_range {
	struct ip_prefix prefix;
	uint8_t len_min, len_max;
};

struct babel_filter {
	enum babel_filter_direction direction;
	bool deny;
	uint16_t add;			/* to the metric of what passes (redistribute: the metric itself) */
	bool has_add;
	struct babel_filter_range dst, src;
	char iface[BABEL_FILTER_NAME_MAX + 1];		/* "": any */
	struct ip_addr neighbour;			/* family IP_NONE: any */
};

/* A route under judgement. 'neighbour' may be of family IP_NONE: it matches only filters that name none. */
struct babel_filter_route {
	const struct prefix_pair *prefix;
	const char *iface;
	struct ip_addr neighbour;
};

/* The first filter that matches, or NULL. */
const struct babel_filter *babel_filter_match(const struct babel_filter *filters, size_t count, enum babel_filter_direction direction,
					      const struct babel_filter_route *r);

/* What comes of 'metric': added to (never infinite by that alone: at most 65534), or BABEL_INFINITY where the route is denied. */
uint16_t babel_filter_metric(const struct babel_filter *filters, size_t count, enum babel_filter_direction direction,
			     const struct babel_filter_route *r, uint16_t metric);

#endif
