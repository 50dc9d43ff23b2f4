/* SPDX-License-Identifier: MIT */
/*
 * The paths to a peer: which there are, what a peer can make us believe, and what an answer is. How they are chosen in time: tests/sim/test_paths.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "path/path.h"

#define MS US_PER_MS
#define S US_PER_S

static struct path_set s;
static int64_t clock_us;
static unsigned int events;

/* What was sent, the last. */
static struct {
	unsigned int count, probes, replies, reports;
	const struct path *over;
	struct mesh_path_probe probe;
	struct mesh_path_reply reply;
	struct mesh_path_report report;
} sent;

static void take_sent(void *ctx, const struct path *p, const uint8_t *msg, size_t len, uint32_t outer)
{
	(void)ctx;
	if (outer)
		return;
	sent.count++;
	sent.over = p;
	sent.probes += mesh_path_probe_read(&sent.probe, msg, len);
	sent.replies += mesh_path_reply_read(&sent.reply, msg, len);
	sent.reports += mesh_path_report_read(&sent.report, msg, len);
}

static const struct path_out out = { .send = take_sent };

static struct instant now(void)
{
	return (struct instant){ .mono_us = clock_us };
}

static struct path_remote remote(const char *text)
{
	struct path_remote r = { 0 };

	assert_true(endpoint_parse(text, &r.endpoint));
	return r;
}

static struct path_local local(const char *text, uint32_t ifindex)
{
	struct path_local l = { .ifindex = ifindex };

	assert_true(ip_addr_parse(text, &l.addr));
	return l;
}

static struct path *path_of(const char *from, const char *to)
{
	struct path_addr a = { .remote = remote(to).endpoint };

	if (from)
		assert_true(ip_addr_parse(from, &a.local));
	return paths_find(&s, &a);
}

static int setup(void **state)
{
	(void)state;
	clock_us = 1000 * S;
	events = 0;
	memset(&sent, 0, sizeof(sent));
	paths_init(&s, 65534);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	paths_done(&s);
	return 0;
}

static void open_all(void)
{
	struct path *p;

	while ((p = paths_unchecked(&s)))
		paths_set_way(&s, p, PATH_OPEN, true, 1500, now());
}

/* One local address, two remote ones, both sides speak paths. */
static void meet(struct path **a, struct path **b)
{
	struct path_remote r[] = { remote("192.0.2.1:1"), remote("192.0.2.2:1") };
	struct path_local l = local("198.51.100.1", 3);

	paths_set_remotes(&s, PATH_CONFIGURED, r, 2);
	paths_rebuild(&s, &l, 1, now());
	open_all();
	*a = path_of("198.51.100.1", "192.0.2.1:1");
	*b = path_of("198.51.100.1", "192.0.2.2:1");
	paths_set_managed(&s, true, *a, now());
	paths_traffic(&s, clock_us, clock_us, false, now());
}

static struct mesh_path_reply reply_to(const struct path *p, int64_t sent_us)
{
	return (struct mesh_path_reply){ .path = p->number, .sequence = p->sequence, .sent_us = (uint64_t)sent_us, .received_us = 77, .replied_us = 77,
					 .own = 9, .seen = { .addr = p->addr.local, .port = 5 } };
}

static void turn(void)
{
	events |= paths_turn(&s, &out, now());
	assert_true(paths_next(&s) > clock_us);
}

static void pairs_what_fits(void **state)
{
	struct path_remote r[] = { remote("192.0.2.1:1"), remote("[2001:db8::1]:1"), remote("[fe80::1%3]:1"), remote("[fd00::1]:1"), remote("127.0.0.1:1") };
	struct path_local l[] = { local("198.51.100.1", 2), local("203.0.113.1", 3), local("2001:db8:1::1", 2), local("fe80::2", 2), local("fe80::3", 3),
				  local("fd00::2", 2), local("127.0.0.1", 1) };

	(void)state;
	paths_set_remotes(&s, PATH_CONFIGURED, r, 5);
	assert_int_equal(paths_rebuild(&s, l, 7, now()) & PATHS_UNCHECKED, PATHS_UNCHECKED);
	assert_int_equal(s.path_count, 6);
	assert_non_null(path_of("198.51.100.1", "192.0.2.1:1"));
	assert_non_null(path_of("203.0.113.1", "192.0.2.1:1"));
	assert_non_null(path_of("2001:db8:1::1", "[2001:db8::1]:1"));
	assert_non_null(path_of("fe80::3", "[fe80::1%3]:1"));
	assert_null(path_of("fe80::2", "[fe80::1%3]:1"));
	assert_non_null(path_of("fd00::2", "[fd00::1]:1"));
	assert_null(path_of("2001:db8:1::1", "[fd00::1]:1"));
	assert_non_null(path_of("127.0.0.1", "127.0.0.1:1"));
	assert_int_equal(path_of("203.0.113.1", "192.0.2.1:1")->addr.ifindex, 3);
	assert_true(path_of("203.0.113.1", "192.0.2.1:1")->addr.pinned);
}

/* Nobody knows the local addresses: one path each, which whatever local address a packet came to belongs to. */
static void kernel_chooses(void **state)
{
	struct path_remote r[] = { remote("192.0.2.1:1"), remote("[2001:db8::1]:1") };

	(void)state;
	paths_set_remotes(&s, PATH_CONFIGURED, r, 2);
	paths_rebuild(&s, NULL, 0, now());
	assert_int_equal(s.path_count, 2);
	assert_ptr_equal(path_of("198.51.100.9", "192.0.2.1:1"), path_of(NULL, "192.0.2.1:1"));
	assert_false(path_of(NULL, "192.0.2.1:1")->addr.pinned);
}

static void numbers_are_unique(void **state)
{
	struct path_remote r[] = { remote("192.0.2.1:1"), remote("192.0.2.2:1"), remote("192.0.2.3:1"), remote("192.0.2.4:1") };

	(void)state;
	paths_set_remotes(&s, PATH_CONFIGURED, r, 4);
	paths_rebuild(&s, NULL, 0, now());
	for (size_t i = 0; i < 4; i++) {
		assert_int_not_equal(s.v[i]->number, 0);
		assert_ptr_equal(paths_find_number(&s, s.v[i]->number), s.v[i]);
	}
	assert_null(paths_find_number(&s, 0));
}

/* However many there are; and what the peer tells takes no room of what is configured. */
static void is_bounded(void **state)
{
	static struct path_remote many[10000];
	struct path_remote own = remote("192.0.2.1:1");
	struct path_local l[] = { local("198.51.100.1", 2), local("198.51.100.2", 3), local("198.51.100.3", 4) };

	(void)state;
	for (size_t i = 0; i < 10000; i++) {
		many[i] = own;
		many[i].endpoint.addr.bytes[2] = (uint8_t)(3 + i / 250);
		many[i].endpoint.addr.bytes[3] = (uint8_t)(i % 250);
	}
	paths_set_remotes(&s, PATH_TOLD, many, 10000);
	paths_set_remotes(&s, PATH_CONFIGURED, &own, 1);
	paths_rebuild(&s, l, 3, now());
	assert_true(s.remote_count <= PATH_REMOTES_MAX);
	assert_int_equal(s.path_count, PATHS_MAX);
	assert_non_null(path_of("198.51.100.1", "192.0.2.1:1"));
	for (size_t i = 0; i < 10000; i++) {
		struct path_addr a = { .remote = many[9999 - i].endpoint, .local = l[0].addr };

		clock_us += MS;
		paths_heard(&s, &a, false, l, 3, now(), &events);
		assert_true(s.remote_count <= PATH_REMOTES_MAX && s.path_count <= PATHS_MAX);
	}
	paths_set_remotes(&s, PATH_CONFIGURED, many, 10000);
	paths_set_remotes(&s, PATH_TOLD, many + 5000, 5000);
	paths_set_remotes(&s, PATH_CONFIGURED, NULL, 0);
	paths_rebuild(&s, l, 3, now());
	assert_true(s.remote_count <= PATH_REMOTES_MAX && s.path_count <= PATHS_MAX);
}

/* What stays keeps its number; what goes is left at once. */
static void rebuild_keeps_what_stays(void **state)
{
	struct path_local l[] = { local("198.51.100.1", 3), local("203.0.113.1", 4) };
	struct path *a, *b;
	uint16_t number;

	(void)state;
	meet(&a, &b);
	number = b->number;
	paths_rebuild(&s, l, 2, now());
	assert_int_equal(s.path_count, 4);
	assert_ptr_equal(path_of("198.51.100.1", "192.0.2.2:1"), b);
	assert_int_equal(b->number, number);
	open_all();
	events = paths_rebuild(&s, l + 1, 1, now());
	assert_int_equal(events & (PATHS_CHOSEN | PATHS_URGENT), PATHS_CHOSEN | PATHS_URGENT);
	assert_int_equal(s.path_count, 2);
	assert_ptr_equal(s.current, path_of("203.0.113.1", "192.0.2.1:1"));
	assert_int_equal(s.why, PATH_WHY_GONE);
}

static void one_answer_counts_once(void **state)
{
	struct mesh_path_reply r;
	struct path *a, *b;
	int64_t at;

	(void)state;
	meet(&a, &b);
	turn();
	at = clock_us;
	clock_us += 20 * MS;
	r = reply_to(a, at);
	assert_false(paths_take_reply(&s, b, &r, clock_us, now(), &events));	/* over another path */
	r.sequence++;
	assert_false(paths_take_reply(&s, a, &r, clock_us, now(), &events));	/* never sent */
	r = reply_to(a, clock_us + 1);
	assert_false(paths_take_reply(&s, a, &r, clock_us, now(), &events));	/* of the future */
	r = reply_to(a, at - 9 * S);
	assert_false(paths_take_reply(&s, a, &r, clock_us, now(), &events));	/* of old */
	r = reply_to(a, -1);
	assert_false(paths_take_reply(&s, a, &r, clock_us, now(), &events));
	assert_int_equal(a->state, PATH_NEW);
	r = reply_to(a, at);
	assert_true(paths_take_reply(&s, a, &r, clock_us, now(), &events));
	assert_int_equal(a->state, PATH_ALIVE);
	assert_int_equal(a->answers, 1);
	assert_int_equal(path_rtt_min(a), 20 * MS);
	assert_int_equal(a->their, 9);
	assert_false(paths_take_reply(&s, a, &r, clock_us, now(), &events));	/* again */
	assert_int_equal(a->answers, 1);
}

/* A clock that jumped while the peer held our probe: the time it says is not taken off. */
static void holding_times(void **state)
{
	static const struct {
		uint64_t received_us, replied_us;
		int64_t rtt_us;
	} c[] = {
		/* 1 */ { 5000, 9000, 16 * MS },
		/* 2 */ { 9000, 5000, 20 * MS },
		/* 3 */ { 0, UINT64_MAX, 20 * MS },
		/* 4 */ { 0, 1000001, 20 * MS },
		/* 5 */ { 0, 30000, -1 },	/* longer than it was away: no sample, an answer nevertheless */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct mesh_path_reply r;
		struct path *a, *b;
		int64_t at;

		paths_done(&s);
		setup(NULL);
		meet(&a, &b);
		turn();
		at = clock_us;
		clock_us += 20 * MS;
		r = reply_to(a, at);
		r.received_us = c[i].received_us;
		r.replied_us = c[i].replied_us;
		assert_true(paths_take_reply(&s, a, &r, clock_us, now(), &events));
		if (path_rtt_min(a) != c[i].rtt_us || a->state != PATH_ALIVE)
			fail_msg("case %zu: %lld", i + 1, (long long)path_rtt_min(a));
	}
}

/* The peer's end of a path is gone: dead at once, and another one is used. A number that is nobody's does nothing. */
static void a_path_the_peer_lost(void **state)
{
	struct mesh_path_report m = { .count = 1 };
	struct mesh_path_reply reply;
	struct path *a, *b, *all[2];

	(void)state;
	meet(&a, &b);
	turn();
	all[0] = a;
	all[1] = b;
	for (int i = 0; i < 2; i++) {
		clock_us += 10 * MS;
		reply = reply_to(all[i], all[i]->asked_us);
		paths_take_reply(&s, all[i], &reply, clock_us, now(), &events);
	}
	m.entries[0] = (struct mesh_path_entry){ .path = (uint16_t)(a->number ^ b->number ^ 0x5a5a), .loss = MESH_PATH_GONE };
	paths_take_report(&s, &m, now(), &events);
	assert_int_not_equal(a->state, PATH_DEAD);
	m.entries[0].path = a->number;
	assert_true(paths_take_report(&s, &m, now(), &events));
	assert_int_equal(a->state, PATH_DEAD);
	turn();
	assert_ptr_equal(s.current, b);
}

/* Flows may still be on a path that was left without haste: that is probed like the one in use, and its death is as urgent - for a while. */
static void flows_are_seen_off(void **state)
{
	struct mesh_path_report m = { .count = 1 };
	struct mesh_path_reply reply;
	struct path *a, *b, *all[2];

	(void)state;
	for (int late = 0; late < 2; late++) {
		meet(&a, &b);
		turn();
		all[0] = a;
		all[1] = b;
		for (int i = 0; i < 2; i++) {
			clock_us += 10 * MS;
			reply = reply_to(all[i], all[i]->asked_us);
			paths_take_reply(&s, all[i], &reply, clock_us, now(), &events);
		}
		paths_set_current(&s, b, PATH_WHY_BETTER, now());
		clock_us += late ? PATH_LEAVING_MS * MS + MS : MS;
		turn();
		events = 0;
		m.entries[0] = (struct mesh_path_entry){ .path = a->number, .loss = MESH_PATH_GONE };
		assert_true(paths_take_report(&s, &m, now(), &events));
		assert_int_equal(events & PATHS_URGENT, late ? 0 : PATHS_URGENT);
		assert_ptr_equal(s.current, b);
		paths_done(&s);
		paths_init(&s, 65534);
	}
}

/* Our probes arrive, the answers do not: a report by any way says so, once, and only of what was sent. */
static void reports_answer(void **state)
{
	struct mesh_path_report m = { .count = 1 };
	struct path *a, *b;

	(void)state;
	meet(&a, &b);
	turn();
	clock_us += 20 * MS;
	m.entries[0] = (struct mesh_path_entry){ .path = a->number, .heard = a->sequence + 1, .loss = 60000 };
	assert_false(paths_take_report(&s, &m, now(), &events));
	assert_int_equal(a->state, PATH_NEW);
	assert_int_equal(a->loss_out, 0);
	m.entries[0].heard = a->sequence;
	assert_true(paths_take_report(&s, &m, now(), &events));
	assert_int_equal(a->state, PATH_ALIVE);
	assert_int_equal(path_rtt_min(a), -1);
	assert_int_equal(a->answers, 1);
	paths_take_report(&s, &m, now(), &events);
	assert_int_equal(a->answers, 1);
	m.entries[0].path = (uint16_t)(b->number + 1);
	assert_false(paths_take_report(&s, &m, now(), &events));
}

/* A probe is answered as it says, on a path that is never chosen too; not where nothing may be sent; and not without end. */
static void answers_probes(void **state)
{
	struct path_remote r = remote("192.0.2.1:1");
	struct mesh_path_probe m = { .path = 3, .sequence = 8, .sent_us = UINT64_MAX };
	struct path *a;

	(void)state;
	r.terms.never = true;
	paths_set_remotes(&s, PATH_CONFIGURED, &r, 1);
	paths_rebuild(&s, NULL, 0, now());
	open_all();
	a = s.v[0];
	paths_set_managed(&s, true, NULL, now());
	paths_traffic(&s, clock_us, 0, false, now());
	turn();
	assert_int_equal(sent.count, 0);
	assert_null(s.current);
	assert_true(paths_take_probe(&s, a, &m, clock_us - 5, &out, now()));
	assert_int_equal(sent.replies, 1);
	assert_int_equal(sent.reply.path, 3);
	assert_int_equal(sent.reply.sequence, 8);
	assert_true(sent.reply.sent_us == UINT64_MAX);
	assert_int_equal(sent.reply.received_us, clock_us - 5);
	assert_int_equal(sent.reply.own, a->number);
	assert_true(endpoint_equal(&sent.reply.seen, &r.endpoint));
	paths_set_way(&s, a, PATH_LOOPS, false, 0, now());
	paths_take_probe(&s, a, &m, clock_us, &out, now());
	assert_int_equal(sent.replies, 1);
	paths_set_way(&s, a, PATH_OPEN, false, 0, now());
	for (unsigned int i = 0; i < 1000; i++)
		paths_take_probe(&s, a, &m, clock_us, &out, now());
	assert_true(sent.replies <= PATH_REPLIES_MAX + 1);
}

/* Clocks of two hosts differ by anything, and jump. */
static void jitter_is_of_differences(void **state)
{
	struct mesh_path_probe m = { .path = 3 };
	struct path *a, *b;

	(void)state;
	meet(&a, &b);
	for (unsigned int i = 1; i <= 200; i++) {
		clock_us += 100 * MS;
		m.sequence = i;
		m.sent_us = (i > 100 ? UINT64_C(1) << 63 : 5) + i * 100000 + (i % 2) * 1000;
		paths_take_probe(&s, a, &m, clock_us, &out, now());
	}
	assert_in_range(a->jitter_us, 800, 1100);
	assert_int_equal(a->their_sequence, 200);
	m.sequence = 150;
	paths_take_probe(&s, a, &m, clock_us, &out, now());
	assert_int_equal(a->their_sequence, 200);
}

/* The last probe that was not padded. */
static uint32_t last_plain(const struct path *p)
{
	uint32_t sequence = p->sequence;

	while (p->probes[sequence % PATH_PROBES].size)
		sequence--;
	return sequence;
}

/* A NAT between: where we are seen tells how long its mappings last. */
static void learns_what_keeps_a_mapping(void **state)
{
	struct path *a, *b;
	uint16_t port = 1000;

	(void)state;
	meet(&a, &b);
	paths_want(&s, true, now());
	for (unsigned int i = 0; i < 2000; i++) {
		clock_us = paths_next(&s) > clock_us ? paths_next(&s) : clock_us;
		int64_t asked_us = a->asked_us;

		turn();
		if (a->asked_us == asked_us)
			continue;
		if (clock_us - a->answered_us > 45 * S)
			port++;
		clock_us += 10 * MS;
		struct mesh_path_reply r = reply_to(a, clock_us - 10 * MS);

		r.sequence = last_plain(a);
		r.seen.addr.bytes[3]++;
		r.seen.port = port;
		assert_true(paths_take_reply(&s, a, &r, clock_us, now(), &events));
	}
	assert_in_range(a->keep_us, 20 * S, 45 * S);
	assert_in_range(a->keep_bad_us, 45 * S, 60 * S);
}

/* Shares follow the metric, and a path that comes takes from all but moves nothing else. */
static void shares_are_stable(void **state)
{
	struct path *a, *b, *was[127];
	unsigned int moved = 0, on_a = 0;

	(void)state;
	meet(&a, &b);
	a->weight = 8;
	for (unsigned int i = 0; i < 127; i++) {
		was[i] = paths_pick(&s, i, true);
		assert_ptr_equal(was[i], a);
	}
	b->weight = 8;
	for (unsigned int i = 0; i < 127; i++) {
		struct path *p = paths_pick(&s, i, true);

		assert_ptr_equal(paths_pick(&s, i, true), p);
		assert_ptr_equal(paths_pick(&s, i, false), a);
		moved += p != was[i];
		on_a += p == a;
	}
	assert_in_range(moved, 40, 87);
	assert_int_equal(on_a + moved, 127);
}

/* What is metered is probed now and then while something else lives. */
static void spares_metered_paths(void **state)
{
	struct path *a, *b;
	unsigned int probes = 0;

	(void)state;
	meet(&a, &b);
	b->terms.metered = true;
	for (int64_t until = clock_us + 60 * S; clock_us < until;) {
		paths_traffic(&s, clock_us, clock_us, false, now());
		sent.over = NULL;
		for (unsigned int i = 0; i < 2; i++) {
			struct path *p = i ? b : a;
			uint32_t before = p->sequence;
			struct mesh_path_reply r;

			if (!i)
				turn();
			if (p->sequence == before && !(i && sent.over == b))
				continue;
			probes += p == b;
			r = reply_to(p, p->asked_us);
			paths_take_reply(&s, p, &r, clock_us, now(), &events);
		}
		clock_us += 10 * MS;
	}
	assert_int_equal(a->state, PATH_ALIVE);
	assert_in_range(probes, 1, 6);
	assert_ptr_equal(s.current, a);
}

/* A peer's counters may say anything, as often as it likes: what is counted of them stays in range. */
static void told_of_endless_loss(void **state)
{
	struct path *a, *b;

	(void)state;
	meet(&a, &b);
	for (int i = 0; i < 5; i++)
		paths_count(&s, a, 1, INT32_MAX, 0, 100, now());
	assert_true(path_loss_in(a) > 65000);
	for (int i = 0; i < 9; i++)
		paths_count(&s, b, 1, INT32_MIN, 0, 100, now());
	assert_int_equal(path_loss_in(b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pairs_what_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(kernel_chooses, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_are_unique, setup, teardown),
		cmocka_unit_test_setup_teardown(is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(told_of_endless_loss, setup, teardown),
		cmocka_unit_test_setup_teardown(rebuild_keeps_what_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(one_answer_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(holding_times, setup, teardown),
		cmocka_unit_test_setup_teardown(a_path_the_peer_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(flows_are_seen_off, setup, teardown),
		cmocka_unit_test_setup_teardown(reports_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_probes, setup, teardown),
		cmocka_unit_test_setup_teardown(jitter_is_of_differences, setup, teardown),
		cmocka_unit_test_setup_teardown(learns_what_keeps_a_mapping, setup, teardown),
		cmocka_unit_test_setup_teardown(shares_are_stable, setup, teardown),
		cmocka_unit_test_setup_teardown(spares_metered_paths, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
