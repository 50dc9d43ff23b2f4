/* SPDX-License-Identifier: MIT */
/*
 * Sub-sessions, from the offer of capabilities to the last report (opening is in spread_open.c, paths are in
 * spread_paths.c).
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
#include "node/links.h"
#include "node/mesh.h"
#include "node/paths.h"
#include "node/spread_inside.h"
#include "wire/ecn.h"
#include "wire/mesh.h"

struct lane *spread_lane(const struct node *n, const struct peer *p, unsigned int number)
{
	unsigned int i = number == 0 || number == SUB_SESSION_CONTROL ? p->data.home : number % n->lane_count;

	return &n->lanes[i];
}

void spread_send(struct node *n, struct peer *p, unsigned int number, const uint8_t *msg, size_t len)
{
	struct lane *l = spread_lane(n, p, number);

	lane_send_control(l, &p->data.links[l->number], number, 0, msg, (uint32_t)len);
}

bool spread_is_usable(const struct node *n, const struct peer *p, unsigned int number)
{
	return links_usable(&p->data, n->lane_count, number);
}

void spread_set_usable(struct node *n, struct peer *p, unsigned int number, bool is)
{
	links_set_usable(n->lanes, n->lane_count, &p->data, number, is);
	if (!is)
		p->spread.subs[number].unheard_us = 0;
}

unsigned int spread_usable(const struct node *n, const struct peer *p)
{
	unsigned int count = 0;

	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		count += spread_is_usable(n, p, i);
	return count;
}

unsigned int spread_target(const struct peer *p)
{
	const struct spread *s = &p->spread;
	unsigned int target = s->want > s->asked ? s->want : s->asked;

	return target < s->max ? target : s->max;
}

unsigned int spread_within_ports(const struct node *n, unsigned int target)
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
		return ready >= spread_within_ports(n, s->max);
	return ready >= s->max || (s->limited && ready >= s->announced);
}

/*
 * What the lanes need to know.
 */

/* Labels tell flows apart only where there are labels. */
static uint8_t sessions_of(struct node *n, struct peer *p)
{
	bool alike = p->mesh.joiner || n->spread == SPREAD_OFF || (n->spread == SPREAD_LABEL && peer_path(n, p).remote.addr.family == IP_V4);

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
		spread_set_usable(n, p, i, false);
	node_open_lanes(n);
}

/* Flows that find no sub-session of their own share one only when no more are coming. */
void spread_set_complete(struct node *n, struct peer *p)
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
		spread_set_usable(n, p, i, false);
	p->data.mesh = false;
	peer_paths_managed(n, p, false, n->now);
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
	bool ecn = peer_settings(n, p).ecn != ECN_OFF && p->spread.ce_seen < SPREAD_CE_MIN;

	return (uint16_t)(MESH_FEATURE_PATHS | (ecn ? MESH_FEATURE_ECN : 0) | (n->mesh || n->exchange.take ? MESH_FEATURE_EXCHANGE : 0));
}

/*
 * Offers go where the peer is thought to be. An answer goes where the offer came from: who is not known yet to speak paths answers no probes, so a
 * peer that began anew elsewhere could not be found there without it.
 */
static void send_capabilities(struct node *n, struct peer *p, bool answer, const struct path_addr *to)
{
	uint8_t msg[MESH_CAPABILITIES_LEN];
	struct mesh_capabilities m = {
		.answer = answer,
		.behind_nat = p->spread.natted,
		.fresh = !p->spread.announced,
		.prefix = peer_has_prefix(p),
		.flow_sessions = sessions_of(n, p),
		.features = features_of(n, p),
		.seen = to ? to->remote : peer_path(n, p).remote,
	};

	m.seen.scope = 0;
	p->spread.told_sessions = m.flow_sessions;
	p->spread.told_features = m.features;
	p->spread.told_natted = p->spread.natted;
	if (to)
		lane_send_over(peer_lane(n, p), &p->data.links[peer_lane(n, p)->number], SUB_SESSION_CONTROL, to, 0, 0, 0, msg,
			       (uint32_t)mesh_capabilities_write(msg, &m));
	else
		spread_send(n, p, SUB_SESSION_CONTROL, msg, mesh_capabilities_write(msg, &m));
}

void spread_changed(struct node *n, struct peer *p)
{
	spread_settings(n, p);
	spread_set_complete(n, p);
	if (p->data.mesh && (p->spread.told_sessions != sessions_of(n, p) || p->spread.told_features != features_of(n, p)))
		send_capabilities(n, p, false, NULL);
}

static void offer(struct node *n, struct peer *p, struct instant now)
{
	p->spread.offers++;
	p->spread.offer_us = now.mono_us + SPREAD_OFFER_MS * US_PER_MS;
	send_capabilities(n, p, true, NULL);
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
		p->spread.quiet_us = now.mono_us + (p->mesh.good ? SPREAD_PAUSE_S : SPREAD_QUIET_S) * US_PER_S;
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

bool spread_should_open(const struct node *n, const struct peer *p)
{
	const struct spread *s = &p->spread;
	bool prefix = peer_has_prefix(p);

	if (s->natted != s->their_natted)
		return s->natted;
	if (prefix != s->their_prefix)
		return prefix;
	return memcmp(n->identity.public_key, p->public_key, KEY_LEN) < 0;
}

static void choose_role(const struct node *n, struct peer *p)
{
	if (!p->spread.role_set)
		p->spread.opener = spread_should_open(n, p);
}

/* What is known of open sub-sessions is of no use any more: flows go by session 0 until they are opened again. */
static void start_over(struct node *n, struct peer *p)
{
	struct spread *s = &p->spread;

	node_close_lanes(n);
	for (unsigned int i = 1; i <= p->data.sub_count; i++) {
		spread_set_usable(n, p, i, false);
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
	node_mesh_seen(n, p, &m.seen);
	/* Who is only about to join is told of no addresses, and of no paths. */
	peer_paths_managed(n, p, m.features & MESH_FEATURE_PATHS && !p->mesh.joiner, now);
	spread_settings(n, p);
	if (m.answer || s->natted != s->told_natted)
		send_capabilities(n, p, false, p->data.managed ? &c->from : NULL);
	spread_set_complete(n, p);
	if (s->active_us && now.mono_us - s->active_us < SPREAD_ACTIVE_S * US_PER_S)
		spread_traffic(n, p, !spread_usable(n, p), now);
	node_mesh_session(n, p, now);
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
	spread_send(n, p, SUB_SESSION_CONTROL, msg, mesh_report_write(msg, &m));
}

/* Not heard, though it should have been: flows go back to session 0, and it is asked for anew. */
static void unheard(struct node *n, struct peer *p, unsigned int number, struct instant now)
{
	spread_set_usable(n, p, number, false);
	p->spread.subs[number] = (struct spread_sub){ .remote_port = p->spread.subs[number].remote_port };
	n->subs_lost++;
	if (p->spread.opener || p->data.managed)
		spread_probe(n, p, number, now);
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
		} else if (sub->unheard_us && spread_is_usable(n, p, i) && told_us - sub->unheard_us > SPREAD_SLACK_MS * US_PER_MS) {
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
	if (p->mesh.joiner && kind != MESH_CAPABILITIES && kind != MESH_EXCHANGE) {
		n->drops[DROP_CONTROL]++;
		return;
	}
	if (peer_paths_control(n, p, c, now))
		return;
	if (kind == MESH_CAPABILITIES && is_control)
		take_capabilities(n, p, c, now);
	else if (kind == MESH_EXCHANGE && is_control && (n->mesh || n->exchange.take))
		node_mesh_control(n, p, c->msg, c->len, now);
	else if (kind == MESH_OPEN && is_control)
		spread_take_open(n, p, c, now);
	else if (kind == MESH_REPORT && is_control)
		take_report(n, p, c, now);
	else if (kind == MESH_PROBE && !is_control && c->number)
		spread_take_probe(n, p, c);
	else if (kind == MESH_REPLY && !is_control && c->number)
		spread_take_reply(n, p, c, now);
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

void spread_arm(struct peer *p, int64_t at_us)
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
	spread_arm(p, now.mono_us + SPREAD_TICK_MS * US_PER_MS);
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
	spread_seek(n, p, now);
	/* There may be as many as one wants, but stale: open them again. Not while they are tried, or give_way() would never be due. */
	if (s->opener && s->announced && !spread_usable(n, p) && now.mono_us - s->ask_us > SPREAD_ASK_MS * US_PER_MS) {
		s->announced = 0;
		spread_open_more(n, p, now);
	}
}

/* How long the way we send on has given no sign. What a managed peer sends elsewhere is none. */
static int64_t silence(const struct peer *p, unsigned int number, bool elsewhere, struct instant now)
{
	int64_t sign_us = elsewhere ? p->spread.subs[number].answered_us : p->data.subs[number].heard_us;

	return sign_us ? now.mono_us - sign_us : INT64_MAX;
}

/* Whether a managed peer sends on it over another path than we do: then its opening, and keeping open, is for us as well as for the opener. */
static bool is_heard_elsewhere(struct node *n, struct peer *p, unsigned int number)
{
	const struct lane_sub *sub = &p->data.subs[number];

	return p->data.managed && sub->heard.remote.addr.family != IP_NONE && !spread_same_addresses(n, p, &sub->path, &sub->heard);
}

/* One sub-session that is to be kept open: what it needs. */
static void keep_open(struct node *n, struct peer *p, unsigned int number, int64_t silent_us, struct instant now)
{
	struct spread_sub *s = &p->spread.subs[number];
	int64_t asked_us = now.mono_us - s->asked_us;

	if (spread_is_usable(n, p, number)) {
		if (silent_us > spread_refresh_us(n, p, number) && asked_us > SPREAD_TICK_MS * US_PER_MS)
			spread_probe(n, p, number, now);
	} else if (s->tries < SPREAD_TRIES || asked_us > SPREAD_RETRY_S * US_PER_S) {
		spread_probe(n, p, number, now);
	}
}

/* Whether that is for us: the opener's business, and where we send elsewhere than it does our own. */
static bool is_ours(const struct node *n, const struct peer *p, unsigned int number, bool elsewhere)
{
	if (p->spread.opener)
		return true;
	return p->data.managed && number <= p->spread.announced && (elsewhere || !spread_is_usable(n, p, number));
}

/* One sub-session: what it did since the last look, and what it needs. */
static void look_after(struct node *n, struct peer *p, unsigned int number, bool active, struct instant now)
{
	struct spread_sub *s = &p->spread.subs[number];
	struct lane_sub *sub = &p->data.subs[number];
	bool elsewhere = is_heard_elsewhere(n, p, number);
	int64_t silent_us = silence(p, number, elsewhere, now);

	if (sub->sent && !s->unheard_us)
		s->unheard_us = now.mono_us;
	sub->sent = false;
	/* Where data goes one way only it is the reports that say that it arrives. */
	if (spread_is_usable(n, p, number) && silent_us > SPREAD_FRESH_S * US_PER_S &&
	    now.mono_us - s->told_us > SPREAD_FRESH_S * US_PER_S)
		spread_set_usable(n, p, number, false);
	if (is_ours(n, p, number, elsewhere) && active && number <= spread_target(p) && now.mono_us >= p->spread.pause_us)
		keep_open(n, p, number, silent_us, now);
}

/* None of ours was answered: let the other side try, and if that was tried, wait. */
static void give_way(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	for (unsigned int i = 1; i <= s->announced; i++)
		if (spread_is_usable(n, p, i) || s->subs[i].tries < SPREAD_TRIES)
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
	spread_ask(n, p, now);
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
	spread_hail_failing(n, p, now);
	want = wanted(n, p, false, now.mono_us);
	for (unsigned int i = 0; i < n->lane_count; i++)
		p->data.links[i].wanting = false;
	node_open_lanes(n);
	/* Down slowly: flows come and go. */
	s->want = want > s->want ? (uint8_t)want : (uint8_t)(s->want - (s->want > want));
	if (active) {
		if (s->opener && s->announced)
			give_way(n, p, now);
		spread_seek(n, p, now);
		send_report(n, p, now);
	}
	spread_set_complete(n, p);
	if (s->move_us)
		spread_move(n, p, now);
	if (!stale)
		spread_arm(p, now.mono_us + (active ? SPREAD_TICK_MS : SPREAD_TICK_IDLE_MS) * US_PER_MS);
}

void spread_moved(struct node *n, struct peer *p, struct instant now)
{
	struct spread *s = &p->spread;

	s->ce_seen = 0;
	s->they_see_ce = s->bleached = false;
	spread_settings(n, p);
	if (p->data.mesh && n->spread == SPREAD_LABEL)
		send_capabilities(n, p, false, NULL);
	if (!p->data.mesh || !p->data.sub_count)
		return;
	if (p->data.managed)
		spread_flee(n, p, now);
	else
		start_over(n, p);
	if (now.mono_us - s->active_us < SPREAD_ACTIVE_S * US_PER_S)
		spread_seek(n, p, now);
}

void spread_ports(struct node *n, struct instant now)
{
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (p->data.mesh && p->spread.opener && p->spread.announce)
			spread_open_more(n, p, now);
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
