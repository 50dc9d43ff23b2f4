/* SPDX-License-Identifier: MIT */
/*
 * meshd invite, in all its ways. The daemon promises and signs; this asks it, and brings the answer to whom it is for:
 *
 *	invite NODE		a token: one line on standard output, and only that, so that it can be piped; --file: the same with the mesh's records
 *	invite --replace NODE	the same, for the machine that takes a lost one's place
 *	invite --sign REQUEST	the answer to "meshd join --request", a file
 *	invite --plain NODE	a wg-quick file for a device with plain WireGuard behind this node. Its key is made here, shown once and kept nowhere
 *	invite --renew NODE	nothing: a newer record of a node that is there
 *	invite --delegate NODE	nothing: that node may invite and revoke from now on. Takes the mesh's own key
 */
#include "cli/mesh.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/mesh_files.h"
#include "cli/qr.h"
#include "cli/term.h"
#include "exchange/mint.h"
#include "exchange/token.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/privs.h"

#define SYNOPSIS "invite [NAME] NODE [--addr A] [--prefix P] [--external P] [--role ROLES] [--expires TIME] [--valid TIME] [--file F] [--qr] " \
	"[--replace | --sign REQUEST | --plain [--allowed P] [--endpoint E] | --renew | --delegate]"

enum { LIST_MAX = ITEM_PREFIXES_MAX };

enum invite_set {
	SET_ADDRESSES = 1,	/* as in InviteRequest.set */
	SET_PREFIXES = 2,
	SET_EXTERNAL = 4,
	SET_ROLES = 8,
	SET_EXPIRY = 16,
};

struct words {
	char *v[LIST_MAX];
	size_t count;
};

struct invite {
	char interface[16];
	const char *node;		/* NULL: as the request wishes */
	struct words addresses, prefixes, external, allowed;
	unsigned int roles, set;
	int64_t expires_s, valid_s;
	const char *file, *request, *endpoint;
	bool qr, replace, plain, renew, delegate;
};

/*
 * Arguments.
 */

static bool add_word(struct words *w, const char *option, char *text)
{
	if (w->count == LIST_MAX) {
		cli_fail("%s: more than %d of them", option, LIST_MAX);
		return false;
	}
	w->v[w->count++] = text;
	return true;
}

static bool parse_time(const char *option, const char *text, int64_t *out)
{
	if (duration_parse(text, out))
		return true;
	cli_fail("%s: '%s' is not a time (90d, 12h)", option, text);
	return false;
}

static bool parse_roles(const char *text, unsigned int *roles)
{
	if (roles_parse(text, roles))
		return true;
	cli_fail("--role: '%s' is not \"none\" or some of transit, exit, gateway (by commas)", text);
	return false;
}

/* Options that have no value. */
static bool parse_flag(struct invite *v, int c)
{
	bool *flag = c == 'q' ? &v->qr : c == 'R' ? &v->replace : c == 'P' ? &v->plain : c == 'n' ? &v->renew : c == 'D' ? &v->delegate : NULL;

	if (!flag) {
		cli_usage(SYNOPSIS);
		return false;
	}
	*flag = true;
	return true;
}

static bool parse_option(struct invite *v, int c, char *text)
{
	switch (c) {
	case 'a':
		v->set |= SET_ADDRESSES;
		return add_word(&v->addresses, "--addr", text);
	case 'p':
		v->set |= SET_PREFIXES;
		return add_word(&v->prefixes, "--prefix", text);
	case 'x':
		v->set |= SET_EXTERNAL;
		return add_word(&v->external, "--external", text);
	case 'w':
		return add_word(&v->allowed, "--allowed", text);
	case 'r':
		v->set |= SET_ROLES;
		return parse_roles(text, &v->roles);
	case 'e':
		v->set |= SET_EXPIRY;
		return parse_time("--expires", text, &v->expires_s);
	case 'v':
		return parse_time("--valid", text, &v->valid_s);
	case 'f':
		v->file = text;
		return true;
	case 's':
		v->request = text;
		return true;
	case 'E':
		v->endpoint = text;
		return true;
	default:
		return parse_flag(v, c);
	}
}

static const struct option options[] = {
	{ "addr", required_argument, NULL, 'a' },
	{ "prefix", required_argument, NULL, 'p' },
	{ "external", required_argument, NULL, 'x' },
	{ "role", required_argument, NULL, 'r' },
	{ "expires", required_argument, NULL, 'e' },
	{ "valid", required_argument, NULL, 'v' },
	{ "file", required_argument, NULL, 'f' },
	{ "sign", required_argument, NULL, 's' },
	{ "allowed", required_argument, NULL, 'w' },
	{ "endpoint", required_argument, NULL, 'E' },
	{ "qr", no_argument, NULL, 'q' },
	{ "replace", no_argument, NULL, 'R' },
	{ "plain", no_argument, NULL, 'P' },
	{ "renew", no_argument, NULL, 'n' },
	{ "delegate", no_argument, NULL, 'D' },
	{ 0 },
};

/* [NAME] NODE; with a request the node may go without saying. */
static int parse_words(struct invite *v, int count, char **words)
{
	const char *name = count == 2 ? words[0] : NULL;

	if (count > 2 || (!count && !v->request))
		return cli_usage(SYNOPSIS);
	v->node = count ? words[count - 1] : NULL;
	if (count == 1 && v->request && mesh_interface_runs(words[0])) {
		name = words[0];
		v->node = NULL;
	}
	return mesh_interface(name, v->interface) ? CLI_DONE : CLI_FAILED;
}

/* What does not go together. */
static int check_kind(const struct invite *v)
{
	if (v->plain + v->renew + v->delegate + (v->request != NULL) > 1 || (v->replace && (v->plain || v->renew || v->delegate)))
		return cli_usage(SYNOPSIS);
	if (v->valid_s && (v->plain || v->renew || v->delegate || v->request))
		return cli_fail("--valid: only a token has that") + 1;
	if (!v->plain && (v->allowed.count || v->endpoint))
		return cli_fail("--allowed and --endpoint are for a plain device") + 1;
	if ((v->renew || v->delegate) && (v->file || v->qr))
		return cli_fail("--file and --qr: there is nothing to be given away") + 1;
	if (v->external.count && !v->renew && !(v->roles & ROLE_GATEWAY))
		return cli_fail("--external: only a gateway has that: --role transit,gateway") + 1;
	if (v->delegate && v->set & ~(unsigned int)SET_EXPIRY)
		return cli_fail("--delegate: of the node's record nothing is changed") + 1;
	return CLI_DONE;
}

/*
 * Output.
 */

static bool write_file(const char *path, const struct text *t, unsigned int mode)
{
	int error = file_replace(path, t->s, t->len, mode);

	if (error)
		cli_fail("%s: cannot be written: %s", path, strerror(-error));
	return !error;
}

/* What is for the other machine: into the file or to standard output; and as a picture. It may be a secret. */
static bool give(const struct invite *v, struct text *t)
{
	bool ok = true;

	if (v->file)
		ok = write_file(v->file, t, 0600);
	if (ok && v->qr)
		ok = qr_print(t->s, t->len);
	if (ok && !v->file && !v->qr && (fwrite(t->s, 1, t->len, stdout) != t->len || fflush(stdout)))
		ok = cli_fail("standard output: %s", strerror(errno)) == CLI_DONE;
	return ok;
}

/*
 * Asking.
 */

static void fill_request(const struct invite *v, Meshd__InviteRequest *q)
{
	q->name = (char *)(uintptr_t)(v->node ? v->node : "");
	q->addresses = (char **)(uintptr_t)v->addresses.v;
	q->n_addresses = v->addresses.count;
	q->prefixes = (char **)(uintptr_t)v->prefixes.v;
	q->n_prefixes = v->prefixes.count;
	q->external = (char **)(uintptr_t)v->external.v;
	q->n_external = v->external.count;
	q->roles = v->roles;
	q->expires_s = v->expires_s;
	q->valid_s = v->valid_s;
	q->replaces = v->replace;
	q->renew = v->renew;
	q->set = v->renew ? v->set : 0;
}

static bool ask(const struct invite *v, Meshd__InviteRequest *invite, struct text *out)
{
	Meshd__Request q = MESHD__REQUEST__INIT;
	struct text why = { 0 };
	Meshd__Response *r;

	q.kind_case = MESHD__REQUEST__KIND_INVITE;
	q.invite = invite;
	r = client_ask(v->interface, &q, &why);
	if (!r)
		cli_fail("%s", why.s ? why.s : "out of memory");
	text_done(&why);
	if (!r)
		return false;
	text_add_bytes(out, r->text.data, r->text.len);
	crypto_wipe(r->text.data, r->text.len);
	meshd__response__free_unpacked(r, NULL);
	return !out->failed;
}

/* The token with what the mesh's nodes are, so that the new one can also ask any of them. */
static bool add_records(const struct invite *v, const struct text *line, struct text *file)
{
	struct text bytes = { 0 }, why = { 0 };
	struct bootstrap_options o = { 0 };
	struct mesh_records r = { 0 };
	struct token t;
	bool ok = mesh_records_load(&r, v->interface);

	if (ok && !(token_read(&t, line->s, line->len, &why) && token_encode(&t, &bytes)))
		ok = cli_fail("%s", why.s ? why.s : "out of memory") == CLI_DONE;
	if (ok) {
		o = (struct bootstrap_options){ .name = r.mesh_name, .token = (uint8_t *)bytes.s, .token_len = bytes.len };
		ok = bootstrap_write(r.store, &o, mesh_now_s(), file) || cli_fail("out of memory") == CLI_DONE;
	}
	crypto_wipe(&t, sizeof(t));
	text_wipe(&bytes);
	text_done(&why);
	mesh_records_done(&r);
	return ok;
}

static int invite_node(const struct invite *v)
{
	Meshd__InviteRequest q = MESHD__INVITE_REQUEST__INIT;
	struct text line = { 0 }, file = { 0 };
	char lasts[TERM_TEXT_MAX];
	bool ok;

	fill_request(v, &q);
	ok = ask(v, &q, &line);
	while (ok && line.len && line.s[line.len - 1] == '\n')
		line.s[--line.len] = '\0';
	ok = ok && (!v->file || (add_records(v, &line, &file) && write_file(v->file, &file, 0600)));
	ok = ok && (!v->qr || qr_print(line.s, line.len));
	if (ok) {
		printf("%s\n", line.s);
		ok = !fflush(stdout);
		term_duration((uint64_t)(v->valid_s ? v->valid_s : MINT_INVITATION_S), lasts);
		fprintf(stderr, "This is for %s, once, within %s. There: meshd join %s\n", v->node, lasts, v->file ? v->file : "TOKEN");
	}
	text_wipe(&line);
	text_wipe(&file);
	return ok ? CLI_DONE : CLI_FAILED;
}

static int sign_request(const struct invite *v)
{
	Meshd__InviteRequest q = MESHD__INVITE_REQUEST__INIT;
	struct text request = { 0 }, out = { 0 };
	bool ok = mesh_input(v->request, &request);

	fill_request(v, &q);
	q.request.data = (uint8_t *)request.s;
	q.request.len = request.len;
	if (ok && !request.len)
		ok = cli_fail("%s: is empty", v->request) == CLI_DONE;
	ok = ok && ask(v, &q, &out) && give(v, &out);
	if (ok)
		fprintf(stderr, "This is for the machine that asked. There: meshd join FILE, and the name that it asked under\n");
	text_done(&request);
	text_done(&out);
	return ok ? CLI_DONE : CLI_FAILED;
}

static int renew(const struct invite *v)
{
	Meshd__InviteRequest q = MESHD__INVITE_REQUEST__INIT;
	struct text out = { 0 };
	bool ok;

	fill_request(v, &q);
	ok = ask(v, &q, &out);
	text_done(&out);
	if (ok)
		printf("%s has a new record.\n", v->node);
	return ok ? CLI_DONE : CLI_FAILED;
}

/*
 * Delegates.
 */

/* That is for good, and of the key: only a node with another one can be a delegate again. */
static bool is_released(const struct store *s, const uint8_t sign_key[SIGN_KEY_LEN])
{
	const struct item *const *v;
	size_t count = store_items(s, &v);

	for (size_t i = 0; i < count; i++)
		if (v[i]->kind == ITEM_RELEASE && !memcmp(v[i]->release.sign_key, sign_key, SIGN_KEY_LEN))
			return true;
	return false;
}

static bool delegate_to(struct mesh_records *r, const uint8_t seed[SIGN_SEED_LEN], const struct invite *v)
{
	const char *why = "out of memory";
	struct store_node n;

	if (!mesh_records_find(r, v->node, &n))
		return false;
	if (n.standing != NODE_GOOD || n.record->has_gateway) {
		cli_fail("%s: '%s' %s", v->interface, v->node,
			 n.standing == NODE_GOOD ? "is a plain device, which cannot sign" : node_standing_name(n.standing));
		return false;
	}
	if (is_released(r->store, n.record->sign_key)) {
		cli_fail("%s: '%s' was a delegate and must not be one again with this key (but may with another: invite --replace)", v->interface, v->node);
		return false;
	}
	if (!mint_delegation(r->store, seed, n.record, v->expires_s, mesh_now_s(), &why)) {
		cli_fail("%s: %s", v->interface, why);
		return false;
	}
	return mesh_records_save(r);
}

static int delegate(const struct invite *v)
{
	uint8_t seed[SIGN_SEED_LEN];
	struct mesh_records r = { 0 };
	bool ok;

	ok = mesh_file_read_seed(v->interface, MESH_FILE_SECRET, seed) && mesh_records_load(&r, v->interface) && delegate_to(&r, seed, v);
	crypto_wipe(seed, sizeof(seed));
	mesh_records_done(&r);
	if (ok)
		printf("%s may invite and revoke from now on.\n", v->node);
	return ok ? CLI_DONE : CLI_FAILED;
}

/*
 * Plain devices.
 */

static Meshd__Response *ask_mesh(const struct invite *v)
{
	Meshd__MeshRequest mesh = MESHD__MESH_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	struct text why = { 0 };
	Meshd__Response *r;

	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &mesh;
	r = client_ask(v->interface, &q, &why);
	if (!r || !r->mesh)
		cli_fail("%s", why.s ? why.s : "meshd gave an answer this program does not understand");
	text_done(&why);
	if (r && !r->mesh) {
		meshd__response__free_unpacked(r, NULL);
		r = NULL;
	}
	return r;
}

/* What its Endpoint will be: as said, or an address that this node tells of itself, one that is not of a private network first. */
static bool find_endpoint(const struct invite *v, const Meshd__Mesh *m, char out[ENDPOINT_TEXT_MAX + 256])
{
	const char *best = v->endpoint;

	for (size_t i = 0; i < m->n_nodes && !v->endpoint; i++) {
		const Meshd__MeshNode *n = m->nodes[i];

		for (size_t k = 0; !strcmp(n->use, "self") && k < n->n_endpoints; k++) {
			const char *e = n->endpoints[k];
			bool local = !strncmp(e, "10.", 3) || !strncmp(e, "192.168.", 8) || !strncmp(e, "172.", 4) || !strncmp(e, "[f", 2);

			if (!best || !local) {
				best = e;
				if (!local)
					break;
			}
		}
	}
	if (!best) {
		cli_fail("%s: it is not known where this node can be reached: say --endpoint HOST:PORT", v->interface);
		return false;
	}
	snprintf(out, ENDPOINT_TEXT_MAX + 256, "%s", best);
	return true;
}

static bool check_allowed(const struct invite *v)
{
	struct ip_prefix p;

	for (size_t i = 0; i < v->allowed.count; i++)
		if (!ip_prefix_parse(v->allowed.v[i], &p)) {
			cli_fail("--allowed: '%s' is not a prefix", v->allowed.v[i]);
			return false;
		}
	return true;
}

/* The record is made, so the mesh knows its addresses now. */
static bool give_device(const struct invite *v, const uint8_t private_key[KEY_LEN], const char *endpoint)
{
	char base64[KEY_BASE64_MAX];
	struct mesh_device d = {
		.name = v->node, .private_key = key_to_base64(base64, private_key), .endpoint = endpoint,
		.allowed = (const char *const *)v->allowed.v, .allowed_count = v->allowed.count,
	};
	Meshd__Response *r = ask_mesh(v);
	struct text out = { 0 };
	bool ok = r;

	if (r)
		mesh_device_conf(r->mesh, &d, &out);
	ok = ok && !out.failed && out.s && give(v, &out);
	if (ok)
		fprintf(stderr, "This holds the private key of %s and is kept nowhere: bring it there now.\n", v->node);
	text_wipe(&out);
	crypto_wipe(base64, sizeof(base64));
	if (r)
		meshd__response__free_unpacked(r, NULL);
	return ok;
}

static int invite_plain(const struct invite *v)
{
	Meshd__InviteRequest q = MESHD__INVITE_REQUEST__INIT;
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	char endpoint[ENDPOINT_TEXT_MAX + 256];
	struct rng rng = system_rng();
	struct text none = { 0 };
	Meshd__Response *r;
	bool ok;

	if (!check_allowed(v))
		return CLI_USAGE;
	r = ask_mesh(v);
	ok = r && find_endpoint(v, r->mesh, endpoint);
	if (r)
		meshd__response__free_unpacked(r, NULL);
	if (!ok)
		return CLI_FAILED;
	key_generate(&rng, private_key);
	key_public(public_key, private_key);
	fill_request(v, &q);
	q.plain = true;
	q.public_key.data = public_key;
	q.public_key.len = KEY_LEN;
	q.roles = v->set & SET_ROLES ? v->roles : 0;
	ok = ask(v, &q, &none) && give_device(v, private_key, endpoint);
	crypto_wipe(private_key, sizeof(private_key));
	text_done(&none);
	return ok ? CLI_DONE : CLI_FAILED;
}

int cmd_invite(int argc, char **argv)
{
	struct invite v = { .roles = ROLE_TRANSIT };
	int c, status;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_option(&v, c, optarg))
			return CLI_USAGE;
	status = check_kind(&v);
	if (status == CLI_DONE)
		status = parse_words(&v, argc - optind, argv + optind);
	if (status != CLI_DONE)
		return status;
	privs_protect();
	if (v.delegate)
		return delegate(&v);
	if (v.plain)
		return invite_plain(&v);
	if (v.request)
		return sign_request(&v);
	return v.renew ? renew(&v) : invite_node(&v);
}
