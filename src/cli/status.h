/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_STATUS_H
#define MESHD_CLI_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "cli/term.h"
#include "proto/control.pb-c.h"

/* meshd status [NAME] [--json] and meshd peers [NAME] [--json]; argv[0] is the command's own name. Return the exit status. */
int cmd_status(int argc, char **argv);
int cmd_peers(int argc, char **argv);

/* What these print, as text: one interface in full; and the peers of several, a line each. Pure. */
void status_text(const Meshd__Status *s, bool colour, struct text *out);
void status_peers_text(Meshd__Status *const *list, size_t count, bool colour, struct text *out);
void status_json(Meshd__Status *const *list, size_t count, struct text *out);
void status_peers_json(Meshd__Status *const *list, size_t count, struct text *out);

/* A drop reason's name (node/drops.h) in words; one that is not known has its underscores made blanks in 'out'. */
const char *status_drop_words(const char *name, char out[64]);

/* A peer's name, or what stands of its key for one that has none. */
const char *status_peer_word(const Meshd__Peer *peer, char out[TERM_TEXT_MAX]);

#endif
