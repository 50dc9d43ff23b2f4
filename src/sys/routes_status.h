/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_ROUTES_STATUS_H
#define MESHD_SYS_ROUTES_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "proto/control.pb-c.h"

struct node;

enum {
	/* In one answer: with all names and addresses as long as they can be some 14 MiB, of the 16 that fit. */
	ROUTES_STATUS_MAX = 49152,
};

/*
 * Fill 'out', which is initialised (meshd__routes__init) and empty, with what the node's Babel knows. Routes that are not chosen are the first to
 * be left out where there are too many. Memory is as in status_fill(): all the owner's of 'out', and can be freed also after false.
 */
bool routes_status_fill(const struct node *n, const char *name, struct instant now, Meshd__Routes *out);

/* The links to neighbours, for the peers of a status. */
struct routes_status_link {
	const void *owner;	/* as struct peer_info has it */
	uint16_t cost, reach;
};

/* In the order of their owners, allocated; NULL with *count 0: there are none, or (*count 1) no memory. */
struct routes_status_link *routes_status_links(const struct node *n, size_t *count);

/* That of 'owner', or NULL. */
const struct routes_status_link *routes_status_link(const struct routes_status_link *links, size_t count, const void *owner);

#endif
