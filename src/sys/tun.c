/* SPDX-License-Identifier: MIT */
/*
 * The TUN device (Documentation/networking/tuntap.rst). Always made new, with IFF_TUN_EXCL, never attached to: somebody
 * else's persistent tun of that name is not ours to use. It goes with the descriptors, also when we are killed.
 *
 * With a vnet header before every packet (struct virtio_net_hdr, ten bytes, the machine's byte order) the kernel leaves checksums and
 * segmentation to us and takes unfinished packets from us, so one system call moves up to 64 KiB. What it hands over is
 * settled by TUNSETOFFLOAD; each refusal leaves that offload off and nothing else. What we may write is not negotiated, and newer
 * kernels look closer: a super-packet refused with EINVAL is cut again on a copy and goes as single packets.
 *
 * An error after the first packet of a batch is left for the next call, which meets it again.
 */
#include "sys/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sys/arena.h"
#include "wire/offload.h"

/* Linux 6.2, newer than the headers this may be built with. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

_Static_assert(sizeof(struct piece) == sizeof(struct iovec), "a piece is an iovec");
_Static_assert(offsetof(struct piece, base) == offsetof(struct iovec, iov_base), "a piece is an iovec");
_Static_assert(offsetof(struct piece, len) == offsetof(struct iovec, iov_len), "a piece is an iovec");

/* IFF_TUN_EXCL and friends fit the short of struct ifreq by their bits, not by their sign. */
static short flags_of(unsigned int flags)
{
	return (short)flags;
}

static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	/* The kernel would take '%' for a pattern and make up a name. */
	return len > 0 && len < IFNAMSIZ && !strchr(name, '%');
}

static int open_clone(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	/* Where others may not even open it, the remedy is the same as for a missing capability. */
	if (fd < 0)
		return errno == EACCES ? -EPERM : -errno;
	return fd;
}

/* Make the device, or without IFF_TUN_EXCL one more queue of it, on an open /dev/net/tun. */
static int attach(int fd, const char *name, unsigned int flags)
{
	struct ifreq ifr = { .ifr_flags = flags_of(flags) };

	memcpy(ifr.ifr_name, name, strlen(name));
	return ioctl(fd, TUNSETIFF, &ifr) ? -errno : 0;
}

/* The header is ten bytes, if not at once, then by asking. */
static bool header_fits(int fd)
{
	int len = VNET_LEN;

	if (!ioctl(fd, TUNSETVNETHDRSZ, &len))
		return true;
	return !ioctl(fd, TUNGETVNETHDRSZ, &len) && len == VNET_LEN;
}

/* The device with its first queue. The descriptor, or negative errno. */
static int create(const char *name, unsigned int flags)
{
	int fd = open_clone(), error;

	if (fd < 0)
		return fd;
	error = attach(fd, name, flags | IFF_TUN_EXCL);
	/* EBUSY, and EINVAL for another kind of device: somebody was faster than our look at the name. */
	if (error == -EBUSY || (error == -EINVAL && if_nametoindex(name)))
		error = -EEXIST;
	if (!error && flags & IFF_VNET_HDR && !header_fits(fd))
		error = -EINVAL;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

/* Those of 'flags' that the driver knows. */
static unsigned int known_flags(unsigned int flags)
{
	unsigned int known = 0;
	int fd = open_clone();

	if (fd < 0)
		return flags;	/* create() meets it again and tells */
	if (ioctl(fd, TUNGETFEATURES, &known))
		known = 0;
	close(fd);
	return flags & known;
}

static bool set_offload(int fd, unsigned int bits)
{
	return !ioctl(fd, TUNSETOFFLOAD, (unsigned long)bits);
}

/* Ask for what the kernel shall leave to us. A refused request changes nothing. */
static void negotiate(struct tun *t, unsigned int wanted)
{
	const unsigned int tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, uso = TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6;
	unsigned int bits = 0;

	if (wanted & OFFLOAD_TSO) {
		t->tso_ecn = set_offload(t->fds[0], tso | TUN_F_TSO_ECN);
		if (t->tso_ecn)
			bits = tso | TUN_F_TSO_ECN;
		else if (set_offload(t->fds[0], tso))
			bits = tso;
		if (bits)
			t->offloads |= OFFLOAD_TSO;
	}
	if (wanted & OFFLOAD_USO && set_offload(t->fds[0], bits | uso))
		t->offloads |= OFFLOAD_USO;
}

/* Further queues, as many as the kernel gives. */
static void add_queues(struct tun *t, unsigned int queues, unsigned int flags)
{
	while (t->queues < queues) {
		int fd = open_clone();

		if (fd < 0)
			return;
		if (attach(fd, t->name, flags)) {
			close(fd);
			return;
		}
		t->fds[t->queues++] = fd;
	}
}

static void clear(struct tun *t)
{
	*t = (struct tun){ .queues = 0 };
	for (size_t i = 0; i < TUN_QUEUES_MAX; i++)
		t->fds[i] = -1;
}

int tun_open(struct tun *t, const char *name, unsigned int queues, unsigned int offloads_wanted)
{
	unsigned int wanted = queues > 1 ? IFF_MULTI_QUEUE : 0, flags;
	int fd;

	clear(t);
	if (!name_ok(name) || !queues || queues > TUN_QUEUES_MAX)
		return -EINVAL;
	if (if_nametoindex(name))
		return -EEXIST;
	if (offloads_wanted & (OFFLOAD_TSO | OFFLOAD_USO | OFFLOAD_MERGE))
		wanted |= IFF_VNET_HDR;
	flags = IFF_TUN | IFF_NO_PI | known_flags(wanted);
	fd = create(name, flags);
	if (fd == -EINVAL && flags & IFF_VNET_HDR) {
		flags &= ~(unsigned int)IFF_VNET_HDR;
		fd = create(name, flags);
	}
	if (fd < 0)
		return fd;

	t->fds[0] = fd;
	t->queues = 1;
	t->vnet = flags & IFF_VNET_HDR;
	memcpy(t->name, name, strlen(name));
	t->ifindex = if_nametoindex(name);
	if (!t->ifindex) {
		tun_close(t);
		return -ENODEV;
	}
	if (t->vnet)
		negotiate(t, offloads_wanted);
	if (flags & IFF_MULTI_QUEUE)
		add_queues(t, queues, flags);
	return 0;
}

void tun_use_one_queue(struct tun *t)
{
	while (t->queues > 1) {
		close(t->fds[--t->queues]);
		t->fds[t->queues] = -1;
	}
}

bool tun_exists(const struct tun *t)
{
	struct ifreq ifr = { 0 };

	return !ioctl(t->fds[0], TUNGETIFF, &ifr);
}

void tun_close(struct tun *t)
{
	for (unsigned int i = 0; i < t->queues; i++)
		close(t->fds[i]);
	clear(t);
}

int tun_read(struct tun *t, unsigned int queue, struct tun_reader *r, struct packet *out, size_t max, size_t bytes_max)
{
	const size_t header = t->vnet ? VNET_LEN : 0;
	size_t count = 0, bytes = 0;

	if (max > PACKET_BATCH)
		max = PACKET_BATCH;
	while (count < max && (!count || bytes < bytes_max)) {
		uint8_t *data = r->slots[count];
		ssize_t len = read(t->fds[queue], data - header, header + ARENA_PACKET_MAX);

		if (len > (ssize_t)header) {
			size_t rest = (size_t)len - header;

			out[count] = (struct packet){ .data = data, .len = (uint32_t)rest, .slot = data };
			if (header)
				vnet_read(&out[count].vnet, data - header);
			count++;
			bytes += rest;
			continue;
		}
		if (len < 0 && errno == EINTR)
			continue;
		if (len >= 0 || errno == EAGAIN || count > 0)
			break;
		/* EFAULT: the device went while the kernel was in this read. Our buffer is not at fault. */
		return errno == EFAULT ? -EBADFD : -errno;
	}
	return (int)count;
}

void tun_return_slots(struct tun_reader *r, const struct packet *packets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		r->slots[i] = packets[i].slot;
}

/* 0, or what the kernel has against it. */
static int write_pieces(int fd, const struct iovec *iov, uint32_t count)
{
	ssize_t len;

	do
		len = writev(fd, iov, (int)count);
	while (len < 0 && errno == EINTR);
	return len < 0 ? errno : 0;
}

/* A packet that needs nothing done to it, with the header that says so if there is one. */
static int write_plain(const struct tun *t, int fd, uint8_t *packet, size_t len)
{
	static uint8_t nothing[VNET_LEN];
	const struct iovec iov[2] = {
		{ .iov_base = nothing, .iov_len = sizeof(nothing) },
		{ .iov_base = packet, .iov_len = len },
	};

	if (!len)
		return EINVAL;	/* which writev(2) would take for done */
	return t->vnet ? write_pieces(fd, iov, 2) : write_pieces(fd, iov + 1, 1);
}

/* The packet in one piece, without its vnet header. Its length; 0: too long for one. */
static uint32_t gather(uint8_t packet[ARENA_PACKET_MAX], const struct tun_write *w)
{
	size_t len = 0, skip = VNET_LEN;

	for (uint32_t i = 0; i < w->count; i++) {
		size_t n = w->pieces[i].len - skip;

		if (n > ARENA_PACKET_MAX - len)
			return 0;
		memcpy(packet + len, w->pieces[i].base + skip, n);
		len += n;
		skip = 0;
	}
	return (uint32_t)len;
}

/* As single packets, cut from a copy. Returns how many were taken. Not inlined: its stack is for those who need it. */
__attribute__((noinline))
static size_t write_cut(const struct tun *t, int fd, const struct tun_write *w, const struct vnet *vnet)
{
	_Alignas(64) uint8_t buffer[PACKET_HEADROOM + ARENA_PACKET_MAX + PACKET_TAILROOM];
	struct packet p = { .data = buffer + PACKET_HEADROOM, .vnet = *vnet };
	struct split s;
	uint8_t *segment;
	uint32_t len;
	size_t taken = 0;

	p.len = gather(p.data, w);
	if (!p.len || !split_begin(&s, &p))
		return 0;
	while (split_next(&s, &segment, &len))
		taken += !write_plain(t, fd, segment, len);
	return taken;
}

static size_t write_one(const struct tun *t, int fd, const struct tun_write *w, uint64_t *fallbacks)
{
	struct vnet vnet;
	bool plain;
	int error;

	if (!w->count || w->pieces[0].len < VNET_LEN)
		return 0;
	vnet_read(&vnet, w->pieces[0].base);
	plain = vnet.gso_type == VNET_GSO_NONE && !(vnet.flags & VNET_NEEDS_CSUM);
	if (t->vnet) {
		error = write_pieces(fd, (const struct iovec *)(const void *)w->pieces, w->count);
		if (!error)
			return w->packets;
		/* EIO: the link is down. ENOMEM: so much at once could not be had. */
		if (plain || (error != EINVAL && error != ENOMEM))
			return 0;
	} else if (plain && w->count == 1) {
		return !write_plain(t, fd, w->pieces[0].base + VNET_LEN, w->pieces[0].len - VNET_LEN);
	}
	++*fallbacks;
	return write_cut(t, fd, w, &vnet);
}

size_t tun_write_batch(struct tun *t, unsigned int queue, const struct tun_write *writes, size_t count,
		       uint64_t *fallbacks)
{
	size_t taken = 0;

	for (size_t i = 0; i < count; i++)
		taken += write_one(t, t->fds[queue], &writes[i], fallbacks);
	return taken;
}
