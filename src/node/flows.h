/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_FLOWS_H
#define MESHD_NODE_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/packet.h"

struct node;

/*
 * Where the flows of a peer are: a look at the lanes' flow tables. These know flows by a keyed hash alone, so there are no addresses
 * or ports of inner packets to tell.
 */

enum {
	FLOWS_LATELY_S = 10,		/* a flow without a packet for so long is not counted any more */
	FLOWS_A_PEER = 127,		/* sub-sessions of data, and session 0 */
};

struct flow_info {
	uint8_t number;			/* of the sub-session; 0: the session itself */
	uint8_t lane;
	bool usable;			/* heard, so flows may be put on it */
	bool own;			/* one flow has it for itself */
	unsigned int flows;		/* of ours, with a packet lately */
	uint16_t local_port;
	struct path_addr path;
	uint32_t label;			/* IPv6 flow label, ours; 0: none */
	int64_t idle_us;		/* since the last packet of these flows; -1: none lately */
	int64_t heard_us;		/* since something was last heard on it; -1: never, or not known (session 0) */
};

/*
 * The sub-sessions open to the i-th peer, by number, at most FLOWS_A_PEER; session 0 first, if flows are on it. Returns how many. Flows are
 * counted for peers that are meshds: with others all go by session 0. Where lanes have threads of their own: between node_close_lanes() and
 * node_open_lanes(), as node_peer().
 */
size_t node_flows(const struct node *n, size_t i, struct instant now, struct flow_info v[FLOWS_A_PEER]);

#endif
