/* SPDX-License-Identifier: MIT */
/*
 * WireGuard's messages, bytes to structs and back, after the whitepaper's section 5.4. Nothing here keeps state or
 * checks what is inside: a message that has the right type and length is read, and whether it
 * is true is for transport/ to find out.
 *
 *	initiation	type 0 0 0 | sender | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16
 *	response	type 0 0 0 | sender | receiver | ephemeral 32 | empty 0+16 | mac1 16 | mac2 16
 *	cookie reply	type 0 0 0 | receiver | nonce 24 | cookie 16+16
 *	data		type 0 0 0 | receiver | counter 8 | sealed packet n+16
 */
#include "wire/wg.h"

#include <string.h>

#include "base/bytes.h"

/* Where fields start. */
enum {
	FIRST_INDEX = 4,	/* sender, or the receiver of a message without one */
	INITIATION_EPHEMERAL = 8,
	INITIATION_STATIC = INITIATION_EPHEMERAL + 32,
	INITIATION_TIMESTAMP = INITIATION_STATIC + 32 + 16,
	RESPONSE_RECEIVER = 8,
	RESPONSE_EPHEMERAL = 12,
	RESPONSE_EMPTY = RESPONSE_EPHEMERAL + 32,
	COOKIE_NONCE = 8,
	COOKIE_SEALED = COOKIE_NONCE + 24,
	DATA_COUNTER = 8,
};

_Static_assert(INITIATION_TIMESTAMP + WG_TAI64N_LEN + 16 + 2 * WG_MAC_LEN == WG_INITIATION_LEN, "initiation");
_Static_assert(RESPONSE_EMPTY + 16 + 2 * WG_MAC_LEN == WG_RESPONSE_LEN, "response");
_Static_assert(COOKIE_SEALED + WG_COOKIE_LEN + 16 == WG_COOKIE_REPLY_LEN, "cookie reply");

unsigned int wg_classify(const uint8_t *msg, size_t len)
{
	if (len < 4 || msg[1] || msg[2] || msg[3])
		return 0;
	switch (msg[0]) {
	case WG_INITIATION:
		return len == WG_INITIATION_LEN ? WG_INITIATION : 0;
	case WG_RESPONSE:
		return len == WG_RESPONSE_LEN ? WG_RESPONSE : 0;
	case WG_COOKIE_REPLY:
		return len == WG_COOKIE_REPLY_LEN ? WG_COOKIE_REPLY : 0;
	case WG_DATA:
		/* Any length: padding stops short of a multiple of 16 where the MTU would be passed. */
		return len >= WG_DATA_MIN ? WG_DATA : 0;
	default:
		return 0;
	}
}

void wg_initiation_read(struct wg_initiation *m, const uint8_t msg[WG_INITIATION_LEN])
{
	m->sender = get_le32(msg + FIRST_INDEX);
	memcpy(m->ephemeral, msg + INITIATION_EPHEMERAL, sizeof(m->ephemeral));
	memcpy(m->static_sealed, msg + INITIATION_STATIC, sizeof(m->static_sealed));
	memcpy(m->timestamp_sealed, msg + INITIATION_TIMESTAMP, sizeof(m->timestamp_sealed));
}

void wg_response_read(struct wg_response *m, const uint8_t msg[WG_RESPONSE_LEN])
{
	m->sender = get_le32(msg + FIRST_INDEX);
	m->receiver = get_le32(msg + RESPONSE_RECEIVER);
	memcpy(m->ephemeral, msg + RESPONSE_EPHEMERAL, sizeof(m->ephemeral));
	memcpy(m->empty_sealed, msg + RESPONSE_EMPTY, sizeof(m->empty_sealed));
}

void wg_cookie_reply_read(struct wg_cookie_reply *m, const uint8_t msg[WG_COOKIE_REPLY_LEN])
{
	m->receiver = get_le32(msg + FIRST_INDEX);
	memcpy(m->nonce, msg + COOKIE_NONCE, sizeof(m->nonce));
	memcpy(m->cookie_sealed, msg + COOKIE_SEALED, sizeof(m->cookie_sealed));
}

/* The first eight bytes of every message: type, reserved zeros, an index. */
static void put_head(uint8_t *msg, enum wg_type type, uint32_t index)
{
	put_le32(msg, type);
	put_le32(msg + FIRST_INDEX, index);
}

void wg_initiation_write(uint8_t msg[WG_INITIATION_LEN], const struct wg_initiation *m)
{
	memset(msg, 0, WG_INITIATION_LEN);
	put_head(msg, WG_INITIATION, m->sender);
	memcpy(msg + INITIATION_EPHEMERAL, m->ephemeral, sizeof(m->ephemeral));
	memcpy(msg + INITIATION_STATIC, m->static_sealed, sizeof(m->static_sealed));
	memcpy(msg + INITIATION_TIMESTAMP, m->timestamp_sealed, sizeof(m->timestamp_sealed));
}

void wg_response_write(uint8_t msg[WG_RESPONSE_LEN], const struct wg_response *m)
{
	memset(msg, 0, WG_RESPONSE_LEN);
	put_head(msg, WG_RESPONSE, m->sender);
	put_le32(msg + RESPONSE_RECEIVER, m->receiver);
	memcpy(msg + RESPONSE_EPHEMERAL, m->ephemeral, sizeof(m->ephemeral));
	memcpy(msg + RESPONSE_EMPTY, m->empty_sealed, sizeof(m->empty_sealed));
}

void wg_cookie_reply_write(uint8_t msg[WG_COOKIE_REPLY_LEN], const struct wg_cookie_reply *m)
{
	put_head(msg, WG_COOKIE_REPLY, m->receiver);
	memcpy(msg + COOKIE_NONCE, m->nonce, sizeof(m->nonce));
	memcpy(msg + COOKIE_SEALED, m->cookie_sealed, sizeof(m->cookie_sealed));
}

void wg_data_header_write(uint8_t msg[WG_DATA_HEADER], uint32_t receiver, uint64_t counter)
{
	put_head(msg, WG_DATA, receiver);
	put_le64(msg + DATA_COUNTER, counter);
}

uint32_t wg_data_receiver(const uint8_t *msg)
{
	return get_le32(msg + FIRST_INDEX);
}

uint64_t wg_data_counter(const uint8_t *msg)
{
	return get_le64(msg + DATA_COUNTER);
}
