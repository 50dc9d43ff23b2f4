/* SPDX-License-Identifier: MIT */
/*
 * Items: a body, who signed it, and the signature over it as it was received (doc/protocol.md, "Exchange"). The bytes are kept and passed on as they came, so that
 * fields of the future survive; the id is of what is signed, not of how protobuf happens to lay it out. Nothing is taken in of what the signature does not cover, and the founding key
 * is in what is signed: an item of one mesh is nothing in another. Around what is signed there is little room: everybody who passes an item on could fill it.
 *
 * Kinds of the future are told from what is malformed, so that a file or a neighbour that has some is not taken for a broken one.
 */
#include "exchange/item.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/blake2s.h"
#include "exchange/item_inside.h"

static const char LABEL[] = "meshd item 1";

enum {
	LABEL_LEN = sizeof(LABEL) - 1,
	KIND_MAX = 255,			/* it is one byte of what is signed, and of what an id is of */
};

static const char NO_MEMORY[] = "no memory";
static const char MALFORMED[] = "it is malformed";
static const char BAD_SIGNATURE[] = "the signature is wrong, or it is of another mesh";

/* What a signature is over: allocated. NULL: no memory. */
static uint8_t *signed_bytes(const uint8_t mesh[SIGN_KEY_LEN], uint32_t kind, const uint8_t *body, size_t len, size_t *total)
{
	uint8_t *m = malloc(LABEL_LEN + 1 + SIGN_KEY_LEN + len);

	if (!m)
		return NULL;
	memcpy(m, LABEL, LABEL_LEN);
	m[LABEL_LEN] = (uint8_t)kind;
	memcpy(m + LABEL_LEN + 1, mesh, SIGN_KEY_LEN);
	if (len)
		memcpy(m + LABEL_LEN + 1 + SIGN_KEY_LEN, body, len);
	*total = LABEL_LEN + 1 + SIGN_KEY_LEN + len;
	return m;
}

static void make_id(uint8_t id[ITEM_ID_LEN], const Meshd__Exchange__Signed *m)
{
	struct blake2s h;
	uint8_t kind = (uint8_t)m->kind;

	blake2s_init(&h, ITEM_ID_LEN, NULL, 0);
	blake2s_update(&h, &kind, 1);
	blake2s_update(&h, m->signer.data, m->signer.len);
	blake2s_update(&h, m->body.data, m->body.len);
	blake2s_final(&h, id);
}

static bool is_kind(uint32_t kind)
{
	return (kind >= ITEM_NODE && kind < ITEM_KINDS) || kind == ITEM_JOIN_REQUEST;
}

/* The public keys that an item about a node's own may only be signed by. NULL: somebody else's business. */
static const uint8_t *own_key(const struct item *i)
{
	return i->kind == ITEM_JOIN_REQUEST ? i->join_request.sign_key : NULL;
}

/* What a Signed of any kind is, of later ones, too. NULL: one. */
static const char *check_form(const Meshd__Exchange__Signed *m)
{
	if (m->signer.len != SIGN_KEY_LEN || m->signature.len != SIGNATURE_LEN)
		return "it is not signed";
	return m->kind && m->kind <= KIND_MAX ? NULL : MALFORMED;
}

static bool is_padded(const Meshd__Exchange__Signed *m, size_t len)
{
	Meshd__Exchange__Signed known = *m;

	known.base.n_unknown_fields = 0;
	return len > meshd__exchange__signed__get_packed_size(&known) + ITEM_UNSIGNED_MAX;
}

static const char *fill(struct item *i, const Meshd__Exchange__Signed *m, const uint8_t *bytes, size_t len)
{
	const char *why = check_form(m);

	if (why)
		return why;
	if (!is_kind(m->kind))
		return "it is of a kind of a later version";
	if (is_padded(m, len))
		return "it has too much around what is signed";
	i->kind = (enum item_kind)m->kind;
	memcpy(i->signer, m->signer.data, SIGN_KEY_LEN);
	make_id(i->id, m);
	why = item_body_read(i, m->body.data, m->body.len);
	if (why)
		return why;
	if (own_key(i) && memcmp(own_key(i), i->signer, SIGN_KEY_LEN))
		return "it is signed by somebody else";
	i->bytes = malloc(len);
	if (!i->bytes)
		return NO_MEMORY;
	memcpy(i->bytes, bytes, len);
	i->len = len;
	return NULL;
}

struct item *item_read_unchecked(const uint8_t *bytes, size_t len, const char **why)
{
	Meshd__Exchange__Signed *m;
	struct item *i;

	*why = "it is too long";
	if (len > ITEM_MAX)
		return NULL;
	*why = MALFORMED;
	m = meshd__exchange__signed__unpack(NULL, len, bytes);
	if (!m)
		return NULL;
	i = calloc(1, sizeof(*i));
	*why = i ? fill(i, m, bytes, len) : NO_MEMORY;
	meshd__exchange__signed__free_unpacked(m, NULL);
	if (*why) {
		item_free(i);
		return NULL;
	}
	return i;
}

bool item_is_later(const uint8_t *bytes, size_t len, uint8_t id[ITEM_ID_LEN])
{
	Meshd__Exchange__Signed *m = len <= ITEM_MAX ? meshd__exchange__signed__unpack(NULL, len, bytes) : NULL;
	bool later = m && !check_form(m) && !is_kind(m->kind);

	if (later)
		make_id(id, m);
	if (m)
		meshd__exchange__signed__free_unpacked(m, NULL);
	return later;
}

bool item_is_signed(const struct item *i, const uint8_t mesh[SIGN_KEY_LEN])
{
	Meshd__Exchange__Signed *m = meshd__exchange__signed__unpack(NULL, i->len, i->bytes);
	uint8_t *data;
	size_t len;
	bool good;

	if (!m)
		return false;
	data = signed_bytes(mesh, m->kind, m->body.data, m->body.len, &len);
	good = data && sign_check(m->signature.data, m->signer.data, data, len);
	free(data);
	meshd__exchange__signed__free_unpacked(m, NULL);
	return good;
}

struct item *item_read(const uint8_t mesh[SIGN_KEY_LEN], const uint8_t *bytes, size_t len, const char **why)
{
	struct item *i = item_read_unchecked(bytes, len, why);

	if (i && !item_is_signed(i, mesh)) {
		*why = BAD_SIGNATURE;
		item_free(i);
		return NULL;
	}
	return i;
}

/* Sign a body and read what comes of it, as anybody else will. */
static struct item *sign_body(const uint8_t mesh[SIGN_KEY_LEN], enum item_kind kind, const uint8_t *body, size_t body_len,
			      const uint8_t seed[SIGN_SEED_LEN], const char **why)
{
	Meshd__Exchange__Signed m = MESHD__EXCHANGE__SIGNED__INIT;
	uint8_t signer[SIGN_KEY_LEN], signature[SIGNATURE_LEN], *data, *bytes;
	struct item *i = NULL;
	size_t len;

	data = signed_bytes(mesh, kind, body, body_len, &len);
	if (!data)
		return NULL;
	sign_public(signer, seed);
	sign_make(signature, seed, data, len);
	free(data);
	m.kind = kind;
	m.body = (ProtobufCBinaryData){ body_len, (uint8_t *)(uintptr_t)body };
	m.signer = (ProtobufCBinaryData){ sizeof(signer), signer };
	m.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	len = meshd__exchange__signed__get_packed_size(&m);
	bytes = malloc(len);
	if (bytes) {
		meshd__exchange__signed__pack(&m, bytes);
		i = item_read(mesh, bytes, len, why);
	}
	free(bytes);
	return i;
}

struct item *item_sign(const uint8_t mesh[SIGN_KEY_LEN], const struct item *content, const uint8_t seed[SIGN_SEED_LEN], const char **why)
{
	size_t len;
	uint8_t *body = item_body_write(content, &len);
	struct item *i;

	*why = "it has too much in it, or there is no memory";
	if (!body)
		return NULL;
	i = sign_body(mesh, content->kind, body, len, seed, why);
	free(body);
	return i;
}

struct item *item_hold(const struct item *i)
{
	struct item *held = (struct item *)(uintptr_t)i;	/* who holds it is none of what it says */

	held->holders++;
	return held;
}

void item_free(struct item *i)
{
	if (!i || i->holders) {
		if (i)
			i->holders--;
		return;
	}
	if (i->kind == ITEM_RELEASE)
		free(i->release.keep);
	free(i->bytes);
	free(i);
}

const uint8_t *item_subject(const struct item *i)
{
	switch (i->kind) {
	case ITEM_NODE:
		return i->node.public_key;
	case ITEM_SELF:
		return i->self.public_key;
	case ITEM_REVOCATION:
		return i->revocation.public_key;
	case ITEM_DELEGATION:
		return i->delegation.public_key;
	case ITEM_JOIN_REQUEST:
		return i->join_request.public_key;
	case ITEM_RELEASE:
	case ITEM_MESH_KEY:
	case ITEM_INVITATION:
	case ITEM_KINDS:
		break;
	}
	return NULL;
}

const char *item_kind_name(enum item_kind kind)
{
	static const char *const names[ITEM_KINDS] = {
		[ITEM_NODE] = "node", [ITEM_SELF] = "self", [ITEM_REVOCATION] = "revocation", [ITEM_DELEGATION] = "delegation",
		[ITEM_RELEASE] = "release", [ITEM_MESH_KEY] = "mesh key", [ITEM_INVITATION] = "invitation",
	};

	if (kind == ITEM_JOIN_REQUEST)
		return "join request";
	return kind < ITEM_KINDS && names[kind] ? names[kind] : "item";
}

static const char *const role_names[] = { "transit", "exit", "gateway" };

enum { ROLE_KINDS = sizeof(role_names) / sizeof(role_names[0]) };

void roles_format(unsigned int roles, struct text *out)
{
	bool any = false;

	for (unsigned int i = 0; i < ROLE_KINDS; i++)
		if (roles & 1U << i) {
			text_addf(out, "%s%s", any ? "," : "", role_names[i]);
			any = true;
		}
	if (!any)
		text_add(out, "none");
}

bool roles_parse(const char *text, unsigned int *roles)
{
	unsigned int v = 0;

	if (!strcmp(text, "none")) {
		*roles = 0;
		return true;
	}
	for (;;) {
		size_t len = strcspn(text, ",");
		unsigned int i = 0;

		while (i < ROLE_KINDS && (strlen(role_names[i]) != len || memcmp(text, role_names[i], len)))
			i++;
		if (i == ROLE_KINDS)
			return false;
		v |= 1U << i;
		if (!text[len])
			break;
		text += len + 1;
	}
	*roles = v;
	return true;
}
