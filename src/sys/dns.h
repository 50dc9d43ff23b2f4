/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_DNS_H
#define MESHD_SYS_DNS_H

#include <stdbool.h>

#include "base/text.h"

struct config;
struct runner;

/* DNS servers and search domains of the config, by resolvconf(8) as wg-quick does it. */

/*
 * resolvconf's name for our entry: the interface's, behind the first "PREFIX*" of /etc/resolvconf/interface-order (whose text,
 * or NULL, is 'order') as "PREFIX.NAME".
 */
void dns_entry(const char *name, const char *order, struct text *out);

/* What resolvconf is told: empty when there are no servers. */
void dns_text(const struct config *c, struct text *out);

/* dns_entry() with this system's order. */
void dns_system_entry(const char *name, struct text *out);

/*
 * Tell resolvconf. Returns 0; -ENOENT when there is no such program (the caller warns, once); another
 * negative errno with one line in 'why' when it failed. Call only when dns_text() has something to tell.
 */
int dns_set(const struct runner *r, const char *entry, const char *text, struct text *why);

/* Take the entry back; that it is not there is fine. */
void dns_unset(const struct runner *r, const char *entry);

#endif
