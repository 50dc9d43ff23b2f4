/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions: opening them (doc/protocol.md, "Opening"; spread.c tells who does, and when). Each is aimed at where we would send first;
 * a probe and the reply to it say that it is open. An authenticated message from elsewhere moves it, which the lanes do.
 */
#include "node/spread_inside.h"

#include <string.h>

#include "base/hash.h"
#include "wire/ecn.h"
#include "wire/mesh.h"

/* A flow label of our own for each sub-session, kept through rekeys; never 0. */
static uint32_t label_of(const struct node *n, const struct peer *p, unsigned int number)
{
	uint8_t input[KEY_LEN + 1];
	uint32_t label;

	memcpy(input, p->public_key, KEY_LEN);
	input[KEY_LEN] = (uint8_t)number;
	label = (uint32_t)hash_bytes(n->bucket_key, input, sizeof(input)) & 0xfffff;
	return label ? label : 1;
}

/* The peer's address for a sub-session: its endpoint, or another one in the prefix that was given as such. */
static struct endpoint remote_of(const struct peer *p, const struct path_addr *base, unsigned int number)
{
	struct endpoint remote = base->remote;
	const struct change_endpoint *e = peer_endpoint_of(p, &remote);
	struct ip_prefix prefix = { .addr = remote.addr, .len = e ? e->prefix_len : 0 };
	unsigned int low;

	if (!prefix.len || !ip_addr_equal(&remote.addr, &e->v[0].addr))
		return remote;
	/* 64..127 bits: the number is added within the last 16, and what is the network's is put back. */
	low = (unsigned int)(remote.addr.bytes[14] << 8 | remote.addr.bytes[15]) + number;
	remote.addr.bytes[14] = (uint8_t)(low >> 8);
	remote.addr.bytes[15] = (uint8_t)low;
	ip_prefix_mask(&prefix);
	for (unsigned int i = prefix.len; i < 128; i++)
		prefix.addr.bytes[i / 8] = (uint8_t)(prefix.addr.bytes[i / 8] | (remote.addr.bytes[i / 8] & 0x80 >> i % 8));
	remote.addr = prefix.addr;
	return remote;
}

struct path_addr spread_way(const struct peer *p, unsigned int number, struct path_addr base)
{
	uint16_t port = p->spread.opener ? 0 : p->spread.subs[number].remote_port;

	if (port)
		base.remote.port = port;
	else
		base.remote = remote_of(p, &base, number);
	return base;
}

uint8_t spread_port(const struct node *n, const struct peer *p, unsigned int number)
{
	return p->spread.opener && n->spread == SPREAD_PORTS ? (uint8_t)number : 0;
}

/* What comes in is counted on, wherever we send. */
void spread_aim(struct node *n, struct peer *p, unsigned int number)
{
	struct path_addr path = spread_way(p, number, spread_base(n, p, number));
	struct lane *l = spread_lane(n, p, number);
	struct lane_sub *sub = &p->data.subs[number];

	lane_close(l);
	sub->path = path;
	sub->label = label_of(n, p, number);
	sub->port = spread_port(n, p, number);
	sub->sent = false;
	lane_open(l);
}

/* As if it had never been heard. */
static void aim_anew(struct node *n, struct peer *p, unsigned int number)
{
	struct lane *l = spread_lane(n, p, number);

	lane_close(l);
	p->data.subs[number].heard_us = 0;
	spread_aim(n, p, number);
	lane_open(l);
}

uint32_t spread_token(struct node *n, struct spread_sub *sub)
{
	while (!sub->token)
		sub->token = rng_u32(&n->rng);
	return sub->token;
}

/* One announcement of the other side asks for many: not too often. */
void spread_probe(struct node *n, struct peer *p, unsigned int number, struct instant now)
{
	struct spread_sub *sub = &p->spread.subs[number];
	struct mesh_probe m = { .stamp = (uint64_t)now.mono_us };
	struct lane *l = spread_lane(n, p, number);
	uint8_t msg[MESH_PROBE_LEN];

	if (sub->asked_us && now.mono_us - sub->asked_us < SPREAD_PROBE_MIN_MS * US_PER_MS)
		return;
	m.token = spread_token(n, sub);
	sub->asked_us = now.mono_us;
	if (sub->tries < UINT8_MAX)
		sub->tries++;
	/* A probe goes as ECT(0) where data may: how it arrives tells whether the path leaves that alone. */
	lane_send_control(l, &p->data.links[l->number], number, p->data.ecn_out == LANE_ECN_COPY ? ECN_ECT0 : ECN_NOT_ECT, msg,
			  (uint32_t)mesh_probe_write(msg, &m));
}

/* Those that are new, or all of them: what we still hear the other side may not. */
static void probe_many(struct node *n, struct peer *p, bool all, struct instant now)
{
	for (unsigned int i = 1; i <= p->spread.announced && i <= p->data.sub_count; i++)
		if (all || !spread_is_usable(n, p, i))
			spread_probe(n, p, i, now);
}

enum open_kind {
	OPEN_ANNOUNCE,
	OPEN_READY,
	OPEN_REQUEST,
};

static size_t write_open(const struct node *n, enum open_kind kind, unsigned int count, uint8_t msg[MESH_MESSAGE_MAX])
{
	struct mesh_open m = { .announce = kind == OPEN_ANNOUNCE, .ready = kind == OPEN_READY, .count = (uint8_t)count };

	for (unsigned int i = 1; m.announce && n->spread == SPREAD_PORTS && i <= count && i <= n->port_count; i++)
		m.ports[i - 1] = n->ports[i];
	return mesh_open_write(msg, &m);
}

static void send_open(struct node *n, struct peer *p, enum open_kind kind, unsigned int count)
{
	uint8_t msg[MESH_MESSAGE_MAX];

	spread_send(n, p, SUB_SESSION_CONTROL, msg, write_open(n, kind, count, msg));
}

void spread_hail(struct node *n, struct peer *p, const struct path_addr *over, struct instant now)
{
	struct spread *s = &p->spread;
	struct lane *l = spread_lane(n, p, SUB_SESSION_CONTROL);
	uint8_t msg[MESH_MESSAGE_MAX];
	size_t len = write_open(n, s->opener ? OPEN_ANNOUNCE : OPEN_REQUEST, s->announced, msg);

	s->hail_us = now.mono_us;
	lane_send_over(l, &p->data.links[l->number], SUB_SESSION_CONTROL, over, 0, 0, 0, msg, (uint32_t)len);
}

/* We open: first the sockets, which the driver has; then tell the other side; it answers, and we probe. */
void spread_open_more(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;
	unsigned int target = spread_target(p), count;

	s->announce = false;
	if (n->spread == SPREAD_PORTS && n->port_count < target && !n->ports_failed) {
		if (n->ports_wanted < target)
			n->ports_wanted = target;
		n->effects |= NODE_EFFECT_PORTS;
		s->announce = true;
		return;
	}
	count = spread_within_ports(n, target);
	if (!count || !links_open_subs(n->lanes, n->lane_count, &p->data, count))
		return;
	for (unsigned int i = s->announced + 1U; i <= count; i++) {
		s->subs[i] = (struct spread_sub){ .token = 0 };
		aim_anew(n, p, i);
	}
	s->announced = (uint8_t)count;
	s->ready_due = true;
	s->ask_us = now.mono_us;
	send_open(n, p, OPEN_ANNOUNCE, count);
}

void spread_ask(struct node *n, struct peer *p, struct instant now)
{
	p->spread.ask_us = now.mono_us;
	p->spread.requested = (uint8_t)spread_target(p);
	send_open(n, p, OPEN_REQUEST, p->spread.requested);
}

/* Neither more than there are nor too often. */
void spread_seek(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	if (now.mono_us < s->pause_us)
		return;
	s->pause_us = 0;
	if (s->opener && (spread_within_ports(n, spread_target(p)) > s->announced ||
			  (s->ready_due && now.mono_us - s->ask_us > SPREAD_ASK_MS * US_PER_MS)))
		spread_open_more(n, p, now);
	else if (!s->opener && spread_target(p) > s->announced &&
		 (spread_target(p) > s->requested || now.mono_us - s->ask_us > SPREAD_ASK_MS * US_PER_MS))
		spread_ask(n, p, now);
}

/* It is announced: aim it there. */
static void expect(struct node *n, struct peer *p, unsigned int number, struct instant now)
{
	/* It may have been heard before the announcement came; then it is known where it is. */
	if (!p->data.subs[number].heard_us)
		aim_anew(n, p, number);
	else if (p->data.managed && !spread_in_place(n, p, number))
		spread_aim(n, p, number);
	p->spread.subs[number].tries = 0;
	/* Who was told a prefix begins, or it would take the address we choose for the one to send to. */
	if (!p->spread.their_prefix)
		spread_probe(n, p, number, now);
}

/* What the other side opens, from these ports. */
static void take_announcement(struct node *n, struct peer *p, const struct lane_control *c, const struct mesh_open *m, struct instant now)
{
	struct spread *s = &p->spread;
	unsigned int count = m->count < s->max ? m->count : s->max;

	/* It crossed ours. */
	if (s->opener && s->ready_due && spread_should_open(n, p) && now.mono_us - s->ask_us < SPREAD_ASK_MS * US_PER_MS)
		return;
	s->opener = s->ready_due = false;
	s->role_set = true;
	s->asked = (uint8_t)count;
	/* As many as before, and fewer than we asked for: there are no more, and no use in asking again soon. */
	s->limited = count < s->requested && count == s->announced;
	s->ask_us = now.mono_us + (s->limited ? SPREAD_RETRY_S * US_PER_S : 0);
	if (!links_open_subs(n->lanes, n->lane_count, &p->data, count))
		return;
	s->announced = (uint8_t)count;
	send_open(n, p, OPEN_READY, count);
	/* What it had opened before it may have forgotten. */
	for (unsigned int i = count + 1; i <= p->data.sub_count; i++)
		spread_set_usable(n, p, i, false);
	node_close_lanes(n);
	for (unsigned int i = 1; i <= count; i++) {
		s->subs[i].remote_port = m->ports[i - 1];
		if (!spread_is_usable(n, p, i))
			expect(n, p, i, now);
	}
	node_open_lanes(n);
	spread_meet(n, p, c, now);
}

/*
 * The other side asks for what it was told of: it does not hear what we think it does, so from the beginning - unless the announcement
 * and its request have met on the way.
 */
static void again(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;
	/* Where it wants its own path opened, which is more likely, probes are the answer. */
	int64_t pause_ms = p->data.managed ? SPREAD_ASK_MS : SPREAD_TICK_MS;

	if (now.mono_us - s->ask_us < pause_ms * US_PER_MS)
		return;
	s->ask_us = now.mono_us;
	s->ready_due = s->all_due = true;
	send_open(n, p, OPEN_ANNOUNCE, s->announced);
}

void spread_take_open(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct spread *s = &p->spread;
	struct mesh_open m;

	if (!p->data.mesh || !mesh_open_read(&m, c->msg, c->len)) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	if (m.announce) {
		take_announcement(n, p, c, &m, now);
		return;
	}
	if (m.ready) {
		if (s->opener)
			probe_many(n, p, s->all_due, now);
		if (s->opener)
			spread_meet(n, p, c, now);
		s->ready_due = s->all_due = false;
		return;
	}
	/* Where it has just announced some, or we have given way, it is not we who shall open: they crossed. */
	if (!s->opener && (!spread_should_open(n, p) || s->failures) && now.mono_us - s->ask_us < SPREAD_ASK_MS * US_PER_MS)
		return;
	s->asked = m.count < s->max ? m.count : s->max;
	if (s->opener && m.count <= s->announced) {
		if (p->data.managed)
			probe_many(n, p, true, now);
		spread_meet(n, p, c, now);
		again(n, p, now);
		return;
	}
	if (!s->opener) {
		s->opener = s->role_set = true;
		s->announced = 0;
	}
	spread_open_more(n, p, now);
}

/*
 * Probes.
 */

void spread_take_probe(struct node *n, struct peer *p, const struct lane_control *c)
{
	struct mesh_probe m;
	struct mesh_reply r = { .ecn = c->tos & 3 };
	uint8_t msg[MESH_REPLY_LEN];

	if (!mesh_probe_read(&m, c->msg, c->len) || c->number > p->data.sub_count || !p->data.mesh) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	r.token = m.token;
	r.stamp = m.stamp;
	spread_take_local(n, p, c);
	/* While we do not know that it hears us we ask in the same breath, if that is the way we would send. */
	if (!spread_is_usable(n, p, c->number) && spread_came_by(n, p, c))
		r.own_token = spread_token(n, &p->spread.subs[c->number]);
	spread_answer(n, p, c, msg, mesh_reply_write(msg, &r));
}

/* A probe of ours was answered, over the way it went. */
static void answered(struct node *n, struct peer *p, const struct lane_control *c, const struct mesh_reply *m, struct instant now)
{
	struct spread *s = &p->spread;
	struct spread_sub *sub = &s->subs[c->number];
	int64_t rtt_us = now.mono_us - (int64_t)m->stamp;

	if (m->stamp && rtt_us > 0 && rtt_us < SPREAD_ACTIVE_S * US_PER_S)
		s->rtt_us = rtt_us;
	sub->tries = 0;
	sub->answered_us = now.mono_us;
	s->failures = 0;
	/* The first of the two answers a probe, which left as ECT(0) where we use ECN. */
	if (m->stamp && p->data.ecn_out == LANE_ECN_COPY)
		s->bleached = m->ecn == ECN_NOT_ECT;
	if (!spread_is_usable(n, p, c->number) && c->number <= s->max)
		spread_set_usable(n, p, c->number, true);
	spread_set_complete(n, p);
}

void spread_take_reply(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct spread *s = &p->spread;
	struct mesh_reply m, r = { .ecn = c->tos & 3 };
	uint8_t msg[MESH_REPLY_LEN];

	if (!mesh_reply_read(&m, c->msg, c->len) || c->number > p->data.sub_count || !p->data.mesh ||
	    !s->subs[c->number].token || s->subs[c->number].token != m.token) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	/* What came over another way says nothing about the one our data takes. */
	if (spread_came_by(n, p, c))
		answered(n, p, c, &m, now);
	if (!m.own_token)
		return;
	r.token = m.own_token;
	spread_answer(n, p, c, msg, mesh_reply_write(msg, &r));
}
