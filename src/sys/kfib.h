/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_KFIB_H
#define MESHD_SYS_KFIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "node/config.h"
#include "node/routing.h"
#include "sys/netlink.h"

struct kroutes;

/*
 * Babel's routes in the kernel. Every one has NETLINK_PROTOCOL and one priority, so that a route is always changed in place: the kernel
 * swaps next hops, and unicast for unreachable, in one step only for the same priority (reference X5).
 *
 * The priority is fixed, whatever Babel's metric: behind the interfaces' own prefixes (IPv6: 256; IPv4: 0) and what an administrator adds
 * without a metric in IPv4 (0), before what routers advertise and what is added without a metric in IPv6 (1024). Several meshd on one
 * host must not change each other's routes, so each has a slot (sys/kslot.h) and with it a priority and tables of its own: whoever
 * has the slot owns all that carries its priority, also what a killed one before it left.
 */
enum {
	KFIB_PRIORITY = 900,		/* of slot 0; slot i has i more */
	KFIB_SLOTS = 64,
	KFIB_SOURCES_MAX = 16,		/* source prefixes of IPv4 that have a table */
	KFIB_TABLES = 0x6d6500,		/* of slot 0, KFIB_SOURCES_MAX of them; the next slot's follow */
	KFIB_UNDERLAY_TABLE = KFIB_TABLES + KFIB_SLOTS * KFIB_SOURCES_MAX,	/* of slot 0 (sys/kunder.h); slot i's is i more */
	/*
	 * Rules, between the kernel's "local" (0) and "main" (32766): what carries the sockets' mark goes past the others, then one rule a
	 * source, the longer first, then the mark's goal.
	 */
	KFIB_RULE_MARKED = 1000,
	KFIB_RULE_SOURCE = 1001,	/* and (32 - length) more */
	KFIB_RULE_PAST = 1040,		/* of slot 0; slot i has i more */
};

struct kfib_options {
	enum config_table mode;		/* TABLE_AUTO, TABLE_OFF or TABLE_NUMBER */
	uint32_t table;			/* of TABLE_NUMBER */
	uint32_t tun;			/* our own interface; 0: there is none to route to */
	uint32_t mark;			/* table and mark of default routes over it, with TABLE_AUTO; 0: they cannot be had */
};

/* Whether there are default routes of 'family' in the table 'mark' now: the first came, or the last went, or the mark is another. */
struct kfib_handler {
	void (*defaults)(void *ctx, uint8_t family, bool any);
	void *ctx;
};

struct kfib_counts {
	size_t routes;			/* that shall be there */
	size_t missing;			/* of these, the kernel refused */
	size_t refused;			/* of these, source-specific ones of IPv4 that have no table */
};

struct kfib;

/* Take over a slot. NULL: no memory. What it holds is left alone until kfib_purge() or kfib_sync(). */
struct kfib *kfib_new(struct netlink *nl, unsigned int slot, const struct log *log, const struct kfib_handler *handler);

/* Forget all; the kernel keeps what it has. */
void kfib_free(struct kfib *k);

/* Where routes go. A change moves those there are, each new before its old. */
void kfib_configure(struct kfib *k, const struct kfib_options *o);

/* Put a route in, in the place of the one for the same pair, or take it out (NODE_ROUTE_NONE). */
void kfib_set(struct kfib *k, const struct node_route *r);

/* The table main without ours, for IPv4's source tables; kept by the caller until the next call. NULL: nothing is known. */
void kfib_set_main(struct kfib *k, const struct kroutes *main);

/*
 * Compare the kernel with what shall be there: put in again what is missing, and remove what carries our slot's priority and shall not be.
 * With 'keep_strays' the latter stay in main: they are a run's before us, and may be ours in a moment. 0 or negative errno.
 */
int kfib_sync(struct kfib *k, bool keep_strays);

/* How far to a later kfib_sync(): something could not be put in. */
struct kfib_counts kfib_counts(const struct kfib *k);

/* At the end: take rules and source tables out, and, unless they shall stay for the next run, all routes. */
void kfib_close(struct kfib *k, bool keep_routes);

/* Remove all of a slot's routes ('tables_alone': only those in tables of its own) and rules. Its holder must be gone. 0 or negative errno. */
int kfib_purge(struct netlink *nl, unsigned int slot, bool tables_alone);

#endif
