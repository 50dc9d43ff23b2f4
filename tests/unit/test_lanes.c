/* SPDX-License-Identifier: MIT */
/*
 * Several lanes of one node: what one reads for another, what is steered wrongly, the gates between them and the control plane,
 * and each reason for a drop that a lane counts.
 */
#include "lane_stream.h"

#include "crypto/aead.h"
#include "transport/cookie.h"
#include "transport/rekey.h"

enum { COUNT = 3 };

static struct lane lanes[COUNT];
static struct lpm allowed;
static struct lane_peer peers[COUNT];		/* 10.0.0.N + 1, at home in lane N */
static struct keypair *remote[COUNT];		/* the other ends of their sessions */
static struct instant now;
static struct lanes_batch batch;

/* The index that lane 'home' would give out. */
static uint32_t index_of(unsigned int home)
{
	return 0x10000u * (home + 1) | home << WG_INDEX_LANE_SHIFT;
}

static struct endpoint place(unsigned int i)
{
	struct endpoint e;

	assert_true(endpoint_parse("192.0.2.1:1000", &e));
	e.port = (uint16_t)(e.port + i);
	return e;
}

static void give_session(unsigned int i)
{
	uint8_t seed = (uint8_t)(20 * i + 3);

	assert_true(links_install(lanes, COUNT, &peers[i], lanes_keypair(index_of(i), i, true, seed, now.mono_us)));
	keypair_free(remote[i]);
	remote[i] = lanes_keypair(i, index_of(i), false, seed, now.mono_us);
}

static int setup(void **state)
{
	(void)state;
	now = (struct instant){ .mono_us = LANES_START_US, .wall_ns = 1 };
	for (unsigned int i = 0; i < COUNT; i++) {
		struct ip_prefix p = { .addr = { IP_V4, { 10, 0, 0, (uint8_t)(i + 1) } }, .len = 32 };

		assert_true(lane_init(&lanes[i], i, COUNT, &allowed, lanes_flow_key));
		memset(&peers[i], 0, sizeof(peers[i]));
		peers[i].dscp = DSCP_NONE;
		assert_true(links_init(&peers[i], i, COUNT));
		peers[i].links[i].path.remote = place(i);
		assert_true(lpm_insert(&allowed, &p, &peers[i]));
	}
	return 0;
}

static int setup_with_sessions(void **state)
{
	setup(state);
	for (unsigned int i = 0; i < COUNT; i++)
		give_session(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_release(&batch);
	lpm_clear(&allowed);
	for (unsigned int i = 0; i < COUNT; i++)
		links_done(lanes, COUNT, &peers[i]);
	for (unsigned int i = 0; i < COUNT; i++) {
		assert_int_equal(lanes[i].small.used + lanes[i].slots.used + lanes[i].indices.count, 0);
		assert_int_equal(lanes[i].gate_depth, 0);
		lane_done(&lanes[i]);
		keypair_free(remote[i]);
		remote[i] = NULL;
	}
	return 0;
}

static void add_for(unsigned int i, uint8_t tag)
{
	lanes_add_packet(&batch, 100, (uint8_t)(i + 1), tag);
}

/* A packet that peer 'i' sealed, into the batch. */
static void add_sealed(unsigned int i, uint8_t tag)
{
	struct keypair *k = remote[i];
	uint8_t plain[64] = { 0 }, msg[16 + 64 + 16];

	lanes_packet(plain, 60, IP_V4, (uint8_t)(i + 1), 100, tag);
	wg_data_header_write(msg, k->remote_index, k->zero.counter);
	aead_seal(k->zero.sealer, k->zero.counter++, msg + WG_DATA_HEADER, plain, sizeof(plain));
	lanes_add(&batch, msg, sizeof(msg));
	batch.dgrams[batch.count - 1].path.remote = place(i);
}

static uint64_t drops(const struct lane *l)
{
	uint64_t sum = 0;

	for (int i = 0; i < DROP_REASONS; i++)
		sum += l->drops[i];
	return sum;
}

static void clear(void)
{
	for (unsigned int i = 0; i < COUNT; i++)
		lane_out_clear(&lanes[i]);
	lanes_release(&batch);
}

/*
 * Handovers.
 */

/* A batch for all lanes, read by one: it seals its own and hands over the others', in order, untouched and uncopied. */
static void read_for_others(void **state)
{
	const struct lane_out *out;
	struct handover mine[PACKET_BATCH];
	size_t count;

	(void)state;
	for (uint8_t i = 0; i < 30; i++)
		add_for(i % COUNT, i);
	lane_from_tun(&lanes[1], now, batch.packets, 30);
	out = lane_out(&lanes[1]);
	assert_int_equal(out->dgram_count, 10);
	assert_int_equal(out->handover_count, 20);
	for (size_t i = 0; i < 20; i++) {
		size_t place_in_batch = i / 2 * 3 + (i % 2 ? 2 : 0);

		assert_ptr_equal(out->handovers[i].packet.data, batch.packets[place_in_batch].data);
		assert_int_equal(out->handovers[i].packet.len, 60);
		assert_ptr_equal(out->handovers[i].peer, &peers[i % 2 ? 2 : 0]);
	}
	assert_int_equal(lanes[1].tx_packets, 10);
	assert_int_equal(peers[0].links[0].tx_bytes + peers[2].links[2].tx_bytes, 0);
	count = out->handover_count;
	memcpy(mine, out->handovers, sizeof(mine[0]) * count);
	lane_out_clear(&lanes[1]);
	assert_int_equal(lane_out(&lanes[1])->handover_count, 0);
	/* Each home seals what is its own. */
	for (size_t i = 0; i < count; i++)
		lane_from_lane(&lanes[mine[i].peer->home], now, &mine[i], 1);
	for (unsigned int i = 0; i < COUNT; i += 2) {
		out = lane_out(&lanes[i]);
		assert_int_equal(out->dgram_count, 10);
		assert_int_equal(out->handover_count, 0);
		assert_int_equal(lanes[i].tx_packets, 10);
		for (size_t k = 0; k < 10; k++) {
			const struct dgram *d = &out->dgrams[k];
			uint8_t plain[64];

			assert_int_equal(wg_data_counter(d->data), k);
			assert_true(aead_open(remote[i]->zero.opener, k, plain, d->data + WG_DATA_HEADER, d->len - WG_DATA_HEADER));
			assert_int_equal(plain[20], (uint8_t)(3 * k + i + 20));
		}
	}
	clear();
}

/* Only so many are handed over before the output is sent. */
static void handovers_are_bounded(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < PACKET_BATCH; i++)
		add_for(2, i);
	lane_from_tun(&lanes[0], now, batch.packets, PACKET_BATCH);
	assert_int_equal(lane_out(&lanes[0])->handover_count, PACKET_BATCH);
	assert_int_equal(drops(&lanes[0]), 0);
	lane_from_tun(&lanes[0], now, batch.packets, 5);
	assert_int_equal(lane_out(&lanes[0])->handover_count, PACKET_BATCH);
	assert_int_equal(lanes[0].drops[DROP_QUEUE_FULL], 5);
	lane_out_clear(&lanes[0]);
	lane_from_tun(&lanes[0], now, batch.packets, 3);
	assert_int_equal(lane_out(&lanes[0])->handover_count, 3);
	assert_int_equal(drops(&lanes[0]), 5);
	clear();
}

/* What happens to a packet happens in its home: it waits there, and is refused there; the reader knows nothing of it. */
static void handed_over_without_session(void **state)
{
	struct handover h[3];

	(void)state;
	for (uint8_t i = 0; i < 3; i++)
		add_for(2, i);
	lane_from_tun(&lanes[0], now, batch.packets, 3);
	memcpy(h, lane_out(&lanes[0])->handovers, sizeof(h));
	lane_from_lane(&lanes[2], now, h, 1);
	assert_int_equal(peers[2].links[2].tin.items, 1);
	assert_int_equal(lanes[2].small.used, 1);
	assert_int_equal(lanes[0].small.used, 0);
	assert_true(lane_urgent(&lanes[2]));
	assert_false(lane_urgent(&lanes[0]));
	peers[2].endpoint_loops = true;
	lane_from_lane(&lanes[2], now, h + 1, 1);
	peers[2].endpoint_loops = false;
	peers[2].links[2].path.remote = (struct endpoint){ .port = 0 };
	lane_from_lane(&lanes[2], now, h + 2, 1);
	assert_int_equal(lanes[2].drops[DROP_ENDPOINT_LOOP], 1);
	assert_int_equal(lanes[2].drops[DROP_NO_ENDPOINT], 1);
	assert_int_equal(lane_out(&lanes[2])->write_count, 2);
	assert_int_equal(drops(&lanes[0]), 0);
	clear();
	/* What waited is sent by its home. */
	peers[2].links[2].path.remote = place(2);
	give_session(2);
	lane_kick(&lanes[2], &peers[2].links[2]);
	assert_false(lane_drain(&lanes[2], now, UINT32_MAX));
	assert_int_equal(lane_out(&lanes[2])->dgram_count, 1);
	clear();
}

/* Super-packets handed over, more than the home's output holds: the rest waits, and goes on where it stopped. */
static void handed_over_super_packets(void **state)
{
	struct stream_flow flow;
	struct handover h[8];
	size_t messages = 0, rounds = 0;
	bool more = true;

	(void)state;
	stream_init(&flow, 4, 6, 1000, 100, 3);
	for (int i = 0; i < 8; i++)
		stream_add(&batch, &flow, 60000);
	lane_from_tun(&lanes[0], now, batch.packets, 8);
	memcpy(h, lane_out(&lanes[0])->handovers, sizeof(h));
	assert_int_equal(h[0].packet.vnet.gso_size, 1000);
	lane_set_offloads(&lanes[2], 63, false);
	lane_set_bypass(&lanes[2], false);
	lane_from_lane(&lanes[2], now, h, 8);
	clear();	/* the reader's memory is its own again */
	for (; more; rounds++) {
		const struct lane_out *out;

		more = lane_drain(&lanes[2], now, UINT32_MAX);
		out = lane_out(&lanes[2]);
		for (size_t i = 0; i < out->dgram_count; i++)
			for (uint32_t at = 0; at < out->dgrams[i].len; at += out->dgrams[i].segment, messages++) {
				const uint8_t *d = out->dgrams[i].data + at;
				uint8_t plain[1056];

				assert_true(aead_open(remote[2]->zero.opener, messages, plain, d + WG_DATA_HEADER, 1040 + AEAD_TAG));
				stream_take(&flow, plain, 1040);
			}
		lane_out_clear(&lanes[2]);
	}
	assert_true(rounds >= 2);
	assert_int_equal(messages, 8 * 60);
	stream_assert_complete(&flow);
	stream_done(&flow);
	clear();
}

/*
 * Strays.
 */

static void steered_wrongly(void **state)
{
	const struct lane_out *out;

	(void)state;
	add_sealed(0, 1);
	add_sealed(1, 2);
	add_sealed(2, 3);
	batch.dgrams[1].path.ifindex = 9;
	lane_from_udp(&lanes[0], now, batch.dgrams, 3);
	out = lane_out(&lanes[0]);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->stray_count, 2);
	assert_int_equal(drops(&lanes[0]), 0);
	assert_ptr_equal(out->strays[0].data, batch.dgrams[1].data);
	assert_int_equal(out->strays[0].len, batch.dgrams[1].len);
	assert_int_equal(out->strays[0].segment, 0);
	assert_true(path_addr_equal(&out->strays[0].path, &batch.dgrams[1].path));
	assert_int_equal(wg_index_lane(wg_data_receiver(out->strays[1].data)), 2);
	/* The right lane takes it as if it had come there. */
	lane_from_udp(&lanes[1], now, &out->strays[0], 1);
	assert_int_equal(lane_out(&lanes[1])->write_count, 1);
	assert_int_equal(lanes[1].rx_packets, 1);
	assert_int_equal(peers[1].links[1].path.ifindex, 9);
	lane_out_clear(&lanes[0]);
	assert_int_equal(lane_out(&lanes[0])->stray_count, 0);
	clear();
}

/* Indices that are not there, of our own lane and, of three lanes, the fourth; and passed on, it is not passed on again. */
static void strays_to_nowhere(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		static const uint32_t indices[] = { 0x990000, 0x990300, 0x990003, 0x990100 };

		add_sealed(0, 0);
		put_le32(batch.dgrams[i].data + 4, indices[i]);
	}
	lane_from_udp(&lanes[0], now, batch.dgrams, 4);
	assert_int_equal(lanes[0].drops[DROP_NO_INDEX], 3);
	assert_int_equal(lane_out(&lanes[0])->stray_count, 1);
	lane_from_udp(&lanes[1], now, lane_out(&lanes[0])->strays, 1);
	assert_int_equal(lane_out(&lanes[1])->stray_count, 0);
	assert_int_equal(lanes[1].drops[DROP_NO_INDEX], 1);
	clear();
}

/* GRO puts together what belongs to different lanes; more strays than there is room for are counted. */
static void strays_of_a_gro_datagram(void **state)
{
	enum { MESSAGE = 96, MESSAGES = LANE_STRAYS_MAX + 30 };
	uint8_t gro[MESSAGE * (MESSAGES + 1)];
	const struct lane_out *out;

	(void)state;
	for (size_t i = 0; i <= MESSAGES; i++) {
		add_sealed(i == 40 ? 0 : 1, (uint8_t)i);
		memcpy(gro + MESSAGE * i, batch.dgrams[0].data, MESSAGE);
		lanes_release(&batch);
	}
	lanes_add(&batch, gro, sizeof(gro));
	batch.dgrams[0].segment = MESSAGE;
	batch.dgrams[0].path.remote = place(1);
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	out = lane_out(&lanes[0]);
	assert_int_equal(out->write_count, 1);
	assert_int_equal(out->stray_count, LANE_STRAYS_MAX);
	assert_int_equal(lanes[0].drops[DROP_NO_INDEX], 30);
	for (size_t i = 0; i < out->stray_count; i++) {
		assert_int_equal(out->strays[i].len, MESSAGE);
		assert_int_equal(out->strays[i].segment, 0);
	}
	lane_from_udp(&lanes[1], now, out->strays, out->stray_count);
	assert_int_equal(lane_out(&lanes[1])->write_count, LANE_STRAYS_MAX);
	assert_int_equal(drops(&lanes[1]), 0);
	clear();
}

/*
 * Gates.
 */

static struct {
	size_t closed, opened;
	bool is_closed;
} gate;

static void gate_close(void *ctx)
{
	assert_ptr_equal(ctx, &gate);
	assert_false(gate.is_closed);
	gate.is_closed = true;
	gate.closed++;
}

static void gate_open(void *ctx)
{
	assert_ptr_equal(ctx, &gate);
	assert_true(gate.is_closed);
	gate.is_closed = false;
	gate.opened++;
}

static void assert_gate(size_t times)
{
	assert_int_equal(gate.closed, times);
	assert_int_equal(gate.opened, times);
	assert_false(gate.is_closed);
	gate.closed = gate.opened = 0;
}

/* Every function of the control plane's that touches a lane. */
static void change_lane(int which)
{
	struct lane *l = &lanes[0];
	struct lane_peer *p = &peers[0];
	struct lane_link *k = &p->links[0];
	struct path_addr path = { .remote = place(7) };
	struct lane_handshake h;
	struct lane_control c;
	unsigned int events;
	size_t waiting;

	switch (which) {
	case 0:
		assert_true(links_install(lanes, COUNT, p, lanes_keypair(0x550000, 1, true, 1, now.mono_us)));
		break;
	case 1:
		links_confirm(lanes, COUNT, p);
		break;
	case 2:
		links_clear(lanes, COUNT, p);
		break;
	case 3:
		lane_kick(l, k);
		break;
	case 4:
		lane_want_keepalive(l, k);
		break;
	case 5:
		lane_drop_held(l, k, DROP_NO_SESSION, true);
		break;
	case 6:
		lane_quiet(l, k);
		break;
	case 7:
		lane_set_path(l, k, &path);
		break;
	case 8:
		lane_kick(l, k);
		break;
	case 9:
		assert_false(lane_take_handshake(l, &h, &waiting));
		break;
	case 10:
		assert_false(lane_take_control(l, &c));
		break;
	case 11:
		assert_true(lane_send_control(l, k, SUB_SESSION_CONTROL, 0, (const uint8_t *)"", 1));
		break;
	case 12:
		assert_true(links_open_subs(lanes, COUNT, p, 9));
		break;
	case 13:
		links_set_usable(lanes, COUNT, p, 3, true);
		break;
	case 14:
		links_spread_path(lanes, COUNT, p);
		break;
	case 15:
		while (lane_next_noted(l, &events))
			;
		break;
	default:
		lane_remove_link(l, k);
		break;
	}
}

enum { CHANGES = 17 };

static void changes_close_the_gate(void **state)
{
	(void)state;
	lanes[0].gate = (struct lane_gate){ .close = gate_close, .open = gate_open, .ctx = &gate };
	memset(&gate, 0, sizeof(gate));
	for (int i = 0; i < CHANGES; i++) {
		print_message("change %d\n", i);
		change_lane(i);
		assert_gate(1);
	}
	/* Several of them under one. */
	lane_close(&lanes[0]);
	assert_true(gate.is_closed);
	for (int i = 0; i < CHANGES; i++) {
		change_lane(i);
		assert_true(gate.is_closed);
	}
	lane_close(&lanes[0]);
	lane_open(&lanes[0]);
	assert_true(gate.is_closed);
	lane_open(&lanes[0]);
	assert_gate(1);
	/* The packet path never does: it is on the other side. */
	give_session(0);
	assert_gate(1);
	add_for(0, 0);
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	clear();
	add_sealed(0, 0);
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	lane_drain(&lanes[0], now, UINT32_MAX);
	lane_out(&lanes[0]);
	clear();
	lane_count_udp_refused(&lanes[0], 0);
	lane_urgent(&lanes[0]);
	assert_gate(0);
	lanes[0].gate = (struct lane_gate){ .close = NULL };
}

/*
 * What cannot wait.
 */

static unsigned int take_events(unsigned int i)
{
	unsigned int events, all = 0;
	struct lane_link *k;

	while ((k = lane_next_noted(&lanes[i], &events))) {
		assert_ptr_equal(k, &peers[i].links[i]);
		all |= events;
	}
	return all;
}

static void urgent_events(void **state)
{
	(void)state;
	/* Data moves timers of seconds: nobody is woken for it. */
	add_for(0, 0);
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	clear();
	add_sealed(0, 0);
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	clear();
	assert_false(lane_urgent(&lanes[0]));
	assert_true(take_events(0) & LANE_DATA_RECEIVED);
	/* A peer that moved is looked at. */
	add_sealed(0, 0);
	batch.dgrams[0].path.remote = place(50);
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	clear();
	assert_true(lane_urgent(&lanes[0]));
	assert_false(lane_urgent(&lanes[1]));
	assert_true(take_events(0) & LANE_ROAMED);
	assert_false(lane_urgent(&lanes[0]));
	/* A key that grows old... */
	now.mono_us += REKEY_AFTER_S * US_PER_S;
	add_for(0, 0);
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	clear();
	assert_true(lane_urgent(&lanes[0]));
	assert_true(take_events(0) & LANE_REKEY_SENDING);
	/* ...also while only receiving... */
	now.mono_us += 50 * US_PER_S;
	add_sealed(0, 0);
	batch.dgrams[0].path.remote = place(50);
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	clear();
	assert_true(lane_urgent(&lanes[0]));
	assert_true(take_events(0) & LANE_REKEY_RECEIVING);
	/* ...and none. */
	now.mono_us += 50 * US_PER_S;
	add_for(0, 0);
	lane_from_tun(&lanes[0], now, batch.packets, 1);
	clear();
	assert_true(lane_urgent(&lanes[0]));
	assert_int_equal(take_events(0), LANE_NEED_SESSION);
	assert_false(lane_urgent(&lanes[0]));
}

static void urgent_confirmation_and_handshakes(void **state)
{
	static struct cookie_checker checker;
	uint8_t key[KEY_LEN] = { 9 }, msg[WG_INITIATION_LEN] = { WG_INITIATION };
	struct cookie_maker maker;
	struct lane_handshake h;
	size_t waiting;

	(void)state;
	/* The first packet on a keypair we answered for. */
	assert_true(links_install(lanes, COUNT, &peers[0], lanes_keypair(index_of(0), 0, false, 9, now.mono_us)));
	remote[0] = lanes_keypair(0, index_of(0), true, 9, now.mono_us);
	add_sealed(0, 0);
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	clear();
	assert_true(lane_urgent(&lanes[0]));
	assert_true(take_events(0) & LANE_CONFIRMED);
	assert_false(lane_urgent(&lanes[0]));
	/* A handshake message, until it is taken. */
	cookie_checker_set_key(&checker, key);
	cookie_maker_init(&maker, key);
	lanes[0].checker = &checker;
	cookie_maker_sign(&maker, msg, sizeof(msg), now.mono_us);
	lanes_add(&batch, msg, sizeof(msg));
	lane_from_udp(&lanes[0], now, batch.dgrams, 1);
	clear();
	assert_true(lane_urgent(&lanes[0]));
	assert_int_equal(take_events(0), 0);
	assert_true(lane_urgent(&lanes[0]));
	assert_true(lane_take_handshake(&lanes[0], &h, &waiting));
	assert_false(lane_urgent(&lanes[0]));
}

/* A peer that is noted again while its events are dealt with is there the next time, with what is new. */
static void noted_while_taken(void **state)
{
	unsigned int events;

	(void)state;
	lane_want_keepalive(&lanes[0], &peers[0].links[0]);
	lane_drain(&lanes[0], now, UINT32_MAX);
	assert_ptr_equal(lane_next_noted(&lanes[0], &events), &peers[0].links[0]);
	assert_int_equal(events, LANE_NEED_SESSION);
	lane_set_path(&lanes[0], &peers[0].links[0], &(struct path_addr){ .remote = place(9) });
	assert_true(lane_urgent(&lanes[0]));
	assert_null(lane_next_noted(&lanes[0], &events));
	assert_true(lane_urgent(&lanes[0]));
	assert_int_equal(take_events(0), LANE_ROAMED);
	assert_false(lane_urgent(&lanes[0]));
}

/*
 * Reasons. (Those of handshakes are the node's, and in test_node.c.)
 */

static void tun(void)
{
	lane_from_tun(&lanes[0], now, batch.packets, batch.count);
	clear();
}

static void udp(void)
{
	lane_from_udp(&lanes[0], now, batch.dgrams, batch.count);
	clear();
}

static struct cookie_checker nobodys;

/* Make one message from outside, before a peer is known, end for that reason. False: it is no such reason. */
static bool provoke_outside(enum drop_reason reason)
{
	uint8_t handshake[WG_INITIATION_LEN] = { WG_INITIATION };

	switch ((int)reason) {
	case DROP_NOT_WIREGUARD:
		lanes_add(&batch, "junk", 4);
		udp();
		break;
	case DROP_BAD_MAC1:
		cookie_checker_set_key(&nobodys, (const uint8_t[KEY_LEN]){ 1 });
		lanes[0].checker = &nobodys;
		lanes_add(&batch, handshake, sizeof(handshake));
		udp();
		lanes[0].checker = NULL;
		break;
	case DROP_NO_IDENTITY:
		lanes_add(&batch, handshake, sizeof(handshake));
		udp();
		break;
	case DROP_HANDSHAKE_QUEUE:
		lanes[0].checker = &nobodys;
		lanes[0].handshake_count = LANE_HANDSHAKES_MAX;
		memset(handshake, 0, sizeof(handshake));
		handshake[0] = WG_COOKIE_REPLY;
		lanes_add(&batch, handshake, WG_COOKIE_REPLY_LEN);
		udp();
		lanes[0].checker = NULL;
		lanes[0].handshake_count = 0;
		break;
	case DROP_NO_INDEX:
		add_sealed(0, 0);
		put_le32(batch.dgrams[0].data + 4, 0x330000);
		udp();
		break;
	default:
		return false;
	}
	return true;
}

/* Any plaintext of 64 bytes, sealed by peer 0. */
static void seal_bytes(const uint8_t plain[64])
{
	add_sealed(0, 0);
	wg_data_header_write(batch.dgrams[0].data, index_of(0), remote[0]->zero.counter);
	aead_seal(remote[0]->zero.sealer, remote[0]->zero.counter++, batch.dgrams[0].data + WG_DATA_HEADER, plain, 64);
}

/* What the queue in front of the opening drops. */
static void overload(void)
{
	size_t items_max = lanes[0].queue_in.limits.items_max;

	lanes[0].queue_in.limits.items_max = 0;
	add_sealed(0, 0);
	lane_queue_udp(&lanes[0], now, batch.dgrams, batch.count);
	lanes[0].queue_in.limits.items_max = items_max;
	clear();
}

/* The same for a peer's message. */
static bool provoke_inbound(enum drop_reason reason)
{
	switch ((int)reason) {
	case DROP_FORGED:
		add_sealed(0, 0);
		batch.dgrams[0].data[20] ^= 1;
		udp();
		break;
	case DROP_REPLAYED:
		add_sealed(0, 0);
		lanes_add(&batch, batch.dgrams[0].data, batch.dgrams[0].len);
		batch.dgrams[1].path.remote = place(0);
		udp();
		break;
	case DROP_KEY_EXPIRED:
		add_sealed(0, 0);
		now.mono_us += REJECT_AFTER_S * US_PER_S;
		udp();
		now.mono_us -= REJECT_AFTER_S * US_PER_S;
		break;
	case DROP_BAD_INNER:
		seal_bytes((const uint8_t[64]){ 0x70 });
		udp();
		break;
	case DROP_CONTROL_QUEUE:
		lanes[0].control_count = LANE_CONTROLS_MAX;
		seal_bytes((const uint8_t[64]){ 0 });
		udp();
		lanes[0].control_count = 0;
		break;
	case DROP_ECN:
		peers[0].mesh = peers[0].ecn_in = true;
		add_sealed(0, 0);
		batch.dgrams[0].tos = 3;
		udp();
		peers[0].mesh = peers[0].ecn_in = false;
		break;
	case DROP_OVERLOAD:
		overload();
		break;
	case DROP_SOURCE:
		lpm_remove_value(&allowed, &peers[0]);
		add_sealed(0, 0);
		udp();
		assert_true(lpm_insert(&allowed, &(struct ip_prefix){ .addr = { IP_V4, { 10, 0, 0, 1 } }, .len = 32 }, &peers[0]));
		break;
	case DROP_TUN_WRITE:
		lane_count_tun_refused(&lanes[0], 1);
		break;
	default:
		return false;
	}
	return true;
}

/* Packets that waited for more than 100 ms lose one. */
static void wait_too_long(void)
{
	lane_set_bypass(&lanes[0], false);
	for (int i = 0; i < 50; i++) {
		add_for(0, 0);
		tun();
	}
	for (int i = 0; i < 2; i++) {
		now.mono_us += 100 * US_PER_MS;
		lane_drain(&lanes[0], now, 1);
	}
	assert_false(lane_drain(&lanes[0], now, UINT32_MAX));
	now.mono_us -= 200 * US_PER_MS;
	lane_set_bypass(&lanes[0], true);
	clear();
}

/* And for a packet on its way out. */
static bool provoke_outbound(enum drop_reason reason)
{
	switch ((int)reason) {
	case DROP_NO_PEER:
		add_for(77, 0);
		tun();
		break;
	case DROP_NO_ENDPOINT:
		peers[0].links[0].path.remote.addr.family = IP_NONE;
		add_for(0, 0);
		tun();
		peers[0].links[0].path.remote = place(0);
		break;
	case DROP_ENDPOINT_LOOP:
		peers[0].endpoint_loops = true;
		add_for(0, 0);
		tun();
		peers[0].endpoint_loops = false;
		break;
	case DROP_NO_SESSION:
		now.mono_us += REJECT_AFTER_S * US_PER_S;
		add_for(0, 0);
		tun();
		now.mono_us -= REJECT_AFTER_S * US_PER_S;
		lane_drop_held(&lanes[0], &peers[0].links[0], DROP_NO_SESSION, false);
		break;
	case DROP_QUEUE_FULL:
		now.mono_us += REJECT_AFTER_S * US_PER_S;
		for (int i = 0; i <= LANE_HELD_MAX; i++) {
			add_for(0, 0);
			tun();
		}
		now.mono_us -= REJECT_AFTER_S * US_PER_S;
		lane_kick(&lanes[0], &peers[0].links[0]);
		lane_drain(&lanes[0], now, UINT32_MAX);
		clear();
		break;
	case DROP_CODEL:
		wait_too_long();
		break;
	case DROP_BAD_OUTGOING:
		lanes_add(&batch, "no packet", 9);
		tun();
		break;
	case DROP_UDP_SEND:
		lane_count_udp_refused(&lanes[0], 1);
		break;
	default:
		return false;
	}
	return true;
}

/* Each is counted as itself, once, and as nothing else. */
static void every_reason_of_a_lane(void **state)
{
	static const enum drop_reason reasons[] = {
		DROP_NOT_WIREGUARD, DROP_BAD_MAC1, DROP_NO_INDEX, DROP_HANDSHAKE_QUEUE, DROP_NO_IDENTITY, DROP_FORGED,
		DROP_REPLAYED, DROP_KEY_EXPIRED, DROP_BAD_INNER, DROP_SOURCE, DROP_NO_PEER, DROP_NO_ENDPOINT,
		DROP_ENDPOINT_LOOP, DROP_NO_SESSION, DROP_QUEUE_FULL, DROP_BAD_OUTGOING, DROP_UDP_SEND, DROP_TUN_WRITE,
		DROP_ECN, DROP_CONTROL_QUEUE, DROP_OVERLOAD, DROP_CODEL,
	};
	const size_t count = sizeof(reasons) / sizeof(reasons[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		print_message("%s\n", drop_name(reasons[i]));
		assert_true(provoke_outside(reasons[i]) || provoke_inbound(reasons[i]) || provoke_outbound(reasons[i]));
		assert_int_equal(lanes[0].drops[reasons[i]], 1);
		assert_int_equal(drops(&lanes[0]), i + 1);
	}
	/*
	 * The others are handshakes' and control messages', which a lane only passes on, and six of packets on their way through and
	 * Babel's: test_lane_transit.c, test_lane_routing.c.
	 */
	assert_int_equal(count, DROP_REASONS - 8 - 6);
}

#define alone(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define with_sessions(test) cmocka_unit_test_setup_teardown(test, setup_with_sessions, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_sessions(read_for_others),
		with_sessions(handovers_are_bounded),
		alone(handed_over_without_session),
		with_sessions(handed_over_super_packets),
		with_sessions(steered_wrongly),
		with_sessions(strays_to_nowhere),
		with_sessions(strays_of_a_gro_datagram),
		alone(changes_close_the_gate),
		with_sessions(urgent_events),
		alone(urgent_confirmation_and_handshakes),
		alone(noted_while_taken),
		with_sessions(every_reason_of_a_lane),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
