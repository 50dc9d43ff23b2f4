/* SPDX-License-Identifier: MIT */
/*
 * A mesh's files: what a node starts from, what is written when, and what is left alone. In a mount namespace of its own with empty /run and
 * /var/lib; the node is tests/unit/mesh_stage.h, LAN discovery is off.
 */
#include "mesh_stage.h"

#include <errno.h>
#include <ev.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "node/config.h"
#include "sandbox.h"
#include "sys/files.h"
#include "sys/mesh.h"
#include "sys/tun.h"

#define DIR "/run/test"
#define FILE_PATH DIR "/home.mesh"
#define HOSTS_PATH DIR "/hosts"
#define ISSUED_PATH MESHD_STATE_DIR "/m0.invitations"

/* --- the node --- */

bool node_mesh_begin(struct node *n, const struct bootstrap *b, const char *issued, struct instant now, struct text *why)
{
	struct bootstrap_news news;

	(void)n;
	snprintf(mesh.issued_begun, sizeof(mesh.issued_begun), "%s", issued ? issued : "(none)");
	mesh.store = bootstrap_store(b, now.wall_ns / NS_PER_S, &news, why);
	return mesh.store;
}

void node_mesh_end(struct node *n)
{
	(void)n;
	store_free(mesh.store);
	mesh.store = NULL;
}

bool node_mesh_file(struct node *n, struct instant now, struct text *out)
{
	uint8_t one[1][KEY_LEN];
	const struct bootstrap_options all = { .name = "home" }, some = { .name = "home", .only = (const uint8_t (*)[KEY_LEN])one, .only_count = 1 };

	(void)n;
	node_key('n', NULL, one[0]);
	mesh.files++;
	return bootstrap_write(mesh.store, mesh.broken_file ? &some : &all, now.wall_ns / NS_PER_S, out);
}

void node_mesh_issued(const struct node *n, struct text *out)
{
	(void)n;
	text_add(out, mesh.issued ? mesh.issued : "");
}

void node_mesh_hosts(const struct node *n, struct instant now, struct text *out)
{
	(void)n;
	(void)now;
	mesh.hosts++;
	text_addf(out, "10.7.0.1\tnorth north.home\n");
}

size_t node_mesh_addresses(const struct node *n, struct ip_prefix *v, size_t max)
{
	(void)n;
	assert_true(max >= mesh.address_count);
	memcpy(v, mesh.addresses, mesh.address_count * sizeof(*v));
	return mesh.address_count;
}

bool node_mesh_lan_write(const struct node *n, uint8_t msg[MESH_LAN_LEN])
{
	(void)n;
	(void)msg;
	fail();
	return false;
}

void node_mesh_lan_seen(struct node *n, const struct endpoint *from, const uint8_t *msg, size_t len, struct instant now)
{
	(void)n;
	(void)from;
	(void)msg;
	(void)len;
	(void)now;
	fail();
}

/* --- the stage --- */

static struct ev_loop *loop;
static struct mesh_host *host;
static struct config config;
static struct text logged;
static struct tun tun;

static void note(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	text_addf(&logged, "%d %s\n", (int)level, line);
}

static const struct log log_notes = { .emit = note };

static void put(const char *path, const char *content)
{
	assert_int_equal(file_replace(path, content, strlen(content), 0600), 0);
}

static void put_store(const char *path, struct store *s)
{
	struct text t = { 0 };

	make_file(s, &t);
	assert_int_equal(file_replace(path, t.s, t.len, 0600), 0);
	text_done(&t);
	store_free(s);
}

static void assert_content(const char *path, const char *expected)
{
	struct text t = { 0 };

	assert_int_equal(file_read(path, &t, 1 << 20), 0);
	assert_string_equal(t.s, expected);
	text_done(&t);
}

static unsigned int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* How many nodes the file holds; -1: it is not there or not good. */
static int nodes_in(const char *path)
{
	struct text t = { 0 }, why = { 0 };
	struct bootstrap b;
	int nodes = -1;

	if (!file_read(path, &t, BOOTSTRAP_SIZE_MAX) && bootstrap_read(&b, t.s, t.len, &why)) {
		nodes = 0;
		for (size_t i = 0; i < b.count; i++)
			nodes += b.items[i]->kind == ITEM_NODE;
		bootstrap_done(&b);
	}
	text_done(&t);
	text_done(&why);
	return nodes;
}

static void set_config(const char *mesh_keys)
{
	struct text t = { 0 }, why = { 0 };
	char key[KEY_BASE64_MAX];
	uint8_t own[KEY_LEN];

	config_done(&config);
	letter_key('n', own);
	text_addf(&t, "[Interface]\nLanDiscovery = off\nPrivateKey = %s\n%s", key_to_base64(key, own), mesh_keys);
	if (!config_parse(&config, "test", t.s, t.len, &why))
		fail_msg("%s", why.s);
	text_done(&t);
}

static bool begin(const char *mesh_keys, struct text *why)
{
	set_config(mesh_keys);
	if (!mesh_host_begin(host, &config, why))
		return false;
	mesh_host_configured(host, &config);
	ev_run(loop, EVRUN_NOWAIT);
	return true;
}

static void begin_well(const char *mesh_keys)
{
	struct text why = { 0 };

	if (!begin(mesh_keys, &why))
		fail_msg("%s", why.s);
}

static void assert_refused(const char *mesh_keys, const char *expected)
{
	struct text why = { 0 };

	assert_false(begin(mesh_keys, &why));
	assert_string_equal(why.s, expected);
	assert_null(mesh.store);
	text_done(&why);
}

static void open_host(void)
{
	const struct mesh_host_options o = {
		.loop = loop, .tun = &tun, .name = "m0", .config_file = DIR "/m0.conf", .log = &log_notes,
	};

	host = mesh_host_new(&o);
	assert_non_null(host);
}

static int setup(void **state)
{
	(void)state;
	memset(&mesh, 0, sizeof(mesh));
	text_reset(&logged);
	loop = ev_loop_new(EVFLAG_AUTO);
	(void)!system("rm -rf " DIR " " MESHD_STATE_DIR);
	mkdir(DIR, 0700);
	put_store(FILE_PATH, make_store('M'));
	open_host();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mesh_host_free(host);
	node_mesh_end(NULL);
	config_done(&config);
	ev_loop_destroy(loop);
	return 0;
}

/* --- the start --- */

static void without_a_mesh(void **state)
{
	size_t count;
	struct ip_prefix *v;

	(void)state;
	begin_well("Address = 192.0.2.1/24\n");
	assert_null(mesh.store);
	mesh_host_effects(host, NODE_EFFECT_MESH_FILE | NODE_EFFECT_MESH_HOSTS | NODE_EFFECT_MESH_ISSUED);
	assert_int_equal(mesh.files + mesh.hosts, 0);
	mesh.address_count = 1;
	v = mesh_host_addresses(host, &config, &count);
	assert_int_equal(count, 1);
	free(v);
}

static void starts_from_its_file(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	assert_int_equal(store_node_count(mesh.store), 2);
	assert_string_equal(mesh.issued_begun, "(none)");
	assert_int_equal(logged.len, 0);
}

static void bad_files_are_refused(void **state)
{
	struct text t = { 0 };
	struct store *s;

	(void)state;
	assert_refused("[Mesh]\nFile = other.mesh\n", "m0: [Mesh] File: " DIR "/other.mesh: No such file or directory");
	mesh_host_free(host);
	open_host();
	assert_int_equal(file_read(FILE_PATH, &t, 1 << 20), 0);
	t.s[t.len / 2] = t.s[t.len / 2] == 'A' ? 'B' : 'A';
	assert_int_equal(file_replace(FILE_PATH, t.s, t.len, 0600), 0);
	text_done(&t);
	set_config("[Mesh]\nFile = " FILE_PATH "\n");
	assert_false(mesh_host_begin(host, &config, &t));
	assert_ptr_equal(strstr(t.s, "m0: [Mesh] File: " FILE_PATH ": "), t.s);
	assert_null(strchr(t.s, '\n'));
	text_done(&t);

	mesh_host_free(host);
	open_host();
	s = make_store('M');
	revoke_node(s, 'n');
	put_store(FILE_PATH, s);
	assert_refused("[Mesh]\nFile = home.mesh\n",
		       "m0: [Mesh] File: " FILE_PATH ": this node has been revoked: it is no longer one of the mesh");
}

static void a_key_is_needed(void **state)
{
	static const char text[] = "[Mesh]\nFile = home.mesh\n";
	struct text why = { 0 };

	(void)state;
	config_done(&config);
	assert_true(config_parse(&config, "test", text, strlen(text), &why));
	assert_false(mesh_host_begin(host, &config, &why));
	assert_string_equal(why.s, "m0: a node of a mesh needs a PrivateKey");
	assert_null(mesh.store);
	text_done(&why);
}

static void unknown_to_the_file(void **state)
{
	(void)state;
	set_config("[Mesh]\nFile = home.mesh\n");
	letter_key('x', config.change.private_key);
	assert_true(mesh_host_begin(host, &config, NULL));
	assert_non_null(strstr(logged.s, "has no record of this node"));
}

/* --- the bootstrap file --- */

static void learn(char letter, const char *name, const char *address)
{
	add_node(mesh.store, 'M', letter, name, address);
	mesh_host_effects(host, NODE_EFFECT_MESH_FILE);
}

/* The first change is written at once, the next ones wait for each other, the last ones are written at the end. */
static void writes_what_is_learnt(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	learn('e', "east", "10.7.0.3");
	assert_int_equal(nodes_in(FILE_PATH), 3);
	assert_int_equal(mode_of(FILE_PATH), 0600);
	learn('w', "west", "10.7.0.4");
	learn('u', "up", "10.7.0.5");
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(nodes_in(FILE_PATH), 3);
	assert_int_equal(mesh.files, 1);
	mesh_host_stop(host, false);
	assert_int_equal(nodes_in(FILE_PATH), 5);
	assert_int_equal(mesh.files, 2);
	assert_int_equal(logged.len, 0);
}

static void nothing_new_nothing_written(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	mesh_host_stop(host, false);
	assert_int_equal(mesh.files, 0);
}

/* What somebody has removed is there again, also where nothing was learnt; and without it the node would not start again. */
static void what_is_gone_is_written(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\nHostsFile = hosts\n");
	mesh_host_look(host);
	assert_int_equal(mesh.files, 0);
	unlink(FILE_PATH);
	unlink(DIR "/hosts");
	mesh_host_look(host);
	assert_int_equal(mesh.files, 1);
	assert_int_equal(nodes_in(FILE_PATH), 2);
	mesh_host_look(host);
	assert_int_equal(mesh.files, 1);
	/* Again and again: not without a pause. */
	unlink(FILE_PATH);
	mesh_host_look(host);
	mesh_host_look(host);
	assert_int_equal(mesh.files, 1);
	mesh_host_stop(host, false);
	assert_int_equal(nodes_in(FILE_PATH), 2);
	assert_int_not_equal(access(DIR "/hosts", F_OK), 0);
}

static void what_is_not_whole_is_not_written(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	mesh.broken_file = true;
	learn('e', "east", "10.7.0.3");
	assert_int_equal(mesh.files, 1);
	assert_int_equal(nodes_in(FILE_PATH), 2);
	assert_non_null(strstr(logged.s, "cannot be written (it would have 1 nodes alone)"));
	mesh.broken_file = false;
	mesh_host_stop(host, false);
	assert_int_equal(nodes_in(FILE_PATH), 3);
	assert_non_null(strstr(logged.s, "can be written again"));
}

static void told_once(void **state)
{
	size_t len;

	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	(void)!system("rm -rf " DIR);
	learn('e', "east", "10.7.0.3");
	assert_non_null(strstr(logged.s, "cannot be written (No such file or directory); what is learnt of the mesh is lost at the end"));
	len = logged.len;
	mesh_host_stop(host, false);
	assert_int_equal(logged.len, len);
}

/* --- invitations --- */

static void invitations_last(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	mesh.issued = "token one\ntoken two\n";
	mesh_host_effects(host, NODE_EFFECT_MESH_ISSUED);
	assert_content(ISSUED_PATH, mesh.issued);
	assert_int_equal(mode_of(ISSUED_PATH), 0600);
	mesh_host_free(host);
	node_mesh_end(NULL);
	open_host();
	begin_well("[Mesh]\nFile = home.mesh\n");
	assert_string_equal(mesh.issued_begun, mesh.issued);
	mesh.issued = NULL;
	mesh_host_effects(host, NODE_EFFECT_MESH_ISSUED);
	assert_int_equal(access(ISSUED_PATH, F_OK), -1);
	mesh_host_effects(host, NODE_EFFECT_MESH_ISSUED);
	assert_int_equal(logged.len, 0);
}

/* --- names --- */

#define HOSTS "# Kept by meshd: nodes of the mesh home, on interface m0. Changes are lost.\n10.7.0.1\tnorth north.home\n"

static void names_are_kept(void **state)
{
	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\nHostsFile = hosts\n");
	assert_content(HOSTS_PATH, HOSTS);
	assert_int_equal(mode_of(HOSTS_PATH), 0644);
	mesh_host_effects(host, NODE_EFFECT_MESH_HOSTS);
	assert_int_equal(mesh.hosts, 1);	/* too soon */

	/* Elsewhere, and nowhere: the old one goes. */
	set_config("[Mesh]\nFile = home.mesh\nHostsFile = names\n");
	mesh_host_configured(host, &config);
	assert_int_equal(access(HOSTS_PATH, F_OK), -1);
	assert_content(DIR "/names", HOSTS);
	set_config("[Mesh]\nFile = home.mesh\n");
	mesh_host_configured(host, &config);
	assert_int_equal(access(DIR "/names", F_OK), -1);
	set_config("[Mesh]\nFile = home.mesh\nHostsFile = hosts\n");
	mesh_host_configured(host, &config);
	mesh_host_stop(host, false);
	assert_int_equal(access(HOSTS_PATH, F_OK), -1);
}

/* One that a killed run, or a planned stop, has left is ours; /etc/hosts is not. */
static void strangers_are_left_alone(void **state)
{
	(void)state;
	put(HOSTS_PATH, "127.0.0.1 localhost\n");
	begin_well("[Mesh]\nFile = home.mesh\nHostsFile = hosts\n");
	assert_non_null(strstr(logged.s, "hosts: cannot be written (there is a file that meshd has not made)\n"));
	mesh_host_stop(host, false);
	assert_content(HOSTS_PATH, "127.0.0.1 localhost\n");

	mesh_host_free(host);
	node_mesh_end(NULL);
	open_host();
	put(HOSTS_PATH, "# Kept by meshd: nodes of the mesh home\n");
	begin_well("[Mesh]\nFile = home.mesh\nHostsFile = hosts\n");
	assert_content(HOSTS_PATH, HOSTS);
	mesh_host_stop(host, true);
	assert_content(HOSTS_PATH, HOSTS);
}

/* --- reload --- */

static bool reload(const char *mesh_keys, struct text *why)
{
	set_config(mesh_keys);
	if (!mesh_host_reload(host, &config, why))
		return false;
	mesh_host_configured(host, &config);
	return true;
}

static void reload_takes_what_is_new(void **state)
{
	struct store *s = make_store('M');

	(void)state;
	begin_well("[Mesh]\nFile = home.mesh\n");
	add_node(s, 'M', 'e', "east", "10.7.0.3");
	put_store(FILE_PATH, s);
	assert_true(reload("[Mesh]\nFile = home.mesh\n", NULL));
	assert_int_equal(store_node_count(mesh.store), 3);

	/* One elsewhere: what is there is merged, and it is kept from now on. One that is not there is made. */
	s = make_store('M');
	add_node(s, 'M', 'w', "west", "10.7.0.4");
	put_store(DIR "/other.mesh", s);
	assert_true(reload("[Mesh]\nFile = other.mesh\n", NULL));
	assert_int_equal(nodes_in(DIR "/other.mesh"), 4);
	assert_true(reload("[Mesh]\nFile = third.mesh\n", NULL));
	assert_int_equal(nodes_in(DIR "/third.mesh"), 4);
}

static void reload_refuses(void **state)
{
	static const struct {
		const char *keys, *reason;
	} cases[] = {
		{ "", "m0: to enter or leave a mesh takes \"meshd down\" and \"meshd up\"" },
		{ "[Mesh]\nFile = foreign.mesh\n",
		  "m0: [Mesh] File: " DIR "/foreign.mesh: it is of another mesh, which takes \"meshd down\" and \"meshd up\"" },
		{ "[Mesh]\nFile = revoked.mesh\n",
		  "m0: [Mesh] File: " DIR "/revoked.mesh: this node has been revoked: it is no longer one of the mesh" },
	};
	struct store *s = make_store('M');
	struct text why = { 0 };

	(void)state;
	revoke_node(s, 'n');
	put_store(DIR "/revoked.mesh", s);
	put_store(DIR "/foreign.mesh", make_store('F'));
	put(DIR "/empty.mesh", "");
	begin_well("[Mesh]\nFile = home.mesh\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text_reset(&why);
		assert_false(reload(cases[i].keys, &why));
		assert_string_equal(why.s, cases[i].reason);
	}
	text_reset(&why);
	assert_false(reload("[Mesh]\nFile = empty.mesh\n", &why));
	assert_non_null(strstr(why.s, "m0: [Mesh] File: " DIR "/empty.mesh: "));
	text_done(&why);
}

static void no_mesh_by_reload(void **state)
{
	struct text why = { 0 };

	(void)state;
	begin_well("");
	assert_false(reload("[Mesh]\nFile = home.mesh\n", &why));
	assert_string_equal(why.s, "m0: to enter or leave a mesh takes \"meshd down\" and \"meshd up\"");
	text_done(&why);
}

/* --- addresses --- */

static void addresses_of_both(void **state)
{
	const struct ip_addr other = { IP_V4, { 10, 7, 0, 9 } };
	char text[PREFIX_TEXT_MAX];
	struct ip_prefix *v;
	size_t count;

	(void)state;
	begin_well("Address = 10.7.0.1/24, 192.0.2.1/24\n[Mesh]\nFile = home.mesh\n");
	assert_true(ip_prefix_parse("fd00::1/128", &mesh.addresses[0]));
	assert_true(ip_prefix_parse("10.7.0.1/32", &mesh.addresses[1]));
	mesh.address_count = 2;
	v = mesh_host_addresses(host, &config, &count);
	assert_int_equal(count, 3);
	assert_string_equal(ip_prefix_format(&v[0], text), "10.7.0.1/24");
	assert_string_equal(ip_prefix_format(&v[1], text), "192.0.2.1/24");
	assert_string_equal(ip_prefix_format(&v[2], text), "fd00::1/128");
	/* What the config has stays the config's. */
	assert_true(mesh_host_has_address(host, &config, &v[2].addr));
	assert_false(mesh_host_has_address(host, &config, &v[0].addr));
	assert_false(mesh_host_has_address(host, &config, &other));
	free(v);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_a_mesh),
		CASE(starts_from_its_file),
		CASE(bad_files_are_refused),
		CASE(a_key_is_needed),
		CASE(unknown_to_the_file),
		CASE(writes_what_is_learnt),
		CASE(nothing_new_nothing_written),
		CASE(what_is_gone_is_written),
		CASE(what_is_not_whole_is_not_written),
		CASE(told_once),
		CASE(invitations_last),
		CASE(names_are_kept),
		CASE(strangers_are_left_alone),
		CASE(reload_takes_what_is_new),
		CASE(reload_refuses),
		CASE(no_mesh_by_reload),
		CASE(addresses_of_both),
	};

	sandbox_run_dir();
	if (mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755"))
		sandbox_skip("mount");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
