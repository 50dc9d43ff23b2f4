/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_MESH_STATUS_H
#define MESHD_SYS_MESH_STATUS_H

#include <stdbool.h>

#include "base/instant.h"
#include "proto/control.pb-c.h"

struct node;

/*
 * Fill 'out', which is initialised and empty, with the mesh the node is of; 'nodes': with all its nodes, too. As with status_fill() what it
 * points to is new and the owner's of 'out', also after false: memory ran short. The node must be of a mesh (node_mesh_on()); lanes with threads of
 * their own are to be closed.
 */
bool mesh_status_fill(const struct node *n, bool nodes, struct instant now, Meshd__Mesh *out);

#endif
