/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_NETLINK_H
#define MESHD_SYS_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct mnl_socket;

/*
 * Route netlink by libmnl: one socket for requests (each waits for its answer, 2 s at most), one that listens for
 * changes. All functions return 0 or a negative errno unless they say otherwise; netlink_error() then has the
 * kernel's own words if it sent any (extended acks), else "".
 */
struct netlink {
	struct mnl_socket *request, *monitor;
	unsigned int seq;
	uint32_t priority;		/* of the routes that are ours (sys/kfib.h), for the monitor; 0: there are none */
	char error[128];
};

int netlink_open(struct netlink *nl);
void netlink_close(struct netlink *nl);
const char *netlink_error(const struct netlink *nl);

/* Links. */
int netlink_link_get(struct netlink *nl, uint32_t ifindex, uint32_t *mtu, bool *up);
int netlink_link_set(struct netlink *nl, uint32_t ifindex, uint32_t mtu, bool up);	/* mtu 0: leave */

/*
 * Let the other IPv4 addresses of a subnet stay when the first of them is removed, and with them the
 * interface's routes; otherwise the kernel removes them all.
 */
int netlink_link_promote(struct netlink *nl, uint32_t ifindex);

/* Addresses; -EEXIST when it is there already. */
int netlink_address_add(struct netlink *nl, uint32_t ifindex, const struct ip_prefix *a);
int netlink_address_remove(struct netlink *nl, uint32_t ifindex, const struct ip_prefix *a);
int netlink_address_each(struct netlink *nl, uint32_t ifindex,
			 void (*visit)(void *ctx, const struct ip_prefix *a), void *ctx);

/*
 * What Babel needs to know of an ordinary interface: up is with a carrier, 'address' is link-local and usable (no duplicate detection going
 * on), 'address4' any IPv4 address of its. Those that 'l' holds already are kept while the interface has them; family IP_NONE: none.
 * -ENODEV: there is no such interface, and all but the name is zero.
 */
struct netlink_lan {
	uint32_t ifindex, mtu;
	bool up;
	struct ip_addr address, address4;
};

int netlink_lan_get(struct netlink *nl, const char *name, struct netlink_lan *l);

/*
 * The addresses of this host that packets may leave from, for paths (path/path.h). Of interfaces that are up with a carrier, but for 'except';
 * of each interface and subnet the oldest usable one: no duplicate detection under way or failed, not deprecated, a temporary one of IPv6's only
 * where there is no other. Those that reach far come first, then link-local ones, then loopback's, tunnels' after others; more than 'max' are left
 * out.
 */
struct netlink_local {
	struct ip_addr addr;
	uint32_t ifindex;	/* 0: it is on lo, so nothing leaves by its interface */
	char name[16];		/* of the interface */
	bool spare;		/* not the one of its subnet that we begin with */
	bool tunnel;		/* its interface is a tunnel: WireGuard's of the kernel, or a program's that takes packets, not frames */
};

int netlink_locals(struct netlink *nl, uint32_t except, struct netlink_local *v, size_t max, size_t *count);

/*
 * The LANs of this host but for 'except': links with neighbours on them, up with a carrier, with multicast, and with a usable link-local
 * address. More than 'max' are left out.
 */
struct netlink_link {
	uint32_t ifindex;
	char name[16];
	struct ip_addr address;		/* link-local */
};

int netlink_lans(struct netlink *nl, uint32_t except, struct netlink_link *v, size_t max, size_t *count);

/* Let packets in over a link whatever their source's route is, as asymmetric ways need: IPv4's rp_filter 'mode' (0 off, 2 loose). */
int netlink_link_set_rp_filter(struct netlink *nl, uint32_t ifindex, uint32_t mode);

/* The routing protocol number of all routes and rules that Babel makes us add (sys/kfib.h). */
enum { NETLINK_PROTOCOL = 109 };

/* A route to 'dst' over an interface. */
struct netlink_route {
	struct ip_prefix dst;		/* masked */
	uint32_t table;			/* 0: main */
	uint32_t ifindex;
	uint8_t protocol;		/* 0: RTPROT_BOOT, as ip(8) and wg-quick leave it */
};

int netlink_route_add(struct netlink *nl, const struct netlink_route *r);	/* NLM_F_CREATE|EXCL: -EEXIST */
int netlink_route_remove(struct netlink *nl, const struct netlink_route *r);

/*
 * A prefix whose every address is this host's, as "ip route add local PREFIX dev lo" has it: in the table local, by protocol static.
 * -EEXIST when it is there already; -ESRCH when it is not.
 */
int netlink_local_route_add(struct netlink *nl, const struct ip_prefix *p);
int netlink_local_route_delete(struct netlink *nl, const struct ip_prefix *p);

/* Whether 'table' holds no route of 'family' (0: of either). 1 yes, 0 no, or negative errno. */
int netlink_table_empty(struct netlink *nl, uint8_t family, uint32_t table);

/* The routes of 'family' in 'table' over an interface. */
int netlink_route_each(struct netlink *nl, uint32_t ifindex, uint8_t family, uint32_t table,
		       void (*visit)(void *ctx, const struct netlink_route *r), void *ctx);

/*
 * Which way the kernel sends to 'dst' with 'fwmark': interface, and the route's or interface's MTU. -ENETUNREACH
 * or -EHOSTUNREACH when it does not. 'scope' counts for link-local addresses only.
 */
struct netlink_way {
	uint32_t ifindex;
	uint32_t mtu;
	struct ip_addr source;	/* that packets would have: netlink_way_get() only */
	bool local;		/* the destination is an address of this host: likewise */
};

int netlink_route_get(struct netlink *nl, const struct ip_addr *dst, uint32_t scope, uint32_t fwmark,
		      struct netlink_way *way);

/*
 * The same for a path: packets with its local address (family IP_NONE: of the kernel's choice) and, if it is pinned, over its interface alone,
 * whatever the kernel would say of a destination that it then takes for a neighbour. The MTU is the one configured, never one heard of by ICMP.
 */
int netlink_way_get(struct netlink *nl, const struct path_addr *path, uint32_t fwmark, struct netlink_way *way);

/*
 * MTU of the way of the default route in main, IPv4's if there is one, else IPv6's; a default route over 'except'
 * (an interface, or 0) does not count. -ENETUNREACH when there is none.
 */
int netlink_default_mtu(struct netlink *nl, uint32_t except, uint32_t *mtu);

/*
 * The two rules of wg-quick's default route: "not fwmark MARK table TABLE" and, looked at before it,
 * "table main suppress_prefixlength 0". Add them in this order. Adding either that is there already is fine. Removing takes
 * one away, -ENOENT when there is none.
 */
int netlink_rule_add_not_fwmark(struct netlink *nl, uint8_t family, uint32_t fwmark, uint32_t table);
int netlink_rule_add_suppress(struct netlink *nl, uint8_t family);
int netlink_rule_remove_not_fwmark(struct netlink *nl, uint8_t family, uint32_t fwmark, uint32_t table);
int netlink_rule_remove_suppress(struct netlink *nl, uint8_t family);

/*
 * Whether any "not fwmark" rule is left in 'family': the suppress rule is shared and goes with the last. 1, 0 or
 * negative errno.
 */
int netlink_rule_any_not_fwmark(struct netlink *nl, uint8_t family);

/* What the monitor saw. */
enum netlink_event {
	NETLINK_LINK = 1,	/* the link 'ifindex' changed: up, down, MTU, name */
	NETLINK_LINK_GONE = 2,	/* it was deleted */
	NETLINK_ADDRESS = 4,	/* addresses, of any link */
	NETLINK_ROUTES = 8,	/* routes, rules, or another link: ways may have changed */
	NETLINK_LOST = 16,	/* events were lost (ENOBUFS): look at everything again */
	NETLINK_BABEL = 32,	/* routes of NETLINK_PROTOCOL; NETLINK_ROUTES is not set for those */
	NETLINK_BABEL_LOST = 64, /* of them, one of ours was removed by somebody else */
	NETLINK_LINKS = 128,	/* with NETLINK_ROUTES: another link changed */
};

/* The monitor's descriptor, for the event loop. */
int netlink_monitor_fd(const struct netlink *nl);

/*
 * Take what waits in the monitor, up to a bound (its descriptor is then still readable). Returns the
 * union of enum netlink_event, 0 when nothing of interest came, or negative errno.
 */
int netlink_monitor_read(struct netlink *nl, uint32_t ifindex);

#endif
