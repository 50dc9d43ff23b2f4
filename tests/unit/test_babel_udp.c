/* SPDX-License-Identifier: MIT */
/* Babel's sockets on ordinary interfaces: over a veth pair, with a plain socket as the witness. */
#include "netstage.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include "sys/babel_udp.h"
#include "sys/clock.h"
#include "sys/privs.h"

static uint8_t buffer[BABEL_UDP_PACKET_MAX];

/* Link-local addresses of a0 and b0 that do not depend on chance. */
static int pair(void **state)
{
	if (stage(state))
		return -1;
	sh("ip link add a0 type veth peer name b0; ip link set a0 addrgenmode none; ip link set b0 addrgenmode none");
	sh("ip link set a0 up; ip link set b0 up; ip address add fe80::a/64 dev a0 nodad; ip address add fe80::b/64 dev b0 nodad");
	wait_running("a0", true);
	wait_running("b0", true);
	return 0;
}

static int open_on(const char *iface)
{
	int fd = babel_udp_open(iface, index_of(iface));

	assert_true(fd >= 0);
	return fd;
}

static void send_to(int fd, const char *iface, const char *src, const char *dst, const char *data)
{
	const struct node_lan_packet p = {
		.ifindex = index_of(iface), .src = src ? addr(src) : (struct ip_addr){ 0 }, .dst = addr(dst),
		.data = (const uint8_t *)data, .len = strlen(data),
	};

	assert_int_equal(babel_udp_send(fd, &p), 0);
}

static struct node_lan_packet receive(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct node_lan_packet p = { 0 };

	assert_int_equal(poll(&pfd, 1, 20000), 1);
	assert_int_equal(babel_udp_receive(fd, buffer, &p), 1);
	return p;
}

/* Everything a neighbour says in one breath waits for us. */
static void a_burst_is_kept(void **state)
{
	int a = open_on("a0"), b = open_on("b0"), got = 0;
	char data[1400];
	struct node_lan_packet p;

	(void)state;
	memset(data, 'x', sizeof(data));
	data[sizeof(data) - 1] = '\0';
	for (int i = 0; i < 500; i++)
		send_to(a, "a0", "fe80::a", "ff02::1:6", data);
	for (int tries = 0; tries < 2000 && got < 500; tries++) {
		usleep(tries ? 10000 : 100000);
		while (babel_udp_receive(b, buffer, &p) > 0)
			got++;
	}
	assert_int_equal(got, 500);
	close(a);
	close(b);
}

static void both_ways(void **state)
{
	int a = open_on("a0"), b = open_on("b0");
	const struct ip_addr at_a = addr("fe80::a"), at_b = addr("fe80::b"), group = addr("ff02::1:6");
	struct node_lan_packet p;

	(void)state;
	send_to(a, "a0", "fe80::a", "ff02::1:6", "hello");
	p = receive(b);
	assert_int_equal(p.len, 5);
	assert_memory_equal(p.data, "hello", 5);
	assert_true(ip_addr_equal(&p.src, &at_a));
	assert_true(ip_addr_equal(&p.dst, &group));
	assert_int_equal(p.src_port, 6696);
	assert_int_equal(p.ifindex, index_of("b0"));
	assert_int_equal(babel_udp_receive(a, buffer, &p), 0);	/* not its own */

	send_to(b, "b0", NULL, "ff02::1:6", "hi");
	p = receive(a);
	assert_true(ip_addr_equal(&p.src, &at_b));
	send_to(b, "b0", "fe80::b", "fe80::a", "one");
	p = receive(a);
	assert_true(ip_addr_equal(&p.dst, &at_a));
	assert_int_equal(p.ifindex, index_of("a0"));
	close(a);
	close(b);
}

/* What others see of us: hop limit 1 and class CS6, to the group and to one. */
static void hop_limit(void **state)
{
	static const char *const to[] = { "ff02::1:6", "fe80::b" };
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(6696) };
	struct ipv6_mreq mreq = { .ipv6mr_interface = index_of("b0") };
	int a = open_on("a0"), fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	(void)state;
	inet_pton(AF_INET6, "ff02::1:6", &mreq.ipv6mr_multiaddr);
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "b0", 3);
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq, sizeof(mreq)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	for (size_t i = 0; i < 2; i++) {
		uint8_t control[256];
		struct iovec iov = { .iov_base = buffer, .iov_len = sizeof(buffer) };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		int hops = 0, class = 0;

		send_to(a, "a0", "fe80::a", to[i], "x");
		assert_int_equal(recvmsg(fd, &m, 0), 1);
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			memcpy(c->cmsg_type == IPV6_HOPLIMIT ? &hops : &class, CMSG_DATA(c), sizeof(int));
		assert_int_equal(hops, 1);
		assert_int_equal(class, 0xc0);
	}
	close(a);
	close(fd);
}

/* The stamp is when it came, not when it was read. */
static void stamps(void **state)
{
	int a = open_on("a0"), b = open_on("b0");
	int64_t sent_us, read_us = 0;
	struct node_lan_packet p = { 0 };

	(void)state;
	/* The kernel begins to stamp some time after it was asked to. */
	for (int tries = 0; tries < 20; tries++) {
		usleep(100000);
		sent_us = clock_now().mono_us;
		send_to(a, "a0", "fe80::a", "ff02::1:6", "x");
		usleep(200000);
		p = receive(b);
		read_us = clock_now().mono_us;
		assert_true(p.stamp_us >= sent_us - 1000);
		if (p.stamp_us <= read_us - 150000)
			break;
	}
	assert_true(p.stamp_us <= read_us - 150000);
	close(a);
	close(b);
}

static void taken(void **state)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(6696) };
	int a = open_on("a0"), b = open_on("b0"), fd, on = 1;

	(void)state;
	assert_int_equal(babel_udp_open("a0", index_of("a0")), -EADDRINUSE);
	close(a);
	a = open_on("a0");
	close(a);
	close(b);
	/* Another program, on all interfaces, that would share. */
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(babel_udp_open("a0", index_of("a0")), -EADDRINUSE);
	close(fd);
	assert_int_equal(babel_udp_open("nosuch", 4711), -ENODEV);
}

static void gone(void **state)
{
	int a = open_on("a0");
	struct node_lan_packet p = { .ifindex = index_of("a0"), .dst = addr("ff02::1:6"), .data = buffer, .len = 4 };

	(void)state;
	sh("ip link del a0");
	assert_true(babel_udp_send(a, &p) < 0);
	assert_true(babel_udp_receive(a, buffer, &p) <= 0);
	close(a);
}

/* What the daemon looks at: addresses that can be used, and kept while they can; the carrier. */
static void followed(void **state)
{
	struct netlink_lan l = { 0 };
	const struct ip_addr at_a = addr("fe80::a"), v4 = addr("192.0.2.7");

	(void)state;
	assert_int_equal(netlink_lan_get(&nl, "nosuch", &l), -ENODEV);
	assert_int_equal(netlink_lan_get(&nl, "a0", &l), 0);
	assert_int_equal(l.ifindex, index_of("a0"));
	assert_int_equal(l.mtu, 1500);
	assert_true(l.up);
	assert_true(ip_addr_equal(&l.address, &at_a));
	assert_int_equal(l.address4.family, IP_NONE);
	sh("ip address add 192.0.2.7/24 dev a0; ip address add fe80::1/64 dev a0 nodad; ip address add 192.0.2.1/32 dev a0");
	assert_int_equal(netlink_lan_get(&nl, "a0", &l), 0);
	assert_true(ip_addr_equal(&l.address, &at_a));
	assert_true(ip_addr_equal(&l.address4, &v4));
	sh("ip link set b0 down; ip address del fe80::a/64 dev a0");
	wait_running("a0", false);
	assert_int_equal(netlink_lan_get(&nl, "a0", &l), 0);
	assert_false(l.up);
	sh("ip link set b0 up; ip link del a0");
	assert_int_equal(netlink_lan_get(&nl, "a0", &l), -ENODEV);
	assert_int_equal(l.ifindex, 0);
	assert_false(l.up);
}

/* As the daemon runs: CAP_NET_ADMIN and CAP_NET_BIND_SERVICE alone. The last case, for there is no way back. */
static void few_privileges(void **state)
{
	int a;

	(void)state;
	assert_int_equal(privs_drop(), 0);
	a = open_on("a0");
	close(a);
}

#undef CASE
#define CASE(f) cmocka_unit_test_setup_teardown(f, pair, strike)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(both_ways),
		CASE(a_burst_is_kept),
		CASE(hop_limit),
		CASE(stamps),
		CASE(taken),
		CASE(gone),
		CASE(followed),
		cmocka_unit_test_setup(few_privileges, pair),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
