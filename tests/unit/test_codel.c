/* SPDX-License-Identifier: MIT */
/* CoDel: its published control law, then a transcription of RFC 8289's pseudocode as a twin on random traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/codel.h"

#define INTERVAL INT64_C(100000)

static void law(void **state)
{
	static const struct {
		int64_t interval_us;
		uint32_t count;
		int64_t spacing_us;
	} step[] = {
		/*  1 */ { 100000, 1, 100000 },
		/*  2 */ { 100000, 2, 70710 },
		/*  3 */ { 100000, 3, 57735 },
		/*  4 */ { 100000, 4, 50000 },
		/*  5 */ { 100000, 5, 44721 },
		/*  6 */ { 100000, 100, 10000 },
		/*  7 */ { 100000, 101, 9950 },
		/*  8 */ { 100000, 1000000, 100 },
		/*  9 */ { 100000, UINT32_MAX, 1 },
		/* 10 */ { 100, UINT32_MAX, 1 },	/* never 0, or a row would never end */
		/* 11 */ { CODEL_INTERVAL_MAX_US, 1, CODEL_INTERVAL_MAX_US },
		/* 12 */ { CODEL_INTERVAL_MAX_US, 9, 333333333 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		print_message("case %zu\n", i + 1);
		assert_int_equal(codel_spacing_us(step[i].interval_us, step[i].count), step[i].spacing_us);
	}
	/* floor(interval / sqrt(count)) is the one number for which this holds. */
	for (uint32_t n = 1; n < 200000; n = n + 1 + n / 50) {
		int64_t s = codel_spacing_us(INTERVAL, n);

		assert_true(s * s * n <= INTERVAL * INTERVAL);
		assert_true((s + 1) * (s + 1) * n > INTERVAL * INTERVAL);
	}
}

/* The time of the next signal when a late packet leaves every 'gap_us'. */
static int64_t next_signal(struct codel *c, const struct codel_params *p, int64_t *now_us, int64_t gap_us)
{
	for (int i = 0; i < 1000000; i++) {
		bool signal = codel_signal(c, p, 20000, 100000, *now_us);
		int64_t at_us = *now_us;

		*now_us += gap_us;
		if (signal)
			return at_us;
	}
	fail_msg("no signal");
	return 0;
}

/* Figures of the control law: the first after an interval, then interval, interval / sqrt(2), ... apart. */
static void spacing_of_a_standing_queue(void **state)
{
	enum { GAP_US = 10 };
	struct codel_params p;
	struct codel c = { 0 };
	int64_t now_us = 5000000, begin_us = now_us, before_us, planned_us;

	(void)state;
	codel_params_init(&p);
	before_us = next_signal(&c, &p, &now_us, GAP_US);
	assert_int_equal(before_us - begin_us, INTERVAL);
	planned_us = before_us;
	for (uint32_t n = 1; n < 300; n++) {
		int64_t at_us = next_signal(&c, &p, &now_us, GAP_US);

		planned_us += codel_spacing_us(INTERVAL, n);
		assert_in_range(at_us - planned_us, 0, GAP_US - 1);
	}
}

/*
 * A row that soon follows goes on with the rate at which the last one ended, less the rate at which that began; a late one
 * begins anew.
 */
static void resume(void **state)
{
	static const struct {
		int signals;		/* in the row before */
		int64_t pause_us;
		uint32_t count;		/* what the next one begins with */
	} step[] = {
		/* 1 */ { 17, 14 * INTERVAL, 16 },
		/* 2 */ { 2, 14 * INTERVAL, 1 },	/* from 16 to 17: one more than at its begin */
		/* 3 */ { 17, 17 * INTERVAL, 1 },
		/* 4 */ { 1, 14 * INTERVAL, 1 },
		/* 5 */ { 2, 14 * INTERVAL, 1 },
		/* 6 */ { 3, 14 * INTERVAL, 2 },
	};
	struct codel_params p;

	(void)state;
	codel_params_init(&p);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		struct codel c = { 0 };
		int64_t now_us = 1000000, first_us, second_us;

		print_message("case %zu\n", i + 1);
		if (i == 1) {
			for (int n = 0; n < 17; n++)
				next_signal(&c, &p, &now_us, 10);
			codel_signal(&c, &p, 4999, 100000, now_us);
		}
		for (int n = 0; n < step[i].signals; n++)
			next_signal(&c, &p, &now_us, 10);
		assert_false(codel_signal(&c, &p, 4999, 100000, now_us));	/* good again */
		assert_false(c.dropping);
		now_us += step[i].pause_us;
		first_us = next_signal(&c, &p, &now_us, 10);
		second_us = next_signal(&c, &p, &now_us, 10);
		assert_in_range(second_us - first_us, codel_spacing_us(INTERVAL, step[i].count),
				codel_spacing_us(INTERVAL, step[i].count) + 9);
	}
}

static void what_is_no_standing_queue(void **state)
{
	struct codel_params p;
	struct codel c = { 0 };
	int64_t t = 1000000;

	(void)state;
	codel_params_init(&p);
	assert_false(codel_signal(&c, &p, 5000, 9000, t));		/* begins to be late */
	assert_false(codel_signal(&c, &p, 5000, 9000, t + INTERVAL - 1));
	assert_false(codel_signal(&c, &p, 90000, p.mtu, t + INTERVAL));	/* but is the last packet */
	assert_false(codel_signal(&c, &p, 5000, p.mtu + 1, t + INTERVAL + 1));
	assert_false(codel_signal(&c, &p, 4999, 9000, t + 2 * INTERVAL + 1));
	assert_false(codel_signal(&c, &p, 5000, 9000, t + 2 * INTERVAL + 2));
	codel_empty(&c);
	assert_false(codel_signal(&c, &p, 5000, 9000, t + 4 * INTERVAL));
	assert_true(codel_signal(&c, &p, 5000, 9000, t + 5 * INTERVAL));
	assert_false(codel_step(&p, 1000));
	assert_true(codel_step(&p, 1001));
}

/*
 * The twin: a queue of its own, and the functions of RFC 8289 sections 5.5 to 5.7 with their names.
 */
enum { ROOM = 1 << 14, SIZE = 1500 };

struct twin {
	int64_t queue[ROOM];	/* when each packet came */
	size_t first, last;
	int64_t first_above_time, drop_next;
	uint32_t count, lastcount, drops;
	bool dropping;
};

struct dodequeue_result {
	bool any, ok_to_drop;
	int64_t packet;
};

static int64_t control_law(int64_t t, uint32_t count)
{
	int64_t s = 0;

	for (int64_t bit = 1 << 17; bit; bit >>= 1)
		if ((s + bit) * (s + bit) * count <= INTERVAL * INTERVAL)
			s += bit;
	return t + s;
}

static struct dodequeue_result dodequeue(struct twin *w, int64_t now)
{
	struct dodequeue_result r = { w->first != w->last, false, 0 };

	if (!r.any) {
		w->first_above_time = 0;
		return r;
	}
	r.packet = w->queue[w->first++ % ROOM];
	if (now - r.packet < CODEL_TARGET_US || (w->last - w->first) * SIZE <= CODEL_MTU)
		w->first_above_time = 0;
	else if (w->first_above_time == 0)
		w->first_above_time = now + INTERVAL;
	else if (now >= w->first_above_time)
		r.ok_to_drop = true;
	return r;
}

static struct dodequeue_result dequeue(struct twin *w, int64_t now)
{
	struct dodequeue_result r = dodequeue(w, now);

	if (w->dropping) {
		if (!r.ok_to_drop)
			w->dropping = false;
		while (now >= w->drop_next && w->dropping) {
			w->drops++;
			++w->count;
			r = dodequeue(w, now);
			if (!r.ok_to_drop)
				w->dropping = false;
			else
				w->drop_next = control_law(w->drop_next, w->count);
		}
	} else if (r.ok_to_drop) {
		uint32_t delta = w->count - w->lastcount;

		w->drops++;
		r = dodequeue(w, now);
		w->dropping = true;
		w->count = 1;
		if (delta > 1 && now - w->drop_next < 16 * INTERVAL)
			w->count = delta;
		w->drop_next = control_law(now, w->count);
		w->lastcount = w->count;
	}
	return r;
}

static bool our_dequeue(struct codel *c, const struct codel_params *p, const struct twin *from, size_t *first,
			int64_t now, int64_t *packet, uint32_t *drops)
{
	while (*first != from->last) {
		*packet = from->queue[*first % ROOM];
		++*first;
		if (!codel_signal(c, p, now - *packet, (from->last - *first) * SIZE, now))
			return true;
		++*drops;
	}
	codel_empty(c);
	return false;
}

static void same_as_rfc_twin(void **state)
{
	enum { STEPS = 2000000 };
	static struct twin w;
	struct codel_params p;
	struct codel c = { 0 };
	size_t first = 0;
	uint32_t drops = 0, rows = 0, resumed = 0;
	int64_t now = 1000000;
	unsigned int seed = 11;

	(void)state;
	codel_params_init(&p);
	memset(&w, 0, sizeof(w));
	for (int i = 0; i < STEPS; i++) {
		/* Load of between 50 and 150 per cent, changing every while, and now and then a pause. */
		int load = 50 + 25 * (i / 5000 % 5);
		bool was_dropping = w.dropping;

		now += rand_r(&seed) % 400 + (rand_r(&seed) % 100000 ? 0 : 3000000);
		if (rand_r(&seed) % 100 < load && w.last - w.first < 400)
			w.queue[w.last++ % ROOM] = now;
		if (rand_r(&seed) % 100 < load - 100 && w.last - w.first < 400)
			w.queue[w.last++ % ROOM] = now;
		if (rand_r(&seed) % 100 < 95) {
			struct dodequeue_result r = dequeue(&w, now);
			int64_t packet = 0;

			assert_int_equal(our_dequeue(&c, &p, &w, &first, now, &packet, &drops), r.any);
			assert_int_equal(packet * r.any, r.packet);
			assert_int_equal(drops, w.drops);
			assert_int_equal(first, w.first);
			assert_int_equal(c.dropping && c.first_above_us, w.dropping && w.first_above_time);
			rows += !was_dropping && w.dropping;
			resumed += !was_dropping && w.dropping && w.count > 1;
		}
	}
	print_message("%u drops in %u rows, %u of them resumed\n", drops, rows, resumed);
	assert_true(drops > 1000 && rows > 20 && resumed > 5 && resumed < rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(law),
		cmocka_unit_test(spacing_of_a_standing_queue),
		cmocka_unit_test(resume),
		cmocka_unit_test(what_is_no_standing_queue),
		cmocka_unit_test(same_as_rfc_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
