/* SPDX-License-Identifier: MIT */
/*
 * Random worlds. A topology is a connected skeleton (line, ring, star, tree, grid, or LANs in a row) and some links across; trouble comes at
 * random times, about as often as the routing protocol says hello. In calm weather the last faults either stay as they are or go away, and
 * the outcome is compared with what the topology says (babel_settled.c).
 */
#include "babel_chaos.h"

#include <string.h>

static uint64_t draw(struct chaos *c, uint64_t bound)
{
	return world_draw(&c->w->random, bound);
}

static bool chance(struct chaos *c, unsigned int in_1000)
{
	return world_chance(c->w, in_1000);
}

/*
 * Topologies.
 */

static struct world_quality some_quality(struct chaos *c, bool bad)
{
	static const int64_t delays[] = { 100, 1000, 3000, 20000, 60000 };
	struct world_quality q = { .delay_us = delays[draw(c, c->rtt ? 5 : 3)] };

	if (!c->ordered && chance(c, 400))
		q.jitter_us = 1 + (int64_t)draw(c, 50000);
	if (!c->ordered && chance(c, 200))
		q.duplicate = 1 + (unsigned int)draw(c, 200);
	if (bad)
		q.loss = (unsigned int)draw(c, chance(c, 200) ? 900 : 300);
	return q;
}

static uint16_t some_cost(struct chaos *c)
{
	return (uint16_t)(chance(c, 20) ? 30000 + draw(c, 30000) : 16 + draw(c, chance(c, 300) ? 2000 : 200));
}

static void some_key(struct chaos *c, struct babel_iface_config *config)
{
	struct babel_key *k = &config->keys[0];

	config->key_count = 1;
	k->kind = chance(c, 500) ? BABEL_MAC_HMAC_SHA256 : BABEL_MAC_BLAKE2S_128;
	k->len = 32;
	for (size_t i = 0; i < k->len; i++)
		k->bytes[i] = (uint8_t)draw(c, 256);
	config->accept_unauthenticated = chance(c, 100);
}

static void some_config(struct chaos *c, struct babel_iface_config *config, enum babel_link_type type)
{
	memset(config, 0, sizeof(*config));
	babel_iface_defaults(config, type);
	config->hello_us = c->hello_us;
	config->update_us = BABEL_UPDATE_HELLOS * c->hello_us;
	config->mtu = chance(c, 200) ? 1280 : 1500;
	config->rtt = config->rtt && c->rtt;
	if (chance(c, 120))
		some_key(c, config);
}

static void attach(struct chaos *c, struct world_node *n, struct world_segment *s, const struct babel_iface_config *base, bool free)
{
	struct babel_iface_config config = *base;

	if (n->port_count == WORLD_PORTS_MAX || s->count == WORLD_SEGMENT_PORTS)
		return;
	if (chance(c, 300))
		config.rxcost = some_cost(c);
	if (chance(c, 100))
		config.hello_us /= 2;
	config.update_us = BABEL_UPDATE_HELLOS * config.hello_us;
	config.via6 = chance(c, 700);
	world_attach(c->w, n, s, &config, !free || chance(c, 700));
}

static void link_two(struct chaos *c, struct world_node *a, struct world_node *b)
{
	static const enum babel_link_type types[] = { BABEL_WIRED, BABEL_WIRED, BABEL_TUNNEL, BABEL_TUNNEL, BABEL_WIRELESS };
	struct babel_iface_config config;
	struct world_quality q = some_quality(c, chance(c, 300));
	struct world_segment *s;

	if (a == b || a->port_count == WORLD_PORTS_MAX || b->port_count == WORLD_PORTS_MAX)
		return;
	some_config(c, &config, types[draw(c, sizeof(types) / sizeof(*types))]);
	if (chance(c, 200))
		config.split_horizon = !config.split_horizon;
	s = world_add_segment(c->w, &q);
	attach(c, a, s, &config, true);
	attach(c, b, s, &config, true);
}

/* Nodes first .. first + count - 1 on one segment. On the radio some do not hear each other. */
static void lan(struct chaos *c, size_t first, size_t count)
{
	bool radio = chance(c, 400);
	struct babel_iface_config config;
	struct world_quality q = some_quality(c, radio);
	struct world_segment *s = world_add_segment(c->w, &q);

	some_config(c, &config, radio ? BABEL_WIRELESS : BABEL_WIRED);
	for (size_t i = first; i < first + count && i < c->w->node_count; i++)
		attach(c, c->w->nodes[i], s, &config, false);
	for (size_t i = 0; radio && i < s->count; i++)
		for (size_t k = i + 2; k < s->count; k++)
			if (chance(c, 400)) {
				s->deaf[i] |= (uint8_t)(1u << k);
				s->deaf[k] |= (uint8_t)(1u << i);
			}
}

static void skeleton(struct chaos *c, size_t n)
{
	struct world_node **nodes = c->w->nodes;
	uint64_t kind = draw(c, 6);
	size_t width = 2 + draw(c, 2);

	if (kind == 5) {
		for (size_t i = 0; i + 1 < n; i += width)
			lan(c, i, width + 1);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		size_t to = kind <= 1 ? i - 1 : kind == 2 ? i % 3 : kind == 3 ? draw(c, i) : i - (i % width ? 1 : width);

		link_two(c, nodes[i], nodes[to < i ? to : i - 1]);
		if (kind == 4 && i % width && i >= width)
			link_two(c, nodes[i], nodes[i - width]);
	}
	if (kind == 1)
		link_two(c, nodes[n - 1], nodes[0]);
}

static void prefixes(struct chaos *c)
{
	static const char *const pairs[][2] = {
		{ "::/0", NULL }, { "0.0.0.0/0", NULL }, { "fd00::/16", NULL }, { "fd00:1::/32", NULL }, { "fd00:1:2::/48", NULL },
		{ "10.0.0.0/8", NULL }, { "10.1.0.0/16", NULL }, { "::/0", "fd00:5::/48" }, { "10.1.0.0/16", "10.2.0.0/16" },
		{ "fd00:7::1/128", NULL }, { "fd00:8::/64", NULL }, { "192.0.2.1/32", NULL },
	};
	size_t count = 5 + draw(c, sizeof(pairs) / sizeof(*pairs) - 4), skip = sizeof(pairs) / sizeof(*pairs) - count;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		size_t k;

		if (skip && chance(c, 400)) {
			skip--;
			continue;
		}
		k = world_pair(c->w, pairs[i][0], pairs[i][1]);
		for (uint64_t of = chance(c, 600) ? 1 : 1 + draw(c, 3); of; of--)
			world_originate(c->w, c->w->nodes[draw(c, c->w->node_count)], k, (uint16_t)(chance(c, 700) ? 0 : draw(c, 300)));
	}
}

void chaos_begin(struct chaos *c, uint64_t seed)
{
	static const int64_t hellos[] = { 500 * US_PER_MS, US_PER_S, US_PER_S, BABEL_HELLO_US };
	size_t count;

	c->w = world_new(seed, US_PER_S);
	c->hello_us = hellos[draw(c, sizeof(hellos) / sizeof(*hellos))];
	c->ordered = chance(c, 500);
	c->rtt = c->hello_us < BABEL_HELLO_US && chance(c, 300);
	c->w->reorders = !c->ordered;
	count = 3 + draw(c, chance(c, 250) ? 14 : 6);
	for (size_t i = 0; i < count; i++)
		world_add_node(c->w, (uint16_t)(chance(c, 300) ? 65530 + draw(c, 6) : draw(c, 65536)))->skew_us =
			(int64_t)draw(c, UINT64_C(1) << 33);
	skeleton(c, count);
	for (uint64_t across = draw(c, count); across; across--)
		link_two(c, c->w->nodes[draw(c, count)], c->w->nodes[draw(c, count)]);
	if (chance(c, 300))
		lan(c, draw(c, count - 1), 2 + draw(c, 4));
	prefixes(c);
	world_boot_all(c->w);
}

void chaos_end(struct chaos *c)
{
	world_free(c->w);
}

/*
 * Trouble.
 */

static struct world_segment *some_segment(struct chaos *c)
{
	return c->w->segments[draw(c, c->w->segment_count)];
}

static struct world_port *some_port(struct chaos *c)
{
	struct world_segment *s = some_segment(c);

	return s->ports[draw(c, s->count)];
}

static void trouble_node(struct chaos *c)
{
	static const enum world_end ends[] = { WORLD_CLEAN, WORLD_KILLED, WORLD_KILLED, WORLD_LOST, WORLD_PLANNED };
	enum world_end how = ends[draw(c, sizeof(ends) / sizeof(*ends))];
	int64_t away = 200 * US_PER_MS + (int64_t)draw(c, (uint64_t)(chance(c, 500) ? c->hello_us : 20 * c->hello_us));

	world_end(c->w, c->w->nodes[draw(c, c->w->node_count)], how, away);
}

/* What is broken is found and repaired more often than what is whole breaks. */
static struct world_segment *worst_segment(struct chaos *c)
{
	struct world_segment *s = some_segment(c);

	for (int i = 0; i < 3; i++) {
		struct world_segment *other = some_segment(c);

		if (other->cut || !other->ports[0]->up || !other->ports[other->count - 1]->up || other->ports[0]->removed)
			s = other;
	}
	return s;
}

static void trouble_link(struct chaos *c)
{
	struct world_segment *s = worst_segment(c);
	struct world_port *p = s->ports[draw(c, s->count)];

	for (size_t i = 0; i < s->count; i++)
		if (!s->ports[i]->up)
			p = s->ports[i];
	if (s->cut || chance(c, 300))
		world_cut(s, !s->cut);
	else if (!p->up || chance(c, 400))
		world_port_up(c->w, p, !p->up);
	else if (chance(c, 200))
		world_carrier(c->w, s, false);
	else
		s->quality = some_quality(c, chance(c, 300));
	if (s->count == 2 && (s->deaf[0] || s->deaf[1] || chance(c, 50)))
		s->deaf[p->place] ^= (uint8_t)(1u << !p->place);
}

static void trouble_cost(struct chaos *c)
{
	struct world_port *p = some_port(c);
	struct babel_iface_config config = p->config;
	struct babel_link_cost cost = p->measured;	/* who measures has one neighbour there */

	if (p->segment->count > 2 || chance(c, 500)) {
		config.rxcost = some_cost(c);
		world_port_config(c->w, p, &config);
		return;
	}
	cost.nominal = chance(c, 300) ? 0 : some_cost(c);
	cost.down = !cost.down && chance(c, 200);
	world_port_cost(c->w, p, &cost);
}

static void trouble_iface(struct chaos *c)
{
	struct world_segment *s = worst_segment(c);
	struct world_port *p = s->ports[0]->removed ? s->ports[0] : s->ports[draw(c, s->count)];
	struct babel_iface_config config = p->config;

	if (p->removed) {
		world_port_restore(c->w, p);
	} else if (chance(c, 500)) {
		world_port_remove(c->w, p);
	} else {
		config.hello_us = chance(c, 500) ? c->hello_us : c->hello_us / 2;
		if (!c->ordered)	/* a shorter one makes us hold for less than neighbours were told before */
			config.update_us = BABEL_UPDATE_HELLOS * config.hello_us;
		world_port_config(c->w, p, &config);
	}
}

static void trouble_prefix(struct chaos *c)
{
	struct world_node *n = c->w->nodes[draw(c, c->w->node_count)];
	size_t k = draw(c, c->w->pair_count), owners = 0;

	for (size_t i = 0; i < c->w->node_count; i++) {
		owners += c->w->nodes[i]->own[k];
		if (c->w->nodes[i]->own[k] && chance(c, 500))
			n = c->w->nodes[i];
	}
	if (n->own[k] && chance(c, 600))
		world_withdraw(c->w, n, k);
	else if (n->own[k] || owners < 3)
		world_originate(c->w, n, k, (uint16_t)draw(c, 600));
}

static void trouble(struct chaos *c)
{
	uint64_t what = draw(c, 100);

	if (what < 14)
		trouble_node(c);
	else if (what < 44)
		trouble_link(c);
	else if (what < 70)
		trouble_cost(c);
	else if (what < 76)
		trouble_iface(c);
	else
		trouble_prefix(c);
}

bool chaos_rage(struct chaos *c, uint64_t events)
{
	uint64_t until = c->w->counts.events + events;

	while (!c->w->failed && c->w->counts.events < until) {
		trouble(c);
		world_run(c->w, 1 + (int64_t)draw(c, (uint64_t)(chance(c, 100) ? 8 * c->hello_us : c->hello_us)));
	}
	return !c->w->failed;
}

/*
 * Calm.
 */

static void heal_segment(struct chaos *c, struct world_segment *s)
{
	s->quality.loss = s->quality.duplicate = 0;
	s->quality.jitter_us = 0;
	s->cut = s->cut && chance(c, 300);
	if (s->count == 2 && chance(c, 700))
		s->deaf[0] = s->deaf[1] = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct world_port *p = s->ports[i];
		struct babel_link_cost cost = p->measured;

		if (p->removed && chance(c, 700))
			world_port_restore(c->w, p);
		if (!p->up && chance(c, 700))
			world_port_up(c->w, p, true);
		if (cost.down && chance(c, 700)) {
			cost.down = false;
			world_port_cost(c->w, p, &cost);
		}
	}
}

bool chaos_calm(struct chaos *c)
{
	for (size_t i = 0; i < c->w->segment_count; i++)
		heal_segment(c, c->w->segments[i]);
	world_run(c->w, 21 * c->hello_us);	/* all are back */
	for (size_t i = 0; i < c->w->node_count; i++)
		if (chance(c, 100))
			world_end(c->w, c->w->nodes[i], WORLD_KILLED, -1);
	world_run(c->w, (c->rtt ? 240 : 120) * c->hello_us + 30 * US_PER_S);
	if (!c->w->failed)
		watch_settled(c->w);
	world_boot_all(c->w);
	return !c->w->failed;
}
