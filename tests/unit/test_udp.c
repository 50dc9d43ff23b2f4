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
		assert_int_equal(udp_receive(&p->b, 0, fd, in), 0);
		assert_int_equal(send_all(&p->a, &d, 1), 0);
		wait_readable(fd);
		assert_int_equal(udp_receive(&p->b, 0, fd, in), 1);
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
	assert_int_equal(udp_receive(&p->a, 0, p->a.lanes[0].fd4, in), 1);
	assert_int_equal(send_all(&p->a, in, 1), 0);
	wait_readable(p->a.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->a, 0, p->a.lanes[0].fd6, in), 1);
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
		assert_int_equal(udp_receive(&p->b, 0, fd_of(&p->b, to[f]), in), 6);
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
			int n = udp_receive(&p->b, 0, fd, in);

			assert_int_equal(n, COUNT - got < PACKET_BATCH ? COUNT - got : PACKET_BATCH);
			for (int i = 0; i < n; i++)
				assert_data(&in[i], text[2 * (got + i) + f]);
			got += n;
		}
		assert_int_equal(udp_receive(&p->b, 0, fd, in), 0);
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
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd4, in), 3);
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
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd4, in), 3);
	for (int i = 0; i < 3; i++)
		assert_data(&in[i], "four");
	assert_addr(&in[0].path.remote.addr, "127.0.0.1");
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd6, in), 3);
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
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd4, in), 1);
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
	assert_int_equal(udp_receive(&p->a, 0, p->a.lanes[0].fd4, in), 0);
	assert_int_equal(send_all(&p->a, &dead, 1), 0);
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd4, in), 1);
	assert_data(&in[0], "y");

	d.path.remote.port = p->a.port;
	assert_int_equal(send_all(&p->a, &dead, 1), 0);
	assert_int_equal(send_all(&p->b, &d, 1), 0);
	wait_readable(p->a.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->a, 0, p->a.lanes[0].fd4, in), 1);
	assert_data(&in[0], "y");
}

static void closed_socket_is_an_error(void **state)
{
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	assert_int_equal(udp_receive(&p->a, 0, -1, in), -EBADF);
}

static void link_local_has_a_scope(void **state)
{
	struct pair *p = *state;
	uint32_t lo = if_nametoindex("lo");
	struct dgram d = dgram_to("fe80::5", p->b.port, "ll"), in[PACKET_BATCH];

	d.path.remote.scope = lo;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd6, in), 1);
	assert_addr(&in[0].path.local, "fe80::5");
	assert_int_equal(in[0].path.remote.scope, lo);

	/* The answer goes from and to fe80::5 with the interface twice. */
	assert_int_equal(send_all(&p->b, in, 1), 0);
	wait_readable(p->a.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->a, 0, p->a.lanes[0].fd6, in), 1);
	assert_data(&in[0], "ll");
	assert_addr(&in[0].path.remote.addr, "fe80::5");

	/* A link-local address of ours with a global one of theirs needs the interface too. */
	d = dgram_to("fd00::5", p->b.port, "gl");
	d.path.local = address("fe80::5");
	d.path.ifindex = lo;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd6);
	assert_int_equal(udp_receive(&p->b, 0, p->b.lanes[0].fd6, in), 1);
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
	assert_null(v.lanes[0].arena);
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
	assert_int_equal(udp_open(&u, 0, 0xbeef, LANES, OFFLOAD_ALL), 0);
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
		assert_int_equal(udp_receive(&u, lane, i & 4 ? u.lanes[lane].fd6 : u.lanes[lane].fd4, in), 1);
		assert_int_equal(udp_send(&u, lane, in, 1, &stats, &unsent), 0);
		wait_readable(fd_of(&p->a, to));
		assert_int_equal(udp_receive(&p->a, 0, fd_of(&p->a, to), in), 1);
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
		cmocka_unit_test(sockets_are_set_up),
		cmocka_unit_test(ports),
		cmocka_unit_test(port_0_is_free_in_both),
	};

	prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
