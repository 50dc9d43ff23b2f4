/* SPDX-License-Identifier: MIT */
#ifndef MESHD_FLOW_CODEL_H
#define MESHD_FLOW_CODEL_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 8289 section 4.4: what suits paths of 10 ms to 1 s. */
enum {
	CODEL_TARGET_US = 5000,
	CODEL_INTERVAL_US = 100000,
	CODEL_STEP_US = 1000,		/* RFC 9332 section 4.2: where ECT(1) is marked */
	CODEL_MTU = 1514,
	CODEL_INTERVAL_MAX_US = 1000000000,
};

/* Shared by all flows of a queue. */
struct codel_params {
	int64_t target_us;	/* a standing queue that may stay */
	int64_t interval_us;	/* how long it must have been above; at most CODEL_INTERVAL_MAX_US */
	int64_t step_us;	/* a sojourn beyond this marks ECT(1) */
	uint32_t mtu;		/* no more than this behind the packet is no standing queue, in bytes */
};

/* The state of one flow. Embedded in it; all zero is fresh. Belongs to one lane. */
struct codel {
	int64_t first_above_us;	/* when the sojourn will have been above the target for an interval; 0: it is not above */
	int64_t drop_next_us;	/* the next signal while dropping, the last one planned otherwise */
	uint32_t count;		/* signals in this row */
	uint32_t lastcount;	/* 'count' when the row began */
	bool dropping;
	bool owed;		/* drop_next_us moves on if the next packet is late, too */
};

/* The constants above. */
void codel_params_init(struct codel_params *p);

/*
 * Whether the packet at the head of the flow is to be dropped or marked now. 'backlog' is the bytes of the flow behind
 * it. Ask once for each packet that is about to leave, and after a drop again, for the next one; after a mark send the packet.
 */
bool codel_signal(struct codel *c, const struct codel_params *p, int64_t sojourn_us, uint64_t backlog, int64_t now_us);

/* The flow was found empty at its turn: the queue did not stand. */
void codel_empty(struct codel *c);

/* 'packets' were dropped for want of room: a row that begins soon begins at that rate. */
void codel_overflow(struct codel *c, uint32_t packets);

/* The control law: interval / sqrt(count), rounded down, but at least 1. 'count' is not 0. */
int64_t codel_spacing_us(int64_t interval_us, uint32_t count);

/* Whether a packet that is ECT(1) is to be marked: a step, without memory. */
static inline bool codel_step(const struct codel_params *p, int64_t sojourn_us)
{
	return sojourn_us > p->step_us;
}

#endif
