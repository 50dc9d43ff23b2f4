/* SPDX-License-Identifier: MIT */
/*
 * How the node routes. It joins a Babel speaker (babel/babel.h), which knows nothing but interfaces and packets, to
 *
 *	links		each peer with Babel is an interface of its own. Our address on all of them is made of our public key. How
 *			packets get there and from there is in routing_packets.c.
 *	the host	ordinary interfaces, and the kernel's routes.
 *	the lanes	what the speaker chose goes to the table they forward by (rib.c, fib.h).
 *
 * Changes come from the speaker in no particular hurry and in any number: they are taken a bounded number a turn, and put into the lanes'
 * table so many at a time while the gates are closed. What is announced as ours is redistribute.c's business.
 */
#include "node/routing.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "crypto/blake2s.h"
#include "node/mesh.h"
#include "node/routing_inside.h"

/*
 * Life.
 */

bool node_routing_init(struct node *n)
{
	struct routing *r = calloc(1, sizeof(*r));

	if (!r)
		return false;
	r->lan_queue = calloc(ROUTING_LAN_QUEUE, sizeof(*r->lan_queue));
	if (!r->lan_queue) {
		free(r);
		return false;
	}
	rng_fill(&n->rng, r->rib.key, sizeof(r->rib.key));
	r->sweep_us = NEVER_US;
	n->routing = r;
	return true;
}

void node_routing_done(struct node *n)
{
	struct routing *r = n->routing;

	if (!r)
		return;
	babel_free(r->babel);
	for (size_t i = 0; i < r->iface_count; i++) {
		crypto_wipe(r->ifaces[i], sizeof(*r->ifaces[i]));
		free(r->ifaces[i]);
	}
	free(r->ifaces);
	free(r->addresses);
	free(r->kernel_routes);
	free(r->lan_queue);
	redistribute_forget(r);
	babel_settings_done(&r->settings);
	resume_done(&r->resume);
	rib_done(&r->rib);
	fib_clear(&n->fib);
	lpm_clear(&n->host);
	free(r);
	n->routing = NULL;
}

/* Eight bytes that follow from a label and a public key. */
static void from_key(const uint8_t public_key[KEY_LEN], const char *label, uint8_t out[8])
{
	uint8_t hash[BLAKE2S_LEN];
	struct blake2s s;

	blake2s_init(&s, BLAKE2S_LEN, NULL, 0);
	blake2s_update(&s, label, strlen(label));
	blake2s_update(&s, public_key, KEY_LEN);
	blake2s_final(&s, hash);
	memcpy(out, hash, 8);
}

/* Our address on all links of the mesh. */
static struct ip_addr link_address(const struct node *n)
{
	struct ip_addr a = { .family = IP_V6, .bytes = { 0xfe, 0x80 } };

	from_key(n->identity.public_key, "meshd link-local v1", a.bytes + 8);
	return a;
}

/* Two bits are clear, as babeld makes its own. A hash of all zeros or ones nobody will see. */
void routing_router_id(const uint8_t public_key[KEY_LEN], uint8_t id[BABEL_ROUTER_ID_LEN])
{
	from_key(public_key, "meshd router-id v1", id);
	id[0] &= 0xfc;
}

/* In a mesh it says who announces, so it is always that of the key. */
static void choose_router_id(const struct node *n, uint8_t id[BABEL_ROUTER_ID_LEN])
{
	const struct routing *r = n->routing;

	if (r->settings.has_router_id && !n->mesh)
		memcpy(id, r->settings.router_id, BABEL_ROUTER_ID_LEN);
	else
		routing_router_id(n->identity.public_key, id);
}

void node_routing_begin(struct node *n, const struct routing_state *saved)
{
	n->routing->has_saved = saved;
	if (saved)
		n->routing->saved = *saved;
}

void node_routing_state(const struct node *n, struct routing_state *state)
{
	const struct routing *r = n->routing;

	memset(state, 0, sizeof(*state));
	if (!r->babel) {
		/* What it was is worth keeping: the same router-id may start again, and neighbours remember its seqno. */
		if (r->has_saved)
			*state = r->saved;
		return;
	}
	memcpy(state->router_id, babel_router_id(r->babel), BABEL_ROUTER_ID_LEN);
	state->clean = r->stopped && !r->planned;
	state->seqno = r->stopped ? babel_seqno(r->babel) : r->seqno_saved;
}

int64_t node_routing_hello_us(const struct node *n)
{
	return n->routing->settings.hello_us ? n->routing->settings.hello_us : BABEL_HELLO_US;
}

bool node_routing_on(const struct node *n)
{
	return n->routing->babel;
}

bool node_forwards(const struct node *n)
{
	return n->routing->babel || n->lanes[0].transit != TRANSIT_KERNEL;
}

const struct babel *node_babel(const struct node *n)
{
	return n->routing->babel;
}

const char *node_babel_owner_name(const struct node *n, const void *owner, bool *is_peer)
{
	const struct routing_iface *i = owner;

	(void)n;
	*is_peer = i && i->peer;
	if (!i)
		return "";
	if (i->peer)
		return i->peer->name[0] ? i->peer->name : i->name;
	return i->lan.name;
}

/* Whether anything asks for Babel. */
static bool wanted(const struct node *n)
{
	if (n->routing->settings.section || node_mesh_on(n))
		return true;
	for (size_t i = 0; i < n->peer_count; i++)
		if (peer_has_babel(n->peers[i]))
			return true;
	return false;
}

/*
 * What is saved is ahead of what is used, so that it is not for others to say how often a file is written: they can have the seqno raised.
 */
static void save_seqno(struct node *n)
{
	n->routing->seqno_saved = (uint16_t)(babel_seqno(n->routing->babel) + ROUTING_SEQNO_AHEAD);
	n->effects |= NODE_EFFECT_BABEL_STATE;
}

/*
 * A seqno we do not remember is a small one: BIRD 2.0.12 takes the space for a line, not a circle. Then, and after a crash, neighbours
 * may hold things of us that are not so any more.
 */
static void speaker_start(struct node *n)
{
	struct routing *r = n->routing;
	struct babel_config c = { .clean = !r->has_saved };

	choose_router_id(n, c.router_id);
	c.seqno = (uint16_t)(1 + rng_below(&n->rng, 0x1000));
	if (r->has_saved && !memcmp(r->saved.router_id, c.router_id, BABEL_ROUTER_ID_LEN)) {
		c.seqno = r->saved.seqno;
		c.clean = r->saved.clean;
	}
	r->babel = resume_speaker(n, &c);
	if (!r->babel) {
		log_error(&n->log, "Babel does not start: out of memory");
		return;
	}
	babel_set_filters(r->babel, r->settings.filters, r->settings.filter_count, r->now);
	node_mesh_judge(n, r->babel, r->now);
	if (r->settings.has_router_id && n->mesh)
		log_warning(&n->log, "RouterId is ignored: in a mesh it follows from the key");
	redistribute_forget(r);
	save_seqno(n);
}

/* It goes while it could go on: neighbours are told at once. Without 'polite' there is nobody to hear it. */
static void iface_end(struct node *n, struct routing_iface *i, bool polite, struct instant now)
{
	struct routing *r = n->routing;
	struct babel_datagram d;

	if (!i->babel)
		return;
	if (polite && babel_iface_farewell(r->babel, i->babel, &d, now))
		routing_send(n, i, &d);
	babel_iface_remove(r->babel, i->babel, now);
	i->babel = NULL;
}

/* Nobody wants it any more, or it starts again with another name. */
static void speaker_end(struct node *n)
{
	struct routing *r = n->routing;

	resume_done(&r->resume);
	if (r->babel) {
		node_routing_state(n, &r->saved);
		r->saved.seqno = babel_seqno(r->babel);
		r->saved.clean = r->has_saved = true;
	}
	for (size_t i = 0; i < r->iface_count; i++)
		iface_end(n, r->ifaces[i], true, r->now);
	babel_free(r->babel);
	r->babel = NULL;
	redistribute_forget(r);
	rib_reset(&r->rib);
}

/*
 * Interfaces.
 */

static struct routing_iface *iface_new(struct routing *r)
{
	struct routing_iface **list, *i;
	size_t size = r->iface_size ? 2 * r->iface_size : 8;

	if (r->iface_count == BABEL_IFACES_MAX)
		return NULL;
	if (r->iface_count == r->iface_size) {
		list = realloc(r->ifaces, size * sizeof(*list));
		if (!list)
			return NULL;
		r->ifaces = list;
		r->iface_size = size;
	}
	i = calloc(1, sizeof(*i));
	if (i)
		r->ifaces[r->iface_count++] = i;
	return i;
}

static void iface_free(struct node *n, struct routing_iface *i, struct instant now)
{
	struct routing *r = n->routing;
	size_t at = 0;

	iface_end(n, i, true, now);
	if (i->peer)
		i->peer->routing = NULL;
	while (r->ifaces[at] != i)
		at++;
	r->iface_count--;
	memmove(r->ifaces + at, r->ifaces + at + 1, (r->iface_count - at) * sizeof(*r->ifaces));
	crypto_wipe(i, sizeof(*i));
	free(i);
}

static struct ip_addr first_address4(const struct routing *r)
{
	for (size_t i = 0; i < r->address_count; i++)
		if (r->addresses[i].addr.family == IP_V4)
			return r->addresses[i].addr;
	return (struct ip_addr){ 0 };
}

/* The interval of full updates that goes with one of Hellos; it has to fit its field. */
static int64_t updates_of(int64_t hello_us)
{
	int64_t us = BABEL_UPDATE_HELLOS * hello_us;

	return us < BABEL_INTERVAL_MAX_US ? us : BABEL_INTERVAL_MAX_US;
}

static void common_config(const struct routing *r, struct babel_iface_config *c)
{
	c->hello_us = r->settings.hello_us ? r->settings.hello_us : BABEL_HELLO_US;
	c->update_us = updates_of(c->hello_us);
	c->via6 = true;
}

/* A link is a tunnel to one neighbour, and what it learns there it does tell it again: the neighbour's source check lives on that. */
static void link_config(const struct node *n, const struct peer *p, struct babel_iface_config *c)
{
	babel_iface_defaults(c, BABEL_TUNNEL);
	common_config(n->routing, c);
	c->split_horizon = false;
	c->address = link_address(n);
	c->address4 = first_address4(n->routing);
	c->mtu = n->lanes[0].mtu;
	memcpy(c->name, p->name[0] ? p->name : p->routing->name, p->name[0] ? sizeof(p->name) : sizeof(p->routing->name));
}

static void lan_config(const struct routing *r, const struct routing_iface *i, struct babel_iface_config *c)
{
	const struct babel_lan *lan = &i->lan;

	babel_iface_defaults(c, lan->type);
	common_config(r, c);
	if (lan->hello_us) {
		c->hello_us = lan->hello_us;
		c->update_us = updates_of(c->hello_us);
	}
	if (lan->update_us)
		c->update_us = lan->update_us;
	if (lan->rxcost)
		c->rxcost = lan->rxcost;
	if (lan->rtt >= 0)
		c->rtt = lan->rtt;
	if (lan->split_horizon >= 0)
		c->split_horizon = lan->split_horizon;
	c->accept_unauthenticated = lan->accept_unauthenticated;
	c->key_count = lan->key_count;
	memcpy(c->keys, lan->keys, sizeof(c->keys));
	memcpy(c->name, lan->name, sizeof(lan->name));
	c->address = i->seen.address;
	c->address4 = i->seen.address4;
	c->mtu = i->seen.mtu;
}

static void tell_cost(struct node *n, const struct routing_iface *i, struct instant now)
{
	struct babel_link_cost cost = { .nominal = 0 };

	if (i->peer->data.managed)
		cost.nominal = paths_cost(&i->peer->paths, &cost.down);
	babel_iface_cost(n->routing->babel, i->babel, &cost, now);
}

void node_routing_cost(struct node *n, struct peer *p, struct instant now)
{
	if (n->routing && p->routing && p->routing->babel) {
		tell_cost(n, p->routing, now);
		n->routing->more = true;
	}
}

/* Give the speaker an interface as it is now, or take it away. */
static void iface_sync(struct node *n, struct routing_iface *i, struct instant now)
{
	struct routing *r = n->routing;
	bool there = n->up && (i->peer ? n->identity.set : i->seen.up && i->seen.ifindex && i->seen.address.family == IP_V6);
	struct babel_iface_config c;

	if (!there) {
		iface_end(n, i, false, now);
		return;
	}
	if (i->peer)
		link_config(n, i->peer, &c);
	else
		lan_config(r, i, &c);
	if (i->babel) {
		babel_iface_set(r->babel, i->babel, &c, now);
	} else {
		i->babel = babel_iface_add(r->babel, &c, i, now);
		resume_iface(r, i);
		if (i->babel && i->peer)
			tell_cost(n, i, now);
	}
	crypto_wipe(&c, sizeof(c));
}

static struct routing_iface *lan_find(const struct routing *r, const char *name)
{
	for (size_t i = 0; i < r->iface_count; i++)
		if (!r->ifaces[i]->peer && !strcmp(r->ifaces[i]->lan.name, name))
			return r->ifaces[i];
	return NULL;
}

static void want_lans(struct node *n)
{
	struct routing *r = n->routing;

	for (size_t k = 0; k < r->settings.lan_count; k++) {
		const struct babel_lan *lan = &r->settings.lans[k];
		struct routing_iface *i = lan_find(r, lan->name);

		if (!i)
			i = iface_new(r);
		if (!i)
			return;
		i->lan = *lan;
		i->wanted = true;
	}
}

/* What a peer without a name is called: the beginning of its key, as "wg" shows it. */
static void name_link(struct routing_iface *i)
{
	char key[KEY_BASE64_MAX];

	key_to_base64(key, i->peer->public_key);
	memcpy(i->name, key, sizeof(i->name) - 1);
}

static void want_links(struct node *n)
{
	for (size_t k = 0; k < n->peer_count; k++) {
		struct peer *p = n->peers[k];

		if (!peer_has_babel(p))
			continue;
		if (!p->routing) {
			p->routing = iface_new(n->routing);
			if (!p->routing)
				return;
			p->routing->peer = p;
			name_link(p->routing);
		}
		p->routing->wanted = true;
	}
}

static void set_link_flags(struct node *n)
{
	for (size_t k = 0; k < n->peer_count; k++) {
		struct peer *p = n->peers[k];
		bool runs = peer_has_babel(p) && n->routing->babel;

		if (p->data.babel == runs)
			continue;
		node_close_lanes(n);
		p->data.babel = runs;
		node_open_lanes(n);
	}
}

/* Make speaker and interfaces what settings and peers ask for. */
static void sync(struct node *n, struct instant now)
{
	struct routing *r = n->routing;
	uint8_t id[BABEL_ROUTER_ID_LEN];

	r->now = now;
	if (r->stopped)
		return;
	choose_router_id(n, id);
	if (r->babel && (!wanted(n) || memcmp(id, babel_router_id(r->babel), sizeof(id))))
		speaker_end(n);
	if (!r->babel && wanted(n) && (n->identity.set || r->settings.has_router_id))
		speaker_start(n);
	for (size_t i = 0; i < r->iface_count; i++)
		r->ifaces[i]->wanted = false;
	if (r->babel) {
		want_lans(n);
		want_links(n);
	}
	for (size_t i = r->iface_count; i-- > 0;)
		if (!r->ifaces[i]->wanted)
			iface_free(n, r->ifaces[i], now);
	for (size_t i = 0; i < r->iface_count; i++)
		iface_sync(n, r->ifaces[i], now);
	set_link_flags(n);
	if (!redistribute(n, now))
		log_warning(&n->log, "Babel announces what it did before: out of memory");
	r->more = r->babel || r->rib.fib_first;
}

void node_routing_apply(struct node *n, struct babel_settings *settings, struct instant now)
{
	struct routing *r = n->routing;

	babel_settings_done(&r->settings);
	r->settings = *settings;
	memset(settings, 0, sizeof(*settings));
	if (r->babel)
		babel_set_filters(r->babel, r->settings.filters, r->settings.filter_count, now);
	sync(n, now);
}

void node_routing_changed(struct node *n, struct instant now)
{
	sync(n, now);
}

static void update_fib(struct node *n)
{
	struct routing *r = n->routing;
	bool more = r->rib.fib_first;

	while (more) {
		node_close_lanes(n);
		more = rib_to_fib(&r->rib, &n->fib, ROUTING_CHANGES_GATE);
		node_open_lanes(n);
	}
}

void node_routing_forget_peer(struct node *n, struct peer *p)
{
	struct routing *r = n->routing;

	if (!r)
		return;
	/* What follows for routes comes out of the speaker in the next turn. */
	if (p->routing)
		iface_free(n, p->routing, r->now);
	rib_forget_peer(&r->rib, &p->data);
	update_fib(n);
	if (r->rib.fib_first) {
		/* Not all of it was carried over, for lack of memory. */
		node_close_lanes(n);
		fib_forget_peer(&n->fib, &p->data);
		node_open_lanes(n);
	}
	r->more = r->babel || r->rib.fib_first;
}

/*
 * The host.
 */

/*
 * What lanes must not forward: our own addresses, and networks the kernel has other ways to than ours. A default route of the
 * host's is none: the mesh's goes before it. False: no memory, and the table is as it was.
 */
static bool set_host_table(struct node *n)
{
	const struct routing *r = n->routing;
	struct lpm fresh = { 0 };
	bool good = true;

	for (size_t i = 0; good && i < r->address_count; i++) {
		struct ip_prefix own = r->addresses[i];

		own.len = (uint8_t)ip_family_bits(own.addr.family);
		good = lpm_insert(&fresh, &own, n);
	}
	for (size_t i = 0; good && i < r->kernel_route_count; i++) {
		const struct prefix_pair *p = &r->kernel_routes[i].prefix;

		if (p->dst.len && !p->src.len)
			good = lpm_insert(&fresh, &p->dst, n);
	}
	if (good) {
		struct lpm old = n->host;

		node_close_lanes(n);
		n->host = fresh;
		node_open_lanes(n);
		fresh = old;
	}
	lpm_clear(&fresh);
	return good;
}

bool node_set_addresses(struct node *n, const struct ip_prefix *addresses, size_t count, struct instant now)
{
	struct routing *r = n->routing;
	struct ip_prefix *copy = malloc((count + 1) * sizeof(*copy));
	struct ip_addr own[2] = { { 0 } };

	if (!copy)
		return false;
	if (count)
		memcpy(copy, addresses, count * sizeof(*copy));
	free(r->addresses);
	r->addresses = copy;
	r->address_count = count;
	for (size_t i = count; i-- > 0;)
		if (!ip_addr_is_link_local(&copy[i].addr))
			own[copy[i].addr.family == IP_V6] = copy[i].addr;
	node_close_lanes(n);
	for (unsigned int i = 0; i < n->lane_count; i++)
		lane_set_addresses(&n->lanes[i], &own[0], &own[1]);
	node_open_lanes(n);
	sync(n, now);
	return set_host_table(n);
}

bool node_lan_wanted(const struct node *n, size_t i, char name[16])
{
	const struct babel_settings *s = &n->routing->settings;

	if (i >= s->lan_count)
		return false;
	memcpy(name, s->lans[i].name, 16);
	return true;
}

void node_set_lan(struct node *n, const struct node_lan *lan, struct instant now)
{
	struct routing_iface *i = lan_find(n->routing, lan->name);

	n->routing->now = now;
	if (!i)
		return;
	if (i->seen.ifindex != lan->ifindex)
		iface_end(n, i, false, now);
	i->seen = *lan;
	iface_sync(n, i, now);
	n->routing->more = true;
}

/* The kernel has routes that it had not, or not any more: those of ours to the same prefixes are looked at again. */
static void routes_beside(struct routing *r, const struct kernel_route *routes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rib_kernel_again(&r->rib, &routes[i].prefix);
}

bool node_set_kernel_routes(struct node *n, const struct kernel_route *routes, size_t count, struct instant now)
{
	struct routing *r = n->routing;
	struct kernel_route *copy = malloc((count + 1) * sizeof(*copy));

	if (!copy)
		return false;
	if (count)
		memcpy(copy, routes, count * sizeof(*copy));
	routes_beside(r, r->kernel_routes, r->kernel_route_count);
	routes_beside(r, copy, count);
	free(r->kernel_routes);
	r->kernel_routes = copy;
	r->kernel_route_count = count;
	return set_host_table(n) && redistribute(n, now);
}

/*
 * The kernel's own route to the very same prefix goes first, whatever its metric: a network this host is on must not be taken away from it by
 * what somebody announces. Default routes are a matter of tables and rules.
 */
static bool is_kernels_own(const struct node *n, const struct prefix_pair *p)
{
	return p->dst.len && !p->src.len && lpm_exact(&n->host, &p->dst);
}

bool node_next_route(struct node *n, struct node_route *route)
{
	if (!rib_to_kernel(&n->routing->rib, route))
		return false;
	if (is_kernels_own(n, &route->prefix))
		route->kind = NODE_ROUTE_NONE;
	return true;
}

/*
 * The turn.
 */

static void sweep_later(struct routing *r, int64_t now_us)
{
	if (r->sweep_us == NEVER_US && (r->rib.lingering || r->left_out))
		r->sweep_us = now_us + ROUTING_SWEEP_MS * US_PER_MS;
}

static bool is_own_address(const struct routing *r, const struct prefix_pair *p)
{
	for (size_t i = 0; i < r->address_count; i++)
		if (p->dst.len == ip_family_bits(p->dst.addr.family) && ip_addr_equal(&r->addresses[i].addr, &p->dst.addr))
			return true;
	return false;
}

static void set_announcers(struct node *n, struct rib_entry *e, const struct prefix_pair *prefix, int64_t now_us)
{
	struct routing *r = n->routing;
	size_t all = babel_announcers(r->babel, prefix, r->announcers, BABEL_IFACES_MAX), count = 0;

	/* Our own address is nobody's to send from. Networks of ours may have other routers, and so other ways for their packets. */
	for (size_t at = 0; at < all && !is_own_address(r, prefix); at++) {
		const struct routing_iface *owner = babel_iface_owner(r->announcers[at]);

		if (owner->peer)
			r->announcing[count++] = &owner->peer->data;
	}
	rib_set_announcers(&r->rib, e, r->announcing, count, now_us);
	sweep_later(r, now_us);
}

/* Of a plain device behind us, which is ours to announce: the kernel has to give us what is for it. */
static bool is_devices(const struct node *n, const struct prefix_pair *p)
{
	const struct lane_peer *owner = p->src.len ? NULL : lpm_exact(&n->allowed, &p->dst);

	return owner && container_of(owner, struct peer, data)->mesh.device;
}

/* What the tables shall have, of a change. */
static void set_route(const struct node *n, const struct babel_change *c, struct rib_entry *e)
{
	const struct routing_iface *via = c->action == BABEL_VIA ? babel_iface_owner(c->iface) : NULL;

	e->peer = via && via->peer ? &via->peer->data : NULL;
	e->ifindex = via && !via->peer ? via->seen.ifindex : 0;
	e->gateway = e->ifindex ? c->next_hop : (struct ip_addr){ 0 };
	e->kind = NODE_ROUTE_NONE;
	switch (c->action) {
	case BABEL_NO_ROUTE:
		e->action = FIB_NONE;
		break;
	case BABEL_VIA:
		e->action = e->peer ? FIB_PEER : FIB_HOST;
		e->kind = e->peer ? NODE_ROUTE_TUN : NODE_ROUTE_LAN;
		break;
	case BABEL_UNREACHABLE:
		e->action = FIB_UNREACHABLE;
		e->kind = NODE_ROUTE_UNREACHABLE;
		break;
	case BABEL_OWN:
		e->action = FIB_HOST;
		e->kind = is_devices(n, &c->prefix) ? NODE_ROUTE_TUN : NODE_ROUTE_NONE;
		break;
	}
}

static void take_change(struct node *n, const struct babel_change *c, struct instant now)
{
	struct routing *r = n->routing;
	struct rib_entry *e = rib_get(&r->rib, &c->prefix), before;

	if (!e) {
		if (!r->memory_logged)
			log_error(&n->log, "Babel: routes are not taken, out of memory");
		r->memory_logged = true;
		return;
	}
	before = *e;
	set_route(n, c, e);
	if (e->action != before.action || e->peer != before.peer || e->kind != before.kind || e->ifindex != before.ifindex ||
	    !ip_addr_equal(&e->gateway, &before.gateway))
		rib_changed(&r->rib, e);
	/* Last: an entry with nothing left in it goes. */
	set_announcers(n, e, &c->prefix, now.mono_us);
}

static void take_changes(struct node *n, struct instant now)
{
	struct routing *r = n->routing;
	struct babel_change c;
	unsigned int taken = 0;

	while (r->babel && taken < ROUTING_CHANGES_TURN && babel_next_change(r->babel, &c)) {
		take_change(n, &c, now);
		taken++;
	}
	r->more |= taken == ROUTING_CHANGES_TURN;
}

/* What time does to tables: those who stopped announcing, and what found no room. */
static void sweep(struct node *n, struct instant now)
{
	struct routing *r = n->routing;

	rib_expire(&r->rib, now.mono_us);
	if (r->left_out)
		redistribute(n, now);
	r->sweep_us = NEVER_US;
	sweep_later(r, now.mono_us);
}

void node_routing_turn(struct node *n, struct instant now)
{
	struct routing *r = n->routing;

	r->more = false;
	r->now = now;
	if (r->babel) {
		routing_take(n, now);
		babel_turn(r->babel, now);
		routing_give(n, now);
		take_changes(n, now);
		if ((uint16_t)(r->seqno_saved - babel_seqno(r->babel)) > ROUTING_SEQNO_AHEAD)
			save_seqno(n);
	}
	if (r->sweep_us <= now.mono_us)
		sweep(n, now);
	sweep_later(r, now.mono_us);
	update_fib(n);
}

int64_t node_routing_deadline(const struct node *n)
{
	const struct routing *r = n->routing;
	int64_t next_us = r->sweep_us;

	if (r->more)
		return 0;
	if (r->babel && r->lan_count < ROUTING_LAN_QUEUE && babel_deadline(r->babel) < next_us)
		next_us = babel_deadline(r->babel);
	return next_us;
}

void node_routing_stop(struct node *n, bool planned, struct instant now)
{
	struct routing *r = n->routing;

	if (!r->babel || r->stopped)
		return;
	babel_stop(r->babel, planned, now);
	r->stopped = true;
	r->planned = planned;
	routing_give(n, now);
	n->effects |= NODE_EFFECT_BABEL_STATE;
}
