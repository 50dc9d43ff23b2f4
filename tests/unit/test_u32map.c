/* SPDX-License-Identifier: MIT */
/* The map of receiver indices: cases, then against an array with a place for every key in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/u32map.h"

static char things[16];

static void cases(void **state)
{
	struct u32map m = { 0 };

	(void)state;
	assert_null(u32map_get(&m, 0));
	assert_null(u32map_remove(&m, 0));
	assert_false(u32map_set(&m, 1, NULL));
	assert_true(u32map_set(&m, 0, &things[0]));		/* 0 is a key like any other */
	assert_true(u32map_set(&m, UINT32_MAX, &things[1]));
	assert_ptr_equal(u32map_get(&m, 0), &things[0]);
	assert_ptr_equal(u32map_get(&m, UINT32_MAX), &things[1]);
	assert_null(u32map_get(&m, 1));
	assert_true(u32map_set(&m, 0, &things[2]));		/* replaces */
	assert_int_equal(m.count, 2);
	assert_ptr_equal(u32map_remove(&m, 0), &things[2]);
	assert_null(u32map_remove(&m, 0));
	assert_null(u32map_get(&m, 0));
	assert_int_equal(m.count, 1);
	u32map_done(&m);
	assert_null(u32map_get(&m, UINT32_MAX));
	assert_int_equal(m.size, 0);
}

/* Indices that agree in their low bits, as those of one sub-session do, must not pile up. */
static void aligned_keys_spread(void **state)
{
	enum { N = 4096, LONGEST = 64 };
	struct u32map m = { 0 };
	size_t run = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		assert_true(u32map_set(&m, i << 11, &things[0]));
	assert_true(m.size >= 2 * m.count);
	for (size_t i = 0; i < m.size; i++) {
		run = m.slots[i].value ? run + 1 : 0;
		assert_true(run < LONGEST);
	}
	for (uint32_t i = 0; i < N; i++)
		assert_ptr_equal(u32map_get(&m, i << 11), &things[0]);
	u32map_done(&m);
}

/* The keys of the twin's places: dense ones, aligned ones, and scattered ones. */
static uint32_t key_of(size_t i)
{
	switch (i % 3) {
	case 0:
		return (uint32_t)i;
	case 1:
		return (uint32_t)i << 16;
	default:
		return (uint32_t)i * UINT32_C(2246822519);
	}
}

static void compare_all(const struct u32map *m, void *const *twin, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(u32map_get(m, key_of(i)), twin[i]);
}

static void same_as_naive_twin(void **state)
{
	enum { KEYS = 700, STEPS = 300000 };
	static void *twin[KEYS];
	struct u32map m = { 0 };
	unsigned int seed = 13;
	size_t count = 0, most = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		size_t i = (size_t)rand_r(&seed) % KEYS;
		bool filling = step / 20000 % 2 == 0;	/* tides, so that runs grow and are taken apart */

		assert_ptr_equal(u32map_get(&m, key_of(i)), twin[i]);
		if (rand_r(&seed) % 8 < (filling ? 6 : 2)) {
			count += !twin[i];
			twin[i] = &things[(size_t)rand_r(&seed) % sizeof(things)];
			assert_true(u32map_set(&m, key_of(i), twin[i]));
		} else {
			count -= twin[i] != NULL;
			assert_ptr_equal(u32map_remove(&m, key_of(i)), twin[i]);
			twin[i] = NULL;
		}
		assert_int_equal(m.count, count);
		assert_true(m.size >= 2 * m.count);
		if (step % 250 == 0)
			compare_all(&m, twin, KEYS);
		most = count > most ? count : most;
	}
	assert_in_range(most, KEYS / 2, KEYS);
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(u32map_remove(&m, key_of(i)), twin[i]);
	assert_int_equal(m.count, 0);
	for (size_t i = 0; i < m.size; i++)
		assert_null(m.slots[i].value);
	u32map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),
		cmocka_unit_test(aligned_keys_spread),
		cmocka_unit_test(same_as_naive_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
