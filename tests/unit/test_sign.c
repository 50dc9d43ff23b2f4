/* SPDX-License-Identifier: MIT */
/* Ed25519: the vectors of RFC 8032 section 7.1, what is not canonical, and that a node's seed is one of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/kdf.h"
#include "crypto/sign.h"

static void from_hex(uint8_t *out, const char *hex, size_t len)
{
	assert_int_equal(strlen(hex), 2 * len);
	for (size_t i = 0; i < len; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1] };
		char *end;

		out[i] = (uint8_t)strtoul(pair, &end, 16);
		assert_ptr_equal(end, pair + 2);
	}
}

static const struct vector {
	const char *seed, *key, *message, *signature;
} vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

static void as_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN], wanted[SIGN_KEY_LEN], signature[SIGNATURE_LEN], good[SIGNATURE_LEN], message[2];
		size_t len = strlen(v->message) / 2;

		from_hex(seed, v->seed, sizeof(seed));
		from_hex(wanted, v->key, sizeof(wanted));
		from_hex(good, v->signature, sizeof(good));
		from_hex(message, v->message, len);
		sign_public(key, seed);
		assert_memory_equal(key, wanted, sizeof(key));
		sign_make(signature, seed, message, len);
		assert_memory_equal(signature, good, sizeof(signature));
		assert_true(sign_check(signature, key, message, len));
	}
}

static void every_bit_counts(void **state)
{
	uint8_t seed[SIGN_SEED_LEN] = { 1 }, key[SIGN_KEY_LEN], signature[SIGNATURE_LEN], message[] = "a node";

	(void)state;
	sign_public(key, seed);
	sign_make(signature, seed, message, sizeof(message));
	for (unsigned int bit = 0; bit < 8 * SIGNATURE_LEN; bit++) {
		signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(sign_check(signature, key, message, sizeof(message)));
		signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (unsigned int bit = 0; bit < 8 * sizeof(message); bit++) {
		message[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(sign_check(signature, key, message, sizeof(message)));
		message[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_true(sign_check(signature, key, message, sizeof(message)));
}

/* S plus the order of the group would be the same signature in other bytes: two ids of one thing. */
static void not_canonical(void **state)
{
	static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10 };
	static const uint8_t zeros[SIGN_KEY_LEN], identity[SIGN_KEY_LEN] = { 1 };
	uint8_t seed[SIGN_SEED_LEN] = { 2 }, key[SIGN_KEY_LEN], signature[SIGNATURE_LEN], small[SIGNATURE_LEN] = { 1 };
	unsigned int carry = 0;

	(void)state;
	sign_public(key, seed);
	sign_make(signature, seed, "x", 1);
	for (size_t i = 0; i < 32; i++) {
		carry += signature[32 + i] + order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_false(sign_check(signature, key, "x", 1));
	/* Keys of small order, for which anything would be signed. */
	assert_false(sign_check(small, identity, "x", 1));
	assert_false(sign_check(small, zeros, "x", 1));
}

static void seed_of_a_node(void **state)
{
	uint8_t a[KEY_LEN] = { 1 }, b[KEY_LEN] = { 2 }, x[SIGN_SEED_LEN], y[SIGN_SEED_LEN], wanted[SIGN_SEED_LEN];

	(void)state;
	sign_seed_of_node(x, a);
	sign_seed_of_node(y, b);
	assert_memory_not_equal(x, y, sizeof(x));
	assert_memory_not_equal(x, a, sizeof(x));
	kdf(wanted, NULL, NULL, a, "meshd sign 1", 12);
	assert_memory_equal(x, wanted, sizeof(x));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_published),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(not_canonical),
		cmocka_unit_test(seed_of_a_node),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
