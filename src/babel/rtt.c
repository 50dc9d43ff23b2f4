/* SPDX-License-Identifier: MIT */
/*
 * Round trips (RFC 9616). The neighbour's IHU brings back the stamp of one of our Hellos (origin) and when the neighbour had it (receive, its
 * clock); the Hello in the same packet says when that packet left (its clock again). What went by here in between, less what went by there,
 * was spent on the way:
 *
 *	RTT = (arrival - origin) - (its Hello's stamp - receive)
 *
 * Each bracket is a difference of one clock with itself, modulo 2^32; a span of more than three minutes either way is taken for a clock that
 * jumped or a packet from long ago, not for a round trip, and nothing is learned from it. Clocks drift, so a bit less than zero is zero.
 */
#include "babel/rtt.h"

/* Smoothing (RFC 9616 4.1): how much of the old estimate stays, in thousandths. */
enum { RTT_KEEP = 836, RTT_WHOLE = 1000 };

/* From 'a' on to 'b', of the same clock. False: not within the time that can be told from a jump. */
static bool span(uint32_t a, uint32_t b, int64_t *us)
{
	*us = (int64_t)(uint32_t)(b - a);
	return *us <= BABEL_RTT_STALE_US;
}

void rtt_hello(struct babel_rtt *r, uint32_t timestamp, int64_t now_us)
{
	int64_t since;

	r->jumped = r->has_echo && !span(r->echo.origin, timestamp, &since);
	r->has_echo = true;
	r->echo = (struct babel_echo){ .origin = timestamp, .receive = (uint32_t)now_us };
	r->echo_us = now_us;
}

bool rtt_ihu(struct babel_rtt *r, uint32_t origin, uint32_t receive, int64_t now_us)
{
	int64_t here, there, sample;

	if (!r->has_echo || r->echo_us != now_us || r->jumped)
		return false;
	if (!span(origin, (uint32_t)now_us, &here) || !span(receive, r->echo.origin, &there))
		return false;
	sample = here > there ? here - there : 0;
	if (r->has_rtt && now_us - r->sample_us <= BABEL_RTT_STALE_US)
		r->rtt_us = (r->rtt_us * RTT_KEEP + sample * (RTT_WHOLE - RTT_KEEP)) / RTT_WHOLE;
	else
		r->rtt_us = sample;
	r->has_rtt = true;
	r->sample_us = now_us;
	return true;
}

const struct babel_echo *rtt_echo(const struct babel_rtt *r, int64_t now_us)
{
	return r->has_echo && now_us - r->echo_us <= BABEL_RTT_STALE_US ? &r->echo : NULL;
}

uint16_t rtt_cost(const struct babel_rtt *r, int64_t min_us, int64_t max_us, uint16_t cost_max)
{
	if (!r->has_rtt || r->rtt_us <= min_us)
		return 0;
	if (r->rtt_us >= max_us)
		return cost_max;
	return (uint16_t)(cost_max * (r->rtt_us - min_us) / (max_us - min_us));
}
