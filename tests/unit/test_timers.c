/* SPDX-License-Identifier: MIT */
/* The heap of deadlines: cases, then against an array searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "base/timers.h"

static void in_order(void **state)
{
	struct timers ts = { 0 };
	struct timer t[4] = { 0 };

	(void)state;
	assert_int_equal(timers_next(&ts), NEVER_US);
	assert_null(timers_pop(&ts, INT64_MAX - 1));
	timers_unset(&ts, &t[0]);		/* nothing happens */
	assert_true(timers_reserve(&ts, 4));
	timers_set(&ts, &t[0], 30);
	timers_set(&ts, &t[1], 10);
	timers_set(&ts, &t[2], 20);
	assert_int_equal(timers_next(&ts), 10);
	assert_null(timers_pop(&ts, 9));
	assert_ptr_equal(timers_pop(&ts, 10), &t[1]);
	assert_int_equal(t[1].slot, 0);
	timers_set(&ts, &t[0], 15);		/* moved forward */
	assert_ptr_equal(timers_pop(&ts, 100), &t[0]);
	timers_set(&ts, &t[3], NEVER_US);
	assert_int_equal(t[3].slot, 0);
	timers_set(&ts, &t[2], NEVER_US);	/* unsets */
	assert_int_equal(t[2].slot, 0);
	assert_int_equal(timers_next(&ts), NEVER_US);
	assert_null(timers_pop(&ts, INT64_MAX));

	timers_set(&ts, &t[0], 1);
	timers_set(&ts, &t[1], -5);
	assert_int_equal(timers_next(&ts), -5);
	timers_done(&ts);
	assert_int_equal(t[0].slot, 0);
	assert_int_equal(t[1].slot, 0);
	assert_int_equal(timers_next(&ts), NEVER_US);
}

/* Equal deadlines come in the order they were set, and setting again sends a timer to the end of the line. */
static void equal_deadlines(void **state)
{
	enum { N = 100 };
	struct timers ts = { 0 };
	struct timer t[N] = { 0 };

	(void)state;
	assert_true(timers_reserve(&ts, N));
	for (int i = 0; i < N; i++)
		timers_set(&ts, &t[i], 7);
	timers_set(&ts, &t[0], 7);
	timers_unset(&ts, &t[50]);
	for (int i = 1; i < N; i++)
		if (i != 50)
			assert_ptr_equal(timers_pop(&ts, 7), &t[i]);
	assert_ptr_equal(timers_pop(&ts, 7), &t[0]);
	assert_null(timers_pop(&ts, 7));
	timers_done(&ts);
}

static void reserving(void **state)
{
	struct timers ts = { 0 };
	struct timer a = { 0 };

	(void)state;
	assert_true(timers_reserve(&ts, 1));
	timers_set(&ts, &a, 5);
	assert_false(timers_reserve(&ts, SIZE_MAX));	/* refused, and nothing lost */
	assert_true(timers_reserve(&ts, 1));
	assert_true(timers_reserve(&ts, 1000));
	assert_true(timers_reserve(&ts, 2));
	assert_ptr_equal(timers_pop(&ts, 5), &a);
	timers_done(&ts);
}

/* The twin: for every timer its deadline and the step it was set in; the earliest is looked for. */
enum { N = 150 };

struct twin {
	int64_t due[N];
	int step[N];
	bool set[N];
};

static int earliest(const struct twin *w)
{
	int best = -1;

	for (int i = 0; i < N; i++) {
		if (!w->set[i])
			continue;
		if (best < 0 || w->due[i] < w->due[best] ||
		    (w->due[i] == w->due[best] && w->step[i] < w->step[best]))
			best = i;
	}
	return best;
}

static void same_as_naive_twin(void **state)
{
	enum { STEPS = 150000 };
	struct timers ts = { 0 };
	struct timer t[N] = { 0 };
	struct twin w = { 0 };
	unsigned int seed = 9;
	int64_t now = 0;
	int popped = 0;

	(void)state;
	assert_true(timers_reserve(&ts, N));
	for (int step = 0; step < STEPS; step++) {
		int i = rand_r(&seed) % N, first;

		switch (rand_r(&seed) % 6) {
		case 0:
			timers_unset(&ts, &t[i]);
			w.set[i] = false;
			break;
		case 1:
			now += rand_r(&seed) % 4;
			first = earliest(&w);
			if (first >= 0 && w.due[first] > now)
				first = -1;
			assert_ptr_equal(timers_pop(&ts, now), first < 0 ? NULL : &t[first]);
			if (first >= 0)
				w.set[first] = false;
			popped += first >= 0;
			break;
		default:
			w.due[i] = now + rand_r(&seed) % 40;	/* few values: ties are common */
			w.step[i] = step;
			w.set[i] = true;
			timers_set(&ts, &t[i], w.due[i]);
		}
		first = earliest(&w);
		assert_int_equal(timers_next(&ts), first < 0 ? NEVER_US : w.due[first]);
		assert_int_equal(t[i].slot != 0, w.set[i]);
	}
	assert_in_range(popped, STEPS / 20, STEPS);
	timers_done(&ts);
	for (int i = 0; i < N; i++)
		assert_int_equal(t[i].slot, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(equal_deadlines),
		cmocka_unit_test(reserving),
		cmocka_unit_test(same_as_naive_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
