/* SPDX-License-Identifier: MIT */
/*
 * How the node decides. It owns the peers, their timers and the lanes; a driver calls node_turn() when a lane has noted something and
 * whenever node_deadline() has come, and then sends what node_out() holds. What lane_out() holds is the lane's own driver's.
 *
 *	lane ----- events, handshake messages ----> node
 *	lane <--- sessions, paths, allowed IPs ---- node
 *
 * A turn is bounded: handshakes cost X25519, so only so many are worked on before the driver looks at its sockets
 * again. Timers that are due while the output is full stay due.
 *
 * This file is the life of nodes and peers, and the turn; handshakes.c has the messages, apply.c the configuration.
 */
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/hash.h"
#include "node/inside.h"
#include "node/mesh.h"

/* What all lanes read, beside the allowed IPs. */
static void lane_feed(struct node *n, struct lane *l)
{
	l->shaper = &n->shaper;
	l->fib = &n->fib;
	l->owners = &n->owners;
	l->host = &n->host;
}

struct node *node_new(const struct rng *rng, const struct log *log, unsigned int lanes)
{
	struct node *n = calloc(1, sizeof(*n));
	uint8_t key[16], flow_key[16];

	if (!n)
		return NULL;
	n->rng = *rng;
	n->log = *log;
	n->links = link_settings_default;
	rng_fill(rng, key, sizeof(key));
	rng_fill(rng, n->bucket_key, sizeof(n->bucket_key));
	rng_fill(rng, flow_key, sizeof(flow_key));
	n->lanes = calloc(lanes, sizeof(*n->lanes));
	while (n->lanes && n->lane_count < lanes &&
	       lane_init(&n->lanes[n->lane_count], n->lane_count, lanes, &n->allowed, flow_key))
		lane_feed(n, &n->lanes[n->lane_count++]);
	for (unsigned int i = 0; i < n->lane_count; i++)
		n->lanes[i].mss_clamp = MSS_CLAMP_OFF;
	if (n->lane_count < lanes || !ratelimit_init(&n->ratelimit, key) || !node_routing_init(n)) {
		node_free(n);
		return NULL;
	}
	return n;
}

void node_free(struct node *n)
{
	if (!n)
		return;
	node_mesh_end(n);
	node_routing_done(n);
	lpm_clear(&n->allowed);
	free(n->allowed_list);
	while (n->peer_count)
		peer_free(n, n->peers[n->peer_count - 1]);
	for (unsigned int i = 0; i < n->lane_count; i++)
		lane_done(&n->lanes[i]);
	free(n->lanes);
	ratelimit_done(&n->ratelimit);
	timers_done(&n->timers);
	u32map_done(&n->handshakes);
	free(n->peers);
	free(n->buckets);
	crypto_wipe(n, sizeof(*n));
	free(n);
}

struct lane *node_lane(struct node *n, unsigned int i)
{
	return &n->lanes[i];
}

void node_close_lanes(struct node *n)
{
	for (unsigned int i = 0; i < n->lane_count; i++)
		lane_close(&n->lanes[i]);
}

void node_open_lanes(struct node *n)
{
	for (unsigned int i = 0; i < n->lane_count; i++)
		lane_open(&n->lanes[i]);
}

/*
 * The table of peers: an array in configuration order, and buckets by public key.
 */

static size_t bucket_of(const struct node *n, const uint8_t public_key[KEY_LEN])
{
	return (size_t)hash_bytes(n->bucket_key, public_key, KEY_LEN) & (n->bucket_count - 1);
}

struct peer *node_find(const struct node *n, const uint8_t public_key[KEY_LEN])
{
	struct peer *p = n->bucket_count ? n->buckets[bucket_of(n, public_key)] : NULL;

	while (p && memcmp(p->public_key, public_key, KEY_LEN))
		p = p->bucket_next;
	return p;
}

static void bucket_put(struct node *n, struct peer *p)
{
	struct peer **at = &n->buckets[bucket_of(n, p->public_key)];

	p->bucket_next = *at;
	*at = p;
}

static void bucket_remove(struct node *n, struct peer *p)
{
	struct peer **at = &n->buckets[bucket_of(n, p->public_key)];

	while (*at != p)
		at = &(*at)->bucket_next;
	*at = p->bucket_next;
}

/* Room for one peer more: twice as much when it is out. */
static bool table_grow(struct node *n)
{
	size_t size = n->peer_size ? n->peer_size * 2 : 16;
	struct peer **peers, **buckets;

	if (n->peer_count < n->peer_size)
		return true;
	if (size > NODE_PEERS_MAX || !timers_reserve(&n->timers, size))
		return false;
	peers = realloc(n->peers, size * sizeof(*peers));
	if (!peers)
		return false;
	n->peers = peers;
	buckets = calloc(size * 2, sizeof(*buckets));
	if (!buckets)
		return false;
	free(n->buckets);
	n->buckets = buckets;
	n->bucket_count = size * 2;
	n->peer_size = size;
	for (size_t i = 0; i < n->peer_count; i++)
		bucket_put(n, n->peers[i]);
	return true;
}

struct peer *peer_new(struct node *n, const uint8_t public_key[KEY_LEN])
{
	struct peer *p;

	if (!table_grow(n))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	/* The home lane of a peer: by turns, so that a few peers use all of them. */
	if (!links_init(&p->data, n->next_home++ % n->lane_count, n->lane_count)) {
		free(p);
		return NULL;
	}
	memcpy(p->public_key, public_key, KEY_LEN);
	noise_handshake_init(&p->handshake, &n->identity, public_key, NULL);
	cookie_maker_init(&p->cookies, public_key);
	rekey_init(&p->rekey);
	peer_paths_init(n, p);
	p->position = n->peer_count;
	n->peers[n->peer_count++] = p;
	bucket_put(n, p);
	return p;
}

void peer_free(struct node *n, struct peer *p)
{
	node_routing_forget_peer(n, p);
	peer_forget_keys(n, p);
	node_mesh_forget_peer(n, p);
	links_done(n->lanes, n->lane_count, &p->data);
	spread_done(p);
	peer_paths_done(p);
	free(p->endpoints);
	timers_unset(&n->timers, &p->timer);
	bucket_remove(n, p);
	n->peer_count--;
	for (size_t i = p->position; i < n->peer_count; i++) {
		n->peers[i] = n->peers[i + 1];
		n->peers[i]->position = i;
	}
	noise_handshake_done(&p->handshake);
	crypto_wipe(p, sizeof(*p));
	free(p);
}

void peer_forget_keys(struct node *n, struct peer *p)
{
	if (p->handshake_index)
		u32map_remove(&n->handshakes, p->handshake_index);
	p->handshake_index = 0;
	noise_handshake_clear(&p->handshake);
	links_clear(n->lanes, n->lane_count, &p->data);
	spread_forget(n, p);
	peer_paths_forget(n, p, n->now);
	node_mesh_session(n, p, n->now);
}

void peer_rearm(struct node *n, struct peer *p)
{
	int64_t next_us = rekey_next(&p->rekey), spread_us = spread_next(p), paths_us = peer_paths_next(p);

	if (spread_us < next_us)
		next_us = spread_us;
	if (paths_us < next_us)
		next_us = paths_us;
	timers_set(&n->timers, &p->timer, n->up ? next_us : NEVER_US);
}

struct link_settings peer_settings(const struct node *n, const struct peer *p)
{
	struct link_settings settings = n->links;

	settings.bandwidth_bps = 0;
	link_settings_put(&settings, &p->link, p->link_bits);
	return settings;
}

/*
 * The turn.
 */

static void take_received(struct peer *p, unsigned int events, struct instant now)
{
	if (events & LANE_ANY_RECEIVED)
		rekey_any_received(&p->rekey);
	if (events & LANE_DATA_RECEIVED)
		rekey_data_received(&p->rekey, now.mono_us);
}

static void take_sent(struct node *n, struct peer *p, unsigned int events, struct instant now)
{
	if (events & LANE_ANY_SENT)
		rekey_any_sent(&p->rekey);
	if (events & LANE_DATA_SENT)
		rekey_data_sent(&p->rekey, now.mono_us, &n->rng);
}

static void roamed(struct node *n, struct peer *p, struct instant now)
{
	node_close_lanes(n);
	p->data.endpoint_loops = false;
	node_open_lanes(n);
	n->effects |= NODE_EFFECT_ENDPOINTS;
	links_spread_path(n->lanes, n->lane_count, &p->data);
	peer_paths_roamed(n, p, now);
	spread_moved(n, p, now);
}

/* Every lane that heard on the keypair says so: only the first is news. */
static void confirmed(struct node *n, struct peer *p, struct instant now)
{
	const struct keypair *k;

	links_confirm(n->lanes, n->lane_count, &p->data);
	k = p->data.session.current;
	if (!k || k->local_index == p->confirmed_index)
		return;
	p->confirmed_index = k->local_index;
	rekey_handshake_complete(&p->rekey);
	p->handshake_wall_ns = now.wall_ns;
	n->handshakes_done++;
	spread_session(n, p, now);
	peer_paths_session(n, p, now);
	node_mesh_session(n, p, now);
}

/* What the lane noticed about a peer becomes timer events; what the timers are left at is decided by the last packet. */
static void take_events(struct node *n, struct peer *p, unsigned int events, struct instant now)
{
	if (events & LANE_RECEIVED_LAST) {
		take_sent(n, p, events, now);
		take_received(p, events, now);
	} else {
		take_received(p, events, now);
		take_sent(n, p, events, now);
	}
	if (events & (LANE_ANY_SENT | LANE_ANY_RECEIVED))
		rekey_any_traversed(&p->rekey, now.mono_us);
	if (events & LANE_CONFIRMED)
		confirmed(n, p, now);
	if (events & LANE_ROAMED)
		roamed(n, p, now);
	if (events & (LANE_FLOWS | LANE_WANT_SUBS))
		spread_traffic(n, p, events & LANE_WANT_SUBS, now);
	if (events & LANE_REKEY_RECEIVING && !p->rekey.last_minute) {
		p->rekey.last_minute = true;
		events |= LANE_NEED_SESSION;
	}
	if (events & (LANE_NEED_SESSION | LANE_REKEY_SENDING))
		peer_initiate(n, p, now);
	peer_paths_traffic(n, p, now);
	peer_rearm(n, p);
}

/*
 * Where a lane believes the peer is now: not for the lane to say unless it is the peer's home. Where that has heard of it by itself it
 * says so too, and knows the port.
 */
static void sub_roamed(struct node *n, struct peer *p, const struct lane_link *k, struct instant now)
{
	struct lane_link *home = peer_link(p);
	bool news;

	node_close_lanes(n);
	news = k == home || !ip_addr_equal(&home->path.remote.addr, &k->path.remote.addr);
	home->path = news ? k->path : home->path;
	node_open_lanes(n);
	if (news)
		roamed(n, p, now);
}

static bool take_lane_events(struct node *n, struct instant now)
{
	struct lane_link *k;
	unsigned int events;
	bool any = false;

	for (unsigned int i = 0; n->up && i < n->lane_count; i++)
		while ((k = lane_next_noted(&n->lanes[i], &events))) {
			any |= events & LANE_FLOWS;
			if (events & LANE_SUB_ROAMED)
				sub_roamed(n, container_of(k->peer, struct peer, data), k, now);
			take_events(n, container_of(k->peer, struct peer, data), events, now);
		}
	return any;
}

/* Control messages of peers; a bounded number a turn. */
static void take_controls(struct node *n, struct instant now)
{
	struct lane_control c;
	int taken = 0;

	for (unsigned int i = 0; i < n->lane_count; i++)
		while (taken < NODE_CONTROLS_A_TURN && lane_take_control(&n->lanes[i], &c)) {
			taken++;
			if (n->up)
				spread_control(n, &c, now);
		}
	n->more_handshakes |= taken == NODE_CONTROLS_A_TURN;
}

struct path_addr peer_path(struct node *n, struct peer *p)
{
	struct lane *l = peer_lane(n, p);
	struct path_addr path;

	lane_close(l);
	path = peer_link(p)->path;
	lane_open(l);
	return path;
}

static void give_up(struct node *n, struct peer *p)
{
	log_debug(&n->log, "peer %s: no answer after %d attempts, giving up",
		  p->name[0] ? p->name : "(unnamed)", REKEY_ATTEMPTS_MAX + 1);
	for (unsigned int i = 0; i < n->lane_count; i++)
		lane_drop_held(&n->lanes[i], &p->data.links[i], DROP_NO_SESSION, true);
}

static void forget_local(const struct node *n, struct path_addr *path)
{
	if (ip_prefix_covers(&n->listen_prefix, &path->local))
		return;
	path->local = (struct ip_addr){ 0 };
	path->ifindex = 0;
}

void peer_forget_local(struct node *n, struct peer *p)
{
	/* Of a managed one it is known which addresses are good, and by which it is chosen. */
	if (p->data.managed)
		return;
	node_close_lanes(n);
	forget_local(n, &peer_link(p)->path);
	for (unsigned int i = 1; i <= p->data.sub_count; i++)
		forget_local(n, &p->data.subs[i].path);
	node_open_lanes(n);
}

static void act(struct node *n, struct peer *p, unsigned int actions, struct instant now)
{
	if (actions & REKEY_WIPE)
		peer_forget_keys(n, p);
	if (actions & REKEY_GIVE_UP)
		give_up(n, p);
	if (actions & REKEY_RETRY)
		peer_retry(n, p, now);
	if (actions & REKEY_INITIATE) {
		/* Silence: perhaps the local address is the trouble, so let the kernel choose anew. */
		peer_forget_local(n, p);
		peer_initiate(n, p, now);
	}
	if (actions & REKEY_KEEPALIVE)
		lane_want_keepalive(peer_lane(n, p), peer_link(p));
}

static void run_timers(struct node *n, struct instant now)
{
	struct timer *t;

	while (n->out_count < NODE_OUT_MAX && (t = timers_pop(&n->timers, now.mono_us))) {
		struct peer *p = container_of(t, struct peer, timer);

		act(n, p, rekey_expire(&p->rekey, now.mono_us), now);
		spread_expire(n, p, now);
		peer_paths_expire(n, p, now);
		peer_rearm(n, p);
	}
}

/* Bytes of data in all lanes. */
static void data_bytes(const struct node *n, const struct peer *p, uint64_t *rx, uint64_t *tx)
{
	*rx = *tx = 0;
	for (unsigned int i = 0; i < n->lane_count; i++) {
		*rx += p->data.links[i].rx_bytes;
		*tx += p->data.links[i].tx_bytes;
	}
}

static void sample_rate(const struct node *n, struct peer *p, int64_t now_us)
{
	uint64_t elapsed_us = (uint64_t)(now_us - p->rate_us), rx, tx;

	data_bytes(n, p, &rx, &tx);

	if (p->rate_us && elapsed_us) {
		p->rx_rate = (rx - p->rate_rx_bytes) * (uint64_t)US_PER_S / elapsed_us;
		p->tx_rate = (tx - p->rate_tx_bytes) * (uint64_t)US_PER_S / elapsed_us;
	}
	p->rate_us = now_us;
	p->rate_rx_bytes = rx;
	p->rate_tx_bytes = tx;
}

/* Only ever in turns that happen anyway: an idle node is not woken for statistics. */
static void sample_rates(struct node *n, int64_t now_us)
{
	if (now_us - n->rates_us < NODE_RATE_MS * US_PER_MS)
		return;
	n->rates_us = now_us;
	node_close_lanes(n);
	for (size_t i = 0; i < n->peer_count; i++)
		sample_rate(n, n->peers[i], now_us);
	node_open_lanes(n);
}

bool node_turn(struct node *n, struct instant now)
{
	bool any;

	n->now = now;
	/* First of all: who is out is not heard any more. */
	node_mesh_sync(n, now);
	node_take_handshakes(n, now);
	take_controls(n, now);
	any = take_lane_events(n, now);
	run_timers(n, now);
	/* A timer's keepalive, or a packet of this batch, may have asked for a session. */
	take_lane_events(n, now);
	node_mesh_turn(n, now);
	node_routing_turn(n, now);
	sample_rates(n, now.mono_us);
	if (memcmp(n->stamp, n->stamp_saved, WG_TAI64N_LEN) > 0)
		n->effects |= NODE_EFFECT_TIMESTAMP;
	return any;
}

/* What waits in lanes of this very thread; those of other threads ring when they have something. */
static bool lanes_have_work(const struct node *n)
{
	for (unsigned int i = 0; i < n->lane_count; i++) {
		const struct lane *l = &n->lanes[i];

		if (!l->gate.close && (l->handshake_count || l->control_count || l->routing_count || (n->up && l->noted)))
			return true;
	}
	return n->more_handshakes;
}

int64_t node_deadline(const struct node *n)
{
	int64_t next_us = timers_next(&n->timers), routing_us = node_routing_deadline(n);

	if (routing_us < next_us)
		next_us = routing_us;
	if (node_mesh_deadline(n) < next_us)
		next_us = node_mesh_deadline(n);
	if (lanes_have_work(n))
		return 0;
	for (unsigned int i = 0; i < n->lane_count; i++) {
		const struct lane *l = &n->lanes[i];

		if (!l->gate.close && lane_due_us(l) < next_us)
			next_us = lane_due_us(l);
	}
	return next_us;
}

size_t node_out(struct node *n, struct dgram **dgrams)
{
	*dgrams = n->out;
	return n->out_count;
}

void node_out_clear(struct node *n)
{
	n->out_count = 0;
}

unsigned int node_effects(struct node *n)
{
	unsigned int effects = n->effects;

	n->effects = 0;
	return effects;
}

/*
 * The interface and the host around it.
 */

static void peer_up(struct node *n, struct peer *p)
{
	if (p->rekey.persistent_s)
		lane_want_keepalive(peer_lane(n, p), peer_link(p));
	else
		lane_kick(peer_lane(n, p), peer_link(p));
}

void node_set_up(struct node *n, bool up, struct instant now)
{
	if (n->up == up)
		return;
	n->now = now;
	n->up = up;
	/* All gates once, not each per peer; and what comes in meanwhile is not noted between quiet and the end of the keys. */
	node_close_lanes(n);
	for (size_t i = 0; i < n->peer_count; i++) {
		struct peer *p = n->peers[i];

		if (up) {
			peer_up(n, p);
			continue;
		}
		for (unsigned int l = 0; l < n->lane_count; l++) {
			lane_drop_held(&n->lanes[l], &p->data.links[l], DROP_NO_SESSION, false);
			lane_quiet(&n->lanes[l], &p->data.links[l]);
		}
		peer_forget_keys(n, p);
		rekey_stop(&p->rekey);
		timers_unset(&n->timers, &p->timer);
	}
	node_open_lanes(n);
	node_routing_changed(n, now);
}

void node_set_mtu(struct node *n, uint32_t mtu)
{
	node_close_lanes(n);
	for (unsigned int i = 0; i < n->lane_count; i++)
		n->lanes[i].mtu = mtu;
	for (size_t i = 0; i < n->peer_count; i++)
		peer_paths_settings(n, n->peers[i], n->now);
	node_open_lanes(n);
}

void node_set_listen_port(struct node *n, uint16_t port)
{
	if (n->listen_port == port)
		return;
	n->listen_port = port;
	for (size_t i = 0; i < n->peer_count; i++) {
		peer_paths_port(n->peers[i], n->now);
		peer_rearm(n, n->peers[i]);
	}
}

void node_uncheck_endpoints(struct node *n)
{
	for (size_t i = 0; i < n->peer_count; i++)
		paths_uncheck(&n->peers[i]->paths);
	n->effects |= NODE_EFFECT_ENDPOINTS;
}

void node_timestamp(const struct node *n, uint8_t stamp[12])
{
	memcpy(stamp, n->stamp, WG_TAI64N_LEN);
}

void node_timestamp_saved(struct node *n, const uint8_t stamp[12])
{
	memcpy(n->stamp_saved, stamp, WG_TAI64N_LEN);
}

void node_set_timestamp(struct node *n, const uint8_t stamp[12])
{
	memcpy(n->stamp, stamp, WG_TAI64N_LEN);
	memcpy(n->stamp_saved, stamp, WG_TAI64N_LEN);
}

/*
 * What there is to see.
 */

void node_info(const struct node *n, struct node_info *info)
{
	memset(info, 0, sizeof(*info));
	info->has_key = n->identity.set;
	memcpy(info->private_key, n->identity.private_key, KEY_LEN);
	memcpy(info->public_key, n->identity.public_key, KEY_LEN);
	info->listen_port = n->listen_port;
	info->fwmark = n->fwmark;
	info->mtu = n->lanes[0].mtu;
	info->links = n->links;
	info->spread = n->spread;
	info->listen_prefix = n->listen_prefix;
	info->path_spread = n->path_spread;
	info->mss_clamp = n->lanes[0].mss_clamp;
	info->up = n->up;
	info->peer_count = n->peer_count;
	memcpy(info->drops, n->drops, sizeof(info->drops));
	for (unsigned int i = 0; i < n->lane_count; i++) {
		info->rx_packets += n->lanes[i].rx_packets;
		info->tx_packets += n->lanes[i].tx_packets;
		for (int j = 0; j < DROP_REASONS; j++)
			info->drops[j] += n->lanes[i].drops[j];
		info->marked_out += n->lanes[i].marked_out;
		info->marked_in += n->lanes[i].marked_in;
		info->ce_kept += n->lanes[i].ce_kept;
	}
	info->ports = n->port_count;
	info->subs_lost = n->subs_lost;
	info->handshakes_sent = n->handshakes_sent;
	info->handshakes_received = n->handshakes_received;
	info->handshakes_done = n->handshakes_done;
}

void node_lane_packets(const struct node *n, unsigned int lane, uint64_t *rx, uint64_t *tx)
{
	*rx = lane < n->lane_count ? n->lanes[lane].rx_packets : 0;
	*tx = lane < n->lane_count ? n->lanes[lane].tx_packets : 0;
}

/* The last sample while it is fresh; later what has come since, over the time since. */
static void rates_of(const struct node *n, const struct peer *p, int64_t now_us, struct peer_info *info)
{
	uint64_t elapsed_us = (uint64_t)(now_us - p->rate_us), rx, tx;

	data_bytes(n, p, &rx, &tx);
	if (!p->rate_us)
		return;
	info->rx_rate = p->rx_rate;
	info->tx_rate = p->tx_rate;
	if (elapsed_us < 3 * (uint64_t)US_PER_S)
		return;
	info->rx_rate = (rx - p->rate_rx_bytes) * (uint64_t)US_PER_S / elapsed_us;
	info->tx_rate = (tx - p->rate_tx_bytes) * (uint64_t)US_PER_S / elapsed_us;
}

/* What was configured, and what of it is in use. */
static void peer_endpoints(const struct peer *p, struct peer_info *info)
{
	const struct change_endpoint *e = peer_endpoint_of(p, &peer_link(p)->path.remote);

	info->endpoints = p->endpoints;
	info->endpoint_count = p->endpoint_count;
	info->endpoint_prefix_len = e ? e->prefix_len : 0;
	if (!e && p->endpoint_count)
		e = &p->endpoints[0];
	info->endpoint_name = e ? e->name : "";
}

/* What there is to tell of queue and sub-sessions. */
static void peer_flows(const struct node *n, const struct peer *p, int64_t now_us, struct peer_info *info)
{
	info->managed = p->data.managed;
	info->mesh = p->data.mesh;
	info->sub_sessions = p->data.mesh ? p->spread.max : 0;
	info->sub_opened = p->data.sub_count;
	info->sub_usable = spread_usable(n, p);
	info->sub_busy = info->sub_usable;
	info->opener = p->spread.opener;
	info->behind_nat = p->spread.natted;
	info->ecn_out = p->data.ecn_out != LANE_ECN_NONE;
	info->ecn_bleached = p->spread.bleached;
	info->ecn_untrusted = p->spread.ce_seen >= SPREAD_CE_MIN || p->spread.they_see_ce;
	for (unsigned int i = 0; i < n->lane_count; i++) {
		info->queued += p->data.links[i].tin.items;
		info->sub_busy -= flow_slots_free(&p->data.links[i].slots, now_us);
	}
}

bool node_peer(const struct node *n, size_t i, struct instant now, struct peer_info *info)
{
	const struct peer *p;

	if (i >= n->peer_count)
		return false;
	p = n->peers[i];
	memset(info, 0, sizeof(*info));
	memcpy(info->public_key, p->public_key, KEY_LEN);
	memcpy(info->psk, p->handshake.psk, KEY_LEN);
	info->name = p->name;
	info->owner = p->routing;
	info->babel = peer_has_babel(p);
	info->recorded = p->mesh.recorded;
	info->mesh_use = node_mesh_use(n, p);
	info->allowed_auto = p->allowed_auto;
	info->path = peer_link(p)->path;
	peer_endpoints(p, info);
	info->link = p->link;
	info->link_bits = p->link_bits;
	info->endpoint_loops = p->data.endpoint_loops;
	info->handshake_wall_ns = p->handshake_wall_ns;
	data_bytes(n, p, &info->rx_bytes, &info->tx_bytes);
	info->rx_bytes += p->rx_bytes;
	info->tx_bytes += p->tx_bytes;
	rates_of(n, p, now.mono_us, info);
	info->keepalive_s = p->rekey.persistent_s;
	info->waiting = peer_link(p)->tin.blocked && !peer_link(p)->shaped ? peer_link(p)->tin.items : 0;
	info->has_session = p->data.session.current &&
			    keypair_sending(p->data.session.current, &p->data.session.current->zero, now.mono_us) != KEYPAIR_EXPIRED;
	peer_flows(n, p, now.mono_us, info);
	return true;
}

bool node_has_endpoint(struct node *n, const uint8_t public_key[KEY_LEN])
{
	struct peer *p = node_find(n, public_key);

	return p && peer_path(n, p).remote.addr.family != IP_NONE;
}

void node_peer_allowed(const struct node *n, size_t i,
		       void (*visit)(void *ctx, const struct ip_prefix *p), void *ctx)
{
	const struct peer *p;

	if (i >= n->peer_count)
		return;
	p = n->peers[i];
	for (uint32_t k = 0; k < p->allowed_count; k++)
		visit(ctx, &n->allowed_list[p->allowed_first + k]);
}

unsigned int node_ports_wanted(const struct node *n)
{
	return n->ports_wanted;
}

void node_set_ports(struct node *n, const uint16_t *numbers, unsigned int count, struct instant now)
{
	for (unsigned int i = 0; i < count && i + 1 < SUB_SESSIONS; i++)
		n->ports[i + 1] = numbers[i];
	n->port_count = count;
	n->ports_failed = count < n->ports_wanted;
	spread_ports(n, now);
}
