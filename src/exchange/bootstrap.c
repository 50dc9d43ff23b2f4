/* SPDX-License-Identifier: MIT */
/*
 * The bootstrap file: a whole mesh as far as one node knows it, to be read by anybody from anywhere. It is written by others, so it is taken
 * apart in four steps, each of which ends in a refusal that leaves everything as it was: the armour or the binary frame with its checksum (against
 * accidents), the fields (counted before anything is allocated), the items' form, and in a merge the signatures and whether the store would
 * take them, which is tried on a copy. Only then the real store is given what the copy took, in the same order, so that it does the same.
 *
 * Items may lie in the file in any order: those that were refused for want of a signer are offered again as long as others were taken. Chains of
 * signers are as long as the store has mesh keys, which bounds the rounds.
 */
#include "exchange/bootstrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "exchange/fields.h"
#include "exchange/token.h"

enum {
	FIELD_MESH = 1,
	FIELD_NAME = 2,
	FIELD_ITEM = 3,
	FIELD_TOKEN = 4,
	MAGIC_LEN = 8,
	CHECK_LEN = 16,
	BINARY_EXTRA = MAGIC_LEN + 4 + CHECK_LEN,
	ROUNDS_MAX = STORE_MESH_KEYS_MAX + 4,	/* mesh keys by mesh keys, a delegation, a node, its self record, and one in which nothing came */
};

static const uint8_t magic[MAGIC_LEN] = { 'm', 'e', 's', 'h', 'd', 0, 1, '\n' };

/* Reading */

static bool refuse(struct text *why, const char *reason)
{
	text_add(why, reason);
	return false;
}

/* What must be known before items are read: how many, and that all of it is protobuf. */
static bool count_items(const struct text *data, size_t *count, struct text *why)
{
	struct fields fields;
	struct field f;

	*count = 0;
	fields_start(&fields, data->s, data->len);
	while (fields_next(&fields, &f)) {
		if (f.number != FIELD_ITEM)
			continue;
		if (++*count > BOOTSTRAP_ITEMS_MAX) {
			text_addf(why, "there are more than %d items in it", BOOTSTRAP_ITEMS_MAX);
			return false;
		}
	}
	return !fields.bad || refuse(why, "it is malformed");
}

/* What is of a later meshd is no fault of the file's: it is for nodes that know it. */
static bool read_item(struct bootstrap *b, const struct field *f, struct text *why)
{
	const char *reason = "it is malformed";
	struct item *i = f->kind == FIELD_BYTES ? item_read_unchecked(f->data, f->len, &reason) : NULL;
	uint8_t id[ITEM_ID_LEN];

	if (!i && f->kind == FIELD_BYTES && item_is_later(f->data, f->len, id)) {
		b->later++;
		return true;
	}
	if (i && i->kind == ITEM_JOIN_REQUEST) {
		reason = "a join request has no place in it";
		item_free(i);
		i = NULL;
	}
	if (!i) {
		text_addf(why, "item %zu of it: %s", b->count + b->later + 1, reason);
		return false;
	}
	b->items[b->count++] = i;
	return true;
}

static bool read_token(struct bootstrap *b, const struct field *f, struct text *why)
{
	if (f->kind != FIELD_BYTES || b->token || f->len > TOKEN_TEXT_MAX)
		return refuse(why, "its invitation is malformed");
	if (!f->len)
		return true;
	b->token = malloc(f->len);
	if (!b->token)
		return refuse(why, "no memory");
	memcpy(b->token, f->data, f->len);
	b->token_len = f->len;
	return true;
}

static bool read_fields(struct bootstrap *b, const struct text *data, struct text *why)
{
	bool mesh = false, good = true;
	struct fields fields;
	struct field f;

	fields_start(&fields, data->s, data->len);
	while (good && fields_next(&fields, &f)) {
		if (f.number == FIELD_MESH)
			good = mesh = field_copy(&f, b->mesh, sizeof(b->mesh)) || refuse(why, "its key is malformed");
		else if (f.number == FIELD_NAME)
			good = field_text(&f, b->name, sizeof(b->name)) || refuse(why, "its name is malformed");
		else if (f.number == FIELD_ITEM)
			good = read_item(b, &f, why);
		else if (f.number == FIELD_TOKEN)
			good = read_token(b, &f, why);
	}
	if (good && !mesh)
		return refuse(why, "there is no key of a mesh in it");
	if (good && !item_name_is_good(b->name))
		return refuse(why, "there is no good name of a mesh in it");
	return good;
}

/* An invitation to one mesh in the file of another is nobody's honest mistake. */
static bool check_token(const struct bootstrap *b, struct text *why)
{
	struct token t;
	bool good = token_decode(&t, b->token, b->token_len, why) &&
		    (memcmp(t.mesh, b->mesh, sizeof(t.mesh)) == 0 || refuse(why, "its invitation is to another mesh"));

	crypto_wipe(&t, sizeof(t));
	return good;
}

static bool read_message(struct bootstrap *b, const struct text *data, struct text *why)
{
	size_t count;

	if (!count_items(data, &count, why))
		return false;
	b->items = calloc(count + 1, sizeof(*b->items));
	if (!b->items)
		return refuse(why, "no memory");
	return read_fields(b, data, why) && (!b->token || check_token(b, why));
}

/* People compare what the lines above the data say with what they know; it must be what is taken. */
static bool check_headers(const struct bootstrap *b, const void *text, size_t len, struct text *why)
{
	char value[128], key[KEY_BASE64_MAX];

	if (armour_header(text, len, "Key", value, sizeof(value)) && strcmp(value, key_to_base64(key, b->mesh)) != 0)
		return refuse(why, "the Key line says another key than is in it");
	if (armour_header(text, len, "Mesh", value, sizeof(value)) && strcmp(value, b->name) != 0)
		return refuse(why, "the Mesh line says another name than is in it");
	return true;
}

static bool check_kind(const struct bootstrap *b, enum armour_kind kind, struct text *why)
{
	if (kind == ARMOUR_MESH && b->token)
		return refuse(why, "there is an invitation in it, and it does not say so");
	if (kind == ARMOUR_INVITATION && !b->token)
		return refuse(why, "there is no invitation in it");
	return true;
}

static bool read_armoured(struct bootstrap *b, const void *text, size_t len, struct text *why)
{
	struct text data = { 0 };
	enum armour_kind kind;
	bool good = armour_read(text, len, &kind, &data, why);

	if (good && kind == ARMOUR_JOIN_REQUEST)
		good = refuse(why, "it is a join request, and no mesh's file");
	good = good && read_message(b, &data, why) && check_kind(b, kind, why) && check_headers(b, text, len, why);
	text_wipe(&data);
	return good;
}

static bool read_binary(struct bootstrap *b, const uint8_t *bytes, size_t len, struct text *why)
{
	struct text data = { 0 };
	uint8_t hash[BLAKE2S_LEN];
	bool good;

	if (len < MAGIC_LEN || memcmp(bytes, magic, MAGIC_LEN) != 0)
		return refuse(why, "it is of a later meshd, or damaged");
	if (len < BINARY_EXTRA || get_le32(bytes + MAGIC_LEN) > len - MAGIC_LEN - 4)
		return refuse(why, "it was cut short");
	if (get_le32(bytes + MAGIC_LEN) < len - MAGIC_LEN - 4)
		return refuse(why, "something follows its end");
	len -= BINARY_EXTRA;
	bytes += MAGIC_LEN + 4;
	blake2s(hash, sizeof(hash), NULL, 0, bytes, len);
	if (memcmp(hash, bytes + len, CHECK_LEN) != 0)
		return refuse(why, "it is damaged: its checksum is wrong");
	text_add_bytes(&data, bytes, len);
	good = !data.failed ? read_message(b, &data, why) : refuse(why, "no memory");
	text_wipe(&data);
	return good;
}

bool bootstrap_read(struct bootstrap *b, const void *data, size_t len, struct text *why)
{
	bool good;

	*b = (struct bootstrap){ 0 };
	if (len > BOOTSTRAP_SIZE_MAX) {
		text_addf(why, "it is longer than %d bytes", BOOTSTRAP_SIZE_MAX);
		return false;
	}
	if (!len)
		return refuse(why, "it is empty");
	good = len > 5 && memcmp(data, magic, 6) == 0 ? read_binary(b, data, len, why) : read_armoured(b, data, len, why);
	if (!good)
		bootstrap_done(b);
	return good;
}

void bootstrap_done(struct bootstrap *b)
{
	for (size_t i = 0; i < b->count; i++)
		item_free(b->items[i]);
	free(b->items);
	if (b->token)
		crypto_wipe(b->token, b->token_len);
	free(b->token);
	*b = (struct bootstrap){ 0 };
}

/* Merging */

enum outcome {
	WAITING,			/* not taken yet */
	TAKEN,
};

struct merge {
	struct store *s;		/* the copy */
	const struct bootstrap *b;
	int64_t now_s;
	struct bootstrap_news *news;
	struct text *why;
	uint8_t *outcomes;		/* of each item */
	uint32_t *taken;		/* which changed the copy, in this order */
	size_t taken_count;
};

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

/* What the store has got word for word was checked when it came. */
static bool is_known(const struct store *s, const struct item *i)
{
	const struct item *known = store_item(s, i->id);

	return known && known->len == i->len && memcmp(known->bytes, i->bytes, i->len) == 0;
}

static bool check_signatures(const struct store *s, const struct bootstrap *b, struct text *why)
{
	if (memcmp(store_mesh(s), b->mesh, SIGN_KEY_LEN) != 0)
		return refuse(why, "it is of another mesh");
	for (size_t i = 0; i < b->count; i++)
		if (!is_known(s, b->items[i]) && !item_is_signed(b->items[i], b->mesh))
			return refuse_item(why, b->items[i], "its signature is wrong, or it is of another mesh");
	return true;
}

/* The store takes items over, so each try is with one of its own. */
static enum store_result offer(struct store *s, const struct item *i, int64_t now_s, const char **reason)
{
	struct item *copy = item_read_unchecked(i->bytes, i->len, reason);

	return copy ? store_add(s, copy, now_s, reason) : STORE_REFUSED;
}

static void count_result(struct merge *m, size_t at, enum store_result result)
{
	m->outcomes[at] = TAKEN;
	if (result == STORE_ADDED) {
		m->taken[m->taken_count++] = (uint32_t)at;
		m->news->added++;
	} else if (result == STORE_KNOWN) {
		m->news->known++;
	} else {
		m->news->old++;
	}
}

/* Offer what waits. True: something came, so that what still waits may come now. */
static bool offer_round(struct merge *m)
{
	size_t before = m->taken_count;

	for (size_t i = 0; i < m->b->count; i++) {
		const char *reason = "";
		enum store_result result;

		if (m->outcomes[i] == TAKEN)
			continue;
		result = offer(m->s, m->b->items[i], m->now_s, &reason);
		if (result != STORE_REFUSED)
			count_result(m, i, result);
	}
	return m->taken_count != before;
}

/* Whether the signer of what was refused has no say: now, or any more. A file may be old, or be from where less is known. */
static bool misses_signer(const struct store *s, const struct item *i, int64_t now_s)
{
	struct store_node n;

	if (i->kind != ITEM_SELF)
		return !store_may_sign(s, i->signer, now_s);
	return !store_find(s, i->self.public_key, now_s, &n) || n.standing != NODE_GOOD || memcmp(n.record->sign_key, i->signer, SIGN_KEY_LEN) != 0;
}

/* Count what the store will not have for want of a signer that counts; anything else is a fault of the file. */
static bool count_refused(struct merge *m)
{
	for (size_t i = 0; i < m->b->count; i++) {
		const struct item *item = m->b->items[i];
		const char *reason = "refused";
		struct text line = { 0 };

		if (m->outcomes[i] == TAKEN)
			continue;
		if (offer(m->s, item, m->now_s, &reason) != STORE_REFUSED)
			return refuse(m->why, "its items depend on each other in too many rounds");
		if (!misses_signer(m->s, item, m->now_s))
			return refuse_item(m->why, item, reason);
		if (m->news->refused++)
			continue;
		refuse_item(&line, item, reason);
		snprintf(m->news->first_refused, sizeof(m->news->first_refused), "%s", line.s ? line.s : "");
		text_done(&line);
	}
	return true;
}

static bool try_items(struct merge *m)
{
	for (int round = 0; round < ROUNDS_MAX && offer_round(m); round++)
		;
	return count_refused(m);
}

/* The copy took them in this order; the real one is in the same state, so it does, too. */
static bool take_items(struct store *s, const struct merge *m)
{
	for (size_t i = 0; i < m->taken_count; i++) {
		const struct item *item = m->b->items[m->taken[i]];
		const char *reason = "refused";

		if (offer(s, item, m->now_s, &reason) == STORE_REFUSED)
			return refuse_item(m->why, item, reason);
	}
	return true;
}

static bool merge_checked(struct store *s, struct merge *m)
{
	m->outcomes = calloc(m->b->count + 1, sizeof(*m->outcomes));
	m->taken = calloc(m->b->count + 1, sizeof(*m->taken));
	m->s = store_copy(s);
	if (!m->outcomes || !m->taken || !m->s)
		return refuse(m->why, "no memory");
	return try_items(m) && take_items(s, m);
}

bool bootstrap_merge(struct store *s, const struct bootstrap *b, int64_t now_s, struct bootstrap_news *news, struct text *why)
{
	struct merge m = { .b = b, .now_s = now_s, .news = news, .why = why };
	bool good;

	*news = (struct bootstrap_news){ 0 };
	if (!check_signatures(s, b, why))
		return false;
	good = merge_checked(s, &m);
	free(m.outcomes);
	free(m.taken);
	store_free(m.s);
	news->later = b->later;
	if (!good)
		*news = (struct bootstrap_news){ 0 };
	return good;
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

/* Writing */

struct writer {
	struct store *s;
	const struct bootstrap_options *o;
	int64_t now_s;
	const struct item *const *items;	/* sorted */
	size_t count;
	uint32_t nodes;				/* written */
	struct text out;			/* Bootstrap */
};

static bool is_chosen(const struct bootstrap_options *o, const uint8_t *public_key)
{
	if (!o->only)
		return true;
	for (size_t i = 0; i < o->only_count; i++)
		if (memcmp(o->only[i], public_key, KEY_LEN) == 0)
			return true;
	return false;
}

/* Of what nodes are, and what invites them. */
static bool is_content_wanted(const struct writer *w, const struct item *i)
{
	struct store_node n;

	switch (i->kind) {
	case ITEM_NODE:
		return is_chosen(w->o, i->node.public_key) && i->node.not_after_s > w->now_s;
	case ITEM_SELF:
		return is_chosen(w->o, i->self.public_key) && store_find(w->s, i->self.public_key, w->now_s, &n) && n.record &&
		       n.record->not_after_s > w->now_s;
	case ITEM_REVOCATION:
		return is_chosen(w->o, i->revocation.public_key);
	case ITEM_INVITATION:
		return w->o->invitations && i->invitation.not_after_s > w->now_s;
	default:
		return false;
	}
}

/* Whether something written was signed by this key, so that its delegation or release is needed to judge it. */
static bool is_signer_wanted(const struct writer *w, const uint8_t sign_key[SIGN_KEY_LEN])
{
	for (size_t i = 0; i < w->count; i++)
		if (memcmp(w->items[i]->signer, sign_key, SIGN_KEY_LEN) == 0 && is_content_wanted(w, w->items[i]))
			return true;
	return false;
}

/*
 * Who may sign is not left out for being expired: a revocation stays good, and is believed only where its signer is known to have been one. Our own copy and
 * a whole file have all that is known of signers; nothing of it is large.
 */
static bool is_wanted(const struct writer *w, const struct item *i)
{
	switch (i->kind) {
	case ITEM_MESH_KEY:
		return true;
	case ITEM_DELEGATION:
		return !w->o->only || is_chosen(w->o, i->delegation.public_key) || is_signer_wanted(w, i->delegation.sign_key);
	case ITEM_RELEASE:
		return !w->o->only || is_signer_wanted(w, i->release.sign_key);
	default:
		return is_content_wanted(w, i);
	}
}

static void write_message(struct writer *w)
{
	fields_add_bytes(&w->out, FIELD_MESH, store_mesh(w->s), SIGN_KEY_LEN);
	fields_add_bytes(&w->out, FIELD_NAME, w->o->name, strlen(w->o->name));
	for (size_t i = 0; i < w->count; i++) {
		if (!is_wanted(w, w->items[i]))
			continue;
		w->nodes += w->items[i]->kind == ITEM_NODE;
		fields_add_element(&w->out, FIELD_ITEM, w->items[i]->bytes, w->items[i]->len);
	}
	if (w->o->token)
		fields_add_bytes(&w->out, FIELD_TOKEN, w->o->token, w->o->token_len);
}

static void write_binary(const struct text *message, struct text *out)
{
	uint8_t hash[BLAKE2S_LEN], len[4];

	put_le32(len, (uint32_t)(message->len + CHECK_LEN));
	text_add_bytes(out, magic, sizeof(magic));
	text_add_bytes(out, len, sizeof(len));
	text_add_bytes(out, message->s, message->len);
	blake2s(hash, sizeof(hash), NULL, 0, message->s, message->len);
	text_add_bytes(out, hash, CHECK_LEN);
}

static void write_armoured(const struct writer *w, struct text *out)
{
	struct text headers = { 0 };
	char key[KEY_BASE64_MAX];

	text_addf(&headers, "Mesh: %s\nKey: %s\nNodes: %u\n", w->o->name, key_to_base64(key, store_mesh(w->s)), w->nodes);
	armour_write(w->o->token ? ARMOUR_INVITATION : ARMOUR_MESH, headers.s, w->out.s, w->out.len, out);
	out->failed |= headers.failed;
	text_done(&headers);
}

bool bootstrap_write(struct store *s, const struct bootstrap_options *o, int64_t now_s, struct text *out)
{
	struct writer w = { .s = s, .o = o, .now_s = now_s };
	size_t before = out->len;

	w.count = store_sorted(s, &w.items);
	write_message(&w);
	if (!w.out.failed && w.out.len <= BOOTSTRAP_SIZE_MAX) {
		if (o->binary)
			write_binary(&w.out, out);
		else
			write_armoured(&w, out);
	}
	out->failed |= w.out.failed;
	text_wipe(&w.out);
	return !out->failed && out->len > before && out->len - before <= BOOTSTRAP_SIZE_MAX;
}
