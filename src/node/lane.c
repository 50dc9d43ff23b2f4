/* SPDX-License-Identifier: MIT */
/*
 * How a packet travels.
 *
 *	out: TUN -> find the peer (allowed IPs) -> session? -> seal in place -> UDP
 *						   no: a copy waits, the node is told
 *	in:  UDP -> find the keypair (receiver index) -> open in place -> source check -> TUN
 *
 * The bytes of a packet are written where they were read: the driver leaves room before and behind
 * them. Only what must wait for a session is copied, into slots of two sizes that are made once. A nonce is
 * taken when a packet leaves, never when it starts to wait, so a dropped packet leaves no hole.
 *
 * Nothing here decides anything slow. What concerns the control plane is noted as bits at the peer, and handshake
 * messages are put in a ring after their MAC1 was found right; node_turn() takes both.
 */
#include "node/lane.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "transport/cookie.h"
#include "transport/rekey.h"
#include "wire/ip.h"

/* A packet that waits, in a slot of one of the pools. */
struct held {
	struct held *next;
	struct pool *pool;
	uint32_t len;
	uint8_t room[];		/* headroom, packet, tailroom */
};

enum { HELD_LARGE = 65535 };

bool lane_init(struct lane *l)
{
	size_t around = sizeof(struct held) + PACKET_HEADROOM + PACKET_TAILROOM;

	memset(l, 0, sizeof(*l));
	l->mtu = 1420;
	l->out.dgrams = l->dgrams;
	l->out.packets = l->packets;
	l->handshakes = calloc(LANE_HANDSHAKES_MAX, sizeof(*l->handshakes));
	return l->handshakes &&
	       pool_init(&l->small, LANE_HELD_SMALL, LANE_HELD_SMALL_COUNT) &&
	       pool_init(&l->large, HELD_LARGE + around, LANE_HELD_LARGE_COUNT);
}

void lane_done(struct lane *l)
{
	u32map_done(&l->indices);
	lpm_clear(&l->allowed);
	pool_done(&l->small);
	pool_done(&l->large);
	free(l->handshakes);
	memset(l, 0, sizeof(*l));
}

static void note(struct lane *l, struct lane_peer *p, unsigned int events)
{
	p->events |= events;
	if (p->noted)
		return;
	p->noted = true;
	p->noted_next = l->noted;
	l->noted = p;
}

struct lane_peer *lane_next_noted(struct lane *l, unsigned int *events)
{
	struct lane_peer *p = l->noted;

	if (!p)
		return NULL;
	l->noted = p->noted_next;
	p->noted = false;
	*events = p->events;
	p->events = 0;
	return p;
}

void lane_kick(struct lane *l, struct lane_peer *p)
{
	if (p->pending)
		return;
	p->pending = true;
	p->pending_next = l->pending;
	l->pending = p;
}

void lane_want_keepalive(struct lane *l, struct lane_peer *p)
{
	p->want_keepalive = true;
	lane_kick(l, p);
}

static void drop(struct lane *l, enum drop_reason reason)
{
	l->drops[reason]++;
}

/*
 * Packets that wait.
 */

static void hold(struct lane *l, struct lane_peer *p, const struct packet *packet)
{
	size_t size = sizeof(struct held) + PACKET_HEADROOM + packet->len + PACKET_TAILROOM;
	struct pool *pool = size <= LANE_HELD_SMALL ? &l->small : &l->large;
	struct held *h;

	if (p->held_count >= LANE_HELD_MAX) {
		h = p->held_first;
		p->held_first = h->next;
		p->held_count--;
		pool_give(h->pool, h);
		drop(l, DROP_QUEUE_FULL);
	}
	h = pool_take(pool);
	if (!h) {
		drop(l, DROP_QUEUE_FULL);
		return;
	}
	h->next = NULL;
	h->pool = pool;
	h->len = packet->len;
	memcpy(h->room + PACKET_HEADROOM, packet->data, packet->len);
	if (p->held_count++)
		p->held_last->next = h;
	else
		p->held_first = h;
	p->held_last = h;
}

static struct held *unhold(struct lane_peer *p)
{
	struct held *h = p->held_first;

	p->held_first = h->next;
	p->held_count--;
	return h;
}

void lane_drop_held(struct lane *l, struct lane_peer *p, enum drop_reason reason)
{
	while (p->held_count) {
		struct held *h = unhold(p);

		pool_give(h->pool, h);
		drop(l, reason);
	}
}

/*
 * Sessions.
 */

static void forget(struct lane *l, struct session_dropped *dropped)
{
	for (size_t i = 0; i < dropped->count; i++) {
		u32map_remove(&l->indices, dropped->v[i]->local_index);
		keypair_free(dropped->v[i]);
	}
}

bool lane_install(struct lane *l, struct lane_peer *p, struct keypair *k)
{
	struct session_dropped dropped;

	if (!u32map_set(&l->indices, k->local_index, k)) {
		keypair_free(k);
		return false;
	}
	k->owner = p;
	session_install(&p->session, k, &dropped);
	forget(l, &dropped);
	return true;
}

void lane_clear_session(struct lane *l, struct lane_peer *p)
{
	struct session_dropped dropped;

	session_clear(&p->session, &dropped);
	forget(l, &dropped);
}

void lane_quiet(struct lane_peer *p)
{
	p->want_keepalive = false;
	p->events &= LANE_ROAMED;
}

static void unlink_peer(struct lane *l, struct lane_peer *p)
{
	struct lane_peer **at;

	for (at = &l->noted; p->noted && *at; at = &(*at)->noted_next)
		if (*at == p) {
			*at = p->noted_next;
			break;
		}
	for (at = &l->pending; p->pending && *at; at = &(*at)->pending_next)
		if (*at == p) {
			*at = p->pending_next;
			break;
		}
	p->noted = false;
	p->pending = false;
}

void lane_remove_peer(struct lane *l, struct lane_peer *p)
{
	lane_clear_session(l, p);
	lane_drop_held(l, p, DROP_NO_PEER);
	unlink_peer(l, p);
}

void lane_set_path(struct lane *l, struct lane_peer *p, const struct path_addr *path)
{
	if (path_addr_equal(&p->path, path))
		return;
	if (!endpoint_equal(&p->path.remote, &path->remote))
		note(l, p, LANE_ROAMED);
	p->path = *path;
}

/*
 * Out.
 */

/* The keypair to send with, or NULL; notes what the node should know about it. */
static struct keypair *sending_keypair(struct lane *l, struct lane_peer *p, int64_t now_us)
{
	struct keypair *k = p->session.current;

	if (!k)
		return NULL;
	switch (keypair_sending(k, now_us)) {
	case KEYPAIR_FINE:
		return k;
	case KEYPAIR_REKEY:
		note(l, p, LANE_REKEY_SENDING);
		return k;
	case KEYPAIR_EXPIRED:
		return NULL;
	}
	return NULL;
}

/* Plaintext is padded to 16, but not beyond the MTU: padding must not make a packet too long for the path. */
static uint32_t padding(const struct lane *l, uint32_t len)
{
	uint32_t padded = (len + WG_PADDING - 1) & ~(uint32_t)(WG_PADDING - 1);

	if (padded > l->mtu && len <= l->mtu)
		padded = l->mtu;
	return padded - len;
}

/* Seal in place and put the message into the output. */
static void seal(struct lane *l, struct lane_peer *p, struct keypair *k, uint8_t *data, uint32_t len)
{
	struct dgram *d = &l->dgrams[l->out.dgram_count++];
	uint32_t pad = padding(l, len);

	memset(data + len, 0, pad);
	wg_data_header_write(data - WG_DATA_HEADER, k->remote_index, k->counter);
	aead_seal(k->sealer, k->counter, data, data, len + pad);
	k->counter++;
	d->data = data - WG_DATA_HEADER;
	d->len = WG_DATA_HEADER + len + pad + AEAD_TAG;
	d->tos = 0;
	d->path = p->path;
	p->tx_bytes += d->len;
	note(l, p, LANE_ANY_SENT | (len ? LANE_DATA_SENT : 0U));
	p->events &= ~(unsigned int)LANE_RECEIVED_LAST;
}

/* Errors we originate are rationed like the kernel's own. */
static bool error_allowed(struct lane *l, int64_t now_us)
{
	const int64_t token_us = US_PER_S / LANE_ERRORS_PER_S, full_us = token_us * LANE_ERRORS_BURST;

	l->error_tokens_us += now_us - l->error_filled_us;
	l->error_filled_us = now_us;
	if (l->error_tokens_us > full_us)
		l->error_tokens_us = full_us;
	if (l->error_tokens_us < token_us || l->error_count == LANE_ERRORS_BATCH)
		return false;
	l->error_tokens_us -= token_us;
	return true;
}

static void refuse(struct lane *l, int64_t now_us, const struct packet *packet,
		   enum drop_reason reason, enum icmp_error error)
{
	struct packet *out = &l->packets[l->out.packet_count];

	drop(l, reason);
	if (!error_allowed(l, now_us))
		return;
	out->data = l->errors[l->error_count];
	out->len = (uint32_t)icmp_error_write(out->data, error, 0, packet->data, packet->len);
	if (!out->len)
		return;
	l->error_count++;
	l->out.packet_count++;
}

static void packet_out(struct lane *l, int64_t now_us, struct packet *packet)
{
	struct lane_peer *p;
	struct keypair *k;
	struct ip_view v;

	if (!ip_view(&v, packet->data, packet->len)) {
		drop(l, DROP_BAD_OUTGOING);
		return;
	}
	l->tx_packets++;
	p = v.family == IP_V4 ? lpm_lookup4(&l->allowed, v.dst) : lpm_lookup6(&l->allowed, v.dst);
	if (!p) {
		refuse(l, now_us, packet, DROP_NO_PEER, ICMP_NO_ROUTE);
		return;
	}
	if (p->path.remote.addr.family == IP_NONE) {
		refuse(l, now_us, packet, DROP_NO_ENDPOINT, ICMP_NO_ENDPOINT);
		return;
	}
	if (p->endpoint_loops) {
		refuse(l, now_us, packet, DROP_ENDPOINT_LOOP, ICMP_NO_ENDPOINT);
		return;
	}
	k = p->held_count ? NULL : sending_keypair(l, p, now_us);
	if (k) {
		seal(l, p, k, packet->data, packet->len);
		return;
	}
	hold(l, p, packet);
	if (sending_keypair(l, p, now_us))
		lane_kick(l, p);
	else
		note(l, p, LANE_NEED_SESSION);
}

void lane_from_tun(struct lane *l, struct instant now, struct packet *in, size_t count)
{
	for (size_t i = 0; i < count; i++)
		packet_out(l, now.mono_us, &in[i]);
}

static void send_held(struct lane *l, struct lane_peer *p, struct keypair *k)
{
	struct held *h = unhold(p);

	seal(l, p, k, h->room + PACKET_HEADROOM, h->len);
	h->next = l->sent_held;
	l->sent_held = h;
}

static void send_keepalive(struct lane *l, struct lane_peer *p, struct keypair *k)
{
	seal(l, p, k, l->keepalives[l->keepalive_count++] + PACKET_HEADROOM, 0);
}

/* Send what 'p' has waiting. False: the output is full. */
static bool drain_peer(struct lane *l, struct lane_peer *p, int64_t now_us)
{
	struct keypair *k;

	if (p->endpoint_loops || p->path.remote.addr.family == IP_NONE) {
		p->want_keepalive = false;
		return true;
	}
	if (!p->held_count && !p->want_keepalive)
		return true;
	k = sending_keypair(l, p, now_us);
	if (!k) {
		/* Whoever wants a keepalive sent wants a session first: the handshake ends with one. */
		p->want_keepalive = false;
		note(l, p, LANE_NEED_SESSION);
		return true;
	}
	while (p->held_count && l->out.dgram_count < PACKET_BATCH) {
		send_held(l, p, k);
		p->want_keepalive = false;
		k = sending_keypair(l, p, now_us);
		if (!k) {
			note(l, p, LANE_NEED_SESSION);
			return true;
		}
	}
	if (p->want_keepalive && l->out.dgram_count < PACKET_BATCH) {
		send_keepalive(l, p, k);
		p->want_keepalive = false;
	}
	return !p->held_count && !p->want_keepalive;
}

bool lane_drain(struct lane *l, struct instant now)
{
	while (l->pending) {
		struct lane_peer *p = l->pending;

		if (!drain_peer(l, p, now.mono_us))
			return true;
		l->pending = p->pending_next;
		p->pending = false;
	}
	return false;
}

/*
 * In.
 */

static void take_handshake(struct lane *l, const struct dgram *d)
{
	struct lane_handshake *h;

	if (!l->checker) {
		drop(l, DROP_NO_IDENTITY);
		return;
	}
	/* A cookie reply has no MAC1: it authenticates by itself, later. */
	if (d->data[0] != WG_COOKIE_REPLY && !cookie_mac1_valid(l->checker, d->data, d->len)) {
		drop(l, DROP_BAD_MAC1);
		return;
	}
	if (l->handshake_count == LANE_HANDSHAKES_MAX) {
		drop(l, DROP_HANDSHAKE_QUEUE);
		return;
	}
	h = &l->handshakes[(l->handshake_first + l->handshake_count++) % LANE_HANDSHAKES_MAX];
	h->from = d->path;
	h->len = d->len;
	memcpy(h->msg, d->data, d->len);
}

struct lane_handshake *lane_handshake_peek(struct lane *l)
{
	return l->handshake_count ? &l->handshakes[l->handshake_first] : NULL;
}

void lane_handshake_pop(struct lane *l)
{
	l->handshake_first = (l->handshake_first + 1) % LANE_HANDSHAKES_MAX;
	l->handshake_count--;
}

/* The packet inside an authenticated message, checked and put into the output. */
static void packet_in(struct lane *l, struct lane_peer *p, uint8_t *data, uint32_t len)
{
	struct ip_view v;
	struct packet *out;
	void *owner;

	if (!ip_view(&v, data, len)) {
		drop(l, DROP_BAD_INNER);
		return;
	}
	owner = v.family == IP_V4 ? lpm_lookup4(&l->allowed, v.src) : lpm_lookup6(&l->allowed, v.src);
	if (owner != p) {
		drop(l, DROP_SOURCE);
		return;
	}
	l->rx_packets++;
	out = &l->packets[l->out.packet_count++];
	out->data = data;
	out->len = v.len;
}

/* What every authenticated message does to its peer's session. */
static void authenticated(struct lane *l, struct lane_peer *p, struct keypair *k, const struct dgram *d)
{
	struct session_dropped dropped;

	p->rx_bytes += d->len;
	lane_set_path(l, p, &d->path);
	note(l, p, LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);
	if (!session_confirm(&p->session, k, &dropped))
		return;
	forget(l, &dropped);
	note(l, p, LANE_CONFIRMED);
	if (p->held_count)
		lane_kick(l, p);
}

static void data_in(struct lane *l, int64_t now_us, const struct dgram *d)
{
	struct keypair *k = u32map_get(&l->indices, wg_data_receiver(d->data));
	uint64_t counter = wg_data_counter(d->data);
	uint8_t *sealed = d->data + WG_DATA_HEADER;
	uint32_t len = d->len - WG_DATA_HEADER;
	struct lane_peer *p;
	enum keypair_advice advice;

	if (!k) {
		drop(l, DROP_NO_INDEX);
		return;
	}
	p = k->owner;
	advice = keypair_receiving(k, now_us);
	if (advice == KEYPAIR_EXPIRED || counter >= REJECT_AFTER_MESSAGES) {
		drop(l, DROP_KEY_EXPIRED);
		return;
	}
	if (!replay_is_new(&k->replay, counter)) {
		drop(l, DROP_REPLAYED);
		return;
	}
	if (!aead_open(k->opener, counter, sealed, sealed, len)) {
		drop(l, DROP_FORGED);
		return;
	}
	replay_accept(&k->replay, counter);
	authenticated(l, p, k, d);
	/* A late packet on the previous key says nothing about the one in use. */
	if (advice == KEYPAIR_REKEY && k == p->session.current)
		note(l, p, LANE_REKEY_RECEIVING);
	len -= AEAD_TAG;
	if (!len)
		return;
	note(l, p, LANE_DATA_RECEIVED);
	packet_in(l, p, sealed, len);
}

void lane_from_udp(struct lane *l, struct instant now, struct dgram *in, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		switch (wg_classify(in[i].data, in[i].len)) {
		case WG_DATA:
			data_in(l, now.mono_us, &in[i]);
			break;
		case WG_INITIATION:
		case WG_RESPONSE:
		case WG_COOKIE_REPLY:
			take_handshake(l, &in[i]);
			break;
		default:
			drop(l, DROP_NOT_WIREGUARD);
			break;
		}
	}
}

/*
 * Output.
 */

const struct lane_out *lane_out(const struct lane *l)
{
	return &l->out;
}

void lane_out_clear(struct lane *l)
{
	l->out.dgram_count = 0;
	l->out.packet_count = 0;
	l->error_count = 0;
	l->keepalive_count = 0;
	while (l->sent_held) {
		struct held *h = l->sent_held;

		l->sent_held = h->next;
		pool_give(h->pool, h);
	}
}

void lane_count_udp_refused(struct lane *l, size_t count)
{
	l->drops[DROP_UDP_SEND] += count;
}

void lane_count_tun_refused(struct lane *l, size_t count)
{
	l->drops[DROP_TUN_WRITE] += count;
}
