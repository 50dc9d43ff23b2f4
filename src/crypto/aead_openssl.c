/* SPDX-License-Identifier: MIT */
/*
 * The AEAD by OpenSSL 3: fast code on every machine (AVX2, AVX-512, NEON), behind EVP, which is
 * slow to set up. So the cipher is fetched once a process, a context keeps the key, and a packet sets
 * the nonce alone, never the cipher or the key again. Short packets still pay for EVP.
 *
 * One context serves both directions, as the key schedule is the same. Sealing has no way to fail
 * with the arguments given here; should it all the same, dst may still be plaintext on its way to the network, and
 * we stop rather than let it out.
 */
#include "crypto/aead.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead_backend.h"

struct aead {
	EVP_CIPHER_CTX *ctx;
};

/* Fetched on first use and kept; contexts are made by one thread only. */
static const EVP_CIPHER *fetch_cipher(void)
{
	static EVP_CIPHER *cipher;

	if (!cipher)
		cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	return cipher;
}

static void openssl_done(struct aead *a)
{
	if (!a)
		return;
	EVP_CIPHER_CTX_free(a->ctx);	/* wipes the key */
	free(a);
}

static struct aead *openssl_new(const uint8_t key[32])
{
	const EVP_CIPHER *cipher = fetch_cipher();
	struct aead *a;

	if (!cipher)
		return NULL;
	a = malloc(sizeof(*a));
	if (!a)
		return NULL;
	a->ctx = EVP_CIPHER_CTX_new();
	if (!a->ctx || !EVP_EncryptInit_ex2(a->ctx, cipher, key, NULL, NULL)) {
		openssl_done(a);
		return NULL;
	}
	return a;
}

static void openssl_seal(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t nonce[AEAD_NONCE];
	int n = 0;

	aead_nonce(nonce, counter);
	if (!EVP_EncryptInit_ex2(a->ctx, NULL, NULL, nonce, NULL) ||
	    (len && !EVP_EncryptUpdate(a->ctx, dst, &n, src, (int)len)) ||
	    !EVP_EncryptFinal_ex(a->ctx, dst + len, &n) ||
	    !EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, dst + len))
		abort();
}

static bool openssl_open(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t nonce[AEAD_NONCE], tag[AEAD_TAG];
	size_t text = len - AEAD_TAG;
	int n = 0;

	aead_nonce(nonce, counter);
	memcpy(tag, src + text, sizeof(tag));	/* EVP wants it writable */
	return EVP_DecryptInit_ex2(a->ctx, NULL, NULL, nonce, NULL) &&
	       EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) &&
	       (!text || EVP_DecryptUpdate(a->ctx, dst, &n, src, (int)text)) &&
	       EVP_DecryptFinal_ex(a->ctx, dst + text, &n);
}

const struct aead_backend aead_backend_openssl = {
	.name = "openssl",
	.new = openssl_new,
	.free = openssl_done,
	.seal = openssl_seal,
	.open = openssl_open,
};
