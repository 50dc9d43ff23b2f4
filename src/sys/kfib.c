/* SPDX-License-Identifier: MIT */
/*
 * Babel's routes and the kernel's tables: which there shall be, and where each is.
 *
 * A route goes to main (Table auto) or a numbered table; a default route over our own interface, with Table auto, to the table of the mark,
 * where wg-quick's two rules keep the sockets' own packets out of it (sys/iface.h). Its place changes when its way does, and then the
 * new one is put in before the old one goes. Source-specific routes of IPv6 are the kernel's own (CONFIG_IPV6_SUBTREES); those of IPv4 live in
 * kfib_source.c. An unreachable route stands for a prefix that was lost (RFC 8966 3.5.4), never for a default route.
 *
 * Invariant: an entry's 'table' is where the kernel has its route, as far as we were told. The kernel drops routes without a word, with an
 * interface that goes down for one: kfib_sync() asks it.
 */
#include "sys/kfib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "base/hash.h"
#include "sys/clock.h"
#include "sys/kfib_inside.h"
#include "sys/kunder.h"

enum {
	ENTRIES_MAX = 1 << 17,		/* more than Babel has prefixes */
	BUCKETS_FIRST = 64,
	CHAIN = 2,			/* entries a bucket, on average */
};

/* --- entries --- */

static const struct kfib_rest no_rest;

static const struct kfib_rest *rest_of(const struct kfib_entry *e)
{
	return e->rest ? e->rest : &no_rest;
}

/* A source of no length has its destination's family. */
struct prefix_pair kfib_pair(const struct kfib_entry *e)
{
	struct prefix_pair pair = prefix_pair_any(&e->dst);

	if (rest_of(e)->src.len)
		pair.src = e->rest->src;
	return pair;
}

struct node_route kfib_route(const struct kfib_entry *e)
{
	const struct kfib_rest *rest = rest_of(e);

	return (struct node_route){
		.prefix = kfib_pair(e), .kind = (enum node_route_kind)e->kind, .ifindex = rest->ifindex, .gateway = rest->gateway,
	};
}

static bool is_for(const struct kfib_entry *e, const struct prefix_pair *p)
{
	const struct ip_prefix *src = &rest_of(e)->src;

	return ip_prefix_equal(&e->dst, &p->dst) && src->len == p->src.len && (!src->len || ip_prefix_equal(src, &p->src));
}

/* All but the prefix. False: no memory, and it is as it was. */
static bool set_want(struct kfib_entry *e, const struct node_route *r)
{
	if (!e->rest && (r->prefix.src.len || r->ifindex || r->gateway.family != IP_NONE)) {
		e->rest = malloc(sizeof(*e->rest));
		if (!e->rest)
			return false;
	}
	if (e->rest)
		*e->rest = (struct kfib_rest){ .src = r->prefix.src, .gateway = r->gateway, .ifindex = r->ifindex };
	e->kind = (uint8_t)r->kind;
	return true;
}

static struct kfib_entry **bucket_of(const struct kfib *k, const struct prefix_pair *p)
{
	return &k->buckets[hash_bytes(k->hash_key, p, sizeof(*p)) & (k->bucket_count - 1)];
}

struct kfib_entry *kfib_find(const struct kfib *k, const struct prefix_pair *p)
{
	struct kfib_entry *e = k->bucket_count ? *bucket_of(k, p) : NULL;

	while (e && !is_for(e, p))
		e = e->next;
	return e;
}

static void put(struct kfib *k, struct kfib_entry *e)
{
	const struct prefix_pair pair = kfib_pair(e);
	struct kfib_entry **at = bucket_of(k, &pair);

	e->next = *at;
	*at = e;
}

/* When it cannot grow it gets slower; the first buckets must be had. */
static bool grow(struct kfib *k)
{
	struct kfib_entry **old = k->buckets;
	size_t count = k->bucket_count, size = count ? 2 * count : BUCKETS_FIRST;
	struct kfib_entry **fresh = calloc(size, sizeof(struct kfib_entry *));

	if (!fresh)
		return count;
	k->buckets = fresh;
	k->bucket_count = size;
	for (size_t i = 0; i < count; i++) {
		struct kfib_entry *next;

		for (struct kfib_entry *e = old[i]; e; e = next) {
			next = e->next;
			put(k, e);
		}
	}
	free(old);
	return true;
}

static void free_entry(struct kfib *k, struct kfib_entry *e)
{
	free(e->rest);
	slab_give(&k->entries, e);
}

static struct kfib_entry *insert(struct kfib *k, const struct node_route *r)
{
	struct kfib_entry *e;

	if (k->count == ENTRIES_MAX || (k->count >= CHAIN * k->bucket_count && !grow(k)))
		return NULL;
	e = slab_take(&k->entries, sizeof(*e));
	if (!e)
		return NULL;
	e->dst = r->prefix.dst;
	if (!set_want(e, r)) {
		free_entry(k, e);
		return NULL;
	}
	put(k, e);
	k->count++;
	return e;
}

static void unlink_entry(struct kfib *k, struct kfib_entry *e)
{
	const struct prefix_pair pair = kfib_pair(e);
	struct kfib_entry **at = bucket_of(k, &pair);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	k->count--;
}

/* --- where they are --- */

void kfib_tell_missing(struct kfib *k, const struct prefix_pair *p, int err)
{
	const char *words = netlink_error(k->nl);
	char text[PAIR_TEXT_MAX];

	log_record(&k->log, k->told_missing ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "route %s cannot be installed: %s",
		   prefix_pair_format(p, text), words[0] ? words : strerror(-err));
	k->told_missing = true;
}

static bool is_by_mark(const struct kfib *k, const struct node_route *r)
{
	return k->o.mode == TABLE_AUTO && r->kind == NODE_ROUTE_TUN && !r->prefix.dst.len;
}

/* The table a route belongs to; 0: none. */
static uint32_t place_of(const struct kfib *k, const struct node_route *r)
{
	if (k->o.mode == TABLE_OFF || (r->kind == NODE_ROUTE_TUN && !k->o.tun))
		return 0;
	if (k->o.mode == TABLE_NUMBER)
		return k->o.table ? k->o.table : RT_TABLE_MAIN;
	return is_by_mark(k, r) ? k->o.mark : RT_TABLE_MAIN;
}

/* Count default routes of the mark's, and tell of the first and the last. */
static void set_by_mark(struct kfib *k, struct kfib_entry *e, bool by_mark)
{
	uint8_t family = e->dst.addr.family;
	size_t *count = &k->defaults[family == IP_V6];

	if (e->by_mark == by_mark)
		return;
	e->by_mark = by_mark;
	*count = by_mark ? *count + 1 : *count - 1;
	if (*count == by_mark && k->handler.defaults)
		k->handler.defaults(k->handler.ctx, family, by_mark);
}

static void set_missing(struct kfib *k, struct kfib_entry *e, bool missing)
{
	k->missing += missing;
	k->missing -= e->missing;
	e->missing = missing;
}

/* Put the entry's route where it belongs, then take it from where it was. */
static void place(struct kfib *k, struct kfib_entry *e)
{
	const struct node_route want = kfib_route(e);
	uint32_t table = place_of(k, &want), old = e->table;
	int err = table ? kfib_put(k->nl, table, k->priority, k->o.tun, &want) : 0;

	if (err)
		kfib_tell_missing(k, &want.prefix, err);
	set_missing(k, e, err || (!table && k->o.mode != TABLE_OFF));
	e->table = err ? 0 : table;
	/* Also one that could not be put in: the old way is not the way any more. */
	if (old && old != e->table)
		kfib_delete(k->nl, old, k->priority, &want.prefix);
	set_by_mark(k, e, e->table && is_by_mark(k, &want));
}

static void remove_entry(struct kfib *k, struct kfib_entry *e)
{
	const struct prefix_pair pair = kfib_pair(e);

	unlink_entry(k, e);
	if (kfib_is_sourced(&pair)) {
		kfib_source_remove(k, e);
	} else {
		if (e->table)
			kfib_delete(k->nl, e->table, k->priority, &pair);
		set_by_mark(k, e, false);
		if (pair.dst.addr.family == IP_V4)
			kfib_source_update(k, &pair.dst, &pair.src);
	}
	set_missing(k, e, false);
	free_entry(k, e);
}

void kfib_set(struct kfib *k, const struct node_route *r)
{
	struct kfib_entry *e = kfib_find(k, &r->prefix);
	bool fresh = !e;

	if (r->kind == NODE_ROUTE_NONE || (r->kind == NODE_ROUTE_UNREACHABLE && !r->prefix.dst.len)) {
		if (e)
			remove_entry(k, e);
		return;
	}
	if (fresh)
		e = insert(k, r);
	if (!e || !set_want(e, r)) {
		if (!k->told_full)
			log_warning(&k->log, "too many routes, or no memory for them: some are not installed");
		k->told_full = true;
		return;
	}
	if (!kfib_is_sourced(&r->prefix)) {
		place(k, e);
		if (r->prefix.dst.addr.family == IP_V4)
			kfib_source_update(k, &r->prefix.dst, &r->prefix.src);
	} else if (fresh) {
		kfib_source_add(k, e);
	} else if (!e->refused) {
		kfib_source_update(k, &r->prefix.dst, &r->prefix.src);
	}
}

/* --- all of them --- */

struct kfib *kfib_new(struct netlink *nl, unsigned int slot, const struct log *log, const struct kfib_handler *handler)
{
	struct kfib *k = calloc(1, sizeof(*k));
	struct rng rng = system_rng();

	if (!k)
		return NULL;
	k->nl = nl;
	k->slot = slot;
	k->priority = KFIB_PRIORITY + slot;
	k->log = *log;
	k->handler = *handler;
	k->o.mode = TABLE_OFF;
	rng.fill(rng.ctx, k->hash_key, sizeof(k->hash_key));
	nl->priority = k->priority;
	return k;
}

void kfib_free(struct kfib *k)
{
	struct kfib_entry *next;

	if (!k)
		return;
	for (size_t i = 0; i < k->bucket_count; i++)
		for (struct kfib_entry *e = k->buckets[i]; e; e = next) {
			next = e->next;
			free_entry(k, e);
		}
	free(k->buckets);
	k->nl->priority = 0;
	free(k);
}

void kfib_configure(struct kfib *k, const struct kfib_options *o)
{
	bool sources = o->mode != k->o.mode, remarked = o->mark != k->o.mark;

	if (o->mode == k->o.mode && o->table == k->o.table && o->tun == k->o.tun && o->mark == k->o.mark)
		return;
	k->o = *o;
	kfib_source_configure(k);
	for (size_t i = 0; i < k->bucket_count; i++)
		for (struct kfib_entry *e = k->buckets[i]; e; e = e->next) {
			const struct prefix_pair pair = kfib_pair(e);

			if (!kfib_is_sourced(&pair))
				place(k, e);
			else if (sources)
				kfib_source_add(k, e);
		}
	for (size_t f = 0; f < 2; f++)
		if (remarked && k->defaults[f] && k->handler.defaults)
			k->handler.defaults(k->handler.ctx, f ? IP_V6 : IP_V4, true);
	/* What went over an interface or a mark that is another now. */
	kfib_sync(k, true);
}

void kfib_set_main(struct kfib *k, const struct kroutes *main)
{
	kfib_source_set_main(k, main);
}

static bool is_wanted(const struct kfib *k, const struct kfib_present *p)
{
	const struct kfib_entry *e;

	if (kfib_is_source_table(k->slot, p->table))
		return kfib_source_wants(k, p);
	e = kfib_find(k, &p->prefix);
	return e && e->table == p->table;
}

int kfib_sync(struct kfib *k, bool keep_strays)
{
	struct kfib_presents present;
	int err = kfib_list(k->nl, k->priority, &present);

	if (err)
		return err;
	for (size_t i = 0; i < k->bucket_count; i++)
		for (struct kfib_entry *e = k->buckets[i]; e; e = e->next) {
			const struct prefix_pair pair = kfib_pair(e);

			if (!kfib_is_sourced(&pair) && k->o.mode != TABLE_OFF &&
			    (!e->table || !kfib_presents_have(&present, e->table, &pair)))
				place(k, e);
		}
	kfib_source_restore(k, &present);
	for (size_t i = 0; i < present.count; i++) {
		const struct kfib_present *p = &present.v[i];

		if (!is_wanted(k, p) && !(keep_strays && !kfib_is_source_table(k->slot, p->table)))
			kfib_delete(k->nl, p->table, k->priority, &p->prefix);
	}
	free(present.v);
	return 0;
}

struct kfib_counts kfib_counts(const struct kfib *k)
{
	return (struct kfib_counts){ .routes = k->count, .missing = k->missing, .refused = k->refused };
}

void kfib_close(struct kfib *k, bool keep_routes)
{
	kfib_source_close(k);
	for (size_t i = 0; i < k->bucket_count; i++)
		for (struct kfib_entry *e = k->buckets[i]; e; e = e->next)
			set_by_mark(k, e, false);
	if (!keep_routes)
		kfib_purge(k->nl, k->slot, false);
}

int kfib_purge(struct netlink *nl, unsigned int slot, bool tables_alone)
{
	const uint32_t priority = KFIB_PRIORITY + slot;
	struct kfib_presents list;
	int err = kfib_rules_purge(nl, slot), failed = kunder_purge(nl, slot);

	err = err ? err : failed;
	failed = kfib_list(nl, priority, &list);
	if (failed)
		return err ? err : failed;
	for (size_t i = 0; i < list.count; i++) {
		if (tables_alone && !kfib_is_source_table(slot, list.v[i].table))
			continue;
		failed = kfib_delete(nl, list.v[i].table, priority, &list.v[i].prefix);
		err = err ? err : failed;
	}
	free(list.v);
	return err;
}
