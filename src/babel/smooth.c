/* SPDX-License-Identifier: MIT */
/*
 * Metrics over time, against flapping (RFC 8966 3.6, A.3; reference B2). The smoothed metric is an exponential average: what it lags behind
 * the metric halves every four seconds. With it goes the spread, the sum of late movements, which fades as fast: a route is left for a
 * better one only when it is better by more than both have lately been moving by themselves. So noise never causes a switch, a clear
 * gain does within a second or two, and a slight but steady one does as well, later.
 *
 * Both parts fade alike, so when a switch will be due is known beforehand and needs one timer, not polling. Integers throughout: a simulated
 * run repeats exactly on every machine.
 */
#include "babel/smooth.h"

#include "wire/babel.h"

enum {
	STEPS = 8,		/* a half-life is so many: between them what remains is interpolated */
	HALVES_MAX = 17,	/* nothing of 16 bits remains then */
	ONE = 256,
	SPREAD_PART = 4,	/* spread counts up to a quarter of the better metric */
};

/* 2^(-i/8) in 1/65536. */
static const int64_t remaining[STEPS + 1] = { 65536, 60097, 55109, 50535, 46341, 42495, 38968, 35734, 32768 };

/* What of one is left after 'us', in 1/65536. */
static int64_t remains(int64_t us)
{
	int64_t step_us = BABEL_SMOOTH_US / STEPS, halves = us / BABEL_SMOOTH_US, in_us = us % BABEL_SMOOTH_US;
	int64_t i = in_us / step_us;

	if (us <= 0)
		return remaining[0];
	if (halves >= HALVES_MAX)
		return 0;
	return (remaining[i] - (remaining[i] - remaining[i + 1]) * (in_us % step_us) / step_us) >> halves;
}

static void set_at(struct smooth *s, int64_t now_us)
{
	s->at_low = (uint32_t)now_us;
	s->at_high = (uint16_t)((uint64_t)now_us >> 32);
}

static int64_t since_us(const struct smooth *s, int64_t now_us)
{
	uint64_t at = (uint64_t)s->at_high << 32 | s->at_low;

	return (int64_t)(((uint64_t)now_us - at) & ((1ULL << 48) - 1));
}

static int32_t fade(int32_t value, int64_t us)
{
	return (int32_t)(value * remains(us) / remaining[0]);
}

void smooth_set(struct smooth *s, uint16_t metric, int64_t now_us)
{
	int32_t moved = (s->metric - metric) * ONE;

	if (metric == s->metric)
		return;
	if (s->metric == BABEL_INFINITY || metric == BABEL_INFINITY) {
		s->lag = metric == BABEL_INFINITY ? 0 : metric * ONE;
		s->spread = 0;
	} else {
		s->lag = fade(s->lag, since_us(s, now_us)) + moved;
		s->spread = fade(s->spread, since_us(s, now_us)) + (moved < 0 ? -moved : moved);
		if (s->spread > BABEL_INFINITY * ONE)
			s->spread = BABEL_INFINITY * ONE;
	}
	s->metric = metric;
	set_at(s, now_us);
}

uint16_t smooth_metric(const struct smooth *s, int64_t now_us)
{
	int32_t m = s->metric + fade(s->lag, since_us(s, now_us)) / ONE;

	return m > BABEL_INFINITY ? BABEL_INFINITY : m < 0 ? 0 : (uint16_t)m;
}

static int64_t spread_of(const struct smooth *s, int32_t most, int64_t now_us)
{
	int32_t spread = fade(s->spread, since_us(s, now_us));

	return spread < most ? spread : most;
}

int64_t smooth_wait_us(const struct smooth *old, const struct smooth *better, int64_t now_us)
{
	int32_t most = better->metric * ONE / SPREAD_PART;
	int64_t gain = (old->metric - better->metric) * ONE;
	int64_t against = fade(better->lag, since_us(better, now_us)) - fade(old->lag, since_us(old, now_us)) +
			  spread_of(old, most, now_us) + spread_of(better, most, now_us);
	int64_t wait_us = 0;

	/* The smoothed difference is against - gain, and 'against' fades. */
	while (wait_us < HALVES_MAX * BABEL_SMOOTH_US && against * remains(wait_us) / remaining[0] >= gain)
		wait_us += BABEL_SMOOTH_US / STEPS;
	return wait_us;
}
