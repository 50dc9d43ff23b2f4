/* SPDX-License-Identifier: MIT */
/*
 * meshd mesh: the nodes of a mesh, as the daemon knows them; and the wg-quick file that is made of that for a plain device. Pure text but for the command itself.
 * JSON always has everything, in the same shape; its keys are a contract, listed in meshd(8).
 */
#include "cli/mesh.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json.h"
#include "cli/mesh_files.h"
#include "cli/options.h"
#include "cli/term.h"
#include "crypto/key.h"
#include "exchange/item.h"
#include "exchange/mint.h"

enum column {
	COLUMN_NAME,
	COLUMN_KEY,
	COLUMN_ADDRESS,
	COLUMN_ROLES,
	COLUMN_STANDING,
	COLUMN_EXPIRES,
	COLUMN_USE,
	COLUMNS,
};

enum {
	SHORT_KEY = 8,
	SOON_S = 28 * 86400,
	MESH_NETWORK_LEN = 48,
};

static const char *const column_title[COLUMNS] = { "NAME", "KEY", "ADDRESS", "ROLES", "STANDING", "EXPIRES", "USE" };

static void key_of(char out[KEY_BASE64_MAX], const ProtobufCBinaryData *key)
{
	if (key->len == KEY_LEN)
		key_to_base64(out, key->data);
	else
		strcpy(out, "(none)");
}

static bool is_good(const Meshd__MeshNode *n)
{
	return !strcmp(n->standing, node_standing_name(NODE_GOOD));
}

/* What the node is for, as people say it. */
static void roles_cell(struct term_cell *line, const Meshd__MeshNode *n)
{
	struct text roles = { 0 };

	if (n->plain)
		text_add(&roles, "plain");
	else
		roles_format(n->roles, &roles);
	if (n->signs)
		text_add(&roles, ",signs");
	term_cell_set(&line[COLUMN_ROLES], STYLE_PLAIN, "%s", roles.s ? roles.s : "");
	text_done(&roles);
}

static void expires_cell(struct term_cell *line, const Meshd__MeshNode *n, int64_t now_s)
{
	char left[TERM_TEXT_MAX];
	bool soon = n->not_after_s - now_s < SOON_S;

	if (!n->not_after_s)
		term_cell_set(&line[COLUMN_EXPIRES], STYLE_PLAIN, "-");
	else if (n->not_after_s <= now_s)
		term_cell_set(&line[COLUMN_EXPIRES], STYLE_BAD, "%s ago", term_duration_short((uint64_t)(now_s - n->not_after_s), left));
	else
		term_cell_set(&line[COLUMN_EXPIRES], soon ? STYLE_BAD : STYLE_PLAIN, "%s",
			 term_duration_short((uint64_t)(n->not_after_s - now_s), left));
}

/* The address people type is an IPv4 one, if there is any. */
static const char *address_of(const Meshd__MeshNode *n)
{
	for (size_t i = 0; i < n->n_addresses; i++)
		if (!strchr(n->addresses[i], ':'))
			return n->addresses[i];
	return n->n_addresses ? n->addresses[0] : "-";
}

static void line_of_node(struct term_cell *line, const Meshd__MeshNode *n, int64_t now_s)
{
	const char *address = address_of(n);
	char key[KEY_BASE64_MAX];

	key_of(key, &n->public_key);
	term_cell_set(&line[COLUMN_NAME], STYLE_PEER, "%s", *n->name ? n->name : "-");
	term_cell_set(&line[COLUMN_KEY], STYLE_PLAIN, "%.*s", SHORT_KEY, key);
	term_cell_set(&line[COLUMN_ADDRESS], STYLE_PLAIN, "%.*s", (int)strcspn(address, "/"), address);
	roles_cell(line, n);
	term_cell_set(&line[COLUMN_STANDING], is_good(n) ? STYLE_GOOD : STYLE_BAD, "%s", n->standing);
	expires_cell(line, n, now_s);
	term_cell_set(&line[COLUMN_USE], STYLE_PLAIN, "%s", *n->use ? n->use : "-");
}

static int compare_nodes(const void *a, const void *b)
{
	const Meshd__MeshNode *x = *(Meshd__MeshNode *const *)a, *y = *(Meshd__MeshNode *const *)b;
	int order = is_good(y) - is_good(x);

	if (!order)
		order = strverscmp(x->name, y->name);
	return order;
}

void mesh_text(const Meshd__Mesh *m, int64_t now_s, bool colour, struct text *out)
{
	struct term_cell (*lines)[COLUMNS] = calloc(m->n_nodes + 1, sizeof(*lines));
	Meshd__MeshNode **nodes = calloc(m->n_nodes + 1, sizeof(*nodes));
	char key[KEY_BASE64_MAX];

	key_of(key, &m->key);
	text_add(out, "mesh ");
	term_add(out, colour, STYLE_INTERFACE, m->name);
	text_addf(out, ", key %s%s\n", key, m->may_sign ? "; this node may invite" : "");
	for (size_t i = 0; i < m->n_warnings; i++) {
		term_add(out, colour, STYLE_BAD, m->warnings[i]);
		text_add(out, "\n");
	}
	if (lines && nodes) {
		memcpy(nodes, m->nodes, m->n_nodes * sizeof(*nodes));
		qsort(nodes, m->n_nodes, sizeof(*nodes), compare_nodes);
		for (unsigned int c = 0; c < COLUMNS; c++)
			term_cell_set(&lines[0][c], STYLE_LABEL, "%s", column_title[c]);
		for (size_t i = 0; i < m->n_nodes; i++)
			line_of_node(lines[i + 1], nodes[i], now_s);
		term_table(out, colour, lines[0], m->n_nodes + 1, COLUMNS, 0);
	} else {
		out->failed = true;
	}
	free(lines);
	free(nodes);
}

/*
 * JSON.
 */

static void strings_json(struct json *j, const char *key, char *const *v, size_t count)
{
	json_array(j, key);
	for (size_t i = 0; i < count; i++)
		json_string(j, NULL, v[i]);
	json_array_end(j);
}

static void key_json(struct json *j, const char *name, const ProtobufCBinaryData *key)
{
	char base64[KEY_BASE64_MAX];

	if (key->len == KEY_LEN)
		json_string(j, name, key_to_base64(base64, key->data));
	else
		json_null(j, name);
}

static void node_json(struct json *j, const Meshd__MeshNode *n)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} roles[] = { { ROLE_TRANSIT, "transit" }, { ROLE_EXIT, "exit" }, { ROLE_GATEWAY, "gateway" } };

	json_object(j, NULL);
	json_string_or_null(j, "name", n->name);
	key_json(j, "public_key", &n->public_key);
	json_string(j, "standing", n->standing);
	strings_json(j, "addresses", n->addresses, n->n_addresses);
	strings_json(j, "prefixes", n->prefixes, n->n_prefixes);
	strings_json(j, "external", n->external, n->n_external);
	json_array(j, "roles");
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (n->roles & roles[i].bit)
			json_string(j, NULL, roles[i].name);
	json_array_end(j);
	json_bool(j, "plain", n->plain);
	json_bool(j, "signs", n->signs);
	if (n->not_after_s)
		json_int(j, "expires_ms", n->not_after_s < INT64_MAX / 1000 ? n->not_after_s * 1000 : INT64_MAX);
	else
		json_null(j, "expires_ms");
	json_uint(j, "serial", n->serial);
	strings_json(j, "endpoints", n->endpoints, n->n_endpoints);
	json_string_or_null(j, "use", n->use);
	json_object_end(j);
}

void mesh_json(const char *name, const Meshd__Mesh *m, struct text *out)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	json_string(&j, "interface", name);
	json_string(&j, "name", m->name);
	key_json(&j, "key", &m->key);
	key_json(&j, "public_key", &m->public_key);
	json_bool(&j, "may_sign", m->may_sign);
	json_uint(&j, "nodes_known", m->nodes_known);
	json_uint(&j, "nodes_good", m->nodes_good);
	json_uint(&j, "backbone", m->backbone);
	json_uint(&j, "shortcuts", m->shortcuts);
	json_uint(&j, "neighbours", m->neighbours);
	json_uint(&j, "in_step", m->in_step);
	json_uint(&j, "exchange_tx_bytes", m->exchange_sent);
	json_uint(&j, "exchange_rx_bytes", m->exchange_received);
	json_uint(&j, "items_refused", m->items_refused);
	json_uint(&j, "routes_refused", m->routes_refused);
	json_uint(&j, "routed", m->routed);
	json_uint(&j, "routed_dropped", m->routed_dropped);
	strings_json(&j, "warnings", m->warnings, m->n_warnings);
	json_array(&j, "nodes");
	for (size_t i = 0; i < m->n_nodes; i++)
		node_json(&j, m->nodes[i]);
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

/*
 * A plain device's config.
 */

struct allowed {
	struct ip_prefix v[DEVICE_ALLOWED_MAX];
	size_t count;
};

/* What is not in what is there already; no more than there is room for. */
static void add_allowed(struct allowed *a, const char *text)
{
	struct ip_prefix p;

	if (!ip_prefix_parse(text, &p))
		return;
	ip_prefix_mask(&p);
	for (size_t i = 0; i < a->count; i++)
		if (ip_prefix_contains(&a->v[i], &p))
			return;
	if (a->count < DEVICE_ALLOWED_MAX)
		a->v[a->count++] = p;
}

/* The mesh's own network, what the user said, then prefixes and addresses of the nodes. */
static void collect_allowed(const Meshd__Mesh *m, const struct mesh_device *d, struct allowed *a)
{
	struct ip_prefix network;

	mint_network(m->key.data, &network);
	network.len = MESH_NETWORK_LEN;
	ip_prefix_mask(&network);
	a->v[a->count++] = network;
	for (size_t i = 0; i < d->allowed_count; i++)
		add_allowed(a, d->allowed[i]);
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; is_good(m->nodes[i]) && k < m->nodes[i]->n_prefixes; k++)
			add_allowed(a, m->nodes[i]->prefixes[k]);
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; is_good(m->nodes[i]) && strcmp(m->nodes[i]->name, d->name) && k < m->nodes[i]->n_addresses; k++)
			add_allowed(a, m->nodes[i]->addresses[k]);
}

void mesh_device_conf(const Meshd__Mesh *m, const struct mesh_device *d, struct text *out)
{
	struct allowed allowed = { .count = 0 };
	char text[PREFIX_TEXT_MAX], key[KEY_BASE64_MAX];

	if (m->key.len != SIGN_KEY_LEN || m->public_key.len != KEY_LEN) {
		out->failed = true;
		return;
	}
	text_addf(out, "# %s, of the mesh %s\n[Interface]\nPrivateKey = %s\n", d->name, m->name, d->private_key);
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; !strcmp(m->nodes[i]->name, d->name) && is_good(m->nodes[i]) && k < m->nodes[i]->n_addresses; k++)
			text_addf(out, "Address = %s\n", m->nodes[i]->addresses[k]);
	key_to_base64(key, m->public_key.data);
	text_addf(out, "\n[Peer]\nPublicKey = %s\nEndpoint = %s\nPersistentKeepalive = 25\nAllowedIPs = ", key, d->endpoint);
	collect_allowed(m, d, &allowed);
	for (size_t i = 0; i < allowed.count; i++)
		text_addf(out, "%s%s", i ? ", " : "", ip_prefix_format(&allowed.v[i], text));
	text_add(out, "\n");
}

/*
 * The command.
 */

static int show(const char *name, bool json)
{
	Meshd__MeshRequest mesh = MESHD__MESH_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	struct text out = { 0 }, why = { 0 };
	Meshd__Response *r;
	bool ok = false;

	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &mesh;
	r = client_ask(name, &q, &why);
	if (r && r->mesh) {
		if (json)
			mesh_json(name, r->mesh, &out);
		else
			mesh_text(r->mesh, mesh_now_s(), term_wants_colour(), &out);
		ok = ask_print(&out);
	} else {
		cli_fail("%s", why.s ? why.s : "meshd gave an answer this program does not understand");
	}
	if (r)
		meshd__response__free_unpacked(r, NULL);
	text_done(&why);
	return ok ? CLI_DONE : CLI_FAILED;
}

int cmd_mesh(int argc, char **argv)
{
	bool json = false;
	const struct cli_option options[] = { { "json", 'j', &json, NULL }, { 0 } };
	const char *given = NULL;
	char name[16];
	int status = ask_arguments(options, "mesh [NAME] [--json]", argc, argv, &given, 1);

	if (status != CLI_DONE)
		return status;
	return mesh_interface(given, name) ? show(name, json) : CLI_FAILED;
}
