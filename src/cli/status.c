/* SPDX-License-Identifier: MIT */
/*
 * meshd status and meshd peers. Three steps that do not mix: ask every daemon (cli/client.h), render what
 * they said into a text - a pure function, so that tests see exactly what people see - and print it.
 *
 * Text shows only what there is to say: a peer without a name, a rate of nothing, a counter at zero take no line. JSON
 * shows always everything, in the same shape; its keys are a contract, listed in meshd(8).
 */
#include "cli/status.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json.h"
#include "cli/term.h"
#include "crypto/key.h"
#include "node/config.h"

enum {
	LABEL_WIDTH = 15,
	SHORT_KEY = 8,		/* characters of a key that stand for a peer without a name */
};

static const struct {
	const char *name, *words;
} drop_words[] = {
	{ "not_wireguard", "not a WireGuard message" },
	{ "bad_mac1", "made for another public key" },
	{ "no_index", "of a session we do not have" },
	{ "rate_limited", "a source sent handshakes too fast" },
	{ "handshake_queue", "too many handshakes at once" },
	{ "no_identity", "we have no private key" },
	{ "handshake_forged", "forged handshake" },
	{ "handshake_replayed", "replayed handshake" },
	{ "handshake_flooded", "a peer sent handshakes too fast" },
	{ "handshake_unexpected", "handshake answer nobody waited for" },
	{ "unknown_peer", "handshake of an unknown peer" },
	{ "cookie_bad", "bad cookie reply" },
	{ "forged", "forged data" },
	{ "replayed", "replayed data" },
	{ "key_expired", "the session's key had expired" },
	{ "bad_inner", "no IP packet inside" },
	{ "source", "inner source is not among the peer's allowed IPs" },
	{ "no_peer", "no peer has that destination" },
	{ "no_endpoint", "the peer's endpoint is not known" },
	{ "endpoint_loop", "the endpoint's route leads into the tunnel itself" },
	{ "no_session", "the peer did not answer handshakes" },
	{ "queue_full", "too many waited for a session" },
	{ "bad_outgoing", "no IP packet from the kernel" },
	{ "udp_send", "refused by the UDP socket" },
	{ "tun_write", "refused by the TUN" },
};

const char *status_drop_words(const char *name, char out[64])
{
	for (size_t i = 0; i < sizeof(drop_words) / sizeof(drop_words[0]); i++)
		if (!strcmp(drop_words[i].name, name))
			return drop_words[i].words;
	snprintf(out, 64, "%s", name);
	for (char *p = out; *p; p++)
		if (*p == '_')
			*p = ' ';
	return out;
}

/* A public key in base64, or "" for one that is not there. */
static const char *key_text(const ProtobufCBinaryData *key, char out[KEY_BASE64_MAX])
{
	if (key->len != KEY_LEN)
		return "";
	return key_to_base64(out, key->data);
}

/* ---- text ---- */

struct page {
	struct text *out;
	bool colour;
};

static void styled_row(struct page *p, const char *label, enum term_style style, const char *value)
{
	text_add(p->out, "  ");
	term_add_padded(p->out, p->colour, STYLE_LABEL, label, LABEL_WIDTH);
	term_add(p->out, p->colour, style, value);
	text_add(p->out, "\n");
}

static void __attribute__((format(printf, 3, 4))) row(struct page *p, const char *label, const char *fmt, ...)
{
	struct text value = { 0 };
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) >= 0) {
		text_add(&value, s);
		free(s);
	}
	va_end(ap);
	styled_row(p, label, STYLE_PLAIN, value.len ? value.s : "");
	text_done(&value);
}

static void list_row(struct page *p, const char *label, char *const *v, size_t count)
{
	struct text value = { 0 };

	for (size_t i = 0; i < count; i++)
		text_addf(&value, "%s%s", i ? ", " : "", v[i]);
	styled_row(p, label, STYLE_PLAIN, count && value.s ? value.s : "(none)");
	text_done(&value);
}

static void heading(struct page *p, enum term_style style, const char *kind, const char *name)
{
	term_add(p->out, p->colour, style, kind);
	text_add(p->out, " ");
	term_add(p->out, p->colour, style, name);
	text_add(p->out, "\n");
}

/* What is on, and behind it what is off. */
static void offloads_text(struct page *p, const Meshd__Status *s)
{
	struct text value = { 0 };
	const char *before = "";

	for (int on = 1; on >= 0; on--) {
		for (size_t i = 0; i < s->n_offloads; i++)
			if (s->offloads[i]->on == on) {
				text_addf(&value, "%s%s", before, s->offloads[i]->name);
				before = ", ";
			}
		before = value.len ? "; off: " : "none; off: ";
	}
	if (s->n_offloads)
		row(p, "offloads", "%s", value.s ? value.s : "");
	text_done(&value);
}

/* How the packets are spread over several lanes. */
static void lanes_text(struct page *p, const Meshd__Status *s)
{
	uint64_t total = s->rx_packets + s->tx_packets;
	struct text value = { 0 };

	for (size_t i = 0; i < s->n_lanes && total; i++)
		text_addf(&value, "%s%.0f %%", i ? ", " : "",
			  100.0 * (double)(s->lanes[i]->rx_packets + s->lanes[i]->tx_packets) / (double)total);
	if (s->n_lanes > 1 && value.len)
		row(p, "lanes", "%s of the packets%s", value.s,
		    s->one_queue ? "; one reads the TUN for all, which could not be steered" : "");
	text_done(&value);
}

static void interface_text(struct page *p, const Meshd__Status *s)
{
	char key[KEY_BASE64_MAX], uptime[TERM_TEXT_MAX], rss[TERM_TEXT_MAX];

	heading(p, STYLE_INTERFACE, "interface", s->name);
	styled_row(p, "state", s->up ? STYLE_GOOD : STYLE_BAD, s->up ? "up" : "down");
	row(p, "public key", "%s", s->public_key.len ? key_text(&s->public_key, key) : "(none: it has no private key)");
	row(p, "listen port", "%" PRIu32, s->listen_port);
	list_row(p, "addresses", s->addresses, s->n_addresses);
	row(p, "mtu", "%" PRIu32, s->mtu);
	if (s->fwmark)
		row(p, "fwmark", "0x%" PRIx32, s->fwmark);
	row(p, "packets", "%" PRIu64 " received, %" PRIu64 " sent", s->rx_packets, s->tx_packets);
	row(p, "handshakes", "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " completed", s->handshakes_sent,
	    s->handshakes_received, s->handshakes_done);
	offloads_text(p, s);
	lanes_text(p, s);
	row(p, "daemon", "meshd %s, running for %s; %" PRIu32 " worker%s, %s, %s of memory", s->version,
	    term_duration(s->uptime_s, uptime), s->workers, s->workers == 1 ? "" : "s", s->aead, term_size(s->rss_bytes, rss));
}

static void endpoint_text(struct page *p, const Meshd__Status *s, const Meshd__Peer *peer)
{
	struct text value = { 0 };

	if (*peer->endpoint)
		text_add(&value, peer->endpoint);
	if (*peer->endpoint_name)
		text_addf(&value, *peer->endpoint ? " (%s)" : "%s (no address known yet)", peer->endpoint_name);
	if (*peer->local_address)
		text_addf(&value, ", from %s", peer->local_address);
	if (peer->endpoint_loops)
		text_addf(&value, " - not used: its route leads into %s itself", s->name);
	if (!value.len)
		text_add(&value, "(none)");
	styled_row(p, "endpoint", peer->endpoint_loops ? STYLE_BAD : STYLE_PLAIN, value.s ? value.s : "");
	text_done(&value);
}

static void traffic_text(struct page *p, const Meshd__Peer *peer)
{
	char in[TERM_TEXT_MAX], out[TERM_TEXT_MAX];

	row(p, "transfer", "%s received, %s sent", term_size(peer->rx_bytes, in), term_size(peer->tx_bytes, out));
	if (peer->rx_rate || peer->tx_rate)
		row(p, "rate", "%s in, %s out", term_rate(peer->rx_rate, in), term_rate(peer->tx_rate, out));
}

static void peer_text(struct page *p, const Meshd__Status *s, const Meshd__Peer *peer)
{
	char key[KEY_BASE64_MAX], age[TERM_TEXT_MAX];

	key_text(&peer->public_key, key);
	heading(p, STYLE_PEER, "peer", *peer->name ? peer->name : key);
	if (*peer->name)
		row(p, "public key", "%s", key);
	endpoint_text(p, s, peer);
	list_row(p, "allowed ips", peer->allowed_ips, peer->n_allowed_ips);
	row(p, "handshake", "%s%s", term_age(peer->handshake_wall_ns, s->now_ns, age),
	    peer->handshake_wall_ns && !peer->has_session ? " (the session has ended)" : "");
	traffic_text(p, peer);
	if (peer->waiting)
		row(p, "waiting", "%" PRIu32 " packet%s for a session", peer->waiting, peer->waiting == 1 ? "" : "s");
	if (peer->keepalive_s)
		row(p, "keepalive", "every %" PRIu32 " second%s", peer->keepalive_s, peer->keepalive_s == 1 ? "" : "s");
	if (peer->has_psk)
		row(p, "preshared key", "yes");
}

static void drops_text(struct page *p, const Meshd__Status *s)
{
	if (!s->n_drops)
		return;
	text_add(p->out, "\n");
	heading(p, STYLE_LABEL, "dropped by", s->name);
	for (size_t i = 0; i < s->n_drops; i++) {
		char words[64];

		text_addf(p->out, "  %-*" PRIu64, LABEL_WIDTH, s->drops[i]->count);
		term_add(p->out, p->colour, STYLE_PLAIN, status_drop_words(s->drops[i]->name, words));
		text_add(p->out, "\n");
	}
}

void status_text(const Meshd__Status *s, bool colour, struct text *out)
{
	struct page p = { .out = out, .colour = colour };

	interface_text(&p, s);
	for (size_t i = 0; i < s->n_peers; i++) {
		text_add(out, "\n");
		peer_text(&p, s, s->peers[i]);
	}
	drops_text(&p, s);
}

/* ---- a line a peer ---- */

enum column {
	COLUMN_INTERFACE,
	COLUMN_PEER,
	COLUMN_STATE,
	COLUMN_HANDSHAKE,
	COLUMN_RECEIVED,
	COLUMN_SENT,
	COLUMN_RATE_IN,
	COLUMN_RATE_OUT,
	COLUMN_ENDPOINT,
	COLUMNS,
};

static const char *const column_title[COLUMNS] = {
	"INTERFACE", "PEER", "STATE", "HANDSHAKE", "RECEIVED", "SENT", "IN", "OUT", "ENDPOINT",
};

struct line {
	char cell[COLUMNS][128];
	bool bad;
};

static const char *peer_state(const Meshd__Peer *peer)
{
	if (peer->endpoint_loops)
		return "loop";
	if (peer->has_session)
		return "up";
	if (peer->waiting)
		return "trying";
	return *peer->endpoint ? "idle" : "no endpoint";
}

static void set_cell(struct line *l, enum column c, const char *text)
{
	snprintf(l->cell[c], sizeof(l->cell[c]), "%s", text);
}

static void line_of_peer(struct line *l, const Meshd__Status *s, const Meshd__Peer *peer)
{
	char text[TERM_TEXT_MAX], key[KEY_BASE64_MAX] = "";

	memset(l, 0, sizeof(*l));
	key_text(&peer->public_key, key);
	set_cell(l, COLUMN_INTERFACE, s->name);
	if (*peer->name)
		set_cell(l, COLUMN_PEER, peer->name);
	else
		snprintf(l->cell[COLUMN_PEER], sizeof(l->cell[COLUMN_PEER]), "%.*s...", SHORT_KEY, key);
	set_cell(l, COLUMN_STATE, peer_state(peer));
	set_cell(l, COLUMN_HANDSHAKE, term_age_short(peer->handshake_wall_ns, s->now_ns, text));
	set_cell(l, COLUMN_RECEIVED, term_size(peer->rx_bytes, text));
	set_cell(l, COLUMN_SENT, term_size(peer->tx_bytes, text));
	set_cell(l, COLUMN_RATE_IN, peer->rx_rate ? term_rate(peer->rx_rate, text) : "-");
	set_cell(l, COLUMN_RATE_OUT, peer->tx_rate ? term_rate(peer->tx_rate, text) : "-");
	set_cell(l, COLUMN_ENDPOINT, *peer->endpoint ? peer->endpoint : *peer->endpoint_name ? peer->endpoint_name : "-");
	l->bad = peer->endpoint_loops;
}

static enum term_style cell_style(const struct line *l, enum column c, bool title)
{
	if (title)
		return STYLE_LABEL;
	if (c == COLUMN_PEER)
		return STYLE_PEER;
	if (c != COLUMN_STATE)
		return STYLE_PLAIN;
	return l->bad ? STYLE_BAD : strcmp(l->cell[c], "up") ? STYLE_PLAIN : STYLE_GOOD;
}

/* Lines with columns as wide as their widest cell; the last one is not filled. */
static void lines_text(const struct line *lines, size_t count, enum column first, bool colour, struct text *out)
{
	unsigned int width[COLUMNS] = { 0 };

	for (size_t i = 0; i < count; i++)
		for (unsigned int c = first; c < COLUMNS; c++)
			if (term_width(lines[i].cell[c]) > width[c])
				width[c] = term_width(lines[i].cell[c]);
	for (size_t i = 0; i < count; i++) {
		for (unsigned int c = first; c < COLUMNS; c++) {
			enum term_style style = cell_style(&lines[i], (enum column)c, !i);

			term_add_padded(out, colour, style, lines[i].cell[c], c == COLUMNS - 1 ? 0 : width[c] + 2);
		}
		text_add(out, "\n");
	}
}

void status_peers_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out)
{
	size_t n = 1;
	struct line *lines;

	for (size_t i = 0; i < count; i++)
		n += list[i]->n_peers;
	if (n == 1)
		return;
	lines = calloc(n, sizeof(*lines));
	if (!lines) {
		out->failed = true;
		return;
	}
	for (unsigned int c = 0; c < COLUMNS; c++)
		set_cell(&lines[0], (enum column)c, column_title[c]);
	n = 1;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_peers; k++)
			line_of_peer(&lines[n++], list[i], list[i]->peers[k]);
	lines_text(lines, n, count > 1 ? COLUMN_INTERFACE : COLUMN_PEER, colour, out);
	free(lines);
}

/* ---- JSON ---- */

/* Nanoseconds do not fit into the doubles most readers of JSON have; milliseconds do. */
static int64_t to_ms(int64_t ns)
{
	return ns / (NS_PER_S / 1000);
}

static void strings_json(struct json *j, const char *key, char *const *v, size_t count)
{
	json_array(j, key);
	for (size_t i = 0; i < count; i++)
		json_string(j, NULL, v[i]);
	json_array_end(j);
}

static void handshake_json(struct json *j, const Meshd__Status *s, const Meshd__Peer *peer)
{
	int64_t age_ns = s->now_ns - peer->handshake_wall_ns;

	if (!peer->handshake_wall_ns) {
		json_null(j, "handshake_ms");
		json_null(j, "handshake_age_s");
		return;
	}
	json_int(j, "handshake_ms", to_ms(peer->handshake_wall_ns));
	json_int(j, "handshake_age_s", age_ns > 0 ? age_ns / NS_PER_S : 0);
}

static void peer_json(struct json *j, const Meshd__Status *s, const Meshd__Peer *peer, bool tell_interface)
{
	char key[KEY_BASE64_MAX];

	json_object(j, NULL);
	if (tell_interface)
		json_string(j, "interface", s->name);
	json_string_or_null(j, "public_key", key_text(&peer->public_key, key));
	json_string_or_null(j, "name", peer->name);
	json_string_or_null(j, "endpoint", peer->endpoint);
	json_string_or_null(j, "endpoint_name", peer->endpoint_name);
	json_string_or_null(j, "local_address", peer->local_address);
	json_bool(j, "endpoint_loops", peer->endpoint_loops);
	strings_json(j, "allowed_ips", peer->allowed_ips, peer->n_allowed_ips);
	json_bool(j, "has_session", peer->has_session);
	handshake_json(j, s, peer);
	json_uint(j, "rx_bytes", peer->rx_bytes);
	json_uint(j, "tx_bytes", peer->tx_bytes);
	json_uint(j, "rx_bytes_per_s", peer->rx_rate);
	json_uint(j, "tx_bytes_per_s", peer->tx_rate);
	json_uint(j, "waiting_packets", peer->waiting);
	json_uint(j, "keepalive_s", peer->keepalive_s);
	json_bool(j, "has_preshared_key", peer->has_psk);
	json_object_end(j);
}

static void offloads_json(struct json *j, const Meshd__Status *s)
{
	json_object(j, "offloads");
	for (size_t i = 0; i < s->n_offloads; i++)
		json_bool(j, s->offloads[i]->name, s->offloads[i]->on);
	json_object_end(j);
}

static void lanes_json(struct json *j, const Meshd__Status *s)
{
	json_array(j, "lanes");
	for (size_t i = 0; i < s->n_lanes; i++) {
		json_object(j, NULL);
		json_uint(j, "rx_packets", s->lanes[i]->rx_packets);
		json_uint(j, "tx_packets", s->lanes[i]->tx_packets);
		json_uint(j, "handed_over", s->lanes[i]->handed_over);
		json_uint(j, "strays", s->lanes[i]->strays);
		json_object_end(j);
	}
	json_array_end(j);
	json_bool(j, "one_queue", s->one_queue);
}

static void interface_json(struct json *j, const Meshd__Status *s)
{
	char key[KEY_BASE64_MAX];

	json_string(j, "name", s->name);
	json_bool(j, "up", s->up);
	json_string_or_null(j, "public_key", key_text(&s->public_key, key));
	json_uint(j, "listen_port", s->listen_port);
	strings_json(j, "addresses", s->addresses, s->n_addresses);
	json_uint(j, "mtu", s->mtu);
	json_uint(j, "fwmark", s->fwmark);
	json_uint(j, "rx_packets", s->rx_packets);
	json_uint(j, "tx_packets", s->tx_packets);
	json_uint(j, "handshakes_sent", s->handshakes_sent);
	json_uint(j, "handshakes_received", s->handshakes_received);
	json_uint(j, "handshakes_completed", s->handshakes_done);
	json_string(j, "version", s->version);
	json_int(j, "now_ms", to_ms(s->now_ns));
	json_uint(j, "uptime_s", s->uptime_s);
	json_uint(j, "workers", s->workers);
	offloads_json(j, s);
	lanes_json(j, s);
	json_string_or_null(j, "aead", s->aead);
	json_uint(j, "rss_bytes", s->rss_bytes);
}

void status_json(Meshd__Status *const *list, size_t count, struct text *out)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_array(&j, "interfaces");
	for (size_t i = 0; i < count; i++) {
		const Meshd__Status *s = list[i];

		json_object(&j, NULL);
		interface_json(&j, s);
		json_array(&j, "peers");
		for (size_t k = 0; k < s->n_peers; k++)
			peer_json(&j, s, s->peers[k], false);
		json_array_end(&j);
		json_object(&j, "drops");
		for (size_t k = 0; k < s->n_drops; k++)
			json_uint(&j, s->drops[k]->name, s->drops[k]->count);
		json_object_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

void status_peers_json(Meshd__Status *const *list, size_t count, struct text *out)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_array(&j, "peers");
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_peers; k++)
			peer_json(&j, list[i], list[i]->peers[k], true);
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

/* ---- the commands ---- */

struct answers {
	Meshd__Status **v;
	size_t count;
};

/* Ask one daemon; a reason goes to stderr. */
static bool ask_one(struct answers *a, const char *name)
{
	struct text why = { 0 };
	Meshd__Status *s, **bigger = reallocarray(a->v, a->count + 1, sizeof(*a->v));
	bool ok;

	if (!bigger)
		return false;
	a->v = bigger;
	ok = client_status(name, &s, &why);
	if (ok)
		a->v[a->count++] = s;
	else
		cli_fail("%s", why.len ? why.s : name);
	text_done(&why);
	return ok;
}

static bool ask_all(struct answers *a)
{
	struct client_names names = { 0 };
	struct text why = { 0 };
	bool ok = client_names(&names, &why);

	if (!ok)
		cli_fail("%s", why.len ? why.s : "no memory");
	for (size_t i = 0; i < names.count; i++)
		ok = ask_one(a, names.v[i]) && ok;
	if (ok && !a->count)
		cli_fail("no interface is running (start one with: meshd up NAME)");
	text_done(&why);
	client_names_done(&names);
	return ok;
}

static void all_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			text_add(out, "\n");
		status_text(list[i], colour, out);
	}
}

struct command {
	void (*text)(Meshd__Status *const *list, size_t count, bool colour, struct text *out);
	void (*json)(Meshd__Status *const *list, size_t count, struct text *out);
};

static bool print(const struct command *c, const struct answers *a, bool json)
{
	struct text out = { 0 };
	bool ok;

	if (json)
		c->json(a->v, a->count, &out);
	else
		c->text(a->v, a->count, term_wants_colour(), &out);
	ok = !out.failed;
	if (!ok) {
		cli_fail("no memory for the answer");
	} else if (out.len && (fwrite(out.s, 1, out.len, stdout) != out.len || fflush(stdout))) {
		cli_fail("standard output: %s", strerror(errno));
		ok = false;
	}
	text_done(&out);
	return ok;
}

static int usage(const char *command)
{
	char synopsis[64];

	snprintf(synopsis, sizeof(synopsis), "%s [NAME] [--json]", command);
	return cli_usage(synopsis);
}

/* The interface to ask and the form of the answer. CLI_DONE, or the exit status. */
static int parse_arguments(int argc, char **argv, const char **name, bool *json)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int c;

	optind = 0;	/* glibc and musl: start over, main may have used getopt before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		if (c != 'j')
			return usage(argv[0]);
		*json = true;
	}
	if (argc - optind > 1)
		return usage(argv[0]);
	*name = argv[optind];
	if (*name && !config_interface_name(*name)) {
		cli_fail("'%s' cannot be an interface's name", *name);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct answers a = { 0 };
	const char *name = NULL;
	bool json = false, asked, printed;
	int status = parse_arguments(argc, argv, &name, &json);

	if (status != CLI_DONE)
		return status;
	asked = name ? ask_one(&a, name) : ask_all(&a);
	printed = (!asked && !a.count) || print(command, &a, json);
	for (size_t i = 0; i < a.count; i++)
		meshd__status__free_unpacked(a.v[i], NULL);
	free(a.v);
	return asked && printed ? CLI_DONE : CLI_FAILED;
}

int cmd_status(int argc, char **argv)
{
	static const struct command command = { all_text, status_json };

	return run(&command, argc, argv);
}

int cmd_peers(int argc, char **argv)
{
	static const struct command command = { status_peers_text, status_peers_json };

	return run(&command, argc, argv);
}
