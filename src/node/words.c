/* SPDX-License-Identifier: MIT */
/*
 * Words of config files. Everything works in place on text that may be cut up, and knows ASCII only: what locale the
 * program runs in makes no difference to what a file means. Blanks are those of isspace(3) in the C locale, so that the CR
 * of a CRLF is one at the end of its line.
 */
#include "node/words.h"

#include <stdlib.h>
#include <string.h>

bool word_is_blank(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

bool word_is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

char word_lower(char ch)
{
	return ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
}

bool word_is_alnum(char ch)
{
	return word_is_digit(ch) || (word_lower(ch) >= 'a' && word_lower(ch) <= 'z');
}

bool word_equal(const char *a, const char *b)
{
	while (*a && word_lower(*a) == word_lower(*b))
		a++, b++;
	return !*a && !*b;
}

char *words_trim(char *s)
{
	size_t len;

	while (word_is_blank(*s))
		s++;
	for (len = strlen(s); len && word_is_blank(s[len - 1]); len--)
		;
	s[len] = 0;
	return s;
}

char *words_squeeze(char *s)
{
	char *to = s;

	for (const char *from = s; *from; from++)
		if (!word_is_blank(*from))
			*to++ = *from;
	*to = 0;
	return s;
}

char *words_next(char **rest)
{
	char *word = *rest, *end;

	while (word_is_blank(*word) || *word == ',')
		word++;
	if (!*word)
		return NULL;
	for (end = word; *end && !word_is_blank(*end) && *end != ','; end++)
		;
	*rest = *end ? end + 1 : end;
	*end = 0;
	return word;
}

char *word_copy(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = malloc(size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

static unsigned int take_radix(const char **s, enum word_radix allowed)
{
	if (allowed == RADIX_10 || (*s)[0] != '0')
		return 10;
	if (word_lower((*s)[1]) == 'x') {
		*s += 2;
		return 16;
	}
	return allowed == RADIX_ANY ? 8 : 10;
}

bool word_to_number(const char *s, enum word_radix allowed, uint32_t max, uint32_t *out)
{
	unsigned int radix = take_radix(&s, allowed);
	uint64_t n = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned int digit = word_is_digit(*s) ? (unsigned int)(*s - '0') :
				     word_is_alnum(*s) ? (unsigned int)(word_lower(*s) - 'a' + 10) : radix;

		n = n * radix + digit;
		if (digit >= radix || n > max)
			return false;
	}
	*out = (uint32_t)n;
	return true;
}

static const struct {
	const char *name;
	uint64_t bits;
} rate_units[] = { { "gbit", 1000000000 }, { "mbit", 1000000 }, { "kbit", 1000 }, { "bit", 1 } };

enum {
	RATE_UNITS = sizeof(rate_units) / sizeof(rate_units[0]),
	PART_DIGITS = 9,
	RATE_WHOLE_DIGITS = 12,
	TIME_WHOLE_DIGITS = 9,
};

#define TIME_MAX_US UINT64_C(86400000000)

/* Up to 'max' digits, at least one. */
static bool take_digits(const char **s, size_t max, uint64_t *out, size_t *count)
{
	const char *start = *s;
	uint64_t n = 0;

	for (; word_is_digit(**s); ++*s)
		n = n * 10 + (uint64_t)(**s - '0');
	*count = (size_t)(*s - start);
	*out = n;
	return *count && *count <= max;
}

/* A number: so many digits at the most, and some may stand behind a point. */
struct decimal {
	uint64_t whole, part;
	size_t part_digits;
};

static bool take_decimal(const char **s, size_t whole_digits, struct decimal *d)
{
	size_t count;

	*d = (struct decimal){ 0 };
	if (!take_digits(s, whole_digits, &d->whole, &count))
		return false;
	if (**s != '.')
		return true;
	++*s;
	return take_digits(s, PART_DIGITS, &d->part, &d->part_digits);
}

/* What is behind the point, in units; what is less than one is left out. */
static uint64_t part_in(const struct decimal *d, uint64_t unit)
{
	uint64_t part = d->part * unit;

	for (size_t i = 0; i < d->part_digits; i++)
		part /= 10;
	return part;
}

static bool rate_unit(const char *s, uint64_t *bits)
{
	while (word_is_blank(*s))
		s++;
	for (size_t i = 0; i < RATE_UNITS; i++)
		if (word_equal(s, rate_units[i].name) || (!*s && rate_units[i].bits == 1)) {
			*bits = rate_units[i].bits;
			return true;
		}
	return false;
}

bool word_to_rate(const char *s, uint64_t *bps)
{
	struct decimal d;
	uint64_t unit;

	if (!take_decimal(&s, RATE_WHOLE_DIGITS, &d) || !rate_unit(s, &unit) || d.whole >= UINT64_MAX / unit)
		return false;
	*bps = d.whole * unit + part_in(&d, unit);
	return true;
}

bool word_to_time(const char *s, int64_t *us)
{
	struct decimal d;
	uint64_t unit, n;

	if (!take_decimal(&s, TIME_WHOLE_DIGITS, &d))
		return false;
	if (!*s || word_equal(s, "s"))
		unit = 1000000;
	else if (word_equal(s, "ms"))
		unit = 1000;
	else
		return false;
	n = d.whole * unit + part_in(&d, unit);
	if (n > TIME_MAX_US)
		return false;
	*us = (int64_t)n;
	return true;
}

const char *word_rate_unit(uint64_t bps, uint64_t *unit)
{
	size_t i = 0;

	while (bps % rate_units[i].bits)
		i++;
	*unit = rate_units[i].bits;
	return rate_units[i].name;
}
