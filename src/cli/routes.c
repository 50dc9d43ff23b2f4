/* SPDX-License-Identifier: MIT */
/*
 * meshd routes: what Babel knows, in lines that read like those of "ip route" and say why. A route that is not chosen has a reason, found
 * here by looking at it beside the route that is: text and JSON have the same ones.
 *
 * A metric is shown with its two parts, what was announced and what the link adds (RFC 8966 3.5.2), and where they differ the one smoothed
 * over time, which is what the choice goes by.
 */
#include "cli/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/instant.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/term.h"
#include "wire/babel.h"

enum { ROUTER_ID_TEXT = 3 * BABEL_ROUTER_ID_LEN, REACH_BITS = 16 };

/* Why a route is not chosen. */
enum why {
	WHY_CHOSEN,		/* it is, or it is our own, or one held as lost */
	WHY_RETRACTED,
	WHY_LINK_DOWN,
	WHY_REFUSED,
	WHY_UNFEASIBLE,
	WHY_UNTRUSTED,
	WHY_OWN,
	WHY_WORSE,
	WHY_NEW,
	WHY_NONE,
};

static const struct {
	const char *name, *words;
} why_texts[] = {
	[WHY_CHOSEN] = { "", "" },
	[WHY_RETRACTED] = { "retracted", "the neighbour has taken it back" },
	[WHY_LINK_DOWN] = { "link_down", "the link is down" },
	[WHY_REFUSED] = { "refused", "refused by a filter" },
	[WHY_UNFEASIBLE] = { "unfeasible", "it might lead in a circle" },
	[WHY_UNTRUSTED] = { "untrusted", "the neighbour does not know yet that we started anew" },
	[WHY_OWN] = { "own", "the prefix is our own" },
	[WHY_WORSE] = { "worse", "no better than the one chosen" },
	[WHY_NEW] = { "new", "better, but not for long enough" },
	[WHY_NONE] = { "none", "not chosen yet" },
};

/* A route with what is worked out of it. */
struct entry {
	const Meshd__BabelRoute *r;
	struct ip_prefix dst, src;
	enum why why;
};

static const char *router_id_text(const ProtobufCBinaryData *id, char out[ROUTER_ID_TEXT])
{
	*out = '\0';
	for (size_t i = 0; id->len == BABEL_ROUTER_ID_LEN && i < id->len; i++)
		snprintf(out + 3 * i - !!i, 4, i ? ":%02x" : "%02x", (unsigned int)id->data[i]);
	return out;
}

static int compare_numbers(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_prefixes(const struct ip_prefix *a, const struct ip_prefix *b)
{
	int by_family = compare_numbers(a->addr.family, b->addr.family);
	int by_addr = memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));

	return by_family ? by_family : by_addr ? by_addr : compare_numbers(a->len, b->len);
}

static int compare_pairs(const struct entry *a, const struct entry *b)
{
	int by_dst = compare_prefixes(&a->dst, &b->dst);

	return by_dst ? by_dst : compare_prefixes(&a->src, &b->src);
}

/* What packets follow goes before what they do not. */
static uint32_t rank(const Meshd__BabelRoute *r)
{
	return r->own ? 0 : r->selected ? 1 : r->held ? 2 : 3;
}

static int compare_entries(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int by_pair = compare_pairs(a, b), by_rank = compare_numbers(rank(a->r), rank(b->r));
	int by_metric = compare_numbers(a->r->metric, b->r->metric);

	if (by_pair || by_rank)
		return by_pair ? by_pair : by_rank;
	return by_metric ? by_metric : strcmp(a->r->via, b->r->via);
}

static const Meshd__BabelNeighbour *neighbour_of(const Meshd__Routes *s, const Meshd__BabelRoute *r)
{
	for (size_t i = 0; i < s->n_neighbours; i++)
		if (!strcmp(s->neighbours[i]->address, r->neighbour) && !strcmp(s->neighbours[i]->via, r->via))
			return s->neighbours[i];
	return NULL;
}

/* Of a route that is not chosen though it is neither infinite nor unfeasible. */
static enum why why_beside(const Meshd__Routes *s, const Meshd__BabelRoute *r, const Meshd__BabelRoute *first)
{
	const Meshd__BabelNeighbour *n;

	if (first->own)
		return WHY_OWN;
	if (first->selected && r->metric >= first->metric)
		return WHY_WORSE;
	n = neighbour_of(s, r);
	if (n && n->untrusted)
		return WHY_UNTRUSTED;
	return first->selected ? WHY_NEW : WHY_NONE;
}

static bool link_is_down(const Meshd__BabelNeighbour *n)
{
	return !n || n->cost >= BABEL_INFINITY;
}

/* 'first' is the first route of the same prefix: the chosen one, if there is one. */
static enum why why_of(const Meshd__Routes *s, const Meshd__BabelRoute *r, const Meshd__BabelRoute *first)
{
	if (rank(r) < 3)
		return WHY_CHOSEN;
	if (r->announced >= BABEL_INFINITY)
		return WHY_RETRACTED;
	if (r->metric >= BABEL_INFINITY)
		return link_is_down(neighbour_of(s, r)) ? WHY_LINK_DOWN : WHY_REFUSED;
	return r->feasible ? why_beside(s, r, first) : WHY_UNFEASIBLE;
}

/* The routes of one speaker in their order; NULL: no memory. */
static struct entry *entries_of(const Meshd__Routes *s)
{
	struct entry *v = calloc(s->n_routes + 1, sizeof(*v));
	size_t first = 0;

	if (!v)
		return NULL;
	for (size_t i = 0; i < s->n_routes; i++) {
		v[i].r = s->routes[i];
		ip_prefix_parse(v[i].r->prefix, &v[i].dst);
		ip_prefix_parse(v[i].r->from, &v[i].src);
	}
	qsort(v, s->n_routes, sizeof(*v), compare_entries);
	for (size_t i = 0; i < s->n_routes; i++) {
		if (compare_pairs(&v[first], &v[i]))
			first = i;
		v[i].why = why_of(s, v[i].r, v[first].r);
	}
	return v;
}

/* ---- text: routes ---- */

static void metric_text(struct term_page *p, const Meshd__BabelRoute *r)
{
	if (r->announced >= BABEL_INFINITY)
		term_put(p, STYLE_PLAIN, " metric infinite");
	else if (r->metric >= BABEL_INFINITY)
		term_put(p, STYLE_PLAIN, " metric infinite (announced %" PRIu32 ")", r->announced);
	else
		term_put(p, STYLE_PLAIN, " metric %" PRIu32 " (%" PRIu32 "+%" PRIu32 ")", r->metric, r->announced,
		    r->metric > r->announced ? r->metric - r->announced : 0);
	if (r->metric < BABEL_INFINITY && r->smoothed < BABEL_INFINITY && r->smoothed != r->metric)
		term_put(p, STYLE_PLAIN, " smoothed %" PRIu32, r->smoothed);
}

static void via_text(struct term_page *p, const Meshd__BabelRoute *r)
{
	if (r->via_peer) {
		term_put(p, STYLE_PLAIN, " via peer ");
		term_put(p, STYLE_PEER, "%s", r->via);
	} else {
		term_put(p, STYLE_PLAIN, " via %s dev %s", *r->next_hop ? r->next_hop : r->neighbour, r->via);
	}
}

static void reason_text(struct term_page *p, const struct entry *e)
{
	if (e->why == WHY_CHOSEN)
		return;
	term_put(p, STYLE_PLAIN, ": %s", why_texts[e->why].words);
	if (e->why == WHY_UNFEASIBLE && e->r->has_distance)
		term_put(p, STYLE_PLAIN, " (wanted: a seqno after %" PRIu32 ", or a metric below %" PRIu32 " announced with it)",
		    e->r->distance_seqno, e->r->distance);
}

static void learned_text(struct term_page *p, const struct entry *e)
{
	const Meshd__BabelRoute *r = e->r;
	char id[ROUTER_ID_TEXT], age[TERM_TEXT_MAX];

	via_text(p, r);
	metric_text(p, r);
	term_put(p, STYLE_PLAIN, " router %s seqno %" PRIu32, router_id_text(&r->router_id, id), r->seqno);
	term_put(p, r->feasible ? STYLE_PLAIN : STYLE_BAD, r->feasible ? " feasible" : " unfeasible");
	if (r->selected)
		term_put(p, STYLE_GOOD, " chosen");
	term_put(p, STYLE_PLAIN, " age %s", term_duration_short((uint64_t)(r->age_ms / 1000), age));
	reason_text(p, e);
}

static void route_text(struct term_page *p, const struct entry *e)
{
	const Meshd__BabelRoute *r = e->r;

	if (r->held && !r->own)
		term_put(p, STYLE_BAD, "unreachable ");
	term_put(p, rank(r) < 3 ? STYLE_INTERFACE : STYLE_PLAIN, "%s", r->prefix);
	if (*r->from)
		term_put(p, STYLE_PLAIN, " from %s", r->from);
	if (r->own)
		term_put(p, STYLE_PLAIN, " own metric %" PRIu32 " seqno %" PRIu32, r->metric, r->seqno);
	else if (r->held)
		term_put(p, STYLE_PLAIN, " lost, held until neighbours know");
	else
		learned_text(p, e);
	text_add(p->out, "\n");
}

/* The lines of one speaker. Returns how many. */
static size_t lines_of(struct term_page *p, const Meshd__Routes *s, bool all)
{
	struct entry *v = entries_of(s);
	size_t shown = 0;

	if (!v) {
		p->out->failed = true;
		return 0;
	}
	for (size_t i = 0; i < s->n_routes; i++)
		if (all || v[i].why == WHY_CHOSEN) {
			route_text(p, &v[i]);
			shown++;
		}
	free(v);
	return shown;
}

static void babel_is_off(struct text *out, const Meshd__Routes *s)
{
	text_addf(out, "Babel does not run on %s: it wants a [Babel] section, or a peer with AllowedIPs = auto or Babel = on\n", s->name);
}

void routes_text(Meshd__Routes *const *list, size_t count, bool all, bool colour, struct text *out)
{
	struct term_page p = { .out = out, .colour = colour };

	for (size_t i = 0; i < count; i++) {
		const Meshd__Routes *s = list[i];

		if (i)
			text_add(out, "\n");
		if (count > 1) {
			term_put(&p, STYLE_INTERFACE, "interface %s", s->name);
			text_add(out, "\n");
		}
		if (!s->on)
			babel_is_off(out, s);
		else if (!lines_of(&p, s, all))
			text_addf(out, "no routes on %s yet\n", s->name);
		if (all && s->left_out)
			text_addf(out, "and %" PRIu32 " routes that did not fit into the answer\n", s->left_out);
	}
}

/* ---- text: neighbours ---- */

enum column {
	COLUMN_INTERFACE,
	COLUMN_VIA,
	COLUMN_ADDRESS,
	COLUMN_REACH,
	COLUMN_RXCOST,
	COLUMN_TXCOST,
	COLUMN_COST,
	COLUMN_RTT,
	COLUMN_ROUTES,
	COLUMNS,
};

static const char *const column_title[COLUMNS] = {
	"INTERFACE", "VIA", "NEIGHBOUR", "REACH", "RXCOST", "TXCOST", "COST", "RTT", "ROUTES",
};

static void set_cost(struct term_cell *line, enum column c, uint32_t cost)
{
	if (cost >= BABEL_INFINITY)
		term_cell_set(&line[c], STYLE_BAD, "down");
	else
		term_cell_set(&line[c], STYLE_PLAIN, "%" PRIu32, cost);
}

/* The Hellos heard of the last 16, newest first. */
static const char *reach_text(uint32_t reach, char out[REACH_BITS + 1])
{
	for (unsigned int i = 0; i < REACH_BITS; i++)
		out[i] = reach & (1u << (REACH_BITS - 1 - i)) ? '1' : '0';
	out[REACH_BITS] = '\0';
	return out;
}

static void line_of_neighbour(struct term_cell *l, const Meshd__Routes *s, const Meshd__BabelNeighbour *n)
{
	char reach[REACH_BITS + 1];

	term_cell_set(&l[COLUMN_INTERFACE], STYLE_PLAIN, "%s", s->name);
	term_cell_set(&l[COLUMN_VIA], n->via_peer ? STYLE_PEER : STYLE_PLAIN, n->via_peer ? "peer %s" : "%s", n->via);
	term_cell_set(&l[COLUMN_ADDRESS], STYLE_PLAIN, "%s", n->address);
	term_cell_set(&l[COLUMN_REACH], STYLE_PLAIN, "%s", reach_text(n->reach, reach));
	set_cost(l, COLUMN_RXCOST, n->rxcost);
	set_cost(l, COLUMN_TXCOST, n->txcost);
	set_cost(l, COLUMN_COST, n->cost);
	if (n->rtt_us < 0)
		term_cell_set(&l[COLUMN_RTT], STYLE_PLAIN, "-");
	else
		term_cell_set(&l[COLUMN_RTT], STYLE_PLAIN, "%" PRId64 ".%" PRId64 " ms", n->rtt_us / US_PER_MS, n->rtt_us % US_PER_MS / 100);
	term_cell_set(&l[COLUMN_ROUTES], STYLE_PLAIN, "%" PRIu32, n->routes);
}

/* An interface with nobody on it has a line too: that is what one looks for. */
static void line_of_interface(struct term_cell *l, const Meshd__Routes *s, const Meshd__BabelInterface *i)
{
	term_cell_set(&l[COLUMN_INTERFACE], STYLE_PLAIN, "%s", s->name);
	term_cell_set(&l[COLUMN_VIA], i->peer ? STYLE_PEER : STYLE_PLAIN, i->peer ? "peer %s" : "%s", i->name);
	term_cell_set(&l[COLUMN_ADDRESS], i->up ? STYLE_PLAIN : STYLE_BAD, i->up ? "nobody heard" : "interface down");
	for (unsigned int c = COLUMN_REACH; c < COLUMNS; c++)
		term_cell_set(&l[c], STYLE_PLAIN, "-");
}

static void totals_text(struct text *out, const Meshd__Routes *s)
{
	char id[ROUTER_ID_TEXT];

	text_addf(out, "%s: router %s, seqno %" PRIu32 "; %" PRIu32 " prefixes, %" PRIu32 " routes of neighbours; %" PRIu64 " changes, %" PRIu64
		  " unfeasible updates, %" PRIu64 " requests", s->name, router_id_text(&s->router_id, id), s->seqno, s->prefixes, s->routes_known,
		  s->route_changes, s->unfeasible, s->requests_sent);
	if (s->refused)
		text_addf(out, "; %" PRIu64 " refused, for a table was full", s->refused);
	text_add(out, "\n");
}

static size_t neighbour_lines(struct term_cell (*lines)[COLUMNS], size_t n, const Meshd__Routes *s)
{
	for (size_t i = 0; i < s->n_neighbours; i++)
		line_of_neighbour(lines[n++], s, s->neighbours[i]);
	for (size_t i = 0; i < s->n_interfaces; i++)
		if (!s->interfaces[i]->neighbours)
			line_of_interface(lines[n++], s, s->interfaces[i]);
	return n;
}

void routes_neighbours_text(Meshd__Routes *const *list, size_t count, bool colour, struct text *out)
{
	struct term_cell (*lines)[COLUMNS];
	size_t max = 1, n = 1;

	for (size_t i = 0; i < count; i++)
		max += list[i]->n_neighbours + list[i]->n_interfaces;
	lines = calloc(max, sizeof(*lines));
	if (!lines) {
		out->failed = true;
		return;
	}
	for (unsigned int c = 0; c < COLUMNS; c++)
		term_cell_set(&lines[0][c], STYLE_LABEL, "%s", column_title[c]);
	for (size_t i = 0; i < count; i++)
		n = neighbour_lines(lines, n, list[i]);
	if (n > 1)
		term_table(out, colour, lines[0], n, COLUMNS, count > 1 ? COLUMN_INTERFACE : COLUMN_VIA);
	free(lines);
	for (size_t i = 0; i < count; i++) {
		if (list[i]->on)
			totals_text(out, list[i]);
		else
			babel_is_off(out, list[i]);
	}
}

/* ---- JSON ---- */

/* Infinity is no number. */
static void metric_json(struct json *j, const char *key, uint32_t metric)
{
	if (metric >= BABEL_INFINITY)
		json_null(j, key);
	else
		json_uint(j, key, metric);
}

static void route_json(struct json *j, const Meshd__Routes *s, const struct entry *e)
{
	const Meshd__BabelRoute *r = e->r;
	char id[ROUTER_ID_TEXT];

	json_object(j, NULL);
	json_string(j, "interface", s->name);
	json_string(j, "prefix", r->prefix);
	json_string_or_null(j, "from", r->from);
	json_bool(j, "own", r->own);
	json_string_or_null(j, "via", r->via);
	json_bool(j, "via_peer", r->via_peer);
	json_string_or_null(j, "neighbour", r->neighbour);
	json_string_or_null(j, "next_hop", r->next_hop);
	json_string_or_null(j, "router_id", router_id_text(&r->router_id, id));
	json_uint(j, "seqno", r->seqno);
	metric_json(j, "announced", r->announced);
	metric_json(j, "metric", r->metric);
	metric_json(j, "smoothed", r->smoothed);
	json_bool(j, "feasible", r->feasible);
	json_bool(j, "selected", r->selected);
	json_bool(j, "held", r->held);
	if (r->own || r->held)
		json_null(j, "age_s");
	else
		json_int(j, "age_s", r->age_ms / 1000);
	json_string_or_null(j, "why_not", why_texts[e->why].name);
	if (r->has_distance) {
		json_uint(j, "distance_seqno", r->distance_seqno);
		json_uint(j, "distance", r->distance);
	} else {
		json_null(j, "distance_seqno");
		json_null(j, "distance");
	}
	json_object_end(j);
}

static void neighbour_json(struct json *j, const Meshd__Routes *s, const Meshd__BabelNeighbour *n)
{
	json_object(j, NULL);
	json_string(j, "interface", s->name);
	json_string(j, "via", n->via);
	json_bool(j, "via_peer", n->via_peer);
	json_string(j, "address", n->address);
	json_uint(j, "reach", n->reach);
	metric_json(j, "rxcost", n->rxcost);
	metric_json(j, "txcost", n->txcost);
	metric_json(j, "cost", n->cost);
	if (n->rtt_us < 0)
		json_null(j, "rtt_us");
	else
		json_int(j, "rtt_us", n->rtt_us);
	json_uint(j, "routes", n->routes);
	json_bool(j, "trusted", !n->untrusted);
	json_object_end(j);
}

static void link_json(struct json *j, const Meshd__Routes *s, const Meshd__BabelInterface *i)
{
	json_object(j, NULL);
	json_string(j, "interface", s->name);
	json_string(j, "name", i->name);
	json_bool(j, "peer", i->peer);
	json_string(j, "type", i->type);
	json_bool(j, "up", i->up);
	json_string_or_null(j, "address", i->address);
	json_uint(j, "hello_interval_ms", i->hello_ms);
	json_uint(j, "update_interval_ms", i->update_ms);
	json_uint(j, "neighbours", i->neighbours);
	json_bool(j, "authenticated", i->authenticated);
	json_uint(j, "packets_sent", i->tx_packets);
	json_uint(j, "packets_received", i->rx_packets);
	json_uint(j, "bytes_sent", i->tx_bytes);
	json_uint(j, "bytes_received", i->rx_bytes);
	json_uint(j, "dropped_mac", i->dropped_mac);
	json_uint(j, "dropped_malformed", i->dropped_malformed);
	json_uint(j, "dropped_source", i->dropped_source);
	json_object_end(j);
}

static void speaker_json(struct json *j, const Meshd__Routes *s)
{
	char id[ROUTER_ID_TEXT];

	json_object(j, NULL);
	json_string(j, "interface", s->name);
	json_bool(j, "on", s->on);
	json_string_or_null(j, "router_id", router_id_text(&s->router_id, id));
	json_uint(j, "seqno", s->seqno);
	json_uint(j, "prefixes", s->prefixes);
	json_uint(j, "routes", s->routes_known);
	json_uint(j, "route_changes", s->route_changes);
	json_uint(j, "requests_sent", s->requests_sent);
	json_uint(j, "requests_forwarded", s->requests_forwarded);
	json_uint(j, "requests_answered", s->requests_answered);
	json_uint(j, "requests_pending", s->requests_pending);
	json_uint(j, "unfeasible_updates", s->unfeasible);
	json_uint(j, "refused", s->refused);
	json_uint(j, "left_out", s->left_out);
	json_object_end(j);
}

static void routes_of_json(struct json *j, const Meshd__Routes *s)
{
	struct entry *v = entries_of(s);

	if (!v)
		j->out->failed = true;
	for (size_t i = 0; v && i < s->n_routes; i++)
		route_json(j, s, &v[i]);
	free(v);
}

void routes_json(Meshd__Routes *const *list, size_t count, struct text *out)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_array(&j, "routes");
	for (size_t i = 0; i < count; i++)
		routes_of_json(&j, list[i]);
	json_array_end(&j);
	json_array(&j, "neighbours");
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_neighbours; k++)
			neighbour_json(&j, list[i], list[i]->neighbours[k]);
	json_array_end(&j);
	json_array(&j, "links");
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_interfaces; k++)
			link_json(&j, list[i], list[i]->interfaces[k]);
	json_array_end(&j);
	json_array(&j, "speakers");
	for (size_t i = 0; i < count; i++)
		speaker_json(&j, list[i]);
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

/* ---- the command ---- */

struct answers {
	Meshd__Routes **v;
	size_t count;
};

struct wanted {
	const char *name;
	bool json, all, neighbours;
};

/* Ask one daemon; a reason goes to stderr. */
static bool ask_one(void *ctx, const char *name)
{
	struct answers *a = ctx;
	Meshd__Routes *s, **bigger = reallocarray(a->v, a->count + 1, sizeof(*a->v));
	struct text why = { 0 };
	bool ok;

	if (!bigger)
		return cli_fail("%s: no memory for the answer", name) == CLI_DONE;
	a->v = bigger;
	ok = client_routes(name, &s, &why);
	if (ok)
		a->v[a->count++] = s;
	else
		cli_fail("%s", why.len ? why.s : name);
	text_done(&why);
	return ok;
}

static bool print(const struct wanted *w, const struct answers *a)
{
	struct text out = { 0 };

	if (w->json)
		routes_json(a->v, a->count, &out);
	else if (w->neighbours)
		routes_neighbours_text(a->v, a->count, term_wants_colour(), &out);
	else
		routes_text(a->v, a->count, w->all, term_wants_colour(), &out);
	return ask_print(&out);
}

int cmd_routes(int argc, char **argv)
{
	struct answers a = { 0 };
	struct wanted w = { 0 };
	const struct cli_option options[] = {
		{ "all", 'a', &w.all, NULL }, { "json", 'j', &w.json, NULL }, { "neighbours", 'n', &w.neighbours, NULL }, { 0 },
	};
	int status = ask_arguments(options, "routes [NAME] [--all | --neighbours] [--json]", argc, argv, &w.name, 1);
	bool asked, printed;

	if (status != CLI_DONE)
		return status;
	asked = ask_each(w.name, ask_one, &a);
	printed = (!asked && !a.count) || print(&w, &a);
	for (size_t i = 0; i < a.count; i++)
		meshd__routes__free_unpacked(a.v[i], NULL);
	free(a.v);
	return asked && printed ? CLI_DONE : CLI_FAILED;
}
