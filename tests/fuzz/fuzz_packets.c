/* SPDX-License-Identifier: MIT */
/*
 * A node with two peers, and whatever may happen to it. The input is a row of pieces:
 *
 *	op	low 3 bits: what (enum op); bits 3-4: from which address; bit 5: which of the two remote ends, or for a packet from
 *		the TUN that a vnet header comes first, for a datagram that two bytes with its segment size do; bit 6: to which lane
 *	step	low 3 bits: how much time passes first (steps[]); bit 5: the batch goes through the lane's queues; bit 6: glue a datagram to the
 *		one before, as GRO does; bit 7: do not hand the batch over yet
 *	len	2 bytes, little-endian; then so many bytes
 *
 * The node has two lanes, and each of the two peers lives in one; what is another's goes there as the workers pass it. The remote
 * ends are real ones: they hold the other half of each session, sub-sessions and all, begin and answer handshakes, so that the fuzzer gets
 * behind the cryptography. After each batch everything that must always hold is looked at; above all, nothing
 * comes out of the TUN that some peer did not seal, from an address that is his, and nothing twice.
 */
#include "../unit/merge_undo.h"
#include "packets_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum op {
	OP_UDP,			/* the bytes are a datagram */
	OP_TUN,			/* ...a packet from the TUN */
	/* ...plaintext that a remote end seals; behind 0x0f and a number on that sub-session, where replies get the token of the last probe */
	OP_SEALED,
	OP_MAC1,		/* ...an initiation or response but for mac1, which is made right */
	OP_INITIATE,		/* a remote end begins a handshake; the bytes: which byte to spoil, and how */
	OP_ANSWER,		/* a remote end answers our last initiation; the same */
	OP_CONTROL,		/* something other than packets; see control() */
	OP_AGAIN,		/* the last datagram again; the bytes: how often */
};

static const int64_t steps[8] = {
	0, 1000, 20 * US_PER_MS, US_PER_S, 5 * US_PER_S + 400 * US_PER_MS, 15 * US_PER_S, 120 * US_PER_S, 181 * US_PER_S,
};

/*
 * What must always hold.
 */

static bool inside(const uint8_t *p, size_t len, const void *memory, size_t size)
{
	const uint8_t *start = memory;

	return start && p >= start && p <= start + size && len <= (size_t)(start + size - p);
}

static bool in_batch(const struct world *w, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < w->count; i++)
		if (inside(p, len, w->buffers[i].room, PACKET_HEADROOM + w->buffers[i].len + PACKET_TAILROOM))
			return true;
	return false;
}

/* Whether anything a remote end was ever allowed covers the address. Babel's own packets go to its group, or to the neighbour's fe80::/64. */
static bool may_have(size_t remote, const uint8_t *dst, uint8_t family)
{
	static const uint8_t group[16] = { 0xff, 0x02, [13] = 1, [15] = 6 }, link[8] = { 0xfe, 0x80 };

	if (family == IP_V6 && (!memcmp(dst, group, sizeof(group)) || !memcmp(dst, link, sizeof(link))))
		return true;
	if (remote == 1)
		return family == IP_V4 || (dst[0] == 0xfd && dst[1] == 0 && dst[2] == 0 && dst[3] == 1);
	return family == IP_V4 ? dst[0] == 10 : dst[0] == 0xfd && dst[1] == 0;
}

/* What a remote end reads in a message that it can open is a packet, and one for him. */
static void check_message(struct world *w, const uint8_t *msg, size_t len)
{
	uint8_t *plain = malloc(len);
	struct ip_view v;

	require(plain, "no memory");
	require(wg_classify(msg, len) == WG_DATA, "the lane sends what is no data");
	for (size_t i = 0; i < REMOTES; i++) {
		struct keypair *k = w->remotes[i].keypair;
		uint32_t index = wg_data_receiver(msg);
		const struct subsession *s = keypair_sub(k, index & WG_INDEX_SUB_SESSION);

		if ((index & ~(uint32_t)WG_INDEX_SUB_SESSION) != k->local_index ||
		    !aead_open(s->opener, wg_data_counter(msg), plain, msg + WG_DATA_HEADER, len - WG_DATA_HEADER) ||
		    len == WG_DATA_MIN)
			continue;
		if (mesh_kind(plain, len - WG_DATA_MIN) == MESH_PROBE)
			memcpy(w->remotes[i].tokens[index & WG_INDEX_SUB_SESSION], plain + 4, 4);
		if (mesh_kind(plain, len - WG_DATA_MIN))
			continue;
		require(ip_view(&v, plain, len - WG_DATA_MIN), "no packet was sealed");
		require(may_have(i, v.dst, v.family), "a packet for somebody else was sealed");
	}
	free(plain);
}

/* A run of the lane's: in its own memory, equal messages but for the last, to a place. */
static void check_run(struct world *w, const struct lane *l, const struct dgram *d)
{
	uint32_t messages = 0;

	require(inside(d->data, d->len, l->out_bytes, LANE_OUT_BYTES), "a datagram from nowhere");
	require(d->segment && d->segment <= d->len, "a run that is none");
	require(d->path.remote.addr.family != IP_NONE, "a datagram to nowhere");
	require(d->len <= LANE_RUN_BYTES_MAX || d->len == d->segment, "a run too long");
	for (uint32_t at = 0; at < d->len; at += d->segment, messages++)
		check_message(w, d->data + at, d->len - at < d->segment ? d->len - at : d->segment);
	require(messages <= l->run_messages_max, "too many messages in a run");
}

static void remote_hears(struct world *w, const struct dgram *d);

static bool from_batch(const struct world *w, const struct tun_write *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (!in_batch(w, t->pieces[i].base, t->pieces[i].len))
			return false;
	return true;
}

static void check_lane_out(struct world *w, struct lane *l, bool errors_only)
{
	const struct lane_out *out = lane_out(l);

	require(out->dgram_count <= LANE_RUNS_MAX, "an output too long");
	for (size_t i = 0; i < out->dgram_count; i++)
		check_run(w, l, &out->dgrams[i]);
	for (size_t i = 0; i < out->write_count; i++) {
		const struct tun_write *t = &out->writes[i];
		const struct piece *p = t->pieces;
		bool error = inside(p->base, p->len, l->errors, sizeof(l->errors));
		struct ip_view v;

		require(t->count && t->packets, "a write of nothing");
		require(error || (!errors_only && from_batch(w, t)), "a packet from nowhere");
		if (t->packets == 1)
			require(ip_view(&v, p->base + VNET_LEN, p->len - VNET_LEN) && v.len == p->len - VNET_LEN, "a packet that is none");
	}
	lane_out_clear(l);
}

static void check_node_out(struct world *w)
{
	struct dgram *out;
	size_t count = node_out(w->node, &out);

	require(count <= NODE_OUT_MAX, "too many handshake messages");
	for (size_t i = 0; i < count; i++) {
		unsigned int type = wg_classify(out[i].data, out[i].len);

		require(type && type != WG_DATA, "the node sends what is no handshake message");
		require(inside(out[i].data, out[i].len, w->node->out_bytes, sizeof(w->node->out_bytes)), "from nowhere");
		require(out[i].path.remote.addr.family != IP_NONE, "a handshake message to nowhere");
		remote_hears(w, &out[i]);
	}
	node_out_clear(w->node);
}

static void check_bounds(const struct world *w)
{
	const struct node *n = w->node;
	size_t held[LANES] = { 0 }, keypairs = 0;

	for (size_t i = 0; i < n->peer_count; i++) {
		const struct lane_peer *p = &n->peers[i]->data;
		const struct session *s = &p->session;

		for (size_t k = 0; k < LANES; k++) {
			const struct fq_tin *t = &p->links[k].tin;

			require(!t->blocked || p->links[k].shaped || t->items <= LANE_HELD_MAX, "too many packets wait");
			held[k] += t->items;
		}
		keypairs += (s->previous ? 1U : 0U) + (s->current ? 1U : 0U) + (s->next ? 1U : 0U);
	}
	for (size_t i = 0; i < LANES; i++) {
		const struct lane *l = w->lanes[i];

		require(l->small.used == held[i] && l->slots.used <= held[i], "a slot was lost");
		require(fq_items(&l->queue) == held[i] && fq_empty(&l->queue_in), "a packet was lost");
		require(l->indices.count == keypairs, "an index was lost");
		require(l->handshake_count <= LANE_HANDSHAKES_MAX, "too many handshakes wait");
	}
	require(n->handshakes.count <= n->peer_count, "a handshake was lost");
	require(n->timers.count <= n->peer_count, "a timer too many");
}

/* Turns until the node rests, as a driver would. It must come to rest, and say when it wants to be woken. */
static void settle(struct world *w)
{
	int64_t deadline_us;
	bool more;

	for (int i = 0;; i++) {
		require(i < SETTLE_MAX, "a node that never rests");
		node_turn(w->node, w->now);
		node_effects(w->node);
		check_node_out(w);
		for (size_t l = 0; l < LANES; l++)
			do {
				more = lane_drain(w->lanes[l], w->now, UINT32_MAX);
				check_lane_out(w, w->lanes[l], true);
			} while (more);
		deadline_us = node_deadline(w->node);
		if (deadline_us > w->now.mono_us)
			break;
	}
	require(deadline_us == NEVER_US || deadline_us <= w->now.mono_us + 65536 * US_PER_S, "a deadline too far");
	require(deadline_us == NEVER_US || w->up, "a deadline while down");
	check_bounds(w);
}

/*
 * What may come out of the TUN for a batch of datagrams.
 */

struct allowed_out {
	bool authentic, taken;
	uint8_t *plain;		/* NULL: nothing */
	uint32_t len;
	struct delivered key;
};

/* The keypair a message is for. All lanes have all. */
static struct keypair *keypair_for(const struct world *w, const uint8_t *msg)
{
	return u32map_get(&w->lanes[w->lane]->indices, wg_data_receiver(msg) & ~(uint32_t)WG_INDEX_SUB_SESSION);
}

/* Open a copy of one message with the keys the node has, and judge it by itself. */
static void may_deliver(const struct world *w, const uint8_t *msg, size_t len, struct allowed_out *a)
{
	const struct subsession *s;
	struct keypair *k;
	struct ip_view v;

	a->authentic = a->taken = false;
	a->plain = NULL;
	k = keypair_for(w, msg);
	s = k ? keypair_sub(k, wg_data_receiver(msg) & WG_INDEX_SUB_SESSION) : NULL;
	if (!s || w->now.mono_us - k->born_us >= REJECT_AFTER_S * US_PER_S)
		return;
	a->plain = malloc(len);
	require(a->plain, "no memory");
	a->key = (struct delivered){ wg_data_receiver(msg), k->born_us, wg_data_counter(msg) };
	a->authentic = aead_open(s->opener, a->key.counter, a->plain, msg + WG_DATA_HEADER, len - WG_DATA_HEADER);
	if (a->authentic &&
	    ip_view(&v, a->plain, len - WG_DATA_HEADER - AEAD_TAG)) {
		struct ip_addr src = { .family = v.family };
		const struct fib_entry *origin = fib_origin(&w->node->fib, v.family, v.src, v.dst);

		memcpy(src.bytes, v.src, v.family == IP_V4 ? 4 : 16);
		a->len = v.len;
		if (lpm_lookup(&w->node->allowed, &src) == k->owner || (origin && fib_announces(origin, k->owner)))
			return;
	}
	free(a->plain);
	a->plain = NULL;
}

static void check_not_twice(struct world *w, const struct delivered *d)
{
	for (size_t i = 0; i < w->delivered_count; i++) {
		const struct delivered *old = &w->delivered[i];

		require(old->index != d->index || old->born_us != d->born_us || old->counter != d->counter,
			"a replay was delivered");
	}
	require(w->delivered_count < DELIVERED_MAX, "more than came in");
	w->delivered[w->delivered_count++] = *d;
}

/* As it was sealed; only a TCP or UDP checksum of 0xffff may have become 0, which is the same. */
static bool same_packet(const uint8_t *sealed, const uint8_t *written, size_t len)
{
	size_t at = 0;

	while (at < len && sealed[at] == written[at])
		at++;
	if (at == len)
		return true;
	return at + 2 <= len && get_be16(sealed + at) == 0xffff && get_be16(written + at) == 0 &&
	       !memcmp(sealed + at + 2, written + at + 2, len - at - 2);
}

/* The messages of a batch that may be data, each judged. */
struct verdicts {
	struct allowed_out *v;
	size_t count;
	uint64_t authentic;	/* bytes */
};

/* Each delivered packet must be one of those that may, in the order of one lane's. */
static void check_delivered_one(struct world *w, const struct verdicts *may, const uint8_t *p, size_t len, size_t *at)
{
	while (*at < may->count && (may->v[*at].taken || !may->v[*at].plain || may->v[*at].len != len ||
				    !same_packet(may->v[*at].plain, p, len)))
		++*at;
	require(*at < may->count, "a packet nobody sealed, or not his");
	may->v[*at].taken = true;
	check_not_twice(w, &may->v[*at].key);
	++*at;
}

/* Merged writes are taken apart again. Flows may overtake each other there, so order is looked at inside of each. */
static void check_delivered(struct world *w, struct lane *l, const struct verdicts *may)
{
	const struct lane_out *out = lane_out(l);

	/* From link to link, and errors about that. */
	require(out->dgram_count <= LANE_RUNS_MAX, "an output too long");
	for (size_t i = 0; i < out->dgram_count; i++)
		check_run(w, l, &out->dgrams[i]);
	for (size_t i = 0; i < out->write_count; i++) {
		const struct tun_write *t = &out->writes[i];
		struct piece singles[MERGE_SEGMENTS_MAX];
		uint32_t count = 1;
		size_t at = 0;

		require(t->packets <= MERGE_SEGMENTS_MAX, "too many packets in a write");
		singles[0] = t->pieces[0];
		if (t->packets > 1)
			count = merge_undo(t, singles);
		require(count == t->packets, "a write of other packets than it says");
		for (uint32_t k = 0; k < count; k++, at = w->waits ? 0 : at)
			check_delivered_one(w, may, singles[k].base + VNET_LEN, singles[k].len - VNET_LEN, &at);
	}
}

/*
 * Handing a batch over.
 */

static uint64_t received_bytes(const struct world *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->node->peer_count; i++)
		for (size_t k = 0; k < LANES; k++)
			sum += w->node->peers[i]->data.links[k].rx_bytes;
	return sum;
}

static void judge(const struct world *w, const struct dgram *d, struct verdicts *may)
{
	uint32_t step = d->segment ? d->segment : d->len;

	for (uint32_t at = 0; at < d->len; at += step) {
		uint32_t len = d->len - at < step ? d->len - at : step;

		if (wg_classify(d->data + at, len) != WG_DATA)
			continue;
		require(may->count < MESSAGES_MAX, "more messages than can be");
		may_deliver(w, d->data + at, len, &may->v[may->count]);
		may->authentic += may->v[may->count++].authentic ? len : 0;
	}
}

/*
 * What a lane opened or has to tell for a peer of another's, while its output is there: the other lane sends it, or has an error
 * for the first to send.
 */
static void pass_opened(struct world *w, struct lane *l)
{
	const size_t count = lane_out(l)->handover_count;

	for (size_t i = 0; i < count; i++) {
		const struct handover *h = &l->handovers[i];
		struct lane *home = w->lanes[h->peer->home];

		require(home != l, "a handover to the reader");
		lane_from_lane(home, w->now, h, 1);
		for (size_t k = 0; k < lane_out(home)->handover_count; k++) {
			require(h->from && !home->handovers[k].from, "a packet was handed over twice");
			lane_from_lane(l, w->now, &home->handovers[k], 1);
		}
		check_lane_out(w, home, true);
	}
	require(lane_out(l)->handover_count == count, "an error about an error");
	for (size_t i = 0; i < lane_out(l)->dgram_count; i++)
		check_run(w, l, &lane_out(l)->dgrams[i]);
}

/* What came to the wrong lane goes to the right one, which keeps what it cannot use. */
static void pass_strays(struct world *w, const struct dgram *strays, size_t count, const struct verdicts *may)
{
	for (size_t i = 0; i < count; i++) {
		unsigned int to = lane_of_index(wg_data_receiver(strays[i].data), LANES);

		require(to < LANES && to != w->lane, "a stray to nowhere");
		lane_from_udp(w->lanes[to], w->now, &strays[i], 1);
		require(lane_out(w->lanes[to])->stray_count == 0, "a stray was passed on twice");
		check_delivered(w, w->lanes[to], may);
		pass_opened(w, w->lanes[to]);
		lane_out_clear(w->lanes[to]);
	}
}

static void hand_over_udp(struct world *w)
{
	static struct allowed_out verdicts[MESSAGES_MAX];
	struct verdicts may = { .v = verdicts };
	struct dgram dgrams[PACKET_BATCH], strays[LANE_STRAYS_MAX];
	struct lane *l = w->lanes[w->lane];
	uint64_t before = received_bytes(w);
	size_t stray_count;

	memset(dgrams, 0, sizeof(dgrams));
	for (size_t i = 0; i < w->count; i++) {
		dgrams[i].data = w->buffers[i].room + PACKET_HEADROOM;
		dgrams[i].len = (uint32_t)w->buffers[i].len;
		dgrams[i].segment = w->buffers[i].segment;
		dgrams[i].path.remote = w->from[i];
		judge(w, &dgrams[i], &may);
	}
	if (w->waits)
		lane_queue_udp(l, w->now, dgrams, w->count);
	else
		lane_from_udp(l, w->now, dgrams, w->count);
	stray_count = lane_out(l)->stray_count;
	memcpy(strays, l->strays, stray_count * sizeof(strays[0]));
	/* Before merged writes are taken apart, which changes them. */
	for (size_t i = 0; i < lane_out(l)->write_count; i++)
		require(from_batch(w, &lane_out(l)->writes[i]), "a packet from nowhere");
	check_delivered(w, l, &may);
	pass_opened(w, l);
	lane_out_clear(l);
	while (lane_has_in(l)) {
		lane_drain_in(l, w->now, 10000);
		check_delivered(w, l, &may);
		pass_opened(w, l);
		lane_out_clear(l);
	}
	pass_strays(w, strays, stray_count, &may);
	require(received_bytes(w) - before <= may.authentic, "a forgery was taken for a peer's");
	for (size_t i = 0; i < may.count; i++)
		free(may.v[i].plain);
}

/* What one lane read for another, until it is done. */
static void pass_handovers(struct world *w, const struct handover *h, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct lane *home = w->lanes[h[i].peer->home];

		require(h[i].peer->home != w->lane, "a handover to the reader");
		lane_from_lane(home, w->now, &h[i], 1);
		require(lane_out(home)->handover_count == 0, "a packet was handed over twice");
		check_lane_out(w, home, true);
	}
}

static void hand_over_tun(struct world *w)
{
	struct lane *l = w->lanes[w->lane];
	struct handover handovers[PACKET_BATCH];
	struct packet packets[PACKET_BATCH];
	size_t count;

	for (size_t i = 0; i < w->count; i++)
		packets[i] = (struct packet){
			.data = w->buffers[i].room + PACKET_HEADROOM,
			.len = (uint32_t)w->buffers[i].len,
			.vnet = w->buffers[i].vnet,
		};
	lane_set_bypass(l, !w->waits);
	lane_from_tun(l, w->now, packets, w->count);
	count = lane_out(l)->handover_count;
	memcpy(handovers, l->handovers, count * sizeof(handovers[0]));
	check_lane_out(w, l, true);
	pass_handovers(w, handovers, count);
}

static void hand_over(struct world *w)
{
	if (w->count && w->tun)
		hand_over_tun(w);
	else if (w->count)
		hand_over_udp(w);
	for (size_t i = 0; i < w->count; i++)
		free(w->buffers[i].room);
	w->count = 0;
	settle(w);
}

static void buffer_fill(struct buffer *b, const void *bytes, size_t len)
{
	b->room = malloc(PACKET_HEADROOM + len + PACKET_TAILROOM);
	require(b->room, "no memory");
	memset(b->room, 0xaa, PACKET_HEADROOM + len + PACKET_TAILROOM);
	b->len = len;
	if (len)
		memcpy(b->room + PACKET_HEADROOM, bytes, len);
}

/* As GRO does it: to the datagram before, if that is from the same place and its messages are of one length so far. */
static bool glue(struct world *w, const void *bytes, size_t len, const struct endpoint *from)
{
	struct buffer *b, longer;
	uint32_t segment;

	if (!w->glue || !w->count || w->tun || !len || !endpoint_equal(from, &w->from[w->count - 1]))
		return false;
	b = &w->buffers[w->count - 1];
	segment = b->segment ? b->segment : (uint32_t)b->len;
	if (len > segment || b->len % segment || b->len + len > 65507)
		return false;
	longer = *b;
	buffer_fill(&longer, b->room + PACKET_HEADROOM, b->len);
	longer.room = realloc(longer.room, PACKET_HEADROOM + b->len + len + PACKET_TAILROOM);
	require(longer.room, "no memory");
	memcpy(longer.room + PACKET_HEADROOM + b->len, bytes, len);
	memset(longer.room + PACKET_HEADROOM + b->len + len, 0xaa, PACKET_TAILROOM);
	longer.len = b->len + len;
	longer.segment = segment;
	free(b->room);
	*b = longer;
	return true;
}

static void add(struct world *w, bool tun, const void *bytes, size_t len, const struct endpoint *from)
{
	struct buffer *b;

	if (!tun && len <= sizeof(w->last)) {
		w->last_len = len;
		if (len)
			memmove(w->last, bytes, len);
	}
	if (!tun && glue(w, bytes, len, from))
		return;
	if (w->count == PACKET_BATCH || (w->count && w->tun != tun))
		hand_over(w);
	b = &w->buffers[w->count];
	memset(b, 0, sizeof(*b));
	buffer_fill(b, bytes, len);
	w->tun = tun;
	w->from[w->count++] = *from;
}

/* A packet from the TUN behind a vnet header, or none. */
static void add_packet(struct world *w, bool with_vnet, const uint8_t *bytes, size_t len)
{
	struct vnet v = { 0 };

	if (with_vnet && len < VNET_LEN)
		return;
	if (with_vnet) {
		vnet_read(&v, bytes);
		bytes += VNET_LEN;
		len -= VNET_LEN;
	}
	add(w, true, bytes, len, address(0));
	w->buffers[w->count - 1].vnet = v;
}

/* A datagram behind what the kernel says of its segments, or nothing. */
static void add_dgram(struct world *w, bool with_segment, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	if (with_segment && len < 2)
		return;
	add(w, false, bytes + (with_segment ? 2 : 0), len - (with_segment ? 2 : 0), from);
	if (with_segment)
		w->buffers[w->count - 1].segment = bytes[0] | (uint32_t)bytes[1] << 8;
}

/*
 * The remote ends.
 */

static void remote_begins_session(struct world *w, struct remote *r)
{
	struct noise_keys keys;
	struct keypair *k;

	if (!noise_begin_session(&r->handshake, &keys))
		return;
	k = keypair_new(&keys, w->now.mono_us);
	require(k && keypair_open_subs(k, SUB_SESSIONS_MAX), "no memory");
	keypair_free(r->keypair);
	r->keypair = k;
}

/* A handshake message of the node's: kept for OP_ANSWER, or taken by the end whose initiation it answers. */
static void remote_hears(struct world *w, const struct dgram *d)
{
	struct wg_response m;

	if (d->data[0] == WG_INITIATION) {
		memcpy(w->initiation, d->data, WG_INITIATION_LEN);
		w->initiated = true;
	}
	if (d->data[0] != WG_RESPONSE)
		return;
	wg_response_read(&m, d->data);
	for (size_t i = 0; i < REMOTES; i++) {
		struct remote *r = &w->remotes[i];

		if (noise_consume_response(&r->handshake, &r->id, &m) == NOISE_OK)
			remote_begins_session(w, r);
	}
}

static void spoil(uint8_t *msg, size_t msg_len, const uint8_t *bytes, size_t len)
{
	if (len >= 2)
		msg[bytes[0] % msg_len] ^= bytes[1];
}

static void remote_initiates(struct world *w, struct remote *r, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	struct rng rng = stream_rng(&w->remote_random);
	uint8_t msg[WG_INITIATION_LEN];
	struct wg_initiation m;

	noise_timestamp(r->stamp, w->now.wall_ns);
	require(noise_create_initiation(&r->handshake, &r->id, 0x6300, r->stamp, &rng, &m), "no initiation");
	wg_initiation_write(msg, &m);
	cookie_maker_sign(&r->cookies, msg, sizeof(msg), w->now.mono_us);
	spoil(msg, sizeof(msg), bytes, len);
	add(w, false, msg, sizeof(msg), from);
}

static void remote_answers(struct world *w, struct remote *r, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	struct rng rng = stream_rng(&w->remote_random);
	uint8_t msg[WG_RESPONSE_LEN];
	struct noise_offer offer;
	struct wg_initiation i;
	struct wg_response m;

	if (!w->initiated)
		return;
	wg_initiation_read(&i, w->initiation);
	if (noise_read_initiation(&offer, &r->id, &i) != NOISE_OK ||
	    noise_accept_initiation(&r->handshake, &offer, w->now.mono_us) != NOISE_OK)
		return;
	require(noise_create_response(&r->handshake, 0x6200, &rng, &m), "no response");
	wg_response_write(msg, &m);
	cookie_maker_sign(&r->cookies, msg, sizeof(msg), w->now.mono_us);
	remote_begins_session(w, r);
	spoil(msg, sizeof(msg), bytes, len);
	add(w, false, msg, sizeof(msg), from);
}

static void remote_seals(struct world *w, struct remote *r, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	static uint8_t msg[WG_DATA_HEADER + PIECE_MAX + AEAD_TAG], plain[PIECE_MAX];
	unsigned int number = 0;
	struct subsession *s;

	if (len >= 2 && bytes[0] == 0x0f) {
		number = bytes[1] % SUB_SESSIONS;
		bytes += 2;
		len -= 2;
	}
	if (len)
		memcpy(plain, bytes, len);
	if (number && len >= MESH_REPLY_LEN && mesh_kind(plain, len) == MESH_REPLY)
		memcpy(plain + 4, r->tokens[number], 4);
	s = keypair_sub(r->keypair, number);
	wg_data_header_write(msg, r->keypair->remote_index | number, s->counter);
	aead_seal(s->sealer, s->counter, msg + WG_DATA_HEADER, plain, len);
	s->counter++;
	add(w, false, msg, WG_DATA_HEADER + len + AEAD_TAG, from);
}

static void with_mac1(struct world *w, struct remote *r, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	uint8_t msg[WG_INITIATION_LEN] = { 0 };
	size_t msg_len = len && bytes[0] == WG_RESPONSE ? WG_RESPONSE_LEN : WG_INITIATION_LEN;
	struct cookie_maker maker = r->cookies;

	if (len)
		memcpy(msg, bytes, len < msg_len ? len : msg_len);
	put_le32(msg, msg_len == WG_RESPONSE_LEN ? WG_RESPONSE : WG_INITIATION);
	cookie_maker_sign(&maker, msg, msg_len, w->now.mono_us);
	add(w, false, msg, msg_len, from);
}

/* What the peers' paths carry, and what connections are told of it. */
static void narrow(struct world *w, uint32_t mtu, int mss_clamp)
{
	for (size_t i = 0; i < w->node->peer_count; i++)
		w->node->peers[i]->data.mtu = mtu;
	for (size_t i = 0; i < LANES; i++)
		w->lanes[i]->mss_clamp = mss_clamp;
}

/* What else happens to a node: the interface, its MTU, routes, configuration. */
static void control(struct world *w, struct remote *r, const uint8_t *bytes, size_t len)
{
	struct change c = { 0 };
	struct change_peer *p;
	uint8_t key[KEY_LEN];
	struct path_addr path;

	hand_over(w);
	if (!len)
		return;
	switch (bytes[0] % 8) {
	case 0:
		w->up = !w->up;
		node_set_up(w->node, w->up, w->now);
		break;
	case 1:
		node_set_mtu(w->node, 576 + 16U * (len > 1 ? bytes[1] : 0U));
		if (len > 2)
			lane_set_offloads(w->lanes[0], 1 + bytes[2] % 127, bytes[2] & 0x80);
		if (len > 4)
			narrow(w, 8U * bytes[3], bytes[4] < 128 ? MSS_CLAMP_OFF : bytes[4] < 192 ? MSS_CLAMP_ON : 8 * bytes[4]);
		break;
	case 2:
	case 3:
	case 4:
		node_uncheck_endpoints(w->node);
		while (node_next_path(w->node, key, &path))
			node_set_way(w->node, key, &path, bytes[0] % 8 == 2 ? PATH_LOOPS : PATH_OPEN, bytes[0] & 0x80, 0, w->now);
		break;
	default:
		p = change_add_peer(&c);
		require(p, "no memory");
		memcpy(p->public_key, r->id.public_key, KEY_LEN);
		if (bytes[0] % 8 == 5)
			p->bits = CHANGE_PEER_REMOVE;
		else
			befriend(&c, r, (size_t)(r - w->remotes));
		if (bytes[0] % 8 == 7)
			c.bits = CHANGE_REPLACE_PEERS;
		if (bytes[0] >= 0x80) {
			c.bits |= CHANGE_ROUTING;
			c.transit = (enum transit_mode)(bytes[0] >> 4 & 3) % (TRANSIT_OFF + 1);
		}
		require(node_apply(w->node, &c, w->now) == 0, "a change refused");
		change_done(&c);
		give_routes(w);
	}
}

static void again(struct world *w, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	for (unsigned int n = len ? bytes[0] % 100 : 1; n-- > 0;)
		add(w, false, w->last, w->last_len, from);
}

static void piece(struct world *w, unsigned int op, const uint8_t *bytes, size_t len)
{
	const struct endpoint *from = address(op >> 3 & 3);
	struct remote *r = &w->remotes[op >> 5 & 1];

	if (w->lane != (op >> 6 & 1)) {
		hand_over(w);
		w->lane = op >> 6 & 1;
	}
	switch ((enum op)(op & 7)) {
	case OP_UDP:
		add_dgram(w, op & 32, bytes, len, from);
		break;
	case OP_TUN:
		add_packet(w, op & 32, bytes, len);
		break;
	case OP_SEALED:
		remote_seals(w, r, bytes, len, from);
		break;
	case OP_MAC1:
		with_mac1(w, r, bytes, len, from);
		break;
	case OP_INITIATE:
		remote_initiates(w, r, bytes, len, from);
		break;
	case OP_ANSWER:
		remote_answers(w, r, bytes, len, from);
		break;
	case OP_CONTROL:
		control(w, r, bytes, len);
		break;
	case OP_AGAIN:
		again(w, bytes, len, from);
		break;
	}
}

/* Time passes as a driver lets it pass: with a turn at every deadline on the way. */
static void let_pass(struct world *w, int64_t us)
{
	int64_t end_us = w->now.mono_us + us;

	if (!us)
		return;
	hand_over(w);
	while (w->now.mono_us < end_us) {
		int64_t next_us = node_deadline(w->node);

		if (next_us > end_us)
			next_us = end_us;
		w->now.wall_ns += (next_us - w->now.mono_us) * 1000;
		w->now.mono_us = next_us;
		settle(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	static struct world w;

	if (!ready)
		require(crypto_init(), "no crypto");
	ready = true;
	world_init(&w);
	for (int i = 0; i < PIECES_MAX && size >= 4; i++) {
		size_t len = data[2] | (size_t)data[3] << 8;
		unsigned int op = data[0], step = data[1];

		data += 4;
		size -= 4;
		if (len > PIECE_MAX)
			len = PIECE_MAX;
		if (len > size)
			len = size;
		let_pass(&w, steps[step & 7]);
		w.glue = step & 0x40;
		w.waits = step & 0x20;
		piece(&w, op, data, len);
		if (!(step & 0x80))
			hand_over(&w);
		data += len;
		size -= len;
	}
	hand_over(&w);
	world_done(&w);
	return 0;
}
