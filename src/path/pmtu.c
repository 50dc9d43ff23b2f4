/* SPDX-License-Identifier: MIT */
/*
 * What one path carries in one packet (RFC 8899, DPLPMTUD).
 *
 * The size in use begins as what nearly every path has, and is confirmed first: on most paths one probe is all there is to it. If that is not
 * answered the base is in use, and from there the search goes up: over the sizes that paths usually have - Ethernet less PPPoE, less a tunnel,
 * less two - and then by halves until the next step would gain nothing. A probe that is larger than the size in use and lost says nothing about that.
 *
 * While something is sent, the size in use is confirmed again and again. When PMTU_TRIES of these probes are lost the path is a black hole
 * for it: back to the base at once, and a new search. But a path that is dying loses them as well, and its size is still right when it comes back: so
 * only what is lost while something smaller is answered counts, or many more have to be lost.
 *
 * Each size is tried PMTU_TRIES times, each time for a round trip and its variance; a search is some twenty probes at the worst, and one per
 * PMTU_RAISE_S.
 */
#include "path/pmtu.h"

#include <stddef.h>

#include "base/addr.h"
#include "base/instant.h"

enum {
	OVERHEAD4 = 20 + 8 + 16 + 16,	/* IP, UDP, header of a data message, tag */
	OVERHEAD6 = 40 + 8 + 16 + 16,
};

/* What paths have, ascending. */
static const uint16_t usual[] = { 1280, 1400, 1420, 1452, 1480, 1492, 1500 };

enum { USUAL = sizeof(usual) / sizeof(usual[0]) };

static uint32_t overhead(uint8_t family)
{
	return family == IP_V6 ? OVERHEAD6 : OVERHEAD4;
}

uint32_t pmtu_plain(uint32_t size, uint8_t family)
{
	return size > overhead(family) ? size - overhead(family) : 0;
}

uint32_t pmtu_inner(uint32_t size, uint8_t family)
{
	return pmtu_plain(size, family);
}

static uint16_t smaller(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

/* The least that is ever in use: IPv6 promises its minimum. */
static uint16_t floor_of(const struct pmtu *m)
{
	return m->family == IP_V6 ? PMTU_BASE6 : PMTU_MIN4;
}

static uint16_t base_of(const struct pmtu *m)
{
	return smaller(m->family == IP_V6 ? PMTU_BASE6 : PMTU_BASE4, m->bound);
}

static uint16_t bound_of(const struct pmtu *m, uint32_t way_mtu)
{
	if (!way_mtu)
		return PMTU_START;
	if (way_mtu > PMTU_MAX)
		return PMTU_MAX;
	return way_mtu < floor_of(m) ? floor_of(m) : (uint16_t)way_mtu;
}

static int64_t wait_us(int64_t rto_us)
{
	return rto_us > PMTU_RETRY_MS * US_PER_MS ? rto_us : PMTU_RETRY_MS * US_PER_MS;
}

static void probe(struct pmtu *m, uint16_t size)
{
	m->probing = size;
	m->tries = m->unsure = 0;
	m->sent_us = NEVER_US;
}

/* Of the usual sizes between low and high, and the way's own, the middle one; 0: none is there. */
static uint16_t usual_between(const struct pmtu *m)
{
	uint16_t list[USUAL + 1];
	size_t count = 0;

	for (size_t i = 0; i < USUAL; i++)
		if (usual[i] > m->low && usual[i] <= m->high && usual[i] < m->bound)
			list[count++] = usual[i];
	if (m->high == m->bound && m->bound > m->low)
		list[count++] = m->bound;
	return count ? list[(count - 1) / 2] : 0;
}

/* Half way up, at a size where padding ends; 0: there is none between. */
static uint16_t half_way(const struct pmtu *m)
{
	uint32_t step = PMTU_STEP_MIN, over = overhead(m->family), middle;

	if (m->low >= PMTU_START)
		step = PMTU_STEP_JUMBO;
	else if (m->high < base_of(m))
		step = PMTU_STEP_ERROR;
	if (m->high < m->low + step)
		return 0;
	middle = m->low + (m->high - m->low + 1U) / 2;
	middle = over + (middle - over) / PMTU_STEP_MIN * PMTU_STEP_MIN;
	if (middle <= m->low)
		middle += PMTU_STEP_MIN;
	return middle <= m->high ? (uint16_t)middle : 0;
}

/* The next size to try above what is known to pass; 0: the search is over. */
static uint16_t next_size(const struct pmtu *m)
{
	uint16_t size;

	if (m->low < base_of(m) && m->high >= base_of(m))
		return base_of(m);
	size = usual_between(m);
	return size ? size : half_way(m);
}

/* Go on from 'low', or end the search. */
static void advance(struct pmtu *m, int64_t now_us)
{
	bool below = m->size < base_of(m);

	probe(m, next_size(m));
	if (m->probing) {
		m->state = below ? PMTU_ERROR : PMTU_SEARCH;
		m->raise_us = NEVER_US;
		return;
	}
	m->state = below ? PMTU_ERROR : PMTU_COMPLETE;
	if (m->raise_us == NEVER_US && m->size < m->bound)
		m->raise_us = now_us + (below ? PMTU_RAISE_ERROR_S : PMTU_RAISE_S) * US_PER_S;
}

void pmtu_init(struct pmtu *m, uint8_t family, uint32_t way_mtu, int64_t now_us)
{
	*m = (struct pmtu){ .family = family, .state = PMTU_BASE, .next_us = now_us, .raise_us = NEVER_US };
	m->bound = m->high = bound_of(m, way_mtu);
	m->size = smaller(PMTU_START, m->bound);
	probe(m, m->size);
}

bool pmtu_set_way(struct pmtu *m, uint32_t way_mtu, int64_t now_us)
{
	uint16_t old = m->size, bound = bound_of(m, way_mtu);

	if (bound == m->bound)
		return false;
	if (!m->started) {
		pmtu_init(m, m->family, way_mtu, now_us);
		return m->size != old;
	}
	m->bound = m->high = bound;
	m->size = smaller(m->size, bound);
	m->low = smaller(m->low, bound);
	if (m->state == PMTU_BASE)
		probe(m, m->size);
	else
		advance(m, now_us);
	return m->size != old;
}

/* The size in use does not pass. */
static bool fall(struct pmtu *m, int64_t now_us)
{
	uint16_t old = m->size, base = base_of(m);

	m->low = 0;
	m->high = m->bound;
	m->raise_us = NEVER_US;
	m->confirmed_us = now_us;
	if (old > base) {
		m->state = PMTU_BASE;
		m->size = base;
		probe(m, base);
	} else {
		/* Once the floor is answered the search goes on from there; if it is not, nothing can be done but to wait. */
		m->state = PMTU_ERROR;
		m->size = smaller(floor_of(m), base);
		if (m->size < base)
			m->high = (uint16_t)(base - 1);
		if (m->size == old) {
			m->high = m->bound;
			m->next_us = now_us + PMTU_CONFIRM_MS * US_PER_MS;
		}
		probe(m, m->size == old ? 0 : m->size);
	}
	return m->size != old;
}

/*
 * Whether the path as such was alive about the time the probe was out. On the one in use small probes are 200 ms apart, which this window
 * is as long as.
 */
static bool was_alive(const struct pmtu *m, int64_t wait, int64_t answered_us)
{
	return answered_us >= m->sent_us - wait && answered_us <= m->sent_us + 2 * wait;
}

static int64_t confirm_us(const struct pmtu *m, bool busy)
{
	return m->confirmed_us + (busy ? PMTU_CONFIRM_BUSY_MS : PMTU_CONFIRM_MS) * US_PER_MS;
}

/* A probe had its time. Returns whether 'size' changed. */
static bool lost(struct pmtu *m, bool busy, int64_t wait, int64_t answered_us, int64_t now_us)
{
	bool in_use = m->probing <= m->size;

	if (!in_use || m->unsure == PMTU_UNSURE_MAX || was_alive(m, wait, answered_us))
		m->tries++;
	else
		m->unsure++;
	m->sent_us = NEVER_US;
	if (m->tries < PMTU_TRIES)
		return false;
	if (in_use)
		return fall(m, now_us);
	m->high = (uint16_t)(m->probing - 1);
	/* A long search must not hide that what is in use does not pass any more. */
	if (busy && now_us >= confirm_us(m, busy))
		probe(m, m->size);
	else
		advance(m, now_us);
	return false;
}

/* The search is over, and traffic flows: perhaps it is time for something. */
static void begin(struct pmtu *m, bool busy, int64_t now_us)
{
	if (now_us >= confirm_us(m, busy)) {
		probe(m, m->size);
	} else if (now_us >= m->raise_us) {
		m->raise_us = NEVER_US;
		m->high = m->bound;
		advance(m, now_us);
	}
}

uint32_t pmtu_due(struct pmtu *m, bool active, bool busy, int64_t rto_us, int64_t answered_us, int64_t now_us, bool *changed)
{
	int64_t wait = wait_us(rto_us);

	*changed = false;
	if (m->probing && m->sent_us != NEVER_US) {
		if (now_us - m->sent_us < wait)
			return 0;
		*changed = lost(m, busy, wait, answered_us, now_us);
	}
	if (now_us < m->next_us)
		return 0;
	if (!m->probing && active)
		begin(m, busy, now_us);
	return m->probing;
}

void pmtu_sent(struct pmtu *m, uint32_t size, int64_t now_us)
{
	if (!m->probing || size != m->probing)
		return;
	m->started = true;
	m->sent_us = now_us;
}

bool pmtu_answered(struct pmtu *m, uint32_t size, int64_t now_us)
{
	uint16_t old = m->size, answered = (uint16_t)size;

	/* What is less than what is in use says nothing new; more than the way has was before that changed. */
	if (size < m->size || size > m->bound)
		return false;
	m->size = answered;
	m->confirmed_us = now_us;
	if (answered > m->low)
		m->low = answered;
	if (answered > m->high)
		m->high = answered;
	/* A search for more goes on with what is under way. */
	if (m->probing <= answered)
		advance(m, now_us);
	return m->size != old;
}

int64_t pmtu_next(const struct pmtu *m, bool active, bool busy, int64_t rto_us)
{
	int64_t at_us;

	if (m->probing)
		return m->sent_us == NEVER_US ? m->next_us : m->sent_us + wait_us(rto_us);
	if (!active)
		return NEVER_US;
	at_us = confirm_us(m, busy);
	if (m->raise_us < at_us)
		at_us = m->raise_us;
	return at_us < m->next_us ? m->next_us : at_us;
}
