/* SPDX-License-Identifier: MIT */
/*
 * HMAC and HKDF over BLAKE2s, as the WireGuard whitepaper (section 5.4) wants them. BLAKE2s has a keyed mode of its own,
 * which the MACs of messages use; the key derivation does not: Noise defines it with HMAC (RFC 2104), so
 * here it is HMAC, block of 64 bytes. Everything on the stack is wiped, also the inner hash: it tells a chaining key.
 */
#include "crypto/kdf.h"

#include <string.h>

#include "crypto/key.h"

static void xor_all(uint8_t pad[BLAKE2S_BLOCK], uint8_t with)
{
	for (size_t i = 0; i < BLAKE2S_BLOCK; i++)
		pad[i] ^= with;
}

void hmac_blake2s(uint8_t out[BLAKE2S_LEN], const uint8_t *key, size_t key_len,
		  const void *data, size_t data_len)
{
	uint8_t pad[BLAKE2S_BLOCK] = { 0 }, inner[BLAKE2S_LEN];
	struct blake2s s;

	if (key_len > BLAKE2S_BLOCK)
		blake2s(pad, BLAKE2S_LEN, NULL, 0, key, key_len);
	else if (key_len)
		memcpy(pad, key, key_len);

	xor_all(pad, 0x36);
	blake2s_init(&s, BLAKE2S_LEN, NULL, 0);
	blake2s_update(&s, pad, sizeof(pad));
	blake2s_update(&s, data, data_len);
	blake2s_final(&s, inner);

	xor_all(pad, 0x36 ^ 0x5c);
	blake2s_init(&s, BLAKE2S_LEN, NULL, 0);
	blake2s_update(&s, pad, sizeof(pad));
	blake2s_update(&s, inner, sizeof(inner));
	blake2s_final(&s, out);

	crypto_wipe(pad, sizeof(pad));
	crypto_wipe(inner, sizeof(inner));
}

void kdf(uint8_t *t1, uint8_t *t2, uint8_t *t3, const uint8_t key[BLAKE2S_LEN],
	 const void *input, size_t input_len)
{
	uint8_t *const out[3] = { t1, t2, t3 };
	uint8_t t0[BLAKE2S_LEN], chain[BLAKE2S_LEN + 1];
	size_t chained = 0;

	hmac_blake2s(t0, key, BLAKE2S_LEN, input, input_len);
	for (uint8_t i = 0; i < 3 && out[i]; i++) {
		chain[chained] = (uint8_t)(i + 1);
		hmac_blake2s(chain, t0, sizeof(t0), chain, chained + 1);
		memcpy(out[i], chain, BLAKE2S_LEN);
		chained = BLAKE2S_LEN;
	}
	crypto_wipe(t0, sizeof(t0));
	crypto_wipe(chain, sizeof(chain));
}
