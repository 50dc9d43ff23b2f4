/* SPDX-License-Identifier: MIT */
/*
 * The keys of the config file that are about paths: Endpoint and Uplink with what is said of them, Spread and MssClamp.
 *
 * Endpoint is wg(8)'s key, and is read as wg does: blanks in it mean nothing. The words that may stand behind it are ours, and with wg they were
 * part of the port, thus an error; so a file that wg takes means the same here, but for one thing. wg keeps the last Endpoint of a peer, here all of
 * them are candidates.
 */
#include "node/config_paths.h"

#include <string.h>

#include "base/text.h"
#include "node/words.h"

static bool begins_with(const char *word, const char *start)
{
	for (; *start; word++, start++)
		if (word_lower(*word) != *start)
			return false;
	return true;
}

static bool read_term(struct config_parser *p, const char *word, struct path_terms *terms, bool *has_cost)
{
	uint32_t cost;

	if (word_equal(word, "metered") || word_equal(word, "never")) {
		bool *term = word_equal(word, "never") ? &terms->never : &terms->metered;

		if (*term)
			return config_fail_at(p, word, "is there twice");
		*term = true;
		return true;
	}
	if (!begins_with(word, "cost="))
		return config_fail_at(p, word, "is neither cost=N, metered nor never");
	if (*has_cost)
		return config_fail_at(p, word, "is a second cost");
	if (!word_to_number(word + strlen("cost="), RADIX_10, PATH_COST_MAX_MS, &cost))
		return config_fail_at(p, word, "is not a cost in milliseconds, 0 to 60000");
	terms->cost_ms = (uint16_t)cost;
	*has_cost = true;
	return true;
}

static bool read_terms(struct config_parser *p, char *words, struct path_terms *terms)
{
	bool has_cost = false;
	char *word;

	*terms = (struct path_terms){ 0 };
	while ((word = words_next(&words)))
		if (!read_term(p, word, terms, &has_cost))
			return false;
	return true;
}

void config_format_terms(const struct path_terms *terms, struct text *out)
{
	if (terms->cost_ms)
		text_addf(out, " cost=%u", (unsigned int)terms->cost_ms);
	text_addf(out, "%s%s\n", terms->metered ? " metered" : "", terms->never ? " never" : "");
}

/* [Interface] */

bool config_add_uplink(struct config_parser *p, char *value)
{
	struct change *c = &p->c->change;
	const char *name = words_next(&value);
	struct path_terms terms;

	if (!name || !config_interface_name(name))
		return config_fail_at(p, name ? name : "", "is not the name of an interface");
	for (size_t i = 0; i < c->uplink_count; i++)
		if (!strcmp(c->uplinks[i].name, name))
			return config_fail_at(p, name, "has an Uplink already");
	if (!read_terms(p, value, &terms))
		return false;
	if (c->uplink_count >= UPLINKS_MAX)
		return config_fail(p, "there can be 32 of them and no more: take some out");
	memcpy(c->uplinks[c->uplink_count].name, name, strlen(name) + 1);
	c->uplinks[c->uplink_count++].terms = terms;
	return true;
}

bool config_set_path_spread(struct config_parser *p, char *value)
{
	for (unsigned int i = 0; i < PATH_SPREADS; i++)
		if (word_equal(value, path_spread_name((enum path_spread)i))) {
			p->c->change.path_spread = (enum path_spread)i;
			return true;
		}
	return config_fail_at(p, value, "is neither best nor all");
}

bool config_set_mss_clamp(struct config_parser *p, char *value)
{
	uint32_t number;
	int clamp;

	if (word_equal(value, "off"))
		clamp = MSS_CLAMP_OFF;
	else if (word_equal(value, "on"))
		clamp = MSS_CLAMP_ON;
	else if (word_to_number(value, RADIX_10, MSS_CLAMP_MAX, &number) && number >= MSS_CLAMP_MIN)
		clamp = (int)number;
	else
		return config_fail_at(p, value, "is neither off, on nor 88 to 65495");
	p->c->change.mss_clamp = clamp;
	return true;
}

/* [Peer] */

/* Cut HOST:PORT or [HOST]:PORT in two, the last colon counts; the host is copied without its brackets. */
static bool split_endpoint(const char *value, char host[HOST_MAX_LEN + 1], uint16_t *port)
{
	bool brackets = *value == '[';
	const char *start = value + brackets;
	const char *end = brackets ? strchr(value, ']') : strrchr(value, ':');
	uint32_t number;
	size_t len;

	if (!end || (brackets && end[1] != ':'))
		return false;
	len = (size_t)(end - start);
	if (!len || len > HOST_MAX_LEN || !word_to_number(end + 1 + brackets, RADIX_10, UINT16_MAX, &number) || !number)
		return false;
	memcpy(host, start, len);
	host[len] = 0;
	*port = (uint16_t)number;
	return true;
}

static bool is_host_name(const char *host)
{
	if (strspn(host, "0123456789.") == strlen(host))
		return false;		/* an IPv4 address gone wrong */
	for (const char *s = host; *s; s++)
		if (!word_is_alnum(*s) && *s != '-' && *s != '.' && *s != '_')
			return false;
	return *host != '-' && *host != '.';
}

/* Names in any case, addresses as they are: the port counts with both, a prefix does not. */
static bool is_same(const struct change_endpoint *a, const struct change_endpoint *b)
{
	if (a->name[0] || b->name[0])
		return word_equal(a->name, b->name);
	return endpoint_equal(&a->v[0], &b->v[0]);
}

/* One that is there already is said anew, as keys are that can be given once. */
static bool keep(struct config_parser *p, struct change_endpoint *endpoint, const struct path_terms *terms)
{
	struct change_endpoint *e = NULL;

	endpoint->terms = *terms;
	for (size_t i = 0; i < p->peer->endpoint_count && !e; i++)
		if (is_same(&p->peer->endpoints[i], endpoint))
			e = &p->peer->endpoints[i];
	if (!e && p->peer->endpoint_count >= ENDPOINTS_MAX)
		return config_fail(p, "a peer can have 16 endpoints and no more: take some out");
	if (!e)
		e = change_add_endpoint(p->peer);
	if (!e)
		return config_fail_memory(p);
	*e = *endpoint;
	return true;
}

static bool keep_endpoint(struct config_parser *p, const struct endpoint *e, uint8_t prefix_len, const struct path_terms *terms)
{
	struct change_endpoint endpoint = { .count = 1, .prefix_len = prefix_len };

	endpoint.v[0] = *e;
	return keep(p, &endpoint, terms);
}

static bool keep_endpoint_name(struct config_parser *p, const char *host, uint16_t port, const struct path_terms *terms)
{
	struct change_endpoint endpoint = { 0 };
	struct text name = { 0 };

	text_addf(&name, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, (unsigned int)port);
	if (name.failed) {
		text_done(&name);
		return config_fail_memory(p);
	}
	memcpy(endpoint.name, name.s, name.len + 1);
	text_done(&name);
	return keep(p, &endpoint, terms);
}

/* ADDRESS%SCOPE: a number is the scope itself, a name has to be looked up by whoever resolves names. */
static bool set_scoped(struct config_parser *p, const char *value, char *host, uint16_t port, const struct path_terms *terms)
{
	char *percent = strchr(host, '%');
	struct endpoint e = { .port = port };
	bool local;

	*percent = 0;
	local = ip_addr_parse(host, &e.addr) && ip_addr_is_link_local(&e.addr);
	*percent = '%';
	if (!local)
		return config_fail_at(p, value, "has a scope, which only an address of fe80::/10 can have");
	if (word_to_number(percent + 1, RADIX_10, UINT32_MAX, &e.scope) && e.scope)
		return keep_endpoint(p, &e, 0, terms);
	if (!config_interface_name(percent + 1))
		return config_fail_at(p, value, "has no interface behind '%'");
	return keep_endpoint_name(p, host, port, terms);
}

/* ADDRESS/LENGTH: the address is where sub-session 0 goes, and keeps its host bits. */
static bool set_endpoint_prefix(struct config_parser *p, const char *value, char *host, uint16_t port, const struct path_terms *terms)
{
	char *slash = strchr(host, '/');
	struct endpoint e = { .port = port };
	struct ip_prefix prefix = { 0 };

	if (strchr(host, '%'))
		return config_fail_at(p, value, "has a scope and a length, and can have only one of them");
	*slash = 0;
	if (!ip_addr_parse(host, &e.addr))
		return config_fail_at(p, value, "has neither an address nor a host name before the port");
	if (e.addr.family != IP_V6)
		return config_fail_at(p, value, "has a length, which only an IPv6 address can have here");
	*slash = '/';
	if (!ip_prefix_parse(host, &prefix) || prefix.len < ENDPOINT_PREFIX_MIN || prefix.len > ENDPOINT_PREFIX_MAX)
		return config_fail_at(p, value, "has a length that is not 64 to 127");
	if (!change_prefix_is_good(&prefix))
		return config_fail_at(p, value, "has a length, but is not a global or unique local unicast address");
	return keep_endpoint(p, &e, prefix.len, terms);
}

/* A letter behind a blank; and what is before it, which is looked at each time, is not too long to be an endpoint. */
static bool begins_term(const char *rest, const char *value, const char *end)
{
	return rest > end && end - value <= ENDPOINT_NAME_MAX + 2 && word_is_alnum(*rest) && !word_is_digit(*rest);
}

/*
 * Cut 'value' in two: HOST:PORT, which loses its blanks as wg(8) takes them out, and the words behind it. They begin where what is there is
 * whole, with a letter: for wg that would be no port.
 */
static char *cut_words(char *value)
{
	char host[HOST_MAX_LEN + 1], *end = value, *rest = value;
	uint16_t port;

	for (;;) {
		while (word_is_blank(*rest))
			rest++;
		if (rest > end)
			*end = 0;
		if (!*rest || (begins_term(rest, value, end) && split_endpoint(value, host, &port)))
			return rest;
		while (*rest && !word_is_blank(*rest))
			*end++ = *rest++;
	}
}

bool config_add_endpoint(struct config_parser *p, char *value)
{
	char host[HOST_MAX_LEN + 1];
	struct endpoint e = { 0 };
	struct path_terms terms;
	char *words = cut_words(value);

	if (!split_endpoint(value, host, &e.port))
		return config_fail_at(p, value, "is not HOST:PORT, ADDRESS:PORT or [ADDRESS]:PORT");
	if (!read_terms(p, words, &terms))
		return false;
	if (strchr(host, '/'))
		return set_endpoint_prefix(p, value, host, e.port, &terms);
	if (strchr(host, '%'))
		return set_scoped(p, value, host, e.port, &terms);
	if (ip_addr_parse(host, &e.addr))
		return keep_endpoint(p, &e, 0, &terms);
	if (!is_host_name(host))
		return config_fail_at(p, value, "has neither an address nor a host name before the port");
	return keep_endpoint_name(p, host, e.port, &terms);
}
