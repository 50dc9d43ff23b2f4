/* SPDX-License-Identifier: MIT */
/* What a planned stop leaves for the next run: taken as a whole or not at all, and only while it is fresh; the speaker goes on with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "node/node.h"
#include "node/routing.h"
#include "node/routing_inside.h"

#define AT "1000000"
#define HEAD "meshd resume\nat " AT "\nrouter-id 0102030405060708\n"

static const struct log silent;
static const uint8_t id[BABEL_ROUTER_ID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 7, len);
}

static const struct rng rng = { .fill = fill };

static struct instant at_s(int64_t s)
{
	return (struct instant){ .mono_us = s * US_PER_S };
}

static int setup(void **state)
{
	*state = node_new(&rng, &silent, 1);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	node_free(*state);
	return 0;
}

static void fresh_or_not(void **state)
{
	struct node *n = *state;

	assert_true(node_routing_resume(n, HEAD, at_s(1)));
	assert_true(node_routing_resume(n, HEAD, at_s(61)));
	assert_false(node_routing_resume(n, HEAD, at_s(62)));
	assert_false(n->routing->resume.until_us);
	assert_false(node_routing_resume(n, HEAD, at_s(0)));	/* of another boot */
}

static void all_or_nothing(void **state)
{
	static const char *const bad[] = {
		"", "meshd", "meshd resume", "meshd resume\n", "meshd resume\nat 1\n", "meshd resume\nrouter-id 0102030405060708\n",
		"meshd resume 2\nat 1000000\nrouter-id 0102030405060708\n",
		HEAD "at\n", HEAD "at -1\n", HEAD "at 99999999999999999999\n", HEAD "at 1 \n",
		HEAD "router-id 01020304050607\n", HEAD "router-id 010203040506070g\n", HEAD "router-id 010203040506070809\n",
		HEAD "hello\n", HEAD "hello 65536 lan a\n", HEAD "hello 1\n", HEAD "hello 1 lan a",
		HEAD "hello 1 lan 0123456789012345678901234567890123456789012345678901234567890123456789\n",
		HEAD "distance 1 2 0102030405060708\n", HEAD "distance 1 65536 0102030405060708 10.0.0.0/8\n",
		HEAD "distance 1 2 0102030405060708 10.0.0.1/8\n", HEAD "distance 1 2 0102030405060708 10.0.0.0/8 from\n",
		HEAD "distance 1 2 0102030405060708 10.0.0.0/8 from 2001:db8::/32\n", HEAD "distance 1 2 0102030405060708 10.0.0.0/8 to 10.0.0.0/8\n",
		HEAD "\n", HEAD "else\n",
	};
	struct node *n = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (node_routing_resume(n, bad[i], at_s(2)))
			fail_msg("taken: %s", bad[i]);
		assert_null(n->routing->resume.hellos);
		assert_null(n->routing->resume.distances);
	}
}

static void good(void **state)
{
	struct node *n = *state;
	const struct resume *r = &n->routing->resume;

	assert_true(node_routing_resume(n, HEAD "hello 65535 lan eth0\nhello 0 lan eth1\nhello 7 link KEY\n"
					"distance 12 96 1112131415161718 10.0.0.0/8\ndistance 65535 65534 0102030405060708 ::/0 from 2001:db8::/32\n", at_s(2)));
	assert_memory_equal(r->router_id, id, sizeof(id));
	assert_int_equal(r->hello_count, 3);
	assert_string_equal(r->hellos[0].owner, "lan eth0");
	assert_int_equal(r->hellos[0].seqno, 65535);
	assert_string_equal(r->hellos[2].owner, "link KEY");
	assert_int_equal(r->distance_count, 2);
	assert_int_equal(r->distances[0].seqno, 12);
	assert_int_equal(r->distances[0].metric, 96);
	assert_int_equal(r->distances[0].router_id[0], 0x11);
	assert_int_equal(r->distances[1].metric, 65534);
	assert_int_equal(r->distances[1].prefix.src.len, 32);
	assert_int_equal(r->distances[1].prefix.src.addr.family, IP_V6);
}

/* The speaker has the distances that the last one had, and says them again for the next one. */
static void distances_pass(void **state)
{
	static const struct babel_config c = { .router_id = { 1, 2, 3, 4, 5, 6, 7, 8 }, .seqno = 9, .clean = true };
	static const char said[] = "distance 12 96 1112131415161718 10.0.0.0/8\n";
	struct node *n = *state;
	struct routing *r = n->routing;
	struct text text = { 0 };

	assert_true(node_routing_resume(n, HEAD "distance 12 96 1112131415161718 10.0.0.0/8\n", at_s(2)));
	r->now = at_s(2);
	assert_true(resume_fits(r, id));
	r->babel = babel_new(&c, &rng, &silent);
	assert_non_null(r->babel);
	assert_true(resume_restore(r, r->babel));
	node_routing_suspend(n, &text, at_s(3));
	assert_non_null(strstr(text.s, said));
	assert_non_null(strstr(text.s, "meshd resume\nat 3000000\nrouter-id 0102030405060708\n"));
	assert_true(node_routing_resume(n, text.s, at_s(4)));
	r->now = at_s(64);
	assert_false(resume_fits(r, id));	/* too late by the time it is wanted */
	text_done(&text);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(fresh_or_not),
		CASE(all_or_nothing),
		CASE(good),
		CASE(distances_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
