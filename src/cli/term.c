/* SPDX-License-Identifier: MIT */
/*
 * Text for people. Sizes in powers of two and rates in powers of ten, ages in the two largest units that say
 * something. Colours are the sixteen every terminal has; without colour the same text comes out bare, so
 * nothing is ever told by colour alone.
 *
 * Names and host names are written by whoever made the config: bytes that could steer a terminal are not passed on.
 */
#include "cli/term.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"

enum { UNITS = 5 };

static const char *const escapes[] = {
	[STYLE_PLAIN] = "",
	[STYLE_LABEL] = "\033[1m",
	[STYLE_INTERFACE] = "\033[1;32m",
	[STYLE_PEER] = "\033[1;33m",
	[STYLE_GOOD] = "\033[32m",
	[STYLE_BAD] = "\033[1;31m",
};

bool term_wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_color && *no_color)
		return false;
	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb");
}

/* C0, DEL, and the first byte of C1 in UTF-8 (U+0080..U+009F begin with 0xc2 and go on below 0xa0). */
static bool steers(const char *p)
{
	unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];

	return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);
}

void term_add(struct text *out, bool colour, enum term_style style, const char *s)
{
	bool styled = colour && style != STYLE_PLAIN;

	if (styled)
		text_add(out, escapes[style]);
	for (; *s; s++) {
		if (steers(s)) {
			text_add(out, "?");
			if ((unsigned char)*s == 0xc2)
				s++;
		} else {
			text_add_bytes(out, s, 1);
		}
	}
	if (styled)
		text_add(out, "\033[0m");
}

unsigned int term_width(const char *s)
{
	unsigned int columns = 0;

	for (; *s; s++)
		columns += ((unsigned char)*s & 0xc0) != 0x80;
	return columns;
}

void term_add_padded(struct text *out, bool colour, enum term_style style, const char *s, unsigned int width)
{
	term_add(out, colour, style, s);
	for (unsigned int n = term_width(s); n < width; n++)
		text_add(out, " ");
}

void term_put(struct term_page *p, enum term_style style, const char *fmt, ...)
{
	char s[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s, sizeof(s), fmt, ap);
	va_end(ap);
	term_add(p->out, p->colour, style, s);
}

void term_cell_set(struct term_cell *cell, enum term_style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cell->text, sizeof(cell->text), fmt, ap);
	va_end(ap);
	cell->style = style;
}

/* How wide a column is. */
static unsigned int width_of(const struct term_cell *cells, size_t lines, unsigned int columns, unsigned int c)
{
	unsigned int widest = 0;

	for (size_t i = 0; i < lines; i++) {
		unsigned int width = term_width(cells[i * columns + c].text);

		if (width > widest)
			widest = width;
	}
	return widest;
}

void term_table(struct text *out, bool colour, const struct term_cell *cells, size_t lines, unsigned int columns, unsigned int first)
{
	unsigned int width[TERM_COLUMNS_MAX] = { 0 };

	for (unsigned int c = first; c + 1 < columns && c < TERM_COLUMNS_MAX; c++)
		width[c] = width_of(cells, lines, columns, c) + 2;
	for (size_t i = 0; i < lines; i++) {
		for (unsigned int c = first; c < columns && c < TERM_COLUMNS_MAX; c++) {
			const struct term_cell *cell = &cells[i * columns + c];

			term_add_padded(out, colour, cell->style, cell->text, width[c]);
		}
		text_add(out, "\n");
	}
}

char *term_size(uint64_t bytes, char out[TERM_TEXT_MAX])
{
	static const char *const unit[UNITS] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned int i = 0;

	if (bytes < 1024) {
		snprintf(out, TERM_TEXT_MAX, "%" PRIu64 " B", bytes);
		return out;
	}
	/* 1023.995 would be written as 1024.00. */
	for (; value >= 1023.995 && i < UNITS - 1; i++)
		value /= 1024;
	snprintf(out, TERM_TEXT_MAX, "%.2f %s", value, unit[i]);
	return out;
}

char *term_rate(uint64_t bytes_per_s, char out[TERM_TEXT_MAX])
{
	static const char *const unit[UNITS] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	double value = (double)bytes_per_s * 8;
	unsigned int i = 0;

	for (; value >= 999.95 && i < UNITS - 1; i++)
		value /= 1000;
	snprintf(out, TERM_TEXT_MAX, "%.*f %s", i ? 1 : 0, value, unit[i]);
	return out;
}

static const struct {
	uint64_t seconds;
	const char *name, *letter;
} spans[] = {
	{ 365 * 86400, "year", "y" },
	{ 86400, "day", "d" },
	{ 3600, "hour", "h" },
	{ 60, "minute", "m" },
	{ 1, "second", "s" },
};

enum { SPANS = sizeof(spans) / sizeof(spans[0]) };

/* The largest unit in 'seconds'; the smallest for 0. */
static unsigned int largest_span(uint64_t seconds)
{
	unsigned int i = 0;

	while (i < SPANS - 1 && seconds < spans[i].seconds)
		i++;
	return i;
}

char *term_duration(uint64_t seconds, char out[TERM_TEXT_MAX])
{
	unsigned int i = largest_span(seconds);
	uint64_t n = seconds / spans[i].seconds, rest = seconds % spans[i].seconds;
	int len = snprintf(out, TERM_TEXT_MAX, "%" PRIu64 " %s%s", n, spans[i].name, n == 1 ? "" : "s");

	if (i < SPANS - 1 && rest >= spans[i + 1].seconds) {
		n = rest / spans[i + 1].seconds;
		snprintf(out + len, TERM_TEXT_MAX - (size_t)len, ", %" PRIu64 " %s%s", n, spans[i + 1].name,
			 n == 1 ? "" : "s");
	}
	return out;
}

char *term_duration_short(uint64_t seconds, char out[TERM_TEXT_MAX])
{
	unsigned int i = largest_span(seconds);
	uint64_t rest = seconds % spans[i].seconds;
	int len = snprintf(out, TERM_TEXT_MAX, "%" PRIu64 "%s", seconds / spans[i].seconds, spans[i].letter);

	if (i < SPANS - 1 && rest >= spans[i + 1].seconds)
		snprintf(out + len, TERM_TEXT_MAX - (size_t)len, " %" PRIu64 "%s", rest / spans[i + 1].seconds,
			 spans[i + 1].letter);
	return out;
}

char *term_age(int64_t then_ns, int64_t now_ns, char out[TERM_TEXT_MAX])
{
	if (!then_ns) {
		strcpy(out, "never");
	} else if (now_ns < then_ns) {
		strcpy(out, "in the future (the clock was set back)");
	} else if ((now_ns - then_ns) / NS_PER_S == 0) {
		strcpy(out, "now");
	} else {
		term_duration((uint64_t)((now_ns - then_ns) / NS_PER_S), out);
		strcat(out, " ago");
	}
	return out;
}

char *term_age_short(int64_t then_ns, int64_t now_ns, char out[TERM_TEXT_MAX])
{
	if (!then_ns)
		strcpy(out, "never");
	else if ((now_ns - then_ns) / NS_PER_S <= 0)
		strcpy(out, "now");
	else
		term_duration_short((uint64_t)((now_ns - then_ns) / NS_PER_S), out);
	return out;
}
