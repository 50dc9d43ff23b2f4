/* SPDX-License-Identifier: MIT */
/* Armour: what mail does to a text and what it does not survive, each with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/key.h"
#include "exchange/bootstrap.h"

#define HEADERS "Mesh: home\nKey: abc=\n"

static uint8_t bytes[300];

static char *made(enum armour_kind kind, size_t len)
{
	struct text t = { 0 };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37);
	armour_write(kind, HEADERS, bytes, len, &t);
	assert_false(t.failed);
	return t.s;
}

static void assert_read(const char *text, size_t text_len, enum armour_kind kind, size_t len)
{
	struct text data = { 0 }, why = { 0 };
	enum armour_kind got = ARMOUR_KINDS;
	char *exact = malloc(text_len + 1);

	memcpy(exact, text, text_len);
	if (!armour_read(exact, text_len, &got, &data, &why))
		fail_msg("%s", why.s);
	assert_int_equal(got, kind);
	assert_int_equal(data.len, len);
	if (len)
		assert_memory_equal(data.s, bytes, len);
	text_done(&data);
	free(exact);
}

static void assert_refused(const char *text, size_t len, const char *reason)
{
	struct text data = { 0 }, why = { 0 };
	enum armour_kind kind = ARMOUR_KINDS;
	char *exact = malloc(len + 1);

	memcpy(exact, text, len);
	assert_false(armour_read(exact, len, &kind, &data, &why));
	assert_int_equal(data.len, 0);
	assert_int_equal(kind, ARMOUR_KINDS);
	assert_non_null(why.s);
	if (reason)
		assert_string_equal(why.s, reason);
	assert_null(strchr(why.s, '\n'));
	text_done(&data);
	text_done(&why);
	free(exact);
}

/* 'text' with each 'from' replaced. */
static char *replaced(const char *text, const char *from, const char *to)
{
	struct text t = { 0 };
	const char *at;

	for (; (at = strstr(text, from)); text = at + strlen(from)) {
		text_add_bytes(&t, text, (size_t)(at - text));
		text_add(&t, to);
	}
	text_add(&t, text);
	return t.s;
}

static void every_kind_and_length(void **state)
{
	(void)state;
	for (int kind = 0; kind < ARMOUR_KINDS; kind++) {
		for (size_t len = 0; len <= sizeof(bytes); len++) {
			char *text = made((enum armour_kind)kind, len);

			assert_read(text, strlen(text), (enum armour_kind)kind, len);
			free(text);
		}
	}
}

static void lines_are_short(void **state)
{
	char *text = made(ARMOUR_MESH, sizeof(bytes));

	(void)state;
	assert_memory_equal(text, "-----BEGIN MESHD MESH-----\n" HEADERS "\n", strlen("-----BEGIN MESHD MESH-----\n" HEADERS "\n"));
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
		assert_true(strcspn(p, "\n") <= 64);
	free(text);
}

static void mail_may_do_this(void **state)
{
	static const char *const done[][2] = { { "\n", "\r\n" }, { "\n", " \t \n" }, { "\n", "\t\r\n" } };
	char *text = made(ARMOUR_INVITATION, 200), *other;
	struct text mail = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		other = replaced(text, done[i][0], done[i][1]);
		assert_read(other, strlen(other), ARMOUR_INVITATION, 200);
		free(other);
	}
	/* Around it; without an end of the last line; other lengths of lines. */
	text_addf(&mail, "Hello,\n> you wrote\n-- \n\n%sbye\n=abc\n: \n", text);
	assert_read(mail.s, mail.len, ARMOUR_INVITATION, 200);
	assert_read(text, strlen(text) - 1, ARMOUR_INVITATION, 200);
	other = replaced(text, "/", "/\n");
	assert_read(other, strlen(other), ARMOUR_INVITATION, 200);
	free(other);
	text_done(&mail);
	free(text);
}

static void every_truncation(void **state)
{
	char *text = made(ARMOUR_MESH, 100);
	size_t len = strlen(text);

	(void)state;
	for (size_t n = 0; n < len - 1; n++)
		assert_refused(text, n, n < strlen("-----BEGIN MESHD ") ? "there is no block of meshd in it" : NULL);
	free(text);
}

/* Any one byte of what was encoded, or of its checksum. */
static void every_changed_byte(void **state)
{
	char *text = made(ARMOUR_MESH, 100), *body = strstr(text, "\n\n") + 2;
	char *end = strstr(text, "\n-----END");

	(void)state;
	for (char *p = body; p < end; p++) {
		char was = *p;

		if (was == '\n')
			continue;
		for (const char *to = "AQg0+/=!- \n"; *to; to++) {
			*p = *to;
			if (*to != was && !(*to == '\n' && (p[1] == '\n')))
				assert_refused(text, strlen(text), NULL);
		}
		*p = was;
	}
	assert_read(text, strlen(text), ARMOUR_MESH, 100);
	free(text);
}

static void refused_for_a_reason(void **state)
{
	static const struct {
		const char *from, *to, *reason;
	} v[] = {
		{ "-----BEGIN", "> -----BEGIN", "line 1: the block is quoted or indented: give it as it was sent" },
		{ "\n", "\n> ", "line 4: this is no header, and no empty line has ended them" },
		{ "-----BEGIN", "  -----BEGIN", "line 1: the block is quoted or indented: give it as it was sent" },
		{ "BEGIN MESHD MESH", "BEGIN MESHD MUSH", "line 1: a block of a kind this meshd does not know" },
		{ "BEGIN MESHD MESH", "BEGIN MESHD INVITATION", "line 8: the block ends as another kind than it began" },
		{ "END MESHD MESH", "END MESHD MESH OF", "line 8: the block ends as another kind than it began" },
		{ "Mesh: home", "Mesh home", "line 2: this is no header, and no empty line has ended them" },
		{ "=\n\n", "=\n", "line 4: this is no header, and no empty line has ended them" },
		{ "\n-----END", "\nmore\n-----END", "line 8: something follows the checksum" },
		{ "-----BEGIN MESHD MESH-----\n", "-----BEGIN PGP MESSAGE-----\n", "there is no block of meshd in it" },
		{ "-----END MESHD MESH-----\n", "", "the block has no end: it was cut short" },
		{ "Mesh: home\n", "-----BEGIN MESHD MESH-----\n", "line 2: a block begins before the last one has ended" },
	};
	char *text = made(ARMOUR_MESH, 60), *other, *check;
	struct text two = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		other = replaced(text, v[i].from, v[i].to);
		assert_refused(other, strlen(other), v[i].reason);
		free(other);
	}
	text_addf(&two, "%s\n%s", text, text);
	assert_refused(two.s, two.len, "line 10: there are two blocks: which one is meant?");
	text_done(&two);
	check = strstr(text, "\n=");
	memset(check + 2, 'A', 8);
	assert_refused(text, strlen(text), "the block is damaged: its checksum is wrong");
	check[9] = '!';
	assert_refused(text, strlen(text), "line 7: the checksum is malformed");
	check[1] = 'A';
	assert_refused(text, strlen(text), "line 8: the block ends without a checksum: something is missing");
	free(text);
}

static void large_ones(void **state)
{
	static const char fills[] = { 0, '\n', ' ', '>', '=', 'A', '\r', '-' };
	char *text = malloc(BOOTSTRAP_SIZE_MAX + 1), *block = made(ARMOUR_MESH, 30);
	size_t head = (size_t)(strstr(block, "\n\n") - block) + 2;

	(void)state;
	for (size_t i = 0; i < sizeof(fills); i++) {
		memset(text, fills[i], BOOTSTRAP_SIZE_MAX + 1);
		assert_refused(text, BOOTSTRAP_SIZE_MAX, "there is no block of meshd in it");
		assert_refused(text, BOOTSTRAP_SIZE_MAX + 1, "it is longer than 8388608 bytes");
		memcpy(text, block, head);
		assert_refused(text, BOOTSTRAP_SIZE_MAX, NULL);
	}
	free(block);
	free(text);
}

static void headers(void **state)
{
	char *text = made(ARMOUR_MESH, 60), value[8];

	(void)state;
	assert_true(armour_header(text, strlen(text), "Mesh", value, sizeof(value)));
	assert_string_equal(value, "home");
	assert_true(armour_header(text, strlen(text), "Key", value, sizeof(value)));
	assert_string_equal(value, "abc=");
	assert_false(armour_header(text, strlen(text), "Mes", value, sizeof(value)));
	assert_false(armour_header(text, strlen(text), "Mesh", value, 4));
	assert_false(armour_header("Mesh: x\n", 8, "Mesh", value, sizeof(value)));
	free(text);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_and_length),
		cmocka_unit_test(lines_are_short),
		cmocka_unit_test(mail_may_do_this),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(every_changed_byte),
		cmocka_unit_test(refused_for_a_reason),
		cmocka_unit_test(large_ones),
		cmocka_unit_test(headers),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
