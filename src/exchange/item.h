/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_ITEM_H
#define MESHD_EXCHANGE_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "crypto/key.h"
#include "crypto/sign.h"

/*
 * Items: what is signed in a mesh (proto/exchange.proto, Signed and its bodies), decoded. Bytes to structs and back, no state: whether a signer
 * may say what it says is store.h's business. Every list is bounded; what is longer, or has a value that means nothing (a prefix of 129 bits, a name
 * with a control character), is refused with the reason.
 */
enum {
	ITEM_MAX = 16384,		/* bytes of a Signed... */
	ITEM_UNSIGNED_MAX = 256,	/* ...and of them, what neither is signed nor the signature: fields of a later version */
	ITEM_ID_LEN = 32,
	ITEM_SHORT_ID = 8,		/* of it, as the gossip has them */
	ITEM_NAME_MAX = 63,		/* a node's: letters, digits, '-', '_' and '.', not first or last a '.' or '-'; UTF-8 is not taken */
	ITEM_PREFIXES_MAX = 32,		/* of each of the three lists */
	ITEM_ENDPOINTS_MAX = 16,
	ITEM_KEEP_MAX = 450,
	ITEM_REASON_MAX = 128,
	ITEM_VERSION_MAX = 32,
};

enum item_kind {
	ITEM_NODE = 1,
	ITEM_SELF = 2,
	ITEM_REVOCATION = 3,
	ITEM_DELEGATION = 4,
	ITEM_RELEASE = 5,
	ITEM_MESH_KEY = 6,
	ITEM_INVITATION = 7,
	ITEM_KINDS = 8,
	ITEM_JOIN_REQUEST = 16,		/* never stored */
};

enum node_role {
	ROLE_TRANSIT = 1,		/* others' packets and routes may go through it */
	ROLE_EXIT = 2,			/* it may announce default routes, source-specific ones too */
	ROLE_GATEWAY = 4,		/* what is in 'external' may come through it from other routers */
	ROLES = 7,
};

struct node_record {
	uint8_t public_key[KEY_LEN], sign_key[SIGN_KEY_LEN];
	char name[ITEM_NAME_MAX + 1];
	struct ip_prefix addresses[ITEM_PREFIXES_MAX];	/* of full length */
	struct ip_prefix prefixes[ITEM_PREFIXES_MAX];	/* masked; len 0 is refused: that is an exit's */
	struct ip_prefix external[ITEM_PREFIXES_MAX];	/* masked; len 0 is fine for a gateway */
	size_t address_count, prefix_count, external_count;
	unsigned int roles;		/* enum node_role: those of a later version are left out, and grant nothing */
	int64_t not_before_s, not_after_s;
	uint64_t serial;
	bool has_token, has_gateway;
	uint8_t token[KEY_LEN], gateway[KEY_LEN];
};

struct record_endpoint {
	struct endpoint endpoint;	/* unicast, with a port; never link-local or loopback */
	uint32_t cost_ms;
	bool metered, seen;
	uint8_t prefix_len;		/* 0: one address */
};

struct self_record {
	uint8_t public_key[KEY_LEN];
	uint64_t sequence;
	struct record_endpoint endpoints[ITEM_ENDPOINTS_MAX];
	size_t endpoint_count;
	uint32_t features;
	char version[ITEM_VERSION_MAX + 1];
};

struct revocation {
	uint8_t public_key[KEY_LEN];
	int64_t when_s;
	char reason[ITEM_REASON_MAX + 1];
};

struct delegation {
	uint8_t sign_key[SIGN_KEY_LEN], public_key[KEY_LEN];
	int64_t not_before_s, not_after_s;
	uint64_t serial;
};

struct release {
	uint8_t sign_key[SIGN_KEY_LEN];
	uint8_t (*keep)[ITEM_ID_LEN];	/* keep_count of them; owned by the item */
	size_t keep_count;
};

struct mesh_key {
	uint8_t key[SIGN_KEY_LEN];
	int64_t not_after_s;		/* 0: for good */
	uint64_t serial;
};

struct invitation {
	uint8_t token[KEY_LEN], issuer[KEY_LEN];
	int64_t not_after_s;
};

struct join_request {
	uint8_t public_key[KEY_LEN], sign_key[SIGN_KEY_LEN];
	char name[ITEM_NAME_MAX + 1];	/* "": no wish */
	bool has_token;
	uint8_t token[KEY_LEN];
};

struct item {
	enum item_kind kind;
	uint8_t id[ITEM_ID_LEN];
	uint8_t signer[SIGN_KEY_LEN];
	uint8_t *bytes;			/* the Signed, owned */
	size_t len;
	unsigned int holders;		/* besides the first */
	union {
		struct node_record node;
		struct self_record self;
		struct revocation revocation;
		struct delegation delegation;
		struct release release;
		struct mesh_key mesh_key;
		struct invitation invitation;
		struct join_request join_request;
	};
};

/*
 * Decode a Signed and check its signature for the mesh with this founding key. A new item, to be freed by item_free(); or NULL with one line in '*why' (a
 * constant): too long, malformed, of an unknown kind, what is wrong in it, or "the signature is wrong, or it is of another mesh". item_read_unchecked() leaves
 * the signature for later: item_is_signed().
 */
struct item *item_read(const uint8_t mesh[SIGN_KEY_LEN], const uint8_t *bytes, size_t len, const char **why);
struct item *item_read_unchecked(const uint8_t *bytes, size_t len, const char **why);
bool item_is_signed(const struct item *i, const uint8_t mesh[SIGN_KEY_LEN]);

/* Whether what item_read() refused is in good form, but of a kind of a later version; and the id it has for who knows it. Signed or not: it can never be one of ours. */
bool item_is_later(const uint8_t *bytes, size_t len, uint8_t id[ITEM_ID_LEN]);

/*
 * Encode what is in the union of 'content' (kind set; id, signer and bytes are ignored), sign it with the seed: a new item, decoded again from what it was
 * encoded to. NULL with '*why' as above: it would be refused by item_read(), or no memory.
 */
struct item *item_sign(const uint8_t mesh[SIGN_KEY_LEN], const struct item *content, const uint8_t seed[SIGN_SEED_LEN], const char **why);

/* One more who holds it, and frees it on his own. An item never changes, so it need not be copied. */
struct item *item_hold(const struct item *i);

/* NULL is fine. */
void item_free(struct item *i);

/* Whether a name can be a node's. */
bool item_name_is_good(const char *name);

enum item_prefix_use { ITEM_ADDRESS, ITEM_PREFIX, ITEM_EXTERNAL };

/* Whether a record may have it: no host bits, unicast beyond a link, and a default route only as external. */
bool item_prefix_is_good(const struct ip_prefix *p, enum item_prefix_use use);

/* The public key the item is about: of its node; a delegation's, its node's. NULL: of none (release, mesh key, invitation). */
const uint8_t *item_subject(const struct item *i);

/* "node", "self", "revocation"... */
const char *item_kind_name(enum item_kind kind);

/* Roles as text: "transit,exit", or "none". And back; false: a word is none. */
struct text;
void roles_format(unsigned int roles, struct text *out);
bool roles_parse(const char *text, unsigned int *roles);

#endif
