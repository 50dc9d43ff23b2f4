/* SPDX-License-Identifier: MIT */
/* The prefix trie: numbered cases, then against a plain list under random load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lpm.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char peer[8];	/* their addresses are the values; what is in them does not matter */

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	if (!ip_prefix_parse(text, &p))
		fail_msg("bad prefix in a test: %s", text);
	return p;
}

static void insert(struct lpm *t, const char *text, void *value)
{
	struct ip_prefix p = prefix(text);

	assert_true(lpm_insert(t, &p, value));
}

static void *take(struct lpm *t, const char *text)
{
	struct ip_prefix p = prefix(text);

	return lpm_remove(t, &p);
}

static void *exact(const struct lpm *t, const char *text)
{
	struct ip_prefix p = prefix(text);

	return lpm_exact(t, &p);
}

static void *find(const struct lpm *t, const char *text)
{
	struct ip_addr a;

	if (!ip_addr_parse(text, &a))
		fail_msg("bad address in a test: %s", text);
	return lpm_lookup(t, &a);
}

static void cases(void **state)
{
	static const struct {
		const char *text;
		int peer;
	} rule[] = {
		{ "192.168.4.0/24", 0 }, { "192.168.4.4/32", 1 }, { "192.168.0.0/16", 2 },
		{ "10.0.0.0/8", 3 }, { "10.1.0.13/32", 4 }, { "0.0.0.0/1", 5 },
		{ "2001:db8::/32", 0 }, { "2001:db8:0:0:8000::/65", 1 }, { "2001:db8::/64", 2 },
		{ "2001:db8::1/128", 3 }, { "fd00::/8", 4 }, { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 5 },
		{ "2001:db8::/63", 6 },
	}, want[] = {
		/*  1 */ { "192.168.4.20", 0 },
		/*  2 */ { "192.168.4.4", 1 },
		/*  3 */ { "192.168.200.182", 2 },
		/*  4 */ { "10.1.0.13", 4 },
		/*  5 */ { "10.1.0.14", 3 },
		/*  6 */ { "127.255.255.255", 5 },
		/*  7 */ { "128.0.0.0", -1 },
		/*  8 */ { "0.0.0.0", 5 },
		/*  9 */ { "192.169.0.0", -1 },
		/* 10 */ { "2001:db8::1", 3 },
		/* 11 */ { "2001:db8::2", 2 },
		/* 12 */ { "2001:db8:0:0:8000::", 1 },
		/* 13 */ { "2001:db8:0:0:ffff::", 1 },
		/* 14 */ { "2001:db8:0:1::", 6 },
		/* 15 */ { "2001:db8:0:2::", 0 },
		/* 16 */ { "2001:db9::", -1 },
		/* 17 */ { "fdff::", 4 },
		/* 18 */ { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 5 },
		/* 19 */ { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", -1 },
		/* 20 */ { "::", -1 },
	};
	struct lpm t = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++)
		assert_null(find(&t, want[i].text));
	for (size_t i = 0; i < COUNT(rule); i++)
		insert(&t, rule[i].text, &peer[rule[i].peer]);
	assert_int_equal(t.count, COUNT(rule));
	for (size_t i = 0; i < COUNT(want); i++)
		if (find(&t, want[i].text) != (want[i].peer < 0 ? NULL : &peer[want[i].peer]))
			fail_msg("case %zu: %s", i + 1, want[i].text);
	lpm_clear(&t);
	assert_int_equal(t.count, 0);
	assert_null(find(&t, "10.1.0.13"));
}

/* How long the prefix was, and all the shorter ones. */
static void lengths_and_trails(void **state)
{
	static const struct {
		const char *address;
		unsigned int len;
		size_t count;
		int last;
	} want[] = {
		{ "10.1.0.13", 32, 4, 3 }, { "10.1.0.14", 16, 3, 2 }, { "10.2.0.1", 8, 2, 1 }, { "11.0.0.1", 0, 1, 0 },
	};
	void *values[LPM_TRAIL6_MAX];
	struct lpm t = { 0 };
	struct ip_addr a;
	unsigned int len;

	(void)state;
	assert_true(ip_addr_parse("10.1.0.13", &a));
	assert_null(lpm_lookup4_len(&t, a.bytes, &len));
	assert_int_equal(len, 0);
	assert_int_equal(lpm_trail4(&t, a.bytes, values), 0);
	insert(&t, "10.1.0.0/16", &peer[2]);
	insert(&t, "0.0.0.0/0", &peer[0]);
	insert(&t, "10.1.0.13", &peer[3]);
	insert(&t, "10.0.0.0/8", &peer[1]);
	insert(&t, "10.1.0.15", &peer[4]);
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(ip_addr_parse(want[i].address, &a));
		assert_ptr_equal(lpm_lookup4_len(&t, a.bytes, &len), &peer[want[i].last]);
		assert_int_equal(len, want[i].len);
		assert_int_equal(lpm_trail4(&t, a.bytes, values), want[i].count);
		for (size_t k = 0; k < want[i].count; k++)
			assert_ptr_equal(values[k], &peer[k]);
	}
	/* The longest there can be: a prefix of every length. */
	assert_true(ip_addr_parse("2001:db8::1", &a));
	for (unsigned int i = 0; i <= 128; i++) {
		struct ip_prefix p = { .addr = a, .len = (uint8_t)i };

		assert_true(lpm_insert(&t, &p, &peer[i % 8]));
	}
	assert_ptr_equal(lpm_lookup6_len(&t, a.bytes, &len), &peer[0]);
	assert_int_equal(len, 128);
	assert_int_equal(lpm_trail6(&t, a.bytes, values), LPM_TRAIL6_MAX);
	for (size_t k = 0; k <= 128; k++)
		assert_ptr_equal(values[k], &peer[k % 8]);
	lpm_clear(&t);
}

static void replace_remove_exact(void **state)
{
	struct lpm t = { 0 };

	(void)state;
	insert(&t, "10.1.2.3/16", &peer[0]);		/* host bits are ignored... */
	assert_ptr_equal(exact(&t, "10.1.0.0/16"), &peer[0]);
	assert_ptr_equal(exact(&t, "10.1.9.9/16"), &peer[0]);
	assert_null(exact(&t, "10.1.0.0/17"));
	assert_null(exact(&t, "10.1.0.0/15"));
	insert(&t, "10.1.0.0/16", &peer[1]);		/* ...so this is the same one */
	assert_int_equal(t.count, 1);
	assert_ptr_equal(find(&t, "10.1.255.255"), &peer[1]);

	insert(&t, "10.0.0.0/16", &peer[2]);		/* glue at 10.0.0.0/15, which holds no value */
	assert_null(exact(&t, "10.0.0.0/15"));
	assert_null(take(&t, "10.0.0.0/15"));
	insert(&t, "10.0.0.0/15", &peer[3]);		/* and now does */
	assert_int_equal(t.count, 3);
	assert_ptr_equal(take(&t, "10.1.255.255/16"), &peer[1]);
	assert_ptr_equal(find(&t, "10.1.0.1"), &peer[3]);
	assert_null(take(&t, "10.1.0.0/16"));
	assert_ptr_equal(take(&t, "10.0.0.0/15"), &peer[3]);
	assert_null(find(&t, "10.1.0.1"));
	assert_ptr_equal(take(&t, "10.0.0.0/16"), &peer[2]);
	assert_null(t.root4);				/* no glue stays behind */
	assert_int_equal(t.count, 0);

	insert(&t, "0.0.0.0/0", &peer[0]);
	insert(&t, "::/0", &peer[1]);
	assert_ptr_equal(find(&t, "255.255.255.255"), &peer[0]);
	assert_ptr_equal(find(&t, "ffff::"), &peer[1]);
	lpm_remove_value(&t, &peer[0]);
	assert_null(find(&t, "1.2.3.4"));
	assert_ptr_equal(find(&t, "::1"), &peer[1]);
	lpm_clear(&t);
}

static void refuses_what_is_no_prefix(void **state)
{
	struct ip_prefix none = { 0 }, long4 = prefix("10.0.0.0/8"), long6 = prefix("fd00::/8"), good = long4;
	struct lpm t = { 0 };

	(void)state;
	long4.len = 33;
	long6.len = 129;
	assert_false(lpm_insert(&t, &none, &peer[0]));
	assert_false(lpm_insert(&t, &long4, &peer[0]));
	assert_false(lpm_insert(&t, &long6, &peer[0]));
	assert_false(lpm_insert(&t, &good, NULL));
	assert_null(lpm_exact(&t, &none));
	assert_null(lpm_remove(&t, &long6));
	assert_null(lpm_lookup(&t, &none.addr));
	assert_int_equal(t.count, 0);
	assert_null(t.root4);
	assert_null(t.root6);
}

/* The twin: a list that is searched from end to end. */
enum { LIST_MAX = 600 };

struct entry {
	struct ip_prefix p;
	void *value;
};

struct list {
	struct entry e[LIST_MAX];
	size_t count;
};

/* By family, address, length: the order of a walk. */
static int by_place(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int d = memcmp(a->p.addr.bytes, b->p.addr.bytes, 16);

	if (a->p.addr.family != b->p.addr.family)
		return a->p.addr.family < b->p.addr.family ? -1 : 1;
	return d ? d : (int)a->p.len - (int)b->p.len;
}

static struct entry *list_find(struct list *l, struct ip_prefix p)
{
	ip_prefix_mask(&p);
	for (size_t i = 0; i < l->count; i++)
		if (l->e[i].p.len == p.len && ip_addr_equal(&l->e[i].p.addr, &p.addr))
			return &l->e[i];
	return NULL;
}

static void list_set(struct list *l, struct ip_prefix p, void *value)
{
	struct entry *e = list_find(l, p);

	if (!e) {
		assert_true(l->count < LIST_MAX);
		e = &l->e[l->count++];
		e->p = p;
		ip_prefix_mask(&e->p);
	}
	e->value = value;
}

static void *list_remove(struct list *l, struct ip_prefix p)
{
	struct entry *e = list_find(l, p);
	void *value = e ? e->value : NULL;

	if (e)
		*e = l->e[--l->count];
	return value;
}

static void list_remove_value(struct list *l, const void *value)
{
	for (size_t i = l->count; i-- > 0;)
		if (l->e[i].value == value)
			l->e[i] = l->e[--l->count];
}

static void *list_lookup(const struct list *l, const struct ip_addr *a)
{
	const struct entry *best = NULL;

	for (size_t i = 0; i < l->count; i++)
		if ((!best || l->e[i].p.len > best->p.len) && ip_prefix_covers(&l->e[i].p, a))
			best = &l->e[i];
	return best ? best->value : NULL;
}

struct walk {
	const struct list *list;
	size_t at, stop;
};

static bool visit(void *ctx, const struct ip_prefix *p, void *value)
{
	struct walk *w = ctx;
	const struct entry *e = &w->list->e[w->at];

	assert_true(w->at < w->list->count);
	assert_true(ip_addr_equal(&p->addr, &e->p.addr));
	assert_int_equal(p->len, e->p.len);
	assert_ptr_equal(value, e->value);
	return ++w->at != w->stop;
}

/* The walk must give the list, sorted; and stop where it is told to. */
static void compare_walk(const struct lpm *t, struct list *l)
{
	struct walk w = { .list = l };

	qsort(l->e, l->count, sizeof(l->e[0]), by_place);
	lpm_walk(t, visit, &w);
	assert_int_equal(w.at, l->count);
	w.at = 0;
	w.stop = l->count / 2 + 1;
	if (w.stop <= l->count) {
		lpm_walk(t, visit, &w);
		assert_int_equal(w.at, w.stop);
	}
}

/* Few distinct bytes, so that prefixes nest, collide and part at every bit. */
static struct ip_prefix random_prefix(unsigned int *seed)
{
	static const uint8_t bytes[] = { 0x00, 0x00, 0x80, 0x01, 0xff, 0x7f };
	struct ip_prefix p = { .addr.family = rand_r(seed) % 2 ? IP_V6 : IP_V4 };
	unsigned int n = ip_family_bytes(p.addr.family);

	for (unsigned int i = 0; i < n; i++)
		p.addr.bytes[i] = bytes[(size_t)rand_r(seed) % COUNT(bytes)];
	if (rand_r(seed) % 2 && n == 16)	/* deep ones: all alike but for the end */
		memset(p.addr.bytes, 0, 7 + (size_t)rand_r(seed) % 8);
	p.len = (uint8_t)((unsigned int)rand_r(seed) % (8 * n + 1));
	if (rand_r(seed) % 8 == 0)
		p.len = (uint8_t)(8 * n);
	if (p.len < 12 && rand_r(seed) % 64)	/* or everything would be covered */
		p.len = (uint8_t)(p.len + 12);
	return p;
}

/* An address in a prefix or, one bit off, beside it. */
static struct ip_addr near_to(const struct ip_prefix *p, unsigned int *seed)
{
	struct ip_addr a = p->addr;
	unsigned int bit = (unsigned int)rand_r(seed) % ip_family_bits(a.family);

	a.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	return a;
}

static void *random_value(unsigned int *seed)
{
	return &peer[(size_t)rand_r(seed) % COUNT(peer)];
}

static void one_change(struct lpm *t, struct list *l, unsigned int *seed)
{
	struct ip_prefix p = random_prefix(seed);
	void *value = random_value(seed);

	if (l->count && rand_r(seed) % 3 == 0)	/* one that is there */
		p = l->e[(size_t)rand_r(seed) % l->count].p;
	assert_ptr_equal(lpm_exact(t, &p), list_find(l, p) ? list_find(l, p)->value : NULL);
	if (rand_r(seed) % 400 == 0) {
		lpm_remove_value(t, value);
		list_remove_value(l, value);
	} else if (rand_r(seed) % 5 < 2 || l->count == LIST_MAX) {
		assert_ptr_equal(lpm_remove(t, &p), list_remove(l, p));
	} else {
		assert_true(lpm_insert(t, &p, value));
		list_set(l, p, value);
	}
	assert_int_equal(t->count, l->count);
}

static void same_as_naive_twin(void **state)
{
	enum { STEPS = 120000 };
	static struct list l;
	struct lpm t = { 0 };
	unsigned int seed = 5;
	int hits = 0;
	size_t most = 0;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		struct ip_addr a = random_prefix(&seed).addr;
		void *want;

		if (i % 3 == 0)
			one_change(&t, &l, &seed);
		if (l.count && i % 2)	/* near something, or it would seldom be deep */
			a = near_to(&l.e[(size_t)i % l.count].p, &seed);
		want = list_lookup(&l, &a);
		assert_ptr_equal(lpm_lookup(&t, &a), want);
		assert_ptr_equal(a.family == IP_V4 ? lpm_lookup4(&t, a.bytes) : lpm_lookup6(&t, a.bytes), want);
		if (i % 500 == 0)
			compare_walk(&t, &l);
		hits += want != NULL;
		most = l.count > most ? l.count : most;
	}
	assert_in_range(hits, STEPS / 5, STEPS - STEPS / 10);
	assert_in_range(most, 100, LIST_MAX);

	/* Taken out one by one, nothing may stay behind, not even glue. */
	while (l.count) {
		assert_ptr_equal(lpm_remove(&t, &l.e[0].p), l.e[0].value);
		assert_non_null(list_remove(&l, l.e[0].p));
		if (l.count % 50 == 0)
			compare_walk(&t, &l);
	}
	assert_int_equal(t.count, 0);
	assert_null(t.root4);
	assert_null(t.root6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),
		cmocka_unit_test(lengths_and_trails),
		cmocka_unit_test(replace_remove_exact),
		cmocka_unit_test(refuses_what_is_no_prefix),
		cmocka_unit_test(same_as_naive_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
