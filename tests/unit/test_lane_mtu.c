/* SPDX-License-Identifier: MIT */
/*
 * The paths to a peer carry less than the TUN's MTU: what is cut smaller, what goes in fragments, who is told how much fits, and the clamp of
 * TCP's MSS.
 */
#include "lane_stream.h"

#include "crypto/aead.h"
#include "wire/ip.h"

enum { DF = 0x40, WHOLE_MAX = 65536 };

static struct lanes l;
static struct stream_flow flow;
static uint64_t counter;
static size_t longest;			/* packet that came out at b */

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	lane_set_offloads(&l.a.lane, 63, false);
	counter = 0;
	longest = 0;
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
	longest = len > longest ? len : longest;
	stream_take(&flow, packet, len);
}

static void carry(void)
{
	stream_check_runs(&l.a, &counter);
	stream_carry(&l, take);
}

static void drain_all(void)
{
	while (lane_has_out(&l.a.lane)) {
		lanes_drain(&l, &l.a);
		carry();
	}
}

/* The batch goes into a, and all of it over to b. */
static void send_batch(void)
{
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, l.batch.count);
	carry();
	lanes_release(&l.batch);
	drain_all();
}

/*
 * TCP.
 */

static void super_packets_are_cut_smaller(void **state)
{
	static const uint32_t mtus[] = { 1300, 1200, 1001, 516, 100 };

	(void)state;
	for (int version = 4; version <= 6; version += 2)
		for (int queued = 0; queued < 2; queued++)
			for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
				uint32_t mtu = mtus[i] > 512 ? mtus[i] : 512;	/* less is not believed */

				longest = 0;
				l.a.peer.mtu = mtus[i];
				lane_set_bypass(&l.a.lane, !queued);
				stream_init(&flow, version, 6, 1360, 1, 2);
				stream_add(&l.batch, &flow, 65000);
				stream_add(&l.batch, &flow, 5000);
				stream_add(&l.batch, &flow, 1360);	/* one that says it is one */
				send_batch();
				stream_assert_complete(&flow);
				assert_int_equal(longest, mtu);
				stream_done(&flow);
			}
	assert_int_equal(lanes_drops(&l.a), 0);
	flow = (struct stream_flow){ .size = 0 };
}

/* The MTU drops, to whatever: what waits obeys, and what was begun is gone on with in smaller pieces. */
static void it_drops_meanwhile(void **state)
{
	static const uint32_t mtus[] = { 1300, 900, 512 };

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		longest = 0;
		l.a.peer.mtu = 0;
		lane_set_bypass(&l.a.lane, false);
		lane_set_burst(&l.a.lane, 10000, 0);
		stream_init(&flow, 4, 6, 1360, 1, 2);
		for (int n = 0; n < 3; n++)
			stream_add(&l.batch, &flow, 60000);
		lanes_tun(&l, &l.a);
		lanes_release(&l.batch);
		lane_drain(&l.a.lane, l.now, 20000);
		carry();
		assert_true(flow.received_len > 10000 && flow.received_len < 40000);
		assert_int_equal(longest, 1400);
		longest = 0;
		l.a.peer.mtu = mtus[i];
		drain_all();
		stream_assert_complete(&flow);
		assert_int_equal(longest, mtus[i]);
		stream_done(&flow);
	}
	assert_int_equal(lanes_drops(&l.a), 0);
	flow = (struct stream_flow){ .size = 0 };
}

/* A segment that comes alone from the host is cut like a super-packet; one that is complete may be another's, and is not. */
static void single_segments(void **state)
{
	(void)state;
	l.a.peer.mtu = 1000;
	for (int version = 4; version <= 6; version += 2) {
		for (int complete = 0; complete < 2; complete++) {
			stream_init(&flow, version, 6, 1360, 1, 2);
			stream_add(&l.batch, &flow, 1360);
			l.batch.packets[0].vnet.gso_type = VNET_GSO_NONE;
			l.batch.packets[0].vnet.gso_size = 0;
			if (complete) {
				l.batch.packets[0].vnet.flags = 0;
				lanes_tun(&l, &l.a);
				assert_int_equal(lanes_written_count(&l.a), 1);
				assert_int_equal(lanes_message_count(&l.a), 0);
				lanes_clear(&l, &l.a);
			} else {
				send_batch();
				stream_assert_complete(&flow);
				assert_int_equal(flow.segments, 2);
				assert_int_equal(longest, 1000);
			}
			stream_done(&flow);
		}
	}
	flow = (struct stream_flow){ .size = 0 };
}

/* And when the TUN's own MTU is no more than the paths carry nothing is different. */
static void the_tuns_own(void **state)
{
	(void)state;
	l.a.peer.mtu = l.a.lane.mtu = 1300;
	stream_init(&flow, 6, 6, 1360, 1, 2);
	stream_add(&l.batch, &flow, 10000);
	send_batch();
	stream_assert_complete(&flow);
	assert_int_equal(longest, 1360 + 60);
}

/*
 * Errors.
 */

/* An inner packet of a's, IPv4 with DF or IPv6. */
static void add(size_t len, uint8_t family, bool df)
{
	uint8_t p[WHOLE_MAX];

	lanes_packet(p, len, family, 1, 2, (uint8_t)len);
	if (family == IP_V4)
		p[6] = df ? DF : 0;
	lanes_add(&l.batch, p, len);
}

/* The i-th thing in a's TUN is an error that says 'mtu', to 10.0.0.1 or fd00::1 as if from the other. */
static void assert_too_big(size_t i, uint8_t family, uint32_t mtu)
{
	struct packet e = lanes_written(&l.a, i);
	size_t header = family == IP_V4 ? 20 : 40;

	assert_int_equal(e.data[0] >> 4, family);
	assert_int_equal(e.data[header], family == IP_V4 ? 3 : 2);
	assert_int_equal(e.data[header + 1], family == IP_V4 ? 4 : 0);
	assert_int_equal(get_be32(e.data + header + 4), mtu);
	assert_int_equal(e.data[family == IP_V4 ? 19 : 39], 1);
	assert_int_equal(e.data[family == IP_V4 ? 15 : 23], 2);
}

/* Hand in one that does not fit, and see that it is told. */
static void refused(size_t len, uint8_t family, uint32_t mtu)
{
	uint64_t before = l.a.lane.drops[DROP_TOO_BIG];

	add(len, family, true);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(lanes_written_count(&l.a), 1);
	assert_too_big(0, family, mtu);
	assert_int_equal(l.a.lane.drops[DROP_TOO_BIG], before + 1);
	lanes_clear(&l, &l.a);
	assert_false(lane_has_out(&l.a.lane));
}

/* And one that does: it is sealed at once, and has so many bytes of plaintext. */
static void passes(size_t len, uint8_t family, size_t plain)
{
	add(len, family, true);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_written_count(&l.a), 0);
	if (!lanes_message_count(&l.a))
		lanes_drain(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 1);
	assert_int_equal(lanes_message(&l.a, 0).len, WG_DATA_HEADER + plain + AEAD_TAG);
	lanes_clear(&l, &l.a);
}

static void told(void **state)
{
	(void)state;
	l.a.peer.mtu = 1350;
	refused(1351, IP_V6, 1350);
	refused(1420, IP_V4, 1350);
	passes(1350, IP_V6, 1350);	/* not padded beyond it */
	passes(1340, IP_V4, 1344);
	passes(1345, IP_V4, 1350);
	passes(100, IP_V4, 112);
	l.a.peer.mtu = 0;
	passes(1420, IP_V6, 1420);
}

/* IPv6 hosts are told 1280 at least, and up to that are served. */
static void under_1280(void **state)
{
	(void)state;
	l.a.peer.mtu = 1001;
	refused(1281, IP_V6, 1280);
	passes(1280, IP_V6, 1280);
	passes(1100, IP_V6, 1104);
	passes(1000, IP_V6, 1001);
	refused(1280, IP_V4, 1001);
	refused(1002, IP_V4, 1001);
	passes(1001, IP_V4, 1001);
}

/* There are as many as a ration allows, whatever comes. */
static void rationed(void **state)
{
	size_t told = 0;

	(void)state;
	l.now.mono_us += 10 * US_PER_S;
	l.a.peer.mtu = 1300;
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < PACKET_BATCH; i++)
			add(1400, IP_V6, true);
		lanes_tun(&l, &l.a);
		assert_true(lanes_written_count(&l.a) <= LANE_ERRORS_BATCH);
		told += lanes_written_count(&l.a);
		lanes_clear(&l, &l.a);
	}
	assert_int_equal(told, LANE_ERRORS_BURST);
	assert_int_equal(l.a.lane.drops[DROP_TOO_BIG], 10 * PACKET_BATCH);
}

/* What fitted when it came is told as it would leave. */
static void told_late(void **state)
{
	(void)state;
	lane_set_bypass(&l.a.lane, false);
	add(1400, IP_V6, true);
	add(1200, IP_V6, true);
	add(1400, IP_V4, true);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_written_count(&l.a), 0);
	l.a.peer.mtu = 1300;
	while (lanes_drain(&l, &l.a))
		;
	assert_int_equal(lanes_message_count(&l.a), 1);
	assert_int_equal(lanes_written_count(&l.a), 2);
	assert_int_equal(l.a.lane.drops[DROP_TOO_BIG], 2);
	lanes_clear(&l, &l.a);
}

/* One error for a train of datagrams. */
static void trains(void **state)
{
	(void)state;
	l.a.peer.mtu = 1300;
	for (int version = 4; version <= 6; version += 2) {
		stream_init(&flow, version, 17, 1360, 1, 2);
		stream_add(&l.batch, &flow, 30000);
		lanes_tun(&l, &l.a);
		assert_int_equal(lanes_message_count(&l.a), 0);
		assert_int_equal(lanes_written_count(&l.a), 1);
		assert_too_big(0, version == 4 ? IP_V4 : IP_V6, 1300);
		lanes_clear(&l, &l.a);
		stream_done(&flow);
	}
	assert_int_equal(l.a.lane.drops[DROP_TOO_BIG], 2);
	/* one whose datagrams fit goes */
	stream_init(&flow, 6, 17, 1250, 1, 2);
	stream_add(&l.batch, &flow, 30000);
	send_batch();
	stream_assert_complete(&flow);
}

/*
 * Fragments.
 */

/* Put together what came to b: one packet after the other, in order. */
static struct {
	uint8_t whole[WHOLE_MAX];
	size_t len, fragments;
	uint32_t mtu;
	void (*done)(const uint8_t *packet, size_t len);
} join;

static void take_fragment(const uint8_t *p, size_t len)
{
	size_t at = 8 * (size_t)(get_be16(p + 6) & 0x1fff);

	assert_int_equal(p[0], 0x45);
	assert_true(len <= join.mtu);
	assert_int_equal(naive_add(0, p, 20), 0xffff);
	join.fragments++;
	if (!at) {
		memcpy(join.whole, p, 20);
		join.len = 20;
	}
	assert_int_equal(join.len, 20 + at);
	assert_memory_equal(join.whole + 4, p + 4, 2);
	memcpy(join.whole + join.len, p + 20, len - 20);
	join.len += len - 20;
	if (get_be16(p + 6) & 0x2000)
		return;
	put_be16(join.whole + 2, (uint16_t)join.len);
	put_be16(join.whole + 6, 0);
	put_be16(join.whole + 10, 0);
	put_be16(join.whole + 10, (uint16_t)(0xffff - naive_add(0, join.whole, 20)));
	join.done(join.whole, join.len);
}

static void join_batch(uint32_t mtu, void (*done)(const uint8_t *packet, size_t len))
{
	join.mtu = mtu;
	join.done = done;
	join.fragments = 0;
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, l.batch.count);
	stream_check_runs(&l.a, &counter);
	stream_carry(&l, take_fragment);
	lanes_release(&l.batch);
	while (lane_has_out(&l.a.lane)) {
		lanes_drain(&l, &l.a);
		stream_check_runs(&l.a, &counter);
		stream_carry(&l, take_fragment);
	}
}

static void take_whole(const uint8_t *packet, size_t len)
{
	stream_take(&flow, packet, len);
}

/* Without DF: what is complete, and what the kernel left to be completed; single ones and trains, as large as they come. */
static void fragments(void **state)
{
	static const uint32_t mtus[] = { 1300, 576, 516 };

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
		for (int train = 0; train < 2; train++) {
			l.a.peer.mtu = mtus[i];
			stream_init(&flow, 4, 17, train ? 1380 : 65507, 1, 2);
			flow.say.fragment = 0;
			stream_add(&l.batch, &flow, train ? 20000 : 1380);
			stream_add(&l.batch, &flow, train ? 60000 : 65507);
			for (size_t k = 0; !train && k < 2; k++) {
				l.batch.packets[k].vnet.gso_type = VNET_GSO_NONE;
				l.batch.packets[k].vnet.gso_size = 0;
			}
			join_batch(mtus[i], take_whole);
			stream_assert_complete(&flow);
			assert_true(join.fragments > flow.segments);
			stream_done(&flow);
		}
	assert_int_equal(lanes_drops(&l.a), 0);
	flow = (struct stream_flow){ .size = 0 };
}

/* What was let wait when it fitted goes in fragments when it does not. */
static void fragments_late(void **state)
{
	(void)state;
	lane_set_bypass(&l.a.lane, false);
	stream_init(&flow, 4, 17, 1380, 1, 2);
	flow.say.fragment = 0;
	stream_add(&l.batch, &flow, 1380);
	l.batch.packets[0].vnet.gso_type = VNET_GSO_NONE;
	lanes_tun(&l, &l.a);
	lanes_release(&l.batch);
	l.a.peer.mtu = 1000;
	join_batch(1000, take_whole);
	stream_assert_complete(&flow);
	assert_int_equal(join.fragments, 2);
}

/*
 * TCP's MSS.
 */

static uint16_t offered;

static size_t syn(uint8_t *p, int version, uint8_t src, uint8_t dst, bool partial)
{
	struct inner say = { .version = version, .proto = 6, .ttl = 64, .src = src, .dst = dst, .sport = 1, .dport = 2, .flags = 0x02, .options = 4 };
	size_t len = inner_build(p, &say, NULL, 0, true), ip = inner_ip_len(&say);

	memcpy(p + ip + 20, (const uint8_t[4]){ 2, 4, 0x23, 0x28 }, 4);		/* 9000 */
	if (!partial)
		put_be16(p + ip + 16, (uint16_t)(0xffff - naive_add(0, p + ip, len - ip)));
	return len;
}

static void take_syn(const uint8_t *p, size_t len)
{
	size_t ip = p[0] >> 4 == 4 ? 20 : 40;

	assert_true(inner_is_valid(p, len, 6, ip));
	offered = get_be16(p + ip + 22);
}

/* What b sees of a SYN of a's. */
static uint16_t through(int version, bool partial)
{
	uint8_t p[100];
	size_t len = syn(p, version, 1, 2, partial);

	lanes_add(&l.batch, p, len);
	if (partial)
		l.batch.packets[0].vnet = (struct vnet){ .flags = VNET_NEEDS_CSUM, .csum_start = version == 4 ? 20 : 40, .csum_offset = 16 };
	lanes_tun(&l, &l.a);
	lanes_release(&l.batch);
	offered = 0;
	stream_carry(&l, take_syn);
	return offered;
}

static void clamp(void **state)
{
	(void)state;
	for (int partial = 0; partial < 2; partial++) {
		l.a.lane.mss_clamp = l.b.lane.mss_clamp = MSS_CLAMP_OFF;
		l.a.peer.mtu = l.b.peer.mtu = 0;
		assert_int_equal(through(4, partial), 9000);
		l.a.lane.mss_clamp = MSS_CLAMP_ON;
		assert_int_equal(through(4, partial), 1380);
		assert_int_equal(through(6, partial), 1360);
		l.a.peer.mtu = 1300;
		assert_int_equal(through(4, partial), 1260);
		assert_int_equal(through(6, partial), 1240);
		l.a.lane.mss_clamp = 1111;
		assert_int_equal(through(4, partial), 1111);
		assert_int_equal(through(6, partial), 1111);
		l.a.lane.mss_clamp = MSS_CLAMP_OFF;
		/* the receiving side's */
		l.b.lane.mss_clamp = MSS_CLAMP_ON;
		assert_int_equal(through(6, partial), 1360);
		l.b.peer.mtu = 1200;
		assert_int_equal(through(4, partial), 1160);
	}
}

#define with_lanes(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_lanes(super_packets_are_cut_smaller),
		with_lanes(it_drops_meanwhile),
		with_lanes(single_segments),
		with_lanes(the_tuns_own),
		with_lanes(told),
		with_lanes(under_1280),
		with_lanes(rationed),
		with_lanes(told_late),
		with_lanes(trains),
		with_lanes(fragments),
		with_lanes(fragments_late),
		with_lanes(clamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
