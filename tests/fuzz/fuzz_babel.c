/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a Babel packet, that came over IPv6 or IPv4. What is yielded must be in range and lie within the packet; written by our own
 * writer, as many TLVs to a packet as fit, it must be read back the same. Nobody we never challenged is believed, whatever they say.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "babel/mac.h"
#include "wire/babel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PACKET_SIZE = 1400,
	BATCH_MAX = PACKET_SIZE / 2,
};

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static const struct ip_addr from6 = { .family = IP_V6, .bytes = { 0xfe, 0x80, [15] = 1 } };
static const struct ip_addr from4 = { .family = IP_V4, .bytes = { 192, 0, 2, 1 } };

/*
 * What is yielded is in range.
 */

static bool is_zero(const void *p, size_t len)
{
	const uint8_t *bytes = p;

	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static bool router_id_good(const uint8_t id[BABEL_ROUTER_ID_LEN])
{
	return !is_zero(id, BABEL_ROUTER_ID_LEN) && memcmp(id, "\xff\xff\xff\xff\xff\xff\xff\xff", BABEL_ROUTER_ID_LEN) != 0;
}

static void check_prefix(const struct ip_prefix *p)
{
	struct ip_prefix masked = *p;

	require(p->addr.family == IP_V4 || p->addr.family == IP_V6, "a prefix of no family");
	require(p->len <= ip_family_bits(p->addr.family), "a prefix longer than its family");
	ip_prefix_mask(&masked);
	require(ip_prefix_equal(p, &masked), "a prefix with host bits");
	require(is_zero(p->addr.bytes + ip_family_bytes(p->addr.family), 16 - ip_family_bytes(p->addr.family)), "bytes behind IPv4");
}

static void check_pair(const struct babel_tlv *t)
{
	if (t->wildcard) {
		require(is_zero(&t->prefix, sizeof(t->prefix)), "all prefixes, and one");
		return;
	}
	check_prefix(&t->prefix.dst);
	check_prefix(&t->prefix.src);
	require(t->prefix.dst.addr.family == t->prefix.src.addr.family, "a source of another family");
	require(!t->via6 || t->prefix.dst.addr.family == IP_V4, "IPv6 via IPv6");
}

static void check_update(const struct babel_tlv *t)
{
	check_pair(t);
	require(t->interval_cs, "an update without an interval");
	require(!t->wildcard || t->metric == BABEL_INFINITY, "a finite update for everything");
	if (t->metric == BABEL_INFINITY)
		return;
	require(router_id_good(t->router_id), "an update from nobody");
	require(t->addr.family == (t->via6 || t->prefix.dst.addr.family == IP_V6 ? IP_V6 : IP_V4), "a next hop of the wrong family");
}

static void check_tlv(const struct babel_tlv *t, const uint8_t *start, const uint8_t *end)
{
	require(!t->len || (t->bytes >= start && t->bytes + t->len <= end), "bytes from elsewhere");
	switch (t->type) {
	case BABEL_ACK:
	case BABEL_HELLO:
	case BABEL_MAC:
		break;
	case BABEL_ACK_REQUEST:
		require(t->interval_cs, "an acknowledgment without an interval");
		break;
	case BABEL_IHU:
		require(t->interval_cs, "an IHU without an interval");
		require(t->to_any == (t->addr.family == IP_NONE), "an IHU to nobody");
		break;
	case BABEL_UPDATE:
		check_update(t);
		break;
	case BABEL_ROUTE_REQUEST:
		check_pair(t);
		break;
	case BABEL_SEQNO_REQUEST:
		check_pair(t);
		require(!t->wildcard && t->hop_count && router_id_good(t->router_id), "a seqno request for nothing");
		break;
	case BABEL_PC:
		require(t->len <= BABEL_INDEX_MAX, "an index too long");
		break;
	case BABEL_CHALLENGE_REQUEST:
	case BABEL_CHALLENGE_REPLY:
		require(t->len <= BABEL_NONCE_MAX, "a nonce too long");
		break;
	default:
		require(false, "a type that means nothing to a receiver");
	}
}

/*
 * Written and read back it is the same.
 */
struct batch {
	struct babel_writer w;
	uint8_t packet[PACKET_SIZE];
	struct babel_tlv tlvs[BATCH_MAX];
	size_t count;
};

static void batch_begin(struct batch *b)
{
	babel_write_begin(&b->w, b->packet, sizeof(b->packet));
	b->count = 0;
}

static bool write_update(struct babel_writer *w, const struct babel_tlv *t)
{
	struct babel_update u = { .prefix = t->prefix, .seqno = t->seqno, .metric = t->metric, .interval_cs = t->interval_cs };

	memcpy(u.router_id, t->router_id, sizeof(u.router_id));
	if (t->wildcard)
		return babel_write_wildcard_retraction(w, t->router_id, t->seqno, t->interval_cs);
	return babel_write_update(w, &u, t->via6 ? NULL : t->addr.family == IP_V4 ? &t->addr : &from4);
}

static bool write_tlv(struct babel_writer *w, const struct babel_tlv *t)
{
	struct babel_echo echo = { t->origin, t->receive };

	switch (t->type) {
	case BABEL_ACK_REQUEST:
		return babel_write_ack_request(w, t->opaque, t->interval_cs);
	case BABEL_ACK:
		return babel_write_ack(w, t->opaque);
	case BABEL_HELLO:
		if (!babel_write_hello(w, t->unicast, t->seqno, t->interval_cs, t->has_timestamp))
			return false;
		if (t->has_timestamp)
			babel_write_stamp(w, t->timestamp);
		return true;
	case BABEL_IHU:
		return babel_write_ihu(w, &t->addr, t->metric, t->interval_cs, t->has_timestamp ? &echo : NULL);
	case BABEL_UPDATE:
		return write_update(w, t);
	case BABEL_ROUTE_REQUEST:
		return babel_write_route_request(w, t->wildcard ? NULL : &t->prefix);
	case BABEL_SEQNO_REQUEST:
		return babel_write_seqno_request(w, &t->prefix, t->router_id, t->seqno, t->hop_count);
	case BABEL_PC:
		return babel_write_pc(w, t->pc, t->bytes, t->len);
	default:
		return babel_write_challenge(w, t->type == BABEL_CHALLENGE_REPLY, t->bytes, t->len);
	}
}

static void compare(const struct babel_tlv *a, const struct babel_tlv *b)
{
	require(a->type == b->type && a->opaque == b->opaque && a->interval_cs == b->interval_cs && a->seqno == b->seqno, "another TLV");
	require(a->metric == b->metric && a->unicast == b->unicast && a->wildcard == b->wildcard, "another metric or kind");
	require(a->to_any == b->to_any && a->hop_count == b->hop_count && a->pc == b->pc, "another receiver, count or PC");
	require(prefix_pair_equal(&a->prefix, &b->prefix), "another prefix");
	require(!memcmp(a->router_id, b->router_id, sizeof(a->router_id)), "another router-id");
	require(a->has_timestamp == b->has_timestamp && a->timestamp == b->timestamp && a->origin == b->origin && a->receive == b->receive,
		"another timestamp");
	require(a->len == b->len && (!a->len || !memcmp(a->bytes, b->bytes, a->len)), "other bytes");
	if (a->type == BABEL_UPDATE)	/* requests are always sent as AE 1 */
		require(a->via6 == b->via6, "via another family");
	/* Our writer gives no IPv6 next hops, and one for IPv4 even where there was none. */
	if (a->type == BABEL_IHU || (a->addr.family == IP_V4 && !a->wildcard))
		require(ip_addr_equal(&a->addr, &b->addr), "another address");
}

static void batch_check(struct batch *b)
{
	size_t len = babel_write_end(&b->w);
	struct babel_parser p;
	struct babel_tlv t;

	require(len <= sizeof(b->packet) && babel_parse_begin(&p, b->packet, len, &from6), "written, it is no packet");
	for (size_t i = 0; i < b->count; i++) {
		require(babel_parse_next(&p, &t), "a TLV less");
		compare(&b->tlvs[i], &t);
	}
	require(!babel_parse_next(&p, &t) && !p.broken, "a TLV more");
}

static void batch_add(struct batch *b, const struct babel_tlv *t)
{
	if (!write_tlv(&b->w, t)) {
		require(b->count > 0, "a TLV that no packet can hold");
		batch_check(b);
		batch_begin(b);
		require(write_tlv(&b->w, t), "a TLV that an empty packet cannot hold");
	}
	b->tlvs[b->count++] = *t;
}

static size_t walk(const uint8_t *packet, size_t size, const struct ip_addr *src)
{
	static struct batch b;
	struct babel_parser p;
	struct babel_tlv t;
	size_t count = 0, body;

	if (!babel_parse_begin(&p, packet, size, src))
		return 0;
	body = babel_body_end(packet);
	require(body <= size, "a body longer than the packet");
	batch_begin(&b);
	while (babel_parse_next(&p, &t)) {
		check_tlv(&t, packet + BABEL_HEADER, packet + body);
		batch_add(&b, &t);
		count++;
	}
	batch_check(&b);
	while (babel_parse_trailer(&p, &t)) {
		require(t.type == BABEL_MAC && t.len, "something in the trailer");
		check_tlv(&t, packet + body, packet + size);
		count++;
	}
	require(!babel_parse_next(&p, &t) && !babel_parse_trailer(&p, &t), "an end that is none");
	require(count <= size / 2, "more TLVs than there is room for");
	return count;
}

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0x5a, len);
}

static void judge(const uint8_t *packet, size_t size)
{
	struct rng rng = { .fill = fill };
	struct babel_mac_reply reply;
	struct babel_mac_peer p;

	babel_mac_peer_init(&p);
	require(babel_mac_judge(&p, packet, size, &from6, false, 1000000, &rng, &reply) != BABEL_MAC_ACCEPT, "a stranger is believed");
	require(!reply.nonce || (reply.nonce >= packet && reply.nonce + reply.len <= packet + size), "a nonce from elsewhere");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	require(exact, "no memory");
	if (size)
		memcpy(exact, data, size);
	require(walk(exact, size, &from6) == walk(exact, size, &from6), "another time, other TLVs");
	walk(exact, size, &from4);
	judge(exact, size);
	free(exact);
	return 0;
}
