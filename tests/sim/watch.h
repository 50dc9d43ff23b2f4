/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SIM_WATCH_H
#define MESHD_SIM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sim.h"

/*
 * Flows between nodes 0 and 1, watched packet by packet: what is lost, doubled or turned round, which sub-session and tuple it came by, and how many
 * control messages that took.
 */
enum {
	FLOWS = 64,
	SEQUENCES = 100000,
	RTT_US = 40000,
};

extern const struct sim_link WAN;		/* perfect, RTT_US long */

enum { TO_0 = 1, TO_1 = 2, BOTH = 3 };

/* What came of a flow's packets at one of the two nodes. */
struct flow_seen {
	uint32_t sent, delivered, last;
	uint32_t reordered;		/* came after a later one */
	uint32_t moves;			/* to another sub-session */
	unsigned int number;		/* it came by last */
	struct endpoint from, to;	/* outside */
	int64_t last_us, gap_us;	/* last arrival, longest wait for one */
	uint8_t seen[SEQUENCES / 8];
};

struct watch {
	uint64_t seed;
	struct flow_seen to[2][FLOWS];	/* the node they go to */
	uint64_t doubles;
	uint64_t controls, controls_peak;	/* sent by both, but probes of paths; the most in one second */
	int64_t start_us, second;
	uint64_t in_second;
};

extern struct watch watch;

/* For s->on_packet and s->on_dgram, with s->ctx a struct watch. */
void watch_packet(struct sim *s, size_t node, const uint8_t *packet, size_t len);
void watch_dgram(struct sim *s, size_t from, const struct sim_dgram *d);

/* Forget what was seen, but not which packets. */
void watch_again(struct sim *s);

/* No nodes yet, and 'watch' looking on. */
void begin(struct sim *s, uint64_t seed);

/* Nodes 0 and 1. */
void pair(struct sim *s, uint64_t seed);

/* A packet that is not watched, to have a session. From both at the same moment initiations would cross. */
void greet(struct sim *s, size_t from);

/* A pair with a session. */
void pair_up(struct sim *s, uint64_t seed);

/* The next packet of a flow to node 'to', from the other one. */
void send_one(struct sim *s, size_t to, unsigned int flow);

/* Each of flows first..first+count-1 sends one packet every 'every_us', for 'us'. */
void talk(struct sim *s, unsigned int ways, unsigned int first, unsigned int count, int64_t every_us, int64_t us);

/* Let arrive what is on its way. */
void settle(struct sim *s);

/* Of all flows. Lost is what has not arrived: what is under way too. */
uint64_t lost(const struct watch *w);
uint64_t reordered(const struct watch *w);
uint64_t moves(const struct watch *w);

/* How many of the flows to 'node' came by a sub-session other than 0. */
unsigned int on_own(const struct watch *w, size_t node);

/* How many flows to 'node' have the tuple of an earlier one. */
unsigned int sharing(const struct watch *w, size_t node);

/* Messages a second, on average, of both nodes; those about paths aside. */
double rate(const struct sim *s);

/* Print all of it, and the seed. */
void show(const struct sim *s, const char *what);

/* What holds after any of it; 'peak' bounds what both sent in one second, 'average' that over the time since watch_again(). */
void check_watch(const struct sim *s, const char *what, double average, uint64_t peak);

/* Nothing lost, nothing turned round. */
void check_all_arrived(const struct sim *s, const char *what);

/* An idle link says nothing. */
void check_silence(struct sim *s);

#endif
