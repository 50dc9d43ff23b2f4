/* SPDX-License-Identifier: MIT */
/*
 * Running programs. Input and output go through memory files, not pipes: nobody has to feed or drain while the
 * program runs, and a program that leaves something running in the background with its output open does not hold us
 * up. An output file is sealed at PROGRAM_OUTPUT_MAX, so it cannot grow for ever.
 *
 * All descriptors of ours are close-on-exec; the child keeps 0, 1, 2 and PROGRAM_SCRIPT_FD. How to wait is the
 * runner's: the root parent goes on serving its daemon meanwhile, a command just waits.
 */
#include "sys/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/privs.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { EXIT_NO_EXEC = 126 };	/* as shells have it */

static int wait_plain(void *ctx, pid_t pid)
{
	int status = 0;

	(void)ctx;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

struct runner runner_plain(const struct log *log)
{
	return (struct runner){ .wait = wait_plain, .log = *log };
}

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

bool program_find(const char *name, char path[PROGRAM_PATH_MAX])
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/')) {
		if (strlen(name) >= PROGRAM_PATH_MAX)
			return false;
		strcpy(path, name);
		return is_program(path);
	}
	for (const char *d = dirs ? dirs : PATH_DEFAULT; d; d = strchr(d, ':') ? strchr(d, ':') + 1 : NULL) {
		int len = (int)strcspn(d, ":");
		int n = snprintf(path, PROGRAM_PATH_MAX, "%.*s/%s", len ? len : 1, len ? d : ".", name);

		if (n < PROGRAM_PATH_MAX && is_program(path))
			return true;
	}
	return false;
}

/* Behind every descriptor the child is to have, or putting one in its place would close another before it has come to its own. */
static int memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC), high;

	if (fd < 0 || fd > PROGRAM_SCRIPT_FD)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, PROGRAM_SCRIPT_FD + 1);
	close(fd);
	return high;
}

/* A memory file with 'len' bytes in it, at its start. */
static int input_file(const char *data, size_t len)
{
	int fd = memory_file("input");

	while (fd >= 0 && len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			return -1;
		}
		data += n;
		len -= (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void output_read(int fd, struct text *out)
{
	char part[4096];
	off_t at = 0;
	ssize_t n;

	while (at < PROGRAM_OUTPUT_MAX && (n = pread(fd, part, sizeof(part), at)) > 0) {
		text_add_bytes(out, part, (size_t)n);
		at += n;
	}
}

/* Line by line to the log: what a program said when nobody was looking. */
static void output_log(int fd, const struct log *log)
{
	struct text all = { 0 };
	char *rest;

	output_read(fd, &all);
	for (char *line = all.s ? strtok_r(all.s, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		log_info(log, "%s", line);
	text_done(&all);
}

void program_reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* close_range(2) is not in every C library, nor in every kernel. */
void program_close_from(int first)
{
	if (!syscall(SYS_close_range, (unsigned int)first, UINT_MAX, 0))
		return;
	for (long fd = first, end = sysconf(_SC_OPEN_MAX); fd < end; fd++)
		close((int)fd);
}

struct files {
	int input, script, output;	/* -1: none */
};

static void files_close(const struct files *f)
{
	if (f->input >= 0)
		close(f->input);
	if (f->script >= 0)
		close(f->script);
	if (f->output >= 0)
		close(f->output);
}

static bool files_open(struct files *f, const struct runner *r, const struct program *p)
{
	bool wants_output = p->output || r->to_log;

	f->input = p->input ? input_file(p->input, p->input_len) : -1;
	f->script = p->script ? input_file(p->script, strlen(p->script)) : -1;
	f->output = wants_output ? memory_file("output") : -1;
	if ((!p->input || f->input >= 0) && (!p->script || f->script >= 0) && (!wants_output || f->output >= 0))
		return true;
	files_close(f);
	return false;
}

/* dup2() clears close-on-exec, but not when both are the same. */
static void place(int fd, int target)
{
	if (fd == target)
		fcntl(fd, F_SETFD, 0);
	else if (fd >= 0)
		dup2(fd, target);
}

_Noreturn static void child(const struct runner *r, const struct program *p, const struct files *f, const char *path)
{
	program_reset_signals();
	privs_restore_limits();
	if (p->uninterrupted) {
		signal(SIGINT, SIG_IGN);
		signal(SIGQUIT, SIG_IGN);
	}
	place(f->script, PROGRAM_SCRIPT_FD);
	place(f->input, STDIN_FILENO);
	place(f->output, STDOUT_FILENO);
	if (p->output)
		place(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	else
		place(f->output, STDERR_FILENO);
	setenv("LC_ALL", "C", 1);	/* as wg-quick does; and iptables-save is read */
	setenv("PATH", PATH_DEFAULT, 0);
	if (r->name)
		setenv("INTERFACE", r->name, 1);
	if (r->config_file)
		setenv("CONFIG_FILE", r->config_file, 1);
	execv(path, (char *const *)(uintptr_t)p->argv);
	_exit(EXIT_NO_EXEC);
}

static void show(const struct runner *r, const char *what)
{
	if (r->to_log)
		log_info(&r->log, "[#] %s", what);
	else
		fprintf(stderr, "[#] %s\n", what);
}

int program_run(const struct runner *r, const struct program *p)
{
	char path[PROGRAM_PATH_MAX];
	struct files f;
	int status;
	pid_t pid;

	if (!program_find(p->argv[0], path))
		return -ENOENT;
	if (!files_open(&f, r, p))
		return -errno;
	if (p->shown)
		show(r, p->shown);
	fflush(NULL);
	pid = fork();
	if (!pid)
		child(r, p, &f, path);
	status = pid < 0 ? -errno : r->wait(r->ctx, pid);
	if (pid > 0 && p->output)
		output_read(f.output, p->output);
	else if (pid > 0 && r->to_log)
		output_log(f.output, &r->log);
	files_close(&f);
	if (pid < 0)
		return status;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
