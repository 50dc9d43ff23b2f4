/* SPDX-License-Identifier: MIT */
/*
 * Random Babel worlds (babel_chaos.h), one behind the other, until so many events have passed:
 *
 *	babel_long [EVENTS [WORLDS [SEED [FROM]]]]	EVENTS over WORLDS worlds, the first of SEED; tell what happens from event FROM on
 *
 * The last line has the counts. Exit status 1 when anything was violated; the line before says what, with the seed: a run of
 * "babel_long EVENTS-PER-WORLD 1 SEED" shows it again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "babel_chaos.h"
#include "babel_trace.h"

enum { RAGE_EVENTS = 12000 };	/* between two calms */

static void add(struct world_counts *to, const struct world_counts *c)
{
	to->events += c->events;
	to->packets += c->packets;
	to->deliveries += c->deliveries;
	to->bytes += c->bytes;
	to->restarts += c->restarts;
	to->route_changes += c->route_changes;
	to->requests += c->requests;
	to->unfeasible += c->unfeasible;
	to->refused += c->refused;
	to->checks += c->checks;
	to->cycles_excused += c->cycles_excused;
	to->edges_excused += c->edges_excused;
	to->settlings += c->settlings;
	to->outages += c->outages;
}

/* One world of about so many events. False: something was violated. */
static bool run_world(uint64_t seed, uint64_t events, uint64_t from, struct world_counts *sum)
{
	struct chaos c = { .w = NULL };
	struct world_counts counts;
	struct trace t;
	bool good = true;

	chaos_begin(&c, seed);
	if (from)
		trace_begin(&t, c.w, from);
	while (good && c.w->counts.events < events)
		good = chaos_rage(&c, RAGE_EVENTS) && chaos_calm(&c);
	good = good && !c.w->failed;
	counts = world_count(c.w);
	add(sum, &counts);
	chaos_end(&c);
	return good;
}

int main(int argc, char **argv)
{
	uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	uint64_t worlds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1, from = argc > 4 ? strtoull(argv[4], NULL, 10) : 0, done = 0;
	struct world_counts sum = { .events = 0 };
	bool good = true;

	while (good && (sum.events < events || done < worlds)) {
		good = run_world(seed + done, worlds ? (events + worlds - 1) / worlds : events, from, &sum);
		done++;
	}
	printf("worlds %llu events %llu packets %llu deliveries %llu checks %llu settlings %llu route_changes %llu requests %llu refusals %llu "
	       "restarts %llu outages %llu excused %llu cycles %llu\n", (unsigned long long)done, (unsigned long long)sum.events,
	       (unsigned long long)sum.packets, (unsigned long long)sum.deliveries, (unsigned long long)sum.checks,
	       (unsigned long long)sum.settlings, (unsigned long long)sum.route_changes, (unsigned long long)sum.requests,
	       (unsigned long long)sum.unfeasible, (unsigned long long)sum.restarts, (unsigned long long)sum.outages,
	       (unsigned long long)sum.edges_excused, (unsigned long long)sum.cycles_excused);
	return !good;
}
