/* SPDX-License-Identifier: MIT */
/* The pool of equal slots: its edges, and that slots never overlap under random taking and giving back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pool.h"
#include "stream.h"

enum { COUNT = 37, SIZE = 100, ROUNDED = 128 };

static void take_all_and_give_back(void **state)
{
	struct pool p;
	void *slots[COUNT];

	(void)state;
	assert_true(pool_init(&p, SIZE, COUNT));
	assert_int_equal(p.slot_size, ROUNDED);
	assert_int_equal(p.used, 0);
	for (size_t i = 0; i < COUNT; i++) {
		slots[i] = pool_take(&p);
		assert_non_null(slots[i]);
		assert_int_equal((uintptr_t)slots[i] % _Alignof(max_align_t), 0);
		assert_int_equal(p.used, i + 1);
	}
	assert_null(pool_take(&p));
	assert_int_equal(p.used, COUNT);
	pool_give(&p, slots[5]);
	pool_give(&p, slots[9]);
	assert_int_equal(p.used, COUNT - 2);
	assert_ptr_equal(pool_take(&p), slots[9]);	/* last in, first out: its memory is warm */
	assert_ptr_equal(pool_take(&p), slots[5]);
	assert_null(pool_take(&p));
	for (size_t i = 0; i < COUNT; i++)
		pool_give(&p, slots[i]);
	assert_int_equal(p.used, 0);
	pool_done(&p);
	assert_null(p.memory);
}

/* A pool that is used a little touches a little. */
static void only_what_was_needed_is_touched(void **state)
{
	struct pool p;

	(void)state;
	assert_true(pool_init(&p, SIZE, COUNT));
	for (int i = 0; i < 100; i++) {
		void *a = pool_take(&p), *b = pool_take(&p);

		assert_non_null(a);
		assert_non_null(b);
		pool_give(&p, a);
		pool_give(&p, b);
	}
	assert_int_equal(p.touched, 2);
	pool_done(&p);
}

static void sizes_that_cannot_be(void **state)
{
	struct pool p;

	(void)state;
	assert_false(pool_init(&p, SIZE, SIZE_MAX / 64));
	pool_done(&p);
}

/* Every slot in use is full of its own number; nobody else's writing may change it. */
static void slots_are_their_holders(void **state)
{
	enum { STEPS = 20000 };
	struct stream r = { 11 };
	struct pool p;
	uint8_t *held[COUNT] = { NULL };
	size_t used = 0, full = 0, empty = 0;

	(void)state;
	assert_true(pool_init(&p, SIZE, COUNT));
	for (int step = 0; step < STEPS; step++) {
		/* Phases that mostly take and mostly give, so that both ends are reached. */
		bool take = stream_below(&r, 10) < (step / 500 % 2 ? 8U : 2U);
		size_t i = (size_t)stream_below(&r, COUNT);

		if (take && !held[i]) {
			held[i] = pool_take(&p);
			assert_non_null(held[i]);
			memset(held[i], (int)i, ROUNDED);
			used++;
		} else if (!take && held[i]) {
			for (size_t k = 0; k < ROUNDED; k++)
				assert_int_equal(held[i][k], i);
			pool_give(&p, held[i]);
			held[i] = NULL;
			used--;
		}
		assert_int_equal(p.used, used);
		full += used == COUNT;
		empty += used == 0;
		if (used == COUNT)
			assert_null(pool_take(&p));
	}
	assert_true(full > 0 && empty > 0);
	pool_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_all_and_give_back),
		cmocka_unit_test(only_what_was_needed_is_touched),
		cmocka_unit_test(sizes_that_cannot_be),
		cmocka_unit_test(slots_are_their_holders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
