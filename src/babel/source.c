/* SPDX-License-Identifier: MIT */
/*
 * Feasibility distances (RFC 8966 2.4, 3.2.5, 3.5.1, 3.7.3): the best (seqno, metric) we ever announced of a prefix pair and router-id. A
 * route may be used only when its neighbour is strictly better than that, so it cannot be going through us: this is all that keeps loops away,
 * and why a distance is recorded before what it stands for is sent, and never gets worse while it lives.
 *
 * It is forgotten BABEL_SOURCE_US after it was last announced; one that we are still announcing is not, however rarely that is. One timer is
 * for all: it comes when the first of them is due, or a few seconds later with those that are due then. When there is no room for one the route is announced as lost: what cannot be remembered must not be said.
 */
#include "babel/table.h"

#define SWEEP_US (5 * US_PER_S)			/* between two looks at all of them */
#define KEPT_US (BABEL_SOURCE_US + US_PER_MS)	/* by a clock of milliseconds */

/* Whether (seqno, metric) is strictly better than the distance. */
static bool better(uint16_t seqno, uint16_t metric, const struct babel_source *s)
{
	return seqno_newer(seqno, s->seqno) || (seqno == s->seqno && metric < s->metric);
}

struct babel_source *source_find(const struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	struct babel_source *s = p->sources;

	while (s && !id_equal(s->router_id, router_id))
		s = s->next;
	return s;
}

bool source_feasible(const struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno, uint16_t metric)
{
	const struct babel_source *s;

	if (metric == BABEL_INFINITY)
		return true;
	s = source_find(p, router_id);
	return !s || better(seqno, metric, s);
}

static void refuse(struct babel *b, const struct babel_prefix *p)
{
	char text[PAIR_TEXT_MAX];

	b->refused++;
	if (!b->prefixes_logged)
		log_warning(&b->log, "babel: no room for more router-ids of %s, its route is not announced",
			    prefix_pair_format(&p->pair, text));
	b->prefixes_logged = true;
}

static struct babel_source *make(struct babel *b, struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	struct babel_source *s = NULL;

	if (p->source_count < BABEL_SOURCES_PREFIX && b->source_count < BABEL_SOURCES_MAX && (b->source_count || babel_timers_want(b, 1))) {
		s = slab_take(&b->source_slab, sizeof(*s));
		if (!s && !b->source_count)
			babel_timers_want(b, -1);
	}
	if (!s) {
		refuse(b, p);
		return NULL;
	}
	memcpy(s->router_id, router_id, sizeof(s->router_id));
	s->next = p->sources;
	p->sources = s;
	p->source_count++;
	b->source_count++;
	if (!b->source_timer.timer.slot)
		babel_timer_set(b, &b->source_timer, b->now.mono_us + KEPT_US);
	return s;
}

static uint32_t now_ms(const struct babel *b)
{
	return (uint32_t)(b->now.mono_us / US_PER_MS);
}

bool source_record(struct babel *b, struct babel_prefix *p, uint16_t seqno, uint16_t metric)
{
	struct babel_source *s = source_find(p, p->router_id);

	if (!s) {
		s = make(b, p, p->router_id);
		if (!s)
			return false;
		s->seqno = seqno;
		s->metric = metric;
	} else if (better(seqno, metric, s)) {
		s->seqno = seqno;
		s->metric = metric;
	}
	s->used_ms = now_ms(b);
	return true;
}

static void destroy(struct babel *b, struct babel_prefix *p, struct babel_source **at)
{
	struct babel_source *s = *at;

	*at = s->next;
	p->source_count--;
	slab_give(&b->source_slab, s);
	if (--b->source_count)
		return;
	babel_timer_unset(b, &b->source_timer);
	babel_timers_want(b, -1);
}

static bool is_announced(const struct babel_prefix *p, const struct babel_source *s)
{
	return p->announced && prefix_metric(p) != BABEL_INFINITY && id_equal(p->router_id, s->router_id);
}

/* Let go of what is due; 'next_us' becomes the earliest that any other will be. */
static void expire(struct babel *b, struct babel_prefix *p, void *next_us)
{
	struct babel_source **at = &p->sources;
	bool any = false;

	while (*at) {
		struct babel_source *s = *at;
		int64_t left_us = KEPT_US - (now_ms(b) - s->used_ms) * US_PER_MS;

		if (left_us <= 0 && !is_announced(p, s)) {
			destroy(b, p, at);
			any = true;
			continue;
		}
		if (left_us <= 0) {
			s->used_ms = now_ms(b);
			left_us = KEPT_US;
		}
		if (b->now.mono_us + left_us < *(int64_t *)next_us)
			*(int64_t *)next_us = b->now.mono_us + left_us;
		at = &s->next;
	}
	if (any)
		select_route(b, p);	/* what was unfeasible by it no longer is */
}

void sources_expire(struct babel *b)
{
	int64_t next_us = NEVER_US;

	prefix_walk(b, expire, &next_us);
	if (next_us < b->now.mono_us + SWEEP_US)
		next_us = b->now.mono_us + SWEEP_US;
	if (b->source_count)
		babel_timer_set(b, &b->source_timer, next_us);
}

void sources_free(struct babel *b, struct babel_prefix *p)
{
	while (p->sources)
		destroy(b, p, &p->sources);
}

bool babel_distance(const struct babel *b, const struct prefix_pair *pair, const uint8_t router_id[BABEL_ROUTER_ID_LEN],
		    uint16_t *seqno, uint16_t *metric)
{
	const struct babel_prefix *p = prefix_find(b, pair);
	const struct babel_source *s = p ? source_find(p, router_id) : NULL;

	if (!s)
		return false;
	*seqno = s->seqno;
	*metric = s->metric;
	return true;
}

void babel_distances(const struct babel *b, void (*visit)(void *ctx, const struct babel_distance *d), void *ctx)
{
	for (size_t i = 0; i < b->bucket_count; i++)
		for (const struct babel_prefix *p = b->buckets[i]; p; p = p->next)
			for (const struct babel_source *s = p->sources; s; s = s->next) {
				struct babel_distance d = { .prefix = p->pair, .seqno = s->seqno, .metric = s->metric };

				memcpy(d.router_id, s->router_id, sizeof(d.router_id));
				visit(ctx, &d);
			}
}

bool babel_restore_distance(struct babel *b, const struct babel_distance *d, struct instant now)
{
	struct babel_prefix *p;
	struct babel_source *s;

	b->now = now;
	p = prefix_get(b, &d->prefix, NULL);
	if (!p)
		return false;
	s = source_find(p, d->router_id);
	if (!s)
		s = make(b, p, d->router_id);
	if (s) {
		s->seqno = d->seqno;
		s->metric = d->metric;
		s->used_ms = now_ms(b);
	}
	prefix_release(b, p);
	return s;
}
