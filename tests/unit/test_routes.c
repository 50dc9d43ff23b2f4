/* SPDX-License-Identifier: MIT */
/*
 * meshd routes: what people and programs see, from messages made by hand; and what a node tells, with a speaker made up here, whose functions
 * stand in the place of the real one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/routes.h"
#include "node/routing.h"
#include "sys/control.h"
#include "sys/routes_status.h"

/* ---- text and JSON ---- */

enum { ROUTES = 13 };

struct made {
	Meshd__Routes all;
	Meshd__BabelRoute route[ROUTES], *routes[ROUTES];
	Meshd__BabelNeighbour neighbour[3], *neighbours[3];
	Meshd__BabelInterface interface[3], *interfaces[3];
};

static uint8_t id[8] = { 2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 1 };

static const ProtobufCBinaryData router_id = { sizeof(id), id };

/* Route 'i' over the peer home, as it is when all is well. */
static Meshd__BabelRoute *make_route(struct made *m, const char *prefix, bool selected)
{
	Meshd__BabelRoute *r = &m->route[m->all.n_routes];

	meshd__babel_route__init(r);
	m->routes[m->all.n_routes++] = r;
	r->prefix = (char *)(uintptr_t)prefix;
	r->via = "home";
	r->via_peer = true;
	r->neighbour = "fe80::1";
	r->next_hop = "fe80::1";
	r->router_id = router_id;
	r->seqno = 7;
	r->announced = 128;
	r->metric = r->smoothed = 224;
	r->feasible = true;
	r->selected = selected;
	r->age_ms = 3999;
	return r;
}

static void make_office(Meshd__BabelRoute *r)
{
	r->via = "eth1";
	r->via_peer = false;
	r->neighbour = "fe80::2";
	r->next_hop = "192.168.5.9";
	r->announced = 200;
	r->metric = 296;
	r->smoothed = 311;
}

static void make_unused_routes(struct made *m)
{
	Meshd__BabelRoute *r;

	r = make_route(m, "10.1.0.0/16", false);
	make_office(r);
	r = make_route(m, "10.1.0.0/16", false);
	r->feasible = false;
	r->metric = r->smoothed = 225;
	r->has_distance = true;
	r->distance_seqno = 8;
	r->distance = 96;
	r = make_route(m, "10.1.0.0/16", false);
	r->announced = r->metric = r->smoothed = 65535;
	r = make_route(m, "10.1.0.0/16", false);
	make_office(r);
	r->metric = r->smoothed = 65535;
	r = make_route(m, "10.1.0.0/16", false);
	make_office(r);
	r->neighbour = "fe80::3";
	r->metric = r->smoothed = 65535;
	r = make_route(m, "10.1.0.0/16", false);
	r->via = "new";
	r->metric = 200;
	r = make_route(m, "10.1.0.0/16", false);
	r->metric = r->smoothed = 201;
	r = make_route(m, "10.9.0.0/16", false);
	make_office(r);
}

static void make_interfaces(struct made *m)
{
	for (int i = 0; i < 3; i++) {
		meshd__babel_interface__init(&m->interface[i]);
		m->interfaces[i] = &m->interface[i];
		m->interface[i].type = "tunnel";
		m->interface[i].up = i != 2;
	}
	m->interface[0].name = "home";
	m->interface[0].peer = true;
	m->interface[0].neighbours = 1;
	m->interface[1].name = "laptop";
	m->interface[1].peer = true;
	m->interface[2].name = "eth2";
	m->all.interfaces = m->interfaces;
	m->all.n_interfaces = 3;
}

static void make_neighbours(struct made *m)
{
	for (int i = 0; i < 3; i++) {
		meshd__babel_neighbour__init(&m->neighbour[i]);
		m->neighbours[i] = &m->neighbour[i];
	}
	m->neighbour[0] = (Meshd__BabelNeighbour){ m->neighbour[0].base, "home", true, "fe80::1", 0xffff, 96, 96, 128, 12345, 4, true };
	m->neighbour[1] = (Meshd__BabelNeighbour){ m->neighbour[1].base, "eth1", false, "fe80::2", 0xc001, 192, 256, 192, -1, 3, false };
	m->neighbour[2] = (Meshd__BabelNeighbour){ m->neighbour[2].base, "eth1", false, "fe80::3", 0, 65535, 96, 65535, -1, 0, false };
	m->all.neighbours = m->neighbours;
	m->all.n_neighbours = 3;
}

/* Not in the order of what is shown. */
static void make(struct made *m)
{
	Meshd__BabelRoute *r;

	memset(m, 0, sizeof(*m));
	meshd__routes__init(&m->all);
	m->all.name = "wg0";
	m->all.on = true;
	m->all.router_id = router_id;
	m->all.seqno = 5;
	m->all.prefixes = 4;
	m->all.routes_known = 10;
	m->all.route_changes = 3;
	m->all.unfeasible = 2;
	m->all.requests_sent = 1;
	m->all.routes = m->routes;
	r = make_route(m, "2001:db8::/32", true);
	r->from = "2001:db8:7::/48";
	r->smoothed = 230;
	r = make_route(m, "10.9.0.0/16", false);
	r->own = true;
	r->metric = 5;
	make_office(make_route(m, "9.0.0.0/8", true));
	r = make_route(m, "10.2.0.0/16", false);
	r->held = true;
	make_route(m, "10.1.0.0/16", true);
	make_unused_routes(m);
	make_neighbours(m);
	make_interfaces(m);
}

#define CHOSEN_1 "9.0.0.0/8 via 192.168.5.9 dev eth1 metric 296 (200+96) smoothed 311 router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible chosen age 3s\n"
#define CHOSEN_2 "10.1.0.0/16 via peer home metric 224 (128+96) router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible chosen age 3s\n"
#define CHOSEN_3 \
	"unreachable 10.2.0.0/16 lost, held until neighbours know\n" \
	"10.9.0.0/16 own metric 5 seqno 7\n"
#define CHOSEN_4 \
	"2001:db8::/32 from 2001:db8:7::/48 via peer home metric 224 (128+96) smoothed 230 router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 " \
	"feasible chosen age 3s\n"

static void chosen_routes(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Routes *list[1] = { &m.all };

	(void)state;
	make(&m);
	m.all.left_out = 5;
	routes_text(list, 1, false, false, &out);
	assert_string_equal(out.s, CHOSEN_1 CHOSEN_2 CHOSEN_3 CHOSEN_4);
	text_done(&out);
}

/* Every reason there is but that of a route nobody has chosen a route beside. */
static void all_routes(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Routes *list[1] = { &m.all };

	(void)state;
	make(&m);
	m.all.left_out = 5;
	routes_text(list, 1, true, false, &out);
	assert_string_equal(out.s, CHOSEN_1 CHOSEN_2
		"10.1.0.0/16 via peer new metric 200 (128+72) smoothed 224 router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"better, but not for long enough\n"
		"10.1.0.0/16 via peer home metric 201 (128+73) router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"the neighbour does not know yet that we started anew\n"
		"10.1.0.0/16 via peer home metric 225 (128+97) router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 unfeasible age 3s: "
		"it might lead in a circle (wanted: a seqno after 8, or a metric below 96 announced with it)\n"
		"10.1.0.0/16 via 192.168.5.9 dev eth1 metric 296 (200+96) smoothed 311 router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"no better than the one chosen\n"
		"10.1.0.0/16 via 192.168.5.9 dev eth1 metric infinite (announced 200) router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"refused by a filter\n"
		"10.1.0.0/16 via 192.168.5.9 dev eth1 metric infinite (announced 200) router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"the link is down\n"
		"10.1.0.0/16 via peer home metric infinite router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"the neighbour has taken it back\n"
		"unreachable 10.2.0.0/16 lost, held until neighbours know\n"
		"10.9.0.0/16 own metric 5 seqno 7\n"
		"10.9.0.0/16 via 192.168.5.9 dev eth1 metric 296 (200+96) smoothed 311 router 02:aa:bb:cc:dd:ee:ff:01 seqno 7 feasible age 3s: "
		"the prefix is our own\n"
		CHOSEN_4
		"and 5 routes that did not fit into the answer\n");
	text_done(&out);
}

static void several_and_none(void **state)
{
	struct text out = { 0 };
	struct made m, off, fresh;
	Meshd__Routes *list[3] = { &m.all, &off.all, &fresh.all };

	(void)state;
	make(&m);
	make(&off);
	make(&fresh);
	m.all.n_routes = 5;
	off.all.name = "wg1";
	off.all.on = false;
	fresh.all.name = "wg2";
	fresh.all.n_routes = 1;
	fresh.routes[0]->selected = false;
	fresh.neighbour[0].untrusted = false;
	routes_text(list, 3, false, false, &out);
	assert_string_equal(out.s, "interface wg0\n" CHOSEN_1 CHOSEN_2 CHOSEN_3 CHOSEN_4
		"\ninterface wg1\n"
		"Babel does not run on wg1: it wants a [Babel] section, or a peer with AllowedIPs = auto or Babel = on\n"
		"\ninterface wg2\n"
		"no routes on wg2 yet\n");
	text_reset(&out);
	routes_text(&list[2], 1, true, false, &out);
	assert_non_null(strstr(out.s, " age 3s: not chosen yet\n"));
	text_done(&out);
}

/* Colour adds escapes and nothing else. */
static void coloured(void **state)
{
	struct text plain = { 0 }, colour = { 0 }, stripped = { 0 };
	struct made m;
	Meshd__Routes *list[1] = { &m.all };

	(void)state;
	make(&m);
	routes_text(list, 1, true, false, &plain);
	routes_text(list, 1, true, true, &colour);
	assert_null(strchr(plain.s, '\033'));
	assert_non_null(strchr(colour.s, '\033'));
	for (const char *p = colour.s; *p; p++) {
		if (*p == '\033')
			p = strchr(p, 'm');
		else
			text_add_bytes(&stripped, p, 1);
	}
	assert_string_equal(stripped.s, plain.s);
	text_done(&plain);
	text_done(&colour);
	text_done(&stripped);
}

static void neighbours(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Routes *list[1] = { &m.all };

	(void)state;
	make(&m);
	routes_neighbours_text(list, 1, false, &out);
	assert_string_equal(out.s,
		"VIA          NEIGHBOUR       REACH             RXCOST  TXCOST  COST  RTT      ROUTES\n"
		"peer home    fe80::1         1111111111111111  96      96      128   12.3 ms  4\n"
		"eth1         fe80::2         1100000000000001  192     256     192   -        3\n"
		"eth1         fe80::3         0000000000000000  down    96      down  -        0\n"
		"peer laptop  nobody heard    -                 -       -       -     -        -\n"
		"eth2         interface down  -                 -       -       -     -        -\n"
		"wg0: router 02:aa:bb:cc:dd:ee:ff:01, seqno 5; 4 prefixes, 10 routes of neighbours; 3 changes, 2 unfeasible updates, 1 requests\n");
	text_reset(&out);
	m.all.n_neighbours = m.all.n_interfaces = 0;
	m.all.refused = 9;
	routes_neighbours_text(list, 1, false, &out);
	assert_non_null(strstr(out.s, ", 1 requests; 9 refused, for a table was full\n"));
	assert_null(strstr(out.s, "VIA"));
	text_done(&out);
}

static void json(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Routes *list[1] = { &m.all };

	(void)state;
	make(&m);
	m.routes[0] = &m.route[6];
	m.all.n_routes = m.all.n_neighbours = m.all.n_interfaces = 1;
	m.neighbour[0].untrusted = false;
	routes_json(list, 1, &out);
	assert_string_equal(out.s,
		"{\n"
		"  \"routes\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"prefix\": \"10.1.0.0/16\",\n"
		"      \"from\": null,\n"
		"      \"own\": false,\n"
		"      \"via\": \"home\",\n"
		"      \"via_peer\": true,\n"
		"      \"neighbour\": \"fe80::1\",\n"
		"      \"next_hop\": \"fe80::1\",\n"
		"      \"router_id\": \"02:aa:bb:cc:dd:ee:ff:01\",\n"
		"      \"seqno\": 7,\n"
		"      \"announced\": 128,\n"
		"      \"metric\": 225,\n"
		"      \"smoothed\": 225,\n"
		"      \"feasible\": false,\n"
		"      \"selected\": false,\n"
		"      \"held\": false,\n"
		"      \"age_s\": 3,\n"
		"      \"why_not\": \"unfeasible\",\n"
		"      \"distance_seqno\": 8,\n"
		"      \"distance\": 96\n"
		"    }\n"
		"  ],\n"
		"  \"neighbours\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"via\": \"home\",\n"
		"      \"via_peer\": true,\n"
		"      \"address\": \"fe80::1\",\n"
		"      \"reach\": 65535,\n"
		"      \"rxcost\": 96,\n"
		"      \"txcost\": 96,\n"
		"      \"cost\": 128,\n"
		"      \"rtt_us\": 12345,\n"
		"      \"routes\": 4,\n"
		"      \"trusted\": true\n"
		"    }\n"
		"  ],\n"
		"  \"links\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"name\": \"home\",\n"
		"      \"peer\": true,\n"
		"      \"type\": \"tunnel\",\n"
		"      \"up\": true,\n"
		"      \"address\": null,\n"
		"      \"hello_interval_ms\": 0,\n"
		"      \"update_interval_ms\": 0,\n"
		"      \"neighbours\": 1,\n"
		"      \"authenticated\": false,\n"
		"      \"packets_sent\": 0,\n"
		"      \"packets_received\": 0,\n"
		"      \"bytes_sent\": 0,\n"
		"      \"bytes_received\": 0,\n"
		"      \"dropped_mac\": 0,\n"
		"      \"dropped_malformed\": 0,\n"
		"      \"dropped_source\": 0\n"
		"    }\n"
		"  ],\n"
		"  \"speakers\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"on\": true,\n"
		"      \"router_id\": \"02:aa:bb:cc:dd:ee:ff:01\",\n"
		"      \"seqno\": 5,\n"
		"      \"prefixes\": 4,\n"
		"      \"routes\": 10,\n"
		"      \"route_changes\": 3,\n"
		"      \"requests_sent\": 1,\n"
		"      \"requests_forwarded\": 0,\n"
		"      \"requests_answered\": 0,\n"
		"      \"requests_pending\": 0,\n"
		"      \"unfeasible_updates\": 2,\n"
		"      \"refused\": 0,\n"
		"      \"left_out\": 0\n"
		"    }\n"
		"  ]\n"
		"}\n");
	text_done(&out);
}

/* Infinity, and what is not known, is null; a chosen route has no reason. */
static void json_nulls(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Routes *list[1] = { &m.all };

	(void)state;
	make(&m);
	routes_json(list, 1, &out);
	assert_non_null(strstr(out.s, "\"announced\": null,\n      \"metric\": null,\n      \"smoothed\": null,\n"));
	assert_non_null(strstr(out.s, "\"rxcost\": null,\n      \"txcost\": 96,\n      \"cost\": null,\n      \"rtt_us\": null,\n"));
	assert_non_null(strstr(out.s, "\"selected\": true,\n      \"held\": false,\n      \"age_s\": 3,\n      \"why_not\": null,\n"));
	assert_non_null(strstr(out.s, "\"held\": true,\n      \"age_s\": null,\n      \"why_not\": null,\n"));
	assert_non_null(strstr(out.s, "\"trusted\": false"));
	assert_non_null(strstr(out.s, "\"why_not\": \"link_down\""));
	assert_non_null(strstr(out.s, "\"distance\": null\n"));
	text_reset(&out);
	routes_json(list, 0, &out);
	assert_string_equal(out.s, "{\n  \"routes\": [],\n  \"neighbours\": [],\n  \"links\": [],\n  \"speakers\": []\n}\n");
	text_done(&out);
}

/* ---- from a node: a speaker whose every n-th route is chosen ---- */

enum { CHOSEN_EVERY = 4 };

struct babel {
	size_t routes, neighbours;
};

static struct babel speaker;
static bool speaks;
static int owners[3];

const struct babel *node_babel(const struct node *n)
{
	(void)n;
	return &speaker;
}

bool node_routing_on(const struct node *n)
{
	(void)n;
	return speaks;
}

/* Two are wanted; the speaker has one of them. */
bool node_lan_wanted(const struct node *n, size_t i, char name[16])
{
	(void)n;
	snprintf(name, 16, "%s", i ? "eth9" : "eth1");
	return i < 2;
}

const char *node_babel_owner_name(const struct node *n, const void *owner, bool *is_peer)
{
	(void)n;
	*is_peer = owner == &owners[0];
	return owner == &owners[0] ? "home" : NULL;
}

uint16_t babel_seqno(const struct babel *b)
{
	(void)b;
	return 77;
}

const uint8_t *babel_router_id(const struct babel *b)
{
	(void)b;
	return id;
}

void babel_info(const struct babel *b, struct babel_info *info)
{
	*info = (struct babel_info){ .prefixes = 3, .routes = b->routes, .neighbours = b->neighbours, .route_changes = 1, .requests_sent = 2,
				     .requests_forwarded = 4, .requests_answered = 5, .unfeasible = 6, .refused = 7, .requests_pending = 8 };
}

bool babel_iface_at(const struct babel *b, size_t i, struct babel_iface_info *info)
{
	(void)b;
	*info = (struct babel_iface_info){ .name = "eth1", .owner = &owners[1], .type = BABEL_WIRELESS, .up = true, .hello_us = 4000000,
					   .update_us = 16000000, .neighbour_count = 2, .authenticated = true, .packets_sent = 1,
					   .packets_received = 2, .bytes_sent = 3, .bytes_received = 4, .dropped_mac = 5,
					   .dropped_malformed = 6, .dropped_source = 7 };
	return i == 0 && ip_addr_parse("fe80::9", &info->address);
}

bool babel_neighbour_at(const struct babel *b, size_t i, struct babel_neighbour_info *info)
{
	*info = (struct babel_neighbour_info){ .owner = &owners[2 - i % 3], .iface_name = "eth1", .reach = (uint16_t)(0xf000 + i), .rxcost = 1,
					       .txcost = 2, .cost = (uint16_t)(3 + i), .has_rtt = i > 0, .rtt_us = 9, .routes = 4, .untrusted = i > 0 };
	return i < b->neighbours && ip_addr_parse("fe80::1", &info->address);
}

static void visit_one(size_t i, void (*visit)(void *ctx, const struct babel_route_info *r), void *ctx)
{
	struct babel_route_info r = { .owner = &owners[i % 2], .iface_name = "eth1", .seqno = (uint16_t)i, .announced = 1, .metric = 2,
				      .smoothed = 3, .feasible = i % 3 != 0, .selected = i % CHOSEN_EVERY == 0, .age_us = 5999 };

	assert_true(ip_prefix_parse("2001:db8::/32", &r.prefix.dst));
	assert_true(ip_prefix_parse(i % 2 ? "2001:db8:1::/48" : "::/0", &r.prefix.src));
	assert_true(ip_addr_parse("fe80::1", &r.neighbour));
	assert_true(ip_addr_parse("fe80::2", &r.next_hop));
	memcpy(r.router_id, id, sizeof(id));
	visit(ctx, &r);
}

void babel_routes(const struct babel *b, struct instant now, void (*visit)(void *ctx, const struct babel_route_info *r), void *ctx)
{
	struct babel_route_info own = { .own = true, .metric = 4, .seqno = 77 }, held = { .held = true };

	assert_int_equal(now.mono_us, 123);
	assert_true(ip_prefix_parse("10.0.0.0/8", &own.prefix.dst));
	own.prefix.src = (struct ip_prefix){ .addr.family = IP_V4 };
	held.prefix = own.prefix;
	for (size_t i = 0; i < b->routes; i++)
		visit_one(i, visit, ctx);
	visit(ctx, &own);
	visit(ctx, &held);
}

bool babel_distance(const struct babel *b, const struct prefix_pair *p, const uint8_t router[BABEL_ROUTER_ID_LEN], uint16_t *seqno,
		    uint16_t *metric)
{
	(void)b;
	(void)p;
	assert_memory_equal(router, id, sizeof(id));
	*seqno = 21;
	*metric = 22;
	return true;
}

static Meshd__Routes *filled(size_t routes, size_t neighbour_count)
{
	static const struct instant now = { 123, 0 };
	Meshd__Routes *m = malloc(sizeof(*m));

	speaker = (struct babel){ routes, neighbour_count };
	meshd__routes__init(m);
	assert_true(routes_status_fill(NULL, "wg7", now, m));
	return m;
}

static void nothing_when_off(void **state)
{
	Meshd__Routes *m;

	(void)state;
	speaks = false;
	m = filled(2, 2);
	assert_string_equal(m->name, "wg7");
	assert_false(m->on);
	assert_int_equal(m->n_routes + m->n_neighbours + m->n_interfaces, 0);
	meshd__routes__free_unpacked(m, NULL);
	speaks = true;
}

static void totals_and_links(void **state)
{
	Meshd__Routes *m = filled(2, 2);

	(void)state;
	assert_true(m->on);
	assert_int_equal(m->router_id.len, sizeof(id));
	assert_memory_equal(m->router_id.data, id, sizeof(id));
	assert_int_equal(m->seqno, 77);
	assert_int_equal(m->prefixes, 3);
	assert_int_equal(m->routes_known, 2);
	assert_int_equal(m->requests_pending, 8);
	assert_int_equal(m->refused, 7);
	assert_int_equal(m->n_interfaces, 2);
	/* The other one is not there, and that is what one looks for. */
	assert_string_equal(m->interfaces[1]->name, "eth9");
	assert_false(m->interfaces[1]->up);
	assert_string_equal(m->interfaces[0]->name, "eth1");
	assert_false(m->interfaces[0]->peer);
	assert_string_equal(m->interfaces[0]->type, "wireless");
	assert_string_equal(m->interfaces[0]->address, "fe80::9");
	assert_int_equal(m->interfaces[0]->hello_ms, 4000);
	assert_int_equal(m->interfaces[0]->dropped_source, 7);
	assert_int_equal(m->n_neighbours, 2);
	assert_string_equal(m->neighbours[0]->via, "eth1");
	assert_int_equal(m->neighbours[0]->rtt_us, -1);
	assert_int_equal(m->neighbours[1]->rtt_us, 9);
	assert_int_equal(m->neighbours[1]->cost, 4);
	assert_false(m->neighbours[0]->untrusted);
	assert_true(m->neighbours[1]->untrusted);
	meshd__routes__free_unpacked(m, NULL);
}

/* Chosen, own and held ones first; what a route does not have is not set. */
static void routes_in_a_message(void **state)
{
	Meshd__Routes *m = filled(4, 0);
	const Meshd__BabelRoute *r;

	(void)state;
	assert_int_equal(m->n_routes, 6);
	r = m->routes[0];
	assert_true(r->selected && r->via_peer);
	assert_string_equal(r->via, "home");
	assert_string_equal(r->from, "");
	assert_string_equal(r->prefix, "2001:db8::/32");
	assert_string_equal(r->neighbour, "fe80::1");
	assert_string_equal(r->next_hop, "fe80::2");
	assert_memory_equal(r->router_id.data, id, sizeof(id));
	assert_int_equal(r->age_ms, 5);
	assert_true(r->has_distance);
	assert_int_equal(r->distance_seqno, 21);
	assert_int_equal(r->distance, 22);
	assert_true(m->routes[1]->own);
	assert_int_equal(m->routes[1]->metric, 4);
	assert_string_equal(m->routes[1]->via, "");
	assert_int_equal(m->routes[1]->router_id.len, 0);
	assert_false(m->routes[1]->has_distance);
	assert_true(m->routes[2]->held);
	r = m->routes[3];
	assert_false(r->selected || r->via_peer || r->has_distance);
	assert_string_equal(r->via, "eth1");
	assert_string_equal(r->from, "2001:db8:1::/48");
	assert_int_equal(r->seqno, 1);
	meshd__routes__free_unpacked(m, NULL);
}

/* A large table fits; of one that is too large all that packets follow is there, and the rest is counted. */
static void too_many(void **state)
{
	static const size_t counts[] = { 10000, 2 * ROUTES_STATUS_MAX };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		size_t chosen = 0, all = counts[k] + 2;
		Meshd__Routes *m = filled(counts[k], BABEL_NEIGHBOURS_ALL_MAX + 5);

		assert_int_equal(m->n_neighbours, BABEL_NEIGHBOURS_ALL_MAX);
		assert_int_equal(m->n_routes, all < ROUTES_STATUS_MAX ? all : ROUTES_STATUS_MAX);
		assert_int_equal(m->n_routes + m->left_out, all);
		for (size_t i = 0; i < m->n_routes; i++)
			chosen += m->routes[i]->selected ? 1 : 0;
		assert_int_equal(chosen, counts[k] / CHOSEN_EVERY);
		assert_in_range(meshd__routes__get_packed_size(m), all < ROUTES_STATUS_MAX ? all : ROUTES_STATUS_MAX, CONTROL_MESSAGE_MAX - 64);
		meshd__routes__free_unpacked(m, NULL);
	}
}

static void links_of_peers(void **state)
{
	struct routes_status_link *links;
	size_t count;

	(void)state;
	speaker.neighbours = 3;
	links = routes_status_links(NULL, &count);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct routes_status_link *l = routes_status_link(links, count, &owners[2 - i]);

		assert_non_null(l);
		assert_int_equal(l->cost, 3 + i);
		assert_int_equal(l->reach, 0xf000 + i);
	}
	assert_null(routes_status_link(links, count, &count));
	free(links);
	speaker.neighbours = 0;
	assert_null(routes_status_links(NULL, &count));
	assert_int_equal(count, 0);
	assert_null(routes_status_link(NULL, 0, &owners[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_routes),
		cmocka_unit_test(all_routes),
		cmocka_unit_test(several_and_none),
		cmocka_unit_test(coloured),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(json),
		cmocka_unit_test(json_nulls),
		cmocka_unit_test(nothing_when_off),
		cmocka_unit_test(totals_and_links),
		cmocka_unit_test(routes_in_a_message),
		cmocka_unit_test(too_many),
		cmocka_unit_test(links_of_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
