/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a bootstrap file; after a first byte of 1 or 2 they are what is in one, and get a frame or armour with a checksum that is right, so that what is behind it is reached. What is
 * read is merged into an empty store and into one that has some of it: either all that is to be taken is, or nothing has changed. What was taken is written and read back to the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "exchange/bootstrap.h"
#include "exchange/token.h"

#include "exchange_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_frame(const uint8_t *data, size_t size, struct text *out)
{
	uint8_t hash[BLAKE2S_LEN], len[4];

	put_le32(len, (uint32_t)size + 16);
	text_add_bytes(out, "meshd\0\1\n", 8);
	text_add_bytes(out, len, sizeof(len));
	text_add_bytes(out, data, size);
	blake2s(hash, sizeof(hash), NULL, 0, data, size);
	text_add_bytes(out, hash, 16);
}

static void check_written(struct store *s, const struct bootstrap *b)
{
	struct bootstrap_options o = { .name = b->name, .invitations = true, .token = b->token, .token_len = b->token_len };
	struct text file = { 0 }, why = { 0 };
	struct bootstrap again;
	struct bootstrap_news news;

	for (int binary = 0; binary < 2; binary++) {
		o.binary = binary;
		text_reset(&file);
		require(bootstrap_write(s, &o, WORLD_NOW_S, &file), "cannot be written");
		require(bootstrap_read(&again, file.s, file.len, &why), "cannot be read back");
		require(strcmp(again.name, b->name) == 0 && again.token_len == b->token_len, "reads back to another");
		require(bootstrap_merge(s, &again, WORLD_NOW_S, &news, &why), "is refused by who wrote it");
		require(news.known == again.count, "news to who wrote it");
		bootstrap_done(&again);
	}
	text_wipe(&file);
	text_done(&why);
}

static void check_merge(struct store *s, const struct bootstrap *b)
{
	struct store *before = store_copy(s);
	struct text why = { 0 };
	struct bootstrap_news news;
	uint64_t version = store_version(s);

	require(before != NULL, "cannot be copied");
	if (bootstrap_merge(s, b, WORLD_NOW_S, &news, &why)) {
		require(news.added + news.known + news.old + news.refused == b->count, "an item is not counted");
		require(!why.len, "a reason though good");
		require(!news.refused == !news.first_refused[0], "refused without saying why");
		check_written(s, b);
	} else {
		world_line(why.s);
		require(version == store_version(s) && world_same(s, before), "changed though refused");
	}
	store_free(before);
	text_done(&why);
}

static void check_file(const void *data, size_t size)
{
	struct text why = { 0 };
	uint8_t mesh[SIGN_KEY_LEN];
	struct bootstrap_news news;
	struct bootstrap b;
	struct store *s;

	if (bootstrap_read(&b, data, size, &why)) {
		require(b.count <= BOOTSTRAP_ITEMS_MAX && item_name_is_good(b.name), "out of bounds");
		s = bootstrap_store(&b, WORLD_NOW_S, &news, &why);
		if (s)
			check_merge(s, &b);
		store_free(s);
		world_mesh(mesh);
		s = store_new(mesh);
		check_merge(s, &b);
		store_free(s);
		bootstrap_done(&b);
	} else {
		world_line(why.s);
	}
	require(!b.name[0] && !b.items && !b.count && !b.token && !b.token_len, "something left");
	text_done(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text file = { 0 };

	require(crypto_init(), "no libsodium");
	if (size && *data == 1)
		write_frame(data + 1, size - 1, &file);
	else if (size && *data == 2)
		armour_write(ARMOUR_MESH, NULL, data + 1, size - 1, &file);
	if (file.len)
		check_file(file.s, file.len);
	else
		check_file(data, size);
	text_wipe(&file);
	return 0;
}
