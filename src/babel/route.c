/* SPDX-License-Identifier: MIT */
/*
 * What neighbours announce (RFC 8966 3.5.3, 3.5.4; reference chapter 7): one route of each neighbour and prefix pair. An update makes it or
 * changes it, a retraction leaves it with an infinite metric until its time is over, silence of 3.5 intervals counts as a retraction. Before
 * a selected route expires its neighbour is asked, alone. What in-filters deny is kept, for filters change.
 *
 * An update that is no longer feasible, of the selected route and the same router-id, may be ignored by 3.5.4: the old values were feasible,
 * and stay so, as the neighbour's distance only gets better. It is ignored as long as nothing better is there, and a seqno request is sent
 * at once: a mere rise of a metric so costs no packet. Everything else unfeasible is stored, and cannot be selected.
 *
 * Between routes_update() and select.c the order is: store, select, ask, and see who waited for this.
 */
#include "babel/filter.h"
#include "babel/table.h"
#include "base/container.h"

bool route_finite(const struct babel_route *r)
{
	return r->metric.metric != BABEL_INFINITY && (!r->via6 || r->neighbour->iface->config.via6);
}

bool route_usable(const struct babel_route *r)
{
	return route_finite(r) && r->neighbour->trusted && source_feasible(r->prefix, r->router_id, r->seqno, r->announced);
}

size_t route_reserve(const struct babel *b, const struct babel_neighbour *n)
{
	const struct babel_iface *i = n->iface;
	bool many = i->made >= BABEL_ROUTES_FEW && b->now.mono_us < i->made_until_us;

	return many || n->route_count >= BABEL_ROUTES_FEW ? BABEL_RESERVE : 0;
}

static struct babel_route *find(const struct babel_prefix *p, const struct babel_neighbour *n)
{
	struct babel_route *r = p->routes;

	while (r && r->neighbour != n)
		r = r->next;
	return r;
}

/* What a metric of the neighbour is here. */
static uint16_t filtered_metric(const struct babel *b, const struct babel_route *r, const uint8_t *router_id, uint16_t metric)
{
	const struct babel_neighbour *n = r->neighbour;
	struct babel_filter_route judged = { .prefix = &r->prefix->pair, .iface = n->iface->config.name, .neighbour = n->address };

	if (metric != BABEL_INFINITY && b->judge.may && !b->judge.may(b->judge.ctx, n->iface->owner, &n->address, &r->prefix->pair, router_id))
		return BABEL_INFINITY;
	return metric == BABEL_INFINITY ? metric : babel_filter_metric(b->filters, b->filter_count, BABEL_FILTER_IN, &judged, metric);
}

static uint16_t with_cost(const struct babel_route *r, uint16_t metric)
{
	uint32_t sum = (uint32_t)metric + r->neighbour->cost;

	return metric == BABEL_INFINITY || sum >= BABEL_INFINITY ? BABEL_INFINITY : (uint16_t)sum;
}

void route_filter(struct babel *b, struct babel_route *r)
{
	uint16_t was = r->filtered;

	r->filtered = filtered_metric(b, r, r->router_id, r->announced);
	if ((was == BABEL_INFINITY) != (r->filtered == BABEL_INFINITY))
		prefix_announcers_changed(b, r->prefix);
	smooth_set(&r->metric, with_cost(r, r->filtered), b->now.mono_us);
}

int64_t route_interval_us(const struct babel_route *r)
{
	return r->interval_cs == ROUTE_ONCE ? NEVER_US : r->interval_cs * 10 * US_PER_MS;
}

int64_t route_hold_us(const struct babel_route *r)
{
	int64_t interval_us = route_interval_us(r);

	return interval_us < BABEL_HOLD_MAX_US * 2 / 7 ? interval_us * 7 / 2 : BABEL_HOLD_MAX_US;
}

void route_quiet(struct babel_route *r, bool quiet, bool acked)
{
	struct babel_prefix *p = r->prefix;

	if (r->quiet || r->acked)
		p->quiet_count--;
	r->quiet = quiet;
	r->acked = acked;
	if (r->quiet || r->acked)
		p->quiet_count++;
}

/* When the route's timer has something to do: ask, ask again, expire. NEVER_US: it is not repeated, and does not expire. */
static int64_t due_us(const struct babel_route *r)
{
	if (r->announced == BABEL_INFINITY)
		return r->updated_us + r->kept_cs * 10 * US_PER_MS;
	if (r->interval_cs == ROUTE_ONCE)
		return NEVER_US;
	return r->updated_us + route_interval_us(r) * (5 + r->asked) / 2;
}

/* Later is done by the timer itself: an update that comes in time does not move it. */
static void arm(struct babel *b, struct babel_route *r)
{
	int64_t due = due_us(r);

	if (due == NEVER_US)
		babel_timer_unset(b, &r->timer);
	else if (!r->timer.timer.slot || r->timer.timer.due_us > due)
		babel_timer_set(b, &r->timer, due);
}

static void refuse(struct babel *b, struct babel_neighbour *n)
{
	char text[ADDR_TEXT_MAX];

	b->refused++;
	if (!n->refused_logged)
		log_warning(&b->log, "babel: %s on %s announces more than the %zu routes there is room for, further ones are refused",
			    ip_addr_format(&n->address, text), n->iface->config.name, n->route_count);
	n->refused_logged = true;
}

static void link_route(struct babel_route *r, struct babel_prefix *p, struct babel_neighbour *n)
{
	r->prefix = p;
	r->neighbour = n;
	r->next = p->routes;
	p->routes = r;
	r->neighbour_at = &n->routes;
	r->neighbour_next = n->routes;
	if (r->neighbour_next)
		r->neighbour_next->neighbour_at = &r->neighbour_next;
	n->routes = r;
}

static bool has_room(const struct babel *b, const struct babel_neighbour *n)
{
	return b->route_count < BABEL_ROUTES_MAX - route_reserve(b, n) && n->route_count < BABEL_ROUTES_NEIGHBOUR;
}

static struct babel_route *make(struct babel *b, struct babel_prefix *p, struct babel_neighbour *n)
{
	struct babel_route *r = NULL;

	if (has_room(b, n) && babel_timers_want(b, 1)) {
		r = slab_take(&b->route_slab, sizeof(*r));
		if (!r)
			babel_timers_want(b, -1);
	}
	if (!r) {
		refuse(b, n);
		return NULL;
	}
	r->announced = r->filtered = r->metric.metric = BABEL_INFINITY;
	r->timer.timer.kind = BABEL_TIMER_ROUTE;
	link_route(r, p, n);
	n->route_count++;
	b->route_count++;
	return r;
}

/* It is not selected any more. */
static void destroy(struct babel *b, struct babel_route *r)
{
	struct babel_route **at = &r->prefix->routes;

	route_quiet(r, false, false);
	if (r->filtered != BABEL_INFINITY)
		prefix_announcers_changed(b, r->prefix);
	/* To find it costs what it does for each update. */
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	*r->neighbour_at = r->neighbour_next;
	if (r->neighbour_next)
		r->neighbour_next->neighbour_at = r->neighbour_at;
	r->neighbour->route_count--;
	b->route_count--;
	babel_timer_unset(b, &r->timer);
	babel_timers_want(b, -1);
	slab_give(&b->route_slab, r);
}

void routes_free(struct babel *b, struct babel_prefix *p)
{
	p->selected = NULL;
	while (p->routes)
		destroy(b, p->routes);
}

/* It carries nothing from now on, and stays known for so long; BABEL_HOLD_MAX_US at most. */
static void keep_for(struct babel *b, struct babel_route *r, int64_t us)
{
	r->updated_us = b->now.mono_us;
	r->kept_cs = us > 0 ? (uint16_t)((us + 10 * US_PER_MS - 1) / (10 * US_PER_MS)) : 0;
}

static void lose(struct babel *b, struct babel_route *r, int64_t kept_us)
{
	r->announced = BABEL_INFINITY;
	keep_for(b, r, kept_us);
	route_filter(b, r);
	arm(b, r);
	select_after(b, r);
}

/*
 * Whether a neighbour's own retraction says that it does not route through us. It had no route when it wrote that, but it may find what we said
 * before good again when its link to us is up again; so where it was asked for an acknowledgement that is waited for.
 */
static bool silence_counts(const struct babel_route *r)
{
	return !r->prefix->announced || r->neighbour->iface->neighbour_count > BABEL_ACK_NEIGHBOURS;
}

/* What is left of its time, and never more than a hold takes. */
static int64_t left_us(const struct babel *b, const struct babel_route *r)
{
	int64_t us = r->interval_cs == ROUTE_ONCE ? BABEL_HOLD_MAX_US : r->updated_us + route_interval_us(r) * 7 / 2 - b->now.mono_us;

	return us < BABEL_HOLD_MAX_US ? us : BABEL_HOLD_MAX_US;
}

/* The neighbour told that it has none, 'told', or it means nothing any more what it told. */
static void retract(struct babel *b, struct babel_route *r, bool told)
{
	if (r->announced != BABEL_INFINITY)
		lose(b, r, left_us(b, r));
	if (told && r->prefix->held && silence_counts(r)) {
		route_quiet(r, true, r->acked);
		select_quiet(b, r->prefix);
	}
}

/* A neighbour of which there is no route is to be remembered for the hold. */
static struct babel_route *marker(struct babel *b, struct babel_prefix *p, struct babel_neighbour *n)
{
	struct babel_route *r = make(b, p, n);

	if (!r)
		return NULL;
	r->marker = true;
	r->interval_cs = ROUTE_ONCE;
	keep_for(b, r, BABEL_HOLD_MAX_US);
	arm(b, r);
	return r;
}

static void take_retraction(struct babel *b, struct babel_neighbour *n, const struct prefix_pair *pair, bool told)
{
	struct babel_prefix *p = prefix_find(b, pair);
	struct babel_route *r;

	if (!p)
		return;
	prefix_hold(p);
	r = find(p, n);
	if (!r && told && p->held)
		r = marker(b, p, n);
	if (r)
		retract(b, r, told);
	requests_check(b, p);
	prefix_release(b, p);
}

static void take_wildcard(struct babel *b, struct babel_neighbour *n)
{
	struct babel_route *next;

	for (struct babel_route *r = n->routes; r; r = next) {
		struct babel_prefix *p = r->prefix;

		next = r->neighbour_next;
		prefix_hold(p);
		retract(b, r, true);
		prefix_release(b, p);
	}
}

/* Whether to go on with what we have rather than with an unfeasible update: yes, unless some other route is as good as that. */
static bool keeps(const struct babel *b, const struct babel_route *r, const struct babel_tlv *u)
{
	uint16_t metric = with_cost(r, filtered_metric(b, r, u->router_id, u->metric));

	if (r->prefix->selected != r || !id_equal(r->router_id, u->router_id) || !route_usable(r))
		return false;
	for (const struct babel_route *other = r->prefix->routes; other; other = other->next)
		if (other != r && other->metric.metric <= metric && route_usable(other))
			return false;
	return true;
}

/* Put what the update says into the route. Whether that changed anything but its age. */
static bool store(struct babel *b, struct babel_route *r, const struct babel_tlv *u)
{
	bool moved = !ip_addr_equal(&r->next_hop, &u->addr) || r->via6 != u->via6;
	bool changed = moved || r->seqno != u->seqno || r->announced != u->metric || !id_equal(r->router_id, u->router_id);

	r->next_hop = u->addr;
	r->via6 = u->via6;
	memcpy(r->router_id, u->router_id, sizeof(r->router_id));
	r->seqno = u->seqno;
	r->announced = u->metric;
	r->marker = false;
	route_quiet(r, false, r->acked);
	route_filter(b, r);
	r->updated_us = b->now.mono_us;
	r->interval_cs = u->interval_cs;
	r->asked = 0;
	arm(b, r);
	if (moved && r->prefix->selected == r)
		prefix_changed(b, r->prefix);
	return changed;
}

static void take(struct babel *b, struct babel_route *r, const struct babel_tlv *u)
{
	struct babel_prefix *p = r->prefix;
	bool feasible = source_feasible(p, u->router_id, u->seqno, u->metric);

	if (!feasible)
		b->unfeasible++;
	if (!feasible && keeps(b, r, u)) {
		request_unfeasible(b, r);
		return;
	}
	if (store(b, r, u) || !p->present) {
		select_after(b, r);
		requests_check(b, p);
	}
	if (!feasible)
		request_unfeasible(b, r);
}

static void take_update(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *u)
{
	struct babel_prefix *p = prefix_get(b, &u->prefix, n);
	struct babel_route *r;

	if (!p)
		return;
	r = find(p, n);
	if (!r)
		r = make(b, p, n);
	if (r)
		take(b, r, u);
	prefix_release(b, p);
}

/* What no route is for: link-local, loopback, multicast, nothing. */
static bool is_martian(const struct ip_prefix *p)
{
	static const struct ip_prefix martians[] = {
		{ .addr = { .family = IP_V6, .bytes = { 0xfe, 0x80 } }, .len = 10 },
		{ .addr = { .family = IP_V6, .bytes = { 0xff } }, .len = 8 },
		{ .addr = { .family = IP_V6 }, .len = 128 },
		{ .addr = { .family = IP_V6, .bytes = { [15] = 1 } }, .len = 128 },
		{ .addr = { .family = IP_V4, .bytes = { 127 } }, .len = 8 },
		{ .addr = { .family = IP_V4 }, .len = 8 },
		{ .addr = { .family = IP_V4, .bytes = { 224 } }, .len = 4 },
		{ .addr = { .family = IP_V4, .bytes = { 255, 255, 255, 255 } }, .len = 32 },
	};

	for (size_t i = 0; i < sizeof(martians) / sizeof(martians[0]); i++)
		if (ip_prefix_contains(&martians[i], p))
			return true;
	return false;
}

void routes_update(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *u)
{
	if (u->wildcard)
		take_wildcard(b, n);
	else if (is_martian(&u->prefix.dst) || is_martian(&u->prefix.src))
		return;
	else if (u->metric == BABEL_INFINITY)
		take_retraction(b, n, &u->prefix, true);
	else if (id_equal(u->router_id, b->router_id))
		take_retraction(b, n, &u->prefix, false);	/* our own, by way of it (D5): it has no other route now */
	else if (u->interval_cs && u->addr.family != IP_NONE)
		take_update(b, n, u);
}

void route_timer(struct babel *b, struct babel_timer *t)
{
	struct babel_route *r = container_of(t, struct babel_route, timer);
	struct babel_prefix *p = r->prefix;

	if (b->now.mono_us < due_us(r)) {
		arm(b, r);
		return;
	}
	prefix_hold(p);
	if (r->announced == BABEL_INFINITY) {
		destroy(b, r);
	} else if (r->asked < BABEL_ASKS) {
		if (p->selected == r)
			send_route_request(b, r->neighbour->iface, r->neighbour, &p->pair);
		r->asked = (r->asked + 1U) & 3;
		arm(b, r);
	} else {
		lose(b, r, route_hold_us(r));
		requests_check(b, p);
	}
	prefix_release(b, p);
}

static void count_reachable(struct babel *b, struct babel_neighbour *n, bool reachable)
{
	if (reachable && !n->reachable)
		b->reachable_count++;
	if (!reachable && n->reachable)
		b->reachable_count--;
	n->reachable = reachable;
}

void routes_neighbour_changed(struct babel *b, struct babel_neighbour *n)
{
	struct babel_route *next;

	count_reachable(b, n, n->cost != BABEL_INFINITY);
	for (struct babel_route *r = n->routes; r; r = next) {
		struct babel_prefix *p = r->prefix;

		next = r->neighbour_next;
		prefix_hold(p);
		smooth_set(&r->metric, with_cost(r, r->filtered), b->now.mono_us);
		select_after(b, r);
		if (!p->present && route_finite(r) && !source_feasible(p, r->router_id, r->seqno, r->announced))
			request_unfeasible(b, r);
		if (p->requests)
			requests_check(b, p);
		prefix_release(b, p);
	}
}

void routes_neighbour_gone(struct babel *b, struct babel_neighbour *n)
{
	struct babel_route *r;

	count_reachable(b, n, false);
	requests_forget(b, n);
	while ((r = n->routes)) {
		struct babel_prefix *p = r->prefix;

		prefix_hold(p);
		if (r->announced != BABEL_INFINITY) {
			r->announced = BABEL_INFINITY;
			route_filter(b, r);
			select_after(b, r);
			requests_check(b, p);
		}
		destroy(b, r);
		prefix_release(b, p);
	}
}

void routes_acked(struct babel *b, struct babel_neighbour *n, struct babel_prefix *p)
{
	struct babel_route *r;

	if (!p->held || !p->retraction_said)
		return;
	prefix_hold(p);
	r = find(p, n);
	if (!r)
		r = marker(b, p, n);
	if (r) {
		route_quiet(r, r->quiet, true);
		select_quiet(b, p);
	}
	prefix_release(b, p);
}
