/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_AEAD_BACKEND_H
#define MESHD_CRYPTO_AEAD_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct aead;

enum { AEAD_NONCE = 12 };

/*
 * One library behind the seam of crypto/aead.h, with the same contracts. Every back end defines its own struct
 * aead and hands it to nobody, so that a test can hold all of them in one program; meshd has one,
 * chosen by -DAEAD_BACKEND=aead_backend_NAME (see aead.c).
 */
struct aead_backend {
	const char *name;
	struct aead *(*new)(const uint8_t key[32]);
	void (*free)(struct aead *a);
	void (*seal)(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len);
	bool (*open)(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len);
};

extern const struct aead_backend aead_backend_sodium;
extern const struct aead_backend aead_backend_gcrypt;
extern const struct aead_backend aead_backend_openssl;

/* WireGuard's nonce: four zero bytes and the counter, little-endian. */
static inline void aead_nonce(uint8_t nonce[AEAD_NONCE], uint64_t counter)
{
	put_le32(nonce, 0);
	put_le64(nonce + 4, counter);
}

#endif
