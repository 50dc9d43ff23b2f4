/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_ENDS_H
#define MESHD_TESTS_ENDS_H

/* Two nodes, each the other's peer, and their turns as the daemon takes them; what they send the test carries over by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "node/inside.h"
#include "stream.h"

static const struct log silent;

/* Two nodes that are each other's only peer, and a wire between them that the test works by hand. */
struct end {
	struct node *node;
	struct stream random;
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	struct endpoint here;
	/* What it sent in its last turn. */
	uint8_t sent[128][2048];
	size_t lens[128], count;
	size_t initiations, responses, cookies, keepalives, data;	/* ever */
};

static struct end a, b;
static struct instant now;
static unsigned int lane_count = 1;	/* of each */
static bool plain = true;		/* WireGuard and nothing more: no word about sub-sessions */

static inline void end_init(struct end *e, uint64_t seed, const char *here)
{
	struct change c = { .bits = CHANGE_PRIVATE_KEY };
	struct rng rng = stream_rng(&e->random);

	memset(e, 0, sizeof(*e));
	e->random.s = seed;
	e->node = node_new(&rng, &silent, lane_count);
	assert_non_null(e->node);
	key_generate(&rng, e->private_key);
	key_public(e->public_key, e->private_key);
	assert_true(endpoint_parse(here, &e->here));
	memcpy(c.private_key, e->private_key, KEY_LEN);
	assert_int_equal(node_apply(e->node, &c, now), 0);
}

/* Make 'other' a peer of 'e', with everything allowed. */
static inline void befriend(struct end *e, const struct end *other, uint16_t keepalive_s)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);
	struct ip_prefix all = { .addr.family = IP_V4 };

	assert_non_null(p);
	memcpy(p->public_key, other->public_key, KEY_LEN);
	p->bits = CHANGE_PEER_KEEPALIVE;
	assert_true(change_add_address(p, &other->here));
	p->keepalive_s = keepalive_s;
	if (plain) {
		p->bits |= CHANGE_PEER_FLOW_SESSIONS;
		p->link.flow_sessions = 0;
	}
	assert_true(change_add_allowed(p, &all, false));
	assert_int_equal(node_apply(e->node, &c, now), 0);
	change_done(&c);
}

static inline void wait_us(int64_t us)
{
	now.mono_us += us;
	now.wall_ns += us * 1000;
}

static inline void keep(struct end *e, const struct dgram *d)
{
	assert_true(e->count < 128 && d->len <= sizeof(e->sent[0]));
	memcpy(e->sent[e->count], d->data, d->len);
	e->lens[e->count++] = d->len;
	switch (wg_classify(d->data, d->len)) {
	case WG_INITIATION:
		e->initiations++;
		break;
	case WG_RESPONSE:
		e->responses++;
		break;
	case WG_COOKIE_REPLY:
		e->cookies++;
		break;
	case WG_DATA:
		*(d->len == WG_DATA_MIN ? &e->keepalives : &e->data) += 1;
		break;
	default:
		fail();
	}
}

static inline void keep_lane(struct end *e)
{
	for (unsigned int n = 0; n < lane_count; n++) {
		struct lane *l = node_lane(e->node, n);
		const struct lane_out *out = lane_out(l);

		for (size_t i = 0; i < out->dgram_count; i++)
			keep(e, &out->dgrams[i]);
		lane_out_clear(l);
	}
}

/* One turn, as the daemon does it. What was sent is in e->sent. */
static inline void turn(struct end *e)
{
	struct dgram *out;
	size_t count;
	bool more;

	e->count = 0;
	keep_lane(e);
	node_turn(e->node, now);
	count = node_out(e->node, &out);
	for (size_t i = 0; i < count; i++)
		keep(e, &out[i]);
	node_out_clear(e->node);
	do {
		more = false;
		for (unsigned int n = 0; n < lane_count; n++)
			more |= lane_drain(node_lane(e->node, n), now, UINT32_MAX);
		keep_lane(e);
	} while (more);
}

/* Turns until there is nothing to do at this instant. */
static inline void turns(struct end *e)
{
	for (int i = 0; i < 20; i++) {
		turn(e);
		if (node_deadline(e->node) > now.mono_us)
			return;
	}
	fail_msg("a node that never rests");
}

static inline int setup(void **state)
{
	(void)state;
	now = (struct instant){ .mono_us = 1000 * US_PER_S, .wall_ns = 1700000000 * NS_PER_S };
	end_init(&a, 1, "192.0.2.1:1");
	end_init(&b, 2, "192.0.2.2:2");
	befriend(&a, &b, 0);
	befriend(&b, &a, 0);
	node_set_up(a.node, true, now);
	node_set_up(b.node, true, now);
	turns(&a);
	turns(&b);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	node_free(a.node);
	node_free(b.node);
	return 0;
}

static unsigned int receive_lane;	/* which one what comes in is steered to */

/* A datagram to a lane, and on to the one it belongs to. */
static inline void pass(struct end *e, unsigned int lane, const struct dgram *d)
{
	struct lane *l = node_lane(e->node, lane);
	const struct lane_out *out;

	lane_from_udp(l, now, d, 1);
	out = lane_out(l);
	if (out->stray_count) {
		struct dgram stray = out->strays[0];

		lane_out_clear(l);
		lane_from_udp(node_lane(e->node, lane_of_index(wg_data_receiver(stray.data), lane_count)), now, &stray, 1);
	}
}

static inline void receive(struct end *e, const struct end *from, const void *msg, size_t len)
{
	uint8_t room[PACKET_HEADROOM + 2048 + PACKET_TAILROOM];
	struct dgram d = { .data = room + PACKET_HEADROOM, .len = (uint32_t)len, .path.remote = from->here };

	assert_true(len <= 2048);
	memcpy(d.data, msg, len);
	pass(e, receive_lane % lane_count, &d);
	keep_lane(e);
}

/* Everything 'from' sent in its last turn reaches 'to'. */
static inline void carry(struct end *from, struct end *to)
{
	for (size_t i = 0; i < from->count; i++)
		receive(to, from, from->sent[i], from->lens[i]);
	from->count = 0;
}

static inline struct peer *peer_of(struct end *e)
{
	return e->node->peers[0];
}

/* A packet of 20 bytes from e's TUN, read by that lane. */
static inline void send_packet_by(struct end *e, unsigned int lane)
{
	uint8_t room[PACKET_HEADROOM + 20 + PACKET_TAILROOM] = { 0 };
	struct packet p = { .data = room + PACKET_HEADROOM, .len = 20 };

	p.data[0] = 0x45;
	p.data[3] = 20;
	p.data[12] = 10;
	p.data[16] = 10;
	lane_from_tun(node_lane(e->node, lane), now, &p, 1);
	keep_lane(e);
}

static inline void send_packet(struct end *e)
{
	send_packet_by(e, peer_of(e)->data.home);
}

static inline uint64_t drops(const struct end *e, enum drop_reason reason)
{
	struct node_info info;

	node_info(e->node, &info);
	return info.drops[reason];
}

/* A handshake begun by a packet from 'from', to the end. */
static inline void shake_hands(struct end *from, struct end *to)
{
	send_packet(from);
	turn(from);
	carry(from, to);
	turn(to);
	carry(to, from);
	turn(from);
	carry(from, to);
	turns(to);
	to->count = 0;
	turns(from);
	from->count = 0;
	assert_non_null(peer_of(from)->data.session.current);
	assert_non_null(peer_of(to)->data.session.current);
}

/* Initiations of a's, 'count' of them, all with mac1 right; only b's queue counts here, not what is in them. */
static inline void flood(size_t count)
{
	uint8_t msg[WG_INITIATION_LEN] = { WG_INITIATION };
	struct cookie_maker maker;

	cookie_maker_init(&maker, b.public_key);
	for (size_t i = 0; i < count; i++) {
		put_le32(msg + 8, (uint32_t)i);
		cookie_maker_sign(&maker, msg, sizeof(msg), now.mono_us);
		receive(&b, &a, msg, sizeof(msg));
	}
}

#endif
