/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_LANE_H
#define MESHD_NODE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/lpm.h"
#include "base/packet.h"
#include "base/pool.h"
#include "base/u32map.h"
#include "node/drops.h"
#include "transport/session.h"
#include "wire/icmp.h"
#include "wire/wg.h"

struct cookie_checker;
struct held;

/*
 * The data plane of one worker. Everything comes in batches, and what one call puts out lies in the
 * memory that came in: the driver sends it, clears the output, and only then reuses the buffers. What has
 * to be thought about - handshakes, timers - is noted for the node, once a batch, not once a packet.
 */
struct lane;

/* What a lane has to send: datagrams to sockets, packets to the TUN. */
struct lane_out {
	struct dgram *dgrams;
	size_t dgram_count;
	struct packet *packets;
	size_t packet_count;
};

/*
 * A batch of inner packets read from the TUN (at most PACKET_BATCH): what has a session is sealed in place into the
 * output, what has none waits in a copy. The output must be clear.
 */
void lane_from_tun(struct lane *l, struct instant now, struct packet *in, size_t count);

/*
 * A batch of datagrams (at most PACKET_BATCH): data is opened in place into the output, handshakes are kept for the node. The
 * output must be clear.
 */
void lane_from_udp(struct lane *l, struct instant now, struct dgram *in, size_t count);

/* More output: packets that waited and can go now, keepalives. True: there is more than fitted, call again after sending. */
bool lane_drain(struct lane *l, struct instant now);

/* The output since the last clear. */
const struct lane_out *lane_out(const struct lane *l);
void lane_out_clear(struct lane *l);

/* The driver could not deliver: count it. */
void lane_count_udp_refused(struct lane *l, size_t count);
void lane_count_tun_refused(struct lane *l, size_t count);

/*
 * The rest is for the node, which owns the lane and is the only one to change it.
 */

enum {
	LANE_HELD_MAX = 128,		/* packets of one peer that wait for a session */
	LANE_HELD_SMALL = 2048,		/* bytes of a small packet, headroom and all */
	LANE_HELD_SMALL_COUNT = 8192,
	LANE_HELD_LARGE_COUNT = 128,	/* packets of up to 64 KiB */
	LANE_HANDSHAKES_MAX = 512,	/* handshake messages that wait for the node */
	LANE_ERRORS_BATCH = 16,		/* ICMP errors in one batch */
	LANE_ERRORS_PER_S = 100,
	LANE_ERRORS_BURST = 50,
};

/* What happened to a peer since the node last looked, as bits. */
enum lane_event {
	LANE_DATA_SENT = 1,
	LANE_DATA_RECEIVED = 2,
	LANE_ANY_SENT = 4,
	LANE_ANY_RECEIVED = 8,
	LANE_CONFIRMED = 16,		/* the first packet on a keypair we answered for */
	LANE_NEED_SESSION = 32,		/* something wants to go out and there is no key */
	LANE_REKEY_SENDING = 64,
	LANE_REKEY_RECEIVING = 128,
	LANE_ROAMED = 256,		/* 'path' changed */
	LANE_RECEIVED_LAST = 512,	/* the last packet was one received: nothing was sent since */
};

/* A peer's share of the data plane. Embedded in the node's peer; the node reads it, lane functions write it. */
struct lane_peer {
	struct session session;
	struct path_addr path;
	bool endpoint_loops;		/* the endpoint's route leads into our own TUN: send nothing there */
	bool want_keepalive;
	struct held *held_first, *held_last;
	size_t held_count;
	uint64_t rx_bytes, tx_bytes;
	unsigned int events;		/* enum lane_event */
	bool noted, pending;		/* in the lists below */
	struct lane_peer *noted_next;	/* peers with events */
	struct lane_peer *pending_next;	/* peers lane_drain() has to look at */
};

/* A handshake message as it came in. */
struct lane_handshake {
	struct path_addr from;
	uint32_t len;
	uint8_t msg[WG_HANDSHAKE_MAX];
};

struct lane {
	struct u32map indices;			/* our receiver indices to keypairs */
	struct lpm allowed;			/* allowed IPs to lane peers */
	uint32_t mtu;
	const struct cookie_checker *checker;	/* NULL: no identity, no handshakes */

	struct lane_out out;
	struct dgram dgrams[PACKET_BATCH];
	struct packet packets[PACKET_BATCH];
	uint8_t errors[LANE_ERRORS_BATCH][ICMP_ERROR_MAX];
	size_t error_count;
	int64_t error_tokens_us, error_filled_us;
	uint8_t keepalives[PACKET_BATCH][PACKET_HEADROOM + PACKET_TAILROOM];
	size_t keepalive_count;
	struct held *sent_held;			/* to give back once they are sent */

	struct pool small, large;		/* copies of packets that wait */
	struct lane_peer *noted, *pending;
	struct lane_handshake *handshakes;	/* a ring */
	size_t handshake_first, handshake_count;

	uint64_t rx_packets, tx_packets;
	uint64_t drops[DROP_REASONS];
};

/* False: no memory. */
bool lane_init(struct lane *l);
void lane_done(struct lane *l);

/* Use a new session. Takes 'k' over, also on failure (false: no memory, and nothing changed). */
bool lane_install(struct lane *l, struct lane_peer *p, struct keypair *k);

/* Forget every key of the peer. */
void lane_clear_session(struct lane *l, struct lane_peer *p);

/* Have the peer looked at by the next lane_drain(), which sends what waits if there is a session. */
void lane_kick(struct lane *l, struct lane_peer *p);

/* The same, and if nothing waits send a keepalive. */
void lane_want_keepalive(struct lane *l, struct lane_peer *p);

/* Drop the packets that wait, for 'reason'. */
void lane_drop_held(struct lane *l, struct lane_peer *p, enum drop_reason reason);

/* The interface goes down: forget what happened to the peer and what was asked for it, but not that it roamed. */
void lane_quiet(struct lane_peer *p);

/* The peer goes away: forget keys, packets and list entries; its allowed IPs the node has taken out before. */
void lane_remove_peer(struct lane *l, struct lane_peer *p);

/* Set where the peer is; notes LANE_ROAMED when that is new. */
void lane_set_path(struct lane *l, struct lane_peer *p, const struct path_addr *path);

/* The next peer with events, taken from the list, with its events moved to 'events'. NULL: none. */
struct lane_peer *lane_next_noted(struct lane *l, unsigned int *events);

/* The oldest handshake message that waits; lane_handshake_pop() lets it go. NULL: none. */
struct lane_handshake *lane_handshake_peek(struct lane *l);
void lane_handshake_pop(struct lane *l);

#endif
