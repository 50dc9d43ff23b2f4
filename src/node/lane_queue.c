/* SPDX-License-Identifier: MIT */
/*
 * Where packets wait: two queues of flow/fq.h. One is for what goes out faster than the CPU, the sockets or a shaper let it, or has no
 * session yet; the other for what comes in faster than it can be opened. Who goes next, who is dropped and who is marked is decided there;
 * here is the memory, and what dropping and marking mean for a packet.
 *
 * A packet that fits is copied into a small slot with what is noted about it. A larger one keeps the slot it was read into: the reader
 * gets an empty one for it. Where none is left the packet goes that has just come; the queue's limits are such that this takes
 * many packets of an awkward size.
 *
 * A packet is cut as it leaves, as far as its turn allows: so a super-packet lets others in between, and CoDel drops one segment
 * of it, not forty-five.
 */
#include <string.h>

#include "crypto/aead.h"
#include "node/lane_inside.h"
#include "node/links.h"
#include "wire/ecn.h"
#include "wire/flow_key.h"
#include "wire/ip.h"

/* An inner packet that waits to go out. In a small slot, the packet behind it or in a slot of its own. */
struct waiting {
	struct fq_item item;
	struct split split;
	void *slot;			/* NULL: the packet is in 'room' */
	uint64_t hash;
	uint8_t number;			/* of the sub-session its flow was placed on */
	bool placed;			/* it was; else it goes by session 0 */
	bool transit;			/* a peer's, whom no error is told: it may be gone by then */
	uint8_t room[];			/* headroom, packet, tailroom */
};

/* A datagram that waits to be opened. The same. */
struct arrived {
	struct fq_item item;
	struct arrived *next_spent;
	struct dgram dgram;
	void *slot;
	uint8_t room[];
};

enum {
	PACKET_SMALL_MAX = LANE_QUEUE_SMALL - sizeof(struct waiting) - PACKET_HEADROOM - PACKET_TAILROOM,
	DGRAM_SMALL_MAX = LANE_QUEUE_SMALL - sizeof(struct arrived) - PACKET_HEADROOM - PACKET_TAILROOM,
	SEAL_OVERHEAD = WG_DATA_HEADER + AEAD_TAG + LANE_OUTER_HEADERS4,
	LANE_SLOT_SIZE = PACKET_HEADROOM + LANE_SLOT_LEN + PACKET_TAILROOM,
	BURST_MAX = LANE_RUN_BYTES_MAX,
	BURST_MIN = 1514,
	BURST_SHAPED_US = 500,		/* a shaper's rate times this is a burst */
};

_Static_assert(PACKET_SMALL_MAX >= 1500 && DGRAM_SMALL_MAX >= 1500, "what an Ethernet carries is small");

/*
 * Memory.
 */

static uint8_t *slot_data(void *slot)
{
	return (uint8_t *)slot + PACKET_HEADROOM;
}

/* What the driver knows a slot by is where its data begins. */
void *lane_slot_take(struct lane *l)
{
	void *slot = pool_take(&l->slots);

	return slot ? slot_data(slot) : NULL;
}

static void slot_give(struct lane *l, void *slot)
{
	if (slot)
		pool_give(&l->slots, (uint8_t *)slot - PACKET_HEADROOM);
}

static void waiting_free(struct lane *l, struct waiting *w)
{
	slot_give(l, w->slot);
	pool_give(&l->small, w);
}

static void arrived_free(struct lane *l, struct arrived *a)
{
	slot_give(l, a->slot);
	pool_give(&l->small, a);
}

/*
 * Bring 'len' bytes at *data under the queue's roof: into 'room' if they are few, else by taking their slot over and leaving an
 * empty one in *slot, or into one of ours. Sets *data to where they are and returns the slot they hold in *held. False: no room.
 */
static bool shelter(struct lane *l, uint8_t *room, uint32_t small_max, uint8_t **data, uint32_t len, void **slot, void **held)
{
	void *empty = NULL;

	*held = NULL;
	if (len <= small_max) {
		memcpy(room + PACKET_HEADROOM, *data, len);
		*data = room + PACKET_HEADROOM;
		return true;
	}
	if (len > LANE_SLOT_LEN)
		return false;
	empty = lane_slot_take(l);
	if (!empty)
		return false;
	if (*slot) {
		*held = *slot;
		*slot = empty;
		return true;
	}
	memcpy(empty, *data, len);
	*held = empty;
	*data = empty;
	return true;
}

/*
 * Packets that go out.
 */

/*
 * What the rest of a packet comes to on the wire, and its first segment. It never grows while it waits, though it may be cut smaller meanwhile: the
 * queue counts down from what it began with.
 */
static void measure(struct waiting *w, uint32_t len_max)
{
	uint32_t left = w->split.count - w->split.done, len = split_rest_len(&w->split) + left * SEAL_OVERHEAD;

	w->item.len = len < len_max ? len : len_max;
	w->item.packet_len = split_next_len(&w->split) + SEAL_OVERHEAD;
}

static enum drop_reason reason_of(enum fq_reason reason)
{
	return reason == FQ_CODEL ? DROP_CODEL : DROP_QUEUE_FULL;
}

static bool drop_waiting(void *ctx, struct fq_item *item, bool whole, enum fq_reason reason)
{
	struct waiting *w = container_of(item, struct waiting, item);
	struct lane *l = ctx;

	if (reason == FQ_PURGED) {
		lane_drop(l, l->purge_reason);
		if (l->purge_tells && !w->split.done && !w->transit)
			lane_tell(l, w->split.packet, w->split.len, ICMP_NO_ENDPOINT, 0);
	} else {
		lane_drop(l, reason_of(reason));
	}
	if (!whole) {
		split_skip(&w->split);
		measure(w, w->item.len);
		if (split_more(&w->split))
			return true;
	}
	waiting_free(l, w);
	return false;
}

static void mark_waiting(void *ctx, struct fq_item *item)
{
	struct lane *l = ctx;

	split_set_ecn(&container_of(item, struct waiting, item)->split, ECN_CE);
	l->marked_out++;
}

static const struct fq_ops out_ops = { .drop = drop_waiting, .mark = mark_waiting };

/* What there was no memory for counts as dropped for want of room; if the packet is no packet, as that. */
static struct waiting *waiting_new(struct lane *l, struct packet *packet)
{
	struct waiting *w = pool_take(&l->small);
	struct packet inside = *packet;

	if (!w) {
		lane_drop(l, DROP_QUEUE_FULL);
		return NULL;
	}
	if (!shelter(l, w->room, PACKET_SMALL_MAX, &inside.data, inside.len, &packet->slot, &w->slot)) {
		lane_drop(l, DROP_QUEUE_FULL);
		pool_give(&l->small, w);
		return NULL;
	}
	if (!split_begin(&w->split, &inside)) {
		lane_drop(l, DROP_BAD_OUTGOING);
		waiting_free(l, w);
		return NULL;
	}
	return w;
}

/* The link waits for a session; perhaps there is one by now, and nobody has looked yet. */
static void await_session(struct lane *l, struct lane_link *k)
{
	if (lane_has_session(l, k))
		lane_pend(l, k);
	else
		lane_note(l, k, LANE_NEED_SESSION);
}

/* Whether it fits, or can be made to. False: it was dropped. */
static bool fit(struct lane *l, const struct lane_link *k, struct waiting *w, struct lane_peer *from)
{
	uint32_t limit = lane_limit(l, k->peer, w->transit);

	return split_next_len(&w->split) <= limit || lane_fit(l, &w->split, limit, from, w->transit);
}

void lane_wait(struct lane *l, struct lane_link *k, struct packet *packet, unsigned int number, uint64_t hash, struct lane_peer *from)
{
	struct waiting *w = waiting_new(l, packet);

	if (!w)
		return;
	w->transit = from;
	if (!fit(l, k, w, from)) {
		waiting_free(l, w);
		return;
	}
	w->hash = hash ? hash : flow_hash(l->flow_key, w->split.packet, w->split.len);
	w->number = (uint8_t)number;
	w->placed = hash != 0;
	w->item.memory = LANE_QUEUE_SMALL + (w->slot ? (uint32_t)LANE_SLOT_SIZE : 0);
	w->item.ecn = split_tos(&w->split) & 3;
	measure(w, UINT32_MAX);
	if (!k->tin.blocked && !lane_sealing(l, k, number)) {
		fq_tin_limit(&l->queue, &k->tin, LANE_HELD_MAX);
		fq_tin_block(&l->queue, &k->tin);
	}
	if (k->tin.blocked && !k->shaped)
		await_session(l, k);
	fq_enqueue(&l->queue, &k->tin, w->hash, &w->item, l->now_us);
}

void lane_drop_held(struct lane *l, struct lane_link *k, enum drop_reason reason, bool tell)
{
	lane_close(l);
	l->purge_reason = reason;
	l->purge_tells = tell;
	fq_tin_purge(&l->queue, &k->tin, FQ_PURGED);
	lane_open(l);
}

bool lane_is_unshaped(const struct lane *l, const struct lane_link *k)
{
	return !shaper_rate(&k->peer->shaper) && !(l->shaper && shaper_rate(l->shaper));
}

bool lane_is_clear(const struct lane *l, const struct lane_link *k)
{
	return l->bypass && !fq_has_work(&l->queue) && !k->tin.items && lane_is_unshaped(l, k);
}

/*
 * Serving.
 */

/* A peer's own shaper says not yet: its link is left out until then. */
static void hold_back(struct lane *l, struct lane_link *k)
{
	fq_tin_limit(&l->queue, &k->tin, 0);
	fq_tin_block(&l->queue, &k->tin);
	k->shaped = true;
	k->shaped_next = l->shaped;
	l->shaped = k;
}

static void let_go(struct lane *l)
{
	struct lane_link **at = &l->shaped, *k;

	while ((k = *at)) {
		if (shaper_wait_us(&k->peer->shaper, l->now_us)) {
			at = &k->shaped_next;
			continue;
		}
		*at = k->shaped_next;
		k->shaped = false;
		fq_tin_unblock(&l->queue, &k->tin, l->now_us, false);
	}
}

/* Whether a packet may still leave by a sub-session of this lane. */
static bool still_usable(const struct lane *l, const struct lane_link *k, unsigned int number)
{
	return number && links_usable(k->peer, l->lanes, number);
}

/*
 * The sub-session a packet leaves by: where its flow is placed now. Session 0 is its home lane's; elsewhere a packet whose flow has
 * no place just now goes where it was placed, and if that is not heard any more it has no way.
 */
static struct subsession *way_of(struct lane *l, struct lane_link *k, struct waiting *w, unsigned int *number)
{
	*number = w->number;
	if (k->peer->endpoint_loops || k->path.remote.addr.family == IP_NONE)
		return NULL;
	if (w->placed) {
		*number = lane_place(l, k, w->hash);
		if (!*number && k->peer->home != l->number && still_usable(l, k, w->number))
			*number = w->number;
	}
	if (!*number && k->peer->home != l->number)
		return NULL;
	return lane_sealing(l, k, *number);
}

/* The item cannot go now: get it, or its link, out of the way. */
static void step_aside(struct lane *l, struct lane_link *k, const struct fq_turn *turn, struct waiting *w)
{
	if (k->peer->home != l->number) {
		fq_sent(&l->queue, turn, w->item.len, true);
		lane_drop(l, DROP_NO_SESSION);
		waiting_free(l, w);
		return;
	}
	lane_note(l, k, LANE_NEED_SESSION);
	fq_tin_limit(&l->queue, &k->tin, LANE_HELD_MAX);
	fq_tin_block(&l->queue, &k->tin);
}

/* What a rate makes a burst. */
static uint32_t burst_at(uint64_t bps)
{
	uint64_t bytes = bps / 8 * BURST_SHAPED_US / US_PER_S;

	return bytes < BURST_MIN ? BURST_MIN : bytes < BURST_MAX ? (uint32_t)bytes : BURST_MAX;
}

static uint32_t burst_of(const struct lane *l, const struct lane_link *k)
{
	uint64_t bps = shaper_rate(&k->peer->shaper);
	uint32_t burst = bps ? burst_at(bps) : BURST_MAX;

	return burst < l->burst_now ? burst : l->burst_now;
}

/* Seal what the turn allows of an item. Returns what it comes to on the wire; 0: the output is full. */
static uint32_t serve_item(struct lane *l, struct lane_link *k, const struct fq_turn *turn, struct waiting *w,
			   unsigned int number, struct subsession *s)
{
	/* A flow that is alone might send all it has: but no more than a burst before somebody looks at clock and sockets. */
	uint32_t burst = burst_of(l, k);
	uint32_t bytes = lane_seal_split(l, k, number, s, &w->split, turn->bytes < burst ? turn->bytes : burst,
					 lane_limit(l, k->peer, w->transit));
	bool done = !split_more(&w->split);

	if (!bytes)
		return 0;
	measure(w, w->item.len);
	fq_sent(&l->queue, turn, bytes, done);
	if (done)
		waiting_free(l, w);
	shaper_sent(&k->peer->shaper, l->now_us, bytes);
	if (l->shaper)
		shaper_sent(l->shaper, l->now_us, bytes);
	return bytes;
}

static void set_burst(struct lane *l, uint32_t bytes, int64_t burst_us)
{
	if (bytes > BURST_MAX)
		bytes = BURST_MAX;
	if (bytes < BURST_MIN)
		bytes = BURST_MIN;
	l->burst_now = bytes;
	fq_set_quantum(&l->queue, bytes);
	fq_set_target_us(&l->queue, 2 * burst_us);
}

void lane_set_burst(struct lane *l, uint32_t bytes, int64_t burst_us)
{
	l->burst = bytes;
	l->burst_us = burst_us;
	if (!l->shaped_bps)
		set_burst(l, bytes, burst_us);
}

/* The interface's shaper, should it have been set or changed, decides what a burst is. */
static void follow_shaper(struct lane *l)
{
	uint64_t bps = l->shaper ? shaper_rate(l->shaper) : 0;

	if (bps == l->shaped_bps)
		return;
	l->shaped_bps = bps;
	if (!bps) {
		set_burst(l, l->burst, l->burst_us);
		return;
	}
	set_burst(l, burst_at(bps), (int64_t)(burst_at(bps) * UINT64_C(8) * (uint64_t)US_PER_S / bps));
}

bool lane_serve(struct lane *l, uint32_t bytes)
{
	uint64_t sealed = 0;
	struct fq_turn turn;
	struct fq_item *item;

	follow_shaper(l);
	let_go(l);
	l->held_back = false;
	while (sealed < bytes) {
		struct lane_link *k;
		struct waiting *w;
		struct subsession *s;
		unsigned int number;
		uint32_t n;

		l->held_back = l->shaper && shaper_wait_us(l->shaper, l->now_us);
		if (l->held_back)
			return false;
		item = fq_head(&l->queue, l->now_us, &turn);
		if (!item)
			return false;
		w = container_of(item, struct waiting, item);
		k = container_of(turn.tin, struct lane_link, tin);
		if (shaper_wait_us(&k->peer->shaper, l->now_us)) {
			hold_back(l, k);
			continue;
		}
		s = way_of(l, k, w, &number);
		if (!s) {
			step_aside(l, k, &turn, w);
			continue;
		}
		/* It did when it came, but paths change. */
		if (!fit(l, k, w, NULL)) {
			fq_sent(&l->queue, &turn, 0, true);
			waiting_free(l, w);
			continue;
		}
		n = serve_item(l, k, &turn, w, number, s);
		if (!n)
			return true;
		sealed += n;
	}
	return fq_has_work(&l->queue);
}

bool lane_has_out(const struct lane *l)
{
	return fq_has_work(&l->queue) || l->pending || l->control_out_count || l->inner_out_count || l->shaped;
}

int64_t lane_wait_us(const struct lane *l, struct instant now)
{
	int64_t wait_us = NEVER_US;

	if (l->held_back && fq_has_work(&l->queue))
		wait_us = shaper_wait_us(l->shaper, now.mono_us);
	for (const struct lane_link *k = l->shaped; k; k = k->shaped_next) {
		int64_t one_us = shaper_wait_us(&k->peer->shaper, now.mono_us);

		if (one_us < wait_us)
			wait_us = one_us;
	}
	return wait_us;
}

int64_t lane_due_us(const struct lane *l)
{
	struct instant last = { .mono_us = l->now_us };
	int64_t wait_us = lane_wait_us(l, last);

	if (l->pending || l->control_out_count || l->inner_out_count || (fq_has_work(&l->queue) && !l->held_back))
		return 0;
	return wait_us == NEVER_US ? NEVER_US : l->now_us + wait_us;
}

void lane_set_bypass(struct lane *l, bool bypass)
{
	l->bypass = bypass;
}

/*
 * Datagrams that came in.
 */

static uint32_t messages_in(const struct dgram *d)
{
	return d->segment ? (d->len + d->segment - 1) / d->segment : 1;
}

static bool drop_arrived(void *ctx, struct fq_item *item, bool whole, enum fq_reason reason)
{
	struct arrived *a = container_of(item, struct arrived, item);
	struct lane *l = ctx;
	struct dgram *d = &a->dgram;

	if (!whole) {
		lane_drop(l, DROP_OVERLOAD);
		if (d->segment && d->len > d->segment) {
			d->data += d->segment;
			d->len -= d->segment;
			item->len = d->len;
			item->packet_len = d->segment < d->len ? d->segment : d->len;
			return true;
		}
	} else {
		l->drops[reason == FQ_PURGED ? DROP_NO_INDEX : DROP_OVERLOAD] += messages_in(d);
	}
	arrived_free(l, a);
	return false;
}

/* The mark goes on the outside; where it can be taken in it will be. */
static void mark_arrived(void *ctx, struct fq_item *item)
{
	struct lane *l = ctx;

	container_of(item, struct arrived, item)->dgram.tos |= ECN_CE;
	l->marked_in++;
}

static const struct fq_ops in_ops = { .drop = drop_arrived, .mark = mark_arrived };

/* Whose queue a datagram goes into: that of the sub-session its first message is for. NULL: nobody's. */
static struct lane_link *link_of(struct lane *l, const struct dgram *d, unsigned int *number)
{
	uint32_t len = d->segment ? d->segment : d->len, index;
	struct keypair *pair;

	if (wg_classify(d->data, len < d->len ? len : d->len) != WG_DATA)
		return NULL;
	index = wg_data_receiver(d->data);
	*number = index & WG_INDEX_SUB_SESSION;
	if (lane_of_index(index, l->lanes) != l->number)
		return NULL;
	pair = u32map_get(&l->indices, index & ~(uint32_t)WG_INDEX_SUB_SESSION);
	if (!pair || !keypair_sub(pair, *number))
		return NULL;
	return &((struct lane_peer *)pair->owner)->links[l->number];
}

static void arrive(struct lane *l, struct lane_link *k, unsigned int number, struct dgram *d)
{
	struct arrived *a = pool_take(&l->small);

	if (!a) {
		l->drops[DROP_OVERLOAD] += messages_in(d);
		return;
	}
	a->dgram = *d;
	if (!shelter(l, a->room, DGRAM_SMALL_MAX, &a->dgram.data, d->len, &d->slot, &a->slot)) {
		l->drops[DROP_OVERLOAD] += messages_in(d);
		pool_give(&l->small, a);
		return;
	}
	a->item.len = d->len;
	a->item.packet_len = d->segment && d->segment < d->len ? d->segment : d->len;
	a->item.memory = LANE_QUEUE_SMALL + (a->slot ? (uint32_t)LANE_SLOT_SIZE : 0);
	a->item.ecn = k->peer->ecn_in ? d->tos & 3 : ECN_NOT_ECT;
	/* Few numbers, spread over the pool: the multiplier is the golden ratio's. */
	fq_enqueue(&l->queue_in, &k->tin_in, (number + 1) * UINT64_C(0x9e3779b97f4a7c15), &a->item, l->now_us);
}

void lane_queue_udp(struct lane *l, struct instant now, struct dgram *in, size_t count)
{
	l->now_us = now.mono_us;
	for (size_t i = 0; i < count; i++) {
		unsigned int number;
		struct lane_link *k = link_of(l, &in[i], &number);

		if (k) {
			arrive(l, k, number, &in[i]);
			continue;
		}
		lane_begin_in(l);
		lane_dgram_in(l, &in[i]);
	}
}

bool lane_drain_in(struct lane *l, struct instant now, uint32_t bytes)
{
	uint64_t opened = 0;
	struct fq_turn turn;
	struct fq_item *item;

	l->now_us = now.mono_us;
	while (opened < bytes && (item = fq_head(&l->queue_in, l->now_us, &turn))) {
		struct arrived *a = container_of(item, struct arrived, item);

		opened += item->len;
		fq_sent(&l->queue_in, &turn, item->len, true);
		lane_begin_in(l);
		lane_dgram_in(l, &a->dgram);
		a->next_spent = l->spent;
		l->spent = a;
	}
	return fq_has_work(&l->queue_in);
}

bool lane_has_in(const struct lane *l)
{
	return fq_has_work(&l->queue_in);
}

void lane_free_spent(struct lane *l)
{
	while (l->spent) {
		struct arrived *a = l->spent;

		l->spent = a->next_spent;
		arrived_free(l, a);
	}
}

/*
 * Life.
 */

bool lane_queue_init(struct lane *l)
{
	const struct fq_limits out = { .items_max = LANE_QUEUE_PACKETS, .memory_max = LANE_QUEUE_BYTES };
	const struct fq_limits in = { .items_max = LANE_QUEUE_DGRAMS, .memory_max = LANE_QUEUE_BYTES / 2 };

	/* One more of each than may wait, for the one that comes and pushes another out. */
	if (!fq_init(&l->queue, LANE_QUEUE_FLOWS, &out, &out_ops, l) || !fq_init(&l->queue_in, LANE_QUEUE_FLOWS, &in, &in_ops, l) ||
	    !pool_init(&l->small, LANE_QUEUE_SMALL, LANE_QUEUE_PACKETS + LANE_QUEUE_DGRAMS + PACKET_BATCH) ||
	    !pool_init(&l->slots, LANE_SLOT_SIZE, LANE_SLOTS))
		return false;
	lane_set_burst(l, BURST_MAX, 0);
	return true;
}

void lane_queue_done(struct lane *l)
{
	fq_done(&l->queue);
	fq_done(&l->queue_in);
	pool_done(&l->small);
	pool_done(&l->slots);
}
