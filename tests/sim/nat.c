/* SPDX-License-Identifier: MIT */
/*
 * Address translation in front of one simulated node. Mappings lie in an array; what has timed out is swept when one is looked for.
 */
#include "nat.h"

#include <assert.h>

static void sweep(struct sim_nat *n, int64_t now_us)
{
	for (size_t i = n->count; i-- > 0;)
		if (now_us - n->maps[i].used_us > n->timeout_us)
			n->maps[i] = n->maps[--n->count];
}

static uint16_t draw_port(struct sim_nat *n)
{
	n->random = n->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint16_t)(1024 + (n->random >> 33) % 60000);
}

/* Whether a port outside is taken, towards this remote. */
static bool taken(const struct sim_nat *n, uint16_t outside, const struct endpoint *remote)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->maps[i].outside == outside && endpoint_equal(&n->maps[i].remote, remote))
			return true;
	return false;
}

uint16_t nat_out(struct sim_nat *n, uint16_t inside, const struct endpoint *remote, int64_t now_us)
{
	struct nat_map *m;
	uint16_t outside = inside;

	sweep(n, now_us);
	if (inside == n->blocked || (n->only && inside != n->only))
		return 0;
	for (m = n->maps; m < n->maps + n->count; m++)
		if (m->inside == inside && endpoint_equal(&m->remote, remote)) {
			m->used_us = now_us;
			return m->outside;
		}
	if (n->kind == SIM_NAT_RANDOM)
		outside = draw_port(n);
	while (taken(n, outside, remote))
		outside = draw_port(n);
	assert(n->count < NAT_MAPS_MAX);
	n->maps[n->count++] = (struct nat_map){ .inside = inside, .outside = outside, .remote = *remote, .used_us = now_us };
	return outside;
}

uint16_t nat_in(struct sim_nat *n, uint16_t outside, const struct endpoint *remote, int64_t now_us)
{
	sweep(n, now_us);
	for (struct nat_map *m = n->maps; m < n->maps + n->count; m++)
		if (m->outside == outside && endpoint_equal(&m->remote, remote)) {
			m->used_us = now_us;
			return m->inside;
		}
	if (n->kind == SIM_NAT_FORWARD && outside == n->forwarded)
		return n->forwarded;
	return 0;
}

void nat_forget(struct sim_nat *n, uint16_t inside)
{
	for (size_t i = n->count; i-- > 0;)
		if (!inside || n->maps[i].inside == inside)
			n->maps[i] = n->maps[--n->count];
}
