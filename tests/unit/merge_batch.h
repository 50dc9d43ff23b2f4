/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_MERGE_BATCH_H
#define MESHD_TESTS_MERGE_BATCH_H

/*
 * A batch for merging, laid out as a received super-datagram is, each packet between 16 bytes of header and 16 of tag; and what must
 * hold for the writes made of it. They are judged without merge's help: which packets are in which, in which order, whether every
 * byte is where it should be, and whether cutting a super-packet again gives the packets it was made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inner_packets.h"
#include "merge_undo.h"
#include "wire/offload.h"

enum {
	AROUND = 16,
	BATCH_MAX = MERGE_PACKETS_MAX + 8,
	ARENA = 8 << 20,
};

static const struct merge_options both = { .tcp = true, .udp = true };

/* A batch: packets in an arena, and the arena as it was before merging. */
static struct batch {
	uint8_t *arena, *before;
	size_t used;
	uint8_t *packet[BATCH_MAX];
	uint32_t len[BATCH_MAX];
	uint32_t flow[BATCH_MAX];		/* number the test gives */
	uint32_t write[BATCH_MAX];		/* which it came to be in, and at which place among all */
	uint32_t place[BATCH_MAX];
	uint32_t count;
	unsigned int seed;
} b;
static struct merge m;
static const struct tun_write *writes;
static size_t write_count;

static int set_up(void **state)
{
	(void)state;
	b.arena = malloc(ARENA);
	b.before = malloc(ARENA);
	return b.arena && b.before ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(b.arena);
	free(b.before);
	return 0;
}

static unsigned int random_below(unsigned int n)
{
	return (unsigned int)rand_r(&b.seed) % n;
}

static void begin(unsigned int seed)
{
	b.seed = seed;
	b.used = 0;
	b.count = 0;
}

static uint8_t *lay_out(uint32_t len, uint32_t flow)
{
	uint8_t *packet = b.arena + b.used + AROUND;

	assert_true(b.used + len + 2 * AROUND <= ARENA && b.count < BATCH_MAX);
	memset(packet - AROUND, (int)(0x80 + b.count % 64), AROUND);
	memset(packet + len, (int)(0xc0 + b.count % 64), AROUND);
	b.packet[b.count] = packet;
	b.len[b.count] = len;
	b.flow[b.count++] = flow;
	b.used += len + 2 * AROUND;
	return packet;
}

/* Adds one with random payload; returns it. */
static uint8_t *add(const struct inner *s, size_t payload_len, uint32_t flow)
{
	uint8_t payload[2000], *packet = lay_out((uint32_t)(inner_header_len(s) + payload_len), flow);

	assert_true(payload_len <= sizeof(payload));
	for (size_t i = 0; i < payload_len; i++)
		payload[i] = (uint8_t)rand_r(&b.seed);
	inner_build(packet, s, payload, payload_len, false);
	return packet;
}

/* Adds one of a flow, and moves the flow on. */
static void step(struct inner *s, size_t payload_len, uint32_t flow)
{
	add(s, payload_len, flow);
	s->seq += (uint32_t)payload_len;
	s->id++;
}

static void run(const struct merge_options *options)
{
	memcpy(b.before, b.arena, b.used);
	merge_begin(&m, options);
	for (uint32_t i = 0; i < b.count; i++)
		assert_true(merge_add(&m, b.packet[i], b.len[i]));
	write_count = merge_end(&m, &writes);
}

static const uint8_t *original(uint32_t i)
{
	return b.before + (b.packet[i] - b.arena);
}

/* Which packet's memory the last byte of a piece is in: a payload, or a vnet header and packet. */
static uint32_t packet_at(const struct piece *piece)
{
	const uint8_t *last = piece->base + piece->len - 1;
	uint32_t low = 0, high = b.count;

	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (b.packet[middle] <= last)
			low = middle;
		else
			high = middle;
	}
	assert_true(last == b.packet[low] + b.len[low] - 1);
	return low;
}

/* Identification means nothing with DF, and is made anew when a super-packet is cut. */
static void assert_same_packet(const uint8_t *is, const uint8_t *want, uint32_t len)
{
	static uint8_t copy[INNER_MAX];

	memcpy(copy, is, len);
	if (want[0] >> 4 == 4 && (want[6] & 0x40)) {
		memcpy(copy + 4, want + 4, 2);
		memcpy(copy + 10, want + 10, 2);
	}
	assert_memory_equal(copy, want, len);
}

/* A super-packet as the kernel would have it, cut again. */
static void judge_super(const struct tun_write *w, uint32_t first)
{
	static uint8_t bytes[INNER_MAX];
	struct packet packet = { .data = bytes };
	struct split split;
	uint8_t *segment;
	uint32_t len, i = 0, at = VNET_LEN;

	vnet_read(&packet.vnet, w->pieces[0].base);
	for (uint32_t k = 0; k < w->count; k++, at = 0) {
		memcpy(bytes + packet.len, w->pieces[k].base + at, w->pieces[k].len - at);
		packet.len += (uint32_t)(w->pieces[k].len - at);
	}
	assert_true(packet.len <= MERGE_BYTES_MAX);
	assert_int_equal(packet.vnet.flags, VNET_NEEDS_CSUM);
	assert_int_equal(packet.vnet.hdr_len + packet.vnet.gso_size, b.len[first]);
	assert_int_equal(get16(bytes + packet.vnet.csum_start + packet.vnet.csum_offset),
		naive_pseudo(bytes, packet.vnet.csum_offset == 16 ? 6 : 17, packet.len - packet.vnet.csum_start));
	if (bytes[0] >> 4 == 4)
		assert_int_equal(naive_add(0, bytes, 20), 0xffff);
	assert_true(split_begin(&split, &packet));
	assert_int_equal(split.count, w->packets);
	for (; split_next(&split, &segment, &len); i++) {
		uint32_t n = packet_at(&w->pieces[i]);

		assert_int_equal(len, b.len[n]);
		assert_same_packet(segment, original(n), len);
	}
}

/* Everything that must hold for every batch. Fills in write and place. */
static void judge(void)
{
	uint32_t place = 0, last_first = 0;
	static uint32_t last_of_flow[1 << 16];

	memset(last_of_flow, 0, sizeof(last_of_flow));
	for (uint32_t i = 0; i < b.count; i++)
		b.write[i] = UINT32_MAX;
	for (uint32_t k = 0; k < write_count; k++) {
		const struct tun_write *w = &writes[k];
		uint32_t first = packet_at(&w->pieces[0]);

		assert_true(k == 0 || first > last_first);	/* in the order of their first packets */
		last_first = first;
		assert_int_equal(w->count, w->packets);
		assert_in_range(w->count, 1, MERGE_SEGMENTS_MAX);
		assert_ptr_equal(w->pieces[0].base, b.packet[first] - VNET_LEN);
		for (uint32_t i = 0; i < w->count; i++) {
			uint32_t n = packet_at(&w->pieces[i]);

			assert_int_equal(b.write[n], UINT32_MAX);
			b.write[n] = k;
			b.place[n] = place++;
			assert_true(last_of_flow[b.flow[n]] <= n);	/* no packet overtook one of its flow */
			last_of_flow[b.flow[n]] = n;
		}
		if (w->count > 1) {
			judge_super(w, first);
		} else {
			static const uint8_t nothing[VNET_LEN];

			assert_memory_equal(w->pieces[0].base, nothing, VNET_LEN);
			assert_int_equal(w->pieces[0].len, VNET_LEN + b.len[first]);
			assert_memory_equal(b.packet[first], original(first), b.len[first]);
		}
	}
	assert_int_equal(place, b.count);
}

/* Takes the writes apart: everything is as it was, but for the vnet headers. */
static void judge_undo(void)
{
	for (uint32_t k = 0; k < write_count; k++) {
		struct piece singles[MERGE_SEGMENTS_MAX];
		uint32_t count = merge_undo(&writes[k], singles);

		assert_int_equal(count, writes[k].packets);
		for (uint32_t i = 0; i < count; i++) {
			static const uint8_t nothing[VNET_LEN];
			uint32_t n = packet_at(&singles[i]);

			assert_ptr_equal(singles[i].base, b.packet[n] - VNET_LEN);
			assert_int_equal(singles[i].len, VNET_LEN + b.len[n]);
			assert_memory_equal(singles[i].base, nothing, VNET_LEN);
		}
	}
	for (uint32_t i = 0; i < b.count; i++)
		memcpy(b.packet[i] - VNET_LEN, original(i) - VNET_LEN, VNET_LEN);
	assert_memory_equal(b.arena, b.before, b.used);
}

static void run_and_judge(void)
{
	run(&both);
	judge();
	judge_undo();
}

#endif
