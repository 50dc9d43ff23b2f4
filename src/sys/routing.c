/* SPDX-License-Identifier: MIT */
/*
 * Routing and the host: joins node/routing.h with the kernel's tables (sys/kfib.h), its own routes (sys/kroutes.h) and the ordinary
 * interfaces (routing_lan.c).
 *
 * The host is looked at as a whole, LOOK_MS after the monitor told of a change, so a thousand changes are one look, and later where a look is
 * long, for the table main may be; our own routes are no change. Routes go to the kernel a bounded number a turn. When the kernel may have lost
 * some (a link went down and up, events were lost, somebody deleted one) the look ends with kfib_sync().
 *
 * The state - router-id, sequence number - is in MESHD_STATE_DIR/NAME.babel: marked unclean while we run, replaced as a whole, at most once a
 * second. On the host we change rp_filter of our own interface alone, since ways in and out of a mesh differ; what else would keep it
 * from forwarding is the operator's, and only told.
 *
 * Routes of a planned stop stay in the kernel (those over our own interface go with it, unless it outlives us) and are replaced in place by the
 * next run; what it has not replaced after SWEEP_S is removed. What it must know for that is in MESHD_RUN_DIR/NAME.resume, which is read once
 * and is gone; without it, or when it is old, and after any other end, the next run, or "meshd down", removes all.
 */
#include "sys/routing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/config.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/iface.h"
#include "sys/routing_inside.h"

enum {
	LOOK_MS = 150,
	LOOK_PAUSE = 10,		/* after a long look the next waits so many times as long, */
	LOOK_PAUSE_MAX_S = 5,		/* but no longer than this */
	LOOK_AGAIN_S = 5,		/* what failed for a reason of its own is tried so much later, */
	MISSING_AGAIN_S = 30,		/* and routes that the kernel refused */
	ROUTES_TURN_MAX = 512,
	PACKETS_TURN_MAX = 256,
	PACKETS_STOP_MAX = 4096,
	SWEEP_S = 60,
	SAVE_S = 1,
	STATE_FILE_MAX = 4096,
	RESUME_FILE_MAX = 32 << 20,
};

/* --- the file --- */

static bool parse_router_id(const char *text, uint8_t id[BABEL_ROUTER_ID_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < BABEL_ROUTER_ID_LEN; i++) {
		const char *high = text[2 * i] ? strchr(digits, text[2 * i]) : NULL;
		const char *low = high && text[2 * i + 1] ? strchr(digits, text[2 * i + 1]) : NULL;

		if (!high || !low)
			return false;
		id[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return !text[2 * BABEL_ROUTER_ID_LEN];
}

/* False: there is nothing to believe. */
static bool parse_state(char *text, struct routing_state *s)
{
	bool id = false, seqno = false;
	char *rest = NULL;

	*s = (struct routing_state){ 0 };
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '='), *end;
		unsigned long number;

		if (!value)
			continue;
		*value++ = '\0';
		number = strtoul(value, &end, 10);
		if (!strcmp(line, "router-id")) {
			id = parse_router_id(value, s->router_id);
		} else if (!strcmp(line, "seqno") && *value && !*end && number <= UINT16_MAX) {
			s->seqno = (uint16_t)number;
			seqno = true;
		} else if (!strcmp(line, "clean")) {
			s->clean = !strcmp(value, "1");
		}
	}
	return id && seqno;
}

static bool load_state(struct routing *r)
{
	struct text text = { 0 };
	bool ok = !file_read(r->state_path, &text, STATE_FILE_MAX) && text.s && parse_state(text.s, &r->last);

	text_done(&text);
	return ok;
}

static void write_state(struct routing *r, bool clean)
{
	struct routing_state s;
	struct text text = { 0 };
	int error;

	node_routing_state(r->o.node, &s);
	s.clean = clean;
	text_add(&text, "router-id=");
	for (size_t i = 0; i < BABEL_ROUTER_ID_LEN; i++)
		text_addf(&text, "%02x", s.router_id[i]);
	text_addf(&text, "\nseqno=%u\nclean=%d\n", (unsigned int)s.seqno, clean);
	error = dir_make(MESHD_STATE_DIR);
	if (!error)
		error = text.failed ? -ENOMEM : file_replace(r->state_path, text.s, text.len, 0600);
	if (error && r->saved_us >= 0)
		log_warning(&r->o.log, "%s: cannot save Babel's sequence number (%s); after a crash neighbours may refuse our routes for minutes",
			    r->o.name, strerror(-error));
	/* Once told, not again. */
	r->saved_us = error ? -1 : clock_now().mono_us;
	r->last = s;
	text_done(&text);
}

/* Whether it is written, or else the next run retracts everything. */
static bool write_resume(struct routing *r)
{
	struct text text = { 0 };
	int error = dir_make(MESHD_RUN_DIR);

	node_routing_suspend(r->o.node, &text, clock_now());
	if (!error)
		error = text.failed ? -ENOMEM : file_replace(r->resume_path, text.s, text.len, 0600);
	if (error)
		log_warning(&r->o.log, "%s: nothing is handed over to the next run: %s: %s", r->o.name, r->resume_path, strerror(-error));
	text_done(&text);
	return !error;
}

static void load_resume(struct routing *r)
{
	struct text text = { 0 };

	if (!file_read(r->resume_path, &text, RESUME_FILE_MAX) && text.s)
		r->resumed = node_routing_resume(r->o.node, text.s, clock_now());
	unlink(r->resume_path);
	text_done(&text);
}

static void on_save(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	write_state(w->data, false);
}

void routing_save(struct routing *r)
{
	int64_t since_us = clock_now().mono_us - r->saved_us;

	if (!r->on || ev_is_active(&r->save))
		return;
	if (since_us >= SAVE_S * US_PER_S) {
		write_state(r, false);
		return;
	}
	ev_timer_set(&r->save, SAVE_S, 0.0);
	ev_timer_start(r->o.loop, &r->save);
}

/* --- the operator's settings --- */

/* The number in a file of /proc/sys/net; -1: there is none. */
static int read_setting(const char *fmt, const char *name)
{
	char path[128];
	struct text text = { 0 };
	int value = -1;

	snprintf(path, sizeof(path), fmt, name);
	if (!file_read(path, &text, 64) && text.s && text.s[0] >= '0' && text.s[0] <= '9')
		value = (int)strtol(text.s, NULL, 10);
	text_done(&text);
	return value;
}

/* The kernel takes the larger of "all" and the interface's own; 1 is strict. */
static bool is_strict(const char *name)
{
	int all = read_setting("/proc/sys/net/ipv4/conf/%s/rp_filter", "all");
	int own = read_setting("/proc/sys/net/ipv4/conf/%s/rp_filter", name);

	return all <= 1 && own <= 1 && (all == 1 || own == 1);
}

static void check_settings(struct routing *r)
{
	bool router = r->lans[0].told.name[0];
	enum log_level level = router ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
	int all = read_setting("/proc/sys/net/ipv4/conf/%s/rp_filter", "all");

	/* Loose where "all" is strict, for off would not count there. */
	netlink_link_set_rp_filter(r->o.netlink, r->tun, all == 1 ? 2 : 0);
	if (is_strict(r->o.name))
		log_warning(&r->o.log, "%s: rp_filter is strict on it: IPv4 packets that come another way than they go are dropped", r->o.name);
	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		if (r->lans[i].told.name[0] && is_strict(r->lans[i].told.name))
			log_warning(&r->o.log, "%s: rp_filter is strict on %s: IPv4 packets that come another way than they go are dropped",
				    r->o.name, r->lans[i].told.name);
	if (!read_setting("/proc/sys/net/ipv4/%s", "ip_forward"))
		log_record(&r->o.log, level, "%s: net.ipv4.ip_forward is 0: nothing of IPv4 is forwarded between here and ordinary interfaces",
			   r->o.name);
	if (!read_setting("/proc/sys/net/ipv6/conf/%s/forwarding", "all"))
		log_record(&r->o.log, level, "%s: net.ipv6.conf.all.forwarding is 0: nothing of IPv6 is forwarded between here and ordinary interfaces",
			   r->o.name);
}

/* --- looking --- */

struct address_list {
	struct ip_prefix *v;
	size_t count;
	bool failed;
};

static void keep_address(void *ctx, const struct ip_prefix *a)
{
	struct address_list *l = ctx;
	struct ip_prefix *v;

	if (ip_addr_is_link_local(&a->addr))
		return;
	v = reallocarray(l->v, l->count + 1, sizeof(*v));
	l->failed |= !v;
	if (!v)
		return;
	l->v = v;
	v[l->count++] = *a;
}

static bool same_addresses(const struct routing *r, const struct address_list *l)
{
	if (!r->addresses_told || l->count != r->address_count)
		return false;
	for (size_t i = 0; i < l->count; i++)
		if (!ip_prefix_equal(&l->v[i], &r->addresses[i]))
			return false;
	return true;
}

/* 0 or negative errno, as all of these. */
static int look_at_addresses(struct routing *r)
{
	struct address_list l = { 0 };
	int error = r->tun ? netlink_address_each(r->o.netlink, r->tun, keep_address, &l) : 0;

	if (!error && l.failed)
		error = -ENOMEM;
	if (error || same_addresses(r, &l)) {
		free(l.v);
		return error;
	}
	free(r->addresses);
	r->addresses = l.v;
	r->address_count = l.count;
	r->addresses_told = node_set_addresses(r->o.node, l.v, l.count, clock_now());
	return r->addresses_told ? 0 : -ENOMEM;
}

static int look_at_main(struct routing *r)
{
	struct kroutes *old = &r->main[r->now], *fresh = &r->main[!r->now];
	int error = kroutes_read(r->o.netlink, fresh);

	if (error)
		return error;
	/* Also when main is as it was: the kernel may have dropped a copy. */
	error = r->fib ? kunder_follow(&r->under, fresh) : 0;
	if (fresh->full && !old->full)
		log_warning(&r->o.log, "%s: the kernel has more than %d routes: the rest is not redistributed", r->o.name, KROUTES_MAX);
	if (!r->renamed && kroutes_same(old, fresh)) {
		kroutes_done(fresh);
		return error;
	}
	if (r->fib)
		kfib_set_main(r->fib, fresh);
	kroutes_done(old);
	r->now = !r->now;
	r->renamed = !kroutes_tell(fresh, r->o.node, r->tun, clock_now());
	return r->renamed ? -ENOMEM : error;
}

static void look_later(struct routing *r, double after)
{
	if (!r->watching || (ev_is_active(&r->look) && ev_timer_remaining(r->o.loop, &r->look) <= after))
		return;
	ev_timer_stop(r->o.loop, &r->look);
	ev_now_update(r->o.loop);
	ev_timer_set(&r->look, after, 0.0);
	ev_timer_start(r->o.loop, &r->look);
}

/* How long to wait with the next one, so that looking is a tenth of the time at most even where main changes all the time. */
static double look_pause(const struct routing *r)
{
	double pause = (double)(LOOK_PAUSE * r->look_us) / US_PER_S;

	return pause < LOOK_MS / 1e3 ? LOOK_MS / 1e3 : pause < LOOK_PAUSE_MAX_S ? pause : LOOK_PAUSE_MAX_S;
}

static void retry_missing(struct routing *r)
{
	if (!r->fib || !kfib_counts(r->fib).missing)
		return;
	r->lost = true;
	look_later(r, MISSING_AGAIN_S);
}

static void look(struct routing *r)
{
	int64_t begun_us = clock_now().mono_us;
	bool again = routing_lans_look(r);

	again |= look_at_addresses(r) != 0;
	again |= look_at_main(r) != 0;
	if (r->fib && r->lost)
		r->lost = kfib_sync(r->fib, r->keep_strays) != 0;
	r->look_us = clock_now().mono_us - begun_us;
	if (again || r->lost)
		look_later(r, LOOK_AGAIN_S);
	retry_missing(r);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	look(w->data);
}

void routing_netlink(struct routing *r, int events)
{
	if (!r->watching)
		return;
	r->lost |= events & (NETLINK_LINK | NETLINK_LINKS | NETLINK_LOST | NETLINK_BABEL_LOST);
	r->renamed |= events & (NETLINK_LINK | NETLINK_LINKS | NETLINK_LOST);
	if (events & ~NETLINK_BABEL)
		look_later(r, look_pause(r));
}

/* --- beginning and ending --- */

static void on_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct routing *r = w->data;

	(void)loop;
	(void)revents;
	r->keep_strays = false;
	r->lost = true;
	look_later(r, 0.0);
}

static void on_defaults(void *ctx, uint8_t family, bool any)
{
	struct routing *r = ctx;
	int error = iface_set_babel_default(r->o.iface, family, any, r->fib_options.mark);

	if (error)
		log_warning(&r->o.log, "%s: rules of Babel's default route: %s", r->o.name, strerror(-error));
	/* They look main up, and the way past it must come before. */
	kunder_place_rules(&r->under);
	if (r->o.defaults_changed)
		r->o.defaults_changed(r->o.ctx);
}

/* A slot, cleaned of what the last holder left unless it left it for us. */
static void open_fib(struct routing *r)
{
	const struct kfib_handler handler = { .defaults = on_defaults, .ctx = r };
	int error = dir_make(MESHD_RUN_DIR);

	if (!error)
		error = kslot_take(&r->slot, MESHD_RUN_DIR, r->o.name);
	if (!error) {
		r->keep_strays = r->slot.kept && r->resumed;
		kfib_purge(r->o.netlink, r->slot.number, r->keep_strays);
		kunder_init(&r->under, r->o.netlink, r->slot.number, &r->o.log);
		r->fib = kfib_new(r->o.netlink, r->slot.number, &r->o.log, &handler);
		error = r->fib ? 0 : -ENOMEM;
	}
	if (error) {
		log_warning(&r->o.log, "%s: Babel's routes cannot be put into the kernel: %s", r->o.name, strerror(-error));
		kslot_release(&r->slot, false);
	}
	if (!r->keep_strays)
		return;
	ev_timer_set(&r->sweep, SWEEP_S, 0.0);
	ev_timer_start(r->o.loop, &r->sweep);
}

static void close_fib(struct routing *r, bool keep)
{
	if (!r->fib)
		return;
	kfib_close(r->fib, keep);
	kfib_free(r->fib);
	r->fib = NULL;
	kslot_release(&r->slot, keep);
}

static void begin(struct routing *r)
{
	r->on = true;
	open_fib(r);
	write_state(r, false);
}

static void end(struct routing *r, bool planned)
{
	r->on = false;
	ev_timer_stop(r->o.loop, &r->look);
	ev_timer_stop(r->o.loop, &r->sweep);
	ev_timer_stop(r->o.loop, &r->save);
	write_state(r, !planned);
	close_fib(r, planned && write_resume(r));
	routing_lans_close(r);
	kroutes_done(&r->main[0]);
	kroutes_done(&r->main[1]);
	r->addresses_told = false;
}

static void resume_path(char out[128], const char *name)
{
	snprintf(out, 128, MESHD_RUN_DIR "/%s.resume", name);
}

struct routing *routing_new(const struct routing_options *o)
{
	struct routing *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->o = *o;
	r->slot.fd = -1;
	r->buffer = malloc(BABEL_UDP_PACKET_MAX);
	if (!r->buffer) {
		free(r);
		return NULL;
	}
	for (size_t i = 0; i < BABEL_LANS_MAX; i++)
		r->lans[i].fd = -1;
	ev_timer_init(&r->look, on_look, 0.0, 0.0);
	ev_timer_init(&r->sweep, on_sweep, 0.0, 0.0);
	ev_timer_init(&r->save, on_save, 0.0, 0.0);
	r->look.data = r->sweep.data = r->save.data = r;
	snprintf(r->state_path, sizeof(r->state_path), MESHD_STATE_DIR "/%s.babel", o->name);
	resume_path(r->resume_path, o->name);
	node_routing_begin(o->node, load_state(r) ? &r->last : NULL);
	load_resume(r);
	return r;
}

void routing_configured(struct routing *r, const struct config *c, uint32_t tun, uint32_t mark)
{
	bool on = node_routing_on(r->o.node), fresh = on && !r->on;
	/* With Table a number nobody chooses a mark, but FwMark is one. */
	const struct kunder_options under = {
		.mark = c->table == TABLE_OFF ? 0 : mark ? mark : c->change.fwmark,
		.tun = tun,
		.table = c->table == TABLE_NUMBER ? c->table_number : 0,
	};

	r->tun = tun;
	r->fib_options = (struct kfib_options){ .mode = c->table, .table = c->table_number, .tun = tun, .mark = mark };
	/* What was made for the node to say on interfaces that go: farewells. */
	if (r->on)
		routing_lans_send(r, clock_now(), PACKETS_STOP_MAX);
	if (!on && r->on)
		end(r, false);
	r->watching = on || node_forwards(r->o.node);
	if (!r->watching) {
		ev_timer_stop(r->o.loop, &r->look);
		return;
	}
	if (fresh)
		begin(r);
	if (r->fib) {
		kunder_configure(&r->under, &under);
		kfib_configure(r->fib, &r->fib_options);
	}
	if (on)
		routing_lans_configure(r);
	if (fresh)
		check_settings(r);
	/* What Redistribute asks for may be another now. */
	r->renamed = true;
	r->addresses_told = false;
	look(r);
}

void routing_lose_tun(struct routing *r)
{
	r->tun = 0;
	r->fib_options.tun = 0;
	if (r->fib)
		kfib_configure(r->fib, &r->fib_options);
	look_later(r, 0.0);
}

static bool install(struct routing *r)
{
	struct node_route route;

	for (unsigned int n = 0; n < ROUTES_TURN_MAX; n++) {
		if (!node_next_route(r->o.node, &route))
			return false;
		if (r->fib)
			kfib_set(r->fib, &route);
	}
	return true;
}

bool routing_turn(struct routing *r, struct instant now)
{
	size_t missing = r->fib ? kfib_counts(r->fib).missing : 0;
	bool more = routing_lans_send(r, now, PACKETS_TURN_MAX);

	more |= install(r);
	if (r->fib && kfib_counts(r->fib).missing > missing)
		retry_missing(r);
	return more;
}

void routing_stop(struct routing *r, bool planned)
{
	struct instant now = clock_now();

	if (!r->on)
		return;
	node_routing_stop(r->o.node, planned, now);
	routing_lans_send(r, now, PACKETS_STOP_MAX);
	end(r, planned);
}

void routing_free(struct routing *r)
{
	if (!r)
		return;
	if (r->on)
		end(r, false);
	free(r->addresses);
	free(r->buffer);
	free(r);
}

bool routing_clean_kept(const char *name)
{
	char path[128];

	resume_path(path, name);
	unlink(path);
	return kslot_clean(MESHD_RUN_DIR, name);
}
