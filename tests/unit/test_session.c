/* SPDX-License-Identifier: MIT */
/* Keypairs: how they rotate, and when they may be used no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "crypto/aead.h"
#include "transport/noise.h"
#include "transport/rekey.h"
#include "transport/session.h"

#define T (INT64_C(1000) * US_PER_S)

static struct keypair *make(uint32_t index, bool initiator)
{
	struct noise_keys keys = {
		.send = { 1 }, .receive = { 2 }, .exporter = { 3 },
		.local_index = index, .remote_index = ~index, .initiator = initiator,
	};
	struct keypair *k = keypair_new(&keys, T);

	assert_non_null(k);
	return k;
}

static void a_new_keypair(void **state)
{
	struct keypair *k = make(7, true);
	uint8_t sealed[16 + 4], plain[4];
	struct aead *check = aead_new((const uint8_t[32]){ 1 });

	(void)state;
	assert_int_equal(k->local_index, 7);
	assert_int_equal(k->remote_index, ~UINT32_C(7));
	assert_int_equal(k->counter, 0);
	assert_int_equal(k->born_us, T);
	assert_true(k->initiator);
	assert_int_equal(k->exporter[0], 3);
	assert_true(replay_is_new(&k->replay, 0));
	/* It seals with the one key and opens with the other. */
	aead_seal(k->sealer, 5, sealed, (const uint8_t *)"mesh", 4);
	assert_false(aead_open(k->opener, 5, plain, sealed, sizeof(sealed)));
	assert_true(aead_open(check, 5, plain, sealed, sizeof(sealed)));
	assert_memory_equal(plain, "mesh", 4);
	aead_free(check);
	keypair_free(k);
	keypair_free(NULL);
}

/*
 * Rotation. A step installs a new keypair ('i' as initiator, 'r' as responder) or hears on 'next' ('c'). After it the
 * slots hold the keypairs of these numbers (in order of making, 0: empty), and these were dropped.
 */
struct step {
	char what;
	uint32_t previous, current, next;
	uint32_t dropped[3];
};

static uint32_t number(const struct keypair *k)
{
	return k ? k->local_index : 0;
}

static void assert_dropped(const struct session_dropped *d, const uint32_t expected[3])
{
	size_t count = 0;

	while (count < 3 && expected[count])
		count++;
	assert_int_equal(d->count, count);
	for (size_t i = 0; i < count; i++) {
		bool found = false;

		for (size_t k = 0; k < d->count; k++)
			found |= d->v[k]->local_index == expected[i];
		assert_true(found);
	}
	for (size_t i = 0; i < d->count; i++)
		keypair_free(d->v[i]);
}

static void walk(const struct step *steps, size_t count)
{
	struct session_dropped dropped;
	struct session s = { 0 };
	uint32_t made = 0;

	for (size_t i = 0; i < count; i++) {
		const struct step *step = &steps[i];

		memset(&dropped, 0xee, sizeof(dropped));
		if (step->what == 'c')
			assert_true(session_confirm(&s, s.next, &dropped));
		else
			session_install(&s, make(++made, step->what == 'i'), &dropped);
		assert_int_equal(number(s.previous), step->previous);
		assert_int_equal(number(s.current), step->current);
		assert_int_equal(number(s.next), step->next);
		assert_dropped(&dropped, step->dropped);
	}
	session_clear(&s, &dropped);
	assert_null(s.previous);
	assert_null(s.current);
	assert_null(s.next);
	for (size_t i = 0; i < dropped.count; i++)
		keypair_free(dropped.v[i]);
}

static void rotation_as_initiator(void **state)
{
	static const struct step steps[] = {
		{ 'i', 0, 1, 0, { 0 } },
		{ 'i', 1, 2, 0, { 0 } },
		{ 'i', 2, 3, 0, { 1 } },
		{ 'i', 3, 4, 0, { 2 } },
	};

	(void)state;
	walk(steps, sizeof(steps) / sizeof(steps[0]));
}

static void rotation_as_responder(void **state)
{
	static const struct step steps[] = {
		{ 'r', 0, 0, 1, { 0 } },	/* not yet heard on: nothing to send with */
		{ 'r', 0, 0, 2, { 1 } },	/* a second handshake before that: the first one is gone */
		{ 'c', 0, 2, 0, { 0 } },
		{ 'r', 0, 2, 3, { 0 } },
		{ 'c', 2, 3, 0, { 0 } },
		{ 'r', 0, 3, 4, { 2 } },	/* previous goes as soon as there is a next */
		{ 'r', 0, 3, 5, { 4 } },
		{ 'c', 3, 5, 0, { 0 } },
	};

	(void)state;
	walk(steps, sizeof(steps) / sizeof(steps[0]));
}

static void rotation_of_both_kinds(void **state)
{
	static const struct step steps[] = {
		{ 'i', 0, 1, 0, { 0 } },
		{ 'r', 0, 1, 2, { 0 } },
		{ 'i', 2, 3, 0, { 1 } },	/* the unheard one may be in use over there: it becomes previous */
		{ 'r', 0, 3, 4, { 2 } },
		{ 'c', 3, 4, 0, { 0 } },
		{ 'r', 0, 4, 5, { 3 } },
		{ 'i', 5, 6, 0, { 4 } },
		{ 'i', 6, 7, 0, { 5 } },
	};

	(void)state;
	walk(steps, sizeof(steps) / sizeof(steps[0]));
}

/* With all three slots taken nothing may be lost or dropped twice. */
static void all_slots_taken(void **state)
{
	struct session s = { .previous = make(1, true), .current = make(2, true), .next = make(3, false) };
	struct session_dropped dropped;

	(void)state;
	session_install(&s, make(4, true), &dropped);
	assert_int_equal(number(s.previous), 3);
	assert_int_equal(number(s.current), 4);
	assert_null(s.next);
	assert_dropped(&dropped, (const uint32_t[3]){ 1, 2 });
	session_clear(&s, &dropped);
	assert_dropped(&dropped, (const uint32_t[3]){ 3, 4 });

	s = (struct session){ .previous = make(1, true), .current = make(2, true), .next = make(3, false) };
	assert_true(session_confirm(&s, s.next, &dropped));
	assert_int_equal(number(s.previous), 2);
	assert_int_equal(number(s.current), 3);
	assert_dropped(&dropped, (const uint32_t[3]){ 1 });
	session_clear(&s, &dropped);
	assert_dropped(&dropped, (const uint32_t[3]){ 2, 3 });

	s = (struct session){ .previous = make(1, true), .current = make(2, true), .next = make(3, false) };
	session_clear(&s, &dropped);
	assert_dropped(&dropped, (const uint32_t[3]){ 1, 2, 3 });
	session_clear(&s, &dropped);
	assert_int_equal(dropped.count, 0);
}

/* Only a packet on 'next' confirms; on any other nothing moves. */
static void hearing_on_others_changes_nothing(void **state)
{
	struct session s = { .previous = make(1, true), .current = make(2, true), .next = make(3, false) };
	struct session before = s;
	struct session_dropped dropped;

	(void)state;
	assert_false(session_confirm(&s, s.previous, &dropped));
	assert_int_equal(dropped.count, 0);
	assert_false(session_confirm(&s, s.current, &dropped));
	assert_int_equal(dropped.count, 0);
	assert_memory_equal(&before, &s, sizeof(s));
	session_clear(&s, &dropped);
	assert_dropped(&dropped, (const uint32_t[3]){ 1, 2, 3 });
}

static void limits_by_time(void **state)
{
	struct keypair *i = make(1, true), *r = make(2, false);

	(void)state;
	/* Sending: the initiator renews at 120 s, nobody sends from 180 s on. */
	assert_int_equal(keypair_sending(i, T), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(i, T + 120 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(i, T + 120 * US_PER_S), KEYPAIR_REKEY);
	assert_int_equal(keypair_sending(i, T + 180 * US_PER_S - 1), KEYPAIR_REKEY);
	assert_int_equal(keypair_sending(i, T + 180 * US_PER_S), KEYPAIR_EXPIRED);
	assert_int_equal(keypair_sending(r, T + 180 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(r, T + 180 * US_PER_S), KEYPAIR_EXPIRED);
	/* Receiving: the initiator who only receives renews at 165 s. */
	assert_int_equal(keypair_receiving(i, T + 165 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_receiving(i, T + 165 * US_PER_S), KEYPAIR_REKEY);
	assert_int_equal(keypair_receiving(i, T + 180 * US_PER_S - 1), KEYPAIR_REKEY);
	assert_int_equal(keypair_receiving(i, T + 180 * US_PER_S), KEYPAIR_EXPIRED);
	assert_int_equal(keypair_receiving(r, T + 180 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_receiving(r, T + 180 * US_PER_S), KEYPAIR_EXPIRED);
	keypair_free(i);
	keypair_free(r);
}

static void limits_by_count(void **state)
{
	static const struct {
		uint64_t counter;
		enum keypair_advice advice;
	} row[] = {
		{ 0, KEYPAIR_FINE },
		{ (UINT64_C(1) << 60) - 1, KEYPAIR_FINE },
		{ UINT64_C(1) << 60, KEYPAIR_REKEY },
		{ UINT64_C(0xffffffffffffdffe), KEYPAIR_REKEY },	/* the last message */
		{ UINT64_C(0xffffffffffffdfff), KEYPAIR_EXPIRED },
		{ UINT64_MAX, KEYPAIR_EXPIRED },
	};

	(void)state;
	for (int initiator = 0; initiator < 2; initiator++) {
		struct keypair *k = make(1, initiator);

		for (size_t n = 0; n < sizeof(row) / sizeof(row[0]); n++) {
			k->counter = row[n].counter;
			assert_int_equal(keypair_sending(k, T + US_PER_S), row[n].advice);
			assert_int_equal(keypair_receiving(k, T + US_PER_S), KEYPAIR_FINE);
		}
		keypair_free(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_keypair),
		cmocka_unit_test(rotation_as_initiator),
		cmocka_unit_test(rotation_as_responder),
		cmocka_unit_test(rotation_of_both_kinds),
		cmocka_unit_test(all_slots_taken),
		cmocka_unit_test(hearing_on_others_changes_nothing),
		cmocka_unit_test(limits_by_time),
		cmocka_unit_test(limits_by_count),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
