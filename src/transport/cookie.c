/* SPDX-License-Identifier: MIT */
/*
 * Denial-of-service protection of the handshake: MAC1, MAC2 and cookie replies,
 * WireGuard whitepaper section 5.3 and 5.4.4 and 5.4.7.
 *
 * MAC1 shows that the sender knows our public key. Under load MAC2 must show, too, that it
 * can receive at its address: it is keyed by a cookie we sent there, a MAC of
 * that address under a secret that changes every two minutes. No state is kept for a
 * sender until it has shown both.
 */
#include "transport/cookie.h"

#include <string.h>

#include "base/bytes.h"
#include "base/instant.h"
#include "crypto/aead.h"
#include "crypto/blake2s.h"

static const char LABEL_MAC1[] = "mac1----";
static const char LABEL_COOKIE[] = "cookie--";

static void key_with_label(uint8_t out[KEY_LEN], const char *label, const uint8_t public_key[KEY_LEN])
{
	struct blake2s s;

	blake2s_init(&s, BLAKE2S_LEN, NULL, 0);
	blake2s_update(&s, label, strlen(label));
	blake2s_update(&s, public_key, KEY_LEN);
	blake2s_final(&s, out);
}

static void mac1_of(uint8_t out[WG_MAC_LEN], const uint8_t key[KEY_LEN], const uint8_t *msg, size_t len)
{
	blake2s(out, WG_MAC_LEN, key, KEY_LEN, msg, len - 2 * WG_MAC_LEN);
}

static void mac2_of(uint8_t out[WG_MAC_LEN], const uint8_t cookie[WG_COOKIE_LEN], const uint8_t *msg, size_t len)
{
	blake2s(out, WG_MAC_LEN, cookie, WG_COOKIE_LEN, msg, len - WG_MAC_LEN);
}

static bool younger_than(int64_t born_us, int64_t now_us, int64_t seconds)
{
	return born_us && now_us - born_us < seconds * US_PER_S;
}

void cookie_checker_set_key(struct cookie_checker *c, const uint8_t public_key[KEY_LEN])
{
	key_with_label(c->mac1_key, LABEL_MAC1, public_key);
	key_with_label(c->cookie_key, LABEL_COOKIE, public_key);
}

void cookie_maker_init(struct cookie_maker *m, const uint8_t remote_public[KEY_LEN])
{
	memset(m, 0, sizeof(*m));
	key_with_label(m->mac1_key, LABEL_MAC1, remote_public);
	key_with_label(m->cookie_key, LABEL_COOKIE, remote_public);
}

/* The cookie of a source: a MAC of address and port under the secret of these two minutes. */
static void cookie_of(struct cookie_checker *c, uint8_t cookie[WG_COOKIE_LEN], const struct endpoint *source,
		      int64_t now_us, const struct rng *rng)
{
	uint8_t bytes[16 + 2];
	size_t len = ip_family_bytes(source->addr.family);

	if (!younger_than(c->secret_born_us, now_us, COOKIE_LIFE_S)) {
		rng_fill(rng, c->secret, sizeof(c->secret));
		c->secret_born_us = now_us;
	}
	memcpy(bytes, source->addr.bytes, len);
	put_be16(bytes + len, source->port);
	blake2s(cookie, WG_COOKIE_LEN, c->secret, KEY_LEN, bytes, len + 2);
}

bool cookie_mac1_valid(const struct cookie_checker *c, const uint8_t *msg, size_t len)
{
	uint8_t mac[WG_MAC_LEN];

	mac1_of(mac, c->mac1_key, msg, len);
	return crypto_equal(mac, msg + len - 2 * WG_MAC_LEN, WG_MAC_LEN);
}

enum cookie_verdict cookie_check(struct cookie_checker *c, const uint8_t *msg, size_t len,
				 const struct endpoint *source, bool under_load,
				 int64_t now_us, const struct rng *rng)
{
	const uint8_t *mac2 = msg + len - WG_MAC_LEN;
	uint8_t cookie[WG_COOKIE_LEN], mac[WG_MAC_LEN];

	if (!cookie_mac1_valid(c, msg, len))
		return COOKIE_BAD_MAC;
	if (!under_load)
		return COOKIE_NO_COOKIE;
	cookie_of(c, cookie, source, now_us, rng);
	mac2_of(mac, cookie, msg, len);
	return crypto_equal(mac, mac2, WG_MAC_LEN) ? COOKIE_VALID : COOKIE_NO_COOKIE;
}

void cookie_reply_make(struct cookie_checker *c, struct wg_cookie_reply *reply,
		       const uint8_t *msg, size_t len, const struct endpoint *source,
		       int64_t now_us, const struct rng *rng)
{
	uint8_t cookie[WG_COOKIE_LEN];

	/* In both messages we answer the sender's index stands behind the type. */
	reply->receiver = get_le32(msg + 4);
	cookie_of(c, cookie, source, now_us, rng);
	rng_fill(rng, reply->nonce, sizeof(reply->nonce));
	xaead_seal(reply->cookie_sealed, cookie, WG_COOKIE_LEN,
		   msg + len - 2 * WG_MAC_LEN, WG_MAC_LEN, reply->nonce, c->cookie_key);
	crypto_wipe(cookie, sizeof(cookie));
}

bool cookie_reply_consume(struct cookie_maker *m, const struct wg_cookie_reply *reply,
			  int64_t now_us)
{
	uint8_t cookie[WG_COOKIE_LEN];

	if (!m->sent_mac1)
		return false;
	if (!xaead_open(cookie, reply->cookie_sealed, sizeof(reply->cookie_sealed),
			m->last_mac1, WG_MAC_LEN, reply->nonce, m->cookie_key))
		return false;
	memcpy(m->cookie, cookie, WG_COOKIE_LEN);
	m->cookie_born_us = now_us;
	m->sent_mac1 = false;
	crypto_wipe(cookie, sizeof(cookie));
	return true;
}

void cookie_maker_sign(struct cookie_maker *m, uint8_t *msg, size_t len, int64_t now_us)
{
	uint8_t *mac1 = msg + len - 2 * WG_MAC_LEN, *mac2 = msg + len - WG_MAC_LEN;

	mac1_of(mac1, m->mac1_key, msg, len);
	memcpy(m->last_mac1, mac1, WG_MAC_LEN);
	m->sent_mac1 = true;
	if (younger_than(m->cookie_born_us, now_us, COOKIE_LIFE_S - COOKIE_LATENCY_S))
		mac2_of(mac2, m->cookie, msg, len);
	else
		memset(mac2, 0, WG_MAC_LEN);
}
