/* SPDX-License-Identifier: MIT */
/*
 * What commands about meshes share. Files are written so that a command that was killed can be run again: each whole or not at all, and the
 * config last, for where that is the node is complete.
 *
 * With the mesh's secret the command line does itself what the daemon must not be able to: it fetches the records, signs, and gives the result
 * back like any other file, which the daemon verifies as if it came from anywhere. Where none runs the file takes its place.
 */
#include "cli/mesh_files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "exchange/mint.h"
#include "node/config.h"
#include "sys/clock.h"
#include "sys/files.h"

static const char *const suffixes[MESH_FILES] = {
	[MESH_FILE_CONF] = ".conf",
	[MESH_FILE_RECORDS] = ".mesh",
	[MESH_FILE_SECRET] = ".mesh-key",
	[MESH_FILE_SECRET_NEW] = ".mesh-key.new",
	[MESH_FILE_JOIN] = ".join",
	[MESH_FILE_INIT] = ".init",
};

static const char *reason_of(const struct text *why)
{
	return why->s && why->len ? why->s : "out of memory";
}

int64_t mesh_now_s(void)
{
	return clock_now().wall_ns / NS_PER_S;
}

/*
 * Files.
 */

const char *mesh_file_path(char out[MESH_PATH_MAX], const char *name, enum mesh_file which)
{
	snprintf(out, MESH_PATH_MAX, "%s/%s%s", MESHD_CONFIG_DIR, name, suffixes[which]);
	return out;
}

bool mesh_file_exists(const char *name, enum mesh_file which)
{
	char path[MESH_PATH_MAX];

	/* What cannot be looked at is there. */
	return !access(mesh_file_path(path, name, which), F_OK) || errno != ENOENT;
}

bool mesh_files_check(void)
{
	if (!access(MESHD_CONFIG_DIR, R_OK | W_OK | X_OK) || errno == ENOENT)
		return true;
	cli_fail(MESHD_CONFIG_DIR ": %s%s", strerror(errno), errno == EACCES ? " (try: sudo meshd ...)" : "");
	return false;
}

bool mesh_file_write(const char *name, enum mesh_file which, const struct text *t)
{
	char path[MESH_PATH_MAX];
	int error = t->failed || !t->s ? -ENOMEM : dir_make(MESHD_CONFIG_DIR);

	if (!error)
		error = file_replace(mesh_file_path(path, name, which), t->s, t->len, 0600);
	if (error)
		cli_fail("%s: cannot be written: %s", mesh_file_path(path, name, which), strerror(-error));
	return !error;
}

bool mesh_file_rename(const char *name, enum mesh_file from, enum mesh_file to)
{
	char old[MESH_PATH_MAX], new[MESH_PATH_MAX];

	if (!rename(mesh_file_path(old, name, from), mesh_file_path(new, name, to)))
		return true;
	cli_fail("%s: cannot become %s: %s", old, new, strerror(errno));
	return false;
}

bool mesh_file_remove(const char *name, enum mesh_file which)
{
	char path[MESH_PATH_MAX];

	if (!unlink(mesh_file_path(path, name, which)) || errno == ENOENT)
		return true;
	cli_fail("%s: cannot be removed: %s", path, strerror(errno));
	return false;
}

bool mesh_file_write_seed(const char *name, enum mesh_file which, const uint8_t seed[SIGN_SEED_LEN])
{
	char base64[KEY_BASE64_MAX];
	struct text t = { 0 };
	bool ok;

	_Static_assert((int)SIGN_SEED_LEN == (int)KEY_LEN, "a seed is written as keys are");
	text_addf(&t, "%s\n", key_to_base64(base64, seed));
	ok = mesh_file_write(name, which, &t);
	crypto_wipe(base64, sizeof(base64));
	text_wipe(&t);
	return ok;
}

bool mesh_file_read_seed(const char *name, enum mesh_file which, uint8_t seed[SIGN_SEED_LEN])
{
	char path[MESH_PATH_MAX];
	struct text t = { 0 };
	int error = file_read(mesh_file_path(path, name, which), &t, MESH_SMALL_MAX);
	bool ok = false;

	while (t.len && isspace((unsigned char)t.s[t.len - 1]))
		t.s[--t.len] = '\0';
	if (error == -ENOENT)
		cli_fail("%s: is not there; this takes the mesh's own key, which \"meshd init\" wrote", path);
	else if (error)
		cli_fail("%s: %s", path, strerror(-error));
	else if (!t.s || !key_from_base64(seed, t.s))
		cli_fail("%s: is no key (44 characters of base64)", path);
	else
		ok = true;
	text_wipe(&t);
	return ok;
}

void mesh_conf_write(struct text *out, const char *name, const char *how, const uint8_t private_key[KEY_LEN], uint16_t port)
{
	char base64[KEY_BASE64_MAX];

	text_addf(out, "# Made by \"meshd %s\". Keep this file to yourself: it holds the private key.\n", how);
	text_addf(out, "[Interface]\nPrivateKey = %s\nListenPort = %u\n", key_to_base64(base64, private_key), port);
	text_addf(out, "\n# Peers, addresses and routes come from the records of the mesh.\n[Mesh]\nFile = %s%s\n", name,
		  suffixes[MESH_FILE_RECORDS]);
	crypto_wipe(base64, sizeof(base64));
}

bool mesh_input(const char *arg, struct text *out)
{
	bool standard = !strcmp(arg, "-");
	int error = file_read(standard ? "/dev/stdin" : arg, out, BOOTSTRAP_SIZE_MAX);

	if (error)
		cli_fail("%s: %s", standard ? "standard input" : arg, error == -EFBIG ? "too long" : strerror(-error));
	return !error;
}

/*
 * The daemon.
 */

bool mesh_import(const char *name, const struct text *file, struct bootstrap_news *news, struct text *why)
{
	Meshd__ImportRequest import = MESHD__IMPORT_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	import.file.data = (uint8_t *)file->s;
	import.file.len = file->len;
	q.kind_case = MESHD__REQUEST__KIND_IMPORT;
	q.import = &import;
	r = client_ask(name, &q, why);
	if (!r)
		return false;
	if (r->import) {
		*news = (struct bootstrap_news){
			.added = r->import->added, .known = r->import->known, .old = r->import->old, .refused = r->import->refused,
			.later = r->import->later,
		};
		snprintf(news->first_refused, sizeof(news->first_refused), "%s", r->import->first_refused);
	}
	meshd__response__free_unpacked(r, NULL);
	return true;
}

bool mesh_export(const char *name, struct text *file, struct text *why)
{
	Meshd__ExportRequest export = MESHD__EXPORT_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	q.kind_case = MESHD__REQUEST__KIND_EXPORT;
	q.export = &export;
	r = client_ask(name, &q, why);
	if (!r)
		return false;
	text_add_bytes(file, r->text.data, r->text.len);
	meshd__response__free_unpacked(r, NULL);
	return !file->failed;
}

/*
 * Records.
 */

static bool parse_records(struct mesh_records *r, const struct text *file, struct text *why)
{
	struct bootstrap_news news;
	struct bootstrap b = { 0 };

	if (!bootstrap_read(&b, file->s, file->len, why))
		return false;
	snprintf(r->mesh_name, sizeof(r->mesh_name), "%s", b.name);
	r->store = bootstrap_store(&b, mesh_now_s(), &news, why);
	bootstrap_done(&b);
	return r->store;
}

bool mesh_records_load(struct mesh_records *r, const char *name)
{
	struct text file = { 0 }, why = { 0 };
	char path[MESH_PATH_MAX];
	int error = 0;
	bool ok;

	*r = (struct mesh_records){ .name = name, .running = mesh_interface_runs(name) };
	if (r->running) {
		ok = mesh_export(name, &file, &why);
	} else {
		error = file_read(mesh_file_path(path, name, MESH_FILE_RECORDS), &file, BOOTSTRAP_SIZE_MAX);
		ok = !error;
	}
	if (error)
		cli_fail("%s: %s", path, strerror(-error));
	else if (!ok || !parse_records(r, &file, &why))
		cli_fail("%s", reason_of(&why));
	text_done(&file);
	text_done(&why);
	return r->store;
}

/* The file, as the daemon would: what it had of invitations is still in it, for the store was made of it. */
static bool save_file(struct mesh_records *r)
{
	struct bootstrap_options o = { .name = r->mesh_name, .invitations = true };
	struct text out = { 0 };
	bool ok = bootstrap_write(r->store, &o, mesh_now_s(), &out);

	ok = ok ? mesh_file_write(r->name, MESH_FILE_RECORDS, &out) : cli_fail("%s: out of memory", r->name) == CLI_DONE;
	text_done(&out);
	return ok;
}

bool mesh_records_save(struct mesh_records *r)
{
	struct bootstrap_options o = { .name = r->mesh_name };
	struct text out = { 0 }, why = { 0 };
	struct bootstrap_news news = { 0 };
	bool ok;

	if (!r->running)
		return save_file(r);
	ok = bootstrap_write(r->store, &o, mesh_now_s(), &out) && mesh_import(r->name, &out, &news, &why);
	if (ok && news.refused) {
		text_addf(&why, "%s: refused: %s", r->name, news.first_refused);
		ok = false;
	}
	if (!ok)
		cli_fail("%s", reason_of(&why));
	text_done(&out);
	text_done(&why);
	return ok;
}

void mesh_records_done(struct mesh_records *r)
{
	store_free(r->store);
	r->store = NULL;
}

bool mesh_records_find(const struct mesh_records *r, const char *word, struct store_node *n)
{
	uint8_t key[KEY_LEN];

	if (store_find_name(r->store, word, mesh_now_s(), n) ||
	    (key_from_base64(key, word) && store_find(r->store, key, mesh_now_s(), n) && n->record))
		return true;
	/* One that counts no more. */
	for (size_t i = 0; store_node_at(r->store, i, mesh_now_s(), n); i++)
		if (n->record && !strcmp(n->record->name, word))
			return true;
	cli_fail("%s: there is no node '%s' in the mesh %s", r->name, word, r->mesh_name);
	return false;
}

/*
 * Arguments.
 */

bool mesh_interface_runs(const char *word)
{
	struct client_names names = { 0 };
	struct text why = { 0 };
	bool found = false;

	if (config_interface_name(word) && client_names(&names, &why))
		for (size_t i = 0; i < names.count && !found; i++)
			found = !strcmp(names.v[i], word);
	client_names_done(&names);
	text_done(&why);
	return found;
}

static bool is_of_mesh(const char *name)
{
	Meshd__MeshRequest mesh = MESHD__MESH_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	struct text why = { 0 };
	Meshd__Response *r;

	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &mesh;
	r = client_ask(name, &q, &why);
	if (r)
		meshd__response__free_unpacked(r, NULL);
	text_done(&why);
	return r;
}

static bool choose_interface(const struct client_names *names, char out[16])
{
	const char *chosen = names->count == 1 ? names->v[0] : NULL;
	size_t fit = 0;

	if (!names->count) {
		cli_fail("no interface is running (start one with: meshd up NAME)");
		return false;
	}
	for (size_t i = 0; names->count > 1 && i < names->count; i++) {
		if (!is_of_mesh(names->v[i]))
			continue;
		chosen = names->v[i];
		fit++;
	}
	if (fit > 1) {
		cli_fail("several interfaces run that are nodes of a mesh: say which");
		return false;
	}
	if (!chosen) {
		cli_fail("none of the interfaces that run is a node of a mesh");
		return false;
	}
	snprintf(out, 16, "%s", chosen);
	return true;
}

bool mesh_interface(const char *given, char out[16])
{
	struct client_names names = { 0 };
	struct text why = { 0 };
	bool ok;

	if (given) {
		ok = config_interface_name(given);
		if (ok)
			snprintf(out, 16, "%s", given);
		else
			cli_fail("'%s' cannot be an interface's name", given);
		return ok;
	}
	ok = client_names(&names, &why);
	if (!ok)
		cli_fail("%s", reason_of(&why));
	ok = ok && choose_interface(&names, out);
	client_names_done(&names);
	text_done(&why);
	return ok;
}

bool duration_parse(const char *text, int64_t *seconds)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 }, { 'y', 365 * 86400 } };
	int64_t n = 0;
	size_t i = 0;

	for (; isdigit((unsigned char)text[i]) && n <= INT32_MAX; i++)
		n = n * 10 + (text[i] - '0');
	for (size_t u = 0; i && n && u < sizeof(units) / sizeof(units[0]); u++)
		if (text[i] == units[u].letter && !text[i + 1] && n <= INT32_MAX / units[u].seconds) {
			*seconds = n * units[u].seconds;
			return true;
		}
	return false;
}
