/* SPDX-License-Identifier: MIT */
/*
 * meshd flows: which sub-sessions the flows of each peer are on, and which outer flow each of these is. The daemon knows inner flows
 * by a keyed hash alone, so there are no inner addresses to show.
 */
#include "cli/flows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "cli/ask.h"
#include "cli/json.h"
#include "cli/status.h"
#include "cli/term.h"
#include "crypto/key.h"

enum column {
	COLUMN_INTERFACE,
	COLUMN_PEER,
	COLUMN_NUMBER,
	COLUMN_FLOWS,
	COLUMN_SENT,
	COLUMN_HEARD,
	COLUMN_LOCAL,
	COLUMN_LABEL,
	COLUMN_REMOTE,
	COLUMNS,
};

static const char *const column_title[COLUMNS] = {
	"INTERFACE", "PEER", "SUB", "FLOWS", "SENT", "HEARD", "FROM PORT", "LABEL", "TO",
};

enum { MS_MAX = 10000 };	/* as milliseconds; what is longer ago in seconds and more */

static const char *ago(int64_t us, char out[TERM_TEXT_MAX])
{
	if (us < 0)
		return "-";
	if (us / US_PER_MS >= MS_MAX)
		return term_duration_short((uint64_t)(us / US_PER_S), out);
	snprintf(out, TERM_TEXT_MAX, "%" PRId64 " ms", us / US_PER_MS);
	return out;
}

static void line_of(struct term_cell *l, const Meshd__Status *s, const Meshd__Peer *peer, const Meshd__SubSession *sub)
{
	char text[TERM_TEXT_MAX];

	term_cell_set(&l[COLUMN_INTERFACE], STYLE_PLAIN, "%s", s->name);
	term_cell_set(&l[COLUMN_PEER], STYLE_PEER, "%s", status_peer_word(peer, text));
	term_cell_set(&l[COLUMN_NUMBER], STYLE_PLAIN, "%" PRIu32, sub->number);
	term_cell_set(&l[COLUMN_FLOWS], STYLE_PLAIN, "%" PRIu32, sub->flows);
	term_cell_set(&l[COLUMN_SENT], STYLE_PLAIN, "%s", ago(sub->idle_us, text));
	term_cell_set(&l[COLUMN_HEARD], STYLE_PLAIN, "%s", ago(sub->heard_us, text));
	term_cell_set(&l[COLUMN_LOCAL], STYLE_PLAIN, "%" PRIu32, sub->local_port);
	if (sub->flow_label)
		term_cell_set(&l[COLUMN_LABEL], STYLE_PLAIN, "0x%05" PRIx32, sub->flow_label);
	else
		term_cell_set(&l[COLUMN_LABEL], STYLE_PLAIN, "-");
	term_cell_set(&l[COLUMN_REMOTE], STYLE_PLAIN, "%s", sub->remote);
}

/* Lines of one interface behind each other; with NULL they are only counted. */
static size_t lines_of(struct term_cell (*lines)[COLUMNS], const Meshd__Status *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_peers; i++)
		for (size_t k = 0; k < s->peers[i]->n_sub_sessions; k++) {
			if (!s->peers[i]->sub_sessions[k]->flows)
				continue;
			if (lines)
				line_of(lines[n], s, s->peers[i], s->peers[i]->sub_sessions[k]);
			n++;
		}
	return n;
}

void flows_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out)
{
	struct term_cell (*lines)[COLUMNS];
	uint64_t left_out = 0;
	size_t n = 1;

	for (size_t i = 0; i < count; i++) {
		n += lines_of(NULL, list[i]);
		left_out += list[i]->sub_sessions_left_out;
	}
	if (n == 1 && count)
		text_add(out, "no flows to peers that run meshd in the last seconds\n");
	if (n == 1)
		return;
	lines = calloc(n, sizeof(*lines));
	if (!lines) {
		out->failed = true;
		return;
	}
	for (unsigned int c = 0; c < COLUMNS; c++)
		term_cell_set(&lines[0][c], STYLE_LABEL, "%s", column_title[c]);
	n = 1;
	for (size_t i = 0; i < count; i++)
		n += lines_of(lines + n, list[i]);
	term_table(out, colour, lines[0], n, COLUMNS, count > 1 ? COLUMN_INTERFACE : COLUMN_PEER);
	if (left_out)
		text_addf(out, "and %" PRIu64 " sub-sessions that did not fit into the answer\n", left_out);
	free(lines);
}

static void us_json(struct json *j, const char *key, int64_t us)
{
	if (us < 0)
		json_null(j, key);
	else
		json_int(j, key, us);
}

static void sub_json(struct json *j, const Meshd__Status *s, const Meshd__Peer *peer, const Meshd__SubSession *sub)
{
	char key[KEY_BASE64_MAX] = "";

	if (peer->public_key.len == KEY_LEN)
		key_to_base64(key, peer->public_key.data);
	json_object(j, NULL);
	json_string(j, "interface", s->name);
	json_string_or_null(j, "public_key", key);
	json_string_or_null(j, "name", peer->name);
	json_uint(j, "sub_session", sub->number);
	json_uint(j, "lane", sub->lane);
	json_uint(j, "local_port", sub->local_port);
	json_string_or_null(j, "local_address", sub->local_address);
	json_string_or_null(j, "remote", sub->remote);
	json_uint(j, "flow_label", sub->flow_label);
	json_bool(j, "usable", sub->usable);
	json_uint(j, "flows", sub->flows);
	json_bool(j, "own", sub->own);
	us_json(j, "idle_us", sub->idle_us);
	us_json(j, "heard_us", sub->heard_us);
	json_object_end(j);
}

void flows_json(Meshd__Status *const *list, size_t count, struct text *out)
{
	struct json j = { .out = out };
	uint64_t left_out = 0;

	json_object(&j, NULL);
	json_array(&j, "flows");
	for (size_t i = 0; i < count; i++) {
		left_out += list[i]->sub_sessions_left_out;
		for (size_t k = 0; k < list[i]->n_peers; k++)
			for (size_t m = 0; m < list[i]->peers[k]->n_sub_sessions; m++)
				sub_json(&j, list[i], list[i]->peers[k], list[i]->peers[k]->sub_sessions[m]);
	}
	json_array_end(&j);
	json_uint(&j, "left_out", left_out);
	json_object_end(&j);
	json_end(&j);
}

int cmd_flows(int argc, char **argv)
{
	static const struct ask_command command = { .text = flows_text, .json = flows_json, .sub_sessions = true };

	return ask_run(&command, argc, argv);
}
