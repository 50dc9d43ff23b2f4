/* SPDX-License-Identifier: MIT */
/* What Babel sends, and when: sizes, order and honesty of what it says, acknowledgements and copies, authentication between two speakers. */
#include "babel_stage.h"

/* --- sizes --- */

static size_t longest;

static void watch_size(struct stage *s, size_t from, const struct babel_datagram *d)
{
	if (d->len > longest)
		longest = d->len;
	s->c += from == 0 && count_of(d, BABEL_UPDATE);
}

static void packets_fit(void **state)
{
	static const struct {
		uint32_t mtu;
		unsigned int keys;
		size_t len;
	} step[] = {
		/* 1 */ { 1280, 0, 1232 },
		/* 2 */ { 1280, 1, 1232 },
		/* 3 */ { 1280, 4, 1232 },
		/* 4 */ { 576, 4, 528 },
		/* 5 */ { 100, 4, 512 },
		/* 6 */ { 0, 0, 512 },
		/* 7 */ { 9000, 2, BABEL_PACKET_MAX },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(step) / sizeof(step[0]); k++) {
		struct babel_iface_config c = config_of(BABEL_TUNNEL);
		struct stage s;

		print_message("case %zu\n", k + 1);
		c.mtu = step[k].mtu;
		for (unsigned int key = 0; key < step[k].keys; key++)
			set_key(&c, key, BABEL_MAC_HMAC_SHA256, (uint8_t)key);
		stage_set_prefixes(500);
		pair_of(&s, &c, &c);
		s.sent = watch_size;
		longest = 0;
		stage_run(&s, 30 * US_PER_S);
		assert_in_range(longest, step[k].len - 60, step[k].len);
		assert_in_range(stage_heard[1].updates, 1000, 8 * 500);	/* whole full updates */
		assert_int_equal(stage_heard[1].updates % 500, 0);
		for (size_t i = 0; i < 500; i++)	/* and with requests for acknowledgement */
			send_update(s.node[0].b, NULL, NULL, &stage_prefixes[i], SEND_RELIABLE, false);
		stage_run(&s, 5 * US_PER_S);
		assert_true(longest <= step[k].len);
		assert_int_equal(stage_heard[0].acked, 500);
		stage_end(&s);
	}
}

static int64_t pace_since_us;
static unsigned int pace_count, pace_most;

static void watch_pace(struct stage *s, size_t from, const struct babel_datagram *d)
{
	(void)d;
	if (from)
		return;
	if (s->now.mono_us - pace_since_us >= 10 * US_PER_MS) {
		pace_since_us = s->now.mono_us;
		pace_count = 0;
	}
	if (++pace_count > pace_most)
		pace_most = pace_count;
}

static void full_update_is_paced(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	c.mtu = 560;
	stage_set_prefixes(STAGE_PREFIXES);
	stage_begin(&s);
	stage_add(&s, &c);
	s.sent = watch_pace;
	pace_most = pace_count = 0;
	pace_since_us = 0;
	stage_run(&s, 10 * US_PER_S);
	assert_in_range(pace_most, 16, 17);	/* a Hello more */
	assert_true(s.node[0].i->packets_sent > 40);
	stage_end(&s);
}

/* More than a queue holds becomes a full update, and nothing is lost. */
static void queue_is_bounded(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(STAGE_PREFIXES);
	pair_of(&s, &c, &c);
	stage_run(&s, 3 * US_PER_S);
	stage_heard[1].updates = 0;
	for (int round = 0; round < 100; round++)
		for (size_t k = 0; k < STAGE_PREFIXES; k++)
			send_update(s.node[0].b, NULL, NULL, &stage_prefixes[k], SEND_URGENT, false);
	assert_true(s.node[0].i->queue->update_size <= BABEL_QUEUE_UPDATES_MAX);
	stage_run(&s, US_PER_S);
	assert_in_range(stage_heard[1].updates, STAGE_PREFIXES, STAGE_PREFIXES + BABEL_QUEUE_UPDATES_MAX);
	for (unsigned int k = 0; k < 10000; k++) {
		uint8_t id[BABEL_ROUTER_ID_LEN] = { 9, (uint8_t)k, (uint8_t)(k >> 8) };

		for (uint16_t round = 0; round < 3; round++)
			send_seqno_request(s.node[0].b, NULL, NULL, &stage_prefixes[0].pair, id, round, 64);
	}
	stage_run(&s, US_PER_S);
	assert_int_equal(stage_heard[1].seqno_requests, BABEL_QUEUE_REQUESTS_MAX);
	stage_end(&s);
}

/* --- when --- */

struct spoken {
	bool hello;
	int64_t hello_us, ihu_us, update_us, hello_until_us, ihu_until_us, update_until_us;
	uint16_t seqno;
	unsigned int hellos, ihus, updates;
};

static struct spoken spoken[2];

static void keep(int64_t now_us, int64_t *until_us, uint16_t interval)
{
	if (*until_us)
		assert_true(now_us <= *until_us);	/* the promise of last time */
	*until_us = now_us + interval_us(interval);
}

static void watch_honesty(struct stage *s, size_t from, const struct babel_datagram *d)
{
	struct spoken *v = &spoken[from];
	int64_t now_us = s->now.mono_us;
	struct babel_parser p;
	struct babel_tlv t;
	bool hello = false;
	unsigned int place = 0;

	babel_parse_begin(&p, d->data, d->len, &d->src);
	for (; babel_parse_next(&p, &t); place++) {
		if (t.type == BABEL_HELLO) {
			assert_int_equal(place, 0);
			assert_false(t.unicast);
			assert_int_not_equal(t.interval_cs, 0);
			if (v->hello)
				assert_int_equal(t.seqno, (uint16_t)(v->seqno + 1));
			v->hello = hello = true;
			v->seqno = t.seqno;
			v->hellos++;
			keep(now_us, &v->hello_until_us, t.interval_cs);
		} else if (t.type == BABEL_IHU) {
			assert_true(hello || !t.has_timestamp);
			v->ihus++;
			keep(now_us, &v->ihu_until_us, t.interval_cs);
		} else if (t.type == BABEL_UPDATE && !t.wildcard) {
			v->updates++;
			keep(now_us, &v->update_until_us, t.interval_cs);
		}
	}
}

static void intervals_are_honest(void **state)
{
	static const struct {
		enum babel_link_type type;
		int64_t hello_us, update_us;
		unsigned int ihus_min, ihus_max;
	} step[] = {
		/* 1 */ { BABEL_WIRED, 4 * US_PER_S, 16 * US_PER_S, 300, 420 },		/* every third */
		/* 2 */ { BABEL_TUNNEL, 4 * US_PER_S, 16 * US_PER_S, 300, 420 },	/* the same, once the round trip is known */
		/* 3 */ { BABEL_WIRELESS, 1500 * US_PER_MS, 5005 * US_PER_MS, 2400, 3250 },
		/* 4 */ { BABEL_WIRED, 655340 * US_PER_MS, 655340 * US_PER_MS, 5, 14 },
		/* 5 */ { BABEL_WIRED, 650 * US_PER_S, 2600 * US_PER_S, 5, 14 },	/* updates: as often as can be promised */
		/* 6 */ { BABEL_WIRED, 400 * US_PER_S, 600 * US_PER_S, 9, 18 },	/* not with every second one only */
	};

	(void)state;
	for (size_t k = 0; k < sizeof(step) / sizeof(step[0]); k++) {
		struct babel_iface_config c = config_of(step[k].type);
		struct stage s;

		print_message("case %zu\n", k + 1);
		c.hello_us = step[k].hello_us;
		c.update_us = step[k].update_us;
		memset(spoken, 0, sizeof(spoken));
		stage_set_prefixes(1);
		pair_of(&s, &c, &c);
		s.node[0].i->hello_seqno = 65500;
		s.sent = watch_honesty;
		stage_echo = k == 5;
		stage_run(&s, 3600 * US_PER_S);
		stage_echo = false;
		assert_in_range(spoken[0].ihus, step[k].ihus_min, step[k].ihus_max);
		assert_in_range(spoken[0].hellos, 3600 * US_PER_S / c.hello_us, 3600 * US_PER_S / c.hello_us * 4 / 3 + 6);
		if (c.update_us > 655340 * US_PER_MS)
			c.update_us = 655340 * US_PER_MS;
		assert_in_range(spoken[0].updates, 3600 * US_PER_S / c.update_us, 3600 * US_PER_S / c.update_us * 4 / 3 + 6);
		assert_int_equal(stage_heard[0].gone + stage_heard[1].gone, 0);
		stage_end(&s);
	}
}

/* A promise once made is kept when the configuration changes, and a shorter interval is there at once. */
static void intervals_change(void **state)
{
	static const int64_t hello_us[] = { 4 * US_PER_S, US_PER_S, 20 * US_PER_S, 500 * US_PER_MS, 3 * US_PER_S };
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	memset(spoken, 0, sizeof(spoken));
	stage_set_prefixes(1);
	pair_of(&s, &c, &c);
	s.sent = watch_honesty;
	for (size_t k = 0; k < 50; k++) {
		unsigned int hellos = spoken[0].hellos, updates = spoken[0].updates;

		c.hello_us = hello_us[k % 5];
		c.update_us = 4 * c.hello_us;
		c.address = s.node[0].address;
		babel_iface_set(s.node[0].b, s.node[0].i, &c, s.now);
		stage_run(&s, c.hello_us);
		assert_true(spoken[0].hellos > hellos);
		assert_true(spoken[0].updates > updates);
		stage_run(&s, (int64_t)(k % 7) * US_PER_S * 3);
	}
	assert_int_equal(stage_heard[0].gone + stage_heard[1].gone, 0);
	stage_end(&s);
}

static void watch_update(struct stage *s, size_t from, const struct babel_datagram *d)
{
	if (from == 0 && count_of(d, BABEL_UPDATE) && !s->t)
		s->t = s->now.mono_us;
}

static void urgency(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(1);
	c.update_us = 600 * US_PER_S;
	pair_of(&s, &c, &c);
	stage_run(&s, 10 * US_PER_S);
	s.sent = watch_update;
	for (int k = 0; k < 100; k++) {
		enum send_urgency u = k % 3 == 0 ? SEND_WHENEVER : k % 3 == 1 ? SEND_URGENT : SEND_RELIABLE;
		int64_t since_us = s.now.mono_us;

		s.t = 0;
		send_update(s.node[0].b, NULL, NULL, &stage_prefixes[0], u, false);
		stage_run(&s, 3 * US_PER_S);
		assert_true(s.t);
		assert_true(s.t - since_us <= (u == SEND_WHENEVER ? c.hello_us / 2 : BABEL_URGENT_US));
		stage_run(&s, (k % 7) * US_PER_S / 5);
	}
	stage_end(&s);
}

/* Asked for everything a hundred times a second, it answers about once in a Hello interval, and the last asker, too. */
static void wildcard_requests(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;
	struct stage s;
	unsigned int before;

	(void)state;
	stage_set_prefixes(10);
	c.update_us = 600 * US_PER_S;
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	stage_heard[1].updates = 0;
	for (int k = 0; k < 1200; k++) {
		babel_write_begin(&w, packet, 512);
		babel_write_route_request(&w, NULL);
		stage_inject(&s, 0, &s.node[1].address, &w);
		stage_run(&s, 10 * US_PER_MS);
		if (k == 50 || k == 150)
			assert_int_equal(stage_heard[1].updates, k == 50 ? 10 : 20);
	}
	before = stage_heard[1].updates;
	assert_in_range(before, 30, 50);		/* in twelve seconds: at once, soon after, and after 4, 8 */
	stage_run(&s, 5 * US_PER_S);
	assert_in_range(stage_heard[1].updates, before + 10, before + 20);
	stage_end(&s);
}

static void watch_farewell(struct stage *s, size_t from, const struct babel_datagram *d)
{
	struct babel_tlv t;

	(void)from;
	s->c++;
	assert_true(find_tlv(d, BABEL_HELLO, &t) && t.interval_cs == 10);
	assert_true(find_tlv(d, BABEL_UPDATE, &t) && t.wildcard && t.metric == BABEL_INFINITY);
}

static void clean_end(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	for (int planned = 0; planned < 2; planned++) {
		stage_set_prefixes(10);
		pair_of(&s, &c, &c);
		stage_run(&s, 30 * US_PER_S);
		stage_heard[1].wildcards = 0;
		send_update(s.node[0].b, NULL, NULL, &stage_prefixes[0], SEND_URGENT, false);
		babel_stop(s.node[0].b, planned, s.now);
		s.sent = watch_farewell;
		stage_drain(&s, 0);
		s.sent = NULL;
		stage_run(&s, 2 * US_PER_S);
		assert_int_equal(s.c, planned ? 0 : 1);
		assert_int_equal(stage_heard[1].wildcards, planned ? 0 : 1);
		if (!planned)
			assert_null(stage_neighbour(&s, 1, 0));
		else
			assert_int_equal(stage_neighbour(&s, 1, 0)->cost, 96);
		stage_end(&s);
	}
}

/* --- acknowledgements --- */

static void watch_reliable(struct stage *s, size_t from, const struct babel_datagram *d)
{
	if (from == 0 && count_of(d, BABEL_UPDATE))
		s->c++;
	if (from == 0 && count_of(d, BABEL_ACK_REQUEST))
		s->a++;
}

static bool lose_updates(struct stage *s, size_t from, size_t to, const struct babel_datagram *d)
{
	(void)to;
	return from == 0 && s->t && count_of(d, BABEL_UPDATE) && s->t-- > 0;
}

static void acknowledged(void **state)
{
	static const struct {
		int64_t lost;		/* so many packets with updates, of all copies to all */
		unsigned int sent, acked;
	} step[] = {
		/* 1 */ { 0, 1, 3 },
		/* 2 */ { 1, 2, 3 },
		/* 3 */ { 3, 4, 3 },
		/* 4 */ { 1000, 13, 0 },	/* to all, and four more to each of three */
	};

	(void)state;
	for (size_t k = 0; k < sizeof(step) / sizeof(step[0]); k++) {
		struct babel_iface_config c = config_of(BABEL_WIRED);
		struct stage s;

		print_message("case %zu\n", k + 1);
		c.update_us = 600 * US_PER_S;
		stage_set_prefixes(2);
		stage_begin(&s);
		for (int i = 0; i < 4; i++)
			stage_add(&s, &c);
		stage_run(&s, 30 * US_PER_S);
		s.sent = watch_reliable;
		s.lost = lose_updates;
		s.t = step[k].lost;
		stage_prefixes[1].metric = BABEL_INFINITY;
		send_update(s.node[0].b, NULL, NULL, &stage_prefixes[1], SEND_RELIABLE, false);
		stage_run(&s, 10 * US_PER_S);
		assert_int_equal(s.c, step[k].sent);
		assert_int_equal(s.a, step[k].sent);
		assert_int_equal(stage_heard[0].acked, step[k].acked);
		if (step[k].acked)
			assert_true(stage_heard[0].acked_prefix == &stage_prefixes[1]);
		assert_int_equal(s.node[0].b->ack_count, 0);
		stage_end(&s);
	}
}

/* An acknowledgement of something older says nothing of the last word. */
static void superseded(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(1);
	c.update_us = 600 * US_PER_S;
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	s.delay_us = 100 * US_PER_MS;
	send_update(s.node[0].b, NULL, NULL, &stage_prefixes[0], SEND_RELIABLE, false);
	stage_run(&s, 80 * US_PER_MS);
	send_update(s.node[0].b, NULL, NULL, &stage_prefixes[0], SEND_RELIABLE, false);
	stage_run(&s, 60 * US_PER_MS);
	assert_int_equal(s.node[0].b->ack_count, 2);
	s.lost = lose_updates;
	s.t = 0;
	stage_run(&s, 130 * US_PER_MS);		/* the first is answered, the second not yet */
	stage_run(&s, 5 * US_PER_S);
	assert_int_equal(stage_heard[0].acked, 1);
	stage_end(&s);
}

static void copies_for_many(void **state)
{
	(void)state;
	for (int wireless = 0; wireless < 2; wireless++) {
		struct babel_iface_config c = config_of(wireless ? BABEL_WIRELESS : BABEL_WIRED);
		struct stage s;

		c.update_us = 600 * US_PER_S;
		stage_set_prefixes(1);
		stage_begin(&s);
		for (int i = 0; i < 6; i++)
			stage_add(&s, &c);
		stage_run(&s, 30 * US_PER_S);
		s.sent = watch_reliable;
		send_update(s.node[0].b, NULL, NULL, &stage_prefixes[0], SEND_RELIABLE, false);
		stage_run(&s, 10 * US_PER_S);
		assert_int_equal(s.c, wireless ? 3 : 2);
		assert_int_equal(s.a, 0);
		assert_int_equal(s.node[0].b->ack_count, 0);
		stage_end(&s);
	}
}

/* However many wait, they are bounded; and a neighbour that goes is not waited for. */
static void acks_are_bounded(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(1000);
	c.update_us = 600 * US_PER_S;
	c.hello_us = 60 * US_PER_S;
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	s.cut = true;
	stage_neighbour(&s, 0, 1)->rtt = (struct babel_rtt){ .has_rtt = true, .rtt_us = 10 * US_PER_S };	/* so answers take long */
	for (size_t k = 0; k < 300; k++) {
		send_update(s.node[0].b, NULL, NULL, &stage_prefixes[k], SEND_RELIABLE, false);
		s.node[0].b->now.mono_us += BABEL_GATHER_MAX_US;
		s.now = s.node[0].b->now;
		babel_turn(s.node[0].b, s.now);
		stage_drain(&s, 0);
		assert_true(s.node[0].b->ack_count <= BABEL_ACKS_IFACE);
	}
	assert_int_equal(s.node[0].b->ack_count, BABEL_ACKS_IFACE);
	babel_iface_up(s.node[0].b, s.node[0].i, false, s.now);
	assert_int_equal(s.node[0].b->ack_count, 0);
	stage_end(&s);
}

static void nobody_left_to_answer(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(1);
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	s.cut = true;
	stage_neighbour(&s, 0, 1)->rtt = (struct babel_rtt){ .has_rtt = true, .rtt_us = 50 * US_PER_S };
	send_update(s.node[0].b, NULL, NULL, &stage_prefixes[0], SEND_RELIABLE, false);
	stage_run(&s, 40 * US_PER_S);
	assert_int_equal(s.node[0].b->ack_count, 1);
	stage_run(&s, 60 * US_PER_S);
	assert_null(stage_neighbour(&s, 0, 1));
	assert_int_equal(s.node[0].b->ack_count, 0);
	stage_run(&s, 200 * US_PER_S);
	stage_end(&s);
}

static void watch_ack(struct stage *s, size_t from, const struct babel_datagram *d)
{
	struct babel_tlv t;

	if (from == 0 && find_tlv(d, BABEL_ACK, &t)) {
		assert_int_equal(t.opaque, 4711);
		assert_true(ip_addr_equal(&d->dst, &s->node[1].address));
		s->t = s->now.mono_us;
	}
}

static void answers_in_time(void **state)
{
	static const uint16_t interval[] = { 1, 2, 20, 1000 };
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	pair_of(&s, &c, &c);
	stage_run(&s, 5 * US_PER_S);
	s.sent = watch_ack;
	for (size_t k = 0; k < 4; k++) {
		uint8_t packet[STAGE_PACKET];
		struct babel_writer w;
		int64_t since_us = s.now.mono_us;

		babel_write_begin(&w, packet, 512);
		babel_write_ack_request(&w, 4711, interval[k]);
		s.t = 0;
		stage_inject(&s, 0, &s.node[1].address, &w);
		stage_run(&s, US_PER_S);
		assert_true(s.t);
		assert_true(s.t - since_us <= interval_us(interval[k]));
	}
	stage_end(&s);
}

/* With more neighbours than one packet has room for, each gets its round trips measured now and then. */
static void many_neighbours(void **state)
{
	struct babel_iface_config c = config_of(BABEL_TUNNEL);
	uint8_t packet[STAGE_PACKET];
	struct babel_writer w;
	struct stage s;
	static uint64_t echoes[BABEL_NEIGHBOURS_MAX];

	(void)state;
	stage_begin(&s);
	stage_add(&s, &c);
	stage_run(&s, US_PER_S);
	for (uint16_t round = 0; round < 40; round++) {
		struct babel_datagram d;

		for (unsigned int k = 0; k < BABEL_NEIGHBOURS_MAX; k++) {
			struct ip_addr a = stage_address(1000 + k);

			babel_write_begin(&w, packet, 512);
			babel_write_hello(&w, false, round, 400, true);
			babel_write_stamp(&w, (uint32_t)s.now.mono_us);
			stage_inject(&s, 0, &a, &w);
		}
		for (int64_t end_us = s.now.mono_us + 4 * US_PER_S; s.now.mono_us < end_us; s.now.mono_us += US_PER_MS) {
			babel_turn(s.node[0].b, s.now);
			while (babel_next_packet(s.node[0].b, &d, s.now)) {
				struct babel_parser p;
				struct babel_tlv t;

				assert_true(d.len <= BABEL_PACKET_MAX);
				babel_parse_begin(&p, d.data, d.len, &d.src);
				while (next_of(&p, BABEL_IHU, &t))
					echoes[get_be32(t.addr.bytes + 12) - 1000] += t.has_timestamp;
			}
		}
	}
	for (unsigned int k = 0; k < BABEL_NEIGHBOURS_MAX; k++)
		assert_in_range(echoes[k], 3, 41);
	stage_end(&s);
}

/* --- authentication --- */

static bool linked(struct stage *s)
{
	const struct babel_neighbour *a = stage_neighbour(s, 0, 1), *b = stage_neighbour(s, 1, 0);

	return a && b && neighbour_usable(a) && neighbour_usable(b);
}

static void handshake(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		struct babel_iface_config c = config_of(BABEL_TUNNEL);
		struct stage s;

		set_key(&c, 0, kind ? BABEL_MAC_BLAKE2S_128 : BABEL_MAC_HMAC_SHA256, 1);
		stage_set_prefixes(20);
		pair_of(&s, &c, &c);
		s.node[0].i->mac.pc = UINT32_MAX - 10;
		stage_run(&s, 9 * US_PER_S);
		assert_true(linked(&s));
		stage_run(&s, 400 * US_PER_S);		/* over the counter's end, too */
		assert_true(linked(&s));
		assert_true(stage_heard[1].updates >= 20 * 20);
		assert_int_equal(stage_heard[0].gone + stage_heard[1].gone, 0);
		stage_end(&s);
	}
}

/* Hellos that came before their MACs could be checked are made up for: the link does not wait for the next two. */
static void handshake_is_quick(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);

	(void)state;
	set_key(&c, 0, BABEL_MAC_HMAC_SHA256, 1);
	for (unsigned int seed = 0; seed < 50; seed++) {
		struct stage s;

		stage_begin(&s);
		s.delay_us = (1 + seed % 10 * 5) * US_PER_MS;
		s.node[0].rng = seed;
		stage_add(&s, &c);
		stage_run(&s, seed / 10 * 100 * US_PER_MS);	/* together, or one later */
		s.node[1].rng = 1000 + seed;
		stage_add(&s, &c);
		stage_run(&s, 2500 * US_PER_MS);
		assert_true(linked(&s));
		stage_end(&s);
	}
}

static void wrong_keys(void **state)
{
	struct babel_iface_config a = config_of(BABEL_WIRED), b = a, none = a;
	struct stage s;

	(void)state;
	set_key(&a, 0, BABEL_MAC_HMAC_SHA256, 1);
	set_key(&b, 0, BABEL_MAC_HMAC_SHA256, 2);
	pair_of(&s, &a, &b);
	stage_run(&s, 60 * US_PER_S);
	for (size_t k = 0; k < 2; k++) {
		assert_int_equal(s.node[k].i->neighbour_count, 0);
		assert_int_equal(s.node[k].i->dropped_mac, s.node[k].i->packets_received);
		assert_true(s.node[k].i->dropped_mac > 10);
	}
	stage_end(&s);
	pair_of(&s, &a, &none);
	stage_run(&s, 60 * US_PER_S);
	assert_int_equal(s.node[0].i->neighbour_count, 0);
	assert_int_equal(s.node[1].i->neighbour_count, 1);	/* without keys MACs are padding */
	stage_end(&s);
}

static void set(struct stage *s, size_t k, struct babel_iface_config *c)
{
	c->address = s->node[k].address;
	babel_iface_set(s->node[k].b, s->node[k].i, c, s->now);
	stage_run(s, 30 * US_PER_S);
	assert_true(linked(s));
}

/* From none to one key, and to another, one end after the other and never without the link. */
static void key_rotation(void **state)
{
	struct babel_iface_config none = config_of(BABEL_WIRED), lax = none, old = none, both = none, fresh = none;
	struct stage s;

	(void)state;
	set_key(&old, 0, BABEL_MAC_HMAC_SHA256, 1);
	lax = both = old;
	lax.accept_unauthenticated = true;
	set_key(&both, 1, BABEL_MAC_BLAKE2S_128, 2);
	set_key(&fresh, 0, BABEL_MAC_BLAKE2S_128, 2);
	pair_of(&s, &none, &none);
	stage_run(&s, 10 * US_PER_S);
	set(&s, 0, &lax);
	set(&s, 1, &lax);
	set(&s, 0, &old);
	set(&s, 1, &old);
	set(&s, 0, &both);
	set(&s, 1, &both);
	set(&s, 0, &fresh);
	set(&s, 1, &fresh);
	assert_int_equal(stage_heard[0].gone + stage_heard[1].gone, 0);
	stage_end(&s);
}

static struct babel_datagram caught[256];
static uint8_t caught_data[256][STAGE_PACKET];
static size_t caught_count;

static void catch_all(struct stage *s, size_t from, const struct babel_datagram *d)
{
	(void)s;
	if (from != 1 || caught_count == 256)
		return;
	memcpy(caught_data[caught_count], d->data, d->len);
	caught[caught_count] = *d;
	caught[caught_count].data = caught_data[caught_count];
	caught_count++;
}

static void count_challenges(struct stage *s, size_t from, const struct babel_datagram *d)
{
	if (from == 0)
		s->a += count_of(d, BABEL_CHALLENGE_REQUEST) + count_of(d, BABEL_CHALLENGE_REPLY);
}

static void replay(struct stage *s, size_t k)
{
	struct babel_datagram d = caught[k];

	d.iface = s->node[0].i;
	babel_receive(s->node[0].b, &d, s->now);
	stage_drain(s, 0);
}

/* Packets once caught mean nothing any more: not while the neighbour is there, not after it went, not elsewhere. */
static void replays(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct babel_datagram d;
	struct stage s;
	uint64_t dropped;

	(void)state;
	set_key(&c, 0, BABEL_MAC_HMAC_SHA256, 1);
	caught_count = 0;
	pair_of(&s, &c, &c);
	s.sent = catch_all;
	stage_run(&s, 60 * US_PER_S);
	assert_true(linked(&s));
	assert_true(caught_count > 15);
	s.sent = count_challenges;
	dropped = s.node[0].i->dropped_mac;
	for (size_t k = 0; k < caught_count; k++)
		replay(&s, k);
	assert_int_equal(s.node[0].i->dropped_mac, dropped + caught_count);
	assert_true(linked(&s));

	d = caught[caught_count - 1];		/* its last, to the other kind of address */
	d.dst = s.node[0].address;
	d.iface = s.node[0].i;
	babel_receive(s.node[0].b, &d, s.now);
	assert_int_equal(s.node[0].i->dropped_mac, dropped + caught_count + 1);

	s.cut = true;
	stage_run(&s, 100 * US_PER_S);
	assert_int_equal(s.node[0].i->neighbour_count, 0);
	s.a = 0;
	for (int round = 0; round < 100; round++) {
		for (size_t k = 0; k < caught_count; k++)
			replay(&s, k);
		stage_run(&s, 10 * US_PER_MS);
	}
	assert_true(s.a >= 1 && s.a <= 2 * 4);	/* in one second, a challenge every 300 ms at most */
	assert_int_equal(s.node[0].i->neighbour_count, 1);
	assert_int_equal(stage_neighbour(&s, 0, 1)->cost, BABEL_INFINITY);
	assert_int_equal(stage_neighbour(&s, 0, 1)->multicast.reach, 0);
	stage_run(&s, 31 * US_PER_S);
	assert_int_equal(s.node[0].i->neighbour_count, 0);
	stage_end(&s);
}

/* Whatever comes without the key leaves nothing behind. */
static void no_key_no_state(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	uint8_t packet[STAGE_PACKET] = { 0 };
	struct babel_writer w;
	struct stage s;

	(void)state;
	set_key(&c, 0, BABEL_MAC_BLAKE2S_128, 1);
	stage_begin(&s);
	stage_add(&s, &c);
	stage_run(&s, US_PER_S);
	s.c = s.node[0].i->packets_sent;
	for (unsigned int k = 0; k < 100000; k++) {
		struct ip_addr a = stage_address(1000 + k);

		babel_write_begin(&w, packet, 512);
		babel_write_hello(&w, false, 1, 400, false);
		babel_write_pc(&w, k, (const uint8_t *)"index", 5);
		babel_write_challenge(&w, false, (const uint8_t *)"nonce", 5);
		stage_inject(&s, 0, &a, &w);
	}
	assert_int_equal(s.node[0].i->neighbour_count, 0);
	assert_int_equal(s.node[0].i->dropped_mac, 100000);
	stage_drain(&s, 0);
	assert_int_equal(s.node[0].i->packets_sent, s.c);
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_fit),
		cmocka_unit_test(full_update_is_paced),
		cmocka_unit_test(queue_is_bounded),
		cmocka_unit_test(intervals_are_honest),
		cmocka_unit_test(intervals_change),
		cmocka_unit_test(urgency),
		cmocka_unit_test(wildcard_requests),
		cmocka_unit_test(clean_end),
		cmocka_unit_test(acknowledged),
		cmocka_unit_test(superseded),
		cmocka_unit_test(copies_for_many),
		cmocka_unit_test(acks_are_bounded),
		cmocka_unit_test(nobody_left_to_answer),
		cmocka_unit_test(answers_in_time),
		cmocka_unit_test(many_neighbours),
		cmocka_unit_test(handshake),
		cmocka_unit_test(handshake_is_quick),
		cmocka_unit_test(wrong_keys),
		cmocka_unit_test(key_rotation),
		cmocka_unit_test(replays),
		cmocka_unit_test(no_key_no_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
