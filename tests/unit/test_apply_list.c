/* SPDX-License-Identifier: MIT */
/*
 * The list of allowed IPs that a node keeps beside its trie: that it is what the trie says after every change, that listing all
 * peers looks at each prefix once, and that a change for which there is no memory leaves list and trie as they were.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* apply.c is compiled in here, with allocations that fail when they are told to. */
static size_t allocations_left = SIZE_MAX;

static bool may_allocate(void)
{
	if (!allocations_left)
		return false;
	allocations_left--;
	return true;
}

static void *scarce_malloc(size_t size)
{
	return may_allocate() ? malloc(size) : NULL;
}

static void *scarce_calloc(size_t count, size_t size)
{
	return may_allocate() ? calloc(count, size) : NULL;
}

#define malloc scarce_malloc
#define calloc scarce_calloc
#include "node/apply.c"
#undef malloc
#undef calloc

#include "applying.h"

enum { MANY = 5000 };

static struct change_peer *numbered_peer(uint32_t number, unsigned int bits)
{
	struct change_peer *p = change_add_peer(&c);

	assert_non_null(p);
	p->public_key[0] = 1;
	memcpy(p->public_key + 1, &number, sizeof(number));
	p->bits = bits;
	return p;
}

/* 10.X.Y.0/24 and fdXX:YY::/32; they come in an order that is neither the peers' nor theirs. */
static struct ip_prefix prefix_of(uint32_t number, uint8_t family)
{
	uint32_t place = number * 7919 % MANY;
	struct ip_prefix p = { .addr.family = family, .len = family == IP_V4 ? 24 : 32 };

	p.addr.bytes[0] = family == IP_V4 ? 10 : 0xfd;
	p.addr.bytes[1] = (uint8_t)(place >> 8);
	p.addr.bytes[2] = (uint8_t)place;
	return p;
}

struct listing {
	struct ip_prefix v[4];
	size_t count, visits;
};

static void list_one(void *ctx, const struct ip_prefix *p)
{
	struct listing *l = ctx;

	if (l->count < 4)
		l->v[l->count] = *p;
	l->count++;
	l->visits++;
}

static bool prefix_is(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_addr_equal(&a->addr, &b->addr) && a->len == b->len;
}

/*
 * Every peer's two prefixes, IPv4 first. While they are listed the trie is taken away, so nobody can walk it; what is visited
 * is counted.
 */
static void listing_is_not_quadratic(void **state)
{
	struct listing l = { .visits = 0 };
	struct lpm trie;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		struct change_peer *p = numbered_peer(i, 0);
		struct ip_prefix v6 = prefix_of(i, IP_V6), v4 = prefix_of(i, IP_V4);

		assert_true(change_add_allowed(p, &v6, false) && change_add_allowed(p, &v4, false));
	}
	apply();
	assert_int_equal(n->peer_count, MANY);
	assert_int_equal(n->allowed.count, 2 * MANY);
	trie = n->allowed;
	n->allowed = (struct lpm){ 0 };
	for (uint32_t i = 0; i < MANY; i++) {
		struct ip_prefix v4 = prefix_of(i, IP_V4), v6 = prefix_of(i, IP_V6);

		l.count = 0;
		node_peer_allowed(n, i, list_one, &l);
		assert_int_equal(l.count, 2);
		assert_true(prefix_is(&l.v[0], &v4));
		assert_true(prefix_is(&l.v[1], &v6));
	}
	node_peer_allowed(n, MANY, list_one, &l);
	assert_int_equal(l.visits, 2 * MANY);
	n->allowed = trie;
	/* It costs what its prefixes take, and nothing for those who have none. */
	assert_true(sizeof(*n->allowed_list) <= 20);
}

/* Peers that go, lose prefixes to others, or have none: each list is right after every step. */
static void list_follows_every_change(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.0.0/8 fd00::/8 10.1.0.0/16");
	peer_allow(2, 0, "::/0 0.0.0.0/0");
	peer(3, 0);
	apply();
	assert_allowed(1, "10.0.0.0/8 10.1.0.0/16 fd00::/8");
	assert_allowed(2, "0.0.0.0/0 ::/0");
	assert_allowed(3, "");
	peer_allow(3, 0, "10.1.0.0/16 192.168.0.0/16");
	apply();
	assert_allowed(1, "10.0.0.0/8 fd00::/8");
	assert_allowed(2, "0.0.0.0/0 ::/0");
	assert_allowed(3, "10.1.0.0/16 192.168.0.0/16");
	peer(2, CHANGE_PEER_REMOVE);
	apply();
	assert_allowed(1, "10.0.0.0/8 fd00::/8");
	assert_allowed(3, "10.1.0.0/16 192.168.0.0/16");
	peer_allow(1, CHANGE_PEER_REPLACE_ALLOWED, "");
	peer_allow(3, 0, "-192.168.0.0/16");
	apply();
	assert_allowed(1, "");
	assert_allowed(3, "10.1.0.0/16");
	peer_allow(3, 0, "-10.1.0.0/16");
	apply();
	assert_allowed(3, "");
	assert_int_equal(n->allowed.count, 0);
	assert_null(n->allowed_list);
	c.bits = CHANGE_REPLACE_PEERS;
	peer_allow(9, 0, "10.9.0.0/16");
	apply();
	assert_peers("9");
	assert_allowed(9, "10.9.0.0/16");
}

static void nothing_happens_without_memory(void **state)
{
	size_t failures = 0;
	int error;

	(void)state;
	peer_allow(1, 0, "10.0.0.0/8");
	peer_allow(2, 0, "10.2.0.0/16");
	apply();
	peer_allow(3, 0, "10.2.0.0/16 fd00::/8");
	peer(1, CHANGE_PEER_REMOVE);
	for (;; failures++) {
		allocations_left = failures;
		error = node_apply(n, &c, now);
		allocations_left = SIZE_MAX;
		if (!error)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_peers("1 2");
		assert_allowed(1, "10.0.0.0/8");
		assert_allowed(2, "10.2.0.0/16");
		assert_int_equal(n->allowed.count, 2);
	}
	change_done(&c);
	assert_true(failures >= 2);
	assert_peers("2 3");
	assert_allowed(2, "");
	assert_allowed(3, "10.2.0.0/16 fd00::/8");
}

#define with_node(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_node(listing_is_not_quadratic),
		with_node(list_follows_every_change),
		with_node(nothing_happens_without_memory),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
