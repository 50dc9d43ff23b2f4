/* SPDX-License-Identifier: MIT */
/*
 * From the kernel's tables to paths (path/path.h): which addresses there are, and which way each path would take.
 *
 *	a link or an address changes	look at the addresses, at once: a path whose address is gone is dead, and the node waits for nothing
 *	routes or rules change		ask for all ways again, UNDERLAY_RECHECK_MS later: routes come by thousands, also our own
 *	the node has new paths		ask for their ways, UNDERLAY_WAYS_A_TURN of them a turn
 *
 * A path is open if packets with its source leave by the interface that has the source. If only another interface leads there, its provider would
 * drop them or should (RFC 2827), and answers would not be to us. A path loops if the kernel's own choice is the tunnel: then the peer is told to be
 * inside the mesh that it is to carry, and that some interface could be made to send there is of no use. Lookups carry the sockets' mark.
 *
 * Addresses of other tunnels are addresses like any others to the kernel, and a peer may have one at the other end of the same tunnel: such a path
 * works, costs little more to probe, and carries everything twice. It is open only where the kernel would go that way unasked: what is reached by a
 * tunnel alone shall be. An Uplink line for the tunnel says that it is wanted.
 */
#include "sys/underlay.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "node/change.h"
#include "node/node.h"
#include "sys/clock.h"
#include "sys/netlink.h"
#include "sys/tun.h"
#include "sys/udp.h"

enum { WARNED_MAX = 32 };

struct underlay {
	struct underlay_options o;
	struct change_uplink uplinks[UPLINKS_MAX];
	size_t uplink_count;
	struct path_local locals[PATH_LOCALS_MAX];	/* as the node knows them */
	size_t local_count;
	struct endpoint warned[WARNED_MAX];		/* of which it was said that they loop; the oldest goes for a new one */
	size_t warned_next;
	bool told;					/* the node knows 'locals' */
	bool look_again;				/* something changed since the last look */
	bool more;					/* paths are left to be checked */
	ev_timer soon;					/* since the last look */
	ev_timer recheck;
};

/*
 * Addresses.
 */

static const struct change_uplink *uplink_of(const struct underlay *u, const char *name)
{
	for (size_t i = 0; i < u->uplink_count; i++)
		if (!strcmp(u->uplinks[i].name, name))
			return &u->uplinks[i];
	return NULL;
}

static struct path_local local_of(const struct underlay *u, const struct netlink_local *found)
{
	const struct change_uplink *named = uplink_of(u, found->name);

	return (struct path_local){
		.addr = found->addr,
		.ifindex = found->ifindex,
		.terms = named ? named->terms : (struct path_terms){ 0 },
		.spare = found->spare,
		.tunnel = found->tunnel && !named,
	};
}

static bool is_same(const struct path_local *a, const struct path_local *b)
{
	return ip_addr_equal(&a->addr, &b->addr) && a->ifindex == b->ifindex && a->terms.cost_ms == b->terms.cost_ms &&
	       a->terms.metered == b->terms.metered && a->terms.never == b->terms.never && a->spare == b->spare && a->tunnel == b->tunnel;
}

static bool has_news(const struct underlay *u, const struct path_local *v, size_t count)
{
	if (!u->told || count != u->local_count)
		return true;
	for (size_t i = 0; i < count; i++)
		if (!is_same(&v[i], &u->locals[i]))
			return true;
	return false;
}

void underlay_look(struct underlay *u)
{
	struct netlink_local found[PATH_LOCALS_MAX];
	struct path_local v[PATH_LOCALS_MAX] = { 0 };
	size_t count;
	int error = netlink_locals(u->o.netlink, u->o.tun->ifindex, found, PATH_LOCALS_MAX, &count);

	u->look_again = error;
	ev_timer_stop(u->o.loop, &u->soon);
	ev_timer_set(&u->soon, UNDERLAY_LOOK_MS / 1e3, 0.0);
	ev_timer_start(u->o.loop, &u->soon);
	if (error)
		return;
	for (size_t i = 0; i < count; i++)
		v[i] = local_of(u, &found[i]);
	if (!has_news(u, v, count))
		return;
	memcpy(u->locals, v, sizeof(v));
	u->local_count = count;
	u->told = true;
	node_set_locals(u->o.node, v, count, clock_now());
}

static void on_soon(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct underlay *u = w->data;

	(void)loop;
	(void)revents;
	if (u->look_again)
		underlay_look(u);
}

void underlay_set_uplinks(struct underlay *u, const struct change_uplink *v, size_t count)
{
	u->uplink_count = count < UPLINKS_MAX ? count : UPLINKS_MAX;
	if (u->uplink_count)
		memcpy(u->uplinks, v, u->uplink_count * sizeof(*v));
	underlay_look(u);
	/* What is a tunnel to us, and with it the ways from there. */
	node_uncheck_endpoints(u->o.node);
}

/*
 * Ways.
 */

struct answer {
	enum path_way way;
	bool preferred;
	uint32_t mtu;
	bool inside;		/* the kernel's own choice is the tunnel */
};

static bool is_ours(const struct underlay *u, uint32_t ifindex)
{
	return u->o.tun->ifindex && ifindex == u->o.tun->ifindex;
}

static bool is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == IP_V4 ? a->bytes[0] == 127 : !memcmp(a->bytes, one, sizeof(one));
}

/* What the kernel does not know is not what it refuses: then packets shall try. */
static enum path_way way_of_error(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH ? PATH_NO_ROUTE : PATH_OPEN;
}

/* 'way': where packets with the path's source go, not pinned. */
static void judge(const struct underlay *u, const struct path_addr *p, const struct netlink_way *way, struct answer *a)
{
	a->mtu = way->mtu;
	if (is_ours(u, way->ifindex))
		a->way = PATH_LOOPS;
	else if (way->local || !p->ifindex || p->ifindex == way->ifindex)
		a->way = PATH_OPEN;
	else
		a->way = PATH_NO_ROUTE;
}

/* A path from an address of another tunnel, and it is not the way the kernel would go by itself. */
static bool is_detour(const struct underlay *u, const struct path_addr *p, const struct netlink_way *any, bool preferred)
{
	for (size_t i = 0; i < u->local_count; i++) {
		const struct path_local *l = &u->locals[i];

		if (l->tunnel && ip_addr_equal(&l->addr, &p->local) && (!p->ifindex || p->ifindex == l->ifindex))
			return !preferred || !(any->local || any->ifindex == l->ifindex);
	}
	return false;
}

static struct answer ask(const struct underlay *u, const struct path_addr *path)
{
	struct answer a = { .way = PATH_OPEN };
	struct path_addr free_choice = { .remote = path->remote }, pinned = *path, with_source = *path;
	struct netlink_way way, any = { 0 };
	int error = netlink_way_get(u->o.netlink, &free_choice, u->o.udp->fwmark, &any);

	a.inside = !error && is_ours(u, any.ifindex);
	if (a.inside || (!error && any.local && path->remote.port == u->o.udp->port && !is_loopback(&path->remote.addr))) {
		a.way = PATH_LOOPS;
		return a;
	}
	a.preferred = !error && (!path->local.family || ip_addr_equal(&any.source, &path->local));
	a.mtu = any.mtu;
	if (!path->local.family) {
		a.way = error ? way_of_error(error) : PATH_OPEN;
		return a;
	}
	if (is_detour(u, path, &any, a.preferred)) {
		a.way = PATH_NO_ROUTE;
		return a;
	}
	pinned.pinned = true;
	with_source.pinned = false;
	if (path->ifindex && !netlink_way_get(u->o.netlink, &pinned, u->o.udp->fwmark, &way)) {
		a.mtu = way.mtu;
		return a;
	}
	error = netlink_way_get(u->o.netlink, &with_source, u->o.udp->fwmark, &way);
	if (error)
		a.way = way_of_error(error);
	else
		judge(u, path, &way, &a);
	return a;
}

/* Said once, and again only after its route was another one. */
static void warn_of_loop(struct underlay *u, const struct endpoint *e, bool loops)
{
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < WARNED_MAX; i++) {
		if (!u->warned[i].addr.family || !endpoint_equal(&u->warned[i], e))
			continue;
		if (!loops)
			u->warned[i] = (struct endpoint){ 0 };
		return;
	}
	if (!loops)
		return;
	u->warned[u->warned_next++ % WARNED_MAX] = *e;
	log_warning(u->o.log, "endpoint %s is routed into %s itself: nothing is sent there until its route changes", endpoint_format(e, text),
		    u->o.name);
}

void underlay_check(struct underlay *u)
{
	struct instant now = clock_now();
	struct path_addr path;
	uint8_t key[KEY_LEN];

	u->more = true;
	for (int i = 0; i < UNDERLAY_WAYS_A_TURN; i++) {
		struct answer a;

		if (!node_next_path(u->o.node, key, &path)) {
			u->more = false;
			return;
		}
		a = ask(u, &path);
		warn_of_loop(u, &path.remote, a.inside);
		node_set_way(u->o.node, key, &path, a.way, a.preferred, a.mtu, now);
	}
}

bool underlay_turn(struct underlay *u)
{
	if (u->more)
		underlay_check(u);
	return u->more;
}

static void on_recheck(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct underlay *u = w->data;

	(void)loop;
	(void)revents;
	node_uncheck_endpoints(u->o.node);
}

void underlay_netlink(struct underlay *u, int events)
{
	const int routes = NETLINK_ADDRESS | NETLINK_ROUTES | NETLINK_BABEL | NETLINK_LINK | NETLINK_LOST;

	if (events & (NETLINK_ADDRESS | NETLINK_LINKS | NETLINK_LINK_GONE | NETLINK_LOST)) {
		u->look_again = true;
		if (!ev_is_active(&u->soon))
			underlay_look(u);
	}
	if (events & routes && !ev_is_active(&u->recheck)) {
		ev_timer_set(&u->recheck, UNDERLAY_RECHECK_MS / 1e3, 0.0);
		ev_timer_start(u->o.loop, &u->recheck);
	}
}

struct underlay *underlay_new(const struct underlay_options *o)
{
	struct underlay *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->o = *o;
	ev_timer_init(&u->soon, on_soon, 0.0, 0.0);
	ev_timer_init(&u->recheck, on_recheck, 0.0, 0.0);
	u->soon.data = u->recheck.data = u;
	return u;
}

void underlay_free(struct underlay *u)
{
	if (!u)
		return;
	ev_timer_stop(u->o.loop, &u->soon);
	ev_timer_stop(u->o.loop, &u->recheck);
	free(u);
}
