/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_LAN_H
#define MESHD_SYS_LAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "node/mesh.h"

struct ev_loop;
struct log;
struct netlink;
struct tun;

/*
 * Discovery on the LANs of this host: a message of node/mesh.h in a link-local multicast group, on every link that has neighbours. Some are sent
 * when a link or its address is new, then one a minute.
 */
struct lan;

enum {
	LAN_PORT = 6697,
	LAN_LINKS_MAX = 32,		/* more are left out */
	LAN_FIRST_COUNT = 3,		/* messages on a new link... */
	LAN_FIRST_S = 2,		/* ...so far apart, */
	LAN_AGAIN_S = 60,		/* and then so far, give or take a quarter */
	LAN_LOOK_MS = 200,		/* after a change of links or addresses they are looked at so much later, once for all */
	LAN_TAKEN_MAX = 100,		/* messages that are looked at a second; what waits then is the kernel's to drop */
};

struct lan_options {
	struct ev_loop *loop;
	struct netlink *netlink;
	const struct tun *tun;		/* ours, where none are sent */
	const char *name;		/* of our interface */
	const struct log *log;
	/* What to send now; false: nothing, ask again soon. */
	bool (*write)(void *ctx, uint8_t msg[MESH_LAN_LEN]);
	/* What came in: 'from' is link-local, with its interface; the port is only that of the sender's socket for this. */
	void (*seen)(void *ctx, const struct endpoint *from, const uint8_t *msg, size_t len);
	void *ctx;
};

/* What the options point to has to outlive it. It is off. NULL: no memory. */
struct lan *lan_new(const struct lan_options *o);
void lan_free(struct lan *l);

/* On or off: off, there is no socket. */
void lan_set(struct lan *l, bool on);

/* The monitor saw something: enum netlink_event. */
void lan_netlink(struct lan *l, int events);

#endif
