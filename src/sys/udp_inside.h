/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UDP_INSIDE_H
#define MESHD_SYS_UDP_INSIDE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

/* What udp.c and udp_send.c share, and nobody else sees. */
enum {
	/* Address, TOS, flow label and segment size, the larger of each family's, and when it came. */
	UDP_CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec)),
};

/* One message header with all it points to, except the data. */
struct envelope {
	union {
		struct sockaddr sa;
		struct sockaddr_in sin;
		struct sockaddr_in6 sin6;
	} remote;
	struct iovec iov;
	_Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_SIZE];
};

#endif
