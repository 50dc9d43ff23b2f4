/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_KEY_H
#define MESHD_CRYPTO_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

enum {
	KEY_LEN = 32,
	KEY_BASE64_MAX = 45,	/* 44 characters and the zero */
	KEY_HEX_MAX = 65,
};

/* Make the library ready; call once, before anything else in crypto/. False: it cannot work here. */
bool crypto_init(void);

/* Overwrite memory that held secrets; never optimised away. */
void crypto_wipe(void *p, size_t len);

/* Constant-time comparison. */
bool crypto_equal(const void *a, const void *b, size_t len);
bool crypto_is_zero(const void *p, size_t len);

/* A new X25519 private key, clamped as RFC 7748 section 5 says. */
void key_generate(const struct rng *rng, uint8_t private_key[KEY_LEN]);
void key_clamp(uint8_t private_key[KEY_LEN]);

/* X25519: the public key of a private one. */
void key_public(uint8_t public_key[KEY_LEN], const uint8_t private_key[KEY_LEN]);

/* X25519. False, with 'shared' all zero, when the other side's key has small order. */
bool key_exchange(uint8_t shared[KEY_LEN], const uint8_t private_key[KEY_LEN],
		  const uint8_t public_key[KEY_LEN]);

/*
 * Text of keys, in constant time. Parsing wants exactly one key and nothing more (base64: 44 characters
 * with the padding, canonical) and leaves 'key' alone on failure.
 */
bool key_from_base64(uint8_t key[KEY_LEN], const char *text);
bool key_from_hex(uint8_t key[KEY_LEN], const char *text);
char *key_to_base64(char text[KEY_BASE64_MAX], const uint8_t key[KEY_LEN]);
char *key_to_hex(char text[KEY_HEX_MAX], const uint8_t key[KEY_LEN]);

#endif
