/* SPDX-License-Identifier: MIT */
/*
 * What waits to be sent. Every interface has a queue for its group, a neighbour one of its own once something is sent to it alone. Waiting
 * is what lets TLVs travel together (3.1, reference P6): something urgent waits a few centiseconds, the rest up to half a Hello interval, and
 * whatever makes the queue due takes all with it. An update waits as a held prefix; what is said of it is asked only when it is written.
 *
 * A full update is a list of prefixes and a place in it; the list is the same for all who begin one at the same time.
 *
 * Bounds: updates beyond BABEL_QUEUE_UPDATES_MAX become a full update, or one more behind that which is under way; requests and acks beyond
 * theirs are dropped, and the asker asks again. A queue is in the ready list from when its time has come until it is empty (send.c), else its
 * timer is set, or nothing waits.
 */
#include "babel/links.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"

enum { QUEUE_KEPT = 64 };	/* room that an empty queue keeps */

struct babel_queue *queue_new(struct babel *b, struct babel_iface *i, struct babel_neighbour *n)
{
	struct babel_queue *q;

	if (!babel_timers_want(b, 1))
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q) {
		babel_timers_want(b, -1);
		return NULL;
	}
	q->timer.timer.kind = BABEL_TIMER_QUEUE;
	q->iface = i;
	q->neighbour = n;
	return q;
}

/* What there is to tell now. NULL: nothing, or no memory: the next interval tries again. */
static struct babel_dump *dump_get(struct babel *b)
{
	struct babel_dump *d = b->dump;

	if (d && d->version == b->told_version) {
		d->refs++;
		return d;
	}
	d = b->prefix_count ? malloc(sizeof(*d) + b->prefix_count * sizeof(*d->prefixes)) : NULL;
	if (!d)
		return NULL;
	d->refs = 1;
	d->version = b->told_version;
	d->count = announce_all(b, d->prefixes);
	if (!d->count) {
		free(d);
		return NULL;
	}
	for (size_t k = 0; k < d->count; k++)
		prefix_hold(d->prefixes[k]);
	b->dump = d;
	return d;
}

static void dump_put(struct babel *b, struct babel_dump *d)
{
	if (!d || --d->refs)
		return;
	if (b->dump == d)
		b->dump = NULL;
	for (size_t k = 0; k < d->count; k++)
		prefix_release(b, d->prefixes[k]);
	free(d);
}

static void clear_dump(struct babel *b, struct babel_queue *q)
{
	dump_put(b, q->dump);
	q->dump = NULL;
	q->dump_at = 0;
	q->dump_again = q->thin = false;
}

void queue_clear(struct babel *b, struct babel_queue *q)
{
	babel_timer_unset(b, &q->timer);
	queue_unready(b, q);
	for (; q->update_at < q->update_count; q->update_at++)
		prefix_release(b, q->updates[q->update_at].prefix);
	clear_dump(b, q);
	free(q->updates);
	free(q->requests);
	*q = (struct babel_queue){ .timer = q->timer, .iface = q->iface, .neighbour = q->neighbour };
}

void queue_rest(struct babel *b, struct babel_queue *q)
{
	if (!queue_dumps(q))
		clear_dump(b, q);
	if (q->update_at == q->update_count && q->update_size > QUEUE_KEPT) {
		free(q->updates);
		q->updates = NULL;
		q->update_at = q->update_count = q->update_size = 0;
	}
	if (!q->request_count && q->request_size > QUEUE_KEPT) {
		free(q->requests);
		q->requests = NULL;
		q->request_size = 0;
	}
}

void queue_free(struct babel *b, struct babel_queue *q)
{
	if (!q)
		return;
	queue_clear(b, q);
	free(q);
	babel_timers_want(b, -1);
}

struct babel_queue *queue_of(struct babel *b, struct babel_iface *i, struct babel_neighbour *n)
{
	if (!i->up || b->stopped)
		return NULL;
	if (!n)
		return i->queue;
	if (!n->queue)
		n->queue = queue_new(b, i, n);
	return n->queue;
}

bool queue_waits(const struct babel_queue *q)
{
	if (q->hello || q->ihus || q->retraction || q->challenge || q->reply || q->ack_count || q->request_count)
		return true;
	return !q->iface->starting && (q->update_at < q->update_count || queue_dumps(q));
}

void queue_unready(struct babel *b, struct babel_queue *q)
{
	if (!q->ready)
		return;
	if (q->ready_prev)
		q->ready_prev->ready_next = q->ready_next;
	else
		b->ready_first = q->ready_next;
	if (q->ready_next)
		q->ready_next->ready_prev = q->ready_prev;
	else
		b->ready_last = q->ready_prev;
	q->ready_next = q->ready_prev = NULL;
	q->ready = false;
}

void queue_make_ready(struct babel *b, struct babel_queue *q)
{
	if (q->ready)
		return;
	babel_timer_unset(b, &q->timer);
	q->ready = true;
	q->ready_prev = b->ready_last;
	q->ready_next = NULL;
	if (b->ready_last)
		b->ready_last->ready_next = q;
	else
		b->ready_first = q;
	b->ready_last = q;
}

void queue_want(struct babel *b, struct babel_queue *q, int64_t due_us)
{
	if (q->ready)
		return;
	if (due_us <= b->now.mono_us)
		queue_make_ready(b, q);
	else if (!q->timer.timer.slot || due_us < q->timer.timer.due_us)
		babel_timer_set(b, &q->timer, due_us);
}

void queue_want_urgent(struct babel *b, struct babel_queue *q)
{
	uint32_t more_us = rng_below(&b->rng, BABEL_GATHER_MAX_US - BABEL_GATHER_MIN_US);

	queue_want(b, q, b->now.mono_us + BABEL_GATHER_MIN_US + more_us);
}

void queue_timer(struct babel *b, struct babel_timer *t)
{
	queue_make_ready(b, container_of(t, struct babel_queue, timer));
}

/* By prefix as C5 has it; of equal ones nothing needs an order. */
static int order(const void *a, const void *b)
{
	const struct queued_update *u = a, *v = b;

	return announce_order(&u->prefix, &v->prefix);
}

void queue_sort(struct babel *b, struct babel_queue *q)
{
	struct queued_update *u = q->updates;
	size_t kept = 0, count = q->update_count - q->update_at;

	if (q->update_at && count)
		memmove(u, u + q->update_at, count * sizeof(*u));
	q->update_at = 0;
	q->update_count = count;
	if (q->sorted || !count)
		return;
	qsort(u, count, sizeof(*u), order);
	for (size_t k = 0; k < count; k++) {
		if (!kept || u[kept - 1].prefix != u[k].prefix) {
			u[kept++] = u[k];
			continue;
		}
		u[kept - 1].flags |= u[k].flags;
		if (u[k].copies < u[kept - 1].copies)
			u[kept - 1].copies = u[k].copies;
		prefix_release(b, u[k].prefix);
	}
	q->update_count = kept;
	q->sorted = true;
}

/* Room for one more update. False: there is none. */
static bool make_room(struct babel *b, struct babel_queue *q)
{
	struct queued_update *v;
	size_t size;

	if (q->update_count < q->update_size)
		return true;
	queue_sort(b, q);
	if (q->update_count <= q->update_size / 2 && q->update_size)
		return true;
	if (q->update_size == BABEL_QUEUE_UPDATES_MAX)
		return q->update_count < q->update_size;
	size = q->update_size ? 2 * q->update_size : 16;
	v = realloc(q->updates, size * sizeof(*v));
	if (!v)
		return q->update_count < q->update_size;
	q->updates = v;
	q->update_size = size;
	return true;
}

void queue_update(struct babel *b, struct babel_queue *q, struct babel_prefix *p, uint8_t flags, uint8_t copies)
{
	if (!make_room(b, q)) {
		if (q->neighbour)
			iface_wildcard_request(b, q->neighbour);	/* requests fill it, and draw no more than that one would */
		else if (!queue_dumps(q))
			send_all(b, q->iface, q->neighbour);
		else
			q->dump_again = true;
		return;
	}
	prefix_hold(p);
	q->updates[q->update_count++] = (struct queued_update){ p, flags, copies };
	q->sorted = false;
}

static void update_one(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, struct babel_prefix *p,
		       enum send_urgency urgency, bool forced)
{
	struct babel_queue *q = queue_of(b, i, n);

	if (!q)
		return;
	queue_update(b, q, p, (uint8_t)((forced ? QUEUED_FORCED : 0) | (urgency == SEND_RELIABLE ? QUEUED_RELIABLE : 0)), 0);
	if (urgency == SEND_WHENEVER)
		queue_want(b, q, babel_jitter(b, i->config.hello_us / 2));
	else
		queue_want_urgent(b, q);
}

void send_update(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, struct babel_prefix *p, enum send_urgency urgency,
		 bool forced)
{
	if (i) {
		update_one(b, i, n, p, urgency, forced);
		return;
	}
	for (i = b->ifaces; i; i = i->next)
		update_one(b, i, NULL, p, urgency, forced);
}

/* A dump replaces one that is under way: the rest of that comes again, and at its place. */
static void dump_one(struct babel *b, struct babel_iface *i, struct babel_neighbour *n)
{
	struct babel_queue *q = queue_of(b, i, n);
	struct babel_dump *d;

	if (!q)
		return;
	d = dump_get(b);
	clear_dump(b, q);
	q->dump = d;
	if (!n)
		i->dumped_us = b->now.mono_us;
	if (d)
		queue_want_urgent(b, q);
}

void send_all(struct babel *b, struct babel_iface *i, struct babel_neighbour *n)
{
	if (i) {
		dump_one(b, i, n);
		return;
	}
	for (i = b->ifaces; i; i = i->next)
		dump_one(b, i, NULL);
}

/* Those for the same next to each other, with the newest seqno first. */
static int request_order(const void *a, const void *b)
{
	const struct queued_request *x = a, *y = b;
	int differ = x->for_seqno - y->for_seqno;

	if (!differ)
		differ = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
	if (!differ)
		differ = memcmp(x->router_id, y->router_id, sizeof(x->router_id));
	return differ || x->seqno == y->seqno ? differ : seqno_newer(x->seqno, y->seqno) ? -1 : 1;
}

static bool same_request(const struct queued_request *a, const struct queued_request *b)
{
	return a->for_seqno == b->for_seqno && !memcmp(&a->prefix, &b->prefix, sizeof(a->prefix)) &&
		!memcmp(a->router_id, b->router_id, sizeof(a->router_id));
}

void queue_sort_requests(struct babel_queue *q)
{
	struct queued_request *v = q->requests;
	size_t kept = 0;

	if (q->requests_sorted || !q->request_count)
		return;
	qsort(v, q->request_count, sizeof(*v), request_order);
	for (size_t k = 0; k < q->request_count; k++)
		if (!kept || !same_request(&v[kept - 1], &v[k]))
			v[kept++] = v[k];
	q->request_count = kept;
	q->requests_sorted = true;
}

/* Room for one more. False: there is none. */
static bool make_request_room(struct babel_queue *q)
{
	struct queued_request *v;
	size_t size;

	if (q->request_count < q->request_size)
		return true;
	queue_sort_requests(q);
	if (q->request_count < q->request_size / 2)
		return true;
	if (q->request_size == BABEL_QUEUE_REQUESTS_MAX)
		return q->request_count < q->request_size;
	size = q->request_size ? 2 * q->request_size : 8;
	v = realloc(q->requests, size * sizeof(*v));
	if (!v)
		return q->request_count < q->request_size;
	q->requests = v;
	q->request_size = size;
	return true;
}

static void request_one(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct queued_request *r)
{
	struct babel_queue *q = queue_of(b, i, n);

	if (!q || !make_request_room(q))
		return;		/* who asks, asks again */
	q->requests[q->request_count++] = *r;
	q->requests_sorted = false;
	queue_want_urgent(b, q);
}

static void request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct queued_request *r)
{
	if (i) {
		request_one(b, i, n, r);
		return;
	}
	for (i = b->ifaces; i; i = i->next)
		request_one(b, i, NULL, r);
}

void send_route_request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct prefix_pair *prefix)
{
	struct queued_request r;

	memset(&r, 0, sizeof(r));	/* they are compared by their bytes */
	r.wildcard = !prefix;
	if (prefix)
		r.prefix = *prefix;
	request(b, i, n, &r);
}

void send_seqno_request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct prefix_pair *prefix,
			const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno, uint8_t hop_count)
{
	struct queued_request r;

	memset(&r, 0, sizeof(r));
	r.for_seqno = true;
	r.prefix = *prefix;
	r.seqno = seqno;
	r.hop_count = hop_count;
	memcpy(r.router_id, router_id, sizeof(r.router_id));
	request(b, i, n, &r);
}

void queue_ack(struct babel *b, struct babel_neighbour *n, uint16_t opaque, int64_t within_us)
{
	struct babel_queue *q = queue_of(b, n->iface, n);

	if (!q || q->ack_count == BABEL_QUEUE_ACKS_MAX)
		return;
	q->acks[q->ack_count++] = opaque;
	if (within_us / 2 < BABEL_GATHER_MAX_US)
		queue_want(b, q, b->now.mono_us + within_us / 2);
	else
		queue_want_urgent(b, q);
}
