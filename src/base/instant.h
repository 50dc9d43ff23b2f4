/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_INSTANT_H
#define MESHD_BASE_INSTANT_H

#include <stdint.h>

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* A deadline that never comes, in microseconds of the monotonic clock. */
#define NEVER_US INT64_MAX

/*
 * One reading of both clocks. The driver takes it once a turn and passes it down;
 * nothing in the core asks for the time. Every protocol timer runs on mono_us;
 * wall_ns is used for the TAI64N stamp of an initiation and for what people read.
 */
struct instant {
	int64_t mono_us;	/* monotonic, from an arbitrary origin, never 0 or less */
	int64_t wall_ns;	/* since the Unix epoch; may be wrong, may jump */
};

#endif
