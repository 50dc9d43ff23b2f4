/* SPDX-License-Identifier: MIT */
#ifndef MESHD_PATH_PATH_INSIDE_H
#define MESHD_PATH_PATH_INSIDE_H

#include "path/path.h"

/*
 * What the files of a path set share. path.c: which paths there are. measure.c: what comes in. turn.c: what goes out, and when. choice.c: which
 * one is used.
 */

/* path.c. Something of ours may go that way / an answer to the peer may. */
bool path_usable(const struct path *p);
bool path_answers(const struct path *p);
void path_forget(struct path *p, struct instant now);	/* all that was measured */

/* measure.c. The path was answered: 'sent_us' was the latest thing the peer is known to have got. */
void path_answered(struct path_set *s, struct path *p, int64_t now_us);
void path_age(struct path *p, int64_t now_us);		/* windows move on, what was told grows old */
void path_keep_shrink(struct path *p, int64_t quiet_us);
uint32_t path_loss_low(const struct path *p);		/* at least, and at most, as far as is known; 65536ths */
uint32_t path_loss_high(const struct path *p);
int64_t path_rto_us(const struct path *p);
int64_t path_lost_us(const struct path *p);		/* a probe without an answer for so long is lost */
void path_try(struct path *p);				/* its trial begins */
uint32_t path_trial_low(const struct path *p);		/* what it loses at least by its trial; 65536ths, 0 without one */
bool path_clears(const struct path *p, uint32_t loss, int64_t now_us);	/* and that it loses clearly less than this */
struct path_probe *path_probe_of(struct path *p, uint32_t sequence);
void path_left(struct path *p);				/* for a better one: what was told is remembered */
bool path_has_news(const struct path *p);
void path_tell_gone(struct path_set *s, const struct path *p);	/* the peer is told not to send here any more */
void path_write_report(struct path_set *s, struct mesh_path_report *m, int64_t now_us);

/* turn.c. 'since the last answer' is what overdue probes are counted from. */
unsigned int path_overdue(const struct path *p, int64_t now_us);
void path_die(struct path *p, int64_t now_us);
bool paths_active(const struct path_set *s, int64_t now_us);
void paths_plan(struct path_set *s, int64_t now_us);	/* due times and paths_next(), after anything happened */

/* choice.c */
unsigned int choice_turn(struct path_set *s, int64_t now_us);
unsigned int choice_lost(struct path_set *s, const struct path_addr *old, enum path_why why, int64_t now_us);
unsigned int choice_set(struct path_set *s, struct path *p, enum path_why why, int64_t now_us);
bool paths_any_alive(const struct path_set *s, const struct path *but);
int64_t choice_next(const struct path_set *s);

#endif
