/* SPDX-License-Identifier: MIT */
/* Filters: what matches, that the first one does, and what becomes of the metric. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "babel/filter.h"
#include "wire/babel.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct babel_filter_range range(const char *text, uint8_t len_min, uint8_t len_max)
{
	struct babel_filter_range r = { .len_min = len_min, .len_max = len_max };

	if (text)
		assert_true(ip_prefix_parse(text, &r.prefix));
	return r;
}

static struct prefix_pair pair(const char *dst, const char *src)
{
	struct ip_prefix d;
	struct prefix_pair p;

	assert_true(ip_prefix_parse(dst, &d));
	p = prefix_pair_any(&d);
	if (src)
		assert_true(ip_prefix_parse(src, &p.src));
	return p;
}

static void matching(void **state)
{
	static const struct {
		const char *dst;
		uint8_t dst_min, dst_max;
		const char *src;
		uint8_t src_min, src_max;
		const char *iface, *neighbour;
		const char *route_dst, *route_src, *route_iface, *route_neighbour;
		bool match;
	} c[] = {
		/*  1 */ { NULL, 0, 0, NULL, 0, 0, "", NULL, "10.0.0.0/8", NULL, "eth0", "fe80::1", true },
		/*  2 */ { "10.0.0.0/8", 8, 24, NULL, 0, 0, "", NULL, "10.0.0.0/8", NULL, "eth0", NULL, true },
		/*  3 */ { "10.0.0.0/8", 8, 24, NULL, 0, 0, "", NULL, "10.1.2.0/24", NULL, "eth0", NULL, true },
		/*  4 */ { "10.0.0.0/8", 8, 24, NULL, 0, 0, "", NULL, "10.1.2.0/25", NULL, "eth0", NULL, false },
		/*  5 */ { "10.0.0.0/8", 9, 24, NULL, 0, 0, "", NULL, "10.0.0.0/8", NULL, "eth0", NULL, false },
		/*  6 */ { "10.0.0.0/8", 0, 24, NULL, 0, 0, "", NULL, "8.0.0.0/6", NULL, "eth0", NULL, false },	/* wider than it */
		/*  7 */ { "10.0.0.0/8", 8, 32, NULL, 0, 0, "", NULL, "11.0.0.0/8", NULL, "eth0", NULL, false },
		/*  8 */ { "0.0.0.0/0", 0, 32, NULL, 0, 0, "", NULL, "::/0", NULL, "eth0", NULL, false },	/* another family */
		/*  9 */ { "::/0", 0, 0, NULL, 0, 0, "", NULL, "::/0", NULL, "eth0", NULL, true },
		/* 10 */ { "::/0", 0, 0, NULL, 0, 0, "", NULL, "::/0", "2001:db8::/32", "eth0", NULL, true },	/* RFC 9079: any source */
		/* 11 */ { "::/0", 0, 0, "::/0", 0, 0, "", NULL, "::/0", "2001:db8::/32", "eth0", NULL, false },
		/* 12 */ { "::/0", 0, 0, "::/0", 0, 0, "", NULL, "::/0", NULL, "eth0", NULL, true },
		/* 13 */ { NULL, 0, 0, "2001:db8::/32", 32, 48, "", NULL, "::/0", "2001:db8:a::/48", "eth0", NULL, true },
		/* 14 */ { NULL, 0, 0, "2001:db8::/32", 32, 48, "", NULL, "::/0", "2001:db8:a::/49", "eth0", NULL, false },
		/* 15 */ { NULL, 0, 0, "2001:db8::/32", 32, 48, "", NULL, "::/0", NULL, "eth0", NULL, false },
		/* 16 */ { NULL, 0, 0, NULL, 0, 0, "eth0", NULL, "::/0", NULL, "eth0", NULL, true },
		/* 17 */ { NULL, 0, 0, NULL, 0, 0, "eth0", NULL, "::/0", NULL, "eth01", NULL, false },
		/* 18 */ { NULL, 0, 0, NULL, 0, 0, "eth0", NULL, "::/0", NULL, NULL, NULL, false },
		/* 19 */ { NULL, 0, 0, NULL, 0, 0, "", NULL, "::/0", NULL, NULL, NULL, true },
		/* 20 */ { NULL, 0, 0, NULL, 0, 0, "", "fe80::1", "::/0", NULL, "eth0", "fe80::1", true },
		/* 21 */ { NULL, 0, 0, NULL, 0, 0, "", "fe80::1", "::/0", NULL, "eth0", "fe80::2", false },
		/* 22 */ { NULL, 0, 0, NULL, 0, 0, "", "fe80::1", "::/0", NULL, "eth0", NULL, false },
		/* 23 */ { "10.0.0.0/8", 8, 24, NULL, 0, 0, "eth0", "fe80::1", "10.0.0.0/9", NULL, "eth0", "fe80::1", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct babel_filter f = { .dst = range(c[i].dst, c[i].dst_min, c[i].dst_max),
					  .src = range(c[i].src, c[i].src_min, c[i].src_max) };
		struct prefix_pair p = pair(c[i].route_dst, c[i].route_src);
		struct babel_filter_route r = { .prefix = &p, .iface = c[i].route_iface };

		strcpy(f.iface, c[i].iface);
		if (c[i].neighbour)
			assert_true(ip_addr_parse(c[i].neighbour, &f.neighbour));
		if (c[i].route_neighbour)
			assert_true(ip_addr_parse(c[i].route_neighbour, &r.neighbour));
		for (int d = BABEL_FILTER_IN; d <= BABEL_FILTER_REDISTRIBUTE; d++) {
			f.direction = (enum babel_filter_direction)d;
			for (int asked = BABEL_FILTER_IN; asked <= BABEL_FILTER_REDISTRIBUTE; asked++)
				if (babel_filter_match(&f, 1, (enum babel_filter_direction)asked, &r) != (c[i].match && asked == d ? &f : NULL))
					fail_msg("case %zu, directions %d and %d", i + 1, d, asked);
		}
	}
}

static void first_decides(void **state)
{
	struct babel_filter list[] = {
		{ .direction = BABEL_FILTER_OUT, .deny = true },
		{ .direction = BABEL_FILTER_IN, .dst = range("10.1.0.0/16", 16, 32), .add = 10, .has_add = true },
		{ .direction = BABEL_FILTER_IN, .dst = range("10.0.0.0/8", 8, 32), .deny = true },
		{ .direction = BABEL_FILTER_IN, .add = 7, .has_add = true },
	};
	struct prefix_pair inner = pair("10.1.2.0/24", NULL), outer = pair("10.2.0.0/16", NULL), other = pair("fd00::/8", NULL);
	struct babel_filter_route r = { .prefix = &inner, .iface = "eth0" };

	(void)state;
	assert_ptr_equal(babel_filter_match(list, COUNT(list), BABEL_FILTER_IN, &r), &list[1]);
	assert_int_equal(babel_filter_metric(list, COUNT(list), BABEL_FILTER_IN, &r, 96), 106);
	assert_int_equal(babel_filter_metric(list, COUNT(list), BABEL_FILTER_OUT, &r, 96), BABEL_INFINITY);
	assert_int_equal(babel_filter_metric(list, COUNT(list), BABEL_FILTER_REDISTRIBUTE, &r, 96), 96);
	assert_int_equal(babel_filter_metric(NULL, 0, BABEL_FILTER_IN, &r, 96), 96);
	r.prefix = &outer;
	assert_int_equal(babel_filter_metric(list, COUNT(list), BABEL_FILTER_IN, &r, 96), BABEL_INFINITY);
	r.prefix = &other;
	assert_int_equal(babel_filter_metric(list, COUNT(list), BABEL_FILTER_IN, &r, 96), 103);
}

static void metrics(void **state)
{
	struct babel_filter f = { .direction = BABEL_FILTER_IN, .add = 100, .has_add = true };
	struct prefix_pair p = pair("::/0", NULL);
	struct babel_filter_route r = { .prefix = &p, .iface = "eth0" };

	(void)state;
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_IN, &r, 0), 100);
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_IN, &r, 65434), 65534);
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_IN, &r, 65435), 65534);		/* far is not gone */
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_IN, &r, BABEL_INFINITY), BABEL_INFINITY);
	f.add = 65535;
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_IN, &r, 65534), 65534);
	f.direction = BABEL_FILTER_OUT;
	f.add = 5;
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_OUT, &r, 96), 101);
	f.direction = BABEL_FILTER_REDISTRIBUTE;					/* the metric itself */
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_REDISTRIBUTE, &r, 96), 5);
	f.has_add = false;
	assert_int_equal(babel_filter_metric(&f, 1, BABEL_FILTER_REDISTRIBUTE, &r, 96), 96);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching),
		cmocka_unit_test(first_decides),
		cmocka_unit_test(metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
