/* SPDX-License-Identifier: MIT */
/*
 * A cable with faults: what comes in on one interface goes out of the other, later, or not at all.
 *
 *	cable IF-A IF-B CONTROL
 *
 * CONTROL is a file with two lines, A to B and B to A, each "DELAY-us JITTER-us LOSS-permille MTU": a frame is held for the delay and up to
 * the jitter more (jitter does not reorder), lost by chance (1000: dead, and nobody is told), and dropped in silence when its IP packet is
 * longer than MTU (0: no limit). It is read again every 10 ms, so whoever writes it (by rename) changes the cable. Offloads of the interfaces
 * must be off, or frames are longer than they can be sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAME_MAX = 9600, HELD_MAX = 4096, CONTROL_US = 10000 };

struct frame {
	int64_t due_us;
	uint32_t len;
	uint8_t data[FRAME_MAX];
};

struct direction {
	int from, to;
	long delay_us, jitter_us, loss, mtu;
	int64_t last_us;		/* nothing leaves before it: order is kept */
	struct frame *held;
	size_t first, count;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int open_raw(const char *name)
{
	struct sockaddr_ll self = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name) };
	struct packet_mreq promiscuous = { .mr_ifindex = self.sll_ifindex, .mr_type = PACKET_MR_PROMISC };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)), bytes = 8 << 20, on = 1;

	if (fd < 0 || !self.sll_ifindex || bind(fd, (struct sockaddr *)&self, sizeof(self)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on))) {
		perror(name);
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	return fd;
}

static void read_control(const char *path, struct direction d[2])
{
	FILE *f = fopen(path, "r");

	for (int i = 0; f && i < 2; i++) {
		long v[4];

		if (fscanf(f, "%ld %ld %ld %ld", &v[0], &v[1], &v[2], &v[3]) == 4) {
			d[i].delay_us = v[0];
			d[i].jitter_us = v[1];
			d[i].loss = v[2];
			d[i].mtu = v[3];
		}
	}
	if (f)
		fclose(f);
}

static void take(struct direction *d, int64_t at_us)
{
	struct frame *f = &d->held[(d->first + d->count) % HELD_MAX];
	ssize_t n = d->count < HELD_MAX ? recv(d->from, f->data, FRAME_MAX, MSG_TRUNC) : recv(d->from, NULL, 0, MSG_TRUNC);

	if (n <= 0 || n > FRAME_MAX || d->count == HELD_MAX || random() % 1000 < d->loss || (d->mtu && n > d->mtu + ETH_HLEN))
		return;
	f->len = (uint32_t)n;
	f->due_us = at_us + d->delay_us + (d->jitter_us ? random() % d->jitter_us : 0);
	if (f->due_us < d->last_us)
		f->due_us = d->last_us;
	d->last_us = f->due_us;
	d->count++;
}

static void give(struct direction *d, int64_t at_us)
{
	while (d->count && d->held[d->first].due_us <= at_us) {
		struct frame *f = &d->held[d->first];

		if (send(d->to, f->data, f->len, 0) < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ENETDOWN && errno != ENXIO)
			perror("send");
		d->first = (d->first + 1) % HELD_MAX;
		d->count--;
	}
}

static int64_t wait_us(const struct direction d[2], int64_t at_us)
{
	int64_t least = CONTROL_US;

	for (int i = 0; i < 2; i++)
		if (d[i].count && d[i].held[d[i].first].due_us - at_us < least)
			least = d[i].held[d[i].first].due_us - at_us;
	return least > 0 ? least : 0;
}

int main(int argc, char **argv)
{
	struct direction d[2] = { { .from = -1 }, { .from = -1 } };
	int64_t read_us = 0;

	if (argc != 4)
		return 2;
	d[0].from = d[1].to = open_raw(argv[1]);
	d[1].from = d[0].to = open_raw(argv[2]);
	for (int i = 0; i < 2; i++)
		d[i].held = malloc(HELD_MAX * sizeof(*d[i].held));
	if (!d[0].held || !d[1].held)
		return 1;
	for (;;) {
		struct pollfd fds[2] = { { .fd = d[0].from, .events = POLLIN }, { .fd = d[1].from, .events = POLLIN } };
		int64_t at_us = now_us(), left_us;
		struct timespec left;

		if (at_us - read_us >= CONTROL_US) {
			read_control(argv[3], d);
			read_us = at_us;
		}
		left_us = wait_us(d, at_us);
		left = (struct timespec){ .tv_nsec = left_us * 1000 };
		ppoll(fds, 2, &left, NULL);
		at_us = now_us();
		for (int i = 0; i < 2; i++) {
			for (int j = 0; j < 64 && fds[i].revents; j++)
				take(&d[i], at_us);
			give(&d[i], at_us);
		}
	}
}
