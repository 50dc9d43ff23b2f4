/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_MESSAGE_H
#define MESHD_EXCHANGE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/item.h"

/*
 * Messages of the exchange (proto/exchange.proto, Message), to structs and back. They travel in mesh control messages of kind 4, one in each:
 *
 *	kind | 0 | length 2 | Message
 */
enum {
	MESSAGE_MAX = 1100,		/* of kind 4, header and all: fits wherever IPv6 does, below an outer header */
	MESSAGE_HEADER = 4,
	MESSAGE_DIGEST_LEN = 16,
	MESSAGE_BUCKETS = 64,		/* by the first six bits of an id */
	MESSAGE_IDS_MAX = 120,
	MESSAGE_WANT_MAX = 16,
	MESSAGE_PIECE_MAX = 900,	/* bytes of an item, or of what is sealed, in one: with two public keys around it it has to fit */
	MESSAGE_HOPS_MAX = 16,
	MESSAGE_PUNCH_MAX = 8,
};

enum message_kind {
	MESSAGE_NONE,			/* of a later meshd: ignored */
	MESSAGE_SUMMARY,
	MESSAGE_DIGESTS,
	MESSAGE_LIST,
	MESSAGE_WANT,
	MESSAGE_PIECE,
	MESSAGE_ROUTED_PUNCH,
	MESSAGE_ROUTED_JOIN,
	MESSAGE_JOIN,			/* from or to the holder of a token */
};

struct message_join {
	uint8_t token[KEY_LEN];
	bool answer;
	uint32_t total, offset, want;
	const uint8_t *data;		/* of the message that was read, or the caller's */
	size_t len;
};

struct message {
	enum message_kind kind;
	size_t size;			/* bytes it had, header and all; set by message_read() */
	uint8_t to[KEY_LEN], from[KEY_LEN];	/* routed ones */
	uint8_t hops;
	union {
		struct {
			uint8_t digest[MESSAGE_DIGEST_LEN];
			uint32_t items;
		} summary;
		struct {
			uint8_t v[MESSAGE_BUCKETS][ITEM_SHORT_ID];
		} digests;
		struct {
			uint8_t first[ITEM_SHORT_ID], last[ITEM_SHORT_ID];
			uint8_t ids[MESSAGE_IDS_MAX][ITEM_SHORT_ID];	/* ascending, within [first, last]; else it is malformed */
			size_t count;
			bool answer;
		} list;
		struct {
			uint8_t ids[MESSAGE_WANT_MAX][ITEM_SHORT_ID];
			size_t count;
			uint32_t offset;
		} want;
		struct {
			uint8_t id[ITEM_SHORT_ID];
			uint32_t total, offset;
			const uint8_t *data;
			size_t len;
		} piece;
		struct {
			struct record_endpoint endpoints[MESSAGE_PUNCH_MAX];
			size_t count;
			bool answer;
		} punch;
		struct message_join join;
	};
};

/* Read kind 4 as it came in ('msg' is the whole plaintext, padding and all). False: malformed. Pointers go into 'keep', which the caller keeps (MESSAGE_MAX bytes). */
bool message_read(struct message *m, const uint8_t *msg, size_t len, uint8_t keep[MESSAGE_MAX]);

/* Write it: how long it is, or 0: it does not fit. */
size_t message_write(uint8_t out[MESSAGE_MAX], const struct message *m);

#endif
