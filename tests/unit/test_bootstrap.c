/* SPDX-License-Identifier: MIT */
/*
 * Bootstrap files: what one node writes another reads, in any order and again and again; what is damaged, forged, foreign or too large is refused
 * with a reason and leaves the store as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "exchange/bootstrap.h"
#include "exchange/fields.h"
#include "exchange/token.h"

#include "bootstrap_files.h"

static void read_good(struct bootstrap *b, const void *data, size_t len)
{
	struct text why = { 0 };
	char *exact = malloc(len);

	memcpy(exact, data, len);
	if (!bootstrap_read(b, exact, len, &why))
		fail_msg("%s", why.s);
	free(exact);
}

static void assert_read_refused(const void *data, size_t len, const char *reason)
{
	static const struct bootstrap empty;
	struct text why = { 0 };
	struct bootstrap b;
	char *exact = malloc(len ? len : 1);

	memcpy(exact, data, len);
	assert_false(bootstrap_read(&b, exact, len, &why));
	assert_memory_equal(&b, &empty, sizeof(b));
	assert_non_null(why.s);
	assert_null(strchr(why.s, '\n'));
	if (reason)
		assert_string_equal(why.s, reason);
	text_done(&why);
	free(exact);
}

static size_t count_kind(const struct bootstrap *b, enum item_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++)
		n += b->items[i]->kind == kind;
	return n;
}

static void comes_back(void **state)
{
	const struct bootstrap_options *const ways[] = { &plain, &binary };
	struct mesh_stage st;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	for (size_t i = 0; i < 2; i++) {
		struct text file = written(st.store, ways[i]), why = { 0 };
		struct bootstrap_news news;
		struct bootstrap b;
		struct store *s;

		read_good(&b, file.s, file.len);
		assert_string_equal(b.name, "home");
		assert_memory_equal(b.mesh, st.mesh, SIGN_KEY_LEN);
		assert_null(b.token);
		s = bootstrap_store(&b, MESH_NOW_S, &news, &why);
		assert_non_null(s);
		assert_same_items(s, st.store);
		assert_int_equal(news.added, b.count);
		assert_int_equal(news.known + news.old + news.refused, 0);
		assert_true(bootstrap_merge(s, &b, MESH_NOW_S, &news, &why));
		assert_int_equal(news.known, b.count);
		assert_int_equal(news.added + news.old + news.refused, 0);
		assert_string_equal(news.first_refused, "");
		store_free(s);
		bootstrap_done(&b);
		text_done(&file);
	}
	stage_close(&st);
}

static void text_says_what_it_is(void **state)
{
	struct mesh_stage st;
	struct text file, expected = { 0 };
	char key[KEY_BASE64_MAX];

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	file = written(st.store, &plain);
	text_addf(&expected, "-----BEGIN MESHD MESH-----\nMesh: home\nKey: %s\nNodes: 4\n\n", key_to_base64(key, st.mesh));
	assert_memory_equal(file.s, expected.s, expected.len);
	text_done(&file);
	text_done(&expected);
	stage_close(&st);
}

/* Mesh keys by mesh keys, a release that keeps some: chains that have to be taken up from either end. */
static void chain_fill(struct mesh_stage *st)
{
	uint8_t seed[SIGN_SEED_LEN], next[SIGN_SEED_LEN];
	struct node_keys two;
	const char *why;

	stage_fill(st);
	keys_make(&two, 2);
	if (!mint_release(st->store, st->seed, two.sign_key, MESH_NOW_S, &why))
		fail_msg("%s", why);
	memcpy(seed, st->seed, sizeof(seed));
	for (unsigned int i = 0; i < 3; i++) {
		memset(next, (int)(100 + i), sizeof(next));
		if (!mint_rotation(st->store, seed, next, 30 * 86400, MESH_NOW_S, &why))
			fail_msg("rotation %u: %s", i, why);
		memcpy(seed, next, sizeof(seed));
	}
	stage_node(st, seed, 5, 0);
}

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

static void any_order(void **state)
{
	struct mesh_stage st;
	const struct item *const *v;
	uint32_t x = 2463534242;
	size_t count;

	(void)state;
	stage_open(&st, 1);
	chain_fill(&st);
	count = store_sorted(st.store, &v);
	assert_true(count > 10 && count < 64);
	for (int round = 0; round < 200; round++) {
		struct text m = { 0 }, file, why = { 0 };
		struct bootstrap_news news;
		struct bootstrap b;
		size_t order[64];
		struct store *s;

		for (size_t i = 0; i < count; i++)
			order[i] = count - 1 - i;
		for (size_t i = count; round && i > 1; i--) {
			size_t k = next_random(&x) % i, was = order[i - 1];

			order[i - 1] = order[k];
			order[k] = was;
		}
		start_message(&m, st.mesh);
		for (size_t i = 0; i < count; i++)
			fields_add_element(&m, 3, v[order[i]]->bytes, v[order[i]]->len);
		file = framed(&m);
		read_good(&b, file.s, file.len);
		s = bootstrap_store(&b, MESH_NOW_S, &news, &why);
		if (!s)
			fail_msg("round %d: %s", round, why.s);
		assert_string_equal(news.first_refused, "");
		assert_same_items(s, st.store);
		assert_true(bootstrap_merge(s, &b, MESH_NOW_S, &news, &why));
		assert_int_equal(news.known, b.count);
		store_free(s);
		bootstrap_done(&b);
		text_done(&m);
		text_done(&file);
	}
	stage_close(&st);
}

/* Merge 'file' into 's', which must refuse it and stay what it was. */
static void assert_merge_refused(struct store *s, const struct text *file, const char *reason)
{
	static const struct bootstrap_news none;
	struct store *before = store_copy(s);
	uint64_t version = store_version(s);
	struct bootstrap_news news;
	struct text why = { 0 };
	struct bootstrap b;

	read_good(&b, file->s, file->len);
	assert_false(bootstrap_merge(s, &b, MESH_NOW_S, &news, &why));
	assert_string_equal(why.s, reason);
	assert_memory_equal(&news, &none, sizeof(news));
	assert_true(store_version(s) == version);
	assert_same_items(s, before);
	assert_null(bootstrap_store(&b, MESH_NOW_S, &news, &why) ? (void *)1 : NULL);
	store_free(before);
	bootstrap_done(&b);
	text_done(&why);
}

static void other_mesh(void **state)
{
	struct mesh_stage ours, theirs;
	struct text file, m = { 0 }, why = { 0 };
	const struct item *const *v;
	struct bootstrap_news news;
	struct bootstrap b;
	size_t count;

	(void)state;
	stage_open(&ours, 1);
	stage_open(&theirs, 2);
	stage_fill(&ours);
	stage_fill(&theirs);
	file = written(theirs.store, &binary);
	read_good(&b, file.s, file.len);
	assert_false(bootstrap_merge(ours.store, &b, MESH_NOW_S, &news, &why));
	assert_string_equal(why.s, "it is of another mesh");
	bootstrap_done(&b);
	text_done(&file);
	/* Their items under our key. */
	start_message(&m, ours.mesh);
	count = store_sorted(theirs.store, &v);
	for (size_t i = 0; i < count; i++)
		if (v[i]->kind == ITEM_NODE)
			fields_add_element(&m, 3, v[i]->bytes, v[i]->len);
	file = framed(&m);
	read_good(&b, file.s, file.len);
	text_reset(&why);
	assert_false(bootstrap_merge(ours.store, &b, MESH_NOW_S, &news, &why));
	assert_memory_equal(why.s, "node n", 6);
	assert_non_null(strstr(why.s, ": its signature is wrong, or it is of another mesh"));
	bootstrap_done(&b);
	text_done(&file);
	text_done(&m);
	text_done(&why);
	stage_close(&ours);
	stage_close(&theirs);
}

/* All that is in 's' is in 'from', byte for byte. */
static void assert_nothing_else(const struct store *s, const struct store *from)
{
	const struct item *const *v;
	size_t count = store_items(s, &v);

	for (size_t i = 0; i < count; i++) {
		const struct item *there = store_item(from, v[i]->id);

		assert_non_null(there);
		assert_int_equal(v[i]->len, there->len);
		assert_memory_equal(v[i]->bytes, there->bytes, there->len);
	}
}

/* One bit of any item's bytes, among good ones: never taken, whatever the reason. All of the file is refused, or nobody knows the signer any more. */
static void forged_items(void **state)
{
	struct mesh_stage st, empty;
	const struct item *const *v;
	size_t count, whole = 0, strangers = 0;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	count = store_sorted(st.store, &v);
	for (size_t i = 0; i < count; i++) {
		for (size_t at = 0; at < v[i]->len; at += 3) {
			struct text m = { 0 }, file, why = { 0 };
			struct bootstrap_news news;
			struct bootstrap b;

			stage_open(&empty, 1);
			start_message(&m, st.mesh);
			for (size_t k = 0; k < count; k++) {
				fields_add_element(&m, 3, v[k]->bytes, v[k]->len);
				if (k == i)
					m.s[m.len - v[k]->len + at] ^= 1;
			}
			file = framed(&m);
			if (bootstrap_read(&b, file.s, file.len, &why)) {
				if (bootstrap_merge(empty.store, &b, MESH_NOW_S, &news, &why)) {
					assert_true(news.refused || news.later);
					assert_nothing_else(empty.store, st.store);
					strangers++;
				} else {
					assert_non_null(why.s);
					assert_int_equal(store_version(empty.store), 0);
					whole++;
				}
				bootstrap_done(&b);
			}
			text_done(&m);
			text_done(&file);
			text_done(&why);
			stage_close(&empty);
		}
	}
	assert_true(whole > strangers && strangers > 0);
	stage_close(&st);
}

static void every_truncation(void **state)
{
	const struct bootstrap_options *const ways[] = { &plain, &binary };
	struct mesh_stage st;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	for (size_t i = 0; i < 2; i++) {
		struct text file = written(st.store, ways[i]);

		for (size_t n = 0; n < file.len - 1; n++)
			assert_read_refused(file.s, n, NULL);
		text_done(&file);
	}
	stage_close(&st);
}

static void every_changed_byte(void **state)
{
	struct mesh_stage st;
	struct text file;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	file = written(st.store, &binary);
	for (size_t n = 0; n < file.len; n++) {
		file.s[n] ^= 0x10;
		assert_read_refused(file.s, file.len, NULL);
		file.s[n] ^= 0x10;
	}
	text_add(&file, "x");
	assert_read_refused(file.s, file.len, "something follows its end");
	text_done(&file);
	stage_close(&st);
}

static void older_is_left(void **state)
{
	struct mesh_stage st;
	struct text old, why = { 0 };
	struct node_keys four;
	struct bootstrap_news news;
	struct store *before;
	struct bootstrap b;
	struct store_node n;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 0);
	stage_node(&st, st.seed, 4, 0);
	old = written(st.store, &plain);
	/* A newer record of one, the other revoked. */
	keys_make(&four, 4);
	assert_true(mint_revocation(st.store, st.seed, four.public_key, "", MESH_NOW_S, &(const char *){ NULL }));
	stage_node(&st, st.seed, 1, 86400);
	before = store_copy(st.store);
	read_good(&b, old.s, old.len);
	assert_true(bootstrap_merge(st.store, &b, MESH_NOW_S, &news, &why));
	assert_int_equal(news.added, 0);
	assert_int_equal(news.refused, 0);
	assert_true(news.old >= 1);
	assert_int_equal(news.old + news.known, b.count);
	assert_same_items(st.store, before);
	assert_true(store_find(st.store, four.public_key, MESH_NOW_S, &n));
	assert_int_equal(n.standing, NODE_REVOKED);
	store_free(before);
	bootstrap_done(&b);
	text_done(&old);
	stage_close(&st);
}

/* n3's signer was released here meanwhile: that one is left out and told, the others come. */
static void strangers_are_counted(void **state)
{
	struct mesh_stage there, here;
	struct text file, why = { 0 };
	struct bootstrap_news news;
	struct node_keys two, three;
	struct bootstrap b;
	struct store_node n;
	const char *reason;

	(void)state;
	stage_open(&there, 1);
	stage_open(&here, 1);
	stage_fill(&there);
	stage_node(&there, there.seed, 6, 0);
	keys_make(&two, 2);
	keys_make(&three, 3);
	file = written(there.store, &plain);
	stage_node(&here, here.seed, 1, 0);
	assert_true(mint_release(here.store, here.seed, two.sign_key, MESH_NOW_S, &reason));
	read_good(&b, file.s, file.len);
	if (!bootstrap_merge(here.store, &b, MESH_NOW_S, &news, &why))
		fail_msg("%s", why.s);
	/* The record and self record of n3, and what n2 said of n4. */
	assert_int_equal(news.refused, 3);
	assert_non_null(strstr(news.first_refused, ": its signer was released"));
	assert_false(store_find(here.store, three.public_key, MESH_NOW_S, &n) && n.record);
	assert_true(store_find_name(here.store, "n6", MESH_NOW_S, &n));
	assert_true(store_find_name(here.store, "n4", MESH_NOW_S, &n));
	bootstrap_done(&b);
	text_done(&file);
	stage_close(&there);
	stage_close(&here);
}

/* What a later meshd has put into a file is left out and counted; all else of it comes, and what is no item of any meshd's is still refused. */
static void of_a_later_version(void **state)
{
	struct mesh_stage there, here;
	struct text m = { 0 }, file, why = { 0 };
	struct bootstrap_news news;
	struct bootstrap b;
	const struct item *const *v;
	uint8_t later[ITEM_MAX];
	size_t count, len;

	(void)state;
	stage_open(&there, 1);
	stage_open(&here, 1);
	stage_fill(&there);
	count = store_sorted(there.store, &v);
	start_message(&m, there.mesh);
	fields_add_bytes(&m, 99, "field of a later version", 24);
	for (size_t i = 0; i < count; i++) {
		len = signed_of_kind(there.mesh, there.seed, 8 + (uint32_t)i % 3, &i, sizeof(i), NULL, 0, later);
		fields_add_bytes(&m, 3, later, len);
		fields_add_bytes(&m, 3, v[i]->bytes, v[i]->len);
	}
	file = framed(&m);
	read_good(&b, file.s, file.len);
	assert_int_equal(b.count, count);
	assert_int_equal(b.later, count);
	if (!bootstrap_merge(here.store, &b, MESH_NOW_S, &news, &why))
		fail_msg("%s", why.s);
	assert_int_equal(news.added, count);
	assert_int_equal(news.later, count);
	assert_int_equal(news.known + news.old + news.refused, 0);
	assert_same_items(here.store, there.store);
	bootstrap_done(&b);
	text_done(&file);
	len = signed_of_kind(there.mesh, there.seed, 256 + ITEM_NODE, "", 0, NULL, 0, later);
	fields_add_bytes(&m, 3, later, len);
	file = framed(&m);
	text_addf(&why, "item %zu of it: it is malformed", 2 * count + 1);
	assert_read_refused(file.s, file.len, why.s);
	text_done(&why);
	text_done(&file);
	text_done(&m);
	stage_close(&there);
	stage_close(&here);
}

static struct item *signed_delegation(const struct mesh_stage *st, const struct node_keys *by, const struct node_keys *to)
{
	struct item content = { .kind = ITEM_DELEGATION, .delegation = { .not_before_s = 1, .not_after_s = MESH_NOW_S * 2LL, .serial = 9 } };
	const char *why;
	struct item *i;

	memcpy(content.delegation.sign_key, to->sign_key, SIGN_KEY_LEN);
	memcpy(content.delegation.public_key, to->public_key, KEY_LEN);
	i = item_sign(st->mesh, &content, by->seed, &why);
	assert_non_null(i);
	return i;
}

static void delegates_do_not_delegate(void **state)
{
	struct mesh_stage st;
	struct node_keys one, two;
	struct text m = { 0 }, file;
	struct item *a, *b;
	const struct item *const *v;
	size_t count;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	keys_make(&one, 1);
	keys_make(&two, 2);
	a = signed_delegation(&st, &one, &two);
	b = signed_delegation(&st, &two, &one);
	start_message(&m, st.mesh);
	fields_add_element(&m, 3, a->bytes, a->len);
	fields_add_element(&m, 3, b->bytes, b->len);
	count = store_sorted(st.store, &v);
	for (size_t i = 0; i < count; i++)
		fields_add_element(&m, 3, v[i]->bytes, v[i]->len);
	file = framed(&m);
	{
		char reason[200], key[KEY_BASE64_MAX];

		snprintf(reason, sizeof(reason), "delegation of %s: it is not signed by a mesh key", key_to_base64(key, two.public_key));
		assert_merge_refused(st.store, &file, reason);
	}
	item_free(a);
	item_free(b);
	text_done(&m);
	text_done(&file);
	stage_close(&st);
}

/* One node more than there is room for: none is taken. */
static void too_many_nodes(void **state)
{
	struct mesh_stage st, empty;
	struct item content = { .kind = ITEM_NODE };
	struct text m = { 0 }, file;

	(void)state;
	stage_open(&st, 1);
	stage_open(&empty, 1);
	stage_node(&empty, empty.seed, 1, 0);
	start_message(&m, st.mesh);
	strcpy(content.node.name, "many");
	content.node.not_after_s = MESH_NOW_S + 1000;
	memset(content.node.sign_key, 1, SIGN_KEY_LEN);
	memset(content.node.public_key, 1, KEY_LEN);
	for (uint32_t n = 0; n <= STORE_NODES_MAX; n++) {
		const char *why;
		struct item *i;

		put_be32(content.node.public_key + 4, n);
		i = item_sign(st.mesh, &content, st.seed, &why);
		assert_non_null(i);
		fields_add_element(&m, 3, i->bytes, i->len);
		item_free(i);
	}
	file = framed(&m);
	assert_merge_refused(empty.store, &file, "node many: the store is full");
	text_done(&m);
	text_done(&file);
	stage_close(&st);
	stage_close(&empty);
}

static void assert_message_refused(const struct text *m, const char *reason)
{
	struct text file = framed(m);

	assert_read_refused(file.s, file.len, reason);
	text_done(&file);
}

static void hostile_messages(void **state)
{
	struct text m = { 0 };
	uint8_t mesh[SIGN_KEY_LEN];

	(void)state;
	memset(mesh, 3, sizeof(mesh));
	assert_message_refused(&m, "there is no key of a mesh in it");
	start_message(&m, mesh);
	for (int i = 0; i < 1000000; i++)
		fields_add_element(&m, 3, "", 0);
	assert_message_refused(&m, "there are more than 20000 items in it");
	text_reset(&m);
	start_message(&m, mesh);
	for (int i = 0; i < BOOTSTRAP_ITEMS_MAX; i++)
		fields_add_element(&m, 3, "", 0);
	assert_message_refused(&m, "item 1 of it: it is not signed");
	text_reset(&m);
	start_message(&m, mesh);
	text_add_bytes(&m, "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
	assert_message_refused(&m, "it is malformed");
	text_reset(&m);
	start_message(&m, mesh);
	text_add_bytes(&m, "\x1a\xff\xff\xff\x7f", 5);
	assert_message_refused(&m, "it is malformed");
	text_reset(&m);
	fields_add_bytes(&m, 1, mesh, 31);
	assert_message_refused(&m, "its key is malformed");
	text_reset(&m);
	fields_add_bytes(&m, 1, mesh, 32);
	assert_message_refused(&m, "there is no good name of a mesh in it");
	fields_add_bytes(&m, 2, "a\nb", 3);
	assert_message_refused(&m, "there is no good name of a mesh in it");
	text_reset(&m);
	start_message(&m, mesh);
	fields_add_bytes(&m, 4, "nonsense", 8);
	assert_message_refused(&m, "the invitation in it is malformed");
	text_done(&m);
}

static void hostile_files(void **state)
{
	char *large = calloc(1, BOOTSTRAP_SIZE_MAX + 1);

	(void)state;
	assert_read_refused("", 0, "it is empty");
	assert_read_refused(large, BOOTSTRAP_SIZE_MAX, "there is no block of meshd in it");
	assert_read_refused(large, BOOTSTRAP_SIZE_MAX + 1, "it is longer than 8388608 bytes");
	memcpy(large, "meshd\0\1\n\xff\xff\xff\xff", 12);
	assert_read_refused(large, BOOTSTRAP_SIZE_MAX, "it was cut short");
	memcpy(large, "meshd\0\1\n\0\0\0\0", 12);
	assert_read_refused(large, BOOTSTRAP_SIZE_MAX, "something follows its end");
	assert_read_refused(large, 12, "it was cut short");
	memcpy(large, "meshd\0\2\n", 8);
	assert_read_refused(large, BOOTSTRAP_SIZE_MAX, "it is of a later meshd, or damaged");
	free(large);
}

static struct text token_of(const uint8_t mesh[SIGN_KEY_LEN])
{
	struct token t = { .mesh_name = "home", .node_name = "new", .not_after_s = MESH_NOW_S, .contact_count = 1 };
	struct text out = { 0 };

	memcpy(t.mesh, mesh, sizeof(t.mesh));
	memset(t.one_time_key, 2, KEY_LEN);
	memset(t.psk, 3, KEY_LEN);
	memset(t.issuer, 4, KEY_LEN);
	memset(t.contacts[0].public_key, 4, KEY_LEN);
	assert_true(token_encode(&t, &out));
	return out;
}

/* 'from' in the file, which is there once, becomes 'to'. */
static struct text with(const struct text *file, const char *from, const char *to)
{
	const char *at = strstr(file->s, from);
	struct text t = { 0 };

	assert_non_null(at);
	text_add_bytes(&t, file->s, (size_t)(at - file->s));
	text_add(&t, to);
	text_add(&t, at + strlen(from));
	return t;
}

static void invitation_files(void **state)
{
	static const char *const block[][2] = { { "BEGIN MESHD INVITATION", "BEGIN MESHD MESH" }, { "END MESHD INVITATION", "END MESHD MESH" } };
	struct mesh_stage st;
	struct bootstrap_options o = { .name = "home" };
	struct text token, file, half, other;
	struct bootstrap b;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	token = token_of(st.mesh);
	o.token = (uint8_t *)token.s;
	o.token_len = token.len;
	file = written(st.store, &o);
	read_good(&b, file.s, file.len);
	assert_int_equal(b.token_len, token.len);
	assert_memory_equal(b.token, token.s, token.len);
	bootstrap_done(&b);
	assert_null(b.token);
	/* A secret may not go as what one can put on a web server. */
	half = with(&file, block[0][0], block[0][1]);
	other = with(&half, block[1][0], block[1][1]);
	assert_read_refused(other.s, other.len, "there is an invitation in it, and it does not say so");
	text_done(&half);
	text_done(&other);
	text_done(&file);
	file = written(st.store, &plain);
	half = with(&file, block[0][1], block[0][0]);
	other = with(&half, block[1][1], block[1][0]);
	assert_read_refused(other.s, other.len, "there is no invitation in it");
	text_done(&half);
	text_done(&other);
	text_done(&file);
	text_done(&token);
	/* To another mesh. */
	token = token_of((const uint8_t *)"12345678123456781234567812345678");
	o.token = (uint8_t *)token.s;
	file = written(st.store, &o);
	assert_read_refused(file.s, file.len, "its invitation is to another mesh");
	text_done(&token);
	text_done(&file);
	stage_close(&st);
}

static void headers_must_be_true(void **state)
{
	struct mesh_stage st;
	struct text file, other, request = { 0 };

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	file = written(st.store, &plain);
	other = with(&file, "Key: ", "Key: A");
	assert_read_refused(other.s, other.len, "the Key line says another key than is in it");
	text_done(&other);
	other = with(&file, "Mesh: home", "Mesh: work");
	assert_read_refused(other.s, other.len, "the Mesh line says another name than is in it");
	text_done(&other);
	armour_write(ARMOUR_JOIN_REQUEST, NULL, "x", 1, &request);
	assert_read_refused(request.s, request.len, "it is a join request, and no mesh's file");
	text_done(&request);
	text_done(&file);
	stage_close(&st);
}

static void chosen_nodes(void **state)
{
	struct mesh_stage st;
	struct node_keys three;
	struct bootstrap_options o = { .name = "home", .only_count = 1 };
	struct text file, why = { 0 };
	struct bootstrap_news news;
	struct bootstrap b;
	struct store_node n;
	struct store *s;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	keys_make(&three, 3);
	o.only = (const uint8_t(*)[KEY_LEN])&three.public_key;
	file = written(st.store, &o);
	read_good(&b, file.s, file.len);
	/* n3, its self record, and the delegation to who signed it. */
	assert_int_equal(b.count, 3);
	assert_int_equal(count_kind(&b, ITEM_DELEGATION), 1);
	s = bootstrap_store(&b, MESH_NOW_S, &news, &why);
	assert_non_null(s);
	assert_true(store_find(s, three.public_key, MESH_NOW_S, &n));
	assert_int_equal(n.standing, NODE_GOOD);
	assert_non_null(n.self);
	store_free(s);
	bootstrap_done(&b);
	text_done(&file);
	/* The same with his signer released and n3 kept. */
	keys_make(&three, 2);
	assert_true(mint_release(st.store, st.seed, three.sign_key, MESH_NOW_S, &(const char *){ NULL }));
	keys_make(&three, 3);
	file = written(st.store, &o);
	read_good(&b, file.s, file.len);
	s = bootstrap_store(&b, MESH_NOW_S, &news, &why);
	assert_true(s && store_find(s, three.public_key, MESH_NOW_S, &n));
	assert_int_equal(n.standing, NODE_GOOD);
	store_free(s);
	bootstrap_done(&b);
	text_done(&file);
	stage_close(&st);
}

static void invitations_stay_at_home(void **state)
{
	struct bootstrap_options own = { .name = "home", .invitations = true };
	struct invitation v = { .not_after_s = MESH_NOW_S + 1000 };
	struct mesh_stage st;
	struct text file;
	struct bootstrap b;
	const char *why;

	(void)state;
	stage_open(&st, 1);
	stage_fill(&st);
	memset(v.token, 8, KEY_LEN);
	memset(v.issuer, 9, KEY_LEN);
	assert_true(mint_invitation(st.store, st.seed, &v, MESH_NOW_S, &why));
	file = written(st.store, &plain);
	read_good(&b, file.s, file.len);
	assert_int_equal(count_kind(&b, ITEM_INVITATION), 0);
	bootstrap_done(&b);
	text_done(&file);
	file = written(st.store, &own);
	read_good(&b, file.s, file.len);
	assert_int_equal(count_kind(&b, ITEM_INVITATION), 1);
	bootstrap_done(&b);
	text_done(&file);
	stage_close(&st);
}

/* Expired nodes are left out; the delegation of one who revoked somebody is not, or the revoked would be back. */
static void expired_are_left_out(void **state)
{
	struct mesh_stage st;
	struct node_keys one, four;
	struct text file = { 0 }, why = { 0 };
	struct bootstrap_news news;
	struct store_node n;
	struct bootstrap b;
	struct store *s;
	const char *reason;

	(void)state;
	stage_open(&st, 1);
	stage_node(&st, st.seed, 1, 0);
	stage_node(&st, st.seed, 4, 0);
	stage_node(&st, st.seed, 5, 1000);
	stage_delegate(&st, 1, 1000);
	keys_make(&one, 1);
	keys_make(&four, 4);
	assert_true(mint_revocation(st.store, one.seed, four.public_key, "", MESH_NOW_S, &reason));
	assert_true(bootstrap_write(st.store, &plain, MESH_NOW_S + 5000, &file));
	read_good(&b, file.s, file.len);
	assert_int_equal(count_kind(&b, ITEM_NODE), 2);
	s = bootstrap_store(&b, MESH_NOW_S + 5000, &news, &why);
	assert_non_null(s);
	assert_int_equal(news.refused, 0);
	assert_true(store_find(s, four.public_key, MESH_NOW_S + 5000, &n));
	assert_int_equal(n.standing, NODE_REVOKED);
	store_free(s);
	bootstrap_done(&b);
	text_done(&file);
	stage_close(&st);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(text_says_what_it_is),
		cmocka_unit_test(any_order),
		cmocka_unit_test(other_mesh),
		cmocka_unit_test(forged_items),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(every_changed_byte),
		cmocka_unit_test(older_is_left),
		cmocka_unit_test(strangers_are_counted),
		cmocka_unit_test(of_a_later_version),
		cmocka_unit_test(delegates_do_not_delegate),
		cmocka_unit_test(too_many_nodes),
		cmocka_unit_test(hostile_messages),
		cmocka_unit_test(hostile_files),
		cmocka_unit_test(invitation_files),
		cmocka_unit_test(headers_must_be_true),
		cmocka_unit_test(chosen_nodes),
		cmocka_unit_test(invitations_stay_at_home),
		cmocka_unit_test(expired_are_left_out),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
