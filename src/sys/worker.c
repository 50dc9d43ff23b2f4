/* SPDX-License-Identifier: MIT */
/*
 * A worker's life: sleep until its TUN queue, a socket or its doorbell has something; read what there is; give it to the lane, send
 * what comes out, hand over what is another's; and before it sleeps again tell the control thread if there is something to
 * think about.
 *
 * While there is little to do everything is done as it is read. A turn has a credit for that; when it is used up - so more comes than
 * one turn can deal with - the rest is read all the same, and waits in the lane's queues, not in the kernel's. At the end of a turn, before
 * the worker would sleep, a bounded part of the queues is served, and the next turn begins with reading again. So nothing waits
 * where nobody manages it, and a packet of a quiet flow waits for one turn at most.
 *
 * Below the queue everything is short: while more than about a millisecond's worth lies unsent in the sockets nothing is sent.
 *
 * Ownership. Packets are read into slots of the lane's pool; what waits keeps its slot and the reader gets another. A batch read from
 * the TUN lies in one of the worker's READERS readers. When some of its packets belong to other lanes, they get a pointer to the batch
 * through their ring and the reader stays theirs until the last of them has counted itself off; the worker goes on with another. Nothing
 * large is copied but what another lane has to queue, and what a lane opened for a peer of another's (from link to link, to one without
 * sub-sessions): that goes over in blocks. Datagrams that were steered to the wrong lane are copied too, which are rare and counted.
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
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/ring.h"
#include "node/lane.h"
#include "node/node.h"
#include "sys/clock.h"
#include "sys/crossing.h"
#include "sys/gate.h"
#include "sys/pace.h"
#include "sys/slice.h"
#include "sys/tun.h"
#include "sys/udp.h"

/* The bench makes this so large that nothing is queued but for want of room, to see what queueing costs. */
#ifndef WORKER_CREDIT_BYTES
#define WORKER_CREDIT_BYTES (192 * 1024)	/* of a turn: read and done at once */
#endif

enum {
	READERS = 4,
	BATCH_BYTES = 160 * 1024,	/* a few super-packets: what was read is sealed while the caches know it */
	READ_AHEAD = 8,			/* batches read in a turn, from one source */
	SERVE_BYTES = 256 * 1024,	/* of the queue, in a turn */
	SERVE_IN_BYTES = 128 * 1024,	/* of what came in: were it all small, it still fits one merge */
	ROOM_WAIT_MS = 1,
	FULL_WAIT_MS = 2,	/* for room in a socket, a few times */
	FULL_WAITS = 5,
	PORTS = UDP_PORTS_MAX + 1,
};

/* A batch from the TUN and who holds it. */
struct batch {
	struct tun_reader reader;
	struct packet packets[PACKET_BATCH];
	atomic_uint holders;
	struct {
		struct handover items[PACKET_BATCH];
		size_t count;
	} to[LANES_MAX];
};

/* A socket that is watched: one of P_port's, or with port 0 of the listen port's. */
struct source {
	ev_io io;
	unsigned int port;
};

struct worker {
	struct workers *all;
	struct lane *lane;
	unsigned int number;
	pthread_t thread;
	bool started;
	struct gate gate;
	struct ev_loop *loop;
	ev_io tun_io;
	struct source *sources;			/* 2 * PORTS: bit 0 of the place says IPv6 */
	unsigned int ports_watched;		/* of P_1.. that were looked at */
	ev_async doorbell;
	ev_prepare serving;
	int64_t credit;				/* bytes that are still done as they are read */
	struct batch *batches;			/* READERS */
	struct batch *batch;			/* being filled */
	atomic_bool starved;			/* all batches are out */
	struct crossing crossing;		/* what goes to other lanes by copying */
	struct ring batches_in[LANES_MAX];	/* from each lane */
	struct ring strays_in[LANES_MAX];
	struct ring blocks_in[LANES_MAX];
	ev_timer room;				/* look again whether the sockets have room */
	ev_io shaper_io;			/* a timerfd: a shaper lets the next packet go */
	atomic_bool holding;			/* there was none; others look */
	struct pace pace;
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
	struct worker *to = &k->all->v[lane_of_index(wg_data_receiver(d->data), k->all->count)];
	struct stray *s = crossing_copy(&k->crossing, d);

	k->counts.strays += s ? 1 : 0;
	if (s && ring_put(&to->strays_in[k->number], s)) {
		ring_bell(to);
		return;
	}
	if (s)
		crossing_return(&s->used);
	k->lane->drops[DROP_QUEUE_FULL]++;
}

static void send_runs(struct worker *k, struct dgram *dgrams, size_t count)
{
	size_t refused = 0, unsent;

	for (size_t i = 0; i < count; i++)
		pace_sent(&k->pace, dgrams[i].len);
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

/* There are fewer blocks than places in the ring. */
static void pass_block(struct worker *k, unsigned int to, struct block *b)
{
	if (!b)
		return;
	k->counts.handed_over += b->count;
	ring_put(&k->all->v[to].blocks_in[k->number], b);
	ring_bell(&k->all->v[to]);
}

/* What a lane opened for others lies in memory that is used again at once. */
static void copy_handovers(struct worker *k, const struct lane_out *out)
{
	for (size_t i = 0; i < out->handover_count; i++) {
		unsigned int to = out->handovers[i].peer->home;
		struct block *full;

		if (!crossing_add(&k->crossing, to, &out->handovers[i], &full))
			k->lane->drops[DROP_QUEUE_FULL]++;
		pass_block(k, to, full);
	}
	for (unsigned int i = 0; out->handover_count && i < k->all->count; i++)
		pass_block(k, i, crossing_take(&k->crossing, i));
}

/* Send what the lane has put out. 'b' is the batch its handovers lie in, if that is read from the TUN. */
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
	else
		copy_handovers(k, out);
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

/* While there is more than about a millisecond's worth in the sockets we send nothing. */
static bool sockets_have_room(struct worker *k)
{
	return udp_room(k->all->o.udp, k->number, k->pace.room_bytes);
}

/* Send nothing until the sockets have room. */
static void wait_for_room(struct worker *k)
{
	pace_full(&k->pace, clock_now().mono_us);
	atomic_store_explicit(&k->holding, true, memory_order_relaxed);
	if (ev_is_active(&k->room))
		return;
	ev_timer_set(&k->room, ROOM_WAIT_MS / 1e3, 0.0);	/* anew each time: one that has run has no time left */
	ev_timer_start(k->loop, &k->room);
}

/* Whether what is read now may be done at once. */
static void set_bypass(struct worker *k)
{
	lane_set_bypass(k->lane, k->credit > 0 && !ev_is_active(&k->room));
}

static void take_batch(struct worker *k, struct batch *b)
{
	set_bypass(k);
	lane_from_lane(k->lane, clock_now(), b->to[k->number].items, b->to[k->number].count);
	flush(k, NULL);
}

static void take_block(struct worker *k, struct block *b)
{
	for (size_t i = 0; i < b->count; i += PACKET_BATCH) {
		size_t left = b->count - i;

		set_bypass(k);
		lane_from_lane(k->lane, clock_now(), b->items + i, left < PACKET_BATCH ? left : PACKET_BATCH);
		flush(k, NULL);
	}
	crossing_return(&b->used);
}

/*
 * What is in our rings, but no more of each than fits one: who reads faster than we seal would keep us here, away from our own
 * sockets and the gate. True: there may be more.
 */
static bool take_from_lanes(struct worker *k)
{
	bool more = false;

	for (unsigned int i = 0; i < k->all->count; i++) {
		struct batch *b;
		struct block *c;
		struct stray *s;
		int batches = 0, blocks = 0, strays = 0;

		while (blocks < BLOCKS && (c = ring_take(&k->blocks_in[i]))) {
			take_block(k, c);
			blocks++;
		}
		while (batches < READERS && (b = ring_take(&k->batches_in[i]))) {
			take_batch(k, b);
			give_back(&k->all->v[i], b, k->number);
			batches++;
		}
		while (strays < RING_SIZE && (s = ring_take(&k->strays_in[i]))) {
			set_bypass(k);
			lane_from_udp(k->lane, clock_now(), &s->dgram, 1);
			flush(k, NULL);
			crossing_return(&s->used);
			strays++;
		}
		more |= batches == READERS || blocks == BLOCKS || strays == RING_SIZE;
	}
	return more;
}

/*
 * Serving the queues, before every sleep.
 */

/* True: there is more that could go now. */
static bool serve_out(struct worker *k)
{
	bool more = lane_has_out(k->lane);

	for (uint32_t left = SERVE_BYTES; more && left;) {
		struct instant now = clock_now();
		uint32_t bytes = k->pace.burst < left ? k->pace.burst : left;
		int64_t burst_us;

		if (!sockets_have_room(k)) {
			wait_for_room(k);
			return false;
		}
		if (pace_measure(&k->pace, now.mono_us, &burst_us))
			lane_set_burst(k->lane, k->pace.burst, burst_us);
		more = lane_drain(k->lane, now, bytes);
		flush(k, NULL);
		left -= bytes;
	}
	return more;
}

static bool serve_in(struct worker *k)
{
	bool more;

	if (!lane_has_in(k->lane))
		return false;
	set_bypass(k);
	more = lane_drain_in(k->lane, clock_now(), SERVE_IN_BYTES);
	flush(k, NULL);
	return more;
}

/* Wake when a shaper lets the next packet go; a libev timer would be a millisecond late. */
static void arm_shaper(struct worker *k)
{
	struct instant now = clock_now();
	int64_t wait_us = lane_wait_us(k->lane, now);
	struct itimerspec at = { .it_value = { .tv_sec = 0 } };

	/* While the sockets are full it is not the shaper we wait for. */
	if (wait_us == NEVER_US || ev_is_active(&k->room))
		return;
	if (wait_us < 1)
		wait_us = 1;
	at.it_value.tv_sec = (time_t)(wait_us / US_PER_S);
	at.it_value.tv_nsec = (long)(wait_us % US_PER_S) * 1000;
	timerfd_settime(k->shaper_io.fd, 0, &at, NULL);
}

static void on_serving(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct worker *k = w->data;
	bool more;

	(void)loop;
	(void)revents;
	gate_enter(&k->gate);
	/* In before out: what is opened for another peer may wait to go out then. */
	more = serve_in(k);
	more |= !ev_is_active(&k->room) && serve_out(k);
	if (lane_out_any(k->lane))
		flush(k, NULL);	/* what the control thread has put there */
	arm_shaper(k);
	k->credit = WORKER_CREDIT_BYTES;
	if (more)
		ring_bell(k);
	if (lane_urgent(k->lane) || (lane_has_news(k->lane) && !atomic_load(&k->all->following)))
		k->all->o.ring(k->all->o.ctx);
	gate_leave(&k->gate);
}

static void on_shaper(struct ev_loop *loop, ev_io *w, int revents)
{
	uint64_t times;
	ssize_t n = read(w->fd, &times, sizeof(times));	/* waking is enough */

	(void)loop;
	(void)revents;
	(void)n;
}

/* Whether the line may have been idle: our sockets are empty though there is more to send, and no other worker's are full. */
static bool ran_dry(const struct worker *k)
{
	for (unsigned int i = 0; i < k->all->count; i++)
		if (atomic_load_explicit(&k->all->v[i].holding, memory_order_relaxed))
			return false;
	return lane_has_out(k->lane) && udp_room(k->all->o.udp, k->number, 1);
}

static void on_room(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct worker *k = w->data;

	(void)loop;
	(void)revents;
	gate_enter(&k->gate);
	atomic_store_explicit(&k->holding, false, memory_order_relaxed);
	pace_waited(&k->pace, clock_now().mono_us, ran_dry(k));
	/* Serving comes before the next sleep, and looks itself whether there is room. */
	gate_leave(&k->gate);
}

/*
 * Reading.
 */

static int64_t bytes_of_packets(const struct packet *packets, int n)
{
	int64_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += packets[i].len;
	return bytes;
}

/* A free reader in the place of one that other lanes have now. False: there is none, and reading stops. */
static bool next_reader(struct worker *k)
{
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

/* One batch from the TUN. False: there is no more, or nothing to read it into. */
static bool read_tun(struct worker *k)
{
	struct batch *b = k->batch;
	int64_t bytes;
	int n;

	if (!b)
		return false;
	n = tun_read(k->all->o.tun, k->number, &b->reader, b->packets, PACKET_BATCH, BATCH_BYTES);
	if (n < 0 && n != -EIO) {
		ev_io_stop(k->loop, &k->tun_io);
		atomic_store(&k->all->tun_gone, true);
		k->all->o.ring(k->all->o.ctx);
	}
	if (n <= 0)
		return false;
	bytes = bytes_of_packets(b->packets, n);
	set_bypass(k);
	lane_from_tun(k->lane, clock_now(), b->packets, (size_t)n);
	tun_return_slots(&b->reader, b->packets, (size_t)n);
	flush(k, b);
	k->credit -= bytes;
	if (hand_over(k, b) && !next_reader(k))
		return false;
	return n == PACKET_BATCH || bytes >= BATCH_BYTES;
}

static void on_tun(struct ev_loop *loop, ev_io *w, int revents)
{
	struct worker *k = w->data;

	(void)loop;
	(void)revents;
	gate_enter(&k->gate);
	for (int i = 0; i < READ_AHEAD && read_tun(k); i++)
		;
	gate_leave(&k->gate);
}

static int64_t bytes_of_dgrams(const struct dgram *dgrams, int n)
{
	int64_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += dgrams[i].len;
	return bytes;
}

/* One batch from a socket. False: there is no more. */
static bool read_udp(struct worker *k, const struct source *source)
{
	struct udp *u = k->all->o.udp;
	unsigned int asked = u->lanes[k->number].vlen;
	struct dgram dgrams[PACKET_BATCH];
	int n = udp_receive(u, k->number, source->port, source->io.fd, dgrams);

	if (n <= 0)
		return false;
	set_bypass(k);
	if (k->credit > 0 && !lane_has_in(k->lane))
		lane_from_udp(k->lane, clock_now(), dgrams, (size_t)n);
	else
		lane_queue_udp(k->lane, clock_now(), dgrams, (size_t)n);
	udp_return_slots(u, k->number, dgrams, (size_t)n);
	if (lane_out_any(k->lane))
		flush(k, NULL);
	k->credit -= bytes_of_dgrams(dgrams, n);
	return (unsigned int)n >= asked;
}

static void on_udp(struct ev_loop *loop, ev_io *w, int revents)
{
	struct source *source = (struct source *)(void *)w;
	struct worker *k = w->data;

	(void)loop;
	(void)revents;
	gate_enter(&k->gate);
	if (lane_out_any(k->lane))
		flush(k, NULL);	/* what the control thread has put there */
	for (int i = 0; i < READ_AHEAD && read_udp(k, source); i++)
		;
	gate_leave(&k->gate);
}

static void watch_socket(struct worker *k, unsigned int port, bool v6, int fd)
{
	struct source *source = &k->sources[2 * port + v6];

	source->port = port;
	ev_io_stop(k->loop, &source->io);
	ev_io_init(&source->io, on_udp, fd, EV_READ);
	source->io.data = k;
	if (fd >= 0)
		ev_io_start(k->loop, &source->io);
}

/* Ports opened since. */
static void watch_ports(struct worker *k)
{
	const struct udp *u = k->all->o.udp;

	for (; k->ports_watched < u->port_count; k->ports_watched++) {
		unsigned int port = k->ports_watched + 1;

		if (udp_port_lane(u, port) != k->number)
			continue;
		watch_socket(k, port, false, u->ports[port].fd4);
		watch_socket(k, port, true, u->ports[port].fd6);
	}
}

static void close_old(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void watch_sockets(struct worker *k)
{
	const struct udp_lane *u = &k->all->o.udp->lanes[k->number];
	struct udp_lane *old = k->all->old ? &k->all->old->lanes[k->number] : NULL;

	if (old) {
		watch_socket(k, 0, false, u->fd4);
		watch_socket(k, 0, true, u->fd6);
		close_old(&old->fd4);
		close_old(&old->fd6);
	}
	watch_ports(k);
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
	gate_leave(&k->gate);
}

static void *run(void *arg)
{
	struct worker *k = arg;

	slice_shorten();
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
	bool work = lane_has_out(k->lane) || lane_out_any(k->lane);

	gate_open(&k->gate);
	if (work)
		ring_bell(k);
}

/* Slots for what is read, of the lane's pool: where what must wait stays. False: there are too few. */
static bool take_slots(struct worker *k, uint8_t *slots[PACKET_BATCH])
{
	for (size_t i = 0; i < PACKET_BATCH; i++) {
		slots[i] = lane_slot_take(k->lane);
		if (!slots[i])
			return false;
	}
	return true;
}

static int give_slots(struct worker *k)
{
	uint8_t *slots[PACKET_BATCH];

	for (size_t i = 0; i < READERS; i++)
		if (!take_slots(k, k->batches[i].reader.slots))
			return -ENOMEM;
	if (!take_slots(k, slots))
		return -ENOMEM;
	udp_give_slots(k->all->o.udp, k->number, slots);
	return 0;
}

static int watch_all(struct worker *k)
{
	const struct udp_lane *u = &k->all->o.udp->lanes[k->number];
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	ev_io_init(&k->shaper_io, on_shaper, timer, EV_READ);
	if (timer < 0)
		return -errno;
	ev_io_start(k->loop, &k->shaper_io);
	ev_io_init(&k->tun_io, on_tun, k->all->o.tun->fds[queue_of(k)], EV_READ);
	ev_async_init(&k->doorbell, on_doorbell);
	ev_timer_init(&k->room, on_room, 0.0, 0.0);
	ev_prepare_init(&k->serving, on_serving);
	k->tun_io.data = k->doorbell.data = k->room.data = k->serving.data = k;
	ev_async_start(k->loop, &k->doorbell);
	ev_prepare_start(k->loop, &k->serving);
	if (k->number < k->all->o.tun->queues)
		ev_io_start(k->loop, &k->tun_io);
	watch_socket(k, 0, false, u->fd4);
	watch_socket(k, 0, true, u->fd6);
	watch_ports(k);
	return 0;
}

static int worker_init(struct worker *k, struct workers *all, unsigned int number)
{
	k->all = all;
	k->number = number;
	k->lane = node_lane(all->o.node, number);
	k->loop = ev_loop_new(EVFLAG_AUTO);
	k->batches = calloc(READERS, sizeof(*k->batches));
	k->sources = calloc((size_t)2 * PORTS, sizeof(*k->sources));
	if (!k->loop || !k->batches || !crossing_init(&k->crossing) || !k->sources || gate_init(&k->gate) || give_slots(k))
		return -ENOMEM;
	k->batch = &k->batches[0];
	pace_init(&k->pace);
	k->credit = WORKER_CREDIT_BYTES;
	k->lane->gate = (struct lane_gate){ .close = close_gate, .open = open_gate, .ctx = k };
	return watch_all(k);
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
	for (unsigned int i = 0; i < w->count; i++)
		w->v[i].shaper_io.fd = -1;	/* should one before it fail */
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
	if (k->shaper_io.fd >= 0)
		close(k->shaper_io.fd);
	if (k->loop)
		ev_loop_destroy(k->loop);
	gate_done(&k->gate);
	free(k->batches);
	crossing_done(&k->crossing);
	free(k->sources);
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

/* Have every worker look at the sockets, and wait until they have. */
static void watch_anew(struct workers *w, struct udp *old)
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

void workers_watch_sockets(struct workers *w, struct udp *old)
{
	watch_anew(w, old);
}

void workers_watch_ports(struct workers *w)
{
	watch_anew(w, NULL);
}

void workers_purge(struct workers *w)
{
	for (unsigned int to = 0; to < w->count; to++)
		for (unsigned int from = 0; from < w->count; from++) {
			struct batch *b;
			struct block *c;

			while ((b = ring_take(&w->v[to].batches_in[from]))) {
				w->v[to].lane->drops[DROP_QUEUE_FULL] += b->to[to].count;
				give_back(&w->v[from], b, to);
			}
			while ((c = ring_take(&w->v[to].blocks_in[from]))) {
				w->v[to].lane->drops[DROP_QUEUE_FULL] += c->count;
				crossing_return(&c->used);
			}
		}
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
