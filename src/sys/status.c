/* SPDX-License-Identifier: MIT */
/*
 * From a node to the status message. Strings become the message's own; secrets (the private key, preshared keys) are
 * looked at only to say whether they are there, and what held them is wiped.
 *
 * Every list has its count raised only after the element is whole, so a message given up half way can be freed as it is.
 */
#include "sys/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/offloads.h"
#include "crypto/aead.h"
#include "crypto/key.h"
#include "node/flows.h"
#include "node/mesh.h"
#include "node/node.h"
#include "sys/mesh_status.h"
#include "sys/routes_status.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* Give a string field its own copy; an empty one stays as it was initialised. */
static bool set_string(char **field, const char *s)
{
	if (!s || !*s)
		return true;
	*field = strdup(s);
	return *field;
}

static bool set_key(ProtobufCBinaryData *field, const uint8_t key[KEY_LEN])
{
	field->data = malloc(KEY_LEN);
	if (!field->data)
		return false;
	memcpy(field->data, key, KEY_LEN);
	field->len = KEY_LEN;
	return true;
}

/* Resident memory by the kernel's count; 0 when /proc is not there. */
static uint64_t rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool fill_daemon(const struct status_facts *f, struct instant now, Meshd__Status *out)
{
	out->uptime_s = (uint64_t)((now.mono_us - f->start_us) / US_PER_S);
	out->now_ns = now.wall_ns;
	out->workers = f->lane_count;
	out->one_queue = f->one_queue;
	out->rss_bytes = rss_bytes();
	return set_string(&out->version, PACKAGE_VERSION) && set_string(&out->name, f->name) &&
	       set_string(&out->aead, aead_name());
}

static bool fill_addresses(const struct status_facts *f, Meshd__Status *out)
{
	char text[PREFIX_TEXT_MAX];

	if (!f->address_count)
		return true;
	out->addresses = calloc(f->address_count, sizeof(*out->addresses));
	if (!out->addresses)
		return false;
	for (size_t i = 0; i < f->address_count; i++) {
		char *copy = strdup(ip_prefix_format(&f->addresses[i], text));

		if (!copy)
			return false;
		out->addresses[out->n_addresses++] = copy;
	}
	return true;
}

static bool fill_offloads(const struct status_facts *f, Meshd__Status *out)
{
	out->offloads = calloc(8 * sizeof(f->offloads), sizeof(*out->offloads));
	if (!out->offloads)
		return false;
	for (unsigned int o = 1; o <= OFFLOAD_ALL; o <<= 1) {
		Meshd__Offload *m = malloc(sizeof(*m));

		if (!m)
			return false;
		meshd__offload__init(m);
		out->offloads[out->n_offloads++] = m;
		m->on = (f->offloads & o) != 0;
		if (!set_string(&m->name, offload_name(o)))
			return false;
	}
	return true;
}

static bool fill_lanes(const struct node *n, const struct status_facts *f, Meshd__Status *out)
{
	out->lanes = calloc(f->lane_count + 1, sizeof(*out->lanes));
	if (!out->lanes)
		return false;
	for (unsigned int i = 0; i < f->lane_count; i++) {
		Meshd__Lane *m = malloc(sizeof(*m));

		if (!m)
			return false;
		meshd__lane__init(m);
		out->lanes[out->n_lanes++] = m;
		node_lane_packets(n, i, &m->rx_packets, &m->tx_packets);
		m->handed_over = f->lanes[i].handed_over;
		m->strays = f->lanes[i].strays;
	}
	return true;
}

static bool fill_drops(const struct node_info *info, Meshd__Status *out)
{
	out->drops = calloc(DROP_REASONS, sizeof(*out->drops));
	if (!out->drops)
		return false;
	for (unsigned int r = 0; r < DROP_REASONS; r++) {
		Meshd__Drop *d;

		if (!info->drops[r])
			continue;
		d = malloc(sizeof(*d));
		if (!d)
			return false;
		meshd__drop__init(d);
		out->drops[out->n_drops++] = d;
		d->count = info->drops[r];
		if (!set_string(&d->name, drop_name((enum drop_reason)r)))
			return false;
	}
	return true;
}

static bool fill_interface(const struct node_info *info, Meshd__Status *out)
{
	out->listen_port = info->listen_port;
	out->fwmark = info->fwmark;
	out->mtu = info->mtu;
	out->up = info->up;
	out->rx_packets = info->rx_packets;
	out->tx_packets = info->tx_packets;
	out->handshakes_sent = info->handshakes_sent;
	out->handshakes_received = info->handshakes_received;
	out->handshakes_done = info->handshakes_done;
	out->marked_sent = info->marked_out;
	out->marked_received = info->marked_in;
	out->ce_kept = info->ce_kept;
	out->sockets = info->ports;
	out->sub_sessions_lost = info->subs_lost;
	if (info->has_key && !set_key(&out->public_key, info->public_key))
		return false;
	return fill_drops(info, out);
}

struct allowed_fill {
	Meshd__Peer *peer;
	size_t size;
	bool failed;
};

static void add_allowed(void *ctx, const struct ip_prefix *p)
{
	struct allowed_fill *f = ctx;
	char text[PREFIX_TEXT_MAX];
	char *copy;

	if (f->failed)
		return;
	if (f->peer->n_allowed_ips == f->size) {
		size_t size = f->size ? 2 * f->size : 4;
		char **bigger = reallocarray(f->peer->allowed_ips, size, sizeof(*bigger));

		f->failed = !bigger;
		if (f->failed)
			return;
		f->peer->allowed_ips = bigger;
		f->size = size;
	}
	copy = strdup(ip_prefix_format(p, text));
	f->failed = !copy;
	if (copy)
		f->peer->allowed_ips[f->peer->n_allowed_ips++] = copy;
}

static bool fill_path(const struct path_addr *path, char **remote, char **local)
{
	char text[ENDPOINT_TEXT_MAX];

	if (path->remote.addr.family == IP_NONE)
		return true;
	if (!set_string(remote, endpoint_format(&path->remote, text)))
		return false;
	return path->local.family == IP_NONE || set_string(local, ip_addr_format(&path->local, text));
}

static void fill_flows(const struct peer_info *info, Meshd__Peer *p)
{
	p->mesh = info->mesh;
	p->sub_sessions_max = info->sub_sessions;
	p->sub_sessions_open = info->sub_opened;
	p->sub_sessions_usable = info->sub_usable;
	p->sub_sessions_busy = info->sub_busy;
	p->opener = info->opener;
	p->behind_nat = info->behind_nat;
	p->ecn = info->ecn_out;
	p->ecn_untrusted = info->ecn_untrusted;
	p->ecn_bleached = info->ecn_bleached;
	p->queued = (uint32_t)info->queued;
}

static bool fill_sub_session(const struct flow_info *f, Meshd__SubSession *m)
{
	m->number = f->number;
	m->lane = f->lane;
	m->local_port = f->local_port;
	m->flow_label = f->label;
	m->usable = f->usable;
	m->flows = f->flows;
	m->own = f->own;
	m->idle_us = f->idle_us;
	m->heard_us = f->heard_us;
	return fill_path(&f->path, &m->remote, &m->local_address);
}

/* The i-th peer's, as far as there is room for them: '*room' of them. */
static bool fill_sub_sessions(const struct node *n, size_t i, struct instant now, size_t *room, Meshd__Status *out, Meshd__Peer *p)
{
	struct flow_info flows[FLOWS_A_PEER];
	size_t count = node_flows(n, i, now, flows), taken = count < *room ? count : *room;

	*room -= taken;
	out->sub_sessions_left_out += (uint32_t)(count - taken);
	if (!taken)
		return true;
	p->sub_sessions = calloc(taken, sizeof(*p->sub_sessions));
	if (!p->sub_sessions)
		return false;
	for (size_t k = 0; k < taken; k++) {
		Meshd__SubSession *m = malloc(sizeof(*m));

		if (!m)
			return false;
		meshd__sub_session__init(m);
		p->sub_sessions[p->n_sub_sessions++] = m;
		if (!fill_sub_session(&flows[k], m))
			return false;
	}
	return true;
}

static bool fill_peer(const struct node *n, size_t i, const struct peer_info *info, Meshd__Peer *p)
{
	struct allowed_fill allowed = { .peer = p };

	p->endpoint_loops = info->endpoint_loops;
	p->handshake_wall_ns = info->handshake_wall_ns;
	p->rx_bytes = info->rx_bytes;
	p->tx_bytes = info->tx_bytes;
	p->rx_rate = info->rx_rate;
	p->tx_rate = info->tx_rate;
	p->keepalive_s = info->keepalive_s;
	p->waiting = (uint32_t)info->waiting;
	p->has_session = info->has_session;
	p->has_psk = !crypto_is_zero(info->psk, KEY_LEN);
	fill_flows(info, p);
	node_peer_allowed(n, i, add_allowed, &allowed);
	return !allowed.failed && set_string(&p->use, info->mesh_use) && set_key(&p->public_key, info->public_key) && set_string(&p->name, info->name) &&
	       set_string(&p->endpoint_name, info->endpoint_name) && fill_path(&info->path, &p->endpoint, &p->local_address);
}

static void fill_babel(const struct peer_info *info, const struct routes_status_link *link, Meshd__Peer *p)
{
	p->babel = info->babel;
	p->allowed_auto = info->allowed_auto;
	if (!link)
		return;
	p->babel_cost = link->cost;
	p->babel_reach = link->reach;
}

static bool fill_peers(const struct node *n, size_t count, const struct status_facts *f, struct instant now, Meshd__Status *out)
{
	size_t room = STATUS_SUB_SESSIONS_MAX;
	struct routes_status_link *links;
	struct peer_info info;
	size_t link_count;
	bool ok;

	if (!count)
		return true;
	out->peers = calloc(count, sizeof(*out->peers));
	links = routes_status_links(n, &link_count);
	ok = out->peers && (links || !link_count);
	for (size_t i = 0; ok && i < count && node_peer(n, i, now, &info); i++) {
		Meshd__Peer *p = malloc(sizeof(*p));

		ok = p;
		if (!ok)
			break;
		meshd__peer__init(p);
		out->peers[out->n_peers++] = p;
		fill_babel(&info, routes_status_link(links, link_count, info.owner), p);
		ok = fill_peer(n, i, &info, p) && (!f->sub_sessions || fill_sub_sessions(n, i, now, &room, out, p));
	}
	free(links);
	crypto_wipe(&info, sizeof(info));
	return ok;
}

/* Without its nodes. */
static bool fill_mesh(const struct node *n, struct instant now, Meshd__Status *out)
{
	if (!node_mesh_on(n))
		return true;
	out->mesh = malloc(sizeof(*out->mesh));
	if (!out->mesh)
		return false;
	meshd__mesh__init(out->mesh);
	return mesh_status_fill(n, false, now, out->mesh);
}

bool status_fill(const struct node *n, const struct status_facts *f, struct instant now, Meshd__Status *out)
{
	struct node_info info;
	bool ok;

	node_info(n, &info);
	crypto_wipe(info.private_key, sizeof(info.private_key));
	ok = fill_daemon(f, now, out) && fill_addresses(f, out) && fill_offloads(f, out) && fill_lanes(n, f, out) && fill_interface(&info, out) &&
	     fill_mesh(n, now, out) && fill_peers(n, info.peer_count, f, now, out);
	return ok;
}
