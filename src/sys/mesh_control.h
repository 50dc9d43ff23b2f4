/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_MESH_CONTROL_H
#define MESHD_SYS_MESH_CONTROL_H

#include <stdbool.h>

#include "base/instant.h"
#include "base/text.h"
#include "proto/control.pb-c.h"

struct node;

/* Whether it is one of the requests below. */
bool mesh_control_is(const Meshd__Request *q);

/*
 * Carry out a MeshRequest, ImportRequest, ExportRequest, InviteRequest or RevokeRequest: text into structs, every one checked before anything is
 * done, and the result into 'r', which is initialised and empty and is freed by meshd__response__free_unpacked(); its text may be a secret.
 * 'interface' is for the reason. False, with one line in 'why': nothing has changed.
 *
 * '*job' is NULL at first. After true it may be set: then it is not done, and is to be called with the same again, soon, or given up by
 * mesh_control_give_up(). A call takes MESH_CONTROL_SLICE_MS and little more.
 */
enum { MESH_CONTROL_SLICE_MS = 10 };
bool mesh_control(struct node *n, const char *interface, const Meshd__Request *q, struct instant now, void **job, Meshd__Response *r, struct text *why);
void mesh_control_give_up(void *job);

#endif
