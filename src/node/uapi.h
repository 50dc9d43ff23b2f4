/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_UAPI_H
#define MESHD_NODE_UAPI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/instant.h"
#include "base/text.h"

struct change;
struct node;

/*
 * The cross-platform configuration protocol of WireGuard, as text: lines "key=value", a request
 * ends with an empty line. Pure: bytes in, a change or an answer out. The socket is sys/uapi.c's.
 */

enum { UAPI_REQUEST_MAX = 64 << 20 };

enum uapi_request {
	UAPI_INCOMPLETE,	/* more bytes are needed */
	UAPI_GET,
	UAPI_SET,
	UAPI_BAD,		/* neither get=1 nor set=1, or longer than UAPI_REQUEST_MAX */
};

/*
 * What the bytes received so far hold. Call it after every read with all of them from the start of the request: '*scanned'
 * is how far earlier calls looked, 0 at first, so that a request is read once however small its pieces
 * are. For a whole request '*len_used' is where it ends; the next one starts there, with '*scanned' 0 again.
 */
enum uapi_request uapi_request(const char *text, size_t len, size_t *scanned, size_t *len_used);

/*
 * Parse a whole set request (the line "set=1" included) into 'c'. Returns 0 or a negative errno as WireGuard's
 * implementations answer: -EINVAL for a bad value, -EPROTO for an unknown key or a
 * line that is none, -E2BIG for too many peers or allowed IPs, -ENOMEM. On failure 'c' is empty. An endpoint whose scope is an
 * interface's name comes as an endpoint of that name without addresses: the caller puts the index in its place.
 */
int uapi_parse_set(struct change *c, const char *text, size_t len);

/* The answer to a get request, errno line and empty line included. Holds secrets: text_wipe() it. */
void uapi_format_get(const struct node *node, struct instant now, struct text *out);

/* The answer to a set request, or to one that is bad: 'error' is 0 or a negative errno. */
void uapi_format_errno(int error, struct text *out);

#endif
