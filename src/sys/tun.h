/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_TUN_H
#define MESHD_SYS_TUN_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"

/*
 * The TUN device: layer 3, not persistent, so it goes with the file descriptor. Non-blocking.
 * The buffers packets are read into belong to the tun.
 */
struct tun {
	int fd;
	char name[16];
	uint32_t ifindex;
	uint8_t *arena;			/* PACKET_BATCH slots, touched only as far as packets reach */
};

/*
 * Make the interface 'name', down, without address. 0, or negative errno: -EPERM no CAP_NET_ADMIN, -ENOENT (-ENODEV where the
 * driver is missing) no /dev/net/tun, -EEXIST the name is taken, by whatever kind of interface, -EINVAL no name for one.
 * On failure nothing is left and tun_close() is fine but not needed.
 */
int tun_open(struct tun *t, const char *name);

/* Whether it is still there, be it in another network namespace. */
bool tun_exists(const struct tun *t);

/* Close, and with that remove the interface. */
void tun_close(struct tun *t);

/*
 * Read up to PACKET_BATCH packets into 'out', with head and tail room. Returns how many; 0 when there are none now, which is
 * also what a link that is down says; negative errno when the device is gone (-EBADFD) or broken (-EIO...). Valid until
 * the next call.
 */
int tun_read(struct tun *t, struct packet out[PACKET_BATCH]);

/* Write packets. Returns how many the kernel took (none when the link is down or gone); each refusal is skipped, not retried. */
size_t tun_write(struct tun *t, const struct packet *packets, size_t count);

#endif
