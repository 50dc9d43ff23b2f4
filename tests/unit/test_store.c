/* SPDX-License-Identifier: MIT */
/*
 * The store of a mesh: who may say what, what counts of two, what a revocation or a release takes along, and that none of it depends on the order in which
 * things are heard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/mint.h"
#include "exchange/store.h"

#include "exchange_mesh.h"

enum { DAY = 86400 };

/* Items that float free, to be given to stores in any order. */
struct pile {
	uint8_t *bytes[512];
	size_t len[512], count;
};

static void pile_add(struct pile *p, const struct item *i)
{
	assert_true(p->count < 512);
	p->bytes[p->count] = malloc(i->len);
	memcpy(p->bytes[p->count], i->bytes, i->len);
	p->len[p->count++] = i->len;
}

static void pile_store(struct pile *p, const struct store *s)
{
	const struct item *const *v;
	size_t count = store_items(s, &v);

	for (size_t i = 0; i < count; i++)
		pile_add(p, v[i]);
}

static void pile_done(struct pile *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->bytes[i]);
	p->count = 0;
}

static enum store_result give(struct store *s, const struct pile *p, size_t i, const char **why)
{
	struct item *item = item_read(store_mesh(s), p->bytes[i], p->len[i], why);

	if (!item)
		return STORE_REFUSED;
	return store_add(s, item, MESH_NOW_S, why);
}

/* Sign something and give it. */
static enum store_result say(struct store *s, const struct item *content, const uint8_t seed[SIGN_SEED_LEN], const char **why)
{
	struct item *i = item_sign(store_mesh(s), content, seed, why);

	if (!i)
		fail_msg("%s", *why);
	return store_add(s, i, MESH_NOW_S, why);
}

static enum node_standing standing(const struct store *s, unsigned int n, int64_t now_s)
{
	struct node_keys k;
	struct store_node sn;

	keys_make(&k, n);
	store_find(s, k.public_key, now_s, &sn);
	return sn.standing;
}

static struct item record(unsigned int n, uint64_t serial)
{
	struct item i = { .kind = ITEM_NODE, .node = { .not_before_s = MESH_NOW_S - DAY, .not_after_s = MESH_NOW_S + 100 * DAY, .serial = serial } };
	struct node_keys k;

	keys_make(&k, n);
	memcpy(i.node.public_key, k.public_key, KEY_LEN);
	memcpy(i.node.sign_key, k.sign_key, SIGN_KEY_LEN);
	snprintf(i.node.name, sizeof(i.node.name), "n%u", n);
	return i;
}

static void the_highest_serial_counts(void **state)
{
	struct mesh_stage st;
	struct item one = record(1, 7), older = record(1, 6), newer = record(1, 8);
	struct store_node sn;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	newer.node.roles = ROLE_EXIT;
	assert_int_equal(say(st.store, &one, st.seed, &why), STORE_ADDED);
	assert_int_equal(say(st.store, &one, st.seed, &why), STORE_KNOWN);
	assert_int_equal(say(st.store, &older, st.seed, &why), STORE_OLD);
	assert_int_equal(say(st.store, &newer, st.seed, &why), STORE_ADDED);
	assert_int_equal(say(st.store, &one, st.seed, &why), STORE_OLD);
	assert_true(store_find(st.store, one.node.public_key, MESH_NOW_S, &sn));
	assert_int_equal(sn.record->roles, ROLE_EXIT);
	stage_close(&st);
}

/* A plain device has no key to sign with; whoever is no device must have one. */
static void devices_sign_nothing(void **state)
{
	struct mesh_stage st;
	struct item device = record(1, 1), other = record(2, 1), node = record(3, 1);
	struct store_node sn;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	device.node.has_gateway = other.node.has_gateway = true;
	memcpy(device.node.gateway, node.node.public_key, KEY_LEN);
	memcpy(other.node.gateway, node.node.public_key, KEY_LEN);
	memset(device.node.sign_key, 0, SIGN_KEY_LEN);
	memset(other.node.sign_key, 0, SIGN_KEY_LEN);
	assert_int_equal(say(st.store, &device, st.seed, &why), STORE_ADDED);
	assert_int_equal(say(st.store, &other, st.seed, &why), STORE_ADDED);
	assert_true(store_find(st.store, device.node.public_key, MESH_NOW_S, &sn));
	assert_true(crypto_is_zero(sn.record->sign_key, SIGN_KEY_LEN));
	assert_false(store_may_sign(st.store, sn.record->sign_key, MESH_NOW_S));
	memset(node.node.sign_key, 0, SIGN_KEY_LEN);
	assert_null(item_sign(store_mesh(st.store), &node, st.seed, &why));
	assert_string_equal(why, "a key is not 32 bytes");
	stage_close(&st);
}

static void strangers_say_nothing(void **state)
{
	struct mesh_stage st, other;
	struct item one = record(1, 1), two = record(2, 1), three = record(3, 1);
	struct node_keys a, b;
	struct item content = { .kind = ITEM_DELEGATION };
	struct store_node sn;
	const char *why = NULL;

	(void)state;
	stage_open(&st, 1);
	stage_open(&other, 2);
	keys_make(&a, 1);
	keys_make(&b, 2);
	assert_int_equal(say(st.store, &one, st.seed, &why), STORE_ADDED);
	/* Neither another mesh's key, nor a node that was not given the right, nor its own. */
	assert_int_equal(say(st.store, &two, other.seed, &why), STORE_REFUSED);
	assert_non_null(why);
	assert_int_equal(say(st.store, &two, a.seed, &why), STORE_REFUSED);
	assert_int_equal(say(st.store, &two, b.seed, &why), STORE_REFUSED);
	/* A delegate makes no delegates, itself no longer one: no chains, no circles. */
	stage_delegate(&st, 1, 0);
	assert_int_equal(say(st.store, &two, a.seed, &why), STORE_ADDED);
	content.delegation = (struct delegation){ .not_before_s = 0, .not_after_s = MESH_NOW_S + DAY, .serial = 9 };
	memcpy(content.delegation.sign_key, b.sign_key, SIGN_KEY_LEN);
	memcpy(content.delegation.public_key, b.public_key, KEY_LEN);
	assert_int_equal(say(st.store, &content, a.seed, &why), STORE_REFUSED);
	assert_string_equal(why, "it is not signed by a mesh key");
	memcpy(content.delegation.sign_key, a.sign_key, SIGN_KEY_LEN);
	assert_int_equal(say(st.store, &content, a.seed, &why), STORE_REFUSED);
	assert_int_equal(say(st.store, &three, b.seed, &why), STORE_REFUSED);
	/* Of another mesh nothing is even read. */
	assert_true(store_find(st.store, one.node.public_key, MESH_NOW_S, &sn));
	assert_null(item_read(other.mesh, sn.item->bytes, sn.item->len, &why));
	stage_close(&st);
	stage_close(&other);
}

static void a_revocation_is_for_good(void **state)
{
	struct mesh_stage st;
	struct item late = record(3, 1000);
	struct node_keys three;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 0);
	stage_node(&st, st.seed, 3, 0);
	keys_make(&three, 3);
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_GOOD);
	assert_true(mint_revocation(st.store, st.seed, three.public_key, "lost", MESH_NOW_S, &why));
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_REVOKED);
	say(st.store, &late, st.seed, &why);
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_REVOKED);
	store_expire(st.store, MESH_NOW_S + 4000 * (int64_t)DAY);
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_REVOKED);
	assert_int_equal(standing(st.store, 1, MESH_NOW_S), NODE_UNKNOWN);	/* its record expired long ago */
	/* And it is not made again. */
	assert_false(mint_record(st.store, st.seed, &(struct mint_node){ .name = "again" }, three.public_key, three.sign_key, NULL, NULL, MESH_NOW_S,
				 &why));
	stage_close(&st);
}

static void a_self_record_is_ones_own(void **state)
{
	struct mesh_stage st;
	struct item self = { .kind = ITEM_SELF, .self = { .sequence = 5 } };
	struct node_keys a, b;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	keys_make(&a, 1);
	keys_make(&b, 2);
	memcpy(self.self.public_key, a.public_key, KEY_LEN);
	assert_int_equal(say(st.store, &self, a.seed, &why), STORE_REFUSED);
	stage_node(&st, st.seed, 1, 0);
	stage_node(&st, st.seed, 2, 0);
	assert_int_equal(say(st.store, &self, b.seed, &why), STORE_REFUSED);
	assert_int_equal(say(st.store, &self, st.seed, &why), STORE_REFUSED);
	assert_int_equal(say(st.store, &self, a.seed, &why), STORE_ADDED);
	self.self.sequence = 4;
	assert_int_equal(say(st.store, &self, a.seed, &why), STORE_OLD);
	stage_close(&st);
}

/* What a stolen delegate signs after, or says it had signed before, is void; what was named stays. */
static void a_release_cannot_be_dated_back(void **state)
{
	struct mesh_stage st;
	struct item early = record(9, 1), again = { .kind = ITEM_DELEGATION };
	struct node_keys one;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 0);
	stage_delegate(&st, 1, 0);
	keys_make(&one, 1);
	stage_node(&st, one.seed, 2, 0);
	stage_node(&st, one.seed, 3, 0);
	assert_true(mint_release(st.store, st.seed, one.sign_key, MESH_NOW_S, &why));
	assert_int_equal(standing(st.store, 1, MESH_NOW_S), NODE_GOOD);		/* by the mesh key */
	assert_int_equal(standing(st.store, 2, MESH_NOW_S), NODE_GOOD);
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_GOOD);
	early.node.not_before_s = MESH_NOW_S - 300 * DAY;
	assert_int_equal(say(st.store, &early, one.seed, &why), STORE_REFUSED);
	assert_false(store_may_sign(st.store, one.sign_key, MESH_NOW_S));
	/* A new delegation to the key does not bring it back. */
	again.delegation = (struct delegation){ .not_after_s = MESH_NOW_S + DAY, .serial = 99 };
	memcpy(again.delegation.sign_key, one.sign_key, SIGN_KEY_LEN);
	memcpy(again.delegation.public_key, one.public_key, KEY_LEN);
	assert_int_equal(say(st.store, &again, st.seed, &why), STORE_OLD);
	assert_int_equal(say(st.store, &early, one.seed, &why), STORE_REFUSED);
	stage_close(&st);
}

static void what_is_not_kept_goes(void **state)
{
	struct mesh_stage st;
	struct item release = { .kind = ITEM_RELEASE };
	uint8_t keep[1][ITEM_ID_LEN];
	struct node_keys one, two, three;
	struct store_node sn;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 0);
	stage_node(&st, st.seed, 3, 0);
	stage_delegate(&st, 1, 0);
	keys_make(&one, 1);
	keys_make(&two, 2);
	keys_make(&three, 3);
	stage_node(&st, one.seed, 2, 0);
	stage_node(&st, one.seed, 4, 0);
	assert_true(mint_revocation(st.store, one.seed, three.public_key, "by a thief", MESH_NOW_S, &why));
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_REVOKED);
	assert_true(store_find(st.store, two.public_key, MESH_NOW_S, &sn));
	memcpy(keep[0], sn.item->id, ITEM_ID_LEN);
	memcpy(release.release.sign_key, one.sign_key, SIGN_KEY_LEN);
	release.release.keep = keep;
	release.release.keep_count = 1;
	assert_int_equal(say(st.store, &release, st.seed, &why), STORE_ADDED);
	assert_int_equal(standing(st.store, 2, MESH_NOW_S), NODE_GOOD);
	assert_int_equal(standing(st.store, 4, MESH_NOW_S), NODE_UNKNOWN);
	assert_int_equal(standing(st.store, 3, MESH_NOW_S), NODE_GOOD);
	stage_close(&st);
}

/* What a delegate that went wrong put in the place of others' words is gone with it, and theirs are there: whichever came first. */
static void a_rogue_displaces_nobody(void **state)
{
	struct item honest = record(3, 4), forged = record(3, 5), release = { .kind = ITEM_RELEASE };
	struct item revoked = { .kind = ITEM_REVOCATION, .revocation = { .reason = "stolen" } }, again = revoked;
	struct node_keys one, two, four;
	const char *why;

	(void)state;
	keys_make(&one, 1);
	keys_make(&two, 2);
	keys_make(&four, 4);
	memcpy(revoked.revocation.public_key, four.public_key, KEY_LEN);
	memcpy(again.revocation.public_key, four.public_key, KEY_LEN);
	memcpy(release.release.sign_key, two.sign_key, SIGN_KEY_LEN);
	forged.node.roles = ROLE_EXIT;
	for (unsigned int released_first = 0; released_first < 2; released_first++) {
		struct mesh_stage st;
		struct store_node sn;

		stage_open(&st, 1);
		stage_node(&st, st.seed, 1, 0);
		stage_node(&st, st.seed, 2, 0);
		stage_node(&st, st.seed, 4, 0);
		stage_delegate(&st, 1, 0);
		stage_delegate(&st, 2, 0);
		if (released_first)
			say(st.store, &release, st.seed, &why);
		assert_int_equal(say(st.store, &honest, one.seed, &why), STORE_ADDED);
		assert_int_equal(say(st.store, &revoked, one.seed, &why), STORE_ADDED);
		/* Some of these have a lower id, and would be the one to stay. */
		for (unsigned int i = 0; i < 8; i++) {
			snprintf(again.revocation.reason, sizeof(again.revocation.reason), "%u", i);
			say(st.store, &again, two.seed, &why);
		}
		say(st.store, &forged, two.seed, &why);
		store_find(st.store, honest.node.public_key, MESH_NOW_S, &sn);
		assert_int_equal(sn.record->roles, released_first ? 0 : ROLE_EXIT);
		if (!released_first)
			say(st.store, &release, st.seed, &why);
		store_find(st.store, honest.node.public_key, MESH_NOW_S, &sn);
		assert_int_equal(sn.standing, NODE_GOOD);
		assert_int_equal(sn.record->roles, 0);
		assert_int_equal(sn.record->serial, 4);
		assert_int_equal(standing(st.store, 4, MESH_NOW_S), NODE_REVOKED);
		stage_close(&st);
	}
}

/* A delegate whose time is over does not cover what another said before. */
static void a_higher_serial_that_is_void_hides_nothing(void **state)
{
	struct mesh_stage st;
	struct item honest = record(3, 4), later = record(3, 5);
	struct node_keys one, two;
	struct store_node sn;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	keys_make(&one, 1);
	keys_make(&two, 2);
	stage_node(&st, st.seed, 1, 0);
	stage_node(&st, st.seed, 2, 0);
	stage_delegate(&st, 1, 0);
	stage_delegate(&st, 2, 5 * DAY);
	say(st.store, &honest, one.seed, &why);
	say(st.store, &later, two.seed, &why);
	store_find(st.store, honest.node.public_key, MESH_NOW_S, &sn);
	assert_int_equal(sn.record->serial, 5);
	store_find(st.store, honest.node.public_key, MESH_NOW_S + 6 * DAY, &sn);
	assert_int_equal(sn.standing, NODE_GOOD);
	assert_int_equal(sn.record->serial, 4);
	stage_close(&st);
}

static void one_token_one_node(void **state)
{
	struct mesh_stage st;
	struct item a = record(1, 1), b = record(2, 1);
	uint8_t token[KEY_LEN] = { 5 };
	const char *why;
	bool first;

	(void)state;
	stage_open(&st, 1);
	a.node.has_token = b.node.has_token = true;
	memcpy(a.node.token, token, KEY_LEN);
	memcpy(b.node.token, token, KEY_LEN);
	say(st.store, &a, st.seed, &why);
	assert_int_equal(standing(st.store, 1, MESH_NOW_S), NODE_GOOD);
	say(st.store, &b, st.seed, &why);
	first = standing(st.store, 1, MESH_NOW_S) == NODE_GOOD;
	assert_int_equal(standing(st.store, first ? 1 : 2, MESH_NOW_S), NODE_GOOD);
	assert_int_equal(standing(st.store, first ? 2 : 1, MESH_NOW_S), NODE_CLAIMED);
	/* Where the one that counts is put out, the other is in - or who stole a token would have it for good. */
	struct store *copy = store_copy(st.store);
	struct node_keys k;

	keys_make(&k, first ? 1 : 2);
	assert_true(mint_revocation(copy, st.seed, k.public_key, "", MESH_NOW_S, &why));
	assert_int_equal(standing(copy, first ? 2 : 1, MESH_NOW_S), NODE_GOOD);
	store_free(copy);
	/* A renewal changes nothing in it. */
	a.node.serial = b.node.serial = 2;
	for (unsigned int i = 0; i < 8; i++, a.node.serial++, b.node.serial++) {
		say(st.store, &a, st.seed, &why);
		say(st.store, &b, st.seed, &why);
		assert_int_equal(standing(st.store, first ? 1 : 2, MESH_NOW_S), NODE_GOOD);
		assert_int_equal(standing(st.store, first ? 2 : 1, MESH_NOW_S), NODE_CLAIMED);
	}
	stage_close(&st);
}

static void keys_of_the_mesh_turn_over(void **state)
{
	struct mesh_stage st;
	uint8_t next[SIGN_SEED_LEN] = { 42 }, key[SIGN_KEY_LEN];
	struct item late = record(7, 1);
	const char *why;
	int64_t later = MESH_NOW_S + 31 * DAY;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	sign_public(key, next);
	if (!mint_rotation(st.store, st.seed, next, 30 * DAY, MESH_NOW_S, &why))
		fail_msg("%s", why);
	assert_true(store_is_mesh_key(st.store, st.mesh, MESH_NOW_S));
	assert_true(store_is_mesh_key(st.store, key, MESH_NOW_S));
	assert_false(store_is_mesh_key(st.store, st.mesh, later));
	assert_true(store_is_mesh_key(st.store, key, later));
	for (unsigned int n = 1; n <= 3; n++)
		assert_int_equal(standing(st.store, n, later), NODE_GOOD);
	/* It cannot say itself that it goes on. */
	struct item longer = { .kind = ITEM_MESH_KEY, .mesh_key = { .serial = 1000 } };

	memcpy(longer.mesh_key.key, st.mesh, SIGN_KEY_LEN);
	assert_int_equal(say(st.store, &longer, st.seed, &why), STORE_REFUSED);
	assert_false(store_is_mesh_key(st.store, st.mesh, later));
	/* What the old key signs when its time is over does not count. */
	say(st.store, &late, st.seed, &why);
	assert_int_equal(standing(st.store, 7, later), NODE_VOID);
	stage_close(&st);
}

static void time_decides_who_counts(void **state)
{
	struct mesh_stage st;
	struct item soon = record(5, 1);
	const char *why;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 10 * DAY);
	assert_int_equal(standing(st.store, 1, MESH_NOW_S + 9 * DAY), NODE_GOOD);
	assert_int_equal(standing(st.store, 1, MESH_NOW_S + 11 * DAY), NODE_EXPIRED);
	assert_int_equal(standing(st.store, 1, MESH_NOW_S - 5 * 3600), NODE_GOOD);	/* a clock that is hours behind */
	soon.node.not_before_s = MESH_NOW_S + 1;
	say(st.store, &soon, st.seed, &why);
	assert_int_equal(standing(st.store, 5, MESH_NOW_S), NODE_EARLY);
	/* Somebody is told when only time has passed. */
	uint8_t key[KEY_LEN];
	bool all;

	store_expire(st.store, MESH_NOW_S);
	while (store_next_change(st.store, key, &all))
		;
	store_expire(st.store, MESH_NOW_S + 5);
	assert_true(store_next_change(st.store, key, &all));
	assert_false(all);
	assert_memory_equal(key, soon.node.public_key, KEY_LEN);
	assert_false(store_next_change(st.store, key, &all));
	assert_true(store_expire(st.store, MESH_NOW_S + 10 * DAY + STORE_KEEP_S + 1));
	assert_int_equal(standing(st.store, 1, MESH_NOW_S), NODE_UNKNOWN);
	stage_close(&st);
}

/* All of a pile again and again, until nothing comes of it: as neighbours go on offering what one lacks. */
static void give_all(struct store *s, const struct pile *p)
{
	const char *why;
	bool news = true;

	for (unsigned int round = 0; news; round++) {
		assert_true(round < 20);
		news = false;
		for (size_t i = 0; i < p->count; i++)
			news |= give(s, p, i, &why) == STORE_ADDED;
	}
}

/* Everything that was ever said, the superseded too, in a hundred orders: the same store comes of it. */
static void order_does_not_matter(void **state)
{
	static struct pile pile;
	struct mesh_stage st;
	struct node_keys one, two, six;
	uint8_t next[SIGN_SEED_LEN] = { 42 }, token[KEY_LEN] = { 7 };
	struct item a = record(11, 1), b = record(12, 1), nothing = { .kind = ITEM_RELEASE };
	const struct item *const *v, *const *w;
	const char *why;
	unsigned int seed = 1;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	keys_make(&one, 1);
	keys_make(&two, 2);
	keys_make(&six, 6);
	pile_store(&pile, st.store);
	for (unsigned int n = 5; n < 9; n++)
		stage_node(&st, n % 2 ? one.seed : two.seed, n, 0);
	a.node.has_token = b.node.has_token = true;
	memcpy(a.node.token, token, KEY_LEN);
	memcpy(b.node.token, token, KEY_LEN);
	say(st.store, &a, st.seed, &why);
	say(st.store, &b, one.seed, &why);
	pile_store(&pile, st.store);
	assert_true(mint_revocation(st.store, one.seed, six.public_key, "", MESH_NOW_S, &why));
	pile_store(&pile, st.store);
	for (unsigned int n = 5; n < 9; n++) {
		struct item renewed = record(n, 2 + n % 2);

		say(st.store, &renewed, n % 2 ? two.seed : one.seed, &why);
	}
	pile_store(&pile, st.store);
	assert_true(mint_release(st.store, st.seed, two.sign_key, MESH_NOW_S, &why));
	memcpy(nothing.release.sign_key, one.sign_key, SIGN_KEY_LEN);
	say(st.store, &nothing, st.seed, &why);
	assert_true(mint_rotation(st.store, st.seed, next, DAY, MESH_NOW_S, &why));
	pile_store(&pile, st.store);
	give_all(st.store, &pile);
	for (unsigned int order = 0; order < 100; order++) {
		struct store *s = store_new(st.mesh);

		for (size_t i = pile.count; i-- > 1;) {
			size_t k = (size_t)rand_r(&seed) % (i + 1), len = pile.len[i];
			uint8_t *bytes = pile.bytes[i];

			pile.bytes[i] = pile.bytes[k];
			pile.len[i] = pile.len[k];
			pile.bytes[k] = bytes;
			pile.len[k] = len;
		}
		give_all(s, &pile);
		assert_int_equal(store_items(s, &v), store_items(st.store, &w));
		for (size_t i = 0; i < store_items(s, &v); i++) {
			store_items(st.store, &w);
			assert_memory_equal(v[i]->id, w[i]->id, ITEM_ID_LEN);
		}
		store_free(s);
	}
	pile_done(&pile);
	stage_close(&st);
}

static void a_copy_is_the_same(void **state)
{
	struct mesh_stage st;
	const struct item *const *v, *const *w;
	struct node_keys two;
	struct store *copy;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	keys_make(&two, 2);
	assert_true(mint_release(st.store, st.seed, two.sign_key, MESH_NOW_S, &why));
	copy = store_copy(st.store);
	assert_non_null(copy);
	assert_int_equal(store_items(copy, &v), store_items(st.store, &w));
	for (size_t i = 0; i < store_items(copy, &v); i++)
		assert_memory_equal(v[i]->id, w[i]->id, ITEM_ID_LEN);
	store_free(copy);
	stage_close(&st);
}

static void full_tables_refuse(void **state)
{
	struct mesh_stage st;
	struct item mesh_key = { .kind = ITEM_MESH_KEY };
	const char *why = NULL;
	unsigned int n = 0;
	enum store_result result;

	(void)state;
	stage_open(&st, 1);
	do {
		memset(mesh_key.mesh_key.key, (int)++n, SIGN_KEY_LEN);
		result = say(st.store, &mesh_key, st.seed, &why);
	} while (result == STORE_ADDED && n < 100);
	assert_int_equal(result, STORE_REFUSED);
	assert_int_equal(n, STORE_MESH_KEYS_MAX + 1);
	assert_string_equal(why, "the store is full");
	stage_close(&st);
}

static void count_line(void *ctx, const char *line)
{
	assert_null(strchr(line, '\n'));
	++*(unsigned int *)ctx;
}

static void expiry_is_warned_of(void **state)
{
	struct mesh_stage st;
	unsigned int lines = 0;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 60 * DAY);
	stage_node(&st, st.seed, 2, 400 * DAY);
	stage_delegate(&st, 1, 50 * DAY);
	store_warnings(st.store, MESH_NOW_S, count_line, &lines);
	assert_int_equal(lines, 0);
	store_warnings(st.store, MESH_NOW_S + 40 * DAY, count_line, &lines);
	assert_int_equal(lines, 2);
	stage_close(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_serial_counts),
		cmocka_unit_test(devices_sign_nothing),
		cmocka_unit_test(strangers_say_nothing),
		cmocka_unit_test(a_revocation_is_for_good),
		cmocka_unit_test(a_self_record_is_ones_own),
		cmocka_unit_test(a_release_cannot_be_dated_back),
		cmocka_unit_test(what_is_not_kept_goes),
		cmocka_unit_test(a_rogue_displaces_nobody),
		cmocka_unit_test(a_higher_serial_that_is_void_hides_nothing),
		cmocka_unit_test(one_token_one_node),
		cmocka_unit_test(keys_of_the_mesh_turn_over),
		cmocka_unit_test(time_decides_who_counts),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(a_copy_is_the_same),
		cmocka_unit_test(full_tables_refuse),
		cmocka_unit_test(expiry_is_warned_of),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
