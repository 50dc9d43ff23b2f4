/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_PACKETS_WORLD_H
#define MESHD_TESTS_PACKETS_WORLD_H

/* The node that fuzz_packets.c works on, the two ends it talks to, and the batch that is being gathered for it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "node/inside.h"
#include "wire/ip.h"

#include "../unit/handshake_vectors.h"
#include "../unit/stream.h"

enum {
	REMOTES = 2,
	LANES = 2,
	PIECES_MAX = 200,
	PIECE_MAX = 4096,
	DELIVERED_MAX = PIECES_MAX * PACKET_BATCH,
	MESSAGES_MAX = PACKET_BATCH * (65536 / WG_DATA_MIN),	/* in a batch, that may be data */
	SETTLE_MAX = 100,
};

/* The other end of a peer's session. */
struct remote {
	struct noise_identity id;
	struct noise_handshake handshake;
	struct cookie_maker cookies;
	struct keypair *keypair;
	uint8_t tokens[SUB_SESSIONS][4];	/* of probes it heard */
	uint8_t stamp[WG_TAI64N_LEN];
};

struct buffer {
	uint8_t *room;		/* headroom, data, tailroom: not a byte more */
	size_t len;
	struct vnet vnet;	/* of a packet from the TUN */
	uint32_t segment;	/* of a datagram */
};

struct world {
	struct node *node;
	struct lane *lanes[LANES];
	struct instant now;
	struct stream random, remote_random;
	struct remote remotes[REMOTES];
	bool up;

	/* The batch being gathered. */
	bool tun;
	unsigned int lane;		/* which one gets it */
	bool glue;			/* the next datagram to the one before */
	bool waits;			/* the batch goes through the queues */
	struct buffer buffers[PACKET_BATCH];
	struct endpoint from[PACKET_BATCH];
	size_t count;

	uint8_t last[PIECE_MAX + WG_DATA_HEADER + AEAD_TAG];	/* datagram handed in */
	size_t last_len;
	uint8_t initiation[WG_INITIATION_LEN];		/* the node's last */
	bool initiated;

	/* What was delivered: by which keypair (index and birth), which counter. */
	struct delivered {
		uint32_t index;
		int64_t born_us;
		uint64_t counter;
	} *delivered;
	size_t delivered_count;
};

static inline void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static inline const struct endpoint *address(unsigned int i)
{
	static struct endpoint all[4];

	if (!all[0].port)
		require(endpoint_parse("192.0.2.1:1111", &all[0]) && endpoint_parse("[2001:db8::2]:2222", &all[1]) &&
			endpoint_parse("203.0.113.3:3333", &all[2]) && endpoint_parse("[fe80::4%4]:4444", &all[3]),
			"an address");
	return &all[i % 4];
}

/*
 * The world.
 */

static inline void befriend(struct change *c, const struct remote *r, size_t i)
{
	static const char *const allowed[REMOTES][3] = {
		{ "10.0.0.0/8", "fd00::/16", "10.2.3.4/32" },
		{ "0.0.0.0/0", "10.1.0.0/16", "fd00:1::/32" },
	};
	struct change_peer *p = change_add_peer(c);

	require(p, "no memory");
	memcpy(p->public_key, r->id.public_key, KEY_LEN);
	p->bits = CHANGE_PEER_KEEPALIVE | CHANGE_PEER_BABEL;
	p->babel = i == 0;
	require(change_add_address(p, address((unsigned int)i)), "no memory");
	p->keepalive_s = i ? 25 : 0;
	for (size_t k = 0; k < 3; k++) {
		struct ip_prefix prefix = { 0 };

		require(ip_prefix_parse(allowed[i][k], &prefix) && change_add_allowed(p, &prefix, false), "an allowed IP");
	}
}

/* What Babel would have found: routes by either end, one that is held, one of the host's. Peers that are gone are left out. */
static inline void give_routes(struct world *w)
{
	static const struct {
		const char *dst, *src;
		enum fib_action action;
		unsigned int peer, announcers;
	} routes[] = {
		{ "10.9.0.0/16", "0.0.0.0/0", FIB_PEER, 0, 1 | 2 }, { "10.9.1.0/24", "10.0.0.0/8", FIB_PEER, 1, 2 },
		{ "10.9.2.0/24", "0.0.0.0/0", FIB_UNREACHABLE, 0, 1 }, { "10.9.3.0/24", "0.0.0.0/0", FIB_HOST, 0, 0 },
		{ "10.1.4.0/24", "0.0.0.0/0", FIB_NONE, 0, 1 }, { "fd00:9::/32", "::/0", FIB_PEER, 0, 1 },
		{ "fd00:1:1::/48", "fd00::/16", FIB_PEER, 1, 1 | 2 },
	};
	struct lane_peer *ends[REMOTES] = { NULL };

	for (size_t i = 0; i < REMOTES; i++) {
		struct peer *p = node_find(w->node, w->remotes[i].id.public_key);

		ends[i] = p ? &p->data : NULL;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct lane_peer *by[REMOTES];
		struct prefix_pair pair = { 0 };
		size_t count = 0;

		require(ip_prefix_parse(routes[i].dst, &pair.dst) && ip_prefix_parse(routes[i].src, &pair.src), "a prefix");
		for (size_t k = 0; k < REMOTES; k++)
			if (routes[i].announcers & 1U << k && ends[k])
				by[count++] = ends[k];
		if (routes[i].action == FIB_PEER && !ends[routes[i].peer])
			continue;
		require(fib_set(&w->node->fib, &pair, routes[i].action, ends[routes[i].peer], by, count), "no memory");
	}
}

/* A session that is there from the start: the node began the first remote's, the second's is not yet confirmed. */
static inline void establish(struct world *w, size_t i)
{
	struct peer *p = node_find(w->node, w->remotes[i].id.public_key);
	uint32_t index = 0x1000U * (uint32_t)(i + 1) | p->data.home << WG_INDEX_LANE_SHIFT;
	struct noise_keys keys = { .local_index = index, .remote_index = 0x4d00, .initiator = i == 0 };
	struct noise_keys turned = { .local_index = 0x4d00, .remote_index = index, .initiator = i != 0 };

	struct keypair *ours;

	memset(keys.send, 3 + (int)i, KEY_LEN);
	memset(keys.receive, 5 + (int)i, KEY_LEN);
	memcpy(turned.send, keys.receive, KEY_LEN);
	memcpy(turned.receive, keys.send, KEY_LEN);
	w->remotes[i].keypair = keypair_new(&turned, w->now.mono_us);
	ours = keypair_new(&keys, w->now.mono_us);
	require(w->remotes[i].keypair && keypair_open_subs(w->remotes[i].keypair, SUB_SESSIONS_MAX) && ours &&
		keypair_open_subs(ours, 0) && links_install(w->node->lanes, LANES, &p->data, ours), "no session");
}

static inline void world_init(struct world *w)
{
	static const struct ip_addr own4 = { IP_V4, { 10, 0, 0, 1 } }, own6 = { IP_V6, { 0xfd, [15] = 1 } };
	struct change c = { .bits = CHANGE_PRIVATE_KEY | CHANGE_ROUTING, .transit = TRANSIT_LANE };
	struct rng rng = stream_rng(&w->random);
	struct log silent = { 0 };

	memset(w, 0, sizeof(*w));
	w->random.s = 1;
	w->remote_random.s = 2;
	w->now = (struct instant){ .mono_us = 1000 * US_PER_S, .wall_ns = 1700000000 * NS_PER_S };
	w->node = node_new(&rng, &silent, LANES);
	w->delivered = malloc(DELIVERED_MAX * sizeof(*w->delivered));
	require(w->node && w->delivered, "no memory");
	for (unsigned int i = 0; i < LANES; i++) {
		w->lanes[i] = node_lane(w->node, i);
		lane_set_offloads(w->lanes[i], i ? 63 : 3, true);
		lane_set_addresses(w->lanes[i], &own4, &own6);
	}
	memcpy(c.private_key, handshake_vectors[0].responder_private, KEY_LEN);
	for (size_t i = 0; i < REMOTES; i++) {
		noise_identity_set(&w->remotes[i].id, handshake_vectors[i].initiator_private);
		befriend(&c, &w->remotes[i], i);
	}
	require(node_apply(w->node, &c, w->now) == 0, "a change refused");
	change_done(&c);
	for (size_t i = 0; i < REMOTES; i++) {
		noise_handshake_init(&w->remotes[i].handshake, &w->remotes[i].id, w->node->identity.public_key, NULL);
		cookie_maker_init(&w->remotes[i].cookies, w->node->identity.public_key);
		establish(w, i);
	}
	give_routes(w);
	w->up = true;
	node_set_up(w->node, true, w->now);
}

static inline void world_done(struct world *w)
{
	for (size_t i = 0; i < REMOTES; i++)
		keypair_free(w->remotes[i].keypair);
	free(w->delivered);
	node_free(w->node);
}

#endif
