/* SPDX-License-Identifier: MIT */
/*
 * What the daemon is told to be: changes from wg(8), the config file at start, a reload.
 *
 * A change touches sockets (port, mark) and the node. What can fail is done first - new sockets are opened beside the old
 * ones - and taken back if a later step fails. A reload goes the same way through addresses and routes, and
 * falls back to the config in force. Endpoints and the port that the file names as before are left as they are now: a
 * peer that has roamed since is not sent back to where it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/routing.h"
#include "sys/clock.h"
#include "sys/configfile.h"
#include "sys/daemon_inside.h"
#include "sys/frame.h"
#include "sys/mesh.h"
#include "sys/routing.h"
#include "sys/underlay.h"
#include "sys/worker.h"

enum { IP6_MTU_MIN = 1280 };	/* RFC 8200 section 5 */

static bool listening(const struct daemon *d)
{
	return udp_is_open(&d->udp);
}

int daemon_apply(struct daemon *d, const struct change *c)
{
	uint32_t old_mark = d->udp.fwmark;
	uint32_t mark = c->bits & CHANGE_FWMARK ? c->fwmark : old_mark;
	bool rebind = c->bits & CHANGE_LISTEN_PORT &&
		      (!listening(d) || !c->listen_port || c->listen_port != d->udp.port);
	struct udp fresh;
	int error = node_check(d->node, c);

	udp_init(&fresh);
	if (error)
		return error;
	error = rebind ? udp_open(&fresh, c->listen_port, mark, d->worker_count, d->offloads) : 0;
	if (!error && !rebind && listening(d) && mark != old_mark)
		error = udp_set_fwmark(&d->udp, mark);
	if (error)
		return error;
	node_close_lanes(d->node);
	error = node_apply(d->node, c, clock_now());
	if (!error && d->workers)
		workers_purge(d->workers);
	node_open_lanes(d->node);
	if (error) {
		udp_close(&fresh);
		if (!rebind && listening(d) && mark != old_mark)
			udp_set_fwmark(&d->udp, old_mark);
		return error;
	}
	if (rebind)
		daemon_take_sockets(d, &fresh);
	d->udp.fwmark = mark;	/* also for sockets yet to be opened */
	node_set_listen_port(d->node, listening(d) ? d->udp.port : c->listen_port);
	if (c->bits & CHANGE_FWMARK)
		node_uncheck_endpoints(d->node);
	daemon_effects(d);
	return 0;
}

/*
 * The config.
 */

/* Collect lists out of the config. False: no memory. */
static bool collect(const struct config *c, struct ip_prefix **allowed, size_t *allowed_count,
		    struct endpoint **endpoints, size_t *endpoint_count)
{
	size_t total = 0, addresses = 0;

	for (size_t i = 0; i < c->change.peer_count; i++) {
		total += c->change.peers[i].allowed_count;
		for (size_t j = 0; j < c->change.peers[i].endpoint_count; j++)
			addresses += c->change.peers[i].endpoints[j].count;
	}
	*allowed = calloc(total + 1, sizeof(**allowed));
	*endpoints = calloc(addresses + 1, sizeof(**endpoints));
	*allowed_count = *endpoint_count = 0;
	if (!*allowed || !*endpoints) {
		free(*allowed);
		free(*endpoints);
		return false;
	}
	for (size_t i = 0; i < c->change.peer_count; i++) {
		const struct change_peer *p = &c->change.peers[i];

		for (size_t j = 0; j < p->allowed_count; j++)
			(*allowed)[(*allowed_count)++] = p->allowed[j].prefix;
		for (size_t j = 0; j < p->endpoint_count; j++)
			for (size_t k = 0; k < p->endpoints[j].count; k++)
				(*endpoints)[(*endpoint_count)++] = p->endpoints[j].v[k];
	}
	return true;
}

/*
 * The mark of the default route's table: FwMark, or one we choose, or 0 when no default route asks for it. Babel may bring one at any
 * time, so with it there is always a mark; see mark_for_babel() for when it is new.
 */
static uint32_t choose_mark(struct daemon *d, const struct config *c, const struct ip_prefix *allowed, size_t count)
{
	if (!iface_needs_mark(c, allowed, count) && !(c->table == TABLE_AUTO && node_routing_on(d->node)))
		return 0;
	if (c->change.fwmark)
		return c->change.fwmark;
	return d->mark && d->mark != d->config.change.fwmark ? d->mark : iface_free_mark(&d->iface);
}

/* Whether there is Babel is known when the config is applied. 0 or negative errno. */
static int mark_for_babel(struct daemon *d, const struct config *c)
{
	struct change change = { .bits = CHANGE_FWMARK };

	if (d->mark || c->table != TABLE_AUTO || !node_routing_on(d->node))
		return 0;
	d->mark = c->change.fwmark ? c->change.fwmark : iface_free_mark(&d->iface);
	change.fwmark = d->mark;
	return c->change.fwmark || !d->mark ? 0 : daemon_apply(d, &change);
}

int daemon_set_addresses(struct daemon *d, const struct config *c, struct text *why)
{
	struct config with_mesh = *c;
	int error;

	with_mesh.addresses = mesh_host_addresses(d->mesh, c, &with_mesh.address_count);
	if (!with_mesh.addresses) {
		text_add(why, "out of memory");
		return -ENOMEM;
	}
	error = iface_set_addresses(&d->iface, &with_mesh, why);
	free(with_mesh.addresses);
	return error;
}

/* With an MTU below that of IPv6, ours or ip(8)'s, there is no IPv6 on an interface, and no address of it can be set. */
static void make_room(struct daemon *d)
{
	uint32_t mtu;
	bool up;

	if (!netlink_link_get(&d->netlink, d->tun.ifindex, &mtu, &up) && mtu < IP6_MTU_MIN)
		netlink_link_set(&d->netlink, d->tun.ifindex, IP6_MTU_MIN, up);
}

/* Addresses, MTU and routes of 'c'. 0, or negative errno with one line in 'why'. */
static int shape_interface(struct daemon *d, const struct config *c, const struct ip_prefix *allowed, size_t allowed_count,
			   const struct endpoint *endpoints, size_t endpoint_count, struct text *why)
{
	uint32_t mtu;
	int error;

	make_room(d);
	error = daemon_set_addresses(d, c, why);
	if (!error)
		error = iface_set_mtu_up(&d->iface, c, endpoints, endpoint_count, d->udp.fwmark, &mtu, why);
	if (!error)
		error = iface_set_routes(&d->iface, c, allowed, allowed_count, d->mark, why);
	if (!error)
		error = iface_set_listen_prefix(&d->iface, &c->change.listen_prefix, why);
	if (error)
		return error;
	node_close_lanes(d->node);
	udp_set_listen_prefix(&d->udp, &c->change.listen_prefix);
	node_open_lanes(d->node);
	return 0;
}

/*
 * Put 'c' in force, its change reduced to 'change' (what is new in it). Half done on failure: the caller knows what to go back to.
 */
static int put_in_force(struct daemon *d, const struct config *c, struct change *change, struct text *why)
{
	struct ip_prefix *allowed;
	struct endpoint *endpoints;
	size_t allowed_count, endpoint_count;
	int error;

	if (!collect(c, &allowed, &allowed_count, &endpoints, &endpoint_count)) {
		text_add(why, "out of memory");
		return -ENOMEM;
	}
	d->mark = choose_mark(d, c, allowed, allowed_count);
	if (d->mark) {
		change->bits |= CHANGE_FWMARK;
		change->fwmark = d->mark;
	}
	underlay_set_uplinks(d->underlay, c->change.uplinks, c->change.uplink_count);
	error = daemon_apply(d, change);
	if (!error)
		error = mark_for_babel(d, c);
	if (error == -EADDRINUSE)
		text_addf(why, "%s: ListenPort %u is in use by another program", d->o.name, (unsigned int)change->listen_port);
	else if (error)
		text_addf(why, "%s: cannot put the config in force: %s", d->o.name, strerror(-error));
	else
		error = shape_interface(d, c, allowed, allowed_count, endpoints, endpoint_count, why);
	if (!error) {
		routing_configured(d->routing, c, d->tun.ifindex, d->mark);
		mesh_host_configured(d->mesh, c);
	}
	free(allowed);
	free(endpoints);
	return error;
}

int daemon_configure(struct daemon *d, struct text *why)
{
	struct change change;
	int error;

	d->config = *d->o.config;
	if (!mesh_host_begin(d->mesh, &d->config, why))
		return -EINVAL;
	daemon_resolve_first(d);
	change = d->config.change;
	error = put_in_force(d, &d->config, &change, why);
	crypto_wipe(&change, sizeof(change));	/* what it points to is the config's */
	return error;
}

/* The last entry that says what the endpoints of a peer are, as entries act in their order. NULL: none does. */
static const struct change_peer *endpoints_in(const struct change *c, const uint8_t key[KEY_LEN])
{
	for (size_t i = c->peer_count; i-- > 0;)
		if (c->peers[i].bits & CHANGE_PEER_ENDPOINTS && !memcmp(c->peers[i].public_key, key, KEY_LEN))
			return &c->peers[i];
	return NULL;
}

static bool same_endpoints(const struct change *a, const struct change *b, const uint8_t key[KEY_LEN])
{
	const struct change_peer *x = endpoints_in(a, key), *y = endpoints_in(b, key);

	return x && y && change_endpoints_same(x->endpoints, x->endpoint_count, y->endpoints, y->endpoint_count);
}

static void copy_addresses(const struct change_peer *from, struct change_endpoint *to)
{
	for (size_t i = 0; i < from->endpoint_count; i++) {
		const struct change_endpoint *e = &from->endpoints[i];

		if (strcmp(e->name, to->name) != 0)
			continue;
		memcpy(to->v, e->v, sizeof(to->v));
		to->count = e->count;
		return;
	}
}

/* What resolved before need not resolve again. */
static void carry_resolved(const struct config *old, struct config *next)
{
	for (size_t i = 0; i < next->change.peer_count; i++) {
		struct change_peer *p = &next->change.peers[i];
		const struct change_peer *before = p->endpoint_count ? endpoints_in(&old->change, p->public_key) : NULL;

		for (size_t j = 0; before && j < p->endpoint_count; j++)
			if (p->endpoints[j].name[0])
				copy_addresses(before, &p->endpoints[j]);
	}
}

/* The change from 'old' to 'next': that of 'next' less port and endpoints that did not change. False: no memory. */
static bool change_between(struct daemon *d, const struct config *old, const struct config *next, struct change *out)
{
	*out = next->change;
	out->peers = calloc(out->peer_count + 1, sizeof(*out->peers));
	if (!out->peers)
		return false;
	if (!out->listen_port)
		out->bits &= ~(unsigned int)CHANGE_LISTEN_PORT;
	for (size_t i = 0; i < out->peer_count; i++) {
		const uint8_t *key = next->change.peers[i].public_key;

		out->peers[i] = next->change.peers[i];
		/* A peer taken away by wg(8) since comes back with its endpoints. */
		if (out->peers[i].bits & CHANGE_PEER_ENDPOINTS && same_endpoints(&old->change, &next->change, key) &&
		    node_has_endpoint(d->node, key))
			out->peers[i].bits &= ~(unsigned int)CHANGE_PEER_ENDPOINTS;
	}
	return true;
}

static void change_between_done(struct change *c)
{
	crypto_wipe(c->peers, c->peer_count * sizeof(*c->peers));
	free(c->peers);
	crypto_wipe(c, sizeof(*c));
}

static bool reload_to(struct daemon *d, struct config *next, struct text *why)
{
	struct text ignored = { 0 };
	struct change change;
	bool ok;

	if (!change_between(d, &d->config, next, &change)) {
		text_add(why, "out of memory");
		return false;
	}
	ok = !put_in_force(d, next, &change, why);
	change_between_done(&change);
	if (ok)
		return true;
	/* Back to what was in force. It worked before, so it is tried once and not more. */
	if (change_between(d, next, &d->config, &change)) {
		put_in_force(d, &d->config, &change, &ignored);
		change_between_done(&change);
	}
	text_done(&ignored);
	return false;
}

bool daemon_reload(struct daemon *d, const char *text, size_t len, struct text *why)
{
	struct config next;

	if (!d->configured) {
		text_addf(why, "%s: has no config file to reload; change it with wg(8)", d->o.name);
		return false;
	}
	if (!configfile_parse(d->o.config_file, text, len, &next, why))
		return false;
	carry_resolved(&d->config, &next);
	if (!mesh_host_reload(d->mesh, &next, why) || !reload_to(d, &next, why)) {
		config_done(&next);
		return false;
	}
	config_done(&d->config);
	d->config = next;
	crypto_wipe(&next, sizeof(next));
	if (daemon_resolve_again(d))
		ev_timer_again(d->loop, &d->resolve);
	if (d->o.parent_fd >= 0)
		frame_send(d->o.parent_fd, FRAME_RELOADED, NULL, 0);
	daemon_tell_made(d);
	log_info(&d->o.log, "%s: config reloaded", d->o.name);
	return true;
}

/*
 * The running config as text, for SaveConfig.
 */

struct address_walk {
	const struct daemon *daemon;
	struct config *config;
	bool failed;
};

/* Whether we have set it; a link-local address we have not is the kernel's own. */
static bool is_set_by_us(const struct iface *i, const struct ip_prefix *a)
{
	for (size_t j = 0; j < i->address_count; j++)
		if (ip_addr_equal(&i->addresses[j].addr, &a->addr))
			return true;
	return false;
}

static void save_address(void *ctx, const struct ip_prefix *a)
{
	struct address_walk *w = ctx;
	struct ip_prefix *v;

	if (ip_addr_is_link_local(&a->addr) && !is_set_by_us(&w->daemon->iface, a))
		return;
	if (mesh_host_has_address(w->daemon->mesh, &w->daemon->config, &a->addr))
		return;
	v = realloc(w->config->addresses, (w->config->address_count + 1) * sizeof(*v));
	w->failed |= !v;
	if (!v)
		return;
	w->config->addresses = v;
	v[w->config->address_count++] = *a;
}

static void save_allowed(void *ctx, const struct ip_prefix *prefix)
{
	change_add_allowed(ctx, prefix, false);
}

/* As configured; but the one address of a peer that roams as WireGuard's do, or none, is where it is now. False: no memory. */
static bool save_endpoints(struct change_peer *p, const struct peer_info *info)
{
	bool configured = info->endpoint_count && (info->managed || info->endpoint_count > 1 || info->endpoints[0].name[0]);

	if (configured) {
		for (size_t i = 0; i < info->endpoint_count; i++) {
			struct change_endpoint *e = change_add_endpoint(p);

			if (!e)
				return false;
			*e = info->endpoints[i];
		}
		return true;
	}
	if (info->path.remote.addr.family == IP_NONE)
		return true;
	if (!change_add_address(p, &info->path.remote))
		return false;
	p->endpoints[0].prefix_len = info->endpoint_prefix_len;
	if (info->endpoint_count)
		p->endpoints[0].terms = info->endpoints[0].terms;
	return true;
}

static bool save_peer(struct change *c, const struct node *n, size_t i, const struct peer_info *info)
{
	struct change_peer *p = change_add_peer(c);

	if (!p)
		return false;
	p->bits = CHANGE_PEER_PSK | CHANGE_PEER_NAME | CHANGE_PEER_KEEPALIVE | (info->link_bits & CHANGE_PEER_LINK);
	memcpy(p->public_key, info->public_key, KEY_LEN);
	memcpy(p->psk, info->psk, KEY_LEN);
	memcpy(p->name, info->name, strlen(info->name) + 1);
	p->link = info->link;
	p->keepalive_s = info->keepalive_s;
	p->babel = info->babel && strcmp(info->mesh_use, "backbone");
	p->allowed_auto = info->allowed_auto;
	if (p->allowed_auto)
		p->bits |= CHANGE_PEER_ALLOWED_AUTO;
	if (p->babel || p->allowed_auto)
		p->bits |= CHANGE_PEER_BABEL;
	if (!save_endpoints(p, info))
		return false;
	node_peer_allowed(n, i, save_allowed, p);
	return true;
}

void daemon_format_config(struct daemon *d, struct text *out)
{
	struct config c = d->config;
	struct address_walk walk = { .daemon = d, .config = &c };
	struct node_info node;
	struct peer_info peer;

	c.addresses = NULL;
	c.address_count = 0;
	node_close_lanes(d->node);
	node_info(d->node, &node);
	c.change = (struct change){
		.bits = CHANGE_PRIVATE_KEY | CHANGE_LISTEN_PORT | CHANGE_FWMARK | CHANGE_LINKS | CHANGE_ROUTING,
		.listen_port = node.listen_port,
		.links = node.links,
		.spread = node.spread,
		.listen_prefix = node.listen_prefix,
		.path_spread = node.path_spread,
		.mss_clamp = node.mss_clamp,
		.uplink_count = d->config.change.uplink_count,
		.transit = d->config.change.transit,
		.fwmark = node.fwmark == d->mark && !d->config.change.fwmark ? 0 : node.fwmark,
	};
	memcpy(c.change.private_key, node.private_key, KEY_LEN);
	memcpy(c.change.uplinks, d->config.change.uplinks, sizeof(c.change.uplinks));
	if (d->tun.ifindex)
		netlink_address_each(&d->netlink, d->tun.ifindex, save_address, &walk);
	for (size_t i = 0; node_peer(d->node, i, clock_now(), &peer); i++)
		walk.failed |= !peer.recorded && !save_peer(&c.change, d->node, i, &peer);
	node_open_lanes(d->node);
	walk.failed |= !babel_settings_copy(&c.change.babel, &d->config.change.babel);
	if (!walk.failed)
		config_format(&c, out);
	free(c.addresses);
	change_done(&c.change);
	crypto_wipe(&node, sizeof(node));
	crypto_wipe(&peer, sizeof(peer));
}
