/* SPDX-License-Identifier: MIT */
/*
 * Babel speakers among each other, in virtual time: what the RFC promises of loops, starvation and black holes, and how long things take.
 * Whatever a test does, babel_watch.c looks at every node after every event. A failure is repeated by its seed, which is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "babel/inside.h"
#include "babel_chaos.h"

#define SECONDS(n) ((n) * US_PER_S)
#define MS(n) ((n) * US_PER_MS)

static const struct world_quality WIRE = { .delay_us = 500 };

static void good(const struct world *w)
{
	if (w->failed)
		fail_msg("%s", w->failure);
}

static void run(struct world *w, int64_t us)
{
	world_run(w, us);
	good(w);
}

static void finish(struct world *w)
{
	good(w);
	world_free(w);
}

static struct world_node **some_nodes(struct world *w, size_t count)
{
	for (size_t i = 0; i < count; i++)
		world_add_node(w, 100);
	return w->nodes;
}

static struct world_segment *wire(struct world *w, size_t a, size_t b, uint16_t cost)
{
	struct world_segment *s = world_link(w, w->nodes[a], w->nodes[b], BABEL_WIRED, &WIRE);

	s->ports[0]->config.rxcost = s->ports[1]->config.rxcost = cost;
	return s;
}

/* Whether a node has a route now, over the node 'over' (or -1: whatever). */
static bool via(const struct world_node *n, size_t pair, int over)
{
	const struct watch_pair *s = &n->pairs[pair];

	return s->fib == BABEL_VIA && s->selected && (over < 0 || s->to->node->number == (size_t)over);
}

/* Run until the node has it so; how long that took. It must within 'limit_us'. */
static int64_t until_via(struct world *w, const struct world_node *n, size_t pair, int over, int64_t limit_us)
{
	int64_t began_us = w->now_us;

	while (!via(n, pair, over) && world_step(w, began_us + limit_us))
		;
	good(w);
	if (!via(n, pair, over))
		fail_msg("node %zu has no route after %.3f s", n->number, (double)limit_us / 1e6);
	return w->now_us - began_us;
}

static void note(const char *what, double value, const char *unit)
{
	printf("# %s: %.3f %s\n", what, value, unit);
}

/*
 * Random worlds.
 */

static void many_worlds(void **state)
{
	static const uint64_t found[] = { 26, 112, 20000 };	/* that once found something */
	struct world_counts sum = { .events = 0 };

	(void)state;
	for (uint64_t i = 0; i < 24; i++) {
		struct chaos c = { .w = NULL };
		struct world_counts counts;

		chaos_begin(&c, i < sizeof(found) / sizeof(*found) ? found[i] : i);
		for (int round = 0; round < 2 && chaos_rage(&c, 8000); round++)
			chaos_calm(&c);
		counts = world_count(c.w);
		sum.events += counts.events;
		sum.route_changes += counts.route_changes;
		sum.requests += counts.requests;
		sum.unfeasible += counts.unfeasible;
		sum.restarts += counts.restarts;
		good(c.w);
		chaos_end(&c);
	}
	note("events", (double)sum.events, "in all");
	assert_true(sum.route_changes > 1000);
	assert_true(sum.requests > 1000);
	assert_true(sum.unfeasible > 1000);
	assert_true(sum.restarts > 200);
}

static uint64_t trace_of(uint64_t seed)
{
	struct chaos c = { .w = NULL };
	uint64_t trace;

	chaos_begin(&c, seed);
	chaos_rage(&c, 5000);
	trace = c.w->trace;
	good(c.w);
	chaos_end(&c);
	return trace;
}

static void a_seed_repeats_itself(void **state)
{
	(void)state;
	assert_true(trace_of(77) == trace_of(77));
	assert_true(trace_of(77) != trace_of(78));
}

/*
 * Loss and recovery.
 */

/* RFC 8966 2.5: A loses its direct way to S; what B offers is unfeasible until S has a new seqno. 0 is S, 1 is A, 2 is B. */
static struct world *triangle(uint16_t seqno, uint16_t other, size_t *pair, struct world_segment **direct)
{
	struct world *w = world_new(1, SECONDS(1));

	some_nodes(w, 3);
	w->nodes[0]->seqno = seqno;
	*direct = wire(w, 0, 1, 96);
	wire(w, 0, 2, other);
	wire(w, 1, 2, 96);
	*pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], *pair, 0);
	world_boot_all(w);
	run(w, SECONDS(120));
	watch_settled(w);
	good(w);
	return w;
}

static void starved_node_asks(void **state)
{
	struct world_segment *direct;
	size_t pair;
	struct world *w = triangle(100, 180, &pair, &direct);
	struct world_node *a = w->nodes[1];
	int64_t took;

	(void)state;
	assert_true(via(a, pair, 0));
	world_port_up(w, direct->ports[1], false);
	took = until_via(w, a, pair, 2, SECONDS(1));
	assert_int_equal(babel_seqno(w->nodes[0]->babel), 101);
	note("a starved node has a route again after", (double)took / 1e3, "ms");
	finish(w);
}

/* B itself went over A, so split horizon kept its way from A: it must say at once that it has another. */
static void hidden_way_is_told(void **state)
{
	struct world_segment *direct;
	size_t pair;
	struct world *w = triangle(100, 400, &pair, &direct);
	int64_t took;

	(void)state;
	assert_true(via(w->nodes[1], pair, 0));
	assert_true(via(w->nodes[2], pair, 1));
	world_port_up(w, direct->ports[1], false);
	took = until_via(w, w->nodes[1], pair, 2, SECONDS(1));
	note("a way that split horizon hid is used after", (double)took / 1e3, "ms");
	finish(w);
}

/* The same, again and again, until the seqno has gone past 65535. */
static void seqno_wraps(void **state)
{
	struct world_segment *direct;
	size_t pair;
	struct world *w = triangle(65534, 180, &pair, &direct);
	struct world_node *a = w->nodes[1];

	(void)state;
	for (int i = 0; i < 4; i++) {
		world_port_up(w, direct->ports[1], false);
		until_via(w, a, pair, 2, SECONDS(1));
		world_port_up(w, direct->ports[1], true);
		until_via(w, a, pair, 0, SECONDS(90));
		run(w, SECONDS(60));
	}
	assert_in_range(babel_seqno(w->nodes[0]->babel), 0, 100);
	watch_settled(w);
	finish(w);
}

/*
 * 0 - 1 - 2; the one in the middle, then the end that originates, goes away in every manner for a second. How long the way from 2 to 0 is
 * interrupted while it comes back: routes are there all the way, whatever 2 may believe.
 */
static int64_t interrupted(struct world *w, size_t pair, int64_t us)
{
	int64_t until_us = w->now_us + us, sum_us = 0, at_us;
	bool whole, more;

	do {
		whole = via(w->nodes[2], pair, 1) && via(w->nodes[1], pair, 0) && w->nodes[1]->babel && w->nodes[0]->babel;
		at_us = w->now_us;
		more = world_step(w, until_us);
		if (!more)
			run(w, until_us - w->now_us);
		sum_us += whole ? 0 : w->now_us - at_us;
	} while (more);
	return sum_us;
}

static void line_survives_restarts(void **state)
{
	static const enum world_end ends[] = { WORLD_CLEAN, WORLD_PLANNED, WORLD_KILLED, WORLD_LOST };
	static const char *const names[] = { "clean", "planned", "killed", "state lost" };
	struct world *w = world_new(2, SECONDS(1));
	size_t pair;

	(void)state;
	some_nodes(w, 3);
	wire(w, 0, 1, 96);
	wire(w, 1, 2, 96);
	pair = world_pair(w, "10.1.0.0/16", NULL);
	world_originate(w, w->nodes[0], pair, 0);
	world_boot_all(w);
	run(w, SECONDS(60));
	for (size_t i = 0; i < 8; i++) {
		char what[80];
		int64_t took;

		world_end(w, w->nodes[1 - i / 4], ends[i % 4], SECONDS(1));
		run(w, SECONDS(1));
		took = interrupted(w, pair, SECONDS(60));
		snprintf(what, sizeof(what), "%s, %s: back, and interrupted for", i / 4 ? "the end" : "the middle", names[i % 4]);
		note(what, (double)took / 1e6, "s");
		assert_true(took < SECONDS(2));
		watch_settled(w);
		good(w);
	}
	finish(w);
}

/* 0 originates; 3 has two ways, over 1 (better) and 2, the second feasible. */
static struct world *square(size_t *pair, uint16_t second, struct world_segment **first)
{
	struct world *w = world_new(3, SECONDS(1));

	some_nodes(w, 4);
	wire(w, 0, 1, 96);
	wire(w, 0, 2, 96);
	*first = wire(w, 1, 3, 96);
	wire(w, 2, 3, second);
	*pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], *pair, 0);
	world_boot_all(w);
	run(w, SECONDS(120));
	watch_settled(w);
	good(w);
	return w;
}

static void feasible_alternative_is_taken_at_once(void **state)
{
	const struct babel_link_cost down = { .down = true }, up = { .down = false };
	struct world_segment *first;
	size_t pair;
	struct world *w = square(&pair, 110, &first);
	struct world_node *n = w->nodes[3];

	(void)state;
	assert_true(via(n, pair, 1));
	world_port_cost(w, first->ports[1], &down);
	assert_true(until_via(w, n, pair, 2, SECONDS(1)) < SECONDS(1));
	world_port_cost(w, first->ports[1], &up);
	until_via(w, n, pair, 1, SECONDS(30));
	run(w, SECONDS(10));
	world_port_up(w, first->ports[1], false);
	assert_true(until_via(w, n, pair, 2, SECONDS(1)) < SECONDS(1));
	world_port_up(w, first->ports[1], true);
	until_via(w, n, pair, 1, SECONDS(60));
	world_cut(first, true);
	note("a silent cut is noticed after", (double)until_via(w, n, pair, 2, SECONDS(16)) / 1e6, "s");
	finish(w);
}

struct gaps {
	size_t node, pair;
	unsigned int changes, losses;
};

static void count_gaps(struct world *w, struct world_node *n, size_t pair, const struct babel_change *c)
{
	struct gaps *g = w->ctx;

	if (n->number != g->node || pair != g->pair)
		return;
	g->losses += c->action != BABEL_VIA;
	g->changes += c->action == BABEL_VIA && (n->pairs[pair].fib != BABEL_VIA || !ip_addr_equal(&n->pairs[pair].fib_next_hop, &c->next_hop));
}

/* Costs rise on the way, where there is another way and where there is none: the route moves or stays, and is never missing. */
static void rising_cost_loses_nothing(void **state)
{
	struct gaps gaps = { .node = 3 };
	struct world_segment *first;
	struct world *w = square(&gaps.pair, 150, &first);
	struct babel_iface_config config = first->ports[0]->config;
	const struct babel_link_cost dear = { .nominal = 5000 };

	(void)state;
	w->ctx = &gaps;
	w->on_change = count_gaps;
	config.rxcost = 1000;
	world_port_config(w, first->ports[0], &config);
	run(w, SECONDS(60));
	assert_true(via(w->nodes[3], gaps.pair, 2));
	world_carrier(w, first, false);
	run(w, SECONDS(60));
	world_port_cost(w, w->nodes[2]->ports, &dear);	/* in the middle of the only way */
	run(w, SECONDS(200));
	assert_int_equal(w->nodes[3]->pairs[gaps.pair].metric, 5150);
	assert_int_equal(gaps.losses, 0);
	watch_settled(w);
	finish(w);
}

/* Two ways as good as each other, both ever changing a little. */
static void equal_ways_do_not_flap(void **state)
{
	struct gaps gaps = { .node = 3 };
	struct world_segment *first;
	struct world *w = square(&gaps.pair, 96, &first);
	struct world_node *n = w->nodes[3];

	(void)state;
	w->ctx = &gaps;
	w->on_change = count_gaps;
	for (int i = 0; i < 600; i++) {
		for (size_t p = 0; p < 2; p++) {
			struct babel_link_cost c = { .nominal = (uint16_t)(90 + world_draw(&w->random, 13)) };

			world_port_cost(w, &n->ports[p], &c);
		}
		run(w, SECONDS(1));
	}
	note("changes of next hop in ten minutes of noise", gaps.changes, "");
	assert_in_range(gaps.changes, 0, 20);
	assert_int_equal(gaps.losses, 0);
	finish(w);
}

/*
 * 1 loses what it had from 0, who updates every 2 s; 2, to whom it said so every 16 s, does not hear of it: nobody acknowledges, and the hold must
 * last for as long as 2 may go on sending. (babel_watch.c sees to that.)
 */
static void hold_lasts_as_long_as_belief(void **state)
{
	struct world *w = world_new(10, SECONDS(1));
	struct world_segment *near, *far;
	size_t pair;

	(void)state;
	some_nodes(w, 3);
	near = wire(w, 0, 1, 96);
	far = wire(w, 1, 2, 96);
	near->ports[0]->config.update_us = near->ports[1]->config.update_us = SECONDS(2);
	pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], pair, 0);
	world_boot_all(w);
	run(w, SECONDS(60));
	far->deaf[1] = 1;
	world_carrier(w, near, false);
	run(w, SECONDS(3));
	far->deaf[1] = 0;
	run(w, SECONDS(6));
	assert_int_equal(world_fib(w->nodes[1], pair), BABEL_UNREACHABLE);
	assert_true(via(w->nodes[2], pair, 1));
	run(w, SECONDS(120));
	assert_int_equal(world_fib(w->nodes[1], pair), BABEL_NO_ROUTE);
	assert_int_equal(world_fib(w->nodes[2], pair), BABEL_NO_ROUTE);
	finish(w);
}

/*
 * An unclean start.
 */

struct trust {
	int64_t booted_us, acked_us, selected_us;
};

static void see_acks(struct world *w, const struct world_port *from, const struct babel_datagram *d)
{
	struct trust *t = w->ctx;
	struct babel_parser p;
	struct babel_tlv tlv;

	if (from->node->number != 0 || !t->booted_us || t->acked_us || !babel_parse_begin(&p, d->data, d->len, &d->src))
		return;
	while (babel_parse_next(&p, &tlv))
		if (tlv.type == BABEL_ACK)
			t->acked_us = w->now_us;
}

static void see_selection(struct world *w, struct world_node *n, size_t pair, const struct babel_change *c)
{
	struct trust *t = w->ctx;

	if (n->number == 1 && !pair && c->action == BABEL_VIA && t->booted_us && !t->selected_us)
		t->selected_us = w->now_us;
}

/* Node 1 is killed and back within its neighbours' memory; 'deaf': 0 does not hear it any more, but goes on talking. */
static struct trust restart_uncleanly(bool deaf)
{
	struct trust t = { .booted_us = 0 };
	struct world *w = world_new(4, SECONDS(1));
	struct world_segment *s;
	size_t pair;

	some_nodes(w, 2);
	s = wire(w, 0, 1, 96);
	pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], pair, 0);
	world_boot_all(w);
	run(w, SECONDS(100));
	w->ctx = &t;
	w->on_packet = see_acks;
	w->on_change = see_selection;
	world_end(w, w->nodes[1], WORLD_KILLED, MS(500));
	if (deaf)
		s->deaf[0] = 2;
	run(w, MS(400));
	t.booted_us = w->now_us + MS(100);
	run(w, SECONDS(16));
	finish(w);
	return t;
}

static void unclean_start_waits_for_trust(void **state)
{
	struct trust heard = restart_uncleanly(false), deaf = restart_uncleanly(true);

	(void)state;
	assert_true(heard.acked_us > 0);
	assert_true(heard.selected_us > heard.acked_us);
	assert_true(heard.selected_us - heard.booted_us < SECONDS(10));
	assert_true(deaf.acked_us == 0);
	assert_true(deaf.selected_us == 0 || deaf.selected_us - deaf.booted_us >= SECONDS(6));
}

/*
 * Counters that wrap.
 */

static void timestamps_wrap(void **state)
{
	static const struct world_quality far = { .delay_us = 30000 };
	struct world *w = world_new(5, (INT64_C(1) << 32) - SECONDS(60));
	struct gaps gaps = { .node = 1 };
	struct babel_neighbour_info info;

	(void)state;
	some_nodes(w, 2);
	w->nodes[1]->skew_us = -SECONDS(30);
	world_link(w, w->nodes[0], w->nodes[1], BABEL_TUNNEL, &far);
	gaps.pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], gaps.pair, 0);
	world_boot_all(w);
	run(w, SECONDS(40));
	w->ctx = &gaps;
	w->on_change = count_gaps;
	for (int i = 0; i < 100; i++) {
		run(w, SECONDS(1));
		assert_true(babel_neighbour_at(w->nodes[i % 2]->babel, 0, &info));
		assert_true(info.has_rtt);
		assert_in_range(info.rtt_us, 55000, 65000);
	}
	assert_int_equal(gaps.losses, 0);
	finish(w);
}

static void give_key(struct world *w)
{
	for (size_t i = 0; i < w->node_count; i++)
		for (size_t p = 0; p < w->nodes[i]->port_count; p++) {
			struct babel_iface_config *c = &w->nodes[i]->ports[p].config;

			c->key_count = 1;
			c->keys[0] = (struct babel_key){ .kind = p % 2 ? BABEL_MAC_BLAKE2S_128 : BABEL_MAC_HMAC_SHA256, .len = 32,
							 .bytes = { 1, 2, 3 } };
			c->keys[0].kind = BABEL_MAC_HMAC_SHA256;
		}
}

static void packet_counters_wrap(void **state)
{
	struct world *w = world_new(6, SECONDS(1));
	struct gaps gaps = { .node = 1 };
	struct babel_iface_info info;
	struct world_port *p;

	(void)state;
	some_nodes(w, 2);
	wire(w, 0, 1, 96);
	give_key(w);
	gaps.pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], gaps.pair, 0);
	world_boot_all(w);
	run(w, SECONDS(60));
	assert_true(via(w->nodes[1], gaps.pair, 0));
	p = &w->nodes[0]->ports[0];
	p->iface->mac.pc = UINT32_MAX - 10;
	w->ctx = &gaps;
	w->on_change = count_gaps;
	run(w, SECONDS(200));
	assert_true(p->iface->mac.pc < UINT32_MAX / 2);
	assert_int_equal(gaps.losses, 0);
	assert_true(babel_iface_at(w->nodes[1]->babel, 0, &info));
	assert_in_range(info.dropped_mac, 1, 10);
	watch_settled(w);
	finish(w);
}

static void keys_and_loss(void **state)
{
	struct world *w = world_new(7, SECONDS(1));
	size_t pair;

	(void)state;
	some_nodes(w, 5);
	for (size_t i = 0; i < 5; i++)
		wire(w, i, (i + 1) % 5, 96)->quality.loss = 100;
	give_key(w);
	pair = world_pair(w, "fd00:1::/32", NULL);
	world_originate(w, w->nodes[0], pair, 0);
	world_boot_all(w);
	for (size_t i = 1; i < 5; i++)
		until_via(w, w->nodes[i], pair, -1, SECONDS(60));
	run(w, SECONDS(600));
	for (size_t i = 0; i < 5; i++)
		w->segments[i]->quality.loss = 0;
	run(w, SECONDS(200));
	watch_settled(w);
	finish(w);
}

/*
 * Many.
 */

enum { ROUTES = 10000 };

/* Bytes the process has from malloc(); 0 where nobody can tell. */
#if defined(__GLIBC__)
#include <malloc.h>
#if __GLIBC_PREREQ(2, 33)
#define HAVE_MALLINFO2 1
#endif
#endif

static size_t memory_used(void)
{
#ifdef HAVE_MALLINFO2
	return mallinfo2().uordblks;
#else
	return 0;
#endif
}

static void count_route(void *ctx, const struct babel_route_info *r)
{
	*(size_t *)ctx += !r->own && !r->held && r->metric != BABEL_INFINITY;
}

static size_t count_finite(const struct world_node *n)
{
	size_t count = 0;

	babel_routes(n->babel, world_instant(n), count_route, &count);
	return count;
}

static void ten_thousand_routes(void **state)
{
	struct world *w = world_new(8, SECONDS(1));
	struct prefix_pair p = { .dst = { .addr = { .family = IP_V6, .bytes = { 0xfd } }, .len = 128 }, .src = { .addr = { .family = IP_V6 } } };
	size_t before, used, last;
	struct babel_info info;
	int64_t began_us;

	(void)state;
	some_nodes(w, 3);
	wire(w, 0, 1, 96);
	wire(w, 1, 2, 96);
	last = world_pair(w, "fd00::2710/128", NULL);
	world_boot_all(w);
	run(w, SECONDS(20));
	before = memory_used();
	for (unsigned int i = 1; i <= ROUTES; i++) {
		p.dst.addr.bytes[14] = (uint8_t)(i >> 8);
		p.dst.addr.bytes[15] = (uint8_t)i;
		w->nodes[0]->own[last] = i == ROUTES;
		assert_true(babel_originate(w->nodes[0]->babel, &p, 0, world_instant(w->nodes[0])));
	}
	w->nodes[0]->wake_us = w->now_us;
	began_us = w->now_us;
	do {
		run(w, MS(100));
		babel_info(w->nodes[2]->babel, &info);
	} while (info.routes < ROUTES && w->now_us - began_us < SECONDS(60));
	note("10000 routes are two hops away after", (double)(w->now_us - began_us) / 1e6, "s");
	assert_int_equal(info.routes, ROUTES);
	assert_true(w->now_us - began_us < SECONDS(4));
	run(w, SECONDS(100));
	used = memory_used() - before;
	note("memory of a prefix, of its own node and two more", (double)used / ROUTES, "bytes");
	assert_true(used < 3 * 1024 * (size_t)ROUTES);
	assert_true(via(w->nodes[2], last, 1));
	world_port_up(w, &w->nodes[1]->ports[0], false);
	began_us = w->now_us;
	do {
		run(w, MS(100));
		babel_info(w->nodes[2]->babel, &info);
	} while (count_finite(w->nodes[2]) && w->now_us - began_us < SECONDS(60));
	note("...and are known to be lost there after", (double)(w->now_us - began_us) / 1e6, "s");
	assert_true(w->now_us - began_us < SECONDS(4));
	run(w, SECONDS(400));
	babel_info(w->nodes[2]->babel, &info);
	assert_int_equal(info.routes, 0);
	assert_int_equal(info.prefixes, 0);
	finish(w);
}

/* 5 x 10 nodes, a prefix each, Hellos every 4 s. */
static struct world *grid(void)
{
	struct world *w = world_new(9, SECONDS(1));

	some_nodes(w, 50);
	for (size_t i = 0; i < 50; i++) {
		char text[PREFIX_TEXT_MAX];

		if (i % 10)
			wire(w, i, i - 1, 96);
		if (i >= 10)
			wire(w, i, i - 10, 96);
		snprintf(text, sizeof(text), "fd00:%zx::/32", i + 1);
		world_originate(w, w->nodes[i], world_pair(w, text, NULL), 0);
	}
	world_boot_all(w);
	return w;
}

static void fifty_nodes(void **state)
{
	struct world *w = grid();
	struct world_counts before;
	double bytes;

	(void)state;
	for (size_t i = 0; i < 50; i++)
		for (size_t k = 0; k < 50; k++)
			if (i != k)
				until_via(w, w->nodes[i], k, -1, SECONDS(16) - w->now_us);
	note("a grid of 50 with Hellos every 4 s is connected after", (double)(w->now_us - SECONDS(1)) / 1e6, "s");
	run(w, SECONDS(300));
	watch_settled(w);
	good(w);
	before = w->counts;
	w->unwatched = true;
	run(w, SECONDS(3600));
	bytes = (double)(w->counts.bytes - before.bytes);
	note("a quiet hour of it, payload of all nodes", bytes / 1e6, "MB");
	note("...of a node and interface", bytes / 170 / 3600, "bytes/s");
	note("...packets of an interface", (double)(w->counts.packets - before.packets) / 170 / 3600, "packets/s");
	finish(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_repeats_itself),
		cmocka_unit_test(starved_node_asks),
		cmocka_unit_test(hidden_way_is_told),
		cmocka_unit_test(seqno_wraps),
		cmocka_unit_test(line_survives_restarts),
		cmocka_unit_test(feasible_alternative_is_taken_at_once),
		cmocka_unit_test(rising_cost_loses_nothing),
		cmocka_unit_test(equal_ways_do_not_flap),
		cmocka_unit_test(hold_lasts_as_long_as_belief),
		cmocka_unit_test(unclean_start_waits_for_trust),
		cmocka_unit_test(timestamps_wrap),
		cmocka_unit_test(packet_counters_wrap),
		cmocka_unit_test(keys_and_loss),
		cmocka_unit_test(ten_thousand_routes),
		cmocka_unit_test(fifty_nodes),
		cmocka_unit_test(many_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
