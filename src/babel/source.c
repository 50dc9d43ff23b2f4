/* SPDX-License-Identifier: MIT */
/*
 * Feasibility distances (RFC 8966 2.4, 3.2.5, 3.5.1, 3.7.3): the best (seqno, metric) we ever announced of a prefix pair and router-id. A
 * route may be used only when its neighbour is strictly better than that, so it cannot be going through us: this is all that keeps loops away,
 * and why a distance is recorded before what it stands for is sent, and never gets worse while it lives.
 *
 * It is forgotten BABEL_SOURCE_US after it was last announced; one that we are still announcing is not, however rarely that is. When there
 * is no room for one the route is announced as lost: what cannot be remembered must not be said.
 */
#include <stdlib.h>

#include "babel/table.h"
#include "base/container.h"

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

	if (p->source_count < BABEL_SOURCES_PREFIX && b->source_count < BABEL_SOURCES_MAX && babel_timers_want(b, 1)) {
		s = calloc(1, sizeof(*s));
		if (!s)
			babel_timers_want(b, -1);
	}
	if (!s) {
		refuse(b, p);
		return NULL;
	}
	s->prefix = p;
	memcpy(s->router_id, router_id, sizeof(s->router_id));
	s->timer.kind = BABEL_TIMER_SOURCE;
	s->next = p->sources;
	p->sources = s;
	p->source_count++;
	b->source_count++;
	babel_timer_set(b, &s->timer, b->now.mono_us + BABEL_SOURCE_US);
	return s;
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
	s->used_us = b->now.mono_us;
	return true;
}

static void destroy(struct babel *b, struct babel_source *s)
{
	babel_timer_unset(b, &s->timer);
	babel_timers_want(b, -1);
	s->prefix->source_count--;
	b->source_count--;
	free(s);
}

void source_timer(struct babel *b, struct babel_timer *t)
{
	struct babel_source *s = container_of(t, struct babel_source, timer), **at;
	struct babel_prefix *p = s->prefix;

	if (s->used_us + BABEL_SOURCE_US > b->now.mono_us) {
		babel_timer_set(b, t, s->used_us + BABEL_SOURCE_US);
		return;
	}
	if (p->announced && prefix_metric(p) != BABEL_INFINITY && id_equal(p->router_id, s->router_id)) {
		babel_timer_set(b, t, b->now.mono_us + BABEL_SOURCE_US);
		return;
	}
	prefix_hold(p);
	for (at = &p->sources; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	destroy(b, s);
	select_route(b, p);	/* what was unfeasible by it no longer is */
	prefix_release(b, p);
}

void sources_free(struct babel *b, struct babel_prefix *p)
{
	struct babel_source *s;

	while ((s = p->sources)) {
		p->sources = s->next;
		destroy(b, s);
	}
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
		s->used_us = now.mono_us;
	}
	prefix_release(b, p);
	return s;
}
