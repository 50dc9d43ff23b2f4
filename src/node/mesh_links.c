/* SPDX-License-Identifier: MIT */
/*
 * Which links of a mesh carry Babel, so that its graph is connected, sparse and steady:
 *
 *	choice		each node wants MESH_BACKBONE_WANTED of its own choosing: nodes with the transit role first, in an order that is a hash of both
 *			keys - random, and the same for both sides
 *	acceptance	a node that is sent Babel by another takes it up, as long as it has not MESH_BACKBONE_MAX - or if no route leads there
 *	seeking		a node that no route leads to is tried, one at a time: so two parts of a mesh join wherever a node of one reaches one of the other
 *
 * A link is tried before Babel runs on it: a session has to come to be. It stays as long as Babel is heard on it, whatever else might be
 * better. Where it is not heard for MESH_BACKBONE_DEAD_S - the other side is gone, or has enough - another is chosen, and the next
 * attempt waits, each time longer. Who has too many (the founder, when it was all that anybody knew) gives up such as others chose, and
 * that others lead to as well.
 */
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/hash.h"
#include "node/fib.h"
#include "node/mesh_inside.h"
#include "node/routing.h"

/*
 * Where peers are, by records and what they say.
 */

static void add_told(struct path_remote *v, size_t *count, const struct path_remote *r)
{
	for (size_t i = 0; i < *count; i++)
		if (endpoint_equal(&v[i].endpoint, &r->endpoint))
			return;
	if (*count < MESH_TOLD_MAX)
		v[(*count)++] = *r;
}

static size_t told_of(struct node *n, const struct peer *p, struct instant now, struct path_remote v[MESH_TOLD_MAX])
{
	struct store_node sn = { .self = NULL };
	size_t count = 0;

	for (size_t i = 0; i < p->mesh.told_count; i++)
		add_told(v, &count, &p->mesh.told[i]);
	for (size_t i = 0; i < p->mesh.struck_count; i++)
		add_told(v, &count, &p->mesh.struck[i]);
	store_find(n->mesh->store, p->public_key, wall_s(now), &sn);
	for (size_t i = 0; sn.self && i < sn.self->endpoint_count; i++) {
		const struct record_endpoint *e = &sn.self->endpoints[i];
		struct path_remote r = { .endpoint = e->endpoint, .terms.metered = e->metered };

		r.terms.cost_ms = e->cost_ms < PATH_COST_MAX_MS ? (uint16_t)e->cost_ms : PATH_COST_MAX_MS;
		add_told(v, &count, &r);
	}
	return count;
}

void mesh_prime(struct node *n, struct peer *p, struct instant now)
{
	p->mesh.primed = true;
	mesh_reprime(n, p, now);
}

void mesh_reprime(struct node *n, struct peer *p, struct instant now)
{
	struct path_remote v[MESH_TOLD_MAX];
	size_t count;

	if (!p->mesh.good || (!p->mesh.primed && !p->data.session.current))
		return;
	memset(v, 0, sizeof(v));
	count = told_of(n, p, now, v);
	peer_paths_told(n, p, v, count, now);
}

void mesh_unprime(struct node *n, struct peer *p, struct instant now)
{
	if (!p->mesh.primed || !p->mesh.recorded || p->data.session.current || p->mesh.trying || p->mesh.opening || peer_has_babel(p))
		return;
	p->mesh.primed = false;
	free(p->mesh.struck);
	p->mesh.struck = NULL;
	p->mesh.struck_count = 0;
	peer_paths_told(n, p, NULL, 0, now);
}

void node_mesh_told(struct node *n, struct peer *p, const struct path_remote *v, size_t count, struct instant now)
{
	struct path_remote *copy;

	if (!n->mesh || !p->mesh.good) {
		peer_paths_told(n, p, v, count, now);
		return;
	}
	copy = calloc(count + 1, sizeof(*copy));
	if (!copy)
		return;
	memcpy(copy, v, count * sizeof(*copy));
	free(p->mesh.told);
	p->mesh.told = copy;
	p->mesh.told_count = count;
	p->mesh.primed = true;
	mesh_reprime(n, p, now);
}

struct peer *mesh_next_hop(struct node *n, const struct peer *to)
{
	struct prefix_pair pair = prefix_pair_any(&to->mesh.address);
	const struct fib_entry *e;

	if (to->mesh.address.addr.family == IP_NONE)
		return NULL;
	e = fib_exact(&n->fib, &pair);
	return e && e->action == FIB_PEER ? container_of(e->peer, struct peer, data) : NULL;
}

/*
 * One link.
 */

static void set_hailed(struct node *n, struct peer *p)
{
	bool hailed = p->mesh.good && !peer_has_babel(p);

	if (p->data.hailed == hailed)
		return;
	node_close_lanes(n);
	p->data.hailed = hailed;
	node_open_lanes(n);
}

static void later(struct peer *p, struct instant now)
{
	unsigned int s = p->mesh.backoff_s;

	p->mesh.backoff_s = s ? s * 2 : MESH_SEEK_S;
	if (p->mesh.backoff_s > MESH_SEEK_MAX_S)
		p->mesh.backoff_s = MESH_SEEK_MAX_S;
	p->mesh.retry_us = now.mono_us + p->mesh.backoff_s * US_PER_S;
}

static void backbone_begin(struct node *n, struct peer *p, bool chosen, struct instant now)
{
	char room[KEY_BASE64_MAX];

	p->mesh.backbone = true;
	p->mesh.chosen = chosen;
	p->mesh.trying = p->mesh.sought = false;
	p->mesh.since_us = now.mono_us;
	mesh_shortcut_end(n, p);
	set_hailed(n, p);
	n->mesh->relink = n->mesh->more = true;
	peer_paths_settings(n, p, now);
	log_debug(&n->log, "mesh %s: %s is a backbone link, by %s choice", n->mesh->name, mesh_peer_name(p, room), chosen ? "our" : "its");
}

static void backbone_end(struct node *n, struct peer *p, const char *why, struct instant now)
{
	char room[KEY_BASE64_MAX];

	p->mesh.backbone = p->mesh.chosen = false;
	later(p, now);
	set_hailed(n, p);
	n->mesh->relink = n->mesh->more = true;
	peer_paths_settings(n, p, now);
	log_debug(&n->log, "mesh %s: %s is no backbone link any more: %s", n->mesh->name, mesh_peer_name(p, room), why);
}

/* Where there is a way to tell it so, both sides begin: perhaps both are behind NATs. */
static void call(struct node *n, struct peer *p, struct instant now)
{
	if (mesh_next_hop(n, p)) {
		mesh_punch(n, p, now);
		return;
	}
	peer_initiate(n, p, now);
	peer_rearm(n, p);
}

static void try_begin(struct node *n, struct peer *p, bool sought, struct instant now)
{
	p->mesh.trying = true;
	p->mesh.sought = sought;
	p->mesh.since_us = now.mono_us;
	mesh_prime(n, p, now);
	if (mesh_speaks(p) && mesh_alive(n, p, now)) {
		backbone_begin(n, p, true, now);
		return;
	}
	call(n, p, now);
}

/* Nobody answered: what is under way ends, or it would go on for REKEY_ATTEMPT_S. */
static void try_end(struct node *n, struct peer *p, struct instant now)
{
	p->mesh.trying = p->mesh.sought = false;
	later(p, now);
	if (p->data.session.current)
		return;
	peer_forget_keys(n, p);
	rekey_stop(&p->rekey);
	peer_rearm(n, p);
	mesh_unprime(n, p, now);
}

void mesh_links_session(struct node *n, struct peer *p, struct instant now)
{
	if (p->mesh.trying && p->mesh.good && mesh_speaks(p))
		backbone_begin(n, p, true, now);
	if (!p->data.session.current)
		mesh_unprime(n, p, now);
}

void mesh_links_end(struct node *n, struct peer *p)
{
	n->mesh->relink |= p->mesh.backbone;
	p->mesh.backbone = p->mesh.chosen = p->mesh.trying = p->mesh.sought = false;
	p->data.hailed = false;
	mesh_shortcut_end(n, p);
}

static size_t backbone_count(const struct node *n)
{
	size_t count = 0;

	for (size_t i = 0; i < n->peer_count; i++)
		count += n->peers[i]->mesh.backbone;
	return count;
}

void node_mesh_hailed(struct node *n, struct peer *p, struct instant now)
{
	int64_t trimmed_us = p->mesh.trimmed_us ? now.mono_us - p->mesh.trimmed_us : NEVER_US;

	if (!n->mesh)
		return;
	/* It was away, and so were we to it: what was pushed meanwhile is missing. */
	if (p->mesh.babel_us && now.mono_us - p->mesh.babel_us > 5 * node_routing_hello_us(n) / 2)
		mesh_greet(n, p, now);
	p->mesh.babel_us = now.mono_us;
	if (!p->mesh.good || p->mesh.never || peer_has_babel(p))
		return;
	/* The routes of one that was given up a moment ago have to be found again first. */
	if (trimmed_us > 2 * MESH_BACKBONE_DEAD_S * US_PER_S ? backbone_count(n) < MESH_BACKBONE_MAX || !mesh_next_hop(n, p) :
	    trimmed_us > MESH_TRIM_WAIT_S * US_PER_S && !mesh_next_hop(n, p))
		backbone_begin(n, p, p->mesh.trying, now);
}

/*
 * All of them.
 */

static int64_t dead_us(const struct node *n)
{
	int64_t hellos_us = 5 * node_routing_hello_us(n);

	return hellos_us > MESH_BACKBONE_DEAD_S * US_PER_S ? hellos_us : MESH_BACKBONE_DEAD_S * US_PER_S;
}

static void tend(struct node *n, struct peer *p, struct instant now)
{
	int64_t heard_us = p->mesh.babel_us > p->mesh.since_us ? p->mesh.babel_us : p->mesh.since_us;

	if (p->mesh.trying && now.mono_us - p->mesh.since_us > MESH_TRY_S * US_PER_S)
		try_end(n, p, now);
	else if (p->mesh.trying && !p->data.session.current)
		call(n, p, now);
	if (p->mesh.backbone && now.mono_us - heard_us > dead_us(n))
		backbone_end(n, p, "no Babel is heard on it", now);
	/* It was one for long enough: the next time begins anew. */
	if (p->mesh.backbone && now.mono_us - p->mesh.since_us > 2 * dead_us(n))
		p->mesh.backoff_s = 0;
}

static uint64_t order_of(const struct node *n, const struct peer *p)
{
	const uint8_t *a = n->identity.public_key, *b = p->public_key;
	uint8_t both[2 * KEY_LEN];
	bool first = memcmp(a, b, KEY_LEN) < 0;

	memcpy(both, first ? a : b, KEY_LEN);
	memcpy(both + KEY_LEN, first ? b : a, KEY_LEN);
	return hash_bytes(store_mesh(n->mesh->store), both, sizeof(both));
}

static bool can_try(const struct peer *p, struct instant now)
{
	const struct peer_mesh *pm = &p->mesh;

	return pm->good && !pm->never && !peer_has_babel(p) && !pm->trying && now.mono_us >= pm->retry_us && (pm->reachable || p->data.session.current);
}

/* Whether a link between us is of use to others than us two; and of two that are the better one comes first. */
static bool is_better(const struct node *n, const struct peer *p, const struct peer *than)
{
	bool transit = p->mesh.roles & ROLE_TRANSIT;

	if (!than)
		return true;
	if (transit != (bool)(than->mesh.roles & ROLE_TRANSIT))
		return transit;
	return order_of(n, p) < order_of(n, than);
}

static struct peer *best_choice(struct node *n, struct instant now)
{
	struct peer *best = NULL;

	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (can_try(p, now) && (n->mesh->roles | p->mesh.roles) & ROLE_TRANSIT && is_better(n, p, best))
			best = p;
	}
	return best;
}

static void choose(struct node *n, struct instant now)
{
	size_t chosen = 0, all = 0;
	struct peer *p;

	for (size_t i = 0; i < n->peer_count; i++) {
		const struct peer_mesh *pm = &n->peers[i]->mesh;

		chosen += pm->chosen || (pm->trying && !pm->sought);
		all += pm->backbone || pm->trying;
	}
	while (chosen < MESH_BACKBONE_WANTED && all < MESH_BACKBONE_MAX && (p = best_choice(n, now))) {
		try_begin(n, p, false, now);
		chosen++;
		all++;
	}
}

static bool comes_first(const struct node *n, const struct peer *p, const struct peer *than)
{
	if (!than || p->mesh.backoff_s != than->mesh.backoff_s)
		return !than || p->mesh.backoff_s < than->mesh.backoff_s;
	return order_of(n, p) < order_of(n, than);
}

static void seek(struct node *n, struct instant now)
{
	struct peer *best = NULL;

	if (now.mono_us < n->mesh->seek_us)
		return;
	n->mesh->seek_us = now.mono_us + MESH_SEEK_S * US_PER_S;
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (p->mesh.trying && p->mesh.sought)
			return;
		if (can_try(p, now) && comes_first(n, p, best) && !mesh_next_hop(n, p))
			best = p;
	}
	if (best)
		try_begin(n, best, true, now);
}

/*
 * Whether the peer is reached without us: a neighbour leads to it, and not through us, for then what it announces would be more than our
 * own way and a link; or it has other links: what it announces at less than the cost of two is at the other end of one.
 */
struct another {
	struct node *n;
	const struct peer *p;
	uint32_t ours;			/* metric of our own way */
	unsigned int links;
	bool found;
};

static bool is_first_address(const struct node *n, const struct ip_prefix *a, const struct peer *but)
{
	const struct owner *w = owners_lookup(&n->owners, a->addr.family, a->addr.bytes);
	const struct peer *p = w && w->peer ? container_of(w->peer, struct peer, data) : NULL;

	return p && p != but && ip_prefix_equal(a, &p->mesh.address);
}

static void see_route(void *ctx, const struct babel_route_info *r)
{
	struct another *a = ctx;

	if (r->own || r->prefix.src.len)
		return;
	if (r->owner != a->p->routing)
		a->found |= ip_prefix_equal(&r->prefix.dst, &a->p->mesh.address) && r->announced < a->ours + PATH_COST_NOMINAL;
	else if (r->announced < 2 * PATH_COST_NOMINAL)
		a->links += is_first_address(a->n, &r->prefix.dst, a->p);
}

static bool has_another_way(struct node *n, const struct peer *p, struct instant now)
{
	struct prefix_pair pair = prefix_pair_any(&p->mesh.address);
	struct another a = { .n = n, .p = p };
	struct babel_route_info ours;

	if (!node_babel(n) || p->mesh.address.addr.family == IP_NONE || !babel_selected(node_babel(n), &pair, &ours))
		return false;
	a.ours = ours.metric;
	babel_routes(node_babel(n), now, see_route, &a);
	return a.found || a.links > 1;
}

static void trim(struct node *n, struct instant now)
{
	struct peer *worst = NULL;

	if (now.mono_us < n->mesh->trim_us || backbone_count(n) <= MESH_BACKBONE_MAX)
		return;
	n->mesh->trim_us = now.mono_us + MESH_TRIM_S * US_PER_S;
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (p->mesh.backbone && !p->mesh.chosen && (!worst || is_better(n, worst, p)) && has_another_way(n, p, now))
			worst = p;
	}
	if (!worst)
		return;
	backbone_end(n, worst, "there are too many", now);
	worst->mesh.trimmed_us = now.mono_us;
}

void mesh_links_look(struct node *n, struct instant now)
{
	for (size_t i = 0; i < n->peer_count; i++)
		tend(n, n->peers[i], now);
	if (!n->identity.set || !n->mesh->own_good)
		return;
	choose(n, now);
	seek(n, now);
	trim(n, now);
}
