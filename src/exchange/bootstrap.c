/* SPDX-License-Identifier: MIT */
/*
 * The bootstrap file: a whole mesh as far as one node knows it, to be read by anybody from anywhere. It is written by others, so it is taken
 * apart in steps, each of which may end in a refusal that leaves everything as it was: the armour or the binary frame with its checksum (against
 * accidents), the fields (counted before anything is allocated), the items' form, some at a time. What becomes of them is import.c's.
 */
#include "exchange/bootstrap.h"

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

static bool read_field(struct bootstrap_reading *r, const struct field *f, struct text *why)
{
	struct bootstrap *b = r->b;

	switch (f->number) {
	case FIELD_MESH:
		r->mesh = field_copy(f, b->mesh, sizeof(b->mesh));
		return r->mesh || refuse(why, "its key is malformed");
	case FIELD_NAME:
		return field_text(f, b->name, sizeof(b->name)) || refuse(why, "its name is malformed");
	case FIELD_ITEM:
		return read_item(b, f, why);
	case FIELD_TOKEN:
		return read_token(b, f, why);
	default:
		return true;
	}
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

/* Fields are to be read: what has to be known before. */
static bool begin_message(struct bootstrap_reading *r, struct text *why)
{
	size_t count;

	if (!count_items(&r->data, &count, why))
		return false;
	r->b->items = calloc(count + 1, sizeof(*r->b->items));
	if (!r->b->items)
		return refuse(why, "no memory");
	fields_start(&r->fields, r->data.s, r->data.len);
	return true;
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

/* All fields were read. */
static bool check_message(const struct bootstrap_reading *r, struct text *why)
{
	const struct bootstrap *b = r->b;

	if (!r->mesh)
		return refuse(why, "there is no key of a mesh in it");
	if (!item_name_is_good(b->name))
		return refuse(why, "there is no good name of a mesh in it");
	if (b->token && !check_token(b, why))
		return false;
	return r->binary || (check_kind(b, r->kind, why) && check_headers(b, r->text, r->text_len, why));
}

static bool open_armour(struct bootstrap_reading *r, struct text *why)
{
	if (!armour_read(r->text, r->text_len, &r->kind, &r->data, why))
		return false;
	return r->kind != ARMOUR_JOIN_REQUEST || refuse(why, "it is a join request, and no mesh's file");
}

static bool open_binary(struct bootstrap_reading *r, struct text *why)
{
	const uint8_t *bytes = r->text;
	size_t len = r->text_len;
	uint8_t hash[BLAKE2S_LEN];

	r->binary = true;
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
	text_add_bytes(&r->data, bytes, len);
	return !r->data.failed || refuse(why, "no memory");
}

bool bootstrap_open(struct bootstrap_reading *r, struct bootstrap *b, const void *data, size_t len, struct text *why)
{
	*b = (struct bootstrap){ 0 };
	*r = (struct bootstrap_reading){ .b = b, .text = data, .text_len = len };
	if (len > BOOTSTRAP_SIZE_MAX) {
		text_addf(why, "it is longer than %d bytes", BOOTSTRAP_SIZE_MAX);
		return false;
	}
	if (!len)
		return refuse(why, "it is empty");
	if ((len > 5 && memcmp(data, magic, 6) == 0 ? open_binary(r, why) : open_armour(r, why)) && begin_message(r, why))
		return true;
	bootstrap_close(r);
	return false;
}

enum bootstrap_step bootstrap_step(struct bootstrap_reading *r, size_t items, struct text *why)
{
	struct field f;

	for (size_t i = 0; i < items; i++) {
		if (!fields_next(&r->fields, &f)) {
			if (!check_message(r, why))
				break;
			text_wipe(&r->data);
			return BOOTSTRAP_DONE;
		}
		if (!read_field(r, &f, why))
			break;
		if (i + 1 == items)
			return BOOTSTRAP_MORE;
	}
	bootstrap_close(r);
	return BOOTSTRAP_REFUSED;
}

void bootstrap_close(struct bootstrap_reading *r)
{
	text_wipe(&r->data);
	bootstrap_done(r->b);
}

bool bootstrap_read(struct bootstrap *b, const void *data, size_t len, struct text *why)
{
	struct bootstrap_reading r;

	return bootstrap_open(&r, b, data, len, why) && bootstrap_step(&r, SIZE_MAX, why) == BOOTSTRAP_DONE;
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
