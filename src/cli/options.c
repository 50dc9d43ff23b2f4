/* SPDX-License-Identifier: MIT */
/*
 * The options of commands, as getopt_long(3) reads them: in any order, abbreviated, up to "--". What one means is the table's, so a command
 * says its options once. Those whose options are parsed one by one, as they come (init, invite), have a loop of their own.
 */
#include "cli/options.h"

#include <getopt.h>
#include <stddef.h>

/* What getopt_long() returns for the option with this index: no character, and not 0 either. */
enum { FIRST = 256 };

/* The table in getopt's terms. Returns how many there are. */
static int translate(const struct cli_option *options, struct option longs[CLI_OPTIONS_MAX + 1], char letters[CLI_OPTIONS_MAX * 2 + 1])
{
	int count = 0;

	for (; options[count].name && count < CLI_OPTIONS_MAX; count++) {
		const struct cli_option *o = &options[count];

		longs[count] = (struct option){ .name = o->name, .has_arg = o->value ? required_argument : no_argument, .val = FIRST + count };
		if (o->letter)
			*letters++ = o->letter;
		if (o->letter && o->value)
			*letters++ = ':';
	}
	longs[count] = (struct option){ 0 };
	*letters = '\0';
	return count;
}

static const struct cli_option *find(const struct cli_option *options, int count, int c)
{
	if (c >= FIRST)
		return &options[c - FIRST];
	for (int i = 0; i < count; i++)
		if (options[i].letter == c)
			return &options[i];
	return NULL;
}

int cli_options(const struct cli_option *options, int argc, char **argv)
{
	struct option longs[CLI_OPTIONS_MAX + 1];
	char letters[CLI_OPTIONS_MAX * 2 + 1];
	int count = translate(options, longs, letters), c;

	optind = 0;	/* glibc and musl: start over */
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct cli_option *o = find(options, count, c);

		if (!o)
			return -1;
		if (o->flag)
			*o->flag = true;
		if (o->value)
			*o->value = optarg;
	}
	return optind;
}
