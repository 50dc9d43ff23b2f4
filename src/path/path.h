/* SPDX-License-Identifier: MIT */
#ifndef MESHD_PATH_PATH_H
#define MESHD_PATH_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/instant.h"
#include "path/pmtu.h"
#include "path/terms.h"
#include "wire/mesh.h"

/*
 * The paths to one peer: which there are, what is measured on each, which one is used.
 *
 *	locals x remotes -> candidates -> probes, replies, reports -> metric, liveness -> choice
 *
 * Pure: time and messages come in as arguments; messages go out by a function that is passed in, decisions are bits that paths_turn() returns.
 * Everything is bounded by the constants below. Whatever comes in was authenticated as the peer's, and is still not believed further than
 * doc/protocol.md, "Paths", says.
 *
 * Liveness is per path and per direction. A path is alive to us while what we send on it is answered: the answer comes over the same path, or
 * a report that came over any says that our probes are heard there. What arrives elsewhere, or on the same path without being an answer, does not
 * keep it alive.
 */
enum {
	PATHS_MAX = 32,			/* candidates of one peer */
	PATH_LOCALS_MAX = 32,		/* addresses of this host */
	PATH_REMOTES_MAX = 32,		/* endpoints of one peer, by all origins */
	PATH_HEARD_MAX = 8,		/* of them, known only from authenticated packets: the oldest goes for a new one */
	PATH_PROBES = 64,		/* outstanding probes remembered, a power of two */
	PATH_RTT_BUCKETS = 6,		/* the window of the round trip's minimum... */
	PATH_RTT_BUCKET_MS = 500,	/* ...3 s: what stays longer is no queue of ours */
	PATH_LOSS_BUCKETS = 8,		/* the window of loss... */
	PATH_LOSS_BUCKET_MS = 500,	/* ...4 s while there is traffic */

	PATH_PROBE_ACTIVE_MS = 200,	/* on the path in use, while traffic flows */
	PATH_PROBE_STANDBY_MS = 1000,	/* on the others then */
	PATH_PROBE_URGENT_MS = 40,	/* on all, when nothing comes back */
	PATH_PROBE_DOUBT_MS = 25,	/* on the path in use and a rival by the same interface, to tell what they lose... */
	PATH_DOUBT_MS = 6000,		/* ...for so long... */
	PATH_DOUBT_REST_S = 30,		/* ...and not again before that; what it showed is good for as long */
	PATH_PROBE_NEW_MS = 200,	/* a candidate that was never answered, for PATH_NEW_TRIES; then */
	PATH_NEW_TRIES = 5,
	PATH_PROBE_DEAD_MS = 1000,	/* one that is dead, doubling up to */
	PATH_PROBE_DEAD_MAX_S = 60,
	PATH_PROBE_ALONE_MS = 2000,	/* or where nothing is alive, and there is traffic, to this */
	PATH_SENT_LATELY_MS = 200,	/* only who sends misses answers */
	PATH_PROBE_METERED_S = 30,	/* a metered one that is not used, while others are alive */
	PATH_ACTIVE_MS = 3000,		/* after the last data there is traffic for so long */
	PATH_KEEP_START_S = 20,		/* idle: how often each path is probed, which keeps a NAT's mapping; learned from then on */
	PATH_KEEP_MIN_S = 8,
	PATH_KEEP_MAX_S = 110,
	PATH_SILENCE_MS = 150,		/* sent, and for so long and a round trip nothing heard on the path in use: suspicious */
	PATH_DEAD_PROBES = 4,		/* probes sent since it was last answered, the newest past its time: dead */
	PATH_RTO_MIN_MS = 50,
	PATH_RTO_MAX_MS = 2000,
	PATH_RTO_NEW_MS = 500,		/* nothing known of the round trip */
	PATH_STALL_MS = 500,		/* we ourselves were away for so long: what was not answered meanwhile says nothing */
	PATH_URGENT_MS = 3000,		/* longer than that nothing is urgent... */
	PATH_URGENT_REST_S = 10,	/* ...and not again for so long, unless something was answered */
	PATH_CHECK_MS = 100,		/* a new path waits so long for the answer whether it may be used */
	PATH_LOST_MS = 1000,		/* a probe that was not answered for so long is lost */
	PATH_LOSS_MEMORY = 256,		/* probes that are remembered for a path's loss, fewer after... */
	PATH_LOSS_MEMORY_S = 120,	/* ...so long */
	PATH_TOLD_MS = 3000,		/* what the peer said of loss is good for so long */
	PATH_REPLIES_MAX = 128,		/* answered of a peer's probes... */
	PATH_REPLIES_MS = 100,		/* ...in so long */
	PATH_REPORT_MS = 500,		/* between reports, while there is traffic */
	PATH_GONE_TELLS = 3,		/* a path of ours that is gone is told of so often... */
	PATH_GONE_MS = 100,		/* ...so far apart */
	PATHS_GONE_MAX = 8,
	PATH_KEEP_ROUNDS = 3,		/* a mapping that lasted so often lasts longer, perhaps */

	PATH_FLOOR_US = 2000,		/* added to every round trip: a hop costs something, and tenths of a millisecond decide nothing */
	PATH_LOSS_WEIGHT = 30,		/* metric = (rtt + floor + cost) * (1 + 30 * loss) */
	PATH_LOSSY = 65536 / 50,	/* of a path that loses so much flows are taken off without waiting for an idle gap */
	PATH_RATIO_PERCENT = 125,	/* so much worse than another: that is better */
	PATH_BAD_PERCENT = 200,		/* so much worse: flows do not wait for an idle gap */
	PATH_SAMPLES_MIN = 5,		/* answers before a path can be chosen for being better */
	PATH_HOLD_MS = 1700,		/* better for so long; PATH_HOLD_BAD_MS where the present one is bad */
	PATH_HOLD_BAD_MS = 500,
	PATH_LEAVING_MS = 8000,		/* a path that was left without haste may still carry flows for so long */
	PATH_HOLD_NEAR_MS = 20000,	/* where it is but a lesser loss of another path by the same interface */
	PATH_HOLD_MAX_S = 300,		/* doubled with each change of the last PATH_CALM_S */
	PATH_CALM_S = 600,
	PATH_SHARE_PERCENT = 125,	/* Spread = all: paths whose metric is at most so much of the best's */
	PATH_COST_STEP_PERCENT = 20,	/* Babel is told of changes beyond that at once, */
	PATH_COST_SMALL_PERCENT = 5,	/* of smaller ones that are beyond this... */
	PATH_COST_SMALL_S = 30,		/* ...so often, */
	PATH_COST_NOMINAL = 96,		/* and this is a link's cost, */
	PATH_COST_MS = 3,		/* with so much for each millisecond of its metric */
	PATH_SHARE_LEAVE_PERCENT = 150,	/* Spread = all: a path that has a share keeps it up to here */
	PATH_WEIGHT_MAX = 8,
};

/* Where a remote endpoint is known from, as bits. */
enum path_origin {
	PATH_CONFIGURED = 1,
	PATH_HEARD = 2,			/* an authenticated message came from there */
	PATH_TOLD = 4,			/* the peer says so */
};

/* What the host says of sending that way. */
enum path_way {
	PATH_UNCHECKED,
	PATH_OPEN,
	PATH_LOOPS,			/* into a mesh of our own: nothing is sent */
	PATH_NO_ROUTE,
};

enum path_state {
	PATH_NEW,			/* never answered */
	PATH_ALIVE,
	PATH_DEAD,
};

/* Why the path in use is the one. */
enum path_why {
	PATH_WHY_NONE,			/* there is none */
	PATH_WHY_ONLY,			/* no other is alive */
	PATH_WHY_FIRST,			/* the first that was answered; nothing is better */
	PATH_WHY_BETTER,		/* it became better than the one before */
	PATH_WHY_DEATH,			/* the one before died */
	PATH_WHY_GONE,			/* the one before went: its address, interface or endpoint */
	PATH_WHY_PLAIN,			/* the peer is no meshd: it is where it was heard from */
};

/* An address of this host that packets may leave from. family IP_NONE (alone in its list): the kernel's choice, nobody knows more. */
struct path_local {
	struct ip_addr addr;
	uint32_t ifindex;		/* of its interface; 0: none, packets leave by whatever routes say */
	struct path_terms terms;	/* of the interface */
	bool spare;			/* another one serves as well (of its subnet): only where the peer sends to it is there a path from it */
	bool tunnel;			/* of another tunnel: peers are not told of it. Of no interest to paths: who checks their ways looks at it */
};

struct path_remote {
	struct endpoint endpoint;
	uint8_t origins;		/* enum path_origin */
	struct path_terms terms;
	int64_t heard_us;		/* PATH_HEARD: last */
};

/* A probe that is out. */
struct path_probe {
	uint32_t sequence;
	uint16_t size;			/* of the outer packet, where it was padded; else 0 */
	bool answered;			/* by a reply */
	bool heard;			/* the peer says it came */
	bool missed;			/* counted as lost */
	int64_t sent_us;		/* 0: none */
	int64_t quiet_us;		/* nothing had gone or come on the path for so long */
};

struct path_loss_bucket {
	uint32_t received, late;
	int32_t lost;			/* less than 0: came late, and was taken for lost in an older one */
};

/* One path. Fields are for reading; path.c and its neighbours write them. */
struct path {
	struct path_addr addr;		/* local family IP_NONE: the kernel's choice */
	uint16_t number;		/* ours for it, never 0 */
	uint16_t their;			/* the peer's for the same; 0: unknown */
	struct path_terms terms;	/* endpoint's and interface's together */
	uint8_t origins;		/* of its remote */
	uint8_t way;			/* enum path_way */
	bool recheck;			/* 'way' is to be asked for again; until then it holds */
	bool preferred;			/* the kernel would choose this local address */
	uint32_t way_mtu;		/* 0: unknown */
	uint8_t state;			/* enum path_state: what we send arrives and is answered */
	bool gone;			/* mark of a rebuild under way */
	int64_t made_us;
	int64_t since_us;		/* since when 'state' is so */

	/* What we send. */
	uint32_t sequence;		/* of the last probe */
	struct path_probe probes[PATH_PROBES];
	uint32_t unanswered;		/* probes since the last answer; padded ones are none */
	uint32_t tries;			/* probes since it was made or died, while it is not alive */
	uint32_t answers;		/* since it was made or died */
	int64_t asked_us;		/* last probe; 0: never */
	int64_t answered_us;		/* last answer; 0: never */
	int64_t due_us;			/* next probe; NEVER_US */
	int64_t heard_us;		/* last authenticated message of the peer on it; 0: never */
	int64_t rtt_us, rtt_var_us;	/* smoothed, RFC 6298; 0: none */
	int64_t rtt_now_us;		/* the last sample */
	int64_t rtt_min_us[PATH_RTT_BUCKETS];	/* NEVER_US: no sample */
	int64_t rtt_bucket_us;		/* when bucket 0, the newest, began */
	uint32_t loss_out;		/* what the peer says it misses, and finds out of order, of what we send here: 65536ths */
	uint32_t late_out;
	uint32_t jitter_out_us, rate_out;	/* and how unsteady; bytes a second it gets */
	int64_t told_us;		/* when; 0: never */
	bool told;			/* that is not long ago */
	uint32_t asked_256, missed_256;	/* probes and how many of them were lost, of the last minutes; in 256ths, and halved when old */
	int64_t memory_us;		/* when they were halved last */
	bool on_trial;			/* its probes from 'trial_from' on are counted by themselves, */
	uint32_t trial_from;
	uint32_t trial_asked, trial_missed;	/* so many, and of them lost */
	uint8_t weight;			/* its share of the flows under Spread = all; 0: none */

	/* What we receive. */
	uint32_t their_sequence;	/* highest probe heard */
	int64_t probed_us;		/* when; 0: never */
	bool their_use;			/* the peer sends its data here */
	struct path_loss_bucket in[PATH_LOSS_BUCKETS];
	int64_t in_bucket_us;
	uint32_t jitter_us;		/* RFC 3550 section 6.4.1, of probes */
	int64_t transit_us;		/* of the last, in two clocks' difference */
	uint64_t bytes, bytes_told;	/* received on it, and up to the last report */
	int64_t reported_us;		/* in a report of ours; 0: never */

	/* NAT. */
	struct endpoint seen;		/* where the peer last saw us; family IP_NONE: not told */
	int64_t keep_us;		/* how often it is probed while idle: what is known to keep it */
	int64_t keep_bad_us;		/* so long was too long; 0: nothing known */
	uint8_t keep_good;		/* rounds in which 'keep_us' was enough */

	struct pmtu pmtu;
};

/*
 * Messages of paths go out by this: over that path, from its local address. 'outer' 0: as it is; else padded so that the whole IP packet has so
 * many bytes, and not to be fragmented.
 */
struct path_out {
	void (*send)(void *ctx, const struct path *p, const uint8_t *msg, size_t len, uint32_t outer);
	void *ctx;
};

struct path_set {
	struct path **v;		/* path_count of them */
	size_t path_count;
	struct path_remote remotes[PATH_REMOTES_MAX];
	size_t remote_count;
	struct path *current;		/* that is used; NULL: none */
	struct path *leaving;		/* that was left without haste: flows are still on it, and if it dies they must not be; NULL: none */
	int64_t leaving_us;
	bool leaving_gone;		/* it was removed meanwhile */
	struct path *better;		/* that may be next... */
	int64_t better_us;		/* ...since; 0: there is none */
	bool better_near;		/* by a lesser loss alone, and the same interface */
	int64_t bad_us;			/* so much better, since; 0: not so */
	struct path *rival;		/* on trial beside the path in use; NULL: none */
	int64_t doubt_us;		/* when the last trial began; 0: never */
	uint8_t why;			/* enum path_why */
	int64_t changed_us;		/* of the last change; 0: never */
	uint32_t changes;		/* since the peer was made */
	int64_t recent_us[8];		/* the last changes, for the hold time */
	bool managed;			/* both sides speak paths: probes go, and the choice is ours. Else the current one is where the peer was heard */
	bool wanted;			/* probed also when idle */
	bool spread;			/* the node's to set: flows use all paths with a weight (Spread = all), so each is probed like the current one */
	bool urgent;			/* the path in use is silent: probes go on all */
	int64_t sent_us, heard_us;	/* last data sent; last authenticated message of any kind, on whatever path */
	int64_t busy_us;		/* last time much was sent */
	int64_t data_us;		/* data of the peer's last came, as paths_count() was told */
	int64_t urgent_us;		/* urgent since, or when it last began; 0: never */
	int64_t answered_us;		/* the last answer on whatever path */
	int64_t replies_us;		/* bounds what is answered: so many since */
	uint32_t replies;
	int64_t next_us;		/* what paths_next() says */
	int64_t turn_us;		/* last turn; 0: none */
	int64_t report_us;		/* last report; 0: none */
	uint16_t report_sequence;
	uint16_t gone[PATHS_GONE_MAX];	/* the peer's numbers for paths we have no more, to be told of at once */
	uint8_t gone_count, gone_tells;
	uint16_t next_number;
	uint32_t cost_us;		/* metric of the current one, as Babel was told last; 0: none */
	int64_t cost_told_us;		/* when */
	bool down_told;
};

/* What paths_turn() and the others return, as bits. */
enum path_event {
	PATHS_CHOSEN = 1,		/* 'current' is another one (or NULL), and it can wait for flows to be idle */
	PATHS_URGENT = 2,		/* with it: it cannot, the old one is dead, gone or bad */
	PATHS_COST = 4,			/* paths_cost() changed by much, or the link went down or came up */
	PATHS_MTU = 8,			/* paths_mtu() changed */
	PATHS_UNCHECKED = 16,		/* there are paths whose way nobody has checked */
	PATHS_SHARE = 32,		/* which paths near the best there are: paths_pick() */
};

/* 'first' is the number of the first path, drawn at random. No memory is taken yet. */
void paths_init(struct path_set *s, uint16_t first);
void paths_done(struct path_set *s);

/*
 * The remote endpoints of one origin (PATH_CONFIGURED or PATH_TOLD), in the place of those it had; more than there is room for are left out, the
 * last first. Good only after paths_rebuild().
 */
void paths_set_remotes(struct path_set *s, enum path_origin origin, const struct path_remote *v, size_t count);

/*
 * Make the candidates what locals and remotes come to: new ones are added (PATH_UNCHECKED), those whose local address or remote endpoint is gone go,
 * others keep all they know. A local address fits a remote one of its family; link-local ones only on their interface; loopback only with loopback;
 * IPv6 unique local addresses (fc00::/7) only with each other, but for endpoints configured or heard where that would leave none. 'locals' empty: one path a remote, the kernel chooses. Returns enum path_event.
 */
unsigned int paths_rebuild(struct path_set *s, const struct path_local *locals, size_t count, struct instant now);

/* The next path nobody has checked, or NULL; and the answer. 'preferred': the kernel would choose this source by itself. Returns enum path_event. */
struct path *paths_unchecked(struct path_set *s);
unsigned int paths_set_way(struct path_set *s, struct path *p, enum path_way way, bool preferred, uint32_t mtu, struct instant now);

/* Ask again for all. */
void paths_uncheck(struct path_set *s);

/* The path between these addresses (interface aside; a path without a local address fits any), or NULL. */
struct path *paths_find(const struct path_set *s, const struct path_addr *addr);
struct path *paths_find_number(const struct path_set *s, uint16_t number);

/*
 * An authenticated message of the peer came that way, on session 0, the control sub-session or as a handshake. It is found or made (remote
 * PATH_HEARD); NULL: there is no room for it. 'locals' are as for paths_rebuild(): the interface and its terms come from there. Added to
 * '*events': PATHS_UNCHECKED... 'answer': it is the answer to something we sent that way (a handshake response), so the path is alive.
 */
struct path *paths_heard(struct path_set *s, const struct path_addr *addr, bool answer, const struct path_local *locals, size_t count,
			 struct instant now, unsigned int *events);

/* Paths an initiation may go by, best first: the current one, alive ones, then as configured, the kernel's favourite first. Returns how many. */
size_t paths_candidates(const struct path_set *s, const struct path **v, size_t max);

/*
 * Both sides speak paths now, or not any more. 'current' (or NULL) is what was used so far. Nothing that was measured is kept when it ends.
 */
unsigned int paths_set_managed(struct path_set *s, bool managed, struct path *current, struct instant now);

/* A plain peer, or one not yet known, is where it was heard last. Returns enum path_event. */
unsigned int paths_set_current(struct path_set *s, struct path *p, enum path_why why, struct instant now);

/* All keys are gone, or the peer has started anew: nothing is out any more, no path is known to be alive. Candidates stay. */
void paths_forget(struct path_set *s, struct instant now);

/* Whether probes go while there is no traffic: Babel or a persistent keepalive wants the link to stand. */
void paths_want(struct path_set *s, bool wanted, struct instant now);

/* When data was last sent, when anything authenticated last came; 'busy': much was sent since the last call. */
void paths_traffic(struct path_set *s, int64_t sent_us, int64_t heard_us, bool busy, struct instant now);

/*
 * Data of the peer that came over a path since the last call, by the counters of its sub-sessions. 'lost' is less than 0 where more came late that
 * had been taken for lost than was lost anew.
 */
void paths_count(struct path_set *s, struct path *p, uint32_t received, int32_t lost, uint32_t late, uint64_t bytes, struct instant now);

/*
 * Messages of the peer's, parsed; 'p' is the path they came over (of paths_heard()), 'at_us' when, on our clock. They are bounded in what they
 * can do (doc/protocol.md): numbers, sequences and times that make no sense are ignored and false is returned. Events are added to '*events'.
 */
bool paths_take_probe(struct path_set *s, struct path *p, const struct mesh_path_probe *m, int64_t at_us, const struct path_out *out, struct instant now);
bool paths_take_reply(struct path_set *s, struct path *p, const struct mesh_path_reply *m, int64_t at_us, struct instant now, unsigned int *events);
bool paths_take_report(struct path_set *s, const struct mesh_path_report *m, struct instant now, unsigned int *events);

/* Everything that is due: probes, reports, deaths, the choice. Returns enum path_event. */
unsigned int paths_turn(struct path_set *s, const struct path_out *out, struct instant now);

/* When paths_turn() is next needed; NEVER_US. */
int64_t paths_next(const struct path_set *s);

/*
 * The path of sub-session 'number': the current one, or with 'share' one of those near the best, by weight; the same as long as nothing changed.
 * NULL: none.
 */
struct path *paths_pick(const struct path_set *s, unsigned int number, bool share);

/* The smallest inner MTU of the paths in use (pmtu_inner()), 0: not known. */
uint32_t paths_mtu(const struct path_set *s, bool share);

/* For Babel (struct babel_link_cost): nominal cost 1..65534 of the current path, 96 and what its metric adds; '*down': nothing is alive. */
uint16_t paths_cost(const struct path_set *s, bool *down);

/* What there is to see. Microseconds; -1: unknown. Loss in 65536ths, of the last seconds; jitter in microseconds. */
int64_t path_rtt_min(const struct path *p);
int64_t path_metric_us(const struct path *p);	/* NEVER_US: not usable */
uint32_t path_loss_in(const struct path *p);
uint32_t path_late_in(const struct path *p);

#endif
