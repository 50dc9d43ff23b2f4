/* SPDX-License-Identifier: MIT */
/*
 * Whole nodes of a mesh, in virtual time: they know a few others by a bootstrap file, and come to know and to reach all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/mesh_inside.h"
#include "arrivals.h"

static const struct sim_link wan = { .delay_us = 10000 };

static struct world {
	struct sim s;
	struct store *all;		/* what the founder has signed */
	uint8_t mesh_seed[SIGN_SEED_LEN], mesh[SIGN_KEY_LEN];
} w;

static int64_t hello_us = SECONDS(1);

static struct instant now_of(size_t i)
{
	return (struct instant){ .mono_us = w.s.now_us, .wall_ns = w.s.wall_ns + w.s.nodes[i].wall_offset_ns };
}

static int64_t now_s(void)
{
	return w.s.wall_ns / NS_PER_S;
}

static void seed_of(size_t i, uint8_t seed[SIGN_SEED_LEN], uint8_t key[SIGN_KEY_LEN])
{
	sign_seed_of_node(seed, w.s.nodes[i].private_key);
	sign_public(key, seed);
}

/* The addresses the simulator sends from and to are in the record, beside the mesh's own. */
static void record(size_t i, unsigned int roles)
{
	struct mint_node m = { .roles = roles, .address_count = 2 };
	uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN];
	const char *why = "";

	seed_of(i, seed, key);
	snprintf(m.name, sizeof(m.name), "n%zu", i);
	m.addresses[0] = (struct ip_prefix){ .addr = { IP_V6, { 0xfd, [15] = (uint8_t)(i + 1) } }, .len = 128 };
	m.addresses[1] = (struct ip_prefix){ .addr = { IP_V4, { 10, 9, 0, (uint8_t)(i + 1) } }, .len = 32 };
	assert_true(mint_record(w.all, w.mesh_seed, &m, w.s.nodes[i].public_key, key, NULL, NULL, now_s(), &why));
}

/* Where a node is, as it says itself. */
static void self_record(size_t i)
{
	struct self_record self = { .sequence = 1, .endpoint_count = 1, .features = MESH_FEATURE_EXCHANGE };
	uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN];
	const char *why = "";

	seed_of(i, seed, key);
	memcpy(self.public_key, w.s.nodes[i].public_key, KEY_LEN);
	self.endpoints[0].endpoint = sim_outside(&w.s, i);
	assert_true(mint_self(w.all, seed, &self, now_s(), &why));
}

/* Of the nodes the first so many have records. */
static void founded_of(uint64_t seed, size_t nodes, size_t members)
{
	struct store_node sn;
	const char *why = "";

	sim_init(&w.s, seed);
	arrivals_watch(&w.s);
	memset(w.mesh_seed, (int)seed + 1, sizeof(w.mesh_seed));
	sign_public(w.mesh, w.mesh_seed);
	w.all = store_new(w.mesh);
	assert_non_null(w.all);
	for (size_t i = 0; i < nodes; i++) {
		sim_add_node(&w.s);
		for (size_t k = 0; k < i; k++)
			sim_set_link(&w.s, i, k, &wan);
	}
	for (size_t i = 0; i < members; i++)
		record(i, ROLE_TRANSIT);
	if (!members)
		return;
	assert_true(store_find(w.all, w.s.nodes[0].public_key, now_s(), &sn));
	assert_true(mint_delegation(w.all, w.mesh_seed, sn.record, 0, now_s(), &why) ||
		    mint_delegation(w.all, w.mesh_seed, sn.record, MINT_DELEGATION_S, now_s(), &why));
}

static void founded(uint64_t seed, size_t nodes)
{
	founded_of(seed, nodes, nodes);
}

static void done(void)
{
	sim_done(&w.s);
	store_free(w.all);
}

/* Whether a file for node i that has the nodes in 'known' has this item. */
static bool is_in(const struct item *item, size_t i, uint64_t known)
{
	const uint8_t *subject = item_subject(item);

	if (item->kind != ITEM_NODE && item->kind != ITEM_SELF)
		return true;
	for (size_t k = 0; k < w.s.node_count; k++)
		if (!memcmp(subject, w.s.nodes[k].public_key, KEY_LEN))
			return k == i || known >> k & 1;
	return false;
}

static void start_with(size_t i, const struct bootstrap *b)
{
	struct change c = { .bits = CHANGE_ROUTING, .transit = TRANSIT_LANE, .babel = { .section = true, .hello_us = hello_us } };
	struct ip_prefix own[3];
	struct text why = { .s = NULL };

	assert_true(node_mesh_begin(w.s.nodes[i].node, b, NULL, now_of(i), &why));
	node_routing_begin(w.s.nodes[i].node, NULL);
	assert_int_equal(node_apply(w.s.nodes[i].node, &c, now_of(i)), 0);
	mint_address(w.mesh, w.s.nodes[i].public_key, &own[0]);
	own[1] = (struct ip_prefix){ .addr = { IP_V6, { 0xfd, [15] = (uint8_t)(i + 1) } }, .len = 128 };
	own[2] = (struct ip_prefix){ .addr = { IP_V4, { 10, 9, 0, (uint8_t)(i + 1) } }, .len = 32 };
	assert_true(node_set_addresses(w.s.nodes[i].node, own, 3, now_of(i)));
	w.s.nodes[i].wake_us = w.s.now_us;
}

/* Start the mesh at node i with a file that has its own record and those of the nodes in 'known'. */
static void start(size_t i, uint64_t known)
{
	struct bootstrap b = { .name = "test" };
	const struct item *const *v;
	size_t count = store_sorted(w.all, &v);

	b.items = calloc(count, sizeof(*b.items));
	assert_non_null(b.items);
	memcpy(b.mesh, w.mesh, SIGN_KEY_LEN);
	for (size_t k = 0; k < count; k++)
		if (is_in(v[k], i, known))
			b.items[b.count++] = (struct item *)v[k];
	start_with(i, &b);
	free(b.items);
}

static struct peer *peer(size_t a, size_t b)
{
	return node_find(w.s.nodes[a].node, w.s.nodes[b].public_key);
}

static bool reaches(size_t a, size_t b)
{
	static uint64_t tag = 1000;

	sim_send(&w.s, a, b, ++tag, 100);
	sim_run(&w.s, MS(500));
	return got[b].tag == tag;
}

static size_t degree(size_t i)
{
	struct mesh_info info;

	node_mesh_info(w.s.nodes[i].node, &info);
	return info.backbone;
}

/* Packets from a to b so often, for so long; and how many did not come. */
static uint64_t stream(size_t a, size_t b, int64_t each_us, int64_t for_us)
{
	static uint64_t tag = UINT64_C(1) << 32;
	uint64_t before = got[b].count, sent = 0;

	for (int64_t at_us = 0; at_us < for_us; at_us += each_us) {
		sim_send(&w.s, a, b, ++tag, 100);
		sent++;
		sim_run(&w.s, each_us);
	}
	sim_run(&w.s, MS(500));
	return sent - (got[b].count - before);
}

/* How many pairs of the nodes from 'first' up to 'end' do not reach each other. */
static size_t unreached(size_t first, size_t end)
{
	size_t count = 0;

	for (size_t a = first; a < end; a++)
		for (size_t b = first; b < end; b++)
			count += a != b && !reaches(a, b);
	return count;
}

static size_t good_nodes(size_t i)
{
	struct mesh_info info;

	node_mesh_info(w.s.nodes[i].node, &info);
	return info.good;
}

/* A and C know only B, and come to know each other; C is reached. */
static void three_nodes(void **state)
{
	(void)state;
	founded(1, 3);
	self_record(1);
	start(0, 1 << 1);
	start(1, 7);
	start(2, 1 << 1);
	sim_run(&w.s, SECONDS(5));
	assert_int_equal(good_nodes(0), 3);
	assert_int_equal(good_nodes(2), 3);
	sim_run(&w.s, SECONDS(10));
	assert_int_equal(unreached(0, w.s.node_count), 0);
	done();
}

/* The same, but nothing goes between A and C directly: by Babel, through B. */
static void three_in_line(void **state)
{
	const struct sim_link cut = { .cut = true };

	(void)state;
	founded(2, 3);
	sim_set_link(&w.s, 0, 2, &cut);
	self_record(1);
	start(0, 1 << 1);
	start(1, 7);
	start(2, 1 << 1);
	sim_run(&w.s, SECONDS(15));
	assert_true(reaches(0, 2));
	assert_int_equal(got[2].hop_limit, 63);
	assert_true(reaches(2, 0));
	assert_false(peer(0, 2)->mesh.backbone);
	done();
}

static uint64_t exchanged(size_t i)
{
	struct mesh_info info;

	node_mesh_info(w.s.nodes[i].node, &info);
	return info.gossip.sent_bytes;
}

static uint64_t sent_bytes;

static void count_bytes(struct sim *s, size_t from, const struct sim_dgram *d)
{
	(void)s;
	(void)from;
	sent_bytes += d->len + 28;
}

/* Once it has found its shape a mesh at rest keeps it, and says little. */
static void at_rest(void **state)
{
	enum { NODES = 16, FOR_S = 300 };
	uint64_t before = 0, after = 0;
	size_t degrees[NODES];
	uint64_t exchange_before[NODES];

	(void)state;
	hello_us = SECONDS(4);
	founded(15, NODES);
	self_record(0);
	start(0, (1 << NODES) - 1);
	for (size_t i = 1; i < NODES; i++)
		start(i, 1);
	sim_run(&w.s, SECONDS(200));
	for (size_t i = 0; i < NODES; i++) {
		before += w.s.nodes[i].routes_changed;
		degrees[i] = degree(i);
		exchange_before[i] = exchanged(i);
	}
	sent_bytes = 0;
	w.s.on_dgram = count_bytes;
	sim_run(&w.s, SECONDS(FOR_S));
	for (size_t i = 0; i < NODES; i++) {
		after += w.s.nodes[i].routes_changed;
		assert_int_equal(degree(i), degrees[i]);
	}
	assert_int_equal(after, before);
	/* Most of it is Babel's. */
	assert_in_range(sent_bytes * 8 / NODES / FOR_S, 1, 10000);
	for (size_t i = 0; i < NODES; i++)
		assert_in_range((exchanged(i) - exchange_before[i]) * 8 / FOR_S, 1, 1000);
	w.s.on_dgram = NULL;
	hello_us = SECONDS(1);
	done();
}

/* Twenty nodes that knew the founder alone: when it goes all others still reach each other, with few links each. */
static void founder_goes(void **state)
{
	enum { NODES = 20 };
	const struct sim_link cut = { .cut = true };

	(void)state;
	founded(3, NODES);
	self_record(0);
	start(0, (1 << NODES) - 1);
	for (size_t i = 1; i < NODES; i++)
		start(i, 1);
	sim_run(&w.s, SECONDS(90));
	for (size_t i = 0; i < NODES; i++)
		assert_in_range(degree(i), 1, MESH_BACKBONE_MAX);
	for (size_t i = 1; i < NODES; i++)
		sim_set_link(&w.s, 0, i, &cut);
	sim_run(&w.s, SECONDS(45));
	for (size_t i = 1; i < NODES; i++)
		assert_in_range(degree(i), 1, MESH_BACKBONE_MAX);
	assert_int_equal(unreached(1, w.s.node_count), 0);
	done();
}

/* Who is revoked is out everywhere, at once; and a node that was away meanwhile hears of it when it is back. */
static void revoked(void **state)
{
	enum { NODES = 8, OUT = 5, AWAY = 3 };
	const struct sim_link cut = { .cut = true };
	struct text why = { .s = NULL };
	struct store_node sn;

	(void)state;
	founded(4, NODES);
	self_record(0);
	start(0, (1 << NODES) - 1);
	for (size_t i = 1; i < NODES; i++)
		start(i, 1);
	sim_run(&w.s, SECONDS(40));
	assert_int_equal(unreached(0, w.s.node_count), 0);
	for (size_t i = 0; i < NODES; i++)
		if (i != AWAY)
			sim_set_link(&w.s, AWAY, i, &cut);
	assert_true(node_mesh_revoke(w.s.nodes[0].node, "n5", "lost", now_of(0), &why));
	w.s.nodes[0].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(3));
	for (size_t i = 0; i < NODES; i++) {
		if (i == OUT || i == AWAY)
			continue;
		assert_null(peer(i, OUT));
		assert_false(reaches(i, OUT));
		assert_false(reaches(OUT, i));
	}
	assert_non_null(peer(AWAY, OUT));
	/* It was told, so that it does not take itself for the last one. */
	assert_true(store_find(node_mesh_store(w.s.nodes[OUT].node), w.s.nodes[OUT].public_key, now_s(), &sn));
	assert_int_equal(sn.standing, NODE_REVOKED);
	for (size_t i = 0; i < NODES; i++)
		if (i != AWAY)
			sim_set_link(&w.s, AWAY, i, &wan);
	sim_run(&w.s, SECONDS(20));
	assert_null(peer(AWAY, OUT));
	done();
}

/* Its record has been over for more than it is kept: there is nothing to say of itself any more, and nobody to say it to. */
static void long_asleep(void **state)
{
	struct store_node sn;

	(void)state;
	founded(8, 2);
	self_record(0);
	start(0, 3);
	start(1, 3);
	sim_run(&w.s, SECONDS(10));
	assert_non_null(peer(1, 0));
	w.s.wall_ns += INT64_C(500) * 86400 * NS_PER_S;
	sim_run(&w.s, SECONDS(60));
	assert_false(store_find(node_mesh_store(w.s.nodes[1].node), w.s.nodes[1].public_key, now_s(), &sn));
	assert_null(peer(1, 0));
	done();
}

/* A config may name the node as often as it likes. */
static void revoked_and_configured(void **state)
{
	struct text why = { .s = NULL };

	(void)state;
	founded(5, 3);
	self_record(0);
	start(0, 7);
	start(1, 7);
	start(2, 7);
	sim_link_babel(&w.s, 1, 2);
	sim_run(&w.s, SECONDS(10));
	assert_non_null(peer(1, 2));
	assert_false(peer(1, 2)->mesh.recorded);
	assert_true(node_mesh_revoke(w.s.nodes[0].node, "n2", NULL, now_of(0), &why));
	w.s.nodes[0].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(2));
	assert_null(peer(1, 2));
	sim_link_babel(&w.s, 1, 2);
	assert_null(peer(1, 2));
	done();
}

/* Recorded peers outlast a config that names none; one that it names is its own, and comes back when it does no more. */
static void configs_come_and_go(void **state)
{
	struct change none = { .bits = CHANGE_REPLACE_PEERS };

	(void)state;
	founded(6, 3);
	self_record(0);
	for (size_t i = 0; i < 3; i++)
		start(i, 7);
	sim_run(&w.s, SECONDS(5));
	assert_true(peer(1, 0)->mesh.recorded && peer(1, 2)->mesh.recorded);
	sim_link_babel(&w.s, 1, 2);
	assert_false(peer(1, 2)->mesh.recorded);
	assert_int_equal(node_apply(w.s.nodes[1].node, &none, now_of(1)), 0);
	assert_true(peer(1, 0)->mesh.recorded);
	w.s.nodes[1].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(1));
	assert_non_null(peer(1, 2));
	assert_true(peer(1, 2)->mesh.recorded);
	sim_run(&w.s, SECONDS(20));
	assert_int_equal(unreached(0, w.s.node_count), 0);
	done();
}

/* Two halves, of which one node knows one of the other's: they become one. */
static void halves_join(void **state)
{
	enum { NODES = 10 };
	const uint64_t left = 0x1f, right = 0x3e0;

	(void)state;
	founded(7, NODES);
	self_record(0);
	self_record(5);
	for (size_t i = 0; i < 5; i++)
		start(i, i ? left : left | 1 << 5);
	for (size_t i = 5; i < NODES; i++)
		start(i, right | (i == 5));
	sim_run(&w.s, SECONDS(60));
	assert_int_equal(good_nodes(1), NODES);
	assert_int_equal(good_nodes(9), NODES);
	assert_int_equal(unreached(0, w.s.node_count), 0);
	done();
}

/* Half of the nodes have other addresses all at once. */
static void addresses_change(void **state)
{
	enum { NODES = 10 };

	(void)state;
	founded(8, NODES);
	for (size_t i = 0; i < NODES; i += 2) {
		sim_add_address(&w.s, i);
		sim_set_address(&w.s, i, 1, false);
	}
	self_record(0);
	start(0, (1 << NODES) - 1);
	for (size_t i = 1; i < NODES; i++)
		start(i, 1);
	sim_run(&w.s, SECONDS(60));
	assert_int_equal(unreached(0, w.s.node_count), 0);
	for (size_t i = 0; i < NODES; i += 2) {
		sim_set_address(&w.s, i, 0, false);
		sim_set_address(&w.s, i, 1, true);
	}
	sim_run(&w.s, SECONDS(10));
	assert_int_equal(unreached(0, w.s.node_count), 0);
	done();
}

/* Two nodes that are no neighbours, and whose packets go through others. */
static bool find_strangers(size_t *a, size_t *b)
{
	for (*a = 0; *a < w.s.node_count; ++*a)
		for (*b = 0; *b < w.s.node_count; ++*b)
			if (*a != *b && !peer(*a, *b)->mesh.backbone && !peer(*b, *a)->mesh.backbone && !peer(*a, *b)->data.session.current)
				return true;
	return false;
}

/*
 * Traffic goes through others, until there is a shortcut; that closes when there is no more; when it dies traffic goes through others again.
 */
static void shortcut(void **state)
{
	enum { NODES = 14 };
	const struct sim_link cut = { .cut = true };
	size_t a = 0, b = 0;

	(void)state;
	founded(9, NODES);
	self_record(0);
	start(0, (1 << NODES) - 1);
	for (size_t i = 1; i < NODES; i++)
		start(i, 1);
	sim_run(&w.s, SECONDS(60));
	assert_true(find_strangers(&a, &b));
	assert_true(reaches(a, b));
	assert_true(got[b].hop_limit < 64);
	assert_int_equal(stream(a, b, MS(20), SECONDS(6)), 0);
	assert_int_equal(got[b].hop_limit, 64);
	assert_true(peer(a, b)->mesh.shortcut);
	assert_false(peer(a, b)->mesh.backbone);
	assert_string_equal(node_mesh_use(w.s.nodes[a].node, peer(a, b)), "shortcut");
	/* Nobody sees it go but by what does not come back. */
	sim_set_link(&w.s, a, b, &cut);
	assert_in_range(stream(a, b, MS(20), SECONDS(3)), 0, 50);
	assert_false(peer(a, b)->mesh.shortcut);
	assert_int_equal(stream(a, b, MS(20), SECONDS(10)), 0);
	assert_true(got[b].hop_limit < 64);
	sim_set_link(&w.s, a, b, &wan);
	assert_int_equal(stream(a, b, MS(20), SECONDS(80)), 0);
	assert_true(peer(a, b)->mesh.shortcut);
	sim_run(&w.s, SECONDS(MESH_SHORTCUT_IDLE_S + 5));
	assert_false(peer(a, b)->mesh.shortcut);
	assert_true(reaches(a, b));
	done();
}

/*
 * Joining.
 */

static struct joiner {
	struct token token;
	struct join_keys keys;
	uint8_t token_key[KEY_LEN];
	struct text request, answer;
	uint32_t total;
	unsigned int strange;		/* messages that are no answers */
} joiner;

static void fill_random(void *ctx, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)sim_random(ctx, 256);
}

static void take_answer(void *ctx, const uint8_t from[KEY_LEN], const struct message *m)
{
	struct joiner *j = ctx;

	(void)from;
	if (m->kind != MESSAGE_JOIN || !m->join.answer || m->join.offset != j->answer.len) {
		j->strange++;
		return;
	}
	text_add_bytes(&j->answer, m->join.data, m->join.len);
	j->total = m->join.total;
}

/* Node i holds the token, and has the contacts as peers. */
static void hold(size_t i, const char *text, size_t len)
{
	struct change c = { .bits = CHANGE_PRIVATE_KEY | CHANGE_REPLACE_PEERS };
	const struct node_exchange exchange = { .take = take_answer, .ctx = &joiner };
	struct text why = { .s = NULL };

	memset(&joiner, 0, sizeof(joiner));
	assert_true(token_read(&joiner.token, text, len, &why));
	memcpy(c.private_key, joiner.token.one_time_key, KEY_LEN);
	key_public(joiner.token_key, joiner.token.one_time_key);
	for (size_t k = 0; k < joiner.token.contact_count; k++) {
		struct change_peer *p = change_add_peer(&c);

		assert_non_null(p);
		memcpy(p->public_key, joiner.token.contacts[k].public_key, KEY_LEN);
		p->bits = CHANGE_PEER_KEEPALIVE;
		p->keepalive_s = 5;
		for (size_t e = 0; e < joiner.token.contacts[k].endpoint_count; e++)
			assert_true(change_add_address(p, &joiner.token.contacts[k].endpoints[e].endpoint));
	}
	node_set_exchange(w.s.nodes[i].node, &exchange);
	assert_int_equal(node_apply(w.s.nodes[i].node, &c, now_of(i)), 0);
	w.s.nodes[i].wake_us = w.s.now_us;
	change_done(&c);
}

/* The request of a key, sealed. */
static void request(const uint8_t private_key[KEY_LEN])
{
	struct item content = { .kind = ITEM_JOIN_REQUEST }, *item;
	const struct rng rng = { .fill = fill_random, .ctx = &w.s.random };
	uint8_t seed[SIGN_SEED_LEN];
	const char *why = "";

	key_public(content.join_request.public_key, private_key);
	sign_seed_of_node(seed, private_key);
	sign_public(content.join_request.sign_key, seed);
	content.join_request.has_token = true;
	memcpy(content.join_request.token, joiner.token_key, KEY_LEN);
	item = item_sign(w.mesh, &content, seed, &why);
	assert_non_null(item);
	assert_true(join_keys_make(&joiner.keys, joiner.token.psk, joiner.token.one_time_key, joiner.token.issuer, joiner.token_key));
	text_done(&joiner.request);
	text_done(&joiner.answer);
	joiner.total = 0;
	assert_true(join_seal(joiner.keys.request, joiner.token_key, &rng, item->bytes, item->len, &joiner.request));
	item_free(item);
}

/* Ask node 'contact' until the answer is whole. False: it does not become so. */
static bool pull(size_t i, size_t contact)
{
	struct message m = { .kind = MESSAGE_JOIN };

	memcpy(m.join.token, joiner.token_key, KEY_LEN);
	m.join.data = (const uint8_t *)joiner.request.s;
	m.join.len = joiner.request.len;
	m.join.total = (uint32_t)joiner.request.len;
	for (int k = 0; k < 40 && (!joiner.total || joiner.answer.len < joiner.total); k++) {
		m.join.want = (uint32_t)joiner.answer.len;
		node_exchange_send(w.s.nodes[i].node, w.s.nodes[contact].public_key, &m);
		w.s.nodes[i].wake_us = w.s.now_us;
		sim_run(&w.s, MS(300));
	}
	return joiner.total && joiner.answer.len == joiner.total;
}

static void open_answer(struct text *refused, struct text *file)
{
	struct text plain = { .s = NULL };

	assert_true(join_open(joiner.keys.answer, joiner.token_key, joiner.answer.s, joiner.answer.len, &plain));
	assert_true(join_answer_decode(plain.s, plain.len, refused, file));
	text_done(&plain);
}

/*
 * The holder of a token reaches one that is not its issuer, gets its record through it, and is a node. Nothing else is to be had with the token, and nobody else
 * gets anything for it.
 */
static void join_by_relay(void **state)
{
	enum { NODES = 4, NEW = 3, RELAY = 1 };
	const struct sim_link cut = { .cut = true };
	struct mesh_invite v = { .node = { .name = "new", .roles = ROLE_TRANSIT, .address_count = 2 } };
	struct text out = { .s = NULL }, why = { .s = NULL }, refused = { .s = NULL }, file = { .s = NULL };
	struct change c = { .bits = CHANGE_PRIVATE_KEY | CHANGE_REPLACE_PEERS };
	uint8_t other[KEY_LEN] = { 7, [31] = 64 };
	struct bootstrap b;

	(void)state;
	founded_of(10, NODES, NEW);
	self_record(0);
	for (size_t i = 0; i < NEW; i++)
		start(i, 7);
	sim_set_link(&w.s, 0, NEW, &cut);
	sim_run(&w.s, SECONDS(20));
	v.node.addresses[0] = (struct ip_prefix){ .addr = { IP_V6, { 0xfd, [15] = NEW + 1 } }, .len = 128 };
	v.node.addresses[1] = (struct ip_prefix){ .addr = { IP_V4, { 10, 9, 0, NEW + 1 } }, .len = 32 };
	assert_false(node_mesh_invite(w.s.nodes[RELAY].node, &v, now_of(RELAY), &out, &why));
	text_reset(&why);
	assert_true(node_mesh_invite(w.s.nodes[0].node, &v, now_of(0), &out, &why));
	w.s.nodes[0].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(3));

	hold(NEW, out.s, out.len);
	sim_run(&w.s, SECONDS(2));
	assert_false(reaches(NEW, RELAY));
	request(w.s.nodes[NEW].private_key);
	assert_true(pull(NEW, RELAY));
	assert_int_equal(joiner.strange, 0);
	open_answer(&refused, &file);
	assert_int_equal(refused.len, 0);
	assert_true(bootstrap_read(&b, file.s, file.len, &why));

	/* Another key for the same token. */
	request(other);
	assert_true(pull(NEW, RELAY));
	text_reset(&refused);
	open_answer(&refused, &file);
	assert_true(refused.len > 0);

	memcpy(c.private_key, w.s.nodes[NEW].private_key, KEY_LEN);
	assert_int_equal(node_apply(w.s.nodes[NEW].node, &c, now_of(NEW)), 0);
	start_with(NEW, &b);
	bootstrap_done(&b);
	sim_run(&w.s, SECONDS(15));
	assert_true(reaches(NEW, 0));
	assert_true(reaches(2, NEW));
	/* Until it expires: perhaps the answer got lost, and is asked for again. */
	for (size_t i = 0; i < NEW; i++)
		assert_non_null(node_find(w.s.nodes[i].node, joiner.token_key));
	text_done(&out);
	text_done(&why);
	text_done(&refused);
	text_done(&file);
	text_done(&joiner.request);
	text_done(&joiner.answer);
	done();
}

/* Two nodes behind NATs, and one that is not: where it can be they reach each other directly, else through the third; no packet is lost meanwhile. */
static void behind_nats(void **state)
{
	static const enum sim_nat_kind kinds[] = { SIM_NAT_NONE, SIM_NAT_FORWARD, SIM_NAT_MASQUERADE, SIM_NAT_RANDOM };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t m = k; m < sizeof(kinds) / sizeof(kinds[0]); m++) {
			founded_of(20 + k * 4 + m, 3, 0);
			if (kinds[k] != SIM_NAT_NONE)
				sim_add_nat(&w.s, 1, kinds[k]);
			if (kinds[m] != SIM_NAT_NONE)
				sim_add_nat(&w.s, 2, kinds[m]);
			for (size_t i = 0; i < 3; i++)
				record(i, ROLE_TRANSIT);
			self_record(0);
			start(0, 7);
			start(1, 1);
			start(2, 1);
			for (int i = 0; i < 100 && !reaches(1, 2); i++)
				;
			assert_int_equal(stream(1, 2, MS(50), SECONDS(12)), 0);
			/* Where each side waits for packets from a port that the other's NAT has not chosen yet there is no way. */
			assert_int_equal(got[2].hop_limit, kinds[m] == SIM_NAT_RANDOM && k >= 2 ? 63 : 64);
			done();
		}
}

/* A plain WireGuard device behind one node is reached by all, and reaches all; revoked it is gone. */
static void plain_device(void **state)
{
	enum { NODES = 4, GATEWAY = 0, DEVICE = 3 };
	struct mesh_invite v = { .plain = true, .node = { .name = "phone", .address_count = 2 } };
	struct text out = { .s = NULL }, why = { .s = NULL };
	const struct sim_link cut = { .cut = true };
	struct change all = { 0 };
	struct change_peer *p;

	(void)state;
	founded_of(12, NODES, DEVICE);
	self_record(GATEWAY);
	for (size_t i = 0; i < DEVICE; i++)
		start(i, 7);
	sim_set_link(&w.s, DEVICE, 1, &cut);
	sim_set_link(&w.s, DEVICE, 2, &cut);
	sim_run(&w.s, SECONDS(15));
	memcpy(v.public_key, w.s.nodes[DEVICE].public_key, KEY_LEN);
	v.node.addresses[0] = (struct ip_prefix){ .addr = { IP_V6, { 0xfd, [15] = DEVICE + 1 } }, .len = 128 };
	v.node.addresses[1] = (struct ip_prefix){ .addr = { IP_V4, { 10, 9, 0, DEVICE + 1 } }, .len = 32 };
	assert_true(node_mesh_invite(w.s.nodes[GATEWAY].node, &v, now_of(GATEWAY), &out, &why));
	w.s.nodes[GATEWAY].wake_us = w.s.now_us;
	sim_set_flow_sessions(&w.s, DEVICE, 0);
	p = change_add_peer(&all);
	assert_non_null(p);
	memcpy(p->public_key, w.s.nodes[GATEWAY].public_key, KEY_LEN);
	assert_true(change_add_allowed(p, &(struct ip_prefix){ .addr.family = IP_V6 }, false));
	assert_true(change_add_address(p, &(struct endpoint){ .addr = w.s.nodes[GATEWAY].endpoint.addr, .port = SIM_PORT }));
	assert_int_equal(node_apply(w.s.nodes[DEVICE].node, &all, now_of(DEVICE)), 0);
	change_done(&all);
	sim_run(&w.s, SECONDS(5));
	assert_true(reaches(DEVICE, GATEWAY));
	assert_true(reaches(DEVICE, 2));
	assert_true(reaches(1, DEVICE));
	assert_null(peer(1, DEVICE));
	assert_true(node_mesh_revoke(w.s.nodes[GATEWAY].node, "phone", NULL, now_of(GATEWAY), &why));
	w.s.nodes[GATEWAY].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(2));
	assert_null(peer(GATEWAY, DEVICE));
	assert_false(reaches(DEVICE, GATEWAY));
	assert_false(reaches(1, DEVICE));
	text_done(&out);
	text_done(&why);
	done();
}

/* Nothing is known of where anybody is, but one hears the other on its link. */
static void found_on_the_link(void **state)
{
	const struct endpoint there = { .addr = { IP_V4, { 192, 0, 2, 2 } }, .port = 1234 };
	uint8_t msg[MESH_LAN_LEN], wrong[MESH_LAN_LEN];

	(void)state;
	founded(13, 2);
	start(0, 3);
	start(1, 3);
	sim_run(&w.s, SECONDS(10));
	assert_false(reaches(0, 1));
	assert_true(node_mesh_lan_write(w.s.nodes[1].node, msg));
	memcpy(wrong, msg, sizeof(wrong));
	wrong[57] ^= 1;
	node_mesh_lan_seen(w.s.nodes[0].node, &there, wrong, sizeof(wrong), now_of(0));
	w.s.nodes[0].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(5));
	assert_int_equal(w.s.nodes[0].seen.initiations, 0);
	node_mesh_lan_seen(w.s.nodes[0].node, &there, msg, sizeof(msg), now_of(0));
	w.s.nodes[0].wake_us = w.s.now_us;
	sim_run(&w.s, SECONDS(5));
	assert_true(reaches(0, 1));
	assert_true(reaches(1, 0));
	done();
}

static const struct ip_addr victim = { IP_V4, { 198, 18, 9, 9 } };
static unsigned int victims_dgrams;

static void watch_victim(struct sim *s, size_t from, const struct sim_dgram *d)
{
	(void)s;
	(void)from;
	victims_dgrams += ip_addr_equal(&d->to.addr, &victim);
}

/* A node that says what others never said has little sent to whom it names, and what goes round goes round no longer than its hops. */
static void lying_node(void **state)
{
	enum { NODES = 6, LIAR = 4, AWAY = 5, TRIES = 300 };
	const struct sim_link cut = { .cut = true };

	(void)state;
	founded(14, NODES);
	self_record(0);
	start(0, (1 << NODES) - 1);
	for (size_t i = 1; i < NODES; i++)
		start(i, 1);
	sim_run(&w.s, SECONDS(40));
	for (size_t i = 0; i < NODES; i++)
		if (i != AWAY)
			sim_set_link(&w.s, AWAY, i, &cut);
	sim_run(&w.s, SECONDS(30));
	victims_dgrams = 0;
	w.s.on_dgram = watch_victim;
	for (int k = 0; k < TRIES; k++) {
		struct message m = { .kind = MESSAGE_ROUTED_PUNCH, .hops = MESSAGE_HOPS_MAX };
		size_t to = (size_t)k % LIAR, from = k % 2 ? AWAY : (to + 1) % LIAR;

		memcpy(m.to, w.s.nodes[to].public_key, KEY_LEN);
		memcpy(m.from, w.s.nodes[from].public_key, KEY_LEN);
		for (; m.punch.count < MESSAGE_PUNCH_MAX; m.punch.count++)
			m.punch.endpoints[m.punch.count].endpoint =
				(struct endpoint){ .addr = victim, .port = (uint16_t)(1 + k * MESSAGE_PUNCH_MAX + (int)m.punch.count) };
		for (size_t via = 0; via < LIAR; via++)
			if (peer(LIAR, via))
				node_exchange_send(w.s.nodes[LIAR].node, w.s.nodes[via].public_key, &m);
		w.s.nodes[LIAR].wake_us = w.s.now_us;
		sim_run(&w.s, MS(100));
	}
	w.s.on_dgram = NULL;
	/* 30 s, four nodes that are told of eight addresses each time, and try them twice a second. */
	assert_in_range(victims_dgrams, 0, 4 * 8 * 2 * 30);
	assert_int_equal(unreached(0, AWAY), 0);
	done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_nodes), cmocka_unit_test(three_in_line),
		cmocka_unit_test(founder_goes), cmocka_unit_test(at_rest),
		cmocka_unit_test(lying_node), cmocka_unit_test(found_on_the_link),
		cmocka_unit_test(plain_device), cmocka_unit_test(behind_nats),
		cmocka_unit_test(join_by_relay), cmocka_unit_test(shortcut),
		cmocka_unit_test(revoked), cmocka_unit_test(long_asleep),
		cmocka_unit_test(revoked_and_configured), cmocka_unit_test(configs_come_and_go),
		cmocka_unit_test(halves_join), cmocka_unit_test(addresses_change),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
