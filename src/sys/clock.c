/* SPDX-License-Identifier: MIT */
/*
 * Where time and randomness enter the program: read once a turn by the driver and passed down. CLOCK_BOOTTIME
 * because a key must age while a laptop sleeps; its origin is this boot, so a reading is only good within it.
 */
#include "sys/clock.h"

#include <sodium.h>
#include <time.h>

struct instant clock_now(void)
{
	struct timespec mono, wall;

	/* Neither can fail with these clocks and valid pointers (clock_gettime(2)). */
	clock_gettime(CLOCK_BOOTTIME, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct instant){
		/* Plus one: never 0, which some fields use for "not yet". */
		.mono_us = (int64_t)mono.tv_sec * US_PER_S + mono.tv_nsec / 1000 + 1,
		.wall_ns = (int64_t)wall.tv_sec * NS_PER_S + wall.tv_nsec,
	};
}

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	randombytes_buf(out, len);
}

struct rng system_rng(void)
{
	return (struct rng){ .fill = fill };
}
