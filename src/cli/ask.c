/* SPDX-License-Identifier: MIT */
/*
 * Asking daemons, one or all that run, and printing what was made of their answers. One that does not answer is told of on
 * standard error, and the others are shown all the same.
 */
#include "cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/term.h"
#include "node/config.h"

struct answers {
	bool sub_sessions;
	Meshd__Status **v;
	size_t count;
};

static bool ask_one(void *ctx, const char *name)
{
	struct answers *a = ctx;
	struct text why = { 0 };
	Meshd__Status *s, **bigger = reallocarray(a->v, a->count + 1, sizeof(*a->v));
	bool ok;

	if (!bigger)
		return false;
	a->v = bigger;
	ok = client_status(name, a->sub_sessions, &s, &why);
	if (ok)
		a->v[a->count++] = s;
	else
		cli_fail("%s", why.len ? why.s : name);
	text_done(&why);
	return ok;
}

bool ask_each(const char *name, bool (*one)(void *ctx, const char *name), void *ctx)
{
	struct client_names names = { 0 };
	struct text why = { 0 };
	bool ok;

	if (name)
		return one(ctx, name);
	ok = client_names(&names, &why);
	if (!ok)
		cli_fail("%s", why.len ? why.s : "no memory");
	for (size_t i = 0; i < names.count; i++)
		ok = one(ctx, names.v[i]) && ok;
	if (ok && !names.count)
		cli_fail("no interface is running (start one with: meshd up NAME)");
	text_done(&why);
	client_names_done(&names);
	return ok;
}

bool ask_print(struct text *out)
{
	bool ok = !out->failed;

	if (!ok) {
		cli_fail("no memory for the answer");
	} else if (out->len && (fwrite(out->s, 1, out->len, stdout) != out->len || fflush(stdout))) {
		cli_fail("standard output: %s", strerror(errno));
		ok = false;
	}
	text_done(out);
	return ok;
}

static bool print(const struct ask_command *c, const struct answers *a, bool json)
{
	struct text out = { 0 };

	if (json)
		c->json(a->v, a->count, &out);
	else
		c->text(a->v, a->count, term_wants_colour(), &out);
	return ask_print(&out);
}

int ask_arguments(const struct cli_option *options, const char *synopsis, int argc, char **argv, const char **words, int words_max)
{
	int at = cli_options(options, argc, argv);

	if (at < 0 || argc - at > words_max)
		return cli_usage(synopsis);
	for (int i = 0; i < words_max; i++)
		words[i] = at + i < argc ? argv[at + i] : NULL;
	if (!words[0] || config_interface_name(words[0]))
		return CLI_DONE;
	cli_fail("'%s' cannot be an interface's name", words[0]);
	return CLI_USAGE;
}

int ask_run(const struct ask_command *command, int argc, char **argv)
{
	struct answers a = { .sub_sessions = command->sub_sessions };
	bool json = false, asked, printed;
	const struct cli_option options[] = { { "json", 'j', &json, NULL }, { 0 } };
	const char *name = NULL;
	char synopsis[64];
	int status;

	snprintf(synopsis, sizeof(synopsis), "%s [NAME] [--json]", argv[0]);
	status = ask_arguments(options, synopsis, argc, argv, &name, 1);
	if (status != CLI_DONE)
		return status;
	asked = ask_each(name, ask_one, &a);
	printed = (!asked && !a.count) || print(command, &a, json);
	for (size_t i = 0; i < a.count; i++)
		meshd__status__free_unpacked(a.v[i], NULL);
	free(a.v);
	return asked && printed ? CLI_DONE : CLI_FAILED;
}
