/* SPDX-License-Identifier: MIT */
/* Discovery on LANs: which links are LANs, what is sent there and what is believed; over a veth pair, with a plain socket as the witness. */
#include "netstage.h"

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>

#include "base/text.h"
#include "sys/clock.h"
#include "sys/lan.h"
#include "sys/tun.h"

/* --- the node --- */

static struct {
	bool silent;		/* there is nothing to say yet */
	int written, heard;
	struct endpoint from[8];
	uint8_t msg[MESH_LAN_LEN];
	size_t len;
} node;

static struct ev_loop *loop;
static struct lan *lan;
static struct tun tun_seen;
static const struct log silence;

static bool write_message(void *ctx, uint8_t msg[MESH_LAN_LEN])
{
	assert_ptr_equal(ctx, &node);
	memset(msg, 'm', MESH_LAN_LEN);
	node.written++;
	return !node.silent;
}

static void seen(void *ctx, const struct endpoint *from, const uint8_t *msg, size_t len)
{
	assert_ptr_equal(ctx, &node);
	assert_true(len <= 512);
	node.from[node.heard++ % 8] = *from;
	node.len = len;
	memcpy(node.msg, msg, len < sizeof(node.msg) ? len : sizeof(node.msg));
}

/* --- helpers --- */

static void on_watch(struct ev_loop *l, ev_io *w, int revents)
{
	int events = netlink_monitor_read(&nl, tun);

	(void)l;
	(void)w;
	(void)revents;
	if (events > 0)
		lan_netlink(lan, events);
}

static void on_end(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(l, EVBREAK_ALL);
}

static void run(double seconds)
{
	ev_timer end;
	ev_io watch;

	ev_now_update(loop);
	ev_timer_init(&end, on_end, seconds, 0.0);
	ev_io_init(&watch, on_watch, netlink_monitor_fd(&nl), EV_READ);
	ev_timer_start(loop, &end);
	ev_io_start(loop, &watch);
	ev_run(loop, 0);
	ev_io_stop(loop, &watch);
	ev_timer_stop(loop, &end);
}

/* Run until this is so. */
#define RUN_UNTIL(this) \
	do { \
		for (int tries = 0; tries < 1000 && !(this); tries++) \
			run(0.02); \
		assert_true(this); \
	} while (0)

static int64_t begun_us;

/* It is less than LAN_FIRST_S since 'begun_us', as on any machine that is not very busy: what was said then is not said again yet. */
static bool in_time(void)
{
	return clock_now().mono_us < begun_us + LAN_FIRST_S * US_PER_S;
}

/* Link-local addresses that do not depend on chance. */
static void make_cable(void)
{
	sh("ip link add a0 type veth peer name b0; ip link set a0 addrgenmode none; ip link set b0 addrgenmode none");
	sh("ip link set a0 up; ip link set b0 up; ip address add fe80::a/64 dev a0 nodad; ip address add fe80::b/64 dev b0 nodad");
	wait_running("a0", true);
	wait_running("b0", true);
}

static int begin(void **state)
{
	struct lan_options o = {
		.tun = &tun_seen, .name = "m0", .log = &silence, .write = write_message, .seen = seen, .ctx = &node, .netlink = &nl,
	};

	if (stage(state))
		return -1;
	sh("ip link set m0 up");
	tun_seen.ifindex = tun;
	memset(&node, 0, sizeof(node));
	loop = ev_loop_new(EVFLAG_AUTO);
	o.loop = loop;
	lan = lan_new(&o);
	return lan ? 0 : -1;
}

static int end(void **state)
{
	lan_free(lan);
	ev_loop_destroy(loop);
	return strike(state);
}

#undef CASE
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

static int witness(const char *iface)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(LAN_PORT) };
	struct ipv6_mreq mreq = { .ipv6mr_interface = index_of(iface) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, iface, (socklen_t)strlen(iface)), 0);
	assert_int_equal(inet_pton(AF_INET6, "ff02::6d65:7368", &mreq.ipv6mr_multiaddr), 1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq, sizeof(mreq)), 0);
	return fd;
}

/* How many wait there; the last one's length. */
static int waiting(int fd, ssize_t *len)
{
	char buffer[2048];
	int count = 0;
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) >= 0) {
		*len = n;
		count++;
	}
	return count;
}

static void throw(const char *src, const char *iface, const char *dst, size_t len)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 }, to = { .sin6_family = AF_INET6, .sin6_port = htons(LAN_PORT) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), zero = 0;
	char data[2048];

	memset(data, 't', sizeof(data));
	inet_pton(AF_INET6, src, &from.sin6_addr);
	inet_pton(AF_INET6, dst, &to.sin6_addr);
	from.sin6_scope_id = to.sin6_scope_id = index_of(iface);
	setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &zero, sizeof(zero));
	assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(sendto(fd, data, len, 0, (const struct sockaddr *)&to, sizeof(to)), (ssize_t)len);
	close(fd);
}

static const char *lans(void)
{
	static char text[512];
	struct netlink_link v[LAN_LINKS_MAX];
	char a[ADDR_TEXT_MAX];
	size_t count, len = 0;

	assert_int_equal(netlink_lans(&nl, tun, v, LAN_LINKS_MAX, &count), 0);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(v[i].ifindex, index_of(v[i].name));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s@%s", i ? " " : "", ip_addr_format(&v[i].address, a), v[i].name);
	}
	return text;
}

/* --- cases --- */

static void which_links(void **state)
{
	struct netlink_link v[1];
	size_t count;

	(void)state;
	assert_string_equal(lans(), "");
	make_cable();
	sh("ip address add fd00::1/64 dev a0 nodad");
	assert_string_equal(lans(), "fe80::b@b0 fe80::a@a0");
	assert_int_equal(netlink_lans(&nl, tun, v, 1, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(netlink_lans(&nl, index_of("a0"), v, 1, &count), 0);
	assert_string_equal(v[0].name, "b0");

	/* Where nobody is asked for there are no neighbours, as on tunnels. */
	sh("ip link set a0 arp off");
	assert_string_equal(lans(), "fe80::b@b0");
	sh("ip link set a0 arp on");

	/* Without an address that is usable, or a carrier, it is none. */
	sh("ip address del fe80::b/64 dev b0");
	assert_string_equal(lans(), "fe80::a@a0");
	sh("ip link set b0 down");
	assert_string_equal(lans(), "");
}

static void is_sent_and_heard(void **state)
{
	ssize_t len = 0;
	int fd;

	(void)state;
	make_cable();
	drain();
	fd = witness("b0");
	run(0.1);
	assert_int_equal(node.written, 0);	/* it is off */
	begun_us = clock_now().mono_us;
	lan_set(lan, true);
	RUN_UNTIL(node.heard >= 4);
	run(0.1);
	/* On both ends, and both are heard at both: from the other end, and back from the own one, as another meshd of this host's is. */
	if (in_time()) {
		assert_int_equal(node.written, 1);
		assert_int_equal(node.heard, 4);
		assert_int_equal(waiting(fd, &len), 2);
		assert_int_equal(len, MESH_LAN_LEN);
	}
	assert_int_equal(node.len, MESH_LAN_LEN);
	assert_int_equal(node.msg[MESH_LAN_LEN - 1], 'm');
	for (int i = 0; i < 4; i++) {
		assert_true(node.from[i].scope == index_of("a0") || node.from[i].scope == index_of("b0"));
		assert_true(ip_addr_is_link_local(&node.from[i].addr));
	}
	lan_set(lan, false);
	node.heard = 0;
	throw("fe80::a", "a0", "ff02::6d65:7368", 10);
	run(0.1);
	assert_int_equal(node.heard, 0);
	close(fd);
}

/* A link that comes, and one with another address, are told; what did not change is not. */
static void news_are_told(void **state)
{
	ssize_t len;
	int fd;

	(void)state;
	lan_set(lan, true);
	run(0.1);
	assert_int_equal(node.written, 0);
	make_cable();
	RUN_UNTIL(node.written);
	begun_us = clock_now().mono_us;
	RUN_UNTIL(node.heard >= 4);
	fd = witness("b0");
	sh("ip address del fe80::a/64 dev a0 && ip address add fe80::aa/64 dev a0 nodad");
	RUN_UNTIL(node.heard >= 6);
	assert_true(waiting(fd, &len) >= 1);
	sh("ip address add fd00::1/64 dev a0 nodad");
	run(0.5);
	if (in_time()) {
		assert_int_equal(node.written, 2);
		assert_int_equal(node.heard, 6);
		assert_int_equal(waiting(fd, &len), 0);
	}
	close(fd);
}

/* While there is nothing to say nothing is sent, and the messages of a new link are not used up. */
static void waits_for_a_message(void **state)
{
	(void)state;
	make_cable();
	node.silent = true;
	lan_set(lan, true);
	run(0.2);
	assert_int_equal(node.written, 1);
	assert_int_equal(node.heard, 0);
	node.silent = false;
	RUN_UNTIL(node.heard >= 4);
	assert_int_equal(node.written, 2);
	assert_int_equal(node.heard, 4);
}

static void what_is_ignored(void **state)
{
	(void)state;
	make_cable();
	sh("ip address add 2001:db8::a/64 dev a0 nodad; ip address add 2001:db8::b/64 dev b0 nodad");
	lan_set(lan, true);
	RUN_UNTIL(node.heard >= 4);
	node.heard = 0;
	throw("fe80::a", "a0", "ff02::6d65:7368", 10);
	RUN_UNTIL(node.heard);
	assert_int_equal(node.heard, 1);
	assert_int_equal(node.from[0].scope, index_of("b0"));
	assert_int_equal(node.len, 10);
	throw("2001:db8::a", "a0", "ff02::6d65:7368", 10);	/* not link-local */
	throw("fe80::a", "a0", "ff02::1", 10);			/* not to the group */
	throw("fe80::a", "a0", "fe80::b", 10);
	throw("fe80::a", "a0", "ff02::6d65:7368", 1400);	/* too long to be one */
	run(0.1);
	assert_int_equal(node.heard, 1);
}

static void a_flood_is_bounded(void **state)
{
	int64_t end_us;

	(void)state;
	make_cable();
	lan_set(lan, true);
	RUN_UNTIL(node.heard >= 4);
	node.heard = 0;
	begun_us = clock_now().mono_us;
	for (int i = 0; i < 3 * LAN_TAKEN_MAX; i++)
		throw("fe80::a", "a0", "ff02::6d65:7368", 10);
	RUN_UNTIL(node.heard >= LAN_TAKEN_MAX / 2);
	run(0.5);
	end_us = clock_now().mono_us;
	assert_in_range(node.heard, LAN_TAKEN_MAX / 2, LAN_TAKEN_MAX * (2 + (end_us - begun_us) / US_PER_S));
	/* And then it goes on. */
	run(2.0);
	node.heard = 0;
	throw("fe80::a", "a0", "ff02::6d65:7368", 10);
	RUN_UNTIL(node.heard > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(which_links),
		CASE(is_sent_and_heard),
		CASE(news_are_told),
		CASE(waits_for_a_message),
		CASE(what_is_ignored),
		CASE(a_flood_is_bounded),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
