/* SPDX-License-Identifier: MIT */
#ifndef MESHD_PATH_PMTU_H
#define MESHD_PATH_PMTU_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The largest packet one path carries, found by padded probes that must not be fragmented (DPLPMTUD, RFC 8899). ICMP is not needed and not
 * believed. All sizes are of whole outer IP packets, in bytes. Pure: the owner asks what to probe, and says what was answered and what was not.
 *
 *	BASE ---- answered ---> SEARCH -- nothing larger gets through --> COMPLETE
 *	 ^  \ not answered        ^ |                                       |
 *	 |   v                    | confirmation at the size in use lost PMTU_TRIES times while small probes are answered: a black hole
 *	ERROR: below the base	  +---- back to BASE
 */
enum {
	PMTU_BASE4 = 1200,		/* RFC 8899 section 5.1.2 */
	PMTU_BASE6 = 1280,
	PMTU_MIN4 = 576,		/* tried in ERROR */
	PMTU_START = 1500,		/* believed until a probe says otherwise, or less where the way's interface has less */
	PMTU_MAX = 9216,
	PMTU_TRIES = 3,			/* MAX_PROBES: probes of one size without an answer */
	PMTU_UNSURE_MAX = 6,		/* and so many more of the size in use where nothing else was answered in that time either */
	PMTU_STEP_MIN = 16,		/* WireGuard pads to it: the search ends where it cannot get closer */
	PMTU_STEP_ERROR = 64,		/* the same below the base, */
	PMTU_STEP_JUMBO = 512,		/* and above PMTU_START: what is gained is not worth the probes */
	PMTU_CONFIRM_BUSY_MS = 500,	/* between probes of the size in use while much is sent... */
	PMTU_CONFIRM_MS = 5000,		/* ...while something is; idle: none */
	PMTU_RAISE_S = 600,		/* PMTU_RAISE_TIMER: after so long a larger one is tried for again */
	PMTU_RAISE_ERROR_S = 30,	/* the same in ERROR */
	PMTU_RETRY_MS = 100,		/* between the probes of one size, and at least a round trip */
};

enum pmtu_state { PMTU_BASE, PMTU_SEARCH, PMTU_COMPLETE, PMTU_ERROR };

struct pmtu {
	uint8_t family;
	uint8_t state;			/* enum pmtu_state */
	uint8_t tries;			/* of 'probing', without an answer... */
	uint8_t unsure;			/* ...and those that do not count, for the path may have been dead */
	bool started;			/* a probe was sent */
	uint16_t bound;			/* what the way allows */
	uint16_t size;			/* what may be sent now: PLPMTU */
	uint16_t low, high;		/* the search: low is known to pass (0: nothing is), above high nothing is tried */
	uint16_t probing;		/* the size under way; 0: none */
	int64_t sent_us;		/* that probe; NEVER_US: it is not out */
	int64_t next_us;		/* nothing before this */
	int64_t confirmed_us;		/* 'size' was last answered, or given up for a while */
	int64_t raise_us;		/* when to look for more; NEVER_US */
};

/* A path begins. 'family' of the outer packets; 'way_mtu' is that of the interface it leaves by, 0: not known. */
void pmtu_init(struct pmtu *m, uint8_t family, uint32_t way_mtu, int64_t now_us);

/* The interface's or route's MTU changed: it bounds the search; less takes effect at once. True: 'size' changed. */
bool pmtu_set_way(struct pmtu *m, uint32_t way_mtu, int64_t now_us);

/*
 * The size to probe now, or 0. The path is alive; 'active': something is sent on it; 'busy': much is. 'rto_us' is how long an answer may take,
 * 'answered_us' when any probe on the path was last answered (0: never). Call pmtu_sent() when it is on its way. An older probe that had its time is
 * counted as lost here: true in '*changed' when 'size' fell.
 */
uint32_t pmtu_due(struct pmtu *m, bool active, bool busy, int64_t rto_us, int64_t answered_us, int64_t now_us, bool *changed);
void pmtu_sent(struct pmtu *m, uint32_t size, int64_t now_us);

/* A probe of this size was answered (also a late one). True: 'size' changed. */
bool pmtu_answered(struct pmtu *m, uint32_t size, int64_t now_us);

/* When pmtu_due() may have something, if the path is as active as said; NEVER_US. */
int64_t pmtu_next(const struct pmtu *m, bool active, bool busy, int64_t rto_us);

/*
 * The largest inner packet that fits an outer one of 'size': headers and tag taken off. Padding stays within it: a lane does not pad beyond a
 * peer's MTU.
 */
uint32_t pmtu_inner(uint32_t size, uint8_t family);

/* And the length of the inner plaintext (padding included, and not always a multiple of 16) of an outer packet of exactly 'size'. */
uint32_t pmtu_plain(uint32_t size, uint8_t family);

#endif
