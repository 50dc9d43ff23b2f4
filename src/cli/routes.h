/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_ROUTES_H
#define MESHD_CLI_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

/* meshd routes [NAME] [--all] [--neighbours] [--json]; argv[0] is the command's own name. Returns the exit status. */
int cmd_routes(int argc, char **argv);

/*
 * What it prints. As text: routes in the order of their prefixes, a line each, those chosen, our own and those held as lost, or with 'all'
 * also the others and why they are not chosen; or the neighbours. As JSON everything. Pure.
 */
void routes_text(Meshd__Routes *const *list, size_t count, bool all, bool colour, struct text *out);
void routes_neighbours_text(Meshd__Routes *const *list, size_t count, bool colour, struct text *out);
void routes_json(Meshd__Routes *const *list, size_t count, struct text *out);

#endif
