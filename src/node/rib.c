/* SPDX-License-Identifier: MIT */
/*
 * The routing information base: what Babel chose, on its way into two forwarding tables.
 *
 * A hash table of prefix pairs. Entries go when they are of no route, announced by nobody, and carried over: on neither list. The lists
 * are first in, first out, so that a prefix that changes all the time does not keep others waiting.
 *
 * The source check outlives an announcement (RIB_LINGER_US): packets that a neighbour sent just before it changed its mind are not
 * lost, and neither are those of an update that was.
 */
#include "node/rib.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/instant.h"

enum {
	RIB_BUCKETS_MIN = 64,
	RIB_CHAIN = 2,			/* entries a bucket */
	RIB_ANNOUNCERS_MAX = UINT16_MAX,
};

static size_t bucket_of(const struct rib *r, const struct prefix_pair *p)
{
	return (size_t)hash_bytes(r->key, p, sizeof(*p)) & (r->bucket_count - 1);
}

static void entry_free(struct rib *r, struct rib_entry *e)
{
	free(e->announcers);
	slab_give(&r->entries, e);
}

void rib_done(struct rib *r)
{
	for (size_t i = 0; i < r->bucket_count; i++) {
		while (r->buckets[i]) {
			struct rib_entry *e = r->buckets[i];

			r->buckets[i] = e->next;
			entry_free(r, e);
		}
	}
	free(r->buckets);
	memset(r, 0, sizeof(*r));
}

/* Twice the buckets when chains get long; without memory they get longer. */
static bool grow(struct rib *r)
{
	size_t count = r->bucket_count ? 2 * r->bucket_count : RIB_BUCKETS_MIN, old_count = r->bucket_count;
	struct rib_entry **buckets, **old = r->buckets;

	if (r->count < RIB_CHAIN * r->bucket_count)
		return true;
	buckets = calloc(count, sizeof(struct rib_entry *));
	if (!buckets)
		return r->bucket_count;
	r->buckets = buckets;
	r->bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct rib_entry *e = old[i];
			size_t at = bucket_of(r, &e->prefix);

			old[i] = e->next;
			e->next = buckets[at];
			buckets[at] = e;
		}
	}
	free(old);
	return true;
}

static struct rib_entry *find(const struct rib *r, const struct prefix_pair *p)
{
	struct rib_entry *e = r->bucket_count ? r->buckets[bucket_of(r, p)] : NULL;

	while (e && !prefix_pair_equal(&e->prefix, p))
		e = e->next;
	return e;
}

struct rib_entry *rib_get(struct rib *r, const struct prefix_pair *p)
{
	struct rib_entry *e = find(r, p);
	size_t at;

	if (e || !grow(r))
		return e;
	e = slab_take(&r->entries, sizeof(*e));
	if (!e)
		return NULL;
	e->prefix = *p;
	at = bucket_of(r, p);
	e->next = r->buckets[at];
	r->buckets[at] = e;
	r->count++;
	return e;
}

/* Take it out if it says nothing and nobody waits for it. */
static void drop_empty(struct rib *r, struct rib_entry *e)
{
	struct rib_entry **at;

	if (e->action != FIB_NONE || e->kind != NODE_ROUTE_NONE || e->announcer_count || e->for_fib || e->for_kernel)
		return;
	at = &r->buckets[bucket_of(r, &e->prefix)];
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	r->count--;
	entry_free(r, e);
}

static void for_fib(struct rib *r, struct rib_entry *e)
{
	if (e->for_fib)
		return;
	e->for_fib = true;
	e->fib_next = NULL;
	if (r->fib_last)
		r->fib_last->fib_next = e;
	else
		r->fib_first = e;
	r->fib_last = e;
}

static void for_kernel(struct rib *r, struct rib_entry *e)
{
	if (e->for_kernel)
		return;
	e->for_kernel = true;
	e->kernel_next = NULL;
	if (r->kernel_last)
		r->kernel_last->kernel_next = e;
	else
		r->kernel_first = e;
	r->kernel_last = e;
}

void rib_changed(struct rib *r, struct rib_entry *e)
{
	for_fib(r, e);
	for_kernel(r, e);
}

static struct rib_announcer *announcer_of(const struct rib_entry *e, const struct lane_peer *peer)
{
	for (uint32_t i = 0; i < e->announcer_count; i++)
		if (e->announcers[i].peer == peer)
			return &e->announcers[i];
	return NULL;
}

static bool announcer_add(struct rib_entry *e, struct lane_peer *peer)
{
	struct rib_announcer *list;
	size_t size = e->announcer_size ? 2 * (size_t)e->announcer_size : 1;

	if (size > RIB_ANNOUNCERS_MAX)
		size = RIB_ANNOUNCERS_MAX;
	if (e->announcer_count == e->announcer_size) {
		if (e->announcer_size == size)
			return false;
		list = realloc(e->announcers, size * sizeof(*list));
		if (!list)
			return false;
		e->announcers = list;
		e->announcer_size = (uint16_t)size;
	}
	e->announcers[e->announcer_count++] = (struct rib_announcer){ .peer = peer, .until_us = NEVER_US };
	return true;
}

/* Take out announcers that ended before 'now_us', or that are 'peer'. Whether there were any. */
static bool prune(struct rib *r, struct rib_entry *e, int64_t now_us, const struct lane_peer *peer)
{
	uint16_t kept = 0, before = e->announcer_count;

	for (uint32_t i = 0; i < before; i++) {
		const struct rib_announcer *a = &e->announcers[i];

		if (a->peer != peer && a->until_us > now_us)
			e->announcers[kept++] = *a;
		else
			r->lingering -= a->until_us != NEVER_US;
	}
	e->announcer_count = kept;
	return kept != before;
}

bool rib_set_announcers(struct rib *r, struct rib_entry *e, struct lane_peer *const *peers, size_t count, int64_t now_us)
{
	uint32_t before = e->announcer_count;
	struct rib_announcer *a;
	bool good = true;

	/* Everybody ends now, but for those who are named. Where there are more entries than routes can be, nobody is waited for. */
	for (uint32_t i = 0; i < e->announcer_count; i++) {
		if (e->announcers[i].until_us == NEVER_US) {
			e->announcers[i].until_us = r->count <= RIB_LINGER_MAX ? now_us + RIB_LINGER_US : now_us;
			r->lingering++;
		}
	}
	for (size_t i = 0; i < count; i++) {
		a = announcer_of(e, peers[i]);
		if (!a) {
			good &= announcer_add(e, peers[i]);
		} else if (a->until_us != NEVER_US) {
			a->until_us = NEVER_US;
			r->lingering--;
		}
	}
	if (r->count > RIB_LINGER_MAX)
		prune(r, e, now_us, NULL);
	if (e->announcer_count != before)
		for_fib(r, e);
	drop_empty(r, e);
	return good;
}

/* Call 'visit' for all entries; it may not free any, but for_fib() is fine. */
static void each(struct rib *r, void (*visit)(struct rib *r, struct rib_entry *e, void *ctx), void *ctx)
{
	for (size_t i = 0; i < r->bucket_count; i++)
		for (struct rib_entry *e = r->buckets[i]; e; e = e->next)
			visit(r, e, ctx);
}

static void expire(struct rib *r, struct rib_entry *e, void *now_us)
{
	if (prune(r, e, *(const int64_t *)now_us, NULL))
		for_fib(r, e);
}

void rib_expire(struct rib *r, int64_t now_us)
{
	if (r->lingering)
		each(r, expire, &now_us);
}

static void forget(struct rib *r, struct rib_entry *e, void *peer)
{
	bool routed = e->peer && e->peer == peer;

	if (routed) {
		e->action = FIB_NONE;
		e->peer = NULL;
		e->kind = NODE_ROUTE_NONE;
	}
	if (prune(r, e, INT64_MIN, peer) || routed)
		rib_changed(r, e);
}

void rib_forget_peer(struct rib *r, const struct lane_peer *peer)
{
	struct lane_peer *gone = (struct lane_peer *)(uintptr_t)peer;

	each(r, forget, gone);
}

static void reset(struct rib *r, struct rib_entry *e, void *ctx)
{
	(void)ctx;
	e->action = FIB_NONE;
	e->peer = NULL;
	e->kind = NODE_ROUTE_NONE;
	e->announcer_count = 0;
	rib_changed(r, e);
}

void rib_reset(struct rib *r)
{
	each(r, reset, NULL);
	r->lingering = 0;
}

void rib_kernel_again(struct rib *r, const struct prefix_pair *p)
{
	struct rib_entry *e = find(r, p);

	if (e && e->kind != NODE_ROUTE_NONE)
		for_kernel(r, e);
}

/* Put one entry into the lanes' table. False: no memory, and it is there as it was. */
static bool carry(const struct rib_entry *e, struct fib *f)
{
	struct lane_peer *few[16], **peers = few;
	bool good;

	if (e->announcer_count > sizeof(few) / sizeof(*few)) {
		peers = malloc(e->announcer_count * sizeof(struct lane_peer *));
		if (!peers)
			return false;
	}
	for (uint32_t i = 0; i < e->announcer_count; i++)
		peers[i] = e->announcers[i].peer;
	good = fib_set(f, &e->prefix, e->action, e->peer, peers, e->announcer_count);
	if (peers != few)
		free(peers);
	return good;
}

bool rib_to_fib(struct rib *r, struct fib *f, unsigned int max)
{
	struct rib_entry *e;

	while (max-- && (e = r->fib_first)) {
		if (!carry(e, f))
			return false;
		r->fib_first = e->fib_next;
		if (!r->fib_first)
			r->fib_last = NULL;
		e->for_fib = false;
		drop_empty(r, e);
	}
	return r->fib_first;
}

bool rib_to_kernel(struct rib *r, struct node_route *route)
{
	struct rib_entry *e;
	bool tell;

	while ((e = r->kernel_first)) {
		r->kernel_first = e->kernel_next;
		if (!r->kernel_first)
			r->kernel_last = NULL;
		e->for_kernel = false;
		*route = (struct node_route){
			.prefix = e->prefix, .kind = e->kind, .ifindex = e->ifindex, .gateway = e->gateway,
		};
		tell = e->in_kernel || e->kind != NODE_ROUTE_NONE;
		e->in_kernel = e->kind != NODE_ROUTE_NONE;
		drop_empty(r, e);
		if (tell)
			return true;
	}
	return false;
}
