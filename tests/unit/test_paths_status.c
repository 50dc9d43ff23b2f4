/* SPDX-License-Identifier: MIT */
/*
 * meshd paths: what people and programs see, from messages made by hand; and what a node tells, with a node made up here, whose functions stand in
 * the place of the real one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/paths.h"
#include "node/flows.h"
#include "node/node.h"
#include "sys/control.h"
#include "sys/paths_status.h"

/* ---- text and JSON ---- */

enum { PATHS = 5 };

struct made {
	Meshd__Paths all;
	Meshd__PeerPaths peer[3], *peers[3];
	Meshd__Path path[PATHS], *paths[PATHS], plain, *plains[1];
};

static uint8_t keys[3][32] = { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } };

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void make_path(Meshd__Path *p, const char *remote, const char *local, const char *interface, const char *state)
{
	meshd__path__init(p);
	p->remote = text(remote);
	p->local_address = text(local);
	p->interface = text(interface);
	p->state = text(state);
	p->rtt_us = p->rtt_min_us = p->rtt_now_us = p->metric_us = -1;
	p->asked_us = p->answered_us = p->heard_us = -1;
}

static void make_measured(Meshd__Path *p, int64_t min_us, int64_t now_us)
{
	p->rtt_us = p->rtt_min_us = min_us;
	p->rtt_now_us = now_us;
	p->metric_us = min_us + 2000;
	p->has_loss_out = true;
	p->loss_out_ppm = 51234;
	p->late_out_ppm = 7;
	p->loss_in_ppm = 900;
	p->mtu = 1500;
	p->answered_us = 40000;
}

/* A meshd with paths of all kinds, a plain peer, and one without a session. */
static void make(struct made *m)
{
	memset(m, 0, sizeof(*m));
	meshd__paths__init(&m->all);
	m->all.name = "wg0";
	m->all.peers = m->peers;
	m->all.n_peers = 3;
	for (size_t i = 0; i < 3; i++) {
		m->peers[i] = &m->peer[i];
		meshd__peer_paths__init(m->peers[i]);
		m->peer[i].public_key = (ProtobufCBinaryData){ sizeof(keys[i]), keys[i] };
		m->peer[i].changed_us = -1;
		m->peer[i].why = "none";
	}
	for (size_t i = 0; i < PATHS; i++)
		m->paths[i] = &m->path[i];
	make_path(&m->path[0], "192.0.2.2:51820", "192.0.2.1", "eth0", "alive");
	make_measured(&m->path[0], 9140, 10460);
	m->path[0].sending = true;
	m->path[0].sub_sessions = 3;
	make_path(&m->path[1], "[2001:db8::2]:51820", "2001:db8::1", "eth0", "alive");
	make_measured(&m->path[1], 20000, 21000);
	m->path[1].receiving = true;
	m->path[1].has_loss_out = false;
	m->path[1].cost_ms = 30;
	m->path[1].metered = true;
	make_path(&m->path[2], "192.0.2.2:51820", "10.0.0.1", "eth1", "dead");
	make_path(&m->path[3], "10.77.0.2:51820", "", "", "loops");
	make_path(&m->path[4], "198.51.100.2:51820", "10.0.0.1", "eth1", "no_route");
	m->peer[0].name = "home";
	m->peer[0].mesh = m->peer[0].managed = m->peer[0].has_session = true;
	m->peer[0].why = "better";
	m->peer[0].changed_us = 63999999;
	m->peer[0].changes = 2;
	m->peer[0].paths = m->paths;
	m->peer[0].n_paths = PATHS;
	make_path(&m->plain, "203.0.113.9:4500", "192.0.2.1", "eth0", "alive");
	m->plain.sending = m->plain.receiving = true;
	m->plains[0] = &m->plain;
	m->peer[1].name = "phone";
	m->peer[1].has_session = true;
	m->peer[1].why = "plain";
	m->peer[1].paths = m->plains;
	m->peer[1].n_paths = 1;
}

#define HOME_TABLE \
	"     ENDPOINT             LOCAL        INTERFACE  RTT MIN  NOW      LOSS OUT  IN     MTU   SUBS  STATE\n" \
	" >   192.0.2.2:51820      192.0.2.1    eth0       9.14 ms  10.4 ms  5.1 %     0.0 %  1500  3     alive\n" \
	"  <  [2001:db8::2]:51820  2001:db8::1  eth0       20.0 ms  21.0 ms  -         0.0 %  1500  0     alive, cost 30 ms, metered\n" \
	"     192.0.2.2:51820      10.0.0.1     eth1       -        -        -         -      -     0     dead\n" \
	"     10.77.0.2:51820      any          -          -        -        -         -      -     0     loops\n" \
	"     198.51.100.2:51820   10.0.0.1     eth1       -        -        -         -      -     0     no route\n"
#define HOME "peer home: the path used became better than the one before, 1m 3s ago; changed 2 times\n" HOME_TABLE
#define PHONE "peer phone: no meshd: 203.0.113.9:4500 from 192.0.2.1 on eth0, where it was heard last\n"
#define THIRD "peer BwgJAAAA...: no endpoint is known\n"

static void tables(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Paths *list[2] = { &m.all, &m.all };

	(void)state;
	make(&m);
	paths_text(list, 1, NULL, false, &out);
	assert_string_equal(out.s, HOME "\n" PHONE "\n" THIRD);
	text_reset(&out);
	m.all.left_out = 7;
	paths_text(list, 2, "phone", false, &out);
	assert_string_equal(out.s, "interface wg0\n" PHONE "and 7 paths that did not fit into the answer\n"
				   "\ninterface wg0\n" PHONE "and 7 paths that did not fit into the answer\n");
	text_done(&out);
}

static void peers_by_word(void **state)
{
	static const struct {
		const char *word, *text;
	} step[] = {
		{ "home", HOME }, { "phone", PHONE }, { "BwgJAAAA...", THIRD }, { "Bwg", THIRD }, { "BwgJ", THIRD },
		{ "hom", "" }, { "...", "" }, { "", "" }, { "BwgK", "" },
	};
	struct text out = { 0 };
	struct made m;
	Meshd__Paths *list[1] = { &m.all };

	(void)state;
	make(&m);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		text_reset(&out);
		paths_text(list, 1, step[i].word, false, &out);
		assert_string_equal(out.len ? out.s : "", step[i].text);
		assert_int_equal(paths_have_peer(list, 1, step[i].word), *step[i].text != '\0');
	}
	/* A name is stronger than a key. */
	m.peer[1].name = "Bwg";
	text_reset(&out);
	paths_text(list, 1, "Bwg", false, &out);
	assert_non_null(strstr(out.s, "peer Bwg: no meshd"));
	assert_null(strstr(out.s, "BwgJ"));
	text_done(&out);
}

/* What the first line says, and the last. */
static void words(void **state)
{
	static const struct {
		const char *why, *text;
	} step[] = {
		{ "none", "peer home: no path is alive" },
		{ "only", "peer home: the path used is the only one alive" },
		{ "first", "peer home: the path used answered first, and none is better" },
		{ "death", "peer home: the path used before died" },
		{ "gone", "peer home: the path used before is gone" },
		{ "of_tomorrow", "peer home: of_tomorrow" },
	};
	struct text out = { 0 };
	struct made m;
	Meshd__Paths *list[1] = { &m.all };
	char line[256];

	(void)state;
	make(&m);
	m.all.n_peers = 1;
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		m.peer[0].why = text(step[i].why);
		m.peer[0].changed_us = -1;
		m.peer[0].changes = i == 1;
		m.peer[0].urgent = i == 3;
		text_reset(&out);
		paths_text(list, 1, NULL, false, &out);
		snprintf(line, sizeof(line), "%s%s%s\n", step[i].text, i == 1 ? "; changed 1 time" : "",
			 i == 3 ? "; nothing comes back, all are being probed" : "");
		assert_memory_equal(out.s, line, strlen(line));
		assert_string_equal(out.s + strlen(line), HOME_TABLE);
	}
	m.peer[0].ecn_bleached = true;
	text_reset(&out);
	paths_text(list, 1, NULL, false, &out);
	assert_non_null(strstr(out.s, "no route\n  ECN is taken away on the path: routers on it drop where they could mark\n"));
	m.peer[0].ecn_untrusted = true;
	text_reset(&out);
	paths_text(list, 1, NULL, false, &out);
	assert_non_null(strstr(out.s, "no route\n  ECN is not used: the path marks what must not be marked\n"));
	assert_null(strstr(out.s, "taken away"));

	/* Not yet. */
	m.peer[0].managed = m.peer[0].has_session = false;
	text_reset(&out);
	paths_text(list, 1, NULL, false, &out);
	assert_string_equal(out.s, "peer home: no session\n" HOME_TABLE);
	m.peer[0].has_session = true;
	text_reset(&out);
	paths_text(list, 1, NULL, false, &out);
	assert_string_equal(out.s, "peer home: does not choose paths: 192.0.2.2:51820 from 192.0.2.1 on eth0, where it was heard last\n");
	text_done(&out);
}

/* Colours change nothing but colours, and a name cannot steer the terminal. */
static void colours(void **state)
{
	struct text out = { 0 }, stripped = { 0 };
	struct made m;
	Meshd__Paths *list[1] = { &m.all };

	(void)state;
	make(&m);
	m.peer[1].name = "a\033[2Jb";
	paths_text(list, 1, NULL, true, &out);
	for (const char *p = out.s; *p; p++)
		if (*p == '\033')
			p += strcspn(p, "m");
		else
			text_addf(&stripped, "%c", *p);
	assert_non_null(strstr(stripped.s, HOME));
	assert_non_null(strstr(stripped.s, "peer a?[2Jb: no meshd"));
	assert_non_null(strchr(out.s, '\033'));
	text_done(&out);
	text_done(&stripped);
}

static void json(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Paths *list[1] = { &m.all };

	(void)state;
	make(&m);
	m.paths[0] = &m.path[1];
	m.path[1].configured = m.path[1].told = true;
	m.path[1].number = 258;
	m.path[1].seen_as = "203.0.113.1:7";
	m.peer[0].n_paths = 1;
	m.all.left_out = 7;
	paths_json(list, 1, "home", &out);
	assert_string_equal(out.s,
		"{\n"
		"  \"paths\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"public_key\": \"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\n"
		"      \"name\": \"home\",\n"
		"      \"number\": 258,\n"
		"      \"remote\": \"[2001:db8::2]:51820\",\n"
		"      \"local_address\": \"2001:db8::1\",\n"
		"      \"local_interface\": \"eth0\",\n"
		"      \"state\": \"alive\",\n"
		"      \"sending\": false,\n"
		"      \"receiving\": true,\n"
		"      \"sub_sessions\": 0,\n"
		"      \"rtt_us\": 20000,\n"
		"      \"rtt_min_us\": 20000,\n"
		"      \"rtt_now_us\": 21000,\n"
		"      \"metric_us\": 22000,\n"
		"      \"loss_out_ppm\": null,\n"
		"      \"late_out_ppm\": null,\n"
		"      \"loss_in_ppm\": 900,\n"
		"      \"late_in_ppm\": 0,\n"
		"      \"mtu\": 1500,\n"
		"      \"cost_us\": 30000,\n"
		"      \"metered\": true,\n"
		"      \"never\": false,\n"
		"      \"origins\": [\n"
		"        \"configured\",\n"
		"        \"told\"\n"
		"      ],\n"
		"      \"preferred\": false,\n"
		"      \"asked_us\": null,\n"
		"      \"answered_us\": 40000,\n"
		"      \"heard_us\": null,\n"
		"      \"seen_as\": \"203.0.113.1:7\"\n"
		"    }\n"
		"  ],\n"
		"  \"peers\": [\n"
		"    {\n"
		"      \"interface\": \"wg0\",\n"
		"      \"public_key\": \"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\n"
		"      \"name\": \"home\",\n"
		"      \"mesh\": true,\n"
		"      \"managed\": true,\n"
		"      \"session\": true,\n"
		"      \"urgent\": false,\n"
		"      \"why\": \"better\",\n"
		"      \"changed_us\": 63999999,\n"
		"      \"changes\": 2,\n"
		"      \"ecn\": false,\n"
		"      \"ecn_untrusted\": false,\n"
		"      \"ecn_bleached\": false\n"
		"    }\n"
		"  ],\n"
		"  \"left_out\": 7\n"
		"}\n");
	text_reset(&out);
	paths_json(NULL, 0, NULL, &out);
	assert_string_equal(out.s, "{\n  \"paths\": [],\n  \"peers\": [],\n  \"left_out\": 0\n}\n");
	text_done(&out);
}

/* ---- what a node tells ---- */

static struct {
	size_t peers;
	struct path_set set;
	struct path path[3], *paths[3];
} node;

void node_info(const struct node *n, struct node_info *info)
{
	(void)n;
	*info = (struct node_info){ .peer_count = node.peers };
}

bool node_peer(const struct node *n, size_t i, struct instant now, struct peer_info *info)
{
	(void)n;
	assert_int_equal(now.mono_us, 5000000);
	*info = (struct peer_info){ .name = "home", .mesh = true, .has_session = true, .ecn_out = true, .ecn_bleached = true, .public_key = { 7 } };
	return i < node.peers;
}

const struct path_set *node_paths(const struct node *n, size_t i)
{
	(void)n;
	return i < node.peers ? &node.set : NULL;
}

size_t node_flows(const struct node *n, size_t i, struct instant now, struct flow_info v[FLOWS_A_PEER])
{
	(void)n;
	(void)i;
	(void)now;
	for (size_t k = 0; k < 4; k++) {
		v[k] = (struct flow_info){ .number = (uint8_t)k, .path = node.path[k == 3].addr };
		v[k].path.remote.port = (uint16_t)(7000 + k);	/* their own */
	}
	return 4;
}

int64_t path_rtt_min(const struct path *p)
{
	return p->rtt_us ? p->rtt_us - 1 : -1;
}

int64_t path_metric_us(const struct path *p)
{
	return p->state == PATH_ALIVE ? p->rtt_us + 2000 : NEVER_US;
}

uint32_t path_loss_in(const struct path *p)
{
	return p->rtt_us ? 65536 / 4 : 0;
}

uint32_t path_late_in(const struct path *p)
{
	(void)p;
	return 65536 / 2;
}

static void make_node(size_t peers)
{
	memset(&node, 0, sizeof(node));
	node.peers = peers;
	for (size_t i = 0; i < 3; i++)
		node.paths[i] = &node.path[i];
	node.set = (struct path_set){ .v = node.paths, .path_count = 3, .current = &node.path[0], .why = PATH_WHY_DEATH, .managed = true,
				      .changes = 9, .changed_us = 4000000 };
	node.path[0] = (struct path){ .number = 3, .state = PATH_ALIVE, .rtt_us = 7000, .rtt_now_us = 8000, .told_us = 1, .loss_out = 655,
				      .way_mtu = 1500, .pmtu.size = 1420, .preferred = true, .origins = PATH_CONFIGURED | PATH_HEARD,
				      .answered_us = 4999000, .asked_us = 4998000, .heard_us = 4999500, .terms = { .cost_ms = 5 } };
	assert_true(endpoint_parse("192.0.2.2:51820", &node.path[0].addr.remote));
	assert_true(endpoint_parse("203.0.113.1:7", &node.path[0].seen));
	assert_true(ip_addr_parse("192.0.2.1", &node.path[0].addr.local));
	node.path[0].addr.ifindex = 1;
	node.path[1] = (struct path){ .state = PATH_DEAD, .origins = PATH_TOLD, .their_use = true, .way_mtu = 1400 };
	assert_true(endpoint_parse("192.0.2.2:51820", &node.path[1].addr.remote));
	assert_true(ip_addr_parse("10.0.0.1", &node.path[1].addr.local));
	node.path[1].addr.ifindex = 1000000;	/* gone */
	node.path[2] = (struct path){ .way = PATH_NO_ROUTE };
	assert_true(endpoint_parse("198.51.100.2:1", &node.path[2].addr.remote));
}

static Meshd__Paths *filled(void)
{
	static const struct instant now = { 5000000, 0 };
	Meshd__Paths *m = malloc(sizeof(*m));

	meshd__paths__init(m);
	assert_true(paths_status_fill(NULL, "wg7", now, m));
	return m;
}

static void told(void **state)
{
	const Meshd__Path *p;
	Meshd__Paths *m;

	(void)state;
	make_node(1);
	m = filled();
	assert_string_equal(m->name, "wg7");
	assert_int_equal(m->n_peers, 1);
	assert_string_equal(m->peers[0]->name, "home");
	assert_string_equal(m->peers[0]->why, "death");
	assert_int_equal(m->peers[0]->public_key.data[0], 7);
	assert_int_equal(m->peers[0]->changes, 9);
	assert_int_equal(m->peers[0]->changed_us, 1000000);
	assert_true(m->peers[0]->managed && m->peers[0]->mesh && m->peers[0]->has_session && m->peers[0]->ecn && m->peers[0]->ecn_bleached);
	assert_false(m->peers[0]->urgent || m->peers[0]->ecn_untrusted);
	assert_int_equal(m->peers[0]->n_paths, 3);
	p = m->peers[0]->paths[0];
	assert_string_equal(p->remote, "192.0.2.2:51820");
	assert_string_equal(p->local_address, "192.0.2.1");
	assert_string_equal(p->interface, "lo");
	assert_string_equal(p->state, "alive");
	assert_string_equal(p->seen_as, "203.0.113.1:7");
	assert_true(p->sending && p->preferred && p->configured && p->heard && p->has_loss_out);
	assert_false(p->receiving || p->told || p->metered || p->never);
	assert_int_equal(p->number, 3);
	assert_int_equal(p->sub_sessions, 2);	/* 0 is the session */
	assert_int_equal(p->rtt_us, 7000);
	assert_int_equal(p->rtt_min_us, 6999);
	assert_int_equal(p->rtt_now_us, 8000);
	assert_int_equal(p->metric_us, 9000);
	assert_int_equal(p->loss_out_ppm, 9994);
	assert_int_equal(p->loss_in_ppm, 250000);
	assert_int_equal(p->late_in_ppm, 500000);
	assert_int_equal(p->mtu, 1420);
	assert_int_equal(p->cost_ms, 5);
	assert_int_equal(p->asked_us, 2000);
	assert_int_equal(p->answered_us, 1000);
	assert_int_equal(p->heard_us, 500);
	p = m->peers[0]->paths[1];
	assert_string_equal(p->interface, "");
	assert_string_equal(p->state, "dead");
	assert_true(p->receiving && p->told);
	assert_false(p->sending);
	assert_int_equal(p->sub_sessions, 1);
	assert_int_equal(p->rtt_us, -1);
	assert_int_equal(p->rtt_min_us, -1);
	assert_int_equal(p->rtt_now_us, -1);
	assert_int_equal(p->metric_us, -1);
	assert_int_equal(p->mtu, 1400);
	assert_int_equal(p->heard_us, -1);
	p = m->peers[0]->paths[2];
	assert_string_equal(p->local_address, "");
	assert_string_equal(p->state, "no_route");
	meshd__paths__free_unpacked(m, NULL);
}

/* What rules a path out stands before what was measured; a plain peer sends where we do. */
static void states(void **state)
{
	Meshd__Paths *m;

	(void)state;
	make_node(1);
	node.set.managed = false;
	node.path[0].way = PATH_LOOPS;
	node.path[1].terms.never = true;
	node.path[1].way = PATH_LOOPS;
	node.path[2].way = PATH_OPEN;
	m = filled();
	assert_string_equal(m->peers[0]->paths[0]->state, "loops");
	assert_true(m->peers[0]->paths[0]->sending && m->peers[0]->paths[0]->receiving);
	assert_string_equal(m->peers[0]->paths[1]->state, "never");
	assert_false(m->peers[0]->paths[1]->receiving);
	assert_string_equal(m->peers[0]->paths[2]->state, "new");
	meshd__paths__free_unpacked(m, NULL);
	make_node(0);
	m = filled();
	assert_int_equal(m->n_peers, 0);
	meshd__paths__free_unpacked(m, NULL);
}

/* Of a large mesh every peer is told, and so many paths as fit. */
static void bounded(void **state)
{
	Meshd__Paths *m;

	(void)state;
	make_node(65536);
	m = filled();
	assert_int_equal(m->n_peers, 65536);
	assert_int_equal(m->left_out, 3 * 65536 - PATHS_STATUS_MAX);
	assert_int_equal(m->peers[0]->n_paths, 3);
	assert_int_equal(m->peers[65535]->n_paths, 0);
	assert_true(meshd__paths__get_packed_size(m) < CONTROL_MESSAGE_MAX);
	meshd__paths__free_unpacked(m, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(peers_by_word),
		cmocka_unit_test(words),
		cmocka_unit_test(colours),
		cmocka_unit_test(json),
		cmocka_unit_test(told),
		cmocka_unit_test(states),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
