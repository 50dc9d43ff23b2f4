/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_PACE_H
#define MESHD_SYS_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How much a worker lets lie in its sockets, and how much it sends before it looks again: what is in them nobody can manage, so it should be
 * about a millisecond's worth. How much that is is learnt, from when they are full and when they run dry.
 */
struct pace {
	uint64_t room_bytes;		/* may be unsent before we stop sending, as the kernel counts memory */
	int64_t room_raised_us;
	int64_t full_us;		/* when there was no room last; 0: never */
	int64_t rate_us;		/* since when is counted... */
	uint64_t rate_bytes;		/* ...what was sent */
	uint32_t burst;			/* bytes sent before looking for room again */
};

void pace_init(struct pace *p);

/* Bytes were given to the sockets. */
static inline void pace_sent(struct pace *p, uint64_t bytes)
{
	p->rate_bytes += bytes;
}

/* There was no room. */
static inline void pace_full(struct pace *p, int64_t now_us)
{
	p->full_us = now_us;
}

/* After waiting for room. 'dry': the sockets have become empty meanwhile, and there was more to send. */
void pace_waited(struct pace *p, int64_t now_us, bool dry);

/* Every now and then. True: 'burst' has changed; it takes '*burst_us' (0: no time to speak of). */
bool pace_measure(struct pace *p, int64_t now_us, int64_t *burst_us);

#endif
