/* SPDX-License-Identifier: MIT */
/*
 * The names among the endpoints of the config file. The parent looks them up (frames there and back, in any order, as slowly as it may be);
 * here it is decided when to ask, and what an answer is good for.
 *
 * A name is asked for at start, every RESOLVE_RETRY_S until there is an answer, and again when the node finds that a peer answers
 * nowhere: it may have moved. All addresses of an answer are the endpoint's, in the resolver's order, up to ENDPOINT_ADDRESSES_MAX. An
 * answer without any changes nothing: what is known is better than nothing. The config in force is what counts when an answer comes: a name
 * that a reload took out is nobody's any more; and a peer that wg(8) has given another endpoint keeps that.
 */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/clock.h"
#include "sys/daemon_inside.h"
#include "sys/frame.h"
#include "sys/resolver.h"

static bool unresolved(const struct change_endpoint *e)
{
	return e->name[0] && !e->count;
}

static size_t count_unresolved(const struct change *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->peer_count; i++)
		for (size_t j = 0; j < c->peers[i].endpoint_count; j++)
			count += unresolved(&c->peers[i].endpoints[j]);
	return count;
}

static void ask(struct daemon *d, const struct change_endpoint *e)
{
	frame_send(d->o.parent_fd, FRAME_RESOLVE, e->name, strlen(e->name));
}

bool daemon_resolve_again(struct daemon *d)
{
	bool any = false;

	for (size_t i = 0; i < d->config.change.peer_count && d->o.parent_fd >= 0; i++) {
		const struct change_peer *p = &d->config.change.peers[i];

		for (size_t j = 0; j < p->endpoint_count; j++)
			if (unresolved(&p->endpoints[j])) {
				ask(d, &p->endpoints[j]);
				any = true;
			}
	}
	return any;
}

void daemon_resolve_stale(struct daemon *d)
{
	uint8_t key[KEY_LEN];

	while (node_next_stale(d->node, key)) {
		size_t count;
		const struct change_endpoint *v = node_endpoints(d->node, key, &count);

		for (size_t i = 0; i < count && d->o.parent_fd >= 0; i++)
			if (v[i].name[0])
				ask(d, &v[i]);
	}
}

/*
 * Answers.
 */

static bool is_address(const struct sockaddr *sa, const struct ip_addr *a)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET && a->family == IP_V4) {
		memcpy(&in, sa, sizeof(in));
		return !memcmp(&in.sin_addr, a->bytes, 4);
	}
	if (sa->sa_family != AF_INET6 || a->family != IP_V6)
		return false;
	memcpy(&in6, sa, sizeof(in6));
	return !memcmp(&in6.sin6_addr, a->bytes, 16);
}

/* Whether we would send to ourselves. Another port of this host is somebody else, a relay perhaps. */
static bool is_ourselves(const struct daemon *d, const struct endpoint *e)
{
	struct ifaddrs *list;
	bool found = false;

	if (e->port != (udp_is_open(&d->udp) ? d->udp.port : d->config.change.listen_port) || getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *a = list; a && !found; a = a->ifa_next)
		found = a->ifa_addr && is_address(a->ifa_addr, &e->addr);
	freeifaddrs(list);
	return found;
}

/* "A:P" one a line, into the addresses an endpoint takes of them. Returns how many. */
static size_t read_answer(const struct daemon *d, const char *text, struct endpoint out[ENDPOINT_ADDRESSES_MAX])
{
	struct endpoint all[RESOLVER_ADDRESSES_MAX];
	size_t count = 0;

	for (size_t lines = 0; *text && lines < RESOLVER_ADDRESSES_MAX; lines++) {
		char line[ENDPOINT_TEXT_MAX + 1];
		size_t len = strcspn(text, "\n");

		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			if (endpoint_parse(line, &all[count]) && !is_ourselves(d, &all[count]))
				count++;
		}
		text += len + (text[len] == '\n');
	}
	return change_pick_addresses(all, count, out);
}

/* Put the addresses into every endpoint of that name. False: they have them already, or there is none. */
static bool put_addresses(struct change_endpoint *v, size_t v_count, const char *name, const struct endpoint *addresses, size_t count)
{
	bool news = false;

	for (size_t i = 0; i < v_count; i++) {
		bool same = v[i].count == count;

		if (strcmp(v[i].name, name) != 0)
			continue;
		for (size_t j = 0; j < count && same; j++)
			same = endpoint_equal(&v[i].v[j], &addresses[j]);
		if (same)
			continue;
		memset(v[i].v, 0, sizeof(v[i].v));
		memcpy(v[i].v, addresses, count * sizeof(*addresses));
		v[i].count = (uint8_t)count;
		news = true;
	}
	return news;
}

/* Tell the node, if the peer still has the name there. */
static void tell_node(struct daemon *d, const uint8_t key[KEY_LEN], const char *name, const struct endpoint *addresses, size_t count)
{
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);
	size_t have;
	const struct change_endpoint *v = node_endpoints(d->node, key, &have);
	bool ok = p;

	for (size_t i = 0; i < have && ok; i++) {
		struct change_endpoint *e = change_add_endpoint(p);

		ok = e;
		if (e)
			*e = v[i];
	}
	if (ok && put_addresses(p->endpoints, p->endpoint_count, name, addresses, count)) {
		p->bits |= CHANGE_PEER_UPDATE_ONLY;
		memcpy(p->public_key, key, KEY_LEN);
		daemon_apply(d, &c);
	}
	change_done(&c);
}

static const struct change_endpoint *find_name(const struct change_peer *p, const char *name)
{
	for (size_t i = 0; i < p->endpoint_count; i++)
		if (!strcmp(p->endpoints[i].name, name))
			return &p->endpoints[i];
	return NULL;
}

void daemon_resolved(struct daemon *d, const char *payload, size_t len)
{
	const char *text = memchr(payload, '\0', len);
	struct endpoint addresses[ENDPOINT_ADDRESSES_MAX];
	size_t count = text ? read_answer(d, text + 1, addresses) : 0;
	bool missed = false;

	if (!text)
		return;
	for (size_t i = 0; i < d->config.change.peer_count; i++) {
		struct change_peer *p = &d->config.change.peers[i];
		const struct change_endpoint *e = find_name(p, payload);

		missed |= e && unresolved(e) && !count;
		if (!e || !count)
			continue;
		put_addresses(p->endpoints, p->endpoint_count, payload, addresses, count);
		tell_node(d, p->public_key, payload, addresses, count);
	}
	if (missed)
		log_warning(&d->o.log, "endpoint %s does not resolve; trying again every %d s", payload, RESOLVE_RETRY_S);
}

/*
 * At start names are worth a short wait: the MTU depends on where they lead. Anything else that comes from the parent ends it and is left
 * for the loop: it is a stop, or the parent's end.
 */
void daemon_resolve_first(struct daemon *d)
{
	int64_t until_us = clock_now().mono_us + RESOLVE_WAIT_MS * US_PER_MS;
	struct pollfd pfd = { .fd = d->o.parent_fd, .events = POLLIN };
	size_t answers = 0, asked = count_unresolved(&d->config.change);

	if (!daemon_resolve_again(d))
		return;
	while (count_unresolved(&d->config.change) && answers < asked) {
		int64_t left_us = until_us - clock_now().mono_us;
		char *payload = NULL;
		size_t len;

		if (left_us <= 0 || poll(&pfd, 1, (int)(left_us / US_PER_MS) + 1) <= 0 || frame_peek(d->o.parent_fd) != FRAME_RESOLVED)
			break;
		if (frame_receive(d->o.parent_fd, &payload, &len) <= 0)
			break;
		daemon_resolved(d, payload, len);
		free(payload);
		answers++;
	}
	if (count_unresolved(&d->config.change))
		ev_timer_start(d->loop, &d->resolve);
}
