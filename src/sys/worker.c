/* SPDX-License-Identifier: MIT */
/*
 * A worker's life: sleep until its TUN queue, a socket or its doorbell has something; take a batch, give it to the lane, send
 * what comes out, hand over what is another's; and before it sleeps again tell the control thread if there is something to
 * think about.
 *
 * Ownership. A batch read from the TUN lies in one of the worker's READERS readers. When some of its packets belong to other
 * lanes, they get a pointer to the batch through their ring and the reader stays theirs until the last of them has counted
 * itself off; the worker goes on with another. If all are out it stops reading: the queue in front of the TUN is then the
 * kernel's. Nothing is copied but a datagram that was steered to the wrong lane, which is rare and counted.
 *
 * Every callback is between gate_enter() and gate_leave(), so whoever closes the gate finds the lane between two batches.
 */
#include "sys/worker.h"

#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ring.h"
#include "node/lane.h"
#include "node/node.h"
#include "sys/arena.h"
#include "sys/clock.h"
#include "sys/gate.h"
#include "sys/tun.h"
#include "sys/udp.h"

enum {
	READERS = 4,
	BATCH_BYTES = 160 * 1024,	/* a few super-packets: what was read is sealed while the caches know it */
	ROUNDS = 8,		/* batches from one source before the others have a turn */
	STRAY_SIZE = 2048,
	STRAYS = RING_SIZE,
	ROOM_MIN = 64 * 1024,	/* bytes unsent in the sockets, as the kernel counts memory: about a burst */
	ROOM_MAX = 2 * 1024 * 1024,
	ROOM_WAIT_MS = 1,
	ROOM_DECAY_MS = 100,
	SLOW_BATCH_BYTES = 8 * 1024,	/* a batch while the sockets were full within the last SLOW_MS */
	SLOW_MS = 1000,
	FULL_WAIT_MS = 2,	/* for room in a socket, a few times */
	FULL_WAITS = 5,
};

/* A batch from the TUN and who holds it. */
struct batch {
	struct arena arena;			/* behind the reader */
	struct tun_reader reader;
	struct packet packets[PACKET_BATCH];
	atomic_uint holders;
	struct {
		struct handover items[PACKET_BATCH];
		size_t count;
	} to[LANES_MAX];
};

/* A message for another lane. */
struct stray {
	atomic_bool used;
	struct dgram dgram;
	uint8_t bytes[PACKET_HEADROOM + STRAY_SIZE + PACKET_TAILROOM];
};

struct worker {
	struct workers *all;
	struct lane *lane;
	unsigned int number;
	pthread_t thread;
	bool started;
	struct gate gate;
	struct ev_loop *loop;
	ev_io tun_io, udp4_io, udp6_io;
	ev_async doorbell;
	struct batch *batches;			/* READERS */
	struct batch *batch;			/* being filled */
	struct arena udp_arena;			/* what is received into */
	atomic_bool starved;			/* all batches are out */
	struct stray *strays;			/* STRAYS */
	struct ring batches_in[LANES_MAX];	/* from each lane */
	struct ring strays_in[LANES_MAX];
	ev_timer room;				/* look again whether the sockets have room */
	uint64_t room_bytes;			/* may be unsent before we stop reading */
	int64_t room_raised_us;
	int64_t full_us, read_us;		/* when there was no room last, and when the TUN was read last */
	struct udp_stats udp_stats;
	struct worker_counts counts;
	atomic_bool quit, watch;
};

struct workers {
	struct workers_options o;
	struct worker *v;
	unsigned int count;
	atomic_bool following, tun_gone;
	pthread_mutex_t mutex;
	pthread_cond_t watched;
	unsigned int to_watch;			/* workers that still watch old sockets */
	struct udp *old;			/* these; each worker closes its own */
};

/* The TUN queue a worker writes to, and reads from if there are enough of them. */
static unsigned int queue_of(const struct worker *k)
{
	return k->number < k->all->o.tun->queues ? k->number : 0;
}

static void ring_bell(struct worker *k)
{
	ev_async_send(k->loop, &k->doorbell);
}

/*
 * Output.
 */

static void pass_stray(struct worker *k, const struct dgram *d)
{
	struct worker *to = &k->all->v[wg_index_lane(wg_data_receiver(d->data))];
	struct stray *s = NULL;

	for (size_t i = 0; i < STRAYS && !s; i++)
		if (!atomic_load_explicit(&k->strays[i].used, memory_order_acquire))
			s = &k->strays[i];
	if (!s || d->len > STRAY_SIZE) {
		k->lane->drops[DROP_QUEUE_FULL]++;
		return;
	}
	s->dgram = *d;
	s->dgram.data = s->bytes + PACKET_HEADROOM;
	memcpy(s->dgram.data, d->data, d->len);
	atomic_store_explicit(&s->used, true, memory_order_release);
	k->counts.strays++;
	if (!ring_put(&to->strays_in[k->number], s)) {
		atomic_store_explicit(&s->used, false, memory_order_release);
		k->lane->drops[DROP_QUEUE_FULL]++;
		return;
	}
	ring_bell(to);
}

static void send_runs(struct worker *k, struct dgram *dgrams, size_t count)
{
	size_t refused = 0, unsent;

	for (int waits = 0; count; waits++) {
		refused += udp_send(k->all->o.udp, k->number, dgrams, count, &k->udp_stats, &unsent);
		if (unsent == count)
			break;
		/* The socket is full. While we wait nothing is read, so the queue grows in front of the TUN. */
		dgrams += unsent;
		count -= unsent;
		if (waits == FULL_WAITS) {
			refused += udp_messages(dgrams, count);
			break;
		}
		udp_wait(k->all->o.udp, k->number, FULL_WAIT_MS);
	}
	if (refused)
		lane_count_udp_refused(k->lane, refused);
}

static void keep_handovers(struct batch *b, const struct lane_out *out)
{
	for (size_t i = 0; i < out->handover_count; i++) {
		unsigned int to = out->handovers[i].peer->home;

		b->to[to].items[b->to[to].count++] = out->handovers[i];
	}
}

/* Send what the lane has put out. 'b' is the batch its handovers lie in, if it can have any. */
static void flush(struct worker *k, struct batch *b)
{
	const struct lane_out *out = lane_out(k->lane);
	size_t packets = 0, taken;

	if (out->dgram_count)
		send_runs(k, out->dgrams, out->dgram_count);
	if (out->write_count) {
		for (size_t i = 0; i < out->write_count; i++)
			packets += out->writes[i].packets;
		taken = tun_write_batch(k->all->o.tun, queue_of(k), out->writes, out->write_count, &k->counts.fallbacks);
		lane_count_tun_refused(k->lane, packets - taken);
	}
	if (b)
		keep_handovers(b, out);
	for (size_t i = 0; i < out->stray_count; i++)
		pass_stray(k, &out->strays[i]);
	lane_out_clear(k->lane);
}

/*
 * Batches to and from other lanes.
 */

/* Give the batch to the lanes that have packets in it. True: somebody has it now. */
static bool hand_over(struct worker *k, struct batch *b)
{
	unsigned int holders = 0;

	for (unsigned int i = 0; i < k->all->count; i++)
		holders += b->to[i].count > 0;
	if (!holders)
		return false;
	atomic_store_explicit(&b->holders, holders, memory_order_relaxed);
	for (unsigned int i = 0; i < k->all->count; i++) {
		struct worker *to = &k->all->v[i];

		if (!b->to[i].count)
			continue;
		k->counts.handed_over += b->to[i].count;
		/* There are fewer batches than places in the ring. */
		ring_put(&to->batches_in[k->number], b);
		ring_bell(to);
	}
	return true;
}

static void give_back(struct worker *owner, struct batch *b, unsigned int number)
{
	b->to[number].count = 0;
	/* As at the gate: we say that it is free and then look at 'starved', the owner does it the other way round. */
	if (atomic_fetch_sub(&b->holders, 1) == 1 && atomic_load(&owner->starved))
		ring_bell(owner);
}

/* A batch nobody holds, or NULL. */
static struct batch *free_batch(struct worker *k)
{
	for (size_t i = 0; i < READERS; i++)
		if (!atomic_load(&k->batches[i].holders))
			return &k->batches[i];
	return NULL;
}

static void take_batch(struct worker *k, struct batch *b)
{
	const struct handover *items = b->to[k->number].items;
	size_t count = b->to[k->number].count, done = 0;
	struct instant now = clock_now();

	while (done < count) {
		done += lane_from_lane(k->lane, now, items + done, count - done);
		flush(k, NULL);
	}
}

/*
 * What lies in the sockets nobody can manage: while there is more than about a millisecond's worth we read nothing. How much that is
 * is learnt as the kernel's byte queue limits do it: when the sockets run dry while we waited it was too little; when
 * that has not happened for a while it may be too much.
 */
static bool sockets_have_room(struct worker *k)
{
	return udp_room(k->all->o.udp, k->number, k->room_bytes);
}

/* Stop reading the TUN, and what other lanes have read for us, until the sockets have room. */
static void wait_for_room(struct worker *k)
{
	k->full_us = clock_now().mono_us;
	ev_io_stop(k->loop, &k->tun_io);
	if (ev_is_active(&k->room))
		return;
	ev_timer_set(&k->room, ROOM_WAIT_MS / 1e3, 0.0);	/* anew each time: one that has run has no time left */
	ev_timer_start(k->loop, &k->room);
}

/*
 * What is in our rings, but no more of each than fits one: who reads faster than we seal would keep us here, away from our own
 * sockets and the gate. Without room in the sockets batches stay where they are, and soon their reader stops, too. True: there may
 * be more.
 */
static bool take_from_lanes(struct worker *k)
{
	bool more = false, room = sockets_have_room(k);

	for (unsigned int i = 0; i < k->all->count; i++) {
		struct batch *b;
		struct stray *s;
		int batches = 0, strays = 0;

		while (room && batches < READERS && (b = ring_take(&k->batches_in[i]))) {
			take_batch(k, b);
			give_back(&k->all->v[i], b, k->number);
			batches++;
			room = sockets_have_room(k);
		}
		while (strays < RING_SIZE && (s = ring_take(&k->strays_in[i]))) {
			lane_from_udp(k->lane, clock_now(), &s->dgram, 1);
			flush(k, NULL);
			atomic_store_explicit(&s->used, false, memory_order_release);
			strays++;
		}
		more |= (room && batches == READERS) || strays == RING_SIZE;
	}
	if (!room)
		wait_for_room(k);
	return more;
}

/*
 * Turns.
 */

/* The end of every callback: what waits in the lane is sent, and the control thread told. */
static void leave(struct worker *k)
{
	bool more = k->lane->pending != NULL;

	/* Megabytes may have waited for a session: they go as the sockets take them, not all while the gate is shut. */
	for (int i = 0; more && i < ROUNDS && sockets_have_room(k); i++) {
		more = lane_drain(k->lane, clock_now());
		flush(k, NULL);
	}
	if (more && sockets_have_room(k))
		ring_bell(k);
	else if (more)
		wait_for_room(k);
	if (lane_urgent(k->lane) || (k->lane->noted && !atomic_load(&k->all->following)))
		k->all->o.ring(k->all->o.ctx);
	gate_leave(&k->gate);
}

static void on_room(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct worker *k = w->data;
	int64_t now_us = clock_now().mono_us;

	(void)revents;
	gate_enter(&k->gate);
	if (udp_room(k->all->o.udp, k->number, 1)) {
		k->room_bytes = k->room_bytes * 2 < ROOM_MAX ? k->room_bytes * 2 : ROOM_MAX;
		k->room_raised_us = now_us;
	} else if (now_us - k->room_raised_us > ROOM_DECAY_MS * US_PER_MS) {
		k->room_bytes -= (k->room_bytes - ROOM_MIN) / 4;
		k->room_raised_us = now_us;
	}
	if (!sockets_have_room(k)) {
		wait_for_room(k);
	} else {
		if (k->batch && k->number < k->all->o.tun->queues)
			ev_io_start(loop, &k->tun_io);	/* without a batch feed_again() does it */
		ring_bell(k);	/* for what other lanes have read meanwhile */
	}
	leave(k);
}

/* Where the sockets fill up a batch is one super-packet, so that no more than that lies behind the one that filled them. */
static size_t batch_bytes(const struct worker *k)
{
	bool slow = k->full_us && k->read_us - k->full_us < SLOW_MS * US_PER_MS;

	return slow ? SLOW_BATCH_BYTES : BATCH_BYTES;
}

/* One batch from the TUN. False: there is no more, or nothing to read it into. */
static bool read_tun(struct worker *k)
{
	struct batch *b = k->batch;
	struct instant now;
	size_t done = 0;
	int n;

	if (!b)
		return false;
	if (!sockets_have_room(k)) {
		wait_for_room(k);
		return false;
	}
	n = tun_read(k->all->o.tun, k->number, &b->reader, b->packets, PACKET_BATCH, batch_bytes(k));
	if (n < 0 && n != -EIO) {
		ev_io_stop(k->loop, &k->tun_io);
		atomic_store(&k->all->tun_gone, true);
		k->all->o.ring(k->all->o.ctx);
	}
	if (n <= 0)
		return false;
	now = clock_now();
	k->read_us = now.mono_us;
	while (done < (size_t)n) {
		done += lane_from_tun(k->lane, now, b->packets + done, (size_t)n - done);
		flush(k, b);
	}
	if (!hand_over(k, b))
		return true;
	k->batch = free_batch(k);
	if (k->batch)
		return true;
	atomic_store(&k->starved, true);
	k->batch = free_batch(k);	/* given back meanwhile: no bell will ring for it */
	if (!k->batch) {
		ev_io_stop(k->loop, &k->tun_io);
		return false;
	}
	atomic_store(&k->starved, false);
	return true;
}

static void on_tun(struct ev_loop *loop, ev_io *w, int revents)
{
	struct worker *k = w->data;

	(void)loop;
	(void)revents;
	gate_enter(&k->gate);
	for (int i = 0; i < ROUNDS && read_tun(k); i++)
		;
	leave(k);
}

static void on_udp(struct ev_loop *loop, ev_io *w, int revents)
{
	struct worker *k = w->data;
	struct dgram dgrams[PACKET_BATCH];

	(void)loop;
	(void)revents;
	gate_enter(&k->gate);
	for (int i = 0; i < ROUNDS; i++) {
		int n = udp_receive(k->all->o.udp, k->number, 0, w->fd, dgrams);

		if (n <= 0)
			break;
		lane_from_udp(k->lane, clock_now(), dgrams, (size_t)n);
		flush(k, NULL);
	}
	leave(k);
}

static void watch_socket(struct worker *k, ev_io *w, int *old, int fd)
{
	ev_io_stop(k->loop, w);
	if (*old >= 0)
		close(*old);
	*old = -1;
	ev_io_set(w, fd, EV_READ);
	if (fd >= 0)
		ev_io_start(k->loop, w);
}

static void watch_sockets(struct worker *k)
{
	const struct udp_lane *u = &k->all->o.udp->lanes[k->number];
	struct udp_lane *old = &k->all->old->lanes[k->number];

	watch_socket(k, &k->udp4_io, &old->fd4, u->fd4);
	watch_socket(k, &k->udp6_io, &old->fd6, u->fd6);
	pthread_mutex_lock(&k->all->mutex);
	k->all->to_watch--;
	pthread_cond_signal(&k->all->watched);
	pthread_mutex_unlock(&k->all->mutex);
}

static void feed_again(struct worker *k)
{
	if (!atomic_load(&k->starved))
		return;
	k->batch = free_batch(k);
	if (!k->batch)
		return;
	atomic_store(&k->starved, false);
	ev_io_start(k->loop, &k->tun_io);
}

static void on_doorbell(struct ev_loop *loop, ev_async *w, int revents)
{
	struct worker *k = w->data;

	(void)revents;
	if (atomic_load(&k->quit)) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	gate_enter(&k->gate);
	if (atomic_exchange(&k->watch, false))
		watch_sockets(k);
	if (take_from_lanes(k))
		ring_bell(k);
	feed_again(k);
	leave(k);
}

static void *run(void *arg)
{
	struct worker *k = arg;

	ev_run(k->loop, 0);
	return NULL;
}

/*
 * Start and stop.
 */

static void close_gate(void *ctx)
{
	gate_close(&((struct worker *)ctx)->gate);
}

static void open_gate(void *ctx)
{
	struct worker *k = ctx;
	bool work = k->lane->pending != NULL;

	gate_open(&k->gate);
	if (work)
		ring_bell(k);
}

static int map_slots(struct worker *k)
{
	uint8_t *slots[PACKET_BATCH];

	for (size_t i = 0; i < READERS; i++) {
		struct batch *b = &k->batches[i];

		b->arena = arena_map(PACKET_BATCH);
		if (!b->arena.base)
			return -ENOMEM;
		arena_fill(&b->arena, 0, b->reader.slots);
	}
	k->udp_arena = arena_map(PACKET_BATCH);
	if (!k->udp_arena.base)
		return -ENOMEM;
	arena_fill(&k->udp_arena, 0, slots);
	udp_give_slots(k->all->o.udp, k->number, slots);
	return 0;
}

static int worker_init(struct worker *k, struct workers *all, unsigned int number)
{
	const struct udp_lane *u = &all->o.udp->lanes[number];

	k->all = all;
	k->number = number;
	k->lane = node_lane(all->o.node, number);
	k->loop = ev_loop_new(EVFLAG_AUTO);
	k->batches = calloc(READERS, sizeof(*k->batches));
	k->strays = calloc(STRAYS, sizeof(*k->strays));
	if (!k->loop || !k->batches || !k->strays || gate_init(&k->gate))
		return -ENOMEM;
	if (map_slots(k))
		return -ENOMEM;
	k->batch = &k->batches[0];
	ev_io_init(&k->tun_io, on_tun, all->o.tun->fds[queue_of(k)], EV_READ);
	ev_io_init(&k->udp4_io, on_udp, u->fd4, EV_READ);
	ev_io_init(&k->udp6_io, on_udp, u->fd6, EV_READ);
	ev_async_init(&k->doorbell, on_doorbell);
	ev_timer_init(&k->room, on_room, 0.0, 0.0);
	k->room.data = k;
	k->room_bytes = ROOM_MIN;
	k->tun_io.data = k->udp4_io.data = k->udp6_io.data = k->doorbell.data = k;
	ev_async_start(k->loop, &k->doorbell);
	if (number < all->o.tun->queues)
		ev_io_start(k->loop, &k->tun_io);
	if (u->fd4 >= 0)
		ev_io_start(k->loop, &k->udp4_io);
	if (u->fd6 >= 0)
		ev_io_start(k->loop, &k->udp6_io);
	k->lane->gate = (struct lane_gate){ .close = close_gate, .open = open_gate, .ctx = k };
	return 0;
}

static int start_threads(struct workers *w)
{
	sigset_t all, before;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned int i = 0; i < w->count && !error; i++) {
		error = pthread_create(&w->v[i].thread, NULL, run, &w->v[i]);
		w->v[i].started = !error;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int workers_start(struct workers **out, const struct workers_options *o)
{
	struct workers *w = calloc(1, sizeof(*w));
	int error = 0;

	if (!w)
		return -ENOMEM;
	w->o = *o;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->watched, NULL);
	w->v = aligned_alloc(64, sizeof(*w->v) * o->count);
	if (w->v)
		memset(w->v, 0, sizeof(*w->v) * o->count);
	else
		error = -ENOMEM;
	w->count = error ? 0 : o->count;
	for (unsigned int i = 0; i < w->count && !error; i++)
		error = worker_init(&w->v[i], w, i);
	if (!error)
		error = start_threads(w);
	if (error) {
		workers_stop(w);
		return error;
	}
	*out = w;
	return 0;
}

static void worker_done(struct worker *k)
{
	if (k->lane)
		k->lane->gate = (struct lane_gate){ 0 };
	for (size_t i = 0; k->batches && i < READERS; i++)
		arena_unmap(&k->batches[i].arena);
	arena_unmap(&k->udp_arena);
	if (k->loop)
		ev_loop_destroy(k->loop);
	gate_done(&k->gate);
	free(k->batches);
	free(k->strays);
}

void workers_stop(struct workers *w)
{
	if (!w)
		return;
	for (unsigned int i = 0; i < w->count; i++) {
		atomic_store(&w->v[i].quit, true);
		if (w->v[i].started)
			ring_bell(&w->v[i]);
	}
	for (unsigned int i = 0; i < w->count; i++)
		if (w->v[i].started)
			pthread_join(w->v[i].thread, NULL);
	for (unsigned int i = 0; i < w->count; i++)
		worker_done(&w->v[i]);
	pthread_mutex_destroy(&w->mutex);
	pthread_cond_destroy(&w->watched);
	free(w->v);
	free(w);
}

void workers_watch_sockets(struct workers *w, struct udp *old)
{
	pthread_mutex_lock(&w->mutex);
	w->old = old;
	w->to_watch = w->count;
	for (unsigned int i = 0; i < w->count; i++) {
		atomic_store(&w->v[i].watch, true);
		ring_bell(&w->v[i]);
	}
	while (w->to_watch)
		pthread_cond_wait(&w->watched, &w->mutex);
	pthread_mutex_unlock(&w->mutex);
}

void workers_purge(struct workers *w)
{
	for (unsigned int to = 0; to < w->count; to++)
		for (unsigned int from = 0; from < w->count; from++) {
			struct batch *b;

			while ((b = ring_take(&w->v[to].batches_in[from]))) {
				w->v[to].lane->drops[DROP_QUEUE_FULL] += b->to[to].count;
				give_back(&w->v[from], b, to);
			}
		}
}

void workers_wake(struct workers *w)
{
	for (unsigned int i = 0; i < w->count; i++)
		ring_bell(&w->v[i]);
}

void workers_set_following(struct workers *w, bool following)
{
	atomic_store(&w->following, following);
}

bool workers_tun_gone(const struct workers *w)
{
	return atomic_load(&w->tun_gone);
}

struct worker_counts workers_counts(const struct workers *w, unsigned int lane)
{
	return w->v[lane].counts;
}
