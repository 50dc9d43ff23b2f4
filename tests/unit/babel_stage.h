/* SPDX-License-Identifier: MIT */
/*
 * A LAN of Babel speakers without their routes half, in virtual time: what it would be told is counted, and what it would have to say is a list of
 * prefixes that the test sets. Packets are real bytes, delayed, and lost as the test decides.
 */
#ifndef TESTS_BABEL_STAGE_H
#define TESTS_BABEL_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "babel/links.h"
#include "base/bytes.h"

enum { STAGE_NODES = 8, STAGE_PREFIXES = 2048, STAGE_PACKET = 2048, STAGE_FLIGHTS = 4096 };

/* --- a routes half of no substance --- */

struct babel_prefix {
	struct prefix_pair pair;
	unsigned int refs;
	uint16_t metric;
	bool hidden;		/* announce_update() says nothing */
};

struct heard {
	const struct babel *b;
	unsigned int updates, retractions, wildcards, requests, seqno_requests, changed, gone, acked;
	struct babel_prefix *acked_prefix;
	uint16_t metric;	/* of the last update */
};

static struct babel_prefix stage_prefixes[STAGE_PREFIXES];
static size_t stage_prefix_count;
static unsigned int stage_lists;	/* how often announce_all() was asked */
static bool stage_echo;			/* what is announced is over the very interface */
static struct heard stage_heard[STAGE_NODES];

static struct heard *heard_by(const struct babel *b)
{
	size_t k = 0;

	while (stage_heard[k].b != b)
		k++;
	return &stage_heard[k];
}

void routes_update(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *u)
{
	struct heard *h = heard_by(b);

	(void)n;
	h->metric = u->metric;
	if (u->wildcard)
		h->wildcards++;
	else if (u->metric == BABEL_INFINITY)
		h->retractions++;
	else
		h->updates++;
}

void routes_route_request(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *r)
{
	(void)n;
	(void)r;
	heard_by(b)->requests++;
}

void routes_seqno_request(struct babel *b, struct babel_neighbour *n, const struct babel_tlv *r)
{
	(void)n;
	(void)r;
	heard_by(b)->seqno_requests++;
}

void routes_neighbour_changed(struct babel *b, struct babel_neighbour *n)
{
	(void)n;
	heard_by(b)->changed++;
}

void routes_neighbour_gone(struct babel *b, struct babel_neighbour *n)
{
	(void)n;
	heard_by(b)->gone++;
}

void routes_acked(struct babel *b, struct babel_neighbour *n, struct babel_prefix *p)
{
	(void)n;
	heard_by(b)->acked++;
	heard_by(b)->acked_prefix = p;
}

void routes_timer(struct babel *b, struct babel_timer *t)
{
	(void)b;
	(void)t;
	abort();
}

void routes_init(struct babel *b)
{
	b->prefix_count = stage_prefix_count;
}

void routes_done(struct babel *b)
{
	(void)b;
}

bool announce_update(struct babel *b, struct babel_prefix *p, const struct babel_iface *i, bool forced, struct babel_update *u)
{
	(void)i;
	if (p->hidden && !forced)
		return false;
	*u = (struct babel_update){ .prefix = p->pair, .seqno = b->seqno, .metric = b->stopped ? BABEL_INFINITY : p->metric };
	memcpy(u->router_id, b->router_id, sizeof(u->router_id));
	return true;
}

bool announce_is_echo(const struct babel_prefix *p, const struct babel_iface *i)
{
	(void)p;
	(void)i;
	return stage_echo;
}

size_t announce_all(struct babel *b, struct babel_prefix **out)
{
	(void)b;
	stage_lists++;
	for (size_t k = 0; k < stage_prefix_count; k++)
		out[k] = &stage_prefixes[k];
	return stage_prefix_count;
}

int announce_order(const void *a, const void *b)
{
	struct babel_prefix *const *p = a, *const *q = b;

	return (*p > *q) - (*p < *q);
}

void prefix_hold(struct babel_prefix *p)
{
	p->refs++;
}

void prefix_release(struct babel *b, struct babel_prefix *p)
{
	(void)b;
	assert_true(p->refs > 0);
	p->refs--;
}

uint16_t prefix_losses(const struct babel_prefix *p)
{
	(void)p;
	return 0;
}

/* --- the LAN --- */

struct node {
	struct babel *b;
	struct babel_iface *i;
	struct ip_addr address;
	uint64_t rng;
};

struct flight {
	int64_t at_us;
	size_t to;
	struct babel_datagram d;
	uint8_t data[STAGE_PACKET];
};

struct stage {
	struct instant now;
	size_t count;
	struct node node[STAGE_NODES];
	int64_t delay_us;
	bool (*lost)(struct stage *s, size_t from, size_t to, const struct babel_datagram *d);	/* NULL: none */
	void (*sent)(struct stage *s, size_t from, const struct babel_datagram *d);		/* sees all that is sent */
	struct flight *flights;
	size_t flight_count;
	bool cut;			/* all is lost */
	uint64_t a, c;			/* the test's */
	int64_t t;
};

static void stage_random(void *ctx, void *out, size_t len)
{
	uint64_t *x = ctx;
	uint8_t *v = out;

	while (len--) {
		*x = *x * 6364136223846793005U + 1442695040888963407U;
		*v++ = (uint8_t)(*x >> 56);
	}
}

static inline struct ip_addr stage_address(unsigned int n)
{
	struct ip_addr a = { .family = IP_V6, .bytes = { 0xfe, 0x80 } };

	put_be32(a.bytes + 12, n);
	return a;
}

static inline void stage_set_prefixes(size_t count)
{
	stage_prefix_count = count;
	for (size_t k = 0; k < count; k++) {
		struct ip_prefix p = { .addr = { .family = IP_V6, .bytes = { 0xfd } }, .len = 64 };

		put_be32(p.addr.bytes + 4, (uint32_t)k);
		stage_prefixes[k] = (struct babel_prefix){ .pair = prefix_pair_any(&p), .metric = 10 };
	}
}

static inline void stage_begin(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	memset(stage_heard, 0, sizeof(stage_heard));
	s->now.mono_us = 1000 * US_PER_S;
	s->delay_us = 1000;
	s->flights = calloc(STAGE_FLIGHTS, sizeof(*s->flights));
	assert_non_null(s->flights);
}

static inline void stage_make(struct stage *s, size_t k, bool clean)
{
	struct node *n = &s->node[k];
	struct babel_config c = { .router_id = { 2, 0, 0, 0, 0, 0, 0, (uint8_t)(k + 1) }, .seqno = 7, .clean = clean };
	struct rng rng = { stage_random, &n->rng };
	struct log log = { NULL, NULL };

	n->rng += 77 + k;
	n->b = babel_new(&c, &rng, &log);
	assert_non_null(n->b);
	stage_heard[k].b = n->b;
}

static inline void stage_attach(struct stage *s, size_t k, struct babel_iface_config *c)
{
	struct node *n = &s->node[k];

	n->address = c->address = stage_address((unsigned int)k + 1);
	n->i = babel_iface_add(n->b, c, n, s->now);
	assert_non_null(n->i);
}

/* One more node on the LAN. */
static inline void stage_add(struct stage *s, const struct babel_iface_config *c)
{
	struct babel_iface_config config = *c;

	stage_make(s, s->count, true);
	stage_attach(s, s->count, &config);
	s->count++;
}

static inline void stage_fly(struct stage *s, size_t from, const struct babel_datagram *d)
{
	if (s->sent)
		s->sent(s, from, d);
	for (size_t to = 0; to < s->count; to++) {
		struct flight *f = &s->flights[s->flight_count];

		if (to == from || (d->dst.bytes[0] != 0xff && !ip_addr_equal(&d->dst, &s->node[to].address)))
			continue;
		if (s->cut || (s->lost && s->lost(s, from, to, d)))
			continue;
		assert_true(s->flight_count < STAGE_FLIGHTS && d->len <= STAGE_PACKET);
		s->flight_count++;
		*f = (struct flight){ .at_us = s->now.mono_us + s->delay_us, .to = to, .d = *d };
		memcpy(f->data, d->data, d->len);
	}
}

static inline void stage_drain(struct stage *s, size_t k)
{
	struct babel_datagram d;

	for (int i = 0; i < 10000; i++) {
		if (!babel_next_packet(s->node[k].b, &d, s->now))
			return;
		stage_fly(s, k, &d);
	}
	fail_msg("packets without end");
}

static inline void stage_deliver(struct stage *s, size_t at)
{
	struct flight f = s->flights[at];

	memmove(&s->flights[at], &s->flights[at + 1], (--s->flight_count - at) * sizeof(f));
	f.d.iface = s->node[f.to].i;
	f.d.data = f.data;
	f.d.stamp_us = s->now.mono_us;
	babel_receive(s->node[f.to].b, &f.d, s->now);
	babel_turn(s->node[f.to].b, s->now);
	stage_drain(s, f.to);
}

/* Let time pass, with all that happens in it, in order. */
static inline void stage_run(struct stage *s, int64_t us)
{
	int64_t end_us = s->now.mono_us + us;

	for (;;) {
		int64_t next_us = end_us;
		size_t who = SIZE_MAX, flight = SIZE_MAX;

		for (size_t k = 0; k < s->count; k++) {
			int64_t due_us = s->node[k].b ? babel_deadline(s->node[k].b) : NEVER_US;

			if (due_us <= next_us) {
				next_us = due_us;
				who = k;
			}
		}
		for (size_t k = 0; k < s->flight_count; k++) {
			if (s->flights[k].at_us <= next_us && (flight == SIZE_MAX || s->flights[k].at_us < next_us)) {
				next_us = s->flights[k].at_us;
				flight = k;
			}
		}
		if (next_us > s->now.mono_us)
			s->now.mono_us = next_us;
		if (flight != SIZE_MAX) {
			stage_deliver(s, flight);
		} else if (who != SIZE_MAX) {
			babel_turn(s->node[who].b, s->now);
			stage_drain(s, who);
		} else {
			return;
		}
	}
}

static inline void stage_end(struct stage *s)
{
	for (size_t k = 0; k < s->count; k++)
		babel_free(s->node[k].b);
	free(s->flights);
	for (size_t k = 0; k < stage_prefix_count; k++)
		assert_int_equal(stage_prefixes[k].refs, 0);	/* nothing holds what it does not need */
	stage_prefix_count = 0;
}

/* 'k' as 'at' has it: NULL, it has not. */
static inline struct babel_neighbour *stage_neighbour(struct stage *s, size_t at, size_t k)
{
	return neighbour_find(s->node[at].i, &s->node[k].address);
}

/* A packet written by the test, from 'from' to the group. */
static inline void stage_inject(struct stage *s, size_t to, const struct ip_addr *src, struct babel_writer *w)
{
	struct babel_datagram d = { .iface = s->node[to].i, .src = *src, .dst = babel_group, .src_port = BABEL_PORT, .data = w->packet,
				    .stamp_us = s->now.mono_us };

	d.len = babel_write_end(w);
	babel_receive(s->node[to].b, &d, s->now);
}

/* --- what tests begin with, and look for --- */

static inline struct babel_iface_config config_of(enum babel_link_type type)
{
	struct babel_iface_config c;

	babel_iface_defaults(&c, type);
	strcpy(c.name, "eth0");
	return c;
}

static inline void set_key(struct babel_iface_config *c, unsigned int at, enum babel_mac_kind kind, uint8_t first)
{
	c->keys[at] = (struct babel_key){ .kind = kind, .len = 32, .bytes = { first } };
	if (c->key_count <= at)
		c->key_count = at + 1;
}

static inline void pair_of(struct stage *s, const struct babel_iface_config *a, const struct babel_iface_config *b)
{
	stage_begin(s);
	stage_add(s, a);
	stage_add(s, b);
}

/* The next TLV of a type in a packet. */
static inline bool next_of(struct babel_parser *p, enum babel_tlv_type type, struct babel_tlv *t)
{
	while (babel_parse_next(p, t))
		if (t->type == type)
			return true;
	return false;
}

static inline unsigned int count_of(const struct babel_datagram *d, enum babel_tlv_type type)
{
	struct babel_parser p;
	struct babel_tlv t;
	unsigned int n = 0;

	assert_true(babel_parse_begin(&p, d->data, d->len, &d->src));
	while (next_of(&p, type, &t))
		n++;
	assert_false(p.broken);
	return n;
}

static inline bool find_tlv(const struct babel_datagram *d, enum babel_tlv_type type, struct babel_tlv *t)
{
	struct babel_parser p;

	return babel_parse_begin(&p, d->data, d->len, &d->src) && next_of(&p, type, t);
}

#endif
