/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_TERM_H
#define MESHD_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* What people read: colours, and numbers with units. All but term_wants_colour() are pure. */

enum term_style {
	STYLE_PLAIN,
	STYLE_LABEL,
	STYLE_INTERFACE,
	STYLE_PEER,
	STYLE_GOOD,
	STYLE_BAD,
};

/* Colour only where a person looks: stdout is a terminal that is not dumb, and NO_COLOR is not set. */
bool term_wants_colour(void);

/* Add 's' in a style; what could steer a terminal is shown as '?'. */
void term_add(struct text *out, bool colour, enum term_style style, const char *s);

/* The same, filled with blanks to 'width' columns (UTF-8 counts a column a character). */
void term_add_padded(struct text *out, bool colour, enum term_style style, const char *s, unsigned int width);

/* A text that is put together piece by piece. */
struct term_page {
	struct text *out;
	bool colour;
};

/* Add a piece in a style; what is beyond 255 bytes of it is left out. */
void term_put(struct term_page *p, enum term_style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Columns that 's' takes. */
unsigned int term_width(const char *s);

enum {
	TERM_TEXT_MAX = 64,
	TERM_COLUMNS_MAX = 16,
};

struct term_cell {
	char text[128];
	enum term_style style;
};

/* Fill a cell; what does not fit is left out. */
void term_cell_set(struct term_cell *cell, enum term_style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Lines of 'columns' cells each, line by line; columns before 'first' are not shown. A column is as wide as its widest cell, the last
 * one is not filled.
 */
void term_table(struct text *out, bool colour, const struct term_cell *cells, size_t lines, unsigned int columns, unsigned int first);

/* 1536 -> "1.50 KiB", as wg(8) writes it. */
char *term_size(uint64_t bytes, char out[TERM_TEXT_MAX]);

/* Bytes a second -> "1.2 Mbit/s": links are sold in powers of ten. */
char *term_rate(uint64_t bytes_per_s, char out[TERM_TEXT_MAX]);

/* 63 -> "1 minute, 3 seconds": the two largest units. */
char *term_duration(uint64_t seconds, char out[TERM_TEXT_MAX]);

/* 63 -> "1m 3s", for columns. */
char *term_duration_short(uint64_t seconds, char out[TERM_TEXT_MAX]);

/* Since 'then_ns' at 'now_ns': "never" (0), "1 minute, 3 seconds ago", "now", or that a clock was set back. */
char *term_age(int64_t then_ns, int64_t now_ns, char out[TERM_TEXT_MAX]);

/* For columns: "never", "1m 3s", "now". */
char *term_age_short(int64_t then_ns, int64_t now_ns, char out[TERM_TEXT_MAX]);

#endif
