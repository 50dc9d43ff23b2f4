/* SPDX-License-Identifier: MIT */
/*
 * Initiations by several paths. A handshake is all one can do where nothing is known of a peer's paths, so it goes by all of them:
 *
 *	first candidate -- 250 ms --> the same message to the second -- 250 ms --> ... until one is answered, or the attempt's 5 s are over
 *
 * It is one message, made and signed once. The peer takes the first that comes and finds the others replayed; the answer comes by the path of
 * the first. Should that one carry nothing back, the answer is given again to those that come later, and if not even that helps (a plain WireGuard
 * answers once) the next attempt begins with another candidate.
 *
 * A rekey of a link that is well needs no other path but the one in use, and has a second for it.
 */
#include "node/fanout.h"

#include <stdlib.h>
#include <string.h>

#include "node/inside.h"

enum {
	ANSWERS_AGAIN_MAX = NODE_FANOUT_MAX,	/* to one initiation */
};

/* An initiation of ours. */
struct fanout {
	uint8_t msg[WG_INITIATION_LEN];
	int64_t next_us;		/* when it goes to the next; 0: it does not */
	int64_t end_us;
	int64_t also_us;		/* when it last went to where theirs came from */
	unsigned int round;		/* attempts before it that nobody answered */
	size_t count;			/* of those it went to */
	struct path_addr to[NODE_FANOUT_MAX];
};

/* One of the peer's, and what was answered. */
struct answered {
	uint8_t initiation[WG_INITIATION_LEN], response[WG_RESPONSE_LEN];
	struct path_addr from;
	int64_t at_us;
	unsigned int again;
};

/* Whether what goes by 'sent' goes by that path. Where the local address is the kernel's choice we know which one it prefers. */
static bool is_way(const struct path *x, const struct path_addr *sent)
{
	if (!endpoint_equal(&x->addr.remote, &sent->remote))
		return false;
	return x->addr.local.family == IP_NONE || ip_addr_equal(&x->addr.local, &sent->local) ||
	       (sent->local.family == IP_NONE && x->preferred);
}

/* Where the peer is now, then the other candidates. */
static size_t ways(struct node *n, struct peer *p, struct path_addr v[NODE_FANOUT_MAX])
{
	const struct path *candidates[NODE_FANOUT_MAX];
	size_t all = paths_candidates(&p->paths, candidates, NODE_FANOUT_MAX), count = 0;
	struct path_addr here = peer_path(n, p);

	if (here.remote.addr.family != IP_NONE && !p->data.endpoint_loops)
		v[count++] = here;
	for (size_t i = 0; i < all && count < NODE_FANOUT_MAX; i++)
		if (!is_way(candidates[i], &here))
			v[count++] = candidates[i]->addr;
	return count;
}

bool fanout_possible(struct node *n, struct peer *p)
{
	struct path_addr v[NODE_FANOUT_MAX];

	/* One that loops counts: it is tried, and what became of it is counted. */
	return peer_path(n, p).remote.addr.family != IP_NONE || ways(n, p, v);
}

static void send_to(struct node *n, struct peer *p, const struct path_addr *to, const uint8_t *msg, uint32_t len, struct instant now)
{
	memcpy(handshake_out(n, to, len), msg, len);
	handshake_message_sent(n, p, len, now);
}

/* The next one it has not gone to, or NULL. Each attempt in vain begins with another. */
static const struct path_addr *next_way(struct node *n, struct peer *p, const struct fanout *f, struct path_addr v[NODE_FANOUT_MAX])
{
	size_t count = ways(n, p, v), k;

	for (size_t i = 0; i < count && f->count < NODE_FANOUT_MAX; i++) {
		const struct path_addr *to = &v[(i + f->round) % count];

		for (k = 0; k < f->count && !path_addr_equal(&f->to[k], to); k++)
			;
		if (k == f->count)
			return to;
	}
	return NULL;
}

static bool is_punching(const struct peer *p, struct instant now)
{
	return now.mono_us < p->mesh.punch_us;
}

static int64_t first_gap_ms(struct node *n, struct peer *p, struct instant now)
{
	if (is_punching(p, now))
		return NODE_FANOUT_PUNCH_GAP_MS;
	return peer_paths_alive(n, p, now) ? NODE_FANOUT_LATER_MS : NODE_FANOUT_MS;
}

bool fanout_start(struct node *n, struct peer *p, const uint8_t msg[WG_INITIATION_LEN], struct instant now)
{
	struct path_addr v[NODE_FANOUT_MAX];
	const struct path_addr *to;
	struct fanout *f = p->fanout;

	if (!f)
		f = p->fanout = calloc(1, sizeof(*f));
	else
		f->round++;
	if (!f)
		return false;
	f->count = 0;
	f->next_us = 0;
	to = next_way(n, p, f, v);
	if (!to)
		return false;
	memcpy(f->msg, msg, sizeof(f->msg));
	f->to[f->count++] = *to;
	send_to(n, p, to, msg, WG_INITIATION_LEN, now);
	f->end_us = now.mono_us + REKEY_TIMEOUT_S * US_PER_S;
	if (next_way(n, p, f, v))
		f->next_us = now.mono_us + first_gap_ms(n, p, now) * US_PER_MS;
	else if (is_punching(p, now))
		f->next_us = now.mono_us + NODE_FANOUT_PUNCH_MS * US_PER_MS;
	if (f->round)
		peer_paths_stale(n, p, now);
	return true;
}

void fanout_end(struct peer *p)
{
	struct fanout *f = p->fanout;

	if (!f)
		return;
	crypto_wipe(f, sizeof(*f));
	free(f);
	p->fanout = NULL;
}

bool fanout_went_to(const struct peer *p, const struct endpoint *to)
{
	for (size_t i = 0; p->fanout && i < p->fanout->count; i++)
		if (endpoint_equal(&p->fanout->to[i].remote, to))
			return true;
	return false;
}

int64_t fanout_next(const struct peer *p)
{
	return p->fanout && p->fanout->next_us ? p->fanout->next_us : NEVER_US;
}

/* Where holes are punched the same message goes to all of them again, for what was lost at a closed door arrives at an open one. */
static void again_from_start(struct peer *p, struct instant now)
{
	struct fanout *f = p->fanout;

	f->count = 0;
	f->next_us = now.mono_us + NODE_FANOUT_PUNCH_MS * US_PER_MS;
	f->end_us = p->mesh.punch_us > f->end_us ? p->mesh.punch_us : f->end_us;
}

void fanout_punch(struct peer *p, struct instant now)
{
	if (p->fanout && p->handshake.state == NOISE_CREATED_INITIATION)
		again_from_start(p, now);
}

void fanout_also(struct node *n, struct peer *p, const struct path_addr *to, struct instant now)
{
	if (p->fanout && is_punching(p, now) && now.mono_us - p->fanout->also_us > NODE_FANOUT_PUNCH_MS / 2 * US_PER_MS && !handshake_out_full(n)) {
		p->fanout->also_us = now.mono_us;
		send_to(n, p, to, p->fanout->msg, WG_INITIATION_LEN, now);
	}
}

void fanout_expire(struct node *n, struct peer *p, struct instant now)
{
	struct fanout *f = p->fanout;
	struct path_addr v[NODE_FANOUT_MAX];
	const struct path_addr *to;

	if (now.mono_us < fanout_next(p) || handshake_out_full(n))
		return;
	to = p->handshake.state == NOISE_CREATED_INITIATION && now.mono_us < f->end_us ? next_way(n, p, f, v) : NULL;
	f->next_us = to ? now.mono_us + (is_punching(p, now) ? NODE_FANOUT_PUNCH_GAP_MS : NODE_FANOUT_MS) * US_PER_MS : 0;
	if (to) {
		f->to[f->count++] = *to;
		send_to(n, p, to, f->msg, WG_INITIATION_LEN, now);
	} else if (is_punching(p, now) && p->handshake.state == NOISE_CREATED_INITIATION) {
		again_from_start(p, now);
	}
}

void fanout_answered(struct peer *p, const struct lane_handshake *h, const uint8_t response[WG_RESPONSE_LEN], struct instant now)
{
	if (!p->answered)
		p->answered = calloc(1, sizeof(*p->answered));
	/* Without memory for it the peer's next attempt has to do. */
	if (!p->answered)
		return;
	memcpy(p->answered->initiation, h->msg, WG_INITIATION_LEN);
	memcpy(p->answered->response, response, WG_RESPONSE_LEN);
	p->answered->from = h->from;
	p->answered->at_us = now.mono_us;
	p->answered->again = 0;
}

/* By another path alone, and nothing follows from it but the answer: whoever repeats an initiation need not be who made it. */
bool fanout_answer_again(struct node *n, struct peer *p, const struct lane_handshake *h, struct instant now)
{
	struct answered *a = p->answered;

	if (!a || memcmp(a->initiation, h->msg, WG_INITIATION_LEN) || now.mono_us - a->at_us > REKEY_TIMEOUT_S * US_PER_S ||
	    path_addr_equal(&a->from, &h->from) || a->again == ANSWERS_AGAIN_MAX || handshake_out_full(n))
		return false;
	a->again++;
	memcpy(handshake_out(n, &h->from, WG_RESPONSE_LEN), a->response, WG_RESPONSE_LEN);
	p->tx_bytes += WG_RESPONSE_LEN;
	n->handshakes_sent++;
	return true;
}

static void answered_end(struct peer *p)
{
	if (!p->answered)
		return;
	crypto_wipe(p->answered, sizeof(*p->answered));
	free(p->answered);
	p->answered = NULL;
}

void fanout_confirmed(struct peer *p)
{
	answered_end(p);
}

void fanout_done(struct peer *p)
{
	fanout_end(p);
	answered_end(p);
}
