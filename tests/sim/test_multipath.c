/* SPDX-License-Identifier: MIT */
/*
 * Nodes with two uplinks each, in virtual time: first contact, deaths of paths and of their directions, addresses that go, what a change costs the
 * packets, and what Babel hears of it. Between node 0 and node 1 there are four ways; what is not said to be there is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/inside.h"
#include "arrivals.h"

static const struct sim_link fast = { .delay_us = 10000 }, slow = { .delay_us = 11000 }, dead = { .cut = true };

/* Datagrams that node 0 sent to each address of node 1, and of them data. */
static uint64_t sent_to[2];

/* And to addresses that are no node's. */
static uint64_t sent_astray;

static void look_out(struct sim *s, size_t from, const struct sim_dgram *d)
{
	sent_astray += from == 0 && d->to.addr.family == IP_V4 && d->to.addr.bytes[0] == 192 && d->to.addr.bytes[1] == 88;
	for (size_t k = 0; from == 0 && k < 2; k++) {
		struct endpoint there = sim_address(s, 1, k);

		sent_to[k] += ip_addr_equal(&d->to.addr, &there.addr);
	}
}

/* Nodes 0 and 1 with two addresses each, of which the first two and the second two see each other; each knows only the first of the other. */
static void two_uplinks(struct sim *s, uint64_t seed, unsigned int lanes)
{
	sim_init(s, seed);
	arrivals_watch(s);
	memset(sent_to, 0, sizeof(sent_to));
	s->lanes = lanes;
	s->on_dgram = look_out;
	for (size_t i = 0; i < 2; i++) {
		sim_add_node(s);
		sim_add_address(s, i);
	}
	sim_set_way(s, 0, 0, 1, 0, &fast);
	sim_set_way(s, 0, 1, 1, 1, &slow);
	sim_set_way(s, 0, 0, 1, 1, &dead);
	sim_set_way(s, 0, 1, 1, 0, &dead);
	sim_connect(s, 0, 1);
}

/* Both send a packet each 'every_us', for 'us'. */
static void talk(struct sim *s, int64_t every_us, int64_t us)
{
	static uint64_t tag;

	for (int64_t at = 0; at < us; at += every_us) {
		sim_send(s, 0, 1, ++tag, 200);
		sim_send(s, 1, 0, tag, 200);
		sim_run(s, every_us);
	}
}

static void again(void)
{
	memset(got, 0, sizeof(got));
	memset(sent_to, 0, sizeof(sent_to));
}

static unsigned int alive(struct sim *s, size_t a, size_t b)
{
	const struct path_set *paths = sim_paths(s, a, b);
	unsigned int count = 0;

	for (size_t i = 0; i < paths->path_count; i++)
		count += paths->v[i]->state == PATH_ALIVE;
	return count;
}

/* Whether a sends to b from its own address so, to b's so. */
static bool goes(struct sim *s, size_t a, size_t own, size_t b, size_t there)
{
	const struct path *p = sim_paths(s, a, b)->current;
	struct endpoint from = sim_address(s, a, own), to = sim_address(s, b, there);
	struct path_addr used = sim_peer(s, a, b).path;

	return p && path_addr_equal(&p->addr, &used) && ip_addr_equal(&used.local, &from.addr) && endpoint_equal(&used.remote, &to);
}

static void greet(struct sim *s)
{
	sim_send(s, 0, 1, 1, 100);
	sim_run(s, SECONDS(1));
	assert_int_equal(got[1].count, 1);
	again();
}

/* They talk, know both ways, and use the better one. */
static void known(struct sim *s, uint64_t seed, unsigned int lanes)
{
	two_uplinks(s, seed, lanes);
	greet(s);
	talk(s, MS(10), SECONDS(10));
	assert_true(sim_paths(s, 0, 1)->managed && sim_paths(s, 1, 0)->managed);
	assert_int_equal(alive(s, 0, 1), 2);
	assert_int_equal(alive(s, 1, 0), 2);
	assert_true(goes(s, 0, 0, 1, 0) && goes(s, 1, 0, 0, 0));
	again();
}

/*
 * Contact.
 */

static void first_contact_by_the_second(void **state)
{
	struct sim s;
	int64_t start_us;

	(void)state;
	two_uplinks(&s, 1, 1);
	sim_set_way(&s, 0, 0, 1, 0, &dead);
	sim_set_way(&s, 0, 1, 1, 0, &slow);
	start_us = s.now_us;
	sim_send(&s, 0, 1, 77, 100);
	sim_run(&s, MS(1500));
	assert_int_equal(got[1].tag, 77);
	assert_true(got[1].last_us - start_us < MS(1500));
	assert_true(goes(&s, 0, 1, 1, 0));
	sim_done(&s);
}

/* What leaves arrives by one way, what comes back by the other: each alone is no use to a handshake, but for answers that are given twice. */
static void first_contact_crosswise(void **state)
{
	struct sim s;

	(void)state;
	two_uplinks(&s, 2, 1);
	sim_set_way_out(&s, 1, 0, 0, 0, &dead);
	sim_set_way(&s, 0, 1, 1, 0, &slow);
	sim_send(&s, 0, 1, 77, 100);
	sim_run(&s, MS(1500));
	assert_int_equal(got[1].tag, 77);
	sim_done(&s);
}

static struct ip_addr inside_of_mesh;

static bool leads_inside(size_t node, const struct path_addr *path)
{
	return node == 0 && ip_addr_equal(&path->remote.addr, &inside_of_mesh);
}

/* The first endpoint in the list is in the mesh, or our own: nothing is sent there, and that is no reason to leave out the others. */
static void first_endpoint_leads_inside(void **state)
{
	struct sim s;

	(void)state;
	two_uplinks(&s, 4, 1);
	s.astray = leads_inside;
	inside_of_mesh = sim_address(&s, 1, 0).addr;
	sim_set_endpoints(&s, 0, 1);
	/* Ways are asked for anew. */
	for (int there = 0; there < 2; there++) {
		for (size_t k = 0; k < 2; k++)
			sim_set_address(&s, 0, k, there);
		sim_run(&s, MS(10));
	}
	sim_send(&s, 0, 1, 77, 100);
	sim_run(&s, MS(1500));
	assert_int_equal(got[1].tag, 77);
	assert_int_equal(sent_to[0], 0);
	assert_true(goes(&s, 0, 1, 1, 1));
	sim_done(&s);
}

static void plain_peer_with_two_endpoints(void **state)
{
	struct sim s;

	(void)state;
	for (unsigned int lanes = 1; lanes <= 2; lanes++) {
		two_uplinks(&s, 3, lanes);
		sim_set_flow_sessions(&s, 0, 0);
		sim_set_flow_sessions(&s, 1, 0);
		sim_set_endpoints(&s, 0, 1);
		sim_set_way(&s, 0, 0, 1, 0, &dead);
		sim_send(&s, 0, 1, 77, 100);
		sim_run(&s, MS(1500));
		assert_int_equal(got[1].tag, 77);
		assert_false(sim_paths(&s, 0, 1)->managed);
		/* It roams, as with WireGuard: where it is heard from it is answered. */
		sim_set_way(&s, 0, 0, 1, 0, &fast);
		sim_set_way(&s, 0, 1, 1, 1, &dead);
		sim_set_address(&s, 1, 1, false);
		sim_run(&s, SECONDS(1));
		sim_send(&s, 1, 0, 78, 100);
		sim_run(&s, SECONDS(30));
		again();
		talk(&s, MS(100), SECONDS(1));
		assert_int_equal(got[0].count, 10);
		assert_int_equal(got[1].count, 10);
		/* And says nothing it is not asked for. */
		sim_run(&s, SECONDS(30));
		again();
		sim_run(&s, SECONDS(60));
		assert_int_equal(sent_to[0] + sent_to[1], 0);
		sim_done(&s);
	}
}

/*
 * Deaths.
 */

static void silent_death(void **state)
{
	struct sim s;

	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		known(&s, 10 + seed, 1 + seed % 2);
		sim_run(&s, MS((int64_t)seed * 7));
		sim_set_way(&s, 0, 0, 1, 0, &dead);
		talk(&s, MS(10), SECONDS(5));
		assert_true(goes(&s, 0, 1, 1, 1) && goes(&s, 1, 1, 0, 1));
		assert_true(got[0].gap_us <= MS(500) && got[1].gap_us <= MS(500));
		assert_int_equal(sim_paths(&s, 0, 1)->why, PATH_WHY_DEATH);
		/* Sub-sessions are there again. */
		talk(&s, MS(10), SECONDS(5));
		assert_true(sim_peer(&s, 0, 1).sub_usable > 0 && sim_peer(&s, 1, 0).sub_usable > 0);
		sim_done(&s);
	}
}

/* One direction of it: what node 0 sends is lost, what it is sent arrives. Only that one has to move, and nobody loses more than half a second. */
static void asymmetric_death(void **state)
{
	struct sim s;

	(void)state;
	known(&s, 30, 1);
	sim_set_way_out(&s, 0, 0, 1, 0, &dead);
	talk(&s, MS(10), SECONDS(5));
	assert_true(goes(&s, 0, 1, 1, 1));
	assert_true(got[0].gap_us <= MS(500) && got[1].gap_us <= MS(500));
	sim_done(&s);
}

static void address_removed(void **state)
{
	struct sim s;

	(void)state;
	known(&s, 40, 1);
	sim_set_address(&s, 0, 0, false);
	talk(&s, MS(10), MS(100));
	assert_true(goes(&s, 0, 1, 1, 1));
	talk(&s, MS(10), SECONDS(3));
	assert_true(goes(&s, 1, 1, 0, 1));
	assert_true(got[1].gap_us <= MS(100));
	assert_true(got[0].gap_us <= MS(500));
	/* And back again. */
	sim_set_address(&s, 0, 0, true);
	talk(&s, MS(10), SECONDS(10));
	assert_int_equal(alive(&s, 0, 1), 2);
	sim_done(&s);
}

static void all_paths_dead_and_back(void **state)
{
	struct sim s;

	(void)state;
	known(&s, 50, 1);
	sim_set_way(&s, 0, 0, 1, 0, &dead);
	sim_set_way(&s, 0, 1, 1, 1, &dead);
	talk(&s, MS(100), SECONDS(120));
	again();
	sim_set_way(&s, 0, 1, 1, 1, &slow);
	talk(&s, MS(100), SECONDS(70));
	assert_true(s.now_us - got[0].last_us < SECONDS(1) && s.now_us - got[1].last_us < SECONDS(1));
	assert_true(got[1].count > 500);
	sim_done(&s);
}

/*
 * NATs and restarts.
 */

static void nat_rebinding(void **state)
{
	struct sim s;

	(void)state;
	sim_init(&s, 60);
	again();
	arrivals_watch(&s);
	sim_add_node(&s);
	sim_add_node(&s);
	sim_add_nat(&s, 0, SIM_NAT_RANDOM);
	sim_set_link(&s, 0, 1, &fast);
	sim_add_peer(&s, 0, 1, true, NULL, 0);
	sim_add_peer(&s, 1, 0, false, NULL, 0);
	greet(&s);
	talk(&s, MS(10), SECONDS(5));
	assert_true(sim_paths(&s, 1, 0)->managed);
	again();
	/* The NAT forgets all it knew. */
	nat_forget(&s.nodes[0].nat, 0);
	talk(&s, MS(10), SECONDS(5));
	assert_true(got[0].gap_us <= SECONDS(1) && got[1].gap_us <= MS(500));
	assert_true(s.now_us - got[0].last_us < MS(100) && s.now_us - got[1].last_us < MS(100));
	sim_done(&s);
}

/* The only address a node has becomes another one, and it does not know. */
static void moves_away(void **state)
{
	struct path_addr used;
	struct sim s;

	(void)state;
	sim_init(&s, 61);
	again();
	arrivals_watch(&s);
	sim_add_node(&s);
	sim_add_node(&s);
	sim_set_link(&s, 0, 1, &fast);
	sim_connect(&s, 0, 1);
	greet(&s);
	talk(&s, MS(10), SECONDS(5));
	assert_true(sim_paths(&s, 1, 0)->managed);
	again();
	s.nodes[0].endpoint = (struct endpoint){ .addr = { IP_V4, { 198, 18, 0, 9 } }, .port = 4242 };
	talk(&s, MS(10), SECONDS(5));
	assert_true(got[0].gap_us <= SECONDS(1) && got[1].gap_us <= MS(500));
	used = sim_peer(&s, 1, 0).path;
	assert_true(endpoint_equal(&used.remote, &s.nodes[0].endpoint));
	sim_done(&s);
}

static void restart(struct sim *s, size_t i)
{
	sim_restart_node(s, i, true);
	sim_add_peer(s, i, 1 - i, true, NULL, 0);
}

static void restarts(void **state)
{
	struct sim s;

	(void)state;
	for (unsigned int which = 1; which <= 3; which++) {
		known(&s, 70 + which, 1);
		sim_run(&s, SECONDS(5));
		for (size_t i = 0; i < 2; i++)
			if (which & 1U << i)
				restart(&s, i);
		talk(&s, MS(10), SECONDS(25));
		again();
		talk(&s, MS(10), SECONDS(2));
		assert_true(got[0].count > 190 && got[1].count > 190);
		assert_int_equal(alive(&s, 0, 1), 2);
		assert_int_equal(alive(&s, 1, 0), 2);
		sim_done(&s);
	}
}

/*
 * While nothing is the matter.
 */

static void wanted_idle_link_is_known(void **state)
{
	struct sim s;
	uint64_t before;

	(void)state;
	two_uplinks(&s, 80, 1);
	sim_add_peer(&s, 0, 1, false, NULL, 25);
	sim_run(&s, SECONDS(300));
	assert_int_equal(alive(&s, 0, 1), 2);
	/* A probe a path each PATH_KEEP_START_S at most, the answers to those of the other side, which does not want it; handshakes. */
	before = s.nodes[0].seen.controls;
	sim_run(&s, SECONDS(600));
	assert_int_equal(alive(&s, 0, 1), 2);
	assert_true(s.nodes[0].seen.controls - before <= 2 * 600 / PATH_KEEP_MIN_S + 60);
	assert_true(s.nodes[0].seen.controls - before > 0);
	sim_done(&s);
}

static void unwanted_idle_link_is_silent(void **state)
{
	struct sim s;

	(void)state;
	known(&s, 81, 1);
	sim_run(&s, SECONDS(200));
	again();
	sim_run(&s, SECONDS(400));
	assert_int_equal(sent_to[0] + sent_to[1], 0);
	/* And goes on where it was. */
	sim_send(&s, 0, 1, 99, 100);
	sim_run(&s, SECONDS(1));
	assert_int_equal(got[1].tag, 99);
	sim_done(&s);
}

static void loss_moves_once(void **state)
{
	const struct sim_link lossy = { .delay_us = 10000, .loss = 50 };
	struct sim s;
	uint32_t before[2];

	(void)state;
	known(&s, 90, 1);
	before[0] = sim_paths(&s, 0, 1)->changes;
	before[1] = sim_paths(&s, 1, 0)->changes;
	sim_set_way(&s, 0, 0, 1, 0, &lossy);
	/* As long as it takes to be sure of 5 %, and to see that it stays. */
	talk(&s, MS(10), SECONDS(12));
	assert_true(goes(&s, 0, 1, 1, 1) && goes(&s, 1, 1, 0, 1));
	talk(&s, MS(10), SECONDS(60));
	assert_int_equal(sim_paths(&s, 0, 1)->changes - before[0], 1);
	assert_int_equal(sim_paths(&s, 1, 0)->changes - before[1], 1);
	sim_done(&s);
}

static void slower_moves_once(void **state)
{
	const struct sim_link slower = { .delay_us = 310000 };
	struct sim s;
	uint32_t before;

	(void)state;
	known(&s, 91, 1);
	before = sim_paths(&s, 0, 1)->changes;
	sim_set_way(&s, 0, 0, 1, 0, &slower);
	talk(&s, MS(10), SECONDS(5));
	assert_true(goes(&s, 0, 1, 1, 1) && goes(&s, 1, 1, 0, 1));
	talk(&s, MS(10), SECONDS(60));
	assert_int_equal(sim_paths(&s, 0, 1)->changes - before, 1);
	sim_done(&s);
}

/*
 * Babel.
 */

static void babel_hears_of_it(void **state)
{
	struct sim s;

	(void)state;
	sim_init(&s, 100);
	again();
	arrivals_watch(&s);
	for (size_t i = 0; i < 3; i++) {
		sim_add_node(&s);
		if (i < 2)
			sim_add_address(&s, i);
		sim_route(&s, i, SECONDS(4));
	}
	for (size_t i = 0; i < 3; i++) {
		sim_set_link(&s, i, (i + 1) % 3, &fast);
		sim_link_babel(&s, i, (i + 1) % 3);
	}
	sim_run(&s, SECONDS(30));
	talk(&s, MS(10), SECONDS(5));
	assert_true(sim_paths(&s, 0, 1)->managed && alive(&s, 0, 1) >= 2);
	again();
	/* All ways between 0 and 1 are gone: long before three Hellos are missed packets go by 2. */
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 2; k++)
			sim_set_way(&s, 0, i, 1, k, &dead);
	talk(&s, MS(10), SECONDS(5));
	assert_true(s.now_us - got[0].last_us < MS(100) && s.now_us - got[1].last_us < MS(100));
	assert_true(got[0].gap_us < SECONDS(3) && got[1].gap_us < SECONDS(3));
	sim_done(&s);
}

/* A peer that tells others' addresses, new ones each time, as fast as it can. What goes there is bounded, and what it says last holds. */
static void tells_of_third_parties(void **state)
{
	enum { TIMES = 500 };
	struct sim s;
	struct peer *p;

	(void)state;
	known(&s, 5, 1);
	p = s.nodes[1].node->peers[0];
	sent_astray = 0;
	for (unsigned int i = 0; i < TIMES; i++) {
		struct mesh_addresses m = { .sequence = (uint16_t)(p->ways.sequence + i + 1) };
		uint8_t msg[MESH_MESSAGE_MAX];

		while (m.count < MESH_ADDRESSES_MAX) {
			struct ip_addr a = { IP_V4, { 192, 88, (uint8_t)i, (uint8_t)(10 * (i >> 8) + m.count + 1) } };

			m.entries[m.count++].endpoint = (struct endpoint){ .addr = a, .port = 53 };
		}
		assert_true(lane_send_control(peer_lane(s.nodes[1].node, p), peer_link(p), SUB_SESSION_CONTROL, 0, msg,
					      (uint32_t)mesh_addresses_write(msg, &m)));
		talk(&s, MS(10), MS(20));
	}
	print_message("# %llu datagrams to third parties in %d s\n", (unsigned long long)sent_astray, TIMES / 50);
	assert_true(sent_astray <= 2 * MESH_ADDRESSES_MAX * PATH_NEW_TRIES * (PATHS_TAKE_BURST + TIMES * 20 / PATHS_TAKE_MS + 1));
	/* Its true ones, once more. */
	p->ways.sequence = (uint16_t)(p->ways.sequence + TIMES + 1);
	p->ways.tells = PATHS_TELLS;
	p->ways.tell_us = 0;
	talk(&s, MS(10), SECONDS(5));
	sent_astray = 0;
	talk(&s, MS(10), SECONDS(5));
	assert_int_equal(sent_astray, 0);
	assert_int_equal(alive(&s, 0, 1), 2);
	sim_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_of_third_parties),
		cmocka_unit_test(first_contact_by_the_second),
		cmocka_unit_test(first_contact_crosswise),
		cmocka_unit_test(first_endpoint_leads_inside),
		cmocka_unit_test(plain_peer_with_two_endpoints),
		cmocka_unit_test(silent_death),
		cmocka_unit_test(asymmetric_death),
		cmocka_unit_test(address_removed),
		cmocka_unit_test(all_paths_dead_and_back),
		cmocka_unit_test(nat_rebinding),
		cmocka_unit_test(moves_away),
		cmocka_unit_test(restarts),
		cmocka_unit_test(wanted_idle_link_is_known),
		cmocka_unit_test(unwanted_idle_link_is_silent),
		cmocka_unit_test(loss_moves_once),
		cmocka_unit_test(slower_moves_once),
		cmocka_unit_test(babel_hears_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
