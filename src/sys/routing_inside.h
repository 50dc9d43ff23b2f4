/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_ROUTING_INSIDE_H
#define MESHD_SYS_ROUTING_INSIDE_H

#include <ev.h>

#include "node/babel_settings.h"
#include "node/routing.h"
#include "sys/babel_udp.h"
#include "sys/kfib.h"
#include "sys/kroutes.h"
#include "sys/kslot.h"
#include "sys/kunder.h"
#include "sys/netlink.h"
#include "sys/routing.h"

/* The inside of sys/routing.h, shared by routing.c and routing_lan.c, and by nobody else. */

/* An ordinary interface the config names. */
struct routing_lan {
	struct routing *r;
	bool wanted;
	bool missing, failed;		/* somebody was told */
	int fd;				/* -1: none */
	uint32_t fd_ifindex;		/* the interface it is bound to */
	struct netlink_lan seen;
	struct node_lan told;		/* name "": this place is free */
	ev_io io;
};

struct routing {
	struct routing_options o;
	bool watching;			/* the node wants to know what the host has: Babel is on, or lanes forward */
	bool on;
	uint32_t tun;
	struct routing_state last;	/* as saved */
	char state_path[128], resume_path[128];
	bool resumed;			/* the run before us handed over: what it kept in the kernel is good */
	int64_t saved_us;		/* when; 0: not yet */

	struct kslot slot;
	struct kfib *fib;		/* NULL: routes go nowhere */
	struct kfib_options fib_options;
	struct kunder under;
	bool keep_strays;		/* of the run before us, until 'sweep' */
	bool lost;			/* the kernel may have dropped routes of ours */
	bool renamed;			/* links changed, names perhaps */
	struct kroutes main[2];		/* the last reading is main[now] */
	unsigned int now;
	struct ip_prefix *addresses;	/* of our own interface, as last told */
	size_t address_count;
	bool addresses_told;

	struct routing_lan lans[BABEL_LANS_MAX];
	uint8_t *buffer;		/* BABEL_UDP_PACKET_MAX */

	ev_timer look;			/* at the host, some time after it changed */
	int64_t look_us;		/* how long the last took */
	ev_timer sweep;
	ev_timer save;			/* what came too soon after the last */
};

/* routing_lan.c */

/* Take over which are wanted; then look at them. True: some cannot be used yet for a reason no event tells the end of. */
void routing_lans_configure(struct routing *r);
bool routing_lans_look(struct routing *r);
void routing_lans_close(struct routing *r);

/* Send what waits, so many at most. True: there is more. */
bool routing_lans_send(struct routing *r, struct instant now, unsigned int count_max);

#endif
