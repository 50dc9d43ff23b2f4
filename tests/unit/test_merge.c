/* SPDX-License-Identifier: MIT */
/*
 * Merging: the rules one by one, in pairs of packets of which one breaks one rule; then limits, order, and random streams. What
 * must hold for any batch is in merge_batch.h and is checked after each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "merge_batch.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 0x10, URG = 0x20, ECE = 0x40, CWR = 0x80, DF = 0x4000 };

static const struct inner tcp4 = {
	.version = 4, .proto = 6, .tos = 0x28, .ttl = 61, .src = 1, .dst = 2, .sport = 5201, .dport = 40000, .id = 0xfffe,
	.fragment = DF, .seq = 0xffffff00, .ack = 77, .flags = ACK, .window = 502, .options = 12, .option_seed = 9,
};
static const struct inner udp4 = {
	.version = 4, .proto = 17, .tos = 1, .ttl = 61, .src = 1, .dst = 2, .sport = 443, .dport = 40000, .id = 12, .fragment = DF,
};

static struct inner as_v6(struct inner s)
{
	s.version = 6;
	s.label = 0x54321;
	return s;
}

static void merges_a_train(void **state)
{
	const struct inner kinds[] = { tcp4, as_v6(tcp4), udp4, as_v6(udp4) };
	static const uint8_t types[] = { VNET_GSO_TCP4, VNET_GSO_TCP6, VNET_GSO_UDP_L4, VNET_GSO_UDP_L4 };

	(void)state;
	for (int k = 0; k < 4; k++) {
		struct inner s = kinds[k];
		struct vnet v;

		begin(1);
		for (int i = 0; i < 9; i++)
			step(&s, 1000, 0);
		s.flags |= PSH;
		step(&s, 700, 0);
		run(&both);
		judge();
		assert_int_equal(write_count, 1);
		vnet_read(&v, writes[0].pieces[0].base);
		assert_int_equal(v.gso_type, types[k]);
		assert_int_equal(v.gso_size, 1000);
		assert_int_equal(v.hdr_len, inner_header_len(&s));
		assert_int_equal(v.csum_start, inner_ip_len(&s));
		assert_int_equal(v.csum_offset, s.proto == 6 ? 16 : 6);
		if (s.proto == 6)
			assert_int_equal(b.packet[0][v.csum_start + 13], ACK | PSH);
		judge_undo();
	}
}

static void options_switch_off(void **state)
{
	struct inner t = tcp4, u = udp4;

	(void)state;
	for (int k = 0; k < 4; k++) {
		const struct merge_options options = { .tcp = k & 1, .udp = k & 2 };

		begin(2);
		for (int i = 0; i < 4; i++) {
			step(&t, 100, 0);
			step(&u, 100, 1);
		}
		run(&options);
		judge();
		assert_int_equal(write_count, (k & 1 ? 1 : 4) + (k & 2 ? 1 : 4));
	}
}

/* Two packets: 'b' is 'a' gone on, and then changed. Whether they are merged. */
struct pair {
	struct inner a, b;
	size_t a_len, b_len;
};

static bool is_merged(const struct pair *p)
{
	begin(3);
	add(&p->a, p->a_len, 0);
	add(&p->b, p->b_len, 0);
	run_and_judge();
	return write_count == 1;
}

static struct pair pair_of(struct inner s)
{
	struct pair p = { .a = s, .b = s, .a_len = 1000, .b_len = 1000 };

	p.b.seq += 1000;
	p.b.id++;
	return p;
}

#define CASE(what, ...) do { \
	struct pair p = pair_of(s); \
	__VA_ARGS__; \
	if (is_merged(&p) != (what)) \
		fail_msg("line %d, IPv%d, protocol %d", __LINE__, s.version, s.proto); \
} while (0)

static void ip_rules(void **state)
{
	const struct inner kinds[] = { tcp4, as_v6(tcp4), udp4, as_v6(udp4) };

	(void)state;
	for (int k = 0; k < 4; k++) {
		struct inner s = kinds[k];
		bool v6 = s.version == 6;

		CASE(true, );
		CASE(false, p.b.tos ^= 1);		/* ECN */
		CASE(false, p.b.tos ^= 0x80);		/* DSCP */
		CASE(false, p.b.ttl++);
		CASE(false, p.b.src++);
		CASE(false, p.b.dst++);
		CASE(false, p.b.sport++);
		CASE(false, p.b.dport++);
		CASE(!v6, p.b.label++);
		CASE(true, p.b.id++);			/* DF: means nothing */
		CASE(true, p.b.id -= 7);
		CASE(true, p.a.fragment = p.b.fragment = 0);
		CASE(v6, p.a.fragment = p.b.fragment = 0; p.b.id++);
		CASE(v6, p.a.fragment = p.b.fragment = 0; p.b.id--);
		CASE(v6, p.a.fragment = 0);
		CASE(v6, p.b.fragment = 0);
		CASE(v6, p.b.fragment |= 0x8000);
		CASE(v6, p.a.fragment = p.b.fragment = 0x8000 | DF);
		CASE(v6, p.a.fragment = p.b.fragment = 0x2000);
		CASE(v6, p.b.fragment = 0x2000);
		CASE(v6, p.b.fragment = 100);
		CASE(false, p.a.ip_options = p.b.ip_options = 8);
		CASE(false, p.b.ip_options = 8);
		CASE(false, p.a.ip_options = 8);
		CASE(true, p.b_len = 999);
		CASE(true, p.b_len = 1);
		CASE(false, p.b_len = 1001);
		CASE(false, p.b_len = 0);
		CASE(false, p.a_len = 0);
	}
}

static void tcp_rules(void **state)
{
	const struct inner kinds[] = { tcp4, as_v6(tcp4) };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct inner s = kinds[k];

		CASE(false, p.b.seq++);			/* a gap */
		CASE(false, p.b.seq--);
		CASE(false, p.b.seq = p.a.seq);		/* a duplicate */
		CASE(false, p.b.seq = p.a.seq - 1000);	/* one from before */
		CASE(false, p.b.ack++);
		CASE(false, p.b.window++);
		CASE(false, p.b.urgent++);
		CASE(true, p.a.urgent = p.b.urgent = 5);
		CASE(false, p.b.options += 4);
		CASE(false, p.b.options -= 4);
		CASE(false, p.b.option_seed++);
		CASE(true, p.a.options = p.b.options = 0);
		CASE(true, p.a.options = p.b.options = 40);
		CASE(false, p.b.reserved = 1);		/* the AE bit of AccECN */
		CASE(true, p.a.reserved = p.b.reserved = 1);
		CASE(true, p.b.flags |= PSH);
		CASE(false, p.a.flags |= PSH);
		CASE(false, p.b.flags |= ECE);
		CASE(false, p.a.flags |= ECE);
		CASE(true, p.a.flags |= ECE; p.b.flags |= ECE);
		CASE(true, p.a.flags |= ECE; p.b.flags |= ECE | PSH);
		for (int bit = 0; bit < 8; bit++) {
			uint8_t flag = (uint8_t)(1 << bit);

			if (flag == PSH || flag == ECE || flag == ACK)
				continue;
			CASE(false, p.b.flags |= flag);
			CASE(false, p.a.flags |= flag);
			CASE(false, p.a.flags |= flag; p.b.flags |= flag);
		}
		CASE(false, p.b.flags = 0);
		CASE(false, p.a.flags = p.b.flags = 0);
		CASE(false, p.a.flags = p.b.flags = PSH);
	}
}

static void udp_rules(void **state)
{
	const struct inner kinds[] = { udp4, as_v6(udp4) };
	static const uint16_t tunnels[] = { 4789, 6081, 8472 };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct inner s = kinds[k];

		CASE(false, p.b.no_checksum = true);
		CASE(false, p.a.no_checksum = true);
		CASE(false, p.a.no_checksum = p.b.no_checksum = true);
		for (int i = 0; i < 3; i++) {
			CASE(false, p.a.dport = p.b.dport = tunnels[i]);
			CASE(false, p.a.sport = p.b.sport = tunnels[i]);
			CASE(true, p.a.dport = p.b.dport = (uint16_t)(tunnels[i] + 1));
		}
	}
}

/* One byte wrong, anywhere: whatever becomes of the packet, it is not merged, and comes out as it went in. */
static void wrong_checksums_go_alone(void **state)
{
	const struct inner kinds[] = { tcp4, as_v6(tcp4), udp4, as_v6(udp4) };

	(void)state;
	for (int k = 0; k < 4; k++) {
		size_t header = inner_header_len(&kinds[k]);

		for (uint32_t victim = 0; victim < 4; victim++) {
			for (size_t at = 0; at < header + 50; at++) {
				struct inner s = kinds[k];

				begin(4);
				for (int i = 0; i < 4; i++)
					step(&s, 50, 0);
				b.packet[victim][at] ^= 0x04;
				run(&both);
				/* The flow it pretends to be of may be another: then order is not ours to judge. */
				b.flow[victim] = 1;
				judge();
				if (s.version == 6 && at == 7)
					continue;	/* the hop limit, which no checksum covers, but which differs */
				for (uint32_t i = 0; i < 4; i++)
					if (i != victim && b.write[i] == b.write[victim])
						fail_msg("kind %d: byte %zu of packet %u", k, at, victim);
			}
		}
	}
}

/* A wrong first packet does not keep those behind it from each other. */
static void wrong_first_is_left_behind(void **state)
{
	struct inner s = tcp4;

	(void)state;
	begin(5);
	for (int i = 0; i < 6; i++)
		step(&s, 500, 0);
	b.packet[0][b.len[0] - 1] ^= 1;
	run_and_judge();
	assert_int_equal(write_count, 2);
	begin(5);
	s = tcp4;
	for (int i = 0; i < 7; i++)
		step(&s, 500, 0);
	b.packet[3][b.len[3] - 1] ^= 1;
	run_and_judge();
	assert_int_equal(write_count, 3);
	assert_int_equal(writes[0].packets, 3);
	assert_int_equal(writes[1].packets, 1);
	assert_int_equal(writes[2].packets, 3);
}

/* Puts right what there is of checksums, after a header was changed. */
static void repair(uint8_t *p, uint32_t len, int proto)
{
	uint32_t ip = p[0] >> 4 == 4 ? 20 : 40, field = ip + (proto == 6 ? 16 : 6);

	if (ip == 20) {
		put16(p + 10, 0);
		put16(p + 10, 0xffff - naive_add(0, p, 20));
	}
	if (field + 2 <= len) {
		put16(p + field, 0);
		put16(p + field, 0xffff - naive_add(naive_pseudo(p, proto, len - ip), p + ip, len - ip));
	}
}

/* Packets that end anywhere, with and without saying so: alone, and nothing behind them is read. */
static void cut_off_packets_go_alone(void **state)
{
	const struct inner kinds[] = { tcp4, as_v6(tcp4), udp4, as_v6(udp4) };

	(void)state;
	for (size_t i = 0; i < 8 * 140; i++) {
		struct inner s = kinds[i % 4];
		size_t cut = i / 8, ip = inner_ip_len(&s), len = inner_header_len(&s) + 50, first;
		uint8_t *memory = malloc(VNET_LEN + cut), whole[700], payload[50] = { 0 }, others[2][700];

		assert_non_null(memory);
		inner_build(whole, &s, payload, 50, false);
		if (cut >= len)
			cut = len - 1;
		memcpy(memory + VNET_LEN, whole, cut);
		if (i % 8 >= 4 && cut >= ip) {
			put16(memory + VNET_LEN + (ip == 20 ? 2 : 4), (uint32_t)(ip == 20 ? cut : cut - 40));
			if (cut < inner_header_len(&s))
				repair(memory + VNET_LEN, (uint32_t)cut, s.proto);
		}
		memcpy(whole, memory + VNET_LEN, cut);
		merge_begin(&m, &both);
		for (int v = 0; v < 2; v++) {	/* open flows of either version to compare it with */
			first = inner_build(others[v] + VNET_LEN, &kinds[v], payload, 50, false);
			assert_true(merge_add(&m, others[v] + VNET_LEN, (uint32_t)first));
		}
		assert_true(merge_add(&m, memory + VNET_LEN, (uint32_t)cut));
		assert_int_equal(merge_end(&m, &writes), 3);
		assert_memory_equal(memory + VNET_LEN, whole, cut);
		free(memory);
	}
}

/* Header fields that cannot be, in packets whose checksums are right: twice the same lie, and never merged. */
static void liars_go_alone(void **state)
{
	static const struct {
		int version, proto, at, value, len_too;
	} c[] = {
		/*  1: IPv4 total length */ { 4, 6, 3, 100 + 52 - 4, 0 },
		/*  2 */ { 4, 6, 3, 100 + 52 + 4, 0 },
		/*  3: IPv6 payload length */ { 6, 6, 5, 100 + 32 - 4, 0 },
		/*  4 */ { 6, 6, 5, 100 + 32 + 4, 0 },
		/*  5: padding behind */ { 4, 6, 0, 0x45, 8 },
		/*  6 */ { 6, 6, 0, 0x62, 8 },
		/*  7: data offset */ { 4, 6, 20 + 12, 0x40, 0 },
		/*  8 */ { 4, 6, 20 + 12, 0, 0 },
		/*  9 */ { 6, 6, 40 + 12, 0x40, 0 },
		/* 10: UDP length */ { 4, 17, 20 + 5, 107, 0 },
		/* 11 */ { 4, 17, 20 + 5, 109, 0 },
		/* 12 */ { 6, 17, 40 + 5, 8, 0 },
		/* 13 */ { 6, 17, 40 + 5, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct inner s = c[i].proto == 6 ? tcp4 : udp4;

		if (c[i].version == 6)
			s = as_v6(s);
		begin(6);
		for (int n = 0; n < 2; n++) {
			uint8_t *packet = add(&s, 100, 0);

			packet[c[i].at] = (uint8_t)c[i].value;
			b.len[n] += (uint32_t)c[i].len_too;
			memset(packet + b.len[n] - c[i].len_too, 0, (size_t)c[i].len_too);
			repair(packet, b.len[n], s.proto);
			s.seq += c[i].at % 20 == 12 ? 100 + 32 - (uint32_t)c[i].value / 4 : 100 + (uint32_t)c[i].len_too;
		}
		run(&both);
		if (write_count != 2)
			fail_msg("case %zu", i + 1);
	}
	begin(6);	/* a data offset beyond the packet */
	for (int n = 0; n < 2; n++) {
		add(&tcp4, 10, 0)[20 + 12] = 0xf0;
		repair(b.packet[n], b.len[n], 6);
	}
	run_and_judge();
	assert_int_equal(write_count, 2);
}

/* No checksum is not a right one, even where 0 happens to be what the bytes add up to. */
static void no_checksum_is_none(void **state)
{
	struct inner s = udp4;

	(void)state;
	s.fragment = DF;
	begin(14);
	for (int n = 0; n < 2; n++) {
		uint8_t *packet = add(&s, 100, 0);

		put16(packet + 126, 0);
		repair(packet, b.len[n], 17);
		put16(packet + 126, get16(packet + 26));
		put16(packet + 26, 0);
		assert_true(naive_add(naive_pseudo(packet, 17, 108), packet + 20, 108) == 0xffff);
	}
	run_and_judge();
	assert_int_equal(write_count, 2);
}

static void limits(void **state)
{
	struct inner s = tcp4;

	(void)state;
	begin(7);
	for (int i = 0; i < 2 * MERGE_SEGMENTS_MAX + 1; i++)
		step(&s, 100, 0);
	run_and_judge();
	assert_int_equal(write_count, 3);
	assert_int_equal(writes[0].packets, MERGE_SEGMENTS_MAX);
	begin(8);
	for (int i = 0; i < 64; i++)	/* 52 + 47 * 1372 = 64536: another would be too much */
		step(&s, 1372, 0);
	run_and_judge();
	assert_int_equal(write_count, 2);
	assert_int_equal(writes[0].packets, 47);
	for (size_t size = 1019; size <= 1024; size++) {	/* 64 of 1023 fit, of 1024 do not */
		begin(9);
		for (int i = 0; i < 64; i++)
			step(&s, size, 0);
		run_and_judge();
		assert_int_equal(write_count, 52 + 64 * size > 65535 ? 2 : 1);
	}
	for (size_t last = 1003; last <= 1004; last++) {	/* 65535 bytes, and one more */
		begin(9);
		for (int i = 0; i < 62; i++)
			step(&s, 1040, 0);
		step(&s, last, 0);
		run_and_judge();
		assert_int_equal(write_count, last == 1003 ? 1 : 2);
	}
}

static void batch_is_bounded(void **state)
{
	struct inner s = udp4;

	(void)state;
	begin(10);
	for (int i = 0; i < MERGE_PACKETS_MAX; i++) {
		s.sport = (uint16_t)(1000 + i % 20);	/* more flows than may be open */
		step(&s, 10, (uint32_t)(i % 20));
	}
	run(&both);
	judge();
	merge_begin(&m, &both);
	for (uint32_t i = 0; i < MERGE_PACKETS_MAX; i++)
		assert_true(merge_add(&m, b.packet[i], b.len[i]));
	assert_false(merge_add(&m, b.packet[0], b.len[0]));
	merge_begin(&m, &both);
	assert_int_equal(merge_end(&m, &writes), 0);
}

/* What parts a flow's packets, and what does not. */
static void alone_closes(void **state)
{
	static const struct {
		int what;
		size_t writes;
	} c[] = {
		/*  0: a pure acknowledgement */ { ACK, 3 },
		/*  1 */ { ACK | SYN, 3 },
		/*  2 */ { ACK | FIN, 3 },
		/*  3 */ { RST, 3 },
		/*  4 */ { ACK | URG, 3 },
		/*  5 */ { ACK | CWR, 3 },
		/*  6: a fragment without ports */ { -1, 3 },
		/*  7: another protocol's packet */ { -2, 2 },
		/*  8: another flow's */ { -3, 2 },
		/*  9: of the same ports, the other way */ { -4, 2 },
		/* 10: the same in UDP */ { -5, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct inner s = tcp4, other = tcp4;
		uint32_t flow = c[i].what >= -1 ? 0 : 1;
		uint8_t *packet;

		begin(11);
		step(&s, 300, 0);
		step(&s, 300, 0);
		other.seq = s.seq;
		if (c[i].what >= 0)
			other.flags = (uint8_t)c[i].what;
		if (c[i].what == -1)
			other.fragment = 30;
		if (c[i].what == -3)
			other.sport++;
		if (c[i].what == -4) {
			other.src = s.dst;
			other.dst = s.src;
			other.sport = s.dport;
			other.dport = s.sport;
		}
		if (c[i].what == -5)
			other.proto = 17;
		packet = add(&other, 0, flow);
		if (c[i].what == -2)
			packet[9] = 1;
		step(&s, 300, 0);
		step(&s, 300, 0);
		run_and_judge();
		if (write_count != c[i].writes)
			fail_msg("case %zu: %zu writes", i, write_count);
	}
}

/* Bursts of many flows, one after the other: each is one write, though more than may be open at once. */
static void bursts_of_many_flows(void **state)
{
	(void)state;
	begin(12);
	for (uint32_t f = 0; f < 50; f++) {
		struct inner s = f % 2 ? tcp4 : as_v6(udp4);

		s.sport = (uint16_t)(2000 + f);
		for (int i = 0; i < 10; i++)
			step(&s, 400, f);
	}
	run_and_judge();
	assert_int_equal(write_count, 50);
}

static void interleaved_flows(void **state)
{
	struct inner s[MERGE_FLOWS_MAX];

	(void)state;
	begin(13);
	for (uint32_t f = 0; f < MERGE_FLOWS_MAX; f++) {
		s[f] = f % 2 ? tcp4 : as_v6(tcp4);
		s[f].dport = (uint16_t)(2000 + f);
	}
	for (int i = 0; i < 40; i++)
		for (uint32_t f = 0; f < MERGE_FLOWS_MAX; f++)
			step(&s[f], 100 + f, f);
	run_and_judge();
	assert_int_equal(write_count, MERGE_FLOWS_MAX);
}

/* A flow that goes on is not closed for those that come and go, however many. */
static void busy_flow_stays_open(void **state)
{
	struct inner busy = tcp4;

	(void)state;
	for (int late = 0; late < 2; late++) {
		begin(15);
		for (uint32_t f = 0; f < 60; f++) {
			struct inner s = udp4;

			s.sport = (uint16_t)(2000 + f);
			if (f >= (late ? 5 : 0))
				step(&busy, 100, 0);
			step(&s, 100, f + 1);
		}
		run_and_judge();
		assert_int_equal(write_count, 61);
	}
}

/* Flows that differ in one thing and meet in their hash (here the test says so): they are told apart all the same. */
static void flows_of_one_hash(void **state)
{
	const struct inner kinds[] = { tcp4, as_v6(tcp4), udp4, as_v6(udp4) };

	(void)state;
	for (int k = 0; k < 4; k++) {
		for (int differs = 0; differs < 7; differs++) {
			struct pair p = pair_of(kinds[k]);
			uint32_t hash;

			switch (differs) {
			case 1: p.b.src++; break;
			case 2: p.b.dst++; break;
			case 3: p.b.sport++; break;
			case 4: p.b.dport++; break;
			case 5: p.b.proto ^= 6 ^ 17; p.b.flags = ACK; break;
			case 6: p.b.version ^= 4 ^ 6; break;
			default: break;
			}
			begin(16);
			add(&p.a, 1000, 0);
			add(&p.b, 1000, differs > 0);
			memcpy(b.before, b.arena, b.used);
			merge_begin(&m, &both);
			assert_true(merge_add(&m, b.packet[1], b.len[1]));
			hash = m.hashes[0];
			merge_begin(&m, &both);
			assert_true(merge_add(&m, b.packet[0], b.len[0]));
			assert_true(differs == 0 || m.hashes[0] != hash);
			m.hashes[0] = hash;
			assert_true(merge_add(&m, b.packet[1], b.len[1]));
			assert_int_equal(m.flow_count, differs ? 2 : 1);
			write_count = merge_end(&m, &writes);
			assert_int_equal(write_count, differs ? 2 : 1);
		}
	}
}

/* One packet of a random stream: mostly the next of its flow, sometimes something that must not be merged. */
static void random_step(struct inner *s, uint32_t flow)
{
	size_t size = random_below(10) ? 200 : random_below(201);
	struct inner odd = *s;
	uint8_t *packet;

	switch (random_below(40)) {
	case 0: odd.flags ^= (uint8_t)(1 << random_below(8)); break;
	case 1: odd.seq += random_below(3) * 200 - 200; break;
	case 2: odd.ack++; break;
	case 3: odd.tos ^= 3; break;
	case 4: odd.window++; break;
	case 5: odd.id++; break;
	case 6: odd.fragment = random_below(2) ? 0x2000 : 25; break;
	case 7: odd.ip_options = 8; break;
	case 8: odd.no_checksum = true; break;
	case 9: odd.option_seed++; break;
	case 10: odd.flags = ACK; size = 0; break;
	case 11: s->flags ^= ECE; break;
	case 12: s->ack += 100; break;
	case 13: s->seq += 1000; break;
	default: break;
	}
	packet = add(&odd, size, flow);
	if (random_below(30) == 0)
		packet[inner_ip_len(s) + 6 + random_below(4)] ^= (uint8_t)(1 + random_below(255));
	s->seq += (uint32_t)size;
	s->id++;
}

static void any_batch(void **state)
{
	unsigned int seed = 77;
	uint32_t supers = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct inner s[24];
		uint32_t flows = 1 + (uint32_t)rand_r(&seed) % 24, count = 1 + (uint32_t)rand_r(&seed) % 500;
		uint32_t f = 0;

		begin((unsigned int)rand_r(&seed));
		for (uint32_t i = 0; i < flows; i++) {
			s[i] = i % 3 ? tcp4 : udp4;
			s[i].fragment = i % 5 ? DF : 0;
			s[i].src = (uint8_t)(i / 4);
			s[i].sport = (uint16_t)(3000 + i);
			s[i].seq = (uint32_t)rand_r(&seed) * 2;
			if (i % 2)
				s[i] = as_v6(s[i]);
		}
		for (uint32_t i = 0; i < count; i++) {
			if (random_below(3) == 0)
				f = random_below(flows);
			random_step(&s[f], f);
		}
		run_and_judge();
		for (size_t k = 0; k < write_count; k++)
			supers += writes[k].packets > 2;
	}
	assert_in_range(supers, 2000, 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_a_train),
		cmocka_unit_test(options_switch_off),
		cmocka_unit_test(ip_rules),
		cmocka_unit_test(tcp_rules),
		cmocka_unit_test(udp_rules),
		cmocka_unit_test(wrong_checksums_go_alone),
		cmocka_unit_test(wrong_first_is_left_behind),
		cmocka_unit_test(cut_off_packets_go_alone),
		cmocka_unit_test(liars_go_alone),
		cmocka_unit_test(no_checksum_is_none),
		cmocka_unit_test(limits),
		cmocka_unit_test(batch_is_bounded),
		cmocka_unit_test(alone_closes),
		cmocka_unit_test(bursts_of_many_flows),
		cmocka_unit_test(interleaved_flows),
		cmocka_unit_test(busy_flow_stays_open),
		cmocka_unit_test(flows_of_one_hash),
		cmocka_unit_test(any_batch),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
