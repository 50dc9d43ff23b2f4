/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_BABEL_H
#define MESHD_WIRE_BABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * Babel packets, bytes to structs and back (RFC 8966 chapter 4; RFC 9079 source prefixes, RFC 9229 IPv4 via IPv6, RFC 9616
 * timestamps, RFC 8967 authentication). No state but a packet's own: the parser's defaults and the writer's compression.
 * Intervals are centiseconds, as on the wire; RFC sections are those of RFC 8966 where no other is named.
 */

enum {
	BABEL_PORT = 6696,
	BABEL_HEADER = 4,
	BABEL_INFINITY = 0xffff,
	BABEL_ROUTER_ID_LEN = 8,
	BABEL_INDEX_MAX = 32,		/* RFC 8967 4.2 */
	BABEL_NONCE_MAX = 192,
	BABEL_MAC_MAX = 32,
	BABEL_PC_TLV_MAX = 6 + BABEL_INDEX_MAX,
};

enum babel_tlv_type {
	BABEL_PAD1 = 0,
	BABEL_PADN = 1,
	BABEL_ACK_REQUEST = 2,
	BABEL_ACK = 3,
	BABEL_HELLO = 4,
	BABEL_IHU = 5,
	BABEL_ROUTER_ID = 6,
	BABEL_NEXT_HOP = 7,
	BABEL_UPDATE = 8,
	BABEL_ROUTE_REQUEST = 9,
	BABEL_SEQNO_REQUEST = 10,
	BABEL_MAC = 16,
	BABEL_PC = 17,
	BABEL_CHALLENGE_REQUEST = 18,
	BABEL_CHALLENGE_REPLY = 19,
};

/* ff02::1:6. */
extern const struct ip_addr babel_group;

/* One TLV that means something to a receiver: Pad, Router-Id, Next Hop and unknown ones only move the parser. */
struct babel_tlv {
	enum babel_tlv_type type;
	uint16_t opaque;		/* AckReq, Ack */
	uint16_t interval_cs;		/* AckReq, Hello (0: unscheduled), IHU, Update (0xffff: not repeated) */
	uint16_t seqno;			/* Hello, Update, SeqnoRequest */
	uint16_t metric;		/* Update; rxcost of an IHU */
	bool unicast;			/* Hello: the U flag */
	bool wildcard;			/* Update, RouteRequest: AE 0, all prefixes */
	bool via6;			/* AE 4: IPv4 through an IPv6 next hop */
	bool to_any;			/* IHU: AE 0, no address */
	uint8_t hop_count;		/* SeqnoRequest, 1..255 */
	struct ip_addr addr;		/* IHU: whom it is for; Update: the next hop (family IP_NONE for a retraction without) */
	struct prefix_pair prefix;	/* Update, RouteRequest, SeqnoRequest; masked */
	uint8_t router_id[BABEL_ROUTER_ID_LEN];	/* SeqnoRequest, Update; all zero for a retraction without */
	bool has_timestamp;		/* Hello: 'timestamp'; IHU: 'origin' and 'receive' (RFC 9616), microseconds modulo 2^32 */
	uint32_t timestamp, origin, receive;
	uint32_t pc;			/* PC (RFC 8967) */
	const uint8_t *bytes;		/* MAC, PC: index, challenges: nonce; into the packet */
	uint8_t len;
};

/* A packet under way. 'ignored' counts TLVs that had to be ignored, unknown ones not included. */
struct babel_parser {
	const uint8_t *at, *end;	/* of the body or trailer */
	const uint8_t *trailer, *trailer_end;
	bool broken;			/* framing ended early */
	unsigned int ignored;
	struct ip_addr next_hop4, next_hop6;	/* family IP_NONE: undefined */
	bool has_router_id;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	struct {
		bool set;
		uint8_t bytes[16];
	} prefix[3];			/* the default prefixes of AE 1, 2 and 4 */
};

/*
 * Begin with a packet that came from 'src'. False: it is none (magic, version, a body longer than the packet), to be dropped.
 * Begin again to go through it once more.
 */
bool babel_parse_begin(struct babel_parser *p, const uint8_t *packet, size_t len, const struct ip_addr *src);

/* The next TLV of the body that is whole, known and legal. False: the end. Updates come with router-id and next hop filled in, uncompressed. */
bool babel_parse_next(struct babel_parser *p, struct babel_tlv *tlv);

/* The next MAC TLV of the trailer: the only kind looked at there. False: the end. Independent of babel_parse_next(). */
bool babel_parse_trailer(struct babel_parser *p, struct babel_tlv *tlv);

/* Bytes of header and body, what a MAC is made over; the rest is the trailer. Only after babel_parse_begin() was true. */
size_t babel_body_end(const uint8_t *packet);

/*
 * A packet being written. Every babel_write_...() writes its TLV, and what must stand before it, whole or not at all: false, then,
 * and there is no room. 'size' is what header and body may take: the caller keeps room for PC and MACs.
 */
struct babel_writer {
	uint8_t *packet;
	size_t len, size;
	size_t stamp_at;		/* offset of the Hello's timestamp, 0: none */
	bool has_router_id, has_next_hop4;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	struct ip_addr next_hop4;
	bool has_prefix;		/* the default prefix of AE 2 */
	uint8_t prefix[16];
};

void babel_write_begin(struct babel_writer *w, uint8_t *packet, size_t size);

/* Whether nothing but the header is in it. */
bool babel_write_empty(const struct babel_writer *w);

/* Put the body's length in place. Returns the packet's length; what is appended behind that is the trailer. */
size_t babel_write_end(struct babel_writer *w);

bool babel_write_ack_request(struct babel_writer *w, uint16_t opaque, uint16_t interval_cs);
bool babel_write_ack(struct babel_writer *w, uint16_t opaque);

/* 'stamped': with room for a timestamp, which babel_write_stamp() fills as late as possible. */
bool babel_write_hello(struct babel_writer *w, bool unicast, uint16_t seqno, uint16_t interval_cs, bool stamped);
void babel_write_stamp(struct babel_writer *w, uint32_t timestamp);

/* 'to' is link-local IPv6 (AE 3) or IPv4. 'echo': the neighbour's timestamp and when it came (RFC 9616), or NULL. */
struct babel_echo {
	uint32_t origin, receive;
};

bool babel_write_ihu(struct babel_writer *w, const struct ip_addr *to, uint16_t rxcost, uint16_t interval_cs,
		     const struct babel_echo *echo);

/*
 * An update, with a Router-Id before it where that changed (reference C6: also before retractions), and for IPv4 a Next Hop (AE 1) - or,
 * with 'next_hop4' NULL, as AE 4 (RFC 9229). Compressed only as all receivers understand it (reference C4). 'metric' BABEL_INFINITY retracts.
 */
struct babel_update {
	struct prefix_pair prefix;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno, metric, interval_cs;
};

bool babel_write_update(struct babel_writer *w, const struct babel_update *u, const struct ip_addr *next_hop4);

/* AE 0, infinity: all we ever announced on this interface is void (4.6.9). 'router_id' is ours, put before it. */
bool babel_write_wildcard_retraction(struct babel_writer *w, const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno,
				     uint16_t interval_cs);

/* 'prefix' NULL: wildcard. */
bool babel_write_route_request(struct babel_writer *w, const struct prefix_pair *prefix);
bool babel_write_seqno_request(struct babel_writer *w, const struct prefix_pair *prefix, const uint8_t router_id[BABEL_ROUTER_ID_LEN],
			       uint16_t seqno, uint8_t hop_count);

/* RFC 8967. PC and challenges go in the body, MACs behind babel_write_end(); babel_mac_write() returns the bytes appended at 'at'. */
bool babel_write_pc(struct babel_writer *w, uint32_t pc, const uint8_t *index, uint8_t index_len);
bool babel_write_challenge(struct babel_writer *w, bool reply, const uint8_t *nonce, uint8_t nonce_len);
size_t babel_mac_write(uint8_t *at, const uint8_t *mac, uint8_t mac_len);

#endif
