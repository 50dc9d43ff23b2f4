/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TRANSPORT_COOKIE_H
#define MESHD_TRANSPORT_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/rng.h"
#include "crypto/key.h"
#include "wire/wg.h"

/* How long a cookie is good for, and how much less its holder trusts it (clock and way). */
enum {
	COOKIE_LIFE_S = 120,
	COOKIE_LATENCY_S = 5,
};

/* The receiving side's state: one a node. All zero, then cookie_checker_set_key(). */
struct cookie_checker {
	uint8_t secret[KEY_LEN];
	int64_t secret_born_us;	/* 0: none yet */
	uint8_t mac1_key[KEY_LEN];
	uint8_t cookie_key[KEY_LEN];
};

/* The sending side's: one a peer. All zero, then cookie_maker_init(). */
struct cookie_maker {
	uint8_t mac1_key[KEY_LEN];
	uint8_t cookie_key[KEY_LEN];
	uint8_t cookie[WG_COOKIE_LEN];
	int64_t cookie_born_us;	/* 0: none */
	uint8_t last_mac1[WG_MAC_LEN];
	bool sent_mac1;
};

enum cookie_verdict {
	COOKIE_BAD_MAC,		/* mac1 wrong: not for us, drop */
	COOKIE_NO_COOKIE,	/* mac1 right, mac2 not: fine unless under load */
	COOKIE_VALID,		/* both right: the source address is real */
};

void cookie_checker_set_key(struct cookie_checker *c, const uint8_t public_key[KEY_LEN]);
void cookie_maker_init(struct cookie_maker *m, const uint8_t remote_public[KEY_LEN]);

/* Whether mac1 of an initiation or response is right: its sender knows our public key. Cheap, no state. */
bool cookie_mac1_valid(const struct cookie_checker *c, const uint8_t *msg, size_t len);

/*
 * Judge the MACs of an initiation or response. mac2 is looked at only when 'under_load'. 'source' is where it came from.
 */
enum cookie_verdict cookie_check(struct cookie_checker *c, const uint8_t *msg, size_t len,
				 const struct endpoint *source, bool under_load,
				 int64_t now_us, const struct rng *rng);

/* The reply that hands 'source' its cookie, in answer to 'msg', to the index that sent it. */
void cookie_reply_make(struct cookie_checker *c, struct wg_cookie_reply *reply,
		       const uint8_t *msg, size_t len, const struct endpoint *source,
		       int64_t now_us, const struct rng *rng);

/* Take a cookie reply. False: it does not authenticate, or answers nothing we sent. */
bool cookie_reply_consume(struct cookie_maker *m, const struct wg_cookie_reply *reply,
			  int64_t now_us);

/* Write both MACs at the end of an initiation or response that is otherwise complete. */
void cookie_maker_sign(struct cookie_maker *m, uint8_t *msg, size_t len, int64_t now_us);

#endif
