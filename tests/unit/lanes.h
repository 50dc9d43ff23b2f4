/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_LANES_H
#define MESHD_TESTS_LANES_H

/*
 * Two lanes back to back, with hand-made peers and keypairs, for tests of the data plane. Buffers are exactly as
 * large as a driver promises, each its own allocation with guards around it: one byte outside and the test fails, with
 * or without a sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/packet.h"
#include "node/change.h"
#include "node/lane.h"
#include "node/links.h"
#include "transport/noise.h"
#include "transport/session.h"

enum {
	LANES_GUARD = 64,
	LANES_GUARD_BYTE = 0xc5,
	LANES_INDEX_A = 0x0a000800,
	LANES_INDEX_B = 0x0b000800,
	LANES_BATCH_MAX = 512,		/* all that one output can hold, as single messages */
};

#define LANES_START_US (INT64_C(1000) * US_PER_S)

static const uint8_t lanes_flow_key[16] = { 0x5a };

/* A batch of buffers: guard, headroom, data, tailroom, guard. */
struct lanes_batch {
	uint8_t *rooms[LANES_BATCH_MAX];
	size_t sizes[LANES_BATCH_MAX];
	struct packet packets[LANES_BATCH_MAX];
	struct dgram dgrams[LANES_BATCH_MAX];
	size_t count;
};

static inline uint8_t *lanes_add(struct lanes_batch *b, const void *data, size_t len)
{
	size_t size = LANES_GUARD + PACKET_HEADROOM + len + PACKET_TAILROOM + LANES_GUARD;
	uint8_t *room = malloc(size), *at;

	assert_non_null(room);
	assert_true(b->count < LANES_BATCH_MAX);
	memset(room, LANES_GUARD_BYTE, size);
	at = room + LANES_GUARD + PACKET_HEADROOM;
	if (len)
		memcpy(at, data, len);
	b->rooms[b->count] = room;
	b->sizes[b->count] = size;
	b->packets[b->count] = (struct packet){ .data = at, .len = (uint32_t)len };
	b->dgrams[b->count] = (struct dgram){ .data = at, .len = (uint32_t)len };
	b->count++;
	return at;
}

/* Look at the guards and free. */
static inline void lanes_release(struct lanes_batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		for (size_t k = 0; k < LANES_GUARD; k++) {
			assert_int_equal(b->rooms[i][k], LANES_GUARD_BYTE);
			assert_int_equal(b->rooms[i][b->sizes[i] - 1 - k], LANES_GUARD_BYTE);
		}
		free(b->rooms[i]);
	}
	b->count = 0;
}

struct lanes_side {
	struct lane lane;
	struct lpm allowed;
	struct lane_peer peer;		/* the other side */
	struct endpoint here;
};

struct lanes {
	struct lanes_side a, b;		/* a began the handshake */
	struct instant now;
	struct lanes_batch batch;	/* of the side that is at work */
};

static inline struct ip_prefix lanes_prefix(const char *text)
{
	struct ip_prefix p = { 0 };

	assert_true(ip_prefix_parse(text, &p));
	return p;
}

static inline void lanes_allow(struct lanes_side *s, struct lane_peer *p, const char *text)
{
	struct ip_prefix prefix = lanes_prefix(text);

	assert_true(lpm_insert(&s->allowed, &prefix, p));
}

static inline struct keypair *lanes_keypair(uint32_t local, uint32_t remote, bool initiator, uint8_t seed, int64_t now_us)
{
	struct noise_keys keys = { .local_index = local, .remote_index = remote, .initiator = initiator };
	struct keypair *k;

	memset(initiator ? keys.send : keys.receive, seed, KEY_LEN);
	memset(initiator ? keys.receive : keys.send, seed + 1, KEY_LEN);
	k = keypair_new(&keys, now_us);
	assert_non_null(k);
	return k;
}

/* A session made by a, on both sides; b has not yet heard on it. */
static inline void lanes_handshake(struct lanes *l, uint32_t number)
{
	uint32_t a = LANES_INDEX_A + 0x1000 * number, b = LANES_INDEX_B + 0x1000 * number;
	uint8_t seed = (uint8_t)(10 * number + 1);

	assert_true(links_install(&l->a.lane, 1, &l->a.peer, lanes_keypair(a, b, true, seed, l->now.mono_us)));
	assert_true(links_install(&l->b.lane, 1, &l->b.peer, lanes_keypair(b, a, false, seed, l->now.mono_us)));
}

/* What a lane does when it hears on 'next', and the node when it hears of that. */
static inline void lanes_confirm(struct lanes_side *s)
{
	s->peer.links->current = s->peer.links->next;
	s->peer.links->next = NULL;
	links_confirm(&s->lane, 1, &s->peer);
	assert_ptr_equal(s->peer.session.current, s->peer.links->current);
	assert_null(s->peer.session.next);
}

/* The same, and confirmed. */
static inline void lanes_session(struct lanes *l, uint32_t number)
{
	lanes_handshake(l, number);
	lanes_confirm(&l->b);
}

/* A further peer of one lane, with an endpoint and nothing else. links_done() ends it. */
static inline void lanes_peer(struct lane_peer *p, const struct endpoint *remote)
{
	memset(p, 0, sizeof(*p));
	p->dscp = DSCP_NONE;
	assert_true(links_init(p, 0, 1));
	p->links->path.remote = *remote;
}

static inline void lanes_init(struct lanes *l)
{
	memset(l, 0, sizeof(*l));
	l->now = (struct instant){ .mono_us = LANES_START_US, .wall_ns = 1 };
	assert_true(lane_init(&l->a.lane, 0, 1, &l->a.allowed, lanes_flow_key));
	assert_true(lane_init(&l->b.lane, 0, 1, &l->b.allowed, lanes_flow_key));
	assert_true(endpoint_parse("192.0.2.1:1111", &l->a.here));
	assert_true(endpoint_parse("[2001:db8::2]:2222", &l->b.here));
	lanes_peer(&l->a.peer, &l->b.here);
	lanes_peer(&l->b.peer, &l->a.here);
	lanes_allow(&l->a, &l->a.peer, "10.0.0.2");
	lanes_allow(&l->a, &l->a.peer, "fd00::2");
	lanes_allow(&l->b, &l->b.peer, "10.0.0.1");
	lanes_allow(&l->b, &l->b.peer, "fd00::1");
}

static inline void lanes_side_done(struct lanes_side *s)
{
	lane_out_clear(&s->lane);
	links_done(&s->lane, 1, &s->peer);
	assert_int_equal(s->lane.small.used, 0);
	assert_int_equal(s->lane.slots.used, 0);
	assert_true(fq_empty(&s->lane.queue) && fq_empty(&s->lane.queue_in));
	assert_int_equal(s->lane.indices.count, 0);
	assert_null(s->lane.noted);
	assert_null(s->lane.pending);
	lane_done(&s->lane);
	lpm_clear(&s->allowed);
}

static inline void lanes_done(struct lanes *l)
{
	lanes_release(&l->batch);
	lanes_side_done(&l->a);
	lanes_side_done(&l->b);
}

/* An inner packet of 'len' bytes from 10.0.0.SRC to 10.0.0.DST, or with fd00:: for 'family' IP_V6; 'tag' varies its payload. */
static inline void lanes_packet(uint8_t *p, size_t len, uint8_t family, uint8_t src, uint8_t dst, uint8_t tag)
{
	size_t header = family == IP_V4 ? 20 : 40;

	assert_true(len >= header);
	memset(p, 0, header);
	if (family == IP_V4) {
		p[0] = 0x45;
		put_be16(p + 2, (uint16_t)len);
		p[8] = 64;
		p[9] = 17;
		memcpy(p + 12, (const uint8_t[4]){ 10, 0, 0, src }, 4);
		memcpy(p + 16, (const uint8_t[4]){ 10, 0, 0, dst }, 4);
	} else {
		p[0] = 0x60;
		put_be16(p + 4, (uint16_t)(len - 40));
		p[6] = 17;
		p[7] = 64;
		p[8] = 0xfd;
		p[23] = src;
		p[24] = 0xfd;
		p[39] = dst;
	}
	for (size_t i = header; i < len; i++)
		p[i] = (uint8_t)(tag + i);
}

/* Add an IPv4 packet of 60 bytes to the batch. */
static inline void lanes_add_packet(struct lanes_batch *b, uint8_t src, uint8_t dst, uint8_t tag)
{
	uint8_t p[60];

	lanes_packet(p, sizeof(p), IP_V4, src, dst, tag);
	lanes_add(b, p, sizeof(p));
}

/*
 * What is in a side's output: single messages, whatever runs they are in, and single packets.
 */

static inline size_t lanes_message_count(struct lanes_side *s)
{
	const struct lane_out *out = lane_out(&s->lane);
	size_t count = 0;

	for (size_t i = 0; i < out->dgram_count; i++)
		count += (out->dgrams[i].len + out->dgrams[i].segment - 1) / out->dgrams[i].segment;
	return count;
}

/* The i-th message, as a datagram of its own. */
static inline struct dgram lanes_message(struct lanes_side *s, size_t i)
{
	const struct lane_out *out = lane_out(&s->lane);

	for (size_t r = 0; r < out->dgram_count; r++) {
		struct dgram d = out->dgrams[r];
		size_t count = (d.len + d.segment - 1) / d.segment;
		uint32_t at = d.segment * (uint32_t)i;

		if (i < count) {
			d.data += at;
			d.len = d.len - at < d.segment ? d.len - at : d.segment;
			d.segment = 0;
			return d;
		}
		i -= count;
	}
	fail_msg("no message %zu", i);
	return (struct dgram){ 0 };
}

static inline size_t lanes_written_count(struct lanes_side *s)
{
	return lane_out(&s->lane)->write_count;
}

/* The packet of the i-th write, which has one: behind a vnet header that says nothing. */
static inline struct packet lanes_written(struct lanes_side *s, size_t i)
{
	const struct lane_out *out = lane_out(&s->lane);
	const struct tun_write *w = &out->writes[i];
	static const uint8_t nothing[VNET_LEN];

	assert_true(i < out->write_count);
	assert_int_equal(w->count, 1);
	assert_int_equal(w->packets, 1);
	assert_true(w->pieces[0].len > VNET_LEN);
	assert_memory_equal(w->pieces[0].base, nothing, VNET_LEN);
	return (struct packet){ .data = w->pieces[0].base + VNET_LEN, .len = (uint32_t)(w->pieces[0].len - VNET_LEN) };
}

/* Hand the batch to a side's TUN or UDP end. Datagrams that say nothing else come from the other side. */
static inline void lanes_tun(struct lanes *l, struct lanes_side *s)
{
	assert_int_equal(lane_out(&s->lane)->dgram_count, 0);
	assert_int_equal(lanes_written_count(s), 0);
	lane_from_tun(&s->lane, l->now, l->batch.packets, l->batch.count);
}

/* As much as the output holds of what a side has to send. Whether there is more. */
static inline bool lanes_drain(struct lanes *l, struct lanes_side *s)
{
	return lane_drain(&s->lane, l->now, UINT32_MAX);
}

static inline void lanes_udp_part(struct lanes *l, struct lanes_side *s, size_t first, size_t count)
{
	const struct endpoint *from = s == &l->a ? &l->b.here : &l->a.here;

	assert_true(count <= PACKET_BATCH);
	for (size_t i = first; i < first + count; i++)
		if (l->batch.dgrams[i].path.remote.addr.family == IP_NONE)
			l->batch.dgrams[i].path.remote = *from;
	lane_from_udp(&s->lane, l->now, l->batch.dgrams + first, count);
}

static inline void lanes_udp(struct lanes *l, struct lanes_side *s)
{
	lanes_udp_part(l, s, 0, l->batch.count);
}

/* After a side's output was looked at: give the memory back. */
static inline void lanes_clear(struct lanes *l, struct lanes_side *s)
{
	lane_out_clear(&s->lane);
	lanes_release(&l->batch);
}

/* Everything side 's' has to send, as a batch for the other side: message by message... */
static inline void lanes_carry(struct lanes *l, struct lanes_side *s)
{
	struct lanes_batch sent = { .count = 0 };
	size_t count = lanes_message_count(s);

	for (size_t i = 0; i < count; i++) {
		struct dgram d = lanes_message(s, i);

		lanes_add(&sent, d.data, d.len);
	}
	lanes_clear(l, s);
	l->batch = sent;
}

/* ...or run by run, as GRO gives it when all goes well. */
static inline void lanes_carry_runs(struct lanes *l, struct lanes_side *s)
{
	const struct lane_out *out = lane_out(&s->lane);
	struct lanes_batch sent = { .count = 0 };

	for (size_t i = 0; i < out->dgram_count; i++) {
		lanes_add(&sent, out->dgrams[i].data, out->dgrams[i].len);
		sent.dgrams[i].segment = out->dgrams[i].segment;
	}
	lanes_clear(l, s);
	l->batch = sent;
}

/* One packet from 's' sealed by its lane, as a batch of one datagram. */
static inline void lanes_sealed(struct lanes *l, struct lanes_side *s, const uint8_t *packet, size_t len)
{
	lanes_add(&l->batch, packet, len);
	lanes_tun(l, s);
	assert_int_equal(lanes_message_count(s), 1);
	lanes_carry(l, s);
}

/* The events of a side's peer since the last look, as the node would take them. */
static inline unsigned int lanes_events(struct lanes_side *s)
{
	unsigned int events = 0, one;
	struct lane_link *k;

	while ((k = lane_next_noted(&s->lane, &one))) {
		assert_ptr_equal(k, s->peer.links);
		events |= one;
	}
	assert_null(s->lane.noted);
	return events;
}

/* Everything a side has dropped, for whatever reason. */
static inline uint64_t lanes_drops(const struct lanes_side *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < DROP_REASONS; i++)
		sum += s->lane.drops[i];
	return sum;
}

#endif
