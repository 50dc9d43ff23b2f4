/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_NETSTAGE_H
#define MESHD_TESTS_NETSTAGE_H

/*
 * The stage of the netlink tests: a network namespace of the program's own with a TUN m0 in it, anew for every
 * case, and libmnl's send and receive with faults to order. ip(8) builds the scenery and is the independent
 * witness. Needs root and /dev/net/tun; without either: one line why, and exit status 77.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_tun.h>

#include "skip.h"
#include "sys/netlink.h"

enum { MARK = 51820, SKIPPED = 77 };

#define ADDRESSES "ip -br address show m0 | sed 's/^[^ ]* *[^ ]* *//;s/fe80[^ ]*//' | xargs -n 1 | sort | xargs"
#define ROUTES4 "ip -4 route show proto boot"
#define ROUTES6 "ip -6 route show proto boot"

static struct netlink nl;
static int tun_fd;
static uint32_t tun;		/* interface index of m0 */

/* --- libmnl's send and receive, with faults: the program's own functions come before the library's --- */

static struct {
	int interrupt;		/* answers still to be marked as interrupted */
	int fail;		/* receives still to fail... */
	int error;		/* ...with this */
	int calls;
	int lose;		/* the how many-th request from now cannot be sent; 0: none */
} fault;

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t size)
{
	ssize_t (*real)(const struct mnl_socket *, const void *, size_t);

	*(void **)&real = dlsym(RTLD_NEXT, "mnl_socket_sendto");
	if (fault.lose > 0 && --fault.lose == 0) {
		errno = ENOBUFS;
		return -1;
	}
	return real(s, buf, size);
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t size)
{
	ssize_t (*real)(const struct mnl_socket *, void *, size_t);
	struct nlmsghdr *h = buf;
	ssize_t n;

	*(void **)&real = dlsym(RTLD_NEXT, "mnl_socket_recvfrom");
	fault.calls++;
	if (fault.fail > 0) {
		fault.fail--;
		errno = fault.error;
		return -1;
	}
	n = real(s, buf, size);
	if (n > 0 && fault.interrupt > 0 && h->nlmsg_flags & NLM_F_MULTI && h->nlmsg_type != NLMSG_DONE) {
		fault.interrupt--;
		h->nlmsg_flags |= NLM_F_DUMP_INTR;
	}
	return n;
}

/* --- the stage --- */

__attribute__((format(printf, 1, 2)))
static inline void sh(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd))
		fail_msg("%s", cmd);
}

static inline const char *output(const char *cmd)
{
	static char text[4][16384];
	static int turn;
	char *out = text[turn++ % 4];
	FILE *f = popen(cmd, "r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, sizeof(text[0]) - 1, f);
	out[n] = '\0';
	pclose(f);
	return out;
}

/* 'cmd' must print exactly 'expected' (ip(8) ends its lines with spaces: they are taken off). */
static inline void shows(const char *cmd, const char *expected)
{
	char line[600];

	snprintf(line, sizeof(line), "(%s) 2>&1 | sed 's/ *$//'", cmd);
	assert_string_equal(output(line), expected);
}

static inline struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(text, &p));
	return p;
}

static inline struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static inline struct netlink_route route(const char *dst, uint32_t table, uint32_t ifindex)
{
	return (struct netlink_route){ .dst = prefix(dst), .table = table, .ifindex = ifindex };
}

static inline uint32_t index_of(const char *name)
{
	uint32_t ifindex = if_nametoindex(name);

	assert_int_not_equal(ifindex, 0);
	return ifindex;
}

static inline void drain(void)
{
	while (netlink_monitor_read(&nl, tun) != 0)
		;
}

/*
 * Wait until the kernel has no more to tell of its own accord, and forget what it told. Carriers, addresses that come into force and the routes
 * that go with both are its workers' business, which on a busy machine come to it late.
 */
static inline void settle(void)
{
	struct pollfd p = { .fd = netlink_monitor_fd(&nl), .events = POLLIN };

	for (int i = 0; i < 100; i++) {
		bool quiet = poll(&p, 1, 100) == 0 && !*output("ip -6 address show tentative");

		drain();
		if (quiet)
			return;
	}
	fail_msg("the stage does not come to rest");
}

/* What the monitor says, of these; others come when they like. */
static inline int told_of(int events)
{
	int seen = netlink_monitor_read(&nl, tun);

	assert_true(seen >= 0);
	return seen & events;
}

/* Wait until an interface is running, or no longer: a worker of the kernel's sees to that, too. */
static inline void wait_running(const char *name, bool running)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	bool is = !running;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	for (int i = 0; i < 10000 && is != running; i++) {
		assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
		is = ifr.ifr_flags & IFF_RUNNING;
		if (is != running)
			usleep(1000);
	}
	close(fd);
	assert_int_equal(is, running);
}

/* Rules and links as at the start. */
static inline int sweep(void)
{
	return system("ip -4 rule flush; ip -6 rule flush; ip -4 rule add table main pref 32766;"
		      "ip -4 rule add table default pref 32767; ip -6 rule add table main pref 32766; ip link del a0 2>/dev/null;"
		      "ip -4 route flush table all 2>/dev/null; ip -6 route flush type unreachable 2>/dev/null; true");
}

/* A TUN with a carrier, as the daemon has it. */
static inline int stage(void **state)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	(void)state;
	memset(&fault, 0, sizeof(fault));
	tun_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun_fd < 0)
		return -1;
	strcpy(ifr.ifr_name, "m0");
	if (ioctl(tun_fd, TUNSETIFF, &ifr) < 0 || netlink_open(&nl))
		return -1;
	tun = if_nametoindex("m0");
	return 0;
}

static inline int strike(void **state)
{
	(void)state;
	netlink_close(&nl);
	close(tun_fd);
	return sweep();
}

/* Two ends, a0 up with addresses of both families, b0 the router. */
static inline void make_veth(void)
{
	sh("ip link add a0 type veth peer name b0");
	sh("ip address add 192.0.2.1/24 dev a0; ip address add 2001:db8::1/64 dev a0 nodad");
	sh("ip link set a0 up; ip link set b0 up");
	wait_running("a0", true);
	wait_running("b0", true);
}

/* Addresses are in force at once, and not when nobody has objected for a second or two. */
static inline bool no_duplicate_detection(void)
{
	return system("cd /proc/sys/net/ipv6/conf && echo 0 >all/accept_dad && echo 0 >default/accept_dad") == 0;
}

static inline bool can_run(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		skip_all("no network namespace of its own", strerror(errno));
		return false;
	}
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		skip_all("/dev/net/tun", strerror(errno));
		return false;
	}
	return system("ip link set lo up") == 0 && no_duplicate_detection() && sweep() == 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage, strike)

#endif
