/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_SIM_PATH_WORLD_H
#define MESHD_TESTS_SIM_PATH_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "path/path.h"

/*
 * Two path sets joined by ways that delay, lose and die, in virtual time. Way k joins the k-th address of both ends; other pairs have no route.
 * Each end has a clock of its own. Data is a packet every 'data_us' from an end with data, which goes by what the set has chosen; the other end
 * counts it.
 */
enum { WORLD_WAYS = 4, WORLD_MESSAGES = 4096, WORLD_LOG = 256 };

struct world_way {
	int64_t delay_us;		/* one way */
	unsigned int noise_percent;	/* each packet's delay is so much more or less, evenly */
	unsigned int loss[2];		/* in 10000, of what end 0 or 1 sends */
	bool dead[2];			/* of what end 0 or 1 sends nothing arrives */
	uint32_t mtu;
};

struct world_message {
	int64_t at_us;
	unsigned int to, way;
	bool data;
	uint32_t number;		/* data */
	size_t len;
	uint8_t msg[MESH_MESSAGE_MAX];
};

struct world_change {
	int64_t at_us;
	unsigned int end;
	int way;			/* -1: none */
	uint8_t why;
	bool urgent;
};

struct world_end {
	struct world *world;
	unsigned int number;
	struct path_set s;
	struct path_local locals[WORLD_WAYS];
	int64_t clock_us;		/* what its clock is ahead of the world's */
	int64_t data_us;		/* 0: no data; else one packet each */
	int64_t next_data_us, sent_us, heard_us;
	uint32_t sent[WORLD_WAYS], came[WORLD_WAYS];	/* data, by number */
	uint32_t received[WORLD_WAYS], late[WORLD_WAYS];	/* not yet given to the set */
	int32_t lost[WORLD_WAYS];
	uint64_t control_bytes;		/* sent, with outer headers of IPv6 */
	uint64_t messages;
	unsigned int events;		/* of all calls, together */
	unsigned int turns;
	struct path *was;
};

struct world {
	int64_t now_us;
	uint64_t random;
	unsigned int ways;
	struct world_way way[WORLD_WAYS];
	struct world_end end[2];
	struct world_message *messages;
	unsigned int message_count;
	struct world_change log[WORLD_LOG];
	unsigned int log_count;
};

void world_init(struct world *w, uint64_t seed, unsigned int ways, int64_t delay_us, unsigned int noise_percent);
void world_done(struct world *w);

/* Both ends speak paths from now on, and use way 0. */
void world_start(struct world *w);
void world_run(struct world *w, int64_t for_us);

void world_data(struct world *w, unsigned int end, int64_t each_us);
int world_uses(const struct world *w, unsigned int end);		/* the way; -1: none */
struct path *world_path(struct world *w, unsigned int end, unsigned int way);
unsigned int world_changes(const struct world *w, unsigned int end, int64_t since_us);
uint32_t world_random(struct world *w, uint32_t below);

#endif
