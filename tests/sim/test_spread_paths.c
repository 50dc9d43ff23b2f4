/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions over chosen paths, in virtual time: two nodes with two uplinks each, all ways equal, so that a choice that is made by hand
 * stays. Who moves when, what is lost, and that both directions may differ. A failure is repeated by its seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/inside.h"
#include "watch.h"

static struct peer *peer_at(struct sim *s, size_t i)
{
	return s->nodes[i].node->peers[0];
}

static struct instant now_of(const struct sim *s)
{
	return (struct instant){ .mono_us = s->now_us, .wall_ns = s->wall_ns };
}

/* The last of those between two addresses that is alive: of ports, a NAT's is known only when it was heard. */
static struct path *path_at(struct sim *s, size_t i, size_t own, size_t there)
{
	const struct path_set *set = &peer_at(s, i)->paths;
	struct endpoint remote = sim_address(s, 1 - i, there), local = own ? sim_address(s, i, own) : s->nodes[i].endpoint;
	struct path *found = NULL;

	for (size_t k = 0; k < set->path_count; k++)
		if (set->v[k]->state == PATH_ALIVE && ip_addr_equal(&set->v[k]->addr.local, &local.addr) &&
		    ip_addr_equal(&set->v[k]->addr.remote.addr, &remote.addr))
			found = set->v[k];
	return found;
}

/* Node i sends from its address 'own' to the other's address 'there', from now on. */
static void choose(struct sim *s, size_t i, size_t own, size_t there, bool urgent)
{
	struct peer *p = peer_at(s, i);
	struct path *x = path_at(s, i, own, there);

	assert_non_null(x);
	p->paths.current = x;
	for (unsigned int k = 0; k < s->nodes[i].node->lane_count; k++)
		p->data.links[k].path = x->addr;
	if (urgent)
		spread_moved(s->nodes[i].node, p, now_of(s));
	else
		spread_repathed(s->nodes[i].node, p, now_of(s));
	peer_rearm(s->nodes[i].node, p);
	s->nodes[i].wake_us = s->now_us;
}

static void two_uplinks(struct sim *s, uint64_t seed, unsigned int lanes, enum sim_nat_kind kind)
{
	begin(s, seed);
	s->lanes = lanes;
	for (size_t i = 0; i < 2; i++) {
		sim_add_node(s);
		if (!i && kind != SIM_NAT_NONE)
			sim_add_nat(s, i, kind);
		sim_add_address(s, i);
	}
	sim_connect(s, 0, 1);
	sim_set_link(s, 0, 1, &WAN);
	greet(s, 0);
	sim_run(s, SECONDS(1));
	/* Flows of this are not looked at; meanwhile all ways are found, and answered. */
	talk(s, BOTH, FLOWS - 1, 1, MS(50), SECONDS(10));
	assert_true(peer_at(s, 0)->data.managed && peer_at(s, 1)->data.managed);
	for (size_t i = 0; i < 2; i++)
		choose(s, i, 0, 0, true);
}

/*
 * How many of flows first..first+count-1 to node 'to' came last from that address of the other to that address of its own, on a sub-session of
 * their own.
 */
static unsigned int came(struct sim *s, size_t to, unsigned int first, unsigned int count, size_t from_address, size_t to_address)
{
	struct endpoint from = sim_address(s, 1 - to, from_address), there = sim_address(s, to, to_address);
	unsigned int n = 0;

	for (unsigned int i = first; i < first + count; i++) {
		const struct flow_seen *f = &watch.to[to][i];

		n += f->number && ip_addr_equal(&f->from.addr, &from.addr) && ip_addr_equal(&f->to.addr, &there.addr);
	}
	return n;
}

/* Flows that pause move, each at a pause: nothing is lost or turned round, and there are usable ones all the time. */
static void moves_at_pauses(void **state)
{
	(void)state;
	for (unsigned int lanes = 1; lanes <= 2; lanes++) {
		struct sim s;
		unsigned int before, least = SUB_SESSIONS;

		two_uplinks(&s, 1, lanes, SIM_NAT_NONE);
		talk(&s, BOTH, 0, 8, MS(300), SECONDS(6));
		assert_int_equal(came(&s, 1, 0, 8, 0, 0), 8);
		watch_again(&s);
		before = spread_usable(s.nodes[0].node, peer_at(&s, 0));
		choose(&s, 0, 1, 1, false);
		for (int i = 0; i < 400; i++) {
			unsigned int usable = spread_usable(s.nodes[0].node, peer_at(&s, 0));

			least = usable < least ? usable : least;
			/* Each at its own time. */
			for (unsigned int k = 0; k < 8; k++)
				if ((unsigned int)i % 32 == 4 * k)
					send_one(&s, 1, k);
			sim_run(&s, MS(10));
		}
		settle(&s);
		check_all_arrived(&s, "moved at pauses");
		assert_int_equal(came(&s, 1, 0, 8, 1, 1), 8);
		/* The other direction has not moved. */
		assert_int_equal(came(&s, 0, 0, 8, 0, 0), 8);
		print_message("# usable %u, at least %u\n", before, least);
		assert_true(least < before && least >= before / 2);
		assert_int_equal(peer_at(&s, 0)->spread.move_us, 0);
		sim_done(&s);
	}
}

/* A flow that never pauses stays for a while, and is moved then; it is on a sub-session again a round trip later. */
static void moves_without_pause(void **state)
{
	struct sim s;
	int64_t start_us;

	(void)state;
	two_uplinks(&s, 2, 1, SIM_NAT_NONE);
	talk(&s, TO_1, 0, 1, MS(10), SECONDS(5));
	watch_again(&s);
	start_us = s.now_us;
	choose(&s, 0, 1, 1, false);
	while (s.now_us - start_us < SECONDS(10) && came(&s, 1, 0, 1, 0, 0))
		talk(&s, TO_1, 0, 1, MS(10), MS(10));
	print_message("# moved after %lld ms\n", (long long)(s.now_us - start_us) / 1000);
	assert_true(s.now_us - start_us >= SPREAD_MOVE_MAX_S * US_PER_S);
	assert_true(s.now_us - start_us <= SPREAD_MOVE_MAX_S * US_PER_S + SPREAD_TICK_MS * US_PER_MS + RTT_US);
	talk(&s, TO_1, 0, 1, MS(10), SECONDS(1));
	settle(&s);
	assert_int_equal(came(&s, 1, 0, 1, 1, 1), 1);
	check_all_arrived(&s, "no pause");
	sim_done(&s);
}

/* In need all move at once: flows are on their own again within two round trips, whoever opens, though the old way is dead for both. */
static void urgent_moves_at_once(void **state)
{
	const struct sim_link dead = { .cut = true };

	(void)state;
	for (unsigned int who = TO_0; who <= BOTH; who++) {
		struct sim s;

		two_uplinks(&s, 3, 1 + who % 2, SIM_NAT_NONE);
		talk(&s, BOTH, 0, 8, MS(10), SECONDS(5));
		sim_set_way(&s, 0, 0, 1, 0, &dead);
		for (size_t i = 0; i < 2; i++)
			if (who & 1U << i)
				choose(&s, i, 1, 1, true);
		talk(&s, BOTH, 0, 8, MS(10), 5 * RTT_US / 2 + MS(10));
		for (size_t i = 0; i < 2; i++)
			if (who & 1U << i)
				assert_int_equal(came(&s, 1 - i, 0, 8, 1, 1), 8);
		sim_done(&s);
	}
}

/* Each side sends its own way; both stay open while data goes one way only, and the other side's reports tell what arrives. */
static void directions_differ(void **state)
{
	(void)state;
	for (unsigned int ways = TO_0; ways <= BOTH; ways++) {
		struct sim s;

		two_uplinks(&s, 4, 1, SIM_NAT_NONE);
		choose(&s, 0, 0, 1, true);
		choose(&s, 1, 1, 1, true);
		talk(&s, ways, 0, 4, MS(20), SECONDS(5));
		watch_again(&s);
		talk(&s, ways, 0, 4, MS(20), SECONDS(60));
		settle(&s);
		if (ways & TO_1)
			assert_int_equal(came(&s, 1, 0, 4, 0, 1), 4);
		if (ways & TO_0)
			assert_int_equal(came(&s, 0, 0, 4, 1, 1), 4);
		check_all_arrived(&s, "directions differ");
		assert_int_equal(moves(&watch), 0);
		assert_int_equal(s.nodes[0].node->subs_lost + s.nodes[1].node->subs_lost, 0);
		sim_done(&s);
	}
}

/* The opener is behind a NAT on the way the other side has chosen, and not on its own: it opens the NAT when it is asked, and shows the ports. */
static void nat_on_their_way(void **state)
{
	(void)state;
	for (enum sim_nat_kind kind = SIM_NAT_MASQUERADE; kind <= SIM_NAT_RANDOM; kind++) {
		struct sim s;

		two_uplinks(&s, 5, 1, kind);
		talk(&s, BOTH, 0, 4, MS(20), SECONDS(5));
		assert_int_equal(came(&s, 1, 0, 4, 0, 0), 4);
		choose(&s, 0, 1, 0, true);
		talk(&s, BOTH, 0, 4, MS(20), SECONDS(3));
		watch_again(&s);
		talk(&s, BOTH, 0, 4, MS(20), SECONDS(60));
		settle(&s);
		show(&s, "NAT on their way");
		assert_int_equal(came(&s, 1, 0, 4, 1, 0), 4);
		assert_int_equal(came(&s, 0, 0, 4, 0, 0), 4);
		check_all_arrived(&s, "NAT on their way");
		assert_int_equal(moves(&watch), 0);
		/* Both sides refresh their own way. */
		assert_true(watch.controls_peak <= 60);
		sim_done(&s);
	}
}

/* Spread = all: flows go by all ways near the best, and those of each are usable. */
static void all_share(void **state)
{
	struct sim s;
	unsigned int by[2] = { 0, 0 };

	(void)state;
	two_uplinks(&s, 6, 1, SIM_NAT_NONE);
	talk(&s, BOTH, 0, 8, MS(20), SECONDS(5));
	for (size_t i = 0; i < 2; i++) {
		s.nodes[i].node->path_spread = PATHS_ALL;
		spread_repathed(s.nodes[i].node, peer_at(&s, i), now_of(&s));
		s.nodes[i].wake_us = s.now_us;
	}
	talk(&s, BOTH, 0, 16, MS(20), SECONDS(12));
	for (unsigned int i = 1; i <= peer_at(&s, 0)->data.sub_count; i++) {
		const struct path *x = paths_pick(&peer_at(&s, 0)->paths, i, true);

		if (!links_usable(&peer_at(&s, 0)->data, 1, i))
			continue;
		assert_true(ip_addr_equal(&peer_at(&s, 0)->data.subs[i].path.local, &x->addr.local));
		assert_true(ip_addr_equal(&peer_at(&s, 0)->data.subs[i].path.remote.addr, &x->addr.remote.addr));
	}
	for (size_t i = 0; i < 2; i++)
		by[i] = came(&s, 1, 0, 16, i, 0) + came(&s, 1, 0, 16, i, 1);
	print_message("# %u by the one uplink, %u by the other\n", by[0], by[1]);
	assert_int_equal(by[0] + by[1], 16);
	assert_true(by[0] >= 4 && by[1] >= 4);
	settle(&s);
	check_all_arrived(&s, "all share");
	sim_done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_at_pauses),
		cmocka_unit_test(moves_without_pause),
		cmocka_unit_test(urgent_moves_at_once),
		cmocka_unit_test(directions_differ),
		cmocka_unit_test(nat_on_their_way),
		cmocka_unit_test(all_share),
	};

	if (!crypto_init())
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
