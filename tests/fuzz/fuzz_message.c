/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as messages of the exchange: length in two bytes, message (behind the header of its kind), from one of two neighbours, with time in between. What can be read can be written again;
 * gossip that hears it sends well-formed messages, no more than its rate allows, and believes nothing that is not signed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "exchange/gossip.h"
#include "exchange/mint.h"
#include "wire/mesh.h"

#include "exchange_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	NODES = 3,
	MESSAGES_MAX = 64,
};

struct world {
	struct store *store;
	struct gossip *gossip;
	struct instant now;
	size_t sent;
};

static void fill_random(void *ctx, void *out, size_t len)
{
	uint32_t *x = ctx;

	for (uint8_t *p = out; len--; p++) {
		*x = *x * 1664525 + 1013904223;
		*p = (uint8_t)(*x >> 24);
	}
}

static void check_round_trip(const struct message *m)
{
	uint8_t once[MESSAGE_MAX], twice[MESSAGE_MAX], keep[MESSAGE_MAX];
	struct message again;
	size_t len;

	if (m->kind == MESSAGE_NONE)
		return;
	len = message_write(once, m);
	require(len > 0, "cannot be written");
	require(message_read(&again, once, len, keep), "cannot be read back");
	require(message_write(twice, &again) == len && memcmp(once, twice, len) == 0, "reads back to another");
}

static struct store *make_store(void)
{
	uint8_t seed[SIGN_SEED_LEN], mesh[SIGN_KEY_LEN];
	struct store *s;

	world_seed(seed, 0);
	world_mesh(mesh);
	s = store_new(mesh);
	for (unsigned int n = 1; n <= NODES; n++) {
		struct mint_node m = { .roles = ROLE_TRANSIT };
		uint8_t private_key[KEY_LEN], public_key[KEY_LEN], own[SIGN_SEED_LEN], sign_key[SIGN_KEY_LEN];
		const char *why = NULL;

		world_private(private_key, n);
		key_public(public_key, private_key);
		world_seed(own, n);
		sign_public(sign_key, own);
		snprintf(m.name, sizeof(m.name), "n%u", n);
		require(mint_record(s, seed, &m, public_key, sign_key, NULL, NULL, WORLD_NOW_S, &why), "cannot be made");
	}
	return s;
}

static void neighbour(uint8_t key[KEY_LEN], unsigned int n)
{
	uint8_t private_key[KEY_LEN];

	world_private(private_key, n);
	key_public(key, private_key);
}

static void drain(struct world *w)
{
	uint8_t to[KEY_LEN], msg[MESSAGE_MAX], keep[MESSAGE_MAX];
	struct message m;
	size_t len;

	while (gossip_next(w->gossip, to, msg, &len, w->now)) {
		require(len <= MESSAGE_MAX && message_read(&m, msg, len, keep), "a malformed message was sent");
		require(m.kind != MESSAGE_NONE && m.kind <= MESSAGE_PIECE, "a message of another subject was sent");
		w->sent += len;
	}
}

static void hear(struct world *w, const uint8_t *data, size_t len, unsigned int from)
{
	uint8_t msg[MESSAGE_MAX], keep[MESSAGE_MAX], key[KEY_LEN], *exact;
	struct message m;
	bool good;

	if (len > MESSAGE_MAX - MESSAGE_HEADER)
		len = MESSAGE_MAX - MESSAGE_HEADER;
	msg[0] = MESH_EXCHANGE;
	msg[1] = 0;
	put_le16(msg + 2, (uint16_t)len);
	memcpy(msg + MESSAGE_HEADER, data, len);
	exact = malloc(MESSAGE_HEADER + len);
	memcpy(exact, msg, MESSAGE_HEADER + len);
	good = message_read(&m, exact, MESSAGE_HEADER + len, keep);
	free(exact);
	if (!good)
		return;
	check_round_trip(&m);
	neighbour(key, from);
	if (m.kind != MESSAGE_NONE && m.kind <= MESSAGE_PIECE)
		gossip_receive(w->gossip, key, &m, w->now);
}

static void run(struct world *w, const uint8_t *data, size_t size)
{
	for (int i = 0; size >= 3 && i < MESSAGES_MAX; i++) {
		size_t len = get_le16(data + 1);

		if (len > size - 3)
			len = size - 3;
		hear(w, data + 3, len, 1 + data[0] % 2);
		w->now.mono_us += (int64_t)(data[0] >> 1) * 50 * US_PER_MS;
		w->now.wall_ns += (int64_t)(data[0] >> 1) * 50 * US_PER_MS * 1000;
		gossip_turn(w->gossip, w->now);
		drain(w);
		data += 3 + len;
		size -= 3 + len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .now = { .mono_us = US_PER_S, .wall_ns = WORLD_NOW_S * NS_PER_S } };
	uint32_t x = 1;
	const struct rng rng = { .fill = fill_random, .ctx = &x };
	const struct log log = { 0 };
	struct store *before;
	uint8_t key[KEY_LEN];
	int64_t seconds;

	require(crypto_init(), "no libsodium");
	w.store = make_store();
	before = store_copy(w.store);
	w.gossip = gossip_new(w.store, &rng, &log);
	for (unsigned int n = 1; n <= 2; n++) {
		neighbour(key, n);
		require(gossip_neighbour(w.gossip, key, true, w.now), "no room for a neighbour");
	}
	run(&w, data, size);
	seconds = (w.now.mono_us - US_PER_S) / US_PER_S + 1;
	require(w.sent <= 2 * (GOSSIP_BURST + (size_t)seconds * GOSSIP_RATE + MESSAGE_MAX), "more was sent than may be");
	for (size_t i = 0; i < store_node_count(before); i++) {
		struct store_node n;

		require(store_node_at(before, i, WORLD_NOW_S, &n) && store_find(w.store, n.record->public_key, WORLD_NOW_S, &n) && n.record,
			"something was lost");
	}
	gossip_free(w.gossip);
	store_free(w.store);
	store_free(before);
	return 0;
}
