/* SPDX-License-Identifier: MIT */
/*
 * The issuer's memory of a token, as a line of text: words NAME=VALUE in a fixed set, each once, in any order; lists are joined by commas and left out
 * when empty. It holds the token's PSK, so the file is 0600, and what was read is wiped. A line that is not understood in full is refused: an
 * invitation that lost a word would give a node other rights than were meant.
 *
 *	token=KEY psk=KEY until=SECONDS name=alpha roles=transit addresses=10.7.0.3/32,2001:db8::3/128 replaces=KEY
 */
#include "exchange/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/mint.h"

enum { WORD_MAX = ITEM_PREFIXES_MAX * PREFIX_TEXT_MAX + 16 };

/* Writing */

static void write_key(const char *name, const uint8_t key[KEY_LEN], struct text *out)
{
	char text[KEY_BASE64_MAX];

	text_addf(out, "%s=%s ", name, key_to_base64(text, key));
	crypto_wipe(text, sizeof(text));
}

static void write_prefixes(const char *name, const struct ip_prefix *v, size_t count, struct text *out)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		text_addf(out, "%s%s%s", i ? "," : name, i ? "" : "=", ip_prefix_format(&v[i], text));
	if (count)
		text_add(out, " ");
}

bool issued_write(const struct issued *i, struct text *out)
{
	const struct mint_node *n = i->node;

	write_key("token", i->token, out);
	write_key("psk", i->psk, out);
	if (i->replaces)
		write_key("replaces", i->replaced, out);
	text_addf(out, "until=%" PRId64 " expires=%" PRId64 " ", i->not_after_s, n->expires_s);
	write_prefixes("addresses", n->addresses, n->address_count, out);
	write_prefixes("prefixes", n->prefixes, n->prefix_count, out);
	write_prefixes("external", n->external, n->external_count, out);
	text_add(out, "roles=");
	roles_format(n->roles, out);
	text_addf(out, " name=%s\n", n->name);
	return !out->failed;
}

/* Reading */

static bool read_seconds(int64_t *out, const char *text)
{
	int64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > INT64_MAX / 10 - 1)
			return false;
		v = v * 10 + (*text - '0');
	}
	*out = v;
	return true;
}

static bool read_prefixes(struct ip_prefix *v, size_t *count, char *text)
{
	char *comma;

	do {
		comma = strchr(text, ',');
		if (comma)
			*comma = '\0';
		if (*count == ITEM_PREFIXES_MAX || !ip_prefix_parse(text, &v[*count]))
			return false;
		++*count;
		text = comma ? comma + 1 : NULL;
	} while (text);
	return true;
}

static bool read_name(struct mint_node *n, const char *text)
{
	if (!item_name_is_good(text) || strlen(text) >= sizeof(n->name))
		return false;
	memcpy(n->name, text, strlen(text) + 1);
	return true;
}

static const char *const words[] = { "token", "psk", "replaces", "until", "expires", "addresses", "prefixes", "external", "roles", "name" };

enum word {
	TOKEN,
	PSK,
	REPLACES,
	UNTIL,
	EXPIRES,
	ADDRESSES,
	PREFIXES,
	EXTERNAL,
	ROLES_WORD,
	NAME,
	WORDS,
	NEEDED = 1 << TOKEN | 1 << PSK | 1 << UNTIL | 1 << EXPIRES | 1 << ROLES_WORD | 1 << NAME,
};

_Static_assert(sizeof(words) / sizeof(words[0]) == WORDS, "a name for each");

static bool read_value(struct issued *i, enum word word, char *text)
{
	struct mint_node *n = i->node;

	switch (word) {
	case TOKEN:
		return key_from_base64(i->token, text);
	case PSK:
		return key_from_base64(i->psk, text);
	case REPLACES:
		i->replaces = true;
		return key_from_base64(i->replaced, text);
	case UNTIL:
		return read_seconds(&i->not_after_s, text);
	case EXPIRES:
		return read_seconds(&n->expires_s, text);
	case ADDRESSES:
		return read_prefixes(n->addresses, &n->address_count, text);
	case PREFIXES:
		return read_prefixes(n->prefixes, &n->prefix_count, text);
	case EXTERNAL:
		return read_prefixes(n->external, &n->external_count, text);
	case ROLES_WORD:
		return roles_parse(text, &n->roles);
	case NAME:
		return read_name(n, text);
	default:
		return false;
	}
}

static enum word find_word(const char *text, size_t len)
{
	for (int w = 0; w < WORDS; w++)
		if (strlen(words[w]) == len && memcmp(words[w], text, len) == 0)
			return (enum word)w;
	return WORDS;
}

/* One word of the line, in a buffer of its own. */
static bool read_word(struct issued *i, const char *text, size_t len, unsigned int *seen)
{
	char word[WORD_MAX], *equals;
	enum word which;
	bool good;

	if (len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	equals = strchr(word, '=');
	which = equals ? find_word(word, (size_t)(equals - word)) : WORDS;
	good = which != WORDS && !(*seen & 1u << which) && read_value(i, which, equals + 1);
	if (good)
		*seen |= 1u << which;
	crypto_wipe(word, sizeof(word));
	return good;
}

static bool read_line(struct issued *i, const char *line)
{
	unsigned int seen = 0;

	for (line += strspn(line, " "); *line && *line != '\n'; line += strspn(line, " ")) {
		size_t len = strcspn(line, " \n");

		if (!read_word(i, line, len, &seen))
			return false;
		line += len;
	}
	return (seen & NEEDED) == NEEDED && (!*line || !line[1]);
}

bool issued_read(struct issued *i, const char *line)
{
	*i = (struct issued){ .node = calloc(1, sizeof(*i->node)) };
	if (i->node && read_line(i, line))
		return true;
	issued_done(i);
	return false;
}

void issued_done(struct issued *i)
{
	free(i->node);
	crypto_wipe(i, sizeof(*i));
}
