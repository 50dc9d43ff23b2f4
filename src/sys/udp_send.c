/* SPDX-License-Identifier: MIT */
/*
 * Sending. Datagrams of one size and one path go to the kernel as one, with a UDP_SEGMENT control message (GSO). A send of many is not
 * fragmented, it is refused when one of them exceeds the MTU, so what is refused is sent once more one by one; EIO says that
 * this socket's device cannot do it at all. A UDP_SEGMENT for a single datagram is never sent: Linux 6.11 made bad
 * checksums of it.
 *
 * In a control buffer the local address comes last: to send once more without the address is to shorten it.
 *
 * A batch goes by runs of dgrams of one socket (lane's or port's, family) that want the same of it, so order is kept over all of them.
 *
 * DF is the socket's, not the message's: it is set before those that ask for it, which are few, and cleared before the next of the others.
 * IP_PMTUDISC_PROBE (for IPv6, too: it says as much as IPV6_DONTFRAG) believes nothing of what ICMP has told, so such a datagram is bound by the
 * interface's MTU alone.
 *
 * sendmmsg(2) stops at the first message it cannot send and forgets why, if others went before it. Sending on from there
 * makes that one the first, which tells its error; it is judged alone and the rest goes on - unless the socket is full: that
 * is how the queue above learns to hold back, so there we stop and say where.
 */
#include "sys/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/udp_inside.h"

/* From <linux/in6.h>, which cannot be had beside <netinet/in.h>. */
#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#endif

enum {
	SEND_TRIES = 3,			/* of one message, after the first */
	SEND_WAITS = 5,			/* of a millisecond each, for room in the buffers, where we wait at all */
	SEND_BYTES_MAX4 = 65507,	/* one send, whatever the number of datagrams */
	SEND_BYTES_MAX6 = 65487,
	LABEL_MASK = 0xfffff,
};

/* A part of a dgram that goes in one message. */
struct part {
	size_t dgram;
	uint32_t offset, len;
	bool many;			/* more than one datagram */
};

/* Messages of one socket on their way out. */
struct outgoing {
	int fd;
	bool v4;
	bool nonlocal;			/* from addresses of the listen prefix */
	bool df;
	unsigned int port;
	_Atomic bool *gso;
	bool *freebind, *df_now;
	struct udp *udp;
	struct udp_lane *lane;
	unsigned int number;		/* of the lane */
	unsigned int segments_max;
	const struct dgram *dgrams;
	struct udp_stats *stats;
	size_t count, refused;
	struct part parts[PACKET_BATCH];
	bool labelled[PACKET_BATCH];
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
	struct in_pktinfo info = { .ipi_ifindex = path->pinned ? (int)path->ifindex : 0 };

	if (path->local.family == IP_V4)
		memcpy(&info.ipi_spec_dst, path->local.bytes, sizeof(info.ipi_spec_dst));
	put_cmsg(m, e, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

/* The interface, where it was said, or where an address means nothing without one; otherwise routes choose it. */
static uint32_t scope_of(const struct path_addr *path)
{
	if (path->pinned)
		return path->ifindex;
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

/*
 * Linux takes an interface that comes with a source address for a wish: a route of lesser metric by another interface goes before
 * (ip6_route_output_flags() is strict without an address, or for a socket bound to the interface, which would then hear nothing of others). Who
 * pins a path asks the kernel first which way it leaves.
 */
static void put_local6(struct msghdr *m, struct envelope *e, const struct path_addr *path)
{
	struct in6_pktinfo info = { .ipi6_ifindex = scope_of(path) };

	if (path->local.family == IP_V6)
		memcpy(&info.ipi6_addr, path->local.bytes, sizeof(info.ipi6_addr));
	put_cmsg(m, e, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

/* Write message i: one part with its envelope; without a flow label where that was what is wrong. */
static void put_part(struct outgoing *o, size_t i, const struct part *part, bool label)
{
	const struct dgram *d = &o->dgrams[part->dgram];
	struct msghdr *m = &o->msgs[i].msg_hdr;
	struct envelope *e = &o->env[i];
	int tos = d->tos;

	o->parts[i] = *part;
	e->iov = (struct iovec){ .iov_base = d->data + part->offset, .iov_len = part->len };
	*m = (struct msghdr){ .msg_name = &e->remote, .msg_iov = &e->iov, .msg_iovlen = 1 };
	if (o->v4)
		put_remote4(m, e, &d->path.remote);
	else
		put_remote6(m, e, &d->path);
	if (tos && o->v4)
		put_cmsg(m, e, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	else if (tos)
		put_cmsg(m, e, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	if (part->many) {
		uint16_t size = (uint16_t)d->segment;

		put_cmsg(m, e, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	}
	o->labelled[i] = label && d->label && !o->v4 && !o->lane->label_refused;
	if (o->labelled[i]) {
		uint32_t info = htonl(d->label & LABEL_MASK);

		put_cmsg(m, e, IPPROTO_IPV6, IPV6_FLOWINFO, &info, sizeof(info));
	}
	o->bare_len[i] = m->msg_controllen;
	if (d->path.local.family == d->path.remote.addr.family || d->path.pinned) {
		if (o->v4)
			put_local4(m, e, &d->path);
		else
			put_local6(m, e, &d->path);
	}
}

/* Datagrams in 'len' bytes of a dgram. */
static size_t datagrams(const struct dgram *d, uint32_t len)
{
	return d->segment && len ? (len - 1) / d->segment + 1 : 1;
}

size_t udp_messages(const struct dgram *dgrams, size_t count)
{
	size_t messages = 0;

	for (size_t i = 0; i < count; i++)
		messages += datagrams(&dgrams[i], dgrams[i].len);
	return messages;
}

/* What of a dgram can go in the next message. */
static struct part next_part(const struct outgoing *o, size_t dgram, uint32_t offset)
{
	const struct dgram *d = &o->dgrams[dgram];
	struct part part = { .dgram = dgram, .offset = offset, .len = d->len - offset };
	uint32_t bytes_max = o->v4 ? SEND_BYTES_MAX4 : SEND_BYTES_MAX6;
	uint32_t most;

	if (!d->segment || part.len <= d->segment)
		return part;
	most = bytes_max / d->segment;
	if (most > o->segments_max)
		most = o->segments_max;
	if (most < 2 || !*o->gso)
		most = 1;
	if (part.len > most * d->segment)
		part.len = most * d->segment;
	part.many = part.len > d->segment;
	return part;
}

static bool wait_for_room(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, wait_ms) > 0;
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
	case EINVAL:
		/* Where somebody has an exclusive flow label, every label needs a lease. */
		if (o->labelled[i]) {
			put_part(o, i, &o->parts[i], false);
			return true;
		}
		__attribute__((fallthrough));
	case ENETUNREACH:
	case EADDRNOTAVAIL:
	case ENODEV:
	case ENXIO:
		/*
		 * The local address, or its interface, may be what is wrong. A pinned path is one of several, and who chose it is about to learn
		 * that it is gone: to go by another unasked would make it look alive, and show the peer an address it must not answer to.
		 */
		if (m->msg_controllen == o->bare_len[i] || o->dgrams[o->parts[i].dgram].path.pinned)
			return false;
		m->msg_controllen = o->bare_len[i];
		return true;
	default:
		return false;
	}
}

/* Message i could not be sent: 0 when it could after all, else what is wrong with it. */
static int send_again(struct outgoing *o, size_t i, int error)
{
	for (int tries = 0; tries < SEND_TRIES; tries++) {
		bool labelled = o->labelled[i];

		if (!repair(o, i, error))
			break;
		if (sendmsg(o->fd, &o->msgs[i].msg_hdr, MSG_DONTWAIT) >= 0) {
			o->lane->label_refused |= labelled && !o->labelled[i];
			return 0;
		}
		error = errno;
	}
	return error;
}

/* One datagram of what was message i, in its place. False: refused. */
static bool send_single(struct outgoing *o, size_t i, const struct part *part, int *waits)
{
	int error;

	do {
		put_part(o, i, part, true);
		error = sendmsg(o->fd, &o->msgs[i].msg_hdr, MSG_DONTWAIT) < 0 ? errno : 0;
		if (error)
			error = send_again(o, i, error);
	} while (error == EAGAIN && (*waits)-- > 0 && wait_for_room(o->fd, 1));
	return !error;
}

/* Message i was refused because it holds many datagrams. They go one by one, and we wait for room: this is rare. */
static void send_split(struct outgoing *o, size_t i)
{
	const struct part whole = o->parts[i];
	uint32_t size = o->dgrams[whole.dgram].segment;
	int waits = SEND_WAITS;

	o->stats->split++;
	for (uint32_t done = 0; done < whole.len; done += size) {
		struct part part = { .dgram = whole.dgram, .offset = whole.offset + done, .len = whole.len - done };

		if (part.len > size)
			part.len = size;
		o->refused += !send_single(o, i, &part, &waits);
	}
}

/* Deal with message i, which failed with 'error'. False: there is no room, and it is as if never tried. */
static bool settle(struct outgoing *o, size_t i, int error)
{
	const struct part part = o->parts[i];

	error = send_again(o, i, error);
	if (error == EAGAIN) {
		o->stats->full++;
		return false;
	}
	if (!error) {
		o->stats->supers += part.many;
		return true;
	}
	if (part.many && (error == EIO || error == EMSGSIZE || error == EINVAL)) {
		if (error == EIO && *o->gso) {
			*o->gso = false;
			o->stats->gso_off++;
		}
		send_split(o, i);
		return true;
	}
	/* A probe that is larger than the interface's MTU is lost here as it might be further on. */
	if (error == EMSGSIZE && o->df)
		return true;
	o->refused += datagrams(&o->dgrams[part.dgram], part.len);
	return true;
}

/* Send the messages. Returns how many are dealt with; fewer than there are: the socket is full. */
static size_t flush(struct outgoing *o)
{
	size_t at = 0;

	while (at < o->count) {
		int n = sendmmsg(o->fd, o->msgs + at, (unsigned int)(o->count - at), MSG_DONTWAIT);

		if (n > 0) {
			for (int i = 0; i < n; i++)
				o->stats->supers += o->parts[at++].many;
			continue;
		}
		if (!settle(o, at, errno))
			break;
		at++;
	}
	return at;
}

/* Where one is in a batch. */
struct cursor {
	size_t dgram;
	uint32_t offset;
};

/* P_i that a dgram goes by, or 0: the listen port. */
static unsigned int port_of(const struct outgoing *o, const struct dgram *d)
{
	const struct udp_port *p;

	if (!d->port || d->port > o->udp->port_count || udp_port_lane(o->udp, d->port) != o->number)
		return 0;
	p = &o->udp->ports[d->port];
	return (d->path.remote.addr.family == IP_V4 ? p->fd4 : p->fd6) >= 0 ? d->port : 0;
}

/* Whether it leaves from an address of the listen prefix, which no interface has. */
static bool is_nonlocal(const struct outgoing *o, const struct dgram *d)
{
	const struct ip_prefix *prefix = &o->udp->listen_prefix;

	return prefix->addr.family == IP_V6 && d->path.remote.addr.family == IP_V6 &&
	       ip_prefix_covers(prefix, &d->path.local);
}

/* Whether a dgram can go with those the socket was chosen for. */
static bool belongs(const struct outgoing *o, const struct dgram *d)
{
	return d->path.remote.addr.family == (o->v4 ? IP_V4 : IP_V6) && port_of(o, d) == o->port &&
	       is_nonlocal(o, d) == o->nonlocal && d->df == o->df;
}

/* Messages from the cursor on, of the socket chosen for the first, as many as go at once. */
static void fill(struct outgoing *o, size_t count, struct cursor *at)
{
	o->count = 0;
	while (o->count < PACKET_BATCH && at->dgram < count && belongs(o, &o->dgrams[at->dgram])) {
		struct part part = next_part(o, at->dgram, at->offset);

		put_part(o, o->count++, &part, true);
		at->offset += part.len;
		if (at->offset == o->dgrams[at->dgram].len)
			*at = (struct cursor){ .dgram = at->dgram + 1 };
	}
}

/* The socket for a dgram. False: none, or it goes nowhere. */
static bool choose_socket(struct outgoing *o, const struct dgram *d)
{
	uint8_t family = d->path.remote.addr.family;
	struct udp_lane *l = o->lane;
	unsigned int bit;

	o->v4 = family == IP_V4;
	o->port = port_of(o, d);
	o->nonlocal = is_nonlocal(o, d);
	o->df = d->df;
	if (o->port) {
		struct udp_port *p = &o->udp->ports[o->port];

		o->fd = o->v4 ? p->fd4 : p->fd6;
		o->gso = o->v4 ? &p->gso4 : &p->gso6;
		o->freebind = &p->freebind;
		o->df_now = o->v4 ? &p->df4 : &p->df6;
	} else {
		o->fd = o->v4 ? l->fd4 : l->fd6;
		o->gso = o->v4 ? &l->gso4 : &l->gso6;
		o->freebind = &l->freebind;
		o->df_now = o->v4 ? &l->df4 : &l->df6;
	}
	bit = 2 * o->port + !o->v4;
	l->used[bit / 64] |= (uint64_t)1 << bit % 64;
	return o->fd >= 0 && family != IP_NONE;
}

/*
 * A socket takes any source address or only those of the host, so it is told before every change. Any for all would do away with the
 * error that tells of an address the host has lost.
 */
static void settle_freebind(struct outgoing *o)
{
	int on = o->nonlocal;

	if (o->v4 || *o->freebind == o->nonlocal)
		return;
	/* A kernel before 4.15 cannot: then the address is left away. */
	setsockopt(o->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	*o->freebind = o->nonlocal;
}

/* Whether the socket sends with DF as it shall. */
static bool settle_df(struct outgoing *o)
{
	int v4 = o->df ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT, v6 = o->df ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT;

	if (*o->df_now == o->df)
		return true;
	if (o->v4 ? setsockopt(o->fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof(v4)) :
		    setsockopt(o->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof(v6)))
		return false;
	*o->df_now = o->df;
	return true;
}

size_t udp_send(struct udp *u, unsigned int lane, struct dgram *dgrams, size_t count, struct udp_stats *stats,
		size_t *unsent)
{
	struct outgoing o;
	struct cursor at = { .dgram = 0 };

	o.udp = u;
	o.lane = &u->lanes[lane];
	o.number = lane;
	o.dgrams = dgrams;
	o.stats = stats;
	o.segments_max = u->segments_max;
	o.refused = 0;
	while (at.dgram < count) {
		size_t sent;

		if (!choose_socket(&o, &dgrams[at.dgram]) || !settle_df(&o)) {
			o.refused += udp_messages(&dgrams[at.dgram], 1);
			at.dgram++;
			continue;
		}
		settle_freebind(&o);
		fill(&o, count, &at);
		sent = flush(&o);
		if (sent < o.count) {
			struct dgram *first = &dgrams[o.parts[sent].dgram];

			first->data += o.parts[sent].offset;
			first->len -= o.parts[sent].offset;
			u->lanes[lane].full = o.fd;
			*unsent = o.parts[sent].dgram;
			return o.refused;
		}
	}
	*unsent = count;
	return o.refused;
}

bool udp_wait(const struct udp *u, unsigned int lane, int wait_ms)
{
	return wait_for_room(u->lanes[lane].full, wait_ms);
}

size_t udp_send_waiting(struct udp *u, unsigned int lane, struct dgram *dgrams, size_t count)
{
	struct udp_stats stats = { 0 };
	size_t refused = 0, at = 0;

	for (int waits = 0; waits <= SEND_WAITS; waits++) {
		size_t unsent;

		refused += udp_send(u, lane, dgrams + at, count - at, &stats, &unsent);
		at += unsent;
		if (at == count)
			return refused;
		udp_wait(u, lane, 1);
	}
	return refused + udp_messages(dgrams + at, count - at);
}
