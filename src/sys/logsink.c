/* SPDX-License-Identifier: MIT */
/*
 * Where log records end: stderr or syslog. A record to stderr is one write(2) shorter than PIPE_BUF, so that the lines of
 * the parent, the daemon and its hooks never mix, not even in a pipe. Bytes that could steer a terminal are
 * replaced: a record may quote a name out of a file. Writing fails silently, there is nobody left to tell.
 */
#include "sys/logsink.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 2000 };

/* A sink's settings. Constant, and so good for any number of struct log by value. */
struct sink {
	bool verbose, journal;
};

static const struct sink sinks[2][2] = {
	{ { false, false }, { false, true } },
	{ { true, false }, { true, true } },
};

static int priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARNING:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_DEBUG:
		break;
	}
	return LOG_DEBUG;
}

static void make_harmless(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static void emit_stderr(void *ctx, enum log_level level, const char *line)
{
	const struct sink *sink = ctx;
	char out[LINE_MAX_LEN + 16], text[LINE_MAX_LEN + 1];
	int len;

	if (level == LOG_LEVEL_DEBUG && !sink->verbose)
		return;
	snprintf(text, sizeof(text), "%s", line);
	make_harmless(text);
	if (sink->journal)
		len = snprintf(out, sizeof(out), "<%d>%s\n", priority(level), text);
	else
		len = snprintf(out, sizeof(out), "%s\n", text);
	while (write(STDERR_FILENO, out, (size_t)len) < 0 && errno == EINTR)
		;
}

static void emit_syslog(void *ctx, enum log_level level, const char *line)
{
	const struct sink *sink = ctx;
	char text[LINE_MAX_LEN + 1];

	if (level == LOG_LEVEL_DEBUG && !sink->verbose)
		return;
	snprintf(text, sizeof(text), "%s", line);
	make_harmless(text);
	syslog(priority(level), "%s", text);
}

/* Whether stderr is the journal's stream: systemd tells its device and inode, for a later redirection not to matter. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return !strcmp(stream, mine);
}

struct log logsink_stderr(bool verbose)
{
	return (struct log){ .emit = emit_stderr, .ctx = (void *)(uintptr_t)&sinks[verbose][stderr_is_journal()] };
}

struct log logsink_syslog(const char *name, bool verbose)
{
	static char ident[64];	/* syslog(3) keeps the pointer */

	snprintf(ident, sizeof(ident), "meshd[%s]", name);
	openlog(ident, LOG_NDELAY, LOG_DAEMON);
	return (struct log){ .emit = emit_syslog, .ctx = (void *)(uintptr_t)&sinks[verbose][0] };
}
