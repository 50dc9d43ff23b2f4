/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_GOSSIP_INSIDE_H
#define MESHD_EXCHANGE_GOSSIP_INSIDE_H

#include <string.h>

#include "exchange/gossip.h"

/* The inside of gossip, shared by gossip.c (neighbours, what comes in, time) and gossip_send.c (what goes out). */

/* Of an item: some of it may have gone out already. */
struct gossip_piece {
	uint8_t id[ITEM_SHORT_ID];
	uint32_t offset;
	bool wanted;			/* else it is for whoever has not got it */
};

/* An item to be asked for, or asked for. */
struct gossip_want {
	uint8_t id[ITEM_SHORT_ID];
	unsigned int tries;
	int64_t until_us;		/* when it was asked: how long that is waited for */
};

/* When there may be a comparison again. */
struct gossip_pace {
	int64_t at_us, began_us, wait_us;
	bool heard;			/* what was said last time was answered */
	unsigned int lost;		/* and how often it was not, one after the other */
};

/* Of the ids in a bucket: the digest is made anew where the sums are others. */
struct gossip_bucket {
	size_t count;
	uint64_t sums[2];
};

/* Ids with a time, the oldest going first. */
struct gossip_memory {
	uint8_t ids[GOSSIP_MEMORY][ITEM_SHORT_ID];
	int64_t until_us[GOSSIP_MEMORY];
	uint8_t times[GOSSIP_MEMORY];
	bool waits[GOSSIP_MEMORY];	/* it may be fine when another item has come */
	size_t next;
};

/* Ids from 'first' to 'last', to be listed. */
struct gossip_range {
	uint8_t first[ITEM_SHORT_ID], last[ITEM_SHORT_ID];
	bool answer;
};

/* An item of which pieces are missing. */
struct gossip_partial {
	uint8_t id[ITEM_SHORT_ID];
	uint8_t *bytes;			/* NULL: none */
	uint32_t total, got;		/* the pieces that came, one bit each: they may come in any order */
	int64_t ask_us;			/* when the rest is asked for again */
	unsigned int asks;
};

struct gossip_neighbour {
	uint8_t public_key[KEY_LEN];
	int64_t tokens, tokens_us;	/* bytes it may be sent now; when that was so */
	unsigned int taken;		/* items verified in the second from... */
	int64_t taken_us;
	int64_t summary_us;		/* when the next goes */
	int64_t summary_sent_us;
	unsigned int unsure;		/* summaries since a change that no equal one has come after */
	struct gossip_pace compare, lists;	/* answers to summaries that differ; to digests */
	uint8_t compared[2][MESSAGE_DIGEST_LEN];	/* both digests at the last comparison */
	bool answer_digests;
	bool in_step;
	uint8_t buckets[MESSAGE_BUCKETS / 8];	/* that are to be listed, bit by bit */
	struct gossip_range ranges[GOSSIP_LISTS_MAX];	/* likewise; range_count of them */
	size_t range_count;
	struct gossip_piece queue[GOSSIP_QUEUE_MAX];	/* a ring */
	size_t queue_first, queue_count;
	int64_t queue_us;		/* when the first of it may go */
	struct gossip_want wants[GOSSIP_WANTS_MAX];	/* a ring */
	size_t want_first, want_count;
	struct gossip_want asked[GOSSIP_WANTS_OUT];	/* of it, and not there */
	size_t asked_count;
	struct gossip_memory has, refused;
	struct gossip_partial partial[GOSSIP_PARTIAL_MAX];
};

enum {
	GOSSIP_ASKED_MAX = 1024,
	GOSSIP_UNSURE_MAX = 4,		/* summaries that are less than GOSSIP_SUMMARY_S apart */
	GOSSIP_LATER_SETS = 256,	/* where ids of kinds of a later version are kept, so many in each */
	GOSSIP_LATER_WAYS = 4,
	GOSSIP_LOST_MAX = 4,		/* what is not answered may have been lost: so often that is no reason to wait longer */
};

struct gossip {
	struct store *store;
	struct rng rng;
	struct log log;
	struct gossip_neighbour *neighbours[GOSSIP_NEIGHBOURS_MAX];
	size_t neighbour_count, next_out;
	uint64_t version;		/* of the store, that the digests are of */
	bool fresh;			/* they have been made */
	uint8_t digest[MESSAGE_DIGEST_LEN], digests[MESSAGE_BUCKETS][MESSAGE_DIGEST_LEN];
	struct gossip_bucket buckets[MESSAGE_BUCKETS];
	uint64_t pushed_version;	/* up to which what is new was pushed */
	uint8_t (*known)[ITEM_SHORT_ID];	/* ids at that time, in order */
	size_t known_count, known_size;
	struct {
		uint8_t id[ITEM_SHORT_ID];
		int64_t until_us;
	} asked[GOSSIP_ASKED_MAX];	/* of whomever; at a place the id gives */
	uint8_t later[GOSSIP_LATER_SETS][GOSSIP_LATER_WAYS][ITEM_SHORT_ID];	/* of a later version, of whomever; the newest first, zero: none */
	uint64_t sent, received, sent_bytes, received_bytes, items_taken, items_refused;
	const char *last_refused;
};

/* Compared so often that a call would be most of it. */
static inline bool gossip_same(const uint8_t *a, const uint8_t *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y;
}

_Static_assert(ITEM_SHORT_ID == sizeof(uint64_t), "an id is a number");

/* Bring the digests up to date. */
void gossip_digest(struct gossip *g);

bool gossip_remembers(const struct gossip_memory *m, const uint8_t *id, int64_t now_us);
void gossip_remember(struct gossip_memory *m, const uint8_t *id, int64_t until_us);

/* Where the first item is whose id is not below this one. */
size_t gossip_place(const struct item *const *v, size_t count, const uint8_t *id);

/* Put an item on the way to a neighbour, not before 'at_us' if it is the only one. False: there is no room. */
bool gossip_enqueue(struct gossip_neighbour *n, const uint8_t *id, uint32_t offset, bool wanted, int64_t at_us);
/* The neighbour has it: only what it wants may still go. */
void gossip_unqueue(struct gossip_neighbour *n, const uint8_t *id);
/* Ask for an item, or ask again; it came. */
void gossip_want(struct gossip_neighbour *n, const uint8_t *id, unsigned int tries);
void gossip_came(struct gossip_neighbour *n, const uint8_t *id);

/* When something is to go to the neighbour: NEVER_US if nothing waits. */
int64_t gossip_ready(const struct gossip_neighbour *n, int64_t now_us);

#endif
