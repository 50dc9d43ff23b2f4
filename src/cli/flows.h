/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_FLOWS_H
#define MESHD_CLI_FLOWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

/* meshd flows [NAME] [--json]; argv[0] is the command's own name. Returns the exit status. */
int cmd_flows(int argc, char **argv);

/* What it prints: as text the sub-sessions that flows of ours are on, a line each; as JSON all that are open. Pure. */
void flows_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out);
void flows_json(Meshd__Status *const *list, size_t count, struct text *out);

#endif
