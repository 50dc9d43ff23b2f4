/* SPDX-License-Identifier: MIT */
/*
 * Babel packets read (RFC 8966 chapter 4). A packet is a state machine: Router-Id, Next Hop and Update TLVs set what later Updates
 * leave out (4.5), and they do so even when the TLV itself is then ignored, for a mandatory sub-TLV nobody knows or a next hop that
 * is missing: else one update too new for us would make all behind it mean something else. So each reader first moves the state, then judges.
 *
 * A reader gets a TLV's value, at least as long as its kind's minimum, and returns where its sub-TLVs begin, or IGNORED. What is
 * ignored takes only itself along; only a TLV that runs past the body ends the packet, since nobody knows where the next one begins.
 * All that is yielded is in range: lengths fit families, prefixes are masked, router-ids are legal, intervals that must not be 0 are not.
 */
#include "wire/babel.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/babel_layout.h"

enum { IGNORED = -1 };

const struct ip_addr babel_group = { .family = IP_V6, .bytes = { 0xff, 0x02, [13] = 1, [15] = 6 } };

/* All zero and all one are no router-ids (4.1.3). */
static bool router_id_legal(const uint8_t id[BABEL_ROUTER_ID_LEN])
{
	uint64_t v = get_be64(id);

	return v != 0 && v != UINT64_MAX;
}

static void set_router_id(struct babel_parser *p, const uint8_t id[BABEL_ROUTER_ID_LEN])
{
	p->has_router_id = router_id_legal(id);
	memset(p->router_id, 0, BABEL_ROUTER_ID_LEN);
	if (p->has_router_id)
		memcpy(p->router_id, id, BABEL_ROUTER_ID_LEN);
}

/* An address of an IHU or a Next Hop, which is never a prefix: AE 4 is not among them. Returns its octets on the wire, or IGNORED. */
static int read_address(struct ip_addr *out, uint8_t ae, const uint8_t *v, size_t len)
{
	static const uint8_t octets[] = { [AE_IPV4] = 4, [AE_IPV6] = 16, [AE_LINK_LOCAL] = 8 };

	if (ae == AE_WILDCARD || ae > AE_LINK_LOCAL || len < octets[ae])
		return IGNORED;
	*out = (struct ip_addr){ .family = ae == AE_IPV4 ? IP_V4 : IP_V6 };
	if (ae == AE_LINK_LOCAL) {
		out->bytes[0] = 0xfe;
		out->bytes[1] = 0x80;
		memcpy(out->bytes + 8, v, 8);
	} else {
		memcpy(out->bytes, v, octets[ae]);
	}
	return octets[ae];
}

/* A prefix as it stands in a TLV. */
struct wire_prefix {
	uint8_t ae, plen, omitted;
	const uint8_t *v;		/* what is not omitted */
	size_t len;			/* bytes there at most */
	const uint8_t *defaults;	/* what is, NULL: nobody said */
};

/* The octets of it that are on the wire. In AE 3 the first eight never are, and shorter ones than that have no sense. */
static int prefix_octets(const struct wire_prefix *w)
{
	int octets = (w->plen + 7) / 8;

	switch (w->ae) {
	case AE_IPV4:
	case AE_VIA6:
		return w->plen > 32 || w->omitted > octets ? IGNORED : octets - w->omitted;
	case AE_IPV6:
		return w->plen > 128 || w->omitted > octets ? IGNORED : octets - w->omitted;
	case AE_LINK_LOCAL:
		return w->plen > 128 || w->plen < 64 || w->omitted ? IGNORED : octets - 8;
	default:
		return IGNORED;
	}
}

/* Masked, with any source. Returns the octets on the wire, or IGNORED. */
static int read_prefix(struct prefix_pair *out, const struct wire_prefix *w)
{
	int octets = prefix_octets(w);
	struct ip_prefix p = { .addr.family = w->ae == AE_IPV4 || w->ae == AE_VIA6 ? IP_V4 : IP_V6, .len = w->plen };
	size_t at = w->omitted;

	if (octets < 0 || (size_t)octets > w->len || (w->omitted && !w->defaults))
		return IGNORED;
	if (w->omitted)
		memcpy(p.addr.bytes, w->defaults, w->omitted);
	if (w->ae == AE_LINK_LOCAL) {
		p.addr.bytes[0] = 0xfe;
		p.addr.bytes[1] = 0x80;
		at = 8;
	}
	memcpy(p.addr.bytes + at, w->v, (size_t)octets);
	ip_prefix_mask(&p);
	*out = prefix_pair_any(&p);
	return octets;
}

static int read_ack_request(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	(void)p, (void)len;
	t->opaque = get_be16(v + ACK_REQUEST_OPAQUE);
	t->interval_cs = get_be16(v + ACK_REQUEST_INTERVAL);
	return t->interval_cs ? ACK_REQUEST_LEN : IGNORED;
}

static int read_ack(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	(void)p, (void)len;
	t->opaque = get_be16(v);
	return ACK_LEN;
}

static int read_hello(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	(void)p, (void)len;
	t->unicast = get_be16(v) & HELLO_UNICAST;
	t->seqno = get_be16(v + HELLO_SEQNO);
	t->interval_cs = get_be16(v + HELLO_INTERVAL);
	return HELLO_LEN;
}

static int read_ihu(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	int octets = 0;

	(void)p;
	t->metric = get_be16(v + IHU_RXCOST);
	t->interval_cs = get_be16(v + IHU_INTERVAL);
	t->to_any = v[0] == AE_WILDCARD;
	if (!t->to_any)
		octets = read_address(&t->addr, v[0], v + IHU_ADDRESS, len - IHU_ADDRESS);
	return octets < 0 || !t->interval_cs ? IGNORED : IHU_ADDRESS + octets;
}

static int read_router_id(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	(void)t, (void)len;
	set_router_id(p, v + ROUTER_ID_VALUE);
	return p->has_router_id ? ROUTER_ID_LEN : IGNORED;
}

static int read_next_hop(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	struct ip_addr hop;
	int octets = read_address(&hop, v[0], v + NEXT_HOP_ADDRESS, len - NEXT_HOP_ADDRESS);

	(void)t;
	if (octets < 0)
		return IGNORED;
	*(hop.family == IP_V4 ? &p->next_hop4 : &p->next_hop6) = hop;
	return NEXT_HOP_ADDRESS + octets;
}

/* Which default an encoding has: IPv4 of AE 1 and of AE 4 do not mix (RFC 9229 2.1), AE 3 has none. */
static int default_of(uint8_t ae)
{
	return ae == AE_IPV4 ? 0 : ae == AE_IPV6 ? 1 : ae == AE_VIA6 ? 2 : -1;
}

/* What an update's flags do to those behind it. */
static void apply_flags(struct babel_parser *p, uint8_t ae, uint8_t flags, const struct ip_addr *a)
{
	uint8_t id[BABEL_ROUTER_ID_LEN] = { 0 };
	int i = default_of(ae);

	if (flags & UPDATE_PREFIX && i >= 0) {
		p->prefix[i].set = true;
		memcpy(p->prefix[i].bytes, a->bytes, sizeof(a->bytes));
	}
	if (flags & UPDATE_ROUTER_ID) {
		if (a->family == IP_V4)
			memcpy(id + 4, a->bytes, 4);
		else
			memcpy(id, a->bytes + 8, sizeof(id));
		set_router_id(p, id);
	}
}

/* Retracts all there is; nothing of the state has to do with it. Finite, or of a length, it is nonsense. */
static int read_wildcard_update(struct babel_tlv *t, const uint8_t *v)
{
	t->wildcard = true;
	return t->metric != BABEL_INFINITY || v[UPDATE_PLEN] || v[UPDATE_OMITTED] || !t->interval_cs ? IGNORED : UPDATE_ADDRESS;
}

static int read_update(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	int i = default_of(v[0]), octets;
	struct wire_prefix w = {
		.ae = v[0], .plen = v[UPDATE_PLEN], .omitted = v[UPDATE_OMITTED], .v = v + UPDATE_ADDRESS, .len = len - UPDATE_ADDRESS,
		.defaults = i >= 0 && p->prefix[i].set ? p->prefix[i].bytes : NULL,
	};

	t->interval_cs = get_be16(v + UPDATE_INTERVAL);
	t->seqno = get_be16(v + UPDATE_SEQNO);
	t->metric = get_be16(v + UPDATE_METRIC);
	memcpy(t->router_id, p->router_id, BABEL_ROUTER_ID_LEN);
	if (w.ae == AE_WILDCARD)
		return read_wildcard_update(t, v);
	octets = read_prefix(&t->prefix, &w);
	if (octets < 0)
		return IGNORED;
	apply_flags(p, w.ae, v[UPDATE_FLAGS], &t->prefix.dst.addr);
	memcpy(t->router_id, p->router_id, BABEL_ROUTER_ID_LEN);
	t->via6 = w.ae == AE_VIA6;
	t->addr = w.ae == AE_IPV4 ? p->next_hop4 : p->next_hop6;
	if (t->metric != BABEL_INFINITY && (!p->has_router_id || t->addr.family == IP_NONE))
		return IGNORED;
	return t->interval_cs ? UPDATE_ADDRESS + octets : IGNORED;
}

static int read_route_request(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	struct wire_prefix w = {
		.ae = v[0], .plen = v[ROUTE_REQUEST_PLEN], .v = v + ROUTE_REQUEST_ADDRESS, .len = len - ROUTE_REQUEST_ADDRESS,
	};
	int octets = 0;

	(void)p;
	t->wildcard = w.ae == AE_WILDCARD;
	t->via6 = w.ae == AE_VIA6;
	if (t->wildcard ? w.plen != 0 : (octets = read_prefix(&t->prefix, &w)) < 0)
		return IGNORED;
	return ROUTE_REQUEST_ADDRESS + octets;
}

static int read_seqno_request(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	struct wire_prefix w = {
		.ae = v[0], .plen = v[SEQNO_REQUEST_PLEN], .v = v + SEQNO_REQUEST_ADDRESS, .len = len - SEQNO_REQUEST_ADDRESS,
	};
	int octets = read_prefix(&t->prefix, &w);

	(void)p;
	t->via6 = w.ae == AE_VIA6;
	t->seqno = get_be16(v + SEQNO_REQUEST_SEQNO);
	t->hop_count = v[SEQNO_REQUEST_HOP_COUNT];
	memcpy(t->router_id, v + SEQNO_REQUEST_ROUTER_ID, BABEL_ROUTER_ID_LEN);
	return octets < 0 || !t->hop_count || !router_id_legal(t->router_id) ? IGNORED : SEQNO_REQUEST_ADDRESS + octets;
}

/* RFC 8967: these have no sub-TLVs. */
static int read_pc(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	(void)p;
	t->pc = get_be32(v);
	t->bytes = v + PC_INDEX;
	t->len = (uint8_t)(len - PC_INDEX);
	return t->len <= BABEL_INDEX_MAX ? (int)len : IGNORED;
}

static int read_challenge(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len)
{
	(void)p;
	t->bytes = v;
	t->len = (uint8_t)len;
	return t->len <= BABEL_NONCE_MAX ? (int)len : IGNORED;
}

/* A source prefix (RFC 9079 chapter 5), in a TLV about a prefix: of its family, once, never of length 0, which is written by leaving it out. */
static bool read_source(struct babel_tlv *t, const uint8_t *v, size_t len)
{
	struct ip_prefix s = { .addr.family = t->prefix.dst.addr.family };
	size_t octets;

	if (s.addr.family == IP_NONE || t->prefix.src.len || len < 1)
		return false;
	s.len = v[0];
	octets = (s.len + 7U) / 8;
	if (s.len == 0 || s.len > ip_family_bits(s.addr.family) || len - 1 < octets)
		return false;
	memcpy(s.addr.bytes, v + 1, octets);
	ip_prefix_mask(&s);
	t->prefix.src = s;
	return true;
}

/* The first of a kind counts; one that is too short is as if it were not there (RFC 9616 3.3). */
static void read_timestamp(struct babel_tlv *t, const uint8_t *v, size_t len)
{
	if (t->has_timestamp)
		return;
	if (t->type == BABEL_HELLO && len >= 4) {
		t->has_timestamp = true;
		t->timestamp = get_be32(v);
	} else if (t->type == BABEL_IHU && len >= 8) {
		t->has_timestamp = true;
		t->origin = get_be32(v);
		t->receive = get_be32(v + 4);
	}
}

/* False: the TLV must be ignored. */
static bool read_subs(struct babel_tlv *t, const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		const uint8_t *v;
		uint8_t type = *at, len;

		if (type == SUB_PAD1) {
			at++;
			continue;
		}
		if (end - at < BABEL_TLV_HEADER)
			return false;
		len = at[1];
		v = at + BABEL_TLV_HEADER;
		if (end - v < len)
			return false;
		if (type == SUB_TIMESTAMP)
			read_timestamp(t, v, len);
		else if (type >= SUB_MANDATORY && (type != SUB_SOURCE_PREFIX || !read_source(t, v, len)))
			return false;
		at = v + len;
	}
	return true;
}

static const struct {
	uint8_t len_min;
	int (*read)(struct babel_parser *p, struct babel_tlv *t, const uint8_t *v, size_t len);
} readers[] = {
	[BABEL_ACK_REQUEST] = { ACK_REQUEST_LEN, read_ack_request },
	[BABEL_ACK] = { ACK_LEN, read_ack },
	[BABEL_HELLO] = { HELLO_LEN, read_hello },
	[BABEL_IHU] = { IHU_ADDRESS, read_ihu },
	[BABEL_ROUTER_ID] = { ROUTER_ID_LEN, read_router_id },
	[BABEL_NEXT_HOP] = { NEXT_HOP_ADDRESS, read_next_hop },
	[BABEL_UPDATE] = { UPDATE_ADDRESS, read_update },
	[BABEL_ROUTE_REQUEST] = { ROUTE_REQUEST_ADDRESS, read_route_request },
	[BABEL_SEQNO_REQUEST] = { SEQNO_REQUEST_ADDRESS, read_seqno_request },
	[BABEL_PC] = { PC_INDEX, read_pc },
	[BABEL_CHALLENGE_REQUEST] = { 0, read_challenge },
	[BABEL_CHALLENGE_REPLY] = { 0, read_challenge },
};

/* One TLV as it stands there. */
struct frame {
	uint8_t type;
	size_t len;
	const uint8_t *v;
};

/* The next one that is not Pad1; '*at' moves behind it. False, with '*at' at the end, if there is none: 'broken' if one began. */
static bool next_frame(const uint8_t **at, const uint8_t *end, struct frame *f, bool *broken)
{
	while (*at < end && **at == BABEL_PAD1)
		(*at)++;
	if (*at == end)
		return false;
	if (end - *at < BABEL_TLV_HEADER || end - *at - BABEL_TLV_HEADER < (*at)[1]) {
		*broken = true;
		*at = end;
		return false;
	}
	*f = (struct frame){ .type = (*at)[0], .len = (*at)[1], .v = *at + BABEL_TLV_HEADER };
	*at = f->v + f->len;
	return true;
}

size_t babel_body_end(const uint8_t *packet)
{
	return BABEL_HEADER + (size_t)get_be16(packet + 2);
}

bool babel_parse_begin(struct babel_parser *p, const uint8_t *packet, size_t len, const struct ip_addr *src)
{
	memset(p, 0, sizeof(*p));
	if (len < BABEL_HEADER || packet[0] != BABEL_MAGIC || packet[1] != BABEL_VERSION || babel_body_end(packet) > len)
		return false;
	p->at = packet + BABEL_HEADER;
	p->end = p->trailer = packet + babel_body_end(packet);
	p->trailer_end = packet + len;
	if (src->family == IP_V4)
		p->next_hop4 = *src;
	else
		p->next_hop6 = *src;
	return true;
}

bool babel_parse_next(struct babel_parser *p, struct babel_tlv *tlv)
{
	struct frame f;

	while (next_frame(&p->at, p->end, &f, &p->broken)) {
		int natural = IGNORED;

		/* A MAC has no business in the body, where it is not over anything (RFC 8967 4.1): as unknown as the unknown. */
		if (f.type >= sizeof(readers) / sizeof(readers[0]) || !readers[f.type].read)
			continue;
		memset(tlv, 0, sizeof(*tlv));
		tlv->type = (enum babel_tlv_type)f.type;
		if (f.len >= readers[f.type].len_min)
			natural = readers[f.type].read(p, tlv, f.v, f.len);
		if (natural < 0 || !read_subs(tlv, f.v + natural, f.v + f.len))
			p->ignored++;
		else if (f.type != BABEL_ROUTER_ID && f.type != BABEL_NEXT_HOP)
			return true;
	}
	return false;
}

bool babel_parse_trailer(struct babel_parser *p, struct babel_tlv *tlv)
{
	bool broken = false;	/* what is behind the MACs may be anything: padding up to the MTU, say */
	struct frame f;

	while (next_frame(&p->trailer, p->trailer_end, &f, &broken)) {
		if (f.type != BABEL_MAC || f.len == 0)
			continue;
		memset(tlv, 0, sizeof(*tlv));
		tlv->type = BABEL_MAC;
		tlv->bytes = f.v;
		tlv->len = (uint8_t)f.len;
		return true;
	}
	return false;
}
