/* SPDX-License-Identifier: MIT */
/* What routing decided, on its way into the forwarding tables: nothing lost, nothing said twice, and who announced lately still counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "node/lane.h"
#include "node/rib.h"

static struct lane_peer a, b;

static struct prefix_pair pair(const char *dst, const char *src)
{
	struct prefix_pair p = { 0 };

	assert_true(ip_prefix_parse(dst, &p.dst));
	p.src.addr.family = p.dst.addr.family;
	if (src)
		assert_true(ip_prefix_parse(src, &p.src));
	return p;
}

/* Does 'peer' announce it, as the lanes see it? */
static bool accepted(struct rib *r, struct fib *f, const struct prefix_pair *p, const struct lane_peer *peer)
{
	const struct fib_entry *e;

	while (rib_to_fib(r, f, 1))
		;
	e = fib_exact(f, p);
	for (size_t i = 0; e && i < e->announcer_count; i++)
		if (fib_announcers(e)[i] == peer)
			return true;
	return false;
}

static void test_announcers_linger(void **state)
{
	struct rib r = { 0 };
	struct fib f = { 0 };
	const struct prefix_pair p = pair("10.1.0.0/16", NULL);
	struct lane_peer *both[] = { &a, &b };

	(void)state;
	assert_true(rib_set_announcers(&r, rib_get(&r, &p), both, 2, 1000));
	assert_true(accepted(&r, &f, &p, &a));
	assert_true(accepted(&r, &f, &p, &b));
	/* b stops, and counts for as long as packets may be under way that it sent before. */
	assert_true(rib_set_announcers(&r, rib_get(&r, &p), both, 1, 2000));
	rib_expire(&r, 2000 + RIB_LINGER_US - 1);
	assert_true(accepted(&r, &f, &p, &b));
	rib_expire(&r, 2000 + RIB_LINGER_US);
	assert_false(accepted(&r, &f, &p, &b));
	assert_true(accepted(&r, &f, &p, &a));
	/* a stops and begins again: it does not end with the first. */
	assert_true(rib_set_announcers(&r, rib_get(&r, &p), NULL, 0, 3000));
	assert_true(rib_set_announcers(&r, rib_get(&r, &p), both, 1, 4000));
	rib_expire(&r, INT64_C(4000) + 2 * RIB_LINGER_US);
	assert_true(accepted(&r, &f, &p, &a));
	assert_int_equal(r.lingering, 0);
	/* All gone: no entry is left anywhere. */
	assert_true(rib_set_announcers(&r, rib_get(&r, &p), NULL, 0, 5000));
	rib_expire(&r, 5000 + RIB_LINGER_US);
	assert_false(accepted(&r, &f, &p, &a));
	assert_int_equal(r.count, 0);
	assert_int_equal(f.count, 0);
	rib_done(&r);
	fib_clear(&f);
}

static void route_over(struct rib *r, const struct prefix_pair *p, struct lane_peer *peer)
{
	struct rib_entry *e = rib_get(r, p);

	e->action = peer ? FIB_PEER : FIB_NONE;
	e->peer = peer;
	e->kind = peer ? NODE_ROUTE_TUN : NODE_ROUTE_NONE;
	rib_changed(r, e);
}

static void test_kernel_hears_once(void **state)
{
	struct rib r = { 0 };
	struct fib f = { 0 };
	struct node_route route;
	const struct prefix_pair p = pair("::/0", "2001:db8::/32");

	(void)state;
	/* Between two looks of the driver it came and changed: one change. */
	route_over(&r, &p, &a);
	route_over(&r, &p, &b);
	assert_true(rib_to_kernel(&r, &route));
	assert_int_equal(route.kind, NODE_ROUTE_TUN);
	assert_true(prefix_pair_equal(&route.prefix, &p));
	assert_false(rib_to_kernel(&r, &route));
	/* The kernel lost it. */
	rib_kernel_again(&r, &p);
	assert_true(rib_to_kernel(&r, &route));
	assert_false(rib_to_kernel(&r, &route));
	route_over(&r, &p, NULL);
	assert_true(rib_to_kernel(&r, &route));
	assert_int_equal(route.kind, NODE_ROUTE_NONE);
	/* Came and went unseen: nothing to say. */
	route_over(&r, &p, &a);
	route_over(&r, &p, NULL);
	assert_false(rib_to_kernel(&r, &route));
	assert_false(rib_to_fib(&r, &f, 10));
	assert_int_equal(r.count, 0);
	rib_done(&r);
	fib_clear(&f);
}

static void test_peer_goes(void **state)
{
	struct rib r = { 0 };
	struct fib f = { 0 };
	struct node_route route;
	struct lane_peer *both[] = { &a, &b };
	const struct prefix_pair p = pair("fd00:1::/64", NULL), q = pair("fd00:2::/64", NULL);

	(void)state;
	route_over(&r, &p, &a);
	route_over(&r, &q, &b);
	rib_set_announcers(&r, rib_get(&r, &p), both, 2, 1);
	rib_set_announcers(&r, rib_get(&r, &q), both, 2, 1);
	assert_false(rib_to_fib(&r, &f, 10));
	while (rib_to_kernel(&r, &route))
		;
	rib_forget_peer(&r, &a);
	assert_false(accepted(&r, &f, &p, &a));
	assert_false(accepted(&r, &f, &q, &a));
	assert_true(accepted(&r, &f, &q, &b));
	assert_int_equal(fib_exact(&f, &p)->action, FIB_NONE);
	assert_int_equal(fib_exact(&f, &q)->action, FIB_PEER);
	while (rib_to_kernel(&r, &route))
		assert_int_equal(route.kind, prefix_pair_equal(&route.prefix, &p) ? NODE_ROUTE_NONE : NODE_ROUTE_TUN);
	rib_reset(&r);
	assert_false(rib_to_fib(&r, &f, 10));
	assert_int_equal(f.count, 0);
	rib_done(&r);
	fib_clear(&f);
}

/* Ten thousand at once: all arrive, in the order they came, a bounded number a call. */
static void test_many(void **state)
{
	struct rib r = { 0 };
	struct fib f = { 0 };
	struct node_route route;
	unsigned int calls = 0;

	(void)state;
	for (uint32_t i = 0; i < 10000; i++) {
		struct prefix_pair p = pair("10.0.0.0/32", NULL);

		p.dst.addr.bytes[2] = (uint8_t)(i >> 8);
		p.dst.addr.bytes[3] = (uint8_t)i;
		route_over(&r, &p, &a);
	}
	while (rib_to_fib(&r, &f, 256))
		calls++;
	assert_int_equal(calls, 10000 / 256);
	assert_int_equal(f.count, 10000);
	for (uint32_t i = 0; i < 10000; i++) {
		assert_true(rib_to_kernel(&r, &route));
		assert_int_equal(route.prefix.dst.addr.bytes[2] << 8 | route.prefix.dst.addr.bytes[3], i);
	}
	assert_false(rib_to_kernel(&r, &route));
	rib_done(&r);
	fib_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_announcers_linger),
		cmocka_unit_test(test_kernel_hears_once),
		cmocka_unit_test(test_peer_goes),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
