/* SPDX-License-Identifier: MIT */
/*
 * The UDP sockets, and receiving: batches of datagrams with what must be known of each - who sent it to which of our addresses,
 * over which interface, with which TOS - in control messages (ip(7), RFC 3542). Answers leave from the address that was asked.
 * Sending is in udp_send.c.
 *
 * Path MTU discovery is off (IP_PMTUDISC_DONT): like WireGuard's, outer packets have DF clear and may be fragmented on the way;
 * what ICMP claims about sizes is not believed.
 *
 * Datagrams of one size and one path travel through the kernel as one (GRO); a control message tells the size. Control
 * buffers are the kernel's to shorten, so they are set anew before every call. Another tells when the kernel received one, by the wall clock: for
 * round trips that do not include how long it lay here.
 */
#include "sys/udp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/arena.h"
#include "sys/clock.h"
#include "sys/steering.h"
#include "sys/udp_inside.h"

enum {
	RECEIVE_BYTES = 1 << 20,	/* buffer of each socket, doubled by the kernel: some milliseconds at line rate. Four times as much
					   and a busy receiver makes it the longest queue on the way */
	SEND_BYTES = 1 << 20,		/* doubled by the kernel, which counts its own memory: some 30 full sends */
	PORT_TRIES = 100,		/* kernel-chosen ports tried until one is free in both families */
	PENDING_ERRORS_MAX = 16,	/* swallowed in one receive */
	SEGMENTS_SURE = 63,		/* datagrams in one send: kernels took 64, old ones counting a header too many, */
	SEGMENTS_PROBED = 127,		/* then 128, since 6.9 and in later stable ones */
	RECEIVE_HOT_BYTES = 128 << 10,	/* what a receive shall bring at most, so that it is still in the cache when opened */
	VLEN_MIN = 2,
	STAMP_AGE_MAX_US = 1000000,	/* a stamp that says more is of a clock that was set */
	FILES_SPARE = 16,		/* descriptors that ports leave to others: the control socket's clients above all */
};

void udp_init(struct udp *u)
{
	*u = (struct udp){ .count = 0 };
	for (size_t i = 0; i < UDP_LANES_MAX; i++)
		u->lanes[i].fd4 = u->lanes[i].fd6 = u->lanes[i].full = -1;
	for (size_t i = 0; i <= UDP_PORTS_MAX; i++)
		u->ports[i].fd4 = u->ports[i].fd6 = -1;
}

static void close_pair(int *fd4, int *fd6)
{
	if (*fd4 >= 0)
		close(*fd4);
	if (*fd6 >= 0)
		close(*fd6);
	*fd4 = *fd6 = -1;
}

static void close_sockets(struct udp *u)
{
	for (size_t i = 0; i < UDP_LANES_MAX; i++)
		close_pair(&u->lanes[i].fd4, &u->lanes[i].fd6);
}

void udp_close(struct udp *u)
{
	close_sockets(u);
	for (size_t i = 1; i <= UDP_PORTS_MAX; i++)
		close_pair(&u->ports[i].fd4, &u->ports[i].fd6);
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
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES))
		set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BYTES))
		set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BYTES);
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

/* A socket of 'family' on 'port', beside others of ours if it shares. The descriptor, or negative errno. */
static int open_one(int family, uint16_t port, uint32_t fwmark, bool share)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	int error;

	if (fd < 0)
		return -errno;
	set_buffers(fd);
	set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);	/* without it times are those of reading */
	error = family == AF_INET ? set_options4(fd) : set_options6(fd);
	if (!error && fwmark)
		error = set_mark(fd, fwmark);
	if (!error && share)
		error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
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

/*
 * Sockets of both families on *port, or (0) on one the kernel picks for the first of them and *port then says. Nobody else has it
 * then. On failure one of them may be open.
 */
static int open_pair(int *fd4, int *fd6, uint16_t *port, uint32_t fwmark)
{
	int fd = open_one(AF_INET, *port, fwmark, false);

	if (fd < 0)
		return fd;
	*fd4 = fd;
	*port = port_of(fd);
	fd = open_one(AF_INET6, *port, fwmark, false);
	if (fd == -EAFNOSUPPORT)
		return 0;	/* a kernel without IPv6 */
	if (fd < 0)
		return fd;
	*fd6 = fd;
	return 0;
}

/*
 * The others beside the first. Those are made to share only now: they were bound alone, so no foreign socket can have
 * been there before, not even one that would have shared.
 */
static int open_others(struct udp *u, uint32_t fwmark, unsigned int lanes)
{
	for (int v6 = 0; v6 < 2; v6++) {
		int first = v6 ? u->lanes[0].fd6 : u->lanes[0].fd4;
		int error;

		if (first < 0)
			continue;
		error = set_option(first, SOL_SOCKET, SO_REUSEPORT, 1);
		if (error)
			return error;
		for (unsigned int i = 1; i < lanes; i++) {
			int fd = open_one(v6 ? AF_INET6 : AF_INET, u->port, fwmark, true);

			if (fd < 0)
				return fd;
			*(v6 ? &u->lanes[i].fd6 : &u->lanes[i].fd4) = fd;
		}
	}
	return 0;
}

static int open_sockets(struct udp *u, uint16_t port, uint32_t fwmark, unsigned int lanes)
{
	int error = -EADDRINUSE;

	for (int i = 0; i < PORT_TRIES && error == -EADDRINUSE; i++) {
		u->port = port;
		error = open_pair(&u->lanes[0].fd4, &u->lanes[0].fd6, &u->port, fwmark);
		if (!error && lanes > 1)
			error = open_others(u, fwmark, lanes);
		if (error)
			close_sockets(u);
		if (port)
			break;
	}
	return error;
}

static void steer(struct udp *u, unsigned int lanes)
{
	u->steered = !steering_attach(u->lanes[0].fd4, lanes);
	if (u->lanes[0].fd6 >= 0)
		u->steered &= !steering_attach(u->lanes[0].fd6, lanes);
}

/* Whether one send takes SEGMENTS_PROBED datagrams: by sending so many to oneself. Kernel versions do not tell, it was back-ported. */
static bool takes_many(void)
{
	static const uint8_t data[SEGMENTS_PROBED];
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(self);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	bool ok;

	if (fd < 0)
		return false;
	ok = !bind(fd, (const struct sockaddr *)&self, sizeof(self)) &&
	     !getsockname(fd, (struct sockaddr *)&self, &len) && !set_option(fd, SOL_UDP, UDP_SEGMENT, 1) &&
	     sendto(fd, data, sizeof(data), 0, (const struct sockaddr *)&self, sizeof(self)) == sizeof(data);
	close(fd);
	return ok;
}

/* Whether the kernel knows the option. UDP_GRO could be set long before it could be asked for, and was of little use until then. */
static bool knows(int fd, int option)
{
	int value;
	socklen_t len = sizeof(value);

	return !getsockopt(fd, SOL_UDP, option, &value, &len);
}

static void set_offloads(struct udp *u, unsigned int wanted)
{
	bool gso = wanted & OFFLOAD_GSO && knows(u->lanes[0].fd4, UDP_SEGMENT);
	bool gro = wanted & OFFLOAD_GRO && knows(u->lanes[0].fd4, UDP_GRO);

	for (unsigned int i = 0; i < u->count; i++) {
		struct udp_lane *l = &u->lanes[i];

		l->gso4 = gso;
		l->gso6 = gso && l->fd6 >= 0;
		l->gro = gro && !set_option(l->fd4, SOL_UDP, UDP_GRO, 1);
		if (l->fd6 >= 0)
			l->gro &= !set_option(l->fd6, SOL_UDP, UDP_GRO, 1);
		gro &= l->gro;
	}
	u->offloads = (gso ? (unsigned int)OFFLOAD_GSO : 0) | (gro ? (unsigned int)OFFLOAD_GRO : 0);
	u->segments_max = gso && takes_many() ? SEGMENTS_PROBED : SEGMENTS_SURE;
}

int udp_open(struct udp *u, uint16_t port, uint32_t fwmark, unsigned int lanes, unsigned int offloads_wanted)
{
	int error;

	udp_init(u);
	if (!lanes || lanes > UDP_LANES_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < lanes; i++)
		u->lanes[i].vlen = PACKET_BATCH;
	error = open_sockets(u, port, fwmark, lanes);
	if (error) {
		udp_close(u);
		return error;
	}
	u->count = lanes;
	u->fwmark = fwmark;
	if (lanes > 1)
		steer(u, lanes);
	set_offloads(u, offloads_wanted);
	return 0;
}

/* Whether a descriptor is among the last there are. */
static bool is_scarce(int fd)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_NOFILE, &limit) && (rlim_t)fd + FILES_SPARE >= limit.rlim_cur;
}

/* One port more, with what offloads the listen port could have when it was opened. */
static int open_port(struct udp *u, struct udp_port *p)
{
	int error = -EADDRINUSE;

	for (int i = 0; i < PORT_TRIES && error == -EADDRINUSE; i++) {
		p->number = 0;
		error = open_pair(&p->fd4, &p->fd6, &p->number, u->fwmark);
		if (!error && (is_scarce(p->fd4) || is_scarce(p->fd6)))
			error = -EMFILE;
		if (error)
			close_pair(&p->fd4, &p->fd6);
	}
	if (error)
		return error;
	p->gso4 = u->offloads & OFFLOAD_GSO;
	p->gso6 = u->offloads & OFFLOAD_GSO && p->fd6 >= 0;
	if (u->offloads & OFFLOAD_GRO) {
		set_option(p->fd4, SOL_UDP, UDP_GRO, 1);
		if (p->fd6 >= 0)
			set_option(p->fd6, SOL_UDP, UDP_GRO, 1);
	}
	return 0;
}

int udp_open_ports(struct udp *u, unsigned int count)
{
	int error = 0;

	if (!u->count || count > UDP_PORTS_MAX)
		return -EINVAL;
	while (u->port_count < count && !error) {
		error = open_port(u, &u->ports[u->port_count + 1]);
		u->port_count += !error;
	}
	return error;
}

static int set_pair_mark(int fd4, int fd6, uint32_t mark)
{
	int error = fd4 >= 0 ? set_mark(fd4, mark) : 0;

	return !error && fd6 >= 0 ? set_mark(fd6, mark) : error;
}

static int set_marks(struct udp *u, uint32_t mark)
{
	int error = 0;

	for (unsigned int i = 0; i < u->count && !error; i++)
		error = set_pair_mark(u->lanes[i].fd4, u->lanes[i].fd6, mark);
	for (unsigned int i = 1; i <= u->port_count && !error; i++)
		error = set_pair_mark(u->ports[i].fd4, u->ports[i].fd6, mark);
	return error;
}

void udp_carry_over(struct udp *fresh, struct udp *old)
{
	for (size_t i = 0; i < UDP_LANES_MAX; i++) {
		struct udp_lane *l = &fresh->lanes[i];

		memcpy(l->slots, old->lanes[i].slots, sizeof(l->slots));
		memcpy(l->used, old->lanes[i].used, sizeof(l->used));
		l->used[0] &= ~(uint64_t)3;	/* of the listen port */
	}
	for (unsigned int i = 1; i <= old->port_count; i++) {
		fresh->ports[i] = old->ports[i];
		old->ports[i].fd4 = old->ports[i].fd6 = -1;
		/* It could be set on the sockets just opened, so it can here. */
		if (fresh->fwmark != old->fwmark)
			set_pair_mark(fresh->ports[i].fd4, fresh->ports[i].fd6, fresh->fwmark);
	}
	fresh->port_count = old->port_count;
	fresh->listen_prefix = old->listen_prefix;
	old->port_count = 0;
}

void udp_give_slots(struct udp *u, unsigned int lane, uint8_t *const slots[PACKET_BATCH])
{
	memcpy(u->lanes[lane].slots, slots, sizeof(u->lanes[lane].slots));
}

void udp_set_listen_prefix(struct udp *u, const struct ip_prefix *p)
{
	u->listen_prefix = *p;
}

int udp_set_fwmark(struct udp *u, uint32_t fwmark)
{
	int error = set_marks(u, fwmark);

	if (error)
		set_marks(u, u->fwmark);
	else
		u->fwmark = fwmark;
	return error;
}

bool udp_is_open(const struct udp *u)
{
	return u->count > 0;
}

unsigned int udp_run_messages_max(const struct udp *u, unsigned int lane)
{
	bool gso = u->lanes[lane].gso4 || u->lanes[lane].gso6;

	for (unsigned int i = 1; i <= u->port_count && !gso; i++)
		gso = udp_port_lane(u, i) == lane && (u->ports[i].gso4 || u->ports[i].gso6);
	return gso ? u->segments_max : 1;
}

unsigned int udp_offloads(const struct udp *u)
{
	bool gso = true;

	for (unsigned int i = 0; i < u->count; i++)
		gso &= u->lanes[i].gso4 && (u->lanes[i].fd6 < 0 || u->lanes[i].gso6);
	for (unsigned int i = 1; i <= u->port_count; i++)
		gso &= u->ports[i].gso4 && (u->ports[i].fd6 < 0 || u->ports[i].gso6);
	return gso ? u->offloads : u->offloads & ~(unsigned int)OFFLOAD_GSO;
}

static uint64_t waiting(int fd)
{
	int bytes = 0;

	if (fd < 0 || ioctl(fd, SIOCOUTQ, &bytes) || bytes < 0)
		return 0;
	return (uint64_t)bytes;
}

/* The socket of a bit in udp_lane.used. */
static int socket_of(const struct udp *u, const struct udp_lane *l, unsigned int bit)
{
	const struct udp_port *p = &u->ports[bit / 2];

	if (bit < 2)
		return bit & 1 ? l->fd6 : l->fd4;
	return bit & 1 ? p->fd6 : p->fd4;
}

/* Only sockets are asked that have been used since they were last seen empty: a few of many. */
bool udp_room(struct udp *u, unsigned int lane, uint64_t bytes_max)
{
	struct udp_lane *l = &u->lanes[lane];
	uint64_t sum = 0;

	for (unsigned int w = 0; w < sizeof(l->used) / sizeof(l->used[0]); w++) {
		for (uint64_t left = l->used[w]; left; left &= left - 1) {
			unsigned int bit = (unsigned int)__builtin_ctzll(left);
			uint64_t bytes = waiting(socket_of(u, l, 64 * w + bit));

			sum += bytes;
			if (sum >= bytes_max)
				return false;
			if (!bytes)
				l->used[w] &= ~((uint64_t)1 << bit);
		}
	}
	return true;
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

/* The size of segments, where the kernel says that there are several and it can be true; else 0. */
static uint32_t read_segment(const struct cmsghdr *c, uint32_t len)
{
	int size;

	if (!cmsg_get(c, &size, sizeof(size)) || size <= 0 || (uint32_t)size >= len)
		return 0;
	return (len - 1) / (uint32_t)size < UDP_SEGMENTS_MAX ? (uint32_t)size : 0;
}

/* When it came, on the monotonic clock, by the wall clock's stamp. That clock may have been set meanwhile, hence the limits. 0: not told. */
static int64_t read_stamp(const struct cmsghdr *c, const struct instant *now)
{
	struct timespec stamp;
	int64_t age_us;

	if (!cmsg_get(c, &stamp, sizeof(stamp)))
		return 0;
	age_us = (now->wall_ns - (int64_t)stamp.tv_sec * NS_PER_S - stamp.tv_nsec) / 1000;
	if (age_us < 0)
		age_us = 0;
	return now->mono_us - (age_us < STAMP_AGE_MAX_US ? age_us : STAMP_AGE_MAX_US);
}

/* What arrived in one envelope. False: not whole, or from nowhere. */
static bool read_envelope(const struct envelope *e, struct mmsghdr *m, const struct instant *now, struct dgram *d)
{
	*d = (struct dgram){ .data = e->iov.iov_base, .len = m->msg_len, .slot = e->iov.iov_base };
	if (m->msg_hdr.msg_flags & MSG_TRUNC || !read_remote(e, &d->path.remote))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_cmsg4(c, d);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_cmsg6(c, d);
		else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			d->segment = read_segment(c, d->len);
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
			d->at_us = read_stamp(c, now);
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

/*
 * How many messages to ask for next time, after 'n' of 'bytes' in all: what has been coming, up to RECEIVE_HOT_BYTES. More are
 * asked for step by step, so that a burst of large ones does not touch all of the slots.
 */
static unsigned int next_vlen(unsigned int vlen, unsigned int n, size_t bytes)
{
	size_t fit = bytes ? RECEIVE_HOT_BYTES * (size_t)n / bytes : PACKET_BATCH;

	if (fit < VLEN_MIN)
		fit = VLEN_MIN;
	if (fit <= vlen)
		return (unsigned int)fit;
	if (n < vlen)
		return vlen;
	if (fit > 2 * vlen)
		fit = 2 * vlen;
	return fit < PACKET_BATCH ? (unsigned int)fit : PACKET_BATCH;
}

int udp_receive(struct udp *u, unsigned int lane, unsigned int port, int fd, struct dgram out[PACKET_BATCH])
{
	struct udp_lane *l = &u->lanes[lane];
	struct envelope env[PACKET_BATCH];
	struct mmsghdr msgs[PACKET_BATCH];
	struct instant now;
	size_t bytes = 0;
	int count = 0, n = -1;

	for (size_t i = 0; i < l->vlen; i++)
		clear_envelope(&env[i], &msgs[i], l->slots[i]);
	for (int i = 0; n < 0; i++) {
		n = recvmmsg(fd, msgs, l->vlen, MSG_DONTWAIT, NULL);
		if (n >= 0)
			break;
		if (errno == EAGAIN || (is_pending(errno) && i >= PENDING_ERRORS_MAX))
			return 0;
		if (!is_pending(errno))
			return -errno;
	}
	now = clock_now();
	for (int i = 0; i < n; i++) {
		bytes += msgs[i].msg_len;
		l->truncated += !!(msgs[i].msg_hdr.msg_flags & MSG_TRUNC);
		if (!read_envelope(&env[i], &msgs[i], &now, &out[count]))
			continue;
		out[count].port = (uint8_t)port;
		l->origins[count++] = (uint8_t)i;
	}
	if (n > 0)
		l->vlen = next_vlen(l->vlen, (unsigned int)n, bytes);
	return count;
}

void udp_return_slots(struct udp *u, unsigned int lane, const struct dgram *dgrams, size_t count)
{
	struct udp_lane *l = &u->lanes[lane];

	for (size_t i = 0; i < count; i++)
		l->slots[l->origins[i]] = dgrams[i].slot;
}
