/* SPDX-License-Identifier: MIT */
#ifndef MESHD_PATH_TERMS_H
#define MESHD_PATH_TERMS_H

#include <stdbool.h>
#include <stdint.h>

/* What the operator says of an endpoint or of an interface of this host (Endpoint = and Uplink = in meshd.conf(5)). All zero: nothing. */
struct path_terms {
	uint16_t cost_ms;		/* added to the round trip that is measured */
	bool metered;			/* bytes cost money, or the battery: probed seldom while something else is alive */
	bool never;			/* nothing of ours goes that way; what comes in is taken */
};

enum { PATH_COST_MAX_MS = 60000 };

/* What holds for a path with both. */
static inline struct path_terms path_terms_join(const struct path_terms *a, const struct path_terms *b)
{
	return (struct path_terms){
		.cost_ms = (uint16_t)(a->cost_ms + b->cost_ms < PATH_COST_MAX_MS ? a->cost_ms + b->cost_ms : PATH_COST_MAX_MS),
		.metered = a->metered || b->metered,
		.never = a->never || b->never,
	};
}

#endif
