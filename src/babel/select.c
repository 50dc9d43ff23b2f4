/* SPDX-License-Identifier: MIT */
/*
 * Which route of a prefix is used, and what follows from it (RFC 8966 3.6, 2.8, 3.7.2; reference B1-B5, K1-K4, U3-U5). Our own announcement
 * wins, then the usable route of the smallest metric; a usable one that is selected is left only for one that has been better for a while
 * (smooth.h). Feasibility is computed here, at selection, never remembered.
 *
 * A prefix that was lost is held: packets must not follow a shorter prefix back to a neighbour who still sends them to us. The hold ends when
 * a route is found, when every reachable neighbour has acknowledged our retraction or retracted the prefix itself, or with its timer.
 *
 * Neighbours are told at once of what they must know: a loss and another router-id reliably, a first route and a much worse metric soon. What
 * they were told last is remembered, so that slow drift adds up. Thresholds are babeld's.
 */
#include "babel/table.h"
#include "base/container.h"

#define HOLD_MORE_US (1 * US_PER_S)	/* for what is still under way */

enum {
	WORSE_URGENT = 512,	/* a metric that rose by so much, from below... */
	WORSE_BELOW = 1536,	/* ...this, is urgent */
	BETTER_TOLD = 1024,	/* one that fell by less is not told before its time: it may be noise, and makes routes unfeasible later */
	CHANGE_TOLD = 384,	/* nor one that rose by less */
};

/* Look again after 'wait_us', when something that is better now may have been so for long enough. */
static void watch(struct babel *b, struct babel_prefix *p, int64_t wait_us)
{
	if (p->held)
		return;
	p->timer.timer.kind = BABEL_TIMER_PREFIX;
	if (wait_us == NEVER_US)
		babel_timer_unset(b, &p->timer);
	else
		babel_timer_set(b, &p->timer, b->now.mono_us + wait_us);
}

static struct babel_route *choose(struct babel *b, struct babel_prefix *p)
{
	struct babel_route *old = p->selected && route_usable(p->selected) ? p->selected : NULL, *best = old;
	int64_t wait_us = NEVER_US;

	for (struct babel_route *r = p->routes; r; r = r->next) {
		int64_t us;

		if (r == old || (best && r->metric.metric >= best->metric.metric) || !route_usable(r))
			continue;
		us = old ? smooth_wait_us(&old->metric, &r->metric, b->now.mono_us) : 0;
		if (us && us < wait_us)
			wait_us = us;
		if (!us)
			best = r;
	}
	watch(b, p, wait_us);
	return best;
}

static void end_hold(struct babel *b, struct babel_prefix *p)
{
	p->held = false;
	b->told_version++;
	babel_timer_unset(b, &p->timer);
	p->timer.timer.kind = BABEL_TIMER_PREFIX;
	prefix_changed(b, p);
}

/* The last route is gone: for 'hold_us' at most nothing else shall be followed. */
static void lose(struct babel *b, struct babel_prefix *p, int64_t hold_us, const uint8_t lost_id[BABEL_ROUTER_ID_LEN])
{
	p->held = true;
	p->losses++;
	p->retraction_said = false;
	p->told_metric = BABEL_INFINITY;
	for (struct babel_route *r = p->routes; r; r = r->next)
		route_quiet(r, false, false);
	p->timer.timer.kind = BABEL_TIMER_HOLD;
	babel_timer_set(b, &p->timer, b->now.mono_us + hold_us);
	if (p->announced)
		send_update(b, NULL, NULL, p, SEND_RELIABLE, false);
	request_starving(b, p, lost_id);
}

static void tell(struct babel *b, struct babel_prefix *p)
{
	uint16_t old = p->told_metric, metric = prefix_metric(p);
	enum send_urgency urgency = SEND_WHENEVER;

	if (old == BABEL_INFINITY)
		urgency = SEND_URGENT;
	else if (!id_equal(p->told_id, p->router_id))
		urgency = SEND_RELIABLE;
	else if (metric >= old + WORSE_URGENT && old < WORSE_BELOW)
		urgency = SEND_URGENT;
	else if (metric <= old ? old - metric < BETTER_TOLD : metric - old < CHANGE_TOLD)
		return;
	p->told_metric = metric;
	memcpy(p->told_id, p->router_id, sizeof(p->told_id));
	send_update(b, NULL, NULL, p, urgency, false);
}

/*
 * How long neighbours may believe that we have a route, when they hear of nothing: as long as the lost one might have lived, and as what we said of
 * it does with them, on whatever interface.
 */
static int64_t hold_us_of(const struct babel *b, const struct babel_route *lost)
{
	int64_t most_us = lost ? route_hold_us(lost) : 0;

	for (const struct babel_iface *i = b->ifaces; i; i = i->next)
		if (i->up && i->config.update_us * 7 / 2 > most_us)
			most_us = i->config.update_us * 7 / 2;
	most_us = most_us ? most_us + HOLD_MORE_US : BABEL_HOLD_DEFAULT_US;
	return most_us < BABEL_HOLD_MAX_US ? most_us : BABEL_HOLD_MAX_US;
}

/* 'r', or with NULL our own announcement or nothing, is what there is from now on. */
static void become(struct babel *b, struct babel_prefix *p, struct babel_route *r)
{
	const struct babel_route *old = p->selected;
	struct babel_iface *hidden = old && old != r ? old->neighbour->iface : NULL;
	bool was_present = p->present;
	uint8_t lost_id[BABEL_ROUTER_ID_LEN];

	memcpy(lost_id, p->router_id, sizeof(lost_id));
	if (old != r) {
		b->route_changes++;
		prefix_changed(b, p);
	}
	p->selected = r;
	p->present = r || p->own;
	memcpy(p->router_id, r ? r->router_id : b->router_id, sizeof(p->router_id));
	if (p->present != was_present || !id_equal(p->router_id, lost_id))
		b->told_version++;
	if (p->present && p->held)
		end_hold(b, p);
	if (p->present)
		tell(b, p);
	else if (was_present)
		lose(b, p, hold_us_of(b, old), lost_id);
	/* Split horizon kept it from this interface: whoever is there may have no other way now. */
	if (p->present && hidden && hidden->config.split_horizon && (!r || r->neighbour->iface != hidden))
		send_update(b, hidden, NULL, p, SEND_URGENT, false);
	if (p->requests)
		requests_check(b, p);
}

void select_route(struct babel *b, struct babel_prefix *p)
{
	become(b, p, p->own ? NULL : choose(b, p));
}

void select_after(struct babel *b, struct babel_route *r)
{
	const struct babel_prefix *p = r->prefix;

	if (p->own || (p->selected && p->selected != r && r->metric.metric >= p->selected->metric.metric))
		return;
	select_route(b, r->prefix);
}

void select_quiet(struct babel *b, struct babel_prefix *p)
{
	size_t count = 0;

	if (!p->held || !b->reachable_count || p->quiet_count < b->reachable_count)
		return;
	for (const struct babel_route *r = p->routes; r; r = r->next)
		if (r->neighbour->reachable && (r->quiet || r->acked))
			count++;
	if (count == b->reachable_count)
		end_hold(b, p);
}

void select_timer(struct babel *b, struct babel_timer *t)
{
	struct babel_prefix *p = container_of(t, struct babel_prefix, timer);

	prefix_hold(p);
	if (p->held)
		end_hold(b, p);
	else
		select_route(b, p);
	prefix_release(b, p);
}
