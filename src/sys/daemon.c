/* SPDX-License-Identifier: MIT */
/*
 * The daemon proper: the control thread with a libev loop that drives a node, and workers (sys/worker.c) that run its lanes.
 *
 *	a lane has something, a timer is due, netlink, a socket of people	wake
 *	before every sleep		node_turn(), handshakes sent, effects, the timer
 *
 * The daemon is made in steps, each with its own
 * one-line reason should it fail, and taken apart in the opposite order; closing the TUN takes addresses and routes
 * along, the rules are ours to remove.
 *
 * With a parent it keeps two capabilities once everything is open; whatever needs more is asked of the parent by
 * frames. End of file from there means that the parent is gone: then this process goes too.
 */
#include "sys/daemon.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/lane.h"
#include "node/routing.h"
#include "node/uapi.h"
#include "sys/arena.h"
#include "sys/clock.h"
#include "sys/control.h"
#include "sys/daemon_inside.h"
#include "sys/files.h"
#include "sys/frame.h"
#include "sys/mesh.h"
#include "sys/mesh_control.h"
#include "sys/paths_status.h"
#include "sys/privs.h"
#include "base/offloads.h"
#include "sys/routes_status.h"
#include "sys/routing.h"
#include "sys/status.h"
#include "sys/steering.h"
#include "sys/uapi.h"
#include "sys/underlay.h"
#include "sys/worker.h"

/* What sockets and TUN are read into are slots of the lanes, and there is a socket for every sub-session. */
_Static_assert((int)ARENA_PACKET_MAX == (int)LANE_SLOT_LEN && (int)UDP_PORTS_MAX == (int)SUB_SESSIONS_MAX &&
	       (int)FLOW_SESSIONS_MAX == (int)SUB_SESSIONS_MAX, "the layers agree");

static void stop(struct daemon *d, int status)
{
	d->status = status;
	ev_break(d->loop, EVBREAK_ALL);
}

/* Handshake messages leave by the first lane's sockets, between two of its batches. */
static void flush_node(struct daemon *d)
{
	struct lane *lane = node_lane(d->node, 0);
	struct dgram *dgrams;
	size_t count = node_out(d->node, &dgrams);

	if (!count)
		return;
	lane_close(lane);
	lane_count_udp_refused(lane, udp_send_waiting(&d->udp, 0, dgrams, count));
	lane_open(lane);
	node_out_clear(d->node);
}

void daemon_take_sockets(struct daemon *d, struct udp *fresh)
{
	struct udp old;

	node_close_lanes(d->node);
	udp_carry_over(fresh, &d->udp);
	old = d->udp;
	d->udp = *fresh;
	for (unsigned int i = 0; i < d->worker_count; i++)
		lane_set_offloads(node_lane(d->node, i), udp_run_messages_max(&d->udp, i),
				  d->tun.vnet && d->offloads & OFFLOAD_MERGE);
	node_open_lanes(d->node);
	if (d->workers)
		workers_watch_sockets(d->workers, &old);
	udp_close(&old);
}

/*
 * The turn before every sleep.
 */

static void save_stamp(struct daemon *d)
{
	uint8_t stamp[12];
	int error;

	node_timestamp(d->node, stamp);
	error = stamp_save(&d->stamp, stamp);
	if (error && error != -EBADF) {
		log_warning(&d->o.log, "cannot save the last handshake's timestamp: %s", strerror(-error));
		close(d->stamp.fd);
		d->stamp.fd = -1;
	}
	node_timestamp_saved(d->node, stamp);
}

/* Sockets for sub-sessions. Workers watch them before anybody is told of their ports. */
static void open_ports(struct daemon *d)
{
	uint16_t numbers[UDP_PORTS_MAX];
	int error;

	if (!d->workers || !udp_is_open(&d->udp))
		return;
	node_close_lanes(d->node);
	error = udp_open_ports(&d->udp, node_ports_wanted(d->node));
	node_open_lanes(d->node);
	if (error)
		log_warning(&d->o.log, "%s: no more than %u sockets for sub-sessions can be had: %s", d->o.name,
			    d->udp.port_count, strerror(-error));
	workers_watch_ports(d->workers);
	for (unsigned int i = 0; i < d->udp.port_count; i++)
		numbers[i] = d->udp.ports[i + 1].number;
	node_set_ports(d->node, numbers, d->udp.port_count, clock_now());
}

/* Our record says other addresses. Routing sees them on the interface. */
static void take_addresses(struct daemon *d)
{
	struct text why = { 0 };

	if (daemon_set_addresses(d, &d->config, &why))
		log_warning(&d->o.log, "%s", why.s ? why.s : "out of memory");
	else
		daemon_tell_made(d);
	text_done(&why);
}

void daemon_effects(struct daemon *d)
{
	unsigned int effects = node_effects(d->node);

	if (effects & NODE_EFFECT_ENDPOINTS)
		underlay_check(d->underlay);
	if (effects & NODE_EFFECT_TIMESTAMP)
		save_stamp(d);
	if (effects & NODE_EFFECT_RESOLVE)
		daemon_resolve_stale(d);
	if (effects & NODE_EFFECT_PORTS)
		open_ports(d);
	if (effects & NODE_EFFECT_BABEL_STATE && d->routing)
		routing_save(d->routing);
	/* Before there are workers the config's turn is still to come, and addresses are set then. */
	if (effects & NODE_EFFECT_MESH_ADDRESSES && d->workers && d->tun.ifindex)
		take_addresses(d);
	mesh_host_effects(d->mesh, effects);
}

/* 'more': there is something left to do, but others come first. */
static void rearm(struct daemon *d, struct instant now, bool more)
{
	int64_t deadline_us = node_deadline(d->node);
	double after;

	ev_timer_stop(d->loop, &d->wake);
	if (more)
		deadline_us = now.mono_us;
	if (deadline_us == NEVER_US)
		return;
	after = deadline_us > now.mono_us ? (double)(deadline_us - now.mono_us) / 1e6 : 0.0;
	ev_now_update(d->loop);
	ev_timer_set(&d->wake, after, 0.0);
	ev_timer_start(d->loop, &d->wake);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct daemon *d = w->data;
	struct instant now = clock_now();
	bool more;

	(void)revents;
	/* While lanes note things, look every FOLLOW_MS; they need not ring for what only moves timers of seconds. */
	if (node_turn(d->node, now) && !d->following) {
		d->following = true;
		workers_set_following(d->workers, true);
		ev_now_update(loop);
		ev_timer_set(&d->follow, FOLLOW_MS / 1e3, 0.0);
		ev_timer_start(loop, &d->follow);
	}
	more = routing_turn(d->routing, now);
	daemon_effects(d);
	more |= underlay_turn(d->underlay);
	flush_node(d);
	rearm(d, now, more);
}

/* What was noted since is seen in the turn that follows; what is noted later rings, for 'following' is over before we look. */
static void on_follow(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct daemon *d = w->data;

	(void)loop;
	(void)revents;
	d->following = false;
	workers_set_following(d->workers, false);
}

static void on_bell(struct ev_loop *loop, ev_async *w, int revents)
{
	struct daemon *d = w->data;

	/* For what a lane has noted waking is enough: the turn before the next sleep does the rest. */
	(void)loop;
	(void)revents;
	if (!workers_tun_gone(d->workers))
		return;
	log_info(&d->o.log, "%s: the interface was removed, ending", d->o.name);
	stop(d, 0);
}

static void ring(void *ctx)
{
	struct daemon *d = ctx;

	ev_async_send(d->loop, &d->bell);
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
	/* Nothing to do here: waking is enough, the turn before the next sleep does the rest. */
	(void)loop;
	(void)w;
	(void)revents;
}

/*
 * The host around us.
 */

static void set_up(struct daemon *d, bool up)
{
	if (up && !udp_is_open(&d->udp)) {
		struct change listen = { .bits = CHANGE_LISTEN_PORT };
		int error = daemon_apply(d, &listen);

		if (error)
			log_error(&d->o.log, "%s: cannot listen: %s", d->o.name, strerror(-error));
	}
	node_set_up(d->node, up, clock_now());
}

/*
 * The interface left our network namespace: it was deleted, or moved to another one, where containers like to have it while
 * our sockets stay here. There netlink does not reach: the MTU stays as it was last seen, and "up" is taken for granted, for
 * what is down gives no packets. Its index may become another interface's.
 */
static void on_link_gone(struct daemon *d)
{
	if (!d->tun.ifindex)
		return;
	if (!tun_exists(&d->tun)) {
		log_info(&d->o.log, "%s: the interface was removed, ending", d->o.name);
		stop(d, 0);
		return;
	}
	log_info(&d->o.log, "%s: moved to another network namespace", d->o.name);
	d->tun.ifindex = 0;
	routing_lose_tun(d->routing);
	set_up(d, true);
}

static void look_at_link(struct daemon *d)
{
	uint32_t mtu;
	bool up;
	int error = netlink_link_get(&d->netlink, d->tun.ifindex, &mtu, &up);

	if (error == -ENODEV)
		on_link_gone(d);
	if (error)
		return;
	node_set_mtu(d->node, mtu);
	set_up(d, up);
}

static void on_netlink(struct ev_loop *loop, ev_io *w, int revents)
{
	struct daemon *d = w->data;
	int events = netlink_monitor_read(&d->netlink, d->tun.ifindex);

	(void)loop;
	(void)revents;
	if (events < 0)
		return;
	if (events & NETLINK_LINK_GONE)
		on_link_gone(d);
	else if (events & (NETLINK_LINK | NETLINK_LOST))
		look_at_link(d);
	routing_netlink(d->routing, events);
	underlay_netlink(d->underlay, events);
	mesh_host_netlink(d->mesh, events);
}

static void on_resolve(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct daemon *d = w->data;

	(void)revents;
	if (!daemon_resolve_again(d))
		ev_timer_stop(loop, w);
}

/*
 * The parent, signals, and the two sockets people use.
 */

static void ask_down(struct daemon *d)
{
	if (d->o.parent_fd < 0 || frame_send(d->o.parent_fd, FRAME_DOWN, NULL, 0))
		stop(d, 0);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	ask_down(w->data);
}

static void on_parent(struct ev_loop *loop, ev_io *w, int revents)
{
	struct daemon *d = w->data;
	struct text config = { 0 };
	char *payload = NULL;
	size_t len;
	int type = frame_receive(d->o.parent_fd, &payload, &len);

	(void)loop;
	(void)revents;
	switch (type) {
	case FRAME_RESOLVED:
		daemon_resolved(d, payload, len);
		break;
	case FRAME_SAVE:
		daemon_format_config(d, &config);
		/* Nothing says that it cannot be told; silence would be waited out. */
		frame_send(d->o.parent_fd, FRAME_CONFIG, config.s,
			   config.failed || config.len > CONFIG_SIZE_MAX ? 0 : config.len);
		text_wipe(&config);
		break;
	case FRAME_STOP:
		d->planned |= len;
		stop(d, 0);
		break;
	default:
		log_error(&d->o.log, "%s: the parent process is gone, ending", d->o.name);
		stop(d, 1);
		break;
	}
	free(payload);
}

void daemon_tell_made(struct daemon *d)
{
	struct frame_made made = {
		.mark = d->mark,
		.default4 = d->iface.default4 || d->iface.babel4,
		.default6 = d->iface.default6 || d->iface.babel6,
		.listen_prefix = d->iface.listen_prefix,
	};

	for (size_t i = 0; i < d->iface.address_count && i < FRAME_ADDRESSES_MAX; i++)
		made.addresses[made.address_count++] = d->iface.addresses[i];
	if (d->o.parent_fd >= 0 && frame_send(d->o.parent_fd, FRAME_MADE, &made, sizeof(made)))
		stop(d, 1);
}

static void uapi_get(void *ctx, struct text *answer)
{
	struct daemon *d = ctx;

	node_close_lanes(d->node);
	uapi_format_get(d->node, clock_now(), answer);
	node_open_lanes(d->node);
}

static int uapi_set(void *ctx, const struct change *c)
{
	return daemon_apply(ctx, c);
}

struct address_list {
	struct ip_prefix *v;
	size_t count;
	bool failed;
};

static void add_address(void *ctx, const struct ip_prefix *a)
{
	struct address_list *list = ctx;
	struct ip_prefix *v = realloc(list->v, (list->count + 1) * sizeof(*v));

	list->failed |= !v;
	if (!v)
		return;
	list->v = v;
	v[list->count++] = *a;
}

static bool control_status(void *ctx, bool sub_sessions, Meshd__Status *s)
{
	struct daemon *d = ctx;
	struct address_list list = { 0 };
	struct status_facts facts = { .name = d->o.name, .start_us = d->start_us, .sub_sessions = sub_sessions };
	bool ok;

	if (d->tun.ifindex)
		netlink_address_each(&d->netlink, d->tun.ifindex, add_address, &list);
	facts.offloads = (d->tun.offloads & (OFFLOAD_TSO | OFFLOAD_USO)) | udp_offloads(&d->udp) |
			 (d->tun.vnet ? d->offloads & OFFLOAD_MERGE : 0U);
	facts.one_queue = d->worker_count > 1 && d->tun.queues == 1;
	facts.lane_count = d->worker_count;
	facts.addresses = list.v;
	facts.address_count = list.count;
	node_close_lanes(d->node);
	for (unsigned int i = 0; i < d->worker_count; i++) {
		struct worker_counts counts = workers_counts(d->workers, i);

		facts.lanes[i].handed_over = counts.handed_over;
		facts.lanes[i].strays = counts.strays;
	}
	ok = !list.failed && status_fill(d->node, &facts, clock_now(), s);
	node_open_lanes(d->node);
	free(list.v);
	return ok;
}

static bool control_routes(void *ctx, Meshd__Routes *r)
{
	const struct daemon *d = ctx;

	return routes_status_fill(d->node, d->o.name, clock_now(), r);
}

static bool control_paths(void *ctx, Meshd__Paths *p)
{
	const struct daemon *d = ctx;
	bool ok;

	node_close_lanes(d->node);
	ok = paths_status_fill(d->node, d->o.name, clock_now(), p);
	node_open_lanes(d->node);
	return ok;
}

/*
 * What was given out or decided has to be known after a crash, too: it is written before it is told. An invitation is good for as long as we run, whatever
 * the disk is like.
 */
static bool save_mesh(struct daemon *d, const Meshd__Request *q, struct text *why)
{
	struct text ignored = { 0 };

	if (q->kind_case == MESHD__REQUEST__KIND_REVOKE || q->kind_case == MESHD__REQUEST__KIND_IMPORT)
		return mesh_host_save(d->mesh, why);
	if (q->kind_case == MESHD__REQUEST__KIND_INVITE)
		mesh_host_save(d->mesh, &ignored);
	text_done(&ignored);
	return true;
}

static bool control_mesh(void *ctx, const Meshd__Request *q, void **job, Meshd__Response *r, struct text *why)
{
	struct daemon *d = ctx;
	bool looks = q->kind_case == MESHD__REQUEST__KIND_MESH, ok;

	if (looks)
		node_close_lanes(d->node);
	ok = mesh_control(d->node, d->o.name, q, clock_now(), job, r, why);
	if (looks)
		node_open_lanes(d->node);
	else if (!*job)
		daemon_effects(d);
	return ok && (*job || save_mesh(d, q, why));
}

static void on_uapi_file(struct ev_loop *loop, ev_stat *w, int revents)
{
	struct daemon *d = w->data;

	(void)loop;
	(void)revents;
	if (w->attr.st_nlink)
		return;
	log_info(&d->o.log, "%s: %s was removed, ending", d->o.name, w->path);
	stop(d, 0);
}

/* The last word counts. */
static void control_down(void *ctx, bool planned)
{
	struct daemon *d = ctx;

	d->planned = planned;
	ask_down(d);
}

static bool control_reload(void *ctx, const char *text, size_t len, struct text *why)
{
	return daemon_reload(ctx, text, len, why);
}

/*
 * Life.
 */

static int fail(struct text *why, int error, const char *fmt, const char *what)
{
	text_addf(why, fmt, what, strerror(-error));
	return error;
}

static int open_tun(struct daemon *d, struct text *why)
{
	int error = tun_open(&d->tun, d->o.name, d->worker_count, d->offloads);

	switch (error) {
	case 0:
		return 0;
	case -EPERM:
		return fail(why, error, "%s: cannot make the interface: CAP_NET_ADMIN is missing (run as root)%.0s", d->o.name);
	case -ENOENT:
	case -ENODEV:
		return fail(why, error, "%s: there is no /dev/net/tun (modprobe tun, or ask whoever runs this container)%.0s", d->o.name);
	case -EEXIST:
	case -EBUSY:
		return fail(why, error, "%s: an interface of that name exists already%.0s", d->o.name);
	default:
		return fail(why, error, "%s: cannot make the interface: %s", d->o.name);
	}
}

/* A clock that cannot be remembered is worth a warning, never a reason not to run. */
static void open_stamp(struct daemon *d)
{
	uint8_t saved[12];
	bool found;
	int error = stamp_open(&d->stamp, d->o.name, saved, &found);

	if (error)
		log_warning(&d->o.log, "%s: the last handshake's timestamp cannot be kept (%s); should the clock be lost, peers will refuse us until it is right again",
			    d->o.name, strerror(-error));
	if (found)
		node_set_timestamp(d->node, saved);
}

static void defaults_changed(void *ctx)
{
	struct daemon *d = ctx;

	/* Before the loop runs the parent has not been told of anything yet, and will be. */
	if (d->workers)
		daemon_tell_made(d);
}

static bool open_routing(struct daemon *d)
{
	const struct routing_options o = {
		.loop = d->loop, .node = d->node, .netlink = &d->netlink, .iface = &d->iface, .name = d->o.name, .log = d->o.log,
		.defaults_changed = defaults_changed, .ctx = d,
	};

	d->routing = routing_new(&o);
	return d->routing;
}

static bool open_underlay(struct daemon *d)
{
	const struct underlay_options o = {
		.loop = d->loop, .node = d->node, .netlink = &d->netlink, .tun = &d->tun, .udp = &d->udp, .name = d->o.name, .log = &d->o.log,
	};

	d->underlay = underlay_new(&o);
	return d->underlay;
}

static bool open_mesh(struct daemon *d)
{
	const struct mesh_host_options o = {
		.loop = d->loop, .node = d->node, .netlink = &d->netlink, .tun = &d->tun, .name = d->o.name, .config_file = d->o.config_file,
		.log = &d->o.log,
	};

	d->mesh = mesh_host_new(&o);
	return d->mesh;
}

/* Goodbyes of Babel's leave by the lanes: they get a moment for them. */
static void stop_routing(struct daemon *d)
{
	const struct timespec moment = { .tv_nsec = STOP_MOMENT_MS * 1000000L };

	if (!d->routing || !d->workers || !node_routing_on(d->node))
		return;
	d->o.parent_fd = -1;	/* it has asked, or is gone: what changes now is no news */
	routing_stop(d->routing, d->planned);
	node_turn(d->node, clock_now());
	flush_node(d);
	nanosleep(&moment, NULL);
}

static int open_sockets_of_people(struct daemon *d, struct text *why)
{
	const struct uapi_handler uapi = { .get = uapi_get, .set = uapi_set, .ctx = d };
	const struct control_handler control = {
		.status = control_status, .routes = control_routes, .paths = control_paths, .down = control_down, .reload = control_reload,
		.mesh = control_mesh, .give_up = mesh_control_give_up, .ctx = d,
	};
	int error = uapi_listen(&d->uapi, d->loop, d->o.name, &uapi);

	if (error)
		return fail(why, error, "%s: cannot listen on the UAPI socket: %s", d->o.name);
	error = control_listen(&d->control, d->loop, d->o.name, &control);
	if (error)
		return fail(why, error, "%s: cannot listen on the control socket: %s", d->o.name);
	return 0;
}

static void watch(struct daemon *d)
{
	ev_io_init(&d->netlink_io, on_netlink, netlink_monitor_fd(&d->netlink), EV_READ);
	ev_io_init(&d->parent_io, on_parent, d->o.parent_fd, EV_READ);
	snprintf(d->uapi_path, sizeof(d->uapi_path), "%s/%s.sock", MESHD_UAPI_DIR, d->o.name);
	ev_stat_init(&d->uapi_file, on_uapi_file, d->uapi_path, 0.0);
	d->uapi_file.data = d;
	ev_async_init(&d->bell, on_bell);
	ev_timer_init(&d->wake, on_wake, 0.0, 0.0);
	ev_timer_init(&d->follow, on_follow, 0.0, 0.0);
	ev_timer_init(&d->resolve, on_resolve, RESOLVE_RETRY_S, RESOLVE_RETRY_S);
	ev_prepare_init(&d->turn, on_turn);
	ev_signal_init(&d->term, on_signal, SIGTERM);
	ev_signal_init(&d->interrupt, on_signal, SIGINT);
	d->netlink_io.data = d->parent_io.data = d;
	d->bell.data = d->follow.data = d;
	d->resolve.data = d->turn.data = d;
	d->term.data = d->interrupt.data = d;
}

/* The threads come last: what was opened and given up before holds for them, too. */
static int start(struct daemon *d, struct text *why)
{
	const struct workers_options o = {
		.node = d->node, .tun = &d->tun, .udp = &d->udp, .count = d->worker_count, .ring = ring, .ctx = d,
	};
	int error;

	ev_io_start(d->loop, &d->netlink_io);
	if (d->o.parent_fd >= 0)
		ev_io_start(d->loop, &d->parent_io);
	ev_async_start(d->loop, &d->bell);
	if (!d->configured)
		ev_stat_start(d->loop, &d->uapi_file);
	ev_prepare_start(d->loop, &d->turn);
	ev_signal_start(d->loop, &d->term);
	ev_signal_start(d->loop, &d->interrupt);
	error = workers_start(&d->workers, &o);
	if (error)
		return fail(why, error, "%s: cannot start the workers: %s", d->o.name);
	look_at_link(d);
	return 0;
}

static unsigned int cpus_allowed(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned int)CPU_COUNT(&set);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static unsigned int workers_useful(const struct config *c, unsigned int half)
{
	unsigned int peers = c->change.peer_count > 1 ? (unsigned int)c->change.peer_count : 1;
	bool spread = c->change.links.flow_sessions && c->change.spread != SPREAD_OFF;

	return spread && peers < half ? half : peers;
}

/*
 * Workers and offloads as the config wants them. By itself it takes no more workers than there are peers: without sub-sessions a peer is
 * one lane's, and a lane without a peer could only read for others (measured: 5 % slower than one lane alone). With them one peer's
 * flows use all lanes, but the kernel's part and who sends and receives want CPUs, too: half of them is ours (measured on two: a second
 * lane for one peer makes a gigabyte dearer, and the quiet wait longer).
 */
static void choose_workers(struct daemon *d)
{
	const struct config *c = d->o.config;
	unsigned int count = least(cpus_allowed(), WORKERS_AUTO_MAX);

	if (c && c->workers)
		count = c->workers;
	else if (c)
		count = least(count, workers_useful(c, cpus_allowed() / 2));
	d->worker_count = count;
	d->offloads = c ? c->offloads : OFFLOAD_ALL;
}

/* Everything, up to the loop. Negative errno with one line in 'why'; daemon_close() takes back what there is. */
static int open_all(struct daemon *d, struct text *why)
{
	struct rng rng = system_rng();
	int error;

	d->loop = ev_loop_new(EVFLAG_AUTO);
	choose_workers(d);
	d->node = node_new(&rng, &d->o.log, d->worker_count);
	if (!d->loop || !d->node)
		return fail(why, -ENOMEM, "%s: %s", d->o.name);
	error = open_tun(d, why);
	if (error)
		return error;
	/* By the kernel's own hash a flow may hop between queues, and so lanes: better one reads for all. */
	if (d->tun.queues > 1 && steering_attach_tun(d->tun.fds[0]))
		tun_use_one_queue(&d->tun);
	error = netlink_open(&d->netlink);
	if (error)
		return fail(why, error, "%s: cannot open netlink: %s", d->o.name);
	iface_init(&d->iface, &d->netlink, d->tun.ifindex, d->o.name, &d->o.log);
	open_stamp(d);
	if (!open_routing(d) || !open_underlay(d) || !open_mesh(d))
		return fail(why, -ENOMEM, "%s: %s", d->o.name);
	watch(d);
	underlay_look(d->underlay);
	if (d->configured) {
		error = daemon_configure(d, why);
		if (error)
			return error;
	}
	error = open_sockets_of_people(d, why);
	if (error)
		return error;
	error = privs_drop();
	if (error)
		return fail(why, error, "%s: cannot give privileges up: %s", d->o.name);
	return start(d, why);
}

static void close_all(struct daemon *d)
{
	uint8_t stamp[12] = { 0 };

	control_close(d->control);
	uapi_close(d->uapi);
	stop_routing(d);
	workers_stop(d->workers);
	mesh_host_stop(d->mesh, d->planned);
	mesh_host_free(d->mesh);
	routing_free(d->routing);
	underlay_free(d->underlay);
	iface_done(&d->iface);
	if (d->node)
		node_timestamp(d->node, stamp);
	stamp_close(&d->stamp, stamp);
	netlink_close(&d->netlink);
	udp_close(&d->udp);
	tun_close(&d->tun);
	node_free(d->node);
	config_done(&d->config);
	if (d->loop)
		ev_loop_destroy(d->loop);
}

static void report(struct daemon *d, const char *why)
{
	if (d->o.parent_fd >= 0 && why)
		frame_send(d->o.parent_fd, FRAME_FAILED, why, strlen(why));
	if (d->o.ready)
		d->o.ready(d->o.ctx, why);
}

int daemon_run(const struct daemon_options *o)
{
	struct text why = { 0 };
	struct daemon *d = calloc(1, sizeof(*d));

	if (!d)
		return 1;
	d->o = *o;
	d->stamp.fd = -1;
	udp_init(&d->udp);
	d->configured = o->config != NULL;
	d->start_us = clock_now().mono_us;
	privs_protect();
	signal(SIGPIPE, SIG_IGN);
	if (open_all(d, &why)) {
		d->status = 1;
		report(d, why.s);
	} else {
		report(d, NULL);
		daemon_tell_made(d);
		ev_run(d->loop, 0);
	}
	close_all(d);
	text_done(&why);
	int status = d->status;

	crypto_wipe(d, sizeof(*d));
	free(d);
	return status;
}
