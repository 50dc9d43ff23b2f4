/* SPDX-License-Identifier: MIT */
/*
 * The flow of an inner packet: RFC 791, RFC 8200, and of each protocol as much as tells its flows apart.
 *
 * Runs once for each packet, so it reads what it needs and judges nothing: a packet that lies about its ports gets a
 * flow of its own choosing, which it could have by other ports as well. All reads are within the length
 * that ip_view() has checked.
 */
#include "wire/flow_key.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "wire/ip.h"

/* IANA's numbers, of protocols and IPv6 extension headers. */
enum {
	EXT_HOP_BY_HOP = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_ESP = 50,
	PROTO_AH = 51,
	EXT_DESTINATION = 60,
	PROTO_DCCP = 33,
	PROTO_SCTP = 132,
	PROTO_UDPLITE = 136,
};

enum {
	ECHO4_REPLY = 0,	/* RFC 792 */
	ECHO4 = 8,
	ECHO6 = 128,		/* RFC 4443 section 4 */
	ECHO6_REPLY = 129,
	ECHO_IDENTIFIER = 4,
	AH_SPI = 4,		/* RFC 4302 */
	IP4_IDENTIFICATION = 4,
	IP4_FRAGMENT = 0x3fff,	/* MF and offset */
	IP6_FRAGMENT_LEN = 8,	/* RFC 8200 4.5 */
	IP6_FRAGMENT = 0xfff9,	/* offset and M */
	IP6_IDENTIFICATION = 4,
};

/* The first 16 bits of a GRE header: RFC 2784, RFC 2890, and RFC 1701 for the second. */
enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_VERSION = 0x7,
};

_Static_assert(sizeof(struct flow_key) == 40, "no padding, whose bytes would be hashed");

/* Take 'count' bytes at 'offset' of the 'len' at 'p' as the selector, if they are there. */
static void pick(struct flow_key *k, enum flow_key_kind kind, const uint8_t *p, uint32_t len,
		 uint32_t offset, uint32_t count)
{
	if (len < offset + count)
		return;
	memcpy(k->selector, p + offset, count);
	k->kind = (uint8_t)kind;
}

/* With a checksum or routing there is a word before the key. */
static void read_gre(struct flow_key *k, const uint8_t *p, uint32_t len)
{
	uint16_t flags = len < 2 ? 0 : get_be16(p);

	if (flags & GRE_KEY && !(flags & GRE_VERSION))
		pick(k, FLOW_KEY_PORTS, p, len, flags & (GRE_CHECKSUM | GRE_ROUTING) ? 8 : 4, 4);
}

/* Question and answer alike: which it is, the direction tells. */
static void read_echo(struct flow_key *k, uint8_t echo, uint8_t reply, const uint8_t *p, uint32_t len)
{
	if (len && (p[0] == echo || p[0] == reply))
		pick(k, FLOW_KEY_PORTS, p, len, ECHO_IDENTIFIER, 2);
}

/* The header behind those of IP, at 'p', of which 'len' bytes are there. */
static void read_transport(struct flow_key *k, const uint8_t *p, uint32_t len)
{
	switch (k->proto) {
	case IP_PROTO_TCP:
	case IP_PROTO_UDP:
	case PROTO_DCCP:
	case PROTO_SCTP:
	case PROTO_UDPLITE:
	case PROTO_ESP:
		pick(k, FLOW_KEY_PORTS, p, len, 0, 4);
		break;
	case PROTO_AH:
		pick(k, FLOW_KEY_PORTS, p, len, AH_SPI, 4);
		break;
	case PROTO_GRE:
		read_gre(k, p, len);
		break;
	case IP_PROTO_ICMP:
		if (k->family == IP_V4)
			read_echo(k, ECHO4, ECHO4_REPLY, p, len);
		break;
	case IP_PROTO_ICMP6:
		if (k->family == IP_V6)
			read_echo(k, ECHO6, ECHO6_REPLY, p, len);
		break;
	}
}

static void read4(struct flow_key *k, const struct ip_view *v, const uint8_t *packet)
{
	memcpy(k->src, v->src, 4);
	memcpy(k->dst, v->dst, 4);
	k->proto = v->proto;
	if (get_be16(packet + 6) & IP4_FRAGMENT)
		pick(k, FLOW_KEY_FRAGMENT, packet, v->len, IP4_IDENTIFICATION, 2);
	else
		read_transport(k, packet + v->header_len, v->len - v->header_len);
}

/* The length an extension header claims, given its first eight bytes. */
static uint32_t extension_len(uint8_t proto, const uint8_t *h)
{
	switch (proto) {
	case EXT_FRAGMENT:
		return IP6_FRAGMENT_LEN;
	case PROTO_AH:
		return 4 * ((uint32_t)h[1] + 2);
	default:
		return 8 * ((uint32_t)h[1] + 1);
	}
}

static bool is_extension(uint8_t proto)
{
	return proto == EXT_HOP_BY_HOP || proto == EXT_ROUTING || proto == EXT_FRAGMENT || proto == EXT_DESTINATION ||
	       proto == PROTO_AH;
}

/* What cannot be looked through leaves the protocol at the header that stopped us, and no ports. */
static void read6(struct flow_key *k, const struct ip_view *v, const uint8_t *packet)
{
	const uint8_t *h = packet + IP6_HEADER;
	uint32_t left = v->len - IP6_HEADER, n;

	memcpy(k->src, v->src, 16);
	memcpy(k->dst, v->dst, 16);
	k->proto = v->proto;
	for (int i = 0; is_extension(k->proto); i++, h += n, left -= n) {
		if (i == FLOW_KEY_EXTENSIONS_MAX || left < 8)
			return;
		if (k->proto == EXT_FRAGMENT && get_be16(h + 2) & IP6_FRAGMENT) {
			pick(k, FLOW_KEY_FRAGMENT, h, left, IP6_IDENTIFICATION, 4);
			return;
		}
		n = extension_len(k->proto, h);
		if (n > left)
			return;
		k->proto = h[0];
	}
	read_transport(k, h, left);
}

void flow_key_read(struct flow_key *k, const uint8_t *packet, uint32_t len)
{
	struct ip_view v;

	memset(k, 0, sizeof(*k));
	if (!ip_view(&v, packet, len))
		return;
	k->family = v.family;
	if (v.family == IP_V4)
		read4(k, &v, packet);
	else
		read6(k, &v, packet);
}

uint64_t flow_hash(const uint8_t key[16], const uint8_t *packet, uint32_t len)
{
	struct flow_key k;
	uint64_t hash;

	flow_key_read(&k, packet, len);
	hash = hash_bytes(key, &k, sizeof(k));
	return hash ? hash : 1;
}
