/* SPDX-License-Identifier: MIT */
/*
 * Packets out of queues, one at a time (RFC 8966 chapter 4, 3.1). Each is built when the driver takes it, so that what it says is true then and
 * its timestamp late (RFC 9616 3). The order in a packet is the one all implementations understand: Hello, IHUs, then the rest (reference H5),
 * retractions of all before updates, updates sorted. IHUs carry timestamps only beside a Hello (T7): those for which there was no room come
 * first next time.
 *
 * What goes out is counted twice: no packet is larger than max(512, MTU - 48), PC and MACs included (P7), and an interface
 * sends BABEL_PACE_PACKETS in BABEL_PACE_US; a scheduled Hello is not held up by that. A queue that has sent a packet goes to the end of
 * the ready list, so a full update to one does not keep the others waiting.
 */
#include "babel/links.h"

#include <string.h>

enum {
	PACKET_MIN = 512,
	IP_UDP_LEN = 48,
	PC_LEN = 6 + BABEL_OWN_INDEX_LEN,
	MAC_TLV_HEAD = 2,
	ACK_REQUEST_LEN = 8,
};

/* A packet being built. */
struct packet {
	struct babel *b;
	struct babel_queue *q;
	struct babel_iface *i;
	struct babel_writer w;
	bool hello;
	bool full;			/* something did not fit: no more into this one */
	struct babel_ack *ack;		/* of what is reliable in it */
	bool ack_tried;
};

static size_t mac_len(const struct babel_key *k)
{
	return MAC_TLV_HEAD + (k->kind == BABEL_MAC_BLAKE2S_128 ? 16 : 32);
}

/* What header and body may take. */
static size_t room(const struct babel_iface *i)
{
	size_t size = i->config.mtu > PACKET_MIN + IP_UDP_LEN ? i->config.mtu - IP_UDP_LEN : PACKET_MIN;

	if (size > BABEL_PACKET_MAX)
		size = BABEL_PACKET_MAX;
	if (i->config.key_count)
		size -= PC_LEN;
	for (unsigned int k = 0; k < i->config.key_count; k++)
		size -= mac_len(&i->config.keys[k]);
	return size;
}

static void put_hello(struct packet *k)
{
	struct babel_iface *i = k->i;
	uint16_t cs = k->q->hello_cs ? k->q->hello_cs : interval_cs(i->config.hello_us);

	if (!k->q->hello)
		return;
	k->q->hello = false;
	k->hello = babel_write_hello(&k->w, false, ++i->hello_seqno, cs, i->config.rtt);
}

/* Make 'n' the first of its interface's neighbours: it is served first next time. */
static void rotate_to(struct babel_iface *i, struct babel_neighbour *n)
{
	struct babel_neighbour *before = i->neighbours, *last;

	if (before == n)
		return;
	while (before->next != n)
		before = before->next;
	for (last = n; last->next; last = last->next)
		;
	before->next = NULL;
	last->next = i->neighbours;
	i->neighbours = n;
}

static void put_ihus(struct packet *k)
{
	struct babel_iface *i = k->i;
	uint16_t cs = interval_cs(BABEL_IHU_HELLOS * i->config.hello_us);

	if (!k->q->ihus)
		return;
	for (struct babel_neighbour *n = i->neighbours; n; n = n->next) {
		const struct babel_echo *echo = k->hello && i->config.rtt ? rtt_echo(&n->rtt, k->b->now.mono_us) : NULL;

		if (!n->ihu_due || (!n->multicast.any && k->b->now.mono_us < n->iface->resumed_until_us))
			continue;
		if (!babel_write_ihu(&k->w, &n->address, n->rxcost, cs, echo)) {
			rotate_to(i, n);
			k->full = true;
			return;
		}
		n->ihu_due = false;
	}
	k->q->ihus = false;
}

static void put_challenges(struct packet *k)
{
	struct babel_queue *q = k->q;

	if (q->reply && babel_write_challenge(&k->w, true, q->reply_nonce, q->reply_len))
		q->reply = false;
	if (q->challenge && babel_write_challenge(&k->w, false, q->neighbour->mac.nonce, BABEL_OWN_NONCE_LEN))
		q->challenge = false;
	k->full |= q->reply || q->challenge;
}

static void put_acks(struct packet *k)
{
	while (!k->full && k->q->ack_count) {
		if (babel_write_ack(&k->w, k->q->acks[k->q->ack_count - 1]))
			k->q->ack_count--;
		else
			k->full = true;
	}
}

/* The record for what is reliable in this packet, with room for its request kept. NULL: nobody to wait for. */
static struct babel_ack *want_ack(struct packet *k)
{
	if (!k->ack_tried) {
		k->ack_tried = true;
		k->ack = ack_begin(k->b, k->q);
		if (k->ack)
			k->w.size -= ACK_REQUEST_LEN;
	}
	return k->ack;
}

static void finish_ack(struct packet *k)
{
	if (!k->ack)
		return;
	k->w.size += ACK_REQUEST_LEN;
	if (ack_wants_reply(k->ack))
		babel_write_ack_request(&k->w, ack_opaque(k->ack), ack_interval_cs(k->ack));
	ack_commit(k->b, k->ack);
}

static void put_retraction(struct packet *k)
{
	struct babel_queue *q = k->q;
	const struct babel *b = k->b;
	bool acked;

	if (k->full || !q->retraction)
		return;
	acked = q->trust && want_ack(k);
	if (!babel_write_wildcard_retraction(&k->w, b->router_id, b->seqno, interval_cs(k->i->config.update_us))) {
		k->full = true;
		return;
	}
	if (acked)
		ack_set_trust(k->ack, q->trust_copies);
	q->retraction = q->trust = false;
	q->trust_copies = 0;
}

static bool put_request(struct babel_writer *w, const struct queued_request *r)
{
	if (r->for_seqno)
		return babel_write_seqno_request(w, &r->prefix, r->router_id, r->seqno, r->hop_count);
	return babel_write_route_request(w, r->wildcard ? NULL : &r->prefix);
}

static void put_requests(struct packet *k)
{
	struct babel_queue *q = k->q;
	size_t done = 0;

	queue_sort_requests(q);
	while (!k->full && done < q->request_count) {
		if (put_request(&k->w, &q->requests[done]))
			done++;
		else
			k->full = true;
	}
	q->request_count -= done;
	if (done && q->request_count)
		memmove(q->requests, q->requests + done, q->request_count * sizeof(*q->requests));
}

/* Say what there is to say of a prefix. False: it does not fit. */
static bool put_prefix(struct packet *k, struct babel_prefix *p, bool forced)
{
	const struct babel_iface *i = k->i;
	struct babel_update u;

	if (!announce_update(k->b, p, i, forced, &u))
		return true;
	u.interval_cs = interval_cs((announce_is_echo(p, i) ? BABEL_ECHO_UPDATES : 1) * i->config.update_us);
	if (babel_write_update(&k->w, &u, i->config.address4.family == IP_V4 ? &i->config.address4 : NULL))
		return true;
	k->full = !babel_write_empty(&k->w);	/* what does not fit into an empty one never will */
	return !k->full;
}

static void put_updates(struct packet *k)
{
	struct babel_queue *q = k->q;

	queue_sort(k->b, q);
	while (!k->full && q->update_at < q->update_count) {
		struct queued_update *u = &q->updates[q->update_at];
		bool reliable = u->flags & QUEUED_RELIABLE && want_ack(k);
		size_t len = k->w.len;

		if (!put_prefix(k, u->prefix, u->flags & QUEUED_FORCED))
			return;
		if (reliable && k->w.len > len)
			ack_add(k->b, k->ack, u);
		prefix_release(k->b, u->prefix);
		q->update_at++;
	}
}

static void put_dump(struct packet *k)
{
	struct babel_queue *q = k->q;

	if (q->dump_again && !q->dump_at)	/* it has not begun: what came meanwhile can be in it */
		send_all(k->b, k->i, q->neighbour);
	while (!k->full && queue_dumps(q)) {
		struct babel_prefix *p = q->dump->prefixes[q->dump_at];

		if (!(q->thin && announce_is_echo(p, k->i)) && !put_prefix(k, p, false))
			return;
		q->dump_at++;
	}
	if (q->dump_again && !queue_dumps(q))
		send_all(k->b, k->i, q->neighbour);
}

static void begin(struct packet *k, struct babel *b, struct babel_queue *q)
{
	*k = (struct packet){ .b = b, .q = q, .i = q->iface };
	babel_write_begin(&k->w, b->packet, room(q->iface));
}

static void fill(struct packet *k)
{
	put_hello(k);
	put_ihus(k);
	put_challenges(k);
	put_acks(k);
	put_retraction(k);
	put_requests(k);
	if (!k->full && !k->i->starting) {
		put_updates(k);
		put_dump(k);
	}
	finish_ack(k);
}

/* PC, timestamp and MACs, in this order: the MACs are over both. Returns the packet's length. */
static size_t seal(struct packet *k, const struct ip_addr *dst)
{
	struct babel_iface *i = k->i;
	struct babel_mac_own *own = &i->mac;
	uint8_t mac[BABEL_MAC_MAX];
	size_t len, body;

	if (i->config.key_count) {
		if (!own->set || own->pc == UINT32_MAX)
			babel_mac_own_init(own, &k->b->rng);
		own->pc++;
		k->w.size += PC_LEN;
		babel_write_pc(&k->w, own->pc, own->index, BABEL_OWN_INDEX_LEN);
	}
	len = body = babel_write_end(&k->w);
	if (k->hello && i->config.rtt)
		babel_write_stamp(&k->w, (uint32_t)k->b->now.mono_us);
	for (unsigned int key = 0; key < i->config.key_count; key++) {
		uint8_t n = babel_mac(mac, &i->config.keys[key], &i->config.address, dst, k->b->packet, body);

		len += babel_mac_write(k->b->packet + len, mac, n);
	}
	return len;
}

/* One packet of what waits in 'q'. False: nothing of it was to be said. */
static bool build(struct babel *b, struct babel_queue *q, struct babel_datagram *d)
{
	struct babel_iface *i = q->iface;
	struct packet k;

	begin(&k, b, q);
	fill(&k);
	if (babel_write_empty(&k.w))
		return false;
	*d = (struct babel_datagram){
		.iface = i, .src = i->config.address, .dst = q->neighbour ? q->neighbour->address : babel_group,
		.src_port = BABEL_PORT, .data = b->packet, .stamp_us = b->now.mono_us,
	};
	d->len = seal(&k, &d->dst);
	i->packets_sent++;
	i->bytes_sent += d->len;
	i->pace_packets++;
	return true;
}

/* Whether the interface has sent enough for now: then the queue waits, and is out of the list. */
static bool paced(struct babel *b, struct babel_queue *q)
{
	struct babel_iface *i = q->iface;

	if (b->now.mono_us - i->pace_us >= BABEL_PACE_US) {
		i->pace_us = b->now.mono_us;
		i->pace_packets = 0;
	}
	if (i->pace_packets < BABEL_PACE_PACKETS || q->hello || b->stopped)
		return false;
	babel_timer_set(b, &q->timer, i->pace_us + BABEL_PACE_US);
	return true;
}

bool babel_next_packet(struct babel *b, struct babel_datagram *d, struct instant now)
{
	b->now = now;
	while (b->ready_first) {	/* every turn takes one out, or makes what waits in it less */
		struct babel_queue *q = b->ready_first;
		bool built;

		queue_unready(b, q);
		if (paced(b, q))
			continue;
		built = build(b, q, d);
		if (queue_waits(q))
			queue_make_ready(b, q);
		else
			queue_rest(b, q);
		if (built)
			return true;
	}
	return false;
}

bool babel_iface_farewell(struct babel *b, struct babel_iface *i, struct babel_datagram *d, struct instant now)
{
	struct babel_queue q = { .iface = i, .hello = true, .hello_cs = BABEL_STOP_CS, .retraction = true };

	b->now = now;
	return i->up && !b->stopped && build(b, &q, d);
}
