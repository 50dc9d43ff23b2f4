/* SPDX-License-Identifier: MIT */
/*
 * The store: tables, and what they say (exchange/store.h has the rules, store_rules.c applies them). Members are sorted by public key and items by id, in arrays of pointers that are
 * searched by halves: four thousand pointers move in a microsecond, and nobody can make it slow by choosing keys.
 */
#include "exchange/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/blake2s.h"
#include "exchange/store_inside.h"

struct store *store_new(const uint8_t mesh[SIGN_KEY_LEN])
{
	struct store *s = calloc(1, sizeof(*s));

	if (s)
		memcpy(s->mesh, mesh, SIGN_KEY_LEN);
	return s;
}

static void list_done(struct item_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		item_free(l->v[i]);
	free(l->v);
}

void store_free(struct store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->member_count; i++) {
		list_done(&s->members[i]->nodes);
		list_done(&s->members[i]->revocations);
		item_free(s->members[i]->self);
		free(s->members[i]);
	}
	list_done(&s->delegations);
	list_done(&s->releases);
	list_done(&s->mesh_keys);
	list_done(&s->invitations);
	free(s->members);
	free(s->items);
	free(s->claims);
	free(s->sorted);
	free(s);
}

static bool list_copy(struct item_list *to, const struct item_list *from)
{
	to->v = from->count ? calloc(from->count, sizeof(*to->v)) : NULL;
	if (from->count && !to->v)
		return false;
	to->size = from->count;
	for (; to->count < from->count; to->count++)
		to->v[to->count] = item_hold(from->v[to->count]);
	return true;
}

static bool member_copy(struct store *copy, const struct member *from)
{
	struct member *to = calloc(1, sizeof(*to));

	if (!to)
		return false;
	copy->members[copy->member_count++] = to;
	memcpy(to->public_key, from->public_key, KEY_LEN);
	to->standing = from->standing;
	to->self = from->self ? item_hold(from->self) : NULL;
	return list_copy(&to->nodes, &from->nodes) && list_copy(&to->revocations, &from->revocations);
}

/* An array of pointers, with as much room as there is in it. False: no memory. */
static bool array_copy(const struct item ***to, size_t *to_count, size_t *to_size, const struct item *const *from, size_t count)
{
	*to = count ? calloc(count, sizeof(**to)) : NULL;
	if (count && !*to)
		return false;
	if (count)
		memcpy(*to, from, count * sizeof(**to));
	*to_count = *to_size = count;
	return true;
}

static bool copy_all(struct store *copy, const struct store *s)
{
	copy->members = s->member_count ? calloc(s->member_count, sizeof(struct member *)) : NULL;
	if (s->member_count && !copy->members)
		return false;
	copy->member_size = s->member_count;
	for (size_t i = 0; i < s->member_count; i++)
		if (!member_copy(copy, s->members[i]))
			return false;
	copy->node_count = s->node_count;
	copy->revocation_count = s->revocation_count;
	return list_copy(&copy->delegations, &s->delegations) && list_copy(&copy->releases, &s->releases) &&
	       list_copy(&copy->mesh_keys, &s->mesh_keys) && list_copy(&copy->invitations, &s->invitations) &&
	       array_copy(&copy->items, &copy->item_count, &copy->item_size, s->items, s->item_count) &&
	       array_copy(&copy->claims, &copy->claim_count, &copy->claim_size, s->claims, s->claim_count);
}

/* Tables are copied, items shared: cheap enough to try a single item on. */
struct store *store_copy(const struct store *s)
{
	struct store *copy = store_new(s->mesh);

	if (!copy)
		return NULL;
	if (!copy_all(copy, s)) {
		store_free(copy);
		return NULL;
	}
	copy->all_changed = true;
	return copy;
}

/* What 's' was given since 'by' was made of it. In the order that others need them in, but for mesh keys, which need each other. */
static void catch_up(struct store *by, struct store *s, int64_t now_s)
{
	const struct item *const *v;
	size_t count = store_sorted(s, &v);
	bool more = true;

	for (size_t round = 0; more && round < STORE_MESH_KEYS_MAX; round++) {
		more = false;
		for (size_t i = 0; i < count; i++) {
			const struct item *there = store_item(by, v[i]->id);
			const char *why;

			if (!there || memcmp(there->id, v[i]->id, ITEM_ID_LEN))
				more |= store_add(by, item_hold(v[i]), now_s, &why) == STORE_ADDED;
		}
	}
}

void store_replace(struct store *s, struct store *by, int64_t now_s)
{
	struct store old;

	catch_up(by, s, now_s);
	old = *s;
	old.version += by->version + 1;
	*s = *by;
	s->version = old.version;
	s->all_changed = true;
	s->change_count = 0;
	free(s->sorted);
	s->sorted = NULL;
	*by = old;
	store_free(by);
}

const uint8_t *store_mesh(const struct store *s)
{
	return s->mesh;
}

/*
 * Members and items.
 */

struct member *store_member(const struct store *s, const uint8_t public_key[KEY_LEN], size_t *place)
{
	size_t low = 0, high = s->member_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = memcmp(s->members[middle]->public_key, public_key, KEY_LEN);

		if (c == 0) {
			*place = middle;
			return s->members[middle];
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	return NULL;
}

/* Room in an array of pointers for one more. */
static void *grow(void *v, size_t count, size_t *size)
{
	size_t more = *size ? 2 * *size : 16;
	void *bigger;

	if (count < *size)
		return v;
	bigger = realloc(v, more * sizeof(void *));
	if (bigger)
		*size = more;
	return bigger;
}

struct member *store_member_make(struct store *s, const uint8_t public_key[KEY_LEN])
{
	size_t place;
	struct member *m = store_member(s, public_key, &place), **v;

	if (m)
		return m;
	v = grow(s->members, s->member_count, &s->member_size);
	if (!v)
		return NULL;
	s->members = v;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	memcpy(m->public_key, public_key, KEY_LEN);
	memmove(&v[place + 1], &v[place], (s->member_count - place) * sizeof(*v));
	v[place] = m;
	s->member_count++;
	return m;
}

static bool member_is_empty(const struct member *m)
{
	return !m->nodes.count && !m->revocations.count;
}

static void member_free(struct member *m)
{
	free(m->nodes.v);
	free(m->revocations.v);
	free(m);
}

void store_sweep(struct store *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->member_count; i++)
		if (member_is_empty(s->members[i]))
			member_free(s->members[i]);
		else
			s->members[kept++] = s->members[i];
	s->member_count = kept;
}

void store_member_forget(struct store *s, const uint8_t public_key[KEY_LEN])
{
	size_t place;
	struct member *m = store_member(s, public_key, &place);

	if (!m || !member_is_empty(m))
		return;
	member_free(m);
	s->member_count--;
	memmove(&s->members[place], &s->members[place + 1], (s->member_count - place) * sizeof(*s->members));
}

static size_t item_place(const struct store *s, const uint8_t *id, size_t len)
{
	size_t low = 0, high = s->item_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(s->items[middle]->id, id, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where records that name this invitation begin, or would. */
static size_t claim_place(const struct store *s, const uint8_t token[KEY_LEN])
{
	size_t low = 0, high = s->claim_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(s->claims[middle]->node.token, token, KEY_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_claim_of(const struct store *s, size_t place, const uint8_t token[KEY_LEN])
{
	return place < s->claim_count && !memcmp(s->claims[place]->node.token, token, KEY_LEN);
}

bool store_make_room(struct store *s, struct item_list *l)
{
	void *v = grow(s->items, s->item_count, &s->item_size);

	if (!v)
		return false;
	s->items = v;
	v = grow(s->claims, s->claim_count, &s->claim_size);
	if (!v)
		return false;
	s->claims = v;
	if (!l)
		return true;
	v = grow(l->v, l->count, &l->size);
	if (!v)
		return false;
	l->v = v;
	return true;
}

void store_list(struct store *s, const struct item *i)
{
	size_t place = item_place(s, i->id, ITEM_ID_LEN);

	memmove(&s->items[place + 1], &s->items[place], (s->item_count - place) * sizeof(*s->items));
	s->items[place] = i;
	s->item_count++;
	if (i->kind != ITEM_NODE || !i->node.has_token)
		return;
	place = claim_place(s, i->node.token);
	memmove(&s->claims[place + 1], &s->claims[place], (s->claim_count - place) * sizeof(*s->claims));
	s->claims[place] = i;
	s->claim_count++;
}

static void drop_claim(struct store *s, const struct item *i)
{
	size_t place = claim_place(s, i->node.token);

	while (is_claim_of(s, place, i->node.token) && s->claims[place] != i)
		place++;
	if (!is_claim_of(s, place, i->node.token))
		return;
	s->claim_count--;
	memmove(&s->claims[place], &s->claims[place + 1], (s->claim_count - place) * sizeof(*s->claims));
}

void store_drop(struct store *s, struct item *i)
{
	size_t place;

	if (!i)
		return;
	place = item_place(s, i->id, ITEM_ID_LEN);
	if (place < s->item_count && s->items[place] == i) {
		s->item_count--;
		memmove(&s->items[place], &s->items[place + 1], (s->item_count - place) * sizeof(*s->items));
	}
	if (i->kind == ITEM_NODE && i->node.has_token)
		drop_claim(s, i);
	item_free(i);
}

const struct item *store_item(const struct store *s, const uint8_t short_id[ITEM_SHORT_ID])
{
	size_t place = item_place(s, short_id, ITEM_SHORT_ID);

	return place < s->item_count && !memcmp(s->items[place]->id, short_id, ITEM_SHORT_ID) ? s->items[place] : NULL;
}

size_t store_items(const struct store *s, const struct item *const **v)
{
	*v = s->items;
	return s->item_count;
}

static int rank(enum item_kind kind)
{
	static const int ranks[ITEM_KINDS] = {
		[ITEM_MESH_KEY] = 0, [ITEM_DELEGATION] = 1, [ITEM_RELEASE] = 2, [ITEM_REVOCATION] = 3, [ITEM_NODE] = 4, [ITEM_INVITATION] = 5,
		[ITEM_SELF] = 6,
	};

	return kind < ITEM_KINDS ? ranks[kind] : ITEM_KINDS;
}

static int by_need(const void *a, const void *b)
{
	const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;
	int c = rank(x->kind) - rank(y->kind);

	return c ? c : memcmp(x->id, y->id, ITEM_ID_LEN);
}

size_t store_sorted(struct store *s, const struct item *const **v)
{
	if (!s->sorted || s->sorted_version != s->version) {
		const struct item **bigger = realloc(s->sorted, (s->item_count + 1) * sizeof(*bigger));

		*v = NULL;
		if (!bigger)
			return 0;
		s->sorted = bigger;
		if (s->item_count)
			memcpy(s->sorted, s->items, s->item_count * sizeof(*s->items));
		qsort(s->sorted, s->item_count, sizeof(*s->sorted), by_need);
		s->sorted_version = s->version;
	}
	*v = s->sorted;
	return s->item_count;
}

/*
 * Changes.
 */

void store_changed(struct store *s, const uint8_t public_key[KEY_LEN])
{
	s->version++;
	if (!public_key)
		s->all_changed = true;
	for (size_t i = 0; public_key && i < s->change_count; i++)
		if (!memcmp(s->changes[i], public_key, KEY_LEN))
			return;
	if (!public_key || s->all_changed)
		return;
	if (s->change_count == STORE_CHANGES_MAX)
		s->all_changed = true;
	else
		memcpy(s->changes[s->change_count++], public_key, KEY_LEN);
}

bool store_next_change(struct store *s, uint8_t public_key[KEY_LEN], bool *all)
{
	*all = s->all_changed;
	if (s->all_changed) {
		s->all_changed = false;
		s->change_count = 0;
		return true;
	}
	if (!s->change_count)
		return false;
	memcpy(public_key, s->changes[--s->change_count], KEY_LEN);
	return true;
}

uint64_t store_version(const struct store *s)
{
	return s->version;
}

/*
 * Who may sign.
 */

/* The one that counts of those there are. */
static const struct item *mesh_key_item(const struct store *s, const uint8_t key[SIGN_KEY_LEN])
{
	const struct item *best = NULL;

	for (size_t i = 0; i < s->mesh_keys.count; i++)
		if (!memcmp(s->mesh_keys.v[i]->mesh_key.key, key, SIGN_KEY_LEN) && (!best || store_compare(s, s->mesh_keys.v[i], best) > 0))
			best = s->mesh_keys.v[i];
	return best;
}

static const struct item *delegation_item(const struct store *s, const uint8_t key[SIGN_KEY_LEN])
{
	for (size_t i = 0; i < s->delegations.count; i++)
		if (!memcmp(s->delegations.v[i]->delegation.sign_key, key, SIGN_KEY_LEN))
			return s->delegations.v[i];
	return NULL;
}

bool store_was_mesh_key(const struct store *s, const uint8_t key[SIGN_KEY_LEN])
{
	return !memcmp(key, s->mesh, SIGN_KEY_LEN) || mesh_key_item(s, key);
}

bool store_is_mesh_key(const struct store *s, const uint8_t key[SIGN_KEY_LEN], int64_t now_s)
{
	const struct item *i = mesh_key_item(s, key);

	if (!i)
		return !memcmp(key, s->mesh, SIGN_KEY_LEN);
	return i->mesh_key.not_after_s == 0 || now_s <= i->mesh_key.not_after_s;
}

bool store_is_delegate(const struct store *s, const uint8_t key[SIGN_KEY_LEN])
{
	return delegation_item(s, key) != NULL;
}

bool store_is_released(const struct store *s, const uint8_t key[SIGN_KEY_LEN], const uint8_t id[ITEM_ID_LEN])
{
	for (size_t i = 0; i < s->releases.count; i++) {
		const struct release *r = &s->releases.v[i]->release;
		bool kept = false;

		if (memcmp(r->sign_key, key, SIGN_KEY_LEN))
			continue;
		for (size_t k = 0; id && k < r->keep_count && !kept; k++)
			kept = !memcmp(r->keep[k], id, ITEM_ID_LEN);
		if (!kept)
			return true;
	}
	return false;
}

static bool has_release(const struct store *s, const uint8_t key[SIGN_KEY_LEN])
{
	return store_is_released(s, key, NULL);
}

bool store_may_sign(const struct store *s, const uint8_t sign_key[SIGN_KEY_LEN], int64_t now_s)
{
	const struct item *i = delegation_item(s, sign_key);

	if (store_is_mesh_key(s, sign_key, now_s))
		return true;
	return i && !has_release(s, sign_key) && now_s >= i->delegation.not_before_s && now_s <= i->delegation.not_after_s &&
	       store_is_mesh_key(s, i->signer, now_s);
}

/*
 * Standing.
 */

/* Of two that came by one invitation: whether 'a' counts before 'b'. */
static bool comes_before(const struct node_record *a, const struct node_record *b)
{
	uint8_t x[2 * KEY_LEN], y[2 * KEY_LEN], hash_a[BLAKE2S_LEN], hash_b[BLAKE2S_LEN];

	memcpy(x, a->token, KEY_LEN);
	memcpy(x + KEY_LEN, a->public_key, KEY_LEN);
	memcpy(y, b->token, KEY_LEN);
	memcpy(y + KEY_LEN, b->public_key, KEY_LEN);
	blake2s(hash_a, sizeof(hash_a), NULL, 0, x, sizeof(x));
	blake2s(hash_b, sizeof(hash_b), NULL, 0, y, sizeof(y));
	return memcmp(hash_a, hash_b, BLAKE2S_LEN) < 0;
}

/* A release keeps its records good; else the signer's right must not have ended. Of mesh keys nothing is released: they end. */
static bool is_backed(const struct store *s, const struct item *i, int64_t now_s)
{
	if (!store_was_mesh_key(s, i->signer) && has_release(s, i->signer))
		return !store_is_released(s, i->signer, i->id);
	return store_may_sign(s, i->signer, now_s);
}

struct item *member_node(const struct store *s, const struct member *m, int64_t now_s)
{
	struct item *best = NULL;
	bool best_backed = false;

	/* One is the rule, and then there is nothing to choose. */
	if (m->nodes.count == 1)
		return m->nodes.v[0];
	for (size_t i = 0; i < m->nodes.count; i++) {
		struct item *node = m->nodes.v[i];
		bool backed = is_backed(s, node, now_s);

		if (!best || backed > best_backed || (backed == best_backed && store_compare(s, node, best) > 0)) {
			best = node;
			best_backed = backed;
		}
	}
	return best;
}

struct item *member_revocation(const struct store *s, const struct member *m)
{
	struct item *best = NULL;

	for (size_t i = 0; i < m->revocations.count; i++)
		if (!best || store_compare(s, m->revocations.v[i], best) > 0)
			best = m->revocations.v[i];
	return best;
}

/* Whether another node that came by the same invitation counts before this one. One that was put out, or whose signer may not, does not. */
static bool is_claimed(const struct store *s, const struct node_record *r, int64_t now_s)
{
	for (size_t k = r->has_token ? claim_place(s, r->token) : s->claim_count; is_claim_of(s, k, r->token); k++) {
		const struct item *other = s->claims[k];
		const struct member *m;
		size_t place;

		if (!memcmp(other->node.public_key, r->public_key, KEY_LEN) || !comes_before(&other->node, r))
			continue;
		m = store_member(s, other->node.public_key, &place);
		if (m && !m->revocations.count && member_node(s, m, now_s) == other && is_backed(s, other, now_s))
			return true;
	}
	return false;
}

enum node_standing member_standing(const struct store *s, const struct member *m, int64_t now_s)
{
	const struct item *node = member_node(s, m, now_s);

	if (m->revocations.count)
		return NODE_REVOKED;
	if (!node)
		return NODE_UNKNOWN;
	if (!is_backed(s, node, now_s))
		return NODE_VOID;
	if (now_s < node->node.not_before_s)
		return NODE_EARLY;
	if (now_s > node->node.not_after_s)
		return NODE_EXPIRED;
	return is_claimed(s, &node->node, now_s) ? NODE_CLAIMED : NODE_GOOD;
}

const char *node_standing_name(enum node_standing standing)
{
	static const char *const names[] = {
		[NODE_UNKNOWN] = "unknown", [NODE_GOOD] = "good", [NODE_REVOKED] = "revoked", [NODE_CLAIMED] = "claimed", [NODE_VOID] = "void",
		[NODE_EARLY] = "early", [NODE_EXPIRED] = "expired",
	};

	return names[standing];
}

/*
 * Questions.
 */

static void tell(const struct store *s, const struct member *m, int64_t now_s, struct store_node *n)
{
	const struct item *node = member_node(s, m, now_s), *revocation = member_revocation(s, m);

	*n = (struct store_node){
		.standing = member_standing(s, m, now_s),
		.record = node ? &node->node : NULL,
		.self = m->self ? &m->self->self : NULL,
		.item = node,
		.self_item = m->self,
		.revocation_item = revocation,
		.revocation = revocation ? &revocation->revocation : NULL,
	};
}

bool store_find(const struct store *s, const uint8_t public_key[KEY_LEN], int64_t now_s, struct store_node *n)
{
	size_t place;
	const struct member *m = store_member(s, public_key, &place);

	*n = (struct store_node){ .standing = NODE_UNKNOWN };
	if (!m)
		return false;
	tell(s, m, now_s, n);
	return true;
}

bool store_find_name(const struct store *s, const char *name, int64_t now_s, struct store_node *n)
{
	const struct item *best = NULL;

	for (size_t i = 0; i < s->member_count; i++) {
		const struct item *node = member_node(s, s->members[i], now_s);

		if (!node || strcmp(node->node.name, name) || member_standing(s, s->members[i], now_s) != NODE_GOOD)
			continue;
		if (!best || memcmp(node->id, best->id, ITEM_ID_LEN) < 0) {
			best = node;
			tell(s, s->members[i], now_s, n);
		}
	}
	return best;
}

bool store_node_at(const struct store *s, size_t i, int64_t now_s, struct store_node *n)
{
	if (i >= s->member_count)
		return false;
	tell(s, s->members[i], now_s, n);
	return true;
}

size_t store_node_count(const struct store *s)
{
	return s->member_count;
}

const struct invitation *store_invitation(const struct store *s, const uint8_t token[KEY_LEN])
{
	for (size_t i = 0; i < s->invitations.count; i++)
		if (!memcmp(s->invitations.v[i]->invitation.token, token, KEY_LEN))
			return &s->invitations.v[i]->invitation;
	return NULL;
}

const struct invitation *store_invitation_at(const struct store *s, size_t i)
{
	return i < s->invitations.count ? &s->invitations.v[i]->invitation : NULL;
}

const struct node_record *store_token_node(const struct store *s, const uint8_t token[KEY_LEN])
{
	const struct node_record *first = NULL;

	for (size_t k = claim_place(s, token); is_claim_of(s, k, token); k++)
		if (!first || comes_before(&s->claims[k]->node, first))
			first = &s->claims[k]->node;
	return first;
}

/*
 * Warnings.
 */

/* "in 12 days", "3 days ago", into one line. */
static void warn(const char *what, const char *name, int64_t end_s, int64_t now_s, void (*visit)(void *ctx, const char *line), void *ctx)
{
	struct text line = { 0 };
	int64_t days = (end_s > now_s ? end_s - now_s : now_s - end_s) / 86400;

	if (end_s == 0 || end_s - now_s > STORE_WARN_S)
		return;
	text_addf(&line, "%s%s %s ", what, name, end_s >= now_s ? "expires in" : "expired");
	if (days)
		text_addf(&line, "%lld day%s", (long long)days, days == 1 ? "" : "s");
	else
		text_add(&line, "less than a day");
	if (end_s < now_s)
		text_add(&line, " ago");
	if (!line.failed)
		visit(ctx, line.s);
	text_done(&line);
}

static const char *name_of(const struct store *s, const uint8_t public_key[KEY_LEN])
{
	size_t place;
	const struct member *m = store_member(s, public_key, &place);

	return m && m->nodes.count ? member_node(s, m, 0)->node.name : "a node that is not known";
}

void store_warnings(const struct store *s, int64_t now_s, void (*visit)(void *ctx, const char *line), void *ctx)
{
	for (size_t i = 0; i < s->mesh_keys.count; i++)
		if (s->mesh_keys.v[i]->mesh_key.not_after_s >= now_s)
			warn("a mesh key", "", s->mesh_keys.v[i]->mesh_key.not_after_s, now_s, visit, ctx);
	for (size_t i = 0; i < s->delegations.count; i++) {
		const struct delegation *d = &s->delegations.v[i]->delegation;

		warn("the right to sign of ", name_of(s, d->public_key), d->not_after_s, now_s, visit, ctx);
	}
	for (size_t i = 0; i < s->member_count; i++) {
		const struct item *node = member_node(s, s->members[i], now_s);

		if (node && !s->members[i]->revocations.count)
			warn("the record of ", node->node.name, node->node.not_after_s, now_s, visit, ctx);
	}
}
