/* SPDX-License-Identifier: MIT */
/*
 * meshd status and meshd peers: what daemons say (cli/ask.h), rendered into a text by pure functions, so that tests see exactly what
 * people see.
 *
 * Text shows only what there is to say: a peer without a name, a rate of nothing, a counter at zero take no line. JSON
 * shows always everything, in the same shape; its keys are a contract, listed in meshd(8).
 */
#include "cli/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "cli/ask.h"
#include "cli/json.h"
#include "cli/term.h"
#include "crypto/key.h"
#include "wire/babel.h"

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
	{ "transit", "for another peer, and Transit is off" },
	{ "loop", "for the very peer it came from" },
	{ "hop_limit", "hop limit used up on the way through" },
	{ "too_big", "too big for the paths to the peer, or on the way through for the next link" },
	{ "routing_queue", "too many Babel packets at once" },
	{ "ecn", "congested on the way, and cannot be marked" },
	{ "control", "mesh control message that makes no sense" },
	{ "control_queue", "too many mesh control messages at once" },
	{ "overload", "came in faster than it could be opened" },
	{ "no_peer", "no peer has that destination" },
	{ "unreachable", "the route to that destination was lost" },
	{ "no_endpoint", "the peer's endpoint is not known" },
	{ "endpoint_loop", "the endpoint's route leads into the tunnel itself" },
	{ "no_session", "no session any more to send it by" },
	{ "queue_full", "the queue was full" },
	{ "codel", "waited too long in the queue" },
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

const char *status_peer_word(const Meshd__Peer *peer, char out[TERM_TEXT_MAX])
{
	char key[KEY_BASE64_MAX] = "";

	key_text(&peer->public_key, key);
	if (*peer->name)
		snprintf(out, TERM_TEXT_MAX, "%s", peer->name);
	else
		snprintf(out, TERM_TEXT_MAX, "%.*s...", SHORT_KEY, key);
	return out;
}

/* ---- text ---- */

static void styled_row(struct term_page *p, const char *label, enum term_style style, const char *value)
{
	text_add(p->out, "  ");
	term_add_padded(p->out, p->colour, STYLE_LABEL, label, LABEL_WIDTH);
	term_add(p->out, p->colour, style, value);
	text_add(p->out, "\n");
}

static void __attribute__((format(printf, 3, 4))) row(struct term_page *p, const char *label, const char *fmt, ...)
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

/* 'first' comes before the list, if it is not empty. */
static void list_row(struct term_page *p, const char *label, const char *first, char *const *v, size_t count)
{
	struct text value = { 0 };

	text_add(&value, first);
	for (size_t i = 0; i < count; i++)
		text_addf(&value, "%s%s", value.len ? ", " : "", v[i]);
	styled_row(p, label, STYLE_PLAIN, value.len ? value.s : "(none)");
	text_done(&value);
}

static void heading(struct term_page *p, enum term_style style, const char *kind, const char *name)
{
	term_add(p->out, p->colour, style, kind);
	text_add(p->out, " ");
	term_add(p->out, p->colour, style, name);
	text_add(p->out, "\n");
}

/* What is on, and behind it what is off. */
static void offloads_text(struct term_page *p, const Meshd__Status *s)
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
static void lanes_text(struct term_page *p, const Meshd__Status *s)
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

/* Sub-sessions, and what the queue told senders by ECN. */
static void extensions_text(struct term_page *p, const Meshd__Status *s)
{
	struct text value = { 0 };

	if (s->sockets)
		row(p, "sockets", "%" PRIu32 " for sub-sessions", s->sockets);
	if (s->sub_sessions_lost)
		row(p, "given up", "%" PRIu64 " sub-session%s that %s not heard any more", s->sub_sessions_lost,
		    s->sub_sessions_lost == 1 ? "" : "s", s->sub_sessions_lost == 1 ? "was" : "were");
	if (s->marked_sent || s->marked_received)
		text_addf(&value, "%" PRIu64 " sent, %" PRIu64 " received", s->marked_sent, s->marked_received);
	if (s->ce_kept)
		text_addf(&value, "%s%" PRIu64 " delivered without their mark", value.len ? "; " : "", s->ce_kept);
	if (value.len)
		row(p, "marked", "%s", value.s);
	text_done(&value);
}

/* The mesh it is a node of; what is wrong there, or will be soon, stands out. */
static void mesh_text(struct term_page *p, const Meshd__Mesh *m)
{
	if (!m)
		return;
	row(p, "mesh", "%s: %" PRIu32 " node%s; %" PRIu32 " of %" PRIu32 " neighbour%s in step", m->name, m->nodes_good,
	    m->nodes_good == 1 ? "" : "s", m->in_step, m->neighbours, m->neighbours == 1 ? "" : "s");
	for (size_t i = 0; i < m->n_warnings; i++)
		styled_row(p, i ? "" : "warning", STYLE_BAD, m->warnings[i]);
}

static void interface_text(struct term_page *p, const Meshd__Status *s)
{
	char key[KEY_BASE64_MAX], uptime[TERM_TEXT_MAX], rss[TERM_TEXT_MAX];

	heading(p, STYLE_INTERFACE, "interface", s->name);
	styled_row(p, "state", s->up ? STYLE_GOOD : STYLE_BAD, s->up ? "up" : "down");
	row(p, "public key", "%s", s->public_key.len ? key_text(&s->public_key, key) : "(none: it has no private key)");
	row(p, "listen port", "%" PRIu32, s->listen_port);
	list_row(p, "addresses", "", s->addresses, s->n_addresses);
	row(p, "mtu", "%" PRIu32, s->mtu);
	if (s->fwmark)
		row(p, "fwmark", "0x%" PRIx32, s->fwmark);
	row(p, "packets", "%" PRIu64 " received, %" PRIu64 " sent", s->rx_packets, s->tx_packets);
	row(p, "handshakes", "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " completed", s->handshakes_sent,
	    s->handshakes_received, s->handshakes_done);
	mesh_text(p, s->mesh);
	offloads_text(p, s);
	lanes_text(p, s);
	extensions_text(p, s);
	row(p, "daemon", "meshd %s, running for %s; %" PRIu32 " worker%s, %s, %s of memory", s->version,
	    term_duration(s->uptime_s, uptime), s->workers, s->workers == 1 ? "" : "s", s->aead, term_size(s->rss_bytes, rss));
}

static void endpoint_text(struct term_page *p, const Meshd__Status *s, const Meshd__Peer *peer)
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

static void traffic_text(struct term_page *p, const Meshd__Peer *peer)
{
	char in[TERM_TEXT_MAX], out[TERM_TEXT_MAX];

	row(p, "transfer", "%s received, %s sent", term_size(peer->rx_bytes, in), term_size(peer->tx_bytes, out));
	if (peer->rx_rate || peer->tx_rate)
		row(p, "rate", "%s in, %s out", term_rate(peer->rx_rate, in), term_rate(peer->tx_rate, out));
}

static void sub_sessions_text(struct term_page *p, const Meshd__Peer *peer)
{
	const char *nat = peer->behind_nat ? peer->opener ? ", behind a NAT" : "; we are behind a NAT" : "";

	if (!peer->sub_sessions_max)
		row(p, "sub-sessions", "none: one side wants none");
	else if (!peer->sub_sessions_open)
		row(p, "sub-sessions", "%" PRIu32 " possible, none open", peer->sub_sessions_max);
	else
		row(p, "sub-sessions", "%" PRIu32 " of %" PRIu32 " in use, %" PRIu32 " ready; opened by %s%s", peer->sub_sessions_busy,
		    peer->sub_sessions_max, peer->sub_sessions_usable, peer->opener ? "us" : "the peer", nat);
}

static void babel_text(struct term_page *p, const Meshd__Peer *peer)
{
	unsigned int heard = 0;

	if (!peer->babel)
		return;
	for (uint32_t reach = peer->babel_reach; reach; reach &= reach - 1)
		heard++;
	if (!peer->babel_cost)
		row(p, "babel", "not heard");
	else if (peer->babel_cost >= BABEL_INFINITY)
		styled_row(p, "babel", STYLE_BAD, "the link is down");
	else
		row(p, "babel", "cost %" PRIu32 ", %u of the last 16 hellos heard", peer->babel_cost, heard);
}

/* What is there only between meshds, and the queue. */
static void link_text(struct term_page *p, const Meshd__Peer *peer)
{
	if (peer->mesh)
		sub_sessions_text(p, peer);
	if (peer->ecn_untrusted)
		styled_row(p, "ecn", STYLE_BAD, "marks on this path are not to be trusted; not used");
	else if (peer->ecn_bleached)
		row(p, "ecn", "taken away on this path: routers on it drop where they could mark");
	if (*peer->use)
		row(p, "mesh link", "%s", peer->use);
	babel_text(p, peer);
	if (peer->waiting)
		row(p, "waiting", "%" PRIu32 " packet%s for a session", peer->waiting, peer->waiting == 1 ? "" : "s");
	if (peer->queued > peer->waiting)
		row(p, "queue", "%" PRIu32 " packet%s", peer->queued, peer->queued == 1 ? "" : "s");
}

static void peer_text(struct term_page *p, const Meshd__Status *s, const Meshd__Peer *peer)
{
	char key[KEY_BASE64_MAX], age[TERM_TEXT_MAX];

	key_text(&peer->public_key, key);
	heading(p, STYLE_PEER, "peer", *peer->name ? peer->name : key);
	if (*peer->name)
		row(p, "public key", "%s", key);
	endpoint_text(p, s, peer);
	list_row(p, "allowed ips", peer->allowed_auto ? "auto" : "", peer->allowed_ips, peer->n_allowed_ips);
	row(p, "handshake", "%s%s", term_age(peer->handshake_wall_ns, s->now_ns, age),
	    peer->handshake_wall_ns && !peer->has_session ? " (the session has ended)" : "");
	traffic_text(p, peer);
	link_text(p, peer);
	if (peer->keepalive_s)
		row(p, "keepalive", "every %" PRIu32 " second%s", peer->keepalive_s, peer->keepalive_s == 1 ? "" : "s");
	if (peer->has_psk)
		row(p, "preshared key", "yes");
}

static void drops_text(struct term_page *p, const Meshd__Status *s)
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
	struct term_page p = { .out = out, .colour = colour };

	interface_text(&p, s);
	for (size_t i = 0; i < s->n_peers; i++) {
		text_add(out, "\n");
		peer_text(&p, s, s->peers[i]);
	}
	drops_text(&p, s);
}

static void all_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			text_add(out, "\n");
		status_text(list[i], colour, out);
	}
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

static void line_of_peer(struct term_cell *l, const Meshd__Status *s, const Meshd__Peer *peer)
{
	const char *state = peer_state(peer);
	char text[TERM_TEXT_MAX], with_use[TERM_TEXT_MAX];

	term_cell_set(&l[COLUMN_INTERFACE], STYLE_PLAIN, "%s", s->name);
	term_cell_set(&l[COLUMN_PEER], STYLE_PEER, "%s", status_peer_word(peer, text));
	snprintf(with_use, sizeof(with_use), *peer->use ? "%s, %s" : "%s", state, peer->use);
	term_cell_set(&l[COLUMN_STATE], peer->endpoint_loops ? STYLE_BAD : strcmp(state, "up") ? STYLE_PLAIN : STYLE_GOOD, "%s", with_use);
	term_cell_set(&l[COLUMN_HANDSHAKE], STYLE_PLAIN, "%s", term_age_short(peer->handshake_wall_ns, s->now_ns, text));
	term_cell_set(&l[COLUMN_RECEIVED], STYLE_PLAIN, "%s", term_size(peer->rx_bytes, text));
	term_cell_set(&l[COLUMN_SENT], STYLE_PLAIN, "%s", term_size(peer->tx_bytes, text));
	term_cell_set(&l[COLUMN_RATE_IN], STYLE_PLAIN, "%s", peer->rx_rate ? term_rate(peer->rx_rate, text) : "-");
	term_cell_set(&l[COLUMN_RATE_OUT], STYLE_PLAIN, "%s", peer->tx_rate ? term_rate(peer->tx_rate, text) : "-");
	term_cell_set(&l[COLUMN_ENDPOINT], STYLE_PLAIN, "%s",
		      *peer->endpoint ? peer->endpoint : *peer->endpoint_name ? peer->endpoint_name : "-");
}

void status_peers_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out)
{
	size_t n = 1;
	struct term_cell (*lines)[COLUMNS];

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
		term_cell_set(&lines[0][c], STYLE_LABEL, "%s", column_title[c]);
	n = 1;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i]->n_peers; k++)
			line_of_peer(lines[n++], list[i], list[i]->peers[k]);
	term_table(out, colour, lines[0], n, COLUMNS, count > 1 ? COLUMN_INTERFACE : COLUMN_PEER);
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
	json_bool(j, "mesh", peer->mesh);
	json_uint(j, "sub_sessions_max", peer->sub_sessions_max);
	json_uint(j, "sub_sessions_open", peer->sub_sessions_open);
	json_uint(j, "sub_sessions_usable", peer->sub_sessions_usable);
	json_uint(j, "sub_sessions_busy", peer->sub_sessions_busy);
	json_bool(j, "opener", peer->opener);
	json_bool(j, "behind_nat", peer->behind_nat);
	json_bool(j, "ecn", peer->ecn);
	json_bool(j, "ecn_untrusted", peer->ecn_untrusted);
	json_bool(j, "ecn_bleached", peer->ecn_bleached);
	json_uint(j, "queued_packets", peer->queued);
	json_bool(j, "allowed_auto", peer->allowed_auto);
	json_bool(j, "babel", peer->babel);
	if (peer->babel_cost && peer->babel_cost < BABEL_INFINITY)
		json_uint(j, "babel_cost", peer->babel_cost);
	else
		json_null(j, "babel_cost");
	json_uint(j, "babel_reach", peer->babel_reach);
	json_string_or_null(j, "use", peer->use);
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

static void mesh_json(struct json *j, const Meshd__Mesh *m)
{
	char key[KEY_BASE64_MAX];

	if (!m) {
		json_null(j, "mesh");
		return;
	}
	json_object(j, "mesh");
	json_string(j, "name", m->name);
	json_string_or_null(j, "key", key_text(&m->key, key));
	json_bool(j, "may_sign", m->may_sign);
	json_uint(j, "nodes", m->nodes_known);
	json_uint(j, "nodes_good", m->nodes_good);
	json_uint(j, "neighbours", m->neighbours);
	json_uint(j, "in_step", m->in_step);
	json_uint(j, "backbone", m->backbone);
	json_uint(j, "shortcuts", m->shortcuts);
	json_uint(j, "exchange_tx_bytes", m->exchange_sent);
	json_uint(j, "exchange_rx_bytes", m->exchange_received);
	json_uint(j, "items_refused", m->items_refused);
	json_uint(j, "routes_refused", m->routes_refused);
	json_uint(j, "routed", m->routed);
	json_uint(j, "routed_dropped", m->routed_dropped);
	strings_json(j, "warnings", m->warnings, m->n_warnings);
	json_object_end(j);
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
	json_uint(j, "marked_sent", s->marked_sent);
	json_uint(j, "marked_received", s->marked_received);
	json_uint(j, "ce_kept", s->ce_kept);
	json_uint(j, "sub_session_sockets", s->sockets);
	json_uint(j, "sub_sessions_lost", s->sub_sessions_lost);
	json_string(j, "version", s->version);
	json_int(j, "now_ms", to_ms(s->now_ns));
	json_uint(j, "uptime_s", s->uptime_s);
	json_uint(j, "workers", s->workers);
	mesh_json(j, s->mesh);
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

int cmd_status(int argc, char **argv)
{
	static const struct ask_command command = { .text = all_text, .json = status_json };

	return ask_run(&command, argc, argv);
}

int cmd_peers(int argc, char **argv)
{
	static const struct ask_command command = { .text = status_peers_text, .json = status_peers_json };

	return ask_run(&command, argc, argv);
}
