/* SPDX-License-Identifier: MIT */
/*
 * Between a lane and the node: what the lane noticed becomes bits at the link, which the node collects once a turn; messages that
 * need thought lie in rings till then; and what the node wants of the lane is done between two batches, while the gate is closed.
 *
 * Every ring is bounded, and what finds it full is dropped and counted: a peer can fill a ring, but not memory.
 */
#include <stdlib.h>
#include <string.h>

#include "node/lane_inside.h"
#include "path/pmtu.h"
#include "transport/cookie.h"

void lane_close(struct lane *l)
{
	if (!l->gate_depth++ && l->gate.close)
		l->gate.close(l->gate.ctx);
}

void lane_open(struct lane *l)
{
	if (!--l->gate_depth && l->gate.open)
		l->gate.open(l->gate.ctx);
}

void lane_note(struct lane *l, struct lane_link *k, unsigned int events)
{
	k->events |= events;
	l->urgent |= events & LANE_URGENT;
	l->news = true;
	if (k->noted)
		return;
	k->noted = true;
	k->noted_next = l->noted;
	l->noted = k;
}

/* Take the list away from the lane in one go: while peers are dealt with it makes a new one, for the next time. */
static void take_noted(struct lane *l)
{
	lane_close(l);
	l->taken = l->noted;
	l->noted = NULL;
	l->news = false;
	l->urgent = 0;
	for (struct lane_link *k = l->taken; k; k = k->taken_next) {
		k->taken_next = k->noted_next;
		k->taken_events = k->events;
		k->events = 0;
		k->noted = false;
	}
	lane_open(l);
}

struct lane_link *lane_next_noted(struct lane *l, unsigned int *events)
{
	struct lane_link *k;

	if (!l->taking)
		take_noted(l);
	k = l->taken;
	l->taking = k != NULL;
	if (!k)
		return NULL;
	l->taken = k->taken_next;
	*events = k->taken_events;
	return k;
}

bool lane_has_news(const struct lane *l)
{
	return l->news;
}

bool lane_urgent(const struct lane *l)
{
	return l->urgent || l->handshake_count || l->control_count || l->routing_count;
}

void lane_pend(struct lane *l, struct lane_link *k)
{
	if (k->pending)
		return;
	k->pending = true;
	k->pending_next = l->pending;
	l->pending = k;
}

void lane_kick(struct lane *l, struct lane_link *k)
{
	lane_close(l);
	lane_pend(l, k);
	lane_open(l);
}

void lane_want_keepalive(struct lane *l, struct lane_link *k)
{
	lane_close(l);
	k->want_keepalive = true;
	lane_pend(l, k);
	lane_open(l);
}

void lane_quiet(struct lane *l, struct lane_link *k)
{
	lane_close(l);
	k->want_keepalive = false;
	k->events &= LANE_ROAMED;
	lane_open(l);
}

static void unlink_noted(struct lane *l, struct lane_link *k)
{
	for (struct lane_link **at = &l->noted; *at; at = &(*at)->noted_next)
		if (*at == k) {
			*at = k->noted_next;
			break;
		}
	k->noted = false;
}

static void unlink_pending(struct lane *l, struct lane_link *k)
{
	for (struct lane_link **at = &l->pending; *at; at = &(*at)->pending_next)
		if (*at == k) {
			*at = k->pending_next;
			break;
		}
	k->pending = false;
}

static void unlink_shaped(struct lane *l, struct lane_link *k)
{
	for (struct lane_link **at = &l->shaped; *at; at = &(*at)->shaped_next)
		if (*at == k) {
			*at = k->shaped_next;
			break;
		}
	k->shaped = false;
}

/* What is the peer's in the rings keeps its place, without it. */
static void forget_messages(struct lane *l, const struct lane_peer *p)
{
	for (size_t i = 0; i < l->control_count; i++) {
		struct lane_control *c = &l->controls[(l->control_first + i) % LANE_CONTROLS_MAX];

		if (c->peer == p)
			c->peer = NULL;
	}
	for (size_t i = 0; i < l->control_out_count; i++) {
		struct lane_control *c = &l->controls_out[(l->control_out_first + i) % LANE_CONTROLS_OUT];

		if (c->peer == p)
			c->peer = NULL;
	}
	for (size_t i = 0; i < l->routing_count; i++) {
		struct lane_routing *r = &l->routings[(l->routing_first + i) % LANE_ROUTING_MAX];

		if (r->peer == p)
			r->peer = NULL;
	}
	for (size_t i = 0; i < l->inner_out_count; i++) {
		struct lane_inner *r = &l->inners_out[(l->inner_out_first + i) % LANE_ROUTING_OUT];

		if (r->peer == p)
			r->peer = NULL;
	}
}

void lane_remove_link(struct lane *l, struct lane_link *k)
{
	lane_close(l);
	lane_drop_held(l, k, DROP_NO_PEER, false);
	fq_tin_purge(&l->queue_in, &k->tin_in, FQ_PURGED);
	if (k->noted)
		unlink_noted(l, k);
	if (k->pending)
		unlink_pending(l, k);
	if (k->shaped)
		unlink_shaped(l, k);
	forget_messages(l, k->peer);
	flow_table_forget(&l->flows, &k->slots);
	lane_open(l);
}

void lane_set_path(struct lane *l, struct lane_link *k, const struct path_addr *path)
{
	lane_close(l);
	if (!endpoint_equal(&k->path.remote, &path->remote))
		lane_note(l, k, LANE_ROAMED);
	k->path = *path;
	lane_open(l);
}

void lane_set_addresses(struct lane *l, const struct ip_addr *own4, const struct ip_addr *own6)
{
	lane_close(l);
	l->own4 = *own4;
	l->own6 = *own6;
	lane_open(l);
}

/*
 * Messages for the node.
 */

void lane_keep_handshake(struct lane *l, const struct dgram *d)
{
	struct lane_handshake *h;

	if (!l->checker) {
		lane_drop(l, DROP_NO_IDENTITY);
		return;
	}
	/* A cookie reply has no MAC1: it authenticates by itself, later. */
	if (d->data[0] != WG_COOKIE_REPLY && !cookie_mac1_valid(l->checker, d->data, d->len)) {
		lane_drop(l, DROP_BAD_MAC1);
		return;
	}
	if (l->handshake_count == LANE_HANDSHAKES_MAX) {
		lane_drop(l, DROP_HANDSHAKE_QUEUE);
		return;
	}
	h = &l->handshakes[(l->handshake_first + l->handshake_count++) % LANE_HANDSHAKES_MAX];
	h->from = d->path;
	h->len = d->len;
	memcpy(h->msg, d->data, d->len);
}

bool lane_take_handshake(struct lane *l, struct lane_handshake *h, size_t *waiting)
{
	bool any;

	lane_close(l);
	any = l->handshake_count > 0;
	*waiting = l->handshake_count;
	if (any) {
		*h = l->handshakes[l->handshake_first];
		l->handshake_first = (l->handshake_first + 1) % LANE_HANDSHAKES_MAX;
		l->handshake_count--;
	}
	lane_open(l);
	return any;
}

/* Padding makes a message longer than it is; what is beyond the longest known one is not looked at. */
void lane_keep_control(struct lane *l, struct lane_peer *p, unsigned int number, const struct dgram *d, const uint8_t *msg,
		       uint32_t len)
{
	struct lane_control *c;

	/* One that talks too much does not keep the others from being heard. */
	if (l->control_count == LANE_CONTROLS_MAX || p->links[l->number].controls == LANE_CONTROLS_PEER) {
		lane_drop(l, DROP_CONTROL_QUEUE);
		return;
	}
	c = &l->controls[(l->control_first + l->control_count++) % LANE_CONTROLS_MAX];
	p->links[l->number].controls++;
	c->peer = p;
	c->from = d->path;
	c->number = (uint8_t)number;
	c->tos = d->tos;
	c->at_us = d->at_us ? d->at_us : l->now_us;
	c->len = len < sizeof(c->msg) ? len : (uint32_t)sizeof(c->msg);
	memcpy(c->msg, msg, c->len);
}

bool lane_take_control(struct lane *l, struct lane_control *c)
{
	bool any;

	lane_close(l);
	any = l->control_count > 0;
	if (any) {
		*c = l->controls[l->control_first];
		if (c->peer)
			c->peer->links[l->number].controls--;
		l->control_first = (l->control_first + 1) % LANE_CONTROLS_MAX;
		/* Empty, it begins again at its start: memory that was never needed is never touched. */
		if (!--l->control_count)
			l->control_first = 0;
	}
	lane_open(l);
	return any;
}

/* Put a message into the ring of those that go out. False: too many wait, or it is too long. */
static bool add_control(struct lane *l, struct lane_link *k, const struct lane_control *head, const uint8_t *msg, uint32_t len)
{
	struct lane_control *c;
	bool room;

	lane_close(l);
	room = l->control_out_count < LANE_CONTROLS_OUT && len <= sizeof(c->msg);
	if (room) {
		c = &l->controls_out[(l->control_out_first + l->control_out_count++) % LANE_CONTROLS_OUT];
		c->peer = k->peer;
		c->from = head->from;
		c->number = head->number;
		c->tos = head->tos;
		c->over = head->over;
		c->port = head->port;
		c->outer = head->outer;
		c->len = len;
		memcpy(c->msg, msg, len);
	}
	lane_open(l);
	return room;
}

bool lane_send_control(struct lane *l, struct lane_link *k, unsigned int number, uint8_t tos, const uint8_t *msg, uint32_t len)
{
	const struct lane_control head = { .number = (uint8_t)number, .tos = tos };

	return add_control(l, k, &head, msg, len);
}

bool lane_send_over(struct lane *l, struct lane_link *k, unsigned int number, const struct path_addr *path, uint8_t port, uint16_t outer,
		    uint8_t tos, const uint8_t *msg, uint32_t len)
{
	const struct lane_control head = {
		.from = *path, .number = (uint8_t)number, .tos = tos, .over = true, .port = port, .outer = outer,
	};

	return outer <= PMTU_MAX && add_control(l, k, &head, msg, len);
}

void lane_keep_routing(struct lane *l, struct lane_peer *p, const uint8_t *packet, uint32_t len)
{
	struct lane_link *k = &p->links[l->number];
	struct lane_routing *r;

	if (l->routing_count == LANE_ROUTING_MAX || k->routings == LANE_ROUTING_PEER || len > LANE_ROUTING_LEN) {
		lane_drop(l, DROP_ROUTING_QUEUE);
		return;
	}
	r = &l->routings[(l->routing_first + l->routing_count++) % LANE_ROUTING_MAX];
	k->routings++;
	r->peer = p;
	r->at_us = l->now_us;
	r->len = len;
	memcpy(r->packet, packet, len);
}

bool lane_take_routing(struct lane *l, struct lane_routing *r)
{
	bool any;

	lane_close(l);
	any = l->routing_count > 0;
	if (any) {
		*r = l->routings[l->routing_first];
		if (r->peer)
			r->peer->links[l->number].routings--;
		l->routing_first = (l->routing_first + 1) % LANE_ROUTING_MAX;
		/* Empty, it begins again at its start: memory that was never needed is never touched. */
		if (!--l->routing_count)
			l->routing_first = 0;
	}
	lane_open(l);
	return any;
}

bool lane_send_inner(struct lane *l, struct lane_link *k, const uint8_t *packet, uint32_t len)
{
	struct lane_inner *r;
	bool room;

	lane_close(l);
	room = l->inner_out_count < LANE_ROUTING_OUT && len <= LANE_ROUTING_LEN && k->peer->home == l->number;
	if (room) {
		r = &l->inners_out[(l->inner_out_first + l->inner_out_count++) % LANE_ROUTING_OUT];
		r->peer = k->peer;
		r->len = len;
		memcpy(r->packet, packet, len);
	}
	lane_open(l);
	return room;
}
