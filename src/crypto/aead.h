/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_AEAD_H
#define MESHD_CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * ChaCha20-Poly1305 (RFC 8439) with WireGuard's nonce (four zero bytes, then the
 * counter, little-endian), behind one seam. The back end is chosen at configure
 * time (--with-aead); aead_name() tells which. A context holds one key for one direction
 * and one thread, so that per-packet work is the packet's alone.
 */
enum { AEAD_TAG = 16 };

struct aead;

/* The library behind the seam: "gcrypt", "openssl" or "sodium". */
const char *aead_name(void);

/*
 * A context for 'key'. NULL: no memory, or the library refuses the cipher (a system in FIPS mode). Not for the
 * packet path, and for one thread of the process only: the first call makes the library ready.
 */
struct aead *aead_new(const uint8_t key[32]);

/* Wipe and free; NULL is fine. */
void aead_free(struct aead *a);

/*
 * Seal 'len' bytes (INT_MAX at most) with no additional data: dst gets len bytes and the tag behind. dst may be src
 * (in place) or must not overlap it.
 */
void aead_seal(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len);

/*
 * Open 'len' bytes, tag included (len >= AEAD_TAG): dst gets len - AEAD_TAG bytes. dst may be src. False, with
 * dst undefined: forged.
 */
bool aead_open(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len);

/*
 * The handshake's use, by libsodium whatever the back end: a key for one message, with additional
 * data. The nonce is all zero, as Noise has it for a fresh key.
 */
void aead_seal_once(uint8_t *dst, const uint8_t *src, size_t len,
		    const uint8_t *ad, size_t ad_len, const uint8_t key[32]);
bool aead_open_once(uint8_t *dst, const uint8_t *src, size_t len,
		    const uint8_t *ad, size_t ad_len, const uint8_t key[32]);

/* XChaCha20-Poly1305 with a random 24-byte nonce, for cookie replies. */
void xaead_seal(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *ad, size_t ad_len,
		const uint8_t nonce[24], const uint8_t key[32]);
bool xaead_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *ad, size_t ad_len,
		const uint8_t nonce[24], const uint8_t key[32]);

#endif
