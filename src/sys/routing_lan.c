/* SPDX-License-Identifier: MIT */
/*
 * The ordinary interfaces Babel speaks on: followed as they come, go and change, each with its socket (sys/babel_udp.h).
 *
 * An interface is looked up by its name, whenever the monitor told of any change. The socket is bound to one ifindex; a new interface of the
 * same name gets a new one. What the node is told is what the last look saw: "up" means carrier, a link-local address that can be
 * used, and a socket.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/routing_inside.h"

enum { RECEIVE_MAX = 32 };	/* packets of one interface a turn */

static void close_socket(struct routing_lan *l)
{
	if (l->fd < 0)
		return;
	ev_io_stop(l->r->o.loop, &l->io);
	close(l->fd);
	l->fd = -1;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct routing_lan *l = w->data;
	struct node_lan_packet p;

	(void)loop;
	(void)revents;
	for (int i = 0; i < RECEIVE_MAX; i++) {
		int got = babel_udp_receive(l->fd, l->r->buffer, &p);

		if (!got)
			return;
		if (got < 0 || p.ifindex != l->fd_ifindex)
			continue;
		node_lan_receive(l->r->o.node, &p, clock_now());
	}
}

/* One line when it fails, and one more only when it has worked since. */
static void open_socket(struct routing_lan *l)
{
	const struct log *log = &l->r->o.log;
	const char *name = l->told.name;
	int fd = babel_udp_open(name, l->seen.ifindex);

	if (fd == -EADDRINUSE && !l->failed)
		log_warning(log, "%s: another program speaks Babel on %s (UDP port 6696); trying again", l->r->o.name, name);
	else if (fd == -EPERM && !l->failed)
		log_warning(log, "%s: no socket bound to %s can be had: before Linux 5.7 that takes a restart once the interface is there",
			    l->r->o.name, name);
	else if (fd < 0 && !l->failed)
		log_warning(log, "%s: cannot speak Babel on %s: %s; trying again", l->r->o.name, name, strerror(-fd));
	l->failed = fd < 0;
	if (fd < 0)
		return;
	l->fd = fd;
	l->fd_ifindex = l->seen.ifindex;
	ev_io_init(&l->io, on_readable, fd, EV_READ);
	l->io.data = l;
	ev_io_start(l->r->o.loop, &l->io);
}

static void tell(struct routing_lan *l, bool up)
{
	struct node_lan fresh = {
		.ifindex = l->seen.ifindex, .mtu = l->seen.mtu, .up = up, .address = l->seen.address, .address4 = l->seen.address4,
	};
	const struct node_lan *old = &l->told;

	if (fresh.ifindex == old->ifindex && fresh.mtu == old->mtu && fresh.up == old->up &&
	    ip_addr_equal(&fresh.address, &old->address) && ip_addr_equal(&fresh.address4, &old->address4))
		return;
	/* Routes over an interface that was gone are gone, too. */
	l->r->lost |= up && !old->up;
	memcpy(fresh.name, old->name, sizeof(fresh.name));
	l->told = fresh;
	node_set_lan(l->r->o.node, &l->told, clock_now());
}

static void look(struct routing_lan *l)
{
	const struct log *log = &l->r->o.log;
	int error = netlink_lan_get(l->r->o.netlink, l->told.name, &l->seen);
	bool usable;

	if (error && error != -ENODEV)
		return;		/* as it was; the next look is not far */
	if (error && !l->missing)
		log_warning(log, "%s: there is no interface %s to speak Babel on; waiting for it", l->r->o.name, l->told.name);
	else if (!error && l->missing)
		log_info(log, "%s: interface %s is there", l->r->o.name, l->told.name);
	l->missing = error;
	if (l->fd >= 0 && l->fd_ifindex != l->seen.ifindex)
		close_socket(l);
	if (l->seen.ifindex && l->seen.ifindex == l->r->tun) {
		if (!l->failed)
			log_warning(log, "%s: Interface = %s in [Babel] is this very interface, whose links need no such line", l->r->o.name, l->told.name);
		l->failed = true;
		return;
	}
	usable = l->seen.ifindex && l->seen.up && l->seen.address.family == IP_V6;
	if (usable && l->fd < 0)
		open_socket(l);
	tell(l, usable && l->fd >= 0);
}

bool routing_lans_look(struct routing *r)
{
	bool again = false;

	for (size_t i = 0; i < BABEL_LANS_MAX; i++) {
		if (!r->lans[i].told.name[0])
			continue;
		look(&r->lans[i]);
		again |= r->lans[i].failed;
	}
	return again;
}

static struct routing_lan *find(struct routing *r, const char *name)
{
	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		if (!strcmp(r->lans[i].told.name, name))
			return &r->lans[i];
	return NULL;
}

static void want(struct routing *r, const char *name)
{
	struct routing_lan *l = find(r, name);

	if (!l)
		l = find(r, "");
	if (!l)
		return;		/* the config has no more than there is room for */
	if (!l->told.name[0]) {
		*l = (struct routing_lan){ .r = r, .fd = -1 };
		snprintf(l->told.name, sizeof(l->told.name), "%s", name);
	}
	l->wanted = true;
}

static void forget(struct routing_lan *l)
{
	if (l->told.name[0])
		close_socket(l);
	*l = (struct routing_lan){ .fd = -1 };
}

void routing_lans_configure(struct routing *r)
{
	char name[16];

	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		r->lans[i].wanted = false;
	/* Those that go make room first. */
	for (size_t i = 0; node_lan_wanted(r->o.node, i, name); i++) {
		struct routing_lan *l = find(r, name);

		if (l && name[0])
			l->wanted = true;
	}
	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		if (!r->lans[i].wanted)
			forget(&r->lans[i]);
	for (size_t i = 0; node_lan_wanted(r->o.node, i, name); i++) {
		if (!name[0])
			continue;
		want(r, name);
	}
	/* The node may have begun anew with any of them: all are told again. */
	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		r->lans[i].told.ifindex = 0;
}

void routing_lans_close(struct routing *r)
{
	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		forget(&r->lans[i]);
}

bool routing_lans_send(struct routing *r, struct instant now, unsigned int count_max)
{
	struct node_lan_packet p;

	for (unsigned int n = 0; n < count_max; n++) {
		if (!node_lan_next(r->o.node, &p, now))
			return false;
		/* What an interface does not take is lost, as on the wire: Babel sends again in its own time. */
		for (size_t i = 0; i < BABEL_LANS_MAX; i++)
			if (r->lans[i].fd >= 0 && r->lans[i].fd_ifindex == p.ifindex)
				babel_udp_send(r->lans[i].fd, &p);
	}
	return true;
}
