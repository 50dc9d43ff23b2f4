/* SPDX-License-Identifier: MIT */
/*
 * meshd paths: the paths to each peer, a table a peer, and a line that says why the one in use is the one. The marks before a path say who sends
 * there: '>' this node, '<' the peer, which chooses for itself.
 *
 * A peer that does not speak of paths - a plain WireGuard - is where it was heard last, which is told in a line: nothing is measured. Its candidates
 * are of interest only while there is no session.
 *
 * With --watch the same again every second. A daemon that is away for a moment is a line in the page, not the end.
 */
#include "cli/paths.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/instant.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/term.h"
#include "crypto/key.h"

enum {
	SHORT_KEY = 8,		/* characters of a key that stand for a peer without a name, as in "meshd peers" */
	WATCH_S = 1,
};

static const struct {
	const char *name, *words;
} why_texts[] = {
	{ "none", "no path is alive" },
	{ "only", "the path used is the only one alive" },
	{ "first", "the path used answered first, and none is better" },
	{ "better", "the path used became better than the one before" },
	{ "death", "the path used before died" },
	{ "gone", "the path used before is gone" },
	{ "plain", "it is where it was heard last" },
};

static const char *why_words(const char *name)
{
	for (size_t i = 0; i < sizeof(why_texts) / sizeof(why_texts[0]); i++)
		if (!strcmp(why_texts[i].name, name))
			return why_texts[i].words;
	return name;
}

static const char *key_of(const Meshd__PeerPaths *p, char out[KEY_BASE64_MAX])
{
	*out = '\0';
	return p->public_key.len == KEY_LEN ? key_to_base64(out, p->public_key.data) : out;
}

/* ---- which peer ---- */

/* "meshd peers" shows the beginning of a key with dots behind it: that is one, too. */
static size_t beginning(const char *key)
{
	size_t len = strlen(key);

	while (len && key[len - 1] == '.')
		len--;
	return len;
}

static bool is_named(Meshd__Paths *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_peers; k++)
			if (!strcmp(list[i]->peers[k]->name, name))
				return true;
	return false;
}

/* A name goes before keys that begin like it. */
static bool is_wanted(Meshd__Paths *const *list, size_t count, const Meshd__PeerPaths *p, const char *peer)
{
	char key[KEY_BASE64_MAX];

	if (!peer)
		return true;
	if (*peer && is_named(list, count, peer))
		return !strcmp(p->name, peer);
	return beginning(peer) && !strncmp(key_of(p, key), peer, beginning(peer));
}

bool paths_have_peer(Meshd__Paths *const *list, size_t count, const char *peer)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_peers; k++)
			if (is_wanted(list, count, list[i]->peers[k], peer))
				return true;
	return false;
}

/* ---- text ---- */

enum column {
	COLUMN_MARK,
	COLUMN_ENDPOINT,
	COLUMN_LOCAL,
	COLUMN_INTERFACE,
	COLUMN_RTT,
	COLUMN_NOW,
	COLUMN_LOSS_OUT,
	COLUMN_LOSS_IN,
	COLUMN_MTU,
	COLUMN_SUBS,
	COLUMN_STATE,
	COLUMNS,
};

static const char *const column_title[COLUMNS] = {
	"", "ENDPOINT", "LOCAL", "INTERFACE", "RTT MIN", "NOW", "LOSS OUT", "IN", "MTU", "SUBS", "STATE",
};

static void put_line(struct term_page *p, enum term_style style, const char *s)
{
	term_add(p->out, p->colour, style, s);
	text_add(p->out, "\n");
}

static void set_time(struct term_cell *line, enum column c, int64_t us)
{
	if (us < 0)
		term_cell_set(&line[c], STYLE_PLAIN, "-");
	else if (us < 10 * US_PER_MS)
		term_cell_set(&line[c], STYLE_PLAIN, "%" PRId64 ".%02" PRId64 " ms", us / US_PER_MS, us % US_PER_MS / 10);
	else
		term_cell_set(&line[c], STYLE_PLAIN, "%" PRId64 ".%" PRId64 " ms", us / US_PER_MS, us % US_PER_MS / 100);
}

static void set_loss(struct term_cell *line, enum column c, bool known, uint32_t loss_ppm)
{
	if (known)
		term_cell_set(&line[c], loss_ppm >= 10000 ? STYLE_BAD : STYLE_PLAIN, "%" PRIu32 ".%" PRIu32 " %%", loss_ppm / 10000, loss_ppm / 1000 % 10);
	else
		term_cell_set(&line[c], STYLE_PLAIN, "-");
}

/* The state, and what is said of the path in the config. */
static void set_state(struct term_cell *line, const Meshd__Path *p)
{
	bool alive = !strcmp(p->state, "alive"), is_new = !strcmp(p->state, "new");
	char cost[32] = "";

	if (p->cost_ms)
		snprintf(cost, sizeof(cost), ", cost %" PRIu32 " ms", p->cost_ms);
	term_cell_set(&line[COLUMN_STATE], alive ? STYLE_GOOD : is_new ? STYLE_PLAIN : STYLE_BAD, "%s%s%s",
		 !strcmp(p->state, "no_route") ? "no route" : p->state, cost, p->metered ? ", metered" : "");
}

static void line_of_path(struct term_cell *l, const Meshd__Path *p)
{
	bool measured = p->rtt_us >= 0;

	term_cell_set(&l[COLUMN_MARK], STYLE_GOOD, " %c%c", p->sending ? '>' : ' ', p->receiving ? '<' : ' ');
	term_cell_set(&l[COLUMN_ENDPOINT], STYLE_PLAIN, "%s", p->remote);
	term_cell_set(&l[COLUMN_LOCAL], STYLE_PLAIN, "%s", *p->local_address ? p->local_address : "any");
	term_cell_set(&l[COLUMN_INTERFACE], STYLE_PLAIN, "%s", *p->interface ? p->interface : "-");
	set_time(l, COLUMN_RTT, p->rtt_min_us);
	set_time(l, COLUMN_NOW, p->rtt_now_us);
	set_loss(l, COLUMN_LOSS_OUT, p->has_loss_out, p->loss_out_ppm);
	set_loss(l, COLUMN_LOSS_IN, measured, p->loss_in_ppm);
	if (p->mtu)
		term_cell_set(&l[COLUMN_MTU], STYLE_PLAIN, "%" PRIu32, p->mtu);
	else
		term_cell_set(&l[COLUMN_MTU], STYLE_PLAIN, "-");
	term_cell_set(&l[COLUMN_SUBS], STYLE_PLAIN, "%" PRIu32, p->sub_sessions);
	set_state(l, p);
}

static void table_of(struct term_page *page, const Meshd__PeerPaths *peer)
{
	struct term_cell (*lines)[COLUMNS];

	if (!peer->n_paths)
		return;
	lines = calloc(peer->n_paths + 1, sizeof(*lines));
	if (!lines) {
		page->out->failed = true;
		return;
	}
	for (unsigned int c = 0; c < COLUMNS; c++)
		term_cell_set(&lines[0][c], STYLE_LABEL, "%s", column_title[c]);
	for (size_t i = 0; i < peer->n_paths; i++)
		line_of_path(lines[i + 1], peer->paths[i]);
	term_table(page->out, page->colour, lines[0], peer->n_paths + 1, COLUMNS, COLUMN_MARK);
	free(lines);
}

static void managed_text(struct term_page *page, const Meshd__PeerPaths *peer)
{
	char age[TERM_TEXT_MAX];

	term_put(page, strcmp(peer->why, "none") ? STYLE_PLAIN : STYLE_BAD, ": %s", why_words(peer->why));
	if (peer->changed_us >= 0)
		term_put(page, STYLE_PLAIN, ", %s ago", term_duration_short((uint64_t)(peer->changed_us / US_PER_S), age));
	if (peer->changes)
		term_put(page, STYLE_PLAIN, "; changed %" PRIu32 " time%s", peer->changes, peer->changes == 1 ? "" : "s");
	if (peer->urgent)
		term_put(page, STYLE_BAD, "; nothing comes back, all are being probed");
	text_add(page->out, "\n");
	table_of(page, peer);
	if (peer->ecn_untrusted)
		put_line(page, STYLE_BAD, "  ECN is not used: the path marks what must not be marked");
	else if (peer->ecn_bleached)
		put_line(page, STYLE_PLAIN, "  ECN is taken away on the path: routers on it drop where they could mark");
}

static const Meshd__Path *path_in_use(const Meshd__PeerPaths *peer)
{
	for (size_t i = 0; i < peer->n_paths; i++)
		if (peer->paths[i]->sending)
			return peer->paths[i];
	return NULL;
}

static void unmanaged_text(struct term_page *page, const Meshd__PeerPaths *peer)
{
	const Meshd__Path *p = path_in_use(peer);

	if (!peer->n_paths) {
		put_line(page, STYLE_PLAIN, ": no endpoint is known");
	} else if (!peer->has_session || !p) {
		put_line(page, STYLE_PLAIN, ": no session");
		table_of(page, peer);
	} else {
		term_put(page, STYLE_PLAIN, peer->mesh ? ": does not choose paths: " : ": no meshd: ");
		term_put(page, STYLE_PLAIN, "%s", p->remote);
		if (*p->local_address)
			term_put(page, STYLE_PLAIN, " from %s", p->local_address);
		if (*p->interface)
			term_put(page, STYLE_PLAIN, " on %s", p->interface);
		put_line(page, STYLE_PLAIN, ", where it was heard last");
	}
}

static void peer_text(struct term_page *page, const Meshd__PeerPaths *peer)
{
	char key[KEY_BASE64_MAX];

	term_put(page, STYLE_PEER, "peer ");
	if (*peer->name)
		term_put(page, STYLE_PEER, "%s", peer->name);
	else
		term_put(page, STYLE_PEER, "%.*s...", SHORT_KEY, key_of(peer, key));
	if (peer->managed)
		managed_text(page, peer);
	else
		unmanaged_text(page, peer);
}

static void heading(struct term_page *page, const char *interface)
{
	term_put(page, STYLE_INTERFACE, "interface %s", interface);
	text_add(page->out, "\n");
}

void paths_text(Meshd__Paths *const *list, size_t count, const char *peer, bool colour, struct text *out)
{
	struct term_page page = { .out = out, .colour = colour };
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		bool headed = count == 1;

		for (size_t k = 0; k < list[i]->n_peers; k++) {
			if (!is_wanted(list, count, list[i]->peers[k], peer))
				continue;
			if (any)
				text_add(out, "\n");
			if (!headed)
				heading(&page, list[i]->name);
			headed = any = true;
			peer_text(&page, list[i]->peers[k]);
		}
		if (list[i]->left_out)
			text_addf(out, "and %" PRIu32 " paths that did not fit into the answer\n", list[i]->left_out);
	}
}

/* ---- JSON ---- */

static void us_json(struct json *j, const char *key, int64_t us)
{
	if (us < 0)
		json_null(j, key);
	else
		json_int(j, key, us);
}

static void head_json(struct json *j, const Meshd__Paths *s, const Meshd__PeerPaths *peer)
{
	char key[KEY_BASE64_MAX];

	json_object(j, NULL);
	json_string(j, "interface", s->name);
	json_string_or_null(j, "public_key", key_of(peer, key));
	json_string_or_null(j, "name", peer->name);
}

static void loss_json(struct json *j, const Meshd__Path *p)
{
	if (p->has_loss_out) {
		json_uint(j, "loss_out_ppm", p->loss_out_ppm);
		json_uint(j, "late_out_ppm", p->late_out_ppm);
	} else {
		json_null(j, "loss_out_ppm");
		json_null(j, "late_out_ppm");
	}
	if (p->rtt_us >= 0) {
		json_uint(j, "loss_in_ppm", p->loss_in_ppm);
		json_uint(j, "late_in_ppm", p->late_in_ppm);
	} else {
		json_null(j, "loss_in_ppm");
		json_null(j, "late_in_ppm");
	}
}

static void origins_json(struct json *j, const Meshd__Path *p)
{
	json_array(j, "origins");
	if (p->configured)
		json_string(j, NULL, "configured");
	if (p->heard)
		json_string(j, NULL, "heard");
	if (p->told)
		json_string(j, NULL, "told");
	json_array_end(j);
}

static void path_json(struct json *j, const Meshd__Paths *s, const Meshd__PeerPaths *peer, const Meshd__Path *p)
{
	head_json(j, s, peer);
	json_uint(j, "number", p->number);
	json_string(j, "remote", p->remote);
	json_string_or_null(j, "local_address", p->local_address);
	json_string_or_null(j, "local_interface", p->interface);
	json_string(j, "state", p->state);
	json_bool(j, "sending", p->sending);
	json_bool(j, "receiving", p->receiving);
	json_uint(j, "sub_sessions", p->sub_sessions);
	us_json(j, "rtt_us", p->rtt_us);
	us_json(j, "rtt_min_us", p->rtt_min_us);
	us_json(j, "rtt_now_us", p->rtt_now_us);
	us_json(j, "metric_us", p->metric_us);
	loss_json(j, p);
	us_json(j, "mtu", p->mtu ? (int64_t)p->mtu : -1);
	json_uint(j, "cost_us", (uint64_t)p->cost_ms * 1000);
	json_bool(j, "metered", p->metered);
	json_bool(j, "never", p->never);
	origins_json(j, p);
	json_bool(j, "preferred", p->preferred);
	us_json(j, "asked_us", p->asked_us);
	us_json(j, "answered_us", p->answered_us);
	us_json(j, "heard_us", p->heard_us);
	json_string_or_null(j, "seen_as", p->seen_as);
	json_object_end(j);
}

static void peer_json(struct json *j, const Meshd__Paths *s, const Meshd__PeerPaths *peer)
{
	head_json(j, s, peer);
	json_bool(j, "mesh", peer->mesh);
	json_bool(j, "managed", peer->managed);
	json_bool(j, "session", peer->has_session);
	json_bool(j, "urgent", peer->urgent);
	json_string(j, "why", peer->why);
	us_json(j, "changed_us", peer->changed_us);
	json_uint(j, "changes", peer->changes);
	json_bool(j, "ecn", peer->ecn);
	json_bool(j, "ecn_untrusted", peer->ecn_untrusted);
	json_bool(j, "ecn_bleached", peer->ecn_bleached);
	json_object_end(j);
}

void paths_json(Meshd__Paths *const *list, size_t count, const char *peer, struct text *out)
{
	struct json j = { .out = out };
	uint64_t left_out = 0;

	json_object(&j, NULL);
	json_array(&j, "paths");
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_peers; k++)
			for (size_t m = 0; m < list[i]->peers[k]->n_paths && is_wanted(list, count, list[i]->peers[k], peer); m++)
				path_json(&j, list[i], list[i]->peers[k], list[i]->peers[k]->paths[m]);
	json_array_end(&j);
	json_array(&j, "peers");
	for (size_t i = 0; i < count; i++) {
		left_out += list[i]->left_out;
		for (size_t k = 0; k < list[i]->n_peers; k++)
			if (is_wanted(list, count, list[i]->peers[k], peer))
				peer_json(&j, list[i], list[i]->peers[k]);
	}
	json_array_end(&j);
	json_uint(&j, "left_out", left_out);
	json_object_end(&j);
	json_end(&j);
}

/* ---- asking ---- */

struct answers {
	Meshd__Paths **v;
	size_t count;
	struct text *failures;	/* where reasons go; NULL: to stderr */
};

struct wanted {
	const char *name, *peer;
	bool json, watch;
};

static bool ask_one(void *ctx, const char *name)
{
	struct answers *a = ctx;
	Meshd__Paths *s, **bigger = reallocarray(a->v, a->count + 1, sizeof(*a->v));
	struct text why = { 0 };
	bool ok;

	if (!bigger)
		return cli_fail("%s: no memory for the answer", name) == CLI_DONE;
	a->v = bigger;
	ok = client_paths(name, &s, &why);
	if (ok)
		a->v[a->count++] = s;
	else if (a->failures)
		text_addf(a->failures, "%s\n", why.len ? why.s : name);
	else
		cli_fail("%s", why.len ? why.s : name);
	text_done(&why);
	return ok;
}

static void answers_done(struct answers *a)
{
	for (size_t i = 0; i < a->count; i++)
		meshd__paths__free_unpacked(a->v[i], NULL);
	free(a->v);
	a->v = NULL;
	a->count = 0;
}

static void render(const struct wanted *w, const struct answers *a, struct text *out)
{
	if (w->json)
		paths_json(a->v, a->count, w->peer, out);
	else
		paths_text(a->v, a->count, w->peer, term_wants_colour(), out);
}

static int show_once(const struct wanted *w)
{
	struct answers a = { 0 };
	struct text out = { 0 };
	bool asked = ask_each(w->name, ask_one, &a), printed = true;

	if (a.count && w->peer && !paths_have_peer(a.v, a.count, w->peer)) {
		cli_fail("there is no peer '%s'", w->peer);
		printed = false;
	} else if (asked || a.count) {
		render(w, &a, &out);
		printed = ask_print(&out);
	}
	answers_done(&a);
	return asked && printed ? CLI_DONE : CLI_FAILED;
}

/* Until a signal comes, or nobody reads. */
static int show_again_and_again(const struct wanted *w)
{
	const struct timespec pause = { .tv_sec = WATCH_S };
	bool terminal = isatty(STDOUT_FILENO) && !w->json;

	for (bool first = true;; first = false) {
		struct text failures = { 0 }, out = { 0 };
		struct answers a = { .failures = w->json ? NULL : &failures };

		ask_each(w->name, ask_one, &a);
		if (terminal)
			text_add(&out, "\033[H\033[2J");
		else if (!first && !w->json)
			text_add(&out, "\n");
		if (failures.len)
			text_add(&out, failures.s);
		text_done(&failures);
		render(w, &a, &out);
		answers_done(&a);
		if (!ask_print(&out))
			return CLI_FAILED;
		nanosleep(&pause, NULL);
	}
}

int cmd_paths(int argc, char **argv)
{
	struct wanted w = { 0 };
	const struct cli_option options[] = { { "json", 'j', &w.json, NULL }, { "watch", 'w', &w.watch, NULL }, { 0 } };
	const char *words[2] = { NULL, NULL };
	int status = ask_arguments(options, "paths [NAME] [PEER] [--json] [--watch]", argc, argv, words, 2);

	if (status != CLI_DONE)
		return status;
	w.name = words[0];
	w.peer = words[1];
	return w.watch ? show_again_and_again(&w) : show_once(&w);
}
