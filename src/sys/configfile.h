/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_CONFIGFILE_H
#define MESHD_SYS_CONFIGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct config;

/* Config files on disk. */
enum {
	CONFIGFILE_PATH_MAX = 4096,
	CONFIGFILE_PORT_FIRST = 51820,
};

/* Where a config is and what its interface is called. */
struct configfile {
	char path[CONFIGFILE_PATH_MAX];	/* absolute; without symbolic links if the file exists */
	char name[16];
};

/*
 * What a NAME or FILE of the command line means: NAME is /etc/meshd/NAME.conf; what has a slash or ends in ".conf" is a file, its
 * interface named after it. False with one line in 'why': no such name can be.
 */
bool configfile_find(struct configfile *f, const char *arg, struct text *why);

/*
 * config_parse(), and PrivateKeyFile read into the change ('path' is the config's: a relative key file is beside it). False, with
 * one line in 'why' and 'c' empty.
 */
bool configfile_parse(const char *path, const char *text, size_t len, struct config *c, struct text *why);

/* The same for a file. 'text', if not NULL, gets the file as it is; wipe it. */
bool configfile_load(const char *path, struct config *c, struct text *text, struct text *why);

/* A UDP port that nobody has, from CONFIGFILE_PORT_FIRST on. */
uint16_t configfile_free_port(void);

/* wg-quick's warnings about files with secrets that everybody may read, to stderr. */
void configfile_warn(const char *path);

/*
 * Make a config for a node that has none: a new key, an address from it, a free port; the directory of mode 0700, the
 * file 0600. 'said' gets three lines: what was done, what to tell the other side, what to do next. False: 'why'.
 */
bool configfile_make(const struct configfile *f, struct text *said, struct text *why);

#endif
