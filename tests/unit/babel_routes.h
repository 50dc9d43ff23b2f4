/* SPDX-License-Identifier: MIT */
/*
 * The routes half of the Babel speaker alone: neighbours are made by hand, time is a number, and what would be sent is written down. It stands
 * in for the links half, so nothing of that half is linked into a test that includes this.
 */
#ifndef TESTS_BABEL_ROUTES_H
#define TESTS_BABEL_ROUTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "babel/table.h"
#include "base/container.h"

enum sent_kind { SENT_UPDATE, SENT_ALL, SENT_ROUTE_REQUEST, SENT_SEQNO_REQUEST };

struct sent {
	enum sent_kind kind;
	struct babel_iface *iface;
	struct babel_neighbour *neighbour;
	struct prefix_pair prefix;
	enum send_urgency urgency;
	bool forced;
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	uint16_t seqno;
	uint8_t hop_count;
};

enum { SENT_MAX = 4096, STAGE_LINKS = 8 };

/* A node with links to neighbours a, b, c, ...: each on an interface of its own, cost 100, unless a test changes that. */
struct stage {
	struct babel b;
	struct babel_iface iface[STAGE_LINKS];
	struct babel_neighbour n[STAGE_LINKS];
	struct sent sent[SENT_MAX];
	size_t sent_count;		/* also those behind SENT_MAX */
	unsigned int warnings;
	uint64_t random;
};

static struct stage *stage;

static const uint8_t our_id[BABEL_ROUTER_ID_LEN] = { 1 }, rid_s[BABEL_ROUTER_ID_LEN] = { 0x51 }, rid_t[BABEL_ROUTER_ID_LEN] = { 0x52 };

static struct sent *note(enum sent_kind kind, struct babel_iface *i, struct babel_neighbour *n)
{
	static struct sent rest;
	struct sent *s = stage->sent_count < SENT_MAX ? &stage->sent[stage->sent_count] : &rest;

	stage->sent_count++;
	*s = (struct sent){ .kind = kind, .iface = i, .neighbour = n };
	return s;
}

void send_update(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, struct babel_prefix *p, enum send_urgency urgency,
		 bool forced)
{
	struct sent *s = note(SENT_UPDATE, i, n);

	(void)b;
	s->prefix = *prefix_pair_of(p);
	s->urgency = urgency;
	s->forced = forced;
}

void send_all(struct babel *b, struct babel_iface *i, struct babel_neighbour *n)
{
	(void)b;
	note(SENT_ALL, i, n);
}

void send_route_request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct prefix_pair *prefix)
{
	(void)b;
	note(SENT_ROUTE_REQUEST, i, n)->prefix = *prefix;
}

void send_seqno_request(struct babel *b, struct babel_iface *i, struct babel_neighbour *n, const struct prefix_pair *prefix,
			const uint8_t router_id[BABEL_ROUTER_ID_LEN], uint16_t seqno, uint8_t hop_count)
{
	struct sent *s = note(SENT_SEQNO_REQUEST, i, n);

	(void)b;
	s->prefix = *prefix;
	memcpy(s->router_id, router_id, sizeof(s->router_id));
	s->seqno = seqno;
	s->hop_count = hop_count;
}

bool babel_timers_want(struct babel *b, int count)
{
	b->timer_count += (size_t)count;
	return b->timer_count <= b->timers.size || timers_reserve(&b->timers, 2 * b->timer_count);
}

void babel_timer_set(struct babel *b, struct babel_timer *t, int64_t due_us)
{
	timers_set(&b->timers, &t->timer, due_us);
}

void babel_timer_unset(struct babel *b, struct babel_timer *t)
{
	timers_unset(&b->timers, &t->timer);
}

static inline uint32_t draw(uint32_t bound)
{
	stage->random = stage->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((stage->random >> 33) % bound);
}

static void fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)draw(256);
}

static void emit(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)line;
	stage->warnings += level == LOG_LEVEL_WARNING;
}

static inline int stage_set(void **state)
{
	(void)state;
	stage = calloc(1, sizeof(*stage));
	stage->random = 1;
	stage->b.rng = (struct rng){ .fill = fill };
	stage->b.log = (struct log){ .emit = emit };
	memcpy(stage->b.router_id, our_id, sizeof(our_id));
	stage->b.seqno = 7;
	stage->b.now.mono_us = 1000 * US_PER_S;
	routes_init(&stage->b);
	for (unsigned int k = 0; k < STAGE_LINKS; k++) {
		struct babel_iface *i = &stage->iface[k];
		struct babel_neighbour *n = &stage->n[k];

		i->babel = &stage->b;
		i->up = true;
		i->config.update_us = 16 * US_PER_S;
		snprintf(i->config.name, sizeof(i->config.name), "if%u", k);
		i->next = k + 1 < STAGE_LINKS ? i + 1 : NULL;
		i->neighbours = n;
		i->neighbour_count = 1;
		n->iface = i;
		n->cost = 100;
		n->trusted = true;
		n->address = (struct ip_addr){ .family = IP_V6, .bytes = { 0xfe, 0x80, [15] = (uint8_t)(k + 1) } };
	}
	stage->b.ifaces = stage->iface;
	stage->b.iface_count = stage->b.neighbour_count = STAGE_LINKS;
	return 0;
}

/* Nothing may be left behind: no route, no room for a timer. */
static inline int stage_strike(void **state)
{
	(void)state;
	for (unsigned int k = 0; k < STAGE_LINKS; k++)
		routes_neighbour_gone(&stage->b, &stage->n[k]);
	assert_int_equal(stage->b.route_count, 0);
	routes_done(&stage->b);
	assert_int_equal(stage->b.prefix_count, 0);
	assert_int_equal(stage->b.source_count, 0);
	assert_int_equal(stage->b.request_count, 0);
	assert_int_equal(stage->b.reachable_count, 0);
	assert_int_equal(stage->b.timer_count, 0);
	timers_done(&stage->b.timers);
	free(stage);
	return 0;
}

/* The first 'count' neighbours are there, which is what acknowledgements are counted by. */
static inline void meet(unsigned int count)
{
	for (unsigned int k = 0; k < count; k++)
		routes_neighbour_changed(&stage->b, &stage->n[k]);
}

static inline void set_cost(unsigned int k, uint16_t cost)
{
	stage->n[k].cost = cost;
	routes_neighbour_changed(&stage->b, &stage->n[k]);
}

static inline void pass(int64_t us)
{
	int64_t end_us = stage->b.now.mono_us + us;

	for (int64_t due_us; (due_us = timers_next(&stage->b.timers)) <= end_us;) {
		struct timer *t = timers_pop(&stage->b.timers, due_us);

		if (due_us > stage->b.now.mono_us)
			stage->b.now.mono_us = due_us;
		routes_timer(&stage->b, container_of(t, struct babel_timer, timer));
	}
	stage->b.now.mono_us = end_us;
}

/* "D" or "D from S". */
static inline struct prefix_pair pair(const char *text)
{
	char dst[64];
	const char *from = strstr(text, " from ");
	struct ip_prefix p;
	struct prefix_pair pp;

	snprintf(dst, sizeof(dst), "%.*s", (int)(from ? from - text : (ptrdiff_t)strlen(text)), text);
	assert_true(ip_prefix_parse(dst, &p));
	pp = prefix_pair_any(&p);
	if (from)
		assert_true(ip_prefix_parse(from + strlen(" from "), &pp.src));
	return pp;
}

static inline struct babel_tlv update_tlv(unsigned int k, const char *prefix, const uint8_t *id, uint16_t seqno, uint16_t metric)
{
	struct babel_tlv u = {
		.type = BABEL_UPDATE, .interval_cs = 1600, .seqno = seqno, .metric = metric, .prefix = pair(prefix),
		.addr = stage->n[k].address,
	};

	memcpy(u.router_id, id, sizeof(u.router_id));
	return u;
}

static inline void hear(unsigned int k, const char *prefix, const uint8_t *id, uint16_t seqno, uint16_t metric)
{
	struct babel_tlv u = update_tlv(k, prefix, id, seqno, metric);

	routes_update(&stage->b, &stage->n[k], &u);
}

static inline void hear_retraction(unsigned int k, const char *prefix)
{
	struct babel_tlv u = { .type = BABEL_UPDATE, .interval_cs = 1600, .metric = BABEL_INFINITY, .prefix = pair(prefix) };

	routes_update(&stage->b, &stage->n[k], &u);
}

static inline void hear_seqno_request(unsigned int k, const char *prefix, const uint8_t *id, uint16_t seqno, uint8_t hop_count)
{
	struct babel_tlv r = { .type = BABEL_SEQNO_REQUEST, .seqno = seqno, .hop_count = hop_count, .prefix = pair(prefix) };

	memcpy(r.router_id, id, sizeof(r.router_id));
	routes_seqno_request(&stage->b, &stage->n[k], &r);
}

/* What is said of the prefix on link 'k', and with it recorded. */
static inline bool say(unsigned int k, const char *prefix, struct babel_update *u)
{
	struct prefix_pair pp = pair(prefix);
	struct babel_prefix *all[256];
	struct babel_update mine;
	size_t count = stage->b.prefix_count <= 256 ? announce_all(&stage->b, all) : 0;

	for (size_t i = 0; i < count; i++)
		if (prefix_pair_equal(prefix_pair_of(all[i]), &pp))
			return announce_update(&stage->b, all[i], &stage->iface[k], false, u ? u : &mine);
	return false;
}

/* The neighbour it is routed to; -1: none. */
static inline int via(const char *prefix)
{
	struct prefix_pair pp = pair(prefix);
	struct babel_route_info info;

	if (!babel_selected(&stage->b, &pp, &info))
		return -1;
	for (int k = 0; k < STAGE_LINKS; k++)
		if (ip_addr_equal(&info.neighbour, &stage->n[k].address))
			return k;
	return -2;
}

static inline size_t count_sent(enum sent_kind kind, int k)
{
	size_t count = 0;

	for (size_t i = 0; i < stage->sent_count && i < SENT_MAX; i++)
		count += stage->sent[i].kind == kind && (k < 0 || stage->sent[i].neighbour == &stage->n[k]);
	return count;
}

static inline struct sent *last_sent(enum sent_kind kind)
{
	for (size_t i = stage->sent_count < SENT_MAX ? stage->sent_count : SENT_MAX; i > 0; i--)
		if (stage->sent[i - 1].kind == kind)
			return &stage->sent[i - 1];
	return NULL;
}

static inline void forget_sent(void)
{
	stage->sent_count = 0;
}

/* What the forwarding tables have of it after all changes; kept is what they had. */
static inline enum babel_action action_after(const char *prefix, enum babel_action kept)
{
	struct prefix_pair pp = pair(prefix);
	struct babel_change c;

	while (babel_next_change(&stage->b, &c))
		if (prefix_pair_equal(&c.prefix, &pp))
			kept = c.action;
	return kept;
}

#define assert_distance(prefix, id, want_seqno, want_metric) do {					\
	struct prefix_pair pp_ = pair(prefix);								\
	uint16_t seqno_, metric_;									\
													\
	assert_true(babel_distance(&stage->b, &pp_, id, &seqno_, &metric_));				\
	assert_int_equal(seqno_, want_seqno);								\
	assert_int_equal(metric_, want_metric);								\
} while (0)

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_set, stage_strike)

#endif
