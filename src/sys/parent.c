/* SPDX-License-Identifier: MIT */
/*
 * The root parent of a configured interface, from up to down:
 *
 *	PreUp - fork the daemon - wait for FRAME_MADE - firewall, DNS - PostUp - serve -
 *	PreDown - SaveConfig - FRAME_STOP - firewall, DNS back - PostDown
 *
 * One poll loop, pump(), is behind every wait: while a hook runs or a stop is awaited, the daemon's frames, signals and name
 * lookups go on. What arrives only sets a flag or starts a lookup; the steps above look at the flags.
 *
 * Undoing goes by p->run, which is written to disk before each step (sys/runfile.h), so that a killed parent can be cleaned up
 * after. Failing on the way up undoes all and runs no further hook, as in wg-quick; on the way down nothing stops us.
 *
 * Trust: the daemon talks to the network, so nothing it says becomes a command. Hooks and DNS come from the config file alone,
 * also after a reload; of a config it wants saved only peers, keys, addresses and MTU are taken. The parent
 * forgets the keys once the daemon has them.
 */
#include "sys/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/text.h"
#include "crypto/key.h"
#include "node/config.h"
#include "sys/clock.h"
#include "sys/configfile.h"
#include "sys/daemon.h"
#include "sys/dns.h"
#include "sys/files.h"
#include "sys/firewall.h"
#include "sys/frame.h"
#include "sys/hooks.h"
#include "sys/iface.h"
#include "sys/logsink.h"
#include "sys/netlink.h"
#include "sys/notify.h"
#include "sys/privs.h"
#include "sys/program.h"
#include "sys/resolver.h"
#include "sys/routing.h"
#include "sys/runfile.h"

_Static_assert((int)FRAME_MAX >= (int)CONFIG_SIZE_MAX, "a config file of any size can be told");

enum {
	STOP_LIMIT_MS = 5000,	/* from FRAME_STOP to SIGKILL */
	SAVE_LIMIT_MS = 5000,
	ENDPOINT_NAME_LEN_MAX = 1024,
};

struct parent {
	const char *name, *config_file;
	struct config *config;		/* without keys once the daemon runs */
	bool foreground, verbose;
	bool detached;			/* nobody at a terminal reads stderr */
	struct log sink, log;		/* log also tells the terminal while somebody waits there */
	struct runner runner;
	struct notify notify;
	struct resolver resolver;
	struct runfile run;		/* what is to be undone */
	struct text dns_told, firewall_told;	/* as last set */
	int report_fd;			/* to the waiting "meshd up", or -1 */
	int lock_fd, signal_fd, daemon_fd;
	pid_t daemon_pid, program_pid;	/* 0: none */
	int daemon_status, program_status;
	struct text why;		/* why it failed */
	struct text saved;		/* answer to FRAME_SAVE */
	struct frame_made facts;

	bool interruptible;		/* the program that runs is not one of our own tools */
	bool going_down;

	/* What pump() saw. */
	bool made, facts_changed, reloaded, reload_wanted, save_answered, stop, planned;
};

static int64_t now_ms(void)
{
	return clock_now().mono_us / US_PER_MS;
}

/* The log, and stderr for warnings while somebody looks there. */
static void emit(void *ctx, enum log_level level, const char *line)
{
	struct parent *p = ctx;

	if (p->foreground)
		log_record(&p->sink, level, "%s: %s", p->name, line);
	else
		log_record(&p->sink, level, "%s", line);
	if (!p->foreground && !p->detached && level <= LOG_LEVEL_WARNING)
		fprintf(stderr, "meshd: %s: %s\n", p->name, line);
}

/*
 * Something asks to end. On the way up a hook that runs then is in our way; on the way down it is part of what was asked
 * for, and only somebody at the keyboard (SIGINT) may be impatient with it. Programs of our own, nft and resolvconf, are
 * never cut off (sys/program.h).
 */
static void request_stop(struct parent *p, bool impatient)
{
	p->stop = true;
	if (p->interruptible && p->program_pid > 0 && (impatient || !p->going_down))
		kill(p->program_pid, SIGTERM);
}

static void on_resolved(void *ctx, const char *name, const char *addresses)
{
	struct parent *p = ctx;
	struct text t = { 0 };

	text_add_bytes(&t, name, strlen(name) + 1);
	text_add(&t, addresses);
	if (!t.failed && p->daemon_fd >= 0)
		frame_send(p->daemon_fd, FRAME_RESOLVED, t.s, t.len);
	text_done(&t);
}

static void on_made(struct parent *p, const char *payload, size_t len)
{
	if (!frame_made_take(&p->facts, payload, len))
		return;
	p->facts_changed = p->made;
	p->made = true;
}

static void on_frame(struct parent *p, int type, const char *payload, size_t len)
{
	switch (type) {
	case FRAME_MADE:
		on_made(p, payload, len);
		break;
	case FRAME_FAILED:
		text_reset(&p->why);
		text_add(&p->why, payload);
		break;
	case FRAME_DOWN:
		request_stop(p, false);
		break;
	case FRAME_RELOADED:
		p->reloaded = true;
		break;
	case FRAME_RESOLVE:
		if (len <= ENDPOINT_NAME_LEN_MAX)
			resolver_ask(&p->resolver, payload, now_ms());
		break;
	case FRAME_CONFIG:
		text_wipe(&p->saved);
		text_add_bytes(&p->saved, payload, len);
		p->save_answered = true;
		break;
	default:
		log_warning(&p->log, "the daemon sent a frame of unknown type %d", type);
	}
}

static void close_daemon_fd(struct parent *p)
{
	if (p->daemon_fd >= 0)
		close(p->daemon_fd);
	p->daemon_fd = -1;
}

static void read_frame(struct parent *p)
{
	char *payload = NULL;
	size_t len = 0;
	int type = frame_receive(p->daemon_fd, &payload, &len);

	if (type < 0)
		log_error(&p->log, "the daemon's socket: %s", strerror(-type));
	if (type <= 0) {
		close_daemon_fd(p);
		return;
	}
	on_frame(p, type, payload, len);
	crypto_wipe(payload, len);
	free(payload);
}

/* A terminal that hangs up ends what runs on it; anybody else means "read the config again". */
static void on_hangup(struct parent *p)
{
	if (!p->made || (p->foreground && isatty(STDERR_FILENO)))
		request_stop(p, false);
	else
		p->reload_wanted = true;
}

static void read_signals(struct parent *p)
{
	struct signalfd_siginfo s;

	while (read(p->signal_fd, &s, sizeof(s)) == sizeof(s)) {
		p->planned |= s.ssi_signo == SIGUSR1;	/* "meshd down --planned" for who has only signals, as systemd */
		if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT || s.ssi_signo == SIGUSR1)
			request_stop(p, s.ssi_signo == SIGINT);
		else if (s.ssi_signo == SIGHUP)
			on_hangup(p);
	}
}

/* Whether the process of *pid ended; it is then 0. */
static bool reap(pid_t *pid, int *status)
{
	if (*pid <= 0 || waitpid(*pid, status, WNOHANG) != *pid)
		return false;
	*pid = 0;
	return true;
}

/* Everything the daemon said before it died counts. */
static void drain_frames(struct parent *p)
{
	struct pollfd f = { .fd = p->daemon_fd, .events = POLLIN };

	while (p->daemon_fd >= 0 && poll(&f, 1, 0) > 0)
		read_frame(p);
	close_daemon_fd(p);
}

/* One turn: wait for something until 'until_ms' (-1: as long as it takes), and take it in. */
static void pump(struct parent *p, int64_t until_ms)
{
	struct pollfd fds[2 + RESOLVER_CHILDREN] = {
		{ .fd = p->signal_fd, .events = POLLIN },
		{ .fd = p->daemon_fd, .events = POLLIN },
	};
	size_t count = 2 + resolver_fds(&p->resolver, fds + 2);
	int64_t now = now_ms();
	int timeout = resolver_timeout_ms(&p->resolver, now);

	if (until_ms >= 0 && (timeout < 0 || until_ms - now < timeout))
		timeout = until_ms > now ? (int)(until_ms - now) : 0;
	if (poll(fds, count, timeout) < 0)
		return;
	read_signals(p);
	if (fds[1].revents)
		read_frame(p);
	resolver_turn(&p->resolver, now_ms());
	if (reap(&p->daemon_pid, &p->daemon_status))
		drain_frames(p);
	reap(&p->program_pid, &p->program_status);
}

/* The runner's wait: everything else goes on. */
static int wait_program(void *ctx, pid_t pid)
{
	struct parent *p = ctx;

	p->program_pid = pid;
	while (p->program_pid)
		pump(p, -1);
	return p->program_status;
}

static bool write_runfile(struct parent *p)
{
	int error = runfile_write(&p->run, p->name);

	if (error)
		text_addf(&p->why, "cannot write to %s: %s", MESHD_RUN_DIR, strerror(-error));
	return !error;
}

/* False, with a reason, when going further up makes no sense. */
static bool goes_on(struct parent *p)
{
	if (p->why.len)
		return false;
	if (p->stop)
		text_add(&p->why, "interrupted");
	else if (p->made && !p->daemon_pid)
		text_add(&p->why, "the daemon ended");
	return !p->why.len;
}

/* ---- DNS and firewall ---- */

static void undo_dns(struct parent *p)
{
	if (p->run.dns_entry)
		dns_unset(&p->runner, p->run.dns_entry);
	free(p->run.dns_entry);
	p->run.dns_entry = NULL;
	text_reset(&p->dns_told);
}

/* Set what the config says now, if it is not what is set. */
static bool set_dns(struct parent *p)
{
	struct text text = { 0 }, entry = { 0 };
	char path[PROGRAM_PATH_MAX];
	bool ok = true;

	dns_text(p->config, &text);
	dns_system_entry(p->name, &entry);
	if (!text.len) {
		undo_dns(p);
	} else if (!program_find("resolvconf", path)) {
		log_warning(&p->log, "DNS is not set: there is no resolvconf on this system");
	} else if (!p->dns_told.len || strcmp(p->dns_told.s, text.s)) {
		free(p->run.dns_entry);
		p->run.dns_entry = entry.failed ? NULL : strdup(entry.s);
		ok = p->run.dns_entry && write_runfile(p) && !dns_set(&p->runner, p->run.dns_entry, text.s, &p->why);
		text_reset(&p->dns_told);
		text_add(&p->dns_told, ok ? text.s : "");
	}
	text_done(&text);
	text_done(&entry);
	return ok;
}

static void undo_firewall(struct parent *p)
{
	firewall_unset(&p->runner, p->name, p->run.firewall, p->run.default4, p->run.default6);
	p->run.firewall = FIREWALL_NONE;
	text_reset(&p->firewall_told);
}

/* What the daemon told of the default route goes to disk before anything else is done about it. */
static bool note_facts(struct parent *p, enum firewall_tool tool)
{
	p->run.mark = p->facts.mark;
	p->run.default4 = p->facts.default4;
	p->run.default6 = p->facts.default6;
	p->run.firewall = p->facts.default4 || p->facts.default6 ? tool : FIREWALL_NONE;
	return write_runfile(p);
}

/* The listen prefix is the daemon's to make and take back; it goes to disk for the case that it is killed. */
static bool note_listen_prefix(struct parent *p)
{
	const struct ip_prefix *now = &p->facts.listen_prefix, *noted = &p->run.listen_prefix;

	if (ip_prefix_equal(now, noted))
		return true;
	p->run.listen_prefix = *now;
	return write_runfile(p);
}

static bool set_firewall(struct parent *p)
{
	enum firewall_tool tool = firewall_tool();
	struct firewall f = {
		.name = p->name, .mark = p->facts.mark, .v4 = p->facts.default4, .v6 = p->facts.default6,
		.addresses = p->facts.addresses, .address_count = p->facts.address_count,
	};
	struct text rules = { 0 };
	bool ok = true;

	if (f.v4)
		firewall_nft_text(&f, IP_V4, &rules);
	if (f.v6)
		firewall_nft_text(&f, IP_V6, &rules);
	if (rules.len != p->firewall_told.len || (rules.len && strcmp(rules.s, p->firewall_told.s))) {
		undo_firewall(p);
		ok = note_facts(p, tool);
		if (rules.len && tool == FIREWALL_NONE)
			log_warning(&p->log, "the default route has no firewall rules: neither nft nor iptables-restore is here");
		else if (rules.len && ok)
			ok = !firewall_set(&p->runner, &f, tool, &p->why);
		text_add(&p->firewall_told, ok && rules.len ? rules.s : "");
	}
	text_done(&rules);
	return ok;
}

/* ---- the daemon's process ---- */

static void to_dev_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * A session of its own, or an interrupt on the terminal would end it before PreDown. It keeps a copy of the lock: as
 * long as it lives the name is taken, even if we are killed.
 */
_Noreturn static void daemon_child(struct parent *p, int fd)
{
	struct daemon_options o = {
		.name = p->name,
		.config_file = p->config_file,
		.config = p->config,
		.parent_fd = fd,
		.log = p->sink,
	};

	setsid();
	program_reset_signals();
	close(p->signal_fd);
	close(p->daemon_fd);
	if (p->report_fd >= 0)
		close(p->report_fd);
	notify_close(&p->notify);
	if (!p->foreground)
		to_dev_null();
	exit(daemon_run(&o));
}

static bool start_daemon(struct parent *p)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		text_addf(&p->why, "socketpair: %s", strerror(errno));
		return false;
	}
	p->daemon_fd = fds[0];
	fflush(NULL);
	pid = fork();
	if (!pid)
		daemon_child(p, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		text_addf(&p->why, "fork: %s", strerror(errno));
		close_daemon_fd(p);
		return false;
	}
	p->daemon_pid = pid;
	change_done(&p->config->change);
	return true;
}

static void describe_death(const struct parent *p, struct text *out)
{
	int sig = WTERMSIG(p->daemon_status);

	if (WIFSIGNALED(p->daemon_status))
		text_addf(out, "the daemon died by signal %d (%s)", sig, strsignal(sig));
	else
		text_addf(out, "the daemon ended with status %d", WEXITSTATUS(p->daemon_status));
}

static bool wait_made(struct parent *p)
{
	while (!p->made && !p->stop && p->daemon_pid && p->daemon_fd >= 0)
		pump(p, -1);
	if (!p->made && !p->stop && !p->why.len && !p->daemon_pid)
		describe_death(p, &p->why);
	else if (!p->made && !p->stop && !p->why.len)
		text_add(&p->why, "the daemon closed its socket");
	return goes_on(p);
}

static void stop_daemon(struct parent *p)
{
	int64_t limit = now_ms() + STOP_LIMIT_MS;

	if (p->daemon_pid && p->daemon_fd >= 0)
		frame_send(p->daemon_fd, FRAME_STOP, "", p->planned);
	while (p->daemon_pid && now_ms() < limit)
		pump(p, limit);
	if (p->daemon_pid) {
		log_error(&p->log, "the daemon does not end: killed");
		kill(p->daemon_pid, SIGKILL);
	}
	while (p->daemon_pid)
		pump(p, -1);
	resolver_done(&p->resolver);
}

/* ---- SaveConfig and reload ---- */

static void swap_addresses(struct config *a, struct config *b)
{
	struct config old = *a;

	a->addresses = b->addresses;
	a->address_count = b->address_count;
	b->addresses = old.addresses;
	b->address_count = old.address_count;
}

/* Our config with what the running interface has of its own, as text. */
static bool merge_saved(struct parent *p, struct text *out, struct text *why)
{
	struct config *c = p->config, running = { 0 };

	if (!config_parse(&running, "saved config", p->saved.s, p->saved.len, why))
		return false;
	change_done(&c->change);
	c->change = running.change;
	running.change = (struct change){ 0 };
	if (running.address_count)
		swap_addresses(c, &running);
	if (c->mtu && running.mtu)
		c->mtu = running.mtu;
	if (c->private_key_file) {
		crypto_wipe(c->change.private_key, KEY_LEN);
		c->change.bits &= ~(unsigned int)CHANGE_PRIVATE_KEY;
	}
	config_format(c, out);
	change_done(&c->change);
	config_done(&running);
	if (out->failed)
		text_add(why, "out of memory");
	else if (out->len > CONFIG_SIZE_MAX)
		text_add(why, "it would be larger than a config file may be (16 MiB)");
	return !why->len && !out->failed;
}

/* To the log, and to the "meshd down" that waits for us to be gone. */
static void tell_not_saved(struct parent *p, const char *why)
{
	struct text note = { 0 };

	text_addf(&note, "the config is not saved: %s", why);
	log_error(&p->log, "SaveConfig: %s", note.s ? note.s : why);
	if (note.s)
		runfile_write_note(p->name, note.s);
	text_done(&note);
}

static void save_config(struct parent *p)
{
	int64_t limit = now_ms() + SAVE_LIMIT_MS;
	struct text text = { 0 }, why = { 0 };
	struct stat st;
	int error = 0;

	if (p->daemon_fd >= 0)
		frame_send(p->daemon_fd, FRAME_SAVE, NULL, 0);
	while (!p->save_answered && p->daemon_pid && p->daemon_fd >= 0 && now_ms() < limit)
		pump(p, limit);
	if (!p->save_answered)
		text_add(&why, "the daemon did not tell it");
	else if (!p->saved.len)
		text_add(&why, "the daemon has no memory for it, or it is larger than a config file may be (16 MiB)");
	else if (merge_saved(p, &text, &why))
		error = file_replace(p->config_file, text.s, text.len, stat(p->config_file, &st) ? 0600 : st.st_mode & 0777);
	if (error)
		text_addf(&why, "%s: %s", p->config_file, strerror(-error));
	if (why.len)
		tell_not_saved(p, why.s);
	text_wipe(&text);
	text_done(&why);
	text_wipe(&p->saved);
}

/* The daemon has a new config in force: hooks and DNS follow, from the file itself. */
static void take_over(struct parent *p)
{
	struct text why = { 0 };
	struct config c;

	if (configfile_load(p->config_file, &c, NULL, &why)) {
		change_done(&c.change);
		config_done(p->config);
		*p->config = c;
		text_reset(&p->why);
		if (!set_firewall(p) || !set_dns(p))
			log_error(&p->log, "reload: %s", p->why.s ? p->why.s : "out of memory");
		text_reset(&p->why);
	} else {
		log_warning(&p->log, "reload: hooks and DNS stay as they were: %s", why.s);
	}
	text_done(&why);
}

/* SIGHUP: what "meshd reload" does, by the same program. */
static void reload_myself(struct parent *p)
{
	const char *const argv[] = { "/proc/self/exe", "reload", p->config_file, NULL };
	struct program program = { .argv = argv };
	int status;

	p->interruptible = true;
	status = program_run(&p->runner, &program);
	p->interruptible = false;
	if (status)
		log_warning(&p->log, "reload failed: the config in force stays");
}

/* ---- up, serve, down ---- */

/* From here on nobody at a terminal looks at us. */
static void detach(struct parent *p)
{
	setsid();
	if (chdir("/"))
		log_warning(&p->log, "chdir /: %s", strerror(errno));
	to_dev_null();
	p->detached = true;
	p->runner.to_log = true;
}

static void report_up(struct parent *p)
{
	notify_send(&p->notify, "READY=1\nSTATUS=up");
	if (p->foreground)
		return;
	detach(p);
	if (p->report_fd >= 0) {
		(void)!write(p->report_fd, "", 1);
		close(p->report_fd);
	}
	p->report_fd = -1;
}

static bool run_hooks(struct parent *p, enum config_hook hook)
{
	bool ok;

	p->interruptible = true;
	ok = hooks_run(&p->runner, &p->config->hooks[hook], &p->why);
	p->interruptible = false;
	if (p->stop)
		text_reset(&p->why);	/* the hook failed because we ended it */
	return goes_on(p) && ok;
}

/* A hook that fails on the way down is told, and the way goes on: with the next hook, for each takes something else back. */
static void run_hooks_down(struct parent *p, enum config_hook hook)
{
	const struct config_strings *all = &p->config->hooks[hook];

	p->interruptible = true;
	for (size_t i = 0; i < all->count; i++) {
		const struct config_strings one = { .v = &all->v[i], .count = 1 };
		struct text why = { 0 };

		if (!hooks_run(&p->runner, &one, &why))
			log_error(&p->log, "%s", why.s ? why.s : "out of memory");
		text_done(&why);
	}
	p->interruptible = false;
}

static bool bring_up(struct parent *p)
{
	return run_hooks(p, HOOK_PRE_UP) && start_daemon(p) && wait_made(p) && note_listen_prefix(p) &&
	       set_firewall(p) && set_dns(p) && goes_on(p) && run_hooks(p, HOOK_POST_UP);
}

static void serve(struct parent *p)
{
	while (!p->stop && p->daemon_pid && p->daemon_fd >= 0) {
		if (p->facts_changed) {
			p->facts_changed = false;
			if (!note_listen_prefix(p) || !set_firewall(p))
				log_error(&p->log, "%s", p->why.s ? p->why.s : "out of memory");
			text_reset(&p->why);
		} else if (p->reloaded) {
			p->reloaded = false;
			take_over(p);
		} else if (p->reload_wanted) {
			p->reload_wanted = false;
			reload_myself(p);
		} else {
			pump(p, -1);
		}
	}
}

/* What a daemon that was killed could not take back: sockets, the rules of the default route, the listen prefix. */
static void undo_daemon(struct parent *p)
{
	struct netlink nl;

	if (!WIFSIGNALED(p->daemon_status))
		return;
	runfile_remove_sockets(p->name);
	routing_clean_kept(p->name);
	if ((!p->run.mark && p->run.listen_prefix.addr.family == IP_NONE) || netlink_open(&nl))
		return;
	iface_cleanup_rules(&nl, p->run.mark);
	iface_cleanup_listen_prefix(&nl, &p->run.listen_prefix);
	netlink_close(&nl);
}

/* Returns the exit status. */
static int take_down(struct parent *p)
{
	bool asked = p->stop;
	struct text death = { 0 };

	p->going_down = true;
	notify_send(&p->notify, "STOPPING=1\nSTATUS=going down");
	if (asked)
		run_hooks_down(p, HOOK_PRE_DOWN);
	if (asked && p->config->save_config)
		save_config(p);
	stop_daemon(p);
	if (!WIFEXITED(p->daemon_status) || WEXITSTATUS(p->daemon_status)) {
		describe_death(p, &death);
		log_error(&p->log, "%s", death.s);
	} else if (!asked) {
		log_info(&p->log, "the interface was deleted");
	}
	text_done(&death);
	undo_dns(p);
	undo_firewall(p);
	undo_daemon(p);
	run_hooks_down(p, HOOK_POST_DOWN);
	return !WIFEXITED(p->daemon_status) || WEXITSTATUS(p->daemon_status);
}

/* Up has failed: everything back, no hooks. What the daemon says begins with the name already. */
static int give_up(struct parent *p)
{
	const char *why = p->why.len ? p->why.s : "out of memory";
	size_t len = strlen(p->name);
	bool named = !strncmp(why, p->name, len) && why[len] == ':';

	stop_daemon(p);
	undo_dns(p);
	undo_firewall(p);
	undo_daemon(p);
	fprintf(stderr, "meshd: %s%s%s\n", named ? "" : p->name, named ? "" : ": ", why);
	return 1;
}

static bool catch_signals(struct parent *p)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, plain = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGCHLD, &plain, NULL);	/* ignored, there would be nothing to wait for */
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd >= 0;
}

/* Take the name, and clear away what a killed run of it left. */
static bool take_name(struct parent *p)
{
	p->lock_fd = lock_take(p->name);
	if (p->lock_fd == -EBUSY)
		text_add(&p->why, "already up");
	else if (p->lock_fd < 0)
		text_addf(&p->why, "cannot lock the name in %s: %s", MESHD_RUN_DIR, strerror(-p->lock_fd));
	if (p->lock_fd < 0)
		return false;
	runfile_take_note(p->name, NULL);
	if (runfile_clean(p->name, &p->log))
		log_info(&p->log, "cleaned up after a run that was killed");
	p->run.config_file = strdup(p->config_file);
	return p->run.config_file && write_runfile(p);
}

static int live(struct parent *p)
{
	int status;

	if (!take_name(p) || !catch_signals(p) || !bring_up(p)) {
		status = give_up(p);
	} else {
		report_up(p);
		log_info(&p->log, "up");
		serve(p);
		status = take_down(p);
	}
	if (p->lock_fd >= 0) {
		if (status)
			routing_clean_kept(p->name);	/* whoever was to come back does not */
		runfile_remove(p->name);
		lock_release(p->name, p->lock_fd);
	}
	return status;
}

static void prepare(struct parent *p, const struct parent_options *o, int report_fd)
{
	*p = (struct parent){
		.name = o->name, .config_file = o->config_file, .config = o->config,
		.foreground = o->foreground, .verbose = o->verbose,
		.report_fd = report_fd, .lock_fd = -1, .signal_fd = -1, .daemon_fd = -1,
	};
	p->notify.fd = -1;
	p->sink = o->foreground ? logsink_stderr(o->verbose) : logsink_syslog(o->name, o->verbose);
	p->log = (struct log){ .emit = emit, .ctx = p };
	p->runner = (struct runner){
		.wait = wait_program, .ctx = p, .log = p->log, .name = o->name, .config_file = o->config_file,
	};
	resolver_init(&p->resolver, on_resolved, p);
	if (o->foreground)
		notify_open(&p->notify);
}

static void clear(struct parent *p)
{
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	if (p->report_fd >= 0)
		close(p->report_fd);
	notify_close(&p->notify);
	runfile_done(&p->run);
	text_done(&p->dns_told);
	text_done(&p->firewall_told);
	text_done(&p->why);
	text_wipe(&p->saved);
	config_done(p->config);
}

static int run(const struct parent_options *o, int report_fd)
{
	struct parent p;
	int status;

	privs_protect();
	prepare(&p, o, report_fd);
	status = live(&p);
	clear(&p);
	return status;
}

/* ---- the waiting "meshd up" ---- */

static volatile sig_atomic_t waited_for;

static void forward(int signal)
{
	kill((pid_t)waited_for, signal);
}

/* Wait for the parent's one byte. An interrupt at the terminal reaches the parent by itself: it undoes, we wait for that. */
static int wait_report(int fd, pid_t pid)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, pass = { .sa_handler = forward };
	int status = 0;
	ssize_t n;
	char byte;

	waited_for = pid;
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGTERM, &pass, NULL);
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "meshd: died by signal %d\n", WTERMSIG(status));
	return 1;
}

/* Descriptors that our caller left open are not kept from closing by a process that stays. */
_Noreturn static void background_child(const struct parent_options *o, int report_fd)
{
	fcntl(dup2(report_fd, STDERR_FILENO + 1), F_SETFD, FD_CLOEXEC);
	program_close_from(STDERR_FILENO + 2);
	exit(run(o, STDERR_FILENO + 1));
}

static int run_background(const struct parent_options *o)
{
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		fprintf(stderr, "meshd: %s: pipe: %s\n", o->name, strerror(errno));
		config_done(o->config);
		return 1;
	}
	fflush(NULL);
	pid = fork();
	if (!pid)
		background_child(o, fds[1]);
	close(fds[1]);
	config_done(o->config);
	status = pid > 0 ? wait_report(fds[0], pid) : 1;
	if (pid < 0)
		fprintf(stderr, "meshd: %s: fork: %s\n", o->name, strerror(errno));
	close(fds[0]);
	return status;
}

int parent_run(struct parent_options *o)
{
	return o->foreground ? run(o, -1) : run_background(o);
}
