/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_TUN_H
#define MESHD_SYS_TUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/offloads.h"

enum { TUN_QUEUES_MAX = 8 };

/*
 * The TUN device: layer 3, not persistent, so it goes with its descriptors. Non-blocking. One queue a lane; different queues may
 * be used by different threads at once.
 */
struct tun {
	int fds[TUN_QUEUES_MAX];	/* -1: none */
	unsigned int queues;		/* that there are */
	unsigned int offloads;		/* in force, of OFFLOAD_TSO and OFFLOAD_USO */
	bool vnet;			/* every packet has a vnet header, so super-packets can be written */
	bool tso_ecn;			/* TCP with CWR comes as super-packets too */
	char name[16];
	uint32_t ifindex;
};

/*
 * Where packets are read to: slots as in sys/arena.h, whose owner puts them here. Used from the first on in every batch, so the same
 * memory stays in the cache.
 */
struct tun_reader {
	uint8_t *slots[PACKET_BATCH];
};

/*
 * Make the interface 'name', down, without address, with 'queues' queues (1..TUN_QUEUES_MAX; where the kernel gives fewer, t->queues
 * says so) and those of 'offloads_wanted' that can be had. 0, or negative errno: -EPERM no CAP_NET_ADMIN, -ENOENT (-ENODEV where
 * the driver is missing) no /dev/net/tun, -EEXIST the name is taken, by whatever kind of interface, -EINVAL no name for one.
 * On failure nothing is left and tun_close() is fine but not needed.
 */
int tun_open(struct tun *t, const char *name, unsigned int queues, unsigned int offloads_wanted);

/* Give up all queues but the first, which then gets every packet. */
void tun_use_one_queue(struct tun *t);

/* Whether it is still there, be it in another network namespace. */
bool tun_exists(const struct tun *t);

/* Close, and with that remove the interface. */
void tun_close(struct tun *t);

/*
 * Read packets of one queue, with head and tail room, until there are no more, or 'max' (PACKET_BATCH at most), or at least
 * 'bytes_max' bytes (so that a super-packet may end a batch); each lies in a slot of its own, packet.slot. Returns how many; 0 when there are
 * none now, which is also what a link that is down says; negative errno when the device is gone (-EBADFD) or broken (-EIO...). Valid until the
 * reader's next call. What the kernel says in the vnet header is passed on unchecked: wire/offload.h judges it.
 */
int tun_read(struct tun *t, unsigned int queue, struct tun_reader *r, struct packet *out, size_t max, size_t bytes_max);

/*
 * Before the next read: the packets of the last one, the first 'count' of them, with the slot that is now in the place of each -
 * the same, or an empty one for one that was kept.
 */
void tun_return_slots(struct tun_reader *r, const struct packet *packets, size_t count);

/*
 * Write packets and super-packets to one queue, one system call each. The first piece of each begins with the vnet header, which
 * is left away where the device has none. A super-packet the kernel refuses is cut into packets, which are written one by
 * one; *fallbacks counts those. Any other refusal is skipped, not retried: none are taken when the link is down or gone.
 * Returns how many inner packets the kernel took.
 */
size_t tun_write_batch(struct tun *t, unsigned int queue, const struct tun_write *writes, size_t count,
		       uint64_t *fallbacks);

#endif
