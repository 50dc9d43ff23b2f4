/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_STORE_H
#define MESHD_EXCHANGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/item.h"

/*
 * What one node knows of its mesh: a set of items, and what they come to. Two stores that were given the same items, in whatever order (and again, where one
 * was refused because its signer or node was not known yet), hold the same and say the same, but for what their clocks say - as long as no table is full. Rules:
 *
 *	node		of one public key the highest serial counts, of equals the lower id; one of each signer is held, so that what others said is there when
 *			one is released. The signer must be a mesh key or a delegate; has its right ended, the
 *			record is void until it is renewed
 *	self		signed by the sign_key of the node's record; the highest sequence counts, of equals the lower id
 *	revocation	of a public key: for good, whatever comes later; one of each signer is held
 *	delegation	signed by a mesh key only: there are no chains. The highest serial counts
 *	release		for good, a later delegation to the same key included. What that key signed and not every release of it keeps goes
 *	mesh key	signed by another key that is or was one. The founding key counts for good unless an item about it ends it; others as the item with
 *			the highest serial says; the lowest is kept beside it, for it says who brought the key in
 *	invitation	of one token the lower id
 *	one token	of two nodes that came by one invitation that with the lower BLAKE2s(token | public key) counts, the other is as revoked
 *
 * What is superseded or released is not kept. What has expired is kept, as such, for STORE_KEEP_S: so that it can be said why, and because clocks differ.
 * Time comes in as Unix seconds. Everything is bounded; a full table refuses, and puts nothing out. Lookups are binary searches, so that nobody gains by choosing keys.
 */
struct store;

enum {
	STORE_NODES_MAX = 4096,		/* records; as many self records, revocations */
	STORE_REVOCATIONS_MAX = 8192,
	STORE_DELEGATIONS_MAX = 64,
	STORE_RELEASES_MAX = 64,
	STORE_MESH_KEYS_MAX = 16,	/* items: two of a key */
	STORE_INVITATIONS_MAX = 256,
	STORE_KEEP_S = 30 * 86400,
	STORE_WARN_S = 28 * 86400,	/* expiry is warned of so long before */
};

/* NULL: no memory. */
struct store *store_new(const uint8_t mesh[SIGN_KEY_LEN]);
void store_free(struct store *s);
/* A copy, to try something on. NULL: no memory. */
struct store *store_copy(const struct store *s);

/* Take over what a copy of it has come to, as if that had been done to 's', and free the copy. What came to 's' meanwhile stays. */
void store_replace(struct store *s, struct store *copy, int64_t now_s);

const uint8_t *store_mesh(const struct store *s);

enum store_result {
	STORE_ADDED,			/* it is in, and may have put others out */
	STORE_KNOWN,			/* it was in already */
	STORE_OLD,			/* something newer, or a revocation, is: no news, no fault */
	STORE_REFUSED,			/* 'why' */
};

/* Takes 'i' over in any case (it was read by item_read() for this mesh). */
enum store_result store_add(struct store *s, struct item *i, int64_t now_s, const char **why);

/* Take out what is expired for STORE_KEEP_S, and note whose standing has changed by time alone. True: something did. Call it about once a minute. */
bool store_expire(struct store *s, int64_t now_s);

/*
 * Changes since the last call, as they matter to whoever builds peers of this: the public keys of nodes whose record or self record came, changed or
 * went, each once. False: no more. Bounded: after too many at once '*all' is set, and everything is to be looked at.
 */
bool store_next_change(struct store *s, uint8_t public_key[KEY_LEN], bool *all);

/* Grows with every change: whether to write a file. */
uint64_t store_version(const struct store *s);

/* Why a node does not count. */
enum node_standing {
	NODE_UNKNOWN,			/* no record */
	NODE_GOOD,
	NODE_REVOKED,
	NODE_CLAIMED,			/* another has come by its invitation, and counts */
	NODE_VOID,			/* its signer does not count (any more) */
	NODE_EARLY,			/* not-before is to come, by our clock */
	NODE_EXPIRED,
};

const char *node_standing_name(enum node_standing s);

/* A node as the store has it; pointers are good until the store changes. */
struct store_node {
	enum node_standing standing;
	const struct node_record *record;	/* NULL: NODE_UNKNOWN, or revoked without a record */
	const struct self_record *self;		/* NULL: none yet */
	const struct item *item, *self_item, *revocation_item;
	const struct revocation *revocation;
};

bool store_find(const struct store *s, const uint8_t public_key[KEY_LEN], int64_t now_s, struct store_node *n);
/* By name, among nodes in good standing; of two that have it the one with the lower id. False: none. */
bool store_find_name(const struct store *s, const char *name, int64_t now_s, struct store_node *n);
/* The i-th of those with a record or a revocation, in the order of public keys. */
bool store_node_at(const struct store *s, size_t i, int64_t now_s, struct store_node *n);
size_t store_node_count(const struct store *s);

/* Whether this key may sign nodes now; and whether it is one of the mesh's. */
bool store_may_sign(const struct store *s, const uint8_t sign_key[SIGN_KEY_LEN], int64_t now_s);
bool store_is_mesh_key(const struct store *s, const uint8_t sign_key[SIGN_KEY_LEN], int64_t now_s);

/* The invitation with this token, or NULL; and the i-th. */
const struct invitation *store_invitation(const struct store *s, const uint8_t token[KEY_LEN]);
const struct invitation *store_invitation_at(const struct store *s, size_t i);
/* Which node came by this token; NULL: none yet. */
const struct node_record *store_token_node(const struct store *s, const uint8_t token[KEY_LEN]);

/*
 * All items, in the order of ids. The array is the store's and good until it changes. Wherever items go, those that others need come first in
 * store_sorted(): mesh keys, delegations, releases, revocations, nodes, invitations, selves.
 */
size_t store_items(const struct store *s, const struct item *const **v);
size_t store_sorted(struct store *s, const struct item *const **v);
const struct item *store_item(const struct store *s, const uint8_t short_id[ITEM_SHORT_ID]);

/* What is about to expire within STORE_WARN_S, or has: one line each for the log and for status. Visits nothing twice. */
void store_warnings(const struct store *s, int64_t now_s, void (*visit)(void *ctx, const char *line), void *ctx);

#endif
