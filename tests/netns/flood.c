/* SPDX-License-Identifier: MIT */
/*
 * A flood of junk for tests/netns/flood.sh: datagrams from random sources in 10.8.0.0/16, written as raw IPv4 packets in
 * batches, at a bounded rate. Every eighth kind of trouble in turn, drawn from a seed:
 *
 *	noise of any size; right types with wrong lengths; right lengths with noise inside; an initiation caught on the wire, as
 *	it was and with a bit turned; data with a receiver index that is valid, forged; data caught on the wire, as it was; initiations whose
 *	MAC1 is right for the victim's key and whose rest is noise.
 *
 * usage: flood DESTINATION PORT COUNT RATE SEED CAPTURE PUBLIC-KEY-HEX
 *
 * CAPTURE is a pcap file of Ethernet with the good session's start toward the victim.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "crypto/blake2s.h"

enum {
	BATCH = 64,
	PAYLOAD_MAX = 1472,
	HEADERS = 20 + 8,		/* IPv4, UDP */
	PCAP_HEADER = 24, PCAP_RECORD = 16, ETHERNET = 14,
	CAPTURE_MAX = 1 << 20,
	INITIATION = 148, RESPONSE = 92, COOKIE_REPLY = 64, MAC1_AT = 116,
	KINDS = 8,
};

struct message {
	uint8_t bytes[PAYLOAD_MAX];
	size_t len;
};

static struct message initiation, data;		/* caught on the wire */
static uint8_t mac1_key[32];
static uint64_t state;

/* splitmix64: good enough for junk, and the same for the same seed. */
static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static void noise(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = draw();

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
	}
}

static void fail(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The first initiation and the first data with content in a capture of UDP over IPv4 over Ethernet. */
static void read_capture(const char *path)
{
	static uint8_t file[CAPTURE_MAX];
	FILE *f = fopen(path, "rb");
	size_t len, at = PCAP_HEADER;

	if (!f)
		fail(path);
	len = fread(file, 1, sizeof(file), f);
	fclose(f);
	while (at + PCAP_RECORD <= len) {
		uint32_t size;
		const uint8_t *p = file + at + PCAP_RECORD + ETHERNET + HEADERS;

		memcpy(&size, file + at + 8, sizeof(size));
		at += PCAP_RECORD + size;
		if (at > len || size < ETHERNET + HEADERS + 32 || size > ETHERNET + HEADERS + PAYLOAD_MAX)
			continue;
		size -= ETHERNET + HEADERS;
		if (p[0] == 1 && size == INITIATION && !initiation.len) {
			memcpy(initiation.bytes, p, size);
			initiation.len = size;
		} else if (p[0] == 4 && size > 32 && !data.len) {
			memcpy(data.bytes, p, size);
			data.len = size;
		}
	}
	errno = ENODATA;
	if (!initiation.len || !data.len)
		fail("no initiation or no data in the capture");
}

static void make_mac1_key(const char *hex)
{
	struct blake2s h;
	uint8_t key[32];

	for (size_t i = 0; i < sizeof(key); i++) {
		unsigned int v;

		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			fail("public key");
		key[i] = (uint8_t)v;
	}
	blake2s_init(&h, sizeof(mac1_key), NULL, 0);
	blake2s_update(&h, "mac1----", 8);
	blake2s_update(&h, key, sizeof(key));
	blake2s_final(&h, mac1_key);
}

static size_t length_of_type(uint8_t type)
{
	static const size_t length[] = { 0, INITIATION, RESPONSE, COOKIE_REPLY };

	return type < 4 ? length[type] : 32 + 16 * (draw() % 64);
}

/* One message of kind 'kind' into 'm'. */
static void make(struct message *m, unsigned int kind)
{
	uint8_t type = (uint8_t)(1 + draw() % 4);

	switch (kind) {
	case 0:		/* noise */
		m->len = draw() % (PAYLOAD_MAX + 1);
		noise(m->bytes, m->len);
		return;
	case 1:		/* a right type, a wrong length */
		m->len = draw() % (draw() % 2 ? 33 : PAYLOAD_MAX);
		m->len -= m->len == length_of_type(type) && m->len;
		noise(m->bytes, m->len);
		memcpy(m->bytes, (uint8_t[4]){ type }, m->len < 4 ? m->len : 4);
		return;
	case 2:		/* a right type and length, noise inside */
		m->len = length_of_type(type);
		noise(m->bytes, m->len);
		memcpy(m->bytes, (uint8_t[4]){ type }, 4);
		return;
	case 3:		/* a real initiation again */
		*m = initiation;
		return;
	case 4:		/* and with a bit turned */
		*m = initiation;
		m->bytes[4 + draw() % (INITIATION - 4)] ^= (uint8_t)(1U << (draw() % 8));
		return;
	case 5:		/* forged data for a real session */
		m->len = 32 + 16 * (draw() % 64);
		noise(m->bytes, m->len);
		memcpy(m->bytes, data.bytes, 8);
		memset(m->bytes + 14, 0, 2);	/* counters that are not out of reach */
		return;
	case 6:		/* real data again */
		*m = data;
		return;
	default:	/* an initiation made for the victim, by nobody */
		m->len = INITIATION;
		noise(m->bytes, m->len);
		memcpy(m->bytes, (uint8_t[4]){ 1 }, 4);
		blake2s(m->bytes + MAC1_AT, 16, mac1_key, sizeof(mac1_key), m->bytes, MAC1_AT);
		memset(m->bytes + MAC1_AT + 16, 0, 16);
	}
}

/* IPv4 and UDP headers in front of a message; the kernel fills in length and checksum of IPv4. */
static size_t wrap(uint8_t *out, const struct message *m, const struct sockaddr_in *dst)
{
	uint16_t sport = htons((uint16_t)(1024 + draw() % 60000));
	uint16_t ulen = htons((uint16_t)(8 + m->len)), total = htons((uint16_t)(HEADERS + m->len));
	uint32_t source = htonl(0x0a080000U | (uint32_t)(1 + draw() % 65534));

	memset(out, 0, HEADERS);
	out[0] = 0x45;
	memcpy(out + 2, &total, 2);
	out[8] = 64;
	out[9] = IPPROTO_UDP;
	memcpy(out + 12, &source, 4);
	memcpy(out + 16, &dst->sin_addr, 4);
	memcpy(out + 20, &sport, 2);
	memcpy(out + 22, &dst->sin_port, 2);
	memcpy(out + 24, &ulen, 2);
	memcpy(out + HEADERS, m->bytes, m->len);
	return HEADERS + m->len;
}

static int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void send_batch(int fd, struct mmsghdr *h, unsigned int count)
{
	for (unsigned int done = 0; done < count;) {
		int n = sendmmsg(fd, h + done, count - done, 0);

		if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			fail("sendmmsg");
		done += n > 0 ? (unsigned int)n : 0;
	}
}

static void flood(int fd, const struct sockaddr_in *dst, unsigned long count, unsigned long rate)
{
	static uint8_t packet[BATCH][HEADERS + PAYLOAD_MAX];
	struct mmsghdr h[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to = *dst;
	struct message m;
	int64_t start = clock_us();
	unsigned long sent = 0;

	to.sin_port = 0;
	while (sent < count) {
		unsigned int n = count - sent < BATCH ? (unsigned int)(count - sent) : BATCH;
		int64_t due = start + (int64_t)(sent * 1000000 / rate), now = clock_us();

		if (due > now)
			nanosleep(&(struct timespec){ .tv_sec = (due - now) / 1000000, .tv_nsec = (due - now) % 1000000 * 1000 }, NULL);
		memset(h, 0, sizeof(h));
		for (unsigned int i = 0; i < n; i++) {
			make(&m, (unsigned int)((sent + i) % KINDS));
			iov[i] = (struct iovec){ packet[i], wrap(packet[i], &m, dst) };
			h[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov[i], .msg_iovlen = 1 };
		}
		send_batch(fd, h, n);
		sent += n;
	}
	printf("sent %lu in %.1f s\n", sent, (double)(clock_us() - start) / 1e6);
}

int main(int argc, char **argv)
{
	struct sockaddr_in dst = { .sin_family = AF_INET };
	int fd, on = 1;

	if (argc != 8 || inet_pton(AF_INET, argv[1], &dst.sin_addr) != 1 || strlen(argv[7]) != 64) {
		fprintf(stderr, "usage: flood DESTINATION PORT COUNT RATE SEED CAPTURE PUBLIC-KEY-HEX\n");
		return 2;
	}
	dst.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	state = strtoull(argv[5], NULL, 10);
	read_capture(argv[6]);
	make_mac1_key(argv[7]);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)))
		fail("raw socket");
	flood(fd, &dst, strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	return 0;
}
