/* SPDX-License-Identifier: MIT */
/*
 * Importing a little at a time: the store is as it was until the last step, what comes to it meanwhile stays, and no step does much - whatever is in the file.
 * What is taken and what is refused is test_bootstrap.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/fields.h"
#include "exchange/import.h"

#include "bootstrap_files.h"

static enum bootstrap_step import_all(struct import *i, struct bootstrap_news *news, struct text *why, size_t *steps)
{
	enum bootstrap_step step;

	for (*steps = 1; (step = import_step(i, news, why)) == BOOTSTRAP_MORE; ++*steps)
		;
	return step;
}

/* While it goes on the store is as it was, but for what comes to it by other ways; and that stays. */
static void in_steps(void **state)
{
	enum { NODES = 70, OTHER = 500, REVOKED = 7 };
	struct mesh_stage there, here, expected;
	struct text file, why = { 0 };
	struct bootstrap_news news = { 0 };
	struct node_keys revoked;
	struct import *import;
	struct store_node n;
	const char *reason;
	size_t steps, before = 0;
	const struct item *const *v;

	(void)state;
	stage_open(&there, 1);
	stage_open(&here, 1);
	stage_open(&expected, 1);
	for (unsigned int i = 1; i <= NODES; i++) {
		stage_node(&there, there.seed, i, 0);
		stage_node(&expected, there.seed, i, 0);
	}
	file = written(there.store, &plain);
	import = import_new(here.store, file.s, file.len, MESH_NOW_S);
	assert_non_null(import);
	for (steps = 1; import_step(import, &news, &why) == BOOTSTRAP_MORE; steps++) {
		assert_int_equal(store_items(here.store, &v), before);
		if (steps == 10) {
			stage_node(&here, here.seed, OTHER, 0);
			stage_node(&expected, here.seed, OTHER, 0);
			keys_make(&revoked, REVOKED);
			assert_true(mint_revocation(here.store, here.seed, revoked.public_key, "", MESH_NOW_S, &reason));
			assert_true(mint_revocation(expected.store, here.seed, revoked.public_key, "", MESH_NOW_S, &reason));
			before = store_items(here.store, &v);
		}
	}
	/* Two items of each node: read and tried, twice, by the dozens; verified in fours. */
	assert_in_range(steps, 2 * NODES / IMPORT_SIGNATURES, 2 * NODES / IMPORT_SIGNATURES + 25);
	assert_int_equal(why.len, 0);
	assert_int_equal(news.added, 2 * NODES);
	assert_same_items(here.store, expected.store);
	assert_true(store_find(here.store, revoked.public_key, MESH_NOW_S, &n));
	assert_int_equal(n.standing, NODE_REVOKED);
	import_free(import);
	/* Again: nothing to verify, nothing changed. */
	import = import_new(here.store, file.s, file.len, MESH_NOW_S);
	assert_int_equal(import_all(import, &news, &why, &steps), BOOTSTRAP_DONE);
	assert_int_equal(news.known + news.old, 2 * NODES);
	assert_true(steps < 20);
	import_free(import);
	text_done(&file);
	stage_close(&there);
	stage_close(&here);
	stage_close(&expected);
}

/* Given up after however many steps: nothing has happened. */
static void given_up(void **state)
{
	struct mesh_stage there, here;
	struct text file, why = { 0 };
	struct bootstrap_news news;
	enum bootstrap_step step = BOOTSTRAP_MORE;

	(void)state;
	stage_open(&there, 1);
	stage_open(&here, 1);
	stage_fill(&there);
	file = written(there.store, &binary);
	for (size_t steps = 0; step == BOOTSTRAP_MORE; steps++) {
		struct import *import = import_new(here.store, file.s, file.len, MESH_NOW_S);

		assert_int_equal(store_version(here.store), 0);
		step = BOOTSTRAP_MORE;
		for (size_t i = 0; i < steps && step == BOOTSTRAP_MORE; i++)
			step = import_step(import, &news, &why);
		import_free(import);
	}
	assert_int_equal(step, BOOTSTRAP_DONE);
	assert_same_items(here.store, there.store);
	text_done(&file);
	stage_close(&there);
	stage_close(&here);
}

/* What strangers can fill a file with is not worth a signature: as many steps as reading and trying it once take, and telling why. */
static void strangers_cost_little(void **state)
{
	enum { STRANGERS = 2000 };
	static const uint8_t stranger[SIGN_SEED_LEN] = { 9 };
	struct mesh_stage here;
	struct text m = { 0 }, file, why = { 0 };
	struct item c = { .kind = ITEM_REVOCATION, .revocation = { .public_key = { 1 } } };
	struct bootstrap_news news;
	struct import *import;
	const char *reason;
	size_t steps;

	(void)state;
	stage_open(&here, 1);
	stage_fill(&here);
	start_message(&m, here.mesh);
	for (int i = 0; i < STRANGERS; i++) {
		struct item *item;

		c.revocation.when_s = i;
		item = item_sign(here.mesh, &c, stranger, &reason);
		fields_add_element(&m, 3, item->bytes, item->len);
		item_free(item);
	}
	file = framed(&m);
	import = import_new(here.store, file.s, file.len, MESH_NOW_S);
	assert_int_equal(import_all(import, &news, &why, &steps), BOOTSTRAP_DONE);
	assert_int_equal(news.refused, STRANGERS);
	assert_in_range(steps, 3 * STRANGERS / IMPORT_ITEMS, 3 * STRANGERS / IMPORT_ITEMS + 10);
	import_free(import);
	text_done(&file);
	text_done(&m);
	stage_close(&here);
}

/* Forged in the name of one who may sign: what is good in the file does not come either, also not where the forgery was put out by it. */
static void forgery_spoils_all(void **state)
{
	struct mesh_stage st, here;
	struct text m = { 0 }, file;
	struct node_keys five;
	struct item c = { .kind = ITEM_NODE, .node = { .name = "n5", .not_after_s = MESH_NOW_S * 2LL, .serial = 1 } }, *forged, *good;
	struct text reason = { 0 };
	struct bootstrap_news news;
	struct import *import;
	const char *why;
	size_t signature, steps;
	uint64_t version;

	(void)state;
	stage_open(&st, 1);
	stage_open(&here, 1);
	stage_node(&here, here.seed, 1, 0);
	keys_make(&five, 5);
	memcpy(c.node.public_key, five.public_key, KEY_LEN);
	memcpy(c.node.sign_key, five.sign_key, SIGN_KEY_LEN);
	forged = item_sign(st.mesh, &c, st.seed, &why);
	c.node.serial = 2;
	good = item_sign(st.mesh, &c, st.seed, &why);
	assert_true(forged && good);
	start_message(&m, st.mesh);
	fields_add_element(&m, 3, forged->bytes, forged->len);
	signature = m.len - 1;
	fields_add_element(&m, 3, good->bytes, good->len);
	m.s[signature] ^= 1;
	file = framed(&m);
	version = store_version(here.store);
	import = import_new(here.store, file.s, file.len, MESH_NOW_S);
	assert_int_equal(import_all(import, &news, &reason, &steps), BOOTSTRAP_REFUSED);
	assert_string_equal(reason.s, "node n5: its signature is wrong, or it is of another mesh");
	assert_true(store_version(here.store) == version);
	import_free(import);
	text_done(&reason);
	text_done(&file);
	text_done(&m);
	item_free(forged);
	item_free(good);
	stage_close(&st);
	stage_close(&here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_steps),
		cmocka_unit_test(given_up),
		cmocka_unit_test(strangers_cost_little),
		cmocka_unit_test(forgery_spoils_all),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
