/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions in the data plane: which flow goes on which, how each looks on the outside, where control messages go, and what becomes
 * of the two bits for congestion.
 */
#include "lane_stream.h"

#include "crypto/aead.h"
#include "wire/ecn.h"
#include "wire/ip.h"

enum { SUBS = 4 };

static struct lanes l;

static struct endpoint place(unsigned int i)
{
	struct endpoint e;

	assert_true(endpoint_parse("[2001:db8::77]:4000", &e));
	e.port = (uint16_t)(e.port + i);
	return e;
}

/* Both sides know each other as meshds, and have so many sub-sessions; those of 'a' have tuples of their own. */
static void open_subs(unsigned int count)
{
	assert_true(links_open_subs(&l.a.lane, 1, &l.a.peer, count));
	assert_true(links_open_subs(&l.b.lane, 1, &l.b.peer, count));
	l.a.peer.mesh = l.b.peer.mesh = true;
	for (unsigned int i = 1; i <= count; i++)
		l.a.peer.subs[i] = (struct lane_sub){ .path.remote = place(i), .label = 100 + i, .port = (uint8_t)i };
}

static void set_usable(unsigned int count)
{
	for (unsigned int i = 1; i <= count; i++)
		links_set_usable(&l.a.lane, 1, &l.a.peer, i, true);
}

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	open_subs(SUBS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_done(&l);
	return 0;
}

/* A packet of the flow with that source port, from 'a' to 'b', into the batch. */
static void add_packet(int version, uint16_t sport, uint8_t tos, size_t payload_len)
{
	struct inner say = {
		.version = version, .proto = 17, .tos = tos, .ttl = 64, .src = 1, .dst = 2, .sport = sport, .dport = 7, .fragment = 0x4000,
	};
	uint8_t payload[1400], packet[1500];

	memset(payload, (int)sport, payload_len);
	lanes_add(&l.batch, packet, inner_build(packet, &say, payload, payload_len, false));
}

/* One packet of the flow, sent by 'a'; the number of the sub-session it went on. */
static unsigned int number_of(uint16_t sport)
{
	unsigned int number;

	add_packet(4, sport, 0, 100);
	lanes_tun(&l, &l.a);
	assert_int_equal(lanes_message_count(&l.a), 1);
	number = wg_data_receiver(lanes_message(&l.a, 0).data) & WG_INDEX_SUB_SESSION;
	lanes_clear(&l, &l.a);
	return number;
}

/* Plaintext of any kind from 'a' on sub-session 'number', into b's batch. */
static void seal_raw(unsigned int number, const void *plain, size_t len)
{
	struct keypair *k = l.a.peer.session.current;
	struct subsession *s = keypair_sub(k, number);
	uint8_t msg[WG_DATA_HEADER + 1200 + AEAD_TAG];

	assert_true(len <= 1200);
	wg_data_header_write(msg, k->remote_index | number, s->counter);
	aead_seal(s->sealer, s->counter++, msg + WG_DATA_HEADER, plain, len);
	lanes_add(&l.batch, msg, WG_DATA_HEADER + len + AEAD_TAG);
}

/*
 * Out.
 */

static void each_flow_has_its_own(void **state)
{
	unsigned int seen = 0;

	(void)state;
	set_usable(SUBS);
	for (int version = 4; version <= 6; version += 2)
		for (int round = 0; round < 3; round++) {
			uint16_t sports = (uint16_t)(1000 * version);

			for (uint16_t i = 0; i < SUBS; i++)
				add_packet(version, (uint16_t)(sports + i), 0, 100);
			lanes_tun(&l, &l.a);
			assert_int_equal(lane_out(&l.a.lane)->dgram_count, SUBS);
			for (size_t i = 0; i < SUBS; i++) {
				struct dgram d = lanes_message(&l.a, i);
				unsigned int number = wg_data_receiver(d.data) & WG_INDEX_SUB_SESSION;
				struct endpoint where = place(number);

				assert_int_equal(wg_data_receiver(d.data), LANES_INDEX_B | number);
				assert_in_range(number, 1, SUBS);
				seen |= 1U << number;
				/* One 5-tuple each: our port, their address, a label. */
				assert_int_equal(d.port, number);
				assert_int_equal(d.label, 100 + number);
				assert_true(endpoint_equal(&d.path.remote, &where));
				assert_true(l.a.peer.subs[number].sent);
				/* And a counter. */
				assert_int_equal(wg_data_counter(d.data), round + 3 * (version / 2 - 2));
			}
			lanes_carry(&l, &l.a);
			lanes_udp(&l, &l.b);
			assert_int_equal(lanes_written_count(&l.b), SUBS);
			for (uint16_t i = 0; i < SUBS; i++)
				assert_int_equal(lanes_written(&l.b, i).data[version == 4 ? 28 : 48], (uint8_t)(sports + i));
			lanes_clear(&l, &l.b);
			l.now.mono_us += round == 2 ? FLOW_GAP_MIN_US + 1 : 0;
		}
	assert_int_equal(seen, 0x1e);
	assert_int_equal(l.a.peer.session.current->zero.counter, 0);
	assert_int_equal(lanes_drops(&l.b), 0);
}

/* Not before it is usable: then session 0, and the node is told that somebody waits - once. */
static void on_zero_until_usable(void **state)
{
	(void)state;
	assert_int_equal(number_of(1), 0);
	assert_true(lane_urgent(&l.a.lane));
	assert_true(lanes_events(&l.a) & LANE_WANT_SUBS);
	assert_int_equal(number_of(1), 0);
	assert_int_equal(lanes_events(&l.a) & LANE_WANT_SUBS, 0);
	l.a.peer.links->wanting = false;
	assert_int_equal(number_of(1), 0);
	assert_true(lanes_events(&l.a) & LANE_WANT_SUBS);
	l.a.peer.links->wanting = false;
	/* One is ready: it goes there, and nobody is told. */
	links_set_usable(&l.a.lane, 1, &l.a.peer, 3, true);
	assert_int_equal(number_of(1), 3);
	assert_int_equal(lanes_events(&l.a) & LANE_WANT_SUBS, 0);
	/* It is not heard any more: back at once. */
	links_set_usable(&l.a.lane, 1, &l.a.peer, 3, false);
	assert_int_equal(number_of(1), 0);
}

static void more_flows_than_sub_sessions(void **state)
{
	(void)state;
	set_usable(SUBS);
	for (uint16_t i = 0; i < SUBS; i++)
		assert_int_not_equal(number_of(i), 0);
	assert_int_equal(number_of(10), 0);		/* more may be on their way */
	l.a.peer.links->slots.complete = true;
	assert_int_not_equal(number_of(10), 0);
	assert_int_not_equal(number_of(11), 0);
	l.now.mono_us += FLOW_GAP_MIN_US + 1;
	for (uint16_t i = 0; i < SUBS; i++)
		number_of(i);
	assert_int_not_equal(number_of(10), 0);
}

/* To who is no meshd, or is known as none any more, there is session 0 and nothing to tell. */
static void plain_peers_have_session_0(void **state)
{
	(void)state;
	set_usable(SUBS);
	l.a.peer.mesh = false;
	for (uint16_t i = 0; i < 20; i++)
		assert_int_equal(number_of(i), 0);
	assert_int_equal(lanes_events(&l.a) & LANE_WANT_SUBS, 0);
	assert_int_equal(l.a.peer.links->slots.v[0].owner, 0);
}

/* A new handshake: every flow stays where it is, under other keys and from counter 0 on. */
static void flows_stay_through_a_rekey(void **state)
{
	unsigned int number;

	(void)state;
	set_usable(SUBS);
	number = number_of(1);
	lanes_handshake(&l, 1);
	assert_true(keypair_open_subs(l.a.peer.session.current, SUBS));
	assert_true(keypair_open_subs(l.b.peer.session.next, SUBS));
	add_packet(4, 1, 0, 100);
	lanes_tun(&l, &l.a);
	assert_int_equal(wg_data_receiver(lanes_message(&l.a, 0).data), (LANES_INDEX_B + 0x1000) | number);
	assert_int_equal(wg_data_counter(lanes_message(&l.a, 0).data), 0);
	lanes_carry(&l, &l.a);
	lanes_events(&l.b);
	lanes_udp(&l, &l.b);
	/* A message on any sub-session confirms the keypair. */
	assert_true(lanes_events(&l.b) & LANE_CONFIRMED);
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_ptr_equal(l.b.peer.links->current, l.b.peer.session.next);
	links_confirm(&l.b.lane, 1, &l.b.peer);
	assert_ptr_equal(l.b.peer.links->current, l.b.peer.session.current);
	lanes_clear(&l, &l.b);
}

/* The next session may be with a plain peer: what flows is on session 0 at once, before the node knows. */
static void session_without_sub_sessions(void **state)
{
	struct keypair *k = lanes_keypair(0x10080, LANES_INDEX_B + 0x80, true, 98, l.now.mono_us);

	(void)state;
	set_usable(SUBS);
	assert_int_not_equal(number_of(1000), 0);
	lane_set_bypass(&l.a.lane, false);
	add_packet(4, 1000, 0, 100);
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, l.batch.count);
	lanes_release(&l.batch);
	assert_true(links_install(&l.a.lane, 1, &l.a.peer, k));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 1);
	assert_int_equal(wg_data_receiver(lanes_message(&l.a, 0).data) & WG_INDEX_SUB_SESSION, 0);
	lanes_clear(&l, &l.a);
	lane_set_bypass(&l.a.lane, true);
	assert_int_equal(number_of(1000), 0);
	assert_int_equal(number_of(1001), 0);
	assert_false(l.a.peer.links->events & LANE_NEED_SESSION);
	assert_int_equal(lanes_drops(&l.a), 0);
}

/* A run of one GSO send is one tuple with one TOS. */
static void runs_by_sub_session_and_tos(void **state)
{
	static const uint32_t lens[] = { 3, 1, 2, 2 };
	const struct lane_out *out;

	(void)state;
	set_usable(2);
	lane_set_offloads(&l.a.lane, 63, false);
	l.a.peer.ecn_out = LANE_ECN_COPY;
	for (int i = 0; i < 3; i++)
		add_packet(4, 1, 2, 1000);
	add_packet(4, 1, 3, 1000);
	for (int i = 0; i < 2; i++)
		add_packet(4, 1, 2, 1000);
	for (int i = 0; i < 2; i++)
		add_packet(4, 2, 2, 1000);
	lanes_tun(&l, &l.a);
	out = lane_out(&l.a.lane);
	assert_int_equal(out->dgram_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(out->dgrams[i].len, lens[i] * out->dgrams[i].segment);
		assert_int_equal(out->dgrams[i].tos, i == 1 ? 3 : 2);
		assert_int_equal(out->dgrams[i].port, i == 3 ? 2 : 1);
	}
	lanes_clear(&l, &l.a);
}

static void super_packet_on_a_sub_session(void **state)
{
	struct stream_flow flow;
	uint64_t counter = 0;
	const struct lane_out *out;

	(void)state;
	set_usable(SUBS);
	lane_set_offloads(&l.a.lane, 63, false);
	lane_set_offloads(&l.b.lane, 1, true);
	stream_init(&flow, 6, 6, 1380, 1, 2);
	stream_add(&l.batch, &flow, 40 * 1380);
	lanes_tun(&l, &l.a);
	assert_int_equal(stream_check_runs(&l.a, &counter), 40);
	assert_int_equal(lane_out(&l.a.lane)->dgram_count, 1);
	assert_int_not_equal(lane_out(&l.a.lane)->dgrams[0].port, 0);
	lanes_carry_runs(&l, &l.a);
	lanes_udp(&l, &l.b);
	out = lane_out(&l.b.lane);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->writes[0].packets, 40);
	lanes_clear(&l, &l.b);
	stream_done(&flow);
}

/*
 * In.
 */

/* What came on a sub-session, from wherever it came. */
static void receive_from(unsigned int number, const struct endpoint *from, uint8_t port, uint8_t tos)
{
	seal_raw(number, "", 0);
	l.batch.dgrams[0].path.remote = *from;
	l.batch.dgrams[0].path.ifindex = 5;
	l.batch.dgrams[0].port = port;
	l.batch.dgrams[0].tos = tos;
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
}

static void a_sub_session_moves_only_itself(void **state)
{
	struct path_addr before = l.b.peer.links->path;
	struct endpoint there = place(20), elsewhere = place(30);

	(void)state;
	receive_from(2, &there, 7, 0xb9);
	assert_true(endpoint_equal(&l.b.peer.subs[2].path.remote, &there));
	assert_int_equal(l.b.peer.subs[2].path.ifindex, 5);
	assert_int_equal(l.b.peer.subs[2].port, 7);
	assert_int_equal(l.b.peer.subs[2].ecn, 1);
	assert_int_equal(l.b.peer.subs[2].heard_us, l.now.mono_us);
	assert_true(path_addr_equal(&l.b.peer.links->path, &before));
	assert_int_equal(lanes_events(&l.b), LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);
	for (unsigned int i = 0; i < SUB_SESSIONS; i++)
		assert_int_equal(l.b.peer.subs[i].heard_us != 0, i == 2);
	/* Session 0 and the control sub-session move the endpoint, and no sub-session. */
	receive_from(0, &elsewhere, 0, 0);
	assert_true(endpoint_equal(&l.b.peer.links->path.remote, &elsewhere));
	assert_true(lanes_events(&l.b) & LANE_ROAMED);
	receive_from(SUB_SESSION_CONTROL, &there, 0, 0);
	assert_true(endpoint_equal(&l.b.peer.links->path.remote, &there));
	assert_true(lanes_events(&l.b) & LANE_ROAMED);
	receive_from(0, &elsewhere, 0, 0);
	assert_true(endpoint_equal(&l.b.peer.subs[2].path.remote, &there));
	assert_int_equal(l.b.peer.subs[1].heard_us, 0);
	assert_int_equal(l.b.peer.subs[SUB_SESSION_CONTROL].heard_us, 0);
}

/* What does not authenticate moves nothing. */
static void forgeries_move_nothing(void **state)
{
	(void)state;
	seal_raw(2, "", 0);
	l.batch.dgrams[0].data[20] ^= 1;
	l.batch.dgrams[0].path.remote = place(20);
	lanes_udp(&l, &l.b);
	assert_int_equal(l.b.lane.drops[DROP_FORGED], 1);
	assert_int_equal(l.b.peer.subs[2].heard_us, 0);
	assert_int_equal(l.b.peer.subs[2].path.remote.addr.family, IP_NONE);
	assert_int_equal(lanes_events(&l.b), 0);
	lanes_clear(&l, &l.b);
}

/* The same counter on each, once each; sealed for one it opens on no other. */
static void windows_of_their_own(void **state)
{
	static const unsigned int numbers[] = { 0, 1, 2, 3, 4, SUB_SESSION_CONTROL };
	const size_t count = sizeof(numbers) / sizeof(numbers[0]);

	(void)state;
	for (size_t i = 0; i < count; i++)
		seal_raw(numbers[i], "", 0);
	for (size_t i = 0; i < count; i++)
		lanes_add(&l.batch, l.batch.dgrams[i].data, l.batch.dgrams[i].len);
	for (size_t i = 0; i < count; i++) {
		lanes_add(&l.batch, l.batch.dgrams[i].data, l.batch.dgrams[i].len);
		put_le32(l.batch.dgrams[2 * count + i].data + 4, LANES_INDEX_B | numbers[(i + 1) % count]);
		put_le64(l.batch.dgrams[2 * count + i].data + 8, 1);
	}
	lanes_udp(&l, &l.b);
	assert_int_equal(l.b.peer.links->rx_bytes, count * WG_DATA_MIN);
	assert_int_equal(l.b.lane.drops[DROP_REPLAYED], count);
	assert_int_equal(l.b.lane.drops[DROP_FORGED], count);
	lanes_clear(&l, &l.b);
}

static void numbers_nobody_opened(void **state)
{
	uint64_t count = 0;

	(void)state;
	for (uint32_t i = SUBS + 1; i < SUB_SESSION_CONTROL; i++, count++) {
		seal_raw(1, "", 0);
		put_le32(l.batch.dgrams[0].data + 4, LANES_INDEX_B | i);
		lanes_udp(&l, &l.b);
		lanes_clear(&l, &l.b);
	}
	assert_int_equal(l.b.lane.drops[DROP_NO_INDEX], count);
	assert_int_equal(lanes_drops(&l.b), count);
	assert_int_equal(lanes_events(&l.b), 0);
}

/*
 * Control messages.
 */

static void control_messages_go_to_the_node(void **state)
{
	static const unsigned int numbers[] = { SUB_SESSION_CONTROL, 1, SUBS, 0 };
	static const size_t lens[] = { 1, 16, 24, 32, LANE_CONTROL_LEN - 1, LANE_CONTROL_LEN, LANE_CONTROL_LEN + 1, 1200 };
	struct endpoint from = place(9);
	uint8_t plain[1200];
	struct lane_control c;

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i + 5);
	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			size_t want = lens[i] < LANE_CONTROL_LEN ? lens[i] : LANE_CONTROL_LEN;

			plain[0] = (uint8_t)(i * 2 % 16);
			seal_raw(numbers[n], plain, lens[i]);
			l.batch.dgrams[0].path.remote = from;
			l.batch.dgrams[0].tos = 0x8b;
			lanes_udp(&l, &l.b);
			assert_int_equal(lanes_written_count(&l.b), 0);
			lanes_clear(&l, &l.b);
			assert_true(lane_urgent(&l.b.lane));
			assert_true(lane_take_control(&l.b.lane, &c));
			assert_ptr_equal(c.peer, &l.b.peer);
			assert_int_equal(c.number, numbers[n]);
			assert_int_equal(c.tos, 0x8b);
			assert_true(endpoint_equal(&c.from.remote, &from));
			assert_int_equal(c.len, want);
			assert_memory_equal(c.msg, plain, want);
			assert_false(lane_take_control(&l.b.lane, &c));
		}
	assert_int_equal(lanes_events(&l.b) & (LANE_DATA_RECEIVED | LANE_ANY_RECEIVED), LANE_ANY_RECEIVED);
	assert_false(lane_urgent(&l.b.lane));
	assert_int_equal(l.b.lane.rx_packets, 0);
	assert_int_equal(lanes_drops(&l.b), 0);
}

/* One peer has a part of the ring: so much it cannot keep from the others. */
static void control_ring_is_bounded(void **state)
{
	enum { MORE = 100 };
	struct lane_control c;

	(void)state;
	for (uint16_t i = 0; i < LANE_CONTROLS_PEER + MORE; i++) {
		uint8_t msg[16] = { 1, (uint8_t)i, (uint8_t)(i >> 8) };

		seal_raw(SUB_SESSION_CONTROL, msg, sizeof(msg));
		lanes_udp(&l, &l.b);
		lanes_clear(&l, &l.b);
		if (i % 3 == 0 && i < 60)
			assert_true(lane_take_control(&l.b.lane, &c));
	}
	assert_int_equal(l.b.lane.drops[DROP_CONTROL_QUEUE], MORE - 20);
	assert_int_equal(l.b.lane.control_count, LANE_CONTROLS_PEER);
	for (uint16_t i = 20; i < LANE_CONTROLS_PEER + 20; i++) {
		assert_true(lane_take_control(&l.b.lane, &c));
		assert_int_equal(c.msg[1] | c.msg[2] << 8, i);
	}
	assert_false(lane_take_control(&l.b.lane, &c));
}

/* What a peer said before it went is nobody's, and what was for it is not sent. */
static void messages_of_a_peer_that_went(void **state)
{
	struct lane_control c;

	(void)state;
	seal_raw(SUB_SESSION_CONTROL, "\1", 1);
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	assert_true(lane_send_control(&l.b.lane, l.b.peer.links, 1, 0, (const uint8_t *)"\1", 1));
	links_done(&l.b.lane, 1, &l.b.peer);
	assert_true(lane_take_control(&l.b.lane, &c));
	assert_null(c.peer);
	assert_true(lane_has_out(&l.b.lane));
	assert_false(lanes_drain(&l, &l.b));
	assert_int_equal(lanes_message_count(&l.b), 0);
}

static void control_messages_are_sent(void **state)
{
	uint8_t msg[LANE_CONTROL_LEN + 1];
	struct lane_control c;
	struct dgram d;

	(void)state;
	for (size_t i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)i;
	l.a.peer.ecn_out = LANE_ECN_COPY;
	assert_false(lane_send_control(&l.a.lane, l.a.peer.links, 1, 0, msg, sizeof(msg)));
	assert_true(lane_send_control(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, 0, msg, LANE_CONTROL_LEN));
	assert_true(lane_send_control(&l.a.lane, l.a.peer.links, 3, 0, msg, 17));
	assert_true(lane_send_control(&l.a.lane, l.a.peer.links, SUBS + 1, 0, msg, 17));	/* there is no such one */
	assert_true(lane_has_out(&l.a.lane));
	assert_int_equal(lane_due_us(&l.a.lane), 0);
	assert_false(lanes_drain(&l, &l.a));
	assert_false(lane_has_out(&l.a.lane));
	assert_int_equal(lanes_message_count(&l.a), 2);
	/* Each on its own way: the control sub-session on session 0's. */
	d = lanes_message(&l.a, 0);
	assert_int_equal(wg_data_receiver(d.data), LANES_INDEX_B | SUB_SESSION_CONTROL);
	assert_true(endpoint_equal(&d.path.remote, &l.b.here));
	assert_int_equal(d.port + d.label + d.tos, 0);
	d = lanes_message(&l.a, 1);
	assert_int_equal(wg_data_receiver(d.data), LANES_INDEX_B | 3);
	assert_int_equal(d.port, 3);
	assert_int_equal(d.label, 103);
	assert_int_equal(d.tos, 0);
	assert_int_equal(lanes_events(&l.a), LANE_ANY_SENT);
	assert_int_equal(l.a.lane.tx_packets, 0);
	assert_false(l.a.peer.subs[3].sent);		/* data is what counts there */
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	assert_true(lane_take_control(&l.b.lane, &c));
	assert_int_equal(c.len, LANE_CONTROL_LEN);
	assert_memory_equal(c.msg, msg, LANE_CONTROL_LEN);
	assert_true(lane_take_control(&l.b.lane, &c));
	assert_int_equal(c.number, 3);
	assert_int_equal(c.len, 32);			/* padded */
	assert_memory_equal(c.msg, msg, 17);
	for (size_t i = 17; i < 32; i++)
		assert_int_equal(c.msg[i], 0);
}

static void control_messages_that_cannot_go(void **state)
{
	(void)state;
	for (int i = 0; i < LANE_CONTROLS_OUT; i++)
		assert_true(lane_send_control(&l.a.lane, l.a.peer.links, 1, 0, (const uint8_t *)"\1", 1));
	assert_false(lane_send_control(&l.a.lane, l.a.peer.links, 1, 0, (const uint8_t *)"\1", 1));
	/* A full output, and then the rest. */
	add_packet(4, 1, 0, 100);
	lanes_tun(&l, &l.a);
	assert_true(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), LANE_RUNS_MAX);
	lanes_clear(&l, &l.a);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 1 + LANE_CONTROLS_OUT - LANE_RUNS_MAX);
	lane_out_clear(&l.a.lane);
	/* Into our own TUN, and without a session: lost. */
	l.a.peer.endpoint_loops = true;
	assert_true(lane_send_control(&l.a.lane, l.a.peer.links, 1, 0, (const uint8_t *)"\1", 1));
	assert_false(lanes_drain(&l, &l.a));
	l.a.peer.endpoint_loops = false;
	links_clear(&l.a.lane, 1, &l.a.peer);
	assert_true(lane_send_control(&l.a.lane, l.a.peer.links, 1, 0, (const uint8_t *)"\1", 1));
	assert_false(lanes_drain(&l, &l.a));
	assert_false(lane_has_out(&l.a.lane));
	assert_int_equal(lanes_message_count(&l.a), 0);
}

/*
 * ECN and DSCP.
 */

enum { DROPPED = 4 };

/* RFC 6040 figure 4: what is delivered for an inner codepoint (row) and an outer one (column: Not-ECT, ECT(1), ECT(0), CE). */
static const uint8_t delivered[4][4] = {
	[ECN_NOT_ECT] = { ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, DROPPED },
	[ECN_ECT1] = { ECN_ECT1, ECN_ECT1, ECN_ECT1, ECN_CE },
	[ECN_ECT0] = { ECN_ECT0, ECN_ECT1, ECN_ECT0, ECN_CE },
	[ECN_CE] = { ECN_CE, ECN_CE, ECN_CE, ECN_CE },
};

/* One packet with that field inside, arriving with that outside, is delivered with 'want', and right checksums. */
static void arrive(int version, uint8_t inner, uint8_t outer, uint8_t want)
{
	uint64_t rx = l.b.lane.rx_packets, dropped = l.b.lane.drops[DROP_ECN];
	struct packet p;
	struct ip_view v;

	add_packet(version, 1, 0xb8 | inner, 100);
	lanes_tun(&l, &l.a);
	lanes_carry(&l, &l.a);
	l.batch.dgrams[0].tos = 0x28 | outer;
	lanes_udp(&l, &l.b);
	if (want == DROPPED) {
		assert_int_equal(lanes_written_count(&l.b), 0);
		assert_int_equal(l.b.lane.drops[DROP_ECN], dropped + 1);
		assert_int_equal(l.b.lane.rx_packets, rx);
	} else {
		assert_int_equal(lanes_written_count(&l.b), 1);
		p = lanes_written(&l.b, 0);
		assert_true(ip_view(&v, p.data, p.len));
		assert_int_equal(v.tos, 0xb8 | want);
		assert_true(inner_is_valid(p.data, p.len, 17, version == 4 ? 20 : 40));
		assert_int_equal(l.b.lane.drops[DROP_ECN], dropped);
		assert_int_equal(l.b.lane.rx_packets, rx + 1);
	}
	lanes_clear(&l, &l.b);
}

static void all_sixteen_cells(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * 4 * 4; i++) {
		int version = i & 1 ? 6 : 4;
		uint8_t inner = i >> 1 & 3, outer = (uint8_t)(i >> 3);

		/* From a meshd. */
		l.b.peer.mesh = l.b.peer.ecn_in = true;
		arrive(version, inner, outer, delivered[inner][outer]);
		/* From others what nobody should have marked is delivered as it is, and counted. */
		l.b.peer.mesh = false;
		l.b.lane.ce_kept = 0;
		arrive(version, inner, outer, delivered[inner][outer] == DROPPED ? inner : delivered[inner][outer]);
		assert_int_equal(l.b.lane.ce_kept, delivered[inner][outer] == DROPPED);
		/* Where the outside means nothing nobody looks at it. */
		for (int mesh = 0; mesh < 2; mesh++) {
			l.b.peer.mesh = mesh;
			l.b.peer.ecn_in = false;
			arrive(version, inner, outer, inner);
		}
	}
	assert_int_equal(l.b.lane.drops[DROP_ECN], 2);
	assert_int_equal(lanes_drops(&l.b), 2);
}

/* The outer field by the inner one, for all 256, all modes. */
static void the_outer_tos(void **state)
{
	static const int8_t dscps[] = { DSCP_NONE, DSCP_COPY, 0, 46, DSCP_MAX };
	static const uint8_t by_kernel[4] = { ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_ECT0 };

	(void)state;
	for (unsigned int i = 0; i < 256 * 5 * 3 * 2; i++) {
		uint8_t inner = (uint8_t)i, mode = (uint8_t)(i / 512 % 3);
		int8_t dscp = dscps[i / (512 * 3)];
		uint8_t ecn = mode == LANE_ECN_NONE ? 0 : mode == LANE_ECN_COPY ? inner & 3 : by_kernel[inner & 3];
		uint8_t want = (uint8_t)((dscp == DSCP_NONE ? 0 : dscp == DSCP_COPY ? inner & 0xfc : dscp << 2) | ecn);

		l.a.peer.dscp = dscp;
		l.a.peer.ecn_out = mode;
		add_packet(i >> 8 & 1 ? 4 : 6, 1, inner, 20);
		lanes_tun(&l, &l.a);
		assert_int_equal(lanes_message_count(&l.a), 1);
		assert_int_equal(lanes_message(&l.a, 0).tos, want);
		lanes_clear(&l, &l.a);
	}
}

/* Super-packets have one for all segments; and what arrives in one GRO datagram has been marked as one. */
static void super_packets_and_ecn(void **state)
{
	struct stream_flow flow;
	const struct lane_out *out;

	(void)state;
	lane_set_offloads(&l.a.lane, 63, false);
	lane_set_offloads(&l.b.lane, 1, true);
	l.a.peer.ecn_out = LANE_ECN_COPY;
	l.b.peer.ecn_in = true;
	stream_init(&flow, 4, 6, 1000, 1, 2);
	flow.say.tos = ECN_ECT0;
	stream_add(&l.batch, &flow, 20000);
	lanes_tun(&l, &l.a);
	out = lane_out(&l.a.lane);
	assert_int_equal(out->dgram_count, 1);
	assert_int_equal(out->dgrams[0].tos, ECN_ECT0);
	lanes_carry_runs(&l, &l.a);
	l.batch.dgrams[0].tos = ECN_CE;
	lanes_udp(&l, &l.b);
	out = lane_out(&l.b.lane);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->writes[0].packets, 20);
	assert_int_equal(out->writes[0].pieces[0].base[VNET_LEN + 1], ECN_CE);
	lanes_clear(&l, &l.b);
	stream_done(&flow);
}

#define with_subs(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_subs(each_flow_has_its_own),
		with_subs(on_zero_until_usable),
		with_subs(more_flows_than_sub_sessions),
		with_subs(plain_peers_have_session_0),
		with_subs(flows_stay_through_a_rekey),
		with_subs(session_without_sub_sessions),
		with_subs(runs_by_sub_session_and_tos),
		with_subs(super_packet_on_a_sub_session),
		with_subs(a_sub_session_moves_only_itself),
		with_subs(forgeries_move_nothing),
		with_subs(windows_of_their_own),
		with_subs(numbers_nobody_opened),
		with_subs(control_messages_go_to_the_node),
		with_subs(control_ring_is_bounded),
		with_subs(messages_of_a_peer_that_went),
		with_subs(control_messages_are_sent),
		with_subs(control_messages_that_cannot_go),
		with_subs(all_sixteen_cells),
		with_subs(the_outer_tos),
		with_subs(super_packets_and_ecn),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
