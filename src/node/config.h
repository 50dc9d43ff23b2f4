/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_CONFIG_H
#define MESHD_NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/text.h"
#include "node/change.h"

/*
 * A config file in memory: INI as wg-quick(8) and wg(8) read it (keys and sections in any case,
 * '#' starts a comment, lists by commas, keys that may be repeated), and meshd's own keys.
 * Pure text to struct: files named in it are not read, names not resolved.
 */

enum {
	CONFIG_SIZE_MAX = 16 << 20,	/* bytes of a file */
	CONFIG_LINE_MAX = 1 << 18,	/* and of a line: lists of a country's prefixes are long */
	CONFIG_WORKERS_MAX = 8,
	CONFIG_MTU_MIN = 576,
	CONFIG_MTU_MAX = 65535,
};

enum config_hook {
	HOOK_PRE_UP,
	HOOK_POST_UP,
	HOOK_PRE_DOWN,
	HOOK_POST_DOWN,
	HOOK_KINDS,
};

enum config_table {
	TABLE_AUTO,
	TABLE_OFF,
	TABLE_NUMBER,
	TABLE_NAME,			/* 'table_text' is a name of rt_tables: see config_resolve_table() */
};

/* A list of strings, each allocated. */
struct config_strings {
	char **v;
	size_t count;
};

struct config {
	struct ip_prefix *addresses;	/* Address, host bits kept */
	size_t address_count;
	struct config_strings dns;	/* servers, as written */
	struct config_strings dns_search;
	uint32_t mtu;			/* 0: find it out */
	enum config_table table;
	uint32_t table_number;		/* TABLE_NUMBER */
	char *table_text;		/* as written, NULL when not given */
	bool save_config;
	unsigned int workers;		/* lanes with threads of their own; 0: auto */
	unsigned int offloads;		/* enum offload (base/offloads.h) that may be used */
	struct config_strings hooks[HOOK_KINDS];
	char *private_key_file;		/* NULL: none; the caller reads it into change.private_key */
	char *mesh_file;		/* [Mesh] File, as written; NULL: there is no [Mesh] */
	char *hosts_file;		/* [Mesh] HostsFile; NULL: none */
	bool lan_discovery;		/* counts in a mesh only */
	struct change change;		/* see config_parse() */
};

/*
 * Parse 'text' (not zero-terminated, may hold anything). On failure returns false, 'c' is empty, and 'error' holds one line
 * "FILE:LINE: KEY: reason" ('file' is used for that alone). A key, or a peer, given in a wrong way never
 * shows its secret in the reason.
 *
 * The change is what "wg setconf" would do: CHANGE_REPLACE_PEERS, CHANGE_LISTEN_PORT, CHANGE_FWMARK, CHANGE_LINKS and CHANGE_ROUTING are
 * always set, CHANGE_PRIVATE_KEY too unless there is a private_key_file, whose reader sets it. The first peer of each public
 * key says everything, so that what went from the file goes from a running peer: no preshared key,
 * keepalive, name or endpoint means none. Settings of links need no bit for that: what CHANGE_REPLACE_PEERS finds unsaid is the interface's.
 */
bool config_parse(struct config *c, const char *file, const char *text, size_t len, struct text *error);

/*
 * Turn TABLE_NAME into TABLE_NUMBER with the text of the host's /etc/iproute2/rt_tables; any other table stays as it
 * is. False: the name is not there. The names every host has (main, default, local) never come here.
 */
bool config_resolve_table(struct config *c, const char *rt_tables, size_t len);

/* Write a config file that config_parse() reads back to the same; holds secrets, so text_wipe() it. */
void config_format(const struct config *c, struct text *out);

/* Wipe and free. */
void config_done(struct config *c);

/* Whether 'name' can be an interface's: 1..15 characters of [a-zA-Z0-9_=+.-], not "." or "..". */
bool config_interface_name(const char *name);

#endif
