/* SPDX-License-Identifier: MIT */
/*
 * What the store takes, and what goes for it. One function a kind: who has to have signed it, what it is about, what there is of that already, and which of both
 * counts - by what stands in them, never by which came first. A signer has to be known and not released; whether his time has come or gone is a matter of standing (store.c), so that
 * clocks decide who counts and not what is held.
 */
#include "exchange/store.h"

#include <string.h>

#include "exchange/store_inside.h"

static const char UNKNOWN_SIGNER[] = "its signer is no mesh key and no delegate";
static const char RELEASED[] = "its signer was released, and it is not among what was kept";
static const char FULL[] = "the store is full";
static const char NO_MEMORY[] = "no memory";

static int by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static bool is_by_mesh(const struct store *s, const struct item *i)
{
	return store_was_mesh_key(s, i->signer);
}

int store_compare(const struct store *s, const struct item *a, const struct item *b)
{
	int c = 0;

	(void)s;
	switch (a->kind) {
	case ITEM_NODE:
		c = by_number(a->node.serial, b->node.serial);
		break;
	case ITEM_SELF:
		c = by_number(a->self.sequence, b->self.sequence);
		break;
	case ITEM_DELEGATION:
		c = by_number(a->delegation.serial, b->delegation.serial);
		break;
	case ITEM_MESH_KEY:
		c = by_number(a->mesh_key.serial, b->mesh_key.serial);
		break;
	default:
		break;
	}
	return c ? c : -memcmp(a->id, b->id, ITEM_ID_LEN);
}

/* May its signer sign things of its kind? NULL: yes. */
static const char *check_signer(const struct store *s, const struct item *i)
{
	/* A key that is to end would only have to say that it does not. */
	if (i->kind == ITEM_MESH_KEY && !memcmp(i->mesh_key.key, i->signer, SIGN_KEY_LEN))
		return "it is signed by the key that it is about";
	if (i->kind == ITEM_DELEGATION || i->kind == ITEM_RELEASE || i->kind == ITEM_MESH_KEY)
		return is_by_mesh(s, i) ? NULL : "it is not signed by a mesh key";
	if (is_by_mesh(s, i))
		return NULL;
	if (store_is_released(s, i->signer, i->id))
		return RELEASED;
	/* What a release kept is good though the delegation is gone. */
	if (!store_is_delegate(s, i->signer) && !store_is_released(s, i->signer, NULL))
		return UNKNOWN_SIGNER;
	return NULL;
}

/* The item of the same signer, or count. */
static size_t of_signer(const struct item_list *l, const uint8_t signer[SIGN_KEY_LEN])
{
	size_t k = 0;

	while (k < l->count && memcmp(l->v[k]->signer, signer, SIGN_KEY_LEN))
		k++;
	return k;
}

/* Into a member's list, in the place of what the same signer said before, or not. 'count' of such lists have something in them. */
static enum store_result put(struct store *s, struct item_list *l, struct item *i, size_t *count, size_t max, const char **why)
{
	size_t k = of_signer(l, i->signer);

	if (k < l->count && store_compare(s, i, l->v[k]) <= 0)
		return STORE_OLD;
	*why = FULL;
	if (l->count == 0 && *count >= max)
		return STORE_REFUSED;
	*why = "it has been signed by too many";
	if (k == l->count && l->count >= STORE_SIGNERS_MAX)
		return STORE_REFUSED;
	*why = NO_MEMORY;
	if (!store_make_room(s, l))
		return STORE_REFUSED;
	*count += l->count == 0;
	if (k < l->count)
		store_drop(s, l->v[k]);
	else
		l->count++;
	l->v[k] = i;
	store_list(s, i);
	return STORE_ADDED;
}

static void take_out(struct store *s, struct item_list *l, size_t k, size_t *count)
{
	store_drop(s, l->v[k]);
	l->v[k] = l->v[--l->count];
	*count -= l->count == 0;
}

/* The highest of those that a mesh key has signed; NULL: none. */
static const struct item *best_by_mesh(const struct store *s, const struct item_list *l)
{
	const struct item *best = NULL;

	for (size_t k = 0; k < l->count; k++)
		if (is_by_mesh(s, l->v[k]) && (!best || store_compare(s, l->v[k], best) > 0))
			best = l->v[k];
	return best;
}

/* What a mesh key has superseded is so for good. */
static void drop_superseded(struct store *s, struct member *m)
{
	const struct item *best = best_by_mesh(s, &m->nodes);

	for (size_t k = m->nodes.count; best && k-- > 0;)
		if (m->nodes.v[k] != best && store_compare(s, m->nodes.v[k], best) < 0)
			take_out(s, &m->nodes, k, &s->node_count);
}

static void forget_self(struct store *s, struct member *m)
{
	store_drop(s, m->self);
	m->self = NULL;
}

/* The self record stays as long as it is signed by the key that some record of the node names. */
static void check_self(struct store *s, struct member *m)
{
	for (size_t k = 0; m->self && k < m->nodes.count; k++)
		if (!memcmp(m->self->signer, m->nodes.v[k]->node.sign_key, SIGN_KEY_LEN))
			return;
	forget_self(s, m);
}

static enum store_result add_node(struct store *s, struct item *i, int64_t now_s, const char **why)
{
	const struct item *best;
	enum store_result result;
	struct member *m;

	if (i->node.not_after_s < now_s - STORE_KEEP_S)
		return STORE_OLD;
	m = store_member_make(s, i->node.public_key);
	*why = NO_MEMORY;
	if (!m)
		return STORE_REFUSED;
	best = best_by_mesh(s, &m->nodes);
	if (best && store_compare(s, i, best) < 0)
		return STORE_OLD;
	result = put(s, &m->nodes, i, &s->node_count, STORE_NODES_MAX, why);
	if (result == STORE_ADDED) {
		drop_superseded(s, m);
		check_self(s, m);
		/* By its token it may put another out. */
		store_changed(s, i->node.has_token ? NULL : i->node.public_key);
	}
	return result;
}

static bool is_named(const struct member *m, const uint8_t sign_key[SIGN_KEY_LEN])
{
	for (size_t k = 0; k < m->nodes.count; k++)
		if (!memcmp(m->nodes.v[k]->node.sign_key, sign_key, SIGN_KEY_LEN))
			return true;
	return false;
}

static enum store_result add_self(struct store *s, struct item *i, const char **why)
{
	size_t place;
	struct member *m = store_member(s, i->self.public_key, &place);

	if (m && m->revocations.count)
		return STORE_OLD;
	*why = "its node is not known yet, or has another key to sign with";
	if (!m || !is_named(m, i->signer))
		return STORE_REFUSED;
	if (m->self && store_compare(s, i, m->self) <= 0)
		return STORE_OLD;
	*why = NO_MEMORY;
	if (!store_make_room(s, NULL))
		return STORE_REFUSED;
	forget_self(s, m);
	m->self = i;
	store_list(s, i);
	store_changed(s, i->self.public_key);
	return STORE_ADDED;
}

static enum store_result add_revocation(struct store *s, struct item *i, const char **why)
{
	struct member *m = store_member_make(s, i->revocation.public_key);
	enum store_result result;

	*why = NO_MEMORY;
	if (!m)
		return STORE_REFUSED;
	result = put(s, &m->revocations, i, &s->revocation_count, STORE_REVOCATIONS_MAX, why);
	if (result == STORE_ADDED) {
		forget_self(s, m);
		store_changed(s, i->revocation.public_key);
	}
	return result;
}

/* Into a list, in the place of 'old', which is in it. */
static enum store_result put_list(struct store *s, struct item_list *l, size_t max, size_t old, struct item *i, const char **why)
{
	if (old < l->count && store_compare(s, i, l->v[old]) <= 0)
		return STORE_OLD;
	*why = FULL;
	if (old == l->count && l->count >= max)
		return STORE_REFUSED;
	*why = NO_MEMORY;
	if (!store_make_room(s, l))
		return STORE_REFUSED;
	if (old < l->count)
		store_drop(s, l->v[old]);
	else
		l->count++;
	l->v[old] = i;
	store_list(s, i);
	store_changed(s, NULL);
	return STORE_ADDED;
}

static void remove_from_list(struct store *s, struct item_list *l, size_t k)
{
	store_drop(s, l->v[k]);
	l->v[k] = l->v[--l->count];
	store_changed(s, NULL);
}

static enum store_result add_delegation(struct store *s, struct item *i, const char **why)
{
	struct item_list *l = &s->delegations;
	size_t k = 0;

	if (store_is_released(s, i->delegation.sign_key, NULL))
		return STORE_OLD;
	while (k < l->count && memcmp(l->v[k]->delegation.sign_key, i->delegation.sign_key, SIGN_KEY_LEN))
		k++;
	return put_list(s, l, STORE_DELEGATIONS_MAX, k, i, why);
}

static void drop_released(struct store *s, struct item_list *l, size_t *count)
{
	for (size_t k = l->count; k-- > 0;)
		if (!is_by_mesh(s, l->v[k]) && store_is_released(s, l->v[k]->signer, l->v[k]->id))
			take_out(s, l, k, count);
}

/* After a release: what it does not keep goes. */
static void release(struct store *s, const uint8_t key[SIGN_KEY_LEN])
{
	for (size_t k = s->delegations.count; k-- > 0;)
		if (!memcmp(s->delegations.v[k]->delegation.sign_key, key, SIGN_KEY_LEN))
			remove_from_list(s, &s->delegations, k);
	for (size_t k = s->invitations.count; k-- > 0;)
		if (!is_by_mesh(s, s->invitations.v[k]) && store_is_released(s, s->invitations.v[k]->signer, s->invitations.v[k]->id))
			remove_from_list(s, &s->invitations, k);
	for (size_t k = 0; k < s->member_count; k++) {
		struct member *m = s->members[k];

		drop_released(s, &m->nodes, &s->node_count);
		drop_released(s, &m->revocations, &s->revocation_count);
		check_self(s, m);
	}
	store_sweep(s);
}

static enum store_result add_release(struct store *s, struct item *i, const char **why)
{
	enum store_result result = put_list(s, &s->releases, STORE_RELEASES_MAX, s->releases.count, i, why);

	if (result == STORE_ADDED)
		release(s, i->release.sign_key);
	return result;
}

/*
 * Of the items about one key two are held: the highest says until when it counts, the lowest who brought it in. Without that one a key that was ended
 * by its successor would be known by its successor alone, and nobody new could find a way from the founding key to either.
 */
static enum store_result add_mesh_key(struct store *s, struct item *i, const char **why)
{
	struct item_list *l = &s->mesh_keys;
	size_t high = l->count, low = l->count, about = 0;

	for (size_t k = 0; k < l->count; k++) {
		if (memcmp(l->v[k]->mesh_key.key, i->mesh_key.key, SIGN_KEY_LEN))
			continue;
		about++;
		if (high == l->count || store_compare(s, l->v[k], l->v[high]) > 0)
			high = k;
		if (low == l->count || store_compare(s, l->v[k], l->v[low]) < 0)
			low = k;
	}
	if (about < 2)
		return put_list(s, l, STORE_MESH_KEYS_MAX, l->count, i, why);
	if (store_compare(s, i, l->v[high]) > 0)
		return put_list(s, l, STORE_MESH_KEYS_MAX, high, i, why);
	if (store_compare(s, i, l->v[low]) >= 0)
		return STORE_OLD;
	store_drop(s, l->v[low]);
	l->v[low] = l->v[--l->count];
	return put_list(s, l, STORE_MESH_KEYS_MAX, l->count, i, why);
}

static enum store_result add_invitation(struct store *s, struct item *i, int64_t now_s, const char **why)
{
	struct item_list *l = &s->invitations;
	size_t k = 0;

	if (i->invitation.not_after_s < now_s - STORE_GRACE_S)
		return STORE_OLD;
	while (k < l->count && memcmp(l->v[k]->invitation.token, i->invitation.token, KEY_LEN))
		k++;
	return put_list(s, l, STORE_INVITATIONS_MAX, k, i, why);
}

static enum store_result add(struct store *s, struct item *i, int64_t now_s, const char **why)
{
	if (i->kind != ITEM_SELF) {
		*why = check_signer(s, i);
		if (*why)
			return STORE_REFUSED;
	}
	switch (i->kind) {
	case ITEM_NODE:
		return add_node(s, i, now_s, why);
	case ITEM_SELF:
		return add_self(s, i, why);
	case ITEM_REVOCATION:
		return add_revocation(s, i, why);
	case ITEM_DELEGATION:
		return add_delegation(s, i, why);
	case ITEM_RELEASE:
		return add_release(s, i, why);
	case ITEM_MESH_KEY:
		return add_mesh_key(s, i, why);
	case ITEM_INVITATION:
		return add_invitation(s, i, now_s, why);
	case ITEM_JOIN_REQUEST:
	case ITEM_KINDS:
		break;
	}
	*why = "it is nothing that is kept";
	return STORE_REFUSED;
}

static bool is_known(const struct store *s, const struct item *i)
{
	const struct item *there = store_item(s, i->id);

	return there && !memcmp(there->id, i->id, ITEM_ID_LEN);
}

enum store_result store_add(struct store *s, struct item *i, int64_t now_s, const char **why)
{
	enum store_result result = STORE_KNOWN;

	*why = NULL;
	if (!is_known(s, i))
		result = add(s, i, now_s, why);
	if (result != STORE_REFUSED)
		*why = NULL;
	else if (item_subject(i))
		store_member_forget(s, item_subject(i));
	if (result != STORE_ADDED)
		item_free(i);
	return result;
}

/* Records whose time is long over. */
static bool expire_node(struct store *s, struct member *m, int64_t now_s)
{
	size_t before = m->nodes.count;

	for (size_t k = m->nodes.count; k-- > 0;)
		if (m->nodes.v[k]->node.not_after_s < now_s - STORE_KEEP_S)
			take_out(s, &m->nodes, k, &s->node_count);
	check_self(s, m);
	return m->nodes.count != before;
}

bool store_expire(struct store *s, int64_t now_s)
{
	uint64_t before = s->version;

	for (size_t k = s->invitations.count; k-- > 0;)
		if (s->invitations.v[k]->invitation.not_after_s < now_s - STORE_GRACE_S)
			remove_from_list(s, &s->invitations, k);
	for (size_t k = 0; k < s->member_count; k++) {
		struct member *m = s->members[k];
		bool gone = expire_node(s, m, now_s);
		enum node_standing standing = member_standing(s, m, now_s);

		if (gone || standing != m->standing) {
			m->standing = standing;
			store_changed(s, m->public_key);
		}
	}
	store_sweep(s);
	return s->version != before;
}
