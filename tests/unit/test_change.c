/* SPDX-License-Identifier: MIT */
/* The lists of a change: growing keeps what is in them, limits hold, and equal keys are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/change.h"
#include "node/drops.h"

static void put_number(struct change_peer *p, size_t i)
{
	p->public_key[0] = (uint8_t)i;
	p->public_key[1] = (uint8_t)(i >> 8);
	p->public_key[31] = (uint8_t)(i >> 16);
}

static void peers_grow(void **state)
{
	struct change c, empty;

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&empty, 0, sizeof(empty));
	for (size_t i = 0; i < CHANGE_PEERS_MAX; i++) {
		struct change_peer fresh, *p = change_add_peer(&c);

		assert_non_null(p);
		memset(&fresh, 0, sizeof(fresh));
		assert_memory_equal(p, &fresh, sizeof(fresh));
		put_number(p, i);
	}
	assert_null(change_add_peer(&c));
	assert_int_equal(c.peer_count, CHANGE_PEERS_MAX);
	for (size_t i = 0; i < CHANGE_PEERS_MAX; i++) {
		struct change_peer p;

		memset(&p, 0, sizeof(p));
		put_number(&p, i);
		assert_memory_equal(&c.peers[i], &p, sizeof(p));
	}
	change_done(&c);
	assert_memory_equal(&c, &empty, sizeof(c));
}

static void allowed_grow(void **state)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);
	struct ip_prefix prefix = { .addr.family = IP_V4, .len = 32 };

	(void)state;
	for (size_t i = 0; i < CHANGE_ALLOWED_MAX; i++) {
		prefix.addr.bytes[0] = (uint8_t)i;
		prefix.addr.bytes[1] = (uint8_t)(i >> 8);
		assert_true(change_add_allowed(p, &prefix, i % 3 == 0));
	}
	assert_false(change_add_allowed(p, &prefix, false));
	assert_int_equal(p->allowed_count, CHANGE_ALLOWED_MAX);
	for (size_t i = 0; i < CHANGE_ALLOWED_MAX; i++) {
		prefix.addr.bytes[0] = (uint8_t)i;
		prefix.addr.bytes[1] = (uint8_t)(i >> 8);
		assert_memory_equal(&p->allowed[i].prefix, &prefix, sizeof(prefix));
		assert_int_equal(p->allowed[i].remove, i % 3 == 0);
	}
	change_clear_allowed(p);
	assert_int_equal(p->allowed_count, 0);
	assert_true(change_add_allowed(p, &prefix, true));
	assert_int_equal(p->allowed_count, 1);
	change_done(&c);
}

/* Against the naive way, with few keys and with many. */
static void first_peers(void **state)
{
	enum { COUNT = 500 };
	unsigned int seed = 3;

	(void)state;
	for (unsigned int keys = 1; keys < 2000; keys *= 4) {
		struct change c = { 0 };
		bool first[COUNT];

		for (size_t i = 0; i < COUNT; i++)
			put_number(change_add_peer(&c), (size_t)rand_r(&seed) % keys);
		assert_true(change_first_peers(&c, first));
		for (size_t i = 0; i < COUNT; i++) {
			size_t j = 0;

			while (memcmp(c.peers[j].public_key, c.peers[i].public_key, KEY_LEN) != 0)
				j++;
			assert_int_equal(first[i], j == i);
		}
		change_done(&c);
	}
}

static void first_of_no_peers(void **state)
{
	struct change c = { 0 };

	(void)state;
	assert_true(change_first_peers(&c, NULL));
	change_done(&c);
}

static void drops_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < DROP_REASONS; i++) {
		const char *name = drop_name((enum drop_reason)i);

		assert_string_not_equal(name, "unknown");
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name, drop_name((enum drop_reason)j));
	}
	assert_string_equal(drop_name(DROP_REASONS), "unknown");
}

/* A copy stands for itself, and grows on its own. */
static void babel_settings_copies(void **state)
{
	enum { LANS = 5, FILTERS = 3 };
	struct babel_settings s = { .section = true, .hello_us = 7 }, copy, empty;
	struct change c = { 0 };

	(void)state;
	memset(&empty, 0, sizeof(empty));
	for (unsigned int i = 0; i < LANS; i++)
		babel_settings_add_lan(&s)->rxcost = (uint16_t)(i + 1);
	for (unsigned int i = 0; i < FILTERS; i++)
		babel_settings_add_filter(&s)->add = (uint16_t)(i + 10);
	babel_settings_add_redistribute(&s)->metric = 4;
	assert_true(babel_settings_copy(&copy, &s));
	s.lans[0].rxcost = 99;
	babel_settings_done(&s);
	assert_memory_equal(&s, &empty, sizeof(s));
	babel_settings_add_lan(&copy)->rxcost = LANS + 1;
	babel_settings_add_filter(&copy)->add = FILTERS + 10;
	for (unsigned int i = 0; i < LANS + 1; i++) {
		assert_int_equal(copy.lans[i].rxcost, i + 1);
		assert_int_equal(copy.lans[i].rtt, -1);
	}
	for (unsigned int i = 0; i < FILTERS + 1; i++)
		assert_int_equal(copy.filters[i].add, i + 10);
	assert_int_equal(copy.redistributes[0].metric, 4);
	assert_int_equal(copy.redistributes[0].proto, -1);
	assert_int_equal(copy.hello_us, 7);
	c.babel = copy;
	change_done(&c);
	assert_true(babel_settings_copy(&copy, &empty));
	assert_null(copy.lans);
	assert_null(copy.redistributes);
	assert_null(copy.filters);
	assert_false(copy.section || copy.mesh || copy.has_router_id);
	assert_int_equal(copy.hello_us, 0);
	assert_int_equal(copy.lan_count + copy.redistribute_count + copy.filter_count, 0);
}

static struct endpoint there(const char *text)
{
	struct endpoint e;

	assert_true(endpoint_parse(text, &e));
	return e;
}

static void endpoints_grow(void **state)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);
	struct endpoint e = there("192.0.2.0:1");

	(void)state;
	assert_int_equal(change_add_endpoint(p)->count, 0);
	assert_int_equal(p->bits, CHANGE_PEER_ENDPOINTS);
	for (uint8_t i = 1; i < ENDPOINTS_MAX; i++) {
		e.addr.bytes[3] = i;
		assert_true(change_add_address(p, &e));
	}
	assert_null(change_add_endpoint(p));
	assert_false(change_add_address(p, &e));
	for (uint8_t i = 1; i < ENDPOINTS_MAX; i++)
		assert_int_equal(p->endpoints[i].v[0].addr.bytes[3], i);
	change_clear_endpoints(p);
	assert_int_equal(p->endpoint_count, 0);
	assert_int_equal(p->bits, CHANGE_PEER_ENDPOINTS);
	change_done(&c);
}

static void endpoints_same(void **state)
{
	struct change_endpoint a[2] = { { .count = 1 }, { .name = "h:1" } }, b[2];

	(void)state;
	a[0].v[0] = there("192.0.2.1:1");
	memcpy(b, a, sizeof(b));
	assert_true(change_endpoints_same(a, 2, b, 2));
	assert_true(change_endpoints_same(NULL, 0, NULL, 0));
	assert_false(change_endpoints_same(a, 2, b, 1));
	/* What a name resolved to does not matter. */
	b[1].count = 1;
	b[1].v[0] = there("192.0.2.2:1");
	assert_true(change_endpoints_same(a, 2, b, 2));
	b[1].name[0] = 'x';
	assert_false(change_endpoints_same(a, 2, b, 2));
	b[1].name[0] = 'h';
	b[1].terms.never = true;
	assert_false(change_endpoints_same(a, 2, b, 2));
	b[1].terms.never = false;
	b[0].v[0].port = 2;
	assert_false(change_endpoints_same(a, 2, b, 2));
}

static void assert_picked(const char *answer, const char *expected)
{
	struct endpoint v[20], out[ENDPOINT_ADDRESSES_MAX];
	char copy[500], text[500] = "", address[ENDPOINT_TEXT_MAX];
	size_t count = 0, picked;

	strcpy(copy, answer);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		v[count] = (struct endpoint){ .port = 1 };
		assert_true(ip_addr_parse(word, &v[count++].addr));
	}
	picked = change_pick_addresses(v, count, out);
	for (size_t i = 0; i < picked; i++) {
		strcat(text, i ? " " : "");
		strcat(text, ip_addr_format(&out[i].addr, address));
	}
	assert_string_equal(text, expected);
}

static void picks(void **state)
{
	struct endpoint none = there("192.0.2.1:1"), out[ENDPOINT_ADDRESSES_MAX];

	(void)state;
	assert_picked("", "");
	/* As it comes while there is room, each once. */
	assert_picked("fd00::1 fd00::2 192.0.2.1 fd00::1 192.0.2.1 192.0.2.2", "fd00::1 fd00::2 192.0.2.1 192.0.2.2");
	assert_picked("1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 fd00::8",
		      "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 fd00::8");
	/* By turns where there is not. */
	assert_picked("1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8 1.0.0.9 fd00::1 fd00::2 fd00::3",
		      "1.0.0.1 fd00::1 1.0.0.2 fd00::2 1.0.0.3 fd00::3 1.0.0.4 1.0.0.5");
	assert_picked("fd00::1 fd00::2 fd00::3 fd00::4 fd00::5 fd00::6 fd00::7 fd00::8 fd00::9 1.0.0.1",
		      "fd00::1 1.0.0.1 fd00::2 fd00::3 fd00::4 fd00::5 fd00::6 fd00::7");
	assert_picked("1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8 1.0.0.9",
		      "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8");
	/* What nobody can be at. */
	assert_picked("0.0.0.0 :: 224.0.0.1 255.255.255.255 ff02::1 192.0.2.1", "192.0.2.1");
	none.port = 0;
	assert_int_equal(change_pick_addresses(&none, 1, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_grow),
		cmocka_unit_test(allowed_grow),
		cmocka_unit_test(endpoints_grow),
		cmocka_unit_test(endpoints_same),
		cmocka_unit_test(picks),
		cmocka_unit_test(first_peers),
		cmocka_unit_test(first_of_no_peers),
		cmocka_unit_test(babel_settings_copies),
		cmocka_unit_test(drops_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
