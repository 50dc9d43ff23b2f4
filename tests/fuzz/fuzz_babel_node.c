/* SPDX-License-Identifier: MIT */
/*
 * A whole Babel speaker with three interfaces (a wire, a radio, a tunnel with a MAC key), and whatever may happen to it. The input is
 * a row of pieces:
 *
 *	op	low 3 bits: what (enum op); bits 3-4: on which interface; bits 5-6: from which neighbour
 *	step	low 3 bits: how much time passes first (steps[]); bit 7: it is sent to the group, else to us
 *	len	1 byte; then so many bytes
 *
 * So that the fuzzer gets behind hellos, router-ids and authentication there are pieces that bring a packet with the right frame, the right MAC,
 * or a neighbour's Hello and IHU. After each piece all that must always hold is looked at: what is selected is finite, feasible and in
 * the tables, our seqno grows by requests alone, what we send can be read and fits, distances do not get worse, and nobody without the key is
 * a neighbour where there is one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "babel/babel.h"
#include "babel/mac.h"
#include "wire/babel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IFACES = 3, NEIGHBOURS = 4, KEYED = 2, PIECES_MAX = 150, PAIRS = 6, IDS = 4, PACKET_ROOM = 1400, TURNS_MAX = 1000 };

enum op {
	OP_PACKET,		/* the bytes are a packet */
	OP_BODY,		/* ...its body */
	OP_SEALED,		/* ...its body, to which PC, the answer to the last challenge, and a MAC are added */
	OP_HELLO,		/* a neighbour's next Hello, with an IHU; the bytes: interval, how much the seqno jumps, rxcost */
	OP_UPDATE,		/* ...pair, router-id, seqno, metric, interval: a legal update */
	OP_REQUEST,		/* ...pair, router-id, seqno, hop count; the first bit set: a route request */
	OP_CONTROL,		/* something other than packets; see control() */
	OP_WAIT,		/* nothing but the time; the bytes: how often */
};

static const int64_t steps[8] = {
	0, 20 * US_PER_MS, 300 * US_PER_MS, US_PER_S, 4 * US_PER_S, 16 * US_PER_S, 60 * US_PER_S, 185 * US_PER_S,
};

struct remote {
	uint16_t hello_seqno;
	uint32_t pc;
	uint8_t nonce[BABEL_NONCE_MAX];
	uint8_t nonce_len;
};

struct node {
	struct babel *babel;
	struct babel_iface *ifaces[IFACES];
	struct babel_iface_config configs[IFACES];
	struct remote remotes[IFACES][NEIGHBOURS];
	struct instant now;
	uint64_t random;
	uint16_t seqno;
	unsigned int asked;		/* seqno requests of this piece that name us */
	bool sealed;			/* something with a right MAC came */
	bool open;			/* the key is not demanded */
	enum babel_action fib[PAIRS];
	struct babel_iface *fib_iface[PAIRS];
	bool own[PAIRS];
	struct { bool there; uint16_t seqno, metric; } distances[PAIRS][IDS];
};

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	printf("# violated: %s\n", what);
	fflush(stdout);
	abort();
}

static const struct {
	const char *dst, *src;
} pairs[PAIRS] = {
	{ "::/0", NULL }, { "fd00:1::/32", NULL }, { "fd00:1:2::/48", NULL }, { "10.0.0.0/8", NULL }, { "::/0", "fd00:5::/48" },
	{ "10.1.2.3/32", "10.0.0.0/8" },
};

static struct prefix_pair pair_at(size_t k)
{
	struct prefix_pair p;
	struct ip_prefix dst;

	ip_prefix_parse(pairs[k].dst, &dst);
	p = prefix_pair_any(&dst);
	if (pairs[k].src)
		ip_prefix_parse(pairs[k].src, &p.src);
	return p;
}

/* Number 0 is ours. */
static void id_at(size_t i, uint8_t id[BABEL_ROUTER_ID_LEN])
{
	memset(id, 0, BABEL_ROUTER_ID_LEN);
	id[0] = 2;
	id[7] = (uint8_t)(i + 1);
}

static struct ip_addr address_of(size_t iface, size_t neighbour)
{
	return (struct ip_addr){ .family = IP_V6, .bytes = { 0xfe, 0x80, [13] = (uint8_t)(iface + 1), [15] = (uint8_t)(neighbour + 1) } };
}

static void fill_random(void *ctx, void *out, size_t len)
{
	uint64_t *s = ctx;

	for (size_t i = 0; i < len; i++) {
		*s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		((uint8_t *)out)[i] = (uint8_t)(*s >> 56);
	}
}

static void begin(struct node *n)
{
	static const enum babel_link_type types[IFACES] = { BABEL_WIRED, BABEL_WIRELESS, BABEL_TUNNEL };
	struct babel_config c = { .seqno = 65530, .clean = true };
	const struct rng rng = { .fill = fill_random, .ctx = &n->random };
	const struct log silence = { .emit = NULL };

	n->now.mono_us = (INT64_C(1) << 32) - 100 * US_PER_S;
	n->random = 1;
	n->seqno = c.seqno;
	id_at(0, c.router_id);
	n->babel = babel_new(&c, &rng, &silence);
	require(n->babel, "memory");
	for (size_t i = 0; i < IFACES; i++) {
		babel_iface_defaults(&n->configs[i], types[i]);
		snprintf(n->configs[i].name, sizeof(n->configs[i].name), "if%zu", i);
		n->configs[i].address = address_of(i, NEIGHBOURS);
		if (i == 0)
			n->configs[i].address4 = (struct ip_addr){ .family = IP_V4, .bytes = { 10, 9, 0, 1 } };
		n->configs[i].via6 = i == 1;
		if (i == KEYED) {
			n->configs[i].key_count = 1;
			n->configs[i].keys[0] = (struct babel_key){ .kind = BABEL_MAC_BLAKE2S_128, .len = 16, .bytes = { 7 } };
		}
		n->ifaces[i] = babel_iface_add(n->babel, &n->configs[i], &n->ifaces[i], n->now);
		require(n->ifaces[i], "memory");
	}
}

/*
 * What must always hold.
 */

static size_t find_pair(const struct prefix_pair *p)
{
	for (size_t k = 0; k < PAIRS; k++) {
		struct prefix_pair q = pair_at(k);

		if (prefix_pair_equal(p, &q))
			return k;
	}
	return PAIRS;
}

static void check_sent(struct node *n, const struct babel_datagram *d)
{
	struct babel_iface **at = babel_iface_owner(d->iface);
	size_t iface = (size_t)(at - n->ifaces);
	const struct babel_iface_config *c = &n->configs[iface];
	size_t room = c->mtu > 512 + 48 ? c->mtu - 48 : 512;
	struct babel_parser p;
	struct babel_tlv t;

	require(d->len <= room && d->len <= BABEL_PACKET_MAX, "a packet fits");
	require(babel_parse_begin(&p, d->data, d->len, &d->src), "a packet is one");
	while (babel_parse_next(&p, &t))
		for (size_t i = 0; t.type == BABEL_CHALLENGE_REQUEST && i < NEIGHBOURS; i++) {
			struct ip_addr to = address_of(iface, i);

			if (!ip_addr_equal(&to, &d->dst))
				continue;
			n->remotes[iface][i].nonce_len = t.len;
			memcpy(n->remotes[iface][i].nonce, t.bytes, t.len);
		}
	require(!p.broken && !p.ignored, "a packet can be read");
	require(!c->key_count || babel_mac_check(c->keys, c->key_count, &d->src, &d->dst, d->data, d->len), "a packet has a MAC");
}

static void take_changes(struct node *n)
{
	struct babel_change c;

	while (babel_next_change(n->babel, &c)) {
		size_t k = find_pair(&c.prefix);

		require(c.action != BABEL_UNREACHABLE || c.prefix.dst.len, "no unreachable default route");
		require(c.action != BABEL_VIA || (c.iface && c.next_hop.family), "a route has a next hop");
		if (k == PAIRS)
			continue;
		n->fib[k] = c.action;
		n->fib_iface[k] = c.action == BABEL_VIA ? c.iface : NULL;
	}
}

static void visit(void *ctx, const struct babel_route_info *r)
{
	struct node *n = ctx;

	if (r->own || r->held)
		return;
	require(r->iface && r->neighbour.family, "a route has a neighbour");
	if (r->selected)
		require(r->feasible && r->metric != BABEL_INFINITY && r->metric > r->announced &&
			memcmp(r->router_id, babel_router_id(n->babel), BABEL_ROUTER_ID_LEN) != 0, "what is selected may be");
}

static void check_pair(struct node *n, size_t k)
{
	struct prefix_pair p = pair_at(k);
	struct babel_route_info r;
	bool selected = babel_selected(n->babel, &p, &r);

	require((n->fib[k] == BABEL_OWN) == n->own[k], "what we originate is in the tables as ours");
	require(n->own[k] || (n->fib[k] == BABEL_VIA) == selected, "what is selected is in the tables");
	require(!selected || n->own[k] || n->fib_iface[k] == r.iface, "and goes the same way");
	for (size_t i = 0; i < IDS; i++) {
		uint8_t id[BABEL_ROUTER_ID_LEN];
		uint16_t seqno, metric, ahead;
		bool there;

		id_at(i, id);
		there = babel_distance(n->babel, &p, id, &seqno, &metric);
		if (there && n->distances[k][i].there) {
			ahead = (uint16_t)(n->distances[k][i].seqno - seqno);
			require(!ahead || ahead >= 0x8000, "a distance's seqno does not go back");
			require(ahead || metric <= n->distances[k][i].metric, "a distance gets no worse");
		}
		n->distances[k][i].there = there;
		if (there) {
			n->distances[k][i].seqno = seqno;
			n->distances[k][i].metric = metric;
		}
	}
}

static void check_bounds(const struct node *n)
{
	struct babel_info info;
	struct babel_iface_info iface;

	babel_info(n->babel, &info);
	require(info.neighbours <= IFACES * NEIGHBOURS && info.ifaces <= IFACES, "nobody appears from nowhere");
	for (size_t i = 0; !n->sealed && !n->open && babel_iface_at(n->babel, i, &iface); i++)
		require(iface.owner != &n->ifaces[KEYED] || !iface.neighbour_count, "no neighbour without the key");
}

static void settle(struct node *n)
{
	struct babel_datagram d;
	unsigned int turns = 0;
	uint16_t grown;

	do {
		babel_turn(n->babel, n->now);
		while (babel_next_packet(n->babel, &d, n->now))
			check_sent(n, &d);
	} while (babel_deadline(n->babel) <= n->now.mono_us && ++turns < TURNS_MAX);
	require(turns < TURNS_MAX, "turns come to an end");
	take_changes(n);
	for (size_t k = 0; k < PAIRS; k++)
		check_pair(n, k);
	babel_routes(n->babel, n->now, visit, n);
	grown = (uint16_t)(babel_seqno(n->babel) - n->seqno);
	require(grown <= n->asked, "our seqno grows by requests alone");
	n->seqno = babel_seqno(n->babel);
	n->asked = 0;
	check_bounds(n);
}

/* Time passes as a driver sees it: from deadline to deadline. */
static void pass(struct node *n, int64_t us)
{
	int64_t until = n->now.mono_us + us;

	for (int i = 0; i < TURNS_MAX; i++) {
		int64_t deadline = babel_deadline(n->babel);

		if (deadline > until)
			break;
		if (deadline > n->now.mono_us)
			n->now.mono_us = deadline;
		settle(n);
	}
	n->now.mono_us = until;
	settle(n);
}

/*
 * What happens.
 */

struct piece {
	uint8_t op, step;
	size_t iface, neighbour;
	bool group;
	const uint8_t *bytes;
	size_t len;
};

static uint8_t byte(const struct piece *p, size_t i)
{
	return i < p->len ? p->bytes[i] : 0;
}

static void count_requests(struct node *n, const uint8_t *packet, size_t len, const struct ip_addr *src)
{
	struct babel_parser p;
	struct babel_tlv t;

	if (!babel_parse_begin(&p, packet, len, src))
		return;
	while (babel_parse_next(&p, &t))
		n->asked += t.type == BABEL_SEQNO_REQUEST && !memcmp(t.router_id, babel_router_id(n->babel), BABEL_ROUTER_ID_LEN);
}

static void deliver(struct node *n, const struct piece *p, const uint8_t *packet, size_t len)
{
	struct babel_datagram d = { .iface = n->ifaces[p->iface], .src = address_of(p->iface, p->neighbour),
				    .dst = p->group ? babel_group : n->configs[p->iface].address, .src_port = BABEL_PORT,
				    .data = packet, .len = len, .stamp_us = n->now.mono_us };

	count_requests(n, packet, len, &d.src);
	babel_receive(n->babel, &d, n->now);
}

/* A body that is begun in 'w', to be ended and delivered, with a MAC where there is a key. */
static void seal(struct node *n, const struct piece *p, struct babel_writer *w)
{
	struct remote *r = &n->remotes[p->iface][p->neighbour];
	const struct babel_iface_config *c = &n->configs[p->iface];
	struct ip_addr src = address_of(p->iface, p->neighbour);
	const uint8_t index[2] = { (uint8_t)p->neighbour, 1 };
	uint8_t mac[BABEL_MAC_MAX], mac_len;
	size_t len;

	if (c->key_count) {
		w->size = PACKET_ROOM;
		babel_write_pc(w, ++r->pc, index, sizeof(index));
		if (r->nonce_len)
			babel_write_challenge(w, true, r->nonce, r->nonce_len);
		r->nonce_len = 0;
	}
	len = babel_write_end(w);
	if (c->key_count) {
		n->sealed = true;
		mac_len = babel_mac(mac, &c->keys[0], &src, p->group ? &babel_group : &c->address, w->packet, len);
		len += babel_mac_write(w->packet + len, mac, mac_len);
	}
	deliver(n, p, w->packet, len);
}

static void write_body(struct node *n, const struct piece *p, bool sealed)
{
	uint8_t packet[PACKET_ROOM + 64];
	struct babel_writer w;

	babel_write_begin(&w, packet, PACKET_ROOM - 300);
	memcpy(packet + w.len, p->bytes, p->len);
	w.len += p->len;
	if (sealed)
		seal(n, p, &w);
	else
		deliver(n, p, packet, babel_write_end(&w));
}

static void write_legal(struct node *n, const struct piece *p)
{
	struct remote *r = &n->remotes[p->iface][p->neighbour];
	struct babel_update u = { .prefix = pair_at(byte(p, 0) % PAIRS), .seqno = (uint16_t)(65500 + byte(p, 2)),
				  .metric = (uint16_t)(byte(p, 3) == 255 ? BABEL_INFINITY : byte(p, 3) * 4), .interval_cs = (uint16_t)(1 + byte(p, 4) * 16) };
	const struct ip_addr next_hop4 = { .family = IP_V4, .bytes = { 10, 9, 0, (uint8_t)(p->neighbour + 2) } };
	uint8_t packet[PACKET_ROOM + 64];
	struct babel_writer w;

	babel_write_begin(&w, packet, PACKET_ROOM - 300);
	id_at(byte(p, 1) % IDS, u.router_id);
	if (p->op == OP_HELLO) {
		r->hello_seqno = (uint16_t)(r->hello_seqno + 1 + byte(p, 1));
		babel_write_hello(&w, byte(p, 3) & 1, r->hello_seqno, (uint16_t)(400 + byte(p, 0)), n->configs[p->iface].rtt);
		babel_write_stamp(&w, (uint32_t)n->now.mono_us);
		babel_write_ihu(&w, &n->configs[p->iface].address, (uint16_t)(byte(p, 2) == 255 ? BABEL_INFINITY : 96 + byte(p, 2)), 1200,
				NULL);
	} else if (p->op == OP_UPDATE) {
		babel_write_update(&w, &u, p->group ? &next_hop4 : NULL);
	} else if (byte(p, 0) & 0x80) {
		babel_write_route_request(&w, byte(p, 0) & 0x40 ? NULL : &u.prefix);
	} else {
		babel_write_seqno_request(&w, &u.prefix, u.router_id, u.seqno, (uint8_t)(byte(p, 3) | 1));
	}
	seal(n, p, &w);
}

static void set_filters(struct node *n, uint8_t which)
{
	struct babel_filter f = { .direction = which & 1 ? BABEL_FILTER_IN : BABEL_FILTER_OUT, .deny = which & 2, .add = which,
				  .has_add = which & 4 };

	babel_set_filters(n->babel, &f, which & 8 ? 1 : 0, n->now);
}

static void control(struct node *n, const struct piece *p)
{
	struct babel_iface *i = n->ifaces[p->iface];
	struct babel_link_cost cost = { .nominal = (uint16_t)(byte(p, 1) * 20), .down = byte(p, 2) & 1 };
	struct prefix_pair pair = pair_at(byte(p, 1) % PAIRS);

	switch (byte(p, 0) % 7) {
	case 0:
		babel_iface_up(n->babel, i, byte(p, 1) & 1, n->now);
		break;
	case 1:
		babel_iface_cost(n->babel, i, &cost, n->now);
		break;
	case 2:
		n->own[byte(p, 1) % PAIRS] |= babel_originate(n->babel, &pair, byte(p, 2), n->now);
		break;
	case 3:
		babel_withdraw(n->babel, &pair, n->now);
		n->own[byte(p, 1) % PAIRS] = false;
		break;
	case 4:
		set_filters(n, byte(p, 1));
		break;
	case 5:
		n->configs[p->iface].rxcost = (uint16_t)(1 + byte(p, 1));
		n->configs[p->iface].split_horizon = byte(p, 2) & 1;
		n->configs[p->iface].accept_unauthenticated = byte(p, 2) & 2;
		n->open |= byte(p, 2) & 2;
		babel_iface_set(n->babel, i, &n->configs[p->iface], n->now);
		break;
	default:
		babel_iface_remove(n->babel, i, n->now);
		n->ifaces[p->iface] = babel_iface_add(n->babel, &n->configs[p->iface], &n->ifaces[p->iface], n->now);
		require(n->ifaces[p->iface], "memory");
		break;
	}
}

static void happen(struct node *n, const struct piece *p)
{
	switch ((enum op)p->op) {
	case OP_PACKET:
		deliver(n, p, p->bytes, p->len);
		break;
	case OP_BODY:
		write_body(n, p, false);
		break;
	case OP_SEALED:
		write_body(n, p, true);
		break;
	case OP_HELLO:
	case OP_UPDATE:
	case OP_REQUEST:
		write_legal(n, p);
		break;
	case OP_CONTROL:
		control(n, p);
		break;
	case OP_WAIT:
		for (uint8_t i = 0; i < (byte(p, 0) & 3); i++)
			pass(n, steps[p->step]);
		break;
	}
	settle(n);
}

/* The end: everything is withdrawn, and packets are still to be read. */
static void stop(struct node *n, bool planned)
{
	struct babel_datagram d;

	babel_stop(n->babel, planned, n->now);
	babel_turn(n->babel, n->now);
	while (babel_next_packet(n->babel, &d, n->now))
		check_sent(n, &d);
	babel_free(n->babel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct node n;

	memset(&n, 0, sizeof(n));
	begin(&n);
	for (unsigned int i = 0; i < PIECES_MAX && size >= 3; i++) {
		struct piece p = { .op = data[0] & 7, .iface = (data[0] >> 3 & 3) % IFACES, .neighbour = data[0] >> 5 & 3,
				   .group = data[1] & 0x80, .step = data[1] & 7, .len = data[2], .bytes = data + 3 };

		if (p.len > size - 3)
			p.len = size - 3;
		pass(&n, steps[p.step]);
		happen(&n, &p);
		data += 3 + p.len;
		size -= 3 + p.len;
	}
	stop(&n, size & 1);
	return 0;
}
