/* SPDX-License-Identifier: MIT */
/*
 * The configuration protocol: finding the end of a request however it arrives, reading set requests whole or not at
 * all, and the text of answers. The node behind uapi_format_get() is a fake made of the few calls that function needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "node/change.h"
#include "node/node.h"
#include "node/uapi.h"

#define KEY_1 "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33"
#define KEY_2 "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376"
#define KEY_3 "188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"

/* Requests and their ends */

static void ends_at_every_split(void **state)
{
	static const struct {
		const char *text;
		enum uapi_request kind;
		size_t len;
	} cases[] = {
		/* 1 */ { "get=1\n\n", UAPI_GET, 7 },
		/* 2 */ { "set=1\n\n", UAPI_SET, 7 },
		/* 3 */ { "set=1\nlisten_port=1\n\n", UAPI_SET, 21 },
		/* 4 */ { "set=1\na=b\n\nget=1\n\n", UAPI_SET, 11 },
		/* 5 */ { "get=1\n\n\n\n", UAPI_GET, 7 },
		/* 6 */ { "set=1\n\nx", UAPI_SET, 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case %zu\n", i + 1);
		for (size_t step = 1; step <= cases[i].len; step++) {
			enum uapi_request got = UAPI_INCOMPLETE;
			size_t scanned = 0, used = 0, have = 0;

			while (have < cases[i].len && got == UAPI_INCOMPLETE) {
				have = have + step < cases[i].len ? have + step : cases[i].len;
				got = uapi_request(cases[i].text, have, &scanned, &used);
				assert_int_equal(got, have < cases[i].len ? UAPI_INCOMPLETE : cases[i].kind);
			}
			assert_int_equal(used, cases[i].len);
		}
		for (size_t all = cases[i].len; all <= strlen(cases[i].text); all++) {
			size_t scanned = 0, used = 0;

			assert_int_equal(uapi_request(cases[i].text, all, &scanned, &used), cases[i].kind);
			assert_int_equal(used, cases[i].len);
		}
	}
}

static void bad_requests(void **state)
{
	static const char *const bad[] = {
		"x", "\n", "sex", "get=2", "set=1 ", "get=1\r\n", "get=1\na", "get=1\nprivate_key=1\n\n", "Get=1\n\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t scanned = 0, used = 0;

		print_message("case %zu\n", i + 1);
		assert_int_equal(uapi_request(bad[i], strlen(bad[i]), &scanned, &used), UAPI_BAD);
		/* What is bad as a whole is found as soon as it shows, but no earlier. */
		for (size_t len = 0; len < strlen(bad[i]); len++) {
			scanned = 0;
			assert_int_not_equal(uapi_request(bad[i], len, &scanned, &used), UAPI_SET);
		}
	}
}

/*
 * As large as it may be, then one byte more. Read in small pieces: that the scan is not done anew each time shows in
 * what was scanned before being left alone, so a break planted there goes unseen.
 */
static void large_request(void **state)
{
	char *text = malloc(UAPI_REQUEST_MAX + 1);
	size_t scanned = 0, used = 0;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', UAPI_REQUEST_MAX + 1);
	memcpy(text, "set=1\n", 6);
	for (size_t len = 1; len < UAPI_REQUEST_MAX; len += 997)
		assert_int_equal(uapi_request(text, len, &scanned, &used), UAPI_INCOMPLETE);
	memcpy(text + 1000, "\n\n", 2);
	assert_int_equal(uapi_request(text, UAPI_REQUEST_MAX - 1, &scanned, &used), UAPI_INCOMPLETE);
	assert_int_equal(scanned, UAPI_REQUEST_MAX - 1);
	assert_int_equal(uapi_request(text, UAPI_REQUEST_MAX, &scanned, &used), UAPI_BAD);

	memset(text + 1000, 'x', 2);
	memcpy(text + UAPI_REQUEST_MAX - 2, "\n\n", 2);
	scanned = 0;
	assert_int_equal(uapi_request(text, UAPI_REQUEST_MAX, &scanned, &used), UAPI_SET);
	assert_int_equal(used, UAPI_REQUEST_MAX);

	memcpy(text + UAPI_REQUEST_MAX - 2, "x\n\n", 3);
	scanned = 0;
	assert_int_equal(uapi_request(text, UAPI_REQUEST_MAX + 1, &scanned, &used), UAPI_BAD);
	free(text);
}

/* Set requests */

static void parse_good(struct change *c, const char *text)
{
	memset(c, 0xa5, sizeof(*c));
	assert_int_equal(uapi_parse_set(c, text, strlen(text)), 0);
}

static void device_keys(void **state)
{
	struct change c;

	(void)state;
	parse_good(&c, "set=1\n\n");
	assert_int_equal(c.bits, 0);
	assert_int_equal(c.peer_count, 0);
	change_done(&c);

	parse_good(&c, "set=1\nlisten_port=65535\nfwmark=4294967295\nreplace_peers=true\nprivate_key=" KEY_1 "\n\n");
	assert_int_equal(c.bits, CHANGE_LISTEN_PORT | CHANGE_FWMARK | CHANGE_REPLACE_PEERS | CHANGE_PRIVATE_KEY);
	assert_int_equal(c.listen_port, 65535);
	assert_int_equal(c.fwmark, UINT32_MAX);
	assert_int_equal(c.private_key[0], 0xb8);
	assert_int_equal(c.private_key[31], 0x33);
	change_done(&c);

	parse_good(&c, "set=1\nprivate_key=" ZERO "\nfwmark=0\nlisten_port=0\n\n");
	assert_int_equal(c.bits, CHANGE_LISTEN_PORT | CHANGE_FWMARK | CHANGE_PRIVATE_KEY);
	assert_true(crypto_is_zero(c.private_key, KEY_LEN));
	change_done(&c);
}

/* wg(8) writes a scope as a name, which only the socket's side can look up. */
static void scope_by_name(void **state)
{
	struct change c;

	(void)state;
	parse_good(&c, "set=1\npublic_key=" KEY_1 "\nendpoint=[fe80::1%eth0]:1\n\n");
	assert_int_equal(c.peers[0].bits, CHANGE_PEER_ENDPOINTS);
	assert_int_equal(c.peers[0].endpoints[0].count, 0);
	assert_string_equal(c.peers[0].endpoints[0].name, "[fe80::1%eth0]:1");
	change_done(&c);
}

static void peer_keys(void **state)
{
	struct change c;
	char text[PREFIX_TEXT_MAX], endpoint[ENDPOINT_TEXT_MAX];

	(void)state;
	parse_good(&c, "set=1\n"
		   "public_key=" KEY_1 "\npreshared_key=" KEY_3 "\nendpoint=[2001:db8::1]:51820\n"
		   "persistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=192.168.4.7/24\n"
		   "allowed_ip=-::/0\nallowed_ip=10.0.0.1\nprotocol_version=1\n"
		   "public_key=" KEY_2 "\nremove=true\n"
		   "public_key=" KEY_1 "\nupdate_only=true\nendpoint=[fe80::1%3]:1\n\n");
	assert_int_equal(c.bits, 0);
	assert_int_equal(c.peer_count, 3);
	assert_int_equal(c.peers[0].bits, CHANGE_PEER_PSK | CHANGE_PEER_ENDPOINTS | CHANGE_PEER_KEEPALIVE |
			 CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_ALLOWED_AUTO);
	assert_int_equal(c.peers[0].public_key[0], 0xb8);
	assert_int_equal(c.peers[0].psk[0], 0x18);
	assert_int_equal(c.peers[0].keepalive_s, 25);
	assert_string_equal(endpoint_format(&c.peers[0].endpoints[0].v[0], endpoint), "[2001:db8::1]:51820");
	assert_int_equal(c.peers[0].allowed_count, 3);
	assert_string_equal(ip_prefix_format(&c.peers[0].allowed[0].prefix, text), "192.168.4.0/24");
	assert_false(c.peers[0].allowed[0].remove);
	assert_string_equal(ip_prefix_format(&c.peers[0].allowed[1].prefix, text), "::/0");
	assert_true(c.peers[0].allowed[1].remove);
	assert_string_equal(ip_prefix_format(&c.peers[0].allowed[2].prefix, text), "10.0.0.1/32");
	assert_int_equal(c.peers[1].bits, CHANGE_PEER_REMOVE);
	assert_int_equal(c.peers[2].bits, CHANGE_PEER_UPDATE_ONLY | CHANGE_PEER_ENDPOINTS);
	assert_int_equal(c.peers[2].endpoints[0].v[0].scope, 3);
	change_done(&c);
}

/* Lines act in their order: replacing forgets what was given above it. */
static void replace_after_allowed(void **state)
{
	struct change c;

	(void)state;
	parse_good(&c, "set=1\npublic_key=" KEY_1 "\nallowed_ip=10.0.0.0/8\nallowed_ip=10.0.0.0/9\n"
		   "replace_allowed_ips=true\nallowed_ip=::/0\n\n");
	assert_int_equal(c.peers[0].bits, CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_ALLOWED_AUTO);
	assert_false(c.peers[0].allowed_auto);
	assert_int_equal(c.peers[0].allowed_count, 1);
	assert_int_equal(c.peers[0].allowed[0].prefix.addr.family, IP_V6);
	change_done(&c);
}

static void assert_refused(const char *text, size_t len, int error)
{
	struct change c, empty;

	memset(&c, 0xa5, sizeof(c));
	memset(&empty, 0, sizeof(empty));
	assert_int_equal(uapi_parse_set(&c, text, len), error);
	assert_memory_equal(&c, &empty, sizeof(c));
}

/* Each line is refused behind good ones, and leaves nothing of them. */
static void bad_lines(void **state)
{
	static const struct {
		bool peer;
		const char *line;
		int error;
	} cases[] = {
		/*  1 */ { false, "listen_port=65536", -EINVAL },
		/*  2 */ { false, "listen_port=", -EINVAL },
		/*  3 */ { false, "listen_port=-1", -EINVAL },
		/*  4 */ { false, "listen_port= 1", -EINVAL },
		/*  5 */ { false, "fwmark=4294967296", -EINVAL },
		/*  6 */ { false, "fwmark=18446744073709551617", -EINVAL },
		/*  7 */ { false, "fwmark=0x10", -EINVAL },
		/*  8 */ { false, "replace_peers=false", -EINVAL },
		/*  9 */ { false, "replace_peers=1", -EINVAL },
		/* 10 */ { false, "private_key=00", -EINVAL },
		/* 11 */ { false, "private_key=" KEY_1 "0", -EINVAL },
		/* 12 */ { false, "private_key=", -EINVAL },
		/* 13 */ { false, "public_key=", -EINVAL },
		/* 14 */ { false, "public_key=" KEY_1 KEY_1, -EINVAL },
		/* 15 */ { false, "preshared_key=" KEY_1, -EPROTO },	/* a peer's, and there is none yet */
		/* 16 */ { false, "jc=4", -EPROTO },
		/* 17 */ { false, "listen_port", -EPROTO },
		/* 18 */ { false, "=1", -EPROTO },
		/* 19 */ { false, "listen_port =1", -EPROTO },
		/* 20 */ { false, "get=1", -EPROTO },
		/* 21 */ { false, "protocol_version=1", -EPROTO },
		/* 22 */ { true, "listen_port=1", -EPROTO },		/* a device's */
		/* 23 */ { true, "private_key=" KEY_1, -EPROTO },
		/* 24 */ { true, "preshared_key=zz", -EINVAL },
		/* 25 */ { true, "endpoint=192.0.2.1", -EINVAL },
		/* 26 */ { true, "endpoint=192.0.2.1:0", -EINVAL },
		/* 27 */ { true, "endpoint=host.example:1", -EINVAL },
		/* 28 */ { true, "endpoint=[fe80::1%]:1", -EINVAL },
		/* 29 */ { true, "endpoint=", -EINVAL },
		/* 30 */ { true, "persistent_keepalive_interval=65536", -EINVAL },
		/* 31 */ { true, "persistent_keepalive_interval=off", -EINVAL },
		/* 32 */ { true, "replace_allowed_ips=yes", -EINVAL },
		/* 33 */ { true, "allowed_ip=", -EINVAL },
		/* 34 */ { true, "allowed_ip=-", -EINVAL },
		/* 35 */ { true, "allowed_ip=+10.0.0.0/8", -EINVAL },
		/* 36 */ { true, "allowed_ip=--10.0.0.0/8", -EINVAL },
		/* 37 */ { true, "allowed_ip=10.0.0.0/33", -EINVAL },
		/* 38 */ { true, "remove=false", -EINVAL },
		/* 39 */ { true, "update_only=", -EINVAL },
		/* 40 */ { true, "protocol_version=2", -EINVAL },
		/* 41 */ { true, "rx_bytes=1", -EPROTO },
		/* 42 */ { true, "public_key=" KEY_1 "\r", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text text = { 0 };

		print_message("case %zu\n", i + 1);
		text_add(&text, "set=1\nlisten_port=1\nprivate_key=" KEY_2 "\n");
		if (cases[i].peer)
			text_add(&text, "public_key=" KEY_3 "\npreshared_key=" KEY_1 "\nallowed_ip=::/0\n");
		text_add(&text, cases[i].line);
		text_add(&text, "\n\n");
		assert_refused(text.s, text.len, cases[i].error);
		text_done(&text);
	}
}

static void bad_frames(void **state)
{
	static const char nul_in_value[] = "set=1\nlisten_port=1\0\n\n", nul_in_key[] = "set=1\nlisten\0_port=1\n\n";
	static const char *const cut = "set=1\nlisten_port=1\npublic_key=" KEY_1 "\nallowed_ip=::/0\n";
	char line[300] = "set=1\nlisten_port=";

	(void)state;
	assert_refused(nul_in_value, sizeof(nul_in_value) - 1, -EINVAL);
	assert_refused(nul_in_key, sizeof(nul_in_key) - 1, -EPROTO);
	assert_refused("", 0, -EPROTO);
	assert_refused("get=1\n\n", 7, -EPROTO);
	assert_refused("set=2\n\n", 7, -EPROTO);
	for (size_t len = 0; len <= strlen(cut); len++)
		assert_refused(cut, len, -EPROTO);	/* no empty line */
	memset(line + strlen(line), '0', 250);		/* a number, but not of this length */
	strcpy(line + 18 + 250, "1\n\n");
	assert_refused(line, strlen(line), -EINVAL);
}

static void too_many(void **state)
{
	struct text text = { 0 };
	struct change c;

	(void)state;
	text_add(&text, "set=1\n");
	for (int peer = 0; peer < 2; peer++) {
		text_add(&text, "public_key=" KEY_1 "\n");
		for (int i = 0; i < CHANGE_ALLOWED_MAX / 2; i++)
			text_add(&text, "allowed_ip=::/0\n");
	}
	text_add(&text, "\n");
	assert_int_equal(uapi_parse_set(&c, text.s, text.len), 0);
	assert_int_equal(c.peers[1].allowed_count, CHANGE_ALLOWED_MAX / 2);
	change_done(&c);
	text.len--;
	text_add(&text, "allowed_ip=::/0\n\n");
	assert_refused(text.s, text.len, -E2BIG);
	text.len--;
	text_add(&text, "replace_allowed_ips=true\nallowed_ip=::/0\n\n");
	assert_refused(text.s, text.len, -E2BIG);	/* too many, if only for a while */
	text.len -= strlen("allowed_ip=::/0\nreplace_allowed_ips=true\nallowed_ip=::/0\n\n");
	text_add(&text, "replace_allowed_ips=true\nallowed_ip=::/0\n\n");
	assert_int_equal(uapi_parse_set(&c, text.s, text.len), 0);
	assert_int_equal(c.peers[1].allowed_count, 1);
	change_done(&c);

	text_reset(&text);
	text_add(&text, "set=1\n");
	for (int i = 0; i < CHANGE_PEERS_MAX; i++)
		text_add(&text, "public_key=" KEY_1 "\n");
	text_add(&text, "\n");
	assert_int_equal(uapi_parse_set(&c, text.s, text.len), 0);
	change_done(&c);
	text.len--;
	text_add(&text, "public_key=" KEY_1 "\n\n");
	assert_refused(text.s, text.len, -E2BIG);
	text_done(&text);
}

/* Answers. The fake node: */

struct node {
	struct node_info info;
	struct peer_info peers[2];
	const char *allowed[2][3];
};

void node_info(const struct node *n, struct node_info *info)
{
	*info = n->info;
}

bool node_peer(const struct node *n, size_t i, struct instant now, struct peer_info *info)
{
	assert_int_equal(now.mono_us, 7);
	if (i >= n->info.peer_count)
		return false;
	*info = n->peers[i];
	return true;
}

void node_peer_allowed(const struct node *n, size_t i, void (*visit)(void *ctx, const struct ip_prefix *p), void *ctx)
{
	struct ip_prefix prefix;

	for (size_t k = 0; k < 3 && n->allowed[i][k]; k++) {
		assert_true(ip_prefix_parse(n->allowed[i][k], &prefix));
		visit(ctx, &prefix);
	}
}

static void assert_answer(const struct node *n, const char *expected)
{
	struct text out = { 0 };

	uapi_format_get(n, (struct instant){ .mono_us = 7 }, &out);
	assert_string_equal(out.s, expected);
	text_done(&out);
}

static void get_bare(void **state)
{
	struct node n = { 0 };

	(void)state;
	assert_answer(&n, "errno=0\n\n");
}

static void get_golden(void **state)
{
	struct node n = {
		.info = { .has_key = true, .listen_port = 51820, .fwmark = 0xca6c, .peer_count = 2 },
		.peers = {
			{
				.handshake_wall_ns = INT64_C(1700000000123456789),
				.rx_bytes = UINT64_C(1) << 63, .tx_bytes = 38333, .keepalive_s = 65535,
			},
			{ .name = "idle" },
		},
		.allowed = { { "192.168.4.4/32", "10.0.0.0/8", "fd00::/64" } },
	};

	(void)state;
	assert_true(key_from_hex(n.info.private_key, KEY_3));
	assert_true(key_from_hex(n.peers[0].public_key, KEY_1));
	assert_true(key_from_hex(n.peers[0].psk, KEY_2));
	assert_true(key_from_hex(n.peers[1].public_key, KEY_2));
	assert_true(endpoint_parse("[fe80::1%3]:1234", &n.peers[0].path.remote));
	assert_answer(&n,
		"private_key=" KEY_3 "\n"
		"listen_port=51820\n"
		"fwmark=51820\n"
		"public_key=" KEY_1 "\n"
		"preshared_key=" KEY_2 "\n"
		"protocol_version=1\n"
		"endpoint=[fe80::1%3]:1234\n"
		"last_handshake_time_sec=1700000000\n"
		"last_handshake_time_nsec=123456789\n"
		"tx_bytes=38333\n"
		"rx_bytes=9223372036854775808\n"
		"persistent_keepalive_interval=65535\n"
		"allowed_ip=192.168.4.4/32\n"
		"allowed_ip=10.0.0.0/8\n"
		"allowed_ip=fd00::/64\n"
		"public_key=" KEY_2 "\n"
		"preshared_key=" ZERO "\n"
		"protocol_version=1\n"
		"last_handshake_time_sec=0\n"
		"last_handshake_time_nsec=0\n"
		"tx_bytes=0\n"
		"rx_bytes=0\n"
		"persistent_keepalive_interval=0\n"
		"errno=0\n"
		"\n");
}

static void errno_answers(void **state)
{
	struct text out = { 0 };

	(void)state;
	uapi_format_errno(0, &out);
	uapi_format_errno(-22, &out);
	assert_string_equal(out.s, "errno=0\n\nerrno=-22\n\n");
	text_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_at_every_split),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(large_request),
		cmocka_unit_test(device_keys),
		cmocka_unit_test(scope_by_name),
		cmocka_unit_test(peer_keys),
		cmocka_unit_test(replace_after_allowed),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(bad_frames),
		cmocka_unit_test(too_many),
		cmocka_unit_test(get_bare),
		cmocka_unit_test(get_golden),
		cmocka_unit_test(errno_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
