/* SPDX-License-Identifier: MIT */
/*
 * Updates that must arrive (RFC 8966 3.7.2, 2.8). With up to BABEL_ACK_NEIGHBOURS usable neighbours on the interface the packet asks them for
 * an acknowledgement (3.3), and who has not answered after twice its interval gets the updates again alone. With more neighbours answers would
 * be a storm, so the packet is repeated some times instead. No update is sent more than BABEL_COPIES_MAX times.
 *
 * A record stands for one such packet: what was in it (held prefixes, or the wildcard retraction that makes a neighbour trusted), and who
 * has yet to answer; it lives until all have, or until its timer comes. What is repeated is not the old packet but what there is to say then.
 * Records are in the list of their interface, for a hub has a link to each neighbour: their number is bounded, but each has some.
 *
 * When a prefix goes out reliably once more older records forget it; and an acknowledgement does not count for a prefix that was lost since,
 * on another interface perhaps, where the retraction is still to be sent.
 */
#include <stdlib.h>

#include "babel/links.h"
#include "base/container.h"

/* A prefix that was in the packet, held, and how often it had been lost by then. */
struct acked_prefix {
	struct babel_prefix *prefix;
	uint16_t losses;
};

struct babel_ack {
	struct babel_ack *next;
	struct babel_timer timer;
	struct babel_iface *iface;
	struct babel_neighbour *to;		/* the packet was for it alone; NULL: multicast */
	struct babel_neighbour *waiting[BABEL_ACK_NEIGHBOURS];
	unsigned int waiting_count;
	int64_t interval_us;
	uint16_t opaque;
	bool trust;
	uint8_t copies;				/* sent, this one included */
	uint8_t flags;
	struct acked_prefix *prefixes;
	size_t count, size;
};

static int64_t ack_interval_us(const struct babel_ack *a)
{
	int64_t rtt_us = 0;

	for (unsigned int k = 0; k < a->waiting_count; k++)
		if (a->waiting[k]->rtt.has_rtt && a->waiting[k]->rtt.rtt_us > rtt_us)
			rtt_us = a->waiting[k]->rtt.rtt_us;
	return BABEL_ACK_US + 2 * rtt_us;
}

/* Who has to answer. None, where there are too many. */
static void find_waiting(struct babel_ack *a, const struct babel_queue *q)
{
	if (q->neighbour) {
		a->waiting[a->waiting_count++] = q->neighbour;
		return;
	}
	for (struct babel_neighbour *n = q->iface->neighbours; n; n = n->next) {
		if (!neighbour_usable(n))
			continue;
		if (a->waiting_count == BABEL_ACK_NEIGHBOURS) {
			a->waiting_count = 0;
			return;
		}
		a->waiting[a->waiting_count++] = n;
	}
}

static bool any_usable(const struct babel_iface *i)
{
	for (const struct babel_neighbour *n = i->neighbours; n; n = n->next)
		if (neighbour_usable(n))
			return true;
	return false;
}

static bool full(const struct babel *b, const struct babel_iface *i)
{
	return i->ack_count >= (b->ack_count < BABEL_ACKS_MAX ? BABEL_ACKS_IFACE : BABEL_ACKS_FEW);
}

struct babel_ack *ack_begin(struct babel *b, const struct babel_queue *q)
{
	struct babel_ack *a;

	if (full(b, q->iface) || (!q->neighbour && !any_usable(q->iface)) || !babel_timers_want(b, 1))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a) {
		babel_timers_want(b, -1);
		return NULL;
	}
	a->timer.timer.kind = BABEL_TIMER_ACK;
	a->iface = q->iface;
	a->to = q->neighbour;
	find_waiting(a, q);
	a->interval_us = ack_interval_us(a);
	a->opaque = b->opaque++;
	b->ack_count++;
	a->iface->ack_count++;
	a->next = a->iface->acks;
	a->iface->acks = a;
	return a;
}

static void release_prefix(struct babel *b, struct babel_ack *a, size_t k)
{
	struct babel_prefix *p = a->prefixes[k].prefix;

	a->prefixes[k] = a->prefixes[--a->count];
	prefix_release(b, p);
}

static void free_ack(struct babel *b, struct babel_ack *a)
{
	struct babel_ack **at = &a->iface->acks;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	babel_timer_unset(b, &a->timer);
	while (a->count)
		release_prefix(b, a, a->count - 1);
	a->iface->ack_count--;
	b->ack_count--;
	free(a->prefixes);
	free(a);
	babel_timers_want(b, -1);
}

bool ack_wants_reply(const struct babel_ack *a)
{
	return a->waiting_count && (a->count || a->trust);
}

/* Older records of packets that reached nobody whom this one does not reach. */
static void supersede(struct babel *b, const struct babel_ack *newer, const struct babel_prefix *p)
{
	for (struct babel_ack *a = newer->iface->acks; a; a = a->next) {
		if (a == newer || (newer->to && a->to != newer->to))
			continue;
		for (size_t k = 0; k < a->count; k++) {
			if (a->prefixes[k].prefix == p) {
				release_prefix(b, a, k);
				break;
			}
		}
	}
}

bool ack_add(struct babel *b, struct babel_ack *a, const struct queued_update *u)
{
	if (a->count == a->size) {
		size_t size = a->size ? 2 * a->size : 8;
		struct acked_prefix *v = realloc(a->prefixes, size * sizeof(*v));

		if (!v)
			return false;
		a->prefixes = v;
		a->size = size;
	}
	supersede(b, a, u->prefix);
	prefix_hold(u->prefix);
	a->prefixes[a->count++] = (struct acked_prefix){ u->prefix, prefix_losses(u->prefix) };
	a->flags |= u->flags;
	if (u->copies >= a->copies)
		a->copies = (uint8_t)(u->copies + 1);
	return true;
}

void ack_set_trust(struct babel_ack *a, uint8_t copies)
{
	a->trust = true;
	if (copies >= a->copies)
		a->copies = (uint8_t)(copies + 1);
}

uint16_t ack_opaque(const struct babel_ack *a)
{
	return a->opaque;
}

uint16_t ack_interval_cs(const struct babel_ack *a)
{
	return interval_cs(a->interval_us);
}

void ack_commit(struct babel *b, struct babel_ack *a)
{
	unsigned int copies = a->iface->config.type == BABEL_WIRELESS ? BABEL_COPIES_WIRELESS : BABEL_COPIES_WIRED;

	if ((!a->count && !a->trust) || (!a->waiting_count && a->copies >= copies)) {
		free_ack(b, a);
		return;
	}
	babel_timer_set(b, &a->timer, a->waiting_count ? b->now.mono_us + 2 * a->interval_us : babel_jitter(b, BABEL_COPY_GAP_US));
}

static void drop_waiting(struct babel *b, struct babel_ack *a, unsigned int k)
{
	a->waiting[k] = a->waiting[--a->waiting_count];
	if (!a->waiting_count)
		free_ack(b, a);
}

/* The place of 'n' among those waited for, or waiting_count. */
static unsigned int find_neighbour(const struct babel_ack *a, const struct babel_neighbour *n)
{
	unsigned int k = 0;

	while (k < a->waiting_count && a->waiting[k] != n)
		k++;
	return k;
}

void ack_received(struct babel *b, struct babel_neighbour *n, uint16_t opaque)
{
	struct babel_ack *a = n->iface->acks;
	unsigned int k;

	while (a && a->opaque != opaque)
		a = a->next;
	if (!a)
		return;
	k = find_neighbour(a, n);
	if (k == a->waiting_count)
		return;
	for (size_t p = 0; p < a->count; p++)
		if (a->prefixes[p].losses == prefix_losses(a->prefixes[p].prefix))
			routes_acked(b, n, a->prefixes[p].prefix);
	if (a->trust)
		neighbour_trust(b, n);
	drop_waiting(b, a, k);
}

/* Once more, to one neighbour or to all. */
static void resend(struct babel *b, const struct babel_ack *a, struct babel_neighbour *n)
{
	struct babel_queue *q = queue_of(b, a->iface, n);

	if (!q)
		return;
	for (size_t k = 0; k < a->count; k++)
		queue_update(b, q, a->prefixes[k].prefix, a->flags, a->copies);
	if (a->trust && !n->trusted) {
		q->retraction = q->trust = true;
		q->trust_copies = a->copies;
		send_all(b, a->iface, n);	/* it loses what it has of us */
	}
	queue_want_urgent(b, q);
}

void ack_timer(struct babel *b, struct babel_timer *t)
{
	struct babel_ack *a = container_of(t, struct babel_ack, timer);

	if (a->copies < BABEL_COPIES_MAX) {
		for (unsigned int k = 0; k < a->waiting_count; k++)
			resend(b, a, a->waiting[k]);
		if (!a->waiting_count)
			resend(b, a, a->to);
	}
	free_ack(b, a);
}

void acks_forget_neighbour(struct babel *b, const struct babel_neighbour *n)
{
	struct babel_ack *a = n->iface->acks;

	while (a) {
		struct babel_ack *next = a->next;
		unsigned int k = find_neighbour(a, n);

		if (k < a->waiting_count)
			drop_waiting(b, a, k);
		a = next;
	}
}

void acks_forget_iface(struct babel *b, struct babel_iface *i)
{
	while (i->acks)
		free_ack(b, i->acks);
}
