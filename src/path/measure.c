/* SPDX-License-Identifier: MIT */
/*
 * What is measured on a path. A reply to our probe gives a round trip (RFC 6298, and its minimum over a window, which queues of our own do not
 * move); the peer's reports say what it misses of our data; a probe that is answered by neither is lost. A probe of the peer's is answered, and gives
 * the jitter of its direction (RFC 3550 section 6.4.1: differences of one clock with itself, so nobody's clock has to be right).
 *
 * Loss is known from two sources. Of the path in use from the peer's reports, fresh and from many packets; of the others from our few probes of
 * the last minutes, which are remembered (asked_256, missed_256). From either a range is made, of one standard deviation of what was counted:
 * the choice holds the least that the path in use may lose against the most that another may, so that chance moves nothing. Who counts packets
 * tells the least, since it alone knows of how many. What is told goes into the memory too, and counts by itself only where it is out of the
 * usual: two paths that always lose something are not left for each other. The path one came from does not look clean as soon as one has left
 * it: path_left(). A report of a path that carried no data tells nothing of loss, for nothing was counted there.
 *
 * A few probes in which nothing is missing are no evidence of a path that loses nothing. Where that matters (choice.c: the other path leaves by the same
 * interface) there is a trial: many probes, which are counted by themselves.
 *
 * What a lying peer can do: make its own paths look better or worse than they are, that is, attract our packets to it onto, or away from, a path of
 * its own choice, or make Babel believe another cost of the link to it. It can not make a path live that we do not probe, nor by answering what
 * was not asked: sequences must be of probes that are out, stamps our own of the last seconds, holding times are at most a second. It has no say
 * in which other peers are chosen but by the cost, cannot make us send more than an answer for each probe of its own (PATH_REPLIES_MAX), nor to
 * addresses other than its PATH_REMOTES_MAX, and those get a probe now and then.
 */
#include "path/path.h"

#include <string.h>

#include "path/path_inside.h"

/* Bounds of what is taken from messages. */
enum {
	HOLD_MAX_S = 1,			/* a reply that was held for longer has a clock that jumped */
	STAMP_OLD_MS = 4 * PATH_RTO_MAX_MS,
	STAMP_EARLY_US = 1000,		/* sealing reads its clock once a batch: it may be so much behind ours */
	TRANSIT_JUMP_S = 10,		/* between two probes: a clock jumped */
	LOSS_PRIOR = 20,		/* packets without loss that every path is credited with */
	USUAL_KNOWN = 128,		/* packets in the memory that say well what is usual */
	TOLD_WORTH = 4,			/* probes that one report is worth to the memory */
	LEFT_WORTH = 128,		/* and the last, of a path that is left */
	CLEAR_DEVIATIONS_10 = 22,	/* tenths: chance does that once in a hundred times */
	RATIO_ONE = 65536,
};

static uint64_t root(uint64_t v)
{
	uint64_t r = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
		if ((r + bit) * (r + bit) <= v)
			r += bit;
	return r;
}

static uint32_t ratio(uint64_t part, uint64_t whole)
{
	uint64_t r = whole ? part * RATIO_ONE / whole : 0;

	return r < RATIO_ONE ? (uint32_t)r : RATIO_ONE - 1;
}

/* Packets are counted in 256ths here. */
static uint32_t loss_at_least(uint64_t lost_256, uint64_t all_256)
{
	uint64_t chance = root(lost_256 * 256);

	return lost_256 > chance ? ratio(lost_256 - chance, all_256 + LOSS_PRIOR * 256) : 0;
}

/* More than this is out of the usual: one deviation where little is known of what is usual, three where much is. */
static uint32_t usual_at_most(const struct path *p)
{
	uint64_t known = p->asked_256 < USUAL_KNOWN * 256 ? p->asked_256 : USUAL_KNOWN * 256;
	uint64_t deviation = root((uint64_t)p->missed_256 * 256);

	return ratio(p->missed_256 + deviation + deviation * 2 * known / (USUAL_KNOWN * 256), p->asked_256 + LOSS_PRIOR * 256);
}

/* What is told counts at once where it is out of the usual; else what was usual lately does. */
uint32_t path_loss_low(const struct path *p)
{
	if (p->told && p->loss_out > usual_at_most(p))
		return p->loss_out;
	return loss_at_least(p->missed_256, p->asked_256);
}

uint32_t path_loss_high(const struct path *p)
{
	uint64_t missed = p->missed_256;
	uint32_t remembered = ratio(missed + root(missed * 256), p->asked_256 + LOSS_PRIOR * 256);

	return p->told && p->loss_out > remembered ? p->loss_out : remembered;
}

int64_t path_rto_us(const struct path *p)
{
	int64_t rto = p->rtt_us ? p->rtt_us + 4 * p->rtt_var_us : PATH_RTO_NEW_MS * US_PER_MS;

	if (rto < PATH_RTO_MIN_MS * US_PER_MS)
		return PATH_RTO_MIN_MS * US_PER_MS;
	return rto < PATH_RTO_MAX_MS * US_PER_MS ? rto : PATH_RTO_MAX_MS * US_PER_MS;
}

int64_t path_lost_us(const struct path *p)
{
	int64_t rto_us = path_rto_us(p);

	return rto_us > PATH_LOST_MS * US_PER_MS ? rto_us : PATH_LOST_MS * US_PER_MS;
}

struct path_probe *path_probe_of(struct path *p, uint32_t sequence)
{
	struct path_probe *b = &p->probes[sequence % PATH_PROBES];

	return b->sent_us && b->sequence == sequence ? b : NULL;
}

static void remember(struct path *p, uint32_t asked_256, uint32_t missed_256)
{
	p->asked_256 += asked_256;
	p->missed_256 += missed_256;
	if (p->asked_256 > PATH_LOSS_MEMORY * 256) {
		p->asked_256 /= 2;
		p->missed_256 /= 2;
	}
}

void path_try(struct path *p)
{
	p->on_trial = true;
	p->trial_from = p->sequence;
	p->trial_asked = p->trial_missed = 0;
}

static bool on_trial(const struct path *p, const struct path_probe *b)
{
	return p->on_trial && (int32_t)(b->sequence - p->trial_from) > 0;
}

uint32_t path_trial_low(const struct path *p)
{
	return p->on_trial ? loss_at_least(p->trial_missed * UINT64_C(256), p->trial_asked * UINT64_C(256)) : 0;
}

/*
 * Of as many probes as that the loss would have taken so many that what is missed is out of the usual. Those count that are late, or an early
 * look would find that of what was answered nothing is missing.
 */
bool path_clears(const struct path *p, uint32_t loss, int64_t now_us)
{
	uint64_t missed = p->trial_missed, asked = p->trial_asked, expected_256;

	for (size_t i = 0; i < PATH_PROBES; i++) {
		const struct path_probe *b = &p->probes[i];
		bool late = b->sent_us && on_trial(p, b) && !b->size && !b->answered && !b->heard && !b->missed && now_us - b->sent_us > path_rto_us(p);

		missed += late;
		asked += late;
	}
	expected_256 = asked * loss * 256 / RATIO_ONE;
	return p->on_trial && expected_256 >= missed * 256 + root(expected_256 * 256) * CLEAR_DEVIATIONS_10 / 10;
}

/* It came after all, or in time. */
static void remember_answer(struct path *p, struct path_probe *b)
{
	if (b->answered || b->heard || b->size)
		return;
	if (on_trial(p, b)) {
		p->trial_asked += !b->missed;
		p->trial_missed -= b->missed;
	}
	if (p->told)
		return;
	if (!b->missed)
		remember(p, 256, 0);
	else if (p->missed_256 >= 256)
		p->missed_256 -= 256;
	b->missed = false;
}

/* The first 'n' of 'count' buckets are new ones. */
static size_t buckets_passed(int64_t *began_us, int64_t now_us, int64_t len_us, size_t count)
{
	int64_t n = (now_us - *began_us) / len_us;

	if (n <= 0)
		return 0;
	*began_us += n * len_us;
	return n < (int64_t)count ? (size_t)n : count;
}

static void age_windows(struct path *p, int64_t now_us)
{
	size_t n = buckets_passed(&p->rtt_bucket_us, now_us, PATH_RTT_BUCKET_MS * US_PER_MS, PATH_RTT_BUCKETS);

	memmove(p->rtt_min_us + n, p->rtt_min_us, (PATH_RTT_BUCKETS - n) * sizeof(p->rtt_min_us[0]));
	for (size_t i = 0; i < n; i++)
		p->rtt_min_us[i] = NEVER_US;
	n = buckets_passed(&p->in_bucket_us, now_us, PATH_LOSS_BUCKET_MS * US_PER_MS, PATH_LOSS_BUCKETS);
	memmove(p->in + n, p->in, (PATH_LOSS_BUCKETS - n) * sizeof(p->in[0]));
	memset(p->in, 0, n * sizeof(p->in[0]));
}

static void miss(struct path *p, struct path_probe *b)
{
	b->missed = true;
	if (on_trial(p, b)) {
		p->trial_asked++;
		p->trial_missed++;
	}
	if (p->state == PATH_ALIVE && !p->told)
		remember(p, 256, 256);
}

void path_age(struct path *p, int64_t now_us)
{
	int64_t lost_us = path_lost_us(p);

	age_windows(p, now_us);
	p->told = p->told_us && now_us - p->told_us <= PATH_TOLD_MS * US_PER_MS;
	for (size_t i = 0; i < PATH_PROBES; i++) {
		struct path_probe *b = &p->probes[i];

		if (!b->sent_us || b->size || b->answered || b->heard || b->missed || now_us - b->sent_us <= lost_us)
			continue;
		miss(p, b);
	}
	if (now_us - p->memory_us > PATH_LOSS_MEMORY_S * US_PER_S) {
		p->memory_us = now_us;
		p->asked_256 /= 2;
		p->missed_256 /= 2;
	}
}

void path_answered(struct path_set *s, struct path *p, int64_t now_us)
{
	if (p->state != PATH_ALIVE) {
		p->state = PATH_ALIVE;
		p->since_us = now_us;
		p->answers = p->tries = 0;
	}
	if (p->answers < UINT32_MAX)
		p->answers++;
	p->unanswered = 0;
	p->answered_us = now_us;
	s->answered_us = now_us;
}

static void take_sample(struct path *p, int64_t rtt_us, int64_t now_us)
{
	int64_t off = rtt_us > p->rtt_us ? rtt_us - p->rtt_us : p->rtt_us - rtt_us;

	age_windows(p, now_us);
	if (rtt_us == 0)
		rtt_us = 1;
	if (p->rtt_us) {
		p->rtt_var_us += (off - p->rtt_var_us) / 4;
		p->rtt_us += (rtt_us - p->rtt_us) / 8;
	} else {
		p->rtt_us = rtt_us;
		p->rtt_var_us = rtt_us / 2;
	}
	p->rtt_now_us = rtt_us;
	if (rtt_us < p->rtt_min_us[0])
		p->rtt_min_us[0] = rtt_us;
}

/* Whether we are behind a NAT on this path, as far as we can tell: where the kernel chooses our address we cannot. */
static bool behind_nat(const struct path *p)
{
	return p->seen.addr.family != IP_NONE && !ip_addr_equal(&p->seen.addr, &p->addr.local);
}

/* A mapping did not last this long. */
void path_keep_shrink(struct path *p, int64_t quiet_us)
{
	int64_t least = PATH_KEEP_MIN_S * US_PER_S;

	if (!behind_nat(p) || quiet_us < p->keep_us * 3 / 4)
		return;
	p->keep_bad_us = quiet_us;
	p->keep_us = quiet_us / 2 > least ? quiet_us / 2 : least;
	p->keep_good = 0;
}

static void keep_grow(struct path *p)
{
	int64_t more = p->keep_us * 5 / 4, most = PATH_KEEP_MAX_S * US_PER_S;

	if (++p->keep_good < PATH_KEEP_ROUNDS)
		return;
	p->keep_good = 0;
	if (more > most)
		more = most;
	if (!p->keep_bad_us || more < p->keep_bad_us)
		p->keep_us = more;
}

static void learn_seen(struct path *p, const struct endpoint *seen, int64_t quiet_us)
{
	bool known = p->seen.addr.family != IP_NONE, same = endpoint_equal(&p->seen, seen);

	if (seen->addr.family != p->addr.remote.addr.family)
		return;
	p->seen = *seen;
	if (known && !same)
		path_keep_shrink(p, quiet_us);
	else if (known && behind_nat(p) && quiet_us >= p->keep_us * 3 / 4)
		keep_grow(p);
}

/* Whether the probe that a reply is to is ours, is out, and has the stamp we gave it. */
static bool reply_fits(const struct path *p, const struct path_probe *b, const struct mesh_path_reply *m, int64_t at_us, int64_t now_us)
{
	int64_t latest = at_us > now_us ? at_us : now_us, sent_us = (int64_t)m->sent_us;

	if (m->path != p->number || !b || b->answered)
		return false;
	return m->sent_us <= INT64_MAX && sent_us <= latest && sent_us >= b->sent_us - STAMP_EARLY_US &&
	       sent_us >= latest - STAMP_OLD_MS * US_PER_MS;
}

bool paths_take_reply(struct path_set *s, struct path *p, const struct mesh_path_reply *m, int64_t at_us, struct instant now, unsigned int *events)
{
	struct path_probe *b = path_probe_of(p, m->sequence);
	int64_t hold_us = 0, rtt_us;

	if (!s->managed || !reply_fits(p, b, m, at_us, now.mono_us))
		return false;
	if (m->replied_us >= m->received_us && m->replied_us - m->received_us <= HOLD_MAX_S * US_PER_S)
		hold_us = (int64_t)(m->replied_us - m->received_us);
	rtt_us = at_us - (int64_t)m->sent_us - hold_us;
	remember_answer(p, b);
	b->answered = true;
	path_answered(s, p, now.mono_us);
	if (m->own)
		p->their = m->own;
	if (rtt_us >= 0 && !b->size)
		take_sample(p, rtt_us, now.mono_us);
	if (b->size && pmtu_answered(&p->pmtu, b->size, now.mono_us) && (p == s->current || p->weight))
		*events |= PATHS_MTU;
	learn_seen(p, &m->seen, b->quiet_us);
	*events |= choice_turn(s, now.mono_us);
	paths_plan(s, now.mono_us);
	return true;
}

static void take_jitter(struct path *p, uint64_t sent_us, int64_t at_us, bool first)
{
	int64_t transit = (int64_t)((uint64_t)at_us - sent_us), off = (int64_t)((uint64_t)transit - (uint64_t)p->transit_us);

	p->transit_us = transit;
	if (off < 0)
		off = off == INT64_MIN ? INT64_MAX : -off;
	if (!first && off <= TRANSIT_JUMP_S * US_PER_S)
		p->jitter_us = (uint32_t)((int64_t)p->jitter_us + (off - (int64_t)p->jitter_us) / 16);
}

static void note_probe(struct path *p, const struct mesh_path_probe *m, int64_t at_us, int64_t now_us)
{
	bool first = p->their != m->path || !p->probed_us;

	if (first)
		p->jitter_us = 0;
	p->their = m->path;
	p->probed_us = now_us;
	if (!first && (int32_t)(m->sequence - p->their_sequence) <= 0)
		return;
	take_jitter(p, m->sent_us, at_us, first);
	p->their_sequence = m->sequence;
	p->their_use = m->in_use;
}

static bool may_reply(struct path_set *s, int64_t now_us)
{
	if (!s->replies_us || now_us - s->replies_us >= PATH_REPLIES_MS * US_PER_MS) {
		s->replies_us = now_us;
		s->replies = 0;
	}
	return s->replies++ < PATH_REPLIES_MAX;
}

bool paths_take_probe(struct path_set *s, struct path *p, const struct mesh_path_probe *m, int64_t at_us, const struct path_out *out, struct instant now)
{
	struct mesh_path_reply reply = {
		.path = m->path, .sequence = m->sequence, .sent_us = m->sent_us, .received_us = (uint64_t)at_us,
		.replied_us = (uint64_t)now.mono_us, .own = p->number, .seen = p->addr.remote,
	};
	uint8_t msg[MESH_PATH_REPLY_LEN];

	if (!may_reply(s, now.mono_us))
		return false;
	note_probe(p, m, at_us, now.mono_us);
	/* What comes in on a path that was given up is a reason to try it again soon. */
	if (p->state != PATH_ALIVE && now.mono_us - p->asked_us >= PATH_PROBE_NEW_MS * US_PER_MS)
		p->asked_us = 0;
	paths_plan(s, now.mono_us);
	if (path_answers(p))
		out->send(out->ctx, p, msg, mesh_path_reply_write(msg, &reply), 0);
	return true;
}

/* The peer has had our probe of this sequence. False: there was none. */
static bool take_heard(struct path_set *s, struct path *p, uint32_t heard, int64_t now_us)
{
	struct path_probe *b = path_probe_of(p, heard);

	if ((int32_t)(p->sequence - heard) < 0)
		return false;
	if (!b || b->heard || now_us - b->sent_us > STAMP_OLD_MS * US_PER_MS)
		return true;
	remember_answer(p, b);
	b->heard = true;
	if (!b->answered)
		path_answered(s, p, now_us);
	return true;
}

void path_left(struct path *p)
{
	if (!p->told || p->loss_out <= path_loss_high(p) * 3 / 4)
		return;
	p->asked_256 = LEFT_WORTH * 256;
	p->missed_256 = (uint32_t)(LEFT_WORTH * 256 * (uint64_t)p->loss_out / RATIO_ONE);
}

static void take_told(struct path *p, const struct mesh_path_entry *e, int64_t now_us)
{
	p->late_out = e->late;
	p->jitter_out_us = (uint32_t)e->jitter * 16;
	p->rate_out = e->rate;
	/* Nothing but probes came there: that nothing was missed of nothing is no news of what the path loses. */
	if (!e->rate && !e->loss)
		return;
	remember(p, TOLD_WORTH * 256, (uint32_t)(TOLD_WORTH * 256 * (uint64_t)e->loss / RATIO_ONE));
	p->loss_out = e->loss;
	p->told_us = now_us;
	p->told = true;
}

bool paths_take_report(struct path_set *s, const struct mesh_path_report *m, struct instant now, unsigned int *events)
{
	bool good = false;

	if (!s->managed)
		return false;
	for (unsigned int i = 0; i < m->count && i < MESH_PATH_ENTRIES_MAX; i++) {
		const struct mesh_path_entry *e = &m->entries[i];
		struct path *p = paths_find_number(s, e->path);

		if (p && e->loss == MESH_PATH_GONE) {
			if (p->state == PATH_ALIVE)
				path_die(p, now.mono_us);
			good = true;
			continue;
		}
		if (!p || !take_heard(s, p, e->heard, now.mono_us))
			continue;
		take_told(p, e, now.mono_us);
		good = true;
	}
	*events |= choice_turn(s, now.mono_us);
	paths_plan(s, now.mono_us);
	return good;
}

/* A peer's counters are its own, and may leap. */
static int32_t add_lost(int32_t a, int32_t b)
{
	int64_t sum = (int64_t)a + b;

	if (sum > INT32_MAX)
		return INT32_MAX;
	return sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
}

void paths_count(struct path_set *s, struct path *p, uint32_t received, int32_t lost, uint32_t late, uint64_t bytes, struct instant now)
{
	age_windows(p, now.mono_us);
	p->in[0].received += received;
	p->in[0].lost = add_lost(p->in[0].lost, lost);
	p->in[0].late += late;
	p->bytes += bytes;
	if (!received)
		return;
	s->data_us = now.mono_us;
	p->heard_us = now.mono_us;
}

static struct path_loss_bucket sum_in(const struct path *p, uint64_t *all)
{
	struct path_loss_bucket sum = { 0 };
	int64_t lost = 0;

	for (size_t i = 0; i < PATH_LOSS_BUCKETS; i++) {
		sum.received += p->in[i].received;
		lost += p->in[i].lost;
		sum.late += p->in[i].late;
	}
	sum.lost = lost < 0 ? 0 : lost < INT32_MAX ? (int32_t)lost : INT32_MAX;
	*all = (uint64_t)sum.received + (uint64_t)sum.lost;
	return sum;
}

uint32_t path_loss_in(const struct path *p)
{
	uint64_t all;
	struct path_loss_bucket sum = sum_in(p, &all);

	return loss_at_least((uint64_t)sum.lost * 256, all * 256);
}

uint32_t path_late_in(const struct path *p)
{
	uint64_t all;
	struct path_loss_bucket sum = sum_in(p, &all);

	return ratio(sum.late, all + LOSS_PRIOR);
}

int64_t path_rtt_min(const struct path *p)
{
	int64_t min = NEVER_US;

	for (size_t i = 0; i < PATH_RTT_BUCKETS; i++)
		if (p->rtt_min_us[i] < min)
			min = p->rtt_min_us[i];
	if (min != NEVER_US)
		return min;
	return p->rtt_now_us ? p->rtt_now_us : -1;
}

/* Probes or data came on it since it was last told of. */
bool path_has_news(const struct path *p)
{
	return p->their && (p->probed_us > p->reported_us || p->bytes != p->bytes_told);
}

static struct mesh_path_entry entry_of(const struct path *p, int64_t now_us)
{
	int64_t since_us = now_us - p->reported_us;
	uint64_t rate = 0;

	if (p->reported_us && since_us > 0)
		rate = (p->bytes - p->bytes_told) * (uint64_t)US_PER_S / (uint64_t)since_us;
	return (struct mesh_path_entry){
		.path = p->their,
		.loss = (uint16_t)(path_loss_in(p) < MESH_PATH_GONE ? path_loss_in(p) : MESH_PATH_GONE - 1),
		.late = (uint16_t)path_late_in(p),
		.jitter = (uint16_t)(p->jitter_us / 16 < UINT16_MAX ? p->jitter_us / 16 : UINT16_MAX),
		.heard = p->their_sequence,
		.rate = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX,
	};
}

void path_tell_gone(struct path_set *s, const struct path *p)
{
	if (!s->managed || !p->their)
		return;
	if (!s->gone_tells)
		s->gone_count = 0;
	if (s->gone_count < PATHS_GONE_MAX)
		s->gone[s->gone_count++] = p->their;
	s->gone_tells = PATH_GONE_TELLS;
	s->report_us = 0;
}

/* What is gone, then the paths with news, those not told of for longest first. */
void path_write_report(struct path_set *s, struct mesh_path_report *m, int64_t now_us)
{
	m->sequence = ++s->report_sequence;
	m->count = 0;
	for (size_t i = 0; s->gone_tells && i < s->gone_count; i++)
		m->entries[m->count++] = (struct mesh_path_entry){ .path = s->gone[i], .loss = MESH_PATH_GONE };
	if (s->gone_tells)
		s->gone_tells--;
	while (m->count < MESH_PATH_ENTRIES_MAX) {
		struct path *next = NULL;

		for (size_t i = 0; i < s->path_count; i++) {
			struct path *p = s->v[i];

			if (path_has_news(p) && p->reported_us != now_us && (!next || p->reported_us < next->reported_us))
				next = p;
		}
		if (!next)
			break;
		m->entries[m->count++] = entry_of(next, now_us);
		next->reported_us = now_us;
		next->bytes_told = next->bytes;
	}
}
