/* SPDX-License-Identifier: MIT */
/* Copies on their way from worker to worker, and the pace at which one fills its sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "sys/crossing.h"
#include "sys/pace.h"

static struct crossing c;

static int setup(void **state)
{
	(void)state;
	return crossing_init(&c) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	crossing_done(&c);
	return 0;
}

static uint8_t bytes[LANE_SLOT_LEN + 1];

static struct handover packet(uint32_t len, uint8_t tag)
{
	memset(bytes, tag, sizeof(bytes));
	return (struct handover){ .packet = { .data = bytes, .len = len } };
}

/* In order, each a copy with room around it that is its own. */
static void packets_of_a_block(void **state)
{
	struct block *b, *full;

	(void)state;
	assert_null(crossing_take(&c, 0));
	for (uint8_t i = 0; i < 20; i++) {
		struct handover h = packet(100u + i, i);

		assert_true(crossing_add(&c, i % 2, &h, &full));
		assert_null(full);
	}
	for (unsigned int to = 0; to < 2; to++) {
		const uint8_t *end;

		b = crossing_take(&c, to);
		assert_null(crossing_take(&c, to));
		assert_int_equal(b->count, 10);
		end = b->bytes;
		for (unsigned int i = 0; i < 10; i++) {
			const struct packet *p = &b->items[i].packet;

			assert_int_equal(p->len, 100 + 2 * i + to);
			memset(bytes, (int)(2 * i + to), p->len);
			assert_memory_equal(p->data, bytes, p->len);
			assert_true(p->data >= end + PACKET_HEADROOM);
			end = p->data + p->len + PACKET_TAILROOM;
		}
		assert_true(end <= b->bytes + BLOCK_BYTES);
		crossing_return(&b->used);
	}
}

/* A block is full by bytes or by packets; then it is given out, and the packet is in the next. */
static void full_blocks(void **state)
{
	struct handover large = packet(LANE_SLOT_LEN, 1), small = packet(20, 2), never = packet(LANE_SLOT_LEN + 1, 3);
	struct block *full, *first;

	(void)state;
	assert_false(crossing_add(&c, 3, &never, &full));
	assert_null(full);
	assert_true(crossing_add(&c, 3, &large, &full));
	assert_null(full);
	assert_true(crossing_add(&c, 3, &small, &full));
	assert_int_equal(full->count, 1);
	first = full;
	for (int i = 1; i < BLOCK_PACKETS; i++) {
		assert_true(crossing_add(&c, 3, &small, &full));
		assert_null(full);
	}
	assert_true(crossing_add(&c, 3, &small, &full));
	assert_int_equal(full->count, BLOCK_PACKETS);
	assert_ptr_not_equal(full, first);
	assert_int_equal(crossing_take(&c, 3)->count, 1);
}

/* While all are under way nothing more goes; one that comes back is used again. */
static void all_under_way(void **state)
{
	struct handover h = packet(LANE_SLOT_LEN, 1);
	struct dgram d = { .data = bytes, .len = STRAY_SIZE }, longer = { .data = bytes, .len = STRAY_SIZE + 1 };
	struct block *full, *one = NULL;
	struct stray *s = NULL;

	(void)state;
	for (int i = 0; i < BLOCKS; i++) {
		assert_true(crossing_add(&c, 0, &h, &full));
		assert_int_equal(!full, i == 0);
		one = full ? full : one;
	}
	assert_false(crossing_add(&c, 0, &h, &full));
	assert_non_null(full);	/* it had no room, and goes all the same */
	assert_false(crossing_add(&c, 0, &h, &full));
	assert_null(full);
	assert_null(crossing_take(&c, 0));
	crossing_return(&one->used);
	assert_true(crossing_add(&c, 0, &h, &full));
	assert_ptr_equal(crossing_take(&c, 0), one);
	assert_null(crossing_copy(&c, &longer));
	for (int i = 0; i < STRAYS; i++) {
		s = crossing_copy(&c, &d);
		assert_non_null(s);
		assert_ptr_not_equal(s->dgram.data, bytes);
		assert_memory_equal(s->dgram.data, bytes, STRAY_SIZE);
	}
	assert_null(crossing_copy(&c, &d));
	crossing_return(&s->used);
	assert_ptr_equal(crossing_copy(&c, &d), s);
}

/* Bursts are a millisecond of what the sockets took, as long as they are known to fill up. */
static void bursts(void **state)
{
	int64_t now_us = US_PER_S, burst_us;
	struct pace p;
	uint32_t at_first;

	(void)state;
	pace_init(&p);
	at_first = p.burst;
	assert_false(pace_measure(&p, now_us, &burst_us));
	pace_full(&p, now_us);
	pace_sent(&p, 1000 * 1000);
	assert_false(pace_measure(&p, now_us + 10 * US_PER_MS, &burst_us));	/* too soon */
	assert_true(pace_measure(&p, now_us + 100 * US_PER_MS, &burst_us));
	assert_int_equal(p.burst, 10 * 1000);
	assert_int_equal(burst_us, US_PER_MS);
	assert_true(pace_measure(&p, now_us + 1100 * US_PER_MS, &burst_us));	/* they are not full any more */
	assert_int_equal(p.burst, at_first);
	assert_int_equal(burst_us, 0);
}

static void room(void **state)
{
	int64_t now_us = US_PER_S;
	uint64_t before, most;
	struct pace p;

	(void)state;
	pace_init(&p);
	before = p.room_bytes;
	pace_waited(&p, now_us, true);
	assert_int_equal(p.room_bytes, 2 * before);
	pace_waited(&p, now_us + US_PER_MS, false);	/* too soon to give it back */
	assert_int_equal(p.room_bytes, 2 * before);
	pace_waited(&p, now_us + 30 * US_PER_MS, false);
	assert_true(p.room_bytes < 2 * before);
	for (int i = 0; i < 100; i++)
		pace_waited(&p, now_us, true);
	most = p.room_bytes;
	pace_waited(&p, now_us, true);
	assert_int_equal(p.room_bytes, most);
	for (int i = 0; i < 100; i++)
		pace_waited(&p, now_us += 30 * US_PER_MS, false);
	assert_true(p.room_bytes > 0 && p.room_bytes < before);
}

#define with_memory(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_memory(packets_of_a_block),
		with_memory(full_blocks),
		with_memory(all_under_way),
		cmocka_unit_test(bursts),
		cmocka_unit_test(room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
