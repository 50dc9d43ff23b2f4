/* SPDX-License-Identifier: MIT */
/*
 * Hello history (RFC 8966 A.1) and link cost by it (A.2). The newest Hello is the highest of 16 bits, and time moves them down. A neighbour that
 * says a higher seqno than was expected sent Hellos that were lost: zeros are put in for them. One that says a lower one has made its interval
 * longer, and the timer here, which did not know, has put in zeros too many: they are taken out again. More than 16 off either way is no
 * neighbour that lost packets but one that started anew.
 *
 * 'seen' is how much of the 16 bits there has been time for, so that a new neighbour is not held to Hellos from before it was there.
 */
#include "babel/hello.h"

#include "wire/babel.h"

enum {
	HISTORY = 16,
	ETX_NEWEST = 6,
	THREE_NEWEST_SHIFT = HISTORY - 3,
};

static unsigned int ones(unsigned int bits)
{
	unsigned int n = 0;

	for (; bits; bits &= bits - 1)
		n++;
	return n;
}

/* The bits and what they stand for, 'n' steps on. */
static void advance(struct hello_history *h, unsigned int n)
{
	h->reach = (uint16_t)(h->reach >> n);
	h->seen = (uint8_t)(h->seen + n > HISTORY ? HISTORY : h->seen + n);
}

static void undo(struct hello_history *h, unsigned int n)
{
	h->reach = (uint16_t)((unsigned int)h->reach << n);
	h->seen = (uint8_t)(h->seen > n ? h->seen - n : 0);
}

enum hello_outcome hello_received(struct hello_history *h, uint16_t seqno, int64_t interval_us)
{
	int off = h->any ? (int16_t)(uint16_t)(seqno - h->expected) : 0;

	if (off > HISTORY || off < -HISTORY)
		return HELLO_REBOOTED;
	if (off < 0)
		undo(h, (unsigned int)-off);
	else
		advance(h, (unsigned int)off);
	advance(h, 1);
	h->reach |= 1U << (HISTORY - 1);
	h->expected = (uint16_t)(seqno + 1);
	h->any = true;
	if (interval_us)
		h->interval_us = interval_us;
	return HELLO_TAKEN;
}

void hello_assume(struct hello_history *h)
{
	advance(h, 1);
	h->reach |= 1U << (HISTORY - 1);
}

void hello_missed(struct hello_history *h)
{
	if (!h->any)
		return;
	advance(h, 1);
	h->expected++;
}

int64_t hello_wait_us(const struct hello_history *h, bool after_received)
{
	return after_received ? h->interval_us + h->interval_us / 2 : h->interval_us;
}

bool hello_two_of_three(const struct hello_history *h)
{
	return ones((unsigned int)h->reach >> THREE_NEWEST_SHIFT) >= 2;
}

uint16_t hello_etx(const struct hello_history *h, uint16_t nominal)
{
	unsigned int expected = h->seen < ETX_NEWEST ? h->seen : ETX_NEWEST;
	unsigned int came = ones((unsigned int)h->reach >> (HISTORY - ETX_NEWEST));
	uint32_t cost;

	if (came == 0)
		return BABEL_INFINITY;
	cost = (uint32_t)nominal * expected / came;
	return cost < BABEL_INFINITY ? (uint16_t)cost : BABEL_INFINITY;
}
