/* SPDX-License-Identifier: MIT */
/*
 * The flow table: who gets a sub-session of his own, who shares, when a flow may move; and, of a naive twin without bounds, that it
 * does the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "flow/table.h"

enum { SLOTS = 32, FLOWS = 1024 };

#define GAP ((int64_t)FLOW_GAP_MIN_US)

static struct flow_table table;
static struct flow_slot room[SLOTS];
static struct flow_slots slots;
static int64_t now_us;
static uint64_t random_state;

static uint64_t draw(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return z ? z : 1;
}

static int setup(void **state)
{
	(void)state;
	assert_true(flow_table_init(&table, FLOWS));
	memset(room, 0, sizeof(room));
	slots = (struct flow_slots){ .v = room, .count = SLOTS };
	now_us = 1000 * US_PER_S;
	random_state = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	flow_table_done(&table);
	return 0;
}

static void use(unsigned int count, bool complete)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		flow_slot_set(&slots, i, i < count);
	assert_int_equal(slots.usable, count);
	slots.complete = complete;
}

static struct flow_place at(uint64_t flow)
{
	return flow_place(&table, &slots, flow, now_us);
}

/* As many flows as slots: each its own. */
static void free_before_shared(void **state)
{
	uint64_t taken = 0;

	(void)state;
	use(SLOTS, true);
	assert_int_equal(flow_slots_free(&slots, now_us), SLOTS);
	for (unsigned int i = 0; i < SLOTS; i++) {
		struct flow_place p = at(draw());

		assert_true(p.own && p.slot >= 0 && p.slot < SLOTS);
		assert_false(taken >> p.slot & 1);
		taken |= UINT64_C(1) << p.slot;
		assert_int_equal(flow_slots_free(&slots, now_us), SLOTS - 1 - i);
	}
	/* The next ones share, spread over all, and each stays where it is. */
	taken = 0;
	for (int i = 0; i < 500; i++) {
		uint64_t flow = draw();
		struct flow_place p = at(flow);

		assert_true(!p.own && p.slot >= 0);
		taken |= UINT64_C(1) << p.slot;
		assert_int_equal(at(flow).slot, p.slot);
	}
	assert_int_equal(taken, UINT32_MAX);
}

/* Sixteen flows on 32 slots for a minute, each with pauses shorter than a gap: no two ever meet, and none moves. */
static void few_flows_never_share(void **state)
{
	uint64_t flows[16];
	int first[16];

	(void)state;
	use(SLOTS, true);
	for (size_t i = 0; i < 16; i++) {
		flows[i] = draw();
		first[i] = at(flows[i]).slot;
		assert_true(first[i] >= 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(first[i], first[k]);
	}
	for (int round = 0; round < 1200; round++) {
		now_us += GAP;
		for (size_t i = 0; i < 16; i++) {
			struct flow_place p = at(flows[(i + (size_t)round) % 16]);

			assert_true(p.own);
			assert_int_equal(p.slot, first[(i + (size_t)round) % 16]);
		}
	}
}

/* While more are on their way a flow that finds none free is on 0; it leaves once, for one of its own. */
static void on_zero_until_one_is_ready(void **state)
{
	uint64_t a = draw(), b = draw(), c = draw();

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(at(a).slot, FLOW_NONE);
		assert_false(at(a).own);
	}
	use(1, false);
	assert_int_equal(at(a).slot, 0);		/* in the middle of its packets */
	assert_true(at(a).own);
	assert_int_equal(at(b).slot, FLOW_NONE);
	flow_slot_set(&slots, 1, true);
	assert_int_equal(at(b).slot, 1);
	/* More become ready: who has one stays. */
	use(SLOTS, false);
	for (int i = 0; i < 100; i++) {
		now_us += GAP;
		assert_int_equal(at(a).slot, 0);
		assert_int_equal(at(b).slot, 1);
	}
	assert_true(at(c).slot > 1);
}

/* A flow that began on 0 stays there while more slots are on their way; when there will be none it leaves it once, to share, and stays. */
static void leaves_zero_to_share(void **state)
{
	uint64_t a = draw(), b = draw();

	(void)state;
	use(1, false);
	assert_int_equal(at(a).slot, 0);
	assert_int_equal(at(b).slot, FLOW_NONE);
	for (int i = 0; i < 100; i++) {
		now_us += GAP;
		at(a);
		assert_int_equal(at(b).slot, FLOW_NONE);
	}
	slots.complete = true;
	assert_int_equal(at(b).slot, 0);
	assert_false(at(b).own);
	assert_true(at(a).own);
	/* A free one does not move it in the middle, only across a gap. */
	use(2, true);
	for (int i = 0; i < 100; i++) {
		now_us += GAP;
		at(a);
		assert_int_equal(at(b).slot, 0);
	}
	now_us += GAP / 2 + 1;
	at(a);
	now_us += GAP / 2;
	assert_int_equal(at(b).slot, 1);
	assert_true(at(b).own);
}

/* A slot is another's only after a gap without any packet on it. */
static void taken_only_across_a_gap(void **state)
{
	uint64_t a = draw(), b = draw();

	(void)state;
	use(1, true);
	assert_true(at(a).own);
	now_us += GAP;
	assert_false(at(b).own);		/* shares */
	now_us += GAP;				/* a is silent for two gaps, b for one: the slot is in use */
	assert_false(at(b).own);
	assert_int_equal(flow_slots_free(&slots, now_us), 0);
	now_us += GAP + 1;
	assert_int_equal(flow_slots_free(&slots, now_us), 1);
	assert_true(at(b).own);
	assert_false(at(a).own);
	/* The gap is that of the link, if that is longer. */
	slots.gap_us = 10 * GAP;
	now_us += 10 * GAP;
	assert_false(at(a).own);
	now_us += 10 * GAP + 1;
	assert_true(at(a).own);
	slots.gap_us = 1;
	now_us += GAP;
	assert_false(at(b).own);
}

/* Of free ones the one that was silent for longest: what is still on its way there matters least. */
static void longest_silent_first(void **state)
{
	uint64_t flows[4];

	(void)state;
	use(4, true);
	for (int i = 0; i < 4; i++) {
		flows[i] = draw();
		assert_int_equal(at(flows[i]).slot, i);
		now_us++;
	}
	at(flows[0]);
	now_us += GAP + 10;
	assert_int_equal(at(draw()).slot, 1);
	assert_int_equal(at(draw()).slot, 2);
	assert_int_equal(at(flows[3]).slot, 3);		/* its own still */
	assert_int_equal(at(draw()).slot, 0);
}

/* A slot that is not heard any more gives its flows back at once: to another that is free, or to 0. */
static void unusable_gives_back(void **state)
{
	uint64_t a = draw(), b = draw(), c = draw();

	(void)state;
	use(3, true);
	assert_int_equal(at(a).slot, 0);
	assert_int_equal(at(b).slot, 1);
	flow_slot_set(&slots, 0, false);
	assert_int_equal(at(a).slot, 2);
	assert_true(at(a).own);
	slots.complete = false;
	flow_slot_set(&slots, 2, false);
	assert_int_equal(at(a).slot, FLOW_NONE);
	assert_int_equal(slots.usable, 1);
	/* It is usable again, and nobody's. */
	flow_slot_set(&slots, 2, true);
	flow_slot_set(&slots, 2, true);
	assert_int_equal(slots.usable, 2);
	assert_int_equal(at(c).slot, 2);
	assert_int_equal(at(a).slot, FLOW_NONE);
	/* Who shares one that goes is back, too. */
	slots.complete = true;
	assert_true(at(a).slot != FLOW_NONE && !at(a).own);
	use(0, true);
	assert_int_equal(at(a).slot, FLOW_NONE);
	assert_int_equal(at(b).slot, FLOW_NONE);
}

/* A flow that was pushed out of the table finds its slot again, for that remembers it. */
static void forgotten_flows_come_back(void **state)
{
	uint64_t a = draw();
	int slot;

	(void)state;
	use(SLOTS, true);
	slot = at(a).slot;
	for (uint64_t i = 1; i <= 2 * FLOW_WAYS; i++) {
		now_us++;
		at(a + (i << 40));	/* the same set */
	}
	assert_int_equal(at(a).slot, slot);
	assert_true(at(a).own);
}

/* The same flow to two links has two places, and one link's are forgotten alone. */
static void links_are_apart(void **state)
{
	struct flow_slot other_room[2] = { { .owner = 0 } };
	struct flow_slots other = { .v = other_room, .count = 2, .complete = true };
	uint64_t a = draw();

	(void)state;
	use(1, true);
	flow_slot_set(&other, 1, true);
	assert_int_equal(at(a).slot, 0);
	assert_int_equal(flow_place(&table, &other, a, now_us).slot, 1);
	assert_int_equal(at(a).slot, 0);
	flow_table_forget(&table, &other);
	memset(other_room, 0xee, sizeof(other_room));
	assert_int_equal(at(a).slot, 0);
}

/* A million flows, and sixteen that stay: the table does not grow, and what is written lies inside. */
static void a_million_flows(void **state)
{
	uint64_t taken[SLOTS] = { 0 };

	(void)state;
	use(SLOTS, true);
	for (int i = 0; i < 1000000; i++) {
		struct flow_place p = at(draw());

		assert_in_range(p.slot, 0, SLOTS - 1);
		taken[p.slot]++;
		now_us += i % 3;
	}
	for (size_t i = 0; i < SLOTS; i++)
		assert_in_range(taken[i], 1000000 / SLOTS / 2, 1000000 / SLOTS * 2);
	assert_int_equal(table.sets, FLOWS / FLOW_WAYS);
}

/*
 * The twin: the same rules, said as plainly as possible, with a list of all flows ever seen.
 */

enum { TWIN_FLOWS = 40, TWIN_SLOTS = 6 };

struct twin {
	int64_t seen_us[TWIN_FLOWS];	/* 0: never */
	int slot[TWIN_FLOWS];
	bool own[TWIN_FLOWS];
	int owner[TWIN_SLOTS];		/* flow, or -1 */
	int64_t used_us[TWIN_SLOTS];
	bool usable[TWIN_SLOTS];
};

static bool twin_may_stay(const struct twin *t, int f)
{
	int s = t->slot[f];

	if (!t->seen_us[f] || s < 0 || !t->usable[s])
		return false;
	return t->own[f] ? t->owner[s] == f : now_us - t->seen_us[f] <= GAP;
}

static int twin_free(const struct twin *t, int f)
{
	int best = -1;

	for (int s = 0; s < TWIN_SLOTS; s++)
		if (t->usable[s] && t->owner[s] == f)
			return s;
	for (int s = 0; s < TWIN_SLOTS; s++)
		if (t->usable[s] && (t->owner[s] < 0 || now_us - t->used_us[s] > GAP) && (best < 0 || t->used_us[s] < t->used_us[best]))
			best = s;
	return best;
}

/* Where it goes; 'shared' is the one by hash, which the twin leaves to the other. */
static void twin_place(struct twin *t, int f, bool complete, int shared)
{
	bool across = !t->seen_us[f] || t->slot[f] < 0 || now_us - t->seen_us[f] > GAP;
	int s;

	if (!twin_may_stay(t, f)) {
		s = twin_free(t, f);
		t->own[f] = s >= 0;
		if (s < 0 && complete && across)
			s = shared;
		t->slot[f] = s;
		if (t->own[f])
			t->owner[s] = f;
	}
	t->seen_us[f] = now_us;
	if (t->slot[f] >= 0)
		t->used_us[t->slot[f]] = now_us;
}

static void the_same_as_the_twin(void **state)
{
	uint64_t flows[TWIN_FLOWS];
	struct twin twin = { .seen_us = { 0 } };

	(void)state;
	slots.count = TWIN_SLOTS;
	for (int i = 0; i < TWIN_FLOWS; i++)
		flows[i] = draw();
	for (int i = 0; i < TWIN_SLOTS; i++)
		twin.owner[i] = -1;
	for (int round = 0; round < 200000; round++) {
		unsigned int what = (unsigned int)(draw() % 1000), s = (unsigned int)(draw() % TWIN_SLOTS);
		int f = (int)(draw() % (round % 20000 < 10000 ? 5 : TWIN_FLOWS));
		struct flow_place p;

		now_us += what < 10 ? (int64_t)(draw() % (3 * (uint64_t)GAP)) : (int64_t)(draw() % 3000);
		if (what < 990) {
			p = at(flows[f]);
			twin_place(&twin, f, slots.complete, p.slot);
			assert_int_equal(p.slot, twin.slot[f]);
			assert_true(p.own == twin.own[f]);
			assert_true(p.slot < 0 || twin.usable[p.slot]);
		} else if (what < 998) {
			bool usable = draw() % 4;

			flow_slot_set(&slots, s, usable);
			if (twin.usable[s] != usable) {
				twin.owner[s] = -1;
				twin.used_us[s] = 0;
			}
			twin.usable[s] = usable;
		} else {
			slots.complete = draw() % 2;
		}
	}
}

#define with_table(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_table(free_before_shared),
		with_table(few_flows_never_share),
		with_table(on_zero_until_one_is_ready),
		with_table(leaves_zero_to_share),
		with_table(taken_only_across_a_gap),
		with_table(longest_silent_first),
		with_table(unusable_gives_back),
		with_table(forgotten_flows_come_back),
		with_table(links_are_apart),
		with_table(a_million_flows),
		with_table(the_same_as_the_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
