/* SPDX-License-Identifier: MIT */
/* Config files on disk: what an argument means, key files, and a config made from nothing that parses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/blake2s.h"
#include "node/config.h"
#include "sys/configfile.h"
#include "sys/files.h"

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static char dir[] = "/tmp/meshd-configfile-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return crypto_init() && mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return chdir("/") || system(command);
}

static void write_file(const char *path, const char *text)
{
	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void finds(void **state)
{
	static const struct {
		const char *arg, *name, *path;
	} cases[] = {
		/* 1 */ { "nosuch0", "nosuch0", "/etc/meshd/nosuch0.conf" },
		/* 2 */ { "/nowhere/wg0.conf", "wg0", "/nowhere/wg0.conf" },
		/* 3 */ { "/nowhere/wg0", NULL, NULL },
		/* 4 */ { "/nowhere/.conf", NULL, NULL },
		/* 5 */ { ".conf", NULL, NULL },
		/* 6 */ { "abcdefghijklmnop", NULL, NULL },
		/* 7 */ { "/nowhere/abcdefghijklmnop.conf", NULL, NULL },
		/* 8 */ { "a b", NULL, NULL },
		/* 9 */ { "", NULL, NULL },
		/* 10 */ { "/nowhere/...conf", NULL, NULL },	/* ".." is no interface */
	};
	struct configfile f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text why = { 0 };
		bool ok = configfile_find(&f, cases[i].arg, &why);

		print_message("case %zu\n", i + 1);
		assert_int_equal(ok, cases[i].name != NULL);
		assert_int_equal(why.len == 0, ok);
		if (ok) {
			assert_string_equal(f.name, cases[i].name);
			assert_string_equal(f.path, cases[i].path);
		}
		text_done(&why);
	}
}

/* A relative file becomes absolute; a link is followed, but the name is the link's, as in wg-quick. */
static void finds_files(void **state)
{
	struct text why = { 0 };
	struct configfile f;
	char want[64];

	(void)state;
	write_file("real.conf", "");
	assert_int_equal(symlink("real.conf", "alias.conf"), 0);
	assert_true(configfile_find(&f, "alias.conf", &why));
	assert_string_equal(f.name, "alias");
	snprintf(want, sizeof(want), "%s/real.conf", dir);
	assert_string_equal(f.path, want);
	text_done(&why);
}

static void reads_key_files(void **state)
{
	struct text why = { 0 }, text = { 0 };
	struct config c;
	char path[64], want[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/k.conf", dir);
	write_file("k.conf", "# a comment\n[Interface]\n  privatekeyfile = key\n");
	assert_false(configfile_load(path, &c, NULL, &why));
	snprintf(want, sizeof(want), "%s:3: PrivateKeyFile: %s/key: No such file or directory", path, dir);
	assert_string_equal(why.s, want);
	text_reset(&why);

	write_file("key", KEY "\n");
	assert_true(configfile_load(path, &c, &text, &why));
	assert_true(c.change.bits & CHANGE_PRIVATE_KEY);
	for (uint8_t i = 0; i < KEY_LEN; i++)
		assert_int_equal(c.change.private_key[i], i);
	assert_string_equal(text.s, "# a comment\n[Interface]\n  privatekeyfile = key\n");
	config_done(&c);

	write_file("key", KEY KEY "\n");
	assert_false(configfile_load(path, &c, NULL, &why));
	assert_non_null(strstr(why.s, "k.conf:3: PrivateKeyFile: "));
	assert_non_null(strstr(why.s, "not a key"));
	assert_null(strstr(why.s, "AAECAw"));
	text_done(&why);
	text_done(&text);
}

static void missing_file(void **state)
{
	struct text why = { 0 };
	struct config c;

	(void)state;
	assert_false(configfile_load("/nowhere/wg0.conf", &c, NULL, &why));
	assert_string_equal(why.s, "/nowhere/wg0.conf: No such file or directory");
	text_done(&why);
}

static void count_lines(const char *s, int want)
{
	int lines = 0;

	for (; *s; s++)
		lines += *s == '\n';
	assert_int_equal(lines, want);
}

/* The config made is private, parses, and its address is the key's. Needs to write to /etc/meshd: only root may. */
static void makes(void **state)
{
	struct configfile f = { .name = "mt0" };
	struct text said = { 0 }, why = { 0 };
	uint8_t public_key[KEY_LEN], hash[BLAKE2S_LEN];
	char public_text[KEY_BASE64_MAX];
	struct config c;
	struct stat st;

	(void)state;
	if (geteuid()) {
		print_message("not root: not tried\n");
		skip();
	}
	snprintf(f.path, sizeof(f.path), "%s/mt0.conf", dir);
	assert_true(configfile_make(&f, &said, &why));
	count_lines(said.s, 3);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(configfile_load(f.path, &c, NULL, &why));
	key_public(public_key, c.change.private_key);
	blake2s(hash, sizeof(hash), NULL, 0, public_key, KEY_LEN);
	assert_int_equal(c.address_count, 1);
	assert_int_equal(c.addresses[0].len, 128);
	assert_memory_equal(c.addresses[0].addr.bytes, "\xfdmeshd", 6);
	assert_memory_equal(c.addresses[0].addr.bytes + 6, hash, 10);
	assert_true(c.change.listen_port >= CONFIGFILE_PORT_FIRST);
	assert_non_null(strstr(said.s, key_to_base64(public_text, public_key)));
	assert_null(strstr(said.s, key_to_base64(public_text, c.change.private_key)));
	config_done(&c);
	text_done(&said);
	text_done(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),
		cmocka_unit_test(finds_files),
		cmocka_unit_test(reads_key_files),
		cmocka_unit_test(missing_file),
		cmocka_unit_test(makes),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
