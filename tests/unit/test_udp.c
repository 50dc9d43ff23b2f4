/* SPDX-License-Identifier: MIT */
/* The UDP sockets: what they tell of datagrams, how they are set up, and the groups that lanes share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>

#include "udpstage.h"

static void tells_both_addresses(void **state)
{
	static const char *const locals[] = { "127.0.0.1", "127.0.0.5", "::1", "fd00::5" };
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	for (size_t i = 0; i < 4; i++) {
		struct dgram d = dgram_to(locals[i], p->b.port, "hello");
		int fd = fd_of(&p->b, locals[i]);

		d.path.local = d.path.remote.addr;
		assert_int_equal(udp_receive(&p->b, 0, 0, fd, in), 0);
		assert_int_equal(send_all(&p->a, &d, 1), 0);
		wait_readable(fd);
		assert_int_equal(udp_receive(&p->b, 0, 0, fd, in), 1);
		assert_data(&in[0], "hello");
		assert_addr(&in[0].path.remote.addr, locals[i]);
		assert_int_equal(in[0].path.remote.port, p->a.port);
		assert_int_equal(in[0].path.remote.scope, 0);
		assert_addr(&in[0].path.local, locals[i]);
		assert_int_equal(in[0].path.ifindex, if_nametoindex("lo"));
		assert_int_equal(in[0].tos, 0);
	}
}

/* The kernel would answer a 127.0.0.1 from 127.0.0.1, and ::1 from ::1, whichever address was asked. */
static void answers_from_the_address_asked(void **state)
{
	struct pair *p = *state;
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(p->a.port) }, from4;
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(p->a.port) }, from6;
	int fd4 = plain_socket(AF_INET), fd6 = plain_socket(AF_INET6);
	socklen_t len;
	struct dgram in[PACKET_BATCH];
	char c;

	inet_pton(AF_INET, "127.0.0.7", &to4.sin_addr);
	inet_pton(AF_INET6, "fd00::5", &to6.sin6_addr);
	assert_int_equal(sendto(fd4, "q", 1, 0, (struct sockaddr *)&to4, sizeof(to4)), 1);
	assert_int_equal(sendto(fd6, "q", 1, 0, (struct sockaddr *)&to6, sizeof(to6)), 1);
	wait_readable(p->a.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->a, 0, 0, p->a.lanes[0].fd4, in), 1);
	assert_int_equal(send_all(&p->a, in, 1), 0);
	wait_readable(p->a.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->a, 0, 0, p->a.lanes[0].fd6, in), 1);
	assert_int_equal(send_all(&p->a, in, 1), 0);

	len = sizeof(from4);
	assert_int_equal(recvfrom(fd4, &c, 1, 0, (struct sockaddr *)&from4, &len), 1);
	assert_memory_equal(&from4.sin_addr, &to4.sin_addr, 4);
	assert_int_equal(from4.sin_port, to4.sin_port);
	len = sizeof(from6);
	assert_int_equal(recvfrom(fd6, &c, 1, 0, (struct sockaddr *)&from6, &len), 1);
	assert_memory_equal(&from6.sin6_addr, &to6.sin6_addr, 16);
	close(fd4);
	close(fd6);
}

static void carries_tos(void **state)
{
	static const uint8_t values[] = { 0x88, 0x00, 0x01, 0x03, 0xff, 0x00 };
	static const char *const to[] = { "127.0.0.1", "::1" };
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH], out[6];

	for (size_t f = 0; f < 2; f++) {
		for (size_t i = 0; i < 6; i++) {
			out[i] = dgram_to(to[f], p->b.port, "x");
			out[i].tos = values[i];
			if (i & 1)
				out[i].path.local = address(to[f]);
		}
		assert_int_equal(send_all(&p->a, out, 6), 0);
		wait_readable(fd_of(&p->b, to[f]));
		assert_int_equal(udp_receive(&p->b, 0, 0, fd_of(&p->b, to[f]), in), 6);
		for (size_t i = 0; i < 6; i++)
			assert_int_equal(in[i].tos, values[i]);
	}
}

/* More than one system call takes, both families mixed: everything arrives, in order, PACKET_BATCH at a time. */
static void long_batches_keep_order(void **state)
{
	enum { COUNT = 2 * PACKET_BATCH + 21 };
	static char text[2 * COUNT][12];
	static struct dgram out[2 * COUNT];
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	for (int i = 0; i < 2 * COUNT; i++) {
		snprintf(text[i], sizeof(text[i]), "%d", i);
		out[i] = dgram_to(i & 1 ? "::1" : "127.0.0.1", p->b.port, text[i]);
	}
	assert_int_equal(send_all(&p->a, out, 2 * COUNT), 0);
	for (int f = 0; f < 2; f++) {
		int fd = f ? p->b.lanes[0].fd6 : p->b.lanes[0].fd4;

		for (int got = 0; got < COUNT;) {
			int n = udp_receive(&p->b, 0, 0, fd, in);

			assert_int_equal(n, COUNT - got < PACKET_BATCH ? COUNT - got : PACKET_BATCH);
			for (int i = 0; i < n; i++)
				assert_data(&in[i], text[2 * (got + i) + f]);
			got += n;
		}
		assert_int_equal(udp_receive(&p->b, 0, 0, fd, in), 0);
	}
}

/* The promise of base/packet.h, for the largest and the smallest at once. */
static void buffers_have_room(void **state)
{
	static uint8_t big[65507];
	struct pair *p = *state;
	struct dgram out[3], in[PACKET_BATCH];

	for (int i = 0; i < 3; i++)
		out[i] = dgram_to("127.0.0.1", p->b.port, "");
	memset(big, 0x5a, sizeof(big));
	out[1].data = big;
	out[1].len = sizeof(big);
	assert_int_equal(send_all(&p->a, out, 3), 0);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 3);
	assert_int_equal(in[0].len, 0);
	assert_int_equal(in[1].len, sizeof(big));
	assert_int_equal(in[2].len, 0);
	for (int i = 0; i < 3; i++) {
		memset(in[i].data - PACKET_HEADROOM, 1, PACKET_HEADROOM);
		memset(in[i].data + in[i].len, 2, PACKET_TAILROOM);
	}
	assert_memory_equal(in[1].data, big, sizeof(big));
	assert_int_equal(in[2].data[-1], 1);
	assert_int_equal(in[0].data[0], 2);
}

/* Every entry is judged by itself; the good ones among the bad ones all arrive, in order. */
static void failures_do_not_stop_the_batch(void **state)
{
	static uint8_t big[65536];
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH], out[12];

	for (size_t i = 0; i < 12; i++)
		out[i] = dgram_to(i < 6 ? "127.0.0.1" : "::1", p->b.port, i < 6 ? "four" : "six");
	out[0].path.remote.addr = address("192.0.2.1");		/* no route */
	out[1].path.local = address("192.0.2.9");		/* not ours any more: goes all the same */
	out[3].data = big;					/* too large */
	out[3].len = sizeof(big);
	out[4].path.remote.addr = address("192.0.2.1");		/* no route, with or without this */
	out[4].path.local = address("192.0.2.9");
	out[7].path.remote.addr = address("2001:db8::1");	/* no route */
	out[8].path.local = address("2001:db8::9");		/* not ours any more */
	out[8].tos = 0x28;
	out[9].path.remote.addr = (struct ip_addr){ 0 };	/* nowhere */
	out[11].path.remote.port = 0;				/* no port */
	assert_int_equal(send_all(&p->a, out, 12), 6);
	wait_readable(p->b.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 3);
	for (int i = 0; i < 3; i++)
		assert_data(&in[i], "four");
	assert_addr(&in[0].path.remote.addr, "127.0.0.1");
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd6, in), 3);
	assert_addr(&in[1].path.remote.addr, "::1");
	assert_int_equal(in[0].tos, 0);
	assert_int_equal(in[1].tos, 0x28);
	assert_int_equal(in[2].tos, 0);
}

static void one_family_missing(void **state)
{
	struct pair *p = *state;
	struct dgram d[2] = { dgram_to("::1", p->b.port, "a"), dgram_to("127.0.0.1", p->b.port, "b") }, in[PACKET_BATCH];

	close(p->a.lanes[0].fd6);
	p->a.lanes[0].fd6 = -1;
	assert_int_equal(send_all(&p->a, d, 2), 1);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 1);
	assert_data(&in[0], "b");
	assert_int_equal(udp_set_fwmark(&p->a, 9), 0);
}

/* An ICMP error that waits in the socket (only IP_RECVERR makes it wait) stops neither receiving nor sending. */
static void icmp_is_not_an_error(void **state)
{
	struct pair *p = *state;
	struct dgram dead = dgram_to("127.0.0.1", 1, "x"), d = dgram_to("127.0.0.1", p->b.port, "y"), in[PACKET_BATCH];
	int one = 1;

	assert_int_equal(setsockopt(p->a.lanes[0].fd4, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)), 0);
	assert_int_equal(send_all(&p->a, &dead, 1), 0);
	assert_int_equal(udp_receive(&p->a, 0, 0, p->a.lanes[0].fd4, in), 0);
	assert_int_equal(send_all(&p->a, &dead, 1), 0);
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 1);
	assert_data(&in[0], "y");

	d.path.remote.port = p->a.port;
	assert_int_equal(send_all(&p->a, &dead, 1), 0);
	assert_int_equal(send_all(&p->b, &d, 1), 0);
	wait_readable(p->a.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->a, 0, 0, p->a.lanes[0].fd4, in), 1);
	assert_data(&in[0], "y");
}

static void closed_socket_is_an_error(void **state)
{
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	assert_int_equal(udp_receive(&p->a, 0, 0, -1, in), -EBADF);
}

static void link_local_has_a_scope(void **state)
{
	struct pair *p = *state;
	uint32_t lo = if_nametoindex("lo");
	struct dgram d = dgram_to("fe80::5", p->b.port, "ll"), in[PACKET_BATCH];

	d.path.remote.scope = lo;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd6, in), 1);
	assert_addr(&in[0].path.local, "fe80::5");
	assert_int_equal(in[0].path.remote.scope, lo);

	/* The answer goes from and to fe80::5 with the interface twice. */
	assert_int_equal(send_all(&p->b, in, 1), 0);
	wait_readable(p->a.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->a, 0, 0, p->a.lanes[0].fd6, in), 1);
	assert_data(&in[0], "ll");
	assert_addr(&in[0].path.remote.addr, "fe80::5");

	/* A link-local address of ours with a global one of theirs needs the interface too. */
	d = dgram_to("fd00::5", p->b.port, "gl");
	d.path.local = address("fe80::5");
	d.path.ifindex = lo;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd6, in), 1);
	assert_addr(&in[0].path.remote.addr, "fe80::5");
}

static uint32_t mark_of(int fd)
{
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	return mark;
}

static int option_of(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static void sockets_are_set_up(void **state)
{
	struct udp u;

	(void)state;
	assert_int_equal(udp_open(&u, 0, 0xcafe1234, 1, OFFLOAD_ALL), 0);
	assert_int_equal(mark_of(u.lanes[0].fd4), 0xcafe1234);
	assert_int_equal(mark_of(u.lanes[0].fd6), 0xcafe1234);
	assert_int_equal(udp_set_fwmark(&u, 0), 0);
	assert_int_equal(mark_of(u.lanes[0].fd4), 0);
	assert_int_equal(mark_of(u.lanes[0].fd6), 0);
	assert_int_equal(u.fwmark, 0);
	assert_int_equal(option_of(u.lanes[0].fd4, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
	assert_int_equal(option_of(u.lanes[0].fd6, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DONT);
	assert_int_equal(option_of(u.lanes[0].fd6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_true(option_of(u.lanes[0].fd4, SOL_SOCKET, SO_RCVBUF) >= 1 << 20);
	assert_int_equal(option_of(u.lanes[0].fd6, SOL_SOCKET, SO_SNDBUF), 2 << 20);
	udp_close(&u);
}

static void ports(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct udp u, v;

	(void)state;
	assert_int_equal(udp_open(&u, 0, 0, 1, OFFLOAD_ALL), 0);
	assert_true(u.port > 0);
	assert_int_equal(udp_open(&v, u.port, 0, 1, OFFLOAD_ALL), -EADDRINUSE);
	assert_int_equal(v.lanes[0].fd4, -1);
	assert_int_equal(v.lanes[0].fd6, -1);
	udp_close(&u);

	for (int i = 0; i < 2; i++) {
		int fd = occupy(families[i], 40123);

		assert_int_equal(udp_open(&u, 40123, 0, 1, OFFLOAD_ALL), -EADDRINUSE);
		close(fd);
		assert_int_equal(udp_open(&u, 40123, 0, 1, OFFLOAD_ALL), 0);	/* and nothing of the failure is left */
		assert_int_equal(u.port, 40123);
		udp_close(&u);
	}
}

static void set_port_range(const char *range)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");

	assert_non_null(f);
	assert_true(fputs(range, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Where the kernel picks among two ports and IPv6 has lost one of them, the other is found; where it has lost both, none. */
static void port_0_is_free_in_both(void **state)
{
	struct udp u;
	int taken[2], lowest;

	(void)state;
	set_port_range("40200 40201");
	taken[0] = occupy(AF_INET6, 40200);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(udp_open(&u, 0, 0, 1, OFFLOAD_ALL), 0);
		assert_int_equal(u.port, 40201);
		udp_close(&u);
	}
	taken[1] = occupy(AF_INET6, 40201);
	lowest = dup(0);
	close(lowest);
	assert_int_equal(udp_open(&u, 0, 0, 1, OFFLOAD_ALL), -EADDRINUSE);
	assert_int_equal(dup(0), lowest);	/* none of the attempts left a socket behind */
	close(lowest);
	close(taken[0]);
	close(taken[1]);
	set_port_range("32768 60999");
}

/*
 * Lanes.
 */

static void lanes_share_a_port(void **state)
{
	enum { LANES = 4 };
	struct udp u, v;
	struct pair *p = *state;

	udp_init(&u);
	assert_false(udp_is_open(&u));
	assert_int_equal(udp_open(&u, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(udp_open(&u, 0, 0, UDP_LANES_MAX + 1, 0), -EINVAL);
	assert_int_equal(open_udp(&u, 0, 0xbeef, LANES, OFFLOAD_ALL), 0);
	assert_true(udp_is_open(&u));
	assert_int_equal(u.count, LANES);
	assert_true(u.steered);
	for (unsigned int i = 0; i < LANES; i++) {
		assert_int_equal(mark_of(u.lanes[i].fd4), 0xbeef);
		assert_int_equal(mark_of(u.lanes[i].fd6), 0xbeef);
	}
	assert_int_equal(udp_set_fwmark(&u, 7), 0);
	assert_int_equal(mark_of(u.lanes[LANES - 1].fd6), 7);
	assert_int_equal(u.lanes[LANES].fd4, -1);

	/* Data for each sub-session arrives in its lane, in either family, and leaves from the port they share. */
	for (unsigned int i = 1; i < 9; i++) {
		uint8_t message[32] = { 4, 0, 0, 0, (uint8_t)i };
		const char *to = i & 4 ? "::1" : "127.0.0.1";
		struct dgram d = dgram_to(to, u.port, ""), in[PACKET_BATCH];
		unsigned int lane = i % LANES;
		struct udp_stats stats = { 0 };
		size_t unsent;

		d.data = message;
		d.len = sizeof(message);
		assert_int_equal(send_all(&p->a, &d, 1), 0);
		wait_readable(i & 4 ? u.lanes[lane].fd6 : u.lanes[lane].fd4);
		assert_int_equal(udp_receive(&u, lane, 0, i & 4 ? u.lanes[lane].fd6 : u.lanes[lane].fd4, in), 1);
		assert_int_equal(udp_send(&u, lane, in, 1, &stats, &unsent), 0);
		wait_readable(fd_of(&p->a, to));
		assert_int_equal(udp_receive(&p->a, 0, 0, fd_of(&p->a, to), in), 1);
		assert_int_equal(in[0].path.remote.port, u.port);
	}
	/* A second node does not join. */
	for (unsigned int lanes = 1; lanes < 3; lanes++) {
		assert_int_equal(udp_open(&v, u.port, 0, lanes, OFFLOAD_ALL), -EADDRINUSE);
		assert_false(udp_is_open(&v));
	}
	udp_close(&u);
	assert_int_equal(u.lanes[LANES - 1].fd4, -1);
}

/* Nor do we join a stranger who would share the port, in whichever family. */
static void sharing_strangers_keep_us_out(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct udp u;
	int one = 1;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = occupy(families[i], 40124);

		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
		assert_int_equal(udp_open(&u, 40124, 0, 4, OFFLOAD_ALL), -EADDRINUSE);
		assert_int_equal(u.lanes[0].fd4, -1);
		close(fd);
		assert_int_equal(udp_open(&u, 40124, 0, 4, OFFLOAD_ALL), 0);
		udp_close(&u);
	}
}

/*
 * Further ports.
 */

static uint16_t number_of(int fd)
{
	struct sockaddr_in6 sin6 = { .sin6_port = 0 };
	socklen_t len = sizeof(sin6);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin6, &len), 0);
	return ntohs(sin6.sin6_port);
}

static void ports_are_set_up(void **state)
{
	struct udp u;

	(void)state;
	udp_init(&u);
	assert_int_equal(udp_open_ports(&u, 1), -EINVAL);
	assert_int_equal(udp_open(&u, 0, 0xcafe, 2, OFFLOAD_ALL), 0);
	assert_int_equal(udp_open_ports(&u, UDP_PORTS_MAX + 1), -EINVAL);
	assert_int_equal(u.port_count, 0);
	assert_int_equal(udp_open_ports(&u, 2), 0);
	assert_int_equal(udp_open_ports(&u, 5), 0);
	assert_int_equal(udp_open_ports(&u, 3), 0);
	assert_int_equal(u.port_count, 5);
	assert_int_equal(u.ports[6].fd4, -1);
	for (unsigned int i = 1; i <= 5; i++) {
		const struct udp_port *p = &u.ports[i];

		assert_int_equal(udp_port_lane(&u, i), i % 2);
		assert_int_equal(number_of(p->fd4), p->number);
		assert_int_equal(number_of(p->fd6), p->number);
		assert_int_not_equal(p->number, u.port);
		assert_int_not_equal(p->number, u.ports[i - 1].number);
		assert_int_equal(option_of(p->fd4, SOL_SOCKET, SO_REUSEPORT), 0);
		assert_int_equal(option_of(p->fd6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
		assert_int_equal(option_of(p->fd4, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
		assert_int_equal(option_of(p->fd6, SOL_SOCKET, SO_SNDBUF), 2 << 20);
		assert_int_equal(option_of(p->fd6, SOL_UDP, UDP_GRO), u.lanes[0].gro);
		assert_int_equal(p->gso6, u.lanes[0].gso6);
		assert_int_equal(mark_of(p->fd4), 0xcafe);
		assert_int_equal(mark_of(p->fd6), 0xcafe);
	}
	assert_int_equal(udp_set_fwmark(&u, 7), 0);
	assert_int_equal(mark_of(u.ports[5].fd4), 7);
	assert_int_equal(mark_of(u.ports[1].fd6), 7);
	assert_int_equal(udp_open_ports(&u, 6), 0);
	assert_int_equal(mark_of(u.ports[6].fd6), 7);
	if (u.offloads & OFFLOAD_GSO) {
		assert_true(udp_offloads(&u) & OFFLOAD_GSO);
		u.ports[3].gso6 = false;
		assert_false(udp_offloads(&u) & OFFLOAD_GSO);
		u.lanes[1].gso4 = u.lanes[1].gso6 = false;
		assert_int_equal(udp_run_messages_max(&u, 1), u.segments_max);
	}
	udp_close(&u);
	assert_int_equal(u.ports[5].fd6, -1);
	assert_int_equal(u.port_count, 0);
}

static int free_below(rlim_t limit)
{
	int count = 0;

	for (int fd = 0; (rlim_t)fd < limit; fd++)
		count += fcntl(fd, F_GETFD) < 0;
	return count;
}

/* Descriptors run out in the middle of a pair: what is whole stays, 16 are left to others, and it goes on from there later. */
static void as_many_ports_as_can_be_had(void **state)
{
	struct rlimit before, few;
	struct udp u;

	(void)state;
	assert_int_equal(udp_open(&u, 0, 0, 1, OFFLOAD_ALL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	for (few.rlim_cur = 0; free_below(few.rlim_cur) < 5 + 16; few.rlim_cur++)
		;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(udp_open_ports(&u, 10), -EMFILE);
	assert_int_equal(u.port_count, 2);
	assert_int_equal(u.ports[3].fd4, -1);
	assert_int_equal(free_below(few.rlim_cur), 1 + 16);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(udp_open_ports(&u, UDP_PORTS_MAX), 0);
	assert_int_equal(u.port_count, UDP_PORTS_MAX);
	udp_close(&u);
	assert_int_equal(free_below(few.rlim_cur), 5 + 16 + 2);
}

/* Each datagram leaves from its port, in order, and what comes back there says so. A port that is not there is the listen port. */
static void datagrams_leave_from_their_port(void **state)
{
	static const uint8_t by[] = { 1, 1, 0, 3, 3, 4, 0, 255, 2, 127 };
	static const char *const to[] = { "127.0.0.1", "::1" };
	enum { COUNT = sizeof(by) };
	struct pair *p = *state;
	struct dgram out[COUNT], in[PACKET_BATCH];

	assert_int_equal(udp_open_ports(&p->a, 3), 0);
	for (int f = 0; f < 2; f++) {
		for (size_t i = 0; i < COUNT; i++) {
			out[i] = dgram_to(to[f], p->b.port, "ping");
			out[i].port = by[i];
			if (i == 1)
				out[i].tos = 4;		/* GRO keeps it apart from the one before */
			if (i == 4)
				out[i].len = 3;
		}
		out[7].len = 2;
		out[9].len = 1;
		assert_int_equal(send_all(&p->a, out, COUNT), 0);
		for (size_t got = 0; got < COUNT; ) {
			wait_readable(fd_of(&p->b, to[f]));
			int n = udp_receive(&p->b, 0, 0, fd_of(&p->b, to[f]), in);

			for (int i = 0; i < n; i++) {
				uint8_t port = by[got] <= 3 ? by[got] : 0;

				assert_int_equal(in[i].path.remote.port, port ? p->a.ports[port].number : p->a.port);
				assert_int_equal(in[i].port, 0);
				got += udp_messages(&in[i], 1);
			}
		}
	}
	for (int f = 0; f < 2; f++) {
		struct dgram d = dgram_to(to[f], p->a.ports[2].number, "pong");
		int fd = f ? p->a.ports[2].fd6 : p->a.ports[2].fd4;

		assert_int_equal(send_all(&p->b, &d, 1), 0);
		wait_readable(fd);
		assert_int_equal(udp_receive(&p->a, 0, 2, fd, in), 1);
		assert_data(&in[0], "pong");
		assert_int_equal(in[0].port, 2);
		assert_addr(&in[0].path.local, to[f]);
		/* And back from there. */
		assert_int_equal(send_all(&p->a, in, 1), 0);
		wait_readable(fd_of(&p->b, to[f]));
		assert_int_equal(udp_receive(&p->b, 0, 0, fd_of(&p->b, to[f]), in), 1);
		assert_int_equal(in[0].path.remote.port, p->a.ports[2].number);
	}
}

/* A port is one lane's: by another lane it is not used. */
static void ports_belong_to_a_lane(void **state)
{
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];
	struct udp u;

	assert_int_equal(open_udp(&u, 0, 0, 2, OFFLOAD_ALL), 0);
	assert_int_equal(udp_open_ports(&u, 4), 0);
	for (unsigned int i = 0; i < 8; i++) {
		struct dgram d = dgram_to("::1", p->b.port, "x");
		struct udp_stats stats = { 0 };
		unsigned int port = i / 2 + 1, lane = i & 1;
		size_t unsent;

		d.port = (uint8_t)port;
		assert_int_equal(udp_send(&u, lane, &d, 1, &stats, &unsent), 0);
		wait_readable(p->b.lanes[0].fd6);
		assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd6, in), 1);
		assert_int_equal(in[0].path.remote.port, port % 2 == lane ? u.ports[port].number : u.port);
	}
	udp_close(&u);
}

/* Another listen port: the others stay as they are, with what waits in them, and get the new mark. */
static void rebinding_keeps_ports(void **state)
{
	const struct ip_prefix prefix = { .addr = address("2001:db8:7::"), .len = 64 };
	struct pair *p = *state;
	struct udp fresh, old;
	struct dgram d, in[PACKET_BATCH];
	struct udp_port before;
	uint8_t *slot = p->a.lanes[0].slots[7];

	assert_int_equal(udp_open_ports(&p->a, 3), 0);
	udp_set_listen_prefix(&p->a, &prefix);
	before = p->a.ports[3];
	d = dgram_to("::1", p->a.ports[3].number, "waits");
	assert_int_equal(send_all(&p->b, &d, 1), 0);

	assert_int_equal(udp_open(&fresh, 0, 99, 1, OFFLOAD_ALL), 0);
	udp_carry_over(&fresh, &p->a);
	old = p->a;
	p->a = fresh;
	udp_close(&old);
	assert_int_equal(p->a.port_count, 3);
	assert_int_equal(p->a.ports[3].fd4, before.fd4);
	assert_int_equal(p->a.ports[3].fd6, before.fd6);
	assert_int_equal(number_of(before.fd6), before.number);
	assert_int_equal(mark_of(before.fd4), 99);
	assert_int_equal(mark_of(p->a.ports[1].fd6), 99);
	assert_ptr_equal(p->a.lanes[0].slots[7], slot);
	assert_int_equal(p->a.listen_prefix.len, 64);
	assert_int_equal(udp_receive(&p->a, 0, 3, before.fd6, in), 1);
	assert_data(&in[0], "waits");

	/* Slots given before anything is open come along, too. */
	udp_init(&old);
	udp_give_slots(&old, 0, p->a.lanes[0].slots);
	assert_int_equal(udp_open(&fresh, 0, 0, 1, OFFLOAD_ALL), 0);
	udp_carry_over(&fresh, &old);
	assert_ptr_equal(fresh.lanes[0].slots[7], slot);
	assert_int_equal(fresh.port_count, 0);
	udp_close(&fresh);
}

/* A socket is asked how much waits in it only after it was used. */
static void room_remembers_what_was_used(void **state)
{
	struct pair *p = *state;
	struct udp_lane *l = &p->a.lanes[0];
	struct dgram d[3];

	assert_int_equal(udp_open_ports(&p->a, 70), 0);
	for (size_t i = 0; i < 3; i++)
		d[i] = dgram_to(i == 1 ? "127.0.0.1" : "::1", p->b.port, "x");
	d[0].port = 1;
	d[1].port = 70;
	assert_int_equal(l->used[0] | l->used[1] | l->used[2] | l->used[3], 0);
	assert_int_equal(send_all(&p->a, d, 3), 0);
	assert_int_equal(l->used[0], 1 << 3 | 1 << 1);
	assert_int_equal(l->used[2], 1 << (140 - 128));
	assert_true(udp_room(&p->a, 0, 1));
	assert_int_equal(l->used[0] | l->used[1] | l->used[2] | l->used[3], 0);
}

/*
 * Slots.
 */

/* A datagram that is kept stays as it was; the slot given for it is used in its place, whichever were left out. */
static void slots_are_swapped(void **state)
{
	struct pair *p = *state;
	struct arena spare = arena_map(1);
	struct dgram out[4], in[PACKET_BATCH];
	uint8_t *kept, *first = p->b.lanes[0].slots[0], *truncated = p->b.lanes[0].slots[1];

	for (int i = 0; i < 4; i++) {
		out[i] = dgram_to("127.0.0.1", p->b.port, "abcd");
		out[i].tos = (uint8_t)(4 * i);
		out[i].len = (uint32_t)(4 - i);
	}
	assert_int_equal(send_all(&p->a, out, 4), 0);
	kernel.truncate = 1;
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(in[i].slot, in[i].data);
	kept = in[1].slot;
	assert_ptr_equal(kept, p->b.lanes[0].slots[2]);
	in[1].slot = arena_slot(&spare, 0);
	udp_return_slots(&p->b, 0, in, 3);
	assert_ptr_equal(p->b.lanes[0].slots[0], first);
	assert_ptr_equal(p->b.lanes[0].slots[1], truncated);
	assert_ptr_equal(p->b.lanes[0].slots[2], arena_slot(&spare, 0));

	reset_kernel();
	assert_int_equal(send_all(&p->a, out, 3), 0);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 3);
	assert_ptr_equal(in[2].slot, arena_slot(&spare, 0));
	assert_data(&in[2], "ab");
	assert_memory_equal(kept, "ab", 2);
	in[2].slot = kept;
	udp_return_slots(&p->b, 0, in, 3);
	arena_unmap(&spare);
}

/*
 * IPv6's own.
 */

/* The flow information of the next datagram. */
static uint32_t flowinfo(int fd)
{
	_Alignas(struct cmsghdr) uint8_t control[256];
	char data[65536];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	uint32_t info = 0;

	assert_true(recvmsg(fd, &m, 0) > 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == 11 /* IPV6_FLOWINFO */)
			memcpy(&info, CMSG_DATA(c), sizeof(info));
	return ntohl(info);
}

static void labels_are_on_the_wire(void **state)
{
	/* struct in6_flowlabel_req: a label of one's own, exclusive, made if need be. */
	struct {
		uint8_t dst[16];
		uint32_t label;
		uint8_t action, share;
		uint16_t flags, expires, linger;
		uint32_t pad;
	} claim = { .dst = { [15] = 1 }, .label = htonl(0x54321), .action = 0, .share = 1, .flags = 1 };
	struct pair *p = *state;
	int fd = occupy(AF_INET6, 40300), claimer, one = 1;
	struct dgram d = dgram_to("::1", 40300, "x"), train = d;
	static uint8_t bytes[3000];

	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, 11, &one, sizeof(one)), 0);
	d.label = 0xfff12345;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	assert_int_equal(flowinfo(fd), 0x12345);
	d.tos = 0x8a;
	d.path.local = address("fd00::5");
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	assert_int_equal(flowinfo(fd), 0x08a12345);
	train.data = bytes;
	train.len = sizeof(bytes);
	train.segment = 1000;
	train.label = 0x54321;
	train.path.local = address("fd00::5");
	assert_int_equal(send_all(&p->a, &train, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(flowinfo(fd), 0x54321);

	/* An address that is not ours is left away, and that is not the label's fault. */
	d.path.local = address("2001:db8::9");
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	flowinfo(fd);
	assert_false(p->a.lanes[0].label_refused);

	/* Somebody has an exclusive one, and with that all others are forbidden to those who have none. */
	claimer = plain_socket(AF_INET6);
	if (setsockopt(claimer, IPPROTO_IPV6, 32 /* IPV6_FLOWLABEL_MGR */, &claim, sizeof(claim))) {
		print_message("no exclusive labels here: %s\n", strerror(errno));
	} else {
		d.path.local = address("fd00::5");
		for (int i = 0; i < 2; i++) {
			assert_int_equal(send_all(&p->a, &d, 1), 0);
			assert_int_equal(flowinfo(fd) >> 20, 0x8a);
			assert_true(p->a.lanes[0].label_refused);
		}
	}
	close(claimer);
	close(fd);
}

/* Addresses nobody's interface has answer for themselves; but one that was lost is still left away, beside them in a batch. */
static void answers_from_a_listen_prefix(void **state)
{
	const struct ip_prefix prefix = { .addr = address("2001:db8:7::"), .len = 64 };
	struct pair *p = *state;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(p->a.port) }, from;
	socklen_t len = sizeof(from);
	struct dgram in[PACKET_BATCH], out[4];
	int fd = plain_socket(AF_INET6);
	char c;

	assert_int_equal(system("ip -6 route add local 2001:db8:7::/64 dev lo table local"), 0);
	udp_set_listen_prefix(&p->a, &prefix);
	assert_int_equal(udp_open_ports(&p->a, 1), 0);
	inet_pton(AF_INET6, "2001:db8:7::abcd", &to.sin6_addr);
	assert_int_equal(sendto(fd, "q", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	wait_readable(p->a.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->a, 0, 0, p->a.lanes[0].fd6, in), 1);
	assert_addr(&in[0].path.local, "2001:db8:7::abcd");
	for (int i = 0; i < 4; i++)
		out[i] = in[0];
	out[1].path.local = address("2001:db8:8::9");
	out[2].path.local = address("fd00::5");
	out[3].port = 1;
	assert_int_equal(send_all(&p->a, out, 4), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(recvfrom(fd, &c, 1, 0, (struct sockaddr *)&from, &len), 1);
		assert_int_equal(ntohs(from.sin6_port), i == 3 ? p->a.ports[1].number : p->a.port);
		if (i == 1)
			assert_memory_not_equal(&from.sin6_addr, &out[1].path.local.bytes, 16);
		else
			assert_memory_equal(&from.sin6_addr, &out[i].path.local.bytes, 16);
	}
	assert_true(p->a.ports[1].freebind);
	close(fd);
	assert_int_equal(system("ip -6 route del local 2001:db8:7::/64 dev lo table local"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_both_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_from_the_address_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(carries_tos, setup, teardown),
		cmocka_unit_test_setup_teardown(long_batches_keep_order, setup, teardown),
		cmocka_unit_test_setup_teardown(buffers_have_room, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_do_not_stop_the_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(one_family_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(icmp_is_not_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_socket_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(link_local_has_a_scope, setup, teardown),
		cmocka_unit_test_setup_teardown(lanes_share_a_port, setup, teardown),
		cmocka_unit_test(sharing_strangers_keep_us_out),
		cmocka_unit_test(ports_are_set_up),
		cmocka_unit_test(as_many_ports_as_can_be_had),
		cmocka_unit_test_setup_teardown(datagrams_leave_from_their_port, setup, teardown),
		cmocka_unit_test_setup_teardown(ports_belong_to_a_lane, setup, teardown),
		cmocka_unit_test_setup_teardown(rebinding_keeps_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(room_remembers_what_was_used, setup, teardown),
		cmocka_unit_test_setup_teardown(slots_are_swapped, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_are_on_the_wire, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_from_a_listen_prefix, setup, teardown),
		cmocka_unit_test(sockets_are_set_up),
		cmocka_unit_test(ports),
		cmocka_unit_test(port_0_is_free_in_both),
	};

	prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
