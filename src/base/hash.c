/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 (Aumasson, Bernstein 2012), by libsodium. */
#include "base/hash.h"

#include <sodium.h>

#include "base/bytes.h"

uint64_t hash_bytes(const uint8_t key[16], const void *data, size_t len)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];

	crypto_shorthash_siphash24(out, data, len, key);
	return get_le64(out);
}
