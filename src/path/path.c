/* SPDX-License-Identifier: MIT */
/*
 * Which paths to a peer there are. Remote endpoints come from the configuration, from the peer and from what was heard; each of these origins has its
 * place, so that none can crowd out another: what the peer tells never takes the room of what is configured, and what is heard has PATH_HEARD_MAX
 * of its own, of which the oldest goes. Local addresses come from the host. Paths are pairs of both that fit; there may be more pairs than
 * PATHS_MAX, so they are made in rounds: every remote endpoint gets its first local address before one gets its second.
 *
 * A path keeps its struct and its number from when it is made until its local address or its remote endpoint goes. Numbers go up and around,
 * skip 0 and what is in use: the peer's reports about a path that is gone do not fall on another.
 */
#include "path/path.h"

#include <stdlib.h>
#include <string.h>

#include "path/path_inside.h"

/* Room for what is configured and told. */
enum { PATH_NAMED_MAX = PATH_REMOTES_MAX - PATH_HEARD_MAX };

static const struct path_local any_local;

bool path_usable(const struct path *p)
{
	return !p->terms.never && path_answers(p);
}

bool path_answers(const struct path *p)
{
	return p->way == PATH_UNCHECKED || p->way == PATH_OPEN;
}

void paths_init(struct path_set *s, uint16_t first)
{
	memset(s, 0, sizeof(*s));
	s->next_number = first;
	s->next_us = NEVER_US;
}

void paths_done(struct path_set *s)
{
	for (size_t i = 0; i < s->path_count; i++)
		free(s->v[i]);
	free(s->v);
	memset(s, 0, sizeof(*s));
	s->next_us = NEVER_US;
}

void path_forget(struct path *p, struct instant now)
{
	struct path fresh = {
		.addr = p->addr, .number = p->number, .terms = p->terms, .origins = p->origins, .way = p->way, .recheck = p->recheck,
		.preferred = p->preferred, .way_mtu = p->way_mtu, .made_us = p->made_us, .sequence = p->sequence, .due_us = NEVER_US,
		.keep_us = PATH_KEEP_START_S * US_PER_S, .rtt_bucket_us = now.mono_us, .in_bucket_us = now.mono_us, .memory_us = now.mono_us,
		.since_us = now.mono_us,
	};

	for (size_t i = 0; i < PATH_RTT_BUCKETS; i++)
		fresh.rtt_min_us[i] = NEVER_US;
	*p = fresh;
	pmtu_init(&p->pmtu, p->addr.remote.addr.family, p->way_mtu, now.mono_us);
}

static struct path_remote *find_remote(struct path_set *s, const struct endpoint *e)
{
	for (size_t i = 0; i < s->remote_count; i++)
		if (endpoint_equal(&s->remotes[i].endpoint, e))
			return &s->remotes[i];
	return NULL;
}

static void remove_remote(struct path_set *s, size_t i)
{
	memmove(&s->remotes[i], &s->remotes[i + 1], (s->remote_count - i - 1) * sizeof(s->remotes[0]));
	s->remote_count--;
}

/* How many are known by any of these origins. */
static size_t count_remotes(const struct path_set *s, unsigned int origins)
{
	size_t n = 0;

	for (size_t i = 0; i < s->remote_count; i++)
		n += (s->remotes[i].origins & origins) != 0;
	return n;
}

/* The last that is known by this origin alone is known no more. */
static bool drop_last(struct path_set *s, enum path_origin origin)
{
	for (size_t i = s->remote_count; i-- > 0;)
		if (s->remotes[i].origins == origin) {
			remove_remote(s, i);
			return true;
		}
	return false;
}

/* Of those only heard from, and not in use, the one longest not heard. False: there is none. */
static bool drop_oldest_heard(struct path_set *s)
{
	size_t oldest = s->remote_count;

	for (size_t i = 0; i < s->remote_count; i++) {
		const struct path_remote *r = &s->remotes[i];

		if (r->origins != PATH_HEARD || (s->current && endpoint_equal(&s->current->addr.remote, &r->endpoint)))
			continue;
		if (oldest == s->remote_count || r->heard_us < s->remotes[oldest].heard_us)
			oldest = i;
	}
	if (oldest == s->remote_count)
		return false;
	remove_remote(s, oldest);
	return true;
}

static size_t count_heard(const struct path_set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->remote_count; i++)
		n += s->remotes[i].origins == PATH_HEARD;
	return n;
}

static void name_remote(struct path_set *s, enum path_origin origin, const struct path_remote *new)
{
	struct path_remote *r = find_remote(s, &new->endpoint);

	if (ip_family_bytes(new->endpoint.addr.family) == 0 || new->endpoint.port == 0)
		return;
	if (!r || !(r->origins & (PATH_CONFIGURED | PATH_TOLD))) {
		if (count_remotes(s, PATH_CONFIGURED | PATH_TOLD) == PATH_NAMED_MAX && !(origin == PATH_CONFIGURED && drop_last(s, PATH_TOLD)))
			return;
		r = find_remote(s, &new->endpoint);
	}
	if (!r) {
		if (s->remote_count == PATH_REMOTES_MAX && !drop_oldest_heard(s))
			return;
		r = &s->remotes[s->remote_count++];
		*r = (struct path_remote){ .endpoint = new->endpoint };
	}
	/* What the operator says of an endpoint counts, whatever the peer says of the same. */
	if (origin == PATH_CONFIGURED || !(r->origins & PATH_CONFIGURED))
		r->terms = new->terms;
	r->origins |= (uint8_t)origin;
}

static bool is_named(const struct path_remote *v, size_t count, const struct endpoint *e)
{
	for (size_t i = 0; i < count; i++)
		if (endpoint_equal(&v[i].endpoint, e))
			return true;
	return false;
}

void paths_set_remotes(struct path_set *s, enum path_origin origin, const struct path_remote *v, size_t count)
{
	for (size_t i = s->remote_count; i-- > 0;) {
		struct path_remote *r = &s->remotes[i];

		if (!(r->origins & origin))
			continue;
		r->origins &= (uint8_t)~(unsigned int)origin;
		/* What the peer had and does not speak of any more it cannot be heard at either; if it is, it is there again. */
		if (origin == PATH_TOLD && !is_named(v, count, &r->endpoint))
			r->origins &= (uint8_t)~(unsigned int)PATH_HEARD;
		if (!(r->origins & PATH_CONFIGURED))
			r->terms = (struct path_terms){ 0 };
		if (!r->origins)
			remove_remote(s, i);
	}
	for (size_t i = 0; i < count; i++)
		name_remote(s, origin, &v[i]);
	/* What was named and is only heard now has no more room than others. */
	while (count_heard(s) > PATH_HEARD_MAX && drop_oldest_heard(s))
		;
}

static bool is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == IP_V4 ? a->bytes[0] == 127 : memcmp(a->bytes, one, 16) == 0;
}

static bool is_unique_local(const struct ip_addr *a)
{
	return a->family == IP_V6 && (a->bytes[0] & 0xfe) == 0xfc;
}

static bool fits(const struct path_local *l, const struct endpoint *r)
{
	if (l->addr.family == IP_NONE)
		return true;
	if (l->addr.family != r->addr.family)
		return false;
	if (ip_addr_is_link_local(&l->addr) || ip_addr_is_link_local(&r->addr))
		return ip_addr_is_link_local(&l->addr) && ip_addr_is_link_local(&r->addr) && l->ifindex == r->scope;
	return is_loopback(&l->addr) == is_loopback(&r->addr);
}

/* Unique local addresses go with each other, others too. */
static bool of_a_kind(const struct ip_addr *a, const struct ip_addr *b)
{
	return is_unique_local(a) == is_unique_local(b);
}

/* A network may have both kinds and a prefix translated or routed between them: who is configured, or was heard, is tried with what there is. */
static bool serves_another(const struct path_local *locals, size_t count, const struct path_remote *r)
{
	for (size_t i = 0; i < count; i++)
		if (fits(&locals[i], &r->endpoint) && of_a_kind(&locals[i].addr, &r->endpoint.addr))
			return false;
	return r->origins & (PATH_CONFIGURED | PATH_HEARD);
}

static struct path *find_pair(const struct path_set *s, const struct endpoint *remote, const struct ip_addr *local)
{
	for (size_t i = 0; i < s->path_count; i++)
		if (endpoint_equal(&s->v[i]->addr.remote, remote) && ip_addr_equal(&s->v[i]->addr.local, local))
			return s->v[i];
	return NULL;
}

struct path *paths_find(const struct path_set *s, const struct path_addr *addr)
{
	struct path *p = find_pair(s, &addr->remote, &addr->local);

	if (p || addr->local.family == IP_NONE) {
		for (size_t i = 0; !p && i < s->path_count; i++)
			if (endpoint_equal(&s->v[i]->addr.remote, &addr->remote))
				p = s->v[i];
		return p;
	}
	return find_pair(s, &addr->remote, &any_local.addr);
}

struct path *paths_find_number(const struct path_set *s, uint16_t number)
{
	for (size_t i = 0; i < s->path_count; i++)
		if (s->v[i]->number == number)
			return s->v[i];
	return NULL;
}

/* There are fewer paths than numbers, so this ends. */
static uint16_t free_number(struct path_set *s)
{
	uint16_t number;

	do {
		number = s->next_number++;
	} while (number == 0 || paths_find_number(s, number));
	return number;
}

/* What the set's remote and the host's local address say of a path. True: it leaves by another interface than before. */
static bool refresh(struct path *p, const struct path_remote *r, const struct path_local *l)
{
	bool moved = p->addr.ifindex != l->ifindex;

	p->terms = path_terms_join(&r->terms, &l->terms);
	p->origins = r->origins;
	p->addr.ifindex = l->ifindex;
	p->addr.pinned = l->ifindex != 0;
	if (moved)
		p->recheck = true;
	return moved;
}

static struct path *add_path(struct path_set *s, const struct path_remote *r, const struct path_local *l, struct instant now)
{
	struct path **v, *p;

	if (s->path_count == PATHS_MAX)
		return NULL;
	v = realloc(s->v, (s->path_count + 1) * sizeof(*v));
	if (!v)
		return NULL;
	s->v = v;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->addr = (struct path_addr){ .remote = r->endpoint, .local = l->addr };
	p->number = free_number(s);
	p->made_us = now.mono_us;
	refresh(p, r, l);
	p->recheck = false;
	path_forget(p, now);
	v[s->path_count++] = p;
	return p;
}

static void remove_path(struct path_set *s, size_t i)
{
	struct path *p = s->v[i];

	memmove(&s->v[i], &s->v[i + 1], (s->path_count - i - 1) * sizeof(s->v[0]));
	s->path_count--;
	path_tell_gone(s, p);
	if (s->current == p)
		s->current = NULL;
	if (s->leaving == p) {
		s->leaving = NULL;
		s->leaving_gone = true;
	}
	if (s->better == p) {
		s->better = NULL;
		s->better_us = 0;
	}
	if (s->rival == p)
		s->rival = NULL;
	free(p);
}

/* The k-th local address that fits this endpoint. */
static const struct path_local *fitting(const struct path_local *locals, size_t count, const struct path_remote *remote, size_t k)
{
	for (size_t i = 0; i < count; i++)
		if (!locals[i].spare && fits(&locals[i], &remote->endpoint) && (of_a_kind(&locals[i].addr, &remote->endpoint.addr) ||
		    serves_another(locals, count, remote)) && k-- == 0)
			return &locals[i];
	return NULL;
}

static bool add_pairs(struct path_set *s, const struct path_local *locals, size_t count, struct instant now)
{
	bool added = false;

	for (size_t k = 0; k < count; k++)
		for (size_t i = 0; i < s->remote_count; i++) {
			const struct path_local *l = fitting(locals, count, &s->remotes[i], k);

			if (l && !find_pair(s, &s->remotes[i].endpoint, &l->addr))
				added |= add_path(s, &s->remotes[i], l, now) != NULL;
		}
	return added;
}

/* Mark what is neither local nor remote any more, and tell the others what is said of them now. True: a way has to be asked about. */
static bool mark_gone(struct path_set *s, const struct path_local *locals, size_t count)
{
	bool moved = false;

	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];
		const struct path_remote *r = find_remote(s, &p->addr.remote);

		p->gone = true;
		for (size_t k = 0; r && p->gone && k < count; k++)
			if (ip_addr_equal(&locals[k].addr, &p->addr.local) && fits(&locals[k], &r->endpoint) &&
			    (p->heard_us || (!locals[k].spare && (of_a_kind(&p->addr.local, &p->addr.remote.addr) || serves_another(locals, count, r))))) {
				moved |= refresh(p, r, &locals[k]);
				p->gone = false;
			}
	}
	return moved;
}

unsigned int paths_rebuild(struct path_set *s, const struct path_local *locals, size_t count, struct instant now)
{
	struct path_addr old = s->current ? s->current->addr : (struct path_addr){ 0 };
	bool had = s->current != NULL;
	unsigned int events = 0;

	if (count == 0) {
		locals = &any_local;
		count = 1;
	}
	if (mark_gone(s, locals, count))
		events |= PATHS_UNCHECKED;
	for (size_t i = s->path_count; i-- > 0;)
		if (s->v[i]->gone)
			remove_path(s, i);
	if (add_pairs(s, locals, count, now))
		events |= PATHS_UNCHECKED;
	if (had && (!s->current || !path_usable(s->current)))
		events |= choice_lost(s, &old, PATH_WHY_GONE, now.mono_us);
	paths_plan(s, now.mono_us);
	return events;
}

struct path *paths_unchecked(struct path_set *s)
{
	for (size_t i = 0; i < s->path_count; i++)
		if (s->v[i]->way == PATH_UNCHECKED || s->v[i]->recheck)
			return s->v[i];
	return NULL;
}

unsigned int paths_set_way(struct path_set *s, struct path *p, enum path_way way, bool preferred, uint32_t mtu, struct instant now)
{
	bool was = p->way == PATH_OPEN;
	unsigned int events = 0;

	p->recheck = false;
	p->way = (uint8_t)way;
	p->preferred = preferred;
	p->way_mtu = mtu;
	if (pmtu_set_way(&p->pmtu, mtu, now.mono_us))
		events |= PATHS_MTU;
	if (way == PATH_OPEN && !was) {
		p->asked_us = 0;
		p->tries = 0;
	}
	if (!path_usable(p) && p->state == PATH_ALIVE) {
		p->state = PATH_DEAD;
		p->since_us = now.mono_us;
		p->answers = 0;
		path_tell_gone(s, p);
	}
	if (p == s->current && !path_usable(p))
		events |= choice_lost(s, &p->addr, PATH_WHY_GONE, now.mono_us);
	paths_plan(s, now.mono_us);
	return events;
}

void paths_uncheck(struct path_set *s)
{
	for (size_t i = 0; i < s->path_count; i++)
		s->v[i]->recheck = true;
}

static void remove_orphans(struct path_set *s)
{
	for (size_t i = s->path_count; i-- > 0;)
		if (s->v[i] != s->current && !find_remote(s, &s->v[i]->addr.remote))
			remove_path(s, i);
}

/* Room for one more that was heard: the oldest that nothing is known of but that, and that is not in use, goes. */
static bool make_room(struct path_set *s)
{
	if (count_heard(s) < PATH_HEARD_MAX && s->remote_count < PATH_REMOTES_MAX)
		return true;
	if (!drop_oldest_heard(s))
		return false;
	remove_orphans(s);
	return s->remote_count < PATH_REMOTES_MAX;
}

/* With all places taken, one that was never answered makes room, or a dead one; the longest so first. */
static bool make_path_room(struct path_set *s)
{
	size_t worst = s->path_count;

	if (s->path_count < PATHS_MAX)
		return true;
	for (size_t i = 0; i < s->path_count; i++) {
		const struct path *p = s->v[i];

		if (p == s->current || p->state == PATH_ALIVE)
			continue;
		if (worst == s->path_count || p->since_us < s->v[worst]->since_us)
			worst = i;
	}
	if (worst == s->path_count)
		return false;
	remove_path(s, worst);
	return true;
}

/* The host's address a packet came to. One that is not listed (it came or went just now) is taken as it is until the next rebuild. */
static struct path_local local_of(const struct path_addr *addr, const struct path_local *locals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ip_addr_equal(&locals[i].addr, &addr->local) && (!addr->ifindex || !locals[i].ifindex || locals[i].ifindex == addr->ifindex))
			return locals[i];
	for (size_t i = 0; i < count; i++)
		if (ip_addr_equal(&locals[i].addr, &addr->local) || locals[i].addr.family == IP_NONE)
			return locals[i];
	if (count == 0)
		return any_local;
	return (struct path_local){ .addr = addr->local };
}

static struct path *hear_new(struct path_set *s, const struct path_addr *addr, const struct path_local *locals, size_t count, struct instant now)
{
	struct path_local l = local_of(addr, locals, count);
	struct path_remote *r = find_remote(s, &addr->remote);

	if (!make_path_room(s))
		return NULL;
	if (!r) {
		if (!make_room(s))
			return NULL;
		r = &s->remotes[s->remote_count++];
		*r = (struct path_remote){ .endpoint = addr->remote };
	}
	r->origins |= PATH_HEARD;
	r->heard_us = now.mono_us;
	return add_path(s, r, &l, now);
}

/* That it was heard there is remembered of an endpoint, however else it is known. */
static void note_heard(struct path_set *s, struct path *p, struct instant now)
{
	struct path_remote *r = find_remote(s, &p->addr.remote);

	p->heard_us = now.mono_us;
	s->heard_us = now.mono_us;
	if (!r)
		return;
	r->heard_us = now.mono_us;
	r->origins |= PATH_HEARD;
	p->origins = r->origins;
}

struct path *paths_heard(struct path_set *s, const struct path_addr *addr, bool answer, const struct path_local *locals, size_t count,
			 struct instant now, unsigned int *events)
{
	struct path *p;

	if (ip_family_bytes(addr->remote.addr.family) == 0)
		return NULL;
	p = paths_find(s, addr);
	if (!p) {
		p = hear_new(s, addr, locals, count, now);
		if (!p)
			return NULL;
		*events |= PATHS_UNCHECKED;
	}
	note_heard(s, p, now);
	if (answer && s->managed) {
		path_answered(s, p, now.mono_us);
		p->unanswered = 0;
	}
	paths_plan(s, now.mono_us);
	return p;
}

void paths_forget(struct path_set *s, struct instant now)
{
	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];

		memset(p->probes, 0, sizeof(p->probes));
		memset(p->in, 0, sizeof(p->in));
		p->state = PATH_NEW;
		p->since_us = now.mono_us;
		p->unanswered = p->answers = p->tries = 0;
		p->asked_us = p->answered_us = p->told_us = p->probed_us = p->reported_us = 0;
		p->told = p->their_use = p->on_trial = false;
		p->their = 0;
		p->their_sequence = p->loss_out = p->late_out = p->jitter_out_us = p->rate_out = 0;
	}
	s->urgent = false;
	s->urgent_us = s->answered_us = s->turn_us = s->report_us = 0;
	s->gone_tells = 0;
	s->leaving = s->rival = NULL;
	s->doubt_us = 0;
	s->better = NULL;
	s->better_us = 0;
	paths_plan(s, now.mono_us);
}

unsigned int paths_set_managed(struct path_set *s, bool managed, struct path *current, struct instant now)
{
	unsigned int events = 0;

	if (managed == s->managed)
		return 0;
	s->managed = managed;
	for (size_t i = 0; i < s->path_count; i++)
		path_forget(s->v[i], now);
	s->urgent = s->down_told = false;
	s->better = NULL;
	s->better_us = s->urgent_us = s->answered_us = s->turn_us = s->report_us = 0;
	s->gone_tells = 0;
	s->leaving = s->rival = NULL;
	s->doubt_us = 0;
	s->cost_us = 0;
	s->cost_told_us = 0;
	if (current && current != s->current)
		events |= choice_set(s, current, managed ? PATH_WHY_FIRST : PATH_WHY_PLAIN, now.mono_us);
	else if (s->current)
		s->why = managed ? PATH_WHY_FIRST : PATH_WHY_PLAIN;
	paths_plan(s, now.mono_us);
	return events | PATHS_COST | PATHS_MTU | PATHS_SHARE;
}

unsigned int paths_set_current(struct path_set *s, struct path *p, enum path_why why, struct instant now)
{
	if (p == s->current || (p && p->terms.never))
		return 0;
	return choice_set(s, p, why, now.mono_us);
}
