/* SPDX-License-Identifier: MIT */
/*
 * meshd init: a mesh and its first node. Written in this order, each whole or not at all:
 *
 *	NAME.mesh-key	the mesh's secret
 *	NAME.init	what will be the config, with the node's key
 *	NAME.mesh	the node's record, signed by the mesh, and a delegation: so that the daemon can invite without the secret
 *	NAME.conf	NAME.init by its real name
 *
 * Whoever was interrupted says the same again, and it goes on with what there is. What is complete is never overwritten.
 *
 * "--rotate" makes another secret: what the old one signed is signed again, both count for a while, and the new one takes the old one's place in the file
 * when the records are safe.
 */
#include "cli/mesh.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "cli/cli.h"
#include "cli/mesh_files.h"
#include "exchange/mint.h"
#include "node/config.h"
#include "sys/clock.h"
#include "sys/configfile.h"
#include "sys/privs.h"

#define SYNOPSIS "init NAME [--mesh-name NAME] [--node NAME] [--addr ADDRESS]... [--port PORT] | init NAME --rotate [--overlap TIME]"

enum { OVERLAP_S = 30 * 86400 };

struct init {
	const char *name, *mesh_name;
	struct mint_node node;
	unsigned int port;		/* 0: a free one */
	bool rotate;
	int64_t overlap_s;
};

/*
 * Arguments.
 */

static bool parse_address(struct mint_node *m, const char *text)
{
	struct ip_prefix *p = &m->addresses[m->address_count];

	/* One is the mesh's to give. */
	if (m->address_count == ITEM_PREFIXES_MAX - 1 || !ip_prefix_parse(text, p) || p->len != ip_family_bits(p->addr.family)) {
		cli_fail("--addr: '%s' is not an address of one node", text);
		return false;
	}
	m->address_count++;
	return true;
}

static bool parse_name(const char *option, const char *text, char out[ITEM_NAME_MAX + 1])
{
	if (!item_name_is_good(text)) {
		cli_fail("%s: '%s' is not a name: letters, digits, '-', '_' and '.', %d at most", option, text, ITEM_NAME_MAX);
		return false;
	}
	snprintf(out, ITEM_NAME_MAX + 1, "%s", text);
	return true;
}

static bool parse_port(const char *text, unsigned int *port)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !v || v > UINT16_MAX) {
		cli_fail("--port: '%s' is not a port", text);
		return false;
	}
	*port = (unsigned int)v;
	return true;
}

static bool parse_option(struct init *i, int c, const char *text)
{
	switch (c) {
	case 'm':
		i->mesh_name = text;
		return true;
	case 'n':
		return parse_name("--node", text, i->node.name);
	case 'a':
		return parse_address(&i->node, text);
	case 'p':
		return parse_port(text, &i->port);
	case 'r':
		i->rotate = true;
		return true;
	case 'o':
		if (duration_parse(text, &i->overlap_s))
			return true;
		cli_fail("--overlap: '%s' is not a time (90d, 12h)", text);
		return false;
	default:
		cli_usage(SYNOPSIS);
		return false;
	}
}

static bool parse_arguments(struct init *i, int argc, char **argv)
{
	static const struct option options[] = {
		{ "mesh-name", required_argument, NULL, 'm' },
		{ "node", required_argument, NULL, 'n' },
		{ "addr", required_argument, NULL, 'a' },
		{ "port", required_argument, NULL, 'p' },
		{ "rotate", no_argument, NULL, 'r' },
		{ "overlap", required_argument, NULL, 'o' },
		{ 0 },
	};
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_option(i, c, optarg))
			return false;
	if (optind != argc - 1) {
		cli_usage(SYNOPSIS);
		return false;
	}
	i->name = argv[optind];
	if (!config_interface_name(i->name)) {
		cli_fail("'%s' cannot be an interface's name", i->name);
		return false;
	}
	return true;
}

/* The node is called as the host is, the mesh as the interface. */
static bool complete(struct init *i)
{
	char host[ITEM_NAME_MAX + 2] = "", name[ITEM_NAME_MAX + 1];

	if (!i->mesh_name)
		i->mesh_name = i->name;
	if (!parse_name("--mesh-name", i->mesh_name, name))
		return false;
	if (i->node.name[0])
		return true;
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	if (item_name_is_good(host))
		return parse_name("--node", host, i->node.name);
	cli_fail("this host's name, '%s', cannot be a node's: say --node NAME", host);
	return false;
}

/*
 * The parts.
 */

/* What is there already must be what we left ourselves. */
static bool check_files(const struct init *i)
{
	bool secret = mesh_file_exists(i->name, MESH_FILE_SECRET), begun = mesh_file_exists(i->name, MESH_FILE_INIT);
	char path[MESH_PATH_MAX];

	if (!mesh_files_check())
		return false;
	if (mesh_file_exists(i->name, MESH_FILE_CONF)) {
		cli_fail("%s: is there already, and nothing was changed", mesh_file_path(path, i->name, MESH_FILE_CONF));
		return false;
	}
	if (mesh_file_exists(i->name, MESH_FILE_RECORDS) && !(secret && begun)) {
		cli_fail("%s: is there already, of another mesh or of a node whose config is gone; nothing was changed",
			 mesh_file_path(path, i->name, MESH_FILE_RECORDS));
		return false;
	}
	if (mesh_file_exists(i->name, MESH_FILE_JOIN)) {
		cli_fail("%s: is there, so %s is joining a mesh; nothing was changed", mesh_file_path(path, i->name, MESH_FILE_JOIN), i->name);
		return false;
	}
	return true;
}

static bool make_secret(const struct init *i, enum mesh_file which, uint8_t seed[SIGN_SEED_LEN])
{
	struct rng rng = system_rng();

	if (mesh_file_exists(i->name, which))
		return mesh_file_read_seed(i->name, which, seed);
	rng_fill(&rng, seed, SIGN_SEED_LEN);
	return mesh_file_write_seed(i->name, which, seed);
}

static bool load_begun(const struct init *i, uint8_t private_key[KEY_LEN])
{
	char path[MESH_PATH_MAX];
	struct text why = { 0 };
	struct config c;
	bool ok = configfile_load(mesh_file_path(path, i->name, MESH_FILE_INIT), &c, NULL, &why);

	if (ok) {
		memcpy(private_key, c.change.private_key, KEY_LEN);
		config_done(&c);
	} else {
		cli_fail("%s", why.s ? why.s : "out of memory");
	}
	text_done(&why);
	return ok;
}

static bool make_config(const struct init *i, uint8_t private_key[KEY_LEN])
{
	struct rng rng = system_rng();
	struct text t = { 0 }, how = { 0 };
	bool ok;

	if (mesh_file_exists(i->name, MESH_FILE_INIT))
		return load_begun(i, private_key);
	key_generate(&rng, private_key);
	text_addf(&how, "init %s", i->name);
	mesh_conf_write(&t, i->name, how.s ? how.s : "init", private_key, (uint16_t)(i->port ? i->port : configfile_free_port()));
	ok = mesh_file_write(i->name, MESH_FILE_INIT, &t);
	text_wipe(&t);
	text_done(&how);
	return ok;
}

/* The record of the first node, and its right to sign others'. */
static bool make_store(const struct init *i, const uint8_t seed[SIGN_SEED_LEN], const uint8_t private_key[KEY_LEN], struct store *s)
{
	uint8_t public_key[KEY_LEN], node_seed[SIGN_SEED_LEN], sign_key[SIGN_KEY_LEN];
	const char *why = "out of memory";
	int64_t now_s = mesh_now_s();
	struct store_node n;
	bool ok;

	key_public(public_key, private_key);
	sign_seed_of_node(node_seed, private_key);
	sign_public(sign_key, node_seed);
	crypto_wipe(node_seed, sizeof(node_seed));
	ok = mint_record(s, seed, &i->node, public_key, sign_key, NULL, NULL, now_s, &why) && store_find(s, public_key, now_s, &n) &&
	     mint_delegation(s, seed, n.record, 0, now_s, &why);
	if (!ok)
		cli_fail("%s", why ? why : "out of memory");
	return ok;
}

static bool make_records(const struct init *i, const uint8_t seed[SIGN_SEED_LEN], const uint8_t private_key[KEY_LEN])
{
	struct bootstrap_options o = { .name = i->mesh_name };
	uint8_t mesh[SIGN_KEY_LEN];
	struct text out = { 0 };
	struct store *s;
	bool ok;

	sign_public(mesh, seed);
	s = store_new(mesh);
	ok = s && make_store(i, seed, private_key, s);
	if (ok && !bootstrap_write(s, &o, mesh_now_s(), &out))
		ok = cli_fail("out of memory") == CLI_DONE;
	ok = ok && mesh_file_write(i->name, MESH_FILE_RECORDS, &out);
	text_done(&out);
	store_free(s);
	return ok;
}

/* What the record would say is good: seen before anything is written, with keys of no consequence. */
static bool check_record(const struct init *i)
{
	uint8_t seed[SIGN_SEED_LEN], private_key[KEY_LEN], mesh[SIGN_KEY_LEN];
	struct rng rng = system_rng();
	struct store *s;
	bool ok;

	rng_fill(&rng, seed, SIGN_SEED_LEN);
	key_generate(&rng, private_key);
	sign_public(mesh, seed);
	s = store_new(mesh);
	ok = s && make_store(i, seed, private_key, s);
	store_free(s);
	return ok;
}

static void say_next(const struct init *i)
{
	printf("Made the mesh %s and its first node, %s: %s.conf, %s.mesh and %s.mesh-key in /etc/meshd.\n", i->mesh_name, i->node.name, i->name,
	       i->name, i->name);
	printf("Keep a copy of %s.mesh-key in a safe place: it is the mesh's own key, and no node needs it to run or to invite.\n", i->name);
	printf("Next: meshd up %s, and for each other machine: meshd invite %s NODE\n", i->name, i->name);
}

static int make(struct init *i)
{
	uint8_t seed[SIGN_SEED_LEN], private_key[KEY_LEN];
	bool ok;

	if (!complete(i) || !check_files(i) || !check_record(i))
		return CLI_FAILED;
	ok = make_secret(i, MESH_FILE_SECRET, seed) && make_config(i, private_key) && make_records(i, seed, private_key) &&
	     mesh_file_rename(i->name, MESH_FILE_INIT, MESH_FILE_CONF);
	crypto_wipe(seed, sizeof(seed));
	crypto_wipe(private_key, sizeof(private_key));
	if (!ok)
		return CLI_FAILED;
	say_next(i);
	return CLI_DONE;
}

/*
 * Rotation.
 */

/* A run that was killed may have got as far as the records; the old key is gone only when they are safe. */
static bool change_keys(struct mesh_records *r, const uint8_t old[SIGN_SEED_LEN], const uint8_t new[SIGN_SEED_LEN], int64_t overlap_s)
{
	uint8_t key[SIGN_KEY_LEN];
	const char *why = "out of memory";

	sign_public(key, new);
	if (store_is_mesh_key(r->store, key, mesh_now_s()))
		return mesh_records_save(r);
	if (!mint_rotation(r->store, old, new, overlap_s, mesh_now_s(), &why)) {
		cli_fail("%s: %s", r->name, why);
		return false;
	}
	return mesh_records_save(r);
}

static int rotate(const struct init *i)
{
	uint8_t old[SIGN_SEED_LEN], new[SIGN_SEED_LEN];
	struct mesh_records r = { 0 };
	bool ok;

	ok = mesh_file_read_seed(i->name, MESH_FILE_SECRET, old) && mesh_records_load(&r, i->name) &&
	     make_secret(i, MESH_FILE_SECRET_NEW, new) && change_keys(&r, old, new, i->overlap_s) &&
	     mesh_file_rename(i->name, MESH_FILE_SECRET_NEW, MESH_FILE_SECRET);
	mesh_records_done(&r);
	crypto_wipe(old, sizeof(old));
	crypto_wipe(new, sizeof(new));
	if (!ok)
		return CLI_FAILED;
	printf("%s.mesh-key is a new key now; the old one counts for %lld days more, for nodes that have not heard of it yet.\n", i->name,
	       (long long)(i->overlap_s / 86400));
	return CLI_DONE;
}

int cmd_init(int argc, char **argv)
{
	struct init i = { .node = { .roles = ROLE_TRANSIT }, .overlap_s = OVERLAP_S };

	if (!parse_arguments(&i, argc, argv))
		return CLI_USAGE;
	privs_protect();
	return i.rotate ? rotate(&i) : make(&i);
}
