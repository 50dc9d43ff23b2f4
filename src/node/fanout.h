/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_FANOUT_H
#define MESHD_NODE_FANOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "node/lane.h"

struct node;
struct peer;

/*
 * Initiations go by all paths there may be, one after the other, until one is answered: the same message each time, so that the peer takes it
 * once. And who gets one twice answers twice, by the way each came: its answer may have been lost where the message was not.
 */

enum {
	NODE_FANOUT_MAX = 16,		/* paths of one attempt */
	NODE_FANOUT_MS = 250,		/* from one to the next */
	NODE_FANOUT_PUNCH_MS = 500,	/* while holes are punched: to all again after so long, */
	NODE_FANOUT_PUNCH_GAP_MS = 20,	/* from one to the next */
	NODE_FANOUT_LATER_MS = 1000,	/* from the first to the second, where that one was alive a moment ago */
	NODE_FANOUT_FRESH_S = 10,	/* a moment: so long ago something was heard */
};

struct fanout;
struct answered;

/* Whether there is a path to send an initiation by. */
bool fanout_possible(struct node *n, struct peer *p);

/* Send an initiation, which is signed, by the first path, and keep it for the others. There is room for one message. False: nothing was sent. */
bool fanout_start(struct node *n, struct peer *p, const uint8_t msg[WG_INITIATION_LEN], struct instant now);

/* It was answered, or is of no use any more. */
void fanout_end(struct peer *p);

/* Whether the one under way went to 'to'. */
bool fanout_went_to(const struct peer *p, const struct endpoint *to);

/* Holes are punched, until p->mesh.punch_us: the initiation under way goes to all again. And where one of the peer's came from and was not taken. */
void fanout_punch(struct peer *p, struct instant now);
void fanout_also(struct node *n, struct peer *p, const struct path_addr *to, struct instant now);

int64_t fanout_next(const struct peer *p);
void fanout_expire(struct node *n, struct peer *p, struct instant now);

/* What we answered to an initiation, and whether this is the same once more: then the answer is given once more, that way. */
void fanout_answered(struct peer *p, const struct lane_handshake *h, const uint8_t response[WG_RESPONSE_LEN], struct instant now);
bool fanout_answer_again(struct node *n, struct peer *p, const struct lane_handshake *h, struct instant now);

/* The peer uses what came of it: nobody needs the answer again. */
void fanout_confirmed(struct peer *p);

/* Forget both. */
void fanout_done(struct peer *p);

/* handshakes.c */

/* The next place in the output, which has room. */
uint8_t *handshake_out(struct node *n, const struct path_addr *path, uint32_t len);
bool handshake_out_full(const struct node *n);

/* What sending a handshake message does to the peer's timers and counters. */
void handshake_message_sent(struct node *n, struct peer *p, uint32_t len, struct instant now);

#endif
