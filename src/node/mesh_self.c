/* SPDX-License-Identifier: MIT */
/*
 * What a node says of itself: where it can be reached.
 *
 *	addresses of the host, with the listen port and what Uplink lines say of their interfaces
 *	the prefix that is listened on
 *	where others see it, if that is none of the above: what a NAT has made of it
 *
 * Of the last only what two others agree on, or one that some peer sees - the one that was told before as long as anybody sees it, for a NAT that gives each
 * peer another port must not make a new record each time. A new record goes out when its content is another, no more often than MESH_SELF_MIN_S but for
 * the first few: an address that changed is to be known everywhere within seconds. Its sequence goes on from the highest that anybody had of us, so that a
 * node that has forgotten everything is heard all the same.
 */
#include <string.h>

#include "node/mesh_inside.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* Room in a list of endpoints. */
struct own {
	struct record_endpoint v[ITEM_ENDPOINTS_MAX];
	size_t count;
};

static void add(struct own *o, const struct record_endpoint *e)
{
	for (size_t i = 0; i < o->count; i++)
		if (endpoint_equal(&o->v[i].endpoint, &e->endpoint))
			return;
	if (o->count < ITEM_ENDPOINTS_MAX)
		o->v[o->count++] = *e;
}

static void add_locals(const struct node *n, struct own *o)
{
	for (size_t i = 0; i < n->local_count && n->listen_port; i++) {
		const struct path_local *l = &n->locals[i];
		struct record_endpoint e = {
			.endpoint = { .addr = l->addr, .port = n->listen_port },
			.cost_ms = l->terms.cost_ms,
			.metered = l->terms.metered,
		};

		if (paths_local_is_told(l) && !l->spare && o->count < ITEM_ENDPOINTS_MAX - MESH_SEEN_MAX - 1)
			add(o, &e);
	}
	if (n->listen_prefix.addr.family != IP_NONE && n->listen_port) {
		struct record_endpoint e = {
			.endpoint = { .addr = n->listen_prefix.addr, .port = n->listen_port }, .prefix_len = n->listen_prefix.len,
		};

		add(o, &e);
	}
}

static bool is_own_address(const struct node *n, const struct ip_addr *a)
{
	for (size_t i = 0; i < n->local_count; i++)
		if (ip_addr_equal(&n->locals[i].addr, a))
			return true;
	return ip_prefix_covers(&n->listen_prefix, a);
}

/* What can be an endpoint for others. */
static bool is_useful(const struct node *n, const struct endpoint *e)
{
	const struct ip_addr *a = &e->addr;
	const struct path_local l = { .addr = *a };

	return e->port && paths_local_is_told(&l) && !ip_addr_is_multicast(a) && !is_own_address(n, a);
}

/* How many peers see us there. */
static size_t seen_by(const struct node *n, const struct endpoint *e)
{
	size_t count = 0;

	for (size_t i = 0; i < n->peer_count; i++) {
		const struct peer *p = n->peers[i];

		count += p->mesh.good && p->data.session.current && endpoint_equal(&p->mesh.seen, e);
	}
	return count;
}

static bool had_before(const struct self_record *before, const struct endpoint *e)
{
	for (size_t i = 0; before && i < before->endpoint_count; i++)
		if (before->endpoints[i].seen && endpoint_equal(&before->endpoints[i].endpoint, e))
			return true;
	return false;
}

/* The best of what is seen: by most, then what was told before. */
static const struct endpoint *best_seen(const struct node *n, const struct self_record *before, const struct own *o, bool agreed)
{
	const struct endpoint *best = NULL;
	size_t best_count = 0;

	for (size_t i = 0; i < n->peer_count; i++) {
		const struct peer *p = n->peers[i];
		const struct endpoint *e = &p->mesh.seen;
		size_t count, k;

		if (!p->mesh.good || !p->data.session.current || !is_useful(n, e))
			continue;
		for (k = 0; k < o->count && !endpoint_equal(&o->v[k].endpoint, e); k++)
			;
		count = 2 * seen_by(n, e) + had_before(before, e);
		if (k == o->count && count > best_count && (!agreed || count >= 4)) {
			best = e;
			best_count = count;
		}
	}
	return best;
}

static void add_seen(const struct node *n, const struct self_record *before, struct own *o)
{
	const struct endpoint *e;
	size_t added = 0;

	for (; added < MESH_SEEN_MAX && (e = best_seen(n, before, o, true)); added++)
		add(o, &(struct record_endpoint){ .endpoint = *e, .seen = true });
	if (!added && (e = best_seen(n, before, o, false)))
		add(o, &(struct record_endpoint){ .endpoint = *e, .seen = true });
}

static const struct self_record *self_before(const struct node *n, struct store_node *sn)
{
	*sn = (struct store_node){ .self = NULL };
	store_find(n->mesh->store, n->identity.public_key, n->now.wall_ns / NS_PER_S, sn);
	return sn->self;
}

static void collect(const struct node *n, const struct self_record *before, struct own *o)
{
	memset(o, 0, sizeof(*o));
	add_locals(n, o);
	add_seen(n, before, o);
}

size_t mesh_own_endpoints(const struct node *n, struct record_endpoint v[ITEM_ENDPOINTS_MAX])
{
	struct store_node sn;
	struct own o;

	collect(n, self_before(n, &sn), &o);
	memcpy(v, o.v, o.count * sizeof(v[0]));
	return o.count;
}

static bool same_endpoint(const struct record_endpoint *a, const struct record_endpoint *b)
{
	return endpoint_equal(&a->endpoint, &b->endpoint) && a->cost_ms == b->cost_ms && a->metered == b->metered && a->seen == b->seen &&
	       a->prefix_len == b->prefix_len;
}

/* Whatever order they are in. */
static bool same(const struct self_record *a, const struct self_record *b)
{
	if (a->endpoint_count != b->endpoint_count || a->features != b->features || strcmp(a->version, b->version))
		return false;
	for (size_t i = 0, k; i < a->endpoint_count; i++) {
		for (k = 0; k < b->endpoint_count && !same_endpoint(&a->endpoints[i], &b->endpoints[k]); k++)
			;
		if (k == b->endpoint_count)
			return false;
	}
	return true;
}

static bool may_tell(struct mesh *m, struct instant now)
{
	if (now.mono_us - m->self_minute_us > 60 * US_PER_S) {
		m->self_minute_us = now.mono_us;
		m->self_count = 0;
	}
	return !m->self_us || m->self_count < MESH_SELF_BURST || now.mono_us - m->self_us >= MESH_SELF_MIN_S * US_PER_S;
}

/* Answers to probes say it too, and say it again when a NAT has changed its mind. */
static void take_seen(struct node *n)
{
	for (size_t i = 0; i < n->peer_count; i++) {
		const struct path *x = n->peers[i]->data.managed ? n->peers[i]->paths.current : NULL;

		if (x && x->seen.addr.family != IP_NONE)
			n->peers[i]->mesh.seen = x->seen;
	}
}

void mesh_self_look(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;
	static const char version[] = PACKAGE_VERSION;
	struct self_record self = { .features = MESH_FEATURE_PATHS | MESH_FEATURE_EXCHANGE };
	const struct self_record *before;
	struct store_node sn;
	const char *why = "";
	struct own o;

	if (!m->has_key || !m->own_good)
		return;
	take_seen(n);
	before = self_before(n, &sn);
	/* Our own record may have gone a moment ago, by a release or its end: own_good learns that only later in the turn. */
	if (!sn.record || memcmp(sn.record->sign_key, m->sign_key, SIGN_KEY_LEN))
		return;
	collect(n, before, &o);
	memcpy(self.public_key, n->identity.public_key, KEY_LEN);
	memcpy(self.endpoints, o.v, sizeof(self.endpoints));
	self.endpoint_count = o.count;
	memcpy(self.version, version, sizeof(version) < sizeof(self.version) ? sizeof(version) : sizeof(self.version) - 1);
	if (before && same(&self, before))
		return;
	/* Nothing is known yet: what was good before a restart may be good still. */
	if (before && !o.count)
		return;
	if (!may_tell(m, now))
		return;
	self.sequence = before ? before->sequence + 1 : 1;
	m->self_us = now.mono_us;
	m->self_count++;
	if (mint_self(m->store, m->seed, &self, wall_s(now), &why))
		mesh_added(n, now);
	else
		log_warning(&n->log, "mesh %s: what this node says of itself is not taken: %s", m->name, why);
}

/*
 * What peers tell of us.
 */

void node_mesh_seen(struct node *n, struct peer *p, const struct endpoint *seen)
{
	if (!n->mesh || endpoint_equal(&p->mesh.seen, seen))
		return;
	p->mesh.seen = *seen;
	if (p->mesh.good)
		n->mesh->look_us = 0;
}
