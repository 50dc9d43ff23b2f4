/* SPDX-License-Identifier: MIT */
/* The commands of a mesh: text to structs, strictly; and what "meshd mesh" is told. The node is tests/unit/mesh_stage.h. */
#include "mesh_stage.h"

#include "proto/control.pb-c.h"
#include "sys/mesh_control.h"
#include "sys/mesh_status.h"

/* --- the node --- */

static struct {
	int invited, revoked, exported;
	struct mesh_invite invite;
	uint8_t request[64];
	char node[128], reason[256];
	bool binary;
	size_t only_count;
	uint8_t only[4][KEY_LEN];
} seen;

bool node_mesh_invite(struct node *n, const struct mesh_invite *v, struct instant now, struct text *out, struct text *why)
{
	(void)n;
	assert_true(now.wall_ns > 0);
	seen.invited++;
	seen.invite = *v;
	if (v->request)
		memcpy(seen.request, v->request, v->request_len);
	if (!strcmp(v->node.name, "taken")) {
		text_add(why, "there is a node 'taken' already");
		return false;
	}
	if (!v->plain)
		text_add(out, "meshd1:token");
	return true;
}

bool node_mesh_revoke(struct node *n, const char *name, const char *reason, struct instant now, struct text *why)
{
	(void)n;
	(void)now;
	(void)why;
	seen.revoked++;
	snprintf(seen.node, sizeof(seen.node), "%s", name);
	snprintf(seen.reason, sizeof(seen.reason), "%s", reason);
	return true;
}

bool node_mesh_export(struct node *n, const struct bootstrap_options *o, struct instant now, struct text *out, struct text *why)
{
	(void)n;
	(void)now;
	(void)why;
	seen.exported++;
	seen.binary = o->binary;
	seen.only_count = o->only ? o->only_count : 0;
	assert_string_equal(o->name, "home");
	for (size_t i = 0; i < seen.only_count; i++)
		memcpy(seen.only[i], o->only[i], KEY_LEN);
	text_add(out, "file");
	return true;
}

void node_mesh_info(const struct node *n, struct mesh_info *info)
{
	(void)n;
	*info = (struct mesh_info){ .nodes = 3, .good = 2, .backbone = 1, .gossip = { .neighbours = 2, .in_step = 1 } };
}

void node_info(const struct node *n, struct node_info *info)
{
	(void)n;
	*info = (struct node_info){ .has_key = true, .peer_count = 1 };
	node_key('n', info->private_key, info->public_key);
}

bool node_peer(const struct node *n, size_t i, struct instant now, struct peer_info *info)
{
	(void)n;
	(void)now;
	*info = (struct peer_info){ .mesh_use = "backbone" };
	node_key('s', NULL, info->public_key);
	return i == 0;
}

/* --- helpers --- */

static Meshd__Response *answer;
static struct text why;

static size_t slices;		/* that the last one took */

static bool ask(const Meshd__Request *q)
{
	void *job = NULL;
	bool ok;

	if (answer)
		meshd__response__free_unpacked(answer, NULL);
	answer = malloc(sizeof(*answer));
	meshd__response__init(answer);
	text_reset(&why);
	assert_true(mesh_control_is(q));
	slices = 0;
	do {
		slices++;
		ok = mesh_control(NULL, "m0", q, clock_now(), &job, answer, &why);
	} while (job);
	return ok;
}

static bool invite(Meshd__InviteRequest *i)
{
	Meshd__Request q = MESHD__REQUEST__INIT;

	q.kind_case = MESHD__REQUEST__KIND_INVITE;
	q.invite = i;
	return ask(&q);
}

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&mesh, 0, sizeof(mesh));
	mesh.store = make_store('M');
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(mesh.store);
	if (answer)
		meshd__response__free_unpacked(answer, NULL);
	answer = NULL;
	text_done(&why);
	return 0;
}

static void assert_text(const char *expected)
{
	assert_int_equal(answer->text.len, strlen(expected));
	assert_memory_equal(answer->text.data, expected, strlen(expected));
}

/* --- cases --- */

static void others_are_not_ours(void **state)
{
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__MeshRequest m = MESHD__MESH_REQUEST__INIT;

	(void)state;
	assert_false(mesh_control_is(&q));
	q.kind_case = MESHD__REQUEST__KIND_STATUS;
	assert_false(mesh_control_is(&q));
	store_free(mesh.store);
	mesh.store = NULL;
	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &m;
	assert_false(ask(&q));
	assert_string_equal(why.s, "m0: is no node of a mesh: its config has no [Mesh]");
}

static void the_mesh(void **state)
{
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__MeshRequest m = MESHD__MESH_REQUEST__INIT;
	bool self = false, south = false, revoked = false;

	(void)state;
	add_node(mesh.store, 'M', 'e', "east", "10.7.0.3");
	revoke_node(mesh.store, 'e');
	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &m;
	assert_true(ask(&q));
	assert_string_equal(answer->mesh->name, "home");
	assert_memory_equal(answer->mesh->key.data, store_mesh(mesh.store), SIGN_KEY_LEN);
	assert_false(answer->mesh->may_sign);
	assert_int_equal(answer->mesh->in_step, 1);
	assert_int_equal(answer->mesh->nodes_good, 2);
	assert_int_equal(answer->mesh->n_nodes, 3);
	for (size_t i = 0; i < 3; i++) {
		const Meshd__MeshNode *n = answer->mesh->nodes[i];

		self |= !strcmp(n->name, "north") && !strcmp(n->use, "self") && !strcmp(n->standing, node_standing_name(NODE_GOOD));
		south |= !strcmp(n->name, "south") && !strcmp(n->use, "backbone") && n->roles == ROLE_TRANSIT && n->n_addresses == 2 &&
			 !strcmp(n->addresses[1], "10.7.0.2/32");
		revoked |= !strcmp(n->standing, node_standing_name(NODE_REVOKED));
	}
	assert_true(self);
	assert_true(south);
	assert_true(revoked);
}

static void an_invitation(void **state)
{
	char *addresses[] = { "10.7.0.9", "fd00::9/128" }, *prefixes[] = { "192.168.9.0/24" }, *external[] = { "::/0", "0.0.0.0/0" };
	Meshd__InviteRequest i = MESHD__INVITE_REQUEST__INIT;
	char text[PREFIX_TEXT_MAX];

	(void)state;
	i.name = "west";
	i.addresses = addresses;
	i.n_addresses = 2;
	i.prefixes = prefixes;
	i.n_prefixes = 1;
	i.external = external;
	i.n_external = 2;
	i.roles = ROLE_TRANSIT | ROLE_GATEWAY;
	i.expires_s = 90 * DAY_S;
	i.valid_s = 3600;
	i.replaces = true;
	assert_true(invite(&i));
	assert_text("meshd1:token");
	assert_string_equal(seen.invite.node.name, "west");
	assert_int_equal(seen.invite.node.address_count, 2);
	assert_string_equal(ip_prefix_format(&seen.invite.node.addresses[0], text), "10.7.0.9/32");
	assert_string_equal(ip_prefix_format(&seen.invite.node.prefixes[0], text), "192.168.9.0/24");
	assert_int_equal(seen.invite.node.external_count, 2);
	assert_int_equal(seen.invite.node.roles, ROLE_TRANSIT | ROLE_GATEWAY);
	assert_int_equal(seen.invite.node.expires_s, 90 * DAY_S);
	assert_int_equal(seen.invite.valid_s, 3600);
	assert_true(seen.invite.replaces);
	assert_null(seen.invite.request);

	i.name = "taken";
	assert_false(invite(&i));
	assert_string_equal(why.s, "there is a node 'taken' already");
	assert_int_equal(answer->text.len, 0);
}

static void other_invitations(void **state)
{
	Meshd__InviteRequest plain = MESHD__INVITE_REQUEST__INIT, renew = MESHD__INVITE_REQUEST__INIT, offline = MESHD__INVITE_REQUEST__INIT;
	struct text armour = { 0 };
	uint8_t key[KEY_LEN];

	(void)state;
	letter_key('p', key);
	plain.name = "phone";
	plain.plain = true;
	plain.public_key = (ProtobufCBinaryData){ KEY_LEN, key };
	assert_true(invite(&plain));
	assert_true(seen.invite.plain);
	assert_memory_equal(seen.invite.public_key, key, KEY_LEN);
	assert_int_equal(answer->text.len, 0);

	renew.name = "south";
	renew.renew = true;
	renew.set = 17;
	assert_true(invite(&renew));
	assert_true(seen.invite.renew);
	assert_int_equal(seen.invite.set, 17);

	/* The name may be left to the request. */
	armour_write(ARMOUR_JOIN_REQUEST, NULL, "request", 7, &armour);
	offline.request = (ProtobufCBinaryData){ armour.len, (uint8_t *)armour.s };
	assert_true(invite(&offline));
	assert_int_equal(seen.invite.request_len, 7);
	assert_memory_equal(seen.request, "request", 7);
	text_done(&armour);
	make_file(mesh.store, &armour);
	offline.request = (ProtobufCBinaryData){ armour.len, (uint8_t *)armour.s };
	assert_false(invite(&offline));
	assert_string_equal(why.s, "this is a file of a mesh, not a join request");
	text_done(&armour);
	offline.request = (ProtobufCBinaryData){ 4, (uint8_t *)"nope" };
	assert_false(invite(&offline));
	assert_true(why.len > 0);
	assert_int_equal(seen.invited, 3);
}

static void bad_invitations(void **state)
{
	static const struct {
		const char *name, *address, *prefix, *reason;
		uint32_t roles, set;
		int64_t expires_s, valid_s;
		bool replaces, renew, plain;
	} cases[] = {
		{ "", NULL, NULL, "an empty value is not a name: letters, digits, '-', '_' and '.', 63 at most", 0, 0, 0, 0, 0, 0, 0 },
		{ "a b", NULL, NULL, "'a b' is not a name: letters, digits, '-', '_' and '.', 63 at most", 0, 0, 0, 0, 0, 0, 0 },
		{ "a\nb", NULL, NULL, "this value is not a name: letters, digits, '-', '_' and '.', 63 at most", 0, 0, 0, 0, 0, 0, 0 },
		{ "a", "10.7.0.x", NULL, "'10.7.0.x' is not an address", 0, 0, 0, 0, 0, 0, 0 },
		{ "a", "", NULL, "an empty value is not an address", 0, 0, 0, 0, 0, 0, 0 },
		{ "a", "10.7.0.1/24", NULL,
		  "'10.7.0.1/24' has a length, and a node's address has none: what is behind the node is a prefix", 0, 0, 0, 0, 0, 0, 0 },
		{ "a", NULL, "10.7.0.1/24", "'10.7.0.1/24' has bits set behind its length", 0, 0, 0, 0, 0, 0, 0 },
		{ "a", NULL, "10.7.0.0/33", "'10.7.0.0/33' is not a prefix, ADDRESS/LENGTH", 0, 0, 0, 0, 0, 0, 0 },
		{ "a", NULL, NULL, "there is a role that this meshd does not know", 8, 0, 0, 0, 0, 0, 0 },
		{ "a", NULL, NULL, "how long the node is good is out of bounds", 0, 0, -1, 0, 0, 0, 0 },
		{ "a", NULL, NULL, "how long the invitation is good is out of bounds", 0, 0, 0, INT64_MAX, 0, 0, 0 },
		{ "a", NULL, NULL, "what is to be renewed makes no sense", 0, 1, 0, 0, 0, 0, 0 },
		{ "a", NULL, NULL, "what is to be renewed makes no sense", 0, 32, 0, 0, 0, 1, 0 },
		{ "a", NULL, NULL, "a plain device, and only that, is invited by its public key", 0, 0, 0, 0, 0, 0, 1 },
		{ "a", NULL, NULL, "only one of a plain device, a request, and renewing can be; and only a node that joins replaces another",
		  0, 0, 0, 0, 1, 1, 0 },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		Meshd__InviteRequest i = MESHD__INVITE_REQUEST__INIT;
		char *address = (char *)(uintptr_t)cases[k].address, *prefix = (char *)(uintptr_t)cases[k].prefix;

		i.name = (char *)(uintptr_t)cases[k].name;
		i.addresses = &address;
		i.n_addresses = address != NULL;
		i.prefixes = &prefix;
		i.n_prefixes = prefix != NULL;
		i.roles = cases[k].roles;
		i.set = cases[k].set;
		i.expires_s = cases[k].expires_s;
		i.valid_s = cases[k].valid_s;
		i.replaces = cases[k].replaces;
		i.renew = cases[k].renew;
		i.plain = cases[k].plain;
		print_message("case %zu\n", k + 1);
		assert_false(invite(&i));
		assert_string_equal(why.s, cases[k].reason);
	}
	assert_int_equal(seen.invited, 0);
}

static void too_many_addresses(void **state)
{
	char *addresses[ITEM_PREFIXES_MAX + 1];
	Meshd__InviteRequest i = MESHD__INVITE_REQUEST__INIT;

	(void)state;
	for (size_t k = 0; k <= ITEM_PREFIXES_MAX; k++)
		addresses[k] = "10.0.0.1";
	i.name = "a";
	i.addresses = addresses;
	i.n_addresses = ITEM_PREFIXES_MAX;
	assert_true(invite(&i));
	i.n_addresses++;
	assert_false(invite(&i));
	assert_string_equal(why.s, "more than 32 addresses or prefixes of a kind");
}

static void exports(void **state)
{
	char base64[KEY_BASE64_MAX];
	char *nodes[] = { "south", base64, "nobody" };
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__ExportRequest e = MESHD__EXPORT_REQUEST__INIT;
	uint8_t north[KEY_LEN], south[KEY_LEN];

	(void)state;
	node_key('n', NULL, north);
	node_key('s', NULL, south);
	key_to_base64(base64, north);
	q.kind_case = MESHD__REQUEST__KIND_EXPORT;
	q.export = &e;
	assert_true(ask(&q));
	assert_text("file");
	assert_int_equal(seen.only_count, 0);
	e.nodes = nodes;
	e.n_nodes = 2;
	e.binary = true;
	assert_true(ask(&q));
	assert_true(seen.binary);
	assert_int_equal(seen.only_count, 2);
	assert_memory_equal(seen.only[0], south, KEY_LEN);
	assert_memory_equal(seen.only[1], north, KEY_LEN);
	e.n_nodes = 3;
	assert_false(ask(&q));
	assert_string_equal(why.s, "'nobody' is no node of this mesh");
	assert_int_equal(seen.exported, 2);
}

static void imports(void **state)
{
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__ImportRequest i = MESHD__IMPORT_REQUEST__INIT;
	struct store *s = make_store('M');
	struct text file = { 0 };

	(void)state;
	add_node(s, 'M', 'e', "east", "10.7.0.3");
	make_file(s, &file);
	store_free(s);
	q.kind_case = MESHD__REQUEST__KIND_IMPORT;
	q.import = &i;
	i.file = (ProtobufCBinaryData){ file.len, (uint8_t *)file.s };
	assert_true(ask(&q));
	assert_int_equal(answer->import->added + answer->import->known + answer->import->old, 3);
	assert_true(answer->import->added >= 1);
	assert_int_equal(store_node_count(mesh.store), 3);
	i.file.len /= 2;
	assert_false(ask(&q));
	assert_true(why.len > 0);
	i.file = (ProtobufCBinaryData){ 0, NULL };
	assert_false(ask(&q));
	assert_true(why.len > 0);
	text_done(&file);
}

static void revokes(void **state)
{
	char longer[ITEM_REASON_MAX + 2];
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__RevokeRequest r = MESHD__REVOKE_REQUEST__INIT;

	(void)state;
	q.kind_case = MESHD__REQUEST__KIND_REVOKE;
	q.revoke = &r;
	r.node = "south";
	r.reason = "lost on a train";
	assert_true(ask(&q));
	assert_string_equal(seen.node, "south");
	assert_string_equal(seen.reason, "lost on a train");
	r.reason = "a\tb";
	assert_false(ask(&q));
	assert_string_equal(why.s, "this value is a reason with control characters");
	memset(longer, 'x', sizeof(longer));
	longer[ITEM_REASON_MAX + 1] = '\0';
	r.reason = longer;
	assert_false(ask(&q));
	assert_string_equal(why.s, "the reason is longer than 128 bytes");
	assert_int_equal(seen.revoked, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(others_are_not_ours),
		CASE(the_mesh),
		CASE(an_invitation),
		CASE(other_invitations),
		CASE(bad_invitations),
		CASE(too_many_addresses),
		CASE(exports),
		CASE(imports),
		CASE(revokes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
