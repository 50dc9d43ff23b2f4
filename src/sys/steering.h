/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_STEERING_H
#define MESHD_SYS_STEERING_H

/*
 * Programs the kernel runs for us to choose a lane. A hint: every packet is looked up by whoever gets it, so a
 * missing or wrong program costs a hand-over, never a packet.
 */

/*
 * Which socket of a SO_REUSEPORT group of 'lanes' sockets, bound in the order of lanes, gets a datagram: that of the receiver
 * index in it. 'fd' is any of the group. 0, or negative errno: then the kernel goes by addresses and ports.
 */
int steering_attach(int fd, unsigned int lanes);

/*
 * Which queue of a multi-queue TUN a packet goes to: a hash of addresses, protocol and ports that depends on nothing else.
 * 'fd' is any of its queues; stays until the device goes. 0, or negative errno: -EPERM, -ENOSYS (no bpf(2)), -EINVAL...
 */
int steering_attach_tun(int fd);

#endif
