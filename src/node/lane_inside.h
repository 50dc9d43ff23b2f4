/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_LANE_INSIDE_H
#define MESHD_NODE_LANE_INSIDE_H

#include "base/container.h"
#include "node/change.h"
#include "node/lane.h"

/*
 * The inside of a lane, shared by lane.c (how a packet travels, and goes out), lane_in.c (how it comes in), lane_transit.c (from link to link),
 * lane_fit.c (what does not fit),
 * lane_queue.c (where it waits) and lane_notes.c (what the node hears and asks), and by nobody else.
 */

struct ip_view;

static inline void lane_drop(struct lane *l, enum drop_reason reason)
{
	l->drops[reason]++;
}

/* lane_notes.c */

/* Note events for the node. */
void lane_note(struct lane *l, struct lane_link *k, unsigned int events);

/* Have lane_drain() look at the link. */
void lane_pend(struct lane *l, struct lane_link *k);

/* Keep a handshake message or an opened control message for the node. */
void lane_keep_handshake(struct lane *l, const struct dgram *d);
void lane_keep_control(struct lane *l, struct lane_peer *p, unsigned int number, const struct dgram *d, const uint8_t *msg,
		       uint32_t len);

/* Keep a packet of Babel's for the node. */
void lane_keep_routing(struct lane *l, struct lane_peer *p, const uint8_t *packet, uint32_t len);

/* lane_transit.c */

/*
 * Where a packet goes: by allowed IPs and by routes, the longer prefix, of two as long the allowed IP. '*to' is set for LANE_WAY_PEER, '*len' is
 * that of the prefix - without meaning where there is none.
 */
enum lane_way lane_way(const struct lane *l, const struct ip_view *v, struct lane_peer **to, unsigned int *len);

/*
 * Where a packet of the host's own goes that would go to 'to' (NULL: nowhere) by a prefix of 'len' bits: to the owner of its destination, if a shortcut to it stands; else as it would, but the owner learns
 * that a shortcut is wanted.
 */
struct lane_peer *lane_shortcut(struct lane *l, const struct ip_view *v, struct lane_peer *to, unsigned int len);

/* Whether an opened packet may be the peer's, and where it goes from here. Good until the next is asked about. */
const struct lane_verdict *lane_judge(struct lane *l, struct lane_peer *p, const struct ip_view *v);

/* Forward an opened packet that was accepted, or drop it. False: it is for the TUN. */
bool lane_transit(struct lane *l, const struct lane_verdict *verdict, uint8_t *packet, uint32_t len);

/* Whether a packet is one of Babel's for this node (RFC 8966: link-local UDP). */
bool lane_is_routing(const struct ip_view *v, const uint8_t *packet);

/* An ICMP error to a peer, about a packet that came from it, if there is room and ration for it. 'mtu' is for ICMP_TOO_BIG. */
void lane_tell_peer(struct lane *l, struct lane_peer *from, const uint8_t *packet, uint32_t len, enum icmp_error error, uint32_t mtu);

/* lane_fit.c */

enum {
	LANE_MTU_MIN = 512,	/* less is not believed of any path: it would be cut to shreds */
	LANE_MTU_MIN6 = 1280,	/* the least an IPv6 host is told (RFC 8200 section 5): where paths carry less the outer packets are fragmented */
};

/* The longest inner packet that fits the paths to a peer. */
static inline uint32_t lane_mtu(const struct lane *l, const struct lane_peer *p)
{
	if (!p->mtu || p->mtu >= l->mtu)
		return l->mtu;
	return p->mtu > LANE_MTU_MIN ? p->mtu : LANE_MTU_MIN;
}

/* The same as a limit for what goes to it. What comes from the TUN fits that, so there is one only where the peer's paths carry less. */
static inline uint32_t lane_limit(const struct lane *l, const struct lane_peer *p, bool transit)
{
	return transit || (p->mtu && p->mtu < l->mtu) ? lane_mtu(l, p) : UINT32_MAX;
}

/*
 * Asked where the next segment is longer than 'limit'. True: the packet can go: a TCP super-packet is cut smaller from here on, IPv4 that may be
 * fragmented will be (lane_seal_split()), IPv6 of LANE_MTU_MIN6 goes as it is. False: it cannot, which was counted and told: to the peer it came
 * from, else to the TUN, unless 'transit'.
 */
bool lane_fit(struct lane *l, struct split *s, uint32_t limit, struct lane_peer *from, bool transit);

/* A TCP segment of the host's own that is longer than 'limit' becomes a super-packet; other packets stay what they are. */
void lane_make_super(struct packet *packet, uint32_t limit);

/* Whether a packet is IPv4 that may be cut into fragments. If not, the most it may have to go to a peer. */
bool lane_is_fragmentable(const uint8_t *packet);
uint32_t lane_len_max(const uint8_t *packet, uint32_t limit);

/* Whether the output has room for a packet's fragments; and they, sealed. Returns what they come to. */
bool lane_has_fragment_room(const struct lane *l, uint32_t len, uint32_t limit);
uint32_t lane_seal_fragments(struct lane *l, struct lane_link *k, unsigned int number, struct subsession *s, uint8_t tos, uint8_t *data,
			     uint32_t len, uint32_t limit);

/* Clamp the MSS of a packet to or from a peer, where that is configured. */
void lane_clamp(const struct lane *l, const struct lane_peer *p, uint8_t *packet, uint32_t len, bool partial);

/* lane.c */

/* The sub-session to send with, or NULL where there is no session or no such one; notes what the node should know about it. */
struct subsession *lane_sealing(struct lane *l, struct lane_link *k, unsigned int number);

/* Whether there is a session to send with. Of session 0 no lane but its home looks at more than the age. */
bool lane_has_session(struct lane *l, struct lane_link *k);

/* Whether a packet of 'len' bytes can be sealed into the output as it is now. */
bool lane_has_room(const struct lane *l, uint32_t len);

/* Seal a packet into the output, where lane_has_room() found room. Returns what it comes to, outer headers and all. */
uint32_t lane_seal(struct lane *l, struct lane_link *k, unsigned int number, struct subsession *s, uint8_t tos, uint8_t *data,
		   uint32_t len);

/*
 * Cut what is left of a packet and seal it, until about 'bytes_max' or the output is full. Returns what that comes to, outer headers
 * and all. IPv4 longer than 'limit' that allows it goes in fragments.
 */
uint32_t lane_seal_split(struct lane *l, struct lane_link *k, unsigned int number, struct subsession *s, struct split *split,
			 uint32_t bytes_max, uint32_t limit);

/* Which of our sub-sessions a flow goes on: 0, or one of this lane. */
unsigned int lane_place(struct lane *l, struct lane_link *k, uint64_t hash);

/* The outer TOS for a packet with this inner one. */
uint8_t lane_outer_tos(const struct lane_peer *p, uint8_t inner);

/* Send a packet to a peer by the lane and sub-session it belongs to. 'from': who gets errors; NULL: the TUN. */
void lane_send(struct lane *l, struct lane_peer *to, struct packet *packet, struct lane_peer *from);

/* Whether one more ICMP error may be written, into errors[errors_used]: they are rationed like the kernel's own. */
bool lane_error_allowed(struct lane *l);

/* An ICMP error back into the TUN, if there is room and ration for it. 'mtu' is for ICMP_TOO_BIG. */
void lane_tell(struct lane *l, const uint8_t *packet, uint32_t len, enum icmp_error error, uint32_t mtu);

/* The peer with the allowed IP that covers an address, or NULL. */
struct lane_peer *lane_allowed_peer(const struct lane *l, uint8_t family, const uint8_t *addr);

/* lane_in.c */

/* The output is for the TUN from now on: opened packets are merged into it. */
void lane_begin_in(struct lane *l);

/* What a datagram that waited does, as if it came now. */
void lane_dgram_in(struct lane *l, const struct dgram *d);

/* lane_queue.c */

bool lane_queue_init(struct lane *l);
void lane_queue_done(struct lane *l);

/*
 * Let a packet wait. 'number' is where its flow was placed. Takes packet->slot and replaces it, or copies. 'from' is the peer it came from, NULL: it
 * is the TUN's.
 */
void lane_wait(struct lane *l, struct lane_link *k, struct packet *packet, unsigned int number, uint64_t hash, struct lane_peer *from);

/* Whether a packet of the link would go straight through: nothing is ahead of it, and no shaper is on. */
bool lane_is_clear(const struct lane *l, const struct lane_link *k);

/* Whether neither the interface's shaper nor the peer's is on. */
bool lane_is_unshaped(const struct lane *l, const struct lane_link *k);

/* Seal from the queue, about 'bytes'. True: more could go now. */
bool lane_serve(struct lane *l, uint32_t bytes);

/* Give the memory of datagrams back whose writes were in the output. */
void lane_free_spent(struct lane *l);

#endif
