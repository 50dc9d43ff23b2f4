/* SPDX-License-Identifier: MIT */
/*
 * The section [Babel] of a config file, read and written. Its keys are lines of words: a few that stand for themselves in front, then
 * options NAME=VALUE in any order, of which the last counts. What a line leaves open is the speaker's default (RFC 8966 appendix B, as babeld
 * has it).
 *
 * MAC keys (RFC 8967) stand in the midst of such lines, so an error repeats only what cannot be one or a piece of one: see
 * is_secretive(), which is stricter than the parser's own rule. They are written straight into the list that is wiped at its end.
 */
#include "node/config_babel.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/key.h"
#include "node/config_keys.h"
#include "node/words.h"

enum {
	INTERVAL_MIN_US = 10000,	/* the wire counts centiseconds, up to 65534 */
	INTERVAL_MAX_US = 655340000,
	INTERVAL_UNIT_US = 10000,
	METRIC_MAX = BABEL_INFINITY - 1,
	BLAKE2S_KEY_MAX = 32,
	PROTO_MAX = 255,
	UNSAID = -1,
};

/* An option of a line; 'set' gets what the line is about. */
struct option {
	const char *name;
	bool (*set)(struct config_parser *p, void *line, char *value);
};

static unsigned int hex_digit(char ch)
{
	if (word_is_digit(ch))
		return (unsigned int)(ch - '0');
	ch = word_lower(ch);
	return ch >= 'a' && ch <= 'f' ? (unsigned int)(ch - 'a' + 10) : 16;
}

/* Whether a word may be a MAC key, have one in it, or be a piece of one. */
static bool is_secretive(const char *s)
{
	bool all_hex = *s;

	for (; *s; s++) {
		if (*s == '=' || *s == ':')
			return true;
		all_hex &= hex_digit(*s) < 16;
	}
	return all_hex;
}

static bool fail_word(struct config_parser *p, const char *word, const char *reason)
{
	return config_fail_at(p, is_secretive(word) ? "\n" : word, reason);	/* what cannot be shown is "this value" */
}

/* "option NAME REASON", without the value. */
static bool fail_option(struct config_parser *p, const char *name, const char *reason)
{
	struct text t = { 0 };

	text_addf(&t, "option %s %s", name, reason);
	if (t.failed)
		config_fail_memory(p);
	else
		config_fail(p, t.s);
	text_done(&t);
	return false;
}

static bool take_option(struct config_parser *p, void *line, char *word, const struct option *options, size_t count)
{
	char *value = strchr(word, '=');

	if (!value)
		return fail_word(p, word, "is neither an option NAME=VALUE nor a word known here");
	*value++ = 0;
	for (size_t i = 0; i < count; i++)
		if (word_equal(word, options[i].name))
			return options[i].set(p, line, value);
	return fail_word(p, word, "is not an option known here");
}

static bool take_number(const char *value, uint32_t min, uint32_t max, uint32_t *out)
{
	return word_to_number(value, RADIX_10, max, out) && *out >= min;
}

static bool take_interval(const char *value, int64_t *out)
{
	int64_t us;

	if (!word_to_time(value, &us) || us < INTERVAL_MIN_US || us > INTERVAL_MAX_US)
		return false;
	*out = us - us % INTERVAL_UNIT_US;
	return true;
}

/* A prefix of routes, masked. False: the error is written. */
static bool take_prefix(struct config_parser *p, const char *value, struct ip_prefix *out)
{
	if (!ip_prefix_parse(value, out))
		return config_fail_at(p, value, "is not ADDRESS or ADDRESS/LENGTH");
	ip_prefix_mask(out);
	return true;
}

/* Interface */

static bool lan_type(struct config_parser *p, void *line, char *value)
{
	struct babel_lan *lan = line;

	for (unsigned int i = 0; i < BABEL_LINK_TYPES; i++)
		if (word_equal(value, babel_link_type_name((enum babel_link_type)i))) {
			lan->type = (enum babel_link_type)i;
			return true;
		}
	return fail_option(p, "type", "is neither wired, wireless nor tunnel");
}

/* Pairs of hexadecimal digits; 0: something else, or too many. */
static size_t take_hex(const char *s, uint8_t *out, size_t max)
{
	size_t len = 0;

	for (; *s; s += 2, len++) {
		unsigned int high = hex_digit(s[0]), low = hex_digit(s[1]);

		if (len >= max || high > 15 || low > 15)
			return 0;
		out[len] = (uint8_t)(high << 4 | low);
	}
	return len;
}

static bool lan_key(struct config_parser *p, void *line, char *value)
{
	struct babel_lan *lan = line;
	char *hex = strchr(value, ':');
	struct babel_key *key;

	if (lan->key_count >= BABEL_KEYS_MAX)
		return fail_option(p, "key", "is there more than 4 times");
	key = &lan->keys[lan->key_count];
	if (hex)
		*hex++ = 0;
	if (hex && word_equal(value, "hmac-sha256")) {
		key->kind = BABEL_MAC_HMAC_SHA256;
		key->len = (uint8_t)take_hex(hex, key->bytes, BABEL_KEY_MAX);
	} else if (hex && word_equal(value, "blake2s128")) {
		key->kind = BABEL_MAC_BLAKE2S_128;
		key->len = (uint8_t)take_hex(hex, key->bytes, BLAKE2S_KEY_MAX);
	}
	if (!key->len)
		return fail_option(p, "key", "is neither hmac-sha256:HEX, of up to 128 bytes, nor blake2s128:HEX, of up to 32");
	lan->key_count++;
	return true;
}

static bool lan_interval(struct config_parser *p, const char *name, const char *value, int64_t *us)
{
	return take_interval(value, us) || fail_option(p, name, "is not a time of 10ms to 655.34s");
}

static bool lan_hello(struct config_parser *p, void *line, char *value)
{
	return lan_interval(p, "hello", value, &((struct babel_lan *)line)->hello_us);
}

static bool lan_update(struct config_parser *p, void *line, char *value)
{
	return lan_interval(p, "update", value, &((struct babel_lan *)line)->update_us);
}

static bool lan_rxcost(struct config_parser *p, void *line, char *value)
{
	uint32_t cost;

	if (!take_number(value, 1, METRIC_MAX, &cost))
		return fail_option(p, "rxcost", "is not a cost of 1 to 65534");
	((struct babel_lan *)line)->rxcost = (uint16_t)cost;
	return true;
}

static bool lan_switch(struct config_parser *p, const char *name, const char *value, int8_t *out)
{
	*out = word_equal(value, "on");
	return *out || word_equal(value, "off") || fail_option(p, name, "is neither on nor off");
}

static bool lan_rtt(struct config_parser *p, void *line, char *value)
{
	return lan_switch(p, "rtt", value, &((struct babel_lan *)line)->rtt);
}

static bool lan_split_horizon(struct config_parser *p, void *line, char *value)
{
	return lan_switch(p, "split-horizon", value, &((struct babel_lan *)line)->split_horizon);
}

static const struct option lan_options[] = {
	{ "type", lan_type }, { "key", lan_key }, { "hello", lan_hello }, { "update", lan_update },
	{ "rxcost", lan_rxcost }, { "rtt", lan_rtt }, { "split-horizon", lan_split_horizon },
};

/* The line's own, empty but for its name. NULL: the error is written. */
static struct babel_lan *begin_lan(struct config_parser *p, const char *name)
{
	struct babel_settings *s = &p->c->change.babel;
	struct babel_lan *lan;

	if (!name || !config_interface_name(name)) {
		fail_word(p, name ? name : "", "cannot be the name of an interface");
		return NULL;
	}
	for (size_t i = 0; i < s->lan_count; i++)
		if (!strcmp(s->lans[i].name, name)) {
			config_fail_at(p, name, "has a line already");
			return NULL;
		}
	if (s->lan_count >= BABEL_LANS_MAX) {
		config_fail(p, "more than 64 interfaces");
		return NULL;
	}
	lan = babel_settings_add_lan(s);
	if (lan)
		memcpy(lan->name, name, strlen(name) + 1);
	else
		config_fail_memory(p);
	return lan;
}

bool config_add_babel_interface(struct config_parser *p, char *value)
{
	struct babel_lan *lan = begin_lan(p, words_next(&value));
	char *word;

	if (!lan)
		return false;
	while ((word = words_next(&value))) {
		if (word_equal(word, "accept-unauthenticated"))
			lan->accept_unauthenticated = true;
		else if (!take_option(p, lan, word, lan_options, sizeof(lan_options) / sizeof(lan_options[0])))
			return false;
	}
	return true;
}

/* Redistribute */

static const struct {
	const char *name;
	enum redistribute_kind kind;
} redistribute_kinds[] = {
	{ "connected", REDISTRIBUTE_CONNECTED }, { "static", REDISTRIBUTE_STATIC }, { "kernel", REDISTRIBUTE_KERNEL },
};

enum { KINDS = sizeof(redistribute_kinds) / sizeof(redistribute_kinds[0]) };

/* A line under way. */
struct redistribute_line {
	struct babel_redistribute r;
	int le;
};

static bool redistribute_from(struct config_parser *p, void *line, char *value)
{
	return take_prefix(p, value, &((struct redistribute_line *)line)->r.from);
}

static bool take_metric(struct config_parser *p, const char *value, uint16_t *out)
{
	uint32_t metric;

	if (!take_number(value, 0, METRIC_MAX, &metric))
		return fail_option(p, "metric", "is not a number of 0 to 65534");
	*out = (uint16_t)metric;
	return true;
}

static bool redistribute_metric(struct config_parser *p, void *line, char *value)
{
	return take_metric(p, value, &((struct redistribute_line *)line)->r.metric);
}

static bool take_length(struct config_parser *p, const char *name, const char *value, int *out)
{
	uint32_t len;

	if (!take_number(value, 0, 128, &len))
		return fail_option(p, name, "is not a length of 0 to 128");
	*out = (int)len;
	return true;
}

static bool redistribute_le(struct config_parser *p, void *line, char *value)
{
	return take_length(p, "le", value, &((struct redistribute_line *)line)->le);
}

static bool redistribute_interface(struct config_parser *p, void *line, char *value)
{
	if (!config_interface_name(value))
		return fail_word(p, value, "cannot be the name of an interface");
	memcpy(((struct redistribute_line *)line)->r.iface, value, strlen(value) + 1);
	return true;
}

static bool redistribute_proto(struct config_parser *p, void *line, char *value)
{
	uint32_t proto;

	if (!take_number(value, 0, PROTO_MAX, &proto))
		return fail_option(p, "proto", "is not a number of 0 to 255");
	((struct redistribute_line *)line)->r.proto = (int16_t)proto;
	return true;
}

static const struct option redistribute_options[] = {
	{ "from", redistribute_from }, { "metric", redistribute_metric }, { "le", redistribute_le },
	{ "interface", redistribute_interface }, { "proto", redistribute_proto },
};

static bool redistribute_what(struct config_parser *p, struct babel_redistribute *r, const char *word)
{
	for (size_t i = 0; word && i < KINDS; i++)
		if (word_equal(word, redistribute_kinds[i].name)) {
			r->kinds = redistribute_kinds[i].kind;
			return true;
		}
	r->kinds = REDISTRIBUTE_ANY;
	if (!word || !ip_prefix_parse(word, &r->prefix))
		return config_fail_at(p, word ? word : "", "is neither ADDRESS, ADDRESS/LENGTH, connected, static nor kernel");
	ip_prefix_mask(&r->prefix);
	if (ip_addr_is_multicast(&r->prefix.addr) || ip_addr_is_link_local(&r->prefix.addr))
		return config_fail_at(p, word, "is not announced: it is multicast or link-local");
	return true;
}

static bool redistribute_finish(struct config_parser *p, const struct redistribute_line *l, struct babel_redistribute *r)
{
	unsigned int bits = ip_family_bits(r->prefix.addr.family);

	r->len_max = bits ? r->prefix.len : 128;
	if (l->le != UNSAID && !bits)
		return fail_option(p, "le", "only goes with a prefix");
	if (l->le != UNSAID && (l->le < r->prefix.len || l->le > (int)bits))
		return fail_option(p, "le", "is shorter than the prefix, or longer than an address");
	if (l->le != UNSAID)
		r->len_max = (uint8_t)l->le;
	if (bits && r->from.addr.family != IP_NONE && r->from.addr.family != r->prefix.addr.family)
		return fail_option(p, "from", "is not of the prefix's IP version");
	return true;
}

bool config_add_redistribute(struct config_parser *p, char *value)
{
	struct redistribute_line line = { .r.proto = -1, .le = UNSAID };
	struct babel_redistribute *r;
	char *word;

	if (!redistribute_what(p, &line.r, words_next(&value)))
		return false;
	while ((word = words_next(&value)))
		if (!take_option(p, &line, word, redistribute_options, sizeof(redistribute_options) / sizeof(redistribute_options[0])))
			return false;
	if (!redistribute_finish(p, &line, &line.r))
		return false;
	if (p->c->change.babel.redistribute_count >= BABEL_REDISTRIBUTES_MAX)
		return config_fail(p, "more than 256 of them");
	r = babel_settings_add_redistribute(&p->c->change.babel);
	if (!r)
		return config_fail_memory(p);
	*r = line.r;
	return true;
}

/* Filter */

static const char *const filter_directions[] = {
	[BABEL_FILTER_IN] = "in",
	[BABEL_FILTER_OUT] = "out",
	[BABEL_FILTER_REDISTRIBUTE] = "redistribute",
};

enum { DIRECTIONS = sizeof(filter_directions) / sizeof(filter_directions[0]) };

struct filter_line {
	struct babel_filter f;
	int ge, le, from_ge, from_le;
};

static bool filter_ge(struct config_parser *p, void *line, char *value)
{
	return take_length(p, "ge", value, &((struct filter_line *)line)->ge);
}

static bool filter_le(struct config_parser *p, void *line, char *value)
{
	return take_length(p, "le", value, &((struct filter_line *)line)->le);
}

static bool filter_from_ge(struct config_parser *p, void *line, char *value)
{
	return take_length(p, "from-ge", value, &((struct filter_line *)line)->from_ge);
}

static bool filter_from_le(struct config_parser *p, void *line, char *value)
{
	return take_length(p, "from-le", value, &((struct filter_line *)line)->from_le);
}

static bool filter_from(struct config_parser *p, void *line, char *value)
{
	return take_prefix(p, value, &((struct filter_line *)line)->f.src.prefix);
}

static bool filter_neighbour(struct config_parser *p, void *line, char *value)
{
	struct ip_addr *address = &((struct filter_line *)line)->f.neighbour;

	if (!ip_addr_parse(value, address) || address->family != IP_V6 || !ip_addr_is_link_local(address))
		return fail_option(p, "neighbour", "is not an address of fe80::/10");
	return true;
}

/* A mesh link goes by its peer's name. */
static bool filter_interface(struct config_parser *p, void *line, char *value)
{
	if (!config_peer_name(value))
		return fail_option(p, "interface", "is not the name of an interface or peer");
	memcpy(((struct filter_line *)line)->f.iface, value, strlen(value) + 1);
	return true;
}

static bool filter_metric(struct config_parser *p, void *line, char *value)
{
	struct babel_filter *f = &((struct filter_line *)line)->f;

	f->has_add = true;
	return take_metric(p, value + (*value == '+'), &f->add);
}

static const struct option filter_options[] = {
	{ "ge", filter_ge }, { "le", filter_le }, { "from", filter_from }, { "from-ge", filter_from_ge }, { "from-le", filter_from_le },
	{ "neighbour", filter_neighbour }, { "interface", filter_interface }, { "metric", filter_metric },
};

static bool filter_what(struct config_parser *p, struct babel_filter *f, const char *direction, const char *verdict)
{
	unsigned int i = 0;

	while (direction && i < DIRECTIONS && !word_equal(direction, filter_directions[i]))
		i++;
	if (!direction || i == DIRECTIONS)
		return fail_word(p, direction ? direction : "", "is neither in, out nor redistribute");
	f->direction = (enum babel_filter_direction)i;
	f->deny = verdict && word_equal(verdict, "deny");
	if (!verdict || (!f->deny && !word_equal(verdict, "allow")))
		return fail_word(p, verdict ? verdict : "", "is neither allow nor deny");
	return true;
}

/* The bounds of a range whose prefix is known: what is not said is all that is in the prefix. */
static bool finish_range(struct config_parser *p, struct babel_filter_range *r, int ge, int le, const char *name)
{
	int bits = (int)ip_family_bits(r->prefix.addr.family);

	if (!bits)
		return (ge == UNSAID && le == UNSAID) || fail_option(p, name, "only goes with its prefix");
	ge = ge == UNSAID ? r->prefix.len : ge;
	le = le == UNSAID ? bits : le;
	if (ge < r->prefix.len || le > bits || ge > le)
		return fail_option(p, name, "leaves no length that a prefix in there can have");
	r->len_min = (uint8_t)ge;
	r->len_max = (uint8_t)le;
	return true;
}

static bool finish_filter(struct config_parser *p, struct filter_line *l)
{
	struct babel_filter *f = &l->f;
	uint8_t dst = f->dst.prefix.addr.family, src = f->src.prefix.addr.family;

	if (!finish_range(p, &f->dst, l->ge, l->le, l->ge == UNSAID ? "le" : "ge") ||
	    !finish_range(p, &f->src, l->from_ge, l->from_le, l->from_ge == UNSAID ? "from-le" : "from-ge"))
		return false;
	if (dst != IP_NONE && src != IP_NONE && dst != src)
		return fail_option(p, "from", "is not of the prefix's IP version");
	if (f->deny && f->has_add)
		return fail_option(p, "metric", "has no meaning with deny");
	if (f->direction == BABEL_FILTER_REDISTRIBUTE && f->neighbour.family != IP_NONE)
		return fail_option(p, "neighbour", "has no meaning with redistribute");
	return true;
}

static bool take_filter_words(struct config_parser *p, struct filter_line *l, char *value)
{
	char *word;

	while ((word = words_next(&value))) {
		if (l->f.dst.prefix.addr.family == IP_NONE && !strchr(word, '=')) {
			if (!take_prefix(p, word, &l->f.dst.prefix))
				return false;
		} else if (!take_option(p, l, word, filter_options, sizeof(filter_options) / sizeof(filter_options[0]))) {
			return false;
		}
	}
	return true;
}

bool config_add_filter(struct config_parser *p, char *value)
{
	struct filter_line line = { .ge = UNSAID, .le = UNSAID, .from_ge = UNSAID, .from_le = UNSAID };
	char *direction = words_next(&value);
	char *verdict = direction ? words_next(&value) : NULL;
	struct babel_filter *f;

	if (!filter_what(p, &line.f, direction, verdict) || !take_filter_words(p, &line, value) || !finish_filter(p, &line))
		return false;
	if (p->c->change.babel.filter_count >= BABEL_FILTERS_MAX)
		return config_fail(p, "more than 1024 of them");
	f = babel_settings_add_filter(&p->c->change.babel);
	if (!f)
		return config_fail_memory(p);
	*f = line.f;
	return true;
}

/* The speaker */

bool config_set_hello_interval(struct config_parser *p, char *value)
{
	return take_interval(value, &p->c->change.babel.hello_us) || config_fail_at(p, value, "is not a time of 10ms to 655.34s");
}

/* Eight bytes with colons between, of two digits each. */
static bool parse_router_id(const char *s, uint8_t id[BABEL_ROUTER_ID_LEN])
{
	bool zeros = true, ones = true;

	for (unsigned int i = 0; i < BABEL_ROUTER_ID_LEN; i++, s += 3) {
		unsigned int high = hex_digit(s[0]), low = high < 16 ? hex_digit(s[1]) : 16;

		if (low > 15 || s[2] != (i + 1 < BABEL_ROUTER_ID_LEN ? ':' : 0))
			return false;
		id[i] = (uint8_t)(high << 4 | low);
		zeros &= id[i] == 0;
		ones &= id[i] == 0xff;
	}
	return !zeros && !ones;
}

bool config_set_router_id(struct config_parser *p, char *value)
{
	struct babel_settings *s = &p->c->change.babel;

	s->has_router_id = parse_router_id(value, s->router_id);
	return s->has_router_id ||
	       config_fail_at(p, value, "is not a router-id such as 02:aa:bb:cc:dd:ee:ff:01, neither all 00 nor all ff");
}

/* Back to text */

static void format_interval(const char *name, int64_t us, struct text *out)
{
	if (us % US_PER_S)
		text_addf(out, "%s%" PRId64 "ms", name, us / US_PER_MS);
	else
		text_addf(out, "%s%" PRId64 "s", name, us / US_PER_S);
}

static void format_mac_key(const struct babel_key *key, struct text *out)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * BABEL_KEY_MAX + 1];

	for (unsigned int i = 0; i < key->len; i++) {
		hex[2 * i] = digits[key->bytes[i] >> 4];
		hex[2 * i + 1] = digits[key->bytes[i] & 15];
	}
	hex[2 * key->len] = 0;
	text_addf(out, " key=%s:%s", key->kind == BABEL_MAC_HMAC_SHA256 ? "hmac-sha256" : "blake2s128", hex);
	crypto_wipe(hex, sizeof(hex));
}

static void format_lan(const struct babel_lan *l, struct text *out)
{
	text_addf(out, "Interface = %s type=%s", l->name, babel_link_type_name(l->type));
	for (unsigned int i = 0; i < l->key_count; i++)
		format_mac_key(&l->keys[i], out);
	if (l->hello_us)
		format_interval(" hello=", l->hello_us, out);
	if (l->update_us)
		format_interval(" update=", l->update_us, out);
	if (l->rxcost)
		text_addf(out, " rxcost=%u", (unsigned int)l->rxcost);
	if (l->rtt >= 0)
		text_addf(out, " rtt=%s", l->rtt ? "on" : "off");
	if (l->split_horizon >= 0)
		text_addf(out, " split-horizon=%s", l->split_horizon ? "on" : "off");
	text_add(out, l->accept_unauthenticated ? " accept-unauthenticated\n" : "\n");
}

static void format_redistribute(const struct babel_redistribute *r, struct text *out)
{
	char prefix[PREFIX_TEXT_MAX];

	if (r->prefix.addr.family != IP_NONE)
		text_addf(out, "Redistribute = %s", ip_prefix_format(&r->prefix, prefix));
	for (size_t i = 0; r->prefix.addr.family == IP_NONE && i < KINDS; i++)
		if (r->kinds == redistribute_kinds[i].kind)
			text_addf(out, "Redistribute = %s", redistribute_kinds[i].name);
	if (r->from.addr.family != IP_NONE)
		text_addf(out, " from=%s", ip_prefix_format(&r->from, prefix));
	if (r->metric)
		text_addf(out, " metric=%u", (unsigned int)r->metric);
	if (r->prefix.addr.family != IP_NONE && r->len_max != r->prefix.len)
		text_addf(out, " le=%u", (unsigned int)r->len_max);
	if (r->iface[0])
		text_addf(out, " interface=%s", r->iface);
	if (r->proto >= 0)
		text_addf(out, " proto=%d", r->proto);
	text_add(out, "\n");
}

/* 'before' is what stands before the prefix and, but for the blank, its bounds. */
static void format_range(const struct babel_filter_range *r, const char *before, const char *bound, struct text *out)
{
	char prefix[PREFIX_TEXT_MAX];

	if (r->prefix.addr.family == IP_NONE)
		return;
	text_addf(out, " %s%s", before, ip_prefix_format(&r->prefix, prefix));
	if (r->len_min != r->prefix.len)
		text_addf(out, " %sge=%u", bound, (unsigned int)r->len_min);
	if (r->len_max != ip_family_bits(r->prefix.addr.family))
		text_addf(out, " %sle=%u", bound, (unsigned int)r->len_max);
}

static void format_filter(const struct babel_filter *f, struct text *out)
{
	char address[ADDR_TEXT_MAX];

	text_addf(out, "Filter = %s %s", filter_directions[f->direction], f->deny ? "deny" : "allow");
	format_range(&f->dst, "", "", out);
	format_range(&f->src, "from=", "from-", out);
	if (f->neighbour.family != IP_NONE)
		text_addf(out, " neighbour=%s", ip_addr_format(&f->neighbour, address));
	if (f->iface[0])
		text_addf(out, " interface=%s", f->iface);
	if (f->has_add)
		text_addf(out, f->direction == BABEL_FILTER_REDISTRIBUTE ? " metric=%u" : " metric=+%u", (unsigned int)f->add);
	text_add(out, "\n");
}

void config_format_babel(const struct babel_settings *s, struct text *out)
{
	if (!s->section)
		return;
	text_add(out, "\n[Babel]\n");
	if (s->has_router_id) {
		text_add(out, "RouterId = ");
		for (unsigned int i = 0; i < BABEL_ROUTER_ID_LEN; i++)
			text_addf(out, i ? ":%02x" : "%02x", (unsigned int)s->router_id[i]);
		text_add(out, "\n");
	}
	if (s->hello_us) {
		format_interval("HelloInterval = ", s->hello_us, out);
		text_add(out, "\n");
	}
	for (size_t i = 0; i < s->lan_count; i++)
		format_lan(&s->lans[i], out);
	for (size_t i = 0; i < s->redistribute_count; i++)
		format_redistribute(&s->redistributes[i], out);
	for (size_t i = 0; i < s->filter_count; i++)
		format_filter(&s->filters[i], out);
}
