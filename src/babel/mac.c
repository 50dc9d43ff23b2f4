/* SPDX-License-Identifier: MIT */
/*
 * Authentication of packets (RFC 8967). A MAC over the packet and a pseudo-header of addresses and ports shows that somebody with the key
 * wrote it; a packet counter (PC) that only grows shows that it is not an old one again. Counters are good for one index, which a sender
 * draws when it starts to count: one we have not heard of may be a replay of the sender's last life, so it is proved first, by a
 * challenge: a nonce that only comes back in a packet written after it.
 *
 * Counters are two, since multicasts and unicasts overtake each other, and each has a window of 128 (RFC 9467), so that packets may
 * overtake their own kind. When a challenge was answered every counter up to the answer's is taken as used: the window begins all
 * ones, and only what comes later clears places in it.
 *
 * Nothing is remembered of anybody whose MAC was wrong, and what is remembered does not outlive the last packet accepted by long.
 */
#include "babel/mac.h"

#include <string.h>

#include "babel/babel.h"
#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "crypto/hmac_sha256.h"
#include "crypto/key.h"

enum {
	NO_INDEX = -1,
	BLAKE2S_MAC_LEN = 16,
	PSEUDO_HEADER_MAX = 2 * (16 + 2),
	WINDOW_WORD = 64,
};

_Static_assert((int)HMAC_SHA256_LEN <= (int)BABEL_MAC_MAX, "a MAC fits");

void babel_mac_peer_init(struct babel_mac_peer *p)
{
	*p = (struct babel_mac_peer){ .index_len = NO_INDEX };
}

void babel_mac_own_init(struct babel_mac_own *o, const struct rng *rng)
{
	rng_fill(rng, o->index, sizeof(o->index));
	o->pc = 0;
	o->set = true;
}

/* Address and port, twice (RFC 8967 4.1). Returns its length. */
static size_t pseudo_header(uint8_t out[PSEUDO_HEADER_MAX], const struct ip_addr *src, const struct ip_addr *dst)
{
	size_t bytes = ip_family_bytes(src->family);

	memcpy(out, src->bytes, bytes);
	put_be16(out + bytes, BABEL_PORT);
	memcpy(out + bytes + 2, dst->bytes, bytes);
	put_be16(out + 2 * bytes + 2, BABEL_PORT);
	return 2 * (bytes + 2);
}

uint8_t babel_mac(uint8_t out[BABEL_MAC_MAX], const struct babel_key *key, const struct ip_addr *src, const struct ip_addr *dst,
		  const uint8_t *packet, size_t len)
{
	uint8_t pseudo[PSEUDO_HEADER_MAX];
	size_t pseudo_len = pseudo_header(pseudo, src, dst);
	struct blake2s s;

	if (key->kind == BABEL_MAC_HMAC_SHA256) {
		struct hmac_piece pieces[] = { { pseudo, pseudo_len }, { packet, len } };

		hmac_sha256(out, key->bytes, key->len, pieces, 2);
		return HMAC_SHA256_LEN;
	}
	blake2s_init(&s, BLAKE2S_MAC_LEN, key->bytes, key->len);
	blake2s_update(&s, pseudo, pseudo_len);
	blake2s_update(&s, packet, len);
	blake2s_final(&s, out);
	return BLAKE2S_MAC_LEN;
}

bool babel_mac_check(const struct babel_key *keys, unsigned int count, const struct ip_addr *src, const struct ip_addr *dst,
		     const uint8_t *packet, size_t len)
{
	uint8_t mac[BABEL_MAC_MAX];
	struct babel_parser p;
	struct babel_tlv t;

	for (unsigned int i = 0; i < count; i++) {
		uint8_t mac_len;

		if (!babel_parse_begin(&p, packet, len, src))
			return false;
		mac_len = babel_mac(mac, &keys[i], src, dst, packet, babel_body_end(packet));
		while (babel_parse_trailer(&p, &t))
			if (t.len == mac_len && crypto_equal(t.bytes, mac, mac_len))
				return true;
	}
	return false;
}

/* What there is in a packet that has to do with counters. */
struct found {
	bool has_pc, answered;
	uint32_t pc;
	const uint8_t *index;
	uint8_t index_len;
	struct babel_mac_reply request;
};

static bool challenge_pending(const struct babel_mac_peer *p, int64_t now_us)
{
	return p->challenged && now_us - p->challenge_us <= BABEL_CHALLENGE_US;
}

/* Look at nothing but the PC, of which the first counts, and the challenges (RFC 8967 4.3). */
static void preparse(struct found *f, const struct babel_mac_peer *p, const uint8_t *packet, size_t len, const struct ip_addr *src,
		     int64_t now_us)
{
	struct babel_parser parser;
	struct babel_tlv t;

	memset(f, 0, sizeof(*f));
	if (!babel_parse_begin(&parser, packet, len, src))
		return;
	while (babel_parse_next(&parser, &t)) {
		if (t.type == BABEL_PC && !f->has_pc) {
			f->has_pc = true;
			f->pc = t.pc;
			f->index = t.bytes;
			f->index_len = t.len;
		} else if (t.type == BABEL_CHALLENGE_REQUEST && !f->request.nonce) {
			f->request = (struct babel_mac_reply){ .nonce = t.bytes, .len = t.len };
		} else if (t.type == BABEL_CHALLENGE_REPLY && challenge_pending(p, now_us)) {
			f->answered |= t.len == sizeof(p->nonce) && crypto_equal(t.bytes, p->nonce, sizeof(p->nonce));
		}
	}
}

/* Whether something may go out again to this neighbour, the last one having gone out at 'last_us' (0: never). */
static bool gap_over(int64_t last_us, int64_t now_us)
{
	return last_us == 0 || now_us - last_us >= BABEL_CHALLENGE_GAP_US;
}

static void pc_start(struct babel_pc *c, uint32_t pc)
{
	c->highest = pc;
	memset(c->window, 0xff, sizeof(c->window));
}

/* Whether 'pc' was not there yet; now it was. */
static bool pc_take(struct babel_pc *c, uint32_t pc)
{
	uint64_t bit = UINT64_C(1) << pc % WINDOW_WORD;
	uint64_t *word = &c->window[pc / WINDOW_WORD % (BABEL_PC_WINDOW / WINDOW_WORD)];

	if (pc > c->highest) {
		uint32_t enter = pc - c->highest;

		if (enter > BABEL_PC_WINDOW)
			enter = BABEL_PC_WINDOW;
		for (uint32_t i = 0; i < enter; i++) {
			uint32_t at = pc - i;

			c->window[at / WINDOW_WORD % (BABEL_PC_WINDOW / WINDOW_WORD)] &= ~(UINT64_C(1) << at % WINDOW_WORD);
		}
		c->highest = pc;
	} else if (c->highest - pc >= BABEL_PC_WINDOW || *word & bit) {
		return false;
	}
	*word |= bit;
	return true;
}

/* A challenge was answered in this packet: count from here. */
static void adopt(struct babel_mac_peer *p, const struct found *f)
{
	p->challenged = false;
	p->index_len = f->index_len;
	memcpy(p->index, f->index, f->index_len);
	pc_start(&p->multicast, f->pc);
	pc_start(&p->unicast, f->pc);
}

static enum babel_mac_verdict challenge(struct babel_mac_peer *p, int64_t now_us, const struct rng *rng)
{
	if (!gap_over(p->challenge_us, now_us))
		return BABEL_MAC_DROP;
	rng_fill(rng, p->nonce, sizeof(p->nonce));
	p->challenged = true;
	p->challenge_us = now_us;
	return BABEL_MAC_CHALLENGE;
}

enum babel_mac_verdict babel_mac_judge(struct babel_mac_peer *p, const uint8_t *packet, size_t len, const struct ip_addr *src,
				       bool multicast, int64_t now_us, const struct rng *rng, struct babel_mac_reply *reply)
{
	struct found f;

	*reply = (struct babel_mac_reply){ 0 };
	preparse(&f, p, packet, len, src, now_us);
	if (!f.has_pc)
		return BABEL_MAC_DROP;
	if (f.request.nonce && !multicast && gap_over(p->reply_us, now_us)) {
		*reply = f.request;
		p->reply_us = now_us;
	}
	if (p->index_len != NO_INDEX && now_us - p->accepted_us > BABEL_MAC_FORGET_US)
		p->index_len = NO_INDEX;
	if (f.answered)
		adopt(p, &f);
	else if (p->index_len != f.index_len || memcmp(p->index, f.index, f.index_len) != 0)
		return challenge(p, now_us, rng);
	else if (!pc_take(multicast ? &p->multicast : &p->unicast, f.pc))
		return BABEL_MAC_DROP;
	p->accepted_us = now_us;
	return BABEL_MAC_ACCEPT;
}
