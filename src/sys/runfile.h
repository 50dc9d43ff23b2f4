/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_RUNFILE_H
#define MESHD_SYS_RUNFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/text.h"
#include "sys/firewall.h"

/*
 * /run/meshd/NAME.state: what a running interface has changed outside itself, written before it is changed. After a
 * clean stop it is gone; found without a holder of the lock it tells what a killed run left.
 */
struct runfile {
	char *config_file;		/* which config it runs with, absolute */
	char *dns_entry;		/* resolvconf's name for our entry; NULL: not set */
	enum firewall_tool firewall;
	uint32_t mark;			/* of the default route's rules; 0: none */
	bool default4, default6;
	struct ip_prefix listen_prefix;	/* routed to ourselves; family IP_NONE: none */
};

/* As text and back. runfile_parse() skips what it does not know; false: no memory. */
void runfile_format(const struct runfile *r, struct text *out);
bool runfile_parse(struct runfile *r, const char *text);

/* 0, -ENOENT when there is none, or negative errno. */
int runfile_read(struct runfile *r, const char *name);
int runfile_write(const struct runfile *r, const char *name);
void runfile_remove(const char *name);

/*
 * What went wrong on the way down, one line, for the "meshd down" that waits: it finds it once the lock is free. Where nobody
 * waits it stays until the name comes up again. runfile_take_note() removes it; 'out' may be NULL. False: there is none.
 */
int runfile_write_note(const char *name, const char *line);
bool runfile_take_note(const char *name, struct text *out);

/* Free what it holds; it is empty again. */
void runfile_done(struct runfile *r);

/* Remove the sockets of a daemon that died; not when an interface 'name' is there, whose sockets they may be. */
void runfile_remove_sockets(const char *name);

/*
 * Undo what a killed run of 'name' left: DNS, firewall, rules, listen prefix, sockets, files. Call only with the lock of 'name' in hand. Returns
 * whether there was anything.
 */
bool runfile_clean(const char *name, const struct log *log);

#endif
