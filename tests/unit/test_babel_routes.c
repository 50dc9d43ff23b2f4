/* SPDX-License-Identifier: MIT */
/* The routes half of Babel: distances, the life of routes, requests, and what is announced. Names of rules are those of the reference. */
#include "babel_routes.h"

#define P "2001:db8:1::/48"
#define Q "2001:db8:2::/48"

/* F1, F4: with a distance of (10, 200) and the selected route gone, what may take its place. */
static void feasibility(void **state)
{
	static const struct {
		uint16_t seqno, metric;
		bool ok;
	} table[] = {
		{ 10, 199, true }, { 10, 200, false }, { 10, 201, false }, { 10, 65000, false }, { 9, 1, false }, { 11, 60000, true },
		{ 10 + 0x7fff, 500, true }, { (uint16_t)(10 + 0x8000), 1, false }, { 10 + 0x8001, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "2001:db8:%zx::/48", 100 + i);
		hear(0, prefix, rid_s, 10, 100);
		assert_true(say(3, prefix, NULL));
		assert_distance(prefix, rid_s, 10, 200);
		hear(1, prefix, rid_s, table[i].seqno, table[i].metric);
		hear_retraction(0, prefix);
		assert_int_equal(via(prefix), table[i].ok ? 1 : -1);
	}
}

/* D2: the number after 65535 is 0. */
static void feasibility_wraps(void **state)
{
	(void)state;
	hear(0, P, rid_s, 65535, 100);
	say(3, P, NULL);
	assert_distance(P, rid_s, 65535, 200);
	hear(1, P, rid_s, 65534, 1);
	hear(2, P, rid_s, 0, 1000);
	hear_retraction(0, P);
	assert_int_equal(via(P), 2);
	say(3, P, NULL);
	assert_distance(P, rid_s, 0, 1100);
	hear(0, P, rid_s, 65535, 1);
	assert_int_equal(via(P), 2);
}

/* F2, F5, U9: what announce_update() hands out is recorded when it returns, only gets better, and a retraction records nothing. */
static void distance_is_recorded_with_the_announcement(void **state)
{
	struct babel_filter add = { .direction = BABEL_FILTER_OUT, .has_add = true, .add = 50, .iface = "if3" };
	struct prefix_pair own = pair(Q), p = pair(P);
	struct babel_update u;
	uint16_t seqno, metric;

	(void)state;
	assert_true(babel_set_filters(&stage->b, &add, 1, stage->b.now));
	hear(0, P, rid_s, 10, 100);
	assert_false(babel_distance(&stage->b, &p, rid_s, &seqno, &metric));
	assert_true(say(3, P, &u));
	assert_int_equal(u.metric, 250);
	assert_distance(P, rid_s, 10, 250);
	assert_true(say(4, P, &u));
	assert_int_equal(u.metric, 200);
	assert_distance(P, rid_s, 10, 200);
	say(3, P, NULL);
	assert_distance(P, rid_s, 10, 200);
	hear_retraction(0, P);
	assert_true(say(4, P, &u));
	assert_int_equal(u.metric, BABEL_INFINITY);
	assert_distance(P, rid_s, 10, 200);

	assert_true(babel_originate(&stage->b, &own, 30, stage->b.now));
	assert_true(say(4, Q, &u));
	assert_int_equal(u.metric, 30);
	assert_memory_equal(u.router_id, our_id, sizeof(our_id));
	assert_distance(Q, our_id, 7, 30);
}

/* U6: what split horizon hides is not said, and so not recorded. */
static void split_horizon(void **state)
{
	struct babel_prefix *all[4];
	struct prefix_pair p = pair(P);
	struct babel_update u;
	uint16_t seqno, metric;

	(void)state;
	stage->iface[0].config.split_horizon = true;
	hear(0, P, rid_s, 10, 100);
	assert_false(say(0, P, &u));
	assert_false(babel_distance(&stage->b, &p, rid_s, &seqno, &metric));
	assert_int_equal(announce_all(&stage->b, all), 1);
	assert_true(announce_update(&stage->b, all[0], &stage->iface[0], true, &u));	/* asked for by name */
	assert_int_equal(u.metric, 200);
	assert_true(say(1, P, &u));
	hear_retraction(0, P);
	assert_true(say(0, P, &u));		/* a loss concerns everybody */
	assert_int_equal(u.metric, BABEL_INFINITY);
}

/* However long the interval that was claimed: what is retracted is not remembered for longer than a hold takes. */
static void a_retracted_route_is_forgotten(void **state)
{
	struct babel_tlv u = update_tlv(0, P, rid_s, 10, 100);

	(void)state;
	u.interval_cs = 65534;
	routes_update(&stage->b, &stage->n[0], &u);
	hear_retraction(0, P);
	pass(170 * US_PER_S);
	assert_int_equal(stage->b.route_count, 1);
	pass(11 * US_PER_S);
	assert_int_equal(stage->b.route_count, 0);
}

/* F3: 180 s after it was last announced, and not while it is. */
static void distance_is_forgotten(void **state)
{
	struct prefix_pair p = pair(P);
	uint16_t seqno, metric;

	(void)state;
	hear(0, P, rid_s, 10, 100);
	say(3, P, NULL);
	for (int i = 0; i < 40; i++) {
		hear(0, P, rid_s, 10, 100);
		pass(10 * US_PER_S);
	}
	assert_distance(P, rid_s, 10, 200);	/* it is what neighbours still have */
	say(3, P, NULL);
	hear_retraction(0, P);
	for (int i = 0; i < 17; i++) {
		hear(1, P, rid_s, 10, 5000);
		pass(10 * US_PER_S);
	}
	assert_distance(P, rid_s, 10, 200);
	assert_int_equal(via(P), -1);
	for (int i = 0; i < 20; i++) {
		hear(1, P, rid_s, 10, 5000);
		pass(10 * US_PER_S);
	}
	assert_false(babel_distance(&stage->b, &p, rid_s, &seqno, &metric));
	assert_int_equal(via(P), 1);
}

/* Whatever makes a route selected, nobody asks any more for what is there. */
static void requests_end_with_any_change(void **state)
{
	size_t pending = 0;

	(void)state;
	hear(0, P, rid_s, 10, 100);
	say(3, P, NULL);
	hear_retraction(0, P);
	for (int i = 0; via(P) != 1; i++) {	/* until the distance is forgotten */
		assert_true(i < 300);
		if (i % 15 == 7)
			hear(1, P, rid_s, 10, (uint16_t)(5000 + i));
		assert_int_equal(via(P), -1);
		pending = stage->b.request_count;
		pass(US_PER_S);
	}
	assert_int_equal(pending, 1);
	assert_int_equal(stage->b.request_count, 0);
}

/* With the distance goes what kept a route from being used; nothing else has to happen. */
static void a_route_waits_for_the_distance(void **state)
{
	struct babel_tlv u = update_tlv(1, P, rid_s, 10, 5000);

	(void)state;
	u.interval_cs = 0xffff;
	hear(0, P, rid_s, 10, 100);
	say(3, P, NULL);
	routes_update(&stage->b, &stage->n[1], &u);
	hear_retraction(0, P);
	pass(180 * US_PER_S - 1);
	assert_int_equal(via(P), -1);
	pass(1 + US_PER_MS);
	assert_int_equal(via(P), 1);
}

/* A neighbour may not fill the memory with router-ids; what cannot be remembered is not announced. */
static void distances_are_bounded(void **state)
{
	uint8_t id[BABEL_ROUTER_ID_LEN] = { 9 };
	struct babel_update u;

	(void)state;
	for (unsigned int i = 0; i < BABEL_SOURCES_PREFIX + 10; i++) {
		id[7] = (uint8_t)i;
		hear(0, P, id, 1, 100);
		assert_true(say(3, P, &u));
		assert_int_equal(u.metric == BABEL_INFINITY, i >= BABEL_SOURCES_PREFIX);
	}
	assert_int_equal(stage->b.source_count, BABEL_SOURCES_PREFIX);
	assert_int_equal(stage->b.refused, 10);
	assert_int_equal(stage->warnings, 1);
}

/* R2, R3, R4: a selected route's neighbour is asked before it expires; then it is lost, and later forgotten. */
static void expiry(void **state)
{
	(void)state;
	meet(2);
	hear(0, P, rid_s, 10, 100);
	hear(1, P, rid_s, 10, 300);
	forget_sent();
	pass(40 * US_PER_S - 1);
	assert_int_equal(count_sent(SENT_ROUTE_REQUEST, -1), 0);
	pass(1);
	assert_int_equal(count_sent(SENT_ROUTE_REQUEST, 0), 1);
	assert_int_equal(count_sent(SENT_ROUTE_REQUEST, 1), 0);	/* nobody uses that one */
	hear(1, P, rid_s, 10, 300);
	pass(16 * US_PER_S - 1);
	assert_int_equal(via(P), 0);
	assert_int_equal(count_sent(SENT_ROUTE_REQUEST, 0), 2);
	pass(1);
	assert_int_equal(via(P), 1);
	assert_int_equal(stage->n[0].route_count, 1);
	pass(56 * US_PER_S);
	assert_int_equal(stage->n[0].route_count, 0);
	pass(1000 * US_PER_S);
	assert_int_equal(stage->b.route_count, 0);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_NO_ROUTE);
	assert_int_equal(stage->b.prefix_count, 0);
}

static void an_update_in_time_keeps_the_route(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	for (int i = 0; i < 20; i++) {
		pass(39 * US_PER_S);
		hear(0, P, rid_s, 10, 100);
	}
	assert_int_equal(count_sent(SENT_ROUTE_REQUEST, -1), 0);
	assert_int_equal(via(P), 0);
}

/* An update that is not repeated does not expire; its retraction does. */
static void an_unrepeated_route_stays(void **state)
{
	struct babel_tlv u = update_tlv(0, P, rid_s, 10, 100);

	(void)state;
	u.interval_cs = 0xffff;
	routes_update(&stage->b, &stage->n[0], &u);
	pass(100000 * US_PER_S);
	assert_int_equal(via(P), 0);
	hear_retraction(0, P);
	pass(100000 * US_PER_S);
	assert_int_equal(stage->b.route_count, 0);
}

static void a_retraction_does_not_refresh(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	for (int i = 0; i < 5; i++) {
		pass(10 * US_PER_S);
		hear_retraction(0, P);
	}
	assert_int_equal(stage->n[0].route_count, 1);
	pass(6 * US_PER_S);
	assert_int_equal(stage->n[0].route_count, 0);
}

/* D5, and what is not for routing at all; R5: an interval of 0 is none. */
static void refused_updates(void **state)
{
	static const char *const martians[] = {
		"fe80::/64", "fe80:1::/64", "ff02::/16", "::/128", "::1/128", "127.0.0.0/8", "127.0.0.1/32", "0.0.0.0/32", "0.0.0.0/8",
		"224.0.0.0/4", "239.1.0.0/16", "255.255.255.255/32", "::/0 from fe80::/64", "2001:db8::/32 from ff02::1/128",
	};
	static const char *const fine[] = { "::/0", "0.0.0.0/0", "fec0::/16", "::/96", "::/0 from 2001:db8::/32", "128.0.0.0/8" };
	struct babel_tlv u = update_tlv(0, P, rid_s, 10, 100);

	(void)state;
	for (size_t i = 0; i < sizeof(martians) / sizeof(martians[0]); i++)
		hear(0, martians[i], rid_s, 10, 100);
	hear(0, P, our_id, 10, 100);
	u.interval_cs = 0;
	routes_update(&stage->b, &stage->n[0], &u);
	assert_int_equal(stage->b.route_count, 0);
	assert_int_equal(stage->b.prefix_count, 0);
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		hear(0, fine[i], rid_s, 10, 100);
		assert_int_equal(via(fine[i]), 0);
	}
}

/* Our own prefix comes back with a newer seqno even: it is no route, not now and not after we withdrew it; what the neighbour had is void. */
static void own_prefix_echoed(void **state)
{
	struct prefix_pair p = pair(P);

	(void)state;
	babel_originate(&stage->b, &p, 0, stage->b.now);
	say(0, P, NULL);
	hear(0, P, our_id, 9, 100);
	assert_int_equal(stage->b.route_count, 0);
	assert_int_equal(action_after(P, BABEL_NO_ROUTE), BABEL_OWN);
	babel_withdraw(&stage->b, &p, stage->b.now);
	hear(0, P, our_id, 9, 100);
	assert_int_equal(via(P), -1);

	hear(1, Q, rid_s, 1, 100);
	assert_int_equal(via(Q), 1);
	hear(1, Q, our_id, 9, 100);
	assert_int_equal(via(Q), -1);
}

/* SS3, SS6. */
static void pairs_are_separate(void **state)
{
	static const char *const table[] = { "::/0", "::/0 from 2001:db8:a::/48", "::/0 from 2001:db8:b::/48", "0.0.0.0/0" };
	struct babel_tlv wildcard = { .type = BABEL_UPDATE, .wildcard = true, .metric = BABEL_INFINITY };
	struct babel_update u;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		hear(0, table[i], rid_s, (uint16_t)(10 + i), (uint16_t)(100 * i));
		assert_true(say(3, table[i], &u));
		assert_int_equal(u.metric, 100 * i + 100);
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_distance(table[i], rid_s, 10 + i, 100 * i + 100);
	hear_retraction(0, table[1]);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(via(table[i]), i == 1 ? -1 : 0);
	hear(1, table[2], rid_t, 1, 7);
	routes_update(&stage->b, &stage->n[0], &wildcard);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(via(table[i]), i == 2 ? 1 : -1);
}

/* Two origins of one prefix: a distance each; the change is told reliably (U3). */
static void two_router_ids(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	say(3, P, NULL);
	forget_sent();
	hear(1, P, rid_t, 3, 30000);
	hear_retraction(0, P);
	assert_int_equal(via(P), 1);		/* worse than our distance, but of another origin */
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_RELIABLE);
	assert_null(last_sent(SENT_UPDATE)->iface);
	say(3, P, NULL);
	assert_distance(P, rid_s, 10, 200);
	assert_distance(P, rid_t, 3, 30100);
	forget_sent();
	hear(1, P, rid_s, 10, 150);		/* R1: the same neighbour, now of the other one, and feasible */
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_RELIABLE);
	forget_sent();
	hear(1, P, rid_t, 3, 30100);		/* unfeasible, and not the same router-id: unselected at once */
	assert_int_equal(via(P), -1);
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_RELIABLE);
}

/* Q9, Q5: what is left is unfeasible; one request to who announces it, and its answer is used without any timer. */
static void starvation_and_recovery(void **state)
{
	struct sent *s;

	(void)state;
	hear(0, P, rid_s, 65535, 0);
	say(1, P, NULL);
	hear(1, P, rid_s, 65535, 100);		/* the other side of the triangle: no better than our 100 */
	forget_sent();
	routes_neighbour_gone(&stage->b, &stage->n[0]);
	assert_int_equal(via(P), -1);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 1);
	s = last_sent(SENT_SEQNO_REQUEST);
	assert_ptr_equal(s->neighbour, &stage->n[1]);
	assert_int_equal(s->seqno, 0);		/* the one after 65535 */
	assert_int_equal(s->hop_count, BABEL_HOP_COUNT);
	assert_memory_equal(s->router_id, rid_s, sizeof(rid_s));
	hear(1, P, rid_s, 0, 100);
	assert_int_equal(via(P), 1);
	assert_int_equal(stage->b.request_count, 0);
	forget_sent();
	pass(30 * US_PER_S);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 0);
}

/* It is sent again after 2, 4 and 8 s, and not for ever; the next unfeasible update begins anew. */
static void requests_are_repeated(void **state)
{
	static const int due_s[] = { 0, 2, 6, 14 };

	(void)state;
	hear(0, P, rid_s, 10, 0);
	say(1, P, NULL);
	hear(1, P, rid_s, 10, 100);
	hear(2, P, rid_s, 10, 150);
	forget_sent();
	set_cost(0, BABEL_INFINITY);
	for (int t = 0, i = 0; t < 40; t++) {
		i += i < 4 && due_s[i] == t;
		assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 1), i);
		assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 2), i);
		pass(US_PER_S);
	}
	assert_int_equal(stage->b.request_count, 0);
	hear(1, P, rid_s, 10, 100);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 1), 5);
}

/* Unfeasible, of the selected route: packets go on while its origin is asked (3.5.4 MAY, Q6). */
static void a_rise_of_the_metric_keeps_forwarding(void **state)
{
	struct babel_update u;

	(void)state;
	hear(0, P, rid_s, 10, 100);
	say(3, P, NULL);
	action_after(P, BABEL_NO_ROUTE);
	forget_sent();
	hear(0, P, rid_s, 10, 900);
	assert_int_equal(via(P), 0);
	assert_int_equal(action_after(P, BABEL_VIA), BABEL_VIA);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 0), 1);
	assert_int_equal(last_sent(SENT_SEQNO_REQUEST)->seqno, 11);
	assert_int_equal(count_sent(SENT_UPDATE, -1), 0);
	hear(0, P, rid_s, 10, 900);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 1);
	assert_true(say(3, P, &u));
	assert_int_equal(u.metric, 200);		/* the values that are kept are feasible */
	hear(0, P, rid_s, 11, 900);
	assert_true(say(3, P, &u));
	assert_int_equal(u.metric, 1000);
	assert_distance(P, rid_s, 11, 1000);
}

/* The same, but there is somewhere better to go. And without any answer the old values expire in their time. */
static void a_rise_of_the_metric_with_another_route(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	hear(1, P, rid_s, 10, 150);
	say(3, P, NULL);
	hear(0, P, rid_s, 10, 900);
	assert_int_equal(via(P), 1);

	hear(0, Q, rid_s, 10, 100);
	say(3, Q, NULL);
	for (int i = 0; i < 55; i++) {
		pass(US_PER_S);
		hear(0, Q, rid_s, 10, 900);
		assert_int_equal(via(Q), 0);
	}
	pass(US_PER_S);
	assert_int_equal(via(Q), -1);
}

/* Q6, U8: an unfeasible route of somebody else is asked for when it is clearly better, not when it is an echo or about as good. */
static void unfeasible_but_better(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	say(1, P, NULL);
	forget_sent();
	hear(1, P, rid_s, 10, 300);			/* an echo */
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 0);
	set_cost(0, 1000);
	hear(1, P, rid_s, 10, 950);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 0);
	hear(1, P, rid_s, 10, 400);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 1);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 1), 1);
	hear(1, P, rid_s, 11, 400);
	pass(10 * US_PER_S);
	assert_int_equal(via(P), 1);
	assert_int_equal(stage->b.request_count, 0);
}

/* Q3.2, Q3.3: answered from what we have; our own seqno grows by exactly one, and only for what it is too small for. */
static void requests_for_our_own(void **state)
{
	struct prefix_pair p = pair(P);

	(void)state;
	babel_originate(&stage->b, &p, 0, stage->b.now);
	forget_sent();
	hear_seqno_request(0, P, our_id, 7, 64);
	hear_seqno_request(0, P, our_id, 6, 64);
	hear_seqno_request(0, P, rid_s, 999, 64);
	assert_int_equal(stage->b.seqno, 7);
	assert_int_equal(count_sent(SENT_UPDATE, 0), 3);
	hear_seqno_request(0, P, our_id, 8, 1);
	assert_int_equal(stage->b.seqno, 8);
	assert_int_equal(count_sent(SENT_UPDATE, -1), 4);
	pass(US_PER_S);
	hear_seqno_request(0, P, our_id, 20000, 64);
	assert_int_equal(stage->b.seqno, 9);
	pass(US_PER_S);
	stage->b.seqno = 65535;
	hear_seqno_request(0, P, our_id, 0, 64);
	assert_int_equal(stage->b.seqno, 0);
	pass(US_PER_S);
	hear_seqno_request(0, Q, our_id, 100, 64);	/* not ours */
	hear_seqno_request(0, P, our_id, 100, 0);
	assert_int_equal(stage->b.seqno, 0);
	babel_withdraw(&stage->b, &p, stage->b.now);
	hear_seqno_request(0, P, our_id, 100, 64);
	assert_int_equal(stage->b.seqno, 0);
}

/* However fast they come, half the number space lasts longer than any distance: else old ones would look new. */
static void our_seqno_cannot_be_driven_round(void **state)
{
	struct prefix_pair p = pair(P);
	uint16_t first = stage->b.seqno;

	(void)state;
	babel_originate(&stage->b, &p, 0, stage->b.now);
	for (int t = 0; t < 180000; t++) {
		hear_seqno_request(0, P, our_id, (uint16_t)(stage->b.seqno + 1), 64);
		pass(US_PER_MS);
	}
	assert_in_range((uint16_t)(stage->b.seqno - first), 1000, 0x7fff);
}

/* Q3.4: by unicast, to one next hop that is not who asks, the best there is, with a hop less. */
static void requests_are_forwarded(void **state)
{
	struct sent *s;

	(void)state;
	hear(0, P, rid_s, 10, 100);
	hear(1, P, rid_s, 10, 150);
	say(3, P, NULL);
	hear(2, P, rid_s, 10, 150 + 100);		/* unfeasible */
	forget_sent();
	hear_seqno_request(4, P, rid_s, 11, 64);
	assert_int_equal(stage->sent_count, 1);
	s = last_sent(SENT_SEQNO_REQUEST);
	assert_ptr_equal(s->neighbour, &stage->n[0]);
	assert_ptr_equal(s->iface, &stage->iface[0]);
	assert_int_equal(s->hop_count, 63);
	assert_int_equal(s->seqno, 11);

	forget_sent();
	hear_seqno_request(0, P, rid_s, 12, 64);		/* hardly later: not yet again */
	pass(2 * US_PER_S);
	hear_seqno_request(0, P, rid_s, 12, 64);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 1), 1);
	assert_int_equal(stage->sent_count, 1);
	pass(2 * US_PER_S);
	hear_retraction(1, P);
	forget_sent();
	hear_seqno_request(0, P, rid_s, 13, 2);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, 2), 1);
	assert_int_equal(last_sent(SENT_SEQNO_REQUEST)->hop_count, 1);
	pass(2 * US_PER_S);
	forget_sent();
	hear_seqno_request(4, P, rid_s, 14, 1);		/* no hop left */
	hear_seqno_request(4, Q, rid_s, 14, 64);		/* unknown */
	assert_int_equal(stage->sent_count, 0);
	hear_retraction(2, P);
	hear_seqno_request(0, P, rid_s, 14, 64);		/* only back to where it came from */
	assert_int_equal(stage->sent_count, 0);
}

/* Q4: who waits is told, urgently, when the answer came; the one who is gone is not. */
static void the_answer_is_handed_back(void **state)
{
	(void)state;
	hear(0, P, rid_s, 10, 100);
	hear_seqno_request(1, P, rid_s, 11, 64);
	hear_seqno_request(2, P, rid_s, 11, 64);
	hear_seqno_request(3, P, rid_s, 11, 64);
	assert_int_equal(count_sent(SENT_SEQNO_REQUEST, -1), 1);
	routes_neighbour_gone(&stage->b, &stage->n[2]);
	forget_sent();
	hear(0, P, rid_s, 11, 100);
	assert_int_equal(count_sent(SENT_UPDATE, 1), 1);
	assert_int_equal(count_sent(SENT_UPDATE, 2), 0);
	assert_int_equal(count_sent(SENT_UPDATE, 3), 1);
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_URGENT);
	assert_int_equal(stage->b.request_count, 0);
	forget_sent();
	hear(0, P, rid_s, 12, 100);			/* U5: a new seqno alone is not told */
	assert_int_equal(stage->sent_count, 0);
	hear_seqno_request(1, P, rid_s, 13, 64);
	routes_neighbour_gone(&stage->b, &stage->n[1]);
	assert_int_equal(stage->b.request_count, 0);
}

/* Many ask the same, or anything: one request a second goes on, the table is bounded, and everybody is answered. */
static void request_storm(void **state)
{
	uint8_t id[BABEL_ROUTER_ID_LEN] = { 9 };

	(void)state;
	hear(0, P, rid_s, 10, 100);
	forget_sent();
	for (int t = 0; t < 10000; t++) {
		hear_seqno_request(1 + draw(7), P, rid_s, 11, 64);
		pass(US_PER_MS);
	}
	assert_in_range(stage->b.requests_forwarded, 1, 11);
	assert_int_equal(stage->b.request_count, 1);
	hear(0, P, rid_s, 11, 100);
	assert_int_equal(stage->b.request_count, 0);

	for (uint16_t q = 12; q < 10012; q++) {		/* each for more than the one before */
		hear_seqno_request(1, P, rid_s, q, 64);
		pass(US_PER_MS);
	}
	assert_in_range(stage->b.requests_forwarded, 1, 11 + 51);
	assert_int_equal(stage->b.request_count, 1);
	for (unsigned int i = 0; i < 1000; i++) {
		memcpy(id + 4, &i, sizeof(i));
		hear_seqno_request(1, P, id, 1, 64);	/* of whom we know nothing: what we have is the answer */
	}
	assert_int_equal(stage->b.request_count, 1);
	pass(20 * US_PER_S);
	assert_int_equal(stage->b.request_count, 0);
}

/* Starving for many origins at once: what is pending of one prefix stays bounded. */
static void pending_requests_are_bounded(void **state)
{
	uint8_t id[BABEL_ROUTER_ID_LEN] = { 9 };

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		id[7] = (uint8_t)i;
		hear(0, P, id, 10, 100);
		say(3, P, NULL);
	}
	hear_retraction(0, P);
	for (unsigned int i = 0; i < 40; i++) {
		id[7] = (uint8_t)i;
		hear(1, P, id, 10, 5000);
	}
	assert_in_range(stage->b.request_count, 1, BABEL_REQUESTS_PREFIX);
}

/* Q1: of an exact request always an answer, to who asked; one for what nobody knows leaves nothing behind. */
static void route_requests(void **state)
{
	struct babel_tlv r = { .type = BABEL_ROUTE_REQUEST, .prefix = pair(P) };

	(void)state;
	hear(0, P, rid_s, 10, 100);
	forget_sent();
	routes_route_request(&stage->b, &stage->n[1], &r);
	r.prefix = pair(Q);
	routes_route_request(&stage->b, &stage->n[1], &r);
	assert_int_equal(count_sent(SENT_UPDATE, 1), 2);
	assert_true(last_sent(SENT_UPDATE)->forced);
	assert_int_equal(stage->b.prefix_count, 1);
}

/* C5, C6, U1; after the end everything is retracted. */
static void full_update(void **state)
{
	static const char *const order[] = { "2001:db8:9::/48", "10.0.0.0/8", "::/0", "::/0 from 2001:db8::/32", P };
	struct prefix_pair own4 = pair("10.0.0.0/8"), own6 = pair("2001:db8:9::/48");
	struct babel_prefix *all[8];
	struct babel_update u;

	(void)state;
	hear(0, P, rid_t, 3, 10);
	hear(0, "::/0 from 2001:db8::/32", rid_s, 3, 10);
	hear(0, "::/0", rid_s, 3, 10);
	hear(0, Q, rid_s, 3, 10);
	babel_originate(&stage->b, &own4, 0, stage->b.now);
	babel_originate(&stage->b, &own6, 0, stage->b.now);
	hear_retraction(0, Q);				/* nobody heard of it from us */
	assert_int_equal(announce_all(&stage->b, all), 5);
	for (size_t i = 0; i < 5; i++) {
		struct prefix_pair want = pair(order[i]);

		assert_true(prefix_pair_equal(prefix_pair_of(all[i]), &want));
		assert_true(announce_update(&stage->b, all[i], &stage->iface[1], false, &u));
		assert_int_equal(u.interval_cs, 1600);
	}
	hear_retraction(0, P);
	assert_int_equal(announce_all(&stage->b, all), 5);	/* lately retracted */
	assert_true(say(1, P, &u));
	assert_int_equal(u.metric, BABEL_INFINITY);
	assert_memory_equal(u.router_id, our_id, sizeof(our_id));
	assert_int_equal(u.seqno, 7);
	stage->b.stopped = true;
	assert_int_equal(announce_all(&stage->b, all), 5);
	for (size_t i = 0; i < 5; i++) {
		assert_true(announce_update(&stage->b, all[i], &stage->iface[1], false, &u));
		assert_int_equal(u.metric, BABEL_INFINITY);
		assert_memory_equal(u.router_id, our_id, sizeof(our_id));
	}
}

/* V3, V5: IPv4 through IPv6 is the same route in another dress, and no route where it cannot be installed. */
static void ipv4_via_ipv6(void **state)
{
	struct babel_tlv u = update_tlv(0, "10.0.0.0/8", rid_s, 10, 100);
	struct prefix_pair p = pair("10.0.0.0/8");
	struct babel_route_info info;

	(void)state;
	u.via6 = true;
	routes_update(&stage->b, &stage->n[0], &u);
	assert_int_equal(via("10.0.0.0/8"), -1);
	assert_int_equal(stage->b.route_count, 1);
	stage->iface[0].config.via6 = true;
	routes_neighbour_changed(&stage->b, &stage->n[0]);
	assert_int_equal(via("10.0.0.0/8"), 0);
	action_after("10.0.0.0/8", BABEL_NO_ROUTE);
	u.via6 = false;
	u.addr = (struct ip_addr){ .family = IP_V4, .bytes = { 192, 0, 2, 1 } };
	routes_update(&stage->b, &stage->n[0], &u);
	assert_int_equal(stage->b.route_count, 1);
	assert_true(babel_selected(&stage->b, &p, &info));
	assert_int_equal(info.next_hop.family, IP_V4);
	assert_int_equal(action_after("10.0.0.0/8", BABEL_NO_ROUTE), BABEL_VIA);	/* the tables are told of the next hop */
	u.via6 = true;
	u.metric = BABEL_INFINITY;
	routes_update(&stage->b, &stage->n[0], &u);
	assert_int_equal(via("10.0.0.0/8"), -1);
}

static bool announced_over(const char *prefix, unsigned int k)
{
	struct babel_iface *out[STAGE_LINKS];
	struct prefix_pair p = pair(prefix);
	size_t count = babel_announcers(&stage->b, &p, out, STAGE_LINKS);

	for (size_t at = 0; at < count; at++)
		if (out[at] == &stage->iface[k])
			return true;
	return false;
}

/* Everybody who announces a pair is named, on however many links, and each link once. */
static void announcers(void **state)
{
	enum { LINKS = 1000 };
	struct babel_iface *ifaces = calloc(LINKS, sizeof(*ifaces)), *out[LINKS];
	struct babel_neighbour *n = calloc(2 * LINKS, sizeof(*n));
	struct babel_tlv u = update_tlv(0, P, rid_s, 10, 100);

	(void)state;
	for (size_t k = 0; k < 2 * LINKS; k++) {	/* two neighbours on each */
		n[k].iface = &ifaces[k % LINKS];
		n[k].cost = 100;
		n[k].address = stage->n[0].address;
		routes_update(&stage->b, &n[k], &u);
	}
	assert_int_equal(babel_announcers(&stage->b, &u.prefix, out, LINKS), LINKS);
	for (size_t k = 0; k < LINKS; k++) {
		assert_false(out[k]->owner);
		out[k]->owner = out[k];
	}
	assert_int_equal(babel_announcers(&stage->b, &u.prefix, out, 3), 3);
	u.metric = BABEL_INFINITY;
	routes_update(&stage->b, &n[0], &u);
	assert_int_equal(babel_announcers(&stage->b, &u.prefix, out, LINKS), LINKS);	/* the other one still does */
	routes_update(&stage->b, &n[LINKS], &u);
	assert_int_equal(babel_announcers(&stage->b, &u.prefix, out, LINKS), LINKS - 1);
	u.prefix = pair(Q);
	assert_int_equal(babel_announcers(&stage->b, &u.prefix, out, LINKS), 0);
	for (size_t k = 0; k < 2 * LINKS; k++)
		routes_neighbour_gone(&stage->b, &n[k]);
	free(n);
	free(ifaces);
}

/* In-filters are for what is known already as well, out-filters retract what is hidden now and announce what was. */
static void filters_change(void **state)
{
	struct babel_filter f[2] = {
		{ .direction = BABEL_FILTER_IN, .iface = "if0", .deny = true },
		{ .direction = BABEL_FILTER_OUT, .iface = "if3", .deny = true },
	};
	struct babel_update u;

	(void)state;
	hear(0, P, rid_s, 10, 100);
	hear(1, P, rid_s, 10, 150);
	say(3, P, NULL);
	assert_true(announced_over(P, 0) && announced_over(P, 1));
	assert_true(babel_set_filters(&stage->b, f, 1, stage->b.now));
	assert_int_equal(via(P), 1);
	assert_true(!announced_over(P, 0) && announced_over(P, 1));
	hear(0, P, rid_s, 11, 0);
	assert_int_equal(via(P), 1);
	f[0].deny = false;
	f[0].has_add = true;
	f[0].add = 500;
	babel_set_filters(&stage->b, f, 1, stage->b.now);
	assert_int_equal(via(P), 1);
	babel_set_filters(&stage->b, NULL, 0, stage->b.now);
	pass(60 * US_PER_S - 15 * US_PER_S);
	assert_int_equal(via(P), 0);

	forget_sent();
	babel_set_filters(&stage->b, &f[1], 1, stage->b.now);
	assert_int_equal(count_sent(SENT_UPDATE, -1), 1);
	assert_ptr_equal(last_sent(SENT_UPDATE)->iface, &stage->iface[3]);
	assert_int_equal(last_sent(SENT_UPDATE)->urgency, SEND_RELIABLE);
	assert_true(last_sent(SENT_UPDATE)->forced);
	assert_true(say(3, P, &u));
	assert_int_equal(u.metric, BABEL_INFINITY);
	assert_true(say(4, P, &u));
	assert_int_equal(u.metric, 100);
	for (int i = 0; i < 10; i++) {
		pass(8 * US_PER_S);
		hear(0, P, rid_s, 11, 0);
	}
	assert_false(say(3, P, &u));			/* by now they know */
	forget_sent();
	babel_set_filters(&stage->b, NULL, 0, stage->b.now);
	assert_int_equal(count_sent(SENT_UPDATE, -1), 1);
	assert_true(say(3, P, &u));
	assert_int_equal(u.metric, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(feasibility), TEST(feasibility_wraps), TEST(distance_is_recorded_with_the_announcement), TEST(split_horizon),
		TEST(distance_is_forgotten), TEST(a_retracted_route_is_forgotten), TEST(requests_end_with_any_change), TEST(a_route_waits_for_the_distance), TEST(distances_are_bounded), TEST(expiry), TEST(an_update_in_time_keeps_the_route),
		TEST(an_unrepeated_route_stays), TEST(a_retraction_does_not_refresh), TEST(refused_updates), TEST(own_prefix_echoed),
		TEST(pairs_are_separate), TEST(two_router_ids), TEST(starvation_and_recovery), TEST(requests_are_repeated),
		TEST(a_rise_of_the_metric_keeps_forwarding), TEST(a_rise_of_the_metric_with_another_route), TEST(unfeasible_but_better),
		TEST(requests_for_our_own), TEST(our_seqno_cannot_be_driven_round), TEST(requests_are_forwarded),
		TEST(the_answer_is_handed_back), TEST(request_storm), TEST(pending_requests_are_bounded), TEST(route_requests),
		TEST(full_update), TEST(ipv4_via_ipv6), TEST(filters_change), TEST(announcers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
