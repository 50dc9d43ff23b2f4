/* SPDX-License-Identifier: MIT */
/* Changes of configuration: keys and the sessions made with them, endpoints, keepalives, settings of the node. */
#include "applying.h"

static void effects(void **state)
{
	struct change_peer *p;

	(void)state;
	node_effects(n);
	peer_allow(1, 0, "10.0.0.0/24");
	apply();
	assert_int_equal(node_effects(n), NODE_EFFECT_ALLOWED);
	assert_int_equal(node_effects(n), 0);
	p = peer(1, 0);
	give_endpoint(p, "192.0.2.1:1");
	apply();
	assert_int_equal(node_effects(n) & NODE_EFFECT_ENDPOINTS, NODE_EFFECT_ENDPOINTS);
}

/*
 * Keys.
 */

static void sessions_survive(void **state)
{
	const struct keypair *k1, *k2;
	struct change_peer *p;

	(void)state;
	peer_allow(1, 0, "10.0.1.0/24");
	peer_allow(2, 0, "10.0.2.0/24");
	apply();
	k1 = give_session(1);
	k2 = give_session(2);
	c.bits = CHANGE_LISTEN_PORT | CHANGE_FWMARK | CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(SELF), KEY_LEN);	/* the key it has already */
	peer(3, 0);
	p = peer(1, CHANGE_PEER_PSK | CHANGE_PEER_KEEPALIVE | CHANGE_PEER_REPLACE_ALLOWED);
	p->psk[0] = 1;
	p->keepalive_s = 1;
	give_endpoint(p, "192.0.2.1:1");
	apply();
	peer(2, 0);
	apply();
	peer(3, CHANGE_PEER_REMOVE);
	apply();
	assert_session(1, k1);
	assert_session(2, k2);
	/* An unclamped way to write the same key. */
	c.bits = CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(SELF), KEY_LEN);
	c.private_key[0] |= 7;
	c.private_key[31] |= 0x80;
	apply();
	assert_session(1, k1);
}

static void removing_a_peer_ends_its_session_alone(void **state)
{
	const struct keypair *k2;

	(void)state;
	peer(1, 0);
	peer(2, 0);
	apply();
	give_session(1);
	k2 = give_session(2);
	peer(1, CHANGE_PEER_REMOVE);
	apply();
	assert_int_equal(n->lanes[0].indices.count, 1);
	assert_session(2, k2);
}

static void a_new_private_key(void **state)
{
	struct node_info info;
	struct peer *p;

	(void)state;
	peer_allow(1, 0, "10.0.1.0/24");
	peer(2, 0);
	apply();
	give_session(1);
	give_session(2);
	p = node_find(n, public_of(1));
	c.bits = CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(100), KEY_LEN);
	peer(3, 0);
	apply();
	node_info(n, &info);
	assert_true(info.has_key);
	assert_memory_equal(info.public_key, public_of(100), KEY_LEN);
	assert_memory_equal(info.private_key, private_of(100), KEY_LEN);
	assert_peers("1 2 3");
	assert_allowed(1, "10.0.1.0/24");
	assert_session(1, NULL);
	assert_session(2, NULL);
	assert_int_equal(n->lanes[0].indices.count, 0);
	assert_ptr_equal(n->lanes[0].checker, &n->checker);
	/* Peers old and new made their half of the static secret with the new key. */
	for (uint8_t id = 1; id <= 3; id++) {
		uint8_t secret[KEY_LEN];

		p = node_find(n, public_of(id));
		assert_true(p->handshake.possible);
		assert_true(key_exchange(secret, private_of(100), public_of(id)));
		assert_memory_equal(p->handshake.static_static, secret, KEY_LEN);
	}
	/* All zero takes it away. */
	give_session(1);
	c.bits = CHANGE_PRIVATE_KEY;
	apply();
	node_info(n, &info);
	assert_false(info.has_key);
	assert_true(crypto_is_zero(info.private_key, KEY_LEN));
	assert_true(crypto_is_zero(info.public_key, KEY_LEN));
	assert_null(n->lanes[0].checker);
	assert_session(1, NULL);
	assert_false(node_find(n, public_of(1))->handshake.possible);
}

/* Nothing of the old key holds back the first handshake with the new one. */
static void a_new_private_key_may_initiate_at_once(void **state)
{
	struct instant later = now;
	struct change_peer *p = peer(1, 0);
	struct dgram *out;

	(void)state;
	give_endpoint(p, "192.0.2.1:1");
	apply();
	node_set_up(n, true, now);
	peer_initiate(n, node_find(n, public_of(1)), now);
	assert_int_equal(node_out(n, &out), 1);
	later.mono_us += 1000;
	peer_initiate(n, node_find(n, public_of(1)), later);
	assert_int_equal(node_out(n, &out), 1);		/* one in five seconds */
	c.bits = CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(100), KEY_LEN);
	apply();
	peer_initiate(n, node_find(n, public_of(1)), later);
	assert_int_equal(node_out(n, &out), 2);
}

static void nobody_is_his_own_peer(void **state)
{
	(void)state;
	peer_allow(1, 0, "10.0.0.0/24");
	apply();
	peer_allow(SELF, 0, "10.0.0.0/24 10.0.1.0/24");
	apply();
	assert_peers("1");
	assert_allowed(1, "10.0.0.0/24");
	assert_int_equal(n->allowed.count, 1);
	/* In the same change as the key that makes it so. */
	c.bits = CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(101), KEY_LEN);
	peer_allow(101, 0, "10.0.2.0/24");
	peer(SELF, 0);			/* which is somebody else now */
	apply();
	assert_peers("1 200");
	/* A peer whose key becomes ours goes. */
	give_session(1);
	c.bits = CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(1), KEY_LEN);
	apply();
	assert_peers("200");
	assert_int_equal(n->allowed.count, 0);
	assert_int_equal(n->lanes[0].indices.count, 0);
	/* Even if it is named in the change, or removed in it. */
	c.bits = CHANGE_PRIVATE_KEY;
	memcpy(c.private_key, private_of(SELF), KEY_LEN);
	peer_allow(SELF, 0, "10.0.0.0/24");
	peer(SELF, CHANGE_PEER_REMOVE);
	apply();
	assert_peers("");
}

/*
 * Endpoints, keepalives, the rest.
 */

static void endpoints(void **state)
{
	struct change_peer *p = peer(1, 0);
	uint8_t key[KEY_LEN];
	struct path_addr path;

	(void)state;
	/* A name alone: kept, nothing to reach yet. */
	strcpy(change_add_endpoint(p)->name, "vpn.example.org:51820");
	apply();
	assert_string_equal(info_of(1).endpoint_name, "vpn.example.org:51820");
	assert_int_equal(info_of(1).path.remote.addr.family, IP_NONE);
	assert_false(node_next_path(n, key, &path));
	/* Resolved: both. */
	p = peer(1, CHANGE_PEER_UPDATE_ONLY);
	give_endpoint(p, "192.0.2.1:51820");
	strcpy(p->endpoints[0].name, "vpn.example.org:51820");
	apply();
	assert_string_equal(info_of(1).endpoint_name, "vpn.example.org:51820");
	assert_int_equal(info_of(1).path.remote.port, 51820);
	assert_true(node_next_path(n, key, &path));
	assert_memory_equal(key, public_of(1), KEY_LEN);
	assert_int_equal(path.remote.port, 51820);
	node_set_way(n, key, &path, PATH_OPEN, true, 0, now);
	assert_false(node_next_path(n, key, &path));
	/* An address in its place: the name is gone. */
	p = peer(1, 0);
	give_endpoint(p, "192.0.2.2:1");
	apply();
	assert_string_equal(info_of(1).endpoint_name, "");
	assert_int_equal(info_of(1).path.remote.addr.bytes[3], 2);
	/* A new endpoint means the local address is the kernel's choice again. */
	peer_link(node_find(n, public_of(1)))->path.ifindex = 4;
	peer_link(node_find(n, public_of(1)))->path.local.family = IP_V4;
	p = peer(1, 0);
	give_endpoint(p, "192.0.2.2:1");
	apply();
	assert_int_equal(info_of(1).path.ifindex, 0);
	assert_int_equal(info_of(1).path.local.family, IP_NONE);
}

static void looping_endpoints(void **state)
{
	struct change_peer *p = peer(1, 0);
	uint8_t key[KEY_LEN];
	struct path_addr path;

	(void)state;
	give_endpoint(p, "192.0.2.1:1");
	apply();
	assert_true(node_next_path(n, key, &path));
	assert_memory_equal(key, public_of(1), KEY_LEN);
	node_set_way(n, key, &path, PATH_LOOPS, true, 0, now);
	node_set_way(n, public_of(9), &path, PATH_LOOPS, true, 0, now);		/* nobody: fine */
	assert_true(info_of(1).endpoint_loops);
	assert_false(node_next_path(n, key, &path));
	node_effects(n);
	node_uncheck_endpoints(n);
	assert_int_equal(node_effects(n), NODE_EFFECT_ENDPOINTS);
	assert_true(node_next_path(n, key, &path));
	node_set_way(n, key, &path, PATH_OPEN, true, 0, now);
	assert_false(info_of(1).endpoint_loops);
}

/* Whether the lane was asked for a keepalive to this peer. */
static bool keepalive_wanted(uint8_t id)
{
	bool wanted = peer_link(node_find(n, public_of(id)))->want_keepalive;

	while (lane_drain(&n->lanes[0], now, UINT32_MAX))
		lane_out_clear(&n->lanes[0]);
	lane_out_clear(&n->lanes[0]);
	return wanted;
}

static void keepalive_switched_on(void **state)
{
	struct change_peer *p = peer(1, CHANGE_PEER_KEEPALIVE);

	(void)state;
	p->keepalive_s = 25;
	give_endpoint(p, "192.0.2.1:1");
	apply();
	assert_false(keepalive_wanted(1));		/* the interface is down */
	node_set_up(n, true, now);
	assert_true(keepalive_wanted(1));
	peer(1, 0);
	apply();
	assert_false(keepalive_wanted(1));
	p = peer(1, CHANGE_PEER_KEEPALIVE);
	p->keepalive_s = 30;				/* another interval only */
	apply();
	assert_false(keepalive_wanted(1));
	peer(1, CHANGE_PEER_KEEPALIVE);
	apply();
	assert_false(keepalive_wanted(1));
	p = peer(1, CHANGE_PEER_KEEPALIVE);
	p->keepalive_s = 1;
	apply();
	assert_true(keepalive_wanted(1));
	p = peer(2, CHANGE_PEER_KEEPALIVE);		/* a new peer that wants them */
	p->keepalive_s = 1;
	apply();
	assert_true(keepalive_wanted(2));
}

static void settings_of_the_node(void **state)
{
	struct node_info info;

	(void)state;
	c = (struct change){ .bits = CHANGE_LISTEN_PORT | CHANGE_FWMARK, .listen_port = 51820, .fwmark = 0xca6c };
	apply();
	c = (struct change){ .listen_port = 1, .fwmark = 1 };	/* not said */
	apply();
	node_set_mtu(n, 1380);
	node_info(n, &info);
	assert_int_equal(info.listen_port, 51820);
	assert_int_equal(info.fwmark, 0xca6c);
	assert_int_equal(info.mtu, 1380);
	assert_false(info.up);
	node_set_listen_port(n, 4444);
	node_set_up(n, true, now);
	node_info(n, &info);
	assert_int_equal(info.listen_port, 4444);
	assert_true(info.up);
	c = (struct change){ .bits = CHANGE_LISTEN_PORT | CHANGE_FWMARK };
	apply();
	node_info(n, &info);
	assert_int_equal(info.listen_port, 0);
	assert_int_equal(info.fwmark, 0);
}

/* Packets that waited for a peer go with it. */
static void removing_a_peer_with_packets_waiting(void **state)
{
	struct change_peer *p = peer(1, 0);
	uint8_t room[PACKET_HEADROOM + 20 + PACKET_TAILROOM] = { 0 };
	struct packet packet = { .data = room + PACKET_HEADROOM, .len = 20 };

	(void)state;
	give_endpoint(p, "192.0.2.1:1");
	allow(p, "0.0.0.0/0");
	apply();
	node_set_up(n, true, now);
	packet.data[0] = 0x45;
	packet.data[3] = 20;
	lane_from_tun(&n->lanes[0], now, &packet, 1);
	assert_int_equal(info_of(1).waiting, 1);
	peer(1, CHANGE_PEER_REMOVE);
	apply();
	assert_int_equal(n->lanes[0].small.used, 0);
	assert_int_equal(n->lanes[0].drops[DROP_NO_PEER], 1);
	assert_null(n->lanes[0].noted);
	assert_null(n->lanes[0].pending);
	node_turn(n, now);
	assert_int_equal(node_deadline(n), NEVER_US);
}

#define with_node(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_node(effects),
		with_node(sessions_survive),
		with_node(removing_a_peer_ends_its_session_alone),
		with_node(a_new_private_key),
		with_node(a_new_private_key_may_initiate_at_once),
		with_node(nobody_is_his_own_peer),
		with_node(endpoints),
		with_node(looping_endpoints),
		with_node(keepalive_switched_on),
		with_node(settings_of_the_node),
		with_node(removing_a_peer_with_packets_waiting),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
