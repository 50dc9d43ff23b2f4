/* SPDX-License-Identifier: MIT */
/*
 * Whole nodes that route, in virtual time: Babel over the links of a mesh, packets through nodes in the middle, and what becomes of them when
 * links go. The protocol alone is in test_babel_sim.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "node/inside.h"
#include "arrivals.h"

static const struct sim_link wan = { .delay_us = 10000 };

static void mesh(struct sim *s, uint64_t seed, size_t nodes)
{
	sim_init(s, seed);
	arrivals_watch(s);
	for (size_t i = 0; i < nodes; i++) {
		sim_add_node(s);
		sim_route(s, i, SECONDS(1));
	}
}

static void join(struct sim *s, size_t a, size_t b)
{
	sim_set_link(s, a, b, &wan);
	sim_link_babel(s, a, b);
}

/* Whether a packet from a arrives at b within a second. */
static bool reaches(struct sim *s, size_t a, size_t b)
{
	static uint64_t tag = 1000;

	sim_send(s, a, b, ++tag, 100);
	sim_run(s, SECONDS(1));
	return got[b].tag == tag;
}

static void line_of_three(void **state)
{
	struct sim s;

	(void)state;
	for (unsigned int lanes = 1; lanes <= 3; lanes += 2) {
		mesh(&s, lanes, 0);
		s.lanes = lanes;
		for (size_t i = 0; i < 3; i++) {
			sim_add_node(&s);
			sim_route(&s, i, SECONDS(1));
		}
		join(&s, 0, 1);
		join(&s, 1, 2);
		sim_run(&s, SECONDS(10));
		assert_true(reaches(&s, 0, 2));
		assert_int_equal(got[2].hop_limit, 63);
		assert_true(reaches(&s, 2, 0));
		assert_true(reaches(&s, 0, 1));
		assert_int_equal(got[1].hop_limit, 64);
		assert_true(s.nodes[0].routes_changed > 0);
		sim_done(&s);
	}
}

/* Nobody has a source that is not announced over the link: neither a stranger's, nor that of the node itself. */
static void source_check(void **state)
{
	const struct ip_prefix other = { .addr = { IP_V6, { 0xfd, [15] = 2 } }, .len = 128 };
	struct sim s;

	(void)state;
	mesh(&s, 3, 3);
	join(&s, 0, 1);
	join(&s, 1, 2);
	sim_run(&s, SECONDS(10));
	assert_true(reaches(&s, 0, 1));
	/* Node 0 says that it is a node nobody has heard of... */
	assert_int_equal(sim_drops(&s, 1, DROP_SOURCE), 0);
	sim_send_as(&s, 0, 3, 1, 77);
	sim_run(&s, SECONDS(1));
	assert_int_not_equal(got[1].tag, 77);
	assert_int_equal(sim_drops(&s, 1, DROP_SOURCE), 1);
	/* ...nor may it be node 1 itself. */
	sim_send_as(&s, 0, 1, 1, 78);
	sim_run(&s, SECONDS(1));
	assert_int_not_equal(got[1].tag, 78);
	assert_int_equal(sim_drops(&s, 1, DROP_SOURCE), 2);
	/* Not even if it says that this address is its own. */
	assert_true(node_set_addresses(s.nodes[0].node, &other, 1, (struct instant){ .mono_us = s.now_us, .wall_ns = 1 }));
	s.nodes[0].wake_us = s.now_us;
	sim_run(&s, SECONDS(10));
	sim_send_as(&s, 0, 1, 2, 79);
	sim_run(&s, SECONDS(1));
	assert_int_not_equal(got[2].tag, 79);
	assert_int_equal(sim_drops(&s, 1, DROP_SOURCE), 3);
	sim_done(&s);
}

/* What the kernel hears of one prefix; -1: nothing. */
static int heard(struct sim *s, size_t i, const struct ip_prefix *p)
{
	struct node_route route;
	int kind = -1;

	while (node_next_route(s->nodes[i].node, &route))
		if (ip_prefix_equal(&route.prefix.dst, p))
			kind = (int)route.kind;
	return kind;
}

/* A network the host is on is not taken away from it by who announces the same. */
static void kernels_own_goes_first(void **state)
{
	const struct ip_prefix far = { .addr = { IP_V6, { 0xfd, [15] = 3 } }, .len = 128 };
	struct kernel_route own = { .prefix = prefix_pair_any(&far), .ifindex = 2, .iface = "eth0", .protocol = 2 };
	struct instant now;
	struct sim s;

	(void)state;
	mesh(&s, 7, 3);
	join(&s, 0, 1);
	join(&s, 1, 2);
	sim_run(&s, SECONDS(10));
	assert_true(reaches(&s, 0, 2));
	now = (struct instant){ .mono_us = s.now_us, .wall_ns = 1 };
	assert_true(node_set_kernel_routes(s.nodes[0].node, &own, 1, now));
	assert_int_equal(heard(&s, 0, &far), NODE_ROUTE_NONE);
	assert_true(node_set_kernel_routes(s.nodes[0].node, NULL, 0, now));
	assert_int_equal(heard(&s, 0, &far), NODE_ROUTE_TUN);
	assert_int_equal(heard(&s, 0, &far), -1);
	sim_done(&s);
}

/* 0 - 1 - 3 and 0 - 2 - 3: the way in use is cut, and packets go the other one. */
static void diamond(void **state)
{
	const struct sim_link cut = { .cut = true }, slow = { .delay_us = 30000 };
	struct sim s;
	uint64_t tag = 1;

	(void)state;
	mesh(&s, 4, 4);
	join(&s, 0, 1);
	join(&s, 1, 3);
	join(&s, 0, 2);
	join(&s, 2, 3);
	sim_set_link(&s, 0, 2, &slow);
	sim_set_link(&s, 2, 3, &slow);
	sim_run(&s, SECONDS(20));
	assert_true(reaches(&s, 0, 3));
	assert_int_equal(got[3].hop_limit, 63);
	memset(got, 0, sizeof(got));
	for (int i = 0; i < 3000; i++) {
		if (i == 500)
			sim_set_link(&s, 0, 1, &cut);
		sim_send(&s, 0, 3, ++tag, 100);
		sim_run(&s, MS(10));
	}
	sim_run(&s, SECONDS(1));
	/* Silent death is seen by Hellos alone: 2 of 3 are missing after 3.5 intervals at most, then a route that is there already is taken. */
	assert_true(got[3].gap_us < SECONDS(5));
	assert_int_equal(got[3].tag, tag);
	sim_done(&s);
}

/* A link that is taken out of the config: its routes go at once, others stay, and nothing dangles. */
static void peer_removed(void **state)
{
	struct sim s;

	(void)state;
	mesh(&s, 5, 4);
	join(&s, 0, 1);
	join(&s, 1, 3);
	join(&s, 0, 2);
	join(&s, 2, 3);
	sim_run(&s, SECONDS(20));
	assert_true(reaches(&s, 0, 3));
	sim_unlink(&s, 0, 1);
	sim_run(&s, MS(500));
	assert_true(reaches(&s, 0, 3));
	sim_unlink(&s, 0, 2);
	sim_run(&s, MS(500));
	assert_false(reaches(&s, 0, 3));
	join(&s, 0, 2);
	sim_run(&s, SECONDS(10));
	assert_true(reaches(&s, 0, 3));
	sim_done(&s);
}

/* A route to a peer that is not there costs nothing but ICMP; and a mesh at rest says little. */
static void quiet_mesh(void **state)
{
	struct sim s;
	uint64_t before = 0, after = 0;

	(void)state;
	mesh(&s, 6, 9);
	for (size_t i = 0; i < 9; i++) {
		if (i % 3 < 2)
			join(&s, i, i + 1);
		if (i < 6)
			join(&s, i, i + 3);
	}
	sim_run(&s, SECONDS(30));
	for (size_t a = 0; a < 9; a++)
		for (size_t b = 0; b < 9; b++)
			assert_true(a == b || reaches(&s, a, b));
	for (size_t i = 0; i < 9; i++)
		before += s.nodes[i].routes_changed;
	sim_run(&s, SECONDS(300));
	for (size_t i = 0; i < 9; i++)
		after += s.nodes[i].routes_changed;
	assert_int_equal(after, before);
	sim_done(&s);
}

/* Babel is switched off: what neighbours will measure us by when it is on again is kept. */
static void switched_off(void **state)
{
	struct change off = { .bits = CHANGE_ROUTING, .transit = TRANSIT_LANE };
	struct routing_state before, after;
	struct sim s;

	(void)state;
	mesh(&s, 8, 2);
	join(&s, 0, 1);
	sim_run(&s, SECONDS(10));
	assert_true(reaches(&s, 0, 1));
	node_routing_state(s.nodes[0].node, &before);
	sim_unlink(&s, 0, 1);
	assert_int_equal(node_apply(s.nodes[0].node, &off, (struct instant){ .mono_us = s.now_us, .wall_ns = 1 }), 0);
	assert_false(node_routing_on(s.nodes[0].node));
	node_routing_state(s.nodes[0].node, &after);
	assert_memory_equal(after.router_id, before.router_id, sizeof(before.router_id));
	assert_true((uint16_t)(before.seqno - after.seqno) <= 64);	/* what is saved while it runs is ahead */
	assert_true(after.clean && !before.clean);
	sim_done(&s);
}

/* Node 'a' switches Babel on its link to b on or off; the link itself, its keys and allowed IPs stay. */
static void switch_link(struct sim *s, size_t a, size_t b, bool on)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);

	assert_non_null(p);
	memcpy(p->public_key, s->nodes[b].public_key, KEY_LEN);
	p->bits = CHANGE_PEER_BABEL;
	p->babel = on;
	assert_int_equal(node_apply(s->nodes[a].node, &c, (struct instant){ .mono_us = s->now_us, .wall_ns = 1 }), 0);
	s->nodes[a].wake_us = s->now_us;
	change_done(&c);
}

/* One side switches Babel off on one link: the other hears a farewell and goes around at once; then on again. Nothing else is disturbed. */
static void one_link_switched(void **state)
{
	uint64_t changed;
	struct sim s;

	(void)state;
	mesh(&s, 9, 4);
	join(&s, 0, 1);
	join(&s, 1, 2);
	join(&s, 0, 2);
	join(&s, 2, 3);
	sim_run(&s, SECONDS(20));
	assert_true(reaches(&s, 1, 0));
	assert_int_equal(got[0].hop_limit, 64);
	changed = s.nodes[3].routes_changed;
	switch_link(&s, 0, 1, false);
	sim_run(&s, MS(500));
	assert_true(reaches(&s, 1, 0));
	assert_int_equal(got[0].hop_limit, 63);
	assert_true(reaches(&s, 0, 1));
	assert_int_equal(got[1].hop_limit, 63);
	for (size_t i = 1; i < 4; i++)
		assert_true(reaches(&s, 0, i) && reaches(&s, i, 0));
	assert_int_equal(s.nodes[3].routes_changed, changed);
	switch_link(&s, 0, 1, true);
	sim_run(&s, SECONDS(10));
	assert_true(reaches(&s, 1, 0));
	assert_int_equal(got[0].hop_limit, 64);
	assert_int_equal(s.nodes[3].routes_changed, changed);
	sim_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_three),
		cmocka_unit_test(source_check),
		cmocka_unit_test(kernels_own_goes_first),
		cmocka_unit_test(diamond),
		cmocka_unit_test(peer_removed),
		cmocka_unit_test(quiet_mesh),
		cmocka_unit_test(switched_off),
		cmocka_unit_test(one_link_switched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
