/* SPDX-License-Identifier: MIT */
/*
 * The addresses of this host, ways of paths, and what the underlay makes of both; on a stage of its own, with ip(8) for the scenery. The node is
 * the test: it has paths to be checked, and keeps what it is told.
 */
#include "netstage.h"

#include <ev.h>
#include <poll.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "node/change.h"
#include "node/node.h"
#include "sys/tun.h"
#include "sys/udp.h"
#include "sys/underlay.h"

/* --- the node --- */

static struct {
	struct path_local locals[PATH_LOCALS_MAX];
	size_t local_count;
	int told;		/* how often */
	int unchecked;		/* how often all are to be asked about again */
	struct path_addr asked;
	int left;		/* so many times 'asked' is still to be checked */
	int answers;
	enum path_way way;
	bool preferred;
	uint32_t mtu;
} seen;

void node_set_locals(struct node *n, const struct path_local *v, size_t count, struct instant now)
{
	(void)n;
	assert_true(now.mono_us > 0);
	assert_true(count <= PATH_LOCALS_MAX);
	memcpy(seen.locals, v, count * sizeof(*v));
	seen.local_count = count;
	seen.told++;
}

bool node_next_path(struct node *n, uint8_t public_key[KEY_LEN], struct path_addr *path)
{
	(void)n;
	memset(public_key, 7, KEY_LEN);
	*path = seen.asked;
	return seen.left > 0;
}

void node_set_way(struct node *n, const uint8_t public_key[KEY_LEN], const struct path_addr *path, enum path_way way, bool preferred,
		  uint32_t mtu, struct instant now)
{
	(void)n;
	(void)now;
	assert_int_equal(public_key[KEY_LEN - 1], 7);
	assert_true(path_addr_equal(path, &seen.asked));
	seen.left--;
	seen.answers++;
	seen.way = way;
	seen.preferred = preferred;
	seen.mtu = mtu;
}

void node_uncheck_endpoints(struct node *n)
{
	(void)n;
	seen.unchecked++;
}

/* --- helpers --- */

static const char *locals(void)
{
	static char text[2048];
	struct netlink_local v[PATH_LOCALS_MAX];
	char a[ADDR_TEXT_MAX];
	size_t count, len = 0;

	assert_int_equal(netlink_locals(&nl, tun, v, PATH_LOCALS_MAX, &count), 0);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (v[i].spare)
			continue;
		if (ip_addr_is_link_local(&v[i].addr))
			snprintf(a, sizeof(a), "fe80::");
		else
			ip_addr_format(&v[i].addr, a);
		assert_int_equal(v[i].ifindex, strcmp(v[i].name, "lo") ? if_nametoindex(v[i].name) : 0);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s@%s ", a, v[i].name);
	}
	return text;
}

/* Without IPv6's own link-local addresses, which come when they like. */
static void make_link(const char *name, const char *peer)
{
	sh("ip link add %s type veth peer name %s && ip link set %s addrgenmode none && ip link set %s addrgenmode none &&"
	   "ip link set %s up && ip link set %s up", name, peer, name, peer, name, peer);
	wait_running(name, true);
	wait_running(peer, true);
}

/* Two uplinks, their routers at .254. */
static void make_uplinks(void)
{
	make_link("a0", "b0");
	make_link("a1", "b1");
	sh("ip address add 192.0.2.1/24 dev a0; ip address add 198.51.100.1/24 dev a1");
	sh("ip address add 2001:db8:0:1::1/64 dev a0 nodad; ip address add 2001:db8:0:2::1/64 dev a1 nodad");
	sh("ip link set a1 mtu 1400");
}

static int strike_links(void **state)
{
	(void)!system("ip link del a1 2>/dev/null; ip address del 10.9.9.9/32 dev lo 2>/dev/null; ip -6 address del 2001:db8:9::9/128 dev lo 2>/dev/null");
	return strike(state);
}

static struct path_addr path_of(const char *local, const char *interface, const char *remote)
{
	struct path_addr p = { .ifindex = interface ? if_nametoindex(interface) : 0 };

	assert_true(endpoint_parse(remote, &p.remote));
	if (local)
		p.local = addr(local);
	p.pinned = p.ifindex;
	return p;
}

/* --- addresses --- */

#define LOOPBACKS "127.0.0.1@lo ::1@lo "

static void addresses(void **state)
{
	(void)state;
	assert_string_equal(locals(), LOOPBACKS);
	make_uplinks();
	assert_string_equal(locals(), "192.0.2.1@a0 198.51.100.1@a1 2001:db8:0:1::1@a0 2001:db8:0:2::1@a1 " LOOPBACKS);

	/* Ours does not count. */
	sh("ip link set m0 addrgenmode none up; ip address add 10.77.0.1/24 dev m0");
	assert_string_equal(locals(), "192.0.2.1@a0 198.51.100.1@a1 2001:db8:0:1::1@a0 2001:db8:0:2::1@a1 " LOOPBACKS);

	/* On lo they are of no interface, and each of its own. */
	sh("ip address add 10.9.9.9/32 dev lo; ip address add 2001:db8:9::9/128 dev lo nodad");
	assert_string_equal(locals(), "10.9.9.9@lo 192.0.2.1@a0 198.51.100.1@a1 2001:db8:9::9@lo 2001:db8:0:1::1@a0 2001:db8:0:2::1@a1 " LOOPBACKS);

	/* Link-local ones are last but loopback's. */
	sh("ip address add fe80::77/64 dev a0 nodad; ip address add 169.254.3.3/16 dev a1");
	assert_non_null(strstr(locals(), "2001:db8:0:2::1@a1 169.254.3.3@a1 fe80::@a0 " LOOPBACKS));
}

static void one_of_a_subnet(void **state)
{
	(void)state;
	make_link("a0", "b0");
	sh("ip address add 192.0.2.1/24 dev a0; ip address add 192.0.2.2/24 dev a0; ip address add 10.3.0.1 peer 10.3.0.2/32 dev a0");
	sh("ip address add 2001:db8::1/64 dev a0 nodad; ip address add 2001:db8::2/64 dev a0 nodad; ip address add 2001:db8::3/128 dev a0 nodad");
	assert_string_equal(locals(), "192.0.2.1@a0 10.3.0.1@a0 2001:db8::1@a0 " LOOPBACKS);
	sh("ip address del 2001:db8::1/64 dev a0");
	assert_non_null(strstr(locals(), "2001:db8::2@a0 "));
	sh("sysctl -qw net.ipv4.conf.a0.promote_secondaries=1; ip address del 192.0.2.1/24 dev a0");
	assert_non_null(strstr(locals(), "192.0.2.2@a0 "));
}

static void flags(void **state)
{
	(void)state;
	make_link("a0", "b0");
	/* Duplicate detection takes a second or more. */
	sh("sysctl -qw net.ipv6.conf.a0.accept_dad=1 net.ipv6.conf.a0.dad_transmits=100; ip address add 2001:db8::1/64 dev a0");
	assert_string_equal(locals(), LOOPBACKS);
	sh("ip address del 2001:db8::1/64 dev a0; ip address add 2001:db8::2/64 dev a0 nodad");
	assert_string_equal(locals(), "2001:db8::2@a0 " LOOPBACKS);
	sh("ip address change 2001:db8::2/64 dev a0 nodad valid_lft 100 preferred_lft 0");
	assert_string_equal(locals(), LOOPBACKS);
	sh("ip address change 2001:db8::2/64 dev a0 nodad valid_lft 100 preferred_lft 100");
	assert_string_equal(locals(), "2001:db8::2@a0 " LOOPBACKS);
}

/* A temporary address is made from one that manages it, at once; only while the other is deprecated or gone it has to do. */
static void temporary(void **state)
{
	(void)state;
	make_link("a0", "b0");
	sh("sysctl -qw net.ipv6.conf.a0.use_tempaddr=2 net.ipv6.conf.a0.dad_transmits=0");
	sh("ip address add 2001:db8::2/64 dev a0 nodad mngtmpaddr valid_lft 86400 preferred_lft 86400");
	for (int i = 0; i < 500 && !*output("ip -6 address show dev a0 temporary -tentative"); i++)
		usleep(20000);
	assert_string_not_equal(output("ip -6 address show dev a0 temporary"), "");
	assert_string_equal(locals(), "2001:db8::2@a0 " LOOPBACKS);
	/* Another subnet has one of its own. */
	sh("ip address add 2001:db8:0:5::2/64 dev a0 nodad");
	assert_string_equal(locals(), "2001:db8:0:5::2@a0 2001:db8::2@a0 " LOOPBACKS);
}

static void carrier(void **state)
{
	(void)state;
	make_uplinks();
	sh("ip link set b0 down");
	for (int i = 0; i < 500 && strstr(locals(), "192.0.2.1"); i++)	/* the kernel tells of it within a second */
		usleep(20000);
	assert_string_equal(locals(), "198.51.100.1@a1 2001:db8:0:2::1@a1 " LOOPBACKS);
	sh("ip link set a1 down");
	assert_string_equal(locals(), LOOPBACKS);
	sh("ip link set b0 up");
	for (int i = 0; i < 500 && !strstr(locals(), "192.0.2.1"); i++)
		usleep(20000);
	assert_non_null(strstr(locals(), "192.0.2.1@a0 "));
}

static void many(void **state)
{
	struct netlink_local v[4];
	size_t count;

	(void)state;
	make_link("a0", "b0");
	sh("for i in $(seq 1 40); do echo address add 10.40.$i.1/24 dev a0; done | ip -b -");
	assert_int_equal(netlink_locals(&nl, tun, v, 4, &count), 0);
	assert_int_equal(count, 4);
	assert_true(ip_addr_equal(&v[3].addr, &(struct ip_addr){ IP_V4, { 10, 40, 4, 1 } }));

	/* A dump that is interrupted begins anew. */
	fault.interrupt = 2;
	assert_int_equal(netlink_locals(&nl, tun, v, 4, &count), 0);
	assert_int_equal(count, 4);
	fault.interrupt = 1000;
	assert_int_equal(netlink_locals(&nl, tun, v, 4, &count), -EINTR);
	assert_int_equal(count, 0);
	fault.interrupt = 0;
}

/* --- ways --- */

static int way_error;

static struct netlink_way way_of(const char *local, const char *interface, const char *remote, uint32_t mark)
{
	const struct path_addr p = path_of(local, interface, remote);
	struct netlink_way way = { 0 };

	way_error = netlink_way_get(&nl, &p, mark, &way);
	return way;
}

/* No rules: IPv4 can be made to use the second default route, for its lookup goes by the interface; IPv6's goes by the metric. */
static void two_defaults(void **state)
{
	uint32_t a0, a1;
	struct netlink_way way;

	(void)state;
	make_uplinks();
	a0 = index_of("a0");
	a1 = index_of("a1");
	way_of("192.0.2.1", "a0", "203.0.113.9:1", 0);
	assert_int_equal(way_error, -EHOSTUNREACH);	/* no neighbour either */
	way_of("192.0.2.1", "a0", "192.0.2.9:1", 0);
	assert_int_equal(way_error, 0);
	sh("ip route add default via 192.0.2.254 metric 100; ip route add default via 198.51.100.254 metric 200 mtu 1300");
	way = way_of("192.0.2.1", "a0", "203.0.113.9:1", 0);
	assert_int_equal(way_error, 0);
	assert_int_equal(way.ifindex, a0);
	assert_int_equal(way.mtu, 1500);
	way = way_of("198.51.100.1", "a1", "203.0.113.9:1", 0);
	assert_int_equal(way_error, 0);
	assert_int_equal(way.ifindex, a1);
	assert_int_equal(way.mtu, 1300);
	way = way_of("198.51.100.1", NULL, "203.0.113.9:1", 0);
	assert_int_equal(way.ifindex, a0);
	way = way_of(NULL, NULL, "203.0.113.9:1", 0);
	assert_true(ip_addr_equal(&way.source, &(struct ip_addr){ IP_V4, { 192, 0, 2, 1 } }));
	assert_false(way.local);
	assert_true(way_of(NULL, NULL, "198.51.100.1:1", 0).local);
	way_of("10.5.5.5", NULL, "203.0.113.9:1", 0);	/* not ours */
	assert_int_equal(way_error, -ENETUNREACH);

	sh("ip -6 route add default via 2001:db8:0:1::fe dev a0 metric 100; ip -6 route add default via 2001:db8:0:2::fe dev a1 metric 200");
	way = way_of("2001:db8:0:1::1", "a0", "[2001:db8:7::1]:1", 0);
	assert_int_equal(way.ifindex, a0);
	way_of("2001:db8:0:2::1", "a1", "[2001:db8:7::1]:1", 0);
	assert_int_equal(way_error, -ENETUNREACH);
	sh("ip -6 route add default from 2001:db8:0:2::/64 via 2001:db8:0:2::fe dev a1 mtu 1350");
	way = way_of("2001:db8:0:2::1", "a1", "[2001:db8:7::1]:1", 0);
	assert_int_equal(way_error, 0);
	assert_int_equal(way.ifindex, a1);
	assert_int_equal(way.mtu, 1350);
	way = way_of(NULL, NULL, "[2001:db8:7::1]:1", 0);
	assert_int_equal(way.source.bytes[7], 1);
}

static void marks_and_refusals(void **state)
{
	(void)state;
	make_uplinks();
	sh("ip route add default via 192.0.2.254; ip route add default via 198.51.100.254 table 77; ip rule add fwmark 5 table 77");
	assert_int_equal(way_of("192.0.2.1", "a0", "203.0.113.9:1", 0).ifindex, index_of("a0"));
	way_of("192.0.2.1", "a1", "203.0.113.9:1", 0);
	assert_int_equal(way_error, -EHOSTUNREACH);
	assert_int_equal(way_of("192.0.2.1", "a1", "203.0.113.9:1", 5).ifindex, index_of("a1"));
	sh("ip route add unreachable 10.7.1.0/24; ip route add blackhole 10.7.2.0/24");
	way_of(NULL, NULL, "10.7.1.1:1", 0);
	assert_int_equal(way_error, -EHOSTUNREACH);
	way_of(NULL, NULL, "10.7.2.1:1", 0);
	assert_int_equal(way_error, -ENETUNREACH);
	way_of("192.0.2.1", NULL, "[2001:db8::1]:1", 0);
	assert_int_equal(way_error, -EAFNOSUPPORT);
	/* Several next hops, of which the path's is one. */
	sh("ip route add 10.8.0.0/16 nexthop via 192.0.2.254 nexthop via 198.51.100.254");
	assert_int_equal(way_of("192.0.2.1", "a0", "10.8.1.1:1", 0).ifindex, index_of("a0"));
	assert_int_equal(way_of("198.51.100.1", "a1", "10.8.1.1:1", 0).ifindex, index_of("a1"));
	assert_int_equal(way_error, 0);
}

/* --- the underlay --- */

static struct ev_loop *loop;
static struct underlay *underlay;
static struct tun tun_seen;
static struct udp udp_seen;
static struct text logged;

static void note_log(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	assert_int_equal(level, LOG_LEVEL_WARNING);
	text_addf(&logged, "%s\n", line);
}

static const struct log test_log = { .emit = note_log };

static int raise_underlay(void **state)
{
	struct underlay_options o = {
		.netlink = &nl, .tun = &tun_seen, .udp = &udp_seen, .name = "m0", .log = &test_log,
	};

	if (stage(state))
		return -1;
	memset(&seen, 0, sizeof(seen));
	text_reset(&logged);
	loop = ev_loop_new(EVFLAG_AUTO);
	tun_seen.ifindex = tun;
	udp_init(&udp_seen);
	udp_seen.port = 51820;
	udp_seen.fwmark = 0;
	o.loop = loop;
	underlay = underlay_new(&o);
	return underlay ? 0 : -1;
}

static int raze_underlay(void **state)
{
	underlay_free(underlay);
	ev_loop_destroy(loop);
	text_done(&logged);
	return strike_links(state);
}

static enum path_way checked(const char *local, const char *interface, const char *remote)
{
	seen.asked = path_of(local, interface, remote);
	seen.asked.pinned = false;	/* the underlay's own business */
	seen.left = 1;
	seen.way = PATH_UNCHECKED;
	underlay_check(underlay);
	assert_int_equal(seen.left, 0);
	return seen.way;
}

static void verdicts(void **state)
{
	(void)state;
	make_uplinks();
	sh("ip route add default via 192.0.2.254 metric 100");
	sh("ip address add 10.9.9.9/32 dev lo; ip -6 route add default via 2001:db8:0:1::fe dev a0");

	/* Nobody behind the second uplink but its own neighbours. */
	assert_int_equal(checked("192.0.2.1", "a0", "203.0.113.9:1"), PATH_OPEN);
	assert_true(seen.preferred);
	assert_int_equal(seen.mtu, 1500);
	assert_int_equal(checked("198.51.100.1", "a1", "203.0.113.9:1"), PATH_NO_ROUTE);
	assert_int_equal(checked("2001:db8:0:2::1", "a1", "[2001:db8:7::1]:1"), PATH_NO_ROUTE);
	assert_int_equal(checked("198.51.100.1", "a1", "198.51.100.9:1"), PATH_OPEN);
	assert_true(seen.preferred);
	assert_int_equal(seen.mtu, 1400);
	/* An address of lo leaves by whatever way there is. */
	assert_int_equal(checked("10.9.9.9", NULL, "203.0.113.9:1"), PATH_OPEN);
	assert_false(seen.preferred);
	assert_int_equal(checked(NULL, NULL, "203.0.113.9:1"), PATH_OPEN);
	assert_true(seen.preferred);

	/* A second default, by metric; and one by rule. */
	sh("ip route add default via 198.51.100.254 metric 200");
	assert_int_equal(checked("198.51.100.1", "a1", "203.0.113.9:1"), PATH_OPEN);
	assert_false(seen.preferred);
	sh("ip route del default via 198.51.100.254 metric 200; ip route add default via 198.51.100.254 table 77; ip rule add from 198.51.100.1 table 77");
	assert_int_equal(checked("198.51.100.1", "a1", "203.0.113.9:1"), PATH_OPEN);
	assert_int_equal(seen.mtu, 1400);
	assert_int_equal(checked("192.0.2.1", "a0", "203.0.113.9:1"), PATH_OPEN);
	sh("ip -6 route add default via 2001:db8:0:2::fe dev a1 table 77; ip -6 rule add from 2001:db8:0:2::/64 table 77");
	assert_int_equal(checked("2001:db8:0:2::1", "a1", "[2001:db8:7::1]:1"), PATH_OPEN);
	assert_false(seen.preferred);
	sh("ip -6 rule del from 2001:db8:0:2::/64 table 77");

	/* Nothing leads there. */
	sh("ip route del default via 192.0.2.254 metric 100");
	assert_int_equal(checked(NULL, NULL, "203.0.113.9:1"), PATH_NO_ROUTE);
	assert_int_equal(checked("192.0.2.1", "a0", "203.0.113.9:1"), PATH_NO_ROUTE);
	assert_int_equal(logged.len, 0);
}

static void loops(void **state)
{
	(void)state;
	make_uplinks();
	sh("ip link set m0 addrgenmode none up; ip address add 10.77.0.1/24 dev m0; ip route add default via 192.0.2.254");

	/* Inside the mesh: that a0 has a default route does not make it a way. */
	assert_int_equal(checked("192.0.2.1", "a0", "10.77.0.2:51820"), PATH_LOOPS);
	assert_int_equal(checked(NULL, NULL, "10.77.0.2:51820"), PATH_LOOPS);
	assert_string_equal(logged.s, "endpoint 10.77.0.2:51820 is routed into m0 itself: nothing is sent there until its route changes\n");
	text_reset(&logged);

	/* Said again after it was different. */
	sh("ip route add 10.77.0.2/32 via 192.0.2.254");
	assert_int_equal(checked("192.0.2.1", "a0", "10.77.0.2:51820"), PATH_OPEN);
	assert_int_equal(logged.len, 0);
	sh("ip route del 10.77.0.2/32");
	assert_int_equal(checked("192.0.2.1", "a0", "10.77.0.2:51820"), PATH_LOOPS);
	assert_non_null(strstr(logged.s, "10.77.0.2"));

	/* One source's rule leads into it. */
	sh("ip route add default dev m0 table 78; ip rule add from 198.51.100.1 table 78");
	assert_int_equal(checked("198.51.100.1", "a1", "203.0.113.9:1"), PATH_LOOPS);
	assert_int_equal(checked("192.0.2.1", "a0", "203.0.113.9:1"), PATH_OPEN);

	/* We are no peer of ours, but somebody else may be on this host. */
	assert_int_equal(checked("192.0.2.1", "a0", "198.51.100.1:51820"), PATH_LOOPS);
	assert_int_equal(checked("192.0.2.1", "a0", "192.0.2.1:51820"), PATH_LOOPS);
	assert_int_equal(checked("2001:db8:0:1::1", "a0", "[2001:db8:0:2::1]:51820"), PATH_LOOPS);
	assert_int_equal(checked("192.0.2.1", "a0", "192.0.2.1:51821"), PATH_OPEN);
	assert_int_equal(checked("192.0.2.1", "a0", "198.51.100.1:51821"), PATH_OPEN);
	assert_int_equal(checked("2001:db8:0:1::1", "a0", "[2001:db8:0:2::1]:51821"), PATH_OPEN);
	sh("ip address del 127.0.0.1/8 dev lo; ip address add 127.0.0.1/8 dev lo");	/* its routes went with a sweep */
	assert_int_equal(checked("127.0.0.1", NULL, "127.0.0.1:51820"), PATH_OPEN);
	assert_int_equal(checked("::1", NULL, "[::1]:51820"), PATH_OPEN);
}

static void turns(void **state)
{
	(void)state;
	seen.asked = path_of("127.0.0.1", NULL, "127.0.0.1:51820");
	assert_false(underlay_turn(underlay));
	seen.left = 2 * UNDERLAY_WAYS_A_TURN + 1;
	underlay_check(underlay);
	assert_int_equal(seen.answers, UNDERLAY_WAYS_A_TURN);
	assert_true(underlay_turn(underlay));
	assert_int_equal(seen.answers, 2 * UNDERLAY_WAYS_A_TURN);
	assert_false(underlay_turn(underlay));
	assert_int_equal(seen.answers, 2 * UNDERLAY_WAYS_A_TURN + 1);
	assert_false(underlay_turn(underlay));
}

static bool knows(const char *text)
{
	const struct ip_addr a = addr(text);

	for (size_t i = 0; i < seen.local_count; i++)
		if (ip_addr_equal(&seen.locals[i].addr, &a))
			return true;
	return false;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t last_event_ms;

/* Run as the daemon does for so long. */
static void run_ms(int ms)
{
	int64_t until = now_ms() + ms;

	while (now_ms() < until) {
		int events = netlink_monitor_read(&nl, tun);

		assert_true(events >= 0);
		if (events)
			last_event_ms = now_ms();
		underlay_netlink(underlay, events);
		ev_run(loop, EVRUN_NOWAIT);
		usleep(1000);
	}
}

/* Run until the kernel has had no news for so long that we have nothing in hand, either. */
static void run_until_calm(void)
{
	last_event_ms = now_ms();
	for (int tries = 0; tries < 200 && now_ms() < last_event_ms + UNDERLAY_RECHECK_MS + 100; tries++)
		run_ms(50);
	assert_true(now_ms() >= last_event_ms + UNDERLAY_RECHECK_MS + 100);
}

#define RUN_UNTIL(this) \
	do { \
		for (int tries = 0; tries < 1000 && !(this); tries++) \
			run_ms(10); \
		assert_true(this); \
	} while (0)

static void news(void **state)
{
	(void)state;
	make_uplinks();
	underlay_look(underlay);
	assert_int_equal(seen.told, 1);
	assert_true(knows("192.0.2.1") && knows("198.51.100.1") && knows("::1"));
	underlay_look(underlay);
	assert_int_equal(seen.told, 1);		/* no news */
	run_until_calm();
	assert_int_equal(seen.told, 1);

	/* An address goes, a link goes: at once. */
	sh("ip address del 198.51.100.1/24 dev a1");
	underlay_netlink(underlay, netlink_monitor_read(&nl, tun));
	assert_false(knows("198.51.100.1"));
	assert_int_equal(seen.told, 2);
	sh("ip link set a0 down");
	RUN_UNTIL(!knows("192.0.2.1"));

	/* Routes: all ways again, but once and later. */
	run_until_calm();
	seen.unchecked = 0;
	sh("ip route add unreachable 10.1.0.0/16");
	for (int i = 0; i < 5; i++) {
		underlay_netlink(underlay, i ? NETLINK_ROUTES : netlink_monitor_read(&nl, tun));
		ev_run(loop, EVRUN_NOWAIT);
	}
	assert_int_equal(seen.unchecked, 0);
	RUN_UNTIL(seen.unchecked);
	run_until_calm();
	assert_int_equal(seen.unchecked, 1);
}

/* A storm is looked at every UNDERLAY_LOOK_MS, and the last of it is not missed. */
static void storm(void **state)
{
	int64_t begun_ms;
	int calls;

	(void)state;
	make_link("a0", "b0");
	underlay_look(underlay);
	run_until_calm();
	calls = seen.told;
	begun_ms = now_ms();
	for (int i = 0; i < 100; i++) {
		sh("ip address add 10.50.%d.1/24 dev a0", i);
		underlay_netlink(underlay, netlink_monitor_read(&nl, tun));
		ev_run(loop, EVRUN_NOWAIT);
		if (i % 20 == 19)
			sh("ip address flush dev a0");
	}
	assert_true(seen.told - calls <= 2 + (now_ms() - begun_ms) / (UNDERLAY_LOOK_MS - 1));	/* the loop's clock is coarser */
	sh("ip address add 192.0.2.7/24 dev a0");
	RUN_UNTIL(knows("192.0.2.7") && !knows("10.50.99.1"));
}

static void uplinks(void **state)
{
	const struct change_uplink v[] = {
		{ "a1", { .cost_ms = 30, .metered = true } },
		{ "wwan0", { .never = true } },
	};

	(void)state;
	make_uplinks();
	underlay_set_uplinks(underlay, v, 2);
	assert_int_equal(seen.told, 1);
	for (size_t i = 0; i < seen.local_count; i++) {
		bool second = seen.locals[i].ifindex == index_of("a1");

		assert_int_equal(seen.locals[i].terms.cost_ms, second ? 30 : 0);
		assert_int_equal(seen.locals[i].terms.metered, second);
		assert_false(seen.locals[i].terms.never);
	}
	underlay_set_uplinks(underlay, v, 2);
	assert_int_equal(seen.told, 1);
	underlay_set_uplinks(underlay, NULL, 0);
	assert_int_equal(seen.told, 2);
	assert_int_equal(seen.locals[1].terms.cost_ms, 0);
}

/* Another tunnel of this host, t1, with a carrier like one in use; its descriptor. 'flags': IFF_TUN or IFF_TAP. */
static int make_tunnel(short flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(flags | IFF_NO_PI), .ifr_name = "t1" };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0);
	sh("ip link set t1 addrgenmode none up; ip address add 10.66.0.1/24 dev t1; ip address add 10.66.0.9/32 dev t1");
	return fd;
}

static void told(const char *text, struct path_local *l)
{
	const struct ip_addr a = addr(text);

	for (size_t i = 0; i < seen.local_count; i++)
		if (ip_addr_equal(&seen.locals[i].addr, &a)) {
			*l = seen.locals[i];
			return;
		}
	fail_msg("%s is not known", text);
}

/* Its addresses are no way out, also where the interface could be made to send there; but what the kernel sends there itself. */
static void other_tunnels(void **state)
{
	const struct change_uplink named = { "t1", { .cost_ms = 3 } };
	struct path_local l;
	int fd;

	(void)state;
	fd = make_tunnel(IFF_TUN);
	make_uplinks();
	sh("ip route add default via 192.0.2.254; ip route add default dev t1 metric 100; ip route add 10.70.0.0/16 dev t1");
	assert_non_null(strstr(locals(), "192.0.2.1@a0 198.51.100.1@a1 2001:db8:0:1::1@a0 2001:db8:0:2::1@a1 10.66.0.1@t1 10.66.0.9@t1 "));
	underlay_look(underlay);
	told("10.66.0.1", &l);
	assert_true(l.tunnel);
	told("192.0.2.1", &l);
	assert_false(l.tunnel);
	assert_int_equal(checked("10.66.0.1", "t1", "203.0.113.9:1"), PATH_NO_ROUTE);
	assert_int_equal(checked("10.66.0.1", NULL, "203.0.113.9:1"), PATH_NO_ROUTE);	/* heard there, before it was known whose it is */
	assert_int_equal(checked("192.0.2.1", "a0", "203.0.113.9:1"), PATH_OPEN);
	assert_int_equal(checked("10.66.0.1", "t1", "10.66.0.2:1"), PATH_OPEN);
	assert_true(seen.preferred);
	assert_int_equal(checked("10.66.0.1", "t1", "10.70.0.2:1"), PATH_OPEN);
	assert_int_equal(checked("10.66.0.9", "t1", "10.66.0.2:1"), PATH_NO_ROUTE);

	/* Wanted: what interfaces can do counts; and no more. */
	seen.unchecked = 0;
	underlay_set_uplinks(underlay, &named, 1);
	assert_int_equal(seen.unchecked, 1);
	told("10.66.0.1", &l);
	assert_false(l.tunnel);
	assert_int_equal(l.terms.cost_ms, 3);
	assert_int_equal(checked("10.66.0.1", "t1", "203.0.113.9:1"), PATH_OPEN);
	assert_false(seen.preferred);
	underlay_set_uplinks(underlay, NULL, 0);
	assert_int_equal(seen.unchecked, 2);
	assert_int_equal(checked("10.66.0.1", "t1", "203.0.113.9:1"), PATH_NO_ROUTE);

	/* One with frames is a network. */
	close(fd);
	fd = make_tunnel(IFF_TAP);
	underlay_look(underlay);
	told("10.66.0.1", &l);
	assert_false(l.tunnel);
	close(fd);
}

#define HOST(f) cmocka_unit_test_setup_teardown(f, stage, strike_links)
#define UNDER(f) cmocka_unit_test_setup_teardown(f, raise_underlay, raze_underlay)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST(addresses),
		HOST(one_of_a_subnet),
		HOST(flags),
		HOST(temporary),
		HOST(carrier),
		HOST(many),
		HOST(two_defaults),
		HOST(marks_and_refusals),
		UNDER(verdicts),
		UNDER(loops),
		UNDER(turns),
		UNDER(news),
		UNDER(storm),
		UNDER(uplinks),
		UNDER(other_tunnels),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
