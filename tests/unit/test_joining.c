/* SPDX-License-Identifier: MIT */
/*
 * Asking for a record with a token: whatever comes as an answer, whole, in pieces, twice, of another answer, damaged or of somebody else's, only what the
 * issuer sealed for this token is believed. The issuer is played here; the node is a real one that nobody answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/inside.h"
#include "node/joining.h"

static void fill(void *ctx, void *out, size_t len)
{
	uint8_t *p = out;
	uint32_t *next = ctx;

	while (len--) {
		*next = *next * 1664525 + 1013904223;
		*p++ = (uint8_t)(*next >> 24);
	}
}

static uint32_t counter = 1;
static const struct rng rng = { .fill = fill, .ctx = &counter };
static const struct instant start = { .mono_us = 1000, .wall_ns = 1700000000 * NS_PER_S };

struct stage {
	struct node *node;
	struct joining *joining;
	struct token token;
	uint8_t issuer[KEY_LEN];	/* private */
	uint8_t private_key[KEY_LEN];	/* of the node to be */
	uint8_t token_public[KEY_LEN];
	struct join_keys keys;		/* as the issuer has them */
	struct text sealed;
};

static void make_token(struct stage *s, size_t contacts)
{
	struct token_contact *c = s->token.contacts;

	memset(s->token.mesh, 7, SIGN_KEY_LEN);
	strcpy(s->token.mesh_name, "lab");
	strcpy(s->token.node_name, "beta");
	key_generate(&rng, s->token.one_time_key);
	rng_fill(&rng, s->token.psk, KEY_LEN);
	key_generate(&rng, s->issuer);
	key_public(s->token.issuer, s->issuer);
	s->token.not_after_s = 1700000100;
	for (size_t i = 0; i < contacts; i++) {
		c[i].endpoint_count = 1;
		key_public(c[i].public_key, s->issuer);
		c[i].public_key[0] ^= (uint8_t)i;
		assert_true(endpoint_parse("192.0.2.1:51820", &c[i].endpoints[0].endpoint));
	}
	s->token.contact_count = contacts;
}

static void begin(struct stage *s, size_t contacts)
{
	const struct log quiet = { 0 };
	struct joining_options o = { .rng = &rng, .token = &s->token, .private_key = s->private_key };
	struct text why = { 0 };

	memset(s, 0, sizeof(*s));
	make_token(s, contacts);
	key_generate(&rng, s->private_key);
	s->node = o.node = node_new(&rng, &quiet, 1);
	assert_non_null(s->node);
	if (!contacts) {
		assert_false(joining_start(&s->joining, &o, start, &why));
		assert_string_equal(why.s, "the token names nobody who could be asked");
		text_done(&why);
		return;
	}
	assert_true(joining_start(&s->joining, &o, start, &why));
	key_public(s->token_public, s->token.one_time_key);
	assert_true(join_keys_make(&s->keys, s->token.psk, s->issuer, s->token_public, s->token_public));
}

static void end(struct stage *s)
{
	joining_free(s->joining);
	node_free(s->node);
	text_done(&s->sealed);
}

/* What the issuer would send, sealed anew. */
static void seal(struct stage *s, const char *refused, const char *file)
{
	struct text plain = { 0 };

	text_done(&s->sealed);
	assert_true(join_answer_encode(refused, file, file ? strlen(file) : 0, &plain));
	assert_true(join_seal(s->keys.answer, s->token_public, &rng, plain.s, plain.len, &s->sealed));
	text_done(&plain);
}

static struct message piece(const struct stage *s, size_t offset, size_t len)
{
	struct message m = {
		.kind = MESSAGE_JOIN,
		.join = {
			.answer = true, .total = (uint32_t)s->sealed.len, .offset = (uint32_t)offset,
			.data = (const uint8_t *)s->sealed.s + offset, .len = len,
		},
	};

	memcpy(m.join.token, s->token_public, KEY_LEN);
	return m;
}

static void give(struct stage *s, const struct message *m)
{
	s->node->exchange.take(s->node->exchange.ctx, s->token.contacts[0].public_key, m);
}

static void give_piece(struct stage *s, size_t offset, size_t len)
{
	const struct message m = piece(s, offset, len);

	give(s, &m);
}

static char *long_file(void)
{
	char *file = malloc(3001);

	assert_non_null(file);
	for (int i = 0; i < 3000; i++)
		file[i] = (char)('a' + i % 26);
	file[3000] = '\0';
	return file;
}

static void sets_the_node_up(void **state)
{
	struct stage s;
	struct peer_info p;
	size_t all, answered;

	(void)state;
	begin(&s, 2);
	assert_memory_equal(s.node->identity.public_key, s.token_public, KEY_LEN);
	assert_true(node_peer(s.node, 0, start, &p));
	assert_memory_equal(p.public_key, s.token.contacts[0].public_key, KEY_LEN);
	assert_int_equal(p.keepalive_s, JOINING_KEEPALIVE_S);
	assert_true(node_peer(s.node, 1, start, &p));
	assert_false(node_peer(s.node, 2, start, &p));
	joining_turn(s.joining, start);
	joining_contacts(s.joining, &all, &answered);
	assert_int_equal(all, 2);
	assert_int_equal(answered, 0);
	assert_int_equal(joining_state(s.joining), JOINING_REACHING);
	assert_true(joining_deadline(s.joining) > start.mono_us);
	end(&s);
	begin(&s, 0);
	end(&s);
}

static void takes_pieces_in_order(void **state)
{
	char *file = long_file();
	struct stage s;
	size_t half;

	(void)state;
	begin(&s, 1);
	seal(&s, NULL, file);
	half = s.sealed.len / 2;
	give_piece(&s, half, s.sealed.len - half);
	assert_int_equal(joining_state(s.joining), JOINING_REACHING);
	give_piece(&s, 0, half);
	give_piece(&s, 0, half);
	assert_int_equal(joining_state(s.joining), JOINING_ANSWERED);
	assert_int_equal(joining_deadline(s.joining), 0);
	give_piece(&s, half, s.sealed.len - half);
	assert_int_equal(joining_state(s.joining), JOINING_DONE);
	assert_int_equal(joining_result(s.joining)->len, 3000);
	assert_memory_equal(joining_result(s.joining)->s, file, 3000);
	assert_true(joining_deadline(s.joining) == NEVER_US);
	/* What comes later changes nothing. */
	seal(&s, "too late", NULL);
	give_piece(&s, 0, s.sealed.len);
	assert_int_equal(joining_state(s.joining), JOINING_DONE);
	end(&s);
	free(file);
}

static void begins_again_with_another_answer(void **state)
{
	struct stage s;

	(void)state;
	begin(&s, 1);
	seal(&s, NULL, "a file that is never seen whole");
	give_piece(&s, 0, 30);
	seal(&s, NULL, "short");
	give_piece(&s, 0, s.sealed.len);
	assert_int_equal(joining_state(s.joining), JOINING_DONE);
	assert_memory_equal(joining_result(s.joining)->s, "short", 5);
	end(&s);
}

static void is_refused(void **state)
{
	struct stage s;

	(void)state;
	begin(&s, 1);
	seal(&s, "used\nby another", NULL);
	give_piece(&s, 0, s.sealed.len);
	assert_int_equal(joining_state(s.joining), JOINING_REFUSED);
	assert_string_equal(joining_result(s.joining)->s, "used?by another");
	end(&s);
}

static void believes_the_issuer_alone(void **state)
{
	struct stage s;
	struct message m;

	(void)state;
	begin(&s, 1);
	seal(&s, NULL, "file");
	/* Of another token, no answer, of no length, too long, beyond the end. */
	m = piece(&s, 0, s.sealed.len);
	m.join.token[0] ^= 1;
	give(&s, &m);
	m = piece(&s, 0, s.sealed.len);
	m.join.answer = false;
	give(&s, &m);
	m = piece(&s, 0, 0);
	give(&s, &m);
	m = piece(&s, 0, s.sealed.len);
	m.join.total = JOIN_MAX + 1;
	give(&s, &m);
	m = piece(&s, 0, s.sealed.len);
	m.join.total--;
	give(&s, &m);
	assert_int_equal(joining_state(s.joining), JOINING_REACHING);
	/* Sealed with the key of requests, as we could ourselves. */
	memcpy(s.keys.answer, s.keys.request, KEY_LEN);
	seal(&s, NULL, "file");
	for (int i = 1; i < JOINING_REOPEN_MAX; i++) {
		give_piece(&s, 0, s.sealed.len);
		assert_int_equal(joining_state(s.joining), JOINING_ANSWERED);
	}
	give_piece(&s, 0, s.sealed.len);
	assert_int_equal(joining_state(s.joining), JOINING_REFUSED);
	assert_non_null(strstr(joining_result(s.joining)->s, "not the issuer's"));
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_the_node_up),
		cmocka_unit_test(takes_pieces_in_order),
		cmocka_unit_test(begins_again_with_another_answer),
		cmocka_unit_test(is_refused),
		cmocka_unit_test(believes_the_issuer_alone),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
