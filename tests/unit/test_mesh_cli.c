/* SPDX-License-Identifier: MIT */
/* What the commands of a mesh read and show: times, the list of nodes, the config of a plain device, QR codes. From messages made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/mesh.h"
#include "cli/mesh_files.h"
#include "cli/qr.h"
#include "config.h"
#include "exchange/mint.h"
#include "node/config.h"

#ifdef HAVE_QRENCODE
#include <qrencode.h>
#endif

enum { NOW_S = 1700000000 };

struct made {
	Meshd__Mesh mesh;
	Meshd__MeshNode node[4], *nodes[4];
	uint8_t key[4][KEY_LEN];
	char *addresses[4][2], *prefixes[1], *warnings[1];
};

static char *word(const char *s)
{
	return (char *)(uintptr_t)s;
}

static Meshd__MeshNode *add_node(struct made *m, const char *name, const char *standing, const char *first, const char *second)
{
	size_t i = m->mesh.n_nodes++;
	Meshd__MeshNode *n = m->nodes[i] = &m->node[i];

	meshd__mesh_node__init(n);
	memset(m->key[i], (int)i + 1, KEY_LEN);
	n->name = word(name);
	n->public_key = (ProtobufCBinaryData){ KEY_LEN, m->key[i] };
	n->standing = word(standing);
	n->not_after_s = NOW_S + 90 * 86400;
	m->addresses[i][0] = word(first);
	m->addresses[i][1] = word(second);
	n->addresses = m->addresses[i];
	n->n_addresses = second ? 2 : 1;
	return n;
}

static void make(struct made *m)
{
	Meshd__MeshNode *n;

	memset(m, 0, sizeof(*m));
	meshd__mesh__init(&m->mesh);
	m->mesh.name = word("lab");
	m->mesh.key = m->mesh.public_key = (ProtobufCBinaryData){ KEY_LEN, m->key[0] };
	m->mesh.nodes = m->nodes;
	add_node(m, "old", "revoked", "fd00::3/128", "10.7.0.3/32")->not_after_s = NOW_S - 3600;
	n = add_node(m, "beta", "good", "fd00::2/128", "10.7.0.2/32");
	n->roles = ROLE_TRANSIT | ROLE_EXIT;
	n->use = word("backbone");
	m->prefixes[0] = word("192.168.5.0/24");
	n->prefixes = m->prefixes;
	n->n_prefixes = 1;
	n = add_node(m, "alpha", "good", "fd00::1/128", NULL);
	n->signs = true;
	n->use = word("self");
	n = add_node(m, "phone", "good", "fd00::4/128", "10.7.0.4/32");
	n->plain = true;
	n->not_after_s = 0;
}

static void times(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;	/* 0: it is none */
	} cases[] = {
		{ "90d", 90 * 86400 }, { "12h", 43200 }, { "30m", 1800 }, { "45s", 45 }, { "2w", 14 * 86400 }, { "1y", 365 * 86400 }, { "", 0 },
		{ "90", 0 }, { "d", 0 }, { "0d", 0 }, { "-1d", 0 }, { "1dd", 0 }, { "1d ", 0 }, { " 1d", 0 }, { "1D", 0 }, { "1.5d", 0 },
		{ "2147483647s", INT32_MAX }, { "2147483648s", 0 }, { "68y", INT64_C(68) * 365 * 86400 }, { "69y", 0 },
		{ "99999999999999999999999d", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t seconds = -1;
		bool ok = duration_parse(cases[i].text, &seconds);

		if (ok != (cases[i].seconds > 0) || seconds != (ok ? cases[i].seconds : -1))
			fail_msg("'%s' is %s, %lld s", cases[i].text, ok ? "taken" : "refused", (long long)seconds);
	}
}

static void nodes(void **state)
{
	struct text out = { 0 };
	struct made m;

	(void)state;
	make(&m);
	mesh_text(&m.mesh, NOW_S, false, &out);
	assert_string_equal(out.s,
		"mesh lab, key AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
		"NAME   KEY       ADDRESS   ROLES         STANDING  EXPIRES  USE\n"
		"alpha  AwMDAwMD  fd00::1   none,signs    good      90d      self\n"
		"beta   AgICAgIC  10.7.0.2  transit,exit  good      90d      backbone\n"
		"phone  BAQEBAQE  10.7.0.4  plain         good      -        -\n"
		"old    AQEBAQEB  10.7.0.3  none          revoked   1h ago   -\n"
		);
	text_done(&out);
}

/* A hostile name is no more than a name. */
static void nothing_steers_the_terminal(void **state)
{
	struct text out = { 0 };
	struct made m;

	(void)state;
	make(&m);
	m.node[1].name = word("\033[2J");
	m.warnings[0] = word("alpha expires\033[1m soon");
	m.mesh.warnings = m.warnings;
	m.mesh.n_warnings = 1;
	mesh_text(&m.mesh, NOW_S, false, &out);
	assert_null(strchr(out.s, '\033'));
	assert_non_null(strstr(out.s, "alpha expires?[1m soon\n"));
	text_done(&out);
}

static void json(void **state)
{
	static const char *const parts[] = {
		"\"interface\": \"wg0\"", "\"name\": \"lab\"", "\"may_sign\": false", "\"standing\": \"revoked\"", "\"roles\": [\n        \"transit\",\n        \"exit\"\n",
		"\"plain\": true", "\"expires_ms\": null", "\"expires_ms\": 1707776000000", "\"use\": \"backbone\"", "\"use\": null",
	};
	struct text out = { 0 };
	struct made m;

	(void)state;
	make(&m);
	mesh_json("wg0", &m.mesh, &out);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strstr(out.s, parts[i]))
			fail_msg("lacks %s:\n%s", parts[i], out.s);
	text_done(&out);
}

/* What wg-quick reads, we read too. */
static void device(void **state)
{
	static const char *const more[] = { "10.99.0.0/16", "10.99.1.0/24", "nonsense" };
	char key[KEY_BASE64_MAX], text[PREFIX_TEXT_MAX];
	uint8_t private_key[KEY_LEN] = { 8, 1 };
	struct mesh_device d = {
		.name = "phone", .private_key = key_to_base64(key, private_key), .endpoint = "[2001:db8::1]:51820",
		.allowed = more, .allowed_count = 3,
	};
	struct text out = { 0 }, why = { 0 }, allowed = { 0 };
	struct ip_prefix network;
	struct config c;
	struct made m;

	(void)state;
	make(&m);
	mesh_device_conf(&m.mesh, &d, &out);
	assert_true(config_parse(&c, "phone.conf", out.s, out.len, &why));
	assert_int_equal(c.address_count, 2);
	assert_string_equal(ip_prefix_format(&c.addresses[0], text), "fd00::4/128");
	assert_string_equal(ip_prefix_format(&c.addresses[1], text), "10.7.0.4/32");
	assert_int_equal(c.change.peer_count, 1);
	assert_memory_equal(c.change.peers[0].public_key, m.key[0], KEY_LEN);
	assert_int_equal(c.change.peers[0].endpoint_count, 1);
	for (size_t i = 1; i < c.change.peers[0].allowed_count; i++)
		text_addf(&allowed, "%s ", ip_prefix_format(&c.change.peers[0].allowed[i].prefix, text));
	/* The mesh's own network, what was said, and what good nodes have, but for the device itself. */
	mint_network(m.key[0], &network);
	assert_int_equal(c.change.peers[0].allowed[0].prefix.len, 48);
	assert_true(ip_prefix_contains(&c.change.peers[0].allowed[0].prefix, &network));
	assert_string_equal(allowed.s, "10.99.0.0/16 192.168.5.0/24 fd00::2/128 10.7.0.2/32 fd00::1/128 ");
	config_done(&c);
	text_done(&out);
	text_done(&why);
	text_done(&allowed);
}

/* Back from the drawing: whether a module is white. */
static bool drawn_white(const struct text *t, size_t x, size_t y)
{
	static const char *const blocks[] = { " ", "\u2584", "\u2580", "\u2588" };
	const char *p = t->s;

	for (size_t line = 0; line < y / 2; line++)
		p = strchr(p, '\n') + 1;
	for (size_t at = 0;; at++) {
		unsigned int i = 0;

		while (strncmp(p, blocks[i], strlen(blocks[i])))
			assert_true(++i < 4);
		if (at == x)
			return y % 2 ? i & 1 : i & 2;
		p += strlen(blocks[i]);
	}
}

static void check_drawing(const struct text *t, const uint8_t *dark, size_t width)
{
	size_t whole = width + 2 * (size_t)QR_QUIET;

	for (size_t y = 0; y < whole; y++)
		for (size_t x = 0; x < whole; x++) {
			bool inside = x >= QR_QUIET && y >= QR_QUIET && x < width + QR_QUIET && y < width + QR_QUIET;

			assert_int_equal(drawn_white(t, x, y), !inside || !dark[(y - QR_QUIET) * width + x - QR_QUIET]);
		}
}

static void qr_drawing(void **state)
{
	static const uint8_t dark[25] = { 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1 };
	struct text out = { 0 };

	(void)state;
	qr_blocks(dark, 5, false, &out);
	check_drawing(&out, dark, 5);
	assert_null(strchr(out.s, '\033'));
	text_reset(&out);
	/* In colour both are said on every line, and undone at its end. */
	qr_blocks(dark, 5, true, &out);
	assert_memory_equal(out.s, "\033[97;40m", 8);
	assert_string_equal(out.s + out.len - 5, "\033[0m\n");
	text_done(&out);
}

static void qr_codes(void **state)
{
	static const char token[] = "meshd1:CiB9kz2E-NuXPT-8lVMKk9vPhojO3Fm_bxqqQiE1E8gfmRIEaG9tZRoEYmV0YSIgeE4mDwHZANer5z7DgBlABjc1XdABuh3n";
	static char longest[QR_BYTES_MAX + 1];
	struct text out = { 0 }, why = { 0 };

	(void)state;
	memset(longest, 'x', sizeof(longest));
	assert_false(qr_draw(longest, sizeof(longest), false, &out, &why));
	assert_null(strchr(why.s, '\n'));
	text_reset(&why);
#ifdef HAVE_QRENCODE
	QRcode *code = QRcode_encodeData(sizeof(token) - 1, (const unsigned char *)token, 0, QR_ECLEVEL_L);
	uint8_t *dark;
	size_t count;

	assert_non_null(code);
	count = (size_t)code->width * (size_t)code->width;
	dark = malloc(count);
	assert_non_null(dark);
	for (size_t i = 0; i < count; i++)
		dark[i] = code->data[i] & 1;
	assert_true(qr_draw(token, sizeof(token) - 1, false, &out, &why));
	check_drawing(&out, dark, (size_t)code->width);
	assert_true(qr_draw(longest, QR_BYTES_MAX, false, &out, &why));
	free(dark);
	QRcode_free(code);
#else
	assert_false(qr_draw(token, sizeof(token) - 1, false, &out, &why));
	assert_non_null(strstr(why.s, "libqrencode"));
#endif
	text_done(&out);
	text_done(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(nodes),
		cmocka_unit_test(nothing_steers_the_terminal),
		cmocka_unit_test(json),
		cmocka_unit_test(device),
		cmocka_unit_test(qr_drawing),
		cmocka_unit_test(qr_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
