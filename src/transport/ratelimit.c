/* SPDX-License-Identifier: MIT */
/*
 * Token buckets by source, in the manner of kernel WireGuard's ratelimiter.c, but in
 * a fixed table: a secret hash picks a set, the set holds eight sources. A source without an entry
 * takes a free one or the place of one whose bucket is full again (it has been quiet,
 * so forgetting it changes nothing). When the whole set is busy the source is refused: an
 * attacker with many addresses exhausts its own luck, never memory.
 */
#include "transport/ratelimit.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/instant.h"

#define TOKEN_US (US_PER_S / RATELIMIT_PER_S)
#define FULL_US (TOKEN_US * RATELIMIT_BURST)

bool ratelimit_init(struct ratelimit *r, const uint8_t key[16])
{
	memcpy(r->key, key, sizeof(r->key));
	r->entries = calloc((size_t)RATELIMIT_SETS * RATELIMIT_WAYS, sizeof(*r->entries));
	return r->entries != NULL;
}

void ratelimit_done(struct ratelimit *r)
{
	free(r->entries);
	r->entries = NULL;
}

/* An IPv4 address or the /64 of an IPv6 one, told apart by a bit no /64 prefix of a sender has. */
static uint64_t source_of(const struct ip_addr *a)
{
	if (a->family == IP_V4)
		return UINT64_C(1) << 32 | get_be32(a->bytes);
	return get_be64(a->bytes);
}

static int64_t tokens_now(const struct ratelimit_entry *e, int64_t now_us)
{
	int64_t tokens = e->tokens_us + (now_us - e->filled_us);

	return tokens > FULL_US ? FULL_US : tokens;
}

bool ratelimit_allow(struct ratelimit *r, const struct ip_addr *source, int64_t now_us)
{
	uint64_t key = source_of(source);
	size_t set = (size_t)(hash_bytes(r->key, &key, sizeof(key)) % RATELIMIT_SETS);
	struct ratelimit_entry *e = r->entries + set * RATELIMIT_WAYS, *spare = NULL;

	for (size_t i = 0; i < RATELIMIT_WAYS; i++, e++) {
		bool idle = !e->filled_us || tokens_now(e, now_us) >= FULL_US;

		if (e->filled_us && e->source == key) {
			e->tokens_us = tokens_now(e, now_us);
			e->filled_us = now_us;
			if (e->tokens_us < TOKEN_US)
				return false;
			e->tokens_us -= TOKEN_US;
			return true;
		}
		if (idle && !spare)
			spare = e;
	}
	if (!spare)
		return false;
	*spare = (struct ratelimit_entry){ .source = key, .filled_us = now_us, .tokens_us = FULL_US - TOKEN_US };
	return true;
}
