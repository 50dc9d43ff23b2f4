/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_RTT_H
#define MESHD_BABEL_RTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/babel.h"

/* The round trip to a neighbour (RFC 9616): timestamps in Hellos, echoed in IHUs. Stamps are microseconds modulo 2^32, of either's own clock. */
#define BABEL_RTT_STALE_US INT64_C(180000000)

struct babel_rtt {
	bool has_echo;
	struct babel_echo echo;		/* its last Hello: what it said, when we had it */
	int64_t echo_us;		/* the same on our full clock: too old is not echoed */
	bool jumped;			/* that stamp was not of soon after the one before: no sample from its packet */
	bool has_rtt;
	int64_t rtt_us;			/* smoothed */
	int64_t sample_us;		/* when it was last improved */
};

/* A Hello with a timestamp came at 'now_us'. */
void rtt_hello(struct babel_rtt *r, uint32_t timestamp, int64_t now_us);

/*
 * An IHU with our own timestamp came, in a packet whose Hello was just given to rtt_hello(), with the same 'now_us'; without one there is no
 * sample. Returns whether there is a new estimate.
 */
bool rtt_ihu(struct babel_rtt *r, uint32_t origin, uint32_t receive, int64_t now_us);

/* What to put into an IHU; NULL: nothing fresh. */
const struct babel_echo *rtt_echo(const struct babel_rtt *r, int64_t now_us);

/* What the round trip adds to a cost: 0 up to 'min_us', 'cost_max' from 'max_us' on. */
uint16_t rtt_cost(const struct babel_rtt *r, int64_t min_us, int64_t max_us, uint16_t cost_max);

#endif
