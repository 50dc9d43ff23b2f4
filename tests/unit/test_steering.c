/* SPDX-License-Identifier: MIT */
/* The steering programs where they run: in the kernel, on a group of sockets and on a TUN, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>

#include "base/bytes.h"
#include "sandbox.h"
#include "sys/arena.h"
#include "sys/steering.h"
#include "sys/tun.h"

/*
 * Sockets.
 */

enum { GROUP_MAX = 8, MESSAGE_LEN = 32 };

struct group {
	int fds[GROUP_MAX], sender;
	unsigned int lanes;
};

static int group_socket(int family, uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(*port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(sin);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	if (family == AF_INET6) {
		assert_int_equal(bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
		*port = ntohs(sin.sin_port);
	}
	return fd;
}

static struct group open_group(int family, unsigned int lanes)
{
	struct group g = { .lanes = lanes, .sender = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	uint16_t port = family == AF_INET ? 0 : 40300;

	for (unsigned int i = 0; i < lanes; i++)
		g.fds[i] = group_socket(family, &port);
	assert_int_equal(steering_attach(g.fds[lanes - 1], lanes), 0);
	assert_int_equal(getsockname(g.fds[0], (struct sockaddr *)&to, &len), 0);
	assert_int_equal(connect(g.sender, (struct sockaddr *)&to, len), 0);
	return g;
}

static void close_group(struct group *g)
{
	for (unsigned int i = 0; i < g->lanes; i++)
		close(g->fds[i]);
	close(g->sender);
}

static void assert_lane(const struct group *g, const uint8_t *message, size_t len, unsigned int lane)
{
	struct pollfd p = { .fd = g->fds[lane], .events = POLLIN };
	uint8_t got[MESSAGE_LEN];

	assert_int_equal(send(g->sender, message, len, 0), len);
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(recv(g->fds[lane], got, sizeof(got), MSG_DONTWAIT), len);
	assert_memory_equal(got, message, len);
}

/* All sub-sessions and homes, with all the other bits of the index set; 'at' is where the type has it. */
static void walk_indices(const struct group *g, uint8_t type, size_t at)
{
	uint8_t message[MESSAGE_LEN];

	memset(message, 0xff, sizeof(message));
	message[0] = type;
	for (unsigned int i = 0; i < 128; i++) {
		for (unsigned int home = 0; home < 8; home++) {
			bool by_home = i == 0 || i == 127;

			message[at] = (uint8_t)(0x80 | i);
			message[at + 1] = (uint8_t)(0xf8 | home);
			assert_lane(g, message, sizeof(message), (by_home ? home : i) % g->lanes);
		}
	}
}

static void datagrams_go_by_index(void **state)
{
	static const unsigned int lanes[] = { 2, 3, 4, 8 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct group g = open_group(i == 1 ? AF_INET6 : AF_INET, lanes[i]);

		walk_indices(&g, 4, 4);
		walk_indices(&g, 3, 4);
		walk_indices(&g, 2, 8);
		close_group(&g);
	}
}

static void the_rest_goes_to_the_first(void **state)
{
	static const uint8_t types[] = { 0, 1, 5, 0x45, 0xff };
	struct group g = open_group(AF_INET, 4);
	uint8_t message[MESSAGE_LEN];

	(void)state;
	memset(message, 0x03, sizeof(message));
	for (size_t i = 0; i < sizeof(types); i++) {
		message[0] = types[i];
		assert_lane(&g, message, sizeof(message), 0);
	}
	/* Too short to say: nothing, a type alone, a data message's without the bytes that count. */
	message[0] = 4;
	for (size_t len = 0; len <= 4; len++)
		assert_lane(&g, message, len, 0);
	assert_lane(&g, message, 5, 3);
	message[4] = 0;
	assert_lane(&g, message, 5, 0);
	assert_lane(&g, message, 6, 3);
	message[0] = 2;
	assert_lane(&g, message, 8, 0);
	assert_lane(&g, message, 9, 3);
	close_group(&g);
}

static void no_group_no_program(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(steering_attach(-1, 2), -EBADF);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(steering_attach_tun(pair[0]) < 0);
	close(pair[0]);
	close(pair[1]);
}

/*
 * The TUN.
 */

enum { FLOWS = 64, PORT = 20000, QUEUES_MAX = 4 };

struct stage {
	struct tun tun;
	struct arena arena;
	struct tun_reader reader;
	int raw;
};

static int setup(void **state)
{
	struct stage *s = test_malloc(sizeof(*s));

	if (tun_open(&s->tun, "ts0", QUEUES_MAX, 0) || s->tun.queues != QUEUES_MAX)
		return -1;
	s->arena = arena_map(PACKET_BATCH);
	if (!s->arena.base)
		return -1;
	arena_fill(&s->arena, 0, s->reader.slots);
	s->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	sandbox_address4("ts0", "10.99.0.1", "255.255.255.0");
	sandbox_link("ts0", 1);
	sandbox_address6("ts0", "fd99::1", 64);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	close(s->raw);
	arena_unmap(&s->arena);
	tun_close(&s->tun);
	test_free(s);
	return 0;
}

/* Attach, or skip the test where this kernel does not let us. */
static void attach(struct stage *s)
{
	int error = steering_attach_tun(s->tun.fds[0]);

	if (error == -EPERM || error == -ENOSYS) {
		print_message("skipped: bpf(2): %s\n", strerror(-error));
		skip();
	}
	assert_int_equal(error, 0);
}

/* One packet that is not the kernel's own (router solicitations and such), and where it was. -1: there is none. */
static int next_packet(struct stage *s, struct packet *out)
{
	for (unsigned int q = 0; q < s->tun.queues; q++) {
		while (tun_read(&s->tun, q, &s->reader, out, 1, 1) == 1) {
			bool ours = out->data[0] >> 4 == 4 ? !memcmp(out->data + 16, "\x0a\x63\x00", 3) :
							     !memcmp(out->data + 24, "\xfd\x99", 2);

			if (ours)
				return (int)q;
		}
	}
	return -1;
}

/* The queue of what was just sent, which is all one flow of 'count' packets. */
static int queue_of_all(struct stage *s, int count)
{
	struct packet p;
	int queue = next_packet(s, &p);

	assert_true(queue >= 0);
	for (int i = 1; i < count; i++)
		assert_int_equal(next_packet(s, &p), queue);
	assert_int_equal(next_packet(s, &p), -1);
	return queue;
}

/* A socket with a port of its own. */
static int flow_socket(int family, int flow)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(PORT + flow)) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)(PORT + flow)) };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	else
		assert_int_equal(bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(53) };
	sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(53) };
	inet_pton(AF_INET, "10.99.0.2", &sin.sin_addr);
	inet_pton(AF_INET6, "fd99::2", &sin6.sin6_addr);
	if (family == AF_INET)
		assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	return fd;
}

/* A flow's packets, different in all that does not make it one: size, TOS, TTL; now and then one that the kernel has to fragment. */
static int queue_of_flow(struct stage *s, int family, int flow)
{
	enum { PACKETS = 6 };
	static const uint8_t data[1000];
	int fd = flow_socket(family, flow), queue;

	for (int i = 0; i < PACKETS; i++) {
		int tos = i * 4, ttl = 10 + i;

		setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
		setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
		setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
		setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
		assert_int_equal(send(fd, data, 1 + 100 * (size_t)i, 0), 1 + 100 * i);
	}
	queue = queue_of_all(s, PACKETS);
	close(fd);
	return queue;
}

static void assert_spread(struct stage *s, int family)
{
	int flows[QUEUES_MAX] = { 0 };

	for (int i = 0; i < FLOWS; i++)
		flows[queue_of_flow(s, family, i)]++;
	/* Within a good half of an even share: with 64 random flows less would be seen once in thousands of times. */
	for (unsigned int q = 0; q < s->tun.queues; q++)
		assert_in_range(flows[q], FLOWS / s->tun.queues / 2, 2 * FLOWS / s->tun.queues);
}

static void flows_stay_and_spread(void **state)
{
	struct stage *s = *state;

	attach(s);
	assert_spread(s, AF_INET);
	assert_spread(s, AF_INET6);
	/* The program takes what queues there are. */
	close(s->tun.fds[3]);
	close(s->tun.fds[2]);
	s->tun.queues = 2;
	assert_spread(s, AF_INET);
	assert_spread(s, AF_INET6);
	tun_use_one_queue(&s->tun);
	assert_int_equal(s->tun.queues, 1);
	assert_int_equal(s->tun.fds[1], -1);
	for (int i = 0; i < 8; i++)
		assert_int_equal(queue_of_flow(s, AF_INET, i), 0);
}

/* All fragments of a datagram are in one queue, and different hosts' ones not always in the same. */
static void fragments_stay_together(void **state)
{
	static const uint8_t data[4000];
	struct stage *s = *state;

	attach(s);
	for (int f = 0; f < 2; f++) {
		int pmtu_off = IP_PMTUDISC_DONT, fd = flow_socket(f ? AF_INET6 : AF_INET, 1);

		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &pmtu_off, sizeof(pmtu_off));
		for (int i = 0; i < 4; i++) {
			assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
			queue_of_all(s, 3);
		}
		close(fd);
	}
}

/* An IPv4 packet by hand: host 'to' of the network, 'words' of header, 'len' bytes behind it. */
static int queue_of_raw(struct stage *s, uint8_t to, uint8_t proto, unsigned int words, const char *behind, size_t len)
{
	uint8_t packet[100] = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(0x0a630000u | to) } };

	packet[0] = (uint8_t)(0x40 | words);
	memset(packet + 20, 1, 4 * words - 20);		/* options: no operation */
	put_be16(packet + 2, (uint16_t)(4 * words + len));
	packet[8] = 64;
	packet[9] = proto;
	put_be32(packet + 12, 0x0a630001);
	put_be32(packet + 16, 0x0a630000u | to);
	memcpy(packet + 4 * words, behind, len);
	assert_int_equal(sendto(s->raw, packet, 4 * words + len, 0, (struct sockaddr *)&sin, sizeof(sin)), 4 * words + len);
	return queue_of_all(s, 1);
}

static void looks_where_the_ports_are(void **state)
{
	struct stage *s = *state;
	unsigned int seen[3] = { 0 };

	attach(s);
	for (uint8_t i = 0; i < 32; i++) {
		char tcp[20] = { 0x12, (char)i, 0x00, 0x50 }, other[20] = { 0x12, (char)i, 0x00, 0x50 };
		int queue = queue_of_raw(s, 2, IPPROTO_TCP, 5, tcp, sizeof(tcp));

		/* Sequence numbers and options change nothing; a protocol without ports has no second flow. */
		memset(tcp + 4, i, 16);
		assert_int_equal(queue_of_raw(s, 2, IPPROTO_TCP, 5, tcp, sizeof(tcp)), queue);
		assert_int_equal(queue_of_raw(s, 2, IPPROTO_TCP, 9, tcp, sizeof(tcp)), queue);
		seen[0] |= 1u << queue;
		seen[1] |= 1u << queue_of_raw(s, 2, IPPROTO_GRE, 5, other, sizeof(other));
		seen[2] |= 1u << queue_of_raw(s, (uint8_t)(2 + i), IPPROTO_GRE, 5, other, sizeof(other));
	}
	assert_int_equal(seen[0], 0x0f);
	assert_true(seen[1] && !(seen[1] & (seen[1] - 1)));
	assert_int_equal(seen[2], 0x0f);
	/* Cut off before the ports: goes somewhere. */
	queue_of_raw(s, 2, IPPROTO_TCP, 5, "", 0);
	queue_of_raw(s, 2, IPPROTO_UDP, 15, "abc", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_go_by_index),
		cmocka_unit_test(the_rest_goes_to_the_first),
		cmocka_unit_test(no_group_no_program),
		cmocka_unit_test_setup_teardown(flows_stay_and_spread, setup, teardown),
		cmocka_unit_test_setup_teardown(fragments_stay_together, setup, teardown),
		cmocka_unit_test_setup_teardown(looks_where_the_ports_are, setup, teardown),
	};

	sandbox_network();
	if (access("/dev/net/tun", R_OK | W_OK))
		sandbox_skip("/dev/net/tun");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
