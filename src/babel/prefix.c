/* SPDX-License-Identifier: MIT */
/*
 * The table of prefix pairs (RFC 8966 3.2, RFC 9079 4), and what the driver is told of them. A pair is one destination with one source
 * prefix; ::/0 with two sources and without one are three pairs that have nothing to do with each other. The table is a hash table under a
 * secret key, doubled when it is full: neighbours choose the prefixes.
 *
 * A prefix lives while something is in it: routes, distances, requests, our own announcement, a hold, or a place in a queue or in the
 * list of changes. Only prefix_release() frees it, and whoever works on one holds it, so nothing below has to think of that.
 */
#include <stdlib.h>

#include "babel/table.h"
#include "base/hash.h"

enum {
	BUCKETS_MIN = 64,
	CHAIN = 2,		/* prefixes a bucket, on average */
};

static struct babel_prefix **bucket_of(const struct babel *b, uint32_t hash)
{
	return &b->buckets[hash & (b->bucket_count - 1)];
}

static uint32_t hash_of(const struct babel *b, const struct prefix_pair *pair)
{
	return (uint32_t)hash_bytes(b->hash_key, pair, sizeof(*pair));
}

static struct babel_prefix *find(const struct babel *b, const struct prefix_pair *pair, uint32_t hash)
{
	struct babel_prefix *p = b->bucket_count ? *bucket_of(b, hash) : NULL;

	while (p && (p->hash != hash || !prefix_pair_equal(&p->pair, pair)))
		p = p->next;
	return p;
}

struct babel_prefix *prefix_find(const struct babel *b, const struct prefix_pair *pair)
{
	return b->bucket_count ? find(b, pair, hash_of(b, pair)) : NULL;
}

/* Double the table. Without memory it stays as it is, with longer chains. */
static void grow(struct babel *b)
{
	size_t count = b->bucket_count ? 2 * b->bucket_count : BUCKETS_MIN;
	struct babel_prefix **buckets = calloc(count, sizeof(struct babel_prefix *));

	if (!buckets)
		return;
	for (size_t i = 0; i < b->bucket_count; i++) {
		struct babel_prefix *p, *next;

		for (p = b->buckets[i]; p; p = next) {
			next = p->next;
			p->next = buckets[p->hash & (count - 1)];
			buckets[p->hash & (count - 1)] = p;
		}
	}
	free(b->buckets);
	b->buckets = buckets;
	b->bucket_count = count;
}

static struct babel_prefix *make(struct babel *b, const struct prefix_pair *pair, uint32_t hash)
{
	struct babel_prefix *p;

	if (b->prefix_count >= CHAIN * b->bucket_count)
		grow(b);
	if (!b->bucket_count || !babel_timers_want(b, 1))
		return NULL;
	p = slab_take(&b->prefix_slab, sizeof(*p));
	if (!p) {
		babel_timers_want(b, -1);
		return NULL;
	}
	p->pair = *pair;
	p->hash = hash;
	p->own_metric = p->told_metric = BABEL_INFINITY;
	p->timer.timer.kind = BABEL_TIMER_PREFIX;
	memcpy(p->router_id, b->router_id, sizeof(p->router_id));
	p->next = *bucket_of(b, hash);
	*bucket_of(b, hash) = p;
	b->prefix_count++;
	return p;
}

/* How many prefixes there may be so that one more is made for 'n', or with NULL for our own announcement. */
static size_t limit_for(const struct babel *b, const struct babel_neighbour *n)
{
	return n ? BABEL_PREFIXES_MAX - route_reserve(b, n) : BABEL_PREFIXES_MAX + BABEL_PREFIXES_OWN;
}

/* One was made for what came over this interface; it may outlive its routes by as long as its distances live. */
static void count_made(const struct babel *b, struct babel_iface *i)
{
	if (b->now.mono_us >= i->made_until_us) {
		i->made = 0;
		i->made_until_us = b->now.mono_us + BABEL_SOURCE_US;
	}
	i->made++;
}

struct babel_prefix *prefix_get(struct babel *b, const struct prefix_pair *pair, struct babel_neighbour *n)
{
	uint32_t hash = hash_of(b, pair);
	struct babel_prefix *p = find(b, pair, hash);

	if (!p && b->prefix_count < limit_for(b, n)) {
		p = make(b, pair, hash);
		if (p && n)
			count_made(b, n->iface);
	}
	if (p) {
		prefix_hold(p);
		return p;
	}
	b->refused++;
	if (!b->prefixes_logged)
		log_warning(&b->log, "babel: no room for more than %zu prefixes, further ones are refused", b->prefix_count);
	b->prefixes_logged = true;
	return NULL;
}

void prefix_hold(struct babel_prefix *p)
{
	p->refs++;
}

static bool is_empty(const struct babel_prefix *p)
{
	return !p->refs && !p->routes && !p->sources && !p->requests && !p->own && !p->held && !p->changed;
}

static void destroy(struct babel *b, struct babel_prefix *p)
{
	babel_timer_unset(b, &p->timer);
	babel_timers_want(b, -1);
	b->prefix_count--;
	slab_give(&b->prefix_slab, p);
}

void prefix_release(struct babel *b, struct babel_prefix *p)
{
	struct babel_prefix **at;

	p->refs--;
	if (!is_empty(p))
		return;
	for (at = bucket_of(b, p->hash); *at != p; at = &(*at)->next)
		;
	*at = p->next;
	destroy(b, p);
}

const struct prefix_pair *prefix_pair_of(const struct babel_prefix *p)
{
	return &p->pair;
}

uint16_t prefix_losses(const struct babel_prefix *p)
{
	return p->losses;
}

uint16_t prefix_metric(const struct babel_prefix *p)
{
	if (p->own)
		return p->own_metric;
	return p->selected ? p->selected->metric.metric : BABEL_INFINITY;
}

uint16_t prefix_seqno(const struct babel *b, const struct babel_prefix *p)
{
	return p->selected && !p->own ? p->selected->seqno : b->seqno;
}

/* 'visit' may let go of anything but makes no prefixes: the next one is held meanwhile. */
void prefix_walk(struct babel *b, void (*visit)(struct babel *b, struct babel_prefix *p, void *ctx), void *ctx)
{
	for (size_t i = 0; i < b->bucket_count; i++) {
		struct babel_prefix *p = b->buckets[i], *next;

		if (p)
			prefix_hold(p);
		for (; p; p = next) {
			visit(b, p, ctx);
			next = p->next;
			if (next)
				prefix_hold(next);
			prefix_release(b, p);
		}
	}
}

void prefix_changed(struct babel *b, struct babel_prefix *p)
{
	if (p->changed)
		return;
	p->changed = true;
	p->changed_next = NULL;
	if (b->changed_last)
		b->changed_last->changed_next = p;
	else
		b->changed_first = p;
	b->changed_last = p;
}

void prefix_announcers_changed(struct babel *b, struct babel_prefix *p)
{
	p->announcers_changed = true;
	prefix_changed(b, p);
}

/* No unreachable default route (K3): it would cut off what is reached outside of the mesh. */
static enum babel_action action_of(const struct babel_prefix *p)
{
	if (p->own)
		return BABEL_OWN;
	if (p->selected)
		return BABEL_VIA;
	return p->held && p->pair.dst.len ? BABEL_UNREACHABLE : BABEL_NO_ROUTE;
}

bool babel_next_change(struct babel *b, struct babel_change *c)
{
	struct babel_prefix *p = b->changed_first;

	if (!p)
		return false;
	b->changed_first = p->changed_next;
	if (!b->changed_first)
		b->changed_last = NULL;
	*c = (struct babel_change){
		.prefix = p->pair, .action = action_of(p), .metric = prefix_metric(p), .announcers_changed = p->announcers_changed,
	};
	if (c->action == BABEL_VIA) {
		c->iface = p->selected->neighbour->iface;
		c->next_hop = p->selected->next_hop;
	}
	p->changed = p->announcers_changed = false;
	prefix_hold(p);
	prefix_release(b, p);
	return true;
}

size_t babel_announcers(const struct babel *b, const struct prefix_pair *pair, struct babel_iface **out, size_t max)
{
	const struct babel_prefix *p = prefix_find(b, pair);
	size_t count = 0;

	for (const struct babel_route *r = p ? p->routes : NULL; r; r = r->next)
		r->neighbour->iface->listed = false;
	for (const struct babel_route *r = p ? p->routes : NULL; r && count < max; r = r->next) {
		struct babel_iface *i = r->neighbour->iface;

		if (r->filtered == BABEL_INFINITY || i->listed)
			continue;
		i->listed = true;
		out[count++] = i;
	}
	return count;
}

static void show_prefix(const struct babel *b, const struct babel_prefix *p, struct babel_route_info *info)
{
	*info = (struct babel_route_info){
		.prefix = p->pair, .own = p->own, .held = !p->own, .seqno = b->seqno, .feasible = p->own, .selected = p->own,
		.announced = p->own_metric, .metric = p->own_metric, .smoothed = p->own_metric,
	};
	memcpy(info->router_id, b->router_id, sizeof(info->router_id));
}

static void show_route(const struct babel_route *r, int64_t now_us, struct babel_route_info *info)
{
	const struct babel_iface *i = r->neighbour->iface;

	*info = (struct babel_route_info){
		.prefix = r->prefix->pair, .iface = i, .owner = i->owner, .iface_name = i->config.name,
		.neighbour = r->neighbour->address, .next_hop = r->next_hop, .seqno = r->seqno, .announced = r->announced,
		.metric = r->metric.metric, .smoothed = smooth_metric(&r->metric, now_us),
		.feasible = source_feasible(r->prefix, r->router_id, r->seqno, r->announced),
		.selected = r->prefix->selected == r, .age_us = now_us - r->updated_us,
	};
	memcpy(info->router_id, r->router_id, sizeof(info->router_id));
}

void babel_routes(const struct babel *b, struct instant now, void (*visit)(void *ctx, const struct babel_route_info *r), void *ctx)
{
	struct babel_route_info info;

	for (size_t i = 0; i < b->bucket_count; i++)
		for (const struct babel_prefix *p = b->buckets[i]; p; p = p->next) {
			if (p->own || (p->held && p->pair.dst.len)) {
				show_prefix(b, p, &info);
				visit(ctx, &info);
			}
			for (const struct babel_route *r = p->routes; r; r = r->next) {
				if (r->marker)
					continue;
				show_route(r, now.mono_us, &info);
				visit(ctx, &info);
			}
		}
}

bool babel_selected(const struct babel *b, const struct prefix_pair *pair, struct babel_route_info *info)
{
	const struct babel_prefix *p = prefix_find(b, pair);

	if (!p || !p->selected || p->own)
		return false;
	show_route(p->selected, b->now.mono_us, info);
	return true;
}

void routes_init(struct babel *b)
{
	rng_fill(&b->rng, b->hash_key, sizeof(b->hash_key));
	b->seqno_us = -BABEL_SEQNO_GAP_US;
	b->source_timer.timer.kind = BABEL_TIMER_SOURCE;
}

/* The queues are gone, and with them everybody who held a prefix. */
void routes_done(struct babel *b)
{
	for (size_t i = 0; i < b->bucket_count; i++) {
		struct babel_prefix *p, *next;

		for (p = b->buckets[i]; p; p = next) {
			next = p->next;
			requests_free(b, p);
			routes_free(b, p);
			sources_free(b, p);
			destroy(b, p);
		}
	}
	free(b->buckets);
	free(b->filters);
	b->buckets = NULL;
	b->filters = NULL;
	b->bucket_count = b->filter_count = 0;
	b->changed_first = b->changed_last = NULL;
}

void routes_timer(struct babel *b, struct babel_timer *t)
{
	switch (t->timer.kind) {
	case BABEL_TIMER_ROUTE:
		route_timer(b, t);
		return;
	case BABEL_TIMER_SOURCE:
		sources_expire(b);
		return;
	case BABEL_TIMER_REQUEST:
		request_timer(b, t);
		return;
	default:
		select_timer(b, t);
	}
}
