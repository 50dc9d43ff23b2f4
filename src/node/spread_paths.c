/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions over chosen paths (doc/protocol.md, "Opening"), for peers whose paths the node manages: lanes move nothing then.
 *
 * Each side aims what it sends at the path it has chosen. The two may differ, so an answer goes back the way the question came, and only one
 * that comes by the addresses a sub-session is aimed at says that the way is open. NATs want to see a packet from inside first, and show
 * the port they made of it only then: who gets no answer hails the other side over that very path, which probes back over it.
 *
 * When the choice changes sub-sessions follow, by breaking first: a token that is new, a probe, and flows come back with the answer. If it is
 * urgent all do at once. Otherwise those without flows go first, others when they are idle, a few a tick. A flow that never pauses is moved
 * after a while all the same: some of its packets may arrive before earlier ones then, once, but it would be on the worse path for good.
 */
#include "node/spread_inside.h"

#include "node/links.h"
#include "wire/mesh.h"

static const struct path *choice(const struct node *n, const struct peer *p, unsigned int number)
{
	return p->data.managed ? paths_pick(&p->paths, number, n->path_spread == PATHS_ALL) : NULL;
}

struct path_addr spread_base(struct node *n, struct peer *p, unsigned int number)
{
	const struct path *chosen = choice(n, p, number);

	return chosen ? chosen->addr : peer_path(n, p);
}

/* An address within the prefix the other side was told: it chooses which. */
static bool is_given(const struct node *n, const struct peer *p, const struct ip_addr *local)
{
	return p->spread.their_prefix && ip_prefix_covers(&n->listen_prefix, local);
}

bool spread_same_addresses(const struct node *n, const struct peer *p, const struct path_addr *aim,
			   const struct path_addr *other)
{
	if (!ip_addr_equal(&aim->remote.addr, &other->remote.addr) || aim->remote.scope != other->remote.scope)
		return false;
	return aim->local.family == IP_NONE || other->local.family == IP_NONE || ip_addr_equal(&aim->local, &other->local) ||
	       is_given(n, p, &aim->local);
}

static struct path_addr aim_of(struct node *n, struct peer *p, unsigned int number)
{
	struct lane *l = spread_lane(n, p, number);
	struct path_addr aim;

	lane_close(l);
	aim = p->data.subs[number].path;
	lane_open(l);
	return aim;
}

bool spread_in_place(struct node *n, struct peer *p, unsigned int number)
{
	struct path_addr aim = aim_of(n, p, number), way = spread_way(p, number, spread_base(n, p, number));

	return spread_same_addresses(n, p, &aim, &way);
}

bool spread_came_by(struct node *n, struct peer *p, const struct lane_control *c)
{
	struct path_addr aim;

	if (!p->data.managed)
		return true;
	aim = aim_of(n, p, c->number);
	return spread_same_addresses(n, p, &aim, &c->from) && (!aim.remote.port || aim.remote.port == c->from.remote.port);
}

void spread_take_local(struct node *n, struct peer *p, const struct lane_control *c)
{
	struct lane *l = spread_lane(n, p, c->number);
	struct lane_sub *sub = &p->data.subs[c->number];

	if (!p->data.managed || !is_given(n, p, &c->from.local))
		return;
	lane_close(l);
	if (ip_addr_equal(&sub->path.remote.addr, &c->from.remote.addr)) {
		sub->path.local = c->from.local;
		sub->path.remote.port = c->from.remote.port;
	}
	lane_open(l);
}

void spread_answer(struct node *n, struct peer *p, const struct lane_control *c, const uint8_t *msg, size_t len)
{
	struct lane *l = spread_lane(n, p, c->number);

	/* Its own way has the flow label as well. */
	if (spread_came_by(n, p, c))
		spread_send(n, p, c->number, msg, len);
	else
		lane_send_over(l, &p->data.links[l->number], c->number, &c->from, spread_port(n, p, c->number), 0, 0, msg, (uint32_t)len);
}

/* A probe over a way that is not ours. The answer to it makes nothing usable: spread_came_by(). */
static void probe_over(struct node *n, struct peer *p, unsigned int number, const struct path_addr *way, struct instant now)
{
	struct spread_sub *sub = &p->spread.subs[number];
	struct mesh_probe m = { .stamp = (uint64_t)now.mono_us };
	struct lane *l = spread_lane(n, p, number);
	uint8_t msg[MESH_PROBE_LEN];

	if (sub->over_us && now.mono_us - sub->over_us < SPREAD_PROBE_MIN_MS * US_PER_MS)
		return;
	sub->over_us = now.mono_us;
	m.token = spread_token(n, sub);
	lane_send_over(l, &p->data.links[l->number], number, way, spread_port(n, p, number), 0, 0, msg,
		       (uint32_t)mesh_probe_write(msg, &m));
}

void spread_meet(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	for (unsigned int i = 1; p->data.managed && i <= p->spread.announced && i <= p->data.sub_count; i++) {
		struct path_addr way = spread_way(p, i, c->from), aim = aim_of(n, p, i);

		if (!spread_same_addresses(n, p, &aim, &way))
			probe_over(n, p, i, &way, now);
	}
}

/* What stays without an answer, over paths some of which may be alike. */
void spread_hail_failing(struct node *n, struct peer *p, struct instant now)
{
	/* The opener does so before it gives way. */
	unsigned int tries = p->spread.opener ? SPREAD_TRIES - 1 : SPREAD_TRIES;
	const struct path *hailed[SPREAD_HAILS_MAX];
	size_t count = 0, k;

	for (unsigned int i = 1; p->data.managed && i <= p->spread.announced && count < SPREAD_HAILS_MAX; i++) {
		const struct spread_sub *sub = &p->spread.subs[i];
		const struct path *path = choice(n, p, i);

		/* Only if it was probed in this very tick: hails are as rare as probes are. */
		if (!path || spread_is_usable(n, p, i) || sub->tries < tries || sub->asked_us != now.mono_us)
			continue;
		for (k = 0; k < count && hailed[k] != path; k++)
			;
		if (k < count)
			continue;
		hailed[count++] = path;
		spread_hail(n, p, &path->addr, now);
	}
}

int64_t spread_refresh_us(const struct node *n, const struct peer *p, unsigned int number)
{
	const struct path *path = p->spread.natted ? choice(n, p, number) : NULL;
	int64_t refresh_us = SPREAD_REFRESH_S * US_PER_S;

	return path && path->keep_us > 0 && path->keep_us * 4 / 5 < refresh_us ? path->keep_us * 4 / 5 : refresh_us;
}

/*
 * Moving.
 */

/* Flows go back to session 0 or to others, and return with the answer to the probe. Nothing is probed while there is no traffic. */
static void move(struct node *n, struct peer *p, unsigned int number, bool active, struct instant now)
{
	struct spread_sub *sub = &p->spread.subs[number];

	spread_set_usable(n, p, number, false);
	*sub = (struct spread_sub){ .remote_port = sub->remote_port, .over_us = sub->over_us };
	spread_aim(n, p, number);
	if (active)
		spread_probe(n, p, number, now);
}

/* What the other side's NAT must see is asked for in the same breath. */
static void hail_moved(struct node *n, struct peer *p, struct instant now)
{
	struct path_addr over = peer_path(n, p);

	if (now.mono_us - p->spread.hail_us >= SPREAD_PROBE_MIN_MS * US_PER_MS)
		spread_hail(n, p, &over, now);
}

static bool is_active(const struct peer *p, struct instant now)
{
	return p->spread.active_us && now.mono_us - p->spread.active_us < SPREAD_ACTIVE_S * US_PER_S;
}

static unsigned int opened(const struct peer *p)
{
	return p->spread.announced < p->data.sub_count ? p->spread.announced : p->data.sub_count;
}

/* Those at rest like that, or not usable anyway, that are not where they shall be. Whether any is left. */
static bool move_some(struct node *n, struct peer *p, enum flow_rest rest, unsigned int quota[LANES_MAX], struct instant now)
{
	bool active = is_active(p, now), left = false;

	for (unsigned int i = 1; i <= opened(p); i++) {
		unsigned int *may = &quota[spread_lane(n, p, i)->number];
		bool used = spread_is_usable(n, p, i);

		if (spread_in_place(n, p, i))
			continue;
		if (used && (!*may || links_rest(&p->data, n->lane_count, i, now.mono_us) != rest)) {
			left = true;
			continue;
		}
		*may -= used;
		move(n, p, i, active, now);
	}
	return left;
}

void spread_move(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;
	bool forced = now.mono_us - s->move_us >= SPREAD_MOVE_MAX_S * US_PER_S, left;
	unsigned int quota[LANES_MAX];

	s->moved_us = now.mono_us;
	node_close_lanes(n);
	for (unsigned int i = 0; i < n->lane_count; i++)
		quota[i] = (p->data.links[i].slots.usable + SPREAD_MOVE_SHARE - 1) / SPREAD_MOVE_SHARE;
	left = move_some(n, p, FLOW_SPARE, quota, now) && move_some(n, p, FLOW_IDLE, quota, now) &&
	       (!forced || move_some(n, p, FLOW_BUSY, quota, now));
	node_open_lanes(n);
	if (left)
		spread_arm(p, now.mono_us + SPREAD_TICK_MS * US_PER_MS);
	else
		s->move_us = 0;
	if (s->their_natted && is_active(p, now))
		hail_moved(n, p, now);
	spread_set_complete(n, p);
}

void spread_repathed(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	if (!p->data.managed || !p->data.mesh || !opened(p))
		return;
	if (!s->move_us)
		s->move_us = now.mono_us;
	if (now.mono_us - s->moved_us >= SPREAD_TICK_MS * US_PER_MS)
		spread_move(n, p, now);
	else
		spread_arm(p, s->moved_us + SPREAD_TICK_MS * US_PER_MS);
	peer_rearm(n, p);
}

void spread_flee(struct node *n, struct peer *p, struct instant now)
{
	bool active = is_active(p, now);

	node_close_lanes(n);
	for (unsigned int i = 1; i <= opened(p); i++)
		if (!spread_in_place(n, p, i))
			move(n, p, i, active, now);
	node_open_lanes(n);
	p->spread.move_us = 0;
	if (active && (!p->spread.opener || p->spread.their_natted) && opened(p))
		hail_moved(n, p, now);
	spread_set_complete(n, p);
	peer_rearm(n, p);
}
