/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_CONFIG_KEYS_H
#define MESHD_NODE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "node/config.h"

/*
 * What the parts of the config parser share: config.c reads lines, config_keys.c knows the keys -
 * config_babel.c those of [Babel], config_paths.c those about paths.
 */

enum config_section {
	SECTION_NONE,
	SECTION_INTERFACE = 1,
	SECTION_PEER = 2,
	SECTION_BABEL = 4,
	SECTION_MESH = 8,
	SECTION_BOTH = SECTION_INTERFACE | SECTION_PEER,	/* of a key: it is good in either */
};

/* A file being read. */
struct config_parser {
	struct config *c;
	struct text *error;
	const char *file;
	size_t line;
	const char *key;		/* the one being read, as we spell it; NULL outside */
	enum config_section section;
	bool has_private_key;		/* PrivateKey was given, be it zero */
	bool has_transit;
	size_t mesh_line;		/* where [Mesh] began */
	struct change_peer *peer;	/* of the [Peer] being read... */
	size_t peer_line;		/* ...which began here... */
	bool peer_has_key;		/* ...and has a PublicKey */
};

enum config_reader {
	READ_BY_WG,		/* blanks mean nothing, anywhere */
	READ_BY_WG_WORDS,	/* as wg's, but what it may be followed by is ours: the value keeps its blanks */
	READ_BY_QUICK,
};

struct config_key {
	const char *name;
	enum config_section section;
	enum config_reader reader;
	bool (*set)(struct config_parser *p, char *value);	/* false: config_fail() was called */
};

/* The key a line begins with, or NULL. */
const struct config_key *config_key_find(const char *word);

/* Whether 's' can be a peer's name: 1 to 63 bytes of UTF-8 that all show. */
bool config_peer_name(const char *s);

/* Write the error; all return false, so that a setter can end with one. The second shows what is wrong, if it may. */
bool config_fail(struct config_parser *p, const char *reason);
bool config_fail_at(struct config_parser *p, const char *item, const char *reason);
bool config_fail_memory(struct config_parser *p);

#endif
