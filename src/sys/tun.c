/* SPDX-License-Identifier: MIT */
/*
 * The TUN device (Documentation/networking/tuntap.rst). Always made new, with IFF_TUN_EXCL, never attached to: somebody
 * else's persistent tun of that name is not ours to use. It goes with the descriptor, also when we are killed.
 *
 * A batch is as many reads as there are packets: one system call a packet is what a TUN without offloads has to offer. An error
 * after the first packet is left for the next call, which meets it again.
 */
#include "sys/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sys/arena.h"

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

/* Make the device on an open /dev/net/tun. */
static int attach(int fd, const char *name)
{
	struct ifreq ifr = { .ifr_flags = flags_of(IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL) };
	int error;

	memcpy(ifr.ifr_name, name, strlen(name));
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return 0;
	error = -errno;
	/* EBUSY, and EINVAL for another kind of device: somebody was faster than our look at the name. */
	if (error == -EBUSY || (error == -EINVAL && if_nametoindex(name)))
		return -EEXIST;
	return error;
}

int tun_open(struct tun *t, const char *name)
{
	int error, fd;

	*t = (struct tun){ .fd = -1 };
	if (!name_ok(name))
		return -EINVAL;
	if (if_nametoindex(name))
		return -EEXIST;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	error = attach(fd, name);
	if (error) {
		close(fd);
		return error;
	}

	t->fd = fd;
	memcpy(t->name, name, strlen(name));
	t->ifindex = if_nametoindex(name);
	t->arena = arena_map();
	if (!t->ifindex || !t->arena) {
		error = t->ifindex ? -ENOMEM : -ENODEV;
		tun_close(t);
	}
	return error;
}

bool tun_exists(const struct tun *t)
{
	struct ifreq ifr = { 0 };

	return !ioctl(t->fd, TUNGETIFF, &ifr);
}

void tun_close(struct tun *t)
{
	if (t->fd >= 0)
		close(t->fd);
	arena_unmap(t->arena);
	*t = (struct tun){ .fd = -1 };
}

int tun_read(struct tun *t, struct packet out[PACKET_BATCH])
{
	int count = 0;

	while (count < PACKET_BATCH) {
		uint8_t *slot = arena_slot(t->arena, (size_t)count);
		ssize_t len = read(t->fd, slot, ARENA_PACKET_MAX);

		if (len > 0) {
			out[count++] = (struct packet){ .data = slot, .len = (uint32_t)len };
			continue;
		}
		if (len < 0 && errno == EINTR)
			continue;
		if (len == 0 || errno == EAGAIN || count > 0)
			break;
		/* EFAULT: the device went while the kernel was in this read. Our buffer is not at fault. */
		return errno == EFAULT ? -EBADFD : -errno;
	}
	return count;
}

size_t tun_write(struct tun *t, const struct packet *packets, size_t count)
{
	size_t taken = 0;

	for (size_t i = 0; i < count; i++) {
		ssize_t len;

		do
			len = write(t->fd, packets[i].data, packets[i].len);
		while (len < 0 && errno == EINTR);
		taken += len >= 0;
	}
	return taken;
}
