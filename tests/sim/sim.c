/* SPDX-License-Identifier: MIT */
/*
 * The simulator: virtual clocks, links and an event queue around real nodes.
 *
 * Every node draws from its own stream, split from the seed, so that one node's draws do not shift another's. A datagram is
 * copied into an event when it is sent; delay, jitter, loss, duplication and MTU of the link decide when and whether it
 * arrives. Reordering comes from jitter. After every input a node has its turn, as in the daemon. NATs translate when a datagram is sent,
 * and when it arrives.
 */
#include "sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "node/change.h"
#include "transport/cookie.h"
#include "wire/wg.h"

struct sim_event {
	struct sim_event *next;
	int64_t at_us;
	size_t to;
	struct endpoint source, target;
	bool inside;		/* it is past the NAT */
	size_t len;
	uint8_t bytes[];	/* headroom, datagram, tailroom */
};

uint64_t sim_random(struct sim_stream *r, uint64_t bound)
{
	/* splitmix64 (Steele, Lea, Flood 2014) */
	uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return bound ? z % bound : z;
}

static void fill(void *ctx, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)sim_random(ctx, 256);
}

static struct instant instant_of(const struct sim *s, size_t i)
{
	return (struct instant){
		.mono_us = s->now_us,
		.wall_ns = s->wall_ns + s->nodes[i].wall_offset_ns,
	};
}

void sim_init(struct sim *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->random.s = seed;
	s->lanes = 1;
	s->flow_sessions = FLOW_SESSIONS_DEFAULT;
	s->now_us = US_PER_S;
	s->wall_ns = INT64_C(1700000000) * NS_PER_S;
}

void sim_done(struct sim *s)
{
	while (s->events) {
		struct sim_event *e = s->events;

		s->events = e->next;
		free(e);
	}
	for (size_t i = 0; i < s->node_count; i++)
		node_free(s->nodes[i].node);
}

static void inner_address(size_t i, struct ip_prefix *v6, struct ip_prefix *v4)
{
	*v6 = (struct ip_prefix){ .addr = { IP_V6, { 0xfd, [15] = (uint8_t)(i + 1) } }, .len = 128 };
	*v4 = (struct ip_prefix){ .addr = { IP_V4, { 10, 9, 0, (uint8_t)(i + 1) } }, .len = 32 };
}

static const struct ip_addr *address_of(const struct sim_node *n, size_t address)
{
	return address ? &n->more[address - 1] : &n->endpoint.addr;
}

/* What the node hears of its addresses: each is an interface's. */
static void tell_locals(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct path_local v[SIM_ADDRESSES_MAX];
	size_t count = 0;

	if (n->address_count < 2)
		return;
	for (size_t k = 0; k < n->address_count; k++)
		if (!n->gone[k])
			v[count++] = (struct path_local){ .addr = *address_of(n, k), .ifindex = (uint32_t)k + 2, .terms = n->terms[k] };
	node_set_locals(n->node, v, count, instant_of(s, i));
	n->wake_us = s->now_us;
}

size_t sim_add_address(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	size_t address = n->address_count++;

	assert(address < SIM_ADDRESSES_MAX);
	n->more[address - 1] = (struct ip_addr){ IP_V4, { 203, 0, (uint8_t)(112 + address), (uint8_t)(i + 1) } };
	tell_locals(s, i);
	return address;
}

void sim_set_address(struct sim *s, size_t i, size_t address, bool there)
{
	s->nodes[i].gone[address] = !there;
	tell_locals(s, i);
}

struct endpoint sim_address(const struct sim *s, size_t i, size_t address)
{
	return address ? (struct endpoint){ .addr = s->nodes[i].more[address - 1], .port = SIM_PORT } : sim_outside(s, i);
}

void sim_set_way_out(struct sim *s, size_t a, size_t a_address, size_t b, size_t b_address, const struct sim_link *link)
{
	size_t k;

	for (k = 0; k < s->way_count; k++)
		if (s->ways[k].a == a && s->ways[k].a_address == a_address && s->ways[k].b == b && s->ways[k].b_address == b_address)
			break;
	assert(k < SIM_WAYS_MAX);
	s->ways[k] = (struct sim_way){ .a = a, .a_address = a_address, .b = b, .b_address = b_address, .link = *link };
	if (k == s->way_count)
		s->way_count++;
}

void sim_set_way(struct sim *s, size_t a, size_t a_address, size_t b, size_t b_address, const struct sim_link *link)
{
	sim_set_way_out(s, a, a_address, b, b_address, link);
	sim_set_way_out(s, b, b_address, a, a_address, link);
}

/* What the kernel would do: the first address it has of the family, and no way leads astray unless the test says so. */
static void answer_ways(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	uint8_t key[KEY_LEN];
	struct path_addr path;
	size_t first = 0;

	while (first + 1 < n->address_count && n->gone[first])
		first++;
	while (node_next_path(n->node, key, &path))
		node_set_way(n->node, key, &path, s->astray && s->astray(i, &path) ? PATH_LOOPS : PATH_OPEN,
			     path.local.family == IP_NONE || ip_addr_equal(&path.local, address_of(n, first)), 1500, instant_of(s, i));
}

static void start_node(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct rng rng = { .fill = fill, .ctx = &n->random };
	struct log log = { 0 };
	struct change c = { .bits = CHANGE_PRIVATE_KEY | CHANGE_LISTEN_PORT, .listen_port = SIM_PORT };

	change_links_default(&c);
	c.links.flow_sessions = n->flow_sessions;
	n->node = node_new(&rng, &log, n->lanes);
	assert(n->node);
	memcpy(c.private_key, n->private_key, KEY_LEN);
	assert(!node_apply(n->node, &c, instant_of(s, i)));
	for (unsigned int l = 0; l < n->lanes; l++)
		lane_set_offloads(node_lane(n->node, l), 1 + (uint32_t)sim_random(&n->random, 63), true);
	node_set_mtu(n->node, 1420);
	node_set_up(n->node, true, instant_of(s, i));
	tell_locals(s, i);
	n->wake_us = s->now_us;
}

size_t sim_add_node(struct sim *s)
{
	size_t i = s->node_count++;
	struct sim_node *n = &s->nodes[i];
	struct rng rng = { .fill = fill, .ctx = &n->random };

	assert(i < SIM_NODES_MAX);
	n->random.s = sim_random(&s->random, 0);
	n->endpoint = (struct endpoint){ .addr = { IP_V4, { 192, 0, 2, (uint8_t)(i + 1) } }, .port = SIM_PORT };
	n->lanes = s->lanes;
	n->flow_sessions = s->flow_sessions;
	n->ports_max = SUB_SESSIONS_MAX;
	n->address_count = 1;
	key_generate(&rng, n->private_key);
	key_public(n->public_key, n->private_key);
	start_node(s, i);
	return i;
}

void sim_restart_node(struct sim *s, size_t i, bool with_stamp)
{
	uint8_t stamp[12];

	node_timestamp(s->nodes[i].node, stamp);
	node_free(s->nodes[i].node);
	start_node(s, i);
	if (with_stamp)
		node_set_timestamp(s->nodes[i].node, stamp);
}

void sim_add_nat(struct sim *s, size_t i, enum sim_nat_kind kind)
{
	struct sim_node *n = &s->nodes[i];

	n->endpoint.addr = (struct ip_addr){ IP_V4, { 192, 168, (uint8_t)(i + 1), 2 } };
	n->nat = (struct sim_nat){
		.kind = kind, .outside = { IP_V4, { 198, 51, 100, (uint8_t)(i + 1) } }, .forwarded = SIM_PORT,
		.timeout_us = 30 * US_PER_S, .random = sim_random(&s->random, 0),
	};
}

struct endpoint sim_outside(const struct sim *s, size_t i)
{
	struct endpoint e = s->nodes[i].endpoint;

	if (s->nodes[i].nat.kind != SIM_NAT_NONE)
		e.addr = s->nodes[i].nat.outside;
	return e;
}

void sim_set_flow_sessions(struct sim *s, size_t i, uint8_t sessions)
{
	struct change c = { 0 };

	change_links_default(&c);
	c.links.flow_sessions = sessions;
	s->nodes[i].flow_sessions = sessions;
	assert(!node_apply(s->nodes[i].node, &c, instant_of(s, i)));
	s->nodes[i].wake_us = s->now_us;
}

static void add_endpoint(const struct sim *s, struct change_peer *p, size_t b)
{
	struct endpoint there = sim_outside(s, b);

	assert(change_add_address(p, &there));
}

void sim_add_peer(struct sim *s, size_t a, size_t b, bool endpoint, const uint8_t *psk, uint16_t keepalive_s)
{
	struct ip_prefix v6, v4;
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);

	assert(p);
	memcpy(p->public_key, s->nodes[b].public_key, KEY_LEN);
	p->bits = CHANGE_PEER_KEEPALIVE;
	p->keepalive_s = keepalive_s;
	if (psk) {
		p->bits |= CHANGE_PEER_PSK;
		memcpy(p->psk, psk, KEY_LEN);
	}
	if (endpoint)
		add_endpoint(s, p, b);
	inner_address(b, &v6, &v4);
	assert(change_add_allowed(p, &v6, false) && change_add_allowed(p, &v4, false));
	assert(!node_apply(s->nodes[a].node, &c, instant_of(s, a)));
	s->nodes[a].wake_us = s->now_us;
	change_done(&c);
}

void sim_set_endpoints(struct sim *s, size_t a, size_t b)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);

	assert(p);
	memcpy(p->public_key, s->nodes[b].public_key, KEY_LEN);
	p->bits = 0;
	for (size_t k = 0; k < s->nodes[b].address_count; k++) {
		struct endpoint there = sim_address(s, b, k);

		assert(change_add_address(p, &there));
	}
	assert(!node_apply(s->nodes[a].node, &c, instant_of(s, a)));
	s->nodes[a].wake_us = s->now_us;
	change_done(&c);
}

void sim_connect(struct sim *s, size_t a, size_t b)
{
	sim_add_peer(s, a, b, true, NULL, 0);
	sim_add_peer(s, b, a, true, NULL, 0);
}

void sim_route(struct sim *s, size_t i, int64_t hello_us)
{
	struct change c = { .bits = CHANGE_ROUTING, .transit = TRANSIT_LANE, .babel = { .section = true, .hello_us = hello_us } };
	struct ip_prefix own[2];

	inner_address(i, &own[0], &own[1]);
	node_routing_begin(s->nodes[i].node, NULL);
	assert(!node_apply(s->nodes[i].node, &c, instant_of(s, i)));
	assert(node_set_addresses(s->nodes[i].node, own, 2, instant_of(s, i)));
	s->nodes[i].wake_us = s->now_us;
}

static void change_babel_peer(struct sim *s, size_t a, size_t b, unsigned int bits)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);

	assert(p);
	memcpy(p->public_key, s->nodes[b].public_key, KEY_LEN);
	p->bits = bits;
	add_endpoint(s, p, b);
	p->babel = p->allowed_auto = true;
	assert(!node_apply(s->nodes[a].node, &c, instant_of(s, a)));
	s->nodes[a].wake_us = s->now_us;
	change_done(&c);
}

void sim_link_babel(struct sim *s, size_t a, size_t b)
{
	change_babel_peer(s, a, b, CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO);
	change_babel_peer(s, b, a, CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO);
}

void sim_unlink(struct sim *s, size_t a, size_t b)
{
	change_babel_peer(s, a, b, CHANGE_PEER_REMOVE);
	change_babel_peer(s, b, a, CHANGE_PEER_REMOVE);
}

void sim_set_link(struct sim *s, size_t a, size_t b, const struct sim_link *link)
{
	s->links[a][b] = *link;
	s->links[b][a] = *link;
}

/*
 * The wire.
 */

static struct sim_event *event_add(struct sim *s, size_t to, int64_t at_us, const struct endpoint *source, const struct endpoint *target,
				   const void *msg, size_t len)
{
	struct sim_event *e = calloc(1, sizeof(*e) + PACKET_HEADROOM + len + PACKET_TAILROOM), **at = &s->events;

	assert(e);
	e->at_us = at_us;
	e->to = to;
	e->source = *source;
	e->target = *target;
	e->len = len;
	memcpy(e->bytes + PACKET_HEADROOM, msg, len);
	while (*at && (*at)->at_us <= at_us)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	s->in_flight++;
	return e;
}

/* The shortest inner packet there is here is longer than any probe, reply, report or offer. */
enum { CONTROL_SEALED_MAX = 64 };

static struct sim_dgram dgram_of(const struct endpoint *from, const struct endpoint *to, const uint8_t *msg, size_t len)
{
	struct sim_dgram d = { .from = *from, .to = *to, .msg = msg, .len = len };

	if (wg_classify(msg, len) != WG_DATA)
		return d;
	d.number = wg_data_receiver(msg) & WG_INDEX_SUB_SESSION;
	d.control = len > WG_DATA_MIN && (len <= CONTROL_SEALED_MAX || d.number == SUB_SESSION_CONTROL);
	return d;
}

static void count_sent(struct sim *s, struct sim_node *n, const struct sim_dgram *d)
{
	const uint8_t *msg = d->msg;
	size_t len = d->len;
	struct sim_seen *seen = &n->seen;

	n->last_sent_us = s->now_us;
	switch (wg_classify(msg, len)) {
	case WG_INITIATION:
		seen->initiations++;
		n->last_initiation_us = s->now_us;
		break;
	case WG_RESPONSE:
		seen->responses++;
		break;
	case WG_COOKIE_REPLY:
		seen->cookie_replies++;
		break;
	case WG_DATA:
		if (len == WG_DATA_MIN)
			seen->keepalives++;
		else if (!d->control)
			seen->data++;
		else
			seen->controls++;
		if (d->control && d->number != SUB_SESSION_CONTROL)
			seen->answered++;
		break;
	default:
		assert(false && "a node sends nothing but WireGuard");
	}
}

static void trace(struct sim *s, size_t from, const uint8_t *msg, size_t len)
{
	s->trace = (s->trace ^ (uint64_t)s->now_us ^ from) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < len; i++)
		s->trace = (s->trace ^ msg[i]) * UINT64_C(0x100000001b3);
}

static bool lost(struct sim *s, const struct sim_link *l, const uint8_t *msg, size_t len)
{
	bool data = msg[0] == WG_DATA;

	if (l->cut || (data && l->no_data) || (!data && l->no_handshakes))
		return true;
	if (l->mtu && len > l->mtu)
		return true;
	return sim_random(&s->random, 1000) < l->loss;
}

/*
 * A plain WireGuard's indices: what is zero in a meshd's is random in them. The handshake hashes no index, so that they may be exchanged
 * on the way, with a new MAC1.
 */
static uint32_t plain_bits(const struct sim_node *n, uint32_t index)
{
	uint64_t z = ((uint64_t)(index & ~(uint32_t)WG_INDEX_SUB_SESSION) ^ get_be32(n->public_key)) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(z >> 40) & WG_INDEX_SUB_SESSION;
}

enum { SENDER_AT = 4, RESPONSE_RECEIVER_AT = 8, RECEIVER_AT = 4 };

static void exchange(const struct sim_node *n, uint8_t *index)
{
	put_le32(index, get_le32(index) ^ plain_bits(n, get_le32(index)));
}

static void sign_again(const uint8_t public_key[KEY_LEN], uint8_t *msg, size_t len, int64_t now_us)
{
	struct cookie_maker maker;

	cookie_maker_init(&maker, public_key);
	cookie_maker_sign(&maker, msg, len, now_us);
}

static void plain_out(struct sim *s, const struct sim_node *n, const uint8_t peer_key[KEY_LEN], uint8_t *msg, size_t len)
{
	unsigned int type = wg_classify(msg, len);

	if (type != WG_INITIATION && type != WG_RESPONSE)
		return;
	exchange(n, msg + SENDER_AT);
	sign_again(peer_key, msg, len, s->now_us);
}

static void plain_in(struct sim *s, const struct sim_node *n, uint8_t *msg, size_t len)
{
	switch (wg_classify(msg, len)) {
	case WG_DATA:
	case WG_COOKIE_REPLY:
		exchange(n, msg + RECEIVER_AT);
		break;
	case WG_RESPONSE:
		exchange(n, msg + RESPONSE_RECEIVER_AT);
		sign_again(n->public_key, msg, len, s->now_us);
		break;
	default:
		break;
	}
}

/* Which node's an address outside is, or node_count; and which of its addresses. */
static size_t node_at(const struct sim *s, const struct endpoint *to, size_t *address)
{
	for (size_t i = 0; i < s->node_count; i++)
		for (*address = 0; *address < s->nodes[i].address_count; ++*address) {
			struct endpoint outside = sim_address(s, i, *address);

			if (ip_addr_equal(&outside.addr, &to->addr))
				return i;
		}
	return s->node_count;
}

/* By which of its addresses a node sends: the one that is said, or the first it has. address_count: it does not have it. */
static size_t leaves_by(const struct sim_node *n, const struct ip_addr *local)
{
	/* One alone may have become another. */
	if (n->address_count < 2)
		return 0;
	for (size_t k = 0; k < n->address_count; k++)
		if (!n->gone[k] && (local->family == IP_NONE || ip_addr_equal(local, address_of(n, k))))
			return k;
	return n->address_count;
}

static const struct sim_link *way_between(const struct sim *s, size_t a, size_t a_address, size_t b, size_t b_address)
{
	for (size_t k = 0; k < s->way_count; k++)
		if (s->ways[k].a == a && s->ways[k].a_address == a_address && s->ways[k].b == b && s->ways[k].b_address == b_address)
			return &s->ways[k].link;
	return &s->links[a][b];
}

static void link_send(struct sim *s, size_t to, const struct sim_link *l, const struct sim_dgram *d)
{
	int copies = 1;

	if (sim_random(&s->random, 1000) < l->duplicate)
		copies = 2;
	for (int c = 0; c < copies; c++) {
		int64_t delay_us = l->delay_us;

		if (l->jitter_us)
			delay_us += (int64_t)sim_random(&s->random, (uint64_t)l->jitter_us);
		if (!lost(s, l, d->msg, d->len))
			event_add(s, to, s->now_us + delay_us, &d->from, &d->to, d->msg, d->len);
	}
}

static void wire_send(struct sim *s, size_t from, const struct dgram *d)
{
	struct sim_node *n = &s->nodes[from];
	size_t to_address = 0, to = node_at(s, &d->path.remote, &to_address), address = leaves_by(n, &d->path.local);
	struct endpoint source;
	struct sim_dgram seen;

	if (address == n->address_count)
		return;
	source = sim_address(s, from, address);
	source.port = (uint16_t)(n->endpoint.port + d->port);
	if (n->nat.kind != SIM_NAT_NONE && !address)
		source.port = nat_out(&n->nat, source.port, &d->path.remote, s->now_us);
	if (n->plain && to < s->node_count)
		plain_out(s, n, s->nodes[to].public_key, d->data, d->len);
	seen = dgram_of(&source, &d->path.remote, d->data, d->len);
	count_sent(s, n, &seen);
	trace(s, from, d->data, d->len);
	if (s->on_dgram)
		s->on_dgram(s, from, &seen);
	if (to < s->node_count && source.port)
		link_send(s, to, way_between(s, from, address, to, to_address), &seen);
}

/*
 * The driver of one node.
 */

static void packet_arrived(struct sim *s, size_t i, const uint8_t *packet, size_t len)
{
	if (!sim_tag(packet, len)) {
		s->nodes[i].seen.refused++;
		return;
	}
	s->nodes[i].seen.delivered++;
	if (s->on_packet)
		s->on_packet(s, i, packet, len);
}

/* Our packets are UDP without a checksum, so nothing is merged and each write is one packet behind its vnet header. */
static void tun_write(struct sim *s, size_t i, const struct tun_write *w)
{
	assert(w->count == 1 && w->packets == 1);
	packet_arrived(s, i, w->pieces[0].base + VNET_LEN, w->pieces[0].len - VNET_LEN);
}

/* A run as the socket would send it: cut into datagrams. */
static void run_send(struct sim *s, size_t i, const struct dgram *run)
{
	uint32_t step = run->segment ? run->segment : run->len;
	struct dgram d = *run;

	for (uint32_t at = 0; at < run->len; at += step) {
		d.data = run->data + at;
		d.len = run->len - at < step ? run->len - at : step;
		wire_send(s, i, &d);
	}
}

static void flush_lane(struct sim *s, size_t i, unsigned int lane)
{
	struct lane *l = node_lane(s->nodes[i].node, lane);
	const struct lane_out *out = lane_out(l);
	struct handover handovers[LANE_HANDOVERS_MAX];
	struct dgram strays[LANE_STRAYS_MAX];
	size_t handover_count = out->handover_count, stray_count = out->stray_count;

	for (size_t j = 0; j < out->dgram_count; j++)
		run_send(s, i, &out->dgrams[j]);
	for (size_t j = 0; j < out->write_count; j++)
		tun_write(s, i, &out->writes[j]);
	memcpy(handovers, out->handovers, handover_count * sizeof(handovers[0]));
	memcpy(strays, out->strays, stray_count * sizeof(strays[0]));
	/* What belongs to other lanes goes there at once: some of it lies in memory of this one's output. */
	for (size_t j = 0; j < handover_count; j++) {
		s->handed_over++;
		lane_from_lane(node_lane(s->nodes[i].node, handovers[j].peer->home), instant_of(s, i), &handovers[j], 1);
	}
	lane_out_clear(l);
	for (size_t j = 0; j < handover_count; j++)
		flush_lane(s, i, handovers[j].peer->home);
	for (size_t j = 0; j < stray_count; j++) {
		unsigned int to = lane_of_index(wg_data_receiver(strays[j].data), s->nodes[i].lanes);

		s->strays++;
		lane_from_udp(node_lane(s->nodes[i].node, to), instant_of(s, i), &strays[j], 1);
		flush_lane(s, i, to);
	}
}

/* P_i is right behind the listen port. */
static void give_ports(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	uint16_t numbers[SUB_SESSIONS];
	unsigned int count = node_ports_wanted(n->node);

	if (count > n->ports_max)
		count = n->ports_max;
	for (unsigned int j = 0; j < count; j++)
		numbers[j] = (uint16_t)(n->endpoint.port + j + 1);
	node_set_ports(n->node, numbers, count, instant_of(s, i));
}

/* Send all that can go now. Returns when a shaper lets more go. */
static int64_t drain(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	int64_t next_us = NEVER_US;
	bool more;

	for (unsigned int l = 0; l < n->lanes; l++) {
		struct lane *lane = node_lane(n->node, l);
		int64_t wait_us;

		do {
			more = lane_drain(lane, instant_of(s, i), SIM_DRAIN_BYTES);
			flush_lane(s, i, l);
		} while (more);
		wait_us = lane_wait_us(lane, instant_of(s, i));
		if (wait_us != NEVER_US && s->now_us + wait_us < next_us)
			next_us = s->now_us + wait_us;
	}
	return next_us;
}

static void turn(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];
	struct node_route route;
	struct dgram *dgrams;
	size_t count;
	int64_t shaper_us;
	unsigned int effects;

	node_turn(n->node, instant_of(s, i));
	while (node_next_route(n->node, &route))
		n->routes_changed++;
	effects = node_effects(n->node);
	if (effects & NODE_EFFECT_PORTS)
		give_ports(s, i);
	if (effects & NODE_EFFECT_ENDPOINTS)
		answer_ways(s, i);
	count = node_out(n->node, &dgrams);
	for (size_t j = 0; j < count; j++)
		wire_send(s, i, &dgrams[j]);
	node_out_clear(n->node);
	shaper_us = drain(s, i);
	n->wake_us = node_deadline(n->node);
	/* The node has work as long as a packet waits, for a shaper too. */
	if (shaper_us != NEVER_US && (n->wake_us <= s->now_us || shaper_us < n->wake_us))
		n->wake_us = shaper_us;
}

/* Where a datagram ends up inside: the number of the socket, or -1. */
static int socket_of(struct sim *s, const struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->to];
	unsigned int port = e->target.port;
	size_t address = 0;

	if (e->inside)
		return 0;
	if (node_at(s, &e->target, &address) != e->to || n->gone[address])
		return -1;
	if (n->nat.kind != SIM_NAT_NONE && !address)
		port = nat_in(&n->nat, e->target.port, &e->source, s->now_us);
	if (port < n->endpoint.port || port > n->endpoint.port + n->ports_max)
		return -1;
	return (int)(port - n->endpoint.port);
}

static void arrive(struct sim *s, struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->to];
	struct dgram d = {
		.data = e->bytes + PACKET_HEADROOM,
		.len = (uint32_t)e->len,
		.path = { .remote = e->source, .local = n->endpoint.addr },
	};
	int socket = socket_of(s, e);
	unsigned int lane;
	size_t address = 0;

	if (socket < 0)
		return;
	if (n->address_count > 1 && !e->inside && node_at(s, &e->target, &address) == e->to) {
		d.path.local = *address_of(n, address);
		d.path.ifindex = (uint32_t)address + 2;
	}
	d.port = (uint8_t)socket;
	s->arriving = dgram_of(&e->source, &e->target, d.data, d.len);
	if (n->plain)
		plain_in(s, n, d.data, d.len);
	/* Steering is a hint: here it is right half of the time, and else a throw of the dice. */
	lane = wg_classify(d.data, d.len) == WG_DATA && sim_random(&s->random, 2) ?
	       lane_of_index(wg_data_receiver(d.data), n->lanes) : (unsigned int)sim_random(&s->random, n->lanes);
	lane_from_udp(node_lane(n->node, lane), instant_of(s, e->to), &d, 1);
	flush_lane(s, e->to, lane);
	turn(s, e->to);
}

void sim_inject(struct sim *s, size_t i, const struct endpoint *from, const void *msg, size_t len)
{
	event_add(s, i, s->now_us, from, &s->nodes[i].endpoint, msg, len)->inside = true;
}

/* The node whose deadline comes first. */
static size_t next_wake(const struct sim *s, int64_t *at_us)
{
	size_t best = 0;

	*at_us = NEVER_US;
	for (size_t i = 0; i < s->node_count; i++)
		if (s->nodes[i].wake_us < *at_us) {
			*at_us = s->nodes[i].wake_us;
			best = i;
		}
	return best;
}

static void advance(struct sim *s, int64_t to_us)
{
	if (to_us <= s->now_us)
		return;
	s->wall_ns += (to_us - s->now_us) * 1000;
	s->now_us = to_us;
}

void sim_run(struct sim *s, int64_t us)
{
	int64_t end_us = s->now_us + us, wake_us;

	for (;;) {
		size_t i = next_wake(s, &wake_us);
		int64_t arrival_us = s->events ? s->events->at_us : NEVER_US;

		if ((wake_us < arrival_us ? wake_us : arrival_us) > end_us)
			break;
		if (arrival_us <= wake_us) {
			struct sim_event *e = s->events;

			s->events = e->next;
			s->in_flight--;
			advance(s, arrival_us);
			arrive(s, e);
			free(e);
		} else {
			advance(s, wake_us);
			turn(s, i);
		}
	}
	advance(s, end_us);
}

/*
 * Inner packets: UDP over IPv6, with a tag in it. No checksum, so that nothing is merged.
 */

enum { UDP_AT = 40, TAG_AT = 48, TAG_MAGIC = 0x6d657368, PORT_FROM = 10000, PORT_TO = 20000 };

/* A flow stays in one queue of the TUN. */
static unsigned int lane_of_flow(const struct sim *s, size_t a, size_t b, unsigned int flow)
{
	struct sim_stream r = { .s = (uint64_t)flow << 32 | a << 16 | b };

	return (unsigned int)sim_random(&r, s->nodes[a].lanes);
}

static void send_from(struct sim *s, size_t a, size_t as, size_t b, unsigned int flow, uint64_t tag, size_t payload_len)
{
	uint8_t room[PACKET_HEADROOM + SIM_DGRAM_MAX + PACKET_TAILROOM] = { 0 }, *p = room + PACKET_HEADROOM;
	struct packet packet = { .data = p };
	struct ip_prefix from, to, v4;
	unsigned int lane;

	if (payload_len < TAG_AT - 40 + 12)
		payload_len = TAG_AT - 40 + 12;
	assert(40 + payload_len <= SIM_DGRAM_MAX);
	inner_address(as, &from, &v4);
	inner_address(b, &to, &v4);
	p[0] = 0x60;
	put_be16(p + 4, (uint16_t)payload_len);
	p[6] = 17;
	p[7] = 64;
	memcpy(p + 8, from.addr.bytes, 16);
	memcpy(p + 24, to.addr.bytes, 16);
	put_be16(p + UDP_AT, (uint16_t)(PORT_FROM + flow));
	put_be16(p + UDP_AT + 2, (uint16_t)(PORT_TO + flow));
	put_be16(p + UDP_AT + 4, (uint16_t)payload_len);
	put_be64(p + TAG_AT, tag);
	put_be32(p + TAG_AT + 8, TAG_MAGIC);
	packet.len = (uint32_t)(40 + payload_len);
	lane = lane_of_flow(s, a, b, flow);
	lane_from_tun(node_lane(s->nodes[a].node, lane), instant_of(s, a), &packet, 1);
	flush_lane(s, a, lane);
	turn(s, a);
}

void sim_send(struct sim *s, size_t a, size_t b, uint64_t tag, size_t payload_len)
{
	sim_send_flow(s, a, b, 0, tag, payload_len);
}

void sim_send_flow(struct sim *s, size_t a, size_t b, unsigned int flow, uint64_t tag, size_t payload_len)
{
	send_from(s, a, a, b, flow, tag, payload_len);
}

void sim_send_as(struct sim *s, size_t a, size_t as, size_t b, uint64_t tag)
{
	send_from(s, a, as, b, 0, tag, 100);
}

uint64_t sim_tag(const uint8_t *packet, size_t len)
{
	if (len < TAG_AT + 12 || packet[6] != 17 || get_be32(packet + TAG_AT + 8) != TAG_MAGIC)
		return 0;
	return get_be64(packet + TAG_AT);
}

struct peer_info sim_peer(struct sim *s, size_t a, size_t b)
{
	struct peer_info info;

	for (size_t i = 0; node_peer(s->nodes[a].node, i, instant_of(s, a), &info); i++)
		if (!memcmp(info.public_key, s->nodes[b].public_key, KEY_LEN))
			return info;
	assert(false && "no such peer");
	return info;
}

const struct path_set *sim_paths(struct sim *s, size_t a, size_t b)
{
	struct peer_info info;

	for (size_t i = 0; node_peer(s->nodes[a].node, i, instant_of(s, a), &info); i++)
		if (!memcmp(info.public_key, s->nodes[b].public_key, KEY_LEN))
			return node_paths(s->nodes[a].node, i);
	return NULL;
}

uint64_t sim_drops(struct sim *s, size_t i, enum drop_reason reason)
{
	struct node_info info;

	node_info(s->nodes[i].node, &info);
	return info.drops[reason];
}
