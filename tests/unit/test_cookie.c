/* SPDX-License-Identifier: MIT */
/* MACs and cookies: against the oracle's transcripts, then time limits, other sources, and every wrong bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/instant.h"
#include "handshake_vectors.h"
#include "stream.h"
#include "transport/cookie.h"

enum { VECTORS = sizeof(handshake_vectors) / sizeof(handshake_vectors[0]) };

#define START_US INT64_C(1000000000)

static const uint8_t zero[WG_MAC_LEN];

/* Hands out given bytes, then nothing more. */
struct script {
	const uint8_t *bytes;
	size_t len;
};

static void script_fill(void *ctx, void *out, size_t len)
{
	struct script *s = ctx;

	assert_true(len <= s->len);
	memcpy(out, s->bytes, len);
	s->bytes += len;
	s->len -= len;
}

/* A responder's checker and an initiator's maker for it, and a message between them. */
struct fixture {
	struct cookie_checker checker;
	struct cookie_maker maker;
	struct endpoint source;
	struct stream random;
	uint8_t msg[WG_INITIATION_LEN];
};

static void responder_public(uint8_t key[KEY_LEN], const struct handshake_vector *v)
{
	key_public(key, v->responder_private);
}

static void fixture_init(struct fixture *f, const struct handshake_vector *v)
{
	uint8_t key[KEY_LEN];

	memset(f, 0, sizeof(*f));
	responder_public(key, v);
	cookie_checker_set_key(&f->checker, key);
	cookie_maker_init(&f->maker, key);
	assert_true(endpoint_parse(v->source_text, &f->source));
	memcpy(f->msg, v->initiation, sizeof(f->msg));
	memset(f->msg + WG_INITIATION_LEN - 2 * WG_MAC_LEN, 0xee, 2 * WG_MAC_LEN);
	f->random.s = 2;
}

static enum cookie_verdict check_loaded(struct fixture *f, int64_t now_us)
{
	struct rng rng = stream_rng(&f->random);

	return cookie_check(&f->checker, f->msg, sizeof(f->msg), &f->source, true, now_us, &rng);
}

static void make_reply(struct fixture *f, struct wg_cookie_reply *reply, int64_t now_us)
{
	struct rng rng = stream_rng(&f->random);

	cookie_reply_make(&f->checker, reply, f->msg, sizeof(f->msg), &f->source, now_us, &rng);
}

/* Give the maker a cookie at 'now_us' and sign with it. */
static void exchange(struct fixture *f, int64_t now_us)
{
	struct wg_cookie_reply reply;

	cookie_maker_sign(&f->maker, f->msg, sizeof(f->msg), now_us);
	make_reply(f, &reply, now_us);
	assert_true(cookie_reply_consume(&f->maker, &reply, now_us));
	cookie_maker_sign(&f->maker, f->msg, sizeof(f->msg), now_us);
}

static const uint8_t *mac1_of(const struct fixture *f)
{
	return f->msg + WG_INITIATION_LEN - 2 * WG_MAC_LEN;
}

static const uint8_t *mac2_of(const struct fixture *f)
{
	return f->msg + WG_INITIATION_LEN - WG_MAC_LEN;
}

static void transcripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct handshake_vector *v = &handshake_vectors[i];
		uint8_t random[sizeof(v->cookie_secret) + sizeof(v->nonce)], bytes[WG_COOKIE_REPLY_LEN];
		struct script script = { random, sizeof(random) };
		struct rng rng = { script_fill, &script };
		struct wg_cookie_reply reply;
		struct fixture f;

		fixture_init(&f, v);
		memcpy(random, v->cookie_secret, sizeof(v->cookie_secret));
		memcpy(random + sizeof(v->cookie_secret), v->nonce, sizeof(v->nonce));

		cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
		assert_memory_equal(f.msg, v->initiation, sizeof(f.msg));	/* mac1, and no mac2 */
		cookie_reply_make(&f.checker, &reply, f.msg, sizeof(f.msg), &f.source, START_US, &rng);
		assert_int_equal(script.len, 0);
		wg_cookie_reply_write(bytes, &reply);
		assert_memory_equal(bytes, v->cookie_reply, sizeof(bytes));

		wg_cookie_reply_read(&reply, v->cookie_reply);
		assert_int_equal(reply.receiver, v->initiator_index);
		assert_true(cookie_reply_consume(&f.maker, &reply, START_US));
		cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
		assert_memory_equal(mac2_of(&f), v->initiation2_mac2, WG_MAC_LEN);
		assert_memory_equal(f.msg, v->initiation, sizeof(f.msg) - WG_MAC_LEN);
		assert_int_equal(cookie_check(&f.checker, f.msg, sizeof(f.msg), &f.source, true, START_US, &rng),
				 COOKIE_VALID);
	}
}

/* Responses carry the same MACs, from the other side. */
static void responses_too(void **state)
{
	const struct handshake_vector *v = &handshake_vectors[0];
	struct fixture f;
	uint8_t key[KEY_LEN], msg[WG_RESPONSE_LEN];
	struct wg_cookie_reply reply;
	struct rng rng;

	(void)state;
	fixture_init(&f, v);
	rng = stream_rng(&f.random);
	key_public(key, v->initiator_private);
	cookie_checker_set_key(&f.checker, key);
	cookie_maker_init(&f.maker, key);
	memcpy(msg, v->response, sizeof(msg));
	assert_int_equal(cookie_check(&f.checker, msg, sizeof(msg), &f.source, true, START_US, &rng), COOKIE_NO_COOKIE);
	cookie_maker_sign(&f.maker, msg, sizeof(msg), START_US);
	assert_memory_equal(msg, v->response, sizeof(msg));
	cookie_reply_make(&f.checker, &reply, msg, sizeof(msg), &f.source, START_US, &rng);
	assert_int_equal(reply.receiver, v->responder_index);
	assert_true(cookie_reply_consume(&f.maker, &reply, START_US));
	cookie_maker_sign(&f.maker, msg, sizeof(msg), START_US);
	assert_int_equal(cookie_check(&f.checker, msg, sizeof(msg), &f.source, true, START_US, &rng), COOKIE_VALID);
}

static void no_fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	(void)out;
	(void)len;
	fail();
}

/* A wrong mac1 costs one hash: whatever the load nothing is drawn or kept for it. */
static void every_bit_under_mac1(void **state)
{
	struct rng none = { .fill = no_fill };
	struct cookie_checker before;
	struct fixture f;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	memcpy(&before, &f.checker, sizeof(before));
	for (size_t bit = 0; bit < 8 * (sizeof(f.msg) - WG_MAC_LEN); bit++) {
		f.msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(cookie_mac1_valid(&f.checker, f.msg, sizeof(f.msg)));
		assert_int_equal(cookie_check(&f.checker, f.msg, sizeof(f.msg), &f.source, bit % 2, START_US, &none),
				 COOKIE_BAD_MAC);
		f.msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_memory_equal(&before, &f.checker, sizeof(before));
	assert_true(cookie_mac1_valid(&f.checker, f.msg, sizeof(f.msg)));
	/* Without load mac2 is not looked at, and no secret is drawn. */
	assert_int_equal(cookie_check(&f.checker, f.msg, sizeof(f.msg), &f.source, false, START_US, &none),
			 COOKIE_NO_COOKIE);
	assert_memory_equal(&before, &f.checker, sizeof(before));
}

static void every_bit_of_mac2(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	exchange(&f, START_US);
	assert_int_equal(check_loaded(&f, START_US), COOKIE_VALID);
	for (size_t bit = 0; bit < 8 * WG_MAC_LEN; bit++) {
		uint8_t *byte = &f.msg[WG_INITIATION_LEN - WG_MAC_LEN + bit / 8];

		*byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(check_loaded(&f, START_US), COOKIE_NO_COOKIE);
		*byte ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(check_loaded(&f, START_US), COOKIE_VALID);
}

static void another_nodes_key(void **state)
{
	uint8_t key[KEY_LEN];
	struct fixture f;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	exchange(&f, START_US);
	responder_public(key, &handshake_vectors[1]);
	cookie_checker_set_key(&f.checker, key);
	assert_int_equal(check_loaded(&f, START_US), COOKIE_BAD_MAC);
}

static void bound_to_address_and_port(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct fixture f;
		size_t len;

		fixture_init(&f, &handshake_vectors[i]);
		exchange(&f, START_US);
		len = ip_family_bytes(f.source.addr.family);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			f.source.addr.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(check_loaded(&f, START_US), COOKIE_NO_COOKIE);
			f.source.addr.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t bit = 0; bit < 16; bit++) {
			f.source.port ^= (uint16_t)(1 << bit);
			assert_int_equal(check_loaded(&f, START_US), COOKIE_NO_COOKIE);
			f.source.port ^= (uint16_t)(1 << bit);
		}
		assert_int_equal(check_loaded(&f, START_US), COOKIE_VALID);
	}
}

static void secret_changes_after_two_minutes(void **state)
{
	uint8_t secret[KEY_LEN];
	struct fixture f;
	int64_t t = START_US;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	exchange(&f, t);
	assert_int_equal(f.checker.secret_born_us, t);
	memcpy(secret, f.checker.secret, sizeof(secret));
	assert_int_equal(check_loaded(&f, t + 60 * US_PER_S), COOKIE_VALID);	/* using it does not make it younger */
	assert_int_equal(check_loaded(&f, t + 120 * US_PER_S - 1), COOKIE_VALID);
	assert_memory_equal(secret, f.checker.secret, sizeof(secret));
	assert_int_equal(check_loaded(&f, t + 120 * US_PER_S), COOKIE_NO_COOKIE);
	assert_int_equal(f.checker.secret_born_us, t + 120 * US_PER_S);
	assert_memory_not_equal(secret, f.checker.secret, sizeof(secret));
	/* A cookie of the new secret is good again. */
	exchange(&f, t + 121 * US_PER_S);
	assert_int_equal(check_loaded(&f, t + 122 * US_PER_S), COOKIE_VALID);
}

static void maker_trusts_less(void **state)
{
	struct fixture f;
	int64_t t = START_US;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), t);
	assert_memory_equal(mac2_of(&f), zero, WG_MAC_LEN);	/* no cookie yet */
	exchange(&f, t);
	assert_memory_not_equal(mac2_of(&f), zero, WG_MAC_LEN);
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), t + 115 * US_PER_S - 1);
	assert_int_equal(check_loaded(&f, t + 115 * US_PER_S), COOKIE_VALID);
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), t + 115 * US_PER_S);
	assert_memory_equal(mac2_of(&f), zero, WG_MAC_LEN);
	assert_int_equal(check_loaded(&f, t + 115 * US_PER_S), COOKIE_NO_COOKIE);
}

static void refused(struct fixture *f, const struct wg_cookie_reply *reply)
{
	struct cookie_maker before;

	memcpy(&before, &f->maker, sizeof(before));
	assert_false(cookie_reply_consume(&f->maker, reply, START_US));
	assert_memory_equal(&before, &f->maker, sizeof(before));
}

static void every_bit_of_a_reply(void **state)
{
	struct wg_cookie_reply reply;
	struct fixture f;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	make_reply(&f, &reply, START_US);
	for (size_t bit = 0; bit < 8 * sizeof(reply.nonce); bit++) {
		reply.nonce[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused(&f, &reply);
		reply.nonce[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(reply.cookie_sealed); bit++) {
		reply.cookie_sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused(&f, &reply);
		reply.cookie_sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(cookie_reply_consume(&f.maker, &reply, START_US));
}

static void replies_that_answer_nothing(void **state)
{
	struct wg_cookie_reply reply, older;
	uint8_t key[KEY_LEN], mac1[WG_MAC_LEN];
	struct fixture f;

	(void)state;
	fixture_init(&f, &handshake_vectors[0]);
	/* Nothing was sent. */
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	make_reply(&f, &older, START_US);
	responder_public(key, &handshake_vectors[0]);
	cookie_maker_init(&f.maker, key);
	refused(&f, &older);
	/* It answers a message before the last one. */
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	memcpy(mac1, mac1_of(&f), sizeof(mac1));
	f.msg[8] ^= 1;
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	assert_memory_not_equal(mac1, mac1_of(&f), sizeof(mac1));
	refused(&f, &older);
	make_reply(&f, &reply, START_US);
	assert_true(cookie_reply_consume(&f.maker, &reply, START_US));
	/* One reply each. */
	refused(&f, &reply);
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	assert_true(cookie_reply_consume(&f.maker, &reply, START_US));
	/* Another node made it. */
	cookie_maker_sign(&f.maker, f.msg, sizeof(f.msg), START_US);
	responder_public(key, &handshake_vectors[1]);
	cookie_checker_set_key(&f.checker, key);
	make_reply(&f, &reply, START_US);
	refused(&f, &reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transcripts),
		cmocka_unit_test(responses_too),
		cmocka_unit_test(every_bit_under_mac1),
		cmocka_unit_test(every_bit_of_mac2),
		cmocka_unit_test(another_nodes_key),
		cmocka_unit_test(bound_to_address_and_port),
		cmocka_unit_test(secret_changes_after_two_minutes),
		cmocka_unit_test(maker_trusts_less),
		cmocka_unit_test(every_bit_of_a_reply),
		cmocka_unit_test(replies_that_answer_nothing),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
