/* SPDX-License-Identifier: MIT */
/*
 * Neighbours (RFC 8966 3.2.4, 3.4, appendix A): who is heard, who says that it hears us, and what the way to it costs. A neighbour begins with
 * its first Hello or IHU - with MAC keys with the first packet whose MAC was right, since a challenge has to be remembered - and ends
 * when both its Hello histories are empty, or nothing but a MAC ever came. One whose Hello counter jumped began anew (A.1): it is forgotten,
 * but for its MAC state, and met again.
 *
 * After a start without a clean end before it, others may still route through us by what we announced then, and our feasibility distances are
 * gone: through such a neighbour nothing is selected before it took back all it had of us. It is asked to acknowledge that; if it cannot, it
 * has time for one and a half of its Hello intervals.
 *
 * While somebody who measures says that the link is down histories stand still, so that the neighbour is back at once when it is up.
 */
#include <stdlib.h>
#include <string.h>

#include "babel/links.h"
#include "base/container.h"

enum {
	NEIGHBOUR_TIMERS = 6,
	LOSSY_HELLOS = 4,	/* a loss among so many makes a history lossy */
	ETX_UNIT = 256,
	YOUNG_HELLOS = 16,
	FROZEN_MAX = 64,	/* Hellos that a link may be said to be down before its neighbours are forgotten after all */
	FROZEN_SLACK = 16,
};

struct babel_neighbour *neighbour_find(const struct babel_iface *i, const struct ip_addr *address)
{
	struct babel_neighbour *n = i->neighbours;

	while (n && !ip_addr_equal(&n->address, address))
		n = n->next;
	return n;
}

static void init(struct babel_neighbour *n)
{
	n->rxcost = n->txcost = n->cost = BABEL_INFINITY;
	n->trusted = n->iface->babel->clean;
}

static void init_timers(struct babel_neighbour *n)
{
	n->hello_timer.timer.kind = BABEL_TIMER_NEIGHBOUR_HELLO;
	n->unicast_timer.timer.kind = BABEL_TIMER_NEIGHBOUR_UNICAST;
	n->ihu_timer.timer.kind = BABEL_TIMER_NEIGHBOUR_IHU;
	n->rtt_timer.timer.kind = BABEL_TIMER_NEIGHBOUR_RTT;
	n->trust_timer.timer.kind = BABEL_TIMER_NEIGHBOUR_TRUST;
	n->mac_timer.timer.kind = BABEL_TIMER_NEIGHBOUR_MAC;
}

static void unset_timers(struct babel *b, struct babel_neighbour *n)
{
	babel_timer_unset(b, &n->hello_timer);
	babel_timer_unset(b, &n->unicast_timer);
	babel_timer_unset(b, &n->ihu_timer);
	babel_timer_unset(b, &n->rtt_timer);
	babel_timer_unset(b, &n->trust_timer);
	babel_timer_unset(b, &n->mac_timer);
}

static bool full(const struct babel *b, const struct babel_iface *i)
{
	return i->neighbour_count == BABEL_NEIGHBOURS_MAX || b->neighbour_count == BABEL_NEIGHBOURS_ALL_MAX;
}

static void refuse(struct babel *b, struct babel_iface *i)
{
	b->refused++;
	if (i->refused_logged)
		return;
	i->refused_logged = true;
	log_warning(&b->log, "babel: too many neighbours on %s: more are ignored", i->config.name);
}

struct babel_neighbour *neighbour_add(struct babel *b, struct babel_iface *i, const struct ip_addr *address)
{
	struct babel_neighbour *n = NULL;

	if (!full(b, i) && babel_timers_want(b, NEIGHBOUR_TIMERS)) {
		n = calloc(1, sizeof(*n));
		if (!n)
			babel_timers_want(b, -NEIGHBOUR_TIMERS);
	}
	if (!n) {
		refuse(b, i);
		return NULL;
	}
	n->iface = i;
	n->address = *address;
	init(n);
	init_timers(n);
	babel_mac_peer_init(&n->mac);
	/* The link to it was up, and its first Hello from us must not come with the word that it is down. */
	if (b->now.mono_us < i->resumed_until_us)
		hello_assume(&n->multicast);
	n->next = i->neighbours;
	i->neighbours = n;
	i->neighbour_count++;
	b->neighbour_count++;
	if (i->config.key_count)	/* it may be that nothing is ever accepted from it */
		babel_timer_set(b, &n->mac_timer, b->now.mono_us + BABEL_CHALLENGE_US);
	return n;
}

/* All that hangs on it goes. */
static void empty(struct babel *b, struct babel_neighbour *n)
{
	n->cost = BABEL_INFINITY;	/* nothing shall be selected through it meanwhile */
	routes_neighbour_gone(b, n);
	acks_forget_neighbour(b, n);
	queue_free(b, n->queue);
	n->queue = NULL;
	unset_timers(b, n);
}

void neighbour_remove(struct babel *b, struct babel_neighbour *n)
{
	struct babel_iface *i = n->iface;
	struct babel_neighbour **at = &i->neighbours;

	empty(b, n);
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	i->neighbour_count--;
	b->neighbour_count--;
	free(n);
	babel_timers_want(b, -NEIGHBOUR_TIMERS);
}

/* It began anew: what it was is forgotten, but that it has the key. */
static void renew(struct babel *b, struct babel_neighbour *n)
{
	struct babel_neighbour fresh = { .iface = n->iface, .next = n->next, .address = n->address, .mac = n->mac };

	empty(b, n);
	*n = fresh;
	init(n);
	init_timers(n);
}

/* --- cost --- */

bool neighbour_usable(const struct babel_neighbour *n)
{
	return n->cost != BABEL_INFINITY;
}

bool neighbour_lossy(const struct babel_neighbour *n)
{
	unsigned int seen = n->multicast.seen < LOSSY_HELLOS ? n->multicast.seen : LOSSY_HELLOS;
	unsigned int newest = (0xffffu << (16 - seen)) & 0xffffu;

	return (n->multicast.reach & newest) != newest;
}

/* What we tell it: how well we hear it. */
static uint16_t rxcost_of(const struct babel_neighbour *n)
{
	const struct babel_iface *i = n->iface;

	if (i->measured.down)
		return BABEL_INFINITY;
	if (i->config.type == BABEL_WIRELESS && !i->measured.nominal)
		return hello_etx(&n->multicast, i->config.rxcost);
	if (!hello_two_of_three(&n->multicast) && !hello_two_of_three(&n->unicast))
		return BABEL_INFINITY;
	return i->measured.nominal ? i->measured.nominal : i->config.rxcost;
}

static uint16_t cost_of(const struct babel_neighbour *n)
{
	const struct babel_iface_config *c = &n->iface->config;
	uint64_t cost = n->txcost;

	if (n->rxcost == BABEL_INFINITY || n->txcost == BABEL_INFINITY)
		return BABEL_INFINITY;
	if (n->iface->measured.nominal)
		return n->iface->measured.nominal;
	if (c->type == BABEL_WIRELESS)
		cost = (cost > ETX_UNIT ? cost : ETX_UNIT) * n->rxcost / ETX_UNIT;
	if (c->rtt)
		cost += rtt_cost(&n->rtt, c->rtt_min_us, c->rtt_max_us, c->rtt_cost);
	return cost >= BABEL_INFINITY ? BABEL_INFINITY : cost ? (uint16_t)cost : 1;
}

void neighbour_cost(struct babel *b, struct babel_neighbour *n)
{
	uint16_t was_rxcost = n->rxcost, was = n->cost;

	n->rxcost = rxcost_of(n);
	n->cost = cost_of(n);
	if ((was_rxcost == BABEL_INFINITY) != (n->rxcost == BABEL_INFINITY))
		iface_ihu(b, n);	/* it waits for this, or must not go on believing the last */
	else if (was_rxcost != n->rxcost)
		n->ihu_due = true;
	if (was_rxcost == BABEL_INFINITY && n->rxcost != BABEL_INFINITY)
		iface_greet(b, n->iface);	/* it may have been away, and count anew */
	if (was == n->cost)
		return;
	routes_neighbour_changed(b, n);
	if (was == BABEL_INFINITY && !n->asked) {
		n->asked = true;
		send_route_request(b, n->iface, n, NULL);
	}
}

/* --- Hellos --- */

static int64_t own_hello_us(const struct babel_neighbour *n)
{
	return n->iface->config.hello_us;
}

/* The first Hello or IHU of a neighbour, or of a new life of it. */
static void meet(struct babel *b, struct babel_neighbour *n)
{
	struct babel_queue *q;
	int64_t hello_us = n->multicast.interval_us ? n->multicast.interval_us : own_hello_us(n);

	iface_ihu(b, n);
	iface_greet(b, n->iface);
	if (n->trusted)
		return;
	babel_timer_set(b, &n->trust_timer, b->now.mono_us + hello_us * 3 / 2);
	q = queue_of(b, n->iface, n);
	if (!q)
		return;
	q->retraction = q->trust = true;
	send_all(b, n->iface, n);
	queue_want_urgent(b, q);
}

static bool was_met(const struct babel_neighbour *n)
{
	return n->multicast.any || n->unicast.any || n->ihu_timer.timer.slot;
}

/* With an interval that was never announced, ours stands in for it: unscheduled Hellos alone shall not keep a neighbour for ever. */
static void arm(struct babel *b, struct babel_timer *t, const struct hello_history *h, const struct babel_neighbour *n, bool received)
{
	int64_t wait_us = hello_wait_us(h, received);

	if (!wait_us)
		wait_us = received ? own_hello_us(n) * 3 / 2 : own_hello_us(n);
	babel_timer_set(b, t, b->now.mono_us + wait_us);
}

/* While histories stood still the counter went on, a little faster than we counted: that is no reboot. */
static void thaw(struct babel_neighbour *n, struct hello_history *h, uint16_t seqno)
{
	uint16_t ahead = (uint16_t)(seqno - h->expected);

	if (n->frozen && h->any && ahead <= n->frozen / 2 + FROZEN_SLACK)
		h->expected = seqno;
	n->frozen = 0;
}

void neighbour_hello(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *hello)
{
	struct hello_history *h = hello->unicast ? &n->unicast : &n->multicast;
	struct babel_timer *t = hello->unicast ? &n->unicast_timer : &n->hello_timer;
	bool met = was_met(n);

	thaw(n, h, hello->seqno);
	if (hello_received(h, hello->seqno, interval_us(hello->interval_cs)) == HELLO_REBOOTED) {
		renew(b, n);
		met = false;
		hello_received(h, hello->seqno, interval_us(hello->interval_cs));
	}
	if (hello->interval_cs || !t->timer.slot)
		arm(b, t, h, n, true);
	neighbour_cost(b, n);
	if (!met)
		meet(b, n);
}

static bool silent(const struct babel_neighbour *n)
{
	return !n->multicast.reach && !n->unicast.reach;
}

static bool frozen(const struct babel_neighbour *n)
{
	return n->iface->measured.down && n->frozen < FROZEN_MAX;
}

static void missed(struct babel *b, struct babel_neighbour *n, struct babel_timer *t, struct hello_history *h)
{
	if (frozen(n)) {
		h->expected++;
		n->frozen++;
		arm(b, t, h, n, false);
		return;
	}
	hello_missed(h);
	if (silent(n)) {
		neighbour_remove(b, n);
		return;
	}
	if (h->reach)
		arm(b, t, h, n, false);
	neighbour_cost(b, n);
}

/* --- IHUs --- */

void neighbour_ihu(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *ihu)
{
	bool met = was_met(n);

	n->txcost = ihu->metric;
	babel_timer_set(b, &n->ihu_timer, b->now.mono_us + interval_us(ihu->interval_cs) * 7 / 2);
	neighbour_cost(b, n);
	if (!met)
		meet(b, n);
	else if (ihu->metric == BABEL_INFINITY && n->multicast.seen < YOUNG_HELLOS)
		iface_greet(b, n->iface);	/* it does not hear us yet: Hellos were lost, or came before it could check their MACs */
}

void neighbour_rtt(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *ihu, int64_t stamp_us)
{
	if (!rtt_ihu(&n->rtt, ihu->origin, ihu->receive, stamp_us))
		return;
	babel_timer_set(b, &n->rtt_timer, b->now.mono_us + BABEL_RTT_STALE_US);
	neighbour_cost(b, n);
}

void neighbour_trust(struct babel *b, struct babel_neighbour *n)
{
	if (n->trusted)
		return;
	n->trusted = true;
	babel_timer_unset(b, &n->trust_timer);
	routes_neighbour_changed(b, n);
}

static void ihu_expired(struct babel *b, struct babel_neighbour *n)
{
	if (frozen(n) && !silent(n)) {
		babel_timer_set(b, &n->ihu_timer, b->now.mono_us + BABEL_IHU_HELLOS * own_hello_us(n));
		return;
	}
	n->txcost = BABEL_INFINITY;
	if (silent(n))
		neighbour_remove(b, n);
	else
		neighbour_cost(b, n);
}

static void rtt_expired(struct babel *b, struct babel_neighbour *n)
{
	n->rtt.has_rtt = false;
	neighbour_cost(b, n);
}

void neighbour_timer(struct babel *b, struct babel_timer *t)
{
	struct babel_neighbour *n;

	switch (t->timer.kind) {
	case BABEL_TIMER_NEIGHBOUR_HELLO:
		n = container_of(t, struct babel_neighbour, hello_timer);
		missed(b, n, t, &n->multicast);
		return;
	case BABEL_TIMER_NEIGHBOUR_UNICAST:
		n = container_of(t, struct babel_neighbour, unicast_timer);
		missed(b, n, t, &n->unicast);
		return;
	case BABEL_TIMER_NEIGHBOUR_IHU:
		ihu_expired(b, container_of(t, struct babel_neighbour, ihu_timer));
		return;
	case BABEL_TIMER_NEIGHBOUR_RTT:
		rtt_expired(b, container_of(t, struct babel_neighbour, rtt_timer));
		return;
	case BABEL_TIMER_NEIGHBOUR_TRUST:
		neighbour_trust(b, container_of(t, struct babel_neighbour, trust_timer));
		return;
	default:
		n = container_of(t, struct babel_neighbour, mac_timer);
		if (!was_met(n))
			neighbour_remove(b, n);
	}
}
