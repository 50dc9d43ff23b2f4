/* SPDX-License-Identifier: MIT */
/*
 * Shortcuts (DESIGN.md section 4): direct links, without Babel, to nodes there is traffic for and that Babel reaches through others.
 *
 *	lanes count packets for a node that go another way (shortcut.h) -> punch, by the way the packets go -> session, path alive
 *	-> not slower than Babel's route: packets go by it -> idle for MESH_SHORTCUT_IDLE_S, or its path dies: they go Babel's way again
 *
 * Until one stands, and where none can, nothing changes for the packets. What cannot be opened is tried again while there is traffic, MESH_OPEN_RETRY_S apart.
 */
#include "node/mesh_inside.h"
#include "node/routing.h"
#include "node/shortcut.h"

static void stand(struct node *n, struct peer *p, bool on)
{
	node_close_lanes(n);
	owners_set_shortcut(&p->data, on);
	node_open_lanes(n);
	p->mesh.shortcut = on;
}

void mesh_shortcut_end(struct node *n, struct peer *p)
{
	if (p->mesh.shortcut)
		stand(n, p, false);
	p->mesh.opening = false;
}

/* Whether the direct way costs no more than the one through others. Where there is no other it is the better one. */
static bool is_worth_it(struct node *n, struct peer *p)
{
	struct prefix_pair pair = prefix_pair_any(&p->mesh.address);
	struct babel_route_info r;
	bool down = false;
	uint16_t cost;

	if (!p->data.managed || !node_babel(n) || p->mesh.address.addr.family == IP_NONE || !babel_selected(node_babel(n), &pair, &r) || r.held)
		return true;
	cost = paths_cost(&p->paths, &down);
	/* What stands is not given up for little. */
	return !down && (cost <= r.metric || (p->mesh.shortcut && cost <= r.metric + r.metric / 4));
}

static bool is_ready(struct node *n, struct peer *p, struct instant now)
{
	return mesh_speaks(p) && mesh_alive(n, p, now) && is_worth_it(n, p);
}

static void open_more(struct node *n, struct peer *p, struct instant now)
{
	if (!p->mesh.opening) {
		p->mesh.opening = true;
		p->mesh.since_us = now.mono_us;
		peer_paths_settings(n, p, now);
	}
	if (is_ready(n, p, now)) {
		p->mesh.opening = false;
		stand(n, p, true);
	} else if (now.mono_us - p->mesh.since_us > MESH_OPEN_S * US_PER_S) {
		p->mesh.opening = false;
		p->mesh.open_us = now.mono_us + MESH_OPEN_RETRY_S * US_PER_S;
		peer_paths_settings(n, p, now);
		mesh_unprime(n, p, now);
	} else if (!mesh_alive(n, p, now)) {
		mesh_punch(n, p, now);
	}
}

static void close_idle(struct node *n, struct peer *p, struct instant now)
{
	mesh_shortcut_end(n, p);
	peer_paths_settings(n, p, now);
	node_mesh_session(n, p, now);
}

static void look_at(struct node *n, struct peer *p, size_t *count, struct instant now)
{
	struct peer_mesh *pm = &p->mesh;
	uint32_t wanted = 0, used = 0;

	if (!owners_take(&p->data, &wanted, &used))
		return;
	if (wanted || used)
		pm->used_us = now.mono_us;
	if (pm->shortcut && !is_ready(n, p, now))
		close_idle(n, p, now);
	if (pm->shortcut && now.mono_us - pm->used_us > MESH_SHORTCUT_IDLE_S * US_PER_S)
		close_idle(n, p, now);
	if (!pm->shortcut && (pm->opening || (wanted && now.mono_us >= pm->open_us)) && !pm->trying && *count < MESH_SHORTCUTS_MAX) {
		++*count;
		open_more(n, p, now);
	}
}

void mesh_shortcuts_look(struct node *n, struct instant now)
{
	size_t count = 0;

	for (size_t i = 0; i < n->peer_count; i++)
		count += n->peers[i]->mesh.shortcut || n->peers[i]->mesh.opening;
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (p->mesh.good && !peer_has_babel(p))
			look_at(n, p, &count, now);
	}
}

void mesh_shortcut_path(struct node *n, struct peer *p, struct instant now)
{
	if (p->mesh.shortcut && !mesh_alive(n, p, now))
		close_idle(n, p, now);
	/* It may stand now. */
	if (p->mesh.opening)
		n->mesh->look_us = 0;
}

void node_mesh_path(struct node *n, struct peer *p, struct instant now)
{
	if (n->mesh)
		mesh_shortcut_path(n, p, now);
}
