/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_JSON_H
#define MESHD_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { JSON_DEPTH_MAX = 31 };

/*
 * Writes JSON (RFC 8259), indented, into a text. Commas, line breaks and escapes are the writer's business; that
 * begin and end match is the caller's. 'key' names a member of an object and is NULL in an array and at the
 * top. Start with { .out = text } and all else zero.
 */
struct json {
	struct text *out;
	unsigned int depth;
	uint32_t filled;	/* bit n: the value open at depth n has something in it */
};

void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);

/* Bytes that are not UTF-8 become U+FFFD, so the output is always valid. */
void json_string(struct json *j, const char *key, const char *value);

/* The same, but null for an empty string. */
void json_string_or_null(struct json *j, const char *key, const char *value);

void json_uint(struct json *j, const char *key, uint64_t value);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/* End of the document: a newline. */
void json_end(struct json *j);

#endif
