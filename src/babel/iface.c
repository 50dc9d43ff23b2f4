/* SPDX-License-Identifier: MIT */
/*
 * Interfaces (RFC 8966 3.2.3, 3.4.1): what each is, and its Hello and update timers. Hellos are scheduled multicast ones only, which all
 * implementations count (reference W4, T7). They leave before the interval that the last one announced has ended, early by chance so that
 * nodes do not beat together; a longer interval counts from the first Hello that announces it (H4).
 *
 * An interface begins with two rounds, half a second apart, of a Hello, a retraction of all we may ever have announced there, and a
 * request for all there is (H6); neighbours then have the two Hellos that make a link. Updates wait until the second round, which a full update
 * follows. After a planned stop the retraction is left out, and Hellos count on, or neighbours would take us for a new one and the link for
 * lost. A request for all that comes soon after a full update is answered a second after that, and when requests keep coming one in a Hello
 * interval is (Q2). Somebody new is greeted by two early Hellos, which are scheduled ones all the same.
 */
#include <stdlib.h>
#include <string.h>

#include "babel/links.h"
#include "base/container.h"

void babel_iface_defaults(struct babel_iface_config *c, enum babel_link_type type)
{
	*c = (struct babel_iface_config){
		.type = type, .hello_us = BABEL_HELLO_US, .update_us = BABEL_UPDATE_HELLOS * BABEL_HELLO_US,
		.rxcost = type == BABEL_WIRELESS ? 256 : 96, .mtu = 1500, .split_horizon = type == BABEL_WIRED,
		.rtt = type == BABEL_TUNNEL, .rtt_min_us = 10 * US_PER_MS, .rtt_max_us = 120 * US_PER_MS, .rtt_cost = 150,
	};
}

/* Move a periodic timer so that it comes within the interval, unless it does. */
static void set_within(struct babel *b, struct babel_timer *t, int64_t us)
{
	int64_t due_us = babel_jitter(b, us);

	if (!t->timer.slot || due_us < t->timer.due_us)
		babel_timer_set(b, t, due_us);
}

static void start(struct babel *b, struct babel_iface *i)
{
	i->starting = BABEL_START_ROUNDS;
	i->hellos = i->greetings = 0;
	i->dump_wanted = false;
	i->resumed_until_us = 0;
	babel_timer_set(b, &i->hello_timer, babel_jitter(b, BABEL_GATHER_MIN_US));
	babel_timer_set(b, &i->update_timer, babel_beat(b, i->config.update_us));
}

static void stop(struct babel *b, struct babel_iface *i)
{
	while (i->neighbours)
		neighbour_remove(b, i->neighbours);
	acks_forget_iface(b, i);
	queue_clear(b, i->queue);
	babel_timer_unset(b, &i->hello_timer);
	babel_timer_unset(b, &i->update_timer);
}

/* The config, with no interval between updates that is longer than can be announced. */
static void take_config(struct babel_iface *i, const struct babel_iface_config *c)
{
	i->config = *c;
	if (i->config.update_us > interval_us(INTERVAL_CS_MAX))
		i->config.update_us = interval_us(INTERVAL_CS_MAX);
}

struct babel_iface *babel_iface_add(struct babel *b, const struct babel_iface_config *c, void *owner, struct instant now)
{
	struct babel_iface *i, **at = &b->ifaces;

	b->now = now;
	if (b->iface_count == BABEL_IFACES_MAX || !babel_timers_want(b, 2))
		return NULL;
	i = calloc(1, sizeof(*i));
	if (i)
		i->queue = queue_new(b, i, NULL);
	if (!i || !i->queue) {
		free(i);
		babel_timers_want(b, -2);
		return NULL;
	}
	i->babel = b;
	i->owner = owner;
	take_config(i, c);
	i->hello_timer.timer.kind = BABEL_TIMER_IFACE_HELLO;
	i->update_timer.timer.kind = BABEL_TIMER_IFACE_UPDATE;
	i->hello_seqno = (uint16_t)rng_u32(&b->rng);
	i->greeted_us = i->dumped_us = now.mono_us - interval_us(UINT16_MAX);
	i->up = true;
	while (*at)
		at = &(*at)->next;
	*at = i;
	b->iface_count++;
	if (!b->stopped)
		start(b, i);
	return i;
}

static bool same_keys(const struct babel_iface_config *a, const struct babel_iface_config *b)
{
	if (a->key_count != b->key_count || a->accept_unauthenticated != b->accept_unauthenticated)
		return false;
	for (unsigned int k = 0; k < a->key_count; k++) {
		const struct babel_key *x = &a->keys[k], *y = &b->keys[k];

		if (x->kind != y->kind || x->len != y->len || memcmp(x->bytes, y->bytes, x->len))
			return false;
	}
	return true;
}

/* What of links is computed from it. */
static bool same_cost(const struct babel_iface_config *a, const struct babel_iface_config *b)
{
	return a->type == b->type && a->rxcost == b->rxcost && a->rtt == b->rtt && a->rtt_min_us == b->rtt_min_us &&
		a->rtt_max_us == b->rtt_max_us && a->rtt_cost == b->rtt_cost;
}

/* What is in updates, and whether. */
static bool same_updates(const struct babel_iface_config *a, const struct babel_iface_config *b)
{
	return a->update_us == b->update_us && a->split_horizon == b->split_horizon && ip_addr_equal(&a->address4, &b->address4) &&
		!strcmp(a->name, b->name);
}

/* The config is another one: what follows from what differs, and no more. */
static void differ(struct babel *b, struct babel_iface *i, const struct babel_iface_config *old)
{
	const struct babel_iface_config *c = &i->config;
	bool keys = same_keys(old, c), cost = same_cost(old, c);

	if (c->hello_us != old->hello_us)
		set_within(b, &i->hello_timer, c->hello_us);
	if (c->update_us != old->update_us)
		set_within(b, &i->update_timer, c->update_us);
	for (struct babel_neighbour *n = i->neighbours; n; n = n->next) {
		n->ihu_due |= !keys || c->hello_us != old->hello_us;	/* its interval is another (I2), or it was not heard */
		if (!cost)
			neighbour_cost(b, n);
		if (c->via6 != old->via6)
			routes_neighbour_changed(b, n);		/* what can be installed is other, too */
	}
	if (!keys || !same_updates(old, c))
		send_all(b, i, NULL);
}

void babel_iface_set(struct babel *b, struct babel_iface *i, const struct babel_iface_config *c, struct instant now)
{
	struct babel_iface_config old = i->config;
	bool moved = !ip_addr_equal(&old.address, &c->address), run = i->up && !b->stopped;

	b->now = now;
	if (moved)
		stop(b, i);
	take_config(i, c);
	if (run && moved)
		start(b, i);
	else if (run)
		differ(b, i, &old);
}

void babel_iface_remove(struct babel *b, struct babel_iface *i, struct instant now)
{
	struct babel_iface **at = &b->ifaces;

	b->now = now;
	while (*at != i)
		at = &(*at)->next;
	i->up = false;		/* nothing more to send to it */
	stop(b, i);
	*at = i->next;
	queue_free(b, i->queue);
	free(i);
	b->iface_count--;
	babel_timers_want(b, -2);
}

void iface_free_all(struct babel *b)
{
	while (b->ifaces)
		babel_iface_remove(b, b->ifaces, b->now);
}

void babel_iface_resume(struct babel_iface *i, uint16_t hello_seqno)
{
	i->hello_seqno = hello_seqno;
	i->resumed_until_us = i->babel->now.mono_us + BABEL_RESUME_US;
}

void *babel_iface_owner(const struct babel_iface *i)
{
	return i->owner;
}

void babel_iface_up(struct babel *b, struct babel_iface *i, bool up, struct instant now)
{
	b->now = now;
	if (i->up == up)
		return;
	i->up = up;
	if (!up)
		stop(b, i);
	else if (!b->stopped)
		start(b, i);
}

void babel_iface_cost(struct babel *b, struct babel_iface *i, const struct babel_link_cost *cost, struct instant now)
{
	b->now = now;
	i->measured = *cost;
	for (struct babel_neighbour *n = i->neighbours; n; n = n->next)
		neighbour_cost(b, n);
}

/* Which neighbours an IHU goes to with this Hello: all with every third, those we lose Hellos of, or measure, with each. */
static void mark_ihus(struct babel_iface *i)
{
	bool all = i->hellos % BABEL_IHU_HELLOS == 0 || i->config.type == BABEL_WIRELESS ||
		BABEL_IHU_HELLOS * i->config.hello_us > interval_us(INTERVAL_CS_MAX);	/* more than an IHU can promise */

	for (struct babel_neighbour *n = i->neighbours; n; n = n->next) {
		n->ihu_due |= all || neighbour_lossy(n) || (i->config.rtt && !n->rtt.has_rtt);
		i->queue->ihus |= n->ihu_due;
	}
}

/* The last round is over: what waited for it may go. */
static void started(struct babel *b, struct babel_iface *i)
{
	send_all(b, i, NULL);
	for (struct babel_neighbour *n = i->neighbours; n; n = n->next)
		if (n->queue && queue_waits(n->queue))
			queue_want_urgent(b, n->queue);
}

static void hello_due(struct babel *b, struct babel_iface *i)
{
	int64_t next_us = babel_beat(b, i->config.hello_us), again_us = babel_jitter(b, BABEL_START_US);

	i->queue->hello = true;
	mark_ihus(i);
	i->hellos++;
	queue_want(b, i->queue, b->now.mono_us);
	if (!i->starting && i->greetings)
		i->greetings--;
	if (i->starting) {
		i->queue->retraction = !i->resumed_until_us;
		send_route_request(b, i, NULL, NULL);
		if (--i->starting == 0)
			started(b, i);
	}
	if ((i->starting || i->greetings) && again_us < next_us)
		next_us = again_us;
	babel_timer_set(b, &i->hello_timer, next_us);
}

/* Requests draw two in quick succession, and then one in a Hello interval. */
static int64_t draw_gap_us(const struct babel_iface *i)
{
	return i->config.hello_us > BABEL_WILDCARD_MIN_US ? i->config.hello_us : BABEL_WILDCARD_MIN_US;
}

static void draw(struct babel *b, struct babel_iface *i)
{
	i->dump_wanted = false;
	i->drawn_us = (i->drawn_us > b->now.mono_us ? i->drawn_us : b->now.mono_us) + draw_gap_us(i);
	send_all(b, i, NULL);
}

/* Returns how many prefixes that is. */
static size_t update_due(struct babel *b, struct babel_iface *i)
{
	if (i->dump_wanted) {
		draw(b, i);
	} else if (!i->starting) {
		send_all(b, i, NULL);
		i->queue->thin = ++i->updates % BABEL_ECHO_UPDATES &&
			BABEL_ECHO_UPDATES * i->config.update_us <= interval_us(INTERVAL_CS_MAX);	/* more than can be promised */
	}
	queue_want(b, i->queue, b->now.mono_us);	/* the interval is promised: no gathering */
	babel_timer_set(b, &i->update_timer, babel_beat(b, i->config.update_us));
	return i->queue->dump ? i->queue->dump->count : 0;
}

/*
 * Interfaces that have nearly reached their beat go along: a node with many links wakes up once an interval for all of them, and not for each.
 * What is early is as honest as what is in time (H4). Only so much that others are not kept waiting: the rest has timers of its own.
 */
static void beat_together(struct babel *b)
{
	size_t told = 0;

	for (struct babel_iface *i = b->ifaces; i; i = i->next) {
		int64_t soon_us = b->now.mono_us + i->config.hello_us / BABEL_BEAT_PART;

		if (i->hello_timer.timer.slot && i->hello_timer.timer.due_us <= soon_us)
			hello_due(b, i);
		if (i->update_timer.timer.slot && i->update_timer.timer.due_us <= b->now.mono_us + i->config.hello_us / 4 &&
		    told < BABEL_BEAT_MAX)
			told += update_due(b, i);
	}
}

void iface_timer(struct babel *b, struct babel_timer *t)
{
	if (t->timer.kind == BABEL_TIMER_IFACE_HELLO)
		hello_due(b, container_of(t, struct babel_iface, hello_timer));
	else
		update_due(b, container_of(t, struct babel_iface, update_timer));
	beat_together(b);
}

void iface_wildcard_request(struct babel *b, struct babel_neighbour *n)
{
	struct babel_iface *i = n->iface;
	int64_t due_us = i->dumped_us + BABEL_WILDCARD_MIN_US;

	iface_ihu(b, n);
	if (i->starting)	/* a full update comes anyway */
		return;
	if (due_us < i->drawn_us - draw_gap_us(i))
		due_us = i->drawn_us - draw_gap_us(i);
	if (due_us <= b->now.mono_us) {
		draw(b, i);
		return;
	}
	i->dump_wanted = true;
	if (due_us < i->update_timer.timer.due_us)
		babel_timer_set(b, &i->update_timer, due_us);
}

void iface_greet(struct babel *b, struct babel_iface *i)
{
	int64_t soon_us = babel_jitter(b, BABEL_GATHER_MAX_US);

	if (b->stopped || (!i->starting && b->now.mono_us - i->greeted_us < i->config.hello_us))
		return;
	i->greeted_us = b->now.mono_us;
	i->greetings = BABEL_GREETINGS;
	if (!i->starting && soon_us < i->hello_timer.timer.due_us)
		babel_timer_set(b, &i->hello_timer, soon_us);
}

void iface_ihu(struct babel *b, struct babel_neighbour *n)
{
	struct babel_queue *q = queue_of(b, n->iface, NULL);

	if (!q)
		return;
	n->ihu_due = q->ihus = true;
	queue_want_urgent(b, q);
}
