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
#include "wire/offload.h"
#include "wire/wg.h"

struct cookie_checker;
struct held;

/*
 * The data plane of one worker. Everything comes in batches. What goes to the wire is sealed into the lane's own memory, in runs
 * that fit one UDP GSO send; what goes to the TUN lies where it came in, as pieces of super-packets. The driver
 * sends the output, clears it, and only then reuses its buffers. What has to be thought about - handshakes, timers - is
 * noted for the node, once a batch, not once a packet.
 *
 * A node may have several lanes, each with its own thread, TUN queue and sockets. A peer's session belongs to one of them, its home;
 * a lane that meets a packet of another's hands it over, in batches. Lanes share nothing that any of them writes. The control plane
 * changes a lane only while its gate is closed: the lane stands between two batches then.
 */
struct lane;
struct lane_peer;

/* An inner packet read by one lane for a peer whose home is another. The memory goes along until that lane is done with it. */
struct handover {
	struct packet packet;
	struct lane_peer *peer;
	void *slot;			/* the driver's: whose memory it is */
};

/* What a lane has to send: runs of datagrams to sockets, packets to the TUN. */
struct lane_out {
	struct dgram *dgrams;
	size_t dgram_count;
	const struct tun_write *writes;
	size_t write_count;
	const struct handover *handovers;	/* for the homes of their peers; 'slot' is for the driver to fill */
	size_t handover_count;
	const struct dgram *strays;		/* messages whose index belongs to another lane */
	size_t stray_count;
};

/*
 * A batch of inner packets read from the TUN, super-packets among them: what has a session is cut and sealed into the output, what
 * has none waits in a copy. Returns how many packets were dealt with; when that is fewer than 'count' the output is full: send it, clear
 * it, and call again with the rest (the first of which may be half done) before any other packets are handed in.
 */
size_t lane_from_tun(struct lane *l, struct instant now, const struct packet *in, size_t count);

/* The same for packets that other lanes read. */
size_t lane_from_lane(struct lane *l, struct instant now, const struct handover *in, size_t count);

/*
 * A batch of datagrams (at most PACKET_BATCH, each perhaps many by GRO): data is opened in place and merged into the output,
 * handshakes are kept for the node. The output must be clear.
 */
void lane_from_udp(struct lane *l, struct instant now, const struct dgram *in, size_t count);

/* More output: packets that waited and can go now, keepalives. True: there is more than fitted, call again after sending. */
bool lane_drain(struct lane *l, struct instant now);

/* The output since the last clear. */
const struct lane_out *lane_out(struct lane *l);
void lane_out_clear(struct lane *l);

/* The driver could not deliver: count it, in messages and inner packets. */
void lane_count_udp_refused(struct lane *l, size_t count);
void lane_count_tun_refused(struct lane *l, size_t count);

/* What the driver can do: messages in one run (1: no GSO), and whether to merge. */
void lane_set_offloads(struct lane *l, uint32_t run_messages_max, bool merge);

/*
 * The rest is for the node, which owns the lane and is the only one to change it.
 */

enum {
	LANES_MAX = 8,			/* the index has three bits for them */
	LANE_STRAYS_MAX = PACKET_BATCH,
	LANE_HELD_MAX = 128,		/* packets of one peer that wait for a session */
	LANE_HELD_SMALL = 2048,		/* bytes of a small packet, headroom and all */
	LANE_HELD_SMALL_COUNT = 8192,
	LANE_HELD_LARGE_COUNT = 128,	/* packets of up to 64 KiB */
	LANE_HANDSHAKES_MAX = 512,	/* handshake messages that wait for the node */
	LANE_OUT_BYTES = 256 * 1024,	/* sealed messages between two flushes */
	LANE_RUNS_MAX = 256,		/* and runs of them */
	LANE_RUN_BYTES_MAX = 65507,	/* what one UDP GSO send takes (IPv4: 65535 less both headers) */
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
	/* What the node must look at now; the rest only moves timers of seconds. */
	LANE_URGENT = LANE_CONFIRMED | LANE_NEED_SESSION | LANE_REKEY_SENDING | LANE_REKEY_RECEIVING | LANE_ROAMED,
};

/* A peer's share of the data plane. Embedded in the node's peer; the node reads it, lane functions write it. */
struct lane_peer {
	unsigned int home;		/* the lane it belongs to */
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
	struct lane_peer *taken_next;	/* the same, taken by the node: its alone */
	unsigned int taken_events;
	struct lane_peer *pending_next;	/* peers lane_drain() has to look at */
};

/* A handshake message as it came in. */
struct lane_handshake {
	struct path_addr from;
	uint32_t len;
	uint8_t msg[WG_HANDSHAKE_MAX];
};

/* A packet on its way out that is cut as far as there was room. */
struct lane_cut {
	struct split split;
	bool begun;
};

struct lane {
	unsigned int number;
	struct lane_gate {
		void (*close)(void *ctx);	/* returns when the lane stands between two batches */
		void (*open)(void *ctx);	/* lets it go on */
		void *ctx;
	} gate;					/* NULL functions: one thread, nothing to do */
	unsigned int gate_depth;		/* the control plane's */
	struct u32map indices;			/* our receiver indices to keypairs */
	const struct lpm *allowed;		/* allowed IPs to lane peers, the node's */
	uint32_t mtu;
	const struct cookie_checker *checker;	/* NULL: no identity, no handshakes */

	struct lane_out out;
	uint8_t *out_bytes;			/* LANE_OUT_BYTES of sealed messages */
	size_t out_used;
	struct dgram runs[LANE_RUNS_MAX];
	size_t run_count;
	uint32_t run_messages;			/* in the last run */
	const struct lane_peer *run_peer;	/* whose last run may still grow; NULL: nobody's */
	uint32_t run_messages_max;

	struct handover handovers[PACKET_BATCH];
	size_t handover_count;
	struct dgram strays[LANE_STRAYS_MAX];
	size_t stray_count;

	struct lane_cut cut;			/* of the packet from outside that the output became full in */
	struct lane_peer *cut_peer;		/* whom it is for; NULL: he is gone */

	struct merge *merge;
	struct merge_options merge_options;
	bool merging;				/* a batch from the sockets is in it */
	uint8_t errors[LANE_ERRORS_BATCH][VNET_LEN + ICMP_ERROR_MAX];
	struct piece error_pieces[LANE_ERRORS_BATCH];
	struct tun_write error_writes[LANE_ERRORS_BATCH];
	size_t error_count;
	int64_t error_tokens_us, error_filled_us;

	unsigned int urgent;			/* LANE_URGENT events noted */
	unsigned int lanes;			/* how many there are */
	struct pool small, large;		/* copies of packets that wait */
	struct lane_peer *noted, *pending;
	struct lane_peer *taken;		/* the node's, see lane_next_noted() */
	bool taking;
	struct lane_handshake *handshakes;	/* a ring */
	size_t handshake_first, handshake_count;

	uint64_t rx_packets, tx_packets;
	uint64_t drops[DROP_REASONS];
};

/*
 * Close and open the gate, nested as it may be. Every function below that changes a lane does so by itself; a caller with
 * several of them, or who reads, closes it around all.
 */
void lane_close(struct lane *l);
void lane_open(struct lane *l);

/* Whether something is noted that cannot wait for the node's next turn anyway. For the lane's own driver. */
bool lane_urgent(const struct lane *l);

/* False: no memory. */
bool lane_init(struct lane *l, unsigned int number, unsigned int lanes, const struct lpm *allowed);
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
void lane_quiet(struct lane *l, struct lane_peer *p);

/* The peer goes away: forget keys, packets and list entries; its allowed IPs the node has taken out before. */
void lane_remove_peer(struct lane *l, struct lane_peer *p);

/* Set where the peer is; notes LANE_ROAMED when that is new. */
void lane_set_path(struct lane *l, struct lane_peer *p, const struct path_addr *path);

/* Let the kernel choose the local address again. */
void lane_forget_local(struct lane *l, struct lane_peer *p);

/* Whether the endpoint's route leads into our own TUN. */
void lane_set_loops(struct lane *l, struct lane_peer *p, bool loops);

/*
 * The next peer with events, and these. NULL: no more; what has been noted since the first call of the row comes the next
 * time. A row is gone through to its end, and no peer removed meanwhile.
 */
struct lane_peer *lane_next_noted(struct lane *l, unsigned int *events);

/* Take the oldest handshake message that waits; 'waiting' is how many there were. False: none. */
bool lane_take_handshake(struct lane *l, struct lane_handshake *h, size_t *waiting);

#endif
