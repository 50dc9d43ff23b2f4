/* SPDX-License-Identifier: MIT */
/*
 * How a packet comes in: UDP GRO -> find the sub-session -> open in place -> source check -> ECN -> merge -> TUN, or out again.
 *
 * Each message of a GRO datagram finds its keypair by its receiver index, and is judged by itself: another lane's is handed on, an old one or a
 * forged one ends here and is counted. What authenticates says where the peer is (roam(); of a managed one that it lives and what is lost on the
 * way), and confirms a keypair that was only offered.
 * Only then is looked inside: a packet has to come from a source that is the peer's, takes in what the outer header's ECN field says (RFC 6040), and
 * goes to the TUN, merged with its like, or to another peer (lane_transit.c); Babel's and control messages wait for the node (lane_notes.c), and
 * so do handshakes.
 *
 * Bytes stay where they were read: opened in place, they are gathered by the write to the TUN.
 */
#include "node/lane_inside.h"
#include "node/shortcut.h"

#include "crypto/aead.h"
#include "node/fib.h"
#include "transport/rekey.h"
#include "wire/ecn.h"
#include "wire/ip.h"

/* The outer ECN field, taken in (RFC 6040). False: the packet has to be dropped. */
static bool take_ecn(struct lane *l, const struct lane_peer *p, uint8_t *data, uint8_t tos, uint8_t outer)
{
	uint8_t ecn;

	if (!p->ecn_in || !(outer & 3))
		return true;
	switch (ecn_decapsulate(tos & 3, outer & 3, &ecn)) {
	case ECN_KEEP:
		return true;
	case ECN_CHANGE:
		packet_set_ecn(data, ecn);
		return true;
	case ECN_DROP:
		break;
	}
	/* A meshd copies what is inside, so nobody may have marked this. Others have done it for years, and deliver it. */
	if (p->mesh) {
		lane_drop(l, DROP_ECN);
		return false;
	}
	l->ce_kept++;
	return true;
}

/* The packet inside an authenticated message: checked, and put into the output, forwarded, or kept for the node. */
static void packet_in(struct lane *l, struct lane_peer *p, uint8_t *data, uint32_t len, uint8_t outer)
{
	const struct lane_verdict *verdict = NULL;
	struct ip_view v;

	if (!ip_view(&v, data, len)) {
		lane_drop(l, DROP_BAD_INNER);
		return;
	}
	if ((p->babel || p->hailed) && lane_is_routing(&v, data)) {
		lane_keep_routing(l, p, data, v.len);
		return;
	}
	if (l->transit != TRANSIT_KERNEL || l->fib->count || l->owners->count)
		verdict = lane_judge(l, p, &v);
	if (verdict ? !verdict->accepted : lane_allowed_peer(l, v.family, v.src) != p) {
		lane_drop(l, DROP_SOURCE);
		return;
	}
	if (!take_ecn(l, p, data, v.tos, outer))
		return;
	l->rx_packets++;
	lane_note(l, &p->links[l->number], LANE_FLOWS);
	if (l->mss_clamp != MSS_CLAMP_OFF)
		lane_clamp(l, p, data, v.len, false);
	if (verdict && lane_transit(l, verdict, data, v.len))
		return;
	if (!merge_add(l->merge, data, v.len))
		lane_drop(l, DROP_TUN_WRITE);
}

/*
 * A sub-session comes from elsewhere. If it was where session 0 is then the peer as a whole has moved, most likely with its port, and what goes
 * back should not wait until session 0 is heard from there.
 */
static void sub_roamed(struct lane *l, struct lane_link *k, const struct lane_sub *sub, const struct path_addr *to)
{
	if (!sub->heard_us || ip_addr_equal(&sub->path.remote.addr, &to->remote.addr) ||
	    !ip_addr_equal(&sub->path.remote.addr, &k->path.remote.addr))
		return;
	k->path.local = to->local;
	k->path.ifindex = to->ifindex;
	k->path.remote.addr = to->remote.addr;
	k->path.remote.scope = to->remote.scope;
	lane_note(l, k, LANE_SUB_ROAMED);
}

/* Whether what came from there came the way a sub-session is aimed, ports aside. */
static bool same_addresses(const struct path_addr *aim, const struct path_addr *heard)
{
	return ip_addr_equal(&aim->remote.addr, &heard->remote.addr) && aim->remote.scope == heard->remote.scope &&
	       (aim->local.family == IP_NONE || ip_addr_equal(&aim->local, &heard->local));
}

/*
 * A managed peer is where the node says, which measures paths and needs no hints. But a NAT on the way a sub-session is aimed may give it
 * another port, and nobody else will learn of that.
 */
static void heard_managed(const struct lane *l, const struct lane_link *k, unsigned int number, const struct dgram *d)
{
	struct lane_sub *sub;

	if (number == 0 || number == SUB_SESSION_CONTROL)
		return;
	sub = &k->peer->subs[number];
	sub->heard_us = l->now_us;
	sub->ecn = d->tos & 3;
	sub->heard = d->path;
	if (!same_addresses(&sub->path, &d->path))
		return;
	sub->path.remote.port = d->path.remote.port;
	sub->port = d->port;
}

/*
 * Where an authenticated message came from is where answers go. Session 0 and the control sub-session have one way, the peer's endpoint;
 * the others have each their own, and move that only by leaving the address they share with it.
 */
static void roam(struct lane *l, struct lane_link *k, unsigned int number, const struct dgram *d)
{
	struct lane_sub *sub;

	if (number == 0 || number == SUB_SESSION_CONTROL) {
		if (path_addr_equal(&k->path, &d->path))
			return;
		if (!endpoint_equal(&k->path.remote, &d->path.remote))
			lane_note(l, k, LANE_ROAMED);
		k->path = d->path;
		return;
	}
	sub = &k->peer->subs[number];
	sub_roamed(l, k, sub, &d->path);
	sub->heard_us = l->now_us;
	sub->ecn = d->tos & 3;
	sub->port = d->port;
	if (!path_addr_equal(&sub->path, &d->path))
		sub->path = d->path;
}

/* What every authenticated message does to its peer's session. The other lanes are told of a confirmed keypair by the node. */
static void authenticated(struct lane *l, struct keypair *pair, unsigned int number, const struct dgram *d)
{
	struct lane_peer *p = pair->owner;
	struct lane_link *k = &p->links[l->number];

	k->rx_bytes += d->len;
	k->heard_us = l->now_us;
	if (p->managed)
		heard_managed(l, k, number, d);
	else
		roam(l, k, number, d);
	lane_note(l, k, LANE_ANY_RECEIVED | LANE_RECEIVED_LAST);
	if (pair != k->next)
		return;
	k->current = k->next;
	k->next = NULL;
	lane_note(l, k, LANE_CONFIRMED);
	lane_pend(l, k);
}

/*
 * Loss and order, as the counters tell: what is skipped is lost until it comes. A keypair begins with the first that is heard, for nobody knows
 * what was sent before, and what comes on an older one when the next is in use says nothing more. The control sub-session's messages go over many
 * paths, so their order means nothing.
 */
static void count_in(struct lane_link *k, const struct keypair *pair, unsigned int number, uint64_t counter, uint32_t bytes)
{
	struct lane_count *c = number ? &k->peer->subs[number].count : &k->count;
	uint32_t index = pair->local_index | 1;

	if (number == SUB_SESSION_CONTROL)
		return;
	c->received++;
	c->bytes += bytes;
	if (pair != k->current)
		return;
	if (c->index != index) {
		c->index = index;
		c->first = c->highest = counter;
	} else if (counter > c->highest) {
		c->lost += counter - c->highest - 1;
		c->highest = counter;
	} else {
		/* Each comes once, so it was counted as lost, unless it is from before the beginning. */
		c->late++;
		c->lost -= counter > c->first;
	}
}

/*
 * Another lane's: steering is a hint, and the index says whose it is. What is nobody's ends here; once handed over it is not handed on.
 */
static void stray(struct lane *l, const struct dgram *d)
{
	if (l->stray_count == LANE_STRAYS_MAX)
		lane_drop(l, DROP_NO_INDEX);
	else
		l->strays[l->stray_count++] = *d;
}

/* The sub-session a data message is sealed with. NULL: of none of ours; it was counted or put among the strays. */
static struct subsession *find_sub(struct lane *l, const struct dgram *d, struct keypair **pair, unsigned int *number)
{
	uint32_t index = wg_data_receiver(d->data);
	struct subsession *s;

	if (lane_of_index(index, l->lanes) != l->number) {
		stray(l, d);
		return NULL;
	}
	*number = index & WG_INDEX_SUB_SESSION;
	*pair = u32map_get(&l->indices, index & ~(uint32_t)WG_INDEX_SUB_SESSION);
	s = *pair ? keypair_sub(*pair, *number) : NULL;
	if (!s)
		lane_drop(l, DROP_NO_INDEX);
	return s;
}

/* What is inside an authenticated message. */
static void inner_in(struct lane *l, struct keypair *pair, unsigned int number, const struct dgram *d, uint8_t *data, uint32_t len)
{
	struct lane_peer *p = pair->owner;

	if (!len)
		return;
	if (!(data[0] >> 4)) {
		lane_keep_control(l, p, number, d, data, len);
		return;
	}
	lane_note(l, &p->links[l->number], LANE_DATA_RECEIVED);
	packet_in(l, p, data, len, d->tos);
}

static void data_in(struct lane *l, const struct dgram *d)
{
	uint64_t counter = wg_data_counter(d->data);
	uint8_t *sealed = d->data + WG_DATA_HEADER;
	uint32_t len = d->len - WG_DATA_HEADER;
	struct keypair *pair = NULL;
	unsigned int number = 0;
	struct subsession *s = find_sub(l, d, &pair, &number);
	enum keypair_advice advice;

	if (!s)
		return;
	advice = keypair_receiving(pair, l->now_us);
	if (advice == KEYPAIR_EXPIRED || counter >= REJECT_AFTER_MESSAGES) {
		lane_drop(l, DROP_KEY_EXPIRED);
		return;
	}
	if (!replay_is_new(&s->replay, counter)) {
		lane_drop(l, DROP_REPLAYED);
		return;
	}
	if (!aead_open(s->opener, counter, sealed, sealed, len)) {
		lane_drop(l, DROP_FORGED);
		return;
	}
	replay_accept(&s->replay, counter);
	authenticated(l, pair, number, d);
	count_in(&((struct lane_peer *)pair->owner)->links[l->number], pair, number, counter, d->len);
	/* A late packet on the previous key says nothing about the one in use. */
	if (advice == KEYPAIR_REKEY && pair == ((struct lane_peer *)pair->owner)->links[l->number].current)
		lane_note(l, &((struct lane_peer *)pair->owner)->links[l->number], LANE_REKEY_RECEIVING);
	inner_in(l, pair, number, d, sealed, len - AEAD_TAG);
}

static void message_in(struct lane *l, const struct dgram *d)
{
	switch (wg_classify(d->data, d->len)) {
	case WG_DATA:
		data_in(l, d);
		break;
	case WG_INITIATION:
	case WG_RESPONSE:
	case WG_COOKIE_REPLY:
		lane_keep_handshake(l, d);
		break;
	default:
		lane_drop(l, DROP_NOT_WIREGUARD);
		break;
	}
}

/* Each message of a GRO datagram is looked at by itself: nothing says that they belong together. */
void lane_dgram_in(struct lane *l, const struct dgram *d)
{
	uint32_t step = d->segment ? d->segment : d->len;
	struct dgram message = *d;

	message.segment = 0;
	if (!d->len)
		lane_drop(l, DROP_NOT_WIREGUARD);
	for (uint32_t at = 0; at < d->len; at += step) {
		message.data = d->data + at;
		message.len = d->len - at < step ? d->len - at : step;
		message_in(l, &message);
	}
}

void lane_begin_in(struct lane *l)
{
	if (l->merging)
		return;
	merge_begin(l->merge, &l->merge_options);
	l->merging = true;
	l->last.from = NULL;
}

void lane_from_udp(struct lane *l, struct instant now, const struct dgram *in, size_t count)
{
	l->now_us = now.mono_us;
	lane_begin_in(l);
	for (size_t i = 0; i < count; i++)
		lane_dgram_in(l, &in[i]);
}
