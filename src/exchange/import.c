/* SPDX-License-Identifier: MIT */
/*
 * Importing: a bootstrap file into a store, by its last step or not at all. What is in it is anybody's, so the cheap questions come first:
 *
 *	read		its frame, and its items' form (bootstrap.c)
 *	try		on a copy of the store, signatures aside: most of what a stranger can write has no signer that counts, and is done with
 *	count		what was refused for that; anything else that was is a fault of the file
 *	verify		what the copy took. All of it, also what something else in the file has put out since: a single forgery, and nothing comes of the file
 *	replace		the store by its copy, with what came to it by other ways meanwhile
 *
 * Items may lie in the file in any order: those that were refused for want of a signer are offered again as long as others were taken. Chains of
 * signers are as long as the store has mesh keys, which bounds the rounds.
 */
#include "exchange/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROUNDS_MAX = STORE_MESH_KEYS_MAX + 4,	/* mesh keys by mesh keys, a delegation, a node, its self record, and one in which nothing came */
};

enum phase {
	TRYING,
	COUNTING,
	VERIFYING,
};

struct merge {
	struct store *s, *copy;
	const struct bootstrap *b;
	int64_t now_s;
	enum phase phase;
	size_t at;			/* the next item of the phase */
	int round;
	size_t round_taken;		/* how many were taken when it began */
	bool *settled;			/* of each item: offered, and not refused */
	uint32_t *taken;		/* which changed the copy */
	size_t taken_count;
	struct bootstrap_news news;
};

static bool refuse(struct text *why, const char *reason)
{
	text_add(why, reason);
	return false;
}

/* "node alpha", "self record of KEY". */
static void format_label(const struct item *i, char *out, size_t size)
{
	const uint8_t *subject = item_subject(i);
	char key[KEY_BASE64_MAX];

	if (i->kind == ITEM_NODE)
		snprintf(out, size, "%s %s", item_kind_name(i->kind), i->node.name);
	else if (subject)
		snprintf(out, size, "%s of %s", item_kind_name(i->kind), key_to_base64(key, subject));
	else
		snprintf(out, size, "%s", item_kind_name(i->kind));
}

static bool refuse_item(struct text *why, const struct item *i, const char *reason)
{
	char label[128];

	format_label(i, label, sizeof(label));
	text_addf(why, "%s: %s", label, reason);
	return false;
}

/*
 * Trying.
 */

static enum store_result offer(struct merge *m, size_t at, const char **reason)
{
	return store_add(m->copy, item_hold(m->b->items[at]), m->now_s, reason);
}

static void try_item(struct merge *m, size_t at)
{
	const char *reason;
	enum store_result result;

	if (m->settled[at])
		return;
	result = offer(m, at, &reason);
	m->settled[at] = result != STORE_REFUSED;
	if (result == STORE_ADDED) {
		m->taken[m->taken_count++] = (uint32_t)at;
		m->news.added++;
	}
	m->news.known += result == STORE_KNOWN;
	m->news.old += result == STORE_OLD;
}

/* All were offered. What came may be what others waited for. */
static void end_round(struct merge *m)
{
	if (m->taken_count == m->round_taken || ++m->round == ROUNDS_MAX)
		m->phase = COUNTING;
	m->round_taken = m->taken_count;
	m->at = 0;
}

/*
 * Counting.
 */

/* Whether the signer of what was refused has no say: now, or any more. A file may be old, or be from where less is known. */
static bool misses_signer(const struct store *s, const struct item *i, int64_t now_s)
{
	struct store_node n;

	if (i->kind != ITEM_SELF)
		return !store_may_sign(s, i->signer, now_s);
	return !store_find(s, i->self.public_key, now_s, &n) || n.standing != NODE_GOOD || memcmp(n.record->sign_key, i->signer, SIGN_KEY_LEN) != 0;
}

/* What the store will not have for want of a signer that counts is counted; anything else is a fault of the file. */
static bool count_item(struct merge *m, size_t at, struct text *why)
{
	const struct item *item = m->b->items[at];
	const char *reason = "refused";
	struct text line = { 0 };

	if (m->settled[at])
		return true;
	if (offer(m, at, &reason) != STORE_REFUSED)
		return refuse(why, "its items depend on each other in too many rounds");
	if (!misses_signer(m->copy, item, m->now_s))
		return refuse_item(why, item, reason);
	if (m->news.refused++)
		return true;
	refuse_item(&line, item, reason);
	snprintf(m->news.first_refused, sizeof(m->news.first_refused), "%s", line.s ? line.s : "");
	text_done(&line);
	return true;
}

/*
 * The whole.
 */

static bool merge_begin(struct merge *m, struct store *s, const struct bootstrap *b, int64_t now_s, struct text *why)
{
	*m = (struct merge){ .s = s, .b = b, .now_s = now_s, .news.later = b->later };
	if (memcmp(store_mesh(s), b->mesh, SIGN_KEY_LEN) != 0)
		return refuse(why, "it is of another mesh");
	m->settled = calloc(b->count + 1, sizeof(*m->settled));
	m->taken = calloc(b->count + 1, sizeof(*m->taken));
	m->copy = store_copy(s);
	return (m->settled && m->taken && m->copy) || refuse(why, "no memory");
}

static void merge_end(struct merge *m)
{
	free(m->settled);
	free(m->taken);
	store_free(m->copy);
	*m = (struct merge){ .s = NULL };
}

static enum bootstrap_step verify(struct merge *m, struct text *why)
{
	for (size_t i = 0; i < IMPORT_SIGNATURES && m->at < m->taken_count; i++, m->at++) {
		const struct item *item = m->b->items[m->taken[m->at]];

		if (item_is_signed(item, m->b->mesh))
			continue;
		refuse_item(why, item, "its signature is wrong, or it is of another mesh");
		return BOOTSTRAP_REFUSED;
	}
	if (m->at < m->taken_count)
		return BOOTSTRAP_MORE;
	if (m->taken_count) {
		store_replace(m->s, m->copy, m->now_s);
		m->copy = NULL;
	}
	return BOOTSTRAP_DONE;
}

static enum bootstrap_step merge_step(struct merge *m, struct text *why)
{
	if (m->phase == VERIFYING)
		return verify(m, why);
	for (size_t i = 0; i < IMPORT_ITEMS && m->at < m->b->count; i++, m->at++)
		if (m->phase == TRYING)
			try_item(m, m->at);
		else if (!count_item(m, m->at, why))
			return BOOTSTRAP_REFUSED;
	if (m->at < m->b->count)
		return BOOTSTRAP_MORE;
	if (m->phase == TRYING) {
		end_round(m);
	} else {
		m->phase = VERIFYING;
		m->at = 0;
	}
	return BOOTSTRAP_MORE;
}

bool bootstrap_merge(struct store *s, const struct bootstrap *b, int64_t now_s, struct bootstrap_news *news, struct text *why)
{
	enum bootstrap_step step = BOOTSTRAP_MORE;
	struct merge m;

	*news = (struct bootstrap_news){ 0 };
	if (!merge_begin(&m, s, b, now_s, why))
		step = BOOTSTRAP_REFUSED;
	while (step == BOOTSTRAP_MORE)
		step = merge_step(&m, why);
	if (step == BOOTSTRAP_DONE)
		*news = m.news;
	merge_end(&m);
	return step == BOOTSTRAP_DONE;
}

struct store *bootstrap_store(const struct bootstrap *b, int64_t now_s, struct bootstrap_news *news, struct text *why)
{
	struct store *s = store_new(b->mesh);

	*news = (struct bootstrap_news){ 0 };
	if (!s) {
		text_add(why, "no memory");
		return NULL;
	}
	if (bootstrap_merge(s, b, now_s, news, why))
		return s;
	store_free(s);
	return NULL;
}

/*
 * A little at a time.
 */

enum stage {
	OPENING,
	READING,
	READ,
	MERGING,
};

struct import {
	enum stage stage;
	struct store *s;
	const void *data;
	size_t len;
	int64_t now_s;
	struct bootstrap b;
	struct bootstrap_reading reading;
	struct merge merge;
};

struct import *import_new(struct store *s, const void *data, size_t len, int64_t now_s)
{
	struct import *i = calloc(1, sizeof(*i));

	if (i)
		*i = (struct import){ .s = s, .data = data, .len = len, .now_s = now_s };
	return i;
}

static enum bootstrap_step read_on(struct import *i, struct text *why)
{
	enum bootstrap_step step = bootstrap_step(&i->reading, IMPORT_ITEMS, why);

	if (step == BOOTSTRAP_MORE)
		return step;
	/* Refused, it has freed what there was. */
	i->stage = READ;
	return step == BOOTSTRAP_DONE ? BOOTSTRAP_MORE : step;
}

enum bootstrap_step import_step(struct import *i, struct bootstrap_news *news, struct text *why)
{
	enum bootstrap_step step = BOOTSTRAP_MORE;

	switch (i->stage) {
	case OPENING:
		if (!bootstrap_open(&i->reading, &i->b, i->data, i->len, why))
			return BOOTSTRAP_REFUSED;
		i->stage = READING;
		return BOOTSTRAP_MORE;
	case READING:
		return read_on(i, why);
	case READ:
		i->stage = MERGING;
		return merge_begin(&i->merge, i->s, &i->b, i->now_s, why) ? BOOTSTRAP_MORE : BOOTSTRAP_REFUSED;
	case MERGING:
		step = merge_step(&i->merge, why);
		if (step == BOOTSTRAP_DONE)
			*news = i->merge.news;
		break;
	}
	return step;
}

void import_free(struct import *i)
{
	if (!i)
		return;
	if (i->stage == READING)
		bootstrap_close(&i->reading);
	merge_end(&i->merge);
	bootstrap_done(&i->b);
	free(i);
}
