/* SPDX-License-Identifier: MIT */
/*
 * Requests (RFC 8966 3.8; reference Q1-Q6). A seqno request asks a prefix's origin for a new sequence number, with which routes that are
 * unfeasible here become feasible: we send one where all feasible routes are gone and others are left, and where an unfeasible one would be
 * clearly better. It goes to the neighbours that announce such a route, some at a time, and again after 2, 4 and 8 s.
 *
 * Somebody else's request is answered when what we announce satisfies it; where we are the origin, our seqno grows by one for it; else it is
 * handed on to one next hop, and remembered: a second one for the same is not handed on, and whoever asked gets the update that answers it.
 * What is pending is kept per prefix pair and router-id, so two origins of one prefix do not get into each other's way.
 */
#include <stdlib.h>

#include "babel/table.h"
#include "base/container.h"

static struct babel_request *find(const struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	struct babel_request *q = p->requests;

	while (q && !id_equal(q->router_id, router_id))
		q = q->next;
	return q;
}

static struct babel_request *make(struct babel *b, struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno)
{
	struct babel_request *q = NULL;

	if (p->request_count < BABEL_REQUESTS_PREFIX && b->request_count < BABEL_REQUESTS_MAX && babel_timers_want(b, 1)) {
		q = calloc(1, sizeof(*q));
		if (!q)
			babel_timers_want(b, -1);
	}
	if (!q) {
		b->refused++;
		return NULL;
	}
	q->prefix = p;
	memcpy(q->router_id, router_id, sizeof(q->router_id));
	q->seqno = seqno;
	q->timer.timer.kind = BABEL_TIMER_REQUEST;
	q->next = p->requests;
	p->requests = q;
	p->request_count++;
	b->request_count++;
	return q;
}

/* Nobody waits for it any more. */
static void forget_requesters(struct babel_request *q)
{
	q->requester_count = 0;
	q->tell_all = false;
	if (!q->forwarded_at)
		return;
	*q->forwarded_at = q->forwarded_next;
	if (q->forwarded_next)
		q->forwarded_next->forwarded_at = q->forwarded_at;
	q->forwarded_at = NULL;
}

static void add_requester(struct babel *b, struct babel_request *q, struct babel_neighbour *n)
{
	for (unsigned int i = 0; i < q->requester_count; i++)
		if (q->requesters[i] == n)
			return;
	if (q->requester_count == BABEL_REQUESTERS_MAX)
		q->tell_all = true;
	else
		q->requesters[q->requester_count++] = n;
	if (q->forwarded_at)
		return;
	q->forwarded_at = &b->forwarded;
	q->forwarded_next = b->forwarded;
	if (q->forwarded_next)
		q->forwarded_next->forwarded_at = &q->forwarded_next;
	b->forwarded = q;
}

static void destroy(struct babel *b, struct babel_request *q)
{
	struct babel_request **at;

	forget_requesters(q);
	for (at = &q->prefix->requests; *at != q; at = &(*at)->next)
		;
	*at = q->next;
	q->prefix->request_count--;
	b->request_count--;
	babel_timer_unset(b, &q->timer);
	babel_timers_want(b, -1);
	free(q);
}

void requests_free(struct babel *b, struct babel_prefix *p)
{
	while (p->requests)
		destroy(b, p->requests);
}

/* Send it to neighbours that match, but for the first 'skip'. Returns how many match. */
static unsigned int ask_some(struct babel *b, const struct babel_request *q, bool any_id, unsigned int skip)
{
	const struct babel_prefix *p = q->prefix;
	unsigned int found = 0;

	for (const struct babel_route *r = p->routes; r; r = r->next) {
		struct babel_neighbour *n = r->neighbour;

		if (!route_finite(r) || (!any_id && !id_equal(r->router_id, q->router_id)) || (q->target && n != q->target))
			continue;
		if (found >= skip && found - skip < BABEL_ASKED_MAX) {
			send_seqno_request(b, n->iface, n, &p->pair, q->router_id, q->seqno, BABEL_HOP_COUNT);
			b->requests_sent++;
		}
		found++;
	}
	return found;
}

/* Ask those that announce a route of this origin, or else any. Where there are many it is others each time. */
static void ask(struct babel *b, struct babel_request *q)
{
	unsigned int skip = q->resends * BABEL_ASKED_MAX, found = ask_some(b, q, false, skip);

	q->sent_us = b->now.mono_us;
	if (found && found <= skip)
		ask_some(b, q, false, 0);
	else if (!found)
		ask_some(b, q, true, 0);
}

static void wait_for_answer(struct babel *b, struct babel_request *q)
{
	babel_timer_set(b, &q->timer, b->now.mono_us + (BABEL_REQUEST_US << q->resends));
}

/* We want a newer seqno of the origin than that of our distance: 'target' is asked, or with NULL all that announce it. */
static void want(struct babel *b, struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN], bool starving,
		 struct babel_neighbour *target)
{
	const struct babel_source *s = source_find(p, router_id);
	struct babel_request *q = find(p, router_id);
	uint16_t seqno = s ? (uint16_t)(s->seqno + 1) : 0;

	if (!s)
		return;
	if (q && q->own && !seqno_newer(seqno, q->seqno) && (!starving || q->starving))
		return;
	if (!q)
		q = make(b, p, router_id, seqno);
	if (!q)
		return;
	if (seqno_newer(seqno, q->seqno))
		q->seqno = seqno;
	q->own = true;
	q->starving = starving;
	q->target = target;
	q->resends = 0;
	ask(b, q);
	wait_for_answer(b, q);
}

void request_starving(struct babel *b, struct babel_prefix *p, const uint8_t lost_id[BABEL_ROUTER_ID_LEN])
{
	bool any = false;

	for (const struct babel_route *r = p->routes; r; r = r->next)
		if (route_finite(r)) {
			want(b, p, r->router_id, true, NULL);
			any = true;
		}
	if (any)
		want(b, p, lost_id, true, NULL);
}

static bool clearly_better(const struct babel_route *r, const struct babel_route *than)
{
	uint16_t metric = r->metric.metric, old = than->metric.metric;

	return metric < old && old - metric >= BABEL_BETTER_MIN && old - metric >= old / BABEL_BETTER_PART;
}

/*
 * One that is slightly better may be noise, and each new seqno is work for the whole mesh. So it is asked about when it would be selected if
 * it were feasible, and seldom: all routes become the shortest, some a little later.
 */
static bool slightly_better(const struct babel *b, const struct babel_route *r, const struct babel_route *than)
{
	int64_t interval_us = route_interval_us(r), gap_us = 2 * (interval_us < BABEL_HOLD_MAX_US ? interval_us : BABEL_HOLD_MAX_US);

	return r->metric.metric < than->metric.metric && b->now.mono_us - r->prefix->slight_us >= gap_us &&
		!smooth_wait_us(&than->metric, &r->metric, b->now.mono_us);
}

void request_unfeasible(struct babel *b, struct babel_route *r)
{
	struct babel_prefix *p = r->prefix;

	if (p->own || !route_finite(r))
		return;
	if (p->selected && p->selected != r && !clearly_better(r, p->selected)) {
		if (!slightly_better(b, r, p->selected))
			return;
		p->slight_us = b->now.mono_us;
	}
	want(b, p, r->router_id, !p->selected, p->selected ? r->neighbour : NULL);
}

static bool satisfied(const struct babel *b, const struct babel_prefix *p, const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno)
{
	return prefix_metric(p) != BABEL_INFINITY &&
	       (!id_equal(p->router_id, router_id) || !seqno_newer(seqno, prefix_seqno(b, p)));
}

/* Whether what we asked for came: the seqno, over whatever neighbour, or a route where there was none. */
static bool got_own(const struct babel_request *q)
{
	const struct babel_prefix *p = q->prefix;

	if (p->own || (q->starving && p->selected))
		return true;
	for (const struct babel_route *r = p->routes; r; r = r->next)
		if (route_finite(r) && id_equal(r->router_id, q->router_id) && !seqno_newer(q->seqno, r->seqno))
			return true;
	return false;
}

static void answer(struct babel *b, struct babel_prefix *p, struct babel_neighbour *n)
{
	send_update(b, n->iface, n, p, SEND_URGENT, true);
	b->requests_answered++;
}

void requests_check(struct babel *b, struct babel_prefix *p)
{
	struct babel_request *next;

	for (struct babel_request *q = p->requests; q; q = next) {
		next = q->next;
		if (q->forwarded_at && satisfied(b, p, q->router_id, q->seqno)) {
			for (unsigned int i = 0; i < q->requester_count; i++)
				answer(b, p, q->requesters[i]);
			if (q->tell_all)
				send_update(b, NULL, NULL, p, SEND_URGENT, true);
			forget_requesters(q);
		}
		if (q->own && got_own(q))
			q->own = false;
		if (!q->own && !q->forwarded_at)
			destroy(b, q);
	}
}

void request_timer(struct babel *b, struct babel_timer *t)
{
	struct babel_request *q = container_of(t, struct babel_request, timer);
	struct babel_prefix *p = q->prefix;

	if (q->own && q->resends < BABEL_REQUEST_RESENDS) {
		q->resends++;
		ask(b, q);
		wait_for_answer(b, q);
		return;
	}
	prefix_hold(p);
	destroy(b, q);
	prefix_release(b, p);
}

void requests_forget(struct babel *b, const struct babel_neighbour *n)
{
	struct babel_request *next;

	for (struct babel_request *q = b->forwarded; q; q = next) {
		struct babel_prefix *p = q->prefix;

		next = q->forwarded_next;
		for (unsigned int i = 0; i < q->requester_count; i++)
			if (q->requesters[i] == n)
				q->requesters[i--] = q->requesters[--q->requester_count];
		if (q->requester_count || q->tell_all)
			continue;
		forget_requesters(q);
		if (q->own)
			continue;
		prefix_hold(p);
		destroy(b, q);
		prefix_release(b, p);
	}
}

/* To whom a request of 'n' is handed on: the best next hop with a route that may be used, or, where there is none, with any. */
static struct babel_neighbour *next_hop(const struct babel_prefix *p, const struct babel_neighbour *n,
					const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	const struct babel_route *best = NULL;
	int best_rank = 0;

	for (const struct babel_route *r = p->routes; r; r = r->next) {
		int rank;

		if (r->neighbour == n || !route_finite(r))
			continue;
		rank = 1 + (route_usable(r) ? 4 : 0) + (id_equal(r->router_id, router_id) ? 2 : 0) + (p->selected == r);
		if (rank < best_rank || (rank == best_rank && r->metric.metric >= best->metric.metric))
			continue;
		best = r;
		best_rank = rank;
	}
	return best ? best->neighbour : NULL;
}

static void forward(struct babel *b, struct babel_prefix *p, struct babel_neighbour *n, const struct babel_tlv *r)
{
	struct babel_request *q = find(p, r->router_id);
	struct babel_neighbour *to = next_hop(p, n, r->router_id);
	int64_t gap_us = q && seqno_newer(r->seqno, q->seqno) ? BABEL_URGENT_US : BABEL_FORWARD_GAP_US;

	if (!to)
		return;
	if (q && b->now.mono_us - q->sent_us < gap_us) {
		if (gap_us == BABEL_FORWARD_GAP_US)	/* asked just now: its answer will do for this one as well */
			add_requester(b, q, n);
		return;
	}
	if (!q)
		q = make(b, p, r->router_id, r->seqno);
	if (!q)
		return;
	if (seqno_newer(r->seqno, q->seqno))
		q->seqno = r->seqno;
	q->sent_us = b->now.mono_us;
	add_requester(b, q, n);
	if (!q->own)
		babel_timer_set(b, &q->timer, b->now.mono_us + BABEL_FORWARD_US);
	send_seqno_request(b, to->iface, to, &p->pair, r->router_id, q->seqno, (uint8_t)(r->hop_count - 1));
	b->requests_forwarded++;
}

/* Our seqno grows by one for a request, however far ahead that is (3.8.1.2). */
static void grow_seqno(struct babel *b)
{
	if (b->now.mono_us - b->seqno_us < BABEL_SEQNO_GAP_US)
		return;
	b->seqno++;
	b->seqno_us = b->now.mono_us;
}

static bool legal_id(const uint8_t id[BABEL_ROUTER_ID_LEN])
{
	static const uint8_t zero[BABEL_ROUTER_ID_LEN], ones[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return !id_equal(id, zero) && !id_equal(id, ones);
}

void routes_seqno_request(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *r)
{
	struct babel_prefix *p = prefix_find(b, &r->prefix);

	if (!p || !r->hop_count || !legal_id(r->router_id) || prefix_metric(p) == BABEL_INFINITY)
		return;
	prefix_hold(p);
	if (satisfied(b, p, r->router_id, r->seqno)) {
		answer(b, p, n);
	} else if (p->own) {
		grow_seqno(b);
		send_update(b, n->iface, NULL, p, SEND_URGENT, true);
		b->requests_answered++;
	} else if (r->hop_count >= 2) {
		forward(b, p, n, r);
	}
	prefix_release(b, p);
}

void routes_route_request(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *r)
{
	struct babel_prefix *p = prefix_get(b, &r->prefix, n);	/* an unknown one is held by the queue until our retraction went out */

	if (!p)
		return;
	answer(b, p, n);
	prefix_release(b, p);
}
