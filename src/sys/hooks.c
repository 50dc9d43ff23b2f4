/* SPDX-License-Identifier: MIT */
/*
 * Hooks: lines of shell from the config, run by root. wg-quick evaluates them in a subshell of its own with
 * "set -e -o pipefail" and extglob, so the shell is started with these. A hook may name a secret ("wg set %i
 * private-key <(...)"), so its text is no argument of the shell: the shell reads it from PROGRAM_SCRIPT_FD, which
 * is closed again before the hook sees it.
 */
#include "sys/hooks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "node/config.h"
#include "sys/program.h"

#define BASH "/bin/bash"
#define SH "/bin/sh"
#define EVAL_SCRIPT "eval \"$(cat <&9)\" 9<&-"	/* PROGRAM_SCRIPT_FD */

static const char *const bash_argv[] = { BASH, "-e", "-o", "pipefail", "-O", "extglob", "-c", EVAL_SCRIPT, NULL };
static const char *const sh_argv[] = { SH, "-e", "-c", EVAL_SCRIPT, NULL };

void hook_expand(const char *hook, const char *name, struct text *out)
{
	const char *next;

	for (; (next = strstr(hook, "%i")); hook = next + 2) {
		text_add_bytes(out, hook, (size_t)(next - hook));
		text_add(out, name);
	}
	text_add(out, hook);
}

static bool run_one(const struct runner *r, const char *hook, struct text *why)
{
	struct program p = { .argv = access(BASH, X_OK) ? sh_argv : bash_argv };
	struct text script = { 0 };
	int status = -ENOMEM;

	hook_expand(hook, r->name, &script);
	p.script = p.shown = script.s;
	if (!script.failed)
		status = program_run(r, &p);
	if (status > 0)
		text_addf(why, "hook failed with status %d: %s", status, script.s);
	else if (status < 0)
		text_addf(why, "hook could not be run: %s", strerror(-status));
	text_wipe(&script);
	return !status;
}

bool hooks_run(const struct runner *r, const struct config_strings *hooks, struct text *why)
{
	for (size_t i = 0; i < hooks->count; i++)
		if (!run_one(r, hooks->v[i], why))
			return false;
	return true;
}
