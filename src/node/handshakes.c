/* SPDX-License-Identifier: MIT */
/*
 * Handshake messages, from the lane's ring to the node's output: the part of kernel WireGuard's
 * receive.c and send.c that is not data.
 *
 * Under load - more messages wait than NODE_LOADED_QUEUE, now or a second ago - an initiation or response must carry a valid
 * MAC2, and its source must keep to its rate, before any X25519 is spent on it; without MAC2 it
 * gets a cookie reply.
 */
#include <string.h>

#include "base/container.h"
#include "node/inside.h"
#include "node/mesh.h"

/* Whose keypair an index of ours is, or NULL. The keypair itself may be gone as soon as its lane goes on. */
static struct lane_peer *owner_of(struct node *n, uint32_t index)
{
	struct keypair *k;
	struct lane_peer *owner;
	struct lane *l;

	if (wg_index_lane(index) >= n->lane_count)
		return NULL;
	l = &n->lanes[wg_index_lane(index)];
	lane_close(l);
	k = u32map_get(&l->indices, index & ~(uint32_t)WG_INDEX_SUB_SESSION);
	owner = k ? k->owner : NULL;
	lane_open(l);
	return owner;
}

/* Random, but for the bits that say sub-session 0 and the home lane. */
static uint32_t index_draw(struct node *n, unsigned int home)
{
	uint32_t index;

	do {
		index = rng_u32(&n->rng) & ~(uint32_t)(WG_INDEX_SUB_SESSION | WG_INDEX_LANE);
		index |= home << WG_INDEX_LANE_SHIFT;
	} while (!index || u32map_get(&n->handshakes, index) || owner_of(n, index));
	return index;
}

/* Give the peer's handshake a new index; the one it had is forgotten. 0: no memory. */
static uint32_t index_new(struct node *n, struct peer *p)
{
	uint32_t index = index_draw(n, p->data.home);

	if (!u32map_set(&n->handshakes, index, p))
		return 0;
	if (p->handshake_index)
		u32map_remove(&n->handshakes, p->handshake_index);
	p->handshake_index = index;
	return index;
}

static void index_forget(struct node *n, struct peer *p)
{
	u32map_remove(&n->handshakes, p->handshake_index);
	p->handshake_index = 0;
}

uint8_t *handshake_out(struct node *n, const struct path_addr *path, uint32_t len)
{
	struct dgram *d = &n->out[n->out_count];

	d->data = n->out_bytes[n->out_count++];
	d->len = len;
	d->tos = NODE_HANDSHAKE_TOS;
	d->path = *path;
	return d->data;
}

bool handshake_out_full(const struct node *n)
{
	return n->out_count == NODE_OUT_MAX;
}

void handshake_message_sent(struct node *n, struct peer *p, uint32_t len, struct instant now)
{
	p->tx_bytes += len;
	n->handshakes_sent++;
	rekey_any_traversed(&p->rekey, now.mono_us);
	rekey_any_sent(&p->rekey);
}

static void send_initiation(struct node *n, struct peer *p, struct instant now)
{
	struct wg_initiation m;
	uint32_t index = index_new(n, p);
	uint8_t msg[WG_INITIATION_LEN];

	if (!index)
		return;
	noise_timestamp(n->stamp, now.wall_ns);
	if (!noise_create_initiation(&p->handshake, &n->identity, index, n->stamp, &n->rng, &m)) {
		index_forget(n, p);
		return;
	}
	rekey_initiation_sent(&p->rekey, now.mono_us, &n->rng);
	p->initiated_us = now.mono_us;
	wg_initiation_write(msg, &m);
	cookie_maker_sign(&p->cookies, msg, WG_INITIATION_LEN, now.mono_us);
	if (!fanout_start(n, p, msg, now))
		n->drops[p->data.endpoint_loops ? DROP_ENDPOINT_LOOP : DROP_NO_ENDPOINT]++;
}

static bool can_initiate(struct node *n, struct peer *p, struct instant now)
{
	return n->up && n->identity.set && p->handshake.possible &&
	       rekey_may_initiate(&p->rekey, now.mono_us) && fanout_possible(n, p);
}

void peer_initiate(struct node *n, struct peer *p, struct instant now)
{
	/* The reason counts even if the last message was sent too short a while ago for another. */
	rekey_restart_attempts(&p->rekey);
	if (!can_initiate(n, p, now))
		return;
	if (handshake_out_full(n)) {
		rekey_initiation_postponed(&p->rekey, now.mono_us);
		return;
	}
	send_initiation(n, p, now);
}

void peer_retry(struct node *n, struct peer *p, struct instant now)
{
	/* Perhaps the local address is the trouble: let the kernel choose anew. */
	peer_forget_local(n, p);
	if (can_initiate(n, p, now))
		send_initiation(n, p, now);
}

/* The control sub-session has to be there before anything comes in on it. False: no memory, and the keypair is gone. */
static bool extend(const struct node *n, const struct peer *p, struct keypair *k)
{
	if (!keypair_may_extend(k) || !peer_settings(n, p).flow_sessions || keypair_open_subs(k, p->data.mesh ? p->data.sub_count : 0))
		return true;
	keypair_free(k);
	return false;
}

/* Turn a finished handshake into a session. */
static bool begin_session(struct node *n, struct peer *p, struct instant now)
{
	struct noise_keys keys;
	struct keypair *k = NULL;

	if (noise_begin_session(&p->handshake, &keys))
		k = keypair_new(&keys, now.mono_us);
	crypto_wipe(&keys, sizeof(keys));
	index_forget(n, p);
	fanout_end(p);
	if (!k || !extend(n, p, k) || !links_install(n->lanes, n->lane_count, &p->data, k))
		return false;
	rekey_session_derived(&p->rekey, now.mono_us);
	return true;
}

static void drop(struct node *n, enum drop_reason reason)
{
	n->drops[reason]++;
}

static void drop_for(struct node *n, enum noise_verdict verdict)
{
	switch (verdict) {
	case NOISE_OK:
		break;
	case NOISE_FORGED:
		drop(n, DROP_HANDSHAKE_FORGED);
		break;
	case NOISE_REPLAYED:
		drop(n, DROP_HANDSHAKE_REPLAYED);
		break;
	case NOISE_FLOODED:
		drop(n, DROP_HANDSHAKE_FLOODED);
		break;
	case NOISE_UNEXPECTED:
		drop(n, DROP_HANDSHAKE_UNEXPECTED);
		break;
	}
}

/* A handshake message authenticated: its source is where the peer is, and it counts as a sign of life. */
static void handshake_message_received(struct node *n, struct peer *p, const struct lane_handshake *h, bool answer,
				       struct instant now)
{
	p->rx_bytes += h->len;
	peer_paths_handshake(n, p, h, answer, now);
	rekey_any_received(&p->rekey);
	rekey_any_traversed(&p->rekey, now.mono_us);
}

static void send_response(struct node *n, struct peer *p, const struct lane_handshake *h, struct instant now)
{
	struct wg_response m;
	uint32_t index = index_new(n, p);
	uint8_t *msg;

	if (!index || !noise_create_response(&p->handshake, index, &n->rng, &m)) {
		drop(n, DROP_HANDSHAKE_FORGED);
		return;
	}
	spread_handshake(n, p, now);
	/* Ready to open before the other side can send: the session first, then the message. */
	if (!begin_session(n, p, now))
		return;
	rekey_response_sent(&p->rekey, now.mono_us);
	msg = handshake_out(n, &h->from, WG_RESPONSE_LEN);
	wg_response_write(msg, &m);
	cookie_maker_sign(&p->cookies, msg, WG_RESPONSE_LEN, now.mono_us);
	fanout_answered(p, h, msg, now);
	handshake_message_sent(n, p, WG_RESPONSE_LEN, now);
}

/*
 * Ours and theirs have crossed on the way: as the whitepaper has it each side answers the other, forgets its own, and both wait for the
 * first data of an initiator that is none any more - until one repeats itself 5 s later. Links that say Hello at the same beat meet that often.
 * So the smaller public key stays the initiator: the other side, whatever it is, answers.
 */
static bool crosses_ours(const struct node *n, const struct peer *p, const struct lane_handshake *h, struct instant now)
{
	/* Ours goes on and on while holes are punched, so one is enough, and goes to where theirs came from as well (fanout_also()). */
	if (p->handshake.state == NOISE_CREATED_INITIATION && now.mono_us < p->mesh.punch_us)
		return memcmp(n->identity.public_key, p->public_key, KEY_LEN) < 0;
	return p->handshake.state == NOISE_CREATED_INITIATION && now.mono_us - p->initiated_us < NODE_CROSSING_MS * US_PER_MS &&
	       memcmp(n->identity.public_key, p->public_key, KEY_LEN) < 0 && fanout_went_to(p, &h->from.remote);
}

static void take_initiation(struct node *n, const struct lane_handshake *h, struct instant now)
{
	struct wg_initiation m;
	struct noise_offer offer;
	enum noise_verdict verdict;
	struct peer *p;

	wg_initiation_read(&m, h->msg);
	verdict = noise_read_initiation(&offer, &n->identity, &m);
	if (verdict != NOISE_OK) {
		drop_for(n, verdict);
		return;
	}
	p = node_find(n, offer.remote_static);
	if (!p) {
		crypto_wipe(&offer, sizeof(offer));
		drop(n, DROP_UNKNOWN_PEER);
		return;
	}
	if (!node_mesh_admits(n, p, now)) {
		crypto_wipe(&offer, sizeof(offer));
		drop(n, DROP_HANDSHAKE_FLOODED);
		return;
	}
	if (crosses_ours(n, p, h, now)) {
		fanout_also(n, p, &h->from, now);
		crypto_wipe(&offer, sizeof(offer));
		drop(n, DROP_HANDSHAKE_UNEXPECTED);
		return;
	}
	verdict = noise_accept_initiation(&p->handshake, &offer, now.mono_us);
	if (verdict == NOISE_REPLAYED && fanout_answer_again(n, p, h, now))
		return;
	if (verdict != NOISE_OK) {
		drop_for(n, verdict);
		return;
	}
	n->handshakes_received++;
	handshake_message_received(n, p, h, false, now);
	send_response(n, p, h, now);
	peer_rearm(n, p);
}

static void take_response(struct node *n, const struct lane_handshake *h, struct instant now)
{
	struct wg_response m;
	enum noise_verdict verdict;
	struct peer *p;

	wg_response_read(&m, h->msg);
	p = u32map_get(&n->handshakes, m.receiver);
	if (!p) {
		drop(n, DROP_HANDSHAKE_UNEXPECTED);
		return;
	}
	verdict = noise_consume_response(&p->handshake, &n->identity, &m);
	if (verdict != NOISE_OK) {
		drop_for(n, verdict);
		return;
	}
	n->handshakes_received++;
	handshake_message_received(n, p, h, true, now);
	if (begin_session(n, p, now)) {
		rekey_handshake_complete(&p->rekey);
		p->handshake_wall_ns = now.wall_ns;
		n->handshakes_done++;
		/* The responder waits for a first packet: what is waiting, or a keepalive. */
		lane_want_keepalive(peer_lane(n, p), peer_link(p));
		spread_session(n, p, now);
		peer_paths_session(n, p, now);
		node_mesh_session(n, p, now);
	}
	peer_rearm(n, p);
}

static void take_cookie_reply(struct node *n, const struct lane_handshake *h, struct instant now)
{
	struct wg_cookie_reply m;
	struct lane_peer *data;
	struct peer *p;

	wg_cookie_reply_read(&m, h->msg);
	p = u32map_get(&n->handshakes, m.receiver);
	if (!p) {
		/* It may answer a response of ours, whose index is a keypair's by now. */
		data = owner_of(n, m.receiver);
		if (data)
			p = container_of(data, struct peer, data);
	}
	if (!p || !cookie_reply_consume(&p->cookies, &m, now.mono_us))
		drop(n, DROP_COOKIE_BAD);
}

static void send_cookie_reply(struct node *n, const struct lane_handshake *h, struct instant now)
{
	struct wg_cookie_reply reply;

	cookie_reply_make(&n->checker, &reply, h->msg, h->len, &h->from.remote, now.mono_us, &n->rng);
	wg_cookie_reply_write(handshake_out(n, &h->from, WG_COOKIE_REPLY_LEN), &reply);
	n->handshakes_sent++;
}

static bool under_load(struct node *n, size_t waiting, int64_t now_us)
{
	if (waiting >= NODE_LOADED_QUEUE)
		n->loaded_us = now_us;
	return n->loaded_us && now_us - n->loaded_us < NODE_LOADED_MS * US_PER_MS;
}

/* Whether to work on an initiation or response; if not it has been answered or counted. */
static bool admit(struct node *n, const struct lane_handshake *h, bool loaded, struct instant now)
{
	switch (cookie_check(&n->checker, h->msg, h->len, &h->from.remote, loaded, now.mono_us, &n->rng)) {
	case COOKIE_BAD_MAC:
		drop(n, DROP_BAD_MAC1);
		return false;
	case COOKIE_NO_COOKIE:
		if (!loaded)
			return true;
		send_cookie_reply(n, h, now);
		return false;
	case COOKIE_VALID:
		if (ratelimit_allow(&n->ratelimit, &h->from.remote.addr, now.mono_us))
			return true;
		drop(n, DROP_RATE_LIMITED);
		return false;
	}
	return false;
}

static void take(struct node *n, const struct lane_handshake *h, bool loaded, struct instant now)
{
	unsigned int type = h->msg[0];

	if (!n->identity.set) {
		drop(n, DROP_NO_IDENTITY);
		return;
	}
	if (type == WG_COOKIE_REPLY)
		take_cookie_reply(n, h, now);
	else if (!admit(n, h, loaded, now))
		return;
	else if (type == WG_INITIATION)
		take_initiation(n, h, now);
	else
		take_response(n, h, now);
}

/* Lanes by turns; each message is copied out, so a lane stands still for that alone and never for a key exchange. */
void node_take_handshakes(struct node *n, struct instant now)
{
	struct lane_handshake h;
	unsigned int empty = 0;
	size_t waiting;

	for (int i = 0; i < NODE_HANDSHAKES_A_TURN && empty < n->lane_count && !handshake_out_full(n); i++) {
		struct lane *l = &n->lanes[n->next_lane++ % n->lane_count];

		if (!lane_take_handshake(l, &h, &waiting)) {
			empty++;
			continue;
		}
		empty = 0;
		if (n->up)
			take(n, &h, under_load(n, waiting, now.mono_us), now);
	}
	n->more_handshakes = empty < n->lane_count;
}
