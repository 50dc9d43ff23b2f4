/* SPDX-License-Identifier: MIT */
/*
 * Base64 of texts longer than a key (RFC 4648), by libsodium, which does not branch on what it reads. It works in blocks
 * on the stack, so that nothing is left in memory that nobody wipes: a block is a multiple of three bytes or four characters, and
 * only the last one may be padded. What is read must be canonical: one text for one row of bytes.
 */
#include "crypto/base64.h"

#include <sodium.h>

#include "crypto/key.h"

enum {
	BLOCK_BYTES = 768,
	BLOCK_CHARS = BLOCK_BYTES / 3 * 4,
};

static int variant(enum base64_kind kind)
{
	return kind == BASE64_URL ? sodium_base64_VARIANT_URLSAFE_NO_PADDING : sodium_base64_VARIANT_ORIGINAL;
}

void base64_encode(enum base64_kind kind, const void *data, size_t len, struct text *out)
{
	char block[BLOCK_CHARS + 1];
	const uint8_t *p = data;

	while (len) {
		size_t n = len < BLOCK_BYTES ? len : BLOCK_BYTES;

		sodium_bin2base64(block, sizeof(block), p, n, variant(kind));
		text_add(out, block);
		p += n;
		len -= n;
	}
	crypto_wipe(block, sizeof(block));
}

/* A block before the last must be full: padding in the middle would join two texts. */
static bool decode_block(enum base64_kind kind, const char *text, size_t len, bool last, struct text *out)
{
	uint8_t block[BLOCK_BYTES];
	size_t n = 0;
	bool good = sodium_base642bin(block, sizeof(block), text, len, NULL, &n, NULL, variant(kind)) == 0 &&
		    (last || n == sizeof(block));

	if (good)
		text_add_bytes(out, block, n);
	crypto_wipe(block, sizeof(block));
	return good && !out->failed;
}

bool base64_decode(enum base64_kind kind, const char *text, size_t len, struct text *out)
{
	size_t before = out->len;

	while (len) {
		size_t n = len < BLOCK_CHARS ? len : BLOCK_CHARS;

		if (!decode_block(kind, text, n, n == len, out)) {
			if (out->s) {
				crypto_wipe(out->s + before, out->len - before);
				out->len = before;
			}
			return false;
		}
		text += n;
		len -= n;
	}
	return !out->failed;
}
