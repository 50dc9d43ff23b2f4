/* SPDX-License-Identifier: MIT */
/*
 * The endpoints of a peer as they were configured: which of them an address is of, and what follows when they change. They are copies of what
 * the change had, and hold the addresses of names too, as far as those have resolved.
 */
#include <stdlib.h>
#include <string.h>

#include "node/inside.h"

static bool has_address(const struct change_endpoint *e, const struct endpoint *remote, bool port_too)
{
	for (size_t i = 0; i < e->count; i++)
		if (ip_addr_equal(&e->v[i].addr, &remote->addr) && (!port_too || endpoint_equal(&e->v[i], remote)))
			return true;
	return false;
}

static bool prefix_covers(const struct change_endpoint *e, const struct endpoint *remote)
{
	struct ip_prefix prefix = { .addr = e->v[0].addr, .len = e->prefix_len };

	return prefix.len && ip_prefix_covers(&prefix, &remote->addr);
}

const struct change_endpoint *peer_endpoint_of(const struct peer *p, const struct endpoint *remote)
{
	const struct change_endpoint *by_address = NULL, *by_prefix = NULL;

	if (remote->addr.family == IP_NONE)
		return NULL;
	for (size_t i = 0; i < p->endpoint_count; i++) {
		const struct change_endpoint *e = &p->endpoints[i];

		if (has_address(e, remote, true))
			return e;
		if (!by_address && has_address(e, remote, false))
			by_address = e;
		if (!by_prefix && prefix_covers(e, remote))
			by_prefix = e;
	}
	return by_address ? by_address : by_prefix;
}

bool peer_has_prefix(const struct peer *p)
{
	for (size_t i = 0; i < p->endpoint_count; i++)
		if (p->endpoints[i].prefix_len)
			return true;
	return false;
}

void peer_endpoints_changed(struct node *n, struct peer *p, struct instant now)
{
	n->effects |= NODE_EFFECT_ENDPOINTS;
	peer_paths_endpoints(n, p, now);
}

const struct change_endpoint *node_endpoints(const struct node *n, const uint8_t public_key[KEY_LEN], size_t *count)
{
	const struct peer *p = node_find(n, public_key);

	*count = p ? p->endpoint_count : 0;
	return p ? p->endpoints : NULL;
}
