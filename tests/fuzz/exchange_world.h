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

static inline bool world_are_same_prefixes(const struct ip_prefix *v, size_t count, const struct ip_prefix *w, size_t other_count)
{
	return count == other_count && memcmp(v, w, count * sizeof(*v)) == 0;
}

/* Field by field: what is between the fields of a struct may be anything. */
static inline bool world_is_same_node(const struct node_record *r, const struct node_record *s)
{
	return memcmp(r->public_key, s->public_key, KEY_LEN) == 0 && memcmp(r->sign_key, s->sign_key, SIGN_KEY_LEN) == 0 && strcmp(r->name, s->name) == 0 &&
	       world_are_same_prefixes(r->addresses, r->address_count, s->addresses, s->address_count) &&
	       world_are_same_prefixes(r->prefixes, r->prefix_count, s->prefixes, s->prefix_count) &&
	       world_are_same_prefixes(r->external, r->external_count, s->external, s->external_count) && r->roles == s->roles &&
	       r->not_before_s == s->not_before_s && r->not_after_s == s->not_after_s && r->serial == s->serial && r->has_token == s->has_token &&
	       r->has_gateway == s->has_gateway && memcmp(r->token, s->token, KEY_LEN) == 0 && memcmp(r->gateway, s->gateway, KEY_LEN) == 0;
}

#endif
