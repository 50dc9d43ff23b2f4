/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_MESH_STAGE_H
#define MESHD_TESTS_MESH_STAGE_H

/*
 * A node of a mesh as far as src/sys sees it, for its tests: a real store with a founder and two nodes, behind the functions of node/mesh.h. Keys
 * are made of one letter each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/sign.h"
#include "exchange/bootstrap.h"
#include "exchange/import.h"
#include "exchange/mint.h"
#include "exchange/store.h"
#include "node/mesh.h"
#include "node/node.h"
#include "sys/clock.h"

enum { DAY_S = 86400 };

static struct {
	struct store *store;		/* NULL: of no mesh */
	uint8_t private_key[KEY_LEN];
	struct ip_prefix addresses[4];
	size_t address_count;
	const char *issued;		/* what node_mesh_issued() says */
	char issued_begun[256];		/* what it was begun with */
	bool broken_file;		/* node_mesh_file() leaves nodes out */
	int files, hosts;		/* how often asked for */
	size_t steps;			/* of imports */
} mesh;

static inline int64_t now_s(void)
{
	return clock_now().wall_ns / NS_PER_S;
}

static inline void letter_key(char letter, uint8_t key[KEY_LEN])
{
	memset(key, letter, KEY_LEN);
}

/* The public key of the node called by a letter, and its private one in 'private_key' if that is not NULL. */
static inline void node_key(char letter, uint8_t private_key[KEY_LEN], uint8_t public_key[KEY_LEN])
{
	uint8_t own[KEY_LEN];

	letter_key(letter, own);
	key_public(public_key, own);
	if (private_key)
		memcpy(private_key, own, KEY_LEN);
}

static inline void add_node(struct store *s, char mesh_letter, char letter, const char *name, const char *address)
{
	struct mint_node m = { .roles = ROLE_TRANSIT, .address_count = 1 };
	uint8_t mesh_seed[SIGN_SEED_LEN], private_key[KEY_LEN], public_key[KEY_LEN], seed[SIGN_SEED_LEN], sign_key[SIGN_KEY_LEN];
	const char *why = "";

	letter_key(mesh_letter, mesh_seed);
	node_key(letter, private_key, public_key);
	sign_seed_of_node(seed, private_key);
	sign_public(sign_key, seed);
	snprintf(m.name, sizeof(m.name), "%s", name);
	assert_true(ip_prefix_parse(address, &m.addresses[0]));
	if (!mint_record(s, mesh_seed, &m, public_key, sign_key, NULL, NULL, now_s(), &why))
		fail_msg("%s", why);
}

/* The mesh of the letter 'M' (or another) with north (n, 10.7.0.1) and south (s, 10.7.0.2). */
static inline struct store *make_store(char mesh_letter)
{
	uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN];
	struct store *s;

	letter_key(mesh_letter, seed);
	sign_public(key, seed);
	s = store_new(key);
	assert_non_null(s);
	add_node(s, mesh_letter, 'n', "north", "10.7.0.1");
	add_node(s, mesh_letter, 's', "south", "10.7.0.2");
	return s;
}

static inline void revoke_node(struct store *s, char letter)
{
	uint8_t seed[SIGN_SEED_LEN], public_key[KEY_LEN];
	const char *why = "";

	letter_key('M', seed);
	node_key(letter, NULL, public_key);
	if (!mint_revocation(s, seed, public_key, "lost", now_s(), &why))
		fail_msg("%s", why);
}

static inline void make_file(struct store *s, struct text *out)
{
	const struct bootstrap_options o = { .name = "home" };

	assert_true(bootstrap_write(s, &o, now_s(), out));
}

/* --- the node --- */

bool node_mesh_on(const struct node *n)
{
	(void)n;
	return mesh.store;
}

const struct store *node_mesh_store(const struct node *n)
{
	(void)n;
	return mesh.store;
}

const char *node_mesh_name(const struct node *n)
{
	(void)n;
	return "home";
}

bool node_mesh_import(struct node *n, const struct bootstrap *b, struct bootstrap_news *news, struct instant now, struct text *why)
{
	(void)n;
	return bootstrap_merge(mesh.store, b, now.wall_ns / NS_PER_S, news, why);
}

struct import *node_mesh_import_begin(struct node *n, const void *data, size_t len, struct instant now)
{
	(void)n;
	return import_new(mesh.store, data, len, now.wall_ns / NS_PER_S);
}

enum bootstrap_step node_mesh_import_step(struct node *n, struct import *i, struct bootstrap_news *news, struct instant now, struct text *why)
{
	(void)n;
	(void)now;
	mesh.steps++;
	return import_step(i, news, why);
}

#endif
