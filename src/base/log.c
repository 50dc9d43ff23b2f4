/* SPDX-License-Identifier: MIT */
/*
 * Log records on their way to whoever shows them. A record is formatted here, into one bounded line on the
 * stack, and handed on; the core never knows where it goes.
 *
 * A name from a config file or from another node may be part of a record. Control characters are replaced, so that no
 * name can forge a second record or play with the terminal of the person who reads it.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_MAX = 512 };	/* with its terminating zero; longer records are cut and say so */

static void make_one_line(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
}

void log_record(const struct log *log, enum log_level level, const char *fmt, ...)
{
	static const char cut[] = "...";
	char line[RECORD_MAX];
	va_list ap;
	int need;

	if (!log->emit)
		return;
	va_start(ap, fmt);
	need = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (need < 0)
		return;
	if ((size_t)need >= sizeof(line))
		memcpy(line + sizeof(line) - sizeof(cut), cut, sizeof(cut));
	make_one_line(line);
	log->emit(log->ctx, level, line);
}
