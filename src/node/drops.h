/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_DROPS_H
#define MESHD_NODE_DROPS_H

#include <stdint.h>

/* Every reason a packet can end here rather than go on. Names for people: drop_name(). */
enum drop_reason {
	/* outer side, before a peer is known */
	DROP_NOT_WIREGUARD,	/* type or length of no message */
	DROP_BAD_MAC1,		/* not made for our public key */
	DROP_NO_INDEX,		/* receiver index we did not give out */
	DROP_RATE_LIMITED,	/* a source sends handshakes too fast */
	DROP_HANDSHAKE_QUEUE,	/* more handshakes wait than we hold */
	DROP_NO_IDENTITY,	/* we have no private key */
	/* handshakes */
	DROP_HANDSHAKE_FORGED,
	DROP_HANDSHAKE_REPLAYED,
	DROP_HANDSHAKE_FLOODED,
	DROP_HANDSHAKE_UNEXPECTED,
	DROP_UNKNOWN_PEER,	/* a key nobody configured */
	DROP_COOKIE_BAD,
	/* data from peers */
	DROP_FORGED,		/* does not authenticate */
	DROP_REPLAYED,
	DROP_KEY_EXPIRED,
	DROP_BAD_INNER,		/* the plaintext is no IP packet */
	DROP_SOURCE,		/* inner source is not the peer's */
	DROP_TRANSIT,		/* for another peer, and we forward nothing */
	DROP_LOOP,		/* for the very peer it came from */
	DROP_HOP_LIMIT,		/* used up on its way through */
	DROP_TOO_BIG,		/* for the peer's paths, or on its way through for the next link */
	DROP_ROUTING_QUEUE,	/* more of Babel's packets wait than we hold */
	DROP_ECN,		/* congestion was met on the way, and the packet does not know marks (RFC 6040) */
	DROP_CONTROL,		/* a control message that is malformed, or of no kind known here */
	DROP_CONTROL_QUEUE,	/* more control messages wait than we hold */
	DROP_OVERLOAD,		/* came in faster than it could be opened: queue full, or CoDel's */
	/* data to peers */
	DROP_NO_PEER,		/* no allowed IP or route covers the destination */
	DROP_UNREACHABLE,	/* the route to it has just been lost */
	DROP_NO_ENDPOINT,
	DROP_ENDPOINT_LOOP,	/* the endpoint's route leads into our own TUN */
	DROP_NO_SESSION,	/* retries ended, or its sub-session did, while it waited */
	DROP_QUEUE_FULL,	/* too many wait: the oldest of a peer without a session, or of the fattest flow */
	DROP_CODEL,		/* its flow's packets waited too long for too long (RFC 8289) */
	DROP_BAD_OUTGOING,	/* the kernel handed us no IP packet */
	DROP_UDP_SEND,		/* the socket refused it */
	DROP_TUN_WRITE,		/* the TUN refused it */
	DROP_REASONS,
};

/* A short lower-case name with underscores, as shown by status and JSON. */
const char *drop_name(enum drop_reason reason);

#endif
