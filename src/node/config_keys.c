/* SPDX-License-Identifier: MIT */
/*
 * The keys of the config file: one setter each, and the table of them at the end. A setter gets a value of its own,
 * without comment and outer blanks, which it may cut up.
 *
 * wg(8) and wg-quick(8) read differently, and both ways are kept: wg's keys lose all blanks before anything else
 * happens, and their lists want single commas; wg-quick's keep theirs and split lists at blanks and commas alike. Where a value may be
 * an ip(8) argument, numbers and netmasks are read as ip reads them.
 */
#include "node/config_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/offloads.h"
#include "node/config_babel.h"
#include "node/config_paths.h"
#include "node/words.h"

enum { PATH_MAX_LEN = 4095 };

static bool add_string(struct config_strings *list, const char *s)
{
	bool full = (list->count & (list->count - 1)) == 0;
	char **v;

	if (full) {
		v = realloc(list->v, (list->count ? 2 * list->count : 1) * sizeof(*v));
		if (!v)
			return false;
		list->v = v;
	}
	list->v[list->count] = word_copy(s);
	return list->v[list->count] && ++list->count;
}

/* [Interface]: wg's keys */

static bool set_private_key(struct config_parser *p, char *value)
{
	if (p->c->private_key_file)
		return config_fail(p, "there is a PrivateKeyFile already");
	if (!key_from_base64(p->c->change.private_key, value))
		return config_fail(p, "not a key of 44 base64 characters");
	p->has_private_key = true;
	return true;
}

static bool set_listen_port(struct config_parser *p, char *value)
{
	uint32_t port;

	if (!word_to_number(value, RADIX_10, UINT16_MAX, &port))
		return config_fail_at(p, value, "is not a port, 0 to 65535");
	p->c->change.listen_port = (uint16_t)port;
	return true;
}

static bool set_fwmark(struct config_parser *p, char *value)
{
	uint32_t mark = 0;

	if (!word_equal(value, "off") && !word_to_number(value, RADIX_10_16, UINT32_MAX, &mark))
		return config_fail_at(p, value, "is neither 'off' nor a number, 0 to 0xffffffff");
	p->c->change.fwmark = mark;
	return true;
}

/* [Interface]: wg-quick's keys, and ours */

/* A path, into '*to'; the last one counts. */
static bool set_path(struct config_parser *p, const char *value, char **to)
{
	char *path;

	if (!*value)
		return config_fail(p, "an empty value is not a path");
	for (size_t i = 0; value[i]; i++)
		if (i >= PATH_MAX_LEN || (unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return config_fail(p, "too long, or with control characters");
	path = word_copy(value);
	if (!path)
		return config_fail_memory(p);
	free(*to);
	*to = path;
	return true;
}

static bool set_private_key_file(struct config_parser *p, char *value)
{
	if (p->has_private_key)
		return config_fail(p, "there is a PrivateKey already");
	return set_path(p, value, &p->c->private_key_file);
}

/* A length that is a netmask, as ip(8) takes them: turn it into a number of bits. */
static bool parse_netmask(const char *text, uint8_t *len)
{
	struct ip_addr mask;
	uint32_t bits;

	if (!ip_addr_parse(text, &mask) || mask.family != IP_V4)
		return false;
	bits = (uint32_t)mask.bytes[0] << 24 | (uint32_t)mask.bytes[1] << 16 |
	       (uint32_t)mask.bytes[2] << 8 | mask.bytes[3];
	if (~bits & (~bits + 1))
		return false;
	for (*len = 0; bits; bits <<= 1)
		++*len;
	return true;
}

static bool parse_address(char *text, struct ip_prefix *out)
{
	char *slash = strchr(text, '/');
	bool good;

	if (ip_prefix_parse(text, out))
		return true;
	if (!slash)
		return false;
	*slash = 0;
	good = ip_addr_parse(text, &out->addr) && out->addr.family == IP_V4 && parse_netmask(slash + 1, &out->len);
	*slash = '/';
	return good;
}

static bool add_addresses(struct config_parser *p, char *value)
{
	struct config *c = p->c;
	struct ip_prefix address, *list;
	char *word;

	while ((word = words_next(&value))) {
		if (!parse_address(word, &address))
			return config_fail_at(p, word, "is not ADDRESS or ADDRESS/LENGTH");
		if ((c->address_count & (c->address_count - 1)) == 0) {
			list = realloc(c->addresses, (c->address_count ? 2 * c->address_count : 1) * sizeof(*list));
			if (!list)
				return config_fail_memory(p);
			c->addresses = list;
		}
		c->addresses[c->address_count++] = address;
	}
	return true;
}

/* What wg-quick takes for a server: (^[0-9.]+$)|(^.*:.*$). The rest is a search domain. */
static bool is_dns_server(const char *word)
{
	return strchr(word, ':') || strspn(word, "0123456789.") == strlen(word);
}

static bool add_dns(struct config_parser *p, char *value)
{
	char *word;

	while ((word = words_next(&value))) {
		for (const char *s = word; *s; s++)
			if (*s < '!' || *s > '~')
				return config_fail(p, "only printable ASCII characters can be in an address or a domain");
		if (!add_string(is_dns_server(word) ? &p->c->dns : &p->c->dns_search, word))
			return config_fail_memory(p);
	}
	return true;
}

static bool set_mtu(struct config_parser *p, char *value)
{
	uint32_t mtu = 0;

	if (*value && (!word_to_number(value, RADIX_ANY, CONFIG_MTU_MAX, &mtu) || mtu < CONFIG_MTU_MIN))
		return config_fail_at(p, value, "is not an MTU, 576 to 65535");
	p->c->mtu = mtu;
	return true;
}

static bool set_workers(struct config_parser *p, char *value)
{
	uint32_t workers = 0;

	if (!word_equal(value, "auto") &&
	    (!word_to_number(value, RADIX_10, CONFIG_WORKERS_MAX, &workers) || !workers))
		return config_fail_at(p, value, "is neither auto nor 1 to 8");
	p->c->workers = workers;
	return true;
}

static bool add_offload(unsigned int *offloads, const char *word)
{
	for (unsigned int o = 1; o <= OFFLOAD_ALL; o <<= 1)
		if (word_equal(word, offload_name(o))) {
			*offloads |= o;
			return true;
		}
	return false;
}

static bool set_offload(struct config_parser *p, char *value)
{
	unsigned int offloads = 0;
	char *word;

	if (word_equal(value, "all"))
		offloads = OFFLOAD_ALL;
	else if (!word_equal(value, "none"))
		while ((word = words_next(&value)))
			if (!add_offload(&offloads, word))
				return config_fail_at(p, word, "is not all, none, or of tso, uso, gso, gro, merge");
	p->c->offloads = offloads;
	return true;
}

static bool set_flow_spread(struct config_parser *p, char *value)
{
	for (unsigned int i = 0; i < SPREAD_KINDS; i++)
		if (word_equal(value, flow_spread_name((enum flow_spread)i))) {
			p->c->change.spread = (enum flow_spread)i;
			return true;
		}
	return config_fail_at(p, value, "is neither ports, label nor off");
}

static bool set_listen_prefix(struct config_parser *p, char *value)
{
	struct ip_prefix prefix;

	if (!ip_prefix_parse(value, &prefix) || prefix.addr.family != IP_V6)
		return config_fail_at(p, value, "is not an IPv6 prefix, ADDRESS/LENGTH");
	if (prefix.len < ENDPOINT_PREFIX_MIN || prefix.len > ENDPOINT_PREFIX_MAX)
		return config_fail_at(p, value, "has a length that is not 64 to 127");
	if (!change_prefix_is_good(&prefix))
		return config_fail_at(p, value, "is not of global or unique local unicast addresses");
	ip_prefix_mask(&prefix);
	p->c->change.listen_prefix = prefix;
	return true;
}

static bool set_transit(struct config_parser *p, char *value)
{
	for (unsigned int i = 0; i < TRANSIT_MODES; i++)
		if (word_equal(value, transit_mode_name((enum transit_mode)i))) {
			p->c->change.transit = (enum transit_mode)i;
			p->has_transit = true;
			return true;
		}
	return config_fail_at(p, value, "is neither lane, kernel nor off");
}

/* A name that /etc/iproute2/rt_tables could hold: what begins with a digit is a number gone wrong. */
static bool is_table_name(const char *s)
{
	if (word_is_digit(*s) || *s == '-')
		return false;
	for (; *s; s++)
		if (*s < '!' || *s > '~')
			return false;
	return true;
}

static bool parse_table(const char *value, struct config *c)
{
	static const struct {
		const char *name;
		uint32_t number;
	} known[] = { { "main", 254 }, { "default", 253 }, { "local", 255 }, { "unspec", 254 } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(value, known[i].name) != 0)
			continue;
		c->table = TABLE_NUMBER;
		c->table_number = known[i].number;
		return true;
	}
	if (!*value || word_equal(value, "auto")) {
		c->table = TABLE_AUTO;
	} else if (word_equal(value, "off")) {
		c->table = TABLE_OFF;
	} else if (word_to_number(value, RADIX_ANY, UINT32_MAX, &c->table_number)) {
		c->table = TABLE_NUMBER;
		if (!c->table_number)
			c->table_number = 254;	/* to the kernel, 0 is main */
	} else {
		c->table = TABLE_NAME;
		return is_table_name(value);
	}
	return true;
}

static bool set_table(struct config_parser *p, char *value)
{
	char *text = NULL;

	if (!parse_table(value, p->c))
		return config_fail_at(p, value, "is neither 'off', 'auto' nor the number or name of a table");
	if (*value && !(text = word_copy(value)))
		return config_fail_memory(p);
	free(p->c->table_text);
	p->c->table_text = text;
	return true;
}

static bool set_save_config(struct config_parser *p, char *value)
{
	p->c->save_config = word_equal(value, "true");
	if (!p->c->save_config && !word_equal(value, "false"))
		return config_fail_at(p, value, "is neither 'true' nor 'false'");
	return true;
}

static bool add_hook(struct config_parser *p, enum config_hook hook, const char *value)
{
	if (*value && !add_string(&p->c->hooks[hook], value))
		return config_fail_memory(p);
	return true;
}

static bool add_pre_up(struct config_parser *p, char *value)
{
	return add_hook(p, HOOK_PRE_UP, value);
}

static bool add_post_up(struct config_parser *p, char *value)
{
	return add_hook(p, HOOK_POST_UP, value);
}

static bool add_pre_down(struct config_parser *p, char *value)
{
	return add_hook(p, HOOK_PRE_DOWN, value);
}

static bool add_post_down(struct config_parser *p, char *value)
{
	return add_hook(p, HOOK_POST_DOWN, value);
}

static bool set_lan_discovery(struct config_parser *p, char *value)
{
	p->c->lan_discovery = word_equal(value, "on");
	if (!p->c->lan_discovery && !word_equal(value, "off"))
		return config_fail_at(p, value, "is neither on nor off");
	return true;
}

/* Either section: what a peer says goes before what the interface says */

static struct link_settings *link_of(struct config_parser *p, enum change_peer_bit bit)
{
	if (p->section != SECTION_PEER)
		return &p->c->change.links;
	p->peer->bits |= bit;
	return &p->peer->link;
}

static bool set_flow_sessions(struct config_parser *p, char *value)
{
	uint32_t count;

	if (!word_to_number(value, RADIX_10, FLOW_SESSIONS_MAX, &count))
		return config_fail_at(p, value, "is not a number of sub-sessions, 0 to 126");
	link_of(p, CHANGE_PEER_FLOW_SESSIONS)->flow_sessions = (uint8_t)count;
	return true;
}

static bool set_ecn(struct config_parser *p, char *value)
{
	for (unsigned int i = 0; i < ECN_MODES; i++)
		if (word_equal(value, ecn_mode_name((enum ecn_mode)i))) {
			link_of(p, CHANGE_PEER_ECN)->ecn = (enum ecn_mode)i;
			return true;
		}
	return config_fail_at(p, value, "is neither mesh, on nor off");
}

static bool set_dscp(struct config_parser *p, char *value)
{
	uint32_t number;
	int8_t dscp;

	if (word_equal(value, "none"))
		dscp = DSCP_NONE;
	else if (word_equal(value, "copy"))
		dscp = DSCP_COPY;
	else if (word_to_number(value, RADIX_10, DSCP_MAX, &number))
		dscp = (int8_t)number;
	else
		return config_fail_at(p, value, "is neither none, copy nor 0 to 63");
	link_of(p, CHANGE_PEER_DSCP)->dscp = dscp;
	return true;
}

static bool set_bandwidth(struct config_parser *p, char *value)
{
	uint64_t bps = 0;

	if (!word_equal(value, "off") && !word_to_rate(value, &bps))
		return config_fail_at(p, value, "is neither off nor a rate such as 20mbit");
	if (bps && (bps < BANDWIDTH_MIN_BPS || bps > BANDWIDTH_MAX_BPS))
		return config_fail_at(p, value, "is not a rate of 8kbit to 100gbit");
	link_of(p, CHANGE_PEER_BANDWIDTH)->bandwidth_bps = bps;
	return true;
}

/* [Peer] */

static bool set_public_key(struct config_parser *p, char *value)
{
	if (!key_from_base64(p->peer->public_key, value))
		return config_fail(p, "not a key of 44 base64 characters");
	p->peer_has_key = true;
	return true;
}

static bool set_preshared_key(struct config_parser *p, char *value)
{
	if (!key_from_base64(p->peer->psk, value))
		return config_fail(p, "not a key of 44 base64 characters");
	p->peer->bits |= CHANGE_PEER_PSK;
	return true;
}

/* wg's way: nothing at all, or good prefixes between single commas; and among them ours, auto. */
static bool add_allowed_ips(struct config_parser *p, char *value)
{
	struct ip_prefix prefix;
	char *comma;

	for (char *item = value; item && *value; item = comma ? comma + 1 : NULL) {
		comma = strchr(item, ',');
		if (comma)
			*comma = 0;
		if (word_equal(item, "auto")) {
			p->peer->allowed_auto = true;
			p->peer->bits |= CHANGE_PEER_ALLOWED_AUTO;
			continue;
		}
		if (*item == '+' || *item == '-')
			return config_fail_at(p, item, "has a sign, which only 'wg set' knows");
		if (!ip_prefix_parse(item, &prefix))
			return config_fail_at(p, item, "is not ADDRESS, ADDRESS/LENGTH or auto");
		ip_prefix_mask(&prefix);
		if (!change_add_allowed(p->peer, &prefix, false))
			return config_fail_memory(p);
	}
	return true;
}

static bool set_babel(struct config_parser *p, char *value)
{
	p->peer->babel = word_equal(value, "on");
	if (!p->peer->babel && !word_equal(value, "off"))
		return config_fail_at(p, value, "is neither on nor off");
	p->peer->bits |= CHANGE_PEER_BABEL;
	return true;
}

static bool set_keepalive(struct config_parser *p, char *value)
{
	uint32_t seconds = 0;

	if (!word_equal(value, "off") && !word_to_number(value, RADIX_10, UINT16_MAX, &seconds))
		return config_fail_at(p, value, "is neither 'off' nor a number of seconds, 0 to 65535");
	p->peer->keepalive_s = (uint16_t)seconds;
	p->peer->bits |= CHANGE_PEER_KEEPALIVE;
	return true;
}

/* Read one UTF-8 sequence. False: overlong, cut short, a surrogate, or beyond Unicode. */
static bool take_character(const unsigned char **s, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	uint32_t c = *(*s)++;
	unsigned int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

	if ((c >= 0x80 && c < 0xc0) || c >= 0xf8)
		return false;
	if (more)
		c &= 0x3fu >> more;
	for (unsigned int i = 0; i < more; i++) {
		if ((**s & 0xc0) != 0x80)
			return false;
		c = c << 6 | (*(*s)++ & 0x3fu);
	}
	*out = c;
	return c >= least[more] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* Whether a character shows up in a line of status: no blanks, controls, or marks without width or that turn the text. */
static bool is_printable(uint32_t c)
{
	static const uint32_t bad[][2] = {
		{ 0, ' ' }, { 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x1680, 0x1680 }, { 0x2000, 0x200f }, { 0x2028, 0x202f },
		{ 0x205f, 0x206f }, { 0x3000, 0x3000 }, { 0xfeff, 0xfeff }, { 0xfff9, 0xffff },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (c >= bad[i][0] && c <= bad[i][1])
			return false;
	return true;
}

static bool has_name_length(const char *s)
{
	size_t len = strlen(s);

	return len && len <= NAME_MAX_LEN;
}

bool config_peer_name(const char *name)
{
	uint32_t c;

	for (const unsigned char *s = (const unsigned char *)name; *s;)
		if (!take_character(&s, &c) || !is_printable(c))
			return false;
	return has_name_length(name);
}

static bool set_name(struct config_parser *p, char *value)
{
	size_t len = strlen(value);

	if (!has_name_length(value))
		return config_fail_at(p, value, "is not a name of 1 to 63 bytes");
	if (!config_peer_name(value))
		return config_fail_at(p, value, "has blanks or unprintable characters");
	memcpy(p->peer->name, value, len + 1);
	p->peer->bits |= CHANGE_PEER_NAME;
	return true;
}

/* [Mesh] */

static bool set_mesh_file(struct config_parser *p, char *value)
{
	return set_path(p, value, &p->c->mesh_file);
}

static bool set_hosts_file(struct config_parser *p, char *value)
{
	return set_path(p, value, &p->c->hosts_file);
}

/* The table */

static const struct config_key keys[] = {
	{ "PrivateKey", SECTION_INTERFACE, READ_BY_WG, set_private_key },
	{ "ListenPort", SECTION_INTERFACE, READ_BY_WG, set_listen_port },
	{ "FwMark", SECTION_INTERFACE, READ_BY_WG, set_fwmark },
	{ "PrivateKeyFile", SECTION_INTERFACE, READ_BY_QUICK, set_private_key_file },
	{ "Address", SECTION_INTERFACE, READ_BY_QUICK, add_addresses },
	{ "DNS", SECTION_INTERFACE, READ_BY_QUICK, add_dns },
	{ "MTU", SECTION_INTERFACE, READ_BY_QUICK, set_mtu },
	{ "Table", SECTION_INTERFACE, READ_BY_QUICK, set_table },
	{ "SaveConfig", SECTION_INTERFACE, READ_BY_QUICK, set_save_config },
	{ "Workers", SECTION_INTERFACE, READ_BY_QUICK, set_workers },
	{ "Offload", SECTION_INTERFACE, READ_BY_QUICK, set_offload },
	{ "FlowSpread", SECTION_INTERFACE, READ_BY_QUICK, set_flow_spread },
	{ "ListenPrefix", SECTION_INTERFACE, READ_BY_QUICK, set_listen_prefix },
	{ "Transit", SECTION_INTERFACE, READ_BY_QUICK, set_transit },
	{ "Spread", SECTION_INTERFACE, READ_BY_QUICK, config_set_path_spread },
	{ "MssClamp", SECTION_INTERFACE, READ_BY_QUICK, config_set_mss_clamp },
	{ "Uplink", SECTION_INTERFACE, READ_BY_QUICK, config_add_uplink },
	{ "LanDiscovery", SECTION_INTERFACE, READ_BY_QUICK, set_lan_discovery },
	{ "FlowSessions", SECTION_BOTH, READ_BY_QUICK, set_flow_sessions },
	{ "Ecn", SECTION_BOTH, READ_BY_QUICK, set_ecn },
	{ "Dscp", SECTION_BOTH, READ_BY_QUICK, set_dscp },
	{ "Bandwidth", SECTION_BOTH, READ_BY_QUICK, set_bandwidth },
	{ "PreUp", SECTION_INTERFACE, READ_BY_QUICK, add_pre_up },
	{ "PostUp", SECTION_INTERFACE, READ_BY_QUICK, add_post_up },
	{ "PreDown", SECTION_INTERFACE, READ_BY_QUICK, add_pre_down },
	{ "PostDown", SECTION_INTERFACE, READ_BY_QUICK, add_post_down },
	{ "PublicKey", SECTION_PEER, READ_BY_WG, set_public_key },
	{ "PresharedKey", SECTION_PEER, READ_BY_WG, set_preshared_key },
	{ "AllowedIPs", SECTION_PEER, READ_BY_WG, add_allowed_ips },
	{ "Endpoint", SECTION_PEER, READ_BY_WG_WORDS, config_add_endpoint },
	{ "PersistentKeepalive", SECTION_PEER, READ_BY_WG, set_keepalive },
	{ "Name", SECTION_PEER, READ_BY_QUICK, set_name },
	{ "Babel", SECTION_PEER, READ_BY_QUICK, set_babel },
	{ "Interface", SECTION_BABEL, READ_BY_QUICK, config_add_babel_interface },
	{ "Redistribute", SECTION_BABEL, READ_BY_QUICK, config_add_redistribute },
	{ "Filter", SECTION_BABEL, READ_BY_QUICK, config_add_filter },
	{ "HelloInterval", SECTION_BABEL, READ_BY_QUICK, config_set_hello_interval },
	{ "RouterId", SECTION_BABEL, READ_BY_QUICK, config_set_router_id },
	{ "File", SECTION_MESH, READ_BY_QUICK, set_mesh_file },
	{ "HostsFile", SECTION_MESH, READ_BY_QUICK, set_hosts_file },
};

/* Whether 'word' is the key 'k', with the blanks inside that wg does not see. */
static bool is_key(const struct config_key *k, const char *word)
{
	const char *name = k->name;

	for (; *word; word++) {
		if (k->reader != READ_BY_QUICK && word_is_blank(*word))
			continue;
		if (!*name || word_lower(*word) != word_lower(*name++))
			return false;
	}
	return !*name;
}

const struct config_key *config_key_find(const char *word)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is_key(&keys[i], word))
			return &keys[i];
	return NULL;
}
