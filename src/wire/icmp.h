/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_ICMP_H
#define MESHD_WIRE_ICMP_H

#include <stddef.h>
#include <stdint.h>

enum {
	ICMP_ERROR_MAX = 1280,	/* RFC 4443 2.4 (c); for IPv4 RFC 1812 says 576 and we stay there */
};

/* What an error tells, as far as this node originates errors. */
enum icmp_error {
	ICMP_NO_ROUTE,		/* no peer for this destination: v4 host unreachable (RFC 792), v6 no route (RFC 4443) */
	ICMP_NO_ENDPOINT,	/* a peer, but nowhere to reach it: v4 host unreachable, v6 address unreachable */
	ICMP_TOO_BIG,		/* fragmentation needed / packet too big, with an MTU */
	ICMP_TIME_EXCEEDED,	/* TTL or hop limit used up on the way */
};

/*
 * Build in 'out' the error that answers 'packet', from the address the packet was for back to
 * its sender (the kernel would take one from its own address for a martian). Returns its length, or 0 when
 * none may be sent: RFC 1122 3.2.2 and RFC 4443 2.4 (e) forbid errors about errors, fragments
 * behind the first, multicast, and unusable sources. 'mtu' matters for ICMP_TOO_BIG only; whether an IPv4 packet had
 * "don't fragment" set is the caller's business. 'out' and 'packet' must not overlap.
 */
size_t icmp_error_write(uint8_t out[ICMP_ERROR_MAX], enum icmp_error what, uint32_t mtu,
			const uint8_t *packet, size_t len);

/* The same from an address of the node's own, of the packet's family (4 or 16 bytes): for packets on their way through. NULL: as above. */
size_t icmp_error_write_from(uint8_t out[ICMP_ERROR_MAX], enum icmp_error what, uint32_t mtu, const uint8_t *from,
			     const uint8_t *packet, size_t len);

#endif
