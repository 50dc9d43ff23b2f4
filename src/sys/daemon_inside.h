/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_DAEMON_INSIDE_H
#define MESHD_SYS_DAEMON_INSIDE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "node/config.h"
#include "node/node.h"
#include "sys/daemon.h"
#include "sys/iface.h"
#include "sys/netlink.h"
#include "sys/stamp.h"
#include "sys/tun.h"
#include "sys/udp.h"

struct workers;
struct control_server;
struct mesh_host;
struct routing;
struct uapi_server;
struct underlay;

/*
 * The inside of the daemon proper, shared by daemon.c (life and loop), settings.c (what it is told
 * to be) and names.c (where peers are by name), and by nobody else.
 */

enum {
	RESOLVE_WAIT_MS = 5000,		/* at start, for all names together */
	RESOLVE_RETRY_S = 20,		/* between attempts at names that did not resolve */
	FOLLOW_MS = 100,		/* while there is traffic the node looks at its timers so often */
	WORKERS_AUTO_MAX = 4,
	STOP_MOMENT_MS = 20,		/* for what the lanes have to send at the end */
};

struct daemon {
	struct daemon_options o;
	struct ev_loop *loop;
	struct node *node;
	struct workers *workers;	/* NULL until they run */
	unsigned int worker_count;
	unsigned int offloads;		/* wanted */
	struct tun tun;
	struct udp udp;
	struct netlink netlink;
	struct iface iface;
	struct stamp stamp;
	struct routing *routing;
	struct underlay *underlay;
	struct mesh_host *mesh;
	bool planned;			/* we end to come back at once: kernel routes over ordinary interfaces stay */
	struct uapi_server *uapi;
	char uapi_path[64];
	struct control_server *control;
	struct config config;		/* in force; of a bare interface it is empty */
	bool configured;		/* not bare */
	uint32_t mark;			/* that we chose for the default route; 0: none */
	int64_t start_us;
	int status;			/* exit status */

	ev_io netlink_io, parent_io;
	ev_async bell;			/* a lane has something for the node */
	ev_stat uapi_file;		/* of a bare interface: gone means end, as with other userspace implementations */
	ev_timer follow;		/* look again, for there was traffic */
	bool following;
	ev_timer wake;			/* node_deadline() */
	ev_timer resolve;		/* names again */
	ev_prepare turn;
	ev_signal term, interrupt;
};

/* settings.c */

/* Apply a change to sockets and node: all of it (0) or nothing (negative errno). */
int daemon_apply(struct daemon *d, const struct change *c);

/* The config given at start: names resolved, applied, addresses, MTU, routes. 0, or negative errno with one line in 'why'. */
int daemon_configure(struct daemon *d, struct text *why);

/* Put the config 'text' in the place of the one in force. False, with one line in 'why' and nothing changed. */
bool daemon_reload(struct daemon *d, const char *text, size_t len, struct text *why);

/* Addresses of the config and of our record, as the interface shall have them. 0, or negative errno with one line in 'why' and nothing changed. */
int daemon_set_addresses(struct daemon *d, const struct config *c, struct text *why);

/* The running config as a file; holds secrets. */
void daemon_format_config(struct daemon *d, struct text *out);

/* names.c */

/* Ask for the names of the config, and wait for the answers a moment. */
void daemon_resolve_first(struct daemon *d);

/* NODE_EFFECT_RESOLVE: ask again for the names of peers that answer nowhere. */
void daemon_resolve_stale(struct daemon *d);

/* A frame from the parent told what a name resolves to. */
void daemon_resolved(struct daemon *d, const char *payload, size_t len);

/* Ask again for names that have not resolved. True: there are some. */
bool daemon_resolve_again(struct daemon *d);

/* daemon.c */

/* Put other sockets in the place of those in use. */
void daemon_take_sockets(struct daemon *d, struct udp *fresh);

/* Do what the node asks for: check paths, save the timestamp. */
void daemon_effects(struct daemon *d);

/* Tell the parent what its firewall rules need. */
void daemon_tell_made(struct daemon *d);

#endif
