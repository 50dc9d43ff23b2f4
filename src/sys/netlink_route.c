/* SPDX-License-Identifier: MIT */
/*
 * Routes by route netlink: adding and removing them, reading tables, and asking the kernel which way it
 * would send (rtnetlink(7); iproute2's iproute.c for what ip(8) sends and how it filters).
 *
 * A dump is asked for with the table and the interface as filter, which a strict kernel applies, and filtered here
 * again, since an older one sends everything. Copies the kernel keeps for itself (RTM_F_CLONED) never count. The
 * queries only fold what they see into one result, which starts afresh with the dump.
 */
#include "sys/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "sys/netlink_request.h"

enum { LOOPBACK = 1 };		/* the interface lo, in every namespace */

/* A route as the kernel tells it. */
struct entry {
	struct netlink_route route;	/* ifindex 0: none, or several */
	uint32_t first_hop;		/* interface of the first next hop */
	uint32_t mtu;
	struct ip_addr source;		/* that it prefers; family IP_NONE: not told */
	uint8_t type;
};

static uint32_t table_or_main(uint32_t table)
{
	return table ? table : RT_TABLE_MAIN;
}

static uint32_t read_mtu(const struct nlattr *metrics)
{
	const struct nlattr *attrs[RTAX_MTU + 1];

	netlink_attrs_read_nested(metrics, attrs, RTAX_MTU + 1);
	return netlink_attr_u32(attrs[RTAX_MTU], 0);
}

static uint32_t read_first_hop(const struct nlattr *multipath)
{
	struct rtnexthop hop;

	if (!multipath || mnl_attr_get_payload_len(multipath) < sizeof(hop))
		return 0;
	memcpy(&hop, mnl_attr_get_payload(multipath), sizeof(hop));
	return (uint32_t)hop.rtnh_ifindex;
}

/* False: not a route, or one of the kernel's own copies when 'clones' is not set. */
static bool read_entry(const struct nlmsghdr *h, bool clones, struct entry *e)
{
	const struct nlattr *attrs[RTA_TABLE + 1];
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*rtm) ||
	    (!clones && rtm->rtm_flags & RTM_F_CLONED))
		return false;
	memset(e, 0, sizeof(*e));
	netlink_attrs_read(h, sizeof(*rtm), attrs, RTA_TABLE + 1);
	e->route.dst.len = rtm->rtm_dst_len;
	e->route.dst.addr.family = netlink_family(rtm->rtm_family);
	netlink_attr_addr(attrs[RTA_DST], e->route.dst.addr.family, &e->route.dst.addr);
	e->route.table = netlink_attr_u32(attrs[RTA_TABLE], rtm->rtm_table);
	e->route.ifindex = netlink_attr_u32(attrs[RTA_OIF], 0);
	e->route.protocol = rtm->rtm_protocol;
	e->first_hop = e->route.ifindex ? e->route.ifindex : read_first_hop(attrs[RTA_MULTIPATH]);
	e->mtu = read_mtu(attrs[RTA_METRICS]);
	netlink_attr_addr(attrs[RTA_PREFSRC], e->route.dst.addr.family, &e->source);
	e->type = rtm->rtm_type;
	return true;
}

static void put_table(struct netlink_request *r, struct rtmsg *rtm, uint32_t table)
{
	rtm->rtm_table = (uint8_t)(table < 256 ? table : RT_TABLE_UNSPEC);
	if (table >= 256)
		mnl_attr_put_u32(&r->header, RTA_TABLE, table);
}

static int change_route(struct netlink *nl, uint16_t type, uint16_t flags, const struct netlink_route *route)
{
	struct netlink_request r;
	struct rtmsg *rtm = netlink_request_begin(&r, type, flags, sizeof(*rtm));

	rtm->rtm_family = netlink_af(route->dst.addr.family);
	rtm->rtm_dst_len = route->dst.len;
	rtm->rtm_protocol = route->protocol ? route->protocol : RTPROT_BOOT;
	rtm->rtm_type = RTN_UNICAST;
	if (type == RTM_DELROUTE)
		rtm->rtm_scope = RT_SCOPE_NOWHERE;	/* any */
	else if (route->dst.addr.family == IP_V4)
		rtm->rtm_scope = RT_SCOPE_LINK;		/* there is no gateway */
	put_table(&r, rtm, table_or_main(route->table));
	if (route->dst.len)
		netlink_request_put_addr(&r, RTA_DST, &route->dst.addr);
	mnl_attr_put_u32(&r.header, RTA_OIF, route->ifindex);
	return netlink_request_run(nl, &r, NULL);
}

int netlink_route_add(struct netlink *nl, const struct netlink_route *r)
{
	return change_route(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r);
}

int netlink_route_remove(struct netlink *nl, const struct netlink_route *r)
{
	return change_route(nl, RTM_DELROUTE, 0, r);
}

static int change_local(struct netlink *nl, uint16_t type, uint16_t flags, const struct ip_prefix *p)
{
	struct netlink_request r;
	struct rtmsg *rtm = netlink_request_begin(&r, type, flags, sizeof(*rtm));

	rtm->rtm_family = netlink_af(p->addr.family);
	rtm->rtm_dst_len = p->len;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_type = RTN_LOCAL;
	rtm->rtm_scope = RT_SCOPE_HOST;
	rtm->rtm_table = RT_TABLE_LOCAL;
	netlink_request_put_addr(&r, RTA_DST, &p->addr);
	mnl_attr_put_u32(&r.header, RTA_OIF, LOOPBACK);
	return netlink_request_run(nl, &r, NULL);
}

int netlink_local_route_add(struct netlink *nl, const struct ip_prefix *p)
{
	return change_local(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, p);
}

int netlink_local_route_delete(struct netlink *nl, const struct ip_prefix *p)
{
	return change_local(nl, RTM_DELROUTE, 0, p);
}

/* What to look for in a table, and what is made of it. */
struct scan {
	uint8_t family;
	uint32_t table;
	uint32_t ifindex;			/* 0: any */
	void (*see)(struct scan *s, const struct entry *e);

	uint32_t except;			/* an interface that shall not count */
	bool found;
	struct entry best;
	struct netlink_route *list;
	size_t count, size;
	bool failed;
};

static void scan_visit(void *ctx, const struct nlmsghdr *h)
{
	struct scan *s = ctx;
	struct entry e;

	if (!h) {
		s->found = false;
		s->count = 0;
	} else if (read_entry(h, false, &e) && e.route.dst.addr.family == s->family && e.route.table == s->table &&
		   (!s->ifindex || e.route.ifindex == s->ifindex)) {
		s->see(s, &e);
	}
}

/* A table that does not exist is an empty one. */
static int scan_table(struct netlink *nl, struct scan *s)
{
	const struct netlink_visitor v = { scan_visit, s };
	struct netlink_request r;
	struct rtmsg *rtm = netlink_request_begin(&r, RTM_GETROUTE, 0, sizeof(*rtm));
	int err;

	rtm->rtm_family = netlink_af(s->family);
	mnl_attr_put_u32(&r.header, RTA_TABLE, s->table);
	if (s->ifindex)
		mnl_attr_put_u32(&r.header, RTA_OIF, s->ifindex);
	err = netlink_request_dump(nl, &r, &v);
	if (err == -ENOENT) {
		nl->error[0] = '\0';
		err = 0;
	}
	return err ? err : s->failed ? -ENOMEM : 0;
}

static void see_any(struct scan *s, const struct entry *e)
{
	(void)e;
	s->found = true;
}

int netlink_table_empty(struct netlink *nl, uint8_t family, uint32_t table)
{
	static const uint8_t families[] = { IP_V4, IP_V6 };

	for (size_t i = 0; i < 2; i++) {
		struct scan s = { .family = families[i], .table = table_or_main(table), .see = see_any };
		int err;

		if (family && family != families[i])
			continue;
		err = scan_table(nl, &s);
		if (err)
			return err;
		if (s.found)
			return 0;
	}
	return 1;
}

static void see_route(struct scan *s, const struct entry *e)
{
	if (s->count == s->size) {
		size_t size = s->size ? 2 * s->size : 16;
		struct netlink_route *list = reallocarray(s->list, size, sizeof(*list));

		if (!list) {
			s->failed = true;
			return;
		}
		s->list = list;
		s->size = size;
	}
	s->list[s->count++] = e->route;
}

int netlink_route_each(struct netlink *nl, uint32_t ifindex, uint8_t family, uint32_t table,
		       void (*visit)(void *ctx, const struct netlink_route *r), void *ctx)
{
	struct scan s = {
		.family = family, .table = table_or_main(table), .ifindex = ifindex, .see = see_route,
	};
	int err = scan_table(nl, &s);

	for (size_t i = 0; !err && i < s.count; i++)
		visit(ctx, &s.list[i]);
	free(s.list);
	return err;
}

/* The MTU of a route: its own, or its interface's. */
static int entry_mtu(struct netlink *nl, const struct entry *e, uint32_t *mtu)
{
	bool up;

	*mtu = e->mtu;
	return e->mtu ? 0 : netlink_link_get(nl, e->first_hop, mtu, &up);
}

static void read_way(void *ctx, const struct nlmsghdr *h)
{
	read_entry(h, true, ctx);
}

/*
 * The errors of routes that refuse, as a socket would report them. IPv4 answers a blackhole with EINVAL, and
 * without words; a malformed request has some.
 */
static int refusal(const struct netlink *nl, int err)
{
	if (err == -EACCES)
		return -EHOSTUNREACH;
	if (err == -EINVAL && !nl->error[0])
		return -ENETUNREACH;
	return err;
}

static int check_way(const struct entry *e)
{
	switch (e->type) {
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		return -EHOSTUNREACH;
	case RTN_BLACKHOLE:
	case RTN_THROW:
		return -ENETUNREACH;
	default:
		return e->first_hop ? 0 : -ENETUNREACH;
	}
}

int netlink_route_get(struct netlink *nl, const struct ip_addr *dst, uint32_t scope, uint32_t fwmark,
		      struct netlink_way *way)
{
	struct entry e = { 0 };
	const struct netlink_visitor v = { read_way, &e };
	struct netlink_request r;
	struct rtmsg *rtm = netlink_request_begin(&r, RTM_GETROUTE, 0, sizeof(*rtm));
	uint32_t mtu;
	int err;

	if (!ip_family_bits(dst->family))
		return -EAFNOSUPPORT;
	rtm->rtm_family = netlink_af(dst->family);
	rtm->rtm_dst_len = (uint8_t)ip_family_bits(dst->family);
	netlink_request_put_addr(&r, RTA_DST, dst);
	if (fwmark)
		mnl_attr_put_u32(&r.header, RTA_MARK, fwmark);
	if (scope && ip_addr_is_link_local(dst))
		mnl_attr_put_u32(&r.header, RTA_OIF, scope);
	err = refusal(nl, netlink_request_run(nl, &r, &v));
	if (!err)
		err = check_way(&e);
	if (!err)
		err = entry_mtu(nl, &e, &mtu);
	if (err)
		return err;
	way->ifindex = e.first_hop;
	way->mtu = mtu;
	return 0;
}

/* Of a path's packets. 'flags': RTM_F_FIB_MATCH, or 0. */
static int ask_way(struct netlink *nl, const struct path_addr *p, uint32_t fwmark, uint32_t flags, struct entry *e)
{
	const struct netlink_visitor v = { read_way, e };
	const struct ip_addr *dst = &p->remote.addr;
	uint32_t ifindex = p->pinned ? p->ifindex : ip_addr_is_link_local(dst) ? p->remote.scope : 0;
	struct netlink_request r;
	struct rtmsg *rtm = netlink_request_begin(&r, RTM_GETROUTE, 0, sizeof(*rtm));
	int err;

	memset(e, 0, sizeof(*e));
	rtm->rtm_family = netlink_af(dst->family);
	rtm->rtm_dst_len = (uint8_t)ip_family_bits(dst->family);
	rtm->rtm_flags = flags;
	netlink_request_put_addr(&r, RTA_DST, dst);
	if (p->local.family) {
		rtm->rtm_src_len = rtm->rtm_dst_len;
		netlink_request_put_addr(&r, RTA_SRC, &p->local);
	}
	if (fwmark)
		mnl_attr_put_u32(&r.header, RTA_MARK, fwmark);
	if (ifindex)
		mnl_attr_put_u32(&r.header, RTA_OIF, ifindex);
	err = refusal(nl, netlink_request_run(nl, &r, &v));
	if (err || flags)	/* a match may be of many next hops */
		return err;
	err = check_way(e);
	/* Of IPv6 the interface is no more than a wish once there is a source. */
	if (!err && ifindex && e->type != RTN_LOCAL && e->first_hop != ifindex)
		err = -ENETUNREACH;
	return err;
}

/*
 * Asked for a way over one interface, IPv4 takes what no route of that interface covers for a neighbour: only the match itself (Linux 4.13) tells the
 * difference. The match also has the route's own MTU, where the way has what ICMP said.
 */
int netlink_way_get(struct netlink *nl, const struct path_addr *path, uint32_t fwmark, struct netlink_way *way)
{
	struct entry way_found, match;
	uint32_t mtu;
	int err;

	if (!ip_family_bits(path->remote.addr.family) || (path->local.family && path->local.family != path->remote.addr.family))
		return -EAFNOSUPPORT;
	err = ask_way(nl, path, fwmark, 0, &way_found);
	if (!err && (way_found.mtu || (path->pinned && way_found.type != RTN_LOCAL && path->remote.addr.family == IP_V4))) {
		err = ask_way(nl, path, fwmark, RTM_F_FIB_MATCH, &match);
		way_found.mtu = match.mtu;
	}
	if (!err)
		err = entry_mtu(nl, &way_found, &mtu);
	if (err)
		return err;
	*way = (struct netlink_way){
		.ifindex = way_found.first_hop, .mtu = mtu, .local = way_found.type == RTN_LOCAL,
		.source = path->local.family ? path->local : way_found.source,
	};
	return 0;
}

/* The kernel lists them by metric: the first is the one it uses. */
static void see_default(struct scan *s, const struct entry *e)
{
	if (e->route.dst.len || e->type != RTN_UNICAST || !e->first_hop || e->first_hop == s->except)
		return;
	if (!s->found)
		s->best = *e;
	s->found = true;
}

int netlink_default_mtu(struct netlink *nl, uint32_t except, uint32_t *mtu)
{
	static const uint8_t families[] = { IP_V4, IP_V6 };

	for (size_t i = 0; i < 2; i++) {
		struct scan s = { .family = families[i], .table = RT_TABLE_MAIN, .see = see_default, .except = except };
		int err = scan_table(nl, &s);

		if (err)
			return err;
		if (s.found)
			return entry_mtu(nl, &s.best, mtu);
	}
	return -ENETUNREACH;
}
