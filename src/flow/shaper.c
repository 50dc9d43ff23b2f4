/* SPDX-License-Identifier: MIT */
/*
 * A shaper by earliest departure time: sending pushes the clock on by what the bytes take at the rate; who finds the clock in
 * the past may send. A clock far in the past would be credit without bound, so it is pulled up to a burst ago first.
 *
 * Numbers: 100 Gbit/s are 12.5 bytes a nanosecond, so a packet's time is rounded by a few per cent at most there, a burst's by
 * nothing that counts. bytes * 8 * 10^9 needs 64 bits unsigned for less than 2^31 bytes; a send is far shorter.
 */
#include "flow/shaper.h"

#include "base/instant.h"

enum { TRIES_MAX = 8 };

static const int64_t ns_per_us = NS_PER_S / US_PER_S;

void shaper_set_rate(struct shaper *s, uint64_t rate_bps)
{
	if (rate_bps && rate_bps < SHAPER_RATE_MIN_BPS)
		rate_bps = SHAPER_RATE_MIN_BPS;
	if (rate_bps > SHAPER_RATE_MAX_BPS)
		rate_bps = SHAPER_RATE_MAX_BPS;
	atomic_store_explicit(&s->rate_bps, rate_bps, memory_order_relaxed);
	/* Debt at a slow rate may be minutes: too long to wait for after a change. */
	atomic_store_explicit(&s->next_ns, 0, memory_order_relaxed);
}

int64_t shaper_wait_us(const struct shaper *s, int64_t now_us)
{
	int64_t ahead_ns;

	if (!atomic_load_explicit(&s->rate_bps, memory_order_relaxed))
		return 0;
	ahead_ns = atomic_load_explicit(&s->next_ns, memory_order_relaxed) - now_us * ns_per_us;
	return ahead_ns <= 0 ? 0 : (ahead_ns + ns_per_us - 1) / ns_per_us;
}

static int64_t time_ns(uint32_t bytes, uint64_t rate_bps)
{
	uint64_t len = bytes < INT32_MAX ? bytes : INT32_MAX;

	return (int64_t)((len * 8 * (uint64_t)NS_PER_S + rate_bps / 2) / rate_bps);
}

static int64_t burst_ns(uint64_t rate_bps)
{
	int64_t packet_ns = time_ns(SHAPER_BURST_BYTES, rate_bps);

	return packet_ns > SHAPER_BURST_US * ns_per_us ? packet_ns : SHAPER_BURST_US * ns_per_us;
}

void shaper_sent(struct shaper *s, int64_t now_us, uint32_t bytes)
{
	uint64_t rate_bps = atomic_load_explicit(&s->rate_bps, memory_order_relaxed);
	int64_t next_ns, earliest_ns, cost_ns;

	if (!rate_bps)
		return;
	cost_ns = time_ns(bytes, rate_bps);
	earliest_ns = now_us * ns_per_us - burst_ns(rate_bps);
	next_ns = atomic_load_explicit(&s->next_ns, memory_order_relaxed);
	for (int i = 0; i < TRIES_MAX; i++) {
		int64_t from_ns = next_ns > earliest_ns ? next_ns : earliest_ns;

		if (atomic_compare_exchange_weak_explicit(&s->next_ns, &next_ns, from_ns + cost_ns,
							  memory_order_relaxed, memory_order_relaxed))
			return;
	}
	/* So many others have just charged that the clock is not in the far past. */
	atomic_fetch_add_explicit(&s->next_ns, cost_ns, memory_order_relaxed);
}

uint64_t shaper_burst_bytes(const struct shaper *s)
{
	uint64_t rate_bps = atomic_load_explicit(&s->rate_bps, memory_order_relaxed);
	uint64_t bytes = rate_bps / 8 * SHAPER_BURST_US / (uint64_t)US_PER_S;

	if (!rate_bps)
		return UINT64_MAX;
	return bytes > SHAPER_BURST_BYTES ? bytes : SHAPER_BURST_BYTES;
}
