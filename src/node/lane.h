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
#include "flow/fq.h"
#include "flow/shaper.h"
#include "flow/table.h"
#include "node/drops.h"
#include "transport/session.h"
#include "wire/icmp.h"
#include "wire/mesh.h"
#include "wire/offload.h"
#include "wire/wg.h"

struct cookie_checker;
struct fib;
struct owner;
struct owners;

/*
 * The data plane of one worker. Everything comes in batches. What goes to the wire is sealed into the lane's own memory, in runs
 * that fit one UDP GSO send; what goes to the TUN lies where it came in, as pieces of super-packets. The driver
 * sends the output, clears it, and only then reuses its buffers. What has to be thought about - handshakes, timers - is
 * noted for the node, once a batch, not once a packet.
 *
 * A packet goes straight through while nothing is ahead of it. Otherwise it waits in the lane's queue (flow/fq.h), which decides
 * who goes next, and who is dropped or marked: lane_drain() gives it out as the driver has room. The same is there for what comes in
 * faster than it can be opened.
 *
 * A node may have several lanes, each with its own thread, TUN queue and sockets. Session 0 of a peer belongs to one of them, its home,
 * sub-session i to lane i mod lanes; a lane that meets a packet of another's hands it over, in batches. Lanes share nothing that any of
 * them writes. The control plane changes a lane only while its gate is closed: the lane stands between two batches then.
 */
struct lane;
struct lane_peer;
struct lane_link;

/*
 * An inner packet that came to one lane for a peer whose home is another. The memory of one from the TUN goes along until that lane is done
 * with it. That of others is the lane's or its input's, and good until lane_out_clear(): the driver copies it.
 */
struct handover {
	struct packet packet;
	struct lane_peer *peer;
	struct lane_peer *from;		/* whose packet it is; NULL: the TUN's, or our own */
	void *slot;			/* the driver's: whose memory it is */
};

/* What a lane has to send: runs of datagrams to sockets, packets to the TUN. */
struct lane_out {
	struct dgram *dgrams;
	size_t dgram_count;
	const struct tun_write *writes;
	size_t write_count;
	const struct handover *handovers;	/* for the homes of their peers; 'slot' is for the driver to fill */
	size_t handover_count;		/* LANE_HANDOVERS_MAX at most */
	const struct dgram *strays;		/* messages whose index belongs to another lane: lane_of_index() */
	size_t stray_count;
};

/*
 * A batch of inner packets read from the TUN (at most PACKET_BATCH), super-packets among them: each is cut and sealed into the output,
 * or waits in the queue. Their memory is the caller's again, but for slots: a packet that waits may have kept its slot, and in[i].slot is
 * then another one, empty. What other lanes must send is in the output, with its memory; there is room for that of one batch.
 */
void lane_from_tun(struct lane *l, struct instant now, struct packet *in, size_t count);

/* The same for packets that other lanes read; they are copied if they must wait. */
void lane_from_lane(struct lane *l, struct instant now, const struct handover *in, size_t count);

/*
 * A batch of datagrams (at most PACKET_BATCH, each perhaps many by GRO): data is opened in place and merged into the output, handshakes
 * are kept for the node. What is for another peer, where Transit says so, is sealed into the output, handed over, or waits in the queue like
 * packets from the TUN. The output must be clear.
 */
void lane_from_udp(struct lane *l, struct instant now, const struct dgram *in, size_t count);

/*
 * The same batch, but data waits, for lane_drain_in() to open in fair turns: for a driver that finds more in its sockets than one
 * batch. Slots as with lane_from_tun(). The output must be clear.
 */
void lane_queue_udp(struct lane *l, struct instant now, struct dgram *in, size_t count);

/* Open what has waited, about 'bytes' of it, into the output, which must be clear. True: there is more. */
bool lane_drain_in(struct lane *l, struct instant now, uint32_t bytes);

/* Whether datagrams wait. */
bool lane_has_in(const struct lane *l);

/*
 * More output: control messages and keepalives first, then what the queue gives, about 'bytes' of it (none: 0). True: there is more that
 * could go now, call again after sending.
 */
bool lane_drain(struct lane *l, struct instant now, uint32_t bytes);

/* After lane_drain(): when a shaper lets the next packet go, in microseconds from 'now', or NEVER_US where none waits for that. */
int64_t lane_wait_us(const struct lane *l, struct instant now);

/* Whether anything waits that could go if the driver had room and shapers let it. */
bool lane_has_out(const struct lane *l);

/* When lane_drain() has something to do, on the clock of its 'now'; 0: at once, NEVER_US: nothing waits. */
int64_t lane_due_us(const struct lane *l);

/* The output since the last clear. */
const struct lane_out *lane_out(struct lane *l);
void lane_out_clear(struct lane *l);

/* Whether lane_out() would have anything. */
bool lane_out_any(const struct lane *l);

/* The driver could not deliver: count it, in messages and inner packets. */
void lane_count_udp_refused(struct lane *l, size_t count);
void lane_count_tun_refused(struct lane *l, size_t count);

/* What the driver can do: messages in one run (1: no GSO), and whether to merge. */
void lane_set_offloads(struct lane *l, uint32_t run_messages_max, bool merge);

/*
 * Whether packets go straight through when nothing is ahead of them. A driver says no while its sockets are full, or while it
 * reads faster than it sends.
 */
void lane_set_bypass(struct lane *l, bool bypass);

/*
 * The most that goes out for one flow before the next has a turn, in bytes: about a millisecond of the rate. 'burst_us' is how long
 * it takes, for CoDel's target. A shaper's rate overrides both.
 */
void lane_set_burst(struct lane *l, uint32_t bytes, int64_t burst_us);

/*
 * Memory for the driver to read into: LANE_SLOT_LEN bytes with PACKET_HEADROOM before and PACKET_TAILROOM behind. NULL: out of them.
 * Belongs to the lane for good; the driver just stops using it.
 */
void *lane_slot_take(struct lane *l);

/* The lane a receiver index belongs to, among 'lanes'. */
static inline unsigned int lane_of_index(uint32_t index, unsigned int lanes)
{
	unsigned int number = index & WG_INDEX_SUB_SESSION;

	return (number == 0 || number == SUB_SESSION_CONTROL ? wg_index_lane(index) : number) % lanes;
}

/*
 * The rest is for the node, which owns the lane and is the only one to change it.
 */

enum {
	LANES_MAX = 8,			/* the index has three bits for them */
	LANE_STRAYS_MAX = PACKET_BATCH,
	LANE_HELD_MAX = 128,		/* packets of one peer that wait for a session */
	LANE_QUEUE_SMALL = 2048,	/* bytes of a small packet that waits, with all that is noted about it */
	LANE_QUEUE_PACKETS = 8192,	/* that wait to go out... */
	LANE_QUEUE_DGRAMS = 4096,	/* ...and, datagrams, to be opened */
	LANE_QUEUE_BYTES = 16 << 20,	/* the memory of either */
	LANE_QUEUE_FLOWS = 1024,	/* flows the queue tells apart; a power of two */
	LANE_FLOWS_MAX = 4096,		/* flows whose sub-session is remembered */
	LANE_SLOTS = 256 + 6 * PACKET_BATCH,	/* slots of LANE_SLOT_LEN, for packets that wait and for the driver */
	LANE_SLOT_LEN = 65536,
	LANE_HANDSHAKES_MAX = 512,	/* handshake messages that wait for the node */
	LANE_CONTROLS_MAX = 512,	/* control messages from peers that wait for the node */
	LANE_CONTROLS_PEER = LANE_CONTROLS_MAX / 4,	/* of one peer */
	LANE_CONTROL_LEN = 1104,	/* the longest: of the exchange (exchange/message.h), padded */
	LANE_CONTROLS_OUT = 256,	/* and to them */
	LANE_ROUTING_LEN = 1500,	/* the longest packet of Babel's over a link */
	LANE_ROUTING_MAX = 1024,	/* of them that wait for the node */
	LANE_ROUTING_PEER = 192,	/* of one peer: what a meshd sends in 120 ms, while the node reads a large kernel table */
	LANE_ROUTING_OUT = 256,		/* and to peers */
	LANE_HANDOVERS_MAX = 1024,	/* packets for other lanes between two flushes; read from the TUN no more than PACKET_BATCH */
	LANE_OUT_BYTES = 256 * 1024,	/* sealed messages between two flushes */
	LANE_RUNS_MAX = 256,		/* and runs of them */
	LANE_RUN_BYTES_MAX = 65507,	/* what one UDP GSO send takes (IPv4: 65535 less both headers) */
	LANE_ERRORS_BATCH = 16,		/* ICMP errors in one batch */
	LANE_ERRORS_PER_S = 100,
	LANE_ERRORS_BURST = 50,
	LANE_OUTER_HEADERS4 = 28,	/* IP and UDP */
	LANE_OUTER_HEADERS6 = 48,
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
	LANE_WANT_SUBS = 1024,		/* a flow found no sub-session of its own */
	LANE_SUB_ROAMED = 2048,		/* a sub-session left the peer's address: so has the peer, 'path' of this link says where to */
	LANE_FLOWS = 4096,		/* data of the host's or others' went either way: not Babel's alone, which needs no sub-sessions */
	/* What the node must look at now; the rest only moves timers of seconds. */
	LANE_URGENT = LANE_CONFIRMED | LANE_NEED_SESSION | LANE_REKEY_SENDING | LANE_REKEY_RECEIVING | LANE_ROAMED |
		      LANE_WANT_SUBS | LANE_SUB_ROAMED,
};

/* The ECN field of the outer header on the way to a peer. */
enum lane_ecn {
	LANE_ECN_NONE,			/* Not-ECT */
	LANE_ECN_COPY,			/* RFC 6040 */
	LANE_ECN_KERNEL,		/* as kernel WireGuard */
};

/*
 * What came in on one sub-session (by its counters, so loss and reordering come for free). Totals; the node takes differences. 'lost' falls
 * again when what was missed comes after all.
 */
struct lane_count {
	uint64_t received, bytes;	/* messages, and whole ones */
	uint64_t lost;			/* counters skipped and not come since */
	uint64_t late;			/* came after a higher one */
	uint64_t first, highest;	/* counters heard... */
	uint32_t index;			/* ...of the keypair with this index of ours, or-ed with 1: a new one begins anew. 0: none yet */
};

/*
 * The way of one sub-session: one UDP 5-tuple for both directions. Written by its lane - an authenticated message moves it to
 * where it came from - and by the node while the gates are closed.
 */
struct lane_sub {
	struct path_addr path;
	uint32_t label;			/* IPv6 flow label, ours */
	uint8_t port;			/* our socket, as in struct dgram */
	uint8_t ecn;			/* codepoint of the last message's outer header */
	bool sent;			/* data has gone out since the node looked */
	int64_t heard_us;		/* last authenticated message; 0: none */
	struct path_addr heard;		/* managed: where that came from */
	struct lane_count count;
};

/*
 * A peer's share of the data plane, embedded in the node's peer. Written by the node while all gates are closed; lanes read it, and
 * write what is their own: their link, and their sub-sessions.
 */
struct lane_peer {
	unsigned int home;		/* the lane session 0 belongs to */
	struct session session;		/* the node's; links have what lanes use of it */
	struct lane_link *links;	/* one a lane */
	struct lane_sub *subs;		/* SUB_SESSIONS of them, NULL: none was made */
	unsigned int sub_count;		/* of those made, 1 to ... */
	bool endpoint_loops;		/* the endpoint's route leads into our own TUN: send nothing there */
	bool mesh;			/* it is a meshd */
	bool managed;			/* the node alone decides where to send: being heard from elsewhere moves nothing */
	uint32_t mtu;			/* inner packets up to this fit the paths in use; 0: not known, the lane's counts. Never more than that */
	bool babel;			/* Babel runs on the link: its packets are the node's */
	bool hailed;			/* none runs, and the node wants to know if the peer has one */
	bool ecn_in;			/* the outer ECN field of what comes in means something */
	uint8_t ecn_out;		/* enum lane_ecn */
	int8_t dscp;			/* as in struct link_settings */
	struct shaper shaper;		/* of this peer alone */
	struct owner *owned;		/* prefixes that are its by the mesh's records: node/shortcut.h */
};

/* The same in one lane, which alone writes it (and the node while the gate is closed). */
struct lane_link {
	struct lane_peer *peer;
	struct keypair *current, *next;
	struct path_addr path;		/* of session 0; what counts is that of the home lane */
	struct fq_tin tin, tin_in;
	struct flow_slots slots;	/* sub-sessions of this lane, for placing flows */
	bool want_keepalive;
	unsigned int controls, routings;	/* messages and packets of the peer that wait for the node */
	bool wanting;			/* LANE_WANT_SUBS was noted and not yet looked at */
	bool shaped;			/* in the list of those the peer's shaper holds back */
	struct lane_link *shaped_next;
	uint64_t rx_bytes, tx_bytes;
	int64_t heard_us, sent_us;	/* last authenticated message of any kind; last data sent, of Babel's not. 0: none */
	struct lane_count count;	/* of session 0, in its home lane */
	unsigned int events;		/* enum lane_event */
	bool noted, pending;		/* in the lists below */
	struct lane_link *noted_next;	/* links with events */
	struct lane_link *taken_next;	/* the same, taken by the node: its alone */
	unsigned int taken_events;
	struct lane_link *pending_next;	/* links lane_drain() has to look at */
};

/* A handshake message as it came in. */
struct lane_handshake {
	struct path_addr from;
	uint32_t len;
	uint8_t msg[WG_HANDSHAKE_MAX];
};

/* A control message of a peer, opened. */
struct lane_control {
	struct lane_peer *peer;		/* NULL: gone since */
	struct path_addr from;
	uint8_t number;			/* of the sub-session it came on */
	uint8_t tos;			/* outer */
	int64_t at_us;			/* when it came, by the kernel if it told, else when it was opened */
	uint32_t len;			/* of what is here: of a padded one the beginning */
	uint8_t msg[LANE_CONTROL_LEN];
	/* To send, with lane_send_over(): 'from' is where to, by our socket 'port'; 'outer' as there. */
	bool over;
	uint8_t port;
	uint16_t outer;
};

/* A packet of Babel's, from a peer: a whole inner IPv6 packet, of which ip_view() and the ports were looked at, no checksum. */
struct lane_routing {
	struct lane_peer *peer;		/* NULL: gone since */
	int64_t at_us;			/* when it was opened */
	uint32_t len;
	uint8_t packet[LANE_ROUTING_LEN];
};

/* And to one. */
struct lane_inner {
	struct lane_peer *peer;		/* NULL: gone since */
	uint32_t len;
	uint8_t packet[LANE_ROUTING_LEN + WG_PADDING];
};

/* Where a packet goes by allowed IPs and routes. */
enum lane_way {
	LANE_WAY_NONE,
	LANE_WAY_PEER,
	LANE_WAY_HOST,			/* the kernel knows */
	LANE_WAY_UNREACHABLE,
};

/* What was found out about the last packet that was opened: what comes by GRO is much alike. */
struct lane_verdict {
	struct lane_peer *from;		/* NULL: nothing */
	struct lane_peer *to;		/* LANE_WAY_PEER */
	uint8_t family, proto;
	uint8_t way;			/* enum lane_way; LANE_WAY_HOST where the lane does not forward */
	bool accepted;			/* the source is the peer's */
	uint8_t addresses[32];		/* source and destination, as in the header */
};

struct lane {
	unsigned int number;
	unsigned int lanes;			/* how many there are */
	struct lane_gate {
		void (*close)(void *ctx);	/* returns when the lane stands between two batches */
		void (*open)(void *ctx);	/* lets it go on */
		void *ctx;
	} gate;					/* NULL functions: one thread, nothing to do */
	unsigned int gate_depth;		/* the control plane's */
	struct u32map indices;			/* our receiver indices (sub-session 0) to keypairs */
	const struct lpm *allowed;		/* allowed IPs to lane peers, the node's */
	const struct fib *fib;			/* the node's routes, beside them; empty where Babel does not run */
	const struct owners *owners;		/* whose prefixes are by the records of a mesh; empty without one */
	const struct lpm *host;			/* what is this host's, or the kernel has ways of its own to, by any value: never forwarded here */
	uint8_t transit;			/* enum transit_mode; at first TRANSIT_KERNEL */
	struct ip_addr own4, own6;		/* lane_set_addresses() */
	uint32_t mtu;
	int mss_clamp;				/* of TCP: MSS_CLAMP_OFF, MSS_CLAMP_ON (as fits), or this many bytes at most */
	const struct cookie_checker *checker;	/* NULL: no identity, no handshakes */

	struct lane_out out;
	uint8_t *out_bytes;			/* LANE_OUT_BYTES of sealed messages */
	size_t out_used;
	struct dgram runs[LANE_RUNS_MAX];
	size_t run_count;
	uint32_t run_messages;			/* in the last run */
	const struct lane_link *run_link;	/* whose last run may still grow; NULL: nobody's */
	unsigned int run_number;		/* and of which of its sub-sessions */
	uint32_t run_messages_max;

	struct handover handovers[LANE_HANDOVERS_MAX];
	size_t handover_count;
	struct dgram strays[LANE_STRAYS_MAX];
	size_t stray_count;

	struct merge *merge;
	struct merge_options merge_options;
	bool merging;				/* a batch from the sockets is in it */
	struct lane_verdict last;
	uint8_t errors[LANE_ERRORS_BATCH][VNET_LEN + ICMP_ERROR_MAX + PACKET_TAILROOM];
	size_t errors_used;			/* of these: for the TUN, as many as error_count says, or for peers */
	struct piece error_pieces[LANE_ERRORS_BATCH];
	struct tun_write error_writes[LANE_ERRORS_BATCH];
	size_t error_count;
	int64_t error_tokens_us, error_filled_us;

	struct fq queue, queue_in;
	bool bypass;
	uint32_t burst, burst_now;		/* as the driver has it, and what is in force */
	int64_t burst_us;
	uint64_t shaped_bps;			/* the rate the burst was last made for */
	struct shaper *shaper;			/* of the interface, shared by all lanes */
	bool held_back;				/* it was what ended the last lane_drain() */
	struct lane_link *shaped;		/* whom their own shaper holds back */
	int64_t now_us;				/* of the call under way, for what the queue does */
	enum drop_reason purge_reason;		/* of the purge under way */
	bool purge_tells;			/* its packets' senders get ICMP errors */
	struct pool small, slots;		/* memory of packets that wait, and of the driver */
	void *spent;				/* datagrams whose writes are in the output */
	struct flow_table flows;
	uint8_t flow_key[16];

	unsigned int urgent;			/* LANE_URGENT events noted */
	bool news;				/* something was noted that is not the node's own doing, which it comes to see by itself */
	struct lane_link *noted, *pending;
	struct lane_link *taken;		/* the node's, see lane_next_noted() */
	bool taking;
	struct lane_handshake *handshakes;	/* rings */
	size_t handshake_first, handshake_count;
	struct lane_control *controls, *controls_out;
	size_t control_first, control_count;
	size_t control_out_first, control_out_count;
	struct lane_routing *routings;
	struct lane_inner *inners_out;
	size_t routing_first, routing_count;
	size_t inner_out_first, inner_out_count;

	uint64_t rx_packets, tx_packets;
	uint64_t forwarded;			/* packets from link to link, which are in both */
	uint64_t ce_kept;			/* CE outside on Not-ECT inside, delivered as it was */
	uint64_t marked_in, marked_out;		/* CE set by our queues */
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

/* Whether something is noted that the node should hear of before long. */
bool lane_has_news(const struct lane *l);

/* False: no memory. 'flow_key' is random, the same for all lanes of a node. */
bool lane_init(struct lane *l, unsigned int number, unsigned int lanes, const struct lpm *allowed, const uint8_t flow_key[16]);
void lane_done(struct lane *l);

/* Have the link looked at by the next lane_drain(), which lets go what waits if there is a session. */
void lane_kick(struct lane *l, struct lane_link *k);

/* The same, and if nothing waits send a keepalive. */
void lane_want_keepalive(struct lane *l, struct lane_link *k);

/* Drop the packets that wait, for 'reason'; 'tell': their senders get ICMP errors. */
void lane_drop_held(struct lane *l, struct lane_link *k, enum drop_reason reason, bool tell);

/* The interface goes down: forget what happened to the peer and what was asked for it, but not that it roamed. */
void lane_quiet(struct lane *l, struct lane_link *k);

/* The link goes away: forget packets, messages and list entries; keys and allowed IPs the node has taken out before. */
void lane_remove_link(struct lane *l, struct lane_link *k);

/* Set where the peer is; notes LANE_ROAMED when that is new. */
void lane_set_path(struct lane *l, struct lane_link *k, const struct path_addr *path);

/*
 * The next link with events, and these. NULL: no more; what has been noted since the first call of the row comes the next
 * time. A row is gone through to its end, and no peer removed meanwhile.
 */
struct lane_link *lane_next_noted(struct lane *l, unsigned int *events);

/* Take the oldest handshake message that waits; 'waiting' is how many there were. False: none. */
bool lane_take_handshake(struct lane *l, struct lane_handshake *h, size_t *waiting);

/* Take the oldest control message that waits. False: none. */
bool lane_take_control(struct lane *l, struct lane_control *c);

/*
 * Have a control message sent to the peer on sub-session 'number', which is this lane's, over that one's way, with this outer TOS. False:
 * too many wait.
 * It is lost if there is no session when its turn comes.
 */
bool lane_send_control(struct lane *l, struct lane_link *k, unsigned int number, uint8_t tos, const uint8_t *msg, uint32_t len);

/*
 * The same over a path that is said, from P_port (0: the listen port). 'outer': pad it with zeros until the outer IP packet has so many bytes, and
 * have it not fragmented (at most PMTU_MAX; too few for the message: it goes as it is); 0: padded as any other. mesh_stamp() is done as it is sealed.
 * It goes by itself, and also where the peer's endpoint loops: who says a path has looked at it.
 */
bool lane_send_over(struct lane *l, struct lane_link *k, unsigned int number, const struct path_addr *path, uint8_t port, uint16_t outer,
		    uint8_t tos, const uint8_t *msg, uint32_t len);

/* Take the oldest packet of Babel's that waits. False: none. */
bool lane_take_routing(struct lane *l, struct lane_routing *r);

/*
 * Have an inner packet (IPv6, LANE_ROUTING_LEN bytes at most) sent to the peer, whose home this lane is, on session 0 and before anything that
 * waits in the queue. False: too many wait. To WireGuard it is data like any other: if there is no session when its turn comes it is lost, and
 * asks for one.
 */
bool lane_send_inner(struct lane *l, struct lane_link *k, const uint8_t *packet, uint32_t len);

/* Addresses of our own in the mesh, which ICMP errors to peers come from. Family IP_NONE: none. */
void lane_set_addresses(struct lane *l, const struct ip_addr *own4, const struct ip_addr *own6);

#endif
