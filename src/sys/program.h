/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_PROGRAM_H
#define MESHD_SYS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/text.h"

/*
 * Other people's programs: hooks, resolvconf, nft, iptables. What they get to read is in memory files, never in
 * arguments or the environment, where every user could see it.
 */
enum {
	PROGRAM_PATH_MAX = 512,
	PROGRAM_SCRIPT_FD = 9,		/* where a shell finds what it shall run; one digit, for the plainest of shells */
	PROGRAM_OUTPUT_MAX = 1 << 24,	/* what is read of a program's output */
};

/* How programs are run here: who waits, who hears of it. Held by value; 'ctx' is its maker's. */
struct runner {
	/* Wait until the process ended and return its wait status. */
	int (*wait)(void *ctx, pid_t pid);
	void *ctx;
	struct log log;
	bool to_log;			/* nobody at a terminal: "[#]" lines and the program's output go to the log */
	const char *name;		/* for the environment (INTERFACE, CONFIG_FILE); NULL: not set */
	const char *config_file;
};

struct program {
	const char *const *argv;	/* NULL at its end; argv[0] is looked for in PATH */
	const char *shown;		/* after "[#]"; NULL: nothing is shown */
	const char *input;		/* on standard input; NULL: ours */
	size_t input_len;
	const char *script;		/* on PROGRAM_SCRIPT_FD; NULL: none */
	bool uninterrupted;		/* a Ctrl-C at the terminal is not for it: half done, nobody could take it back */
	struct text *output;		/* gets standard output, standard error is dropped; NULL: as the runner says */
};

/* A runner that just waits, and shows what it does on stderr. */
struct runner runner_plain(const struct log *log);

/* Where 'name' is, as execvp(3) would find it. False: nowhere. */
bool program_find(const char *name, char path[PROGRAM_PATH_MAX]);

/*
 * Run to the end. Returns the exit status, 128 + N when signal N ended it (as shells have it), -ENOENT: no such
 * program, or negative errno.
 */
int program_run(const struct runner *r, const struct program *p);

/* In a fresh child: close every descriptor from 'first' on, whoever left it open. */
void program_close_from(int first);

/* In a fresh child: signals as a program expects them (nothing blocked or ignored). */
void program_reset_signals(void);

#endif
