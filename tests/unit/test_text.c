/* SPDX-License-Identifier: MIT */
/* Text that grows, and log records, which are text that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/text.h"

static void builds(void **state)
{
	struct text t = { 0 };

	(void)state;
	text_add(&t, "");
	assert_string_equal(t.s, "");		/* terminated once anything was added, be it nothing */
	text_add(&t, "one ");
	text_addf(&t, "%d %s", 2, "three");
	text_add_bytes(&t, "\0four", 5);
	assert_int_equal(t.len, 16);
	assert_memory_equal(t.s, "one 2 three\0four", 17);
	text_add_bytes(&t, NULL, 0);
	assert_int_equal(t.len, 16);
	assert_false(t.failed);

	text_reset(&t);
	assert_int_equal(t.len, 0);
	assert_string_equal(t.s, "");
	text_addf(&t, "%s", "again");
	assert_string_equal(t.s, "again");
	text_done(&t);
	assert_null(t.s);
	assert_int_equal(t.len, 0);
	assert_int_equal(t.size, 0);
}

/* Every length around every doubling, added in one piece and in pieces, formatted and not. */
static void grows(void **state)
{
	static char big[3000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	for (int n = 0; n < 2100; n++) {
		struct text whole = { 0 }, pieces = { 0 };

		text_addf(&whole, "%.*s", n, big);
		for (int at = 0; at < n; at += 7)
			text_add_bytes(&pieces, big + at, (size_t)(n - at < 7 ? n - at : 7));
		assert_int_equal(whole.len, n);
		assert_int_equal(pieces.len, n);
		assert_true(whole.len < whole.size);
		assert_int_equal(strlen(whole.s), n);
		if (n) {
			assert_string_equal(whole.s, pieces.s);
			assert_memory_equal(whole.s, big, (size_t)n);
		}
		text_done(&whole);
		text_wipe(&pieces);
		assert_null(pieces.s);
	}
}

/* A size no memory can have: the failure sticks, and what was there stays readable. */
static void failure_sticks(void **state)
{
	struct text t = { 0 };

	(void)state;
	text_add(&t, "kept");
	text_add_bytes(&t, "x", SIZE_MAX / 2);
	assert_true(t.failed);
	text_add(&t, "more");
	text_addf(&t, "%d", 1);
	assert_string_equal(t.s, "kept");
	assert_int_equal(t.len, 4);
	text_reset(&t);
	assert_false(t.failed);
	text_add(&t, "anew");
	assert_string_equal(t.s, "anew");
	text_wipe(&t);
	assert_null(t.s);
	assert_false(t.failed);
}

struct sink {
	int count;
	enum log_level level;
	char line[1024];
};

static void emit(void *ctx, enum log_level level, const char *line)
{
	struct sink *s = ctx;

	s->count++;
	s->level = level;
	snprintf(s->line, sizeof(s->line), "%s", line);
}

static void log_records(void **state)
{
	struct sink s = { 0 };
	struct log log = { .emit = emit, .ctx = &s }, silent = { 0 };
	char longest[600];

	(void)state;
	log_warning(&log, "peer %d: %s", 7, "gone");
	assert_int_equal(s.level, LOG_LEVEL_WARNING);
	assert_string_equal(s.line, "peer 7: gone");
	log_error(&log, "%s", "a\nb\r\x1b[31m\x7f\t\xc3\xa4");	/* no second line, no colours; UTF-8 stays */
	assert_int_equal(s.level, LOG_LEVEL_ERROR);
	assert_string_equal(s.line, "a?b??[31m??\xc3\xa4");
	assert_int_equal(s.count, 2);

	memset(longest, 'y', sizeof(longest) - 1);
	longest[511] = '\0';
	log_info(&log, "%s", longest);		/* just fits */
	assert_string_equal(s.line, longest);
	log_debug(&log, "%sz", longest);	/* one too many */
	assert_int_equal(s.level, LOG_LEVEL_DEBUG);
	assert_int_equal(strlen(s.line), 511);
	assert_string_equal(s.line + 507, "y...");

	log_error(&silent, "%s", "nobody listens");
	assert_int_equal(s.count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds),
		cmocka_unit_test(grows),
		cmocka_unit_test(failure_sticks),
		cmocka_unit_test(log_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
