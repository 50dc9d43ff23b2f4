/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_FLOW_KEY_H
#define MESHD_WIRE_FLOW_KEY_H

#include <stdint.h>

/* What a flow is told by, beside its addresses and protocol. */
enum flow_key_kind {
	FLOW_KEY_ADDRESSES,	/* nothing */
	FLOW_KEY_PORTS,		/* ports, or what the protocol has in their place */
	FLOW_KEY_FRAGMENT,	/* identification: the fragments of one packet stay together */
};

/*
 * Which flow an inner packet is of: one direction, source and destination are not exchanged. Bytes only, what is not used is zero, so
 * memcmp() compares and hash_bytes() hashes it.
 */
struct flow_key {
	uint8_t src[16], dst[16];	/* IPv4 in the first four */
	/*
	 * FLOW_KEY_PORTS: TCP, UDP, UDP-Lite, SCTP, DCCP: source and destination port; ESP, and AH over IPv4: SPI; GRE (version 0): key;
	 * ICMP and ICMPv6 echo and its reply: identifier, in the first two. FLOW_KEY_FRAGMENT: IPv4 in the first two.
	 */
	uint8_t selector[4];
	uint8_t family;			/* enum ip_family */
	uint8_t proto;			/* behind IPv6 extension headers; of an IPv6 fragment 44, since only the first knows */
	uint8_t kind;			/* enum flow_key_kind */
	uint8_t zero;
};

enum { FLOW_KEY_EXTENSIONS_MAX = 8 };	/* IPv6 extension headers looked through; behind more no ports are seen */

/*
 * Read the flow of a packet that ip_view() accepts; 'len' may count padding. (Of anything else the key is all zero.) Ports that
 * are cut off, by the end of the packet or of its extension headers, count as none.
 *
 * An IPv4 packet with MF or an offset is a fragment, the first too: what follows has no ports. So is an IPv6 one with a fragment
 * header, unless it says that this is all of the packet (RFC 6946), which is no reason to take the flow apart. Hop-by-hop, routing,
 * destination options and (over IPv6) AH are looked through. The flow label is not used: hosts change it when a
 * path seems bad, and the flow would lose its place with them.
 */
void flow_key_read(struct flow_key *k, const uint8_t *packet, uint32_t len);

/* The keyed hash of a packet's flow, for a 'key' nobody else knows. Never 0, which can stand for "no flow". */
uint64_t flow_hash(const uint8_t key[16], const uint8_t *packet, uint32_t len);

#endif
