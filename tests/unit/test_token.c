/* SPDX-License-Identifier: MIT */
/*
 * Tokens and what is said with them: they come back as they went, what is not quite one is refused, nobody but the two who share a token reads
 * or writes a message of joining. protobuf-c reads the same bytes, so that proto/exchange.proto is what it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/fields.h"
#include "exchange/mint.h"
#include "exchange/token.h"
#include "proto/exchange.pb-c.h"

static void fill(void *ctx, void *out, size_t len)
{
	uint8_t *p = out, *next = ctx;

	while (len--)
		*p++ = (*next)++;
}

static uint8_t counter = 1;
static const struct rng rng = { .fill = fill, .ctx = &counter };

static void set_endpoint(struct record_endpoint *e, const char *text)
{
	memset(e, 0, sizeof(*e));
	assert_true(endpoint_parse(text, &e->endpoint));
}

static struct token made(void)
{
	struct token t = { .mesh_name = "home", .node_name = "laptop-2", .not_after_s = 1700000000, .contact_count = 2 };

	memset(t.mesh, 0x11, sizeof(t.mesh));
	memset(t.one_time_key, 0x22, KEY_LEN);
	memset(t.psk, 0x33, KEY_LEN);
	memset(t.issuer, 0x44, KEY_LEN);
	memset(t.contacts[0].public_key, 0x44, KEY_LEN);
	memset(t.contacts[1].public_key, 0x55, KEY_LEN);
	set_endpoint(&t.contacts[0].endpoints[0], "192.0.2.1:51820");
	set_endpoint(&t.contacts[0].endpoints[1], "[2001:db8::7]:443");
	t.contacts[0].endpoints[1].prefix_len = 64;
	t.contacts[0].endpoints[1].metered = true;
	t.contacts[0].endpoints[1].cost_ms = 300;
	t.contacts[0].endpoint_count = 2;
	return t;
}

static struct token large(void)
{
	struct token t = made();

	memset(t.mesh_name, 'm', MESH_NAME_MAX);
	memset(t.node_name, 'n', ITEM_NAME_MAX);
	t.not_after_s = INT64_MAX;
	t.contact_count = TOKEN_CONTACTS_MAX;
	for (size_t i = 0; i < TOKEN_CONTACTS_MAX; i++) {
		memset(t.contacts[i].public_key, i ? (int)(0x60 + i) : 0x44, KEY_LEN);
		t.contacts[i].endpoint_count = TOKEN_CONTACT_ENDPOINTS_MAX;
		for (size_t k = 0; k < TOKEN_CONTACT_ENDPOINTS_MAX; k++) {
			set_endpoint(&t.contacts[i].endpoints[k], "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
			t.contacts[i].endpoints[k].cost_ms = UINT32_MAX;
			t.contacts[i].endpoints[k].metered = t.contacts[i].endpoints[k].seen = true;
			t.contacts[i].endpoints[k].prefix_len = 64;
		}
	}
	return t;
}

static bool read_exact(struct token *t, const char *text, size_t len, struct text *why)
{
	char *exact = malloc(len ? len : 1);
	bool good;

	memcpy(exact, text, len);
	good = token_read(t, exact, len, why);
	free(exact);
	return good;
}

static void assert_refused(const char *text, size_t len, const char *reason)
{
	static const struct token empty;
	struct text why = { 0 };
	struct token t;

	if (read_exact(&t, text, len, &why))
		fail_msg("was taken: %.*s", (int)len, text);
	assert_memory_equal(&t, &empty, sizeof(t));
	assert_non_null(why.s);
	assert_null(strchr(why.s, '\n'));
	if (reason)
		assert_string_equal(why.s, reason);
	text_done(&why);
}

/* Field by field, by way of what is written of them: there are holes in structs. */
static void assert_same(const struct token *a, const struct token *b)
{
	struct text x = { 0 }, y = { 0 };

	assert_true(token_encode(a, &x) && token_encode(b, &y));
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.s, y.s, x.len);
	text_done(&x);
	text_done(&y);
}

static void comes_back(void **state)
{
	const struct token all[] = { made(), large() };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct text text = { 0 }, why = { 0 }, around = { 0 };
		struct token t;

		assert_true(token_write(&all[i], &text));
		assert_true(text.len <= TOKEN_TEXT_MAX);
		assert_int_equal(strspn(text.s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:"), text.len);
		assert_true(read_exact(&t, text.s, text.len, &why));
		assert_same(&t, &all[i]);
		text_addf(&around, " \r\n\t%s \t\r\n", text.s);
		assert_true(read_exact(&t, around.s, around.len, &why));
		assert_string_equal(t.node_name, all[i].node_name);
		assert_int_equal(t.contacts[0].endpoints[1].cost_ms, all[i].contacts[0].endpoints[1].cost_ms);
		assert_int_equal(t.contacts[0].endpoints[1].prefix_len, 64);
		assert_true(t.contacts[0].endpoints[1].metered);
		assert_same(&t, &all[i]);
		text_done(&text);
		text_done(&around);
	}
}

static void every_truncation(void **state)
{
	struct token t = made();
	struct text text = { 0 };

	(void)state;
	assert_true(token_write(&t, &text));
	for (size_t n = 0; n < text.len; n++)
		assert_refused(text.s, n, n < 7 ? "it is no token of meshd: those begin with \"meshd1:\"" :
						  "the token is damaged: some of it is missing or was changed");
	for (size_t n = 1; n <= text.len; n++)
		assert_refused(text.s + n, text.len - n, NULL);
	text_done(&text);
}

static void every_flipped_byte(void **state)
{
	struct token t = made();
	struct text text = { 0 };

	(void)state;
	assert_true(token_write(&t, &text));
	for (size_t i = 0; i < text.len; i++) {
		char was = text.s[i];

		for (int to = 0; to < 256; to++) {
			text.s[i] = (char)to;
			if (text.s[i] != was)
				assert_refused(text.s, text.len, NULL);
		}
		text.s[i] = was;
	}
	text_done(&text);
}

/* A slip of two neighbours. */
static void swapped_bytes(void **state)
{
	struct token t = made();
	struct text text = { 0 };

	(void)state;
	assert_true(token_write(&t, &text));
	for (size_t i = 0; i + 1 < text.len; i++) {
		char was = text.s[i];

		if (was == text.s[i + 1])
			continue;
		text.s[i] = text.s[i + 1];
		text.s[i + 1] = was;
		assert_refused(text.s, text.len, NULL);
		text.s[i + 1] = text.s[i];
		text.s[i] = was;
	}
	text_done(&text);
}

static void others_are_refused(void **state)
{
	char *zeros = calloc(1, BOOTSTRAP_SIZE_MAX), *blanks = malloc(BOOTSTRAP_SIZE_MAX);

	(void)state;
	memset(blanks, ' ', BOOTSTRAP_SIZE_MAX);
	assert_refused("", 0, "it is no token of meshd: those begin with \"meshd1:\"");
	assert_refused("meshd2:AAAA", 11, "the token is of a later meshd");
	assert_refused("meshd10:AAAA", 12, "the token is of a later meshd");
	assert_refused("meshd1:", 7, "the token is damaged: some of it is missing or was changed");
	assert_refused(zeros, BOOTSTRAP_SIZE_MAX, "it is no token of meshd: those begin with \"meshd1:\"");
	assert_refused(blanks, BOOTSTRAP_SIZE_MAX, "it is no token of meshd: those begin with \"meshd1:\"");
	memcpy(zeros, "meshd1:", 7);
	assert_refused(zeros, BOOTSTRAP_SIZE_MAX, "it is too long for a token");
	free(zeros);
	free(blanks);
}

/* With a good checksum, but nonsense in it. */
static void assert_content_refused(const struct token *t)
{
	struct text text = { 0 };

	assert_true(token_write(t, &text));
	assert_refused(text.s, text.len, "the invitation in it is malformed");
	text_done(&text);
}

static void content_is_checked(void **state)
{
	struct token t = made();

	(void)state;
	memset(t.psk, 0, KEY_LEN);
	assert_content_refused(&t);
	t = made();
	memset(t.one_time_key, 0, KEY_LEN);
	assert_content_refused(&t);
	t = made();
	t.not_after_s = 0;
	assert_content_refused(&t);
	t = made();
	t.not_after_s = -1;
	assert_content_refused(&t);
	t = made();
	memcpy(t.node_name, "a b", 4);
	assert_content_refused(&t);
	t = made();
	memcpy(t.mesh_name, "../x", 5);
	assert_content_refused(&t);
	t = made();
	t.contact_count = 0;
	assert_content_refused(&t);
	t = made();
	t.contacts[0].public_key[0] ^= 1;
	assert_content_refused(&t);
	t = made();
	t.contacts[0].endpoints[0].endpoint.port = 0;
	assert_content_refused(&t);
	t = made();
	set_endpoint(&t.contacts[0].endpoints[0], "224.0.0.1:1");
	assert_content_refused(&t);
	set_endpoint(&t.contacts[0].endpoints[0], "127.0.0.1:1");
	assert_content_refused(&t);
}

static void too_many_are_refused(void **state)
{
	struct token t = large();
	struct text data = { 0 }, why = { 0 }, contact = { 0 };

	(void)state;
	fields_add_bytes(&contact, 1, t.issuer, KEY_LEN);
	assert_true(token_encode(&t, &data));
	fields_add_bytes(&data, 8, contact.s, contact.len);
	assert_false(token_decode(&t, data.s, data.len, &why));
	text_reset(&data);
	t = made();
	assert_true(token_encode(&t, &data));
	assert_true(token_decode(&t, data.s, data.len, &why));
	for (int i = 0; i < TOKEN_CONTACT_ENDPOINTS_MAX + 1; i++)
		fields_add_bytes(&contact, 2, "\x0a\x04\xc0\x00\x02\x01\x10\x01", 8);
	fields_add_bytes(&data, 8, contact.s, contact.len);
	assert_false(token_decode(&t, data.s, data.len, &why));
	text_done(&data);
	text_done(&why);
	text_done(&contact);
}

static void protobuf_reads_the_same(void **state)
{
	struct token t = made();
	struct text data = { 0 }, why = { 0 };
	Meshd__Exchange__Token *m;
	uint8_t packed[2048];

	(void)state;
	assert_true(token_encode(&t, &data));
	m = meshd__exchange__token__unpack(NULL, data.len, (const uint8_t *)data.s);
	assert_non_null(m);
	assert_string_equal(m->mesh_name, "home");
	assert_string_equal(m->node_name, "laptop-2");
	assert_int_equal(m->psk.len, KEY_LEN);
	assert_memory_equal(m->psk.data, t.psk, KEY_LEN);
	assert_true(m->not_after_s == 1700000000);
	assert_int_equal(m->n_contacts, 2);
	assert_int_equal(m->contacts[0]->n_endpoints, 2);
	assert_int_equal(m->contacts[0]->endpoints[1]->port, 443);
	assert_int_equal(meshd__exchange__token__pack(m, packed), data.len);
	assert_memory_equal(packed, data.s, data.len);
	meshd__exchange__token__free_unpacked(m, NULL);
	text_done(&data);
	text_done(&why);
}

/* Sealing */

struct pair {
	uint8_t psk[KEY_LEN], token_private[KEY_LEN], token[KEY_LEN], issuer_private[KEY_LEN], issuer[KEY_LEN];
	struct join_keys holder, issuers;
};

static void make_pair(struct pair *p)
{
	rng_fill(&rng, p->psk, KEY_LEN);
	key_generate(&rng, p->token_private);
	key_generate(&rng, p->issuer_private);
	key_public(p->token, p->token_private);
	key_public(p->issuer, p->issuer_private);
	assert_true(join_keys_make(&p->holder, p->psk, p->token_private, p->issuer, p->token));
	assert_true(join_keys_make(&p->issuers, p->psk, p->issuer_private, p->token, p->token));
}

static void both_sides_agree(void **state)
{
	struct pair p;
	struct text sealed = { 0 }, opened = { 0 };

	(void)state;
	make_pair(&p);
	assert_memory_equal(&p.holder, &p.issuers, sizeof(p.holder));
	assert_memory_not_equal(p.holder.request, p.holder.answer, KEY_LEN);
	assert_memory_equal(p.holder.token, p.token, KEY_LEN);
	assert_true(join_seal(p.holder.request, p.holder.token, &rng, "hello", 5, &sealed));
	assert_int_equal(sealed.len, 5 + JOIN_SEAL);
	assert_true(join_open(p.issuers.request, p.issuers.token, sealed.s, sealed.len, &opened));
	assert_string_equal(opened.s, "hello");
	text_reset(&opened);
	/* Not for the other direction, not for another token, not with another PSK. */
	assert_false(join_open(p.issuers.answer, p.issuers.token, sealed.s, sealed.len, &opened));
	p.issuers.token[3] ^= 1;
	assert_false(join_open(p.issuers.request, p.issuers.token, sealed.s, sealed.len, &opened));
	p.psk[31] ^= 128;
	assert_true(join_keys_make(&p.issuers, p.psk, p.issuer_private, p.token, p.token));
	assert_false(join_open(p.issuers.request, p.issuers.token, sealed.s, sealed.len, &opened));
	assert_int_equal(opened.len, 0);
	text_done(&sealed);
	text_done(&opened);
}

static void every_changed_message(void **state)
{
	struct pair p;
	struct text sealed = { 0 }, again = { 0 }, opened = { 0 };

	(void)state;
	make_pair(&p);
	assert_true(join_seal(p.holder.answer, p.token, &rng, "some bytes", 10, &sealed));
	assert_true(join_seal(p.holder.answer, p.token, &rng, "some bytes", 10, &again));
	assert_memory_not_equal(sealed.s, again.s, sealed.len);
	for (size_t i = 0; i < sealed.len; i++) {
		assert_false(join_open(p.issuers.answer, p.token, sealed.s, i, &opened));
		for (int bit = 0; bit < 8; bit++) {
			sealed.s[i] ^= (char)(1 << bit);
			assert_false(join_open(p.issuers.answer, p.token, sealed.s, sealed.len, &opened));
			sealed.s[i] ^= (char)(1 << bit);
		}
	}
	assert_int_equal(opened.len, 0);
	assert_true(join_open(p.issuers.answer, p.token, sealed.s, sealed.len, &opened));
	text_done(&sealed);
	text_done(&again);
	text_done(&opened);
}

static void limits_of_sealing(void **state)
{
	static const uint8_t zero[KEY_LEN];
	static uint8_t data[JOIN_MAX + 1];
	struct pair p;
	struct text out = { 0 }, opened = { 0 };

	(void)state;
	make_pair(&p);
	assert_false(join_seal(p.holder.request, p.token, &rng, data, JOIN_MAX - JOIN_SEAL + 1, &out));
	assert_true(join_seal(p.holder.request, p.token, &rng, data, JOIN_MAX - JOIN_SEAL, &out));
	assert_true(join_open(p.holder.request, p.token, out.s, out.len, &opened));
	assert_int_equal(opened.len, JOIN_MAX - JOIN_SEAL);
	assert_false(join_open(p.holder.request, p.token, data, sizeof(data), &opened));
	assert_false(join_keys_make(&p.holder, p.psk, p.token_private, zero, p.token));
	assert_true(crypto_is_zero(&p.holder, sizeof(p.holder)));
	text_done(&out);
	text_done(&opened);
}

static void answers(void **state)
{
	struct text t = { 0 }, refused = { 0 }, brought = { 0 };

	(void)state;
	assert_true(join_answer_encode(NULL, "\0file", 5, &t));
	assert_true(join_answer_decode(t.s, t.len, &refused, &brought));
	assert_int_equal(refused.len, 0);
	assert_int_equal(brought.len, 5);
	assert_memory_equal(brought.s, "\0file", 5);
	text_reset(&t);
	text_reset(&brought);
	assert_true(join_answer_encode("used\n\033[2J\xc3\xa4", NULL, 0, &t));
	assert_true(join_answer_decode(t.s, t.len, &refused, &brought));
	assert_string_equal(refused.s, "used??[2J??");
	assert_int_equal(brought.len, 0);
	for (size_t n = 0; n < t.len; n++)
		assert_false(join_answer_decode(t.s, n, &refused, &brought));
	text_done(&t);
	text_done(&refused);
	text_done(&brought);
}

/* What was issued */

static void set_prefix(struct ip_prefix *p, const char *text)
{
	assert_true(ip_prefix_parse(text, p));
}

static void assert_issued_comes_back(const struct issued *i)
{
	struct text line = { 0 };
	struct issued back;

	assert_true(issued_write(i, &line));
	assert_int_equal(strcspn(line.s, "\n"), line.len - 1);
	assert_true(issued_read(&back, line.s));
	assert_memory_equal(back.node, i->node, sizeof(*i->node));
	assert_memory_equal(back.token, i->token, KEY_LEN);
	assert_memory_equal(back.psk, i->psk, KEY_LEN);
	assert_memory_equal(back.replaced, i->replaced, KEY_LEN);
	assert_int_equal(back.replaces, i->replaces);
	assert_true(back.not_after_s == i->not_after_s);
	issued_done(&back);
	line.s[line.len - 1] = '\0';
	assert_true(issued_read(&back, line.s));
	issued_done(&back);
	/* Without its first or its last characters it is no line. */
	for (size_t n = 0; n < line.len - 1; n++) {
		char was = line.s[n];

		line.s[n] = '\0';
		/* ...but the last word is a name, which may be cut to a shorter one. */
		if (!strstr(line.s, " name=") || line.s[n - 1] == '=')
			assert_false(issued_read(&back, line.s));
		else
			issued_read(&back, line.s);
		issued_done(&back);
		line.s[n] = was;
	}
	text_done(&line);
}

static void issued_comes_back(void **state)
{
	struct mint_node *n = calloc(1, sizeof(*n));
	struct issued i = { .not_after_s = 1700000000, .node = n };

	(void)state;
	memset(i.token, 7, KEY_LEN);
	memset(i.psk, 9, KEY_LEN);
	strcpy(n->name, "alpha.b");
	assert_issued_comes_back(&i);
	i.replaces = true;
	memset(i.replaced, 200, KEY_LEN);
	n->roles = ROLE_EXIT | ROLE_GATEWAY;
	n->expires_s = 90 * 86400;
	set_prefix(&n->addresses[0], "10.7.0.3");
	set_prefix(&n->addresses[1], "2001:db8::3");
	n->address_count = 2;
	set_prefix(&n->prefixes[0], "192.168.5.0/24");
	n->prefix_count = 1;
	for (n->external_count = 0; n->external_count < ITEM_PREFIXES_MAX; n->external_count++)
		set_prefix(&n->external[n->external_count], "2001:db8:ffff:ffff:ffff:ffff:ffff:fff0/124");
	assert_issued_comes_back(&i);
	issued_done(&i);
	assert_null(i.node);
}

static void bad_lines(void **state)
{
#define KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define WHOLE "token=" KEY " psk=" KEY " until=1 expires=0 roles=none name=a"
	static const char *const lines[] = {
		"", "\n", "token=" KEY, "psk=" KEY " until=1 expires=0 roles=none name=a", WHOLE " name=b", WHOLE " more=1", WHOLE " x",
		WHOLE " addresses=", WHOLE " addresses=10.0.0.1,", WHOLE " addresses=10.0.0.1,,10.0.0.2", WHOLE " prefixes=10.0.0.0/33",
		WHOLE " replaces=abc", WHOLE "\n" WHOLE, "token=" KEY " psk=" KEY " until=-1 expires=0 roles=none name=a",
		"token=" KEY " psk=" KEY " until=99999999999999999999 expires=0 roles=none name=a",
		"token=" KEY " psk=" KEY " until=1 expires=0 roles=king name=a", "token=" KEY " psk=" KEY " until=1 expires=0 roles=none name=.a",
		"token=" KEY " psk=" KEY "A until=1 expires=0 roles=none name=a",
	};
	static const struct issued empty;
	char *many = calloc(1, 100000);
	struct issued i;

	(void)state;
	assert_true(issued_read(&i, WHOLE));
	issued_done(&i);
	for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
		if (issued_read(&i, lines[k]))
			fail_msg("was taken: %s", lines[k]);
		assert_memory_equal(&i, &empty, sizeof(i));
	}
	strcpy(many, WHOLE " external=::/0");
	for (int k = 0; k < ITEM_PREFIXES_MAX; k++)
		strcat(many, ",::/0");
	assert_false(issued_read(&i, many));
	memset(many, 'a', 99999);
	assert_false(issued_read(&i, many));
	free(many);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(every_flipped_byte),
		cmocka_unit_test(swapped_bytes),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(content_is_checked),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(protobuf_reads_the_same),
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(every_changed_message),
		cmocka_unit_test(limits_of_sealing),
		cmocka_unit_test(answers),
		cmocka_unit_test(issued_comes_back),
		cmocka_unit_test(bad_lines),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
