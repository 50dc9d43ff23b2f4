/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_LOG_H
#define MESHD_BASE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,	/* the daemon cannot go on with something */
	LOG_LEVEL_WARNING,	/* somebody should look at it */
	LOG_LEVEL_INFO,		/* a change of state worth a line a day */
	LOG_LEVEL_DEBUG,	/* the protocol's life */
};

/*
 * Where log records go: one line of at most 511 bytes, no newline or other control character, no secrets.
 * A packet never causes a record by itself; it is counted. emit may be NULL: silence. Held by value.
 */
struct log {
	void (*emit)(void *ctx, enum log_level level, const char *line);
	void *ctx;
};

void log_record(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...) log_record(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_record(log, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...) log_record(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_record(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
