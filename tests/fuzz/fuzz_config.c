/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a config file. What is refused leaves nothing and says so in one clean line without anything like a key
 * in it; what is accepted and written reads back to the same text.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good, const char *what, const char *text)
{
	if (good)
		return;
	fprintf(stderr, "%s: %s\n", what, text);
	abort();
}

static bool is_base64(char ch)
{
	return ch && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", ch);
}

/* "fuzz:LINE: ..." in printable characters; our own words are all shorter than half a key. */
static void check_error(const char *error)
{
	size_t run = 0, digits;

	require(strncmp(error, "fuzz:", 5) == 0, "error does not begin with the file", error);
	digits = strspn(error + 5, "0123456789");
	require(digits > 0 && strncmp(error + 5 + digits, ": ", 2) == 0, "error has no line", error);
	require(error[5] != '0', "line 0", error);
	for (const char *s = error; *s; s++) {
		require(*s >= ' ' && *s <= '~', "unclean error", error);
		run = is_base64(*s) ? run + 1 : 0;
		require(run < 24, "a secret in an error", error);
	}
}

static void check_link(const struct link_settings *l)
{
	require(l->flow_sessions <= FLOW_SESSIONS_MAX, "too many sub-sessions", "");
	require((int)l->ecn < ECN_MODES, "no such mode", "");
	require(l->dscp >= DSCP_COPY && l->dscp <= DSCP_MAX, "no such DSCP", "");
	require(!l->bandwidth_bps || (l->bandwidth_bps >= BANDWIDTH_MIN_BPS && l->bandwidth_bps <= BANDWIDTH_MAX_BPS),
		"a bandwidth out of bounds", "");
}

static void check_endpoint(const struct change_endpoint *e)
{
	struct ip_prefix prefix = { .addr = e->v[0].addr, .len = e->prefix_len };

	require(e->name[0] ? !e->count && !e->prefix_len : e->count == 1, "neither a name nor an address", e->name);
	require(!e->prefix_len || change_prefix_is_good(&prefix), "a bad endpoint prefix", "");
	require(e->terms.cost_ms <= PATH_COST_MAX_MS, "a cost out of bounds", "");
}

static void check_paths(const struct change *c)
{
	require((int)c->path_spread < PATH_SPREADS, "no such spread", "");
	require(c->mss_clamp == MSS_CLAMP_OFF || c->mss_clamp == MSS_CLAMP_ON ||
			(c->mss_clamp >= MSS_CLAMP_MIN && c->mss_clamp <= MSS_CLAMP_MAX), "a segment size out of bounds", "");
	require(c->uplink_count <= UPLINKS_MAX, "too many uplinks", "");
	for (size_t i = 0; i < c->uplink_count; i++) {
		require(config_interface_name(c->uplinks[i].name), "no name of an interface", "");
		require(c->uplinks[i].terms.cost_ms <= PATH_COST_MAX_MS, "a cost out of bounds", "");
	}
}

static void check_peer(const struct change_peer *p)
{
	require(p->bits & CHANGE_PEER_REPLACE_ALLOWED, "no REPLACE_ALLOWED", "");
	require(p->endpoint_count <= ENDPOINTS_MAX, "too many endpoints", "");
	require(!p->endpoint_count || p->bits & CHANGE_PEER_ENDPOINTS, "endpoints unsaid", "");
	for (size_t i = 0; i < p->endpoint_count; i++)
		check_endpoint(&p->endpoints[i]);
	require(!(p->bits & (CHANGE_PEER_REMOVE | CHANGE_PEER_UPDATE_ONLY)), "removed by a file", "");
	check_link(&p->link);
	for (size_t i = 0; i < p->allowed_count; i++) {
		struct ip_prefix masked = p->allowed[i].prefix;

		ip_prefix_mask(&masked);
		require(memcmp(&masked, &p->allowed[i].prefix, sizeof(masked)) == 0, "host bits", "");
		require(!p->allowed[i].remove, "taken away by a file", "");
	}
}

static void check_range(const struct babel_filter_range *r)
{
	unsigned int bits = ip_family_bits(r->prefix.addr.family);

	require(!bits || (r->prefix.len <= r->len_min && r->len_min <= r->len_max && r->len_max <= bits), "an empty range", "");
}

static void check_babel(const struct babel_settings *s)
{
	require(s->section || !(s->lan_count || s->redistribute_count || s->filter_count), "Babel without a section", "");
	require(s->lan_count <= BABEL_LANS_MAX && s->redistribute_count <= BABEL_REDISTRIBUTES_MAX && s->filter_count <= BABEL_FILTERS_MAX,
		"too many lines of [Babel]", "");
	for (size_t i = 0; i < s->lan_count; i++) {
		const struct babel_lan *l = &s->lans[i];

		require(config_interface_name(l->name), "a bad name", l->name);
		require(l->hello_us % 10000 == 0 && l->hello_us >= 0 && l->hello_us <= 655340000, "a bad interval", l->name);
		for (unsigned int k = 0; k < l->key_count; k++)
			require(l->keys[k].len > 0 && l->keys[k].len <= (l->keys[k].kind == BABEL_MAC_BLAKE2S_128 ? 32 : BABEL_KEY_MAX),
				"a bad length of a key", l->name);
	}
	for (size_t i = 0; i < s->redistribute_count; i++)
		require(s->redistributes[i].kinds && s->redistributes[i].len_max >= s->redistributes[i].prefix.len, "nothing redistributed", "");
	for (size_t i = 0; i < s->filter_count; i++) {
		check_range(&s->filters[i].dst);
		check_range(&s->filters[i].src);
	}
}

static void check_round_trip(const struct config *c)
{
	struct text once = { 0 }, twice = { 0 }, error = { 0 };
	struct config again;

	config_format(c, &once);
	require(!once.failed, "cannot write", "");
	require(config_parse(&again, "again", once.s, once.len, &error), "cannot read back", once.s);
	config_format(&again, &twice);
	require(strcmp(once.s, twice.s) == 0, "reads back to something else", once.s);
	require(c->change.bits == again.change.bits, "other bits", once.s);
	require(c->change.transit == again.change.transit, "other transit", once.s);
	require(c->change.peer_count == again.change.peer_count, "other peers", once.s);
	for (size_t i = 0; i < c->change.peer_count; i++)
		require(c->change.peers[i].bits == again.change.peers[i].bits, "other bits of a peer", once.s);
	config_done(&again);
	text_wipe(&once);
	text_wipe(&twice);
	text_done(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config empty;
	struct text error = { 0 };
	struct config c;

	if (config_parse(&c, "fuzz", (const char *)data, size, &error)) {
		require(error.len == 0, "an error though good", error.s ? error.s : "");
		for (size_t i = 0; i < c.change.peer_count; i++)
			check_peer(&c.change.peers[i]);
		check_link(&c.change.links);
		check_paths(&c.change);
		require(c.change.listen_prefix.addr.family == IP_NONE || change_prefix_is_good(&c.change.listen_prefix),
			"a bad prefix to listen on", "");
		require((int)c.change.transit < TRANSIT_MODES, "no such transit", "");
		check_babel(&c.change.babel);
		check_round_trip(&c);
		config_resolve_table(&c, (const char *)data, size);
		config_done(&c);
	} else {
		check_error(error.s);
	}
	require(memcmp(&c, &empty, sizeof(c)) == 0, "something left", "");
	text_done(&error);
	return 0;
}
