/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_TIMERS_H
#define MESHD_BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A heap of deadlines. A timer is embedded in what it wakes; the heap holds
 * pointers only. Equal deadlines come out in the order they were set, so a run is
 * repeatable. There is one in everything there are many of, so it is small.
 */
enum { TIMERS_MAX = (1 << 24) - 1 };

struct timer {
	int64_t due_us;
	uint32_t order;
	uint32_t slot : 24;	/* place in the heap plus one; 0: not set */
	uint32_t kind : 8;	/* the owner's: what it is in */
};

struct timers {
	struct timer **heap;
	size_t count, size;
	uint32_t order;
};

/* Room for 'count' timers in all, so that timers_set() cannot fail later. False: no memory, or more than TIMERS_MAX. */
bool timers_reserve(struct timers *t, size_t count);

/* Free the heap; the timers themselves are the owners' and become unset. */
void timers_done(struct timers *t);

/* Set or move 't'. NEVER_US unsets it. Room must have been reserved: where none is, the process stops. */
void timers_set(struct timers *ts, struct timer *t, int64_t due_us);

/* Take 't' out; nothing happens when it is not set. */
void timers_unset(struct timers *ts, struct timer *t);

/* The earliest deadline, or NEVER_US. */
int64_t timers_next(const struct timers *ts);

/* Take out and return the earliest timer that is due at 'now_us', or NULL. */
struct timer *timers_pop(struct timers *ts, int64_t now_us);

#endif
