/* SPDX-License-Identifier: MIT */
/*
 * Source-specific routes of IPv4 (RFC 9079), which the kernel has no routes for: a table for each source prefix S, and a rule "from S lookup
 * T", the longer S looked at first (reference X2).
 *
 * A table with the specific routes alone would be wrong twice: a packet whose longest destination is an ordinary route would follow a
 * shorter, specific one, and even the subnets of our own interfaces would be hijacked. So T holds, for every destination known - Babel's,
 * specific or not, and all other routes of main - the one route with the longest source that covers S: the closure. Then looking up T alone
 * gives what RFC 9079 asks for, destination first. Where Babel's unspecific route and one of main's are for the same destination, the one
 * main itself would use is taken.
 *
 * Nothing is remembered of what a table holds: what a change concerns is decided anew and put in the place of what was, or deleted. A table
 * is filled before its rule is added, and its rule goes before it is emptied. There are at most KFIB_SOURCES_MAX: a table costs as much as
 * main. What more sources ask for is not in the kernel at all.
 */
#include <stdlib.h>
#include <string.h>

#include "sys/kfib_inside.h"

/* Who has a destination in a table: one of Babel's, one of main's, or nobody. */
struct winner {
	const struct kfib_entry *entry;
	const struct kroute *route;
};

static struct kfib_source *source_of(struct kfib *k, const struct ip_prefix *src)
{
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++)
		if (k->sources[i].src.addr.family != IP_NONE && ip_prefix_equal(&k->sources[i].src, src))
			return &k->sources[i];
	return NULL;
}

/* Babel's route to 'dst' from a source that has a table and covers 's', the longest of them. */
static const struct kfib_entry *longest_specific(const struct kfib *k, const struct kfib_source *s, const struct ip_prefix *dst)
{
	const struct kfib_entry *best = NULL;

	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++) {
		const struct kfib_source *other = &k->sources[i];
		const struct prefix_pair pair = { .dst = *dst, .src = other->src };
		const struct kfib_entry *e;

		if (other->src.addr.family == IP_NONE || !ip_prefix_contains(&other->src, &s->src) ||
		    (best && best->rest->src.len > other->src.len))
			continue;
		e = kfib_find(k, &pair);
		if (e && !e->refused)
			best = e;
	}
	return best;
}

static struct winner decide(const struct kfib *k, const struct kfib_source *s, const struct ip_prefix *dst)
{
	const struct prefix_pair any = prefix_pair_any(dst);
	struct winner w = { .entry = longest_specific(k, s, dst) };

	if (w.entry)
		return w;
	w.entry = kfib_find(k, &any);
	if (w.entry && !w.entry->table)
		w.entry = NULL;
	w.route = k->main ? kroutes_find(k->main, dst) : NULL;
	/* As main has it; but a default route of the mark's is looked at before main's. */
	if (w.entry && w.route && !w.entry->by_mark && w.route->priority < k->priority)
		w.entry = NULL;
	if (w.entry)
		w.route = NULL;
	return w;
}

static void set_one(struct kfib *k, const struct kfib_source *s, const struct ip_prefix *dst)
{
	const struct prefix_pair any = prefix_pair_any(dst);
	struct winner w = decide(k, s, dst);
	int err;

	if (w.entry) {
		struct node_route r = kfib_route(w.entry);

		r.prefix = any;
		err = kfib_put(k->nl, s->table, k->priority, k->o.tun, &r);
	} else if (w.route) {
		err = kfib_put_copy(k->nl, s->table, k->priority, k->main, w.route);
	} else {
		err = 0;
	}
	/* What cannot be put in must not leave the old behind, which leads elsewhere. */
	if (err || (!w.entry && !w.route))
		kfib_delete(k->nl, s->table, k->priority, &any);
	if (err && w.entry) {
		const struct prefix_pair pair = kfib_pair(w.entry);

		kfib_tell_missing(k, &pair, err);
	}
}

void kfib_source_update(struct kfib *k, const struct ip_prefix *dst, const struct ip_prefix *src)
{
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++) {
		const struct kfib_source *s = &k->sources[i];

		if (s->src.addr.family != IP_NONE && s->ruled && (!src->len || ip_prefix_contains(src, &s->src)))
			set_one(k, s, dst);
	}
}

/* Visit all destinations of IPv4; some more than once. */
static void each_destination(struct kfib *k, void (*visit)(struct kfib *k, const struct ip_prefix *dst, const void *ctx), const void *ctx)
{
	for (size_t i = 0; k->main && i < k->main->count; i++) {
		const struct prefix_pair *p = &k->main->v[i].route.prefix;

		if (p->dst.addr.family == IP_V4 && (!i || !prefix_pair_equal(p, &k->main->v[i - 1].route.prefix)))
			visit(k, &p->dst, ctx);
	}
	for (size_t i = 0; i < k->bucket_count; i++)
		for (const struct kfib_entry *e = k->buckets[i]; e; e = e->next)
			if (e->dst.addr.family == IP_V4)
				visit(k, &e->dst, ctx);
}

static void set_destination(struct kfib *k, const struct ip_prefix *dst, const void *ctx)
{
	set_one(k, ctx, dst);
}

static void set_mark_rules(struct kfib *k, bool want)
{
	uint32_t mark = k->o.mark;

	want = want && mark;
	if (k->marked && (!want || k->marked_with != mark)) {
		kfib_rules_marked(k->nl, false, k->slot, k->marked_with);
		k->marked = false;
	}
	if (!want || k->marked)
		return;
	if (kfib_rules_marked(k->nl, true, k->slot, mark))
		log_warning(&k->log, "no rule for the sockets' mark can be had: %s", netlink_error(k->nl));
	k->marked = true;
	k->marked_with = mark;
}

static bool any_source(const struct kfib *k)
{
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++)
		if (k->sources[i].src.addr.family != IP_NONE)
			return true;
	return false;
}

/* All of its table, then its rule. */
static void build(struct kfib *k, struct kfib_source *s)
{
	char text[PREFIX_TEXT_MAX];
	int err;

	set_mark_rules(k, true);
	each_destination(k, set_destination, s);
	err = kfib_rule_source(k->nl, true, &s->src, s->table);
	s->ruled = !err;
	if (err)
		log_warning(&k->log, "no rule for packets from %s: %s", ip_prefix_format(&s->src, text), strerror(-err));
	else
		log_debug(&k->log, "packets from %s have table %lu", ip_prefix_format(&s->src, text), (unsigned long)s->table);
}

static void empty_table(struct kfib *k, uint32_t table)
{
	struct kfib_presents list;

	if (kfib_list(k->nl, k->priority, &list))
		return;
	for (size_t i = 0; i < list.count; i++)
		if (list.v[i].table == table)
			kfib_delete(k->nl, table, k->priority, &list.v[i].prefix);
	free(list.v);
}

static void drop(struct kfib *k, struct kfib_source *s)
{
	kfib_rule_source(k->nl, false, &s->src, s->table);
	empty_table(k, s->table);
	*s = (struct kfib_source){ 0 };
	if (!any_source(k))
		set_mark_rules(k, false);
}

static struct kfib_source *source_new(struct kfib *k, const struct ip_prefix *src)
{
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++) {
		struct kfib_source *s = &k->sources[i];

		if (s->src.addr.family != IP_NONE)
			continue;
		*s = (struct kfib_source){ .src = *src, .table = kfib_first_table(k->slot) + (uint32_t)i };
		return s;
	}
	return NULL;
}

static void refuse(struct kfib *k, struct kfib_entry *e)
{
	const struct prefix_pair pair = kfib_pair(e);
	char text[PAIR_TEXT_MAX];

	e->refused = true;
	k->refused++;
	if (k->o.mode == TABLE_NUMBER && !k->told_table)
		log_warning(&k->log, "route %s: with Table = NUMBER routes of IPv4 for some sources are not installed",
			    prefix_pair_format(&pair, text));
	else if (k->o.mode == TABLE_AUTO && !k->told_refused)
		log_warning(&k->log, "route %s: more than %d source prefixes of IPv4; not installed, nor are others like it",
			    prefix_pair_format(&pair, text), KFIB_SOURCES_MAX);
	k->told_table |= k->o.mode == TABLE_NUMBER;
	k->told_refused |= k->o.mode == TABLE_AUTO;
}

void kfib_source_add(struct kfib *k, struct kfib_entry *e)
{
	struct kfib_source *s = source_of(k, &e->rest->src);
	bool fresh = !s;

	if (!s && k->o.mode == TABLE_AUTO)
		s = source_new(k, &e->rest->src);
	if (!s) {
		if (!e->refused)
			refuse(k, e);
		return;
	}
	k->refused -= e->refused;
	e->refused = false;
	s->routes++;
	if (fresh)
		build(k, s);
	/* Longer sources have it, too, unless they know better. */
	kfib_source_update(k, &e->dst, &e->rest->src);
}

/* A table is free: for the source of any that waits for one. */
static void retry_refused(struct kfib *k)
{
	for (size_t i = 0; i < k->bucket_count && k->refused; i++)
		for (struct kfib_entry *e = k->buckets[i]; e; e = e->next)
			if (e->refused)
				kfib_source_add(k, e);
}

void kfib_source_remove(struct kfib *k, struct kfib_entry *e)
{
	struct kfib_source *s = source_of(k, &e->rest->src);

	if (e->refused) {
		k->refused--;
		return;
	}
	if (!s)
		return;
	s->routes--;
	if (!s->routes)
		drop(k, s);
	kfib_source_update(k, &e->dst, &e->rest->src);
	if (k->refused && k->o.mode == TABLE_AUTO)
		retry_refused(k);
}

static bool is_next(const struct kroutes *list, size_t i, const struct kroutes *other, size_t j)
{
	if (i == list->count || j == other->count)
		return i < list->count;
	return memcmp(&list->v[i].route.prefix, &other->v[j].route.prefix, sizeof(struct prefix_pair)) <= 0;
}

/* Past all routes for the pair of v[i]. */
static size_t next_pair(const struct kroutes *list, size_t i)
{
	size_t j = i + 1;

	while (j < list->count && prefix_pair_equal(&list->v[i].route.prefix, &list->v[j].route.prefix))
		j++;
	return j;
}

/* Both lists are sorted: walk them side by side, and set what differs. */
void kfib_source_set_main(struct kfib *k, const struct kroutes *main)
{
	static const struct kroutes none;
	const struct kroutes *old = k->main ? k->main : &none, *fresh = main ? main : &none;
	static const struct ip_prefix any;
	size_t i = 0, j = 0;

	k->main = main;
	if (!any_source(k))
		return;
	while (i < old->count || j < fresh->count) {
		bool in_old = is_next(old, i, fresh, j), in_fresh = is_next(fresh, j, old, i);
		const struct ip_prefix *dst = in_old ? &old->v[i].route.prefix.dst : &fresh->v[j].route.prefix.dst;

		if (dst->addr.family == IP_V4 &&
		    !(in_old && in_fresh && kroute_same(old, &old->v[i], fresh, &fresh->v[j])))
			kfib_source_update(k, dst, &any);
		if (in_old)
			i = next_pair(old, i);
		if (in_fresh)
			j = next_pair(fresh, j);
	}
}

void kfib_source_configure(struct kfib *k)
{
	if (k->o.mode == TABLE_AUTO) {
		set_mark_rules(k, any_source(k));
		return;
	}
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++)
		if (k->sources[i].src.addr.family != IP_NONE)
			drop(k, &k->sources[i]);
}

/* --- comparing --- */

struct restoring {
	const struct kfib_source *source;
	const struct kfib_presents *present;
};

static void restore_destination(struct kfib *k, const struct ip_prefix *dst, const void *ctx)
{
	const struct restoring *r = ctx;
	const struct prefix_pair any = prefix_pair_any(dst);

	if (!kfib_presents_have(r->present, r->source->table, &any))
		set_one(k, r->source, dst);
}

void kfib_source_restore(struct kfib *k, const struct kfib_presents *present)
{
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++) {
		struct kfib_source *s = &k->sources[i];
		const struct restoring r = { .source = s, .present = present };

		if (s->src.addr.family == IP_NONE)
			continue;
		/* Without its rule it was not kept up. */
		if (s->ruled)
			each_destination(k, restore_destination, &r);
		else
			each_destination(k, set_destination, s);
		s->ruled = !kfib_rule_source(k->nl, true, &s->src, s->table);
	}
	if (k->marked)
		kfib_rules_marked(k->nl, true, k->slot, k->marked_with);
}

bool kfib_source_wants(const struct kfib *k, const struct kfib_present *p)
{
	const struct kfib_source *s = &k->sources[p->table - kfib_first_table(k->slot)];
	struct winner w;

	if (s->src.addr.family == IP_NONE)
		return false;
	w = decide(k, s, &p->prefix.dst);
	return w.entry || w.route;
}

void kfib_source_close(struct kfib *k)
{
	for (size_t i = 0; i < KFIB_SOURCES_MAX; i++)
		k->sources[i] = (struct kfib_source){ 0 };
	k->marked = false;
	kfib_purge(k->nl, k->slot, true);
}
