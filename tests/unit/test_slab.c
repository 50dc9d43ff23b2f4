/* SPDX-License-Identifier: MIT */
/* Slabs: what is taken is zeroed, aligned and nobody else's; what is given back is taken again; with the last all is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"

enum { ITEMS = 1000, SIZE = 24 };

static uint8_t *items[ITEMS];

static bool all_are(const uint8_t *item, uint8_t byte)
{
	for (size_t i = 0; i < SIZE; i++)
		if (item[i] != byte)
			return false;
	return true;
}

static uint8_t mark(size_t i)
{
	return (uint8_t)(i % 255 + 1);
}

static void take(struct slab *s, size_t i)
{
	items[i] = slab_take(s, SIZE);
	assert_non_null(items[i]);
	assert_int_equal((uintptr_t)items[i] % 8, 0);
	assert_true(all_are(items[i], 0));
	memset(items[i], mark(i), SIZE);
}

static void test_items(void **state)
{
	struct slab s = { 0 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ITEMS; i++)
			take(&s, i);
		/* Every third goes and comes again; nobody else's bytes change. */
		for (size_t i = 0; i < ITEMS; i += 3)
			slab_give(&s, items[i]);
		for (size_t i = 0; i < ITEMS; i += 3)
			take(&s, i);
		assert_int_equal(s.used, ITEMS);
		for (size_t i = 0; i < ITEMS; i++) {
			assert_true(all_are(items[i], mark(i)));
			slab_give(&s, items[i]);
		}
		/* Nothing is left that had to be freed. */
		assert_int_equal(s.used, 0);
		assert_null(s.pieces);
		assert_null(s.free);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
