/* SPDX-License-Identifier: MIT */
/*
 * Flows, watched. Every packet has the number of its flow and its place in it; every datagram that arrives says how it came.
 */
#include "watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

const struct sim_link WAN = { .delay_us = RTT_US / 2 };

struct watch watch;

void watch_packet(struct sim *s, size_t node, const uint8_t *packet, size_t len)
{
	struct watch *w = s->ctx;
	uint64_t tag = sim_tag(packet, len);
	unsigned int flow = (unsigned int)(tag >> 32);
	uint32_t n = (uint32_t)tag;
	struct flow_seen *f;

	if (node > 1 || flow >= FLOWS)
		return;
	assert_true(n < SEQUENCES);
	f = &w->to[node][flow];
	w->doubles += f->seen[n / 8] >> n % 8 & 1;
	f->seen[n / 8] |= (uint8_t)(1 << n % 8);
	if (f->delivered && s->now_us - f->last_us > f->gap_us)
		f->gap_us = s->now_us - f->last_us;
	f->moves += f->delivered && f->number != s->arriving.number;
	f->delivered++;
	f->reordered += n < f->last;
	if (n > f->last)
		f->last = n;
	f->number = s->arriving.number;
	f->from = s->arriving.from;
	f->to = s->arriving.to;
	f->last_us = s->now_us;
}

/* Probes of paths, padded or not, and replies, by their length; requests to open, as long as a probe, are few. */
static bool is_of_paths(const struct sim_dgram *d)
{
	return d->number == SUB_SESSION_CONTROL &&
	       (d->len == 32 + MESH_PATH_PROBE_LEN || d->len == 32 + 64 || d->len > 32 + MESH_MESSAGE_MAX);
}

void watch_dgram(struct sim *s, size_t from, const struct sim_dgram *d)
{
	struct watch *w = s->ctx;
	int64_t second = s->now_us / US_PER_S;

	(void)from;
	if (!d->control || is_of_paths(d))
		return;
	w->controls++;
	if (second != w->second)
		w->in_second = 0;
	w->second = second;
	if (++w->in_second > w->controls_peak)
		w->controls_peak = w->in_second;
}

void watch_again(struct sim *s)
{
	struct watch *w = s->ctx;

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < FLOWS; j++) {
			struct flow_seen *f = &w->to[i][j];

			f->moves = f->reordered = 0;
			f->gap_us = 0;
			f->last_us = s->now_us;
		}
	w->controls = w->controls_peak = w->in_second = 0;
	w->start_us = s->now_us;
}

void begin(struct sim *s, uint64_t seed)
{
	sim_init(s, seed);
	memset(&watch, 0, sizeof(watch));
	s->ctx = &watch;
	s->on_packet = watch_packet;
	s->on_dgram = watch_dgram;
	watch.seed = seed;
	watch.start_us = s->now_us;
}

void pair(struct sim *s, uint64_t seed)
{
	begin(s, seed);
	sim_add_node(s);
	sim_add_node(s);
	sim_connect(s, 0, 1);
	sim_set_link(s, 0, 1, &WAN);
}

void greet(struct sim *s, size_t from)
{
	sim_send_flow(s, from, 1 - from, FLOWS, (uint64_t)FLOWS << 32 | 1, 100);
}

void pair_up(struct sim *s, uint64_t seed)
{
	pair(s, seed);
	greet(s, 0);
	sim_run(s, MS(500));
}

void send_one(struct sim *s, size_t to, unsigned int flow)
{
	struct flow_seen *f = &((struct watch *)s->ctx)->to[to][flow];

	f->sent++;
	sim_send_flow(s, 1 - to, to, flow, (uint64_t)flow << 32 | f->sent, 100);
}

void talk(struct sim *s, unsigned int ways, unsigned int first, unsigned int count, int64_t every_us, int64_t us)
{
	for (int64_t t = 0; t < us; t += every_us) {
		for (unsigned int i = first; i < first + count; i++) {
			if (ways & TO_0)
				send_one(s, 0, i);
			if (ways & TO_1)
				send_one(s, 1, i);
		}
		sim_run(s, every_us);
	}
}

void settle(struct sim *s)
{
	sim_run(s, SECONDS(1));
}

uint64_t lost(const struct watch *w)
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < FLOWS; j++)
			n += w->to[i][j].sent - w->to[i][j].delivered;
	return n;
}

uint64_t reordered(const struct watch *w)
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < FLOWS; j++)
			n += w->to[i][j].reordered;
	return n;
}

uint64_t moves(const struct watch *w)
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < FLOWS; j++)
			n += w->to[i][j].moves;
	return n;
}

unsigned int on_own(const struct watch *w, size_t node)
{
	unsigned int n = 0;

	for (int j = 0; j < FLOWS; j++)
		n += w->to[node][j].sent && w->to[node][j].number != 0;
	return n;
}

unsigned int sharing(const struct watch *w, size_t node)
{
	unsigned int n = 0;

	for (int j = 0; j < FLOWS; j++)
		for (int i = 0; i < j; i++) {
			const struct flow_seen *a = &w->to[node][i], *b = &w->to[node][j];

			if (!a->delivered || !b->delivered || !endpoint_equal(&a->from, &b->from) || !endpoint_equal(&a->to, &b->to))
				continue;
			n++;
			break;
		}
	return n;
}

/* Reports about paths look like those about sub-sessions: there is one from each side every PATH_REPORT_MS. */
double rate(const struct sim *s)
{
	const struct watch *w = s->ctx;
	double all = (double)w->controls * US_PER_S / (double)(s->now_us - w->start_us + 1), paths = 2 * 1000.0 / PATH_REPORT_MS;

	return all > paths ? all - paths : 0;
}

void show(const struct sim *s, const char *what)
{
	const struct watch *w = s->ctx;

	print_message("# %s, seed %llu: lost %llu, doubles %llu, reordered %llu, moves %llu, ", what, (unsigned long long)w->seed,
		      (unsigned long long)lost(w), (unsigned long long)w->doubles, (unsigned long long)reordered(w),
		      (unsigned long long)moves(w));
	print_message("own %u %u, sharing %u %u, controls a second %.1f, at most %llu\n", on_own(w, 0), on_own(w, 1), sharing(w, 0),
		      sharing(w, 1), rate(s), (unsigned long long)w->controls_peak);
}

void check_watch(const struct sim *s, const char *what, double average, uint64_t peak)
{
	show(s, what);
	assert_int_equal(watch.doubles, 0);
	assert_true(rate(s) <= average);
	assert_true(watch.controls_peak <= peak);
}

void check_all_arrived(const struct sim *s, const char *what)
{
	if (lost(&watch) || reordered(&watch))
		show(s, what);
	assert_int_equal(lost(&watch), 0);
	assert_int_equal(reordered(&watch), 0);
}

void check_silence(struct sim *s)
{
	uint64_t controls;

	sim_run(s, SECONDS(60));
	controls = watch.controls;
	sim_run(s, SECONDS(300));
	assert_int_equal(watch.controls, controls);
}
