/* SPDX-License-Identifier: MIT */
/*
 * Signatures: libsodium's Ed25519, with the 32-byte seed as the private key (RFC 8032 5.1.5), so that nobody keeps the 64 bytes that libsodium calls one. Checking
 * is libsodium's strict one: S below the order, no point of small order, canonical encodings.
 */
#include "crypto/sign.h"

#include <sodium.h>

#include "crypto/kdf.h"

void sign_seed_of_node(uint8_t seed[SIGN_SEED_LEN], const uint8_t private_key[KEY_LEN])
{
	static const char label[] = "meshd sign 1";

	kdf(seed, NULL, NULL, private_key, label, sizeof(label) - 1);
}

void sign_public(uint8_t key[SIGN_KEY_LEN], const uint8_t seed[SIGN_SEED_LEN])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(key, secret, seed);
	crypto_wipe(secret, sizeof(secret));
}

void sign_make(uint8_t signature[SIGNATURE_LEN], const uint8_t seed[SIGN_SEED_LEN], const void *msg, size_t len)
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES], key[crypto_sign_PUBLICKEYBYTES];

	crypto_sign_seed_keypair(key, secret, seed);
	crypto_sign_detached(signature, NULL, msg, len, secret);
	crypto_wipe(secret, sizeof(secret));
}

bool sign_check(const uint8_t signature[SIGNATURE_LEN], const uint8_t key[SIGN_KEY_LEN], const void *msg, size_t len)
{
	return !crypto_sign_verify_detached(signature, msg, len, key);
}
