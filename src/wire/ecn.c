/* SPDX-License-Identifier: MIT */
/*
 * Explicit congestion notification through the tunnel: RFC 6040 between meshd nodes, RFC 3168 as kernel WireGuard has it to
 * others, and the bits themselves. No state: whether a peer takes ECN in, and whether a path bleaches it, is known elsewhere.
 */
#include "wire/ecn.h"

#include "base/addr.h"
#include "base/bytes.h"
#include "wire/ip.h"

enum {
	IP4_CHECKSUM = 10,
	IP6_ECN_SHIFT = 4,	/* in byte 1: the traffic class straddles the first two */
};

uint8_t ecn_outer_mesh(uint8_t inner)
{
	return inner & ECN_MASK;
}

uint8_t ecn_outer_plain(uint8_t inner)
{
	inner &= ECN_MASK;
	return inner == ECN_CE ? ECN_ECT0 : inner;
}

/*
 * Figure 4 in words: an inner packet that is not ECN-capable cannot be marked; otherwise the more severe mark counts,
 * in the order ECT(0), ECT(1), CE.
 */
enum ecn_verdict ecn_decapsulate(uint8_t inner, uint8_t outer, uint8_t *result)
{
	inner &= ECN_MASK;
	outer &= ECN_MASK;
	*result = inner;
	if (inner == ECN_NOT_ECT)
		return outer == ECN_CE ? ECN_DROP : ECN_KEEP;
	if ((outer == ECN_CE && inner != ECN_CE) || (outer == ECN_ECT1 && inner == ECN_ECT0)) {
		*result = outer;
		return ECN_CHANGE;
	}
	return ECN_KEEP;
}

uint8_t packet_tos(const uint8_t *packet)
{
	return packet[0] >> 4 == IP_V4 ? packet[1] : (uint8_t)(get_be16(packet) >> 4);
}

/*
 * HC' = ~(~HC + ~m + m'). The sum is never 0, since m' holds the version and is not, so it folds to 1..0xffff like
 * that of the header: the same number where both are right, and no question of two zeros.
 */
static void set_ecn4(uint8_t *packet, uint8_t ecn)
{
	uint16_t sum = (uint16_t)~get_be16(packet + IP4_CHECKSUM), old = (uint16_t)~get_be16(packet);

	packet[1] = (uint8_t)((packet[1] & ~ECN_MASK) | ecn);
	put_be16(packet + IP4_CHECKSUM, ip_sum_fold((uint64_t)sum + old + get_be16(packet)));
}

void packet_set_ecn(uint8_t *packet, uint8_t ecn)
{
	if ((packet_tos(packet) & ECN_MASK) == ecn)
		return;
	if (packet[0] >> 4 == IP_V4)
		set_ecn4(packet, ecn);
	else
		packet[1] = (uint8_t)((packet[1] & ~(ECN_MASK << IP6_ECN_SHIFT)) | ecn << IP6_ECN_SHIFT);
}
