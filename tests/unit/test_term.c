/* SPDX-License-Identifier: MIT */
/* What people read: sizes, rates, ages, padding and colour. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/instant.h"
#include "cli/term.h"

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} c[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.00 KiB" },
		{ 1536, "1.50 KiB" },
		{ 1024 * 1024 - 1, "1.00 MiB" },	/* not 1024.00 KiB */
		{ 1024 * 1024, "1.00 MiB" },
		{ UINT64_C(5) << 30, "5.00 GiB" },
		{ UINT64_C(3) << 40, "3.00 TiB" },
		{ UINT64_MAX, "16777216.00 TiB" },
	};
	char out[TERM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		assert_string_equal(term_size(c[i].bytes, out), c[i].text);
}

static void rates(void **state)
{
	static const struct {
		uint64_t bytes_per_s;
		const char *text;
	} c[] = {
		{ 0, "0 bit/s" },
		{ 1, "8 bit/s" },
		{ 124, "992 bit/s" },
		{ 125, "1.0 kbit/s" },
		{ 150000, "1.2 Mbit/s" },
		{ 124999, "1.0 Mbit/s" },	/* not 1000.0 kbit/s */
		{ 125000000, "1.0 Gbit/s" },
		{ UINT64_C(125000000000), "1.0 Tbit/s" },
	};
	char out[TERM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		assert_string_equal(term_rate(c[i].bytes_per_s, out), c[i].text);
}

static void durations(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text, *brief;
	} c[] = {
		{ 0, "0 seconds", "0s" },
		{ 1, "1 second", "1s" },
		{ 59, "59 seconds", "59s" },
		{ 60, "1 minute", "1m" },
		{ 63, "1 minute, 3 seconds", "1m 3s" },
		{ 3599, "59 minutes, 59 seconds", "59m 59s" },
		{ 3600, "1 hour", "1h" },
		{ 3605, "1 hour", "1h" },		/* seconds do not matter after hours */
		{ 7260, "2 hours, 1 minute", "2h 1m" },
		{ 86400 + 3600, "1 day, 1 hour", "1d 1h" },
		{ 365 * 86400, "1 year", "1y" },
		{ 2 * 365 * 86400 + 86400, "2 years, 1 day", "2y 1d" },
		{ UINT64_MAX, "584942417355 years, 26 days", "584942417355y 26d" },
	};
	char out[TERM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		assert_string_equal(term_duration(c[i].seconds, out), c[i].text);
		assert_string_equal(term_duration_short(c[i].seconds, out), c[i].brief);
	}
}

static void ages(void **state)
{
	const int64_t now = 1700000000 * NS_PER_S;
	char out[TERM_TEXT_MAX];

	(void)state;
	assert_string_equal(term_age(0, now, out), "never");
	assert_string_equal(term_age(now, now, out), "now");
	assert_string_equal(term_age(now - NS_PER_S + 1, now, out), "now");
	assert_string_equal(term_age(now - 63 * NS_PER_S, now, out), "1 minute, 3 seconds ago");
	assert_string_equal(term_age(now + 1, now, out), "in the future (the clock was set back)");
	assert_string_equal(term_age_short(0, now, out), "never");
	assert_string_equal(term_age_short(now + NS_PER_S, now, out), "now");
	assert_string_equal(term_age_short(now - 63 * NS_PER_S, now, out), "1m 3s");
}

static void added(const char *want, bool colour, enum term_style style, const char *s, unsigned int width)
{
	struct text out = { 0 };

	term_add_padded(&out, colour, style, s, width);
	assert_string_equal(out.s, want);
	text_done(&out);
}

static void styles_and_padding(void **state)
{
	(void)state;
	added("ab   ", false, STYLE_BAD, "ab", 5);
	added("\033[1;31mab\033[0m   ", true, STYLE_BAD, "ab", 5);
	added("ab", true, STYLE_PLAIN, "ab", 0);
	added("abcdef", false, STYLE_PLAIN, "abcdef", 3);
	added("f\xc3\xbcr  ", false, STYLE_PLAIN, "f\xc3\xbcr", 5);	/* three columns, four bytes */
	assert_int_equal(term_width("f\xc3\xbcr"), 3);
}

static void terminals_are_not_steered(void **state)
{
	(void)state;
	added("?[2J?x", false, STYLE_PLAIN, "\033[2J\rx", 0);
	added("a?b?", false, STYLE_PLAIN, "a\x7f" "b\n", 0);
	added("a?[b", false, STYLE_PLAIN, "a\xc2\x9b[b", 0);		/* C1: CSI in one character */
	added("\xc2\xa0", false, STYLE_PLAIN, "\xc2\xa0", 0);		/* no control, though it starts alike */
}

/* Stdout becomes 'fd' for one question. */
static bool colour_on(int fd)
{
	int saved = dup(STDOUT_FILENO);
	bool colour;

	assert_true(saved >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
	colour = term_wants_colour();
	dup2(saved, STDOUT_FILENO);
	close(saved);
	return colour;
}

static void colour_only_for_terminals(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), file = open("/dev/null", O_WRONLY);

	(void)state;
	assert_true(terminal >= 0 && file >= 0);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	assert_true(colour_on(terminal));
	assert_false(colour_on(file));
	setenv("NO_COLOR", "", 1);
	assert_true(colour_on(terminal));
	setenv("NO_COLOR", "1", 1);
	assert_false(colour_on(terminal));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	assert_false(colour_on(terminal));
	close(terminal);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(rates),
		cmocka_unit_test(durations),
		cmocka_unit_test(ages),
		cmocka_unit_test(styles_and_padding),
		cmocka_unit_test(terminals_are_not_steered),
		cmocka_unit_test(colour_only_for_terminals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
