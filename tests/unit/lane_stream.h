/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_LANE_STREAM_H
#define MESHD_TESTS_LANE_STREAM_H

/*
 * Super-packets through two lanes back to back: they go into a's TUN, what comes out of a goes to b run by run, and what b
 * writes must be the bytes that went in: each once, in order, under headers that are right.
 */
#include "lanes.h"

#include "inner_packets.h"

enum {
	STREAM_MAX = 8 << 20,
	STREAM_GRO_BATCH = 16,		/* datagrams, so that what is in them fits one merge */
};

/* One TCP connection or one train of datagrams. */
struct stream_flow {
	struct inner say;		/* 'seq' is the next packet's */
	uint32_t size;			/* payload of a segment */
	uint8_t *sent, *received;	/* payload */
	size_t sent_len, received_len;
	size_t segments;		/* received */
	uint32_t first_seq;
};

static inline void stream_init(struct stream_flow *f, int version, int proto, uint32_t size, uint8_t src, uint8_t dst)
{
	*f = (struct stream_flow){ .size = size };
	f->say = (struct inner){
		.version = version, .proto = proto, .ttl = 64, .src = src, .dst = dst, .sport = 1000, .dport = 2000,
		.id = 7, .fragment = 0x4000, .seq = 0xfffffff0, .ack = 1, .flags = 0x10, .window = 500,
	};
	f->first_seq = f->say.seq;
	f->sent = malloc(STREAM_MAX);
	f->received = malloc(STREAM_MAX);
	assert_non_null(f->sent);
	assert_non_null(f->received);
}

static inline void stream_done(struct stream_flow *f)
{
	free(f->sent);
	free(f->received);
}

static inline struct vnet stream_vnet(const struct stream_flow *f)
{
	bool tcp = f->say.proto == 6;

	return (struct vnet){
		.flags = VNET_NEEDS_CSUM,
		.gso_type = !tcp ? VNET_GSO_UDP_L4 : f->say.version == 4 ? VNET_GSO_TCP4 : VNET_GSO_TCP6,
		.hdr_len = (uint16_t)inner_header_len(&f->say),
		.gso_size = (uint16_t)f->size,
		.csum_start = (uint16_t)inner_ip_len(&f->say),
		.csum_offset = tcp ? 16 : 6,
	};
}

/* The most payload one super-packet of the flow can have. */
static inline size_t stream_payload_max(const struct stream_flow *f)
{
	return (f->say.version == 4 ? 65535 : 65575) - inner_header_len(&f->say);
}

/* The flow's next super-packet, with 'len' bytes of payload, added to a batch. */
static inline void stream_add(struct lanes_batch *b, struct stream_flow *f, size_t len)
{
	uint8_t *packet = malloc(INNER_MAX), *payload = f->sent + f->sent_len;
	size_t packet_len;

	assert_non_null(packet);
	assert_true(f->sent_len + len <= STREAM_MAX);
	for (size_t i = 0; i < len; i++)
		payload[i] = (uint8_t)((f->sent_len + i) * 31 >> 3 ^ (f->sent_len + i) >> 11);
	packet_len = inner_build(packet, &f->say, payload, len, true);
	lanes_add(b, packet, packet_len);
	b->packets[b->count - 1].vnet = stream_vnet(f);
	f->say.seq += (uint32_t)len;
	f->sent_len += len;
	free(packet);
}

/* A packet that came out at the other end: is it the flow's next? */
static inline void stream_take(struct stream_flow *f, const uint8_t *p, size_t len)
{
	size_t ip = inner_ip_len(&f->say), header = inner_header_len(&f->say);
	size_t payload = len - header, left = f->sent_len - f->received_len;

	assert_true(len > header && payload <= f->size && payload <= left);
	assert_true(inner_is_valid(p, len, f->say.proto, ip));
	if (f->say.proto == 6)
		assert_int_equal(get_be32(p + ip + 4), f->first_seq + (uint32_t)f->received_len);
	assert_memory_equal(p + header, f->sent + f->received_len, payload);
	memcpy(f->received + f->received_len, p + header, payload);
	f->received_len += payload;
	f->segments++;
}

static inline void stream_assert_complete(const struct stream_flow *f)
{
	assert_int_equal(f->received_len, f->sent_len);
	assert_memory_equal(f->received, f->sent, f->sent_len);
}

/*
 * What holds for any output: runs inside the lane's memory, one behind the other, within their limits; each message a data
 * message with the next counter of its receiver, and only the last of a run shorter. Returns how many messages.
 */
static inline size_t stream_check_runs(struct lanes_side *s, uint64_t *counter)
{
	const struct lane_out *out = lane_out(&s->lane);
	const uint8_t *at = s->lane.out_bytes;
	size_t count = 0;

	assert_true(out->dgram_count <= LANE_RUNS_MAX);
	for (size_t i = 0; i < out->dgram_count; i++) {
		const struct dgram *d = &out->dgrams[i];
		uint32_t messages = 0;

		assert_ptr_equal(d->data, at);
		at += d->len;
		assert_true(d->len <= LANE_RUN_BYTES_MAX || d->len == d->segment);
		assert_true(d->segment > 0 && d->segment <= d->len);
		assert_int_equal(d->tos, 0);
		for (uint32_t k = 0; k < d->len; k += d->segment, messages++) {
			uint32_t len = d->len - k < d->segment ? d->len - k : d->segment;

			assert_int_equal(wg_classify(d->data + k, len), WG_DATA);
			assert_int_equal(wg_data_counter(d->data + k), (*counter)++);
		}
		assert_true(messages <= s->lane.run_messages_max);
		count += messages;
	}
	assert_true(at <= s->lane.out_bytes + LANE_OUT_BYTES);
	return count;
}

/* What 'a' has to send, to 'b', run by run; 'take' gets what b writes. */
static inline void stream_carry(struct lanes *l, void (*take)(const uint8_t *packet, size_t len))
{
	struct lanes_batch kept = l->batch;

	l->batch.count = 0;
	lanes_carry_runs(l, &l->a);
	for (size_t first = 0; first < l->batch.count; first += STREAM_GRO_BATCH) {
		size_t left = l->batch.count - first;

		lanes_udp_part(l, &l->b, first, left < STREAM_GRO_BATCH ? left : STREAM_GRO_BATCH);
		for (size_t i = 0; i < lanes_written_count(&l->b); i++) {
			struct packet p = lanes_written(&l->b, i);

			take(p.data, p.len);
		}
		lane_out_clear(&l->b.lane);
	}
	lanes_release(&l->batch);
	l->batch = kept;
}

#endif
