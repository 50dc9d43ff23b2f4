/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_OPTIONS_H
#define MESHD_CLI_OPTIONS_H

#include <stdbool.h>

/* An option of a command: a flag, or with a value, the last of which counts. */
struct cli_option {
	const char *name;	/* "json" is --json; NULL ends the list */
	char letter;		/* 'j': -j says the same; 0: nothing does */
	bool *flag;		/* set where it is said */
	const char **value;	/* the word behind it; NULL: it has none */
};

enum { CLI_OPTIONS_MAX = 16 };

/*
 * Read a command's options, wherever they stand among its words, which come behind them. Returns where in argv the words begin, or -1: there is
 * one that the command does not know, or a value is missing. Says nothing; the caller has cli_usage().
 */
int cli_options(const struct cli_option *options, int argc, char **argv);

#endif
