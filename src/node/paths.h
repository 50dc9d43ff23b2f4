/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_PATHS_H
#define MESHD_NODE_PATHS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "node/lane.h"

struct lane_handshake;
struct node;
struct path_local;
struct path_remote;
struct peer;

/*
 * The paths of peers, as the node uses them: path/path.h knows what they are worth, this feeds it and does what it says (doc/protocol.md,
 * "Paths"). Initiations that go by several paths are node/fanout.h's.
 */

enum {
	PATHS_LOOK_MS = 40,		/* how often the counters of lanes are looked at, at most */
	PATHS_TELLS = 3,		/* our addresses are told so many times... */
	PATHS_TELL_MS = 1000,		/* ...so far apart */
	PATHS_TELL_MIN_MS = 200,	/* after a change they wait so long for the next: addresses come and go in groups */
	PATHS_TAKE_MS = 2000,		/* a peer's addresses are taken so often, no longer than it tells of them... */
	PATHS_TAKE_BURST = 4,		/* ...and so many at once: each is sent probes, whosever it is */
	PATHS_BUSY_BYTES_S = 100000,	/* so many a second are much */
	PATHS_STALE_S = 60,		/* how often the names of a peer's endpoints are asked for again, where nothing answers */
};

/* Embedded in a peer. All zero at first. */
struct peer_ways {
	/* Addresses, ours and theirs. */
	uint16_t sequence, their_sequence;
	bool their_known;		/* 'their_sequence' is of this session */
	int64_t take_us;		/* when all of PATHS_TAKE_BURST may be taken again */
	bool told;			/* the peer was told of some */
	uint8_t tells;			/* messages still to go */
	int64_t tell_us;		/* when the next goes */
	struct ip_addr listen_local;	/* of the listen prefix: where the peer sends to, though no interface has it */

	/* What was last read in the lanes. */
	int64_t looked_us;
	bool look;			/* look again: something went or came since */
	uint64_t tx_bytes;
	struct lane_count *counts;	/* SUB_SESSIONS, [0] of session 0; NULL: not managed */
	int64_t stale_us;		/* when its names were last asked for again; 0: never */
	bool stale;			/* they shall be now */
};

/* The peer is there, with nothing known; it goes. */
void peer_paths_init(struct node *n, struct peer *p);
void peer_paths_done(struct peer *p);

/* The configured endpoints changed: the first one is where the peer is taken to be, unless it is managed. Gates closed or not. */
void peer_paths_endpoints(struct node *n, struct peer *p, struct instant now);

/* We listen on another port now: the peer is told. */
void peer_paths_port(struct peer *p, struct instant now);

/* Addresses the peer is said to have, beside those configured and heard, in the place of those before. */
void peer_paths_told(struct node *n, struct peer *p, const struct path_remote *v, size_t count, struct instant now);

/* Whether a peer can do anything with an address of ours. */
bool paths_local_is_told(const struct path_local *l);

/* An unmanaged peer is somewhere else now, as its link has it. */
void peer_paths_roamed(struct node *n, struct peer *p, struct instant now);

/* A handshake message authenticated; 'answer': it was a response. The peer is there, or has one path more. */
void peer_paths_handshake(struct node *n, struct peer *p, const struct lane_handshake *h, bool answer, struct instant now);

/* A new keypair is in use. */
void peer_paths_session(struct node *n, struct peer *p, struct instant now);

/* All keys are gone. */
void peer_paths_forget(struct node *n, struct peer *p, struct instant now);

/* Both sides speak paths, or not any more. */
void peer_paths_managed(struct node *n, struct peer *p, bool managed, struct instant now);

/* A control message came in. True: it was about paths, and is dealt with. */
bool peer_paths_control(struct node *n, struct peer *p, const struct lane_control *c, struct instant now);

/* Something went out or came in. */
void peer_paths_traffic(struct node *n, struct peer *p, struct instant now);

/* Whether the link is wanted, or how it is shared out, may have changed. */
void peer_paths_settings(struct node *n, struct peer *p, struct instant now);

/* Whether the path in use carries what we send, as far as is known. */
bool peer_paths_alive(struct node *n, struct peer *p, struct instant now);

/* An attempt at a handshake was answered nowhere: perhaps its names have other addresses by now. */
void peer_paths_stale(struct node *n, struct peer *p, struct instant now);

/* When peer_paths_expire() is due: microseconds, monotonic, or NEVER_US. */
int64_t peer_paths_next(const struct peer *p);
void peer_paths_expire(struct node *n, struct peer *p, struct instant now);

#endif
