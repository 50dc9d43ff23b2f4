/* SPDX-License-Identifier: MIT */
/* The UDP sockets and paths: by which interface a datagram leaves, that it is not fragmented where it must not be, and when one came. */
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

#include "sys/clock.h"
#include "udpstage.h"

/*
 * Two ways out: m0, which routes prefer, and m1. Both are TUNs, so what leaves by them is read here. For IPv6 they have one metric, as routes from
 * router advertisements do: see put_local6().
 */
static int tuns[2];
static uint32_t ifindex[2];

static const char *const far[2] = { "192.0.2.1", "2001:db8::1" };
static const char *const own[2][2] = { { "10.1.0.1", "fd01::1" }, { "10.2.0.1", "fd02::1" } };

static void shell(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

static void make_tun(unsigned int i)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "m%u", i);
	tuns[i] = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tuns[i] < 0 || ioctl(tuns[i], TUNSETIFF, &ifr))
		sandbox_skip("/dev/net/tun");
	ifindex[i] = if_nametoindex(ifr.ifr_name);
}

/* What goes with an interface that is set down. */
static void make_second_way(void)
{
	shell("ip link set m1 up && ip addr replace fd02::1/64 dev m1 nodad && ip route replace default dev m1 metric 2 &&"
	      "ip -6 route append default dev m1 metric 1");
}

static int make_ways(void **state)
{
	(void)state;
	shell("ip addr add 10.1.0.1/24 dev m0 && ip addr add 10.2.0.1/24 dev m1 && ip addr add fd01::1/64 dev m0 nodad &&"
	      "ip link set m0 up && ip route add default dev m0 metric 1 && ip -6 route add default dev m0 metric 1");
	make_second_way();
	return 0;
}

/* A packet of UDP, or a fragment of one. */
struct seen {
	uint8_t packet[2048];
	size_t len;
	bool v6, df, fragment, first;
	struct ip_addr src;
};

static bool read_packet(struct seen *s, const uint8_t *p)
{
	s->v6 = p[0] >> 4 == 6;
	s->src = (struct ip_addr){ .family = s->v6 ? IP_V6 : IP_V4 };
	if (s->v6) {
		memcpy(s->src.bytes, p + 8, 16);
		s->df = false;
		s->fragment = p[6] == 44;
		s->first = !s->fragment || !(p[42] | (p[43] & 0xf8));
		return p[6] == 17 || (s->fragment && p[40] == 17);
	}
	memcpy(s->src.bytes, p + 12, 4);
	s->df = p[6] & 0x40;
	s->fragment = p[6] & 0x3f || p[7];
	s->first = !((p[6] & 0x1f) | p[7]);
	return p[9] == 17;
}

/* The next thing of UDP's that left by an interface; what the kernel says there of its own accord is left out. */
static bool left_by(unsigned int i, struct seen *s)
{
	for (;;) {
		ssize_t n = read(tuns[i], s->packet, sizeof(s->packet));

		if (n < 20)
			return false;
		s->len = (size_t)n;
		if (read_packet(s, s->packet))
			return true;
	}
}

/* What left, and whether it says this. */
static bool says(unsigned int i, struct seen *s, const char *text)
{
	return left_by(i, s) && s->len > strlen(text) && !memcmp(s->packet + s->len - strlen(text), text, strlen(text));
}

static void nothing_left(void)
{
	struct seen s;

	assert_false(left_by(0, &s) || left_by(1, &s));
}

static void pinned_leaves_by_its_interface(void **state)
{
	struct pair *p = *state;
	struct dgram out[6];
	struct seen s;

	for (int f = 0; f < 2; f++) {
		static const char *const text[] = { "zero", "one", "two", "three", "four", "five" };

		for (size_t i = 0; i < 6; i++) {
			out[i] = dgram_to(far[f], 4000, text[i]);
			out[i].path.ifindex = ifindex[1];
		}
		out[1].path.pinned = true;
		out[2].path.pinned = true;
		out[2].path.local = address(own[1][f]);
		out[3].path.local = address(own[1][f]);
		out[4].path.pinned = true;			/* from an address of another's */
		out[4].path.local = address(own[0][f]);
		out[5].path.pinned = true;
		out[5].path.ifindex = ifindex[0];
		assert_int_equal(send_all(&p->a, out, 6), 0);
		assert_true(says(0, &s, "zero"));
		assert_addr(&s.src, own[0][f]);
		assert_true(says(0, &s, "three"));
		assert_addr(&s.src, own[1][f]);
		assert_true(says(0, &s, "five"));
		assert_addr(&s.src, own[0][f]);
		assert_true(says(1, &s, "one"));
		assert_addr(&s.src, own[1][f]);
		assert_true(says(1, &s, "two"));
		assert_addr(&s.src, own[1][f]);
		assert_true(says(1, &s, "four"));
		assert_addr(&s.src, own[0][f]);
		nothing_left();
	}
}

/* Who pins chose that way among several: it goes so or not at all, and the others of the batch do not mind. */
static void pinned_is_not_repaired(void **state)
{
	static const char *const gone[2] = { "192.0.2.9", "2001:db8::9" };
	struct pair *p = *state;
	struct dgram out[5];
	struct seen s;

	for (int f = 0; f < 2; f++) {
		for (size_t i = 0; i < 5; i++) {
			out[i] = dgram_to(far[f], 4000, i & 1 ? "goes" : "stays");
			out[i].path.pinned = !(i & 1);
			out[i].path.ifindex = ifindex[1];
		}
		out[0].path.local = address(gone[f]);		/* an address the host has not */
		out[1].path.local = address(gone[f]);		/* the same, and the kernel may choose another */
		out[2].path.ifindex = 9999;			/* an interface there is not */
		out[3].path.ifindex = 9999;
		out[3].path.local = address(own[0][f]);
		out[4].path.local = address(own[1][f]);		/* one that is down, just now */
		shell("ip link set m1 down");
		assert_int_equal(send_all(&p->a, out, 5), 3);
		assert_true(says(0, &s, "goes"));
		assert_addr(&s.src, own[0][f]);
		assert_true(says(0, &s, "goes"));
		nothing_left();
		make_second_way();
		while (left_by(0, &s) || left_by(1, &s))
			;
	}
}

/* A lost interface in the midst of trains: refused to the last datagram, and counted so. */
static void pinned_trains(void **state)
{
	static uint8_t bytes[3000];
	struct pair *p = *state;
	struct dgram d = dgram_to(far[0], 4000, "");
	struct seen s;

	d.data = bytes;
	d.len = sizeof(bytes);
	d.segment = 1000;
	d.path.pinned = true;
	d.path.ifindex = ifindex[1];
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_true(left_by(1, &s));
	d.path.ifindex = 9999;
	assert_int_equal(send_all(&p->a, &d, 1), 3);
	nothing_left();
}

/*
 * DF.
 */

static uint8_t bytes_out[2000];

static struct dgram sized(const char *to, uint32_t len, bool df)
{
	struct dgram d = dgram_to(to, 4000, "");

	d.data = bytes_out;
	d.len = len;
	d.df = df;
	return d;
}

static void expect_whole(bool v6, size_t len, bool df)
{
	struct seen s;

	assert_true(left_by(0, &s));
	assert_int_equal(s.len, len + 8 + (v6 ? 40 : 20));
	assert_false(s.fragment);
	assert_int_equal(s.df, df && !v6);
}

static void expect_fragments(void)
{
	struct seen s;

	for (int i = 0; i < 2; i++) {
		assert_true(left_by(0, &s));
		assert_true(s.fragment);
		assert_int_equal(s.first, i == 0);
		assert_false(s.df);
	}
}

static void send_with_and_without_df(struct pair *p, const char *to, uint8_t port)
{
	uint32_t most = strchr(to, ':') ? 1452 : 1472;
	struct dgram out[9];

	/* Those that are too large are lost and not refused, as they would be on the way. */
	out[0] = sized(to, 1400, false);
	out[1] = sized(to, 2000, true);
	out[2] = sized(to, most, true);
	out[3] = sized(to, most + 1, true);
	out[4] = sized(to, 1400, true);
	out[5] = sized(to, 2000, false);
	out[6] = sized(to, 1400, false);
	out[7] = sized(to, 1999, true);
	out[8] = sized(to, 2000, false);
	for (int i = 0; i < 9; i++)
		out[i].port = port;
	assert_int_equal(send_all(&p->a, out, 9), 0);
}

static void df_where_it_is_asked_for(void **state)
{
	struct pair *p = *state;

	assert_int_equal(udp_open_ports(&p->a, 2), 0);
	for (uint8_t port = 0; port <= 2; port += 2) {
		for (int v6 = 0; v6 < 2; v6++) {
			for (int again = 0; again < 2; again++) {
				send_with_and_without_df(p, far[v6], port);
				expect_whole(v6, 1400, false);
				expect_whole(v6, v6 ? 1452 : 1472, true);
				expect_whole(v6, 1400, true);
				expect_fragments();
				expect_whole(v6, 1400, false);
				expect_fragments();
				nothing_left();
			}
		}
	}
}

/* From one batch to the next, and over sockets that others use meanwhile. */
static void df_is_forgotten_in_time(void **state)
{
	struct pair *p = *state;
	struct dgram d[4] = { sized(far[0], 100, true), sized(far[1], 100, true), sized(far[0], 2000, false), sized(far[1], 2000, false) };
	struct dgram alone = sized(far[0], 2000, true);

	assert_int_equal(send_all(&p->a, d, 2), 0);
	expect_whole(false, 100, true);
	expect_whole(true, 100, true);
	assert_int_equal(send_all(&p->a, d + 2, 2), 0);
	expect_fragments();
	expect_fragments();
	assert_int_equal(send_all(&p->a, &alone, 1), 0);
	nothing_left();
	/* What is wrong otherwise is still refused. */
	alone = sized(far[0], 100, true);
	alone.path.remote.port = 0;
	assert_int_equal(send_all(&p->a, &alone, 1), 1);
}

/*
 * Times.
 */

/* Send, and receive after so many milliseconds. How long before that it came, as it is told. */
static int64_t age_us(struct pair *p, const char *to, int wait_ms)
{
	struct dgram d = dgram_to(to, p->b.port, "x"), in[PACKET_BATCH];
	int64_t before_us = clock_now().mono_us, read_us;

	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(fd_of(&p->b, to));
	poll(NULL, 0, wait_ms);
	read_us = clock_now().mono_us;
	assert_int_equal(udp_receive(&p->b, 0, 0, fd_of(&p->b, to), in), 1);
	if (!kernel.stamp_ns)
		assert_in_range(in[0].at_us, before_us - 1000, clock_now().mono_us);
	return read_us - in[0].at_us;
}

static void tells_when_it_came(void **state)
{
	static const char *const to[2] = { "127.0.0.1", "::1" };
	struct pair *p = *state;

	for (int f = 0; f < 2; f++) {
		int64_t age = 0;

		/* Not when it was read, whatever lies between on a busy machine. (The kernel begins to stamp some time after it was asked to.) */
		for (int tries = 0; tries < 50 && age < 39 * US_PER_MS; tries++)
			age = age_us(p, to[f], 40);
		assert_true(age >= 39 * US_PER_MS);
		/* A clock that was set means nothing. */
		kernel.stamp_ns = 3600 * NS_PER_S;
		assert_true(age_us(p, to[f], 40) <= 0);
		kernel.stamp_ns = -3600 * NS_PER_S;
		age = age_us(p, to[f], 0);
		assert_true(age <= US_PER_S);
		assert_true(age >= US_PER_S / 2);	/* so long ago when it was read, which was a little later */
		kernel.stamp_ns = 0;
	}
}

/* A train is told one time, and nothing else of it is lost with that. */
static void trains_have_times(void **state)
{
	static uint8_t bytes[8000];
	struct pair *p = *state;
	struct dgram d = dgram_to("127.0.0.1", p->b.port, ""), in[PACKET_BATCH];
	int64_t before_us = clock_now().mono_us;
	size_t all = 0;

	d.data = bytes;
	d.len = sizeof(bytes);
	d.segment = 1000;
	d.tos = 0xb9;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd4);
	for (int n; (n = udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in)) > 0;)
		for (int i = 0; i < n; i++) {
			assert_in_range(in[i].at_us, before_us - 1000, clock_now().mono_us);
			assert_int_equal(in[i].tos, 0xb9);
			assert_addr(&in[i].path.local, "127.0.0.1");
			assert_true(in[i].len == 1000 || in[i].segment == 1000);
			assert_false(in[i].path.pinned);
			all += in[i].len;
		}
	assert_int_equal(all, sizeof(bytes));
}

/* Ports have them, too. */
static void ports_tell_times(void **state)
{
	struct pair *p = *state;
	struct dgram d, in[PACKET_BATCH];

	assert_int_equal(udp_open_ports(&p->b, 1), 0);
	d = dgram_to("::1", p->b.ports[1].number, "x");
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.ports[1].fd6);
	assert_int_equal(udp_receive(&p->b, 0, 1, p->b.ports[1].fd6, in), 1);
	assert_true(in[0].at_us > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pinned_leaves_by_its_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(pinned_is_not_repaired, setup, teardown),
		cmocka_unit_test_setup_teardown(pinned_trains, setup, teardown),
		cmocka_unit_test_setup_teardown(df_where_it_is_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(df_is_forgotten_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_when_it_came, setup, teardown),
		cmocka_unit_test_setup_teardown(trains_have_times, setup, teardown),
		cmocka_unit_test_setup_teardown(ports_tell_times, setup, teardown),
	};

	prepare();
	make_tun(0);
	make_tun(1);
	return cmocka_run_group_tests(tests, make_ways, NULL);
}
