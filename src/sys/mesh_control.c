/* SPDX-License-Identifier: MIT */
/*
 * The commands of a mesh as they come in by the control socket: what people wrote, still as text, becomes the structs of node/mesh.h. The
 * client is root's, but what he was sent (a file, a request) is anybody's: that goes through the same parsers as what comes from the network.
 *
 * Everything is parsed, strictly, before anything is done; the node then does all of it or nothing. Whether a name or an address is
 * free, and whether this node may sign at all, is the node's to say.
 */
#include "sys/mesh_control.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "crypto/key.h"
#include "exchange/bootstrap.h"
#include "exchange/import.h"
#include "exchange/item.h"
#include "exchange/mint.h"
#include "node/mesh.h"
#include "sys/clock.h"
#include "sys/mesh_status.h"

enum {
	SHOWN_MAX = 80,					/* of what is wrong, repeated in a reason */
	LASTS_MAX_S = INT32_MAX,			/* 68 years */
	SET_ALL = 31,
};

bool mesh_control_is(const Meshd__Request *q)
{
	switch (q->kind_case) {
	case MESHD__REQUEST__KIND_MESH:
	case MESHD__REQUEST__KIND_IMPORT:
	case MESHD__REQUEST__KIND_EXPORT:
	case MESHD__REQUEST__KIND_INVITE:
	case MESHD__REQUEST__KIND_REVOKE:
		return true;
	default:
		return false;
	}
}

/* False, with the reason: 'what' is wrong. What does not show, or is long, is left out. */
static bool refuse(struct text *why, const char *what, const char *reason)
{
	size_t len = strlen(what);
	bool clean = len && len <= SHOWN_MAX;

	for (const char *s = what; *s && clean; s++)
		clean = *s >= ' ' && *s <= '~';
	if (clean)
		text_addf(why, "'%s' %s", what, reason);
	else
		text_addf(why, "%s %s", len ? "this value" : "an empty value", reason);
	return false;
}

static bool no_memory(struct text *why)
{
	text_add(why, "out of memory");
	return false;
}

/* Take over what a text has. */
static void set_text(Meshd__Response *r, struct text *t)
{
	r->text.data = (uint8_t *)t->s;
	r->text.len = t->s ? t->len : 0;
	*t = (struct text){ 0 };
}

/*
 * Nodes, by name or key.
 */

static bool find_node(const struct node *n, const char *word, int64_t now_s, uint8_t key[KEY_LEN], struct text *why)
{
	const struct store *s = node_mesh_store(n);
	struct store_node found;

	if (store_find_name(s, word, now_s, &found) && found.record) {
		memcpy(key, found.record->public_key, KEY_LEN);
		return true;
	}
	if (key_from_base64(key, word) && store_find(s, key, now_s, &found))
		return true;
	return refuse(why, word, "is no node of this mesh");
}

/*
 * The requests.
 */

static bool answer_mesh(struct node *n, struct instant now, Meshd__Response *r, struct text *why)
{
	r->mesh = malloc(sizeof(*r->mesh));
	if (!r->mesh)
		return no_memory(why);
	meshd__mesh__init(r->mesh);
	return mesh_status_fill(n, true, now, r->mesh) || no_memory(why);
}

static bool tell_news(const struct bootstrap_news *news, Meshd__Response *r, struct text *why)
{
	r->import = malloc(sizeof(*r->import));
	if (!r->import)
		return no_memory(why);
	meshd__import_news__init(r->import);
	r->import->added = (uint32_t)news->added;
	r->import->known = (uint32_t)news->known;
	r->import->old = (uint32_t)news->old;
	r->import->refused = (uint32_t)news->refused;
	r->import->later = (uint32_t)news->later;
	if (!news->first_refused[0])
		return true;
	/* It is done: a reason that does not fit is no failure. */
	r->import->first_refused = strdup(news->first_refused);
	if (!r->import->first_refused)
		r->import->first_refused = (char *)(uintptr_t)protobuf_c_empty_string;
	return true;
}

/* A file may take seconds, and handshakes, probes and Babel do not wait: some of it, and the rest with the next calls. */
static bool answer_import(struct node *n, const Meshd__ImportRequest *q, struct instant now, void **job, Meshd__Response *r, struct text *why)
{
	struct import *i = *job ? *job : node_mesh_import_begin(n, q->file.data, q->file.len, now);
	int64_t until_us = clock_now().mono_us + MESH_CONTROL_SLICE_MS * US_PER_MS;
	enum bootstrap_step step = BOOTSTRAP_MORE;
	struct bootstrap_news news = { 0 };

	*job = NULL;
	if (!i)
		return no_memory(why);
	while (step == BOOTSTRAP_MORE && clock_now().mono_us < until_us)
		step = node_mesh_import_step(n, i, &news, now, why);
	if (step == BOOTSTRAP_MORE) {
		*job = i;
		return true;
	}
	import_free(i);
	return step == BOOTSTRAP_DONE && tell_news(&news, r, why);
}

void mesh_control_give_up(void *job)
{
	import_free(job);
}

static bool answer_export(struct node *n, const Meshd__ExportRequest *q, struct instant now, Meshd__Response *r, struct text *why)
{
	struct bootstrap_options o = { .name = node_mesh_name(n), .binary = q->binary, .only_count = q->n_nodes };
	uint8_t (*keys)[KEY_LEN] = calloc(q->n_nodes + 1, sizeof(*keys));
	struct text out = { 0 };
	bool ok = keys;

	if (!keys)
		return no_memory(why);
	for (size_t i = 0; i < q->n_nodes && ok; i++)
		ok = find_node(n, q->nodes[i], now.wall_ns / NS_PER_S, keys[i], why);
	if (q->n_nodes)
		o.only = (const uint8_t (*)[KEY_LEN])keys;
	ok = ok && node_mesh_export(n, &o, now, &out, why);
	free(keys);
	if (ok && out.failed)
		ok = no_memory(why);
	if (ok)
		set_text(r, &out);
	text_done(&out);
	return ok;
}

/*
 * Inviting.
 */

static bool parse_list(char *const *words, size_t count, bool hosts, struct ip_prefix v[ITEM_PREFIXES_MAX], size_t *v_count, struct text *why)
{
	if (count > ITEM_PREFIXES_MAX) {
		text_addf(why, "more than %d addresses or prefixes of a kind", ITEM_PREFIXES_MAX);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct ip_prefix p, masked;

		if (!ip_prefix_parse(words[i], &p))
			return refuse(why, words[i], hosts ? "is not an address" : "is not a prefix, ADDRESS/LENGTH");
		masked = p;
		ip_prefix_mask(&masked);
		if (hosts && p.len != ip_family_bits(p.addr.family))
			return refuse(why, words[i], "has a length, and a node's address has none: what is behind the node is a prefix");
		if (!ip_prefix_equal(&p, &masked))
			return refuse(why, words[i], "has bits set behind its length");
		v[(*v_count)++] = p;
	}
	return true;
}

static bool parse_lasts(int64_t seconds, const char *what, struct text *why)
{
	if (seconds >= 0 && seconds <= LASTS_MAX_S)
		return true;
	text_addf(why, "%s is out of bounds", what);
	return false;
}

static bool parse_node(const Meshd__InviteRequest *q, struct mint_node *m, struct text *why)
{
	/* In a request the name may be the other's wish. */
	if (!item_name_is_good(q->name) && (*q->name || !q->request.len))
		return refuse(why, q->name, "is not a name: letters, digits, '-', '_' and '.', 63 at most");
	memcpy(m->name, q->name, strlen(q->name) + 1);
	if (q->roles & ~(uint32_t)ROLES) {
		text_add(why, "there is a role that this meshd does not know");
		return false;
	}
	m->roles = q->roles;
	m->expires_s = q->expires_s;
	return parse_lasts(q->expires_s, "how long the node is good", why) &&
	       parse_list(q->addresses, q->n_addresses, true, m->addresses, &m->address_count, why) &&
	       parse_list(q->prefixes, q->n_prefixes, false, m->prefixes, &m->prefix_count, why) &&
	       parse_list(q->external, q->n_external, false, m->external, &m->external_count, why);
}

/* What contradicts itself. */
static bool parse_kind(const Meshd__InviteRequest *q, struct mesh_invite *v, struct text *why)
{
	if (q->plain + (q->request.len > 0) + q->renew > 1 || (q->replaces && (q->plain || q->renew))) {
		text_add(why, "only one of a plain device, a request, and renewing can be; and only a node that joins replaces another");
		return false;
	}
	if (q->plain != (q->public_key.len > 0) || (q->plain && q->public_key.len != KEY_LEN)) {
		text_add(why, "a plain device, and only that, is invited by its public key");
		return false;
	}
	if (q->set & ~(uint32_t)SET_ALL || (q->set && !q->renew)) {
		text_add(why, "what is to be renewed makes no sense");
		return false;
	}
	v->plain = q->plain;
	v->renew = q->renew;
	v->replaces = q->replaces;
	v->set = q->set;
	v->valid_s = q->valid_s;
	if (q->plain)
		memcpy(v->public_key, q->public_key.data, KEY_LEN);
	return parse_lasts(q->valid_s, "how long the invitation is good", why);
}

/* The join request, out of its armour. */
static bool parse_request(const Meshd__InviteRequest *q, struct mesh_invite *v, struct text *data, struct text *why)
{
	enum armour_kind kind;

	if (!q->request.len)
		return true;
	if (!armour_read(q->request.data, q->request.len, &kind, data, why))
		return false;
	if (kind != ARMOUR_JOIN_REQUEST) {
		text_add(why, "this is a file of a mesh, not a join request");
		return false;
	}
	v->request = data->s;
	v->request_len = data->len;
	return true;
}

static bool answer_invite(struct node *n, const Meshd__InviteRequest *q, struct instant now, Meshd__Response *r, struct text *why)
{
	struct mesh_invite *v = calloc(1, sizeof(*v));
	struct text request = { 0 }, out = { 0 };
	bool ok = v;

	if (!v)
		return no_memory(why);
	ok = parse_kind(q, v, why) && parse_node(q, &v->node, why) && parse_request(q, v, &request, why) &&
	     node_mesh_invite(n, v, now, &out, why);
	if (ok && out.failed)
		ok = no_memory(why);
	if (ok)
		set_text(r, &out);
	text_wipe(&out);
	text_done(&request);
	free(v);
	return ok;
}

static bool answer_revoke(struct node *n, const Meshd__RevokeRequest *q, struct instant now, struct text *why)
{
	size_t len = strlen(q->reason);

	for (const char *s = q->reason; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return refuse(why, q->reason, "is a reason with control characters");
	if (len > ITEM_REASON_MAX) {
		text_addf(why, "the reason is longer than %d bytes", ITEM_REASON_MAX);
		return false;
	}
	return node_mesh_revoke(n, q->node, q->reason, now, why);
}

bool mesh_control(struct node *n, const char *interface, const Meshd__Request *q, struct instant now, void **job, Meshd__Response *r, struct text *why)
{
	if (!node_mesh_on(n)) {
		text_addf(why, "%s: is no node of a mesh: its config has no [Mesh]", interface);
		return false;
	}
	switch (q->kind_case) {
	case MESHD__REQUEST__KIND_MESH:
		return answer_mesh(n, now, r, why);
	case MESHD__REQUEST__KIND_IMPORT:
		return answer_import(n, q->import, now, job, r, why);
	case MESHD__REQUEST__KIND_EXPORT:
		return answer_export(n, q->export, now, r, why);
	case MESHD__REQUEST__KIND_INVITE:
		return answer_invite(n, q->invite, now, r, why);
	case MESHD__REQUEST__KIND_REVOKE:
		return answer_revoke(n, q->revoke, now, why);
	default:
		text_add(why, "this meshd does not know that request");
		return false;
	}
}
