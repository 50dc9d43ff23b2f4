/* SPDX-License-Identifier: MIT */
/*
 * Keypairs and sub-sessions of a peer, in all lanes.
 *
 * The peer's session is the truth; a link has the two pointers of it that its lane uses. They differ in one way only, and for a
 * moment: a lane that hears on 'next' makes it current for itself and notes it, the node then does so for the session and the other
 * lanes. Keypairs are freed here alone, with all gates closed.
 */
#include "node/links.h"

#include <stdlib.h>
#include <string.h>

static void close_all(struct lane *lanes, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		lane_close(&lanes[i]);
}

static void open_all(struct lane *lanes, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		lane_open(&lanes[i]);
}

bool links_init(struct lane_peer *p, unsigned int home, unsigned int count)
{
	p->home = home;
	p->links = calloc(count, sizeof(*p->links));
	if (!p->links)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		p->links[i].peer = p;
		fq_tin_init(&p->links[i].tin);
		fq_tin_init(&p->links[i].tin_in);
	}
	return true;
}

void links_done(struct lane *lanes, unsigned int count, struct lane_peer *p)
{
	if (!p->links)
		return;
	close_all(lanes, count);
	links_clear(lanes, count, p);
	for (unsigned int i = 0; i < count; i++) {
		lane_remove_link(&lanes[i], &p->links[i]);
		free(p->links[i].slots.v);
	}
	open_all(lanes, count);
	free(p->links);
	free(p->subs);
	p->links = NULL;
	p->subs = NULL;
	p->sub_count = 0;
}

static void forget(struct lane *lanes, unsigned int count, const struct session_dropped *dropped)
{
	for (size_t i = 0; i < dropped->count; i++) {
		for (unsigned int j = 0; j < count; j++)
			u32map_remove(&lanes[j].indices, dropped->v[i]->local_index);
		keypair_free(dropped->v[i]);
	}
}

/* Give every lane the session's pointers, and have what waits for a session looked at. */
static void publish(struct lane *lanes, unsigned int count, struct lane_peer *p)
{
	for (unsigned int i = 0; i < count; i++) {
		struct lane_link *k = &p->links[i];

		k->current = p->session.current;
		k->next = p->session.next;
		if (lanes[i].run_link == k)
			lanes[i].run_link = NULL;
		if (k->current && k->tin.items)
			lane_kick(&lanes[i], k);
	}
}

/* What a lane has confirmed, the node not yet having heard of it. */
static void catch_up(struct lane *lanes, unsigned int count, struct lane_peer *p)
{
	struct session_dropped dropped;

	for (unsigned int i = 0; p->session.next && i < count; i++)
		if (p->links[i].current == p->session.next && session_confirm(&p->session, p->session.next, &dropped)) {
			forget(lanes, count, &dropped);
			publish(lanes, count, p);
		}
}

void links_confirm(struct lane *lanes, unsigned int count, struct lane_peer *p)
{
	close_all(lanes, count);
	catch_up(lanes, count, p);
	open_all(lanes, count);
}

static bool map(struct lane *lanes, unsigned int count, struct keypair *k)
{
	for (unsigned int i = 0; i < count; i++)
		if (!u32map_set(&lanes[i].indices, k->local_index, k)) {
			while (i-- > 0)
				u32map_remove(&lanes[i].indices, k->local_index);
			return false;
		}
	return true;
}

bool links_install(struct lane *lanes, unsigned int count, struct lane_peer *p, struct keypair *k)
{
	struct session_dropped dropped = { .count = 0 };
	bool ok;

	k->owner = p;
	close_all(lanes, count);
	ok = map(lanes, count, k);
	if (ok) {
		catch_up(lanes, count, p);
		session_install(&p->session, k, &dropped);
		publish(lanes, count, p);
		forget(lanes, count, &dropped);
	}
	open_all(lanes, count);
	if (!ok)
		keypair_free(k);
	return ok;
}

void links_clear(struct lane *lanes, unsigned int count, struct lane_peer *p)
{
	struct session_dropped dropped;

	close_all(lanes, count);
	session_clear(&p->session, &dropped);
	publish(lanes, count, p);
	forget(lanes, count, &dropped);
	open_all(lanes, count);
}

void links_spread_path(struct lane *lanes, unsigned int count, struct lane_peer *p)
{
	close_all(lanes, count);
	for (unsigned int i = 0; i < count; i++)
		if (i != p->home)
			p->links[i].path = p->links[p->home].path;
	open_all(lanes, count);
}

/*
 * Sub-sessions.
 */

/* The slot of a sub-session in its lane's link. */
static unsigned int slot_of(unsigned int count, unsigned int number)
{
	return (number - 1) / count;
}

/* Room for as many slots as the lane has numbers up to 'subs'. */
static bool grow_slots(struct lane_link *k, unsigned int lane, unsigned int count, unsigned int subs)
{
	unsigned int first = lane ? lane : count;
	unsigned int size = subs >= first ? (subs - first) / count + 1 : 0;
	struct flow_slot *v;

	if (size <= k->slots.count)
		return true;
	v = realloc(k->slots.v, size * sizeof(*v));
	if (!v)
		return false;
	memset(v + k->slots.count, 0, (size - k->slots.count) * sizeof(*v));
	k->slots.v = v;
	k->slots.count = size;
	return true;
}

static bool open_subs(struct lane_peer *p, unsigned int count, unsigned int subs)
{
	struct keypair *pairs[] = { p->session.previous, p->session.current, p->session.next };

	if (!p->subs)
		p->subs = calloc(SUB_SESSIONS, sizeof(*p->subs));
	if (!p->subs)
		return false;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i] && !keypair_open_subs(pairs[i], subs))
			return false;
	for (unsigned int i = 0; i < count; i++)
		if (!grow_slots(&p->links[i], i, count, subs))
			return false;
	return true;
}

bool links_open_subs(struct lane *lanes, unsigned int count, struct lane_peer *p, unsigned int subs)
{
	bool ok;

	close_all(lanes, count);
	if (subs < p->sub_count)
		subs = p->sub_count;
	ok = open_subs(p, count, subs);
	if (ok)
		p->sub_count = subs;
	open_all(lanes, count);
	return ok;
}

void links_set_usable(struct lane *lanes, unsigned int count, struct lane_peer *p, unsigned int number, bool usable)
{
	unsigned int i = number % count;

	lane_close(&lanes[i]);
	flow_slot_set(&p->links[i].slots, slot_of(count, number), usable);
	lane_open(&lanes[i]);
}

bool links_usable(const struct lane_peer *p, unsigned int count, unsigned int number)
{
	return p->links[number % count].slots.v[slot_of(count, number)].usable;
}

enum flow_rest links_rest(const struct lane_peer *p, unsigned int count, unsigned int number, int64_t now_us)
{
	return flow_slot_rest(&p->links[number % count].slots, slot_of(count, number), now_us);
}
