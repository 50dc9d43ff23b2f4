/* SPDX-License-Identifier: MIT */
/*
 * Owners of prefixes, and what lanes make of them: whose packets take a shortcut, what is counted so that one is opened, and what may come in over one.
 */
#include "lanes.h"

#include "crypto/aead.h"
#include "node/fib.h"
#include "node/shortcut.h"
#include "wire/wg.h"

enum { OURS = 1, RELAY = 2, FAR = 7 };

static struct lanes l;
static struct owners owners;
static struct fib fib;
static struct lane_peer far;		/* whom packets for fd00::7 and 10.0.0.7 are for in the end */
static struct keypair *far_end;
static struct endpoint far_place;

static int setup(void **state)
{
	(void)state;
	lanes_init(&l);
	lanes_session(&l, 0);
	assert_true(endpoint_parse("192.0.2.7:7777", &far_place));
	lanes_peer(&far, &far_place);
	assert_true(links_install(&l.a.lane, 1, &far, lanes_keypair(0x0c000800, 0x0d000800, true, 77, l.now.mono_us)));
	far_end = lanes_keypair(0x0d000800, 0x0c000800, false, 77, l.now.mono_us);
	l.a.lane.fib = &fib;
	l.a.lane.owners = &owners;
	l.a.lane.transit = TRANSIT_LANE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lanes_clear(&l, &l.a);
	owners_clear(&owners);
	fib_clear(&fib);
	links_done(&l.a.lane, 1, &far);
	keypair_free(far_end);
	lanes_done(&l);
	return 0;
}

static void own(const char *text, struct lane_peer *peer)
{
	struct ip_prefix p = lanes_prefix(text);

	assert_non_null(owners_set(&owners, &p, peer));
}

/* As Babel has it: by way of the relay. */
static void route(const char *dst)
{
	struct ip_prefix p = lanes_prefix(dst);
	struct prefix_pair pair = prefix_pair_any(&p);
	struct lane_peer *announcer = &l.a.peer;

	assert_true(fib_set(&fib, &pair, FIB_PEER, &l.a.peer, &announcer, 1));
}

/* Where a packet from the host goes: RELAY, FAR or 0 for nowhere. */
static int sent(uint8_t family, uint8_t src, uint8_t dst)
{
	const struct lane_out *out;
	uint8_t p[100];
	int to = 0;

	lanes_packet(p, sizeof(p), family, src, dst, 0);
	lanes_add(&l.batch, p, sizeof(p));
	lane_from_tun(&l.a.lane, l.now, l.batch.packets, l.batch.count);
	out = lane_out(&l.a.lane);
	if (out->dgram_count)
		to = endpoint_equal(&out->dgrams[0].path.remote, &far_place) ? FAR : RELAY;
	assert_true(out->dgram_count <= 1);
	lanes_clear(&l, &l.a);
	return to;
}

static void counted(uint32_t wanted, uint32_t used)
{
	uint32_t w, u;

	assert_true(owners_take(&far, &w, &u));
	assert_int_equal(w, wanted);
	assert_int_equal(u, used);
}

static void a_table(void **state)
{
	struct ip_prefix one = lanes_prefix("10.1.0.0/16"), host = lanes_prefix("10.1.2.3/32");
	const uint8_t a[4] = { 10, 1, 2, 3 }, b[4] = { 10, 1, 2, 4 }, c[4] = { 10, 2, 0, 0 };
	uint32_t wanted, used;

	(void)state;
	assert_null(owners_lookup(&owners, IP_V4, a));
	own("10.1.0.0/16", &l.a.peer);
	own("10.1.2.3/32", &far);
	assert_ptr_equal(owners_lookup(&owners, IP_V4, a)->peer, &far);
	assert_ptr_equal(owners_lookup(&owners, IP_V4, b)->peer, &l.a.peer);
	assert_null(owners_lookup(&owners, IP_V4, c));
	/* Another has it now. */
	own("10.1.2.3/32", &l.a.peer);
	assert_ptr_equal(owners_lookup(&owners, IP_V4, a)->peer, &l.a.peer);
	assert_false(owners_take(&far, &wanted, &used));
	own("10.1.2.3/32", NULL);
	assert_null(owners_lookup(&owners, IP_V4, a)->peer);
	owners_remove(&owners, &host);
	assert_ptr_equal(owners_lookup(&owners, IP_V4, a)->peer, &l.a.peer);
	own("10.1.4.0/24", &far);
	owners_forget_peer(&owners, &l.a.peer);
	assert_null(owners_lookup(&owners, IP_V4, b));
	assert_int_equal(owners.count, 1);
	owners_remove(&owners, &one);
	owners_forget_peer(&owners, &far);
	assert_int_equal(owners.count, 0);
}

static void packets_wish_for_one_and_take_it(void **state)
{
	(void)state;
	route("fd00::7/128");
	own("fd00::7/128", &far);
	own("fd00::1/128", NULL);
	assert_int_equal(sent(IP_V6, OURS, FAR), RELAY);
	assert_int_equal(sent(IP_V6, OURS, FAR), RELAY);
	counted(2, 0);
	counted(0, 0);
	owners_set_shortcut(&far, true);
	assert_int_equal(sent(IP_V6, OURS, FAR), FAR);
	counted(0, 1);
	/* What is not ours goes as it did, and asks for nothing. */
	assert_int_equal(sent(IP_V6, 9, FAR), RELAY);
	counted(0, 0);
	owners_set_shortcut(&far, false);
	assert_int_equal(sent(IP_V6, OURS, FAR), RELAY);
	counted(1, 0);
}

static void without_a_route_it_is_wished_for(void **state)
{
	(void)state;
	own("10.0.0.7/32", &far);
	own("10.0.0.1/32", NULL);
	assert_int_equal(sent(IP_V4, OURS, FAR), 0);
	counted(1, 0);
	owners_set_shortcut(&far, true);
	assert_int_equal(sent(IP_V4, OURS, FAR), FAR);
}

static void without_a_session_it_is_none(void **state)
{
	(void)state;
	route("fd00::7/128");
	own("fd00::7/128", &far);
	own("fd00::1/128", NULL);
	owners_set_shortcut(&far, true);
	links_clear(&l.a.lane, 1, &far);
	assert_int_equal(sent(IP_V6, OURS, FAR), RELAY);
	counted(1, 0);
}

/* 10.0.0.2 is an allowed IP of the relay's: whatever records say, the config says that. */
static void the_config_comes_first(void **state)
{
	(void)state;
	own("10.0.0.2/32", &far);
	own("10.0.0.1/32", NULL);
	owners_set_shortcut(&far, true);
	assert_int_equal(sent(IP_V4, OURS, 2), RELAY);
	counted(0, 0);
}

/* A route that is longer than what is the owner's may lead to something behind another. */
static void a_longer_route_is_another_matter(void **state)
{
	(void)state;
	own("fd00::/64", &far);
	own("fd00::1/128", NULL);
	owners_set_shortcut(&far, true);
	assert_int_equal(sent(IP_V6, OURS, FAR), FAR);
	route("fd00::/64");
	assert_int_equal(sent(IP_V6, OURS, FAR), FAR);
	route("fd00::7/128");
	assert_int_equal(sent(IP_V6, OURS, FAR), RELAY);
	assert_int_equal(sent(IP_V6, OURS, 8), FAR);
}

/* What the far node sends us: 1 if it was taken, 0 if it was dropped for its source. */
static int taken(uint8_t family, uint8_t src, uint8_t dst)
{
	uint8_t plain[112] = { 0 }, msg[WG_DATA_HEADER + sizeof(plain) + AEAD_TAG];
	uint64_t before = l.a.lane.drops[DROP_SOURCE];
	int writes;

	lanes_packet(plain, 100, family, src, dst, 0);
	wg_data_header_write(msg, far_end->remote_index, far_end->zero.counter);
	aead_seal(far_end->zero.sealer, far_end->zero.counter++, msg + WG_DATA_HEADER, plain, sizeof(plain));
	lanes_add(&l.batch, msg, sizeof(msg));
	l.batch.dgrams[0].path.remote = far_place;
	lane_from_udp(&l.a.lane, l.now, l.batch.dgrams, 1);
	writes = (int)lane_out(&l.a.lane)->write_count;
	assert_int_equal(lane_out(&l.a.lane)->dgram_count, 0);
	assert_int_equal(l.a.lane.drops[DROP_SOURCE] - before, !writes);
	lanes_clear(&l, &l.a);
	return writes;
}

/* By Babel it is on a network of this host's: the kernel knows the way. */
static void the_hosts_is_left_alone(void **state)
{
	struct ip_prefix p = lanes_prefix("fd00::7/128");
	struct prefix_pair pair = prefix_pair_any(&p);

	(void)state;
	own("fd00::7/128", &far);
	own("fd00::1/128", NULL);
	owners_set_shortcut(&far, true);
	assert_true(fib_set(&fib, &pair, FIB_HOST, NULL, NULL, 0));
	assert_int_equal(sent(IP_V6, OURS, FAR), 0);
	counted(0, 0);
	/* Lost, and held: better by the shortcut than nowhere. */
	assert_true(fib_set(&fib, &pair, FIB_UNREACHABLE, NULL, NULL, 0));
	assert_int_equal(sent(IP_V6, OURS, FAR), FAR);
	counted(0, 1);
}

static void it_sends_what_is_its_own_to_what_is_ours(void **state)
{
	(void)state;
	route("fd00::7/128");		/* the relay announces it: by Babel alone it would be the relay's to send */
	route("fd00::8/128");
	own("fd00::1/128", NULL);
	assert_int_equal(taken(IP_V6, FAR, OURS), 0);
	own("fd00::7/128", &far);
	assert_int_equal(taken(IP_V6, FAR, OURS), 1);
	assert_int_equal(taken(IP_V6, 8, OURS), 0);	/* another's */
	assert_int_equal(taken(IP_V6, FAR, 8), 0);	/* not for us: no transit over a shortcut */
	assert_int_equal(taken(IP_V6, FAR, 3), 0);
	/* Whatever the transit. */
	l.a.lane.transit = TRANSIT_KERNEL;
	l.a.lane.last.from = NULL;
	assert_int_equal(taken(IP_V6, FAR, OURS), 1);
	assert_int_equal(taken(IP_V6, FAR, 3), 0);
	/* It was taken from it, or the peer has another record. */
	owners_forget_peer(&owners, &far);
	l.a.lane.last.from = NULL;
	assert_int_equal(taken(IP_V6, FAR, OURS), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_table),
		TEST(packets_wish_for_one_and_take_it),
		TEST(without_a_route_it_is_wished_for),
		TEST(without_a_session_it_is_none),
		TEST(the_config_comes_first),
		TEST(a_longer_route_is_another_matter),
		TEST(the_hosts_is_left_alone),
		TEST(it_sends_what_is_its_own_to_what_is_ours),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
