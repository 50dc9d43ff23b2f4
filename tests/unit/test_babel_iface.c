/* SPDX-License-Identifier: MIT */
/* Babel's interfaces: a change of config, a farewell, and what many of them cost together. */
#include "babel_stage.h"

/* The same config again is nothing; and what concerns one thing has nothing else happen. */
static void the_same_config(void **state)
{
	struct babel_iface_config c = config_of(BABEL_TUNNEL);
	struct babel_iface *i;
	struct stage s;

	(void)state;
	stage_set_prefixes(100);
	set_key(&c, 0, BABEL_MAC_HMAC_SHA256, 1);
	c.update_us = 2600 * US_PER_S;
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	i = s.node[0].i;
	c.address = s.node[0].address;
	for (int k = 0; k < 3; k++) {
		int64_t dumped_us = i->dumped_us, deadline_us = babel_deadline(s.node[0].b);
		unsigned int changed = stage_heard[0].changed;

		c.keys[0].bytes[100] = (uint8_t)k;	/* behind its end */
		c.mtu += (uint32_t)k;
		babel_iface_set(s.node[0].b, i, &c, s.now);
		assert_true(i->dumped_us == dumped_us && babel_deadline(s.node[0].b) == deadline_us);
		assert_int_equal(stage_heard[0].changed, changed);
		assert_false(stage_neighbour(&s, 0, 1)->ihu_due);
	}
	assert_int_equal(i->config.mtu, c.mtu);
	c.split_horizon = !c.split_horizon;
	babel_iface_set(s.node[0].b, i, &c, s.now);
	assert_true(i->dumped_us == s.now.mono_us);
	assert_false(stage_neighbour(&s, 0, 1)->ihu_due);
	c.hello_us = US_PER_S;
	babel_iface_set(s.node[0].b, i, &c, s.now);
	assert_true(stage_neighbour(&s, 0, 1)->ihu_due);
	assert_true(i->hello_timer.timer.due_us <= s.now.mono_us + US_PER_S);
	stage_heard[0].changed = 0;
	c.via6 = !c.via6;
	babel_iface_set(s.node[0].b, i, &c, s.now);
	assert_int_equal(stage_heard[0].changed, 1);
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

/* The farewell of one interface: at once, whatever waits, authenticated, and neighbours believe it. */
static void farewell_of_one(void **state)
{
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct babel_datagram d;
	struct stage s;

	(void)state;
	set_key(&c, 0, BABEL_MAC_HMAC_SHA256, 1);
	set_key(&c, 1, BABEL_MAC_BLAKE2S_128, 2);
	stage_set_prefixes(500);
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	assert_int_equal(stage_neighbour(&s, 1, 0)->cost, 96);
	stage_heard[1].wildcards = 0;
	send_all(s.node[0].b, NULL, NULL);
	assert_true(babel_iface_farewell(s.node[0].b, s.node[0].i, &d, s.now));
	watch_farewell(&s, 0, &d);
	assert_int_equal(count_of(&d, BABEL_UPDATE), 1);
	assert_int_equal(count_of(&d, BABEL_PC), 1);
	assert_int_equal(count_of(&d, BABEL_MAC), 0);	/* they are in the trailer: */
	assert_true(babel_mac_check(&c.keys[1], 1, &d.src, &d.dst, d.data, d.len));
	assert_true(ip_addr_equal(&d.dst, &babel_group));
	stage_fly(&s, 0, &d);
	babel_iface_up(s.node[0].b, s.node[0].i, false, s.now);
	assert_false(babel_iface_farewell(s.node[0].b, s.node[0].i, &d, s.now));
	stage_run(&s, 2 * US_PER_S);
	assert_int_equal(stage_heard[1].wildcards, 1);
	assert_null(stage_neighbour(&s, 1, 0));
	babel_stop(s.node[1].b, true, s.now);
	assert_false(babel_iface_farewell(s.node[1].b, s.node[1].i, &d, s.now));
	stage_end(&s);
}

/* Asked for more prefixes by name than a queue holds: the full updates that makes are as rare as those for wildcard requests. */
static void requests_by_name(void **state)
{
	enum { PREFIXES = 1100, ROUNDS = 50 };
	struct babel_iface_config c = config_of(BABEL_WIRED);
	struct stage s;

	(void)state;
	stage_set_prefixes(PREFIXES);
	c.update_us = 600 * US_PER_S;
	pair_of(&s, &c, &c);
	stage_run(&s, 30 * US_PER_S);
	stage_heard[1].updates = 0;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t k = 0; k < PREFIXES; k++)
			send_update(s.node[0].b, s.node[0].i, stage_neighbour(&s, 0, 1), &stage_prefixes[k], SEND_URGENT, true);
		stage_run(&s, 200 * US_PER_MS);
	}
	assert_in_range(stage_heard[1].updates, ROUNDS * BABEL_QUEUE_UPDATES_MAX, ROUNDS * BABEL_QUEUE_UPDATES_MAX + 5 * PREFIXES);
	stage_end(&s);
}

/* A speaker with many links, and what it does when the first of them has its update due. */
static void links_of(struct stage *s, size_t links)
{
	struct babel_iface_config c = config_of(BABEL_TUNNEL);

	stage_begin(s);
	stage_add(s, &c);
	for (unsigned int k = 1; k < links; k++) {
		c.address = stage_address(1000 + k);
		assert_non_null(babel_iface_add(s->node[0].b, &c, NULL, s->now));
	}
	stage_run(s, 3 * US_PER_S);
}

static int64_t first_update(const struct stage *s)
{
	int64_t first_us = NEVER_US;

	for (struct babel_iface *i = s->node[0].b->ifaces; i; i = i->next)
		if (i->update_timer.timer.due_us < first_us)
			first_us = i->update_timer.timer.due_us;
	return first_us;
}

/* The full updates of one beat tell of one list, made once - unless what it says has changed. */
static void one_list_a_beat(void **state)
{
	struct stage s;

	(void)state;
	stage_set_prefixes(100);
	links_of(&s, 50);
	for (int beat = 0; beat < 10; beat++) {
		stage_lists = 0;
		stage_run(&s, first_update(&s) - s.now.mono_us + US_PER_S);
		assert_in_range(stage_lists, 1, 3);
		assert_null(s.node[0].b->dump);		/* and it is not kept */
	}
	stage_lists = 0;
	send_all(s.node[0].b, NULL, NULL);
	s.node[0].b->told_version++;
	send_all(s.node[0].b, s.node[0].i, NULL);
	send_all(s.node[0].b, s.node[0].i->next, NULL);
	assert_int_equal(stage_lists, 2);
	stage_end(&s);
}

/* However many are near their beat: what one of them draws along is bounded, and none is forgotten. */
static void a_beat_is_bounded(void **state)
{
	enum { IFACES = 100, MOST = BABEL_BEAT_MAX / STAGE_PREFIXES + 1 };
	size_t along = 0;
	struct stage s;
	int64_t due_us;

	(void)state;
	stage_set_prefixes(STAGE_PREFIXES);
	links_of(&s, IFACES);
	due_us = first_update(&s);
	stage_run(&s, due_us - 1 - s.now.mono_us);
	s.now.mono_us = due_us;
	babel_turn(s.node[0].b, s.now);
	for (struct babel_iface *i = s.node[0].b->ifaces; i; i = i->next)
		along += i->dumped_us == due_us;
	assert_in_range(along, MOST - 1, MOST);
	stage_run(&s, 4 * US_PER_S);
	for (struct babel_iface *i = s.node[0].b->ifaces; i; i = i->next)
		assert_true(i->dumped_us >= due_us);
	stage_end(&s);
}

/* A hub: each of its links waits for its own answer, however many there are; and when all may wait some more may. */
static void acks_of_many_links(void **state)
{
	enum { LINKS = BABEL_IFACES_MAX - 1, LOSSES = 3 };
	struct babel_iface_config c = config_of(BABEL_TUNNEL);
	struct babel_datagram d;
	struct stage s;
	struct babel *b;

	(void)state;
	stage_set_prefixes(LOSSES);
	pair_of(&s, &c, &c);
	b = s.node[0].b;
	for (unsigned int k = 0; k < LINKS; k++) {
		struct ip_addr peer = stage_address(100000 + k);
		struct babel_iface *i;

		c.address = stage_address(1000 + k);
		i = babel_iface_add(b, &c, NULL, s.now);
		assert_non_null(i);
		i->starting = 0;
		neighbour_add(b, i, &peer)->cost = 96;
	}
	for (size_t k = 0; k < LOSSES; k++) {
		for (struct babel_iface *i = b->ifaces; i; i = i->next)
			if (i != s.node[0].i)
				send_update(b, i, NULL, &stage_prefixes[k], SEND_RELIABLE, false);
		s.now.mono_us += BABEL_GATHER_MAX_US;
		babel_turn(b, s.now);
		while (babel_next_packet(b, &d, s.now))
			;
	}
	for (struct babel_iface *i = b->ifaces->next; i; i = i->next)
		assert_int_equal(i->ack_count, LOSSES);
	assert_int_equal(b->ack_count, LOSSES * LINKS);
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_config),
		cmocka_unit_test(farewell_of_one),
		cmocka_unit_test(requests_by_name),
		cmocka_unit_test(one_list_a_beat),
		cmocka_unit_test(a_beat_is_bounded),
		cmocka_unit_test(acks_of_many_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
