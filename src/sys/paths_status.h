/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_PATHS_STATUS_H
#define MESHD_SYS_PATHS_STATUS_H

#include <stdbool.h>

#include "base/instant.h"
#include "proto/control.pb-c.h"

struct node;

enum { PATHS_STATUS_MAX = 20000 };	/* paths in an answer, which is then well below CONTROL_MESSAGE_MAX */

/*
 * Fill 'out', which is initialised and empty: for the control socket's handler (sys/control.h). 'name' is the interface's. Ask between
 * node_close_lanes() and node_open_lanes(). False: no memory; what is there already is freed with 'out'.
 */
bool paths_status_fill(const struct node *n, const char *name, struct instant now, Meshd__Paths *out);

#endif
