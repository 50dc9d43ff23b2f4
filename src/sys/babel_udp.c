/* SPDX-License-Identifier: MIT */
/*
 * Babel's packets on an ordinary interface (RFC 8966 4, RFC 3542).
 *
 * Each interface has a socket of its own, bound to it (SO_BINDTODEVICE), so that ports of different interfaces do not meet and one that
 * comes late needs nothing of the others. Sockets do not share the port: two programs that speak Babel on one interface would take
 * each other's unicast packets away, so the second is told (EADDRINUSE). Since Linux 5.7 binding to a device needs no privilege; before,
 * CAP_NET_RAW, which the daemon has only until it is started.
 *
 * Hop limit 1, no loop back to ourselves. The kernel's receive stamp, taken when the packet came in, tells how long it has waited for us:
 * that is taken off the clock's reading, and the delay metric (RFC 9616) does not see our own turns.
 */
#include "sys/babel_udp.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sys/clock.h"
#include "wire/babel.h"

enum {
	CLASS_CS6 = 0xc0,
	PRIORITY_CONTROL = 7,		/* TC_PRIO_CONTROL: for a queue at the interface */
	RECEIVE_BYTES = 4 << 20,	/* BIRD says ten thousand routes in one go: 220 packets, a megabyte in the kernel's measure */
	WAITED_US_MAX = 1000000,	/* a stamp that is older, or ahead, is of a clock that was set meanwhile */
};

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static const struct in6_addr group = { .s6_addr = { 0xff, 0x02, [13] = 1, [15] = 6 } };

static int set_options(int fd, uint32_t ifindex)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{ IPPROTO_IPV6, IPV6_V6ONLY, 1 },
		{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1 },
		{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1 },
		{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0 },
		{ IPPROTO_IPV6, IPV6_TCLASS, CLASS_CS6 },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 },
		{ SOL_SOCKET, SO_TIMESTAMPNS, 1 },
	};
	const struct ipv6_mreq mreq = { .ipv6mr_multiaddr = group, .ipv6mr_interface = ifindex };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int error = set_option(fd, options[i].level, options[i].option, options[i].value);

		if (error)
			return error;
	}
	set_option(fd, SOL_SOCKET, SO_PRIORITY, PRIORITY_CONTROL);
	/* FORCE goes past the system's limit and needs CAP_NET_ADMIN; else what the limit allows. */
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES))
		set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &ifindex, sizeof(ifindex)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq, sizeof(mreq)))
		return -errno;
	return 0;
}

int babel_udp_open(const char *iface, uint32_t ifindex)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(BABEL_PORT) };
	struct ifreq device = { 0 };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	int error;

	if (fd < 0)
		return -errno;
	snprintf(device.ifr_name, sizeof(device.ifr_name), "%s", iface);
	error = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, &device, sizeof(device)) ? -errno : set_options(fd, ifindex);
	if (!error && bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		error = -errno;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

/* The clock's reading of when the packet came in. */
static int64_t stamp_of(const struct timespec *came)
{
	struct instant now = clock_now();
	int64_t waited_us;

	if (!came->tv_sec)
		return now.mono_us;
	waited_us = (now.wall_ns - ((int64_t)came->tv_sec * NS_PER_S + came->tv_nsec)) / 1000;
	return waited_us > 0 && waited_us <= WAITED_US_MAX ? now.mono_us - waited_us : now.mono_us;
}

static void read_control(struct msghdr *m, struct node_lan_packet *p, struct timespec *came)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			p->dst.family = IP_V6;
			memcpy(p->dst.bytes, &info.ipi6_addr, sizeof(p->dst.bytes));
			p->ifindex = info.ipi6_ifindex;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(came, CMSG_DATA(c), sizeof(*came));
		}
	}
}

int babel_udp_receive(int fd, uint8_t buffer[BABEL_UDP_PACKET_MAX], struct node_lan_packet *p)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct sockaddr_in6 from = { 0 };
	struct iovec iov = { .iov_base = buffer, .iov_len = BABEL_UDP_PACKET_MAX };
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct timespec came = { 0 };
	ssize_t n = recvmsg(fd, &m, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	*p = (struct node_lan_packet){ .data = buffer, .len = (size_t)n };
	read_control(&m, p, &came);
	p->stamp_us = stamp_of(&came);
	p->src.family = IP_V6;
	memcpy(p->src.bytes, &from.sin6_addr, sizeof(p->src.bytes));
	p->src_port = ntohs(from.sin6_port);
	return m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EMSGSIZE : 1;
}

int babel_udp_send(int fd, const struct node_lan_packet *p)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { 0 };
	struct in6_pktinfo info = { .ipi6_ifindex = p->ifindex };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(BABEL_PORT) };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p->data, .iov_len = p->len };
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	memcpy(&to.sin6_addr, p->dst.bytes, sizeof(to.sin6_addr));
	if (ip_addr_is_link_local(&p->dst) || ip_addr_is_multicast(&p->dst))
		to.sin6_scope_id = p->ifindex;
	if (p->src.family == IP_V6)
		memcpy(&info.ipi6_addr, p->src.bytes, sizeof(info.ipi6_addr));
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return sendmsg(fd, &m, MSG_DONTWAIT) < 0 ? -errno : 0;
}
