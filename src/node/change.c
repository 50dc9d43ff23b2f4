/* SPDX-License-Identifier: MIT */
/*
 * What a change is made of: settings of links, and lists. All lists grow by doubling and keep no capacity: it is always the power of two
 * that the count has reached, so a list is full exactly when its count is zero or a power of two.
 *
 * Invariant: preshared keys lie in the list of peers, so memory that list leaves behind is wiped before it is freed;
 * that is why realloc() is not used.
 */
#include "node/change.h"

#include <stdlib.h>
#include <string.h>

const struct link_settings link_settings_default = {
	.flow_sessions = FLOW_SESSIONS_DEFAULT,
	.ecn = ECN_MESH,
	.dscp = DSCP_NONE,
};

const char *flow_spread_name(enum flow_spread spread)
{
	static const char *const names[SPREAD_KINDS] = {
		[SPREAD_PORTS] = "ports",
		[SPREAD_LABEL] = "label",
		[SPREAD_OFF] = "off",
	};

	return names[spread];
}

const char *path_spread_name(enum path_spread spread)
{
	static const char *const names[PATH_SPREADS] = {
		[PATHS_BEST] = "best",
		[PATHS_ALL] = "all",
	};

	return names[spread];
}

const char *ecn_mode_name(enum ecn_mode mode)
{
	static const char *const names[ECN_MODES] = {
		[ECN_MESH] = "mesh",
		[ECN_ON] = "on",
		[ECN_OFF] = "off",
	};

	return names[mode];
}

void link_settings_put(struct link_settings *to, const struct link_settings *from, unsigned int bits)
{
	if (bits & CHANGE_PEER_FLOW_SESSIONS)
		to->flow_sessions = from->flow_sessions;
	if (bits & CHANGE_PEER_ECN)
		to->ecn = from->ecn;
	if (bits & CHANGE_PEER_DSCP)
		to->dscp = from->dscp;
	if (bits & CHANGE_PEER_BANDWIDTH)
		to->bandwidth_bps = from->bandwidth_bps;
}

bool change_prefix_is_good(const struct ip_prefix *p)
{
	/* ::, ::1 and what stands for IPv4: being no longer than /64 it decides about the whole prefix. */
	static const struct ip_prefix special = { .addr.family = IP_V6, .len = ENDPOINT_PREFIX_MIN };

	return p->addr.family == IP_V6 && p->len >= ENDPOINT_PREFIX_MIN && p->len <= ENDPOINT_PREFIX_MAX &&
	       !ip_addr_is_multicast(&p->addr) && !ip_addr_is_link_local(&p->addr) && !ip_prefix_covers(&special, &p->addr);
}

void change_links_default(struct change *c)
{
	c->bits |= CHANGE_LINKS;
	c->links = link_settings_default;
	c->spread = SPREAD_PORTS;
	c->listen_prefix = (struct ip_prefix){ 0 };
	c->path_spread = PATHS_BEST;
	c->mss_clamp = MSS_CLAMP_OFF;
	c->uplink_count = 0;
}

enum transit_mode change_transit_default(const struct change *c)
{
	if (c->babel.section || c->babel.mesh)
		return TRANSIT_LANE;
	for (size_t i = 0; i < c->peer_count; i++)
		if (c->peers[i].bits & CHANGE_PEER_BABEL && c->peers[i].babel)
			return TRANSIT_LANE;
	return TRANSIT_KERNEL;
}

static bool is_full(size_t count)
{
	return (count & (count - 1)) == 0;
}

/* A larger copy of a full list. NULL: no memory, and the old list is still good. */
static void *grow(void *old, size_t count, size_t item_size)
{
	void *list = malloc((count ? 2 * count : 1) * item_size);

	if (!list)
		return NULL;
	if (count) {
		memcpy(list, old, count * item_size);
		crypto_wipe(old, count * item_size);
	}
	free(old);
	return list;
}

struct change_peer *change_add_peer(struct change *c)
{
	struct change_peer *p;

	if (c->peer_count >= CHANGE_PEERS_MAX)
		return NULL;
	if (is_full(c->peer_count)) {
		p = grow(c->peers, c->peer_count, sizeof(*p));
		if (!p)
			return NULL;
		c->peers = p;
	}
	p = &c->peers[c->peer_count++];
	memset(p, 0, sizeof(*p));
	return p;
}

bool change_add_allowed(struct change_peer *p, const struct ip_prefix *prefix, bool remove)
{
	struct change_allowed *a;

	if (p->allowed_count >= CHANGE_ALLOWED_MAX)
		return false;
	if (is_full(p->allowed_count)) {
		a = grow(p->allowed, p->allowed_count, sizeof(*a));
		if (!a)
			return false;
		p->allowed = a;
	}
	a = &p->allowed[p->allowed_count++];
	a->prefix = *prefix;
	a->remove = remove;
	return true;
}

void change_clear_allowed(struct change_peer *p)
{
	free(p->allowed);
	p->allowed = NULL;
	p->allowed_count = 0;
}

struct change_endpoint *change_add_endpoint(struct change_peer *p)
{
	struct change_endpoint *e;

	if (p->endpoint_count >= ENDPOINTS_MAX)
		return NULL;
	if (is_full(p->endpoint_count)) {
		e = grow(p->endpoints, p->endpoint_count, sizeof(*e));
		if (!e)
			return NULL;
		p->endpoints = e;
	}
	p->bits |= CHANGE_PEER_ENDPOINTS;
	e = &p->endpoints[p->endpoint_count++];
	memset(e, 0, sizeof(*e));
	return e;
}

bool change_add_address(struct change_peer *p, const struct endpoint *address)
{
	struct change_endpoint *e = change_add_endpoint(p);

	if (!e)
		return false;
	e->v[0] = *address;
	e->count = 1;
	return true;
}

void change_clear_endpoints(struct change_peer *p)
{
	free(p->endpoints);
	p->endpoints = NULL;
	p->endpoint_count = 0;
}

static bool same_endpoint(const struct change_endpoint *a, const struct change_endpoint *b)
{
	if (a->terms.cost_ms != b->terms.cost_ms || a->terms.metered != b->terms.metered || a->terms.never != b->terms.never)
		return false;
	if (a->name[0] || b->name[0])
		return !strcmp(a->name, b->name);
	return a->prefix_len == b->prefix_len && endpoint_equal(&a->v[0], &b->v[0]);
}

bool change_endpoints_same(const struct change_endpoint *a, size_t a_count, const struct change_endpoint *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!same_endpoint(&a[i], &b[i]))
			return false;
	return true;
}

static bool can_be_endpoint(const struct endpoint *e)
{
	static const struct ip_addr any4 = { .family = IP_V4 }, any6 = { .family = IP_V6 };

	return e->port && e->addr.family != IP_NONE && !ip_addr_is_multicast(&e->addr) && !ip_addr_equal(&e->addr, &any4) &&
	       !ip_addr_equal(&e->addr, &any6);
}

/* The next of 'v' from '*at' on that is good and not in 'out' yet; 'family' IP_NONE: any. NULL: none. */
static const struct endpoint *next_address(const struct endpoint *v, size_t count, size_t *at, uint8_t family, const struct endpoint *out,
					   size_t n)
{
	while (*at < count) {
		const struct endpoint *e = &v[(*at)++];
		bool known = !can_be_endpoint(e) || (family != IP_NONE && e->addr.family != family);

		for (size_t i = 0; i < n && !known; i++)
			known = endpoint_equal(&out[i], e);
		if (!known)
			return e;
	}
	return NULL;
}

size_t change_pick_addresses(const struct endpoint *v, size_t count, struct endpoint out[ENDPOINT_ADDRESSES_MAX])
{
	const struct endpoint *e;
	size_t n = 0, at = 0, at4 = 0, at6 = 0;

	while (n < ENDPOINT_ADDRESSES_MAX && (e = next_address(v, count, &at, IP_NONE, out, n)))
		out[n++] = *e;
	if (n < ENDPOINT_ADDRESSES_MAX || !next_address(v, count, &at, IP_NONE, out, n))
		return n;
	/* More than that: again from the start, by turns. What stands first stays first. */
	for (n = 0; n < ENDPOINT_ADDRESSES_MAX;) {
		bool six = (n % 2 == 0) == (out[0].addr.family == IP_V6);

		e = next_address(v, count, six ? &at6 : &at4, six ? IP_V6 : IP_V4, out, n);
		if (!e)		/* of that family there are no more, but of the other */
			e = next_address(v, count, six ? &at4 : &at6, six ? IP_V4 : IP_V6, out, n);
		if (!e)
			break;
		out[n++] = *e;
	}
	return n;
}

/* By public key, then by place; the peers lie in one array, so their addresses are their order. */
static int compare_peers(const void *a, const void *b)
{
	const struct change_peer *const *x = a, *const *y = b;
	int by_key = memcmp((*x)->public_key, (*y)->public_key, KEY_LEN);

	return by_key ? by_key : (*x > *y) - (*x < *y);
}

bool change_first_peers(const struct change *c, bool *first)
{
	const struct change_peer **order;

	if (!c->peer_count)
		return true;
	order = malloc(c->peer_count * sizeof(const struct change_peer *));
	if (!order)
		return false;
	for (size_t i = 0; i < c->peer_count; i++)
		order[i] = &c->peers[i];
	qsort(order, c->peer_count, sizeof(const struct change_peer *), compare_peers);
	for (size_t i = 0; i < c->peer_count; i++)
		first[order[i] - c->peers] =
			i == 0 || memcmp(order[i - 1]->public_key, order[i]->public_key, KEY_LEN) != 0;
	free(order);
	return true;
}

static void change_clear_lists(struct change_peer *p)
{
	change_clear_allowed(p);
	change_clear_endpoints(p);
}

void change_done(struct change *c)
{
	for (size_t i = 0; i < c->peer_count; i++)
		change_clear_lists(&c->peers[i]);
	if (c->peers)
		crypto_wipe(c->peers, c->peer_count * sizeof(*c->peers));
	free(c->peers);
	babel_settings_done(&c->babel);
	crypto_wipe(c, sizeof(*c));
}
