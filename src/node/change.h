/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_CHANGE_H
#define MESHD_NODE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "crypto/key.h"

/*
 * A change of a node's configuration: what "wg set", a config file and a reload all come down to. Built completely by a
 * parser, judged by node_check(), applied by node_apply(): all of it or nothing.
 */

enum {
	NAME_MAX_LEN = 63,		/* a peer's or node's name */
	HOST_MAX_LEN = 255,		/* an endpoint's host name */
	ENDPOINT_NAME_MAX = HOST_MAX_LEN + 1 + 5,
	CHANGE_PEERS_MAX = 65536,
	CHANGE_ALLOWED_MAX = 1 << 20,	/* allowed IPs in one change */
};

enum change_bit {
	CHANGE_PRIVATE_KEY = 1,		/* an all-zero key takes the key away */
	CHANGE_LISTEN_PORT = 2,
	CHANGE_FWMARK = 4,
	CHANGE_REPLACE_PEERS = 8,	/* peers not named in this change go */
};

enum change_peer_bit {
	CHANGE_PEER_REMOVE = 1,
	CHANGE_PEER_UPDATE_ONLY = 2,	/* do nothing if there is no such peer */
	CHANGE_PEER_REPLACE_ALLOWED = 4,
	CHANGE_PEER_PSK = 8,
	CHANGE_PEER_ENDPOINT = 16,	/* 'endpoint' is set */
	CHANGE_PEER_ENDPOINT_NAME = 32,	/* 'endpoint_name' is set: somebody resolves it */
	CHANGE_PEER_KEEPALIVE = 64,
	CHANGE_PEER_NAME = 128,
};

struct change_allowed {
	struct ip_prefix prefix;	/* masked */
	bool remove;			/* take it from this peer rather than give it */
};

struct change_peer {
	unsigned int bits;		/* enum change_peer_bit */
	uint8_t public_key[KEY_LEN];
	uint8_t psk[KEY_LEN];
	struct endpoint endpoint;
	char endpoint_name[ENDPOINT_NAME_MAX + 1];	/* HOST:PORT as it was written */
	uint16_t keepalive_s;
	char name[NAME_MAX_LEN + 1];
	struct change_allowed *allowed;
	size_t allowed_count;
};

struct change {
	unsigned int bits;		/* enum change_bit */
	uint8_t private_key[KEY_LEN];
	uint16_t listen_port;
	uint32_t fwmark;
	struct change_peer *peers;	/* in the order they were given; a key may come twice */
	size_t peer_count;
};

/* Append an empty peer. NULL: no memory, or CHANGE_PEERS_MAX. The pointer is good until the next call. */
struct change_peer *change_add_peer(struct change *c);

/* Append an allowed IP. False: no memory, or CHANGE_ALLOWED_MAX for this peer; the sum of all is the parser's to watch. */
bool change_add_allowed(struct change_peer *p, const struct ip_prefix *prefix, bool remove);

/* Take the allowed IPs out again. */
void change_clear_allowed(struct change_peer *p);

/*
 * Mark in 'first' (peer_count of them) the peers whose public key no earlier one has. False: no memory. Not quadratic, so it
 * may be asked about a change of any size.
 */
bool change_first_peers(const struct change *c, bool *first);

/* Wipe and free what 'c' holds; it is empty again. */
void change_done(struct change *c);

#endif
