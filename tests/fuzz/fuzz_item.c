/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as one item; and, after a first byte of 1, as a row of bodies that known keys sign: signer, kind, length in two bytes, body. Those go into two stores, in this order and backwards, again and again until
 * nothing more is taken. What both hold must be the same in the end, and a copy must be what it is a copy of.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "exchange/fields.h"

#include "exchange_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	ROW_MAX = 24,
	ROUNDS_MAX = 32,
};

/* Field by field: what is between the fields of a struct may be anything. */
static bool is_same_endpoint(const struct record_endpoint *e, const struct record_endpoint *f)
{
	return memcmp(&e->endpoint.addr, &f->endpoint.addr, sizeof(e->endpoint.addr)) == 0 && e->endpoint.port == f->endpoint.port &&
	       e->endpoint.scope == f->endpoint.scope && e->cost_ms == f->cost_ms && e->metered == f->metered && e->seen == f->seen &&
	       e->prefix_len == f->prefix_len;
}

static bool is_same_self(const struct self_record *r, const struct self_record *s)
{
	bool same = memcmp(r->public_key, s->public_key, KEY_LEN) == 0 && r->sequence == s->sequence && r->endpoint_count == s->endpoint_count &&
		    r->features == s->features && strcmp(r->version, s->version) == 0;

	for (size_t k = 0; same && k < r->endpoint_count; k++)
		same = is_same_endpoint(&r->endpoints[k], &s->endpoints[k]);
	return same;
}

/* What was read can be said again: what is in it is within the bounds of who says it. */
static void check_item(const struct item *i)
{
	uint8_t seed[SIGN_SEED_LEN], mesh[SIGN_KEY_LEN];
	const char *why = NULL;
	struct item *again;

	world_seed(seed, 1);
	world_mesh(mesh);
	require(item_kind_name(i->kind)[0] != '\0', "no name");
	again = item_sign(mesh, i, seed, &why);
	if (i->kind != ITEM_JOIN_REQUEST)
		require(again != NULL, "cannot be said again");
	if (again) {
		require(again->kind == i->kind, "another kind");
		require(!item_subject(i) == !item_subject(again), "another subject");
		require(!item_subject(i) || memcmp(item_subject(i), item_subject(again), KEY_LEN) == 0, "another subject");
		require(i->kind != ITEM_NODE || world_is_same_node(&i->node, &again->node), "another record");
		require(i->kind != ITEM_SELF || is_same_self(&i->self, &again->self), "another self record");
		require(item_is_signed(again, mesh), "not signed");
	}
	item_free(again);
}

static void run_one(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct item *i = item_read_unchecked(data, size, &why);
	uint8_t mesh[SIGN_KEY_LEN];

	if (!i) {
		world_line(why);
		return;
	}
	world_mesh(mesh);
	require(i->len == size && memcmp(i->bytes, data, size) == 0, "other bytes");
	item_is_signed(i, mesh);
	check_item(i);
	item_free(i);
}

/* Sign a body whatever is in it. NULL: it is no item. */
static struct item *sign_body(unsigned int signer, uint8_t kind, const uint8_t *body, size_t len)
{
	uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN], mesh[SIGN_KEY_LEN], signature[SIGNATURE_LEN];
	struct text what = { 0 }, bytes = { 0 };
	const char *why = NULL;
	struct item *i;

	world_seed(seed, signer);
	sign_public(key, seed);
	world_mesh(mesh);
	text_add(&what, "meshd item 1");
	text_add_bytes(&what, &kind, 1);
	text_add_bytes(&what, mesh, sizeof(mesh));
	text_add_bytes(&what, body, len);
	sign_make(signature, seed, what.s, what.len);
	fields_add_number(&bytes, 1, kind);
	fields_add_bytes(&bytes, 2, body, len);
	fields_add_bytes(&bytes, 3, key, sizeof(key));
	fields_add_bytes(&bytes, 4, signature, sizeof(signature));
	i = item_read(mesh, (const uint8_t *)bytes.s, bytes.len, &why);
	if (!i)
		world_line(why);
	text_done(&what);
	text_done(&bytes);
	return i;
}

static size_t read_row(struct item **row, const uint8_t *data, size_t size)
{
	size_t count = 0;

	while (size >= 4 && count < ROW_MAX) {
		size_t len = get_le16(data + 2);

		if (len > size - 4)
			len = size - 4;
		row[count] = sign_body(data[0] % WORLD_SIGNERS, data[1], data + 4, len);
		count += row[count] != NULL;
		data += 4 + len;
		size -= 4 + len;
	}
	return count;
}

static void check_store(struct store *s)
{
	struct store *copy = store_copy(s);
	const struct item *const *v;
	uint8_t key[KEY_LEN];
	struct store_node n;
	bool all;

	require(copy && world_same(s, copy), "a copy that is none");
	store_free(copy);
	for (size_t k = 0; store_node_at(s, k, WORLD_NOW_S, &n); k++)
		require(n.standing == NODE_UNKNOWN || n.record || n.revocation, "a standing without a reason");
	require(store_sorted(s, &v) == store_items(s, &v), "sorting changed how many");
	for (int k = 0; store_next_change(s, key, &all); k++)
		require(k < 1000, "changes without end");
	store_expire(s, WORLD_NOW_S);
}

/* 'step' 1 or -1. */
static struct store *fill(struct item *const *row, size_t count, int step)
{
	uint8_t mesh[SIGN_KEY_LEN];
	struct store *s;
	uint64_t version;
	int rounds = 0;

	world_mesh(mesh);
	s = store_new(mesh);
	do {
		version = store_version(s);
		for (size_t k = 0; k < count; k++) {
			const struct item *i = row[step > 0 ? k : count - 1 - k];
			const char *why = NULL;

			if (store_add(s, item_read(mesh, i->bytes, i->len, &why), WORLD_NOW_S, &why) == STORE_REFUSED)
				world_line(why);
		}
		require(++rounds < ROUNDS_MAX, "no end of changes");
	} while (store_version(s) != version);
	return s;
}

static void run_row(const uint8_t *data, size_t size)
{
	struct item *row[ROW_MAX];
	size_t count = read_row(row, data, size);
	struct store *one = fill(row, count, 1), *other = fill(row, count, -1);

	check_store(one);
	check_store(other);
	require(world_same(one, other), "the order matters");
	store_free(one);
	store_free(other);
	while (count)
		item_free(row[--count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	require(crypto_init(), "no libsodium");
	if (size && *data == 1)
		run_row(data + 1, size - 1);
	else
		run_one(data, size);
	return 0;
}
