/* SPDX-License-Identifier: MIT */
/*
 * From a node's sets of paths to the message "meshd paths" shows, in the manner of sys/status.c: strings are the message's own, and a list's
 * count is raised only after the element is whole, so a message given up half way can be freed as it is.
 *
 * What the operator or the host rules out - never, a loop, no route - stands in the place of the state: such a path is not probed, so it has none.
 */
#include "sys/paths_status.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "crypto/key.h"
#include "node/flows.h"
#include "node/node.h"
#include "path/path.h"

static const char *const why_names[] = {
	[PATH_WHY_NONE] = "none", [PATH_WHY_ONLY] = "only", [PATH_WHY_FIRST] = "first", [PATH_WHY_BETTER] = "better",
	[PATH_WHY_DEATH] = "death", [PATH_WHY_GONE] = "gone", [PATH_WHY_PLAIN] = "plain",
};

static const char *const state_names[] = { [PATH_NEW] = "new", [PATH_ALIVE] = "alive", [PATH_DEAD] = "dead" };

/* Give a string field its own copy; an empty one stays as it was initialised. */
static bool set_string(char **field, const char *s)
{
	if (!s || !*s)
		return true;
	*field = strdup(s);
	return *field;
}

static bool set_endpoint(char **field, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	return e->addr.family == IP_NONE || set_string(field, endpoint_format(e, text));
}

static bool set_address(char **field, const struct ip_addr *a)
{
	char text[ADDR_TEXT_MAX];

	return a->family == IP_NONE || set_string(field, ip_addr_format(a, text));
}

/* One that is gone has no name any more. */
static bool set_interface(char **field, uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	return !ifindex || set_string(field, if_indextoname(ifindex, name));
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

static const char *state_of(const struct path *p)
{
	if (p->terms.never)
		return "never";
	if (p->way == PATH_LOOPS)
		return "loops";
	if (p->way == PATH_NO_ROUTE)
		return "no_route";
	return state_names[p->state];
}

static int64_t since(int64_t then_us, struct instant now)
{
	return then_us ? now.mono_us - then_us : -1;
}

static uint32_t ppm(uint32_t of_65536)
{
	return (uint32_t)((uint64_t)of_65536 * 1000000 / 65536);
}

static void fill_measured(const struct path *p, struct instant now, Meshd__Path *m)
{
	int64_t metric_us = path_metric_us(p);

	m->rtt_us = p->rtt_us ? p->rtt_us : -1;
	m->rtt_min_us = path_rtt_min(p);
	m->rtt_now_us = p->rtt_us ? p->rtt_now_us : -1;
	m->metric_us = metric_us == NEVER_US ? -1 : metric_us;
	m->has_loss_out = p->told_us != 0;
	m->loss_out_ppm = ppm(p->loss_out);
	m->late_out_ppm = ppm(p->late_out);
	m->loss_in_ppm = ppm(path_loss_in(p));
	m->late_in_ppm = ppm(path_late_in(p));
	m->mtu = p->pmtu.size ? p->pmtu.size : p->way_mtu;
	m->asked_us = since(p->asked_us, now);
	m->answered_us = since(p->answered_us, now);
	m->heard_us = since(p->heard_us, now);
}

static uint32_t count_subs(const struct path *p, const struct flow_info *flows, size_t count)
{
	uint32_t on_it = 0;

	for (size_t i = 0; i < count; i++)
		on_it += flows[i].number && ip_addr_equal(&flows[i].path.remote.addr, &p->addr.remote.addr) &&
			 (p->addr.local.family == IP_NONE || ip_addr_equal(&flows[i].path.local, &p->addr.local));
	return on_it;
}

/* Of paths that the peer said it used the last one: when one died it had no way to say that it uses it no more. */
static const struct path *receiving(const struct path_set *s)
{
	const struct path *best = NULL;

	if (!s->managed)
		return s->current;
	for (size_t i = 0; i < s->path_count; i++)
		if (s->v[i]->their_use && (!best || s->v[i]->probed_us > best->probed_us))
			best = s->v[i];
	return best;
}

static bool fill_path(const struct path_set *s, const struct path *p, struct instant now, Meshd__Path *m)
{
	m->number = p->number;
	m->sending = p == s->current;
	m->receiving = p == receiving(s);
	m->cost_ms = p->terms.cost_ms;
	m->metered = p->terms.metered;
	m->never = p->terms.never;
	m->configured = p->origins & PATH_CONFIGURED;
	m->heard = p->origins & PATH_HEARD;
	m->told = p->origins & PATH_TOLD;
	m->preferred = p->preferred;
	fill_measured(p, now, m);
	return set_string(&m->state, state_of(p)) && set_endpoint(&m->remote, &p->addr.remote) && set_address(&m->local_address, &p->addr.local) &&
	       set_interface(&m->interface, p->addr.ifindex) && set_endpoint(&m->seen_as, &p->seen);
}

static bool fill_paths(const struct node *n, size_t i, const struct path_set *s, struct instant now, size_t *room, Meshd__Paths *out,
		       Meshd__PeerPaths *m)
{
	struct flow_info flows[FLOWS_A_PEER];
	size_t count = node_flows(n, i, now, flows), taken = s->path_count < *room ? s->path_count : *room;

	out->left_out += (uint32_t)(s->path_count - taken);
	*room -= taken;
	m->paths = calloc(taken + 1, sizeof(*m->paths));
	if (!m->paths)
		return false;
	for (size_t k = 0; k < taken; k++) {
		Meshd__Path *p = malloc(sizeof(*p));

		if (!p)
			return false;
		meshd__path__init(p);
		m->paths[m->n_paths++] = p;
		p->sub_sessions = count_subs(s->v[k], flows, count);
		if (!fill_path(s, s->v[k], now, p))
			return false;
	}
	return true;
}

static bool fill_peer(const struct peer_info *info, const struct path_set *s, struct instant now, Meshd__PeerPaths *m)
{
	m->mesh = info->mesh;
	m->managed = s->managed;
	m->has_session = info->has_session;
	m->urgent = s->urgent;
	m->changed_us = since(s->changed_us, now);
	m->changes = s->changes;
	m->ecn = info->ecn_out;
	m->ecn_untrusted = info->ecn_untrusted;
	m->ecn_bleached = info->ecn_bleached;
	return set_string(&m->why, why_names[s->why]) && set_string(&m->name, info->name) && set_key(&m->public_key, info->public_key);
}

static bool fill_peers(const struct node *n, struct instant now, struct peer_info *info, Meshd__Paths *out)
{
	size_t room = PATHS_STATUS_MAX;

	for (size_t i = 0; node_peer(n, i, now, info); i++) {
		const struct path_set *s = node_paths(n, i);
		Meshd__PeerPaths *m = malloc(sizeof(*m));

		if (!m)
			return false;
		meshd__peer_paths__init(m);
		out->peers[out->n_peers++] = m;
		if (!fill_peer(info, s, now, m) || !fill_paths(n, i, s, now, &room, out, m))
			return false;
	}
	return true;
}

bool paths_status_fill(const struct node *n, const char *name, struct instant now, Meshd__Paths *out)
{
	struct node_info node;
	struct peer_info info;
	bool ok;

	node_info(n, &node);
	out->peers = calloc(node.peer_count + 1, sizeof(*out->peers));
	ok = out->peers && set_string(&out->name, name) && fill_peers(n, now, &info, out);
	crypto_wipe(&node, sizeof(node));
	crypto_wipe(&info, sizeof(info));
	return ok;
}
