/* SPDX-License-Identifier: MIT */
/*
 * LAN discovery: who is in the same mesh and on the same link finds the other's link-local address, without the internet and before any routing.
 *
 * One socket, port 6697, in the group ff02::6d65:7368 ("mesh" in ASCII) on every link there is (RFC 4291 2.7: link-local scope, never forwarded).
 * The port is shared (SO_REUSEADDR) and what is sent comes back to this host, so that several meshds on it hear each other; what is one's own is
 * told by its key. What did not come to the group, or not from a link-local address, is ignored.
 *
 * Links are looked at as a whole, some time after the monitor told of a change; a link that is new, or has another address, is told in
 * LAN_FIRST_COUNT messages, for one may be lost before the switch knows who listens (RFC 4541). Nothing is sent in answer to anything, so there can
 * be no storm; what comes in is held to a rate.
 */
#include "sys/lan.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/clock.h"
#include "sys/netlink.h"
#include "sys/tun.h"

enum {
	RECEIVE_BYTES = 64 << 10,
	RECEIVE_BATCH = 32,	/* a turn */
	PACKET_MAX = 512,	/* longer ones are none of ours */
};

struct link {
	struct netlink_link at;
	unsigned int first;	/* messages left of LAN_FIRST_COUNT */
	int64_t next_us;
};

struct lan {
	struct lan_options o;
	int fd;			/* -1: it is off, or could not be opened */
	bool on, failed;
	struct link links[LAN_LINKS_MAX];
	size_t link_count;
	unsigned int taken;	/* of LAN_TAKEN_MAX, since the second began */
	ev_io io;
	ev_timer look, send, second;
};

static const struct in6_addr group = { .s6_addr = { 0xff, 0x02, [12] = 'm', 'e', 's', 'h' } };

static int open_socket(void)
{
	static const struct {
		int level, option, value;
		bool needed;
	} options[] = {
		{ IPPROTO_IPV6, IPV6_V6ONLY, 1, true },
		{ SOL_SOCKET, SO_REUSEADDR, 1, true },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, true },
		{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, true },
		{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, true },
		{ SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES, false },
	};
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(LAN_PORT) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	int error = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && !error; i++)
		if (setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(int)) && options[i].needed)
			error = -errno;
	if (!error && bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		error = -errno;
	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

/*
 * Sending.
 */

static void send_on(const struct lan *l, const struct link *k, const uint8_t msg[MESH_LAN_LEN])
{
	const struct sockaddr_in6 to = {
		.sin6_family = AF_INET6, .sin6_port = htons(LAN_PORT), .sin6_addr = group, .sin6_scope_id = k->at.ifindex,
	};

	/* What a link does not take is lost, as on the wire. */
	sendto(l->fd, msg, MESH_LAN_LEN, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
}

static int64_t pause_us(void)
{
	const struct rng rng = system_rng();
	const int64_t quarter_us = LAN_AGAIN_S * US_PER_S / 4;

	return LAN_AGAIN_S * US_PER_S - quarter_us + rng_below(&rng, (uint32_t)(2 * quarter_us));
}

static void rearm(struct lan *l, int64_t now_us)
{
	int64_t next_us = NEVER_US;

	ev_timer_stop(l->o.loop, &l->send);
	for (size_t i = 0; i < l->link_count; i++)
		if (l->links[i].next_us < next_us)
			next_us = l->links[i].next_us;
	if (next_us == NEVER_US || l->fd < 0)
		return;
	ev_now_update(l->o.loop);
	ev_timer_set(&l->send, next_us > now_us ? (double)(next_us - now_us) / 1e6 : 0.0, 0.0);
	ev_timer_start(l->o.loop, &l->send);
}

static void send_due(struct lan *l)
{
	int64_t now_us = clock_now().mono_us;
	uint8_t msg[MESH_LAN_LEN];
	bool have = l->o.write(l->o.ctx, msg);

	for (size_t i = 0; i < l->link_count; i++) {
		struct link *k = &l->links[i];

		if (k->next_us > now_us)
			continue;
		if (have)
			send_on(l, k, msg);
		if (have && k->first)
			k->first--;
		k->next_us = now_us + (k->first || !have ? LAN_FIRST_S * US_PER_S : pause_us());
	}
	rearm(l, now_us);
}

static void on_send(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	send_due(w->data);
}

/*
 * Links.
 */

static int change_group(const struct lan *l, uint32_t ifindex, int option)
{
	const struct ipv6_mreq mreq = { .ipv6mr_multiaddr = group, .ipv6mr_interface = ifindex };

	return setsockopt(l->fd, IPPROTO_IPV6, option, &mreq, sizeof(mreq)) ? -errno : 0;
}

static struct link *find(struct link *v, size_t count, uint32_t ifindex)
{
	for (size_t i = 0; i < count; i++)
		if (v[i].at.ifindex == ifindex)
			return &v[i];
	return NULL;
}

static void take_link(struct lan *l, const struct netlink_link *at, const struct link *before)
{
	struct link *k = &l->links[l->link_count];
	int error = before ? 0 : change_group(l, at->ifindex, IPV6_JOIN_GROUP);

	if (error && error != -EADDRINUSE) {
		log_debug(l->o.log, "%s: no discovery on %s: %s", l->o.name, at->name, strerror(-error));
		return;
	}
	if (before)
		*k = *before;
	if (!before || !ip_addr_equal(&before->at.address, &at->address))
		*k = (struct link){ .first = LAN_FIRST_COUNT };
	k->at = *at;
	l->link_count++;
}

static void look(struct lan *l)
{
	struct netlink_link found[LAN_LINKS_MAX];
	struct link before[LAN_LINKS_MAX];
	size_t before_count = l->link_count, count;

	if (l->fd < 0 || netlink_lans(l->o.netlink, l->o.tun->ifindex, found, LAN_LINKS_MAX, &count))
		return;
	memcpy(before, l->links, sizeof(before));
	l->link_count = 0;
	/* What went makes room first; the group goes with the link itself, so failing is fine. */
	for (size_t i = 0; i < before_count; i++) {
		bool stays = false;

		for (size_t j = 0; j < count; j++)
			stays |= found[j].ifindex == before[i].at.ifindex;
		if (!stays)
			change_group(l, before[i].at.ifindex, IPV6_LEAVE_GROUP);
	}
	for (size_t i = 0; i < count; i++)
		take_link(l, &found[i], find(before, before_count, found[i].ifindex));
	rearm(l, clock_now().mono_us);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	look(w->data);
}

void lan_netlink(struct lan *l, int events)
{
	if (l->fd < 0 || !(events & (NETLINK_ADDRESS | NETLINK_LINKS | NETLINK_LINK_GONE | NETLINK_LOST)) || ev_is_active(&l->look))
		return;
	ev_now_update(l->o.loop);
	ev_timer_set(&l->look, LAN_LOOK_MS / 1e3, 0.0);
	ev_timer_start(l->o.loop, &l->look);
}

/*
 * Receiving.
 */

/* Where it came in, and whether it came to the group: Linux gives us those of links, too, where only others of the host have joined. */
static uint32_t read_control(struct msghdr *m, bool *to_group)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo info;

		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		*to_group = !memcmp(&info.ipi6_addr, &group, sizeof(group));
		return info.ipi6_ifindex;
	}
	*to_group = false;
	return 0;
}

/* False: nothing waits. */
static bool receive(struct lan *l)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	uint8_t msg[PACKET_MAX];
	struct sockaddr_in6 from = { 0 };
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(msg) };
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct endpoint e = { .addr = { .family = IP_V6 } };
	ssize_t n = recvmsg(l->fd, &m, 0);
	bool to_group;

	if (n < 0)
		return errno != EAGAIN;
	e.scope = read_control(&m, &to_group);
	e.port = ntohs(from.sin6_port);
	memcpy(e.addr.bytes, &from.sin6_addr, sizeof(e.addr.bytes));
	if (to_group && !(m.msg_flags & MSG_TRUNC) && ip_addr_is_link_local(&e.addr) && find(l->links, l->link_count, e.scope))
		l->o.seen(l->o.ctx, &e, msg, (size_t)n);
	return true;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct lan *l = w->data;

	(void)revents;
	for (int i = 0; i < RECEIVE_BATCH && l->taken < LAN_TAKEN_MAX; i++) {
		if (!receive(l))
			break;
		l->taken++;
	}
	if (l->taken >= LAN_TAKEN_MAX)
		ev_io_stop(loop, w);
	if (l->taken && !ev_is_active(&l->second)) {
		ev_now_update(loop);
		ev_timer_set(&l->second, 1.0, 0.0);
		ev_timer_start(loop, &l->second);
	}
}

static void on_second(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lan *l = w->data;

	(void)revents;
	l->taken = 0;
	ev_io_start(loop, &l->io);
}

/*
 * Life.
 */

static void close_socket(struct lan *l)
{
	ev_timer_stop(l->o.loop, &l->look);
	ev_timer_stop(l->o.loop, &l->send);
	ev_timer_stop(l->o.loop, &l->second);
	if (l->fd < 0)
		return;
	ev_io_stop(l->o.loop, &l->io);
	close(l->fd);
	l->fd = -1;
	l->link_count = 0;
	l->taken = 0;
}

void lan_set(struct lan *l, bool on)
{
	if (on == l->on && !l->failed)
		return;
	l->on = on;
	l->failed = false;
	close_socket(l);
	if (!on)
		return;
	l->fd = open_socket();
	if (l->fd < 0) {
		log_warning(l->o.log, "%s: no discovery of other nodes on the LAN: UDP port %d: %s", l->o.name, LAN_PORT, strerror(-l->fd));
		l->fd = -1;
		l->failed = true;
		return;
	}
	ev_io_init(&l->io, on_readable, l->fd, EV_READ);
	l->io.data = l;
	ev_io_start(l->o.loop, &l->io);
	look(l);
}

struct lan *lan_new(const struct lan_options *o)
{
	struct lan *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->o = *o;
	l->fd = -1;
	ev_timer_init(&l->look, on_look, 0.0, 0.0);
	ev_timer_init(&l->send, on_send, 0.0, 0.0);
	ev_timer_init(&l->second, on_second, 0.0, 0.0);
	l->look.data = l->send.data = l->second.data = l;
	return l;
}

void lan_free(struct lan *l)
{
	if (!l)
		return;
	close_socket(l);
	free(l);
}
