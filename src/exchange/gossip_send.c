/* SPDX-License-Identifier: MIT */
/*
 * What gossip sends: one message at a time, from one neighbour to the next, the smallest matters first - summary, digests, wants, lists, items - as far as the neighbour's
 * rate allows. Nothing is built before it goes, so what a message says is what the store has then.
 */
#include "exchange/gossip.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/gossip_inside.h"

static struct gossip_piece *queued(struct gossip_neighbour *n, const uint8_t *id)
{
	for (size_t i = 0; i < n->queue_count; i++) {
		struct gossip_piece *p = &n->queue[(n->queue_first + i) % GOSSIP_QUEUE_MAX];

		if (gossip_same(p->id, id))
			return p;
	}
	return NULL;
}

bool gossip_enqueue(struct gossip_neighbour *n, const uint8_t *id, uint32_t offset, bool wanted, int64_t at_us)
{
	struct gossip_piece *p = queued(n, id);

	if (p) {
		p->wanted = p->wanted || wanted;
		if (p->offset > offset)
			p->offset = offset;
		return true;
	}
	if (n->queue_count == GOSSIP_QUEUE_MAX)
		return false;
	if (!n->queue_count || n->queue_us > at_us)
		n->queue_us = at_us;
	p = &n->queue[(n->queue_first + n->queue_count++) % GOSSIP_QUEUE_MAX];
	memcpy(p->id, id, ITEM_SHORT_ID);
	p->offset = offset;
	p->wanted = wanted;
	return true;
}

void gossip_unqueue(struct gossip_neighbour *n, const uint8_t *id)
{
	struct gossip_piece *p = queued(n, id);

	/* Behind its end: passed over when it is its turn. */
	if (p && !p->wanted)
		p->offset = ITEM_MAX;
}

void gossip_want(struct gossip_neighbour *n, const uint8_t *id, unsigned int tries)
{
	struct gossip_want *w = &n->wants[(n->want_first + n->want_count) % GOSSIP_WANTS_MAX];

	if (n->want_count == GOSSIP_WANTS_MAX)
		return;
	n->want_count++;
	*w = (struct gossip_want){ .tries = tries };
	memcpy(w->id, id, ITEM_SHORT_ID);
}

void gossip_came(struct gossip_neighbour *n, const uint8_t *id)
{
	for (size_t i = 0; i < n->asked_count; i++)
		if (gossip_same(n->asked[i].id, id)) {
			n->asked[i] = n->asked[--n->asked_count];
			return;
		}
}

static bool has_buckets(const struct gossip_neighbour *n)
{
	for (size_t i = 0; i < sizeof(n->buckets); i++)
		if (n->buckets[i])
			return true;
	return false;
}

/* A Want may go when most of the last came; and there is something to do when one did not come. */
static int64_t want_us(const struct gossip_neighbour *n)
{
	int64_t next = NEVER_US;

	if (n->want_count && n->asked_count + MESSAGE_WANT_MAX <= GOSSIP_WANTS_OUT)
		return 0;
	for (size_t i = 0; i < n->asked_count; i++)
		if (n->asked[i].until_us < next)
			next = n->asked[i].until_us;
	return next;
}

/* The first of the long items whose rest is due. */
static int64_t rest_us(const struct gossip_neighbour *n)
{
	int64_t next = NEVER_US;

	for (size_t i = 0; i < GOSSIP_PARTIAL_MAX; i++)
		if (n->partial[i].bytes && n->partial[i].ask_us < next)
			next = n->partial[i].ask_us;
	return next;
}

int64_t gossip_ready(const struct gossip_neighbour *n, int64_t now_us)
{
	int64_t ready = n->summary_us, want = want_us(n), rest = rest_us(n);

	if (want < ready)
		ready = want;
	if (rest < ready)
		ready = rest;
	if (n->answer_digests || n->range_count || has_buckets(n))
		ready = now_us;
	if (n->queue_count && n->queue_us < ready)
		ready = n->queue_us;
	/* In debt: when that is paid. */
	if (n->tokens < 0 && ready < n->tokens_us - n->tokens * US_PER_S / GOSSIP_RATE)
		ready = n->tokens_us - n->tokens * US_PER_S / GOSSIP_RATE + 1;
	return ready;
}

static void refill(struct gossip_neighbour *n, int64_t now_us)
{
	int64_t more = (now_us - n->tokens_us) * GOSSIP_RATE / US_PER_S;

	if (more <= 0)
		return;
	n->tokens = n->tokens + more < GOSSIP_BURST ? n->tokens + more : GOSSIP_BURST;
	n->tokens_us = now_us;
}

static void make_summary(struct gossip *g, struct gossip_neighbour *n, struct message *m, struct instant now)
{
	const struct item *const *v;
	int64_t wait_s = GOSSIP_SUMMARY_S;

	gossip_digest(g);
	m->kind = MESSAGE_SUMMARY;
	memcpy(m->summary.digest, g->digest, MESSAGE_DIGEST_LEN);
	m->summary.items = (uint32_t)store_items(g->store, &v);
	n->summary_sent_us = now.mono_us;
	/* It may get lost: the next is sooner where theirs has not said that it did not. */
	if (n->unsure < GOSSIP_UNSURE_MAX)
		wait_s = GOSSIP_APART_S << n->unsure++;
	n->summary_us = now.mono_us + wait_s * US_PER_S * 3 / 4 + rng_below(&g->rng, (uint32_t)wait_s * 500) * US_PER_MS;
}

static void make_digests(struct gossip *g, struct gossip_neighbour *n, struct message *m)
{
	gossip_digest(g);
	m->kind = MESSAGE_DIGESTS;
	for (unsigned int i = 0; i < MESSAGE_BUCKETS; i++)
		memcpy(m->digests.v[i], g->digests[i], ITEM_SHORT_ID);
	n->answer_digests = false;
}

/* What did not come in time has to be asked for again. */
static void ask_again(struct gossip *g, struct gossip_neighbour *n, int64_t now_us)
{
	for (size_t i = n->asked_count; i-- > 0;) {
		struct gossip_want w = n->asked[i];

		if (now_us < w.until_us)
			continue;
		n->asked[i] = n->asked[--n->asked_count];
		if (w.tries < GOSSIP_ASK_TRIES && !store_item(g->store, w.id) && !gossip_remembers(&n->refused, w.id, now_us))
			gossip_want(n, w.id, w.tries);
	}
}

/* What came meanwhile is not asked for. False: nothing is left to ask. */
static bool make_want(struct gossip *g, struct gossip_neighbour *n, struct message *m, struct instant now)
{
	ask_again(g, n, now.mono_us);
	if (n->asked_count + MESSAGE_WANT_MAX > GOSSIP_WANTS_OUT)
		return false;
	m->kind = MESSAGE_WANT;
	m->want.count = 0;
	m->want.offset = 0;
	for (; n->want_count && m->want.count < MESSAGE_WANT_MAX; n->want_count--) {
		const struct gossip_want *w = &n->wants[n->want_first];

		n->want_first = (n->want_first + 1) % GOSSIP_WANTS_MAX;
		if (store_item(g->store, w->id))
			continue;
		memcpy(m->want.ids[m->want.count++], w->id, ITEM_SHORT_ID);
		n->asked[n->asked_count] = *w;
		n->asked[n->asked_count].tries++;
		n->asked[n->asked_count++].until_us = now.mono_us + GOSSIP_ASK_MS * US_PER_MS;
	}
	return m->want.count;
}

/* The first that has not come. */
static uint32_t first_missing(const struct gossip_partial *p)
{
	uint32_t i = 0;

	while (p->got >> i & 1)
		i++;
	return i * MESSAGE_PIECE_MAX;
}

static bool make_rest(struct gossip *g, struct gossip_neighbour *n, struct message *m, struct instant now)
{
	for (size_t i = 0; i < GOSSIP_PARTIAL_MAX; i++) {
		struct gossip_partial *p = &n->partial[i];

		if (!p->bytes || now.mono_us < p->ask_us)
			continue;
		/* It came from somebody else. */
		if (store_item(g->store, p->id)) {
			free(p->bytes);
			*p = (struct gossip_partial){ 0 };
			continue;
		}
		p->ask_us = now.mono_us + GOSSIP_ASK_MS * US_PER_MS;
		m->kind = MESSAGE_WANT;
		m->want.count = 1;
		m->want.offset = first_missing(p);
		memcpy(m->want.ids[0], p->id, ITEM_SHORT_ID);
		return true;
	}
	return false;
}

/* The id after this one. False: there is none. */
static bool increment(uint8_t id[ITEM_SHORT_ID])
{
	for (size_t i = ITEM_SHORT_ID; i-- > 0;)
		if (++id[i])
			return true;
	return false;
}

size_t gossip_place(const struct item *const *v, size_t count, const uint8_t *id)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(v[middle]->id, id, ITEM_SHORT_ID) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* As many ids as fit, from the beginning of the range; that begins behind them then. True: it is done. */
static bool make_list(struct gossip *g, struct gossip_range *r, struct message *m)
{
	const struct item *const *v;
	size_t count = store_items(g->store, &v), i = gossip_place(v, count, r->first);

	m->kind = MESSAGE_LIST;
	m->list.answer = r->answer;
	m->list.count = 0;
	memcpy(m->list.first, r->first, ITEM_SHORT_ID);
	memcpy(m->list.last, r->last, ITEM_SHORT_ID);
	for (; i < count && memcmp(v[i]->id, r->last, ITEM_SHORT_ID) <= 0; i++) {
		if (m->list.count == MESSAGE_IDS_MAX) {
			memcpy(m->list.last, m->list.ids[m->list.count - 1], ITEM_SHORT_ID);
			memcpy(r->first, m->list.last, ITEM_SHORT_ID);
			return !increment(r->first);
		}
		memcpy(m->list.ids[m->list.count++], v[i]->id, ITEM_SHORT_ID);
	}
	return true;
}

/* Of one bucket: whether it was to be listed; it is not any more. */
static bool take_bucket(struct gossip_neighbour *n, unsigned int i)
{
	bool is = i < MESSAGE_BUCKETS && n->buckets[i / 8] & 1U << i % 8;

	if (is)
		n->buckets[i / 8] &= (uint8_t)~(1U << i % 8);
	return is;
}

/* The next buckets that differ, as far as they follow each other, become a range. */
static void take_buckets(struct gossip_neighbour *n)
{
	struct gossip_range *r = &n->ranges[0];
	unsigned int first = 0, last;

	while (first < MESSAGE_BUCKETS && !take_bucket(n, first))
		first++;
	if (first == MESSAGE_BUCKETS)
		return;
	for (last = first; take_bucket(n, last + 1);)
		last++;
	memset(r->first, 0, ITEM_SHORT_ID);
	memset(r->last, 0xff, ITEM_SHORT_ID);
	r->first[0] = (uint8_t)(first << 2);
	r->last[0] = (uint8_t)(last << 2 | 3);
	r->answer = false;
	n->range_count = 1;
}

static bool make_next_list(struct gossip *g, struct gossip_neighbour *n, struct message *m)
{
	if (!n->range_count)
		take_buckets(n);
	if (!n->range_count)
		return false;
	if (make_list(g, &n->ranges[0], m)) {
		n->range_count--;
		memmove(&n->ranges[0], &n->ranges[1], n->range_count * sizeof(n->ranges[0]));
	}
	return true;
}

static bool make_piece(struct gossip *g, struct gossip_neighbour *n, struct message *m, struct instant now)
{
	while (n->queue_count && now.mono_us >= n->queue_us) {
		struct gossip_piece *p = &n->queue[n->queue_first];
		const struct item *i = store_item(g->store, p->id);
		size_t left = i && p->offset < i->len ? i->len - p->offset : 0;

		if (left) {
			m->kind = MESSAGE_PIECE;
			memcpy(m->piece.id, p->id, ITEM_SHORT_ID);
			m->piece.total = (uint32_t)i->len;
			m->piece.offset = p->offset;
			m->piece.data = i->bytes + p->offset;
			m->piece.len = left < MESSAGE_PIECE_MAX ? left : MESSAGE_PIECE_MAX;
			p->offset += (uint32_t)m->piece.len;
		}
		if (!left || left <= MESSAGE_PIECE_MAX) {
			gossip_remember(&n->has, p->id, now.mono_us + GOSSIP_SUMMARY_S * US_PER_S);
			n->queue_first = (n->queue_first + 1) % GOSSIP_QUEUE_MAX;
			n->queue_count--;
		}
		if (left)
			return true;
	}
	return false;
}

static bool make(struct gossip *g, struct gossip_neighbour *n, struct message *m, struct instant now)
{
	if (now.mono_us >= n->summary_us) {
		make_summary(g, n, m, now);
		return true;
	}
	if (n->answer_digests) {
		make_digests(g, n, m);
		return true;
	}
	if (make_rest(g, n, m, now) || (now.mono_us >= want_us(n) && make_want(g, n, m, now)))
		return true;
	return make_next_list(g, n, m) || make_piece(g, n, m, now);
}

bool gossip_next(struct gossip *g, uint8_t to[KEY_LEN], uint8_t msg[MESSAGE_MAX], size_t *len, struct instant now)
{
	for (size_t tries = 0; tries < g->neighbour_count; tries++) {
		struct gossip_neighbour *n = g->neighbours[g->next_out++ % g->neighbour_count];
		struct message m = { .kind = MESSAGE_NONE };

		refill(n, now.mono_us);
		if (n->tokens < 0 || !make(g, n, &m, now))
			continue;
		*len = message_write(msg, &m);
		if (!*len)
			continue;
		memcpy(to, n->public_key, KEY_LEN);
		n->tokens -= (int64_t)*len;
		g->sent++;
		g->sent_bytes += *len;
		return true;
	}
	return false;
}
