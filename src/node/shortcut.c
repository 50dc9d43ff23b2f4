/* SPDX-License-Identifier: MIT */
/*
 * Owners of prefixes by the records of the mesh: a trie that lanes look into, and of each peer the list of what is its, so that counting and switching cost what the
 * peer has and not what the mesh has. Lanes write two counters of an owner and nothing else; many lanes may count at once, and a count that is lost would not matter.
 */
#include "node/shortcut.h"

#include <stdlib.h>

#include "node/lane.h"

void owners_clear(struct owners *o)
{
	for (size_t i = 0; i < o->count; i++) {
		if (o->v[i]->peer)
			o->v[i]->peer->owned = NULL;
		free(o->v[i]);
	}
	free(o->v);
	lpm_clear(&o->table);
	*o = (struct owners){ 0 };
}

/* Into the list of its peer, and out of it. */
static void give(struct owner *w, struct lane_peer *peer)
{
	w->peer = peer;
	w->shortcut = false;
	if (!peer)
		return;
	w->next = peer->owned;
	peer->owned = w;
}

static void take(struct owner *w)
{
	if (!w->peer)
		return;
	for (struct owner **p = &w->peer->owned; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	w->peer = NULL;
	w->next = NULL;
}

static bool make_room(struct owners *o)
{
	size_t size = o->size ? 2 * o->size : 16;
	struct owner **v;

	if (o->count < o->size)
		return true;
	v = realloc(o->v, size * sizeof(*v));
	if (!v)
		return false;
	o->v = v;
	o->size = size;
	return true;
}

struct owner *owners_set(struct owners *o, const struct ip_prefix *p, struct lane_peer *peer)
{
	struct owner *w = lpm_exact(&o->table, p);

	if (w) {
		take(w);
		give(w, peer);
		return w;
	}
	if (!make_room(o))
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->prefix = *p;
	ip_prefix_mask(&w->prefix);
	if (!lpm_insert(&o->table, &w->prefix, w)) {
		free(w);
		return NULL;
	}
	w->place = o->count;
	o->v[o->count++] = w;
	give(w, peer);
	return w;
}

static void remove_owner(struct owners *o, struct owner *w)
{
	take(w);
	lpm_remove(&o->table, &w->prefix);
	o->v[w->place] = o->v[--o->count];
	o->v[w->place]->place = w->place;
	free(w);
}

void owners_remove(struct owners *o, const struct ip_prefix *p)
{
	struct owner *w = lpm_exact(&o->table, p);

	if (w)
		remove_owner(o, w);
}

void owners_forget_peer(struct owners *o, const struct lane_peer *peer)
{
	while (peer->owned)
		remove_owner(o, peer->owned);
}

struct owner *owners_lookup(const struct owners *o, uint8_t family, const uint8_t *addr)
{
	return family == IP_V4 ? lpm_lookup4(&o->table, addr) : lpm_lookup6(&o->table, addr);
}

bool owners_take(const struct lane_peer *peer, uint32_t *wanted, uint32_t *used)
{
	*wanted = *used = 0;
	for (struct owner *w = peer->owned; w; w = w->next) {
		*wanted += atomic_exchange_explicit(&w->wanted, 0, memory_order_relaxed);
		*used += atomic_exchange_explicit(&w->used, 0, memory_order_relaxed);
	}
	return peer->owned;
}

void owners_set_shortcut(const struct lane_peer *peer, bool on)
{
	for (struct owner *w = peer->owned; w; w = w->next)
		w->shortcut = on;
}
