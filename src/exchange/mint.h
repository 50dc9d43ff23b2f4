/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_MINT_H
#define MESHD_EXCHANGE_MINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "exchange/item.h"
#include "exchange/store.h"

/*
 * Making items: what init, invite and revoke come to. Each function signs with 'seed', adds the result to the store, and returns false with one line in '*why'
 * and nothing changed where the seed's key may not, a name or address is taken, or the store is full.
 */
enum {
	MINT_NODE_S = 365 * 86400,	/* a record is good for so long, unless said otherwise... */
	MINT_DELEGATION_S = 5 * 365 * 86400,
	MINT_EARLY_S = 86400,		/* ...and from so long ago: clocks differ */
	MINT_INVITATION_S = 86400,	/* an invitation is */
};

/* What the inviter says of a node to be. */
struct mint_node {
	char name[ITEM_NAME_MAX + 1];
	struct ip_prefix addresses[ITEM_PREFIXES_MAX], prefixes[ITEM_PREFIXES_MAX], external[ITEM_PREFIXES_MAX];
	size_t address_count, prefix_count, external_count;
	unsigned int roles;
	int64_t expires_s;		/* how long; 0: MINT_NODE_S */
};

/* The mesh's own network: fd + 40 bits of the founding key's hash, subnet 0: a /64. And a node's address in it: 64 bits of its key's hash (a /128). */
void mint_network(const uint8_t mesh[SIGN_KEY_LEN], struct ip_prefix *network);
void mint_address(const uint8_t mesh[SIGN_KEY_LEN], const uint8_t public_key[KEY_LEN], struct ip_prefix *address);

/*
 * A node's record, or a newer one of the same key: serial one higher than any known. mint_address() comes first among its addresses. 'token' and 'gateway' may be NULL.
 */
bool mint_record(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const struct mint_node *m, const uint8_t public_key[KEY_LEN],
		 const uint8_t sign_key[SIGN_KEY_LEN], const uint8_t *token, const uint8_t *gateway, int64_t now_s, const char **why);

/* Whether mint_record() of a node of another key would be fine so far: name free, addresses free and good. 'replace': this one's may be taken; may be NULL. */
bool mint_check(const struct store *s, const struct mint_node *m, const uint8_t *replace, int64_t now_s, const char **why);

bool mint_self(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const struct self_record *self, int64_t now_s, const char **why);
bool mint_revocation(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const uint8_t public_key[KEY_LEN], const char *reason, int64_t now_s, const char **why);
bool mint_invitation(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const struct invitation *i, int64_t now_s, const char **why);

/* The mesh key's alone. */
bool mint_delegation(struct store *s, const uint8_t mesh_seed[SIGN_SEED_LEN], const struct node_record *to, int64_t lasts_s, int64_t now_s, const char **why);
/* Keeps everything the delegate has signed so far that counts. */
bool mint_release(struct store *s, const uint8_t mesh_seed[SIGN_SEED_LEN], const uint8_t sign_key[SIGN_KEY_LEN], int64_t now_s, const char **why);
/* On failure some of it may be done: use store_copy(). A new mesh key beside the old one, which ends 'overlap_s' from now; what the old one signed (nodes, delegations) is signed anew by the new. */
bool mint_rotation(struct store *s, const uint8_t old_seed[SIGN_SEED_LEN], const uint8_t new_seed[SIGN_SEED_LEN], int64_t overlap_s, int64_t now_s, const char **why);

#endif
