/* SPDX-License-Identifier: MIT */
/*
 * The LANs of this host, for discovery (sys/lan.h): two dumps, links and then IPv6 addresses (rtnetlink(7)), as netlink_locals.c has them.
 *
 * A LAN is a link with neighbours: up with a carrier, Ethernet or what looks like it, with multicast and neighbour discovery, and a link-local
 * address that duplicate detection has passed (RFC 4862 5.4). So tunnels, the loopback and dummies are none. A bridge and its ports, or a host's
 * end of a container's cable, may be: a message more or less a minute does no harm there.
 */
#include "sys/netlink.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "sys/netlink_request.h"

enum { LOWER_UP = 1 << 16 };	/* IFF_LOWER_UP of linux/if.h, which does not go with net/if.h */

struct lans {
	uint32_t except;
	struct netlink_link *v;
	size_t count, max;
};

static bool is_lan(const struct ifinfomsg *ifi)
{
	const unsigned int wanted = IFF_UP | IFF_RUNNING | LOWER_UP | IFF_MULTICAST;

	return ifi->ifi_type == ARPHRD_ETHER && (ifi->ifi_flags & wanted) == wanted &&
	       !(ifi->ifi_flags & (IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP));
}

static void visit_link(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[IFLA_IFNAME + 1];
	const struct ifinfomsg *ifi;
	struct lans *l = ctx;

	if (!h) {
		l->count = 0;
		return;
	}
	ifi = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(h) < sizeof(*ifi) || l->count == l->max)
		return;
	if (!is_lan(ifi) || (uint32_t)ifi->ifi_index == l->except)
		return;
	netlink_attrs_read(h, sizeof(*ifi), attrs, IFLA_IFNAME + 1);
	l->v[l->count] = (struct netlink_link){ .ifindex = (uint32_t)ifi->ifi_index };
	if (attrs[IFLA_IFNAME])
		snprintf(l->v[l->count].name, sizeof(l->v[l->count].name), "%s", mnl_attr_get_str(attrs[IFLA_IFNAME]));
	l->count++;
}

static void visit_address(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[IFA_FLAGS + 1];
	const struct ifaddrmsg *ifa;
	struct lans *l = ctx;
	struct ip_addr a;

	for (size_t i = 0; !h && i < l->count; i++)
		l->v[i].address = (struct ip_addr){ 0 };
	if (!h)
		return;
	ifa = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*ifa) || ifa->ifa_family != AF_INET6)
		return;
	netlink_attrs_read(h, sizeof(*ifa), attrs, IFA_FLAGS + 1);
	if (netlink_attr_u32(attrs[IFA_FLAGS], ifa->ifa_flags) & (IFA_F_TENTATIVE | IFA_F_DADFAILED))
		return;
	if (!netlink_attr_addr(attrs[IFA_ADDRESS], IP_V6, &a) || !ip_addr_is_link_local(&a))
		return;
	for (size_t i = 0; i < l->count; i++)
		if (l->v[i].ifindex == ifa->ifa_index)
			l->v[i].address = a;
}

int netlink_lans(struct netlink *nl, uint32_t except, struct netlink_link *v, size_t max, size_t *count)
{
	struct lans l = { .except = except, .v = v, .max = max };
	const struct netlink_visitor links = { visit_link, &l }, addresses = { visit_address, &l };
	struct netlink_request r;
	struct ifinfomsg *ifi = netlink_request_begin(&r, RTM_GETLINK, 0, sizeof(*ifi));
	struct ifaddrmsg *ifa;
	int err;

	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(&r.header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = netlink_request_dump(nl, &r, &links);
	if (!err) {
		ifa = netlink_request_begin(&r, RTM_GETADDR, 0, sizeof(*ifa));
		ifa->ifa_family = AF_INET6;
		err = netlink_request_dump(nl, &r, &addresses);
	}
	*count = 0;
	for (size_t i = 0; i < l.count && !err; i++)
		if (v[i].address.family == IP_V6)
			v[(*count)++] = v[i];
	return err;
}
