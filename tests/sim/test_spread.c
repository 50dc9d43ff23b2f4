/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions in virtual time: who gets one, what is lost, doubled or turned round on the way, behind which NATs, and how many messages it
 * all takes. A failure is repeated by its seed, which is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "node/inside.h"
#include "sanitized.h"
#include "watch.h"

enum { SEEDS = SANITIZED ? 12 : 60 };

/*
 * Between two meshds.
 */

/* The first flow starts on session 0 and has a sub-session of its own within a few round trips. */
static void first_flow_gets_its_own(void **state)
{
	struct sim s;

	(void)state;
	pair(&s, 1);
	talk(&s, TO_1, 0, 1, MS(10), 7 * RTT_US);
	assert_int_not_equal(watch.to[1][0].number, 0);
	talk(&s, TO_1, 0, 1, MS(10), SECONDS(60));
	settle(&s);
	check_all_arrived(&s, "one flow");
	assert_int_equal(watch.to[1][0].moves, 1);
	check_watch(&s, "one flow", 6, 50);
	check_silence(&s);
	sim_done(&s);
}

/* As many as there is room for have a tuple each, those beyond share. */
static void flows_have_tuples(void **state)
{
	struct sim s;

	(void)state;
	pair_up(&s, 2);
	talk(&s, BOTH, 0, 16, MS(20), SECONDS(2));
	check_watch(&s, "16 flows come", 110, 200);
	watch_again(&s);
	talk(&s, BOTH, 0, 16, MS(20), SECONDS(20));
	assert_int_equal(on_own(&watch, 0), 16);
	assert_int_equal(on_own(&watch, 1), 16);
	assert_int_equal(sharing(&watch, 0), 0);
	assert_int_equal(sharing(&watch, 1), 0);
	assert_int_equal(moves(&watch), 0);
	check_watch(&s, "16 flows", 10, 60);
	talk(&s, BOTH, 0, 40, MS(20), SECONDS(2));
	watch_again(&s);
	talk(&s, BOTH, 0, 40, MS(20), SECONDS(20));
	settle(&s);
	check_all_arrived(&s, "40 flows");
	assert_int_equal(on_own(&watch, 0), 40);
	assert_int_equal(on_own(&watch, 1), 40);
	assert_int_equal(sharing(&watch, 0), 8);
	assert_int_equal(sharing(&watch, 1), 8);
	assert_int_equal(moves(&watch), 0);
	assert_int_equal(sim_peer(&s, 0, 1).sub_opened, 32);
	assert_int_equal(sim_peer(&s, 1, 0).sub_opened, 32);
	check_watch(&s, "40 flows", 10, 60);
	check_silence(&s);
	sim_done(&s);
}

/* FlowSessions: the smaller of both. With 0 it is plain: no control message, one port. */
static void smaller_flow_sessions_count(void **state)
{
	static const struct {
		uint8_t a, b;
	} runs[] = { { 32, 8 }, { 5, 126 }, { 1, 32 }, { 126, 126 }, { 0, 32 }, { 32, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		unsigned int smaller = runs[i].a < runs[i].b ? runs[i].a : runs[i].b;
		struct sim s;

		begin(&s, 10 + i);
		s.flow_sessions = runs[i].a;
		sim_add_node(&s);
		s.flow_sessions = runs[i].b;
		sim_add_node(&s);
		sim_connect(&s, 0, 1);
		sim_set_link(&s, 0, 1, &WAN);
		greet(&s, 0);
		sim_run(&s, MS(500));
		talk(&s, BOTH, 0, 20, MS(20), SECONDS(3));
		watch_again(&s);
		talk(&s, BOTH, 0, 20, MS(20), SECONDS(10));
		settle(&s);
		check_all_arrived(&s, "FlowSessions");
		assert_int_equal(sharing(&watch, 0), smaller < 20 ? 20 - (smaller ? smaller : 1) : 0);
		assert_int_equal(sim_peer(&s, 0, 1).sub_sessions, smaller);
		if (smaller)
			assert_true(sim_peer(&s, 0, 1).sub_opened <= smaller && sim_peer(&s, 1, 0).sub_opened <= smaller);
		assert_int_equal(moves(&watch), 0);
		check_watch(&s, "FlowSessions", 10, 60);
		if (!runs[i].a)
			assert_int_equal(s.nodes[0].seen.controls, 0);
		if (!runs[i].b)
			assert_int_equal(s.nodes[1].seen.controls, 0);
		assert_true(smaller || on_own(&watch, 0) + on_own(&watch, 1) == 0);
		check_silence(&s);
		sim_done(&s);
	}
}

/* Fewer sockets than wanted: what there is is used, the rest shares, and nobody goes on asking. */
static void few_sockets(void **state)
{
	(void)state;
	for (int who = 0; who < 3; who++) {
		struct sim s;

		pair_up(&s, 20 + (uint64_t)who);
		if (who != 1)
			s.nodes[0].ports_max = 6;
		if (who != 0)
			s.nodes[1].ports_max = 6;
		talk(&s, BOTH, 0, 16, MS(20), SECONDS(4));
		watch_again(&s);
		talk(&s, BOTH, 0, 16, MS(20), SECONDS(20));
		settle(&s);
		check_all_arrived(&s, "few sockets");
		check_watch(&s, "few sockets", 10, 60);
		if (who == 2)
			assert_int_equal(sharing(&watch, 0), 10);
		check_silence(&s);
		sim_done(&s);
	}
}

/*
 * Beside a plain WireGuard.
 */

struct offers {
	uint64_t keypairs, aligned, count[SIM_NODES_MAX], last_hour[SIM_NODES_MAX];
	int64_t first_us[SIM_NODES_MAX];
	bool wrong;
};

/* What node 0 sends to the plain ones with sub-session 127 in an aligned index is an offer. */
static void watch_offers(struct sim *s, size_t from, const struct sim_dgram *d)
{
	struct offers *o = s->ctx;

	if (from != 0 && (wg_classify(d->msg, d->len) == WG_INITIATION || wg_classify(d->msg, d->len) == WG_RESPONSE)) {
		o->keypairs++;
		o->aligned += !(get_le32(d->msg + 4) & WG_INDEX_SUB_SESSION);
	}
}

/* An offer goes only to who may be a meshd, twice, and then not for an hour; a plain one sees nothing else that is strange. */
static void plain_peers_are_left_alone(void **state)
{
	enum { N = 60, HOURS = 3 };
	static struct offers o;
	struct sim s;
	uint64_t strange = 0, most = 0;

	(void)state;
	memset(&o, 0, sizeof(o));
	sim_init(&s, 30);
	s.ctx = &o;
	s.on_dgram = watch_offers;
	sim_add_node(&s);
	s.flow_sessions = 0;
	for (size_t i = 1; i < N; i++) {
		sim_add_node(&s);
		s.nodes[i].plain = true;
		sim_connect(&s, 0, i);
		sim_set_link(&s, 0, i, &WAN);
	}
	for (uint64_t t = 1; t <= HOURS * 360; t++) {
		for (size_t i = 1; i < N; i++) {
			sim_send(&s, 0, i, t, 100);
			sim_send(&s, i, 0, t, 100);
		}
		sim_run(&s, SECONDS(10));
	}
	for (size_t i = 1; i < N; i++) {
		uint64_t offers = sim_drops(&s, i, DROP_NO_INDEX);

		strange += offers;
		if (offers > most)
			most = offers;
		assert_int_equal(sim_drops(&s, i, DROP_BAD_INNER) + sim_drops(&s, i, DROP_CONTROL) + sim_drops(&s, i, DROP_FORGED), 0);
		assert_int_equal(s.nodes[i].seen.delivered, HOURS * 360);
	}
	print_message("# %llu keypairs, %llu aligned, %llu offers, most to one %llu\n", (unsigned long long)o.keypairs,
		      (unsigned long long)o.aligned, (unsigned long long)strange, (unsigned long long)most);
	assert_in_range(o.aligned, o.keypairs / 256, o.keypairs / 64);
	assert_true(strange > 0 && strange <= 2 * o.aligned);
	assert_true(most <= 2 * (HOURS + 1));
	sim_done(&s);
}

/*
 * Rekeying.
 */

static void rekey_keeps_tuples(void **state)
{
	struct flow_seen before[2][16];
	struct sim s;

	(void)state;
	pair_up(&s, 40);
	talk(&s, BOTH, 0, 16, MS(20), SECONDS(5));
	for (int i = 0; i < 2; i++)
		memcpy(before[i], watch.to[i], sizeof(before[i]));
	watch_again(&s);
	talk(&s, BOTH, 0, 16, MS(20), SECONDS(250));
	settle(&s);
	check_all_arrived(&s, "rekey");
	assert_int_equal(moves(&watch), 0);
	assert_true(s.nodes[0].seen.initiations + s.nodes[1].seen.initiations >= 3);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 16; j++) {
			assert_true(endpoint_equal(&before[i][j].from, &watch.to[i][j].from));
			assert_true(endpoint_equal(&before[i][j].to, &watch.to[i][j].to));
		}
	check_watch(&s, "rekey", 10, 60);
	check_silence(&s);
	sim_done(&s);
}

/* The same on bad links, many seeds: nothing twice, and what is lost is what the link loses. */
static void rekey_on_bad_links(void **state)
{
	const struct sim_link bad = { .delay_us = RTT_US / 2, .jitter_us = 15000, .loss = 50, .duplicate = 50 };

	(void)state;
	for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
		struct sim s;
		uint64_t sent = 0;

		pair_up(&s, seed);
		sim_set_link(&s, 0, 1, &bad);
		talk(&s, BOTH, 0, 16, MS(100), SECONDS(10));
		if (on_own(&watch, 0) < 12 || on_own(&watch, 1) < 12)
			print_message("seed %llu\n", (unsigned long long)seed);
		assert_true(on_own(&watch, 0) >= 12 && on_own(&watch, 1) >= 12);
		watch_again(&s);
		talk(&s, BOTH, 0, 16, MS(100), SECONDS(130));
		settle(&s);
		for (int j = 0; j < 16; j++)
			sent += watch.to[0][j].sent + watch.to[1][j].sent;
		if (watch.doubles || lost(&watch) > sent / 14 || rate(&s) > 12 || watch.controls_peak > 100 || seed == 100) {
			print_message("seed %llu\n", (unsigned long long)seed);
			show(&s, "bad link");
		}
		assert_int_equal(watch.doubles, 0);
		assert_true(lost(&watch) < sent / 14);
		assert_true(rate(&s) <= 12);
		assert_true(watch.controls_peak <= 100);
		sim_done(&s);
	}
}

/* Three datagrams of ten are lost: it comes up all the same, on both sides, and without a storm. */
static void heavy_loss(void **state)
{
	const struct sim_link bad = { .delay_us = RTT_US / 2, .loss = 300 };

	(void)state;
	for (uint64_t seed = 200; seed < 200 + SEEDS; seed++) {
		unsigned int ways = (unsigned int)(seed % 3) + 1;
		struct sim s;
		int64_t start_us;

		pair_up(&s, seed);
		sim_set_link(&s, 0, 1, &bad);
		start_us = s.now_us;
		do {
			talk(&s, ways, 0, 4, MS(50), SECONDS(1));
		} while (s.now_us < start_us + SECONDS(60) && (on_own(&watch, 0) < (ways & TO_0 ? 4 : 0) || on_own(&watch, 1) < (ways & TO_1 ? 4 : 0)));
		if (s.now_us - start_us > SECONDS(15)) {
			print_message("# seed %llu ways %u: %lld s\n", (unsigned long long)seed, ways, (long long)((s.now_us - start_us) / US_PER_S));
			show(&s, "30 % loss");
		}
		assert_true(s.now_us - start_us <= SECONDS(15));
		watch_again(&s);
		talk(&s, ways, 0, 4, MS(50), SECONDS(60));
		if (rate(&s) > 10 || moves(&watch) > 8) {
			print_message("# seed %llu ways %u\n", (unsigned long long)seed, ways);
			show(&s, "30 % loss");
		}
		assert_true(rate(&s) <= 10);
		assert_int_equal(watch.doubles, 0);
		sim_set_link(&s, 0, 1, &WAN);
		check_silence(&s);
		sim_done(&s);
	}
}

/* Flows that speak seldom: a lost packet may cost them their sub-session, but not for long, and without a storm. */
static void sparse_flows(void **state)
{
	static const int64_t every_us[] = { MS(400), MS(700), MS(1100), MS(1900), MS(3100) };
	const struct sim_link bad = { .delay_us = RTT_US / 2, .loss = 50 };

	(void)state;
	for (size_t i = 0; i < sizeof(every_us) / sizeof(every_us[0]); i++) {
		struct sim s;

		pair_up(&s, 280 + i);
		sim_set_link(&s, 0, 1, &bad);
		talk(&s, BOTH, 0, 4, every_us[i], SECONDS(20));
		watch_again(&s);
		talk(&s, BOTH, 0, 4, every_us[i], SECONDS(400));
		check_watch(&s, "sparse", 10, 60);
		assert_int_equal(on_own(&watch, 0) + on_own(&watch, 1), 8);
		/* Each takes a flow to session 0, for a packet or two. */
		assert_true(s.nodes[0].node->subs_lost + s.nodes[1].node->subs_lost < 150);
		sim_done(&s);
	}
}

/* Equal seeds, equal bytes on the wire at equal times. */
static void runs_are_repeatable(void **state)
{
	const struct sim_link bad = { .delay_us = RTT_US / 2, .jitter_us = 50000, .loss = 200, .duplicate = 100 };
	uint64_t trace[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sim s;

		pair_up(&s, i < 2 ? 270 : 271);
		sim_set_link(&s, 0, 1, &bad);
		talk(&s, BOTH, 0, 4, MS(100), SECONDS(150));
		trace[i] = s.trace;
		sim_done(&s);
	}
	assert_true(trace[0] == trace[1]);
	assert_true(trace[0] != trace[2]);
}

/*
 * NATs.
 */

static const char *const nat_names[] = { "public", "forward", "masquerade", "random" };

/* Whether a session can come up at all: somebody must get through to the other's listen port. */
static bool base_possible(enum sim_nat_kind a, enum sim_nat_kind b)
{
	if (a <= SIM_NAT_FORWARD || b <= SIM_NAT_FORWARD)
		return true;
	return a == SIM_NAT_MASQUERADE && b == SIM_NAT_MASQUERADE;
}

/* Where a session comes up sub-sessions do as well: the side that opens lets its NAT see its ports first. */
static void nat_pair(uint64_t seed, enum sim_nat_kind a, enum sim_nat_kind b, unsigned int ways, bool expected)
{
	struct sim s;
	char what[64];

	begin(&s, seed);
	sim_add_node(&s);
	sim_add_node(&s);
	sim_add_nat(&s, 0, a);
	sim_add_nat(&s, 1, b);
	sim_connect(&s, 0, 1);
	sim_set_link(&s, 0, 1, &WAN);
	/* Session first: two that punch holes need a few attempts. */
	if (a > SIM_NAT_FORWARD)
		greet(&s, 0);
	if (b > SIM_NAT_FORWARD)
		greet(&s, 1);
	if (a <= SIM_NAT_FORWARD && b <= SIM_NAT_FORWARD)
		greet(&s, 0);
	sim_run(&s, SECONDS(20));
	snprintf(what, sizeof(what), "%s - %s, ways %u", nat_names[a], nat_names[b], ways);
	talk(&s, ways, 0, 4, MS(20), SECONDS(10));
	watch_again(&s);
	talk(&s, ways, 0, 4, MS(20), SECONDS(60));
	settle(&s);
	show(&s, what);
	assert_int_equal(watch.doubles, 0);
	assert_int_equal(lost(&watch), 0);
	assert_int_equal(reordered(&watch), 0);
	assert_int_equal(on_own(&watch, 0), expected && ways & TO_0 ? 4 : 0);
	assert_int_equal(on_own(&watch, 1), expected && ways & TO_1 ? 4 : 0);
	assert_int_equal(moves(&watch), 0);
	assert_true(rate(&s) <= 10);
	check_silence(&s);
	sim_done(&s);
}

static void pairs_of_nats(void **state)
{
	(void)state;
	for (enum sim_nat_kind a = SIM_NAT_NONE; a <= SIM_NAT_RANDOM; a++)
		for (enum sim_nat_kind b = SIM_NAT_NONE; b <= SIM_NAT_RANDOM; b++)
			for (unsigned int ways = TO_0; base_possible(a, b) && ways <= BOTH; ways++)
				nat_pair(300 + a * 4 + b, a, b, ways, true);
}

/* The NAT forgets a sub-session that only carries data inwards: its flow is back on 0 in seconds, the others do not notice. */
static void nat_forgets_one(void **state)
{
	(void)state;
	for (uint64_t seed = 340; seed < 350; seed++) {
		struct sim s;
		unsigned int gone;
		int64_t start_us;

		begin(&s, seed);
		sim_add_node(&s);
		sim_add_node(&s);
		sim_add_nat(&s, 0, SIM_NAT_RANDOM);
		sim_connect(&s, 0, 1);
		sim_set_link(&s, 0, 1, &WAN);
		greet(&s, 0);
		sim_run(&s, SECONDS(2));
		talk(&s, TO_0, 0, 4, MS(20), SECONDS(10));
		assert_int_equal(on_own(&watch, 0), 4);
		assert_int_equal(lost(&watch), 0);
		gone = watch.to[0][2].number;
		nat_forget(&s.nodes[0].nat, (uint16_t)(SIM_PORT + gone));
		s.nodes[0].nat.blocked = (uint16_t)(SIM_PORT + gone);
		watch_again(&s);
		start_us = s.now_us;
		while (s.now_us - start_us < SECONDS(10) && watch.to[0][2].number == gone)
			talk(&s, TO_0, 0, 4, MS(20), MS(20));
		show(&s, "forgotten");
		print_message("# back after %lld ms, on %u\n", (long long)(s.now_us - start_us) / 1000, watch.to[0][2].number);
		assert_true(s.now_us - start_us < SECONDS(4));
		for (unsigned int i = 0; i < 4; i++) {
			assert_int_equal(watch.to[0][i].moves, i == 2);
			assert_true(i == 2 || watch.to[0][i].gap_us == MS(20));
		}
		s.nodes[0].nat.blocked = 0;
		talk(&s, TO_0, 0, 4, MS(20), SECONDS(20));
		assert_int_equal(on_own(&watch, 0), 4);
		assert_int_equal(sim_peer(&s, 1, 0).sub_usable, sim_peer(&s, 0, 1).sub_usable);
		check_watch(&s, "and again", 10, 60);
		check_silence(&s);
		sim_done(&s);
	}
}

/*
 * A firewall lets only the listen port through: nobody can open any. Both have tried, and say no more about it for a minute; flows stay on
 * session 0.
 */
static void nothing_gets_through(void **state)
{
	(void)state;
	for (uint64_t seed = 350; seed < 354; seed++) {
		struct sim s;
		bool paused = false;

		begin(&s, seed);
		sim_add_node(&s);
		sim_add_node(&s);
		for (size_t i = 0; i < 2; i++) {
			sim_add_nat(&s, i, SIM_NAT_FORWARD);
			s.nodes[i].nat.only = SIM_PORT;
		}
		sim_connect(&s, 0, 1);
		sim_set_link(&s, 0, 1, &WAN);
		greet(&s, 0);
		sim_run(&s, SECONDS(2));
		for (int i = 0; i < 30 && !paused; i++) {
			talk(&s, BOTH, 0, 4, MS(20), SECONDS(1));
			paused = s.nodes[0].node->peers[0]->spread.pause_us || s.nodes[1].node->peers[0]->spread.pause_us;
		}
		show(&s, "nothing gets through");
		assert_true(paused);
		assert_int_equal(on_own(&watch, 0) + on_own(&watch, 1), 0);
		sim_done(&s);
	}
}

/*
 * Changes.
 */

/* A side moves to another address: flows go on. */
static void a_side_moves(void **state)
{
	(void)state;
	for (unsigned int who = 0; who < 2; who++)
		for (unsigned int ways = TO_0; ways <= BOTH; ways++) {
			struct sim s;
			unsigned int into = who ? TO_1 : TO_0;

			pair_up(&s, 400 + who);
			talk(&s, ways, 0, 8, MS(20), SECONDS(5));
			watch_again(&s);
			s.nodes[who].endpoint.addr.bytes[3] = 200;
			talk(&s, ways, 0, 8, MS(20), SECONDS(30));
			for (unsigned int i = 0; i < 8; i++)
				for (unsigned int to = 0; to < 2; to++) {
					if (!(ways & (1U << to)))
						continue;
					if (watch.to[to][i].gap_us > SECONDS(ways == into ? 16 : 2) || !watch.to[to][i].number)
						print_message("# who %u ways %u to %u flow %u: gap %lld ms, on %u\n", who, ways, to, i,
							      (long long)watch.to[to][i].gap_us / 1000, watch.to[to][i].number);
					assert_true(watch.to[to][i].gap_us <= SECONDS(ways == into ? 16 : 2));
					assert_int_not_equal(watch.to[to][i].number, 0);
				}
			check_watch(&s, "moved", 12, 120);
			check_silence(&s);
			sim_done(&s);
		}
}

/*
 * A peer starts again, as a meshd that has forgotten everything, or as a plain one: that we know only when it has not answered two offers of
 * our capabilities, and what goes on sub-sessions meanwhile is lost.
 */
static void peer_starts_again(void **state)
{
	(void)state;
	for (unsigned int who = 0; who < 2; who++)
		for (unsigned int plain = 0; plain < 2; plain++) {
			struct sim s;

			pair_up(&s, 420 + who);
			talk(&s, BOTH, 0, 8, MS(20), SECONDS(5));
			s.nodes[who].flow_sessions = plain ? 0 : 32;
			sim_restart_node(&s, who, true);
			sim_add_peer(&s, who, 1 - who, true, NULL, 0);
			watch_again(&s);
			talk(&s, BOTH, 0, 8, MS(20), SECONDS(5));
			for (unsigned int i = 0; i < 8; i++)
				for (unsigned int to = 0; to < 2; to++)
					if (watch.to[to][i].gap_us > (plain ? MS(2500) : SECONDS(1))) {
						print_message("# who %u plain %u to %u flow %u: gap %lld ms\n", who, plain, to, i,
							      (long long)watch.to[to][i].gap_us / 1000);
						assert_true(false);
					}
			assert_int_equal(on_own(&watch, 0), plain ? 0 : 8);
			assert_int_equal(on_own(&watch, 1), plain ? 0 : 8);
			check_watch(&s, plain ? "plain again" : "meshd again", 25, 120);
			check_silence(&s);
			sim_done(&s);
		}
}

/* FlowSessions is changed while flows go. */
static void flow_sessions_change(void **state)
{
	static const uint8_t steps[] = { 32, 4, 64, 0, 16, 1, 126 };
	struct sim s;

	(void)state;
	pair_up(&s, 440);
	sim_set_flow_sessions(&s, 1, 126);
	for (size_t i = 0; i < sizeof(steps); i++) {
		/* Those that share stay together until they are silent. */
		sim_set_flow_sessions(&s, 0, steps[i]);
		settle(&s);
		talk(&s, BOTH, 0, 8, MS(20), SECONDS(130));
		show(&s, "changed");
		print_message("# FlowSessions %u\n", steps[i]);
		assert_int_equal(on_own(&watch, 1), steps[i] ? 8 : 0);
		assert_int_equal(sharing(&watch, 1), steps[i] >= 8 ? 0 : 8 - (steps[i] ? steps[i] : 1));
	}
	settle(&s);
	check_all_arrived(&s, "changed");
	check_silence(&s);
	sim_done(&s);
}

/*
 * A hostile peer, with all the keys that it is entitled to.
 */

enum { VICTIM, HONEST, HOSTILE };

struct flood {
	struct watch watch;		/* first: s->ctx is both */
	uint64_t sent, answered, answered_bytes, sent_bytes;
};

static void watch_flood(struct sim *s, size_t from, const struct sim_dgram *d)
{
	struct flood *f = s->ctx;

	if (from == HOSTILE) {
		f->sent++;
		f->sent_bytes += d->len;
	} else if (from == VICTIM && ip_addr_equal(&d->to.addr, &s->nodes[HOSTILE].endpoint.addr)) {
		f->answered++;
		f->answered_bytes += d->len;
	} else if (d->control) {
		watch_dgram(s, from, d);
	}
}

/* A message of kind 'kind', or of one at random: well-formed at its beginning, and else anything. */
static size_t draw_message(struct sim_stream *r, unsigned int kind, uint8_t msg[MESH_MESSAGE_MAX])
{
	static const size_t lens[] = { 16, MESH_CAPABILITIES_LEN, MESH_PROBE_LEN, MESH_REPLY_LEN, 40, MESH_MESSAGE_MAX, MESH_REPORT_LEN };

	if (!kind)
		kind = 1 + (unsigned int)sim_random(r, 7);
	for (size_t i = 0; i < MESH_MESSAGE_MAX; i++)
		msg[i] = (uint8_t)sim_random(r, 256);
	msg[0] = (uint8_t)kind;
	if (kind == MESH_OPEN)
		msg[2] = (uint8_t)(sim_random(r, 2) ? 126 : sim_random(r, 127));
	if (kind == MESH_REPORT && sim_random(r, 2))
		memset(msg + 8, 0, 16);
	return kind < sizeof(lens) / sizeof(lens[0]) ? lens[kind] : 1 + sim_random(r, MESH_MESSAGE_MAX);
}

static void attack(struct sim *s, struct sim_stream *r, unsigned int kind)
{
	struct node *n = s->nodes[HOSTILE].node;
	struct peer *p = node_find(n, s->nodes[VICTIM].public_key);
	uint8_t msg[MESH_MESSAGE_MAX];
	size_t len = draw_message(r, kind, msg);
	bool is_control = msg[0] == MESH_CAPABILITIES || msg[0] == MESH_OPEN || msg[0] == MESH_REPORT;
	unsigned int number = is_control ? SUB_SESSION_CONTROL : 1 + (unsigned int)sim_random(r, 126);

	if (!sim_random(r, 8))
		number = (unsigned int)sim_random(r, SUB_SESSIONS);
	assert_true(links_open_subs(n->lanes, n->lane_count, &p->data, SUB_SESSIONS_MAX));
	/* From sub-sessions it goes where the session does. */
	if (number && number != SUB_SESSION_CONTROL && p->data.subs[number].path.remote.addr.family == IP_NONE)
		p->data.subs[number].path = p->data.links[0].path;
	lane_send_control(&n->lanes[0], &p->data.links[0], number, 0, msg, (uint32_t)len);
	s->nodes[HOSTILE].wake_us = s->now_us;
}

/* It says what it likes, as often as it likes: memory and answers stay bounded, and nobody else notices. */
static void hostile_peer(void **state)
{
	static struct flood flood;

	(void)state;
	for (unsigned int kind = 0; kind <= MESH_REPORT; kind++) {
		struct sim_stream r = { .s = kind };
		struct peer *p;
		struct sim s;
		uint64_t moves_before;

		sim_init(&s, 460 + kind);
		memset(&flood, 0, sizeof(flood));
		flood.watch.seed = 460 + kind;
		s.ctx = &flood;
		s.on_packet = watch_packet;
		s.on_dgram = watch_flood;
		for (int i = 0; i < 3; i++) {
			s.flow_sessions = i == VICTIM ? 16 : 126;
			sim_add_node(&s);
		}
		for (size_t i = HONEST; i <= HOSTILE; i++) {
			sim_connect(&s, VICTIM, i);
			sim_set_link(&s, VICTIM, i, &WAN);
			sim_send_flow(&s, VICTIM, i, FLOWS, (uint64_t)FLOWS << 32 | 1, 100);
			sim_send_flow(&s, VICTIM, i, FLOWS, (uint64_t)FLOWS << 32 | 1, 100);
		}
		sim_run(&s, SECONDS(1));
		talk(&s, BOTH, 0, 8, MS(20), SECONDS(3));
		p = node_find(s.nodes[VICTIM].node, s.nodes[HOSTILE].public_key);
		assert_true(p->data.mesh);
		watch_again(&s);
		flood.sent = flood.answered = flood.answered_bytes = flood.sent_bytes = 0;
		moves_before = moves(&flood.watch);
		for (int t = 0; t < 3000; t++) {
			for (int i = 0; i < 5; i++)
				attack(&s, &r, kind);
			if (t % 20 == 0) {
				sim_send_flow(&s, VICTIM, HOSTILE, FLOWS + (unsigned int)(t % 60), (uint64_t)FLOWS << 32 | 1, 100);
				for (unsigned int i = 0; i < 8; i++) {
					send_one(&s, 0, i);
					send_one(&s, 1, i);
				}
			}
			sim_run(&s, MS(1));
			assert_true(p->data.sub_count <= 16);
			assert_true(spread_usable(s.nodes[VICTIM].node, p) <= 16);
		}
		settle(&s);
		print_message("# kind %u: %llu messages, %llu bytes; %llu answers, %llu bytes; subs %u\n", kind, (unsigned long long)flood.sent,
			      (unsigned long long)flood.sent_bytes, (unsigned long long)flood.answered,
			      (unsigned long long)flood.answered_bytes, p->data.sub_count);
		assert_true(flood.sent > 10000);
		/* Data is among the answers, and what goes by itself. */
		assert_true(flood.answered <= flood.sent + 1000);
		assert_true(flood.answered_bytes <= flood.sent_bytes + flood.sent_bytes / 2 + 100000);
		assert_true(node_ports_wanted(s.nodes[VICTIM].node) <= 16);
		assert_int_equal(lost(&flood.watch), 0);
		assert_int_equal(reordered(&flood.watch), 0);
		assert_int_equal(moves(&flood.watch), moves_before);
		assert_true(rate(&s) <= 10);
		sim_done(&s);
	}
}

/*
 * Several lanes.
 */
static void lanes_of_all_kinds(void **state)
{
	static const unsigned int of_0[] = { 1, 2, 4 }, of_1[] = { 1, 3 };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 2; j++) {
			struct sim s;

			begin(&s, 500 + 2 * i + j);
			s.lanes = of_0[i];
			sim_add_node(&s);
			s.lanes = of_1[j];
			sim_add_node(&s);
			sim_connect(&s, 0, 1);
			sim_set_link(&s, 0, 1, &WAN);
			greet(&s, 0);
			sim_run(&s, MS(500));
			print_message("# lanes %u - %u\n", of_0[i], of_1[j]);
			talk(&s, BOTH, 0, 8, MS(20), SECONDS(3));
			watch_again(&s);
			talk(&s, BOTH, 0, 8, MS(20), SECONDS(130));
			show(&s, "lanes");
			assert_int_equal(on_own(&watch, 0), 8);
			assert_int_equal(on_own(&watch, 1), 8);
			assert_int_equal(moves(&watch), 0);
			check_watch(&s, "lanes, 8 flows", 10, 60);
			talk(&s, BOTH, 0, 60, MS(20), SECONDS(20));
			settle(&s);
			check_all_arrived(&s, "lanes, 60 flows");
			show(&s, "60");
			assert_int_equal(on_own(&watch, 0), 60);
			assert_int_equal(on_own(&watch, 1), 60);
			assert_int_equal(sim_peer(&s, 0, 1).sub_usable, 32);
			check_silence(&s);
			sim_done(&s);
		}
}

/* With an argument: those whose name it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_flow_gets_its_own),
		cmocka_unit_test(flows_have_tuples),
		cmocka_unit_test(smaller_flow_sessions_count),
		cmocka_unit_test(few_sockets),
		cmocka_unit_test(plain_peers_are_left_alone),
		cmocka_unit_test(rekey_keeps_tuples),
		cmocka_unit_test(rekey_on_bad_links),
		cmocka_unit_test(heavy_loss),
		cmocka_unit_test(sparse_flows),
		cmocka_unit_test(runs_are_repeatable),
		cmocka_unit_test(pairs_of_nats),
		cmocka_unit_test(nat_forgets_one),
		cmocka_unit_test(nothing_gets_through),
		cmocka_unit_test(a_side_moves),
		cmocka_unit_test(peer_starts_again),
		cmocka_unit_test(flow_sessions_change),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(lanes_of_all_kinds),
	};

	if (!crypto_init())
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
