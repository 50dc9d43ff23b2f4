/* SPDX-License-Identifier: MIT */
/*
 * A node with two peers, and whatever may happen to it. The input is a row of pieces:
 *
 *	op	low 3 bits: what (enum op); bits 3-4: from which address; bit 5: which of the two remote ends
 *	step	low 3 bits: how much time passes first (steps[]); bit 7: do not hand the batch over yet
 *	len	2 bytes, little-endian; then so many bytes
 *
 * The remote ends are real ones: they hold the other half of each session, begin and answer handshakes, so that the
 * fuzzer gets behind the cryptography. After each batch everything that must always hold is looked at; above all, nothing
 * comes out of the TUN that some peer did not seal, from an address that is his, and nothing twice.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "node/inside.h"
#include "wire/ip.h"

#include "../unit/handshake_vectors.h"
#include "../unit/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	REMOTES = 2,
	PIECES_MAX = 200,
	PIECE_MAX = 4096,
	DELIVERED_MAX = PIECES_MAX * PACKET_BATCH,
	SETTLE_MAX = 100,
};

enum op {
	OP_UDP,			/* the bytes are a datagram */
	OP_TUN,			/* ...a packet from the TUN */
	OP_SEALED,		/* ...plaintext that a remote end seals */
	OP_MAC1,		/* ...an initiation or response but for mac1, which is made right */
	OP_INITIATE,		/* a remote end begins a handshake; the bytes: which byte to spoil, and how */
	OP_ANSWER,		/* a remote end answers our last initiation; the same */
	OP_CONTROL,		/* something other than packets; see control() */
	OP_AGAIN,		/* the last datagram again; the bytes: how often */
};

static const int64_t steps[8] = {
	0, 1000, 20 * US_PER_MS, US_PER_S, 5 * US_PER_S + 400 * US_PER_MS, 15 * US_PER_S, 120 * US_PER_S, 181 * US_PER_S,
};

/* The other end of a peer's session. */
struct remote {
	struct noise_identity id;
	struct noise_handshake handshake;
	struct cookie_maker cookies;
	struct keypair *keypair;
	uint8_t stamp[WG_TAI64N_LEN];
};

struct buffer {
	uint8_t *room;		/* headroom, data, tailroom: not a byte more */
	size_t len;
};

struct world {
	struct node *node;
	struct lane *lane;
	struct instant now;
	struct stream random, remote_random;
	struct remote remotes[REMOTES];
	bool up;

	/* The batch being gathered. */
	bool tun;
	struct buffer buffers[PACKET_BATCH];
	struct endpoint from[PACKET_BATCH];
	size_t count;

	uint8_t last[PIECE_MAX + WG_DATA_HEADER + AEAD_TAG];	/* datagram handed in */
	size_t last_len;
	uint8_t initiation[WG_INITIATION_LEN];		/* the node's last */
	bool initiated;

	/* What was delivered: by which keypair (index and birth), which counter. */
	struct delivered {
		uint32_t index;
		int64_t born_us;
		uint64_t counter;
	} *delivered;
	size_t delivered_count;
};

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static const struct endpoint *address(unsigned int i)
{
	static struct endpoint all[4];

	if (!all[0].port)
		require(endpoint_parse("192.0.2.1:1111", &all[0]) && endpoint_parse("[2001:db8::2]:2222", &all[1]) &&
			endpoint_parse("203.0.113.3:3333", &all[2]) && endpoint_parse("[fe80::4%4]:4444", &all[3]),
			"an address");
	return &all[i % 4];
}

/*
 * The world.
 */

static void befriend(struct change *c, const struct remote *r, size_t i)
{
	static const char *const allowed[REMOTES][3] = {
		{ "10.0.0.0/8", "fd00::/16", "10.2.3.4/32" },
		{ "0.0.0.0/0", "10.1.0.0/16", "fd00:1::/32" },
	};
	struct change_peer *p = change_add_peer(c);

	require(p, "no memory");
	memcpy(p->public_key, r->id.public_key, KEY_LEN);
	p->bits = CHANGE_PEER_ENDPOINT | CHANGE_PEER_KEEPALIVE;
	p->endpoint = *address((unsigned int)i);
	p->keepalive_s = i ? 25 : 0;
	for (size_t k = 0; k < 3; k++) {
		struct ip_prefix prefix = { 0 };

		require(ip_prefix_parse(allowed[i][k], &prefix) && change_add_allowed(p, &prefix, false), "an allowed IP");
	}
}

/* A session that is there from the start: the node began the first remote's, the second's is not yet confirmed. */
static void establish(struct world *w, size_t i)
{
	struct noise_keys keys = { .local_index = 0x1000U * (uint32_t)(i + 1), .remote_index = 77, .initiator = i == 0 };
	struct noise_keys turned = { .local_index = 77, .remote_index = keys.local_index, .initiator = i != 0 };
	struct peer *p = node_find(w->node, w->remotes[i].id.public_key);

	memset(keys.send, 3 + (int)i, KEY_LEN);
	memset(keys.receive, 5 + (int)i, KEY_LEN);
	memcpy(turned.send, keys.receive, KEY_LEN);
	memcpy(turned.receive, keys.send, KEY_LEN);
	w->remotes[i].keypair = keypair_new(&turned, w->now.mono_us);
	require(w->remotes[i].keypair && p && lane_install(w->lane, &p->data, keypair_new(&keys, w->now.mono_us)),
		"no session");
}

static void world_init(struct world *w)
{
	struct change c = { .bits = CHANGE_PRIVATE_KEY };
	struct rng rng = stream_rng(&w->random);
	struct log silent = { 0 };

	memset(w, 0, sizeof(*w));
	w->random.s = 1;
	w->remote_random.s = 2;
	w->now = (struct instant){ .mono_us = 1000 * US_PER_S, .wall_ns = 1700000000 * NS_PER_S };
	w->node = node_new(&rng, &silent);
	w->delivered = malloc(DELIVERED_MAX * sizeof(*w->delivered));
	require(w->node && w->delivered, "no memory");
	w->lane = node_lane(w->node);
	memcpy(c.private_key, handshake_vectors[0].responder_private, KEY_LEN);
	for (size_t i = 0; i < REMOTES; i++) {
		noise_identity_set(&w->remotes[i].id, handshake_vectors[i].initiator_private);
		befriend(&c, &w->remotes[i], i);
	}
	require(node_apply(w->node, &c, w->now) == 0, "a change refused");
	change_done(&c);
	for (size_t i = 0; i < REMOTES; i++) {
		noise_handshake_init(&w->remotes[i].handshake, &w->remotes[i].id, w->node->identity.public_key, NULL);
		cookie_maker_init(&w->remotes[i].cookies, w->node->identity.public_key);
		establish(w, i);
	}
	w->up = true;
	node_set_up(w->node, true, w->now);
}

static void world_done(struct world *w)
{
	for (size_t i = 0; i < REMOTES; i++)
		keypair_free(w->remotes[i].keypair);
	free(w->delivered);
	node_free(w->node);
}

/*
 * What must always hold.
 */

static bool inside(const uint8_t *p, size_t len, const void *memory, size_t size)
{
	const uint8_t *start = memory;

	return start && p >= start && p <= start + size && len <= (size_t)(start + size - p);
}

static bool in_pool(const uint8_t *p, size_t len, const struct pool *pool)
{
	if (!inside(p, len, pool->memory, pool->touched * pool->slot_size))
		return false;
	return (size_t)(p - pool->memory) % pool->slot_size + len <= pool->slot_size;
}

static bool in_batch(const struct world *w, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < w->count; i++)
		if (inside(p, len, w->buffers[i].room, PACKET_HEADROOM + w->buffers[i].len + PACKET_TAILROOM))
			return true;
	return false;
}

/* A datagram of the lane's: in memory that is ours, a data message, to a place. */
static void check_lane_dgram(const struct world *w, const struct dgram *d)
{
	const struct lane *l = w->lane;

	require(in_batch(w, d->data, d->len) || in_pool(d->data, d->len, &l->small) || in_pool(d->data, d->len, &l->large) ||
		inside(d->data, d->len, l->keepalives, sizeof(l->keepalives)), "a datagram from nowhere");
	require(wg_classify(d->data, d->len) == WG_DATA, "the lane sends what is no data");
	require(d->path.remote.addr.family != IP_NONE, "a datagram to nowhere");
}

static void remote_hears(struct world *w, const struct dgram *d);

static void check_lane_out(struct world *w, bool errors_only)
{
	const struct lane_out *out = lane_out(w->lane);

	require(out->dgram_count <= PACKET_BATCH && out->packet_count <= PACKET_BATCH, "an output too long");
	for (size_t i = 0; i < out->dgram_count; i++)
		check_lane_dgram(w, &out->dgrams[i]);
	for (size_t i = 0; i < out->packet_count; i++) {
		const struct packet *p = &out->packets[i];
		bool error = inside(p->data, p->len, w->lane->errors, sizeof(w->lane->errors));
		struct ip_view v;

		require(ip_view(&v, p->data, p->len) && v.len == p->len, "a packet that is none");
		require(error || (!errors_only && in_batch(w, p->data, p->len)), "a packet from nowhere");
	}
	lane_out_clear(w->lane);
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
	size_t held = 0, keypairs = 0;

	for (size_t i = 0; i < n->peer_count; i++) {
		const struct lane_peer *p = &n->peers[i]->data;
		const struct session *s = &p->session;

		require(p->held_count <= LANE_HELD_MAX, "too many packets wait");
		held += p->held_count;
		keypairs += (s->previous ? 1U : 0U) + (s->current ? 1U : 0U) + (s->next ? 1U : 0U);
	}
	require(w->lane->small.used + w->lane->large.used == held, "a slot was lost");
	require(w->lane->indices.count == keypairs, "an index was lost");
	require(n->handshakes.count <= n->peer_count, "a handshake was lost");
	require(n->timers.count <= n->peer_count, "a timer too many");
	require(w->lane->handshake_count <= LANE_HANDSHAKES_MAX, "too many handshakes wait");
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
		do {
			more = lane_drain(w->lane, w->now);
			check_lane_out(w, true);
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
	bool authentic;
	uint8_t *plain;		/* NULL: nothing */
	uint32_t len;
	struct delivered key;
};

/* Open a copy of one datagram with the keys the node has, and judge it by itself. */
static void may_deliver(const struct world *w, const uint8_t *msg, size_t len, struct allowed_out *a)
{
	const struct keypair *k;
	struct ip_view v;

	a->authentic = false;
	a->plain = NULL;
	if (wg_classify(msg, len) != WG_DATA)
		return;
	k = u32map_get(&w->lane->indices, wg_data_receiver(msg));
	if (!k || w->now.mono_us - k->born_us >= REJECT_AFTER_S * US_PER_S)
		return;
	a->plain = malloc(len);
	require(a->plain, "no memory");
	a->key = (struct delivered){ k->local_index, k->born_us, wg_data_counter(msg) };
	a->authentic = aead_open(k->opener, a->key.counter, a->plain, msg + WG_DATA_HEADER, len - WG_DATA_HEADER);
	if (a->authentic &&
	    ip_view(&v, a->plain, len - WG_DATA_HEADER - AEAD_TAG)) {
		struct ip_addr src = { .family = v.family };

		memcpy(src.bytes, v.src, v.family == IP_V4 ? 4 : 16);
		a->len = v.len;
		if (lpm_lookup(&w->lane->allowed, &src) == k->owner)
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

/* Each delivered packet must be one of those that may, in their order. */
static void check_delivered(struct world *w, struct allowed_out *may)
{
	const struct lane_out *out = lane_out(w->lane);
	size_t at = 0;

	require(out->dgram_count == 0, "a datagram in answer to a datagram");
	for (size_t i = 0; i < out->packet_count; i++) {
		const struct packet *p = &out->packets[i];

		while (at < w->count && !(may[at].plain && may[at].len == p->len && !memcmp(may[at].plain, p->data, p->len)))
			at++;
		require(at < w->count, "a packet nobody sealed, or not his");
		check_not_twice(w, &may[at].key);
		at++;
	}
}

/*
 * Handing a batch over.
 */

static uint64_t received_bytes(const struct world *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->node->peer_count; i++)
		sum += w->node->peers[i]->data.rx_bytes;
	return sum;
}

static void hand_over_udp(struct world *w)
{
	struct allowed_out may[PACKET_BATCH];
	struct dgram dgrams[PACKET_BATCH];
	uint64_t before = received_bytes(w), authentic = 0;

	memset(dgrams, 0, sizeof(dgrams));
	for (size_t i = 0; i < w->count; i++) {
		dgrams[i].data = w->buffers[i].room + PACKET_HEADROOM;
		dgrams[i].len = (uint32_t)w->buffers[i].len;
		dgrams[i].path.remote = w->from[i];
		may_deliver(w, dgrams[i].data, dgrams[i].len, &may[i]);
		authentic += may[i].authentic ? dgrams[i].len : 0;
	}
	lane_from_udp(w->lane, w->now, dgrams, w->count);
	require(received_bytes(w) - before <= authentic, "a forgery was taken for a peer's");
	check_delivered(w, may);
	check_lane_out(w, false);
	for (size_t i = 0; i < w->count; i++)
		free(may[i].plain);
}

static void hand_over_tun(struct world *w)
{
	struct packet packets[PACKET_BATCH];

	for (size_t i = 0; i < w->count; i++)
		packets[i] = (struct packet){ w->buffers[i].room + PACKET_HEADROOM, (uint32_t)w->buffers[i].len };
	lane_from_tun(w->lane, w->now, packets, w->count);
	check_lane_out(w, true);
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

static void add(struct world *w, bool tun, const void *bytes, size_t len, const struct endpoint *from)
{
	struct buffer *b;

	if (w->count == PACKET_BATCH || (w->count && w->tun != tun))
		hand_over(w);
	b = &w->buffers[w->count];
	w->tun = tun;
	w->from[w->count++] = *from;
	b->len = len;
	b->room = malloc(PACKET_HEADROOM + len + PACKET_TAILROOM);
	require(b->room, "no memory");
	memset(b->room, 0xaa, PACKET_HEADROOM + len + PACKET_TAILROOM);
	if (len)
		memcpy(b->room + PACKET_HEADROOM, bytes, len);
	if (tun)
		return;
	w->last_len = len;
	if (len)
		memmove(w->last, bytes, len);
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
	require(k, "no memory");
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
	require(noise_create_initiation(&r->handshake, &r->id, 99, r->stamp, &rng, &m), "no initiation");
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
	require(noise_create_response(&r->handshake, 98, &rng, &m), "no response");
	wg_response_write(msg, &m);
	cookie_maker_sign(&r->cookies, msg, sizeof(msg), w->now.mono_us);
	remote_begins_session(w, r);
	spoil(msg, sizeof(msg), bytes, len);
	add(w, false, msg, sizeof(msg), from);
}

static void remote_seals(struct world *w, struct remote *r, const uint8_t *bytes, size_t len, const struct endpoint *from)
{
	static uint8_t msg[WG_DATA_HEADER + PIECE_MAX + AEAD_TAG];
	struct keypair *k = r->keypair;

	wg_data_header_write(msg, k->remote_index, k->counter);
	aead_seal(k->sealer, k->counter, msg + WG_DATA_HEADER, bytes, len);
	k->counter++;
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

/* What else happens to a node: the interface, its MTU, routes, configuration. */
static void control(struct world *w, struct remote *r, const uint8_t *bytes, size_t len)
{
	struct change c = { 0 };
	struct change_peer *p;
	uint8_t key[KEY_LEN];
	struct endpoint e;

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
		break;
	case 2:
	case 3:
		node_set_endpoint_loop(w->node, r->id.public_key, bytes[0] % 8 == 2);
		break;
	case 4:
		node_forget_local_addresses(w->node);
		node_uncheck_endpoints(w->node);
		while (node_next_unchecked(w->node, key, &e))
			;
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
		require(node_apply(w->node, &c, w->now) == 0, "a change refused");
		change_done(&c);
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

	switch ((enum op)(op & 7)) {
	case OP_UDP:
		add(w, false, bytes, len, from);
		break;
	case OP_TUN:
		add(w, true, bytes, len, from);
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
