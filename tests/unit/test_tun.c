/* SPDX-License-Identifier: MIT */
/* The TUN device in a network namespace of the test's own; the other side of it is the kernel's IP stack. */
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
#include <poll.h>
#include <sys/wait.h>

#include "sandbox.h"
#include "sys/tun.h"

enum { PORT = 7777, HEADERS = 28 };

static int setup(void **state)
{
	struct tun *t = test_malloc(sizeof(*t));
	FILE *f;
	int error = tun_open(t, "tt0");

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
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	tun_close(*state);
	test_free(*state);
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
	const struct timeval limit = { .tv_sec = 2 };
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
	assert_int_equal(tun_open(&t, "tt1"), 0);
	assert_string_equal(t.name, "tt1");
	assert_true(t.ifindex > 0);
	assert_int_equal(t.ifindex, if_nametoindex("tt1"));
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	assert_false(ifr.ifr_flags & IFF_UP);
	assert_true(fcntl(t.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(t.fd, F_GETFD) & FD_CLOEXEC);
	tun_close(&t);
	assert_int_equal(t.fd, -1);
	assert_int_equal(if_nametoindex("tt1"), 0);
	close(fd);
}

/* More packets than a batch: the first read is full, the second has the rest, the third nothing. */
static void reads_in_batches(void **state)
{
	enum { COUNT = PACKET_BATCH + 11 };
	struct tun *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket();

	assert_int_equal(tun_read(t, in), 0);
	for (uint8_t i = 0; i < COUNT; i++)
		assert_int_equal(sendto(fd, &i, 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(tun_read(t, in), PACKET_BATCH);
	for (uint8_t i = 0; i < PACKET_BATCH; i++) {
		assert_int_equal(in[i].len, HEADERS + 1);
		assert_int_equal(in[i].data[0], 0x45);
		assert_int_equal(in[i].data[HEADERS], i);
	}
	/* The rooms around neighbours do not overlap. */
	memset(in[1].data - PACKET_HEADROOM, 0xff, PACKET_HEADROOM);
	memset(in[0].data + in[0].len, 0xee, PACKET_TAILROOM);
	assert_int_equal(in[0].data[HEADERS], 0);
	assert_int_equal(in[1].data[-1], 0xff);
	assert_int_equal(in[1].data[HEADERS], 1);
	assert_int_equal(tun_read(t, in), COUNT - PACKET_BATCH);
	assert_int_equal(in[0].data[HEADERS], PACKET_BATCH);
	assert_int_equal(tun_read(t, in), 0);
	close(fd);
}

/* A packet from the other end: the kernel's own, turned round. */
static void turn_round(uint8_t *packet)
{
	uint8_t source[4];

	memcpy(source, packet + 12, 4);
	memcpy(packet + 12, packet + 16, 4);
	memcpy(packet + 16, source, 4);
}

static void writes_and_skips_refusals(void **state)
{
	struct tun *t = *state;
	struct packet in[PACKET_BATCH], out[4];
	struct sockaddr_in to = host("10.99.0.2");
	uint8_t nonsense[4] = { 0 };
	int fd = bound_socket();
	char text[8] = "";

	assert_int_equal(sendto(fd, "one", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
	assert_int_equal(sendto(fd, "two", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
	assert_int_equal(tun_read(t, in), 2);
	turn_round(in[0].data);
	turn_round(in[1].data);
	out[0] = in[0];
	out[1] = (struct packet){ .data = nonsense, .len = sizeof(nonsense) };	/* no IP version */
	out[2] = (struct packet){ .data = nonsense, .len = 0 };
	out[3] = in[1];
	assert_int_equal(tun_write(t, out, 4), 2);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "one", 3);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "two", 3);
	close(fd);
}

static void large_packet(void **state)
{
	static uint8_t big[60000];
	struct tun *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	struct ifreq ifr = { .ifr_name = "tt0", .ifr_mtu = 65535 };
	int fd = bound_socket();

	assert_int_equal(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	memset(big, 7, sizeof(big));
	assert_int_equal(sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(big));
	assert_int_equal(tun_read(t, in), 1);
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
	assert_int_equal(tun_open(&t, "tt0"), -EEXIST);
	assert_int_equal(t.fd, -1);
	assert_int_equal(tun_open(&t, "lo"), -EEXIST);

	/* A persistent tun nobody holds could be attached to, and must not be. */
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	assert_int_equal(tun_open(&t, "tt2"), -EEXIST);
	assert_true(if_nametoindex("tt2") > 0);
}

static void impossible_names(void **state)
{
	struct tun t;

	(void)state;
	assert_int_equal(tun_open(&t, ""), -EINVAL);
	assert_int_equal(tun_open(&t, "a%d"), -EINVAL);
	assert_int_equal(tun_open(&t, "sixteencharacter"), -EINVAL);
	assert_int_equal(tun_open(&t, "a/b"), -EINVAL);
	assert_int_equal(t.fd, -1);
}

static void without_capability(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct tun t;

		_exit(setuid(65534) ? 2 : tun_open(&t, "tt3") != -EPERM);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void link_down(void **state)
{
	struct tun *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	int fd = bound_socket();

	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(tun_read(t, in), 1);
	sandbox_link("tt0", 0);
	assert_int_equal(tun_write(t, in, 1), 0);
	assert_int_equal(tun_read(t, in), 0);
	sandbox_link("tt0", 1);
	assert_int_equal(tun_write(t, in, 1), 1);
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
	struct tun *t = *state;
	struct packet in[PACKET_BATCH];
	struct sockaddr_in to = host("10.99.0.2");
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	int fd = bound_socket();

	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(tun_read(t, in), 1);
	delete_link(t->ifindex);
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_int_equal(tun_write(t, in, 1), 0);
	assert_int_equal(tun_read(t, in), -EBADFD);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_new_and_down),
		cmocka_unit_test_setup_teardown(reads_in_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_and_skips_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(large_packet, setup, teardown),
		cmocka_unit_test_setup_teardown(taken_names, setup, teardown),
		cmocka_unit_test(impossible_names),
		cmocka_unit_test(without_capability),
		cmocka_unit_test_setup_teardown(link_down, setup, teardown),
		cmocka_unit_test_setup_teardown(deleted_from_outside, setup, teardown),
	};

	sandbox_network();
	if (access("/dev/net/tun", R_OK | W_OK))
		sandbox_skip("/dev/net/tun");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
