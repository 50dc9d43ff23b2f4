/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_TRACE_H
#define MESHD_BABEL_TRACE_H

#include "babel_world.h"

/* Print what happens from some event on. Takes the world's hooks. */
struct trace {
	uint64_t from_event;
};

void trace_begin(struct trace *t, struct world *w, uint64_t from_event);

#endif
