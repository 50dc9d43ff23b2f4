/* SPDX-License-Identifier: MIT */
/*
 * Keys: X25519 (RFC 7748), their text, and the few primitives every user of secrets needs, all by
 * libsodium, whose codecs and comparisons do not branch on what they read. A text is decoded
 * into a copy first, so that a bad one changes nothing.
 */
#include "crypto/key.h"

#include <sodium.h>
#include <string.h>

_Static_assert(KEY_LEN == crypto_scalarmult_BYTES, "X25519 keys");
_Static_assert(KEY_BASE64_MAX == sodium_base64_ENCODED_LEN(KEY_LEN, sodium_base64_VARIANT_ORIGINAL), "base64");

bool crypto_init(void)
{
	return sodium_init() >= 0;
}

void crypto_wipe(void *p, size_t len)
{
	sodium_memzero(p, len);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

bool crypto_is_zero(const void *p, size_t len)
{
	return sodium_is_zero(p, len) == 1;
}

void key_clamp(uint8_t private_key[KEY_LEN])
{
	private_key[0] &= 248;
	private_key[31] = (uint8_t)((private_key[31] & 127) | 64);
}

void key_generate(const struct rng *rng, uint8_t private_key[KEY_LEN])
{
	rng_fill(rng, private_key, KEY_LEN);
	key_clamp(private_key);
}

void key_public(uint8_t public_key[KEY_LEN], const uint8_t private_key[KEY_LEN])
{
	crypto_scalarmult_base(public_key, private_key);
}

bool key_exchange(uint8_t shared[KEY_LEN], const uint8_t private_key[KEY_LEN],
		  const uint8_t public_key[KEY_LEN])
{
	if (crypto_scalarmult(shared, private_key, public_key) == 0)
		return true;
	/* Some of libsodium's implementations leave it as it was; nobody shall take that for a secret. */
	memset(shared, 0, KEY_LEN);
	return false;
}

bool key_from_base64(uint8_t key[KEY_LEN], const char *text)
{
	uint8_t bytes[KEY_LEN];
	size_t len = 0;
	bool good = strlen(text) == KEY_BASE64_MAX - 1 &&
		    sodium_base642bin(bytes, sizeof(bytes), text, KEY_BASE64_MAX - 1, NULL, &len,
				      NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
		    len == KEY_LEN;

	if (good)
		memcpy(key, bytes, KEY_LEN);
	crypto_wipe(bytes, sizeof(bytes));
	return good;
}

bool key_from_hex(uint8_t key[KEY_LEN], const char *text)
{
	uint8_t bytes[KEY_LEN];
	size_t len = 0;
	bool good = strlen(text) == KEY_HEX_MAX - 1 &&
		    sodium_hex2bin(bytes, sizeof(bytes), text, KEY_HEX_MAX - 1, NULL, &len, NULL) == 0 &&
		    len == KEY_LEN;

	if (good)
		memcpy(key, bytes, KEY_LEN);
	crypto_wipe(bytes, sizeof(bytes));
	return good;
}

char *key_to_base64(char text[KEY_BASE64_MAX], const uint8_t key[KEY_LEN])
{
	return sodium_bin2base64(text, KEY_BASE64_MAX, key, KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
}

char *key_to_hex(char text[KEY_HEX_MAX], const uint8_t key[KEY_LEN])
{
	return sodium_bin2hex(text, KEY_HEX_MAX, key, KEY_LEN);
}
