/* SPDX-License-Identifier: MIT */
/* Changes of configuration: peers and their allowed IPs, to whom, and in which order. */
#include "applying.h"

/*
 * Peers.
 */

static void peers_in_their_order(void **state)
{
	struct node_info info;
	struct peer_info one;

	(void)state;
	peer(1, 0);
	peer(2, 0);
	peer(3, 0);
	apply();
	peer(4, 0);
	peer(2, 0);
	apply();
	assert_peers("1 2 3 4");
	node_info(n, &info);
	assert_int_equal(info.peer_count, 4);
	assert_false(node_peer(n, 4, now, &one));
	assert_false(node_peer(n, SIZE_MAX, now, &one));
	peer(2, CHANGE_PEER_REMOVE);
	peer(9, CHANGE_PEER_REMOVE);		/* there is none: nothing happens */
	apply();
	assert_peers("1 3 4");
}

static void a_peer_as_it_was_said(void **state)
{
	struct change_peer *p = peer(1, CHANGE_PEER_PSK | CHANGE_PEER_KEEPALIVE | CHANGE_PEER_NAME);
	struct peer_info info;

	(void)state;
	memset(p->psk, 7, KEY_LEN);
	give_endpoint(p, "[fe80::1%3]:51820");
	p->keepalive_s = 25;
	strcpy(p->name, "north");
	allow(p, "10.1.2.3/24 fd00::/64 10.0.0.0/8");
	apply();
	info = info_of(1);
	assert_int_equal(info.psk[31], 7);
	assert_string_equal(info.name, "north");
	assert_string_equal(info.endpoint_name, "");
	assert_int_equal(info.path.remote.port, 51820);
	assert_int_equal(info.path.remote.scope, 3);
	assert_int_equal(info.path.ifindex, 0);
	assert_int_equal(info.keepalive_s, 25);
	assert_false(info.has_session);
	assert_false(info.endpoint_loops);
	assert_int_equal(info.handshake_wall_ns, 0);
	assert_int_equal(info.rx_bytes + info.tx_bytes + info.waiting, 0);
	assert_allowed(1, "10.0.0.0/8 10.1.2.0/24 fd00::/64");

	/* Said again with nothing: nothing changes. */
	peer(1, 0);
	apply();
	info = info_of(1);
	assert_int_equal(info.psk[31], 7);
	assert_string_equal(info.name, "north");
	assert_int_equal(info.path.remote.port, 51820);
	assert_int_equal(info.keepalive_s, 25);
	assert_allowed(1, "10.0.0.0/8 10.1.2.0/24 fd00::/64");
}

/* What a change says of Babel and transit, and what it leaves alone. */
static void routing_settings(void **state)
{
	struct lane_peer *data;

	(void)state;
	assert_int_equal(n->lanes[0].transit, TRANSIT_KERNEL);
	c.bits = CHANGE_ROUTING;
	c.transit = TRANSIT_OFF;
	peer(1, CHANGE_PEER_BABEL | CHANGE_PEER_ALLOWED_AUTO)->babel = true;
	c.peers[0].allowed_auto = true;
	peer(2, 0);
	apply();
	assert_int_equal(n->lanes[0].transit, TRANSIT_OFF);
	data = &node_find(n, public_of(1))->data;
	assert_true(data->babel && node_find(n, public_of(1))->babel && node_find(n, public_of(1))->allowed_auto);
	assert_false(node_find(n, public_of(2))->data.babel);
	/* Not said. */
	peer(1, 0);
	apply();
	assert_int_equal(n->lanes[0].transit, TRANSIT_OFF);
	assert_true(data->babel && node_find(n, public_of(1))->allowed_auto);
	/* A list of its own ends auto, unless it is said along with it. */
	peer(1, CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_ALLOWED_AUTO)->allowed_auto = true;
	apply();
	assert_true(node_find(n, public_of(1))->allowed_auto);
	peer(1, CHANGE_PEER_REPLACE_ALLOWED);
	apply();
	assert_false(node_find(n, public_of(1))->allowed_auto);
	assert_false(data->babel);	/* it was on because of auto */
	peer(1, CHANGE_PEER_BABEL)->babel = true;
	apply();
	peer(1, CHANGE_PEER_REPLACE_ALLOWED);
	apply();
	assert_true(data->babel);
	/* Unsaid in a whole config is off. */
	c.bits = CHANGE_REPLACE_PEERS;
	peer(1, 0);
	apply();
	assert_false(data->babel || node_find(n, public_of(1))->babel);
	assert_ptr_equal(n->lanes[0].fib, &n->fib);
}

static void each_alone(void **state)
{
	struct change_peer *p;

	(void)state;
	peer(1, 0);
	apply();
	p = peer(1, CHANGE_PEER_PSK);
	memset(p->psk, 9, KEY_LEN);
	apply();
	assert_int_equal(info_of(1).psk[0], 9);
	p = peer(1, CHANGE_PEER_NAME);
	strcpy(p->name, "a");
	apply();
	assert_string_equal(info_of(1).name, "a");
	p = peer(1, CHANGE_PEER_KEEPALIVE);
	p->keepalive_s = 65535;
	apply();
	assert_int_equal(info_of(1).keepalive_s, 65535);
	peer(1, CHANGE_PEER_KEEPALIVE);
	apply();
	assert_int_equal(info_of(1).keepalive_s, 0);
	peer(1, CHANGE_PEER_PSK);		/* all zero: none */
	apply();
	assert_true(crypto_is_zero(info_of(1).psk, KEY_LEN));
	assert_string_equal(info_of(1).name, "a");
}

/* What a peer says of its link stays its own until a whole change leaves it out; the interface has defaults. */
static void links(void **state)
{
	struct node_info info;
	struct change_peer *p;

	(void)state;
	peer(1, 0);
	apply();
	node_info(n, &info);
	assert_int_equal(info.links.flow_sessions, 32);
	assert_int_equal(info.links.ecn, ECN_MESH);
	assert_int_equal(info.links.dscp, DSCP_NONE);
	assert_int_equal(info.links.bandwidth_bps, 0);
	assert_int_equal(info.spread, SPREAD_PORTS);
	assert_int_equal(info.listen_prefix.addr.family, IP_NONE);
	assert_int_equal(info_of(1).link_bits, 0);

	change_links_default(&c);
	c.links.dscp = 8;
	c.spread = SPREAD_OFF;
	assert_true(ip_prefix_parse("2001:db8::/118", &c.listen_prefix));
	p = peer(1, CHANGE_PEER_FLOW_SESSIONS);
	p->link.flow_sessions = 3;
	apply();
	p = peer(1, CHANGE_PEER_BANDWIDTH);
	p->link.bandwidth_bps = 8000;
	apply();
	node_info(n, &info);
	assert_int_equal(info.links.dscp, 8);
	assert_int_equal(info.spread, SPREAD_OFF);
	assert_int_equal(info.listen_prefix.len, 118);
	assert_int_equal(info_of(1).link_bits, CHANGE_PEER_FLOW_SESSIONS | CHANGE_PEER_BANDWIDTH);
	assert_int_equal(info_of(1).link.flow_sessions, 3);
	assert_int_equal(info_of(1).link.bandwidth_bps, 8000);

	c.bits = CHANGE_REPLACE_PEERS;
	p = peer(1, CHANGE_PEER_ECN);
	p->link.ecn = ECN_OFF;
	p = peer(1, CHANGE_PEER_DSCP);
	p->link.dscp = 0;
	apply();
	assert_int_equal(info_of(1).link_bits, CHANGE_PEER_ECN | CHANGE_PEER_DSCP);
	assert_int_equal(info_of(1).link.ecn, ECN_OFF);
}

/* The prefix goes with the address it was given with. */
/* A list in the place of the one before; each of its addresses is known as its own, whichever is in use. */
static void endpoint_lists(void **state)
{
	struct change_peer *p = peer(1, 0);
	struct peer_info info;
	struct peer *who;
	struct endpoint e;

	(void)state;
	strcpy(change_add_endpoint(p)->name, "h:1");
	give_endpoint(p, "192.0.2.1:1");
	p->endpoints[1].terms.cost_ms = 7;
	give_endpoint(p, "192.0.2.1:2");
	give_endpoint(p, "[2001:db8::5]:1");
	p->endpoints[3].prefix_len = 118;
	apply();
	info = info_of(1);
	assert_int_equal(info.endpoint_count, 4);
	assert_string_equal(info.endpoints[0].name, "h:1");
	assert_int_equal(info.endpoints[1].terms.cost_ms, 7);
	assert_int_equal(info.path.remote.addr.bytes[3], 1);
	assert_int_equal(info.path.remote.port, 1);
	assert_string_equal(info.endpoint_name, "");
	who = node_find(n, public_of(1));
	assert_true(peer_has_prefix(who));
	assert_true(endpoint_parse("192.0.2.1:2", &e));
	assert_ptr_equal(peer_endpoint_of(who, &e), &who->endpoints[2]);
	assert_true(endpoint_parse("192.0.2.1:77", &e));
	assert_ptr_equal(peer_endpoint_of(who, &e), &who->endpoints[1]);
	assert_true(endpoint_parse("[2001:db8::9]:1", &e));
	assert_ptr_equal(peer_endpoint_of(who, &e), &who->endpoints[3]);
	assert_true(endpoint_parse("192.0.2.9:1", &e));
	assert_null(peer_endpoint_of(who, &e));
	/* Unsaid it stays; said to be empty, it is, and the peer is where it was. */
	peer(1, CHANGE_PEER_KEEPALIVE);
	apply();
	assert_int_equal(info_of(1).endpoint_count, 4);
	peer(1, CHANGE_PEER_ENDPOINTS);
	apply();
	info = info_of(1);
	assert_int_equal(info.endpoint_count, 0);
	assert_int_equal(info.path.remote.addr.bytes[3], 1);
	assert_false(peer_has_prefix(node_find(n, public_of(1))));
}

/* They are the interface's, and wg(8) does not touch them. */
static void path_settings(void **state)
{
	struct node_info info;

	(void)state;
	node_info(n, &info);
	assert_int_equal(info.path_spread, PATHS_BEST);
	assert_int_equal(info.mss_clamp, MSS_CLAMP_OFF);
	change_links_default(&c);
	c.path_spread = PATHS_ALL;
	c.mss_clamp = 1200;
	apply();
	peer(1, 0);
	apply();
	node_info(n, &info);
	assert_int_equal(info.path_spread, PATHS_ALL);
	assert_int_equal(info.mss_clamp, 1200);
	assert_int_equal(node_lane(n, 0)->mss_clamp, 1200);
}

static void endpoint_prefix(void **state)
{
	struct path_addr roamed = { 0 };
	struct change_peer *p;

	(void)state;
	p = peer(1, 0);
	give_endpoint(p, "[2001:db8::5]:1");
	p->endpoints[0].prefix_len = 118;
	apply();
	assert_int_equal(info_of(1).endpoint_prefix_len, 118);
	assert_true(endpoint_parse("[2001:db8::6]:1", &roamed.remote));
	lane_set_path(&n->lanes[0], node_find(n, public_of(1))->data.links, &roamed);
	assert_int_equal(info_of(1).endpoint_prefix_len, 118);
	assert_true(endpoint_parse("[2001:db8:1::6]:1", &roamed.remote));
	lane_set_path(&n->lanes[0], node_find(n, public_of(1))->data.links, &roamed);
	assert_int_equal(info_of(1).endpoint_prefix_len, 0);
	p = peer(1, 0);
	give_endpoint(p, "[2001:db8::5]:1");
	apply();
	assert_int_equal(info_of(1).endpoint_prefix_len, 0);
}

static void update_only(void **state)
{
	struct change_peer *p;

	(void)state;
	peer_allow(1, 0, "10.0.0.0/24");
	apply();
	/* Nobody there: nothing made, and nobody loses a prefix. */
	peer_allow(2, CHANGE_PEER_UPDATE_ONLY, "10.0.0.0/24");
	p = peer(1, CHANGE_PEER_UPDATE_ONLY | CHANGE_PEER_KEEPALIVE);
	p->keepalive_s = 5;
	apply();
	assert_peers("1");
	assert_allowed(1, "10.0.0.0/24");
	assert_int_equal(info_of(1).keepalive_s, 5);
	/* Made in the same change, it is there. */
	peer(2, 0);
	peer_allow(2, CHANGE_PEER_UPDATE_ONLY, "10.0.2.0/24");
	apply();
	assert_allowed(2, "10.0.2.0/24");
	/* Removed in the same change, it is not. */
	peer(2, CHANGE_PEER_REMOVE);
	peer(2, CHANGE_PEER_UPDATE_ONLY);
	apply();
	assert_peers("1");
}

static void the_same_key_twice(void **state)
{
	struct change_peer *p;

	(void)state;
	p = peer(1, CHANGE_PEER_KEEPALIVE | CHANGE_PEER_NAME);
	p->keepalive_s = 10;
	strcpy(p->name, "first");
	allow(p, "10.0.1.0/24");
	p = peer(1, CHANGE_PEER_KEEPALIVE);
	p->keepalive_s = 20;
	allow(p, "10.0.2.0/24");
	apply();
	assert_peers("1");
	assert_int_equal(info_of(1).keepalive_s, 20);
	assert_string_equal(info_of(1).name, "first");
	assert_allowed(1, "10.0.1.0/24 10.0.2.0/24");
}

static void made_and_removed_at_once(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.0.0/24");
	peer(1, CHANGE_PEER_REMOVE);
	apply();
	assert_peers("");
	assert_int_equal(n->allowed.count, 0);
}

/* Removed and made again in one change is a new peer: nothing of the old one is left. */
static void removed_and_made_again(void **state)
{
	struct change_peer *p = peer(1, CHANGE_PEER_PSK | CHANGE_PEER_NAME | CHANGE_PEER_KEEPALIVE);
	struct peer_info info;

	(void)state;
	memset(p->psk, 7, KEY_LEN);
	strcpy(p->name, "old");
	p->keepalive_s = 25;
	give_endpoint(p, "192.0.2.1:1");
	allow(p, "10.0.1.0/24");
	peer(2, 0);
	apply();
	give_session(1);
	peer(1, CHANGE_PEER_REMOVE);
	peer_allow(1, 0, "10.0.2.0/24");
	apply();
	info = info_of(1);
	assert_allowed(1, "10.0.2.0/24");
	assert_true(crypto_is_zero(info.psk, KEY_LEN));
	assert_string_equal(info.name, "");
	assert_int_equal(info.keepalive_s, 0);
	assert_int_equal(info.path.remote.addr.family, IP_NONE);
	assert_false(info.has_session);
	assert_int_equal(n->lanes[0].indices.count, 0);
	assert_peers("2 1");
	/* And on and off and on... */
	for (int i = 0; i < 20; i++) {
		peer(1, CHANGE_PEER_REMOVE);
		peer(1, 0);
	}
	apply();
	assert_peers("2 1");
	assert_allowed(1, "");
	peer(1, CHANGE_PEER_REMOVE);
	peer(1, 0);
	peer(1, CHANGE_PEER_REMOVE);
	apply();
	assert_peers("2");
	/* What was said before the removal is gone with the peer it was said of. */
	p = peer(1, CHANGE_PEER_NAME);
	strcpy(p->name, "short-lived");
	allow(p, "10.0.1.0/24");
	peer(1, CHANGE_PEER_REMOVE);
	peer_allow(1, 0, "10.0.2.0/24");
	apply();
	assert_string_equal(info_of(1).name, "");
	assert_allowed(1, "10.0.2.0/24");
}

static void replace_peers(void **state)
{
	const struct keypair *k2, *k3;
	struct change_peer *p;

	(void)state;
	for (uint8_t id = 1; id <= 4; id++) {
		p = peer(id, CHANGE_PEER_PSK | CHANGE_PEER_KEEPALIVE | CHANGE_PEER_NAME);
		p->psk[0] = id;
		p->keepalive_s = id;
		p->name[0] = (char)('a' + id);
		give_endpoint(p, "192.0.2.1:1");
	}
	allow(&c.peers[0], "10.0.1.0/24");
	allow(&c.peers[1], "10.0.2.0/24");
	allow(&c.peers[2], "10.0.3.0/24");
	apply();
	give_session(1);
	k2 = give_session(2);
	k3 = give_session(3);

	c.bits = CHANGE_REPLACE_PEERS;
	p = peer(3, CHANGE_PEER_REPLACE_ALLOWED | CHANGE_PEER_PSK);
	p->psk[0] = 33;
	allow(p, "10.0.33.0/24");
	peer_allow(2, CHANGE_PEER_REPLACE_ALLOWED, "10.0.1.0/24");
	peer(5, 0);
	apply();
	/* Who is not named goes; who is named stays with its session, and is what was said, no more... */
	assert_peers("2 3 5");
	assert_session(2, k2);
	assert_session(3, k3);
	assert_int_equal(n->lanes[0].indices.count, 2);
	assert_allowed(2, "10.0.1.0/24");
	assert_allowed(3, "10.0.33.0/24");
	assert_int_equal(info_of(2).psk[0], 0);
	assert_int_equal(info_of(3).psk[0], 33);
	assert_int_equal(info_of(3).keepalive_s, 0);
	assert_string_equal(info_of(3).name, "");
	/* ...but for the endpoint: where the peer is now is better than nothing. */
	assert_int_equal(info_of(3).path.remote.port, 1);

	/* A second mention adds; only the first says what is not there any more. */
	c.bits = CHANGE_REPLACE_PEERS;
	p = peer(3, CHANGE_PEER_KEEPALIVE);
	p->keepalive_s = 7;
	peer_allow(3, 0, "10.0.3.0/24");
	apply();
	assert_peers("3");
	assert_int_equal(info_of(3).keepalive_s, 7);
	assert_session(3, k3);

	c.bits = CHANGE_REPLACE_PEERS;
	apply();
	assert_peers("");
	assert_int_equal(n->allowed.count, 0);
	assert_int_equal(n->lanes[0].indices.count, 0);
}

/* "All others go" goes for their prefixes, too, without a further word. */
static void replace_peers_replaces_allowed_ips(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.1.0/24 10.0.2.0/24");
	apply();
	c.bits = CHANGE_REPLACE_PEERS;
	peer_allow(1, 0, "10.0.3.0/24");
	peer_allow(1, 0, "10.0.4.0/24");
	apply();
	assert_allowed(1, "10.0.3.0/24 10.0.4.0/24");
	/* Removed by name in such a change. */
	c.bits = CHANGE_REPLACE_PEERS;
	peer(1, CHANGE_PEER_REMOVE);
	peer(2, 0);
	apply();
	assert_peers("2");
}

static void many_peers(void **state)
{
	(void)state;
	for (int id = 0; id < 150; id++)
		peer((uint8_t)id, 0);
	apply();
	assert_int_equal(n->peer_count, 150);
	for (int id = 0; id < 150; id++)
		assert_true(exists((uint8_t)id));
	for (int id = 0; id < 150; id += 2)
		peer((uint8_t)id, CHANGE_PEER_REMOVE);
	apply();
	assert_int_equal(n->peer_count, 75);
	for (int id = 0; id < 150; id++)
		assert_int_equal(exists((uint8_t)id), id % 2);
	for (size_t i = 0; i < 75; i++)
		assert_ptr_equal(n->peers[i], node_find(n, public_of((uint8_t)(2 * i + 1))));
}

static void too_many(void **state)
{
	struct change_peer two[2] = { { .allowed_count = CHANGE_ALLOWED_MAX }, { .allowed_count = 1 } };
	struct change large = { .peer_count = CHANGE_PEERS_MAX + 1 };

	(void)state;
	peer_allow(1, 0, "10.0.0.0/24");
	apply();
	assert_int_equal(node_check(n, &large), -E2BIG);
	assert_int_equal(node_apply(n, &large, now), -E2BIG);
	large = (struct change){ .bits = CHANGE_REPLACE_PEERS, .peers = two, .peer_count = 2 };
	assert_int_equal(node_apply(n, &large, now), -E2BIG);
	assert_peers("1");
	assert_allowed(1, "10.0.0.0/24");
}

/*
 * Allowed IPs.
 */

static void prefixes_move(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.0.0/24 10.0.1.0/24 fd00::/64");
	peer(2, 0);
	apply();
	peer_allow(2, 0, "10.0.1.0/24 fd00::/64");
	apply();
	assert_allowed(1, "10.0.0.0/24");
	assert_allowed(2, "10.0.1.0/24 fd00::/64");
	/* Within one change the last one has it. */
	peer_allow(2, 0, "10.0.0.0/24");
	peer_allow(1, 0, "10.0.0.0/24 10.0.1.0/24");
	apply();
	assert_allowed(1, "10.0.0.0/24 10.0.1.0/24");
	assert_allowed(2, "fd00::/64");
	/* Another length is another prefix. */
	peer_allow(2, 0, "10.0.0.0/23 10.0.0.0/25");
	apply();
	assert_allowed(1, "10.0.0.0/24 10.0.1.0/24");
	assert_allowed(2, "10.0.0.0/23 10.0.0.0/25 fd00::/64");
	/* Where a peer goes, its prefixes go; those it took come not back. */
	peer(2, CHANGE_PEER_REMOVE);
	apply();
	assert_allowed(1, "10.0.0.0/24 10.0.1.0/24");
	assert_int_equal(n->allowed.count, 2);
}

static void removal_only_from_the_owner(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.0.0/24 10.0.1.0/24");
	peer_allow(2, 0, "10.0.2.0/24");
	apply();
	peer_allow(2, 0, "-10.0.0.0/24 -10.0.2.0/25 -10.9.0.0/16");
	apply();
	assert_allowed(1, "10.0.0.0/24 10.0.1.0/24");
	assert_allowed(2, "10.0.2.0/24");
	peer_allow(1, 0, "-10.0.0.0/24");
	apply();
	assert_allowed(1, "10.0.1.0/24");
	/* Lines act in their order. */
	peer_allow(1, 0, "-10.0.1.0/24 10.0.1.0/24 10.0.5.0/24 -10.0.5.0/24");
	apply();
	assert_allowed(1, "10.0.1.0/24");
	peer_allow(2, 0, "10.0.1.0/24 -10.0.1.0/24");
	apply();
	assert_allowed(1, "");
	assert_allowed(2, "10.0.2.0/24");
	/* A peer that is not there takes from nobody, and is not made by trying. */
	peer_allow(3, CHANGE_PEER_UPDATE_ONLY, "-10.0.2.0/24");
	apply();
	assert_allowed(2, "10.0.2.0/24");
}

static void replace_allowed(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.0.0/24 10.0.1.0/24");
	peer_allow(2, 0, "10.0.2.0/24");
	apply();
	peer_allow(1, CHANGE_PEER_REPLACE_ALLOWED, "10.0.1.0/24 10.0.3.0/24");
	apply();
	assert_allowed(1, "10.0.1.0/24 10.0.3.0/24");
	assert_allowed(2, "10.0.2.0/24");
	peer(1, CHANGE_PEER_REPLACE_ALLOWED);
	apply();
	assert_allowed(1, "");
	/* The second mention replaces what the first one gave. */
	peer_allow(1, CHANGE_PEER_REPLACE_ALLOWED, "10.0.4.0/24");
	peer_allow(2, 0, "10.0.7.0/24");
	peer_allow(1, CHANGE_PEER_REPLACE_ALLOWED, "10.0.5.0/24");
	peer_allow(1, 0, "10.0.6.0/24");
	apply();
	assert_allowed(1, "10.0.5.0/24 10.0.6.0/24");
	assert_allowed(2, "10.0.2.0/24 10.0.7.0/24");
	/* A prefix given away by the first mention and not taken back by the second is nobody's. */
	peer_allow(2, 0, "10.0.5.0/24");
	peer(2, CHANGE_PEER_REPLACE_ALLOWED);
	apply();
	assert_allowed(1, "10.0.6.0/24");
	assert_allowed(2, "");
}

#define with_node(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_node(peers_in_their_order),
		with_node(a_peer_as_it_was_said),
		with_node(routing_settings),
		with_node(each_alone),
		with_node(links),
		with_node(endpoint_lists),
		with_node(path_settings),
		with_node(endpoint_prefix),
		with_node(update_only),
		with_node(the_same_key_twice),
		with_node(made_and_removed_at_once),
		with_node(removed_and_made_again),
		with_node(replace_peers),
		with_node(replace_peers_replaces_allowed_ips),
		with_node(many_peers),
		with_node(too_many),
		with_node(prefixes_move),
		with_node(removal_only_from_the_owner),
		with_node(replace_allowed),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
