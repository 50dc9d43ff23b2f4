/* SPDX-License-Identifier: MIT */
/* Base64: the vectors of RFC 4648, lengths around those of a block, and that only one text means some bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/base64.h"
#include "crypto/key.h"

static void vectors(void **state)
{
	static const char *const v[][3] = {
		{ "", "", "" }, { "f", "Zg==", "Zg" }, { "fo", "Zm8=", "Zm8" }, { "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" }, { "fooba", "Zm9vYmE=", "Zm9vYmE" }, { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xfb\xff", "+/8=", "-_8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		for (int kind = BASE64_PADDED; kind <= BASE64_URL; kind++) {
			const char *text = v[i][1 + kind];
			struct text out = { 0 };

			text_add(&out, "");
			base64_encode((enum base64_kind)kind, v[i][0], strlen(v[i][0]), &out);
			assert_string_equal(out.s, text);
			text_reset(&out);
			assert_true(base64_decode((enum base64_kind)kind, text, strlen(text), &out));
			assert_int_equal(out.len, strlen(v[i][0]));
			assert_memory_equal(out.s, v[i][0], out.len);
			text_done(&out);
		}
	}
}

static void any_length_comes_back(void **state)
{
	uint8_t data[2400];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t len = 0; len <= sizeof(data); len += len > 760 && len < 780 ? 1 : len > 1530 && len < 1540 ? 1 : 19) {
		struct text text = { 0 }, back = { 0 };

		base64_encode(BASE64_URL, data, len, &text);
		assert_int_equal(text.len, (len * 4 + 2) / 3);
		assert_true(base64_decode(BASE64_URL, text.s ? text.s : "", text.len, &back));
		assert_int_equal(back.len, len);
		assert_memory_equal(back.s ? back.s : "", data, len);
		text_done(&text);
		text_done(&back);
	}
}

/* What is refused leaves what was there before it. */
static void assert_refused(enum base64_kind kind, const char *text, size_t len)
{
	struct text out = { 0 };

	text_add(&out, "before");
	assert_false(base64_decode(kind, text, len, &out));
	assert_string_equal(out.s, "before");
	assert_int_equal(out.len, 6);
	assert_false(out.failed);
	text_done(&out);
}

static void others_are_refused(void **state)
{
	static const char *const padded[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9 v", "Zm9v\n", "-_8=", "====", "Zm9v=" };
	static const char *const url[] = { "Z", "Zg==", "Zh", "Zm9", "+/8", "Zm9vY" };
	char long_text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(padded) / sizeof(padded[0]); i++)
		assert_refused(BASE64_PADDED, padded[i], strlen(padded[i]));
	for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++)
		assert_refused(BASE64_URL, url[i], strlen(url[i]));
	/* Padding at the end of the first block, garbage in the second. */
	memset(long_text, 'A', sizeof(long_text));
	long_text[1023] = '=';
	assert_refused(BASE64_PADDED, long_text, sizeof(long_text));
	long_text[1023] = 'A';
	long_text[2000] = '!';
	assert_refused(BASE64_PADDED, long_text, sizeof(long_text));
	assert_refused(BASE64_PADDED, "Zm9v\0", 8);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(any_length_comes_back),
		cmocka_unit_test(others_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
