/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_LPM_H
#define MESHD_BASE_LPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/slab.h"

struct lpm_node;

enum {
	LPM_TRAIL4_MAX = 33,	/* prefixes that cover one address */
	LPM_TRAIL6_MAX = 129,
};

/*
 * Longest-prefix match: two path-compressed binary tries, one a family, from
 * prefixes to pointers. The values belong to the caller and are never
 * dereferenced. All zero is an empty table. Lookup neither allocates nor writes.
 */
struct lpm {
	struct lpm_node *root4, *root6;
	size_t count;		/* prefixes in the table */
	struct slab nodes;
};

/* Free every node and make the table empty again. */
void lpm_clear(struct lpm *t);

/*
 * Give 'p' (host bits ignored) the value 'value', which is not NULL; what it had before is
 * replaced. Returns false, with nothing changed, when memory is short or 'p' is no prefix of either family.
 */
bool lpm_insert(struct lpm *t, const struct ip_prefix *p, void *value);

/* Take 'p' out. Returns its value, or NULL when it was not in the table. */
void *lpm_remove(struct lpm *t, const struct ip_prefix *p);

/* Take out every prefix whose value is 'value'. */
void lpm_remove_value(struct lpm *t, const void *value);

/* The value of exactly 'p', or NULL. */
void *lpm_exact(const struct lpm *t, const struct ip_prefix *p);

/* The value of the longest prefix that covers 'a', or NULL. */
void *lpm_lookup(const struct lpm *t, const struct ip_addr *a);

/* The same for the packet path, from the address as it stands in a header. */
void *lpm_lookup4(const struct lpm *t, const uint8_t addr[4]);
void *lpm_lookup6(const struct lpm *t, const uint8_t addr[16]);

/* The same, and how long that prefix is (0 when there is none). */
void *lpm_lookup4_len(const struct lpm *t, const uint8_t addr[4], unsigned int *len);
void *lpm_lookup6_len(const struct lpm *t, const uint8_t addr[16], unsigned int *len);

/* The values of all prefixes that cover the address, shortest first; returns how many. For who may have to fall back to a shorter one. */
size_t lpm_trail4(const struct lpm *t, const uint8_t addr[4], void *values[LPM_TRAIL4_MAX]);
size_t lpm_trail6(const struct lpm *t, const uint8_t addr[16], void *values[LPM_TRAIL6_MAX]);

/*
 * Call 'visit' for every prefix, IPv4 before IPv6, in address order, a covering
 * prefix before what it covers. 'visit' must not change the table. Returning false stops the walk.
 */
void lpm_walk(const struct lpm *t,
	      bool (*visit)(void *ctx, const struct ip_prefix *p, void *value), void *ctx);

#endif
