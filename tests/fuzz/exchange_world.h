/* SPDX-License-Identifier: MIT */
#ifndef TESTS_EXCHANGE_WORLD_H
#define TESTS_EXCHANGE_WORLD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/store.h"

/*
 * The mesh of the exchange's harnesses. Its keys are known, so that an input can have signatures that are good: signer 0 is the founding key, the
 * others are the nodes'. Signatures are made by hand here, for what no honest signer would sign has to come in, too.
 */
enum {
	WORLD_NOW_S = 1700000000,
	WORLD_SIGNERS = 4,
};

static inline void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static inline void world_private(uint8_t private_key[KEY_LEN], unsigned int signer)
{
	memset(private_key, 0, KEY_LEN);
	private_key[4] = (uint8_t)(signer + 1);
	key_clamp(private_key);
}

static inline void world_seed(uint8_t seed[SIGN_SEED_LEN], unsigned int signer)
{
	uint8_t private_key[KEY_LEN];

	world_private(private_key, signer);
	if (signer)
		sign_seed_of_node(seed, private_key);
	else
		memset(seed, 1, SIGN_SEED_LEN);
}

static inline void world_mesh(uint8_t mesh[SIGN_KEY_LEN])
{
	uint8_t seed[SIGN_SEED_LEN];

	world_seed(seed, 0);
	sign_public(mesh, seed);
}

static inline bool world_same(const struct store *a, const struct store *b)
{
	const struct item *const *v, *const *w;
	size_t count = store_items(a, &v);

	if (store_items(b, &w) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (v[i]->len != w[i]->len || memcmp(v[i]->bytes, w[i]->bytes, v[i]->len) != 0)
			return false;
	return true;
}

static inline void world_line(const char *why)
{
	require(why && *why, "no reason");
	for (; *why; why++)
		require(*why >= ' ' && *why <= '~', "a reason that is not one clean line");
}

#endif
