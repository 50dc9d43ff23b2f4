/* SPDX-License-Identifier: MIT */
/*
 * The handshake: byte for byte against transcripts of an independent implementation (contrib/oracle), then everything
 * that must fail, each with its verdict and without a trace in the handshake it was aimed at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/instant.h"
#include "crypto/aead.h"
#include "handshake_vectors.h"
#include "stream.h"
#include "transport/cookie.h"
#include "transport/noise.h"
#include "transport/rekey.h"
#include "transport/session.h"

enum { VECTORS = sizeof(handshake_vectors) / sizeof(handshake_vectors[0]) };

#define START_US INT64_C(1000000000)

static const uint8_t zero[sizeof(struct noise_handshake)];

/* Hands out one given key, once. */
struct script {
	const uint8_t *key;
};

static void script_fill(void *ctx, void *out, size_t len)
{
	struct script *s = ctx;

	assert_non_null(s->key);
	assert_int_equal(len, KEY_LEN);
	memcpy(out, s->key, len);
	s->key = NULL;
}

/* Two nodes, each with its half of a handshake with the other. */
struct pair {
	struct noise_identity ia, ib;
	struct noise_handshake a, b;	/* a's with b, b's with a */
	struct stream random;
	uint8_t stamp[WG_TAI64N_LEN];
};

static void pair_with_keys(struct pair *p, const uint8_t *private_a, const uint8_t *private_b, const uint8_t *psk)
{
	memset(p, 0, sizeof(*p));
	p->random.s = 1;
	noise_identity_set(&p->ia, private_a);
	noise_identity_set(&p->ib, private_b);
	noise_handshake_init(&p->a, &p->ia, p->ib.public_key, psk);
	noise_handshake_init(&p->b, &p->ib, p->ia.public_key, psk);
}

static void pair_init(struct pair *p)
{
	const struct handshake_vector *v = &handshake_vectors[0];

	pair_with_keys(p, v->initiator_private, v->responder_private, NULL);
}

/* An initiation from a to b, with a stamp newer than all before. */
static void initiate(struct pair *p, struct wg_initiation *m)
{
	struct rng rng = stream_rng(&p->random);

	noise_timestamp(p->stamp, NS_PER_S);
	assert_true(noise_create_initiation(&p->a, &p->ia, 0xa1, p->stamp, &rng, m));
}

/* b takes it: both halves in one. */
static enum noise_verdict take(struct pair *p, const struct wg_initiation *m, int64_t now_us)
{
	struct noise_offer offer;
	enum noise_verdict verdict = noise_read_initiation(&offer, &p->ib, m);

	if (verdict != NOISE_OK)
		return verdict;
	assert_memory_equal(offer.remote_static, p->ia.public_key, KEY_LEN);
	verdict = noise_accept_initiation(&p->b, &offer, now_us);
	assert_memory_equal(&offer, zero, sizeof(offer));
	return verdict;
}

static void respond(struct pair *p, struct wg_response *m)
{
	struct rng rng = stream_rng(&p->random);

	assert_true(noise_create_response(&p->b, 0xb2, &rng, m));
}

/* A response that waits for a to take it. */
static void until_response(struct pair *p, struct wg_response *m)
{
	struct wg_initiation i;

	initiate(p, &i);
	assert_int_equal(take(p, &i, START_US), NOISE_OK);
	respond(p, m);
}

static void assert_keys_match(const struct noise_keys *a, const struct noise_keys *b)
{
	assert_memory_equal(a->send, b->receive, KEY_LEN);
	assert_memory_equal(a->receive, b->send, KEY_LEN);
	assert_memory_equal(a->exporter, b->exporter, KEY_LEN);
	assert_memory_not_equal(a->send, a->receive, KEY_LEN);
	assert_memory_not_equal(a->send, a->exporter, KEY_LEN);
	assert_int_equal(a->local_index, b->remote_index);
	assert_int_equal(a->remote_index, b->local_index);
	assert_int_equal(a->initiator, !b->initiator);
}

/* Nothing secret stays of a handshake that ended. */
static void assert_ended(const struct noise_handshake *hs)
{
	assert_int_equal(hs->state, NOISE_ZEROED);
	assert_memory_equal(hs->hash, zero, sizeof(hs->hash));
	assert_memory_equal(hs->chaining_key, zero, sizeof(hs->chaining_key));
	assert_memory_equal(hs->ephemeral_private, zero, sizeof(hs->ephemeral_private));
	assert_memory_equal(hs->remote_ephemeral, zero, sizeof(hs->remote_ephemeral));
	assert_int_equal(hs->local_index, 0);
	assert_int_equal(hs->remote_index, 0);
}

static void finish(struct pair *p)
{
	struct noise_keys a, b;

	assert_true(noise_begin_session(&p->a, &a));
	assert_true(noise_begin_session(&p->b, &b));
	assert_keys_match(&a, &b);
	assert_ended(&p->a);
	assert_ended(&p->b);
}

/*
 * The transcripts.
 */

static void check_initiation(struct pair *p, const struct handshake_vector *v)
{
	struct script script = { v->initiator_ephemeral };
	struct rng rng = { script_fill, &script };
	struct cookie_maker maker;
	struct cookie_checker checker = { 0 };
	struct wg_initiation m;
	uint8_t msg[WG_INITIATION_LEN];

	assert_true(noise_create_initiation(&p->a, &p->ia, v->initiator_index, v->timestamp, &rng, &m));
	assert_int_equal(p->a.state, NOISE_CREATED_INITIATION);
	wg_initiation_write(msg, &m);
	cookie_maker_init(&maker, p->ib.public_key);
	cookie_maker_sign(&maker, msg, sizeof(msg), START_US);
	assert_memory_equal(msg, v->initiation, sizeof(msg));

	cookie_checker_set_key(&checker, p->ib.public_key);
	assert_true(cookie_mac1_valid(&checker, v->initiation, sizeof(v->initiation)));
	wg_initiation_read(&m, v->initiation);
	assert_int_equal(take(p, &m, START_US), NOISE_OK);
	assert_int_equal(p->b.state, NOISE_CONSUMED_INITIATION);
	assert_int_equal(p->b.remote_index, v->initiator_index);
	assert_memory_equal(p->b.latest_timestamp, v->timestamp, WG_TAI64N_LEN);
}

static void check_response(struct pair *p, const struct handshake_vector *v)
{
	struct script script = { v->responder_ephemeral };
	struct rng rng = { script_fill, &script };
	struct cookie_maker maker;
	struct cookie_checker checker = { 0 };
	struct wg_response m;
	uint8_t msg[WG_RESPONSE_LEN];

	assert_true(noise_create_response(&p->b, v->responder_index, &rng, &m));
	assert_int_equal(p->b.state, NOISE_CREATED_RESPONSE);
	wg_response_write(msg, &m);
	cookie_maker_init(&maker, p->ia.public_key);
	cookie_maker_sign(&maker, msg, sizeof(msg), START_US);
	assert_memory_equal(msg, v->response, sizeof(msg));

	cookie_checker_set_key(&checker, p->ia.public_key);
	assert_true(cookie_mac1_valid(&checker, v->response, sizeof(v->response)));
	wg_response_read(&m, v->response);
	assert_int_equal(noise_consume_response(&p->a, &p->ia, &m), NOISE_OK);
	assert_int_equal(p->a.state, NOISE_CONSUMED_RESPONSE);
	assert_int_equal(p->a.remote_index, v->responder_index);
	assert_memory_equal(p->a.chaining_key, v->chaining_key, BLAKE2S_LEN);
	assert_memory_equal(p->b.chaining_key, v->chaining_key, BLAKE2S_LEN);
}

static void check_keys(const struct noise_keys *keys, const struct handshake_vector *v, bool initiator)
{
	assert_int_equal(keys->initiator, initiator);
	assert_memory_equal(keys->send, initiator ? v->initiator_send : v->responder_send, KEY_LEN);
	assert_memory_equal(keys->receive, initiator ? v->responder_send : v->initiator_send, KEY_LEN);
	assert_memory_equal(keys->exporter, v->exporter, KEY_LEN);
	assert_int_equal(keys->local_index, initiator ? v->initiator_index : v->responder_index);
	assert_int_equal(keys->remote_index, initiator ? v->responder_index : v->initiator_index);
}

static void check_data(const struct noise_keys *a, const struct noise_keys *b, const struct handshake_vector *v)
{
	struct keypair *ka = keypair_new(a, START_US), *kb = keypair_new(b, START_US);
	uint8_t msg[sizeof(v->data_message)], plain[sizeof(v->data_plain)];
	size_t len = WG_DATA_HEADER + v->data_plain_len + AEAD_TAG;

	assert_non_null(ka);
	assert_non_null(kb);
	assert_memory_equal(ka->exporter, v->exporter, KEY_LEN);
	ka->zero.counter = v->data_counter;
	wg_data_header_write(msg, ka->remote_index, ka->zero.counter);
	aead_seal(ka->zero.sealer, ka->zero.counter, msg + WG_DATA_HEADER, v->data_plain, v->data_plain_len);
	assert_int_equal(len, v->data_message_len);
	assert_memory_equal(msg, v->data_message, len);

	assert_int_equal(wg_data_receiver(v->data_message), kb->local_index);
	assert_true(aead_open(kb->zero.opener, wg_data_counter(v->data_message), plain,
			      v->data_message + WG_DATA_HEADER, v->data_plain_len + AEAD_TAG));
	assert_memory_equal(plain, v->data_plain, v->data_plain_len);
	keypair_free(ka);
	keypair_free(kb);
}

static void transcripts(void **state)
{
	(void)state;
	assert_true(VECTORS >= 3);
	for (size_t i = 0; i < VECTORS; i++) {
		const struct handshake_vector *v = &handshake_vectors[i];
		struct noise_keys a, b;
		struct pair p;

		pair_with_keys(&p, v->initiator_private, v->responder_private, v->psk);
		check_initiation(&p, v);
		check_response(&p, v);
		assert_true(noise_begin_session(&p.a, &a));
		assert_true(noise_begin_session(&p.b, &b));
		check_keys(&a, v, true);
		check_keys(&b, v, false);
		assert_keys_match(&a, &b);
		assert_ended(&p.a);
		assert_ended(&p.b);
		check_data(&a, &b, v);
	}
}

/*
 * What must fail.
 */

/* Flip each bit of 'field', in 'm', and have b judge the message: it must be forged, and nothing may change. */
static void flip_initiation(struct pair *p, struct wg_initiation *m, uint8_t *field, size_t len)
{
	struct noise_handshake before;

	memcpy(&before, &p->b, sizeof(before));
	for (size_t bit = 0; bit < 8 * len; bit += bit % 8 ? 7 : 1) {	/* the lowest and second of each byte... */
		field[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(take(p, m, START_US), NOISE_FORGED);
		assert_memory_equal(&before, &p->b, sizeof(before));
		field[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	field[len - 1] ^= 0x80;		/* ...and the one X25519 does not look at, but the hash does */
	assert_int_equal(take(p, m, START_US), NOISE_FORGED);
	assert_memory_equal(&before, &p->b, sizeof(before));
	field[len - 1] ^= 0x80;
}

static void flipped_initiations(void **state)
{
	struct wg_initiation m;
	struct pair p;

	(void)state;
	pair_init(&p);
	initiate(&p, &m);
	flip_initiation(&p, &m, m.ephemeral, sizeof(m.ephemeral));
	flip_initiation(&p, &m, m.static_sealed, sizeof(m.static_sealed));
	flip_initiation(&p, &m, m.timestamp_sealed, sizeof(m.timestamp_sealed));
	assert_int_equal(take(&p, &m, START_US), NOISE_OK);
}

static void flip_response(struct pair *p, struct wg_response *m, uint8_t *field, size_t len)
{
	struct noise_handshake before;

	memcpy(&before, &p->a, sizeof(before));
	for (size_t i = 0; i < len; i++) {
		static const uint8_t bits[] = { 0x01, 0x10, 0x80 };

		for (size_t k = 0; k < sizeof(bits); k++) {
			field[i] ^= bits[k];
			assert_int_equal(noise_consume_response(&p->a, &p->ia, m), NOISE_FORGED);
			assert_memory_equal(&before, &p->a, sizeof(before));
			field[i] ^= bits[k];
		}
	}
}

static void flipped_responses(void **state)
{
	struct wg_response m;
	struct pair p;

	(void)state;
	pair_init(&p);
	until_response(&p, &m);
	flip_response(&p, &m, m.ephemeral, sizeof(m.ephemeral));
	flip_response(&p, &m, m.empty_sealed, sizeof(m.empty_sealed));
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &m), NOISE_OK);
	finish(&p);
}

static void replayed_timestamps(void **state)
{
	struct wg_initiation first, second, third;
	struct noise_handshake before;
	struct wg_response r;
	struct pair p;
	int64_t t = START_US;

	(void)state;
	pair_init(&p);
	initiate(&p, &first);
	initiate(&p, &second);
	initiate(&p, &third);
	assert_int_equal(take(&p, &second, t), NOISE_OK);
	memcpy(&before, &p.b, sizeof(before));
	t += US_PER_S;
	assert_int_equal(take(&p, &second, t), NOISE_REPLAYED);	/* the same */
	assert_int_equal(take(&p, &first, t), NOISE_REPLAYED);	/* an older one, never seen */
	assert_memory_equal(&before, &p.b, sizeof(before));

	/* The guard outlives the handshake, our response, and the session. */
	respond(&p, &r);
	assert_int_equal(take(&p, &second, t), NOISE_REPLAYED);
	assert_int_equal(p.b.state, NOISE_CREATED_RESPONSE);
	noise_handshake_clear(&p.b);
	assert_int_equal(take(&p, &second, t), NOISE_REPLAYED);
	assert_ended(&p.b);
	noise_handshake_rekey_static(&p.b, &p.ib);
	assert_int_equal(take(&p, &second, t), NOISE_REPLAYED);
	assert_int_equal(take(&p, &third, t), NOISE_OK);
}

/* Stamps compare as a whole: a later second with fewer nanoseconds is newer, the same second with as many is not. */
static void timestamps_compare_by_all_bytes(void **state)
{
	static const struct {
		uint8_t stamp[WG_TAI64N_LEN];
		enum noise_verdict verdict;
	} step[] = {
		{ { 0 }, NOISE_REPLAYED },				/* nothing is older than never */
		{ { 0x40, [7] = 9, [8] = 0x3b }, NOISE_OK },
		{ { 0x40, [7] = 9, [8] = 0x3a, 0xff, 0xff, 0xff }, NOISE_REPLAYED },
		{ { 0x40, [7] = 10 }, NOISE_OK },
		{ { 0x40, [7] = 9, [8] = 0x3b, 0xff, 0xff, 0xff }, NOISE_REPLAYED },
		{ { 0x40, [7] = 10, [11] = 1 }, NOISE_OK },
		{ { 0x40, [6] = 1 }, NOISE_OK },
		{ { 0x80 }, NOISE_OK },					/* not a signed comparison */
		{ { 0x7f, 0xff }, NOISE_REPLAYED },
	};
	struct pair p;

	(void)state;
	pair_init(&p);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		struct rng rng = stream_rng(&p.random);
		struct wg_initiation m;

		assert_true(noise_create_initiation(&p.a, &p.ia, 1, step[i].stamp, &rng, &m));
		assert_int_equal(take(&p, &m, START_US + (int64_t)i * US_PER_S), step[i].verdict);
	}
}

static void flood_guard(void **state)
{
	struct wg_initiation first, second;
	struct noise_handshake before;
	struct pair p;

	(void)state;
	pair_init(&p);
	initiate(&p, &first);
	initiate(&p, &second);
	assert_int_equal(take(&p, &first, START_US), NOISE_OK);
	memcpy(&before, &p.b, sizeof(before));
	assert_int_equal(take(&p, &second, START_US), NOISE_FLOODED);
	assert_int_equal(take(&p, &second, START_US + 19999), NOISE_FLOODED);
	assert_int_equal(take(&p, &first, START_US + 19999), NOISE_REPLAYED);	/* what it is, said first */
	assert_memory_equal(&before, &p.b, sizeof(before));
	assert_int_equal(take(&p, &second, START_US + 20000), NOISE_OK);
	assert_int_equal(p.b.consumed_us, START_US + 20000);
	/* It counts from the last one taken, at the first microsecond there is, too. */
	pair_init(&p);
	initiate(&p, &first);
	initiate(&p, &second);
	assert_int_equal(take(&p, &first, 1), NOISE_OK);
	assert_int_equal(take(&p, &second, 20000), NOISE_FLOODED);
	assert_int_equal(take(&p, &second, 20001), NOISE_OK);
}

static void wrong_psk(void **state)
{
	struct noise_handshake before;
	struct wg_response m;
	struct pair p;

	(void)state;
	pair_init(&p);
	p.b.psk[31] = 1;
	until_response(&p, &m);
	memcpy(&before, &p.a, sizeof(before));
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &m), NOISE_FORGED);
	assert_memory_equal(&before, &p.a, sizeof(before));
	p.a.psk[31] = 1;
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &m), NOISE_OK);
	finish(&p);
}

static void wrong_static(void **state)
{
	const struct handshake_vector *other = &handshake_vectors[1];
	struct noise_identity stranger = { 0 };
	struct noise_handshake before, with_stranger;
	struct noise_offer offer;
	struct wg_initiation m;
	struct wg_response r;
	struct pair p;

	(void)state;
	noise_identity_set(&stranger, other->initiator_private);
	pair_init(&p);
	initiate(&p, &m);
	/* An initiation for another node. */
	assert_int_equal(noise_read_initiation(&offer, &stranger, &m), NOISE_FORGED);
	/* It says who sent it; whoever takes it for somebody else's finds it forged. */
	assert_int_equal(noise_read_initiation(&offer, &p.ib, &m), NOISE_OK);
	noise_handshake_init(&with_stranger, &p.ib, stranger.public_key, NULL);
	memcpy(&before, &with_stranger, sizeof(before));
	assert_int_equal(noise_accept_initiation(&with_stranger, &offer, START_US), NOISE_FORGED);
	assert_memory_equal(&before, &with_stranger, sizeof(before));
	/* A response made with another static key than the one asked for. */
	assert_int_equal(take(&p, &m, START_US), NOISE_OK);
	respond(&p, &r);
	memcpy(&before, &p.a, sizeof(before));
	assert_int_equal(noise_consume_response(&p.a, &stranger, &r), NOISE_FORGED);
	assert_memory_equal(&before, &p.a, sizeof(before));
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &r), NOISE_OK);
}

static void no_identity(void **state)
{
	struct noise_identity none = { 0 };
	struct noise_handshake hs;
	struct noise_offer offer;
	struct wg_initiation m;
	struct pair p;
	struct rng rng = stream_rng(&p.random);

	(void)state;
	pair_init(&p);
	initiate(&p, &m);
	assert_int_equal(noise_read_initiation(&offer, &none, &m), NOISE_UNEXPECTED);
	noise_handshake_init(&hs, &none, p.ib.public_key, NULL);
	assert_false(hs.possible);
	assert_false(noise_create_initiation(&hs, &none, 1, p.stamp, &rng, &m));
	assert_int_equal(hs.state, NOISE_ZEROED);
	/* The key comes later. */
	noise_handshake_rekey_static(&hs, &p.ia);
	assert_true(hs.possible);
	assert_memory_equal(hs.static_static, p.a.static_static, KEY_LEN);
	assert_true(noise_create_initiation(&hs, &p.ia, 1, p.stamp, &rng, &m));
	/* And goes again. */
	noise_handshake_rekey_static(&hs, &none);
	assert_false(hs.possible);
	assert_memory_equal(hs.static_static, zero, KEY_LEN);
	assert_ended(&hs);
}

static void identities(void **state)
{
	static const uint8_t ones[KEY_LEN] = { [0 ... 31] = 0xff };
	struct noise_identity id = { 0 }, same = { 0 };

	(void)state;
	noise_identity_set(&id, ones);
	assert_true(id.set);
	assert_int_equal(id.private_key[0], 0xf8);
	assert_int_equal(id.private_key[31], 0x7f);
	noise_identity_set(&same, id.private_key);
	assert_memory_equal(id.public_key, same.public_key, KEY_LEN);
	noise_identity_set(&id, NULL);
	assert_memory_equal(&id, zero, sizeof(id));
	noise_identity_set(&same, zero);
	assert_memory_equal(&same, zero, sizeof(same));
}

/* Every u-coordinate X25519 maps to zero (cr.yp.to/ecdh.html), reduced and not, with the top bit and without. */
static const uint8_t small_order[][KEY_LEN] = {
	{ 0 },
	{ 1 },
	{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
	  0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
	{ 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
	  0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57 },
	{ 0xec, [1 ... 30] = 0xff, 0x7f },
	{ 0xed, [1 ... 30] = 0xff, 0x7f },
	{ 0xee, [1 ... 30] = 0xff, 0x7f },
	{ [31] = 0x80 },
	{ 1, [31] = 0x80 },
	{ 0xec, [1 ... 31] = 0xff },
};

static void small_order_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++) {
		struct noise_handshake hs, before;
		struct noise_offer offer;
		struct wg_initiation m, bad;
		struct wg_response r;
		struct pair p;
		struct rng rng = stream_rng(&p.random);

		/* As a peer's static key: no handshake either way. */
		pair_init(&p);
		noise_handshake_init(&hs, &p.ia, small_order[i], NULL);
		assert_false(hs.possible);
		assert_memory_equal(hs.static_static, zero, KEY_LEN);
		assert_false(noise_create_initiation(&hs, &p.ia, 1, p.stamp, &rng, &m));
		assert_int_equal(hs.state, NOISE_ZEROED);
		initiate(&p, &m);
		noise_handshake_init(&hs, &p.ib, small_order[i], NULL);
		memcpy(&before, &hs, sizeof(before));
		assert_int_equal(noise_read_initiation(&offer, &p.ib, &m), NOISE_OK);
		assert_int_equal(noise_accept_initiation(&hs, &offer, START_US), NOISE_FORGED);
		assert_memory_equal(&before, &hs, sizeof(before));
		/* As an ephemeral. */
		bad = m;
		memcpy(bad.ephemeral, small_order[i], KEY_LEN);
		assert_int_equal(noise_read_initiation(&offer, &p.ib, &bad), NOISE_FORGED);
		assert_int_equal(take(&p, &m, START_US), NOISE_OK);
		respond(&p, &r);
		memcpy(r.ephemeral, small_order[i], KEY_LEN);
		memcpy(&before, &p.a, sizeof(before));
		assert_int_equal(noise_consume_response(&p.a, &p.ia, &r), NOISE_FORGED);
		assert_memory_equal(&before, &p.a, sizeof(before));
	}
}

/* Steps out of turn. */
static void unexpected(void **state)
{
	struct noise_keys keys;
	struct wg_initiation i;
	struct wg_response r, again;
	struct pair p;
	struct rng rng = stream_rng(&p.random);

	(void)state;
	pair_init(&p);
	until_response(&p, &r);
	/* A response where nothing was asked: fresh, after taking an initiation, after answering it. */
	assert_int_equal(noise_consume_response(&p.b, &p.ib, &r), NOISE_UNEXPECTED);
	noise_handshake_clear(&p.b);
	assert_int_equal(noise_consume_response(&p.b, &p.ib, &r), NOISE_UNEXPECTED);
	assert_false(noise_create_response(&p.b, 1, &rng, &again));
	assert_false(noise_begin_session(&p.b, &keys));
	/* The same response twice, and after the session began. */
	assert_false(noise_begin_session(&p.a, &keys));
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &r), NOISE_OK);
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &r), NOISE_UNEXPECTED);
	assert_true(noise_begin_session(&p.a, &keys));
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &r), NOISE_UNEXPECTED);
	assert_false(noise_begin_session(&p.a, &keys));
	/* An initiation does not answer itself: one response each. */
	initiate(&p, &i);
	assert_int_equal(take(&p, &i, START_US + US_PER_S), NOISE_OK);
	assert_false(noise_begin_session(&p.b, &keys));
	respond(&p, &r);
	assert_false(noise_create_response(&p.b, 1, &rng, &again));
	/* A new initiation of ours makes the answer to the last one a forgery. */
	initiate(&p, &i);
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &r), NOISE_FORGED);
	assert_int_equal(p.a.state, NOISE_CREATED_INITIATION);
}

/* Both sides begin at once. */
static void crossing_initiations(void **state)
{
	struct wg_initiation from_a, from_b;
	struct wg_response to_a, to_b;
	struct noise_offer offer;
	uint8_t stamp[WG_TAI64N_LEN] = { 0x40, [7] = 5 };
	struct pair p;
	struct rng rng = stream_rng(&p.random);

	(void)state;
	/* Each initiation reaches the other: each takes it in place of its own, and no answer fits any more. */
	pair_init(&p);
	initiate(&p, &from_a);
	assert_true(noise_create_initiation(&p.b, &p.ib, 0xb1, stamp, &rng, &from_b));
	assert_int_equal(take(&p, &from_a, START_US), NOISE_OK);
	assert_int_equal(noise_read_initiation(&offer, &p.ia, &from_b), NOISE_OK);
	assert_int_equal(noise_accept_initiation(&p.a, &offer, START_US), NOISE_OK);
	respond(&p, &to_a);
	assert_true(noise_create_response(&p.a, 0xa2, &rng, &to_b));
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &to_a), NOISE_UNEXPECTED);
	assert_int_equal(noise_consume_response(&p.b, &p.ib, &to_b), NOISE_UNEXPECTED);

	/* One is lost: the other's handshake ends well, though both had begun. */
	pair_init(&p);
	assert_true(noise_create_initiation(&p.b, &p.ib, 0xb1, stamp, &rng, &from_b));
	until_response(&p, &to_a);
	assert_int_equal(noise_consume_response(&p.a, &p.ia, &to_a), NOISE_OK);
	finish(&p);
	/* And the lost one comes late: a handshake of its own. */
	assert_int_equal(noise_read_initiation(&offer, &p.ia, &from_b), NOISE_OK);
	assert_int_equal(noise_accept_initiation(&p.a, &offer, START_US), NOISE_OK);
	assert_int_equal(p.a.state, NOISE_CONSUMED_INITIATION);
}

static void done_wipes_all(void **state)
{
	struct pair p;
	struct wg_response r;

	(void)state;
	pair_init(&p);
	p.b.psk[0] = 9;
	until_response(&p, &r);
	noise_handshake_done(&p.b);
	assert_memory_equal(&p.b, zero, sizeof(p.b));
}

/*
 * Stamps.
 */

static void assert_stamp(const uint8_t stamp[WG_TAI64N_LEN], uint64_t seconds, uint32_t ns)
{
	assert_int_equal(get_be64(stamp), UINT64_C(0x4000000000000000) + seconds);
	assert_int_equal(get_be32(stamp + 8), ns);
}

static void stamp_values(void **state)
{
	static const struct {
		int64_t wall_ns;
		uint64_t seconds;
		uint32_t ns;
	} row[] = {
		{ 0, 10, 0 },
		{ 0xffffff, 10, 0 },			/* whitened... */
		{ 0x1000000, 10, 0x1000000 },		/* ...to 2^24 ns */
		{ 0x1ffffff, 10, 0x1000000 },
		{ 999999999, 10, 0x3b000000 },		/* the last step of a second */
		{ NS_PER_S, 11, 0 },
		{ INT64_C(1700000000) * NS_PER_S + 123456789, 1700000010, 0x7000000 },
		{ -1, 10, 0 },				/* a clock before 1970 counts as 1970 */
		{ INT64_MIN, 10, 0 },
		{ INT64_MAX, INT64_MAX / NS_PER_S + 10, 0x32000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t stamp[WG_TAI64N_LEN] = { 0 };

		noise_timestamp(stamp, row[i].wall_ns);
		assert_stamp(stamp, row[i].seconds, row[i].ns);
	}
}

/* The clock stands still, is set back, is lost: stamps grow by one step; it comes back: they follow it. */
static void stamps_grow_whatever_the_clock_does(void **state)
{
	const int64_t now_ns = INT64_C(1700000000) * NS_PER_S;
	uint8_t stamp[WG_TAI64N_LEN] = { 0 };

	(void)state;
	noise_timestamp(stamp, now_ns);
	assert_stamp(stamp, 1700000010, 0);
	noise_timestamp(stamp, now_ns);
	assert_stamp(stamp, 1700000010, 1 << 24);
	noise_timestamp(stamp, now_ns + 0x1ffffff);
	assert_stamp(stamp, 1700000010, 2 << 24);
	noise_timestamp(stamp, now_ns - 3600 * NS_PER_S);
	assert_stamp(stamp, 1700000010, 3 << 24);
	noise_timestamp(stamp, 0);
	assert_stamp(stamp, 1700000010, 4 << 24);
	noise_timestamp(stamp, now_ns + 5 * (1 << 24));
	assert_stamp(stamp, 1700000010, 5 << 24);
	/* 59 steps fill a second; the next is a new one. */
	for (uint32_t step = 6; step <= 59; step++) {
		noise_timestamp(stamp, 0);
		assert_stamp(stamp, 1700000010, step << 24);
	}
	noise_timestamp(stamp, 0);
	assert_stamp(stamp, 1700000011, 0);
}

/* A stamp that was saved need not be one of ours: whatever it is, the next is later and whitened. */
static void stamps_after_any_saved_one(void **state)
{
	static const uint32_t saved[] = { 0, 1, 0xffffff, 0x1000001, 999999999, 1000000000, 0xfeffffff, 0xffffffff };
	static const uint32_t next[] = {
		0x1000000, 0x1000000, 0x1000000, 0x2000000, 0, 0, 0, 0
	};

	(void)state;
	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
		uint8_t stamp[WG_TAI64N_LEN], before[WG_TAI64N_LEN];

		put_be64(stamp, UINT64_C(0x4000000000000064));
		put_be32(stamp + 8, saved[i]);
		memcpy(before, stamp, sizeof(before));
		noise_timestamp(stamp, 0);
		assert_true(memcmp(stamp, before, sizeof(stamp)) > 0);
		assert_stamp(stamp, next[i] ? 100 : 101, next[i]);
	}
}

static void stamps_grow_at_random(void **state)
{
	uint8_t stamp[WG_TAI64N_LEN] = { 0 }, before[WG_TAI64N_LEN];
	struct stream s = { 9 };
	int64_t wall_ns = INT64_C(1700000000) * NS_PER_S;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		memcpy(before, stamp, sizeof(before));
		noise_timestamp(stamp, wall_ns);
		assert_true(memcmp(stamp, before, sizeof(stamp)) > 0);
		assert_true(get_be32(stamp + 8) < NS_PER_S);
		assert_int_equal(get_be32(stamp + 8) & 0xffffff, 0);
		wall_ns += (int64_t)stream_below(&s, 40000000) - 10000000;
		if (stream_below(&s, 1000) == 0)
			wall_ns -= (int64_t)stream_below(&s, 100) * NS_PER_S;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transcripts),
		cmocka_unit_test(flipped_initiations),
		cmocka_unit_test(flipped_responses),
		cmocka_unit_test(replayed_timestamps),
		cmocka_unit_test(timestamps_compare_by_all_bytes),
		cmocka_unit_test(flood_guard),
		cmocka_unit_test(wrong_psk),
		cmocka_unit_test(wrong_static),
		cmocka_unit_test(no_identity),
		cmocka_unit_test(identities),
		cmocka_unit_test(small_order_keys),
		cmocka_unit_test(unexpected),
		cmocka_unit_test(crossing_initiations),
		cmocka_unit_test(done_wipes_all),
		cmocka_unit_test(stamp_values),
		cmocka_unit_test(stamps_grow_whatever_the_clock_does),
		cmocka_unit_test(stamps_after_any_saved_one),
		cmocka_unit_test(stamps_grow_at_random),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
