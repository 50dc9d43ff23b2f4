/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_JOINING_H
#define MESHD_NODE_JOINING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/rng.h"
#include "base/text.h"
#include "exchange/token.h"

struct node;

/*
 * The holder of an invitation, as long as it is none of the mesh's nodes: a node whose key is the token's one-time key and whose peers are the token's
 * contacts asks, through any of them, the issuer for a record of the key that it will have. What the mesh does with it is in mesh_join.c.
 */
enum {
	JOINING_ASK_MS = 700,		/* a request without an answer is sent again, by another contact if there is one */
	JOINING_KEEPALIVE_S = 5,	/* what makes the node want sessions */
	JOINING_REOPEN_MAX = 8,		/* answers that could not be opened: somebody on the way damages them */
	JOINING_CONTACTS_MAX = 16,	/* the token's, and those a file adds */
};

enum joining_state {
	JOINING_REACHING,		/* no contact has answered yet */
	JOINING_ASKING,			/* there is a session */
	JOINING_ANSWERED,		/* pieces of the answer come in */
	JOINING_DONE,
	JOINING_REFUSED,
};

struct joining;

struct joining_options {
	struct node *node;		/* fresh, up, of no mesh; it is set up for this */
	const struct rng *rng;
	const struct token *token;
	const uint8_t *private_key;	/* that the new node will have */
	const struct token_contact *more;	/* beside the token's */
	size_t more_count;
};

/* False with one line in 'why': the token cannot be used, no memory. 'o' and what it points to, but for node and rng, is not needed after. */
bool joining_start(struct joining **out, const struct joining_options *o, struct instant now, struct text *why);
void joining_free(struct joining *j);

/* After node_turn(); and when it is next due. */
void joining_turn(struct joining *j, struct instant now);
int64_t joining_deadline(const struct joining *j);

enum joining_state joining_state(const struct joining *j);

/* JOINING_DONE: the bootstrap file, with the record. JOINING_REFUSED: why. It is a constant of 'j'. */
const struct text *joining_result(const struct joining *j);

/* Contacts there are, and of them those that have answered. For the reason why it came to nothing. */
void joining_contacts(const struct joining *j, size_t *all, size_t *answered);

#endif
