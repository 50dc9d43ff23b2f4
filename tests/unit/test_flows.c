/* SPDX-License-Identifier: MIT */
/* meshd flows: what people and programs see, from messages made by hand; and what a node tells, with flows put on slots by the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/flows.h"
#include "crypto/key.h"
#include "node/flows.h"
#include "node/inside.h"
#include "sys/status.h"

/* ---- text and JSON ---- */

struct made {
	Meshd__Status status;
	Meshd__Peer peer, *peers[1];
	Meshd__SubSession sub[3], *subs[3];
	uint8_t key[KEY_LEN];
};

static void make(struct made *m)
{
	memset(m, 0, sizeof(*m));
	meshd__status__init(&m->status);
	meshd__peer__init(&m->peer);
	memset(m->key, 2, KEY_LEN);
	m->peer.public_key = (ProtobufCBinaryData){ KEY_LEN, m->key };
	for (int i = 0; i < 3; i++) {
		meshd__sub_session__init(&m->sub[i]);
		m->subs[i] = &m->sub[i];
	}
	m->sub[0] = (Meshd__SubSession){ .base = m->sub[0].base, .number = 0, .local_port = 51820, .local_address = "", .remote = "192.0.2.1:51820",
					 .usable = true, .flows = 3, .idle_us = 12345, .heard_us = -1 };
	m->sub[1] = (Meshd__SubSession){ .base = m->sub[1].base, .number = 1, .lane = 1, .local_port = 40001, .local_address = "2001:db8::9",
					 .remote = "[2001:db8::1]:51820", .flow_label = 0xabc, .usable = true, .flows = 1, .own = true,
					 .idle_us = 999, .heard_us = 12000000 };
	m->sub[2] = (Meshd__SubSession){ .base = m->sub[2].base, .number = 2, .local_port = 40002, .local_address = "", .remote = "192.0.2.1:51820",
					 .idle_us = -1, .heard_us = 5 };
	m->peer.sub_sessions = m->subs;
	m->peer.n_sub_sessions = 3;
	m->peers[0] = &m->peer;
	m->status.name = "wg0";
	m->status.peers = m->peers;
	m->status.n_peers = 1;
}

/* Only what has flows has a line. */
static void text(void **state)
{
	struct text out = { 0 };
	struct made m, other;
	Meshd__Status *list[2] = { &m.status, &other.status };

	(void)state;
	make(&m);
	make(&other);
	flows_text(list, 1, false, &out);
	assert_string_equal(out.s,
		"PEER         SUB  FLOWS  SENT   HEARD  FROM PORT  LABEL    TO\n"
		"AgICAgIC...  0    3      12 ms  -      51820      -        192.0.2.1:51820\n"
		"AgICAgIC...  1    1      0 ms   12s    40001      0x00abc  [2001:db8::1]:51820\n");
	text_reset(&out);
	other.status.name = "mesh10";
	other.peer.name = "laptop";
	other.status.sub_sessions_left_out = 7;
	flows_text(list, 2, false, &out);
	assert_memory_equal(out.s, "INTERFACE  PEER  ", 17);
	assert_non_null(strstr(out.s, "\nmesh10     laptop       1    1  "));
	assert_non_null(strstr(out.s, "\nand 7 sub-sessions that did not fit into the answer\n"));
	text_reset(&out);
	m.peer.n_sub_sessions = 0;
	flows_text(list, 1, false, &out);
	assert_string_equal(out.s, "no flows to peers that run meshd in the last seconds\n");
	text_done(&out);
}

static void json(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Status *list[1] = { &m.status };

	(void)state;
	make(&m);
	m.peer.n_sub_sessions = 1;
	m.subs[0] = &m.sub[1];
	flows_json(list, 1, &out);
	assert_string_equal(out.s,
		"{\n"
		"  \"flows\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"public_key\": \"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\",\n"
		"      \"name\": null,\n"
		"      \"sub_session\": 1,\n"
		"      \"lane\": 1,\n"
		"      \"local_port\": 40001,\n"
		"      \"local_address\": \"2001:db8::9\",\n"
		"      \"remote\": \"[2001:db8::1]:51820\",\n"
		"      \"flow_label\": 2748,\n"
		"      \"usable\": true,\n"
		"      \"flows\": 1,\n"
		"      \"own\": true,\n"
		"      \"idle_us\": 999,\n"
		"      \"heard_us\": 12000000\n"
		"    }\n"
		"  ],\n"
		"  \"left_out\": 0\n"
		"}\n");
	/* One without flows is there too; what is not known is null. */
	text_reset(&out);
	m.subs[0] = &m.sub[2];
	flows_json(list, 1, &out);
	assert_non_null(strstr(out.s, "\"usable\": false,\n      \"flows\": 0,\n      \"own\": false,\n      \"idle_us\": null,\n      \"heard_us\": 5\n"));
	text_reset(&out);
	flows_json(list, 0, &out);
	assert_string_equal(out.s, "{\n  \"flows\": [],\n  \"left_out\": 0\n}\n");
	text_done(&out);
}

/* ---- from a node ---- */

enum { LANES = 2, SUBS = 6, NOW_S = 100 };

static void seeded_fill(void *ctx, void *out, size_t len)
{
	unsigned int *seed = ctx;

	for (uint8_t *p = out; len--; p++)
		*p = (uint8_t)rand_r(seed);
}

static const struct instant now = { NOW_S * US_PER_S, 0 };

/* A node of two lanes with one peer; sub-sessions 1 to SUBS are open and usable. */
static struct node *node_with_peer(void)
{
	static unsigned int seed = 3;
	const struct rng rng = { seeded_fill, &seed };
	const struct log log = { 0 };
	struct node *n = node_new(&rng, &log, LANES);
	struct change c = { .bits = CHANGE_PRIVATE_KEY };
	struct change_peer *p = change_add_peer(&c);
	struct endpoint there;

	memset(c.private_key, 0x77, KEY_LEN);
	key_clamp(c.private_key);
	memset(p->public_key, 0x21, KEY_LEN);
	assert_true(endpoint_parse("[2001:db8::1]:51820", &there) && change_add_address(p, &there));
	assert_int_equal(node_apply(n, &c, now), 0);
	change_done(&c);
	n->listen_port = 4711;
	for (uint16_t i = 1; i <= SUBS; i++)
		n->ports[i] = (uint16_t)(5000 + i);
	return n;
}

static void open_subs(struct node *n)
{
	struct lane_peer *p = &n->peers[0]->data;

	p->mesh = true;
	n->peers[0]->spread.subs = calloc(SUB_SESSIONS, sizeof(struct spread_sub));
	assert_true(links_open_subs(n->lanes, LANES, p, SUBS));
	for (unsigned int i = 1; i <= SUBS; i++) {
		p->subs[i] = (struct lane_sub){ .path = n->peers[0]->data.links[0].path, .label = i, .port = (uint8_t)i };
		links_set_usable(n->lanes, LANES, p, i, true);
	}
}

static int place(struct node *n, unsigned int lane, uint64_t hash, int64_t ago_us)
{
	return flow_place(&n->lanes[lane].flows, &n->peers[0]->data.links[lane].slots, hash, now.mono_us - ago_us).slot;
}

/* Of a plain peer there is nothing to tell, nor of one that is not there. */
static void plain(void **state)
{
	struct node *n = node_with_peer();
	struct flow_info v[FLOWS_A_PEER];

	(void)state;
	assert_int_equal(node_flows(n, 0, now, v), 0);
	assert_int_equal(node_flows(n, 1, now, v), 0);
	node_free(n);
}

static void by_number(void **state)
{
	struct node *n = node_with_peer();
	struct flow_info v[FLOWS_A_PEER];

	(void)state;
	open_subs(n);
	n->peers[0]->data.subs[3].heard_us = now.mono_us - 7;
	n->peers[0]->data.subs[4].port = 0;
	assert_int_equal(node_flows(n, 0, now, v), SUBS);
	for (unsigned int i = 0; i < SUBS; i++) {
		assert_int_equal(v[i].number, i + 1);
		assert_int_equal(v[i].lane, (i + 1) % LANES);
		assert_int_equal(v[i].local_port, i + 1 == 4 ? 4711 : 5001 + i);
		assert_int_equal(v[i].label, i + 1);
		assert_int_equal(v[i].path.remote.port, 51820);
		assert_true(v[i].usable);
		assert_int_equal(v[i].flows, 0);
		assert_int_equal(v[i].idle_us, -1);
		assert_int_equal(v[i].heard_us, i + 1 == 3 ? 7 : -1);
	}
	node_free(n);
}

/* Slot j of lane 0 is sub-session 2 + 2 j, of lane 1 it is 1 + 2 j. */
static void flows_are_counted(void **state)
{
	struct node *n = node_with_peer();
	struct flow_info v[FLOWS_A_PEER];
	int slot;

	(void)state;
	open_subs(n);
	slot = place(n, 1, 11, 30);
	assert_int_equal(node_flows(n, 0, now, v), SUBS);
	assert_int_equal(v[2 * slot].flows, 1);
	assert_true(v[2 * slot].own);
	assert_int_equal(v[2 * slot].idle_us, 30);
	/* The other lane is full, and one more flow shares. */
	n->peers[0]->data.links[0].slots.complete = true;
	for (uint64_t hash = 21; hash <= 23; hash++)
		place(n, 0, hash, 20);
	slot = place(n, 0, 24, 10);
	node_flows(n, 0, now, v);
	assert_int_equal(v[2 * slot + 1].flows, 2);
	assert_false(v[2 * slot + 1].own);
	assert_int_equal(v[2 * slot + 1].idle_us, 10);
	/* What is no longer usable has no flows. */
	links_set_usable(n->lanes, LANES, &n->peers[0]->data, 2 * (unsigned int)slot + 2, false);
	node_flows(n, 0, now, v);
	assert_false(v[2 * slot + 1].usable);
	assert_int_equal(v[2 * slot + 1].flows, 0);
	node_free(n);
}

/* Flows that found nothing are on session 0, from whatever lane; one without a packet for long is not counted. */
static void those_on_none(void **state)
{
	struct node *n = node_with_peer();
	struct flow_info v[FLOWS_A_PEER];

	(void)state;
	open_subs(n);
	for (unsigned int i = 1; i <= SUBS; i++)
		links_set_usable(n->lanes, LANES, &n->peers[0]->data, i, false);
	place(n, 0, 31, 50);
	place(n, 1, 32, 40);
	place(n, 1, 33, FLOWS_LATELY_S * US_PER_S + 1);
	assert_int_equal(node_flows(n, 0, now, v), SUBS + 1);
	assert_int_equal(v[0].number, 0);
	assert_int_equal(v[0].flows, 2);
	assert_int_equal(v[0].idle_us, 40);
	assert_int_equal(v[0].heard_us, -1);
	assert_int_equal(v[0].local_port, 4711);
	assert_int_equal(v[1].number, 1);
	node_free(n);
}

/* A slot given to another flow is no longer the first one's. */
static void given_away(void **state)
{
	struct node *n = node_with_peer();
	struct flow_info v[FLOWS_A_PEER];

	(void)state;
	open_subs(n);
	for (uint64_t hash = 1; hash <= SUBS / LANES; hash++)
		place(n, 1, hash, 2 * US_PER_S);
	place(n, 1, 41, 0);
	node_flows(n, 0, now, v);
	for (unsigned int number = 1, flows = 0; number <= SUBS; number++) {
		flows += v[number - 1].flows;
		assert_in_range(v[number - 1].flows, 0, 1);
		if (number == SUBS)
			assert_int_equal(flows, SUBS / LANES);
	}
	node_free(n);
}

/* In the message of a status only when they were asked for. */
static void in_a_status(void **state)
{
	struct status_facts facts = { .name = "wg7", .lane_count = LANES };
	struct node *n = node_with_peer();

	(void)state;
	open_subs(n);
	place(n, 1, 11, 30);
	for (int asked = 0; asked < 2; asked++) {
		Meshd__Status *s = malloc(sizeof(*s));

		meshd__status__init(s);
		facts.sub_sessions = asked;
		assert_true(status_fill(n, &facts, now, s));
		assert_true(s->peers[0]->mesh);
		assert_int_equal(s->peers[0]->sub_sessions_open, SUBS);
		assert_int_equal(s->peers[0]->sub_sessions_usable, SUBS);
		assert_int_equal(s->peers[0]->sub_sessions_busy, 1);
		assert_int_equal(s->peers[0]->n_sub_sessions, asked ? SUBS : 0);
		if (asked) {
			assert_string_equal(s->peers[0]->sub_sessions[2]->remote, "[2001:db8::1]:51820");
			assert_int_equal(s->peers[0]->sub_sessions[2]->local_port, 5003);
		}
		meshd__status__free_unpacked(s, NULL);
	}
	node_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(json),
		cmocka_unit_test(plain),
		cmocka_unit_test(by_number),
		cmocka_unit_test(flows_are_counted),
		cmocka_unit_test(those_on_none),
		cmocka_unit_test(given_away),
		cmocka_unit_test(in_a_status),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
