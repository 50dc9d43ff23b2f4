/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UNDERLAY_H
#define MESHD_SYS_UNDERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct change_uplink;
struct ev_loop;
struct log;
struct netlink;
struct node;
struct tun;
struct udp;

/*
 * The network under the mesh, as a node has to know it: the addresses of this host that paths may begin at, and whether a path's packets find
 * their way. It tells the node what changes; the driver passes the monitor's events on and lends it a turn.
 */
struct underlay;

enum {
	UNDERLAY_LOOK_MS = 20,		/* between two looks at the addresses, however fast they change */
	UNDERLAY_RECHECK_MS = 200,	/* after a change of routes ways are asked for so much later, once for all */
	UNDERLAY_WAYS_A_TURN = 64,	/* a few questions to the kernel each */
};

struct underlay_options {
	struct ev_loop *loop;
	struct node *node;
	struct netlink *netlink;
	const struct tun *tun;		/* ours */
	const struct udp *udp;		/* the sockets: their mark and port */
	const char *name;		/* of the interface */
	const struct log *log;
};

/* What the options point to has to outlive it. NULL: no memory. */
struct underlay *underlay_new(const struct underlay_options *o);
void underlay_free(struct underlay *u);

/* What is said of interfaces from now on; copied, UPLINKS_MAX at most. */
void underlay_set_uplinks(struct underlay *u, const struct change_uplink *v, size_t count);

/* Look at the addresses now, and tell the node if there is news. */
void underlay_look(struct underlay *u);

/* The monitor saw something: enum netlink_event. */
void underlay_netlink(struct underlay *u, int events);

/* The node has paths to be checked (NODE_EFFECT_ENDPOINTS): some are at once, the rest in underlay_turn(). */
void underlay_check(struct underlay *u);

/* Before every sleep. True: there is more to do. */
bool underlay_turn(struct underlay *u);

#endif
