/* SPDX-License-Identifier: MIT */
#ifndef TESTS_EXCHANGE_MESH_H
#define TESTS_EXCHANGE_MESH_H

#include <string.h>

#include "crypto/sign.h"
#include "exchange/mint.h"
#include "exchange/store.h"
#include "proto/exchange.pb-c.h"

/* A mesh to write down: its key, and nodes with keys made of their numbers. */
enum { MESH_NOW_S = 1700000000 };

struct mesh_stage {
	uint8_t seed[SIGN_SEED_LEN], mesh[SIGN_KEY_LEN];
	struct store *store;
};

struct node_keys {
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN], seed[SIGN_SEED_LEN], sign_key[SIGN_KEY_LEN];
};

static inline void keys_make(struct node_keys *k, unsigned int number)
{
	memset(k->private_key, 0, KEY_LEN);
	memcpy(k->private_key + 4, &number, sizeof(number));	/* clear of what clamping takes */
	key_clamp(k->private_key);
	k->private_key[16] = 77;
	key_public(k->public_key, k->private_key);
	sign_seed_of_node(k->seed, k->private_key);
	sign_public(k->sign_key, k->seed);
}

static inline void stage_open(struct mesh_stage *st, uint8_t seed)
{
	memset(st->seed, seed, sizeof(st->seed));
	sign_public(st->mesh, st->seed);
	st->store = store_new(st->mesh);
	assert_non_null(st->store);
}

static inline void stage_close(struct mesh_stage *st)
{
	store_free(st->store);
}

/* Node number 'n' named "nN", its record signed by 'seed'; with a self record. */
static inline void stage_node(struct mesh_stage *st, const uint8_t seed[SIGN_SEED_LEN], unsigned int n, int64_t expires_s)
{
	struct mint_node m = { .roles = ROLE_TRANSIT, .expires_s = expires_s };
	struct self_record self = { .sequence = 1, .endpoint_count = 1 };
	struct node_keys k;
	const char *why = "";

	keys_make(&k, n);
	snprintf(m.name, sizeof(m.name), "n%u", n);
	if (!mint_record(st->store, seed, &m, k.public_key, k.sign_key, NULL, NULL, MESH_NOW_S, &why))
		fail_msg("%s: %s", m.name, why);
	memcpy(self.public_key, k.public_key, KEY_LEN);
	assert_true(endpoint_parse("192.0.2.1:51820", &self.endpoints[0].endpoint));
	self.endpoints[0].endpoint.addr.bytes[3] = (uint8_t)(n % 250 + 1);
	assert_true(mint_self(st->store, k.seed, &self, MESH_NOW_S, &why));
}

static inline void stage_delegate(struct mesh_stage *st, unsigned int n, int64_t lasts_s)
{
	struct node_keys k;
	struct store_node node;
	const char *why;

	keys_make(&k, n);
	assert_true(store_find(st->store, k.public_key, MESH_NOW_S, &node));
	if (!mint_delegation(st->store, st->seed, node.record, lasts_s, MESH_NOW_S, &why))
		fail_msg("%s", why);
}

/* Founder n1 and delegate, n2 by it and delegate, n3 by n2, n4 by n1 and revoked by n2. */
static inline void stage_fill(struct mesh_stage *st)
{
	struct node_keys one, two, four;
	const char *why;

	keys_make(&one, 1);
	keys_make(&two, 2);
	keys_make(&four, 4);
	stage_node(st, st->seed, 1, 0);
	stage_delegate(st, 1, MINT_DELEGATION_S);
	stage_node(st, one.seed, 2, 0);
	stage_delegate(st, 2, MINT_DELEGATION_S);
	stage_node(st, two.seed, 3, 0);
	stage_node(st, one.seed, 4, 0);
	assert_true(mint_revocation(st->store, two.seed, four.public_key, "lost", MESH_NOW_S, &why));
}

/* A Signed of any kind, which may be of a later version: 'body' signed by 'seed', with 'extra' behind the fields there are today. How long it is. */
static inline size_t signed_of_kind(const uint8_t mesh[SIGN_KEY_LEN], const uint8_t seed[SIGN_SEED_LEN], uint32_t kind, const void *body, size_t len,
				    const void *extra, size_t extra_len, uint8_t out[ITEM_MAX])
{
	Meshd__Exchange__Signed m = MESHD__EXCHANGE__SIGNED__INIT;
	uint8_t signer[SIGN_KEY_LEN], signature[SIGNATURE_LEN], data[45 + 2048];

	assert_true(len <= 2048);
	memcpy(data, "meshd item 1", 12);
	data[12] = (uint8_t)kind;
	memcpy(data + 13, mesh, SIGN_KEY_LEN);
	memcpy(data + 45, body, len);
	sign_public(signer, seed);
	sign_make(signature, seed, data, 45 + len);
	m.kind = kind;
	m.body = (ProtobufCBinaryData){ len, data + 45 };
	m.signer = (ProtobufCBinaryData){ sizeof(signer), signer };
	m.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	assert_true(meshd__exchange__signed__get_packed_size(&m) + extra_len <= ITEM_MAX);
	len = meshd__exchange__signed__pack(&m, out);
	if (extra_len)
		memcpy(out + len, extra, extra_len);
	return len + extra_len;
}

#endif
