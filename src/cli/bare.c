/* SPDX-License-Identifier: MIT */
/*
 * meshd IFACE: an interface that nobody configures but wg(8), run in the manner of wireguard-go so that wg-quick takes it:
 * in the background, returning when the UAPI socket answers; in front with -f or WG_PROCESS_FOREGROUND=1.
 * LOG_LEVEL says how much goes to stderr ("verbose" or "debug", "error", "silent"); set, it keeps stderr open in the background
 * too, as there. Without it the background logs to syslog.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/daemon.h"
#include "sys/logsink.h"
#include "sys/privs.h"
#include "sys/program.h"

struct bare {
	const char *name;
	int report_fd;			/* to the process that waits, or -1: in the foreground */
	bool keep_output;
	int status;
	struct log to;			/* for errors alone */
};

static void emit_errors(void *ctx, enum log_level level, const char *line)
{
	const struct bare *b = ctx;

	if (level == LOG_LEVEL_ERROR)
		b->to.emit(b->to.ctx, level, line);
}

static struct log choose_log(struct bare *b)
{
	const char *level = getenv("LOG_LEVEL");
	bool verbose = level && (!strcmp(level, "verbose") || !strcmp(level, "debug"));

	if (level && !strcmp(level, "silent"))
		return (struct log){ 0 };
	b->keep_output = level && *level;
	if (b->report_fd >= 0 && !b->keep_output)
		return logsink_syslog(b->name, false);
	b->to = logsink_stderr(verbose);
	return level && !strcmp(level, "error") ? (struct log){ .emit = emit_errors, .ctx = b } : b->to;
}

/* Only standard input goes when the user wants to read the log. */
static void leave_terminal(const struct bare *b)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	if (!b->keep_output) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	if (fd > STDERR_FILENO)
		close(fd);
}

static void on_ready(void *ctx, const char *why)
{
	struct bare *b = ctx;

	if (why) {
		b->status = cli_fail("%s", why);
		return;
	}
	b->status = CLI_DONE;
	if (b->report_fd < 0)
		return;
	leave_terminal(b);
	(void)!write(b->report_fd, "", 1);
	close(b->report_fd);
	b->report_fd = -1;
}

static int run(const char *name, int report_fd)
{
	struct bare b = { .name = name, .report_fd = report_fd, .status = CLI_FAILED };
	struct daemon_options o = { .name = name, .parent_fd = -1, .log = choose_log(&b), .ready = on_ready, .ctx = &b };
	int status;

	privs_protect();
	status = daemon_run(&o);
	return b.status == CLI_DONE ? status : b.status;
}

static int wait_ready(int fd, pid_t pid)
{
	int status = 0;
	ssize_t n;
	char byte;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return CLI_DONE;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? cli_fail("died by signal %d", WTERMSIG(status)) : CLI_FAILED;
}

_Noreturn static void background_child(const char *name, int report_fd)
{
	fcntl(dup2(report_fd, STDERR_FILENO + 1), F_SETFD, FD_CLOEXEC);
	program_close_from(STDERR_FILENO + 2);
	setsid();
	exit(chdir("/") ? cli_fail("chdir /: %s", strerror(errno)) : run(name, STDERR_FILENO + 1));
}

static int run_background(const char *name)
{
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cli_fail("pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (!pid)
		background_child(name, fds[1]);
	close(fds[1]);
	status = pid < 0 ? cli_fail("fork: %s", strerror(errno)) : wait_ready(fds[0], pid);
	close(fds[0]);
	return status;
}

int bare_run(const char *name, bool foreground)
{
	const char *env = getenv("WG_PROCESS_FOREGROUND");

	if (!cli_check_system())
		return CLI_FAILED;
	if (foreground || (env && !strcmp(env, "1")))
		return run(name, -1);
	return run_background(name);
}
