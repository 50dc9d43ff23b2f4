/* SPDX-License-Identifier: MIT */
/* The choice among paths, by the numbers it was asked for: two ends in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "path_world.h"
#include "sanitized.h"

#define MS US_PER_MS
#define S US_PER_S

enum { SEEDS = SANITIZED ? 8 : 20, HOURS = SANITIZED ? 2 : 4 };

static void print_log(const struct world *w, int64_t since_us)
{
	for (unsigned int i = 0; i < w->log_count; i++)
		if (w->log[i].at_us >= since_us)
			print_message("# %lld ms: end %u to way %d, why %u%s\n", (long long)(w->log[i].at_us / MS), w->log[i].end, w->log[i].way,
				      w->log[i].why, w->log[i].urgent ? ", urgent" : "");
}

static void both_send(struct world *w, int64_t each_us)
{
	world_data(w, 0, each_us);
	world_data(w, 1, each_us);
}

/* Two equal paths with 20 % noise: at most one change in an hour. */
static void equal_paths_stay(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= (SANITIZED ? 3 : 6); seed++) {
		static const int64_t delays[] = { 500, 10 * MS, 100 * MS };
		struct world w;

		world_init(&w, seed, 2, delays[seed % 3], 20);
		world_start(&w);
		both_send(&w, 20 * MS);
		world_run(&w, 3600 * S);
		for (unsigned int end = 0; end < 2; end++)
			if (world_changes(&w, end, 0) > 1) {
				print_log(&w, 0);
				fail_msg("seed %llu: end %u changed %u times", (unsigned long long)seed, end, world_changes(&w, end, 0));
			}
		assert_int_equal(world_path(&w, 0, 1)->state, PATH_ALIVE);
		world_done(&w);
	}
}

/* The path in use gets worse: moved within 5 s, and once in the ten minutes that follow. */
static void moves_once(uint64_t seed, int64_t delay_us, int64_t more_us, unsigned int loss)
{
	struct world w;
	int64_t from;

	world_init(&w, seed, 2, delay_us, 5);
	world_start(&w);
	both_send(&w, 10 * MS);
	world_run(&w, 60 * S + (int64_t)world_random(&w, 1000) * MS);
	assert_int_equal(world_uses(&w, 0), 0);
	from = w.now_us;
	w.way[0].delay_us += more_us;
	w.way[0].loss[0] = w.way[0].loss[1] = loss;
	world_run(&w, 5 * S);
	for (unsigned int end = 0; end < 2; end++)
		if (world_uses(&w, end) != 1) {
			print_log(&w, from);
			fail_msg("seed %llu, +%lld us, loss %u: end %u still there", (unsigned long long)seed, (long long)more_us, loss, end);
		}
	world_run(&w, 595 * S);
	for (unsigned int end = 0; end < 2; end++)
		if (world_changes(&w, end, from) != 1) {
			print_log(&w, from);
			fail_msg("seed %llu, +%lld us, loss %u: end %u changed %u times", (unsigned long long)seed, (long long)more_us, loss, end,
				 world_changes(&w, end, from));
		}
	world_done(&w);
}

static void leaves_delay(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		moves_once(seed, 10 * MS, 150 * MS, 0);
}

static void leaves_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		moves_once(seed, 10 * MS, 0, 500);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* How long until end 0 has another path than the one that died. 'dead': which directions, as bits. */
static int64_t time_to_leave(uint64_t seed, int64_t delay_us, unsigned int dead)
{
	struct world w;
	int64_t from, took;

	world_init(&w, seed, 2, delay_us, 5);
	world_start(&w);
	both_send(&w, 10 * MS);
	world_run(&w, 30 * S + (int64_t)world_random(&w, 2000) * MS);
	assert_int_equal(world_uses(&w, 0), 0);
	from = w.now_us;
	w.way[0].dead[0] = dead & 1;
	w.way[0].dead[1] = dead & 2;
	while (world_uses(&w, dead & 1 ? 0 : 1) == 0 && w.now_us < from + 5 * S)
		world_run(&w, 1 * MS);
	took = w.now_us - from;
	world_run(&w, 60 * S);
	for (unsigned int end = 0; end < 2; end++)
		if (world_changes(&w, end, from) > 1) {
			print_log(&w, from);
			fail_msg("seed %llu, dead %u: end %u changed %u times", (unsigned long long)seed, dead, end, world_changes(&w, end, from));
		}
	world_done(&w);
	return took;
}

static void leaves_the_dead(void **state)
{
	(void)state;
	for (unsigned int dead = 1; dead <= 3; dead++)
		for (int64_t delay_us = 500; delay_us <= 10 * MS; delay_us *= 4) {
			int64_t took[SEEDS];

			for (uint64_t i = 0; i < SEEDS; i++)
				took[i] = time_to_leave(100 + i, delay_us, dead);
			qsort(took, SEEDS, sizeof(took[0]), compare);
			print_message("# dead %u, delay %lld us: median %lld ms, most %lld ms\n", dead, (long long)delay_us, (long long)(took[SEEDS / 2] / MS),
				      (long long)(took[SEEDS - 1] / MS));
			assert_true(took[SEEDS / 2] <= 400 * MS);
			assert_true(took[SEEDS - 1] <= 500 * MS);
		}
}

/* All that probes and replies of both sides are, on a link with two paths that nobody uses. */
static void idle_is_quiet(void **state)
{
	struct world w;
	uint64_t bytes;
	unsigned int turns;

	(void)state;
	world_init(&w, 1, 2, 10 * MS, 5);
	world_start(&w);
	for (unsigned int end = 0; end < 2; end++)
		paths_want(&w.end[end].s, true, (struct instant){ .mono_us = w.now_us + w.end[end].clock_us });
	world_run(&w, 60 * S);
	bytes = w.end[0].control_bytes + w.end[1].control_bytes;
	turns = w.end[0].turns + w.end[1].turns;
	world_run(&w, 3600 * S);
	bytes = w.end[0].control_bytes + w.end[1].control_bytes - bytes;
	turns = w.end[0].turns + w.end[1].turns - turns;
	print_message("# idle: %llu bit/s, %u turns in an hour\n", (unsigned long long)(bytes * 8 / 3600), turns);
	assert_in_range(bytes * 8 / 3600, 100, 999);
	assert_true(turns < 4 * 3600 / 15);
	for (unsigned int end = 0; end < 2; end++) {
		assert_int_equal(world_path(&w, end, 0)->state, PATH_ALIVE);
		assert_int_equal(world_path(&w, end, 1)->state, PATH_ALIVE);
		assert_int_equal(world_changes(&w, end, 0), 0);
	}
	world_done(&w);
}

/* Nobody wants it: nothing is sent at all. Then there is traffic, and the first message tells. */
static void unwanted_is_silent(void **state)
{
	struct world w;
	uint64_t messages;

	(void)state;
	world_init(&w, 1, 2, 10 * MS, 5);
	world_start(&w);
	both_send(&w, 10 * MS);
	world_run(&w, 20 * S);
	world_data(&w, 0, 0);
	world_data(&w, 1, 0);
	world_run(&w, 10 * S);
	messages = w.end[0].messages + w.end[1].messages;
	world_run(&w, 600 * S);
	assert_int_equal(w.end[0].messages + w.end[1].messages, messages);
	assert_true(paths_next(&w.end[0].s) == NEVER_US);
	w.way[0].dead[0] = w.way[0].dead[1] = true;
	world_data(&w, 0, 10 * MS);
	world_run(&w, 450 * MS);
	assert_int_equal(world_uses(&w, 0), 1);
	world_done(&w);
}

/* 2 % of everything is lost on both paths: chance moves little. */
static void even_loss_stays(void **state)
{
	unsigned int most = 0, all = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= HOURS; seed++) {
		struct world w;

		world_init(&w, seed, 2, 10 * MS, 5);
		for (unsigned int i = 0; i < 4; i++)
			w.way[i / 2].loss[i % 2] = 200;
		world_start(&w);
		both_send(&w, 10 * MS);
		world_run(&w, 3600 * S);
		for (unsigned int end = 0; end < 2; end++) {
			unsigned int n = world_changes(&w, end, 0);

			all += n;
			most = n > most ? n : most;
		}
		if (most > 3) {
			print_log(&w, 0);
			fail_msg("seed %llu: %u changes", (unsigned long long)seed, most);
		}
		world_done(&w);
	}
	print_message("# 2 %% of loss on both: %u changes in %d hours, at most %u in one\n", all, 2 * HOURS, most);
}

/* All dead: the path in use stays, the link is down, and up again soon after something lives. */
static void all_dead_and_back(void **state)
{
	struct world w;
	bool down;

	(void)state;
	world_init(&w, 3, 2, 10 * MS, 5);
	world_start(&w);
	both_send(&w, 10 * MS);
	world_run(&w, 20 * S);
	paths_cost(&w.end[0].s, &down);
	assert_false(down);
	for (unsigned int i = 0; i < 4; i++)
		w.way[i / 2].dead[i % 2] = true;
	world_run(&w, 60 * S);
	paths_cost(&w.end[0].s, &down);
	assert_true(down);
	assert_int_equal(w.end[0].s.why, PATH_WHY_ONLY);
	assert_true(world_uses(&w, 0) >= 0);
	w.way[1].dead[0] = w.way[1].dead[1] = false;
	world_run(&w, 3 * S);
	paths_cost(&w.end[0].s, &down);
	assert_false(down);
	assert_int_equal(world_uses(&w, 0), 1);
	world_done(&w);
}

/* Turns a second of one end: they cost a look at all lanes each, so they are for what is due, and not for what is waited for. */
static void assert_few_turns(struct world *w, int64_t for_us)
{
	unsigned int turns = w->end[0].turns;

	world_run(w, for_us);
	turns = w->end[0].turns - turns;
	print_message("# %u turns in %lld s\n", turns, (long long)(for_us / S));
	assert_true(turns < 120 * (unsigned int)(for_us / S));
}

/* All ways of both ends by one interface, as IPv4 and IPv6 are. */
static void by_one_interface(struct world *w)
{
	for (unsigned int end = 0; end < 2; end++) {
		struct world_end *e = &w->end[end];

		for (unsigned int i = 1; i < w->ways; i++)
			e->locals[i].ifindex = e->locals[0].ifindex;
		paths_rebuild(&e->s, e->locals, w->ways, (struct instant){ .mono_us = w->now_us + e->clock_us });
	}
}

/* Such a path begins to lose, and the other does not: how long until both ends have left it. They do so once. */
static int64_t time_to_leave_loss(uint64_t seed, int64_t each_us, unsigned int loss)
{
	int64_t from, took[2] = { 0 };
	struct world w;

	world_init(&w, seed, 2, 10 * MS, 5);
	by_one_interface(&w);
	world_start(&w);
	both_send(&w, each_us);
	world_run(&w, 60 * S + (int64_t)world_random(&w, 1000) * MS);
	assert_int_equal(world_uses(&w, 0), 0);
	from = w.now_us;
	w.way[0].loss[0] = w.way[0].loss[1] = loss;
	while ((!took[0] || !took[1]) && w.now_us < from + 120 * S) {
		world_run(&w, 10 * MS);
		for (unsigned int end = 0; end < 2; end++)
			if (!took[end] && world_uses(&w, end) == 1)
				took[end] = w.now_us - from;
	}
	world_run(&w, 300 * S);
	for (unsigned int end = 0; end < 2; end++)
		if (world_changes(&w, end, from) != 1) {
			print_log(&w, from);
			fail_msg("seed %llu: end %u changed %u times", (unsigned long long)seed, end, world_changes(&w, end, from));
		}
	world_done(&w);
	return took[0] > took[1] ? took[0] : took[1];
}

static void leaves_loss_nearby(void **state)
{
	static const struct {
		int64_t each_us;
		unsigned int loss;
	} cases[] = { { 2 * MS, 500 }, { 10 * MS, 500 }, { 20 * MS, 1000 } };

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		int64_t took[12];

		for (uint64_t i = 0; i < 12; i++)
			took[i] = time_to_leave_loss(200 + i, cases[k].each_us, cases[k].loss);
		qsort(took, 12, sizeof(took[0]), compare);
		print_message("# loss of %u in 10000 nearby, a packet each %lld ms: both left after: median %lld ms, most %lld ms\n", cases[k].loss,
			      (long long)(cases[k].each_us / MS), (long long)(took[6] / MS), (long long)(took[11] / MS));
		assert_true(took[6] <= 5 * S);
		assert_true(took[11] <= 10 * S);
	}
}

/* Those for being better. */
static unsigned int better_changes(const struct world *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->log_count; i++)
		n += w->log[i].why == PATH_WHY_BETTER;
	return n;
}

/* Both lose the same, as what leaves by one interface mostly does: there is nothing to gain. Over hours, so that chance has its chances. */
static void even_loss_nearby_stays(void **state)
{
	static const unsigned int losses[] = { 100, 200, 500, 1000 };

	(void)state;
	for (unsigned int k = 0; k < 4; k++) {
		unsigned int all = 0, early = 0, most = 0;

		for (uint64_t seed = 0; seed < 5; seed++) {
			unsigned int n;
			struct world w;

			world_init(&w, 300 + seed, 2, 10 * MS, 5);
			by_one_interface(&w);
			world_start(&w);
			both_send(&w, 10 * MS);
			world_run(&w, 60 * S);
			for (unsigned int i = 0; i < 4; i++)
				w.way[i / 2].loss[i % 2] = losses[k];
			world_run(&w, 20 * S);
			early += better_changes(&w);
			world_run(&w, 1780 * S);
			n = better_changes(&w);
			all += n;
			most = n > most ? n : most;
			world_done(&w);
		}
		print_message("# even loss of %u in 10000 nearby: %u changes in 2.5 hours of two ends, %u of them at once, at most %u in one half hour\n",
			      losses[k], all, early, most);
		assert_true(early <= 1);
		assert_true(most <= 3);
	}
}

/* A path by the same interface loses less, and there was a trial a moment ago: it has to be so for long. */
static void better_nearby(struct world *w)
{
	world_init(w, 5, 2, 10 * MS, 5);
	by_one_interface(w);
	world_start(w);
	both_send(w, 10 * MS);
	world_run(w, 60 * S);
	w->way[0].loss[0] = 500;
	w->end[0].s.doubt_us = w->now_us + w->end[0].clock_us;
	for (int i = 0; i < 200 && !w->end[0].s.better_us; i++)
		world_run(w, 100 * MS);
	assert_true(w->end[0].s.better_us);
	world_run(w, 2 * S);
	assert_int_equal(world_uses(w, 0), 0);
}

/* Meanwhile there is nothing to do about it. */
static void waits_at_ease(void **state)
{
	struct world w;

	(void)state;
	better_nearby(&w);
	assert_few_turns(&w, 10 * S);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_paths_stay),
		cmocka_unit_test(leaves_delay),
		cmocka_unit_test(leaves_loss),
		cmocka_unit_test(leaves_the_dead),
		cmocka_unit_test(idle_is_quiet),
		cmocka_unit_test(unwanted_is_silent),
		cmocka_unit_test(even_loss_stays),
		cmocka_unit_test(all_dead_and_back),
		cmocka_unit_test(waits_at_ease),
		cmocka_unit_test(leaves_loss_nearby),
		cmocka_unit_test(even_loss_nearby_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
