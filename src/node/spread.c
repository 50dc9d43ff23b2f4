/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions, from the offer of capabilities to the last report.
 *
 *	offer -> answer				both are meshds, and know who is behind a NAT
 *	announcement -> ready			the opener says how many, from which ports
 *	probe on i -> reply -> reply		both have heard an answer on that 5-tuple: flows may be put on i
 *	reports, twice a second while there is traffic: an i that is not heard gives its flows back to 0
 *
 * The opener is the side behind a NAT, for only it can make its NAT let answers in; else the one that was told a prefix, for only it
 * can choose addresses in that; else the one with the smaller key. If it fails it asks the other to try. The other side sends probes to the
 * announced ports as well, which opens its own NAT, should it have one.
 *
 * As many are open as both sides have flows, and a few spare ones. What nobody needs any more is not refreshed, and goes stale. Memory
 * is bounded by FlowSessions of our own side, messages by what the lanes' rings hold.
 */
#include "node/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/hash.h"
#include "node/inside.h"
#include "node/links.h"
#include "wire/ecn.h"
#include "wire/mesh.h"

static struct lane *lane_of(const struct node *n, const struct peer *p, unsigned int number)
{
	unsigned int i = number == 0 || number == SUB_SESSION_CONTROL ? p->data.home : number % n->lane_count;

	return &n->lanes[i];
}

static void send_message(struct node *n, struct peer *p, unsigned int number, const uint8_t *msg, size_t len)
{
	struct lane *l = lane_of(n, p, number);

	lane_send_control(l, &p->data.links[l->number], number, 0, msg, (uint32_t)len);
}

static bool usable(const struct node *n, const struct peer *p, unsigned int number)
{
	return links_usable(&p->data, n->lane_count, number);
}

static void set_usable(struct node *n, struct peer *p, unsigned int number, bool is)
{
	links_set_usable(n->lanes, n->lane_count, &p->data, number, is);
	if (!is)
		p->spread.subs[number].unheard_us = 0;
}

unsigned int spread_usable(const struct node *n, const struct peer *p)
{
	unsigned int count = 0;

	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		count += usable(n, p, i);
	return count;
}

/* How many there shall be. */
static unsigned int target_of(const struct peer *p)
{
	const struct spread *s = &p->spread;
	unsigned int target = s->want > s->asked ? s->want : s->asked;

	return target < s->max ? target : s->max;
}

/* How many of those we can open, by the sockets that can be had. */
static unsigned int within_ports(const struct node *n, unsigned int target)
{
	return n->spread == SPREAD_PORTS && n->ports_failed && n->port_count < target ? n->port_count : target;
}

/* Whether all are open that ever will be: by our own limits, or by what the other side made of our last request. */
static bool none_to_come(const struct node *n, const struct peer *p, unsigned int ready)
{
	const struct spread *s = &p->spread;

	if (s->pause_us)
		return true;
	if (s->opener)
		return ready >= within_ports(n, s->max);
	return ready >= s->max || (s->limited && ready >= s->announced);
}

/*
 * What the lanes need to know.
 */

/* Labels tell flows apart only where there are labels. */
static uint8_t sessions_of(struct node *n, struct peer *p)
{
	bool alike = n->spread == SPREAD_OFF || (n->spread == SPREAD_LABEL && peer_path(n, p).remote.addr.family == IP_V4);

	return alike ? 0 : peer_settings(n, p).flow_sessions;
}

static uint8_t ecn_out(const struct peer *p, enum ecn_mode mode)
{
	if (mode == ECN_OFF)
		return LANE_ECN_NONE;
	if (p->data.mesh)
		return p->spread.features & MESH_FEATURE_ECN && !p->spread.they_see_ce ? LANE_ECN_COPY : LANE_ECN_NONE;
	return mode == ECN_ON ? LANE_ECN_KERNEL : LANE_ECN_NONE;
}

void spread_settings(struct node *n, struct peer *p)
{
	struct link_settings settings = peer_settings(n, p);
	uint8_t sessions = sessions_of(n, p);

	node_close_lanes(n);
	p->data.dscp = settings.dscp;
	p->data.ecn_out = ecn_out(p, settings.ecn);
	p->data.ecn_in = settings.ecn != ECN_OFF && p->spread.ce_seen < SPREAD_CE_MIN;
	if (shaper_rate(&p->data.shaper) != settings.bandwidth_bps)
		shaper_set_rate(&p->data.shaper, settings.bandwidth_bps);
	p->spread.max = sessions < p->spread.their_sessions ? sessions : p->spread.their_sessions;
	for (unsigned int i = p->spread.max + 1U; i <= p->data.sub_count; i++)
		set_usable(n, p, i, false);
	node_open_lanes(n);
}

/* Flows that find no sub-session of their own share one only when no more are coming. */
static void set_complete(struct node *n, struct peer *p)
{
	bool complete = none_to_come(n, p, spread_usable(n, p));

	node_close_lanes(n);
	for (unsigned int i = 0; i < n->lane_count; i++) {
		p->data.links[i].slots.complete = complete;
		p->data.links[i].slots.gap_us = 2 * p->spread.rtt_us;
	}
	node_open_lanes(n);
}

/* It is no meshd, or not any more. */
static void become_plain(struct node *n, struct peer *p)
{
	struct spread *s = &p->spread;

	node_close_lanes(n);
	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		set_usable(n, p, i, false);
	p->data.mesh = false;
	s->features = 0;
	s->want = s->asked = s->announced = s->requested = s->their_sessions = 0;
	s->announce = s->role_set = s->ready_due = s->all_due = s->limited = false;
	s->tick_us = 0;
	spread_settings(n, p);
	node_open_lanes(n);
}

static bool become_mesh(struct node *n, struct peer *p)
{
	if (!p->spread.subs)
		p->spread.subs = calloc(SUB_SESSIONS, sizeof(*p->spread.subs));
	if (!p->spread.subs || !links_open_subs(n->lanes, n->lane_count, &p->data, 0))
		return false;
	node_close_lanes(n);
	p->data.mesh = true;
	node_open_lanes(n);
	return true;
}

/*
 * Capabilities.
 */

static uint16_t features_of(const struct node *n, const struct peer *p)
{
	return peer_settings(n, p).ecn == ECN_OFF || p->spread.ce_seen >= SPREAD_CE_MIN ? 0 : MESH_FEATURE_ECN;
}

static void send_capabilities(struct node *n, struct peer *p, bool answer)
{
	uint8_t msg[MESH_CAPABILITIES_LEN];
	struct mesh_capabilities m = {
		.answer = answer,
		.behind_nat = p->spread.natted,
		.fresh = !p->spread.announced,
		.prefix = p->endpoint_prefix_len > 0,
		.flow_sessions = sessions_of(n, p),
		.features = features_of(n, p),
		.seen = peer_path(n, p).remote,
	};

	m.seen.scope = 0;
	p->spread.told_sessions = m.flow_sessions;
	p->spread.told_features = m.features;
	p->spread.told_natted = p->spread.natted;
	send_message(n, p, SUB_SESSION_CONTROL, msg, mesh_capabilities_write(msg, &m));
}

void spread_changed(struct node *n, struct peer *p)
{
	spread_settings(n, p);
	set_complete(n, p);
	if (p->data.mesh && (p->spread.told_sessions != sessions_of(n, p) || p->spread.told_features != features_of(n, p)))
		send_capabilities(n, p, false);
}

static void offer(struct node *n, struct peer *p, struct instant now)
{
	p->spread.offers++;
	p->spread.offer_us = now.mono_us + SPREAD_OFFER_MS * US_PER_MS;
	send_capabilities(n, p, true);
}

void spread_session(struct node *n, struct peer *p, struct instant now)
{
	const struct keypair *k = p->data.session.current;

	p->spread.offers = 0;
	p->spread.offer_us = 0;
	if (!k)
		return;
	if (!keypair_may_extend(k) || !peer_settings(n, p).flow_sessions) {
		if (p->data.mesh)
			become_plain(n, p);
		return;
	}
	if (p->data.mesh || now.mono_us >= p->spread.quiet_us)
		offer(n, p, now);
}

/* Nobody answered an offer in time. */
static void unanswered(struct node *n, struct peer *p, struct instant now)
{
	if (p->spread.offers < SPREAD_OFFERS) {
		offer(n, p, now);
		return;
	}
	p->spread.offer_us = 0;
	/* Of one that was a meshd a moment ago an outage is more likely: the next session asks again. */
	if (p->data.mesh)
		become_plain(n, p);
	else
		p->spread.quiet_us = now.mono_us + SPREAD_QUIET_S * US_PER_S;
}

void spread_forget(struct node *n, struct peer *p)
{
	p->spread.offer_us = 0;
	p->spread.quiet_us = 0;
	if (p->data.mesh)
		become_plain(n, p);
}

void spread_done(struct peer *p)
{
	free(p->spread.subs);
	p->spread.subs = NULL;
}

/* Whether it is for us to open, as long as nobody has failed at it. Where both try at once this decides, and both sides agree. */
static bool should_open(const struct node *n, const struct peer *p)
{
	const struct spread *s = &p->spread;
	bool prefix = p->endpoint_prefix_len > 0;

	if (s->natted != s->their_natted)
		return s->natted;
	if (prefix != s->their_prefix)
		return prefix;
	return memcmp(n->identity.public_key, p->public_key, KEY_LEN) < 0;
}

static void choose_role(const struct node *n, struct peer *p)
{
	if (!p->spread.role_set)
		p->spread.opener = should_open(n, p);
}

/* What is known of open sub-sessions is of no use any more: flows go by session 0 until they are opened again. */
static void start_over(struct node *n, struct peer *p)
{
	struct spread *s = &p->spread;

	node_close_lanes(n);
	for (unsigned int i = 1; i <= p->data.sub_count; i++) {
		set_usable(n, p, i, false);
		p->data.subs[i].heard_us = 0;
		s->subs[i] = (struct spread_sub){ .token = 0 };
	}
	node_open_lanes(n);
	s->announced = s->requested = 0;
	s->limited = false;
	s->pause_us = 0;
}

void spread_handshake(struct node *n, struct peer *p, struct instant now)
{
	const struct keypair *k = p->data.session.current;

	if (p->data.mesh && k && now.mono_us - k->born_us < (REKEY_AFTER_S - SPREAD_EARLY_S) * US_PER_S)
		start_over(n, p);
}

static void take_capabilities(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct mesh_capabilities m;
	struct spread *s = &p->spread;

	if (!mesh_capabilities_read(&m, c->msg, c->len)) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	/* What comes late on an old keypair says nothing about a peer that is plain since. */
	if (!peer_settings(n, p).flow_sessions || !p->data.session.current || !keypair_may_extend(p->data.session.current) ||
	    !become_mesh(n, p))
		return;
	s->offer_us = 0;
	s->features = m.features;
	s->their_sessions = m.flow_sessions;
	s->their_natted = m.behind_nat;
	s->their_prefix = m.prefix;
	if (m.fresh) {
		start_over(n, p);
		s->role_set = false;
	}
	if (m.seen.addr.family != IP_NONE && c->from.local.family == m.seen.addr.family)
		s->natted = !ip_addr_equal(&m.seen.addr, &c->from.local) || m.seen.port != n->listen_port;
	choose_role(n, p);
	spread_settings(n, p);
	if (m.answer || s->natted != s->told_natted)
		send_capabilities(n, p, false);
	set_complete(n, p);
	if (s->active_us && now.mono_us - s->active_us < SPREAD_ACTIVE_S * US_PER_S)
		spread_traffic(n, p, !spread_usable(n, p), now);
}

/*
 * Opening.
 */

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
	struct ip_prefix prefix = { .addr = remote.addr, .len = p->endpoint_prefix_len };
	unsigned int low;

	if (!p->endpoint_prefix_len || remote.addr.family != IP_V6 || !ip_addr_equal(&remote.addr, &p->endpoint_addr))
		return remote;
	/* 64..127 bits: the number is added within the last 16, and what is the network's is put back. */
	low = (unsigned int)(remote.addr.bytes[14] << 8 | remote.addr.bytes[15]) + number;
	remote.addr.bytes[14] = (uint8_t)(low >> 8);
	remote.addr.bytes[15] = (uint8_t)low;
	ip_prefix_mask(&prefix);
	for (unsigned int i = prefix.len; i < 128; i++)
		prefix.addr.bytes[i / 8] |= remote.addr.bytes[i / 8] & (uint8_t)(0x80 >> i % 8);
	remote.addr = prefix.addr;
	return remote;
}

/* Put a sub-session's way where we would send first. */
static void aim(struct node *n, struct peer *p, unsigned int number, uint16_t remote_port)
{
	struct path_addr path = peer_path(n, p);
	struct lane *l = lane_of(n, p, number);
	struct lane_sub *sub = &p->data.subs[number];

	if (remote_port)
		path.remote.port = remote_port;
	else
		path.remote = remote_of(p, &path, number);
	lane_close(l);
	*sub = (struct lane_sub){
		.path = path, .label = label_of(n, p, number),
		.port = p->spread.opener && n->spread == SPREAD_PORTS ? (uint8_t)number : 0,
	};
	lane_open(l);
}

/* One announcement of the other side asks for many: not too often. */
static void probe(struct node *n, struct peer *p, unsigned int number, struct instant now)
{
	struct spread_sub *sub = &p->spread.subs[number];
	struct mesh_probe m = { .stamp = (uint64_t)now.mono_us };
	struct lane *l = lane_of(n, p, number);
	uint8_t msg[MESH_PROBE_LEN];

	if (sub->asked_us && now.mono_us - sub->asked_us < SPREAD_PROBE_MIN_MS * US_PER_MS)
		return;
	while (!sub->token)
		sub->token = rng_u32(&n->rng);
	m.token = sub->token;
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
		if (all || !usable(n, p, i))
			probe(n, p, i, now);
}

enum open_kind {
	OPEN_ANNOUNCE,
	OPEN_READY,
	OPEN_REQUEST,
};

static void send_open(struct node *n, struct peer *p, enum open_kind kind, unsigned int count)
{
	uint8_t msg[MESH_MESSAGE_MAX];
	struct mesh_open m = { .announce = kind == OPEN_ANNOUNCE, .ready = kind == OPEN_READY, .count = (uint8_t)count };

	for (unsigned int i = 1; m.announce && n->spread == SPREAD_PORTS && i <= count && i <= n->port_count; i++)
		m.ports[i - 1] = n->ports[i];
	send_message(n, p, SUB_SESSION_CONTROL, msg, mesh_open_write(msg, &m));
}

/* We open: first the sockets, which the driver has; then tell the other side; it answers, and we probe. */
static void open_more(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;
	unsigned int target = target_of(p), count;

	s->announce = false;
	if (n->spread == SPREAD_PORTS && n->port_count < target && !n->ports_failed) {
		if (n->ports_wanted < target)
			n->ports_wanted = target;
		n->effects |= NODE_EFFECT_PORTS;
		s->announce = true;
		return;
	}
	count = within_ports(n, target);
	if (!count || !links_open_subs(n->lanes, n->lane_count, &p->data, count))
		return;
	for (unsigned int i = s->announced + 1U; i <= count; i++) {
		aim(n, p, i, 0);
		s->subs[i] = (struct spread_sub){ .token = 0 };
	}
	s->announced = (uint8_t)count;
	s->ready_due = true;
	s->ask_us = now.mono_us;
	send_open(n, p, OPEN_ANNOUNCE, count);
}

static void ask_to_open(struct node *n, struct peer *p, struct instant now)
{
	p->spread.ask_us = now.mono_us;
	p->spread.requested = (uint8_t)target_of(p);
	send_open(n, p, OPEN_REQUEST, p->spread.requested);
}

/* Neither more than there are nor too often. */
static void seek(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	if (now.mono_us < s->pause_us)
		return;
	s->pause_us = 0;
	if (s->opener && (within_ports(n, target_of(p)) > s->announced ||
			  (s->ready_due && now.mono_us - s->ask_us > SPREAD_ASK_MS * US_PER_MS)))
		open_more(n, p, now);
	else if (!s->opener && target_of(p) > s->announced &&
		 (target_of(p) > s->requested || now.mono_us - s->ask_us > SPREAD_ASK_MS * US_PER_MS))
		ask_to_open(n, p, now);
}

/* What the other side opens, from these ports. */
static void take_announcement(struct node *n, struct peer *p, const struct mesh_open *m, struct instant now)
{
	struct spread *s = &p->spread;
	unsigned int count = m->count < s->max ? m->count : s->max;

	/* It crossed ours. */
	if (s->opener && s->ready_due && should_open(n, p) && now.mono_us - s->ask_us < SPREAD_ASK_MS * US_PER_MS)
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
		set_usable(n, p, i, false);
	node_close_lanes(n);
	for (unsigned int i = 1; i <= count; i++) {
		if (usable(n, p, i))
			continue;
		/* It may have been heard before the announcement came; then it is known where it is. */
		if (!p->data.subs[i].heard_us)
			aim(n, p, i, m->ports[i - 1]);
		s->subs[i].tries = 0;
		/* Who was told a prefix begins, or it would take the address we choose for the one to send to. */
		if (!s->their_prefix)
			probe(n, p, i, now);
	}
	node_open_lanes(n);
}

/*
 * The other side asks for what it was told of: it does not hear what we think it does, so from the beginning - unless the announcement
 * and its request have met on the way.
 */
static void again(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	if (now.mono_us - s->ask_us < SPREAD_TICK_MS * US_PER_MS)
		return;
	s->ask_us = now.mono_us;
	s->ready_due = s->all_due = true;
	send_open(n, p, OPEN_ANNOUNCE, s->announced);
}

static void take_open(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct spread *s = &p->spread;
	struct mesh_open m;

	if (!p->data.mesh || !mesh_open_read(&m, c->msg, c->len)) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	if (m.announce) {
		take_announcement(n, p, &m, now);
		return;
	}
	if (m.ready) {
		if (s->opener)
			probe_many(n, p, s->all_due, now);
		s->ready_due = s->all_due = false;
		return;
	}
	/* Where it has just announced some it is not we who shall open. */
	if (!s->opener && !should_open(n, p) && now.mono_us - s->ask_us < SPREAD_ASK_MS * US_PER_MS)
		return;
	s->asked = m.count < s->max ? m.count : s->max;
	if (s->opener && m.count <= s->announced) {
		again(n, p, now);
		return;
	}
	if (!s->opener) {
		s->opener = s->role_set = true;
		s->announced = 0;
	}
	open_more(n, p, now);
}

/*
 * Probes.
 */

static void take_probe(struct node *n, struct peer *p, const struct lane_control *c)
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
	/* While we do not know that it hears us we ask in the same breath. */
	if (!usable(n, p, c->number)) {
		while (!p->spread.subs[c->number].token)
			p->spread.subs[c->number].token = rng_u32(&n->rng);
		r.own_token = p->spread.subs[c->number].token;
	}
	send_message(n, p, c->number, msg, mesh_reply_write(msg, &r));
}

static void take_reply(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct spread *s = &p->spread;
	struct mesh_reply m, r = { .ecn = c->tos & 3 };
	struct spread_sub *sub;
	uint8_t msg[MESH_REPLY_LEN];
	int64_t rtt_us;

	if (!mesh_reply_read(&m, c->msg, c->len) || c->number > p->data.sub_count || !p->data.mesh ||
	    !s->subs[c->number].token || s->subs[c->number].token != m.token) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	sub = &s->subs[c->number];
	rtt_us = now.mono_us - (int64_t)m.stamp;
	if (m.stamp && rtt_us > 0 && rtt_us < SPREAD_ACTIVE_S * US_PER_S)
		s->rtt_us = rtt_us;
	sub->tries = 0;
	s->failures = 0;
	/* The first of the two answers a probe, which left as ECT(0) where we use ECN. */
	if (m.stamp && p->data.ecn_out == LANE_ECN_COPY)
		s->bleached = m.ecn == ECN_NOT_ECT;
	if (!usable(n, p, c->number) && c->number <= s->max)
		set_usable(n, p, c->number, true);
	set_complete(n, p);
	if (!m.own_token)
		return;
	r.token = m.own_token;
	send_message(n, p, c->number, msg, mesh_reply_write(msg, &r));
}

/*
 * Reports.
 */

static void send_report(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;
	struct mesh_report m = {
		.want = s->want, .sequence = ++s->sequence, .echo = s->echo, .ce_on_not_ect = s->ce_seen >= SPREAD_CE_MIN,
	};
	uint8_t msg[MESH_REPORT_LEN];

	s->sequence_us[s->sequence % SPREAD_SEQUENCES] = now.mono_us;
	node_close_lanes(n);
	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		if (p->data.subs[i].heard_us && now.mono_us - p->data.subs[i].heard_us < SPREAD_HEARD_MS * US_PER_MS)
			m.heard[i / 8] |= (uint8_t)(1 << i % 8);
	node_open_lanes(n);
	send_message(n, p, SUB_SESSION_CONTROL, msg, mesh_report_write(msg, &m));
}

/* Not heard, though it should have been: flows go back to session 0, and it is asked for anew. */
static void unheard(struct node *n, struct peer *p, unsigned int number, struct instant now)
{
	set_usable(n, p, number, false);
	p->spread.subs[number] = (struct spread_sub){ .token = 0 };
	n->subs_lost++;
	if (p->spread.opener)
		probe(n, p, number, now);
}

static void take_report(struct node *n, struct peer *p, const struct lane_control *c, struct instant now)
{
	struct spread *s = &p->spread;
	struct mesh_report m;
	int64_t told_us;

	if (!p->data.mesh || !mesh_report_read(&m, c->msg, c->len)) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	s->echo = m.sequence;
	if (m.ce_on_not_ect != s->they_see_ce) {
		s->they_see_ce = m.ce_on_not_ect;
		spread_settings(n, p);
	}
	/* What left before the report of ours that this one answers has had its time. */
	told_us = (uint16_t)(s->sequence - m.echo) < SPREAD_SEQUENCES ? s->sequence_us[m.echo % SPREAD_SEQUENCES] : 0;
	for (unsigned int i = 1; i <= p->data.sub_count; i++) {
		struct spread_sub *sub = &s->subs[i];

		if (m.heard[i / 8] & 1 << i % 8) {
			sub->unheard_us = 0;
			sub->told_us = now.mono_us;
		} else if (sub->unheard_us && usable(n, p, i) && told_us - sub->unheard_us > SPREAD_SLACK_MS * US_PER_MS) {
			unheard(n, p, i, now);
		}
	}
}

void spread_control(struct node *n, const struct lane_control *c, struct instant now)
{
	struct peer *p = c->peer ? container_of(c->peer, struct peer, data) : NULL;
	unsigned int kind = mesh_kind(c->msg, c->len);
	bool is_control = c->number == SUB_SESSION_CONTROL;

	if (!p)
		return;
	/* All but probes leave as Not-ECT, which nobody may mark. */
	if (kind != MESH_PROBE && (c->tos & 3) == ECN_CE && p->spread.ce_seen < SPREAD_CE_MIN && ++p->spread.ce_seen == SPREAD_CE_MIN)
		spread_settings(n, p);
	if (kind == MESH_CAPABILITIES && is_control)
		take_capabilities(n, p, c, now);
	else if (kind == MESH_OPEN && is_control)
		take_open(n, p, c, now);
	else if (kind == MESH_REPORT && is_control)
		take_report(n, p, c, now);
	else if (kind == MESH_PROBE && !is_control && c->number)
		take_probe(n, p, c);
	else if (kind == MESH_REPLY && !is_control && c->number)
		take_reply(n, p, c, now);
	else
		n->drops[DROP_CONTROL]++;
	peer_rearm(n, p);
}

/*
 * Looking after it.
 */

/* How many sub-sessions our flows could use: those that are busy in the busiest lane, and spare ones. */
static unsigned int wanted(const struct node *n, const struct peer *p, bool wanting, int64_t now_us)
{
	unsigned int most = 0;

	for (unsigned int i = 0; i < n->lane_count; i++) {
		const struct flow_slots *s = &p->data.links[i].slots;
		unsigned int busy = s->usable - flow_slots_free(s, now_us);
		unsigned int want = busy ? busy + SPREAD_SPARE : 0;

		if (wanting && want < 2 * s->usable)
			want = 2 * s->usable;
		if (wanting && want < SPREAD_SPARE)
			want = SPREAD_SPARE;
		if (want > most)
			most = want;
	}
	most *= n->lane_count;
	return most < p->spread.max ? most : p->spread.max;
}

static void arm(struct peer *p, int64_t at_us)
{
	if (!p->spread.tick_us || at_us < p->spread.tick_us)
		p->spread.tick_us = at_us;
}

void spread_traffic(struct node *n, struct peer *p, bool wanting, struct instant now)
{
	struct spread *s = &p->spread;
	unsigned int want;

	s->active_us = now.mono_us;
	if (!p->data.mesh || !s->max)
		return;
	arm(p, now.mono_us + SPREAD_TICK_MS * US_PER_MS);
	if (!wanting)
		return;
	node_close_lanes(n);
	want = wanted(n, p, true, now.mono_us);
	/* Where there are no more to be had, lanes need not say so again before the next tick. */
	for (unsigned int i = 0; want > s->want && i < n->lane_count; i++)
		p->data.links[i].wanting = false;
	node_open_lanes(n);
	if (want > s->want)
		s->want = (uint8_t)want;
	seek(n, p, now);
	/* There may be as many as one wants, but stale: open them again. Not while they are tried, or give_way() would never be due. */
	if (s->opener && s->announced && !spread_usable(n, p) && now.mono_us - s->ask_us > SPREAD_ASK_MS * US_PER_MS) {
		s->announced = 0;
		open_more(n, p, now);
	}
}

/* One sub-session: what it did since the last look, and what it needs. */
static void look_after(struct node *n, struct peer *p, unsigned int number, bool active, struct instant now)
{
	struct spread_sub *s = &p->spread.subs[number];
	struct lane_sub *sub = &p->data.subs[number];
	int64_t silent_us = sub->heard_us ? now.mono_us - sub->heard_us : INT64_MAX, asked_us = now.mono_us - s->asked_us;

	if (sub->sent && !s->unheard_us)
		s->unheard_us = now.mono_us;
	sub->sent = false;
	/* Where data goes one way only it is the reports that say that it arrives. */
	if (usable(n, p, number) && silent_us > SPREAD_FRESH_S * US_PER_S && now.mono_us - s->told_us > SPREAD_FRESH_S * US_PER_S)
		set_usable(n, p, number, false);
	if (!p->spread.opener || !active || number > target_of(p) || now.mono_us < p->spread.pause_us)
		return;
	if (usable(n, p, number)) {
		if (silent_us > SPREAD_REFRESH_S * US_PER_S && asked_us > SPREAD_TICK_MS * US_PER_MS)
			probe(n, p, number, now);
	} else if (s->tries < SPREAD_TRIES || asked_us > SPREAD_RETRY_S * US_PER_S) {
		probe(n, p, number, now);
	}
}

/* None of ours was answered: let the other side try, and if that was tried, wait. */
static void give_way(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	for (unsigned int i = 1; i <= s->announced; i++)
		if (usable(n, p, i) || s->subs[i].tries < SPREAD_TRIES)
			return;
	if (++s->failures >= 2) {
		s->failures = 0;
		s->pause_us = now.mono_us + SPREAD_PAUSE_S * US_PER_S;
		s->announced = 0;
		return;
	}
	s->opener = false;
	s->role_set = true;
	s->announced = 0;
	ask_to_open(n, p, now);
}

static void tick(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;
	bool active = now.mono_us - s->active_us < SPREAD_ACTIVE_S * US_PER_S;
	bool stale = now.mono_us - s->active_us > (SPREAD_ACTIVE_S + SPREAD_FRESH_S) * US_PER_S;
	unsigned int want;

	s->tick_us = 0;
	node_close_lanes(n);
	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		look_after(n, p, i, active, now);
	want = wanted(n, p, false, now.mono_us);
	for (unsigned int i = 0; i < n->lane_count; i++)
		p->data.links[i].wanting = false;
	node_open_lanes(n);
	/* Down slowly: flows come and go. */
	s->want = want > s->want ? (uint8_t)want : (uint8_t)(s->want - (s->want > want));
	if (active) {
		if (s->opener && s->announced)
			give_way(n, p, now);
		seek(n, p, now);
		send_report(n, p, now);
	}
	set_complete(n, p);
	if (!stale)
		arm(p, now.mono_us + (active ? SPREAD_TICK_MS : SPREAD_TICK_IDLE_MS) * US_PER_MS);
}

void spread_moved(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	s->ce_seen = 0;
	s->they_see_ce = s->bleached = false;
	spread_settings(n, p);
	if (p->data.mesh && n->spread == SPREAD_LABEL)
		send_capabilities(n, p, false);
	if (!p->data.mesh || !p->data.sub_count)
		return;
	start_over(n, p);
	if (now.mono_us - s->active_us < SPREAD_ACTIVE_S * US_PER_S)
		seek(n, p, now);
}

void spread_ports(struct node *n, struct instant now)
{
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (p->data.mesh && p->spread.opener && p->spread.announce)
			open_more(n, p, now);
	}
}

int64_t spread_next(const struct peer *p)
{
	const struct spread *s = &p->spread;
	int64_t next_us = NEVER_US;

	if (s->offer_us)
		next_us = s->offer_us;
	if (p->data.mesh && s->tick_us && s->tick_us < next_us)
		next_us = s->tick_us;
	return next_us;
}

void spread_expire(struct node *n, struct peer *p, struct instant now)
{
	if (p->spread.offer_us && now.mono_us >= p->spread.offer_us)
		unanswered(n, p, now);
	if (p->data.mesh && p->spread.tick_us && now.mono_us >= p->spread.tick_us)
		tick(n, p, now);
}
