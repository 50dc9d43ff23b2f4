/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_HMAC_SHA256_H
#define MESHD_CRYPTO_HMAC_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { HMAC_SHA256_LEN = 32 };

/* A piece of what a MAC is made over. */
struct hmac_piece {
	const void *data;
	size_t len;
};

/* HMAC-SHA256 (RFC 2104, FIPS 180-4), by libsodium, over the pieces one behind the other. Keys of any length. */
void hmac_sha256(uint8_t out[HMAC_SHA256_LEN], const uint8_t *key, size_t key_len, const struct hmac_piece *pieces, size_t count);

#endif
