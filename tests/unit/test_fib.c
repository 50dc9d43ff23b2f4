/* SPDX-License-Identifier: MIT */
/* The forwarding table: numbered cases, then against a plain list that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/fib.h"
#include "node/lane.h"
#include "stream.h"

enum { PEERS = 6, TWIN_MAX = 400 };

static struct lane_peer peers[PEERS];
static struct fib f;

static int teardown(void **state)
{
	(void)state;
	fib_clear(&f);
	assert_int_equal(f.count, 0);
	assert_int_equal(f.destinations.count, 0);
	return 0;
}

static struct prefix_pair pair(const char *dst, const char *src)
{
	struct prefix_pair p = { 0 };

	assert_true(ip_prefix_parse(dst, &p.dst));
	if (!src)
		return prefix_pair_any(&p.dst);
	assert_true(ip_prefix_parse(src, &p.src));
	return p;
}

/* A route by a peer that announces it, or for 'action' other than FIB_PEER one that nobody announces. */
static void set(const char *dst, const char *src, enum fib_action action, unsigned int peer)
{
	struct prefix_pair p = pair(dst, src);
	struct lane_peer *one = &peers[peer];

	assert_true(fib_set(&f, &p, action, one, &one, action == FIB_PEER));
}

static void announce(const char *dst, const char *src, enum fib_action action, unsigned int peer, unsigned int mask)
{
	struct prefix_pair p = pair(dst, src);
	struct lane_peer *list[PEERS];
	size_t count = 0;

	for (unsigned int i = 0; i < PEERS; i++)
		if (mask & 1U << i)
			list[count++] = &peers[i];
	assert_true(fib_set(&f, &p, action, &peers[peer], list, count));
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static const struct fib_entry *look(const char *src, const char *dst)
{
	struct ip_addr s = address(src), d = address(dst);

	return fib_lookup(&f, d.family, s.bytes, d.bytes);
}

static struct lane_peer *peer_of(const char *src, const char *dst)
{
	const struct fib_entry *e = look(src, dst);

	return e && e->action == FIB_PEER ? e->peer : NULL;
}

static bool accepts(unsigned int peer, const char *src, const char *dst)
{
	struct ip_addr s = address(src), d = address(dst);
	const struct fib_entry *e = fib_origin(&f, s.family, s.bytes, d.bytes);

	return e && fib_announces(e, &peers[peer]);
}

/* Destination first: the longer destination goes before the longer source. */
static void destination_first(void **state)
{
	(void)state;
	set("::/0", "2001:db8:1::/48", FIB_PEER, 0);
	set("2001:db8:2::/48", NULL, FIB_PEER, 1);
	assert_ptr_equal(peer_of("2001:db8:1::5", "2001:db8:2::7"), &peers[1]);
	assert_ptr_equal(peer_of("2001:db8:1::5", "2001:db8:3::7"), &peers[0]);
	assert_null(look("2001:db8:9::5", "2001:db8:3::7"));
	assert_ptr_equal(peer_of("2001:db8:9::5", "2001:db8:2::7"), &peers[1]);
}

/* A destination without an entry for the source is as if it were not there. */
static void fall_back_to_the_shorter(void **state)
{
	(void)state;
	set("10.0.0.0/8", NULL, FIB_PEER, 0);
	set("10.1.0.0/16", "192.168.0.0/16", FIB_PEER, 1);
	set("10.1.2.0/24", "192.168.7.0/24", FIB_PEER, 2);
	set("10.1.2.0/24", "192.168.7.9/32", FIB_UNREACHABLE, 2);
	assert_ptr_equal(peer_of("192.168.7.1", "10.1.2.3"), &peers[2]);
	assert_int_equal(look("192.168.7.9", "10.1.2.3")->action, FIB_UNREACHABLE);
	assert_ptr_equal(peer_of("192.168.8.1", "10.1.2.3"), &peers[1]);
	assert_ptr_equal(peer_of("172.16.0.1", "10.1.2.3"), &peers[0]);
	assert_ptr_equal(peer_of("192.168.7.1", "10.2.0.1"), &peers[0]);
	assert_null(look("192.168.7.1", "11.0.0.1"));
	/* What is known for the source check alone is no route, and hides none. */
	announce("10.1.2.0/24", "192.168.7.0/24", FIB_NONE, 0, 1);
	assert_ptr_equal(peer_of("192.168.7.1", "10.1.2.3"), &peers[1]);
	/* A host's own is one. */
	set("10.1.2.3/32", NULL, FIB_HOST, 0);
	assert_int_equal(look("192.168.7.1", "10.1.2.3")->action, FIB_HOST);
}

/* The families have nothing to do with each other, and 0.0.0.0/0 is no ::/0. */
static void families(void **state)
{
	struct prefix_pair mixed = pair("10.0.0.0/8", NULL), none = { 0 };
	struct ip_addr nothing = { 0 };
	struct lane_peer *one = &peers[0];

	(void)state;
	set("0.0.0.0/0", NULL, FIB_PEER, 4);
	set("::/0", NULL, FIB_PEER, 3);
	assert_ptr_equal(peer_of("10.0.0.1", "10.0.0.2"), &peers[4]);
	assert_ptr_equal(peer_of("::1", "::2"), &peers[3]);
	assert_null(fib_lookup(&f, IP_NONE, nothing.bytes, nothing.bytes));
	mixed.src.addr.family = IP_V6;
	assert_false(fib_set(&f, &mixed, FIB_PEER, one, &one, 1));
	assert_false(fib_set(&f, &none, FIB_PEER, one, &one, 1));
	mixed = pair("10.0.0.0/8", NULL);
	mixed.src.len = 33;
	assert_false(fib_set(&f, &mixed, FIB_PEER, one, &one, 1));
	assert_null(fib_exact(&f, &mixed));
	assert_int_equal(f.count, 2);
}

static void who_may_send(void **state)
{
	(void)state;
	announce("10.0.0.0/8", NULL, FIB_PEER, 0, 1 | 2);
	announce("10.1.0.0/16", NULL, FIB_PEER, 2, 4 | 8);
	announce("10.1.1.0/24", NULL, FIB_NONE, 0, 16);
	assert_true(accepts(0, "10.2.0.1", "9.9.9.9"));
	assert_true(accepts(1, "10.2.0.1", "9.9.9.9"));
	assert_false(accepts(2, "10.2.0.1", "9.9.9.9"));
	/* The longest known prefix decides, whether there is a route to it or not. */
	assert_false(accepts(0, "10.1.0.1", "9.9.9.9"));
	assert_true(accepts(3, "10.1.0.1", "9.9.9.9"));
	assert_false(accepts(3, "10.1.1.1", "9.9.9.9"));
	assert_true(accepts(4, "10.1.1.1", "9.9.9.9"));
	assert_false(accepts(4, "11.1.1.1", "9.9.9.9"));
	/* Routes that are for some sources only are known to those destinations' packets. */
	announce("10.1.1.0/24", "9.9.0.0/16", FIB_PEER, 5, 32);
	assert_true(accepts(5, "10.1.1.1", "9.9.9.9"));
	assert_false(accepts(4, "10.1.1.1", "9.9.9.9"));
	assert_true(accepts(4, "10.1.1.1", "9.8.9.9"));
	assert_false(accepts(5, "10.1.1.1", "9.8.9.9"));
	/* A host's own is nobody's to send from. */
	set("10.1.1.1/32", NULL, FIB_HOST, 0);
	for (unsigned int i = 0; i < PEERS; i++)
		assert_false(accepts(i, "10.1.1.1", "9.9.9.9"));
}

static void replace_and_remove(void **state)
{
	struct prefix_pair p = pair("10.1.2.3/16", "192.168.1.1/24"), clean = pair("10.1.0.0/16", "192.168.1.0/24");
	struct lane_peer *two[] = { &peers[1], &peers[2] };
	const struct fib_entry *e;

	(void)state;
	assert_true(fib_set(&f, &p, FIB_PEER, &peers[1], two, 2));
	e = fib_exact(&f, &clean);
	assert_non_null(e);
	assert_int_equal(e->dst_len, clean.dst.len);
	assert_true(ip_prefix_equal(&e->src, &clean.src));
	assert_int_equal(e->announcer_count, 2);
	two[0] = NULL;		/* they were copied */
	assert_ptr_equal(fib_announcers(e)[0], &peers[1]);
	assert_ptr_equal(fib_exact(&f, &p), e);		/* host bits do not matter */
	two[0] = &peers[3];
	assert_true(fib_set(&f, &clean, FIB_UNREACHABLE, &peers[1], two, 1));
	assert_int_equal(f.count, 1);
	e = fib_exact(&f, &clean);
	assert_int_equal(e->action, FIB_UNREACHABLE);
	assert_null(e->peer);
	assert_int_equal(e->announcer_count, 1);
	assert_true(fib_set(&f, &clean, FIB_NONE, NULL, NULL, 0));
	assert_null(fib_exact(&f, &clean));
	assert_int_equal(f.count, 0);
	assert_int_equal(f.destinations.count, 0);
	assert_true(fib_set(&f, &clean, FIB_NONE, NULL, NULL, 0));	/* once more does nothing */
	assert_int_equal(f.count, 0);
}

/*
 * The twin.
 */

static struct twin {
	struct prefix_pair prefix;
	enum fib_action action;
	unsigned int peer, announcers;	/* bits */
} twin[TWIN_MAX];

static size_t twin_count;

static struct twin *twin_find(const struct prefix_pair *p)
{
	for (size_t i = 0; i < twin_count; i++)
		if (prefix_pair_equal(&twin[i].prefix, p))
			return &twin[i];
	return NULL;
}

static void twin_set(const struct twin *t)
{
	struct twin *old = twin_find(&t->prefix);

	if (t->action == FIB_NONE && !t->announcers) {
		if (old)
			*old = twin[--twin_count];
		return;
	}
	if (!old)
		old = &twin[twin_count++];
	*old = *t;
}

static const struct twin *twin_lookup(const struct ip_addr *src, const struct ip_addr *dst, bool any)
{
	const struct twin *best = NULL;

	for (size_t i = 0; i < twin_count; i++) {
		const struct twin *t = &twin[i];

		if ((!any && t->action == FIB_NONE) || !ip_prefix_covers(&t->prefix.dst, dst) || !ip_prefix_covers(&t->prefix.src, src))
			continue;
		if (!best || t->prefix.dst.len > best->prefix.dst.len ||
		    (t->prefix.dst.len == best->prefix.dst.len && t->prefix.src.len > best->prefix.src.len))
			best = t;
	}
	return best;
}

static struct stream random_bytes;

static unsigned int below(unsigned int n)
{
	struct rng rng = stream_rng(&random_bytes);
	uint8_t b[2];

	rng_fill(&rng, b, sizeof(b));
	return (b[0] | (unsigned int)b[1] << 8) % n;
}

/* Few bits vary, so that prefixes cover one another and addresses hit them. */
static struct ip_addr some_address(uint8_t family)
{
	struct ip_addr a = { .family = family, .bytes = { 0xfd } };

	a.bytes[1] = (uint8_t)(below(4) << 6);
	a.bytes[2] = (uint8_t)below(3);
	a.bytes[3] = (uint8_t)below(4);
	if (family == IP_V6)
		a.bytes[9] = (uint8_t)(below(2) << 7);
	if (family == IP_V6)
		a.bytes[15] = (uint8_t)below(3);
	return a;
}

static struct ip_prefix some_prefix(uint8_t family)
{
	static const uint8_t lens4[] = { 0, 8, 10, 16, 23, 24, 31, 32 }, lens6[] = { 0, 9, 10, 24, 32, 73, 127, 128 };
	struct ip_prefix p = { .addr = some_address(family) };

	p.len = family == IP_V4 ? lens4[below(8)] : lens6[below(8)];
	ip_prefix_mask(&p);
	return p;
}

static void change_both(void)
{
	uint8_t family = below(2) ? IP_V4 : IP_V6;
	struct twin t = { .prefix = { .dst = some_prefix(family), .src = some_prefix(family) } };
	struct lane_peer *list[PEERS];
	size_t count = 0;

	if (below(2))
		t.prefix = prefix_pair_any(&t.prefix.dst);
	if (twin_count > TWIN_MAX / 2 && below(2)) {
		t.prefix = twin[below((unsigned int)twin_count)].prefix;	/* taken out */
	} else {
		t.action = (enum fib_action)below(4);
		t.announcers = below(3) ? below(1 << PEERS) : 0;
	}
	if (twin_count == TWIN_MAX && !twin_find(&t.prefix))
		return;
	t.peer = below(PEERS);
	for (unsigned int i = 0; i < PEERS; i++)
		if (t.announcers & 1U << i)
			list[count++] = &peers[i];
	twin_set(&t);
	assert_true(fib_set(&f, &t.prefix, t.action, &peers[t.peer], list, count));
}

static void forget_both(unsigned int peer)
{
	for (size_t i = twin_count; i-- > 0;) {
		struct twin t = twin[i];

		t.announcers &= ~(1U << peer);
		if (t.action == FIB_PEER && t.peer == peer)
			t.action = FIB_NONE;
		twin_set(&t);
	}
	fib_forget_peer(&f, &peers[peer]);
}

static void compare_both(void)
{
	uint8_t family = below(2) ? IP_V4 : IP_V6;
	struct ip_addr src = some_address(family), dst = some_address(family);
	const struct fib_entry *e = fib_lookup(&f, family, src.bytes, dst.bytes);
	const struct twin *t = twin_lookup(&src, &dst, false);

	assert_int_equal(!e, !t);
	if (e) {
		assert_int_equal(e->dst_len, t->prefix.dst.len);
		assert_true(ip_prefix_equal(&e->src, &t->prefix.src));
		assert_int_equal(e->action, t->action);
		assert_ptr_equal(e->peer, t->action == FIB_PEER ? &peers[t->peer] : NULL);
	}
	e = fib_origin(&f, family, src.bytes, dst.bytes);
	t = twin_lookup(&dst, &src, true);
	assert_int_equal(!e, !t);
	for (unsigned int i = 0; e && i < PEERS; i++)
		assert_int_equal(fib_announces(e, &peers[i]), !!(t->announcers & 1U << i));
}

static void against_a_list(void **state)
{
	(void)state;
	random_bytes.s = 7;
	twin_count = 0;
	for (int round = 0; round < 4000; round++) {
		change_both();
		if (below(500) == 0)
			forget_both(below(PEERS));
		assert_int_equal(f.count, twin_count);
		for (int i = 0; i < 8; i++)
			compare_both();
	}
	for (size_t i = 0; i < twin_count; i++)
		assert_non_null(fib_exact(&f, &twin[i].prefix));
	for (unsigned int i = 0; i < PEERS; i++)
		forget_both(i);
	assert_int_equal(f.count, twin_count);
	for (size_t i = 0; i < twin_count; i++)	/* of what is left nobody is told */
		assert_true(twin[i].action == FIB_HOST || twin[i].action == FIB_UNREACHABLE);
}

/* Many sources of one destination: each is found. */
static void many_sources(void **state)
{
	struct prefix_pair p = pair("::/0", "2001:db8::/48");
	struct lane_peer *one = &peers[0];

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		unsigned int n = i * 617 % 1000;

		p.src.addr.bytes[4] = (uint8_t)(n >> 8);
		p.src.addr.bytes[5] = (uint8_t)n;
		assert_true(fib_set(&f, &p, FIB_PEER, &peers[n % PEERS], &one, 1));
	}
	set("::/0", "2001:db8::/32", FIB_PEER, 5);
	for (unsigned int n = 0; n <= 1000; n++) {
		struct ip_addr src = p.src.addr, dst = address("2600::1");
		const struct fib_entry *e;

		src.bytes[4] = (uint8_t)(n >> 8);
		src.bytes[5] = (uint8_t)n;
		src.bytes[15] = 9;
		e = fib_lookup(&f, IP_V6, src.bytes, dst.bytes);
		assert_non_null(e);
		assert_int_equal(e->src.len, n < 1000 ? 48 : 32);
		assert_ptr_equal(e->peer, &peers[n < 1000 ? n % PEERS : 5]);
	}
	/* Peer 0 announced all of them but the shorter one. Those by way of others have routes, and stay. */
	fib_forget_peer(&f, &peers[0]);
	assert_ptr_equal(peer_of("2001:db8::1", "2600::1"), &peers[5]);
	assert_ptr_equal(peer_of("2001:db8:1::1", "2600::1"), &peers[1]);
}

#define with_table(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_table(destination_first),
		with_table(fall_back_to_the_shorter),
		with_table(families),
		with_table(who_may_send),
		with_table(replace_and_remove),
		with_table(against_a_list),
		with_table(many_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
