/* SPDX-License-Identifier: MIT */
/*
 * The cross-platform configuration protocol, as on https://www.wireguard.com/xplatform/#configuration-protocol. A set
 * request is device lines, then groups of peer lines, each begun by public_key; a key of the one kind among the
 * other's lines is unknown there. Every line is one entry of the table below.
 *
 * Invariants: a request is read whole or not at all (uapi_parse_set() leaves nothing behind when it fails), every byte
 * is looked at once, and what a value can be copied into is bounded and wiped, since values are keys.
 */
#include "node/uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "node/change.h"
#include "node/node.h"

enum {
	FIRST_LINE = 6,		/* "set=1\n" */
	VALUE_MAX = 127,	/* no value is longer; a key in hex is 64 */
};

/* A set request being read. */
struct reader {
	struct change *c;
	struct change_peer *peer;	/* the group we are in, NULL among device lines */
	size_t allowed_count;		/* over all peers */
};

enum uapi_request uapi_request(const char *text, size_t len, size_t *scanned, size_t *len_used)
{
	size_t head = len < FIRST_LINE ? len : FIRST_LINE;
	size_t at = *scanned > FIRST_LINE ? *scanned : FIRST_LINE;
	const char *end;
	bool get = memcmp(text, "get=1\n", head) == 0;

	if (!get && memcmp(text, "set=1\n", head) != 0)
		return UAPI_BAD;
	if (get && len > FIRST_LINE && text[FIRST_LINE] != '\n')
		return UAPI_BAD;
	while (at < len && (end = memchr(text + at, '\n', len - at))) {
		at = (size_t)(end - text) + 1;
		if (end[-1] != '\n')
			continue;
		*len_used = at;
		if (at > UAPI_REQUEST_MAX)
			return UAPI_BAD;
		return get ? UAPI_GET : UAPI_SET;
	}
	*scanned = len;
	return len < UAPI_REQUEST_MAX ? UAPI_INCOMPLETE : UAPI_BAD;
}

static int parse_number(const char *value, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*value)
		return -EINVAL;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(*value - '0');
		if (n > max)
			return -EINVAL;
	}
	*out = n;
	return 0;
}

/* The only value a flag can have. */
static int parse_true(const char *value)
{
	return strcmp(value, "true") == 0 ? 0 : -EINVAL;
}

static int set_private_key(struct reader *r, const char *value)
{
	r->c->bits |= CHANGE_PRIVATE_KEY;
	return key_from_hex(r->c->private_key, value) ? 0 : -EINVAL;
}

static int set_listen_port(struct reader *r, const char *value)
{
	uint64_t port = 0;
	int error = parse_number(value, UINT16_MAX, &port);

	r->c->bits |= CHANGE_LISTEN_PORT;
	r->c->listen_port = (uint16_t)port;
	return error;
}

static int set_fwmark(struct reader *r, const char *value)
{
	uint64_t mark = 0;
	int error = parse_number(value, UINT32_MAX, &mark);

	r->c->bits |= CHANGE_FWMARK;
	r->c->fwmark = (uint32_t)mark;
	return error;
}

static int set_replace_peers(struct reader *r, const char *value)
{
	r->c->bits |= CHANGE_REPLACE_PEERS;
	return parse_true(value);
}

static int set_public_key(struct reader *r, const char *value)
{
	if (r->c->peer_count >= CHANGE_PEERS_MAX)
		return -E2BIG;
	r->peer = change_add_peer(r->c);
	if (!r->peer)
		return -ENOMEM;
	return key_from_hex(r->peer->public_key, value) ? 0 : -EINVAL;
}

static int set_remove(struct reader *r, const char *value)
{
	r->peer->bits |= CHANGE_PEER_REMOVE;
	return parse_true(value);
}

static int set_update_only(struct reader *r, const char *value)
{
	r->peer->bits |= CHANGE_PEER_UPDATE_ONLY;
	return parse_true(value);
}

static int set_preshared_key(struct reader *r, const char *value)
{
	r->peer->bits |= CHANGE_PEER_PSK;
	return key_from_hex(r->peer->psk, value) ? 0 : -EINVAL;
}

/* [ADDRESS%NAME]:PORT, as wg(8) writes a scope: the name is for whoever can look at interfaces. */
static bool has_scope_name(const char *value)
{
	return value[0] == '[' && strchr(value, '%') && strchr(value, ']') > strchr(value, '%') + 1 &&
	       strlen(value) <= ENDPOINT_NAME_MAX;
}

static int set_endpoint(struct reader *r, const char *value)
{
	struct change_peer *p = r->peer;
	struct change_endpoint *e;
	struct endpoint address;

	change_clear_endpoints(p);
	if (endpoint_parse(value, &address))
		return change_add_address(p, &address) ? 0 : -ENOMEM;
	if (!has_scope_name(value))
		return -EINVAL;
	e = change_add_endpoint(p);
	if (!e)
		return -ENOMEM;
	memcpy(e->name, value, strlen(value) + 1);
	return 0;
}

static int set_keepalive(struct reader *r, const char *value)
{
	uint64_t seconds = 0;
	int error = parse_number(value, UINT16_MAX, &seconds);

	r->peer->bits |= CHANGE_PEER_KEEPALIVE;
	r->peer->keepalive_s = (uint16_t)seconds;
	return error;
}

/* Forgets what this request gave before, too: lines act in their order. What the lines then say is all: no routing decides beside them. */
static int set_replace_allowed_ips(struct reader *r, const char *value)
{
	r->peer->bits |= CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_ALLOWED_AUTO;
	r->peer->allowed_auto = false;
	r->allowed_count -= r->peer->allowed_count;
	change_clear_allowed(r->peer);
	return parse_true(value);
}

static int add_allowed_ip(struct reader *r, const char *value)
{
	struct ip_prefix prefix;
	bool remove = *value == '-';

	if (!ip_prefix_parse(value + remove, &prefix))
		return -EINVAL;
	ip_prefix_mask(&prefix);
	if (++r->allowed_count > CHANGE_ALLOWED_MAX)
		return -E2BIG;
	return change_add_allowed(r->peer, &prefix, remove) ? 0 : -ENOMEM;
}

static int check_protocol_version(struct reader *r, const char *value)
{
	(void)r;
	return strcmp(value, "1") == 0 ? 0 : -EINVAL;
}

enum place { IN_DEVICE = 1, IN_PEER = 2 };

static const struct key {
	const char *name;
	unsigned int places;	/* enum place */
	int (*set)(struct reader *r, const char *value);
} keys[] = {
	{ "private_key", IN_DEVICE, set_private_key },
	{ "listen_port", IN_DEVICE, set_listen_port },
	{ "fwmark", IN_DEVICE, set_fwmark },
	{ "replace_peers", IN_DEVICE, set_replace_peers },
	{ "public_key", IN_DEVICE | IN_PEER, set_public_key },
	{ "remove", IN_PEER, set_remove },
	{ "update_only", IN_PEER, set_update_only },
	{ "preshared_key", IN_PEER, set_preshared_key },
	{ "endpoint", IN_PEER, set_endpoint },
	{ "persistent_keepalive_interval", IN_PEER, set_keepalive },
	{ "replace_allowed_ips", IN_PEER, set_replace_allowed_ips },
	{ "allowed_ip", IN_PEER, add_allowed_ip },
	{ "protocol_version", IN_PEER, check_protocol_version },
};

static const struct key *find_key(const char *name, size_t len, enum place place)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if ((keys[i].places & place) && strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0)
			return &keys[i];
	return NULL;
}

static int parse_line(struct reader *r, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	const struct key *key;
	char value[VALUE_MAX + 1];
	size_t value_len;
	int error;

	if (!equals)
		return -EPROTO;
	key = find_key(line, (size_t)(equals - line), r->peer ? IN_PEER : IN_DEVICE);
	if (!key)
		return -EPROTO;
	value_len = len - (size_t)(equals + 1 - line);
	if (value_len > VALUE_MAX || memchr(equals + 1, 0, value_len))
		return -EINVAL;
	memcpy(value, equals + 1, value_len);
	value[value_len] = 0;
	error = key->set(r, value);
	crypto_wipe(value, sizeof(value));
	return error;
}

static int parse_lines(struct reader *r, const char *text, size_t len)
{
	size_t at = FIRST_LINE;

	if (len < FIRST_LINE || memcmp(text, "set=1\n", FIRST_LINE) != 0)
		return -EPROTO;
	while (at < len) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len;
		int error;

		if (!end)
			return -EPROTO;
		line_len = (size_t)(end - text) - at;
		if (!line_len)
			return 0;
		error = parse_line(r, text + at, line_len);
		if (error)
			return error;
		at += line_len + 1;
	}
	return -EPROTO;		/* no empty line */
}

int uapi_parse_set(struct change *c, const char *text, size_t len)
{
	struct reader r = { .c = c };
	int error;

	memset(c, 0, sizeof(*c));
	error = parse_lines(&r, text, len);
	if (error)
		change_done(c);
	return error;
}

static void format_key(struct text *out, const char *name, const uint8_t key[KEY_LEN])
{
	char hex[KEY_HEX_MAX];

	text_addf(out, "%s=%s\n", name, key_to_hex(hex, key));
	crypto_wipe(hex, sizeof(hex));
}

static void format_allowed(void *ctx, const struct ip_prefix *p)
{
	char prefix[PREFIX_TEXT_MAX];

	text_addf(ctx, "allowed_ip=%s\n", ip_prefix_format(p, prefix));
}

static void format_peer(const struct peer_info *p, struct text *out)
{
	char endpoint[ENDPOINT_TEXT_MAX];
	int64_t handshake_ns = p->handshake_wall_ns > 0 ? p->handshake_wall_ns : 0;

	format_key(out, "public_key", p->public_key);
	format_key(out, "preshared_key", p->psk);
	text_add(out, "protocol_version=1\n");
	if (p->path.remote.addr.family != IP_NONE)
		text_addf(out, "endpoint=%s\n", endpoint_format(&p->path.remote, endpoint));
	text_addf(out, "last_handshake_time_sec=%" PRId64 "\n", handshake_ns / NS_PER_S);
	text_addf(out, "last_handshake_time_nsec=%" PRId64 "\n", handshake_ns % NS_PER_S);
	text_addf(out, "tx_bytes=%" PRIu64 "\nrx_bytes=%" PRIu64 "\n", p->tx_bytes, p->rx_bytes);
	text_addf(out, "persistent_keepalive_interval=%u\n", (unsigned int)p->keepalive_s);
}

void uapi_format_get(const struct node *node, struct instant now, struct text *out)
{
	struct node_info info;
	struct peer_info peer;

	node_info(node, &info);
	if (info.has_key)
		format_key(out, "private_key", info.private_key);
	if (info.listen_port)
		text_addf(out, "listen_port=%u\n", (unsigned int)info.listen_port);
	if (info.fwmark)
		text_addf(out, "fwmark=%" PRIu32 "\n", info.fwmark);
	for (size_t i = 0; node_peer(node, i, now, &peer); i++) {
		format_peer(&peer, out);
		node_peer_allowed(node, i, format_allowed, out);
	}
	crypto_wipe(&info, sizeof(info));
	crypto_wipe(&peer, sizeof(peer));
	uapi_format_errno(0, out);
}

void uapi_format_errno(int error, struct text *out)
{
	text_addf(out, "errno=%d\n\n", error);
}
