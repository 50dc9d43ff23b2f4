/* SPDX-License-Identifier: MIT */
/*
 * What the routes half of Babel selects, holds and tells. Names of rules are those of the reference. At the end many routes, and any sequence
 * of events against what must always hold.
 */
#include "babel_routes.h"

#define P "2001:db8:1::/48"
#define COVER "2001:db8::/32"

static void smallest_metric_first(void **state)
{
	(void)state;
	set_cost(0, 500);
	hear(1, P, rid_s, 10, 300);
	assert_int_equal(via(P), 1);
	hear(2, P, rid_s, 10, 300);		/* B3: not for nothing */
	assert_int_equal(via(P), 1);
	hear(0, P, rid_s, 12, 100);		/* B1: newer, but that does not count */
	pass(50 * US_PER_S);
	assert_int_equal(via(P), 1);
	hear_retraction(1, P);
	assert_int_equal(via(P), 2);
	stage->n[2].trusted = false;
	routes_neighbour_changed(&stage->b, &stage->n[2]);
	assert_int_equal(via(P), 0);
	set_cost(0, BABEL_INFINITY);
	assert_int_equal(via(P), -1);
	set_cost(0, 65000);			/* 65100 is still a metric */
	assert_int_equal(via(P), 0);
	set_cost(0, 65435);			/* L6 */
	assert_int_equal(via(P), -1);
}

/* B4: ours wins, theirs are kept. */
static void own_origination_wins(void **state)
{
	struct prefix_pair p = pair(P);
	struct babel_change c;

	(void)state;
	hear(0, P, rid_s, 10, 0);
	assert_true(babel_next_change(&stage->b, &c));
	assert_int_equal(c.action, BABEL_VIA);
	assert_ptr_equal(c.iface, &stage->iface[0]);
	assert_true(ip_addr_equal(&c.next_hop, &stage->n[0].address));
	assert_int_equal(c.metric, 100);
	assert_false(babel_next_change(&stage->b, &c));
	forget_sent();
	babel_originate(&stage->b, &p, 1000, stage->b.now);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_OWN);
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_RELIABLE);
	hear(1, P, rid_s, 10, 0);
	assert_int_equal(via(P), -1);
	assert_false(babel_next_change(&stage->b, &c) && !c.announcers_changed);
	babel_withdraw(&stage->b, &p, stage->b.now);
	assert_int_equal(action_after(P, BABEL_OWN), BABEL_VIA);
	assert_int_equal(via(P) == 0 || via(P) == 1, 1);
}

/* B2: two routes as good as each other, and both noisy, for an hour. */
static void noise_does_not_flap(void **state)
{
	uint64_t before;

	(void)state;
	hear(0, P, rid_s, 10, 100);
	hear(1, P, rid_s, 10, 100);
	before = stage->b.route_changes;
	for (int t = 0; t < 3600; t++) {
		set_cost(draw(2), (uint16_t)(180 + draw(41)));
		if (t % 16 == 0) {
			hear(0, P, rid_s, 10, 100);
			hear(1, P, rid_s, 10, 100);
		}
		pass(US_PER_S);
	}
	assert_in_range(stage->b.route_changes - before, 0, 3);
}

/* Better by how much takes how long: the bigger the gain, the sooner; any lasting one in the end; none after a mere moment of it. */
static void better_routes_are_taken(void **state)
{
	static const struct {
		uint16_t metric;
		int from_s, to_s;
	} table[] = { { 400, 0, 1 }, { 700, 6, 10 }, { 880, 8, 25 }, { 899, 8, 75 }, { 900, 1000, 1000 } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char prefix[64];
		int t = 0;

		snprintf(prefix, sizeof(prefix), "2001:db8:%zx::/48", 100 + i);
		hear(0, prefix, rid_s, 10, 900);
		pass(30 * US_PER_S);
		for (; t < 1000; t++) {
			hear(0, prefix, rid_s, 10, 900);
			hear(1, prefix, rid_s, 10, table[i].metric);
			if (via(prefix) == 1)
				break;
			pass(US_PER_S);
		}
		assert_in_range(t, table[i].from_s, table[i].to_s);
	}
	hear(0, P, rid_s, 10, 300);
	hear(1, P, rid_s, 10, 400);
	pass(30 * US_PER_S);
	hear(1, P, rid_s, 10, 250);
	pass(US_PER_S);
	hear(1, P, rid_s, 10, 400);
	pass(20 * US_PER_S);
	assert_int_equal(via(P), 0);
}

/* What is unusable is left at once, and a catastrophe within half a second. */
static void worse_routes_are_left(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	hear(1, P, rid_s, 10, 150);
	pass(30 * US_PER_S);
	set_cost(0, 20000);
	pass(500 * US_PER_MS);
	assert_int_equal(via(P), 1);
	set_cost(0, 100);
	set_cost(1, BABEL_INFINITY);
	assert_int_equal(via(P), 0);
}

static void smoothing(void **state)
{
	struct smooth s = { .metric = BABEL_INFINITY };
	int64_t now_us = 5000000;

	(void)state;
	smooth_set(&s, 200, now_us);
	assert_int_equal(smooth_metric(&s, now_us), 400);
	assert_int_equal(smooth_metric(&s, now_us + BABEL_SMOOTH_US), 300);
	assert_int_equal(smooth_metric(&s, now_us + 3 * BABEL_SMOOTH_US), 225);
	now_us += 100 * BABEL_SMOOTH_US;
	assert_int_equal(smooth_metric(&s, now_us), 200);
	smooth_set(&s, 100, now_us);
	assert_int_equal(smooth_metric(&s, now_us), 200);
	assert_in_range(smooth_metric(&s, now_us + BABEL_SMOOTH_US / 2), 169, 172);	/* 100 + 100 / sqrt(2) */
	smooth_set(&s, BABEL_INFINITY, now_us);
	assert_int_equal(smooth_metric(&s, now_us), BABEL_INFINITY);
	smooth_set(&s, 65534, now_us);
	assert_int_equal(smooth_metric(&s, now_us), BABEL_INFINITY);
	for (int i = 0; i < 100; i++)
		smooth_set(&s, i % 2 ? 1 : 65534, now_us);
	assert_in_range(smooth_metric(&s, now_us + BABEL_SMOOTH_US), 1, BABEL_INFINITY);
}

/* N4, K1, K2: what was lost is unreachable, though a shorter prefix is there, until its time is over. */
static void a_lost_prefix_is_held(void **state)
{
	struct babel_update u;

	(void)state;
	meet(3);
	hear(0, P, rid_s, 10, 100);
	hear(1, COVER, rid_t, 10, 100);
	say(1, P, NULL);
	assert_int_equal(action_after(P, BABEL_NO_ROUTE), BABEL_VIA);
	forget_sent();
	hear_retraction(0, P);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_UNREACHABLE);
	assert_int_equal(via(COVER), 1);
	assert_int_equal(count_sent(SENT_UPDATE, -1), 1);
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_RELIABLE);
	assert_null(last_sent(SENT_UPDATE)->iface);
	assert_true(say(1, P, &u));
	assert_int_equal(u.metric, BABEL_INFINITY);
	pass(57 * US_PER_S - 1);	/* 3.5 update intervals and a second */
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_UNREACHABLE);
	pass(1);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_NO_ROUTE);
}

/* K2, K3, K4 and what ends it: a route; K3: the default route is not held. */
static void a_hold_ends_with_a_route(void **state)
{
	struct prefix_pair p = pair(P);

	(void)state;
	meet(3);
	hear(0, P, rid_s, 10, 100);
	hear(0, "::/0", rid_s, 10, 100);
	hear(0, "::/0 from 2001:db8::/32", rid_s, 10, 100);
	hear(0, "0.0.0.0/0", rid_s, 10, 100);
	hear(0, "2001:db8:5::/48 from 2001:db8:6::/48", rid_s, 10, 100);
	hear(0, "2001:db8:5::/48", rid_s, 10, 100);
	hear_retraction(0, "2001:db8:5::/48 from 2001:db8:6::/48");
	assert_int_equal(action_after("2001:db8:5::/48 from 2001:db8:6::/48", BABEL_VIA), BABEL_UNREACHABLE);
	set_cost(0, BABEL_INFINITY);
	assert_int_equal(via("::/0"), -1);
	hear(1, P, rid_s, 10, 100);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_VIA);
	hear_retraction(1, P);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_UNREACHABLE);
	babel_originate(&stage->b, &p, 0, stage->b.now);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_OWN);
	babel_withdraw(&stage->b, &p, stage->b.now);
	assert_int_equal(action_after(P, BABEL_OWN), BABEL_UNREACHABLE);
	pass(100 * US_PER_S);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_NO_ROUTE);
}

static void no_default_is_unreachable(void **state)
{
	static const char *const defaults[] = { "::/0", "0.0.0.0/0", "::/0 from 2001:db8::/32" };

	(void)state;
	meet(2);
	for (size_t i = 0; i < 3; i++) {
		hear(0, defaults[i], rid_s, 10, 100);
		say(1, defaults[i], NULL);
		assert_int_equal(action_after(defaults[i], BABEL_NO_ROUTE), BABEL_VIA);
		hear_retraction(0, defaults[i]);
		assert_int_equal(action_after(defaults[i], BABEL_VIA), BABEL_NO_ROUTE);
		assert_true(say(1, defaults[i], NULL));		/* but it is retracted */
	}
}

static struct babel_prefix *only_prefix(void)
{
	struct babel_prefix *all[2];

	assert_int_equal(announce_all(&stage->b, all), 1);
	return all[0];
}

/*
 * K2 b: every reachable neighbour acknowledged our retraction. One's own retraction only counts where there are too many to be asked: it may
 * find what we said before good again, when its link to us is up again.
 */
static void a_hold_ends_when_all_know(void **state)
{
	struct babel_prefix *p;

	(void)state;
	meet(4);
	set_cost(3, BABEL_INFINITY);		/* knows nothing, and cannot send us anything either */
	hear(0, P, rid_s, 10, 100);
	hear_retraction(1, P);			/* long ago: it may have taken ours since */
	say(1, P, NULL);
	hear(2, P, rid_s, 10, 900);		/* unfeasible */
	p = only_prefix();
	hear_retraction(0, P);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_UNREACHABLE);
	routes_acked(&stage->b, &stage->n[1], p);	/* of something older: the retraction has not gone out */
	routes_acked(&stage->b, &stage->n[2], p);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_UNREACHABLE);
	say(1, P, NULL);
	routes_acked(&stage->b, &stage->n[2], p);
	hear(2, P, rid_s, 10, 900);		/* it has a route of its own, and knows */
	routes_acked(&stage->b, &stage->n[2], p);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_UNREACHABLE);
	routes_acked(&stage->b, &stage->n[0], p);
	hear_retraction(1, P);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_UNREACHABLE);
	stage->iface[1].neighbour_count = BABEL_ACK_NEIGHBOURS + 1;
	hear_retraction(1, P);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_NO_ROUTE);
	assert_int_equal(stage->b.now.mono_us, 1000 * US_PER_S);

	hear(0, P, rid_s, 11, 100);		/* the next loss is another one: nobody knows of it yet */
	say(1, P, NULL);
	hear_retraction(0, P);
	assert_int_equal(action_after(P, BABEL_NO_ROUTE), BABEL_UNREACHABLE);
	hear_retraction(1, P);
	assert_int_equal(action_after(P, BABEL_UNREACHABLE), BABEL_UNREACHABLE);
}

/* Nobody else was there: no one can be sending us such packets. But with nobody in reach at all it is the timer's. */
static void a_hold_at_the_edge(void **state)
{
	(void)state;
	meet(1);
	hear(0, P, rid_s, 10, 100);
	hear_retraction(0, P);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_NO_ROUTE);
	hear(0, P, rid_s, 10, 100);
	say(0, P, NULL);
	set_cost(0, BABEL_INFINITY);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_UNREACHABLE);
}

/* U3, U4, U5: what is told out of turn, and how. */
static void triggered_updates(void **state)
{
	static const struct {
		uint16_t from, to;
		int urgency;			/* -1: none */
	} table[] = {
		{ 100, 100, -1 }, { 100, 483, -1 }, { 100, 484, SEND_WHENEVER }, { 100, 611, SEND_WHENEVER }, { 100, 612, SEND_URGENT },
		{ 1600, 1900, -1 }, { 1600, 2300, SEND_WHENEVER }, { 2000, 1000, -1 }, { 2000, 976, SEND_WHENEVER },
		{ 100, BABEL_INFINITY, SEND_RELIABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "2001:db8:%zx::/48", 100 + i);
		forget_sent();
		hear(0, prefix, rid_s, 10, table[i].from);
		assert_int_equal(stage->sent_count, 1);
		assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_URGENT);
		say(3, prefix, NULL);
		forget_sent();
		hear(0, prefix, rid_s, 11, table[i].to);
		assert_int_equal(stage->sent_count, table[i].urgency >= 0);
		if (table[i].urgency >= 0)
			assert_int_equal(last_sent(SENT_UPDATE)->urgency, table[i].urgency);
	}
	hear(0, P, rid_s, 10, 1000);
	forget_sent();
	for (uint16_t m = 1010; m < 1410; m = (uint16_t)(m + 10))	/* creeping counts from what was told */
		hear(0, P, rid_s, 11, m);
	assert_int_equal(stage->sent_count, 1);
}

static void show(void *ctx, const struct babel_route_info *r)
{
	char *at = ctx;

	snprintf(at + strlen(at), 256 - strlen(at), "%s%s%s%s%u ", r->own ? "own " : "", r->held ? "held " : "",
		 r->selected ? "selected " : "", r->feasible ? "feasible " : "", r->metric);
}

static void routes_are_shown(void **state)
{
	struct prefix_pair p = pair(P);
	char text[256] = "";

	(void)state;
	meet(3);
	hear(0, P, rid_s, 10, 100);
	say(3, P, NULL);
	hear(1, P, rid_s, 10, 300);
	babel_routes(&stage->b, stage->b.now, show, text);
	assert_string_equal(text, "400 selected feasible 200 ");
	text[0] = 0;
	babel_originate(&stage->b, &p, 5, stage->b.now);
	babel_routes(&stage->b, stage->b.now, show, text);
	assert_string_equal(text, "own selected feasible 5 400 feasible 200 ");
	text[0] = 0;
	routes_neighbour_gone(&stage->b, &stage->n[0]);
	babel_withdraw(&stage->b, &p, stage->b.now);
	babel_routes(&stage->b, stage->b.now, show, text);
	assert_string_equal(text, "held 65535 400 ");
}

/* Neighbour 'k' announces 'count' prefixes, from the 'first' on. */
static void hear_many(unsigned int k, uint32_t first, uint32_t count)
{
	struct babel_tlv u = update_tlv(k, "2001:db8::/64", rid_s, 10, 100);

	for (uint32_t i = first; i < first + count; i++) {
		memcpy(u.prefix.dst.addr.bytes + 4, &i, sizeof(i));
		routes_update(&stage->b, &stage->n[k], &u);
	}
}

/* 10^5 prefixes of one neighbour: what fits is taken, the rest counted and logged once; all goes in no time when it goes. */
static void too_many_routes(void **state)
{
	struct babel_change c;

	(void)state;
	hear_many(0, 0, 100000);
	assert_int_equal(stage->n[0].route_count, BABEL_ROUTES_NEIGHBOUR);
	assert_int_equal(stage->b.prefix_count, BABEL_ROUTES_NEIGHBOUR);
	assert_int_equal(stage->b.refused, 100000 - BABEL_ROUTES_NEIGHBOUR);
	assert_int_equal(stage->warnings, 1);
	set_cost(0, 200);
	routes_neighbour_gone(&stage->b, &stage->n[0]);
	while (babel_next_change(&stage->b, &c))
		assert_int_equal(c.action, BABEL_UNREACHABLE);
	pass(60 * US_PER_S);
	while (babel_next_change(&stage->b, &c))
		assert_int_equal(c.action, BABEL_NO_ROUTE);
	assert_int_equal(stage->b.prefix_count, 0);
	hear(1, P, rid_t, 1, 1);
	assert_int_equal(via(P), 1);
}

/* However much neighbours announce together, one with few routes still gets some, and our own find theirs. */
static void room_for_the_few(void **state)
{
	struct prefix_pair own = pair("10.0.0.0/32");
	unsigned int taken = 0;

	(void)state;
	for (unsigned int k = 0; k < 6; k++)
		hear_many(k, k * 100000, 20000);
	assert_int_equal(stage->n[0].route_count, BABEL_ROUTES_NEIGHBOUR);
	assert_int_equal(stage->n[4].route_count, BABEL_ROUTES_FEW);
	hear(6, P, rid_t, 1, 1);
	assert_int_equal(via(P), 6);
	hear_many(6, 6 * 100000, 20000);
	hear_many(7, 7 * 100000, 1000);
	assert_int_equal(stage->n[6].route_count, BABEL_ROUTES_FEW);
	assert_int_equal(stage->n[7].route_count, 1000);
	hear_many(4, 0, 20000);			/* of what is known there may be more routes */
	assert_int_equal(stage->n[4].route_count, BABEL_ROUTES_NEIGHBOUR);
	for (unsigned int i = 0; i < 30000; i++) {
		own.dst.addr.bytes[2] = (uint8_t)(i >> 8);
		own.dst.addr.bytes[3] = (uint8_t)i;
		taken += babel_originate(&stage->b, &own, 0, stage->b.now);
	}
	assert_true(taken >= BABEL_PREFIXES_OWN);
	assert_int_equal(stage->b.prefix_count, BABEL_PREFIXES_MAX + BABEL_PREFIXES_OWN);
	hear_many(7, 8 * 100000, 1);
	assert_int_equal(stage->n[7].route_count, 1000);
}

/* Who announces ever new ones, few at a time, fills what is withdrawn but still known, and no more of the reserve than others have. */
static void room_when_one_churns(void **state)
{
	struct babel_tlv wildcard = { .type = BABEL_UPDATE, .wildcard = true, .metric = BABEL_INFINITY };

	(void)state;
	for (unsigned int k = 0; k < 4; k++)
		hear_many(k, k * 100000, 20000);
	for (unsigned int round = 0; round < 40; round++) {
		hear_many(4, (10 + round) * 100000, 500);
		routes_update(&stage->b, &stage->n[4], &wildcard);
		routes_neighbour_gone(&stage->b, &stage->n[4]);		/* and comes again */
		routes_neighbour_changed(&stage->b, &stage->n[4]);
		pass(US_PER_S / 4);
	}
	assert_in_range(stage->b.prefix_count, BABEL_PREFIXES_MAX - BABEL_RESERVE, BABEL_PREFIXES_MAX - BABEL_RESERVE + BABEL_ROUTES_FEW);
	hear(5, P, rid_t, 1, 1);
	assert_int_equal(via(P), 5);
	for (int i = 0; i < 30; i++) {
		pass(10 * US_PER_S);
		hear_many(0, 0, 20000);
	}
	hear_many(4, 100 * 100000, 1000);
	assert_int_equal(stage->n[4].route_count, 1000);		/* all is forgotten */
}

enum { PREFIXES = 6, LINKS = 4 };

static const char *const some[PREFIXES] = { P, COVER, "::/0", "::/0 from 2001:db8::/32", "10.0.0.0/8", "10.1.0.0/16" };
static const uint8_t ids[3][BABEL_ROUTER_ID_LEN] = { { 0x51 }, { 0x52 }, { 1 } };

/* What was last seen of every distance. */
struct seen {
	bool has;
	uint16_t seqno, metric;
};

static void event(void)
{
	unsigned int k = draw(LINKS);
	const char *p = some[draw(PREFIXES)];
	const uint8_t *id = ids[draw(3)];
	struct prefix_pair pp = pair(p);
	struct babel_update u;

	switch (draw(14)) {
	case 0:
		hear_retraction(k, p);
		break;
	case 1:
		set_cost(k, draw(3) ? (uint16_t)(1 + draw(600)) : BABEL_INFINITY);
		break;
	case 2:
		if (draw(8) == 0)
			routes_neighbour_gone(&stage->b, &stage->n[k]);
		break;
	case 3:
		hear_seqno_request(k, p, id, (uint16_t)(stage->b.seqno + draw(3)), (uint8_t)draw(4));
		break;
	case 4:
		if (draw(2))
			babel_originate(&stage->b, &pp, (uint16_t)draw(300), stage->b.now);
		else
			babel_withdraw(&stage->b, &pp, stage->b.now);
		break;
	case 5:
		pass(draw(20) * US_PER_S);
		break;
	case 6:
	case 7:
	case 8:
		say(k, p, &u);
		break;
	default:
		hear(k, p, id, (uint16_t)(65534 + draw(4)), (uint16_t)draw(700));
	}
}

static void hold_true(struct seen seen[PREFIXES][3])
{
	for (unsigned int i = 0; i < PREFIXES; i++) {
		struct prefix_pair pp = pair(some[i]);
		struct babel_route_info r;
		uint16_t seqno, metric;

		for (unsigned int k = 0; k < 3; k++) {
			struct seen *s = &seen[i][k], is = { 0 };

			is.has = babel_distance(&stage->b, &pp, ids[k], &is.seqno, &is.metric);
			if (is.has && s->has)
				assert_true(seqno_newer(is.seqno, s->seqno) || (is.seqno == s->seqno && is.metric <= s->metric));
			*s = is;
		}
		if (!babel_selected(&stage->b, &pp, &r))
			continue;
		assert_true(r.feasible);
		assert_true(r.metric > r.announced && r.metric < BABEL_INFINITY);
		assert_memory_not_equal(r.router_id, our_id, sizeof(our_id));
		if (babel_distance(&stage->b, &pp, r.router_id, &seqno, &metric))
			assert_true(seqno_newer(r.seqno, seqno) || (r.seqno == seqno && r.announced < metric));
	}
}

/* Full updates that are under way are shared for as long as this number is the same: then they must tell the same, in the same order. */
struct told {
	uint64_t version;
	size_t count;
	struct prefix_pair pairs[PREFIXES];
};

static void hold_version(struct told *told)
{
	struct babel_prefix *all[PREFIXES];
	struct told is = { .version = stage->b.told_version, .count = announce_all(&stage->b, all) };

	for (size_t k = 0; k < is.count; k++)
		is.pairs[k] = *prefix_pair_of(all[k]);
	if (is.version == told->version) {
		assert_int_equal(is.count, told->count);
		for (size_t k = 0; k < is.count; k++)
			assert_true(prefix_pair_equal(&is.pairs[k], &told->pairs[k]));
	}
	*told = is;
}

/* Any events in any order: what is selected is feasible, distances only get better (F6), and in the end nothing is left. */
static void anything_goes(void **state)
{
	static struct seen seen[PREFIXES][3];
	struct told told = { 0 };
	struct babel_change c;

	(void)state;
	meet(LINKS);
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 200000; i++) {
		event();
		hold_true(seen);
		hold_version(&told);
		if (draw(4) == 0)
			while (babel_next_change(&stage->b, &c))
				assert_true(c.action != BABEL_UNREACHABLE || c.prefix.dst.len);
	}
	assert_in_range(stage->b.refused, 0, 0);
	for (unsigned int i = 0; i < PREFIXES; i++) {
		struct prefix_pair pp = pair(some[i]);

		babel_withdraw(&stage->b, &pp, stage->b.now);
	}
	pass(2000 * US_PER_S);
	while (babel_next_change(&stage->b, &c))
		assert_int_equal(c.action, BABEL_NO_ROUTE);
	assert_int_equal(stage->b.prefix_count, 0);
	assert_int_equal(timers_next(&stage->b.timers), NEVER_US);
}

/* A judge that believes what 'believed' says, and counts. */
struct court {
	const uint8_t *believed;	/* router-id; NULL: none */
	unsigned int asked;
};

static bool believes(void *ctx, void *owner, const struct ip_addr *neighbour, const struct prefix_pair *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	struct court *c = ctx;

	assert_ptr_equal(owner, &c->asked);
	assert_int_equal(neighbour->family, IP_V6);
	assert_int_equal(p->dst.len, 48);
	c->asked++;
	return c->believed && !memcmp(router_id, c->believed, BABEL_ROUTER_ID_LEN);
}

/* What is not believed is as if a filter denied it, and comes back when it is. */
static void not_everybody_is_believed(void **state)
{
	struct court court = { .believed = rid_s };
	const struct babel_judge judge = { believes, &court };
	struct prefix_pair p = pair(P);
	struct babel_iface *out[BABEL_IFACES_MAX];

	(void)state;
	for (int k = 0; k < STAGE_LINKS; k++)
		stage->iface[k].owner = &court.asked;
	hear(0, P, rid_t, 10, 100);
	assert_int_equal(via(P), 0);
	babel_set_judge(&stage->b, &judge, stage->b.now);
	assert_int_equal(court.asked, 1);
	assert_int_equal(via(P), -1);
	assert_int_equal(babel_announcers(&stage->b, &p, out, BABEL_IFACES_MAX), 0);
	hear(1, P, rid_s, 10, 300);
	assert_int_equal(via(P), 1);
	hear(2, P, rid_t, 11, 0);
	assert_int_equal(via(P), 1);
	/* The same neighbour says it of another origin now. */
	hear(1, P, rid_t, 10, 300);
	assert_int_equal(via(P), -1);
	hear(1, P, rid_s, 11, 300);
	assert_int_equal(via(P), 1);
	/* A retraction needs no leave. */
	court.asked = 0;
	hear_retraction(1, P);
	assert_int_equal(via(P), -1);
	assert_int_equal(court.asked, 0);
	court.believed = rid_t;
	babel_judge_again(&stage->b, stage->b.now);
	assert_int_equal(via(P), 2);
	court.believed = NULL;
	babel_judge_again(&stage->b, stage->b.now);
	assert_int_equal(via(P), -1);
	babel_set_judge(&stage->b, NULL, stage->b.now);
	assert_int_equal(via(P), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(smallest_metric_first), TEST(own_origination_wins), TEST(noise_does_not_flap), TEST(better_routes_are_taken),
		TEST(worse_routes_are_left), TEST(smoothing), TEST(a_lost_prefix_is_held), TEST(a_hold_ends_with_a_route),
		TEST(no_default_is_unreachable), TEST(a_hold_ends_when_all_know), TEST(a_hold_at_the_edge), TEST(triggered_updates),
		TEST(routes_are_shown), TEST(too_many_routes), TEST(room_for_the_few), TEST(room_when_one_churns), TEST(not_everybody_is_believed), TEST(anything_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
