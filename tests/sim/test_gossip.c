/* SPDX-License-Identifier: MIT */
/*
 * Gossip among many, in virtual time (gossip_world.h). What is asked of it: that everybody has everything soon, also with losses, clocks that
 * are off, halves and comings and goings; that it costs next to nothing at rest and a bounded amount ever; and that one who lies gets no more
 * than that. Signatures that were found right once are not verified again for the next node (half a
 * million of them would take half a minute), and of the 500 every fifth has a self record; under sanitizers there are fewer nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "tests/unit/exchange_mesh.h"
#include "gossip_world.h"
#include "sanitized.h"

enum { MANY = SANITIZED ? 60 : 500, SOME = SANITIZED ? 30 : 80 };

enum { REST_BITS = 5000, KEPT = 400 };

static double seconds(int64_t us)
{
	return (double)us / 1e6;
}

/* A node that is on. */
static size_t somebody(struct world *w)
{
	size_t i;

	do
		i = world_random(w, (uint32_t)w->count);
	while (!w->nodes[i].gossip);
	return i;
}

/* Everybody joins, at random within a minute. */
static void all_join(struct world *w)
{
	world_found(w);
	for (size_t i = 1; i < w->count; i++) {
		world_run(w, w->now_us + 2 * world_random(w, (uint32_t)(60 * US_PER_S / (int64_t)w->count)));
		world_join(w, i, somebody(w));
	}
}

/* What was sent since world_count(): bits a second of a node, on the average and at most; the worst second of all in bytes. */
static double rate(const struct world *w, int64_t lasted_us, double *most, uint64_t *peak)
{
	double sum = 0, on = 0;

	*most = 0;
	*peak = 0;
	for (size_t i = 0; i < w->count; i++) {
		double bits = (double)w->nodes[i].bytes * 8 / seconds(lasted_us);

		if (!w->nodes[i].gossip)
			continue;
		on++;
		sum += bits;
		if (bits > *most)
			*most = bits;
		if (w->nodes[i].peak_bytes > *peak)
			*peak = w->nodes[i].peak_bytes;
	}
	return sum / on;
}

static void say(const struct world *w, const char *what, int64_t settled_us, int64_t lasted_us)
{
	double most, average;
	uint64_t peak;

	average = rate(w, lasted_us, &most, &peak);
	printf("# %s: complete after %.1f s; a node sends %.1f kbit/s, at most %.1f, in the worst second %llu bytes; summaries %llu, digests %llu, lists %llu, "
	       "wants %llu, pieces %llu\n", what, seconds(settled_us), average / 1000, most / 1000, (unsigned long long)peak,
	       (unsigned long long)w->sent[MESSAGE_SUMMARY], (unsigned long long)w->sent[MESSAGE_DIGESTS], (unsigned long long)w->sent[MESSAGE_LIST],
	       (unsigned long long)w->sent[MESSAGE_WANT], (unsigned long long)w->sent[MESSAGE_PIECE]);
}

static int64_t expect_settled(struct world *w, const char *what, int64_t most_s, const uint8_t *revoked)
{
	int64_t took_us = world_settle(w, 250 * US_PER_MS, most_s * US_PER_S, revoked);

	if (took_us < 0)
		printf("# %s: not complete after %lld s\n", what, (long long)most_s);
	assert_true(took_us >= 0);
	return took_us;
}

/* At rest: five minutes, after two that let it come to rest. */
static void expect_rest(struct world *w)
{
	double most;
	uint64_t peak;

	world_run(w, w->now_us + 120 * US_PER_S);
	world_count(w);
	world_run(w, w->now_us + 300 * US_PER_S);
	say(w, "at rest", 0, 300 * US_PER_S);
	rate(w, 300 * US_PER_S, &most, &peak);
	assert_true(most < REST_BITS);
}

/* A neighbour may be sent so much within a second. */
static void expect_bounded_peak(const struct world *w)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct world_node *n = &w->nodes[i];
		uint64_t most = n->degree * (GOSSIP_BURST + GOSSIP_RATE + MESSAGE_MAX);

		assert_true(n->peak_bytes < 2 * most);
	}
}

static void joins(size_t count, uint64_t seed, unsigned int loss, int64_t most_s)
{
	struct world *w = world_new(count, seed, loss, 5 * 3600);
	int64_t began_us = w->now_us, took_us;
	uint8_t revoked[WORLD_NODES_MAX] = { 0 };

	w->selves = count > 200 ? 5 : 1;
	all_join(w);
	took_us = expect_settled(w, "joining", most_s, NULL);
	say(w, loss ? "joining, with losses" : "joining", took_us, w->now_us - began_us);
	expect_bounded_peak(w);
	expect_rest(w);
	revoked[count / 2] = 1;
	world_revoke(w, count / 2);
	world_count(w);
	/* Where a fifth is lost, a node may miss it from all its neighbours: the summary some seconds later is what brings it. */
	took_us = expect_settled(w, "a revocation", loss ? 20 : 5, revoked);
	say(w, "a revocation", took_us, took_us ? took_us : US_PER_S);
	world_free(w);
}

static void many_join(void **state)
{
	(void)state;
	joins(MANY, 1, 0, 60);
}

static void some_join_with_losses(void **state)
{
	(void)state;
	for (uint64_t seed = 11; seed < 13; seed++)
		joins(SOME, seed, 2000, 60);
}

/* Two halves for ten minutes; on both sides self records change, nodes join, one is revoked. Then they find each other again. */
static void halves(size_t count, uint64_t seed, unsigned int loss)
{
	struct world *w = world_new(count, seed, loss, 0);
	uint8_t revoked[WORLD_NODES_MAX] = { 0 };
	int64_t took_us;

	world_found(w);
	for (size_t i = 1; i < count; i++)
		if (i % 10 != 9)
			world_join(w, i, 0);
	expect_settled(w, "joining at once", 60, NULL);
	world_cut(w, count / 2, true);
	for (size_t i = 0; i < count; i++) {
		world_run(w, w->now_us + 600 * US_PER_S / (int64_t)count);
		if (i % 2 == 0 && w->nodes[i].gossip)
			world_self(w, i);
	}
	revoked[count / 2 + 1] = 1;
	world_revoke(w, count / 2 + 1);
	world_run(w, w->now_us + 10 * US_PER_S);
	assert_false(world_is_complete(w, revoked));
	world_count(w);
	world_cut(w, count / 2, false);
	took_us = expect_settled(w, "two halves meet", 30, revoked);
	say(w, "two halves meet", took_us, took_us);
	expect_bounded_peak(w);
	world_free(w);
}

static void halves_meet(void **state)
{
	(void)state;
	halves(SOME, 21, 0);
	halves(SOME, 22, 2000);
}

/* A tenth of the nodes goes and comes each minute, for ten minutes, with a new self record each time. */
static void churn(void **state)
{
	(void)state;
	for (uint64_t seed = 31; seed < 33; seed++) {
		struct world *w = world_new(SOME, seed, 500, 5 * 3600);
		int64_t took_us, began_us;

		all_join(w);
		expect_settled(w, "joining", 60, NULL);
		world_count(w);
		began_us = w->now_us;
		for (size_t k = 0; k < SOME; k++) {
			size_t i = 1 + world_random(w, SOME - 1);

			world_off(w, i);
			world_run(w, w->now_us + 600 * US_PER_S / SOME);
			world_on(w, i);
			world_self(w, i);
		}
		took_us = expect_settled(w, "comings and goings", 30, NULL);
		say(w, "comings and goings", took_us, w->now_us - began_us);
		world_free(w);
	}
}

/*
 * Two that can never be equal: what one of them has is expired for the other.
 */
static void never_equal(void **state)
{
	struct world *w = world_new(2, 41, 0, 0);
	struct world_node *n = &w->nodes[0];
	const char *why = NULL;
	double most;
	uint64_t peak;

	(void)state;
	world_found(w);
	world_join(w, 1, 0);
	world_run(w, w->now_us + 10 * US_PER_S);
	w->nodes[1].clock_us = (STORE_KEEP_S + 86400 * 2) * US_PER_S;
	for (size_t i = 0; i < 300; i++) {
		struct mint_node m = { .expires_s = 3600 };
		uint8_t key[KEY_LEN] = { 1 }, sign_key[SIGN_KEY_LEN] = { 1 };

		put_be32(key + 4, (uint32_t)i);
		snprintf(m.name, sizeof(m.name), "short-%zu", i);
		assert_true(mint_record(n->store, n->seed, &m, key, sign_key, NULL, NULL, WORLD_START_S, &why));
	}
	gossip_added(n->gossip, world_clock(n));
	world_run(w, w->now_us + 60 * US_PER_S);
	world_count(w);
	world_run(w, w->now_us + 1800 * US_PER_S);
	say(w, "two that cannot be equal", 0, 1800 * US_PER_S);
	assert_false(world_is_complete(w, NULL));
	rate(w, 1800 * US_PER_S, &most, &peak);
	assert_true(most < REST_BITS);
	world_free(w);
}

/* An item of many pieces: a release that keeps much. */
static void long_items(void **state)
{
	(void)state;
	for (unsigned int loss = 0; loss <= 2000; loss += 2000) {
		struct world *w = world_new(30, 51, loss, 0);
		struct world_node *n = &w->nodes[0];
		struct item content = { .kind = ITEM_RELEASE };
		uint8_t keep[KEPT][ITEM_ID_LEN];
		const char *why = NULL;
		struct item *i;
		int64_t took_us;

		world_found(w);
		for (size_t k = 1; k < w->count; k++)
			world_join(w, k, 0);
		expect_settled(w, "joining at once", 60, NULL);
		for (size_t k = 0; k < KEPT; k++)
			for (size_t b = 0; b < ITEM_ID_LEN; b++)
				keep[k][b] = (uint8_t)world_random(w, 256);
		memset(content.release.sign_key, 0x77, SIGN_KEY_LEN);
		content.release.keep = keep;
		content.release.keep_count = KEPT;
		i = item_sign(w->mesh, &content, w->mesh_seed, &why);
		assert_non_null(i);
		assert_int_equal(store_add(n->store, i, WORLD_START_S, &why), STORE_ADDED);
		world_count(w);
		gossip_added(n->gossip, world_clock(n));
		world_run(w, w->now_us + 1);
		took_us = expect_settled(w, "a long item", 60, NULL);
		say(w, "a long item", took_us, took_us);
		world_free(w);
	}
}

/*
 * A neighbour that lies. The first node of a mesh of two has many records; the second is us, and says what it likes.
 */
struct liar {
	struct world *w;
	struct world_node *victim;
	uint8_t key[KEY_LEN];
	uint64_t bytes, messages;	/* what it was answered */
};

static void liar_begin(struct liar *l)
{
	const char *why = NULL;

	*l = (struct liar){ .w = world_new(2, 61, 0, 0) };
	l->victim = &l->w->nodes[0];
	world_found(l->w);
	for (size_t i = 0; i < 400; i++) {
		struct mint_node m = { 0 };
		uint8_t key[KEY_LEN] = { 2 }, sign_key[SIGN_KEY_LEN] = { 1 };

		put_be32(key + 4, (uint32_t)i);
		snprintf(m.name, sizeof(m.name), "other-%zu", i);
		assert_true(mint_record(l->victim->store, l->victim->seed, &m, key, sign_key, NULL, NULL, WORLD_START_S, &why));
	}
	gossip_added(l->victim->gossip, world_clock(l->victim));
	memset(l->key, 0x66, KEY_LEN);
	gossip_neighbour(l->victim->gossip, l->key, true, world_clock(l->victim));
}

/* Say something, hear what comes, and let time pass. */
static void liar_says(struct liar *l, const struct message *m, int64_t us)
{
	uint8_t to[KEY_LEN], msg[MESSAGE_MAX];
	size_t len;

	gossip_receive(l->victim->gossip, l->key, m, world_clock(l->victim));
	gossip_turn(l->victim->gossip, world_clock(l->victim));
	while (gossip_next(l->victim->gossip, to, msg, &len, world_clock(l->victim))) {
		assert_memory_equal(to, l->key, KEY_LEN);
		l->bytes += len;
		l->messages++;
	}
	l->w->now_us += us;
}

static void random_bytes(struct world *w, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)world_random(w, 256);
}

static void liars(void **state)
{
	static const enum message_kind kinds[] = { MESSAGE_SUMMARY, MESSAGE_DIGESTS, MESSAGE_LIST, MESSAGE_WANT, MESSAGE_PIECE };
	static uint8_t data[MESSAGE_PIECE_MAX];

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		int64_t lasted_us = 600 * US_PER_S, began_us;
		struct gossip_info info;
		struct liar l;
		uint64_t checks, checked;

		liar_begin(&l);
		began_us = l.w->now_us;
		checks = world_checks;
		while (l.w->now_us < began_us + lasted_us) {
			struct message m = { .kind = kinds[k] };

			if (m.kind == MESSAGE_SUMMARY)
				random_bytes(l.w, m.summary.digest, sizeof(m.summary.digest));
			if (m.kind == MESSAGE_DIGESTS)
				random_bytes(l.w, m.digests.v, sizeof(m.digests.v));
			if (m.kind == MESSAGE_LIST) {
				memset(m.list.last, 0xff, ITEM_SHORT_ID);
				m.list.count = MESSAGE_IDS_MAX;
				for (size_t i = 0; i < MESSAGE_IDS_MAX; i++) {
					random_bytes(l.w, m.list.ids[i], ITEM_SHORT_ID);
					m.list.ids[i][0] = (uint8_t)(i + 1);
				}
			}
			if (m.kind == MESSAGE_WANT) {
				const struct item *const *v;
				size_t count = store_items(l.victim->store, &v);

				for (m.want.count = 0; m.want.count < MESSAGE_WANT_MAX; m.want.count++)
					memcpy(m.want.ids[m.want.count], v[world_random(l.w, (uint32_t)count)]->id, ITEM_SHORT_ID);
			}
			if (m.kind == MESSAGE_PIECE) {
				random_bytes(l.w, m.piece.id, ITEM_SHORT_ID);
				random_bytes(l.w, data, 16);
				m.piece.total = 1 + world_random(l.w, ITEM_MAX);
				m.piece.offset = 0;
				m.piece.data = data;
				m.piece.len = m.piece.total < MESSAGE_PIECE_MAX ? m.piece.total : MESSAGE_PIECE_MAX;
			}
			liar_says(&l, &m, 10 * US_PER_MS);
		}
		checked = world_checks - checks;
		gossip_info(l.victim->gossip, &info);
		printf("# a liar with %s: %llu messages, %.2f kbit/s back, %llu signatures verified\n",
		       (const char *const[]){ "summaries", "digests", "lists", "wants", "pieces" }[k], (unsigned long long)l.messages,
		       (double)l.bytes * 8 / seconds(lasted_us) / 1000, (unsigned long long)checked);
		assert_true(l.bytes <= GOSSIP_BURST + (uint64_t)GOSSIP_RATE * 600 + MESSAGE_MAX);
		assert_true(checked <= GOSSIP_TAKEN_RATE * 601);
		/* Only who asks for items one by one gets as much as the rate allows. */
		if (kinds[k] == MESSAGE_SUMMARY)
			assert_true(l.bytes * 8 < 600 * REST_BITS);
		world_free(l.w);
	}
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, ITEM_SHORT_ID);
}

/* What was said once, said again and again: a summary, and items of this mesh and of another. */
static void replayed(void **state)
{
	struct liar l;
	struct world *other = world_new(2, 62, 0, 0);
	const struct item *i;
	struct message summary = { .kind = MESSAGE_SUMMARY }, piece = { .kind = MESSAGE_PIECE };
	int64_t began_us;

	(void)state;
	liar_begin(&l);
	world_found(other);
	began_us = l.w->now_us;
	while (l.w->now_us < began_us + 600 * US_PER_S) {
		const struct item *const *v;
		size_t count;

		liar_says(&l, &summary, 10 * US_PER_MS);
		count = store_items(world_random(l.w, 2) ? l.victim->store : other->nodes[0].store, &v);
		i = v[world_random(l.w, (uint32_t)count)];
		memcpy(piece.piece.id, i->id, ITEM_SHORT_ID);
		piece.piece.total = (uint32_t)i->len;
		piece.piece.data = i->bytes;
		piece.piece.len = i->len;
		liar_says(&l, &piece, 10 * US_PER_MS);
	}
	printf("# a liar with what was said before: %llu messages, %.2f kbit/s back\n", (unsigned long long)l.messages, (double)l.bytes * 8 / 600 / 1000);
	assert_true(l.bytes * 8 < 600 * REST_BITS);
	world_free(l.w);
	world_free(other);
}

/*
 * A neighbour of a later version has items that the first node does not know. It lists them again and again: each is asked for once, and
 * nothing comes of it, also not for what is known.
 */
static void of_a_later_version(void **state)
{
	enum { LATER = 40 };
	static uint8_t bytes[LATER][ITEM_MAX], ids[LATER][ITEM_SHORT_ID];
	struct message list = { .kind = MESSAGE_LIST, .list.count = LATER }, out;
	size_t lens[LATER], asked[LATER] = { 0 }, before, len;
	const struct item *const *v;
	uint8_t to[KEY_LEN], msg[MESSAGE_MAX], keep[MESSAGE_MAX];
	struct gossip_info info;
	struct liar l;

	(void)state;
	liar_begin(&l);
	before = store_items(l.victim->store, &v);
	memset(list.list.last, 0xff, ITEM_SHORT_ID);
	for (size_t i = 0; i < LATER; i++) {
		uint8_t id[ITEM_ID_LEN];

		lens[i] = signed_of_kind(store_mesh(l.victim->store), l.victim->seed, 8 + (uint32_t)i % 3, &i, sizeof(i), NULL, 0, bytes[i]);
		assert_true(item_is_later(bytes[i], lens[i], id));
		memcpy(ids[i], id, ITEM_SHORT_ID);
		memcpy(list.list.ids[i], id, ITEM_SHORT_ID);
	}
	qsort(list.list.ids, LATER, ITEM_SHORT_ID, by_id);
	for (int round = 0; round < 3600; round++) {
		gossip_receive(l.victim->gossip, l.key, &list, world_clock(l.victim));
		gossip_turn(l.victim->gossip, world_clock(l.victim));
		while (gossip_next(l.victim->gossip, to, msg, &len, world_clock(l.victim))) {
			assert_true(message_read(&out, msg, len, keep));
			for (size_t k = 0; out.kind == MESSAGE_WANT && k < out.want.count; k++)
				for (size_t i = 0; i < LATER; i++) {
					struct message piece = { .kind = MESSAGE_PIECE, .piece.data = bytes[i], .piece.len = lens[i], .piece.total = (uint32_t)lens[i] };

					if (memcmp(out.want.ids[k], ids[i], ITEM_SHORT_ID))
						continue;
					asked[i]++;
					memcpy(piece.piece.id, ids[i], ITEM_SHORT_ID);
					gossip_receive(l.victim->gossip, l.key, &piece, world_clock(l.victim));
				}
		}
		l.w->now_us += US_PER_S;
	}
	for (size_t i = 0; i < LATER; i++)
		assert_int_equal(asked[i], 1);
	gossip_info(l.victim->gossip, &info);
	assert_int_equal(info.later, LATER);
	assert_int_equal(info.items_refused, 0);
	assert_int_equal(store_items(l.victim->store, &v), before);
	world_free(l.w);
}

/* A run is its seed's. */
static void repeatable(void **state)
{
	uint64_t turns[2], messages[2];

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct world *w = world_new(30, 71, 1000, 3600);

		all_join(w);
		expect_settled(w, "joining", 60, NULL);
		turns[k] = w->turns;
		messages[k] = w->sent[MESSAGE_PIECE];
		world_free(w);
	}
	assert_int_equal(turns[0], turns[1]);
	assert_int_equal(messages[0], messages[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeatable), cmocka_unit_test(long_items), cmocka_unit_test(never_equal), cmocka_unit_test(liars), cmocka_unit_test(replayed),
		cmocka_unit_test(of_a_later_version),
		cmocka_unit_test(some_join_with_losses), cmocka_unit_test(churn), cmocka_unit_test(halves_meet), cmocka_unit_test(many_join),
	};

	return cmocka_run_group_tests_name("gossip", tests, NULL, NULL);
}
