/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_JOINER_H
#define MESHD_SYS_JOINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/text.h"
#include "exchange/token.h"
#include "node/joining.h"

/* A node without a TUN that does nothing but join (node/joining.h), with sockets of its own, until it is done. */
struct joiner_options {
	const struct token *token;
	const uint8_t *private_key;
	const struct token_contact *more;
	size_t more_count;
	int timeout_s;
	const struct log *log;
	/* It has got this far; may be NULL. */
	void (*progress)(void *ctx, enum joining_state state);
	void *ctx;
};

/* True, with the bootstrap file in 'file'; false, with one line in 'why'. */
bool joiner_run(const struct joiner_options *o, struct text *file, struct text *why);

#endif
