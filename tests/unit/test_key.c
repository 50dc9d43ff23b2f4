/* SPDX-License-Identifier: MIT */
/* Keys: X25519 against RFC 7748, points of small order, and the text of keys, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/key.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void from_hex(uint8_t key[KEY_LEN], const char *text)
{
	size_t len;

	assert_int_equal(sodium_hex2bin(key, KEY_LEN, text, strlen(text), NULL, &len, NULL), 0);
	assert_int_equal(len, KEY_LEN);
}

static void assert_hex(const uint8_t got[KEY_LEN], const char *want)
{
	char text[2 * KEY_LEN + 1];

	sodium_bin2hex(text, sizeof(text), got, KEY_LEN);
	assert_string_equal(text, want);
}

static void rfc7748_single(void **state)
{
	static const struct {
		const char *scalar, *point, *result;
	} vector[] = {
		{ "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		  "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
		/* Its highest bit, which is set, must be ignored. */
		{ "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		  "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		  "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957" },
	};
	uint8_t scalar[KEY_LEN], point[KEY_LEN], out[KEY_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(vector); i++) {
		from_hex(scalar, vector[i].scalar);
		from_hex(point, vector[i].point);
		assert_true(key_exchange(out, scalar, point));
		assert_hex(out, vector[i].result);
	}
}

static void rfc7748_iterated(void **state)
{
	uint8_t k[KEY_LEN] = { 9 }, u[KEY_LEN] = { 9 }, next[KEY_LEN];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(key_exchange(next, k, u));
		memcpy(u, k, KEY_LEN);
		memcpy(k, next, KEY_LEN);
		if (i == 0)
			assert_hex(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
	}
	assert_hex(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void rfc7748_diffie_hellman(void **state)
{
	uint8_t a[KEY_LEN], b[KEY_LEN], a_public[KEY_LEN], b_public[KEY_LEN], shared[KEY_LEN];

	(void)state;
	from_hex(a, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	from_hex(b, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	key_public(a_public, a);
	key_public(b_public, b);
	assert_hex(a_public, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_hex(b_public, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_true(key_exchange(shared, a, b_public));
	assert_hex(shared, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	assert_true(key_exchange(shared, b, a_public));
	assert_hex(shared, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* Points whose multiples are all in a subgroup of order 1, 2, 4 or 8: the secret would be no secret. */
static void small_order_is_refused(void **state)
{
	static const char *const point[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",	/* p - 1 */
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",	/* p = 0 */
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",	/* p + 1 = 1 */
		"0000000000000000000000000000000000000000000000000000000000000080",	/* 0, top bit set */
	};
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN], shared[KEY_LEN];

	(void)state;
	from_hex(private_key, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	for (size_t i = 0; i < COUNT(point); i++) {
		print_message("%s\n", point[i]);
		from_hex(public_key, point[i]);
		memset(shared, 0xa5, sizeof(shared));
		assert_false(key_exchange(shared, private_key, public_key));
		assert_true(crypto_is_zero(shared, sizeof(shared)));
	}
}

static void fill_with(void *ctx, void *out, size_t len)
{
	memset(out, *(const int *)ctx, len);
}

static void generated_keys_are_clamped(void **state)
{
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN], again[KEY_LEN];
	int byte = 0xff;
	const struct rng rng = { .fill = fill_with, .ctx = &byte };

	(void)state;
	key_generate(&rng, private_key);
	assert_hex(private_key, "f8ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
	byte = 0;
	key_generate(&rng, private_key);
	assert_hex(private_key, "0000000000000000000000000000000000000000000000000000000000000040");

	/* Clamping is what X25519 does to a scalar anyway. */
	from_hex(private_key, "0706050403020100ffffffffffffffffffffffffffffffffffffffffffffffff");
	key_public(public_key, private_key);
	key_clamp(private_key);
	assert_hex(private_key, "0006050403020100ffffffffffffffffffffffffffffffffffffffffffffff7f");
	key_public(again, private_key);
	assert_memory_equal(again, public_key, KEY_LEN);
}

/* base64 of the bytes 00 .. 1f, of 32 bytes ff, and of zeros. */
static const struct {
	const char *base64, *hex;
} text[] = {
	{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" },
	{ "//////////////////////////////////////////8=",
	  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" },
	{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	  "0000000000000000000000000000000000000000000000000000000000000000" },
	{ "++++++++++++++++++++++++++++++++++++++++++8=",
	  "fbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbef" },
};

static void good_text(void **state)
{
	char base64[KEY_BASE64_MAX], hex[KEY_HEX_MAX];
	uint8_t key[KEY_LEN], same[KEY_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(text); i++) {
		assert_true(key_from_base64(key, text[i].base64));
		assert_hex(key, text[i].hex);
		assert_true(key_from_hex(same, text[i].hex));
		assert_memory_equal(same, key, KEY_LEN);
		assert_ptr_equal(key_to_base64(base64, key), base64);
		assert_string_equal(base64, text[i].base64);
		assert_ptr_equal(key_to_hex(hex, key), hex);
		assert_string_equal(hex, text[i].hex);
	}
	assert_true(key_from_hex(key, "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"));
	assert_hex(key, text[0].hex);
}

static void bad_text(void **state)
{
	static const char *const base64[] = {
		"",
		"=",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",	/* padding missing */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
		" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		" AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",	/* 33 bytes */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",	/* 31 bytes */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH===",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",	/* not canonical: stray bits... */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+=",
		"//////////////////////////////////////////9=",
		"//////////////////////////////////////////+=",	/* ...each of the two */
		"__________________________________________8=",	/* the other alphabet */
		"AAECAwQFBgcICQoLDA0OD*AREhMUFRYXGBkaGxwdHh8=",
		"AAECAwQFBgcICQoLDA0O=xAREhMUFRYXGBkaGxwdHh8=",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh\xc3=",
	};
	static const char *const hex[] = {
		"",
		"00010203",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
		"0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"00010203:405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1 ",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1\xff",
	};
	uint8_t key[KEY_LEN], before[KEY_LEN];

	(void)state;
	memset(key, 0xa5, sizeof(key));
	memset(before, 0xa5, sizeof(before));
	for (size_t i = 0; i < COUNT(base64); i++) {
		print_message("base64 \"%s\"\n", base64[i]);
		assert_false(key_from_base64(key, base64[i]));
		assert_memory_equal(key, before, sizeof(key));
	}
	for (size_t i = 0; i < COUNT(hex); i++) {
		print_message("hex \"%s\"\n", hex[i]);
		assert_false(key_from_hex(key, hex[i]));
		assert_memory_equal(key, before, sizeof(key));
	}
}

/* Of the 64 letters in the last place exactly the 16 without stray bits make a key. */
static void last_letter_is_canonical(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char base64[KEY_BASE64_MAX];
	uint8_t key[KEY_LEN];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		snprintf(base64, sizeof(base64), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh%c=", letters[i]);
		assert_int_equal(key_from_base64(key, base64), i % 4 == 0);
		if (i % 4 == 0)
			assert_int_equal(key[31], (1 << 4 | i >> 2) & 0xff);
	}
}

static void helpers(void **state)
{
	uint8_t a[40] = { 0 }, b[40] = { 0 };

	(void)state;
	assert_true(crypto_is_zero(a, sizeof(a)));
	assert_true(crypto_equal(a, b, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++) {
		a[i] = 0x80;
		assert_false(crypto_equal(a, b, sizeof(a)));
		assert_false(crypto_is_zero(a, sizeof(a)));
		assert_true(crypto_equal(a, b, i));
		assert_true(crypto_is_zero(a, i));
		crypto_wipe(a + i, 1);
	}
	memset(a, 0xff, sizeof(a));
	crypto_wipe(a, sizeof(a) - 1);
	assert_true(crypto_is_zero(a, sizeof(a) - 1));
	assert_int_equal(a[sizeof(a) - 1], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc7748_single),
		cmocka_unit_test(rfc7748_iterated),
		cmocka_unit_test(rfc7748_diffie_hellman),
		cmocka_unit_test(small_order_is_refused),
		cmocka_unit_test(generated_keys_are_clamped),
		cmocka_unit_test(good_text),
		cmocka_unit_test(bad_text),
		cmocka_unit_test(last_letter_is_canonical),
		cmocka_unit_test(helpers),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
