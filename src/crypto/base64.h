/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CRYPTO_BASE64_H
#define MESHD_CRYPTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Base64 (RFC 4648) of any length, in constant time for what it holds may be secret. Keys have their own: crypto/key.h. */
enum base64_kind {
	BASE64_PADDED,		/* section 4 */
	BASE64_URL,		/* section 5, without padding */
};

/* Both add to 'out'. The text has no line ends. */
void base64_encode(enum base64_kind kind, const void *data, size_t len, struct text *out);

/* False, with 'out' as it was: a character that is none, padding that is wrong, bits behind the end; or no memory ('out' has failed then). */
bool base64_decode(enum base64_kind kind, const char *text, size_t len, struct text *out);

#endif
