/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_IP_H
#define MESHD_WIRE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
	IP4_HEADER_MIN = 20,
	IP6_HEADER = 40,
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_ICMP6 = 58,
};

/* What the outermost header of an inner packet says. Pointers lead into the packet. */
struct ip_view {
	uint8_t family;		/* enum ip_family */
	uint8_t proto;		/* IPv4 protocol or IPv6 first next header */
	uint8_t tos;		/* TOS or traffic class */
	uint32_t len;		/* bytes of the packet by its own header, <= what was given */
	uint32_t header_len;	/* of the outermost header */
	const uint8_t *src, *dst;
};

/*
 * Look at the header of a packet of 'len' bytes. False when it is not IPv4 or IPv6,
 * truncated, or shorter than its header claims; trailing bytes (padding) are fine.
 */
bool ip_view(struct ip_view *v, const uint8_t *packet, size_t len);

/*
 * RFC 1071: the running sum of 'len' bytes added to 'sum', and its final fold and complement. Both are numbers, with
 * the bytes taken in network order: a pseudo-header's length or protocol is added as it is, and the result is stored
 * with put_be16(). An odd 'len' is padded with a zero byte, so only the last piece may be odd.
 */
uint64_t ip_sum(uint64_t sum, const uint8_t *p, size_t len);
uint16_t ip_sum_fold(uint64_t sum);

/*
 * The pseudo-header's addresses and protocol (RFC 9293 3.1, RFC 8200 8.1) of a packet with a whole IPv4 or IPv6 header. The length
 * of the transport header and what follows is for the caller to add.
 */
uint64_t ip_sum_pseudo(const uint8_t *packet, uint8_t proto);

/* The TTL or hop limit of a packet with a whole header, and one less of it (there must be some): IPv4's checksum is repaired (RFC 1624). */
uint8_t ip_hops(const uint8_t *packet);
void ip_decrement_hops(uint8_t *packet);

#endif
