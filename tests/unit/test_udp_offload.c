/* SPDX-License-Identifier: MIT */
/* Many datagrams as one, through the UDP sockets and their failures; full sockets; what receiving believes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "udpstage.h"

/*
 * Many datagrams as one.
 */

enum { TRAIN_MAX = 130000 };

/* Datagrams of 'size' bytes, the last of 'len' bytes in all shorter if that does not come out even. */
static struct dgram train(const char *to, uint16_t port, uint32_t len, uint32_t size)
{
	static uint8_t data[TRAIN_MAX];
	struct dgram d = dgram_to(to, port, "");

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 2654435761u >> 11);
	d.data = data;
	d.len = len;
	d.segment = size;
	return d;
}

/* What train() sent has arrived: each datagram once, in order, whole, however they are put together. Returns the dgrams it took. */
static int receive_train(struct udp *u, const struct dgram *sent)
{
	int fd = sent->path.remote.addr.family == IP_V6 ? u->lanes[0].fd6 : u->lanes[0].fd4, dgrams = 0;
	struct dgram in[PACKET_BATCH];
	uint32_t at = 0;

	while (at < sent->len) {
		int n;

		wait_readable(fd);
		n = udp_receive(u, 0, 0, fd, in);
		for (int i = 0; i < n; i++) {
			uint32_t size = in[i].segment ? in[i].segment : in[i].len;

			assert_true(at + in[i].len <= sent->len);
			assert_memory_equal(in[i].data, sent->data + at, in[i].len);
			assert_true(size == sent->segment || (size < sent->segment && at + size == sent->len));
			assert_true(in[i].len % sent->segment == 0 || at + in[i].len == sent->len);
			at += in[i].len;
		}
		dgrams += n;
	}
	assert_int_equal(udp_receive(u, 0, 0, fd, in), 0);
	return dgrams;
}

static bool offloads_here(const struct pair *p)
{
	if (p->a.offloads == (OFFLOAD_GSO | OFFLOAD_GRO))
		return true;
	print_message("skipped: the kernel has no UDP GSO or GRO\n");
	return false;
}

static void trains_travel_whole(void **state)
{
	static const char *const to[] = { "127.0.0.5", "fd00::5" };
	struct pair *p = *state;

	if (!offloads_here(p))
		skip();
	for (int i = 0; i < 2; i++) {
		struct dgram d = train(to[i], p->b.port, 40333, 1000), in[PACKET_BATCH];
		struct udp_stats stats = { 0 };
		size_t unsent;

		d.path.local = d.path.remote.addr;
		d.tos = 0x02;
		reset_kernel();
		assert_int_equal(udp_send(&p->a, 0, &d, 1, &stats, &unsent), 0);
		assert_int_equal(unsent, 1);
		assert_int_equal(stats.supers, 1);
		assert_int_equal(kernel.messages, 1);
		assert_int_equal(kernel.segments_most, 41);
		wait_readable(fd_of(&p->b, to[i]));
		assert_int_equal(udp_receive(&p->b, 0, 0, fd_of(&p->b, to[i]), in), 1);
		assert_int_equal(in[0].len, 40333);
		assert_int_equal(in[0].segment, 1000);
		assert_int_equal(in[0].tos, 0x02);
		assert_addr(&in[0].path.local, to[i]);
		assert_addr(&in[0].path.remote.addr, to[i]);
		assert_memory_equal(in[0].data, d.data, d.len);
		assert_int_equal(in[0].data[40332], d.data[40332]);
		memset(in[0].data - PACKET_HEADROOM, 1, PACKET_HEADROOM);
		memset(in[0].data + in[0].len, 2, PACKET_TAILROOM);
	}
}

/* Among others, of one datagram each however that is said: order stays, and none of those is sent as many. */
static void one_is_never_many(void **state)
{
	struct pair *p = *state;
	struct dgram out[6], in[PACKET_BATCH];
	struct dgram t = train("127.0.0.1", p->b.port, 2000, 500);

	if (!offloads_here(p))
		skip();
	for (int i = 0; i < 6; i++)
		out[i] = dgram_to("127.0.0.1", p->b.port, "alone");
	out[1].segment = 5;
	out[2] = t;
	out[3].segment = 1000;
	out[4] = t;
	out[4].len = 501;
	assert_int_equal(send_all(&p->a, out, 6), 0);
	assert_int_equal(kernel.messages, 6);
	assert_int_equal(kernel.supers, 2);
	assert_int_equal(udp_messages(out, 6), 10);
	for (int got = 0; got < 6;) {
		int n;

		wait_readable(p->b.lanes[0].fd4);
		n = udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in);
		for (int i = 0; i < n; i++, got++) {
			/* The kernel may put the two of equal size together. */
			if (got == 0 && in[i].len == 10)
				got++;
			else if (got == 2)
				assert_int_equal(in[i].len, 2000);
			else if (got == 4)
				assert_int_equal(in[i].len, 501);
			else
				assert_data(&in[i], "alone");
		}
	}
	assert_false(kernel.lonely);
}

/* More than one send takes, by count and by bytes; the remainder of one goes as one. */
static void long_trains_are_cut(void **state)
{
	static const struct { uint32_t count, size, last; } trains[] = {
		{ 63, 100, 100 }, { 64, 100, 100 }, { 65, 100, 1 }, { 128, 100, 100 }, { 200, 100, 7 }, { 45, 1452, 1452 },
		{ 46, 1452, 3 }, { 80, 1452, 1452 }, { 2, 40000, 40000 }, { 3, 32753, 9 },
	};
	struct pair *p = *state;

	if (!offloads_here(p))
		skip();
	assert_true(p->a.segments_max == 63 || p->a.segments_max == 127);
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < 2 * sizeof(trains) / sizeof(trains[0]); i++) {
			const uint32_t count = trains[i / 2].count, size = trains[i / 2].size;
			struct dgram d = train(v6 ? "::1" : "127.0.0.1", p->b.port, (count - 1) * size + trains[i / 2].last, size);

			reset_kernel();
			if (i & 1)
				p->a.segments_max = 63;		/* an older kernel's */
			assert_int_equal(udp_messages(&d, 1), count);
			assert_int_equal(send_all(&p->a, &d, 1), 0);
			assert_true(kernel.segments_most <= p->a.segments_max);
			assert_true(kernel.bytes_most <= (v6 ? 65487 : 65507));
			assert_int_equal(kernel.lonely, false);
			receive_train(&p->b, &d);
		}
	}
}

/* EIO: this socket's device cannot. It is not tried again; the other family's still is; nothing is lost. */
static void eio_ends_gso_on_a_socket(void **state)
{
	struct pair *p = *state;
	struct dgram d[2] = { train("127.0.0.1", p->b.port, 20100, 1000), train("127.0.0.1", p->b.port, 20100, 1000) };
	struct dgram six = train("::1", p->b.port, 20100, 1000);
	struct udp_stats stats = { 0 };
	size_t unsent;

	if (!offloads_here(p))
		skip();
	assert_int_equal(udp_run_messages_max(&p->a, 0), p->a.segments_max);
	kernel.gso_error = EIO;
	assert_int_equal(udp_send(&p->a, 0, d, 1, &stats, &unsent), 0);
	assert_int_equal(unsent, 1);
	assert_int_equal(stats.gso_off, 1);
	assert_int_equal(stats.split, 1);
	assert_int_equal(stats.supers, 0);
	assert_int_equal(kernel.messages, 21);
	assert_false(p->a.lanes[0].gso4);
	assert_true(p->a.lanes[0].gso6);
	receive_train(&p->b, d);
	assert_int_equal(udp_offloads(&p->a), OFFLOAD_GRO);
	assert_int_equal(udp_offloads(&p->b), OFFLOAD_GRO | OFFLOAD_GSO);

	kernel.gso_error = 0;
	assert_int_equal(udp_send(&p->a, 0, &d[1], 1, &stats, &unsent), 0);
	assert_int_equal(kernel.supers, 0);
	assert_int_equal(stats.split, 1);
	receive_train(&p->b, &d[1]);
	assert_int_equal(udp_send(&p->a, 0, &six, 1, &stats, &unsent), 0);
	assert_int_equal(kernel.supers, 1);
	assert_int_equal(stats.supers, 1);
	receive_train(&p->b, &six);
	p->a.lanes[0].gso6 = false;
	assert_int_equal(udp_run_messages_max(&p->a, 0), 1);
}

/* What is refused for its size goes one by one, from the right address, and the next is tried as before. */
static void refused_trains_are_split(void **state)
{
	static const int errors[] = { EMSGSIZE, EINVAL };
	struct pair *p = *state;

	if (!offloads_here(p))
		skip();
	for (int i = 0; i < 2; i++) {
		struct dgram d = train("127.0.0.1", p->b.port, 20100, 1000), in[PACKET_BATCH];
		struct udp_stats stats = { 0 };
		size_t unsent;

		d.path.local = address("127.0.0.7");
		kernel.gso_error = errors[i];
		assert_int_equal(udp_send(&p->a, 0, &d, 1, &stats, &unsent), 0);
		assert_int_equal(stats.split, 1);
		assert_int_equal(stats.gso_off, 0);
		wait_readable(p->b.lanes[0].fd4);
		while (udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in) > 0)
			assert_addr(&in[0].path.remote.addr, "127.0.0.7");
		kernel.gso_error = 0;
		assert_int_equal(udp_send(&p->a, 0, &d, 1, &stats, &unsent), 0);
		assert_int_equal(stats.supers, 1);
		receive_train(&p->b, &d);
	}
}

static void set_mtu(const char *name, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, name);
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	close(fd);
}

/* The real thing: a segment larger than the MTU. The kernel fragments single datagrams, but not those of a train. */
static void segments_above_the_mtu(void **state)
{
	struct pair *p = *state;
	struct udp_stats stats = { 0 };
	struct dgram d = train("127.0.0.1", p->b.port, 20100, 2000);
	size_t unsent;

	if (!offloads_here(p))
		skip();
	set_mtu("lo", 1500);
	assert_int_equal(udp_send(&p->a, 0, &d, 1, &stats, &unsent), 0);
	assert_int_equal(stats.split, 1);
	assert_int_equal(stats.supers, 0);
	receive_train(&p->b, &d);
	set_mtu("lo", 65536);
}

/* A local address that has gone is left away without giving up the train. */
static void address_lost_train_kept(void **state)
{
	struct pair *p = *state;
	struct udp_stats stats = { 0 };
	struct dgram d = train("127.0.0.1", p->b.port, 20100, 1000);
	size_t unsent;

	if (!offloads_here(p))
		skip();
	d.path.local = address("192.0.2.9");
	assert_int_equal(udp_send(&p->a, 0, &d, 1, &stats, &unsent), 0);
	assert_int_equal(stats.supers, 1);
	assert_int_equal(stats.split, 0);
	receive_train(&p->b, &d);
}

/* Out of memory is tried three times more; then all datagrams of the message are refused, and the next goes. */
static void enobufs_is_tried_again(void **state)
{
	struct pair *p = *state;
	struct dgram d[2] = { train("127.0.0.1", p->b.port, 20100, 1000), dgram_to("127.0.0.1", p->b.port, "next") };
	struct dgram in[PACKET_BATCH];

	kernel.error = ENOBUFS;
	kernel.errors = 4 - 1;
	p->a.lanes[0].gso4 = true;
	assert_int_equal(send_all(&p->a, d, 1), 0);
	assert_int_equal(kernel.messages, 1);
	receive_train(&p->b, d);
	kernel.errors = 4;
	assert_int_equal(send_all(&p->a, d, 2), 21);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 1);
	assert_data(&in[0], "next");
}

/* sendmmsg() may take a part only, and a failure inside is told by the next call. */
static void partial_sends(void **state)
{
	enum { COUNT = 2 * PACKET_BATCH + 9 };
	static char text[COUNT][12];
	static struct dgram out[COUNT];
	struct pair *p = *state;
	struct dgram in[PACKET_BATCH];

	for (unsigned int take = 1; take < 8; take += 3) {
		int expected = 0;

		for (int i = 0; i < COUNT; i++) {
			snprintf(text[i], sizeof(text[i]), "%d", i);
			out[i] = dgram_to("127.0.0.1", p->b.port, text[i]);
		}
		reset_kernel();
		kernel.take = take;
		kernel.skip = 70;
		kernel.error = EPERM;		/* a firewall's answer to the one after those */
		kernel.errors = 1;
		assert_int_equal(send_all(&p->a, out, COUNT), 1);
		while (expected < COUNT) {
			int n;

			wait_readable(p->b.lanes[0].fd4);
			n = udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in);
			for (int i = 0; i < n; i++) {
				for (uint32_t at = 0; at < in[i].len; expected++) {
					uint32_t len = (uint32_t)strlen(text[expected += expected == 70]);

					assert_memory_equal(in[i].data + at, text[expected], len);
					at += len;
				}
			}
		}
	}
}

/*
 * Full sockets.
 */

/* Wherever the socket is full, in front of a dgram or inside: what is left goes later, and nothing twice. */
static void full_sockets_tell_where(void **state)
{
	struct pair *p = *state;

	p->a.lanes[0].gso4 = false;
	for (unsigned int fits = 0; fits <= 30; fits++) {
		struct dgram d[3], whole = train("127.0.0.1", p->b.port, 30000, 1000);
		struct udp_stats stats = { 0 };
		size_t unsent = 9;

		for (uint32_t i = 0; i < 3; i++) {
			d[i] = whole;
			d[i].data += i * 10000;
			d[i].len = 10000;
		}
		reset_kernel();
		kernel.skip = fits;
		kernel.error = EAGAIN;
		kernel.errors = 1;
		assert_int_equal(udp_send(&p->a, 0, d, 3, &stats, &unsent), 0);
		assert_int_equal(unsent, fits / 10);
		assert_int_equal(stats.full, fits < 30);
		assert_int_equal(kernel.messages, fits);
		if (fits < 30) {
			assert_int_equal(p->a.lanes[0].full, p->a.lanes[0].fd4);
			assert_int_equal(udp_messages(d + unsent, 3 - unsent), 30 - fits);
			assert_true(udp_wait(&p->a, 0, 100));
			assert_int_equal(udp_send(&p->a, 0, d + unsent, 3 - unsent, &stats, &unsent), 0);
		}
		kernel.errors = 0;
		receive_train(&p->b, &whole);
	}
}

static void handshakes_wait_a_little(void **state)
{
	struct pair *p = *state;
	struct dgram d[2] = { dgram_to("127.0.0.1", p->b.port, "a"), dgram_to("127.0.0.1", p->b.port, "b") };
	struct dgram in[PACKET_BATCH];

	kernel.skip = 1;
	kernel.error = EAGAIN;
	kernel.errors = 3;
	assert_int_equal(udp_send_waiting(&p->a, 0, d, 2), 0);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in) + (in[0].len == 2), 2);
	kernel.skip = 1;
	kernel.errors = 1 << 20;
	assert_int_equal(udp_send_waiting(&p->a, 0, d, 2), 1);
}

/* The real thing: a slow link. The socket fills up, says so, and empties. */
static void a_slow_link_fills_the_socket(void **state)
{
	enum { TRAINS = 60 };
	struct pair *p = *state;
	struct dgram d[TRAINS];
	struct udp_stats stats = { 0 };
	size_t unsent;

	if (system("tc qdisc add dev lo root tbf rate 100mbit burst 70k limit 100m 2>/dev/null")) {
		print_message("skipped: no tc, or no tbf\n");
		skip();
	}
	assert_true(udp_room(&p->a, 0, 1));
	for (size_t i = 0; i < TRAINS; i++)
		d[i] = train("127.0.0.1", p->b.port, 60000, 1000);
	assert_int_equal(udp_send(&p->a, 0, d, TRAINS, &stats, &unsent), 0);
	assert_true(unsent > 5 && unsent < TRAINS);
	assert_int_equal(stats.full, 1);
	assert_false(udp_room(&p->a, 0, 1 << 20));
	assert_true(udp_room(&p->a, 0, 4 << 20));
	assert_false(udp_wait(&p->a, 0, 0));
	assert_true(udp_wait(&p->a, 0, 2000));
	assert_int_equal(udp_send(&p->a, 0, d + unsent, 1, &stats, &unsent), 0);
	assert_int_equal(unsent, 1);

	/* A port's socket counts too, and is the one to wait for. */
	assert_int_equal(udp_open_ports(&p->a, 2), 0);
	for (size_t i = 0; i < TRAINS; i++) {
		d[i] = train("127.0.0.1", p->b.port, 60000, 1000);
		d[i].port = 2;
	}
	assert_int_equal(udp_send(&p->a, 0, d, TRAINS, &stats, &unsent), 0);
	assert_true(unsent > 5 && unsent < TRAINS);
	assert_int_equal(p->a.lanes[0].full, p->a.ports[2].fd4);
	assert_false(udp_room(&p->a, 0, 2 << 20));
	assert_true(udp_wait(&p->a, 0, 2000));
	assert_int_equal(system("tc qdisc del dev lo root"), 0);
	assert_true(udp_room(&p->a, 0, 1));
}

/*
 * What receiving is told.
 */

static void absurd_segment_sizes(void **state)
{
	static const struct { int says; size_t len; uint32_t segment; } cases[] = {
		{ 1000, sizeof(int), 1000 }, { 1999, sizeof(int), 1999 }, { 16, sizeof(int), 16 }, { 15, sizeof(int), 0 },
		{ 1, sizeof(int), 0 }, { 0, sizeof(int), 0 }, { -1, sizeof(int), 0 }, { -1000, sizeof(int), 0 },
		{ 2000, sizeof(int), 0 }, { 2001, sizeof(int), 0 }, { 1 << 30, sizeof(int), 0 }, { 1000, 0, 0 }, { 1000, 3, 0 },
	};
	struct pair *p = *state;

	if (!offloads_here(p))
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dgram d = train("127.0.0.1", p->b.port, 2000, 500), in[PACKET_BATCH];

		kernel.lie = true;
		kernel.gro = cases[i].says;
		kernel.gro_len = cases[i].len;
		assert_int_equal(send_all(&p->a, &d, 1), 0);
		wait_readable(p->b.lanes[0].fd4);
		assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 1);
		assert_int_equal(in[0].len, 2000);
		assert_int_equal(in[0].segment, cases[i].segment);
	}
}

/* A batch after one with control messages: those are not there any more where none came. */
static void nothing_is_left_of_the_last_batch(void **state)
{
	struct pair *p = *state;
	struct dgram d = train("127.0.0.1", p->b.port, 2000, 500), in[PACKET_BATCH];

	d.tos = 0x41;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	receive_train(&p->b, &d);
	d.tos = 0;
	d.len = 500;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 1);
	assert_int_equal(in[0].len, 500);
	assert_int_equal(in[0].segment, 0);
	assert_int_equal(in[0].tos, 0);
}

static void truncated_is_dropped(void **state)
{
	struct pair *p = *state;
	struct dgram out[3] = {
		dgram_to("127.0.0.1", p->b.port, "one"), dgram_to("127.0.0.1", p->b.port, "second"),
		dgram_to("127.0.0.1", p->b.port, "3"),
	};
	struct dgram in[PACKET_BATCH];

	assert_int_equal(send_all(&p->a, out, 3), 0);
	kernel.truncate = 1;
	wait_readable(p->b.lanes[0].fd4);
	assert_int_equal(udp_receive(&p->b, 0, 0, p->b.lanes[0].fd4, in), 2);
	assert_data(&in[0], "one");
	assert_data(&in[1], "3");
	assert_int_equal(p->b.lanes[0].truncated, 1);
}

/* Large trains are fetched by twos, single datagrams by up to a batch, with steps between. */
static void asks_for_what_fits_the_cache(void **state)
{
	static const unsigned int steps[] = { 4, 8, 16, 32, 64, 64 };
	struct pair *p = *state;
	struct dgram d = train("127.0.0.1", p->b.port, 62000, 1000), in[PACKET_BATCH], small[PACKET_BATCH];
	int fd = p->b.lanes[0].fd4;

	if (!offloads_here(p))
		skip();
	assert_int_equal(p->b.lanes[0].vlen, PACKET_BATCH);
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	receive_train(&p->b, &d);
	assert_int_equal(kernel.vlen, 2);	/* of the call that found no more */
	for (size_t i = 0; i < PACKET_BATCH; i++) {
		small[i] = dgram_to("127.0.0.1", p->b.port, "small");
		small[i].path.local = address(i & 1 ? "127.0.0.8" : "127.0.0.9");	/* not to be put together */
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(send_all(&p->a, small, PACKET_BATCH), 0);
		wait_readable(fd);
		assert_int_equal(udp_receive(&p->b, 0, 0, fd, in), i ? steps[i - 1] : 2);
		assert_int_equal(p->b.lanes[0].vlen, steps[i]);
	}
	/* A call that finds less than it asked for learns nothing. */
	while (udp_receive(&p->b, 0, 0, fd, in) > 0)
		;
	assert_int_equal(send_all(&p->a, &d, 1), 0);
	receive_train(&p->b, &d);
	assert_int_equal(send_all(&p->a, small, 1), 0);
	wait_readable(fd);
	assert_int_equal(udp_receive(&p->b, 0, 0, fd, in), 1);
	assert_int_equal(p->b.lanes[0].vlen, 2);
}

/* Not wanted, or not there: everything goes one by one, with the same result. */
static void without_offloads(void **state)
{
	static const int unknown[] = { 0, UDP_SEGMENT, UDP_GRO };
	struct pair *p = *state;

	for (int i = 0; i < 3; i++) {
		struct dgram d;

		udp_close(&p->a);
		udp_close(&p->b);
		reset_kernel();
		kernel.unknown_option = unknown[i];
		assert_int_equal(open_udp(&p->a, 0, 0, 1, i ? OFFLOAD_ALL : OFFLOAD_TSO | OFFLOAD_MERGE), 0);
		assert_int_equal(open_udp(&p->b, 0, 0, 1, i ? OFFLOAD_ALL : OFFLOAD_TSO | OFFLOAD_MERGE), 0);
		assert_int_equal(p->a.offloads & (i == 1 ? OFFLOAD_GSO : OFFLOAD_GRO), 0);
		assert_true(i || !p->a.offloads);
		assert_int_equal(udp_run_messages_max(&p->a, 0) == 1, !(p->a.offloads & OFFLOAD_GSO));
		d = train("127.0.0.1", p->b.port, 70500, 1000);
		assert_int_equal(send_all(&p->a, &d, 1), 0);
		assert_int_equal(kernel.supers > 0, (p->a.offloads & OFFLOAD_GSO) > 0);
		if (i != 1)
			assert_int_equal(receive_train(&p->b, &d), 71);
		else
			receive_train(&p->b, &d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(trains_travel_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(one_is_never_many, setup, teardown),
		cmocka_unit_test_setup_teardown(long_trains_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(eio_ends_gso_on_a_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_trains_are_split, setup, teardown),
		cmocka_unit_test_setup_teardown(segments_above_the_mtu, setup, teardown),
		cmocka_unit_test_setup_teardown(address_lost_train_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(enobufs_is_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(partial_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(full_sockets_tell_where, setup, teardown),
		cmocka_unit_test_setup_teardown(handshakes_wait_a_little, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_link_fills_the_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(absurd_segment_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_the_last_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_for_what_fits_the_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(without_offloads, setup, teardown),
	};

	prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
