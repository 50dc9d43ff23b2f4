/* SPDX-License-Identifier: MIT */
/*
 * Babel speakers, what lies between them, and the clock. Events are packets that arrive and nodes that come back, in a heap by time and then
 * by order of making; a node's own deadline is kept at the node. Nothing else happens by itself: a script, or babel_chaos.c, does the rest between
 * two steps. Each node has a random stream of its own and the world one more, so that what one node draws moves no other.
 *
 * Addresses tell who it is: fe80::NN:PP and 10.200.NN.PP are node N's port P; a router-id is node and generation.
 */
#include "babel_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPINS_MAX = 10000 };	/* turns of a node at one time: more is a loop */

enum event_kind { EVENT_ARRIVAL, EVENT_BOOT };

struct world_packet {
	struct world_packet *next;	/* spare */
	unsigned int refs;
	struct ip_addr src, dst;
	uint64_t pairs;
	bool asks;
	size_t len;
	uint8_t data[WORLD_PACKET_MAX];
};

struct world_event {
	int64_t at_us;
	uint64_t order;
	enum event_kind kind;
	struct world_node *node;
	struct world_port *port;
	struct world_packet *packet;
};

/*
 * Chance.
 */

static uint64_t next_random(struct world_random *r)
{
	uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t world_draw(struct world_random *r, uint64_t bound)
{
	return next_random(r) % bound;
}

bool world_chance(struct world *w, unsigned int in_1000)
{
	return in_1000 && world_draw(&w->random, 1000) < in_1000;
}

static void fill_random(void *ctx, void *out, size_t len)
{
	struct world_random *r = ctx;
	uint8_t *at = out;

	while (len) {
		uint64_t v = next_random(r);
		size_t n = len < sizeof(v) ? len : sizeof(v);

		memcpy(at, &v, n);
		at += n;
		len -= n;
	}
}

/*
 * The heap.
 */

static bool earlier(const struct world_event *a, const struct world_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void push(struct world *w, struct world_event e)
{
	size_t i = w->heap_count++;

	if (w->heap_count > w->heap_size) {
		w->heap_size = w->heap_size ? 2 * w->heap_size : 256;
		w->heap = must(realloc(w->heap, w->heap_size * sizeof(*w->heap)));
	}
	e.order = w->order++;
	for (; i && earlier(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct world_event pop(struct world *w)
{
	struct world_event top = w->heap[0], last = w->heap[--w->heap_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->heap_count)
			break;
		if (child + 1 < w->heap_count && earlier(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!earlier(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->heap_count)
		w->heap[i] = last;
	return top;
}

/*
 * Packets.
 */

static struct world_packet *packet_new(struct world *w)
{
	struct world_packet *p = w->spare;

	if (p)
		w->spare = p->next;
	else
		p = must(malloc(sizeof(*p)));
	p->refs = 1;
	return p;
}

static void packet_drop(struct world *w, struct world_packet *p)
{
	if (--p->refs)
		return;
	p->next = w->spare;
	w->spare = p;
}

static void fly(struct world *w, struct world_segment *s, struct world_port *to, struct world_packet *p)
{
	unsigned int copies = world_chance(w, s->quality.duplicate) ? 2 : 1;

	while (copies--) {
		int64_t at = w->now_us + s->quality.delay_us;

		if (s->quality.jitter_us)
			at += (int64_t)world_draw(&w->random, (uint64_t)s->quality.jitter_us);
		p->refs++;
		push(w, (struct world_event){ .at_us = at, .kind = EVENT_ARRIVAL, .node = to->node, .port = to, .packet = p });
	}
}

static void transmit(struct world_port *from, struct world_packet *p)
{
	struct world_segment *s = from->segment;
	struct world *w = from->node->world;
	bool group = ip_addr_is_multicast(&p->dst);

	if (s->cut || !from->up)
		return;
	for (size_t i = 0; i < s->count; i++) {
		struct world_port *to = s->ports[i];

		if (to == from || s->deaf[i] & (1u << from->place) || (!group && !ip_addr_equal(&p->dst, &to->config.address)))
			continue;
		if (!world_chance(w, s->quality.loss))
			fly(w, s, to, p);
	}
}

static void trace(struct world *w, const struct world_port *from, const struct babel_datagram *d)
{
	uint64_t h = w->trace ^ (uint64_t)w->now_us ^ (from->node->number << 8 | from->number) ^ ((uint64_t)d->len << 32);

	for (size_t i = 0; i + 8 <= d->len; i += 8) {
		uint64_t v;

		memcpy(&v, d->data + i, sizeof(v));
		h = (h ^ v) * UINT64_C(0x100000001b3);
	}
	w->trace = h;
}

/* All that a node has to say, and what it has for the tables. */
static void drain(struct world *w, struct world_node *n)
{
	struct babel_datagram d;
	struct babel_change c;

	while (!w->failed && babel_next_packet(n->babel, &d, world_instant(n))) {
		struct world_port *from = babel_iface_owner(d.iface);
		struct world_packet *p = packet_new(w);

		w->counts.packets++;
		w->counts.bytes += d.len;
		trace(w, from, &d);
		if (w->on_packet)
			w->on_packet(w, from, &d);
		p->src = d.src;
		p->dst = d.dst;
		p->len = d.len;
		memcpy(p->data, d.data, d.len);
		p->asks = false;
		p->pairs = w->unwatched ? 0 : watch_sent(w, from, &d, &p->asks);
		w->touched |= p->pairs;
		transmit(from, p);
		packet_drop(w, p);
	}
	while (!w->failed && babel_next_change(n->babel, &c)) {
		size_t pair = world_find(w, &c.prefix);

		if (pair == WORLD_PAIRS_MAX)
			continue;
		w->touched |= UINT64_C(1) << pair;
		if (w->on_change)
			w->on_change(w, n, pair, &c);
		watch_change(w, n, &c);
	}
}

/* What follows from everything that is done to a node. */
static void settle(struct world *w, struct world_node *n, unsigned int raises)
{
	int64_t deadline;

	if (!n->babel || w->failed)
		return;
	babel_turn(n->babel, world_instant(n));
	drain(w, n);
	deadline = babel_deadline(n->babel);
	n->wake_us = deadline == NEVER_US ? NEVER_US : deadline - n->skew_us;
	n->spins = n->wake_us <= w->now_us ? n->spins + 1 : 0;
	if (n->spins > SPINS_MAX)
		world_fail(w, n, "asks for a turn again and again");
	n->seqno = babel_seqno(n->babel);
	if (!w->unwatched)
		watch_node(w, n, w->touched, raises);
	w->touched = 0;
}

/*
 * Making a world.
 */

struct world *world_new(uint64_t seed, int64_t start_us)
{
	struct world *w = must(calloc(1, sizeof(*w)));

	w->seed = seed;
	w->random.s = seed * UINT64_C(0xd1342543de82ef95) + 1;
	w->now_us = start_us;
	return w;
}

static void accumulate(struct world_counts *c, const struct world_node *n)
{
	struct babel_info info;

	if (!n->babel)
		return;
	babel_info(n->babel, &info);
	c->route_changes += info.route_changes;
	c->requests += info.requests_sent + info.requests_forwarded;
	c->unfeasible += info.unfeasible;
	c->refused += info.refused;
}

struct world_counts world_count(const struct world *w)
{
	struct world_counts c = w->counts;

	for (size_t i = 0; i < w->node_count; i++)
		accumulate(&c, w->nodes[i]);
	return c;
}

void world_free(struct world *w)
{
	while (w->heap_count) {
		struct world_event e = pop(w);

		if (e.packet)
			packet_drop(w, e.packet);
	}
	for (struct world_packet *p = w->spare, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	for (size_t i = 0; i < w->node_count; i++) {
		babel_free(w->nodes[i]->babel);
		for (size_t k = 0; k < WORLD_PAIRS_MAX; k++)
			free(w->nodes[i]->pairs[k].distances);
		free(w->nodes[i]);
	}
	for (size_t i = 0; i < w->segment_count; i++)
		free(w->segments[i]);
	free(w->heap);
	free(w);
}

struct world_node *world_add_node(struct world *w, uint16_t seqno)
{
	struct world_node *n = must(calloc(1, sizeof(*n)));

	if (w->node_count == WORLD_NODES_MAX)
		abort();
	n->world = w;
	n->number = w->node_count;
	n->seqno = seqno;
	n->clean = true;
	n->wake_us = NEVER_US;
	n->random.s = next_random(&w->random);
	w->nodes[w->node_count++] = n;
	return n;
}

struct world_segment *world_add_segment(struct world *w, const struct world_quality *q)
{
	struct world_segment *s = must(calloc(1, sizeof(*s)));

	if (w->segment_count == WORLD_SEGMENTS_MAX)
		abort();
	s->quality = *q;
	w->segments[w->segment_count++] = s;
	return s;
}

struct world_port *world_attach(struct world *w, struct world_node *n, struct world_segment *s, const struct babel_iface_config *c, bool ipv4)
{
	struct world_port *p = &n->ports[n->port_count];
	struct babel_iface_config *config = &p->config;

	(void)w;
	if (n->port_count == WORLD_PORTS_MAX || s->count == WORLD_SEGMENT_PORTS || n->babel)
		abort();
	p->node = n;
	p->segment = s;
	p->number = n->port_count++;
	p->place = s->count++;
	p->config = *c;
	p->up = true;
	snprintf(config->name, sizeof(config->name), "port%zu", p->number);
	config->address = (struct ip_addr){ .family = IP_V6, .bytes = { 0xfe, 0x80, [13] = (uint8_t)(n->number + 1), [15] = (uint8_t)(p->number + 1) } };
	config->address4 = (struct ip_addr){ .family = IP_NONE };
	if (ipv4)
		config->address4 = (struct ip_addr){ .family = IP_V4,
						     .bytes = { 10, 200, (uint8_t)(n->number + 1), (uint8_t)(p->number + 1) } };
	s->ports[p->place] = p;
	return p;
}

struct world_segment *world_link(struct world *w, struct world_node *a, struct world_node *b, enum babel_link_type type,
				 const struct world_quality *q)
{
	struct world_segment *s = world_add_segment(w, q);
	struct babel_iface_config c;

	memset(&c, 0, sizeof(c));
	babel_iface_defaults(&c, type);
	world_attach(w, a, s, &c, true);
	world_attach(w, b, s, &c, true);
	return s;
}

static unsigned int hash_pair(const struct prefix_pair *p)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < 16; i++)
		h = (h ^ p->dst.addr.bytes[i]) * 16777619u;
	for (size_t i = 0; i < 8; i++)
		h = (h ^ p->src.addr.bytes[i]) * 16777619u;
	h = (h ^ p->dst.len ^ (uint32_t)p->src.len << 8) * 16777619u;
	return (h ^ h >> 13) & 255;
}

size_t world_find(const struct world *w, const struct prefix_pair *p)
{
	for (unsigned int h = hash_pair(p);; h = (h + 1) & 255) {
		if (!w->pair_slots[h])
			return WORLD_PAIRS_MAX;
		if (prefix_pair_equal(&w->pairs[w->pair_slots[h] - 1], p))
			return w->pair_slots[h] - 1u;
	}
}

size_t world_pair(struct world *w, const char *dst, const char *src)
{
	struct prefix_pair *p = &w->pairs[w->pair_count];
	struct ip_prefix d;
	unsigned int h;

	if (w->pair_count == WORLD_PAIRS_MAX || !ip_prefix_parse(dst, &d))
		abort();
	ip_prefix_mask(&d);
	*p = prefix_pair_any(&d);
	if (src) {
		if (!ip_prefix_parse(src, &p->src))
			abort();
		ip_prefix_mask(&p->src);
	}
	for (h = hash_pair(p); w->pair_slots[h]; h = (h + 1) & 255)
		;
	w->pair_slots[h] = (uint8_t)(w->pair_count + 1);
	return w->pair_count++;
}

/*
 * Nodes come and go.
 */

struct instant world_instant(const struct world_node *n)
{
	return (struct instant){ .mono_us = n->world->now_us + n->skew_us, .wall_ns = 0 };
}

static void port_begin(struct world_port *p)
{
	struct babel *b = p->node->babel;

	p->iface = must(babel_iface_add(b, &p->config, p, world_instant(p->node)));
	if (!p->up)
		babel_iface_up(b, p->iface, false, world_instant(p->node));
	if (p->measured.nominal || p->measured.down)
		babel_iface_cost(b, p->iface, &p->measured, world_instant(p->node));
}

void world_boot(struct world *w, struct world_node *n)
{
	struct babel_config c = { .router_id = { 0x02, 0x5a, (uint8_t)(n->number + 1), 0, (uint8_t)(n->generation >> 8),
						 (uint8_t)n->generation, 0x77, 0x01 },
				  .seqno = n->seqno, .clean = n->clean };
	const struct rng rng = { .fill = fill_random, .ctx = &n->random };
	const struct log silence = { .emit = NULL, .ctx = NULL };

	if (n->babel)
		return;
	n->babel = must(babel_new(&c, &rng, &silence));
	n->seqno_watched = babel_seqno(n->babel);
	if (!n->clean)
		n->forgot_us = w->now_us;
	for (size_t i = 0; i < n->port_count; i++)
		if (!n->ports[i].removed)
			port_begin(&n->ports[i]);
	for (size_t k = 0; k < w->pair_count; k++)
		if (n->own[k] && !babel_originate(n->babel, &w->pairs[k], n->own_metric[k], world_instant(n)))
			world_fail(w, n, "cannot originate");
	w->touched = WATCH_ALL;
	settle(w, n, 0);
}

void world_boot_all(struct world *w)
{
	for (size_t i = 0; i < w->node_count; i++)
		world_boot(w, w->nodes[i]);
}

void world_end(struct world *w, struct world_node *n, enum world_end how, int64_t away_us)
{
	if (!n->babel)
		return;
	if (how == WORLD_CLEAN || how == WORLD_PLANNED) {
		babel_stop(n->babel, how == WORLD_PLANNED, world_instant(n));
		w->touched = WATCH_ALL;
		drain(w, n);
		w->touched = 0;
	}
	accumulate(&w->counts, n);
	w->counts.restarts++;
	babel_free(n->babel);
	n->babel = NULL;
	n->wake_us = NEVER_US;
	n->forgot_us = w->now_us;
	n->clean = how == WORLD_CLEAN;
	for (size_t i = 0; i < n->port_count; i++)
		n->ports[i].iface = NULL;
	if (how == WORLD_LOST) {
		n->generation++;
		n->seqno = (uint16_t)next_random(&n->random);
	}
	watch_forget(n);
	if (away_us >= 0)
		push(w, (struct world_event){ .at_us = w->now_us + away_us, .kind = EVENT_BOOT, .node = n });
}

/*
 * What is done to a node from outside.
 */

static void done(struct world *w, struct world_node *n)
{
	w->counts.events++;
	w->touched = WATCH_ALL;
	settle(w, n, 0);
}

void world_originate(struct world *w, struct world_node *n, size_t pair, uint16_t metric)
{
	n->own[pair] = true;
	n->own_metric[pair] = metric;
	if (!n->babel)
		return;
	if (!babel_originate(n->babel, &w->pairs[pair], metric, world_instant(n)))
		world_fail(w, n, "cannot originate");
	done(w, n);
}

void world_withdraw(struct world *w, struct world_node *n, size_t pair)
{
	n->own[pair] = false;
	if (!n->babel)
		return;
	babel_withdraw(n->babel, &w->pairs[pair], world_instant(n));
	done(w, n);
}

void world_port_up(struct world *w, struct world_port *p, bool up)
{
	p->up = up;
	if (!p->iface)
		return;
	babel_iface_up(p->node->babel, p->iface, up, world_instant(p->node));
	done(w, p->node);
}

void world_port_cost(struct world *w, struct world_port *p, const struct babel_link_cost *c)
{
	p->measured = *c;
	if (!p->iface)
		return;
	babel_iface_cost(p->node->babel, p->iface, c, world_instant(p->node));
	done(w, p->node);
}

void world_port_config(struct world *w, struct world_port *p, const struct babel_iface_config *c)
{
	p->config = *c;
	if (!p->iface)
		return;
	babel_iface_set(p->node->babel, p->iface, c, world_instant(p->node));
	done(w, p->node);
}

void world_port_remove(struct world *w, struct world_port *p)
{
	struct world_node *n = p->node;

	p->removed = true;
	if (!p->iface)
		return;
	babel_iface_remove(n->babel, p->iface, world_instant(n));
	p->iface = NULL;
	done(w, n);
}

void world_port_restore(struct world *w, struct world_port *p)
{
	p->removed = false;
	if (!p->node->babel || p->iface)
		return;
	port_begin(p);
	done(w, p->node);
}

void world_cut(struct world_segment *s, bool cut)
{
	s->cut = cut;
}

void world_carrier(struct world *w, struct world_segment *s, bool up)
{
	for (size_t i = 0; i < s->count; i++)
		world_port_up(w, s->ports[i], up);
}

void world_inject(struct world *w, struct world_port *p, const struct ip_addr *src, const struct ip_addr *dst, const uint8_t *data, size_t len)
{
	struct babel_datagram d = { .iface = p->iface, .src = *src, .dst = *dst, .src_port = BABEL_PORT, .data = data, .len = len,
				    .stamp_us = world_instant(p->node).mono_us };

	babel_receive(p->node->babel, &d, world_instant(p->node));
	done(w, p->node);
}

/*
 * Time passes.
 */

static void arrive(struct world *w, const struct world_event *e)
{
	struct world_packet *p = e->packet;
	struct world_node *n = e->node;
	struct babel_datagram d;
	unsigned int raises;

	if (!e->port->iface || !e->port->up || e->port->segment->cut)
		return;
	d = (struct babel_datagram){ .iface = e->port->iface, .src = p->src, .dst = p->dst, .src_port = BABEL_PORT, .data = p->data,
				     .len = p->len, .stamp_us = world_instant(n).mono_us };
	w->counts.deliveries++;
	raises = p->asks ? watch_raises(n, p->data, p->len, &p->src) : 0;
	babel_receive(n->babel, &d, world_instant(n));
	w->touched = p->pairs;
	settle(w, n, raises);
}

static struct world_node *next_awake(struct world *w)
{
	struct world_node *first = w->nodes[0];

	for (size_t i = 1; i < w->node_count; i++)
		if (w->nodes[i]->wake_us < first->wake_us)
			first = w->nodes[i];
	return first;
}

bool world_step(struct world *w, int64_t until_us)
{
	struct world_node *n = next_awake(w);
	bool arrival = w->heap_count && w->heap[0].at_us <= n->wake_us;
	int64_t at = arrival ? w->heap[0].at_us : n->wake_us;
	struct world_event e;

	if (w->failed || at > until_us)
		return false;
	if (at > w->now_us)
		w->now_us = at;
	w->counts.events++;
	if (!arrival) {
		w->touched = WATCH_ALL;
		settle(w, n, 0);
		return !w->failed;
	}
	e = pop(w);
	if (e.kind == EVENT_BOOT) {
		world_boot(w, e.node);
	} else {
		arrive(w, &e);
		packet_drop(w, e.packet);
	}
	return !w->failed;
}

bool world_run(struct world *w, int64_t us)
{
	int64_t until = w->now_us + us;

	while (world_step(w, until))
		;
	if (!w->failed)
		w->now_us = until;
	return !w->failed;
}

struct world_port *world_port_of(struct world *w, const struct ip_addr *a)
{
	size_t node, port;

	if (a->family == IP_V6) {
		node = a->bytes[13] - 1u;
		port = a->bytes[15] - 1u;
	} else if (a->family == IP_V4) {
		node = a->bytes[2] - 1u;
		port = a->bytes[3] - 1u;
	} else {
		return NULL;
	}
	if (node >= w->node_count || port >= w->nodes[node]->port_count)
		return NULL;
	return &w->nodes[node]->ports[port];
}

enum babel_action world_fib(const struct world_node *n, size_t pair)
{
	return n->pairs[pair].fib;
}

void world_fail(struct world *w, const struct world_node *n, const char *fmt, ...)
{
	char what[WORLD_FAILURE_MAX / 2];
	va_list args;

	if (w->failed)
		return;
	w->failed = true;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	snprintf(w->failure, sizeof(w->failure), "seed %llu, %.6f s, event %llu, node %d: %s", (unsigned long long)w->seed,
		 (double)w->now_us / 1e6, (unsigned long long)w->counts.events, n ? (int)n->number : -1, what);
	printf("# %s\n", w->failure);
	fflush(stdout);
}
