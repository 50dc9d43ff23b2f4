/* SPDX-License-Identifier: MIT */
/* What waits in a lane's two queues: turns, drops, marks, shapers, and whose memory it all is. The queue itself is test_fq.c's. */
#include "lane_stream.h"

#include "crypto/aead.h"
#include "wire/ecn.h"
#include "wire/ip.h"

enum { SUBS = 2, MS = US_PER_MS };

static struct lanes l;
static struct stream_flow flow;

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	lane_set_offloads(&l.a.lane, 63, false);
	lane_set_bypass(&l.a.lane, false);
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

/* The batch goes into a's TUN, and waits there. */
static void let_wait(void)
{
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, l.batch.count);
	assert_int_equal(l.a.lane.run_count, 0);
	lanes_release(&l.batch);
}

/* A plain packet of 'len' bytes from the source port to 10.0.0.DST. */
static void add_plain(uint16_t sport, uint8_t dst, uint32_t len)
{
	uint8_t packet[LANE_QUEUE_SMALL * 5];

	lanes_packet(packet, len, IP_V4, 1, dst, 0);
	put_be16(packet + 20, sport);
	lanes_add(&l.batch, packet, len);
}

/*
 * Dropped and marked.
 */

static bool *seen;		/* by segment: it came out at b */
static uint8_t *seen_tos;
static size_t last_seen;

static void take_with_gaps(const uint8_t *p, size_t len)
{
	size_t ip = inner_ip_len(&flow.say), header = inner_header_len(&flow.say), segment;
	uint32_t at = get_be32(p + ip + 4) - flow.first_seq;
	struct ip_view v;

	assert_true(inner_is_valid(p, len, 6, ip));
	assert_true(ip_view(&v, p, (uint32_t)len));
	assert_true(at % flow.size == 0 && at + len - header <= flow.sent_len);
	assert_memory_equal(p + header, flow.sent + at, len - header);
	segment = at / flow.size;
	assert_true(!seen[segment] && (!segment || segment > last_seen));
	seen[segment] = true;
	seen_tos[segment] = v.tos;
	last_seen = segment;
	flow.segments++;
}

/* Super-packets of one flow wait, and are drained slowly, until CoDel has had enough; then the rest. */
static void wait_long(int version, uint8_t tos)
{
	size_t segments;

	stream_init(&flow, version, 6, 1000, 1, 2);
	flow.say.tos = tos;
	for (int i = 0; i < 5; i++)
		stream_add(&l.batch, &flow, 30000);
	segments = flow.sent_len / flow.size;
	seen = calloc(segments, sizeof(*seen));
	seen_tos = calloc(segments, sizeof(*seen_tos));
	assert_true(seen && seen_tos);
	last_seen = 0;
	let_wait();
	for (int i = 0; i < 15; i++) {
		l.now.mono_us += 10 * MS;
		lane_drain(&l.a.lane, l.now, 1);
		stream_carry(&l, take_with_gaps);
	}
	while (lane_has_out(&l.a.lane)) {
		lanes_drain(&l, &l.a);
		stream_carry(&l, take_with_gaps);
	}
}

static void wait_done(void)
{
	free(seen);
	free(seen_tos);
	stream_done(&flow);
	flow = (struct stream_flow){ .size = 0 };
}

/* One segment of 150 is gone, not a super-packet of 30; all others arrive under their own sequence numbers. */
static void codel_drops_one_segment(void **state)
{
	(void)state;
	lane_set_burst(&l.a.lane, 1514, 0);
	for (int version = 4; version <= 6; version += 2) {
		uint64_t counter = l.a.peer.session.current->zero.counter;
		size_t gaps = 0;

		l.a.lane.drops[DROP_CODEL] = 0;
		wait_long(version, 0);
		assert_int_equal(l.a.lane.drops[DROP_CODEL], 1);
		assert_int_equal(flow.segments, 149);
		for (size_t i = 0; i < 150; i++)
			if (!seen[i]) {
				gaps++;
				assert_in_range(i, 5, 20);
			}
		assert_int_equal(gaps, 1);
		/* What is dropped takes no nonce. */
		assert_int_equal(l.a.peer.session.current->zero.counter, counter + 149);
		assert_int_equal(l.a.lane.queue.stats.codel_dropped, version == 4 ? 1 : 2);
		wait_done();
	}
	assert_int_equal(l.a.lane.marked_out, 0);
	assert_int_equal(l.b.lane.rx_packets, 2 * 149);
}

/* Who knows marks loses nothing: what is left of the super-packet at the head has CE on each segment. */
static void codel_marks(void **state)
{
	(void)state;
	lane_set_burst(&l.a.lane, 1514, 0);
	for (int version = 4; version <= 6; version += 2) {
		size_t first = 0, marked = 0;

		l.a.lane.marked_out = 0;
		wait_long(version, 0x50 | ECN_ECT0);
		assert_int_equal(l.a.lane.marked_out, 1);
		assert_int_equal(flow.segments, 150);
		for (size_t i = 150; i-- > 0;)
			if (seen_tos[i] == (0x50 | ECN_CE))
				first = i, marked++;
			else
				assert_int_equal(seen_tos[i], 0x50 | ECN_ECT0);
		/* To the end of that one, and no further. */
		assert_in_range(first, 5, 20);
		assert_int_equal(first + marked, 30);
		wait_done();
	}
	assert_int_equal(lanes_drops(&l.a), 0);
}

/* ECT(1) is marked as soon as it waits for more than a moment, whatever CoDel thinks. */
static void step_marks(void **state)
{
	(void)state;
	wait_long(4, ECN_ECT1);
	assert_int_equal(l.a.lane.marked_out, 5);
	assert_int_equal(flow.segments, 150);
	for (size_t i = 0; i < 150; i++)
		assert_int_equal(seen_tos[i], ECN_CE);
	wait_done();
	stream_init(&flow, 4, 6, 1000, 1, 2);
	flow.say.tos = ECN_ECT1;
	stream_add(&l.batch, &flow, 3000);
	let_wait();
	l.now.mono_us += MS / 2;
	lanes_drain(&l, &l.a);
	assert_int_equal(l.a.lane.marked_out, 5);
	lane_out_clear(&l.a.lane);
}

/* The outer mark follows the inner one, where it is carried outside. */
static void outer_field_of_a_marked_packet(void **state)
{
	(void)state;
	l.a.peer.ecn_out = LANE_ECN_COPY;
	add_plain(1, 2, 100);
	l.batch.packets[0].data[1] = ECN_ECT1;
	let_wait();
	l.now.mono_us += 10 * MS;
	lanes_drain(&l, &l.a);
	assert_int_equal(lanes_message(&l.a, 0).tos, ECN_CE);
	lane_out_clear(&l.a.lane);
}

/* A flow that fills the queue does not cost another one anything: neither packets nor its turn. */
static void others_do_not_wait(void **state)
{
	const uint8_t *plain;
	size_t at;

	(void)state;
	lane_set_burst(&l.a.lane, 3000, 0);
	stream_init(&flow, 4, 6, 1000, 1, 2);
	for (int i = 0; i < 20; i++)
		stream_add(&l.batch, &flow, 50000);
	add_plain(5, 2, 100);
	let_wait();
	lane_drain(&l.a.lane, l.now, 9000);
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	for (at = 0; at < lanes_written_count(&l.b); at++) {
		plain = lanes_written(&l.b, at).data;
		if (plain[9] == 17)
			break;
	}
	assert_in_range(at, 1, 4);	/* a turn of three packets before it, at most */
	lanes_clear(&l, &l.b);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);
}

/*
 * Memory.
 */

/* All that a slot has may be written: headroom, data, tailroom. */
static void scribble(uint8_t *slot)
{
	memset(slot - PACKET_HEADROOM, 0xdb, PACKET_HEADROOM + LANE_SLOT_LEN + PACKET_TAILROOM);
}

static void give_back(struct lane *lane, uint8_t *slot)
{
	pool_give(&lane->slots, slot - PACKET_HEADROOM);
}

/* A packet too large to be copied keeps the slot it was read into; the reader has another. */
static void slots_are_swapped(void **state)
{
	uint8_t *slot = lane_slot_take(&l.a.lane), want[9000];
	struct packet p = { .slot = slot, .data = slot + 100 };

	(void)state;
	assert_non_null(slot);
	scribble(slot);
	l.a.lane.mtu = 9000;
	for (uint32_t i = 0; i < 4; i++) {
		p.data = (uint8_t *)p.slot + 100 * i;
		p.len = 9000;
		lanes_packet(p.data, p.len, IP_V6, 1, 2, (uint8_t)i);
		put_be32(p.data + 40, 77);
		lane_from_tun(&l.a.lane, l.now, &p, 1);
		assert_non_null(p.slot);
		assert_ptr_not_equal(p.slot, slot);
		slot = p.slot;
		scribble(slot);
	}
	assert_int_equal(l.a.lane.slots.used, 5);
	lanes_drain(&l, &l.a);
	assert_int_equal(l.a.lane.slots.used, 1);
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	for (uint32_t i = 0; i < 4; i++) {
		lanes_packet(want, 9000, IP_V6, 1, 2, (uint8_t)i);
		put_be32(want + 40, 77);
		assert_int_equal(lanes_written(&l.b, i).len, 9000);
		assert_memory_equal(lanes_written(&l.b, i).data, want, 9000);
	}
	lanes_clear(&l, &l.b);
	/* One that is small is copied, and one that goes at once goes: both leave the slot where it is. */
	lanes_packet(slot, 1500, IP_V6, 1, 2, 0);
	p = (struct packet){ .data = slot, .len = 1500, .slot = slot };
	lane_from_tun(&l.a.lane, l.now, &p, 1);
	assert_ptr_equal(p.slot, slot);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	lanes_drain(&l, &l.a);
	lane_set_bypass(&l.a.lane, true);
	lanes_packet(slot, 9000, IP_V6, 1, 2, 0);
	p = (struct packet){ .data = slot, .len = 9000, .slot = slot };
	lane_from_tun(&l.a.lane, l.now, &p, 1);
	assert_ptr_equal(p.slot, slot);
	assert_int_equal(lanes_message_count(&l.a), 2);
	lanes_clear(&l, &l.a);
	give_back(&l.a.lane, slot);
}

static void no_slot_left(void **state)
{
	static uint8_t *slots[LANE_SLOTS];
	struct packet p;
	size_t count = 0;

	(void)state;
	while (count < LANE_SLOTS && (slots[count] = lane_slot_take(&l.a.lane)))
		count++;
	assert_int_equal(count, LANE_SLOTS);
	assert_null(lane_slot_take(&l.a.lane));
	lanes_packet(slots[0], 3000, IP_V4, 1, 2, 0);
	p = (struct packet){ .data = slots[0], .len = 3000, .slot = slots[0] };
	lane_from_tun(&l.a.lane, l.now, &p, 1);
	assert_ptr_equal(p.slot, slots[0]);
	assert_int_equal(l.a.lane.drops[DROP_QUEUE_FULL], 1);
	add_plain(1, 2, 3000);		/* in lent memory */
	add_plain(1, 2, 1000);		/* needs none */
	let_wait();
	assert_int_equal(l.a.lane.drops[DROP_QUEUE_FULL], 2);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	/* One is free: the next finds it. */
	give_back(&l.a.lane, slots[1]);
	lane_from_tun(&l.a.lane, l.now, &p, 1);
	assert_ptr_equal(p.slot, slots[1]);
	assert_int_equal(l.a.peer.links->tin.items, 2);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);	/* it is slots[0] that waited */
	give_back(&l.a.lane, slots[1]);
	for (size_t i = 2; i < count; i++)
		give_back(&l.a.lane, slots[i]);
	assert_int_equal(lanes_drops(&l.a), 4);
}

/* What is no packet is told apart before it waits, and keeps nothing. */
static void nonsense_does_not_wait(void **state)
{
	(void)state;
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 30000);
	l.batch.packets[0].vnet.gso_size = 0;
	let_wait();
	assert_int_equal(l.a.lane.drops[DROP_BAD_OUTGOING], 1);
	assert_int_equal(lanes_drops(&l.a), 1);
	assert_int_equal(l.a.lane.slots.used + l.a.lane.small.used, 0);
}

/* Four plain packets whose checksums the kernel left open find the output as it is: all come out, and right. */
static void four_open_checksums(void)
{
	size_t good = 0;

	for (int i = 0; i < 4; i++) {
		stream_add(&l.batch, &flow, 500);
		l.batch.packets[i].vnet.gso_type = VNET_GSO_NONE;
	}
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, 4);
	lanes_release(&l.batch);
	for (bool more = true; more;) {
		lanes_carry(&l, &l.a);
		for (size_t i = 0; i < l.batch.count; i++) {
			struct packet p;

			lanes_udp_part(&l, &l.b, i, 1);
			p = lanes_written(&l.b, 0);
			if (p.data[9] == 6) {
				assert_true(inner_is_valid(p.data, p.len, 6, 20));
				good++;
			}
			lane_out_clear(&l.b.lane);
		}
		lanes_release(&l.batch);
		more = lane_has_out(&l.a.lane);
		lanes_drain(&l, &l.a);
	}
	assert_int_equal(good, 4);
}

/* Each is completed once, also where the packet finds the output all but full first, of runs or of bytes. */
static void checksums_are_completed_once(void **state)
{
	const uint32_t sealed = WG_DATA_HEADER + 544 + AEAD_TAG;	/* a packet of 540 */

	(void)state;
	lane_set_bypass(&l.a.lane, true);
	lane_set_offloads(&l.a.lane, 1, false);
	stream_init(&flow, 4, 6, 1000, 1, 2);
	for (unsigned int full = LANE_RUNS_MAX - 3; full <= LANE_RUNS_MAX; full++) {
		for (unsigned int i = 0; i < full; i++) {
			add_plain(9, 2, 60);
			lane_from_tun(&l.a.lane, l.now, l.batch.packets, 1);
			lanes_release(&l.batch);
		}
		four_open_checksums();
	}
	for (uint32_t left = sealed - 16; left <= sealed + 32; left += 16) {
		while (l.a.lane.out_used < LANE_OUT_BYTES - left) {
			size_t room = LANE_OUT_BYTES - left - l.a.lane.out_used - (WG_DATA_HEADER + AEAD_TAG);

			add_plain(9, 2, room <= 1408 ? (uint32_t)room : 1280);
			lane_from_tun(&l.a.lane, l.now, l.batch.packets, 1);
			lanes_release(&l.batch);
		}
		assert_int_equal(l.a.lane.out_used, LANE_OUT_BYTES - left);
		four_open_checksums();
	}
}

/*
 * Shapers.
 */

static void add_many(size_t count, uint8_t dst, uint32_t len)
{
	while (count-- > 0)
		add_plain(1, dst, len);
}

/* Nothing goes past a shaper, and the lane says when something may. */
static void shaper_of_the_interface(void **state)
{
	struct shaper shaper = { .rate_bps = 0 };
	int64_t start_us = l.now.mono_us, end_us;
	uint64_t bytes = 0;

	(void)state;
	l.a.lane.shaper = &shaper;
	lane_set_bypass(&l.a.lane, true);
	shaper_set_rate(&shaper, 8000000);
	add_many(300, 2, 1000);
	let_wait();
	while (lane_has_out(&l.a.lane)) {
		int64_t wait_us;

		assert_false(lanes_drain(&l, &l.a));
		for (size_t i = 0; i < lanes_message_count(&l.a); i++)
			bytes += lanes_message(&l.a, i).len + LANE_OUTER_HEADERS6;
		lane_out_clear(&l.a.lane);
		wait_us = lane_wait_us(&l.a.lane, l.now);
		if (!lane_has_out(&l.a.lane)) {
			assert_true(wait_us == NEVER_US);
			break;
		}
		/* Not a microsecond earlier. */
		assert_in_range(wait_us, 1, 3 * MS);
		assert_true(lane_due_us(&l.a.lane) == l.now.mono_us + wait_us);
		l.now.mono_us += wait_us - 1;
		assert_false(lanes_drain(&l, &l.a));
		assert_int_equal(lanes_message_count(&l.a), 0);
		assert_int_equal(lane_wait_us(&l.a.lane, l.now), 1);
		l.now.mono_us++;
	}
	end_us = l.now.mono_us;
	assert_int_equal(l.a.lane.tx_packets + l.a.lane.drops[DROP_CODEL], 300);
	/* 1 byte a microsecond, and one burst of credit. */
	assert_true(bytes > 100000);
	assert_in_range(bytes, (uint64_t)(end_us - start_us), (uint64_t)(end_us - start_us) + 3 * 1514);
	/* Off: straight through again. */
	shaper_set_rate(&shaper, 0);
	add_many(1, 2, 1000);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 1);
	lanes_clear(&l, &l.a);
	l.a.lane.shaper = NULL;
}

/* Waiting for the driver is no waiting for a shaper. */
static void no_shaper_no_time(void **state)
{
	struct shaper shaper = { .rate_bps = 0 };

	(void)state;
	l.a.lane.shaper = &shaper;
	assert_true(lane_due_us(&l.a.lane) == NEVER_US);
	add_many(50, 2, 1000);
	let_wait();
	assert_true(lane_has_out(&l.a.lane));
	assert_int_equal(lane_due_us(&l.a.lane), 0);
	assert_true(lane_drain(&l.a.lane, l.now, 1));
	assert_true(lane_wait_us(&l.a.lane, l.now) == NEVER_US);
	assert_int_equal(lane_due_us(&l.a.lane), 0);
	assert_false(lanes_drain(&l, &l.a));
	assert_true(lane_wait_us(&l.a.lane, l.now) == NEVER_US);
	lane_out_clear(&l.a.lane);
	l.a.lane.shaper = NULL;
}

/* At a low rate no flow has the line for longer than about a millisecond, or a packet. */
static void shaper_makes_turns_short(void **state)
{
	struct shaper shaper = { .rate_bps = 0 };
	int64_t start_us = l.now.mono_us;
	bool found = false;

	(void)state;
	l.a.lane.shaper = &shaper;
	shaper_set_rate(&shaper, 20000000);
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 60000);
	stream_add(&l.batch, &flow, 60000);
	add_plain(7, 2, 100);
	let_wait();
	while (!found) {
		lanes_drain(&l, &l.a);
		for (size_t i = 0; i < lanes_message_count(&l.a); i++)
			found |= lanes_message(&l.a, i).len < 300;
		lane_out_clear(&l.a.lane);
		l.now.mono_us += lane_wait_us(&l.a.lane, l.now);
	}
	assert_in_range(l.now.mono_us - start_us, 1, 4 * MS);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);
	l.a.lane.shaper = NULL;
}

/* One peer's shaper holds back that peer; nobody else, and not what keeps the link alive. */
static void shaper_of_a_peer(void **state)
{
	struct lane_peer other;
	int64_t wait_us;

	(void)state;
	lanes_peer(&other, &l.b.here);
	lanes_allow(&l.a, &other, "10.0.0.3");
	assert_true(links_install(&l.a.lane, 1, &other, lanes_keypair(0x10000, 0x7700, true, 99, l.now.mono_us)));
	lane_set_bypass(&l.a.lane, true);
	shaper_set_rate(&l.a.peer.shaper, 1000000);
	add_many(300, 2, 1000);
	let_wait();
	assert_false(lanes_drain(&l, &l.a));
	assert_in_range(lanes_message_count(&l.a), 1, 3);
	assert_true(l.a.peer.links->shaped);
	wait_us = lane_wait_us(&l.a.lane, l.now);
	assert_in_range(wait_us, 5 * MS, 30 * MS);
	lane_out_clear(&l.a.lane);
	/* More than may wait for a session do, and none is lost. */
	add_many(200, 2, 1000);
	let_wait();
	assert_true(l.a.peer.links->tin.items > LANE_HELD_MAX);
	assert_int_equal(lanes_drops(&l.a), 0);
	/* The others go on, straight through. */
	add_many(20, 3, 1000);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 20);
	lanes_clear(&l, &l.a);
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_true(lane_send_control(&l.a.lane, l.a.peer.links, 0, 0, (const uint8_t *)"\1", 1));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 2);
	assert_int_equal(lane_wait_us(&l.a.lane, l.now), wait_us);
	lane_out_clear(&l.a.lane);
	/* It goes on when its time has come. */
	l.now.mono_us += wait_us;
	assert_false(lanes_drain(&l, &l.a));
	assert_in_range(lanes_message_count(&l.a), 1, 3);
	lane_out_clear(&l.a.lane);
	/* With the keys gone it waits for others, as any link; with the peer gone for nothing. */
	links_clear(&l.a.lane, 1, &l.a.peer);
	l.now.mono_us += lane_wait_us(&l.a.lane, l.now);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_true(l.a.peer.links->events & LANE_NEED_SESSION);
	assert_int_equal(l.a.peer.links->tin.items, LANE_HELD_MAX);
	lpm_remove_value(&l.a.allowed, &other);
	links_done(&l.a.lane, 1, &other);
}

/* A super-packet does not go past it in one piece: that would be half a second of the rate. */
static void shaper_of_a_peer_cuts(void **state)
{
	size_t messages = 0;

	(void)state;
	shaper_set_rate(&l.a.peer.shaper, 1000000);
	stream_init(&flow, 4, 6, 1000, 1, 2);
	stream_add(&l.batch, &flow, 60000);
	let_wait();
	for (int i = 0; i < 10; i++) {
		assert_false(lanes_drain(&l, &l.a));
		assert_in_range(lanes_message_count(&l.a), 1, 3);
		messages += lanes_message_count(&l.a);
		lane_out_clear(&l.a.lane);
		assert_in_range(lane_wait_us(&l.a.lane, l.now), 1, 30 * MS);
		l.now.mono_us += lane_wait_us(&l.a.lane, l.now);
	}
	assert_in_range(messages, 10, 20);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);
}

static void shaped_peer_goes(void **state)
{
	(void)state;
	shaper_set_rate(&l.a.peer.shaper, 1000000);
	add_many(50, 2, 1000);
	let_wait();
	assert_false(lanes_drain(&l, &l.a));
	lane_out_clear(&l.a.lane);
	assert_ptr_equal(l.a.lane.shaped, l.a.peer.links);
	links_done(&l.a.lane, 1, &l.a.peer);
	assert_null(l.a.lane.shaped);
	assert_false(lane_has_out(&l.a.lane));
	assert_true(lane_wait_us(&l.a.lane, l.now) == NEVER_US);
	assert_true(lane_due_us(&l.a.lane) == NEVER_US);
	assert_false(lanes_drain(&l, &l.a));
}

/*
 * In.
 */

/* Both know each other as meshds, and have two sub-sessions. */
static void open_subs(void)
{
	assert_true(links_open_subs(&l.a.lane, 1, &l.a.peer, SUBS) && links_open_subs(&l.b.lane, 1, &l.b.peer, SUBS));
	l.a.peer.mesh = l.b.peer.mesh = true;
}

enum { MESSAGE = WG_DATA_HEADER + 112 + AEAD_TAG };

/* A datagram of 'count' messages of 100 bytes on a sub-session, from 'a', into the batch. */
static void add_sealed(unsigned int number, size_t count, uint8_t tos)
{
	struct keypair *k = l.a.peer.session.current;
	struct subsession *s = keypair_sub(k, number);
	uint8_t *gro = malloc(count * MESSAGE), plain[112] = { 0 }, payload[72] = { 0 };
	struct inner say = { .version = 4, .proto = 17, .tos = tos, .ttl = 64, .src = 1, .dst = 2, .sport = 1, .dport = 2 };

	assert_non_null(gro);
	say.sport = (uint16_t)number;
	for (size_t i = 0; i < count; i++) {
		uint8_t *at = gro + i * MESSAGE;

		put_be64(payload, s->counter);
		assert_int_equal(inner_build(plain, &say, payload, sizeof(payload), false), 100);
		wg_data_header_write(at, k->remote_index | number, s->counter);
		aead_seal(s->sealer, s->counter++, at + WG_DATA_HEADER, plain, sizeof(plain));
	}
	lanes_add(&l.batch, gro, count * MESSAGE);
	l.batch.dgrams[l.batch.count - 1].segment = count > 1 ? MESSAGE : 0;
	l.batch.dgrams[l.batch.count - 1].tos = tos;
	l.batch.dgrams[l.batch.count - 1].path.remote = l.a.here;
	free(gro);
}

/* The batch waits at b. */
static void queue_in(void)
{
	lane_queue_udp(&l.b.lane, l.now, l.batch.dgrams, l.batch.count);
	assert_int_equal(lanes_written_count(&l.b), 0);
	lanes_release(&l.batch);
}

/* All that waits at b is opened; how many packets that gives. */
static size_t open_all(void)
{
	size_t packets = 0;

	while (lane_has_in(&l.b.lane)) {
		lane_drain_in(&l.b.lane, l.now, 65536);
		packets += lanes_written_count(&l.b);
		lane_out_clear(&l.b.lane);
	}
	return packets;
}

/* What waits is as if it had come later: the same packets, in the same order, in memory of the lane's till the output is cleared. */
static void waiting_to_be_opened(void **state)
{
	uint64_t next = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		add_sealed(0, (size_t)(1 + i % 30), 0);
		queue_in();
	}
	assert_int_equal(l.b.lane.small.used, 40);
	assert_true(l.b.lane.slots.used > 10);
	assert_true(lane_has_in(&l.b.lane));
	assert_int_equal(l.b.peer.links->rx_bytes, 0);
	for (bool more = true; more;) {
		more = lane_drain_in(&l.b.lane, l.now, 10000);
		for (size_t i = 0; i < lanes_written_count(&l.b); i++)
			assert_int_equal(get_be64(lanes_written(&l.b, i).data + 28), next++);
		assert_in_range(lanes_written_count(&l.b), 1, 10000 / MESSAGE + 30);
		assert_true(l.b.lane.small.used > 0);
		lane_out_clear(&l.b.lane);
	}
	assert_int_equal(next, l.a.peer.session.current->zero.counter);
	assert_int_equal(l.b.lane.small.used + l.b.lane.slots.used, 0);
	assert_int_equal(lanes_drops(&l.b), 0);
}

/* Slots of datagrams are swapped as those of packets are. */
static void slots_of_datagrams(void **state)
{
	uint8_t *slot = lane_slot_take(&l.b.lane);
	struct dgram d;

	(void)state;
	assert_non_null(slot);
	for (size_t count = 1; count <= 50; count += 49) {
		add_sealed(0, count, 0);
		memcpy(slot, l.batch.dgrams[0].data, l.batch.dgrams[0].len);
		d = l.batch.dgrams[0];
		d.data = slot;
		d.slot = slot;
		lanes_release(&l.batch);
		lane_queue_udp(&l.b.lane, l.now, &d, 1);
		assert_true((d.slot == slot) == (count == 1));
		slot = d.slot;
		scribble(slot);
	}
	assert_int_equal(open_all(), 51);
	assert_int_equal(l.b.lane.slots.used, 1);
	give_back(&l.b.lane, slot);
}

/* What is no data of a peer's does not wait: handshakes are kept, the rest is judged at once. */
static void only_data_waits(void **state)
{
	(void)state;
	lanes_add(&l.batch, "junk", 4);
	lanes_add(&l.batch, (uint8_t[WG_INITIATION_LEN]){ WG_INITIATION }, WG_INITIATION_LEN);
	add_sealed(0, 1, 0);
	put_le32(l.batch.dgrams[2].data + 4, 0x990000);
	add_sealed(0, 1, 0);
	put_le32(l.batch.dgrams[3].data + 4, LANES_INDEX_B | 5);
	add_sealed(0, 1, 0);
	lane_queue_udp(&l.b.lane, l.now, l.batch.dgrams, 5);
	assert_int_equal(l.b.lane.drops[DROP_NOT_WIREGUARD], 1);
	assert_int_equal(l.b.lane.drops[DROP_NO_IDENTITY], 1);
	assert_int_equal(l.b.lane.drops[DROP_NO_INDEX], 2);
	assert_int_equal(fq_items(&l.b.lane.queue_in), 1);
	lanes_clear(&l, &l.b);
	assert_int_equal(open_all(), 1);
}

/* A sub-session that is flooded does not delay another one, nor one peer another. */
static void a_flooded_sub_session(void **state)
{
	(void)state;
	open_subs();
	for (unsigned int quiet = 0; quiet <= SUBS; quiet += SUBS) {
		size_t before = l.b.lane.rx_packets;

		for (int i = 0; i < 200; i++) {
			add_sealed(1, 20, 0);
			queue_in();
		}
		add_sealed(quiet, 1, 0);
		queue_in();
		lane_drain_in(&l.b.lane, l.now, 20 * MESSAGE + 1);
		assert_int_equal(l.b.lane.rx_packets - before, 21);
		assert_int_equal(lanes_written(&l.b, 20).data[21], quiet);	/* its port */
		lane_out_clear(&l.b.lane);
		open_all();
	}
}

/* More than there is room for is dropped before it costs anything; it may come again, and others' is not touched. */
static void dropped_before_it_is_opened(void **state)
{
	struct lanes_batch again = { .count = 0 };
	uint64_t dropped;

	(void)state;
	open_subs();
	add_sealed(2, 1, 0);
	queue_in();
	add_sealed(1, 10, 0);
	again = l.batch;
	l.batch.count = 0;
	lanes_add(&l.batch, again.dgrams[0].data, again.dgrams[0].len);
	l.batch.dgrams[0] = (struct dgram){
		.data = l.batch.dgrams[0].data, .len = again.dgrams[0].len, .segment = MESSAGE, .path.remote = l.a.here,
	};
	queue_in();
	for (int i = 0; i < 300; i++) {
		add_sealed(1, 60, 0);
		queue_in();
		assert_true(l.b.lane.queue_in.memory <= LANE_QUEUE_BYTES / 2);
	}
	dropped = l.b.lane.drops[DROP_OVERLOAD];
	assert_in_range(dropped, 10 + 100 * 60, 300 * 60);
	assert_int_equal(l.b.peer.links->rx_bytes, 0);
	assert_int_equal(open_all() + dropped, 1 + 10 + 300 * 60);
	assert_int_equal(l.b.peer.subs[2].heard_us, l.now.mono_us);
	/* The window has not seen the first ones: within it they would still be taken. */
	assert_int_equal(lanes_drops(&l.b), dropped);
	keypair_sub(l.b.peer.session.current, 1)->replay = (struct replay){ .newest = 0 };
	lanes_release(&l.batch);
	l.batch = again;
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 10);
	lanes_clear(&l, &l.b);
}

/* With no memory at all each message is counted. */
static void no_memory_for_datagrams(void **state)
{
	static void *taken[LANE_QUEUE_PACKETS + LANE_QUEUE_DGRAMS + PACKET_BATCH + 1];
	static uint8_t *slots[LANE_SLOTS];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < LANE_SLOTS; i++)
		slots[i] = lane_slot_take(&l.b.lane);
	add_sealed(0, 50, 0);
	queue_in();
	assert_int_equal(l.b.lane.drops[DROP_OVERLOAD], 50);
	while ((taken[count] = pool_take(&l.b.lane.small)))
		count++;
	add_sealed(0, 7, 0);
	add_sealed(0, 1, 0);
	queue_in();
	assert_int_equal(l.b.lane.drops[DROP_OVERLOAD], 58);
	assert_int_equal(lanes_drops(&l.b), 58);
	while (count-- > 0)
		pool_give(&l.b.lane.small, taken[count]);
	for (size_t i = 0; i < LANE_SLOTS; i++)
		give_back(&l.b.lane, slots[i]);
}

/* CoDel drops one message of a datagram; where the outer field is taken in it marks, and the packet has it. */
static void codel_of_what_comes_in(void **state)
{
	(void)state;
	for (int ecn = 0; ecn < 2; ecn++) {
		size_t packets = 0, marked = 0;
		uint64_t dropped = l.b.lane.drops[DROP_OVERLOAD];

		l.b.peer.ecn_in = ecn;
		l.b.lane.marked_in = 0;
		for (int i = 0; i < 40; i++) {
			add_sealed(0, 20, ECN_ECT0);
			queue_in();
		}
		for (int i = 0; i < 40; i++) {
			l.now.mono_us += i < 15 ? 10 * MS : 0;
			lane_drain_in(&l.b.lane, l.now, 1);
			packets += lanes_written_count(&l.b);
			for (size_t k = 0; k < lanes_written_count(&l.b); k++) {
				struct packet p = lanes_written(&l.b, k);

				assert_true(inner_is_valid(p.data, p.len, 17, 20));
				marked += (p.data[1] & 3) == ECN_CE;
			}
			lane_out_clear(&l.b.lane);
		}
		assert_int_equal(packets, 800 - !ecn);
		assert_int_equal(l.b.lane.drops[DROP_OVERLOAD] - dropped, !ecn);
		assert_int_equal(l.b.lane.marked_in, ecn);
		assert_int_equal(marked, ecn ? 20 : 0);
	}
}

/* A peer that goes takes what waits along. */
static void peer_gone_while_its_data_waits(void **state)
{
	(void)state;
	add_sealed(0, 20, 0);
	add_sealed(0, 1, 0);
	queue_in();
	links_done(&l.b.lane, 1, &l.b.peer);
	assert_false(lane_has_in(&l.b.lane));
	assert_int_equal(l.b.lane.drops[DROP_NO_INDEX], 21);
	assert_int_equal(l.b.lane.small.used + l.b.lane.slots.used, 0);
}

/* Keys that are gone when its turn comes: it is nobody's. */
static void keys_gone_while_data_waits(void **state)
{
	(void)state;
	add_sealed(0, 20, 0);
	queue_in();
	links_clear(&l.b.lane, 1, &l.b.peer);
	assert_int_equal(open_all(), 0);
	assert_int_equal(l.b.lane.drops[DROP_NO_INDEX], 20);
}

#define with_session(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(codel_drops_one_segment),
		with_session(codel_marks),
		with_session(step_marks),
		with_session(outer_field_of_a_marked_packet),
		with_session(others_do_not_wait),
		with_session(slots_are_swapped),
		with_session(no_slot_left),
		with_session(nonsense_does_not_wait),
		with_session(checksums_are_completed_once),
		with_session(shaper_of_the_interface),
		with_session(no_shaper_no_time),
		with_session(shaper_makes_turns_short),
		with_session(shaper_of_a_peer),
		with_session(shaper_of_a_peer_cuts),
		with_session(shaped_peer_goes),
		with_session(waiting_to_be_opened),
		with_session(slots_of_datagrams),
		with_session(only_data_waits),
		with_session(a_flooded_sub_session),
		with_session(dropped_before_it_is_opened),
		with_session(no_memory_for_datagrams),
		with_session(codel_of_what_comes_in),
		with_session(peer_gone_while_its_data_waits),
		with_session(keys_gone_while_data_waits),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
