/* SPDX-License-Identifier: MIT */
/*
 * What operators ask of a running node: to import and export, to invite and to revoke. Each does it whole, or says in one line why not;
 * what follows for peers comes with the next turn (node_mesh_sync()). A node signs with its own key, so it can as far as the mesh has
 * delegated that to it: the mesh's own key is never here.
 */
#include <string.h>

#include "base/container.h"
#include "exchange/import.h"
#include "node/mesh_inside.h"

enum {
	SET_ADDRESSES = 1,		/* bits of mesh_invite.set */
	SET_PREFIXES = 2,
	SET_EXTERNAL = 4,
	SET_ROLES = 8,
	SET_EXPIRY = 16,
};

static bool refuse(struct text *why, const char *reason)
{
	text_add(why, reason);
	return false;
}

static bool may_sign(struct node *n, struct instant now, struct text *why)
{
	if (!n->mesh)
		return refuse(why, "this interface is of no mesh");
	if (!n->mesh->has_key)
		return refuse(why, "this node has no private key");
	if (!store_may_sign(n->mesh->store, n->mesh->sign_key, wall_s(now)))
		return refuse(why, "this node may not sign for the mesh: ask one that may, or have the mesh's key delegate that to it");
	return true;
}

bool node_mesh_import(struct node *n, const struct bootstrap *b, struct bootstrap_news *news, struct instant now, struct text *why)
{
	if (!n->mesh)
		return refuse(why, "this interface is of no mesh");
	if (!bootstrap_merge(n->mesh->store, b, wall_s(now), news, why))
		return false;
	if (news->added)
		mesh_added(n, now);
	return true;
}

struct import *node_mesh_import_begin(struct node *n, const void *data, size_t len, struct instant now)
{
	return import_new(n->mesh->store, data, len, wall_s(now));
}

enum bootstrap_step node_mesh_import_step(struct node *n, struct import *i, struct bootstrap_news *news, struct instant now, struct text *why)
{
	enum bootstrap_step step = import_step(i, news, why);

	if (step == BOOTSTRAP_DONE && news->added)
		mesh_added(n, now);
	return step;
}

bool node_mesh_export(struct node *n, const struct bootstrap_options *o, struct instant now, struct text *out, struct text *why)
{
	struct bootstrap_options with_name;

	if (!n->mesh)
		return refuse(why, "this interface is of no mesh");
	with_name = *o;
	with_name.name = n->mesh->name;
	if (!bootstrap_write(n->mesh->store, &with_name, wall_s(now), out))
		return refuse(why, "the file would be too long, or memory is short");
	return true;
}

bool node_mesh_file(struct node *n, struct instant now, struct text *out)
{
	struct bootstrap_options o = { .invitations = true };

	if (!n->mesh)
		return false;
	o.name = n->mesh->name;
	return bootstrap_write(n->mesh->store, &o, wall_s(now), out);
}

void node_mesh_hosts(const struct node *n, struct instant now, struct text *out)
{
	struct store_node sn;
	char room[ADDR_TEXT_MAX];

	for (size_t i = 0; n->mesh && store_node_at(n->mesh->store, i, wall_s(now), &sn); i++)
		for (size_t k = 0; sn.standing == NODE_GOOD && k < sn.record->address_count; k++)
			text_addf(out, "%s\t%s %s.%s\n", ip_addr_format(&sn.record->addresses[k].addr, room), sn.record->name, sn.record->name,
				  n->mesh->name);
}

/*
 * Invitations.
 */

/* A node by name, or by key; also one that counts no more. */
static bool find_node(struct node *n, const char *name, struct instant now, struct store_node *sn)
{
	uint8_t key[KEY_LEN];

	if (store_find_name(n->mesh->store, name, wall_s(now), sn))
		return true;
	if (key_from_base64(key, name))
		return store_find(n->mesh->store, key, wall_s(now), sn) && sn->standing != NODE_UNKNOWN;
	for (size_t i = 0; store_node_at(n->mesh->store, i, wall_s(now), sn); i++)
		if (sn->record && sn->standing != NODE_REVOKED && !strcmp(sn->record->name, name))
			return true;
	return false;
}

static bool renew(struct node *n, const struct mesh_invite *v, struct instant now, struct text *why)
{
	const struct node_record *r;
	struct mint_node node = v->node;
	struct node_record had;
	struct store_node sn;
	const char *reason = "";

	if (!find_node(n, v->node.name, now, &sn) || !sn.record)
		return refuse(why, "there is no such node");
	had = *sn.record;
	r = &had;
	memcpy(node.name, r->name, sizeof(node.name));
	if (!(v->set & SET_ADDRESSES)) {
		memcpy(node.addresses, r->addresses, sizeof(node.addresses));
		node.address_count = r->address_count;
	}
	if (!(v->set & SET_PREFIXES)) {
		memcpy(node.prefixes, r->prefixes, sizeof(node.prefixes));
		node.prefix_count = r->prefix_count;
	}
	if (!(v->set & SET_EXTERNAL)) {
		memcpy(node.external, r->external, sizeof(node.external));
		node.external_count = r->external_count;
	}
	if (!(v->set & SET_ROLES))
		node.roles = r->roles;
	if (!(v->set & SET_EXPIRY))
		node.expires_s = 0;
	if (!mint_record(n->mesh->store, n->mesh->seed, &node, r->public_key, r->sign_key, r->has_token ? r->token : NULL,
			 r->has_gateway ? r->gateway : NULL, wall_s(now), &reason))
		return refuse(why, reason);
	return true;
}

/* Who is replaced, by the name; a key of its own. False: there is none. */
static bool replaced(struct node *n, const struct mesh_invite *v, struct instant now, uint8_t key[KEY_LEN], struct text *why)
{
	struct store_node sn;

	if (!find_node(n, v->node.name, now, &sn) || !sn.record)
		return refuse(why, "there is no such node to replace");
	if (!memcmp(sn.record->public_key, n->identity.public_key, KEY_LEN))
		return refuse(why, "this node cannot replace itself");
	memcpy(key, sn.record->public_key, KEY_LEN);
	return true;
}

/* What the lost one had and nobody says anything else of goes to the new one. Its first address is made of its key. */
static void inherit(struct node *n, struct mint_node *node, const uint8_t key[KEY_LEN], struct instant now)
{
	struct ip_prefix own;
	struct store_node sn;

	if (!store_find(n->mesh->store, key, wall_s(now), &sn) || !sn.record)
		return;
	mint_address(store_mesh(n->mesh->store), key, &own);
	for (size_t i = 0; i < sn.record->address_count && node->address_count < ITEM_PREFIXES_MAX - 1; i++)
		if (!ip_prefix_equal(&sn.record->addresses[i], &own))
			node->addresses[node->address_count++] = sn.record->addresses[i];
	if (!node->prefix_count) {
		memcpy(node->prefixes, sn.record->prefixes, sizeof(node->prefixes));
		node->prefix_count = sn.record->prefix_count;
	}
	if (!node->external_count) {
		memcpy(node->external, sn.record->external, sizeof(node->external));
		node->external_count = sn.record->external_count;
	}
}

/* It signs nothing: a signing key it has to have is that of nobody. */
static bool invite_device(struct node *n, const struct mesh_invite *v, struct instant now, struct text *why)
{
	const char *reason = "";

	if (!mint_check(n->mesh->store, &v->node, NULL, wall_s(now), &reason) ||
	    !mint_record(n->mesh->store, n->mesh->seed, &v->node, v->public_key, v->public_key, NULL, n->identity.public_key, wall_s(now), &reason))
		return refuse(why, reason);
	return true;
}

/* A join request, which may have been made by somebody who had no file of this mesh: then it is signed for any. */
static struct item *read_request(struct node *n, const struct mesh_invite *v, const char **reason)
{
	const uint8_t any[SIGN_KEY_LEN] = { 0 };
	struct item *item = item_read(store_mesh(n->mesh->store), v->request, v->request_len, reason);

	if (!item)
		item = item_read(any, v->request, v->request_len, reason);
	if (item && item->kind == ITEM_JOIN_REQUEST && !item->join_request.has_token &&
	    !memcmp(item->signer, item->join_request.sign_key, SIGN_KEY_LEN))
		return item;
	if (item)
		*reason = "it is no join request";
	item_free(item);
	return NULL;
}

/* The record for a request. Asked again, the same is answered. */
static bool mint_requested(struct node *n, const struct mesh_invite *v, const struct join_request *r, struct instant now, struct text *why)
{
	struct mint_node node = v->node;
	uint8_t gone[KEY_LEN];
	const char *reason = "";
	struct store_node sn;

	if (store_find(n->mesh->store, r->public_key, wall_s(now), &sn) && sn.standing == NODE_GOOD)
		return true;
	if (!node.name[0])
		memcpy(node.name, r->name, sizeof(node.name));
	if (v->replaces) {
		if (!replaced(n, v, now, gone, why))
			return false;
		inherit(n, &node, gone, now);
	}
	if (!mint_check(n->mesh->store, &node, v->replaces ? gone : NULL, wall_s(now), &reason) ||
	    (v->replaces && !mint_revocation(n->mesh->store, n->mesh->seed, gone, "replaced", wall_s(now), &reason)) ||
	    !mint_record(n->mesh->store, n->mesh->seed, &node, r->public_key, r->sign_key, NULL, NULL, wall_s(now), &reason))
		return refuse(why, reason);
	return true;
}

/* Offline: the record at once, and the file that the other needs. */
static bool answer_request(struct node *n, const struct mesh_invite *v, struct instant now, struct text *out, struct text *why)
{
	struct bootstrap_options o = { .name = n->mesh->name };
	const char *reason = "";
	struct item *item = read_request(n, v, &reason);
	bool good;

	if (!item)
		return refuse(why, reason);
	good = mint_requested(n, v, &item->join_request, now, why);
	item_free(item);
	if (good && !bootstrap_write(n->mesh->store, &o, wall_s(now), out))
		return refuse(why, "the file would be too long, or memory is short");
	return good;
}

static void add_contact(struct token *t, const uint8_t key[KEY_LEN], const struct record_endpoint *v, size_t count)
{
	struct token_contact *c = &t->contacts[t->contact_count];

	if (!count || t->contact_count == TOKEN_CONTACTS_MAX)
		return;
	memset(c, 0, sizeof(*c));
	memcpy(c->public_key, key, KEY_LEN);
	for (size_t i = 0; i < count && c->endpoint_count < TOKEN_CONTACT_ENDPOINTS_MAX; i++)
		c->endpoints[c->endpoint_count++] = v[i];
	t->contact_count++;
}

/* The issuer, then nodes that it has links to. */
static void add_contacts(struct node *n, struct token *t, struct instant now)
{
	struct record_endpoint own[ITEM_ENDPOINTS_MAX];

	add_contact(t, n->identity.public_key, own, mesh_own_endpoints(n, own));
	for (int linked = 1; linked >= 0; linked--)
		for (size_t i = 0; i < n->peer_count && t->contact_count < TOKEN_CONTACTS_MAX; i++) {
			const struct peer *p = n->peers[i];
			struct store_node sn;

			if (p->mesh.good && peer_has_babel(p) == (linked == 1) && store_find(n->mesh->store, p->public_key, wall_s(now), &sn) &&
			    sn.self)
				add_contact(t, p->public_key, sn.self->endpoints, sn.self->endpoint_count);
		}
}

static bool promise(struct node *n, const struct issued *i, struct instant now, struct text *why)
{
	struct mesh *m = n->mesh;
	struct invitation v = { .not_after_s = i->not_after_s };
	struct text line = { .s = NULL };
	const char *reason = "";
	bool good;

	memcpy(v.token, i->token, KEY_LEN);
	memcpy(v.issuer, n->identity.public_key, KEY_LEN);
	/* A copy, by the way it is written. */
	good = issued_write(i, &line) && !line.failed && issued_read(&m->issued[m->issued_count], line.s);
	text_wipe(&line);
	if (!good)
		return refuse(why, "memory is short");
	if (!mint_invitation(m->store, m->seed, &v, wall_s(now), &reason)) {
		issued_done(&m->issued[m->issued_count]);
		return refuse(why, reason);
	}
	m->issued_count++;
	n->effects |= NODE_EFFECT_MESH_ISSUED;
	return true;
}

static bool invite(struct node *n, const struct mesh_invite *v, struct instant now, struct text *out, struct text *why)
{
	struct mint_node node = v->node;
	struct issued i = { .node = &node, .replaces = v->replaces };
	struct token t = { .not_after_s = wall_s(now) + (v->valid_s ? v->valid_s : MINT_INVITATION_S) };
	const char *reason = "";
	bool good;

	if (!n->mesh->own_good)
		return refuse(why, "this node is not in good standing itself (see meshd mesh): nobody could join by way of it");
	if (n->mesh->issued_count == MESH_ISSUED_MAX)
		return refuse(why, "too many invitations are open");
	if (v->replaces && !replaced(n, v, now, i.replaced, why))
		return false;
	if (v->replaces)
		inherit(n, &node, i.replaced, now);
	if (!mint_check(n->mesh->store, &node, v->replaces ? i.replaced : NULL, wall_s(now), &reason))
		return refuse(why, reason);
	memcpy(t.mesh, store_mesh(n->mesh->store), SIGN_KEY_LEN);
	memcpy(t.mesh_name, n->mesh->name, sizeof(t.mesh_name));
	memcpy(t.node_name, node.name, sizeof(t.node_name));
	key_generate(&n->rng, t.one_time_key);
	rng_fill(&n->rng, t.psk, KEY_LEN);
	memcpy(t.issuer, n->identity.public_key, KEY_LEN);
	add_contacts(n, &t, now);
	key_public(i.token, t.one_time_key);
	memcpy(i.psk, t.psk, KEY_LEN);
	i.not_after_s = t.not_after_s;
	if (!t.contact_count)
		good = refuse(why, "nobody knows yet where this node can be reached: give it an address, or a peer");
	else if (!token_write(&t, out))
		good = refuse(why, "memory is short");
	else
		good = promise(n, &i, now, why);
	crypto_wipe(&t, sizeof(t));
	crypto_wipe(&i, sizeof(i));
	return good;
}

bool node_mesh_invite(struct node *n, const struct mesh_invite *v, struct instant now, struct text *out, struct text *why)
{
	bool good;

	if (!may_sign(n, now, why))
		return false;
	if (v->renew)
		good = renew(n, v, now, why);
	else if (v->plain)
		good = invite_device(n, v, now, why);
	else if (v->request)
		good = answer_request(n, v, now, out, why);
	else
		good = invite(n, v, now, out, why);
	if (good)
		mesh_added(n, now);
	return good;
}

bool node_mesh_revoke(struct node *n, const char *name, const char *reason, struct instant now, struct text *why)
{
	const char *refused = "";
	uint8_t key[KEY_LEN];
	struct store_node sn;

	if (!may_sign(n, now, why))
		return false;
	if (!find_node(n, name, now, &sn)) {
		if (!key_from_base64(key, name))
			return refuse(why, "there is no such node");
	} else {
		memcpy(key, sn.record ? sn.record->public_key : sn.revocation->public_key, KEY_LEN);
	}
	if (!memcmp(key, n->identity.public_key, KEY_LEN))
		return refuse(why, "this is the node itself: revoke it from another");
	if (!mint_revocation(n->mesh->store, n->mesh->seed, key, reason ? reason : "", wall_s(now), &refused))
		return refuse(why, refused);
	mesh_added(n, now);
	return true;
}
