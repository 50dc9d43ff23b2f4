/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_KUNDER_H
#define MESHD_SYS_KUNDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct kroutes;
struct netlink;

/*
 * The underlay: the host's network as it would be without Babel's routes, for the packets that carry them. A table of this slot (sys/kfib.h)
 * holds a copy of every route of main that is not Babel's and not over our own interface, and a rule sends what carries the sockets' mark
 * there first. So no route anybody announces, also not one of the network our peer's endpoint is in, can take a tunnel into itself.
 */
enum { KUNDER_ROUTES_MAX = 1 << 15 };	/* where main has more there is no underlay table, for part of it would mislead */

struct kunder_options {
	uint32_t mark;			/* of the sockets; 0: none, and then no underlay */
	uint32_t tun;			/* our own interface */
	uint32_t table;			/* where Babel's routes are, if not in main */
};

struct kunder {
	struct netlink *nl;
	unsigned int slot;
	struct log log;
	struct kunder_options o;
	bool ruled;			/* the table was filled, and the rules added */
	bool told_full, told_missing;	/* once each */
};

/* Of a slot that is ours and was purged. */
void kunder_init(struct kunder *u, struct netlink *nl, unsigned int slot, const struct log *log);

/* Without a mark all is removed; else it is put in by the next kunder_follow(). */
void kunder_configure(struct kunder *u, const struct kunder_options *o);

/*
 * Make the table what 'main' says, whatever it is now, and see that the rules are there. The first time the rules come last. 0, or negative
 * errno: something is missing, try again.
 */
int kunder_follow(struct kunder *u, const struct kroutes *main);

/* Rules changed: ours may have to come before one that is new. 0 or negative errno. */
int kunder_place_rules(struct kunder *u);

/* Remove a slot's rules and table. 0 or negative errno. */
int kunder_purge(struct netlink *nl, unsigned int slot);

#endif
