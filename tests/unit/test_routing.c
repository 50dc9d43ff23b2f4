/* SPDX-License-Identifier: MIT */
/*
 * Routing and the host: a node that only notes what it is told and gives what it is given here, real interfaces and tables, and the
 * daemon's loop in short. Directories and network are the program's own.
 */
#include "netstage.h"

#include <ev.h>
#include <sys/stat.h>

#include "node/config.h"
#include "node/routing.h"
#include "sandbox.h"
#include "sys/babel_udp.h"
#include "sys/clock.h"
#include "sys/iface.h"
#include "sys/kfib.h"
#include "sys/kslot.h"
#include "sys/routing.h"

#define STATE "cat /var/lib/meshd/m0.babel"

/* --- the node --- */

static struct {
	bool on, stopped, planned, had_state;
	struct routing_state saved, state;
	struct text addresses, kernel, received;
	struct node_lan lan;		/* of "a0", as told last */
	int lan_told;
	const char *wanted[4];
	struct node_route routes[2000];
	size_t route_count, route_next;
	struct node_lan_packet packets[4];
	size_t packet_count, packet_next;
} fake;

void node_routing_begin(struct node *n, const struct routing_state *saved)
{
	(void)n;
	fake.had_state = saved;
	if (saved)
		fake.saved = *saved;
}

void node_routing_suspend(const struct node *n, struct text *out, struct instant now)
{
	(void)n;
	(void)now;
	text_add(out, "where we were\n");
}

bool node_routing_resume(struct node *n, const char *text, struct instant now)
{
	(void)n;
	(void)now;
	return !strcmp(text, "where we were\n");
}

void node_routing_state(const struct node *n, struct routing_state *state)
{
	(void)n;
	*state = fake.state;
}

bool node_routing_on(const struct node *n)
{
	(void)n;
	return fake.on;
}

bool node_forwards(const struct node *n)
{
	return node_routing_on(n);
}

bool node_set_addresses(struct node *n, const struct ip_prefix *addresses, size_t count, struct instant now)
{
	char text[PREFIX_TEXT_MAX];

	(void)n;
	(void)now;
	text_reset(&fake.addresses);
	text_add(&fake.addresses, "");
	for (size_t i = 0; i < count; i++)
		text_addf(&fake.addresses, "%s ", ip_prefix_format(&addresses[i], text));
	return true;
}

bool node_lan_wanted(const struct node *n, size_t i, char name[16])
{
	(void)n;
	if (i >= 4 || !fake.wanted[i])
		return false;
	snprintf(name, 16, "%s", fake.wanted[i]);
	return true;
}

void node_set_lan(struct node *n, const struct node_lan *lan, struct instant now)
{
	(void)n;
	(void)now;
	if (strcmp(lan->name, "a0"))
		return;
	fake.lan = *lan;
	fake.lan_told++;
}

void node_lan_receive(struct node *n, const struct node_lan_packet *p, struct instant now)
{
	(void)n;
	(void)now;
	text_add_bytes(&fake.received, p->data, p->len);
}

bool node_lan_next(struct node *n, struct node_lan_packet *p, struct instant now)
{
	(void)n;
	(void)now;
	if (fake.packet_next == fake.packet_count)
		return false;
	*p = fake.packets[fake.packet_next++];
	return true;
}

bool node_next_route(struct node *n, struct node_route *r)
{
	(void)n;
	if (fake.route_next == fake.route_count)
		return false;
	*r = fake.routes[fake.route_next++];
	return true;
}

bool node_set_kernel_routes(struct node *n, const struct kernel_route *routes, size_t count, struct instant now)
{
	char text[PAIR_TEXT_MAX];

	(void)n;
	(void)now;
	text_reset(&fake.kernel);
	text_add(&fake.kernel, "");
	for (size_t i = 0; i < count; i++)
		text_addf(&fake.kernel, "%s %s %u\n", prefix_pair_format(&routes[i].prefix, text), routes[i].iface, routes[i].protocol);
	return true;
}

void node_routing_stop(struct node *n, bool planned, struct instant now)
{
	(void)n;
	(void)now;
	fake.stopped = true;
	fake.planned = planned;
}

/* --- the daemon --- */

static const struct log silent;
static struct ev_loop *loop;
static struct routing *routing;
static struct iface iface;
static struct config config;
static ev_io monitor_io;
static ev_prepare turn;
static ev_timer end_of_run, again;
static int turns, defaults_changed;

static void on_monitor(struct ev_loop *l, ev_io *w, int revents)
{
	(void)l;
	(void)w;
	(void)revents;
	routing_netlink(routing, netlink_monitor_read(&nl, tun));
}

static void on_again(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)l;
	(void)w;
	(void)revents;
}

static void on_turn(struct ev_loop *l, ev_prepare *w, int revents)
{
	(void)w;
	(void)revents;
	turns++;
	if (!routing_turn(routing, clock_now()))
		return;
	ev_timer_set(&again, 0.0, 0.0);
	ev_timer_start(l, &again);
}

static void on_end(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(l, EVBREAK_ALL);
}

static void run_ms(int ms)
{
	ev_now_update(loop);
	ev_timer_set(&end_of_run, ms / 1e3, 0.0);
	ev_timer_start(loop, &end_of_run);
	ev_run(loop, 0);
}

/* Run until this is so. */
#define RUN_UNTIL(this) \
	do { \
		for (int tries = 0; tries < 1000 && !(this); tries++) \
			run_ms(20); \
		assert_true(this); \
	} while (0)

/* Run until 'cmd' prints exactly 'expected'. */
static void run_until_shows(const char *cmd, const char *expected)
{
	char line[600];

	snprintf(line, sizeof(line), "(%s) 2>&1 | sed 's/ *$//'", cmd);
	for (int tries = 0; tries < 400 && strcmp(output(line), expected); tries++)
		run_ms(50);
	shows(cmd, expected);
}

/* Run until all the routes given are in the kernel. */
static void run_routes(void)
{
	RUN_UNTIL(fake.route_next == fake.route_count);
}

/* Run until nothing has made us look at the host for a while. */
static void run_until_calm(void)
{
	settle();
	for (int tries = 0; tries < 20; tries++) {
		text_reset(&fake.kernel);
		run_ms(500);
		if (!fake.kernel.len)
			return;
	}
	fail_msg("the host is looked at again and again");
}

static void note_defaults(void *ctx)
{
	(void)ctx;
	defaults_changed++;
}

static void start(void)
{
	const struct routing_options o = {
		.loop = loop, .netlink = &nl, .iface = &iface, .name = "m0", .log = silent, .defaults_changed = note_defaults,
	};

	routing = routing_new(&o);
	assert_non_null(routing);
	routing_configured(routing, &config, tun, MARK);
}

static int routing_stage(void **state)
{
	text_done(&fake.addresses);
	text_done(&fake.kernel);
	text_done(&fake.received);
	memset(&fake, 0, sizeof(fake));
	memset(&config, 0, sizeof(config));
	fake.on = true;
	fake.state = (struct routing_state){ .router_id = { 2, 0xab, 3, 4, 5, 6, 7, 8 }, .seqno = 41 };
	defaults_changed = 0;
	if (system("rm -rf /run/meshd /var/lib/meshd") || stage(state))
		return -1;
	sh("ip link set m0 addrgenmode none up; ip address add 10.1.0.1/24 dev m0; ip address add fd00:1::1/64 dev m0 nodad");
	make_veth();
	sh("ip link set a0 addrgenmode none; ip address flush dev a0 scope link; ip address add fe80::a/64 dev a0 nodad");
	sh("ip link set b0 down; ip link set b0 addrgenmode none up; ip address add fe80::b/64 dev b0 nodad");
	wait_running("a0", true);
	wait_running("b0", true);
	iface_init(&iface, &nl, tun, "m0", &silent);
	loop = ev_loop_new(EVFLAG_AUTO);
	ev_io_init(&monitor_io, on_monitor, netlink_monitor_fd(&nl), EV_READ);
	ev_io_start(loop, &monitor_io);
	ev_prepare_init(&turn, on_turn);
	ev_prepare_start(loop, &turn);
	ev_timer_init(&again, on_again, 0.0, 0.0);
	ev_timer_init(&end_of_run, on_end, 0.0, 0.0);
	return 0;
}

static int routing_strike(void **state)
{
	routing_free(routing);
	routing = NULL;
	iface_done(&iface);
	ev_loop_destroy(loop);
	return strike(state);
}

static void give(const char *dst, enum node_route_kind kind, const char *gateway)
{
	struct node_route *r = &fake.routes[fake.route_count++];

	*r = (struct node_route){ .kind = kind };
	r->prefix.dst = prefix(dst);
	r->prefix = prefix_pair_any(&r->prefix.dst);
	if (!gateway)
		return;
	r->gateway = addr(gateway);
	r->ifindex = index_of("a0");
}

/* --- cases --- */

static void off(void **state)
{
	(void)state;
	fake.on = false;
	start();
	run_ms(20);
	shows(STATE, "cat: /var/lib/meshd/m0.babel: No such file or directory\n");
	shows("ls /run/meshd", "ls: cannot access '/run/meshd': No such file or directory\n");
	assert_null(fake.addresses.s);
}

static void state_is_kept(void **state)
{
	int64_t begun_us;
	struct stat st;

	(void)state;
	begun_us = clock_now().mono_us;
	start();
	assert_false(fake.had_state);
	shows(STATE, "router-id=02ab030405060708\nseqno=41\nclean=0\n");
	assert_int_equal(stat("/var/lib/meshd/m0.babel", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Once a second, but then the newest. */
	for (fake.state.seqno = 42; fake.state.seqno < 50; fake.state.seqno++)
		routing_save(routing);
	if (clock_now().mono_us < begun_us + US_PER_S)	/* on any machine that is not very busy */
		shows(STATE, "router-id=02ab030405060708\nseqno=41\nclean=0\n");
	run_until_shows(STATE, "router-id=02ab030405060708\nseqno=50\nclean=0\n");
	routing_free(routing);	/* a start that came to nothing has told nobody of anything */
	shows(STATE, "router-id=02ab030405060708\nseqno=50\nclean=1\n");
	start();
	assert_true(fake.had_state);
	assert_int_equal(fake.saved.seqno, 50);
	assert_true(fake.saved.clean);
	assert_memory_equal(fake.saved.router_id, fake.state.router_id, 8);
	fake.state.seqno = 51;
	routing_stop(routing, false);
	assert_true(fake.stopped);
	shows(STATE, "router-id=02ab030405060708\nseqno=51\nclean=1\n");
	routing_free(routing);
	sh("echo seqno=70000 >/var/lib/meshd/m0.babel; echo router-id=02ab030405060708 >>/var/lib/meshd/m0.babel");
	start();
	assert_false(fake.had_state);
}

static void host_is_followed(void **state)
{
	(void)state;
	sh("ip route add 10.7.0.0/16 via 192.0.2.5; ip route add 10.8.0.0/16 dev m0; ip route add blackhole 10.6.0.0/16 proto static");
	sh("ip -6 route add fd00:7::/48 from fd00:9::/48 via 2001:db8::5; ip route add 10.5.0.0/16 dev a0 proto 109 metric 7");
	sh("cd /proc/sys/net/ipv4/conf; echo 0 >all/rp_filter; echo 1 >m0/rp_filter");
	start();
	shows("cat /proc/sys/net/ipv4/conf/m0/rp_filter", "0\n");
	assert_string_equal(fake.addresses.s, "10.1.0.1/24 fd00:1::1/64 ");
	assert_string_equal(fake.kernel.s,
			    "10.6.0.0/16  4\n10.7.0.0/16 a0 3\n192.0.2.0/24 a0 2\n2001:db8::/64 a0 2\nfd00:7::/48 from fd00:9::/48 a0 3\n");
	sh("ip address add 10.1.0.2/32 dev m0; ip route del 10.7.0.0/16");
	RUN_UNTIL(!strcmp(fake.addresses.s, "10.1.0.1/24 10.1.0.2/32 fd00:1::1/64 ") && !strstr(fake.kernel.s, "10.7.0.0"));
	/* Routes of ours are no reason to look. */
	run_until_calm();
	for (int i = 0; i < 1500; i++) {
		char dst[32];

		snprintf(dst, sizeof(dst), "10.%d.%d.0/24", 100 + i / 250, i % 250);
		give(dst, NODE_ROUTE_TUN, NULL);
	}
	turns = 0;
	run_routes();
	run_ms(400);
	assert_true(turns >= 3);
	shows("ip route show proto 109 metric 900 | wc -l", "1500\n");
	assert_int_equal(fake.kernel.len, 0);
}

static void lan_comes_and_goes(void **state)
{
	const struct ip_addr v4 = addr("192.0.2.1"), at_a = addr("fe80::a");

	(void)state;
	sh("ip link del a0");
	fake.wanted[0] = "a0";
	start();
	assert_int_equal(fake.lan_told, 0);
	make_veth();
	sh("ip link set a0 addrgenmode none; ip address flush dev a0 scope link; ip address add fe80::a/64 dev a0 nodad");
	RUN_UNTIL(fake.lan.up && ip_addr_equal(&fake.lan.address, &at_a));
	assert_int_equal(fake.lan.ifindex, index_of("a0"));
	assert_int_equal(fake.lan.mtu, 1500);
	assert_true(ip_addr_equal(&fake.lan.address4, &v4));
	sh("ip link set a0 mtu 1400");
	RUN_UNTIL(fake.lan.mtu == 1400);
	sh("ip link set b0 down");
	RUN_UNTIL(!fake.lan.up);
	sh("ip link del a0");
	RUN_UNTIL(fake.lan.ifindex == 0);
	make_veth();
	RUN_UNTIL(fake.lan.ifindex == index_of("a0"));
	/* It is no longer wanted: the port is free. */
	fake.wanted[0] = NULL;
	routing_configured(routing, &config, tun, MARK);
	shows("ss -Huln 'sport = 6696'", "");
}

static void assert_receives(int fd, const char *data)
{
	static uint8_t buffer[BABEL_UDP_PACKET_MAX];
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	struct node_lan_packet p;

	assert_int_equal(poll(&readable, 1, 10000), 1);
	assert_int_equal(babel_udp_receive(fd, buffer, &p), 1);
	assert_int_equal(p.len, strlen(data));
	assert_memory_equal(p.data, data, p.len);
}

static void packets(void **state)
{
	int b = babel_udp_open("b0", index_of("b0"));
	struct node_lan_packet p = {
		.ifindex = index_of("b0"), .dst = addr("ff02::1:6"), .data = (const uint8_t *)"to a", .len = 4,
	};

	(void)state;
	assert_true(b >= 0);
	fake.wanted[0] = "a0";
	start();
	assert_true(fake.lan.up);
	assert_int_equal(babel_udp_send(b, &p), 0);
	RUN_UNTIL(fake.received.len >= 4);
	assert_string_equal(fake.received.s, "to a");
	fake.packets[fake.packet_count++] = (struct node_lan_packet){
		.ifindex = index_of("a0"), .src = addr("fe80::a"), .dst = addr("ff02::1:6"), .data = (const uint8_t *)"to b", .len = 4,
	};
	RUN_UNTIL(fake.packet_next == fake.packet_count);
	assert_receives(b, "to b");
	/* The last words. */
	fake.packets[fake.packet_count++] = (struct node_lan_packet){
		.ifindex = index_of("a0"), .src = addr("fe80::a"), .dst = addr("fe80::b"), .data = (const uint8_t *)"bye", .len = 3,
	};
	routing_stop(routing, false);
	assert_receives(b, "bye");
	close(b);
}

static void routes_survive_the_kernel(void **state)
{
	(void)state;
	start();
	give("10.2.0.0/16", NODE_ROUTE_TUN, NULL);
	give("10.3.0.0/16", NODE_ROUTE_LAN, "192.0.2.9");
	give("0.0.0.0/0", NODE_ROUTE_TUN, NULL);
	run_routes();
	RUN_UNTIL(iface.babel4);
	assert_int_equal(defaults_changed, 1);
	shows("ip rule | grep -c 'not from all fwmark 0xca6c\\|suppress'", "2\n");
	/* The sockets' way past main comes before both. */
	shows("ip rule | sed -n '2s/.*from all //p'", "fwmark 0xca6c lookup 7170304 proto 109\n");
	sh("ip link set m0 down; ip link set a0 down; ip link set a0 up; ip link set m0 up");
	run_until_shows("ip route show proto 109", "10.2.0.0/16 dev m0 scope link metric 900\n10.3.0.0/16 via 192.0.2.9 dev a0 metric 900 onlink\n");
	sh("ip route del 10.2.0.0/16");
	run_until_shows("ip route show 10.2.0.0/16", "10.2.0.0/16 dev m0 proto 109 scope link metric 900\n");
	give("0.0.0.0/0", NODE_ROUTE_NONE, NULL);
	RUN_UNTIL(!iface.babel4);
	shows("ip rule | grep -c 'not from all fwmark 0xca6c\\|suppress'", "0\n");
	routing_stop(routing, false);
	shows("ip rule | grep 'proto 109'; ip -6 rule | grep 'proto 109'; ip route show table 7170304; ip -6 route show table 7170304", "");
	shows("ip route show proto 109", "");
	shows("cat /run/meshd/babel-0.slot", "");
}

/* Planned: what goes over others stays, and is replaced or, later, swept; killed: it is removed at once. */
static void planned_and_killed(void **state)
{
	(void)state;
	start();
	give("10.2.0.0/16", NODE_ROUTE_LAN, "192.0.2.9");
	give("10.3.0.0/16", NODE_ROUTE_LAN, "192.0.2.9");
	run_routes();
	routing_stop(routing, true);
	assert_true(fake.planned);
	routing_free(routing);
	shows("ip route show proto 109 | wc -l", "2\n");
	start();
	give("10.2.0.0/16", NODE_ROUTE_LAN, "192.0.2.8");
	run_routes();
	shows("ip route show proto 109", "10.2.0.0/16 via 192.0.2.8 dev a0 metric 900 onlink\n10.3.0.0/16 via 192.0.2.9 dev a0 metric 900 onlink\n");
	routing_stop(routing, false);
	routing_free(routing);
	/* Without what it left for the next its routes are worth nothing; and what is left is good for one. */
	start();
	give("10.3.0.0/16", NODE_ROUTE_LAN, "192.0.2.9");
	run_routes();
	routing_stop(routing, true);
	routing_free(routing);
	shows("cat /run/meshd/m0.resume; ip route show proto 109 | wc -l; rm /run/meshd/m0.resume", "where we were\n1\n");
	start();
	shows("ip route show proto 109", "");
	routing_stop(routing, true);
	routing_free(routing);
	start();
	shows("ls /run/meshd/m0.resume 2>/dev/null | wc -l", "0\n");
	routing_stop(routing, false);
	routing_free(routing);
	sh("printf 'm0\\n' >/run/meshd/babel-0.slot; ip route add 10.3.0.0/16 via 192.0.2.9 proto 109 metric 900");
	start();
	shows("ip route show proto 109", "");
	routing_stop(routing, false);
	sh("printf 'm0\\n' >/run/meshd/babel-0.slot; ip route add 10.3.0.0/16 via 192.0.2.9 proto 109 metric 900");
	kslot_clean("/run/meshd", "other");
	shows("ip route show proto 109 | wc -l", "1\n");
	kslot_clean("/run/meshd", "m0");
	shows("ip route show proto 109", "");
}

#undef CASE
#define CASE(f) cmocka_unit_test_setup_teardown(f, routing_stage, routing_strike)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(off),
		CASE(state_is_kept),
		CASE(host_is_followed),
		CASE(lan_comes_and_goes),
		CASE(packets),
		CASE(routes_survive_the_kernel),
		CASE(planned_and_killed),
	};

	sandbox_run_dir();
	if (mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755"))
		sandbox_skip("mount");
	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
