/* SPDX-License-Identifier: MIT */
/*
 * Which addresses of this host packets may leave from (rtnetlink(7)): two dumps, addresses and then links, and what is left of the first after the
 * second.
 *
 * An address is judged by its flags: what duplicate detection has not passed (RFC 4862 5.4) is not ours yet; what is deprecated (5.5.4) shall not
 * begin anything new, and is about to go; a temporary one (RFC 8981) hides a host that a path shows anyway, and goes every day. One address of each
 * subnet is enough to begin with; the others, and those just named, are spare: whoever sends there gets its answers from there. A host with thousands
 * of interfaces has addresses by thousands of which hardly any leads anywhere, so both lists are bounded.
 */
#include "sys/netlink.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "sys/netlink_request.h"

enum {
	ADDRESSES_MAX = 4096,	/* of each family */
	LOOPBACK = 1,		/* the interface lo, in every namespace */
	SUBNET6 = 64,		/* an IPv6 address with a longer prefix is in a subnet all the same (RFC 5942), but on lo */
	LOWER_UP = 1 << 16,	/* IFF_LOWER_UP of linux/if.h, which does not go with net/if.h */
};

/* In which order they are told; of each, tunnels' after the others. */
enum reach { REACH_FAR, REACH_LINK, REACH_HOST, REACHES };

struct candidate {
	struct netlink_local local;
	struct ip_prefix subnet;
	uint32_t ifindex;		/* also of lo */
	bool temporary;
	bool live;			/* its interface is up, with a carrier */
	enum reach reach;
};

struct candidates {
	uint32_t except;
	struct candidate *v;
	size_t count;
};

static bool is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == IP_V4 ? a->bytes[0] == 127 : !memcmp(a->bytes, one, sizeof(one));
}

static enum reach reach_of(const struct ip_addr *a)
{
	if (is_loopback(a))
		return REACH_HOST;
	if (ip_addr_is_link_local(a) || (a->family == IP_V4 && a->bytes[0] == 169 && a->bytes[1] == 254))
		return REACH_LINK;
	return REACH_FAR;
}

static bool is_usable(uint32_t flags)
{
	if (flags & IFA_F_DADFAILED)
		return false;
	if (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC))
		return false;
	return true;
}

static bool read_address(const struct nlmsghdr *h, struct candidate *c)
{
	const struct nlattr *attrs[IFA_FLAGS + 1];
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	uint8_t family;
	uint32_t flags;

	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*ifa))
		return false;
	netlink_attrs_read(h, sizeof(*ifa), attrs, IFA_FLAGS + 1);
	family = netlink_family(ifa->ifa_family);
	flags = netlink_attr_u32(attrs[IFA_FLAGS], ifa->ifa_flags);
	memset(c, 0, sizeof(*c));
	/* IFA_ADDRESS is the other end's of a point-to-point address; IPv6 has no IFA_LOCAL otherwise. */
	if (!is_usable(flags) || (!netlink_attr_addr(attrs[IFA_LOCAL], family, &c->local.addr) &&
					  !netlink_attr_addr(attrs[IFA_ADDRESS], family, &c->local.addr)))
		return false;
	c->ifindex = ifa->ifa_index;
	c->subnet = (struct ip_prefix){ .addr = c->local.addr, .len = ifa->ifa_prefixlen };
	if (family == IP_V6 && c->subnet.len > SUBNET6 && c->ifindex != LOOPBACK)
		c->subnet.len = SUBNET6;
	ip_prefix_mask(&c->subnet);
	c->local.spare = flags & IFA_F_DEPRECATED;
	c->temporary = family == IP_V6 && flags & IFA_F_TEMPORARY;
	c->reach = reach_of(&c->local.addr);
	return true;
}

/* The one of its interface and subnet that there is already, or NULL. */
static struct candidate *find_beside(const struct candidates *list, const struct candidate *c)
{
	for (size_t i = 0; i < list->count; i++)
		if (!list->v[i].local.spare && list->v[i].ifindex == c->ifindex && ip_prefix_equal(&list->v[i].subnet, &c->subnet))
			return &list->v[i];
	return NULL;
}

/* IPv4 tells the oldest first, IPv6 the newest: the oldest stays the one when others come. */
static bool is_better(const struct candidate *c, const struct candidate *beside)
{
	if (c->temporary != beside->temporary)
		return beside->temporary;
	return c->local.addr.family == IP_V6;
}

static void visit_address(void *ctx, const struct nlmsghdr *h)
{
	struct candidates *list = ctx;
	struct candidate c, *beside;

	if (!h) {
		list->count = 0;
		return;
	}
	if (!read_address(h, &c) || c.ifindex == list->except)
		return;
	beside = c.local.spare ? NULL : find_beside(list, &c);
	if (list->count == ADDRESSES_MAX)
		return;
	if (beside && is_better(&c, beside))
		beside->local.spare = true;
	else if (beside)
		c.local.spare = true;
	list->v[list->count++] = c;
}

static bool is_tunnel(const struct ifinfomsg *ifi, const struct nlattr *linkinfo)
{
	const struct nlattr *info[IFLA_INFO_KIND + 1];
	const char *kind;

	netlink_attrs_read_nested(linkinfo, info, IFLA_INFO_KIND + 1);
	if (!info[IFLA_INFO_KIND])
		return false;
	kind = mnl_attr_get_str(info[IFLA_INFO_KIND]);
	/* With frames it is a cable to a virtual machine, most often. */
	return !strcmp(kind, "wireguard") || (!strcmp(kind, "tun") && ifi->ifi_type != ARPHRD_ETHER);
}

static void visit_link(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[IFLA_LINKINFO + 1];
	const unsigned int live = IFF_UP | IFF_RUNNING | LOWER_UP;
	const struct ifinfomsg *ifi;
	struct candidates *list = ctx;

	for (size_t i = 0; !h && i < list->count; i++)
		list->v[i].live = false;
	if (!h)
		return;
	ifi = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(h) < sizeof(*ifi))
		return;
	netlink_attrs_read(h, sizeof(*ifi), attrs, IFLA_LINKINFO + 1);
	for (size_t i = 0; i < list->count; i++) {
		struct candidate *c = &list->v[i];

		if (c->ifindex != (uint32_t)ifi->ifi_index)
			continue;
		c->live = (ifi->ifi_flags & live) == live;
		c->local.ifindex = ifi->ifi_flags & IFF_LOOPBACK ? 0 : c->ifindex;
		c->local.tunnel = is_tunnel(ifi, attrs[IFLA_LINKINFO]);
		if (attrs[IFLA_IFNAME])
			snprintf(c->local.name, sizeof(c->local.name), "%s", mnl_attr_get_str(attrs[IFLA_IFNAME]));
	}
}

static int dump(struct netlink *nl, struct candidates *list)
{
	static const uint8_t afs[] = { AF_INET, AF_INET6 };
	const struct netlink_visitor links = { visit_link, list };
	struct netlink_request r;
	struct ifinfomsg *ifi;
	size_t taken = 0;
	int err = 0;

	for (size_t i = 0; i < 2 && !err; i++) {
		struct candidates part = { .except = list->except, .v = list->v + taken };
		const struct netlink_visitor v = { visit_address, &part };
		struct ifaddrmsg *ifa = netlink_request_begin(&r, RTM_GETADDR, 0, sizeof(*ifa));

		ifa->ifa_family = afs[i];
		err = netlink_request_dump(nl, &r, &v);
		taken += part.count;
	}
	list->count = taken;
	if (err)
		return err;
	ifi = netlink_request_begin(&r, RTM_GETLINK, 0, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(&r.header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return netlink_request_dump(nl, &r, &links);
}

static unsigned int place_of(const struct candidate *c)
{
	return 2 * (c->reach + (c->local.spare ? REACHES : 0)) + c->local.tunnel;
}

int netlink_locals(struct netlink *nl, uint32_t except, struct netlink_local *v, size_t max, size_t *count)
{
	struct candidates list = { .except = except, .v = calloc((size_t)2 * ADDRESSES_MAX, sizeof(*list.v)) };
	int err = list.v ? dump(nl, &list) : -ENOMEM;

	*count = 0;
	for (unsigned int place = 0; place < 4 * REACHES && !err; place++)
		for (size_t i = 0; i < list.count && *count < max; i++)
			if (list.v[i].live && place_of(&list.v[i]) == place)
				v[(*count)++] = list.v[i].local;
	free(list.v);
	return err;
}
