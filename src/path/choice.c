/* SPDX-License-Identifier: MIT */
/*
 * Which path is used. Metric: (least round trip of the window + PATH_FLOOR_US + the operator's cost) * (1 + PATH_LOSS_WEIGHT * loss), of what we
 * send alone: the peer chooses for the other direction. Lower is better.
 *
 * A dead or gone path is left at once for the best that is alive; where nothing is, a dead one stays, so that something is tried. A living one
 * is left only for one that was answered PATH_SAMPLES_MIN times and is better by PATH_RATIO_PERCENT for PATH_HOLD_MS on end (PATH_HOLD_BAD_MS
 * where it is better by PATH_BAD_PERCENT). The hold time doubles with each change of the last PATH_CALM_S, so that what never settles changes
 * seldom. Chance is on the side of the path in use: see measure.c. One by the same interface that but loses less has to show it in a trial, or for
 * PATH_HOLD_NEAR_MS. Metered paths are the last resort, not chosen for being better while one that
 * costs nothing is alive, and left for that.
 *
 * Shares (Spread = all) go by rendezvous hashing: each sub-session goes where its hash with one of the path's 'weight' tickets is highest, so
 * that a new path takes its part from all others and nothing else moves.
 */
#include "path/path.h"

#include <string.h>

#include "path/path_inside.h"

enum { RATIO_ONE = 65536, CHANGES_REMEMBERED = 8 };

static int64_t metric(const struct path *p, uint32_t loss)
{
	int64_t rtt = path_rtt_min(p);

	if (rtt < 0)
		rtt = PATH_RTO_NEW_MS * US_PER_MS;
	rtt += PATH_FLOOR_US + p->terms.cost_ms * US_PER_MS;
	return rtt * (RATIO_ONE + PATH_LOSS_WEIGHT * (int64_t)loss) / RATIO_ONE;
}

static bool alive(const struct path *p)
{
	return p->state == PATH_ALIVE && path_usable(p);
}

int64_t path_metric_us(const struct path *p)
{
	return alive(p) ? metric(p, path_loss_low(p)) : NEVER_US;
}

bool paths_any_alive(const struct path_set *s, const struct path *but)
{
	for (size_t i = 0; i < s->path_count; i++)
		if (s->v[i] != but && alive(s->v[i]))
			return true;
	return false;
}

unsigned int choice_set(struct path_set *s, struct path *p, enum path_why why, int64_t now_us)
{
	if (why != PATH_WHY_FIRST && why != PATH_WHY_PLAIN && why != PATH_WHY_NONE) {
		memmove(s->recent_us + 1, s->recent_us, sizeof(s->recent_us) - sizeof(s->recent_us[0]));
		s->recent_us[0] = now_us;
	}
	if (s->current && why == PATH_WHY_BETTER)
		path_left(s->current);
	s->leaving = s->current && s->current != p && s->current->state == PATH_ALIVE ? s->current : NULL;
	s->leaving_us = now_us;
	s->current = p;
	s->why = (uint8_t)(p ? why : PATH_WHY_NONE);
	s->changed_us = now_us;
	s->changes++;
	s->better = s->rival = NULL;
	s->better_us = s->bad_us = 0;
	s->urgent = false;
	s->report_us = 0;
	return PATHS_CHOSEN | PATHS_MTU;
}

/* Paths that leave by one interface, IPv4 and IPv6 say, are likely to have the same troubles. */
static bool shares_fate(const struct path *a, const struct path *b)
{
	return a && b && a->addr.ifindex && a->addr.ifindex == b->addr.ifindex;
}

/* Better to fall back on: not itself without an answer just now, not metered, by another interface, then by metric. */
static bool falls_better(const struct path_set *s, const struct path *a, const struct path *b, int64_t now_us)
{
	bool late_a = path_overdue(a, now_us) > 0, late_b = path_overdue(b, now_us) > 0;
	bool near_a = shares_fate(a, s->current), near_b = shares_fate(b, s->current);

	if (late_a != late_b)
		return late_b;
	if (a->terms.metered != b->terms.metered)
		return b->terms.metered;
	if (near_a != near_b)
		return near_b;
	return metric(a, path_loss_high(a)) < metric(b, path_loss_high(b));
}

static struct path *best_alive(const struct path_set *s, int64_t now_us)
{
	struct path *best = NULL;

	for (size_t i = 0; i < s->path_count; i++)
		if (s->v[i] != s->current && alive(s->v[i]) && (!best || falls_better(s, s->v[i], best, now_us)))
			best = s->v[i];
	return best;
}

/* The best to try where nothing is known to be alive: of the same remote endpoint, for a peer that is where it was heard. */
static struct path *best_candidate(const struct path_set *s, const struct path_addr *old)
{
	const struct path *v[PATHS_MAX];
	size_t count = paths_candidates(s, v, PATHS_MAX);

	for (size_t i = 0; !s->managed && i < count; i++)
		if (endpoint_equal(&v[i]->addr.remote, &old->remote))
			return (struct path *)paths_find_number(s, v[i]->number);
	return count ? paths_find_number(s, v[0]->number) : NULL;
}

unsigned int choice_lost(struct path_set *s, const struct path_addr *old, enum path_why why, int64_t now_us)
{
	struct path_addr was = *old;
	struct path *next;

	if (s->current && !path_usable(s->current))
		s->current = NULL;
	next = s->managed ? best_alive(s, now_us) : NULL;
	if (!next)
		next = best_candidate(s, &was);
	return choice_set(s, next, why, now_us) | PATHS_URGENT;
}

static int64_t hold_us(const struct path_set *s, int64_t base_ms, int64_t now_us)
{
	int64_t hold = base_ms * US_PER_MS;

	for (size_t i = 0; i < CHANGES_REMEMBERED; i++)
		if (s->recent_us[i] && now_us - s->recent_us[i] < PATH_CALM_S * US_PER_S)
			hold *= 2;
	return hold < PATH_HOLD_MAX_S * US_PER_S ? hold : PATH_HOLD_MAX_S * US_PER_S;
}

static bool times_worse(int64_t than, int64_t is, int64_t percent)
{
	return is * 100 >= than * percent;
}

/* What the path in use loses at least, by whatever tells more. */
static uint32_t current_loss(const struct path_set *s)
{
	uint32_t told = path_loss_low(s->current), tried = s->rival ? path_trial_low(s->current) : 0;

	return told > tried ? told : tried;
}

/*
 * What another path may lose. 'near': one by the same interface loses as much as the path in use, for all that its few probes have seen of it,
 * unless its trial says otherwise.
 */
static int64_t metric_beside(const struct path_set *s, const struct path *p, bool near, int64_t now_us)
{
	uint32_t loss = path_loss_high(p), here = current_loss(s);

	if (near && shares_fate(p, s->current) && here > loss && !(p == s->rival && path_clears(p, here, now_us)))
		loss = here;
	return metric(p, loss);
}

/* What is better than the path in use, which is alive. */
static struct path *find_better(const struct path_set *s, bool near, int64_t now_us)
{
	const struct path *cur = s->current;
	int64_t now_metric = metric(cur, current_loss(s)), best_metric = NEVER_US;
	struct path *best = NULL;

	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];
		int64_t m;

		if (p == cur || !alive(p) || p->answers < PATH_SAMPLES_MIN || p->unanswered > 1 || (p->terms.metered && !cur->terms.metered))
			continue;
		m = metric_beside(s, p, near, now_us);
		if (m < best_metric && (times_worse(m, now_metric, PATH_RATIO_PERCENT) || (cur->terms.metered && !p->terms.metered))) {
			best = p;
			best_metric = m;
		}
	}
	return best;
}

/* Whether a path by the same interface loses less than the one in use is tried: with so many probes of both that a few seconds can tell. */
static void doubt(struct path_set *s, struct path *rival, int64_t now_us)
{
	if (s->doubt_us && now_us - s->doubt_us < PATH_DOUBT_REST_S * US_PER_S)
		return;
	s->rival = rival;
	s->doubt_us = now_us;
	path_try(s->current);
	path_try(rival);
}

static unsigned int choose_better(struct path_set *s, int64_t now_us)
{
	struct path *better = find_better(s, true, now_us);
	bool near = !better, bad, lossy;

	/* Where only one by the same interface is, and only by its loss, a trial or time must show. */
	if (near)
		better = find_better(s, false, now_us);
	if (near && better)
		doubt(s, better, now_us);
	s->better = better;
	s->better_near = near;
	if (!better) {
		s->better_us = s->bad_us = 0;
		return 0;
	}
	bad = !near && times_worse(metric(better, path_loss_high(better)), metric(s->current, current_loss(s)), PATH_BAD_PERCENT);
	if (!s->better_us)
		s->better_us = now_us;
	if (!bad)
		s->bad_us = 0;
	else if (!s->bad_us)
		s->bad_us = now_us;
	if (bad && now_us - s->bad_us >= hold_us(s, PATH_HOLD_BAD_MS, now_us))
		return choice_set(s, better, PATH_WHY_BETTER, now_us) | PATHS_URGENT;
	if (now_us - s->better_us < hold_us(s, near ? PATH_HOLD_NEAR_MS : PATH_HOLD_MS, now_us))
		return 0;
	/* Flows that lose packets anyway need not wait for a gap, so as not to be reordered. */
	lossy = s->current->told && current_loss(s) >= PATH_LOSSY;
	return choice_set(s, better, PATH_WHY_BETTER, now_us) | (lossy ? PATHS_URGENT : 0);
}

/* When waiting is over for what is better: the same terms as choose_better()'s, or a turn would come of it that finds nothing to do, and another. */
int64_t choice_next(const struct path_set *s)
{
	int64_t next = NEVER_US;

	if (s->better_us)
		next = s->better_us + hold_us(s, s->better_near ? PATH_HOLD_NEAR_MS : PATH_HOLD_MS, s->better_us);
	if (s->bad_us && s->bad_us + hold_us(s, PATH_HOLD_BAD_MS, s->bad_us) < next)
		next = s->bad_us + hold_us(s, PATH_HOLD_BAD_MS, s->bad_us);
	return next;
}

/* Without an answer for as many probes as make a path dead, be it one that never had any. */
static bool is_lost(const struct path *p, int64_t now_us)
{
	return p->state == PATH_DEAD || (p->state == PATH_NEW && path_overdue(p, now_us) >= PATH_DEAD_PROBES);
}

static unsigned int choose(struct path_set *s, int64_t now_us)
{
	struct path *cur = s->current, *next;

	if (!cur || !path_usable(cur)) {
		next = best_alive(s, now_us);
		if (!next)
			next = best_candidate(s, cur ? &cur->addr : &(struct path_addr){ 0 });
		return next ? choice_set(s, next, cur ? PATH_WHY_GONE : PATH_WHY_FIRST, now_us) | PATHS_URGENT : 0;
	}
	if (cur->state == PATH_ALIVE)
		return choose_better(s, now_us);
	if (!is_lost(cur, now_us))
		return 0;
	next = best_alive(s, now_us);
	if (next)
		return choice_set(s, next, PATH_WHY_DEATH, now_us) | PATHS_URGENT;
	s->why = PATH_WHY_ONLY;
	return 0;
}

/* May have a share beside the path in use. */
static bool may_share(const struct path_set *s, const struct path *p)
{
	return alive(p) && (p == s->current || p->answers >= PATH_SAMPLES_MIN) && (!p->terms.metered || (s->current && s->current->terms.metered));
}

static uint8_t weight_of(const struct path *p, int64_t best)
{
	int64_t m = path_metric_us(p), w;

	if (!times_worse(m, best * (p->weight ? PATH_SHARE_LEAVE_PERCENT : PATH_SHARE_PERCENT) / 100, 100))
		return 0;
	w = (PATH_WEIGHT_MAX * best + m / 2) / m;
	return (uint8_t)(w > 0 ? w : 1);
}

/* Weights change only where that moves much: a path comes in or leaves, or is better or worse by a quarter. */
static unsigned int share(struct path_set *s)
{
	int64_t best = NEVER_US;
	unsigned int events = 0;

	for (size_t i = 0; i < s->path_count; i++)
		if (may_share(s, s->v[i]) && path_metric_us(s->v[i]) < best)
			best = path_metric_us(s->v[i]);
	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];
		uint8_t w = may_share(s, p) ? weight_of(p, best) : 0;

		if (w == p->weight || (w && p->weight && w - p->weight < PATH_WEIGHT_MAX / 4 && p->weight - w < PATH_WEIGHT_MAX / 4))
			continue;
		p->weight = w;
		events = PATHS_SHARE;
	}
	return events;
}

static uint16_t nominal(uint32_t cost_us)
{
	uint64_t cost = PATH_COST_NOMINAL + (uint64_t)cost_us * PATH_COST_MS / 1000;

	return cost < 65534 ? (uint16_t)cost : 65534;
}

/* Babel's view follows the metric of the path in use in steps: large ones at once, small ones seldom. */
static unsigned int tell_cost(struct path_set *s, int64_t now_us)
{
	bool down = !paths_any_alive(s, NULL) && (!s->current || is_lost(s->current, now_us));
	int64_t m = s->current ? path_metric_us(s->current) : NEVER_US;
	unsigned int events = 0;
	uint32_t is, was, off;

	if (down != s->down_told) {
		s->down_told = down;
		events = PATHS_COST;
	}
	if (m == NEVER_US)
		return events;
	if (m > UINT32_MAX)
		m = UINT32_MAX;
	is = nominal((uint32_t)m);
	was = nominal(s->cost_us);
	off = is > was ? is - was : was - is;
	if (s->cost_us && !(off * 100 >= was * PATH_COST_STEP_PERCENT) &&
	    !(off * 100 >= was * PATH_COST_SMALL_PERCENT && now_us - s->cost_told_us >= PATH_COST_SMALL_S * US_PER_S))
		return events;
	s->cost_us = (uint32_t)m;
	s->cost_told_us = now_us;
	return PATHS_COST;
}

/* What was left without haste died before all flows were off it. */
static unsigned int see_off(struct path_set *s, int64_t now_us)
{
	bool died = s->leaving_gone || (s->leaving && !alive(s->leaving));
	bool over = s->leaving && now_us - s->leaving_us > PATH_LEAVING_MS * US_PER_MS;

	if (died || over)
		s->leaving = NULL;
	s->leaving_gone = false;
	if (died)
		return PATHS_CHOSEN | PATHS_URGENT | PATHS_MTU;
	return over ? PATHS_MTU : 0;
}

unsigned int choice_turn(struct path_set *s, int64_t now_us)
{
	unsigned int events;

	if (!s->managed)
		return 0;
	events = see_off(s, now_us);
	events |= choose(s, now_us);
	events |= share(s);
	return events | tell_cost(s, now_us);
}

uint16_t paths_cost(const struct path_set *s, bool *down)
{
	*down = s->managed && s->down_told;
	return nominal(s->managed ? s->cost_us : 0);
}

uint32_t paths_mtu(const struct path_set *s, bool share)
{
	uint32_t least = 0;

	for (size_t i = 0; s->managed && i < s->path_count; i++) {
		const struct path *p = s->v[i];
		uint32_t mtu;

		if (p != s->current && p != s->leaving && !(share && p->weight))
			continue;
		mtu = pmtu_inner(p->pmtu.size, p->addr.remote.addr.family);
		if (!least || mtu < least)
			least = mtu;
	}
	return least;
}

/* A finalizer of MurmurHash3: numbers are no secret, and nobody gains by a share. */
static uint32_t mix(uint32_t v)
{
	v ^= v >> 16;
	v *= UINT32_C(0x85ebca6b);
	v ^= v >> 13;
	v *= UINT32_C(0xc2b2ae35);
	return v ^ v >> 16;
}

struct path *paths_pick(const struct path_set *s, unsigned int number, bool share)
{
	struct path *best = s->current;
	uint32_t best_hash = 0;

	for (size_t i = 0; share && s->managed && i < s->path_count; i++)
		for (uint32_t ticket = 0; ticket < s->v[i]->weight; ticket++) {
			uint32_t hash = mix(mix((uint32_t)s->v[i]->number << 8 | ticket) ^ mix(number + UINT32_C(0x9e3779b9)));

			if (hash > best_hash) {
				best_hash = hash;
				best = s->v[i];
			}
		}
	return best;
}

/* Ranks for first contact, the lower the earlier. */
static int rank(const struct path_set *s, const struct path *p)
{
	if (p == s->current)
		return 0;
	if (p->state == PATH_ALIVE)
		return 1;
	return 2 + 8 * p->terms.metered + 4 * (p->way != PATH_OPEN) + 2 * (p->state == PATH_DEAD) + !p->preferred;
}

static size_t place_of(const struct path_set *s, const struct path *p)
{
	for (size_t i = 0; i < s->remote_count; i++)
		if (endpoint_equal(&s->remotes[i].endpoint, &p->addr.remote))
			return i + ((s->remotes[i].origins & PATH_CONFIGURED) ? 0 : PATH_REMOTES_MAX);
	return 2 * PATH_REMOTES_MAX;
}

static bool comes_before(const struct path_set *s, const struct path *a, const struct path *b)
{
	int rank_a = rank(s, a), rank_b = rank(s, b);

	if (rank_a != rank_b)
		return rank_a < rank_b;
	if (rank_a == 1)
		return path_metric_us(a) < path_metric_us(b);
	if (a->terms.cost_ms != b->terms.cost_ms)
		return a->terms.cost_ms < b->terms.cost_ms;
	return place_of(s, a) < place_of(s, b);
}

size_t paths_candidates(const struct path_set *s, const struct path **v, size_t max)
{
	const struct path *all[PATHS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < s->path_count; i++) {
		size_t at = count;

		if (!path_usable(s->v[i]))
			continue;
		for (; at > 0 && comes_before(s, s->v[i], all[at - 1]); at--)
			all[at] = all[at - 1];
		all[at] = s->v[i];
		count++;
	}
	if (count > max)
		count = max;
	memcpy(v, all, count * sizeof(v[0]));
	return count;
}
