/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_MESH_H
#define MESHD_CLI_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

/* The commands of a mesh; argv[0] is the command's own name. Return the exit status. */
int cmd_init(int argc, char **argv);
int cmd_invite(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_mesh(int argc, char **argv);

/* What "meshd mesh" prints, of interface 'name': the nodes, a line each; as JSON everything. Pure. */
void mesh_text(const Meshd__Mesh *m, int64_t now_s, bool colour, struct text *out);
void mesh_json(const char *name, const Meshd__Mesh *m, struct text *out);

/*
 * A wg-quick file for a plain device of this mesh, behind the node that 'm' is of: its key and addresses, the node's key and 'endpoint', and what is reached
 * through it - the mesh's network, addresses and prefixes of other nodes, and 'allowed' (count of them). Pure.
 */
struct mesh_device {
	const char *name, *private_key, *endpoint;
	const char *const *allowed;
	size_t allowed_count;
};
enum { DEVICE_ALLOWED_MAX = 128 };
void mesh_device_conf(const Meshd__Mesh *m, const struct mesh_device *d, struct text *out);

#endif
