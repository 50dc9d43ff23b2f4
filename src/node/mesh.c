/* SPDX-License-Identifier: MIT */
/*
 * The mesh, joined to the node: peers made of records, and the gossip that brings them.
 *
 *	store changes -> once in MESH_SYNC_MS -> one change of the configuration (apply.c), marked as ours -> peers come and go
 *	messages of kind 4 -> gossip, or mesh_routed.c, or mesh_join.c
 *
 * Every node whose record counts is a peer. Of thousands few are in use: the endpoints of their records become candidates only where somebody
 * wants to send to them (mesh_prime()), so a peer that is not costs its keys and little more. What configs say of a peer goes before what
 * its record says, except that who is revoked is out.
 *
 * Which of them we keep links to is decided in mesh_links.c and mesh_shortcuts.c, both once in MESH_LOOK_MS.
 */
#include "node/mesh.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "node/mesh_inside.h"
#include "node/routing_inside.h"
#include "node/routing.h"
#include "node/shortcut.h"

/*
 * Life.
 */

bool node_mesh_begin(struct node *n, const struct bootstrap *b, const char *issued, struct instant now, struct text *why)
{
	struct mesh *m = calloc(1, sizeof(*m));
	struct bootstrap_news news;

	node_mesh_end(n);
	if (m)
		m->store = bootstrap_store(b, wall_s(now), &news, why);
	if (m && m->store)
		m->gossip = gossip_new(m->store, &n->rng, &n->log);
	if (!m || !m->gossip || !mesh_issued_begin(m, issued, now)) {
		if (!m || m->store)
			text_add(why, "out of memory");
		if (m) {
			gossip_free(m->gossip);
			store_free(m->store);
			mesh_issued_end(m);
		}
		free(m);
		return false;
	}
	if (news.refused)
		log_warning(&n->log, "mesh %s: %zu items of the file are not taken; %s", b->name, news.refused, news.first_refused);
	if (news.later)
		log_warning(&n->log, "mesh %s: %zu items of a later meshd are left out of the file", b->name, news.later);
	memcpy(m->name, b->name, sizeof(m->name));
	m->all = true;
	m->version_written = store_version(m->store);
	n->mesh = m;
	node_mesh_identity(n, now);
	return true;
}

/* Peers it has made go with the node, or with the next change of the configuration. */
void node_mesh_end(struct node *n)
{
	struct mesh *m = n->mesh;

	if (!m)
		return;
	n->mesh = NULL;
	node_close_lanes(n);
	owners_clear(&n->owners);
	node_open_lanes(n);
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer_mesh *pm = &n->peers[i]->mesh;

		free(pm->told);
		free(pm->struck);
		*pm = (struct peer_mesh){ .recorded = false };
	}
	gossip_free(m->gossip);
	store_free(m->store);
	mesh_issued_end(m);
	for (size_t i = 0; i < MESH_ANSWERS_MAX; i++)
		text_wipe(&m->answers[i].sealed);
	free(m->changed);
	mesh_judge_end(m);
	if (n->routing->babel)
		node_mesh_judge(n, n->routing->babel, n->now);
	crypto_wipe(m, sizeof(*m));
	free(m);
}

bool node_mesh_on(const struct node *n)
{
	return n->mesh;
}

const struct store *node_mesh_store(const struct node *n)
{
	return n->mesh ? n->mesh->store : NULL;
}

const char *node_mesh_name(const struct node *n)
{
	return n->mesh ? n->mesh->name : "";
}

void node_mesh_identity(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;

	(void)now;
	if (!m)
		return;
	m->has_key = n->identity.set;
	crypto_wipe(m->seed, sizeof(m->seed));
	if (m->has_key) {
		sign_seed_of_node(m->seed, n->identity.private_key);
		sign_public(m->sign_key, m->seed);
	}
	m->all = true;
	m->look_us = 0;
}

void node_mesh_applied(struct node *n)
{
	if (!n->mesh || n->mesh->applying)
		return;
	n->mesh->all = true;
	n->mesh->synced_us = 0;
	n->mesh->look_us = 0;
}

void node_mesh_moved(struct node *n)
{
	if (n->mesh)
		n->mesh->look_us = 0;
}

const char *mesh_peer_name(const struct peer *p, char room[KEY_BASE64_MAX])
{
	return p->name[0] ? p->name : key_to_base64(room, p->public_key);
}

/*
 * Peers.
 */

static bool is_own(const struct node *n, const uint8_t key[KEY_LEN])
{
	return n->identity.set && !memcmp(key, n->identity.public_key, KEY_LEN);
}

bool node_mesh_refuses(const struct node *n, const uint8_t public_key[KEY_LEN])
{
	struct store_node sn;

	if (!n->mesh || !store_find(n->mesh->store, public_key, n->now.wall_ns / NS_PER_S, &sn))
		return false;
	return sn.standing == NODE_REVOKED || sn.standing == NODE_CLAIMED;
}

/* Whose prefixes are whose, for the lanes. */
static void set_owner(struct node *n, const struct node_record *r, struct lane_peer *who)
{
	bool good = true;

	node_close_lanes(n);
	if (who)
		owners_forget_peer(&n->owners, who);
	for (size_t i = 0; !who && i < n->mesh->owned_count; i++)
		owners_remove(&n->owners, &n->mesh->owned[i]);
	if (!who)
		n->mesh->owned_count = 0;
	for (size_t i = 0; r && i < r->address_count + r->prefix_count; i++) {
		const struct ip_prefix *p = i < r->address_count ? &r->addresses[i] : &r->prefixes[i - r->address_count];

		good &= owners_set(&n->owners, p, who) != NULL;
		if (!who)
			n->mesh->owned[n->mesh->owned_count++] = *p;
	}
	node_open_lanes(n);
	if (!good)
		log_error(&n->log, "mesh %s: no shortcut to some nodes, out of memory", n->mesh->name);
}

/* What we are ourselves, by our record. */
static void own_record(struct node *n, const struct store_node *sn)
{
	struct mesh *m = n->mesh;
	size_t count = sn->standing == NODE_GOOD ? sn->record->address_count : 0;
	bool same = count == m->address_count;

	for (size_t i = 0; same && i < count; i++)
		same = ip_prefix_equal(&m->addresses[i], &sn->record->addresses[i]);
	m->own_good = sn->standing == NODE_GOOD;
	m->roles = m->own_good ? sn->record->roles : 0;
	if (!same) {
		m->address_count = count;
		if (count)
			memcpy(m->addresses, sn->record->addresses, count * sizeof(m->addresses[0]));
		n->effects |= NODE_EFFECT_MESH_ADDRESSES;
	}
	if (m->own_good && sn->record->serial != m->own_serial) {
		set_owner(n, sn->record, NULL);
		m->own_serial = sn->record->serial;
	}
}

size_t node_mesh_addresses(const struct node *n, struct ip_prefix *v, size_t max)
{
	size_t count = n->mesh ? n->mesh->address_count : 0;

	if (count > max)
		count = max;
	if (count)
		memcpy(v, n->mesh->addresses, count * sizeof(*v));
	return count;
}

static bool is_device_of_ours(const struct node *n, const struct store_node *sn)
{
	return sn->standing == NODE_GOOD && sn->record->has_gateway && is_own(n, sn->record->gateway);
}

/* Whether the record makes it a peer. */
static bool makes_peer(const struct node *n, const struct store_node *sn)
{
	return sn->standing == NODE_GOOD && n->mesh->own_good && (!sn->record->has_gateway || is_device_of_ours(n, sn));
}

bool node_mesh_keeps(const struct node *n, const struct peer *p)
{
	struct store_node sn;

	if (!n->mesh)
		return false;
	if (p->mesh.joiner)
		return true;
	return store_find(n->mesh->store, p->public_key, n->now.wall_ns / NS_PER_S, &sn) && makes_peer(n, &sn);
}

/* An entry that is complete but for the allowed IPs. NULL: no memory. */
static struct change_peer *add_entry(struct change *c, const uint8_t key[KEY_LEN], unsigned int bits)
{
	struct change_peer *cp = change_add_peer(c);

	if (!cp)
		return NULL;
	memcpy(cp->public_key, key, KEY_LEN);
	cp->bits = bits | CHANGE_PEER_RECORDED;
	cp->allowed_auto = true;
	return cp;
}

/* A device speaks no Babel: what is its own goes to it by allowed IPs. */
static bool add_record(const struct node *n, struct change *c, const struct store_node *sn)
{
	bool device = is_device_of_ours(n, sn), good = true;
	struct change_peer *cp = add_entry(c, sn->record->public_key, CHANGE_PEER_NAME | CHANGE_PEER_REPLACE_ALLOWED |
					   (device ? 0 : CHANGE_PEER_ALLOWED_AUTO));

	if (!cp)
		return false;
	memcpy(cp->name, sn->record->name, sizeof(cp->name));
	for (size_t i = 0; good && device && i < sn->record->address_count; i++)
		good = change_add_allowed(cp, &sn->record->addresses[i], false);
	for (size_t i = 0; good && device && i < sn->record->prefix_count; i++)
		good = change_add_allowed(cp, &sn->record->prefixes[i], false);
	return good;
}

/* Who is revoked shall know, or it would go on as if nobody were there any more. True: that was sent just now, and it goes next time. */
static bool tell_out(struct node *n, struct peer *p, const struct store_node *sn)
{
	struct message m = { .kind = MESSAGE_PIECE };

	if (sn->standing != NODE_REVOKED || p->mesh.told_out || !mesh_speaks(p) || sn->revocation_item->len > MESSAGE_PIECE_MAX)
		return false;
	memcpy(m.piece.id, sn->revocation_item->id, ITEM_SHORT_ID);
	m.piece.data = sn->revocation_item->bytes;
	m.piece.len = sn->revocation_item->len;
	m.piece.total = (uint32_t)m.piece.len;
	p->mesh.told_out = true;
	n->mesh->all = true;
	return mesh_send(n, p, &m);
}

/* What the change under way has to say of one node. False: no memory. */
static bool consider(struct node *n, const uint8_t key[KEY_LEN], struct change *c, struct instant now)
{
	struct peer *p = node_find(n, key);
	struct store_node sn = { .standing = NODE_UNKNOWN };
	bool wanted;

	store_find(n->mesh->store, key, wall_s(now), &sn);
	if (is_own(n, key))
		return true;
	wanted = makes_peer(n, &sn);
	if (p && p->mesh.joiner)
		return true;
	if (p && !p->mesh.recorded) {
		if (sn.standing != NODE_REVOKED && sn.standing != NODE_CLAIMED)
			return true;
		log_warning(&n->log, "peer %s is taken out: the mesh has revoked it", p->name[0] ? p->name : "(unnamed)");
		return add_entry(c, key, CHANGE_PEER_REMOVE);
	}
	if (p && tell_out(n, p, &sn))
		return true;
	if (wanted && (!p || strcmp(p->name, sn.record->name) || is_device_of_ours(n, &sn)))
		return add_record(n, c, &sn);
	return wanted || !p || add_entry(c, key, CHANGE_PEER_REMOVE);
}

/* Peers are as they shall be: what else follows from the record of one of them. */
static void settle(struct node *n, struct peer *p, struct instant now)
{
	struct store_node sn = { .standing = NODE_UNKNOWN };
	struct peer_mesh *pm = &p->mesh;
	bool good, hailed;

	if (pm->joiner)
		return;
	store_find(n->mesh->store, p->public_key, wall_s(now), &sn);
	good = makes_peer(n, &sn) && !sn.record->has_gateway;
	/* Its addresses are announced, or not any more. */
	n->mesh->relink |= pm->device != is_device_of_ours(n, &sn);
	pm->device = is_device_of_ours(n, &sn);
	if (sn.record && sn.standing == NODE_GOOD && !p->name[0])
		memcpy(p->name, sn.record->name, sizeof(p->name));
	if (pm->good && !good)
		mesh_links_end(n, p);
	if (pm->good != good || (good && pm->serial != sn.record->serial)) {
		set_owner(n, good ? sn.record : NULL, &p->data);
		pm->serial = good ? sn.record->serial : 0;
		if (pm->shortcut)
			mesh_shortcut_end(n, p);
	}
	pm->good = good;
	/* A configured one may be sent to at any time. */
	pm->primed |= good && !pm->recorded;
	pm->roles = good ? (uint8_t)sn.record->roles : 0;
	pm->reachable = good && ((sn.self && sn.self->endpoint_count) || p->endpoint_count || pm->struck_count);
	pm->address = good && sn.record->address_count ? sn.record->addresses[0] : (struct ip_prefix){ .len = 0 };
	hailed = good && !peer_has_babel(p);
	if (p->data.hailed != hailed) {
		node_close_lanes(n);
		p->data.hailed = hailed;
		node_open_lanes(n);
	}
	mesh_reprime(n, p, now);
	node_mesh_session(n, p, now);
}

static bool note_changed(struct mesh *m, const uint8_t key[KEY_LEN])
{
	size_t size = m->changed_size ? 2 * m->changed_size : 64;
	uint8_t (*v)[KEY_LEN];

	if (m->changed_count == m->changed_size) {
		v = realloc(m->changed, size * sizeof(*v));
		if (!v)
			return false;
		m->changed = v;
		m->changed_size = size;
	}
	memcpy(m->changed[m->changed_count++], key, KEY_LEN);
	return true;
}

/* Whom to look at: whoever changed, or everybody there is a record or a peer of. */
static void collect(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;
	uint8_t key[KEY_LEN];
	struct store_node sn;
	bool all;

	m->changed_count = 0;
	while (store_next_change(m->store, key, &all))
		m->all |= all || !note_changed(m, key);
	if (!m->all)
		return;
	m->changed_count = 0;
	m->all = false;
	for (size_t i = 0; store_node_at(m->store, i, wall_s(now), &sn); i++) {
		const uint8_t *subject = sn.record ? sn.record->public_key : sn.revocation ? sn.revocation->public_key : NULL;

		if (subject)
			m->all |= !note_changed(m, subject);
	}
	for (size_t i = 0; i < n->peer_count; i++)
		if (!store_find(m->store, n->peers[i]->public_key, wall_s(now), &sn))
			m->all |= !note_changed(m, n->peers[i]->public_key);
}

/*
 * Whether somebody may still have to join by it: not when who came by it has been up, and said so in a self record - but for a while
 * after its record was made, so that who asks again is answered, the same or why not.
 */
static bool is_open(const struct mesh *m, const struct invitation *v, int64_t now_s)
{
	const struct node_record *r = store_token_node(m->store, v->token);
	struct store_node sn;

	if (v->not_after_s < now_s)
		return false;
	return !r || r->not_before_s + MINT_EARLY_S + MESH_USED_S > now_s || !store_find(m->store, r->public_key, now_s, &sn) || !sn.self;
}

/* Holders of invitations come and go. */
static bool consider_joiners(struct node *n, struct change *c, struct instant now)
{
	struct mesh *m = n->mesh;
	const struct invitation *v;
	bool good = true;

	m->joiners = 0;
	for (size_t i = 0; good && m->own_good && (v = store_invitation_at(m->store, i)); i++) {
		if (!is_open(m, v, wall_s(now)))
			continue;
		m->joiners++;
		if (!node_find(n, v->token))
			good = add_entry(c, v->token, CHANGE_PEER_NAME | CHANGE_PEER_JOINER);
	}
	for (size_t i = 0; good && i < n->peer_count; i++) {
		const struct peer *p = n->peers[i];

		v = p->mesh.joiner ? store_invitation(m->store, p->public_key) : NULL;
		if (p->mesh.joiner && (!v || !is_open(m, v, wall_s(now))))
			good = add_entry(c, p->public_key, CHANGE_PEER_REMOVE);
	}
	return good;
}

static bool consider_all(struct node *n, struct change *c, struct instant now)
{
	struct mesh *m = n->mesh;
	struct store_node own = { .standing = NODE_UNKNOWN };
	bool was_good = m->own_good;

	if (m->has_key)
		store_find(m->store, n->identity.public_key, wall_s(now), &own);
	own_record(n, &own);
	/* All peers are there or are not as our own record counts or does not. */
	m->all |= was_good != m->own_good;
	collect(n, now);
	for (size_t i = 0; i < m->changed_count; i++)
		if (!consider(n, m->changed[i], c, now))
			return false;
	return consider_joiners(n, c, now);
}

void node_mesh_sync(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;
	struct change c = { 0 };

	if (!m || (store_version(m->store) == m->version && !m->all) ||
	    (m->synced_us && now.mono_us - m->synced_us < MESH_SYNC_MS * US_PER_MS))
		return;
	m->synced_us = now.mono_us;
	m->version = store_version(m->store);
	m->applying = true;
	if (!consider_all(n, &c, now) || (c.peer_count && node_apply(n, &c, now))) {
		log_error(&n->log, "mesh %s: records are not taken over, out of memory", m->name);
		m->all = true;
	} else {
		for (size_t i = 0; i < m->changed_count; i++) {
			struct peer *p = node_find(n, m->changed[i]);

			if (p)
				settle(n, p, now);
		}
		mesh_judge_rebuild(n, now);
		n->effects |= NODE_EFFECT_MESH_HOSTS;
	}
	m->applying = false;
	change_done(&c);
	m->look_us = 0;
}

/*
 * Sessions.
 */

bool mesh_speaks(const struct peer *p)
{
	return p->data.mesh && p->data.session.current && p->spread.features & MESH_FEATURE_EXCHANGE;
}

bool mesh_alive(struct node *n, struct peer *p, struct instant now)
{
	return p->data.session.current && peer_paths_alive(n, p, now);
}

/* With whom there is gossip: links that stay, and those that just came to be, by which two parts of a mesh may learn of each other. */
static bool is_neighbour(const struct peer *p, struct instant now)
{
	if (!mesh_speaks(p) || !p->mesh.good)
		return false;
	return peer_has_babel(p) || p->mesh.shortcut || p->mesh.trying || !p->mesh.recorded ||
	       now.mono_us - p->data.session.current->born_us < MESH_FRESH_S * US_PER_S;
}

void node_mesh_session(struct node *n, struct peer *p, struct instant now)
{
	struct mesh *m = n->mesh;
	bool is;

	if (!m)
		return;
	is = is_neighbour(p, now);
	if (is != p->mesh.neighbour)
		p->mesh.neighbour = gossip_neighbour(m->gossip, p->public_key, is, now) && is;
	mesh_links_session(n, p, now);
}

void mesh_greet(struct node *n, struct peer *p, struct instant now)
{
	if (!p->mesh.neighbour)
		return;
	gossip_neighbour(n->mesh->gossip, p->public_key, false, now);
	p->mesh.neighbour = gossip_neighbour(n->mesh->gossip, p->public_key, true, now);
	n->mesh->more = true;
}

void node_mesh_forget_peer(struct node *n, struct peer *p)
{
	if (n->mesh && p->mesh.neighbour)
		gossip_neighbour(n->mesh->gossip, p->public_key, false, n->now);
	node_close_lanes(n);
	owners_forget_peer(&n->owners, &p->data);
	node_open_lanes(n);
	free(p->mesh.told);
	free(p->mesh.struck);
	p->mesh.told = p->mesh.struck = NULL;
	p->mesh.told_count = p->mesh.struck_count = 0;
	p->mesh.neighbour = false;
}

/* The session of one that has joined, or has gone, stays for minutes: others need not wait for its end. */
static bool is_joining(const struct peer *p, struct instant now)
{
	const struct keypair *k = p->data.session.current;
	int64_t idle_us = MESH_JOINER_IDLE_S * US_PER_S;

	return p->mesh.joiner && k && !p->mesh.answered && (now.mono_us - k->born_us < idle_us || (p->mesh.asked_us && now.mono_us - p->mesh.asked_us < idle_us));
}

/* One-time keys are good for anybody who sees the invitation: no more of them at a time than do no harm. */
bool node_mesh_admits(const struct node *n, const struct peer *p, struct instant now)
{
	size_t busy = 0;

	if (!p->mesh.joiner || is_joining(p, now))
		return true;
	for (size_t i = 0; i < n->peer_count; i++)
		busy += is_joining(n->peers[i], now);
	return busy < MESH_JOINERS_MAX;
}

/*
 * Messages.
 */

bool mesh_send(struct node *n, struct peer *p, const struct message *m)
{
	uint8_t msg[MESSAGE_MAX];
	size_t len = mesh_speaks(p) ? message_write(msg, m) : 0;

	return len && lane_send_control(peer_lane(n, p), peer_link(p), SUB_SESSION_CONTROL, 0, msg, (uint32_t)len);
}

void node_mesh_control(struct node *n, struct peer *p, const uint8_t *msg, size_t len, struct instant now)
{
	uint8_t keep[MESSAGE_MAX];
	struct message m;

	if (!message_read(&m, msg, len, keep)) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	if (!n->mesh) {
		n->exchange.take(n->exchange.ctx, p->public_key, &m);
		return;
	}
	n->mesh->more = true;
	if (p->mesh.joiner || !p->mesh.good) {
		if (m.kind == MESSAGE_JOIN)
			mesh_join_take(n, p, &m, now);
		return;
	}
	switch (m.kind) {
	case MESSAGE_NONE:
		break;
	case MESSAGE_SUMMARY:
	case MESSAGE_DIGESTS:
	case MESSAGE_LIST:
	case MESSAGE_WANT:
	case MESSAGE_PIECE:
		if (p->mesh.neighbour)
			gossip_receive(n->mesh->gossip, p->public_key, &m, now);
		break;
	case MESSAGE_ROUTED_PUNCH:
	case MESSAGE_ROUTED_JOIN:
		mesh_routed_take(n, p, &m, now);
		break;
	case MESSAGE_JOIN:
		mesh_join_take(n, p, &m, now);
		break;
	}
}

void node_set_exchange(struct node *n, const struct node_exchange *e)
{
	n->exchange = *e;
}

bool node_exchange_send(struct node *n, const uint8_t to[KEY_LEN], const struct message *m)
{
	struct peer *p = node_find(n, to);

	return p && mesh_send(n, p, m);
}

void mesh_added(struct node *n, struct instant now)
{
	gossip_added(n->mesh->gossip, now);
	n->mesh->synced_us = 0;
	n->mesh->more = true;
}

/*
 * The turn.
 */

static void give(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;
	uint8_t to[KEY_LEN], msg[MESSAGE_MAX];
	unsigned int given = 0;
	size_t len;

	while (given < MESH_MESSAGES_A_TURN && gossip_next(m->gossip, to, msg, &len, now)) {
		struct peer *p = node_find(n, to);

		given++;
		/* What finds no room is lost: the next summary finds that out. */
		if (p && mesh_speaks(p))
			lane_send_control(peer_lane(n, p), peer_link(p), SUB_SESSION_CONTROL, 0, msg, (uint32_t)len);
	}
	m->more = given == MESH_MESSAGES_A_TURN;
}

static void look(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;

	m->look_us = now.mono_us + MESH_LOOK_MS * US_PER_MS;
	if (now.mono_us >= m->expire_us) {
		m->expire_us = now.mono_us + MESH_EXPIRE_S * US_PER_S;
		store_expire(m->store, wall_s(now));
		mesh_issued_expire(n, now);
		/* Expiry and not-before are no changes of the store's. */
		m->all = true;
	}
	if (!n->up)
		return;
	for (size_t i = 0; i < n->peer_count; i++)
		if (n->peers[i]->data.mesh)
			node_mesh_session(n, n->peers[i], now);
	mesh_links_look(n, now);
	mesh_shortcuts_look(n, now);
	mesh_self_look(n, now);
}

void node_mesh_turn(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;

	if (!m)
		return;
	if (now.mono_us >= m->look_us)
		look(n, now);
	gossip_turn(m->gossip, now);
	give(n, now);
	if (m->relink) {
		m->relink = false;
		node_routing_changed(n, now);
	}
	if (store_version(m->store) != m->version_written) {
		m->version_written = store_version(m->store);
		n->effects |= NODE_EFFECT_MESH_FILE;
	}
}

int64_t node_mesh_deadline(const struct node *n)
{
	const struct mesh *m = n->mesh;
	int64_t next_us;

	if (!m)
		return NEVER_US;
	if (m->more)
		return 0;
	next_us = gossip_deadline(m->gossip);
	if (m->look_us < next_us)
		next_us = m->look_us;
	if ((m->all || store_version(m->store) != m->version) && m->synced_us + MESH_SYNC_MS * US_PER_MS < next_us)
		next_us = m->synced_us + MESH_SYNC_MS * US_PER_MS;
	return next_us;
}

void node_mesh_info(const struct node *n, struct mesh_info *info)
{
	const struct mesh *m = n->mesh;
	struct store_node sn;

	memset(info, 0, sizeof(*info));
	if (!m)
		return;
	for (size_t i = 0; store_node_at(m->store, i, n->now.wall_ns / NS_PER_S, &sn); i++) {
		info->nodes++;
		info->good += sn.standing == NODE_GOOD;
	}
	for (size_t i = 0; i < n->peer_count; i++) {
		info->backbone += n->peers[i]->mesh.backbone;
		info->shortcuts += n->peers[i]->mesh.shortcut;
	}
	info->routed = m->routed;
	info->routed_dropped = m->routed_dropped;
	info->routes_refused = m->routes_refused;
	gossip_info(m->gossip, &info->gossip);
}

const char *node_mesh_use(const struct node *n, const struct peer *p)
{
	(void)n;
	if (p->mesh.joiner)
		return "joining";
	return p->mesh.backbone ? "backbone" : p->mesh.shortcut ? "shortcut" : "";
}
