/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_HOOKS_H
#define MESHD_SYS_HOOKS_H

#include <stdbool.h>

#include "base/text.h"

struct config_strings;
struct runner;

/* PreUp, PostUp, PreDown, PostDown, in the manner of wg-quick. */

/* 'hook' with every %i replaced by 'name'. */
void hook_expand(const char *hook, const char *name, struct text *out);

/*
 * Run the hooks in order; the first that fails ends it: false, with one line in 'why'. They run under bash where
 * there is one (/bin/bash), else /bin/sh; a hook stops at the first command of its that fails.
 */
bool hooks_run(const struct runner *r, const struct config_strings *hooks, struct text *why);

#endif
