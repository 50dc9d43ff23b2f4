/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_KDF_H
#define MESHD_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/blake2s.h"

/* HMAC-BLAKE2s (RFC 2104 with BLAKE2s-256 as the hash, 64-byte blocks). */
void hmac_blake2s(uint8_t out[BLAKE2S_LEN], const uint8_t *key, size_t key_len,
		  const void *data, size_t data_len);

/*
 * HKDF (RFC 5869) as Noise and WireGuard use it: T0 = HMAC(key, input),
 * T1 = HMAC(T0, 1), T2 = HMAC(T0, T1 || 2), T3 = HMAC(T0, T2 || 3). An output
 * that is NULL ends the row. Outputs may alias 'key'.
 */
void kdf(uint8_t *t1, uint8_t *t2, uint8_t *t3, const uint8_t key[BLAKE2S_LEN],
	 const void *input, size_t input_len);

#endif
