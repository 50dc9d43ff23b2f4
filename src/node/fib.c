/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table in two dimensions (RFC 9079 section 4.1): destinations are a trie (base/lpm.h), and each has its entries side by
 * side, one a source prefix, longest source first.
 *
 * A lookup walks down to the longest destination once, notes the few that cover the address on the way, and tries them from the longest:
 * the first with an entry for the packet's source has it. So a miss in the source of one falls back to the next shorter, and what is most
 * common, entries for any source, costs what a plain lookup does. Where a destination has many sources they are found by halving, one length
 * after the other.
 *
 * An entry is in the table as long as it has a route or an announcer. It costs about 160 bytes with one announcer or two; entries of a
 * destination move when their number changes, and an array of more announcers is each one's own.
 */
#include "node/fib.h"

#include <stdlib.h>
#include <string.h>

#include "base/lpm.h"

/* All there is for one destination. */
struct fib_dst {
	size_t count;
	struct fib_entry entries[];	/* by source: longest first, then in address order */
};

/* What lies in the place of the first entry when fib_forget_peer() has left none. */
struct fib_void {
	struct fib_dst *next;
	struct ip_prefix dst;
};

_Static_assert(sizeof(struct fib_void) <= sizeof(struct fib_entry), "there is room for one entry at least");

static void entry_done(struct fib_entry *e)
{
	if (e->announcer_count > FIB_FEW)
		free(e->announcers.many);
}

static void dst_free(struct fib_dst *d)
{
	for (size_t i = 0; i < d->count; i++)
		entry_done(&d->entries[i]);
	free(d);
}

static bool free_one(void *ctx, const struct ip_prefix *prefix, void *value)
{
	(void)ctx;
	(void)prefix;
	dst_free(value);
	return true;
}

void fib_clear(struct fib *f)
{
	lpm_walk(&f->destinations, free_one, NULL);
	lpm_clear(&f->destinations);
	f->count = 0;
}

/* Both of one family, masked. False: no pair. */
static bool pair_read(struct prefix_pair *to, const struct prefix_pair *p)
{
	unsigned int bits = ip_family_bits(p->dst.addr.family);

	if (!bits || p->src.addr.family != p->dst.addr.family || p->dst.len > bits || p->src.len > bits)
		return false;
	*to = *p;
	ip_prefix_mask(&to->dst);
	ip_prefix_mask(&to->src);
	return true;
}

/* The order of entries: negative if the entry comes before this source. */
static int compare(const struct fib_entry *e, const struct ip_prefix *src)
{
	if (e->src.len != src->len)
		return e->src.len > src->len ? -1 : 1;
	return memcmp(e->src.addr.bytes, src->addr.bytes, sizeof(src->addr.bytes));
}

/* The first entry from 'first' on that does not come before this source. */
static size_t lower_bound(const struct fib_dst *d, size_t first, const struct ip_prefix *src)
{
	size_t end = d->count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (compare(&d->entries[middle], src) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static struct fib_entry *find(const struct fib *f, const struct prefix_pair *pair, struct fib_dst **dst)
{
	struct fib_dst *d = lpm_exact(&f->destinations, &pair->dst);
	size_t i;

	*dst = d;
	if (!d)
		return NULL;
	i = lower_bound(d, 0, &pair->src);
	return i < d->count && !compare(&d->entries[i], &pair->src) ? &d->entries[i] : NULL;
}

const struct fib_entry *fib_exact(const struct fib *f, const struct prefix_pair *p)
{
	struct prefix_pair pair;
	struct fib_dst *d;

	return pair_read(&pair, p) ? find(f, &pair, &d) : NULL;
}

/*
 * Changing.
 */

/* Room for an entry, which is empty but for its prefix. NULL: no memory. */
static struct fib_entry *entry_new(struct fib *f, struct fib_dst *old, const struct prefix_pair *pair)
{
	size_t count = old ? old->count : 0, at = old ? lower_bound(old, 0, &pair->src) : 0;
	struct fib_dst *d = malloc(sizeof(*d) + (count + 1) * sizeof(d->entries[0]));

	if (!d)
		return NULL;
	/* In the place of another it needs no memory, and does not fail. */
	if (!lpm_insert(&f->destinations, &pair->dst, d)) {
		free(d);
		return NULL;
	}
	d->count = count + 1;
	if (count) {
		memcpy(d->entries, old->entries, at * sizeof(d->entries[0]));
		memcpy(d->entries + at + 1, old->entries + at, (count - at) * sizeof(d->entries[0]));
	}
	free(old);
	d->entries[at] = (struct fib_entry){ .dst_len = pair->dst.len, .src = pair->src };
	f->count++;
	return &d->entries[at];
}

static void entry_remove(struct fib *f, struct fib_dst *d, struct fib_entry *e)
{
	size_t behind = (size_t)(d->entries + d->count - e) - 1;

	entry_done(e);
	memmove(e, e + 1, behind * sizeof(*e));
	d->count--;
	f->count--;
}

bool fib_set(struct fib *f, const struct prefix_pair *p, enum fib_action action, struct lane_peer *peer,
	     struct lane_peer *const *announcers, size_t announcer_count)
{
	struct lane_peer **copy = NULL;
	struct prefix_pair pair;
	struct fib_entry *e;
	struct fib_dst *d;

	if (!pair_read(&pair, p))
		return false;
	e = find(f, &pair, &d);
	if (action == FIB_NONE && !announcer_count) {
		if (e)
			entry_remove(f, d, e);
		if (d && !d->count) {
			lpm_remove(&f->destinations, &pair.dst);
			free(d);
		}
		return true;
	}
	if (announcer_count > FIB_FEW) {
		copy = malloc(announcer_count * sizeof(struct lane_peer *));
		if (!copy)
			return false;
		memcpy(copy, announcers, announcer_count * sizeof(struct lane_peer *));
	}
	if (!e)
		e = entry_new(f, d, &pair);
	if (!e) {
		free(copy);
		return false;
	}
	entry_done(e);
	e->action = (uint8_t)action;
	e->peer = action == FIB_PEER ? peer : NULL;
	e->announcer_count = (uint32_t)announcer_count;
	if (copy)
		e->announcers.many = copy;
	else if (announcer_count)
		memcpy(e->announcers.few, announcers, announcer_count * sizeof(struct lane_peer *));
	return true;
}

/* The peer is taken out of an entry. False: nothing is left of it. */
static bool forget(struct fib_entry *e, const struct lane_peer *peer)
{
	struct lane_peer **many = e->announcer_count > FIB_FEW ? e->announcers.many : NULL, **v = many ? many : e->announcers.few;
	uint32_t kept = 0;

	if (e->peer == peer && e->action == FIB_PEER) {
		e->action = FIB_NONE;
		e->peer = NULL;
	}
	for (uint32_t i = 0; i < e->announcer_count; i++)
		if (v[i] != peer)
			v[kept++] = v[i];
	e->announcer_count = kept;
	if (many && kept <= FIB_FEW) {
		memcpy(e->announcers.few, many, kept * sizeof(struct lane_peer *));
		free(many);
	}
	return e->action != FIB_NONE || kept;
}

struct forgetting {
	struct fib *f;
	const struct lane_peer *peer;
	struct fib_dst *voids;
};

static struct fib_void *void_of(struct fib_dst *d)
{
	return (struct fib_void *)(void *)d->entries;
}

/* The trie must not change during a walk, so what is void afterwards is put in a list. */
static bool forget_in(void *ctx, const struct ip_prefix *prefix, void *value)
{
	struct forgetting *g = ctx;
	struct fib_dst *d = value;

	for (size_t i = d->count; i-- > 0;) {
		if (forget(&d->entries[i], g->peer))
			continue;
		entry_remove(g->f, d, &d->entries[i]);
	}
	if (!d->count) {
		*void_of(d) = (struct fib_void){ .next = g->voids, .dst = *prefix };
		g->voids = d;
	}
	return true;
}

void fib_forget_peer(struct fib *f, const struct lane_peer *peer)
{
	struct forgetting g = { .f = f, .peer = peer };

	lpm_walk(&f->destinations, forget_in, &g);
	while (g.voids) {
		struct fib_dst *d = g.voids;

		g.voids = void_of(d)->next;
		lpm_remove(&f->destinations, &void_of(d)->dst);
		free(d);
	}
}

/*
 * Looking up.
 */

/* The destinations that cover an address, shortest first. */
static size_t covering(const struct fib *f, uint8_t family, const uint8_t *dst, void *values[LPM_TRAIL6_MAX])
{
	switch (family) {
	case IP_V4:
		return lpm_trail4(&f->destinations, dst, values);
	case IP_V6:
		return lpm_trail6(&f->destinations, dst, values);
	default:
		return 0;
	}
}

/* The entry with the longest source that covers 'src', among those with a route or ('any') all. */
static const struct fib_entry *for_source(const struct fib_dst *d, uint8_t family, const uint8_t *src, bool any)
{
	size_t i = 0;

	while (i < d->count) {
		const struct fib_entry *e = &d->entries[i];
		struct ip_prefix key = { .addr.family = family, .len = e->src.len };

		if (key.len) {
			memcpy(key.addr.bytes, src, ip_family_bytes(family));
			ip_prefix_mask(&key);
			i = lower_bound(d, i, &key);
			e = i < d->count && !compare(&d->entries[i], &key) ? &d->entries[i] : NULL;
		}
		if (e && (any || e->action != FIB_NONE))
			return e;
		if (!key.len)
			return NULL;
		/* Behind all of this length: at the first that is shorter. */
		key.len--;
		memset(key.addr.bytes, 0, sizeof(key.addr.bytes));
		i = lower_bound(d, i, &key);
	}
	return NULL;
}

static const struct fib_entry *lookup(const struct fib *f, uint8_t family, const uint8_t *src, const uint8_t *dst, bool any)
{
	void *values[LPM_TRAIL6_MAX];
	size_t count = f->count ? covering(f, family, dst, values) : 0;

	while (count) {
		const struct fib_entry *e = for_source(values[--count], family, src, any);

		if (e)
			return e;
	}
	return NULL;
}

const struct fib_entry *fib_lookup(const struct fib *f, uint8_t family, const uint8_t *src, const uint8_t *dst)
{
	return lookup(f, family, src, dst, false);
}

const struct fib_entry *fib_origin(const struct fib *f, uint8_t family, const uint8_t *src, const uint8_t *dst)
{
	return lookup(f, family, dst, src, true);
}

bool fib_announces(const struct fib_entry *e, const struct lane_peer *peer)
{
	struct lane_peer *const *v = fib_announcers(e);

	for (uint32_t i = 0; i < e->announcer_count; i++)
		if (v[i] == peer)
			return true;
	return false;
}
