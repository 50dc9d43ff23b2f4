/* SPDX-License-Identifier: MIT */
/* BLAKE2s against RFC 7693 (appendices B and E), values of Python's hashlib, and itself in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/blake2s.h"

static void assert_hex(const uint8_t *got, size_t len, const char *want)
{
	char text[2 * BLAKE2S_LEN + 1];

	sodium_bin2hex(text, sizeof(text), got, len);
	assert_string_equal(text, want);
}

static void appendix_b(void **state)
{
	uint8_t out[BLAKE2S_LEN];

	(void)state;
	blake2s(out, sizeof(out), NULL, 0, "abc", 3);
	assert_hex(out, sizeof(out), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
	blake2s(out, sizeof(out), NULL, 0, NULL, 0);
	assert_hex(out, sizeof(out), "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

/* The deterministic sequence of appendix E. */
static void sequence(uint8_t *out, size_t len, uint32_t seed)
{
	uint32_t a = UINT32_C(0xdead4bad) * seed, b = 1;

	for (size_t i = 0; i < len; i++) {
		uint32_t t = a + b;

		a = b;
		b = t;
		out[i] = (uint8_t)(t >> 24);
	}
}

/* The self-test of appendix E: a grand hash over plain and keyed hashes of many lengths. */
static void appendix_e(void **state)
{
	static const size_t out_len[] = { 16, 20, 28, 32 };
	static const size_t in_len[] = { 0, 3, 64, 65, 255, 1024 };
	uint8_t in[1024], md[BLAKE2S_LEN], key[BLAKE2S_KEY_MAX];
	struct blake2s grand;

	(void)state;
	blake2s_init(&grand, 32, NULL, 0);
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 6; j++) {
			sequence(in, in_len[j], (uint32_t)in_len[j]);
			blake2s(md, out_len[i], NULL, 0, in, in_len[j]);
			blake2s_update(&grand, md, out_len[i]);

			sequence(key, out_len[i], (uint32_t)out_len[i]);
			blake2s(md, out_len[i], key, out_len[i], in, in_len[j]);
			blake2s_update(&grand, md, out_len[i]);
		}
	}
	blake2s_final(&grand, md);
	assert_hex(md, sizeof(md), "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
}

/* Input 00 01 02 ..., key 00 .. 1f. */
static void keyed(void **state)
{
	static const struct {
		size_t len;
		const char *hash;
	} vector[] = {
		{ 0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49" },
		{ 1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1" },
		{ 63, "c65382513f07460da39833cb666c5ed82e61b9e998f4b0c4287cee56c3cc9bcd" },
		{ 64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4" },
		{ 65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8" },
		{ 128, "0c311f38c35a4fb90d651c289d486856cd1413df9b0677f53ece2cd9e477c60a" },
		{ 255, "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd" },
	};
	uint8_t bytes[256], out[BLAKE2S_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
		print_message("%zu bytes\n", vector[i].len);
		blake2s(out, sizeof(out), bytes, 32, bytes, vector[i].len);
		assert_hex(out, sizeof(out), vector[i].hash);
	}
	/* A MAC as WireGuard's: 16 bytes, which are not the first 16 of the longer hash. */
	blake2s(out, 16, bytes, 32, bytes, 116);
	assert_hex(out, 16, "072e94ffbfc684bd8ab2a1b9dade2fd5");
}

/* However the input is cut in three, and with empty pieces between, the hash is the same. */
static void in_pieces(void **state)
{
	static const size_t cut[] = { 0, 1, 31, 63, 64, 65, 127, 128, 129, 191, 192, 193, 256, 260 };
	enum { CUTS = sizeof(cut) / sizeof(cut[0]), LEN = 260 };
	uint8_t in[LEN], key[BLAKE2S_KEY_MAX], want[BLAKE2S_LEN], got[BLAKE2S_LEN];

	(void)state;
	sequence(in, sizeof(in), 1);
	sequence(key, sizeof(key), 2);
	for (size_t key_len = 0; key_len <= sizeof(key); key_len += 16) {
		blake2s(want, sizeof(want), key, key_len, in, LEN);
		for (size_t i = 0; i < CUTS; i++) {
			for (size_t j = i; j < CUTS; j++) {
				struct blake2s s;

				blake2s_init(&s, sizeof(got), key, key_len);
				blake2s_update(&s, in, cut[i]);
				blake2s_update(&s, in + cut[i], cut[j] - cut[i]);
				blake2s_update(&s, NULL, 0);
				blake2s_update(&s, in + cut[j], LEN - cut[j]);
				blake2s_final(&s, got);
				assert_memory_equal(got, want, sizeof(want));
			}
		}
	}
}

static void byte_by_byte(void **state)
{
	uint8_t in[300], want[BLAKE2S_LEN], got[BLAKE2S_LEN];

	(void)state;
	sequence(in, sizeof(in), 3);
	for (size_t len = 0; len <= sizeof(in); len++) {
		struct blake2s s;

		blake2s(want, sizeof(want), NULL, 0, in, len);
		blake2s_init(&s, sizeof(got), NULL, 0);
		for (size_t i = 0; i < len; i++)
			blake2s_update(&s, in + i, 1);
		blake2s_final(&s, got);
		assert_memory_equal(got, want, sizeof(want));
	}
}

/* The state is wiped, and not a byte is written behind a short output. */
static void leaves_nothing(void **state)
{
	static const struct blake2s zero;
	uint8_t out[BLAKE2S_LEN], behind[BLAKE2S_LEN];
	struct blake2s s;

	(void)state;
	memset(out, 0xa5, sizeof(out));
	memset(behind, 0xa5, sizeof(behind));
	blake2s_init(&s, 16, (const uint8_t *)"secret", 6);
	blake2s_update(&s, "more of it", 10);
	blake2s_final(&s, out);
	assert_memory_equal(&s, &zero, sizeof(s));
	assert_memory_equal(out + 16, behind, sizeof(out) - 16);
	assert_memory_not_equal(out, behind, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appendix_b),
		cmocka_unit_test(appendix_e),
		cmocka_unit_test(keyed),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(leaves_nothing),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
