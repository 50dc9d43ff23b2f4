/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_ROUTING_H
#define MESHD_SYS_ROUTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/log.h"

struct config;
struct ev_loop;
struct iface;
struct netlink;
struct node;

/*
 * What routing (node/routing.h) needs of the host: addresses, ordinary interfaces with their sockets, the kernel's tables, and a file for what
 * must survive. Without Babel in the config it does nothing.
 */
struct routing_options {
	struct ev_loop *loop;
	struct node *node;
	struct netlink *netlink;
	struct iface *iface;
	const char *name;		/* of our interface */
	struct log log;
	void (*defaults_changed)(void *ctx);	/* iface->babel4 or babel6 did */
	void *ctx;
};

struct routing;

/* Read what was saved and begin: before the config is applied. NULL: no memory. */
struct routing *routing_new(const struct routing_options *o);

/* A config is in force, addresses and all: begin, follow it, or end. 'mark' is that of default routes over 'tun'. */
void routing_configured(struct routing *r, const struct config *c, uint32_t tun, uint32_t mark);

/* Our own interface is out of reach: there is nothing to route to. */
void routing_lose_tun(struct routing *r);

/* The monitor told of these (enum netlink_event). */
void routing_netlink(struct routing *r, int events);

/* After node_turn(): packets to interfaces, routes to the kernel; so many a turn. True: there is more, come back at once. */
bool routing_turn(struct routing *r, struct instant now);

/* NODE_EFFECT_BABEL_STATE. */
void routing_save(struct routing *r);

/*
 * The end: tell neighbours, save, and take out of the kernel what is ours. 'planned': we come back at once, and routes that do not go with our
 * own interface stay there meanwhile; the next run takes them over. What lanes have to send is for the caller.
 */
void routing_stop(struct routing *r, bool planned);
void routing_free(struct routing *r);

/* What a planned stop of 'name' left for a next run that does not come: forget it, and take its routes out of the kernel. True: there was some. */
bool routing_clean_kept(const char *name);

#endif
