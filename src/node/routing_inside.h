/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_ROUTING_INSIDE_H
#define MESHD_NODE_ROUTING_INSIDE_H

#include "node/babel_settings.h"
#include "node/inside.h"
#include "node/rib.h"
#include "node/routing.h"

/*
 * The inside of routing, shared by routing.c (life, interfaces, packets, changes), redistribute.c (what is announced) and resume.c
 * (over a planned stop), and by nobody else.
 */

enum {
	ROUTING_PACKET_MAX = 1500,	/* inner packets that carry Babel over the mesh */
	ROUTING_CHANGES_GATE = 256,	/* changes of the lanes' table while the gates are closed once */
	ROUTING_CHANGES_TURN = 4096,	/* changes taken from the speaker in a turn */
	ROUTING_PACKETS_TAKEN = 512,	/* packets in a turn... */
	ROUTING_PACKETS_GIVEN = 128,	/* ...in and out */
	ROUTING_LINK_QUEUE = 16,	/* of them while a gate is closed once */
	ROUTING_SEQNO_AHEAD = 64,	/* the seqno that is saved is so far ahead */
	ROUTING_LAN_QUEUE = 64,		/* packets for ordinary interfaces that wait for the driver */
	ROUTING_SWEEP_MS = 1000,	/* how often announcers that linger are looked at */
	ROUTING_ORIGINATED_MAX = BABEL_PREFIXES_OWN,
};

/* An interface of the speaker: a link to a peer, or an ordinary one. The owner of struct babel_iface. */
struct routing_iface {
	struct peer *peer;		/* NULL: ordinary... */
	char name[13];			/* of a peer that has none: the beginning of its key */
	struct babel_lan lan;		/* ...as configured */
	struct node_lan seen;		/* and as the host has it */
	struct babel_iface *babel;	/* NULL: it is not there */
	bool wanted;			/* mark of a sync under way */
};

/* What we announce. */
struct originated {
	struct prefix_pair prefix;
	uint16_t metric;
};

/* Left by the run before us. */
struct resume_hello {
	char owner[64];			/* resume_owner() */
	uint16_t seqno;
};

struct resume {
	int64_t until_us;		/* 0: there is none */
	uint8_t router_id[BABEL_ROUTER_ID_LEN];
	struct resume_hello *hellos;
	size_t hello_count;
	struct babel_distance *distances;
	size_t distance_count;
};

struct routing {
	struct babel_settings settings;
	struct routing_state saved;
	bool has_saved;
	struct resume resume;
	struct babel *babel;		/* NULL: off */
	struct instant now;		/* of the last call that had one, for those that have none */
	uint16_t seqno_saved;		/* what the driver was told, ahead of what is in use */
	struct routing_iface **ifaces;
	size_t iface_count, iface_size;
	struct ip_prefix *addresses;	/* of our own interface */
	size_t address_count;
	struct kernel_route *kernel_routes;
	size_t kernel_route_count;
	struct originated *originated;	/* sorted, what the speaker announces for us */
	size_t originated_count;
	size_t left_out;		/* that there was no room for; tried again with each sweep */
	struct rib rib;
	int64_t sweep_us;		/* when lingering announcers are looked at next; NEVER_US */
	bool more;			/* the turn ended before everything was done */
	bool stopped, planned;
	bool memory_logged;
	struct link_packet {
		struct peer *peer;
		uint32_t len;
		uint8_t packet[ROUTING_PACKET_MAX];
	} link_queue[ROUTING_LINK_QUEUE];	/* to go over links */
	size_t link_count;
	struct babel_iface *announcers[BABEL_IFACES_MAX];	/* of the change under way */
	struct lane_peer *announcing[BABEL_IFACES_MAX];
	struct lane_routing taken[ROUTING_LINK_QUEUE];	/* came over them */
	struct lan_packet {
		struct node_lan_packet head;
		uint8_t data[ROUTING_PACKET_MAX];
	} *lan_queue;			/* a ring */
	size_t lan_first, lan_count;
	struct lan_packet lan_out;	/* the one the driver has */
};

/* routing_packets.c */

/* Send a packet of the speaker's over an interface, at once. */
void routing_send(struct node *n, const struct routing_iface *i, const struct babel_datagram *d);

/* Give the speaker what came over links, and send what it has; both bounded: 'more' says that the turn is not over. */
void routing_take(struct node *n, struct instant now);
void routing_give(struct node *n, struct instant now);

/* routing.c: the router-id of who has this key. */
void routing_router_id(const uint8_t public_key[KEY_LEN], uint8_t id[BABEL_ROUTER_ID_LEN]);

/* redistribute.c */

/* Announce what addresses, kernel, allowed IPs and settings come to now. False: no memory, and what was announced before still is. */
bool redistribute(struct node *n, struct instant now);

/* The speaker is a new one: it announces nothing yet. */
void redistribute_forget(struct routing *r);

/* resume.c: whether the speaker with this router-id may go on with what the last run left; put it into a fresh speaker; a new
 * speaker, with it if it fits; and for an interface. */
bool resume_fits(const struct routing *r, const uint8_t router_id[BABEL_ROUTER_ID_LEN]);
bool resume_restore(struct routing *r, struct babel *b);
void resume_iface(struct routing *r, struct routing_iface *i);
struct babel *resume_speaker(struct node *n, struct babel_config *c);
void resume_done(struct resume *h);

#endif
