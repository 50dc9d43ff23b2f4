/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_CHANGE_H
#define MESHD_NODE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "crypto/key.h"
#include "node/babel_settings.h"
#include "path/terms.h"

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

/* How the sub-sessions of a link differ on the outside. */
enum flow_spread {
	SPREAD_PORTS,			/* by source port, over IPv6 also by flow label */
	SPREAD_LABEL,			/* over IPv6 by flow label alone: one port */
	SPREAD_OFF,			/* not at all: no sub-sessions */
};

/* The ECN field of the outer header. */
enum ecn_mode {
	ECN_MESH,			/* RFC 6040 with meshd, Not-ECT to others */
	ECN_ON,				/* to others as kernel WireGuard does it */
	ECN_OFF,			/* Not-ECT to all, and what comes in outside is not looked at */
};

/* How a link's flows use paths that are nearly equal. */
enum path_spread {
	PATHS_BEST,			/* all on the best */
	PATHS_ALL,			/* shared out by weight, never one flow's packets */
};

enum {
	SPREAD_KINDS = SPREAD_OFF + 1,
	ECN_MODES = ECN_OFF + 1,
	PATH_SPREADS = PATHS_ALL + 1,
	MSS_CLAMP_OFF = -1,
	MSS_CLAMP_ON = 0,		/* to what fits; else a number: */
	MSS_CLAMP_MIN = 88,
	MSS_CLAMP_MAX = 65495,
	ENDPOINTS_MAX = 16,		/* Endpoint lines of a peer */
	ENDPOINT_ADDRESSES_MAX = 8,	/* addresses of one name */
	UPLINKS_MAX = 32,		/* Uplink lines */
	FLOW_SESSIONS_MAX = 126,
	FLOW_SESSIONS_DEFAULT = 32,
	DSCP_NONE = -1,			/* the outer DSCP is 0 */
	DSCP_COPY = -2,			/* it is the inner one */
	DSCP_MAX = 63,
	ENDPOINT_PREFIX_MIN = 64,	/* lengths of an endpoint's prefix, and of one that is listened on */
	ENDPOINT_PREFIX_MAX = 127,
};

/* Of what may be limited. */
#define BANDWIDTH_MIN_BPS UINT64_C(8000)
#define BANDWIDTH_MAX_BPS UINT64_C(100000000000)

/* What may be set for an interface and for a peer. */
struct link_settings {
	uint8_t flow_sessions;		/* beside 0; 0: plain WireGuard */
	enum ecn_mode ecn;
	int8_t dscp;			/* DSCP_NONE, DSCP_COPY or 0..63 */
	uint64_t bandwidth_bps;		/* bits a second of outer IP packets; 0: not limited */
};

/* What an interface has that says nothing. */
extern const struct link_settings link_settings_default;

/* As config files have them. */
const char *flow_spread_name(enum flow_spread spread);
const char *path_spread_name(enum path_spread spread);
const char *ecn_mode_name(enum ecn_mode mode);

enum change_bit {
	CHANGE_PRIVATE_KEY = 1,		/* an all-zero key takes the key away */
	CHANGE_LISTEN_PORT = 2,
	CHANGE_FWMARK = 4,
	CHANGE_REPLACE_PEERS = 8,	/* peers not named in this change go */
	CHANGE_LINKS = 16,		/* 'links' is set, and all up to 'uplinks' */
	CHANGE_ROUTING = 32,		/* 'transit' and 'babel' are set */
};

enum change_peer_bit {
	CHANGE_PEER_REMOVE = 1,
	CHANGE_PEER_UPDATE_ONLY = 2,	/* do nothing if there is no such peer */
	CHANGE_PEER_REPLACE_ALLOWED = 4,
	CHANGE_PEER_PSK = 8,
	CHANGE_PEER_ENDPOINTS = 16,	/* 'endpoints' are all it has from now on; an empty list: none */
	CHANGE_PEER_KEEPALIVE = 64,
	CHANGE_PEER_NAME = 128,
	/* These of 'link' are set; the others are as the interface's. */
	CHANGE_PEER_FLOW_SESSIONS = 256,
	CHANGE_PEER_ECN = 512,
	CHANGE_PEER_DSCP = 1024,
	CHANGE_PEER_BANDWIDTH = 2048,
	CHANGE_PEER_BABEL = 4096,	/* 'babel' is set; of a peer that CHANGE_REPLACE_PEERS finds unsaid it is off */
	CHANGE_PEER_ALLOWED_AUTO = 8192,	/* 'allowed_auto' is set; unsaid it is off, and CHANGE_PEER_REPLACE_ALLOWED ends it */
	CHANGE_PEER_RECORDED = 16384,	/* the mesh's word, not the config's: it stays when the config no longer names it */
	CHANGE_PEER_JOINER = 32768,	/* with it: the holder of an invitation */
	CHANGE_PEER_LINK = 256 | 512 | 1024 | 2048,
};

struct change_allowed {
	struct ip_prefix prefix;	/* masked */
	bool remove;			/* take it from this peer rather than give it */
};

/* One Endpoint line. */
struct change_endpoint {
	char name[ENDPOINT_NAME_MAX + 1];	/* HOST:PORT as it was written: somebody resolves it. "": an address */
	struct endpoint v[ENDPOINT_ADDRESSES_MAX];	/* that address, or those the name has */
	uint8_t count;				/* of them; 0: it has not resolved */
	uint8_t prefix_len;			/* given as an IPv6 prefix: sub-sessions differ by address in it; 0: one address */
	struct path_terms terms;
};

/* One Uplink line: what an interface of this host is like. */
struct change_uplink {
	char name[16];
	struct path_terms terms;
};

struct change_peer {
	unsigned int bits;		/* enum change_peer_bit */
	uint8_t public_key[KEY_LEN];
	uint8_t psk[KEY_LEN];
	struct change_endpoint *endpoints;
	size_t endpoint_count;
	struct link_settings link;
	bool babel;			/* Babel runs on the link to it */
	bool allowed_auto;		/* AllowedIPs = auto: Babel decides, beside what is in 'allowed' */
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
	struct link_settings links;	/* of peers that say nothing else; its bandwidth is all peers' together */
	enum flow_spread spread;
	struct ip_prefix listen_prefix;	/* taken whole by a local route; family IP_NONE: none */
	enum path_spread path_spread;
	int mss_clamp;			/* MSS_CLAMP_OFF, MSS_CLAMP_ON or a number */
	struct change_uplink uplinks[UPLINKS_MAX];	/* each name once; for whoever knows the host's interfaces */
	size_t uplink_count;
	enum transit_mode transit;
	struct babel_settings babel;	/* owned */
	struct change_peer *peers;	/* in the order they were given; a key may come twice */
	size_t peer_count;
};

/*
 * Put those of 'from' into 'to' that 'bits' (enum change_peer_bit, others do not matter) name: a change into a peer's, or a peer's into a copy
 * of the interface's.
 */
void link_settings_put(struct link_settings *to, const struct link_settings *from, unsigned int bits);

/* Whether an address and a length can be an endpoint's prefix, or one to listen on: IPv6, unicast, and not of this host or link alone. */
bool change_prefix_is_good(const struct ip_prefix *p);

/* Set CHANGE_LINKS with what an interface has that says nothing. */
void change_links_default(struct change *c);

/* Append an empty peer. NULL: no memory, or CHANGE_PEERS_MAX. The pointer is good until the next call. */
struct change_peer *change_add_peer(struct change *c);

/* Append an allowed IP. False: no memory, or CHANGE_ALLOWED_MAX for this peer; the sum of all is the parser's to watch. */
bool change_add_allowed(struct change_peer *p, const struct ip_prefix *prefix, bool remove);

/* Take the allowed IPs out again. */
void change_clear_allowed(struct change_peer *p);

/* Append an empty endpoint and set CHANGE_PEER_ENDPOINTS. NULL: no memory, or ENDPOINTS_MAX. The pointer is good until the next call. */
struct change_endpoint *change_add_endpoint(struct change_peer *p);

/* The same with one address. False: as above. */
bool change_add_address(struct change_peer *p, const struct endpoint *address);

/* Take the endpoints out again, CHANGE_PEER_ENDPOINTS stays as it is. */
void change_clear_endpoints(struct change_peer *p);

/* Whether two lists are the same as they were written: names whatever they resolve to, addresses, terms, in the same order. */
bool change_endpoints_same(const struct change_endpoint *a, size_t a_count, const struct change_endpoint *b, size_t b_count);

/*
 * What a name resolved to, 'v' as the resolver orders it, put into 'out' as far as it can be an endpoint (unicast, with a port) and each once. Where
 * there is more than room the families take turns, so that there is some of both. Returns how many.
 */
size_t change_pick_addresses(const struct endpoint *v, size_t count, struct endpoint out[ENDPOINT_ADDRESSES_MAX]);

/* How packets from link to link go where nothing is said: in the lane if Babel runs, else as under wg-quick. */
enum transit_mode change_transit_default(const struct change *c);

/*
 * Mark in 'first' (peer_count of them) the peers whose public key no earlier one has. False: no memory. Not quadratic, so it
 * may be asked about a change of any size.
 */
bool change_first_peers(const struct change *c, bool *first);

/* Wipe and free what 'c' holds; it is empty again. */
void change_done(struct change *c);

#endif
