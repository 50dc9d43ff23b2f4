/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_FIB_H
#define MESHD_NODE_FIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/lpm.h"

struct lane_peer;

/*
 * The forwarding table that Babel feeds: prefix pairs to where their packets go, and who announces them. Lanes read it, the node changes it
 * while all gates are closed. Static allowed IPs are not in it: lanes look them up beside it, and the longer destination wins.
 *
 * A packet is looked up destination-first (RFC 9079 4.1): the longest destination prefix that has a source prefix covering the packet's
 * source, and of these the longest source; where a destination has none the next shorter one is tried.
 */
enum fib_action {
	FIB_NONE,		/* known for the source check only; no route */
	FIB_PEER,		/* over the mesh */
	FIB_HOST,		/* this host's, or over an ordinary interface: the kernel knows */
	FIB_UNREACHABLE,	/* held: not to follow a shorter prefix */
};

enum { FIB_FEW = 2 };

struct fib_entry {
	struct lane_peer *peer;			/* FIB_PEER */
	union {					/* fib_announcers() */
		struct lane_peer *few[FIB_FEW];
		struct lane_peer **many;
	} announcers;
	uint32_t announcer_count;
	uint8_t action;				/* enum fib_action */
	uint8_t dst_len;
	struct ip_prefix src;
};

/* Whose packets may have sources in it. */
static inline struct lane_peer *const *fib_announcers(const struct fib_entry *e)
{
	return e->announcer_count > FIB_FEW ? e->announcers.many : e->announcers.few;
}

struct fib {
	struct lpm destinations;		/* the implementation's; all zero is an empty table */
	size_t count;				/* entries */
};

void fib_clear(struct fib *f);

/* Set an entry, made if need be; FIB_NONE without announcers takes it out. Announcers are copied. False, with nothing changed: no memory. */
bool fib_set(struct fib *f, const struct prefix_pair *p, enum fib_action action, struct lane_peer *peer,
	     struct lane_peer *const *announcers, size_t announcer_count);

/* Exactly this pair's; NULL: none. What these return is good until the table changes. */
const struct fib_entry *fib_exact(const struct fib *f, const struct prefix_pair *p);

/* Where a packet with these addresses (of 'family', as they stand in its header) goes; entries of FIB_NONE do not count. NULL: nowhere. */
const struct fib_entry *fib_lookup(const struct fib *f, uint8_t family, const uint8_t *src, const uint8_t *dst);

/*
 * The entry that decides whether a packet with these addresses may come from somebody: of the longest known prefix (FIB_NONE counts) that
 * covers its source, looked up with the addresses swapped, so that a source-specific one has its say. NULL: none is known.
 */
const struct fib_entry *fib_origin(const struct fib *f, uint8_t family, const uint8_t *src, const uint8_t *dst);

/* Whether the peer is among the entry's announcers. */
bool fib_announces(const struct fib_entry *e, const struct lane_peer *peer);

/* The peer goes: no entry names it any more (its routes become FIB_NONE). */
void fib_forget_peer(struct fib *f, const struct lane_peer *peer);

#endif
