/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_HELLO_H
#define MESHD_BABEL_HELLO_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The history of one kind of Hello from one neighbour (RFC 8966 A.1), and what the link's cost is by it (A.2). Multicast and
 * unicast Hellos have one each. Pure: the owner has the timer, and sets it to hello_deadline_us().
 */
struct hello_history {
	uint16_t reach;			/* the last 16, newest in the highest bit */
	uint8_t seen;			/* Hellos expected since the first, at most 16 */
	uint16_t expected;		/* seqno of the next */
	bool any;			/* one was heard */
	int64_t interval_us;		/* as announced by the last scheduled one; 0: none */
};

enum hello_outcome {
	HELLO_TAKEN,
	HELLO_REBOOTED,			/* more than 16 off: the neighbour began anew, forget all about it and take this one again */
};

/* A Hello came. 'interval_us' 0: unscheduled, and the timer stays as it is. */
enum hello_outcome hello_received(struct hello_history *h, uint16_t seqno, int64_t interval_us);

/* In a new history: one had come before the first that does. */
void hello_assume(struct hello_history *h);

/* None came in time. */
void hello_missed(struct hello_history *h);

/* How long to wait for the next: 1.5 intervals after one was received, 1.0 after one was missed. 0: no timer. */
int64_t hello_wait_us(const struct hello_history *h, bool after_received);

/* 2-out-of-3: two of the last three came. With a single Hello ever heard it is down. */
bool hello_two_of_three(const struct hello_history *h);

/* ETX: nominal * 1/beta, over the six newest; BABEL_INFINITY where none of them came. */
uint16_t hello_etx(const struct hello_history *h, uint16_t nominal);

#endif
