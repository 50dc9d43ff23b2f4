/* SPDX-License-Identifier: MIT */
/* The JSON writer: whole documents, so commas, breaks and nesting are seen where they go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/json.h"

static void nesting(void **state)
{
	struct text out = { 0 };
	struct json j = { .out = &out };

	(void)state;
	json_object(&j, NULL);
	json_array(&j, "empty");
	json_array_end(&j);
	json_object(&j, "nothing");
	json_object_end(&j);
	json_array(&j, "list");
	json_uint(&j, NULL, 1);
	json_object(&j, NULL);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_object_end(&j);
	json_null(&j, NULL);
	json_array_end(&j);
	json_int(&j, "after", -5);
	json_object_end(&j);
	json_end(&j);
	assert_string_equal(out.s, "{\n"
				   "  \"empty\": [],\n"
				   "  \"nothing\": {},\n"
				   "  \"list\": [\n"
				   "    1,\n"
				   "    {\n"
				   "      \"yes\": true,\n"
				   "      \"no\": false\n"
				   "    },\n"
				   "    null\n"
				   "  ],\n"
				   "  \"after\": -5\n"
				   "}\n");
	text_done(&out);
}

static void numbers(void **state)
{
	struct text out = { 0 };
	struct json j = { .out = &out };

	(void)state;
	json_array(&j, NULL);
	json_uint(&j, NULL, UINT64_MAX);
	json_int(&j, NULL, INT64_MIN);
	json_array_end(&j);
	assert_string_equal(out.s, "[\n  18446744073709551615,\n  -9223372036854775808\n]");
	text_done(&out);
}

static void escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} c[] = {
		/*  1 */ { "", "\"\"" },
		/*  2 */ { "plain", "\"plain\"" },
		/*  3 */ { "a\"b\\c", "\"a\\\"b\\\\c\"" },
		/*  4 */ { "\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\\u007f\"" },
		/*  5 */ { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"" },
		/*  6 */ { "\xff", "\"\xef\xbf\xbd\"" },
		/*  7 */ { "\xc3", "\"\xef\xbf\xbd\"" },				/* cut short */
		/*  8 */ { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		/*  9 */ { "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },		/* overlong */
		/* 10 */ { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },	/* a surrogate */
		/* 11 */ { "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		/* 12 */ { "\xc3(", "\"\xef\xbf\xbd(\"" },
		/* 13 */ { "/", "\"/\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct text out = { 0 };
		struct json j = { .out = &out };

		print_message("case %zu\n", i + 1);
		json_string(&j, NULL, c[i].in);
		assert_string_equal(out.s, c[i].out);
		text_done(&out);
	}
}

static void keys_are_escaped_and_empty_is_null(void **state)
{
	struct text out = { 0 };
	struct json j = { .out = &out };

	(void)state;
	json_object(&j, NULL);
	json_string_or_null(&j, "a\"", "");
	json_string_or_null(&j, "b", NULL);
	json_string_or_null(&j, "c", "x");
	json_object_end(&j);
	assert_string_equal(out.s, "{\n  \"a\\\"\": null,\n  \"b\": null,\n  \"c\": \"x\"\n}");
	text_done(&out);
}

static void too_deep_fails(void **state)
{
	struct text out = { 0 };
	struct json j = { .out = &out };

	(void)state;
	for (unsigned int i = 0; i < JSON_DEPTH_MAX; i++)
		json_array(&j, NULL);
	assert_false(out.failed);
	json_array(&j, NULL);
	assert_true(out.failed);
	text_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting),
		cmocka_unit_test(numbers),
		cmocka_unit_test(escapes),
		cmocka_unit_test(keys_are_escaped_and_empty_is_null),
		cmocka_unit_test(too_deep_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
