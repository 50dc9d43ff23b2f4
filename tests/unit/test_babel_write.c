/* SPDX-License-Identifier: MIT */
/*
 * Babel packets written: to bytes written down by hand, whole or not at all, and at random and read back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "wire/babel.h"

#include "babel_text.h"
#include "stream.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t id1[8] = { 0x02, 0xaa, 0xbb, 0xff, 0xfe, 0xcc, 0xdd, 0x01 };

/* What the writer wrote; fails unless it is this. */
static void assert_written(struct babel_writer *w, const char *body)
{
	uint8_t want[1024];
	size_t len;

	assert_int_equal(sodium_hex2bin(want, sizeof(want), body, strlen(body), " ", &len, NULL), 0);
	if (babel_write_end(w) != 4 + len || memcmp(w->packet + 4, want, len)) {
		char got[2049];

		fail_msg("%s,\nnot %s", sodium_bin2hex(got, sizeof(got), w->packet + 4, w->len - 4), body);
	}
	assert_int_equal(babel_body_end(w->packet), 4 + len);
	assert_int_equal(w->packet[0], 42);
	assert_int_equal(w->packet[1], 2);
}

static void golden_write_links(void **state)
{
	static const uint8_t index[8] = { 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8 }, nonce[3] = { 1, 2, 3 };
	struct babel_echo echo = { .origin = 0x0a0b0c0d, .receive = 0x01020304 };
	struct ip_addr a = address("fe80::2"), wide = address("fe80:1::2"), v4 = address("192.0.2.2");
	uint8_t packet[512], mac[4] = { 9, 8, 7, 6 }, at[6];
	struct babel_writer w;

	(void)state;
	babel_write_begin(&w, packet, sizeof(packet));
	assert_true(babel_write_empty(&w));
	assert_written(&w, "");
	assert_true(babel_write_hello(&w, false, 1, 400, false));
	assert_false(babel_write_empty(&w));
	assert_true(babel_write_ihu(&w, &a, 96, 1200, NULL));
	assert_true(babel_write_ihu(&w, &a, 96, 1200, &echo));
	assert_true(babel_write_ihu(&w, &v4, 96, 1200, NULL));
	assert_true(babel_write_ihu(&w, &wide, 96, 1200, NULL));
	assert_true(babel_write_ack_request(&w, 0x1234, 20));
	assert_true(babel_write_ack(&w, 0x1234));
	assert_true(babel_write_pc(&w, 7, index, sizeof(index)));
	assert_true(babel_write_challenge(&w, false, nonce, sizeof(nonce)));
	assert_true(babel_write_challenge(&w, true, NULL, 0));
	assert_written(&w, "0406 0000 0001 0190  050e 03 00 0060 04b0 0000000000000002"
			   "0518 03 00 0060 04b0 0000000000000002 0308 0a0b0c0d01020304  050a 01 00 0060 04b0 c0000202"
			   "0516 02 00 0060 04b0 fe800001000000000000000000000002"
			   "0206 0000 1234 0014  0302 1234  110c 00000007 a1a2a3a4a5a6a7a8  1203 010203 1300");
	assert_int_equal(babel_mac_write(at, mac, sizeof(mac)), 6);
	assert_memory_equal(at, "\x10\x04\x09\x08\x07\x06", 6);
	assert_false(babel_write_pc(&w, 7, packet, BABEL_INDEX_MAX + 1));
	assert_false(babel_write_challenge(&w, true, packet, BABEL_NONCE_MAX + 1));
}

/* A packet never goes out with a stamp of nothing: until it is stamped, there is padding. */
static void golden_write_stamp(void **state)
{
	uint8_t packet[64];
	struct babel_writer w;

	(void)state;
	babel_write_begin(&w, packet, sizeof(packet));
	babel_write_stamp(&w, 5);		/* nowhere */
	assert_written(&w, "");
	assert_true(babel_write_hello(&w, true, 1, 400, true));
	assert_written(&w, "040c 8000 0001 0190 0104 00000000");
	babel_write_stamp(&w, 0x01020304);
	assert_written(&w, "040c 8000 0001 0190 0304 01020304");
}

static struct babel_update update(const char *dst, const char *src, uint16_t metric)
{
	struct babel_update u = { .prefix = pair(dst, src), .seqno = 1, .metric = metric, .interval_cs = 1600 };

	memcpy(u.router_id, id1, 8);
	return u;
}

static void golden_write_updates(void **state)
{
	static const uint8_t id2[8] = { 7, 7, 7, 7, 7, 7, 7, 7 };
	struct ip_addr hop = address("192.0.2.1"), hop2 = address("192.0.2.2");
	struct {
		struct babel_update u;
		const struct ip_addr *hop;
	} list[] = {
		{ update("fd00:c::7/64", NULL, 0), &hop },		/* bits behind the prefix stay at home */
		{ update("fd00:c:0:1::/64", NULL, 0), NULL },
		{ update("fd00:c:0:1::/68", "2001:db8::/32", 0), NULL },	/* whole octets; nobody's default */
		{ update("fd00:c:0:2::/64", NULL, 0xffff), NULL },
		{ update("fd00::/16", NULL, 0), NULL },			/* too short for a default */
		{ update("fd00:c:0:2::1/128", NULL, 0), NULL },
		{ update("::/0", NULL, 0), NULL },
		{ update("10.1.0.0/16", NULL, 0), &hop },
		{ update("10.1.2.0/24", NULL, 0xffff), &hop },
		{ update("10.1.3.0/24", "10.9.0.0/17", 0), &hop2 },
		{ update("10.1.4.0/24", NULL, 0), NULL },
	};
	uint8_t packet[512];
	struct babel_writer w;

	(void)state;
	memcpy(list[8].u.router_id, id2, 8);		/* a retraction, too, says whose it is */
	babel_write_begin(&w, packet, sizeof(packet));
	for (size_t i = 0; i < COUNT(list); i++)
		assert_true(babel_write_update(&w, &list[i].u, list[i].hop));
	assert_true(babel_write_wildcard_retraction(&w, id2, 1, 0xffff));
	assert_written(&w, ID "0812 02 80 40 00 0640 0001 0000 fd00000c00000000"
			   "080b 02 80 40 07 0640 0001 0000 01"
			   "0812 02 00 44 08 0640 0001 0000 00  80 05 20 20010db8"
			   "080b 02 80 40 07 0640 0001 ffff 02"
			   "080a 02 00 10 02 0640 0001 0000"
			   "080b 02 80 80 0f 0640 0001 0000 01"
			   "080a 02 00 00 00 0640 0001 0000"
			   "07060100 c0000201  080c 01 00 10 00 0640 0001 0000 0a01"
			   "060a0000 0707070707070707  080d 01 00 18 00 0640 0001 ffff 0a0102"
			   ID "07060100 c0000202  0813 01 00 18 00 0640 0001 0000 0a0103 80 04 11 0a0900"
			   "080d 04 00 18 00 0640 0001 0000 0a0104"
			   "060a0000 0707070707070707  080a 00 00 00 00 ffff 0001 ffff");
}

/* Without a default there is none, even where zeros would fit. */
static void golden_write_no_default(void **state)
{
	struct babel_update u = update("::/64", "2001:db8::/32", 0);
	uint8_t packet[512];
	struct babel_writer w;

	(void)state;
	babel_write_begin(&w, packet, sizeof(packet));
	assert_true(babel_write_update(&w, &u, NULL) && babel_write_update(&w, &u, NULL));
	assert_written(&w, ID "0819 02 00 40 00 0640 0001 0000 0000000000000000 80 05 20 20010db8"
			   "0819 02 00 40 00 0640 0001 0000 0000000000000000 80 05 20 20010db8");
}

static void golden_write_requests(void **state)
{
	struct prefix_pair p4 = pair("10.1.2.3/24", NULL), p6 = pair("fd00:c::/48", "2001:db8:a::1/48"), all = pair("::/0", NULL);
	uint8_t packet[512];
	struct babel_writer w;

	(void)state;
	babel_write_begin(&w, packet, sizeof(packet));
	assert_true(babel_write_route_request(&w, NULL) && babel_write_route_request(&w, &p4) && babel_write_route_request(&w, &p6) &&
		    babel_write_route_request(&w, &all));
	assert_true(babel_write_seqno_request(&w, &p4, id1, 7, 64) && babel_write_seqno_request(&w, &p6, id1, 0xffff, 255));
	assert_written(&w, "0902 00 00  0905 01 18 0a0102  0911 02 30 fd00000c0000 80 07 30 20010db8000a  0902 02 00"
			   "0a11 01 18 0007 40 00 02aabbfffeccdd01 0a0102"
			   "0a1d 02 30 ffff ff 00 02aabbfffeccdd01 fd00000c0000 80 07 30 20010db8000a");
}

static void assert_same_writer(const struct babel_writer *w, const struct babel_writer *before)
{
	assert_ptr_equal(w->packet, before->packet);
	assert_int_equal(w->len, before->len);
	assert_int_equal(w->size, before->size);
	assert_int_equal(w->stamp_at, before->stamp_at);
	assert_int_equal(w->has_router_id, before->has_router_id);
	assert_int_equal(w->has_next_hop4, before->has_next_hop4);
	assert_memory_equal(w->router_id, before->router_id, BABEL_ROUTER_ID_LEN);
	assert_true(ip_addr_equal(&w->next_hop4, &before->next_hop4));
	assert_int_equal(w->has_prefix, before->has_prefix);
	assert_memory_equal(w->prefix, before->prefix, sizeof(w->prefix));
}

/* Whole or not at all, whatever the room: and no default, router-id or next hop is believed to be said that was not. */
static void write_whole(void **state)
{
	struct ip_addr hop = address("192.0.2.1"), to = address("fe80::2");
	struct babel_update u4 = update("10.1.0.0/16", NULL, 0), u6 = update("fd00:c::/64", NULL, 0);
	struct babel_echo echo = { 0 };
	uint8_t packet[128];

	(void)state;
	for (size_t size = 4; size < 90; size++) {
		struct babel_writer w, before;
		bool good[7];

		memset(packet, 0x5a, sizeof(packet));
		babel_write_begin(&w, packet, size);
		before = w;
		good[0] = babel_write_update(&w, &u4, &hop);		/* 12 + 8 + 14 */
		assert_int_equal(good[0], size >= 4 + 34);
		if (!good[0])
			assert_same_writer(&w, &before);
		babel_write_begin(&w, packet, size);
		good[1] = babel_write_update(&w, &u6, NULL);		/* 12 + 20 */
		assert_int_equal(good[1], size >= 4 + 32);
		if (!good[1])
			assert_same_writer(&w, &before);
		babel_write_begin(&w, packet, size);
		good[2] = babel_write_wildcard_retraction(&w, id1, 1, 1);	/* 12 + 12 */
		assert_int_equal(good[2], size >= 4 + 24);
		if (!good[2])
			assert_same_writer(&w, &before);
		babel_write_begin(&w, packet, size);
		good[3] = babel_write_ihu(&w, &to, 96, 1, &echo);
		assert_int_equal(good[3], size >= 4 + 26);
		babel_write_begin(&w, packet, size);
		good[4] = babel_write_hello(&w, false, 1, 1, true);
		assert_int_equal(good[4], size >= 4 + 14);
		assert_int_equal(w.stamp_at != 0, good[4]);
		babel_write_begin(&w, packet, size);
		good[5] = babel_write_seqno_request(&w, &u6.prefix, id1, 1, 1);
		assert_int_equal(good[5], size >= 4 + 24);
		babel_write_begin(&w, packet, size);
		good[6] = babel_write_route_request(&w, NULL);
		assert_int_equal(good[6], size >= 4 + 4);
		for (size_t i = size; i < sizeof(packet); i++)
			assert_int_equal(packet[i], 0x5a);
	}
}

/*
 * Random TLVs, written and read back.
 */

static struct ip_prefix random_prefix(struct stream *r, uint8_t family)
{
	struct ip_prefix p = { .addr.family = family };

	p.len = (uint8_t)stream_below(r, ip_family_bits(family) + 1);
	/* Few values, so that neighbours share octets. */
	for (unsigned int i = 0; i < ip_family_bytes(family); i++)
		p.addr.bytes[i] = (uint8_t)(i < 6 ? 0x20 + stream_below(r, 2) : stream_next(r));
	ip_prefix_mask(&p);
	return p;
}

static struct prefix_pair random_pair(struct stream *r)
{
	uint8_t family = stream_below(r, 2) ? IP_V4 : IP_V6;
	struct ip_prefix dst = random_prefix(r, family);
	struct prefix_pair p = prefix_pair_any(&dst);

	if (stream_below(r, 3) == 0)
		p.src = random_prefix(r, family);
	if (p.src.len == 0)
		p = prefix_pair_any(&dst);
	return p;
}

/* Write a random TLV and say in 't' what must be read. False: there was no room. */
static bool write_random(struct stream *r, struct babel_writer *w, struct babel_tlv *t, const uint8_t ids[2][8])
{
	struct babel_update u = { .seqno = (uint16_t)stream_next(r), .interval_cs = (uint16_t)(1 + stream_below(r, 0xffff)) };
	struct ip_addr hops[2] = { address("192.0.2.1"), address("192.0.2.2") }, *hop = &hops[stream_below(r, 2)];
	struct ip_addr to[] = { address("fe80::2"), address("192.0.2.2"), address("2001:db8::1") };
	struct babel_echo echo = { (uint32_t)stream_next(r), (uint32_t)stream_next(r) };
	bool extra = stream_below(r, 2);

	memset(t, 0, sizeof(*t));
	memcpy(u.router_id, ids[stream_below(r, 2)], 8);
	u.metric = stream_below(r, 3) ? (uint16_t)stream_next(r) : BABEL_INFINITY;
	u.prefix = random_pair(r);
	t->seqno = u.seqno;
	t->interval_cs = u.interval_cs;
	switch (stream_below(r, 10)) {
	case 0:
		t->type = BABEL_HELLO;
		t->unicast = extra;
		t->has_timestamp = !w->stamp_at;
		t->timestamp = t->has_timestamp ? echo.origin : 0;
		if (!babel_write_hello(w, extra, u.seqno, u.interval_cs, t->has_timestamp))
			return false;
		if (t->has_timestamp)
			babel_write_stamp(w, echo.origin);
		return true;
	case 1:
		t->type = BABEL_IHU;
		t->seqno = 0;
		t->metric = u.metric;
		t->addr = to[stream_below(r, 3)];
		t->has_timestamp = extra;
		if (extra)
			t->origin = echo.origin, t->receive = echo.receive;
		return babel_write_ihu(w, &t->addr, u.metric, u.interval_cs, extra ? &echo : NULL);
	case 2:
		t->type = BABEL_SEQNO_REQUEST;
		t->interval_cs = 0;
		t->prefix = u.prefix;
		t->hop_count = (uint8_t)(1 + stream_below(r, 255));
		memcpy(t->router_id, u.router_id, 8);
		return babel_write_seqno_request(w, &u.prefix, u.router_id, u.seqno, t->hop_count);
	case 3:
		t->type = BABEL_ROUTE_REQUEST;
		t->interval_cs = t->seqno = 0;
		t->wildcard = extra;
		if (!extra)
			t->prefix = u.prefix;
		return babel_write_route_request(w, extra ? NULL : &u.prefix);
	case 4:
		t->type = BABEL_UPDATE;
		t->wildcard = true;
		t->metric = BABEL_INFINITY;
		memcpy(t->router_id, u.router_id, 8);
		return babel_write_wildcard_retraction(w, u.router_id, u.seqno, u.interval_cs);
	default:
		t->type = BABEL_UPDATE;
		t->metric = u.metric;
		t->prefix = u.prefix;
		t->via6 = u.prefix.dst.addr.family == IP_V4 && extra;
		t->addr = u.prefix.dst.addr.family == IP_V6 || t->via6 ? address("fe80::1") : *hop;
		memcpy(t->router_id, u.router_id, 8);
		return babel_write_update(w, &u, t->via6 ? NULL : hop);
	}
}

static bool same_tlv(const struct babel_tlv *a, const struct babel_tlv *b)
{
	char text[600];

	strcpy(text, describe(a));
	return a->type == b->type && a->wildcard == b->wildcard && prefix_pair_equal(&a->prefix, &b->prefix) && !strcmp(text, describe(b));
}

static void round_trips(void **state)
{
	static const uint8_t ids[2][8] = { { 1, 2, 3, 4, 5, 6, 7, 8 }, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe } };
	struct ip_addr src = address("fe80::1");
	struct stream r = { .s = 5 };
	size_t total = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct babel_tlv want[200], got;
		struct babel_parser p;
		struct babel_writer w;
		size_t size = 4 + (size_t)stream_below(&r, 1400), count = 0, len;
		uint8_t *packet = test_malloc(size);

		babel_write_begin(&w, packet, size);
		while (count < COUNT(want) && write_random(&r, &w, &want[count], ids))
			count++;
		len = babel_write_end(&w);
		assert_true(len <= size);
		assert_true(babel_parse_begin(&p, packet, len, &src));
		for (size_t i = 0; i < count; i++) {
			assert_true(babel_parse_next(&p, &got));
			if (!same_tlv(&got, &want[i])) {
				print_message("# got %s\n", describe(&got));
				fail_msg("round %d: not %s", round, describe(&want[i]));
			}
		}
		assert_false(babel_parse_next(&p, &got));
		assert_int_equal(p.ignored, 0);
		assert_false(p.broken);
		total += count;
		test_free(packet);
	}
	assert_in_range(total, 50000, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_write_links),
		cmocka_unit_test(golden_write_stamp),
		cmocka_unit_test(golden_write_updates),
		cmocka_unit_test(golden_write_no_default),
		cmocka_unit_test(golden_write_requests),
		cmocka_unit_test(write_whole),
		cmocka_unit_test(round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
