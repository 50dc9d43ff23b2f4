/* SPDX-License-Identifier: MIT */
/*
 * The speaker as a whole (RFC 8966): its beginning and end, and its timers. Every timer of interfaces, neighbours, queues, routes and
 * requests is in one heap; a turn pops those that have come and hands each to the half it belongs to. How many one turn serves is capped: what
 * is left makes the deadline come at once, so the driver gets to send between.
 *
 * Setting a timer cannot fail: whoever makes something with timers in it first reserves room for them by babel_timers_want().
 */
#include "babel/babel.h"

#include <stdlib.h>
#include <string.h>

#include "babel/links.h"
#include "base/container.h"

enum { TIMERS_FIRST = 64 };

struct babel *babel_new(const struct babel_config *c, const struct rng *rng, const struct log *log)
{
	struct babel *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->rng = *rng;
	b->log = *log;
	memcpy(b->router_id, c->router_id, sizeof(b->router_id));
	b->seqno = c->seqno;
	b->clean = c->clean;
	b->opaque = (uint16_t)rng_u32(rng);
	if (!timers_reserve(&b->timers, TIMERS_FIRST)) {
		free(b);
		return NULL;
	}
	routes_init(b);
	return b;
}

void babel_free(struct babel *b)
{
	if (!b)
		return;
	iface_free_all(b);
	routes_done(b);
	timers_done(&b->timers);
	free(b);
}

uint16_t babel_seqno(const struct babel *b)
{
	return b->seqno;
}

const uint8_t *babel_router_id(const struct babel *b)
{
	return b->router_id;
}

bool babel_timers_want(struct babel *b, int count)
{
	size_t want;

	if (count <= 0) {
		b->timer_count -= (size_t)-count;
		return true;
	}
	want = b->timer_count + (size_t)count;
	if (want > b->timers.size && !timers_reserve(&b->timers, want + want / 4))
		return false;
	b->timer_count = want;
	return true;
}

void babel_timer_set(struct babel *b, struct babel_timer *t, int64_t due_us)
{
	timers_set(&b->timers, &t->timer, due_us);
}

void babel_timer_unset(struct babel *b, struct babel_timer *t)
{
	timers_unset(&b->timers, &t->timer);
}

/* A time from 'part' of 'us' before it on. */
static int64_t before(struct babel *b, int64_t us, int64_t part)
{
	int64_t room = us / part;

	if (room > UINT32_MAX)
		room = UINT32_MAX;
	return b->now.mono_us + us - room + (room ? rng_below(&b->rng, (uint32_t)room) : 0);
}

int64_t babel_jitter(struct babel *b, int64_t us)
{
	return before(b, us, 4);
}

int64_t babel_beat(struct babel *b, int64_t us)
{
	return before(b, us, BABEL_BEAT_PART);
}

static void dispatch(struct babel *b, struct babel_timer *t)
{
	switch (t->timer.kind) {
	case BABEL_TIMER_IFACE_HELLO:
	case BABEL_TIMER_IFACE_UPDATE:
		iface_timer(b, t);
		return;
	case BABEL_TIMER_QUEUE:
		queue_timer(b, t);
		return;
	case BABEL_TIMER_NEIGHBOUR_HELLO:
	case BABEL_TIMER_NEIGHBOUR_UNICAST:
	case BABEL_TIMER_NEIGHBOUR_IHU:
	case BABEL_TIMER_NEIGHBOUR_RTT:
	case BABEL_TIMER_NEIGHBOUR_TRUST:
	case BABEL_TIMER_NEIGHBOUR_MAC:
		neighbour_timer(b, t);
		return;
	case BABEL_TIMER_ACK:
		ack_timer(b, t);
		return;
	default:
		routes_timer(b, t);
	}
}

void babel_turn(struct babel *b, struct instant now)
{
	b->now = now;
	for (int i = 0; i < BABEL_TIMERS_TURN; i++) {
		struct timer *t = timers_pop(&b->timers, now.mono_us);

		if (!t)
			return;
		dispatch(b, container_of(t, struct babel_timer, timer));
	}
}

int64_t babel_deadline(const struct babel *b)
{
	int64_t next_us = timers_next(&b->timers);

	/* Packets are ready: the driver has not taken them all. */
	return b->ready_first && b->now.mono_us < next_us ? b->now.mono_us : next_us;
}

void babel_stop(struct babel *b, bool planned, struct instant now)
{
	b->now = now;
	if (b->stopped)
		return;
	b->stopped = true;
	for (struct babel_iface *i = b->ifaces; i; i = i->next) {
		babel_timer_unset(b, &i->hello_timer);
		babel_timer_unset(b, &i->update_timer);
		queue_clear(b, i->queue);
		for (struct babel_neighbour *n = i->neighbours; n; n = n->next)
			if (n->queue)
				queue_clear(b, n->queue);
		acks_forget_iface(b, i);
		if (planned || !i->up)
			continue;
		i->queue->hello = i->queue->retraction = true;
		i->queue->hello_cs = BABEL_STOP_CS;
		queue_want(b, i->queue, now.mono_us);
	}
}
