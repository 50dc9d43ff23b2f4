/* SPDX-License-Identifier: MIT */
/* Packets that arrive, as most tests of whole nodes want to know of them. */
#include "arrivals.h"

#include <string.h>

struct arrivals got[SIM_NODES_MAX];

static void look(struct sim *s, size_t node, const uint8_t *packet, size_t len)
{
	uint64_t tag = sim_tag(packet, len);
	struct arrivals *a = &got[node];

	if (!tag)
		return;
	a->tag = tag;
	a->count++;
	a->hop_limit = packet[7];
	if (a->last_us && s->now_us - a->last_us > a->gap_us)
		a->gap_us = s->now_us - a->last_us;
	a->last_us = s->now_us;
}

void arrivals_watch(struct sim *s)
{
	memset(got, 0, sizeof(got));
	s->on_packet = look;
}
