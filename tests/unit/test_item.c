/* SPDX-License-Identifier: MIT */
/*
 * Items: what is signed is what is read, byte for byte; and whatever means nothing - too many, too long, a key of 31 bytes, a prefix of 129 bits - is refused with a reason, be it
 * properly signed or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "exchange/item.h"
#include "proto/exchange.pb-c.h"

#include "exchange_mesh.h"

static uint8_t seed[SIGN_SEED_LEN] = { 1 }, mesh[SIGN_KEY_LEN];

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(text, &p));
	return p;
}

static struct item node(void)
{
	struct item i = {
		.kind = ITEM_NODE,
		.node = {
			.name = "alpha", .roles = ROLE_TRANSIT | ROLE_EXIT, .not_before_s = 5, .not_after_s = 10, .serial = UINT64_C(1) << 62,
			.addresses = { prefix("10.1.2.3/32"), prefix("fd00::1/128") }, .address_count = 2,
			.prefixes = { prefix("192.168.0.0/16") }, .prefix_count = 1, .external = { prefix("::/0") }, .external_count = 1,
			.has_token = true, .token = { 9 },
		},
	};

	memset(i.node.public_key, 3, KEY_LEN);
	memset(i.node.sign_key, 4, SIGN_KEY_LEN);
	return i;
}

static struct item *sign(const struct item *content)
{
	const char *why = "";
	struct item *i = item_sign(mesh, content, seed, &why);

	if (!i)
		fail_msg("%s", why);
	return i;
}

static void refused(const struct item *content, const char *reason)
{
	const char *why = NULL;

	assert_null(item_sign(mesh, content, seed, &why));
	assert_string_equal(why, reason);
}

static void nodes(void **state)
{
	struct item content = node(), *i = sign(&content);
	uint8_t signer[SIGN_KEY_LEN];

	(void)state;
	sign_public(signer, seed);
	assert_int_equal(i->kind, ITEM_NODE);
	assert_memory_equal(i->signer, signer, SIGN_KEY_LEN);
	assert_string_equal(i->node.name, "alpha");
	assert_int_equal(i->node.roles, ROLE_TRANSIT | ROLE_EXIT);
	assert_true(i->node.serial == UINT64_C(1) << 62);
	assert_int_equal(i->node.not_before_s, 5);
	assert_int_equal(i->node.address_count, 2);
	assert_true(ip_prefix_equal(&i->node.addresses[1], &content.node.addresses[1]));
	assert_true(ip_prefix_equal(&i->node.prefixes[0], &content.node.prefixes[0]));
	assert_true(ip_prefix_equal(&i->node.external[0], &content.node.external[0]));
	assert_true(i->node.has_token && !i->node.has_gateway);
	assert_memory_equal(i->node.token, content.node.token, KEY_LEN);
	assert_true(item_is_signed(i, mesh));
	item_free(i);
}

static void nodes_that_cannot_be(void **state)
{
	static const char *const names[] = { "", "a b", ".a", "a-", "-a", "a/b", "\xc3\xa9", "a\nb" };
	static const char *const addresses[] = { "10.1.2.0/24", "127.0.0.1/32", "224.0.0.1/32", "fe80::1/128", "::1/128", "::/128", "169.254.1.1/32" };
	static const char *const prefixes[] = { "0.0.0.0/0", "::/0", "10.1.2.3/24", "fe80::/64", "ff00::/8" };
	static const char bad_prefix[] = "a prefix cannot be one, or there are too many";
	struct item c;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		c = node();
		snprintf(c.node.name, sizeof(c.node.name), "%s", names[i]);
		refused(&c, "the name is not of letters, digits, '-', '_' and '.'");
	}
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		c = node();
		c.node.addresses[1] = prefix(addresses[i]);
		refused(&c, bad_prefix);
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		c = node();
		c.node.prefixes[0] = prefix(prefixes[i]);
		refused(&c, bad_prefix);
	}
	c = node();
	c.node.prefixes[0].len = 129;
	refused(&c, bad_prefix);
	c = node();
	c.node.not_after_s = c.node.not_before_s;
	refused(&c, "it ends before it begins");
	c = node();
	memset(c.node.public_key, 0, KEY_LEN);
	refused(&c, "a key is not 32 bytes");
	c = node();
	c.node.serial++;
	refused(&c, "its serial or a time cannot be one");
	c = node();
	c.node.not_after_s = INT64_MAX;
	refused(&c, "its serial or a time cannot be one");
	c = node();
	c.node.not_before_s = INT64_MIN;
	refused(&c, "its serial or a time cannot be one");
}

static void others_come_back(void **state)
{
	struct item c = { .kind = ITEM_SELF, .self = { .public_key = { 1 }, .sequence = 7, .endpoint_count = 1, .features = 4, .version = "0.1" } }, *i;
	uint8_t keep[ITEM_KEEP_MAX][ITEM_ID_LEN];

	(void)state;
	assert_true(endpoint_parse("[2001:db8::1]:51820", &c.self.endpoints[0].endpoint));
	c.self.endpoints[0].metered = c.self.endpoints[0].seen = true;
	c.self.endpoints[0].cost_ms = 30;
	c.self.endpoints[0].prefix_len = 118;
	i = sign(&c);
	assert_int_equal(i->self.sequence, 7);
	assert_true(endpoint_equal(&i->self.endpoints[0].endpoint, &c.self.endpoints[0].endpoint));
	assert_true(i->self.endpoints[0].metered && i->self.endpoints[0].seen);
	assert_int_equal(i->self.endpoints[0].cost_ms, 30);
	assert_int_equal(i->self.endpoints[0].prefix_len, 118);
	assert_string_equal(i->self.version, "0.1");
	item_free(i);
	c.self.endpoints[0].endpoint.port = 0;
	refused(&c, "an endpoint cannot be one");

	/* As many as may be kept fit into an item. */
	memset(keep, 5, sizeof(keep));
	c = (struct item){ .kind = ITEM_RELEASE, .release = { .sign_key = { 2 }, .keep = keep, .keep_count = ITEM_KEEP_MAX } };
	i = sign(&c);
	assert_int_equal(i->release.keep_count, ITEM_KEEP_MAX);
	assert_memory_equal(i->release.keep[ITEM_KEEP_MAX - 1], keep[0], ITEM_ID_LEN);
	assert_in_range(i->len, 1, ITEM_MAX);
	item_free(i);

	c = (struct item){ .kind = ITEM_REVOCATION, .revocation = { .public_key = { 1 }, .when_s = -5, .reason = "lost it" } };
	i = sign(&c);
	assert_string_equal(i->revocation.reason, "lost it");
	assert_int_equal(i->revocation.when_s, -5);
	item_free(i);
	snprintf(c.revocation.reason, sizeof(c.revocation.reason), "two\nlines");
	refused(&c, "its reason is no text, or too long");

	/* A request is signed by the key that is in it, or it is none. */
	c = (struct item){ .kind = ITEM_JOIN_REQUEST, .join_request = { .public_key = { 1 }, .sign_key = { 3 } } };
	refused(&c, "it is signed by somebody else");
	sign_public(c.join_request.sign_key, seed);
	item_free(sign(&c));
}

/* Every bit of what was signed is covered, but for what is not taken in. */
static void forged(void **state)
{
	struct item content = node(), *i = sign(&content), *other;
	uint8_t *bytes = malloc(i->len), elsewhere[SIGN_KEY_LEN] = { 1 };
	const char *why;
	size_t read = 0;

	(void)state;
	for (size_t bit = 0; bit < 8 * i->len; bit++) {
		memcpy(bytes, i->bytes, i->len);
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		other = item_read(mesh, bytes, i->len, &why);
		if (other)
			read++;
		item_free(other);
	}
	assert_int_equal(read, 0);
	for (size_t len = 0; len < i->len; len++)
		assert_null(item_read(mesh, i->bytes, len, &why));
	assert_null(item_read(elsewhere, i->bytes, i->len, &why));
	assert_string_equal(why, "the signature is wrong, or it is of another mesh");
	free(bytes);
	item_free(i);
}

static const uint8_t extra[] = { 0xa2, 0x06, 3, 'n', 'e', 'w' };	/* field 100 */

/* What a later version adds to an item, of whatever kind, is covered by its signature, kept, and in the way of nobody; so is a field beside the signature. */
static void fields_of_the_future(void **state)
{
	struct item contents[] = {
		node(),
		{ .kind = ITEM_SELF, .self = { .public_key = { 1 }, .version = "9" } },
		{ .kind = ITEM_REVOCATION, .revocation = { .public_key = { 1 } } },
		{ .kind = ITEM_DELEGATION, .delegation = { .public_key = { 1 }, .sign_key = { 2 }, .not_after_s = 9 } },
		{ .kind = ITEM_RELEASE, .release = { .sign_key = { 1 } } },
		{ .kind = ITEM_MESH_KEY, .mesh_key = { .key = { 1 } } },
		{ .kind = ITEM_INVITATION, .invitation = { .token = { 1 }, .issuer = { 2 } } },
	};
	static uint8_t packed[ITEM_MAX];

	(void)state;
	for (size_t k = 0; k < sizeof(contents) / sizeof(contents[0]); k++) {
		struct item *i = sign(&contents[k]), *later;
		Meshd__Exchange__Signed *m = meshd__exchange__signed__unpack(NULL, i->len, i->bytes);
		uint8_t body[512];
		const char *why = "";
		size_t len = m->body.len;

		memcpy(body, m->body.data, len);
		memcpy(body + len, extra, sizeof(extra));
		meshd__exchange__signed__free_unpacked(m, NULL);
		len = signed_of_kind(mesh, seed, i->kind, body, len + sizeof(extra), extra, sizeof(extra), packed);
		later = item_read(mesh, packed, len, &why);
		if (!later)
			fail_msg("%s: %s", item_kind_name(i->kind), why);
		assert_int_equal(later->kind, i->kind);
		assert_int_equal(later->len, len);
		assert_memory_equal(later->bytes, packed, len);
		assert_memory_not_equal(later->id, i->id, ITEM_ID_LEN);
		if (i->kind == ITEM_NODE)
			assert_string_equal(later->node.name, "alpha");
		item_free(later);
		item_free(i);
	}
}

/* A role that nobody knows yet grants nothing, and takes nothing from those that are known; whoever knows it still finds it in the bytes. */
static void roles_of_the_future(void **state)
{
	struct item c = node(), *i;
	Meshd__Exchange__Signed *m;
	Meshd__Exchange__Node *n;

	(void)state;
	c.node.roles = ROLE_EXIT | 8 | UINT32_C(1) << 31;
	i = sign(&c);
	assert_int_equal(i->node.roles, ROLE_EXIT);
	m = meshd__exchange__signed__unpack(NULL, i->len, i->bytes);
	n = meshd__exchange__node__unpack(NULL, m->body.len, m->body.data);
	assert_int_equal(n->roles, c.node.roles);
	meshd__exchange__node__free_unpacked(n, NULL);
	meshd__exchange__signed__free_unpacked(m, NULL);
	item_free(i);
	c.node.roles = 8;
	i = sign(&c);
	assert_int_equal(i->node.roles, 0);
	item_free(i);
}

/* Told from what is broken; but never taken for an item of ours whose id it might be given. */
static void kinds_of_the_future(void **state)
{
	static const struct {
		uint32_t kind;
		bool later;
	} cases[] = {
		{ 0, false }, { ITEM_NODE, false }, { ITEM_INVITATION, false }, { 8, true }, { 15, true }, { ITEM_JOIN_REQUEST, false }, { 17, true }, { 255, true },
		{ 256, false }, { 256 + ITEM_NODE, false }, { UINT32_MAX, false },
	};
	static uint8_t packed[ITEM_MAX];
	uint8_t id[ITEM_ID_LEN], other[ITEM_ID_LEN];
	const char *why;
	size_t len;

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		len = signed_of_kind(mesh, seed, cases[k].kind, "what?", 5, NULL, 0, packed);
		assert_null(item_read(mesh, packed, len, &why));
		if (item_is_later(packed, len, id) != cases[k].later)
			fail_msg("kind %u", cases[k].kind);
		if (cases[k].later)
			assert_string_equal(why, "it is of a kind of a later version");
		assert_false(item_is_later(packed, len - 1, id));
	}
	/* As others have it, whatever is around it. */
	assert_true(item_is_later(packed, signed_of_kind(mesh, seed, 9, "what?", 5, NULL, 0, packed), id));
	assert_true(item_is_later(packed, signed_of_kind(mesh, seed, 9, "what?", 5, extra, sizeof(extra), packed), other));
	assert_memory_equal(id, other, ITEM_ID_LEN);
	assert_true(item_is_later(packed, signed_of_kind(mesh, seed, 10, "what?", 5, NULL, 0, packed), other));
	assert_memory_not_equal(id, other, ITEM_ID_LEN);
}

/* Who passes an item on could else make it as long as he likes, with nobody's signature on it. */
static void padding(void **state)
{
	static uint8_t packed[ITEM_MAX], fill[3 + ITEM_UNSIGNED_MAX];
	struct item content = node(), *i = sign(&content), *read;
	Meshd__Exchange__Signed *m = meshd__exchange__signed__unpack(NULL, i->len, i->bytes);
	const char *why;

	(void)state;
	for (size_t more = ITEM_UNSIGNED_MAX - 1; more <= ITEM_UNSIGNED_MAX + 1; more++) {
		size_t len;

		/* Field 15, of so many bytes that it has 'more' with its head. */
		fill[0] = 0x7a;
		fill[1] = (uint8_t)((more - 3) & 127) | 128;
		fill[2] = (uint8_t)((more - 3) >> 7);
		len = signed_of_kind(mesh, seed, i->kind, m->body.data, m->body.len, fill, more, packed);
		read = item_read(mesh, packed, len, &why);
		assert_true(!read == (more > ITEM_UNSIGNED_MAX));
		if (read)
			assert_memory_equal(read->id, i->id, ITEM_ID_LEN);
		else
			assert_string_equal(why, "it has too much around what is signed");
		item_free(read);
	}
	meshd__exchange__signed__free_unpacked(m, NULL);
	item_free(i);
}

static void of_another_kind_or_too_long(void **state)
{
	struct item content = { .kind = ITEM_KINDS };
	uint8_t *big = calloc(1, ITEM_MAX + 1);
	const char *why;

	(void)state;
	refused(&content, "it has too much in it, or there is no memory");
	assert_null(item_read(mesh, big, ITEM_MAX + 1, &why));
	assert_string_equal(why, "it is too long");
	free(big);
}

static void roles(void **state)
{
	static const struct {
		const char *text;
		unsigned int roles;
		bool good;
	} cases[] = {
		{ "none", 0, true }, { "transit", 1, true }, { "gateway,transit", 5, true }, { "exit", 2, true }, { "", 0, false }, { "transit,", 0, false },
		{ "Transit", 0, false }, { "none,exit", 0, false }, { "transits", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int v = 99;

		assert_int_equal(roles_parse(cases[i].text, &v), cases[i].good);
		assert_int_equal(v, cases[i].good ? cases[i].roles : 99);
	}
	for (unsigned int v = 0; v <= ROLES; v++) {
		struct text t = { 0 };
		unsigned int again;

		roles_format(v, &t);
		assert_true(roles_parse(t.s, &again));
		assert_int_equal(again, v);
		text_done(&t);
	}
}

/* Making items. */

static void addresses_follow_from_keys(void **state)
{
	struct ip_prefix network, a, b, again;
	uint8_t one[KEY_LEN] = { 1 }, two[KEY_LEN] = { 2 };

	(void)state;
	mint_network(mesh, &network);
	mint_address(mesh, one, &a);
	mint_address(mesh, two, &b);
	mint_address(mesh, one, &again);
	assert_int_equal(network.len, 64);
	assert_int_equal(network.addr.bytes[0], 0xfd);
	assert_int_equal(a.len, 128);
	assert_true(ip_prefix_contains(&network, &a) && ip_prefix_contains(&network, &b));
	assert_false(ip_prefix_equal(&a, &b));
	assert_true(ip_prefix_equal(&a, &again));
}

static void what_is_taken_is_not_given_twice(void **state)
{
	struct mesh_stage st;
	struct node_keys k, other;
	struct mint_node m = { .name = "one", .address_count = 1, .addresses = { prefix("10.0.0.1/32") } };
	struct store_node sn;
	const char *why = NULL;

	(void)state;
	stage_open(&st, 1);
	keys_make(&k, 1);
	keys_make(&other, 2);
	assert_true(mint_record(st.store, st.seed, &m, k.public_key, k.sign_key, NULL, NULL, MESH_NOW_S, &why));
	assert_false(mint_record(st.store, st.seed, &m, other.public_key, other.sign_key, NULL, NULL, MESH_NOW_S, &why));
	assert_string_equal(why, "a node of this name is there already");
	snprintf(m.name, sizeof(m.name), "two");
	assert_false(mint_record(st.store, st.seed, &m, other.public_key, other.sign_key, NULL, NULL, MESH_NOW_S, &why));
	assert_string_equal(why, "the address is another node's already");
	m.address_count = 0;
	m.prefix_count = 1;
	m.prefixes[0] = prefix("10.0.0.0/24");
	assert_false(mint_record(st.store, st.seed, &m, other.public_key, other.sign_key, NULL, NULL, MESH_NOW_S, &why));
	assert_string_equal(why, "the prefix is another node's already, or part of it is");
	m.prefix_count = 0;
	assert_false(mint_record(st.store, other.seed, &m, other.public_key, other.sign_key, NULL, NULL, MESH_NOW_S, &why));
	assert_string_equal(why, "this node may not sign for the mesh");
	/* What every reader of the record would refuse is refused now, not when somebody has joined with it. */
	m.address_count = 1;
	m.addresses[0] = prefix("127.0.0.1/32");
	assert_false(mint_check(st.store, &m, NULL, MESH_NOW_S, &why));
	assert_string_equal(why, "the address is not one that a node can have");
	m.address_count = 0;
	m.prefix_count = 1;
	m.prefixes[0] = prefix("fe80::/64");
	assert_false(mint_check(st.store, &m, NULL, MESH_NOW_S, &why));
	assert_string_equal(why, "the prefix is not one that can be behind a node");
	m.prefix_count = 0;
	/* A renewal of the same node is one serial higher, and has its first address still. */
	snprintf(m.name, sizeof(m.name), "one");
	assert_true(mint_record(st.store, st.seed, &m, k.public_key, k.sign_key, NULL, NULL, MESH_NOW_S, &why));
	assert_true(store_find(st.store, k.public_key, MESH_NOW_S, &sn));
	assert_int_equal(sn.record->serial, 2);
	assert_int_equal(sn.record->address_count, 1);
	assert_int_equal(sn.record->not_after_s, MESH_NOW_S + MINT_NODE_S);
	stage_close(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes),
		cmocka_unit_test(nodes_that_cannot_be),
		cmocka_unit_test(others_come_back),
		cmocka_unit_test(forged),
		cmocka_unit_test(fields_of_the_future),
		cmocka_unit_test(roles_of_the_future),
		cmocka_unit_test(kinds_of_the_future),
		cmocka_unit_test(padding),
		cmocka_unit_test(of_another_kind_or_too_long),
		cmocka_unit_test(roles),
		cmocka_unit_test(addresses_follow_from_keys),
		cmocka_unit_test(what_is_taken_is_not_given_twice),
	};

	if (!crypto_init())
		return 1;
	sign_public(mesh, seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
