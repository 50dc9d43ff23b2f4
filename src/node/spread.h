/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_SPREAD_H
#define MESHD_NODE_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"

struct lane_control;
struct node;
struct peer;

/*
 * The sub-sessions of a peer, as the node manages them: finding out whether it is a meshd, opening as many as its flows need, knowing which
 * of them are heard (doc/protocol.md, "Sub-sessions"). Flows are placed by the lanes, on those this says are usable.
 */

enum {
	SPREAD_TICK_MS = 500,		/* how often it is looked after while there is traffic */
	SPREAD_TICK_IDLE_MS = 5000,	/* and for a while after */
	SPREAD_SPARE = 4,		/* usable ones kept ready for new flows, in each lane */
	SPREAD_PROBE_MIN_MS = 200,	/* between two probes of one sub-session, whatever the other side says */
	SPREAD_TRIES = 3,		/* probes in a row, a tick apart... */
	SPREAD_RETRY_S = 10,		/* ...then so far apart */
	SPREAD_REFRESH_S = 8,		/* one not heard for so long is probed: a NAT may forget it */
	SPREAD_FRESH_S = 25,		/* and is not usable when it was not heard for so long */
	SPREAD_ACTIVE_S = 10,		/* after the last data there is traffic for so long */
	SPREAD_HEARD_MS = 1000,		/* what a report calls heard lately */
	SPREAD_SLACK_MS = 300,		/* how much later than reports data may come in */
	SPREAD_PAUSE_S = 60,		/* when neither side could open any */
	SPREAD_ASK_MS = 2000,		/* between two requests to open; longer than SPREAD_TRIES ticks */
	SPREAD_OFFERS = 2,		/* capability offers without an answer, so far apart: */
	SPREAD_OFFER_MS = 1000,
	SPREAD_QUIET_S = 3600,		/* then none for so long */
	SPREAD_EARLY_S = 5,		/* a handshake by so much before its time is early */
	SPREAD_SEQUENCES = 16,		/* reports whose time is remembered */
	SPREAD_MOVE_MAX_S = 5,		/* a better path waits so long for the idle gap of a flow: who never pauses is better off after all */
	SPREAD_MOVE_SHARE = 4,		/* of the usable ones of a lane one in so many is moved a tick: flows find others meanwhile */
	SPREAD_HAILS_MAX = 8,		/* paths the other side is asked over to open its NAT for, in one tick */
	SPREAD_CE_MIN = 3,		/* control messages that came in marked, before that path's marks are not believed */
};

/* One sub-session. */
struct spread_sub {
	uint32_t token;			/* of our probes; 0: none drawn yet */
	uint8_t tries;			/* since it was last heard or asked for anew */
	uint16_t remote_port;		/* that the other side opens it from, as announced; 0: unknown */
	int64_t asked_us;		/* last probe; 0: never */
	int64_t answered_us;		/* last reply over the way it is aimed at; 0: never */
	int64_t over_us;		/* last probe over another; 0: never */
	int64_t told_us;		/* last report that it is heard; 0: none */
	int64_t unheard_us;		/* what was sent since then nobody has told us is heard; 0: nothing was */
};

/* Embedded in a peer. All zero, then spread_settings(). */
struct spread {
	/* Who the other side is. */
	uint8_t offers;			/* sent on this keypair */
	int64_t offer_us;		/* when to repeat; 0: not */
	int64_t quiet_us;		/* no offers before */
	uint16_t features, told_features;
	uint8_t their_sessions, told_sessions;
	bool natted, told_natted, their_natted;
	bool their_prefix;		/* they were told a prefix of ours */

	/* Which are open, and by whom. */
	bool opener;			/* we send the first packet, from ports of ours */
	bool role_set;			/* somebody said so: it is not for the keys to decide */
	bool announce;			/* an announcement has to go out */
	uint8_t max;			/* the smaller of both sides' FlowSessions */
	uint8_t want, asked;		/* that we, and they, would like open */
	uint8_t announced, requested;	/* in the last announcement, of either side, and in the last request of ours */
	bool limited;			/* they cannot open as many as that */
	bool all_due;			/* when the other side is ready all are probed, not only the new ones */
	bool ready_due;			/* the other side has not answered our announcement */
	uint8_t failures;		/* roles tried in vain in a row */
	int64_t pause_us, ask_us;
	struct spread_sub *subs;	/* SUB_SESSIONS; NULL until it is a meshd */
	int64_t rtt_us;			/* of the last probe; 0: unknown */
	int64_t move_us;		/* since when there may be some that are not where the choice of paths has them; 0: there are none */
	int64_t moved_us;		/* last look at those */
	int64_t hail_us;		/* last time the other side was asked to open its NAT for paths of ours */

	/* Reports. */
	uint16_t sequence, echo;
	int64_t sequence_us[SPREAD_SEQUENCES];
	int64_t active_us;		/* last data */
	int64_t tick_us;		/* next tick; 0: none */

	/* ECN. */
	uint8_t ce_seen;		/* control messages that came in as CE though they leave as Not-ECT */
	bool they_see_ce;
	bool bleached;			/* what leaves as ECT arrives there as Not-ECT */
};

/* The peer's settings, or what it can do, changed: what the lanes use follows. Sub-sessions that are no longer wanted go unused. */
void spread_settings(struct node *n, struct peer *p);

/* The configuration changed: the same, and the peer is told if it concerns it. */
void spread_changed(struct node *n, struct peer *p);

/*
 * The peer began a handshake, and our answer has not left. If it is too early for new keys the peer has started anew, or hears nothing from us:
 * flows go back to session 0 before it can say so itself.
 */
void spread_handshake(struct node *n, struct peer *p, struct instant now);

/* A keypair is in use now: offer our capabilities, if its index allows. */
void spread_session(struct node *n, struct peer *p, struct instant now);

/* All keys are gone. */
void spread_forget(struct node *n, struct peer *p);

/* The peer goes away. */
void spread_done(struct peer *p);

/* Data went out or came in. 'wanting': a flow found no sub-session of its own. */
void spread_traffic(struct node *n, struct peer *p, bool wanting, struct instant now);

/*
 * The peer's endpoint changed; where it is managed, the path in use did, and flows cannot wait: the old one is dead, gone or bad. What does not
 * go where it shall is unusable at once, and opened again at once.
 */
void spread_moved(struct node *n, struct peer *p, struct instant now);

/*
 * Managed peers: the choice of paths changed, or which share, and it can wait. Sub-sessions move few at a time, each when no packet of a flow
 * can be on the way, or after SPREAD_MOVE_MAX_S.
 */
void spread_repathed(struct node *n, struct peer *p, struct instant now);

/* A control message came in. */
void spread_control(struct node *n, const struct lane_control *c, struct instant now);

/* More sockets are open. */
void spread_ports(struct node *n, struct instant now);

/* When spread_expire() is due: microseconds, monotonic, or NEVER_US. */
int64_t spread_next(const struct peer *p);
void spread_expire(struct node *n, struct peer *p, struct instant now);

/* How many sub-sessions flows may be put on. */
unsigned int spread_usable(const struct node *n, const struct peer *p);

#endif
