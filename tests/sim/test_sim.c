/* SPDX-License-Identifier: MIT */
/*
 * WireGuard's life in virtual time: handshakes under loss and reordering, every time limit walked through, roaming, clocks,
 * load. Hours pass in milliseconds; nothing sleeps. A failure is repeated by its seed, which is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "node/inside.h"
#include "sim.h"

static const struct sim_link WAN = { .delay_us = 20000 };

/* Two plain WireGuards: what is sent is what WireGuard's timers say, and nothing else. test_spread.c has the rest. */
static void pair(struct sim *s, uint64_t seed)
{
	sim_init(s, seed);
	s->flow_sessions = 0;
	sim_add_node(s);
	sim_add_node(s);
	sim_connect(s, 0, 1);
	sim_set_link(s, 0, 1, &WAN);
}

/* Send one packet each way every 'every_us' for 'us'. Returns how many each way. */
static uint64_t talk(struct sim *s, int64_t us, int64_t every_us)
{
	uint64_t n = 0;

	for (int64_t t = 0; t < us; t += every_us, n++) {
		sim_send(s, 0, 1, n + 1, 100);
		sim_send(s, 1, 0, n + 1, 100);
		sim_run(s, every_us);
	}
	return n;
}

/* The first packet waits for the handshake and arrives; the session is up on both sides. */
static void first_packet_arrives(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 1);
	sim_send(&s, 0, 1, 1, 100);
	assert_int_equal(sim_peer(&s, 0, 1).waiting, 1);
	sim_run(&s, MS(59));
	assert_int_equal(s.nodes[1].seen.delivered, 0);
	sim_run(&s, MS(1));
	assert_int_equal(s.nodes[1].seen.delivered, 1);
	assert_int_equal(s.nodes[0].seen.initiations, 1);
	assert_int_equal(s.nodes[1].seen.responses, 1);
	assert_true(sim_peer(&s, 0, 1).has_session);
	assert_true(sim_peer(&s, 1, 0).has_session);
	assert_int_not_equal(sim_peer(&s, 1, 0).handshake_wall_ns, 0);
	sim_done(&s);
}

/* A responder must not send before the initiator has shown that it has the keys. */
static void responder_waits_for_confirmation(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 2);
	s.links[0][1].no_data = true;
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, MS(200));
	assert_int_equal(s.nodes[1].seen.responses, 1);
	sim_send(&s, 1, 0, 1, 100);
	assert_int_equal(s.nodes[1].seen.data, 0);
	assert_false(sim_peer(&s, 1, 0).has_session);
	sim_done(&s);
}

/* Without a return for 90 s: attempts 5 s apart with up to 333 ms of jitter, then silence and the packets dropped. */
static void retries_for_90_seconds(void **state)
{
	struct sim s;
	int64_t last_us, start_us;
	uint64_t seen = 1;

	(void)state;
	pair(&s, 3);
	s.links[0][1].cut = true;
	start_us = last_us = s.now_us;
	sim_send(&s, 0, 1, 1, 100);
	assert_int_equal(s.nodes[0].seen.initiations, 1);
	while (s.now_us < start_us + SECONDS(200)) {
		sim_run(&s, MS(1));
		if (s.nodes[0].seen.initiations == seen)
			continue;
		seen++;
		assert_int_equal(s.nodes[0].seen.initiations, seen);
		assert_in_range(s.now_us - last_us, SECONDS(5) - MS(1), SECONDS(5) + MS(335));
		last_us = s.now_us;
	}
	assert_int_equal(seen, 1 + REKEY_ATTEMPTS_MAX);
	assert_in_range(last_us - start_us, SECONDS(90), SECONDS(97));
	assert_int_equal(sim_drops(&s, 0, DROP_NO_SESSION), 1);
	assert_int_equal(sim_peer(&s, 0, 1).waiting, 0);
	/* A new packet begins anew. */
	sim_send(&s, 0, 1, 2, 100);
	assert_int_equal(s.nodes[0].seen.initiations, seen + 1);
	sim_done(&s);
}

/* Both sides begin at once, with steady traffic on both: the messages cross, and there is a session all the same. */
static void crossing_initiations_part(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim s;

		pair(&s, 900 + seed);
		talk(&s, SECONDS(1), MS(20));
		if (!sim_peer(&s, 0, 1).has_session || !sim_peer(&s, 1, 0).has_session)
			fail_msg("seed %u: no session after 1 s", (unsigned int)(900 + seed));
		sim_done(&s);
	}
}

/* Under traffic the initiator renews the session at 120 s; nobody notices. */
static void rekeys_at_120_seconds(void **state)
{
	struct sim s;
	uint64_t sent;

	(void)state;
	pair(&s, 4);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	sent = talk(&s, SECONDS(118), MS(100));
	assert_int_equal(s.nodes[0].seen.initiations, 1);
	assert_int_equal(s.nodes[1].seen.initiations, 0);
	sent += talk(&s, SECONDS(2), MS(100));
	assert_int_equal(s.nodes[0].seen.initiations, 2);
	sent += talk(&s, SECONDS(600), MS(100));
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[0].seen.delivered, sent);
	assert_int_equal(s.nodes[1].seen.delivered, sent + 1);
	assert_int_equal(s.nodes[0].seen.initiations, 1 + 720 / 120);
	assert_int_equal(s.nodes[1].seen.initiations, 0);
	sim_done(&s);
}

/* Only receiving, and its keepalives lost on the way out: the initiator renews 15 s before the keys end (165 s). */
static void receiver_rekeys_at_165_seconds(void **state)
{
	struct sim s;
	int64_t start_us;
	struct peer *p;

	(void)state;
	pair(&s, 5);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	start_us = s.now_us;
	p = node_find(s.nodes[0].node, s.nodes[1].public_key);
	for (uint64_t i = 1; s.nodes[0].seen.initiations == 1 && s.now_us < start_us + SECONDS(300); i++) {
		sim_send(&s, 1, 0, i, 100);
		sim_run(&s, MS(500));
		/* Sending with the key would renew it at 120 s: take the keepalive away before it goes. */
		p->rekey.keepalive_us = NEVER_US;
		/* The other side would start anew for want of an answer. */
		node_find(s.nodes[1].node, s.nodes[0].public_key)->rekey.silence_us = NEVER_US;
	}
	assert_int_equal(s.nodes[0].seen.initiations, 2);
	assert_in_range(s.now_us - start_us, SECONDS(163), SECONDS(166));
	sim_done(&s);
}

/* Keys older than 180 s seal and open nothing, even if no new handshake gets through. */
static void rejects_after_180_seconds(void **state)
{
	struct sim s;
	uint64_t data;

	(void)state;
	pair(&s, 6);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	s.links[0][1].no_handshakes = s.links[1][0].no_handshakes = true;
	talk(&s, SECONDS(178), SECONDS(1));
	data = s.nodes[0].seen.data;
	assert_in_range(data, 170, 200);
	assert_in_range(s.nodes[1].seen.delivered, 170, 200);
	sim_run(&s, SECONDS(2));
	talk(&s, SECONDS(5), SECONDS(1));
	assert_int_equal(s.nodes[0].seen.data, data);
	assert_true(sim_peer(&s, 0, 1).waiting >= 5);
	/* When handshakes get through again all that waits is sent. */
	s.links[0][1].no_handshakes = s.links[1][0].no_handshakes = false;
	sim_run(&s, SECONDS(10));
	assert_int_equal(sim_peer(&s, 0, 1).waiting, 0);
	assert_true(s.nodes[0].seen.data >= data + 5);
	sim_done(&s);
}

/* A datagram sealed in time that arrives after 180 s is not opened. */
static void late_packets_are_rejected(void **state)
{
	struct sim s;
	uint64_t delivered;

	(void)state;
	pair(&s, 7);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	delivered = s.nodes[1].seen.delivered;
	s.links[0][1].delay_us = SECONDS(181);
	sim_send(&s, 0, 1, 2, 100);
	sim_run(&s, SECONDS(182));
	assert_int_equal(s.nodes[1].seen.delivered, delivered);
	assert_true(sim_drops(&s, 1, DROP_KEY_EXPIRED) >= 1);
	sim_done(&s);
}

/* All keys are wiped 540 s after the last session was made. */
static void keys_are_wiped_after_540_seconds(void **state)
{
	struct sim s;
	struct peer *p;

	(void)state;
	pair(&s, 8);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	p = node_find(s.nodes[0].node, s.nodes[1].public_key);
	s.links[0][1].cut = s.links[1][0].cut = true;
	sim_run(&s, SECONDS(535));
	assert_non_null(p->data.session.current);
	sim_run(&s, SECONDS(6));
	assert_null(p->data.session.current);
	assert_null(p->data.session.previous);
	assert_null(p->data.session.next);
	assert_int_equal(s.nodes[0].node->lanes[0].indices.count, 0);
	assert_true(crypto_is_zero(p->handshake.chaining_key, KEY_LEN));
	assert_true(crypto_is_zero(p->handshake.ephemeral_private, KEY_LEN));
	sim_done(&s);
}

/* Data one way: the receiver, with nothing to say, sends a keepalive 10 s after the first packet. */
static void passive_keepalive_after_10_seconds(void **state)
{
	struct sim s;
	uint64_t before;

	(void)state;
	pair(&s, 9);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(9));
	before = s.nodes[1].seen.keepalives;
	assert_int_equal(before, 0);
	sim_run(&s, SECONDS(2));
	assert_int_equal(s.nodes[1].seen.keepalives, 1);
	/* And then nothing: silence in both directions is no reason for anything. */
	sim_run(&s, SECONDS(100));
	assert_int_equal(s.nodes[1].seen.keepalives, 1);
	assert_int_equal(s.nodes[0].seen.initiations, 1);
	sim_done(&s);
}

/* Sent, and nothing back for 15 s: a new handshake is tried. */
static void silence_begins_a_handshake(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 10);
	talk(&s, SECONDS(1), MS(100));
	sim_run(&s, SECONDS(30));
	s.links[1][0].cut = true;
	s.nodes[0].seen.initiations = 0;
	sim_send(&s, 0, 1, 99, 100);
	sim_run(&s, MS(14900));
	assert_int_equal(s.nodes[0].seen.initiations, 0);
	sim_run(&s, MS(600));
	assert_int_equal(s.nodes[0].seen.initiations, 1);
	sim_done(&s);
}

/* PersistentKeepalive keeps to its interval, opens the session by itself, and is reset by traffic. */
static void persistent_keepalive(void **state)
{
	struct sim s;

	(void)state;
	sim_init(&s, 11);
	s.flow_sessions = 0;
	sim_add_node(&s);
	sim_add_node(&s);
	sim_add_peer(&s, 1, 0, true, NULL, 0);
	sim_add_peer(&s, 0, 1, true, NULL, 25);
	sim_set_link(&s, 0, 1, &WAN);
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[0].seen.initiations, 1);
	assert_true(sim_peer(&s, 0, 1).has_session);
	s.nodes[0].seen.keepalives = 0;
	sim_run(&s, SECONDS(100));
	assert_int_equal(s.nodes[0].seen.keepalives, 4);
	sim_run(&s, SECONDS(3600));
	assert_true(sim_peer(&s, 0, 1).has_session);	/* renewed by keepalives alone */
	sim_done(&s);
}

/* Packets seen by a receiver, to tell duplicates. */
struct tally {
	uint8_t seen[2][20000];
	uint64_t doubles;
};

static void count_packet(struct sim *s, size_t node, const uint8_t *packet, size_t len)
{
	struct tally *t = s->ctx;
	uint64_t tag = sim_tag(packet, len);

	if (tag >= sizeof(t->seen[0]))
		return;
	if (t->seen[node][tag]++)
		t->doubles++;
}

/* Bad links, many seeds: nothing is delivered twice, and after the links heal everything gets through. */
static void survives_bad_links(void **state)
{
	static struct tally tally;
	uint64_t handshakes = 0, replayed = 0;

	(void)state;
	for (uint64_t seed = 100; seed < 160; seed++) {
		struct sim s;
		uint64_t before;
		struct sim_link bad = { .delay_us = 20000, .jitter_us = 80000, .loss = 300, .duplicate = 200 };

		memset(&tally, 0, sizeof(tally));
		pair(&s, seed);
		s.ctx = &tally;
		s.on_packet = count_packet;
		sim_set_link(&s, 0, 1, &bad);
		for (uint64_t i = 1; i < 3000; i++) {
			sim_send(&s, i % 2, 1 - i % 2, i, 60 + i % 900);
			sim_run(&s, MS(137));
		}
		if (tally.doubles)
			print_message("seed %llu\n", (unsigned long long)seed);
		assert_int_equal(tally.doubles, 0);
		/* Healed: within 20 s both directions are whole. */
		sim_set_link(&s, 0, 1, &WAN);
		sim_send(&s, 0, 1, 19999, 100);
		sim_send(&s, 1, 0, 19999, 100);
		sim_run(&s, SECONDS(20));
		before = s.nodes[0].seen.delivered + s.nodes[1].seen.delivered;
		for (uint64_t i = 0; i < 50; i++) {
			sim_send(&s, 0, 1, 10000 + i, 100);
			sim_send(&s, 1, 0, 10000 + i, 100);
			sim_run(&s, MS(50));
		}
		sim_run(&s, SECONDS(1));
		if (s.nodes[0].seen.delivered + s.nodes[1].seen.delivered != before + 100)
			print_message("seed %llu\n", (unsigned long long)seed);
		assert_int_equal(s.nodes[0].seen.delivered + s.nodes[1].seen.delivered, before + 100);
		handshakes += s.nodes[0].seen.initiations + s.nodes[1].seen.initiations;
		replayed += sim_drops(&s, 0, DROP_REPLAYED) + sim_drops(&s, 1, DROP_REPLAYED);
		sim_done(&s);
	}
	/* The links must have bitten, or this test shows nothing. */
	assert_true(handshakes > 60 * 4);
	assert_true(replayed > 60 * 100);
}

/* Both begin at the same moment, again and again: one session is left and works. */
static void crossing_handshakes(void **state)
{
	(void)state;
	for (uint64_t seed = 200; seed < 260; seed++) {
		struct sim s;

		pair(&s, seed);
		sim_send(&s, 0, 1, 1, 100);
		sim_run(&s, (int64_t)(seed - 200) * MS(1));
		sim_send(&s, 1, 0, 1, 100);
		/* One of them stays the initiator, so nobody has to wait for a retry. */
		sim_run(&s, SECONDS(1));
		assert_int_equal(s.nodes[0].seen.delivered, 1);
		assert_int_equal(s.nodes[1].seen.delivered, 1);
		sim_done(&s);
	}
}

/* A plain node that changes its address is followed at its first authenticated packet, and only at an authentic one. */
static void roaming(void **state)
{
	struct sim s;
	struct endpoint old, moved;
	static const uint8_t junk[64] = { WG_DATA };

	(void)state;
	sim_init(&s, 12);
	s.flow_sessions = 0;
	sim_add_node(&s);
	sim_add_node(&s);
	sim_connect(&s, 0, 1);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	old = s.nodes[0].endpoint;
	moved = (struct endpoint){ .addr = { IP_V6, { 0x20, 1, 0xd, 0xb8, [15] = 9 } }, .port = 4242 };
	sim_inject(&s, 1, &moved, junk, sizeof(junk));
	sim_run(&s, MS(100));
	assert_true(endpoint_equal(&node_find(s.nodes[1].node, s.nodes[0].public_key)->data.links[0].path.remote, &old));
	s.nodes[0].endpoint = moved;
	sim_send(&s, 0, 1, 500, 100);
	sim_run(&s, MS(100));
	assert_true(endpoint_equal(&node_find(s.nodes[1].node, s.nodes[0].public_key)->data.links[0].path.remote, &moved));
	s.nodes[0].seen.delivered = 0;
	sim_send(&s, 1, 0, 501, 100);
	sim_run(&s, MS(100));
	assert_int_equal(s.nodes[0].seen.delivered, 1);
	sim_done(&s);
}

/* A wrong preshared key: no session, and nothing of it leaks into one with the right key later. */
static void wrong_psk(void **state)
{
	static const uint8_t one[KEY_LEN] = { 1 }, two[KEY_LEN] = { 2 };
	struct sim s;

	(void)state;
	sim_init(&s, 13);
	s.flow_sessions = 0;
	sim_add_node(&s);
	sim_add_node(&s);
	sim_add_peer(&s, 0, 1, true, one, 0);
	sim_add_peer(&s, 1, 0, true, two, 0);
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(3));
	assert_int_equal(s.nodes[1].seen.delivered, 0);
	assert_true(sim_drops(&s, 0, DROP_HANDSHAKE_FORGED) >= 1);
	sim_add_peer(&s, 1, 0, true, one, 0);
	sim_run(&s, SECONDS(6));
	assert_int_equal(s.nodes[1].seen.delivered, 1);
	sim_done(&s);
}

static void keep_initiation(struct sim *s, size_t from, const struct sim_dgram *d)
{
	if (from == 0 && d->msg[0] == WG_INITIATION)
		memcpy(s->ctx, d->msg, d->len);
}

/* A recorded initiation, played again: refused, and the session it would have disturbed goes on. */
static void replayed_initiation(void **state)
{
	uint8_t recorded[WG_INITIATION_LEN] = { 0 };
	struct endpoint attacker = { .addr = { IP_V4, { 198, 51, 100, 1 } }, .port = 1 };
	struct sim s;

	(void)state;
	pair(&s, 14);
	s.ctx = recorded;
	s.on_dgram = keep_initiation;
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(recorded[0], WG_INITIATION);
	for (int i = 0; i < 10; i++) {
		sim_inject(&s, 1, &attacker, recorded, sizeof(recorded));
		sim_run(&s, SECONDS(1));
	}
	assert_int_equal(sim_drops(&s, 1, DROP_HANDSHAKE_REPLAYED), 10);
	assert_int_equal(s.nodes[1].seen.responses, 1);
	sim_send(&s, 1, 0, 2, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[0].seen.delivered, 1);
	sim_done(&s);
}

/* The clock is lost over a restart. With the saved stamp the peer takes us at once; without it would not. */
static void clock_lost_at_restart(void **state)
{
	(void)state;
	for (int with_stamp = 0; with_stamp <= 1; with_stamp++) {
		struct sim s;

		pair(&s, 15);
		sim_send(&s, 0, 1, 1, 100);
		sim_run(&s, SECONDS(1));
		talk(&s, SECONDS(5), SECONDS(1));
		sim_restart_node(&s, 0, with_stamp);
		s.nodes[0].wall_offset_ns = -s.wall_ns;	/* 1970 */
		sim_add_peer(&s, 0, 1, true, NULL, 0);
		s.nodes[1].seen.delivered = 0;
		sim_send(&s, 0, 1, 1, 100);
		/* Not longer: after 15 s of silence the other side would begin by itself. */
		sim_run(&s, SECONDS(9));
		assert_int_equal(s.nodes[1].seen.delivered, with_stamp);
		if (!with_stamp)
			assert_true(sim_drops(&s, 1, DROP_HANDSHAKE_REPLAYED) >= 1);
		sim_done(&s);
	}
}

/* The clock is set back by an hour while running: handshakes go on. */
static void clock_set_back_while_running(void **state)
{
	struct sim s;
	uint64_t sent;

	(void)state;
	pair(&s, 16);
	sent = talk(&s, SECONDS(10), SECONDS(1));
	s.nodes[0].wall_offset_ns = -3600 * NS_PER_S;
	s.nodes[1].wall_offset_ns = -7200 * NS_PER_S;
	sent += talk(&s, SECONDS(400), SECONDS(1));
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[0].seen.delivered, sent);
	assert_int_equal(s.nodes[1].seen.delivered, sent);
	sim_done(&s);
}

/*
 * A flood of initiations with a right MAC1 from many addresses: the node asks for cookies, an honest peer
 * answers with one and gets through, the flood costs no key exchange.
 */
static void cookies_under_load(void **state)
{
	uint8_t flood[WG_INITIATION_LEN];
	struct wg_initiation m;
	struct cookie_maker maker;
	struct sim s;
	int64_t start_us;

	(void)state;
	pair(&s, 17);
	cookie_maker_init(&maker, s.nodes[1].public_key);
	sim_send(&s, 0, 1, 1, 100);
	start_us = s.now_us;
	for (uint64_t i = 0; i < 8000; i++) {
		struct endpoint from = { .addr = { IP_V4, { 203, 0, (uint8_t)(i >> 8), (uint8_t)i } }, .port = 7 };

		memset(&m, (int)(i & 0xff), sizeof(m));
		m.sender = (uint32_t)i;
		wg_initiation_write(flood, &m);
		cookie_maker_sign(&maker, flood, sizeof(flood), s.now_us);
		/* Bursts of 400 at once, so that they pile up in front of the node. */
		{
			struct dgram d = { .data = flood, .len = sizeof(flood), .path.remote = from };

			lane_from_udp(node_lane(s.nodes[1].node, 0), (struct instant){ s.now_us, s.wall_ns }, &d, 1);
			lane_out_clear(node_lane(s.nodes[1].node, 0));
		}
		if (i % 400 == 399) {
			s.nodes[1].wake_us = s.now_us;
			sim_run(&s, MS(500));
		}
	}
	sim_run(&s, SECONDS(2));
	assert_true(s.nodes[1].seen.cookie_replies > 4000);
	assert_int_equal(s.nodes[1].seen.delivered, 1);
	assert_true(s.now_us - start_us < SECONDS(20));
	/* Without load there are no cookies. */
	sim_run(&s, SECONDS(5));
	s.nodes[1].seen.cookie_replies = 0;
	sim_restart_node(&s, 0, true);
	sim_add_peer(&s, 0, 1, true, NULL, 0);
	sim_send(&s, 0, 1, 2, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[1].seen.delivered, 2);
	assert_int_equal(s.nodes[1].seen.cookie_replies, 0);
	sim_done(&s);
}

/* Under load while the honest peer begins: its first initiation draws a cookie, its second carries it. */
static void honest_peer_answers_a_cookie(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 18);
	s.nodes[1].node->loaded_us = s.now_us;
	sim_send(&s, 0, 1, 1, 100);
	for (int i = 0; i < 60; i++) {
		s.nodes[1].node->loaded_us = s.now_us;	/* the load does not end */
		sim_run(&s, MS(100));
	}
	assert_int_equal(s.nodes[1].seen.cookie_replies, 1);
	assert_int_equal(s.nodes[0].seen.initiations, 2);
	assert_int_equal(s.nodes[1].seen.delivered, 1);
	sim_done(&s);
}

/* No endpoint known: refused with an ICMP error; learned when the other side speaks. */
static void endpoint_is_learned(void **state)
{
	struct sim s;

	(void)state;
	sim_init(&s, 19);
	s.flow_sessions = 0;
	sim_add_node(&s);
	sim_add_node(&s);
	sim_add_peer(&s, 0, 1, false, NULL, 0);
	sim_add_peer(&s, 1, 0, true, NULL, 0);
	sim_send(&s, 0, 1, 1, 100);
	assert_int_equal(sim_drops(&s, 0, DROP_NO_ENDPOINT), 1);
	assert_int_equal(s.nodes[0].seen.refused, 1);
	assert_int_equal(s.nodes[0].seen.initiations, 0);
	sim_send(&s, 1, 0, 2, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[0].seen.delivered, 1);
	sim_send(&s, 0, 1, 3, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[1].seen.delivered, 1);
	sim_done(&s);
}

/* The other side restarts and has lost its keys: within seconds the session is made anew. */
static void peer_restarts(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 20);
	talk(&s, SECONDS(5), SECONDS(1));
	sim_restart_node(&s, 1, true);
	sim_add_peer(&s, 1, 0, true, NULL, 0);
	s.nodes[1].seen.delivered = 0;
	for (uint64_t i = 0; i < 30; i++) {
		sim_send(&s, 0, 1, i + 1, 100);
		sim_run(&s, SECONDS(1));
	}
	assert_true(s.nodes[1].seen.delivered >= 10);	/* 15 s of silence, then a handshake */
	sim_done(&s);
}

/* A full mesh of many nodes with bad links settles and stays. */
static void mesh_of_nodes(void **state)
{
	enum { N = 12 };
	struct sim_link link = { .delay_us = 10000, .jitter_us = 30000, .loss = 100, .duplicate = 50 };
	struct sim s;

	(void)state;
	sim_init(&s, 21);
	for (size_t i = 0; i < N; i++)
		sim_add_node(&s);
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < i; j++) {
			sim_connect(&s, i, j);
			sim_set_link(&s, i, j, &link);
		}
	for (uint64_t round = 1; round < 300; round++) {
		for (size_t i = 0; i < N; i++)
			sim_send(&s, i, (i + round) % N == i ? (i + 1) % N : (i + round) % N, round, 200);
		sim_run(&s, SECONDS(1));
	}
	for (size_t i = 0; i < N; i++) {
		assert_in_range(s.nodes[i].seen.delivered, 200, 299 * 2);
		assert_int_equal(sim_drops(&s, i, DROP_SOURCE), 0);
		assert_int_equal(sim_drops(&s, i, DROP_FORGED), 0);
	}
	sim_done(&s);
}

/*
 * Nodes of several lanes, with flows that come in on any of them and datagrams on the wrong one: all arrive, none twice, as with one. What
 * meets the wrong lane is handed over once.
 */
static void several_lanes(void **state)
{
	static struct tally tally;
	static const struct {
		unsigned int lanes;
		uint8_t flow_sessions;
	} runs[] = { { 2, 0 }, { 4, 0 }, { 8, 0 }, { 2, 32 }, { 4, 32 }, { 8, 126 } };

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		enum { N = 9 };
		struct sim s;

		memset(&tally, 0, sizeof(tally));
		sim_init(&s, 300 + i);
		s.lanes = runs[i].lanes;
		s.flow_sessions = runs[i].flow_sessions;
		for (size_t j = 0; j < N; j++)
			sim_add_node(&s);
		for (size_t j = 1; j < N; j++) {
			sim_connect(&s, 0, j);
			sim_set_link(&s, 0, j, &WAN);
			sim_send(&s, 0, j, 1, 100);
		}
		sim_run(&s, SECONDS(8));
		s.nodes[0].seen.delivered = 0;
		for (uint64_t round = 1; round <= 200; round++) {
			for (size_t j = 1; j < N; j++) {
				sim_send_flow(&s, 0, j, (unsigned int)round, round, 200);
				sim_send_flow(&s, j, 0, (unsigned int)round, round * N + j, 200);
			}
			sim_run(&s, SECONDS(2));
		}
		assert_int_equal(s.nodes[0].seen.delivered, 200 * (N - 1));
		for (size_t j = 1; j < N; j++)
			assert_int_equal(s.nodes[j].seen.delivered, 200 + 1);
		/* With sub-sessions hardly anything has to be. */
		assert_true(s.handed_over > (s.flow_sessions ? 0 : 500));
		assert_true(s.strays > 500);
		sim_done(&s);
	}
}

/* Equal seeds, equal bytes on the wire at equal times; another seed, others. */
static void runs_are_repeatable(void **state)
{
	uint64_t trace[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sim_link bad = { .delay_us = 20000, .jitter_us = 50000, .loss = 200, .duplicate = 100 };
		struct sim s;

		pair(&s, i < 2 ? 77 : 78);
		sim_set_link(&s, 0, 1, &bad);
		talk(&s, SECONDS(300), MS(500));
		trace[i] = s.trace;
		sim_done(&s);
	}
	assert_true(trace[0] == trace[1]);
	assert_true(trace[0] != trace[2]);
}

/* An interface that goes down forgets its keys and is silent; up again it works again. */
static void interface_down_and_up(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 22);
	talk(&s, SECONDS(5), SECONDS(1));
	node_set_up(s.nodes[0].node, false, (struct instant){ s.now_us, s.wall_ns });
	assert_false(sim_peer(&s, 0, 1).has_session);
	s.nodes[0].last_sent_us = 0;
	sim_run(&s, SECONDS(600));
	assert_int_equal(s.nodes[0].last_sent_us, 0);
	node_set_up(s.nodes[0].node, true, (struct instant){ s.now_us, s.wall_ns });
	s.nodes[1].seen.delivered = 0;
	sim_send(&s, 0, 1, 1, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(s.nodes[1].seen.delivered, 1);
	sim_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_packet_arrives),
		cmocka_unit_test(responder_waits_for_confirmation),
		cmocka_unit_test(retries_for_90_seconds),
		cmocka_unit_test(crossing_initiations_part),
		cmocka_unit_test(rekeys_at_120_seconds),
		cmocka_unit_test(receiver_rekeys_at_165_seconds),
		cmocka_unit_test(rejects_after_180_seconds),
		cmocka_unit_test(late_packets_are_rejected),
		cmocka_unit_test(keys_are_wiped_after_540_seconds),
		cmocka_unit_test(passive_keepalive_after_10_seconds),
		cmocka_unit_test(silence_begins_a_handshake),
		cmocka_unit_test(persistent_keepalive),
		cmocka_unit_test(survives_bad_links),
		cmocka_unit_test(crossing_handshakes),
		cmocka_unit_test(roaming),
		cmocka_unit_test(wrong_psk),
		cmocka_unit_test(replayed_initiation),
		cmocka_unit_test(clock_lost_at_restart),
		cmocka_unit_test(clock_set_back_while_running),
		cmocka_unit_test(cookies_under_load),
		cmocka_unit_test(honest_peer_answers_a_cookie),
		cmocka_unit_test(endpoint_is_learned),
		cmocka_unit_test(peer_restarts),
		cmocka_unit_test(mesh_of_nodes),
		cmocka_unit_test(several_lanes),
		cmocka_unit_test(runs_are_repeatable),
		cmocka_unit_test(interface_down_and_up),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
