/* SPDX-License-Identifier: MIT */
/*
 * The config file: golden pairs in tests/unit/config (what config_format() makes of the good ones, the error line of
 * the bad ones), then what the text does not show: the change's bits, limits, and that no error has a secret in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include <cmocka.h>

#include "node/config.h"

#define KEY_A "7lszWZtJOcqgXK6MAjCegszTRw+7eJwPZPaEexetMIw="
#define KEY_B "Yd4dZKU3ej4XWHuGPaUb9x/KMmDX31GCErOnCnl4G20="
#define PEER_A "[Peer]\nPublicKey = " KEY_A "\n"

static bool parse(struct config *c, const char *text, struct text *error)
{
	return config_parse(c, "test", text, strlen(text), error);
}

/* For texts that must be good. */
static void parse_good(struct config *c, const char *text)
{
	struct text error = { 0 };

	if (!parse(c, text, &error))
		fail_msg("%s", error.s);
	assert_int_equal(error.len, 0);
	text_done(&error);
}

static void assert_bad(const char *text, const char *expected)
{
	struct config c, empty;
	struct text error = { 0 };

	memset(&empty, 0, sizeof(empty));
	assert_false(parse(&c, text, &error));
	assert_string_equal(error.s, expected);
	assert_memory_equal(&c, &empty, sizeof(c));
	text_done(&error);
}

/* Golden pairs */

static void read_file(const char *path, struct text *out)
{
	FILE *f = fopen(path, "rb");
	char block[4096];
	size_t n;

	if (!f)
		fail_msg("cannot open %s", path);
	text_add(out, "");
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		text_add_bytes(out, block, n);
	fclose(f);
	assert_false(out->failed);
}

static int is_conf(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && strcmp(dot, ".conf") == 0;
}

/* Visit every .conf of a directory with the text of its .expected; returns how many. */
static int for_each_pair(const char *kind, void (*visit)(const char *name, const struct text *in, const char *expected))
{
	const char *data = getenv("TEST_DATA"), *srcdir = getenv("srcdir");
	char dir[3000], path[4000];
	struct dirent **list;
	int count;

	if (data)
		snprintf(dir, sizeof(dir), "%s/%s", data, kind);
	else
		snprintf(dir, sizeof(dir), "%s/tests/unit/config/%s", srcdir ? srcdir : ".", kind);
	count = scandir(dir, &list, is_conf, alphasort);
	if (count < 0)
		fail_msg("cannot read %s", dir);
	for (int i = 0; i < count; i++) {
		struct text in = { 0 }, expected = { 0 };
		const char *name = list[i]->d_name;

		snprintf(path, sizeof(path), "%s/%s", dir, name);
		read_file(path, &in);
		snprintf(path, sizeof(path), "%s/%.*s.expected", dir, (int)(strlen(name) - strlen(".conf")), name);
		read_file(path, &expected);
		print_message("%s/%s\n", kind, name);
		visit(name, &in, expected.s);
		text_done(&in);
		text_done(&expected);
		free(list[i]);
	}
	free(list);
	return count;
}

static void check_good(const char *name, const struct text *in, const char *expected)
{
	struct text error = { 0 }, once = { 0 }, twice = { 0 };
	struct config c;

	if (!config_parse(&c, name, in->s, in->len, &error))
		fail_msg("%s", error.s);
	config_format(&c, &once);
	config_done(&c);
	assert_false(once.failed);
	assert_string_equal(once.s, expected);

	assert_true(config_parse(&c, name, once.s, once.len, &error));
	config_format(&c, &twice);
	config_done(&c);
	assert_string_equal(twice.s, expected);
	text_done(&error);
	text_done(&once);
	text_done(&twice);
}

static void good_files(void **state)
{
	(void)state;
	assert_in_range(for_each_pair("good", check_good), 20, 1000);
}

static void check_bad(const char *name, const struct text *in, const char *expected)
{
	struct text error = { 0 };
	struct config c, empty;

	memset(&empty, 0, sizeof(empty));
	text_add(&error, "from before");
	assert_false(config_parse(&c, name, in->s, in->len, &error));
	text_add(&error, "\n");
	assert_string_equal(error.s, expected);
	assert_memory_equal(&c, &empty, sizeof(c));
	text_done(&error);
}

static void bad_files(void **state)
{
	(void)state;
	assert_in_range(for_each_pair("bad", check_bad), 60, 1000);
}

/* What the dump does not show */

static void change_is_setconf(void **state)
{
	const unsigned int all = CHANGE_LISTEN_PORT | CHANGE_FWMARK | CHANGE_REPLACE_PEERS | CHANGE_LINKS | CHANGE_ROUTING;
	struct config c;

	(void)state;
	parse_good(&c, "");
	assert_int_equal(c.change.bits, all | CHANGE_PRIVATE_KEY);
	assert_int_equal(c.change.peer_count, 0);
	config_done(&c);

	parse_good(&c, "[Interface]\nPrivateKeyFile = key\n");
	assert_int_equal(c.change.bits, all);
	assert_string_equal(c.private_key_file, "key");
	config_done(&c);
}

static void first_peer_says_all(void **state)
{
	const unsigned int all = CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_PSK | CHANGE_PEER_KEEPALIVE | CHANGE_PEER_NAME |
		CHANGE_PEER_ENDPOINTS;
	struct config c;

	(void)state;
	parse_good(&c, PEER_A "[Peer]\nPublicKey = " KEY_B "\nEndpoint = 192.0.2.1:1\n"
		   PEER_A "Name = a\nEndpoint = h:1\n" PEER_A);
	assert_int_equal(c.change.peer_count, 4);
	assert_int_equal(c.change.peers[0].bits, all);
	assert_int_equal(c.change.peers[1].bits, all);
	assert_int_equal(c.change.peers[2].bits,
			 CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_NAME | CHANGE_PEER_ENDPOINTS);
	assert_int_equal(c.change.peers[3].bits, CHANGE_PEER_REPLACE_ALLOWED);
	assert_memory_equal(c.change.peers[0].public_key, c.change.peers[2].public_key, KEY_LEN);
	config_done(&c);
}

static void assert_link(const struct link_settings *l, uint8_t flow_sessions, enum ecn_mode ecn, int dscp, uint64_t bps)
{
	assert_int_equal(l->flow_sessions, flow_sessions);
	assert_int_equal(l->ecn, ecn);
	assert_int_equal(l->dscp, dscp);
	assert_int_equal(l->bandwidth_bps, bps);
}

/* The interface has all settings of links, said or not; a peer has what it says. */
static void links(void **state)
{
	struct ip_prefix prefix;
	struct config c;

	(void)state;
	parse_good(&c, "");
	assert_link(&c.change.links, 32, ECN_MESH, DSCP_NONE, 0);
	assert_int_equal(c.change.spread, SPREAD_PORTS);
	assert_int_equal(c.change.listen_prefix.addr.family, IP_NONE);
	config_done(&c);

	parse_good(&c, "[Interface]\nFlowSessions = 5\nEcn = off\nDscp = copy\nBandwidth = 20mbit\nFlowSpread = label\n"
		   "ListenPrefix = 2001:db8::ffff/118\n" PEER_A "Ecn = on\n[Interface]\nDscp = 8\n"
		   PEER_A "FlowSessions = 0\nBandwidth = 0\n");
	assert_link(&c.change.links, 5, ECN_OFF, 8, 20000000);
	assert_int_equal(c.change.spread, SPREAD_LABEL);
	assert_true(ip_prefix_parse("2001:db8::fc00/118", &prefix));
	assert_memory_equal(&c.change.listen_prefix, &prefix, sizeof(prefix));
	assert_int_equal(c.change.peers[0].bits & CHANGE_PEER_LINK, CHANGE_PEER_ECN);
	assert_int_equal(c.change.peers[0].link.ecn, ECN_ON);
	assert_int_equal(c.change.peers[1].bits & CHANGE_PEER_LINK, CHANGE_PEER_FLOW_SESSIONS | CHANGE_PEER_BANDWIDTH);
	config_done(&c);
}

static void bandwidths(void **state)
{
	static const struct {
		const char *value;
		uint64_t bps;
	} cases[] = {
		/*  1 */ { "8000", 8000 },
		/*  2 */ { "8000bit", 8000 },
		/*  3 */ { "8KBIT", 8000 },
		/*  4 */ { "20 Mbit", 20000000 },
		/*  5 */ { "0.008mbit", 8000 },
		/*  6 */ { "2.5gbit", 2500000000 },
		/*  7 */ { "100gbit", 100000000000 },
		/*  8 */ { "100000000000", 100000000000 },
		/*  9 */ { "8.123456789mbit", 8123456 },
		/* 10 */ { "0gbit", 0 },
		/* 11 */ { "OFF", 0 },
		/* 12 */ { "000008kbit", 8000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config c;
		char text[100];

		print_message("case %zu\n", i + 1);
		snprintf(text, sizeof(text), "[Interface]\nBandwidth = %s\n", cases[i].value);
		parse_good(&c, text);
		assert_int_equal(c.change.links.bandwidth_bps, cases[i].bps);
		config_done(&c);
	}
}

/* Babel runs in a mesh, and lanes forward, without a [Babel]; it wants neither addresses nor peers. */
static void mesh(void **state)
{
	struct config c;

	(void)state;
	parse_good(&c, "");
	assert_null(c.mesh_file);
	assert_false(c.change.babel.mesh);
	assert_true(c.lan_discovery);
	config_done(&c);

	parse_good(&c, "[Interface]\nLanDiscovery = off\n[Mesh]\nFile = a b.mesh\nHostsFile = hosts\n");
	assert_string_equal(c.mesh_file, "a b.mesh");
	assert_string_equal(c.hosts_file, "hosts");
	assert_false(c.lan_discovery);
	assert_true(c.change.babel.mesh);
	assert_false(c.change.babel.section);
	assert_int_equal(c.change.transit, TRANSIT_LANE);
	config_done(&c);
}

static void dns_by_kind(void **state)
{
	struct config c;

	(void)state;
	parse_good(&c, "[Interface]\nDNS = lan, 10.0.0.1,::1 1.2.3 a.1\n");
	assert_int_equal(c.dns.count, 3);
	assert_string_equal(c.dns.v[0], "10.0.0.1");
	assert_string_equal(c.dns.v[1], "::1");
	assert_string_equal(c.dns.v[2], "1.2.3");
	assert_int_equal(c.dns_search.count, 2);
	assert_string_equal(c.dns_search.v[0], "lan");
	assert_string_equal(c.dns_search.v[1], "a.1");
	config_done(&c);
}

static void hooks_as_they_are(void **state)
{
	struct config c;

	(void)state;
	parse_good(&c, "[Interface]\nPreUp = a = b, \"c  d\"\t%i # e\nPostDown=x\nPostDown=y\nPreUp=\n");
	assert_int_equal(c.hooks[HOOK_PRE_UP].count, 1);
	assert_string_equal(c.hooks[HOOK_PRE_UP].v[0], "a = b, \"c  d\"\t%i");
	assert_int_equal(c.hooks[HOOK_POST_UP].count, 0);
	assert_int_equal(c.hooks[HOOK_PRE_DOWN].count, 0);
	assert_int_equal(c.hooks[HOOK_POST_DOWN].count, 2);
	assert_string_equal(c.hooks[HOOK_POST_DOWN].v[1], "y");
	config_done(&c);
}

static void tables(void **state)
{
	static const struct {
		const char *value;
		enum config_table table;
		uint32_t number;
	} cases[] = {
		/*  1 */ { "auto", TABLE_AUTO, 0 },
		/*  2 */ { "off", TABLE_OFF, 0 },
		/*  3 */ { "main", TABLE_NUMBER, 254 },
		/*  4 */ { "default", TABLE_NUMBER, 253 },
		/*  5 */ { "local", TABLE_NUMBER, 255 },
		/*  6 */ { "51820", TABLE_NUMBER, 51820 },
		/*  7 */ { "0xff", TABLE_NUMBER, 255 },
		/*  8 */ { "010", TABLE_NUMBER, 8 },
		/*  9 */ { "4294967295", TABLE_NUMBER, UINT32_MAX },
		/* 10 */ { "0", TABLE_NUMBER, 254 },
		/* 11 */ { "vpn", TABLE_NAME, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config c;
		char text[100];

		print_message("case %zu\n", i + 1);
		snprintf(text, sizeof(text), "[Interface]\nTable = %s\n", cases[i].value);
		parse_good(&c, text);
		assert_int_equal(c.table, cases[i].table);
		if (c.table == TABLE_NUMBER)
			assert_int_equal(c.table_number, cases[i].number);
		assert_string_equal(c.table_text, cases[i].value);
		config_done(&c);
	}
}

static void table_names(void **state)
{
	static const char rt_tables[] = "#\n# reserved\n255\tlocal\n\n#7 vpn\n6 vpnn # x\n0x1F4 vpn # mine\n8 vpn\nx y\n9";
	struct config c;

	(void)state;
	parse_good(&c, "[Interface]\nTable = vpn\n");
	assert_false(config_resolve_table(&c, "", 0));
	assert_false(config_resolve_table(&c, rt_tables, 40));
	assert_int_equal(c.table, TABLE_NAME);
	assert_true(config_resolve_table(&c, rt_tables, sizeof(rt_tables) - 1));
	assert_int_equal(c.table, TABLE_NUMBER);
	assert_int_equal(c.table_number, 500);
	assert_true(config_resolve_table(&c, "", 0));
	config_done(&c);

	parse_good(&c, "[Interface]\nTable = off\n");
	assert_true(config_resolve_table(&c, "", 0));
	assert_int_equal(c.table, TABLE_OFF);
	config_done(&c);
}

static void name_characters(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
		/*  1 */ { "~!\"$%&/()[]{}=?", true },
		/*  2 */ { "\xc3\xbc", true },			/* u with dots */
		/*  3 */ { "\xf0\x9f\x8f\xa0", true },		/* U+1F3E0 */
		/*  4 */ { "\xf4\x8f\xbf\xbd", true },		/* U+10FFFD */
		/*  5 */ { "\xf4\x90\x80\x80", false },	/* U+110000 */
		/*  6 */ { "\xc0\xaf", false },			/* overlong */
		/*  7 */ { "\xe0\x9f\xbf", false },
		/*  8 */ { "\xf0\x8f\xbf\xbf", false },
		/*  9 */ { "\xed\xa0\x80", false },		/* a surrogate */
		/* 10 */ { "\xbc", false },			/* a tail alone */
		/* 11 */ { "\xc3", false },			/* a head alone */
		/* 12 */ { "\xc3" "a", false },
		/* 13 */ { "\xf8\x88\x80\x80\x80", false },	/* five bytes */
		/* 14 */ { "a\x7f", false },
		/* 15 */ { "\xc2\x9b", false },			/* CSI as C1 control */
		/* 16 */ { "a\xc2\xa0" "b", false },		/* no-break space */
		/* 17 */ { "\xe2\x80\x8b", false },		/* zero width space */
		/* 18 */ { "\xef\xbb\xbf", false },		/* byte order mark */
		/* 19 */ { "a\tb", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text = { 0 }, error = { 0 };
		struct config c;

		print_message("case %zu\n", i + 1);
		text_addf(&text, PEER_A "Name = %s\n", cases[i].name);
		assert_int_equal(parse(&c, text.s, &error), cases[i].good);
		if (cases[i].good)
			assert_string_equal(c.change.peers[0].name, cases[i].name);
		config_done(&c);
		text_done(&text);
		text_done(&error);
	}
}

/* The longest host name fits where it is kept. */
static void longest_host(void **state)
{
	struct text text = { 0 };
	struct config c;

	(void)state;
	text_add(&text, PEER_A "Endpoint = ");
	for (int i = 0; i < HOST_MAX_LEN; i++)
		text_add(&text, "h");
	text_add(&text, ":65535\n");
	parse_good(&c, text.s);
	assert_int_equal(strlen(c.change.peers[0].endpoints[0].name), ENDPOINT_NAME_MAX);
	config_done(&c);
	text_done(&text);
}

static void limits(void **state)
{
	struct text text = { 0 }, error = { 0 };
	struct config c;

	(void)state;
	text_add(&text, "\n[Interface]#");
	while (text.len < CONFIG_LINE_MAX + 1)
		text_add(&text, "x");
	assert_true(config_parse(&c, "f", text.s, text.len, &error));	/* the line is as long as it may be */
	config_done(&c);
	text_add(&text, "x");
	assert_false(config_parse(&c, "f", text.s, text.len, &error));
	assert_string_equal(error.s, "f:2: line too long");

	text_reset(&text);
	while (text.len < CONFIG_SIZE_MAX)
		text_add(&text, "# a comment, for a file of sixteen MiB that says nothing at all\n");
	text.len = CONFIG_SIZE_MAX;
	assert_true(config_parse(&c, "f", text.s, text.len, &error));
	config_done(&c);
	text_add(&text, "#");
	assert_false(config_parse(&c, "f", text.s, text.len, &error));
	assert_string_equal(error.s, "f:1: the file is larger than 16 MiB");
	text_done(&text);
	text_done(&error);
}

static const struct babel_settings *babel_of(struct config *c, const char *text)
{
	parse_good(c, text);
	assert_true(c->change.bits & CHANGE_ROUTING);
	return &c->change.babel;
}

/* What is not said is the speaker's to choose, and looks like it. */
static void babel_unsaid(void **state)
{
	const struct babel_settings *s;
	struct config c;

	(void)state;
	s = babel_of(&c, "");
	assert_false(s->section);
	assert_int_equal(s->lan_count + s->redistribute_count + s->filter_count, 0);
	config_done(&c);

	s = babel_of(&c, "[Babel]\nInterface = eth1\nRedistribute = 10.1.2.3/8\nRedistribute = static\nFilter = in allow\n");
	assert_true(s->section);
	assert_false(s->has_router_id);
	assert_int_equal(s->hello_us, 0);
	assert_string_equal(s->lans[0].name, "eth1");
	assert_int_equal(s->lans[0].type, BABEL_WIRED);
	assert_int_equal(s->lans[0].hello_us + s->lans[0].update_us + s->lans[0].rxcost + (int)s->lans[0].key_count, 0);
	assert_int_equal(s->lans[0].rtt, -1);
	assert_int_equal(s->lans[0].split_horizon, -1);
	assert_false(s->lans[0].accept_unauthenticated);
	assert_int_equal(s->redistributes[0].kinds, REDISTRIBUTE_ANY);
	assert_int_equal(s->redistributes[0].prefix.addr.bytes[1], 0);
	assert_int_equal(s->redistributes[0].len_max, 8);
	assert_int_equal(s->redistributes[0].proto, -1);
	assert_int_equal(s->redistributes[0].from.len, 0);
	assert_string_equal(s->redistributes[0].iface, "");
	assert_int_equal(s->redistributes[1].kinds, REDISTRIBUTE_STATIC);
	assert_int_equal(s->redistributes[1].prefix.addr.family, IP_NONE);
	assert_int_equal(s->redistributes[1].len_max, 128);
	assert_int_equal(s->filters[0].dst.prefix.addr.family + s->filters[0].src.prefix.addr.family, IP_NONE);
	assert_false(s->filters[0].deny || s->filters[0].has_add);
	config_done(&c);
}

static void babel_said(void **state)
{
	static const uint8_t id[BABEL_ROUTER_ID_LEN] = { 2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 1 };
	const struct babel_settings *s;
	const struct babel_lan *lan;
	struct config c;

	(void)state;
	s = babel_of(&c, "[Babel]\nRouterId = 02:aa:bb:cc:dd:ee:ff:01\nHelloInterval = 2.5s\n"
		     "Interface = eth1 type=wireless hello=4 update=500ms rxcost=300 rtt=on split-horizon=off accept-unauthenticated "
		     "key=blake2s128:0aFF key=hmac-sha256:010203\n"
		     "Redistribute = ::/0 from=2001:db8:7::/48 metric=128 le=56 interface=eth2 proto=4\n");
	assert_true(s->has_router_id);
	assert_memory_equal(s->router_id, id, sizeof(id));
	assert_int_equal(s->hello_us, 2500000);
	lan = &s->lans[0];
	assert_int_equal(lan->type, BABEL_WIRELESS);
	assert_int_equal(lan->hello_us, 4000000);
	assert_int_equal(lan->update_us, 500000);
	assert_int_equal(lan->rxcost, 300);
	assert_int_equal(lan->rtt, 1);
	assert_int_equal(lan->split_horizon, 0);
	assert_true(lan->accept_unauthenticated);
	assert_int_equal(lan->key_count, 2);
	assert_int_equal(lan->keys[0].kind, BABEL_MAC_BLAKE2S_128);
	assert_int_equal(lan->keys[0].len, 2);
	assert_memory_equal(lan->keys[0].bytes, "\x0a\xff", 2);
	assert_int_equal(lan->keys[1].kind, BABEL_MAC_HMAC_SHA256);
	assert_int_equal(lan->keys[1].len, 3);
	assert_memory_equal(lan->keys[1].bytes, "\1\2\3", 3);
	assert_int_equal(s->redistributes[0].from.len, 48);
	assert_int_equal(s->redistributes[0].metric, 128);
	assert_int_equal(s->redistributes[0].len_max, 56);
	assert_string_equal(s->redistributes[0].iface, "eth2");
	assert_int_equal(s->redistributes[0].proto, 4);
	config_done(&c);
}

static void babel_filters(void **state)
{
	static const struct {
		const char *text;
		enum babel_filter_direction direction;
		bool deny, has_add;
		uint16_t add;
		uint8_t len, len_min, len_max, from_len, from_min, from_max;
	} cases[] = {
		/*  1 */ { "in deny 10.0.0.0/8", BABEL_FILTER_IN, true, false, 0, 8, 8, 32, 0, 0, 0 },
		/*  2 */ { "out allow ::/0 metric=+7", BABEL_FILTER_OUT, false, true, 7, 0, 0, 128, 0, 0, 0 },
		/*  3 */ { "redistribute allow 10.0.0.0/8 ge=9 metric=8", BABEL_FILTER_REDISTRIBUTE, false, true, 8, 8, 9, 32, 0, 0, 0 },
		/*  4 */ { "In Deny le=24, 10.0.0.0/8", BABEL_FILTER_IN, true, false, 0, 8, 8, 24, 0, 0, 0 },
		/*  5 */ { "in deny 10.0.0.0/8 ge=24 le=24", BABEL_FILTER_IN, true, false, 0, 8, 24, 24, 0, 0, 0 },
		/*  6 */ { "in deny from=fd00::/8 from-ge=48 from-le=64", BABEL_FILTER_IN, true, false, 0, 0, 0, 0, 8, 48, 64 },
		/*  7 */ { "in allow 10.0.0.1 metric=+0", BABEL_FILTER_IN, false, true, 0, 32, 32, 32, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct babel_filter *f;
		struct config c;
		char text[200];

		print_message("case %zu\n", i + 1);
		snprintf(text, sizeof(text), "[Babel]\nFilter = %s\n", cases[i].text);
		f = babel_of(&c, text)->filters;
		assert_int_equal(f->direction, cases[i].direction);
		assert_int_equal(f->deny, cases[i].deny);
		assert_int_equal(f->has_add, cases[i].has_add);
		assert_int_equal(f->add, cases[i].add);
		assert_int_equal(f->dst.prefix.len, cases[i].len);
		assert_int_equal(f->dst.len_min, cases[i].len_min);
		assert_int_equal(f->dst.len_max, cases[i].len_max);
		assert_int_equal(f->src.prefix.len, cases[i].from_len);
		assert_int_equal(f->src.len_min, cases[i].from_min);
		assert_int_equal(f->src.len_max, cases[i].from_max);
		config_done(&c);
	}
}

/* The order of filters is theirs, whatever their direction. */
static void filter_order(void **state)
{
	const struct babel_settings *s;
	struct config c;

	(void)state;
	s = babel_of(&c, "[Babel]\nFilter = out deny ::/0\nFilter = in deny interface=eth1\nFilter = out allow\n");
	assert_int_equal(s->filter_count, 3);
	assert_int_equal(s->filters[0].direction, BABEL_FILTER_OUT);
	assert_string_equal(s->filters[1].iface, "eth1");
	assert_int_equal(s->filters[2].direction, BABEL_FILTER_OUT);
	assert_false(s->filters[2].deny);
	config_done(&c);
}

static void transit_modes(void **state)
{
	static const struct {
		const char *text;
		enum transit_mode mode;
	} cases[] = {
		/*  1 */ { "", TRANSIT_KERNEL },
		/*  2 */ { PEER_A "AllowedIPs = 10.0.0.1\n", TRANSIT_KERNEL },
		/*  3 */ { PEER_A "AllowedIPs = 10.0.0.1, auto\n", TRANSIT_LANE },
		/*  4 */ { PEER_A "AllowedIPs = auto\nBabel = off\n", TRANSIT_KERNEL },
		/*  5 */ { PEER_A "Babel = on\n", TRANSIT_LANE },
		/*  6 */ { "[Babel]\n", TRANSIT_LANE },
		/*  7 */ { "[Interface]\nTransit = kernel\n[Babel]\n", TRANSIT_KERNEL },
		/*  8 */ { "[Interface]\nTransit = off\n", TRANSIT_OFF },
		/*  9 */ { "[Interface]\nTransit = LANE\n", TRANSIT_LANE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config c;

		print_message("case %zu\n", i + 1);
		parse_good(&c, cases[i].text);
		assert_int_equal(c.change.transit, cases[i].mode);
		config_done(&c);
	}
}

/* Babel runs on a link that says so, or that leaves its prefixes to it. */
static void babel_of_peers(void **state)
{
	static const struct {
		const char *text;
		unsigned int bits;
		bool babel, allowed_auto;
		size_t allowed;
	} cases[] = {
		/*  1 */ { "", 0, false, false, 0 },
		/*  2 */ { "AllowedIPs = auto\n", CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO, true, true, 0 },
		/*  3 */ { "AllowedIPs = ::1\nAllowedIPs=Au to\n", CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO, true, true, 1 },
		/*  4 */ { "Babel = ON\nAllowedIPs = ::1\n", CHANGE_PEER_BABEL, true, false, 1 },
		/*  5 */ { "AllowedIPs = auto\nBabel = off\n", CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO, false, true, 0 },
		/*  6 */ { "Babel = on\nBabel = off\n", CHANGE_PEER_BABEL, false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned int asked = CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO;
		struct text text = { 0 };
		struct config c;

		print_message("case %zu\n", i + 1);
		text_addf(&text, PEER_A "%s", cases[i].text);
		parse_good(&c, text.s);
		assert_int_equal(c.change.peers[0].bits & asked, cases[i].bits);
		assert_int_equal(c.change.peers[0].babel, cases[i].babel);
		assert_int_equal(c.change.peers[0].allowed_auto, cases[i].allowed_auto);
		assert_int_equal(c.change.peers[0].allowed_count, cases[i].allowed);
		config_done(&c);
		text_done(&text);
	}
}

/* So many lines of each kind are taken, and one more is said to be too many. */
static void babel_limits(void **state)
{
	static const struct {
		const char *format, *error;
		unsigned int max;
	} cases[] = {
		{ "Interface = eth%u key=hmac-sha256:00\n", "test:66: Interface: more than 64 interfaces", BABEL_LANS_MAX },
		{ "Redistribute = 10.0.0.%u\n", "test:258: Redistribute: more than 256 of them", BABEL_REDISTRIBUTES_MAX },
		{ "Filter = in allow metric=%u\n", "test:1026: Filter: more than 1024 of them", BABEL_FILTERS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text = { 0 };
		struct config c;
		char line[100];

		text_add(&text, "[Babel]\n");
		for (unsigned int k = 0; k < cases[i].max; k++) {
			snprintf(line, sizeof(line), cases[i].format, k % 256);
			text_add(&text, line);
		}
		parse_good(&c, text.s);
		config_done(&c);
		snprintf(line, sizeof(line), cases[i].format, 255);
		text_add(&text, line);
		assert_bad(text.s, cases[i].error);
		text_done(&text);
	}
}

/* A MAC key (@), however short, is not in an error, whatever is wrong in its line or where it stands. */
static void no_mac_key_in_errors(void **state)
{
	static const char *const secrets[] = { "c0ffee", "00112233445566778899aabbccddeeff0123456789abcdef" };
	static const char *const forms[] = {
		"Interface = eth1 key=@\n", "Interface = eth1 key=md5:@\n", "Interface = eth1 key=hmac-sha256:@x\n",
		"Interface = eth1 key=hmac-sha256:@ rtt=yes\n", "Interface = eth1 key=hmac-sha256: @\n", "Interface = eth1 kye=hmac-sha256:@\n",
		"Interface = eth1 hmac-sha256:@\n", "Interface = eth1 @\n", "Interface = eth1 rxcost=@\n", "Interface = eth1 hello=@\n",
		"Interface = eth1 type=@\n", "Interface = hmac-sha256:@\n", "Interface = key=hmac-sha256:@\n", "key=hmac-sha256:@\n",
		"Interface = eth1 hmac-sha256:@=1\n", "[Interface]\nInterface = eth1 key=hmac-sha256:@\n", "Interface eth1 key:@\n",
		"Filter = in deny interface=eth1 key=hmac-sha256:@\n", "Redistribute = connected key=hmac-sha256:@\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			struct text text = { 0 }, error = { 0 };
			struct config c;

			print_message("case %zu.%zu\n", i + 1, k);
			text_add(&text, "[Babel]\n");
			for (const char *s = forms[i]; *s; s++)
				text_add_bytes(&text, *s == '@' ? secrets[k] : s, *s == '@' ? strlen(secrets[k]) : 1);
			assert_false(parse(&c, text.s, &error));
			assert_null(strstr(error.s, "c0ffee"));
			assert_null(strstr(error.s, "0112233"));
			text_done(&text);
			text_done(&error);
		}
}

/* As many peers as there can be, in two keys: neither reading nor writing may be quadratic in them. One more is said to be too many. */
static void many_peers(void **state)
{
	struct text text = { 0 }, out = { 0 }, error = { 0 };
	struct config c;
	size_t count = 0;

	(void)state;
	for (; count < CHANGE_PEERS_MAX; count++)
		text_add(&text, count % 2 ? "[Peer]\nPublicKey=" KEY_A "\n" : "[Peer]\nPublicKey=" KEY_B "\n");
	parse_good(&c, text.s);
	assert_int_equal(c.change.peer_count, count);
	assert_true(c.change.peers[1].bits & CHANGE_PEER_PSK);
	assert_false(c.change.peers[2].bits & CHANGE_PEER_PSK);
	config_format(&c, &out);
	assert_false(out.failed);
	config_done(&c);
	text_add(&text, "[Peer]\nPublicKey=" KEY_A "\n");
	assert_false(config_parse(&c, "f", text.s, text.len, &error));
	assert_string_equal(error.s, "f:131073: more than 65536 peers");
	text_done(&text);
	text_done(&out);
	text_done(&error);
}

/* Every way to break a line with a key in it (@): without its sign, in a wrong place, with junk. */
static void no_secret_in_errors(void **state)
{
	enum { PART = 8 };
	static const char secret[] = "Mua0/t0y0nVL6U0POF+yHNkiTrasWKIbRbngRD0fnC4=";
	static const char *const forms[] = {
		"[Interface]\n@\n", "[Interface]\nPrivateKey @\n", "[Interface]\nPrivateKey = @x\n",
		"[Interface]\nPrivateKey = @ @\n", "[Interface]\nListenPort = @\n", "[Interface]\nFwMark = @\n",
		"[Interface]\nAddress = @\n", "[Interface]\nAddress = 10.0.0.1/@\n", "[Interface]\nMTU = @\n",
		"[Interface]\nTable = 1@\n", "[Interface]\nSaveConfig = @\n", "[Interface]\nPrivateKey: @\n",
		"[@]\n", "@ = x\n", "[Interface]\n@ = x\n", PEER_A "PresharedKey = x@\n", PEER_A "AllowedIPs = @\n",
		PEER_A "AllowedIPs = +@\n", PEER_A "Endpoint = @\n", PEER_A "Endpoint = [@]:0\n",
		PEER_A "Endpoint = a%@:1\n", PEER_A "PersistentKeepalive = @\n", PEER_A "Name = a b@\n",
		"[Interface]\nBandwidth = @\n", "[Interface]\nBandwidth = 1@\n", "[Interface]\nListenPrefix = @/64\n",
		"[Interface]\nUplink = @\n", "[Interface]\nUplink = eth0 @\n", "[Interface]\nMssClamp = @\n", "[Interface]\nSpread = @\n",
		PEER_A "Endpoint = h:1 @\n", PEER_A "Endpoint = h:1 cost=@\n",
		"[Interface]\nFlowSpread = @\n", PEER_A "Ecn = @\n", PEER_A "Dscp = @\n", PEER_A "FlowSessions = @\n",
		PEER_A "Endpoint = [@/64]:1\n", PEER_A "PublicKey = @@\n", "[Interface]\nPrivateKeyFile = a\nPrivateKey = @\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct text text = { 0 }, error = { 0 };
		struct config c;

		print_message("case %zu\n", i + 1);
		for (const char *s = forms[i]; *s; s++)
			text_add_bytes(&text, *s == '@' ? secret : s, *s == '@' ? strlen(secret) : 1);
		assert_false(parse(&c, text.s, &error));
		for (size_t at = 0; at + PART <= strlen(secret); at++) {
			char part[PART + 1] = { 0 };

			memcpy(part, &secret[at], PART);
			assert_null(strstr(error.s, part));
		}
		text_done(&text);
		text_done(&error);
	}
}

static void interface_names(void **state)
{
	(void)state;
	assert_true(config_interface_name("wg0"));
	assert_true(config_interface_name("a"));
	assert_true(config_interface_name("mesh_=+.-012345"));
	assert_false(config_interface_name("mesh_=+.-0123456"));
	assert_false(config_interface_name(""));
	assert_false(config_interface_name("."));
	assert_false(config_interface_name(".."));
	assert_true(config_interface_name("..."));
	assert_false(config_interface_name("a/b"));
	assert_false(config_interface_name("a b"));
	assert_false(config_interface_name("a\n"));
	assert_false(config_interface_name("k\xfc"));
}

/* The line of an error is the one it happened on, whatever the line ends are. */
static void line_numbers(void **state)
{
	(void)state;
	assert_bad("\n\r\n# x\n[Interface]\nMTU = 1", "test:5: MTU: '1' is not an MTU, 576 to 65535");
	assert_bad("\n[Peer]\n\n\n", "test:2: [Peer]: no PublicKey in this section");
	assert_bad("[Peer]\n\n[Interface]\n", "test:1: [Peer]: no PublicKey in this section");
	assert_bad(PEER_A "x = 1", "test:3: x: unknown key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_files),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(change_is_setconf),
		cmocka_unit_test(first_peer_says_all),
		cmocka_unit_test(links),
		cmocka_unit_test(bandwidths),
		cmocka_unit_test(mesh),
		cmocka_unit_test(dns_by_kind),
		cmocka_unit_test(hooks_as_they_are),
		cmocka_unit_test(tables),
		cmocka_unit_test(table_names),
		cmocka_unit_test(name_characters),
		cmocka_unit_test(longest_host),
		cmocka_unit_test(limits),
		cmocka_unit_test(babel_unsaid),
		cmocka_unit_test(babel_said),
		cmocka_unit_test(babel_filters),
		cmocka_unit_test(filter_order),
		cmocka_unit_test(transit_modes),
		cmocka_unit_test(babel_of_peers),
		cmocka_unit_test(babel_limits),
		cmocka_unit_test(no_mac_key_in_errors),
		cmocka_unit_test(many_peers),
		cmocka_unit_test(no_secret_in_errors),
		cmocka_unit_test(interface_names),
		cmocka_unit_test(line_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
