/* SPDX-License-Identifier: MIT */
/* A node of several lanes: where its peers live, what its indices say, whose handshakes are taken, and when it closes the gates. */
#include "ends.h"

static int setup_lanes(void **state)
{
	lane_count = 3;
	return setup(state);
}

static int teardown_lanes(void **state)
{
	receive_lane = 0;
	return teardown(state);
}

/* doc/protocol.md: bits 8 to 10 of an index are its home lane, and the lane keeps to peers by turns. */
static void peers_live_in_lanes(void **state)
{
	enum { PEERS = 7 };
	struct rng rng = stream_rng(&a.random);
	struct change c = { .bits = CHANGE_REPLACE_PEERS };

	(void)state;
	for (size_t i = 0; i < PEERS; i++) {
		struct change_peer *p = change_add_peer(&c);
		uint8_t key[KEY_LEN];

		key_generate(&rng, key);
		key_public(p->public_key, key);
		assert_true(change_add_address(p, &b.here));
	}
	assert_int_equal(node_apply(a.node, &c, now), 0);
	change_done(&c);
	for (size_t i = 0; i < PEERS; i++) {
		struct peer *p = a.node->peers[i];

		assert_int_equal(p->data.home, (a.node->peers[0]->data.home + i) % 3);
		for (int again = 0; again < 10; again++) {
			peer_initiate(a.node, p, now);
			assert_int_equal(wg_index_lane(p->handshake_index), p->data.home);
			assert_int_equal(p->handshake_index & WG_INDEX_SUB_SESSION, 0);
			node_out_clear(a.node);
			wait_us(5 * US_PER_S);
		}
	}
}

/* Whole handshakes, whichever lanes the messages come in by; a session is in its home's table. */
static void handshake_through_any_lane(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct lane *home;

		wait_us(200 * US_PER_S);
		receive_lane = i;
		shake_hands(&a, &b);
		home = &a.node->lanes[peer_of(&a)->data.home];
		assert_non_null(u32map_get(&home->indices, peer_of(&a)->data.session.current->local_index));
	}
}

/* Each lane's handshakes have their turn, and a turn has its bound over all of them. */
static void handshakes_of_all_lanes(void **state)
{
	size_t left = 0;

	(void)state;
	for (receive_lane = 0; receive_lane < 3; receive_lane++)
		flood(40);
	turn(&b);
	for (unsigned int i = 0; i < 3; i++) {
		size_t waiting = b.node->lanes[i].handshake_count;

		assert_in_range(waiting, 40 - NODE_HANDSHAKES_A_TURN / 3 - 1, 40 - NODE_HANDSHAKES_A_TURN / 3);
		left += waiting;
	}
	assert_int_equal(left, 120 - NODE_HANDSHAKES_A_TURN);
	assert_int_equal(node_deadline(b.node), 0);
	turns(&b);
	assert_int_equal(drops(&b, DROP_HANDSHAKE_FORGED), 120);
}

static struct gate_count {
	int closed, depth;
} gates[3];

static void gate_close(void *ctx)
{
	struct gate_count *g = ctx;

	assert_int_equal(g->depth++, 0);
	g->closed++;
}

static void gate_open(void *ctx)
{
	struct gate_count *g = ctx;

	assert_int_equal(--g->depth, 0);
}

static void assert_gates(int closed, int depth)
{
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gates[i].closed, closed);
		assert_int_equal(gates[i].depth, depth);
		assert_int_equal(a.node->lanes[i].gate_depth, 0);
	}
}

/* All gates closed at once, around whatever else closes them; a change of configuration is one such time, and one of the host's addresses. */
static void gates_of_all_lanes(void **state)
{
	const struct path_local local = { .addr = { IP_V4, { 192, 0, 2, 77 } }, .ifindex = 2 };

	(void)state;
	memset(gates, 0, sizeof(gates));
	for (int i = 0; i < 3; i++)
		a.node->lanes[i].gate = (struct lane_gate){ .close = gate_close, .open = gate_open, .ctx = &gates[i] };
	node_set_mtu(a.node, 1300);
	assert_gates(1, 0);
	node_close_lanes(a.node);
	node_set_mtu(a.node, 1400);
	for (int i = 0; i < 3; i++)
		assert_int_equal(gates[i].depth, 1);
	node_open_lanes(a.node);
	assert_gates(2, 0);
	befriend(&a, &b, 25);
	assert_true(gates[0].closed == 3 && gates[1].closed == 3 && gates[2].closed == 3);
	node_set_locals(a.node, &local, 1, now);
	assert_gates(4, 0);
	node_set_locals(a.node, &local, 0, now);
	assert_gates(5, 0);
	for (int i = 0; i < 3; i++)
		a.node->lanes[i].gate = (struct lane_gate){ .close = NULL };
}

/* A packet of a flow that had a sub-session waits in that one's lane when the keys have ended, and is not forgotten there. */
static void giving_up_in_every_lane(void **state)
{
	struct peer *p;
	unsigned int lane, number;

	(void)state;
	shake_hands(&a, &b);
	p = peer_of(&a);
	lane = (p->data.home + 1) % 3;
	number = lane ? lane : 3;
	assert_true(links_open_subs(a.node->lanes, 3, &p->data, 3));
	p->spread.subs = calloc(SUB_SESSIONS, sizeof(*p->spread.subs));
	assert_non_null(p->spread.subs);
	p->data.mesh = true;
	links_set_usable(a.node->lanes, 3, &p->data, number, true);
	wait_us(REJECT_AFTER_S * US_PER_S);
	send_packet_by(&a, lane);
	assert_int_equal(p->data.links[lane].tin.items, 1);
	for (int i = 0; i < 120; i++) {
		turns(&a);
		wait_us(US_PER_S);
	}
	assert_int_equal(p->data.links[lane].tin.items, 0);
	assert_int_equal(drops(&a, DROP_NO_SESSION), 1);
}

#define with_lanes(test) cmocka_unit_test_setup_teardown(test, setup_lanes, teardown_lanes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_lanes(peers_live_in_lanes),
		with_lanes(handshake_through_any_lane),
		with_lanes(handshakes_of_all_lanes),
		with_lanes(gates_of_all_lanes),
		with_lanes(giving_up_in_every_lane),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
