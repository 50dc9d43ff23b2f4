/* SPDX-License-Identifier: MIT */
/* Babel's links: who is a neighbour and for how long, what the way to it costs, and what is not let in. */
#include "babel_stage.h"

static const struct ip_addr *peer(void)
{
	static struct ip_addr a;

	a = stage_address(99);
	return &a;
}

/* One speaker, whose neighbour is the test. */
static void alone(struct stage *s, const struct babel_iface_config *c)
{
	stage_begin(s);
	stage_add(s, c);
	stage_run(s, US_PER_S);
}

static void hello(struct stage *s, uint16_t seqno, uint16_t cs, bool unicast)
{
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;

	babel_write_begin(&w, packet, 512);
	babel_write_hello(&w, unicast, seqno, cs, false);
	stage_inject(s, 0, peer(), &w);
}

static void ihu_sent_to(struct stage *s, const struct ip_addr *dst, const struct ip_addr *to, uint16_t rxcost, uint16_t cs)
{
	struct babel_datagram d = { .iface = s->node[0].i, .src = *peer(), .dst = *dst, .src_port = BABEL_PORT };
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;

	babel_write_begin(&w, packet, 512);
	babel_write_ihu(&w, to, rxcost, cs, NULL);
	d.data = packet;
	d.len = babel_write_end(&w);
	babel_receive(s->node[0].b, &d, s->now);
}

static void ihu(struct stage *s, const struct ip_addr *to, uint16_t rxcost, uint16_t cs)
{
	ihu_sent_to(s, &babel_group, to, rxcost, cs);
}

static struct babel_neighbour *known(struct stage *s)
{
	return neighbour_find(s->node[0].i, peer());
}

static void up_after_two_hellos(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_begin(&s);
	stage_add(&s, &c);
	stage_add(&s, &c);
	stage_run(&s, 100 * US_PER_MS);
	assert_int_equal(stage_neighbour(&s, 0, 1)->multicast.seen, 1);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, BABEL_INFINITY);
	stage_run(&s, 900 * US_PER_MS);
	for (size_t k = 0; k < 2; k++) {
		assert_int_equal(stage_neighbour(&s, k, 1 - k)->cost, 96);
		assert_int_equal(stage_neighbour(&s, k, 1 - k)->txcost, 96);
		assert_int_equal(s.node[k].i->neighbour_count, 1);
	}
	stage_end(&s);
}

/* What cost comes of which Hellos (newest last, of '1' and '.') and IHUs. */
static void costs(void **state)
{
	static const struct {
		enum babel_link_type type;
		const char *hellos;
		bool unicast;
		uint16_t told;		/* rxcost in its IHU, 0: none came */
		uint16_t rxcost, cost;
	} step[] = {
		/*  1 */ { BABEL_WIRED, "1", false, 96, BABEL_INFINITY, BABEL_INFINITY },
		/*  2 */ { BABEL_WIRED, "11", false, 96, 96, 96 },
		/*  3 */ { BABEL_WIRED, "11", false, 300, 96, 300 },
		/*  4 */ { BABEL_WIRED, "11", false, 0, 96, BABEL_INFINITY },
		/*  5 */ { BABEL_WIRED, "11", false, BABEL_INFINITY, 96, BABEL_INFINITY },
		/*  6 */ { BABEL_WIRED, "1.1", false, 96, 96, 96 },
		/*  7 */ { BABEL_WIRED, "1..1", false, 96, BABEL_INFINITY, BABEL_INFINITY },
		/*  8 */ { BABEL_WIRED, "11", true, 96, 96, 96 },
		/*  9 */ { BABEL_TUNNEL, "11", false, 100, 96, 100 },
		/* 10 */ { BABEL_WIRELESS, "1", false, 256, 256, 256 },
		/* 11 */ { BABEL_WIRELESS, "111111", false, 256, 256, 256 },
		/* 12 */ { BABEL_WIRELESS, "1.1.11", false, 256, 384, 384 },
		/* 13 */ { BABEL_WIRELESS, "111111", false, 512, 256, 512 },
		/* 14 */ { BABEL_WIRELESS, "1.1.11", false, 512, 384, 768 },
		/* 15 */ { BABEL_WIRELESS, "111111", false, 1, 256, 256 },
		/* 16 */ { BABEL_WIRELESS, "1.1.11", false, 60000, 384, BABEL_INFINITY },
		/* 17 */ { BABEL_WIRELESS, "11", true, 256, BABEL_INFINITY, BABEL_INFINITY },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(step) / sizeof(step[0]); k++) {
		struct babel_iface_config c = config_of(step[k].type);
		struct stage s;

		print_message("case %zu\n", k + 1);
		alone(&s, &c);
		for (size_t i = 0; step[k].hellos[i]; i++)
			if (step[k].hellos[i] == '1')
				hello(&s, (uint16_t)(65534 + i), 400, step[k].unicast);
		if (step[k].told)
			ihu(&s, &s.node[0].address, step[k].told, 1200);
		assert_int_equal(known(&s)->rxcost, step[k].rxcost);
		assert_int_equal(known(&s)->cost, step[k].cost);
		stage_end(&s);
	}
}

static void zero_is_no_cost(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	alone(&s, &c);
	hello(&s, 1, 400, false);
	hello(&s, 2, 400, false);
	ihu(&s, &s.node[0].address, 0, 1200);
	assert_int_equal(known(&s)->cost, 1);
	stage_end(&s);
}

static void down_when_silent(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;
	int64_t after_us = 0;
	unsigned int changed;

	(void)state;
	alone(&s, &c);
	for (uint16_t k = 0; k < 16; k++)
		hello(&s, k, 400, false);
	ihu(&s, &s.node[0].address, 96, 60000);
	assert_int_equal(known(&s)->cost, 96);
	changed = stage_heard[0].changed;
	while (known(&s)->cost != BABEL_INFINITY && after_us < 60 * US_PER_S) {
		stage_run(&s, 100 * US_PER_MS);
		after_us += 100 * US_PER_MS;
	}
	assert_in_range(after_us, 9900 * US_PER_MS, 10100 * US_PER_MS);	/* 1.5 + 1 intervals: the second miss of three */
	assert_int_equal(stage_heard[0].changed, changed + 1);
	assert_int_equal(stage_heard[0].gone, 0);
	stage_run(&s, 55 * US_PER_S - after_us);
	assert_non_null(known(&s));
	stage_run(&s, 15 * US_PER_S);		/* sixteen missed: 1.5 + 15 intervals */
	assert_null(known(&s));
	assert_int_equal(stage_heard[0].gone, 1);
	stage_end(&s);
}

static void ihu_expires(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;
	int64_t after_us = 0;

	(void)state;
	alone(&s, &c);
	hello(&s, 0, 400, false);
	hello(&s, 1, 400, false);
	ihu(&s, &s.node[0].address, 96, 1200);
	for (uint16_t k = 2; known(&s)->cost != BABEL_INFINITY && k < 60; k++) {
		stage_run(&s, US_PER_S);
		after_us += US_PER_S;
		hello(&s, k, 400, false);
	}
	assert_in_range(after_us, 42 * US_PER_S, 43 * US_PER_S);	/* 3.5 of 12 s */
	assert_int_equal(known(&s)->txcost, BABEL_INFINITY);
	assert_int_equal(known(&s)->rxcost, 96);
	stage_end(&s);
}

static void ihu_for_others(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct ip_addr other = stage_address(50), none = { 0 };
	struct stage s;

	(void)state;
	alone(&s, &c);
	ihu(&s, &other, 96, 1200);
	assert_null(known(&s));
	hello(&s, 0, 400, false);
	hello(&s, 1, 400, false);
	ihu(&s, &other, 96, 1200);
	assert_int_equal(known(&s)->txcost, BABEL_INFINITY);
	ihu(&s, &none, 97, 1200);		/* AE 0, to the group: whom would it mean? */
	assert_int_equal(known(&s)->txcost, BABEL_INFINITY);
	ihu_sent_to(&s, &s.node[0].address, &none, 97, 1200);
	assert_int_equal(known(&s)->txcost, 97);
	stage_end(&s);
}

static void reboot(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	alone(&s, &c);
	hello(&s, 65535, 400, false);
	hello(&s, 0, 400, false);
	ihu(&s, &s.node[0].address, 96, 1200);
	hello(&s, 17, 400, false);		/* 16 lost: the same one still */
	assert_int_equal(stage_heard[0].gone, 0);
	assert_int_equal(known(&s)->txcost, 96);
	hello(&s, 35, 400, false);		/* 17 off */
	assert_int_equal(stage_heard[0].gone, 1);
	assert_int_equal(known(&s)->txcost, BABEL_INFINITY);
	assert_int_equal(known(&s)->multicast.reach, 0x8000);
	hello(&s, 17, 400, false);
	assert_int_equal(stage_heard[0].gone, 2);
	assert_int_equal(s.node[0].i->neighbour_count, 1);
	stage_end(&s);
}

/* Unscheduled Hellos have no timer of their own (A.1), yet whoever sends nothing else goes when it is silent. */
static void unscheduled(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	alone(&s, &c);
	hello(&s, 0, 0, false);
	hello(&s, 1, 0, false);
	assert_int_equal(known(&s)->rxcost, 96);
	stage_run(&s, 5 * US_PER_S);
	assert_int_equal(known(&s)->rxcost, 96);
	stage_run(&s, 75 * US_PER_S);
	assert_null(known(&s));
	hello(&s, 0, 400, false);
	stage_run(&s, 5 * US_PER_S);
	hello(&s, 1, 0, false);			/* does not put off the scheduled one */
	stage_run(&s, 1100 * US_PER_MS);
	assert_int_equal(known(&s)->multicast.reach, 0x6000);
	stage_end(&s);
}

static void round_trip(void **state)
{
	struct babel_iface_config c = config_of(BABEL_TUNNEL);
	struct stage s;

	(void)state;
	stage_begin(&s);
	s.now.mono_us = INT64_C(0x100000000) - 10 * US_PER_S;	/* stamps wrap on the way */
	s.delay_us = 30 * US_PER_MS;
	stage_add(&s, &c);
	stage_add(&s, &c);
	stage_run(&s, 30 * US_PER_S);
	for (size_t k = 0; k < 2; k++) {
		assert_in_range(stage_neighbour(&s, k, 1 - k)->rtt.rtt_us, 60000, 60001);
		assert_int_equal(stage_neighbour(&s, k, 1 - k)->cost, 96 + 50 * 150 / 110);
	}
	s.delay_us = 200 * US_PER_MS;
	stage_run(&s, 120 * US_PER_S);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 96 + 150);
	stage_end(&s);
}

/* Its Hellos come, but no samples any more: the estimate is dropped after three minutes. */
static void round_trip_goes_stale(void **state)
{
	struct babel_iface_config c = config_of(BABEL_TUNNEL), off = c;
	struct stage s;

	(void)state;
	stage_begin(&s);
	s.delay_us = 100 * US_PER_MS;
	stage_add(&s, &c);
	stage_add(&s, &c);
	stage_run(&s, 20 * US_PER_S);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 96 + 150);
	off.rtt = false;
	off.address = s.node[1].address;
	babel_iface_set(s.node[1].b, s.node[1].i, &off, s.now);
	stage_run(&s, 170 * US_PER_S);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 96 + 150);
	stage_run(&s, 15 * US_PER_S);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 96);
	stage_end(&s);
}

static void measured(void **state)
{
	struct babel_iface_config c = config_of(BABEL_TUNNEL);
	struct babel_link_cost cost = { .nominal = 1234 }, none = { 0 };
	struct stage s;

	(void)state;
	stage_begin(&s);
	s.delay_us = 50 * US_PER_MS;
	stage_add(&s, &c);
	stage_add(&s, &c);
	stage_run(&s, 20 * US_PER_S);
	babel_iface_cost(s.node[0].b, s.node[0].i, &cost, s.now);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 1234);
	stage_run(&s, 5 * US_PER_S);
	assert_int_equal(stage_neighbour(&s, 1, 0)->txcost, 1234);	/* the other end is told */
	babel_iface_cost(s.node[0].b, s.node[0].i, &none, s.now);
	assert_in_range(stage_neighbour(&s, 0, 1)->cost, 96 + 100, 96 + 150);
	stage_end(&s);
}

/* A link that is down for minutes, with nothing coming through, is back when it is up. */
static void measured_down(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct babel_link_cost down = { .down = true }, up = { 0 };
	struct stage s;

	(void)state;
	stage_begin(&s);
	stage_add(&s, &c);
	stage_add(&s, &c);
	stage_run(&s, 60 * US_PER_S);
	s.cut = true;
	for (size_t k = 0; k < 2; k++) {
		babel_iface_cost(s.node[k].b, s.node[k].i, &down, s.now);
		assert_int_equal(stage_neighbour(&s, k, 1 - k)->cost, BABEL_INFINITY);
	}
	stage_run(&s, 200 * US_PER_S);
	s.cut = false;
	for (size_t k = 0; k < 2; k++) {
		babel_iface_cost(s.node[k].b, s.node[k].i, &up, s.now);
		assert_int_equal(stage_neighbour(&s, k, 1 - k)->cost, 96);
	}
	for (int k = 0; k < 600; k++) {		/* and stays */
		stage_run(&s, 100 * US_PER_MS);
		assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 96);
	}
	assert_int_equal(stage_heard[0].gone + stage_heard[1].gone, 0);
	s.cut = true;
	babel_iface_cost(s.node[0].b, s.node[0].i, &down, s.now);
	stage_run(&s, 3600 * US_PER_S);		/* but not for ever */
	assert_null(stage_neighbour(&s, 0, 1));
	stage_end(&s);
}

static void log_count(void *ctx, enum log_level level, const char *line)
{
	(void)level;
	(void)line;
	++*(unsigned int *)ctx;
}

static void spoofed_neighbours(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;
	unsigned int lines = 0;
	struct babel_info info;
	struct stage s;

	(void)state;
	alone(&s, &c);
	s.node[0].b->log = (struct log){ log_count, &lines };
	for (unsigned int k = 0; k < 100000; k++) {
		struct ip_addr a = stage_address(1000 + k);

		babel_write_begin(&w, packet, 512);
		babel_write_hello(&w, false, 1, 400, false);
		babel_write_route_request(&w, NULL);
		stage_inject(&s, 0, &a, &w);
	}
	babel_info(s.node[0].b, &info);
	assert_int_equal(info.neighbours, BABEL_NEIGHBOURS_MAX);
	assert_int_equal(info.refused, 100000 - BABEL_NEIGHBOURS_MAX);
	assert_int_equal(lines, 1);
	s.a = s.node[0].i->packets_sent;
	stage_run(&s, 3 * US_PER_S);
	assert_in_range(s.node[0].i->packets_sent - s.a, 1, 8);	/* all IHUs together, not one packet each */
	stage_run(&s, 120 * US_PER_S);
	babel_info(s.node[0].b, &info);
	assert_int_equal(info.neighbours, 0);
	stage_end(&s);
}

static void not_let_in(void **state)
{
	static const struct {
		struct ip_addr src;
		uint16_t port;
		bool to_global, to_other;
		const char *what;
	} step[] = {
		{ { IP_V6, { 0xfe, 0x80, [15] = 9 } }, 1234, false, false, "port" },
		{ { IP_V6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 } }, BABEL_PORT, false, false, "global source" },
		{ { IP_V6, { 0xfe, 0x90, [15] = 9 } }, BABEL_PORT, false, false, "fe90::" },
		{ { IP_V6, { 0xfe, 0x80, [7] = 1, [15] = 9 } }, BABEL_PORT, false, false, "fe80:0:0:1::" },
		{ { IP_V4, { 169, 254, 0, 9 } }, BABEL_PORT, false, false, "IPv4" },
		{ { IP_V6, { 0xfe, 0x80, [15] = 1 } }, BABEL_PORT, false, false, "our own" },
		{ { IP_V6, { 0xfe, 0x80, [15] = 9 } }, BABEL_PORT, true, false, "to a global address" },
		{ { IP_V6, { 0xfe, 0x80, [15] = 9 } }, BABEL_PORT, false, true, "to another's address" },
	};
	static const struct ip_addr global = { IP_V6, { 0x20, 0x01, [15] = 1 } };
	struct babel_iface_config c = config_of(BABEL_WIRED);
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;
	struct stage s;

	(void)state;
	alone(&s, &c);
	babel_write_begin(&w, packet, 512);
	babel_write_hello(&w, false, 1, 400, false);
	for (size_t k = 0; k < sizeof(step) / sizeof(step[0]); k++) {
		struct babel_datagram d = { .iface = s.node[0].i, .src = step[k].src, .dst = babel_group, .src_port = step[k].port,
					    .data = packet, .len = babel_write_end(&w) };

		if (step[k].to_global)
			d.dst = global;
		if (step[k].to_other)
			d.dst = stage_address(3);
		print_message("%s\n", step[k].what);
		babel_receive(s.node[0].b, &d, s.now);
		assert_int_equal(s.node[0].i->neighbour_count, 0);
		assert_int_equal(s.node[0].i->dropped_source, k + 1);
	}
	stage_inject(&s, 0, peer(), &w);
	assert_int_equal(s.node[0].i->neighbour_count, 1);
	stage_end(&s);
}

static void broken_framing(void **state)
{
	static const uint8_t hello_then_lie[] = { 42, 2, 0, 12, 4, 6, 0, 0, 0, 1, 1, 0x90, 4, 200, 0, 0 };
	static const uint8_t version[] = { 42, 3, 0, 8, 4, 6, 0, 0, 0, 1, 1, 0x90 };
	static const uint8_t body[] = { 42, 2, 0xff, 0xff, 4, 6, 0, 0, 0, 1, 1, 0x90 };
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	alone(&s, &c);
	for (int k = 0; k < 3; k++) {
		const uint8_t *data = k == 0 ? hello_then_lie : k == 1 ? version : body;
		struct babel_datagram d = { .iface = s.node[0].i, .src = *peer(), .dst = babel_group, .src_port = BABEL_PORT, .data = data,
					    .len = k == 0 ? sizeof(hello_then_lie) : sizeof(version) };

		babel_receive(s.node[0].b, &d, s.now);
	}
	assert_int_equal(s.node[0].i->dropped_malformed, 3);
	assert_null(known(&s));
	stage_end(&s);
}

/* Nobody whose Hello we did not hear is listened to. */
static void strangers(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct babel_update u = { .router_id = { 1 }, .seqno = 1, .metric = 1, .interval_cs = 100 };
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;
	struct stage s;

	(void)state;
	stage_set_prefixes(1);
	alone(&s, &c);
	s.a = s.node[0].i->packets_sent;
	u.prefix = stage_prefixes[0].pair;
	babel_write_begin(&w, packet, 512);
	babel_write_update(&w, &u, NULL);
	babel_write_route_request(&w, NULL);
	babel_write_ack_request(&w, 1, 100);
	stage_inject(&s, 0, peer(), &w);
	assert_null(known(&s));
	assert_int_equal(stage_heard[0].updates, 0);
	stage_run(&s, US_PER_S);
	assert_int_equal(s.node[0].i->packets_sent, s.a);
	stage_end(&s);
}

/* After an unclean start: trusted when it acknowledged that it took back all it had of us. */
static void trust(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(3);
	stage_begin(&s);
	stage_add(&s, &c);
	stage_run(&s, 20 * US_PER_S);
	stage_make(&s, 1, false);
	stage_attach(&s, 1, &c);
	s.count++;
	stage_run(&s, 20 * US_PER_MS);
	assert_null(stage_neighbour(&s, 1, 0));
	stage_run(&s, 6 * US_PER_S);
	assert_true(stage_neighbour(&s, 1, 0)->trusted);
	assert_true(stage_neighbour(&s, 0, 1)->trusted);
	assert_true(stage_heard[0].wildcards >= 3);	/* two to all, and the one it acknowledged */
	assert_int_equal(stage_heard[0].metric, 10);	/* and had our routes after that */
	stage_end(&s);
}

static void trust_without_answer(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_begin(&s);
	stage_make(&s, 0, false);
	stage_attach(&s, 0, &c);
	s.count++;
	stage_run(&s, US_PER_S);
	hello(&s, 1, 1000, false);
	assert_false(known(&s)->trusted);
	stage_run(&s, 14900 * US_PER_MS);
	assert_false(known(&s)->trusted);
	stage_run(&s, 200 * US_PER_MS);		/* 1.5 of its 10 s */
	assert_true(known(&s)->trusted);
	stage_end(&s);
}

static void carrier_and_address(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(5);
	stage_begin(&s);
	stage_add(&s, &c);
	stage_add(&s, &c);
	stage_run(&s, 5 * US_PER_S);
	babel_iface_up(s.node[0].b, s.node[0].i, false, s.now);
	assert_int_equal(s.node[0].i->neighbour_count, 0);
	assert_int_equal(stage_heard[0].gone, 1);
	s.a = s.node[0].i->packets_sent;
	stage_run(&s, 20 * US_PER_S);
	assert_int_equal(s.node[0].i->packets_sent, s.a);
	assert_true(babel_deadline(s.node[0].b) == NEVER_US);
	babel_iface_up(s.node[0].b, s.node[0].i, true, s.now);
	stage_run(&s, 1500 * US_PER_MS);	/* greeted: no need to wait for two Hellos of the other's */
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, 96);
	c.address = s.node[0].address;
	c.hello_us = US_PER_S;
	babel_iface_set(s.node[0].b, s.node[0].i, &c, s.now);
	assert_int_equal(s.node[0].i->neighbour_count, 1);
	c.address = stage_address(77);
	babel_iface_set(s.node[0].b, s.node[0].i, &c, s.now);
	assert_int_equal(s.node[0].i->neighbour_count, 0);
	babel_iface_remove(s.node[1].b, s.node[1].i, s.now);
	assert_true(babel_deadline(s.node[1].b) == NEVER_US);
	s.count = 1;
	babel_free(s.node[1].b);
	stage_end(&s);
}

static void snapshots(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct babel_neighbour_info n;
	struct babel_iface_info i;
	struct stage s;

	(void)state;
	stage_begin(&s);
	stage_add(&s, &c);
	stage_add(&s, &c);
	c.address = stage_address(200);
	strcpy(c.name, "eth1");
	assert_non_null(babel_iface_add(s.node[0].b, &c, NULL, s.now));
	stage_run(&s, 5 * US_PER_S);
	assert_true(babel_iface_at(s.node[0].b, 1, &i));
	assert_string_equal(i.name, "eth1");
	assert_int_equal(i.neighbour_count, 0);
	assert_false(babel_iface_at(s.node[0].b, 2, &i));
	assert_true(babel_neighbour_at(s.node[0].b, 0, &n));
	assert_int_equal(n.cost, 96);
	assert_true(n.owner == &s.node[0]);
	assert_false(babel_neighbour_at(s.node[0].b, 1, &n));
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_after_two_hellos),
		cmocka_unit_test(costs),
		cmocka_unit_test(zero_is_no_cost),
		cmocka_unit_test(down_when_silent),
		cmocka_unit_test(ihu_expires),
		cmocka_unit_test(ihu_for_others),
		cmocka_unit_test(reboot),
		cmocka_unit_test(unscheduled),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(round_trip_goes_stale),
		cmocka_unit_test(measured),
		cmocka_unit_test(measured_down),
		cmocka_unit_test(spoofed_neighbours),
		cmocka_unit_test(not_let_in),
		cmocka_unit_test(broken_framing),
		cmocka_unit_test(strangers),
		cmocka_unit_test(trust),
		cmocka_unit_test(trust_without_answer),
		cmocka_unit_test(carrier_and_address),
		cmocka_unit_test(snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
