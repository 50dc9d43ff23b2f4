/* SPDX-License-Identifier: MIT */
/*
 * Making items. Every function builds the content, signs it, and gives it to the store as anybody's: what the store refuses was not made. What is asked before is what the
 * store cannot know: that a name or an address is another's (two delegates that do not hear of each other may still give it twice; then both stand, and people see it).
 */
#include "exchange/mint.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/blake2s.h"

static const char MAY_NOT[] = "this node may not sign for the mesh";

void mint_network(const uint8_t mesh[SIGN_KEY_LEN], struct ip_prefix *network)
{
	static const char label[] = "meshd network 1";
	uint8_t hash[5];

	blake2s(hash, sizeof(hash), mesh, SIGN_KEY_LEN, label, sizeof(label) - 1);
	*network = (struct ip_prefix){ .addr = { .family = IP_V6, .bytes = { 0xfd } }, .len = 64 };
	memcpy(network->addr.bytes + 1, hash, sizeof(hash));
}

void mint_address(const uint8_t mesh[SIGN_KEY_LEN], const uint8_t public_key[KEY_LEN], struct ip_prefix *address)
{
	mint_network(mesh, address);
	blake2s(address->addr.bytes + 8, 8, mesh, SIGN_KEY_LEN, public_key, KEY_LEN);
	address->len = 128;
}

/* Add it; 'why' for whatever is not an addition. */
static bool give(struct store *s, struct item *i, int64_t now_s, const char **why)
{
	enum store_result result;

	if (!i)
		return false;
	result = store_add(s, i, now_s, why);
	if (result == STORE_OLD)
		*why = "something newer is there already";
	return result == STORE_ADDED || result == STORE_KNOWN;
}

static bool may_sign(const struct store *s, const uint8_t seed[SIGN_SEED_LEN], int64_t now_s, const char **why)
{
	uint8_t key[SIGN_KEY_LEN];

	sign_public(key, seed);
	*why = MAY_NOT;
	return store_may_sign(s, key, now_s);
}

static bool is_mesh_key(const struct store *s, const uint8_t seed[SIGN_SEED_LEN], int64_t now_s, const char **why)
{
	uint8_t key[SIGN_KEY_LEN];

	sign_public(key, seed);
	*why = "this is no key of the mesh, or it has ended";
	return store_is_mesh_key(s, key, now_s);
}

static bool overlaps(const struct ip_prefix *v, size_t count, const struct ip_prefix *p)
{
	for (size_t i = 0; i < count; i++)
		if (ip_prefix_contains(&v[i], p) || ip_prefix_contains(p, &v[i]))
			return true;
	return false;
}

static const char *conflict(const struct node_record *r, const struct mint_node *m)
{
	if (!strcmp(r->name, m->name))
		return "a node of this name is there already";
	for (size_t i = 0; i < m->address_count; i++)
		if (overlaps(r->addresses, r->address_count, &m->addresses[i]))
			return "the address is another node's already";
	for (size_t i = 0; i < m->prefix_count; i++)
		if (overlaps(r->prefixes, r->prefix_count, &m->prefixes[i]) || overlaps(r->addresses, r->address_count, &m->prefixes[i]))
			return "the prefix is another node's already, or part of it is";
	return NULL;
}

/* What no record can have is refused now, not when the node joins. */
static const char *unfit(const struct mint_node *m)
{
	for (size_t i = 0; i < m->address_count; i++)
		if (!item_prefix_is_good(&m->addresses[i], ITEM_ADDRESS))
			return "the address is not one that a node can have";
	for (size_t i = 0; i < m->prefix_count; i++)
		if (!item_prefix_is_good(&m->prefixes[i], ITEM_PREFIX))
			return "the prefix is not one that can be behind a node";
	for (size_t i = 0; i < m->external_count; i++)
		if (!item_prefix_is_good(&m->external[i], ITEM_EXTERNAL))
			return "the external prefix is not one that can be behind a node";
	return NULL;
}

bool mint_check(const struct store *s, const struct mint_node *m, const uint8_t *replace, int64_t now_s, const char **why)
{
	struct store_node n;

	*why = "the name is not of letters, digits, '-', '_' and '.'";
	if (!item_name_is_good(m->name))
		return false;
	*why = unfit(m);
	if (*why)
		return false;
	for (size_t i = 0; store_node_at(s, i, now_s, &n); i++) {
		if (n.standing != NODE_GOOD && n.standing != NODE_EARLY)
			continue;
		if (replace && !memcmp(n.record->public_key, replace, KEY_LEN))
			continue;
		*why = conflict(n.record, m);
		if (*why)
			return false;
	}
	*why = NULL;
	return true;
}

static void fill_node(struct node_record *r, const struct store *s, const struct mint_node *m, const uint8_t public_key[KEY_LEN], int64_t now_s)
{
	mint_address(store_mesh(s), public_key, &r->addresses[0]);
	r->address_count = 1;
	for (size_t i = 0; i < m->address_count && r->address_count < ITEM_PREFIXES_MAX; i++)
		if (!ip_prefix_equal(&m->addresses[i], &r->addresses[0]))
			r->addresses[r->address_count++] = m->addresses[i];
	memcpy(r->prefixes, m->prefixes, sizeof(r->prefixes));
	r->prefix_count = m->prefix_count;
	memcpy(r->external, m->external, sizeof(r->external));
	r->external_count = m->external_count;
	memcpy(r->name, m->name, sizeof(r->name));
	memcpy(r->public_key, public_key, KEY_LEN);
	r->roles = m->roles;
	r->not_before_s = now_s - MINT_EARLY_S;
	r->not_after_s = now_s + (m->expires_s > 0 ? m->expires_s : MINT_NODE_S);
}

bool mint_record(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const struct mint_node *m, const uint8_t public_key[KEY_LEN],
		 const uint8_t sign_key[SIGN_KEY_LEN], const uint8_t *token, const uint8_t *gateway, int64_t now_s, const char **why)
{
	struct item content = { .kind = ITEM_NODE };
	struct store_node old;

	if (!may_sign(s, seed, now_s, why))
		return false;
	store_find(s, public_key, now_s, &old);
	*why = "it has been revoked: that is for good, it has to join with a new key";
	if (old.standing == NODE_REVOKED)
		return false;
	if (!mint_check(s, m, public_key, now_s, why))
		return false;
	fill_node(&content.node, s, m, public_key, now_s);
	memcpy(content.node.sign_key, sign_key, SIGN_KEY_LEN);
	content.node.serial = old.record ? old.record->serial + 1 : 1;
	content.node.has_token = token != NULL;
	if (token)
		memcpy(content.node.token, token, KEY_LEN);
	content.node.has_gateway = gateway != NULL;
	if (gateway)
		memcpy(content.node.gateway, gateway, KEY_LEN);
	return give(s, item_sign(store_mesh(s), &content, seed, why), now_s, why);
}

bool mint_self(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const struct self_record *self, int64_t now_s, const char **why)
{
	struct item content = { .kind = ITEM_SELF, .self = *self };

	return give(s, item_sign(store_mesh(s), &content, seed, why), now_s, why);
}

bool mint_revocation(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const uint8_t public_key[KEY_LEN], const char *reason, int64_t now_s,
		     const char **why)
{
	struct item content = { .kind = ITEM_REVOCATION, .revocation = { .when_s = now_s } };
	size_t len = strlen(reason);

	if (!may_sign(s, seed, now_s, why))
		return false;
	*why = "the reason is too long";
	if (len > ITEM_REASON_MAX)
		return false;
	memcpy(content.revocation.reason, reason, len + 1);
	memcpy(content.revocation.public_key, public_key, KEY_LEN);
	return give(s, item_sign(store_mesh(s), &content, seed, why), now_s, why);
}

bool mint_invitation(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const struct invitation *i, int64_t now_s, const char **why)
{
	struct item content = { .kind = ITEM_INVITATION, .invitation = *i };

	return may_sign(s, seed, now_s, why) && give(s, item_sign(store_mesh(s), &content, seed, why), now_s, why);
}

/* The highest serial of delegations to a key, or of items about a mesh key. */
static uint64_t last_serial(const struct store *s, enum item_kind kind, const uint8_t key[SIGN_KEY_LEN])
{
	const struct item *const *v;
	size_t count = store_items(s, &v);
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++) {
		if (v[i]->kind != kind)
			continue;
		if (kind == ITEM_DELEGATION && !memcmp(v[i]->delegation.sign_key, key, SIGN_KEY_LEN) && v[i]->delegation.serial > last)
			last = v[i]->delegation.serial;
		if (kind == ITEM_MESH_KEY && !memcmp(v[i]->mesh_key.key, key, SIGN_KEY_LEN) && v[i]->mesh_key.serial > last)
			last = v[i]->mesh_key.serial;
	}
	return last;
}

bool mint_delegation(struct store *s, const uint8_t mesh_seed[SIGN_SEED_LEN], const struct node_record *to, int64_t lasts_s, int64_t now_s,
		     const char **why)
{
	struct item content = {
		.kind = ITEM_DELEGATION,
		.delegation = {
			.not_before_s = now_s - MINT_EARLY_S,
			.not_after_s = now_s + (lasts_s > 0 ? lasts_s : MINT_DELEGATION_S),
			.serial = last_serial(s, ITEM_DELEGATION, to->sign_key) + 1,
		},
	};

	if (!is_mesh_key(s, mesh_seed, now_s, why))
		return false;
	memcpy(content.delegation.sign_key, to->sign_key, SIGN_KEY_LEN);
	memcpy(content.delegation.public_key, to->public_key, KEY_LEN);
	return give(s, item_sign(store_mesh(s), &content, mesh_seed, why), now_s, why);
}

bool mint_release(struct store *s, const uint8_t mesh_seed[SIGN_SEED_LEN], const uint8_t sign_key[SIGN_KEY_LEN], int64_t now_s, const char **why)
{
	struct item content = { .kind = ITEM_RELEASE };
	uint8_t (*keep)[ITEM_ID_LEN] = malloc(ITEM_KEEP_MAX * sizeof(*keep));
	const struct item *const *v;
	size_t count = store_items(s, &v), kept = 0;
	bool done = false;

	*why = "no memory";
	if (!keep)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!memcmp(v[i]->signer, sign_key, SIGN_KEY_LEN) && (v[i]->kind == ITEM_NODE || v[i]->kind == ITEM_REVOCATION) && kept++ < ITEM_KEEP_MAX)
			memcpy(keep[kept - 1], v[i]->id, ITEM_ID_LEN);
	memcpy(content.release.sign_key, sign_key, SIGN_KEY_LEN);
	content.release.keep = keep;
	content.release.keep_count = kept;
	if (kept > ITEM_KEEP_MAX)
		*why = "it has signed too much to name all of it: renew some of it by another delegate first";
	else if (is_mesh_key(s, mesh_seed, now_s, why))
		done = give(s, item_sign(store_mesh(s), &content, mesh_seed, why), now_s, why);
	free(keep);
	return done;
}

static bool mint_mesh_key(struct store *s, const uint8_t seed[SIGN_SEED_LEN], const uint8_t key[SIGN_KEY_LEN], int64_t not_after_s, int64_t now_s,
			  const char **why)
{
	struct item content = { .kind = ITEM_MESH_KEY, .mesh_key = { .not_after_s = not_after_s } };

	memcpy(content.mesh_key.key, key, SIGN_KEY_LEN);
	content.mesh_key.serial = last_serial(s, ITEM_MESH_KEY, key) + 1;
	return give(s, item_sign(store_mesh(s), &content, seed, why), now_s, why);
}

/* Sign again what the old key signed: the same content, one serial higher. */
static bool sign_again(struct store *s, const struct item *i, const uint8_t seed[SIGN_SEED_LEN], int64_t now_s, const char **why)
{
	struct item content = { .kind = i->kind };

	if (i->kind == ITEM_NODE) {
		content.node = i->node;
		content.node.serial++;
	} else {
		content.delegation = i->delegation;
		content.delegation.serial++;
	}
	return give(s, item_sign(store_mesh(s), &content, seed, why), now_s, why);
}

bool mint_rotation(struct store *s, const uint8_t old_seed[SIGN_SEED_LEN], const uint8_t new_seed[SIGN_SEED_LEN], int64_t overlap_s, int64_t now_s,
		   const char **why)
{
	uint8_t old[SIGN_KEY_LEN], new[SIGN_KEY_LEN], (*ids)[ITEM_ID_LEN];
	const struct item *const *v;
	size_t count = store_items(s, &v), taken = 0;
	bool good = false;

	if (!is_mesh_key(s, old_seed, now_s, why))
		return false;
	sign_public(old, old_seed);
	sign_public(new, new_seed);
	*why = "no memory";
	ids = malloc((count + 1) * sizeof(*ids));
	if (!ids)
		return false;
	for (size_t i = 0; i < count; i++)
		if ((v[i]->kind == ITEM_NODE || v[i]->kind == ITEM_DELEGATION) && !memcmp(v[i]->signer, old, SIGN_KEY_LEN))
			memcpy(ids[taken++], v[i]->id, ITEM_ID_LEN);
	good = mint_mesh_key(s, old_seed, new, 0, now_s, why);
	for (size_t i = 0; i < taken && good; i++) {
		const struct item *item = store_item(s, ids[i]);

		good = !item || sign_again(s, item, new_seed, now_s, why);
	}
	free(ids);
	return good && mint_mesh_key(s, new_seed, old, now_s + overlap_s, now_s, why);
}
