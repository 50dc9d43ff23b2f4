/* SPDX-License-Identifier: MIT */
/* HMAC and HKDF over BLAKE2s. The values are those of Python's hmac and hashlib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/kdf.h"

#include "handshake_vectors.h"

static void assert_hex(const uint8_t got[BLAKE2S_LEN], const char *want)
{
	char text[2 * BLAKE2S_LEN + 1];

	sodium_bin2hex(text, sizeof(text), got, BLAKE2S_LEN);
	assert_string_equal(text, want);
}

/* Byte i of every input and key is 7i + 3. */
static void pattern(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(7 * i + 3);
}

static void hmac(void **state)
{
	static const struct {
		size_t key_len, len;
		const char *mac;
	} vector[] = {
		{ 0, 0, "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd" },
		{ 1, 1, "0cdbebe811f8ce015fa79548765a35dc817128ecec41e2b4bac398a558c88bdd" },
		{ 16, 63, "fcd13dd0723f44e8c555a39fbfb0333f64912945f09809f4becf3ceb3bc67a9d" },
		{ 32, 64, "8ddd0b45991f76ba6a8d0d0d2fc5f5014868ed88118a98f34545ab7dc672a253" },
		{ 63, 65, "a30177f0330304f8969ec67433be8ab4fac202ad83e823d2e2e4699d9aac26d7" },
		{ 64, 128, "d07f130146da2cb88939a41a5fca05531c731dc9b2391cd628f24da6f5ac6aa8" },
		/* A key longer than a block is hashed first. */
		{ 65, 129, "5f97a26f948d712d80e8853b45b83400e59f1c7991ca34026782f890f1f8af9d" },
		{ 200, 300, "59562c7b64383db7959db6b30bd18c3509a1470ad09d711d258a61c6084ac179" },
	};
	uint8_t bytes[300], out[BLAKE2S_LEN];

	(void)state;
	pattern(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
		print_message("key %zu, data %zu\n", vector[i].key_len, vector[i].len);
		hmac_blake2s(out, bytes, vector[i].key_len, bytes, vector[i].len);
		assert_hex(out, vector[i].mac);
	}
	hmac_blake2s(out, NULL, 0, NULL, 0);
	assert_hex(out, vector[0].mac);
}

/* Key of 32 bytes; input of 0, 32 and 131; all three outputs. */
static const struct {
	size_t len;
	const char *t[3];
} hkdf_vector[] = {
	{ 0, { "496aeaedeeeefe03e531b662dc0e24abea1e823ec82139d3be872d9ae91bf23e",
	       "a7838d2a32fa536866ef113833f0c8c5a8577cc474374474f67b9e338f13b19b",
	       "790e04448fb9bf21ec0e4f88b17130be59d8fa2c739ff4a83ff34c1fee3e275b" } },
	{ 32, { "3470228953884e53de8ea89224b4e11cc89d016c66a4fd429758a2db2a5a23fd",
		"84f021c4833717e3f4b134605ada6978b5610c3cbe3aacb5fff4b4840699a010",
		"9675f5b49f083a4b57cc06e569c787c4aaf44dd3171d5412a9a73706a2d743cf" } },
	{ 131, { "847949030e934f240b66881d4e05b2bf876ae6966d5e7ad22624651685702915",
		 "15cbd7fd35761ec5c8d728bb2ad1822cdc7af3e70c7eed52c8d278dcdbfcd516",
		 "3c156bd57c8dba89dbb8893b706b7826dbb0aafe2bad2a1d37446ca4261bd307" } },
};

static void one_two_three_outputs(void **state)
{
	static const uint8_t untouched[BLAKE2S_LEN] = { 0 };
	uint8_t bytes[131];

	(void)state;
	pattern(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(hkdf_vector) / sizeof(hkdf_vector[0]); i++) {
		for (size_t n = 1; n <= 3; n++) {
			uint8_t t[3][BLAKE2S_LEN] = { { 0 } };

			print_message("input %zu, %zu outputs\n", hkdf_vector[i].len, n);
			kdf(t[0], n > 1 ? t[1] : NULL, n > 2 ? t[2] : NULL, bytes, bytes, hkdf_vector[i].len);
			for (size_t k = 0; k < n; k++)
				assert_hex(t[k], hkdf_vector[i].t[k]);
			for (size_t k = n; k < 3; k++)
				assert_memory_equal(t[k], untouched, BLAKE2S_LEN);
		}
	}
}

/* A NULL ends the row, whatever follows; and the third output does not change the others. */
static void null_ends_the_row(void **state)
{
	static const uint8_t untouched[BLAKE2S_LEN] = { 0 };
	uint8_t bytes[32], t1[BLAKE2S_LEN], t3[BLAKE2S_LEN] = { 0 };

	(void)state;
	pattern(bytes, sizeof(bytes));
	kdf(t1, NULL, t3, bytes, bytes, 32);
	assert_hex(t1, hkdf_vector[1].t[0]);
	assert_memory_equal(t3, untouched, sizeof(t3));
}

/* As the handshake uses it: the chaining key is key and first output at once. */
static void outputs_may_be_the_key(void **state)
{
	uint8_t input[32], key[3][BLAKE2S_LEN], other[2][BLAKE2S_LEN];

	(void)state;
	pattern(input, sizeof(input));
	for (size_t i = 0; i < 3; i++)
		pattern(key[i], BLAKE2S_LEN);
	kdf(key[0], other[0], other[1], key[0], input, 32);
	assert_hex(key[0], hkdf_vector[1].t[0]);
	assert_hex(other[0], hkdf_vector[1].t[1]);
	assert_hex(other[1], hkdf_vector[1].t[2]);

	kdf(other[0], key[1], other[1], key[1], input, 32);
	assert_hex(key[1], hkdf_vector[1].t[1]);
	assert_hex(other[1], hkdf_vector[1].t[2]);

	kdf(other[0], other[1], key[2], key[2], input, 32);
	assert_hex(key[2], hkdf_vector[1].t[2]);
}

/* The end of a handshake: T1 and T2 are WireGuard's session, T3 is the exporter. */
static void session_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(handshake_vectors) / sizeof(handshake_vectors[0]); i++) {
		const struct handshake_vector *v = &handshake_vectors[i];
		uint8_t t[3][BLAKE2S_LEN];

		kdf(t[0], t[1], t[2], v->chaining_key, NULL, 0);
		assert_memory_equal(t[0], v->initiator_send, BLAKE2S_LEN);
		assert_memory_equal(t[1], v->responder_send, BLAKE2S_LEN);
		assert_memory_equal(t[2], v->exporter, BLAKE2S_LEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac),
		cmocka_unit_test(one_two_three_outputs),
		cmocka_unit_test(null_ends_the_row),
		cmocka_unit_test(outputs_may_be_the_key),
		cmocka_unit_test(session_keys),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
