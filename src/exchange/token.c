/* SPDX-License-Identifier: MIT */
/*
 * The token: what an inviter gives to whom it invites, over a way that both trust. It is a secret, and is taken apart by fields.h rather than
 * by protobuf-c, whose copies nobody wipes. The line is "meshd1:" and base64url (RFC 4648, section 5) of Token and four bytes of its BLAKE2s,
 * which are there for slips of copying; against others there is nothing to check, for whoever can change a token could have made one.
 *
 * Endpoints in it keep the rules of a record's: what a token makes its reader send packets to is no multicast and nobody's loopback.
 */
#include "exchange/token.h"

#include <string.h>

#include "crypto/base64.h"
#include "crypto/blake2s.h"
#include "exchange/fields.h"
#include "exchange/item_inside.h"

#define SCHEME "meshd1:"
#define SCHEME_ANY "meshd"

enum {
	CHECK_LEN = 4,

	FIELD_MESH = 1,
	FIELD_MESH_NAME = 2,
	FIELD_NODE_NAME = 3,
	FIELD_ONE_TIME_KEY = 4,
	FIELD_PSK = 5,
	FIELD_ISSUER = 6,
	FIELD_NOT_AFTER = 7,
	FIELD_CONTACT = 8,

	CONTACT_KEY = 1,
	CONTACT_ENDPOINT = 2,

	ENDPOINT_PACKED_MAX = 64,
};

/* Writing */

static void encode_endpoint(const struct record_endpoint *e, struct text *out)
{
	Meshd__Exchange__Endpoint m = MESHD__EXCHANGE__ENDPOINT__INIT;
	uint8_t packed[ENDPOINT_PACKED_MAX];

	item_endpoint_write(&m, e);
	if (meshd__exchange__endpoint__get_packed_size(&m) > sizeof(packed))
		out->failed = true;
	else
		fields_add_element(out, CONTACT_ENDPOINT, packed, meshd__exchange__endpoint__pack(&m, packed));
}

static void encode_contact(const struct token_contact *c, struct text *out)
{
	fields_add_bytes(out, CONTACT_KEY, c->public_key, KEY_LEN);
	for (size_t i = 0; i < c->endpoint_count; i++)
		encode_endpoint(&c->endpoints[i], out);
}

bool token_encode(const struct token *t, struct text *out)
{
	struct text c = { 0 };

	fields_add_bytes(out, FIELD_MESH, t->mesh, SIGN_KEY_LEN);
	fields_add_bytes(out, FIELD_MESH_NAME, t->mesh_name, strlen(t->mesh_name));
	fields_add_bytes(out, FIELD_NODE_NAME, t->node_name, strlen(t->node_name));
	fields_add_bytes(out, FIELD_ONE_TIME_KEY, t->one_time_key, KEY_LEN);
	fields_add_bytes(out, FIELD_PSK, t->psk, KEY_LEN);
	fields_add_bytes(out, FIELD_ISSUER, t->issuer, KEY_LEN);
	fields_add_number(out, FIELD_NOT_AFTER, (uint64_t)t->not_after_s);
	for (size_t i = 0; i < t->contact_count; i++) {
		text_reset(&c);
		encode_contact(&t->contacts[i], &c);
		out->failed |= c.failed;
		fields_add_element(out, FIELD_CONTACT, c.s, c.len);
	}
	text_done(&c);
	return !out->failed;
}

static void make_check(uint8_t check[CHECK_LEN], const void *data, size_t len)
{
	uint8_t hash[BLAKE2S_LEN];

	blake2s(hash, sizeof(hash), NULL, 0, data, len);
	memcpy(check, hash, CHECK_LEN);
}

bool token_write(const struct token *t, struct text *out)
{
	struct text data = { 0 };
	uint8_t check[CHECK_LEN];
	size_t before = out->len;

	if (token_encode(t, &data)) {
		make_check(check, data.s, data.len);
		text_add_bytes(&data, check, sizeof(check));
		text_add(out, SCHEME);
		base64_encode(BASE64_URL, data.s, data.len, out);
	}
	out->failed |= data.failed;
	text_wipe(&data);
	return !out->failed && out->len - before <= TOKEN_TEXT_MAX;
}

/* Reading */

static bool refuse(struct text *why, const char *reason)
{
	text_add(why, reason);
	return false;
}

/* No secret, so it may be unpacked. */
static bool decode_endpoint(struct record_endpoint *e, const struct field *f)
{
	Meshd__Exchange__Endpoint *m = f->kind == FIELD_BYTES ? meshd__exchange__endpoint__unpack(NULL, f->len, f->data) : NULL;
	bool good = m && item_endpoint_read(e, m);

	if (m)
		meshd__exchange__endpoint__free_unpacked(m, NULL);
	return good;
}

static bool decode_contact(struct token *t, const struct field *in)
{
	struct token_contact *c;
	struct fields fields;
	struct field f;
	bool good = in->kind == FIELD_BYTES && t->contact_count < TOKEN_CONTACTS_MAX, key = false;

	if (!good)
		return false;
	c = &t->contacts[t->contact_count++];
	fields_start(&fields, in->data, in->len);
	while (good && fields_next(&fields, &f)) {
		if (f.number == CONTACT_KEY)
			good = key = field_copy(&f, c->public_key, KEY_LEN);
		else if (f.number == CONTACT_ENDPOINT)
			good = c->endpoint_count < TOKEN_CONTACT_ENDPOINTS_MAX && decode_endpoint(&c->endpoints[c->endpoint_count++], &f);
	}
	return good && !fields.bad && key;
}

static bool decode_field(struct token *t, const struct field *f)
{
	switch (f->number) {
	case FIELD_MESH:
		return field_copy(f, t->mesh, SIGN_KEY_LEN);
	case FIELD_MESH_NAME:
		return field_text(f, t->mesh_name, sizeof(t->mesh_name));
	case FIELD_NODE_NAME:
		return field_text(f, t->node_name, sizeof(t->node_name));
	case FIELD_ONE_TIME_KEY:
		return field_copy(f, t->one_time_key, KEY_LEN);
	case FIELD_PSK:
		return field_copy(f, t->psk, KEY_LEN);
	case FIELD_ISSUER:
		return field_copy(f, t->issuer, KEY_LEN);
	case FIELD_NOT_AFTER:
		t->not_after_s = (int64_t)f->value;
		return f->kind == FIELD_NUMBER && f->value <= INT64_MAX;
	case FIELD_CONTACT:
		return decode_contact(t, f);
	default:
		return true;
	}
}

/* A field that is missing is all zero, which none of these may be. */
static bool token_is_whole(const struct token *t)
{
	return !crypto_is_zero(t->mesh, SIGN_KEY_LEN) && !crypto_is_zero(t->one_time_key, KEY_LEN) && !crypto_is_zero(t->psk, KEY_LEN) &&
	       !crypto_is_zero(t->issuer, KEY_LEN) && t->not_after_s > 0 && item_name_is_good(t->mesh_name) &&
	       item_name_is_good(t->node_name) && t->contact_count && memcmp(t->contacts[0].public_key, t->issuer, KEY_LEN) == 0;
}

bool token_decode(struct token *t, const void *data, size_t len, struct text *why)
{
	struct fields fields;
	struct field f;
	bool good = len <= TOKEN_TEXT_MAX;

	memset(t, 0, sizeof(*t));
	fields_start(&fields, data, good ? len : 0);
	while (good && fields_next(&fields, &f))
		good = decode_field(t, &f);
	if (good && !fields.bad && token_is_whole(t))
		return true;
	crypto_wipe(t, sizeof(*t));
	return refuse(why, "the invitation in it is malformed");
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

/* What follows the scheme, without blanks around. */
static bool find_data(const char **text, size_t *len, struct text *why)
{
	const size_t scheme = strlen(SCHEME);

	while (*len && is_blank(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && is_blank((*text)[*len - 1]))
		(*len)--;
	if (*len < scheme || memcmp(*text, SCHEME_ANY, strlen(SCHEME_ANY)) != 0 || !memchr(*text, ':', *len))
		return refuse(why, "it is no token of meshd: those begin with \"" SCHEME "\"");
	if (memcmp(*text, SCHEME, scheme) != 0)
		return refuse(why, "the token is of a later meshd");
	*text += scheme;
	*len -= scheme;
	return *len <= TOKEN_TEXT_MAX - scheme || refuse(why, "it is too long for a token");
}

bool token_read(struct token *t, const char *text, size_t len, struct text *why)
{
	struct text data = { 0 };
	uint8_t check[CHECK_LEN];
	bool good;

	memset(t, 0, sizeof(*t));
	if (!find_data(&text, &len, why))
		return false;
	good = base64_decode(BASE64_URL, text, len, &data) && data.len > CHECK_LEN;
	if (good) {
		make_check(check, data.s, data.len - CHECK_LEN);
		good = memcmp(check, data.s + data.len - CHECK_LEN, CHECK_LEN) == 0;
	}
	good = good ? token_decode(t, data.s, data.len - CHECK_LEN, why) : refuse(why, "the token is damaged: some of it is missing or was changed");
	text_wipe(&data);
	return good;
}
