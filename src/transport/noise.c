/* SPDX-License-Identifier: MIT */
/*
 * The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, as the WireGuard
 * whitepaper has it in sections 5.4.1 to 5.4.5. Each function reads like the
 * paper: one comment a token, one call a token.
 *
 *	initiation	e, es, s, ss, {t}
 *	response	e, ee, se, psk, {}
 *
 * Whatever comes from outside is worked on in copies on the stack; the handshake of
 * the peer changes only after the last check has passed. All copies are
 * wiped on every way out.
 */
#include "transport/noise.h"

#include <string.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"

static const char CONSTRUCTION[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char IDENTIFIER[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* The part of a handshake that both sides compute in step. */
struct transcript {
	uint8_t hash[BLAKE2S_LEN];
	uint8_t chaining_key[BLAKE2S_LEN];
	uint8_t key[KEY_LEN];
};

static void mix_hash(uint8_t hash[BLAKE2S_LEN], const void *data, size_t len)
{
	struct blake2s s;

	blake2s_init(&s, BLAKE2S_LEN, NULL, 0);
	blake2s_update(&s, hash, BLAKE2S_LEN);
	blake2s_update(&s, data, len);
	blake2s_final(&s, hash);
}

static void transcript_begin(struct transcript *t, const uint8_t responder_static[KEY_LEN])
{
	blake2s(t->chaining_key, BLAKE2S_LEN, NULL, 0, CONSTRUCTION, sizeof(CONSTRUCTION) - 1);
	memcpy(t->hash, t->chaining_key, BLAKE2S_LEN);
	mix_hash(t->hash, IDENTIFIER, sizeof(IDENTIFIER) - 1);
	mix_hash(t->hash, responder_static, KEY_LEN);
}

static void transcript_load(struct transcript *t, const uint8_t hash[BLAKE2S_LEN],
			    const uint8_t chaining_key[BLAKE2S_LEN])
{
	memcpy(t->hash, hash, BLAKE2S_LEN);
	memcpy(t->chaining_key, chaining_key, BLAKE2S_LEN);
}

/* An ephemeral public key: into the hash and, because of the psk2 modifier, into the key. */
static void mix_ephemeral(struct transcript *t, const uint8_t ephemeral[KEY_LEN])
{
	mix_hash(t->hash, ephemeral, KEY_LEN);
	kdf(t->chaining_key, NULL, NULL, t->chaining_key, ephemeral, KEY_LEN);
}

static void mix_secret(struct transcript *t, const uint8_t secret[KEY_LEN])
{
	kdf(t->chaining_key, t->key, NULL, t->chaining_key, secret, KEY_LEN);
}

/* X25519 into the key; false for a public key of small order. */
static bool mix_dh(struct transcript *t, const uint8_t private_key[KEY_LEN], const uint8_t public_key[KEY_LEN])
{
	uint8_t secret[KEY_LEN];
	bool ok = key_exchange(secret, private_key, public_key);

	if (ok)
		mix_secret(t, secret);
	crypto_wipe(secret, sizeof(secret));
	return ok;
}

static void mix_psk(struct transcript *t, const uint8_t psk[KEY_LEN])
{
	uint8_t temp[BLAKE2S_LEN];

	kdf(t->chaining_key, temp, t->key, t->chaining_key, psk, KEY_LEN);
	mix_hash(t->hash, temp, sizeof(temp));
	crypto_wipe(temp, sizeof(temp));
}

static void seal(struct transcript *t, uint8_t *sealed, const uint8_t *plain, size_t len)
{
	aead_seal_once(sealed, plain, len, t->hash, BLAKE2S_LEN, t->key);
	mix_hash(t->hash, sealed, len + AEAD_TAG);
}

static bool open(struct transcript *t, uint8_t *plain, const uint8_t *sealed, size_t sealed_len)
{
	if (!aead_open_once(plain, sealed, sealed_len, t->hash, BLAKE2S_LEN, t->key))
		return false;
	mix_hash(t->hash, sealed, sealed_len);
	return true;
}

void noise_identity_set(struct noise_identity *id, const uint8_t *private_key)
{
	uint8_t copy[KEY_LEN];

	if (!private_key || crypto_is_zero(private_key, KEY_LEN)) {
		crypto_wipe(id, sizeof(*id));
		return;
	}
	memcpy(copy, private_key, KEY_LEN);
	key_clamp(copy);
	memcpy(id->private_key, copy, KEY_LEN);
	crypto_wipe(copy, sizeof(copy));
	key_public(id->public_key, id->private_key);
	id->set = true;
}

void noise_handshake_init(struct noise_handshake *hs, const struct noise_identity *id,
			  const uint8_t remote_static[KEY_LEN], const uint8_t *psk)
{
	memset(hs, 0, sizeof(*hs));
	memcpy(hs->remote_static, remote_static, KEY_LEN);
	if (psk)
		memcpy(hs->psk, psk, KEY_LEN);
	noise_handshake_rekey_static(hs, id);
}

void noise_handshake_rekey_static(struct noise_handshake *hs, const struct noise_identity *id)
{
	noise_handshake_clear(hs);
	hs->possible = id->set && key_exchange(hs->static_static, id->private_key, hs->remote_static);
	if (!hs->possible)
		crypto_wipe(hs->static_static, sizeof(hs->static_static));
}

void noise_handshake_clear(struct noise_handshake *hs)
{
	crypto_wipe(hs->hash, sizeof(hs->hash));
	crypto_wipe(hs->chaining_key, sizeof(hs->chaining_key));
	crypto_wipe(hs->ephemeral_private, sizeof(hs->ephemeral_private));
	crypto_wipe(hs->remote_ephemeral, sizeof(hs->remote_ephemeral));
	hs->local_index = 0;
	hs->remote_index = 0;
	hs->state = NOISE_ZEROED;
}

void noise_handshake_done(struct noise_handshake *hs)
{
	crypto_wipe(hs, sizeof(*hs));
}

bool noise_create_initiation(struct noise_handshake *hs, const struct noise_identity *id,
			     uint32_t local_index, const uint8_t timestamp[WG_TAI64N_LEN],
			     const struct rng *rng, struct wg_initiation *m)
{
	struct transcript t;
	bool ok = false;

	if (!id->set || !hs->possible)
		return false;
	memset(m, 0, sizeof(*m));
	m->sender = local_index;
	transcript_begin(&t, hs->remote_static);

	/* e */
	key_generate(rng, hs->ephemeral_private);
	key_public(m->ephemeral, hs->ephemeral_private);
	mix_ephemeral(&t, m->ephemeral);

	/* es */
	if (!mix_dh(&t, hs->ephemeral_private, hs->remote_static))
		goto out;

	/* s */
	seal(&t, m->static_sealed, id->public_key, KEY_LEN);

	/* ss */
	mix_secret(&t, hs->static_static);

	/* {t} */
	seal(&t, m->timestamp_sealed, timestamp, WG_TAI64N_LEN);

	memcpy(hs->hash, t.hash, BLAKE2S_LEN);
	memcpy(hs->chaining_key, t.chaining_key, BLAKE2S_LEN);
	hs->local_index = local_index;
	hs->state = NOISE_CREATED_INITIATION;
	ok = true;
out:
	crypto_wipe(&t, sizeof(t));
	return ok;
}

enum noise_verdict noise_read_initiation(struct noise_offer *offer, const struct noise_identity *id,
					 const struct wg_initiation *m)
{
	enum noise_verdict verdict = NOISE_FORGED;
	struct transcript t;

	if (!id->set)
		return NOISE_UNEXPECTED;
	transcript_begin(&t, id->public_key);

	/* e */
	mix_ephemeral(&t, m->ephemeral);

	/* es */
	if (!mix_dh(&t, id->private_key, m->ephemeral))
		goto out;

	/* s */
	if (!open(&t, offer->remote_static, m->static_sealed, sizeof(m->static_sealed)))
		goto out;

	memcpy(offer->remote_ephemeral, m->ephemeral, KEY_LEN);
	memcpy(offer->hash, t.hash, BLAKE2S_LEN);
	memcpy(offer->chaining_key, t.chaining_key, BLAKE2S_LEN);
	memcpy(offer->timestamp_sealed, m->timestamp_sealed, sizeof(offer->timestamp_sealed));
	offer->remote_index = m->sender;
	verdict = NOISE_OK;
out:
	crypto_wipe(&t, sizeof(t));
	return verdict;
}

enum noise_verdict noise_accept_initiation(struct noise_handshake *hs, struct noise_offer *offer,
					   int64_t now_us)
{
	uint8_t timestamp[WG_TAI64N_LEN];
	enum noise_verdict verdict;
	struct transcript t;

	transcript_load(&t, offer->hash, offer->chaining_key);

	/* ss */
	mix_secret(&t, hs->static_static);

	/* {t} */
	if (!hs->possible || !open(&t, timestamp, offer->timestamp_sealed, sizeof(offer->timestamp_sealed)))
		verdict = NOISE_FORGED;
	else if (memcmp(timestamp, hs->latest_timestamp, WG_TAI64N_LEN) <= 0)
		verdict = NOISE_REPLAYED;
	else if (hs->consumed_us && now_us - hs->consumed_us < US_PER_S / NOISE_INITIATIONS_PER_S)
		verdict = NOISE_FLOODED;
	else
		verdict = NOISE_OK;

	if (verdict == NOISE_OK) {
		noise_handshake_clear(hs);
		memcpy(hs->latest_timestamp, timestamp, WG_TAI64N_LEN);
		memcpy(hs->remote_ephemeral, offer->remote_ephemeral, KEY_LEN);
		memcpy(hs->hash, t.hash, BLAKE2S_LEN);
		memcpy(hs->chaining_key, t.chaining_key, BLAKE2S_LEN);
		hs->remote_index = offer->remote_index;
		hs->consumed_us = now_us;
		hs->state = NOISE_CONSUMED_INITIATION;
	}
	crypto_wipe(&t, sizeof(t));
	crypto_wipe(offer, sizeof(*offer));
	return verdict;
}

bool noise_create_response(struct noise_handshake *hs, uint32_t local_index,
			   const struct rng *rng, struct wg_response *m)
{
	struct transcript t;
	bool ok = false;

	if (hs->state != NOISE_CONSUMED_INITIATION)
		return false;
	memset(m, 0, sizeof(*m));
	m->sender = local_index;
	m->receiver = hs->remote_index;
	transcript_load(&t, hs->hash, hs->chaining_key);

	/* e */
	key_generate(rng, hs->ephemeral_private);
	key_public(m->ephemeral, hs->ephemeral_private);
	mix_ephemeral(&t, m->ephemeral);

	/* ee */
	if (!mix_dh(&t, hs->ephemeral_private, hs->remote_ephemeral))
		goto out;

	/* se */
	if (!mix_dh(&t, hs->ephemeral_private, hs->remote_static))
		goto out;

	/* psk */
	mix_psk(&t, hs->psk);

	/* {} */
	seal(&t, m->empty_sealed, NULL, 0);

	memcpy(hs->hash, t.hash, BLAKE2S_LEN);
	memcpy(hs->chaining_key, t.chaining_key, BLAKE2S_LEN);
	hs->local_index = local_index;
	hs->state = NOISE_CREATED_RESPONSE;
	ok = true;
out:
	crypto_wipe(&t, sizeof(t));
	return ok;
}

enum noise_verdict noise_consume_response(struct noise_handshake *hs, const struct noise_identity *id,
					  const struct wg_response *m)
{
	enum noise_verdict verdict = NOISE_FORGED;
	uint8_t empty[1];
	struct transcript t;

	if (hs->state != NOISE_CREATED_INITIATION || !id->set)
		return NOISE_UNEXPECTED;
	transcript_load(&t, hs->hash, hs->chaining_key);

	/* e */
	mix_ephemeral(&t, m->ephemeral);

	/* ee */
	if (!mix_dh(&t, hs->ephemeral_private, m->ephemeral))
		goto out;

	/* se */
	if (!mix_dh(&t, id->private_key, m->ephemeral))
		goto out;

	/* psk */
	mix_psk(&t, hs->psk);

	/* {} */
	if (!open(&t, empty, m->empty_sealed, sizeof(m->empty_sealed)))
		goto out;

	memcpy(hs->remote_ephemeral, m->ephemeral, KEY_LEN);
	memcpy(hs->hash, t.hash, BLAKE2S_LEN);
	memcpy(hs->chaining_key, t.chaining_key, BLAKE2S_LEN);
	hs->remote_index = m->sender;
	hs->state = NOISE_CONSUMED_RESPONSE;
	verdict = NOISE_OK;
out:
	crypto_wipe(&t, sizeof(t));
	return verdict;
}

bool noise_begin_session(struct noise_handshake *hs, struct noise_keys *keys)
{
	if (hs->state != NOISE_CREATED_RESPONSE && hs->state != NOISE_CONSUMED_RESPONSE)
		return false;
	keys->initiator = hs->state == NOISE_CONSUMED_RESPONSE;
	kdf(keys->initiator ? keys->send : keys->receive,
	    keys->initiator ? keys->receive : keys->send,
	    keys->exporter, hs->chaining_key, NULL, 0);
	keys->local_index = hs->local_index;
	keys->remote_index = hs->remote_index;
	noise_handshake_clear(hs);
	return true;
}

/* TAI is ahead of the Unix clock by 2^62 and, in the label's convention, ten seconds. */
#define TAI64_BASE UINT64_C(0x400000000000000a)
#define STAMP_STEP_NS (UINT32_C(1) << 24)

static void stamp_write(uint8_t out[WG_TAI64N_LEN], uint64_t seconds, uint32_t ns)
{
	put_be64(out, seconds);
	put_be32(out + 8, ns);
}

/* The next whitened stamp after 'last'. */
static void stamp_after(uint8_t out[WG_TAI64N_LEN], const uint8_t last[WG_TAI64N_LEN])
{
	uint64_t seconds = get_be64(last);
	/* 64 bits: a stamp that was read from a file may hold any number. */
	uint64_t ns = (uint64_t)(get_be32(last + 8) & ~(STAMP_STEP_NS - 1)) + STAMP_STEP_NS;

	if (ns >= NS_PER_S) {
		ns = 0;
		seconds++;
	}
	stamp_write(out, seconds, (uint32_t)ns);
}

void noise_timestamp(uint8_t last[WG_TAI64N_LEN], int64_t wall_ns)
{
	uint8_t stamp[WG_TAI64N_LEN];
	uint64_t wall = wall_ns > 0 ? (uint64_t)wall_ns : 0;

	stamp_write(stamp, TAI64_BASE + wall / NS_PER_S,
		    (uint32_t)(wall % NS_PER_S) & ~(STAMP_STEP_NS - 1));
	if (memcmp(stamp, last, WG_TAI64N_LEN) <= 0)
		stamp_after(stamp, last);
	memcpy(last, stamp, WG_TAI64N_LEN);
}
