/* SPDX-License-Identifier: MIT */
/* Super-packets on their way out: cut, sealed into runs, made to wait by a full output or for a session, and gone on with. */
#include "lane_stream.h"

#include "transport/rekey.h"

static struct lanes l;
static struct stream_flow flow;
static uint64_t counter;		/* of a's next message */

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	counter = 0;
	flow = (struct stream_flow){ .size = 0 };
	return 0;
}

static int setup_without_session(void **state)
{
	(void)state;
	lanes_init(&l);
	counter = 0;
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

static void take(const uint8_t *packet, size_t len)
{
	stream_take(&flow, packet, len);
}

/* All that waits in a goes to b, as a driver does it. Returns how many outputs that took. */
static size_t drain_all(void)
{
	size_t rounds = 0;

	for (bool more = lane_has_out(&l.a.lane); more; rounds++) {
		more = lanes_drain(&l, &l.a);
		assert_true(stream_check_runs(&l.a, &counter) > 0);
		stream_carry(&l, take);
	}
	assert_int_equal(fq_items(&l.a.lane.queue), 0);
	return rounds;
}

/* Hand the batch to a, and all of it over to b. Returns how many outputs were needed for what did not go at once. */
static size_t send_batch(void)
{
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, l.batch.count);
	stream_check_runs(&l.a, &counter);
	stream_carry(&l, take);
	lanes_release(&l.batch);
	return drain_all();
}

static size_t segments_of(size_t payload, uint32_t size)
{
	return (payload + size - 1) / size;
}

/*
 * Cut.
 */

/* Every kind, sizes that need every length of padding, and what does not fill its last segment. */
static void cut_and_sealed(void **state)
{
	static const struct {
		int version, proto;
	} kinds[] = { { 4, 6 }, { 6, 6 }, { 4, 17 }, { 6, 17 } };
	size_t segments = 0;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	for (size_t k = 0; k < 4; k++)
		for (uint32_t size = 1360; size <= 1376; size++) {
			stream_init(&flow, kinds[k].version, kinds[k].proto, size, 1, 2);
			stream_add(&l.batch, &flow, 20 * size + size * (size % 7) / 7 + 1);
			assert_int_equal(send_batch(), 0);
			stream_assert_complete(&flow);
			assert_int_equal(flow.segments, segments_of(flow.sent_len, size));
			segments += flow.segments;
			stream_done(&flow);
		}
	assert_int_equal(l.a.lane.tx_packets, segments);
	assert_int_equal(l.b.lane.rx_packets, segments);
	assert_int_equal(counter, segments);
	assert_int_equal(l.a.peer.session.current->zero.counter, segments);
	assert_int_equal(l.a.peer.links->tx_bytes, l.b.peer.links->rx_bytes);
	assert_int_equal(lanes_events(&l.a), LANE_DATA_SENT | LANE_FLOWS | LANE_ANY_SENT);
	flow = (struct stream_flow){ .size = 0 };
}

/* One segment is what it was, and one run of one message. */
static void super_packet_of_one(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	stream_init(&flow, 4, 6, 1400, 1, 2);
	stream_add(&l.batch, &flow, 1000);
	stream_add(&l.batch, &flow, 1400);
	lanes_tun(&l, &l.a);
	assert_int_equal(lane_out(&l.a.lane)->dgram_count, 2);
	assert_int_equal(lane_out(&l.a.lane)->dgrams[0].segment, lane_out(&l.a.lane)->dgrams[0].len);
	stream_carry(&l, take);
	lanes_release(&l.batch);
	stream_assert_complete(&flow);
	assert_int_equal(flow.segments, 2);
}

/* The checksum of a plain packet may be the kernel's half one, too. */
static void plain_packet_with_half_a_checksum(void **state)
{
	(void)state;
	for (int proto = 6; proto <= 17; proto += 11) {
		stream_init(&flow, 6, proto, 1000, 1, 2);
		stream_add(&l.batch, &flow, 999);
		l.batch.packets[0].vnet.gso_type = VNET_GSO_NONE;
		l.batch.packets[0].vnet.gso_size = 0;
		assert_int_equal(send_batch(), 0);
		stream_assert_complete(&flow);
		stream_done(&flow);
	}
	flow = (struct stream_flow){ .size = 0 };
}

/* What lies around a super-packet is as it was afterwards, also where the padding of its last segment was. */
static void nothing_around_is_changed(void **state)
{
	(void)state;
	stream_init(&flow, 4, 6, 1001, 1, 2);
	stream_add(&l.batch, &flow, 5 * 1001 + 500);
	lanes_tun(&l, &l.a);
	for (size_t i = 0; i < l.batch.sizes[0]; i++) {
		const uint8_t *at = l.batch.rooms[0] + i, *data = l.batch.packets[0].data;

		if (at < data || at >= data + l.batch.packets[0].len)
			assert_int_equal(*at, LANES_GUARD_BYTE);
	}
	stream_carry(&l, take);
	lanes_release(&l.batch);
	stream_assert_complete(&flow);
}

static void what_makes_no_sense(void **state)
{
	struct vnet good, bad[9];
	size_t count = sizeof(bad) / sizeof(bad[0]);

	(void)state;
	stream_init(&flow, 4, 6, 1000, 1, 2);
	good = stream_vnet(&flow);
	for (size_t i = 0; i < count; i++)
		bad[i] = good;
	bad[0].gso_size = 0;
	bad[1].gso_type = VNET_GSO_TCP6;
	bad[2].gso_type = VNET_GSO_UDP_L4;
	bad[3].gso_type = VNET_GSO_UDP;
	bad[4].gso_type = 77;
	bad[5].csum_start = 65000;
	bad[6].csum_offset = 6;
	bad[7].csum_start = 0;
	bad[8].gso_type = VNET_GSO_NONE;
	bad[8].csum_start = 3030;
	for (size_t i = 0; i < count; i++) {
		struct inner say = flow.say;

		stream_add(&l.batch, &flow, 3000);
		l.batch.packets[i].vnet = bad[i];
		flow.say = say;
		flow.sent_len = 0;
	}
	stream_add(&l.batch, &flow, 3000);	/* and a good one */
	lanes_tun(&l, &l.a);
	assert_int_equal(l.a.lane.drops[DROP_BAD_OUTGOING], count);
	assert_int_equal(lanes_message_count(&l.a), 3);
	assert_int_equal(l.a.lane.tx_packets, 3);
	stream_carry(&l, take);
	lanes_release(&l.batch);
	stream_assert_complete(&flow);
}

/*
 * Runs.
 */

/* 'count' plain packets of 'len' bytes to 10.0.0.DST. */
static void add_plain(size_t count, uint32_t len, uint8_t dst)
{
	uint8_t packet[1500];

	while (count-- > 0) {
		lanes_packet(packet, len, IP_V4, 1, dst, (uint8_t)count);
		lanes_add(&l.batch, packet, len);
	}
}

/* The batch goes in, and comes out in runs of so many messages each. */
static void assert_runs(const uint32_t *messages, size_t count)
{
	const struct lane_out *out;

	lanes_tun(&l, &l.a);
	out = lane_out(&l.a.lane);
	assert_int_equal(out->dgram_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal((out->dgrams[i].len + out->dgrams[i].segment - 1) / out->dgrams[i].segment, messages[i]);
	lanes_clear(&l, &l.a);
}

#define assert_runs_are(...) \
	assert_runs((const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void runs_by_size(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	add_plain(5, 1000, 2);
	assert_runs_are(5);
	/* It is the sealed size that counts: 993 and 1000 are padded to the same. */
	add_plain(2, 1000, 2);
	add_plain(2, 993, 2);
	assert_runs_are(4);
	/* A shorter one is the last... */
	add_plain(2, 1000, 2);
	add_plain(1, 500, 2);
	add_plain(1, 500, 2);
	add_plain(1, 1000, 2);
	assert_runs_are(3, 1, 1);
	/* ...a longer one is the first of another. */
	add_plain(1, 500, 2);
	add_plain(3, 501, 2);
	add_plain(2, 1400, 2);
	assert_runs_are(4, 2);
}

static void runs_by_message_limit(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 20, false);
	add_plain(45, 100, 2);
	assert_runs_are(20, 20, 5);
	lane_set_offloads(&l.a.lane, 1, false);
	add_plain(4, 100, 2);
	assert_runs_are(1, 1, 1, 1);
	/* What the limit is now holds, not what it was when the run began. */
	lane_set_offloads(&l.a.lane, 2, false);
	add_plain(4, 100, 2);
	assert_runs_are(2, 2);
}

/* 45 messages of 1452 bytes are 65340, one more would not go through a socket. */
static void runs_by_byte_limit(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 128, false);
	add_plain(60, 1420, 2);
	assert_runs_are(45, 15);
	/* The last may be short, and just fit. */
	add_plain(45, 1420, 2);
	add_plain(1, 100, 2);
	assert_runs_are(46);
	add_plain(45, 1420, 2);
	add_plain(1, 130, 2);
	assert_runs_are(45, 1);
}

static void runs_by_peer_and_path(void **state)
{
	struct lane_peer other;
	struct path_addr path = l.a.peer.links->path;
	const struct lane_out *out;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	lanes_peer(&other, &l.b.here);
	lanes_allow(&l.a, &other, "10.0.0.3");
	assert_true(links_install(&l.a.lane, 1, &other, lanes_keypair(0x10000, 77, true, 99, l.now.mono_us)));
	/* Each peer's messages have keys of their own; the path alone could be the same. */
	add_plain(2, 1000, 2);
	add_plain(2, 1000, 3);
	add_plain(2, 1000, 2);
	assert_runs_are(2, 2, 2);
	/* A peer that moved between two batches of one output. */
	add_plain(3, 1000, 2);
	lanes_tun(&l, &l.a);
	assert_true(endpoint_parse("203.0.113.9:9", &path.remote));
	lane_set_path(&l.a.lane, l.a.peer.links, &path);
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, 2);
	path.ifindex = 7;
	lane_set_path(&l.a.lane, l.a.peer.links, &path);
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, 1);
	out = lane_out(&l.a.lane);
	assert_int_equal(out->dgram_count, 3);
	assert_int_equal(out->dgrams[0].len, 3 * out->dgrams[0].segment);
	assert_true(endpoint_equal(&out->dgrams[0].path.remote, &l.b.here));
	assert_int_equal(out->dgrams[1].len, 2 * out->dgrams[1].segment);
	assert_true(endpoint_equal(&out->dgrams[1].path.remote, &path.remote));
	assert_int_equal(out->dgrams[1].path.ifindex, 0);
	assert_true(path_addr_equal(&out->dgrams[2].path, &path));
	lanes_clear(&l, &l.a);
	/* The next output does not go on with this one's last run. */
	add_plain(1, 1000, 2);
	assert_runs_are(1);
	lpm_remove_value(&l.a.allowed, &other);
	links_done(&l.a.lane, 1, &other);
}

/* A keepalive among data is the short last of a run. */
static void keepalive_in_a_run(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	add_plain(2, 1000, 2);
	lanes_tun(&l, &l.a);
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lane_out(&l.a.lane)->dgram_count, 1);
	assert_int_equal(lanes_message_count(&l.a), 3);
	assert_int_equal(lanes_message(&l.a, 2).len, WG_DATA_MIN);
	lanes_clear(&l, &l.a);
}

/*
 * Full outputs.
 */

/*
 * Ten times 64 KiB through 256 KiB: what fits whole goes at once, the rest waits, and the output becomes full in the middle of a
 * packet, by bytes.
 */
static void full_of_bytes(void **state)
{
	size_t used;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	stream_init(&flow, 4, 6, 1380, 1, 2);
	for (int i = 0; i < 10; i++)
		stream_add(&l.batch, &flow, stream_payload_max(&flow));
	lanes_tun(&l, &l.a);
	lanes_release(&l.batch);
	assert_int_equal(l.a.lane.tx_packets, 3 * 48);		/* a packet has 48 segments */
	assert_int_equal(l.a.peer.links->tin.items, 7);
	assert_true(lane_has_out(&l.a.lane));
	assert_true(lanes_drain(&l, &l.a));
	assert_true(l.a.lane.tx_packets > 3 * 48 && l.a.lane.tx_packets % 48);
	used = l.a.lane.out_used;
	assert_true(used + 1420 + 32 > LANE_OUT_BYTES);
	/* Until it is cleared there is no room. */
	assert_true(lanes_drain(&l, &l.a));
	assert_int_equal(l.a.lane.out_used, used);
	stream_check_runs(&l.a, &counter);
	stream_carry(&l, take);
	drain_all();
	stream_assert_complete(&flow);
	assert_int_equal(flow.segments, 10 * 48);
	assert_int_equal(counter, flow.segments);
	assert_int_equal(l.a.peer.session.current->zero.counter, flow.segments);
	assert_false(lane_has_out(&l.a.lane));
}

/* No more than asked for goes out at once, but for the packet that makes it so much. */
static void drained_by_the_byte(void **state)
{
	enum { PIECE = 20000 };

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	lane_set_bypass(&l.a.lane, false);
	stream_init(&flow, 4, 6, 1380, 1, 2);
	for (int i = 0; i < 10; i++)
		stream_add(&l.batch, &flow, stream_payload_max(&flow));
	lanes_tun(&l, &l.a);
	lanes_release(&l.batch);
	assert_int_equal(lanes_message_count(&l.a), 0);
	lane_set_burst(&l.a.lane, 2 * 1514, 1000);
	for (bool more = true; more;) {
		more = lane_drain(&l.a.lane, l.now, PIECE);
		assert_in_range(l.a.lane.out_used, more ? PIECE - PIECE / 10 : 0, PIECE + 3 * 1514);
		stream_check_runs(&l.a, &counter);
		stream_carry(&l, take);
	}
	stream_assert_complete(&flow);
	assert_false(lane_drain(&l.a.lane, l.now, 0));
}

/* Every length of padding in front of the place where the output ended: what comes behind must be as it was. */
static void resumed_behind_any_padding(void **state)
{
	(void)state;
	for (uint32_t size = 1300; size < 1316; size++) {
		stream_init(&flow, size % 2 ? 4 : 6, 6, size, 1, 2);
		for (int i = 0; i < 6; i++)
			stream_add(&l.batch, &flow, stream_payload_max(&flow) - size);
		assert_true(send_batch() >= 1);
		stream_assert_complete(&flow);
		stream_done(&flow);
	}
	flow = (struct stream_flow){ .size = 0 };
}

/*
 * So small that there are more segments than anything has room for; and smaller than the header, so that the header of the second
 * is stamped over that of the packet, in which nobody must look for a peer any more.
 */
static void tiny_segments(void **state)
{
	static const struct {
		uint32_t size, run_max;
		size_t segments, rounds;
	} cases[] = {
		{ 48, 63, 1365, 0 },		/* 128 bytes each when sealed: one output */
		{ 48, 1, 1365, 6 },		/* of 256 runs: it waits */
		{ 1, 63, 65495, 20 },		/* 80 bytes each, 3276 to an output */
		{ 1, 1, 65495, 256 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lane_set_offloads(&l.a.lane, cases[i].run_max, false);
		stream_init(&flow, 4, 6, cases[i].size, 1, 2);
		stream_add(&l.batch, &flow, stream_payload_max(&flow));
		assert_int_equal(send_batch(), cases[i].rounds);
		stream_assert_complete(&flow);
		assert_int_equal(flow.segments, cases[i].segments);
		stream_done(&flow);
	}
	flow = (struct stream_flow){ .size = 0 };
}

/* Plain packets of any size: none is written beyond the output's end, and none is refused that fits. */
static void plain_packets_fill_the_output(void **state)
{
	static const uint32_t lens[] = { 1420, 9000, 30000, 65535 };
	uint8_t *packet = malloc(65535);

	(void)state;
	assert_non_null(packet);
	l.a.lane.mtu = 65535;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint32_t sealed = (lens[i] + 15 < 65535 ? (lens[i] + 15) / 16 * 16 : 65535) + 32;
		size_t done = 0, fit = LANE_OUT_BYTES / sealed;

		lanes_packet(packet, lens[i], IP_V6, 1, 2, (uint8_t)i);
		lanes_add(&l.batch, packet, lens[i]);
		for (;; done++) {
			lane_from_tun(&l.a.lane, l.now, l.batch.packets, 1);
			if (fq_items(&l.a.lane.queue))
				break;
		}
		assert_int_equal(done, fit < LANE_RUNS_MAX ? fit : LANE_RUNS_MAX);
		assert_true(l.a.lane.out_used <= LANE_OUT_BYTES);
		lane_out_clear(&l.a.lane);
		assert_false(lanes_drain(&l, &l.a));
		assert_int_equal(lanes_message_count(&l.a), 1);
		lanes_clear(&l, &l.a);
	}
	free(packet);
}

/*
 * Keys that end in the middle.
 */

/* A packet that goes at once goes to its end; the next one waits. */
static void key_ends_inside_a_packet(void **state)
{
	const uint64_t end = REJECT_AFTER_MESSAGES;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	stream_init(&flow, 4, 6, 48, 1, 2);
	stream_add(&l.batch, &flow, stream_payload_max(&flow));
	add_plain(1, 60, 2);
	l.a.peer.session.current->zero.counter = end - 256;
	lanes_tun(&l, &l.a);
	assert_int_equal(l.a.peer.session.current->zero.counter, end - 256 + 1365);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	assert_true(lanes_events(&l.a) & LANE_NEED_SESSION);
	lanes_clear(&l, &l.a);
}

/* One that goes in pieces goes on under the next key: no nonce is used that the other side refuses. */
static void key_ends_between_pieces(void **state)
{
	const uint64_t end = REJECT_AFTER_MESSAGES;

	(void)state;
	stream_init(&flow, 4, 6, 48, 1, 2);
	stream_add(&l.batch, &flow, stream_payload_max(&flow));
	counter = l.a.peer.session.current->zero.counter = end - 256;
	lanes_tun(&l, &l.a);
	lanes_release(&l.batch);
	assert_false(lanes_drain(&l, &l.a));		/* there is none that could go now */
	stream_check_runs(&l.a, &counter);
	stream_carry(&l, take);
	assert_int_equal(l.a.peer.session.current->zero.counter, end);
	assert_int_equal(flow.segments, 256);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	assert_true(lanes_events(&l.a) & LANE_NEED_SESSION);
	lanes_session(&l, 1);
	counter = 0;
	assert_int_equal(drain_all(), 5);
	stream_assert_complete(&flow);
}

/* The first piece of a packet of 1365 segments, 256 of them, to 10.0.0.DST, is sent; the rest waits. */
static void send_piece(uint8_t dst)
{
	stream_init(&flow, 4, 6, 48, 1, dst);
	stream_add(&l.batch, &flow, stream_payload_max(&flow));
	lanes_tun(&l, &l.a);
	assert_true(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), LANE_RUNS_MAX);
	lanes_clear(&l, &l.a);
}

/* Without any key its rest waits for one, or is dropped; and what comes after is not taken for it. */
static void keys_forgotten_inside_a_packet(void **state)
{
	(void)state;
	send_piece(2);
	links_clear(&l.a.lane, 1, &l.a.peer);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	assert_true(lanes_events(&l.a) & LANE_NEED_SESSION);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, true);
	assert_int_equal(l.a.lane.drops[DROP_NO_SESSION], 1);
	assert_int_equal(lanes_written_count(&l.a), 0);		/* its sender's packet did arrive, in part */
	assert_int_equal(l.a.peer.links->tin.items, 0);
	lanes_session(&l, 1);
	stream_done(&flow);
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 30000);
	counter = 0;
	send_batch();
	stream_assert_complete(&flow);
}

static void peer_removed_inside_a_packet(void **state)
{
	struct lane_peer *other = calloc(1, sizeof(*other));

	(void)state;
	assert_non_null(other);
	lanes_peer(other, &l.b.here);
	lanes_allow(&l.a, other, "10.0.0.3");
	assert_true(links_install(&l.a.lane, 1, other, lanes_keypair(0x10000, 77, true, 99, l.now.mono_us)));
	send_piece(3);
	lpm_remove_value(&l.a.allowed, other);
	links_done(&l.a.lane, 1, other);
	free(other);
	assert_int_equal(l.a.lane.drops[DROP_NO_PEER], 1);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
}

/*
 * Super-packets that wait.
 */

static void hold(size_t count, uint32_t size)
{
	stream_init(&flow, 4, 6, size, 1, 2);
	for (size_t i = 0; i < count; i++) {
		stream_add(&l.batch, &flow, stream_payload_max(&flow));
		lanes_tun(&l, &l.a);
		lanes_release(&l.batch);
	}
	assert_int_equal(l.a.peer.links->tin.items, count);
	assert_int_equal(l.a.lane.slots.used, count);
	assert_int_equal(l.a.lane.tx_packets, 0);
}

/* One of the pieces in which it is drained; whether there is more. */
static bool drain_piece(void)
{
	bool more = lanes_drain(&l, &l.a);

	stream_check_runs(&l.a, &counter);
	stream_carry(&l, take);
	return more;
}

static void drained_in_pieces(void **state)
{
	size_t pieces = 1;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	hold(20, 1380);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	while (drain_piece())
		pieces++;
	assert_int_equal(pieces, 6);		/* 20 times 48 messages of 1452 bytes, 180 in 256 KiB */
	stream_assert_complete(&flow);
	assert_int_equal(flow.segments, 20 * 48);
	assert_int_equal(counter, flow.segments);
	assert_int_equal(l.a.peer.links->tin.items, 0);
	assert_int_equal(l.a.lane.slots.used, 0);
}

/* How many of the messages in a's output are for that index. */
static size_t messages_to(uint32_t index)
{
	size_t count = 0;

	for (size_t i = 0; i < lanes_message_count(&l.a); i++)
		count += wg_data_receiver(lanes_message(&l.a, i).data) == index;
	return count;
}

/* Packets from the TUN between two pieces, super-packets as well: for another peer they come next, for this one they wait. */
static void others_go_on_between_pieces(void **state)
{
	struct lane_peer other;
	struct stream_flow theirs;
	size_t pieces = 0;
	bool more;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	lanes_peer(&other, &l.b.here);
	lanes_allow(&l.a, &other, "10.0.0.3");
	assert_true(links_install(&l.a.lane, 1, &other, lanes_keypair(0x10000, 0x7700, true, 99, l.now.mono_us)));
	hold(12, 700);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	stream_init(&theirs, 4, 6, 1000, 1, 3);
	do {
		stream_add(&l.batch, &theirs, 9999);
		if (pieces < 2)
			stream_add(&l.batch, &flow, 5000);
		lanes_tun(&l, &l.a);
		lanes_release(&l.batch);
		if (pieces)
			assert_int_equal(lanes_message_count(&l.a), 0);
		more = lanes_drain(&l, &l.a);
		assert_int_equal(l.a.peer.links->tin.items > 0, more);
		assert_int_equal(other.links->tin.items, 0);
		assert_int_equal(messages_to(0x7700), 10);
		assert_int_equal(other.session.current->zero.counter, 10 * (pieces + 1));
		stream_carry(&l, take);
		pieces++;
	} while (more);
	assert_true(pieces >= 3);
	stream_assert_complete(&flow);
	stream_done(&theirs);
	lpm_remove_value(&l.a.allowed, &other);
	links_done(&l.a.lane, 1, &other);
}

/* What is half sent can be dropped, as the oldest of too many or with its peer; its slot serves again. */
static void dropped_between_pieces(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	hold(LANE_HELD_MAX, 1380);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_true(lanes_drain(&l, &l.a));
	assert_int_equal(l.a.peer.links->tin.items, LANE_HELD_MAX - 3);
	lane_out_clear(&l.a.lane);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);
	assert_int_equal(l.a.lane.drops[DROP_NO_SESSION], LANE_HELD_MAX - 3);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	stream_done(&flow);
	/* The next is whole. */
	links_clear(&l.a.lane, 1, &l.a.peer);
	l.a.lane.tx_packets = 0;
	hold(2, 1380);
	lanes_session(&l, 1);
	counter = 0;
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_false(drain_piece());
	stream_assert_complete(&flow);
}

static void oldest_dropped_half_sent(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 1, false);
	hold(LANE_HELD_MAX, 1380);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_true(lanes_drain(&l, &l.a));		/* 180 messages: three packets and a part */
	lane_out_clear(&l.a.lane);
	assert_int_equal(l.a.peer.links->tin.items, LANE_HELD_MAX - 3);
	/* The session is gone, and again there may wait only so many. */
	links_clear(&l.a.lane, 1, &l.a.peer);
	assert_false(lanes_drain(&l, &l.a));
	for (int i = 0; i < 4; i++)
		stream_add(&l.batch, &flow, 100);
	lanes_tun(&l, &l.a);
	lanes_clear(&l, &l.a);
	assert_int_equal(l.a.lane.drops[DROP_QUEUE_FULL], 1);
	/* It goes on with the fifth, from its beginning. */
	flow.received_len = 4 * stream_payload_max(&flow);
	lanes_session(&l, 1);
	counter = 0;
	drain_all();
	assert_int_equal(flow.received_len, flow.sent_len);
}

/* The key ends between two pieces, and another comes: the rest of the packet goes out under it. */
static void new_key_between_pieces(void **state)
{
	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	hold(5, 1380);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_true(drain_piece());
	l.now.mono_us += REJECT_AFTER_S * US_PER_S;
	assert_false(drain_piece());
	assert_true(lanes_events(&l.a) & LANE_NEED_SESSION);
	assert_int_equal(l.a.peer.links->tin.items, 2);
	lanes_session(&l, 1);
	counter = 0;
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_false(drain_piece());
	stream_assert_complete(&flow);
	assert_int_equal(flow.segments, 5 * 48);
}

#define with_session(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define without_session(test) cmocka_unit_test_setup_teardown(test, setup_without_session, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(cut_and_sealed),
		with_session(super_packet_of_one),
		with_session(plain_packet_with_half_a_checksum),
		with_session(nothing_around_is_changed),
		with_session(what_makes_no_sense),
		with_session(runs_by_size),
		with_session(runs_by_message_limit),
		with_session(runs_by_byte_limit),
		with_session(runs_by_peer_and_path),
		with_session(keepalive_in_a_run),
		with_session(full_of_bytes),
		with_session(drained_by_the_byte),
		with_session(resumed_behind_any_padding),
		with_session(tiny_segments),
		with_session(plain_packets_fill_the_output),
		with_session(key_ends_inside_a_packet),
		with_session(key_ends_between_pieces),
		with_session(keys_forgotten_inside_a_packet),
		with_session(peer_removed_inside_a_packet),
		without_session(drained_in_pieces),
		without_session(others_go_on_between_pieces),
		without_session(dropped_between_pieces),
		without_session(oldest_dropped_half_sent),
		without_session(new_key_between_pieces),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
