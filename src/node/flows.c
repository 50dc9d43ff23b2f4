/* SPDX-License-Identifier: MIT */
/*
 * What the flow tables know of a peer, for people. Reads what lanes write, so the gates are closed; that costs a walk through the table of
 * each lane in which the peer has slots.
 */
#include "node/flows.h"

#include <string.h>

#include "node/inside.h"

_Static_assert(FLOWS_A_PEER == SUB_SESSIONS_MAX + 1, "a place for every sub-session and session 0");

static int64_t since(int64_t then_us, int64_t now_us)
{
	return then_us ? now_us - then_us : -1;
}

static void sub_info(const struct node *n, const struct peer *p, unsigned int number, const struct flow_use *use, int64_t now_us,
		     struct flow_info *f)
{
	const struct lane_sub *sub = &p->data.subs[number];
	bool usable = links_usable(&p->data, n->lane_count, number);

	*f = (struct flow_info){
		.number = (uint8_t)number, .lane = (uint8_t)(number % n->lane_count), .usable = usable,
		.own = use->flows == 1, .flows = use->flows, .local_port = sub->port ? n->ports[sub->port] : n->listen_port,
		.path = sub->path, .label = sub->path.remote.addr.family == IP_V6 ? sub->label : 0,
		.idle_us = since(use->used_us, now_us), .heard_us = since(sub->heard_us, now_us),
	};
}

/* Flows that have no sub-session, of all lanes together. */
static void zero_info(const struct node *n, const struct peer *p, const struct flow_use *use, int64_t now_us, struct flow_info *f)
{
	*f = (struct flow_info){
		.lane = (uint8_t)p->data.home, .usable = p->data.session.current, .flows = use->flows, .local_port = n->listen_port,
		.path = peer_link(p)->path, .idle_us = since(use->used_us, now_us), .heard_us = -1,
	};
}

size_t node_flows(const struct node *n, size_t i, struct instant now, struct flow_info v[FLOWS_A_PEER])
{
	struct flow_use uses[SUB_SESSIONS] = { { 0 } }, lane[SUB_SESSIONS + 1];
	const struct peer *p;
	size_t count = 0;

	if (i >= n->peer_count || !n->peers[i]->data.mesh)
		return 0;
	p = n->peers[i];
	for (unsigned int l = 0; l < n->lane_count; l++) {
		const struct flow_slots *s = &p->data.links[l].slots;
		const struct flow_use *zero = &lane[s->count];

		flow_table_use(&n->lanes[l].flows, s, now.mono_us - FLOWS_LATELY_S * US_PER_S, lane);
		for (unsigned int j = 0; j < s->count; j++)
			uses[(l ? l : n->lane_count) + j * n->lane_count] = lane[j];
		uses[0].flows += zero->flows;
		if (zero->used_us > uses[0].used_us)
			uses[0].used_us = zero->used_us;
	}
	if (uses[0].flows)
		zero_info(n, p, &uses[0], now.mono_us, &v[count++]);
	for (unsigned int number = 1; number <= p->data.sub_count; number++)
		sub_info(n, p, number, &uses[number], now.mono_us, &v[count++]);
	return count;
}
