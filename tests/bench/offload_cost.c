/* SPDX-License-Identifier: MIT */
/*
 * What segmentation and merging cost by themselves, without sealing and without system calls: nanoseconds, the best of some
 * rounds. The packets are those of a tunnel with an MTU of 1420, in buffers that stay in the second-level cache as a
 * lane's do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/inner_packets.h"
#include "wire/ip.h"
#include "wire/offload.h"

enum { SEGMENTS = 45, PAYLOAD = 1368, ROUNDS = 15, PACKETS = 2 * SEGMENTS, STRIDE = 1456, AROUND = 16 };

static const struct inner stream = {
	.version = 4, .proto = 6, .ttl = 64, .src = 1, .dst = 2, .sport = 5201, .dport = 40000,
	.fragment = 0x4000, .seq = 1, .ack = 77, .flags = 0x10, .window = 502, .options = 12,
};

static uint8_t payload[INNER_MAX];
static volatile uint64_t sink;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The least nanoseconds a call of 'work' takes, which returns something to keep. */
static double best_of(uint64_t (*work)(void *), void *arg, int calls)
{
	double best = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		double begin = now_ns(), took;

		for (int i = 0; i < calls; i++)
			sink += work(arg);
		took = (now_ns() - begin) / calls;
		best = took < best ? took : best;
	}
	return best;
}

static uint64_t sum_packet(void *arg)
{
	return ip_sum(0, arg, 1424);
}

static uint64_t sum_header(void *arg)
{
	return ip_sum(0, arg, 20);
}

/*
 * The buffer has the headers of the round before in it, which costs the same; the first one's is made the super-packet's again,
 * to be subtracted.
 */
static uint64_t split_all(void *arg)
{
	struct packet *p = arg;
	struct split s;
	uint8_t *segment;
	uint32_t len;
	uint64_t bytes = 0;

	inner_put_ip4(p->data, &stream, p->len);
	if (!split_begin(&s, p))
		abort();
	while (split_next(&s, &segment, &len))
		bytes += len;
	return bytes;
}

static uint64_t header_only(void *arg)
{
	struct packet *p = arg;

	inner_put_ip4(p->data, &stream, p->len);
	return p->data[10];
}

struct batch {
	uint8_t bytes[PACKETS * STRIDE];
	uint8_t headers[PACKETS][52];
	uint32_t len;
	bool merge;
	size_t writes;
};

static struct merge merge;

static void fill(struct batch *b, uint32_t flows, uint32_t payload_len)
{
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct inner s = stream;
		uint8_t *p = b->bytes + i * STRIDE + AROUND;

		s.sport = (uint16_t)(5201 + i % flows);
		s.seq = 1 + i / flows * payload_len;
		b->len = (uint32_t)inner_build(p, &s, payload, payload_len, false);
		memcpy(b->headers[i], p, sizeof(b->headers[i]));
	}
}

/* The headers are put back first, as they are overwritten; with 'merge' off that is all, to be subtracted. */
static uint64_t merge_all(void *arg)
{
	static const struct merge_options options = { .tcp = true, .udp = true };
	struct batch *b = arg;
	const struct tun_write *writes;

	for (uint32_t i = 0; i < PACKETS; i++)
		memcpy(b->bytes + i * STRIDE + AROUND, b->headers[i], sizeof(b->headers[i]));
	if (!b->merge)
		return b->bytes[AROUND];
	merge_begin(&merge, &options);
	for (uint32_t i = 0; i < PACKETS; i++)
		if (!merge_add(&merge, b->bytes + i * STRIDE + AROUND, b->len))
			abort();
	b->writes = merge_end(&merge, &writes);
	return writes[0].count;
}

static void report_merge(uint32_t flows, uint32_t payload_len)
{
	static struct batch b;
	double with, without;

	fill(&b, flows, payload_len);
	b.merge = true;
	with = best_of(merge_all, &b, 500);
	b.merge = false;
	without = best_of(merge_all, &b, 500);
	printf("merge, %3u flows, %4u bytes of payload, %2u packets to %2zu writes: %6.1f ns a packet\n", flows, payload_len,
		PACKETS, b.writes, (with - without) / PACKETS);
}

int main(void)
{
	static uint8_t super[INNER_MAX];
	struct packet p = { .data = super };
	double whole, header;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 131 + (i >> 8) * 17);
	printf("checksum of 1424 bytes: %6.1f ns, of 20: %.1f ns\n", best_of(sum_packet, payload + 4, 200000),
		best_of(sum_header, payload + 4, 200000));
	p.len = (uint32_t)inner_build(super, &stream, payload, SEGMENTS * PAYLOAD, true);
	p.vnet = (struct vnet){ VNET_NEEDS_CSUM, VNET_GSO_TCP4, 52, PAYLOAD, 20, 16 };
	whole = best_of(split_all, &p, 2000);
	header = best_of(header_only, &p, 2000);
	printf("split of %u segments of %u bytes: %6.0f ns, %.1f ns a segment\n", SEGMENTS, PAYLOAD, whole - header,
		(whole - header) / SEGMENTS);
	report_merge(1, PAYLOAD);
	report_merge(4, PAYLOAD);
	report_merge(16, PAYLOAD);
	report_merge(30, PAYLOAD);
	report_merge(1, 100);
	report_merge(90, 100);
	return 0;
}
