/* SPDX-License-Identifier: MIT */
/*
 * Gossip: neighbours, what comes from them, and time (exchange/gossip.h has the protocol, gossip_send.c what goes out).
 *
 * A neighbour is a member of the mesh, and may be a hostile one: it can have us verify GOSSIP_TAKEN_RATE items a second and send it GOSSIP_RATE
 * bytes a second, whatever it says, and nobody else hears of it but of items that are properly signed. What it sends that is refused is remembered
 * for a while, longer each time, so that neither side goes on about it.
 */
#include "exchange/gossip.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "exchange/gossip_inside.h"

static void know(struct gossip *g);

struct gossip *gossip_new(struct store *s, const struct rng *rng, const struct log *log)
{
	struct gossip *g = calloc(1, sizeof(*g));

	if (g) {
		g->store = s;
		g->rng = *rng;
		g->log = *log;
		/* What is here from before is no news: comparisons find who lacks it. */
		know(g);
	}
	return g;
}

static void free_neighbour(struct gossip_neighbour *n)
{
	for (size_t i = 0; i < GOSSIP_PARTIAL_MAX; i++)
		free(n->partial[i].bytes);
	free(n);
}

void gossip_free(struct gossip *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->neighbour_count; i++)
		free_neighbour(g->neighbours[i]);
	free(g->known);
	free(g);
}

/*
 * Memories and digests.
 */

bool gossip_remembers(const struct gossip_memory *m, const uint8_t *id, int64_t now_us)
{
	for (size_t i = 0; i < GOSSIP_MEMORY; i++)
		if (gossip_same(m->ids[i], id) && m->until_us[i] > now_us)
			return true;
	return false;
}

/* Where an id is, or GOSSIP_MEMORY. */
static size_t memory_place(const struct gossip_memory *m, const uint8_t *id)
{
	size_t i = 0;

	while (i < GOSSIP_MEMORY && (!gossip_same(m->ids[i], id) || !m->times[i]))
		i++;
	return i;
}

void gossip_remember(struct gossip_memory *m, const uint8_t *id, int64_t until_us)
{
	size_t i = memory_place(m, id);

	if (i == GOSSIP_MEMORY) {
		i = m->next;
		m->next = (m->next + 1) % GOSSIP_MEMORY;
		memcpy(m->ids[i], id, ITEM_SHORT_ID);
		m->times[i] = 0;
	}
	m->until_us[i] = until_us;
	if (m->times[i] < UINT8_MAX)
		m->times[i]++;
}

static void pace_begin(struct gossip_pace *p, int64_t most_s, int64_t now_us)
{
	bool lost = p->began_us && !p->heard && p->lost < GOSSIP_LOST_MAX;

	if (p->began_us && !lost)
		p->wait_us = 2 * p->wait_us < most_s * US_PER_S ? 2 * p->wait_us : most_s * US_PER_S;
	p->lost = lost ? p->lost + 1 : p->heard ? 0 : p->lost;
	p->heard = false;
	p->began_us = now_us;
	p->at_us = now_us + p->wait_us;
}

static void pace_most(struct gossip_pace *p, int64_t most_us)
{
	if (p->at_us > p->began_us + most_us)
		p->at_us = p->began_us + most_us;
}

/* Something came of it. */
static void pace_reset(struct gossip_neighbour *n)
{
	n->compare.wait_us = n->lists.wait_us = GOSSIP_COMPARE_MS * US_PER_MS;
	pace_most(&n->compare, n->compare.wait_us);
	pace_most(&n->lists, n->lists.wait_us);
}

/* One bucket, from 'v' on; how many are in it. */
static size_t digest_bucket(struct gossip *g, unsigned int bucket, const struct item *const *v, size_t most)
{
	struct gossip_bucket b = { 0 };
	struct blake2s h;

	for (; b.count < most && v[b.count]->id[0] >> 2 == bucket; b.count++) {
		b.sums[0] += get_le64(v[b.count]->id + 8);
		b.sums[1] += get_le64(v[b.count]->id + 16);
	}
	if (g->fresh && !memcmp(&g->buckets[bucket], &b, sizeof(b)))
		return b.count;
	g->buckets[bucket] = b;
	blake2s_init(&h, MESSAGE_DIGEST_LEN, NULL, 0);
	for (size_t i = 0; i < b.count; i++)
		blake2s_update(&h, v[i]->id, ITEM_ID_LEN);
	blake2s_final(&h, g->digests[bucket]);
	return b.count;
}

void gossip_digest(struct gossip *g)
{
	const struct item *const *v;
	size_t count, i = 0;

	if (g->fresh && g->version == store_version(g->store))
		return;
	count = store_items(g->store, &v);
	for (unsigned int bucket = 0; bucket < MESSAGE_BUCKETS; bucket++)
		i += digest_bucket(g, bucket, count ? v + i : NULL, count - i);
	blake2s(g->digest, MESSAGE_DIGEST_LEN, NULL, 0, g->digests, sizeof(g->digests));
	g->version = store_version(g->store);
	g->fresh = true;
}

/*
 * Neighbours.
 */

static struct gossip_neighbour *find(const struct gossip *g, const uint8_t public_key[KEY_LEN], size_t *place)
{
	for (size_t i = 0; i < g->neighbour_count; i++)
		if (!memcmp(g->neighbours[i]->public_key, public_key, KEY_LEN)) {
			*place = i;
			return g->neighbours[i];
		}
	return NULL;
}

bool gossip_neighbour(struct gossip *g, const uint8_t public_key[KEY_LEN], bool there, struct instant now)
{
	size_t place;
	struct gossip_neighbour *n = find(g, public_key, &place);

	if (n && !there) {
		free_neighbour(n);
		g->neighbours[place] = g->neighbours[--g->neighbour_count];
		return true;
	}
	if (!there)
		return true;
	if (!n) {
		if (g->neighbour_count == GOSSIP_NEIGHBOURS_MAX)
			return false;
		n = calloc(1, sizeof(*n));
		if (!n)
			return false;
		memcpy(n->public_key, public_key, KEY_LEN);
		n->tokens = GOSSIP_BURST;
		n->tokens_us = now.mono_us;
		g->neighbours[g->neighbour_count++] = n;
	}
	/* Also of one that was there: it may have begun anew. */
	n->compare = n->lists = (struct gossip_pace){ .wait_us = GOSSIP_COMPARE_MS * US_PER_MS };
	n->summary_us = now.mono_us + rng_below(&g->rng, 200) * US_PER_MS;
	return true;
}

/*
 * What is new goes to all but those that are known to have it.
 */

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, ITEM_SHORT_ID);
}

static void push(struct gossip *g, const struct item *i, struct instant now)
{
	for (size_t k = 0; k < g->neighbour_count; k++) {
		struct gossip_neighbour *n = g->neighbours[k];

		if (!gossip_remembers(&n->has, i->id, now.mono_us))
			gossip_enqueue(n, i->id, 0, false, now.mono_us + rng_below(&g->rng, GOSSIP_PUSH_MS) * US_PER_MS);
	}
}

/* What was pushed may get lost: a summary finds that out. */
static void summary_soon(struct gossip *g, struct gossip_neighbour *n, struct instant now)
{
	int64_t soon_us = now.mono_us + GOSSIP_CHANGED_MS * US_PER_MS + rng_below(&g->rng, GOSSIP_CHANGED_MS / 2) * US_PER_MS;

	if (n->summary_sent_us && soon_us < n->summary_sent_us + GOSSIP_APART_S * US_PER_S)
		soon_us = n->summary_sent_us + GOSSIP_APART_S * US_PER_S;
	n->unsure = 0;
	if (n->summary_us > soon_us)
		n->summary_us = soon_us;
}

/* One that came here: as push_new() would, without looking at all the others. */
static void push_one(struct gossip *g, const uint8_t *id, struct instant now)
{
	const struct item *i = store_item(g->store, id);
	size_t low = 0, high = g->known_count;

	if (!i || g->known_count == g->known_size)
		return;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(g->known[middle], id, ITEM_SHORT_ID) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	memmove(g->known[low + 1], g->known[low], (g->known_count - low) * sizeof(*g->known));
	memcpy(g->known[low], id, ITEM_SHORT_ID);
	g->known_count++;
	g->pushed_version = store_version(g->store);
	push(g, i, now);
	for (size_t k = 0; k < g->neighbour_count; k++)
		summary_soon(g, g->neighbours[k], now);
}

/* The ids of now, for the next time. */
static void know(struct gossip *g)
{
	const struct item *const *v;
	size_t count = store_items(g->store, &v);

	if (count > g->known_size) {
		size_t size = count + count / 2 + 16;
		uint8_t (*bigger)[ITEM_SHORT_ID] = realloc(g->known, size * sizeof(*bigger));

		if (!bigger)
			return;
		g->known = bigger;
		g->known_size = size;
	}
	for (size_t i = 0; i < count; i++)
		memcpy(g->known[i], v[i]->id, ITEM_SHORT_ID);
	g->known_count = count;
	g->pushed_version = store_version(g->store);
}

static void push_new(struct gossip *g, struct instant now)
{
	const struct item *const *v;
	size_t count;

	if (g->pushed_version == store_version(g->store))
		return;
	count = store_sorted(g->store, &v);
	for (size_t i = 0; i < count; i++)
		if (!g->known_count || !bsearch(v[i]->id, g->known, g->known_count, sizeof(*g->known), by_id))
			push(g, v[i], now);
	know(g);
	for (size_t k = 0; k < g->neighbour_count; k++)
		summary_soon(g, g->neighbours[k], now);
}

void gossip_added(struct gossip *g, struct instant now)
{
	push_new(g, now);
}

/*
 * What comes in.
 */

static void take_summary(struct gossip *g, struct gossip_neighbour *n, const struct message *m, struct instant now)
{
	int64_t again_us;
	bool same;

	gossip_digest(g);
	n->in_step = !memcmp(m->summary.digest, g->digest, MESSAGE_DIGEST_LEN);
	if (n->in_step) {
		n->unsure = GOSSIP_UNSURE_MAX;
		n->compare = n->lists = (struct gossip_pace){ .wait_us = GOSSIP_COMPARE_MS * US_PER_MS };
		return;
	}
	same = !memcmp(n->compared[0], g->digest, MESSAGE_DIGEST_LEN) && !memcmp(n->compared[1], m->summary.digest, MESSAGE_DIGEST_LEN);
	if (!same)
		pace_most(&n->compare, GOSSIP_SUMMARY_S * US_PER_S);
	if (now.mono_us >= n->compare.at_us) {
		n->answer_digests = true;
		pace_begin(&n->compare, same ? GOSSIP_SAME_S : GOSSIP_SUMMARY_S, now.mono_us);
		memcpy(n->compared[0], g->digest, MESSAGE_DIGEST_LEN);
		memcpy(n->compared[1], m->summary.digest, MESSAGE_DIGEST_LEN);
	}
	/* Whatever comes of it may get lost, too. */
	again_us = n->compare.at_us > now.mono_us + GOSSIP_CHANGED_MS * US_PER_MS ? n->compare.at_us : now.mono_us + GOSSIP_CHANGED_MS * US_PER_MS;
	if (n->summary_us > again_us)
		n->summary_us = again_us;
}

static void take_digests(struct gossip *g, struct gossip_neighbour *n, const struct message *m, struct instant now)
{
	if (now.mono_us < n->lists.at_us)
		return;
	pace_begin(&n->lists, GOSSIP_SUMMARY_S, now.mono_us);
	gossip_digest(g);
	for (unsigned int i = 0; i < MESSAGE_BUCKETS; i++)
		if (memcmp(m->digests.v[i], g->digests[i], ITEM_SHORT_ID))
			n->buckets[i / 8] |= (uint8_t)(1U << i % 8);
}

/* Asked of somebody a moment ago? If not it is now. */
static bool ask_once(struct gossip *g, const uint8_t *id, int64_t now_us)
{
	size_t place = ((size_t)id[6] << 8 | id[7]) % GOSSIP_ASKED_MAX;

	if (g->asked[place].until_us > now_us && gossip_same(g->asked[place].id, id))
		return false;
	memcpy(g->asked[place].id, id, ITEM_SHORT_ID);
	g->asked[place].until_us = now_us + GOSSIP_ASK_MS * US_PER_MS;
	return true;
}

/*
 * What is of a later version is nothing to us, from whomever it comes and until this process ends: its kind is in its id. A full set forgets the oldest, which is
 * asked for once more then, and no harm is done.
 */
static uint8_t (*later_set(struct gossip *g, const uint8_t *id))[ITEM_SHORT_ID]
{
	return g->later[id[7] % GOSSIP_LATER_SETS];
}

static bool is_later(struct gossip *g, const uint8_t *id)
{
	for (size_t i = 0; i < GOSSIP_LATER_WAYS; i++)
		if (gossip_same(later_set(g, id)[i], id))
			return true;
	return false;
}

static void note_later(struct gossip *g, const uint8_t *id)
{
	uint8_t (*set)[ITEM_SHORT_ID] = later_set(g, id);

	memmove(set[1], set[0], (GOSSIP_LATER_WAYS - 1) * sizeof(*set));
	memcpy(set[0], id, ITEM_SHORT_ID);
}

static size_t count_later(const struct gossip *g)
{
	static const uint8_t none[ITEM_SHORT_ID];
	size_t count = 0;

	for (size_t i = 0; i < GOSSIP_LATER_SETS; i++)
		for (size_t k = 0; k < GOSSIP_LATER_WAYS; k++)
			count += !gossip_same(g->later[i][k], none);
	return count;
}

static void want(struct gossip *g, struct gossip_neighbour *n, const uint8_t *id, struct instant now)
{
	if (n->want_count == GOSSIP_WANTS_MAX || gossip_remembers(&n->refused, id, now.mono_us) || is_later(g, id) || !ask_once(g, id, now.mono_us))
		return;
	gossip_want(n, id, 0);
}

/* Both lists are in order: one walk says what we lack, and whether they lack something. */
static void take_list(struct gossip *g, struct gossip_neighbour *n, const struct message *m, struct instant now)
{
	const struct item *const *v;
	size_t count = store_items(g->store, &v), i = gossip_place(v, count, m->list.first), ours = 0;

	if (m->list.answer)
		n->lists.heard = true;
	else
		n->compare.heard = true;
	for (size_t k = 0; k < m->list.count; k++) {
		for (; i < count && memcmp(v[i]->id, m->list.ids[k], ITEM_SHORT_ID) < 0; i++)
			ours++;
		if (i < count && !memcmp(v[i]->id, m->list.ids[k], ITEM_SHORT_ID)) {
			gossip_unqueue(n, m->list.ids[k]);
			i++;
		} else {
			want(g, n, m->list.ids[k], now);
		}
	}
	for (; i < count && memcmp(v[i]->id, m->list.last, ITEM_SHORT_ID) <= 0; i++)
		ours++;
	if (ours && !m->list.answer && n->range_count < GOSSIP_LISTS_MAX) {
		struct gossip_range *r = &n->ranges[n->range_count++];

		memcpy(r->first, m->list.first, ITEM_SHORT_ID);
		memcpy(r->last, m->list.last, ITEM_SHORT_ID);
		r->answer = true;
	}
}

static void take_want(struct gossip *g, struct gossip_neighbour *n, const struct message *m, struct instant now)
{
	n->lists.heard = true;
	for (size_t i = 0; i < m->want.count; i++) {
		const struct item *item = store_item(g->store, m->want.ids[i]);
		uint32_t offset = i == 0 ? m->want.offset : 0;

		if (item && offset < item->len)
			gossip_enqueue(n, m->want.ids[i], offset, true, now.mono_us);
	}
}

/* Whether one more may be verified. */
static bool may_take(struct gossip_neighbour *n, struct instant now)
{
	if (now.mono_us - n->taken_us >= US_PER_S) {
		n->taken_us = now.mono_us;
		n->taken = 0;
	}
	return n->taken++ < GOSSIP_TAKEN_RATE;
}

/* A record or a right to sign has come: what was refused for the lack of it may be wanted again. */
static void allow_again(struct gossip *g, const uint8_t *id)
{
	const struct item *i = store_item(g->store, id);

	if (!i || i->kind == ITEM_SELF)
		return;
	for (size_t k = 0; k < g->neighbour_count; k++) {
		struct gossip_memory *m = &g->neighbours[k]->refused;

		for (size_t p = 0; p < GOSSIP_MEMORY; p++)
			if (m->waits[p])
				m->until_us[p] = 0;
	}
}

/* Not to be wanted of it for a while: longer each time, for a refusal may have been for what was still on the way. */
static void forbid(struct gossip_neighbour *n, const uint8_t *id, bool old, int64_t now_us)
{
	size_t place = memory_place(&n->refused, id);
	unsigned int times = place < GOSSIP_MEMORY ? n->refused.times[place] : 0;
	int64_t lasts_s = old || times > 6 ? GOSSIP_OLD_S : (int64_t)GOSSIP_REFUSED_S << times;

	gossip_remember(&n->refused, id, now_us + lasts_s * US_PER_S);
	n->refused.waits[memory_place(&n->refused, id)] = !old;
}

static void take_item(struct gossip *g, struct gossip_neighbour *n, const uint8_t *id, const uint8_t *bytes, size_t len, struct instant now)
{
	const char *why = NULL;
	enum store_result result = STORE_REFUSED;
	bool others = g->pushed_version != store_version(g->store);	/* changes that are to be looked for */
	uint8_t later[ITEM_ID_LEN];
	struct item *i;

	if (!may_take(n, now))
		return;
	i = item_read(store_mesh(g->store), bytes, len, &why);
	if (!i && item_is_later(bytes, len, later) && gossip_same(later, id)) {
		note_later(g, id);
		return;
	}
	if (i && memcmp(i->id, id, ITEM_SHORT_ID)) {
		why = "it is another than it was said to be";
		item_free(i);
	} else if (i) {
		result = store_add(g->store, i, now.wall_ns / NS_PER_S, &why);
	}
	if (result == STORE_ADDED) {
		g->items_taken++;
		pace_reset(n);
		allow_again(g, id);
		if (!others)
			push_one(g, id, now);
	} else if (result != STORE_KNOWN) {
		forbid(n, id, result == STORE_OLD, now.mono_us);
	}
	if (result == STORE_REFUSED) {
		g->items_refused++;
		g->last_refused = why;
	}
}

static struct gossip_partial *find_partial(struct gossip_neighbour *n, const uint8_t *id)
{
	for (size_t i = 0; i < GOSSIP_PARTIAL_MAX; i++)
		if (n->partial[i].bytes && !memcmp(n->partial[i].id, id, ITEM_SHORT_ID))
			return &n->partial[i];
	return NULL;
}

static void forget_partial(struct gossip_partial *p)
{
	free(p->bytes);
	*p = (struct gossip_partial){ 0 };
}

static struct gossip_partial *begin_partial(struct gossip_neighbour *n, const struct message *m)
{
	for (size_t i = 0; i < GOSSIP_PARTIAL_MAX; i++) {
		struct gossip_partial *p = &n->partial[i];

		if (p->bytes)
			continue;
		p->bytes = malloc(m->piece.total);
		if (!p->bytes)
			return NULL;
		memcpy(p->id, m->piece.id, ITEM_SHORT_ID);
		p->total = m->piece.total;
		return p;
	}
	return NULL;
}

static void take_part(struct gossip *g, struct gossip_neighbour *n, const struct message *m, struct instant now)
{
	struct gossip_partial *p = find_partial(n, m->piece.id);

	if (!p)
		p = begin_partial(n, m);
	if (!p || p->total != m->piece.total || m->piece.offset % MESSAGE_PIECE_MAX ||
	    (m->piece.len != MESSAGE_PIECE_MAX && m->piece.offset + m->piece.len != m->piece.total))
		return;
	memcpy(p->bytes + m->piece.offset, m->piece.data, m->piece.len);
	p->got |= UINT32_C(1) << m->piece.offset / MESSAGE_PIECE_MAX;
	p->ask_us = now.mono_us + GOSSIP_ASK_MS * US_PER_MS;
	p->asks = 0;
	if (p->got != UINT32_MAX >> (31 - (p->total - 1) / MESSAGE_PIECE_MAX))
		return;
	take_item(g, n, p->id, p->bytes, p->total, now);
	forget_partial(p);
}

static void take_piece(struct gossip *g, struct gossip_neighbour *n, const struct message *m, struct instant now)
{
	bool whole = m->piece.offset == 0 && m->piece.len == m->piece.total;

	gossip_came(n, m->piece.id);
	gossip_unqueue(n, m->piece.id);
	/* Who sends it has it; and may have sent it while ours was on the way. */
	if (!gossip_remembers(&n->has, m->piece.id, now.mono_us))
		gossip_remember(&n->has, m->piece.id, now.mono_us + GOSSIP_SUMMARY_S * US_PER_S);
	if (store_item(g->store, m->piece.id) || gossip_remembers(&n->refused, m->piece.id, now.mono_us) || is_later(g, m->piece.id))
		return;
	if (whole)
		take_item(g, n, m->piece.id, m->piece.data, m->piece.len, now);
	else
		take_part(g, n, m, now);
}

void gossip_receive(struct gossip *g, const uint8_t from[KEY_LEN], const struct message *m, struct instant now)
{
	size_t place;
	struct gossip_neighbour *n = find(g, from, &place);

	if (!n)
		return;
	g->received++;
	g->received_bytes += m->size;
	switch (m->kind) {
	case MESSAGE_SUMMARY:
		take_summary(g, n, m, now);
		break;
	case MESSAGE_DIGESTS:
		take_digests(g, n, m, now);
		break;
	case MESSAGE_LIST:
		take_list(g, n, m, now);
		break;
	case MESSAGE_WANT:
		take_want(g, n, m, now);
		break;
	case MESSAGE_PIECE:
		take_piece(g, n, m, now);
		break;
	default:
		break;
	}
}

/*
 * Time.
 */

/* The rest of a long item did not come. */
static void ask_on(struct gossip_neighbour *n, struct instant now)
{
	enum { ASKS = 5 };

	for (size_t i = 0; i < GOSSIP_PARTIAL_MAX; i++) {
		struct gossip_partial *p = &n->partial[i];

		if (p->bytes && now.mono_us >= p->ask_us && ++p->asks > ASKS)
			forget_partial(p);
	}
}

void gossip_turn(struct gossip *g, struct instant now)
{
	push_new(g, now);
	for (size_t i = 0; i < g->neighbour_count; i++)
		ask_on(g->neighbours[i], now);
}

int64_t gossip_deadline(const struct gossip *g)
{
	int64_t next = NEVER_US;

	if (g->pushed_version != store_version(g->store))
		return 0;
	for (size_t i = 0; i < g->neighbour_count; i++) {
		const struct gossip_neighbour *n = g->neighbours[i];
		int64_t ready = gossip_ready(n, n->tokens_us);

		if (ready < next)
			next = ready;
	}
	return next;
}

void gossip_info(const struct gossip *g, struct gossip_info *info)
{
	*info = (struct gossip_info){
		.neighbours = g->neighbour_count,
		.sent = g->sent,
		.received = g->received,
		.sent_bytes = g->sent_bytes,
		.received_bytes = g->received_bytes,
		.items_taken = g->items_taken,
		.items_refused = g->items_refused,
		.last_refused = g->last_refused,
		.later = count_later(g),
	};
	for (size_t i = 0; i < g->neighbour_count; i++)
		info->in_step += g->neighbours[i]->in_step;
}
