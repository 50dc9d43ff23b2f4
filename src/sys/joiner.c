/* SPDX-License-Identifier: MIT */
/*
 * The I/O of joining: one lane, one pair of sockets on a port of the kernel's choice, and poll(2). There is no interface, so what comes out of the lane for
 * a TUN goes nowhere; addresses and routes are the kernel's choice, too, for this lives a few seconds.
 */
#include "sys/joiner.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "node/lane.h"
#include "node/node.h"
#include "sys/clock.h"
#include "sys/udp.h"

enum {
	MTU = 1280,
	RECEIVE_ROUNDS_MAX = 8,		/* batches of a socket before others have a turn */
};

struct joiner {
	const struct joiner_options *o;
	struct node *node;
	struct lane *lane;
	struct udp udp;
	struct joining *joining;
	enum joining_state told;
};

static bool open_sockets(struct joiner *j, struct text *why)
{
	uint8_t *slots[PACKET_BATCH];
	int error;

	for (size_t i = 0; i < PACKET_BATCH; i++) {
		slots[i] = lane_slot_take(j->lane);
		if (!slots[i]) {
			text_add(why, "out of memory");
			return false;
		}
	}
	error = udp_open(&j->udp, 0, 0, 1, 0);
	if (error) {
		text_addf(why, "no socket: %s", strerror(-error));
		return false;
	}
	udp_give_slots(&j->udp, 0, slots);
	node_set_listen_port(j->node, j->udp.port);
	return true;
}

static void flush(struct joiner *j)
{
	const struct lane_out *out = lane_out(j->lane);
	struct dgram *dgrams;
	size_t count;

	if (out->dgram_count)
		udp_send_waiting(&j->udp, 0, out->dgrams, out->dgram_count);
	lane_out_clear(j->lane);
	count = node_out(j->node, &dgrams);
	if (count)
		udp_send_waiting(&j->udp, 0, dgrams, count);
	node_out_clear(j->node);
}

static void receive(struct joiner *j, int fd)
{
	struct dgram dgrams[PACKET_BATCH];

	for (int i = 0; fd >= 0 && i < RECEIVE_ROUNDS_MAX; i++) {
		int n = udp_receive(&j->udp, 0, 0, fd, dgrams);

		if (n <= 0)
			return;
		lane_from_udp(j->lane, clock_now(), dgrams, (size_t)n);
		udp_return_slots(&j->udp, 0, dgrams, (size_t)n);
		flush(j);
	}
}

/* Every path is open as far as we know: the kernel finds its way, or not. */
static void check_paths(struct joiner *j, struct instant now)
{
	uint8_t key[KEY_LEN];
	struct path_addr path;

	while (node_next_path(j->node, key, &path))
		node_set_way(j->node, key, &path, PATH_OPEN, true, 0, now);
}

static struct instant turn(struct joiner *j)
{
	struct instant now = clock_now();
	enum joining_state state;
	unsigned int effects;

	node_turn(j->node, now);
	joining_turn(j->joining, now);
	effects = node_effects(j->node);
	if (effects & NODE_EFFECT_ENDPOINTS)
		check_paths(j, now);
	if (effects & NODE_EFFECT_PORTS)
		node_set_ports(j->node, NULL, 0, now);
	while (lane_drain(j->lane, now, 0))
		flush(j);
	flush(j);
	state = joining_state(j->joining);
	if (state != j->told && j->o->progress)
		j->o->progress(j->o->ctx, state);
	j->told = state;
	return now;
}

static void wait(struct joiner *j, struct instant now, int64_t end_us)
{
	const struct udp_lane *l = &j->udp.lanes[0];
	struct pollfd fds[2] = { { .fd = l->fd4, .events = POLLIN }, { .fd = l->fd6, .events = POLLIN } };
	int64_t until_us = node_deadline(j->node), wait_ms;

	if (joining_deadline(j->joining) < until_us)
		until_us = joining_deadline(j->joining);
	if (end_us < until_us)
		until_us = end_us;
	wait_ms = until_us > now.mono_us ? (until_us - now.mono_us + US_PER_MS - 1) / US_PER_MS : 0;
	if (poll(fds, 2, (int)wait_ms) <= 0)
		return;
	receive(j, l->fd4);
	receive(j, l->fd6);
}

static void explain_silence(const struct joiner *j, struct text *why)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t all, answered;

	joining_contacts(j->joining, &all, &answered);
	if (answered) {
		text_addf(why, "%zu of %zu nodes answered, but the issuer of the invitation did not: it is down, or has forgotten the invitation", answered, all);
		return;
	}
	text_addf(why, "no answer within %d s; tried", j->o->timeout_s);
	for (size_t i = 0; i < j->o->token->contact_count; i++)
		for (size_t k = 0; k < j->o->token->contacts[i].endpoint_count; k++)
			text_addf(why, " %s", endpoint_format(&j->o->token->contacts[i].endpoints[k].endpoint, text));
	if (j->o->more_count)
		text_addf(why, " and %zu nodes of the file", j->o->more_count);
}

static bool run(struct joiner *j, struct text *file, struct text *why)
{
	int64_t end_us = clock_now().mono_us + j->o->timeout_s * US_PER_S;
	struct instant now;
	const struct text *result;

	for (now = turn(j); joining_state(j->joining) < JOINING_DONE && now.mono_us < end_us; now = turn(j))
		wait(j, now, end_us);
	result = joining_result(j->joining);
	if (joining_state(j->joining) == JOINING_DONE)
		text_add_bytes(file, result->s, result->len);
	else if (joining_state(j->joining) == JOINING_REFUSED)
		text_addf(why, "refused: %s", result->s ? result->s : "");
	else
		explain_silence(j, why);
	return joining_state(j->joining) == JOINING_DONE && !file->failed;
}

bool joiner_run(const struct joiner_options *o, struct text *file, struct text *why)
{
	struct joiner j = { .o = o };
	struct rng rng = system_rng();
	struct joining_options jo = {
		.rng = &rng, .token = o->token, .private_key = o->private_key, .more = o->more, .more_count = o->more_count,
	};
	bool ok = false;

	udp_init(&j.udp);
	j.node = jo.node = node_new(&rng, o->log, 1);
	if (!j.node) {
		text_add(why, "out of memory");
		return false;
	}
	j.lane = node_lane(j.node, 0);
	node_set_mtu(j.node, MTU);
	if (open_sockets(&j, why) && joining_start(&j.joining, &jo, clock_now(), why)) {
		node_set_up(j.node, true, clock_now());
		ok = run(&j, file, why);
		joining_free(j.joining);
	}
	udp_close(&j.udp);
	node_free(j.node);
	return ok;
}
