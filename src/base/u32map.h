/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_U32MAP_H
#define MESHD_BASE_U32MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A map from 32-bit keys to pointers: open addressing, linear probing, deletion by
 * moving back. For keys we drew ourselves (receiver indices), so the hash needs no secret. All
 * zero is an empty map. Lookup neither allocates nor writes.
 */
struct u32map {
	struct u32map_slot {
		uint32_t key;
		void *value;	/* NULL: free */
	} *slots;
	size_t count, size;	/* size is 0 or a power of two, at most half full */
};

void u32map_done(struct u32map *m);

/* Set key's value (not NULL), replacing. False, with nothing changed: no memory. */
bool u32map_set(struct u32map *m, uint32_t key, void *value);

/* Take 'key' out and return what it had, or NULL. */
void *u32map_remove(struct u32map *m, uint32_t key);

void *u32map_get(const struct u32map *m, uint32_t key);

#endif
