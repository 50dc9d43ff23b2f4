/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_SIGN_H
#define MESHD_CRYPTO_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key.h"

/* Ed25519 (RFC 8032), libsodium's. A seed is the private key. */
enum {
	SIGN_SEED_LEN = 32,
	SIGN_KEY_LEN = 32,
	SIGNATURE_LEN = 64,
};

/* The seed of a node: KDF1(its X25519 private key, "meshd sign 1"). So a node has one secret, and its record binds both public keys. */
void sign_seed_of_node(uint8_t seed[SIGN_SEED_LEN], const uint8_t private_key[KEY_LEN]);

/* The public key of a seed. */
void sign_public(uint8_t key[SIGN_KEY_LEN], const uint8_t seed[SIGN_SEED_LEN]);

void sign_make(uint8_t signature[SIGNATURE_LEN], const uint8_t seed[SIGN_SEED_LEN], const void *msg, size_t len);

/* False: it is not by this key, or not canonical. */
bool sign_check(const uint8_t signature[SIGNATURE_LEN], const uint8_t key[SIGN_KEY_LEN], const void *msg, size_t len);

#endif
