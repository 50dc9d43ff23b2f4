/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_ADDR_H
#define MESHD_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest text each writer below makes, with its terminating zero. */
enum {
	ADDR_TEXT_MAX = 46,
	PREFIX_TEXT_MAX = ADDR_TEXT_MAX + 4,
	PAIR_TEXT_MAX = 2 * PREFIX_TEXT_MAX + 6,
	ENDPOINT_TEXT_MAX = ADDR_TEXT_MAX + 2 + 11 + 6,	/* brackets, %scope, :port */
};

/* The family of an address is its IP version, so that no system header is needed. */
enum ip_family {
	IP_NONE = 0,
	IP_V4 = 4,
	IP_V6 = 6,
};

/* An address. IPv4 uses bytes[0..3], the rest is zero; so memcmp compares. */
struct ip_addr {
	uint8_t family;		/* enum ip_family */
	uint8_t bytes[16];
};

/* A prefix; bits behind 'len' may be set (an interface address) or not (a route). */
struct ip_prefix {
	struct ip_addr addr;
	uint8_t len;		/* 0..32 or 0..128 */
};

/*
 * What a source-specific route is for (RFC 9079): destinations in 'dst' with sources in 'src', both masked and of one family. Any source is
 * src.len 0. The more specific of two is the one with the longer destination, then the longer source.
 */
struct prefix_pair {
	struct ip_prefix dst, src;
};

/* Where a peer can be reached. family IP_NONE: nowhere known. */
struct endpoint {
	struct ip_addr addr;
	uint16_t port;
	uint32_t scope;		/* interface index of an fe80::/10 address, else 0 */
};

/*
 * One local address with one remote endpoint. local.family IP_NONE and ifindex 0
 * leave the choice to the kernel.
 */
struct path_addr {
	struct endpoint remote;
	struct ip_addr local;
	uint32_t ifindex;	/* interface the remote's packets came in on... */
	bool pinned;		/* ...or by which ours leave, whatever other ways routes know; not of what was received */
};

/* Bits in an address of 'family': 32, 128, or 0. */
unsigned int ip_family_bits(uint8_t family);

/* Bytes in an address of 'family': 4, 16, or 0. */
unsigned int ip_family_bytes(uint8_t family);

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool path_addr_equal(const struct path_addr *a, const struct path_addr *b);

/* fe80::/10, which means nothing without a scope. */
bool ip_addr_is_link_local(const struct ip_addr *a);

/* 224/4, 255.255.255.255 or ff00::/8. */
bool ip_addr_is_multicast(const struct ip_addr *a);

/* Whether 'p' covers 'a'; never across families. */
bool ip_prefix_covers(const struct ip_prefix *p, const struct ip_addr *a);

/* Clear the bits behind p->len. */
void ip_prefix_mask(struct ip_prefix *p);

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);

/* Whether all of 'inner' is in 'outer'; never across families. */
bool ip_prefix_contains(const struct ip_prefix *outer, const struct ip_prefix *inner);

/* 'dst' for any source. */
struct prefix_pair prefix_pair_any(const struct ip_prefix *dst);

bool prefix_pair_equal(const struct prefix_pair *a, const struct prefix_pair *b);

/*
 * Read an address: dotted quad (four decimal numbers, no leading zeros, as
 * inet_pton(3) has it) or RFC 4291 text, also with an embedded IPv4 tail. No scope. The whole of
 * 'text' must be the address. 'out' is untouched on failure.
 */
bool ip_addr_parse(const char *text, struct ip_addr *out);

/* Read ADDRESS[/LENGTH]; without a length the whole address. Host bits are kept. */
bool ip_prefix_parse(const char *text, struct ip_prefix *out);

/*
 * Read ADDRESS:PORT or [ADDRESS]:PORT, numbers only. A link-local address may carry
 * %N with N an interface index. Port 0 is refused.
 */
bool endpoint_parse(const char *text, struct endpoint *out);

/* Write text (RFC 5952 for IPv6) and return 'out'. Family IP_NONE gives "(none)". */
char *ip_addr_format(const struct ip_addr *a, char out[ADDR_TEXT_MAX]);
char *ip_prefix_format(const struct ip_prefix *p, char out[PREFIX_TEXT_MAX]);
char *prefix_pair_format(const struct prefix_pair *p, char out[PAIR_TEXT_MAX]);	/* "D", or "D from S" */
char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);

#endif
