/* SPDX-License-Identifier: MIT */
/*
 * The pace of a worker, after the kernel's byte queue limits: when the sockets run dry while we waited it was too little that lay in them;
 * when that has not happened for a while it may be too much. While they fill up a burst is a millisecond of what they take; else whatever
 * fits a send.
 */
#include "sys/pace.h"

#include "base/instant.h"

enum {
	ROOM_MIN = 16 * 1024,	/* a few packets */
	ROOM_FIRST = 64 * 1024,	/* what it is at first */
	ROOM_MAX = 2 * 1024 * 1024,
	ROOM_DECAY_MS = 20,
	SLOW_MS = 1000,		/* for so long after the sockets were full bursts are made for the rate they take */
	RATE_MS = 50,		/* over which that is measured */
	BURST_MIN = 3 * 1024,
	BURST_MAX = 65507,
};

void pace_init(struct pace *p)
{
	*p = (struct pace){ .room_bytes = ROOM_FIRST, .burst = BURST_MAX };
}

void pace_waited(struct pace *p, int64_t now_us, bool dry)
{
	if (dry) {
		p->room_bytes = p->room_bytes * 2 < ROOM_MAX ? p->room_bytes * 2 : ROOM_MAX;
		p->room_raised_us = now_us;
	} else if (now_us - p->room_raised_us > ROOM_DECAY_MS * US_PER_MS) {
		p->room_bytes -= (p->room_bytes - ROOM_MIN) / 4;
		p->room_raised_us = now_us;
	}
}

bool pace_measure(struct pace *p, int64_t now_us, int64_t *burst_us)
{
	int64_t elapsed_us = now_us - p->rate_us;
	uint32_t burst = BURST_MAX;
	bool changed;

	*burst_us = 0;
	if (elapsed_us < RATE_MS * US_PER_MS)
		return false;
	if (p->full_us && now_us - p->full_us < SLOW_MS * US_PER_MS) {
		uint64_t a_ms = p->rate_bytes * US_PER_MS / (uint64_t)elapsed_us;

		burst = a_ms < BURST_MIN ? BURST_MIN : a_ms < BURST_MAX ? (uint32_t)a_ms : BURST_MAX;
		*burst_us = a_ms ? (int64_t)(burst * (uint64_t)US_PER_MS / a_ms) : 0;
	}
	changed = burst != p->burst;
	p->burst = burst;
	p->rate_us = now_us;
	p->rate_bytes = 0;
	return changed;
}
