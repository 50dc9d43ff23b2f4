/* SPDX-License-Identifier: MIT */
/*
 * From a node's mesh to the message that "meshd mesh" and "meshd status" show, in the manner of sys/status.c: strings are the message's own, and a
 * list's count is raised only after the element is whole, so a message given up half way can be freed as it is.
 */
#include "sys/mesh_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "crypto/key.h"
#include "crypto/sign.h"
#include "exchange/store.h"
#include "node/mesh.h"
#include "node/node.h"

enum { WARNINGS_MAX = 100 };	/* more say nothing new */

/* Give a string field its own copy; an empty one stays as it was initialised. */
static bool set_string(char **field, const char *s)
{
	if (!s || !*s)
		return true;
	*field = strdup(s);
	return *field;
}

static bool set_bytes(ProtobufCBinaryData *field, const void *bytes, size_t len)
{
	field->data = malloc(len);
	if (!field->data)
		return false;
	memcpy(field->data, bytes, len);
	field->len = len;
	return true;
}

/*
 * How the mesh uses each peer, by public key.
 */

struct use {
	uint8_t public_key[KEY_LEN];
	const char *word;
};

static int use_compare(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return memcmp(x->public_key, y->public_key, KEY_LEN);
}

static bool list_uses(const struct node *n, size_t count, struct instant now, struct use **out)
{
	struct peer_info info = { 0 };
	size_t at = 0;

	*out = calloc(count + 1, sizeof(**out));
	if (!*out)
		return false;
	for (; at < count && node_peer(n, at, now, &info); at++) {
		memcpy((*out)[at].public_key, info.public_key, KEY_LEN);
		(*out)[at].word = info.mesh_use;
	}
	crypto_wipe(&info, sizeof(info));
	qsort(*out, at, sizeof(**out), use_compare);
	return true;
}

/*
 * Nodes.
 */

static bool set_prefixes(char ***list, size_t *count, const struct ip_prefix *v, size_t v_count)
{
	char text[PREFIX_TEXT_MAX];

	if (!v_count)
		return true;
	*list = calloc(v_count, sizeof(**list));
	for (size_t i = 0; *list && i < v_count; i++) {
		(*list)[i] = strdup(ip_prefix_format(&v[i], text));
		if (!(*list)[i])
			return false;
		++*count;
	}
	return *list;
}

static bool set_endpoints(const struct self_record *self, Meshd__MeshNode *out)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!self || !self->endpoint_count)
		return true;
	out->endpoints = calloc(self->endpoint_count, sizeof(*out->endpoints));
	for (size_t i = 0; out->endpoints && i < self->endpoint_count; i++) {
		out->endpoints[i] = strdup(endpoint_format(&self->endpoints[i].endpoint, text));
		if (!out->endpoints[i])
			return false;
		out->n_endpoints++;
	}
	return out->endpoints;
}

static bool fill_record(const struct store *s, const struct node_record *r, int64_t now_s, Meshd__MeshNode *out)
{
	out->roles = r->roles;
	out->not_after_s = r->not_after_s;
	out->serial = r->serial;
	out->plain = r->has_gateway;
	out->signs = !r->has_gateway && store_may_sign(s, r->sign_key, now_s);
	return set_string(&out->name, r->name) && set_prefixes(&out->addresses, &out->n_addresses, r->addresses, r->address_count) &&
	       set_prefixes(&out->prefixes, &out->n_prefixes, r->prefixes, r->prefix_count) &&
	       set_prefixes(&out->external, &out->n_external, r->external, r->external_count);
}

static const uint8_t *key_of(const struct store_node *node)
{
	return node->record ? node->record->public_key : node->revocation ? node->revocation->public_key : NULL;
}

static const char *use_of(const uint8_t key[KEY_LEN], const uint8_t own[KEY_LEN], const struct use *uses, size_t count)
{
	struct use wanted = { .word = "" };
	const struct use *found;

	if (!memcmp(key, own, KEY_LEN))
		return "self";
	memcpy(wanted.public_key, key, KEY_LEN);
	found = count ? bsearch(&wanted, uses, count, sizeof(*uses), use_compare) : NULL;
	return found ? found->word : "";
}

static bool fill_node(const struct store *s, const struct store_node *node, const char *use, int64_t now_s, Meshd__MeshNode *out)
{
	return set_bytes(&out->public_key, key_of(node), KEY_LEN) && set_string(&out->standing, node_standing_name(node->standing)) &&
	       set_string(&out->use, use) && (!node->record || fill_record(s, node->record, now_s, out)) && set_endpoints(node->self, out);
}

static bool fill_nodes(const struct node *n, const struct node_info *info, struct instant now, Meshd__Mesh *out)
{
	const struct store *s = node_mesh_store(n);
	int64_t now_s = now.wall_ns / NS_PER_S;
	size_t count = store_node_count(s);
	struct store_node node;
	struct use *uses;
	bool ok = true;

	if (!list_uses(n, info->peer_count, now, &uses))
		return false;
	out->nodes = calloc(count + 1, sizeof(*out->nodes));
	for (size_t i = 0; out->nodes && ok && i < count && store_node_at(s, i, now_s, &node); i++) {
		Meshd__MeshNode *m;

		if (!key_of(&node))
			continue;
		m = malloc(sizeof(*m));
		ok = m;
		if (!m)
			break;
		meshd__mesh_node__init(m);
		out->nodes[out->n_nodes++] = m;
		ok = fill_node(s, &node, use_of(key_of(&node), info->public_key, uses, info->peer_count), now_s, m);
	}
	free(uses);
	return ok && out->nodes;
}

/*
 * The whole.
 */

struct warnings {
	Meshd__Mesh *out;
	bool failed;
};

static void add_warning(void *ctx, const char *line)
{
	struct warnings *w = ctx;
	char *copy;

	if (w->failed || w->out->n_warnings == WARNINGS_MAX)
		return;
	copy = strdup(line);
	w->failed = !copy;
	if (copy)
		w->out->warnings[w->out->n_warnings++] = copy;
}

static void warn_later(const struct node *n, struct warnings *w)
{
	struct mesh_info info = { 0 };
	char line[128];

	node_mesh_info(n, &info);
	if (!info.gossip.later)
		return;
	snprintf(line, sizeof(line), "%zu item%s of a later meshd left out: neighbours that have them are never in step", info.gossip.later,
		 info.gossip.later == 1 ? "" : "s");
	add_warning(w, line);
}

static bool fill_warnings(const struct node *n, const struct store *s, int64_t now_s, Meshd__Mesh *out)
{
	struct warnings w = { .out = out };

	out->warnings = calloc(WARNINGS_MAX, sizeof(*out->warnings));
	if (!out->warnings)
		return false;
	warn_later(n, &w);
	store_warnings(s, now_s, add_warning, &w);
	return !w.failed;
}

static bool may_sign(const struct store *s, const struct node_info *info, int64_t now_s)
{
	uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN];

	if (!info->has_key)
		return false;
	sign_seed_of_node(seed, info->private_key);
	sign_public(key, seed);
	crypto_wipe(seed, sizeof(seed));
	return store_may_sign(s, key, now_s);
}

static void fill_counts(const struct node *n, Meshd__Mesh *out)
{
	struct mesh_info info = { 0 };

	node_mesh_info(n, &info);
	out->nodes_known = (uint32_t)info.nodes;
	out->nodes_good = (uint32_t)info.good;
	out->backbone = (uint32_t)info.backbone;
	out->shortcuts = (uint32_t)info.shortcuts;
	out->routed = info.routed;
	out->routed_dropped = info.routed_dropped;
	out->routes_refused = info.routes_refused;
	out->neighbours = (uint32_t)info.gossip.neighbours;
	out->in_step = (uint32_t)info.gossip.in_step;
	out->exchange_sent = info.gossip.sent_bytes;
	out->exchange_received = info.gossip.received_bytes;
	out->items_refused = info.gossip.items_refused;
}

bool mesh_status_fill(const struct node *n, bool nodes, struct instant now, Meshd__Mesh *out)
{
	const struct store *s = node_mesh_store(n);
	int64_t now_s = now.wall_ns / NS_PER_S;
	struct node_info info;
	bool ok;

	node_info(n, &info);
	fill_counts(n, out);
	out->may_sign = may_sign(s, &info, now_s);
	crypto_wipe(info.private_key, sizeof(info.private_key));
	ok = set_string(&out->name, node_mesh_name(n)) && set_bytes(&out->key, store_mesh(s), SIGN_KEY_LEN) &&
	     (!info.has_key || set_bytes(&out->public_key, info.public_key, KEY_LEN)) && fill_warnings(n, s, now_s, out);
	return ok && (!nodes || fill_nodes(n, &info, now, out));
}
