/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_ASK_H
#define MESHD_CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

struct cli_option;

/*
 * A command that shows what daemons say: "meshd COMMAND [NAME] [--json]". Three steps that do not mix: ask every daemon (cli/client.h), render
 * what they said - pure functions, the command's own - and print it.
 */
struct ask_command {
	void (*text)(Meshd__Status *const *list, size_t count, bool colour, struct text *out);
	void (*json)(Meshd__Status *const *list, size_t count, struct text *out);
	bool sub_sessions;	/* ask for the peers' sub-sessions, too */
};

/* The steps by themselves, for a command that asks for something else. All say on stderr what went wrong. */

/* Ask 'one' about an interface, or with NULL about all that run; it says by itself why it failed. False: some did. */
bool ask_each(const char *name, bool (*one)(void *ctx, const char *name), void *ctx);

/* Write to standard output, and free. */
bool ask_print(struct text *out);

/*
 * The arguments of such a command: its options, then up to 'words_max' words, of which the first is an interface's name. What is not there is
 * NULL in 'words'. CLI_DONE, or the exit status when it is called in a wrong way, which has been said.
 */
int ask_arguments(const struct cli_option *options, const char *synopsis, int argc, char **argv, const char **words, int words_max);

/* Run it; argv[0] is the command's own name. Returns the exit status. */
int ask_run(const struct ask_command *command, int argc, char **argv);

#endif
