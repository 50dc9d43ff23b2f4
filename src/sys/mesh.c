/* SPDX-License-Identifier: MIT */
/*
 * A mesh and the host: files, addresses, the LAN.
 *
 *	File			read at the start; written while the node learns, ever more seldom if it goes on and on, when it is gone, and at the end; at once
 *				when an operator has it learn something, for what was said to be done must not be lost with a crash
 *	NAME.invitations	in MESHD_STATE_DIR: what we gave out and have to know again after a restart, so it is written at once
 *	HostsFile		names of nodes; ours from the first line on, removed at the end
 *
 * All are replaced as a whole (sys/files.h), so whoever kills us finds the old or the new one. What shall replace the bootstrap file is
 * read back before: it has to be of the same mesh and hold every node in good standing, or the old one stays. A hosts file that does not
 * begin as ours do is somebody's own and is left alone - HostsFile = /etc/hosts would be the end of it.
 *
 * The daemon writes as root without the right to pass by permissions: files and directories have to be root's. What cannot be written is told
 * once, and once more when it can be again.
 */
#include "sys/mesh.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/key.h"
#include "exchange/bootstrap.h"
#include "exchange/store.h"
#include "node/config.h"
#include "node/mesh.h"
#include "node/node.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/lan.h"
#include "sys/mesh_status.h"

#define HOSTS_HEAD "# Kept by meshd: "

enum {
	ISSUED_MAX = 1 << 20,	/* bytes of the state file */
	HOSTS_MAX = 8 << 20,
	STATE_PATH_MAX = 128,
};

/* One of the files. */
struct written {
	bool due;
	bool failed;		/* somebody was told */
	int64_t last_us;	/* 0: never */
	int64_t pause_us;	/* to the next */
	ev_timer timer;
};

struct mesh_host {
	struct mesh_host_options o;
	bool on;
	uint8_t key[SIGN_KEY_LEN];	/* founding */
	char *path, *hosts_path;	/* NULL: none */
	char issued_path[STATE_PATH_MAX];
	struct written file, hosts;
	bool issued_failed;
	bool hosts_ours;		/* there is one that we wrote */
	uint64_t version;		/* of the store, as it is in the file */
	ev_timer warn, look;
	struct lan *lan;
};

static int64_t now_s(void)
{
	return clock_now().wall_ns / NS_PER_S;
}

/* Told when it begins to fail, and when it works again. */
static void tell(const struct mesh_host *m, bool *failed, const char *path, const char *what, const char *reason)
{
	if (reason && !*failed)
		log_warning(m->o.log, "%s: %s: cannot be written (%s)%s", m->o.name, path, reason, what);
	else if (!reason && *failed)
		log_info(m->o.log, "%s: %s: can be written again", m->o.name, path);
	*failed = reason;
}

/* A path of the config's: a relative one is meant from where the config is. NULL: no memory. */
static char *path_of(const struct mesh_host *m, const char *file)
{
	const char *slash = m->o.config_file ? strrchr(m->o.config_file, '/') : NULL;
	struct text t = { 0 };

	if (file[0] != '/' && slash)
		text_add_bytes(&t, m->o.config_file, (size_t)(slash + 1 - m->o.config_file));
	text_add(&t, file);
	if (!t.failed)
		return t.s;
	text_done(&t);
	return NULL;
}

/*
 * Writing.
 */

static size_t count_good(const struct store *s)
{
	struct store_node n;
	size_t good = 0;
	int64_t now = now_s();

	for (size_t i = 0; store_node_at(s, i, now, &n); i++)
		good += n.standing == NODE_GOOD;
	return good;
}

/* Whether what is to be the file can be read back, and nothing is missing. */
static bool is_whole(const struct mesh_host *m, const struct text *t, struct text *why)
{
	struct bootstrap b;
	size_t nodes = 0;
	bool same;

	if (!bootstrap_read(&b, t->s, t->len, why))
		return false;
	for (size_t i = 0; i < b.count; i++)
		nodes += b.items[i]->kind == ITEM_NODE;
	same = !memcmp(b.mesh, m->key, SIGN_KEY_LEN);
	bootstrap_done(&b);
	if (!same)
		text_add(why, "it would be of another mesh");
	else if (nodes < count_good(node_mesh_store(m->o.node)))
		text_addf(why, "it would have %zu nodes alone", nodes);
	return !why->len;
}

/* 'why': empty, or why it is not there. */
static void try_file(struct mesh_host *m, struct text *why)
{
	uint64_t version = store_version(node_mesh_store(m->o.node));
	struct text out = { 0 };
	int error;

	m->file.due = false;
	m->file.last_us = clock_now().mono_us;
	if (!node_mesh_file(m->o.node, clock_now(), &out) || out.failed || !out.s)
		text_add(why, "out of memory, or it is too long");
	else if (is_whole(m, &out, why)) {
		error = file_replace(m->path, out.s, out.len, 0600);
		if (error)
			text_add(why, strerror(-error));
	}
	if (!why->len && !why->failed)
		m->version = version;
	tell(m, &m->file.failed, m->path, "; what is learnt of the mesh is lost at the end", why->len ? why->s : NULL);
	text_done(&out);
}

static void write_file(struct mesh_host *m)
{
	struct text why = { 0 };

	try_file(m, &why);
	text_done(&why);
}

/* Whether there is nothing at that path, or a hosts file as we write it. */
static bool is_ours(const char *path)
{
	struct text old = { 0 };
	int error = file_read(path, &old, HOSTS_MAX);
	bool ours = error == -ENOENT || (!error && (!old.len || !strncmp(old.s, HOSTS_HEAD, strlen(HOSTS_HEAD))));

	text_done(&old);
	return ours;
}

static void write_hosts(struct mesh_host *m)
{
	struct text out = { 0 };
	const char *reason = NULL;
	int error;

	m->hosts.due = false;
	m->hosts.last_us = clock_now().mono_us;
	text_addf(&out, HOSTS_HEAD "nodes of the mesh %s, on interface %s. Changes are lost.\n", node_mesh_name(m->o.node), m->o.name);
	node_mesh_hosts(m->o.node, clock_now(), &out);
	if (out.failed) {
		reason = "out of memory";
	} else if (!is_ours(m->hosts_path)) {
		reason = "there is a file that meshd has not made";
	} else {
		error = file_replace(m->hosts_path, out.s, out.len, 0644);
		reason = error ? strerror(-error) : NULL;
		m->hosts_ours |= !error;
	}
	tell(m, &m->hosts.failed, m->hosts_path, "", reason);
	text_done(&out);
}

static void remove_hosts(struct mesh_host *m)
{
	ev_timer_stop(m->o.loop, &m->hosts.timer);
	m->hosts.due = m->hosts.failed = false;
	m->hosts.last_us = 0;
	if (m->hosts_ours && is_ours(m->hosts_path))
		unlink(m->hosts_path);
	m->hosts_ours = false;
}

static void write_issued(struct mesh_host *m)
{
	struct text out = { 0 };
	int error = dir_make(MESHD_STATE_DIR);

	node_mesh_issued(m->o.node, &out);
	if (!error && out.failed)
		error = -ENOMEM;
	if (!error && !out.len)
		error = unlink(m->issued_path) && errno != ENOENT ? -errno : 0;
	else if (!error)
		error = file_replace(m->issued_path, out.s, out.len, 0600);
	tell(m, &m->issued_failed, m->issued_path, "; invitations are void after a restart", error ? strerror(-error) : NULL);
	text_wipe(&out);
}

static void write_in(struct mesh_host *m, struct written *w, int64_t us)
{
	if (w->pause_us < MESH_HOST_WRITE_MAX_S * US_PER_S)
		w->pause_us *= 2;
	w->due = true;
	ev_now_update(m->o.loop);
	ev_timer_set(&w->timer, (double)us / 1e6, 0.0);
	ev_timer_start(m->o.loop, &w->timer);
}

/* What could not be written is tried again: a disk was full, and nothing else may change for long. */
static void write_again(struct mesh_host *m, struct written *w)
{
	if (w->failed)
		write_in(m, w, w->pause_us);
}

/* Now, or when the pause since the last time is over. */
static void write_soon(struct mesh_host *m, struct written *w, void (*write)(struct mesh_host *m))
{
	int64_t now_us = clock_now().mono_us, next_us;

	if (ev_is_active(&w->timer))
		return;
	if (!w->last_us || now_us - w->last_us > 2 * w->pause_us)
		w->pause_us = MESH_HOST_WRITE_S * US_PER_S;
	next_us = w->last_us ? w->last_us + w->pause_us : 0;
	if (next_us <= now_us) {
		write(m);
		write_again(m, w);
		return;
	}
	write_in(m, w, next_us - now_us);
}

/* No directory, no right to look: that is not to be gone. */
static bool is_gone(const char *path)
{
	return access(path, F_OK) && errno == ENOENT;
}

/* Not one that waits to be written, or could not be. */
static void look_at(struct mesh_host *m, struct written *w, const char *path, void (*write)(struct mesh_host *m))
{
	if (ev_is_active(&w->timer) || !is_gone(path))
		return;
	log_info(m->o.log, "%s: %s: is gone, and written anew", m->o.name, path);
	write_soon(m, w, write);
}

void mesh_host_look(struct mesh_host *m)
{
	if (!m->on)
		return;
	look_at(m, &m->file, m->path, write_file);
	if (m->hosts_path && m->hosts_ours)
		look_at(m, &m->hosts, m->hosts_path, write_hosts);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	mesh_host_look(w->data);
}

static bool is_written(const struct mesh_host *m)
{
	return !m->file.failed && m->version == store_version(node_mesh_store(m->o.node)) && !is_gone(m->path);
}

static void on_file(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct mesh_host *m = w->data;

	(void)loop;
	(void)revents;
	if (is_written(m)) /* meanwhile */
		return;
	write_file(m);
	write_again(m, &m->file);
}

static void on_hosts(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct mesh_host *m = w->data;

	(void)loop;
	(void)revents;
	write_hosts(m);
	write_again(m, &m->hosts);
}

void mesh_host_effects(struct mesh_host *m, unsigned int effects)
{
	if (!m->on)
		return;
	if (effects & NODE_EFFECT_MESH_ISSUED)
		write_issued(m);
	if (effects & NODE_EFFECT_MESH_FILE)
		write_soon(m, &m->file, write_file);
	if (effects & NODE_EFFECT_MESH_HOSTS && m->hosts_path)
		write_soon(m, &m->hosts, write_hosts);
}

bool mesh_host_save(struct mesh_host *m, struct text *why)
{
	struct text reason = { 0 };

	if (!m->on || is_written(m))
		return true;
	try_file(m, &reason);
	if (!ev_is_active(&m->file.timer))
		write_again(m, &m->file);
	if (!is_written(m))
		text_addf(why, "%s: it counts from now on, but is forgotten when meshd ends: %s cannot be written (%s)", m->o.name, m->path,
			  reason.s ? reason.s : "out of memory");
	text_done(&reason);
	return is_written(m);
}

/*
 * Reading.
 */

/* False, with one line in 'why': 'error' is of the system, or 0 and 'reason' counts. */
static bool refuse(const struct mesh_host *m, const char *path, int error, const char *reason, struct text *why)
{
	text_addf(why, "%s: [Mesh] File: %s: %s", m->o.name, path,
		  error == -EFBIG ? "too large for a bootstrap file" : error ? strerror(-error) : reason ? reason : "out of memory");
	return false;
}

static bool read_file(const struct mesh_host *m, const char *path, struct bootstrap *b, struct text *why)
{
	struct text data = { 0 }, reason = { 0 };
	int error = file_read(path, &data, BOOTSTRAP_SIZE_MAX);
	bool ok = !error && bootstrap_read(b, data.s, data.len, &reason);

	if (!ok)
		refuse(m, path, error, reason.s, why);
	text_done(&reason);
	text_done(&data);
	return ok;
}

/* Whether we are still one of the mesh. Only to be thrown out is a reason not to run; the rest may yet change. */
static bool check_standing(const struct mesh_host *m, const char *path, const struct config *c, struct text *why)
{
	struct store_node own = { .standing = NODE_UNKNOWN };
	uint8_t public_key[KEY_LEN];

	if (crypto_is_zero(c->change.private_key, KEY_LEN)) {
		text_addf(why, "%s: a node of a mesh needs a PrivateKey", m->o.name);
		return false;
	}
	key_public(public_key, c->change.private_key);
	if (!store_find(node_mesh_store(m->o.node), public_key, now_s(), &own))
		own.standing = NODE_UNKNOWN;
	if (own.standing == NODE_REVOKED || own.standing == NODE_CLAIMED)
		return refuse(m, path, 0, "this node has been revoked: it is no longer one of the mesh", why);
	if (own.standing == NODE_UNKNOWN)
		log_warning(m->o.log, "%s: %s has no record of this node: others will not take it until one has come", m->o.name, path);
	else if (own.standing != NODE_GOOD)
		log_warning(m->o.log, "%s: the record of this node does not count (%s): others will not take it", m->o.name,
			    node_standing_name(own.standing));
	return true;
}

static bool begin_node(struct mesh_host *m, const struct bootstrap *b, struct text *why)
{
	struct text issued = { 0 }, reason = { 0 };
	int error = file_read(m->issued_path, &issued, ISSUED_MAX);
	bool ok;

	if (error && error != -ENOENT)
		log_warning(m->o.log, "%s: %s: %s: invitations given out before are void", m->o.name, m->issued_path, strerror(-error));
	ok = node_mesh_begin(m->o.node, b, issued.s, clock_now(), &reason);
	if (!ok)
		refuse(m, m->path, 0, reason.s, why);
	text_done(&reason);
	text_wipe(&issued);
	return ok;
}

bool mesh_host_begin(struct mesh_host *m, const struct config *c, struct text *why)
{
	struct bootstrap b;
	bool ok;

	if (!c->mesh_file)
		return true;
	m->path = path_of(m, c->mesh_file);
	if (!m->path)
		return refuse(m, c->mesh_file, -ENOMEM, NULL, why);
	if (!read_file(m, m->path, &b, why))
		return false;
	memcpy(m->key, b.mesh, SIGN_KEY_LEN);
	ok = begin_node(m, &b, why);
	bootstrap_done(&b);
	if (!ok)
		return false;
	if (!check_standing(m, m->path, c, why)) {
		node_mesh_end(m->o.node);
		return false;
	}
	m->version = store_version(node_mesh_store(m->o.node));
	m->on = true;
	return true;
}

/* Merge what a file has. One that is not there yet is no fault: it will be. */
static bool take_file(struct mesh_host *m, const char *path, struct text *why)
{
	struct bootstrap_news news = { 0 };
	struct text reason = { 0 };
	struct bootstrap b;
	bool ok = false;

	if (is_gone(path))
		return true;
	if (!read_file(m, path, &b, why))
		return false;
	if (memcmp(b.mesh, m->key, SIGN_KEY_LEN))
		refuse(m, path, 0, "it is of another mesh, which takes \"meshd down\" and \"meshd up\"", why);
	else if (!node_mesh_import(m->o.node, &b, &news, clock_now(), &reason))
		refuse(m, path, 0, reason.s, why);
	else
		ok = true;
	if (ok && news.added)
		log_info(m->o.log, "%s: %s: %zu items are new", m->o.name, path, news.added);
	if (ok && news.later)
		log_warning(m->o.log, "%s: %s: %zu items of a later meshd are left out", m->o.name, path, news.later);
	text_done(&reason);
	bootstrap_done(&b);
	return ok;
}

bool mesh_host_reload(struct mesh_host *m, const struct config *c, struct text *why)
{
	char *path;

	if (!c->mesh_file != !m->on) {
		text_addf(why, "%s: to enter or leave a mesh takes \"meshd down\" and \"meshd up\"", m->o.name);
		return false;
	}
	if (!m->on)
		return true;
	path = path_of(m, c->mesh_file);
	if (!path)
		return refuse(m, c->mesh_file, -ENOMEM, NULL, why);
	if (!take_file(m, path, why) || !check_standing(m, path, c, why)) {
		free(path);
		return false;
	}
	free(path);
	return true;
}

/*
 * In force.
 */

static void set_hosts(struct mesh_host *m, const struct config *c)
{
	char *path = c->hosts_file ? path_of(m, c->hosts_file) : NULL;

	if (path && m->hosts_path && !strcmp(path, m->hosts_path)) {
		free(path);
		return;
	}
	if (m->hosts_path)
		remove_hosts(m);
	free(m->hosts_path);
	m->hosts_path = path;
	if (path)
		write_hosts(m);
}

static void set_path(struct mesh_host *m, const struct config *c)
{
	char *path = path_of(m, c->mesh_file);

	if (!path || !strcmp(path, m->path)) {
		free(path);
		return;
	}
	free(m->path);
	m->path = path;
	m->file.failed = false;
	write_file(m);
}

void mesh_host_configured(struct mesh_host *m, const struct config *c)
{
	if (!m->on)
		return;
	set_path(m, c);
	set_hosts(m, c);
	lan_set(m->lan, c->lan_discovery);
	if (!ev_is_active(&m->warn)) {
		ev_timer_set(&m->warn, 0.0, MESH_HOST_WARN_S);
		ev_timer_start(m->o.loop, &m->warn);
		ev_timer_set(&m->look, MESH_HOST_LOOK_S, MESH_HOST_LOOK_S);
		ev_timer_start(m->o.loop, &m->look);
	}
}

void mesh_host_netlink(struct mesh_host *m, int events)
{
	lan_netlink(m->lan, events);
}

static void log_line(void *ctx, const char *line)
{
	const struct mesh_host *m = ctx;

	log_warning(m->o.log, "%s: %s", m->o.name, line);
}

static void on_warn(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct mesh_host *m = w->data;

	(void)loop;
	(void)revents;
	store_warnings(node_mesh_store(m->o.node), now_s(), log_line, m);
}

static bool write_lan(void *ctx, uint8_t msg[MESH_LAN_LEN])
{
	const struct mesh_host *m = ctx;

	return node_mesh_lan_write(m->o.node, msg);
}

static void seen_lan(void *ctx, const struct endpoint *from, const uint8_t *msg, size_t len)
{
	const struct mesh_host *m = ctx;

	node_mesh_lan_seen(m->o.node, from, msg, len, clock_now());
}

/*
 * Addresses.
 */

static bool config_has(const struct config *c, const struct ip_addr *a)
{
	for (size_t i = 0; i < c->address_count; i++)
		if (ip_addr_equal(&c->addresses[i].addr, a))
			return true;
	return false;
}

struct ip_prefix *mesh_host_addresses(const struct mesh_host *m, const struct config *c, size_t *count)
{
	struct ip_prefix *v = calloc(c->address_count + MESH_HOST_ADDRESSES_MAX, sizeof(*v));
	struct ip_prefix own[MESH_HOST_ADDRESSES_MAX];
	size_t own_count = m->on ? node_mesh_addresses(m->o.node, own, MESH_HOST_ADDRESSES_MAX) : 0;

	if (!v)
		return NULL;
	*count = c->address_count;
	if (*count)
		memcpy(v, c->addresses, *count * sizeof(*v));
	for (size_t i = 0; i < own_count; i++)
		if (!config_has(c, &own[i].addr))
			v[(*count)++] = own[i];
	return v;
}

bool mesh_host_has_address(const struct mesh_host *m, const struct config *c, const struct ip_addr *a)
{
	struct ip_prefix own[MESH_HOST_ADDRESSES_MAX];
	size_t count = m->on ? node_mesh_addresses(m->o.node, own, MESH_HOST_ADDRESSES_MAX) : 0;

	for (size_t i = 0; i < count; i++)
		if (ip_addr_equal(&own[i].addr, a))
			return !config_has(c, a);
	return false;
}

/*
 * Life.
 */

struct mesh_host *mesh_host_new(const struct mesh_host_options *o)
{
	struct mesh_host *m = calloc(1, sizeof(*m));
	const struct lan_options lan = {
		.loop = o->loop, .netlink = o->netlink, .tun = o->tun, .name = o->name, .log = o->log, .write = write_lan, .seen = seen_lan,
		.ctx = m,
	};

	if (!m)
		return NULL;
	m->o = *o;
	m->lan = lan_new(&lan);
	if (!m->lan) {
		free(m);
		return NULL;
	}
	snprintf(m->issued_path, sizeof(m->issued_path), MESHD_STATE_DIR "/%s.invitations", o->name);
	ev_timer_init(&m->file.timer, on_file, 0.0, 0.0);
	ev_timer_init(&m->hosts.timer, on_hosts, 0.0, 0.0);
	ev_timer_init(&m->warn, on_warn, 0.0, 0.0);
	ev_timer_init(&m->look, on_look, 0.0, 0.0);
	m->file.timer.data = m->hosts.timer.data = m->warn.data = m->look.data = m;
	return m;
}

void mesh_host_stop(struct mesh_host *m, bool planned)
{
	if (!m || !m->on)
		return;
	lan_set(m->lan, false);
	ev_timer_stop(m->o.loop, &m->file.timer);
	ev_timer_stop(m->o.loop, &m->warn);
	ev_timer_stop(m->o.loop, &m->look);
	if (m->version != store_version(node_mesh_store(m->o.node)) || is_gone(m->path))
		write_file(m);
	if (planned)
		ev_timer_stop(m->o.loop, &m->hosts.timer);
	else
		remove_hosts(m);
	m->on = false;
}

void mesh_host_free(struct mesh_host *m)
{
	if (!m)
		return;
	mesh_host_stop(m, true);
	lan_free(m->lan);
	free(m->path);
	free(m->hosts_path);
	free(m);
}
