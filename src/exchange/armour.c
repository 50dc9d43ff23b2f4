/* SPDX-License-Identifier: MIT */
/*
 * Armour: bytes as text that survives mail and paste, after OpenPGP's (RFC 9580, section 6.2) with a longer checksum. A block is
 *
 *	-----BEGIN MESHD kind-----, header lines, an empty line, base64 lines, '=' and the checksum, -----END MESHD kind-----
 *
 * and is read line by line: every line has one place where it may be (enum place), all others are refused with the number of the line. Blanks and CRs at the end of a line are
 * dropped, the length of a line does not matter. A second block, or one that is quoted or indented, is refused rather than guessed at: whoever
 * sends a file should know which one is taken. One pass over the text, and what it takes to decode one copy of the base64.
 */
#include "exchange/bootstrap.h"

#include <string.h>

#include "crypto/base64.h"
#include "crypto/blake2s.h"

#define BEGIN "-----BEGIN MESHD "
#define END "-----END MESHD "
#define DASHES "-----"

enum {
	LINE_CHARS = 64,
	CHECK_LEN = 6,
};

static const char *const kind_names[ARMOUR_KINDS] = {
	[ARMOUR_MESH] = "MESH",
	[ARMOUR_INVITATION] = "INVITATION",
	[ARMOUR_JOIN_REQUEST] = "JOIN REQUEST",
};

static void make_check(uint8_t check[CHECK_LEN], const void *data, size_t len)
{
	uint8_t hash[BLAKE2S_LEN];

	blake2s(hash, sizeof(hash), NULL, 0, data, len);
	memcpy(check, hash, CHECK_LEN);
}

void armour_write(enum armour_kind kind, const char *headers, const void *data, size_t len, struct text *out)
{
	struct text body = { 0 };
	uint8_t check[CHECK_LEN];

	base64_encode(BASE64_PADDED, data, len, &body);
	text_addf(out, BEGIN "%s" DASHES "\n%s\n", kind_names[kind], headers ? headers : "");
	for (size_t at = 0; at < body.len; at += LINE_CHARS) {
		text_add_bytes(out, body.s + at, body.len - at < LINE_CHARS ? body.len - at : LINE_CHARS);
		text_add(out, "\n");
	}
	make_check(check, data, len);
	text_add(out, "=");
	base64_encode(BASE64_PADDED, check, sizeof(check), out);
	text_addf(out, "\n" END "%s" DASHES "\n", kind_names[kind]);
	out->failed |= body.failed;
	text_wipe(&body);
}

/* Lines */

struct line {
	const char *s;
	size_t len;			/* without what is blank at its end */
};

struct lines {
	const char *p, *end;
	unsigned int number;		/* of the line that was read last */
};

static struct lines lines_of(const void *text, size_t len)
{
	const char *p = len ? text : "";

	return (struct lines){ .p = p, .end = p + len };
}

static bool next_line(struct lines *l, struct line *out)
{
	const char *newline;

	if (l->p == l->end)
		return false;
	newline = memchr(l->p, '\n', (size_t)(l->end - l->p));
	out->s = l->p;
	out->len = (size_t)((newline ? newline : l->end) - l->p);
	l->p = newline ? newline + 1 : l->end;
	l->number++;
	while (out->len && strchr(" \t\r", out->s[out->len - 1]) && out->s[out->len - 1])
		out->len--;
	return true;
}

static bool starts(const struct line *l, const char *with)
{
	size_t len = strlen(with);

	return l->len >= len && memcmp(l->s, with, len) == 0;
}

/* The line without what mailers quote with. */
static struct line unquoted(const struct line *l)
{
	struct line u = *l;

	while (u.len && (*u.s == '>' || *u.s == ' ' || *u.s == '\t' || *u.s == '|')) {
		u.s++;
		u.len--;
	}
	return u;
}

/* BEGIN or END of which kind: ARMOUR_KINDS when it is of none of ours. */
static enum armour_kind line_kind(const struct line *l, const char *begin)
{
	size_t before = strlen(begin);

	for (int k = 0; k < ARMOUR_KINDS; k++) {
		size_t len = strlen(kind_names[k]);

		if (l->len == before + len + strlen(DASHES) && memcmp(l->s + before, kind_names[k], len) == 0 &&
		    memcmp(l->s + before + len, DASHES, strlen(DASHES)) == 0)
			return (enum armour_kind)k;
	}
	return ARMOUR_KINDS;
}

/* Reading */

enum place {
	BEFORE,
	HEADERS,
	BODY,
	CHECKED,			/* the checksum was there */
	AFTER,
};

struct reader {
	enum place place;
	enum armour_kind kind;
	struct text body;		/* base64, without line ends */
	uint8_t check[CHECK_LEN];
};

static bool read_check(struct reader *r, const struct line *l)
{
	struct text check = { 0 };
	bool good = base64_decode(BASE64_PADDED, l->s + 1, l->len - 1, &check) && check.len == CHECK_LEN;

	if (good)
		memcpy(r->check, check.s, CHECK_LEN);
	text_done(&check);
	return good;
}

/* What a line inside a block comes to; NULL, or why it is refused. */
static const char *read_header(struct reader *r, const struct line *l)
{
	if (!l->len)
		r->place = BODY;
	else if (!memchr(l->s, ':', l->len))
		return "this is no header, and no empty line has ended them";
	return NULL;
}

static const char *read_body(struct reader *r, const struct line *l)
{
	if (l->len && *l->s == '=') {
		r->place = CHECKED;
		return read_check(r, l) ? NULL : "the checksum is malformed";
	}
	text_add_bytes(&r->body, l->s, l->len);
	return NULL;
}

static const char *read_inside(struct reader *r, const struct line *l)
{
	if (starts(l, BEGIN))
		return "a block begins before the last one has ended";
	if (starts(l, END)) {
		if (r->place != CHECKED)
			return "the block ends without a checksum: something is missing";
		r->place = AFTER;
		return line_kind(l, END) == r->kind ? NULL : "the block ends as another kind than it began";
	}
	if (r->place == HEADERS)
		return read_header(r, l);
	if (r->place == BODY)
		return read_body(r, l);
	return l->len ? "something follows the checksum" : NULL;
}

static const char *read_outside(struct reader *r, const struct line *l)
{
	struct line u = unquoted(l);

	if (!starts(&u, BEGIN))
		return NULL;
	if (u.len != l->len)
		return "the block is quoted or indented: give it as it was sent";
	if (r->place == AFTER)
		return "there are two blocks: which one is meant?";
	r->kind = line_kind(l, BEGIN);
	r->place = HEADERS;
	return r->kind == ARMOUR_KINDS ? "a block of a kind this meshd does not know" : NULL;
}

static bool read_lines(struct reader *r, const void *text, size_t len, struct text *why)
{
	struct lines lines = lines_of(text, len);
	struct line line;

	while (next_line(&lines, &line)) {
		bool outside = r->place == BEFORE || r->place == AFTER;
		const char *error = outside ? read_outside(r, &line) : read_inside(r, &line);

		if (!error)
			continue;
		text_addf(why, "line %u: %s", lines.number, error);
		return false;
	}
	if (r->place == BEFORE)
		text_add(why, "there is no block of meshd in it");
	else if (r->place != AFTER)
		text_add(why, "the block has no end: it was cut short");
	return r->place == AFTER;
}

static bool decode_body(struct reader *r, struct text *data, struct text *why)
{
	uint8_t check[CHECK_LEN];
	size_t before = data->len;

	if (!r->body.failed && !base64_decode(BASE64_PADDED, r->body.s, r->body.len, data) && !data->failed) {
		text_add(why, "the block is damaged: it is not base64");
		return false;
	}
	if (r->body.failed || data->failed) {
		text_add(why, "no memory");
		return false;
	}
	make_check(check, data->s ? data->s + before : "", data->len - before);
	if (memcmp(check, r->check, CHECK_LEN) == 0)
		return true;
	text_add(why, "the block is damaged: its checksum is wrong");
	data->len = before;
	return false;
}

bool armour_read(const void *text, size_t text_len, enum armour_kind *kind, struct text *data, struct text *why)
{
	struct reader r = { .place = BEFORE };
	bool good = false;

	if (text_len > BOOTSTRAP_SIZE_MAX)
		text_addf(why, "it is longer than %d bytes", BOOTSTRAP_SIZE_MAX);
	else
		good = read_lines(&r, text, text_len, why) && decode_body(&r, data, why);
	if (good)
		*kind = r.kind;
	text_wipe(&r.body);
	return good;
}

bool armour_header(const void *text, size_t text_len, const char *name, char *out, size_t size)
{
	struct lines lines = lines_of(text, text_len);
	size_t name_len = strlen(name);
	bool inside = false;
	struct line l;

	while (next_line(&lines, &l)) {
		if (!inside) {
			inside = starts(&l, BEGIN);
			continue;
		}
		if (!l.len)
			break;
		if (!starts(&l, name) || l.len < name_len + 1 || l.s[name_len] != ':')
			continue;
		for (l.s += name_len + 1, l.len -= name_len + 1; l.len && *l.s == ' '; l.s++)
			l.len--;
		if (l.len >= size || memchr(l.s, 0, l.len))
			return false;
		memcpy(out, l.s, l.len);
		out[l.len] = '\0';
		return true;
	}
	return false;
}
