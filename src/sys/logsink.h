/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_LOGSINK_H
#define MESHD_SYS_LOGSINK_H

#include <stdbool.h>

#include "base/log.h"

/* Records to stderr, prefixed "<N>" for the journal when stderr is one (JOURNAL_STREAM); debug only when 'verbose'. */
struct log logsink_stderr(bool verbose);

/* Records to syslog(3) as "meshd[NAME]". */
struct log logsink_syslog(const char *name, bool verbose);

#endif
