/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_STREAM_H
#define MESHD_TESTS_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/* Random bytes that are the same in every run: splitmix64 (Steele, Lea, Flood 2014) from a seed. */
struct stream {
	uint64_t s;
};

static inline uint64_t stream_next(struct stream *r)
{
	uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* In [0, bound). */
static inline uint64_t stream_below(struct stream *r, uint64_t bound)
{
	return stream_next(r) % bound;
}

static inline void stream_fill(void *ctx, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)stream_next(ctx);
}

static inline struct rng stream_rng(struct stream *r)
{
	return (struct rng){ .fill = stream_fill, .ctx = r };
}

#endif
