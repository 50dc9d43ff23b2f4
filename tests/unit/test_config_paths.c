/* SPDX-License-Identifier: MIT */
/* Config files: what is about paths, beyond what the files in tests/unit/config show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/config.h"

#define PEER_A "[Peer]\nPublicKey = 7lszWZtJOcqgXK6MAjCegszTRw+7eJwPZPaEexetMIw=\n"

static void parse_good(struct config *c, const char *text)
{
	struct text error = { 0 };

	if (!config_parse(c, "wg0.conf", text, strlen(text), &error))
		fail_msg("%s", error.s);
	text_done(&error);
}

static void endpoint_kinds(void **state)
{
	struct config c;

	(void)state;
	parse_good(&c, PEER_A "Endpoint = h.example:1\nEndpoint = [fe80::1%7]:2\n");
	assert_int_equal(c.change.peers[0].endpoint_count, 2);
	assert_string_equal(c.change.peers[0].endpoints[0].name, "h.example:1");
	assert_int_equal(c.change.peers[0].endpoints[0].count, 0);
	assert_string_equal(c.change.peers[0].endpoints[1].name, "");
	assert_int_equal(c.change.peers[0].endpoints[1].count, 1);
	assert_int_equal(c.change.peers[0].endpoints[1].v[0].scope, 7);
	assert_int_equal(c.change.peers[0].endpoints[1].v[0].port, 2);
	assert_int_equal(c.change.peers[0].endpoints[1].v[0].addr.family, IP_V6);
	config_done(&c);

	parse_good(&c, PEER_A "Endpoint = [fe80::1%7]:2\nEndpoint = [fe80::1%7a]:2\n");
	assert_int_equal(c.change.peers[0].endpoint_count, 2);
	assert_int_equal(c.change.peers[0].endpoints[1].count, 0);
	assert_string_equal(c.change.peers[0].endpoints[1].name, "[fe80::1%7a]:2");
	config_done(&c);
}

static void endpoint_prefixes(void **state)
{
	struct ip_addr addr;
	struct config c;

	(void)state;
	parse_good(&c, PEER_A "Endpoint = [2001:db8::5/118]:7\n");
	assert_int_equal(c.change.peers[0].endpoint_count, 1);
	assert_int_equal(c.change.peers[0].endpoints[0].prefix_len, 118);
	assert_true(ip_addr_parse("2001:db8::5", &addr));
	assert_true(ip_addr_equal(&c.change.peers[0].endpoints[0].v[0].addr, &addr));
	assert_int_equal(c.change.peers[0].endpoints[0].v[0].port, 7);
	config_done(&c);

	/* Of the same address the last one counts, be it without. */
	parse_good(&c, PEER_A "Endpoint = [2001:db8::5/118]:7\nEndpoint = [2001:db8::5]:7\n");
	assert_int_equal(c.change.peers[0].endpoints[0].prefix_len, 0);
	config_done(&c);
	parse_good(&c, PEER_A "Endpoint = [2001:db8::5/118]:7\nEndpoint = h:7\n");
	assert_int_equal(c.change.peers[0].endpoint_count, 2);
	assert_int_equal(c.change.peers[0].endpoints[0].prefix_len, 118);
	assert_int_equal(c.change.peers[0].endpoints[1].prefix_len, 0);
	config_done(&c);
}

static void endpoint_terms(void **state)
{
	struct text text = { 0 }, error = { 0 };
	struct config c;

	(void)state;
	parse_good(&c, PEER_A "Endpoint = 192.0.2.1:1\nEndpoint = h:1 never cost=60000 metered\n");
	assert_int_equal(c.change.peers[0].endpoint_count, 2);
	assert_int_equal(c.change.peers[0].endpoints[0].terms.cost_ms, 0);
	assert_false(c.change.peers[0].endpoints[0].terms.metered || c.change.peers[0].endpoints[0].terms.never);
	assert_int_equal(c.change.peers[0].endpoints[1].terms.cost_ms, 60000);
	assert_true(c.change.peers[0].endpoints[1].terms.metered && c.change.peers[0].endpoints[1].terms.never);
	config_done(&c);

	/* A line of blanks and letters is read in one go, however long. */
	text_add(&text, PEER_A "Endpoint = h:1");
	for (size_t i = 0; i < CONFIG_LINE_MAX / 2 - 10; i++)
		text_add(&text, " a");
	assert_false(config_parse(&c, "x.conf", text.s, text.len, &error));
	assert_string_equal(error.s, "x.conf:3: Endpoint: 'a' is neither cost=N, metered nor never");
	text_done(&error);
	text_done(&text);
}

static void path_settings(void **state)
{
	struct config c;

	(void)state;
	parse_good(&c, "");
	assert_int_equal(c.change.path_spread, PATHS_BEST);
	assert_int_equal(c.change.mss_clamp, MSS_CLAMP_OFF);
	assert_int_equal(c.change.uplink_count, 0);
	config_done(&c);
	parse_good(&c, "[Interface]\nSpread = all\nMssClamp = on\nUplink = eth0\nUplink = wwan0 cost=50 metered\n");
	assert_int_equal(c.change.path_spread, PATHS_ALL);
	assert_int_equal(c.change.mss_clamp, MSS_CLAMP_ON);
	assert_int_equal(c.change.uplink_count, 2);
	assert_string_equal(c.change.uplinks[1].name, "wwan0");
	assert_int_equal(c.change.uplinks[1].terms.cost_ms, 50);
	assert_true(c.change.uplinks[1].terms.metered);
	assert_false(c.change.uplinks[0].terms.metered || c.change.uplinks[1].terms.never);
	config_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoint_kinds),
		cmocka_unit_test(endpoint_prefixes),
		cmocka_unit_test(endpoint_terms),
		cmocka_unit_test(path_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
