/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_ASK_H
#define MESHD_CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

/*
 * A command that shows what daemons say: "meshd COMMAND [NAME] [--json]". Three steps that do not mix: ask every daemon (cli/client.h), render
 * what they said - pure functions, the command's own - and print it.
 */
struct ask_command {
	void (*text)(Meshd__Status *const *list, size_t count, bool colour, struct text *out);
	void (*json)(Meshd__Status *const *list, size_t count, struct text *out);
	bool sub_sessions;	/* ask for the peers' sub-sessions, too */
};

/* Run it; argv[0] is the command's own name. Returns the exit status. */
int ask_run(const struct ask_command *command, int argc, char **argv);

#endif
