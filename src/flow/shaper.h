/* SPDX-License-Identifier: MIT */
#ifndef MESHD_FLOW_SHAPER_H
#define MESHD_FLOW_SHAPER_H

#include <stdatomic.h>
#include <stdint.h>

/* Other rates are taken for the nearest of these; 0 is off. */
#define SHAPER_RATE_MIN_BPS UINT64_C(8000)
#define SHAPER_RATE_MAX_BPS UINT64_C(100000000000)

enum {
	SHAPER_BURST_US = 1500,		/* credit of an idle link, or of one whose driver came late... */
	SHAPER_BURST_BYTES = 1514,	/* ...but at least one packet */
};

/*
 * A rate that the lanes of a link keep to together: one clock that tells when the next byte may leave. Embedded; all zero
 * is "no limit". Any thread may call anything at any time; nobody waits for anybody. Lanes that ask at the same
 * instant may all get a yes: what they send then counts, and the pause after it is as long as all of it needs.
 */
struct shaper {
	_Atomic int64_t next_ns;	/* when something may leave, on the clock of 'now_us' */
	_Atomic uint64_t rate_bps;	/* bits per second; 0: no limit */
};

/* Set the rate; 0: no limit. What was sent before is forgotten. */
void shaper_set_rate(struct shaper *s, uint64_t rate_bps);

static inline uint64_t shaper_rate(const struct shaper *s)
{
	return atomic_load_explicit(&s->rate_bps, memory_order_relaxed);
}

/* 0: something may go now, however long it is. Otherwise the microseconds until then, rounded up. */
int64_t shaper_wait_us(const struct shaper *s, int64_t now_us);

/* 'bytes' went out. */
void shaper_sent(struct shaper *s, int64_t now_us, uint32_t bytes);

/* What an idle link may send at once, in bytes; also a good size for one send. UINT64_MAX: no limit. */
uint64_t shaper_burst_bytes(const struct shaper *s);

#endif
