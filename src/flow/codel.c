/* SPDX-License-Identifier: MIT */
/*
 * CoDel, after RFC 8289 section 5, turned inside out: the caller owns the queue and asks for each packet that is about to leave.
 *
 * The pseudocode moves drop_next after a drop only when the packet behind is late as well. Here that packet is seen by the next
 * call, hence 'owed'. With it the decisions are those of the pseudocode exactly.
 *
 * The square root: floor(interval / sqrt(count)) is isqrt(interval^2 / count), in integers and without error; it is taken once a
 * signal, not once a packet.
 */
#include "flow/codel.h"

enum { RESUME_INTERVALS = 16 };	/* RFC 8289 section 5.5: a row that soon follows resumes the rate of the last */

void codel_params_init(struct codel_params *p)
{
	p->target_us = CODEL_TARGET_US;
	p->interval_us = CODEL_INTERVAL_US;
	p->step_us = CODEL_STEP_US;
	p->mtu = CODEL_MTU;
}

/* Digit by digit: at most 32 rounds. */
static uint64_t isqrt(uint64_t v)
{
	uint64_t bit = UINT64_C(1) << 62, root = 0;

	while (bit > v)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (v >= root + bit) {
			v -= root + bit;
			root = root / 2 + bit;
		} else {
			root /= 2;
		}
	}
	return root;
}

int64_t codel_spacing_us(int64_t interval_us, uint32_t count)
{
	uint64_t interval = (uint64_t)interval_us;
	int64_t spacing = (int64_t)isqrt(interval * interval / count);

	return spacing ? spacing : 1;
}

/* RFC 8289 section 5.6: above the target for a whole interval. */
static bool late(struct codel *c, const struct codel_params *p, int64_t sojourn_us, uint64_t backlog, int64_t now_us)
{
	if (sojourn_us < p->target_us || backlog <= p->mtu) {
		c->first_above_us = 0;
		return false;
	}
	if (!c->first_above_us) {
		c->first_above_us = now_us + p->interval_us;
		return false;
	}
	return now_us >= c->first_above_us;
}

static void begin(struct codel *c, const struct codel_params *p, int64_t now_us)
{
	uint32_t delta = c->count - c->lastcount;
	bool soon = now_us - c->drop_next_us < RESUME_INTERVALS * p->interval_us;

	c->dropping = true;
	c->owed = false;
	c->count = delta > 1 && soon ? delta : 1;
	c->lastcount = c->count;
	c->drop_next_us = now_us + codel_spacing_us(p->interval_us, c->count);
}

bool codel_signal(struct codel *c, const struct codel_params *p, int64_t sojourn_us, uint64_t backlog, int64_t now_us)
{
	if (!late(c, p, sojourn_us, backlog, now_us)) {
		c->dropping = false;
		return false;
	}
	if (!c->dropping) {
		begin(c, p, now_us);
		return true;
	}
	if (c->owed) {
		c->owed = false;
		c->drop_next_us += codel_spacing_us(p->interval_us, c->count);
	}
	if (now_us < c->drop_next_us)
		return false;
	if (c->count < UINT32_MAX)
		c->count++;
	c->owed = true;
	return true;
}

void codel_empty(struct codel *c)
{
	c->first_above_us = 0;
	c->dropping = false;
}

void codel_overflow(struct codel *c, uint32_t packets)
{
	c->count = packets < UINT32_MAX - c->count ? c->count + packets : UINT32_MAX;
}
