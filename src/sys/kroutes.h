/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_KROUTES_H
#define MESHD_SYS_KROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/routing.h"

struct netlink;

/*
 * The kernel's own routes: what the table main holds that is not of Babel's. Whoever redistributes takes them from here, and so does what
 * makes tables of main's routes: for one source (sys/kfib.h), for the sockets' own packets (sys/kunder.h).
 */
enum {
	KROUTES_MAX = 1 << 17,		/* what comes behind so many is left out */
	KROUTE_COPY_MAX = 900,		/* bytes a route that can be copied takes at most */
};

struct kroute {
	struct kernel_route route;	/* 'iface' is filled in by kroutes_tell() */
	uint32_t priority;
	uint8_t type;			/* RTN_... */
	uint8_t flags;			/* RTNH_F_... that say whether its way works */
	uint32_t order;			/* as the kernel told them */
	uint32_t copy, copy_len;	/* in 'copies', the request that would make it again; 0 long: cannot be copied */
};

/* Sorted by destination, source, priority: the first of a pair is the one the kernel uses. */
struct kroutes {
	uint32_t table;			/* that they are of */
	struct kroute *v;
	size_t count, size;
	uint8_t *copies;
	size_t copies_len, copies_size;
	bool full, failed;
};

/* Read main, both families. 0 or negative errno; 'k' need not be initialized, and is to be freed with kroutes_done() after success. */
int kroutes_read(struct netlink *nl, struct kroutes *k);
void kroutes_done(struct kroutes *k);

/* The same of another table, where Babel's own count, too. */
int kroutes_read_table(struct netlink *nl, uint32_t table, struct kroutes *k);

/* Whether anything that counts differs. */
bool kroutes_same(const struct kroutes *a, const struct kroutes *b);
bool kroute_same(const struct kroutes *a, const struct kroute *x, const struct kroutes *b, const struct kroute *y);

/* The route the kernel uses to exactly 'dst', from any source; NULL: none. */
const struct kroute *kroutes_find(const struct kroutes *k, const struct ip_prefix *dst);

/*
 * Tell the node what can be redistributed: one route a pair, whose way works, and none over the interface 'tun', since what is behind that
 * Babel knows by itself. Unreachable and blackhole routes count: they are how a whole prefix is announced. False: no memory.
 */
bool kroutes_tell(const struct kroutes *k, struct node *n, uint32_t tun, struct instant now);

#endif
