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
 */
bool mesh_control(struct node *n, const char *interface, const Meshd__Request *q, struct instant now, Meshd__Response *r, struct text *why);

#endif
