/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_BABEL_SETTINGS_H
#define MESHD_NODE_BABEL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "babel/babel.h"
#include "babel/filter.h"
#include "base/addr.h"

/* What the section [Babel] of a config file says, part of struct change: built by the parser, kept by the node. */

enum {
	BABEL_LANS_MAX = 64,
	BABEL_REDISTRIBUTES_MAX = 256,
	LAN_NAME_MAX = 15,
};

/* How packets from link to link go. */
enum transit_mode {
	TRANSIT_LANE,		/* forwarded in the lane, past netfilter */
	TRANSIT_KERNEL,		/* to the TUN, for the kernel to forward */
	TRANSIT_OFF,		/* dropped */
};

enum {
	TRANSIT_MODES = TRANSIT_OFF + 1,
	BABEL_LINK_TYPES = BABEL_TUNNEL + 1,
};

/* As config files have them. */
const char *transit_mode_name(enum transit_mode mode);
const char *babel_link_type_name(enum babel_link_type type);

/* "Interface = eth1 type=wired ...": what is not said is the type's default. */
struct babel_lan {
	char name[LAN_NAME_MAX + 1];
	enum babel_link_type type;
	int64_t hello_us, update_us;	/* 0: HelloInterval, and four of it */
	uint16_t rxcost;		/* 0: the type's */
	int8_t rtt, split_horizon;	/* 1 on, 0 off, -1: the type's */
	bool accept_unauthenticated;
	unsigned int key_count;
	struct babel_key keys[BABEL_KEYS_MAX];
};

/* Which routes of the kernel's are announced, as bits. */
enum redistribute_kind {
	REDISTRIBUTE_CONNECTED = 1,	/* of interfaces' own prefixes (protocol kernel) */
	REDISTRIBUTE_STATIC = 2,	/* protocols static and boot */
	REDISTRIBUTE_KERNEL = 4,	/* all others: dhcp, ra, bird... */
	REDISTRIBUTE_ANY = 7,
};

/*
 * "Redistribute = PREFIX [from=PREFIX] [metric=N] [le=N] [interface=NAME] [proto=N]": announced while the kernel has a route for it - or an
 * AllowedIPs names it. Or "connected", "static", "kernel" in the place of the prefix: all of those.
 */
struct babel_redistribute {
	struct ip_prefix prefix;	/* family IP_NONE: any */
	uint8_t len_max;		/* of what is taken inside of prefix; prefix.len: that one alone; without prefix it is 128 */
	unsigned int kinds;		/* enum redistribute_kind */
	int16_t proto;			/* that routing protocol number alone; -1: any */
	char iface[LAN_NAME_MAX + 1];	/* "": any */
	struct ip_prefix from;		/* source prefix it is announced with; len 0: the route's own */
	uint16_t metric;
};

struct babel_settings {
	bool section;			/* there is a [Babel] */
	bool mesh;			/* there is a [Mesh], which wants Babel without one */
	int64_t hello_us;		/* HelloInterval; 0: BABEL_HELLO_US */
	bool has_router_id;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	struct babel_lan *lans;
	size_t lan_count;
	struct babel_redistribute *redistributes;
	size_t redistribute_count;
	struct babel_filter *filters;
	size_t filter_count;
};

/* Deep copy; false: no memory, and 'to' is empty. */
bool babel_settings_copy(struct babel_settings *to, const struct babel_settings *from);

/* Wipe keys and free; empty again. */
void babel_settings_done(struct babel_settings *s);

/* Append, filled with zeros ('proto', 'rtt' and 'split_horizon' -1). NULL: no memory, or too many. */
struct babel_lan *babel_settings_add_lan(struct babel_settings *s);
struct babel_redistribute *babel_settings_add_redistribute(struct babel_settings *s);
struct babel_filter *babel_settings_add_filter(struct babel_settings *s);

#endif
