/* SPDX-License-Identifier: MIT */
/*
 * What the data plane does for paths: a managed peer stays where the node has put it, messages go over a path that is said and as long as a probe
 * shall be, what comes in is counted by its counters, and its time told.
 */
#include "lanes.h"

#include "crypto/aead.h"
#include "node/links.h"
#include "path/pmtu.h"
#include "wire/mesh.h"

enum { SUBS = 3 };

static struct lanes l;

/* Everybody knows everybody as a meshd. a's sub-sessions have tuples of their own, those of 'b' are aimed at a's. */
static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	assert_true(links_open_subs(&l.a.lane, 1, &l.a.peer, SUBS));
	assert_true(links_open_subs(&l.b.lane, 1, &l.b.peer, SUBS));
	l.a.peer.mesh = l.b.peer.mesh = true;
	for (unsigned int i = 1; i <= SUBS; i++) {
		l.a.peer.subs[i] = (struct lane_sub){ .path.remote = l.b.here, .port = (uint8_t)i };
		l.b.peer.subs[i] = (struct lane_sub){ .path.remote = l.a.here, .port = (uint8_t)i };
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_done(&l);
	return 0;
}

static struct path_addr path_of(const char *local, const char *remote)
{
	struct path_addr p = { .ifindex = 0 };

	assert_true(endpoint_parse(remote, &p.remote));
	assert_true(!local || ip_addr_parse(local, &p.local));
	return p;
}

static bool same(const struct path_addr *a, const struct path_addr *b)
{
	return path_addr_equal(a, b) && a->pinned == b->pinned;
}

/* An empty message from 'a' on a sub-session, with this counter, into the batch. */
static void seal_empty(unsigned int number, uint64_t counter)
{
	struct keypair *k = l.a.peer.session.current;
	uint8_t msg[WG_DATA_MIN];

	wg_data_header_write(msg, k->remote_index | number, counter);
	aead_seal(keypair_sub(k, number)->sealer, counter, msg + WG_DATA_HEADER, msg, 0);
	lanes_add(&l.batch, msg, sizeof(msg));
}

/* 'b' hears the batch, all of it that way. */
static void hear(const struct path_addr *from, uint8_t port, uint8_t tos)
{
	for (size_t i = 0; i < l.batch.count; i++) {
		l.batch.dgrams[i].path = *from;
		l.batch.dgrams[i].port = port;
		l.batch.dgrams[i].tos = tos;
	}
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
}

static void hear_on(unsigned int number, const struct path_addr *from, uint8_t port)
{
	struct keypair *k = l.a.peer.session.current;

	seal_empty(number, keypair_sub(k, number)->counter++);
	hear(from, port, 2);
}

/*
 * Managed.
 */

static void a_managed_peer_stays(void **state)
{
	struct path_addr elsewhere = path_of("198.51.100.7", "203.0.113.9:7000"), before;

	(void)state;
	elsewhere.ifindex = 4;
	l.b.peer.managed = true;
	before = l.b.peer.links->path;
	for (unsigned int number = 0; number < SUB_SESSIONS; number += SUB_SESSION_CONTROL) {
		hear_on(number, &elsewhere, 0);
		assert_true(same(&l.b.peer.links->path, &before));
	}
	before = l.b.peer.subs[2].path;
	l.now.mono_us += 5;
	hear_on(2, &elsewhere, 9);
	assert_true(same(&l.b.peer.subs[2].path, &before));
	assert_int_equal(l.b.peer.subs[2].port, 2);
	/* But it is told. */
	assert_int_equal(l.b.peer.subs[2].heard_us, l.now.mono_us);
	assert_int_equal(l.b.peer.subs[2].ecn, 2);
	assert_true(path_addr_equal(&l.b.peer.subs[2].heard, &elsewhere));
	assert_int_equal(l.b.peer.subs[1].heard_us, 0);
	assert_int_equal(l.b.peer.links->heard_us, l.now.mono_us);
	assert_int_equal(lanes_events(&l.b), LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);

	/* From here on it is a plain one again. */
	l.b.peer.managed = false;
	hear_on(2, &elsewhere, 9);
	assert_true(path_addr_equal(&l.b.peer.subs[2].path, &elsewhere));
	assert_int_equal(l.b.peer.subs[2].port, 9);
	assert_true(lanes_events(&l.b) & LANE_SUB_ROAMED);
	elsewhere.remote.port++;
	hear_on(0, &elsewhere, 0);
	assert_true(path_addr_equal(&l.b.peer.links->path, &elsewhere));
	assert_true(lanes_events(&l.b) & LANE_ROAMED);
}

/* A sub-session is aimed at 'aim' and heard from 'from'. Whether it has taken the port over - or else stays as it was. */
static bool follows(const struct path_addr *aim, const struct path_addr *from)
{
	struct path_addr after = *aim;
	struct lane_sub *sub = &l.b.peer.subs[1];

	sub->path = *aim;
	sub->port = 1;
	hear_on(1, from, 5);
	if (sub->port == 5)
		after.remote.port = from->remote.port;
	assert_true(same(&sub->path, &after));
	assert_int_equal(lanes_events(&l.b) & (LANE_ROAMED | LANE_SUB_ROAMED), 0);
	return sub->port == 5;
}

/* What a NAT does to a sub-session is followed, when it comes the very way it is aimed. */
static void a_nat_gives_another_port(void **state)
{
	struct path_addr aim = path_of("198.51.100.7", "192.0.2.1:1111"), from;

	(void)state;
	l.b.peer.managed = true;
	aim.ifindex = 3;
	aim.pinned = true;
	from = path_of("198.51.100.7", "192.0.2.1:2222");
	from.ifindex = 4;
	assert_true(follows(&aim, &from));
	from = path_of("198.51.100.8", "192.0.2.1:2222");
	assert_false(follows(&aim, &from));
	from = path_of("198.51.100.7", "192.0.2.2:2222");
	assert_false(follows(&aim, &from));
	from = path_of(NULL, "192.0.2.1:2222");
	assert_false(follows(&aim, &from));

	/* Aimed without a local address, any will do. */
	aim = path_of(NULL, "192.0.2.1:1111");
	from = path_of("198.51.100.8", "192.0.2.1:2222");
	assert_true(follows(&aim, &from));

	aim = path_of("fe80::1", "[fe80::2%3]:1111");
	from = path_of("fe80::1", "[fe80::2%3]:2222");
	assert_true(follows(&aim, &from));
	from.remote.scope = 4;
	assert_false(follows(&aim, &from));
}

/*
 * Counted.
 */

static void expect(const struct lane_count *c, uint64_t received, uint64_t lost, uint64_t late)
{
	assert_int_equal(c->received, received);
	assert_int_equal(c->bytes, received * WG_DATA_MIN);
	assert_int_equal(c->lost, lost);
	assert_int_equal(c->late, late);
}

static void counters_tell_loss_and_order(void **state)
{
	static const uint64_t counters[] = { 100, 101, 105, 103, 104, 99, 98, 106, 110 };
	static const uint8_t lost[] = { 0, 0, 3, 2, 1, 1, 1, 1, 4 }, late[] = { 0, 0, 0, 1, 2, 3, 4, 4, 4 };
	struct path_addr from = path_of(NULL, "192.0.2.1:1111");

	(void)state;
	for (unsigned int number = 0; number <= 2; number += 2) {
		const struct lane_count *c = number ? &l.b.peer.subs[number].count : &l.b.peer.links->count;

		for (size_t i = 0; i < sizeof(lost); i++) {
			seal_empty(number, counters[i]);
			hear(&from, 0, 0);
			expect(c, i + 1, lost[i], late[i]);
			/* Once more is a replay, and nothing. */
			seal_empty(number, counters[i]);
			hear(&from, 0, 0);
			expect(c, i + 1, lost[i], late[i]);
		}
	}
	expect(&l.b.peer.subs[1].count, 0, 0, 0);
	/* The control sub-session's go over all paths at once. */
	seal_empty(SUB_SESSION_CONTROL, 7);
	seal_empty(SUB_SESSION_CONTROL, 3);
	hear(&from, 0, 0);
	expect(&l.b.peer.subs[SUB_SESSION_CONTROL].count, 0, 0, 0);
	expect(&l.b.peer.links->count, sizeof(lost), 4, 4);
}

static void a_new_session_begins_anew(void **state)
{
	struct path_addr from = path_of(NULL, "192.0.2.1:1111");
	const struct lane_count *c = &l.b.peer.subs[1].count;
	struct keypair *old = l.a.peer.session.current;
	uint8_t late[WG_DATA_MIN];

	(void)state;
	seal_empty(1, 1000);
	seal_empty(1, 1002);
	hear(&from, 0, 0);
	expect(c, 2, 1, 0);
	wg_data_header_write(late, old->remote_index | 1, 1010);
	aead_seal(keypair_sub(old, 1)->sealer, 1010, late + WG_DATA_HEADER, late, 0);

	lanes_handshake(&l, 1);
	assert_true(links_open_subs(&l.a.lane, 1, &l.a.peer, SUBS));
	assert_true(links_open_subs(&l.b.lane, 1, &l.b.peer, SUBS));
	seal_empty(1, 5);		/* confirms, too */
	seal_empty(1, 7);
	hear(&from, 0, 0);
	expect(c, 4, 2, 0);
	/* What was on its way with the old keys is neither lost nor late, and the count goes on. */
	lanes_add(&l.batch, late, sizeof(late));
	hear(&from, 0, 0);
	expect(c, 5, 2, 0);
	seal_empty(1, 6);
	seal_empty(1, 8);
	hear(&from, 0, 0);
	expect(c, 7, 1, 1);
}

static void when_it_was_heard_and_sent(void **state)
{
	struct path_addr from = path_of(NULL, "192.0.2.1:1111");

	(void)state;
	assert_int_equal(l.b.peer.links->heard_us, 0);
	for (unsigned int number = 0; number < SUB_SESSIONS; number += number == 1 ? SUB_SESSION_CONTROL - 1 : 1) {
		l.now.mono_us += 1000;
		hear_on(number, &from, 0);
		assert_int_equal(l.b.peer.links->heard_us, l.now.mono_us);
	}
	assert_int_equal(l.b.peer.links->sent_us, 0);
	lanes_add_packet(&l.batch, 2, 1, 0);
	lanes_tun(&l, &l.b);
	assert_int_equal(l.b.peer.links->sent_us, l.now.mono_us);
	lanes_clear(&l, &l.b);
	/* A keepalive is no data, nor is a control message. */
	l.now.mono_us += 1000;
	lane_want_keepalive(&l.b.lane, l.b.peer.links);
	assert_true(lane_send_control(&l.b.lane, l.b.peer.links, SUB_SESSION_CONTROL, 0, (const uint8_t *)"\1", 1));
	lanes_drain(&l, &l.b);
	assert_int_equal(lanes_message_count(&l.b), 2);
	assert_int_equal(l.b.peer.links->sent_us, l.now.mono_us - 1000);
	lanes_clear(&l, &l.b);
}

/*
 * Over a path that is said.
 */

/* A path probe as it stands before it is sealed. */
static size_t probe(uint8_t msg[LANE_CONTROL_LEN], uint8_t tag)
{
	memset(msg, 0, LANE_CONTROL_LEN);
	msg[0] = MESH_PATH_PROBE;
	msg[2] = tag;
	return MESH_PATH_PROBE_LEN;
}

/* 'a' sends a probe of that size over the path; the only run there is. */
static struct dgram sent_over(const struct path_addr *path, uint16_t outer)
{
	uint8_t msg[LANE_CONTROL_LEN];
	size_t len = probe(msg, 1);
	uint64_t tx_bytes = l.a.peer.links->tx_bytes;
	struct dgram d;

	assert_true(lane_send_over(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, path, 2, outer, 0xb8, msg, (uint32_t)len));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 1);
	d = lane_out(&l.a.lane)->dgrams[0];
	assert_int_equal(wg_data_receiver(d.data), LANES_INDEX_B | SUB_SESSION_CONTROL);
	assert_true(same(&d.path, path));
	assert_int_equal(d.port, 2);
	assert_int_equal(d.tos, 0xb8);
	assert_int_equal(d.df, outer != 0);
	assert_int_equal(l.a.peer.links->tx_bytes - tx_bytes, d.len);
	return d;
}

/* What 'a' has sent arrives at 'b', whose node gets the beginning of it and zeros. */
static void arrives(size_t plain_len)
{
	size_t want = plain_len < LANE_CONTROL_LEN ? plain_len : LANE_CONTROL_LEN;
	uint8_t msg[LANE_CONTROL_LEN];
	struct lane_control c;

	probe(msg, 1);
	assert_true(lane_take_control(&l.b.lane, &c));
	assert_int_equal(c.number, SUB_SESSION_CONTROL);
	assert_int_equal(c.len, want);
	memset(c.msg + 8, 0, 8);		/* the time, if it was written */
	assert_memory_equal(c.msg, msg, want);
}

static void probes_have_their_size(void **state)
{
	static const uint16_t sizes[] = { 576, 1200, 1280, 1281, 1289, 1499, 1500, 4000, 9216 };
	struct path_addr path[2] = { path_of("198.51.100.7", "192.0.2.77:4000"), path_of("2001:db8::7", "[2001:db8::77]:4000") };

	(void)state;
	path[0].ifindex = path[1].ifindex = 3;
	path[0].pinned = path[1].pinned = true;
	l.a.lane.mtu = l.b.lane.mtu = 1280;
	for (size_t v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct dgram d = sent_over(&path[v6], sizes[i]);

			assert_int_equal(d.len + 8 + (v6 ? 40 : 20), sizes[i]);
			/* Alone, or with others behind it by GRO; waiting or not. */
			for (int queued = 0; queued < 2; queued++) {
				lanes_carry_runs(&l, &l.a);
				if (queued) {
					lane_queue_udp(&l.b.lane, l.now, l.batch.dgrams, l.batch.count);
					assert_true(lane_has_in(&l.b.lane));
					assert_false(lane_drain_in(&l.b.lane, l.now, UINT32_MAX));
				} else {
					lanes_udp(&l, &l.b);
				}
				lanes_clear(&l, &l.b);
				arrives(d.len - WG_DATA_MIN);
				sent_over(&path[v6], sizes[i]);
			}
			lanes_clear(&l, &l.a);
		}
	assert_int_equal(lanes_drops(&l.b), 0);
	/* Elsewhere it all stays where it was. */
	assert_true(endpoint_equal(&l.a.peer.links->path.remote, &l.b.here));
}

static void probes_of_odd_sizes(void **state)
{
	struct path_addr path = path_of(NULL, "192.0.2.77:4000");
	uint8_t msg[LANE_CONTROL_LEN + 1] = { MESH_PATH_PROBE };

	(void)state;
	assert_int_equal(sent_over(&path, 0).len, WG_DATA_MIN + MESH_PATH_PROBE_LEN);
	lanes_clear(&l, &l.a);
	assert_int_equal(sent_over(&path, 1).len, WG_DATA_MIN + MESH_PATH_PROBE_LEN);	/* too few for it */
	lanes_clear(&l, &l.a);
	assert_true(lane_send_over(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, &path, 0, 0, 0, msg, 33));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message(&l.a, 0).len, WG_DATA_MIN + 48);
	lanes_clear(&l, &l.a);
	assert_false(lane_send_over(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, &path, 0, PMTU_MAX + 1, 0, msg, 16));
	assert_false(lane_send_over(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, &path, 0, 0, 0, msg, sizeof(msg)));
	assert_false(lane_has_out(&l.a.lane));
}

/* A run each, whatever is as long and goes the same way: not before it, not behind it. */
static void probes_are_runs_of_their_own(void **state)
{
	struct path_addr path = { .remote = l.b.here };
	struct lane_link *k = l.a.peer.links;
	uint8_t msg[LANE_CONTROL_LEN];
	const struct lane_out *out;
	size_t len = probe(msg, 1);

	(void)state;
	l.a.lane.run_messages_max = 64;
	for (int i = 0; i < 2; i++) {
		assert_true(lane_send_control(&l.a.lane, k, SUB_SESSION_CONTROL, 0, msg, (uint32_t)len));
		assert_true(lane_send_control(&l.a.lane, k, SUB_SESSION_CONTROL, 0, msg, (uint32_t)len));
		assert_true(lane_send_over(&l.a.lane, k, SUB_SESSION_CONTROL, &path, 0, 0, 0, msg, (uint32_t)len));
		assert_true(lane_send_over(&l.a.lane, k, SUB_SESSION_CONTROL, &path, 0, 76, 0, msg, (uint32_t)len));
	}
	assert_false(lanes_drain(&l, &l.a));
	out = lane_out(&l.a.lane);
	assert_int_equal(out->dgram_count, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(out->dgrams[i].len, (i % 3 ? 1 : 2) * (WG_DATA_MIN + len));
		assert_int_equal(out->dgrams[i].df, i % 3 == 2);
	}
	assert_int_equal(lanes_message_count(&l.a), 8);
	lanes_carry_runs(&l, &l.a);
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	for (int i = 0; i < 8; i++)
		arrives(len);
}

/* Long ones and what GRO has put behind them are told apart. */
static void long_messages_in_a_train(void **state)
{
	struct path_addr path = path_of(NULL, "192.0.2.77:4000");
	static const uint16_t sizes[] = { 9000, 9000, 9000, 1200 };
	uint8_t msg[LANE_CONTROL_LEN], *train;
	const struct lane_out *out;
	size_t len = probe(msg, 1), all = 0;
	uint8_t bytes[4 * 9216];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_true(lane_send_over(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, &path, 0, sizes[i], 0, msg, (uint32_t)len));
	assert_false(lanes_drain(&l, &l.a));
	out = lane_out(&l.a.lane);
	assert_int_equal(out->dgram_count, 4);
	for (size_t i = 0; i < 4; i++) {
		memcpy(bytes + all, out->dgrams[i].data, out->dgrams[i].len);
		all += out->dgrams[i].len;
	}
	lanes_clear(&l, &l.a);
	train = lanes_add(&l.batch, bytes, all);
	assert_non_null(train);
	l.batch.dgrams[0].segment = 9000 - LANE_OUTER_HEADERS4;
	lanes_udp(&l, &l.b);
	lanes_clear(&l, &l.b);
	for (int i = 0; i < 4; i++)
		arrives(LANE_CONTROL_LEN);
	assert_int_equal(lanes_drops(&l.b), 0);
}

/* The node has looked at the path, so that of the peer as a whole does not matter; without keys nothing goes. */
static void a_said_path_needs_no_other(void **state)
{
	struct path_addr path = path_of(NULL, "192.0.2.77:4000"), nowhere = { .ifindex = 0 };
	struct lane_link *k = l.a.peer.links;
	uint8_t msg[LANE_CONTROL_LEN];
	uint32_t len = (uint32_t)probe(msg, 1);

	(void)state;
	l.a.peer.endpoint_loops = true;
	sent_over(&path, 1200);
	lanes_clear(&l, &l.a);
	l.a.peer.endpoint_loops = false;
	k->path = nowhere;
	sent_over(&path, 1200);
	lanes_clear(&l, &l.a);
	assert_true(lane_send_control(&l.a.lane, k, SUB_SESSION_CONTROL, 0, msg, len));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	/* What comes to lie in the ring where such ones lay goes the usual way. */
	k->path.remote = l.b.here;
	for (int i = 0; i < LANE_CONTROLS_OUT; i++)
		assert_true(lane_send_control(&l.a.lane, k, SUB_SESSION_CONTROL, 0, msg, len));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), LANE_CONTROLS_OUT);
	for (size_t i = 0; i < LANE_CONTROLS_OUT; i++) {
		struct dgram d = lanes_message(&l.a, i);

		assert_true(endpoint_equal(&d.path.remote, &l.b.here));
	}
	lanes_clear(&l, &l.a);
	k->path = nowhere;
	assert_true(lane_send_over(&l.a.lane, k, SUB_SESSION_CONTROL, &nowhere, 0, 1200, 0, msg, len));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	links_clear(&l.a.lane, 1, &l.a.peer);
	assert_true(lane_send_over(&l.a.lane, k, SUB_SESSION_CONTROL, &path, 0, 1200, 0, msg, len));
	assert_false(lanes_drain(&l, &l.a));
	assert_int_equal(lanes_message_count(&l.a), 0);
	assert_false(lane_has_out(&l.a.lane));
}

/* As many as do not fit one output wait for the next. */
static void probes_fill_the_output(void **state)
{
	enum { COUNT = 60 };
	struct path_addr path = path_of(NULL, "192.0.2.77:4000");
	uint8_t msg[LANE_CONTROL_LEN];
	uint32_t len = (uint32_t)probe(msg, 1);
	size_t first;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		assert_true(lane_send_over(&l.a.lane, l.a.peer.links, SUB_SESSION_CONTROL, &path, 0, PMTU_MAX, 0, msg, len));
	assert_true(lanes_drain(&l, &l.a));
	first = lanes_message_count(&l.a);
	assert_in_range(first, 20, LANE_OUT_BYTES / 9000);
	lanes_clear(&l, &l.a);
	while (lanes_drain(&l, &l.a)) {
		first += lanes_message_count(&l.a);
		lanes_clear(&l, &l.a);
	}
	assert_int_equal(first + lanes_message_count(&l.a), COUNT);
	lanes_clear(&l, &l.a);
}

/*
 * Times.
 */

static void the_kernels_time_is_told(void **state)
{
	struct path_addr path = path_of(NULL, "192.0.2.77:4000");
	struct lane_control c;

	(void)state;
	for (int stamped = 0; stamped < 2; stamped++) {
		sent_over(&path, 0);
		lanes_carry(&l, &l.a);
		l.batch.dgrams[0].at_us = stamped ? l.now.mono_us - 777 : 0;
		/* It waits, and that is not the path's. */
		lane_queue_udp(&l.b.lane, l.now, l.batch.dgrams, 1);
		l.now.mono_us += 5000;
		lane_drain_in(&l.b.lane, l.now, UINT32_MAX);
		lanes_clear(&l, &l.b);
		assert_true(lane_take_control(&l.b.lane, &c));
		assert_int_equal(c.at_us, l.now.mono_us - (stamped ? 5777 : 0));
	}
}

/* Probes and replies tell when they were sealed, however long they have waited till then; what else is said stays as it is. */
static void messages_are_stamped(void **state)
{
	static const struct { uint8_t kind; size_t len, at; } kinds[] = {
		{ MESH_PATH_PROBE, MESH_PATH_PROBE_LEN, 8 }, { MESH_PATH_REPLY, MESH_PATH_REPLY_LEN, 24 }, { MESH_REPORT, MESH_REPORT_LEN, 0 },
	};
	struct path_addr path = path_of(NULL, "192.0.2.77:4000");
	struct lane_link *k = l.a.peer.links;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		uint8_t msg[LANE_CONTROL_LEN] = { kinds[i / 2].kind };
		uint32_t len = (uint32_t)kinds[i / 2].len;
		struct lane_control c;

		if (i % 2)
			assert_true(lane_send_over(&l.a.lane, k, SUB_SESSION_CONTROL, &path, 0, 1200, 0, msg, len));
		else
			assert_true(lane_send_control(&l.a.lane, k, SUB_SESSION_CONTROL, 0, msg, len));
		l.now.mono_us += 3000;
		assert_false(lanes_drain(&l, &l.a));
		lanes_carry(&l, &l.a);
		lanes_udp(&l, &l.b);
		lanes_clear(&l, &l.b);
		assert_true(lane_take_control(&l.b.lane, &c));
		if (kinds[i / 2].at)
			put_le64(msg + kinds[i / 2].at, (uint64_t)l.now.mono_us);
		assert_memory_equal(c.msg, msg, len);
	}
}

#define with_subs(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_subs(a_managed_peer_stays),
		with_subs(a_nat_gives_another_port),
		with_subs(counters_tell_loss_and_order),
		with_subs(a_new_session_begins_anew),
		with_subs(when_it_was_heard_and_sent),
		with_subs(probes_have_their_size),
		with_subs(probes_of_odd_sizes),
		with_subs(probes_are_runs_of_their_own),
		with_subs(long_messages_in_a_train),
		with_subs(a_said_path_needs_no_other),
		with_subs(probes_fill_the_output),
		with_subs(the_kernels_time_is_told),
		with_subs(messages_are_stamped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
