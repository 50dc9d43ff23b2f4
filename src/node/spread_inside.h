/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_SPREAD_INSIDE_H
#define MESHD_NODE_SPREAD_INSIDE_H

#include "node/inside.h"

/*
 * The inside of sub-sessions, shared by spread.c (who the other side is, who opens, what is heard), spread_open.c (opening, aiming,
 * probing) and spread_paths.c (over which paths), and by nobody else.
 */

/* spread.c */

/* The lane a sub-session belongs to. */
struct lane *spread_lane(const struct node *n, const struct peer *p, unsigned int number);

/* A control message on a sub-session, over that one's way. */
void spread_send(struct node *n, struct peer *p, unsigned int number, const uint8_t *msg, size_t len);

/* Whether flows may be put on it; and say so. */
bool spread_is_usable(const struct node *n, const struct peer *p, unsigned int number);
void spread_set_usable(struct node *n, struct peer *p, unsigned int number, bool is);

/* How many there shall be; how many of so many we can open, by the sockets that can be had. */
unsigned int spread_target(const struct peer *p);
unsigned int spread_within_ports(const struct node *n, unsigned int target);

/* Tell the lanes whether more are coming. */
void spread_set_complete(struct node *n, struct peer *p);

/* Whether it is for us to open, as long as nobody has failed at it. Where both try at once this decides, and both sides agree. */
bool spread_should_open(const struct node *n, const struct peer *p);

/* Have a tick at 'at_us' or earlier. */
void spread_arm(struct peer *p, int64_t at_us);

/* spread_open.c */

/* The way of a sub-session over the path 'base': its port, or its address in a prefix. And our own port's number for it. */
struct path_addr spread_way(const struct peer *p, unsigned int number, struct path_addr base);
uint8_t spread_port(const struct node *n, const struct peer *p, unsigned int number);

/* Put a sub-session's way where we would send first. */
void spread_aim(struct node *n, struct peer *p, unsigned int number);

/* The token of a sub-session's probes, drawn if there is none. */
uint32_t spread_token(struct node *n, struct spread_sub *sub);

/* Have the other side probe over a path of ours: by a request for what is open, or by announcing it again. */
void spread_hail(struct node *n, struct peer *p, const struct path_addr *over, struct instant now);

/* Send a probe, unless one went out a moment ago. */
void spread_probe(struct node *n, struct peer *p, unsigned int number, struct instant now);

/* Announce as many as there shall be, once their sockets are there. */
void spread_open_more(struct node *n, struct peer *p, struct instant now);

/* Ask the other side to open them. */
void spread_ask(struct node *n, struct peer *p, struct instant now);

/* One of the two, if more are needed than there are, and not too often. */
void spread_seek(struct node *n, struct peer *p, struct instant now);

/* spread_paths.c: what concerns managed peers alone does nothing for others. */

/* The path a sub-session shall go over, as session 0 would. */
struct path_addr spread_base(struct node *n, struct peer *p, unsigned int number);

/* Whether something else has the addresses of an aim of ours, as far as they are said. Ports are the NATs' business. */
bool spread_same_addresses(const struct node *n, const struct peer *p, const struct path_addr *aim, const struct path_addr *other);

/* Whether it is aimed at the addresses it shall go to. */
bool spread_in_place(struct node *n, struct peer *p, unsigned int number);

/* Whether a message came by the way its sub-session is aimed at. Of peers that are not managed all did: lanes follow them. */
bool spread_came_by(struct node *n, struct peer *p, const struct lane_control *c);

/* Who was told a prefix of ours chooses the address in it: ours for this sub-session from now on. */
void spread_take_local(struct node *n, struct peer *p, const struct lane_control *c);

/* Send an answer the way the message came. */
void spread_answer(struct node *n, struct peer *p, const struct lane_control *c, const uint8_t *msg, size_t len);

/* A message about opening came over a path that what is open is not aimed at: probe over that too, so that our NAT opens and shows the ports. */
void spread_meet(struct node *n, struct peer *p, const struct lane_control *c, struct instant now);

/* Hail the other side for those that were probed now, and before, in vain. */
void spread_hail_failing(struct node *n, struct peer *p, struct instant now);

/* How long one may be silent before it is probed. */
int64_t spread_refresh_us(const struct node *n, const struct peer *p, unsigned int number);

/* Move what may be moved now, after spread_repathed(); all, after an urgent change. */
void spread_move(struct node *n, struct peer *p, struct instant now);
void spread_flee(struct node *n, struct peer *p, struct instant now);

/* spread_open.c again: messages of the peer. */
void spread_take_open(struct node *n, struct peer *p, const struct lane_control *c, struct instant now);
void spread_take_probe(struct node *n, struct peer *p, const struct lane_control *c);
void spread_take_reply(struct node *n, struct peer *p, const struct lane_control *c, struct instant now);

#endif
