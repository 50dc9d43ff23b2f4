/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_APPLYING_H
#define MESHD_TESTS_APPLYING_H

/* A node, changes made for it in a line or two, and a look at what came of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "node/inside.h"
#include "stream.h"

static struct stream random_bytes;
static struct node *n;
static const struct instant now = { .mono_us = 1000000000, .wall_ns = 1700000000 * NS_PER_S };

/* The key pair of a made-up machine. */
static inline const uint8_t *private_of(uint8_t id)
{
	static uint8_t key[KEY_LEN];

	memset(key, 0, sizeof(key));
	key[1] = id;
	key_clamp(key);
	return key;
}

static inline const uint8_t *public_of(uint8_t id)
{
	static uint8_t keys[256][KEY_LEN];

	if (crypto_is_zero(keys[id], KEY_LEN))
		key_public(keys[id], private_of(id));
	return keys[id];
}

/* One endpoint more for a peer of a change. */
static inline void give_endpoint(struct change_peer *p, const char *address)
{
	struct endpoint e;

	assert_true(endpoint_parse(address, &e));
	assert_true(change_add_address(p, &e));
}

enum { SELF = 200 };

static inline int setup(void **state)
{
	struct rng rng = stream_rng(&random_bytes);
	struct log log = { 0 };
	struct change c = { .bits = CHANGE_PRIVATE_KEY };

	(void)state;
	random_bytes.s = 1;
	n = node_new(&rng, &log, 1);
	if (!n)
		return -1;
	memcpy(c.private_key, private_of(SELF), KEY_LEN);
	return node_apply(n, &c, now);
}

static inline int teardown(void **state)
{
	(void)state;
	node_free(n);
	return 0;
}

/*
 * Making changes.
 */

static struct change c;		/* the one being made */

static inline struct change_peer *peer(uint8_t id, unsigned int bits)
{
	struct change_peer *p = change_add_peer(&c);

	assert_non_null(p);
	memcpy(p->public_key, public_of(id), KEY_LEN);
	p->bits = bits;
	return p;
}

/* A list of prefixes, separated by blanks; "-" before one takes it away. */
static inline void allow(struct change_peer *p, const char *list)
{
	char text[256], *at = text;

	snprintf(text, sizeof(text), "%s", list);
	for (char *word; (word = strtok_r(at, " ", &at));) {
		bool remove = *word == '-';
		struct ip_prefix prefix;

		assert_true(ip_prefix_parse(word + remove, &prefix));
		ip_prefix_mask(&prefix);
		assert_true(change_add_allowed(p, &prefix, remove));
	}
}

static inline void peer_allow(uint8_t id, unsigned int bits, const char *list)
{
	allow(peer(id, bits), list);
}

static inline void apply(void)
{
	assert_int_equal(node_check(n, &c), 0);
	assert_int_equal(node_apply(n, &c, now), 0);
	change_done(&c);
	/* Marks are clear outside node_apply(). */
	for (size_t i = 0; i < n->peer_count; i++)
		assert_false(n->peers[i]->fresh || n->peers[i]->doomed || n->peers[i]->removed ||
			     n->peers[i]->replace_allowed || n->peers[i]->given || n->peers[i]->whole);
}

/*
 * Looking.
 */

static inline struct peer_info info_of(uint8_t id)
{
	struct peer_info info;

	for (size_t i = 0; node_peer(n, i, now, &info); i++)
		if (!memcmp(info.public_key, public_of(id), KEY_LEN))
			return info;
	fail_msg("no peer %d", id);
	return info;
}

static inline bool exists(uint8_t id)
{
	return node_find(n, public_of(id)) != NULL;
}

/* The ids of all peers, in order. */
static inline void assert_peers(const char *ids)
{
	char text[256] = "";
	struct peer_info info;
	size_t count = 0;

	while (node_peer(n, count, now, &info)) {
		for (int id = 0; id < 256; id++)
			if (!memcmp(info.public_key, public_of((uint8_t)id), KEY_LEN))
				snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", count ? " " : "", id);
		assert_int_equal(n->peers[count]->position, count);
		count++;
	}
	assert_string_equal(text, ids);
	assert_int_equal(count, n->peer_count);
}

static inline void append_prefix(void *ctx, const struct ip_prefix *p)
{
	char *text = ctx, one[PREFIX_TEXT_MAX];

	if (*text)
		strcat(text, " ");
	strcat(text, ip_prefix_format(p, one));
}

static inline void assert_allowed(uint8_t id, const char *expected)
{
	char text[1024] = "";

	node_peer_allowed(n, node_find(n, public_of(id))->position, append_prefix, text);
	assert_string_equal(text, expected);
}

/* Give a peer a session, as a handshake would. */
static inline const struct keypair *give_session(uint8_t id)
{
	struct noise_keys keys = { .local_index = 0x800U * (id + 1U), .remote_index = id, .initiator = true };
	struct keypair *k = keypair_new(&keys, now.mono_us);
	struct peer *p = node_find(n, public_of(id));

	assert_true(links_install(n->lanes, n->lane_count, &p->data, k));
	assert_true(info_of(id).has_session);
	return k;
}

static inline void assert_session(uint8_t id, const struct keypair *k)
{
	assert_ptr_equal(node_find(n, public_of(id))->data.session.current, k);
	if (k)
		assert_ptr_equal(u32map_get(&n->lanes[0].indices, k->local_index), k);
}

#endif
