/* SPDX-License-Identifier: MIT */
/*
 * Applying a change of configuration: all of it, or nothing.
 *
 * First everything that can fail is done beside what is in force: new peers are made (marked fresh), and a new trie of
 * allowed IPs is built from the old one and the change. Only then, when nothing can fail any more, the change is
 * committed: keys, settings, the trie swapped in, doomed peers freed. A peer that stays keeps its sessions.
 */
#include <errno.h>
#include <string.h>

#include "base/container.h"
#include "node/inside.h"

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

/* Make the peers that are new and mark those that go. False: no memory. */
static bool plan_peers(struct node *n, const struct change *c, const uint8_t self[KEY_LEN])
{
	for (size_t i = 0; c->bits & CHANGE_REPLACE_PEERS && i < n->peer_count; i++)
		n->peers[i]->doomed = true;
	for (size_t i = 0; i < c->peer_count; i++) {
		const struct change_peer *cp = &c->peers[i];
		struct peer *p = node_find(n, cp->public_key);

		if (!memcmp(cp->public_key, self, KEY_LEN))
			continue;	/* a node is not its own peer; WireGuard skips it silently */
		if (cp->bits & CHANGE_PEER_REMOVE) {
			if (p)
				p->doomed = true;
			continue;
		}
		if (!p && cp->bits & CHANGE_PEER_UPDATE_ONLY)
			continue;
		if (!p) {
			p = peer_new(n, cp->public_key);
			if (!p)
				return false;
			p->fresh = true;
		}
		p->doomed = false;
		if (cp->bits & CHANGE_PEER_REPLACE_ALLOWED)
			p->replace_allowed = true;
	}
	/* Our own key as a peer, should it have been one before it became ours. */
	for (size_t i = 0; i < n->peer_count; i++)
		if (!memcmp(n->peers[i]->public_key, self, KEY_LEN))
			n->peers[i]->doomed = true;
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

/* The allowed IPs as they will be. False: no memory, and 'to' is empty. */
static bool plan_allowed(const struct node *n, const struct change *c, struct lpm *to)
{
	struct copy copy = { .to = to };

	lpm_walk(&n->lane.allowed, copy_allowed, &copy);
	for (size_t i = 0; i < c->peer_count && !copy.failed; i++) {
		const struct change_peer *cp = &c->peers[i];
		struct peer *p = node_find(n, cp->public_key);

		if (!p || p->doomed)
			continue;
		for (size_t j = 0; j < cp->allowed_count && !copy.failed; j++) {
			const struct change_allowed *a = &cp->allowed[j];

			if (!a->remove)
				copy.failed = !lpm_insert(to, &a->prefix, &p->data);
			else if (lpm_exact(to, &a->prefix) == &p->data)
				lpm_remove(to, &a->prefix);
		}
	}
	if (copy.failed)
		lpm_clear(to);
	return !copy.failed;
}

/* After a failure: fresh peers go, marks are cleared. */
static void unplan(struct node *n)
{
	for (size_t i = n->peer_count; i-- > 0;) {
		struct peer *p = n->peers[i];

		p->doomed = false;
		p->replace_allowed = false;
		if (p->fresh)
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
		n->lane.checker = n->identity.set ? &n->checker : NULL;
		for (size_t i = 0; i < n->peer_count; i++) {
			peer_forget_keys(n, n->peers[i]);
			noise_handshake_rekey_static(&n->peers[i]->handshake, &n->identity);
		}
	}
	crypto_wipe(before, sizeof(before));
}

static void commit_endpoint(struct node *n, struct peer *p, const struct change_peer *cp)
{
	struct path_addr path = { .remote = cp->endpoint };

	if (cp->bits & CHANGE_PEER_ENDPOINT_NAME)
		memcpy(p->endpoint_name, cp->endpoint_name, sizeof(p->endpoint_name));
	if (!(cp->bits & CHANGE_PEER_ENDPOINT))
		return;
	if (!(cp->bits & CHANGE_PEER_ENDPOINT_NAME))
		p->endpoint_name[0] = '\0';
	lane_set_path(&n->lane, &p->data, &path);
	p->endpoint_unchecked = true;
	n->effects |= NODE_EFFECT_ENDPOINTS;
}

static void commit_peer(struct node *n, struct peer *p, const struct change_peer *cp)
{
	bool whole = p->whole;	/* what is not said is off, rather than left as it was */
	bool keepalive = false;

	p->whole = false;

	if (cp->bits & CHANGE_PEER_PSK)
		memcpy(p->handshake.psk, cp->psk, KEY_LEN);
	else if (whole)
		memset(p->handshake.psk, 0, KEY_LEN);
	if (cp->bits & CHANGE_PEER_NAME)
		memcpy(p->name, cp->name, sizeof(p->name));
	else if (whole)
		p->name[0] = '\0';
	commit_endpoint(n, p, cp);
	if (cp->bits & CHANGE_PEER_KEEPALIVE)
		keepalive = rekey_set_persistent(&p->rekey, cp->keepalive_s);
	else if (whole)
		rekey_set_persistent(&p->rekey, 0);
	if (!n->up)
		return;
	if (keepalive || (p->fresh && p->rekey.persistent_s))
		lane_want_keepalive(&n->lane, &p->data);
	else
		lane_kick(&n->lane, &p->data);
	peer_rearm(n, p);
}

static void commit_peers(struct node *n, const struct change *c)
{
	for (size_t i = n->peer_count; i-- > 0;) {
		n->peers[i]->whole = c->bits & CHANGE_REPLACE_PEERS;
		if (n->peers[i]->doomed)
			peer_free(n, n->peers[i]);
	}
	for (size_t i = 0; i < c->peer_count; i++) {
		struct peer *p = node_find(n, c->peers[i].public_key);

		if (p && !(c->peers[i].bits & CHANGE_PEER_REMOVE))
			commit_peer(n, p, &c->peers[i]);
	}
	for (size_t i = 0; i < n->peer_count; i++) {
		n->peers[i]->fresh = false;
		n->peers[i]->replace_allowed = false;
	}
}

int node_apply(struct node *n, const struct change *c, struct instant now)
{
	int error = node_check(n, c);
	struct lpm allowed = { 0 };
	uint8_t self[KEY_LEN];

	(void)now;
	if (error)
		return error;
	future_public_key(n, c, self);
	if (!plan_peers(n, c, self) || !plan_allowed(n, c, &allowed)) {
		unplan(n);
		return -ENOMEM;
	}
	lpm_clear(&n->lane.allowed);
	n->lane.allowed = allowed;
	n->effects |= NODE_EFFECT_ALLOWED;
	commit_peers(n, c);
	commit_identity(n, c);
	if (c->bits & CHANGE_LISTEN_PORT)
		n->listen_port = c->listen_port;
	if (c->bits & CHANGE_FWMARK)
		n->fwmark = c->fwmark;
	return 0;
}
