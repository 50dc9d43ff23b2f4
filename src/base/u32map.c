/* SPDX-License-Identifier: MIT */
/*
 * A map from 32-bit keys to pointers: one array, linear probing from the key's home slot, at most half full, so
 * there is always a free slot to end a search. Removing moves later entries of the run back instead of
 * leaving tombstones, so a map that lives for years under churn stays as quick as a new one.
 *
 * Invariant: between the home of every key and the slot it sits in no slot is free.
 *
 * The keys are receiver indices: random but for a few low bits, which carry meaning and so repeat. The hash
 * multiplies, which carries the low bits up, and folds the upper half back down.
 */
#include "base/u32map.h"

#include <stdlib.h>

enum { SIZE_MIN = 16 };

static size_t home(const struct u32map *m, uint32_t key)
{
	uint32_t h = key * UINT32_C(0x9e3779b1);	/* 2^32 over the golden ratio, odd */

	return (h ^ h >> 16) & (m->size - 1);
}

static size_t next(const struct u32map *m, size_t i)
{
	return (i + 1) & (m->size - 1);
}

/* The slot that has 'key', or the free one where it would go. The map is not empty of slots. */
static struct u32map_slot *find(const struct u32map *m, uint32_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = next(m, i);
	return &m->slots[i];
}

static bool grow(struct u32map *m)
{
	struct u32map bigger = { .count = m->count, .size = m->size ? 2 * m->size : SIZE_MIN };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < m->size; i++)
		if (m->slots[i].value)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return true;
}

void u32map_done(struct u32map *m)
{
	free(m->slots);
	*m = (struct u32map){ 0 };
}

bool u32map_set(struct u32map *m, uint32_t key, void *value)
{
	struct u32map_slot *s;

	if (!value)
		return false;
	s = m->size ? find(m, key) : NULL;
	if (!s || !s->value) {
		if (2 * (m->count + 1) > m->size) {
			if (!grow(m))
				return false;
			s = find(m, key);
		}
		m->count++;
	}
	s->key = key;
	s->value = value;
	return true;
}

/*
 * Close the hole at 'hole': every later entry of the run whose home is not behind the hole may move
 * into it, and leaves a new hole where it was (Knuth, volume 3, 6.4, algorithm R).
 */
static void close_hole(struct u32map *m, size_t hole)
{
	size_t mask = m->size - 1;

	for (size_t i = next(m, hole); m->slots[i].value; i = next(m, i)) {
		size_t from_home = (i - home(m, m->slots[i].key)) & mask;

		if (from_home >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct u32map_slot){ 0 };
}

void *u32map_remove(struct u32map *m, uint32_t key)
{
	struct u32map_slot *s = m->size ? find(m, key) : NULL;
	void *value = s ? s->value : NULL;

	if (!value)
		return NULL;
	m->count--;
	close_hole(m, (size_t)(s - m->slots));
	return value;
}

void *u32map_get(const struct u32map *m, uint32_t key)
{
	return m->size ? find(m, key)->value : NULL;
}
