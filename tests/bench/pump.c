/* SPDX-License-Identifier: MIT */
/*
 * The bare pump: a TUN device joined to a UDP socket, with the offloads and the AEAD meshd has and nothing else: one
 * thread, two fixed keys, one peer, no handshake, no routing, no queue, no check of sources or replays. What it
 * moves is what one thread and these system calls can move; a daemon with a protocol is measured by how near it comes.
 *
 * Out: read a super-packet from the TUN; stamp each segment's header over what was consumed of the one before; seal it
 * out of place into the send buffer. The buffer goes out as one UDP_SEGMENT send when it is full, when a segment of another
 * size ends the run, or when the TUN has no more: so the tail of one super-packet shares a send with the head of the next.
 * In: one receive of what UDP_GRO gathered; open each segment in place; segments that continue each other become one TUN
 * write of many pieces. No payload is copied in either direction.
 *
 * A measuring tool for a link without loss: what cannot be sent is dropped, sizes and gso fields are checked only so far as to stay
 * inside the buffers.
 *
 *	pump TUN LOCAL PORT REMOTE PORT KEY-OUT KEY-IN AEAD	(IPv4 addresses, keys as 64 hex digits)
 *	pump speed						the back ends: name, what, bytes, microseconds
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/aead_backend.h"

/* Linux 6.2; headers may be older than the kernel. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	OVERHEAD_HEAD = 16, TAG = 16, OVERHEAD = OVERHEAD_HEAD + TAG,	/* as WireGuard's data message */
	VNET = sizeof(struct virtio_net_hdr),
	MTU = 1420, PACKET_MAX = 65535, DATAGRAM_MAX = 65507,
	ROOM = 64 + PACKET_MAX + 64,
	SEGMENTS_MAX = 64,
	TURNS = 8,			/* super-packets of one direction before the other has its turn */
	HEADER_MAX = 120,
	SOCKET_BUFFER = 1 << 20,	/* more brings no throughput, only delay */
	TCP = 6, UDP = 17,
	FIN = 1, PSH = 8, ACK = 16, CWR = 128,
};

/* What segments are cut into, or put together to: the header of a TCP or UDP packet, understood. */
struct shape {
	bool v6;
	uint8_t proto;
	size_t l4, header;		/* offset of the transport header, and of the payload */
};

/* One TUN write in the making. */
struct gather {
	struct shape shape;
	uint8_t *packet;		/* the first one; VNET bytes before it are ours */
	size_t len, payload;		/* of all; the first one's payload */
	uint32_t seq;
	bool open;
	int count;
	struct iovec iov[SEGMENTS_MAX * 2];
};

static int tun, udp;
static const struct aead_backend *aead;
static struct aead *sealer, *opener;
static uint64_t counter;
static uint8_t source[ROOM], out[ROOM], in[ROOM];
static size_t out_len, out_size, out_count;
static struct gather gather;

static void fail(const char *what)
{
	fprintf(stderr, "pump: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* No encryption: what everything but the cipher costs. */
static struct aead *none_new(const uint8_t key[32])
{
	static uint8_t nothing;

	(void)key;
	return (struct aead *)&nothing;
}

static void none_free(struct aead *a)
{
	(void)a;
}

static void none_seal(struct aead *a, uint64_t n, uint8_t *dst, const uint8_t *src, size_t len)
{
	(void)a;
	(void)n;
	memcpy(dst, src, len);
	memset(dst + len, 0, TAG);
}

static bool none_open(struct aead *a, uint64_t n, uint8_t *dst, const uint8_t *src, size_t len)
{
	(void)a;
	(void)n;
	if (dst != src)
		memmove(dst, src, len - TAG);
	return true;
}

static const struct aead_backend aead_backend_none = {
	.name = "none", .new = none_new, .free = none_free, .seal = none_seal, .open = none_open,
};

static const struct aead_backend *const backends[] = {
#ifdef WITH_GCRYPT
	&aead_backend_gcrypt,
#endif
#ifdef WITH_OPENSSL
	&aead_backend_openssl,
#endif
	&aead_backend_sodium, &aead_backend_none,
};

/* Sum of 16-bit words in the machine's order, not folded. The compiler makes vectors of it. */
#if defined(__x86_64__) && defined(__GLIBC__)
__attribute__((target_clones("avx2", "default")))
#endif
static uint64_t sum_bytes(const uint8_t *data, size_t len)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i + 4 <= len; i += 4) {
		uint32_t word;

		memcpy(&word, data + i, 4);
		sum += word;
	}
	for (; i + 2 <= len; i += 2) {
		uint16_t word;

		memcpy(&word, data + i, 2);
		sum += word;
	}
	if (i < len) {
		uint16_t word = 0;

		memcpy(&word, data + i, 1);
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void put16(uint8_t *at, uint16_t v)
{
	memcpy(at, &v, 2);
}

/* The pseudo-header of a transport part of 'len' bytes. */
static uint64_t sum_pseudo(const uint8_t *p, const struct shape *s, size_t len)
{
	uint64_t sum = s->v6 ? sum_bytes(p + 8, 32) : sum_bytes(p + 12, 8);

	return sum + htons(s->proto) + htons((uint16_t)(len >> 16)) + htons((uint16_t)len);
}

static void set_lengths(uint8_t *p, const struct shape *s, size_t len)
{
	if (s->v6) {
		put_be16(p + 4, (uint16_t)(len - s->l4));
	} else {
		put_be16(p + 2, (uint16_t)len);
		put16(p + 10, 0);
		put16(p + 10, (uint16_t)~fold(sum_bytes(p, s->l4)));
	}
	if (s->proto == UDP)
		put_be16(p + s->l4 + 4, (uint16_t)(len - s->l4));
}

static size_t checksum_at(const struct shape *s)
{
	return s->l4 + (s->proto == TCP ? 16 : 6);
}

/* Understand a packet; no options or extensions of IP, no fragments. */
static bool shape_read(struct shape *s, const uint8_t *p, size_t len)
{
	s->v6 = p[0] >> 4 == 6;
	if (s->v6) {
		s->l4 = 40;
		s->proto = p[6];
	} else {
		s->l4 = 20;
		s->proto = p[9];
		if (p[0] != 0x45 || (p[6] & 0x3f) || p[7])
			return false;
	}
	if (len < s->l4 + 8)
		return false;
	if (s->proto == UDP) {
		s->header = s->l4 + 8;
	} else if (s->proto == TCP && len >= s->l4 + 20) {
		s->header = s->l4 + (size_t)(p[s->l4 + 12] >> 4) * 4;
	} else {
		return false;
	}
	return s->header >= s->l4 + 8 && s->header <= len && s->header <= HEADER_MAX;
}

static void out_flush(void)
{
	union { struct cmsghdr align; uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))]; } control;
	struct iovec iov = { .iov_base = out, .iov_len = out_len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!out_count)
		return;
	if (out_count > 1) {
		uint16_t size = (uint16_t)out_size;
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		memset(&control, 0, sizeof(control));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(c), &size, sizeof(size));
	}
	while (sendmsg(udp, &msg, 0) < 0) {
		struct pollfd full = { .fd = udp, .events = POLLOUT };

		if (errno == EAGAIN)
			poll(&full, 1, 10);
		else if (errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED)
			fail("sendmsg");
		else if (errno != EINTR)
			break;
	}
	out_count = out_len = 0;
}

/* Seal one packet behind what is in the send buffer. */
static void out_add(const uint8_t *packet, size_t len)
{
	size_t size = len + OVERHEAD;
	uint8_t *at;

	if (size > DATAGRAM_MAX)
		return;
	if (out_count && (size > out_size || out_len + size > DATAGRAM_MAX || out_count == SEGMENTS_MAX))
		out_flush();
	if (!out_count)
		out_size = size;
	at = out + out_len;
	put_le32(at, 4);
	put_le32(at + 4, 0);
	put_le64(at + 8, counter);
	aead->seal(sealer, counter++, at + OVERHEAD_HEAD, packet, len);
	out_len += size;
	out_count++;
	if (size < out_size)
		out_flush();
}

/* Complete a checksum the kernel left to us. */
static bool complete_checksum(const struct virtio_net_hdr *v, uint8_t *packet, size_t len)
{
	size_t at = (size_t)v->csum_start + v->csum_offset;
	uint16_t sum;

	if (v->csum_start > len || at + 2 > len)
		return false;
	sum = (uint16_t)~fold(sum_bytes(packet + v->csum_start, len - v->csum_start));
	put16(packet + at, v->csum_offset == 6 && !sum ? 0xffff : sum);
	return true;
}

/* Cut a super-packet: header i over the consumed tail of segment i - 1. */
static void cut(uint8_t *packet, size_t len, size_t mss)
{
	uint8_t header[HEADER_MAX], *h;
	struct shape s;
	size_t at, size;
	uint32_t seq;
	uint16_t id;

	if (!mss || !shape_read(&s, packet, len))
		return;
	memcpy(header, packet, s.header);
	seq = get_be32(header + s.l4 + 4);
	id = get_be16(header + 4);
	for (at = s.header; at < len; at += size) {
		uint64_t sum;

		size = len - at < mss ? len - at : mss;
		h = packet + at - s.header;
		memcpy(h, header, s.header);
		if (!s.v6)
			put_be16(h + 4, id++);
		set_lengths(h, &s, s.header + size);
		if (s.proto == TCP) {
			put_be32(h + s.l4 + 4, seq + (uint32_t)(at - s.header));
			if (at + size < len)
				h[s.l4 + 13] &= (uint8_t)~(FIN | PSH);
			if (at > s.header)
				h[s.l4 + 13] &= (uint8_t)~CWR;
		}
		put16(h + checksum_at(&s), 0);
		sum = sum_pseudo(h, &s, s.header - s.l4 + size) + sum_bytes(h + s.l4, s.header - s.l4 + size);
		sum = (uint16_t)~fold(sum);
		put16(h + checksum_at(&s), s.proto == UDP && !sum ? 0xffff : (uint16_t)sum);
		out_add(h, s.header + size);
	}
}

/* One packet from the TUN; false when there is none. */
static bool turn_out(void)
{
	uint8_t *room = source + 64 - VNET, *packet = source + 64;
	struct virtio_net_hdr v;
	ssize_t n = read(tun, room, VNET + PACKET_MAX);
	size_t len;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail("TUN");
	if (n <= (ssize_t)VNET + 20)
		return false;
	len = (size_t)n - VNET;
	memcpy(&v, room, VNET);
	if ((v.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE)
		cut(packet, len, v.gso_size);
	else if (!(v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || complete_checksum(&v, packet, len))
		out_add(packet, len);
	return true;
}

static void gather_flush(void)
{
	struct gather *g = &gather;
	struct virtio_net_hdr v = { 0 };
	uint8_t *p = g->packet;

	if (!g->count)
		return;
	if (g->count > 1) {
		const struct shape *s = &g->shape;

		set_lengths(p, s, g->len);
		put16(p + checksum_at(s), fold(sum_pseudo(p, s, g->len - s->l4)));
		v.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v.csum_start = (uint16_t)s->l4;
		v.csum_offset = s->proto == TCP ? 16 : 6;
		v.hdr_len = (uint16_t)s->header;
		v.gso_size = (uint16_t)g->payload;
		v.gso_type = s->proto == UDP ? VIRTIO_NET_HDR_GSO_UDP_L4 :
			     s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	}
	memcpy(p - VNET, &v, VNET);
	g->iov[0].iov_base = p - VNET;
	g->iov[0].iov_len += VNET;
	if (writev(tun, g->iov, g->count) < 0 && errno != EINTR && errno != EAGAIN && errno != EIO && errno != EINVAL)
		fail("TUN");
	g->count = 0;
}

/* Whether two headers of one shape differ only in what a super-packet has once for each segment. */
static bool alike(const uint8_t *a, const uint8_t *b, const struct shape *s)
{
	if (s->v6 ? memcmp(a, b, 4) || memcmp(a + 6, b + 6, 34)
		  : memcmp(a, b, 2) || memcmp(a + 6, b + 6, 4) || memcmp(a + 12, b + 12, 8))
		return false;
	a += s->l4;
	b += s->l4;
	if (s->proto == UDP)
		return !memcmp(a, b, 4);
	return !memcmp(a, b, 4) && !memcmp(a + 8, b + 8, 5) && !((a[13] ^ b[13]) & ~PSH) &&
	       !memcmp(a + 14, b + 14, 2) && !memcmp(a + 18, b + 18, s->header - s->l4 - 18);
}

/* A packet that was opened: it continues the write in the making, or begins the next one. */
static void gather_add(uint8_t *packet, size_t len)
{
	struct gather *g = &gather;
	struct shape s;
	bool usable = shape_read(&s, packet, len);
	size_t payload = usable ? len - s.header : 0;
	uint32_t seq = usable && s.proto == TCP ? get_be32(packet + s.l4 + 4) : 0;

	if (usable && s.proto == TCP && (packet[s.l4 + 13] & ~PSH) != ACK)
		usable = false;
	if (g->count && g->open && usable && payload && payload <= g->payload && s.v6 == g->shape.v6 &&
	    s.proto == g->shape.proto && s.header == g->shape.header && g->len + payload <= PACKET_MAX &&
	    g->count < SEGMENTS_MAX && alike(g->packet, packet, &s) && (s.proto == UDP || seq == g->seq)) {
		g->iov[g->count++] = (struct iovec){ packet + s.header, payload };
		g->len += payload;
		if (s.proto == TCP)
			g->packet[s.l4 + 13] |= packet[s.l4 + 13] & PSH;
	} else {
		gather_flush();
		g->packet = packet;
		g->len = len;
		g->payload = payload;
		g->shape = s;
		g->iov[0] = (struct iovec){ packet, len };
		g->count = 1;
	}
	g->seq = seq + (uint32_t)payload;
	g->open = usable && payload && payload == g->payload && (s.proto == UDP || !(packet[s.l4 + 13] & PSH));
}

/* One receive, of up to 64 datagrams; false when there is none. */
static bool turn_in(void)
{
	union { struct cmsghdr align; uint8_t bytes[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { .iov_base = in + 64, .iov_len = PACKET_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(udp, &msg, 0);
	size_t len, size, at;

	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
		fail("recvmsg");
	if (n <= 0)
		return false;
	size = len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		int value;

		memcpy(&value, CMSG_DATA(c), sizeof(value));
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && value > 0)
			size = (size_t)value;
	}
	for (at = 0; at < len; at += size) {
		uint8_t *data = in + 64 + at + OVERHEAD_HEAD;
		size_t part = len - at < size ? len - at : size;

		if (part < OVERHEAD + 20 ||
		    !aead->open(opener, get_le64(data - 8), data, data, part - OVERHEAD_HEAD))
			continue;
		gather_add(data, part - OVERHEAD);
	}
	gather_flush();
	return true;
}

static void open_tun(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	unsigned int offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &ifr))
		fail(name);
	if (ioctl(tun, TUNSETOFFLOAD, offload | TUN_F_USO4 | TUN_F_USO6) && ioctl(tun, TUNSETOFFLOAD, offload))
		fail("TUNSETOFFLOAD");
}

static struct sockaddr_in address(const char *ip, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		fail(ip);
	return a;
}

static void open_udp(struct sockaddr_in local, struct sockaddr_in remote)
{
	int on = 1, size = SOCKET_BUFFER;

	udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (udp < 0 || bind(udp, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(udp, (struct sockaddr *)&remote, sizeof(remote)))
		fail("socket");
	if (setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(udp, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(udp, SOL_UDP, UDP_GRO, &on, sizeof(on)))
		fail("setsockopt");
}

static struct aead *context(const char *hex)
{
	uint8_t key[32];
	struct aead *a;

	for (size_t i = 0; i < sizeof(key); i++) {
		unsigned int v;

		if (sscanf(hex + 2 * i, "%2x", &v) != 1) {
			errno = EINVAL;
			fail("key");
		}
		key[i] = (uint8_t)v;
	}
	a = aead->new(key);
	if (!a)
		fail(aead->name);
	return a;
}

/* Microseconds of one call, the best of some tries, over packets that stay in the cache as ours do. */
static double time_calls(const struct aead_backend *b, struct aead *a, size_t size, bool sealing)
{
	enum { CALLS = 2000, TRIES = 9, PACKETS = 40, STRIDE = 1460 };
	double best = 1e9;

	for (int t = 0; t < TRIES; t++) {
		struct timespec begin, end;
		bool good = true;
		double us;

		for (size_t i = 0; i < PACKETS; i++)
			b->seal(a, i, in + i * STRIDE, source + i * STRIDE, size);
		clock_gettime(CLOCK_MONOTONIC, &begin);
		for (size_t i = 0; i < CALLS; i++) {
			size_t n = i % PACKETS;

			if (sealing)
				b->seal(a, i, out + n * STRIDE, source + n * STRIDE, size);
			else
				good &= b->open(a, n, out + n * STRIDE, in + n * STRIDE, size + TAG);
		}
		clock_gettime(CLOCK_MONOTONIC, &end);
		errno = EBADMSG;
		if (!good)
			fail(b->name);
		us = (double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3;
		if (us / CALLS < best)
			best = us / CALLS;
	}
	return best;
}

static int speed(void)
{
	static const size_t sizes[] = { 64, 512, MTU };
	static const uint8_t key[32] = { 1 };

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]) - 1; i++) {
		struct aead *a = backends[i]->new(key);

		if (!a)
			fail(backends[i]->name);
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			printf("%s seal %zu %.3f\n", backends[i]->name, sizes[s], time_calls(backends[i], a, sizes[s], true));
			printf("%s open %zu %.3f\n", backends[i]->name, sizes[s], time_calls(backends[i], a, sizes[s], false));
		}
		backends[i]->free(a);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2];

	if (argc == 2 && !strcmp(argv[1], "speed"))
		return speed();
	if (argc != 9) {
		fprintf(stderr, "usage: pump TUN LOCAL PORT REMOTE PORT KEY-OUT KEY-IN AEAD\n       pump speed\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(backends[i]->name, argv[8]))
			aead = backends[i];
	errno = ENOTSUP;
	if (!aead)
		fail(argv[8]);
	sealer = context(argv[6]);
	opener = context(argv[7]);
	open_tun(argv[1]);
	open_udp(address(argv[2], argv[3]), address(argv[4], argv[5]));
	fds[0] = (struct pollfd){ .fd = tun, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = udp, .events = POLLIN };
	for (;;) {
		bool worked = false;

		for (int i = 0; i < TURNS && turn_out(); i++)
			worked = true;
		out_flush();
		for (int i = 0; i < TURNS && turn_in(); i++)
			worked = true;
		if (!worked)
			poll(fds, 2, -1);
	}
}
