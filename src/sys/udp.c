/* SPDX-License-Identifier: MIT */
/*
 * The UDP sockets: batches of datagrams with what must be known of each - who sent it to which of our addresses, over which
 * interface, with which TOS - in control messages (ip(7), RFC 3542). Answers leave from the address that was asked.
 *
 * Path MTU discovery is off (IP_PMTUDISC_DONT): like WireGuard's, outer packets have DF clear and may be fragmented on the way;
 * what ICMP claims about sizes is not believed.
 *
 * Control buffers are the kernel's to shorten, so they are set anew before every call. In one to be sent TOS comes
 * first and the local address last: to send once more without the address is to shorten it.
 *
 * sendmmsg(2) stops at the first datagram it cannot send and forgets why, if others went before it. Sending on from there
 * makes that one the first, which tells its error; it is judged alone and the rest goes on.
 */
#include "sys/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/arena.h"

enum {
	BUFFER_BYTES = 1 << 20,		/* of each socket, each way */
	PORT_TRIES = 100,		/* kernel-chosen ports tried until one is free in both families */
	PENDING_ERRORS_MAX = 16,	/* swallowed in one receive */
	SEND_TRIES = 3,			/* of one datagram, after the first */
	SEND_WAIT_MS = 5,		/* for room in the buffers, in one udp_send() */
	/* Address and TOS of either family; the union of both. */
	CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)),
};

/* One message header with all it points to, except the data. */
struct envelope {
	union {
		struct sockaddr sa;
		struct sockaddr_in sin;
		struct sockaddr_in6 sin6;
	} remote;
	struct iovec iov;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE];
};

void udp_init(struct udp *u)
{
	*u = (struct udp){ .fd4 = -1, .fd6 = -1 };
}

void udp_close(struct udp *u)
{
	if (u->fd4 >= 0)
		close(u->fd4);
	if (u->fd6 >= 0)
		close(u->fd6);
	arena_unmap(u->arena);
	udp_init(u);
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int set_mark(int fd, uint32_t mark)
{
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ? -errno : 0;
}

/* FORCE goes past the system's limit and needs CAP_NET_ADMIN; else what the limit allows. */
static void set_buffers(int fd)
{
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES))
		set_option(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES))
		set_option(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
}

static int set_options4(int fd)
{
	int error = set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);

	if (!error)
		error = set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
	if (!error)
		error = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	return error;
}

static int set_options6(int fd)
{
	int error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	if (!error)
		error = set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (!error)
		error = set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	if (!error)
		error = set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	return error;
}

static int bind_any(int fd, int family, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int failed;

	if (family == AF_INET)
		failed = bind(fd, (const struct sockaddr *)&sin, sizeof(sin));
	else
		failed = bind(fd, (const struct sockaddr *)&sin6, sizeof(sin6));
	return failed ? -errno : 0;
}

/* A socket of 'family' on 'port', or negative errno. */
static int open_one(int family, uint16_t port, uint32_t fwmark)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	int error;

	if (fd < 0)
		return -errno;
	set_buffers(fd);
	error = family == AF_INET ? set_options4(fd) : set_options6(fd);
	if (!error && fwmark)
		error = set_mark(fd, fwmark);
	if (!error)
		error = bind_any(fd, family, port);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sin = { .sin_port = 0 };
	socklen_t len = sizeof(sin);

	getsockname(fd, (struct sockaddr *)&sin, &len);
	return ntohs(sin.sin_port);
}

/* Both sockets on 'port', or on one the kernel picks for the first of them. */
static int open_both(struct udp *u, uint16_t port, uint32_t fwmark)
{
	int fd4, fd6;

	fd4 = open_one(AF_INET, port, fwmark);
	if (fd4 < 0)
		return fd4;
	u->port = port_of(fd4);
	fd6 = open_one(AF_INET6, u->port, fwmark);
	if (fd6 == -EAFNOSUPPORT)
		fd6 = -1;	/* a kernel without IPv6 */
	else if (fd6 < 0) {
		close(fd4);
		return fd6;
	}
	u->fd4 = fd4;
	u->fd6 = fd6;
	u->fwmark = fwmark;
	return 0;
}

int udp_open(struct udp *u, uint16_t port, uint32_t fwmark)
{
	int error;

	udp_init(u);
	u->arena = arena_map();
	if (!u->arena)
		return -ENOMEM;
	for (int i = 0; i < PORT_TRIES; i++) {
		error = open_both(u, port, fwmark);
		if (error != -EADDRINUSE || port)
			break;
	}
	if (error)
		udp_close(u);
	return error;
}

int udp_set_fwmark(struct udp *u, uint32_t fwmark)
{
	int error = 0;

	if (u->fd4 >= 0)
		error = set_mark(u->fd4, fwmark);
	if (!error && u->fd6 >= 0) {
		error = set_mark(u->fd6, fwmark);
		if (error && u->fd4 >= 0)
			set_mark(u->fd4, u->fwmark);
	}
	if (!error)
		u->fwmark = fwmark;
	return error;
}

/*
 * Errors an earlier datagram left in the socket: ICMP's answers to it, or the interface that went. They say nothing about
 * the call that returns them.
 */
static bool is_pending(int error)
{
	switch (error) {
	case EINTR:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EACCES:
	case EPROTO:
	case EMSGSIZE:
		return true;
	default:
		return false;
	}
}

static struct ip_addr addr4(const struct in_addr *a)
{
	struct ip_addr out = { .family = IP_V4 };

	memcpy(out.bytes, a, sizeof(*a));
	return out;
}

static struct ip_addr addr6(const struct in6_addr *a)
{
	struct ip_addr out = { .family = IP_V6 };

	memcpy(out.bytes, a, sizeof(*a));
	return out;
}

/* Control data may lie at any alignment and be shorter than it should. False: shorter. */
static bool cmsg_get(const struct cmsghdr *c, void *out, size_t len)
{
	if (c->cmsg_len < CMSG_LEN(len))
		return false;
	memcpy(out, CMSG_DATA(c), len);
	return true;
}

static void read_cmsg4(const struct cmsghdr *c, struct dgram *d)
{
	struct in_pktinfo info;
	uint8_t tos;

	if (c->cmsg_type == IP_PKTINFO && cmsg_get(c, &info, sizeof(info))) {
		/* Not ipi_addr: to a broadcast one answers from one's own. */
		d->path.local = addr4(&info.ipi_spec_dst);
		d->path.ifindex = (uint32_t)info.ipi_ifindex;
	} else if (c->cmsg_type == IP_TOS && cmsg_get(c, &tos, sizeof(tos))) {
		d->tos = tos;
	}
}

static void read_cmsg6(const struct cmsghdr *c, struct dgram *d)
{
	struct in6_pktinfo info;
	int tclass;

	if (c->cmsg_type == IPV6_PKTINFO && cmsg_get(c, &info, sizeof(info))) {
		if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
			d->path.local = addr6(&info.ipi6_addr);
		d->path.ifindex = info.ipi6_ifindex;
	} else if (c->cmsg_type == IPV6_TCLASS && cmsg_get(c, &tclass, sizeof(tclass))) {
		d->tos = (uint8_t)tclass;
	}
}

static bool read_remote(const struct envelope *e, struct endpoint *remote)
{
	if (e->remote.sa.sa_family == AF_INET) {
		remote->addr = addr4(&e->remote.sin.sin_addr);
		remote->port = ntohs(e->remote.sin.sin_port);
		return true;
	}
	if (e->remote.sa.sa_family == AF_INET6) {
		remote->addr = addr6(&e->remote.sin6.sin6_addr);
		remote->port = ntohs(e->remote.sin6.sin6_port);
		remote->scope = e->remote.sin6.sin6_scope_id;
		return true;
	}
	return false;
}

/* What arrived in one envelope. False: not whole, or from nowhere. */
static bool read_envelope(const struct envelope *e, struct mmsghdr *m, struct dgram *d)
{
	*d = (struct dgram){ .data = e->iov.iov_base, .len = m->msg_len };
	if (m->msg_hdr.msg_flags & MSG_TRUNC || !read_remote(e, &d->path.remote))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_cmsg4(c, d);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_cmsg6(c, d);
	}
	return true;
}

static void clear_envelope(struct envelope *e, struct mmsghdr *m, uint8_t *slot)
{
	e->remote.sa.sa_family = AF_UNSPEC;
	e->iov = (struct iovec){ .iov_base = slot, .iov_len = ARENA_PACKET_MAX };
	m->msg_hdr = (struct msghdr){
		.msg_name = &e->remote, .msg_namelen = sizeof(e->remote), .msg_iov = &e->iov, .msg_iovlen = 1,
		.msg_control = e->control, .msg_controllen = sizeof(e->control),
	};
}

int udp_receive(struct udp *u, int fd, struct dgram out[PACKET_BATCH])
{
	struct envelope env[PACKET_BATCH];
	struct mmsghdr msgs[PACKET_BATCH];
	int count = 0, n = -1;

	for (size_t i = 0; i < PACKET_BATCH; i++)
		clear_envelope(&env[i], &msgs[i], arena_slot(u->arena, i));
	for (int i = 0; n < 0; i++) {
		n = recvmmsg(fd, msgs, PACKET_BATCH, MSG_DONTWAIT, NULL);
		if (n >= 0)
			break;
		if (errno == EAGAIN || (is_pending(errno) && i >= PENDING_ERRORS_MAX))
			return 0;
		if (!is_pending(errno))
			return -errno;
	}
	for (int i = 0; i < n; i++)
		count += read_envelope(&env[i], &msgs[i], &out[count]);
	return count;
}

/* Messages of one family on their way out. */
struct outgoing {
	int fd;
	int *wait_ms;			/* what is left for waiting in this udp_send() */
	size_t count, refused;
	struct mmsghdr msgs[PACKET_BATCH];
	struct envelope env[PACKET_BATCH];
	size_t bare_len[PACKET_BATCH];	/* of the control data without local address */
};

/* Append a control message. */
static void put_cmsg(struct msghdr *m, struct envelope *e, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)(e->control + m->msg_controllen);

	memset(c, 0, CMSG_SPACE(len));	/* the padding goes out too */
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
	m->msg_control = e->control;
}

static void put_remote4(struct msghdr *m, struct envelope *e, const struct endpoint *remote)
{
	e->remote.sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(remote->port) };
	memcpy(&e->remote.sin.sin_addr, remote->addr.bytes, sizeof(struct in_addr));
	m->msg_namelen = sizeof(e->remote.sin);
}

static void put_local4(struct msghdr *m, struct envelope *e, const struct path_addr *path)
{
	struct in_pktinfo info = { .ipi_ifindex = 0 };

	memcpy(&info.ipi_spec_dst, path->local.bytes, sizeof(info.ipi_spec_dst));
	put_cmsg(m, e, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

/* The interface, where an address means nothing without one; otherwise routes choose it. */
static uint32_t scope_of(const struct path_addr *path)
{
	if (!ip_addr_is_link_local(&path->remote.addr) && !ip_addr_is_link_local(&path->local))
		return 0;
	return path->remote.scope ? path->remote.scope : path->ifindex;
}

static void put_remote6(struct msghdr *m, struct envelope *e, const struct path_addr *path)
{
	const struct endpoint *remote = &path->remote;

	e->remote.sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(remote->port) };
	memcpy(&e->remote.sin6.sin6_addr, remote->addr.bytes, sizeof(struct in6_addr));
	if (ip_addr_is_link_local(&remote->addr))
		e->remote.sin6.sin6_scope_id = scope_of(path);
	m->msg_namelen = sizeof(e->remote.sin6);
}

static void put_local6(struct msghdr *m, struct envelope *e, const struct path_addr *path)
{
	struct in6_pktinfo info = { .ipi6_ifindex = scope_of(path) };

	memcpy(&info.ipi6_addr, path->local.bytes, sizeof(info.ipi6_addr));
	put_cmsg(m, e, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

/* Write one datagram's envelope. */
static void put_dgram(struct outgoing *o, const struct dgram *d)
{
	bool v4 = d->path.remote.addr.family == IP_V4;
	struct msghdr *m = &o->msgs[o->count].msg_hdr;
	struct envelope *e = &o->env[o->count];
	int tos = d->tos;

	e->iov = (struct iovec){ .iov_base = d->data, .iov_len = d->len };
	*m = (struct msghdr){ .msg_name = &e->remote, .msg_iov = &e->iov, .msg_iovlen = 1 };
	if (v4)
		put_remote4(m, e, &d->path.remote);
	else
		put_remote6(m, e, &d->path);
	if (tos && v4)
		put_cmsg(m, e, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	else if (tos)
		put_cmsg(m, e, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	o->bare_len[o->count] = m->msg_controllen;
	if (d->path.local.family == d->path.remote.addr.family) {
		if (v4)
			put_local4(m, e, &d->path);
		else
			put_local6(m, e, &d->path);
	}
	o->count++;
}

/* Wait for room in the socket, within what is left. False: nothing is left, or there was none. */
static bool wait_for_room(struct outgoing *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };

	if (*o->wait_ms <= 0)
		return false;
	if (poll(&p, 1, *o->wait_ms) <= 0) {
		*o->wait_ms = 0;
		return false;
	}
	--*o->wait_ms;
	return true;
}

/* Whether sending message i once more can help after 'error', having made the difference. */
static bool repair(struct outgoing *o, size_t i, int error)
{
	struct msghdr *m = &o->msgs[i].msg_hdr;

	switch (error) {
	case EINTR:
	case ENOBUFS:
	case ECONNREFUSED:	/* an older datagram's error; telling it cleared it */
		return true;
	case EAGAIN:
		return wait_for_room(o);
	case EINVAL:
	case ENETUNREACH:
	case EADDRNOTAVAIL:
	case ENODEV:
	case ENXIO:
		/* The local address, or its interface, may be what is wrong. */
		if (m->msg_controllen == o->bare_len[i])
			return false;
		m->msg_controllen = o->bare_len[i];
		return true;
	default:
		return false;
	}
}

/* Message i could not be sent. */
static bool send_again(struct outgoing *o, size_t i, int error)
{
	for (int tries = 0; tries < SEND_TRIES; tries++) {
		if (!repair(o, i, error))
			return false;
		if (sendmsg(o->fd, &o->msgs[i].msg_hdr, MSG_DONTWAIT) >= 0)
			return true;
		error = errno;
	}
	return false;
}

static void flush(struct outgoing *o)
{
	size_t at = 0;

	while (at < o->count) {
		int n = sendmmsg(o->fd, o->msgs + at, (unsigned int)(o->count - at), MSG_DONTWAIT);

		if (n > 0) {
			at += (size_t)n;
		} else {
			o->refused += !send_again(o, at, errno);
			at++;
		}
	}
	o->count = 0;
}

/* Send those of the batch that are of 'family'. Returns how many were refused. */
static size_t send_family(int fd, uint8_t family, const struct dgram *dgrams, size_t count, int *wait_ms)
{
	struct outgoing o;

	o.fd = fd;
	o.wait_ms = wait_ms;
	o.count = o.refused = 0;
	for (size_t i = 0; i < count; i++) {
		if (dgrams[i].path.remote.addr.family != family)
			continue;
		if (fd < 0) {
			o.refused++;
			continue;
		}
		put_dgram(&o, &dgrams[i]);
		if (o.count == PACKET_BATCH)
			flush(&o);
	}
	flush(&o);
	return o.refused;
}

size_t udp_send(struct udp *u, const struct dgram *dgrams, size_t count)
{
	size_t refused = 0, nowhere = 0;
	int wait_ms = SEND_WAIT_MS;

	for (size_t i = 0; i < count; i++)
		nowhere += dgrams[i].path.remote.addr.family == IP_NONE;
	refused += send_family(u->fd4, IP_V4, dgrams, count, &wait_ms);
	refused += send_family(u->fd6, IP_V6, dgrams, count, &wait_ms);
	return refused + nowhere;
}
