/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_MESH_H
#define MESHD_SYS_MESH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/text.h"

struct config;
struct ev_loop;
struct log;
struct netlink;
struct node;
struct tun;

/*
 * What a node's mesh (node/mesh.h) needs of the host: its bootstrap file, which is read at the start and kept current, the state file with the
 * invitations given out, the hosts file, and discovery on LANs (sys/lan.h). Without [Mesh] in the config it does nothing.
 */
struct mesh_host;

enum {
	MESH_HOST_WRITE_S = 5,		/* between two writings of a file, and of the hosts file; doubled while changes go on, up to... */
	MESH_HOST_WRITE_MAX_S = 160,	/* ...this: files may be on flash */
	MESH_HOST_LOOK_S = 10,		/* how often it is looked whether they are still there */
	MESH_HOST_WARN_S = 86400,	/* between warnings of what is about to expire */
	MESH_HOST_ADDRESSES_MAX = 64,
};

struct mesh_host_options {
	struct ev_loop *loop;
	struct node *node;
	struct netlink *netlink;
	const struct tun *tun;		/* ours */
	const char *name;		/* of the interface */
	const char *config_file;	/* what paths in the config are relative to; NULL: a bare interface */
	const struct log *log;
};

/* What the options point to has to outlive it. NULL: no memory. */
struct mesh_host *mesh_host_new(const struct mesh_host_options *o);

/* At the start, before the config is applied: read the files and give them to the node. False: one line in 'why', and it must not come up. */
bool mesh_host_begin(struct mesh_host *m, const struct config *c, struct text *why);

/*
 * Before another config is applied: whether it can be. Its File is read again, and what is new in it goes to the node; a File elsewhere takes the
 * place of the old one if it is of the same mesh. False: one line in 'why', and nothing has changed.
 */
bool mesh_host_reload(struct mesh_host *m, const struct config *c, struct text *why);

/* A config is in force. */
void mesh_host_configured(struct mesh_host *m, const struct config *c);

/* The node asks for what is here (enum node_effect); other bits do not matter. */
void mesh_host_effects(struct mesh_host *m, unsigned int effects);

/* Write the files that somebody has removed. By itself once in MESH_HOST_LOOK_S. */
void mesh_host_look(struct mesh_host *m);

/* Write File now, if there is anything in the node that is not in it. False, with one line in 'why': it cannot be, and is tried again later. */
bool mesh_host_save(struct mesh_host *m, struct text *why);

/* The monitor told of these (enum netlink_event). */
void mesh_host_netlink(struct mesh_host *m, int events);

/* The end: write what is not written yet, and remove the hosts file unless we come back at once ('planned'). */
void mesh_host_stop(struct mesh_host *m, bool planned);
void mesh_host_free(struct mesh_host *m);

/*
 * The addresses of the interface: those of the config, and those of our record that it does not have with whatever length. A new list, for
 * free(). NULL: no memory.
 */
struct ip_prefix *mesh_host_addresses(const struct mesh_host *m, const struct config *c, size_t *count);

/* Whether an address is there because of our record, and not of the config. */
bool mesh_host_has_address(const struct mesh_host *m, const struct config *c, const struct ip_addr *a);

#endif
