/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_IMPORT_H
#define MESHD_EXCHANGE_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "exchange/bootstrap.h"

/*
 * A bootstrap file read and merged into a store a little at a time, while the store goes on living: it is changed by the last step alone, wholly or
 * not at all (bootstrap_merge() says by which rules). A step takes what some signatures take to verify, about a millisecond on a fast machine.
 */
struct import;

enum {
	IMPORT_ITEMS = 32,		/* of a step: read or tried... */
	IMPORT_SIGNATURES = 4,		/* ...or verified */
};

/* 's' and 'data' have to stay until the last step. NULL: no memory. */
struct import *import_new(struct store *s, const void *data, size_t len, int64_t now_s);

/* DONE: 'news' is what it came to; REFUSED: one line in 'why', and the store is as it was. Not to be called after either. */
enum bootstrap_step import_step(struct import *i, struct bootstrap_news *news, struct text *why);

/* At any time; NULL is fine. The store is not touched. */
void import_free(struct import *i);

#endif
