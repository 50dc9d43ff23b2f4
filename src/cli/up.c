/* SPDX-License-Identifier: MIT */
/*
 * meshd up, down, reload. "up" looks at everything it can before anything is touched, each with a reason of its own, and
 * hands over to the root parent (sys/parent.h). "down" and "reload" ask the daemon on its control socket; where
 * nobody answers, "down" clears away what a killed run left.
 */
#include "cli/cli.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/client.h"
#include "cli/options.h"
#include "crypto/key.h"
#include "node/config.h"
#include "sys/configfile.h"
#include "sys/files.h"
#include "sys/logsink.h"
#include "sys/parent.h"
#include "sys/privs.h"
#include "sys/routing.h"
#include "sys/runfile.h"

#define WG_CONFIG_DIR "/etc/wireguard"

enum {
	DOWN_LIMIT_MS = 30000,
	ORPHAN_LIMIT_MS = 6000,		/* a daemon whose parent was killed ends by itself */
	GOING_LIMIT_MS = 300,		/* somebody who is about to be gone */
	GHOST_LIMIT_MS = 2000,		/* an interface whose processes are dead */
	POLL_MS = 20,
};

/* A reason that already says what it is about. */
static int fail_text(struct text *why)
{
	fprintf(stderr, "%s\n", why->s ? why->s : "out of memory");
	text_done(why);
	return CLI_FAILED;
}

/* The one argument of down and reload, NULL: wrong usage. */
static bool find_argument(struct configfile *f, const char *arg, const char *synopsis, int *status)
{
	struct text why = { 0 };

	if (!arg) {
		*status = cli_usage(synopsis);
		return false;
	}
	if (configfile_find(f, arg, &why))
		return true;
	*status = cli_fail("%s", why.s ? why.s : "out of memory");
	text_done(&why);
	return false;
}

/* Whether 'arg' is a NAME, not a FILE. */
static bool is_name(const char *arg)
{
	return config_interface_name(arg) && !strstr(arg, ".conf");
}

/* ---- up ---- */

struct up_options {
	bool foreground, verbose;
};

/* Who holds the lock once those have gone who are just going: after a kill the daemon outlives its parent for a moment. */
static int settled_holder(const char *name)
{
	int holder = lock_holder(name);
	bool orphan = holder > 0 && kill(holder, 0) < 0 && errno == ESRCH;

	if (holder > 0 && !lock_wait(name, holder, orphan ? ORPHAN_LIMIT_MS : GOING_LIMIT_MS))
		holder = lock_holder(name);
	return holder;
}

/* Whether the name is free of interfaces: that of a run that was killed as a whole may be there for a moment longer than its lock. */
static bool interface_settles(const char *name)
{
	static const struct timespec nap = { .tv_nsec = POLL_MS * 1000000L };
	struct runfile left;
	bool killed;

	if (!if_nametoindex(name))
		return true;
	killed = !runfile_read(&left, name);
	if (killed)
		runfile_done(&left);
	for (int ms = 0; killed && if_nametoindex(name) && ms < GHOST_LIMIT_MS; ms += POLL_MS)
		nanosleep(&nap, NULL);
	return !if_nametoindex(name);
}

/* A name is taken by its lock, or by an interface that is not ours. Says which. */
static bool check_name(const char *name)
{
	int holder = settled_holder(name);

	if (holder > 0)
		cli_fail("%s: already up (process %d)", name, holder);
	else if (holder < 0)
		cli_fail("%s: %s: %s", name, MESHD_RUN_DIR, strerror(-holder));
	else if (!interface_settles(name))
		cli_fail("%s: an interface of that name exists already", name);
	else
		return true;
	return false;
}

/* Whether to make a config: there is none for a NAME. False with 'ok' false: it would be wrong to. */
static bool wants_config(const struct configfile *f, const char *arg, bool *ok)
{
	char other[CONFIGFILE_PATH_MAX];

	*ok = true;
	if (!is_name(arg) || !access(f->path, F_OK) || errno != ENOENT)
		return false;
	snprintf(other, sizeof(other), "%s/%s.conf", WG_CONFIG_DIR, f->name);
	*ok = access(other, F_OK);
	if (!*ok)
		cli_fail("%s: there is no %s, but %s: say \"meshd up %s\" if you mean that one", f->name, f->path, other, other);
	return *ok;
}

static int make_config(const struct configfile *f)
{
	struct text said = { 0 }, why = { 0 };
	int status = CLI_DONE;

	if (!configfile_make(f, &said, &why))
		status = cli_fail("%s", why.s ? why.s : "out of memory");
	else
		fputs(said.failed ? "" : said.s, stdout);
	fflush(stdout);
	text_done(&said);
	text_done(&why);
	return status;
}

static int up(const struct configfile *f, const char *arg, const struct up_options *o)
{
	struct config config;
	struct text why = { 0 };
	struct parent_options p = {
		.name = f->name, .config_file = f->path, .config = &config,
		.foreground = o->foreground, .verbose = o->verbose,
	};
	bool ok, make = wants_config(f, arg, &ok);

	if (!ok)
		return CLI_FAILED;
	if (make && (!check_name(f->name) || make_config(f) != CLI_DONE))
		return CLI_FAILED;
	configfile_warn(f->path);
	if (!configfile_load(f->path, &config, NULL, &why))
		return fail_text(&why);
	if (!make && !check_name(f->name)) {
		config_done(&config);
		return CLI_FAILED;
	}
	return parent_run(&p);
}

int cmd_up(int argc, char **argv)
{
	struct up_options o = { 0 };
	const struct cli_option options[] = { { "foreground", 'f', &o.foreground, NULL }, { "verbose", 'v', &o.verbose, NULL }, { 0 } };
	int at = cli_options(options, argc, argv), status;
	struct text why = { 0 };
	struct configfile f;

	if (at != argc - 1)
		return cli_usage("up [-f] [-v] NAME|FILE.conf");
	privs_protect();
	if (!cli_check_system())
		return CLI_FAILED;
	if (configfile_find(&f, argv[at], &why))
		status = up(&f, argv[at], &o);
	else
		status = cli_fail("%s", why.s ? why.s : "out of memory");
	text_done(&why);
	return status;
}

/* ---- down ---- */

/* It is down; the parent may have left word of what went wrong on the way. */
static int hear_note(const char *name)
{
	struct text note = { 0 };
	int status = CLI_DONE;

	if (runfile_take_note(name, &note))
		status = cli_fail("%s: it is down, but %s", name, note.s ? note.s : "something went wrong");
	text_done(&note);
	return status;
}

/* The parent is there and its daemon does not answer: a signal does the same. */
static int ask_down(const char *name, int holder, bool planned)
{
	struct text why = { 0 };
	bool asked = client_down(name, planned, &why);
	int status = CLI_DONE, error = 0;

	if (!asked && kill(holder, SIGTERM) < 0 && errno != ESRCH)
		status = cli_fail("%s", why.s ? why.s : "out of memory");
	else
		error = lock_wait(name, holder, DOWN_LIMIT_MS);
	if (error)
		status = cli_fail("%s: does not come down: %s", name, strerror(-error));
	else if (status == CLI_DONE)
		status = hear_note(name);
	text_done(&why);
	return status;
}

/* A bare interface (meshd NAME) has no parent and no lock; its daemon may have a control socket. */
static bool down_bare(const char *name)
{
	const struct timespec nap = { .tv_nsec = POLL_MS * 1000000 };
	struct text why = { 0 };
	bool ok = client_down(name, false, &why);

	text_done(&why);
	for (int ms = 0; ok && if_nametoindex(name) && ms < DOWN_LIMIT_MS; ms += POLL_MS)
		nanosleep(&nap, NULL);
	return ok && !if_nametoindex(name);
}

static int clean_up(const char *name)
{
	struct log log = logsink_stderr(false);
	int fd = lock_take(name);
	bool found, kept;

	if (fd == -EBUSY)
		return cli_fail("%s: somebody else is bringing it up or cleaning up right now", name);
	if (fd < 0)
		return cli_fail("%s: %s: %s", name, MESHD_RUN_DIR, strerror(-fd));
	found = runfile_clean(name, &log);
	kept = routing_clean_kept(name);
	lock_release(name, fd);
	if (!found && !kept)
		return cli_fail("%s: not running", name);
	printf("meshd: %s: not running; cleaned up what a run that was %s had left\n", name, found ? "killed" : "to come back");
	return CLI_DONE;
}

/* A parent that was killed cannot tidy up even when its daemon still took the request. What a next run has is none. */
static bool has_leftovers(const char *name)
{
	struct runfile run = { 0 };
	bool found = !lock_holder(name) && !runfile_read(&run, name);

	runfile_done(&run);
	return found;
}

int cmd_down(int argc, char **argv)
{
	struct configfile f;
	bool planned = false;
	const struct cli_option options[] = { { "planned", 0, &planned, NULL }, { 0 } };
	int at = cli_options(options, argc, argv), holder, status;

	if (!find_argument(&f, at == argc - 1 ? argv[at] : NULL, "down [--planned] NAME|FILE.conf", &status))
		return status;
	if (!privs_have_net_admin())
		return cli_fail("the capability CAP_NET_ADMIN is missing: run it as root");
	holder = lock_holder(f.name);
	if (holder < 0)
		return cli_fail("%s: %s: %s", f.name, MESHD_RUN_DIR, strerror(-holder));
	if (holder > 0) {
		status = ask_down(f.name, holder, planned);
		return status == CLI_DONE && has_leftovers(f.name) ? clean_up(f.name) : status;
	}
	return down_bare(f.name) ? CLI_DONE : clean_up(f.name);
}

/* ---- reload ---- */

/* A running interface is reloaded from the file it was brought up with: its hooks come from there. */
static bool use_running_file(struct configfile *f, const char *arg)
{
	struct runfile run;
	bool ok = true;

	if (runfile_read(&run, f->name))
		return true;
	if (run.config_file && strcmp(run.config_file, f->path)) {
		ok = is_name(arg);
		if (ok)
			snprintf(f->path, sizeof(f->path), "%s", run.config_file);
		else
			cli_fail("%s: runs with %s, not with %s", f->name, run.config_file, f->path);
	}
	runfile_done(&run);
	return ok;
}

/* The file as it is; only a key that lies elsewhere is put in, for the daemon cannot read it. */
static int send_config(const struct configfile *f, struct config *c, struct text *text)
{
	struct text why = { 0 };
	int status = CLI_DONE;

	if (c->private_key_file) {
		free(c->private_key_file);
		c->private_key_file = NULL;
		text_wipe(text);
		config_format(c, text);
	}
	if (text->failed)
		status = cli_fail("out of memory");
	else if (!client_reload(f->name, text->s ? text->s : "", text->len, &why))
		status = cli_fail("%s", why.s ? why.s : "out of memory");
	text_done(&why);
	return status;
}

int cmd_reload(int argc, char **argv)
{
	struct text text = { 0 }, why = { 0 };
	struct configfile f;
	struct config c;
	int status;

	if (!find_argument(&f, argc == 2 && argv[1][0] != '-' ? argv[1] : NULL, "reload NAME|FILE.conf", &status))
		return status;
	privs_protect();
	if (!use_running_file(&f, argv[1]))
		return CLI_FAILED;
	configfile_warn(f.path);
	if (configfile_load(f.path, &c, &text, &why)) {
		status = send_config(&f, &c, &text);
		config_done(&c);
	} else {
		status = fail_text(&why);
	}
	text_wipe(&text);
	return status;
}
