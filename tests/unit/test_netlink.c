/* SPDX-License-Identifier: MIT */
/* Route netlink: requests and their faults, and the monitor; on a stage of its own, with ip(8) as the witness. */
#include "netstage.h"

#include <linux/rtnetlink.h>

#include "base/text.h"

/* --- requests --- */

static void links(void **state)
{
	uint32_t mtu = 7;
	bool up = true;

	(void)state;
	assert_int_equal(netlink_link_get(&nl, tun, &mtu, &up), 0);
	assert_int_equal(mtu, 1500);
	assert_false(up);
	assert_int_equal(netlink_link_set(&nl, tun, 1420, true), 0);
	assert_int_equal(netlink_link_get(&nl, tun, &mtu, &up), 0);
	assert_int_equal(mtu, 1420);
	assert_true(up);
	shows("ip -o link show m0 | grep -o 'UP\\|mtu [0-9]*'", "UP\nUP\nmtu 1420\n");
	assert_int_equal(netlink_link_set(&nl, tun, 0, false), 0);
	assert_int_equal(netlink_link_get(&nl, tun, &mtu, &up), 0);
	assert_int_equal(mtu, 1420);
	assert_false(up);

	/* The kernel's own words. */
	assert_int_equal(netlink_link_set(&nl, tun, 10000000, true), -EINVAL);
	assert_string_equal(netlink_error(&nl), "mtu greater than device maximum");
	assert_int_equal(netlink_link_get(&nl, tun, &mtu, &up), 0);
	assert_string_equal(netlink_error(&nl), "");

	sh("ip link delete m0");
	assert_int_equal(netlink_link_get(&nl, 0, &mtu, &up), -ENODEV);
	assert_int_equal(netlink_link_get(&nl, tun, &mtu, &up), -ENODEV);
	assert_int_equal(netlink_link_set(&nl, tun, 0, true), -ENODEV);
}

static void note_address(void *ctx, const struct ip_prefix *a)
{
	char text[PREFIX_TEXT_MAX];

	text_addf(ctx, "%s ", ip_prefix_format(a, text));
}

static void addresses(void **state)
{
	const struct ip_prefix v4 = prefix("10.1.0.1/24"), v6 = prefix("fd00:1::1/64"), lo = prefix("127.1.0.1/32");
	struct text seen = { 0 };

	(void)state;
	sh("ip address add 10.9.9.9/32 dev lo");
	assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), 0);
	assert_int_equal(seen.len, 0);
	assert_int_equal(netlink_address_add(&nl, tun, &v4), 0);
	assert_int_equal(netlink_address_add(&nl, tun, &v6), 0);
	assert_int_equal(netlink_address_add(&nl, tun, &lo), 0);
	assert_int_equal(netlink_address_add(&nl, tun, &v4), -EEXIST);
	assert_int_equal(netlink_address_add(&nl, tun, &v6), -EEXIST);
	assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), 0);
	assert_string_equal(seen.s, "127.1.0.1/32 10.1.0.1/24 fd00:1::1/64 ");
	shows(ADDRESSES, "10.1.0.1/24 127.1.0.1/32 fd00:1::1/64\n");
	shows("ip -o -4 address show m0 | grep -o 'inet.*scope [a-z]*'",
	      "inet 127.1.0.1/32 scope host\ninet 10.1.0.1/24 scope global\n");

	/* A point-to-point address is its own end, not the other. */
	text_reset(&seen);
	sh("ip address add 10.3.0.1 peer 10.3.0.2/32 dev m0");
	assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), 0);
	assert_non_null(strstr(seen.s, "10.3.0.1/32"));
	text_done(&seen);

	assert_int_equal(netlink_address_remove(&nl, tun, &v4), 0);
	assert_int_equal(netlink_address_remove(&nl, tun, &v4), -EADDRNOTAVAIL);
	assert_int_equal(netlink_address_remove(&nl, tun, &v6), 0);
	assert_int_equal(netlink_address_remove(&nl, tun, &v6), -EADDRNOTAVAIL);
	assert_int_equal(netlink_address_add(&nl, 4711, &v4), -ENODEV);
	sh("ip address del 10.9.9.9/32 dev lo");
}

static void routes(void **state)
{
	static const struct {
		const char *dst;
		uint32_t table;
	} step[] = {
		{ "10.2.0.0/16", 0 }, { "10.2.3.4/32", 254 }, { "0.0.0.0/0", 1234 }, { "10.2.0.0/16", 70000 },
		{ "fd00:2::/48", 0 }, { "fd00:2::7/128", 1234 }, { "::/0", 70000 },
	};
	struct netlink_route r;

	(void)state;
	assert_int_equal(netlink_link_set(&nl, tun, 0, true), 0);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		r = route(step[i].dst, step[i].table, tun);
		assert_int_equal(netlink_route_add(&nl, &r), 0);
		assert_int_equal(netlink_route_add(&nl, &r), -EEXIST);
	}
	shows("ip -4 route show", "10.2.0.0/16 dev m0 scope link\n10.2.3.4 dev m0 scope link\n");
	shows("ip -4 route show table 1234", "default dev m0 scope link\n");
	shows("ip -4 route show table 70000", "10.2.0.0/16 dev m0 scope link\n");
	shows("ip -6 route show proto boot", "fd00:2::/48 dev m0 metric 1024 pref medium\n");
	shows("ip -6 route show table 1234", "fd00:2::7 dev m0 metric 1024 pref medium\n");
	shows("ip -6 route show table 70000", "default dev m0 metric 1024 pref medium\n");

	assert_int_equal(netlink_table_empty(&nl, 0, 1234), 0);
	assert_int_equal(netlink_table_empty(&nl, IP_V4, 1234), 0);
	assert_int_equal(netlink_table_empty(&nl, 0, 1235), 1);
	assert_int_equal(netlink_table_empty(&nl, IP_V6, 1235), 1);
	assert_int_equal(netlink_table_empty(&nl, IP_V4, 0), 0);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		r = route(step[i].dst, step[i].table, tun);
		assert_int_equal(netlink_route_remove(&nl, &r), 0);
		assert_int_equal(netlink_route_remove(&nl, &r), -ESRCH);
		if (i == 2) {
			assert_int_equal(netlink_table_empty(&nl, IP_V4, 1234), 1);
			assert_int_equal(netlink_table_empty(&nl, IP_V6, 1234), 0);
		}
	}
	assert_int_equal(netlink_table_empty(&nl, 0, 1234), 1);
	assert_int_equal(netlink_table_empty(&nl, 0, 70000), 1);

	/* The protocol, and that a removal with another one leaves the route alone. */
	r = route("10.2.0.0/16", 0, tun);
	r.protocol = 42;
	assert_int_equal(netlink_route_add(&nl, &r), 0);
	shows("ip -4 route show proto 42", "10.2.0.0/16 dev m0 scope link\n");
	r.protocol = 0;
	assert_int_equal(netlink_route_remove(&nl, &r), -ESRCH);

	r = route("10.5.0.0/16", 0, 4711);
	assert_int_equal(netlink_route_add(&nl, &r), -ENODEV);
	r = route("10.5.0.1/16", 0, tun);	/* not masked */
	assert_int_equal(netlink_route_add(&nl, &r), -EINVAL);
}

static void local_routes(void **state)
{
	const struct ip_prefix v6 = prefix("2001:db8:7::/118"), v4 = prefix("198.51.100.0/24");

	(void)state;
	/* As ip(8) makes it. */
	sh("ip -6 route add local 2001:db8:7::/118 dev lo table local proto static; ip route add local 198.51.100.0/24 dev lo");
	assert_int_equal(netlink_local_route_add(&nl, &v6), -EEXIST);
	assert_int_equal(netlink_local_route_delete(&nl, &v6), 0);
	assert_int_equal(netlink_local_route_delete(&nl, &v6), -ESRCH);
	sh("ip route del local 198.51.100.0/24 dev lo");

	assert_int_equal(netlink_local_route_add(&nl, &v6), 0);
	assert_int_equal(netlink_local_route_add(&nl, &v6), -EEXIST);
	assert_int_equal(netlink_local_route_add(&nl, &v4), 0);
	shows("ip -6 -d route show table local 2001:db8:7::/118",
	      "local 2001:db8:7::/118 dev lo proto static scope global metric 1024 pref medium\n");
	shows("ip -d route show table local 198.51.100.0/24", "local 198.51.100.0/24 dev lo proto static scope host\n");
	assert_int_equal(netlink_local_route_delete(&nl, &v6), 0);
	assert_int_equal(netlink_local_route_delete(&nl, &v4), 0);
	shows("ip -6 route show table local 2001:db8:7::/118", "");
}

static void note_route(void *ctx, const struct netlink_route *r)
{
	char text[PREFIX_TEXT_MAX];

	text_addf(ctx, "%s@%u/%u ", ip_prefix_format(&r->dst, text), r->table, r->protocol);
}

/* Another interface's, those of several and those of none are not told. */
static void route_list(void **state)
{
	struct text seen = { 0 };

	(void)state;
	make_veth();
	assert_int_equal(netlink_link_set(&nl, tun, 0, true), 0);
	sh("ip route add default via 192.0.2.254; ip route add 10.1.2.0/24 dev m0 table 99");
	sh("ip address add 10.1.2.1/24 dev m0");
	sh("ip route add unreachable 10.7.0.0/16; ip route add 10.6.0.0/16 nexthop dev m0 nexthop dev a0");
	sh("ip route add 0.0.0.0/1 dev m0");
	assert_int_equal(netlink_route_each(&nl, tun, IP_V4, 0, note_route, &seen), 0);
	assert_string_equal(seen.s, "0.0.0.0/1@254/3 10.1.2.0/24@254/2 ");
	text_reset(&seen);
	assert_int_equal(netlink_route_each(&nl, tun, IP_V4, 99, note_route, &seen), 0);
	assert_string_equal(seen.s, "10.1.2.0/24@99/3 ");
	text_reset(&seen);
	assert_int_equal(netlink_route_each(&nl, tun, IP_V4, 98, note_route, &seen), 0);
	assert_int_equal(seen.len, 0);
	text_done(&seen);
}

static struct netlink_way way_to(const char *dst, uint32_t scope, uint32_t mark)
{
	const struct ip_addr a = addr(dst);
	struct netlink_way way = { 0 };

	assert_int_equal(netlink_route_get(&nl, &a, scope, mark, &way), 0);
	return way;
}

static int no_way_to(const char *dst)
{
	const struct ip_addr a = addr(dst);
	struct netlink_way way = { 0 };

	return netlink_route_get(&nl, &a, 0, 0, &way);
}

static void route_get(void **state)
{
	const struct ip_addr none = { 0 };
	struct netlink_way way;
	uint32_t a0, b0;

	(void)state;
	assert_int_equal(no_way_to("198.51.100.1"), -ENETUNREACH);
	assert_int_equal(no_way_to("2001:db8:1::1"), -ENETUNREACH);
	make_veth();
	a0 = index_of("a0");
	b0 = index_of("b0");
	sh("ip link set a0 mtu 1480; ip link set b0 mtu 1480; ip link set m0 mtu 1420 up");
	sh("ip route add default via 192.0.2.254; ip -6 route add default via 2001:db8::ff dev a0");
	sh("ip route add 203.0.113.0/24 via 192.0.2.254 mtu 1300; ip -6 route add 2001:db8:3::/48 via 2001:db8::ff mtu 1290");
	way = way_to("198.51.100.1", 0, 0);
	assert_int_equal(way.ifindex, a0);
	assert_int_equal(way.mtu, 1480);
	assert_int_equal(way_to("203.0.113.9", 0, 0).mtu, 1300);
	way = way_to("2001:db8:1::1", 0, 0);
	assert_int_equal(way.ifindex, a0);
	assert_int_equal(way.mtu, 1480);
	assert_int_equal(way_to("2001:db8:3::1", 0, 0).mtu, 1290);
	assert_int_equal(way_to("192.0.2.1", 0, 0).ifindex, 1);

	/* The scope decides for link-local addresses, and for those only. */
	assert_int_equal(way_to("fe80::7", b0, 0).ifindex, b0);
	assert_int_equal(way_to("fe80::7", a0, 0).ifindex, a0);
	assert_int_equal(way_to("198.51.100.1", b0, 0).ifindex, a0);

	/* A full tunnel: only what carries the mark goes outside. */
	for (uint8_t family = IP_V4; family <= IP_V6; family = (uint8_t)(family + 2)) {
		struct netlink_route r = route(family == IP_V4 ? "0.0.0.0/0" : "::/0", MARK, tun);
		const char *far = family == IP_V4 ? "198.51.100.1" : "2001:db8:1::1";

		assert_int_equal(netlink_route_add(&nl, &r), 0);
		assert_int_equal(netlink_rule_add_not_fwmark(&nl, family, MARK, MARK), 0);
		assert_int_equal(netlink_rule_add_suppress(&nl, family), 0);
		assert_int_equal(way_to(far, 0, 0).ifindex, tun);
		assert_int_equal(way_to(far, 0, 0).mtu, 1420);
		assert_int_equal(way_to(far, 0, MARK).ifindex, a0);
		assert_int_equal(way_to(far, 0, MARK + 1).ifindex, tun);
	}
	assert_int_equal(way_to("203.0.113.9", 0, 0).ifindex, a0);

	sh("ip route add unreachable 10.7.1.0/24; ip route add blackhole 10.7.2.0/24; ip route add prohibit 10.7.3.0/24");
	sh("ip -6 route add unreachable fd07:1::/64; ip -6 route add blackhole fd07:2::/64; ip -6 route add prohibit fd07:3::/64");
	assert_int_equal(no_way_to("10.7.1.1"), -EHOSTUNREACH);
	assert_int_equal(no_way_to("10.7.2.1"), -ENETUNREACH);
	assert_int_equal(no_way_to("10.7.3.1"), -EHOSTUNREACH);
	assert_int_equal(no_way_to("fd07:1::1"), -EHOSTUNREACH);
	assert_int_equal(no_way_to("fd07:2::1"), -ENETUNREACH);
	assert_int_equal(no_way_to("fd07:3::1"), -EHOSTUNREACH);
	sh("ip -6 route del fd07:1::/64; ip -6 route del fd07:2::/64; ip -6 route del fd07:3::/64");
	assert_int_equal(netlink_route_get(&nl, &none, 0, 0, &way), -EAFNOSUPPORT);
}

static void default_mtu(void **state)
{
	uint32_t mtu = 7, a0;

	(void)state;
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), -ENETUNREACH);
	make_veth();
	a0 = index_of("a0");
	sh("ip link set a0 mtu 1450; ip link set m0 mtu 1400 up");
	sh("ip -6 route add default via 2001:db8::ff dev a0 mtu 1333");
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), 0);
	assert_int_equal(mtu, 1333);
	sh("ip route add default via 192.0.2.254 metric 300 mtu 1222");
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), 0);
	assert_int_equal(mtu, 1222);
	sh("ip route add default via 192.0.2.254 metric 200");
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), 0);
	assert_int_equal(mtu, 1450);
	sh("ip route add default dev m0");
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), 0);
	assert_int_equal(mtu, 1400);
	assert_int_equal(netlink_default_mtu(&nl, tun, &mtu), 0);
	assert_int_equal(mtu, 1450);
	sh("ip -6 route flush default; ip route flush default");
	sh("ip route add unreachable default; ip route add 0.0.0.0/1 via 192.0.2.254");
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), -ENETUNREACH);
	sh("ip route del unreachable default; ip route add default nexthop via 192.0.2.254 nexthop via 192.0.2.253");
	assert_int_equal(netlink_default_mtu(&nl, 0, &mtu), 0);
	assert_int_equal(mtu, 1450);
	assert_int_equal(netlink_default_mtu(&nl, a0, &mtu), -ENETUNREACH);
}

static void rules(void **state)
{
	char cmd[64], expected[512];
	const char *base;

	(void)state;
	for (uint8_t family = IP_V4; family <= IP_V6; family = (uint8_t)(family + 2)) {
		snprintf(cmd, sizeof(cmd), "ip -d -%d rule", family);
		base = output(cmd);
		assert_int_equal(netlink_rule_any_not_fwmark(&nl, family), 0);
		assert_int_equal(netlink_rule_remove_suppress(&nl, family), -ENOENT);

		/* What ip(8) makes of wg-quick's words... */
		sh("ip -%d rule add not fwmark 51820 table 51820; ip -%d rule add table main suppress_prefixlength 0",
		   family, family);
		snprintf(expected, sizeof(expected), "%s", output(cmd));
		assert_int_equal(netlink_rule_any_not_fwmark(&nl, family), 1);
		assert_int_equal(netlink_rule_remove_not_fwmark(&nl, family, MARK, MARK + 1), -ENOENT);
		assert_int_equal(netlink_rule_remove_not_fwmark(&nl, family, MARK + 1, MARK), -ENOENT);
		assert_int_equal(netlink_rule_remove_not_fwmark(&nl, family, MARK, MARK), 0);
		assert_int_equal(netlink_rule_remove_not_fwmark(&nl, family, MARK, MARK), -ENOENT);
		assert_int_equal(netlink_rule_any_not_fwmark(&nl, family), 0);
		assert_int_equal(netlink_rule_remove_suppress(&nl, family), 0);
		assert_string_equal(output(cmd), base);

		/* ...we make too, and once. */
		for (int i = 0; i < 2; i++) {
			assert_int_equal(netlink_rule_add_not_fwmark(&nl, family, MARK, MARK), 0);
			assert_int_equal(netlink_rule_add_suppress(&nl, family), 0);
			assert_string_equal(output(cmd), expected);
		}

		/* What only looks alike is left alone. */
		assert_int_equal(netlink_rule_remove_not_fwmark(&nl, family, MARK, MARK), 0);
		assert_int_equal(netlink_rule_remove_suppress(&nl, family), 0);
		sh("ip -%d rule add fwmark 51820 table 51820; ip -%d rule add not fwmark 51820/0xffff table 51820",
		   family, family);
		sh("ip -%d rule add not fwmark 51820 iif lo table 51820", family);
		sh("ip -%d rule add table main suppress_prefixlength 8; ip -%d rule add iif lo table main suppress_prefixlength 0",
		   family, family);
		snprintf(expected, sizeof(expected), "%s", output(cmd));
		assert_int_equal(netlink_rule_any_not_fwmark(&nl, family), 0);
		assert_int_equal(netlink_rule_remove_not_fwmark(&nl, family, MARK, MARK), -ENOENT);
		assert_int_equal(netlink_rule_remove_suppress(&nl, family), -ENOENT);
		assert_string_equal(output(cmd), expected);
	}
}

/* A suppress rule that is there first must still be looked at first. */
static void rules_in_order(void **state)
{
	(void)state;
	sh("ip rule add table main suppress_prefixlength 0");
	assert_int_equal(netlink_rule_add_not_fwmark(&nl, IP_V4, MARK, MARK), 0);
	assert_int_equal(netlink_rule_add_suppress(&nl, IP_V4), 0);
	shows("ip rule | cut -d: -f2-",
	      "\tfrom all lookup local\n"
	      "\tfrom all lookup main suppress_prefixlength 0\n"
	      "\tnot from all fwmark 0xca6c lookup 51820\n"
	      "\tfrom all lookup main\n"
	      "\tfrom all lookup default\n");
}

/* --- the exchange itself, with faults --- */

static void dump_interrupted(void **state)
{
	const struct ip_prefix v4 = prefix("10.1.0.1/24");
	struct text seen = { 0 };

	(void)state;
	assert_int_equal(netlink_address_add(&nl, tun, &v4), 0);
	fault.interrupt = 3;
	assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), 0);
	assert_string_equal(seen.s, "10.1.0.1/24 ");	/* once, though dumped four times */
	assert_int_equal(fault.interrupt, 0);

	fault.interrupt = 1000;
	text_reset(&seen);
	assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), -EINTR);
	assert_int_equal(seen.len, 0);
	assert_true(fault.interrupt >= 1000 - 20);
	fault.interrupt = 0;
	text_done(&seen);
}

static void receive_fails(void **state)
{
	static const struct {
		int error, result;
	} step[] = {
		{ EINTR, 0 }, { EAGAIN, -ETIMEDOUT }, { ENOSPC, -EMSGSIZE }, { ENOBUFS, -ENOBUFS },
	};
	const struct ip_prefix v4 = prefix("10.1.0.1/24");
	struct text seen = { 0 };

	(void)state;
	assert_int_equal(netlink_address_add(&nl, tun, &v4), 0);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		fault.fail = 1;
		fault.error = step[i].error;
		text_reset(&seen);
		assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), step[i].result);
		/* The dump left half-way does not stand in the way of the next. */
		text_reset(&seen);
		assert_int_equal(netlink_address_each(&nl, tun, note_address, &seen), 0);
		assert_string_equal(seen.s, "10.1.0.1/24 ");
	}
	text_done(&seen);
}

/* Many routes: a dump in many pieces. */
static void long_dump(void **state)
{
	struct text seen = { 0 };
	size_t count = 0;

	(void)state;
	assert_int_equal(netlink_link_set(&nl, tun, 0, true), 0);
	sh("for i in $(seq 0 19); do for j in $(seq 0 249); do echo route add 10.$i.$j.0/24 dev m0; done; done | ip -b -");
	fault.calls = 0;
	assert_int_equal(netlink_route_each(&nl, tun, IP_V4, 0, note_route, &seen), 0);
	assert_true(fault.calls > 5);
	for (size_t i = 0; i < seen.len; i++)
		count += seen.s[i] == ' ';
	assert_int_equal(count, 5000);
	assert_non_null(strstr(seen.s, " 10.19.249.0/24@254/3 "));
	text_done(&seen);
}

/* --- the monitor --- */

/* The kernel tells before the request is answered; the descriptor says so. */
static int events(void)
{
	struct pollfd p = { .fd = netlink_monitor_fd(&nl), .events = POLLIN };
	int seen = poll(&p, 1, 0) == 1 ? netlink_monitor_read(&nl, tun) : 0;

	assert_true(seen >= 0);
	return seen;
}

static void monitor(void **state)
{
	struct netlink_route r = route("10.2.0.0/16", 0, tun);
	const struct ip_prefix v4 = prefix("10.1.0.1/32");
	uint32_t a0;

	(void)state;
	sh("ip link set m0 addrgenmode none");	/* link-local addresses come when they like */
	settle();
	assert_int_equal(events(), 0);
	assert_int_equal(netlink_link_set(&nl, tun, 1400, true), 0);
	assert_int_equal(events() & (NETLINK_LINK | NETLINK_LINK_GONE | NETLINK_LOST), NETLINK_LINK);
	assert_int_equal(netlink_address_add(&nl, tun, &v4), 0);
	assert_true(events() & NETLINK_ADDRESS);
	wait_running("m0", true);
	settle();
	assert_int_equal(netlink_route_add(&nl, &r), 0);
	assert_int_equal(events(), NETLINK_ROUTES);
	assert_int_equal(netlink_route_remove(&nl, &r), 0);
	assert_int_equal(events(), NETLINK_ROUTES);
	r = route("fd00:2::/48", 1234, tun);
	assert_int_equal(netlink_route_add(&nl, &r), 0);
	assert_int_equal(events(), NETLINK_ROUTES);
	assert_int_equal(netlink_rule_add_suppress(&nl, IP_V6), 0);
	assert_int_equal(events(), NETLINK_ROUTES);
	assert_int_equal(netlink_rule_remove_suppress(&nl, IP_V6), 0);
	drain();

	/* Another link, its deletion too, is not ours. */
	make_veth();
	a0 = index_of("a0");
	settle();
	assert_int_equal(netlink_link_set(&nl, a0, 1300, true), 0);
	assert_int_equal(events() & ~NETLINK_ADDRESS, NETLINK_ROUTES | NETLINK_LINKS);
	sh("ip link delete a0");
	assert_int_equal(events() & (NETLINK_LINK | NETLINK_LINK_GONE | NETLINK_ROUTES), NETLINK_ROUTES);
	drain();

	/* Ours, by somebody else's hand. */
	sh("ip link del m0");
	assert_int_equal(events() & (NETLINK_LINK | NETLINK_LINK_GONE), NETLINK_LINK | NETLINK_LINK_GONE);
	assert_int_equal(events() & (NETLINK_LINK | NETLINK_LINK_GONE), 0);
}

static void monitor_overflow(void **state)
{
	int small = 1;

	(void)state;
	sh("ip link set m0 addrgenmode none");
	drain();
	assert_int_equal(setsockopt(netlink_monitor_fd(&nl), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	sh("ip link set m0 up");
	sh("for i in $(seq 0 199); do echo route add 10.7.$i.0/24 dev m0; done | ip -b -");
	assert_int_equal(events() & NETLINK_LOST, NETLINK_LOST);
	wait_running("m0", true);
	settle();
	sh("ip route del 10.7.0.0/24");
	assert_int_equal(events(), NETLINK_ROUTES);
}

/* Send the monitor a message of our own, as only root can. */
static int heard(uint16_t type, const void *fixed, size_t len)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	socklen_t to_len = sizeof(to);
	uint8_t buf[256] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	h->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(h, len), fixed, len);
	assert_int_equal(getsockname(netlink_monitor_fd(&nl), (struct sockaddr *)&to, &to_len), 0);
	to.nl_groups = 0;
	assert_int_equal(sendto(fd, buf, h->nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)), h->nlmsg_len);
	close(fd);
	return netlink_monitor_read(&nl, tun);
}

static void monitor_details(void **state)
{
	struct ifinfomsg link = { .ifi_family = AF_BRIDGE, .ifi_index = (int)tun };
	struct rtmsg rtm = { .rtm_family = AF_INET6, .rtm_flags = RTM_F_CLONED };

	(void)state;
	settle();
	assert_int_equal(heard(RTM_NEWROUTE, &rtm, sizeof(rtm)), 0);	/* the route cache */
	rtm.rtm_flags = 0;
	assert_int_equal(heard(RTM_NEWROUTE, &rtm, sizeof(rtm)), NETLINK_ROUTES);
	assert_int_equal(heard(RTM_DELLINK, &link, sizeof(link)), NETLINK_LINK);	/* left a bridge */
	link.ifi_family = AF_UNSPEC;
	assert_int_equal(heard(RTM_DELLINK, &link, sizeof(link)), NETLINK_LINK | NETLINK_LINK_GONE);
	link.ifi_index++;
	assert_int_equal(heard(RTM_DELLINK, &link, sizeof(link)), NETLINK_ROUTES | NETLINK_LINKS);
	assert_int_equal(heard(RTM_NEWNEIGH, &link, sizeof(link)), 0);
	assert_int_equal(heard(RTM_NEWROUTE, &rtm, 4), NETLINK_LOST);		/* too short */
	assert_int_equal(heard(RTM_DELLINK, &link, 4), NETLINK_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(links),
		CASE(addresses),
		CASE(routes),
		CASE(local_routes),
		CASE(route_list),
		CASE(route_get),
		CASE(default_mtu),
		CASE(rules),
		CASE(rules_in_order),
		CASE(dump_interrupted),
		CASE(receive_fails),
		CASE(long_dump),
		CASE(monitor),
		CASE(monitor_overflow),
		CASE(monitor_details),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
