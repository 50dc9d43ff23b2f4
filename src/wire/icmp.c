/* SPDX-License-Identifier: MIT */
/*
 * ICMP errors that this node originates, for a packet it cannot carry: RFC 792 with RFC 1122 3.2.2 and RFC 1812 4.3.2
 * for IPv4, RFC 4443 for IPv6.
 *
 * An error for our own kernel is written from the address the packet was for: the node may have no address of its own in the tunnel,
 * and one that is the kernel's own would be dropped as a martian. One for another node is from an address of ours. So both addresses of the
 * packet must be ones a single host can have, the source because it gets the error, the destination because it seems to send it.
 * (RFC 4443 2.4 (e.3) would allow "packet too big" about multicast; there is no source to send it from.)
 *
 * Whatever cannot be proved harmless - a header chain that is cut off, or too long to be honest - gets no error:
 * an error too few costs a timeout, errors about errors never end.
 */
#include "wire/icmp.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/ip.h"

enum {
	ERROR4_MAX = 576,
	ICMP_HEADER = 8,
	EXTENSIONS_MAX = 8,	/* extension headers looked through */
	HOPS = 64,
	TOS_CONTROL = 0xc0,	/* precedence 6, internetwork control: RFC 1812 4.3.2.5 */
	DONT_FRAGMENT = 0x4000,
};

/* Next header values that are extension headers (IANA's list, less ESP, which hides what follows). */
enum {
	EXT_HOP_BY_HOP = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = 44,
	EXT_AUTH = 51,
	EXT_DESTINATION = 60,
	EXT_MOBILITY = 135,
	EXT_HIP = 139,
	EXT_SHIM6 = 140,
};

/* Whether an IPv4 address can be one host's: not of "this" network, loopback, multicast, class E, broadcast. */
static bool host4(const uint8_t a[4])
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

/* The same for IPv6: not unspecified, loopback or multicast. */
static bool host6(const uint8_t a[16])
{
	static const uint8_t zeros[15];

	return a[0] != 0xff && !(memcmp(a, zeros, 15) == 0 && a[15] <= 1);
}

/* What is no question or answer is an error (3, 4, 5, 11, 12), or unassigned and could be one. */
static bool is_error4(uint8_t type)
{
	switch (type) {
	case 0: case 8:		/* echo */
	case 9: case 10:	/* router discovery */
	case 13: case 14:	/* timestamp */
	case 15: case 16:	/* information */
	case 17: case 18:	/* address mask */
	case 42: case 43:	/* extended echo, RFC 8335 */
		return false;
	default:
		return true;
	}
}

/* RFC 4443 2.1: errors have the high bit clear; redirects count as well (2.4 (e.2)). */
static bool is_error6(uint8_t type)
{
	return type < 128 || type == 137;
}

static bool may_answer4(const struct ip_view *v, const uint8_t *packet)
{
	if (!host4(v->src) || !host4(v->dst))
		return false;
	if (get_be16(packet + 6) & 0x1fff)	/* a fragment behind the first */
		return false;
	if (v->proto != IP_PROTO_ICMP)
		return true;
	return v->len > v->header_len && !is_error4(packet[v->header_len]);
}

/* The length an extension header of type 'proto' claims, given its first eight bytes; 0: it is none. */
static size_t extension_len(uint8_t proto, const uint8_t *h)
{
	switch (proto) {
	case EXT_HOP_BY_HOP:
	case EXT_ROUTING:
	case EXT_DESTINATION:
	case EXT_MOBILITY:
	case EXT_HIP:
	case EXT_SHIM6:
		return 8 * ((size_t)h[1] + 1);
	case EXT_FRAGMENT:
		return 8;
	case EXT_AUTH:
		return 4 * ((size_t)h[1] + 2);
	default:
		return 0;
	}
}

static bool may_answer6(const struct ip_view *v, const uint8_t *packet)
{
	static const uint8_t none[8];
	uint8_t proto = v->proto;
	size_t at = IP6_HEADER;

	if (!host6(v->src) || !host6(v->dst))
		return false;
	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		/* A header cut off in its first eight bytes is not read; the eight it claims at least are too many. */
		const uint8_t *h = v->len - at >= sizeof(none) ? packet + at : none;
		size_t n = extension_len(proto, h);

		if (n == 0)
			return proto != IP_PROTO_ICMP6 || (v->len > at && !is_error6(packet[at]));
		if (n > v->len - at)
			return false;
		if (proto == EXT_FRAGMENT && get_be16(h + 2) & 0xfff8)
			return false;
		proto = h[0];
		at += n;
	}
	return false;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static const struct {
	uint8_t type4, code4, type6, code6;
} codes[] = {
	[ICMP_NO_ROUTE] = { 3, 1, 1, 0 },	/* destination unreachable: host; no route */
	[ICMP_NO_ENDPOINT] = { 3, 1, 1, 3 },	/* host; address */
	[ICMP_TOO_BIG] = { 3, 4, 2, 0 },	/* fragmentation needed; packet too big */
	[ICMP_TIME_EXCEEDED] = { 11, 0, 3, 0 },	/* in transit */
};

static size_t write4(uint8_t *out, enum icmp_error what, uint32_t mtu, const uint8_t *from, const struct ip_view *v,
		     const uint8_t *packet)
{
	size_t quote = smaller(v->len, ERROR4_MAX - IP4_HEADER_MIN - ICMP_HEADER);
	size_t len = IP4_HEADER_MIN + ICMP_HEADER + quote;
	uint8_t *icmp = out + IP4_HEADER_MIN;

	memset(out, 0, IP4_HEADER_MIN + ICMP_HEADER);
	out[0] = 0x45;
	out[1] = TOS_CONTROL;
	put_be16(out + 2, (uint16_t)len);
	put_be16(out + 6, DONT_FRAGMENT);	/* it fits anywhere, and so needs no identification: RFC 6864 */
	out[8] = HOPS;
	out[9] = IP_PROTO_ICMP;
	memcpy(out + 12, from, 4);
	memcpy(out + 16, v->src, 4);
	put_be16(out + 10, ip_sum_fold(ip_sum(0, out, IP4_HEADER_MIN)));

	icmp[0] = codes[what].type4;
	icmp[1] = codes[what].code4;
	if (what == ICMP_TOO_BIG)
		put_be16(icmp + 6, (uint16_t)smaller(mtu, UINT16_MAX));
	memcpy(icmp + ICMP_HEADER, packet, quote);
	put_be16(icmp + 2, ip_sum_fold(ip_sum(0, icmp, ICMP_HEADER + quote)));
	return len;
}

static size_t write6(uint8_t *out, enum icmp_error what, uint32_t mtu, const uint8_t *from, const struct ip_view *v,
		     const uint8_t *packet)
{
	size_t quote = smaller(v->len, ICMP_ERROR_MAX - IP6_HEADER - ICMP_HEADER);
	size_t payload = ICMP_HEADER + quote;
	uint8_t *icmp = out + IP6_HEADER;
	uint64_t sum;

	memset(out, 0, IP6_HEADER + ICMP_HEADER);
	out[0] = 0x60;
	put_be16(out + 4, (uint16_t)payload);
	out[6] = IP_PROTO_ICMP6;
	out[7] = HOPS;
	memcpy(out + 8, from, 16);
	memcpy(out + 24, v->src, 16);

	icmp[0] = codes[what].type6;
	icmp[1] = codes[what].code6;
	if (what == ICMP_TOO_BIG)
		put_be32(icmp + 4, mtu);
	memcpy(icmp + ICMP_HEADER, packet, quote);
	sum = ip_sum(payload + IP_PROTO_ICMP6, out + 8, 32);	/* the pseudo-header, RFC 8200 8.1 */
	put_be16(icmp + 2, ip_sum_fold(ip_sum(sum, icmp, payload)));
	return IP6_HEADER + payload;
}

size_t icmp_error_write_from(uint8_t out[ICMP_ERROR_MAX], enum icmp_error what, uint32_t mtu, const uint8_t *from,
			     const uint8_t *packet, size_t len)
{
	struct ip_view v;

	if (!ip_view(&v, packet, len))
		return 0;
	if (v.family == IP_V4)
		return may_answer4(&v, packet) ? write4(out, what, mtu, from ? from : v.dst, &v, packet) : 0;
	return may_answer6(&v, packet) ? write6(out, what, mtu, from ? from : v.dst, &v, packet) : 0;
}

size_t icmp_error_write(uint8_t out[ICMP_ERROR_MAX], enum icmp_error what, uint32_t mtu,
			const uint8_t *packet, size_t len)
{
	return icmp_error_write_from(out, what, mtu, NULL, packet, len);
}
