/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_IFACE_H
#define MESHD_SYS_IFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/text.h"

struct config;
struct netlink;

/*
 * What wg-quick does with "ip": addresses, MTU and up, routes for allowed IPs, the default
 * route's table and rules - by netlink, remembering what was added so that exactly that is taken back.
 */
struct iface {
	struct netlink *nl;
	struct log log;
	uint32_t ifindex;
	char name[16];
	struct ip_prefix *addresses;	/* that we added */
	size_t address_count;
	struct iface_route {
		struct ip_prefix dst;
		uint32_t table;
	} *routes;			/* that we added */
	size_t route_count;
	uint32_t mark;			/* fwmark and table of the default route; 0: none is set */
	bool default4, default6;	/* rules are in place */
	uint32_t babel_mark;		/* the same for default routes of Babel's, which share the rules */
	bool babel4, babel6;
	struct ip_prefix listen_prefix;	/* made local by us; family IP_NONE: none */
};

void iface_init(struct iface *i, struct netlink *nl, uint32_t ifindex, const char *name, const struct log *log);

/*
 * Give the addresses of 'c' (add what is new, remove what went). 0, or negative errno with one line in 'why', and
 * then nothing has changed.
 */
int iface_set_addresses(struct iface *i, const struct config *c, struct text *why);

/*
 * Set the MTU and bring the link up. Without MTU in 'c' it is, as in wg-quick, the largest MTU on the way to
 * any of 'endpoints', else of the default route, else 1500, less 80.
 */
int iface_set_mtu_up(struct iface *i, const struct config *c, const struct endpoint *endpoints, size_t endpoint_count,
		     uint32_t fwmark, uint32_t *mtu, struct text *why);

/*
 * The mark wg-quick would use for a default route when FwMark is not set: 51820 or the next number whose
 * routing table is empty; 0 when a thousand of them are not.
 */
uint32_t iface_free_mark(struct iface *i);

/*
 * Make the routes to 'allowed' (longest prefix first) what Table in 'c' asks for, adding and removing the
 * difference, and adding again what the kernel dropped; on failure nothing has changed. Call it after the addresses
 * are set and the link is up: main gets only what no route of the interface covers. A /0 with Table auto goes
 * to table 'mark' with wg-quick's two rules; 'mark' is then the sockets' mark and not 0.
 */
int iface_set_routes(struct iface *i, const struct config *c, const struct ip_prefix *allowed, size_t count,
		     uint32_t mark, struct text *why);

/*
 * Babel's routes (sys/kfib.h) put a default route of 'family' into the table 'mark', or took the last of them out: its rules, or those of
 * another mark before, are added or removed unless an allowed IP needs them, too. 0 or negative errno.
 */
int iface_set_babel_default(struct iface *i, uint8_t family, bool want, uint32_t mark);

/* Whether 'allowed' holds a default route that needs the mark (Table auto and a /0 in it). */
bool iface_needs_mark(const struct config *c, const struct ip_prefix *allowed, size_t count);

/*
 * Make every address of 'p' this host's by a local route, in the place of the prefix before; family IP_NONE: none. On failure nothing has
 * changed. It does not die with the interface, so it has to be recorded (sys/runfile.h).
 */
int iface_set_listen_prefix(struct iface *i, const struct ip_prefix *p, struct text *why);

/*
 * Take rules and listen prefix back (addresses and routes die with the interface) and free. Also right after a crash:
 * iface_cleanup_rules() removes what an earlier run with 'mark' left, iface_cleanup_listen_prefix() its prefix (IP_NONE: nothing).
 */
void iface_done(struct iface *i);
void iface_cleanup_rules(struct netlink *nl, uint32_t mark);
void iface_cleanup_listen_prefix(struct netlink *nl, const struct ip_prefix *p);

#endif
