/* SPDX-License-Identifier: MIT */
/* Babel's routes in the kernel, and the kernel's own; on a stage of its own, with ip(8) as the witness. */
#include "netstage.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

#include "sys/kfib.h"
#include "sys/kroutes.h"
#include "sys/kslot.h"

#define ALL4 "ip -4 route show table all proto 109"
#define ALL6 "ip -6 route show table all proto 109"

#define RULES "ip rule | grep 'proto 109'"

static struct kfib *fib;
static struct kroutes mains[2];	/* the last two readings */
static int turn;
static char defaults[64];	/* what the handler was told */
static int warnings;

static void note(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)line;
	warnings += level == LOG_LEVEL_WARNING;
}

static const struct log counting = { .emit = note };

static void note_default(void *ctx, uint8_t family, bool any)
{
	size_t len = strlen(defaults);

	(void)ctx;
	snprintf(defaults + len, sizeof(defaults) - len, "%s%u ", any ? "+" : "-", family);
}

static const struct kfib_handler handler = { .defaults = note_default };

static void configure(enum config_table mode, uint32_t table)
{
	const struct kfib_options o = { .mode = mode, .table = table, .tun = tun, .mark = MARK };

	kfib_configure(fib, &o);
}

static int fib_stage(void **state)
{
	if (stage(state))
		return -1;
	sh("ip link set m0 addrgenmode none up");
	make_veth();
	sh("cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >conf/all/rp_filter; echo 0 >conf/b0/rp_filter");
	memset(defaults, 0, sizeof(defaults));
	warnings = 0;
	fib = kfib_new(&nl, 0, &counting, &handler);
	configure(TABLE_AUTO, 0);
	return fib ? 0 : -1;
}

static int fib_strike(void **state)
{
	kfib_close(fib, false);
	kfib_free(fib);
	kroutes_done(&mains[0]);
	kroutes_done(&mains[1]);
	return strike(state);
}

/* "D" or "D from S"; 'via' is "tun", "unreachable", "none", or a gateway over a0. */
static struct node_route make(const char *dst, const char *src, const char *via)
{
	struct node_route r = { .kind = NODE_ROUTE_LAN };

	r.prefix.dst = prefix(dst);
	r.prefix = prefix_pair_any(&r.prefix.dst);
	if (src)
		r.prefix.src = prefix(src);
	if (!strcmp(via, "tun")) {
		r.kind = NODE_ROUTE_TUN;
	} else if (!strcmp(via, "unreachable")) {
		r.kind = NODE_ROUTE_UNREACHABLE;
	} else if (!strcmp(via, "none")) {
		r.kind = NODE_ROUTE_NONE;
	} else {
		r.ifindex = index_of("a0");
		r.gateway = addr(via);
	}
	return r;
}

static void set(const char *dst, const char *src, const char *via)
{
	const struct node_route r = make(dst, src, via);

	kfib_set(fib, &r);
}

static void read_main(void)
{
	struct kroutes *fresh = &mains[turn ^= 1];

	assert_int_equal(kroutes_read(&nl, fresh), 0);
	kfib_set_main(fib, fresh);
	kroutes_done(&mains[turn ^ 1]);
}

/* What "ip route get" says of the way, in two words. */
static void goes(const char *dst, const char *src, const char *expected)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "ip route get %s from %s iif b0 2>&1 | grep -o 'dev [a-z0-9]*\\|via [^ ]*\\|[Uu]nreachable' | xargs", dst, src);
	shows(cmd, expected);
}

static void replaced_in_place(void **state)
{
	(void)state;
	set("10.2.0.0/16", NULL, "tun");
	shows(ALL4, "10.2.0.0/16 dev m0 scope link metric 900\n");
	set("10.2.0.0/16", NULL, "192.0.2.9");
	shows(ALL4, "10.2.0.0/16 via 192.0.2.9 dev a0 metric 900 onlink\n");
	set("10.2.0.0/16", NULL, "unreachable");
	shows(ALL4, "unreachable 10.2.0.0/16 metric 900\n");
	set("10.2.0.0/16", NULL, "198.51.100.9");	/* in nobody's subnet */
	shows(ALL4, "10.2.0.0/16 via 198.51.100.9 dev a0 metric 900 onlink\n");
	set("10.2.0.0/16", NULL, "fe80::7");
	shows(ALL4, "10.2.0.0/16 via inet6 fe80::7 dev a0 metric 900\n");
	set("10.2.0.0/16", NULL, "none");
	set("10.2.0.0/16", NULL, "none");
	shows(ALL4, "");

	set("fd00:2::/48", NULL, "tun");
	set("fd00:2::/48", NULL, "fe80::7");
	shows(ALL6, "fd00:2::/48 via fe80::7 dev a0 metric 900 pref medium\n");
	set("fd00:2::/48", NULL, "fe80::8");
	shows(ALL6, "fd00:2::/48 via fe80::8 dev a0 metric 900 pref medium\n");
	set("fd00:2::/48", NULL, "unreachable");
	shows(ALL6, "unreachable fd00:2::/48 dev lo metric 900 pref medium\n");
	set("fd00:2::/48", NULL, "tun");
	shows(ALL6, "fd00:2::/48 dev m0 metric 900 pref medium\n");
	assert_int_equal(kfib_counts(fib).routes, 1);
	assert_int_equal(kfib_counts(fib).missing, 0);
	set("fd00:2::/48", NULL, "none");
	shows(ALL6, "");
	assert_int_equal(warnings, 0);
}

/* Other protocols' routes for the same destination stay as they are, whatever becomes of ours. */
static void others_untouched(void **state)
{
	(void)state;
	sh("ip route add 10.2.0.0/16 via 192.0.2.5; ip route add 10.2.0.0/16 via 192.0.2.6 metric 1000 proto bird");
	sh("ip -6 route add fd00:2::/48 via 2001:db8::5; ip -6 route add fd00:2::/48 via 2001:db8::6 metric 2000 proto bird");
	set("10.2.0.0/16", NULL, "tun");
	set("10.2.0.0/16", NULL, "unreachable");
	set("fd00:2::/48", NULL, "tun");
	goes("10.2.3.4", "203.0.113.1", "via 192.0.2.5 dev a0\n");		/* an administrator's, without a metric */
	shows("ip -6 route get fd00:2::1 | grep -o 'dev [a-z0-9]*'", "dev m0\n");	/* before 1024 */
	set("10.2.0.0/16", NULL, "none");
	set("fd00:2::/48", NULL, "none");
	shows("ip route show 10.2.0.0/16", "10.2.0.0/16 via 192.0.2.5 dev a0\n10.2.0.0/16 via 192.0.2.6 dev a0 proto bird metric 1000\n");
	shows("ip -6 route show fd00:2::/48",
	      "fd00:2::/48 via 2001:db8::5 dev a0 metric 1024 pref medium\n"
	      "fd00:2::/48 via 2001:db8::6 dev a0 proto bird metric 2000 pref medium\n");
}

static void subtrees(void **state)
{
	(void)state;
	set("fd00:2::/48", "fd00:9::/48", "tun");
	set("fd00:2::/48", NULL, "fe80::7");
	shows(ALL6, "fd00:2::/48 from fd00:9::/48 dev m0 metric 900 pref medium\nfd00:2::/48 via fe80::7 dev a0 metric 900 pref medium\n");
	set("fd00:2::/48", "fd00:9::/48", "unreachable");
	set("fd00:2::/48", NULL, "none");
	shows(ALL6, "unreachable fd00:2::/48 from fd00:9::/48 dev lo metric 900 pref medium\n");
	set("fd00:2::/48", "fd00:9::/48", "none");
	shows(ALL6, "");
}

/* Default routes over our own interface are in the mark's table; others in main; never unreachable. */
static void default_routes(void **state)
{
	(void)state;
	set("0.0.0.0/0", NULL, "tun");
	shows(ALL4, "default dev m0 table 51820 scope link metric 900\n");
	set("::/0", "fd00:9::/48", "tun");
	set("::/0", NULL, "tun");
	assert_string_equal(defaults, "+4 +6 ");
	set("0.0.0.0/0", NULL, "192.0.2.9");
	shows(ALL4, "default via 192.0.2.9 dev a0 metric 900 onlink\n");
	assert_string_equal(defaults, "+4 +6 -4 ");
	set("0.0.0.0/0", NULL, "unreachable");
	shows(ALL4, "");
	set("::/0", NULL, "none");
	assert_string_equal(defaults, "+4 +6 -4 ");
	shows(ALL6, "default from fd00:9::/48 dev m0 table 51820 metric 900 pref medium\n");
	set("::/0", "fd00:9::/48", "none");
	assert_string_equal(defaults, "+4 +6 -4 -6 ");
}

static void tables(void **state)
{
	(void)state;
	set("10.2.0.0/16", NULL, "tun");
	set("0.0.0.0/0", NULL, "tun");
	set("10.3.0.0/16", "10.9.0.0/16", "tun");
	configure(TABLE_NUMBER, 70000);
	shows(ALL4, "default dev m0 table 70000 scope link metric 900\n10.2.0.0/16 dev m0 table 70000 scope link metric 900\n");
	assert_string_equal(defaults, "+4 -4 ");
	assert_int_equal(kfib_counts(fib).refused, 1);
	shows(RULES, "");
	configure(TABLE_OFF, 0);
	shows(ALL4, "");
	set("10.4.0.0/16", NULL, "tun");
	shows(ALL4, "");
	configure(TABLE_AUTO, 0);
	shows("ip route show proto 109", "10.2.0.0/16 dev m0 scope link metric 900\n10.4.0.0/16 dev m0 scope link metric 900\n");
	goes("10.3.0.1", "10.9.0.1", "dev m0\n");
	assert_int_equal(kfib_counts(fib).refused, 0);
}

/* The closure: destination first, and the subnets of our own interfaces are nobody's to take. */
static void sources(void **state)
{
	(void)state;
	sh("ip address add 10.1.0.1/24 dev a0; ip route add 10.7.0.0/16 via 192.0.2.5; ip route add unreachable 10.6.0.0/16");
	read_main();
	set("0.0.0.0/0", "10.9.0.0/16", "tun");
	goes("10.1.0.77", "10.9.0.1", "dev a0\n");
	goes("10.7.0.1", "10.9.0.1", "via 192.0.2.5 dev a0\n");
	goes("10.8.0.1", "10.9.0.1", "dev m0\n");
	goes("10.8.0.1", "10.10.0.1", "unreachable\n");
	shows("ip route get 10.6.0.1 from 10.9.0.1 iif b0 2>&1", "RTNETLINK answers: No route to host\n");

	/* An unspecific route of Babel's, a longer source, and the way back. */
	set("10.8.0.0/16", NULL, "192.0.2.9");
	goes("10.8.0.1", "10.9.0.1", "via 192.0.2.9 dev a0\n");
	set("10.8.0.0/16", "10.9.9.0/24", "192.0.2.8");
	goes("10.8.0.1", "10.9.9.1", "via 192.0.2.8 dev a0\n");
	goes("10.8.0.1", "10.9.0.1", "via 192.0.2.9 dev a0\n");
	goes("198.51.100.1", "10.9.9.1", "dev m0\n");		/* from the shorter source */
	goes("10.1.0.77", "10.9.9.1", "dev a0\n");
	set("10.8.0.0/16", "10.9.0.0/16", "192.0.2.7");
	goes("10.8.0.1", "10.9.0.1", "via 192.0.2.7 dev a0\n");
	goes("10.8.0.1", "10.9.9.1", "via 192.0.2.8 dev a0\n");
	set("10.8.0.0/16", "10.9.9.0/24", "none");
	goes("10.8.0.1", "10.9.9.1", "via 192.0.2.7 dev a0\n");
	set("0.0.0.0/0", "10.9.0.0/16", "none");
	goes("198.51.100.1", "10.9.0.1", "unreachable\n");
	goes("10.8.0.1", "10.9.0.1", "via 192.0.2.7 dev a0\n");

	/* Main changes. */
	sh("ip route add 10.8.1.0/24 via 192.0.2.4; ip route del 10.7.0.0/16; ip route add default via 192.0.2.3");
	read_main();
	goes("10.8.1.1", "10.9.0.1", "via 192.0.2.4 dev a0\n");
	goes("10.7.0.1", "10.9.0.1", "via 192.0.2.3 dev a0\n");
	sh("ip route replace default nexthop via 192.0.2.3 nexthop via 192.0.2.2");
	read_main();
	shows("ip route show table 0x6d6500 default", "default proto 109 metric 900\n"
	      "\tnexthop via 192.0.2.3 dev a0 weight 1 onlink\n\tnexthop via 192.0.2.2 dev a0 weight 1 onlink\n");
	set("10.8.0.0/16", "10.9.0.0/16", "none");
	set("10.8.0.0/16", NULL, "none");
	shows(RULES, "");
	shows(ALL4, "");
	assert_int_equal(warnings, 0);
}

/* What carries the sockets' mark goes past the tables, and wg-quick's rules come behind ours. */
static void sources_and_marks(void **state)
{
	(void)state;
	sh("ip route add default via 192.0.2.3");
	read_main();
	set("0.0.0.0/0", "192.0.2.0/24", "tun");
	assert_int_equal(netlink_rule_add_not_fwmark(&nl, IP_V4, MARK, MARK), 0);
	assert_int_equal(netlink_rule_add_suppress(&nl, IP_V4), 0);
	shows("ip rule",
	      "0:\tfrom all lookup local\n1000:\tfrom all fwmark 0xca6c goto 1040 proto 109\n"
	      "1009:\tfrom 192.0.2.0/24 lookup 7169280 proto 109\n1040:\tfrom all nop proto 109\n"
	      "32764:\tfrom all lookup main suppress_prefixlength 0\n32765:\tnot from all fwmark 0xca6c lookup 51820\n"
	      "32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n");
	shows("ip route get 198.51.100.1 from 192.0.2.1 | grep -o 'dev [a-z0-9]*'", "dev m0\n");
	shows("ip route get 198.51.100.1 from 192.0.2.1 mark 51820 | grep -o 'dev [a-z0-9]*'", "dev a0\n");
	shows("ip route get 198.51.100.1 | grep -o 'dev [a-z0-9]*'", "dev a0\n");
}

static void too_many_sources(void **state)
{
	char src[32];

	(void)state;
	for (int i = 0; i < 18; i++) {
		snprintf(src, sizeof(src), "10.%d.0.0/16", 100 + i);
		set("0.0.0.0/0", src, "tun");
	}
	assert_int_equal(kfib_counts(fib).refused, 2);
	assert_int_equal(warnings, 1);
	shows(RULES " | grep -c lookup", "16\n");
	set("0.0.0.0/0", "10.117.0.0/16", "none");
	assert_int_equal(kfib_counts(fib).refused, 1);
	goes("198.51.100.1", "10.116.0.1", "unreachable\n");
	set("0.0.0.0/0", "10.103.0.0/16", "none");
	assert_int_equal(kfib_counts(fib).refused, 0);
	goes("198.51.100.1", "10.116.0.1", "dev m0\n");
	goes("198.51.100.1", "10.103.0.1", "unreachable\n");
}

/* The kernel loses routes without a word; what a run before us left is removed, at once or later. */
static void synced(void **state)
{
	(void)state;
	read_main();
	set("10.2.0.0/16", NULL, "tun");
	set("10.3.0.0/16", NULL, "192.0.2.9");
	set("fd00:2::/48", NULL, "fe80::7");
	set("10.4.0.0/16", "10.9.0.0/16", "192.0.2.9");
	sh("ip link set m0 down; ip link set a0 down; ip link set a0 up; ip link set m0 up; ip address add 2001:db8::1/64 dev a0 nodad");
	shows("ip route show proto 109", "");
	read_main();
	sh("ip route add 10.66.0.0/16 dev m0 proto 109 metric 900; ip route add 10.67.0.0/16 dev m0 proto 109 metric 901");
	assert_int_equal(kfib_sync(fib, true), 0);
	shows("ip route show proto 109",
	      "10.2.0.0/16 dev m0 scope link metric 900\n10.3.0.0/16 via 192.0.2.9 dev a0 metric 900 onlink\n"
	      "10.66.0.0/16 dev m0 scope link metric 900\n10.67.0.0/16 dev m0 scope link metric 901\n");
	shows(ALL6, "fd00:2::/48 via fe80::7 dev a0 metric 900 pref medium\n");
	goes("10.4.0.1", "10.9.0.1", "via 192.0.2.9 dev a0\n");
	goes("192.0.2.77", "10.9.0.1", "dev a0\n");
	assert_int_equal(kfib_sync(fib, false), 0);
	shows("ip route show 10.66.0.0/16", "");
	shows("ip route show 10.67.0.0/16", "10.67.0.0/16 dev m0 proto 109 scope link metric 901\n");	/* another slot's */

	/* As after a kill: nothing is known, all of it is found. */
	assert_int_equal(kfib_purge(&nl, 0, false), 0);
	shows(ALL4, "10.67.0.0/16 dev m0 scope link metric 901\n");
	shows(ALL6, "");
	shows(RULES, "");
	sh("ip route del 10.67.0.0/16");
}

static void refused_by_the_kernel(void **state)
{
	(void)state;
	sh("ip link set m0 down");
	set("10.2.0.0/16", NULL, "192.0.2.9");
	set("10.2.0.0/16", NULL, "tun");
	assert_int_equal(kfib_counts(fib).missing, 1);
	shows(ALL4, "");	/* the old way is no way */
	set("10.3.0.0/16", NULL, "tun");
	assert_int_equal(kfib_counts(fib).missing, 2);
	assert_int_equal(warnings, 1);
	sh("ip link set m0 up");
	assert_int_equal(kfib_sync(fib, false), 0);
	assert_int_equal(kfib_counts(fib).missing, 0);
	shows(ALL4, "10.2.0.0/16 dev m0 scope link metric 900\n10.3.0.0/16 dev m0 scope link metric 900\n");
}

enum { BY_WHOM = NETLINK_BABEL | NETLINK_BABEL_LOST | NETLINK_ROUTES };

/* The monitor tells Babel's routes from others, and whose hand it was. */
static void monitored(void **state)
{
	(void)state;
	sh("ip link del a0");	/* who has news of his own */
	settle();
	set("10.2.0.0/16", NULL, "tun");
	set("10.2.0.0/16", NULL, "unreachable");
	set("fd00:2::/48", NULL, "tun");
	set("fd00:2::/48", NULL, "none");
	assert_int_equal(told_of(BY_WHOM), NETLINK_BABEL);
	sh("ip route del unreachable 10.2.0.0/16 metric 900 proto 109");
	assert_int_equal(told_of(BY_WHOM), NETLINK_BABEL | NETLINK_BABEL_LOST);
	sh("ip route add 10.5.0.0/16 dev m0 proto 109 metric 901; ip route del 10.5.0.0/16");
	assert_int_equal(told_of(BY_WHOM), NETLINK_BABEL);	/* another instance's */
	sh("ip route add 10.5.0.0/16 dev m0");
	assert_int_equal(told_of(BY_WHOM), NETLINK_ROUTES);
}

static void slots(void **state)
{
	char dir[] = "/tmp/kslot.XXXXXX";
	struct kslot a, b, c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(kslot_find(&a, dir, "mesh0"), -ENOENT);
	assert_int_equal(kslot_take(&a, dir, "mesh0"), 0);
	assert_int_equal(kslot_take(&b, dir, "mesh1"), 0);
	assert_int_not_equal(a.number, b.number);
	assert_int_equal(kslot_find(&c, dir, "mesh0"), -ENOENT);	/* it lives */
	close(a.fd);	/* killed */
	assert_int_equal(kslot_take(&c, dir, "mesh2"), 0);
	assert_int_not_equal(c.number, a.number);	/* better one that needs no cleaning */
	kslot_release(&c, false);
	kslot_release(&b, true);
	assert_int_equal(kslot_take(&b, dir, "mesh1"), 0);
	assert_int_equal(b.number, 1);
	assert_true(b.kept);
	assert_int_equal(kslot_find(&c, dir, "mesh0"), 0);
	assert_int_equal(c.number, a.number);
	assert_false(c.kept);
	kslot_release(&c, false);
	kslot_release(&b, false);
	assert_int_equal(kslot_find(&c, dir, "mesh0"), -ENOENT);
	sh("rm -r %s", dir);
}

/* 10000 datagrams a second while the next hop changes: none is refused, none is lost. */
static void nothing_lost(void **state)
{
	enum { COUNT = 5000, PERIOD_NS = 100000 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct timespec next;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), refused = 0;
	unsigned long got, before;
	const char *count = "awk '/b0:/ { print $3 }' /proc/net/dev";

	(void)state;
	sh("ip neigh replace 192.0.2.8 lladdr $(ip -o link show b0 | sed 's/.*ether //;s/ .*//') dev a0");
	sh("ip neigh replace 192.0.2.9 lladdr $(ip -o link show b0 | sed 's/.*ether //;s/ .*//') dev a0");
	set("10.2.0.0/16", NULL, "192.0.2.8");
	inet_pton(AF_INET, "10.2.3.4", &to.sin_addr);
	before = strtoul(output(count), NULL, 10);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (int i = 0; i < COUNT; i++) {
		if (i % 10 == 0)
			set("10.2.0.0/16", NULL, i % 20 ? "192.0.2.8" : "192.0.2.9");
		refused += sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1;
		next.tv_nsec += PERIOD_NS;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	got = strtoul(output(count), NULL, 10) - before;
	close(fd);
	assert_int_equal(refused, 0);
	assert_true(got >= COUNT);
}

#undef CASE
#define CASE(f) cmocka_unit_test_setup_teardown(f, fib_stage, fib_strike)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(replaced_in_place),
		CASE(others_untouched),
		CASE(subtrees),
		CASE(default_routes),
		CASE(tables),
		CASE(sources),
		CASE(sources_and_marks),
		CASE(too_many_sources),
		CASE(synced),
		CASE(refused_by_the_kernel),
		CASE(monitored),
		CASE(nothing_lost),
		cmocka_unit_test(slots),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
