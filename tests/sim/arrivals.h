/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SIM_ARRIVALS_H
#define MESHD_SIM_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

#include "sim.h"

/* What of sim_send()'s packets arrived at each node: how many, the last one's tag, hop limit and time, and the longest wait for one. */
struct arrivals {
	uint64_t tag, count;
	unsigned int hop_limit;
	int64_t last_us, gap_us;
};

extern struct arrivals got[SIM_NODES_MAX];

/* Forget them, and look on from now. */
void arrivals_watch(struct sim *s);

#endif
