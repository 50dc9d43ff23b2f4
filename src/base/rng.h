/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_RNG_H
#define MESHD_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Where random bytes come from. The daemon passes the system's generator, a test or
 * the simulator a stream made from its seed. Held by value; 'ctx' belongs to
 * whoever made it.
 */
struct rng {
	void (*fill)(void *ctx, void *out, size_t len);
	void *ctx;
};

static inline void rng_fill(const struct rng *rng, void *out, size_t len)
{
	rng->fill(rng->ctx, out, len);
}

static inline uint32_t rng_u32(const struct rng *rng)
{
	uint32_t v;

	rng_fill(rng, &v, sizeof(v));
	return v;
}

/* A number in [0, bound), bound > 0. The bias is below 2^-32 * bound: for jitter, not for keys. */
static inline uint32_t rng_below(const struct rng *rng, uint32_t bound)
{
	return (uint32_t)(((uint64_t)rng_u32(rng) * bound) >> 32);
}

#endif
