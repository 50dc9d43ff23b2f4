/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_SANDBOX_H
#define MESHD_TESTS_SANDBOX_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "skip.h"

/*
 * Namespaces of a test program's own, so that it may do as it likes with interfaces, and with the fixed directories under
 * /run. They go with the process. Where they are not permitted the program ends as skipped (77) with the reason.
 */

static inline void sandbox_skip(const char *what)
{
	skip_all(what, strerror(errno));
}

static inline void sandbox_fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Set an interface up or down. */
static inline void sandbox_link(const char *name, int up)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr))
		sandbox_fail("SIOCGIFFLAGS");
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		sandbox_fail("SIOCSIFFLAGS");
	close(fd);
}

/* Give an interface its IPv4 address. */
static inline void sandbox_address4(const char *name, const char *address, const char *mask)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	inet_pton(AF_INET, address, &sin.sin_addr);
	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &ifr))
		sandbox_fail("SIOCSIFADDR");
	inet_pton(AF_INET, mask, &sin.sin_addr);
	memcpy(&ifr.ifr_netmask, &sin, sizeof(sin));
	if (ioctl(fd, SIOCSIFNETMASK, &ifr))
		sandbox_fail("SIOCSIFNETMASK");
	close(fd);
}

/* Whether a datagram to an IPv6 address of ours arrives. */
static inline int sandbox_reaches6(const struct in6_addr *a, int ifindex)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_addr = *a, .sin6_scope_id = (uint32_t)ifindex };
	socklen_t len = sizeof(sin6);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), ok;
	char c = 0;

	ok = !bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) && !getsockname(fd, (struct sockaddr *)&sin6, &len) &&
	     sendto(fd, &c, 1, 0, (struct sockaddr *)&sin6, len) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) == 1;
	close(fd);
	return ok;
}

/*
 * Give an interface (lo, others would ask for duplicates first) one more IPv6 address, and wait until it is in force: the
 * kernel finishes that in the background.
 */
static inline void sandbox_address6(const char *name, const char *address, unsigned int len)
{
	union {
		struct ifreq v4;	/* what checkers take the argument of SIOCSIFADDR for */
		struct in6_ifreq v6;
	} ifr;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(&ifr, 0, sizeof(ifr));
	ifr.v6.ifr6_prefixlen = len;
	ifr.v6.ifr6_ifindex = (int)if_nametoindex(name);
	inet_pton(AF_INET6, address, &ifr.v6.ifr6_addr);
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &ifr))
		sandbox_fail("SIOCSIFADDR (IPv6)");
	close(fd);
	for (int i = 0; i < 500; i++) {
		if (sandbox_reaches6(&ifr.v6.ifr6_addr, ifr.v6.ifr6_ifindex))
			return;
		usleep(10000);
	}
	sandbox_fail("address not in force");
}

/* A network namespace with nothing but lo, which is up. */
static inline void sandbox_network(void)
{
	if (unshare(CLONE_NEWNET))
		sandbox_skip("unshare(CLONE_NEWNET)");
	sandbox_link("lo", 1);
}

/* A mount namespace with an empty /run (and so /var/run, /run/meshd...). */
static inline void sandbox_run_dir(void)
{
	struct stat run, var_run;

	if (unshare(CLONE_NEWNS))
		sandbox_skip("unshare(CLONE_NEWNS)");
	if (mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"))
		sandbox_skip("mount");
	if (stat("/run", &run) || stat("/var/run", &var_run))
		sandbox_fail("/var/run");
	if ((run.st_dev != var_run.st_dev || run.st_ino != var_run.st_ino) &&
	    mount("tmpfs", "/var/run", "tmpfs", 0, "mode=0755"))
		sandbox_skip("mount");
}

#endif
