/* SPDX-License-Identifier: MIT */
/* The options of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/options.h"

/* A command line in one string, cut at blanks. */
struct line {
	char text[200], *argv[12];
	int argc;
};

static void cut(struct line *l, const char *text)
{
	char *rest = NULL;

	snprintf(l->text, sizeof(l->text), "%s", text);
	l->argc = 0;
	for (char *word = strtok_r(l->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		l->argv[l->argc++] = word;
	l->argv[l->argc] = NULL;
}

static void reads(void **state)
{
	static const struct {
		const char *line;
		int words;			/* -1: refused */
		bool json, all;
		const char *reason, *first;	/* value and first word; NULL: none */
	} cases[] = {
		/* 1 */ { "show", 0, false, false, NULL, NULL },
		/* 2 */ { "show a b", 2, false, false, NULL, "a" },
		/* 3 */ { "show --json a", 1, true, false, NULL, "a" },
		/* 4 */ { "show a --json b --all", 2, true, true, NULL, "a" },
		/* 5 */ { "show -ja", 0, true, true, NULL, NULL },
		/* 6 */ { "show --reason why a", 1, false, false, "why", "a" },
		/* 7 */ { "show --reason=why --reason=not", 0, false, false, "not", NULL },
		/* 8 */ { "show -r why a", 1, false, false, "why", "a" },
		/* 9 */ { "show --js a", 1, true, false, NULL, "a" },
		/* 10 */ { "show -- --json", 1, false, false, NULL, "--json" },
		/* A value missing, one too many, what nobody knows, a long one that has no letter. */
		/* 11 */ { "show --reason", -1, false, false, NULL, NULL },
		/* 12 */ { "show --json=yes", -1, false, false, NULL, NULL },
		/* 13 */ { "show --what", -1, false, false, NULL, NULL },
		/* 14 */ { "show -x", -1, false, false, NULL, NULL },
		/* 15 */ { "show -l", -1, false, false, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool json = false, all = false, lone = false;
		const char *reason = NULL;
		const struct cli_option options[] = {
			{ "json", 'j', &json, NULL }, { "all", 'a', &all, NULL }, { "reason", 'r', NULL, &reason }, { "lone", 0, &lone, NULL }, { 0 },
		};
		struct line l;
		int at;

		print_message("case %zu\n", i + 1);
		cut(&l, cases[i].line);
		at = cli_options(options, l.argc, l.argv);
		if (cases[i].words < 0) {
			assert_int_equal(at, -1);
			continue;
		}
		assert_int_equal(l.argc - at, cases[i].words);
		assert_int_equal(json, cases[i].json);
		assert_int_equal(all, cases[i].all);
		if (cases[i].reason)
			assert_string_equal(reason, cases[i].reason);
		else
			assert_null(reason);
		if (cases[i].first)
			assert_string_equal(l.argv[at], cases[i].first);
	}
}

/* Of a command that shows something: the first word is an interface's name. */
static void words(void **state)
{
	bool json = false;
	const struct cli_option options[] = { { "json", 'j', &json, NULL }, { 0 } };
	const char *v[2];
	struct line l;

	(void)state;
	cut(&l, "paths wg0 alpha --json");
	assert_int_equal(ask_arguments(options, "paths", l.argc, l.argv, v, 2), CLI_DONE);
	assert_string_equal(v[0], "wg0");
	assert_string_equal(v[1], "alpha");
	assert_true(json);
	cut(&l, "paths");
	assert_int_equal(ask_arguments(options, "paths", l.argc, l.argv, v, 2), CLI_DONE);
	assert_null(v[0]);
	assert_null(v[1]);
	cut(&l, "paths wg0 alpha beta");
	assert_int_equal(ask_arguments(options, "paths", l.argc, l.argv, v, 2), CLI_USAGE);
	cut(&l, "paths no/name");
	assert_int_equal(ask_arguments(options, "paths", l.argc, l.argv, v, 2), CLI_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
