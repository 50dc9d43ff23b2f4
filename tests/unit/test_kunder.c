/* SPDX-License-Identifier: MIT */
/* The underlay table: main without Babel's routes, for what carries the sockets' mark; on a stage of its own, with ip(8) as the witness. */
#include "netstage.h"

#include "sys/kfib.h"
#include "sys/kroutes.h"
#include "sys/kunder.h"

#define RULES4 "ip -4 rule | grep 'proto 109'"
#define RULES6 "ip -6 rule | grep 'proto 109'"
#define TABLE4 "ip -4 route show table 0x6d6903"
#define TABLE6 "ip -6 route show table 0x6d6903"

#define RULE "32765:\tfrom all fwmark 0xca6c lookup 7170307 proto 109\n"

enum { SLOT = 3 };

static struct kunder under;
static int warnings;

static void note(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)line;
	warnings += level == LOG_LEVEL_WARNING;
}

static const struct log counting = { .emit = note };

static void configure(uint32_t mark, uint32_t table)
{
	const struct kunder_options o = { .mark = mark, .tun = tun, .table = table };

	kunder_configure(&under, &o);
}

static int under_stage(void **state)
{
	if (stage(state))
		return -1;
	sh("ip link set m0 addrgenmode none up");
	make_veth();
	warnings = 0;
	kunder_init(&under, &nl, SLOT, &counting);
	configure(MARK, 0);
	return 0;
}

static int under_strike(void **state)
{
	kunder_purge(&nl, SLOT);
	return strike(state);
}

static void follow(void)
{
	struct kroutes main;

	assert_int_equal(kroutes_read(&nl, &main), 0);
	assert_int_equal(kunder_follow(&under, &main), 0);
	kroutes_done(&main);
}

/* Which way a packet goes, with the mark or without. */
static void goes(const char *dst, bool marked, const char *expected)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "ip route get %s %s 2>&1 | grep -o 'dev [a-z0-9]*\\|via [^ ]*\\|src [^ ]*\\|[Uu]nreachable' | xargs",
		 dst, marked ? "mark 51820" : "");
	shows(cmd, expected);
}

/* Whatever covers an endpoint, its packets go as they would without. */
static void past_babel(void **state)
{
	(void)state;
	sh("ip route add default via 192.0.2.3 src 192.0.2.1; ip -6 route add default via 2001:db8::3");
	follow();
	sh("ip route add 192.0.2.2/32 dev m0 proto 109 metric 903; ip route add 0.0.0.0/1 dev m0 proto 109 metric 903");
	sh("ip route add unreachable 198.51.100.0/24 proto 109 metric 903; ip -6 route add 2001:db8::2 dev m0 proto 109 metric 903");
	sh("ip -6 route add unreachable 2001:db8:1::/48 proto 109 metric 903");
	follow();
	goes("192.0.2.2", true, "dev a0 src 192.0.2.1\n");
	goes("10.1.2.3", true, "via 192.0.2.3 dev a0 src 192.0.2.1\n");
	goes("198.51.100.1", true, "via 192.0.2.3 dev a0 src 192.0.2.1\n");
	goes("2001:db8::2", true, "dev a0 src 2001:db8::1\n");
	goes("2001:db8:1::2", true, "via 2001:db8::3 dev a0 src 2001:db8::1\n");
	shows("ip route get 10.1.2.3 | grep -o 'dev m0'; ip -6 route get 2001:db8::2 | grep -o 'dev m0'", "dev m0\ndev m0\n");
	shows(RULES4, RULE);
	shows(RULES6, RULE);
	assert_int_equal(warnings, 0);
}

/* Next hops, metrics, sources, kinds: as they are. Not over our own interface, and not Babel's. */
static void copies(void **state)
{
	(void)state;
	sh("ip link add a1 type veth peer name b1; ip link set b1 up; ip link set a1 up; ip address add 192.0.2.129/25 dev a1");
	wait_running("a1", true);
	sh("ip route add 10.1.0.0/16 mtu 1300 advmss 1200 nexthop via 192.0.2.3 weight 2 nexthop via 192.0.2.200");
	sh("ip route add 10.2.0.0/16 via 192.0.2.3 metric 70; ip route add 10.2.0.0/16 dev a1 metric 50; ip route add 10.3.0.0/16 dev m0");
	sh("ip route add 10.4.0.0/16 dev a0 proto 109 metric 903; ip route add blackhole 10.5.0.0/16; ip route add 10.6.0.0/16 via inet6 fe80::9 dev a0");
	sh("ip -6 route add fd01::/64 via 2001:db8::3 from fd02::/64 mtu 1290; ip -6 route add default via fe80::1 dev a0 proto ra expires 600");
	sh("ip -6 route add fd03::/64 nexthop via 2001:db8::3 nexthop via 2001:db8::4; ip -6 route add unreachable fd04::/64");
	follow();
	shows(TABLE4 " | sed 's/ proto 109//'",
	      "10.1.0.0/16 metric 1 mtu 1300 advmss 1200\n"
	      "\tnexthop via 192.0.2.3 dev a0 weight 2 onlink\n\tnexthop via 192.0.2.200 dev a1 weight 1 onlink\n"
	      "10.2.0.0/16 dev a1 scope link metric 1\n10.2.0.0/16 via 192.0.2.3 dev a0 metric 2 onlink\n"
	      "blackhole 10.5.0.0/16 metric 1\n10.6.0.0/16 via inet6 fe80::9 dev a0 metric 1\n"
	      "192.0.2.0/24 dev a0 scope link src 192.0.2.1 metric 1\n192.0.2.128/25 dev a1 scope link src 192.0.2.129 metric 1\n");
	shows(TABLE6 " | sed 's/ proto 109//;s/ pref medium//;/^fe80/d'",
	      "2001:db8::/64 dev a0 metric 1\nfd01::/64 from fd02::/64 via 2001:db8::3 dev a0 metric 1 mtu 1290\n"
	      "fd03::/64 metric 1\n\tnexthop via 2001:db8::3 dev a0 weight 1\n\tnexthop via 2001:db8::4 dev a0 weight 1\n"
	      "unreachable fd04::/64 dev lo metric 1\n"
	      "default via fe80::1 dev a0 metric 1\n");
	/* One of every interface, all of the same metric in main. */
	shows(TABLE6 " fe80::/64 | cut -d' ' -f 1-3 | sort", output("ip -6 route show fe80::/64 | grep -v m0 | cut -d' ' -f 1-3 | sort"));
	shows(TABLE6 " fe80::/64 | grep -c 'dev a[01]'", "2\n");
	assert_int_equal(warnings, 0);
	sh("ip link del a1");
}

/* Change a route until "ip monitor" has told of it, and so of all that was before. */
static void monitor_has_told(int number)
{
	sh("for i in $(seq 200); do ip route add blackhole 10.99.%d.0/24 table 99; ip route del blackhole 10.99.%d.0/24 table 99;"
	   "grep -q '10[.]99[.]%d[.]0' /tmp/kunder.$PPID && exit 0; sleep 0.05; done; exit 1", number, number, number);
}

/* What is as it shall be is left alone; what changes is replaced in place; what was lost comes back. */
static void followed(void **state)
{
	(void)state;
	sh("ip route add default via 192.0.2.3; ip route add 10.7.0.0/16 via 192.0.2.4; ip -6 route add default via 2001:db8::3");
	settle();
	follow();
	drain();
	follow();
	assert_int_equal(told_of(NETLINK_BABEL | NETLINK_BABEL_LOST), 0);
	sh("timeout 120 ip monitor route >/tmp/kunder.$PPID & echo $! >/tmp/kunder.$PPID.pid");
	monitor_has_told(1);
	sh("ip route replace default via 192.0.2.5; ip -6 route replace default via 2001:db8::5");
	follow();
	monitor_has_told(2);
	sh("kill $(cat /tmp/kunder.$PPID.pid)");
	shows("grep 'able 7170307' /tmp/kunder.$PPID | sed 's/ proto 109.*//'; rm /tmp/kunder.$PPID*",
	      "default via 192.0.2.5 dev a0 table 7170307\ndefault via 2001:db8::5 dev a0 table 7170307\n");
	goes("10.7.0.1", true, "via 192.0.2.4 dev a0 src 192.0.2.1\n");
	/* A better one, then the other alone again. */
	sh("ip route add 10.7.0.0/16 via 192.0.2.6 metric 10; ip route del 10.7.0.0/16 via 192.0.2.4; ip route add 10.7.0.0/16 via 192.0.2.8 metric 5");
	follow();
	shows(TABLE4 " 10.7.0.0/16", "10.7.0.0/16 via 192.0.2.8 dev a0 proto 109 metric 1 onlink\n10.7.0.0/16 via 192.0.2.6 dev a0 proto 109 metric 2 onlink\n");
	sh("ip route del 10.7.0.0/16 via 192.0.2.8; ip route flush table 0x6d6903 scope link; ip -6 route flush table 0x6d6903");
	follow();
	shows(TABLE4 " | sed 's/ proto 109//'", "default via 192.0.2.5 dev a0 metric 1 onlink\n10.7.0.0/16 via 192.0.2.6 dev a0 metric 1 onlink\n"
	      "192.0.2.0/24 dev a0 scope link src 192.0.2.1 metric 1\n");
	goes("2001:db8:1::1", true, "via 2001:db8::5 dev a0 src 2001:db8::1\n");
	assert_int_equal(warnings, 0);
}

/* The way past main comes before all that looks main up, also what came later; administrators' other rules stay before it. */
static void rules(void **state)
{
	(void)state;
	sh("ip rule add from 192.0.2.1 lookup 77 pref 20000");
	follow();
	shows(RULES4, RULE);
	assert_int_equal(netlink_rule_add_not_fwmark(&nl, IP_V4, MARK, MARK), 0);
	assert_int_equal(netlink_rule_add_suppress(&nl, IP_V4), 0);
	assert_int_equal(kunder_place_rules(&under), 0);
	/* As without ours, wg-quick's come first of all. */
	shows("ip rule | grep -v local",
	      "19997:\tfrom all fwmark 0xca6c lookup 7170307 proto 109\n19998:\tfrom all lookup main suppress_prefixlength 0\n"
	      "19999:\tnot from all fwmark 0xca6c lookup 51820\n20000:\tfrom 192.0.2.1 lookup 77\n"
	      "32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n");
	sh("ip rule flush; ip rule add table main pref 32766; ip rule add table default pref 32767");
	configure(MARK + 1, 70000);
	sh("ip -6 rule add lookup 70000 pref 30000");
	follow();
	shows(RULES4, "32765:\tfrom all fwmark 0xca6d lookup 7170307 proto 109\n");
	shows(RULES6, "29999:\tfrom all fwmark 0xca6d lookup 7170307 proto 109\n");
	sh("ip rule add fwmark 1 lookup 7170308 pref 9 protocol 109");	/* another slot's */
	configure(0, 0);
	shows(RULES4, "9:\tfrom all fwmark 0x1 lookup 7170308 proto 109\n");
	shows(RULES6 "; " TABLE4 "; " TABLE6, "");
	follow();
	shows(TABLE4, "");
	assert_int_equal(warnings, 0);
}

/* As after a kill: nothing is known, all of it is found; and nobody else's. */
static void purged(void **state)
{
	(void)state;
	follow();
	sh("ip route add 10.9.0.0/16 dev a0 table 0x6d6904 proto 109; ip route add 10.9.0.0/16 dev a0 table 0x6d6903");
	assert_int_equal(kfib_purge(&nl, SLOT, true), 0);
	shows(RULES4 "; " RULES6 "; " TABLE6, "");
	shows(TABLE4, "10.9.0.0/16 dev a0 scope link\n");
	shows("ip route show table 0x6d6904", "10.9.0.0/16 dev a0 proto 109 scope link\n");
	assert_int_equal(kfib_purge(&nl, SLOT, false), 0);
}

/* One that the kernel refuses is told once, and the others are there. */
static void refused(void **state)
{
	struct kroutes main;

	(void)state;
	sh("ip route add 10.7.0.0/16 via 192.0.2.4; ip route add 10.8.0.0/16 via 192.0.2.4");
	assert_int_equal(kroutes_read(&nl, &main), 0);
	for (size_t i = 0; i < main.count; i++)
		if (main.v[i].route.prefix.dst.addr.bytes[1] == 7)
			main.v[i].copy_len = 4;
	assert_int_equal(kunder_follow(&under, &main), -EAGAIN);
	assert_int_equal(kunder_follow(&under, &main), -EAGAIN);
	kroutes_done(&main);
	assert_int_equal(warnings, 1);
	shows(TABLE4 " 10.0.0.0/8; " TABLE4 " root 10.0.0.0/8", "10.8.0.0/16 via 192.0.2.4 dev a0 proto 109 metric 1 onlink\n");
	shows(RULES4, RULE);
	follow();
	shows(TABLE4 " root 10.0.0.0/8 | wc -l", "2\n");
}

#undef CASE
#define CASE(f) cmocka_unit_test_setup_teardown(f, under_stage, under_strike)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(past_babel),
		CASE(copies),
		CASE(followed),
		CASE(rules),
		CASE(purged),
		CASE(refused),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
