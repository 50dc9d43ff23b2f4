/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_UDPSTAGE_H
#define MESHD_TESTS_UDPSTAGE_H

#include <netinet/udp.h>
#include <poll.h>
#include <sys/syscall.h>

#include "sandbox.h"
#include "sys/arena.h"
#include "sys/udp.h"

/*
 * For tests of the UDP sockets: two ends over loopback, in a network namespace with nothing else in it. Failures that a working
 * kernel does not offer come from system calls of the test's own, which otherwise pass everything on and look at
 * what goes by. Include it after cmocka.h, in one source of a program.
 */

/* What the system calls do at present, and what they saw. */
static struct {
	unsigned int take;		/* sendmmsg takes no more than so many at once; 0: what the kernel takes */
	int error, errors;		/* so many messages fail with this, after 'skip' that go */
	unsigned int skip;
	int gso_error;			/* every message of many fails with this */
	bool lie;			/* received messages say, about segments: */
	int gro;
	size_t gro_len;
	int64_t stamp_ns;		/* the time a received message tells is so much later */
	int truncate;			/* this one of the messages received is not whole; -1: none */
	int unknown_option;		/* at level SOL_UDP */
	unsigned int messages, supers, vlen;
	size_t segments_most, bytes_most;
	bool lonely;			/* UDP_SEGMENT was seen on a message of one */
} kernel;

static inline void reset_kernel(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.truncate = -1;
}

static inline size_t segment_of(const struct msghdr *m)
{
	uint16_t size;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)m, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return size;
		}
	}
	return 0;
}

static inline int refusal(const struct msghdr *m)
{
	if (kernel.gso_error && segment_of(m))
		return kernel.gso_error;
	if (kernel.errors && !kernel.skip) {
		kernel.errors--;
		return kernel.error;
	}
	kernel.skip -= kernel.skip > 0;
	return 0;
}

static inline void look(const struct msghdr *m)
{
	size_t len = m->msg_iov->iov_len, size = segment_of(m), segments = size ? (len + size - 1) / size : 1;

	kernel.messages++;
	kernel.supers += size > 0;
	kernel.lonely |= size && segments < 2;
	if (segments > kernel.segments_most)
		kernel.segments_most = segments;
	if (len > kernel.bytes_most)
		kernel.bytes_most = len;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t n;

	errno = refusal(m);
	if (errno)
		return -1;
	n = syscall(SYS_sendmsg, fd, m, flags);
	if (n >= 0)
		look(m);
	return n;
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags)
{
	for (unsigned int i = 0; i < count; i++) {
		int errors = kernel.errors;
		ssize_t n;

		if (kernel.take && i == kernel.take)
			return (int)i;
		n = sendmsg(fd, &m[i].msg_hdr, flags);
		if (n < 0 && i) {
			kernel.errors = errors;		/* not told, so it was not this one's turn */
			return (int)i;
		}
		if (n < 0)
			return -1;
		m[i].msg_len = (unsigned int)n;
	}
	return (int)count;
}

static inline void tell_lie(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(CMSG_DATA(c), &kernel.gro, sizeof(kernel.gro));
			c->cmsg_len = CMSG_LEN(kernel.gro_len);
		}
	}
}

static inline void shift_stamp(struct msghdr *m)
{
	struct timespec stamp;
	int64_t ns;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		ns = (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec + kernel.stamp_ns;
		stamp.tv_sec = (time_t)(ns / 1000000000);
		stamp.tv_nsec = (long)(ns % 1000000000);
		memcpy(CMSG_DATA(c), &stamp, sizeof(stamp));
	}
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags, struct timespec *timeout)
{
	int n;

	for (unsigned int i = 0; i < count; i++)
		assert_true(m[i].msg_hdr.msg_controllen > 0);
	kernel.vlen = count;
	n = (int)syscall(SYS_recvmmsg, fd, m, count, flags, timeout);
	for (int i = 0; i < n && kernel.lie; i++)
		tell_lie(&m[i].msg_hdr);
	for (int i = 0; i < n && kernel.stamp_ns; i++)
		shift_stamp(&m[i].msg_hdr);
	if (kernel.truncate >= 0 && kernel.truncate < n)
		m[kernel.truncate].msg_hdr.msg_flags |= MSG_TRUNC;
	return n;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	if (level == SOL_UDP && option == kernel.unknown_option) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_getsockopt, fd, level, option, value, len);
}

static inline struct ip_addr address(const char *text)
{
	struct ip_addr a = { .family = strchr(text, ':') ? IP_V6 : IP_V4 };

	assert_int_equal(inet_pton(a.family == IP_V6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

static inline struct dgram dgram_to(const char *to, uint16_t port, const char *text)
{
	return (struct dgram){
		.data = (uint8_t *)(uintptr_t)text, .len = (uint32_t)strlen(text),
		.path.remote = { .addr = address(to), .port = port },
	};
}

static inline void assert_addr(const struct ip_addr *a, const char *text)
{
	struct ip_addr b = address(text);

	assert_memory_equal(a, &b, sizeof(b));
}

static inline void assert_data(const struct dgram *d, const char *text)
{
	assert_int_equal(d->len, strlen(text));
	assert_memory_equal(d->data, text, d->len);
}

static inline void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 20000), 1);
}

static inline int fd_of(const struct udp *u, const char *to)
{
	return strchr(to, ':') ? u->lanes[0].fd6 : u->lanes[0].fd4;
}

/* A socket of a stranger's. */
static inline int plain_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = 20 };

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

/* Bind a plain socket to the any-address of one family alone. */
static inline int occupy(int family, uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = plain_socket(family), one = 1;

	if (family == AF_INET6) {
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	}
	return fd;
}

/* Open with slots to receive into. They stay with the program. */
static inline int open_udp(struct udp *u, uint16_t port, uint32_t fwmark, unsigned int lanes, unsigned int offloads)
{
	static struct arena arena[16];
	static size_t turn;
	int error = udp_open(u, port, fwmark, lanes, offloads);
	uint8_t *slots[PACKET_BATCH];

	if (error)
		return error;
	for (unsigned int i = 0; i < lanes; i++) {
		struct arena *a = &arena[turn++ % 16];

		arena_unmap(a);
		*a = arena_map(PACKET_BATCH);
		assert_non_null(a->base);
		arena_fill(a, 0, slots);
		udp_give_slots(u, i, slots);
	}
	return 0;
}

struct pair {
	struct udp a, b;
};

static int barrier = -1;

/* A socket that sends to itself. */
static inline void make_barrier(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(INADDR_LOOPBACK) } };

	barrier = plain_socket(AF_INET);
	assert_int_equal(bind(barrier, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(connect(barrier, (struct sockaddr *)&sin, sizeof(sin)), 0);
}

/*
 * What was sent over loopback has arrived. It goes through a queue of the CPU's, which on a busy machine is a thread's business, and this program
 * stays on one CPU: what is behind it comes after it.
 */
static inline void wait_arrived(void)
{
	char c;

	assert_int_equal(send(barrier, "b", 1, 0), 1);
	assert_int_equal(recv(barrier, &c, 1, 0), 1);
}

/* Send what the sockets have room for. How many were refused. */
static inline size_t send_all(struct udp *u, struct dgram *dgrams, size_t count)
{
	struct udp_stats stats = { 0 };
	size_t unsent = count + 1, refused = udp_send(u, 0, dgrams, count, &stats, &unsent);

	assert_int_equal(unsent, count);
	assert_int_equal(stats.full, 0);
	wait_arrived();
	return refused;
}

static inline int setup(void **state)
{
	struct pair *p = test_malloc(sizeof(*p));

	reset_kernel();
	if (open_udp(&p->a, 0, 0, 1, OFFLOAD_ALL) || open_udp(&p->b, 0, 0, 1, OFFLOAD_ALL))
		return -1;
	*state = p;
	return 0;
}

static inline int teardown(void **state)
{
	struct pair *p = *state;

	assert_false(kernel.lonely);	/* whatever was sent */
	udp_close(&p->a);
	udp_close(&p->b);
	assert_int_equal(p->a.lanes[0].fd4, -1);
	assert_int_equal(p->a.lanes[0].fd6, -1);
	test_free(p);
	return 0;
}

/* The namespace, with addresses to choose from; or the program ends as skipped. */
static inline void prepare(void)
{
	cpu_set_t cpu;
	int fd;

	CPU_ZERO(&cpu);
	CPU_SET((size_t)sched_getcpu(), &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		sandbox_fail("sched_setaffinity");
	sandbox_network();
	make_barrier();
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	if (fd < 0)
		sandbox_skip("IPv6");
	close(fd);
	sandbox_address6("lo", "fd00::5", 128);
	sandbox_address6("lo", "fe80::5", 64);
}

#endif
