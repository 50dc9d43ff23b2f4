/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BOOTSTRAP_FILES_H
#define TESTS_BOOTSTRAP_FILES_H

/* Bootstrap files as tests make and compare them. */
#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "exchange/bootstrap.h"
#include "exchange/fields.h"

#include "exchange_mesh.h"

static inline struct text written(struct store *s, const struct bootstrap_options *o)
{
	struct text t = { 0 };

	assert_true(bootstrap_write(s, o, MESH_NOW_S, &t));
	return t;
}

static inline void assert_same_items(const struct store *a, const struct store *b)
{
	const struct item *const *v, *const *w;
	size_t count = store_items(a, &v);

	assert_int_equal(store_items(b, &w), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(v[i]->len, w[i]->len);
		assert_memory_equal(v[i]->bytes, w[i]->bytes, v[i]->len);
	}
}

/* A binary file with these bytes as its Bootstrap. */
static inline struct text framed(const struct text *message)
{
	uint8_t hash[BLAKE2S_LEN], len[4];
	struct text t = { 0 };

	put_le32(len, (uint32_t)message->len + 16);
	text_add_bytes(&t, "meshd\0\1\n", 8);
	text_add_bytes(&t, len, 4);
	text_add_bytes(&t, message->s, message->len);
	blake2s(hash, sizeof(hash), NULL, 0, message->s, message->len);
	text_add_bytes(&t, hash, 16);
	return t;
}

static inline void start_message(struct text *m, const uint8_t mesh[SIGN_KEY_LEN])
{
	fields_add_bytes(m, 1, mesh, SIGN_KEY_LEN);
	fields_add_bytes(m, 2, "home", 4);
}

static const struct bootstrap_options plain = { .name = "home" }, binary = { .name = "home", .binary = true };

#endif
