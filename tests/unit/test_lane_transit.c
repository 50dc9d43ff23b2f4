/* SPDX-License-Identifier: MIT */
/*
 * From link to link: a node with three peers, of whom one sends to another. What comes out is opened with the keys of the peer it
 * is for, and must be what went in, one hop older.
 */
#include "lanes.h"

#include <stdio.h>

#include "crypto/aead.h"
#include "inner_packets.h"
#include "node/fib.h"
#include "wire/ecn.h"
#include "wire/ip.h"

enum { PEERS = 3, LANES = 2, LEN_MAX = 2000, A = 0, B = 1, C = 2, HERE = 99 };

static struct lane lanes[LANES];
static unsigned int lane_count;
static struct lpm allowed;
static struct fib fib;
static struct lane_peer peers[PEERS];		/* 10.0.N + 1.0/24 and fd00:N + 1::/32 */
static struct keypair *remote[PEERS];		/* the other ends of their sessions */
static struct instant now;
static struct lanes_batch batch;

static struct endpoint place(unsigned int i)
{
	struct endpoint e;

	assert_true(endpoint_parse("192.0.2.1:1000", &e));
	e.port = (uint16_t)(e.port + i);
	return e;
}

static void allow(const char *text, unsigned int i)
{
	struct ip_prefix p = lanes_prefix(text);

	assert_true(lpm_insert(&allowed, &p, &peers[i]));
}

static void add_peer(unsigned int i)
{
	unsigned int home = i % lane_count;
	uint32_t index = 0x10000u * (i + 1) | home << WG_INDEX_LANE_SHIFT;
	uint8_t seed = (uint8_t)(20 * i + 3);
	char text[32];

	memset(&peers[i], 0, sizeof(peers[i]));
	peers[i].dscp = DSCP_NONE;
	assert_true(links_init(&peers[i], home, lane_count));
	for (unsigned int k = 0; k < lane_count; k++)
		peers[i].links[k].path.remote = place(i);
	assert_true(links_install(lanes, lane_count, &peers[i], lanes_keypair(index, 0x80u * i, true, seed, now.mono_us)));
	remote[i] = lanes_keypair(0x80u * i, index, false, seed, now.mono_us);
	snprintf(text, sizeof(text), "10.0.%u.0/24", i + 1);
	allow(text, i);
	snprintf(text, sizeof(text), "fd00:%u::/32", i + 1);
	allow(text, i);
}

static struct lpm host;	/* the kernel has a way of its own there */

static void host_has(const char *text)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(text, &p));
	assert_true(lpm_insert(&host, &p, &host));
}

static void set_up(unsigned int count)
{
	static const struct ip_addr own4 = { IP_V4, { 10, 0, 0, 9 } }, own6 = { IP_V6, { 0xfd, [15] = 9 } };

	lane_count = count;
	now = (struct instant){ .mono_us = LANES_START_US, .wall_ns = 1 };
	for (unsigned int i = 0; i < count; i++) {
		assert_true(lane_init(&lanes[i], i, count, &allowed, lanes_flow_key));
		lanes[i].fib = &fib;
		lanes[i].transit = TRANSIT_LANE;
		lane_set_addresses(&lanes[i], &own4, &own6);
		lanes[i].host = &host;
	}
	host_has("10.0.0.9/32");
	host_has("fd00::9/128");
	for (unsigned int i = 0; i < PEERS; i++)
		add_peer(i);
}

static int setup(void **state)
{
	(void)state;
	set_up(1);
	return 0;
}

static int setup_two(void **state)
{
	(void)state;
	set_up(2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_release(&batch);
	lpm_clear(&allowed);
	lpm_clear(&host);
	fib_clear(&fib);
	for (unsigned int i = 0; i < lane_count; i++)
		lane_out_clear(&lanes[i]);
	for (unsigned int i = 0; i < PEERS; i++) {
		links_done(lanes, lane_count, &peers[i]);
		keypair_free(remote[i]);
	}
	for (unsigned int i = 0; i < lane_count; i++) {
		assert_int_equal(lanes[i].small.used + lanes[i].slots.used + lanes[i].indices.count, 0);
		lane_done(&lanes[i]);
	}
	return 0;
}

static void route(const char *dst, const char *src, enum fib_action action, unsigned int peer, unsigned int announcers)
{
	struct prefix_pair p = { .dst = lanes_prefix(dst), .src = lanes_prefix(src) };
	struct lane_peer *list[PEERS];
	size_t count = 0;

	for (unsigned int i = 0; i < PEERS; i++)
		if (announcers & 1U << i)
			list[count++] = &peers[i];
	assert_true(fib_set(&fib, &p, action, &peers[peer], list, count));
}

/*
 * Packets.
 */

static void packet(uint8_t *p, size_t len, const char *src, const char *dst, uint8_t hops, uint8_t tos)
{
	struct ip_addr from, to;

	assert_true(ip_addr_parse(src, &from) && ip_addr_parse(dst, &to));
	memset(p, 0, 40);
	if (from.family == IP_V4) {
		p[0] = 0x45;
		p[1] = tos;
		put_be16(p + 2, (uint16_t)len);
		p[6] = 0x40;
		p[8] = hops;
		p[9] = 17;
		memcpy(p + 12, from.bytes, 4);
		memcpy(p + 16, to.bytes, 4);
		put16(p + 10, 0xffff - naive_add(0, p, 20));
	} else {
		put32(p, 6u << 28 | (uint32_t)tos << 20);
		put_be16(p + 4, (uint16_t)(len - 40));
		p[6] = 17;
		p[7] = hops;
		memcpy(p + 8, from.bytes, 16);
		memcpy(p + 24, to.bytes, 16);
	}
	for (size_t i = from.family == IP_V4 ? 20 : 40; i < len; i++)
		p[i] = (uint8_t)i;
}

/* Sealed by a peer, padded as usual, into the batch. */
static void add_sealed(unsigned int i, const uint8_t *p, size_t len, uint8_t outer_tos)
{
	uint8_t plain[LEN_MAX + 16] = { 0 }, msg[LEN_MAX + 64];
	struct keypair *k = remote[i];
	size_t padded = (len + 15) / 16 * 16;

	memcpy(plain, p, len);
	wg_data_header_write(msg, k->remote_index, k->zero.counter);
	aead_seal(k->zero.sealer, k->zero.counter++, msg + WG_DATA_HEADER, plain, padded);
	lanes_add(&batch, msg, WG_DATA_HEADER + padded + AEAD_TAG);
	batch.dgrams[batch.count - 1].path.remote = place(i);
	batch.dgrams[batch.count - 1].tos = outer_tos;
}

static void receive(unsigned int lane)
{
	lane_from_udp(&lanes[lane], now, batch.dgrams, batch.count);
}

/* From a peer, to the lane of its home. */
static void send_as(unsigned int i, const uint8_t *p, size_t len)
{
	add_sealed(i, p, len, 0);
	receive(peers[i].home);
}

static size_t messages(unsigned int lane)
{
	const struct lane_out *out = lane_out(&lanes[lane]);
	size_t count = 0;

	for (size_t i = 0; i < out->dgram_count; i++)
		count += (out->dgrams[i].len + out->dgrams[i].segment - 1) / out->dgrams[i].segment;
	return count;
}

/* The i-th message of a run, opened with the keys of the peer it goes to. Returns the packet's length. */
static uint32_t open_one(const struct dgram *d, uint32_t at, unsigned int to, uint8_t *plain)
{
	uint32_t len = d->len - at < d->segment ? d->len - at : d->segment;
	const uint8_t *msg = d->data + at;
	struct endpoint there = place(to);
	struct ip_view v;

	assert_int_equal(wg_data_receiver(msg), 0x80u * to);
	assert_true(endpoint_equal(&d->path.remote, &there));
	assert_true(len <= LEN_MAX + 64);
	assert_true(aead_open(remote[to]->zero.opener, wg_data_counter(msg), plain, msg + WG_DATA_HEADER, len - WG_DATA_HEADER));
	assert_true(ip_view(&v, plain, len - WG_DATA_MIN));
	return v.len;
}

static uint32_t sent_to(unsigned int lane, unsigned int to, uint8_t *plain)
{
	const struct lane_out *out = lane_out(&lanes[lane]);

	assert_int_equal(out->dgram_count, 1);
	assert_int_equal(messages(lane), 1);
	return open_one(&out->dgrams[0], 0, to, plain);
}

static uint64_t drops(void)
{
	uint64_t sum = 0;

	for (unsigned int k = 0; k < lane_count; k++)
		for (int i = 0; i < DROP_REASONS; i++)
			sum += lanes[k].drops[i];
	return sum;
}

static void clear(void)
{
	for (unsigned int i = 0; i < lane_count; i++)
		lane_out_clear(&lanes[i]);
	lanes_release(&batch);
}

/* As it went in, but for one hop. */
static void assert_forwarded(const uint8_t *before, size_t len, const uint8_t *after)
{
	size_t hops = before[0] >> 4 == 4 ? 8 : 7;

	assert_int_equal(after[hops], before[hops] - 1);
	if (hops == 8) {
		assert_int_equal(naive_add(0, after, 20), 0xffff);
		assert_memory_equal(after, before, 8);
		assert_int_equal(after[9], before[9]);
		assert_memory_equal(after + 12, before + 12, len - 12);
	} else {
		assert_memory_equal(after, before, 7);
		assert_memory_equal(after + 8, before + 8, len - 8);
	}
}

static const char *const src4 = "10.0.1.5", *const dst4 = "10.0.2.7", *const src6 = "fd00:1::5", *const dst6 = "fd00:2::7";

/* Every TTL, so that the checksum goes through its carries; and lengths, so that padding does no harm. */
static void one_hop_less(void **state)
{
	uint8_t p[LEN_MAX], plain[LEN_MAX + 64];

	(void)state;
	for (unsigned int hops = 2; hops < 256; hops++)
		for (int six = 0; six < 2; six++) {
			size_t len = 60 + hops;

			packet(p, len, six ? src6 : src4, six ? dst6 : dst4, (uint8_t)hops, 0);
			send_as(A, p, len);
			assert_int_equal(sent_to(0, B, plain), len);
			assert_forwarded(p, len, plain);
			assert_int_equal(lane_out(&lanes[0])->write_count, 0);
			clear();
		}
	assert_int_equal(lanes[0].forwarded, 254 * 2);
	assert_int_equal(lanes[0].rx_packets, 254 * 2);
	assert_int_equal(lanes[0].tx_packets, 254 * 2);
	assert_int_equal(drops(), 0);
}

static void what_the_tun_gets(void **state)
{
	static const char *const to[] = {
		"10.0.0.9", "10.9.9.9", "224.0.0.5", "255.255.255.255", "169.254.1.1", "127.0.0.1",
		"fd00::9", "fd00:99::1", "ff02::1", "ff0e::1", "fe80::1", "::1",
	};
	uint8_t p[100];

	(void)state;
	allow("0.0.0.0/1", C);
	allow("224.0.0.0/3", C);
	allow("fe80::/10", C);
	allow("ff00::/8", C);
	allow("::/16", C);
	allow("169.254.0.0/16", C);
	allow("10.0.0.0/16", C);	/* in which our own address lies */
	allow("10.9.0.0/16", B);
	route("10.9.9.9/32", "0.0.0.0/0", FIB_HOST, 0, 0);
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		struct packet out;

		packet(p, sizeof(p), i < 6 ? src4 : src6, to[i], 1, 0);
		send_as(A, p, sizeof(p));
		assert_int_equal(messages(0), 0);
		assert_int_equal(lane_out(&lanes[0])->write_count, 1);
		out = (struct packet){ .data = lane_out(&lanes[0])->writes[0].pieces[0].base + VNET_LEN };
		assert_memory_equal(out.data, p, sizeof(p));
		clear();
	}
	assert_int_equal(drops() + lanes[0].forwarded, 0);
}

/* With kernel all goes to the TUN; with off what is another peer's goes nowhere, and nobody is told. */
static void other_modes(void **state)
{
	uint8_t p[100];

	(void)state;
	packet(p, sizeof(p), src4, dst4, 64, 0);
	lanes[0].transit = TRANSIT_KERNEL;
	send_as(A, p, sizeof(p));
	assert_int_equal(lane_out(&lanes[0])->write_count, 1);
	assert_memory_equal(lane_out(&lanes[0])->writes[0].pieces[0].base + VNET_LEN, p, sizeof(p));
	assert_int_equal(messages(0), 0);
	clear();
	lanes[0].transit = TRANSIT_OFF;
	send_as(A, p, sizeof(p));
	assert_int_equal(lane_out(&lanes[0])->write_count, 0);
	assert_int_equal(messages(0), 0);
	clear();
	packet(p, sizeof(p), src4, "10.0.0.9", 64, 0);
	send_as(A, p, sizeof(p));
	assert_int_equal(lane_out(&lanes[0])->write_count, 1);
	assert_int_equal(lanes[0].drops[DROP_TRANSIT] + drops(), 2);
}

/*
 * Errors.
 */

/* The output is an ICMP error to A about 'p', from 'own'. */
static void assert_error(const uint8_t *p, const char *own, uint8_t type, uint8_t code, uint32_t mtu)
{
	uint8_t plain[LEN_MAX + 64];
	uint32_t len = sent_to(peers[A].home, A, plain);
	size_t header = p[0] >> 4 == 4 ? 20 : 40;
	struct ip_addr from;

	assert_true(ip_addr_parse(own, &from));
	if (from.family == IP_V4) {
		assert_int_equal(naive_add(0, plain, 20), 0xffff);
		assert_int_equal(naive_add(0, plain + 20, len - 20), 0xffff);
		assert_int_equal(plain[9], 1);
		assert_memory_equal(plain + 12, from.bytes, 4);
		assert_memory_equal(plain + 16, p + 12, 4);
	} else {
		assert_int_equal(naive_add(naive_pseudo(plain, 58, len - 40), plain + 40, len - 40), 0xffff);
		assert_int_equal(plain[6], 58);
		assert_memory_equal(plain + 8, from.bytes, 16);
		assert_memory_equal(plain + 24, p + 8, 16);
	}
	assert_memory_equal(plain + header + 8, p, len - header - 8);	/* as it was before it was touched */
	assert_int_equal(plain[header], type);
	assert_int_equal(plain[header + 1], code);
	assert_int_equal(get_be32(plain + header + 4), mtu);
	assert_int_equal(lane_out(&lanes[peers[A].home])->write_count, 0);
}

static void time_exceeded(void **state)
{
	uint8_t p[1300];

	(void)state;
	for (uint8_t hops = 0; hops < 2; hops++) {
		packet(p, 100, src4, dst4, hops, 0);
		send_as(A, p, 100);
		assert_error(p, "10.0.0.9", 11, 0, 0);
		clear();
		packet(p, sizeof(p), src6, dst6, hops, 0);
		send_as(A, p, sizeof(p));
		assert_error(p, "fd00::9", 3, 0, 0);
		clear();
	}
	assert_int_equal(lanes[0].drops[DROP_HOP_LIMIT], 4);
	assert_int_equal(drops(), 4);
	assert_int_equal(lanes[0].forwarded, 0);
}

static void without_an_address(void **state)
{
	struct ip_addr none = { 0 };
	uint8_t p[100];

	(void)state;
	lane_set_addresses(&lanes[0], &none, &none);
	packet(p, sizeof(p), src4, dst4, 1, 0);
	send_as(A, p, sizeof(p));
	assert_error(p, "192.0.0.8", 11, 0, 0);
	clear();
	packet(p, sizeof(p), src6, dst6, 1, 0);
	send_as(A, p, sizeof(p));
	assert_error(p, dst6, 3, 0, 0);
}

static void too_big(void **state)
{
	uint8_t p[1500], plain[LEN_MAX];

	(void)state;
	for (int own = 0; own < 2; own++) {
		peers[B].mtu = own ? 0 : 1400;
		lanes[0].mtu = own ? 1400 : 1420;
		packet(p, 1401, src4, dst4, 9, 0);
		send_as(A, p, 1401);
		assert_error(p, "10.0.0.9", 3, 4, 1400);
		clear();
		packet(p, 1401, src6, dst6, 9, 0);
		send_as(A, p, 1401);
		assert_error(p, "fd00::9", 2, 0, 1400);
		clear();
		packet(p, 1400, src4, dst4, 9, 0);
		send_as(A, p, 1400);
		assert_int_equal(sent_to(0, B, plain), 1400);
		clear();
		packet(p, 1401, src4, dst4, 9, 0);
		p[6] = 0;
		send_as(A, p, 1401);
		lane_drain(&lanes[0], now, UINT32_MAX);
		assert_int_equal(messages(0), 2);	/* fragments */
		clear();
	}
	assert_int_equal(lanes[0].drops[DROP_TOO_BIG], 4);
}

static void unreachable(void **state)
{
	uint8_t p[100];

	(void)state;
	allow("10.9.0.0/16", C);	/* what is held is not to follow the shorter prefix */
	route("10.9.9.0/24", "0.0.0.0/0", FIB_UNREACHABLE, 0, 0);
	packet(p, sizeof(p), src4, "10.9.9.1", 64, 0);
	send_as(A, p, sizeof(p));
	assert_error(p, "10.0.0.9", 3, 1, 0);
	clear();
	/* From the TUN the same, back into it. */
	lanes_add(&batch, p, sizeof(p));
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	assert_int_equal(lane_out(&lanes[0])->write_count, 1);
	assert_int_equal(messages(0), 0);
	assert_int_equal(lanes[0].drops[DROP_UNREACHABLE], 2);
	assert_int_equal(drops(), 2);
}

/* As many as the ration gives, and none about an error. */
static void errors_are_rationed(void **state)
{
	uint8_t p[100];
	size_t told = 0;

	(void)state;
	packet(p, sizeof(p), src4, dst4, 1, 0);
	for (int i = 0; i < 100; i++) {
		send_as(A, p, sizeof(p));
		told += messages(0);
		clear();
	}
	assert_int_equal(told, LANE_ERRORS_BURST);
	now.mono_us += US_PER_S;
	p[9] = 1;	/* ICMP, a time exceeded */
	p[20] = 11;
	send_as(A, p, sizeof(p));
	assert_int_equal(messages(0), 0);
	clear();
	/* And no more than fit in one output. */
	packet(p, sizeof(p), src4, dst4, 1, 0);
	for (int i = 0; i < LANE_ERRORS_BATCH + 5; i++)
		add_sealed(A, p, sizeof(p), 0);
	receive(0);
	assert_int_equal(messages(0), LANE_ERRORS_BATCH);
	assert_int_equal(lanes[0].drops[DROP_HOP_LIMIT], 100 + 1 + LANE_ERRORS_BATCH + 5);
}

static void back_to_where_it_came_from(void **state)
{
	uint8_t p[100];

	(void)state;
	packet(p, sizeof(p), src4, "10.0.1.77", 64, 0);
	send_as(A, p, sizeof(p));
	assert_int_equal(messages(0), 0);
	assert_int_equal(lane_out(&lanes[0])->write_count, 0);
	assert_int_equal(lanes[0].drops[DROP_LOOP], 1);
	clear();
	route("10.0.2.7/32", "0.0.0.0/0", FIB_PEER, A, 1);
	packet(p, sizeof(p), src4, dst4, 64, 0);
	send_as(A, p, sizeof(p));
	assert_int_equal(messages(0), 0);
	assert_int_equal(lanes[0].drops[DROP_LOOP], 2);
	assert_int_equal(drops(), 2);
}

/* A peer we cannot send to: its packet's sender is told by way of the link it came from. */
static void no_way_on(void **state)
{
	uint8_t p[100];

	(void)state;
	packet(p, sizeof(p), src4, dst4, 64, 0);
	for (unsigned int i = 0; i < lane_count; i++)
		peers[B].links[i].path.remote = (struct endpoint){ .port = 0 };
	send_as(A, p, sizeof(p));
	p[8] = 63;	/* it was on its way already */
	put16(p + 10, 0);
	put16(p + 10, 0xffff - naive_add(0, p, 20));
	assert_error(p, "10.0.0.9", 3, 1, 0);
	assert_int_equal(lanes[0].drops[DROP_NO_ENDPOINT], 1);
	assert_int_equal(drops(), 1);
}

/*
 * The two tables.
 */

static void longer_prefix_wins(void **state)
{
	uint8_t p[100], plain[LEN_MAX];

	(void)state;
	packet(p, sizeof(p), src4, dst4, 64, 0);
	route("10.0.2.0/24", "0.0.0.0/0", FIB_PEER, C, 4);	/* as long: the allowed IP */
	send_as(A, p, sizeof(p));
	sent_to(0, B, plain);
	clear();
	route("10.0.2.0/25", "10.0.1.0/24", FIB_PEER, C, 4);
	send_as(A, p, sizeof(p));
	sent_to(0, C, plain);
	clear();
	packet(p, sizeof(p), "10.0.3.1", dst4, 64, 0);		/* not for this source */
	send_as(C, p, sizeof(p));
	sent_to(0, B, plain);
	clear();
	/* From the TUN it is no different. */
	packet(p, sizeof(p), "10.0.1.9", dst4, 64, 0);
	lanes_add(&batch, p, sizeof(p));
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	assert_int_equal(sent_to(0, C, plain), sizeof(p));
	assert_memory_equal(plain, p, sizeof(p));
	clear();
	/* What is the host's, or nobody's, should not have come from there. */
	route("10.0.2.7/32", "0.0.0.0/0", FIB_HOST, 0, 0);
	lanes_add(&batch, p, sizeof(p));
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	assert_int_equal(messages(0), 0);
	assert_int_equal(lanes[0].drops[DROP_NO_PEER], 1);
	assert_int_equal(lane_out(&lanes[0])->write_count, 1);
}

static void assert_accepted(unsigned int i, const char *src, bool good)
{
	uint64_t before = lanes[0].drops[DROP_SOURCE];
	uint8_t p[100];

	packet(p, sizeof(p), src, src[0] == 'f' ? "fd00::9" : "10.0.0.9", 64, 0);
	send_as(i, p, sizeof(p));
	assert_int_equal(lane_out(&lanes[0])->write_count, good);
	assert_int_equal(lanes[0].drops[DROP_SOURCE] - before, !good);
	clear();
}

static void source_check(void **state)
{
	(void)state;
	lanes[0].transit = TRANSIT_KERNEL;	/* it is the same in all modes */
	assert_accepted(A, "10.9.1.1", false);
	route("10.9.0.0/16", "0.0.0.0/0", FIB_PEER, B, 1 | 2);
	assert_accepted(A, "10.9.1.1", true);
	assert_accepted(B, "10.9.1.1", true);
	assert_accepted(C, "10.9.1.1", false);
	/* Something longer that another announces, though there is no route to it any more. */
	route("10.9.1.0/24", "0.0.0.0/0", FIB_NONE, 0, 4);
	assert_accepted(A, "10.9.1.1", false);
	assert_accepted(C, "10.9.1.1", true);
	/* An allowed IP will do, whatever is announced. */
	route("10.0.1.5/32", "0.0.0.0/0", FIB_PEER, B, 2);
	assert_accepted(A, "10.0.1.5", true);
	assert_accepted(B, "10.0.1.5", true);
	assert_accepted(C, "10.0.1.5", false);
	/* An allowed IP of another's that is longer than what is announced is the other's. */
	route("10.0.0.0/16", "0.0.0.0/0", FIB_PEER, B, 2);
	assert_accepted(B, "10.0.3.1", false);
	assert_accepted(B, "10.0.77.1", true);
	route("10.0.3.0/24", "0.0.0.0/0", FIB_PEER, B, 2);	/* as long: both may */
	assert_accepted(B, "10.0.3.1", true);
	assert_accepted(C, "10.0.3.1", true);
	/* For these destinations only. */
	route("fd99::/16", "fd00::/32", FIB_PEER, C, 4);
	route("fd99::/16", "fd11::/32", FIB_PEER, A, 1);
	assert_accepted(C, "fd99::1", true);
	assert_accepted(A, "fd99::1", false);
	assert_accepted(A, "fe80::1", false);
}

/* Packets of one batch, each judged by itself whatever was found out about the one before. */
static void a_mixed_batch(void **state)
{
	static const struct {
		unsigned int from;
		const char *src, *dst;
		unsigned int to;	/* HERE: the TUN; PEERS: nowhere */
	} rows[] = {
		{ A, "10.0.1.5", "10.0.2.7", B }, { A, "10.0.1.5", "10.0.2.7", B }, { C, "10.0.1.5", "10.0.2.7", PEERS },
		{ A, "10.0.1.5", "10.0.3.7", C }, { A, "10.0.1.5", "10.0.0.9", HERE }, { A, "10.0.2.5", "10.0.3.7", PEERS },
		{ A, "10.0.1.5", "10.0.3.7", C }, { A, "fd00:1::", "fd00:2::", B }, { B, "10.0.2.7", "10.0.1.5", A },
		{ A, "10.0.1.5", "10.0.3.200", HERE }, { A, "10.0.1.5", "10.0.3.7", C },
	};
	const size_t count = sizeof(rows) / sizeof(rows[0]);
	uint8_t p[100], plain[LEN_MAX];
	const struct lane_out *out;
	size_t at = 0;

	(void)state;
	host_has("10.0.3.192/26");	/* inside of what a peer has, and counts; this one does not: */
	host_has("10.0.0.0/8");
	for (size_t i = 0; i < count; i++) {
		packet(p, sizeof(p), rows[i].src, rows[i].dst, 64, 0);
		add_sealed(rows[i].from, p, sizeof(p), 0);
	}
	receive(0);
	out = lane_out(&lanes[0]);
	for (size_t i = 0; i < count; i++)
		if (rows[i].to < PEERS)
			open_one(&out->dgrams[at++], 0, rows[i].to, plain);
	assert_int_equal(out->dgram_count, at);
	assert_int_equal(out->write_count, 2);
	assert_int_equal(lanes[0].drops[DROP_SOURCE], 2);
}

/*
 * ECN.
 */

static void ecn_goes_through(void **state)
{
	uint8_t p[100], plain[LEN_MAX];

	(void)state;
	peers[A].ecn_in = peers[A].mesh = true;
	peers[B].ecn_out = LANE_ECN_COPY;
	packet(p, sizeof(p), src4, dst4, 64, 0xb8 | ECN_ECT0);
	add_sealed(A, p, sizeof(p), ECN_CE);
	receive(0);
	assert_int_equal(sent_to(0, B, plain), sizeof(p));
	assert_int_equal(plain[1], 0xb8 | ECN_CE);
	assert_int_equal(naive_add(0, plain, 20), 0xffff);
	assert_int_equal(lane_out(&lanes[0])->dgrams[0].tos, ECN_CE);
	clear();
	/* To a peer that is not known to take it in, inside only. */
	packet(p, sizeof(p), src6, "fd00:3::1", 64, ECN_ECT0);
	add_sealed(A, p, sizeof(p), ECN_CE);
	receive(0);
	sent_to(0, C, plain);
	assert_int_equal(packet_tos(plain), ECN_CE);
	assert_int_equal(lane_out(&lanes[0])->dgrams[0].tos, 0);
	clear();
	packet(p, sizeof(p), src4, dst4, 64, 0);
	add_sealed(A, p, sizeof(p), ECN_CE);
	receive(0);
	assert_int_equal(messages(0), 0);
	assert_int_equal(lanes[0].drops[DROP_ECN], 1);
}

/*
 * Many.
 */

/* 'count' packets of 1400 bytes from A to B, in one GRO datagram; the last is shorter. */
static void add_gro(unsigned int count)
{
	enum { SEALED = 1408 + WG_DATA_HEADER + AEAD_TAG };
	struct lanes_batch kept = batch;
	uint8_t *gro = malloc((size_t)count * SEALED), p[1400];
	size_t used = 0;

	assert_non_null(gro);
	for (unsigned int i = 0; i < count; i++) {
		size_t len = i + 1 < count ? 1400 : 700;

		packet(p, len, src4, dst4, 64, 0);
		put_be32(p + 28, i);
		batch.count = 0;
		add_sealed(A, p, len, 0);
		memcpy(gro + used, batch.dgrams[0].data, batch.dgrams[0].len);
		used += batch.dgrams[0].len;
		lanes_release(&batch);
	}
	batch = kept;
	lanes_add(&batch, gro, used);
	batch.dgrams[batch.count - 1].segment = SEALED;
	batch.dgrams[batch.count - 1].path.remote = place(A);
	free(gro);
}

/* Those of one run are one run again. */
static void a_run_stays_one(void **state)
{
	const struct lane_out *out;
	uint8_t plain[LEN_MAX];

	(void)state;
	lane_set_offloads(&lanes[0], 63, true);
	add_gro(40);
	receive(0);
	out = lane_out(&lanes[0]);
	assert_int_equal(out->dgram_count, 1);
	assert_int_equal(messages(0), 40);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(open_one(&out->dgrams[0], i * out->dgrams[0].segment, B, plain), i < 39 ? 1400 : 700);
		assert_int_equal(get_be32(plain + 28), i);
	}
	assert_int_equal(out->write_count, 0);
}

/* All that 'lane' sends to B from now on, in order from 'next'. Returns the next. */
static uint32_t take_all(unsigned int lane, uint32_t next)
{
	uint8_t plain[LEN_MAX];
	bool more = true;

	while (more) {
		const struct lane_out *out = lane_out(&lanes[lane]);

		for (size_t i = 0; i < out->dgram_count; i++)
			for (uint32_t at = 0; at < out->dgrams[i].len; at += out->dgrams[i].segment) {
				open_one(&out->dgrams[i], at, B, plain);
				assert_int_equal(get_be32(plain + 28), next++ % 40);
			}
		lane_out_clear(&lanes[lane]);
		more = lane_drain(&lanes[lane], now, UINT32_MAX) || lane_out_any(&lanes[lane]);
	}
	return next;
}

/* More than the output holds waits, in order; so it does while the driver has no room; the datagrams' memory is not needed any more. */
static void what_does_not_fit_waits(void **state)
{
	uint32_t first;

	(void)state;
	lane_set_offloads(&lanes[0], 63, true);
	for (int i = 0; i < 6; i++)
		add_gro(40);
	receive(0);
	first = (uint32_t)messages(0);
	assert_true(first > 40 && first < 240);
	assert_int_equal(peers[B].links[0].tin.items, 240 - first);
	lanes_release(&batch);
	assert_int_equal(take_all(0, 0), 240);
	lane_set_bypass(&lanes[0], false);
	add_gro(40);
	receive(0);
	assert_int_equal(messages(0), 0);
	lane_out_clear(&lanes[0]);
	lanes_release(&batch);
	assert_true(lane_has_out(&lanes[0]));
	assert_int_equal(take_all(0, 0), 40);
	assert_int_equal(drops(), 0);
}

/* What waited to be opened goes the same way. */
static void by_way_of_the_queue(void **state)
{
	uint32_t next = 0;

	(void)state;
	lane_set_offloads(&lanes[0], 63, true);
	for (int i = 0; i < 3; i++)
		add_gro(40);
	lane_queue_udp(&lanes[0], now, batch.dgrams, batch.count);
	lanes_release(&batch);
	while (lane_has_in(&lanes[0])) {
		lane_drain_in(&lanes[0], now, 50000);
		next = take_all(0, next);
	}
	assert_int_equal(next, 120);
	assert_int_equal(drops(), 0);
}

/* Without a session it waits for one, asks for it, and is let go silently if there is none: whose it is may be gone by then. */
static void no_session_yet(void **state)
{
	uint8_t p[100];

	(void)state;
	links_clear(lanes, lane_count, &peers[B]);
	packet(p, sizeof(p), src4, dst4, 64, 0);
	send_as(A, p, sizeof(p));
	assert_int_equal(messages(0), 0);
	assert_int_equal(peers[B].links[0].tin.items, 1);
	assert_true(peers[B].links[0].events & LANE_NEED_SESSION);
	clear();
	lane_drop_held(&lanes[0], &peers[B].links[0], DROP_NO_SESSION, true);
	assert_int_equal(lanes[0].drops[DROP_NO_SESSION], 1);
	assert_int_equal(lane_out(&lanes[0])->write_count, 0);
	assert_int_equal(messages(0), 0);
}

/*
 * Two lanes.
 */

/* A plain peer's home sends what another lane opened; errors come back the same way. */
static void a_plain_peer_elsewhere(void **state)
{
	struct handover h[2];
	uint8_t p[100], plain[LEN_MAX];

	(void)state;
	packet(p, sizeof(p), src4, dst4, 64, 0);
	send_as(A, p, sizeof(p));
	assert_int_equal(messages(0), 0);
	assert_int_equal(lane_out(&lanes[0])->handover_count, 1);
	h[0] = lane_out(&lanes[0])->handovers[0];
	assert_ptr_equal(h[0].peer, &peers[B]);
	assert_ptr_equal(h[0].from, &peers[A]);
	assert_null(h[0].packet.slot);
	lane_from_lane(&lanes[1], now, h, 1);
	assert_int_equal(sent_to(1, B, plain), sizeof(p));
	assert_forwarded(p, sizeof(p), plain);
	lane_out_clear(&lanes[1]);
	/* Its home has no way to it: the error goes to the other lane again, and out of that. */
	peers[B].endpoint_loops = true;
	lane_from_lane(&lanes[1], now, h, 1);
	assert_int_equal(lanes[1].drops[DROP_ENDPOINT_LOOP], 1);
	assert_int_equal(lane_out(&lanes[1])->write_count, 0);
	assert_int_equal(lane_out(&lanes[1])->handover_count, 1);
	h[1] = lane_out(&lanes[1])->handovers[0];
	assert_ptr_equal(h[1].peer, &peers[A]);
	lane_out_clear(&lanes[0]);
	lane_from_lane(&lanes[0], now, &h[1], 1);
	sent_to(0, A, plain);
	assert_int_equal(plain[9], 1);
	clear();
	/* One that is at home here goes from here. */
	packet(p, sizeof(p), src4, "10.0.3.1", 64, 0);
	send_as(A, p, sizeof(p));
	sent_to(0, C, plain);
}

static void handovers_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		add_gro(40);
	receive(0);
	assert_int_equal(lane_out(&lanes[0])->handover_count, LANE_HANDOVERS_MAX);
	assert_int_equal(lanes[0].drops[DROP_QUEUE_FULL], 1200 - LANE_HANDOVERS_MAX);
	assert_int_equal(lane_out(&lanes[0])->handovers[LANE_HANDOVERS_MAX - 1].packet.len, 1400);
}

#define one_lane(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define two_lanes(test) cmocka_unit_test_setup_teardown(test, setup_two, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		one_lane(one_hop_less),
		one_lane(what_the_tun_gets),
		one_lane(other_modes),
		one_lane(time_exceeded),
		one_lane(without_an_address),
		one_lane(too_big),
		one_lane(unreachable),
		one_lane(errors_are_rationed),
		one_lane(back_to_where_it_came_from),
		one_lane(no_way_on),
		one_lane(longer_prefix_wins),
		one_lane(source_check),
		one_lane(a_mixed_batch),
		one_lane(ecn_goes_through),
		one_lane(a_run_stays_one),
		one_lane(what_does_not_fit_waits),
		one_lane(by_way_of_the_queue),
		one_lane(no_session_yet),
		two_lanes(a_plain_peer_elsewhere),
		two_lanes(handovers_are_bounded),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
