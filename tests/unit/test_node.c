/* SPDX-License-Identifier: MIT */
/*
 * The control plane of one node or two, turn by turn: who may send a handshake message when, and what a turn makes of what the
 * lane saw. Life of several nodes over minutes is the simulator's (tests/sim).
 */
#include "ends.h"

static void one_handshake(void **state)
{
	struct peer_info info;

	(void)state;
	assert_int_equal(node_deadline(a.node), NEVER_US);	/* nothing to say: silence */
	send_packet(&a);
	assert_int_equal(node_deadline(a.node), 0);
	turn(&a);
	assert_int_equal(a.initiations, 1);
	assert_int_equal(node_deadline(a.node) > now.mono_us, true);
	carry(&a, &b);
	turn(&b);
	assert_int_equal(b.responses, 1);
	carry(&b, &a);
	turn(&a);
	/* The packet that waited goes first; no keepalive is needed. */
	assert_int_equal(a.data, 1);
	assert_int_equal(a.keepalives, 0);
	assert_true(node_peer(b.node, 0, now, &info));
	assert_false(info.has_session);
	assert_int_equal(info.handshake_wall_ns, 0);
	wait_us(1000);
	carry(&a, &b);
	turn(&b);
	assert_true(node_peer(b.node, 0, now, &info));
	assert_true(info.has_session);
	assert_int_equal(info.handshake_wall_ns, now.wall_ns);
	assert_int_equal(info.rx_bytes, 148 + 64);
	assert_int_equal(info.tx_bytes, 92);
	assert_true(node_peer(a.node, 0, now, &info));
	assert_int_equal(info.handshake_wall_ns, now.wall_ns - 1000000);
	assert_int_equal(info.tx_bytes, 148 + 64);
	assert_int_equal(a.node->handshakes_done, 1);
	assert_int_equal(b.node->handshakes_done, 1);
	assert_int_equal(a.node->handshakes.count, 0);
	assert_int_equal(b.node->handshakes.count, 0);
}

/* doc/protocol.md: bits 0-6 sub-session 0, bits 8-10 home lane 0, the rest random; never zero. */
static void indices_keep_their_reserved_bits(void **state)
{
	uint32_t any = 0, all = UINT32_MAX;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint32_t index;

		peer_initiate(a.node, peer_of(&a), now);
		index = peer_of(&a)->handshake_index;
		assert_int_not_equal(index, 0);
		any |= index;
		all &= index;
		node_out_clear(a.node);
		wait_us(5 * US_PER_S);
	}
	assert_int_equal(any, UINT32_C(0xfffff880));
	assert_int_equal(all, 0);
	assert_int_equal(a.node->handshakes.count, 1);		/* the last one's; the others are forgotten */
}

/*
 * Retries. Nobody answers.
 */

/* Let a run alone for 'us', a packet every 'each_us' (0: none); calls turn at every deadline. */
static void run_alone(int64_t us, int64_t each_us)
{
	int64_t end_us = now.mono_us + us, packet_us = each_us ? now.mono_us + each_us : NEVER_US;

	while (now.mono_us < end_us) {
		int64_t next_us = node_deadline(a.node);

		if (packet_us < next_us)
			next_us = packet_us;
		if (next_us > end_us)
			next_us = end_us;
		if (next_us > now.mono_us)
			wait_us(next_us - now.mono_us);
		if (now.mono_us == packet_us) {
			send_packet(&a);
			packet_us += each_us;
		}
		turns(&a);
	}
}

static void retries_end(void **state)
{
	(void)state;
	send_packet(&a);
	run_alone(94 * US_PER_S, 0);
	assert_int_equal(peer_of(&a)->data.links->tin.items, 1);
	run_alone(10 * US_PER_S, 0);
	assert_int_equal(a.initiations, 19);
	assert_int_equal(peer_of(&a)->data.links->tin.items, 0);
	assert_int_equal(drops(&a, DROP_NO_SESSION), 1);
	run_alone(400 * US_PER_S, 0);
	assert_int_equal(a.initiations, 19);
}

/* "If a packet is explicitly queued up to be sent, then this timer is reset" (wireguard.com/protocol). */
static void retries_do_not_end_while_packets_come(void **state)
{
	(void)state;
	send_packet(&a);
	/* A packet every 11.7 s meets each phase of the five seconds between two initiations. */
	run_alone(400 * US_PER_S, 11700 * US_PER_MS);
	assert_in_range(a.initiations, 70, 81);
	assert_int_equal(drops(&a, DROP_NO_SESSION), 0);
	run_alone(120 * US_PER_S, 0);
	assert_int_equal(peer_of(&a)->data.links->tin.items, 0);
	assert_int_equal(drops(&a, DROP_NO_SESSION), 1 + 34);
}

/* A peer that is to be kept alive is tried for ever, however short the interval. */
static void persistent_keepalive_never_gives_up(void **state)
{
	static const uint16_t intervals[] = { 1, 4, 5, 6, 25, 300 };

	(void)state;
	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		size_t before;

		teardown(NULL);
		setup(NULL);
		befriend(&a, &b, intervals[i]);
		run_alone(1000 * US_PER_S, 0);
		before = a.initiations;
		assert_true(before >= 30);
		run_alone(1000 * US_PER_S, 0);
		assert_true(a.initiations >= before + 30);
	}
}

/*
 * Timers by what came last.
 */

static void answered_in_one_turn(void **state)
{
	(void)state;
	shake_hands(&a, &b);
	wait_us(20 * US_PER_S);
	turns(&a);
	turns(&b);
	peer_of(&a)->rekey.silence_us = peer_of(&a)->rekey.keepalive_us = NEVER_US;
	/* a sends, the answer is there before a's turn. */
	send_packet(&a);
	carry(&a, &b);
	send_packet(&b);
	carry(&b, &a);
	turn(&a);
	assert_int_equal(peer_of(&a)->rekey.silence_us, NEVER_US);	/* it was answered */
	assert_int_equal(peer_of(&a)->rekey.keepalive_us, now.mono_us + 10 * US_PER_S);	/* and owes an answer */
	/* b received, then sent: it owes nothing, and waits. */
	turn(&b);
	assert_int_equal(peer_of(&b)->rekey.keepalive_us, NEVER_US);
	assert_in_range(peer_of(&b)->rekey.silence_us, now.mono_us + 15 * US_PER_S, now.mono_us + 15333 * US_PER_MS);
}

/*
 * Up and down.
 */

static void down_forgets(void **state)
{
	(void)state;
	shake_hands(&a, &b);
	send_packet(&a);
	lane_want_keepalive(&a.node->lanes[0], peer_link(peer_of(&a)));
	node_set_up(a.node, false, now);
	assert_int_equal(a.node->lanes[0].indices.count, 0);
	turns(&a);
	assert_int_equal(node_deadline(a.node), NEVER_US);
	/* Up again, and nothing to say: not a word, whatever went on before. */
	node_set_up(a.node, true, now);
	a.initiations = 0;
	turns(&a);
	assert_int_equal(node_deadline(a.node), NEVER_US);
	assert_int_equal(a.initiations + a.keepalives, 0);
	/* The next packet begins a handshake at once. */
	send_packet(&a);
	turns(&a);
	assert_int_equal(a.initiations, 1);
}

static void down_is_silent(void **state)
{
	(void)state;
	node_set_up(b.node, false, now);
	send_packet(&a);
	turn(&a);
	carry(&a, &b);
	turns(&b);
	assert_int_equal(b.responses, 0);
	assert_int_equal(b.node->lanes[0].handshake_count, 0);
	assert_int_equal(node_deadline(b.node), NEVER_US);
}

/*
 * Under load.
 */

static void a_turn_is_bounded(void **state)
{
	(void)state;
	flood(40);
	turn(&b);
	assert_int_equal(b.node->lanes[0].handshake_count, 40 - NODE_HANDSHAKES_A_TURN);
	assert_int_equal(node_deadline(b.node), 0);	/* the rest comes at once, after a look at the sockets */
	turns(&b);
	assert_int_equal(b.node->lanes[0].handshake_count, 0);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_FORGED), 40);
	assert_int_equal(b.cookies, 0);
}

static void cookies_under_load(void **state)
{
	(void)state;
	flood(NODE_LOADED_QUEUE);
	turns(&b);
	assert_int_equal(b.cookies, NODE_LOADED_QUEUE);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_FORGED), 0);	/* not one X25519 */
	/* For a second after, too: an honest peer gets a cookie, and uses it for its next attempt. */
	wait_us(US_PER_S - 1);
	send_packet(&a);
	turn(&a);
	carry(&a, &b);
	turn(&b);
	assert_int_equal(b.responses, 0);
	assert_int_equal(b.count, 1);
	assert_int_equal(b.sent[0][0], WG_COOKIE_REPLY);
	carry(&b, &a);
	turns(&a);
	assert_int_equal(drops(&a, DROP_COOKIE_BAD), 0);
	wait_us(5400 * US_PER_MS);
	flood(NODE_LOADED_QUEUE);
	turn(&a);
	assert_int_equal(a.initiations, 2);
	carry(&a, &b);
	turns(&b);
	assert_int_equal(b.responses, 1);
	/* Without load mac2 is not asked for. */
	wait_us(US_PER_S);
	flood(1);
	turns(&b);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_FORGED), 1);
}

/* A cookie does not buy more than the rate. */
static void rate_limit_under_load(void **state)
{
	uint8_t msg[WG_INITIATION_LEN] = { WG_INITIATION };
	struct wg_cookie_reply reply;
	struct cookie_maker maker;

	(void)state;
	cookie_maker_init(&maker, b.public_key);
	flood(NODE_LOADED_QUEUE - 1);
	cookie_maker_sign(&maker, msg, sizeof(msg), now.mono_us);
	receive(&b, &a, msg, sizeof(msg));
	while (b.node->lanes[0].handshake_count)
		turn(&b);
	wg_cookie_reply_read(&reply, b.sent[b.count - 1]);
	assert_true(cookie_reply_consume(&maker, &reply, now.mono_us));
	for (int i = 0; i < 20; i++) {
		cookie_maker_sign(&maker, msg, sizeof(msg), now.mono_us);
		receive(&b, &a, msg, sizeof(msg));
	}
	turns(&b);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_FORGED), RATELIMIT_BURST);
	assert_int_equal(drops(&b, DROP_RATE_LIMITED), 20 - RATELIMIT_BURST);
}

/* A response under load gets a cookie as well, and the next one carries it. */
static void cookie_for_a_response(void **state)
{
	uint8_t msg[WG_RESPONSE_LEN] = { WG_RESPONSE };
	struct wg_cookie_reply reply = { .receiver = 0 };
	struct cookie_checker checker = { 0 };
	struct rng rng = stream_rng(&a.random);

	(void)state;
	send_packet(&a);
	turn(&a);
	carry(&a, &b);
	turn(&b);
	assert_int_equal(b.responses, 1);
	/* a is loaded and asks b for more. */
	memcpy(msg, b.sent[0], sizeof(msg));
	cookie_checker_set_key(&checker, a.public_key);
	cookie_reply_make(&checker, &reply, msg, sizeof(msg), &b.here, now.mono_us, &rng);
	wg_cookie_reply_write(msg, &reply);
	receive(&b, &a, msg, WG_COOKIE_REPLY_LEN);
	turns(&b);
	assert_int_equal(drops(&b, DROP_COOKIE_BAD), 0);
	wait_us(5400 * US_PER_MS);
	turn(&a);
	carry(&a, &b);
	turn(&b);
	assert_int_equal(b.responses, 2);
	assert_int_equal(cookie_check(&checker, b.sent[0], WG_RESPONSE_LEN, &b.here, true, now.mono_us, &rng), COOKIE_VALID);
	/* To an index nobody has it answers nothing. */
	put_le32(msg + 4, 0x12345);
	receive(&b, &a, msg, WG_COOKIE_REPLY_LEN);
	turns(&b);
	assert_int_equal(drops(&b, DROP_COOKIE_BAD), 1);
}

/* More to say than fits between two flushes: the rest is said after them, and nothing is lost. */
static void more_initiations_than_fit(void **state)
{
	enum { PEERS = 3 * NODE_OUT_MAX };
	struct rng rng = stream_rng(&a.random);
	struct change c = { .bits = CHANGE_REPLACE_PEERS };

	(void)state;
	for (size_t i = 0; i < PEERS; i++) {
		struct change_peer *p = change_add_peer(&c);
		uint8_t key[KEY_LEN];

		key_generate(&rng, key);
		key_public(p->public_key, key);
		p->bits = CHANGE_PEER_KEEPALIVE;
		assert_true(change_add_address(p, &b.here));
		p->keepalive_s = 25;
	}
	assert_int_equal(node_apply(a.node, &c, now), 0);
	change_done(&c);
	for (size_t round = 1; round <= 5; round++) {
		for (int i = 0; i < 10; i++) {
			struct dgram *out;

			node_turn(a.node, now);
			assert_true(node_out(a.node, &out) <= NODE_OUT_MAX);
			a.count = 0;
			turn(&a);
		}
		assert_int_equal(a.initiations, round * PEERS);
		assert_true(node_deadline(a.node) > now.mono_us);
		wait_us(5400 * US_PER_MS);
	}
}

/* What the driver says of every way of a's to b. */
static void set_loop(bool loops)
{
	uint8_t key[KEY_LEN];
	struct path_addr path;

	node_uncheck_endpoints(a.node);
	while (node_next_path(a.node, key, &path))
		node_set_way(a.node, key, &path, loops ? PATH_LOOPS : PATH_OPEN, true, 0, now);
}

static void a_loop_ends(void **state)
{
	(void)state;
	befriend(&a, &b, 25);
	turns(&a);
	assert_int_equal(a.initiations, 1);
	set_loop(true);
	wait_us(6 * US_PER_S);
	turns(&a);
	assert_int_equal(a.initiations, 1);		/* nothing goes there, but it is tried */
	assert_int_equal(drops(&a, DROP_ENDPOINT_LOOP), 1);
	wait_us(5 * US_PER_S + REKEY_JITTER_MAX_MS * US_PER_MS);
	set_loop(false);
	turns(&a);
	assert_int_equal(a.initiations, 2);		/* at once */
	/* While the interface is down nothing is wanted. */
	set_loop(true);
	node_set_up(a.node, false, now);
	set_loop(false);
	assert_int_equal(node_deadline(a.node), NEVER_US);
}

/*
 * Handshake messages that lead nowhere.
 */

static void messages_for_nobody(void **state)
{
	struct end stranger;
	uint8_t msg[WG_INITIATION_LEN];

	(void)state;
	end_init(&stranger, 3, "192.0.2.3:3");
	befriend(&stranger, &b, 0);
	node_set_up(stranger.node, true, now);
	send_packet(&stranger);
	turn(&stranger);
	carry(&stranger, &b);
	turns(&b);
	assert_int_equal(drops(&b, DROP_UNKNOWN_PEER), 1);
	assert_int_equal(b.responses, 0);
	node_free(stranger.node);

	/* The same initiation twice: the second is a replay, and answered by nothing. */
	send_packet(&a);
	turn(&a);
	memcpy(msg, a.sent[0], sizeof(msg));
	carry(&a, &b);
	turn(&b);
	assert_int_equal(b.responses, 1);
	wait_us(US_PER_S);
	receive(&b, &a, msg, sizeof(msg));
	/* A response to nothing. */
	receive(&b, &a, b.sent[0], WG_RESPONSE_LEN);
	carry(&b, &a);
	turns(&b);
	assert_int_equal(b.responses, 1);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_REPLAYED), 1);
	assert_int_equal(drops(&b, DROP_BAD_MAC1), 1);		/* it was a's to answer */
	turns(&a);
	assert_int_equal(drops(&a, DROP_HANDSHAKE_UNEXPECTED), 0);
	assert_non_null(peer_of(&a)->data.session.current);
}

/* Begin a handshake without regard to when the last was. Returns its message. */
static const uint8_t *initiation_now(void)
{
	struct dgram *out;

	rekey_forget_sent(&peer_of(&a)->rekey);
	node_out_clear(a.node);
	peer_initiate(a.node, peer_of(&a), now);
	assert_int_equal(node_out(a.node, &out), 1);
	return out[0].data;
}

static void too_many_from_one_peer(void **state)
{
	(void)state;
	receive(&b, &a, initiation_now(), WG_INITIATION_LEN);
	turn(&b);
	wait_us(19 * US_PER_MS);
	receive(&b, &a, initiation_now(), WG_INITIATION_LEN);
	turn(&b);
	assert_int_equal(b.responses, 1);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_FLOODED), 1);
	wait_us(20 * US_PER_MS);
	receive(&b, &a, initiation_now(), WG_INITIATION_LEN);
	turn(&b);
	assert_int_equal(b.responses, 2);
}

static void responses_nobody_waits_for(void **state)
{
	uint8_t msg[WG_RESPONSE_LEN] = { WG_RESPONSE };
	struct cookie_maker maker;

	(void)state;
	cookie_maker_init(&maker, a.public_key);
	put_le32(msg + 8, 0x12345);
	cookie_maker_sign(&maker, msg, sizeof(msg), now.mono_us);
	receive(&a, &b, msg, sizeof(msg));
	turns(&a);
	assert_int_equal(drops(&a, DROP_HANDSHAKE_UNEXPECTED), 1);
}

static void the_stamp_is_saved_and_put_back(void **state)
{
	uint8_t stamp[12], later[12];

	(void)state;
	node_effects(a.node);
	turn(&a);
	assert_int_equal(node_effects(a.node) & NODE_EFFECT_TIMESTAMP, 0);
	send_packet(&a);
	turn(&a);
	assert_int_equal(node_effects(a.node) & NODE_EFFECT_TIMESTAMP, NODE_EFFECT_TIMESTAMP);
	node_timestamp(a.node, stamp);
	/* Saved ahead: silence until it is passed. */
	memcpy(later, stamp, sizeof(later));
	put_be64(later, get_be64(later) + 60);
	node_timestamp_saved(a.node, later);
	wait_us(30 * US_PER_S);
	turn(&a);
	assert_int_equal(node_effects(a.node) & NODE_EFFECT_TIMESTAMP, 0);
	wait_us(31 * US_PER_S);
	turns(&a);
	turns(&a);
	assert_int_equal(node_effects(a.node) & NODE_EFFECT_TIMESTAMP, NODE_EFFECT_TIMESTAMP);
	/* A clock that was lost: what was put back is passed all the same. */
	teardown(NULL);
	setup(NULL);
	now.wall_ns = 0;
	node_set_timestamp(a.node, later);
	send_packet(&a);
	turn(&a);
	node_timestamp(a.node, stamp);
	assert_true(memcmp(stamp, later, sizeof(stamp)) > 0);
}

/*
 * Two meshds.
 */

static int setup_meshds(void **state)
{
	plain = false;
	return setup(state);
}

static int teardown_meshds(void **state)
{
	plain = true;
	return teardown(state);
}

/* What a driver does for a node that wants more sockets. */
static void give_ports(struct end *e)
{
	uint16_t numbers[SUB_SESSIONS];
	unsigned int count = node_ports_wanted(e->node);

	if (!(node_effects(e->node) & NODE_EFFECT_PORTS))
		return;
	for (unsigned int i = 0; i < count; i++)
		numbers[i] = (uint16_t)(20000 + i);
	node_set_ports(e->node, numbers, count, now);
}

/* While they talk they find out about each other - the first offer's answer is lost, with the end of shake_hands() - and open sub-sessions. */
static void meshds_open_sub_sessions(void **state)
{
	struct peer_info info;

	(void)state;
	shake_hands(&a, &b);
	for (int i = 0; i < 200; i++) {
		turn(&a);
		give_ports(&a);
		send_packet(&a);
		carry(&a, &b);
		turn(&b);
		give_ports(&b);
		send_packet(&b);
		carry(&b, &a);
		wait_us(20 * US_PER_MS);
	}
	assert_true(node_peer(a.node, 0, now, &info));
	assert_true(info.mesh && info.sub_sessions == FLOW_SESSIONS_DEFAULT);
	assert_true(info.sub_usable >= SPREAD_SPARE);
	assert_true(node_peer(b.node, 0, now, &info));
	assert_true(info.mesh && info.sub_usable >= SPREAD_SPARE);
	assert_int_equal(peer_of(&a)->spread.opener + peer_of(&b)->spread.opener, 1);
	assert_int_equal(a.node->subs_lost + b.node->subs_lost, 0);
	/* Silence: in the end nobody says a word any more. */
	for (int i = 0; i < 200; i++) {
		turns(&a);
		turns(&b);
		carry(&a, &b);
		carry(&b, &a);
		wait_us(US_PER_S);
	}
	turns(&a);
	turns(&b);
	assert_int_equal(a.count + b.count, 0);
}

#define with_nodes(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_nodes(one_handshake),
		with_nodes(indices_keep_their_reserved_bits),
		with_nodes(retries_end),
		with_nodes(retries_do_not_end_while_packets_come),
		with_nodes(persistent_keepalive_never_gives_up),
		with_nodes(answered_in_one_turn),
		with_nodes(down_forgets),
		with_nodes(down_is_silent),
		with_nodes(a_turn_is_bounded),
		with_nodes(cookies_under_load),
		with_nodes(rate_limit_under_load),
		with_nodes(cookie_for_a_response),
		with_nodes(more_initiations_than_fit),
		with_nodes(a_loop_ends),
		with_nodes(messages_for_nobody),
		with_nodes(the_stamp_is_saved_and_put_back),
		cmocka_unit_test_setup_teardown(meshds_open_sub_sessions, setup_meshds, teardown_meshds),
		with_nodes(too_many_from_one_peer),
		with_nodes(responses_nobody_waits_for),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
