/* SPDX-License-Identifier: MIT */
/*
 * Any bytes from a client of the UAPI socket. The first byte says in what pieces the rest arrives, which must make no
 * difference. A set request is read whole or leaves nothing; what was read becomes a fake node, and what "get" tells of that
 * node must, sent back as "set", mean the same.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/change.h"
#include "node/node.h"
#include "node/uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

/* A node that is what the change says. */
struct node {
	const struct change *c;
};

void node_info(const struct node *n, struct node_info *info)
{
	memset(info, 0, sizeof(*info));
	memcpy(info->private_key, n->c->private_key, KEY_LEN);
	info->has_key = !crypto_is_zero(n->c->private_key, KEY_LEN);
	info->listen_port = n->c->listen_port;
	info->fwmark = n->c->fwmark;
	info->peer_count = n->c->peer_count;
}

bool node_peer(const struct node *n, size_t i, struct instant now, struct peer_info *info)
{
	const struct change_peer *p;

	if (i >= n->c->peer_count)
		return false;
	p = &n->c->peers[i];
	memset(info, 0, sizeof(*info));
	memcpy(info->public_key, p->public_key, KEY_LEN);
	memcpy(info->psk, p->psk, KEY_LEN);
	if (p->endpoint_count && p->endpoints[0].count)
		info->path.remote = p->endpoints[0].v[0];
	info->keepalive_s = p->keepalive_s;
	info->handshake_wall_ns = now.wall_ns;
	return true;
}

void node_peer_allowed(const struct node *n, size_t i, void (*visit)(void *ctx, const struct ip_prefix *p), void *ctx)
{
	for (size_t k = 0; k < n->c->peers[i].allowed_count; k++)
		visit(ctx, &n->c->peers[i].allowed[k].prefix);
}

/* An answer as a request: without what only an answer has. */
static void answer_to_request(const char *answer, struct text *request)
{
	static const char *const status[] = { "last_handshake_time_", "tx_bytes=", "rx_bytes=", "errno=0\n" };

	text_add(request, "set=1\n");
	while (*answer) {
		size_t len = strcspn(answer, "\n") + 1;
		bool skip = false;

		for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++)
			skip |= strncmp(answer, status[i], strlen(status[i])) == 0;
		if (!skip)
			text_add_bytes(request, answer, len);
		answer += len;
	}
}

static const struct endpoint *first_address(const struct change_peer *p)
{
	for (size_t i = 0; i < p->endpoint_count; i++)
		if (p->endpoints[i].count)
			return &p->endpoints[i].v[0];
	return NULL;
}

/* A scope's name is lost on the way: a node has none. */
static bool same_address(const struct change_peer *p, const struct change_peer *q)
{
	const struct endpoint *a = first_address(p), *b = first_address(q);

	return a && b ? endpoint_equal(a, b) : !a && !b;
}

static void check_same(const struct change *a, const struct change *b)
{
	require(a->listen_port == b->listen_port && a->fwmark == b->fwmark, "other device");
	require(memcmp(a->private_key, b->private_key, KEY_LEN) == 0, "other private key");
	require(a->peer_count == b->peer_count, "other peers");
	for (size_t i = 0; i < a->peer_count; i++) {
		const struct change_peer *p = &a->peers[i], *q = &b->peers[i];

		require(memcmp(p->public_key, q->public_key, KEY_LEN) == 0, "other public key");
		require(memcmp(p->psk, q->psk, KEY_LEN) == 0, "other preshared key");
		require(same_address(p, q), "other endpoint");
		require(p->keepalive_s == q->keepalive_s, "other keepalive");
		require(p->allowed_count == q->allowed_count, "other number of allowed IPs");
		for (size_t k = 0; k < p->allowed_count; k++)
			require(memcmp(&p->allowed[k].prefix, &q->allowed[k].prefix, sizeof(p->allowed[k].prefix)) == 0,
				"other allowed IP");
	}
}

static void check_get(const struct change *c)
{
	const struct node node = { c };
	struct text answer = { 0 }, request = { 0 };
	struct change again;

	uapi_format_get(&node, (struct instant){ .mono_us = 1, .wall_ns = 1 }, &answer);
	require(!answer.failed && answer.len >= 9, "no answer");
	require(strcmp(answer.s + answer.len - 9, "errno=0\n\n") == 0, "an answer without its end");
	answer_to_request(answer.s, &request);
	require(uapi_parse_set(&again, request.s, request.len) == 0, "an answer that is no request");
	check_same(c, &again);
	change_done(&again);
	text_wipe(&answer);
	text_wipe(&request);
}

static void check_set(const char *text, size_t len)
{
	static const struct change empty;
	struct change c;
	int error = uapi_parse_set(&c, text, len);

	if (error) {
		require(error == -EINVAL || error == -EPROTO || error == -E2BIG, "an error of its own kind");
	} else {
		check_get(&c);
		change_done(&c);
	}
	require(memcmp(&c, &empty, sizeof(c)) == 0, "something left");
}

/* The same bytes at once, and so many at a time. */
static enum uapi_request in_pieces(const char *text, size_t len, size_t piece, size_t *used)
{
	enum uapi_request got = UAPI_INCOMPLETE;
	size_t scanned = 0;

	for (size_t have = 0; have < len && got == UAPI_INCOMPLETE;) {
		have = len - have > piece ? have + piece : len;
		got = uapi_request(text, have, &scanned, used);
	}
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	size_t used = 0, used_in_pieces = 0, piece, scanned = 0;
	enum uapi_request got;

	if (size < 2)
		return 0;
	piece = data[0] ? data[0] : 1;
	got = uapi_request(text, size - 1, &scanned, &used);
	require(in_pieces(text, size - 1, piece, &used_in_pieces) == got, "pieces make a difference");
	require(used == used_in_pieces && used <= size - 1, "pieces make a difference in length");
	if (got == UAPI_SET || got == UAPI_GET)
		require(used >= 7 && memcmp(text + used - 2, "\n\n", 2) == 0, "a request without its end");
	check_set(text, got == UAPI_SET ? used : size - 1);
	return 0;
}
