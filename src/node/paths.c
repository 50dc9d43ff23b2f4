/* SPDX-License-Identifier: MIT */
/*
 * Paths and peers. What path/path.h decides about paths becomes what lanes, Babel and the driver do, and what those see becomes what it
 * decides by:
 *
 *	configured, told and heard endpoints, addresses of the host -> candidates -> the driver is asked for the way of each
 *	control messages 7 to 10, counters of the lanes, handshakes -> measurements
 *	the choice -> the links' path, sub-sessions, the MTU, the cost of Babel's link
 *
 * That is so for a peer that is managed: both sides have said that they speak paths. A plain one is where it was heard last, as WireGuard has
 * it; its candidates serve for handshakes (fanout.c), and where its local address has gone or its way leads into our own mesh.
 *
 * Nothing here wakes an idle node: lanes are looked at when they have noted something, and for as long as there is traffic.
 */
#include "node/paths.h"

#include <stdlib.h>
#include <string.h>

#include "node/inside.h"
#include "node/mesh.h"
#include "node/routing.h"
#include "wire/mesh.h"

/* Addresses of the host, for one peer. */
struct locals {
	struct path_local v[PATH_LOCALS_MAX + 1];
	size_t count;
};

/* The one the peer sends to in our listen prefix is no interface's, and ours all the same. */
static void locals_of(const struct node *n, const struct peer *p, struct locals *l)
{
	const struct ip_addr *own = &p->ways.listen_local;

	l->count = n->local_count;
	memcpy(l->v, n->locals, l->count * sizeof(l->v[0]));
	if (l->count && own->family != IP_NONE && ip_prefix_covers(&n->listen_prefix, own))
		l->v[l->count++] = (struct path_local){ .addr = *own };
}

static void note_local(const struct node *n, struct peer *p, const struct ip_addr *local)
{
	if (ip_prefix_covers(&n->listen_prefix, local))
		p->ways.listen_local = *local;
}

static struct path *heard(const struct node *n, struct peer *p, const struct path_addr *from, bool answer, struct instant now,
			  unsigned int *events)
{
	struct locals l;

	note_local(n, p, &from->local);
	locals_of(n, p, &l);
	return paths_heard(&p->paths, from, answer, l.v, l.count, now, events);
}

/* The path that packets take which go by 'addr': where the local address is the kernel's choice, the one it prefers. NULL: none. */
static struct path *path_of(const struct peer *p, const struct path_addr *addr)
{
	struct path *best = addr->local.family != IP_NONE ? paths_find(&p->paths, addr) : NULL;

	for (size_t i = 0; !best && i < p->paths.path_count; i++)
		if (p->paths.v[i]->preferred && endpoint_equal(&p->paths.v[i]->addr.remote, &addr->remote))
			best = p->paths.v[i];
	for (size_t i = 0; !best && i < p->paths.path_count; i++)
		if (endpoint_equal(&p->paths.v[i]->addr.remote, &addr->remote))
			best = p->paths.v[i];
	return best;
}

static bool shares(const struct node *n)
{
	return n->path_spread == PATHS_ALL;
}

/*
 * What was decided is done.
 */

/* Where session 0 of the peer goes from now on, in all lanes. True: that is new. */
static bool set_path(struct node *n, struct peer *p, const struct path_addr *path, bool loops)
{
	bool news, freed;

	node_close_lanes(n);
	news = !path_addr_equal(&peer_link(p)->path, path);
	freed = p->data.endpoint_loops && !loops;
	for (unsigned int i = 0; i < n->lane_count; i++)
		p->data.links[i].path = *path;
	p->data.endpoint_loops = loops;
	node_open_lanes(n);
	if (freed && n->up)
		lane_kick(peer_lane(n, p), peer_link(p));
	return news;
}

static void set_mtu(struct node *n, struct peer *p)
{
	uint32_t mtu = p->data.managed ? paths_mtu(&p->paths, shares(n)) : 0;

	if (mtu > n->lanes[0].mtu)
		mtu = n->lanes[0].mtu;
	if (mtu == p->data.mtu)
		return;
	node_close_lanes(n);
	p->data.mtu = mtu;
	node_open_lanes(n);
}

static struct path_addr kernels_choice(const struct path_addr *path)
{
	return (struct path_addr){ .remote = path->remote };
}

static bool carries(const struct path *x)
{
	return (x->way == PATH_OPEN || x->way == PATH_UNCHECKED) && !x->terms.never;
}

/* The ways to where the peer is: whether the kernel's choice is one to take, else another, else whether they loop. */
struct outlook {
	bool any, checked;
	bool kernels;
	bool loops;
	const struct path *other;
};

static struct outlook outlook_of(const struct peer *p, const struct endpoint *remote)
{
	struct outlook o = { .any = false };

	for (size_t i = 0; i < p->paths.path_count; i++) {
		const struct path *x = p->paths.v[i];

		if (!endpoint_equal(&x->addr.remote, remote))
			continue;
		o.any = true;
		o.checked |= x->way != PATH_UNCHECKED;
		o.loops |= x->way == PATH_LOOPS;
		if (carries(x) && (x->way == PATH_UNCHECKED || x->preferred || x->addr.local.family == IP_NONE))
			o.kernels = true;
		else if (carries(x) && !o.other)
			o.other = x;
	}
	return o;
}

/* Another path is used. Where there is none left we can only hope for what the kernel finds, unless that is our own mesh. */
static void move(struct node *n, struct peer *p, bool urgent, struct instant now)
{
	const struct path *current = p->paths.current;
	struct path_addr here = peer_path(n, p);
	struct path_addr to = current ? current->addr : kernels_choice(&here);
	struct outlook o = outlook_of(p, &to.remote);

	/* An urgent move to where we are: sub-sessions are still on a path that was left before, and has died since. */
	if (!set_path(n, p, &to, current ? current->way == PATH_LOOPS : !o.kernels && o.loops) && !urgent)
		return;
	set_mtu(n, p);
	if (urgent || !current)
		spread_moved(n, p, now);
	else
		spread_repathed(n, p, now);
}

static void act_on(struct node *n, struct peer *p, unsigned int events, struct instant now)
{
	if (events & PATHS_UNCHECKED)
		n->effects |= NODE_EFFECT_ENDPOINTS;
	if (!p->data.managed)
		return;
	if (events & (PATHS_CHOSEN | PATHS_URGENT))
		move(n, p, events & PATHS_URGENT, now);
	else if (events & PATHS_SHARE && shares(n))
		spread_repathed(n, p, now);
	if (events & (PATHS_MTU | PATHS_SHARE))
		set_mtu(n, p);
	if (events & (PATHS_COST | PATHS_CHOSEN)) {
		node_routing_cost(n, p, now);
		node_mesh_path(n, p, now);
	}
}

/*
 * Peers that are not managed.
 */

/* Where it may be instead when where it should be leads nowhere: the first of the other candidates. */
static const struct path *elsewhere(const struct peer *p, const struct endpoint *remote)
{
	const struct path *v[PATHS_MAX];
	size_t count = paths_candidates(&p->paths, v, PATHS_MAX);

	for (size_t i = 0; i < count; i++)
		if (v[i]->way == PATH_OPEN && !endpoint_equal(&v[i]->addr.remote, remote))
			return v[i];
	return NULL;
}

/*
 * The peer stays where it was heard, by the local address it was heard at as long as that is there and its way is good. If no way leads there
 * (all into the mesh again, or the interface went down) then nothing that is sent would find that out, so it is at the next candidate.
 */
static void settle(struct node *n, struct peer *p, struct instant now)
{
	struct path_addr here = peer_path(n, p), to = kernels_choice(&here);
	const struct path *x = here.local.family != IP_NONE ? paths_find(&p->paths, &here) : NULL;
	struct outlook o = outlook_of(p, &here.remote);
	bool loops = false;

	if (p->data.managed || here.remote.addr.family == IP_NONE)
		return;
	if (!x && !n->local_count && here.local.family != IP_NONE)
		x = path_of(p, &here);
	if ((x && carries(x)) || (!o.any && !n->local_count))
		to = here;
	else if (!o.kernels && o.other)
		to = o.other->addr;
	else if (!o.kernels && o.checked && (x = elsewhere(p, &here.remote)))
		to = x->addr;
	else
		loops = !o.kernels && o.loops;
	/* While nobody has looked there is nothing to say about loops. */
	set_path(n, p, &to, o.checked ? loops : p->data.endpoint_loops);
	paths_set_current(&p->paths, path_of(p, &to), PATH_WHY_PLAIN, now);
}

static void rebuild(struct node *n, struct peer *p, struct instant now)
{
	struct locals l;
	unsigned int events;

	locals_of(n, p, &l);
	events = paths_rebuild(&p->paths, l.v, l.count, now);
	act_on(n, p, events, now);
	settle(n, p, now);
	peer_rearm(n, p);
}

/*
 * Life, and what is configured.
 */

void peer_paths_init(struct node *n, struct peer *p)
{
	paths_init(&p->paths, (uint16_t)rng_u32(&n->rng));
	p->ways.sequence = (uint16_t)rng_u32(&n->rng);
}

void peer_paths_done(struct peer *p)
{
	paths_done(&p->paths);
	free(p->ways.counts);
	p->ways.counts = NULL;
}

static size_t configured(const struct peer *p, struct path_remote v[PATH_REMOTES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < p->endpoint_count; i++)
		for (size_t k = 0; k < p->endpoints[i].count && count < PATH_REMOTES_MAX; k++)
			v[count++] = (struct path_remote){ .endpoint = p->endpoints[i].v[k], .terms = p->endpoints[i].terms };
	return count;
}

void peer_paths_endpoints(struct node *n, struct peer *p, struct instant now)
{
	struct path_remote v[PATH_REMOTES_MAX] = { { .origins = 0 } };
	size_t count = configured(p, v);
	struct path_addr path = { 0 };

	paths_set_remotes(&p->paths, PATH_CONFIGURED, v, count);
	if (count && !p->data.managed) {
		path.remote = v[0].endpoint;
		lane_set_path(peer_lane(n, p), peer_link(p), &path);
	}
	rebuild(n, p, now);
}

void peer_paths_roamed(struct node *n, struct peer *p, struct instant now)
{
	struct path_addr here = peer_path(n, p);
	unsigned int events = 0;
	struct path *x;

	if (p->data.managed || here.remote.addr.family == IP_NONE)
		return;
	/* Without a local address it was not heard there, but told to be there. */
	x = here.local.family != IP_NONE ? heard(n, p, &here, false, now, &events) : path_of(p, &here);
	events |= paths_set_current(&p->paths, x, PATH_WHY_PLAIN, now);
	act_on(n, p, events, now);
	settle(n, p, now);
}

void peer_paths_handshake(struct node *n, struct peer *p, const struct lane_handshake *h, bool answer, struct instant now)
{
	const struct path *current = p->paths.current;
	unsigned int events = 0;
	struct path *x = heard(n, p, &h->from, answer, now, &events);

	if (!p->data.managed) {
		lane_set_path(peer_lane(n, p), peer_link(p), &h->from);
		events |= paths_set_current(&p->paths, x, PATH_WHY_PLAIN, now);
	} else if (x && x != current && (!current || current->state == PATH_DEAD || !carries(current)) && carries(x)) {
		events |= paths_set_current(&p->paths, x, current ? PATH_WHY_DEATH : PATH_WHY_FIRST, now) | PATHS_CHOSEN | PATHS_URGENT;
	}
	act_on(n, p, events, now);
}

static void tell_soon(struct peer *p, struct instant now, int64_t after_ms)
{
	p->ways.tells = PATHS_TELLS;
	p->ways.tell_us = now.mono_us + after_ms * US_PER_MS;
}

void peer_paths_session(struct node *n, struct peer *p, struct instant now)
{
	fanout_confirmed(p);
	p->ways.their_known = false;
	if (p->data.managed)
		tell_soon(p, now, 0);
	peer_rearm(n, p);
}

void peer_paths_forget(struct node *n, struct peer *p, struct instant now)
{
	fanout_done(p);
	p->ways.their_known = false;
	p->ways.tells = 0;
	p->ways.look = false;
	paths_forget(&p->paths, now);
	(void)n;
}

static bool wanted(const struct node *n, const struct peer *p)
{
	return p->rekey.persistent_s || p->mesh.opening || p->mesh.shortcut || (peer_has_babel(p) && node_routing_on(n));
}

static void manage(struct node *n, struct peer *p, struct instant now)
{
	struct path_addr here = peer_path(n, p);
	struct path *current = path_of(p, &here);
	unsigned int events = 0;

	p->ways.counts = calloc(SUB_SESSIONS, sizeof(*p->ways.counts));
	if (!p->ways.counts)
		return;
	if (!current && here.remote.addr.family != IP_NONE)
		current = heard(n, p, &here, false, now, &events);
	node_close_lanes(n);
	p->data.managed = true;
	node_open_lanes(n);
	p->ways.look = true;
	p->paths.spread = shares(n);
	events |= paths_set_managed(&p->paths, true, current, now);
	paths_want(&p->paths, wanted(n, p), now);
	tell_soon(p, now, 0);
	act_on(n, p, events | PATHS_COST | PATHS_MTU, now);
}

static void release(struct node *n, struct peer *p, struct instant now)
{
	unsigned int events = paths_set_managed(&p->paths, false, p->paths.current, now);

	node_close_lanes(n);
	p->data.managed = false;
	p->data.mtu = 0;
	node_open_lanes(n);
	free(p->ways.counts);
	p->ways.counts = NULL;
	p->ways.look = p->ways.told = false;
	p->ways.tells = 0;
	act_on(n, p, events, now);
	settle(n, p, now);
	node_routing_cost(n, p, now);
}

void peer_paths_managed(struct node *n, struct peer *p, bool managed, struct instant now)
{
	if (p->data.managed == managed)
		return;
	if (managed)
		manage(n, p, now);
	else
		release(n, p, now);
}

void peer_paths_settings(struct node *n, struct peer *p, struct instant now)
{
	bool reshared = p->paths.spread != shares(n);

	p->paths.spread = shares(n);
	if (!p->data.managed)
		return;
	paths_want(&p->paths, wanted(n, p), now);
	set_mtu(n, p);
	if (reshared)
		spread_repathed(n, p, now);
	peer_rearm(n, p);
}

/*
 * Messages. Out.
 */

struct out {
	struct node *n;
	struct peer *p;
};

static void send_over(void *ctx, const struct path *x, const uint8_t *msg, size_t len, uint32_t outer)
{
	struct out *o = ctx;

	lane_send_over(peer_lane(o->n, o->p), peer_link(o->p), SUB_SESSION_CONTROL, &x->addr, 0, (uint16_t)outer, 0, msg, (uint32_t)len);
}

/* By that of another tunnel a peer would send through two, which ends where it would anyway. */
bool paths_local_is_told(const struct path_local *l)
{
	const struct ip_addr *a = &l->addr;
	bool loopback = a->family == IP_V4 ? a->bytes[0] == 127 : !memcmp(a->bytes, (const uint8_t[16]){ [15] = 1 }, 16);

	return a->family != IP_NONE && !l->terms.never && !l->tunnel && !loopback && !ip_addr_is_link_local(a) &&
	       !(a->family == IP_V4 && a->bytes[0] == 169 && a->bytes[1] == 254);
}

static void tell(struct node *n, struct peer *p, struct instant now)
{
	struct mesh_addresses m = { .count = 0 };
	uint8_t msg[MESH_MESSAGE_MAX];

	p->ways.tells--;
	p->ways.tell_us = now.mono_us + PATHS_TELL_MS * US_PER_MS;
	for (size_t i = 0; i < n->local_count && m.count < MESH_ADDRESSES_MAX && n->listen_port; i++)
		if (paths_local_is_told(&n->locals[i]) && !n->locals[i].spare)
			m.entries[m.count++] = (struct mesh_address){
				.endpoint = { .addr = n->locals[i].addr, .port = n->listen_port },
				.metered = n->locals[i].terms.metered,
			};
	/* None at all is worth telling only to who knows of some. */
	if (!m.count && !p->ways.told) {
		p->ways.tells = 0;
		return;
	}
	p->ways.told = true;
	m.sequence = p->ways.sequence;
	lane_send_control(peer_lane(n, p), peer_link(p), SUB_SESSION_CONTROL, 0, msg, (uint32_t)mesh_addresses_write(msg, &m));
}

/*
 * In.
 */

/* Not more often than that, or a peer could have us send to ever other addresses. What is left out is told again. */
static bool may_take(struct peer *p, struct instant now)
{
	int64_t from_us = p->ways.take_us > now.mono_us ? p->ways.take_us : now.mono_us;

	if (from_us - now.mono_us > (PATHS_TAKE_BURST - 1) * PATHS_TAKE_MS * US_PER_MS)
		return false;
	p->ways.take_us = from_us + PATHS_TAKE_MS * US_PER_MS;
	return true;
}

static bool take_addresses(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct path_remote v[MESH_ADDRESSES_MAX];
	struct mesh_addresses m;
	size_t count = 0;

	if (!mesh_addresses_read(&m, c->msg, c->len))
		return false;
	/* The same again, or an older one that was late. */
	if (p->ways.their_known && (int16_t)(m.sequence - p->ways.their_sequence) <= 0)
		return true;
	if (!may_take(p, now))
		return false;
	p->ways.their_known = true;
	p->ways.their_sequence = m.sequence;
	for (size_t i = 0; i < m.count; i++)
		v[count++] = (struct path_remote){ .endpoint = m.entries[i].endpoint, .terms.metered = m.entries[i].metered };
	node_mesh_told(n, p, v, count, now);
	return true;
}

void peer_paths_told(struct node *n, struct peer *p, const struct path_remote *v, size_t count, struct instant now)
{
	paths_set_remotes(&p->paths, PATH_TOLD, v, count);
	rebuild(n, p, now);
}

/* False: malformed, or it made no sense. */
static bool take(struct node *n, struct peer *p, struct path *x, const struct lane_control *c, struct instant now, unsigned int *events)
{
	int64_t at_us = c->at_us ? c->at_us : now.mono_us;
	struct out o = { .n = n, .p = p };
	struct path_out out = { .send = send_over, .ctx = &o };
	struct mesh_path_probe probe;
	struct mesh_path_reply reply;
	struct mesh_path_report report;

	switch (mesh_kind(c->msg, c->len)) {
	case MESH_PATH_PROBE:
		return x && mesh_path_probe_read(&probe, c->msg, c->len) && paths_take_probe(&p->paths, x, &probe, at_us, &out, now);
	case MESH_PATH_REPLY:
		return x && mesh_path_reply_read(&reply, c->msg, c->len) && paths_take_reply(&p->paths, x, &reply, at_us, now, events);
	case MESH_PATH_REPORT:
		return mesh_path_report_read(&report, c->msg, c->len) && paths_take_report(&p->paths, &report, now, events);
	default:
		return take_addresses(n, p, c, now);
	}
}

bool peer_paths_control(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	unsigned int kind = mesh_kind(c->msg, c->len), events = 0;
	bool ours = kind >= MESH_PATH_PROBE && kind <= MESH_ADDRESSES;
	struct path *x = NULL;

	if (p->data.managed && c->number == SUB_SESSION_CONTROL)
		x = heard(n, p, &c->from, false, now, &events);
	if (ours && (!p->data.managed || c->number != SUB_SESSION_CONTROL || !take(n, p, x, c, now, &events)))
		n->drops[DROP_CONTROL]++;
	act_on(n, p, events, now);
	if (ours)
		peer_rearm(n, p);
	return ours;
}

/*
 * What lanes have seen.
 */

/* Of what came by the path in use of theirs: session 0 does not say which. */
static struct path *their_path(const struct peer *p)
{
	struct path *best = p->paths.current;
	int64_t heard_us = 0;

	for (size_t i = 0; i < p->paths.path_count; i++)
		if (p->paths.v[i]->their_use && p->paths.v[i]->heard_us > heard_us) {
			best = p->paths.v[i];
			heard_us = best->heard_us;
		}
	return best;
}

/* The path between the addresses of a sub-session, whose ports are its own. Of several (a NAT changed its mind) the one heard last. */
static struct path *path_between(const struct peer *p, const struct path_addr *addr)
{
	struct path *best = paths_find(&p->paths, addr);

	for (size_t i = 0; i < p->paths.path_count && (!best || best->addr.remote.port != addr->remote.port); i++) {
		struct path *x = p->paths.v[i];

		if (ip_addr_equal(&x->addr.remote.addr, &addr->remote.addr) &&
		    (x->addr.local.family == IP_NONE || ip_addr_equal(&x->addr.local, &addr->local)) && (!best || x->heard_us > best->heard_us))
			best = x;
	}
	return best;
}

/* What came and what was lost since the last look. What was lost may turn out to have been late. */
static void count(struct peer *p, struct path *x, struct lane_count *told, const struct lane_count *seen, struct instant now)
{
	struct lane_count before = *told;
	int64_t lost = (int64_t)(seen->lost - before.lost);

	*told = *seen;
	if (lost > INT32_MAX)
		lost = INT32_MAX;
	if (lost < INT32_MIN)
		lost = INT32_MIN;
	if (x && seen->received != before.received)
		paths_count(&p->paths, x, (uint32_t)(seen->received - before.received), (int32_t)lost, (uint32_t)(seen->late - before.late),
			    seen->bytes - before.bytes, now);
}

/* A sub-session that began anew has counters that did so, too. */
static void count_sub(struct peer *p, unsigned int number, struct instant now)
{
	const struct lane_sub *sub = &p->data.subs[number];
	struct lane_count *told = &p->ways.counts[number];

	if (sub->count.received < told->received)
		*told = (struct lane_count){ 0 };
	if (sub->count.received != told->received)
		count(p, path_between(p, &sub->heard), told, &sub->count, now);
}

static void look(struct node *n, struct peer *p, struct instant now)
{
	int64_t elapsed_us = now.mono_us - p->ways.looked_us, heard_us = 0;
	uint64_t tx_bytes = 0, sent;

	node_close_lanes(n);
	for (unsigned int i = 0; i < n->lane_count; i++) {
		const struct lane_link *k = &p->data.links[i];

		heard_us = k->heard_us > heard_us ? k->heard_us : heard_us;
		tx_bytes += k->tx_bytes;
	}
	count(p, their_path(p), &p->ways.counts[0], &peer_link(p)->count, now);
	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		count_sub(p, i, now);
	node_open_lanes(n);
	sent = tx_bytes - p->ways.tx_bytes;
	p->ways.tx_bytes = tx_bytes;
	p->ways.looked_us = now.mono_us;
	p->ways.look = false;
	/* Data of flows, either way: Babel's packets alone ask for nothing fast, and who only receives has reports to send. */
	paths_traffic(&p->paths, p->spread.active_us, heard_us, sent * (uint64_t)US_PER_S > PATHS_BUSY_BYTES_S * (uint64_t)elapsed_us, now);
}

bool peer_paths_alive(struct node *n, struct peer *p, struct instant now)
{
	int64_t heard_us = 0;

	if (p->data.managed)
		return p->paths.current && p->paths.current->state == PATH_ALIVE && !p->paths.urgent;
	node_close_lanes(n);
	for (unsigned int i = 0; i < n->lane_count; i++)
		if (p->data.links[i].heard_us > heard_us)
			heard_us = p->data.links[i].heard_us;
	node_open_lanes(n);
	return heard_us && now.mono_us - heard_us < NODE_FANOUT_FRESH_S * US_PER_S;
}

/*
 * Turns.
 */

static void turn(struct node *n, struct peer *p, struct instant now)
{
	struct out o = { .n = n, .p = p };
	struct path_out out = { .send = send_over, .ctx = &o };

	look(n, p, now);
	act_on(n, p, paths_turn(&p->paths, &out, now), now);
}

void peer_paths_traffic(struct node *n, struct peer *p, struct instant now)
{
	if (!p->data.managed)
		return;
	p->ways.look = true;
	if (now.mono_us - p->ways.looked_us >= PATHS_LOOK_MS * US_PER_MS)
		turn(n, p, now);
}

static int64_t look_next(const struct peer *p)
{
	return p->ways.look ? p->ways.looked_us + PATHS_LOOK_MS * US_PER_MS : NEVER_US;
}

int64_t peer_paths_next(const struct peer *p)
{
	int64_t next_us = fanout_next(p);

	if (!p->data.managed)
		return next_us;
	if (paths_next(&p->paths) < next_us)
		next_us = paths_next(&p->paths);
	if (look_next(p) < next_us)
		next_us = look_next(p);
	if (p->ways.tells && p->ways.tell_us < next_us)
		next_us = p->ways.tell_us;
	return next_us;
}

void peer_paths_expire(struct node *n, struct peer *p, struct instant now)
{
	fanout_expire(n, p, now);
	if (!p->data.managed)
		return;
	if (p->ways.tells && now.mono_us >= p->ways.tell_us)
		tell(n, p, now);
	if (now.mono_us >= look_next(p) || now.mono_us >= paths_next(&p->paths))
		turn(n, p, now);
}

/*
 * The driver's side.
 */

void peer_paths_port(struct peer *p, struct instant now)
{
	p->ways.sequence++;
	if (p->data.managed)
		tell_soon(p, now, 0);
}

void node_set_locals(struct node *n, const struct path_local *v, size_t count, struct instant now)
{
	n->local_count = count < PATH_LOCALS_MAX ? count : PATH_LOCALS_MAX;
	memcpy(n->locals, v, n->local_count * sizeof(*v));
	/* All gates once, not some times each per peer. */
	node_close_lanes(n);
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		p->ways.sequence++;
		if (p->data.managed)
			tell_soon(p, now, PATHS_TELL_MIN_MS);
		rebuild(n, p, now);
	}
	node_open_lanes(n);
	node_mesh_moved(n);
}

bool node_next_path(struct node *n, uint8_t public_key[KEY_LEN], struct path_addr *path)
{
	/* From where the last one was found: with many peers each is looked at once. */
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[(n->way_at + i) % n->peer_count];
		const struct path *x = paths_unchecked(&p->paths);

		if (!x)
			continue;
		n->way_at = p->position;
		memcpy(public_key, p->public_key, KEY_LEN);
		*path = x->addr;
		return true;
	}
	return false;
}

void node_set_way(struct node *n, const uint8_t public_key[KEY_LEN], const struct path_addr *path, enum path_way way, bool preferred,
		  uint32_t mtu, struct instant now)
{
	struct peer *p = node_find(n, public_key);
	struct path *x = p ? paths_find(&p->paths, path) : NULL;

	if (!x)
		return;
	act_on(n, p, paths_set_way(&p->paths, x, way, preferred, mtu, now), now);
	/* With nothing left that carries, what may be tried depends on every way. */
	if (p->data.managed && !p->paths.current)
		move(n, p, false, now);
	settle(n, p, now);
	peer_rearm(n, p);
}

const struct path_set *node_paths(const struct node *n, size_t i)
{
	return i < n->peer_count ? &n->peers[i]->paths : NULL;
}

static bool has_name(const struct peer *p)
{
	for (size_t i = 0; i < p->endpoint_count; i++)
		if (p->endpoints[i].name[0])
			return true;
	return false;
}

void peer_paths_stale(struct node *n, struct peer *p, struct instant now)
{
	if (!has_name(p) || (p->ways.stale_us && now.mono_us - p->ways.stale_us < PATHS_STALE_S * US_PER_S))
		return;
	p->ways.stale_us = now.mono_us;
	p->ways.stale = true;
	n->effects |= NODE_EFFECT_RESOLVE;
}

bool node_next_stale(struct node *n, uint8_t public_key[KEY_LEN])
{
	for (size_t i = 0; i < n->peer_count; i++)
		if (n->peers[i]->ways.stale) {
			n->peers[i]->ways.stale = false;
			memcpy(public_key, n->peers[i]->public_key, KEY_LEN);
			return true;
		}
	return false;
}
