/* SPDX-License-Identifier: MIT */
/*
 * How a packet travels, and the way out; the way in is in lane_in.c.
 *
 *	out: TUN -> find the peer (allowed IPs, routes) -> place its flow -> nothing ahead? -> cut -> seal -> runs for UDP GSO
 *						   else: wait (lane_queue.c), and come back from there
 *	in:  UDP GRO -> find the sub-session (receiver index) -> open in place -> source check -> ECN -> merge -> TUN
 *						   for another peer: out (lane_transit.c)
 *
 * No payload is copied in either direction. Going out, a segment's header is stamped in front of its payload inside the
 * super-packet, and sealing moves the bytes to their place in the run. Coming in, messages are opened where they were read and
 * the TUN write gathers them. What must wait keeps the memory it was read into. A nonce is taken when a packet leaves, never when it
 * starts to wait, so a dropped packet leaves no hole, and the order in a sub-session is that on the wire.
 *
 * Between meshd nodes each inner flow is placed on a sub-session of its own (flow/table.h), with its own keys, counter and outer
 * tuple; a peer that is not a meshd has only session 0. Plaintext that is no IP packet but a control message goes to the node.
 *
 * Nothing here decides anything slow. What concerns the control plane is noted as bits at the link, and messages that it must read are put
 * in rings (lane_notes.c); node_turn() takes both.
 */
#include "node/lane.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "node/fib.h"
#include "node/shortcut.h"
#include "node/lane_inside.h"
#include "path/pmtu.h"
#include "transport/rekey.h"
#include "wire/ecn.h"
#include "wire/flow_key.h"
#include "wire/ip.h"

static const struct fib no_routes;
static const struct owners no_owners;
static const struct lpm nowhere;

bool lane_init(struct lane *l, unsigned int number, unsigned int lanes, const struct lpm *allowed, const uint8_t flow_key[16])
{
	memset(l, 0, sizeof(*l));
	l->number = number;
	l->lanes = lanes;
	l->allowed = allowed;
	l->fib = &no_routes;
	l->owners = &no_owners;
	l->host = &nowhere;
	l->transit = TRANSIT_KERNEL;
	l->mtu = 1420;
	l->mss_clamp = MSS_CLAMP_OFF;
	l->run_messages_max = 1;
	l->bypass = true;
	memcpy(l->flow_key, flow_key, sizeof(l->flow_key));
	l->out_bytes = malloc(LANE_OUT_BYTES);
	l->merge = malloc(sizeof(*l->merge));
	l->handshakes = calloc(LANE_HANDSHAKES_MAX, sizeof(*l->handshakes));
	l->controls = calloc(LANE_CONTROLS_MAX, sizeof(*l->controls));
	l->controls_out = calloc(LANE_CONTROLS_OUT, sizeof(*l->controls_out));
	l->routings = calloc(LANE_ROUTING_MAX, sizeof(*l->routings));
	l->inners_out = calloc(LANE_ROUTING_OUT, sizeof(*l->inners_out));
	return l->out_bytes && l->merge && l->handshakes && l->controls && l->controls_out && l->routings && l->inners_out &&
	       flow_table_init(&l->flows, LANE_FLOWS_MAX) && lane_queue_init(l);
}

void lane_done(struct lane *l)
{
	lane_queue_done(l);
	flow_table_done(&l->flows);
	u32map_done(&l->indices);
	free(l->handshakes);
	free(l->controls);
	free(l->controls_out);
	free(l->routings);
	free(l->inners_out);
	free(l->out_bytes);
	free(l->merge);
	memset(l, 0, sizeof(*l));
}

/*
 * Out.
 */

struct subsession *lane_sealing(struct lane *l, struct lane_link *k, unsigned int number)
{
	struct subsession *s = k->current ? keypair_sub(k->current, number) : NULL;

	if (!s)
		return NULL;
	switch (keypair_sending(k->current, s, l->now_us)) {
	case KEYPAIR_FINE:
		return s;
	case KEYPAIR_REKEY:
		lane_note(l, k, LANE_REKEY_SENDING);
		return s;
	case KEYPAIR_EXPIRED:
		return NULL;
	}
	return NULL;
}

bool lane_has_session(struct lane *l, struct lane_link *k)
{
	if (k->peer->home == l->number)
		return lane_sealing(l, k, 0);
	return k->current && keypair_receiving(k->current, l->now_us) != KEYPAIR_EXPIRED;
}

/* Plaintext is padded to 16, but not beyond the MTU: padding must not make a packet too long for the path. */
static uint32_t padding(uint32_t mtu, uint32_t len)
{
	uint32_t padded = (len + WG_PADDING - 1) & ~(uint32_t)(WG_PADDING - 1);

	if (padded > mtu && len <= mtu)
		padded = mtu;
	return padded - len;
}

/* At the most: a peer's MTU may make it less. */
static uint32_t sealed_len(const struct lane *l, uint32_t len)
{
	return WG_DATA_HEADER + len + padding(l->mtu, len) + AEAD_TAG;
}

bool lane_has_room(const struct lane *l, uint32_t len)
{
	return l->run_count < LANE_RUNS_MAX && l->out_used + sealed_len(l, len) <= LANE_OUT_BYTES;
}

/* The first packet of sub-session i the link has in this lane, so that slot j is that of i + j * lanes. */
static unsigned int first_of(const struct lane *l)
{
	return l->number ? l->number : l->lanes;
}

unsigned int lane_place(struct lane *l, struct lane_link *k, uint64_t hash)
{
	struct flow_place place = flow_place(&l->flows, &k->slots, hash, l->now_us);
	unsigned int number;

	if (!place.own && !k->wanting) {
		k->wanting = true;
		lane_note(l, k, LANE_WANT_SUBS);
	}
	if (place.slot == FLOW_NONE)
		return 0;
	number = first_of(l) + (unsigned int)place.slot * l->lanes;
	/* A new session may be one without: the peer came back as a plain one, and the node has not said so yet. */
	return k->current && keypair_sub(k->current, number) ? number : 0;
}

uint8_t lane_outer_tos(const struct lane_peer *p, uint8_t inner)
{
	uint8_t tos = 0;

	if (p->dscp >= 0)
		tos = (uint8_t)(p->dscp << 2);
	else if (p->dscp == DSCP_COPY)
		tos = inner & 0xfc;
	if (p->ecn_out == LANE_ECN_COPY)
		tos |= ecn_outer_mesh(inner & 3);
	else if (p->ecn_out == LANE_ECN_KERNEL)
		tos |= ecn_outer_plain(inner & 3);
	return tos;
}

/* Whether the last run may take one more message: one GSO send is for one tuple and one TOS. */
static bool run_fits(const struct lane *l, const struct dgram *run, const struct lane_link *k, unsigned int number,
		     const struct path_addr *path, uint8_t tos, uint32_t len)
{
	return l->run_link == k && l->run_number == number && run->tos == tos && len <= run->segment &&
	       l->run_messages < l->run_messages_max && run->len + len <= LANE_RUN_BYTES_MAX && path_addr_equal(&run->path, path) &&
	       run->path.pinned == path->pinned;
}

/*
 * The run the next message of 'len' bytes goes into. Its messages have the same length, but for the last, which may be shorter and
 * ends it. The control sub-session goes where session 0 does.
 */
static void run_add(struct lane *l, const struct lane_link *k, unsigned int number, uint8_t tos, uint32_t len)
{
	struct dgram *run = l->run_count ? &l->runs[l->run_count - 1] : NULL;
	const struct lane_sub *sub = number == 0 || number == SUB_SESSION_CONTROL ? NULL : &k->peer->subs[number];
	const struct path_addr *path = sub ? &sub->path : &k->path;

	if (run && run_fits(l, run, k, number, path, tos, len)) {
		run->len += len;
		l->run_messages++;
		if (len < run->segment)
			l->run_link = NULL;
		return;
	}
	run = &l->runs[l->run_count++];
	*run = (struct dgram){
		.data = l->out_bytes + l->out_used, .len = len, .segment = len, .tos = tos,
		.port = sub ? sub->port : 0, .label = sub ? sub->label : 0, .path = *path,
	};
	l->run_link = k;
	l->run_number = number;
	l->run_messages = 1;
}

/*
 * Padding is written behind the packet, over what may be the next segment's payload, so it is put back.
 */
uint32_t lane_seal(struct lane *l, struct lane_link *k, unsigned int number, struct subsession *s, uint8_t tos, uint8_t *data,
		   uint32_t len)
{
	uint8_t *out = l->out_bytes + l->out_used, behind[WG_PADDING];
	uint32_t mtu = lane_mtu(l, k->peer), pad = padding(len > mtu ? l->mtu : mtu, len), sealed = WG_DATA_HEADER + len + pad + AEAD_TAG;

	run_add(l, k, number, tos, sealed);
	l->out_used += sealed;
	wg_data_header_write(out, k->current->remote_index | number, s->counter);
	if (pad) {
		memcpy(behind, data + len, pad);
		memset(data + len, 0, pad);
	}
	aead_seal(s->sealer, s->counter, out + WG_DATA_HEADER, data, len + pad);
	if (pad)
		memcpy(data + len, behind, pad);
	s->counter++;
	k->tx_bytes += sealed;
	return sealed + (k->path.remote.addr.family == IP_V6 ? LANE_OUTER_HEADERS6 : LANE_OUTER_HEADERS4);
}

/* What sealing data has to be followed by, once for a packet and all its segments. */
static void data_sent(struct lane *l, struct lane_link *k, unsigned int number)
{
	lane_note(l, k, LANE_ANY_SENT | LANE_DATA_SENT);
	k->events &= ~(unsigned int)LANE_RECEIVED_LAST;
	if (number && number != SUB_SESSION_CONTROL)
		k->peer->subs[number].sent = true;
}

uint32_t lane_seal_split(struct lane *l, struct lane_link *k, unsigned int number, struct subsession *s, struct split *split,
			 uint32_t bytes_max, uint32_t limit)
{
	uint8_t tos = lane_outer_tos(k->peer, split_tos(split)), *segment;
	uint32_t bytes = 0, len;

	/* To the nearest whole packet, but one at least. */
	while (split_more(split) && (!bytes || bytes + split_next_len(split) / 2 <= bytes_max) &&
	       lane_has_room(l, split_next_len(split))) {
		if (split_next_len(split) > limit && !lane_has_fragment_room(l, split_next_len(split), limit))
			break;
		split_next(split, &segment, &len);
		l->tx_packets++;
		if (len > limit && lane_is_fragmentable(segment))
			bytes += lane_seal_fragments(l, k, number, s, tos, segment, len, limit);
		else
			bytes += lane_seal(l, k, number, s, tos, segment, len);
	}
	if (bytes) {
		data_sent(l, k, number);
		k->sent_us = l->now_us;
		lane_note(l, k, LANE_FLOWS);
	}
	return bytes;
}

bool lane_error_allowed(struct lane *l)
{
	const int64_t token_us = US_PER_S / LANE_ERRORS_PER_S, full_us = token_us * LANE_ERRORS_BURST;

	l->error_tokens_us += l->now_us - l->error_filled_us;
	l->error_filled_us = l->now_us;
	if (l->error_tokens_us > full_us)
		l->error_tokens_us = full_us;
	if (l->error_tokens_us < token_us || l->errors_used == LANE_ERRORS_BATCH)
		return false;
	l->error_tokens_us -= token_us;
	return true;
}

void lane_tell(struct lane *l, const uint8_t *packet, uint32_t len, enum icmp_error error, uint32_t mtu)
{
	size_t i = l->error_count;
	uint8_t *room;
	uint32_t error_len;

	if (l->merging || !lane_error_allowed(l))
		return;
	room = l->errors[l->errors_used];
	memset(room, 0, VNET_LEN);
	error_len = (uint32_t)icmp_error_write(room + VNET_LEN, error, mtu, packet, len);
	if (!error_len)
		return;
	l->errors_used++;
	l->error_pieces[i] = (struct piece){ .base = room, .len = VNET_LEN + error_len };
	l->error_writes[i] = (struct tun_write){ .pieces = &l->error_pieces[i], .count = 1, .packets = 1 };
	l->error_count++;
}

static void refuse(struct lane *l, struct lane_peer *from, const struct packet *packet, enum drop_reason reason, enum icmp_error error)
{
	lane_drop(l, reason);
	if (from)
		lane_tell_peer(l, from, packet->data, packet->len, error, 0);
	else
		lane_tell(l, packet->data, packet->len, error, 0);
}

struct lane_peer *lane_allowed_peer(const struct lane *l, uint8_t family, const uint8_t *addr)
{
	return family == IP_V4 ? lpm_lookup4(l->allowed, addr) : lpm_lookup6(l->allowed, addr);
}

/* The peer a packet is for; if there is none that has been counted and answered. */
static struct lane_peer *peer_for(struct lane *l, const struct packet *packet)
{
	enum drop_reason reason = DROP_NO_PEER;
	enum lane_way way = LANE_WAY_NONE;
	struct lane_peer *p = NULL;
	struct ip_view v;
	unsigned int len = 0;

	if (!ip_view(&v, packet->data, packet->len)) {
		lane_drop(l, DROP_BAD_OUTGOING);
		return NULL;
	}
	if (!l->fib->count && !l->owners->count)
		p = lane_allowed_peer(l, v.family, v.dst);
	else
		way = lane_way(l, &v, &p, &len);
	if (way == LANE_WAY_UNREACHABLE)
		reason = DROP_UNREACHABLE;
	/* What is this host's, or goes over another interface of its, is no matter of shortcuts. */
	if (l->owners->count && way != LANE_WAY_HOST)
		p = lane_shortcut(l, &v, p, way == LANE_WAY_NONE ? 0 : len);
	if (!p)
		refuse(l, NULL, packet, reason, ICMP_NO_ROUTE);
	return p;
}

/*
 * Whether the output has room for all of a super-packet. Each run but the first and the last takes as many messages as a socket
 * does; where another run is gone on with there are no more of them for that.
 */
static bool fits_whole(const struct lane *l, const struct split *s)
{
	uint32_t sealed = sealed_len(l, split_next_len(s)), each = LANE_RUN_BYTES_MAX / sealed;

	if (each > l->run_messages_max)
		each = l->run_messages_max;
	if (!each)
		each = 1;
	return l->run_count + (s->count + each - 1) / each <= LANE_RUNS_MAX &&
	       l->out_used + (uint64_t)s->count * (WG_DATA_HEADER + WG_PADDING + AEAD_TAG) + split_rest_len(s) <= LANE_OUT_BYTES;
}

/* Send it at once if nothing is ahead of it. False: it has to wait; so has, for what is rare, what must go in fragments or not at all. */
static bool send_through(struct lane *l, struct lane_link *k, const struct packet *packet, unsigned int number, bool transit)
{
	uint32_t limit = lane_limit(l, k->peer, transit);
	struct subsession *s;
	struct split split;

	if (!lane_is_clear(l, k))
		return false;
	s = lane_sealing(l, k, number);
	if (!s || !lane_has_room(l, packet->len) || (packet->len > limit && packet->vnet.gso_type == VNET_GSO_NONE))
		return false;
	if (!split_begin(&split, packet)) {
		lane_drop(l, DROP_BAD_OUTGOING);
		return true;
	}
	if (split_next_len(&split) > limit && !split_shrink(&split, limit))
		return false;
	/* A plain packet fits, and must go: its checksum is complete now, and would not be completed right once more. */
	if (split.count > 1 && !fits_whole(l, &split))
		return false;
	lane_seal_split(l, k, number, s, &split, UINT32_MAX, UINT32_MAX);
	return true;
}

/* A packet that goes by this lane. */
static void packet_for(struct lane *l, struct lane_link *k, struct packet *packet, unsigned int number, uint64_t hash,
		       struct lane_peer *from)
{
	if (l->mss_clamp != MSS_CLAMP_OFF && packet->vnet.gso_type == VNET_GSO_NONE)
		lane_clamp(l, k->peer, packet->data, packet->len, packet->vnet.flags & VNET_NEEDS_CSUM);
	if (packet->len > lane_limit(l, k->peer, from) && packet->vnet.gso_type == VNET_GSO_NONE)
		lane_make_super(packet, lane_limit(l, k->peer, from));
	if (k->path.remote.addr.family == IP_NONE)
		refuse(l, from, packet, DROP_NO_ENDPOINT, ICMP_NO_ENDPOINT);
	else if (k->peer->endpoint_loops)
		refuse(l, from, packet, DROP_ENDPOINT_LOOP, ICMP_NO_ENDPOINT);
	else if (!send_through(l, k, packet, number, from))
		lane_wait(l, k, packet, number, hash, from);
}

void lane_send(struct lane *l, struct lane_peer *to, struct packet *packet, struct lane_peer *from)
{
	size_t handovers_max = from ? LANE_HANDOVERS_MAX : PACKET_BATCH;
	struct lane_link *k = &to->links[l->number];
	unsigned int number = 0;
	uint64_t hash = 0;

	if (to->mesh && k->current) {
		hash = flow_hash(l->flow_key, packet->data, packet->len);
		number = lane_place(l, k, hash);
	}
	if (number || to->home == l->number)
		packet_for(l, k, packet, number, hash, from);
	else if (l->handover_count >= handovers_max)
		lane_drop(l, DROP_QUEUE_FULL);
	else
		l->handovers[l->handover_count++] = (struct handover){ .packet = *packet, .peer = to, .from = from };
}

static void packet_out(struct lane *l, struct packet *packet)
{
	struct lane_peer *p = peer_for(l, packet);

	if (p)
		lane_send(l, p, packet, NULL);
}

void lane_from_tun(struct lane *l, struct instant now, struct packet *in, size_t count)
{
	l->now_us = now.mono_us;
	for (size_t i = 0; i < count; i++)
		packet_out(l, &in[i]);
}

void lane_from_lane(struct lane *l, struct instant now, const struct handover *in, size_t count)
{
	l->now_us = now.mono_us;
	for (size_t i = 0; i < count; i++) {
		struct packet packet = in[i].packet;

		packet.slot = NULL;	/* the other lane's */
		packet_for(l, &in[i].peer->links[l->number], &packet, 0, 0, in[i].from);
	}
}

/*
 * What goes first: control messages, Babel's packets, keepalives.
 */

static void seal_keepalive(struct lane *l, struct lane_link *k, struct subsession *s)
{
	uint8_t nothing[WG_PADDING];

	lane_seal(l, k, 0, s, 0, nothing, 0);
	lane_note(l, k, LANE_ANY_SENT);
	k->events &= ~(unsigned int)LANE_RECEIVED_LAST;
}

/* How long the plaintext of a message over a path that was said is: what makes the outer packet as long as it shall be, else padded as ever. */
static uint32_t over_len(const struct lane_control *c)
{
	uint32_t headers = c->from.remote.addr.family == IP_V6 ? LANE_OUTER_HEADERS6 : LANE_OUTER_HEADERS4;

	headers += WG_DATA_HEADER + AEAD_TAG;
	if (!c->outer)
		return (c->len + WG_PADDING - 1) & ~(uint32_t)(WG_PADDING - 1);
	return c->outer > headers + c->len ? c->outer - headers : c->len;
}

/*
 * Seal a message for a path that was said, in a run of its own: whatever that path is like, nothing else is refused with it. No MTU is looked
 * at, it is what is to be found out.
 */
static void seal_over(struct lane *l, struct lane_link *k, const struct lane_control *c, struct subsession *s, const uint8_t *plain,
		      uint32_t len)
{
	uint32_t sealed = WG_DATA_HEADER + len + AEAD_TAG;
	uint8_t *out = l->out_bytes + l->out_used;

	l->runs[l->run_count++] = (struct dgram){
		.data = out, .len = sealed, .segment = sealed, .tos = c->tos, .port = c->port, .df = c->outer, .path = c->from,
	};
	l->run_link = NULL;
	l->out_used += sealed;
	wg_data_header_write(out, k->current->remote_index | c->number, s->counter);
	aead_seal(s->sealer, s->counter, out + WG_DATA_HEADER, plain, len);
	s->counter++;
	k->tx_bytes += sealed;
}

/* Whether a control message has a way. One that was said needs no other, and the node has looked at it. */
static bool has_way(const struct lane_link *k, const struct lane_control *c)
{
	if (c->over)
		return c->from.remote.addr.family != IP_NONE;
	return !k->peer->endpoint_loops && k->path.remote.addr.family != IP_NONE;
}

/* Send the oldest control message that waits. False: the output is full. */
static bool send_control(struct lane *l)
{
	struct lane_control *c = &l->controls_out[l->control_out_first];
	struct lane_link *k = c->peer ? &c->peer->links[l->number] : NULL;
	struct subsession *s = k ? lane_sealing(l, k, c->number) : NULL;
	uint32_t len = c->over ? over_len(c) : c->len;
	uint8_t room[PMTU_MAX];

	if (!lane_has_room(l, len))
		return false;
	if (s && has_way(k, c)) {
		memcpy(room, c->msg, c->len);
		memset(room + c->len, 0, len - c->len);
		mesh_stamp(room, c->len, (uint64_t)l->now_us);
		if (c->over)
			seal_over(l, k, c, s, room, len);
		else
			lane_seal(l, k, c->number, s, c->tos, room, len);
		lane_note(l, k, LANE_ANY_SENT);
	}
	l->control_out_first = (l->control_out_first + 1) % LANE_CONTROLS_OUT;
	if (!--l->control_out_count)
		l->control_out_first = 0;
	return true;
}

/* Send the oldest of the node's own packets that wait. False: the output is full. */
static bool send_inner(struct lane *l)
{
	struct lane_inner *r = &l->inners_out[l->inner_out_first];
	struct lane_link *k = r->peer ? &r->peer->links[l->number] : NULL;
	struct subsession *s = k ? lane_sealing(l, k, 0) : NULL;
	bool news = l->news;

	if (!lane_has_room(l, r->len))
		return false;
	if (k && !r->peer->endpoint_loops && k->path.remote.addr.family != IP_NONE) {
		if (s) {
			lane_seal(l, k, 0, s, lane_outer_tos(r->peer, packet_tos(r->packet)), r->packet, r->len);
			data_sent(l, k, 0);
			l->news = news;		/* the node has it sent again and again, and looks each time */
		} else {
			lane_note(l, k, LANE_NEED_SESSION);
		}
	}
	l->inner_out_first = (l->inner_out_first + 1) % LANE_ROUTING_OUT;
	l->inner_out_count--;
	return true;
}

/* Let go what waits for a session, if there is one, and send a keepalive that is wanted. False: the output is full. */
static bool look_at(struct lane *l, struct lane_link *k)
{
	bool waits = k->tin.items > 0;

	if (k->peer->endpoint_loops || k->path.remote.addr.family == IP_NONE) {
		k->want_keepalive = false;
		return true;
	}
	if (!waits && !k->want_keepalive)
		return true;
	if (!lane_has_session(l, k)) {
		/* Whoever wants a keepalive sent wants a session first: the handshake ends with one. */
		k->want_keepalive = false;
		lane_note(l, k, LANE_NEED_SESSION);
		return true;
	}
	if (waits && !k->shaped) {
		fq_tin_unblock(&l->queue, &k->tin, l->now_us, true);
		/* It is sent in this very drain, and says as much as a keepalive - unless a shaper holds it back. */
		if (lane_is_unshaped(l, k))
			k->want_keepalive = false;
	}
	if (!k->want_keepalive)
		return true;
	if (!lane_has_room(l, 0))
		return false;
	seal_keepalive(l, k, &k->current->zero);
	k->want_keepalive = false;
	return true;
}

bool lane_drain(struct lane *l, struct instant now, uint32_t bytes)
{
	l->now_us = now.mono_us;
	while (l->control_out_count)
		if (!send_control(l))
			return true;
	while (l->inner_out_count)
		if (!send_inner(l))
			return true;
	while (l->pending) {
		struct lane_link *k = l->pending;

		if (!look_at(l, k))
			return true;
		l->pending = k->pending_next;
		k->pending = false;
	}
	return lane_serve(l, bytes);
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

bool lane_out_any(const struct lane *l)
{
	return l->run_count || l->error_count || l->handover_count || l->stray_count || l->merging;
}

void lane_out_clear(struct lane *l)
{
	lane_free_spent(l);
	l->run_count = 0;
	l->run_link = NULL;
	l->out_used = 0;
	l->error_count = 0;
	l->errors_used = 0;
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
