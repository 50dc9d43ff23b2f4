/* SPDX-License-Identifier: MIT */
/*
 * HMAC-SHA256 (RFC 2104, RFC 4231) by libsodium, whose multi-part form takes keys of any length: longer ones than a block are hashed first,
 * as the RFC has it. Nothing but Babel's authentication (RFC 8967) wants it here; tunnels use BLAKE2s.
 */
#include "crypto/hmac_sha256.h"

#include <sodium.h>

_Static_assert(HMAC_SHA256_LEN == crypto_auth_hmacsha256_BYTES, "HMAC-SHA256");

void hmac_sha256(uint8_t out[HMAC_SHA256_LEN], const uint8_t *key, size_t key_len, const struct hmac_piece *pieces, size_t count)
{
	crypto_auth_hmacsha256_state s;

	crypto_auth_hmacsha256_init(&s, key, key_len);
	for (size_t i = 0; i < count; i++)
		crypto_auth_hmacsha256_update(&s, pieces[i].data, pieces[i].len);
	crypto_auth_hmacsha256_final(&s, out);
	sodium_memzero(&s, sizeof(s));
}
