/* SPDX-License-Identifier: MIT */
/*
 * meshd export, import and revoke: records out of a mesh, into it, and somebody out of it. The daemon does them; what takes the mesh's own secret - to take the right
 * to sign from a delegate - is done here (cli/mesh_files.h), for the daemon never has that.
 */
#include "cli/mesh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/mesh_files.h"
#include "cli/options.h"
#include "cli/qr.h"
#include "exchange/mint.h"
#include "sys/privs.h"

/* Why a call failed: as it was said, if it was. */
static int fail_with(struct text *why)
{
	int status = cli_fail("%s", why->s && why->len ? why->s : "out of memory");

	text_done(why);
	return status;
}

/*
 * Export.
 */

static bool export_nodes(const char *name, bool binary, char **nodes, size_t count, struct text *out, struct text *why)
{
	Meshd__ExportRequest export = MESHD__EXPORT_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	export.binary = binary;
	export.nodes = nodes;
	export.n_nodes = count;
	q.kind_case = MESHD__REQUEST__KIND_EXPORT;
	q.export = &export;
	r = client_ask(name, &q, why);
	if (!r)
		return false;
	text_add_bytes(out, r->text.data, r->text.len);
	meshd__response__free_unpacked(r, NULL);
	return !out->failed;
}

int cmd_export(int argc, char **argv)
{
	bool binary = false, qr = false, ok;
	const struct cli_option options[] = { { "binary", 0, &binary, NULL }, { "qr", 0, &qr, NULL }, { 0 } };
	int at = cli_options(options, argc, argv);
	struct text out = { 0 }, why = { 0 };
	const char *given = NULL;
	char name[16];

	if (at < 0)
		return cli_usage("export [NAME] [--binary] [--qr] [NODE...]");
	/* The first word is an interface if one of that name runs; else it is a node. */
	if (argv[at] && mesh_interface_runs(argv[at]))
		given = argv[at++];
	if (!mesh_interface(given, name))
		return CLI_FAILED;
	if (!export_nodes(name, binary && !qr, argv + at, (size_t)(argc - at), &out, &why)) {
		text_done(&out);
		return fail_with(&why);
	}
	if (!qr)
		return ask_print(&out) ? CLI_DONE : CLI_FAILED;
	ok = qr_print(out.s, out.len);
	text_done(&out);
	return ok ? CLI_DONE : CLI_FAILED;
}

/*
 * Import.
 */

static void say_news(const char *name, const struct bootstrap_news *news)
{
	printf("%s: %zu new, %zu known, %zu old", name, news->added, news->known, news->old);
	if (news->refused)
		printf(", %zu refused (%s)", news->refused, news->first_refused);
	if (news->later)
		printf(", %zu of a later meshd left out", news->later);
	printf("\n");
}

/* Where no daemon runs: into the file that it will read. */
static int import_file(const char *name, const struct text *file)
{
	struct bootstrap_news news = { 0 };
	struct mesh_records r = { 0 };
	struct bootstrap b = { 0 };
	struct text why = { 0 };
	bool ok;

	if (!mesh_records_load(&r, name))
		return CLI_FAILED;
	ok = bootstrap_read(&b, file->s, file->len, &why) && bootstrap_merge(r.store, &b, mesh_now_s(), &news, &why);
	if (!ok)
		fail_with(&why);
	ok = ok && (!news.added || mesh_records_save(&r));
	if (ok)
		say_news(name, &news);
	bootstrap_done(&b);
	mesh_records_done(&r);
	return ok ? CLI_DONE : CLI_FAILED;
}

int cmd_import(int argc, char **argv)
{
	struct text file = { 0 }, why = { 0 };
	struct bootstrap_news news = { 0 };
	char name[16];
	int status = CLI_DONE;

	if (argc < 2 || argc > 3 || (argv[1][0] == '-' && argv[1][1]))
		return cli_usage("import FILE|- [NAME]");
	if (!mesh_interface(argv[2], name) || !mesh_input(argv[1], &file))
		return CLI_FAILED;
	if (!mesh_interface_runs(name) && mesh_file_exists(name, MESH_FILE_RECORDS))
		status = import_file(name, &file);
	else if (mesh_import(name, &file, &news, &why))
		say_news(name, &news);
	else
		status = fail_with(&why);
	text_done(&file);
	return status;
}

/*
 * Revoke.
 */

/* Whether the node may sign: that outlives it, for whoever has its key. */
static bool is_delegate(const char *name, const char *node)
{
	Meshd__MeshRequest mesh = MESHD__MESH_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	struct text why = { 0 };
	bool found = false;
	Meshd__Response *r;
	uint8_t key[KEY_LEN];
	bool is_key = key_from_base64(key, node);

	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &mesh;
	r = client_ask(name, &q, &why);
	for (size_t i = 0; r && r->mesh && i < r->mesh->n_nodes && !found; i++) {
		const Meshd__MeshNode *n = r->mesh->nodes[i];

		found = n->signs && (is_key ? n->public_key.len == KEY_LEN && !memcmp(n->public_key.data, key, KEY_LEN) : !strcmp(n->name, node));
	}
	if (r)
		meshd__response__free_unpacked(r, NULL);
	text_done(&why);
	return found;
}

static int revoke_node(const char *name, const char *node, const char *reason)
{
	Meshd__RevokeRequest revoke = MESHD__REVOKE_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	struct text why = { 0 };
	bool signs = is_delegate(name, node);
	Meshd__Response *r;

	revoke.node = (char *)(uintptr_t)node;
	revoke.reason = (char *)(uintptr_t)(reason ? reason : "");
	q.kind_case = MESHD__REQUEST__KIND_REVOKE;
	q.revoke = &revoke;
	r = client_ask(name, &q, &why);
	if (!r)
		return fail_with(&why);
	meshd__response__free_unpacked(r, NULL);
	text_done(&why);
	printf("%s is out, for good.\n", node);
	if (signs)
		printf("It may sign for the mesh still, whoever has its key: where %s.mesh-key is, say meshd revoke %s --delegate %s\n", name, name, node);
	return CLI_DONE;
}

/* The names of those whose records stand by this key: for if it was stolen not all of them are what they should be. */
static void signed_by(const struct store *s, const uint8_t sign_key[SIGN_KEY_LEN], struct text *names)
{
	struct store_node n;

	for (size_t i = 0; store_node_at(s, i, mesh_now_s(), &n); i++)
		if (n.item && n.standing == NODE_GOOD && !memcmp(n.item->signer, sign_key, SIGN_KEY_LEN))
			text_addf(names, "%s%s", names->len ? ", " : "", n.record->name);
}

static bool release(struct mesh_records *r, const uint8_t seed[SIGN_SEED_LEN], const char *node, struct text *names)
{
	const char *why = "out of memory";
	struct store_node n;

	if (!mesh_records_find(r, node, &n))
		return false;
	if (!store_may_sign(r->store, n.record->sign_key, mesh_now_s())) {
		cli_fail("%s: '%s' is no delegate", r->name, node);
		return false;
	}
	if (!mint_release(r->store, seed, n.record->sign_key, mesh_now_s(), &why)) {
		cli_fail("%s: %s", r->name, why);
		return false;
	}
	signed_by(r->store, n.record->sign_key, names);
	return mesh_records_save(r);
}

static int revoke_delegate(const char *name, const char *node)
{
	uint8_t seed[SIGN_SEED_LEN];
	struct mesh_records r = { 0 };
	struct text names = { 0 };
	bool ok;

	privs_protect();
	ok = mesh_file_read_seed(name, MESH_FILE_SECRET, seed) && mesh_records_load(&r, name) && release(&r, seed, node, &names);
	crypto_wipe(seed, sizeof(seed));
	mesh_records_done(&r);
	if (ok)
		printf("%s signs no more, for good. What it has signed so far counts on: %s.\n", node, names.len ? names.s : "nothing");
	text_done(&names);
	return ok ? CLI_DONE : CLI_FAILED;
}

int cmd_revoke(int argc, char **argv)
{
	const char *reason = NULL, *node;
	bool delegate = false;
	const struct cli_option options[] = { { "reason", 0, NULL, &reason }, { "delegate", 0, &delegate, NULL }, { 0 } };
	int at = cli_options(options, argc, argv), words = argc - at;
	char name[16];

	if (at < 0 || words < 1 || words > 2 || (delegate && reason))
		return cli_usage("revoke [NAME] NODE [--reason REASON] | revoke [NAME] --delegate NODE");
	node = argv[argc - 1];
	if (!mesh_interface(words == 2 ? argv[at] : NULL, name))
		return CLI_FAILED;
	return delegate ? revoke_delegate(name, node) : revoke_node(name, node, reason);
}
