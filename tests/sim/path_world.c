/* SPDX-License-Identifier: MIT */
/* Two path sets in virtual time: see the header. */
#include "path_world.h"

#include <stdlib.h>
#include <string.h>

enum { PORT = 51820, HEADERS = 48 + 32 };

static struct instant clock_of(const struct world_end *e)
{
	return (struct instant){ .mono_us = e->world->now_us + e->clock_us };
}

uint32_t world_random(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) % below);
}

static struct ip_addr address(unsigned int end, unsigned int way)
{
	return (struct ip_addr){ .family = IP_V6, .bytes = { 0x20, 1, 0xd, 0xb8, (uint8_t)way, [15] = (uint8_t)(end + 1) } };
}

static int way_of(const struct path_addr *a)
{
	return a->local.bytes[4] == a->remote.addr.bytes[4] ? a->local.bytes[4] : -1;
}

int world_uses(const struct world *w, unsigned int end)
{
	const struct path *p = w->end[end].s.current;

	return p ? way_of(&p->addr) : -1;
}

struct path *world_path(struct world *w, unsigned int end, unsigned int way)
{
	struct path_addr a = { .local = address(end, way), .remote = { .addr = address(!end, way), .port = PORT } };

	return paths_find(&w->end[end].s, &a);
}

/* On its way, if it gets there. */
static struct world_message *carry(struct world *w, unsigned int from, unsigned int way, uint32_t outer)
{
	const struct world_way *y = &w->way[way];
	int64_t delay = y->delay_us;
	struct world_message *m;

	if (y->dead[from] || outer > y->mtu || world_random(w, 10000) < y->loss[from] || w->message_count == WORLD_MESSAGES)
		return NULL;
	if (y->noise_percent)
		delay += delay * ((int64_t)world_random(w, 2 * y->noise_percent * 100 + 1) - y->noise_percent * 100) / 10000;
	m = &w->messages[w->message_count++];
	*m = (struct world_message){ .at_us = w->now_us + delay, .to = !from, .way = way };
	return m;
}

static void send_control(void *ctx, const struct path *p, const uint8_t *msg, size_t len, uint32_t outer)
{
	struct world_end *e = ctx;
	struct world *w = e->world;
	int way = way_of(&p->addr);
	uint32_t size = outer ? outer : (uint32_t)((len + 15) / 16 * 16 + HEADERS);
	struct world_message *m;

	e->messages++;
	e->control_bytes += size;
	m = way >= 0 ? carry(w, e->number, (unsigned int)way, size) : NULL;
	if (!m)
		return;
	m->len = len;
	memcpy(m->msg, msg, len);
	mesh_stamp(m->msg, len, (uint64_t)clock_of(e).mono_us);
}

static void note_events(struct world_end *e, unsigned int events)
{
	struct world *w = e->world;

	e->events |= events;
	if (e->s.current == e->was)
		return;
	e->was = e->s.current;
	if (w->log_count < WORLD_LOG)
		w->log[w->log_count++] = (struct world_change){
			.at_us = w->now_us, .end = e->number, .way = world_uses(w, e->number), .why = e->s.why, .urgent = events & PATHS_URGENT,
		};
}

static void take_control(struct world_end *e, struct path *p, const struct world_message *m)
{
	struct path_out out = { .send = send_control, .ctx = e };
	struct instant now = clock_of(e);
	unsigned int events = 0;
	struct mesh_path_probe probe;
	struct mesh_path_reply reply;
	struct mesh_path_report report;

	if (mesh_path_probe_read(&probe, m->msg, m->len))
		paths_take_probe(&e->s, p, &probe, now.mono_us, &out, now);
	else if (mesh_path_reply_read(&reply, m->msg, m->len))
		paths_take_reply(&e->s, p, &reply, now.mono_us, now, &events);
	else if (mesh_path_report_read(&report, m->msg, m->len))
		paths_take_report(&e->s, &report, now, &events);
	note_events(e, events);
}

static void take_data(struct world_end *e, const struct world_message *m)
{
	e->received[m->way]++;
	if (m->number > e->came[m->way]) {
		e->lost[m->way] += (int32_t)(m->number - e->came[m->way] - 1);
		e->came[m->way] = m->number;
	} else {
		e->late[m->way]++;
		e->lost[m->way]--;
	}
	e->heard_us = clock_of(e).mono_us;
}

static void deliver(struct world *w, const struct world_message *m)
{
	struct world_end *e = &w->end[m->to];
	struct path_addr from = { .local = address(m->to, m->way), .remote = { .addr = address(!m->to, m->way), .port = PORT }, .ifindex = m->way + 1 };
	unsigned int events = 0;
	struct path *p;

	if (m->data) {
		take_data(e, m);
		return;
	}
	p = paths_heard(&e->s, &from, false, e->locals, w->ways, clock_of(e), &events);
	note_events(e, events);
	if (p)
		take_control(e, p, m);
}

static void turn(struct world_end *e)
{
	struct path_out out = { .send = send_control, .ctx = e };
	struct instant now = clock_of(e);

	for (unsigned int i = 0; i < e->world->ways; i++) {
		struct path *p = world_path(e->world, e->number, i);

		if (p && (e->received[i] || e->lost[i]))
			paths_count(&e->s, p, e->received[i], e->lost[i], e->late[i], e->received[i] * 1000, now);
		e->received[i] = e->late[i] = 0;
		e->lost[i] = 0;
	}
	paths_traffic(&e->s, e->sent_us, e->heard_us, e->data_us && e->data_us < 5000, now);
	if (paths_next(&e->s) > now.mono_us)
		return;
	e->turns++;
	note_events(e, paths_turn(&e->s, &out, now));
}

static void send_data(struct world_end *e)
{
	int way = world_uses(e->world, e->number);
	struct world_message *m;

	e->next_data_us += e->data_us;
	e->sent_us = clock_of(e).mono_us;
	if (way < 0)
		return;
	e->sent[way]++;
	m = carry(e->world, e->number, (unsigned int)way, 1000);
	if (m) {
		m->data = true;
		m->number = e->sent[way];
	}
}

static int64_t next_of(const struct world_end *e)
{
	int64_t next = paths_next(&e->s);

	if (next != NEVER_US)
		next -= e->clock_us;
	if (e->data_us && e->next_data_us < next)
		next = e->next_data_us;
	return next;
}

static unsigned int first_message(const struct world *w)
{
	unsigned int first = 0;

	for (unsigned int i = 1; i < w->message_count; i++)
		if (w->messages[i].at_us < w->messages[first].at_us)
			first = i;
	return first;
}

/* One thing that happens, and the time it does. False: nothing before 'until_us'. */
static bool step(struct world *w, int64_t until_us)
{
	unsigned int first = first_message(w);
	int64_t at = w->message_count ? w->messages[first].at_us : NEVER_US, next = at;

	for (unsigned int i = 0; i < 2; i++)
		if (next_of(&w->end[i]) < next)
			next = next_of(&w->end[i]);
	if (next > until_us)
		return false;
	if (next > w->now_us)
		w->now_us = next;
	if (at == next) {
		struct world_message m = w->messages[first];

		w->messages[first] = w->messages[--w->message_count];
		deliver(w, &m);
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct world_end *e = &w->end[i];

		if (e->data_us && e->next_data_us <= w->now_us)
			send_data(e);
		turn(e);
	}
	return true;
}

void world_run(struct world *w, int64_t for_us)
{
	int64_t until_us = w->now_us + for_us;

	while (step(w, until_us))
		;
	w->now_us = until_us;
}

void world_data(struct world *w, unsigned int end, int64_t each_us)
{
	struct world_end *e = &w->end[end];

	e->data_us = each_us;
	e->next_data_us = w->now_us;
}

unsigned int world_changes(const struct world *w, unsigned int end, int64_t since_us)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < w->log_count; i++)
		n += w->log[i].end == end && w->log[i].at_us >= since_us;
	return n;
}

static void init_end(struct world *w, unsigned int number)
{
	struct world_end *e = &w->end[number];
	struct path_remote remotes[WORLD_WAYS] = { 0 };
	struct path *p;

	e->world = w;
	e->number = number;
	e->clock_us = number ? INT64_C(77000000) : INT64_C(5000000000000);
	paths_init(&e->s, (uint16_t)(65530 + number));
	for (unsigned int i = 0; i < w->ways; i++) {
		e->locals[i] = (struct path_local){ .addr = address(number, i), .ifindex = i + 1 };
		remotes[i].endpoint = (struct endpoint){ .addr = address(!number, i), .port = PORT };
	}
	paths_set_remotes(&e->s, PATH_CONFIGURED, remotes, w->ways);
	paths_rebuild(&e->s, e->locals, w->ways, clock_of(e));
	while ((p = paths_unchecked(&e->s)))
		paths_set_way(&e->s, p, way_of(&p->addr) >= 0 ? PATH_OPEN : PATH_NO_ROUTE, true, 1500, clock_of(e));
}

void world_init(struct world *w, uint64_t seed, unsigned int ways, int64_t delay_us, unsigned int noise_percent)
{
	memset(w, 0, sizeof(*w));
	w->now_us = 1000;
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	w->ways = ways;
	w->messages = calloc(WORLD_MESSAGES, sizeof(*w->messages));
	if (!w->messages)
		abort();
	for (unsigned int i = 0; i < ways; i++)
		w->way[i] = (struct world_way){ .delay_us = delay_us, .noise_percent = noise_percent, .mtu = 1500 };
	for (unsigned int i = 0; i < 20; i++)
		world_random(w, 2);
	init_end(w, 0);
	init_end(w, 1);
}

void world_start(struct world *w)
{
	for (unsigned int i = 0; i < 2; i++) {
		paths_set_managed(&w->end[i].s, true, world_path(w, i, 0), clock_of(&w->end[i]));
		w->end[i].was = w->end[i].s.current;
	}
}

void world_done(struct world *w)
{
	for (unsigned int i = 0; i < 2; i++)
		paths_done(&w->end[i].s);
	free(w->messages);
}
