/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TRANSPORT_RATELIMIT_H
#define MESHD_TRANSPORT_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * How many handshakes one source may have us work on while we are under load: a token bucket for an
 * IPv4 address or an IPv6 /64, as kernel WireGuard has it. The table is a fixed, set-associative
 * array keyed by a secret hash; a source that finds its set full of fresh entries is refused.
 */
enum {
	RATELIMIT_PER_S = 20,
	RATELIMIT_BURST = 5,
	RATELIMIT_SETS = 256,
	RATELIMIT_WAYS = 8,
};

struct ratelimit {
	uint8_t key[16];
	struct ratelimit_entry {
		uint64_t source;	/* the prefix; 0 with filled_us 0: free */
		int64_t filled_us;	/* when the bucket was last counted */
		int64_t tokens_us;	/* what it holds, in time */
	} *entries;
};

/* False: no memory. 'key' is random. */
bool ratelimit_init(struct ratelimit *r, const uint8_t key[16]);
void ratelimit_done(struct ratelimit *r);

/* Whether one more from 'source' is within its rate; takes a token if so. */
bool ratelimit_allow(struct ratelimit *r, const struct ip_addr *source, int64_t now_us);

#endif
