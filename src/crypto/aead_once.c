/* SPDX-License-Identifier: MIT */
/*
 * The handshake's AEADs: keys that seal one message, so that no context pays off, and additional data. Always
 * libsodium, which has XChaCha20 (cookie replies) besides; a handshake is bound by X25519 anyway.
 * RFC 8439 and draft-irtf-cfrg-xchacha-03.
 */
#include "crypto/aead.h"

#include <sodium.h>

static const uint8_t nonce_zero[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

void aead_seal_once(uint8_t *dst, const uint8_t *src, size_t len,
		    const uint8_t *ad, size_t ad_len, const uint8_t key[32])
{
	crypto_aead_chacha20poly1305_ietf_encrypt(dst, NULL, src, len, ad, ad_len, NULL, nonce_zero, key);
}

bool aead_open_once(uint8_t *dst, const uint8_t *src, size_t len,
		    const uint8_t *ad, size_t ad_len, const uint8_t key[32])
{
	return crypto_aead_chacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, len, ad, ad_len,
							 nonce_zero, key) == 0;
}

void xaead_seal(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *ad, size_t ad_len,
		const uint8_t nonce[24], const uint8_t key[32])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(dst, NULL, src, len, ad, ad_len, NULL, nonce, key);
}

bool xaead_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *ad, size_t ad_len,
		const uint8_t nonce[24], const uint8_t key[32])
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(dst, NULL, NULL, src, len, ad, ad_len,
							  nonce, key) == 0;
}
