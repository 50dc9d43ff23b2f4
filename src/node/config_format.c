/* SPDX-License-Identifier: MIT */
/*
 * A config back to text, for SaveConfig: first what wg-quick writes, in its order, then wg's keys. What is off
 * or unset is left out, and so are the interface's settings of links where they are the default; a peer's are written if it
 * has them. Only a second [Peer] of the same key says so: there, "off" takes back what the first one gave.
 *
 * Invariant: config_parse() of the result gives the same config, and its text is then the same too.
 */
#include "node/config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/offloads.h"
#include "node/config_babel.h"
#include "node/config_paths.h"
#include "node/words.h"

enum { ALLOWED_A_LINE = 32 };	/* keeps lines far below CONFIG_LINE_MAX */

static void format_strings(struct text *out, const char *key, const struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		text_addf(out, "%s = %s\n", key, list->v[i]);
}

static void format_key(struct text *out, const char *name, const uint8_t key[KEY_LEN])
{
	char base64[KEY_BASE64_MAX];

	text_addf(out, "%s = %s\n", name, key_to_base64(base64, key));
	crypto_wipe(base64, sizeof(base64));
}

static void format_table(const struct config *c, struct text *out)
{
	if (c->table_text)
		text_addf(out, "Table = %s\n", c->table_text);
	else if (c->table == TABLE_OFF)
		text_add(out, "Table = off\n");
	else if (c->table == TABLE_NUMBER)
		text_addf(out, "Table = %" PRIu32 "\n", c->table_number);
}

static void format_offloads(const struct config *c, struct text *out)
{
	const char *before = " ";

	if (c->offloads == OFFLOAD_ALL)
		return;
	text_add(out, c->offloads ? "Offload =" : "Offload = none");
	for (unsigned int o = 1; o <= OFFLOAD_ALL; o <<= 1)
		if (c->offloads & o) {
			text_addf(out, "%s%s", before, offload_name(o));
			before = ", ";
		}
	text_add(out, "\n");
}

static void format_bandwidth(uint64_t bps, struct text *out)
{
	uint64_t unit;
	const char *name = word_rate_unit(bps, &unit);

	if (bps)
		text_addf(out, "Bandwidth = %" PRIu64 "%s\n", bps / unit, name);
	else
		text_add(out, "Bandwidth = off\n");
}

/* Those that 'bits' (of enum change_peer_bit) name. */
static void format_link(const struct link_settings *l, unsigned int bits, struct text *out)
{
	if (bits & CHANGE_PEER_FLOW_SESSIONS)
		text_addf(out, "FlowSessions = %u\n", (unsigned int)l->flow_sessions);
	if (bits & CHANGE_PEER_ECN)
		text_addf(out, "Ecn = %s\n", ecn_mode_name(l->ecn));
	if (bits & CHANGE_PEER_DSCP && l->dscp < 0)
		text_addf(out, "Dscp = %s\n", l->dscp == DSCP_COPY ? "copy" : "none");
	else if (bits & CHANGE_PEER_DSCP)
		text_addf(out, "Dscp = %d\n", l->dscp);
	if (bits & CHANGE_PEER_BANDWIDTH)
		format_bandwidth(l->bandwidth_bps, out);
}

static void format_paths(const struct change *c, struct text *out)
{
	if (c->path_spread != PATHS_BEST)
		text_addf(out, "Spread = %s\n", path_spread_name(c->path_spread));
	if (c->mss_clamp == MSS_CLAMP_ON)
		text_add(out, "MssClamp = on\n");
	else if (c->mss_clamp != MSS_CLAMP_OFF)
		text_addf(out, "MssClamp = %d\n", c->mss_clamp);
	for (size_t i = 0; i < c->uplink_count; i++) {
		text_addf(out, "Uplink = %s", c->uplinks[i].name);
		config_format_terms(&c->uplinks[i].terms, out);
	}
}

static void format_links(const struct change *c, struct text *out)
{
	const struct link_settings *l = &c->links, *usual = &link_settings_default;
	char prefix[PREFIX_TEXT_MAX];
	unsigned int bits = 0;

	if (!(c->bits & CHANGE_LINKS))
		return;
	bits |= l->flow_sessions != usual->flow_sessions ? CHANGE_PEER_FLOW_SESSIONS : 0u;
	bits |= l->ecn != usual->ecn ? CHANGE_PEER_ECN : 0u;
	bits |= l->dscp != usual->dscp ? CHANGE_PEER_DSCP : 0u;
	bits |= l->bandwidth_bps != usual->bandwidth_bps ? CHANGE_PEER_BANDWIDTH : 0u;
	format_link(l, bits, out);
	if (c->spread != SPREAD_PORTS)
		text_addf(out, "FlowSpread = %s\n", flow_spread_name(c->spread));
	if (c->listen_prefix.addr.family != IP_NONE)
		text_addf(out, "ListenPrefix = %s\n", ip_prefix_format(&c->listen_prefix, prefix));
	format_paths(c, out);
}

static void format_interface(const struct config *c, struct text *out)
{
	static const char *const hooks[HOOK_KINDS] = {
		[HOOK_PRE_UP] = "PreUp",
		[HOOK_POST_UP] = "PostUp",
		[HOOK_PRE_DOWN] = "PreDown",
		[HOOK_POST_DOWN] = "PostDown",
	};
	char address[PREFIX_TEXT_MAX];

	text_add(out, "[Interface]\n");
	for (size_t i = 0; i < c->address_count; i++)
		text_addf(out, "Address = %s\n", ip_prefix_format(&c->addresses[i], address));
	format_strings(out, "DNS", &c->dns);
	format_strings(out, "DNS", &c->dns_search);
	if (c->mtu)
		text_addf(out, "MTU = %" PRIu32 "\n", c->mtu);
	format_table(c, out);
	if (c->save_config)
		text_add(out, "SaveConfig = true\n");
	for (size_t i = 0; i < HOOK_KINDS; i++)
		format_strings(out, hooks[i], &c->hooks[i]);
	if (c->workers)
		text_addf(out, "Workers = %u\n", c->workers);
	format_offloads(c, out);
	format_links(&c->change, out);
	if (c->change.bits & CHANGE_ROUTING && c->change.transit != change_transit_default(&c->change))
		text_addf(out, "Transit = %s\n", transit_mode_name(c->change.transit));
	if (!c->lan_discovery)
		text_add(out, "LanDiscovery = off\n");
	if (c->change.listen_port)
		text_addf(out, "ListenPort = %u\n", (unsigned int)c->change.listen_port);
	if (c->change.fwmark)
		text_addf(out, "FwMark = 0x%" PRIx32 "\n", c->change.fwmark);
	if (c->private_key_file)
		text_addf(out, "PrivateKeyFile = %s\n", c->private_key_file);
	else if (!crypto_is_zero(c->change.private_key, KEY_LEN))
		format_key(out, "PrivateKey", c->change.private_key);
}

static void format_mesh(const struct config *c, struct text *out)
{
	if (!c->mesh_file)
		return;
	text_addf(out, "\n[Mesh]\nFile = %s\n", c->mesh_file);
	if (c->hosts_file)
		text_addf(out, "HostsFile = %s\n", c->hosts_file);
}

static void format_allowed(const struct change_peer *p, struct text *out)
{
	char prefix[PREFIX_TEXT_MAX];

	if (p->bits & CHANGE_PEER_ALLOWED_AUTO && p->allowed_auto)
		text_add(out, "AllowedIPs = auto\n");
	for (size_t i = 0; i < p->allowed_count; i++) {
		text_add(out, i % ALLOWED_A_LINE == 0 ? "AllowedIPs = " : ", ");
		text_add(out, ip_prefix_format(&p->allowed[i].prefix, prefix));
		if (i + 1 == p->allowed_count || (i + 1) % ALLOWED_A_LINE == 0)
			text_add(out, "\n");
	}
}

static void format_endpoint(const struct change_endpoint *e, struct text *out)
{
	char endpoint[ENDPOINT_TEXT_MAX], addr[ADDR_TEXT_MAX];

	if (e->name[0])
		text_addf(out, "Endpoint = %s", e->name);
	else if (e->prefix_len)
		text_addf(out, "Endpoint = [%s/%u]:%u", ip_addr_format(&e->v[0].addr, addr), (unsigned int)e->prefix_len,
			  (unsigned int)e->v[0].port);
	else
		text_addf(out, "Endpoint = %s", endpoint_format(&e->v[0], endpoint));
	config_format_terms(&e->terms, out);
}

/* It is on by default with AllowedIPs = auto, and only there. */
static void format_babel(const struct change_peer *p, struct text *out)
{
	bool by_default = p->babel && p->bits & CHANGE_PEER_ALLOWED_AUTO && p->allowed_auto;

	if (p->bits & CHANGE_PEER_BABEL && !by_default)
		text_addf(out, "Babel = %s\n", p->babel ? "on" : "off");
}

static void format_peer(const struct change_peer *p, bool first, struct text *out)
{
	text_add(out, "\n[Peer]\n");
	format_key(out, "PublicKey", p->public_key);
	if ((p->bits & CHANGE_PEER_NAME) && p->name[0])
		text_addf(out, "Name = %s\n", p->name);
	if ((p->bits & CHANGE_PEER_PSK) && (!first || !crypto_is_zero(p->psk, KEY_LEN)))
		format_key(out, "PresharedKey", p->psk);
	format_allowed(p, out);
	format_babel(p, out);
	for (size_t i = 0; i < p->endpoint_count; i++)
		format_endpoint(&p->endpoints[i], out);
	format_link(&p->link, p->bits, out);
	if ((p->bits & CHANGE_PEER_KEEPALIVE) && p->keepalive_s)
		text_addf(out, "PersistentKeepalive = %u\n", (unsigned int)p->keepalive_s);
	else if ((p->bits & CHANGE_PEER_KEEPALIVE) && !first)
		text_add(out, "PersistentKeepalive = off\n");
}

void config_format(const struct config *c, struct text *out)
{
	bool *first = calloc(c->change.peer_count + 1, sizeof(*first));

	if (!first || !change_first_peers(&c->change, first)) {
		out->failed = true;
		free(first);
		return;
	}
	format_interface(c, out);
	format_mesh(c, out);
	if (c->change.bits & CHANGE_ROUTING)
		config_format_babel(&c->change.babel, out);
	for (size_t i = 0; i < c->change.peer_count; i++)
		format_peer(&c->change.peers[i], first[i], out);
	free(first);
}
