/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BABEL_WORLD_H
#define MESHD_BABEL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "babel/babel.h"
#include "base/instant.h"

/*
 * Many Babel speakers in one process, in virtual time, from one seed. A segment is what multicast reaches all of: a LAN of several ports, or
 * with two of them a point-to-point link. One event at a time: the earliest arrival, restart or node deadline is taken, the clock
 * jumps there, that one thing is done - and then what the node it happened to has is looked at (babel_watch.c). A run is
 * repeated exactly by its seed.
 */

enum {
	WORLD_NODES_MAX = 64,
	WORLD_PORTS_MAX = 8,		/* of one node */
	WORLD_SEGMENTS_MAX = 192,
	WORLD_SEGMENT_PORTS = 8,
	WORLD_PAIRS_MAX = 64,		/* watched; others may be originated too, and are carried unwatched */
	WORLD_PACKET_MAX = 2048,
	WORLD_FAILURE_MAX = 640,
};

/* What a segment does to packets. All zero: perfect and immediate. Probabilities in 1/1000. */
struct world_quality {
	int64_t delay_us, jitter_us;	/* each packet: delay + [0, jitter): what jitters, reorders */
	unsigned int loss, duplicate;
};

struct world_random { uint64_t s; };

struct world_node;
struct world_segment;
struct world_packet;
struct world_event;

struct world_port {
	struct world_node *node;
	struct world_segment *segment;
	size_t number, place;		/* among the node's, among the segment's */
	struct babel_iface *iface;	/* NULL: the node is down, or the interface removed */
	struct babel_iface_config config;
	struct babel_link_cost measured;
	bool up, removed;
};

struct world_segment {
	struct world_quality quality;
	bool cut;			/* silently: nobody is told */
	size_t count;
	struct world_port *ports[WORLD_SEGMENT_PORTS];
	uint8_t deaf[WORLD_SEGMENT_PORTS];	/* bit j of [i]: port i does not hear port j */
};

/* The best distance a node was seen to hold for a pair and router-id. */
struct watch_distance {
	uint32_t rid;
	uint16_t seqno, metric;
	bool there;
	int64_t sent_us;		/* last finite update */
};

/* What a node had of a pair when it was last looked at. */
struct watch_pair {
	bool selected;
	const struct world_port *from, *to;	/* what is selected: over our port, to the neighbour's */
	uint32_t rid;
	uint16_t seqno, announced, metric;
	int64_t updated_us;
	enum babel_action fib;
	const struct world_port *fib_port;
	struct ip_addr fib_next_hop;
	struct watch_distance *distances;
	size_t distance_count, distance_size;
};

struct world_node {
	struct world *world;
	size_t number;
	struct babel *babel;		/* NULL: down */
	uint16_t generation;		/* of the router-id; with 'number' all there is in it */
	uint16_t seqno;			/* saved */
	uint16_t seqno_watched;
	bool clean;			/* as the next start is told */
	int64_t skew_us;		/* of its clock */
	int64_t wake_us;
	int64_t forgot_us;		/* when it last began without what it had known, or ended; 0: never */
	unsigned int spins;		/* turns in a row without time passing */
	struct world_random random;
	size_t port_count;
	struct world_port ports[WORLD_PORTS_MAX];
	bool own[WORLD_PAIRS_MAX];
	uint16_t own_metric[WORLD_PAIRS_MAX];
	struct watch_pair pairs[WORLD_PAIRS_MAX];
};

/* Over all lives of all nodes. */
struct world_counts {
	uint64_t events, packets, deliveries, bytes;
	uint64_t restarts, route_changes, requests, unfeasible, refused;
	uint64_t checks, cycles_excused, edges_excused, settlings, outages;
};

struct world {
	uint64_t seed;
	int64_t now_us;
	struct world_random random;
	size_t node_count, segment_count, pair_count;
	struct world_node *nodes[WORLD_NODES_MAX];
	struct world_segment *segments[WORLD_SEGMENTS_MAX];
	struct prefix_pair pairs[WORLD_PAIRS_MAX];
	uint8_t pair_slots[256];	/* by hash: number plus one */
	struct world_event *heap;
	size_t heap_count, heap_size;
	uint64_t order;
	struct world_packet *spare;
	uint64_t trace;			/* over all that was sent: equal seeds, equal traces */
	bool reorders;			/* some segment jitters or duplicates, or did: see babel_watch.c */
	bool unwatched;			/* speed alone: nothing is looked at */
	struct world_counts counts;
	/* The event under way. */
	uint64_t touched;		/* pairs, a bit each */
	struct babel_info info_before;
	bool failed;
	char failure[WORLD_FAILURE_MAX];
	/* Called for each packet that is sent, and each change of a watched pair's forwarding. May be NULL. */
	void (*on_packet)(struct world *w, const struct world_port *from, const struct babel_datagram *d);
	void (*on_change)(struct world *w, struct world_node *n, size_t pair, const struct babel_change *c);
	void *ctx;
};

/* The clock begins at 'start_us', > 0. */
struct world *world_new(uint64_t seed, int64_t start_us);
void world_free(struct world *w);

/* A node: down until world_boot(). 'seqno' is its first. */
struct world_node *world_add_node(struct world *w, uint16_t seqno);
struct world_segment *world_add_segment(struct world *w, const struct world_quality *q);

/* Put a node on a segment, while it is down. The config's addresses and name are filled in (IPv4 if 'ipv4'). */
struct world_port *world_attach(struct world *w, struct world_node *n, struct world_segment *s, const struct babel_iface_config *c,
				bool ipv4);

/* Two nodes on a segment of their own, both of 'type'. */
struct world_segment *world_link(struct world *w, struct world_node *a, struct world_node *b, enum babel_link_type type,
				 const struct world_quality *q);

/* A prefix pair to be watched. 'src' may be NULL. Returns its number. */
size_t world_pair(struct world *w, const char *dst, const char *src);

/* The number of a watched pair, or WORLD_PAIRS_MAX. */
size_t world_find(const struct world *w, const struct prefix_pair *p);

/* Start it, and all of them. What it originates is originated again. */
void world_boot(struct world *w, struct world_node *n);
void world_boot_all(struct world *w);

enum world_end {
	WORLD_CLEAN,		/* says goodbye */
	WORLD_PLANNED,		/* babel_stop(planned) */
	WORLD_KILLED,		/* knows its seqno when it is back */
	WORLD_LOST,		/* comes back with another router-id and seqno */
};

/* End a node; after 'away_us' it is back, or with -1 stays away. */
void world_end(struct world *w, struct world_node *n, enum world_end how, int64_t away_us);

void world_originate(struct world *w, struct world_node *n, size_t pair, uint16_t metric);
void world_withdraw(struct world *w, struct world_node *n, size_t pair);

void world_port_up(struct world *w, struct world_port *p, bool up);
void world_port_cost(struct world *w, struct world_port *p, const struct babel_link_cost *c);
void world_port_config(struct world *w, struct world_port *p, const struct babel_iface_config *c);
void world_port_remove(struct world *w, struct world_port *p);
void world_port_restore(struct world *w, struct world_port *p);

/* Silent, both ports' carriers, or the nodes at both ends are told that it carries nothing. */
void world_cut(struct world_segment *s, bool cut);
void world_carrier(struct world *w, struct world_segment *s, bool up);

/* Put a packet in front of a port, as if from this address. */
void world_inject(struct world *w, struct world_port *p, const struct ip_addr *src, const struct ip_addr *dst, const uint8_t *data, size_t len);

/* One event. False: there is none before 'until_us', or the world has failed. */
bool world_step(struct world *w, int64_t until_us);

/* Until so much time has passed. False: the world has failed. */
bool world_run(struct world *w, int64_t us);

/* Uniform number in [0, bound). */
uint64_t world_draw(struct world_random *r, uint64_t bound);
bool world_chance(struct world *w, unsigned int in_1000);

/* The node and port of an address; NULL: of nobody. */
struct world_port *world_port_of(struct world *w, const struct ip_addr *a);

/* What the node's tables say of a pair now; and the time as it sees it. */
enum babel_action world_fib(const struct world_node *n, size_t pair);
struct instant world_instant(const struct world_node *n);

/* Say once what was violated; the world stands still from then on. */
void world_fail(struct world *w, const struct world_node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Counts of nodes alive included. */
struct world_counts world_count(const struct world *w);

/*
 * babel_watch.c: what must always hold.
 */
#define WATCH_ALL UINT64_MAX

/* A packet goes out of a port. Returns the pairs in it; *asks: whether there are seqno requests. */
uint64_t watch_sent(struct world *w, const struct world_port *from, const struct babel_datagram *d, bool *asks);

/* How often a received packet may raise the node's seqno. */
unsigned int watch_raises(const struct world_node *n, const uint8_t *data, size_t len, const struct ip_addr *src);

/* Look at a node behind an event. 'raises': how much its seqno may have grown. */
void watch_node(struct world *w, struct world_node *n, uint64_t pairs, unsigned int raises);
void watch_change(struct world *w, struct world_node *n, const struct babel_change *c);

/* Nothing is known of it any more. */
void watch_forget(struct world_node *n);

/* Everything is quiet long enough: metrics are those of shortest paths, nothing is held or missing. */
void watch_settled(struct world *w);

/* What node 'n' says the way to its neighbour at 'to' costs; BABEL_INFINITY: does not know it. */
uint16_t watch_cost(const struct world_node *n, const struct world_port *via, const struct world_port *to);

#endif
