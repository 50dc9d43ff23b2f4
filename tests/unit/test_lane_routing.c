/* SPDX-License-Identifier: MIT */
/* Babel's packets over a link: what of it goes to the node and what to the TUN, the rings both ways, and what the timers see. */
#include "lanes.h"

#include "transport/rekey.h"
#include "wire/ip.h"

enum { PORT = 6696, LEN = 100 };

static struct lanes l;

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	l.a.peer.babel = l.b.peer.babel = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_done(&l);
	return 0;
}

/* A packet of Babel's of 'len' bytes, from fe80::1 to ff02::1:6. */
static void babel_packet(uint8_t *p, size_t len, uint8_t tag)
{
	memset(p, 0, 48);
	p[0] = 0x60;
	put_be16(p + 4, (uint16_t)(len - IP6_HEADER));
	p[6] = IP_PROTO_UDP;
	p[7] = 1;
	p[8] = 0xfe;
	p[9] = 0x80;
	p[23] = 1;
	p[24] = 0xff;
	p[25] = 0x02;
	p[37] = 1;
	p[39] = 6;
	put_be16(p + 40, PORT);
	put_be16(p + 42, PORT);
	put_be16(p + 44, (uint16_t)(len - IP6_HEADER));
	for (size_t i = 48; i < len; i++)
		p[i] = (uint8_t)(tag + i);
}

/* What a's node sends goes to b's lane. */
static void carry(const uint8_t *packet, uint32_t len)
{
	assert_true(lane_send_inner(&l.a.lane, l.a.peer.links, packet, len));
	assert_true(lane_has_out(&l.a.lane));
	assert_int_equal(lane_due_us(&l.a.lane), 0);
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 1);
	lanes_carry(&l, &l.a);
	lanes_udp(&l, &l.b);
}

static void there(void **state)
{
	uint8_t p[LANE_ROUTING_LEN];
	struct lane_routing r;

	(void)state;
	for (size_t len = 48; len <= sizeof(p); len += 121) {
		babel_packet(p, len, 3);
		carry(p, (uint32_t)len);
		assert_int_equal(lanes_written_count(&l.b), 0);
		assert_true(lane_urgent(&l.b.lane));
		assert_true(lane_take_routing(&l.b.lane, &r));
		assert_ptr_equal(r.peer, &l.b.peer);
		assert_int_equal(r.at_us, l.now.mono_us);
		assert_int_equal(r.len, len);
		assert_memory_equal(r.packet, p, len);
		assert_false(lane_take_routing(&l.b.lane, &r));
		lanes_clear(&l, &l.b);
		/* WireGuard's timers take it for data; nobody else does. */
		assert_int_equal(lanes_events(&l.a), LANE_ANY_SENT | LANE_DATA_SENT);
		assert_int_equal(lanes_events(&l.b), LANE_ANY_RECEIVED | LANE_DATA_RECEIVED | LANE_RECEIVED_LAST);
		assert_false(lane_urgent(&l.b.lane));
		l.now.mono_us++;
	}
	assert_int_equal(l.a.lane.tx_packets + l.b.lane.rx_packets, 0);
	assert_int_equal(lanes_drops(&l.a) + lanes_drops(&l.b), 0);
}

/* One byte of a packet to the node is changed: it is no more Babel's, and so refused for its source. */
static void what_is_not_babels(void **state)
{
	static const struct {
		uint8_t at, value;
	} changes[] = {
		{ 6, IP_PROTO_TCP }, { 8, 0xfd }, { 9, 0x90 }, { 15, 1 }, { 24, 0xfd }, { 25, 0x05 }, { 26, 1 }, { 37, 2 }, { 39, 5 },
		{ 42, 0x1b }, { 43, 0x29 },
	};
	uint8_t p[LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		babel_packet(p, sizeof(p), 0);
		p[changes[i].at] = changes[i].value;
		carry(p, sizeof(p));
		assert_int_equal(l.b.lane.routing_count, 0);
		assert_int_equal(l.b.lane.drops[DROP_SOURCE], i + 1);
		lanes_clear(&l, &l.b);
	}
	/* Any hop limit, any source port, and a link-local address as destination are fine. */
	babel_packet(p, sizeof(p), 0);
	p[7] = 255;
	p[40] = 9;
	memcpy(p + 24, p + 8, 16);
	carry(p, sizeof(p));
	assert_int_equal(l.b.lane.routing_count, 1);
	lanes_clear(&l, &l.b);
	/* No room for a UDP header. */
	babel_packet(p, 47, 0);
	carry(p, 47);
	assert_int_equal(l.b.lane.routing_count, 1);
	lanes_clear(&l, &l.b);
}

/* From a peer without Babel it is a packet like any other, for the TUN if the source may be. */
static void a_peer_without(void **state)
{
	uint8_t p[LEN];

	(void)state;
	l.b.peer.babel = false;
	babel_packet(p, sizeof(p), 0);
	carry(p, sizeof(p));
	assert_int_equal(l.b.lane.drops[DROP_SOURCE], 1);
	lanes_clear(&l, &l.b);
	lanes_allow(&l.b, &l.b.peer, "fe80::/64");
	carry(p, sizeof(p));
	assert_int_equal(lanes_written_count(&l.b), 1);
	assert_int_equal(l.b.lane.routing_count, 0);
	lanes_clear(&l, &l.b);
}

static void rings_are_bounded(void **state)
{
	uint8_t p[LANE_ROUTING_LEN + 1];
	struct lane_routing r;

	(void)state;
	babel_packet(p, LEN, 0);
	assert_false(lane_send_inner(&l.a.lane, l.a.peer.links, p, sizeof(p)));
	for (int i = 0; i < LANE_ROUTING_OUT; i++) {
		p[50] = (uint8_t)i;
		assert_true(lane_send_inner(&l.a.lane, l.a.peer.links, p, LEN));
	}
	assert_false(lane_send_inner(&l.a.lane, l.a.peer.links, p, LEN));
	while (lanes_drain(&l, &l.a))
		;
	assert_int_equal(lanes_message_count(&l.a), LANE_ROUTING_OUT);
	assert_false(lane_has_out(&l.a.lane));
	lanes_carry(&l, &l.a);
	for (size_t i = 0; i < LANE_ROUTING_OUT; i += PACKET_BATCH)
		lanes_udp_part(&l, &l.b, i, PACKET_BATCH);
	/* Of one peer only so many wait. */
	assert_int_equal(l.b.lane.routing_count, LANE_ROUTING_PEER);
	assert_int_equal(l.b.lane.drops[DROP_ROUTING_QUEUE], LANE_ROUTING_OUT - LANE_ROUTING_PEER);
	for (int i = 0; i < LANE_ROUTING_PEER; i++) {
		assert_true(lane_take_routing(&l.b.lane, &r));
		assert_int_equal(r.packet[50], i);
	}
	assert_false(lane_take_routing(&l.b.lane, &r));
	lanes_clear(&l, &l.b);
	carry(p, LEN);	/* there is room again */
	assert_int_equal(l.b.lane.routing_count, 1);
	lanes_clear(&l, &l.b);
}

/* Longer than any that Babel sends over a link: counted, and the ring is not touched. */
static void one_too_long(void **state)
{
	uint8_t p[LANE_ROUTING_LEN + 1];

	(void)state;
	babel_packet(p, sizeof(p), 0);
	lanes_allow(&l.a, &l.a.peer, "ff02::/16");
	lanes_sealed(&l, &l.a, p, sizeof(p));
	lanes_udp(&l, &l.b);
	assert_int_equal(l.b.lane.routing_count, 0);
	assert_int_equal(l.b.lane.drops[DROP_ROUTING_QUEUE], 1);
	lanes_clear(&l, &l.b);
}

/* Without a session it asks for one, and is lost. Without an endpoint it is lost, without asking. */
static void no_session(void **state)
{
	uint8_t p[LEN];

	(void)state;
	links_clear(&l.a.lane, 1, &l.a.peer);
	babel_packet(p, sizeof(p), 0);
	assert_true(lane_send_inner(&l.a.lane, l.a.peer.links, p, sizeof(p)));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_int_equal(lanes_events(&l.a), LANE_NEED_SESSION);
	assert_false(lane_has_out(&l.a.lane));
	l.a.peer.links->path.remote = (struct endpoint){ .port = 0 };
	assert_true(lane_send_inner(&l.a.lane, l.a.peer.links, p, sizeof(p)));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_events(&l.a), 0);
	assert_false(lane_has_out(&l.a.lane));
}

/* It goes before what waits in the queue, with the ECN and DSCP the link has. */
static void before_the_queue(void **state)
{
	uint8_t p[LEN], data[60];
	struct dgram d;

	(void)state;
	l.a.peer.dscp = 46;
	l.a.peer.ecn_out = LANE_ECN_COPY;
	lane_set_bypass(&l.a.lane, false);
	lanes_packet(data, sizeof(data), IP_V4, 1, 2, 0);
	lanes_add(&l.batch, data, sizeof(data));
	lanes_tun(&l, &l.a);
	assert_int_equal(l.a.peer.links->tin.items, 1);
	lanes_clear(&l, &l.a);
	babel_packet(p, sizeof(p), 0);
	p[1] = 0x20;	/* ECT(0) */
	assert_true(lane_send_inner(&l.a.lane, l.a.peer.links, p, sizeof(p)));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 2);
	d = lanes_message(&l.a, 0);
	assert_int_equal(d.tos, 46 << 2 | 2);
	assert_int_equal(wg_data_counter(d.data), 0);
	assert_true(d.len > lanes_message(&l.a, 1).len);
	lanes_clear(&l, &l.a);
}

/* The peer goes: its packets keep their places, without it. */
static void the_peer_goes(void **state)
{
	struct lane_routing r;
	uint8_t p[LEN];

	(void)state;
	babel_packet(p, sizeof(p), 0);
	carry(p, sizeof(p));
	lanes_clear(&l, &l.b);
	babel_packet(p, sizeof(p), 0);
	assert_true(lane_send_inner(&l.b.lane, l.b.peer.links, p, sizeof(p)));
	lane_remove_link(&l.b.lane, l.b.peer.links);
	assert_true(lane_take_routing(&l.b.lane, &r));
	assert_null(r.peer);
	assert_false(lanes_drain(&l, &l.b));
	assert_int_equal(lanes_message_count(&l.b), 0);
	assert_false(lane_has_out(&l.b.lane));
	lanes_events(&l.a);
}

/* More than one output holds: it goes on with the next. */
static void a_full_output(void **state)
{
	uint8_t p[LANE_ROUTING_LEN];
	size_t count = 0;
	bool more;

	(void)state;
	for (int i = 0; i < LANE_ROUTING_OUT; i++) {
		babel_packet(p, sizeof(p), (uint8_t)i);
		assert_true(lane_send_inner(&l.a.lane, l.a.peer.links, p, sizeof(p)));
	}
	do {
		more = lanes_drain(&l, &l.a);
		count += lanes_message_count(&l.a);
		assert_true(l.a.lane.out_used <= LANE_OUT_BYTES);
		lanes_clear(&l, &l.a);
	} while (more);
	assert_int_equal(count, LANE_ROUTING_OUT);
}

/* A router without an IPv4 address sends ICMP from 192.0.0.8, and nothing else may have that source; nor may who has no routes to tell. */
static void errors_of_the_nameless(void **state)
{
	static const struct {
		uint8_t proto, last;
		bool babel, passes;
	} rows[] = {
		{ IP_PROTO_ICMP, 8, true, true }, { IP_PROTO_UDP, 8, true, false }, { IP_PROTO_ICMP, 9, true, false },
		{ IP_PROTO_ICMP, 8, false, false },
	};
	uint64_t refused = 0;
	uint8_t p[LEN];

	(void)state;
	l.b.lane.transit = TRANSIT_LANE;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t src[4] = { 192, 0, 0, rows[i].last };

		lanes_packet(p, sizeof(p), IP_V4, 1, 2, 0);
		p[9] = rows[i].proto;
		memcpy(p + 12, src, sizeof(src));
		l.b.peer.babel = rows[i].babel;
		carry(p, sizeof(p));
		assert_int_equal(lanes_written_count(&l.b), rows[i].passes);
		refused += !rows[i].passes;
		assert_int_equal(l.b.lane.drops[DROP_SOURCE], refused);
		lanes_clear(&l, &l.b);
	}
}

#define with_session(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(there),
		with_session(what_is_not_babels),
		with_session(a_peer_without),
		with_session(rings_are_bounded),
		with_session(one_too_long),
		with_session(no_session),
		with_session(before_the_queue),
		with_session(the_peer_goes),
		with_session(a_full_output),
		with_session(errors_of_the_nameless),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
