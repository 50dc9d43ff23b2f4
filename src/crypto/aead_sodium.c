/* SPDX-License-Identifier: MIT */
/*
 * The AEAD by libsodium: always there, slowest of the three on full packets (its Poly1305 stops at SSE2). It
 * has no context of its own, so ours is the key.
 */
#include "crypto/aead.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead_backend.h"

_Static_assert(AEAD_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(AEAD_NONCE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "nonce");

struct aead {
	uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
};

static struct aead *sodium_new(const uint8_t key[32])
{
	struct aead *a = malloc(sizeof(*a));

	if (a)
		memcpy(a->key, key, sizeof(a->key));
	return a;
}

static void sodium_done(struct aead *a)
{
	if (!a)
		return;
	sodium_memzero(a, sizeof(*a));
	free(a);
}

static void sodium_seal(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t nonce[AEAD_NONCE];

	aead_nonce(nonce, counter);
	/* Never fails: it always returns 0. */
	crypto_aead_chacha20poly1305_ietf_encrypt(dst, NULL, src, len, NULL, 0, NULL, nonce, a->key);
}

static bool sodium_open(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t nonce[AEAD_NONCE];

	aead_nonce(nonce, counter);
	return crypto_aead_chacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, len, NULL, 0, nonce, a->key) == 0;
}

const struct aead_backend aead_backend_sodium = {
	.name = "sodium",
	.new = sodium_new,
	.free = sodium_done,
	.seal = sodium_seal,
	.open = sodium_open,
};
