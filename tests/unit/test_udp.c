/* SPDX-License-Identifier: MIT */
/* The UDP sockets over loopback, in a network namespace with nothing else in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>

#include "sandbox.h"
#include "sys/udp.h"

static struct ip_addr address(const char *text)
{
	struct ip_addr a = { .family = strchr(text, ':') ? IP_V6 : IP_V4 };

	assert_int_equal(inet_pton(a.family == IP_V6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

static struct dgram dgram_to(const char *to, uint16_t port, const char *text)
{
	return (struct dgram){
		.data = (uint8_t *)(uintptr_t)text, .len = (uint32_t)strlen(text),
		.path.remote = { .addr = address(to), .port = port },
	};
}

static void assert_addr(const struct ip_addr *a, const char *text)
{
	struct ip_addr b = address(text);

	assert_memory_equal(a, &b, sizeof(b));
}

static void assert_data(const struct dgram *d, const char *text)
{
	assert_int_equal(d->len, strlen(text));
	assert_memory_equal(d->data, text, d->len);
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 2000), 1);
}

static int fd_of(const struct udp *u, const char *to)
{
	return strchr(to, ':') ? u->fd6 : u->fd4;
}

/* A socket of a stranger's. */
static int plain_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = 2 };

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

/* Bind a plain socket to the any-address of one family alone. */
static int occupy(int family, uint16_t port)
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

struct pair {
	struct udp a, b;
};

static int setup(void **state)
{
	struct pair *p = test_malloc(sizeof(*p));

	if (udp_open(&p->a, 0, 0) || udp_open(&p->b, 0, 0))
		return -1;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	udp_close(&p->a);
	udp_close(&p->b);
	assert_int_equal(p->a.fd4, -1);
	assert_int_equal(p->a.fd6, -1);
	test_free(p);
	return 0;
}

static void tells_both_addresses(void **state)
{
	static const char *const locals[] = { "127.0.0.1", "127.0.0.5", "::1", "fd00::5" };
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	for (size_t i = 0; i < 4; i++) {
		struct dgram d = dgram_to(locals[i], p->b.port, "hello");
		int fd = fd_of(&p->b, locals[i]);

		d.path.local = d.path.remote.addr;
		assert_int_equal(udp_receive(&p->b, fd, in), 0);
		assert_int_equal(udp_send(&p->a, &d, 1), 0);
		wait_readable(fd);
		assert_int_equal(udp_receive(&p->b, fd, in), 1);
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
	wait_readable(p->a.fd4);
	assert_int_equal(udp_receive(&p->a, p->a.fd4, in), 1);
	assert_int_equal(udp_send(&p->a, in, 1), 0);
	wait_readable(p->a.fd6);
	assert_int_equal(udp_receive(&p->a, p->a.fd6, in), 1);
	assert_int_equal(udp_send(&p->a, in, 1), 0);

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
		assert_int_equal(udp_send(&p->a, out, 6), 0);
		wait_readable(fd_of(&p->b, to[f]));
		assert_int_equal(udp_receive(&p->b, fd_of(&p->b, to[f]), in), 6);
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
	assert_int_equal(udp_send(&p->a, out, 2 * COUNT), 0);
	for (int f = 0; f < 2; f++) {
		int fd = f ? p->b.fd6 : p->b.fd4;

		for (int got = 0; got < COUNT;) {
			int n = udp_receive(&p->b, fd, in);

			assert_int_equal(n, COUNT - got < PACKET_BATCH ? COUNT - got : PACKET_BATCH);
			for (int i = 0; i < n; i++)
				assert_data(&in[i], text[2 * (got + i) + f]);
			got += n;
		}
		assert_int_equal(udp_receive(&p->b, fd, in), 0);
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
	assert_int_equal(udp_send(&p->a, out, 3), 0);
	wait_readable(p->b.fd4);
	assert_int_equal(udp_receive(&p->b, p->b.fd4, in), 3);
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
	assert_int_equal(udp_send(&p->a, out, 12), 6);
	wait_readable(p->b.fd6);
	assert_int_equal(udp_receive(&p->b, p->b.fd4, in), 3);
	for (int i = 0; i < 3; i++)
		assert_data(&in[i], "four");
	assert_addr(&in[0].path.remote.addr, "127.0.0.1");
	assert_int_equal(udp_receive(&p->b, p->b.fd6, in), 3);
	assert_addr(&in[1].path.remote.addr, "::1");
	assert_int_equal(in[0].tos, 0);
	assert_int_equal(in[1].tos, 0x28);
	assert_int_equal(in[2].tos, 0);
}

static void one_family_missing(void **state)
{
	struct pair *p = *state;
	struct dgram d[2] = { dgram_to("::1", p->b.port, "a"), dgram_to("127.0.0.1", p->b.port, "b") }, in[PACKET_BATCH];

	close(p->a.fd6);
	p->a.fd6 = -1;
	assert_int_equal(udp_send(&p->a, d, 2), 1);
	wait_readable(p->b.fd4);
	assert_int_equal(udp_receive(&p->b, p->b.fd4, in), 1);
	assert_data(&in[0], "b");
	assert_int_equal(udp_set_fwmark(&p->a, 9), 0);
}

/* An ICMP error that waits in the socket (only IP_RECVERR makes it wait) stops neither receiving nor sending. */
static void icmp_is_not_an_error(void **state)
{
	struct pair *p = *state;
	struct dgram dead = dgram_to("127.0.0.1", 1, "x"), d = dgram_to("127.0.0.1", p->b.port, "y"), in[PACKET_BATCH];
	int one = 1;

	assert_int_equal(setsockopt(p->a.fd4, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)), 0);
	assert_int_equal(udp_send(&p->a, &dead, 1), 0);
	assert_int_equal(udp_receive(&p->a, p->a.fd4, in), 0);
	assert_int_equal(udp_send(&p->a, &dead, 1), 0);
	assert_int_equal(udp_send(&p->a, &d, 1), 0);
	wait_readable(p->b.fd4);
	assert_int_equal(udp_receive(&p->b, p->b.fd4, in), 1);
	assert_data(&in[0], "y");

	d.path.remote.port = p->a.port;
	assert_int_equal(udp_send(&p->a, &dead, 1), 0);
	assert_int_equal(udp_send(&p->b, &d, 1), 0);
	wait_readable(p->a.fd4);
	assert_int_equal(udp_receive(&p->a, p->a.fd4, in), 1);
	assert_data(&in[0], "y");
}

static void closed_socket_is_an_error(void **state)
{
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	assert_int_equal(udp_receive(&p->a, -1, in), -EBADF);
}

static void link_local_has_a_scope(void **state)
{
	struct pair *p = *state;
	uint32_t lo = if_nametoindex("lo");
	struct dgram d = dgram_to("fe80::5", p->b.port, "ll"), in[PACKET_BATCH];

	d.path.remote.scope = lo;
	assert_int_equal(udp_send(&p->a, &d, 1), 0);
	wait_readable(p->b.fd6);
	assert_int_equal(udp_receive(&p->b, p->b.fd6, in), 1);
	assert_addr(&in[0].path.local, "fe80::5");
	assert_int_equal(in[0].path.remote.scope, lo);

	/* The answer goes from and to fe80::5 with the interface twice. */
	assert_int_equal(udp_send(&p->b, in, 1), 0);
	wait_readable(p->a.fd6);
	assert_int_equal(udp_receive(&p->a, p->a.fd6, in), 1);
	assert_data(&in[0], "ll");
	assert_addr(&in[0].path.remote.addr, "fe80::5");

	/* A link-local address of ours with a global one of theirs needs the interface too. */
	d = dgram_to("fd00::5", p->b.port, "gl");
	d.path.local = address("fe80::5");
	d.path.ifindex = lo;
	assert_int_equal(udp_send(&p->a, &d, 1), 0);
	wait_readable(p->b.fd6);
	assert_int_equal(udp_receive(&p->b, p->b.fd6, in), 1);
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
	assert_int_equal(udp_open(&u, 0, 0xcafe1234), 0);
	assert_int_equal(mark_of(u.fd4), 0xcafe1234);
	assert_int_equal(mark_of(u.fd6), 0xcafe1234);
	assert_int_equal(udp_set_fwmark(&u, 0), 0);
	assert_int_equal(mark_of(u.fd4), 0);
	assert_int_equal(mark_of(u.fd6), 0);
	assert_int_equal(u.fwmark, 0);
	assert_int_equal(option_of(u.fd4, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
	assert_int_equal(option_of(u.fd6, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DONT);
	assert_int_equal(option_of(u.fd6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_true(option_of(u.fd4, SOL_SOCKET, SO_RCVBUF) >= 1 << 20);
	assert_true(option_of(u.fd6, SOL_SOCKET, SO_SNDBUF) >= 1 << 20);
	udp_close(&u);
}

static void ports(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct udp u, v;

	(void)state;
	assert_int_equal(udp_open(&u, 0, 0), 0);
	assert_true(u.port > 0);
	assert_int_equal(udp_open(&v, u.port, 0), -EADDRINUSE);
	assert_int_equal(v.fd4, -1);
	assert_int_equal(v.fd6, -1);
	assert_null(v.arena);
	udp_close(&u);

	for (int i = 0; i < 2; i++) {
		int fd = occupy(families[i], 40123);

		assert_int_equal(udp_open(&u, 40123, 0), -EADDRINUSE);
		close(fd);
		assert_int_equal(udp_open(&u, 40123, 0), 0);	/* and nothing of the failure is left */
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
	int taken[2];

	(void)state;
	set_port_range("40200 40201");
	taken[0] = occupy(AF_INET6, 40200);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(udp_open(&u, 0, 0), 0);
		assert_int_equal(u.port, 40201);
		udp_close(&u);
	}
	taken[1] = occupy(AF_INET6, 40201);
	assert_int_equal(udp_open(&u, 0, 0), -EADDRINUSE);
	close(taken[0]);
	close(taken[1]);
	set_port_range("32768 60999");
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
		cmocka_unit_test(sockets_are_set_up),
		cmocka_unit_test(ports),
		cmocka_unit_test(port_0_is_free_in_both),
	};
	int fd;

	sandbox_network();
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	if (fd < 0)
		sandbox_skip("IPv6");
	close(fd);
	sandbox_address6("lo", "fd00::5", 128);
	sandbox_address6("lo", "fe80::5", 64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
