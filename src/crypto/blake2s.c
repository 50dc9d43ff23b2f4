/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2s, RFC 7693, in portable C: it hashes handshakes, not packets, so clear beats fast.
 *
 * A full block is compressed only when more data follows, because the last block, full or not, is
 * compressed with the final flag: between calls 'block' holds 0..64 bytes, and 'fill' is 0 only before the
 * first byte. 'count' is the number of bytes compressed before them. A key is hashed as a first block of its own,
 * padded with zeros. No table is indexed and no branch taken by data, so keys may be hashed.
 */
#include "crypto/blake2s.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/key.h"

static const uint32_t iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* Which word of the block each step of each round takes (section 2.7). */
static const uint8_t sigma[10][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static uint32_t rotate_right(uint32_t v, unsigned int n)
{
	return v >> n | v << (32 - n);
}

/* The mixing function G of section 3.1 on one column or diagonal. */
static void mix(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, uint32_t x, uint32_t y)
{
	*a += *b + x;
	*d = rotate_right(*d ^ *a, 16);
	*c += *d;
	*b = rotate_right(*b ^ *c, 12);
	*a += *b + y;
	*d = rotate_right(*d ^ *a, 8);
	*c += *d;
	*b = rotate_right(*b ^ *c, 7);
}

static void mix_round(uint32_t v[16], const uint32_t m[16], const uint8_t order[16])
{
	for (unsigned int i = 0; i < 4; i++)
		mix(&v[i], &v[4 + i], &v[8 + i], &v[12 + i], m[order[2 * i]], m[order[2 * i + 1]]);
	for (unsigned int i = 0; i < 4; i++)
		mix(&v[i], &v[4 + (i + 1) % 4], &v[8 + (i + 2) % 4], &v[12 + (i + 3) % 4],
		    m[order[8 + 2 * i]], m[order[9 + 2 * i]]);
}

/* The function F of section 3.2 on the block at hand, of which 'fill' bytes count. */
static void compress(struct blake2s *s, bool last)
{
	uint32_t v[16], m[16];

	s->count += s->fill;
	for (unsigned int i = 0; i < 8; i++) {
		v[i] = s->h[i];
		v[8 + i] = iv[i];
	}
	v[12] ^= (uint32_t)s->count;
	v[13] ^= (uint32_t)(s->count >> 32);
	if (last)
		v[14] = ~v[14];
	for (unsigned int i = 0; i < 16; i++)
		m[i] = get_le32(s->block + 4 * i);

	for (unsigned int r = 0; r < 10; r++)
		mix_round(v, m, sigma[r]);
	for (unsigned int i = 0; i < 8; i++)
		s->h[i] ^= v[i] ^ v[8 + i];
	s->fill = 0;
	crypto_wipe(v, sizeof(v));
	crypto_wipe(m, sizeof(m));
}

void blake2s_init(struct blake2s *s, size_t len, const uint8_t *key, size_t key_len)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->h, iv, sizeof(iv));
	/* The parameter block: output length, key length, fanout 1, depth 1, all else zero. */
	s->h[0] ^= (uint32_t)(0x01010000 | key_len << 8 | len);
	s->len = len;
	if (key_len) {
		memcpy(s->block, key, key_len);
		s->fill = BLAKE2S_BLOCK;
	}
}

void blake2s_update(struct blake2s *s, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len) {
		size_t n;

		if (s->fill == BLAKE2S_BLOCK)
			compress(s, false);
		n = BLAKE2S_BLOCK - s->fill;
		if (n > len)
			n = len;
		memcpy(s->block + s->fill, from, n);
		s->fill += n;
		from += n;
		len -= n;
	}
}

void blake2s_final(struct blake2s *s, uint8_t *out)
{
	uint8_t hash[BLAKE2S_LEN];

	memset(s->block + s->fill, 0, BLAKE2S_BLOCK - s->fill);
	compress(s, true);
	for (unsigned int i = 0; i < 8; i++)
		put_le32(hash + 4 * i, s->h[i]);
	memcpy(out, hash, s->len);
	crypto_wipe(hash, sizeof(hash));
	crypto_wipe(s, sizeof(*s));
}

void blake2s(uint8_t *out, size_t len, const uint8_t *key, size_t key_len,
	     const void *data, size_t data_len)
{
	struct blake2s s;

	blake2s_init(&s, len, key, key_len);
	blake2s_update(&s, data, data_len);
	blake2s_final(&s, out);
}
