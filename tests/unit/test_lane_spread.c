/* SPDX-License-Identifier: MIT */
/* Sub-sessions of one peer in several lanes: whose they are, which flows go on them, and what any lane can do for all. */
#include "lane_stream.h"

#include "crypto/aead.h"
#include "wire/ip.h"

static struct lanes l;

static struct endpoint place(unsigned int i)
{
	struct endpoint e;

	assert_true(endpoint_parse("[2001:db8::77]:4000", &e));
	e.port = (uint16_t)(e.port + i);
	return e;
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

/*
 * Several lanes.
 */

enum { COUNT = 3, HOME = 1, MANY = 9 };

static struct lane lanes[COUNT];
static struct lpm allowed;
static struct lane_peer peer;
static struct keypair *remote;

static int setup_lanes(void **state)
{
	uint32_t index = 0x550000 | HOME << WG_INDEX_LANE_SHIFT;
	struct ip_prefix prefix = lanes_prefix("10.0.0.2");

	(void)state;
	memset(&l, 0, sizeof(l));
	l.now.mono_us = LANES_START_US;
	memset(&peer, 0, sizeof(peer));
	peer.dscp = DSCP_NONE;
	assert_true(links_init(&peer, HOME, COUNT));
	assert_true(lpm_insert(&allowed, &prefix, &peer));
	for (unsigned int i = 0; i < COUNT; i++)
		assert_true(lane_init(&lanes[i], i, COUNT, &allowed, lanes_flow_key));
	peer.links[HOME].path.remote = place(0);
	links_spread_path(lanes, COUNT, &peer);
	assert_true(links_install(lanes, COUNT, &peer, lanes_keypair(index, 0x660000, true, 3, l.now.mono_us)));
	remote = lanes_keypair(0x660000, index, false, 3, l.now.mono_us);
	assert_true(links_open_subs(lanes, COUNT, &peer, MANY) && keypair_open_subs(remote, MANY));
	peer.mesh = true;
	for (unsigned int i = 1; i <= MANY; i++)
		peer.subs[i] = (struct lane_sub){ .path.remote = place(i), .port = (uint8_t)i };
	return 0;
}

static int teardown_lanes(void **state)
{
	(void)state;
	lanes_release(&l.batch);
	lpm_clear(&allowed);
	links_done(lanes, COUNT, &peer);
	keypair_free(remote);
	for (unsigned int i = 0; i < COUNT; i++) {
		assert_int_equal(lanes[i].small.used + lanes[i].slots.used + lanes[i].indices.count, 0);
		lane_done(&lanes[i]);
	}
	return 0;
}

/* Sub-session i is lane i mod lanes', 0 and the control one are the home's. */
static void whose_is_a_sub_session(void **state)
{
	(void)state;
	for (unsigned int count = 1; count <= LANES_MAX; count++)
		for (unsigned int home = 0; home < count; home++)
			for (uint32_t i = 0; i < SUB_SESSIONS; i++) {
				uint32_t index = 0x12345000 | home << WG_INDEX_LANE_SHIFT | i;

				assert_int_equal(lane_of_index(index, count), i == 0 || i == SUB_SESSION_CONTROL ? home : i % count);
			}
}

/* A lane puts flows on sub-sessions of its own, and hands over what has none: its flows are the home's. */
static void flows_stay_in_their_lane(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= MANY; i++) {
		links_set_usable(lanes, COUNT, &peer, i, true);
		assert_true(links_usable(&peer, COUNT, i));
	}
	for (unsigned int lane = 0; lane < COUNT; lane++) {
		const struct lane_out *out;
		unsigned int seen = 0;

		for (uint16_t i = 0; i < 5; i++)
			add_packet(4, (uint16_t)(100 * lane + i), 0, 50);
		lane_from_tun(&lanes[lane], l.now, l.batch.packets, 5);
		out = lane_out(&lanes[lane]);
		for (size_t i = 0; i < 3; i++) {
			unsigned int number = wg_data_receiver(out->dgrams[i].data) & WG_INDEX_SUB_SESSION;

			assert_int_equal(number % COUNT, lane);
			assert_int_equal(out->dgrams[i].port, number);
			assert_false(seen >> number & 1);
			seen |= 1U << number;
		}
		assert_int_equal(out->handover_count, lane == HOME ? 0 : 2);
		assert_int_equal(out->dgram_count, lane == HOME ? 5 : 3);
		if (lane == HOME)
			assert_int_equal(wg_data_receiver(out->dgrams[4].data) & WG_INDEX_SUB_SESSION, 0);
		else
			assert_ptr_equal(out->handovers[0].packet.data, l.batch.packets[3].data);
		lane_out_clear(&lanes[lane]);
		lanes_release(&l.batch);
	}
}

/* What waits for a sub-session that is lost meanwhile goes by another or by session 0; where that is not at home there is no way. */
static void lost_while_it_waits(void **state)
{
	(void)state;
	for (unsigned int lane = 0; lane < COUNT; lane++) {
		unsigned int number = lane ? lane : COUNT;

		links_set_usable(lanes, COUNT, &peer, number, true);
		lane_set_bypass(&lanes[lane], false);
		for (int i = 0; i < 3; i++) {
			add_packet(4, 1, 0, 50);
			lane_from_tun(&lanes[lane], l.now, l.batch.packets, 1);
			lanes_release(&l.batch);
		}
		assert_int_equal(peer.links[lane].tin.items, 3);
		lane_drain(&lanes[lane], l.now, 1);
		assert_int_equal(lane_out(&lanes[lane])->dgram_count, 1);
		assert_int_equal(lane_out(&lanes[lane])->dgrams[0].port, number);
		lane_out_clear(&lanes[lane]);
		links_set_usable(lanes, COUNT, &peer, number, false);
		assert_false(lane_drain(&lanes[lane], l.now, UINT32_MAX));
		assert_int_equal(lane_out(&lanes[lane])->dgram_count, lane == HOME ? 2 : 0);
		if (lane == HOME)
			assert_int_equal(wg_data_receiver(lane_out(&lanes[lane])->dgrams[0].data) & WG_INDEX_SUB_SESSION, 0);
		assert_int_equal(lanes[lane].drops[DROP_NO_SESSION], lane == HOME ? 0 : 2);
		lane_out_clear(&lanes[lane]);
	}
	/* One that was made usable again in its place takes it. */
	links_set_usable(lanes, COUNT, &peer, 2, true);
	add_packet(4, 1, 0, 50);
	lane_from_tun(&lanes[2], l.now, l.batch.packets, 1);
	lanes_release(&l.batch);
	links_set_usable(lanes, COUNT, &peer, 2, false);
	links_set_usable(lanes, COUNT, &peer, 5, true);
	lane_drain(&lanes[2], l.now, UINT32_MAX);
	assert_int_equal(lane_out(&lanes[2])->dgrams[0].port, 5);
	lane_out_clear(&lanes[2]);
}

/*
 * A flow that paused loses its sub-session to another one while no more are open: what of it waits in a lane that is not the home's
 * goes by it all the same.
 */
static void taken_while_it_waits(void **state)
{
	enum { LANE = 2 };

	(void)state;
	links_set_usable(lanes, COUNT, &peer, LANE, true);
	lane_set_bypass(&lanes[LANE], false);
	for (int i = 0; i < 3; i++) {
		add_packet(4, 1, 0, 50);
		lane_from_tun(&lanes[LANE], l.now, l.batch.packets, 1);
		lanes_release(&l.batch);
	}
	l.now.mono_us += 200000;
	add_packet(4, 2, 0, 50);
	lane_from_tun(&lanes[LANE], l.now, l.batch.packets, 1);
	lanes_release(&l.batch);
	assert_int_equal(peer.links[LANE].tin.items, 4);
	lane_drain(&lanes[LANE], l.now, UINT32_MAX);
	assert_int_equal(lanes[LANE].drops[DROP_NO_SESSION], 0);
	assert_int_equal(lane_out(&lanes[LANE])->dgram_count, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(lane_out(&lanes[LANE])->dgrams[i].port, LANE);
	lane_out_clear(&lanes[LANE]);
}

static void messages_find_their_lane(void **state)
{
	(void)state;
	for (unsigned int number = 0; number < SUB_SESSIONS; number = number == MANY ? SUB_SESSION_CONTROL : number + 1) {
		struct subsession *s = keypair_sub(remote, number);
		unsigned int right = lane_of_index(remote->remote_index | number, COUNT), lane = (right + 1) % COUNT;
		uint64_t before = peer.links[lane].rx_bytes;
		uint8_t msg[WG_DATA_MIN];
		struct dgram stray;

		wg_data_header_write(msg, remote->remote_index | number, s->counter);
		aead_seal(s->sealer, s->counter++, msg + WG_DATA_HEADER, (const uint8_t *)"", 0);
		lanes_add(&l.batch, msg, sizeof(msg));
		l.batch.dgrams[0].path.remote = place(number);
		l.batch.dgrams[0].port = 3;
		lane_from_udp(&lanes[lane], l.now, l.batch.dgrams, 1);
		assert_int_equal(lane_out(&lanes[lane])->stray_count, 1);
		stray = lane_out(&lanes[lane])->strays[0];
		assert_int_equal(stray.port, 3);
		lane_out_clear(&lanes[lane]);
		assert_int_equal(peer.links[lane].rx_bytes, before);
		lane_from_udp(&lanes[right], l.now, &stray, 1);
		assert_int_equal(lane_out(&lanes[right])->stray_count, 0);
		if (number && number != SUB_SESSION_CONTROL)
			assert_int_equal(peer.subs[number].heard_us, l.now.mono_us);
		lane_out_clear(&lanes[right]);
		lanes_release(&l.batch);
	}
	for (unsigned int i = 0; i < COUNT; i++)
		for (int r = 0; r < DROP_REASONS; r++)
			assert_int_equal(lanes[i].drops[r], 0);
}

/* The keypair is everybody's before anybody sends with it, and a message to any lane confirms it for all. */
static void any_lane_confirms(void **state)
{
	struct keypair *old = peer.session.current, *k;
	uint8_t msg[WG_DATA_MIN];

	(void)state;
	k = lanes_keypair(0x770000 | HOME << WG_INDEX_LANE_SHIFT, 0x880000, false, 9, l.now.mono_us);
	assert_true(keypair_open_subs(k, MANY));
	assert_true(links_install(lanes, COUNT, &peer, k));
	keypair_free(remote);
	remote = lanes_keypair(0x880000, k->local_index, true, 9, l.now.mono_us);
	assert_true(keypair_open_subs(remote, MANY));
	for (unsigned int i = 0; i < COUNT; i++) {
		assert_ptr_equal(peer.links[i].current, old);
		assert_ptr_equal(peer.links[i].next, k);
		assert_ptr_equal(u32map_get(&lanes[i].indices, k->local_index), k);
	}
	wg_data_header_write(msg, remote->remote_index | 2, 0);
	aead_seal(keypair_sub(remote, 2)->sealer, 0, msg + WG_DATA_HEADER, (const uint8_t *)"", 0);
	lanes_add(&l.batch, msg, sizeof(msg));
	lane_from_udp(&lanes[2], l.now, l.batch.dgrams, 1);
	lane_out_clear(&lanes[2]);
	assert_ptr_equal(peer.links[2].current, k);
	assert_ptr_equal(peer.links[0].current, old);
	assert_true(lane_urgent(&lanes[2]));
	links_confirm(lanes, COUNT, &peer);
	for (unsigned int i = 0; i < COUNT; i++) {
		assert_ptr_equal(peer.links[i].current, k);
		assert_null(peer.links[i].next);
	}
	assert_ptr_equal(peer.session.previous, old);
	links_confirm(lanes, COUNT, &peer);
	assert_ptr_equal(peer.session.current, k);
}

/* With one lane or several: every number has a place, and it is its own. */
static void places_of_all_numbers(void **state)
{
	(void)state;
	for (unsigned int count = 1; count <= COUNT; count++) {
		struct lane_peer p = { .mesh = true };

		assert_true(links_init(&p, 0, count));
		for (unsigned int i = 1; i <= SUB_SESSIONS_MAX; i++) {
			assert_true(links_open_subs(lanes, count, &p, i));
			assert_int_equal(p.sub_count, i);
			links_set_usable(lanes, count, &p, i, true);
			for (unsigned int k = 1; k <= i; k++)
				assert_true(links_usable(&p, count, k));
		}
		for (unsigned int i = 2; i <= SUB_SESSIONS_MAX; i += 2)
			links_set_usable(lanes, count, &p, i, false);
		for (unsigned int i = 1; i <= SUB_SESSIONS_MAX; i++)
			assert_true(links_usable(&p, count, i) == i % 2);
		assert_true(links_open_subs(lanes, count, &p, 3));
		assert_int_equal(p.sub_count, SUB_SESSIONS_MAX);	/* what is there stays */
		links_done(lanes, count, &p);
	}
}

#define with_lanes(test) cmocka_unit_test_setup_teardown(test, setup_lanes, teardown_lanes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_lanes(whose_is_a_sub_session),
		with_lanes(flows_stay_in_their_lane),
		with_lanes(lost_while_it_waits),
		with_lanes(taken_while_it_waits),
		with_lanes(messages_find_their_lane),
		with_lanes(any_lane_confirms),
		with_lanes(places_of_all_numbers),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
