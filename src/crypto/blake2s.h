/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_BLAKE2S_H
#define MESHD_CRYPTO_BLAKE2S_H

#include <stddef.h>
#include <stdint.h>

/* BLAKE2s (RFC 7693), which libsodium does not have: it has BLAKE2b only. */
enum {
	BLAKE2S_LEN = 32,
	BLAKE2S_BLOCK = 64,
	BLAKE2S_KEY_MAX = 32,
};

struct blake2s {
	uint32_t h[8];
	uint64_t count;		/* bytes compressed so far */
	uint8_t block[BLAKE2S_BLOCK];
	size_t fill, len;	/* bytes waiting in block; bytes of output */
};

/* Start a hash of 'len' (1..32) bytes; key may be NULL with key_len 0. */
void blake2s_init(struct blake2s *s, size_t len, const uint8_t *key, size_t key_len);
void blake2s_update(struct blake2s *s, const void *data, size_t len);

/* Write the hash and wipe the state. */
void blake2s_final(struct blake2s *s, uint8_t *out);

/* All in one. */
void blake2s(uint8_t *out, size_t len, const uint8_t *key, size_t key_len,
	     const void *data, size_t data_len);

#endif
