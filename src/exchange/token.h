/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_TOKEN_H
#define MESHD_EXCHANGE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/text.h"
#include "exchange/bootstrap.h"
#include "exchange/item.h"

/*
 * Invitations, as the invited has them: a line of text, single-use. In it a one-time X25519 key, by which nodes let its holder speak to the issuer (kind 7
 * says so to them), and a PSK that only the issuer and the holder know.
 */
enum {
	TOKEN_TEXT_MAX = 2048,
	TOKEN_CONTACTS_MAX = 4,		/* the issuer is the first */
	TOKEN_CONTACT_ENDPOINTS_MAX = 4,
	JOIN_MAX = 12288,		/* bytes of a sealed request or answer */
	JOIN_SEAL = 24 + 16,		/* nonce and tag */
};

struct token_contact {
	uint8_t public_key[KEY_LEN];
	struct record_endpoint endpoints[TOKEN_CONTACT_ENDPOINTS_MAX];
	size_t endpoint_count;
};

struct token {
	uint8_t mesh[SIGN_KEY_LEN];
	char mesh_name[MESH_NAME_MAX + 1], node_name[ITEM_NAME_MAX + 1];
	uint8_t one_time_key[KEY_LEN], psk[KEY_LEN];	/* private */
	uint8_t issuer[KEY_LEN];
	int64_t not_after_s;
	struct token_contact contacts[TOKEN_CONTACTS_MAX];
	size_t contact_count;
};

/* "meshd1:..." and back; blanks around it do not matter. False with one line in 'why': no token, damaged (a checksum of 4 bytes is at its end), of a later meshd. */
bool token_write(const struct token *t, struct text *out);
bool token_read(struct token *t, const char *text, size_t len, struct text *why);
/* The same as bytes, for a bootstrap file. */
bool token_encode(const struct token *t, struct text *out);
bool token_decode(struct token *t, const void *data, size_t len, struct text *why);

/*
 * The messages of joining, sealed end to end: XChaCha20-Poly1305 (libsodium) under KDF(psk, DH(one-time key, issuer's key) | "meshd join 1" | direction), random nonce first, the token's public
 * key as additional data. So a node that relays sees nothing and can change nothing. False: no memory, too long; or it was not sealed for this token.
 * 'own_private' and 'other_public' are the one-time private key and the issuer's public one, or the issuer's private and the one-time public one.
 */
struct join_keys {
	uint8_t request[KEY_LEN], answer[KEY_LEN], token[KEY_LEN];
};
bool join_keys_make(struct join_keys *k, const uint8_t psk[KEY_LEN], const uint8_t own_private[KEY_LEN], const uint8_t other_public[KEY_LEN],
		    const uint8_t token[KEY_LEN]);
bool join_seal(const uint8_t key[KEY_LEN], const uint8_t token[KEY_LEN], const struct rng *rng, const void *data, size_t len, struct text *out);
bool join_open(const uint8_t key[KEY_LEN], const uint8_t token[KEY_LEN], const void *data, size_t len, struct text *out);

/* JoinAnswer. */
bool join_answer_encode(const char *refused, const void *bootstrap, size_t len, struct text *out);
bool join_answer_decode(const void *data, size_t len, struct text *refused, struct text *bootstrap);

/* What an issuer remembers of a token it gave out, and has to find again after a restart: a line of text each in its state file (mode 0600). */
struct issued {
	uint8_t token[KEY_LEN], psk[KEY_LEN];
	int64_t not_after_s;
	struct mint_node *node;		/* owned */
	bool replaces;
	uint8_t replaced[KEY_LEN];	/* to be revoked when it is done */
};
bool issued_write(const struct issued *i, struct text *out);
bool issued_read(struct issued *i, const char *line);
void issued_done(struct issued *i);

#endif
