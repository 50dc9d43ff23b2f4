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
