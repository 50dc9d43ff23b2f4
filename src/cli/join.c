/* SPDX-License-Identifier: MIT */
/*
 * meshd join: a machine becomes a node. Its private key is made here and stays here: in NAME.join until all is done, so that a run that was
 * killed is simply run again, with the same key, and the issuer answers the same. Then, in this order: NAME.mesh, NAME.conf, and NAME.join goes.
 *
 *	join TOKEN | FILE	the token says whom to ask (sys/joiner.h); a file may add all nodes of the mesh to that
 *	join --request NAME	nobody can be reached: a request to be carried to an inviter, who says "meshd invite --sign"
 *	join FILE		and what comes back has a record of the key in NAME.join: nothing is to be asked
 */
#include "cli/mesh.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/mesh_files.h"
#include "cli/options.h"
#include "exchange/token.h"
#include "node/config.h"
#include "sys/clock.h"
#include "sys/configfile.h"
#include "sys/files.h"
#include "sys/joiner.h"
#include "sys/logsink.h"
#include "sys/privs.h"

#define SYNOPSIS "join TOKEN|FILE|- [NAME] | join --request NAME [--file FILE]"
#define SCHEME "meshd1:"

enum {
	JOIN_TIMEOUT_S = 60,
	PENDING_LINES_MAX = 3,
};

/* What is in NAME.join: lines of "Key = value". */
struct pending {
	bool has_token;			/* for an invitation; else a request was made */
	uint8_t private_key[KEY_LEN], token[KEY_LEN], mesh[SIGN_KEY_LEN];
};

struct join {
	char name[16];
	const char *given;		/* the interface's name as said; NULL: after the mesh */
	bool has_token, has_file, verbose;
	struct token token;
	struct bootstrap file;
	struct pending pending;
	bool was_pending;
};

/*
 * NAME.join.
 */

static bool pending_write(const char *name, const struct pending *p)
{
	char base64[KEY_BASE64_MAX];
	struct text t = { 0 };
	bool ok;

	text_addf(&t, "PrivateKey = %s\n", key_to_base64(base64, p->private_key));
	if (p->has_token)
		text_addf(&t, "Token = %s\n", key_to_base64(base64, p->token));
	text_addf(&t, "Mesh = %s\n", key_to_base64(base64, p->mesh));
	ok = mesh_file_write(name, MESH_FILE_JOIN, &t);
	crypto_wipe(base64, sizeof(base64));
	text_wipe(&t);
	return ok;
}

static bool pending_line(struct pending *p, const char *line, bool *has_key)
{
	static const char *const names[] = { "PrivateKey = ", "Token = ", "Mesh = " };
	uint8_t *const to[] = { p->private_key, p->token, p->mesh };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(line, names[i], len) || !key_from_base64(to[i], line + len))
			continue;
		*has_key |= i == 0;
		p->has_token |= i == 1;
		return true;
	}
	return false;
}

/* False: it is there and cannot be read. 'there': it is. */
static bool pending_read(const char *name, struct pending *p, bool *there)
{
	char path[MESH_PATH_MAX], *line, *rest = NULL;
	struct text t = { 0 };
	bool has_key = false;
	int error;

	*p = (struct pending){ 0 };
	*there = mesh_file_exists(name, MESH_FILE_JOIN);
	if (!*there)
		return true;
	error = file_read(mesh_file_path(path, name, MESH_FILE_JOIN), &t, MESH_SMALL_MAX);
	if (error) {
		cli_fail("%s: %s", path, strerror(-error));
		return false;
	}
	for (line = strtok_r(t.s, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!pending_line(p, line, &has_key))
			break;
	text_wipe(&t);
	if (has_key && !line)
		return true;
	cli_fail("%s: is damaged; remove it to begin anew", path);
	return false;
}

/*
 * What we were given.
 */

static bool take_token(struct join *j, const char *s, size_t len)
{
	struct text why = { 0 };

	j->has_token = token_read(&j->token, s, len, &why);
	if (!j->has_token)
		cli_fail("%s", why.s ? why.s : "out of memory");
	text_done(&why);
	return j->has_token;
}

static bool take_file(struct join *j, const char *arg, const struct text *t)
{
	struct text why = { 0 };
	bool ok = bootstrap_read(&j->file, t->s, t->len, &why);

	j->has_file = ok;
	if (ok && j->file.token) {
		ok = token_decode(&j->token, j->file.token, j->file.token_len, &why);
		j->has_token = ok;
		if (ok && memcmp(j->token.mesh, j->file.mesh, SIGN_KEY_LEN)) {
			text_add(&why, "the token in it is of another mesh");
			ok = false;
		}
	}
	if (!ok)
		cli_fail("%s: %s", arg, why.s ? why.s : "out of memory");
	text_done(&why);
	return ok;
}

static bool take_argument(struct join *j, const char *arg)
{
	struct text t = { 0 };
	const char *s;
	bool ok;

	if (!strncmp(arg, SCHEME, strlen(SCHEME)))
		return take_token(j, arg, strlen(arg));
	if (!mesh_input(arg, &t))
		return false;
	for (s = t.s; isspace((unsigned char)*s); s++)
		;
	if (!strncmp(s, SCHEME, strlen(SCHEME)))
		ok = take_token(j, t.s, t.len);
	else
		ok = take_file(j, arg, &t);
	text_wipe(&t);
	return ok;
}

/* The interface: as said, or called after the mesh. */
static bool choose_name(struct join *j)
{
	const char *mesh = j->has_token ? j->token.mesh_name : j->file.name;
	const char *name = j->given ? j->given : mesh;

	if (config_interface_name(name)) {
		memcpy(j->name, name, strlen(name) + 1);
		return true;
	}
	cli_fail("'%s' cannot be an interface's name%s", name, j->given ? "" : ": say another, meshd join ... NAME");
	return false;
}

/*
 * The end.
 */

/* "your clock", for records that are early or late are so by it. */
static bool check_standing(const struct join *j, const struct store_node *n)
{
	if (n->standing == NODE_GOOD)
		return true;
	if (n->standing == NODE_EARLY || n->standing == NODE_EXPIRED)
		cli_fail("%s: the record of this node is not good now: it %s. Is this machine's clock right?", j->name,
			 n->standing == NODE_EARLY ? "begins later" : "has expired");
	else
		cli_fail("%s: this node is %s in the mesh %s", j->name, node_standing_name(n->standing), j->file.name);
	return false;
}

static bool write_records(const struct join *j, struct store *s, const char *mesh_name)
{
	struct bootstrap_options o = { .name = mesh_name, .invitations = true };
	struct text out = { 0 };
	bool ok = bootstrap_write(s, &o, mesh_now_s(), &out) || cli_fail("out of memory") == CLI_DONE;

	ok = ok && mesh_file_write(j->name, MESH_FILE_RECORDS, &out);
	text_done(&out);
	return ok;
}

static bool write_conf(const struct join *j)
{
	struct text t = { 0 };
	bool ok;

	mesh_conf_write(&t, j->name, "join", j->pending.private_key, configfile_free_port());
	ok = mesh_file_write(j->name, MESH_FILE_CONF, &t);
	text_wipe(&t);
	return ok;
}

/* 's' has a record of our key. */
static int complete(const struct join *j, struct store *s, const char *mesh_name)
{
	uint8_t public_key[KEY_LEN];
	struct store_node n;

	key_public(public_key, j->pending.private_key);
	store_find(s, public_key, mesh_now_s(), &n);
	if (!check_standing(j, &n) || !write_records(j, s, mesh_name) || !write_conf(j) || !mesh_file_remove(j->name, MESH_FILE_JOIN))
		return CLI_FAILED;
	printf("This is %s of the mesh %s now. Next: meshd up %s\n", n.record->name, mesh_name, j->name);
	return CLI_DONE;
}

static struct store *store_of(const struct join *j, const struct bootstrap *b)
{
	struct bootstrap_news news;
	struct text why = { 0 };
	struct store *s = bootstrap_store(b, mesh_now_s(), &news, &why);

	if (!s)
		cli_fail("%s: %s", j->name, why.s ? why.s : "out of memory");
	text_done(&why);
	return s;
}

/* Whether the file has all that is needed: a record of our key. */
static bool has_record(const struct join *j, const struct store *s)
{
	uint8_t public_key[KEY_LEN];
	struct store_node n;

	key_public(public_key, j->pending.private_key);
	return store_find(s, public_key, mesh_now_s(), &n) && n.record;
}

/* What the issuer sent, and what there was before. */
static int take_answer(const struct join *j, const struct text *answer)
{
	struct bootstrap_news news;
	struct bootstrap b = { 0 };
	struct text why = { 0 };
	struct store *s = NULL;
	int status = CLI_FAILED;

	if (!bootstrap_read(&b, answer->s, answer->len, &why))
		cli_fail("%s: what the issuer sent: %s", j->name, why.s ? why.s : "out of memory");
	else if (memcmp(b.mesh, j->token.mesh, SIGN_KEY_LEN))
		cli_fail("%s: what the issuer sent is of another mesh than the token", j->name);
	else
		s = store_of(j, &b);
	/* The file may have more nodes than there was room for; if something in it is wrong, it can do without. */
	if (s && j->has_file)
		bootstrap_merge(s, &j->file, mesh_now_s(), &news, &why);
	if (s && !has_record(j, s))
		cli_fail("%s: what the issuer sent has no record of this node", j->name);
	else if (s)
		status = complete(j, s, b.name);
	store_free(s);
	bootstrap_done(&b);
	text_done(&why);
	return status;
}

/*
 * Asking.
 */

static void say_progress(void *ctx, enum joining_state state)
{
	const struct join *j = ctx;

	if (state == JOINING_ASKING)
		fprintf(stderr, "%s: a node of %s answers; asking for a record\n", j->name, j->token.mesh_name);
	else if (state == JOINING_ANSWERED)
		fprintf(stderr, "%s: the inviter answers\n", j->name);
}

/* The nodes of a file that say where they are. */
static size_t more_contacts(const struct store *s, struct token_contact v[JOINING_CONTACTS_MAX])
{
	struct store_node n;
	size_t count = 0;

	for (size_t i = 0; s && count < JOINING_CONTACTS_MAX && store_node_at(s, i, mesh_now_s(), &n); i++) {
		if (n.standing != NODE_GOOD || !n.self || !n.self->endpoint_count)
			continue;
		memset(&v[count], 0, sizeof(v[count]));
		memcpy(v[count].public_key, n.record->public_key, KEY_LEN);
		for (size_t k = 0; k < n.self->endpoint_count && v[count].endpoint_count < TOKEN_CONTACT_ENDPOINTS_MAX; k++)
			v[count].endpoints[v[count].endpoint_count++] = n.self->endpoints[k];
		count++;
	}
	return count;
}

/* The key, and that it is for this token: as it was, if we have begun with the same before. */
static bool make_pending(struct join *j)
{
	uint8_t token[KEY_LEN];
	struct rng rng = system_rng();

	key_public(token, j->token.one_time_key);
	if (j->was_pending && j->pending.has_token && !memcmp(j->pending.token, token, KEY_LEN))
		return true;
	key_generate(&rng, j->pending.private_key);
	memcpy(j->pending.token, token, KEY_LEN);
	memcpy(j->pending.mesh, j->token.mesh, SIGN_KEY_LEN);
	j->pending.has_token = true;
	return pending_write(j->name, &j->pending);
}

static bool check_validity(const struct join *j)
{
	time_t end = (time_t)j->token.not_after_s;
	struct tm tm;
	char when[64];

	if (j->token.not_after_s >= mesh_now_s())
		return true;
	if (!localtime_r(&end, &tm) || !strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm))
		snprintf(when, sizeof(when), "long ago");
	cli_fail("%s: the invitation has expired (%s): ask for another", j->name, when);
	return false;
}

static int ask_issuer(struct join *j, const struct store *known)
{
	struct token_contact more[JOINING_CONTACTS_MAX];
	struct log log = j->verbose ? logsink_stderr(true) : (struct log){ 0 };
	struct joiner_options o = {
		.token = &j->token, .private_key = j->pending.private_key, .more = more, .more_count = more_contacts(known, more),
		.timeout_s = JOIN_TIMEOUT_S, .log = &log, .progress = j->verbose || isatty(STDERR_FILENO) ? say_progress : NULL, .ctx = j,
	};
	struct text answer = { 0 }, why = { 0 };
	int status;

	if (joiner_run(&o, &answer, &why))
		status = take_answer(j, &answer);
	else
		status = cli_fail("%s: %s", j->name, why.s ? why.s : "out of memory");
	text_done(&answer);
	text_done(&why);
	return status;
}

/* Records that are not of this join are somebody's. */
static bool check_files(const struct join *j)
{
	char path[MESH_PATH_MAX];

	if (mesh_file_exists(j->name, MESH_FILE_CONF)) {
		cli_fail("%s: is there already: to join with another interface, meshd join ... NAME", mesh_file_path(path, j->name, MESH_FILE_CONF));
		return false;
	}
	if (!j->was_pending && mesh_file_exists(j->name, MESH_FILE_RECORDS)) {
		cli_fail("%s: is there already, and nothing was changed", mesh_file_path(path, j->name, MESH_FILE_RECORDS));
		return false;
	}
	return true;
}

/* A run that was killed after its very last file: what is left to do is to take away the first. */
static bool is_done(const struct join *j)
{
	char path[MESH_PATH_MAX];
	struct text why = { 0 };
	struct config c;
	bool same = false;

	if (!j->was_pending || !mesh_file_exists(j->name, MESH_FILE_CONF))
		return false;
	if (configfile_load(mesh_file_path(path, j->name, MESH_FILE_CONF), &c, NULL, &why)) {
		same = crypto_equal(c.change.private_key, j->pending.private_key, KEY_LEN);
		config_done(&c);
	}
	text_done(&why);
	return same;
}

static int join(struct join *j)
{
	struct store *known = NULL;
	int status = CLI_FAILED;

	if (!choose_name(j) || !mesh_files_check() || !pending_read(j->name, &j->pending, &j->was_pending))
		return CLI_FAILED;
	if (is_done(j)) {
		if (!mesh_file_remove(j->name, MESH_FILE_JOIN))
			return CLI_FAILED;
		printf("This is a node of the mesh already. Next: meshd up %s\n", j->name);
		return CLI_DONE;
	}
	if (!check_files(j))
		return CLI_FAILED;
	if (j->has_file)
		known = store_of(j, &j->file);
	if (j->has_file && !known)
		return CLI_FAILED;
	if (j->was_pending && known && has_record(j, known))
		status = complete(j, known, j->file.name);
	else if (!j->has_token)
		cli_fail("%s: the file has no invitation, and no record of %s", j->name,
			 j->was_pending ? "the key that was asked for" : "this machine: ask for one with meshd join --request");
	else if (check_validity(j) && make_pending(j))
		status = ask_issuer(j, known);
	store_free(known);
	return status;
}

/*
 * Offline.
 */

static bool write_request(const struct pending *p, const char *wish, struct text *out)
{
	struct item content = { .kind = ITEM_JOIN_REQUEST };
	uint8_t seed[SIGN_SEED_LEN];
	const char *why = "out of memory";
	struct text headers = { 0 };
	char base64[KEY_BASE64_MAX];
	struct item *item;

	key_public(content.join_request.public_key, p->private_key);
	if (item_name_is_good(wish))
		snprintf(content.join_request.name, sizeof(content.join_request.name), "%s", wish);
	sign_seed_of_node(seed, p->private_key);
	sign_public(content.join_request.sign_key, seed);
	item = item_sign(p->mesh, &content, seed, &why);
	crypto_wipe(seed, sizeof(seed));
	if (!item) {
		cli_fail("%s", why);
		return false;
	}
	text_addf(&headers, "Node: %s\nKey: %s\n", *content.join_request.name ? content.join_request.name : "-",
		  key_to_base64(base64, content.join_request.public_key));
	armour_write(ARMOUR_JOIN_REQUEST, headers.s, item->bytes, item->len, out);
	text_done(&headers);
	item_free(item);
	return !out->failed;
}

/* Which mesh: by its file. Without one the request is for any. */
static bool find_mesh(const char *file, uint8_t mesh[SIGN_KEY_LEN])
{
	struct bootstrap b = { 0 };
	struct text t = { 0 }, why = { 0 };
	bool ok = true;

	memset(mesh, 0, SIGN_KEY_LEN);
	if (!file)
		return true;
	ok = mesh_input(file, &t);
	if (ok && !bootstrap_read(&b, t.s, t.len, &why))
		ok = cli_fail("%s: %s", file, why.s ? why.s : "out of memory") == CLI_DONE;
	if (ok)
		memcpy(mesh, b.mesh, SIGN_KEY_LEN);
	bootstrap_done(&b);
	text_wipe(&t);
	text_done(&why);
	return ok;
}

/* A host's name up to the first dot, for the wish. */
static void host_name(char out[ITEM_NAME_MAX + 2])
{
	out[0] = '\0';
	gethostname(out, ITEM_NAME_MAX + 1);
	out[ITEM_NAME_MAX + 1] = '\0';
	out[strcspn(out, ".")] = '\0';
}

static int request(struct join *j, const char *file)
{
	char wish[ITEM_NAME_MAX + 2];
	struct rng rng = system_rng();
	uint8_t mesh[SIGN_KEY_LEN];
	struct text out = { 0 };
	bool ok;

	if (!choose_name(j) || !mesh_files_check() || !find_mesh(file, mesh) || !pending_read(j->name, &j->pending, &j->was_pending) ||
	    !check_files(j))
		return CLI_FAILED;
	if (!j->was_pending || j->pending.has_token)
		key_generate(&rng, j->pending.private_key);
	j->pending.has_token = false;
	memcpy(j->pending.mesh, mesh, SIGN_KEY_LEN);
	host_name(wish);
	ok = pending_write(j->name, &j->pending) && write_request(&j->pending, wish, &out) && ask_print(&out);
	text_done(&out);
	if (ok)
		fprintf(stderr, "Bring this to an inviter, who says: meshd invite --sign FILE NODE. Then here: meshd join ANSWER %s\n", j->name);
	return ok ? CLI_DONE : CLI_FAILED;
}

static int run(struct join *j, const char *arg, bool wants_request, const char *file)
{
	if (!wants_request)
		return take_argument(j, arg) ? join(j) : CLI_FAILED;
	j->given = arg;
	return request(j, file);
}

int cmd_join(int argc, char **argv)
{
	struct join *j = calloc(1, sizeof(*j));
	const char *file = NULL;
	bool wants_request = false, verbose = false;
	const struct cli_option options[] = {
		{ "request", 0, &wants_request, NULL }, { "file", 0, NULL, &file }, { "verbose", 'v', &verbose, NULL }, { 0 },
	};
	int at = cli_options(options, argc, argv), words = argc - at, status;

	if (!j)
		return cli_fail("out of memory");
	privs_protect();
	if (at > 0 && words >= 1 && *argv[at] && words <= (wants_request ? 1 : 2) && (wants_request || !file)) {
		j->verbose = verbose;
		j->given = words == 2 ? argv[at + 1] : NULL;
		status = run(j, argv[at], wants_request, file);
	} else {
		status = cli_usage(SYNOPSIS);
	}
	bootstrap_done(&j->file);
	crypto_wipe(j, sizeof(*j));
	free(j);
	return status;
}
