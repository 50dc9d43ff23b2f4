/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_PATHS_H
#define MESHD_CLI_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

/* What "meshd paths" shows, from answers of daemons. 'peer' is a peer's name, or its public key or how that begins; NULL: all. */
void paths_text(Meshd__Paths *const *list, size_t count, const char *peer, bool colour, struct text *out);
void paths_json(Meshd__Paths *const *list, size_t count, const char *peer, struct text *out);

/* Whether there is such a peer. */
bool paths_have_peer(Meshd__Paths *const *list, size_t count, const char *peer);

int cmd_paths(int argc, char **argv);

#endif
