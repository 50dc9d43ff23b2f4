/* SPDX-License-Identifier: MIT */
/* What waits in a lane, and what bounds it: held packets, keepalives, ICMP errors, handshake messages, full outputs. */
#include "lanes.h"

#include "transport/cookie.h"
#include "wire/ip.h"

static struct lanes l;

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_done(&l);
	return 0;
}

enum { TAG = 28 };	/* behind the ports: all are of one flow */

/* 'count' packets from a's TUN to b, tagged from 'first' on, in batches. */
static void send_tagged(uint32_t first, uint32_t count)
{
	uint8_t p[60];

	while (count) {
		for (size_t i = 0; i < PACKET_BATCH && count; i++, count--) {
			lanes_packet(p, sizeof(p), IP_V4, 1, 2, 0);
			put_be32(p + TAG, first++);
			lanes_add(&l.batch, p, sizeof(p));
		}
		lanes_tun(&l, &l.a);
		lanes_clear(&l, &l.a);
	}
}

/* All of a's output to b; the packets must be those tagged from '*next' on, in order. Returns how many. */
static size_t deliver(uint32_t *next)
{
	size_t count = 0;

	lanes_carry(&l, &l.a);
	for (size_t first = 0; first < l.batch.count; first += PACKET_BATCH) {
		size_t part = l.batch.count - first < PACKET_BATCH ? l.batch.count - first : PACKET_BATCH;

		lanes_udp_part(&l, &l.b, first, part);
		for (size_t i = 0; i < lanes_written_count(&l.b); i++, count++)
			assert_int_equal(get_be32(lanes_written(&l.b, i).data + TAG), (*next)++);
		lane_out_clear(&l.b.lane);
	}
	lanes_release(&l.batch);
	return count;
}

/* Drain a's lane to b until it says there is no more. */
static size_t drain_all(uint32_t *next)
{
	size_t count = 0;
	bool more;

	do {
		more = lanes_drain(&l, &l.a);
		assert_true(lanes_message_count(&l.a) <= LANE_RUNS_MAX);
		assert_true(!more || lanes_message_count(&l.a) == LANE_RUNS_MAX);
		count += deliver(next);
	} while (more);
	return count;
}

/* Take so many runs of a's output, in whole batches, for packets to another peer at 10.0.0.9. */
static void fill_runs(size_t count)
{
	struct lanes_batch b = { .count = 0 };

	for (uint8_t i = 0; i < PACKET_BATCH; i++)
		lanes_add_packet(&b, 1, 9, i);
	for (; count; count -= PACKET_BATCH)
		lane_from_tun(&l.a.lane, l.now, b.packets, PACKET_BATCH);
	assert_int_equal(l.a.lane.run_count, LANE_RUNS_MAX - 64);
	lanes_release(&b);
}

/*
 * Packets that wait.
 */

static void held_until_the_session_comes(void **state)
{
	uint32_t next = 0;

	(void)state;
	send_tagged(0, 3);
	assert_int_equal(l.a.peer.links->tin.items, 3);
	assert_int_equal(l.a.lane.small.used, 3);
	assert_int_equal(l.a.lane.tx_packets, 0);
	assert_int_equal(l.a.peer.links->tx_bytes, 0);
	assert_int_equal(lanes_events(&l.a), LANE_NEED_SESSION);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	lanes_session(&l, 0);
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_int_equal(drain_all(&next), 3);
	assert_int_equal(next, 3);
	assert_int_equal(l.a.lane.tx_packets, 3);
	/* The data was the sign of life; no keepalive behind it. */
	assert_int_equal(l.a.peer.session.current->zero.counter, 3);
	assert_int_equal(l.a.peer.links->tin.items, 0);
	assert_int_equal(l.a.lane.small.used, 0);
}

static void oldest_dropped_beyond_the_bound(void **state)
{
	uint32_t next = 300 - LANE_HELD_MAX;

	(void)state;
	send_tagged(0, 300);
	assert_int_equal(LANE_HELD_MAX, 128);
	assert_int_equal(l.a.peer.links->tin.items, 128);
	assert_int_equal(l.a.lane.small.used, 128);
	assert_int_equal(l.a.lane.drops[DROP_QUEUE_FULL], 300 - 128);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_int_equal(drain_all(&next), 128);
	assert_int_equal(next, 300);
	/* A nonce is taken when a packet leaves: what was dropped left no hole. */
	assert_int_equal(l.a.peer.session.current->zero.counter, 128);
	assert_int_equal(l.b.peer.session.current->zero.replay.newest, 127);
}

/* While some still wait, newer packets go behind them, in both ways a session can arrive. */
static void order_is_kept_across_the_session(void **state)
{
	struct lane_peer other;
	uint32_t next = 0;

	(void)state;
	lanes_peer(&other, &l.b.here);
	lanes_allow(&l.a, &other, "10.0.0.9");
	assert_true(links_install(&l.a.lane, 1, &other, lanes_keypair(0x10000, 77, true, 99, l.now.mono_us)));
	send_tagged(0, 100);
	lanes_session(&l, 0);
	send_tagged(100, 10);			/* nothing told the lane to drain: still they must not overtake */
	assert_int_equal(l.a.peer.links->tin.items, 110);
	/* The output has room for some of them only. */
	fill_runs(LANE_RUNS_MAX - 64);
	assert_true(lanes_drain(&l, &l.a));
	assert_int_equal(l.a.peer.links->tin.items, 110 - 64);
	assert_int_equal(deliver(&next), 64);
	send_tagged(110, 10);
	assert_int_equal(drain_all(&next), 120 - 64);
	assert_int_equal(next, 120);
	links_done(&l.a.lane, 1, &other);
	/* Nothing waits any more: straight through. */
	lanes_add_packet(&l.batch, 1, 2, 0);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 1);
	lanes_clear(&l, &l.a);
	assert_int_equal(l.a.peer.links->tin.items, 0);
}

/* Sizes on both sides of what fits a small slot, to the largest there is. */
static void large_packets_wait_too(void **state)
{
	static const uint32_t lens[] = { 60, 1420, 1500, 1600, 1640, 1650, 1660, 1670, 1680, 1700, 1916, 2000, 9000, 65535 };
	uint8_t *packet = malloc(65535);
	size_t i = 0;

	(void)state;
	assert_non_null(packet);
	l.a.lane.mtu = 65535;
	for (; i < sizeof(lens) / sizeof(lens[0]); i++) {
		lanes_packet(packet, lens[i], IP_V6, 1, 2, (uint8_t)i);
		memset(packet + 40, 0, 4);	/* one flow */
		lanes_add(&l.batch, packet, lens[i]);
	}
	lanes_tun(&l, &l.a);
	lanes_clear(&l, &l.a);
	assert_int_equal(l.a.lane.small.used, i);
	assert_true(l.a.lane.slots.used >= 4 && l.a.lane.slots.used <= i - 4);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), i);
	while (i-- > 0) {
		lanes_packet(packet, lens[i], IP_V6, 1, 2, (uint8_t)i);
		memset(packet + 40, 0, 4);
		assert_int_equal(lanes_written(&l.b, i).len, lens[i]);
		assert_memory_equal(lanes_written(&l.b, i).data, packet, lens[i]);
	}
	lanes_clear(&l, &l.b);
	assert_int_equal(l.a.lane.small.used + l.a.lane.slots.used, 0);
	free(packet);
}

/* Large packets wait up to a bound of memory: who has most of it loses, and there is room for what is small. */
static void memory_is_bounded(void **state)
{
	enum { PEERS = 4, EACH = 100 };
	struct lane_peer peers[PEERS];
	uint8_t packet[3000];
	size_t items;

	(void)state;
	for (uint8_t i = 0; i < PEERS; i++) {
		struct ip_prefix p = { .addr = { IP_V4, { 10, 0, 0, (uint8_t)(30 + i) } }, .len = 32 };

		lanes_peer(&peers[i], &l.b.here);
		assert_true(lpm_insert(&l.a.allowed, &p, &peers[i]));
	}
	for (int i = 0; i < PEERS * EACH; i++) {
		lanes_packet(packet, sizeof(packet), IP_V4, 1, (uint8_t)(30 + i % PEERS), 0);
		lanes_add(&l.batch, packet, sizeof(packet));
		lanes_tun(&l, &l.a);
		lanes_clear(&l, &l.a);
		assert_true(l.a.lane.queue.memory <= LANE_QUEUE_BYTES);
	}
	items = fq_items(&l.a.lane.queue);
	assert_true(items > LANE_QUEUE_BYTES / LANE_SLOT_LEN / 2);
	assert_int_equal(l.a.lane.slots.used, items);
	assert_int_equal(l.a.lane.drops[DROP_QUEUE_FULL], PEERS * EACH - items);
	for (int i = 0; i < PEERS; i++)
		assert_true(peers[i].links->tin.items > EACH / 4);
	send_tagged(0, 1);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	for (int i = 0; i < PEERS; i++) {
		lpm_remove_value(&l.a.allowed, &peers[i]);
		links_done(&l.a.lane, 1, &peers[i]);
	}
	assert_int_equal(l.a.lane.slots.used, 0);
	assert_int_equal(l.a.lane.drops[DROP_NO_PEER], items);
}

/* Small packets of many peers without sessions, up to a bound of their number. */
static void many_peers_wait(void **state)
{
	enum { PEERS = 70 };
	static struct lane_peer peers[PEERS];
	uint8_t packet[60];
	size_t items;

	(void)state;
	for (size_t i = 0; i < PEERS; i++) {
		struct ip_prefix p = { .addr = { IP_V4, { 10, 1, 0, (uint8_t)i } }, .len = 32 };

		lanes_peer(&peers[i], &l.b.here);
		assert_true(lpm_insert(&l.a.allowed, &p, &peers[i]));
	}
	for (size_t n = 0; n < 128; n++)
		for (size_t i = 0; i < PEERS; i++) {
			lanes_packet(packet, sizeof(packet), IP_V4, 1, (uint8_t)i, 0);
			packet[17] = 1;
			lanes_add(&l.batch, packet, sizeof(packet));
			lanes_tun(&l, &l.a);
			lanes_clear(&l, &l.a);
		}
	items = fq_items(&l.a.lane.queue);
	assert_in_range(items, LANE_QUEUE_PACKETS - 128, LANE_QUEUE_PACKETS);
	assert_int_equal(l.a.lane.small.used, items);
	assert_int_equal(l.a.lane.drops[DROP_QUEUE_FULL], 128 * PEERS - items);
	for (size_t i = 0; i < PEERS; i++) {
		assert_true(peers[i].links->tin.items >= 32);
		lpm_remove_value(&l.a.allowed, &peers[i]);
		lane_drop_held(&l.a.lane, peers[i].links, DROP_NO_SESSION, false);
		links_done(&l.a.lane, 1, &peers[i]);
	}
	assert_int_equal(l.a.lane.drops[DROP_NO_SESSION], items);
	assert_int_equal(l.a.lane.small.used, 0);
}

static void dropping_what_waits(void **state)
{
	(void)state;
	send_tagged(0, 20);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);
	assert_int_equal(l.a.lane.drops[DROP_NO_SESSION], 20);
	assert_int_equal(l.a.peer.links->tin.items, 0);
	assert_int_equal(l.a.lane.small.used, 0);
	lane_drop_held(&l.a.lane, l.a.peer.links, DROP_NO_SESSION, false);
	assert_int_equal(l.a.lane.drops[DROP_NO_SESSION], 20);
	/* The queue works as before. */
	send_tagged(0, 2);
	assert_int_equal(l.a.peer.links->tin.items, 2);
}

/* The key runs out in the middle of what waits: the rest waits on, for another. */
static void key_ends_while_draining(void **state)
{
	uint32_t next = 0;

	(void)state;
	send_tagged(0, 10);
	lanes_session(&l, 0);
	l.a.peer.session.current->zero.counter = UINT64_C(0xffffffffffffdfff) - 4;
	lanes_events(&l.a);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_int_equal(drain_all(&next), 4);
	assert_int_equal(l.a.peer.links->tin.items, 6);
	assert_int_equal(lanes_events(&l.a) & LANE_NEED_SESSION, LANE_NEED_SESSION);
	lanes_session(&l, 1);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_int_equal(drain_all(&next), 6);
	assert_int_equal(next, 10);
}

/* A peer that goes while its packets are in the output: they are sent all the same. */
static void peer_removed_with_output_pending(void **state)
{
	(void)state;
	send_tagged(0, 5);
	lanes_session(&l, 0);
	lane_kick(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 5);
	assert_int_equal(l.a.lane.small.used, 0);	/* the output has bytes of its own */
	links_done(&l.a.lane, 1, &l.a.peer);
	memset(&l.a.peer, 0, sizeof(l.a.peer));
	assert_int_equal(l.a.lane.small.used, 0);
	lanes_carry(&l, &l.a);
	assert_int_equal(l.a.lane.small.used, 0);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 5);
	lanes_clear(&l, &l.b);
}

/*
 * Keepalives.
 */

static void keepalive(void **state)
{
	(void)state;
	lanes_session(&l, 0);
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 1);
	assert_int_equal(lanes_message(&l.a, 0).len, WG_DATA_MIN);
	assert_int_equal(l.a.peer.links->tx_bytes, WG_DATA_MIN);
	assert_int_equal(l.a.lane.tx_packets, 0);
	assert_int_equal(lanes_events(&l.a), LANE_ANY_SENT);
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 0);
	assert_int_equal(lanes_events(&l.b), LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);
	lanes_clear(&l, &l.b);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
}

static void keepalive_where_none_can_go(void **state)
{
	struct endpoint nowhere = { .port = 0 };

	(void)state;
	/* Without a session it asks for one... */
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(lanes_events(&l.a), LANE_NEED_SESSION);
	/* ...an endpoint in our own TUN, or none, gets nothing. */
	lanes_session(&l, 0);
	l.a.peer.endpoint_loops = true;
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	l.a.peer.endpoint_loops = false;
	l.a.peer.links->path.remote = nowhere;
	lane_want_keepalive(&l.a.lane, l.a.peer.links);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(lanes_events(&l.a), 0);
	l.a.peer.links->path.remote = l.b.here;
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
}

/* More peers want one than fit the output. */
static void many_keepalives(void **state)
{
	enum { PEERS = 2 * LANE_RUNS_MAX + 100 };
	static struct lane_peer peers[PEERS];
	size_t count = 0;
	bool more;

	(void)state;
	for (uint32_t i = 0; i < PEERS; i++) {
		lanes_peer(&peers[i], &l.b.here);
		assert_true(links_install(&l.a.lane, 1, &peers[i],
					 lanes_keypair(0x10000 + 0x800 * i, i, true, (uint8_t)i, l.now.mono_us)));
		lane_want_keepalive(&l.a.lane, peers[i].links);
	}
	do {
		more = lanes_drain(&l, &l.a);
		assert_true(lanes_message_count(&l.a) <= LANE_RUNS_MAX);
		assert_true(!more || lanes_message_count(&l.a) == LANE_RUNS_MAX);
		count += lanes_message_count(&l.a);
		lane_out_clear(&l.a.lane);
	} while (more);
	assert_int_equal(count, PEERS);
	for (size_t i = 0; i < PEERS; i++) {
		assert_int_equal(peers[i].session.current->zero.counter, 1);
		links_done(&l.a.lane, 1, &peers[i]);
	}
}

/*
 * Lists.
 */

static void removing_peers_from_the_lists(void **state)
{
	(void)state;
	for (size_t gone = 0; gone < 4; gone++) {
		struct lane_peer peers[4];
		unsigned int events, seen = 0;
		struct lane_link *k;

		for (size_t i = 0; i < 4; i++) {
			lanes_peer(&peers[i], &l.b.here);
			lane_want_keepalive(&l.a.lane, peers[i].links);
		}
		lanes_drain(&l, &l.a);		/* notes that each needs a session */
		for (size_t i = 0; i < 4; i++)
			lane_kick(&l.a.lane, peers[i].links);
		links_done(&l.a.lane, 1, &peers[gone]);
		memset(&peers[gone], 0xee, sizeof(peers[gone]));
		while ((k = lane_next_noted(&l.a.lane, &events))) {
			assert_int_equal(events, LANE_NEED_SESSION);
			seen |= 1U << (k->peer - peers);
		}
		assert_int_equal(seen, 0xfU & ~(1U << gone));
		assert_false(lanes_drain(&l, &l.a));
		assert_null(l.a.lane.pending);
		for (size_t i = 0; i < 4; i++)
			if (i != gone)
				links_done(&l.a.lane, 1, &peers[i]);
	}
}

/*
 * ICMP errors.
 */

/* 'count' packets nobody is there for; returns how many errors came out. */
static size_t errors_for(uint8_t family, size_t count)
{
	uint8_t packet[60];
	size_t errors;

	for (size_t i = 0; i < count; i++) {
		lanes_packet(packet, sizeof(packet), family, 1, 99, 0);
		lanes_add(&l.batch, packet, sizeof(packet));
	}
	lanes_tun(&l, &l.a);
	errors = lanes_written_count(&l.a);
	assert_int_equal(lanes_message_count(&l.a), 0);
	lanes_clear(&l, &l.a);
	return errors;
}

static void assert_error(uint8_t dst, enum drop_reason reason, uint8_t family, uint8_t type, uint8_t code)
{
	uint64_t before = l.a.lane.drops[reason];
	uint8_t packet[60];
	struct packet error;
	struct ip_view v;

	lanes_packet(packet, sizeof(packet), family, 1, dst, 0);
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_tun(&l, &l.a);
	assert_int_equal(l.a.lane.drops[reason], before + 1);
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(lanes_written_count(&l.a), 1);
	error = lanes_written(&l.a, 0);
	assert_true(ip_view(&v, error.data, error.len));
	assert_int_equal(v.proto, family == IP_V4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6);
	assert_int_equal(error.data[v.header_len], type);
	assert_int_equal(error.data[v.header_len + 1], code);
	assert_memory_equal(error.data + v.header_len + 8, packet, sizeof(packet));
	lanes_clear(&l, &l.a);
}

static void errors_say_why(void **state)
{
	struct endpoint nowhere = { .port = 0 };

	(void)state;
	lanes_session(&l, 0);
	assert_error(99, DROP_NO_PEER, IP_V4, 3, 1);
	assert_error(99, DROP_NO_PEER, IP_V6, 1, 0);
	l.a.peer.endpoint_loops = true;
	assert_error(2, DROP_ENDPOINT_LOOP, IP_V4, 3, 1);
	assert_error(2, DROP_ENDPOINT_LOOP, IP_V6, 1, 3);
	l.a.peer.endpoint_loops = false;
	l.a.peer.links->path.remote = nowhere;
	assert_error(2, DROP_NO_ENDPOINT, IP_V4, 3, 1);
	assert_error(2, DROP_NO_ENDPOINT, IP_V6, 1, 3);
	assert_int_equal(l.a.peer.links->tin.items, 0);
	assert_int_equal(l.a.lane.tx_packets, 0);	/* none went on */
}

static void errors_are_rationed(void **state)
{
	(void)state;
	/* 16 a batch, 50 in a burst... */
	assert_int_equal(errors_for(IP_V4, PACKET_BATCH), 16);
	assert_int_equal(errors_for(IP_V6, PACKET_BATCH), 16);
	assert_int_equal(errors_for(IP_V4, PACKET_BATCH), 16);
	assert_int_equal(errors_for(IP_V4, PACKET_BATCH), 2);
	assert_int_equal(errors_for(IP_V4, PACKET_BATCH), 0);
	assert_int_equal(l.a.lane.drops[DROP_NO_PEER], 5 * PACKET_BATCH);
	/* ...then 100 a second. */
	l.now.mono_us += 9999;
	assert_int_equal(errors_for(IP_V4, 1), 0);
	l.now.mono_us += 1;
	assert_int_equal(errors_for(IP_V4, 5), 1);
	l.now.mono_us += 100000;
	assert_int_equal(errors_for(IP_V4, PACKET_BATCH), 10);
	l.now.mono_us += 3600 * US_PER_S;
	assert_int_equal(errors_for(IP_V4, 10) + errors_for(IP_V4, 16) + errors_for(IP_V4, 16) + errors_for(IP_V4, 16), 50);
}

/* Errors and sealed packets in one batch, each in its own output. */
static void errors_beside_data(void **state)
{
	(void)state;
	lanes_session(&l, 0);
	for (uint8_t i = 0; i < PACKET_BATCH; i++)
		lanes_add_packet(&l.batch, 1, i % 2 ? 2 : 99, i);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), PACKET_BATCH / 2);
	assert_int_equal(lanes_written_count(&l.a), LANE_ERRORS_BATCH);
	lanes_clear(&l, &l.a);
}

/*
 * Handshake messages.
 */

static struct cookie_checker checker;
static struct cookie_maker maker;

static void with_identity(void)
{
	uint8_t key[KEY_LEN] = { 9 };

	memset(&checker, 0, sizeof(checker));
	cookie_checker_set_key(&checker, key);
	cookie_maker_init(&maker, key);
	l.b.lane.checker = &checker;
}

/* A message of the given type whose sender's index is 'number', mac1 in place, into b's UDP batch. */
static void add_handshake(uint8_t type, uint32_t number)
{
	uint8_t msg[WG_HANDSHAKE_MAX] = { type };
	size_t len = type == WG_INITIATION ? WG_INITIATION_LEN :
		     type == WG_RESPONSE ? WG_RESPONSE_LEN : WG_COOKIE_REPLY_LEN;

	put_le32(msg + 4, number);
	if (type != WG_COOKIE_REPLY)
		cookie_maker_sign(&maker, msg, len, 1);
	lanes_add(&l.batch, msg, len);
}

static void handshakes_wait_in_order(void **state)
{
	static const uint8_t types[] = { WG_INITIATION, WG_RESPONSE, WG_COOKIE_REPLY };
	uint32_t put = 0, got = 0;
	struct lane_handshake h;
	size_t waiting;

	(void)state;
	with_identity();
	/* Round and round the ring, in batches that do not divide it. */
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 37; i++, put++)
			add_handshake(types[put % 3], put);
		lanes_udp(&l, &l.b);
		lanes_clear(&l, &l.b);
		for (int i = 0; i < 37; i++, got++) {
			assert_true(lane_take_handshake(&l.b.lane, &h, &waiting));
			assert_int_equal(waiting, 37 - i);
			assert_int_equal(h.msg[0], types[got % 3]);
			assert_int_equal(get_le32(h.msg + 4), got);
			assert_int_equal(wg_classify(h.msg, h.len), types[got % 3]);
			assert_true(endpoint_equal(&h.from.remote, &l.a.here));
		}
		assert_false(lane_take_handshake(&l.b.lane, &h, &waiting));
		assert_int_equal(waiting, 0);
	}
	assert_int_equal(lanes_events(&l.b), 0);
}

static void full_ring_refuses_the_new(void **state)
{
	struct lane_handshake h;
	size_t waiting;

	(void)state;
	with_identity();
	for (uint32_t i = 0; i < LANE_HANDSHAKES_MAX + 100; i++) {
		add_handshake(WG_INITIATION, i);
		lanes_udp(&l, &l.b);
		lanes_clear(&l, &l.b);
	}
	assert_int_equal(l.b.lane.handshake_count, LANE_HANDSHAKES_MAX);
	assert_int_equal(l.b.lane.drops[DROP_HANDSHAKE_QUEUE], 100);
	for (uint32_t i = 0; i < LANE_HANDSHAKES_MAX; i++) {
		assert_true(lane_take_handshake(&l.b.lane, &h, &waiting));
		assert_int_equal(get_le32(h.msg + 4), i);
		assert_int_equal(waiting, LANE_HANDSHAKES_MAX - i);
	}
	assert_false(lane_take_handshake(&l.b.lane, &h, &waiting));
}

static void handshakes_not_for_us(void **state)
{
	struct lane_handshake h;
	size_t waiting;

	(void)state;
	with_identity();
	add_handshake(WG_INITIATION, 1);
	l.batch.dgrams[0].data[50] ^= 1;
	add_handshake(WG_RESPONSE, 1);
	l.batch.dgrams[1].data[WG_RESPONSE_LEN - 32] ^= 1;
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	assert_int_equal(l.b.lane.drops[DROP_BAD_MAC1], 2);
	/* mac2 is not this place's business. */
	add_handshake(WG_RESPONSE, 1);
	l.batch.dgrams[0].data[WG_RESPONSE_LEN - 1] ^= 1;
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	assert_int_equal(l.b.lane.handshake_count, 1);
	assert_true(lane_take_handshake(&l.b.lane, &h, &waiting));
	/* Without a key of our own none can be for us. */
	l.b.lane.checker = NULL;
	add_handshake(WG_INITIATION, 1);
	add_handshake(WG_RESPONSE, 1);
	add_handshake(WG_COOKIE_REPLY, 1);
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	assert_int_equal(l.b.lane.drops[DROP_NO_IDENTITY], 3);
	assert_int_equal(l.b.lane.handshake_count, 0);
	/* A wrong length is no message at all. */
	lanes_add(&l.batch, (uint8_t[147]){ WG_INITIATION }, 147);
	lanes_add(&l.batch, (uint8_t[149]){ WG_INITIATION }, 149);
	lanes_add(&l.batch, (uint8_t[148]){ WG_INITIATION, 1 }, 148);
	lanes_add(&l.batch, (uint8_t[148]){ 5 }, 148);
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	assert_int_equal(l.b.lane.drops[DROP_NOT_WIREGUARD], 4);
}

/*
 * Full batches.
 */

/* What is in b's writes, from the beginning of a round: each tag of a batch so often. */
static void count_tags(size_t counts[PACKET_BATCH])
{
	for (size_t i = 0; i < lanes_written_count(&l.b); i++)
		counts[lanes_written(&l.b, i).data[20] - 20]++;
}

static void full_batches_both_ways(void **state)
{
	(void)state;
	lanes_session(&l, 0);
	for (int round = 0; round < 20; round++) {
		size_t counts[PACKET_BATCH] = { 0 };

		for (uint8_t i = 0; i < PACKET_BATCH; i++)
			lanes_add_packet(&l.batch, 1, 2, i);
		/* Each run has one message: so many batches, and the output is full. */
		for (int i = 0; i < LANE_RUNS_MAX / PACKET_BATCH; i++)
			lane_from_tun(&l.a.lane, l.now, l.batch.packets, PACKET_BATCH);
		assert_int_equal(lane_out(&l.a.lane)->dgram_count, LANE_RUNS_MAX);
		assert_int_equal(fq_items(&l.a.lane.queue), 0);
		/* What else there is must wait. */
		lane_from_tun(&l.a.lane, l.now, l.batch.packets, PACKET_BATCH);
		assert_int_equal(fq_items(&l.a.lane.queue), PACKET_BATCH);
		lane_want_keepalive(&l.a.lane, l.a.peer.links);
		assert_true(lanes_drain(&l, &l.a));
		assert_int_equal(lane_out(&l.a.lane)->dgram_count, LANE_RUNS_MAX);
		lanes_carry(&l, &l.a);
		for (size_t first = 0; first < LANE_RUNS_MAX; first += PACKET_BATCH) {
			lanes_udp_part(&l, &l.b, first, PACKET_BATCH);
			assert_int_equal(lanes_written_count(&l.b), PACKET_BATCH);
			for (uint8_t i = 0; i < PACKET_BATCH; i++)
				assert_int_equal(lanes_written(&l.b, i).data[20], (uint8_t)(i + 20));
			lane_out_clear(&l.b.lane);
		}
		lanes_release(&l.batch);
		/* The packets that did not fit, and one behind them; they are the sign of life that was wanted. */
		lanes_add_packet(&l.batch, 1, 2, 0);
		lane_from_tun(&l.a.lane, l.now, l.batch.packets, 1);
		assert_false(lanes_drain(&l, &l.a));
		lanes_carry(&l, &l.a);
		assert_int_equal(l.batch.count, PACKET_BATCH + 1);
		for (size_t i = 0; i < l.batch.count; i++) {
			assert_true(l.batch.dgrams[i].len > WG_DATA_MIN);
			lanes_udp_part(&l, &l.b, i, 1);
			count_tags(counts);
			lane_out_clear(&l.b.lane);
		}
		for (uint8_t i = 0; i < PACKET_BATCH; i++)
			assert_int_equal(counts[i], i ? 1 : 2);
		lanes_release(&l.batch);
	}
	assert_int_equal(l.a.peer.session.current->zero.counter, 20 * (LANE_RUNS_MAX + PACKET_BATCH + 1));
	assert_int_equal(l.b.lane.rx_packets, 20 * (LANE_RUNS_MAX + PACKET_BATCH + 1));
}

static void refused_by_the_driver(void **state)
{
	(void)state;
	lane_count_udp_refused(&l.a.lane, 3);
	lane_count_udp_refused(&l.a.lane, 4);
	lane_count_tun_refused(&l.a.lane, 5);
	assert_int_equal(l.a.lane.drops[DROP_UDP_SEND], 7);
	assert_int_equal(l.a.lane.drops[DROP_TUN_WRITE], 5);
}

static void every_reason_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < DROP_REASONS; i++) {
		const char *name = drop_name((enum drop_reason)i);

		assert_string_not_equal(name, "unknown");
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(name, drop_name((enum drop_reason)k));
	}
	assert_string_equal(drop_name(DROP_REASONS), "unknown");
}

#define with_lanes(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_lanes(held_until_the_session_comes),
		with_lanes(oldest_dropped_beyond_the_bound),
		with_lanes(order_is_kept_across_the_session),
		with_lanes(large_packets_wait_too),
		with_lanes(memory_is_bounded),
		with_lanes(many_peers_wait),
		with_lanes(dropping_what_waits),
		with_lanes(key_ends_while_draining),
		with_lanes(peer_removed_with_output_pending),
		with_lanes(keepalive),
		with_lanes(keepalive_where_none_can_go),
		with_lanes(many_keepalives),
		with_lanes(removing_peers_from_the_lists),
		with_lanes(errors_say_why),
		with_lanes(errors_are_rationed),
		with_lanes(errors_beside_data),
		with_lanes(handshakes_wait_in_order),
		with_lanes(full_ring_refuses_the_new),
		with_lanes(handshakes_not_for_us),
		with_lanes(full_batches_both_ways),
		with_lanes(refused_by_the_driver),
		with_lanes(every_reason_has_a_name),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
