/* SPDX-License-Identifier: MIT */
/*
 * Route netlink for links and addresses (rtnetlink(7)). Routes are in netlink_route.c, rules in netlink_rule.c, the
 * changes we hear of in netlink_monitor.c, the exchange with the kernel in netlink_request.c.
 *
 * Every request is what ip(8) would send for the same words, so that what we leave in the kernel cannot be told
 * from what wg-quick leaves. Lists are handed to visitors only when the dump is complete and consistent.
 */
#include "sys/netlink.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "sys/netlink_request.h"

int netlink_open(struct netlink *nl)
{
	int err;

	memset(nl, 0, sizeof(*nl));
	err = netlink_request_open(nl);
	if (!err)
		err = netlink_monitor_open(nl);
	if (err)
		netlink_close(nl);
	return err;
}

void netlink_close(struct netlink *nl)
{
	if (nl->request)
		mnl_socket_close(nl->request);
	if (nl->monitor)
		mnl_socket_close(nl->monitor);
	memset(nl, 0, sizeof(*nl));
}

const char *netlink_error(const struct netlink *nl)
{
	return nl->error;
}

/* What we want to know of a link. */
struct link {
	uint32_t ifindex, mtu;
	bool up, running;
};

static void read_link(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[IFLA_MTU + 1];
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct link *l = ctx;

	if (h->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(h) < sizeof(*ifi))
		return;
	netlink_attrs_read(h, sizeof(*ifi), attrs, IFLA_MTU + 1);
	l->ifindex = (uint32_t)ifi->ifi_index;
	l->mtu = netlink_attr_u32(attrs[IFLA_MTU], 0);
	l->up = ifi->ifi_flags & IFF_UP;
	l->running = l->up && ifi->ifi_flags & IFF_RUNNING;
}

/* Ask for a link, by name if there is one. Attributes we do not want are left out, to keep the answer small. */
static int get_link(struct netlink *nl, uint32_t ifindex, const char *name, struct link *l)
{
	const struct netlink_visitor v = { read_link, l };
	struct netlink_request r;
	struct ifinfomsg *ifi = netlink_request_begin(&r, RTM_GETLINK, 0, sizeof(*ifi));
	int err;

	ifi->ifi_index = (int)ifindex;
	if (name)
		mnl_attr_put_strz(&r.header, IFLA_IFNAME, name);
	mnl_attr_put_u32(&r.header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	*l = (struct link){ 0 };
	err = netlink_request_run(nl, &r, &v);
	if (!err && !l->ifindex)
		err = -ENODEV;
	return err;
}

int netlink_link_get(struct netlink *nl, uint32_t ifindex, uint32_t *mtu, bool *up)
{
	struct link l;
	int err = ifindex ? get_link(nl, ifindex, NULL, &l) : -ENODEV;

	if (err)
		return err;
	*mtu = l.mtu;
	*up = l.up;
	return 0;
}

int netlink_link_set(struct netlink *nl, uint32_t ifindex, uint32_t mtu, bool up)
{
	struct netlink_request r;
	struct ifinfomsg *ifi = netlink_request_begin(&r, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = up ? IFF_UP : 0;
	if (mtu)
		mnl_attr_put_u32(&r.header, IFLA_MTU, mtu);
	return netlink_request_run(nl, &r, NULL);
}

/* One of the interface's own IPv4 settings (net.ipv4.conf.NAME), which netlink sets even where /proc/sys is read-only. */
static int set_devconf4(struct netlink *nl, uint32_t ifindex, uint16_t setting, uint32_t value)
{
	struct netlink_request r;
	struct ifinfomsg *ifi = netlink_request_begin(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	struct nlattr *spec, *family, *conf;

	ifi->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(&r.header, IFLA_AF_SPEC);
	family = mnl_attr_nest_start(&r.header, AF_INET);
	conf = mnl_attr_nest_start(&r.header, IFLA_INET_CONF);
	mnl_attr_put_u32(&r.header, setting, value);
	mnl_attr_nest_end(&r.header, conf);
	mnl_attr_nest_end(&r.header, family);
	mnl_attr_nest_end(&r.header, spec);
	return netlink_request_run(nl, &r, NULL);
}

int netlink_link_promote(struct netlink *nl, uint32_t ifindex)
{
	return set_devconf4(nl, ifindex, IPV4_DEVCONF_PROMOTE_SECONDARIES, 1);
}

int netlink_link_set_rp_filter(struct netlink *nl, uint32_t ifindex, uint32_t mode)
{
	return set_devconf4(nl, ifindex, IPV4_DEVCONF_RP_FILTER, mode);
}

static int change_address(struct netlink *nl, uint16_t type, uint16_t flags, uint32_t ifindex,
			  const struct ip_prefix *a)
{
	struct netlink_request r;
	struct ifaddrmsg *ifa = netlink_request_begin(&r, type, flags, sizeof(*ifa));

	ifa->ifa_family = netlink_af(a->addr.family);
	ifa->ifa_prefixlen = a->len;
	ifa->ifa_index = ifindex;
	if (type == RTM_NEWADDR && a->addr.family == IP_V4 && a->addr.bytes[0] == 127)
		ifa->ifa_scope = RT_SCOPE_HOST;
	netlink_request_put_addr(&r, IFA_LOCAL, &a->addr);
	netlink_request_put_addr(&r, IFA_ADDRESS, &a->addr);
	return netlink_request_run(nl, &r, NULL);
}

int netlink_address_add(struct netlink *nl, uint32_t ifindex, const struct ip_prefix *a)
{
	return change_address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, a);
}

int netlink_address_remove(struct netlink *nl, uint32_t ifindex, const struct ip_prefix *a)
{
	return change_address(nl, RTM_DELADDR, 0, ifindex, a);
}

/* Addresses of one interface and family, while the dump lasts. */
struct address_list {
	uint32_t ifindex;
	uint8_t family;
	struct ip_prefix *v;
	size_t count, size;
	bool failed;
};

static void keep_address(struct address_list *l, const struct ip_prefix *a)
{
	if (l->count == l->size) {
		size_t size = l->size ? 2 * l->size : 8;
		struct ip_prefix *v = reallocarray(l->v, size, sizeof(*v));

		if (!v) {
			l->failed = true;
			return;
		}
		l->v = v;
		l->size = size;
	}
	l->v[l->count++] = *a;
}

static void read_address(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[IFA_LOCAL + 1];
	const struct ifaddrmsg *ifa;
	struct address_list *l = ctx;
	struct ip_prefix a;

	if (!h) {
		l->count = 0;
		return;
	}
	ifa = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*ifa) ||
	    ifa->ifa_index != l->ifindex || ifa->ifa_family != netlink_af(l->family))
		return;
	netlink_attrs_read(h, sizeof(*ifa), attrs, IFA_LOCAL + 1);
	/* IFA_ADDRESS is the other end's of a point-to-point address; IPv6 has no IFA_LOCAL otherwise. */
	if (!netlink_attr_addr(attrs[IFA_LOCAL], l->family, &a.addr) &&
	    !netlink_attr_addr(attrs[IFA_ADDRESS], l->family, &a.addr))
		return;
	a.len = ifa->ifa_prefixlen;
	keep_address(l, &a);
}

static int dump_addresses(struct netlink *nl, struct address_list *l)
{
	const struct netlink_visitor v = { read_address, l };
	struct netlink_request r;
	struct ifaddrmsg *ifa = netlink_request_begin(&r, RTM_GETADDR, 0, sizeof(*ifa));
	int err;

	ifa->ifa_family = netlink_af(l->family);
	ifa->ifa_index = l->ifindex;
	err = netlink_request_dump(nl, &r, &v);
	return err ? err : l->failed ? -ENOMEM : 0;
}

int netlink_address_each(struct netlink *nl, uint32_t ifindex,
			 void (*visit)(void *ctx, const struct ip_prefix *a), void *ctx)
{
	struct address_list v4 = { .ifindex = ifindex, .family = IP_V4 };
	struct address_list v6 = { .ifindex = ifindex, .family = IP_V6 };
	int err;

	err = dump_addresses(nl, &v4);
	if (!err)
		err = dump_addresses(nl, &v6);
	if (!err) {
		for (size_t i = 0; i < v4.count; i++)
			visit(ctx, &v4.v[i]);
		for (size_t i = 0; i < v6.count; i++)
			visit(ctx, &v6.v[i]);
	}
	free(v4.v);
	free(v6.v);
	return err;
}

/* The addresses of an interface as Babel wants them: those of before if they are still there, else the first. */
struct lan_addresses {
	uint32_t ifindex;
	const struct netlink_lan *before;
	struct ip_addr address, address4;
};

static void take_lan_address(struct ip_addr *slot, const struct ip_addr *before, const struct ip_addr *a)
{
	if (slot->family == IP_NONE || ip_addr_equal(a, before))
		*slot = *a;
}

static void read_lan_address(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[IFA_FLAGS + 1];
	const struct ifaddrmsg *ifa;
	struct lan_addresses *l = ctx;
	struct ip_addr a;
	uint32_t flags;

	if (!h) {
		l->address.family = l->address4.family = IP_NONE;
		return;
	}
	ifa = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*ifa) || ifa->ifa_index != l->ifindex)
		return;
	netlink_attrs_read(h, sizeof(*ifa), attrs, IFA_FLAGS + 1);
	flags = netlink_attr_u32(attrs[IFA_FLAGS], ifa->ifa_flags);
	if (flags & IFA_F_DADFAILED || (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)))
		return;
	if (!netlink_attr_addr(attrs[IFA_LOCAL], netlink_family(ifa->ifa_family), &a) &&
	    !netlink_attr_addr(attrs[IFA_ADDRESS], netlink_family(ifa->ifa_family), &a))
		return;
	if (a.family == IP_V4)
		take_lan_address(&l->address4, &l->before->address4, &a);
	else if (ip_addr_is_link_local(&a))
		take_lan_address(&l->address, &l->before->address, &a);
}

int netlink_lan_get(struct netlink *nl, const char *name, struct netlink_lan *lan)
{
	static const uint8_t afs[] = { AF_INET, AF_INET6 };
	struct lan_addresses l = { .before = lan };
	const struct netlink_visitor v = { read_lan_address, &l };
	struct netlink_lan now = { 0 };
	struct link link = { 0 };
	int err = name[0] && strlen(name) < IFNAMSIZ ? get_link(nl, 0, name, &link) : -ENODEV;

	l.ifindex = link.ifindex;
	for (size_t i = 0; i < 2 && !err; i++) {
		struct netlink_request r;
		struct ifaddrmsg *ifa = netlink_request_begin(&r, RTM_GETADDR, 0, sizeof(*ifa));

		ifa->ifa_family = afs[i];
		ifa->ifa_index = link.ifindex;
		err = netlink_request_dump(nl, &r, &v);
		if (!err && afs[i] == AF_INET)
			now.address4 = l.address4;
		else if (!err)
			now.address = l.address;
	}
	if (!err) {
		now.ifindex = link.ifindex;
		now.mtu = link.mtu;
		now.up = link.running;
	}
	if (!err || err == -ENODEV)
		*lan = now;
	return err;
}
