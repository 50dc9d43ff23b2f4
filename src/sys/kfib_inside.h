/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_KFIB_INSIDE_H
#define MESHD_SYS_KFIB_INSIDE_H

#include "base/slab.h"
#include "sys/kfib.h"
#include "sys/kroutes.h"

/*
 * The inside of sys/kfib.h, shared by kfib.c (entries, where they go, comparing), kfib_source.c (tables for sources of IPv4) and
 * kfib_request.c (what is said to the kernel), and by nobody else.
 */

/* What most routes do not have: a source, and a way over another interface than ours. */
struct kfib_rest {
	struct ip_prefix src;
	struct ip_addr gateway;
	uint32_t ifindex;
};

/* A route that shall be there. */
struct kfib_entry {
	struct kfib_entry *next;	/* of its bucket */
	struct kfib_rest *rest;		/* NULL: nothing of it */
	uint32_t table;			/* where it is in the kernel; 0: nowhere, or in tables of sources */
	struct ip_prefix dst;
	uint8_t kind;			/* enum node_route_kind */
	bool refused : 1;		/* no table for its source */
	bool missing : 1;		/* the kernel refused it */
	bool by_mark : 1;		/* a default route in the table of the mark */
};

_Static_assert(sizeof(struct kfib_entry) <= 48, "there may be a hundred thousand");

/* A source prefix of IPv4 with a table of its own: what all packets from there need to know. */
struct kfib_source {
	struct ip_prefix src;		/* family IP_NONE: free */
	uint32_t table;
	size_t routes;			/* entries with exactly this source */
	bool ruled;			/* its table is complete and looked at */
};

struct kfib {
	struct netlink *nl;
	unsigned int slot;
	uint32_t priority;
	struct log log;
	struct kfib_handler handler;
	struct kfib_options o;
	uint8_t hash_key[16];
	struct kfib_entry **buckets;
	size_t bucket_count;		/* a power of two, or 0 */
	struct slab entries;
	size_t count, missing, refused;
	size_t defaults[2];		/* entries 'by_mark', IPv4 and IPv6 */
	struct kfib_source sources[KFIB_SOURCES_MAX];
	bool marked;			/* the rules for the mark are there... */
	uint32_t marked_with;		/* ...with this one */
	const struct kroutes *main;
	bool told_full, told_refused, told_missing, told_table;	/* once each */
};

/* kfib.c */
struct node_route kfib_route(const struct kfib_entry *e);	/* what shall be there */
struct prefix_pair kfib_pair(const struct kfib_entry *e);
struct kfib_entry *kfib_find(const struct kfib *k, const struct prefix_pair *p);
void kfib_tell_missing(struct kfib *k, const struct prefix_pair *p, int err);

/* kfib_source.c */

/* Whether the route is one that tables of sources hold, and no other. */
static inline bool kfib_is_sourced(const struct prefix_pair *p)
{
	return p->dst.addr.family == IP_V4 && p->src.len;
}

/* An entry with a source of IPv4 came, and is found; or goes, and is found no more. */
void kfib_source_add(struct kfib *k, struct kfib_entry *e);
void kfib_source_remove(struct kfib *k, struct kfib_entry *e);

/* What goes to 'dst' from 'src' (len 0: any) changed: set the tables it concerns. */
void kfib_source_update(struct kfib *k, const struct ip_prefix *dst, const struct ip_prefix *src);

/* The kernel's own routes changed, from k->main to 'main'. */
void kfib_source_set_main(struct kfib *k, const struct kroutes *main);

/* Options changed. */
void kfib_source_configure(struct kfib *k);

/* A list of routes of our slot's, as the kernel has them, sorted. */
struct kfib_present {
	uint32_t table;
	struct prefix_pair prefix;
};

struct kfib_presents {
	struct kfib_present *v;
	size_t count, size;
	bool failed;
};

/* Put in what 'present' lacks of the tables; and whether a route that is there shall be. */
void kfib_source_restore(struct kfib *k, const struct kfib_presents *present);
bool kfib_source_wants(const struct kfib *k, const struct kfib_present *p);

/* Take all rules and tables of sources out. */
void kfib_source_close(struct kfib *k);

/* kfib_request.c */
int kfib_put(struct netlink *nl, uint32_t table, uint32_t priority, uint32_t tun, const struct node_route *r);
int kfib_put_copy(struct netlink *nl, uint32_t table, uint32_t priority, const struct kroutes *main, const struct kroute *r);
int kfib_delete(struct netlink *nl, uint32_t table, uint32_t priority, const struct prefix_pair *p);	/* not there: 0 */

/* All routes of 'priority', sorted. 0 or negative errno; free(list->v). */
int kfib_list(struct netlink *nl, uint32_t priority, struct kfib_presents *list);
bool kfib_presents_have(const struct kfib_presents *list, uint32_t table, const struct prefix_pair *p);

/* Rules. Adding one that is there is fine, and so is removing one that is not. */
struct kfib_rule {
	uint8_t family, action;		/* FR_ACT_... */
	struct ip_prefix src;
	uint32_t priority, table, mark, goal;
};

int kfib_change_rule(struct netlink *nl, bool add, const struct kfib_rule *rule);
int kfib_rule_source(struct netlink *nl, bool add, const struct ip_prefix *src, uint32_t table);
int kfib_rules_marked(struct netlink *nl, bool add, unsigned int slot, uint32_t mark);
int kfib_rules_purge(struct netlink *nl, unsigned int slot);

static inline uint32_t kfib_first_table(unsigned int slot)
{
	return KFIB_TABLES + slot * KFIB_SOURCES_MAX;
}

static inline bool kfib_is_source_table(unsigned int slot, uint32_t table)
{
	return table >= kfib_first_table(slot) && table < kfib_first_table(slot + 1);
}

#endif
