/* SPDX-License-Identifier: MIT */
/*
 * Applying a change of configuration: all of it, or nothing.
 *
 * First everything that can fail is done beside what is in force: new peers are made (marked fresh), and a new trie of
 * allowed IPs is built from the old one and the change. Only then, when nothing can fail any more, the change is
 * committed: keys, settings, the trie swapped in, doomed peers freed. A peer that stays keeps its sessions.
 *
 * A node of the mesh is not the operator's to remove: to take it out, or to name it no longer, takes back what was set for it, and it goes on
 * as a peer by its record, with its sessions. So nothing is lost on the way there and back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "node/inside.h"
#include "node/mesh.h"

int node_check(const struct node *n, const struct change *c)
{
	size_t allowed = 0;

	(void)n;
	if (c->peer_count > CHANGE_PEERS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < c->peer_count; i++) {
		if (c->peers[i].allowed_count > CHANGE_ALLOWED_MAX - allowed)
			return -E2BIG;
		allowed += c->peers[i].allowed_count;
	}
	return 0;
}

/* The public key this node will have after the change; all zero: none. */
static void future_public_key(const struct node *n, const struct change *c, uint8_t key[KEY_LEN])
{
	struct noise_identity id = n->identity;

	if (c->bits & CHANGE_PRIVATE_KEY)
		noise_identity_set(&id, c->private_key);
	memset(key, 0, KEY_LEN);
	if (id.set)
		memcpy(key, id.public_key, KEY_LEN);
	crypto_wipe(&id, sizeof(id));
}

/*
 * What a change comes to: the peer each of its entries is about (NULL: none), and the allowed IPs as they will be. Entries act in
 * their order, so a peer that is removed and named again is a new one; for a while both are in the table.
 */
struct plan {
	struct peer **who;
	struct lpm allowed;
	struct ip_prefix *allowed_list;		/* room for as many */
	struct change_endpoint **endpoints;	/* of each entry, copied; NULL: none */
	struct babel_settings babel;
};

/* A peer is removed, or no longer named. Of one that is there by its record alone there is nothing to take back. */
static void plan_end(const struct node *n, struct peer *p)
{
	p->kept = node_mesh_keeps(n, p);
	p->doomed = !p->kept;
	if (!p->mesh.recorded)
		p->replace_allowed = true;
}

/* The peer of one entry, made if need be, and marked. False: no memory. */
static bool plan_peer(struct node *n, const struct change_peer *cp, struct peer **who)
{
	struct peer *p = node_find(n, cp->public_key);

	if (p && p->removed)
		p = NULL;
	if (cp->bits & CHANGE_PEER_REMOVE) {
		if (p && cp->bits & CHANGE_PEER_RECORDED)
			p->doomed = true;
		else if (p)
			plan_end(n, p);
		if (p)
			p->removed = p->doomed;
		return true;
	}
	if (!p && cp->bits & CHANGE_PEER_UPDATE_ONLY)
		return true;
	/* Who was put out of the mesh is out, whatever a config says. */
	if (node_mesh_refuses(n, cp->public_key)) {
		log_warning(&n->log, "peer %s is left out: the mesh has revoked it", cp->name[0] ? cp->name : "(unnamed)");
		return true;
	}
	if (!p) {
		p = peer_new(n, cp->public_key);
		if (!p)
			return false;
		p->fresh = true;
	}
	p->doomed = false;
	if (cp->bits & CHANGE_PEER_REPLACE_ALLOWED)
		p->replace_allowed = true;
	*who = p;
	return true;
}

/* Make the peers that are new and mark those that go. False: no memory. */
static bool plan_peers(struct node *n, const struct change *c, struct plan *plan)
{
	uint8_t self[KEY_LEN];

	future_public_key(n, c, self);
	for (size_t i = 0; c->bits & CHANGE_REPLACE_PEERS && i < n->peer_count; i++)
		n->peers[i]->doomed = n->peers[i]->replace_allowed = !n->peers[i]->mesh.recorded;
	for (size_t i = 0; i < c->peer_count; i++) {
		/* A node is not its own peer; WireGuard skips it silently. */
		if (memcmp(c->peers[i].public_key, self, KEY_LEN) && !plan_peer(n, &c->peers[i], &plan->who[i]))
			return false;
	}
	for (size_t i = 0; c->bits & CHANGE_REPLACE_PEERS && i < n->peer_count; i++)
		if (n->peers[i]->doomed && !n->peers[i]->removed)
			plan_end(n, n->peers[i]);
	/* Our own key as a peer, should it have been one before it became ours. */
	for (size_t i = 0; i < n->peer_count; i++)
		if (!memcmp(n->peers[i]->public_key, self, KEY_LEN))
			n->peers[i]->doomed = true;
	for (size_t i = 0; i < c->peer_count; i++)
		if (plan->who[i] && plan->who[i]->doomed)
			plan->who[i] = NULL;
	return true;
}

struct copy {
	struct lpm *to;
	bool failed;
};

static bool copy_allowed(void *ctx, const struct ip_prefix *prefix, void *value)
{
	const struct peer *p = container_of(value, struct peer, data);
	struct copy *copy = ctx;

	if (!p->doomed && !p->replace_allowed && !lpm_insert(copy->to, prefix, value))
		copy->failed = true;
	return !copy->failed;
}

/* One entry's allowed IPs. False: no memory. */
static bool plan_allowed_of(const struct change_peer *cp, struct peer *p, struct lpm *to)
{
	/* What the peer had before the change was not copied; what an earlier entry gave it goes now. */
	if (cp->bits & CHANGE_PEER_REPLACE_ALLOWED && p->given)
		lpm_remove_value(to, &p->data);
	for (size_t i = 0; i < cp->allowed_count; i++) {
		const struct change_allowed *a = &cp->allowed[i];

		if (!a->remove) {
			if (!lpm_insert(to, &a->prefix, &p->data))
				return false;
			p->given = true;
		} else if (lpm_exact(to, &a->prefix) == &p->data) {
			lpm_remove(to, &a->prefix);
		}
	}
	return true;
}

/* The allowed IPs as they will be. False: no memory. */
static bool plan_allowed(const struct node *n, const struct change *c, struct plan *plan)
{
	struct copy copy = { .to = &plan->allowed };

	lpm_walk(&n->allowed, copy_allowed, &copy);
	for (size_t i = 0; i < c->peer_count && !copy.failed; i++)
		if (plan->who[i])
			copy.failed = !plan_allowed_of(&c->peers[i], plan->who[i], &plan->allowed);
	if (copy.failed || !plan->allowed.count)
		return !copy.failed;
	plan->allowed_list = malloc(plan->allowed.count * sizeof(*plan->allowed_list));
	return plan->allowed_list;
}

/* Copies of the endpoints, to be the peers'. False: no memory. */
static bool plan_endpoints(const struct change *c, struct plan *plan)
{
	plan->endpoints = calloc(c->peer_count + 1, sizeof(*plan->endpoints));
	if (!plan->endpoints)
		return false;
	for (size_t i = 0; i < c->peer_count; i++) {
		size_t size = c->peers[i].endpoint_count * sizeof(**plan->endpoints);

		if (!plan->who[i] || !(c->peers[i].bits & CHANGE_PEER_ENDPOINTS) || !size)
			continue;
		plan->endpoints[i] = malloc(size);
		if (!plan->endpoints[i])
			return false;
		memcpy(plan->endpoints[i], c->peers[i].endpoints, size);
	}
	return true;
}

/* Free what was not taken over. */
static void plan_done(const struct change *c, struct plan *plan)
{
	for (size_t i = 0; plan->endpoints && i < c->peer_count; i++)
		free(plan->endpoints[i]);
	free(plan->endpoints);
	free(plan->who);
}

static void clear_marks(struct peer *p)
{
	p->fresh = false;
	p->doomed = false;
	p->removed = false;
	p->kept = false;
	p->replace_allowed = false;
	p->given = false;
	p->whole = false;
}

/* After a failure: fresh peers go, marks are cleared. */
static void unplan(struct node *n)
{
	for (size_t i = n->peer_count; i-- > 0;) {
		struct peer *p = n->peers[i];
		bool fresh = p->fresh;

		clear_marks(p);
		if (fresh)
			peer_free(n, p);
	}
}

static void commit_identity(struct node *n, const struct change *c)
{
	uint8_t before[KEY_LEN];

	if (!(c->bits & CHANGE_PRIVATE_KEY))
		return;
	memcpy(before, n->identity.private_key, KEY_LEN);
	noise_identity_set(&n->identity, c->private_key);
	if (!crypto_equal(before, n->identity.private_key, KEY_LEN)) {
		if (n->identity.set)
			cookie_checker_set_key(&n->checker, n->identity.public_key);
		for (unsigned int i = 0; i < n->lane_count; i++)
			n->lanes[i].checker = n->identity.set ? &n->checker : NULL;
		for (size_t i = 0; i < n->peer_count; i++) {
			peer_forget_keys(n, n->peers[i]);
			rekey_forget_sent(&n->peers[i]->rekey);
			noise_handshake_rekey_static(&n->peers[i]->handshake, &n->identity);
		}
		node_mesh_identity(n, n->now);
	}
	crypto_wipe(before, sizeof(before));
}

/* '*list' is the copy, which is taken. */
static void commit_endpoints(struct node *n, struct peer *p, const struct change_peer *cp, struct change_endpoint **list, struct instant now)
{
	if (!(cp->bits & CHANGE_PEER_ENDPOINTS))
		return;
	free(p->endpoints);
	p->endpoints = *list;
	p->endpoint_count = cp->endpoint_count;
	*list = NULL;
	peer_endpoints_changed(n, p, now);
}

/* "wg set peer K allowed-ips ..." says what the peer has, and then nobody else does. */
static bool ends_auto(const struct change_peer *cp)
{
	return cp->bits & CHANGE_PEER_ALLOWED_AUTO ? !cp->allowed_auto : cp->bits & CHANGE_PEER_REPLACE_ALLOWED;
}

static void commit_routing(struct peer *p, const struct change_peer *cp, bool whole)
{
	if (cp->bits & CHANGE_PEER_BABEL)
		p->mesh.never = !cp->babel;
	else if (whole)
		p->mesh.never = false;
	if (cp->bits & CHANGE_PEER_BABEL)
		p->babel = cp->babel;
	else if (whole || (p->allowed_auto && ends_auto(cp)))
		p->babel = false;	/* what was left to Babel is said now */
	if (cp->bits & CHANGE_PEER_ALLOWED_AUTO)
		p->allowed_auto = cp->allowed_auto;
	else if (whole || cp->bits & CHANGE_PEER_REPLACE_ALLOWED)
		p->allowed_auto = false;
}

static void commit_peer(struct node *n, struct peer *p, const struct change_peer *cp)
{
	bool whole = p->whole;	/* what is not said is off, rather than left as it was */
	bool keepalive = false;

	/* One that was there by its record alone is the config's from now on. */
	whole |= p->mesh.recorded && !(cp->bits & CHANGE_PEER_RECORDED);
	p->mesh.recorded = cp->bits & CHANGE_PEER_RECORDED;
	p->mesh.joiner = cp->bits & CHANGE_PEER_JOINER;
	p->whole = false;
	if (cp->bits & CHANGE_PEER_PSK)
		memcpy(p->handshake.psk, cp->psk, KEY_LEN);
	else if (whole)
		memset(p->handshake.psk, 0, KEY_LEN);
	if (cp->bits & CHANGE_PEER_NAME)
		memcpy(p->name, cp->name, sizeof(p->name));
	else if (whole)
		p->name[0] = '\0';
	if (whole)
		p->link_bits = 0;
	p->link_bits |= cp->bits & CHANGE_PEER_LINK;
	link_settings_put(&p->link, &cp->link, cp->bits);
	commit_routing(p, cp, whole);
	if (cp->bits & CHANGE_PEER_KEEPALIVE)
		keepalive = rekey_set_persistent(&p->rekey, cp->keepalive_s);
	else if (whole)
		rekey_set_persistent(&p->rekey, 0);
	if (!n->up)
		return;
	if (keepalive || (p->fresh && p->rekey.persistent_s))
		lane_want_keepalive(peer_lane(n, p), peer_link(p));
	else
		lane_kick(peer_lane(n, p), peer_link(p));
	peer_rearm(n, p);
}

/* As its record alone would have it; what else that says comes with the next look at records (mesh.c). */
static void commit_kept(struct node *n, struct peer *p, struct instant now)
{
	const struct change_peer left = { .bits = CHANGE_PEER_ENDPOINTS | CHANGE_PEER_ALLOWED_AUTO | CHANGE_PEER_RECORDED, .allowed_auto = true };
	struct change_endpoint *none = NULL;

	if (p->mesh.recorded)
		return;
	p->whole = true;
	commit_endpoints(n, p, &left, &none, now);
	commit_peer(n, p, &left);
}

static void commit_peers(struct node *n, const struct change *c, const struct plan *plan, struct instant now)
{
	for (size_t i = n->peer_count; i-- > 0;) {
		n->peers[i]->whole = c->bits & CHANGE_REPLACE_PEERS;
		if (n->peers[i]->doomed)
			peer_free(n, n->peers[i]);
		else if (n->peers[i]->kept)
			commit_kept(n, n->peers[i], now);
	}
	for (size_t i = 0; i < c->peer_count; i++)
		if (plan->who[i]) {
			commit_endpoints(n, plan->who[i], &c->peers[i], &plan->endpoints[i], now);
			commit_peer(n, plan->who[i], &c->peers[i]);
		}
	for (size_t i = 0; i < n->peer_count; i++)
		clear_marks(n->peers[i]);
}

static bool count_allowed(void *ctx, const struct ip_prefix *prefix, void *value)
{
	(void)ctx;
	(void)prefix;
	container_of(value, struct peer, data)->allowed_count++;
	return true;
}

static bool list_allowed(void *ctx, const struct ip_prefix *prefix, void *value)
{
	struct peer *p = container_of(value, struct peer, data);
	struct ip_prefix *list = ctx;

	list[p->allowed_first + p->allowed_count++] = *prefix;
	return true;
}

/* Sort the trie's prefixes by peer: two walks for all, so that to list all peers is not quadratic. */
static void commit_allowed_list(struct node *n, struct ip_prefix *list)
{
	uint32_t at = 0;

	for (size_t i = 0; i < n->peer_count; i++)
		n->peers[i]->allowed_count = 0;
	lpm_walk(&n->allowed, count_allowed, NULL);
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		p->allowed_first = at;
		at += p->allowed_count;
		p->allowed_count = 0;
	}
	lpm_walk(&n->allowed, list_allowed, list);
	free(n->allowed_list);
	n->allowed_list = list;
}

static void commit(struct node *n, const struct change *c, struct plan *plan, struct instant now)
{
	n->now = now;
	node_close_lanes(n);
	if (c->bits & CHANGE_LINKS) {
		n->links = c->links;
		n->spread = c->spread;
		n->listen_prefix = c->listen_prefix;
		n->path_spread = c->path_spread;
		for (unsigned int i = 0; i < n->lane_count; i++)
			n->lanes[i].mss_clamp = c->mss_clamp;
		if (shaper_rate(&n->shaper) != c->links.bandwidth_bps)
			shaper_set_rate(&n->shaper, c->links.bandwidth_bps);
	}
	for (unsigned int i = 0; c->bits & CHANGE_ROUTING && i < n->lane_count; i++)
		n->lanes[i].transit = (uint8_t)c->transit;
	lpm_clear(&n->allowed);
	n->allowed = plan->allowed;
	n->effects |= NODE_EFFECT_ALLOWED;
	commit_peers(n, c, plan, now);
	commit_identity(n, c);
	for (size_t i = 0; i < n->peer_count; i++)
		spread_changed(n, n->peers[i]);
	node_open_lanes(n);
	commit_allowed_list(n, plan->allowed_list);
	if (c->bits & CHANGE_LISTEN_PORT)
		node_set_listen_port(n, c->listen_port);
	if (c->bits & CHANGE_FWMARK)
		n->fwmark = c->fwmark;
	if (c->bits & CHANGE_ROUTING)
		node_routing_apply(n, &plan->babel, now);
	else
		node_routing_changed(n, now);
	for (size_t i = 0; i < n->peer_count; i++)
		peer_paths_settings(n, n->peers[i], now);
	node_mesh_applied(n);
}

int node_apply(struct node *n, const struct change *c, struct instant now)
{
	struct plan plan = { 0 };
	int error = node_check(n, c);

	if (error)
		return error;
	plan.who = calloc(c->peer_count + 1, sizeof(struct peer *));
	if (!plan.who)
		return -ENOMEM;
	if ((!(c->bits & CHANGE_ROUTING) || babel_settings_copy(&plan.babel, &c->babel)) && plan_peers(n, c, &plan) &&
	    plan_endpoints(c, &plan) && plan_allowed(n, c, &plan)) {
		commit(n, c, &plan, now);
	} else {
		lpm_clear(&plan.allowed);
		babel_settings_done(&plan.babel);
		unplan(n);
		error = -ENOMEM;
	}
	plan_done(c, &plan);
	return error;
}
