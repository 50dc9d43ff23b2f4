/* SPDX-License-Identifier: MIT */
/*
 * What a new node and the issuer of its token say to each other, by way of any node between them: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03)
 * with a random nonce in front. The keys come of the PSK that is in the token and of X25519 between the one-time key and the issuer's, one key for each
 * direction, so that a request is never taken for an answer; the token's public key is additional data, so that none is taken for another token's.
 * Replays are harmless: a request is answered the same each time.
 */
#include "exchange/token.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "exchange/fields.h"

#define LABEL "meshd join 1"

enum {
	LABEL_LEN = sizeof(LABEL) - 1,
	NONCE_LEN = 24,
	DIRECTION_REQUEST = 1,
	DIRECTION_ANSWER = 2,

	FIELD_REFUSED = 1,
	FIELD_BOOTSTRAP = 2,
	REFUSED_MAX = 200,
};

_Static_assert(JOIN_SEAL == NONCE_LEN + AEAD_TAG, "what sealing adds");

bool join_keys_make(struct join_keys *k, const uint8_t psk[KEY_LEN], const uint8_t own_private[KEY_LEN], const uint8_t other_public[KEY_LEN],
		    const uint8_t token[KEY_LEN])
{
	uint8_t input[KEY_LEN + LABEL_LEN + 1];
	bool good = key_exchange(input, own_private, other_public);

	memset(k, 0, sizeof(*k));
	if (good) {
		memcpy(input + KEY_LEN, LABEL, LABEL_LEN);
		input[KEY_LEN + LABEL_LEN] = DIRECTION_REQUEST;
		kdf(k->request, NULL, NULL, psk, input, sizeof(input));
		input[KEY_LEN + LABEL_LEN] = DIRECTION_ANSWER;
		kdf(k->answer, NULL, NULL, psk, input, sizeof(input));
		memcpy(k->token, token, KEY_LEN);
	}
	crypto_wipe(input, sizeof(input));
	return good;
}

bool join_seal(const uint8_t key[KEY_LEN], const uint8_t token[KEY_LEN], const struct rng *rng, const void *data, size_t len, struct text *out)
{
	uint8_t *sealed;

	if (len > JOIN_MAX - JOIN_SEAL)
		return false;
	sealed = malloc(len + JOIN_SEAL);
	if (!sealed)
		return false;
	rng_fill(rng, sealed, NONCE_LEN);
	xaead_seal(sealed + NONCE_LEN, data, len, token, KEY_LEN, sealed, key);
	text_add_bytes(out, sealed, len + JOIN_SEAL);
	free(sealed);
	return !out->failed;
}

bool join_open(const uint8_t key[KEY_LEN], const uint8_t token[KEY_LEN], const void *data, size_t len, struct text *out)
{
	const uint8_t *sealed = data;
	uint8_t *opened;
	bool good;

	if (len < JOIN_SEAL || len > JOIN_MAX)
		return false;
	opened = malloc(len);
	if (!opened)
		return false;
	good = xaead_open(opened, sealed + NONCE_LEN, len - NONCE_LEN, token, KEY_LEN, sealed, key);
	if (good)
		text_add_bytes(out, opened, len - JOIN_SEAL);
	crypto_wipe(opened, len);
	free(opened);
	return good && !out->failed;
}

bool join_answer_encode(const char *refused, const void *bootstrap, size_t len, struct text *out)
{
	if (refused)
		fields_add_bytes(out, FIELD_REFUSED, refused, strlen(refused) < REFUSED_MAX ? strlen(refused) : REFUSED_MAX);
	fields_add_bytes(out, FIELD_BOOTSTRAP, bootstrap, len);
	return !out->failed;
}

/* It will be shown to people, on a terminal: one line, and nothing but what prints. */
static void add_printable(struct text *out, const struct field *f)
{
	for (size_t i = 0; i < f->len && i < REFUSED_MAX; i++) {
		char ch = (char)f->data[i];

		text_add_bytes(out, ch >= ' ' && ch <= '~' ? &ch : "?", 1);
	}
}

bool join_answer_decode(const void *data, size_t len, struct text *refused, struct text *bootstrap)
{
	struct field f, said = { 0 }, brought = { 0 };
	struct fields fields;

	fields_start(&fields, data, len);
	while (fields_next(&fields, &f)) {
		if (f.number == FIELD_REFUSED)
			said = f;
		else if (f.number == FIELD_BOOTSTRAP)
			brought = f;
	}
	if (fields.bad || (said.number && said.kind != FIELD_BYTES) || (brought.number && brought.kind != FIELD_BYTES) ||
	    !said.len == !brought.len)
		return false;
	add_printable(refused, &said);
	text_add_bytes(bootstrap, brought.data, brought.len);
	return !refused->failed && !bootstrap->failed;
}
