/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_WORKER_H
#define MESHD_SYS_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct node;
struct tun;
struct udp;
struct workers;

/*
 * The threads that run lanes: one each, with its TUN queue, its sockets and an event loop of its own, from a read to the writes
 * that come of it without a stop. They share nothing but rings, each of one writer and one reader: packets read by one lane for
 * another go there in whole batches. The control thread is called when something is noted, and stops a worker at its gate to
 * change its lane.
 */
struct workers_options {
	struct node *node;
	struct tun *tun;
	struct udp *udp;
	unsigned int count;		/* lanes of the node, queues of the tun, socket pairs of udp */
	void (*ring)(void *ctx);	/* from any thread: the node has something to look at */
	void *ctx;
};

/* Start them. 0 or negative errno. Signals are the control thread's: they are blocked in workers. */
int workers_start(struct workers **out, const struct workers_options *o);

/* Have every worker end after its batch and wait for it; the lanes' gates are void afterwards. NULL is fine. */
void workers_stop(struct workers *w);

/*
 * The sockets in *udp changed, while all gates were closed: returns when every worker watches the new ones and has closed those
 * it had in 'old' (a descriptor must not go while another thread may poll it).
 */
void workers_watch_sockets(struct workers *w, struct udp *old);

/* Further ports were opened: returns when the workers they belong to watch them. */
void workers_watch_ports(struct workers *w);

/* All gates are closed: drop what is on its way from lane to lane, for it may be for a peer that is gone. */
void workers_purge(struct workers *w);

/*
 * Whether the control thread comes by itself soon (it looks every 100 ms while there is traffic): then what only moves timers is not
 * worth a ring.
 */
void workers_set_following(struct workers *w, bool following);

/* Whether a worker found the TUN gone (it rings when it does): it may have been deleted in another network namespace. */
bool workers_tun_gone(const struct workers *w);

/* Packets a lane read for others, messages that came in for others, super-packets the TUN refused and that went in pieces. Gates closed. */
struct worker_counts {
	uint64_t handed_over, strays, fallbacks;
};

struct worker_counts workers_counts(const struct workers *w, unsigned int lane);

#endif
