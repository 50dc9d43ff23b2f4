/* SPDX-License-Identifier: MIT */
/*
 * What does not fit. The paths to a peer may carry less than the TUN's MTU says, and change while packets wait: then struct lane_peer.mtu
 * is what inner packets may have, and this is what becomes of longer ones, from the TUN or on their way through:
 *
 * - a TCP super-packet is cut smaller, which costs nobody anything; so is a segment of the host's own, which else would remember for ten minutes
 *   what was perhaps the base of a search (path/pmtu.h);
 * - IPv6, and IPv4 with DF, is dropped and its sender told how much fits (RFC 8201, RFC 1191), for a train of datagrams once;
 * - IPv4 without DF goes in fragments (wire/fragment.h), inside, where nobody on the way sees or drops them.
 *
 * IPv6 hosts cannot be told less than 1280 (RFC 8200 section 5), so up to that their packets go as they are, and outside they are fragmented.
 *
 * The MSS of TCP connections is clamped here as well, for hosts that hear of none of this.
 */
#include "base/bytes.h"
#include "crypto/aead.h"
#include "node/lane_inside.h"
#include "wire/fragment.h"
#include "wire/ip.h"
#include "wire/mss.h"

enum {
	IP4_DF = 0x40,		/* in byte 6 */
	FRAGMENT = 0x3fff,	/* MF and offset, of bytes 6 and 7 */
	TCP_HEADER_MIN = 20,
	TCP_WHOLE = 0x26,	/* SYN, RST, URG: not cut */
	FRAGMENT_OVERHEAD = FRAGMENT_HEADER_MAX + WG_DATA_HEADER + WG_PADDING + AEAD_TAG,
};

bool lane_is_fragmentable(const uint8_t *packet)
{
	return packet[0] >> 4 == IP_V4 && !(packet[6] & IP4_DF);
}

void lane_make_super(struct packet *packet, uint32_t limit)
{
	struct vnet *vnet = &packet->vnet;
	uint32_t header;
	struct ip_view v;

	/* Only with a checksum that is yet to be made: a wrong one of somebody else's must not become right. */
	if (!(vnet->flags & VNET_NEEDS_CSUM) || !ip_view(&v, packet->data, packet->len) || v.proto != IP_PROTO_TCP ||
	    vnet->csum_start != v.header_len || v.len < v.header_len + TCP_HEADER_MIN)
		return;
	header = v.header_len + 4 * (uint32_t)(packet->data[v.header_len + 12] >> 4);
	if ((packet->data[v.header_len + 13] & TCP_WHOLE) || (v.family == IP_V4 && (get_be16(packet->data + 6) & FRAGMENT)) ||
	    limit <= header)
		return;
	vnet->gso_type = v.family == IP_V4 ? VNET_GSO_TCP4 : VNET_GSO_TCP6;
	vnet->gso_size = (uint16_t)(limit - header);
}

uint32_t lane_len_max(const uint8_t *packet, uint32_t limit)
{
	return packet[0] >> 4 == IP_V6 && limit < LANE_MTU_MIN6 ? LANE_MTU_MIN6 : limit;
}

bool lane_fit(struct lane *l, struct split *s, uint32_t limit, struct lane_peer *from, bool transit)
{
	if (split_shrink(s, limit) || lane_is_fragmentable(s->packet))
		return true;
	limit = lane_len_max(s->packet, limit);
	if (split_next_len(s) <= limit)
		return true;
	lane_drop(l, DROP_TOO_BIG);
	if (from)
		lane_tell_peer(l, from, s->packet, s->len, ICMP_TOO_BIG, limit);
	else if (!transit)
		lane_tell(l, s->packet, s->len, ICMP_TOO_BIG, limit);
	return false;
}

bool lane_has_fragment_room(const struct lane *l, uint32_t len, uint32_t limit)
{
	size_t count = fragment_count_max(len, limit);

	return l->run_count + count <= LANE_RUNS_MAX && l->out_used + len + count * FRAGMENT_OVERHEAD <= LANE_OUT_BYTES;
}

uint32_t lane_seal_fragments(struct lane *l, struct lane_link *k, unsigned int number, struct subsession *s, uint8_t tos, uint8_t *data,
			     uint32_t len, uint32_t limit)
{
	struct fragment f;
	uint32_t bytes = 0, one_len;
	uint8_t *one;

	/* What claims to be a fragment beyond all offsets, say: the peer would drop it, or what is behind it. */
	if (!fragment_begin(&f, data, len, limit))
		return lane_seal(l, k, number, s, tos, data, len);
	while (fragment_next(&f, &one, &one_len))
		bytes += lane_seal(l, k, number, s, tos, one, one_len);
	return bytes;
}

void lane_clamp(const struct lane *l, const struct lane_peer *p, uint8_t *packet, uint32_t len, bool partial)
{
	uint32_t headers = len && packet[0] >> 4 == IP_V6 ? MSS_HEADERS6 : MSS_HEADERS4;
	uint32_t max = l->mss_clamp == MSS_CLAMP_ON ? lane_mtu(l, p) - headers : (uint32_t)l->mss_clamp;

	mss_clamp(packet, len, max < UINT16_MAX ? (uint16_t)max : UINT16_MAX, partial);
}
