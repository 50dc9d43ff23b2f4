/* SPDX-License-Identifier: MIT */
/*
 * Longest-prefix match: a path-compressed binary trie for each family (Morrison's PATRICIA, as in WireGuard's
 * allowedips). A node stands for a prefix; its children are longer prefixes it covers, told apart by the bit
 * right behind it. A node without a value is glue: it is there because two prefixes part at it.
 *
 * Invariants: keys are masked to the node's length; a child is strictly longer than its parent and
 * covered by it; a glue node has two children. So n prefixes take less than 2n nodes, a lookup visits at most 33 or
 * 129 of them, and recursion is no deeper.
 *
 * Keys are kept as two integers, most significant bit first; an IPv4 address is the upper half of the first. Thus both
 * families share all code, and a node is compared with one or two shifts.
 */
#include "base/lpm.h"

#include "base/bytes.h"

struct key {
	uint64_t hi, lo;
};

struct lpm_node {
	struct lpm_node *child[2];
	void *value;		/* NULL: glue */
	struct key key;
	unsigned int len;
};

static struct key key_of4(const uint8_t addr[4])
{
	return (struct key){ .hi = (uint64_t)get_be32(addr) << 32 };
}

static struct key key_of6(const uint8_t addr[16])
{
	return (struct key){ .hi = get_be64(addr), .lo = get_be64(addr + 8) };
}

static struct key key_of(const struct ip_addr *a)
{
	return a->family == IP_V4 ? key_of4(a->bytes) : key_of6(a->bytes);
}

static struct key key_mask(struct key k, unsigned int len)
{
	if (len < 64)
		k.hi &= len ? UINT64_MAX << (64 - len) : 0;
	if (len < 128)
		k.lo &= len > 64 ? UINT64_MAX << (128 - len) : 0;
	return k;
}

/* The bit behind the first 'i' ones; i < 128. */
static unsigned int key_bit(struct key k, unsigned int i)
{
	return (unsigned int)(i < 64 ? k.hi >> (63 - i) : k.lo >> (127 - i)) & 1;
}

/* How many leading bits two keys share. */
static unsigned int key_common(struct key a, struct key b)
{
	if (a.hi != b.hi)
		return (unsigned int)__builtin_clzll(a.hi ^ b.hi);
	if (a.lo != b.lo)
		return 64 + (unsigned int)__builtin_clzll(a.lo ^ b.lo);
	return 128;
}

static bool node_covers(const struct lpm_node *n, struct key k)
{
	if (n->len > 64)
		return k.hi == n->key.hi && (k.lo ^ n->key.lo) >> (128 - n->len) == 0;
	return n->len == 0 || (k.hi ^ n->key.hi) >> (64 - n->len) == 0;
}

/* The trie of a family, or NULL for a prefix that cannot be. */
static struct lpm_node **root_of(struct lpm *t, const struct ip_prefix *p)
{
	if (p->addr.family == IP_V4 && p->len <= 32)
		return &t->root4;
	if (p->addr.family == IP_V6 && p->len <= 128)
		return &t->root6;
	return NULL;
}

static struct lpm_node *node_new(struct lpm *t, struct key k, unsigned int len, void *value)
{
	struct lpm_node *n = slab_take(&t->nodes, sizeof(*n));

	if (n) {
		n->key = key_mask(k, len);
		n->len = len;
		n->value = value;
	}
	return n;
}

static void free_below(struct lpm *t, struct lpm_node *n)
{
	if (!n)
		return;
	free_below(t, n->child[0]);
	free_below(t, n->child[1]);
	slab_give(&t->nodes, n);
}

void lpm_clear(struct lpm *t)
{
	free_below(t, t->root4);
	free_below(t, t->root6);
	*t = (struct lpm){ 0 };
}

/*
 * Walk down to the first link whose node is not a shorter prefix that covers k/len: it holds k/len itself,
 * or it is where k/len belongs.
 */
static struct lpm_node **descend(struct lpm_node **link, struct key k, unsigned int len)
{
	while (*link && (*link)->len < len && node_covers(*link, k))
		link = &(*link)->child[key_bit(k, (*link)->len)];
	return link;
}

static bool node_is(const struct lpm_node *n, struct key k, unsigned int len)
{
	return n && n->len == len && node_covers(n, k);
}

/* Put a new leaf at 'link', above or beside the node that is there. */
static bool place(struct lpm *t, struct lpm_node **link, struct key k, unsigned int len, void *value)
{
	struct lpm_node *old = *link, *leaf, *glue;
	unsigned int common = old ? key_common(old->key, k) : len;

	leaf = node_new(t, k, len, value);
	if (!leaf)
		return false;
	if (!old) {
		*link = leaf;
		return true;
	}
	if (common >= len) {	/* the new prefix covers the old node, which is longer */
		leaf->child[key_bit(old->key, len)] = old;
		*link = leaf;
		return true;
	}
	glue = node_new(t, k, common, NULL);
	if (!glue) {
		slab_give(&t->nodes, leaf);
		return false;
	}
	glue->child[key_bit(k, common)] = leaf;
	glue->child[key_bit(old->key, common)] = old;
	*link = glue;
	return true;
}

bool lpm_insert(struct lpm *t, const struct ip_prefix *p, void *value)
{
	struct lpm_node **link = root_of(t, p);
	struct key k = key_mask(key_of(&p->addr), p->len);

	if (!link || !value)
		return false;
	link = descend(link, k, p->len);
	if (!node_is(*link, k, p->len)) {
		if (!place(t, link, k, p->len, value))
			return false;
		t->count++;
		return true;
	}
	if (!(*link)->value)
		t->count++;
	(*link)->value = value;
	return true;
}

/* Take the node at 'link' away unless something needs it: a value, or two children to hold apart. */
static void condense(struct lpm *t, struct lpm_node **link)
{
	struct lpm_node *n = *link;

	if (n->value || (n->child[0] && n->child[1]))
		return;
	*link = n->child[0] ? n->child[0] : n->child[1];
	slab_give(&t->nodes, n);
}

void *lpm_remove(struct lpm *t, const struct ip_prefix *p)
{
	struct lpm_node **link = root_of(t, p), **above = NULL;
	struct key k = key_mask(key_of(&p->addr), p->len);
	void *value;

	if (!link)
		return NULL;
	while (*link && (*link)->len < p->len && node_covers(*link, k)) {
		above = link;
		link = &(*link)->child[key_bit(k, (*link)->len)];
	}
	if (!node_is(*link, k, p->len) || !(*link)->value)
		return NULL;
	value = (*link)->value;
	(*link)->value = NULL;
	t->count--;
	condense(t, link);
	if (above)	/* it may have been glue that held this node from its neighbour */
		condense(t, above);
	return value;
}

/* Children first, so that glue sees what is left of them. */
static void remove_below(struct lpm *t, struct lpm_node **link, const void *value)
{
	struct lpm_node *n = *link;

	if (!n)
		return;
	remove_below(t, &n->child[0], value);
	remove_below(t, &n->child[1], value);
	if (n->value == value) {
		n->value = NULL;
		t->count--;
	}
	condense(t, link);
}

void lpm_remove_value(struct lpm *t, const void *value)
{
	if (!value)
		return;
	remove_below(t, &t->root4, value);
	remove_below(t, &t->root6, value);
}

void *lpm_exact(const struct lpm *t, const struct ip_prefix *p)
{
	struct lpm copy = *t;	/* the roots only; descend() hands out links, and none is written here */
	struct lpm_node **link = root_of(&copy, p);
	struct key k = key_mask(key_of(&p->addr), p->len);

	if (!link)
		return NULL;
	link = descend(link, k, p->len);
	return node_is(*link, k, p->len) ? (*link)->value : NULL;
}

/* The node of the longest prefix that covers the key, or NULL. */
static inline const struct lpm_node *lookup(const struct lpm_node *n, struct key k, unsigned int bits)
{
	const struct lpm_node *best = NULL;

	while (n && node_covers(n, k)) {
		if (n->value)
			best = n;
		if (n->len == bits)
			break;
		n = n->child[key_bit(k, n->len)];
	}
	return best;
}

static void *value_of(const struct lpm_node *n)
{
	return n ? n->value : NULL;
}

void *lpm_lookup4(const struct lpm *t, const uint8_t addr[4])
{
	return value_of(lookup(t->root4, key_of4(addr), 32));
}

void *lpm_lookup6(const struct lpm *t, const uint8_t addr[16])
{
	return value_of(lookup(t->root6, key_of6(addr), 128));
}

static void *with_len(const struct lpm_node *n, unsigned int *len)
{
	*len = n ? n->len : 0;
	return value_of(n);
}

void *lpm_lookup4_len(const struct lpm *t, const uint8_t addr[4], unsigned int *len)
{
	return with_len(lookup(t->root4, key_of4(addr), 32), len);
}

void *lpm_lookup6_len(const struct lpm *t, const uint8_t addr[16], unsigned int *len)
{
	return with_len(lookup(t->root6, key_of6(addr), 128), len);
}

static size_t trail(const struct lpm_node *n, struct key k, unsigned int bits, void **values)
{
	size_t count = 0;

	while (n && node_covers(n, k)) {
		if (n->value)
			values[count++] = n->value;
		if (n->len == bits)
			break;
		n = n->child[key_bit(k, n->len)];
	}
	return count;
}

size_t lpm_trail4(const struct lpm *t, const uint8_t addr[4], void *values[LPM_TRAIL4_MAX])
{
	return trail(t->root4, key_of4(addr), 32, values);
}

size_t lpm_trail6(const struct lpm *t, const uint8_t addr[16], void *values[LPM_TRAIL6_MAX])
{
	return trail(t->root6, key_of6(addr), 128, values);
}

void *lpm_lookup(const struct lpm *t, const struct ip_addr *a)
{
	switch (a->family) {
	case IP_V4:
		return lpm_lookup4(t, a->bytes);
	case IP_V6:
		return lpm_lookup6(t, a->bytes);
	default:
		return NULL;
	}
}

static struct ip_prefix prefix_of(const struct lpm_node *n, uint8_t family)
{
	struct ip_prefix p = { .addr.family = family, .len = (uint8_t)n->len };

	/* An IPv4 key is zero behind its first four bytes, as an address of that family has to be. */
	put_be64(p.addr.bytes, n->key.hi);
	put_be64(p.addr.bytes + 8, n->key.lo);
	return p;
}

typedef bool visit_fn(void *ctx, const struct ip_prefix *p, void *value);

static bool walk_below(const struct lpm_node *n, uint8_t family, visit_fn *visit, void *ctx)
{
	if (!n)
		return true;
	if (n->value) {
		struct ip_prefix p = prefix_of(n, family);

		if (!visit(ctx, &p, n->value))
			return false;
	}
	return walk_below(n->child[0], family, visit, ctx) && walk_below(n->child[1], family, visit, ctx);
}

void lpm_walk(const struct lpm *t,
	      bool (*visit)(void *ctx, const struct ip_prefix *p, void *value), void *ctx)
{
	if (walk_below(t->root4, IP_V4, visit, ctx))
		walk_below(t->root6, IP_V6, visit, ctx);
}
