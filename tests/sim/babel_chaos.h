/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_CHAOS_H
#define MESHD_BABEL_CHAOS_H

#include "babel_world.h"

/*
 * A random topology with random trouble, all of it from the seed: links of all types that lose, delay, reorder and duplicate, are cut and come
 * back; costs, prefixes and interfaces that change; nodes that end in every way there is and begin again.
 */
struct chaos {
	struct world *w;
	int64_t hello_us;		/* the usual one of this world */
	bool ordered;			/* nothing reorders, so that more can be demanded */
	bool rtt;			/* delays add to costs, and take long to settle */
};

void chaos_begin(struct chaos *c, uint64_t seed);
void chaos_end(struct chaos *c);

/* Trouble until so many events have passed. False: the world has failed. */
bool chaos_rage(struct chaos *c, uint64_t events);

/* Calm, with what is cut and gone by now (not all of it comes back), long enough; then all must be as it should. */
bool chaos_calm(struct chaos *c);

#endif
