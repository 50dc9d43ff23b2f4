/* SPDX-License-Identifier: MIT */
/*
 * What a change is made of: settings of links, and lists. Both lists grow by doubling and keep no capacity: it is always the power of two
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
}

enum transit_mode change_transit_default(const struct change *c)
{
	if (c->babel.section)
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

void change_done(struct change *c)
{
	for (size_t i = 0; i < c->peer_count; i++)
		change_clear_allowed(&c->peers[i]);
	if (c->peers)
		crypto_wipe(c->peers, c->peer_count * sizeof(*c->peers));
	free(c->peers);
	babel_settings_done(&c->babel);
	crypto_wipe(c, sizeof(*c));
}
