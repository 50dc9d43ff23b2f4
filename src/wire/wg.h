/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_WG_H
#define MESHD_WIRE_WG_H

#include <stddef.h>
#include <stdint.h>

/*
 * WireGuard's four messages (whitepaper section 5.4), bytes to structs and back. Every message
 * starts with its type and three zero bytes; integers are little-endian.
 */
enum wg_type {
	WG_INITIATION = 1,
	WG_RESPONSE = 2,
	WG_COOKIE_REPLY = 3,
	WG_DATA = 4,
};

enum {
	WG_TAI64N_LEN = 12,
	WG_MAC_LEN = 16,
	WG_COOKIE_LEN = 16,
	WG_INITIATION_LEN = 148,
	WG_RESPONSE_LEN = 92,
	WG_COOKIE_REPLY_LEN = 64,
	WG_DATA_HEADER = 16,
	WG_DATA_MIN = WG_DATA_HEADER + 16,	/* a keepalive: header and tag */
	WG_PADDING = 16,		/* plaintext is padded to a multiple of this */
	WG_HANDSHAKE_MAX = WG_INITIATION_LEN,
};

struct wg_initiation {
	uint32_t sender;
	uint8_t ephemeral[32];
	uint8_t static_sealed[32 + 16];
	uint8_t timestamp_sealed[WG_TAI64N_LEN + 16];
};

struct wg_response {
	uint32_t sender, receiver;
	uint8_t ephemeral[32];
	uint8_t empty_sealed[16];
};

struct wg_cookie_reply {
	uint32_t receiver;
	uint8_t nonce[24];
	uint8_t cookie_sealed[WG_COOKIE_LEN + 16];
};

/*
 * What kind of message a datagram holds: its type when the header is right and the length fits the
 * type, 0 when it is no message of WireGuard's.
 */
unsigned int wg_classify(const uint8_t *msg, size_t len);

/* Fields of a message that wg_classify() took for its type. MACs stay in the bytes. */
void wg_initiation_read(struct wg_initiation *m, const uint8_t msg[WG_INITIATION_LEN]);
void wg_response_read(struct wg_response *m, const uint8_t msg[WG_RESPONSE_LEN]);
void wg_cookie_reply_read(struct wg_cookie_reply *m, const uint8_t msg[WG_COOKIE_REPLY_LEN]);

/* Write a message; the two MACs at its end are left zero, for cookie_maker_sign(). */
void wg_initiation_write(uint8_t msg[WG_INITIATION_LEN], const struct wg_initiation *m);
void wg_response_write(uint8_t msg[WG_RESPONSE_LEN], const struct wg_response *m);
void wg_cookie_reply_write(uint8_t msg[WG_COOKIE_REPLY_LEN], const struct wg_cookie_reply *m);

/*
 * What our receiver indices say beside being random (doc/protocol.md): the sub-session in bits 0 to 6, the home lane in
 * bits 8 to 10.
 */
enum {
	WG_INDEX_SUB_SESSION = 0x7f,
	WG_INDEX_LANE_SHIFT = 8,
	WG_INDEX_LANE = 0x7 << WG_INDEX_LANE_SHIFT,
};

static inline unsigned int wg_index_lane(uint32_t index)
{
	return (index & WG_INDEX_LANE) >> WG_INDEX_LANE_SHIFT;
}

/* A data message's header. */
void wg_data_header_write(uint8_t msg[WG_DATA_HEADER], uint32_t receiver, uint64_t counter);
uint32_t wg_data_receiver(const uint8_t *msg);
uint64_t wg_data_counter(const uint8_t *msg);

#endif
