/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_STORE_INSIDE_H
#define MESHD_EXCHANGE_STORE_INSIDE_H

#include "exchange/store.h"

/* The inside of the store, shared by store.c (tables, questions) and store_rules.c (what is taken, and what goes). */

enum {
	STORE_CHANGES_MAX = 256,
	STORE_SIGNERS_MAX = 8,		/* of records, or revocations, of one node */
	STORE_GRACE_S = 86400,		/* an invitation is kept so long after its end: clocks differ */
};

/* A list of items of one kind, in no order. */
struct item_list {
	struct item **v;
	size_t count, size;
};

/*
 * What there is about one public key. Of each signer one record and one revocation are held, for a signer may be released: then what others said is
 * still there. What a mesh key has signed cannot be taken back like that, so records that it supersedes go.
 */
struct member {
	uint8_t public_key[KEY_LEN];
	struct item_list nodes, revocations;
	struct item *self;
	enum node_standing standing;	/* when somebody last looked: so that time alone can be a change */
};

struct store {
	uint8_t mesh[SIGN_KEY_LEN];
	struct member **members;	/* by public key */
	size_t member_count, member_size;
	size_t node_count, revocation_count;
	struct item_list delegations, releases, mesh_keys, invitations;
	const struct item **items;	/* all, by id */
	size_t item_count, item_size;
	const struct item **claims;	/* records that name an invitation, by that */
	size_t claim_count, claim_size;
	const struct item **sorted;	/* all, in the order they are needed in */
	uint64_t sorted_version;
	uint8_t changes[STORE_CHANGES_MAX][KEY_LEN];
	size_t change_count;
	bool all_changed;
	uint64_t version;
};

/* The member of a public key; where it is or would be in 'place'. NULL: none. */
struct member *store_member(const struct store *s, const uint8_t public_key[KEY_LEN], size_t *place);

/* The same, made if need be. NULL: no memory. */
struct member *store_member_make(struct store *s, const uint8_t public_key[KEY_LEN]);

/* Take out members of whom nothing is left; this one, if nothing is. */
void store_sweep(struct store *s);
void store_member_forget(struct store *s, const uint8_t public_key[KEY_LEN]);

/* Room for one item more, so that store_list() cannot fail. */
bool store_make_room(struct store *s, struct item_list *l);
void store_list(struct store *s, const struct item *i);

/* An item goes: out of the order of ids, and freed. Whoever pointed to it does not any more. */
void store_drop(struct store *s, struct item *i);

void store_changed(struct store *s, const uint8_t public_key[KEY_LEN]);	/* NULL: everything */

enum node_standing member_standing(const struct store *s, const struct member *m, int64_t now_s);

/* The record that counts: the highest whose signer may say so at 'now_s', or else the highest. And the revocation. NULL: none. */
struct item *member_node(const struct store *s, const struct member *m, int64_t now_s);
struct item *member_revocation(const struct store *s, const struct member *m);

/* Whether a key is or was one of the mesh's; whether it may sign now; whether what it signed as 'id' is good as far as releases go. */
bool store_was_mesh_key(const struct store *s, const uint8_t key[SIGN_KEY_LEN]);
bool store_is_delegate(const struct store *s, const uint8_t key[SIGN_KEY_LEN]);
bool store_is_released(const struct store *s, const uint8_t key[SIGN_KEY_LEN], const uint8_t id[ITEM_ID_LEN]);

/* Negative, 0, positive: which of two items of one kind about one thing counts; positive: 'a'. */
int store_compare(const struct store *s, const struct item *a, const struct item *b);

#endif
