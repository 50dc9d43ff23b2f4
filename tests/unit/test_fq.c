/* SPDX-License-Identifier: MIT */
/*
 * The fair queue, in virtual time: order and sums against a naive model under random use, then what its users rely on: shares,
 * delay of the quiet, CoDel on super-packets, limits, blocked links.
 */
#include "fq_stage.h"

/*
 * Random use of everything, with few flows so that tins collide. Whatever comes out is the oldest of its flow, from a tin that is not
 * blocked; something comes out whenever something may; all sums are those of what is queued.
 */
static void random_use(void **state)
{
	enum { STEPS = 200000 };
	struct stage *s = stage_new(16, 200, 4000000);
	int64_t now_us = START_US;
	unsigned int seed = 5;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		unsigned int tin = (unsigned int)rand_r(&seed) % TINS, dice = (unsigned int)rand_r(&seed) % 1000;
		int phase = i / 4000 % 2;

		now_us += rand_r(&seed) % 300;
		if (dice < (phase ? 520u : 350u)) {
			unsigned int hash = (unsigned int)rand_r(&seed) % HASHES;
			uint32_t len = rand_r(&seed) % 4 ? 64 + (uint32_t)rand_r(&seed) % 1437 : SUPER - (uint32_t)rand_r(&seed) % 9000;

			put_ecn(s, tin, hash, len, (enum fq_ecn)(rand_r(&seed) % 4), now_us);
		} else if (dice < 975) {
			bool may = fq_has_work(&s->q);
			uint64_t drops = s->dropped[FQ_CODEL];
			struct fq_turn turn;
			struct packet *p = (struct packet *)(void *)fq_head(&s->q, now_us, &turn);

			assert_true(p || !may || s->dropped[FQ_CODEL] > drops);
			if (p) {
				assert_ptr_equal(oldest(s, p->tin, (int)p->hash), p);
				assert_false(s->tin[p->tin].blocked);
			}
			if (rand_r(&seed) % 8)
				get_max(s, now_us, rand_r(&seed) % 2 ? 9000 : UINT32_MAX);
		} else if (dice < 985) {
			fq_tin_limit(&s->q, &s->tin[tin], rand_r(&seed) % 2 ? 20 : 0);
			fq_tin_block(&s->q, &s->tin[tin]);
		} else if (dice < 997) {
			fq_tin_unblock(&s->q, &s->tin[tin], now_us, rand_r(&seed) % 2);
		} else if (dice < 998) {
			fq_set_quantum(&s->q, 300 + (uint32_t)rand_r(&seed) % 70000);
		} else {
			fq_tin_purge(&s->q, &s->tin[tin], FQ_PURGED);
			assert_int_equal(s->tin_items[tin], 0);
		}
		check_sums(s);
		assert_true(s->queued <= 200 && s->memory <= 4000000);
		if (s->tin[tin].blocked && s->tin[tin].items_max)
			assert_true(s->tin[tin].items <= s->tin[tin].items_max);
	}
	for (int i = 0; i < 4; i++)
		assert_true(s->dropped[i] > 100);
	assert_int_equal(s->dropped[FQ_CODEL], s->q.stats.codel_dropped);
	assert_int_equal(s->dropped[FQ_OVERFLOW], s->q.stats.overflow_dropped);
	assert_int_equal(s->dropped[FQ_OLDEST], s->q.stats.oldest_dropped);
	assert_int_equal(s->dropped[FQ_PURGED], s->q.stats.purged);
	assert_int_equal(s->marks, s->q.stats.marked);
	assert_true(s->marks > 100 && s->q.stats.collisions > 100);
	stage_free(s);
}

/* Flows that always have something get the same bytes, whatever their packets: never two quanta and a packet apart. */
static void fair_in_bytes(void **state)
{
	static const uint32_t quanta[] = { 300, 1514, 65536 };
	static const uint32_t lens[] = { 64, 1500, SUPER, 700, 30000, 1500 };
	enum { FLOWS = 6 };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct stage *s = stage_new(1024, 1000, 1 << 30);
		uint64_t bytes[FLOWS] = { 0 };
		int partial = 0;

		fq_set_quantum(&s->q, quanta[k]);
		for (unsigned int f = 0; f < FLOWS; f++)
			for (int n = 0; n < 4; n++)
				put(s, 0, f, lens[f], START_US);
		for (int i = 0; i < 100000; i++) {
			struct sent r = get_max(s, START_US, i % 3 ? UINT32_MAX : 20000);
			uint64_t least = UINT64_MAX, most = 0;

			assert_int_equal(r.tin, 0);
			bytes[r.hash] += r.bytes;
			partial += !r.done;
			if (r.done)
				put(s, 0, r.hash, lens[r.hash], START_US);
			for (int f = 0; f < FLOWS; f++) {
				least = bytes[f] < least ? bytes[f] : least;
				most = bytes[f] > most ? bytes[f] : most;
			}
			assert_true(most - least <= 2 * quanta[k] + 2 * MSS);
		}
		assert_true(partial > 100);
		assert_int_equal(s->q.stats.codel_dropped, 0);
		stage_free(s);
	}
}

/* Against the round robin of RFC 8290 done by hand: with packets of a quantum each, flows simply take turns. */
static void takes_turns(void **state)
{
	struct stage *s = stage_new(1024, 1000, 1 << 30);

	(void)state;
	for (int n = 0; n < 20; n++)
		for (unsigned int f = 0; f < 5; f++)
			put(s, 0, f, 1500, START_US);
	fq_set_quantum(&s->q, 1500);
	for (unsigned int n = 0; n < 20; n++)
		for (unsigned int f = 0; f < 5; f++) {
			struct sent r = get(s, START_US);

			assert_int_equal(r.hash, f);
			assert_int_equal(r.number, n * 5 + f + 1);
		}
	assert_int_equal(get(s, START_US).tin, -1);
	stage_free(s);
}

/* A quiet flow, in a busy tin or a tin of its own, goes next after what is left of the turn of one that is as new. */
static void sparse_goes_first(void **state)
{
	(void)state;
	for (unsigned int own_tin = 0; own_tin < 2; own_tin++) {
		struct stage *s = stage_new(1024, 5000, 1 << 30);
		unsigned int seed = 3;
		int now_us = START_US, first = 0;

		for (unsigned int f = 0; f < 50; f++)
			for (int n = 0; n < 20; n++)
				put(s, 0, f, 1500, now_us);
		for (int i = 0; i < 200; i++)	/* past the time when all are new */
			put(s, 0, get(s, now_us).hash, 1500, now_us);
		for (int i = 0; i < 1000; i++) {
			uint64_t number = put(s, own_tin, 1000, 100, now_us)->number;
			uint32_t before = 0;
			struct sent r = get(s, now_us);

			first += r.number == number;
			for (; r.number != number; r = get(s, now_us)) {
				before += r.bytes;
				put(s, 0, r.hash, 1500, now_us);
			}
			assert_true(before <= FQ_QUANTUM);
			for (int n = 100 + rand_r(&seed) % 50; n > 0; n--)	/* long enough to be no longer listed */
				put(s, 0, get(s, now_us).hash, 1500, now_us);
		}
		assert_int_equal(first, 1000);
		stage_free(s);
	}
}

/* Four who come back as new just after they were found empty, flows or links: who always has something gets as much as each. */
static void new_for_ever_starves_nobody(void **state)
{
	(void)state;
	for (unsigned int tins = 0; tins < 2; tins++) {
		struct stage *s = stage_new(1024, 5000, 1 << 30);
		uint64_t bytes[5] = { 0 };
		unsigned int away = 0;

		for (unsigned int f = 0; f < 5; f++)
			for (int n = f ? 1 : 100; n > 0; n--)
				put(s, tins * f, f, 1500, START_US);
		for (int i = 0; i < 10000; i++) {
			struct sent r = get(s, START_US);

			bytes[r.hash] += r.bytes;
			if (away)
				put(s, tins * away, away, 1500, START_US);
			away = r.hash;
			if (!r.hash)
				put(s, 0, 0, 1500, START_US);
		}
		for (int f = 1; f < 5; f++)
			assert_true(bytes[0] + 2 * FQ_QUANTUM >= bytes[f]);
		stage_free(s);
	}
}

/* A link with a hundred flows and one with one share alike; a third, blocked, takes no part. */
static void fair_between_tins(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	uint64_t bytes[TINS] = { 0 };

	(void)state;
	fq_tin_block(&s->q, &s->tin[2]);
	for (unsigned int f = 0; f < 100; f++)
		for (int n = 0; n < 3; n++)
			put(s, 0, f, 1500, START_US);
	for (int n = 0; n < 3; n++) {
		put(s, 1, 500, SUPER, START_US);
		put(s, 2, 600, 1500, START_US);
	}
	for (int i = 0; i < 20000; i++) {
		struct sent r = get(s, START_US);

		bytes[r.tin] += r.bytes;
		if (r.done)
			put(s, (unsigned int)r.tin, r.hash, r.tin ? SUPER : 1500, START_US);
		assert_true(bytes[0] <= bytes[1] + 2 * FQ_QUANTUM + 2 * MSS);
		assert_true(bytes[1] <= bytes[0] + 2 * FQ_QUANTUM + 2 * MSS);
	}
	assert_int_equal(bytes[2], 0);
	stage_free(s);
}

/* Alone, a super-packet goes in one piece; with company, a turn at a time. */
static void alone_is_not_cut(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);

	(void)state;
	for (int n = 0; n < 4; n++)
		put(s, 0, 1, SUPER, START_US);
	assert_int_equal(get(s, START_US).bytes, SUPER);
	assert_int_equal(get(s, START_US).bytes, SUPER);
	put(s, 1, 2, SUPER, START_US);
	assert_int_equal(get(s, START_US).bytes, 2 * MSS);	/* 1514, the last packet whole */
	fq_set_quantum(&s->q, 10 * MSS);
	get(s, START_US);
	for (int n = 0; n < 6; n++)
		assert_in_range(get(s, START_US).bytes, MSS, 11 * MSS);
	stage_free(s);
}

/* Keep one flow at 20 packets, of which one leaves every ms. */
static void standing(struct stage *s, enum fq_ecn ecn, int packets, int64_t *now_us)
{
	for (int i = 0; i < packets; i++) {
		while (s->queued < 20)
			put_ecn(s, 0, 1, 1500, ecn, *now_us);
		get(s, *now_us);
		*now_us += 1000;
	}
}

static void drop_or_mark(void **state)
{
	static const struct {
		enum fq_ecn ecn;
		bool drops;
		bool marks;
	} step[] = {
		/* 1 */ { FQ_NOT_ECT, true, false },
		/* 2 */ { FQ_ECT0, false, true },
		/* 3 */ { FQ_CE, false, false },
	};
	uint64_t signals[2] = { 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct stage *s = stage_new(1024, 5000, 1 << 30);
		int64_t now_us = START_US;

		print_message("case %zu\n", i + 1);
		standing(s, step[i].ecn, 1000, &now_us);
		assert_int_equal(s->dropped[FQ_CODEL] != 0, step[i].drops);
		assert_int_equal(s->marks != 0, step[i].marks);
		if (i < 2)
			signals[i] = s->dropped[FQ_CODEL] + s->marks;
		stage_free(s);
	}
	/* In 900 ms of lateness: the sum of 100 / sqrt(n) passes 900 at n = 25. */
	assert_in_range(signals[0], 20, 30);
	assert_in_range(signals[1], 20, 30);
}

/* ECT(1): every packet beyond the step, none below, none ever dropped; a target set higher takes the step along. */
static void step_marks(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);

	(void)state;
	for (int n = 0; n < 100; n++)
		put_ecn(s, 0, 1, 1500, FQ_ECT1, START_US);
	for (int n = 0; n < 50; n++)
		get(s, START_US + 1000);
	assert_int_equal(s->marks, 0);
	for (int n = 0; n < 10; n++)
		get(s, START_US + 1001 + n);
	assert_int_equal(s->marks, 10);
	fq_set_target_us(&s->q, 50000);
	for (int n = 0; n < 10; n++)
		get(s, START_US + 10000);
	assert_int_equal(s->marks, 10);
	for (int n = 0; n < 30; n++)
		get(s, START_US + 1000000 * n);
	assert_int_equal(s->marks, 39);
	assert_int_equal(s->dropped[FQ_CODEL], 0);
	stage_free(s);
}

/* CoDel takes one packet off a super-packet at a time; a mark covers it all, once. */
static void one_packet_of_a_super_packet(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	int64_t now_us = START_US;
	struct packet *p = put(s, 0, 1, SUPER, now_us);
	struct fq_turn turn;

	(void)state;
	now_us += 10000;
	assert_ptr_equal(fq_head(&s->q, now_us, &turn), &p->item);
	now_us += 100000;
	assert_ptr_equal(fq_head(&s->q, now_us, &turn), &p->item);
	assert_int_equal(s->dropped[FQ_CODEL], 1);
	assert_int_equal(p->item.len, SUPER - MSS);
	assert_int_equal(turn.len, SUPER - MSS);
	assert_int_equal(fq_items(&s->q), 1);
	check_sums(s);
	/* The same instant: the same answer. */
	assert_ptr_equal(fq_head(&s->q, now_us, &turn), &p->item);
	assert_int_equal(s->dropped[FQ_CODEL], 1);
	fq_tin_purge(&s->q, &s->tin[0], FQ_PURGED);

	p = put_ecn(s, 1, 2, SUPER, FQ_ECT0, now_us);
	fq_head(&s->q, now_us += 10000, &turn);
	for (int i = 0; i < 5; i++)
		assert_ptr_equal(fq_head(&s->q, now_us += 100000, &turn), &p->item);
	assert_int_equal(s->marks, 1);
	assert_int_equal(p->item.ecn, FQ_CE);
	assert_int_equal(p->item.len, SUPER);
	stage_free(s);
}

/* A pause in which all became very late costs one batch, and the same instant is not judged twice. */
static void one_batch_a_head(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	int64_t now_us = START_US;
	struct fq_turn turn;

	(void)state;
	for (int n = 0; n < 1000; n++)
		put(s, 0, 1, 1500, now_us);
	get(s, now_us += 6000);
	get(s, now_us += 200000);
	assert_int_equal(s->dropped[FQ_CODEL], 1);
	now_us += 20000000;
	for (int n = 0; n < 3; n++)
		assert_non_null(fq_head(&s->q, now_us, &turn));
	assert_int_equal(s->dropped[FQ_CODEL], 1 + FQ_CODEL_BATCH);
	stage_free(s);
}

/* Two packets of a slow flow are no standing queue, however long each of them waits. */
static void last_packets_stay(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	int64_t now_us = START_US;

	(void)state;
	put(s, 0, 1, 1500, now_us);
	for (int n = 0; n < 100; n++) {
		put(s, 0, 1, 1500, now_us);
		get(s, now_us += 50000);
	}
	assert_int_equal(s->dropped[FQ_CODEL], 0);
	stage_free(s);
}

/* What CoDel remembers: its rate while the flow is the tin's, not lateness over a time when it was empty, nothing of another tin. */
static void memory_of_codel(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	int64_t now_us = START_US;
	struct fq_turn turn;

	(void)state;
	standing(s, FQ_NOT_ECT, 1000, &now_us);
	while (get(s, now_us - 1000).tin >= 0)
		;
	put(s, 0, 1, 1500, now_us);
	fq_head(&s->q, now_us, &turn);
	assert_true(turn.flow->codel.count > 10);
	get(s, now_us);
	put(s, 1, 1, 1500, now_us);
	fq_head(&s->q, now_us, &turn);
	assert_int_equal(turn.flow->codel.count, 0);
	get(s, now_us);
	for (int n = 0; n < 3; n++) {		/* late each time, gone each time */
		put(s, 1, 1, SUPER, now_us);
		assert_int_equal(get(s, now_us += 200000).bytes, SUPER);
	}
	stage_free(s);
}

/* A send far beyond the turn is paid for, but not for ever. */
static void debt_is_bounded(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	struct fq_turn turn;
	uint64_t bytes = 0;

	(void)state;
	for (unsigned int n = 0; n < 400; n++)
		put(s, 0, n % 2, 1500, START_US);
	forget(s, (struct packet *)(void *)fq_head(&s->q, START_US, &turn));
	fq_sent(&s->q, &turn, UINT32_MAX, true);
	for (struct sent r = get(s, START_US); r.hash != 0; r = get(s, START_US))
		bytes += r.bytes;
	assert_in_range(bytes, 60 * FQ_QUANTUM, 66 * FQ_QUANTUM);
	stage_free(s);
}

/* A flood of flows that never come again: memory stays in its bounds, and the honest flow loses nothing. */
static void flood(void **state)
{
	enum { MEMORY = 4 << 20, FLOOD = 1000000 };
	struct stage *s = stage_new(1024, 4000, MEMORY);
	uint64_t honest_sent = 0, honest_put = 0, honest_drops = 0, flood_sent = 0;
	int64_t now_us = START_US;

	(void)state;
	/* Three of the flood come in the time one packet goes out; the honest flow takes a tenth of the line. */
	for (unsigned int i = 0; i < FLOOD; i++) {
		uint64_t drops = s->dropped[FQ_OVERFLOW] + s->dropped[FQ_CODEL];

		put(s, 0, 1000 + i, 1000, now_us);
		if (s->dropped[FQ_OVERFLOW] + s->dropped[FQ_CODEL] > drops)
			honest_drops += s->last_dropped_hash == 1;
		if (i % 30 == 0) {
			put(s, 1, 1, 1000, now_us);
			honest_put++;
		}
		if (i % 3 == 0) {
			struct sent r = get(s, now_us += 80);

			honest_sent += r.hash == 1;
			flood_sent += r.hash != 1;
		}
		assert_true(s->memory <= MEMORY && s->queued <= 4000);
	}
	assert_true(s->q.stats.memory_max <= MEMORY && s->q.stats.memory_max > MEMORY / 2);
	assert_true(s->dropped[FQ_OVERFLOW] + s->dropped[FQ_CODEL] > FLOOD / 2);
	assert_int_equal(honest_drops, 0);
	assert_true(honest_put - honest_sent <= 1);
	assert_int_equal(honest_sent + flood_sent, (FLOOD + 2) / 3);
	stage_free(s);
}

/* The fattest loses, from its head, half of what it has but no more than the batch; also in a blocked tin. */
static void fattest_loses(void **state)
{
	(void)state;
	for (int blocked = 0; blocked < 2; blocked++) {
		struct stage *s = stage_new(1024, 300, 1 << 30);

		if (blocked)
			fq_tin_block(&s->q, &s->tin[1]);
		for (int n = 0; n < 100; n++)
			put(s, 0, 1, 1000, START_US);
		for (int n = 0; n < 200; n++)
			put(s, 1, 2, 1400, START_US);
		assert_int_equal(s->dropped[FQ_OVERFLOW], 0);
		put(s, 0, 3, 100, START_US);
		assert_int_equal(s->dropped[FQ_OVERFLOW], FQ_OVERFLOW_BATCH);
		assert_int_equal(s->last_dropped, 100 + FQ_OVERFLOW_BATCH);
		assert_int_equal(s->tin_items[1], 200 - FQ_OVERFLOW_BATCH);
		for (int n = 0; n < FQ_OVERFLOW_BATCH; n++)
			put(s, 0, 3, 100, START_US);
		assert_int_equal(s->tin_items[1], 136 - FQ_OVERFLOW_BATCH);	/* 68 would be half */
		check_sums(s);
		stage_free(s);
	}
}

/* Half is enough; and CoDel hears of it, so that it begins at a rate that fits. */
static void half_is_enough(void **state)
{
	struct stage *s = stage_new(1024, 100, 1 << 30);
	struct fq_turn turn;

	(void)state;
	for (int n = 0; n < 101; n++)
		put(s, 0, 1, 1400, START_US);
	assert_int_equal(s->dropped[FQ_OVERFLOW], 51);
	fq_head(&s->q, START_US, &turn);
	assert_int_equal(turn.flow->codel.count, 51);
	stage_free(s);
}

/* Random backlogs: whoever loses had at least seven eighths of the most. */
static void fattest_within_an_eighth(void **state)
{
	enum { FLOWS = 20 };
	struct stage *s = stage_new(1024, 400, 1 << 30);
	unsigned int seed = 9;
	int rounds = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		uint64_t bytes[FLOWS] = { 0 }, most = 0, drops = s->dropped[FQ_OVERFLOW];
		unsigned int f = (unsigned int)(rand_r(&seed) % FLOWS * (rand_r(&seed) % FLOWS)) / FLOWS;
		uint32_t len = 64 + (uint32_t)rand_r(&seed) % 1437;

		for (size_t k = 0; k < s->packet_count; k++)
			if (s->packets[k].queued)
				bytes[s->packets[k].hash] += s->packets[k].item.len;
		bytes[f] += len;
		for (int k = 0; k < FLOWS; k++)
			most = bytes[k] > most ? bytes[k] : most;
		put(s, f % 2, f, len, START_US);
		if (s->dropped[FQ_OVERFLOW] > drops) {
			assert_true(bytes[s->last_dropped_hash] * 8 >= most * 7);
			rounds++;
		}
	}
	assert_true(rounds > 500);
	assert_int_equal(s->q.stats.collisions, 0);
	stage_free(s);
}

static void waiting_for_a_session(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	int64_t now_us = START_US;
	struct fq_turn turn;

	(void)state;
	fq_tin_block(&s->q, &s->tin[0]);
	fq_tin_limit(&s->q, &s->tin[0], 10);
	for (unsigned int n = 1; n <= 50; n++) {
		put(s, 0, n * n % 7, 1500, now_us += 1000);
		assert_int_equal(s->tin_items[0], n < 10 ? n : 10);
		if (n > 10)
			assert_int_equal(s->last_dropped, n - 10);	/* the oldest, of whatever flow */
	}
	assert_int_equal(s->dropped[FQ_OLDEST], 40);
	assert_false(fq_has_work(&s->q));
	assert_null(fq_head(&s->q, now_us, &turn));
	put(s, 1, 99, 100, now_us);
	assert_true(fq_has_work(&s->q));
	assert_int_equal(get(s, now_us).tin, 1);
	/* 5 s later there is a session: nothing is late, though CoDel had been at it before. */
	now_us += 5000000;
	fq_tin_unblock(&s->q, &s->tin[0], now_us, true);
	assert_true(fq_has_work(&s->q));
	for (int n = 0; n < 10; n++) {
		assert_int_equal(get(s, now_us + 4900).tin, 0);
		put(s, 0, 1, 1500, now_us);
	}
	assert_int_equal(s->dropped[FQ_CODEL], 0);
	assert_int_equal(s->tin_items[0], 10);
	put(s, 0, 1, 1500, now_us);		/* no bound while it is served */
	assert_int_equal(s->tin_items[0], 11);
	fq_tin_block(&s->q, &s->tin[0]);	/* but at once when it is not */
	assert_int_equal(s->tin_items[0], 10);
	check_sums(s);
	stage_free(s);
}

/* restart or not: whether the time before counts. */
static void sojourn_of_the_blocked(void **state)
{
	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		struct stage *s = stage_new(1024, 5000, 1 << 30);
		int64_t now_us = START_US;

		for (int n = 0; n < 100; n++)
			put(s, 0, 1, 1500, now_us);
		get(s, now_us += 6000);
		fq_tin_block(&s->q, &s->tin[0]);
		now_us += 200000;
		fq_tin_unblock(&s->q, &s->tin[0], now_us, restart);
		get(s, now_us);
		assert_int_equal(s->dropped[FQ_CODEL], restart ? 0 : 1);
		stage_free(s);
	}
}

/* A link that its shaper stops and lets go all the time is not new each time: the other keeps its half. */
static void unblocking_is_no_privilege(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);
	uint64_t bytes[TINS] = { 0 };

	(void)state;
	for (unsigned int t = 0; t < 3; t++)
		for (int n = 0; n < 3; n++)
			put(s, t, t, 1500, START_US);
	for (int i = 0; i < 9000; i++) {
		struct sent r = get(s, START_US);

		bytes[r.tin] += r.bytes;
		put(s, (unsigned int)r.tin, r.hash, 1500, START_US);
		fq_tin_block(&s->q, &s->tin[0]);
		fq_tin_unblock(&s->q, &s->tin[0], START_US, false);
	}
	assert_true(bytes[0] <= bytes[1] + 2 * FQ_QUANTUM + MSS);
	assert_true(bytes[1] <= bytes[2] + 2 * FQ_QUANTUM + MSS && bytes[2] <= bytes[1] + 2 * FQ_QUANTUM + MSS);
	stage_free(s);
}

/* Blocked links do not sit on the pool: what they lost leaves their flows free for others. */
static void blocked_do_not_keep_the_pool(void **state)
{
	struct stage *s = stage_new(256, 5000, 1 << 30);

	(void)state;
	fq_tin_block(&s->q, &s->tin[0]);
	fq_tin_limit(&s->q, &s->tin[0], 4);
	for (unsigned int f = 0; f < 5000; f++)
		put(s, 0, f, 100, START_US);
	for (unsigned int f = 0; f < 100; f++)
		put(s, 1, f, 100, START_US);
	assert_in_range(s->q.stats.collisions, 0, 8);
	check_sums(s);
	stage_free(s);
}

/* A flow another tin holds: the fallback serves, in order, and the count tells. */
static void collisions(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);

	(void)state;
	fq_set_quantum(&s->q, 1500);
	put(s, 2, 7, 1500, START_US);
	get(s, START_US);
	put(s, 0, 7, 1500, START_US);	/* nothing waits: it is anybody's again */
	put(s, 0, 7, 1500, START_US);
	assert_int_equal(s->q.stats.collisions, 0);
	for (int n = 0; n < 3; n++)
		put(s, 1, 7, 1500, START_US);
	assert_int_equal(s->q.stats.collisions, 3);
	assert_int_equal(get(s, START_US).number, 2);
	assert_int_equal(get(s, START_US).number, 4);
	assert_int_equal(get(s, START_US).number, 3);
	assert_int_equal(get(s, START_US).number, 5);
	put(s, 1, 7, 1500, START_US);	/* its place is free, but one of its own waits in the fallback */
	assert_int_equal(s->q.stats.collisions, 4);
	assert_int_equal(get(s, START_US).number, 6);
	assert_int_equal(get(s, START_US).number, 7);
	put(s, 1, 7, 1500, START_US);
	assert_int_equal(s->q.stats.collisions, 4);
	assert_int_equal(s->q.stats.new_flows, 4);
	stage_free(s);
}

static void purge(void **state)
{
	struct stage *s = stage_new(1024, 5000, 1 << 30);

	(void)state;
	for (unsigned int f = 0; f < 40; f++)
		put(s, f % 2, f, f % 3 ? 1500 : SUPER, START_US);
	fq_tin_purge(&s->q, &s->tin[0], FQ_PURGED);
	assert_int_equal(s->dropped[FQ_PURGED], 20);
	check_sums(s);
	fq_tin_init(&s->tin[0]);	/* its memory may be used for anything now */
	for (int n = 0; n < 1000 && fq_has_work(&s->q); n++)
		assert_int_equal(get(s, START_US).tin, 1);
	assert_true(fq_empty(&s->q));
	stage_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_use),
		cmocka_unit_test(takes_turns),
		cmocka_unit_test(fair_in_bytes),
		cmocka_unit_test(sparse_goes_first),
		cmocka_unit_test(new_for_ever_starves_nobody),
		cmocka_unit_test(fair_between_tins),
		cmocka_unit_test(alone_is_not_cut),
		cmocka_unit_test(drop_or_mark),
		cmocka_unit_test(step_marks),
		cmocka_unit_test(one_packet_of_a_super_packet),
		cmocka_unit_test(one_batch_a_head),
		cmocka_unit_test(last_packets_stay),
		cmocka_unit_test(memory_of_codel),
		cmocka_unit_test(debt_is_bounded),
		cmocka_unit_test(flood),
		cmocka_unit_test(fattest_loses),
		cmocka_unit_test(half_is_enough),
		cmocka_unit_test(fattest_within_an_eighth),
		cmocka_unit_test(waiting_for_a_session),
		cmocka_unit_test(sojourn_of_the_blocked),
		cmocka_unit_test(unblocking_is_no_privilege),
		cmocka_unit_test(blocked_do_not_keep_the_pool),
		cmocka_unit_test(collisions),
		cmocka_unit_test(purge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
