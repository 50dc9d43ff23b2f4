/* SPDX-License-Identifier: MIT */
/* The data plane, packet by packet: sealing, opening, and each reason for which a packet is not delivered. */
#include "lanes.h"

#include "crypto/aead.h"
#include "transport/rekey.h"

enum { LEN_MAX = 1500 };

static struct lanes l;

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_done(&l);
	return 0;
}

/* Sum over all reasons, and one of them. */
static uint64_t drops(const struct lanes_side *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < DROP_REASONS; i++)
		sum += s->lane.drops[i];
	return sum;
}

/* The batch was refused whole, for one reason, and left no other trace. */
static void assert_refused(struct lanes_side *s, enum drop_reason reason, size_t count)
{
	uint64_t before = s->lane.drops[reason], all = drops(s), rx = s->peer.links->rx_bytes;
	struct path_addr path = s->peer.links->path;

	lanes_udp(&l, s);
	assert_int_equal(lanes_written_count(s), 0);
	assert_int_equal(lanes_message_count(s), 0);
	assert_int_equal(s->lane.drops[reason] - before, count);
	assert_int_equal(drops(s) - all, count);
	assert_int_equal(s->peer.links->rx_bytes, rx);
	assert_true(path_addr_equal(&s->peer.links->path, &path));
	assert_int_equal(lanes_events(s), 0);
}

/* What the whitepaper and the kernel make of a length: a multiple of 16, but no more than the MTU. */
static uint32_t padded(uint32_t len, uint32_t mtu)
{
	uint32_t up = (len + 15) / 16 * 16;

	if (len > mtu)
		return up;
	return up < mtu ? up : mtu;
}

/*
 * There and back.
 */

static void check_sealed(const uint8_t *packet, uint32_t len, uint64_t counter)
{
	const struct lane_out *out = lane_out(&l.a.lane);
	struct aead *key = aead_new((const uint8_t[32]){ [0 ... 31] = 1 });	/* lanes_handshake()'s */
	struct dgram d = lanes_message(&l.a, 0);
	const uint8_t *room = l.batch.rooms[0];
	uint32_t total = padded(len, l.a.lane.mtu);
	uint8_t plain[LEN_MAX + 16];

	assert_int_equal(out->dgram_count, 1);
	assert_int_equal(out->write_count, 0);
	assert_true(d.data >= l.a.lane.out_bytes && d.data + d.len <= l.a.lane.out_bytes + LANE_OUT_BYTES);
	assert_int_equal(d.len, WG_DATA_HEADER + total + AEAD_TAG);
	assert_int_equal(d.tos, 0);
	assert_true(endpoint_equal(&d.path.remote, &l.b.here));
	assert_int_equal(get_le32(d.data), WG_DATA);
	assert_int_equal(wg_data_receiver(d.data), LANES_INDEX_B);
	assert_int_equal(wg_data_counter(d.data), counter);
	assert_true(aead_open(key, counter, plain, d.data + WG_DATA_HEADER, total + AEAD_TAG));
	assert_memory_equal(plain, packet, len);
	for (uint32_t i = len; i < total; i++)
		assert_int_equal(plain[i], 0);
	aead_free(key);
	/* What came from the TUN is as it was, with all around it. */
	assert_memory_equal(l.batch.packets[0].data, packet, len);
	for (size_t i = 0; i < l.batch.sizes[0]; i++)
		if (room + i < l.batch.packets[0].data || room + i >= l.batch.packets[0].data + len)
			assert_int_equal(room[i], LANES_GUARD_BYTE);
}

static void there(const uint8_t *packet, uint32_t len, uint64_t counter)
{
	struct packet p;

	lanes_add(&l.batch, packet, len);
	lanes_tun(&l, &l.a);
	check_sealed(packet, len, counter);
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_int_equal(lanes_message_count(&l.b), 0);
	p = lanes_written(&l.b, 0);
	assert_ptr_equal(p.data, l.batch.dgrams[0].data + WG_DATA_HEADER);	/* in place */
	assert_int_equal(p.len, len);
	assert_memory_equal(p.data, packet, len);
	lanes_clear(&l, &l.b);
}

static void every_length(void **state)
{
	static const uint32_t mtus[] = { 1420, 1280, 1419, 1500, 100 };
	uint64_t counter = 0, tx_bytes = 0;
	uint8_t packet[LEN_MAX];

	(void)state;
	for (size_t m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++) {
		l.a.lane.mtu = mtus[m];
		for (uint32_t len = 20; len <= LEN_MAX; len++) {
			uint8_t family = len < 40 || len % 2 ? IP_V4 : IP_V6;

			lanes_packet(packet, len, family, 1, 2, (uint8_t)m);
			there(packet, len, counter++);
			tx_bytes += WG_DATA_HEADER + padded(len, mtus[m]) + AEAD_TAG;
		}
	}
	assert_int_equal(l.a.peer.links->tx_bytes, tx_bytes);
	assert_int_equal(l.b.peer.links->rx_bytes, tx_bytes);
	assert_int_equal(l.a.lane.tx_packets, counter);
	assert_int_equal(l.b.lane.rx_packets, counter);
	assert_int_equal(l.a.peer.session.current->zero.counter, counter);
	assert_int_equal(drops(&l.a) + drops(&l.b), 0);
}

/* The largest packet a TUN can have. */
static void largest_packet(void **state)
{
	uint8_t *packet = malloc(65535);

	(void)state;
	assert_non_null(packet);
	l.a.lane.mtu = 65535;
	lanes_packet(packet, 65535, IP_V4, 1, 2, 0);
	lanes_sealed(&l, &l.a, packet, 65535);
	assert_int_equal(l.batch.dgrams[0].len, 16 + 65535 + 16);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_int_equal(lanes_written(&l.b, 0).len, 65535);
	assert_memory_equal(lanes_written(&l.b, 0).data, packet, 65535);
	lanes_clear(&l, &l.b);
	free(packet);
}

/* Bytes behind the packet's own length are the link's business; they are not delivered. */
static void delivered_length_is_the_packets_own(void **state)
{
	uint8_t packet[100];

	(void)state;
	lanes_packet(packet, 60, IP_V4, 1, 2, 0);
	memset(packet + 60, 0xdd, 40);
	lanes_sealed(&l, &l.a, packet, 100);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_int_equal(lanes_written(&l.b, 0).len, 60);
	lanes_clear(&l, &l.b);
}

static void what_the_tun_must_not_say(void **state)
{
	uint8_t packet[60];
	size_t count = 0;

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	for (size_t len = 0; len < 60; len++, count++)
		lanes_add(&l.batch, packet, len);	/* shorter than the header says */
	packet[0] = 0x55;
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(lanes_written_count(&l.a), 0);
	assert_int_equal(l.a.lane.drops[DROP_BAD_OUTGOING], count + 1);
	assert_int_equal(drops(&l.a), count + 1);
	assert_int_equal(l.a.lane.tx_packets, 0);
	assert_int_equal(lanes_events(&l.a), 0);
	lanes_clear(&l, &l.a);
}

static void events_of_data(void **state)
{
	uint8_t packet[60];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	lanes_sealed(&l, &l.a, packet, sizeof(packet));
	assert_int_equal(lanes_events(&l.a), LANE_DATA_SENT | LANE_ANY_SENT | LANE_FLOWS);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_events(&l.b), LANE_DATA_RECEIVED | LANE_ANY_RECEIVED | LANE_RECEIVED_LAST | LANE_FLOWS);
	lanes_clear(&l, &l.b);
	/* A look takes them. */
	assert_int_equal(lanes_events(&l.a), 0);
	assert_int_equal(lanes_events(&l.b), 0);
}

/* Whether the last thing that happened was a packet of the peer's: timers are set in the order of events. */
static void which_came_last(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		lanes_add_packet(&l.batch, 1, 2, 0);
		lanes_tun(&l, &l.a);
		lanes_carry(&l, &l.a);		/* for b */
		if (round == 0) {
			lanes_udp(&l, &l.b);
			lanes_clear(&l, &l.b);
			lanes_add_packet(&l.batch, 2, 1, 0);
			lanes_tun(&l, &l.b);
			lanes_clear(&l, &l.b);
			assert_int_equal(lanes_events(&l.b) & LANE_RECEIVED_LAST, 0);
		} else {
			struct lanes_batch kept = l.batch;

			l.batch.count = 0;
			lanes_add_packet(&l.batch, 2, 1, 0);
			lanes_tun(&l, &l.b);
			lanes_clear(&l, &l.b);
			l.batch = kept;
			lanes_udp(&l, &l.b);
			lanes_clear(&l, &l.b);
			assert_int_not_equal(lanes_events(&l.b) & LANE_RECEIVED_LAST, 0);
		}
	}
}

/*
 * Whose packet.
 */

static void longest_prefix_decides(void **state)
{
	struct lane_peer other;
	uint8_t packet[60];

	(void)state;
	lanes_peer(&other, &l.b.here);
	assert_true(links_install(&l.a.lane, 1, &other, lanes_keypair(0x77000800, 0x88000800, true, 77, l.now.mono_us)));
	lanes_allow(&l.a, &other, "10.0.0.0/8");
	lanes_allow(&l.a, &other, "fd00::/16");
	lanes_add_packet(&l.batch, 1, 2, 0);		/* 10.0.0.2 is b's own */
	lanes_add_packet(&l.batch, 1, 3, 0);
	lanes_packet(packet, sizeof(packet), IP_V6, 1, 2, 0);
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_packet(packet, sizeof(packet), IP_V6, 1, 3, 0);
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(wg_data_receiver(lanes_message(&l.a, i).data),
				 i % 2 ? 0x88000800 : LANES_INDEX_B);
	assert_int_equal(other.session.current->zero.counter, 2);
	lanes_clear(&l, &l.a);
	lpm_remove_value(&l.a.allowed, &other);
	links_done(&l.a.lane, 1, &other);
}

static void source_must_be_the_peers(void **state)
{
	struct lane_peer other = { 0 };
	uint8_t packet[60];

	(void)state;
	lanes_allow(&l.b, &other, "10.0.0.5");	/* another peer's */
	lanes_allow(&l.b, &l.b.peer, "10.0.0.0/24");
	/* From 10.0.0.5 it is somebody else's, from 10.0.0.6 it is his; from 10.0.1.6 and fd00::9 nobody's. */
	for (uint8_t src = 5; src < 7; src++)
		lanes_add_packet(&l.batch, src, 2, 0);
	lanes_packet(packet, sizeof(packet), IP_V4, 6, 2, 0);
	packet[14] = 1;
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_packet(packet, sizeof(packet), IP_V6, 9, 2, 0);
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_tun(&l, &l.a);
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_int_equal(lanes_written(&l.b, 0).data[15], 6);
	assert_int_equal(l.b.lane.drops[DROP_SOURCE], 3);
	assert_int_equal(l.b.lane.rx_packets, 1);
	/* It did come from the peer, though: it is counted there and keeps the session alive. */
	assert_int_equal(l.b.peer.links->rx_bytes, 4 * (16 + 64 + 16));
	assert_int_equal(lanes_events(&l.b), LANE_DATA_RECEIVED | LANE_ANY_RECEIVED | LANE_RECEIVED_LAST | LANE_FLOWS);
	lanes_clear(&l, &l.b);
	lpm_remove_value(&l.b.allowed, &other);
}

/* Seal any plaintext as a would. */
static void seal_raw(const void *plain, size_t len)
{
	struct keypair *k = l.a.peer.session.current;
	uint8_t msg[WG_DATA_HEADER + 256 + AEAD_TAG];

	assert_true(len <= 256);
	wg_data_header_write(msg, k->remote_index, k->zero.counter);
	aead_seal(k->zero.sealer, k->zero.counter++, msg + WG_DATA_HEADER, plain, len);
	lanes_add(&l.batch, msg, WG_DATA_HEADER + len + AEAD_TAG);
}

static void plaintext_that_is_no_packet(void **state)
{
	uint8_t packet[60];
	size_t count = 0;

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	seal_raw(packet, 19);
	seal_raw(packet, 59);		/* cut */
	lanes_packet(packet, sizeof(packet), IP_V6, 1, 2, 0);
	seal_raw(packet, 39);
	seal_raw(packet, 59);
	packet[0] = 0x70;
	seal_raw(packet, sizeof(packet));
	count = l.batch.count;
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 0);
	assert_int_equal(l.b.lane.drops[DROP_BAD_INNER], count);
	assert_int_equal(drops(&l.b), count);
	assert_int_equal(l.b.lane.rx_packets, 0);
	lanes_clear(&l, &l.b);
}

static void keepalive_is_empty(void **state)
{
	(void)state;
	seal_raw("", 0);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 0);
	assert_int_equal(drops(&l.b), 0);
	assert_int_equal(l.b.peer.links->rx_bytes, 32);
	assert_int_equal(lanes_events(&l.b), LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);
	lanes_clear(&l, &l.b);
}

/*
 * Attacks.
 */

static void replays_in_a_batch_and_later(void **state)
{
	uint8_t packet[60], msg[96];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	lanes_sealed(&l, &l.a, packet, sizeof(packet));
	assert_int_equal(l.batch.dgrams[0].len, sizeof(msg));
	memcpy(msg, l.batch.dgrams[0].data, sizeof(msg));
	while (l.batch.count < PACKET_BATCH)
		lanes_add(&l.batch, msg, sizeof(msg));
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_int_equal(l.b.lane.drops[DROP_REPLAYED], PACKET_BATCH - 1);
	assert_int_equal(l.b.peer.links->rx_bytes, sizeof(msg));
	lanes_events(&l.b);
	lanes_clear(&l, &l.b);
	/* A replay from elsewhere does not move the peer. */
	lanes_add(&l.batch, msg, sizeof(msg));
	assert_true(endpoint_parse("203.0.113.9:9", &l.batch.dgrams[0].path.remote));
	assert_refused(&l.b, DROP_REPLAYED, 1);
	lanes_clear(&l, &l.b);
}

static void late_packets_inside_the_window(void **state)
{
	static const struct {
		uint64_t counter;
		bool delivered;
	} step[] = {
		{ 10000, true }, { 10000 - 8192, false }, { 10000 - 8191, true }, { 10000 - 8191, false },
		{ 9999, true }, { 10001, true }, { 10000 - 8190, true }, { 9999, false },
	};
	uint8_t packet[60];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		l.a.peer.session.current->zero.counter = step[i].counter;
		lanes_sealed(&l, &l.a, packet, sizeof(packet));
		lanes_udp(&l, &l.b);
		assert_int_equal(lanes_written_count(&l.b), step[i].delivered);
		lanes_clear(&l, &l.b);
	}
}

static void every_flipped_bit(void **state)
{
	uint8_t packet[60], msg[96];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	lanes_sealed(&l, &l.a, packet, sizeof(packet));
	memcpy(msg, l.batch.dgrams[0].data, sizeof(msg));
	lanes_release(&l.batch);
	for (size_t bit = 0; bit < 8 * sizeof(msg); bit++) {
		enum drop_reason reason = bit < 32 ? DROP_NOT_WIREGUARD : bit < 64 ? DROP_NO_INDEX : DROP_FORGED;

		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		lanes_add(&l.batch, msg, sizeof(msg));
		assert_true(endpoint_parse("203.0.113.9:9", &l.batch.dgrams[0].path.remote));
		assert_refused(&l.b, reason, 1);
		lanes_clear(&l, &l.b);
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* Forgeries did not move the window: the real one still comes in. */
	lanes_add(&l.batch, msg, sizeof(msg));
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	lanes_clear(&l, &l.b);
}

static void every_truncation(void **state)
{
	uint8_t packet[60], msg[96];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	lanes_sealed(&l, &l.a, packet, sizeof(packet));
	memcpy(msg, l.batch.dgrams[0].data, sizeof(msg));
	lanes_release(&l.batch);
	for (size_t len = 0; len < sizeof(msg); len++) {
		lanes_add(&l.batch, msg, len);
		assert_refused(&l.b, len < WG_DATA_MIN ? DROP_NOT_WIREGUARD : DROP_FORGED, 1);
		lanes_clear(&l, &l.b);
	}
	/* And with something behind it. */
	lanes_add(&l.batch, msg, sizeof(msg));
	lanes_release(&l.batch);
	lanes_add(&l.batch, memcpy((uint8_t[97]){ 0 }, msg, sizeof(msg)), 97);
	assert_refused(&l.b, DROP_FORGED, 1);
	lanes_clear(&l, &l.b);
}

/*
 * Old keys.
 */

static void receiving_ends_at_reject_time(void **state)
{
	uint8_t packet[60];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	for (int i = 0; i < 2; i++) {
		l.now.mono_us = LANES_START_US + 100 * US_PER_S;
		lanes_sealed(&l, &l.a, packet, sizeof(packet));
		lanes_events(&l.a);
		l.now.mono_us = LANES_START_US + 180 * US_PER_S - 1 + i;
		if (i) {
			assert_refused(&l.b, DROP_KEY_EXPIRED, 1);
		} else {
			lanes_udp(&l, &l.b);
			assert_int_equal(lanes_written_count(&l.b), 1);
			lanes_events(&l.b);
		}
		lanes_clear(&l, &l.b);
	}
}

static void counters_end(void **state)
{
	const uint64_t end = REJECT_AFTER_MESSAGES;
	uint8_t packet[60];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	/* The last message there is. */
	l.a.peer.session.current->zero.counter = end - 1;
	lanes_sealed(&l, &l.a, packet, sizeof(packet));
	assert_int_equal(wg_data_counter(l.batch.dgrams[0].data), end - 1);
	assert_int_equal(lanes_events(&l.a) & LANE_REKEY_SENDING, LANE_REKEY_SENDING);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_written_count(&l.b), 1);
	lanes_events(&l.b);
	lanes_clear(&l, &l.b);
	/* The next must not be sealed: it waits for a session. */
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	assert_int_equal(lanes_events(&l.a), LANE_NEED_SESSION);
	assert_int_equal(l.a.peer.session.current->zero.counter, end);
	lanes_clear(&l, &l.a);
	/* Nor opened. */
	seal_raw(packet, sizeof(packet));
	assert_refused(&l.b, DROP_KEY_EXPIRED, 1);
	lanes_clear(&l, &l.b);
}

/* Send from 's' when its key is 'age_us' old; returns the events. Neither end may keep the packet. */
static unsigned int events_at_age(struct lanes_side *s, uint8_t src, uint8_t dst, int64_t age_us)
{
	l.now.mono_us = LANES_START_US + age_us;
	lanes_add_packet(&l.batch, src, dst, 0);
	lanes_tun(&l, s);
	lanes_clear(&l, s);
	lane_drop_held(&s->lane, s->peer.links, DROP_NO_SESSION, false);
	return lanes_events(s);
}

static void sending_asks_for_new_keys(void **state)
{
	const unsigned int sent = LANE_DATA_SENT | LANE_ANY_SENT | LANE_FLOWS;

	(void)state;
	assert_int_equal(events_at_age(&l.a, 1, 2, 120 * US_PER_S - 1), sent);
	assert_int_equal(events_at_age(&l.a, 1, 2, 120 * US_PER_S), sent | LANE_REKEY_SENDING);
	assert_int_equal(events_at_age(&l.a, 1, 2, 180 * US_PER_S - 1), sent | LANE_REKEY_SENDING);
	assert_int_equal(events_at_age(&l.a, 1, 2, 180 * US_PER_S), LANE_NEED_SESSION);
	/* The responder leaves it to the initiator. */
	assert_int_equal(events_at_age(&l.b, 2, 1, 180 * US_PER_S - 1), sent);
	assert_int_equal(events_at_age(&l.b, 2, 1, 180 * US_PER_S), LANE_NEED_SESSION);
	assert_int_equal(l.a.lane.drops[DROP_NO_SESSION], 1);
	assert_int_equal(l.b.lane.drops[DROP_NO_SESSION], 1);
	/* By count both ask. */
	l.b.peer.session.current->zero.counter = REKEY_AFTER_MESSAGES;
	assert_int_equal(events_at_age(&l.b, 2, 1, 10 * US_PER_S), sent | LANE_REKEY_SENDING);
}

/* One packet from 's' arriving when the key is 'age_us' old; returns the events of the other side. */
static unsigned int received_at_age(struct lanes_side *s, struct lanes_side *other, uint8_t src, uint8_t dst, int64_t age_us)
{
	unsigned int events;

	lanes_add_packet(&l.batch, src, dst, 0);
	lanes_tun(&l, s);
	lanes_carry(&l, s);
	lanes_events(s);
	l.now.mono_us = LANES_START_US + age_us;
	lanes_udp(&l, other);
	assert_int_equal(lanes_written_count(other), 1);
	events = lanes_events(other);
	lanes_clear(&l, other);
	return events;
}

static void receiving_asks_for_new_keys(void **state)
{
	const unsigned int received = LANE_DATA_RECEIVED | LANE_ANY_RECEIVED | LANE_RECEIVED_LAST | LANE_FLOWS;

	(void)state;
	assert_int_equal(received_at_age(&l.b, &l.a, 2, 1, 165 * US_PER_S - 1), received);
	assert_int_equal(received_at_age(&l.b, &l.a, 2, 1, 165 * US_PER_S), received | LANE_REKEY_RECEIVING);
	assert_int_equal(received_at_age(&l.a, &l.b, 1, 2, 179 * US_PER_S), received);
}

/* A late packet on the previous key is no reason to renew the current one. */
static void late_packet_on_the_previous_key(void **state)
{
	struct keypair *old = l.a.peer.session.current;

	(void)state;
	lanes_add_packet(&l.batch, 2, 1, 0);
	lanes_tun(&l, &l.b);
	lanes_carry(&l, &l.b);
	l.now.mono_us = LANES_START_US + 160 * US_PER_S;
	lanes_handshake(&l, 1);
	assert_ptr_equal(l.a.peer.session.previous, old);
	l.now.mono_us = LANES_START_US + 170 * US_PER_S;
	lanes_udp(&l, &l.a);
	assert_int_equal(lanes_written_count(&l.a), 1);
	assert_int_equal(lanes_events(&l.a) & LANE_REKEY_RECEIVING, 0);
	lanes_clear(&l, &l.a);
}

static void forgotten_keys_have_no_index(void **state)
{
	uint8_t packet[60];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	lanes_sealed(&l, &l.a, packet, sizeof(packet));
	links_clear(&l.b.lane, 1, &l.b.peer);
	assert_refused(&l.b, DROP_NO_INDEX, 1);
	lanes_clear(&l, &l.b);
	assert_int_equal(l.b.lane.indices.count, 0);
}

/*
 * Sessions that change.
 */

/* Rotate five times; each time packets sealed before the change still come in, and indices do not pile up. */
static void packets_under_way_survive_a_rekey(void **state)
{
	uint8_t packet[60];

	(void)state;
	lanes_packet(packet, sizeof(packet), IP_V4, 1, 2, 0);
	for (uint32_t i = 1; i <= 5; i++) {
		struct lanes_batch before;
		unsigned int events;

		lanes_sealed(&l, &l.a, packet, sizeof(packet));
		before = l.batch;
		l.batch.count = 0;
		lanes_handshake(&l, i);
		lanes_sealed(&l, &l.a, packet, sizeof(packet));
		lanes_events(&l.a);
		lanes_events(&l.b);
		lanes_udp(&l, &l.b);
		assert_int_equal(lanes_written_count(&l.b), 1);
		events = lanes_events(&l.b);
		assert_int_equal(events & LANE_CONFIRMED, LANE_CONFIRMED);
		lanes_clear(&l, &l.b);
		l.batch = before;
		lanes_udp(&l, &l.b);
		assert_int_equal(lanes_written_count(&l.b), 1);
		assert_int_equal(lanes_events(&l.b) & LANE_CONFIRMED, 0);
		lanes_clear(&l, &l.b);
		assert_true(l.a.lane.indices.count <= 2);
		assert_true(l.b.lane.indices.count <= 2);
	}
	assert_int_equal(drops(&l.b), 0);
}

/* A responder does not send with a keypair nobody was heard on. */
static void unconfirmed_keypairs_do_not_send(void **state)
{
	uint8_t packet[60];

	(void)state;
	links_clear(&l.a.lane, 1, &l.a.peer);
	links_clear(&l.b.lane, 1, &l.b.peer);
	lanes_handshake(&l, 1);
	lanes_packet(packet, sizeof(packet), IP_V4, 2, 1, 0);
	lanes_add(&l.batch, packet, sizeof(packet));
	lanes_tun(&l, &l.b);
	assert_int_equal(lanes_message_count(&l.b), 0);
	assert_int_equal(l.b.peer.links->tin.items, 1);
	assert_int_equal(lanes_events(&l.b), LANE_NEED_SESSION);
	lanes_clear(&l, &l.b);
	/* The first packet confirms it, and what waited goes out. */
	seal_raw("", 0);
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_events(&l.b), LANE_ANY_RECEIVED | LANE_CONFIRMED | LANE_RECEIVED_LAST);
	lanes_clear(&l, &l.b);
	assert_false(lanes_drain(&l, &l.b));
	assert_int_equal(lanes_message_count(&l.b), 1);
	lanes_carry(&l, &l.b);
	lanes_udp(&l, &l.a);
	assert_int_equal(lanes_written_count(&l.a), 1);
	assert_memory_equal(lanes_written(&l.a, 0).data, packet, sizeof(packet));
	lanes_clear(&l, &l.a);
}

static void roaming(void **state)
{
	struct path_addr to = { .remote.port = 0 };
	struct dgram answer;

	(void)state;
	/* An authentic packet from a new address moves the peer there. */
	seal_raw("", 0);
	assert_true(endpoint_parse("198.51.100.7:7", &to.remote));
	assert_true(ip_addr_parse("192.0.2.77", &to.local));
	to.ifindex = 3;
	l.batch.dgrams[0].path = to;
	lanes_udp(&l, &l.b);
	assert_true(path_addr_equal(&l.b.peer.links->path, &to));
	assert_int_equal(lanes_events(&l.b) & LANE_ROAMED, LANE_ROAMED);
	lanes_clear(&l, &l.b);
	/* Another address of ours it came to: answers leave from there, but the peer has not moved. */
	seal_raw("", 0);
	assert_true(ip_addr_parse("192.0.2.78", &to.local));
	to.ifindex = 4;
	l.batch.dgrams[0].path = to;
	lanes_udp(&l, &l.b);
	assert_true(path_addr_equal(&l.b.peer.links->path, &to));
	assert_int_equal(lanes_events(&l.b) & LANE_ROAMED, 0);
	lanes_clear(&l, &l.b);
	lanes_add_packet(&l.batch, 2, 1, 0);
	lanes_tun(&l, &l.b);
	answer = lanes_message(&l.b, 0);
	assert_true(path_addr_equal(&answer.path, &to));
	lanes_clear(&l, &l.b);
	/* Another port is another place. */
	seal_raw("", 0);
	to.remote.port = 8;
	l.batch.dgrams[0].path = to;
	lanes_udp(&l, &l.b);
	assert_int_equal(lanes_events(&l.b) & LANE_ROAMED, LANE_ROAMED);
	lanes_clear(&l, &l.b);
}

#define with_session(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(every_length),
		with_session(largest_packet),
		with_session(delivered_length_is_the_packets_own),
		with_session(what_the_tun_must_not_say),
		with_session(events_of_data),
		with_session(which_came_last),
		with_session(longest_prefix_decides),
		with_session(source_must_be_the_peers),
		with_session(plaintext_that_is_no_packet),
		with_session(keepalive_is_empty),
		with_session(replays_in_a_batch_and_later),
		with_session(late_packets_inside_the_window),
		with_session(every_flipped_bit),
		with_session(every_truncation),
		with_session(receiving_ends_at_reject_time),
		with_session(counters_end),
		with_session(sending_asks_for_new_keys),
		with_session(receiving_asks_for_new_keys),
		with_session(late_packet_on_the_previous_key),
		with_session(forgotten_keys_have_no_index),
		with_session(packets_under_way_survive_a_rekey),
		with_session(unconfirmed_keypairs_do_not_send),
		with_session(roaming),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
