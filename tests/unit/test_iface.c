/* SPDX-License-Identifier: MIT */
/* The interface: the same as wg-quick makes with ip(8), at the start, over reloads, and when something fails. */
#include "netstage.h"

#include "node/config.h"
#include "sys/iface.h"

static const struct log silent;

/* A config's part that matters here. */
struct scene {
	struct iface iface;
	struct config config;
	struct ip_prefix addresses[8], allowed[16];
	size_t allowed_count;
	struct text why;
};

static void scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	iface_init(&s->iface, &nl, tun, "m0", &silent);
	s->config.addresses = s->addresses;
}

static void scene_end(struct scene *s)
{
	iface_done(&s->iface);
	text_done(&s->why);
}

/* Lists by spaces. */
static size_t fill(struct ip_prefix *v, const char *list)
{
	char copy[256];
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		v[n++] = prefix(p);
	return n;
}

static int set_addresses(struct scene *s, const char *list)
{
	s->config.address_count = fill(s->addresses, list);
	text_reset(&s->why);
	return iface_set_addresses(&s->iface, &s->config, &s->why);
}

static int set_routes(struct scene *s, const char *allowed, uint32_t mark)
{
	s->allowed_count = fill(s->allowed, allowed);
	text_reset(&s->why);
	return iface_set_routes(&s->iface, &s->config, s->allowed, s->allowed_count, mark, &s->why);
}

static void up(struct scene *s)
{
	uint32_t mtu = 0;

	text_reset(&s->why);
	assert_int_equal(iface_set_mtu_up(&s->iface, &s->config, NULL, 0, 0, &mtu, &s->why), 0);
}

/* All that can be seen of the interface and of rules, less what the kernel adds by itself in its own time. */
static const char *everything(void)
{
	return output("(ip -d address show m0 | grep -v '^ *valid_lft\\|fe80' | sed 's/^[0-9]*: //;s/ tentative//';"
		      "ip -4 -d route show table all dev m0;"
		      "ip -6 -d route show table all dev m0 | grep -v 'fe80\\|^local\\|^anycast\\|^multicast';"
		      "ip -4 -d rule; ip -6 -d rule) 2>&1");
}

/* Play 'addresses' and 'allowed' as wg-quick's script would, with ip(8). */
static void play_script(const char *addresses, const char *allowed, const char *table)
{
	sh("for a in %s; do case $a in *:*) p=-6;; *) p=-4;; esac; ip $p address add $a dev m0; done", addresses);
	sh("ip link set mtu 1420 up dev m0");
	sh("table='%s'; for r in $(printf '%%s\\n' %s | sort -nr -k 2 -t /); do\n"
	   "case $r in *:*) p=-6;; *) p=-4;; esac\n"
	   "if [ \"$table\" = off ]; then continue\n"
	   "elif [ -n \"$table\" ]; then ip $p route add $r dev m0 table $table\n"
	   "elif [ \"${r#*/}\" = 0 ]; then\n"
	   "	ip $p route add $r dev m0 table 51820\n"
	   "	ip $p rule add not fwmark 51820 table 51820\n"
	   "	ip $p rule add table main suppress_prefixlength 0\n"
	   "else [ -n \"$(ip $p route show dev m0 match $r 2>/dev/null)\" ] || ip $p route add $r dev m0\n"
	   "fi; done", table, allowed);
}

static void same_as_wg_quick(void **state)
{
	static const struct {
		const char *addresses, *allowed;
		enum config_table table;
		uint32_t number;
		const char *text;
	} step[] = {
		/* 1 */ { "10.8.0.2/24", "10.8.0.1/32 10.8.0.0/24 192.168.7.0/24", TABLE_AUTO, 0, "" },
		/* 2 */ { "10.8.0.2/24 fd08::2/64", "0.0.0.0/0 ::/0", TABLE_AUTO, 0, "" },
		/* 3 */ { "10.8.0.2", "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16", TABLE_AUTO, 0, "" },
		/* 4 */ { "fd08::2/128", "fd08::/48 fd08:0:0:1::/64 ::/0 ::/1", TABLE_AUTO, 0, "" },
		/* 5 */ { "10.8.0.2/24 fd08::2/64", "0.0.0.0/0 ::/0 10.8.0.1/32 fd08::1/128", TABLE_NUMBER, 1234, "1234" },
		/* 6 */ { "10.8.0.2/24 fd08::2/64", "0.0.0.0/0 ::/0 10.9.0.0/24", TABLE_NUMBER, 70000, "70000" },
		/* 7 */ { "10.8.0.2/24 fd08::2/64", "0.0.0.0/0 ::/0 10.9.0.0/24", TABLE_OFF, 0, "off" },
		/* 8 */ { "", "", TABLE_AUTO, 0, "" },
		/* 9 */ { "10.8.0.2/24 10.8.0.3/24 10.9.0.1/16", "10.8.0.128/25 10.9.1.0/24 10.8.0.0/16", TABLE_AUTO, 0, "" },
	};

	for (size_t n = 0; n < sizeof(step) / sizeof(step[0]); n++) {
		struct scene s;
		char *model;

		print_message("case %zu\n", n + 1);
		play_script(step[n].addresses, step[n].allowed, step[n].text);
		model = strdup(everything());
		strike(state);
		assert_int_equal(stage(state), 0);

		scene_begin(&s);
		s.config.mtu = 1420;
		s.config.table = step[n].table;
		s.config.table_number = step[n].number;
		assert_int_equal(set_addresses(&s, step[n].addresses), 0);
		up(&s);
		assert_int_equal(iface_free_mark(&s.iface), MARK);
		assert_int_equal(set_routes(&s, step[n].allowed, MARK), 0);
		assert_string_equal(everything(), model);
		assert_int_equal(iface_needs_mark(&s.config, s.allowed, s.allowed_count), strstr(model, "0xca6c") != NULL);
		free(model);

		/* And no rule stays. */
		scene_end(&s);
		shows("ip rule; ip -6 rule", "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n"
		      "32767:\tfrom all lookup default\n0:\tfrom all lookup local\n32766:\tfrom all lookup main\n");
		strike(state);
		assert_int_equal(stage(state), 0);
	}
}

static void addresses_reload(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	up(&s);
	assert_int_equal(set_addresses(&s, "10.1.0.1/24 10.1.0.2/24 fd00:1::1/64 fd00:1::1/64"), 0);
	shows(ADDRESSES, "10.1.0.1/24 10.1.0.2/24 fd00:1::1/64\n");
	sh("ip address add 10.55.0.1/32 dev m0; ip route add 10.77.0.0/16 dev m0");

	/* The first of a subnet goes, the second and everybody's routes stay; what is not ours stays. */
	assert_int_equal(set_addresses(&s, "10.1.0.2/24 fd00:1::1/64"), 0);
	shows(ADDRESSES, "10.1.0.2/24 10.55.0.1/32 fd00:1::1/64\n");
	shows("ip -4 route show 10.77.0.0/16", "10.77.0.0/16 dev m0 scope link\n");

	/* Another length. */
	assert_int_equal(set_addresses(&s, "10.1.0.2/32 fd00:1::1/128"), 0);
	shows(ADDRESSES, "10.1.0.2/32 10.55.0.1/32 fd00:1::1/128\n");

	/* All others; then none; what somebody removed does not disturb, and comes back when wanted. */
	assert_int_equal(set_addresses(&s, "10.2.0.1/24 fd00:2::1/64"), 0);
	shows(ADDRESSES, "10.2.0.1/24 10.55.0.1/32 fd00:2::1/64\n");
	sh("ip address del 10.2.0.1/24 dev m0; ip address del fd00:2::1/64 dev m0");
	assert_int_equal(set_addresses(&s, "10.2.0.1/24"), 0);
	shows(ADDRESSES, "10.2.0.1/24 10.55.0.1/32\n");
	sh("ip address del 10.2.0.1/24 dev m0");
	assert_int_equal(set_addresses(&s, ""), 0);
	shows(ADDRESSES, "10.55.0.1/32\n");
	scene_end(&s);
}

static void addresses_fail(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	up(&s);
	assert_int_equal(set_addresses(&s, "10.1.0.1/24 fd00:1::1/64"), 0);
	sh("ip address add fd00:9::1/64 dev m0");

	/* The last one fails: another length of it is there, and not ours. */
	assert_int_equal(set_addresses(&s, "10.3.0.1/24 fd00:1::1/128 fd00:9::1/128"), -EEXIST);
	assert_non_null(strstr(s.why.s, "m0: address fd00:9::1/128: "));
	assert_null(strchr(s.why.s, '\n'));
	shows(ADDRESSES, "10.1.0.1/24 fd00:1::1/64 fd00:9::1/64\n");

	/* The next reload starts from what is there. */
	assert_int_equal(set_addresses(&s, "10.3.0.1/24"), 0);
	shows(ADDRESSES, "10.3.0.1/24 fd00:9::1/64\n");

	/* The kernel's own words. */
	sh("echo 1 >/proc/sys/net/ipv6/conf/m0/disable_ipv6");
	assert_int_equal(set_addresses(&s, "10.3.0.1/24 10.4.0.1/24 fd00:1::1/64"), -EACCES);
	assert_non_null(strstr(s.why.s, "m0: address fd00:1::1/64: "));
	assert_non_null(strstr(s.why.s, "IPv6 is disabled on this device"));
	shows(ADDRESSES, "10.3.0.1/24\n");
	scene_end(&s);
}

static void routes_reload(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	up(&s);
	assert_int_equal(set_addresses(&s, "10.8.0.2/24"), 0);
	assert_int_equal(set_routes(&s, "10.8.0.1/32 10.0.0.0/8 10.20.1.7/16 fd00:7::/48", 0), 0);
	shows(ROUTES4, "10.0.0.0/8 dev m0 scope link\n10.20.0.0/16 dev m0 scope link\n");
	shows(ROUTES6, "fd00:7::/48 dev m0 metric 1024 pref medium\n");

	/* A prefix that only our own wider route covers is added all the same: the wider one may go first. */
	assert_int_equal(set_routes(&s, "10.0.0.0/8 10.30.0.0/16", 0), 0);
	shows(ROUTES4, "10.0.0.0/8 dev m0 scope link\n10.30.0.0/16 dev m0 scope link\n");
	shows(ROUTES6, "");
	assert_int_equal(set_routes(&s, "10.30.0.0/16 10.30.0.0/16", 0), 0);
	shows(ROUTES4, "10.30.0.0/16 dev m0 scope link\n");

	/* Somebody else's covers. */
	sh("ip route add 10.40.0.0/16 dev m0");
	assert_int_equal(set_routes(&s, "10.40.1.0/24 10.30.0.0/16", 0), 0);
	shows(ROUTES4, "10.30.0.0/16 dev m0 scope link\n10.40.0.0/16 dev m0 scope link\n");
	sh("ip route del 10.40.0.0/16");

	/* But what is there already is not taken away for that. */
	sh("ip route add 10.0.0.0/8 dev m0");
	assert_int_equal(set_routes(&s, "10.30.0.0/16", 0), 0);
	shows(ROUTES4, "10.0.0.0/8 dev m0 scope link\n10.30.0.0/16 dev m0 scope link\n");
	sh("ip route del 10.0.0.0/8");

	/* The address that covered goes. */
	assert_int_equal(set_addresses(&s, "10.9.0.2/24"), 0);
	assert_int_equal(set_routes(&s, "10.8.0.1/32 10.30.0.0/16", 0), 0);
	shows(ROUTES4, "10.8.0.1 dev m0 scope link\n10.30.0.0/16 dev m0 scope link\n");

	/* What the kernel dropped, or somebody removed, comes back; or does not disturb. */
	sh("ip link set m0 down; ip link set m0 up");
	shows(ROUTES4, "");
	assert_int_equal(set_routes(&s, "10.8.0.1/32", 0), 0);
	shows(ROUTES4, "10.8.0.1 dev m0 scope link\n");

	/* Table changes. */
	s.config.table = TABLE_NUMBER;
	s.config.table_number = 1234;
	assert_int_equal(set_routes(&s, "10.8.0.1/32 0.0.0.0/0", 0), 0);
	shows(ROUTES4, "");
	shows("ip route show table 1234", "default dev m0 scope link\n10.8.0.1 dev m0 scope link\n");
	s.config.table = TABLE_OFF;
	assert_int_equal(set_routes(&s, "10.8.0.1/32 0.0.0.0/0", 0), 0);
	assert_int_equal(netlink_table_empty(&nl, 0, 1234), 1);
	assert_int_equal(s.iface.route_count, 0);
	scene_end(&s);
}

static void note_line(void *ctx, enum log_level level, const char *line)
{
	(void)level;
	text_addf(ctx, "%s\n", line);
}

static void longest_first(void **state)
{
	struct text lines = { 0 };
	struct scene s;

	(void)state;
	scene_begin(&s);
	up(&s);
	s.iface.log = (struct log){ note_line, &lines };
	assert_int_equal(set_routes(&s, "10.0.0.0/8 10.1.1.1/32 ::/0 fd00::/8 10.1.0.0/16 fd00::1/128 0.0.0.0/0", MARK), 0);
	assert_string_equal(lines.s, "route fd00::1/128 table 254 added\n"
				     "route 10.1.1.1/32 table 254 added\n"
				     "route 10.1.0.0/16 table 254 added\n"
				     "route 10.0.0.0/8 table 254 added\n"
				     "route fd00::/8 table 254 added\n"
				     "route 0.0.0.0/0 table 51820 added\n"
				     "route ::/0 table 51820 added\n");
	scene_end(&s);
	text_done(&lines);
}

static void routes_fail(void **state)
{
	struct scene s;

	(void)state;
	make_veth();
	sh("ip route add 10.66.0.0/16 via 192.0.2.254");
	scene_begin(&s);
	up(&s);
	assert_int_equal(set_routes(&s, "10.1.0.0/16", 0), 0);

	/* Longest first: by the time of the /16 two are there already, one of them ours from before. */
	assert_int_equal(set_routes(&s, "10.0.0.0/8 10.66.0.0/16 10.1.0.0/16 10.7.7.0/24 0.0.0.0/0", MARK), -EEXIST);
	assert_string_equal(s.why.s, "m0: route 10.66.0.0/16: File exists");
	shows(ROUTES4, "10.1.0.0/16 dev m0 scope link\n10.66.0.0/16 via 192.0.2.254 dev a0\n");
	assert_int_equal(netlink_table_empty(&nl, 0, MARK), 1);
	assert_int_equal(netlink_rule_any_not_fwmark(&nl, IP_V4), 0);

	/* A default route without a mark would swallow our own datagrams. */
	assert_int_equal(set_routes(&s, "0.0.0.0/0", 0), -EINVAL);
	assert_non_null(strstr(s.why.s, "mark"));
	shows(ROUTES4, "10.1.0.0/16 dev m0 scope link\n10.66.0.0/16 via 192.0.2.254 dev a0\n");
	scene_end(&s);
}

/* Each request in turn cannot be sent: what the call did before that is taken back. */
static void fails_anywhere(void **state)
{
	struct scene s;
	char *before;
	int n, err = -1;

	(void)state;
	scene_begin(&s);
	up(&s);
	assert_int_equal(set_addresses(&s, "10.8.0.2/24 fd08::2/64"), 0);
	assert_int_equal(set_routes(&s, "10.1.0.0/16", 0), 0);
	before = strdup(everything());
	for (n = 1; err && n < 50; n++) {
		fault.lose = n;
		err = set_addresses(&s, "10.8.0.2/24 fd08::2/128 10.9.0.2/24 fd09::2/64");
		fault.lose = 0;
		if (err) {
			assert_int_equal(err, -ENOBUFS);
			assert_non_null(strstr(s.why.s, "No buffer space"));
			assert_string_equal(everything(), before);
		}
	}
	assert_in_range(n, 2 + 5 + 1, 49);	/* 2 dumps, 5 changes */
	free(before);
	before = strdup(everything());
	for (n = 1, err = -1; err && n < 50; n++) {
		fault.lose = n;
		err = set_routes(&s, "10.1.0.0/16 10.2.0.0/16 0.0.0.0/0 ::/0", MARK);
		fault.lose = 0;
		if (err) {
			assert_int_equal(err, -ENOBUFS);
			assert_string_equal(everything(), before);
		}
	}
	assert_in_range(n, 2 + 4 + 4 + 1, 49);	/* 2 dumps, 4 routes, 4 rules and their look-ups */
	shows("ip rule | grep -c 'not\\|supp'; ip -6 rule | grep -c 'not\\|supp'", "2\n2\n");
	free(before);
	scene_end(&s);
}

static void default_routes(void **state)
{
	static const char both[] = "\tnot from all fwmark 0xca6c lookup 51820\n";
	struct scene s;

	(void)state;
	scene_begin(&s);
	up(&s);
	assert_int_equal(iface_free_mark(&s.iface), MARK);
	sh("ip route add 10.1.0.0/16 dev m0 table 51820; ip -6 route add fd00:1::/64 dev m0 table 51821");
	assert_int_equal(iface_free_mark(&s.iface), MARK + 2);
	sh("ip route flush table 51820; ip -6 route flush table 51821");
	assert_int_equal(iface_free_mark(&s.iface), MARK);

	assert_int_equal(set_routes(&s, "0.0.0.0/0 ::/0", MARK), 0);
	assert_true(s.iface.default4 && s.iface.default6);
	shows("ip -4 rule | grep -o '.not.*'", both);
	shows("ip -6 rule | grep -o '.not.*'", both);

	/* One family goes; the mark changes; another interface's rule keeps the shared one. */
	assert_int_equal(set_routes(&s, "0.0.0.0/0", MARK), 0);
	shows("ip -6 rule | cut -d: -f2", "\tfrom all lookup local\n\tfrom all lookup main\n");
	shows("ip -6 route show table 51820", "");
	assert_int_equal(set_routes(&s, "0.0.0.0/0", 77), 0);
	shows("ip -4 rule | cut -d: -f2",
	      "\tfrom all lookup local\n\tfrom all lookup main suppress_prefixlength 0\n"
	      "\tnot from all fwmark 0x4d lookup 77\n\tfrom all lookup main\n\tfrom all lookup default\n");
	shows("ip -4 route show table 51820", "");
	shows("ip -4 route show table 77", "default dev m0 scope link\n");
	sh("ip rule add not fwmark 4711 table 4711");

	/* Rules that somebody flushed come back with the next reload. */
	sh("ip rule del not fwmark 77 table 77");
	assert_int_equal(set_routes(&s, "0.0.0.0/0", 77), 0);
	shows("ip rule | grep -c 0x4d", "1\n");
	scene_end(&s);
	shows("ip -4 rule | cut -d: -f2 | grep 'not\\|supp' | sort",
	      "\tfrom all lookup main suppress_prefixlength 0\n\tnot from all fwmark 0x1267 lookup 4711\n");
}

static void needs_mark(void **state)
{
	struct config c = { .table = TABLE_AUTO };
	struct ip_prefix p[2] = { prefix("10.0.0.0/8"), prefix("::/0") };

	(void)state;
	assert_true(iface_needs_mark(&c, p, 2));
	assert_false(iface_needs_mark(&c, p, 1));
	assert_false(iface_needs_mark(&c, NULL, 0));
	c.table = TABLE_NUMBER;
	assert_false(iface_needs_mark(&c, p, 2));
	c.table = TABLE_OFF;
	assert_false(iface_needs_mark(&c, p, 2));
}

static void cleanup_rules(void **state)
{
	const char *clean = strdup(output("ip rule; ip -6 rule"));
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		sh("ip rule add not fwmark 51820 table 51820 pref %d; ip -6 rule add not fwmark 51820 table 51820 pref %d",
		   100 + i, 100 + i);
	sh("ip rule add table main suppress_prefixlength 0; ip -6 rule add table main suppress_prefixlength 0");
	iface_cleanup_rules(&nl, 0);
	iface_cleanup_rules(&nl, MARK + 1);
	shows("ip rule | grep -c 'not\\|supp'", "4\n");
	iface_cleanup_rules(&nl, MARK);
	assert_string_equal(output("ip rule; ip -6 rule"), clean);

	/* A suppress rule alone is somebody's own. */
	sh("ip rule add table main suppress_prefixlength 0");
	iface_cleanup_rules(&nl, MARK);
	shows("ip rule | grep -c supp", "1\n");
	free((void *)clean);
}

static int set_listen_prefix(struct scene *s, const char *text)
{
	const struct ip_prefix p = text ? prefix(text) : (struct ip_prefix){ 0 };

	text_reset(&s->why);
	return iface_set_listen_prefix(&s->iface, &p, &s->why);
}

#define LOCALS "ip -6 route show table local proto static | cut -d' ' -f2"

static void listen_prefix(void **state)
{
	const struct ip_prefix left = prefix("2001:db8:9::/64"), none = { 0 };
	struct scene s;

	(void)state;
	scene_begin(&s);
	assert_int_equal(set_listen_prefix(&s, NULL), 0);
	assert_int_equal(set_listen_prefix(&s, "2001:db8:7::5/118"), 0);
	shows(LOCALS, "2001:db8:7::/118\n");
	assert_int_equal(set_listen_prefix(&s, "2001:db8:7::/118"), 0);

	/* What somebody removed comes back; another takes its place. */
	sh("ip -6 route del local 2001:db8:7::/118 dev lo table local");
	assert_int_equal(set_listen_prefix(&s, "2001:db8:7::/118"), 0);
	shows(LOCALS, "2001:db8:7::/118\n");
	assert_int_equal(set_listen_prefix(&s, "2001:db8:8::/64"), 0);
	shows(LOCALS, "2001:db8:8::/64\n");

	/* Somebody else's: nothing changes, and it stays his. */
	sh("ip -6 route add local 2001:db8:9::/64 dev lo table local proto static");
	assert_int_equal(set_listen_prefix(&s, "2001:db8:9::/64"), -EEXIST);
	assert_string_equal(s.why.s, "m0: listen prefix 2001:db8:9::/64: File exists");
	assert_int_equal(s.iface.listen_prefix.addr.bytes[5], 8);
	shows(LOCALS, "2001:db8:8::/64\n2001:db8:9::/64\n");

	assert_int_equal(set_listen_prefix(&s, NULL), 0);
	shows(LOCALS, "2001:db8:9::/64\n");
	assert_int_equal(set_listen_prefix(&s, "2001:db8:8::/64"), 0);
	scene_end(&s);
	shows(LOCALS, "2001:db8:9::/64\n");

	/* As a killed run left it. */
	iface_cleanup_listen_prefix(&nl, &none);
	iface_cleanup_listen_prefix(&nl, &left);
	iface_cleanup_listen_prefix(&nl, &left);
	shows(LOCALS, "");
}

static uint32_t mtu_for(struct scene *s, const char *endpoints)
{
	struct endpoint e[4];
	char copy[256];
	size_t n = 0;
	uint32_t mtu = 0, seen = 0;
	bool is_up = false;

	snprintf(copy, sizeof(copy), "%s", endpoints);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		assert_true(endpoint_parse(p, &e[n++]));
	text_reset(&s->why);
	assert_int_equal(iface_set_mtu_up(&s->iface, &s->config, e, n, MARK, &mtu, &s->why), 0);
	assert_int_equal(netlink_link_get(&nl, tun, &seen, &is_up), 0);
	assert_true(is_up);
	assert_int_equal(seen, mtu);
	return mtu;
}

static void mtu_up(void **state)
{
	struct scene s;
	uint32_t mtu = 7;

	(void)state;
	scene_begin(&s);
	assert_int_equal(mtu_for(&s, ""), 1420);		/* no way anywhere */
	assert_int_equal(mtu_for(&s, "198.51.100.1:1"), 1420);
	make_veth();
	sh("ip link set a0 mtu 1450; ip route add default via 192.0.2.254");
	assert_int_equal(mtu_for(&s, ""), 1370);
	sh("ip route add 203.0.113.0/24 via 192.0.2.254 mtu 1300; ip -6 route add 2001:db8:3::/48 via 2001:db8::ff mtu 1350");
	assert_int_equal(mtu_for(&s, "203.0.113.1:1"), 1220);
	assert_int_equal(mtu_for(&s, "203.0.113.1:1 [2001:db8:3::1]:1 10.77.0.1:1"), 1370);	/* the largest */
	assert_int_equal(mtu_for(&s, "203.0.113.1:1 [2001:db8:3::1]:1"), 1270);

	/* A way through ourselves does not count, however often it is asked; nor does our own default route. */
	sh("ip route add 10.77.0.0/16 dev m0");
	for (int i = 0; i < 3; i++)
		assert_int_equal(mtu_for(&s, "203.0.113.1:1 10.77.0.1:1"), 1220);
	sh("ip route del default; ip route add default dev m0");
	for (int i = 0; i < 3; i++)
		assert_int_equal(mtu_for(&s, "10.77.0.1:1"), 1420);

	/* Given. */
	s.config.mtu = 1280;
	assert_int_equal(mtu_for(&s, "203.0.113.1:1"), 1280);
	s.config.mtu = 10000000;
	text_reset(&s.why);
	mtu = 7;
	assert_int_equal(iface_set_mtu_up(&s.iface, &s.config, NULL, 0, 0, &mtu, &s.why), -EINVAL);
	assert_int_equal(mtu, 7);
	assert_string_equal(s.why.s, "m0: MTU 10000000: mtu greater than device maximum");
	scene_end(&s);
}

/* The mark steers the question too: with the full tunnel up, a marked endpoint is outside. */
static void mtu_up_with_mark(void **state)
{
	struct scene s;

	(void)state;
	make_veth();
	sh("ip link set a0 mtu 1400; ip route add default via 192.0.2.254");
	scene_begin(&s);
	assert_int_equal(mtu_for(&s, "198.51.100.1:1"), 1320);
	assert_int_equal(set_routes(&s, "0.0.0.0/0", MARK), 0);
	sh("ip link set a0 mtu 1410");
	assert_int_equal(mtu_for(&s, "198.51.100.1:1"), 1330);
	scene_end(&s);
}

/* Babel's default routes need the same rules as those of allowed IPs: they go with the last of both. */
static void rules_shared_with_babel(void **state)
{
	const char *rules4 = "ip -4 rule | grep -c 'fwmark 0xca6c\\|suppress'", *rules6 = "ip -6 rule | grep -c 'fwmark 0xca6c\\|suppress'";
	struct scene s;

	(void)state;
	scene_begin(&s);
	up(&s);
	assert_int_equal(set_routes(&s, "0.0.0.0/0", MARK), 0);
	assert_int_equal(iface_set_babel_default(&s.iface, IP_V4, true, MARK), 0);
	assert_int_equal(iface_set_babel_default(&s.iface, IP_V6, true, MARK), 0);
	shows(rules4, "2\n");
	shows(rules6, "2\n");
	assert_int_equal(set_routes(&s, "", MARK), 0);
	shows(rules4, "2\n");
	assert_int_equal(set_routes(&s, "0.0.0.0/0", MARK), 0);
	assert_int_equal(iface_set_babel_default(&s.iface, IP_V4, false, MARK), 0);
	shows(rules4, "2\n");
	assert_int_equal(set_routes(&s, "", MARK), 0);
	shows(rules4, "0\n");
	shows(rules6, "2\n");
	/* Another mark: each family is told again. */
	assert_int_equal(iface_set_babel_default(&s.iface, IP_V4, true, MARK), 0);
	assert_int_equal(iface_set_babel_default(&s.iface, IP_V4, true, MARK + 1), 0);
	assert_int_equal(iface_set_babel_default(&s.iface, IP_V6, true, MARK + 1), 0);
	shows("(ip -4 rule; ip -6 rule) | grep -c 'fwmark 0xca6c'", "0\n");
	shows("(ip -4 rule; ip -6 rule) | grep -c 'fwmark 0xca6d'", "2\n");
	scene_end(&s);
	shows("(ip -4 rule; ip -6 rule) | grep -c 'fwmark\\|suppress'", "0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(same_as_wg_quick),
		CASE(addresses_reload),
		CASE(addresses_fail),
		CASE(routes_reload),
		CASE(longest_first),
		CASE(routes_fail),
		CASE(fails_anywhere),
		CASE(default_routes),
		CASE(needs_mark),
		CASE(cleanup_rules),
		CASE(listen_prefix),
		CASE(mtu_up),
		CASE(mtu_up_with_mark),
		CASE(rules_shared_with_babel),
	};

	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
