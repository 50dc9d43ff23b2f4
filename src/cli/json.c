/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer after RFC 8259. Every value begins in the same place, before(), which writes the comma, the line
 * break, the indent and the key; so a value is right wherever it stands.
 *
 * Invariant: bit n of 'filled' tells whether the object or array open at depth n has a member.
 */
#include "cli/json.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD */

static void line(struct json *j)
{
	text_add(j->out, "\n");
	for (unsigned int i = 0; i < j->depth; i++)
		text_add(j->out, "  ");
}

/*
 * Length of the UTF-8 sequence at 'p', 0 when it is none (RFC 3629 section 4: no overlong forms, no
 * surrogates, nothing above U+10FFFF). A zero byte ends the text and is never a continuation.
 */
static size_t utf8_len(const unsigned char *p)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (*p < 0x80)
		return 1;
	if (*p < 0xc2 || *p > 0xf4)
		return 0;
	len = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	if (*p == 0xe0)
		low = 0xa0;
	else if (*p == 0xed)
		high = 0x9f;
	else if (*p == 0xf0)
		low = 0x90;
	else if (*p == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

static void quoted(struct text *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	text_add(out, "\"");
	while (*p) {
		size_t len = utf8_len(p);

		if (!len)
			text_add(out, REPLACEMENT);
		else if (*p == '"' || *p == '\\')
			text_addf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			text_addf(out, "\\u%04x", *p);
		else
			text_add_bytes(out, p, len);
		p += len ? len : 1;
	}
	text_add(out, "\"");
}

static void before(struct json *j, const char *key)
{
	if (j->filled & UINT32_C(1) << j->depth)
		text_add(j->out, ",");
	if (j->depth)
		line(j);
	j->filled |= UINT32_C(1) << j->depth;
	if (key) {
		quoted(j->out, key);
		text_add(j->out, ": ");
	}
}

/* Past JSON_DEPTH_MAX the text fails, as it does without memory: no half document gets out. */
static void begin(struct json *j, const char *key, const char *bracket)
{
	before(j, key);
	text_add(j->out, bracket);
	if (j->depth == JSON_DEPTH_MAX) {
		j->out->failed = true;
		return;
	}
	j->depth++;
	j->filled &= ~(UINT32_C(1) << j->depth);
}

static void end(struct json *j, const char *bracket)
{
	bool any = j->filled & UINT32_C(1) << j->depth;

	if (j->depth)
		j->depth--;
	if (any)
		line(j);
	text_add(j->out, bracket);
}

void json_object(struct json *j, const char *key)
{
	begin(j, key, "{");
}

void json_object_end(struct json *j)
{
	end(j, "}");
}

void json_array(struct json *j, const char *key)
{
	begin(j, key, "[");
}

void json_array_end(struct json *j)
{
	end(j, "]");
}

void json_string(struct json *j, const char *key, const char *value)
{
	before(j, key);
	quoted(j->out, value);
}

void json_string_or_null(struct json *j, const char *key, const char *value)
{
	if (value && *value)
		json_string(j, key, value);
	else
		json_null(j, key);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	before(j, key);
	text_addf(j->out, "%" PRIu64, value);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	before(j, key);
	text_addf(j->out, "%" PRId64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	before(j, key);
	text_add(j->out, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	before(j, key);
	text_add(j->out, "null");
}

void json_end(struct json *j)
{
	text_add(j->out, "\n");
}
