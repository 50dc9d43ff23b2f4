/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_BABEL_LAYOUT_H
#define MESHD_WIRE_BABEL_LAYOUT_H

/* The numbers that the reader and the writer of Babel packets share, and nobody else needs (RFC 8966 chapter 4). */
enum {
	BABEL_MAGIC = 42,
	BABEL_VERSION = 2,
	BABEL_TLV_HEADER = 2,		/* type and length, of TLVs and sub-TLVs alike; Pad1 is the type alone */
};

/* Address encodings (4.1.4, RFC 9229 2.1). */
enum babel_ae {
	AE_WILDCARD = 0,
	AE_IPV4 = 1,
	AE_IPV6 = 2,
	AE_LINK_LOCAL = 3,		/* the last eight octets: fe80::/64 is understood */
	AE_VIA6 = 4,
};

enum babel_sub_tlv {
	SUB_PAD1 = 0,
	SUB_PADN = 1,
	SUB_TIMESTAMP = 3,		/* RFC 9616 */
	SUB_MANDATORY = 0x80,		/* from here on, whoever does not know it must ignore the TLV it is in (4.4) */
	SUB_SOURCE_PREFIX = 128,	/* RFC 9079 */
};

enum {
	HELLO_UNICAST = 0x8000,
	UPDATE_PREFIX = 0x80,		/* this prefix is the next ones' default */
	UPDATE_ROUTER_ID = 0x40,	/* the router-id is in the address */
};

/* Where fields start, counted from behind the length octet. */
enum {
	ACK_REQUEST_OPAQUE = 2,
	ACK_REQUEST_INTERVAL = 4,
	ACK_REQUEST_LEN = 6,
	ACK_LEN = 2,
	HELLO_SEQNO = 2,
	HELLO_INTERVAL = 4,
	HELLO_LEN = 6,
	IHU_RXCOST = 2,
	IHU_INTERVAL = 4,
	IHU_ADDRESS = 6,
	ROUTER_ID_VALUE = 2,
	ROUTER_ID_LEN = 10,
	NEXT_HOP_ADDRESS = 2,
	UPDATE_FLAGS = 1,
	UPDATE_PLEN = 2,
	UPDATE_OMITTED = 3,
	UPDATE_INTERVAL = 4,
	UPDATE_SEQNO = 6,
	UPDATE_METRIC = 8,
	UPDATE_ADDRESS = 10,
	ROUTE_REQUEST_PLEN = 1,
	ROUTE_REQUEST_ADDRESS = 2,
	SEQNO_REQUEST_PLEN = 1,
	SEQNO_REQUEST_SEQNO = 2,
	SEQNO_REQUEST_HOP_COUNT = 4,
	SEQNO_REQUEST_ROUTER_ID = 6,
	SEQNO_REQUEST_ADDRESS = 14,
	PC_INDEX = 4,
};

#endif
