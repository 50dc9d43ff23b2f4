/* SPDX-License-Identifier: MIT */
/*
 * How a packet travels.
 *
 *	out: TUN -> find the peer (allowed IPs) -> session? -> cut -> seal -> runs for UDP GSO
 *						   no: a copy waits, the node is told
 *	in:  UDP GRO -> find the keypair (receiver index) -> open in place -> source check -> merge -> TUN
 *
 * No payload is copied in either direction. Going out, a segment's header is stamped in front of its payload inside the
 * super-packet, and sealing moves the bytes to their place in the run. Coming in, messages are opened where they were read and
 * the TUN write gathers them. Only what must wait for a session is copied, into slots of two sizes that are made once. A nonce
 * is taken when a packet leaves, never when it starts to wait, so a dropped packet leaves no hole.
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
	struct vnet vnet;
	uint32_t len;
	struct lane_cut cut;
	uint8_t room[];		/* headroom, packet, tailroom */
};

enum { HELD_LARGE = 65535 };

bool lane_init(struct lane *l, unsigned int number, unsigned int lanes, const struct lpm *allowed)
{
	size_t around = sizeof(struct held) + PACKET_HEADROOM + PACKET_TAILROOM;

	memset(l, 0, sizeof(*l));
	l->number = number;
	l->lanes = lanes;
	l->allowed = allowed;
	l->mtu = 1420;
	l->run_messages_max = 1;
	l->out_bytes = malloc(LANE_OUT_BYTES);
	l->merge = malloc(sizeof(*l->merge));
	l->handshakes = calloc(LANE_HANDSHAKES_MAX, sizeof(*l->handshakes));
	return l->out_bytes && l->merge && l->handshakes &&
	       pool_init(&l->small, LANE_HELD_SMALL, LANE_HELD_SMALL_COUNT) &&
	       pool_init(&l->large, HELD_LARGE + around, LANE_HELD_LARGE_COUNT);
}

void lane_done(struct lane *l)
{
	u32map_done(&l->indices);
	pool_done(&l->small);
	pool_done(&l->large);
	free(l->handshakes);
	free(l->out_bytes);
	free(l->merge);
	memset(l, 0, sizeof(*l));
}

void lane_close(struct lane *l)
{
	if (!l->gate_depth++ && l->gate.close)
		l->gate.close(l->gate.ctx);
}

void lane_open(struct lane *l)
{
	if (!--l->gate_depth && l->gate.open)
		l->gate.open(l->gate.ctx);
}

static void note(struct lane *l, struct lane_peer *p, unsigned int events)
{
	p->events |= events;
	l->urgent |= events & LANE_URGENT;
	if (p->noted)
		return;
	p->noted = true;
	p->noted_next = l->noted;
	l->noted = p;
}

/* Take the list away from the lane in one go: while peers are dealt with it makes a new one, for the next time. */
static void take_noted(struct lane *l)
{
	lane_close(l);
	l->taken = l->noted;
	l->noted = NULL;
	l->urgent = 0;
	for (struct lane_peer *p = l->taken; p; p = p->taken_next) {
		p->taken_next = p->noted_next;
		p->taken_events = p->events;
		p->events = 0;
		p->noted = false;
	}
	lane_open(l);
}

struct lane_peer *lane_next_noted(struct lane *l, unsigned int *events)
{
	struct lane_peer *p;

	if (!l->taking)
		take_noted(l);
	p = l->taken;
	l->taking = p != NULL;
	if (!p)
		return NULL;
	l->taken = p->taken_next;
	*events = p->taken_events;
	return p;
}

bool lane_urgent(const struct lane *l)
{
	return l->urgent || l->handshake_count;
}

static void kick(struct lane *l, struct lane_peer *p)
{
	if (p->pending)
		return;
	p->pending = true;
	p->pending_next = l->pending;
	l->pending = p;
}

void lane_kick(struct lane *l, struct lane_peer *p)
{
	lane_close(l);
	kick(l, p);
	lane_open(l);
}

void lane_want_keepalive(struct lane *l, struct lane_peer *p)
{
	lane_close(l);
	p->want_keepalive = true;
	kick(l, p);
	lane_open(l);
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
	h->vnet = packet->vnet;
	h->cut.begun = false;
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
	lane_close(l);
	while (p->held_count) {
		struct held *h = unhold(p);

		pool_give(h->pool, h);
		drop(l, reason);
	}
	lane_open(l);
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
	struct session_dropped dropped = { .count = 0 };
	bool ok;

	k->owner = p;
	lane_close(l);
	ok = u32map_set(&l->indices, k->local_index, k);
	if (ok) {
		session_install(&p->session, k, &dropped);
		forget(l, &dropped);
	}
	lane_open(l);
	if (!ok)
		keypair_free(k);
	return ok;
}

void lane_clear_session(struct lane *l, struct lane_peer *p)
{
	struct session_dropped dropped;

	lane_close(l);
	session_clear(&p->session, &dropped);
	forget(l, &dropped);
	lane_open(l);
}

void lane_quiet(struct lane *l, struct lane_peer *p)
{
	lane_close(l);
	p->want_keepalive = false;
	p->events &= LANE_ROAMED;
	lane_open(l);
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
	if (l->cut_peer == p)
		l->cut_peer = NULL;
}

void lane_remove_peer(struct lane *l, struct lane_peer *p)
{
	lane_close(l);
	lane_clear_session(l, p);
	lane_drop_held(l, p, DROP_NO_PEER);
	unlink_peer(l, p);
	lane_open(l);
}

static void set_path(struct lane *l, struct lane_peer *p, const struct path_addr *path)
{
	if (path_addr_equal(&p->path, path))
		return;
	if (!endpoint_equal(&p->path.remote, &path->remote))
		note(l, p, LANE_ROAMED);
	p->path = *path;
}

void lane_set_path(struct lane *l, struct lane_peer *p, const struct path_addr *path)
{
	lane_close(l);
	set_path(l, p, path);
	lane_open(l);
}

void lane_forget_local(struct lane *l, struct lane_peer *p)
{
	lane_close(l);
	p->path.local = (struct ip_addr){ 0 };
	p->path.ifindex = 0;
	lane_open(l);
}

void lane_set_loops(struct lane *l, struct lane_peer *p, bool loops)
{
	lane_close(l);
	p->endpoint_loops = loops;
	lane_open(l);
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

static uint32_t sealed_len(const struct lane *l, uint32_t len)
{
	return WG_DATA_HEADER + len + padding(l, len) + AEAD_TAG;
}

/* Whether a packet of 'len' bytes can be sealed into the output as it is now. */
static bool has_room(const struct lane *l, uint32_t len)
{
	return l->run_count < LANE_RUNS_MAX && l->out_used + sealed_len(l, len) <= LANE_OUT_BYTES;
}

/*
 * The run the next message of 'len' bytes to 'p' goes into. One GSO send is for one path and one TOS; its messages have the same
 * length, but for the last, which may be shorter and ends it.
 */
static void run_add(struct lane *l, const struct lane_peer *p, uint32_t len)
{
	struct dgram *run = l->run_count ? &l->runs[l->run_count - 1] : NULL;

	if (run && l->run_peer == p && len <= run->segment && l->run_messages < l->run_messages_max &&
	    run->len + len <= LANE_RUN_BYTES_MAX && path_addr_equal(&run->path, &p->path)) {
		run->len += len;
		l->run_messages++;
		if (len < run->segment)
			l->run_peer = NULL;
		return;
	}
	run = &l->runs[l->run_count++];
	run->data = l->out_bytes + l->out_used;
	run->len = len;
	run->segment = len;
	run->tos = 0;
	run->path = p->path;
	l->run_peer = p;
	l->run_messages = 1;
}

/*
 * Seal a packet into the output, where has_room() found room. Padding is written behind the packet, over what may be the next
 * segment's payload, so it is put back.
 */
static void seal(struct lane *l, struct lane_peer *p, struct keypair *k, uint8_t *data, uint32_t len)
{
	uint8_t *out = l->out_bytes + l->out_used, behind[WG_PADDING];
	uint32_t pad = padding(l, len), sealed = WG_DATA_HEADER + len + pad + AEAD_TAG;

	run_add(l, p, sealed);
	l->out_used += sealed;
	wg_data_header_write(out, k->remote_index, k->counter);
	if (pad) {
		memcpy(behind, data + len, pad);
		memset(data + len, 0, pad);
	}
	aead_seal(k->sealer, k->counter, out + WG_DATA_HEADER, data, len + pad);
	if (pad)
		memcpy(data + len, behind, pad);
	k->counter++;
	p->tx_bytes += sealed;
	note(l, p, LANE_ANY_SENT | (len ? LANE_DATA_SENT : 0U));
	p->events &= ~(unsigned int)LANE_RECEIVED_LAST;
}

/* No segment of a packet is longer, whatever split_begin() will make of it. */
static uint32_t segment_len_max(const struct packet *packet)
{
	uint32_t len = SPLIT_HEADER_MAX + (uint32_t)packet->vnet.gso_size;

	return packet->vnet.gso_type != VNET_GSO_NONE && len < packet->len ? len : packet->len;
}

/*
 * Cut a packet and seal what comes out. False: the output is full; call again with the same packet and cut once it is empty.
 */
static bool seal_all(struct lane *l, struct lane_peer *p, struct keypair *k, const struct packet *packet, struct lane_cut *cut)
{
	struct split *s = &cut->split;
	uint8_t *segment;
	uint32_t len;

	/* Nothing is begun that cannot go on: till then the packet is as it came. */
	if (!cut->begun && !has_room(l, segment_len_max(packet)))
		return false;
	if (!cut->begun && !split_begin(s, packet)) {
		drop(l, DROP_BAD_OUTGOING);
		return true;
	}
	/* No segment is longer than the first. */
	while (s->done < s->count && has_room(l, s->header_len + s->size)) {
		split_next(s, &segment, &len);
		l->tx_packets++;
		seal(l, p, k, segment, len);
	}
	cut->begun = s->done < s->count;
	return !cut->begun;
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
	size_t i = l->error_count;
	uint32_t len;

	drop(l, reason);
	if (!error_allowed(l, now_us))
		return;
	memset(l->errors[i], 0, VNET_LEN);
	len = (uint32_t)icmp_error_write(l->errors[i] + VNET_LEN, error, 0, packet->data, packet->len);
	if (!len)
		return;
	l->error_pieces[i] = (struct piece){ .base = l->errors[i], .len = VNET_LEN + len };
	l->error_writes[i] = (struct tun_write){ .pieces = &l->error_pieces[i], .count = 1, .packets = 1 };
	l->error_count++;
}

/* The peer a packet is for; if there is none that has been counted and answered. */
static struct lane_peer *peer_for(struct lane *l, int64_t now_us, const struct packet *packet)
{
	struct lane_peer *p;
	struct ip_view v;

	if (!ip_view(&v, packet->data, packet->len)) {
		drop(l, DROP_BAD_OUTGOING);
		return NULL;
	}
	p = v.family == IP_V4 ? lpm_lookup4(l->allowed, v.dst) : lpm_lookup6(l->allowed, v.dst);
	if (!p)
		refuse(l, now_us, packet, DROP_NO_PEER, ICMP_NO_ROUTE);
	return p;
}

/*
 * The packet the output became full in. Headers are stamped into it already, perhaps over its own: so nobody looks at it again,
 * and it cannot wait. It goes on with whatever key there is; one that it uses up itself is far from its last nonce.
 */
static bool packet_rest(struct lane *l, const struct packet *packet)
{
	struct lane_peer *p = l->cut_peer;

	if (p && p->session.current)
		return seal_all(l, p, p->session.current, packet, &l->cut);
	l->cut.begun = false;
	drop(l, DROP_NO_SESSION);
	return true;
}

/* A packet for a peer of this lane. False: the output is full, and the packet is not done. */
static bool packet_for(struct lane *l, struct lane_peer *p, int64_t now_us, const struct packet *packet)
{
	struct keypair *k = p->held_count ? NULL : sending_keypair(l, p, now_us);

	l->cut_peer = p;
	if (p->path.remote.addr.family == IP_NONE)
		refuse(l, now_us, packet, DROP_NO_ENDPOINT, ICMP_NO_ENDPOINT);
	else if (p->endpoint_loops)
		refuse(l, now_us, packet, DROP_ENDPOINT_LOOP, ICMP_NO_ENDPOINT);
	else if (k)
		return seal_all(l, p, k, packet, &l->cut);
	else {
		hold(l, p, packet);
		if (sending_keypair(l, p, now_us))
			kick(l, p);
		else
			note(l, p, LANE_NEED_SESSION);
	}
	return true;
}

static bool packet_out(struct lane *l, int64_t now_us, const struct packet *packet)
{
	struct lane_peer *p;

	if (l->cut.begun)
		return packet_rest(l, packet);
	p = peer_for(l, now_us, packet);
	if (!p)
		return true;
	if (p->home == l->number)
		return packet_for(l, p, now_us, packet);
	if (l->handover_count == PACKET_BATCH)
		return false;
	l->handovers[l->handover_count++] = (struct handover){ .packet = *packet, .peer = p };
	return true;
}

size_t lane_from_tun(struct lane *l, struct instant now, const struct packet *in, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!packet_out(l, now.mono_us, &in[i]))
			return i;
	return count;
}

size_t lane_from_lane(struct lane *l, struct instant now, const struct handover *in, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!(l->cut.begun ? packet_rest(l, &in[i].packet) : packet_for(l, in[i].peer, now.mono_us, &in[i].packet)))
			return i;
	return count;
}

/* Send the oldest packet that waits. False: the output is full. */
static bool send_held(struct lane *l, struct lane_peer *p, struct keypair *k)
{
	struct held *h = p->held_first;
	struct packet packet = { .data = h->room + PACKET_HEADROOM, .len = h->len, .vnet = h->vnet };

	if (!seal_all(l, p, k, &packet, &h->cut))
		return false;
	unhold(p);
	pool_give(h->pool, h);
	return true;
}

/* Send what 'p' has waiting. False: the output is full. */
static bool drain_peer(struct lane *l, struct lane_peer *p, int64_t now_us)
{
	uint8_t nothing[WG_PADDING];
	struct keypair *k;

	if (p->endpoint_loops || p->path.remote.addr.family == IP_NONE) {
		p->want_keepalive = false;
		return true;
	}
	while (p->held_count || p->want_keepalive) {
		k = sending_keypair(l, p, now_us);
		if (!k) {
			/* Whoever wants a keepalive sent wants a session first: the handshake ends with one. */
			p->want_keepalive = false;
			note(l, p, LANE_NEED_SESSION);
			return true;
		}
		if (p->held_count) {
			if (!send_held(l, p, k))
				return false;
		} else if (has_room(l, 0)) {
			seal(l, p, k, nothing, 0);
		} else {
			return false;
		}
		p->want_keepalive = false;
	}
	return true;
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

bool lane_take_handshake(struct lane *l, struct lane_handshake *h, size_t *waiting)
{
	bool any;

	lane_close(l);
	any = l->handshake_count > 0;
	*waiting = l->handshake_count;
	if (any) {
		*h = l->handshakes[l->handshake_first];
		l->handshake_first = (l->handshake_first + 1) % LANE_HANDSHAKES_MAX;
		l->handshake_count--;
	}
	lane_open(l);
	return any;
}

/* The packet inside an authenticated message, checked and put into the output. */
static void packet_in(struct lane *l, struct lane_peer *p, uint8_t *data, uint32_t len)
{
	struct ip_view v;
	void *owner;

	if (!ip_view(&v, data, len)) {
		drop(l, DROP_BAD_INNER);
		return;
	}
	owner = v.family == IP_V4 ? lpm_lookup4(l->allowed, v.src) : lpm_lookup6(l->allowed, v.src);
	if (owner != p) {
		drop(l, DROP_SOURCE);
		return;
	}
	l->rx_packets++;
	if (!merge_add(l->merge, data, v.len))
		drop(l, DROP_TUN_WRITE);
}

/* What every authenticated message does to its peer's session. */
static void authenticated(struct lane *l, struct lane_peer *p, struct keypair *k, const struct dgram *d)
{
	struct session_dropped dropped;

	p->rx_bytes += d->len;
	set_path(l, p, &d->path);
	note(l, p, LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);
	if (!session_confirm(&p->session, k, &dropped))
		return;
	forget(l, &dropped);
	note(l, p, LANE_CONFIRMED);
	if (p->held_count)
		kick(l, p);
}

/*
 * No keypair of ours: steering is a hint, and the index says whose it is. Once handed over it is not handed on.
 */
static void stray(struct lane *l, const struct dgram *d)
{
	unsigned int home = wg_index_lane(wg_data_receiver(d->data));

	if (home == l->number || home >= l->lanes || l->stray_count == LANE_STRAYS_MAX)
		drop(l, DROP_NO_INDEX);
	else
		l->strays[l->stray_count++] = *d;
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
		stray(l, d);
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

static void message_in(struct lane *l, int64_t now_us, const struct dgram *d)
{
	switch (wg_classify(d->data, d->len)) {
	case WG_DATA:
		data_in(l, now_us, d);
		break;
	case WG_INITIATION:
	case WG_RESPONSE:
	case WG_COOKIE_REPLY:
		take_handshake(l, d);
		break;
	default:
		drop(l, DROP_NOT_WIREGUARD);
		break;
	}
}

/* Each message of a GRO datagram is looked at by itself: nothing says that they belong together. */
static void dgram_in(struct lane *l, int64_t now_us, const struct dgram *d)
{
	uint32_t step = d->segment ? d->segment : d->len;
	struct dgram message = *d;

	message.segment = 0;
	if (!d->len)
		drop(l, DROP_NOT_WIREGUARD);
	for (uint32_t at = 0; at < d->len; at += step) {
		message.data = d->data + at;
		message.len = d->len - at < step ? d->len - at : step;
		message_in(l, now_us, &message);
	}
}

void lane_from_udp(struct lane *l, struct instant now, const struct dgram *in, size_t count)
{
	merge_begin(l->merge, &l->merge_options);
	l->merging = true;
	for (size_t i = 0; i < count; i++)
		dgram_in(l, now.mono_us, &in[i]);
}

/*
 * Output.
 */

const struct lane_out *lane_out(struct lane *l)
{
	l->out.dgrams = l->runs;
	l->out.dgram_count = l->run_count;
	l->out.handovers = l->handovers;
	l->out.handover_count = l->handover_count;
	l->out.strays = l->strays;
	l->out.stray_count = l->stray_count;
	if (l->merging) {
		l->out.write_count = merge_end(l->merge, &l->out.writes);
		l->merging = false;
	} else if (l->error_count) {
		l->out.writes = l->error_writes;
		l->out.write_count = l->error_count;
	}
	return &l->out;
}

void lane_out_clear(struct lane *l)
{
	l->run_count = 0;
	l->run_peer = NULL;
	l->out_used = 0;
	l->error_count = 0;
	l->handover_count = 0;
	l->stray_count = 0;
	l->merging = false;
	l->out.dgram_count = 0;
	l->out.write_count = 0;
}

void lane_set_offloads(struct lane *l, uint32_t run_messages_max, bool merge)
{
	l->run_messages_max = run_messages_max;
	l->merge_options = (struct merge_options){ .tcp = merge, .udp = merge };
}

void lane_count_udp_refused(struct lane *l, size_t count)
{
	l->drops[DROP_UDP_SEND] += count;
}

void lane_count_tun_refused(struct lane *l, size_t count)
{
	l->drops[DROP_TUN_WRITE] += count;
}
