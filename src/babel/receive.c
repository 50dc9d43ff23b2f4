/* SPDX-License-Identifier: MIT */
/*
 * Packets in (RFC 8966 4, RFC 8967 4.3). A packet goes through four gates before anything is done with it: addresses and port (P2, P3), framing
 * (P1, P5: one that is broken anywhere is dropped whole), MAC, and counter. Then its Hellos are taken, which say who it is
 * from, and then the rest in order, so that a packet means the same whatever the order in it - and a timestamp in an IHU is only used with the
 * one in the Hello beside it (RFC 9616 3).
 *
 * No packet without a right MAC makes a neighbour where there are keys, and only a Hello or IHU does where there are none: an address that
 * sends anything else stays nobody and is not answered.
 */
#include <string.h>

#include "babel/links.h"

enum { LINK_LOCAL_ZEROES = 6 };		/* fe80::/64: bytes 2..7 */

static bool source_is_legal(const struct babel_iface *i, const struct babel_datagram *d)
{
	static const uint8_t head[2 + LINK_LOCAL_ZEROES] = { 0xfe, 0x80 };

	return d->src_port == BABEL_PORT && d->src.family == IP_V6 && !memcmp(d->src.bytes, head, sizeof(head)) &&
		!ip_addr_equal(&d->src, &i->config.address) &&
		(ip_addr_equal(&d->dst, &babel_group) || ip_addr_equal(&d->dst, &i->config.address));
}

static bool framing_is_whole(const struct babel_datagram *d)
{
	struct babel_parser p;
	struct babel_tlv tlv;

	if (!babel_parse_begin(&p, d->data, d->len, &d->src))
		return false;
	while (babel_parse_next(&p, &tlv))
		;
	return !p.broken;
}

/* What RFC 8967 4.3 has to send by what a packet with a right MAC brought. */
static void answer_challenge(struct babel *b, struct babel_neighbour *n, enum babel_mac_verdict verdict, const struct babel_mac_reply *reply)
{
	struct babel_queue *q;

	if (verdict != BABEL_MAC_CHALLENGE && !reply->nonce)
		return;
	q = queue_of(b, n->iface, n);
	if (!q)
		return;
	q->challenge |= verdict == BABEL_MAC_CHALLENGE;
	if (reply->nonce) {
		q->reply = true;
		q->reply_len = reply->len;
		memcpy(q->reply_nonce, reply->nonce, reply->len);
	}
	queue_want(b, q, b->now.mono_us);
}

/* Whether the packet is from who has the key, and new. */
static bool authenticate(struct babel *b, struct babel_iface *i, const struct babel_datagram *d)
{
	bool multicast = ip_addr_equal(&d->dst, &babel_group);
	struct babel_mac_reply reply = { 0 };
	enum babel_mac_verdict verdict;
	struct babel_neighbour *n;

	if (!babel_mac_check(i->config.keys, i->config.key_count, &d->src, &d->dst, d->data, d->len))
		return false;
	n = neighbour_find(i, &d->src);
	if (!n)
		n = neighbour_add(b, i, &d->src);
	if (!n)
		return false;
	verdict = babel_mac_judge(&n->mac, d->data, d->len, &d->src, multicast, b->now.mono_us, &b->rng, &reply);
	answer_challenge(b, n, verdict, &reply);
	return verdict == BABEL_MAC_ACCEPT;
}

/* The packet being acted upon. */
struct reception {
	struct babel *b;
	struct babel_iface *i;
	const struct babel_datagram *d;
	struct babel_neighbour *n;	/* NULL: not known, and not heard of in this packet so far */
	int64_t stamp_us;
	bool stamped;			/* its Hello had a timestamp */
};

static bool know(struct reception *r)
{
	if (!r->n)
		r->n = neighbour_add(r->b, r->i, &r->d->src);
	return r->n;
}

static void take_hello(struct reception *r, const struct babel_tlv *tlv)
{
	if (!know(r))
		return;
	neighbour_hello(r->b, r->n, tlv);
	if (!tlv->has_timestamp || r->stamped)
		return;
	r->stamped = true;
	rtt_hello(&r->n->rtt, tlv->timestamp, r->stamp_us);
}

static void take_ihu(struct reception *r, const struct babel_tlv *tlv)
{
	bool ours = tlv->to_any ? !ip_addr_equal(&r->d->dst, &babel_group) : ip_addr_equal(&tlv->addr, &r->i->config.address);

	if (!ours)	/* and what is for nobody by name is for whom the packet is (4.6.6) */
		return;
	if (!know(r))
		return;
	neighbour_ihu(r->b, r->n, tlv);
	if (tlv->has_timestamp && r->stamped && r->i->config.rtt)
		neighbour_rtt(r->b, r->n, tlv, r->stamp_us);
}

/* From somebody we know. */
static void take_from_neighbour(struct reception *r, const struct babel_tlv *tlv)
{
	switch (tlv->type) {
	case BABEL_ACK_REQUEST:
		queue_ack(r->b, r->n, tlv->opaque, interval_us(tlv->interval_cs));
		return;
	case BABEL_ACK:
		ack_received(r->b, r->n, tlv->opaque);
		return;
	case BABEL_UPDATE:
		routes_update(r->b, r->n, tlv);
		return;
	case BABEL_ROUTE_REQUEST:
		if (tlv->wildcard)
			iface_wildcard_request(r->b, r->n);
		else
			routes_route_request(r->b, r->n, tlv);
		return;
	case BABEL_SEQNO_REQUEST:
		routes_seqno_request(r->b, r->n, tlv);
		return;
	default:	/* Hellos were taken, and RFC 8967's TLVs looked at */
		return;
	}
}

static void act(struct reception *r)
{
	struct babel_parser p;
	struct babel_tlv tlv;

	babel_parse_begin(&p, r->d->data, r->d->len, &r->d->src);
	while (babel_parse_next(&p, &tlv))
		if (tlv.type == BABEL_HELLO)
			take_hello(r, &tlv);
	babel_parse_begin(&p, r->d->data, r->d->len, &r->d->src);
	while (babel_parse_next(&p, &tlv)) {
		if (tlv.type == BABEL_IHU)
			take_ihu(r, &tlv);
		else if (r->n)
			take_from_neighbour(r, &tlv);
	}
}

void babel_receive(struct babel *b, const struct babel_datagram *d, struct instant now)
{
	struct babel_iface *i = d->iface;
	struct reception r = { .b = b, .i = i, .d = d, .stamp_us = d->stamp_us > 0 ? d->stamp_us : now.mono_us };

	b->now = now;
	if (!i->up || b->stopped)
		return;
	i->packets_received++;
	i->bytes_received += d->len;
	if (!source_is_legal(i, d)) {
		i->dropped_source++;
		return;
	}
	if (!framing_is_whole(d)) {
		i->dropped_malformed++;
		return;
	}
	if (i->config.key_count && !authenticate(b, i, d) && !i->config.accept_unauthenticated) {
		i->dropped_mac++;
		return;
	}
	r.n = neighbour_find(i, &d->src);
	act(&r);
}
