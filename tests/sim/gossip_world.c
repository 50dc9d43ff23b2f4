/* SPDX-License-Identifier: MIT */
/* Stores that gossip, in virtual time: see the header. */
#include "gossip_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { DELAY_MIN_US = 5000, DELAY_SPREAD_US = 75000, TURNS_MAX = 20000000, SIGNATURES = 1 << 14 };

struct world_event {
	int64_t at_us;
	uint64_t order;
	size_t to, from;
	uint8_t *msg;			/* NULL: the node wakes */
	size_t len;
};

/*
 * Signatures: every node verifies every item, here all in one process. So what was found right once is known by all that is in it.
 */
uint64_t world_checks, world_real_checks;

bool __real_sign_check(const uint8_t signature[SIGNATURE_LEN], const uint8_t key[SIGN_KEY_LEN], const void *msg, size_t len);
bool __wrap_sign_check(const uint8_t signature[SIGNATURE_LEN], const uint8_t key[SIGN_KEY_LEN], const void *msg, size_t len);

bool __wrap_sign_check(const uint8_t signature[SIGNATURE_LEN], const uint8_t key[SIGN_KEY_LEN], const void *msg, size_t len)
{
	static struct {
		uint8_t signature[SIGNATURE_LEN], key[SIGN_KEY_LEN], msg[2048];
		size_t len;
	} known[SIGNATURES];
	size_t place = get_le32(signature) % SIGNATURES;
	bool good;

	world_checks++;
	if (len == known[place].len && !memcmp(signature, known[place].signature, SIGNATURE_LEN) && !memcmp(key, known[place].key, SIGN_KEY_LEN) &&
	    !memcmp(msg, known[place].msg, len))
		return true;
	world_real_checks++;
	good = __real_sign_check(signature, key, msg, len);
	if (good && len <= sizeof(known[place].msg)) {
		memcpy(known[place].signature, signature, SIGNATURE_LEN);
		memcpy(known[place].key, key, SIGN_KEY_LEN);
		memcpy(known[place].msg, msg, len);
		known[place].len = len;
	}
	return good;
}

uint32_t world_random(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) % below);
}

static void fill_random(void *ctx, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)world_random(ctx, 256);
}

struct instant world_clock(const struct world_node *n)
{
	int64_t now_us = n->world->now_us;

	return (struct instant){ .mono_us = now_us, .wall_ns = (WORLD_START_S * US_PER_S + now_us + n->clock_us) * 1000 };
}

static int64_t wall_s(const struct world_node *n)
{
	return world_clock(n).wall_ns / NS_PER_S;
}

/*
 * Events.
 */

static bool before(const struct world_event *a, const struct world_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void put_event(struct world *w, struct world_event e)
{
	size_t i = w->event_count++;

	if (i == w->event_size) {
		w->event_size = i ? 2 * i : 1024;
		w->events = realloc(w->events, w->event_size * sizeof(e));
		assert(w->events);
	}
	e.order = w->order++;
	for (; i && before(&e, &w->events[(i - 1) / 2]); i = (i - 1) / 2)
		w->events[i] = w->events[(i - 1) / 2];
	w->events[i] = e;
}

static struct world_event take_event(struct world *w)
{
	struct world_event first = w->events[0], last = w->events[--w->event_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->event_count) {
		if (child + 1 < w->event_count && before(&w->events[child + 1], &w->events[child]))
			child++;
		if (!before(&w->events[child], &last))
			break;
		w->events[i] = w->events[child];
		i = child;
	}
	if (w->event_count)
		w->events[i] = last;
	return first;
}

/*
 * Nodes.
 */

static struct world_link *link_to(struct world_node *n, size_t to)
{
	for (size_t i = 0; i < n->degree; i++)
		if (n->links[i].to == to)
			return &n->links[i];
	return NULL;
}

static struct world_node *by_key(struct world_node *n, const uint8_t key[KEY_LEN])
{
	for (size_t i = 0; i < n->degree; i++)
		if (!memcmp(n->world->nodes[n->links[i].to].public_key, key, KEY_LEN))
			return &n->world->nodes[n->links[i].to];
	return NULL;
}

static void account(struct world_node *n, size_t len)
{
	int64_t second = n->world->now_us / US_PER_S;

	if (second != n->second)
		n->second_bytes = 0;
	n->second = second;
	n->bytes += len + WORLD_OVERHEAD;
	n->second_bytes += len + WORLD_OVERHEAD;
	n->messages++;
	if (n->second_bytes > n->peak_bytes)
		n->peak_bytes = n->second_bytes;
}

static void transmit(struct world_node *n, const uint8_t to[KEY_LEN], const uint8_t *msg, size_t len)
{
	struct world *w = n->world;
	struct world_node *other = by_key(n, to);
	struct world_event e = { .from = n->number, .len = len };
	struct message m;
	uint8_t keep[MESSAGE_MAX];

	assert(other && message_read(&m, msg, len, keep));
	w->sent[m.kind]++;
	account(n, len);
	if (world_random(w, 10000) < w->loss)
		return;
	e.to = other->number;
	e.at_us = w->now_us + DELAY_MIN_US + world_random(w, DELAY_SPREAD_US);
	e.msg = malloc(len);
	assert(e.msg);
	memcpy(e.msg, msg, len);
	put_event(w, e);
}

/* After anything: what it sends now, and when it is to wake. */
static void turn(struct world_node *n)
{
	struct instant now = world_clock(n);
	uint8_t to[KEY_LEN], msg[MESSAGE_MAX];
	int64_t at_us;
	size_t len;

	gossip_turn(n->gossip, now);
	while (gossip_next(n->gossip, to, msg, &len, now))
		transmit(n, to, msg, len);
	at_us = gossip_deadline(n->gossip);
	if (at_us <= now.mono_us)
		at_us = now.mono_us + 1;
	/* One that spins would never get there. */
	assert(++n->world->turns < TURNS_MAX);
	if (at_us != NEVER_US && (n->wake_us <= now.mono_us || at_us < n->wake_us)) {
		n->wake_us = at_us;
		put_event(n->world, (struct world_event){ .at_us = at_us, .to = n->number });
	}
}

static void happen(struct world *w, const struct world_event *e)
{
	struct world_node *n = &w->nodes[e->to];
	uint8_t keep[MESSAGE_MAX];
	struct message m;

	if (!n->gossip)
		return;
	if (!e->msg) {
		if (e->at_us == n->wake_us)
			turn(n);
		return;
	}
	if (!link_to(n, e->from)->up)
		return;
	assert(message_read(&m, e->msg, e->len, keep));
	gossip_receive(n->gossip, w->nodes[e->from].public_key, &m, world_clock(n));
	turn(n);
}

void world_run(struct world *w, int64_t until_us)
{
	while (w->event_count && w->events[0].at_us <= until_us) {
		struct world_event e = take_event(w);

		w->now_us = e.at_us;
		happen(w, &e);
		free(e.msg);
	}
	w->now_us = until_us;
}

/*
 * Links.
 */

static void set_link(struct world *w, size_t a, size_t b, bool up)
{
	struct world_node *x = &w->nodes[a], *y = &w->nodes[b];
	struct world_link *l = link_to(x, b);

	if (l->up == up)
		return;
	l->up = link_to(y, a)->up = up;
	if (x->gossip)
		gossip_neighbour(x->gossip, y->public_key, up, world_clock(x));
	if (y->gossip)
		gossip_neighbour(y->gossip, x->public_key, up, world_clock(y));
	if (x->gossip)
		turn(x);
	if (y->gossip)
		turn(y);
}

void world_on(struct world *w, size_t number)
{
	struct world_node *n = &w->nodes[number];
	struct rng rng = { .fill = fill_random, .ctx = w };
	struct log log = { 0 };

	n->gossip = gossip_new(n->store, &rng, &log);
	assert(n->gossip);
	n->wake_us = 0;
	for (size_t i = 0; i < n->degree; i++)
		if (w->nodes[n->links[i].to].gossip)
			set_link(w, number, n->links[i].to, true);
}

void world_off(struct world *w, size_t number)
{
	struct world_node *n = &w->nodes[number];

	for (size_t i = 0; i < n->degree; i++)
		set_link(w, number, n->links[i].to, false);
	gossip_free(n->gossip);
	n->gossip = NULL;
}

void world_cut(struct world *w, size_t border, bool cut)
{
	for (size_t a = 0; a < border; a++)
		for (size_t i = 0; i < w->nodes[a].degree; i++) {
			size_t b = w->nodes[a].links[i].to;

			if (b >= border && w->nodes[a].gossip && w->nodes[b].gossip)
				set_link(w, a, b, !cut);
		}
}

static void connect_nodes(struct world *w, size_t a, size_t b)
{
	struct world_node *x = &w->nodes[a], *y = &w->nodes[b];

	if (a == b || x->degree == WORLD_DEGREE_MAX || y->degree == WORLD_DEGREE_MAX || link_to(x, b))
		return;
	x->links[x->degree++].to = b;
	y->links[y->degree++].to = a;
}

struct world *world_new(size_t count, uint64_t seed, unsigned int loss, int64_t clock_s)
{
	struct world *w = calloc(1, sizeof(*w));

	assert(w && count <= WORLD_NODES_MAX);
	w->count = count;
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	w->loss = loss;
	w->selves = 1;
	w->now_us = US_PER_S;
	fill_random(w, w->mesh_seed, sizeof(w->mesh_seed));
	sign_public(w->mesh, w->mesh_seed);
	for (size_t i = 0; i < count; i++) {
		struct world_node *n = &w->nodes[i];

		n->world = w;
		n->number = i;
		fill_random(w, n->public_key, KEY_LEN);
		fill_random(w, n->seed, sizeof(n->seed));
		sign_public(n->sign_key, n->seed);
		if (clock_s && i)
			n->clock_us = ((int64_t)world_random(w, (uint32_t)(2 * clock_s)) - clock_s) * US_PER_S;
		while (i && n->degree == 0)
			connect_nodes(w, i, world_random(w, (uint32_t)i));
	}
	for (size_t i = 0; count > WORLD_DEGREE_MAX && i < count; i++)
		for (int tries = 0; w->nodes[i].degree < 3 && tries < 100; tries++)
			connect_nodes(w, i, world_random(w, (uint32_t)count));
	for (size_t i = 0; i < count / 2; i++)
		connect_nodes(w, world_random(w, (uint32_t)count), world_random(w, (uint32_t)count));
	return w;
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < w->count; i++) {
		gossip_free(w->nodes[i].gossip);
		store_free(w->nodes[i].store);
	}
	for (size_t i = 0; i < w->event_count; i++)
		free(w->events[i].msg);
	free(w->events);
	free(w);
}

/*
 * Records.
 */

static void must(bool done, const char *why)
{
	if (!done)
		fprintf(stderr, "world: %s\n", why ? why : "not done");
	assert(done);
}

static void mint(struct world *w, size_t number, size_t at, const uint8_t seed[SIGN_SEED_LEN])
{
	struct world_node *n = &w->nodes[number];
	struct mint_node m = { .roles = ROLE_TRANSIT };
	const char *why = NULL;

	snprintf(m.name, sizeof(m.name), "node-%zu", number);
	must(mint_record(w->nodes[at].store, seed, &m, n->public_key, n->sign_key, NULL, NULL, wall_s(&w->nodes[0]), &why), why);
}

void world_self(struct world *w, size_t number)
{
	struct world_node *n = &w->nodes[number];
	struct self_record self = { .sequence = ++n->sequence, .endpoint_count = 3, .version = "1.0" };
	const char *why = NULL;

	memcpy(self.public_key, n->public_key, KEY_LEN);
	for (size_t i = 0; i < self.endpoint_count; i++) {
		struct ip_addr *a = &self.endpoints[i].endpoint.addr;

		a->family = IP_V6;
		fill_random(w, a->bytes, sizeof(a->bytes));
		a->bytes[0] = 0x20;
		self.endpoints[i].endpoint.port = 51820;
	}
	must(mint_self(n->store, n->seed, &self, wall_s(n), &why), why);
	if (!n->gossip)
		return;
	gossip_added(n->gossip, world_clock(n));
	turn(n);
}

void world_found(struct world *w)
{
	struct world_node *n = &w->nodes[0];
	struct store_node found;
	const char *why = NULL;

	n->store = store_new(w->mesh);
	assert(n->store);
	mint(w, 0, 0, w->mesh_seed);
	assert(store_find(n->store, n->public_key, wall_s(n), &found));
	must(mint_delegation(n->store, w->mesh_seed, found.record, MINT_DELEGATION_S, wall_s(n), &why), why);
	world_on(w, 0);
	world_self(w, 0);
}

static void copy_item(struct store *to, const struct item *i, int64_t now_s)
{
	const char *why = NULL;
	struct item *copy = item_read(store_mesh(to), i->bytes, i->len, &why);

	assert(copy);
	must(store_add(to, copy, now_s, &why) == STORE_ADDED, why);
}

void world_join(struct world *w, size_t number, size_t at)
{
	struct world_node *n = &w->nodes[number], *by = &w->nodes[at];
	const struct item *const *v;
	struct store_node found;

	mint(w, number, at, w->nodes[0].seed);
	gossip_added(by->gossip, world_clock(by));
	turn(by);
	n->store = store_new(w->mesh);
	assert(n->store && store_find(by->store, n->public_key, wall_s(by), &found));
	for (size_t i = 0, count = store_items(by->store, &v); i < count; i++)
		if (v[i]->kind == ITEM_DELEGATION)
			copy_item(n->store, v[i], wall_s(n));
	copy_item(n->store, found.item, wall_s(n));
	world_on(w, number);
	if (number % w->selves == 0)
		world_self(w, number);
}

void world_revoke(struct world *w, size_t number)
{
	struct world_node *by = &w->nodes[0];
	const char *why = NULL;

	must(mint_revocation(by->store, by->seed, w->nodes[number].public_key, "lost", wall_s(by), &why), why);
	gossip_added(by->gossip, world_clock(by));
	turn(by);
}

/*
 * What came of it.
 */

void world_count(struct world *w)
{
	for (size_t i = 0; i < w->count; i++)
		w->nodes[i].bytes = w->nodes[i].messages = w->nodes[i].peak_bytes = 0;
	memset(w->sent, 0, sizeof(w->sent));
}

/* Every node's newest in 's'. */
static bool has_all(const struct world *w, const struct store *s, const uint8_t *revoked)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct world_node *n = &w->nodes[i];
		struct store_node found;

		if (!n->store)
			continue;
		if (!store_find(s, n->public_key, WORLD_START_S, &found) || !found.record)
			return false;
		if (revoked && revoked[i]) {
			if (found.standing != NODE_REVOKED)
				return false;
			continue;
		}
		if (n->sequence && (!found.self || found.self->sequence != n->sequence))
			return false;
	}
	return true;
}

bool world_is_complete(const struct world *w, const uint8_t *revoked)
{
	const struct world_node *first = NULL;
	const struct item *const *a, *const *b;

	for (size_t i = 0; i < w->count; i++) {
		const struct world_node *n = &w->nodes[i];
		size_t count;

		if (!n->gossip)
			continue;
		if (!first)
			first = n;
		count = store_items(first->store, &a);
		if (store_items(n->store, &b) != count)
			return false;
		for (size_t k = 0; k < count; k++)
			if (memcmp(a[k]->id, b[k]->id, ITEM_ID_LEN))
				return false;
	}
	return has_all(w, first->store, revoked);
}

int64_t world_settle(struct world *w, int64_t step_us, int64_t most_us, const uint8_t *revoked)
{
	int64_t began_us = w->now_us;

	while (!world_is_complete(w, revoked)) {
		if (w->now_us - began_us >= most_us)
			return -1;
		world_run(w, w->now_us + step_us);
	}
	return w->now_us - began_us;
}
