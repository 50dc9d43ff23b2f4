/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_MESH_H
#define MESHD_NODE_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/text.h"
#include "exchange/bootstrap.h"
#include "exchange/gossip.h"
#include "exchange/message.h"
#include "exchange/mint.h"
#include "exchange/store.h"
#include "exchange/token.h"

/* Messages of kind 4 of a node that is of no mesh: for who is about to join one. 'take' NULL: none are spoken. */
struct node_exchange {
	void (*take)(void *ctx, const uint8_t from[KEY_LEN], const struct message *m);
	void *ctx;
};

struct node;
struct path_remote;
struct peer;

/*
 * The mesh, joined to the node (DESIGN.md section 4): every node in good standing is a peer with AllowedIPs = auto, its endpoints those of its self record; a few of
 * them are backbone links, which have Babel; others become shortcuts when there is traffic for them. Part of node_turn() and node_deadline(). For the driver:
 *
 *	node_mesh_begin()			once, before the config is applied
 *	NODE_EFFECT_MESH_FILE			node_mesh_file(): write it to where it came from
 *	NODE_EFFECT_MESH_ISSUED			node_mesh_issued(): write it to the state file
 *	NODE_EFFECT_MESH_HOSTS			names or addresses changed: node_mesh_hosts()
 *	NODE_EFFECT_MESH_ADDRESSES		node_mesh_addresses() changed: our own record came, or says something else
 */

enum {
	MESH_BACKBONE_MAX = 8,		/* links with Babel of a node, configured ones apart */
	MESH_BACKBONE_WANTED = 3,	/* that it opens by itself; others open the rest */
	MESH_LOOK_MS = 1000,		/* how often links and shortcuts are looked at */
	MESH_SEEK_S = 5,		/* how often one that no route leads to is tried... */
	MESH_SEEK_MAX_S = 600,		/* ...and at most so far apart, for the same one */
	MESH_BACKBONE_DEAD_S = 20,	/* a backbone link that is dead so long is given up for another */
	MESH_SHORTCUT_IDLE_S = 120,	/* a shortcut without traffic is closed */
	MESH_SHORTCUTS_MAX = 256,
	MESH_SELF_MIN_S = 5,		/* between self records, unless the first three of a minute */
	MESH_PUNCH_S = 3,		/* initiations go to all addresses again and again for so long */
	MESH_JOINERS_MAX = 16,		/* one-time keys that are in use at a time */
	MESH_JOINER_IDLE_S = 15,	/* such a one is not any more when it has its answer, or nothing was asked by it for so long */
	MESH_ISSUED_MAX = 64,
};

/* 'b' is the file (taken over as far as it is good), 'issued' the state file's text or NULL. False with one line in 'why': nothing came of it. */
bool node_mesh_begin(struct node *n, const struct bootstrap *b, const char *issued, struct instant now, struct text *why);
void node_mesh_end(struct node *n);
bool node_mesh_on(const struct node *n);

/* Before sessions are made; and send: false: there is no session with that peer on which it speaks them. */
void node_set_exchange(struct node *n, const struct node_exchange *e);
bool node_exchange_send(struct node *n, const uint8_t to[KEY_LEN], const struct message *m);

/* node.c's: around the life of a node. */
void node_mesh_turn(struct node *n, struct instant now);
int64_t node_mesh_deadline(const struct node *n);

/* A kind 4 message came from a peer. */
void node_mesh_control(struct node *n, struct peer *p, const uint8_t *msg, size_t len, struct instant now);

/* Keys, sessions, paths of a peer changed; the identity did. */
void node_mesh_session(struct node *n, struct peer *p, struct instant now);
void node_mesh_forget_peer(struct node *n, struct peer *p);
void node_mesh_identity(struct node *n, struct instant now);

/* Take over what records say of peers; a change of the configuration was applied; addresses of the host changed. */
void node_mesh_sync(struct node *n, struct instant now);
void node_mesh_applied(struct node *n);
void node_mesh_moved(struct node *n);

/* Whether it is a peer whatever the config says, so that it is not the config's to remove. */
bool node_mesh_keeps(const struct node *n, const struct peer *p);

/* Whether no config may have it as a peer; and whether a handshake of the peer's may be answered. */
bool node_mesh_refuses(const struct node *n, const uint8_t public_key[KEY_LEN]);
bool node_mesh_admits(const struct node *n, const struct peer *p, struct instant now);

/* The peer told its addresses itself. */
void node_mesh_told(struct node *n, struct peer *p, const struct path_remote *v, size_t count, struct instant now);

/* The peer sent a packet of Babel's; sees us there; its paths changed. */
void node_mesh_hailed(struct node *n, struct peer *p, struct instant now);
void node_mesh_seen(struct node *n, struct peer *p, const struct endpoint *seen);
void node_mesh_path(struct node *n, struct peer *p, struct instant now);

/* routing.c's: have a speaker ask who may announce what; and what is announced of plain devices behind us. */
struct babel;
void node_mesh_judge(struct node *n, struct babel *b, struct instant now);
void node_mesh_devices(const struct node *n, void (*visit)(void *ctx, const struct ip_prefix *p), void *ctx);

/* What the driver writes. */
bool node_mesh_file(struct node *n, struct instant now, struct text *out);
void node_mesh_issued(const struct node *n, struct text *out);
void node_mesh_hosts(const struct node *n, struct instant now, struct text *out);	/* "ADDRESS\tNAME NAME.MESH" lines */
size_t node_mesh_addresses(const struct node *n, struct ip_prefix *v, size_t max);

/* For commands: what is there. NULL: no mesh. The mesh's own name; our own public key's record by store_find(). */
const struct store *node_mesh_store(const struct node *n);
const char *node_mesh_name(const struct node *n);

/* Commands. Each false with one line in 'why' and nothing changed. */
bool node_mesh_import(struct node *n, const struct bootstrap *b, struct bootstrap_news *news, struct instant now, struct text *why);
/* The same in steps (exchange/import.h), while the node goes on: begin, NULL for no memory; step; import_free(). The node has to be of a mesh until then. */
struct import;
struct import *node_mesh_import_begin(struct node *n, const void *data, size_t len, struct instant now);
enum bootstrap_step node_mesh_import_step(struct node *n, struct import *i, struct bootstrap_news *news, struct instant now, struct text *why);
bool node_mesh_export(struct node *n, const struct bootstrap_options *o, struct instant now, struct text *out, struct text *why);

struct mesh_invite {
	struct mint_node node;
	int64_t valid_s;		/* the invitation; 0: MINT_INVITATION_S */
	bool replaces;			/* the node of that name is lost: its addresses and prefixes go to the new one, and it is revoked when that has come */
	bool plain;			/* a WireGuard device behind us: 'public_key' is its */
	uint8_t public_key[KEY_LEN];
	const void *request;		/* offline: a signed JoinRequest. Else NULL */
	size_t request_len;
	bool renew;			/* a node that is there: a newer record of it with what 'set' says changed */
	unsigned int set;		/* bits: 1 addresses, 2 prefixes, 4 external, 8 roles, 16 expiry */
};
/* 'out': the token's text; offline, the file the other joins with; plain, nothing (the record is made, and what else wg-quick needs is in 'self'). */
bool node_mesh_invite(struct node *n, const struct mesh_invite *v, struct instant now, struct text *out, struct text *why);
/* 'name' may be a name or a public key in base64. */
bool node_mesh_revoke(struct node *n, const char *name, const char *reason, struct instant now, struct text *why);

/* LAN discovery: what to send to the link-local group (fixed length), and what came from it: 'from' has the address, our interface as scope, and the port in the message. */
enum { MESH_LAN_LEN = 64 };
bool node_mesh_lan_write(const struct node *n, uint8_t msg[MESH_LAN_LEN]);
void node_mesh_lan_seen(struct node *n, const struct endpoint *from, const uint8_t *msg, size_t len, struct instant now);

/* How the mesh uses a peer, for status: "backbone", "shortcut", "joining", or "". */
const char *node_mesh_use(const struct node *n, const struct peer *p);

/* What status tells. */
struct mesh_info {
	size_t nodes, good, backbone, shortcuts;
	uint64_t routed, routed_dropped;	/* messages passed on */
	uint64_t routes_refused;		/* of Babel: not its to announce */
	struct gossip_info gossip;
};
void node_mesh_info(const struct node *n, struct mesh_info *info);

#endif
