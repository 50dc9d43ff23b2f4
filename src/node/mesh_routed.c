/* SPDX-License-Identifier: MIT */
/*
 * Messages to nodes we have no session with: from hop to hop, along the routes Babel has to their first address, never more than
 * MESSAGE_HOPS_MAX.
 *
 *	punch		"send to these addresses now, as I do to yours": so that the NATs of both sides have seen a packet go out before the
 *			other's comes in. Sent when a shortcut is wanted; answered once
 *	join		what the holder of an invitation and its issuer say to each other: sealed, see mesh_join.c
 *
 * Nobody vouches for the sender of one but those it went through, which are nodes of the mesh. So what it can do is little: a few
 * initiations to a few addresses, for each node once a second; and each peer may have only so many passed on.
 */
#include <stdlib.h>
#include <string.h>

#include "node/mesh_inside.h"

static struct peer *hop_to(struct node *n, const uint8_t to[KEY_LEN], struct instant now)
{
	struct peer *p = node_find(n, to);

	if (!p || !p->mesh.good)
		return NULL;
	return mesh_speaks(p) && mesh_alive(n, p, now) ? p : mesh_next_hop(n, p);
}

bool mesh_routed_send(struct node *n, struct message *m, struct instant now)
{
	struct peer *hop = hop_to(n, m->to, now);

	return hop && mesh_send(n, hop, m);
}

/* A peer may have so many passed on. */
bool mesh_routed_may(struct peer *p, struct instant now)
{
	int64_t from_us = p->mesh.routed_us > now.mono_us ? p->mesh.routed_us : now.mono_us;

	if (from_us - now.mono_us > (MESH_ROUTED_BURST - 1) * MESH_ROUTED_MS * US_PER_MS)
		return false;
	p->mesh.routed_us = from_us + MESH_ROUTED_MS * US_PER_MS;
	return true;
}

static void pass_on(struct node *n, struct peer *from, struct message *m, struct instant now)
{
	struct peer *hop = m->hops ? hop_to(n, m->to, now) : NULL;

	m->hops = m->hops ? (uint8_t)(m->hops - 1) : 0;
	if (hop && hop != from && n->mesh->roles & ROLE_TRANSIT && mesh_send(n, hop, m))
		n->mesh->routed++;
	else
		n->mesh->routed_dropped++;
}

static bool is_for_us(const struct node *n, const struct message *m)
{
	return n->identity.set && !memcmp(m->to, n->identity.public_key, KEY_LEN);
}

/*
 * Punches.
 */

static void send_punch(struct node *n, const struct peer *to, bool answer, struct instant now)
{
	struct message m = { .kind = MESSAGE_ROUTED_PUNCH, .hops = MESSAGE_HOPS_MAX, .punch.answer = answer };
	struct record_endpoint own[ITEM_ENDPOINTS_MAX];
	size_t count = mesh_own_endpoints(n, own);

	memcpy(m.to, to->public_key, KEY_LEN);
	memcpy(m.from, n->identity.public_key, KEY_LEN);
	for (size_t i = 0; i < count && m.punch.count < MESSAGE_PUNCH_MAX; i++)
		m.punch.endpoints[m.punch.count++] = own[i];
	mesh_routed_send(n, &m, now);
}

/* Initiations to all there is, again and again. Where a session stands its paths are probed, which does the same. */
static void strike(struct node *n, struct peer *p, struct instant now)
{
	mesh_prime(n, p, now);
	if (mesh_alive(n, p, now))
		return;
	p->mesh.punch_us = now.mono_us + MESH_PUNCH_S * US_PER_S;
	peer_initiate(n, p, now);
	fanout_punch(p, now);
	peer_rearm(n, p);
}

void mesh_punch(struct node *n, struct peer *p, struct instant now)
{
	if (p->mesh.punched_us && now.mono_us - p->mesh.punched_us < MESH_STRIKE_MS * US_PER_MS)
		return;
	p->mesh.punched_us = now.mono_us;
	send_punch(n, p, false, now);
	strike(n, p, now);
}

/* What it said replaces what it said before. */
static bool take_endpoints(struct peer *p, const struct message *m)
{
	struct path_remote *v = calloc(m->punch.count + 1, sizeof(*v));

	if (!v)
		return false;
	for (size_t i = 0; i < m->punch.count; i++)
		v[i] = (struct path_remote){ .endpoint = m->punch.endpoints[i].endpoint, .terms.metered = m->punch.endpoints[i].metered };
	free(p->mesh.struck);
	p->mesh.struck = v;
	p->mesh.struck_count = m->punch.count;
	p->mesh.reachable |= m->punch.count > 0;
	return true;
}

/* All nodes together: whoever says that it is many of them gains nothing. */
static bool may_strike(struct mesh *m, struct instant now)
{
	int64_t from_us = m->strikes_us > now.mono_us ? m->strikes_us : now.mono_us;

	if (from_us - now.mono_us > (MESH_STRIKES_BURST - 1) * MESH_STRIKES_MS * US_PER_MS)
		return false;
	m->strikes_us = from_us + MESH_STRIKES_MS * US_PER_MS;
	return true;
}

static void take_punch(struct node *n, const struct message *m, struct instant now)
{
	struct peer *p = node_find(n, m->from);

	if (!p || !p->mesh.good || (p->mesh.struck_us && now.mono_us - p->mesh.struck_us < MESH_STRIKE_MS * US_PER_MS) ||
	    !may_strike(n->mesh, now))
		return;
	/* Who is reached tells its addresses by itself; what others say of them is for who is not. */
	if (!mesh_alive(n, p, now) && !take_endpoints(p, m))
		return;
	p->mesh.struck_us = now.mono_us;
	if (!m->punch.answer)
		send_punch(n, p, true, now);
	strike(n, p, now);
}

void mesh_routed_take(struct node *n, struct peer *from, struct message *m, struct instant now)
{
	if (!mesh_routed_may(from, now)) {
		n->mesh->routed_dropped++;
		return;
	}
	if (!is_for_us(n, m))
		pass_on(n, from, m, now);
	else if (m->kind == MESSAGE_ROUTED_PUNCH)
		take_punch(n, m, now);
	else
		mesh_join_routed(n, m->from, m, now);
}
