/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_BABEL_UDP_H
#define MESHD_SYS_BABEL_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/routing.h"

/*
 * The socket Babel has on an ordinary interface: UDP port 6696 of IPv6, bound to the interface, in the group ff02::1:6, non-blocking. It
 * sends with hop limit 1 and traffic class CS6.
 */
enum { BABEL_UDP_PACKET_MAX = 65536 };

/* The descriptor, or negative errno: -EADDRINUSE when another program speaks Babel there. */
int babel_udp_open(const char *iface, uint32_t ifindex);

/*
 * Receive one packet into 'buffer': payload, where from and to, when. 1; 0 when none waits; negative errno for one that is to be passed
 * over, or for the interface's trouble: then others may wait.
 */
int babel_udp_receive(int fd, uint8_t buffer[BABEL_UDP_PACKET_MAX], struct node_lan_packet *p);

/* Send from p->src (family IP_NONE: the kernel's choice) to p->dst on p->ifindex. 0 or negative errno; it is never sent twice. */
int babel_udp_send(int fd, const struct node_lan_packet *p);

#endif
