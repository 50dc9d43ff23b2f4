/* SPDX-License-Identifier: MIT */
/* Batches from the sockets: GRO datagrams cut into messages, each judged by itself, and what is good merged into few writes. */
#include "lane_stream.h"

#include "crypto/aead.h"
#include "wire/ip.h"

static struct lanes l;
static struct stream_flow flow;

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	lane_set_offloads(&l.a.lane, 63, false);
	lane_set_offloads(&l.b.lane, 1, true);
	flow = (struct stream_flow){ .size = 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_done(&l);
	stream_done(&flow);
	return 0;
}

static uint64_t drops(const struct lane *lane)
{
	uint64_t sum = 0;

	for (int i = 0; i < DROP_REASONS; i++)
		sum += lane->drops[i];
	return sum;
}

/* The bytes of a write, in one piece. */
static size_t flatten(const struct tun_write *w, uint8_t *to)
{
	size_t len = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		memcpy(to + len, w->pieces[i].base, w->pieces[i].len);
		len += w->pieces[i].len;
	}
	return len;
}

/* What a's TUN gave comes to b as GRO datagrams. */
static void to_b(void)
{
	lanes_tun(&l, &l.a);
	lanes_carry_runs(&l, &l.a);
	lanes_udp(&l, &l.b);
}

/*
 * Merged.
 */

/* A super-packet goes in at one end and comes out at the other, byte for byte. */
static void super_packet_to_super_packet(void **state)
{
	static const struct {
		int version, proto;
	} kinds[] = { { 4, 6 }, { 6, 6 }, { 4, 17 }, { 6, 17 } };
	uint8_t *before = malloc(INNER_MAX), *after = malloc(VNET_LEN + INNER_MAX);

	(void)state;
	assert_non_null(before);
	assert_non_null(after);
	for (size_t k = 0; k < 4; k++) {
		const struct lane_out *out = lane_out(&l.b.lane);
		struct vnet want, got;
		size_t len;

		stream_init(&flow, kinds[k].version, kinds[k].proto, 1380, 1, 2);
		want = stream_vnet(&flow);
		stream_add(&l.batch, &flow, 30 * 1380 + 77);
		len = l.batch.packets[0].len;
		memcpy(before, l.batch.packets[0].data, len);
		to_b();
		assert_int_equal(lane_out(&l.b.lane)->write_count, 1);
		assert_int_equal(out->writes[0].packets, 31);
		assert_int_equal(flatten(&out->writes[0], after), VNET_LEN + len);
		vnet_read(&got, after);
		assert_int_equal(got.flags, VNET_NEEDS_CSUM);
		assert_int_equal(got.gso_type, want.gso_type);
		assert_int_equal(got.gso_size, want.gso_size);
		assert_int_equal(got.hdr_len, want.hdr_len);
		assert_int_equal(got.csum_start, want.csum_start);
		assert_int_equal(got.csum_offset, want.csum_offset);
		assert_memory_equal(after + VNET_LEN, before, len);
		lanes_clear(&l, &l.b);
		stream_done(&flow);
	}
	assert_int_equal(l.b.lane.rx_packets, 4 * 31);
	assert_int_equal(drops(&l.b.lane), 0);
	flow = (struct stream_flow){ .size = 0 };
	free(before);
	free(after);
}

/* No payload is copied: every piece lies in the datagram it came in. */
static void merged_where_it_was_read(void **state)
{
	const struct lane_out *out;

	(void)state;
	stream_init(&flow, 6, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 10000);
	to_b();
	out = lane_out(&l.b.lane);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->writes[0].count, 10);
	for (uint32_t i = 0; i < 10; i++) {
		const struct piece *p = &out->writes[0].pieces[i];

		assert_true(p->base >= l.batch.dgrams[0].data &&
			    p->base + p->len <= l.batch.dgrams[0].data + l.batch.dgrams[0].len);
	}
	lanes_clear(&l, &l.b);
}

/* Merging is off until the driver says that the TUN takes it. */
static void not_merged_when_off(void **state)
{
	(void)state;
	lane_set_offloads(&l.b.lane, 1, false);
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 10000);
	to_b();
	assert_int_equal(lanes_written_count(&l.b), 10);
	for (size_t i = 0; i < 10; i++) {
		struct packet p = lanes_written(&l.b, i);

		stream_take(&flow, p.data, p.len);
	}
	stream_assert_complete(&flow);
	lanes_clear(&l, &l.b);
}

/* A packet twice in one batch is one packet, also inside a write. */
static void duplicates_in_a_batch(void **state)
{
	const struct lane_out *out;
	struct lanes_batch once;

	(void)state;
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 20000);
	lanes_tun(&l, &l.a);
	lanes_carry_runs(&l, &l.a);
	once = l.batch;
	l.batch.count = 0;
	for (int i = 0; i < 3; i++) {
		lanes_add(&l.batch, once.dgrams[0].data, once.dgrams[0].len);
		l.batch.dgrams[i].segment = once.dgrams[0].segment;
	}
	lanes_udp(&l, &l.b);
	out = lane_out(&l.b.lane);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->writes[0].packets, 20);
	assert_int_equal(l.b.lane.drops[DROP_REPLAYED], 40);
	assert_int_equal(drops(&l.b.lane), 40);
	lanes_release(&once);
	lanes_clear(&l, &l.b);
}

/* Packets are checked before they are merged: what has a wrong source is not in the write, and what is merged is one peer's. */
static void checked_before_merged(void **state)
{
	const struct lane_out *out;
	struct stream_flow bad;

	(void)state;
	stream_init(&flow, 4, 6, 500, 1, 2);
	stream_init(&bad, 4, 6, 500, 9, 2);
	for (int i = 0; i < 4; i++) {
		stream_add(&l.batch, &flow, 500);
		stream_add(&l.batch, &bad, 500);
	}
	to_b();
	out = lane_out(&l.b.lane);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->writes[0].packets, 4);
	assert_int_equal(l.b.lane.drops[DROP_SOURCE], 4);
	assert_int_equal(l.b.lane.rx_packets, 4);
	lanes_clear(&l, &l.b);
	stream_done(&bad);
}

/* A wrong inner checksum stays wrong: such a packet is not merged, for that would make it a right one. */
static void bad_checksum_stays_bad(void **state)
{
	const struct lane_out *out;
	size_t bad = 0, packets = 0;

	(void)state;
	stream_init(&flow, 4, 6, 1000, 1, 2);
	for (int i = 0; i < 5; i++) {
		stream_add(&l.batch, &flow, 1000);
		l.batch.packets[i].vnet = (struct vnet){ 0 };
		if (i != 2)
			l.batch.packets[i].vnet = stream_vnet(&flow);
	}
	to_b();
	out = lane_out(&l.b.lane);
	for (size_t i = 0; i < out->write_count; i++) {
		const struct tun_write *w = &out->writes[i];

		packets += w->packets;
		if (w->packets == 1 && !inner_is_valid(w->pieces[0].base + VNET_LEN, w->pieces[0].len - VNET_LEN, 6, 20))
			bad++;
	}
	assert_int_equal(packets, 5);
	assert_int_equal(bad, 1);
	lanes_clear(&l, &l.b);
}

/* More packets than a merge holds are counted, not written somewhere. */
static void more_than_a_merge_holds(void **state)
{
	struct lanes_batch all = { .count = 0 };
	const struct lane_out *out;
	size_t packets = 0;

	(void)state;
	stream_init(&flow, 4, 17, 8, 1, 2);
	/* 4800 messages, in runs that are longer than sockets make them. */
	lane_set_offloads(&l.a.lane, 800, false);
	for (int i = 0; i < 6; i++) {
		stream_add(&l.batch, &flow, 8 * 800);
		lanes_tun(&l, &l.a);
		lanes_carry_runs(&l, &l.a);
		assert_int_equal(l.batch.count, 1);
		lanes_add(&all, l.batch.dgrams[0].data, l.batch.dgrams[0].len);
		all.dgrams[i].segment = l.batch.dgrams[0].segment;
		lanes_release(&l.batch);
	}
	l.batch = all;
	lanes_udp(&l, &l.b);
	out = lane_out(&l.b.lane);
	for (size_t i = 0; i < out->write_count; i++)
		packets += out->writes[i].packets;
	assert_int_equal(packets, MERGE_PACKETS_MAX);
	assert_int_equal(l.b.lane.drops[DROP_TUN_WRITE], 4800 - MERGE_PACKETS_MAX);
	lanes_clear(&l, &l.b);
	/* The next batch begins with none. */
	stream_add(&l.batch, &flow, 80);
	to_b();
	assert_int_equal(lane_out(&l.b.lane)->write_count, 1);
	lanes_clear(&l, &l.b);
}

/*
 * GRO datagrams. Nothing says that what is in one belongs together.
 */

enum { MESSAGE = 16 + 112 + 16 };	/* a sealed packet of 100 bytes */

/* Seal a packet of 100 bytes as 'k' does, at 'to'. */
static void seal_one(struct keypair *k, uint8_t *to, uint8_t src, uint8_t tag)
{
	uint8_t plain[112] = { 0 };

	lanes_packet(plain, 100, IP_V4, src, 2, tag);
	wg_data_header_write(to, k->remote_index, k->zero.counter);
	aead_seal(k->zero.sealer, k->zero.counter++, to + WG_DATA_HEADER, plain, sizeof(plain));
}

static void mixed_indices(void **state)
{
	struct lane_peer other;
	struct keypair *theirs = lanes_keypair(88, 0x20000, true, 99, l.now.mono_us);
	struct lanes_side *b = &l.b;
	uint8_t gro[6 * MESSAGE];
	struct path_addr from;

	(void)state;
	lanes_peer(&other, &l.a.here);
	lanes_allow(b, &other, "10.0.0.5");
	assert_true(links_install(&b->lane, 1, &other, lanes_keypair(0x20000, 88, false, 99, l.now.mono_us)));
	/* a, the other, a with the other's source, nobody's index, a handshake's type, the other again. */
	seal_one(l.a.peer.session.current, gro, 1, 1);
	seal_one(theirs, gro + MESSAGE, 5, 2);
	seal_one(l.a.peer.session.current, gro + 2 * MESSAGE, 5, 3);
	seal_one(theirs, gro + 3 * MESSAGE, 5, 4);
	put_le32(gro + 3 * MESSAGE + 4, 0x30000);
	memset(gro + 4 * MESSAGE, 0, MESSAGE);
	gro[4 * MESSAGE] = WG_INITIATION;
	seal_one(theirs, gro + 5 * MESSAGE, 5, 6);
	lanes_add(&l.batch, gro, sizeof(gro));
	l.batch.dgrams[0].segment = MESSAGE;
	assert_true(endpoint_parse("198.51.100.4:4", &l.batch.dgrams[0].path.remote));
	l.batch.dgrams[0].path.ifindex = 3;
	from = l.batch.dgrams[0].path;
	lanes_udp(&l, b);
	assert_int_equal(lanes_written_count(b), 3);
	assert_int_equal(lanes_written(b, 0).data[20], 1 + 20);
	assert_int_equal(lanes_written(b, 1).data[20], 2 + 20);
	assert_int_equal(lanes_written(b, 2).data[20], 6 + 20);
	assert_int_equal(b->lane.drops[DROP_SOURCE], 1);
	assert_int_equal(b->lane.drops[DROP_NO_INDEX], 1);
	assert_int_equal(b->lane.drops[DROP_NOT_WIREGUARD], 1);
	assert_int_equal(drops(&b->lane), 3);
	assert_int_equal(b->peer.links->rx_bytes, 2 * MESSAGE);
	assert_int_equal(other.links->rx_bytes, 2 * MESSAGE);
	/* Each peer is where its messages came from. */
	assert_true(path_addr_equal(&b->peer.links->path, &from));
	assert_true(path_addr_equal(&other.links->path, &from));
	keypair_free(theirs);
	lpm_remove_value(&b->allowed, &other);
	links_done(&b->lane, 1, &other);
	lanes_clear(&l, b);
}

static void mixed_handshakes_and_data(void **state)
{
	uint8_t gro[3 * WG_INITIATION_LEN] = { 0 };
	struct keypair *k = l.a.peer.session.current;
	uint8_t plain[WG_INITIATION_LEN - WG_DATA_MIN] = { 0 };

	(void)state;
	/* Data, an initiation without a MAC, and data, all of one length. */
	lanes_packet(plain, 100, IP_V4, 1, 2, 0);
	for (int i = 0; i < 3; i++) {
		uint8_t *at = gro + i * WG_INITIATION_LEN;

		wg_data_header_write(at, k->remote_index, k->zero.counter);
		aead_seal(k->zero.sealer, k->zero.counter++, at + WG_DATA_HEADER, plain, sizeof(plain));
	}
	memset(gro + WG_INITIATION_LEN, 0, WG_INITIATION_LEN);
	gro[WG_INITIATION_LEN] = WG_INITIATION;
	lanes_add(&l.batch, gro, sizeof(gro));
	l.batch.dgrams[0].segment = WG_INITIATION_LEN;
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 2);
	assert_int_equal(l.b.lane.drops[DROP_NO_IDENTITY], 1);
	lanes_clear(&l, &l.b);
}

/* A last segment that is shorter, by little or down to a keepalive. */
static void short_last(void **state)
{
	struct keypair *k = l.a.peer.session.current;
	uint8_t gro[4 * MESSAGE];

	(void)state;
	for (int i = 0; i < 3; i++)
		seal_one(k, gro + i * MESSAGE, 1, (uint8_t)i);
	wg_data_header_write(gro + 3 * MESSAGE, k->remote_index, k->zero.counter);
	aead_seal(k->zero.sealer, k->zero.counter++, gro + 3 * MESSAGE + WG_DATA_HEADER, (const uint8_t *)"", 0);
	lanes_add(&l.batch, gro, 3 * MESSAGE + WG_DATA_MIN);
	l.batch.dgrams[0].segment = MESSAGE;
	/* One that is cut off is one forged message, and does no harm to the others. */
	for (int i = 0; i < 2; i++)
		seal_one(k, gro + i * MESSAGE, 1, (uint8_t)i);
	lanes_add(&l.batch, gro, 2 * MESSAGE - 1);
	l.batch.dgrams[1].segment = MESSAGE;
	lanes_add(&l.batch, gro, MESSAGE + 5);
	l.batch.dgrams[2].segment = MESSAGE;
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 4);
	assert_int_equal(l.b.lane.drops[DROP_FORGED], 1);
	assert_int_equal(l.b.lane.drops[DROP_REPLAYED], 1);
	assert_int_equal(l.b.lane.drops[DROP_NOT_WIREGUARD], 1);
	assert_int_equal(drops(&l.b.lane), 3);
	assert_int_equal(l.b.peer.links->rx_bytes, 4 * MESSAGE + WG_DATA_MIN);
	lanes_clear(&l, &l.b);
}

/* The kernel's word about the segment size is not believed to make sense. */
static void absurd_segments(void **state)
{
	static const uint32_t one[] = { 0, MESSAGE, MESSAGE + 1, 65535, INT32_MAX, UINT32_MAX };
	struct keypair *k = l.a.peer.session.current;
	uint8_t message[MESSAGE];

	(void)state;
	for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		seal_one(k, message, 1, 0);
		lanes_add(&l.batch, message, MESSAGE);
		l.batch.dgrams[0].segment = one[i];
		lanes_udp(&l, &l.b);
		assert_int_equal(lanes_written_count(&l.b), 1);
		lanes_clear(&l, &l.b);
	}
	assert_int_equal(drops(&l.b.lane), 0);
	/* Too short for any message: so many that are none. */
	seal_one(k, message, 1, 0);
	lanes_add(&l.batch, message, MESSAGE);
	l.batch.dgrams[0].segment = 1;
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 0);
	assert_int_equal(l.b.lane.drops[DROP_NOT_WIREGUARD], MESSAGE);
	lanes_clear(&l, &l.b);
	/* An empty datagram is one of them, whatever it says of itself. */
	for (uint32_t segment = 0; segment < 2; segment++) {
		lanes_add(&l.batch, "", 0);
		l.batch.dgrams[segment].segment = segment;
	}
	lanes_udp(&l, &l.b);
	assert_int_equal(l.b.lane.drops[DROP_NOT_WIREGUARD], MESSAGE + 2);
	lanes_clear(&l, &l.b);
}

/* The largest datagram there is, in pieces as short as a message can be. */
static void many_small_segments(void **state)
{
	uint8_t *big = calloc(1, 65507);

	(void)state;
	assert_non_null(big);
	big[0] = WG_DATA;
	lanes_add(&l.batch, big, 65507);
	l.batch.dgrams[0].segment = WG_DATA_MIN;
	lanes_udp(&l, &l.b);
	assert_int_equal(l.b.lane.drops[DROP_NO_INDEX], 1);
	assert_int_equal(l.b.lane.drops[DROP_NOT_WIREGUARD], 65507 / WG_DATA_MIN);
	lanes_clear(&l, &l.b);
	free(big);
}

/* The output lives until it is cleared, and is the same however often one looks. */
static void output_is_stable(void **state)
{
	const struct lane_out *out;
	const struct tun_write *writes;

	(void)state;
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 3000);
	to_b();
	out = lane_out(&l.b.lane);
	writes = out->writes;
	assert_int_equal(out->write_count, 1);
	out = lane_out(&l.b.lane);
	assert_ptr_equal(out->writes, writes);
	assert_int_equal(out->write_count, 1);
	lane_out_clear(&l.b.lane);
	assert_int_equal(lane_out(&l.b.lane)->write_count, 0);
	lanes_clear(&l, &l.b);
	/* What nobody looked at before clearing does not come back. */
	stream_add(&l.batch, &flow, 3000);
	to_b();
	lane_out_clear(&l.b.lane);
	assert_int_equal(lane_out(&l.b.lane)->write_count, 0);
	lanes_release(&l.batch);
}

#define with_session(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(super_packet_to_super_packet),
		with_session(merged_where_it_was_read),
		with_session(not_merged_when_off),
		with_session(duplicates_in_a_batch),
		with_session(checked_before_merged),
		with_session(bad_checksum_stays_bad),
		with_session(more_than_a_merge_holds),
		with_session(mixed_indices),
		with_session(mixed_handshakes_and_data),
		with_session(short_last),
		with_session(absurd_segments),
		with_session(many_small_segments),
		with_session(output_is_stable),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
