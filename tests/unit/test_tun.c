/* SPDX-License-Identifier: MIT */
/*
 * The TUN device in a network namespace of the test's own; the other side of it is the kernel's IP stack. What kernels of
 * other ages refuse is refused here by ioctl() and writev() of the test's own, which otherwise pass everything on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "sandbox.h"
#include "sys/arena.h"
#include "sys/tun.h"
#include "wire/offload.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#endif

enum { PORT = 7777, HEADERS = 28, ALL_BYTES = 1 << 30 };

/* What is refused at present. */
static struct {
	unsigned int flags;		/* TUNSETIFF with one of these: EINVAL */
	unsigned int unknown;		/* flags the driver does not know of */
	unsigned int offloads;		/* TUNSETOFFLOAD with one of these: EINVAL */
	bool header_size;		/* the header cannot be ten bytes */
	bool queues;			/* there is but one */
	int supers;			/* writing super-packets: this error */
	unsigned int written, written_supers;
} refuse;

static int refused(unsigned long request, void *arg)
{
	struct ifreq *ifr = arg;

	switch (request) {
	case TUNSETIFF:
		if ((unsigned short)ifr->ifr_flags & refuse.flags)
			return EINVAL;
		return refuse.queues && !(ifr->ifr_flags & (short)IFF_TUN_EXCL) ? E2BIG : 0;
	case TUNSETOFFLOAD:
		return (uintptr_t)arg & refuse.offloads ? EINVAL : 0;
	case TUNSETVNETHDRSZ:
		return refuse.header_size ? EINVAL : 0;
	default:
		return 0;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int result;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	errno = refused(request, arg);
	if (errno)
		return -1;
	result = (int)syscall(SYS_ioctl, fd, request, arg);
	if (request == TUNGETFEATURES)
		*(unsigned int *)arg &= ~refuse.unknown;
	if (request == TUNGETVNETHDRSZ && refuse.header_size)
		*(int *)arg = 12;
	return result;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	const uint8_t *first = iov->iov_base;
	bool super = iov->iov_len >= VNET_LEN && first[1] != VNET_GSO_NONE;

	refuse.written++;
	refuse.written_supers += super;
	if (super && refuse.supers) {
		errno = refuse.supers;
		return -1;
	}
	return syscall(SYS_writev, fd, iov, count);
}

/* One TUN with its reader. */
struct stage {
	struct tun tun;
	struct arena arena;
	struct tun_reader reader;
};

static int give_slots(struct stage *s)
{
	s->arena = arena_map(PACKET_BATCH);
	if (!s->arena.base)
		return -ENOMEM;
	arena_fill(&s->arena, 0, s->reader.slots);
	return 0;
}

static int read_all(struct stage *s, struct packet out[PACKET_BATCH])
{
	return tun_read(&s->tun, 0, &s->reader, out, PACKET_BATCH, ALL_BYTES);
}

/* Plain packets, each in one piece. How many were taken. */
static size_t write_plain(struct stage *s, const struct packet *packets, size_t count)
{
	static const struct vnet nothing;
	struct piece pieces[PACKET_BATCH];
	struct tun_write writes[PACKET_BATCH];
	uint64_t fallbacks = 0;
	size_t taken;

	for (size_t i = 0; i < count; i++) {
		pieces[i] = (struct piece){ packets[i].data - VNET_LEN, packets[i].len + VNET_LEN };
		vnet_write(pieces[i].base, &nothing);
		writes[i] = (struct tun_write){ .pieces = &pieces[i], .count = 1, .packets = 1 };
	}
	taken = tun_write_batch(&s->tun, 0, writes, count, &fallbacks);
	assert_int_equal(fallbacks, 0);
	return taken;
}

static int open_stage(void **state, unsigned int offloads)
{
	struct stage *s = test_malloc(sizeof(*s));
	FILE *f;
	int error;

	memset(&refuse, 0, sizeof(refuse));
	error = tun_open(&s->tun, "tt0", 1, offloads);
	if (!error)
		error = give_slots(s);
	if (error)
		return error;
	/* Up without IPv6, so that the kernel has nothing to say of its own. */
	f = fopen("/proc/sys/net/ipv6/conf/tt0/disable_ipv6", "w");
	if (f) {
		fputs("1", f);
		fclose(f);
	}
	sandbox_address4("tt0", "10.99.0.1", "255.255.255.0");
	sandbox_link("tt0", 1);
	*state = s;
	return 0;
}

static int setup(void **state)
{
	return open_stage(state, OFFLOAD_ALL);
}

static int setup_plain(void **state)
{
	return open_stage(state, 0);
}

static int teardown(void **state)
{
	struct stage *s = *state;

	tun_close(&s->tun);
	arena_unmap(&s->arena);
	test_free(s);
	return if_nametoindex("tt0") ? -1 : 0;	/* it goes with the descriptor */
}

static struct sockaddr_in host(const char *address)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	inet_pton(AF_INET, address, &sin.sin_addr);
	return sin;
}

static int bound_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = 20 };
	struct sockaddr_in sin = host("10.99.0.1");

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void is_new_and_down(void **state)
{
	struct tun t;
	struct ifreq ifr = { .ifr_name = "tt1" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	memset(&refuse, 0, sizeof(refuse));
	assert_int_equal(tun_open(&t, "tt1", 3, OFFLOAD_ALL), 0);
	assert_string_equal(t.name, "tt1");
	assert_true(t.ifindex > 0);
	assert_int_equal(t.ifindex, if_nametoindex("tt1"));
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	assert_false(ifr.ifr_flags & IFF_UP);
	assert_int_equal(t.queues, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(fcntl(t.fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(t.fds[i], F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(t.fds[3], -1);
	tun_close(&t);
	assert_int_equal(t.queues, 0);
	assert_int_equal(t.fds[0], -1);
	assert_int_equal(if_nametoindex("tt1"), 0);
	close(fd);
}

/* What a kernel has not or does not want is left off; the rest works on. */
static void refusals_leave_an_offload_off(void **state)
{
	enum { BOTH = OFFLOAD_TSO | OFFLOAD_USO };
	static const struct {
		unsigned int wanted, flags, unknown, refused;
		bool header_size;
		unsigned int offloads;
		bool vnet, tso_ecn;
	} cases[] = {
		{ .wanted = OFFLOAD_ALL, .offloads = BOTH, .vnet = true, .tso_ecn = true },
		{ .wanted = OFFLOAD_TSO, .offloads = OFFLOAD_TSO, .vnet = true, .tso_ecn = true },
		{ .wanted = OFFLOAD_USO, .offloads = OFFLOAD_USO, .vnet = true },
		{ .wanted = OFFLOAD_MERGE, .vnet = true },
		{ .wanted = OFFLOAD_GSO | OFFLOAD_GRO },
		{ .wanted = OFFLOAD_ALL, .refused = TUN_F_TSO_ECN, .offloads = BOTH, .vnet = true },
		{ .wanted = OFFLOAD_ALL, .refused = TUN_F_USO4, .offloads = OFFLOAD_TSO, .vnet = true, .tso_ecn = true },
		{ .wanted = OFFLOAD_ALL, .refused = TUN_F_TSO4, .offloads = OFFLOAD_USO, .vnet = true },
		{ .wanted = OFFLOAD_ALL, .refused = TUN_F_CSUM, .vnet = true },
		{ .wanted = OFFLOAD_ALL, .flags = IFF_VNET_HDR },
		{ .wanted = OFFLOAD_ALL, .unknown = IFF_VNET_HDR },
		{ .wanted = OFFLOAD_ALL, .header_size = true },
	};
	struct tun t;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&refuse, 0, sizeof(refuse));
		refuse.flags = cases[i].flags;
		refuse.unknown = cases[i].unknown;
		refuse.offloads = cases[i].refused;
		refuse.header_size = cases[i].header_size;
		assert_int_equal(tun_open(&t, "tt1", 2, cases[i].wanted), 0);
		/* A kernel before 6.2 has no USO, which is just what is tested here. */
		assert_int_equal(t.offloads & ~(unsigned int)OFFLOAD_USO, cases[i].offloads & ~(unsigned int)OFFLOAD_USO);
		assert_true(cases[i].offloads & OFFLOAD_USO || !(t.offloads & OFFLOAD_USO));
		assert_int_equal(t.vnet, cases[i].vnet);
		assert_int_equal(t.tso_ecn, cases[i].tso_ecn);
		assert_int_equal(t.queues, 2);
		tun_close(&t);
	}
	memset(&refuse, 0, sizeof(refuse));
}

static void fewer_queues(void **state)
{
	struct tun t;

	(void)state;
	memset(&refuse, 0, sizeof(refuse));
	assert_int_equal(tun_open(&t, "tt1", 0, OFFLOAD_ALL), -EINVAL);
	assert_int_equal(tun_open(&t, "tt1", TUN_QUEUES_MAX + 1, OFFLOAD_ALL), -EINVAL);
	refuse.unknown = IFF_MULTI_QUEUE;
	assert_int_equal(tun_open(&t, "tt1", 4, OFFLOAD_ALL), 0);
	assert_int_equal(t.queues, 1);
	tun_close(&t);
	memset(&refuse, 0, sizeof(refuse));
	refuse.queues = true;
	assert_int_equal(tun_open(&t, "tt1", 4, OFFLOAD_ALL), 0);
	assert_int_equal(t.queues, 1);
	tun_close(&t);
	memset(&refuse, 0, sizeof(refuse));
	assert_int_equal(tun_open(&t, "tt1", TUN_QUEUES_MAX, OFFLOAD_ALL), 0);
	assert_int_equal(t.queues, TUN_QUEUES_MAX);
	tun_use_one_queue(&t);
	assert_int_equal(t.queues, 1);
	assert_true(if_nametoindex("tt1") > 0);
	tun_close(&t);
}

/* More packets than a batch: the first read is full, the second has the rest, the third nothing. */
static void reads_in_batches(void **state)
{
	enum { COUNT = PACKET_BATCH + 11 };
	static const struct vnet nothing;
	struct stage *s = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket(), no = 1;

	/* Without checksums: with one, the kernel would leave it to us. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &no, sizeof(no)), 0);
	assert_int_equal(read_all(s, in), 0);
	for (uint8_t i = 0; i < COUNT; i++)
		assert_int_equal(sendto(fd, &i, 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(read_all(s, in), PACKET_BATCH);
	for (uint8_t i = 0; i < PACKET_BATCH; i++) {
		assert_int_equal(in[i].len, HEADERS + 1);
		assert_int_equal(in[i].data[0], 0x45);
		assert_int_equal(in[i].data[HEADERS], i);
		assert_memory_equal(&in[i].vnet, &nothing, sizeof(nothing));
	}
	/* The rooms around neighbours do not overlap. */
	memset(in[1].data - PACKET_HEADROOM, 0xff, PACKET_HEADROOM);
	memset(in[0].data + in[0].len, 0xee, PACKET_TAILROOM);
	assert_int_equal(in[0].data[HEADERS], 0);
	assert_int_equal(in[1].data[-1], 0xff);
	assert_int_equal(in[1].data[HEADERS], 1);
	assert_int_equal(read_all(s, in), COUNT - PACKET_BATCH);
	assert_int_equal(in[0].data[HEADERS], PACKET_BATCH);
	assert_int_equal(read_all(s, in), 0);
	close(fd);
}

/* A batch ends at so many packets, or with the one that makes so many bytes; the next uses the same memory first. */
static void batches_end_when_told(void **state)
{
	static const uint8_t data[1000];
	struct stage *s = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket();
	uint8_t *first;

	for (int i = 0; i < 9; i++)
		assert_int_equal(sendto(fd, data, 1000, 0, (struct sockaddr *)&to, sizeof(to)), 1000);
	assert_int_equal(tun_read(&s->tun, 0, &s->reader, in, 2, ALL_BYTES), 2);
	first = in[0].data;
	assert_int_equal(tun_read(&s->tun, 0, &s->reader, in, PACKET_BATCH, 2 * (HEADERS + 1000)), 2);
	assert_ptr_equal(in[0].data, first);
	assert_int_equal(tun_read(&s->tun, 0, &s->reader, in, PACKET_BATCH, 2 * (HEADERS + 1000) + 1), 3);
	assert_int_equal(tun_read(&s->tun, 0, &s->reader, in, PACKET_BATCH, 0), 1);
	assert_ptr_equal(in[0].data, first);
	assert_int_equal(read_all(s, in), 1);
	close(fd);
}

/* A packet that is kept stays as it was; the slot given for it is used in its place. */
static void slots_are_swapped(void **state)
{
	struct stage *s = *state;
	struct arena spare = arena_map(1);
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket();
	uint8_t *kept;

	for (uint8_t i = 0; i < 6; i++)
		assert_int_equal(sendto(fd, &i, 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(tun_read(&s->tun, 0, &s->reader, in, 3, ALL_BYTES), 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(in[i].slot, in[i].data);
	kept = in[1].slot;
	in[1].slot = arena_slot(&spare, 0);
	tun_return_slots(&s->reader, in, 3);
	assert_int_equal(read_all(s, in), 3);
	assert_ptr_equal(in[0].slot, arena_slot(&s->arena, 0));
	assert_ptr_equal(in[1].data, arena_slot(&spare, 0));
	assert_ptr_equal(in[2].slot, arena_slot(&s->arena, 2));
	assert_int_equal(in[1].data[HEADERS], 4);
	assert_int_equal(kept[HEADERS], 1);
	close(fd);
	arena_unmap(&spare);
}

/* A packet from the other end: the kernel's own, turned round, its checksum completed where that was left to us. */
static void turn_round(struct packet *p)
{
	uint8_t source[4], *same;
	uint32_t len;
	struct split s;

	assert_true(split_begin(&s, p));
	assert_true(split_next(&s, &same, &len));
	assert_ptr_equal(same, p->data);
	memcpy(source, p->data + 12, 4);
	memcpy(p->data + 12, p->data + 16, 4);
	memcpy(p->data + 16, source, 4);
}

static void writes_and_skips_refusals(void **state)
{
	struct stage *t = *state;
	struct packet in[PACKET_BATCH], out[4];
	struct sockaddr_in to = host("10.99.0.2");
	uint8_t nonsense[2][VNET_LEN + 4] = { { 0 } };
	int fd = bound_socket();
	char text[8] = "";

	assert_int_equal(sendto(fd, "one", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
	assert_int_equal(sendto(fd, "two", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
	assert_int_equal(read_all(t, in), 2);
	turn_round(&in[0]);
	turn_round(&in[1]);
	out[0] = in[0];
	out[1] = (struct packet){ .data = nonsense[0] + VNET_LEN, .len = 4 };	/* no IP version */
	out[2] = (struct packet){ .data = nonsense[1] + VNET_LEN, .len = 0 };
	out[3] = in[1];
	assert_int_equal(write_plain(t, out, 4), 2);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "one", 3);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "two", 3);
	close(fd);
}

static void large_packet(void **state)
{
	static uint8_t big[60000];
	struct stage *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	struct ifreq ifr = { .ifr_name = "tt0", .ifr_mtu = 65535 };
	int fd = bound_socket();

	assert_int_equal(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	memset(big, 7, sizeof(big));
	assert_int_equal(sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(big));
	assert_int_equal(read_all(t, in), 1);
	assert_int_equal(in[0].len, HEADERS + sizeof(big));
	assert_memory_equal(in[0].data + HEADERS, big, sizeof(big));
	close(fd);
}

static void taken_names(void **state)
{
	struct ifreq ifr = { .ifr_name = "tt2", .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct tun t;
	int fd;

	(void)state;
	assert_int_equal(tun_open(&t, "tt0", 1, OFFLOAD_ALL), -EEXIST);
	assert_int_equal(t.fds[0], -1);
	assert_int_equal(tun_open(&t, "lo", 1, OFFLOAD_ALL), -EEXIST);

	/* A persistent tun nobody holds could be attached to, and must not be. */
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	assert_int_equal(tun_open(&t, "tt2", 1, OFFLOAD_ALL), -EEXIST);
	assert_true(if_nametoindex("tt2") > 0);
}

static void impossible_names(void **state)
{
	struct tun t;

	(void)state;
	assert_int_equal(tun_open(&t, "", 1, OFFLOAD_ALL), -EINVAL);
	assert_int_equal(tun_open(&t, "a%d", 1, OFFLOAD_ALL), -EINVAL);
	assert_int_equal(tun_open(&t, "sixteencharacter", 1, OFFLOAD_ALL), -EINVAL);
	assert_int_equal(tun_open(&t, "a/b", 1, OFFLOAD_ALL), -EINVAL);
	assert_int_equal(t.fds[0], -1);
}

static void without_capability(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct tun t;

		_exit(setuid(65534) ? 2 : tun_open(&t, "tt3", 1, OFFLOAD_ALL) != -EPERM);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void link_down(void **state)
{
	struct stage *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket();

	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(read_all(t, in), 1);
	sandbox_link("tt0", 0);
	assert_int_equal(write_plain(t, in, 1), 0);
	assert_int_equal(read_all(t, in), 0);
	sandbox_link("tt0", 1);
	assert_int_equal(write_plain(t, in, 1), 1);
	close(fd);
}

static void delete_link(uint32_t ifindex)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_DELLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_index = (int)ifindex },
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char more[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_true(recv(fd, &answer, sizeof(answer), 0) > 0);
	assert_int_equal(answer.head.nlmsg_type, NLMSG_ERROR);
	assert_int_equal(answer.error.error, 0);
	close(fd);
}

/* "ip link del": the descriptor turns readable, and reading says that the device is gone. */
static void deleted_from_outside(void **state)
{
	struct stage *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	struct pollfd p = { .fd = t->tun.fds[0], .events = POLLIN };
	int fd = bound_socket();

	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(read_all(t, in), 1);
	assert_true(tun_exists(&t->tun));
	delete_link(t->tun.ifindex);
	assert_false(tun_exists(&t->tun));
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(write_plain(t, in, 1), 0);
	assert_int_equal(read_all(t, in), -EBADFD);
	close(fd);
}

/*
 * Super-packets: a TUN in this namespace, another in a second one, and the test between them, which passes on what it reads
 * as it is, the way a tunnel would.
 */

struct pump {
	struct stage a, b;
	int here, there;		/* the namespaces */
	int client, server;		/* TCP, one in each */
	uint64_t fallbacks;
	unsigned int supers, packets, taken;
};

static void enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static void open_end(struct stage *s, const char *name, const char *address, unsigned int offloads)
{
	assert_int_equal(tun_open(&s->tun, name, 1, offloads), 0);
	assert_int_equal(give_slots(s), 0);
	sandbox_address4(name, address, "255.255.255.0");
	sandbox_link(name, 1);
}

static struct pump *open_pump(unsigned int offloads_a, unsigned int offloads_b)
{
	struct pump *p = test_malloc(sizeof(*p));

	memset(p, 0, sizeof(*p));
	memset(&refuse, 0, sizeof(refuse));
	p->here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	open_end(&p->a, "tpa", "10.98.0.1", offloads_a);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	p->there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	open_end(&p->b, "tpb", "10.98.0.2", offloads_b);
	enter(p->here);
	return p;
}

static void close_pump(struct pump *p)
{
	tun_close(&p->a.tun);
	tun_close(&p->b.tun);
	arena_unmap(&p->a.arena);
	arena_unmap(&p->b.arena);
	close(p->here);
	close(p->there);
	test_free(p);
}

/* Into how many packets the kernel would cut it, by its vnet header. */
static uint32_t count_of(const struct packet *p)
{
	struct split s;
	static uint8_t copy[PACKET_HEADROOM + 65536 + PACKET_TAILROOM];
	struct packet c = *p;

	c.data = copy + PACKET_HEADROOM;
	memcpy(c.data, p->data, p->len);
	assert_true(split_begin(&s, &c));
	return s.count;
}

/* One packet, in up to three pieces. */
static size_t pass(struct pump *p, struct stage *to, const struct packet *packet)
{
	uint8_t *whole = packet->data - VNET_LEN;
	size_t len = packet->len + VNET_LEN, cut = len < 1000 ? len / 2 + VNET_LEN / 2 : 500;
	struct piece pieces[3] = { { whole, cut }, { whole + cut, (len - cut) / 2 } };
	struct tun_write w = { .pieces = pieces, .count = 3, .packets = count_of(packet) };

	pieces[2] = (struct piece){ pieces[1].base + pieces[1].len, len - cut - pieces[1].len };
	if (packet->vnet.gso_type == VNET_GSO_NONE) {
		pieces[0].len = len;
		w.count = 1;
	}
	p->supers += w.packets > 1;
	p->packets += w.packets;
	return tun_write_batch(&to->tun, 0, &w, 1, &p->fallbacks);
}

static void pump_one_way(struct pump *p, struct stage *from, struct stage *to)
{
	struct packet in[PACKET_BATCH];
	int n = read_all(from, in);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		bool ip6 = in[i].data[0] >> 4 == 6;	/* the kernel's own talk */

		if (!ip6 && !from->tun.vnet)
			vnet_write(in[i].data - VNET_LEN, &(const struct vnet){ 0 });
		if (!ip6)
			p->taken += (unsigned int)pass(p, to, &in[i]);
	}
}

static void pump(struct pump *p)
{
	pump_one_way(p, &p->a, &p->b);
	pump_one_way(p, &p->b, &p->a);
}

static void connect_tcp(struct pump *p)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int listener;

	inet_pton(AF_INET, "10.98.0.2", &sin.sin_addr);
	enter(p->there);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 1), 0);
	enter(p->here);
	p->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(connect(p->client, (struct sockaddr *)&sin, sizeof(sin)) < 0 && errno == EINPROGRESS);
	p->server = -1;
	for (int i = 0; i < 1000 && p->server < 0; i++) {
		pump(p);
		p->server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_true(p->server >= 0);
	close(listener);
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

/* Move 2 MiB from end to end and see that they are what they were. */
static void transfer(struct pump *p)
{
	enum { TOTAL = 2 << 20, CHUNK = 100000 };
	static uint8_t data[CHUNK];
	size_t sent = 0, got = 0;

	connect_tcp(p);
	for (int i = 0; i < 100000 && got < TOTAL; i++) {
		ssize_t n;

		for (size_t j = 0; j < CHUNK; j++)
			data[j] = pattern(sent + j);
		n = send(p->client, data, TOTAL - sent < CHUNK ? TOTAL - sent : CHUNK, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		pump(p);
		while ((n = recv(p->server, data, CHUNK, 0)) > 0)
			for (ssize_t j = 0; j < n; j++)
				assert_int_equal(data[j], pattern(got++));
	}
	assert_int_equal(got, TOTAL);
	close(p->client);
	close(p->server);
}

static void tcp_goes_in_super_packets(void **state)
{
	struct pump *p = open_pump(OFFLOAD_ALL, OFFLOAD_ALL);

	(void)state;
	transfer(p);
	assert_true(p->supers > 10);
	assert_int_equal(p->taken, p->packets);
	assert_int_equal(p->fallbacks, 0);
	assert_true(p->packets > 2 * refuse.written);
	close_pump(p);
}

/* Without TSO the kernel cuts before we read. */
static void no_tso_no_super_packets(void **state)
{
	struct pump *p = open_pump(OFFLOAD_MERGE, OFFLOAD_MERGE);

	(void)state;
	transfer(p);
	assert_int_equal(p->supers, 0);
	assert_int_equal(p->fallbacks, 0);
	close_pump(p);
}

/* What a stricter kernel refuses is cut; a TUN without vnet headers cannot be given more than plain packets. */
static void refused_super_packets_are_cut(void **state)
{
	static const int errors[] = { EINVAL, ENOMEM };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pump *p = open_pump(OFFLOAD_ALL, i < 2 ? OFFLOAD_ALL : 0);

		refuse.supers = i < 2 ? errors[i] : 0;
		transfer(p);
		assert_true(p->supers > 10);
		assert_int_equal(p->taken, p->packets);
		if (i < 2)
			assert_int_equal(p->fallbacks, p->supers);
		else
			assert_true(p->fallbacks >= p->supers);		/* and every checksum left to us */
		close_pump(p);
	}
}

/* A down link says EIO: nothing is cut, nothing taken. */
static void super_packet_to_a_down_link(void **state)
{
	struct stage *s = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket(), size = 1000;
	static uint8_t data[10000];
	struct piece piece;
	struct tun_write w = { .pieces = &piece, .count = 1, .packets = 10 };
	uint64_t fallbacks = 0;

	if (!(s->tun.offloads & OFFLOAD_USO)) {
		print_message("skipped: the kernel has no USO\n");
		skip();
	}
	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(data));
	assert_int_equal(read_all(s, in), 1);
	assert_int_equal(in[0].vnet.gso_type, VNET_GSO_UDP_L4);
	assert_int_equal(in[0].vnet.gso_size, size);
	assert_int_equal(in[0].len, HEADERS + sizeof(data));
	assert_int_equal(count_of(&in[0]), 10);
	piece = (struct piece){ in[0].data - VNET_LEN, in[0].len + VNET_LEN };
	assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 10);
	sandbox_link("tt0", 0);
	refuse.written = 0;
	assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 0);
	assert_int_equal(refuse.written, 1);
	assert_int_equal(fallbacks, 0);
	/* Cut, the same is refused once more, piece by piece. */
	refuse.supers = EINVAL;
	assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 0);
	assert_int_equal(fallbacks, 1);
	assert_int_equal(refuse.written, 1 + 1 + 10);
	close(fd);
}

/* Headers that make no sense end in a refusal, whatever they say. */
static void nonsense_is_refused(void **state)
{
	static const struct vnet headers[] = {
		{ .gso_type = VNET_GSO_TCP4, .gso_size = 0, .hdr_len = 40 },
		{ .gso_type = VNET_GSO_TCP6, .gso_size = 100, .hdr_len = 40 },
		{ .flags = VNET_NEEDS_CSUM, .csum_start = 60000, .csum_offset = 16 },
		{ .gso_type = 0x77, .gso_size = 100 },
	};
	struct stage *s = *state;
	static uint8_t packet[VNET_LEN + 60000];
	struct piece pieces[3] = { { packet, VNET_LEN + 100 }, { packet, 60000 }, { packet, 60000 } };
	struct tun_write w = { .pieces = pieces, .count = 1, .packets = 1 };
	uint64_t fallbacks = 0;

	packet[VNET_LEN] = 0x45;
	refuse.supers = EINVAL;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		vnet_write(packet, &headers[i]);
		assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 0);
	}
	assert_int_equal(fallbacks, 4);
	/* More than any packet: not even gathered. */
	w.count = 3;
	assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 0);
	/* Not even a header. */
	pieces[0].len = VNET_LEN - 1;
	w.count = 1;
	assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 0);
	w.count = 0;
	assert_int_equal(tun_write_batch(&s->tun, 0, &w, 1, &fallbacks), 0);
}

static void names_of_offloads(void **state)
{
	(void)state;
	assert_string_equal(offload_name(OFFLOAD_TSO), "tso");
	assert_string_equal(offload_name(OFFLOAD_USO), "uso");
	assert_string_equal(offload_name(OFFLOAD_GSO), "gso");
	assert_string_equal(offload_name(OFFLOAD_GRO), "gro");
	assert_string_equal(offload_name(OFFLOAD_MERGE), "merge");
	assert_null(offload_name((enum offload)3));
}

#define ON_STAGE(f) \
	cmocka_unit_test_setup_teardown(f, setup, teardown), cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_offloads),
		cmocka_unit_test(is_new_and_down),
		cmocka_unit_test(refusals_leave_an_offload_off),
		cmocka_unit_test(fewer_queues),
		ON_STAGE(reads_in_batches),
		ON_STAGE(batches_end_when_told),
		ON_STAGE(slots_are_swapped),
		ON_STAGE(writes_and_skips_refusals),
		ON_STAGE(large_packet),
		cmocka_unit_test_setup_teardown(taken_names, setup, teardown),
		cmocka_unit_test(impossible_names),
		cmocka_unit_test(without_capability),
		ON_STAGE(link_down),
		ON_STAGE(deleted_from_outside),
		cmocka_unit_test(tcp_goes_in_super_packets),
		cmocka_unit_test(no_tso_no_super_packets),
		cmocka_unit_test(refused_super_packets_are_cut),
		cmocka_unit_test_setup_teardown(super_packet_to_a_down_link, setup, teardown),
		ON_STAGE(nonsense_is_refused),
	};

	sandbox_network();
	if (access("/dev/net/tun", R_OK | W_OK))
		sandbox_skip("/dev/net/tun");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
