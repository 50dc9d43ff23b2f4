/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_STATUS_H
#define MESHD_SYS_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "proto/control.pb-c.h"

struct node;

enum {
	STATUS_SUB_SESSIONS_MAX = 65536,	/* in one answer, some 5 MiB; more are left out, and counted */
};

/* What the daemon knows and the node does not. Only looked at during the call. */
struct status_facts {
	const char *name;			/* of the interface */
	int64_t start_us;			/* monotonic, when the daemon began */
	const struct ip_prefix *addresses;	/* of the interface */
	size_t address_count;
	unsigned int offloads;			/* in force (base/offloads.h) */
	bool one_queue;				/* several lanes, one TUN queue */
	bool sub_sessions;			/* fill the peers' sub-sessions, too */
	unsigned int lane_count;
	struct status_lane {
		uint64_t handed_over, strays;
	} lanes[8];
};

/*
 * Fill 'out', which is initialised (meshd__status__init) and empty, from a node. All it points to is new memory from malloc() and the
 * owner's of 'out', who frees all with meshd__status__free_unpacked(out, NULL) when 'out' itself is malloc()ed. False: memory
 * ran short; 'out' is then incomplete but can be freed in the same way. Private and preshared keys do not get in.
 */
bool status_fill(const struct node *n, const struct status_facts *f, struct instant now, Meshd__Status *out);

#endif
