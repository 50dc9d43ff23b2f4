/* SPDX-License-Identifier: MIT */
/*
 * The config file: what wg-quick(8) would read and hand to wg(8), in one pass over its lines. What the keys mean is in
 * config_keys.c; here are lines, sections, errors, and what the change looks like when all is read.
 *
 * Invariants: a file is taken whole or not at all. The copy of the text that is cut up holds secrets and is wiped. An error
 * repeats from the file only what cannot be a key, see is_showable(): people put keys into wrong lines.
 */
#include "node/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/offloads.h"
#include "node/config_keys.h"
#include "node/words.h"

enum {
	SHOWN_MAX = 64,		/* longest text of the file an error repeats */
	KEY_LIKE = 24,		/* this many base64 characters in a row may be a secret, or half of one */
	INTERFACE_NAME_MAX = 15,
	RT_TABLES_LINE = 256,	/* longer ones hold no table */
};

/* Whether 's' may be repeated in an error: short, clean, and no part of it looks like a key. */
static bool is_showable(const char *s)
{
	size_t len = 0, run = 0;

	for (; *s; s++, len++) {
		if (*s < ' ' || *s > '~' || len >= SHOWN_MAX)
			return false;
		if (word_is_alnum(*s) || *s == '+' || *s == '/')
			run++;
		else if (*s != ' ')
			run = 0;
		if (run >= KEY_LIKE)
			return false;
	}
	return true;
}

static void begin_error(struct config_parser *p)
{
	text_reset(p->error);
	text_addf(p->error, "%s:%zu: ", p->file, p->line);
	if (p->key)
		text_addf(p->error, "%s: ", p->key);
}

bool config_fail(struct config_parser *p, const char *reason)
{
	begin_error(p);
	text_add(p->error, reason);
	return false;
}

/* The same with the text that is wrong in front, where it can be shown. */
bool config_fail_at(struct config_parser *p, const char *item, const char *reason)
{
	begin_error(p);
	if (!*item)
		text_addf(p->error, "an empty value %s", reason);
	else if (is_showable(item))
		text_addf(p->error, "'%s' %s", item, reason);
	else
		text_addf(p->error, "this value %s", reason);
	return false;
}

bool config_fail_memory(struct config_parser *p)
{
	return config_fail(p, "out of memory");
}

static bool end_section(struct config_parser *p)
{
	struct change_peer *peer = p->peer;

	if (p->section == SECTION_MESH && !p->c->mesh_file) {
		p->line = p->mesh_line;
		p->key = "[Mesh]";
		return config_fail(p, "no File in this section");
	}
	if (p->section != SECTION_PEER)
		return true;
	if (!p->peer_has_key) {
		p->line = p->peer_line;
		p->key = "[Peer]";
		return config_fail(p, "no PublicKey in this section");
	}
	if (peer->bits & CHANGE_PEER_ALLOWED_AUTO && !(peer->bits & CHANGE_PEER_BABEL)) {
		peer->bits |= CHANGE_PEER_BABEL;
		peer->babel = true;
	}
	return true;
}

static bool begin_babel(struct config_parser *p)
{
	if (p->c->change.babel.section)
		return config_fail(p, "a second [Babel]");
	p->c->change.babel.section = true;
	p->section = SECTION_BABEL;
	return true;
}

static bool begin_mesh(struct config_parser *p)
{
	if (p->c->change.babel.mesh)
		return config_fail(p, "a second [Mesh]");
	p->c->change.babel.mesh = true;
	p->section = SECTION_MESH;
	p->mesh_line = p->line;
	return true;
}

static bool begin_section(struct config_parser *p, char *line)
{
	if (!end_section(p))
		return false;
	words_squeeze(line);
	if (word_equal(line, "[Interface]")) {
		p->section = SECTION_INTERFACE;
		return true;
	}
	if (word_equal(line, "[Babel]"))
		return begin_babel(p);
	if (word_equal(line, "[Mesh]"))
		return begin_mesh(p);
	if (!word_equal(line, "[Peer]"))
		return config_fail_at(p, line, "is neither [Interface], [Peer], [Babel] nor [Mesh]");
	if (p->c->change.peer_count >= CHANGE_PEERS_MAX)
		return config_fail(p, "more than 65536 peers");
	p->peer = change_add_peer(&p->c->change);
	if (!p->peer)
		return config_fail_memory(p);
	p->peer->bits = CHANGE_PEER_REPLACE_ALLOWED;
	p->section = SECTION_PEER;
	p->peer_line = p->line;
	p->peer_has_key = false;
	return true;
}

static const char *wrong_section(enum config_section good)
{
	switch (good) {
	case SECTION_PEER:
		return "belongs in [Peer]";
	case SECTION_BABEL:
		return "belongs in [Babel]";
	case SECTION_MESH:
		return "belongs in [Mesh]";
	case SECTION_BOTH:
		return "belongs in [Interface] or [Peer]";
	default:
		return "belongs in [Interface]";
	}
}

static bool read_key(struct config_parser *p, char *line)
{
	char *value = strchr(line, '='), *word;
	const struct config_key *key;

	if (!value || value == line)
		return config_fail(p, "not a line of the form KEY = VALUE");
	*value++ = 0;
	word = words_trim(line);
	key = config_key_find(word);
	p->key = key ? key->name : is_showable(word) ? word : NULL;
	if (!key)
		return config_fail(p, "unknown key");
	if (!(key->section & p->section))
		return config_fail(p, wrong_section(key->section));
	if (!key->set(p, key->reader == READ_BY_WG ? words_squeeze(value) : words_trim(value)))
		return false;
	p->key = NULL;
	return true;
}

static bool read_line(struct config_parser *p, char *line, size_t len)
{
	if (memchr(line, 0, len))
		return config_fail(p, "a NUL byte: this is not a text file");
	if (len > CONFIG_LINE_MAX)
		return config_fail(p, "line too long");
	line[strcspn(line, "#")] = 0;
	line = words_trim(line);
	if (!*line)
		return true;
	return *line == '[' ? begin_section(p, line) : read_key(p, line);
}

/* 'text' has a zero behind its end. */
static bool read_lines(struct config_parser *p, char *text, size_t len)
{
	char *end = text + len, *next;

	for (char *line = text; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (!next)
			next = end;
		*next = 0;
		p->line++;
		if (!read_line(p, line, (size_t)(next - line)))
			return false;
	}
	return end_section(p);
}

/* What the file does not say is said: a change built of it leaves nothing of an older file behind. */
static bool finish_change(struct config_parser *p)
{
	struct change *c = &p->c->change;
	bool *first = calloc(c->peer_count + 1, sizeof(*first));

	if (!first || !change_first_peers(c, first)) {
		free(first);
		return config_fail_memory(p);
	}
	for (size_t i = 0; i < c->peer_count; i++)
		if (first[i])
			c->peers[i].bits |= CHANGE_PEER_PSK | CHANGE_PEER_KEEPALIVE | CHANGE_PEER_NAME | CHANGE_PEER_ENDPOINTS;
	free(first);
	if (!p->has_transit)
		c->transit = change_transit_default(c);
	c->bits |= CHANGE_REPLACE_PEERS | CHANGE_LISTEN_PORT | CHANGE_FWMARK | CHANGE_ROUTING;
	if (!p->c->private_key_file)
		c->bits |= CHANGE_PRIVATE_KEY;
	return true;
}

static void wipe_string(char *s)
{
	if (s)
		crypto_wipe(s, strlen(s));
	free(s);
}

static void drop_strings(struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		wipe_string(list->v[i]);
	free(list->v);
}

bool config_parse(struct config *c, const char *file, const char *text, size_t len, struct text *error)
{
	struct config_parser p = { .c = c, .file = file, .line = 1, .error = error };
	char *copy;
	bool good;

	memset(c, 0, sizeof(*c));
	if (len > CONFIG_SIZE_MAX)
		return config_fail(&p, "the file is larger than 16 MiB");
	copy = malloc(len + 1);
	if (!copy)
		return config_fail_memory(&p);
	memcpy(copy, text, len);
	copy[len] = 0;
	p.line = 0;
	c->offloads = OFFLOAD_ALL;
	c->lan_discovery = true;
	change_links_default(&c->change);
	good = read_lines(&p, copy, len) && finish_change(&p);
	crypto_wipe(copy, len);
	free(copy);
	if (!good)
		config_done(c);
	return good;
}

void config_done(struct config *c)
{
	free(c->addresses);
	drop_strings(&c->dns);
	drop_strings(&c->dns_search);
	for (size_t i = 0; i < HOOK_KINDS; i++)
		drop_strings(&c->hooks[i]);
	free(c->table_text);
	free(c->private_key_file);
	free(c->mesh_file);
	free(c->hosts_file);
	change_done(&c->change);
	memset(c, 0, sizeof(*c));
}

/* "NUMBER NAME" and comments, a line each. */
static bool find_table(const char *rt_tables, size_t len, const char *name, uint32_t *number)
{
	const char *end = rt_tables + len;

	for (const char *line = rt_tables, *next; line < end; line = next + 1) {
		char copy[RT_TABLES_LINE], *rest = copy, *first, *second;
		size_t line_len;

		next = memchr(line, '\n', (size_t)(end - line));
		if (!next)
			next = end;
		line_len = (size_t)(next - line);
		if (line_len >= sizeof(copy))
			continue;
		memcpy(copy, line, line_len);
		copy[line_len] = 0;
		copy[strcspn(copy, "#")] = 0;
		first = words_next(&rest);
		second = words_next(&rest);
		if (second && strcmp(second, name) == 0 && word_to_number(first, RADIX_10_16, UINT32_MAX, number))
			return true;
	}
	return false;
}

bool config_resolve_table(struct config *c, const char *rt_tables, size_t len)
{
	if (c->table != TABLE_NAME)
		return true;
	if (!find_table(rt_tables, len, c->table_text, &c->table_number))
		return false;
	c->table = TABLE_NUMBER;
	return true;
}

bool config_interface_name(const char *name)
{
	size_t len = 0;

	for (; name[len]; len++)
		if (len >= INTERFACE_NAME_MAX || (!word_is_alnum(name[len]) && !strchr("_=+.-", name[len])))
			return false;
	return len && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}
