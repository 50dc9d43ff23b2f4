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
	assert_int_equal(k->zero.counter, 0);
	assert_int_equal(k->born_us, T);
	assert_true(k->initiator);
	assert_int_equal(k->exporter[0], 3);
	assert_true(replay_is_new(&k->zero.replay, 0));
	/* It seals with the one key and opens with the other. */
	aead_seal(k->zero.sealer, 5, sealed, (const uint8_t *)"mesh", 4);
	assert_false(aead_open(k->zero.opener, 5, plain, sealed, sizeof(sealed)));
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
	assert_int_equal(keypair_sending(i, &i->zero, T), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(i, &i->zero, T + 120 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(i, &i->zero, T + 120 * US_PER_S), KEYPAIR_REKEY);
	assert_int_equal(keypair_sending(i, &i->zero, T + 180 * US_PER_S - 1), KEYPAIR_REKEY);
	assert_int_equal(keypair_sending(i, &i->zero, T + 180 * US_PER_S), KEYPAIR_EXPIRED);
	assert_int_equal(keypair_sending(r, &r->zero, T + 180 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(r, &r->zero, T + 180 * US_PER_S), KEYPAIR_EXPIRED);
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
			k->zero.counter = row[n].counter;
			assert_int_equal(keypair_sending(k, &k->zero, T + US_PER_S), row[n].advice);
			assert_int_equal(keypair_receiving(k, T + US_PER_S), KEYPAIR_FINE);
		}
		keypair_free(k);
	}
}

/*
 * Sub-sessions.
 */

/* Two ends of one session: the same secret for sub-sessions, and nothing else they have in common counts. */
static struct keypair *make_end(bool initiator)
{
	struct noise_keys keys = { .send = { 1 }, .receive = { 2 }, .local_index = 128, .remote_index = 256, .initiator = initiator };
	struct keypair *k;

	for (size_t i = 0; i < KEY_LEN; i++)
		keys.exporter[i] = (uint8_t)i;
	k = keypair_new(&keys, T);
	assert_non_null(k);
	return k;
}

static bool opens(const struct subsession *from, const struct subsession *to)
{
	uint8_t sealed[AEAD_TAG + 4], plain[4];

	aead_seal(from->sealer, 9, sealed, (const uint8_t *)"mesh", 4);
	return aead_open(to->opener, 9, plain, sealed, sizeof(sealed)) && !memcmp(plain, "mesh", 4);
}

static void sub_sessions_are_made_when_wanted(void **state)
{
	struct keypair *k = make_end(true);
	struct subsession *third;

	(void)state;
	assert_ptr_equal(keypair_sub(k, 0), &k->zero);
	for (unsigned int i = 1; i < SUB_SESSIONS; i++)
		assert_null(keypair_sub(k, i));
	/* The control sub-session comes first, by itself. */
	assert_true(keypair_open_subs(k, 0));
	for (unsigned int i = 1; i < SUB_SESSIONS; i++)
		assert_true(!keypair_sub(k, i) == (i != SUB_SESSION_CONTROL));
	assert_true(keypair_open_subs(k, 3));
	third = keypair_sub(k, 3);
	assert_non_null(third);
	assert_null(keypair_sub(k, 4));
	/* What is there stays. */
	third->counter = 77;
	assert_true(keypair_open_subs(k, 2));
	assert_true(keypair_open_subs(k, SUB_SESSIONS_MAX));
	assert_ptr_equal(keypair_sub(k, 3), third);
	assert_int_equal(third->counter, 77);
	for (unsigned int i = 1; i < SUB_SESSIONS; i++) {
		assert_non_null(keypair_sub(k, i));
		assert_int_equal(keypair_sub(k, i)->counter, i == 3 ? 77 : 0);
		assert_true(replay_is_new(&keypair_sub(k, i)->replay, 0));
	}
	assert_true(keypair_open_subs(k, 1000));	/* there are no more */
	keypair_free(k);
}

/* Crosswise the same, and each another: 128 times 128 ways. */
static void both_sides_have_the_same_keys(void **state)
{
	struct keypair *a = make_end(true), *b = make_end(false);

	(void)state;
	assert_true(keypair_open_subs(a, SUB_SESSIONS_MAX) && keypair_open_subs(b, SUB_SESSIONS_MAX));
	for (unsigned int i = 1; i < SUB_SESSIONS; i++)
		for (unsigned int k = 1; k < SUB_SESSIONS; k++) {
			assert_true(opens(keypair_sub(a, i), keypair_sub(b, k)) == (i == k));
			assert_true(opens(keypair_sub(b, i), keypair_sub(a, k)) == (i == k));
			assert_false(opens(keypair_sub(a, i), keypair_sub(a, k)));
		}
	for (unsigned int i = 1; i < SUB_SESSIONS; i++)
		assert_false(opens(&a->zero, keypair_sub(b, i)) || opens(keypair_sub(a, i), &b->zero));
	keypair_free(a);
	keypair_free(b);
}

/*
 * HKDF with HMAC-BLAKE2s of the secret 00 01 .. 1f and "meshd sub-session" || number; from Python's hmac and hashlib:
 *	H = lambda k, m: hmac.new(k, m, hashlib.blake2s).digest()
 *	t0 = H(E, b"meshd sub-session" + bytes([i])); t1 = H(t0, b"\x01"); t2 = H(t0, t1 + b"\x02")
 */
static void keys_of_sub_sessions(void **state)
{
	static const struct {
		unsigned int number;
		uint8_t t1[KEY_LEN], t2[KEY_LEN];	/* the initiator seals with the first */
	} golden[] = {
		{ 1, {
			0x15, 0x39, 0xc3, 0x15, 0x4a, 0x62, 0xc9, 0x33, 0x29, 0x99, 0x3c, 0x23, 0x8e, 0x62, 0x3b, 0x54,
			0x17, 0xf0, 0xbc, 0xbb, 0x8c, 0x75, 0x8e, 0xed, 0x98, 0x30, 0xd1, 0xf3, 0xc5, 0x69, 0x39, 0xaa,
		}, {
			0xb4, 0xd9, 0x52, 0xe4, 0xca, 0x8d, 0xca, 0xcf, 0x48, 0xa0, 0x3a, 0xb9, 0xe9, 0x4a, 0x5d, 0xae,
			0x7c, 0x8b, 0xd1, 0xbe, 0x16, 0xba, 0x53, 0xb6, 0x60, 0xa5, 0xce, 0x3f, 0x3f, 0x77, 0x26, 0xb0,
		} },
		{ 2, {
			0xcf, 0x3c, 0xbd, 0x27, 0x2d, 0x92, 0x47, 0x88, 0xde, 0x54, 0x38, 0x94, 0xeb, 0x9b, 0x5f, 0xd2,
			0xde, 0xc4, 0x11, 0x71, 0x9b, 0xb8, 0x83, 0xcd, 0xca, 0xb0, 0xe1, 0xfb, 0x0e, 0x9c, 0xdc, 0x96,
		}, {
			0x34, 0xb9, 0xe3, 0x20, 0x80, 0x87, 0x48, 0x6e, 0x8e, 0xa1, 0xc2, 0x9f, 0x5b, 0xb5, 0x3e, 0x20,
			0x51, 0x82, 0x1b, 0x9b, 0x98, 0x4b, 0x1c, 0xc1, 0x1e, 0x83, 0xd3, 0xee, 0x81, 0xae, 0xa6, 0x22,
		} },
		{ 126, {
			0x13, 0x2d, 0xa0, 0x53, 0xf3, 0x26, 0x82, 0x41, 0x52, 0x6f, 0x29, 0x57, 0xe1, 0xed, 0x12, 0xf5,
			0x27, 0xfb, 0x0d, 0xa1, 0x26, 0xb0, 0xb1, 0x46, 0xdc, 0x61, 0x18, 0x42, 0x8c, 0xd8, 0xb3, 0xa2,
		}, {
			0x28, 0x4b, 0x71, 0x8a, 0xb5, 0xfc, 0x0d, 0xba, 0x71, 0x1e, 0x1c, 0xc5, 0xc3, 0x38, 0x0e, 0x4f,
			0x50, 0x4c, 0xd6, 0x3f, 0x87, 0x4d, 0xf7, 0x40, 0x80, 0x0e, 0x9b, 0x87, 0x82, 0x7f, 0x0e, 0x86,
		} },
		{ 127, {
			0x1d, 0x5c, 0x71, 0xa4, 0xe5, 0x05, 0x81, 0xfc, 0x78, 0x66, 0xb8, 0x62, 0xe1, 0x41, 0xba, 0x6e,
			0xc5, 0x68, 0x9f, 0x2b, 0x39, 0xaf, 0x58, 0x89, 0x7f, 0x1d, 0xd8, 0x6f, 0xf0, 0xb5, 0x4a, 0xd0,
		}, {
			0xbd, 0xd0, 0x56, 0xef, 0xdd, 0x1e, 0x19, 0x38, 0xf7, 0xfd, 0x05, 0x95, 0xec, 0xbe, 0x83, 0xf1,
			0xd4, 0x90, 0x67, 0xd2, 0x58, 0x8d, 0x68, 0x4a, 0x67, 0x66, 0xb2, 0xb1, 0x4f, 0x31, 0xf9, 0x11,
		} },
	};
	struct keypair *ends[2] = { make_end(true), make_end(false) };

	(void)state;
	for (size_t e = 0; e < 2; e++) {
		assert_true(keypair_open_subs(ends[e], SUB_SESSIONS_MAX));
		for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
			struct subsession check = {
				.sealer = aead_new(e ? golden[i].t1 : golden[i].t2), .opener = aead_new(e ? golden[i].t2 : golden[i].t1),
			};

			assert_true(opens(keypair_sub(ends[e], golden[i].number), &check));
			assert_true(opens(&check, keypair_sub(ends[e], golden[i].number)));
			aead_free(check.sealer);
			aead_free(check.opener);
		}
		keypair_free(ends[e]);
	}
}

/* Time is the session's, messages are each sub-session's own. */
static void limits_of_sub_sessions(void **state)
{
	struct keypair *k = make_end(false);

	(void)state;
	assert_true(keypair_open_subs(k, 2));
	keypair_sub(k, 1)->counter = REJECT_AFTER_MESSAGES;
	keypair_sub(k, 2)->counter = REKEY_AFTER_MESSAGES;
	assert_int_equal(keypair_sending(k, keypair_sub(k, 1), T), KEYPAIR_EXPIRED);
	assert_int_equal(keypair_sending(k, keypair_sub(k, 2), T), KEYPAIR_REKEY);
	assert_int_equal(keypair_sending(k, &k->zero, T), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(k, keypair_sub(k, SUB_SESSION_CONTROL), T + 180 * US_PER_S - 1), KEYPAIR_FINE);
	assert_int_equal(keypair_sending(k, keypair_sub(k, SUB_SESSION_CONTROL), T + 180 * US_PER_S), KEYPAIR_EXPIRED);
	keypair_free(k);
}

/* Only an index whose low bits are free can be a meshd's. */
static void who_may_have_sub_sessions(void **state)
{
	struct keypair k = { .remote_index = 0 };

	(void)state;
	for (uint32_t index = 0; index < 1024; index++) {
		k.remote_index = 0xabcd0000 + index;
		assert_true(keypair_may_extend(&k) == (index % 128 == 0));
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
		cmocka_unit_test(sub_sessions_are_made_when_wanted),
		cmocka_unit_test(both_sides_have_the_same_keys),
		cmocka_unit_test(keys_of_sub_sessions),
		cmocka_unit_test(limits_of_sub_sessions),
		cmocka_unit_test(who_may_have_sub_sessions),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
