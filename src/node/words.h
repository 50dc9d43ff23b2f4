/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_WORDS_H
#define MESHD_NODE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* Words, lists and numbers of config files. ASCII, whatever the locale. */

bool word_is_blank(char ch);
bool word_is_digit(char ch);
bool word_is_alnum(char ch);

/* In any case. */
bool word_equal(const char *a, const char *b);
char word_lower(char ch);

/* Take the blanks at both ends off, in place. */
char *words_trim(char *s);

/* Take every blank out, in place. */
char *words_squeeze(char *s);

/* The next word of a list between blanks and commas, cut off from '*rest'; NULL: no more. */
char *words_next(char **rest);

/* Allocated; NULL: no memory. */
char *word_copy(const char *s);

enum word_radix {
	RADIX_10,
	RADIX_10_16,	/* hexadecimal behind 0x */
	RADIX_ANY,	/* and octal behind 0, as strtoul(3) does and so ip(8) */
};

/* The whole word must be a number of at most 'max', digits without a sign. 'out' is untouched on failure. */
bool word_to_number(const char *s, enum word_radix allowed, uint32_t max, uint32_t *out);

/*
 * Bits a second as tc(8) writes them: a number, perhaps with a decimal point, and bit, kbit, mbit or gbit (of 1000) in any
 * case; none means bit. Rounded down, so that below 1 is 0. False: no rate, or beyond 64 bits. 'out' is untouched on failure.
 */
bool word_to_rate(const char *s, uint64_t *bps);

/*
 * A time as babeld writes it: a number of seconds, perhaps with a decimal point; or with s or ms behind it. In microseconds, rounded
 * down. False: no time, or above a day. 'out' is untouched on failure.
 */
bool word_to_time(const char *s, int64_t *us);

/* The unit, and what it counts, in which a rate is a whole number and the smallest. */
const char *word_rate_unit(uint64_t bps, uint64_t *unit);

#endif
