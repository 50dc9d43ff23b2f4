/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_MESH_FILES_H
#define MESHD_CLI_MESH_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "crypto/key.h"
#include "crypto/sign.h"
#include "exchange/bootstrap.h"

/* What commands about meshes share: the files of a mesh's node, its records wherever they are kept at the moment, and arguments. All say on stderr why they fail. */
enum mesh_file {
	MESH_FILE_CONF,		/* NAME.conf: made last of all, so that where it is nothing is missing */
	MESH_FILE_RECORDS,	/* NAME.mesh: the bootstrap file, the daemon's */
	MESH_FILE_SECRET,	/* NAME.mesh-key: the seed of the mesh's key; ours alone, never the daemon's */
	MESH_FILE_SECRET_NEW,	/* NAME.mesh-key.new: while keys are rotated */
	MESH_FILE_JOIN,		/* NAME.join: the private key, and for what, while a node joins */
	MESH_FILE_INIT,		/* NAME.init: what will be NAME.conf, while a mesh is made */
	MESH_FILES,
};

enum {
	MESH_PATH_MAX = 64,
	MESH_SMALL_MAX = 4096,	/* bytes of the small ones */
};

const char *mesh_file_path(char out[MESH_PATH_MAX], const char *name, enum mesh_file which);
bool mesh_file_exists(const char *name, enum mesh_file which);

/* Whether we may look at the files and make others; else it has been said that not. */
bool mesh_files_check(void);

/* Mode 0600, atomically, the directory made if need be. */
bool mesh_file_write(const char *name, enum mesh_file which, const struct text *t);
bool mesh_file_rename(const char *name, enum mesh_file from, enum mesh_file to);
bool mesh_file_remove(const char *name, enum mesh_file which);

bool mesh_file_write_seed(const char *name, enum mesh_file which, const uint8_t seed[SIGN_SEED_LEN]);
bool mesh_file_read_seed(const char *name, enum mesh_file which, uint8_t seed[SIGN_SEED_LEN]);

/* The config of a mesh's node. 'how' is the command that made it. It holds a secret. */
void mesh_conf_write(struct text *out, const char *name, const char *how, const uint8_t private_key[KEY_LEN], uint16_t port);

/* A bootstrap file of the user's, "-" for standard input; any file. False: cannot be read, too long. */
bool mesh_input(const char *arg, struct text *out);

/*
 * The records of a mesh, to be changed with its secret: of the daemon of 'name' if that runs, else of its file. What was added to the store is given back to where
 * it came from by mesh_records_save().
 */
struct mesh_records {
	const char *name;
	char mesh_name[MESH_NAME_MAX + 1];
	struct store *store;
	bool running;
};
bool mesh_records_load(struct mesh_records *r, const char *name);
bool mesh_records_save(struct mesh_records *r);
void mesh_records_done(struct mesh_records *r);

/* A node by name or key. */
bool mesh_records_find(const struct mesh_records *r, const char *word, struct store_node *n);

/* Have the daemon take a file in. False: one line in 'why'. */
struct bootstrap_news;
bool mesh_import(const char *name, const struct text *file, struct bootstrap_news *news, struct text *why);
/* What it has, as a file. */
bool mesh_export(const char *name, struct text *file, struct text *why);

/*
 * The interface a command is about: 'given', or if that is NULL the only one that runs - of several the only one that is of a mesh.
 */
bool mesh_interface(const char *given, char out[16]);
/* Whether an interface of this name runs. */
bool mesh_interface_runs(const char *word);

/* "90d", "12h", "30m", "45s", "1y", "2w": seconds, more than none. */
bool duration_parse(const char *text, int64_t *seconds);

int64_t mesh_now_s(void);

#endif
