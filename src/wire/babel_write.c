/* SPDX-License-Identifier: MIT */
/*
 * Babel packets written (RFC 8966 chapter 4), so that every speaker known to be out there understands them, not only those that follow
 * the RFC to the letter:
 *
 *	- only IPv6 prefixes are compressed, whole octets of them, and a prefix with a source prefix beside it is nobody's default;
 *	- a router-id is always said in a TLV of its own, never hidden in an address (the R flag);
 *	- a retraction, too, has a router-id before it, since babeld and BIRD drop whatever stands behind their own, and a next hop if
 *	  it is of IPv4, since FRR drops it without;
 *	- a TLV has one sub-TLV at most: babeld before 1.12.2 reads the first one's type for all.
 *
 * What must stand before an update is written with it or not at all: the writer is put back to where it was.
 */
#include "wire/babel.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/babel_layout.h"

enum { DEFAULT_PLEN_MIN = 48 };	/* a shorter prefix makes a poor default for the next */

/* A TLV with 'len' zeros as its value, which is returned; NULL: no room. */
static uint8_t *add_tlv(struct babel_writer *w, enum babel_tlv_type type, size_t len)
{
	uint8_t *at = w->packet + w->len;

	if (len > UINT8_MAX || w->len + BABEL_TLV_HEADER + len > w->size)
		return NULL;
	at[0] = (uint8_t)type;
	at[1] = (uint8_t)len;
	memset(at + BABEL_TLV_HEADER, 0, len);
	w->len += BABEL_TLV_HEADER + len;
	return at + BABEL_TLV_HEADER;
}

static size_t octets_of(const struct ip_prefix *p)
{
	return (p->len + 7U) / 8;
}

/* 'prefix' without the bits behind its length. */
static struct prefix_pair masked(const struct prefix_pair *prefix)
{
	struct prefix_pair p = *prefix;

	ip_prefix_mask(&p.dst);
	ip_prefix_mask(&p.src);
	return p;
}

/* What the sub-TLV for a source takes: nothing for any source. */
static size_t source_len(const struct prefix_pair *p)
{
	return p->src.len ? BABEL_TLV_HEADER + 1 + octets_of(&p->src) : 0;
}

static void put_source(uint8_t *at, const struct prefix_pair *p)
{
	if (p->src.len == 0)
		return;
	at[0] = SUB_SOURCE_PREFIX;
	at[1] = (uint8_t)(1 + octets_of(&p->src));
	at[2] = p->src.len;
	memcpy(at + 3, p->src.addr.bytes, octets_of(&p->src));
}

void babel_write_begin(struct babel_writer *w, uint8_t *packet, size_t size)
{
	*w = (struct babel_writer){ .packet = packet, .len = BABEL_HEADER, .size = size };
	packet[0] = BABEL_MAGIC;
	packet[1] = BABEL_VERSION;
	put_be16(packet + 2, 0);
}

bool babel_write_empty(const struct babel_writer *w)
{
	return w->len == BABEL_HEADER;
}

size_t babel_write_end(struct babel_writer *w)
{
	put_be16(w->packet + 2, (uint16_t)(w->len - BABEL_HEADER));
	return w->len;
}

bool babel_write_ack_request(struct babel_writer *w, uint16_t opaque, uint16_t interval_cs)
{
	uint8_t *v = add_tlv(w, BABEL_ACK_REQUEST, ACK_REQUEST_LEN);

	if (!v)
		return false;
	put_be16(v + ACK_REQUEST_OPAQUE, opaque);
	put_be16(v + ACK_REQUEST_INTERVAL, interval_cs);
	return true;
}

bool babel_write_ack(struct babel_writer *w, uint16_t opaque)
{
	uint8_t *v = add_tlv(w, BABEL_ACK, ACK_LEN);

	if (!v)
		return false;
	put_be16(v, opaque);
	return true;
}

/* The room for a timestamp is padding until the timestamp is there, so that a packet is never sent with a stamp that means nothing. */
bool babel_write_hello(struct babel_writer *w, bool unicast, uint16_t seqno, uint16_t interval_cs, bool stamped)
{
	uint8_t *v = add_tlv(w, BABEL_HELLO, HELLO_LEN + (stamped ? BABEL_TLV_HEADER + 4 : 0));

	if (!v)
		return false;
	put_be16(v, unicast ? HELLO_UNICAST : 0);
	put_be16(v + HELLO_SEQNO, seqno);
	put_be16(v + HELLO_INTERVAL, interval_cs);
	if (stamped) {
		v[HELLO_LEN] = SUB_PADN;
		v[HELLO_LEN + 1] = 4;
		w->stamp_at = (size_t)(v + HELLO_LEN + BABEL_TLV_HEADER - w->packet);
	}
	return true;
}

void babel_write_stamp(struct babel_writer *w, uint32_t timestamp)
{
	if (!w->stamp_at)
		return;
	w->packet[w->stamp_at - BABEL_TLV_HEADER] = SUB_TIMESTAMP;
	put_be32(w->packet + w->stamp_at, timestamp);
}

/* Whether AE 3 can say it: what is in fe80::/10 but not in fe80::/64 has no short form. */
static bool is_short_link_local(const struct ip_addr *a)
{
	static const uint8_t start[8] = { 0xfe, 0x80 };

	return a->family == IP_V6 && memcmp(a->bytes, start, sizeof(start)) == 0;
}

bool babel_write_ihu(struct babel_writer *w, const struct ip_addr *to, uint16_t rxcost, uint16_t interval_cs,
		     const struct babel_echo *echo)
{
	bool shorter = is_short_link_local(to);
	size_t octets = shorter ? 8 : ip_family_bytes(to->family);
	uint8_t *v = add_tlv(w, BABEL_IHU, IHU_ADDRESS + octets + (echo ? BABEL_TLV_HEADER + 8 : 0));

	if (!v)
		return false;
	v[0] = shorter ? AE_LINK_LOCAL : to->family == IP_V6 ? AE_IPV6 : to->family == IP_V4 ? AE_IPV4 : AE_WILDCARD;
	put_be16(v + IHU_RXCOST, rxcost);
	put_be16(v + IHU_INTERVAL, interval_cs);
	memcpy(v + IHU_ADDRESS, to->bytes + (shorter ? 8 : 0), octets);
	if (echo) {
		v += IHU_ADDRESS + octets;
		v[0] = SUB_TIMESTAMP;
		v[1] = 8;
		put_be32(v + BABEL_TLV_HEADER, echo->origin);
		put_be32(v + BABEL_TLV_HEADER + 4, echo->receive);
	}
	return true;
}

/* Unless it was the last one said. */
static bool write_router_id(struct babel_writer *w, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	uint8_t *v;

	if (w->has_router_id && memcmp(w->router_id, router_id, BABEL_ROUTER_ID_LEN) == 0)
		return true;
	v = add_tlv(w, BABEL_ROUTER_ID, ROUTER_ID_LEN);
	if (!v)
		return false;
	memcpy(v + ROUTER_ID_VALUE, router_id, BABEL_ROUTER_ID_LEN);
	memcpy(w->router_id, router_id, BABEL_ROUTER_ID_LEN);
	w->has_router_id = true;
	return true;
}

static bool write_next_hop4(struct babel_writer *w, const struct ip_addr *hop)
{
	uint8_t *v;

	if (w->has_next_hop4 && ip_addr_equal(&w->next_hop4, hop))
		return true;
	v = add_tlv(w, BABEL_NEXT_HOP, NEXT_HOP_ADDRESS + 4);
	if (!v)
		return false;
	v[0] = AE_IPV4;
	memcpy(v + NEXT_HOP_ADDRESS, hop->bytes, 4);
	w->next_hop4 = *hop;
	w->has_next_hop4 = true;
	return true;
}

/* How many octets the default gives: only such as are whole. */
static size_t omitted(const struct babel_writer *w, const struct ip_prefix *p)
{
	size_t n = 0;

	if (p->addr.family == IP_V6 && w->has_prefix)
		while (n < p->len / 8U && p->addr.bytes[n] == w->prefix[n])
			n++;
	return n;
}

/* An Update TLV, its Router-Id and Next Hop being there. */
static bool write_bare_update(struct babel_writer *w, const struct babel_update *u, enum babel_ae ae)
{
	struct prefix_pair p = masked(&u->prefix);
	size_t omit = omitted(w, &p.dst), octets = octets_of(&p.dst) - omit;
	uint8_t *v = add_tlv(w, BABEL_UPDATE, UPDATE_ADDRESS + octets + source_len(&p));

	if (!v)
		return false;
	v[0] = (uint8_t)ae;
	v[UPDATE_PLEN] = p.dst.len;
	v[UPDATE_OMITTED] = (uint8_t)omit;
	put_be16(v + UPDATE_INTERVAL, u->interval_cs);
	put_be16(v + UPDATE_SEQNO, u->seqno);
	put_be16(v + UPDATE_METRIC, u->metric);
	memcpy(v + UPDATE_ADDRESS, p.dst.addr.bytes + omit, octets);
	put_source(v + UPDATE_ADDRESS + octets, &p);
	if (ae == AE_IPV6 && p.src.len == 0 && (!w->has_prefix || p.dst.len >= DEFAULT_PLEN_MIN)) {
		v[UPDATE_FLAGS] = UPDATE_PREFIX;
		w->has_prefix = true;
		memcpy(w->prefix, p.dst.addr.bytes, sizeof(w->prefix));
	}
	return true;
}

bool babel_write_update(struct babel_writer *w, const struct babel_update *u, const struct ip_addr *next_hop4)
{
	struct babel_writer before = *w;
	enum babel_ae ae = u->prefix.dst.addr.family == IP_V6 ? AE_IPV6 : next_hop4 ? AE_IPV4 : AE_VIA6;

	if (write_router_id(w, u->router_id) && (ae != AE_IPV4 || write_next_hop4(w, next_hop4)) && write_bare_update(w, u, ae))
		return true;
	*w = before;
	return false;
}

bool babel_write_wildcard_retraction(struct babel_writer *w, const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno,
				     uint16_t interval_cs)
{
	struct babel_writer before = *w;
	uint8_t *v = NULL;

	if (write_router_id(w, router_id))
		v = add_tlv(w, BABEL_UPDATE, UPDATE_ADDRESS);
	if (!v) {
		*w = before;
		return false;
	}
	v[0] = AE_WILDCARD;
	put_be16(v + UPDATE_INTERVAL, interval_cs);
	put_be16(v + UPDATE_SEQNO, seqno);
	put_be16(v + UPDATE_METRIC, BABEL_INFINITY);
	return true;
}

/* Requests say IPv4 as AE 1: AE 4 asks for the same route (RFC 9229 2.3), and not everybody knows it. */
static uint8_t request_ae(const struct prefix_pair *p)
{
	return p->dst.addr.family == IP_V4 ? AE_IPV4 : AE_IPV6;
}

bool babel_write_route_request(struct babel_writer *w, const struct prefix_pair *prefix)
{
	struct prefix_pair p = { 0 };
	size_t octets;
	uint8_t *v;

	if (prefix)
		p = masked(prefix);
	octets = octets_of(&p.dst);
	v = add_tlv(w, BABEL_ROUTE_REQUEST, ROUTE_REQUEST_ADDRESS + octets + source_len(&p));
	if (!v)
		return false;
	v[0] = prefix ? request_ae(&p) : AE_WILDCARD;
	v[ROUTE_REQUEST_PLEN] = p.dst.len;
	memcpy(v + ROUTE_REQUEST_ADDRESS, p.dst.addr.bytes, octets);
	put_source(v + ROUTE_REQUEST_ADDRESS + octets, &p);
	return true;
}

bool babel_write_seqno_request(struct babel_writer *w, const struct prefix_pair *prefix, const uint8_t router_id[BABEL_ROUTER_ID_LEN],
			       uint16_t seqno, uint8_t hop_count)
{
	struct prefix_pair p = masked(prefix);
	size_t octets = octets_of(&p.dst);
	uint8_t *v = add_tlv(w, BABEL_SEQNO_REQUEST, SEQNO_REQUEST_ADDRESS + octets + source_len(&p));

	if (!v)
		return false;
	v[0] = request_ae(&p);
	v[SEQNO_REQUEST_PLEN] = p.dst.len;
	put_be16(v + SEQNO_REQUEST_SEQNO, seqno);
	v[SEQNO_REQUEST_HOP_COUNT] = hop_count;
	memcpy(v + SEQNO_REQUEST_ROUTER_ID, router_id, BABEL_ROUTER_ID_LEN);
	memcpy(v + SEQNO_REQUEST_ADDRESS, p.dst.addr.bytes, octets);
	put_source(v + SEQNO_REQUEST_ADDRESS + octets, &p);
	return true;
}

bool babel_write_pc(struct babel_writer *w, uint32_t pc, const uint8_t *index, uint8_t index_len)
{
	uint8_t *v = index_len <= BABEL_INDEX_MAX ? add_tlv(w, BABEL_PC, PC_INDEX + (size_t)index_len) : NULL;

	if (!v)
		return false;
	put_be32(v, pc);
	if (index_len)
		memcpy(v + PC_INDEX, index, index_len);
	return true;
}

bool babel_write_challenge(struct babel_writer *w, bool reply, const uint8_t *nonce, uint8_t nonce_len)
{
	uint8_t *v = nonce_len <= BABEL_NONCE_MAX ?
		     add_tlv(w, reply ? BABEL_CHALLENGE_REPLY : BABEL_CHALLENGE_REQUEST, nonce_len) : NULL;

	if (!v)
		return false;
	if (nonce_len)
		memcpy(v, nonce, nonce_len);
	return true;
}

size_t babel_mac_write(uint8_t *at, const uint8_t *mac, uint8_t mac_len)
{
	at[0] = BABEL_MAC;
	at[1] = mac_len;
	memcpy(at + BABEL_TLV_HEADER, mac, mac_len);
	return BABEL_TLV_HEADER + (size_t)mac_len;
}
