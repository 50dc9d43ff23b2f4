/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_MESH_INSIDE_H
#define MESHD_NODE_MESH_INSIDE_H

#include "exchange/message.h"
#include "node/inside.h"
#include "node/mesh.h"

/*
 * The inside of the mesh, shared by mesh.c (life, peers made of records, gossip), mesh_links.c (which links there are), mesh_self.c (what we say of
 * ourselves), mesh_routed.c (messages from hop to hop), mesh_shortcuts.c, mesh_join.c (invitations), mesh_commands.c and mesh_lan.c, and by nobody else.
 */
enum {
	MESH_SYNC_MS = 100,		/* changes of records become peers no more often, and all there are together */
	MESH_MESSAGES_A_TURN = 64,	/* of the gossip */
	MESH_EXPIRE_S = 10,		/* how often the store is looked through for what has expired */
	MESH_TRY_S = 6,			/* a session that is wanted for a backbone link comes by then, or not */
	MESH_TRIM_S = 3,		/* how often one of too many backbone links is given up */
	MESH_TRIM_WAIT_S = 8,		/* such a one comes back after so long, if no route leads to it */
	MESH_FRESH_S = 60,		/* a session is gossiped over for so long, whatever becomes of it */
	MESH_SELF_BURST = 3,		/* self records of a minute that do not wait */
	MESH_SEEN_MAX = 2,		/* addresses in ours that we know from others alone */
	MESH_ROUTED_MS = 50,		/* a peer may have a message passed on so often... */
	MESH_ROUTED_BURST = 40,		/* ...and so many at once */
	MESH_STRIKE_MS = 1000,		/* punches of one node are answered, and sent to one, so often */
	MESH_STRIKES_MS = 100,		/* and those of all nodes */
	MESH_STRIKES_BURST = 16,
	MESH_OPEN_S = 10,		/* a shortcut stands by then, or is tried again after... */
	MESH_OPEN_RETRY_S = 60,		/* ...so long */
	MESH_USED_S = 3600,		/* an invitation that was used is answered for so long */
	MESH_ANSWERS_MAX = 16,		/* to joiners, kept to be pulled */
	MESH_TOLD_MAX = PATH_REMOTES_MAX,
};

/* A router-id, and whose it is. */
struct mesh_router {
	uint8_t id[8], public_key[KEY_LEN];
};

/* An answer to a joiner, sealed. */
struct mesh_answer {
	uint8_t token[KEY_LEN];
	uint8_t request[BLAKE2S_LEN];	/* hash of what it answers */
	struct text sealed;
	int64_t used_us;
};

struct mesh {
	struct store *store;
	struct gossip *gossip;
	char name[MESH_NAME_MAX + 1];
	bool has_key;
	uint8_t seed[SIGN_SEED_LEN], sign_key[SIGN_KEY_LEN];	/* of our node */

	/* What was made of the store. */
	uint64_t version;		/* that peers were made of */
	uint64_t version_written;	/* that the driver was told of */
	bool all;			/* everything is to be looked at, not only what changed */
	bool applying;			/* the change under way is ours */
	int64_t synced_us;
	uint8_t (*changed)[KEY_LEN];	/* changed_count of them, to be looked at */
	size_t changed_count, changed_size;
	size_t joiners;
	bool own_good;			/* our own record counts */
	struct ip_prefix addresses[ITEM_PREFIXES_MAX];	/* of our own record */
	size_t address_count;
	unsigned int roles;		/* ours */
	struct ip_prefix owned[2 * ITEM_PREFIXES_MAX];	/* owned_count: what lanes know as ours */
	size_t owned_count;
	uint64_t own_serial;		/* of our record, whose prefixes lanes know as ours */

	/* Links. */
	int64_t look_us;		/* next look at them; 0: at once */
	int64_t expire_us, seek_us, trim_us;
	bool relink;			/* Babel has to be told of links that came or went */
	bool more;			/* the turn ended before everything was done */

	int64_t strikes_us;		/* when all of MESH_STRIKES_BURST may be answered again */

	/* What we say of ourselves. */
	int64_t self_us;		/* last time */
	int64_t self_minute_us;
	unsigned int self_count;	/* since then */

	struct issued *issued;		/* issued_count of MESH_ISSUED_MAX */
	size_t issued_count;
	struct mesh_answer answers[MESH_ANSWERS_MAX];

	uint64_t routed, routed_dropped;
	uint64_t routes_refused;

	/* mesh_judge.c: nodes in good standing by router-id, gateways and plain devices by key. */
	struct mesh_router *routers;
	size_t router_count;
	uint8_t (*gateways)[KEY_LEN], (*devices)[KEY_LEN];
	size_t gateway_count, device_count;
};

static inline int64_t wall_s(struct instant now)
{
	return now.wall_ns / NS_PER_S;
}

/* Send a message to a peer we have a session with. False: there is none, or it does not fit. */
bool mesh_send(struct node *n, struct peer *p, const struct message *m);

/* Whether there is a session that the other side speaks the exchange on. */
bool mesh_speaks(const struct peer *p);

/* Whether something is known to come from the peer, and goes there. */
bool mesh_alive(struct node *n, struct peer *p, struct instant now);

/* Begin the gossip with a neighbour anew: both sides compare what they have. */
void mesh_greet(struct node *n, struct peer *p, struct instant now);

/* The store changed by our own doing. */
void mesh_added(struct node *n, struct instant now);

/* The name of a peer, or the beginning of its key. */
const char *mesh_peer_name(const struct peer *p, char room[KEY_BASE64_MAX]);

/* mesh_links.c */

/* Make the endpoints of its record, and what it told, candidates; and be content with those it is heard from. */
void mesh_prime(struct node *n, struct peer *p, struct instant now);
void mesh_unprime(struct node *n, struct peer *p, struct instant now);
/* The record changed: the same again for who is primed. */
void mesh_reprime(struct node *n, struct peer *p, struct instant now);

void mesh_links_look(struct node *n, struct instant now);
/* A session came to be, or ended. */
void mesh_links_session(struct node *n, struct peer *p, struct instant now);
/* The peer is none of the mesh's any more. */
void mesh_links_end(struct node *n, struct peer *p);
/* Where the peer's first address is routed to: the neighbour, or NULL. */
struct peer *mesh_next_hop(struct node *n, const struct peer *to);

/* mesh_self.c */
void mesh_self_look(struct node *n, struct instant now);
size_t mesh_own_endpoints(const struct node *n, struct record_endpoint v[ITEM_ENDPOINTS_MAX]);

/* mesh_routed.c */
void mesh_routed_take(struct node *n, struct peer *from, struct message *m, struct instant now);
bool mesh_routed_send(struct node *n, struct message *m, struct instant now);
/* Whether the peer may have one more passed on now. */
bool mesh_routed_may(struct peer *p, struct instant now);
/* Have both sides send to each other at once. */
void mesh_punch(struct node *n, struct peer *p, struct instant now);

/* mesh_judge.c: records changed; the end. */
void mesh_judge_rebuild(struct node *n, struct instant now);
void mesh_judge_end(struct mesh *m);

/* mesh_shortcuts.c */
void mesh_shortcuts_look(struct node *n, struct instant now);
void mesh_shortcut_path(struct node *n, struct peer *p, struct instant now);
void mesh_shortcut_end(struct node *n, struct peer *p);

/* mesh_join.c */
bool mesh_issued_begin(struct mesh *m, const char *text, struct instant now);
void mesh_issued_end(struct mesh *m);
void mesh_issued_expire(struct node *n, struct instant now);
/* A piece of a request from a joiner, or for us from elsewhere ('relay': who wants the answer). */
void mesh_join_take(struct node *n, struct peer *from, struct message *m, struct instant now);
void mesh_join_routed(struct node *n, const uint8_t relay[KEY_LEN], struct message *m, struct instant now);
/* The record for a request that was opened. False with one line in 'why'. */
bool mesh_join_mint(struct node *n, struct issued *i, const struct join_request *r, struct instant now, const char **why);
/* What a new node is given: its record, ours, as much more as fits into 'max' bytes. */
bool mesh_join_bootstrap(struct node *n, const uint8_t public_key[KEY_LEN], size_t max, struct instant now, struct text *out);

#endif
