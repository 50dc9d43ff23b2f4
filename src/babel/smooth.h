/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_SMOOTH_H
#define MESHD_BABEL_SMOOTH_H

#include <stdint.h>

#include "base/instant.h"

#define BABEL_SMOOTH_US (4 * US_PER_S)	/* half-life, as babeld has it */

/* A route's metric, and where it comes from (B2): what is smoothed away halves every BABEL_SMOOTH_US. */
struct smooth {
	uint16_t metric;	/* as it is now; BABEL_INFINITY: unusable */
	uint16_t at_high;	/* 48 bits of when that began, in microseconds: nine years; there is one of these in each route */
	uint32_t at_low;
	int32_t lag;		/* smoothed - metric then, in 1/256 */
	int32_t spread;		/* how much it moved of late, in 1/256 */
};

/* The metric is this from now on. One that comes from infinity begins at twice its worth: it has to prove itself. */
void smooth_set(struct smooth *s, uint16_t metric, int64_t now_us);

uint16_t smooth_metric(const struct smooth *s, int64_t now_us);

/* How long 'better', of the smaller metric, is to be watched before it takes the place of 'old': 0, now is the time. */
int64_t smooth_wait_us(const struct smooth *old, const struct smooth *better, int64_t now_us);

#endif
