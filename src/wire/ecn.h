/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_ECN_H
#define MESHD_WIRE_ECN_H

#include <stdint.h>

/* The two low bits of the TOS or traffic class (RFC 3168 section 5; ECT(1) is L4S's: RFC 9331). */
enum ecn {
	ECN_NOT_ECT = 0,
	ECN_ECT1 = 1,
	ECN_ECT0 = 2,
	ECN_CE = 3,
};

enum { ECN_MASK = 3 };

/* What to do with an inner packet after its outer header was looked at. */
enum ecn_verdict {
	ECN_KEEP,	/* deliver it as it is */
	ECN_CHANGE,	/* write the result into it, packet_set_ecn(), and deliver it */
	ECN_DROP,	/* congestion on the way of one who would not hear of it: drop it, and count */
};

/*
 * The codepoint of the outer header, for an inner one. Here and below a whole TOS may be given: only its two ECN bits are looked at.
 *
 * To peers that are known to take it in by RFC 6040: its normal mode (section 4.1), all four are copied.
 */
uint8_t ecn_outer_mesh(uint8_t inner);

/*
 * To peers that might be kernel WireGuard: as its INET_ECN_encapsulate() does, RFC 3168 9.1.1 "full functionality", CE as
 * ECT(0) and the others copied. (One that only might be compatible gets ECN_NOT_ECT, and needs no function.)
 */
uint8_t ecn_outer_plain(uint8_t inner);

/*
 * The inner codepoint after decapsulation (RFC 6040 section 4.2, figure 4). '*result' is always set: on ECN_KEEP and ECN_DROP it is
 * the inner one, so who delivers what should be dropped (a path that bleaches, a plain peer) need not care.
 */
enum ecn_verdict ecn_decapsulate(uint8_t inner, uint8_t outer, uint8_t *result);

/* TOS or traffic class, of a packet that ip_view() has seen or whose first IPv4 or IPv6 header is whole. */
uint8_t packet_tos(const uint8_t *packet);

/*
 * Set the two ECN bits of such a packet and nothing else; 'ecn' is an enum ecn. The IPv4 header's checksum is repaired (RFC 1624,
 * eqn. 3): to the very value computing it anew would give if it was right, and to one as wrong if it was not.
 */
void packet_set_ecn(uint8_t *packet, uint8_t ecn);

#endif
