/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_LINKS_H
#define MESHD_BABEL_LINKS_H

#include "babel/inside.h"

/* The inside of the links half: what its files have of each other. */

#define BABEL_RESUME_US (60 * US_PER_S)		/* after a planned stop neighbours are those from before it */
#define BABEL_GATHER_MIN_US (10 * US_PER_MS)	/* something urgent waits this long for company... */
#define BABEL_GATHER_MAX_US (50 * US_PER_MS)	/* ...to this long, far below BABEL_URGENT_US */
#define BABEL_PACE_US (10 * US_PER_MS)		/* in this time an interface sends BABEL_PACE_PACKETS at most, Hellos aside */
#define BABEL_START_US (500 * US_PER_MS)	/* between the two rounds of the start sequence, and two early Hellos */
#define BABEL_WILDCARD_MIN_US (1 * US_PER_S)	/* between any full update and one that a request draws */
#define BABEL_ACK_US (200 * US_PER_MS)		/* how long a neighbour has for its Ack, on a tunnel with two round trips more */
#define BABEL_COPY_GAP_US (300 * US_PER_MS)	/* between copies that nobody acknowledges */

enum {
	BABEL_QUEUE_UPDATES_MAX = 1024,	/* of one receiver; more become a full update */
	BABEL_QUEUE_REQUESTS_MAX = 4096,
	BABEL_QUEUE_ACKS_MAX = 16,
	BABEL_ACKS_MAX = BABEL_IFACES_MAX,	/* packets whose acknowledgement, or repetition, is waited for... */
	BABEL_ACKS_FEW = 4,		/* ...and with more an interface still has so many... */
	BABEL_ACKS_IFACE = 256,		/* ...and never more than these */
	BABEL_PACE_PACKETS = 16,
	BABEL_START_ROUNDS = 2,
	BABEL_GREETINGS = 2,
	BABEL_COPIES_WIRED = 2,
	BABEL_COPIES_WIRELESS = 3,
	BABEL_TIMERS_TURN = 4096,	/* timers that one babel_turn() serves */
	BABEL_BEAT_MAX = 65536,		/* prefixes told by the interfaces that go along with one that is due; the others wait for their time */
	BABEL_STOP_CS = 10,		/* interval of our last Hello */
	INTERVAL_CS_MAX = 0xfffe,	/* an update's 0xffff is for ever */
};

enum queued_flags {
	QUEUED_FORCED = 1,		/* not hidden by split horizon */
	QUEUED_RELIABLE = 2,
};

/* An update that waits. The prefix is held. */
struct queued_update {
	struct babel_prefix *prefix;
	uint8_t flags;
	uint8_t copies;			/* sent before */
};

struct queued_request {
	struct prefix_pair prefix;
	bool wildcard, for_seqno;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno;
	uint8_t hop_count;
};

/*
 * What a full update tells of, sorted, and held: the dumps that begin before anything of it changes have it together. It is gone with the last of
 * them.
 */
struct babel_dump {
	unsigned int refs;
	uint64_t version;		/* b->told_version when it was made */
	size_t count;
	struct babel_prefix *prefixes[];
};

/* All that waits for one receiver: an interface's group, or a neighbour. */
struct babel_queue {
	struct babel_timer timer;
	struct babel_iface *iface;
	struct babel_neighbour *neighbour;	/* NULL: multicast */
	struct babel_queue *ready_next, *ready_prev;
	bool ready;				/* in b's list: its time has come, and it stays until all has gone out */
	bool hello;
	uint16_t hello_cs;			/* not 0: the interval of a last Hello */
	bool ihus;				/* neighbours have ihu_due; multicast only */
	bool retraction;			/* wildcard: all we announced here is void */
	bool trust;				/* unicast: the retraction must be acknowledged */
	uint8_t trust_copies;			/* sent before */
	bool challenge;				/* with the nonce in neighbour->mac */
	bool reply;
	uint8_t reply_len, reply_nonce[BABEL_NONCE_MAX];
	unsigned int ack_count;
	uint16_t acks[BABEL_QUEUE_ACKS_MAX];
	struct queued_request *requests;
	size_t request_count, request_size;
	bool requests_sorted;			/* none twice */
	struct queued_update *updates;		/* from 'update_at' on */
	size_t update_at, update_count, update_size;
	bool sorted;				/* by announce_order(), none twice */
	struct babel_dump *dump;		/* a full update under way, from 'dump_at' on; NULL: none */
	size_t dump_at;
	bool thin;				/* this one leaves echoes out */
	bool dump_again;			/* updates came meanwhile for which there was no room */
};

/* queue.c */
struct babel_queue *queue_new(struct babel *b, struct babel_iface *i, struct babel_neighbour *n);
void queue_free(struct babel *b, struct babel_queue *q);
void queue_clear(struct babel *b, struct babel_queue *q);	/* forget all that waits */

/* The queue of 'n', or with NULL the interface's; NULL: no memory, or the interface is down. */
struct babel_queue *queue_of(struct babel *b, struct babel_iface *i, struct babel_neighbour *n);

/* It is empty: let go of what was large. */
void queue_rest(struct babel *b, struct babel_queue *q);

/* Whether something waits that may go out now. */
bool queue_waits(const struct babel_queue *q);

/* It is to be sent at 'due_us' at the latest. */
void queue_want(struct babel *b, struct babel_queue *q, int64_t due_us);
void queue_want_urgent(struct babel *b, struct babel_queue *q);
void queue_timer(struct babel *b, struct babel_timer *t);

/* Take it from the ready list; put it (back) at the end. */
void queue_unready(struct babel *b, struct babel_queue *q);
void queue_make_ready(struct babel *b, struct babel_queue *q);

/* Whether a full update is under way. */
static inline bool queue_dumps(const struct babel_queue *q)
{
	return q->dump && q->dump_at < q->dump->count;
}

/* Add an update that was sent 'copies' times before. The caller sees to the time. */
void queue_update(struct babel *b, struct babel_queue *q, struct babel_prefix *p, uint8_t flags, uint8_t copies);
void queue_sort(struct babel *b, struct babel_queue *q);
void queue_sort_requests(struct babel_queue *q);
void queue_ack(struct babel *b, struct babel_neighbour *n, uint16_t opaque, int64_t within_us);

/* ack.c */
struct babel_ack;

/* A record for the packet that is being written for 'q'. NULL: nobody is there to acknowledge, the table is full, or there is no memory. */
struct babel_ack *ack_begin(struct babel *b, const struct babel_queue *q);
bool ack_wants_reply(const struct babel_ack *a);	/* else its updates are just repeated */
bool ack_add(struct babel *b, struct babel_ack *a, const struct queued_update *u);
void ack_set_trust(struct babel_ack *a, uint8_t copies);	/* it is about a wildcard retraction, sent so often before */
uint16_t ack_opaque(const struct babel_ack *a);
uint16_t ack_interval_cs(const struct babel_ack *a);

/* The packet is complete: wait, or with nothing in it forget it. */
void ack_commit(struct babel *b, struct babel_ack *a);
void ack_received(struct babel *b, struct babel_neighbour *n, uint16_t opaque);
void ack_timer(struct babel *b, struct babel_timer *t);

/* Forget the neighbour, or all of the interface. */
void acks_forget_neighbour(struct babel *b, const struct babel_neighbour *n);
void acks_forget_iface(struct babel *b, struct babel_iface *i);

/* neighbour.c */
struct babel_neighbour *neighbour_find(const struct babel_iface *i, const struct ip_addr *address);

/* One more; NULL: too many, or no memory. It is nobody yet: neighbour_met() says that it is really there. */
struct babel_neighbour *neighbour_add(struct babel *b, struct babel_iface *i, const struct ip_addr *address);
void neighbour_remove(struct babel *b, struct babel_neighbour *n);
void neighbour_hello(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *hello);
void neighbour_ihu(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *ihu);
void neighbour_rtt(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *ihu, int64_t stamp_us);
void neighbour_trust(struct babel *b, struct babel_neighbour *n);
void neighbour_cost(struct babel *b, struct babel_neighbour *n);	/* compute it anew, and tell */
bool neighbour_lossy(const struct babel_neighbour *n);
bool neighbour_usable(const struct babel_neighbour *n);
void neighbour_timer(struct babel *b, struct babel_timer *t);

/* iface.c */
void iface_timer(struct babel *b, struct babel_timer *t);
void iface_free_all(struct babel *b);

/* A neighbour asks for all: as soon as that may be again. */
void iface_wildcard_request(struct babel *b, struct babel_neighbour *n);

/* Somebody new is there: two early Hellos make the link, where the next two might take two intervals. Once an interval at most. */
void iface_greet(struct babel *b, struct babel_iface *i);

/* An IHU for 'n' shall go out soon. */
void iface_ihu(struct babel *b, struct babel_neighbour *n);

/* An interval as it is announced: never shorter than it is. */
static inline uint16_t interval_cs(int64_t us)
{
	int64_t cs = (us + 9999) / 10000;

	return cs < 1 ? 1 : cs > INTERVAL_CS_MAX ? INTERVAL_CS_MAX : (uint16_t)cs;
}

static inline int64_t interval_us(uint16_t cs)
{
	return (int64_t)cs * 10000;
}

#endif
