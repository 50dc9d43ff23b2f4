/* SPDX-License-Identifier: MIT */
/*
 * Traffic the bench makes and measures: small packets as many as go through, and a sparse flow whose round trips
 * are timed.
 *
 *	traffic sink ADDRESS PORT			receive what flood sends, and say how far it came
 *	traffic flood ADDRESS PORT SIZE SECONDS WINDOW	prints: sent, received, seconds
 *	traffic echo ADDRESS PORT			send back what ping sends
 *	traffic ping ADDRESS PORT SIZE INTERVAL-US COUNT	prints a round trip in microseconds a line, "lost" for none
 *
 * flood keeps at most WINDOW packets on their way, by the sink's reports: sent without a limit they would show how fast packets can
 * be thrown away, and on a machine both ends share the sender would take the receiver's time.
 *
 * The sink takes merged datagrams (UDP_GRO), so that what arrives merged need not be taken apart again, at its cost.
 *
 * echo and ping run at real-time priority, so that what they time is the tunnel and not their own place in the run queue.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 64,
	GATHERED_MAX = 65535, GATHERS = 8,
	SIZE_MAX_BYTES = 1472,
	STALL_MS = 20,			/* without a report: what is under way is lost */
	LAST_REPORTS_MS = 300,
	ANSWER_MS = 1000,		/* what takes longer is lost */
	SOCKET_BUFFER = 4 << 20,
};

/* In front of every packet of a flood; the report is the same with 'count' the packets received. */
struct mark {
	uint32_t run;			/* tells floods apart */
	uint32_t count;
	uint64_t number;
};

static uint8_t bytes[BATCH][SIZE_MAX_BYTES];
static struct iovec iov[BATCH];
static struct mmsghdr messages[BATCH];

static void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void real_time(void)
{
	struct sched_param p = { .sched_priority = 10 };

	if (sched_setscheduler(0, SCHED_FIFO, &p))
		fail("real-time priority");
}

static int open_socket(const char *ip, const char *port, bool server)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = SOCKET_BUFFER;

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		fail(ip);
	if (fd < 0 || (server ? bind(fd, (struct sockaddr *)&a, sizeof(a)) : connect(fd, (struct sockaddr *)&a, sizeof(a))))
		fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		fail("socket buffer");
	return fd;
}

/* What one receive brought: one packet, or several of 'size' behind each other. */
static void count_packets(struct mark *total, const uint8_t *data, size_t len, size_t size)
{
	for (; len >= sizeof(struct mark); data += size, len -= len < size ? len : size) {
		struct mark m;

		memcpy(&m, data, sizeof(m));
		if (m.run != total->run)
			*total = (struct mark){ .run = m.run };
		total->count++;
		if (m.number > total->number)
			total->number = m.number;
	}
}

static size_t gathered_size(struct msghdr *msg, size_t len)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int size;

	if (!c || c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
		return len;
	memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 ? (size_t)size : len;
}

/* Receive for ever. A report goes to the sender after each batch. */
static void sink(int fd)
{
	static uint8_t rooms[GATHERS][GATHERED_MAX];
	static struct sockaddr_in from[GATHERS];
	static union { struct cmsghdr align; uint8_t bytes[CMSG_SPACE(sizeof(int))]; } control[GATHERS];
	struct mark total = { 0 };
	int on = 1;

	if (setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)))
		fail("UDP_GRO");
	for (;;) {
		int n;

		for (size_t i = 0; i < GATHERS; i++) {
			iov[i] = (struct iovec){ rooms[i], GATHERED_MAX };
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i], .msg_iovlen = 1,
				.msg_control = &control[i], .msg_controllen = sizeof(control[i]),
			};
		}
		n = recvmmsg(fd, messages, GATHERS, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EINTR)
			fail("recvmmsg");
		for (int i = 0; i < n; i++)
			count_packets(&total, rooms[i], messages[i].msg_len,
				      gathered_size(&messages[i].msg_hdr, messages[i].msg_len));
		if (n > 0)
			sendto(fd, &total, sizeof(total), 0, (struct sockaddr *)&from[n - 1], sizeof(from[0]));
	}
}

/* Read the sink's reports, waiting 'wait_ms' for the first. */
static bool reports(int fd, struct mark *known, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct mark m;
	bool any = false;

	if (wait_ms && poll(&p, 1, wait_ms) <= 0)
		return false;
	while (recv(fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m))
		if (m.run == known->run && m.number >= known->number) {
			*known = m;
			any = true;
		}
	return any;
}

static void flood(int fd, size_t size, double seconds, uint64_t window)
{
	struct mark known = { .run = (uint32_t)now_us() | 1 };
	int64_t start = now_us(), end = start + (int64_t)(seconds * 1e6), stop;
	uint64_t sent = 0, from = 0;

	if (size < sizeof(known) || size > SIZE_MAX_BYTES)
		exit(2);
	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ bytes[i], size };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (stop = start; stop < end; stop = now_us()) {
		uint64_t base = known.number > from ? known.number : from, room = window - (sent - base);
		int n, count = room < BATCH ? (int)room : BATCH;

		for (int i = 0; i < count; i++) {
			struct mark m = { .run = known.run, .number = sent + (uint64_t)i + 1 };

			memcpy(bytes[i], &m, sizeof(m));
		}
		n = count ? sendmmsg(fd, messages, (unsigned int)count, 0) : 0;
		if (n > 0)
			sent += (uint64_t)n;
		else if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
			fail("sendmmsg");
		if (!reports(fd, &known, sent - base >= window ? STALL_MS : 0) && sent - base >= window)
			from = sent;
	}
	while (known.number < sent && reports(fd, &known, LAST_REPORTS_MS))
		;
	printf("%llu %u %.6f\n", (unsigned long long)sent, known.count, (double)(stop - start) / 1e6);
}

static void echo(int fd)
{
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, bytes[0], SIZE_MAX_BYTES, 0, (struct sockaddr *)&from, &len);

		if (n < 0 && errno != EINTR)
			fail("recvfrom");
		if (n >= 0)
			sendto(fd, bytes[0], (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

/* Take answers until 'until'; round trips into rtt[], by number. */
static void answers(int fd, int64_t until, int64_t *rtt, size_t count)
{
	for (;;) {
		int64_t left = until - now_us();
		struct timespec wait = { left / 1000000, left % 1000000 * 1000 };
		struct pollfd p = { .fd = fd, .events = POLLIN };
		struct { uint64_t number; int64_t sent_us; } m;

		if (left <= 0 || ppoll(&p, 1, &wait, NULL) <= 0)
			return;
		if (recv(fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m) && m.number < count)
			rtt[m.number] = now_us() - m.sent_us;
	}
}

static void ping(int fd, size_t size, int64_t interval_us, size_t count)
{
	int64_t *rtt = malloc(count * sizeof(*rtt)), next = now_us();

	if (!rtt || !count || size < 16 || size > SIZE_MAX_BYTES)
		exit(2);
	for (size_t i = 0; i < count; i++) {
		struct { uint64_t number; int64_t sent_us; } m = { i, now_us() };

		rtt[i] = -1;
		memcpy(bytes[0], &m, sizeof(m));
		send(fd, bytes[0], size, 0);
		next += interval_us;
		answers(fd, next, rtt, count);
	}
	answers(fd, now_us() + ANSWER_MS * 1000 * (rtt[count - 1] < 0), rtt, count);
	for (size_t i = 0; i < count; i++)
		if (rtt[i] < 0 || rtt[i] > ANSWER_MS * 1000)
			printf("lost\n");
		else
			printf("%lld\n", (long long)rtt[i]);
	free(rtt);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";

	if (argc == 4 && !strcmp(what, "sink")) {
		sink(open_socket(argv[2], argv[3], true));
	} else if (argc == 7 && !strcmp(what, "flood")) {
		flood(open_socket(argv[2], argv[3], false), (size_t)atoi(argv[4]), atof(argv[5]), (uint64_t)atoll(argv[6]));
	} else if (argc == 4 && !strcmp(what, "echo")) {
		real_time();
		echo(open_socket(argv[2], argv[3], true));
	} else if (argc == 7 && !strcmp(what, "ping")) {
		real_time();
		ping(open_socket(argv[2], argv[3], false), (size_t)atoi(argv[4]), atoll(argv[5]), (size_t)atoll(argv[6]));
	} else {
		fprintf(stderr, "usage: traffic sink|echo ADDRESS PORT\n"
			"       traffic flood ADDRESS PORT SIZE SECONDS WINDOW\n"
			"       traffic ping ADDRESS PORT SIZE INTERVAL-US COUNT\n");
		return 2;
	}
	return 0;
}
