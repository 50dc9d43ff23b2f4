/* SPDX-License-Identifier: MIT */
/*
 * From link to link. Where a packet goes is looked up in two tables, the configured allowed IPs and the routes Babel has found
 * (node/fib.h); so is whether a packet that came in may have its source. Both are asked once for a row of packets between the same
 * addresses, as GRO delivers them.
 *
 * With Transit = lane an opened packet for another peer is a router's business (RFC 1812 5.2, RFC 8200 4.4 and 4.5): one hop less, and then out
 * as if it had been read from the TUN - the same placing of flows, the same queue - but that it lies in the driver's buffer, so it is copied
 * if it has to wait. Runs stay runs: what is sealed in a row, of one length and to one place, is one GSO send. What cannot go on is answered
 * with an ICMP error, from an address of ours, over the link it came from; what does not fit the next link is lane_fit.c's.
 */
#include <string.h>

#include "base/bytes.h"
#include "node/fib.h"
#include "node/lane_inside.h"
#include "node/shortcut.h"
#include "wire/ip.h"

enum {
	PORT_BABEL = 6696,
	UDP_HEADER = 8,
};

static struct lane_peer *allowed_for(const struct lane *l, uint8_t family, const uint8_t *addr, unsigned int *len)
{
	return family == IP_V4 ? lpm_lookup4_len(l->allowed, addr, len) : lpm_lookup6_len(l->allowed, addr, len);
}

enum lane_way lane_way(const struct lane *l, const struct ip_view *v, struct lane_peer **to, unsigned int *len)
{
	struct lane_peer *p = allowed_for(l, v->family, v->dst, len);
	const struct fib_entry *e = l->fib->count ? fib_lookup(l->fib, v->family, v->src, v->dst) : NULL;

	*to = NULL;
	if (!e || (p && *len >= e->dst_len)) {
		*to = p;
		return p ? LANE_WAY_PEER : LANE_WAY_NONE;
	}
	*len = e->dst_len;
	switch ((enum fib_action)e->action) {
	case FIB_PEER:
		*to = e->peer;
		return LANE_WAY_PEER;
	case FIB_UNREACHABLE:
		return LANE_WAY_UNREACHABLE;
	case FIB_HOST:
	case FIB_NONE:
		break;
	}
	return LANE_WAY_HOST;
}

struct lane_peer *lane_shortcut(struct lane *l, const struct ip_view *v, struct lane_peer *to, unsigned int len)
{
	struct owner *w = owners_lookup(l->owners, v->family, v->dst);
	const struct owner *ours;
	unsigned int allowed;

	/* What the config gives to somebody, as long a prefix or longer, is the operator's word; a longer route may be to something behind another. */
	if (!w || !w->peer || w->peer == to || len > w->prefix.len || (allowed_for(l, v->family, v->dst, &allowed) && allowed >= w->prefix.len))
		return to;
	ours = owners_lookup(l->owners, v->family, v->src);
	if (!ours || ours->peer)
		return to;
	if (w->shortcut && lane_has_session(l, &w->peer->links[l->number])) {
		atomic_fetch_add_explicit(&w->used, 1, memory_order_relaxed);
		return w->peer;
	}
	atomic_fetch_add_explicit(&w->wanted, 1, memory_order_relaxed);
	return to;
}

/* 192.0.0.8: what a router without an IPv4 address sends errors from (RFC 7600 4.8, RFC 9229 3). */
static const uint8_t dummy4[4] = { 192, 0, 0, 8 };

/* An error of such a router somewhere behind a neighbour: nobody announces its source, and without it path MTUs are not found. */
static bool is_dummys_error(const struct lane_peer *p, const struct ip_view *v)
{
	return p->babel && v->family == IP_V4 && v->proto == IP_PROTO_ICMP && !memcmp(v->src, dummy4, sizeof(dummy4));
}

/*
 * The source check. An allowed IP of the peer's will do, as ever. Otherwise the peer must announce the longest prefix that is known; an
 * allowed IP of another peer's is one that it does not.
 */
static bool may_have_source(const struct lane *l, const struct lane_peer *p, const struct ip_view *v)
{
	unsigned int len;
	const struct lane_peer *owner = allowed_for(l, v->family, v->src, &len);
	const struct fib_entry *e;

	if (owner == p || is_dummys_error(p, v))
		return true;
	e = l->fib->count ? fib_origin(l->fib, v->family, v->src, v->dst) : NULL;
	if (!e || (owner && len > e->dst_len))
		return false;
	return fib_announces(e, p);
}

/* What is the peer's by its record, it may send itself over a shortcut - to us, and no further: whoever is asked to forward announces the source, too. */
static bool is_its_own(const struct lane *l, const struct lane_peer *p, const struct ip_view *v)
{
	const struct owner *w = l->owners->count ? owners_lookup(l->owners, v->family, v->src) : NULL;
	unsigned int len;

	return w && w->peer == p && !(allowed_for(l, v->family, v->src, &len) && len >= w->prefix.len);
}

/* Whether an IPv4 address means something beyond its link and host. */
static bool is_routable4(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224 && !(a[0] == 169 && a[1] == 254);
}

static bool is_routable6(const uint8_t *a)
{
	static const uint8_t zeros[15];

	return a[0] != 0xff && !(a[0] == 0xfe && (a[1] & 0xc0) == 0x80) && !(a[15] <= 1 && !memcmp(a, zeros, 15));
}

/* Whether the kernel has a way of its own for the destination that it would take rather than one of 'len' bits into the mesh. */
static bool is_for_host(const struct lane *l, const struct ip_view *v, unsigned int len)
{
	unsigned int host_len;
	const void *known = v->family == IP_V4 ? lpm_lookup4_len(l->host, v->dst, &host_len) : lpm_lookup6_len(l->host, v->dst, &host_len);

	return known && host_len >= len;
}

/* Whether a packet could be forwarded at all. */
static bool may_pass(const struct ip_view *v)
{
	return v->family == IP_V4 ? is_routable4(v->src) && is_routable4(v->dst) : is_routable6(v->src) && is_routable6(v->dst);
}

/* Where it goes if it may; the host is asked last, for most of what comes has another end. */
static enum lane_way way_on(const struct lane *l, const struct ip_view *v, struct lane_peer **to)
{
	unsigned int len;
	enum lane_way way = lane_way(l, v, to, &len);

	return way != LANE_WAY_HOST && way != LANE_WAY_NONE && is_for_host(l, v, len) ? LANE_WAY_HOST : way;
}

/* Whether a packet ends here, or behind us, by our record. */
static bool is_for_us(const struct lane *l, const struct ip_view *v)
{
	const struct owner *w = owners_lookup(l->owners, v->family, v->dst);

	return w && !w->peer;
}

const struct lane_verdict *lane_judge(struct lane *l, struct lane_peer *p, const struct ip_view *v)
{
	size_t size = 2 * ip_family_bytes(v->family);
	struct lane_verdict *last = &l->last;

	if (last->from == p && last->family == v->family && last->proto == v->proto && !memcmp(last->addresses, v->src, size))
		return last;
	last->from = p;
	last->family = v->family;
	last->proto = v->proto;
	memcpy(last->addresses, v->src, size);
	last->accepted = may_have_source(l, p, v);
	last->way = LANE_WAY_HOST;
	last->to = NULL;
	if (last->accepted && l->transit != TRANSIT_KERNEL && may_pass(v))
		last->way = (uint8_t)way_on(l, v, &last->to);
	else if (!last->accepted && is_its_own(l, p, v))
		last->accepted = is_for_us(l, v);
	return last;
}

/* Where errors come from: an address of ours; without one, for IPv4 the dummy address, for IPv6 NULL. */
static const uint8_t *error_source(const struct lane *l, const uint8_t *packet)
{
	if (packet[0] >> 4 == IP_V4)
		return l->own4.family == IP_V4 ? l->own4.bytes : dummy4;
	return l->own6.family == IP_V6 ? l->own6.bytes : NULL;
}

void lane_tell_peer(struct lane *l, struct lane_peer *from, const uint8_t *packet, uint32_t len, enum icmp_error error, uint32_t mtu)
{
	struct packet answer = { 0 };

	if (!lane_error_allowed(l))
		return;
	answer.data = l->errors[l->errors_used] + VNET_LEN;
	answer.len = (uint32_t)icmp_error_write_from(answer.data, error, mtu, error_source(l, packet), packet, len);
	if (!answer.len)
		return;
	l->errors_used++;
	lane_send(l, from, &answer, NULL);
}

static void refuse(struct lane *l, struct lane_peer *from, const uint8_t *packet, uint32_t len, enum drop_reason reason,
		   enum icmp_error error, uint32_t mtu)
{
	lane_drop(l, reason);
	lane_tell_peer(l, from, packet, len, error, mtu);
}

/* To another peer, over the lane and sub-session its flow has. */
static void forward(struct lane *l, struct lane_peer *from, struct lane_peer *to, uint8_t *data, uint32_t len)
{
	struct packet packet = { .data = data, .len = len };
	uint32_t max = lane_len_max(data, lane_mtu(l, to));

	if (to == from) {
		lane_drop(l, DROP_LOOP);
	} else if (ip_hops(data) <= 1) {
		refuse(l, from, data, len, DROP_HOP_LIMIT, ICMP_TIME_EXCEEDED, 0);
	} else if (len > max && !lane_is_fragmentable(data)) {
		refuse(l, from, data, len, DROP_TOO_BIG, ICMP_TOO_BIG, max);
	} else {
		ip_decrement_hops(data);
		l->forwarded++;
		lane_send(l, to, &packet, from);
	}
}

bool lane_transit(struct lane *l, const struct lane_verdict *verdict, uint8_t *packet, uint32_t len)
{
	struct lane_peer *from = verdict->from;

	if (verdict->way == LANE_WAY_HOST || verdict->way == LANE_WAY_NONE)
		return false;
	if (l->transit == TRANSIT_OFF)
		lane_drop(l, DROP_TRANSIT);
	else if (verdict->way == LANE_WAY_UNREACHABLE)
		refuse(l, from, packet, len, DROP_UNREACHABLE, ICMP_NO_ROUTE, 0);
	else
		forward(l, from, verdict->to, packet, len);
	return true;
}

/* fe80::/64, which is what interfaces have of fe80::/10. */
static bool is_link_local64(const uint8_t *a)
{
	static const uint8_t prefix[8] = { 0xfe, 0x80 };

	return !memcmp(a, prefix, sizeof(prefix));
}

bool lane_is_routing(const struct ip_view *v, const uint8_t *packet)
{
	static const uint8_t group[16] = { 0xff, 0x02, [13] = 1, [15] = 6 };	/* ff02::1:6 */

	return v->family == IP_V6 && v->proto == IP_PROTO_UDP && v->len >= IP6_HEADER + UDP_HEADER &&
	       get_be16(packet + IP6_HEADER + 2) == PORT_BABEL && is_link_local64(v->src) &&
	       (is_link_local64(v->dst) || !memcmp(v->dst, group, sizeof(group)));
}
