/* SPDX-License-Identifier: MIT */
/*
 * When what is sent. Probes go at a rate that depends on what is at stake: often on the path in use while data flows, now and then on the others,
 * seldom while idle, and with growing pauses where nothing comes back. Nothing is sent in vain: an idle set that nobody wants to stand sends
 * nothing at all.
 *
 * A path dies of PATH_DEAD_PROBES probes that had their time and were not answered. To get there fast where it matters, a probe on the path in
 * use that had its time while data is sent makes the set urgent: all paths are probed at PATH_PROBE_URGENT_MS, until something comes back on
 * that one or it is dead. Silence on it (PATH_SILENCE_MS and a round trip) brings the next probe forward. With round trips of milliseconds that
 * finds a death within 0.4 s. The urgent state is bounded (PATH_URGENT_MS, PATH_URGENT_REST_S).
 *
 * What happened while we ourselves were away (stopped, suspended, starved) says nothing about paths: a turn that comes PATH_STALL_MS late forgives
 * all probes that are out. paths_plan() sets all times after each event; paths_next() is nothing but its result.
 */
#include "path/path.h"

#include "path/path_inside.h"

/* A probe counts against its path: sent after the last answer, and not known to have come. */
static bool is_out(const struct path *p, const struct path_probe *b)
{
	return b->sent_us > p->answered_us && !b->size && !b->answered && !b->heard;
}

/* Those of one moment count as one: a short gap is none the longer for being probed often. */
unsigned int path_overdue(const struct path *p, int64_t now_us)
{
	int64_t rto_us = path_rto_us(p), last_us = 0;
	unsigned int n = 0;

	for (uint32_t back = PATH_PROBES; p->unanswered && back-- > 0;) {
		const struct path_probe *b = &p->probes[(p->sequence - back) % PATH_PROBES];

		if (!is_out(p, b) || now_us - b->sent_us <= rto_us || (n && b->sent_us - last_us < PATH_PROBE_URGENT_MS * US_PER_MS))
			continue;
		last_us = b->sent_us;
		n++;
	}
	return n;
}

/* When the next of them has had its time, or had it since the last turn, which has not seen it. */
static int64_t overdue_next(const struct path *p, int64_t turn_us)
{
	int64_t rto_us = path_rto_us(p), next = NEVER_US;

	for (size_t i = 0; p->unanswered && i < PATH_PROBES; i++) {
		int64_t at = p->probes[i].sent_us + rto_us + 1;

		if (is_out(p, &p->probes[i]) && at > turn_us && at < next)
			next = at;
	}
	return next;
}

bool paths_active(const struct path_set *s, int64_t now_us)
{
	return s->sent_us && now_us - s->sent_us <= PATH_ACTIVE_MS * US_PER_MS;
}

static bool sent_lately(const struct path_set *s, int64_t now_us)
{
	return s->sent_us && now_us - s->sent_us <= PATH_SENT_LATELY_MS * US_PER_MS;
}

static bool is_busy(const struct path_set *s, int64_t now_us)
{
	return s->busy_us && now_us - s->busy_us <= US_PER_S;
}

/* Data of ours goes that way. */
static bool in_use(const struct path_set *s, const struct path *p)
{
	return p == s->current || p == s->leaving || (s->spread && p->weight);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A metered path that others can stand in for. */
static bool spared(const struct path_set *s, const struct path *p)
{
	return p->terms.metered && p != s->current && paths_any_alive(s, p);
}

static int64_t back_off_us(const struct path_set *s, const struct path *p, uint32_t tries, bool active)
{
	int64_t limit = active && !paths_any_alive(s, NULL) ? PATH_PROBE_ALONE_MS * US_PER_MS : PATH_PROBE_DEAD_MAX_S * US_PER_S;
	int64_t pause = least((PATH_PROBE_DEAD_MS * US_PER_MS) << least(tries, 6), limit);

	return spared(s, p) ? most(pause, PATH_PROBE_METERED_S * US_PER_S) : pause;
}

/* The path in use has been silent: one probe more. 'else_us' without that. */
static int64_t silence_us(const struct path_set *s, const struct path *p, int64_t now_us, int64_t else_us)
{
	int64_t heard_us = most(p->heard_us, p->answered_us), at;

	if (!sent_lately(s, now_us) || !p->rtt_us)
		return else_us;
	at = heard_us + PATH_SILENCE_MS * US_PER_MS + most(path_rtt_min(p), 0) - p->asked_us;
	return least(else_us, most(at, PATH_PROBE_URGENT_MS * US_PER_MS));
}

static int64_t alive_interval_us(const struct path_set *s, const struct path *p, bool active, int64_t now_us)
{
	bool late = p->unanswered && path_overdue(p, now_us);
	int64_t interval;

	if (spared(s, p))
		return most(PATH_PROBE_METERED_S * US_PER_S, active ? 0 : p->keep_us);
	if (active && in_use(s, p))
		return silence_us(s, p, now_us, PATH_PROBE_ACTIVE_MS * US_PER_MS);
	interval = active ? PATH_PROBE_STANDBY_MS * US_PER_MS : p->keep_us;
	if (p->answers < PATH_SAMPLES_MIN)
		interval = least(interval, PATH_PROBE_NEW_MS * US_PER_MS);
	if (late)
		interval = least(interval, active ? PATH_PROBE_ACTIVE_MS * US_PER_MS : PATH_PROBE_STANDBY_MS * US_PER_MS);
	return interval;
}

/* What these two lose is to be told apart, from as many probes as can be remembered until they count as lost. */
static int64_t doubt_interval_us(const struct path_set *s, const struct path *p, int64_t now_us)
{
	if (!s->rival || now_us - s->doubt_us > PATH_DOUBT_MS * US_PER_MS || (p != s->rival && p != s->current))
		return NEVER_US;
	return most(PATH_PROBE_DOUBT_MS * US_PER_MS, path_lost_us(p) / (PATH_PROBES * 3 / 4));
}

/* From one probe of a path to the next, as things are; NEVER_US: none. */
static int64_t interval_us(const struct path_set *s, const struct path *p, int64_t now_us)
{
	bool active = paths_active(s, now_us);

	if (s->urgent)
		return (p->state == PATH_ALIVE ? PATH_PROBE_URGENT_MS : PATH_PROBE_NEW_MS) * US_PER_MS;
	if (!active && !s->wanted)
		return NEVER_US;
	if (p->state == PATH_ALIVE)
		return least(alive_interval_us(s, p, active, now_us), active ? doubt_interval_us(s, p, now_us) : NEVER_US);
	if (p->state == PATH_NEW && p->tries < PATH_NEW_TRIES)
		return PATH_PROBE_NEW_MS * US_PER_MS;
	return back_off_us(s, p, p->state == PATH_NEW ? p->tries - PATH_NEW_TRIES : p->tries, active);
}

static int64_t due_us(const struct path_set *s, const struct path *p, int64_t now_us)
{
	int64_t interval;

	if (!s->managed || !path_usable(p))
		return NEVER_US;
	interval = interval_us(s, p, now_us);
	if (interval == NEVER_US)
		return NEVER_US;
	if (!p->asked_us)
		return p->way == PATH_UNCHECKED ? most(p->since_us + PATH_CHECK_MS * US_PER_MS, now_us) : now_us;
	return p->asked_us + interval;
}

static bool searches_mtu(const struct path *p)
{
	return p->pmtu.state == PMTU_BASE || p->pmtu.state == PMTU_SEARCH;
}

/* Whether this path's MTU is looked for: of one in use always, of the others once. */
static bool probes_mtu(const struct path_set *s, const struct path *p, int64_t now_us)
{
	if (!s->managed || p->state != PATH_ALIVE || !path_usable(p) || p->answers < 2 || p->unanswered > 1)
		return false;
	if (!paths_active(s, now_us) && !s->wanted)
		return false;
	return in_use(s, p) || (!p->terms.metered && searches_mtu(p));
}

/* What pmtu_due() is to know: the search goes to its end whatever is sent, what comes after it is for a path that carries something. */
static bool mtu_active(const struct path_set *s, const struct path *p, int64_t now_us)
{
	return searches_mtu(p) || (in_use(s, p) && paths_active(s, now_us));
}

static bool has_traffic(const struct path_set *s, int64_t now_us)
{
	return paths_active(s, now_us) || (s->data_us && now_us - s->data_us <= PATH_ACTIVE_MS * US_PER_MS);
}

static bool has_report(const struct path_set *s, int64_t now_us)
{
	if (!s->managed || !s->current || !path_usable(s->current))
		return false;
	if (s->gone_tells)
		return true;
	if (!has_traffic(s, now_us))
		return false;
	for (size_t i = 0; i < s->path_count; i++)
		if (path_has_news(s->v[i]))
			return true;
	return false;
}

static int64_t report_us(const struct path_set *s)
{
	return s->report_us + (s->gone_tells ? PATH_GONE_MS : PATH_REPORT_MS) * US_PER_MS;
}

void paths_plan(struct path_set *s, int64_t now_us)
{
	int64_t next = NEVER_US;

	for (size_t i = 0; s->managed && i < s->path_count; i++) {
		struct path *p = s->v[i];

		p->due_us = due_us(s, p, now_us);
		next = least(next, p->due_us);
		if (p->due_us != NEVER_US)
			next = least(next, overdue_next(p, s->turn_us));
		if (probes_mtu(s, p, now_us))
			next = least(next, pmtu_next(&p->pmtu, mtu_active(s, p, now_us), in_use(s, p) && is_busy(s, now_us), path_rto_us(p)));
	}
	if (s->managed)
		next = least(next, choice_next(s));
	if (s->urgent)
		next = least(next, s->urgent_us + PATH_URGENT_MS * US_PER_MS + 1);
	if (has_report(s, now_us))
		next = least(next, most(report_us(s), now_us));
	s->next_us = next;
}

int64_t paths_next(const struct path_set *s)
{
	return s->next_us;
}

static void send_probe(struct path_set *s, struct path *p, uint32_t size, const struct path_out *out, int64_t now_us)
{
	int64_t used_us = most(p->asked_us, most(p->heard_us, p == s->current ? s->sent_us : 0));
	struct mesh_path_probe m = { .in_use = in_use(s, p), .path = p->number, .sequence = ++p->sequence, .sent_us = (uint64_t)now_us };
	uint8_t msg[MESH_PATH_PROBE_LEN];

	p->probes[m.sequence % PATH_PROBES] = (struct path_probe){
		.sequence = m.sequence, .size = (uint16_t)size, .sent_us = now_us, .quiet_us = used_us ? most(now_us - used_us, 0) : 0,
	};
	if (!size) {
		p->asked_us = now_us;
		p->unanswered++;
		if (p->state != PATH_ALIVE)
			p->tries++;
	}
	out->send(out->ctx, p, msg, mesh_path_probe_write(msg, &m), size);
}

/* The gap before the first probe that was not answered: a path that died of being idle had its mapping forgotten. */
static int64_t quiet_before_death(const struct path *p)
{
	const struct path_probe *first = NULL;

	for (size_t i = 0; i < PATH_PROBES; i++)
		if (is_out(p, &p->probes[i]) && (!first || p->probes[i].sent_us < first->sent_us))
			first = &p->probes[i];
	return first ? first->quiet_us : 0;
}

void path_die(struct path *p, int64_t now_us)
{
	path_keep_shrink(p, quiet_before_death(p));
	p->state = PATH_DEAD;
	p->since_us = now_us;
	p->answers = p->tries = 0;
	/* Should it only have become much slower: how fast it was must not bring us back. */
	for (size_t i = 0; i < PATH_RTT_BUCKETS; i++)
		p->rtt_min_us[i] = NEVER_US;
}

/* We were away: what is out is not held against its path. */
static void forgive(struct path_set *s)
{
	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];

		p->unanswered = 0;
		for (size_t k = 0; k < PATH_PROBES; k++)
			p->probes[k].heard = true;
	}
}

static void look(struct path_set *s, int64_t now_us)
{
	if (s->turn_us && s->next_us != NEVER_US && now_us - s->next_us > PATH_STALL_MS * US_PER_MS)
		forgive(s);
	s->turn_us = now_us;
	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];

		path_age(p, now_us);
		if (p->state == PATH_ALIVE && path_overdue(p, now_us) >= PATH_DEAD_PROBES)
			path_die(p, now_us);
	}
}

/* A path that carries our data is late with an answer. */
static bool is_silent(const struct path_set *s, int64_t now_us)
{
	for (size_t i = 0; i < s->path_count; i++)
		if (in_use(s, s->v[i]) && s->v[i]->state == PATH_ALIVE && path_overdue(s->v[i], now_us))
			return true;
	return false;
}

static void judge_urgency(struct path_set *s, int64_t now_us)
{
	bool silent = is_silent(s, now_us);

	if (s->urgent) {
		s->urgent = silent && now_us - s->urgent_us <= PATH_URGENT_MS * US_PER_MS;
		return;
	}
	if (!silent || !sent_lately(s, now_us))
		return;
	if (s->urgent_us && s->answered_us < s->urgent_us && now_us - s->urgent_us < (PATH_URGENT_REST_S * US_PER_S))
		return;
	s->urgent = true;
	s->urgent_us = now_us;
}

static unsigned int send_mtu_probe(struct path_set *s, struct path *p, const struct path_out *out, int64_t now_us)
{
	bool used = in_use(s, p), changed = false;
	uint32_t size;

	if (!probes_mtu(s, p, now_us))
		return 0;
	size = pmtu_due(&p->pmtu, mtu_active(s, p, now_us), used && is_busy(s, now_us), path_rto_us(p), p->answered_us, now_us, &changed);
	if (size) {
		send_probe(s, p, size, out, now_us);
		pmtu_sent(&p->pmtu, size, now_us);
	}
	return changed && (used || p->weight) ? PATHS_MTU : 0;
}

static void send_report(struct path_set *s, const struct path_out *out, int64_t now_us)
{
	struct mesh_path_report m;
	uint8_t msg[MESH_MESSAGE_MAX];

	if (!has_report(s, now_us) || now_us < report_us(s))
		return;
	s->report_us = now_us;
	path_write_report(s, &m, now_us);
	if (m.count)
		out->send(out->ctx, s->current, msg, mesh_path_report_write(msg, &m), 0);
}

unsigned int paths_turn(struct path_set *s, const struct path_out *out, struct instant now)
{
	unsigned int events = 0;

	if (!s->managed)
		return 0;
	look(s, now.mono_us);
	judge_urgency(s, now.mono_us);
	events |= choice_turn(s, now.mono_us);
	for (size_t i = 0; i < s->path_count; i++) {
		if (due_us(s, s->v[i], now.mono_us) <= now.mono_us)
			send_probe(s, s->v[i], 0, out, now.mono_us);
		events |= send_mtu_probe(s, s->v[i], out, now.mono_us);
	}
	send_report(s, out, now.mono_us);
	paths_plan(s, now.mono_us);
	if (s->next_us <= now.mono_us)
		s->next_us = now.mono_us + US_PER_MS;
	return events;
}

void paths_want(struct path_set *s, bool wanted, struct instant now)
{
	if (s->wanted == wanted)
		return;
	s->wanted = wanted;
	paths_plan(s, now.mono_us);
}

/* Traffic begins: what was given up is tried once more. */
static void wake(struct path_set *s)
{
	for (size_t i = 0; i < s->path_count; i++) {
		struct path *p = s->v[i];

		if (p->state == PATH_DEAD)
			p->tries = 0;
		else if (p->tries > PATH_NEW_TRIES)
			p->tries = PATH_NEW_TRIES;
	}
}

void paths_traffic(struct path_set *s, int64_t sent_us, int64_t heard_us, bool busy, struct instant now)
{
	bool was_active = paths_active(s, now.mono_us);

	s->sent_us = most(s->sent_us, sent_us);
	s->heard_us = most(s->heard_us, heard_us);
	if (busy)
		s->busy_us = now.mono_us;
	if (!was_active && paths_active(s, now.mono_us))
		wake(s);
	paths_plan(s, now.mono_us);
}
