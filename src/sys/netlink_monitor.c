/* SPDX-License-Identifier: MIT */
/*
 * The monitor: route netlink's multicast groups for links, addresses, routes and rules (rtnetlink(7)).
 *
 * It never blocks. It does not keep what it hears, only what kind of thing changed: whoever wants to know
 * asks again, so a lost event costs nothing but one look at everything.
 */
#include "sys/netlink.h"

#include <errno.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "sys/netlink_request.h"

enum {
	MONITOR_GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
			 RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | 1 << (RTNLGRP_IPV6_RULE - 1),
	MONITOR_BYTES = 1 << 20,	/* its buffer, doubled by the kernel: a turn's worth of our own routes must not overflow it */
	MONITOR_BATCH_MAX = 256,	/* datagrams a call, so that a storm of routes cannot hold up the daemon */
};

int netlink_monitor_open(struct netlink *nl)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const int bytes = MONITOR_BYTES;

	if (!s)
		return -errno;
	/* Past the system's limit, which needs CAP_NET_ADMIN; without, what overflows is looked up again. */
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (mnl_socket_bind(s, MONITOR_GROUPS, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		mnl_socket_close(s);
		return err;
	}
	nl->monitor = s;
	return 0;
}

int netlink_monitor_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->monitor);
}

/*
 * A change of another link counts as one of the routes: the kernel does not announce all that go with a link, and
 * the way's MTU may be the link's. Leaving a bridge is announced like a deletion, but in the bridge's family.
 */
static int link_event(const struct nlmsghdr *h, uint32_t ifindex)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*ifi))
		return NETLINK_LOST;
	if ((uint32_t)ifi->ifi_index != ifindex)
		return NETLINK_ROUTES | NETLINK_LINKS;
	if (h->nlmsg_type == RTM_DELLINK && ifi->ifi_family == AF_UNSPEC)
		return NETLINK_LINK | NETLINK_LINK_GONE;
	return NETLINK_LINK;
}

/* Babel's routes are told apart, for they come by thousands, and from ourselves: the notice carries the asker's port. */
static int babel_event(const struct netlink *nl, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[RTA_PRIORITY + 1];
	uint32_t priority;

	netlink_attrs_read(h, sizeof(struct rtmsg), attrs, RTA_PRIORITY + 1);
	priority = netlink_attr_u32(attrs[RTA_PRIORITY], 0);
	if (h->nlmsg_type == RTM_DELROUTE && priority && priority == nl->priority &&
	    h->nlmsg_pid != mnl_socket_get_portid(nl->request))
		return NETLINK_BABEL | NETLINK_BABEL_LOST;
	return NETLINK_BABEL;
}

/* What the kernel only remembers of a route, a path MTU say, is not a route. */
static int route_event(const struct netlink *nl, const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*rtm))
		return NETLINK_LOST;
	if (rtm->rtm_flags & RTM_F_CLONED)
		return 0;
	return rtm->rtm_protocol == NETLINK_PROTOCOL ? babel_event(nl, h) : NETLINK_ROUTES;
}

static int event_of(const struct netlink *nl, const struct nlmsghdr *h, uint32_t ifindex)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_event(h, ifindex);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return NETLINK_ADDRESS;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_event(nl, h);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return NETLINK_ROUTES;
	case NLMSG_OVERRUN:
		return NETLINK_LOST;
	default:
		return 0;
	}
}

int netlink_monitor_read(struct netlink *nl, uint32_t ifindex)
{
	union {
		struct nlmsghdr align;
		uint8_t bytes[NETLINK_ANSWER_MAX];
	} buf;
	int events = 0;

	for (int i = 0; i < MONITOR_BATCH_MAX; i++) {
		ssize_t n = mnl_socket_recvfrom(nl->monitor, buf.bytes, sizeof(buf.bytes));
		int len = (int)n;

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC))	/* overflow; libmnl's word for truncated */
			events |= NETLINK_LOST;
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		for (const struct nlmsghdr *h = (void *)buf.bytes; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len))
			events |= event_of(nl, h, ifindex);
	}
	return events;
}
