/* SPDX-License-Identifier: MIT */
/*
 * Babel packets read: bytes written down by hand; what each TLV does to the parser; what must be ignored, alone or with all behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/bytes.h"
#include "wire/babel.h"

#include "babel_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A packet in memory of exactly its own size, from the hexadecimal text of body and trailer. */
struct packet {
	uint8_t *data;
	size_t len;
	struct babel_parser parser;
};

static void begin_from(struct packet *p, const char *src)
{
	struct ip_addr a = address(src);

	assert_true(babel_parse_begin(&p->parser, p->data, p->len, &a));
}

static void packet_init(struct packet *p, const char *body, const char *trailer)
{
	uint8_t bytes[2048] = { 42, 2 };
	size_t body_len, trailer_len = 0;

	assert_int_equal(sodium_hex2bin(bytes + 4, sizeof(bytes) - 4, body, strlen(body), " ", &body_len, NULL), 0);
	if (trailer)
		assert_int_equal(sodium_hex2bin(bytes + 4 + body_len, sizeof(bytes) - 4 - body_len, trailer, strlen(trailer), " ",
						&trailer_len, NULL), 0);
	put_be16(bytes + 2, (uint16_t)body_len);
	p->len = 4 + body_len + trailer_len;
	p->data = test_malloc(p->len);
	memcpy(p->data, bytes, p->len);
	begin_from(p, "fe80::1");
}

static void packet_done(struct packet *p)
{
	test_free(p->data);
}

static bool next(struct packet *p, struct babel_tlv *t)
{
	return babel_parse_next(&p->parser, t);
}

/* Fails unless the body gives these, each followed by "; ", and counts 'ignored'. */
static void assert_body(const char *body, const char *want, unsigned int ignored)
{
	struct packet p;
	struct babel_tlv t;
	char got[4096] = "";

	packet_init(&p, body, NULL);
	while (next(&p, &t)) {
		strcat(got, describe(&t));
		strcat(got, "; ");
	}
	if (strcmp(got, want) || p.parser.ignored != ignored)
		fail_msg("%s\ngives  '%s', %u ignored,\nnot    '%s', %u", body, got, p.parser.ignored, want, ignored);
	assert_false(next(&p, &t));
	packet_done(&p);
}

static void golden_read(void **state)
{
	(void)state;
	assert_body("0406 0000 0001 0190", "hello 1 400; ", 0);
	assert_body("0406 8000 ffff 0000", "hello u 65535 0; ", 0);
	assert_body("0406 7fff 0001 0190", "hello 1 400; ", 0);		/* flags nobody knows */
	assert_body("040c 0000 0001 0190 0304 01020304", "hello 1 400 at 1020304 0 0; ", 0);
	assert_body("050e 03 00 0060 04b0 0000000000000002", "ihu fe80::2 96 1200; ", 0);
	assert_body("0518 03 00 0060 04b0 0000000000000002 0308 0a0b0c0d 01020304", "ihu fe80::2 96 1200 at 0 a0b0c0d 1020304; ", 0);
	assert_body("0506 00 00 ffff 0001", "ihu any 65535 1; ", 0);
	assert_body("050a 01 00 0060 04b0 c0000202", "ihu 192.0.2.2 96 1200; ", 0);
	assert_body("0516 02 00 0060 04b0 20010db8000000000000000000000001", "ihu 2001:db8::1 96 1200; ", 0);
	assert_body("0206 0000 1234 0014", "ack? 4660 20; ", 0);
	assert_body("0302 1234", "ack 4660; ", 0);
	assert_body(ID "0812 02 80 40 00 0640 0001 0000 fd00000c00000000",
		    "fd00:c::/64 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 0);
	assert_body(ID "0812 02 80 40 00 0640 0001 0000 fd00000c00000000 080c 02 00 40 06 0640 0001 0000 0001",
		    "fd00:c::/64 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; "
		    "fd00:c:0:1::/64 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 0);
	assert_body(ID "0813 02 00 00 00 0640 0001 0000 80 07 30 20010db8000a",
		    "::/0 from 2001:db8:a::/48 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 0);
	assert_body(ID HOP4 "080d 01 00 18 00 0640 0001 0060 0a0102",
		    "10.1.2.0/24 via 192.0.2.1 id 02aabbfffeccdd01 seqno 1 metric 96 every 1600; ", 0);
	assert_body(ID "080d 04 00 18 00 0640 0001 0060 0a0102",
		    "10.1.2.0/24 (6) via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 96 every 1600; ", 0);
	assert_body("080a 00 00 00 00 ffff 0001 ffff", "* via - id 0000000000000000 seqno 1 metric 65535 every 65535; ", 0);
	assert_body("0902 00 00", "route? *; ", 0);
	assert_body("0905 01 18 0a0102", "route? 10.1.2.0/24; ", 0);
	assert_body("0905 04 18 0a0102", "route? 10.1.2.0/24 (6); ", 0);
	assert_body("0a14 02 30 0007 40 30 02aabbfffeccdd01 fd00000c0000",		/* Reserved not zero: babeld */
		    "seqno? fd00:c::/48 id 02aabbfffeccdd01 7 hops 64; ", 0);
	assert_body("110c 00000007 a1a2a3a4a5a6a7a8", "pc 7 a1a2a3a4a5a6a7a8; ", 0);
	assert_body("1104 ffffffff", "pc 4294967295 ; ", 0);
	assert_body("1203 010203 1300", "challenge 010203; reply ; ", 0);
}

static void headers(void **state)
{
	static const struct {
		const char *hex;
		bool good;
	} c[] = {
		/*  1 */ { "", false },
		/*  2 */ { "2a02", false },
		/*  3 */ { "2a020000", true },
		/*  4 */ { "2b020000", false },
		/*  5 */ { "2a030000", false },		/* version 3 */
		/*  6 */ { "2a020001", false },		/* a body longer than the packet */
		/*  7 */ { "2a02ffff00", false },
		/*  8 */ { "2a02000100", true },
		/*  9 */ { "2a0200010000", true },	/* a trailer */
		/* 10 */ { "2a020100 00", false },
	};
	struct ip_addr src = address("fe80::1");

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct babel_parser p;
		struct babel_tlv t;
		uint8_t bytes[16], *exact;
		size_t len;

		assert_int_equal(sodium_hex2bin(bytes, sizeof(bytes), c[i].hex, strlen(c[i].hex), " ", &len, NULL), 0);
		exact = test_malloc(len ? len : 1);
		memcpy(exact, bytes, len);
		if (babel_parse_begin(&p, exact, len, &src) != c[i].good)
			fail_msg("case %zu", i + 1);
		if (c[i].good) {
			assert_false(babel_parse_next(&p, &t));
			assert_false(babel_parse_trailer(&p, &t));
			assert_false(p.broken);
		}
		test_free(exact);
	}
	assert_int_equal(babel_group.family, IP_V6);
	src = address("ff02::1:6");
	assert_true(ip_addr_equal(&babel_group, &src));
}

/* A TLV that runs past the body ends it; one that is too short, or says nonsense, is ignored alone. */
static void framing(void **state)
{
	static const struct {
		const char *body;
		bool broken;
	} c[] = {
		/* 1 */ { "0302 0001 04", true },
		/* 2 */ { "0302 0001 0406", true },
		/* 3 */ { "0302 0001 0406 0000 0001 01", true },
		/* 4 */ { "0302 0001 04ff 0000 0001 0190", true },
		/* 5 */ { "0302 0001 01ff", true },			/* padding, too */
		/* 6 */ { "0302 0001 63ff 00", true },			/* and what nobody knows */
		/* 7 */ { "0302 0001 00 00 00", false },
		/* 8 */ { "0302 0001 0100", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		struct packet p;
		struct babel_tlv t;

		packet_init(&p, c[i].body, NULL);
		assert_true(next(&p, &t));
		assert_string_equal(describe(&t), "ack 1");
		assert_false(next(&p, &t));
		if (p.parser.broken != c[i].broken)
			fail_msg("case %zu", i + 1);
		packet_done(&p);
	}
}

/* One by one, each between two that are good. */
static void ignored_alone(void **state)
{
	static const char *const c[] = {
		/*  1 */ "0205 0000 1234 00",				/* AckReq too short */
		/*  2 */ "0206 0000 1234 0000",				/* without an interval */
		/*  3 */ "0301 12",
		/*  4 */ "0405 0000 0001 01",
		/*  5 */ "0505 00 00 0060 04",
		/*  6 */ "0506 00 00 0060 0000",			/* IHU without an interval */
		/*  7 */ "0506 03 00 0060 04b0",			/* without its address */
		/*  8 */ "050d 03 00 0060 04b0 00000000000000",
		/*  9 */ "050a 04 00 0060 04b0 c0000201",		/* AE 4 has no addresses */
		/* 10 */ "050a 05 00 0060 04b0 c0000201",
		/* 11 */ "050a ff 00 0060 04b0 c0000201",
		/* 12 */ "0609 0000 02aabbfffeccdd",
		/* 13 */ "060a 0000 0000000000000000",
		/* 14 */ "060a 0000 ffffffffffffffff",
		/* 15 */ "0701 01",
		/* 16 */ "0702 00 00",					/* Next Hop to nobody */
		/* 17 */ "0705 01 00 c00002",
		/* 18 */ "0706 04 00 c0000201",
		/* 19 */ "0711 02 00 200000000000000000000000000000",
		/* 20 */ "0809 02 00 00 00 0640 0001 ff",
		/* 21 */ "080a 02 00 08 00 0640 0001 ffff",		/* no prefix */
		/* 22 */ "080a 02 00 00 00 0000 0001 ffff",		/* no interval */
		/* 23 */ "081b 02 00 81 00 0640 0001 ffff 2000000000000000000000000000000000",
		/* 24 */ "080f 01 00 21 00 0640 0001 ffff 0a00000000",
		/* 25 */ "080f 04 00 21 00 0640 0001 ffff 0a00000000",
		/* 26 */ "080b 02 00 10 01 0640 0001 ffff 20",		/* an octet left to a default that is not there */
		/* 27 */ "080a 00 00 00 00 0640 0001 0060",		/* all, finite */
		/* 28 */ "080b 00 00 08 00 0640 0001 ffff 00",		/* all, of a length */
		/* 29 */ "080a 00 00 00 01 0640 0001 ffff",
		/* 30 */ "080a 00 00 00 00 0000 0001 ffff",
		/* 31 */ "0812 00 00 00 00 0640 0001 ffff 80 06 20 20010db8 00",	/* all, of a source */
		/* 32 */ "080a 05 00 00 00 0640 0001 ffff",		/* an encoding nobody knows */
		/* 33 */ "080a 03 00 00 00 0640 0001 ffff",		/* link-local, shorter than it can be */
		/* 34 */ "0811 03 00 80 01 0640 0001 ffff 00000000000001",
		/* 35 */ "0901 00",
		/* 36 */ "0902 00 01",					/* all, of a length */
		/* 37 */ "0904 02 18 2001",
		/* 38 */ "0902 05 00",
		/* 39 */ "0907 01 21 0a00000000",
		/* 40 */ "0909 00 00 80 05 20 20010db8",		/* all, of a source */
		/* 41 */ "0a0d 02 00 0007 40 00 02aabbfffeccdd",
		/* 42 */ "0a0e 00 00 0007 40 00 02aabbfffeccdd01",	/* all */
		/* 43 */ "0a0e 02 00 0007 00 00 02aabbfffeccdd01",	/* no hops */
		/* 44 */ "0a0e 02 00 0007 40 00 0000000000000000",
		/* 45 */ "0a0e 02 00 0007 40 00 ffffffffffffffff",
		/* 46 */ "0a10 02 18 0007 40 00 02aabbfffeccdd01 2001",
		/* 47 */ "1103 000000",
		/* 48 */ "1125 00000001 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		/* 49 */ "0807 02 00 40 ff 0640 00",
		/* 50 */ "080a 02 00 40 09 0640 0001 ffff",		/* more left out than there is */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		char body[512];

		snprintf(body, sizeof(body), "0302 0001 %s 0302 0002", c[i]);
		assert_body(body, "ack 1; ack 2; ", 1);
	}
	/* A nonce longer than one may be. */
	for (unsigned int len = 191; len <= 194; len++) {
		struct packet p;
		struct babel_tlv t;
		char body[512], *end = body + sprintf(body, "12%02x", len);

		for (unsigned int i = 0; i < len; i++)
			end += sprintf(end, "55");
		packet_init(&p, body, NULL);
		assert_int_equal(next(&p, &t), len <= BABEL_NONCE_MAX);
		packet_done(&p);
	}
}

/* What nobody knows is passed over without a word; so is what belongs elsewhere. */
static void passed_over(void **state)
{
	(void)state;
	assert_body("00 0100 0103000000 0302 0001 0103ffffff 0b02 0000 0d00 0e00 0f00 1400 e001 00 ff00 1004 01020304 0302 0002",
		    "ack 1; ack 2; ", 0);
}

static void trailer(void **state)
{
	struct packet p;
	struct babel_tlv t;
	char got[256] = "";

	(void)state;
	packet_init(&p, "1002 0102 0302 0001", "00 0102 0000 060a 0000 02aabbfffeccdd01 1003 a1a2a3 0302 0009 1000 1001 b1 01");
	while (babel_parse_trailer(&p.parser, &t)) {
		strcat(got, describe(&t));
		strcat(got, "; ");
	}
	assert_string_equal(got, "mac a1a2a3; mac b1; ");
	assert_false(p.parser.broken);		/* padding behind the MACs may be cut as it likes */
	assert_false(p.parser.has_router_id);
	assert_true(next(&p, &t));		/* each has its own place */
	assert_string_equal(describe(&t), "ack 1");
	assert_false(next(&p, &t));
	assert_int_equal(babel_body_end(p.data), 4 + 8);
	begin_from(&p, "fe80::1");
	assert_true(next(&p, &t));
	assert_true(babel_parse_trailer(&p.parser, &t));
	packet_done(&p);
}

#define V6A "0812 02 80 40 00 0640 0001 ffff fd00000c00000000 "	/* P, retracted: needs no router-id */

/* C1: who sets which next hop. */
static void next_hops(void **state)
{
	(void)state;
	assert_body(ID "0712 02 00 20010db8000000000000000000000009 080a 02 00 00 00 0640 0001 0000 080a 04 00 00 00 0640 0001 0000",
		    "::/0 via 2001:db8::9 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; "
		    "0.0.0.0/0 (6) via 2001:db8::9 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 0);
	assert_body(ID HOP4 "070a 03 00 0000000000000009 080a 02 00 00 00 0640 0001 0000 080a 01 00 00 00 0640 0001 0000",
		    "::/0 via fe80::9 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; "
		    "0.0.0.0/0 via 192.0.2.1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 0);
	/* A mandatory sub-TLV nobody knows, or one cut short, ignores the TLV, but what it says of the state is said. */
	assert_body(ID "0708 01 00 c0000207 c800 080a 01 00 00 00 0640 0001 0000",
		    "0.0.0.0/0 via 192.0.2.7 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 1);
	assert_body("060b 0000 02aabbfffeccdd01 05 080a 02 00 00 00 0640 0001 0000",
		    "::/0 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 1);
	/* An illegal router-id is none: what stands behind it has none either. */
	assert_body(ID "060a 0000 ffffffffffffffff 080a 02 00 00 00 0640 0001 0000", "", 2);
}

/* Over IPv4 it is the other next hop that is there from the start. */
static void carried_over_ipv4(void **state)
{
	struct packet p;
	struct babel_tlv t;

	(void)state;
	packet_init(&p, ID "080a 01 00 00 00 0640 0001 0000 080a 02 00 00 00 0640 0001 0000 080a 04 00 00 00 0640 0001 0000", NULL);
	begin_from(&p, "192.0.2.1");
	assert_true(next(&p, &t));
	assert_string_equal(describe(&t), "0.0.0.0/0 via 192.0.2.1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600");
	assert_false(next(&p, &t));
	assert_int_equal(p.parser.ignored, 2);
	packet_done(&p);
}

/* C2, C3, and the rest of the order of decoding. */
static void update_state(void **state)
{
	(void)state;
	/* C2: ignored for its sub-TLV, and a default all the same. */
	assert_body("0810 02 80 20 00 0640 0001 ffff 20010db8 c800 080e 02 00 40 04 0640 0001 ffff 00000001",
		    "2001:db8:0:1::/64 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 1);
	/* Ignored for lack of a router-id. */
	assert_body("0812 02 80 40 00 0640 0001 0000 fd00000c00000000 080c 02 00 40 06 0640 0001 ffff 0001",
		    "fd00:c:0:1::/64 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 1);
	/* ... of an interval. */
	assert_body("0812 02 80 40 00 0000 0001 ffff fd00000c00000000 080c 02 00 40 06 0640 0001 ffff 0001",
		    "fd00:c:0:1::/64 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 1);
	/* ... of a next hop. C3: finite it is ignored, and retracted it is not. */
	assert_body(ID "080d 01 80 18 00 0640 0001 0000 0a0102 080b 01 00 18 02 0640 0001 ffff 03",
		    "10.1.3.0/24 via - id 02aabbfffeccdd01 seqno 1 metric 65535 every 1600; ", 1);
	/* AE 1 and AE 4 have defaults of their own. */
	assert_body("080d 01 80 18 00 0640 0001 ffff 0a0102 080b 04 00 18 02 0640 0001 ffff 03",
		    "10.1.2.0/24 via - id 0000000000000000 seqno 1 metric 65535 every 1600; ", 1);
	assert_body("080d 04 80 18 00 0640 0001 ffff 0a0102 080b 04 00 18 02 0640 0001 ffff 03",
		    "10.1.2.0/24 (6) via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; "
		    "10.1.3.0/24 (6) via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 0);
	/* Without the flag it is no default; what is masked away does not come back out of it. */
	assert_body("0812 02 00 40 00 0640 0001 ffff fd00000c00000000 080c 02 00 40 06 0640 0001 ffff 0001",
		    "fd00:c::/64 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 1);
	assert_body("080c 02 80 0c 00 0640 0001 ffff fdff 080a 02 00 10 02 0640 0001 ffff",
		    "fdf0::/12 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; "
		    "fdf0::/16 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 0);
	/* The last octet may be left out whole though not all of it counts. */
	assert_body(V6A "080a 02 00 0c 02 0640 0001 ffff",
		    "fd00:c::/64 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; "
		    "fd00::/12 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 0);
	/* More left out than there is. */
	assert_body(V6A "080a 02 00 08 02 0640 0001 ffff",
		    "fd00:c::/64 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; ", 1);
	/* Retractions take along what router-id there is, and wildcards too. */
	assert_body(ID "080a 00 00 00 00 ffff 0001 ffff", "* via - id 02aabbfffeccdd01 seqno 1 metric 65535 every 65535; ", 0);
}

/* The R flag, by family; what it leaves behind may be illegal. */
static void router_id_flag(void **state)
{
	(void)state;
	assert_body("081a 02 40 80 00 0640 0001 0000 20010db80000000002aabbfffeccdd01",
		    "2001:db8::2aa:bbff:fecc:dd01/128 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 0);
	assert_body(HOP4 "080d 01 40 18 00 0640 0001 0000 0a0102",
		    "10.1.2.0/24 via 192.0.2.1 id 000000000a010200 seqno 1 metric 0 every 1600; ", 0);
	assert_body(ID "080a 02 40 00 00 0640 0001 0000 080a 02 00 00 00 0640 0001 0000", "", 2);
	assert_body("081c 02 40 80 00 0640 0001 0000 20010db80000000002aabbfffeccdd01 c800 080a 02 00 00 00 0640 0001 0000",
		    "::/0 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 1);
	assert_body("0812 03 c0 80 00 0640 0001 0000 02aabbfffeccdd01 080b 02 00 10 01 0640 0001 ffff 01",
		    "fe80::2aa:bbff:fecc:dd01/128 via fe80::1 id 02aabbfffeccdd01 seqno 1 metric 0 every 1600; ", 1);
}

/* RFC 9079: where a source prefix may stand, and how. */
static void source_prefixes(void **state)
{
	static const struct {
		const char *sub;
		const char *src;	/* NULL: kills the TLV */
	} c[] = {
		/*  1 */ { "80 05 20 20010db8", "2001:db8::/32" },
		/*  2 */ { "80 05 1d 20010dbf", "2001:db8::/29" },		/* masked */
		/*  3 */ { "80 08 20 20010db8 ffffff", "2001:db8::/32" },	/* more than there must be */
		/*  4 */ { "80 02 01 ff", "8000::/1" },
		/*  5 */ { "80 11 80 20010db8000000000000000000000001", "2001:db8::1/128" },
		/*  6 */ { "80 01 00", NULL },					/* of length 0 */
		/*  7 */ { "80 00", NULL },
		/*  8 */ { "80 04 20 20010d", NULL },
		/*  9 */ { "80 12 81 20010db80000000000000000000000ffff", NULL },
		/* 10 */ { "80 05 20 20010db8 80 05 20 20010db8", NULL },	/* two */
		/* 11 */ { "00 01 02 0000 80 05 20 20010db8 03 01 00", "2001:db8::/32" },
	};
	static const struct {
		unsigned int type, len;
		const char *text;
	} tlvs[] = {
		{ 8, 10, "02 00 00 00 0640 0001 ffff" },
		{ 9, 2, "02 00" },
		{ 10, 14, "02 00 0007 40 00 02aabbfffeccdd01" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		for (size_t k = 0; k < COUNT(tlvs); k++) {
			struct packet p;
			struct babel_tlv t;
			char body[256], src[PREFIX_TEXT_MAX];
			size_t sub_len = 0;

			for (const char *s = c[i].sub; *s; s++)
				sub_len += *s != ' ';
			sprintf(body, "%02x%02x %s %s", tlvs[k].type, tlvs[k].len + (unsigned int)sub_len / 2, tlvs[k].text, c[i].sub);
			packet_init(&p, body, NULL);
			if (next(&p, &t) != !!c[i].src)
				fail_msg("case %zu, TLV %zu", i + 1, k);
			if (c[i].src)
				assert_string_equal(ip_prefix_format(&t.prefix.src, src), c[i].src);
			packet_done(&p);
		}
	}
	/* IPv4's is of IPv4, by either encoding; elsewhere it is something mandatory nobody knows. */
	assert_body("0906 01 00 80 02 08 0a  0906 04 00 80 02 08 0a  090a 01 00 80 06 21 0a00000000",
		    "route? 0.0.0.0/0 from 10.0.0.0/8; route? 0.0.0.0/0 from 10.0.0.0/8 (6); ", 1);
	assert_body("0409 0000 0001 0190 80 01 00  0409 0000 0001 0190 03 01 00", "hello 1 400; ", 1);
}

/* Timestamps (RFC 9616): too short is none, more than there must be is one, and elsewhere they are nobody's business. */
static void timestamps(void **state)
{
	(void)state;
	assert_body("040b 0000 0001 0190 03 03 010203", "hello 1 400; ", 0);
	assert_body("040d 0000 0001 0190 03 05 01020304ff", "hello 1 400 at 1020304 0 0; ", 0);
	assert_body("0412 0000 0001 0190 03 04 01020304 03 04 05060708", "hello 1 400 at 1020304 0 0; ", 0);
	assert_body("050f 00 00 0060 04b0 03 07 01020304050607", "ihu any 96 1200; ", 0);
	assert_body("0308 0001 03 04 01020304", "ack 1; ", 0);
	assert_body("040b 0000 0001 0190 03 04 010203", "", 1);		/* runs past the TLV */
}

/* S1, S4: sub-TLVs of every kind, in all orders, behind every TLV that may have some. */
static void sub_tlvs(void **state)
{
	static const struct {
		unsigned int type;
		const char *text;	/* of the natural end */
		const char *want;
	} tlvs[] = {
		{ 2, "0000 1234 0014", "ack? 4660 20; " },
		{ 3, "1234", "ack 4660; " },
		{ 4, "0000 0001 0190", "hello 1 400; " },
		{ 5, "03 00 0060 04b0 0000000000000002", "ihu fe80::2 96 1200; " },
		{ 6, "0000 0101010101010101", "" },
		{ 7, "02 00 20010db8000000000000000000000009", "" },
		{ 8, "02 80 20 00 0640 0001 ffff 20010db8", "2001:db8::/32 via fe80::1 id 0000000000000000 seqno 1 metric 65535 every 1600; " },
		{ 9, "02 20 20010db8", "route? 2001:db8::/32; " },
		{ 10, "02 20 0007 40 00 02aabbfffeccdd01 20010db8", "seqno? 2001:db8::/32 id 02aabbfffeccdd01 7 hops 64; " },
	};
	static const char *const subs[] = { "01 03 000000", "00", "64 02 0102", "c8 02 0102" };	/* PadN, Pad1, one to skip, a mandatory one */
	enum { ORDERS = 4 * 4 * 4 * 4 };

	(void)state;
	for (size_t i = 0; i < COUNT(tlvs); i++) {
		for (unsigned int order = 0; order < ORDERS; order++) {
			char text[256], body[600];
			unsigned int digits = 0;
			bool mandatory = false;

			strcpy(text, tlvs[i].text);
			for (unsigned int k = 0; k < 4; k++) {
				unsigned int which = order >> 2 * k & 3;

				strcat(strcat(text, " "), subs[which]);
				mandatory |= which == 3;
			}
			for (const char *s = text; *s; s++)
				digits += *s != ' ';
			snprintf(body, sizeof(body), "%02x%02x %s", tlvs[i].type, digits / 2, text);
			assert_body(body, mandatory ? "" : tlvs[i].want, mandatory);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_read),
		cmocka_unit_test(headers),
		cmocka_unit_test(framing),
		cmocka_unit_test(ignored_alone),
		cmocka_unit_test(passed_over),
		cmocka_unit_test(trailer),
		cmocka_unit_test(next_hops),
		cmocka_unit_test(carried_over_ipv4),
		cmocka_unit_test(update_state),
		cmocka_unit_test(router_id_flag),
		cmocka_unit_test(source_prefixes),
		cmocka_unit_test(timestamps),
		cmocka_unit_test(sub_tlvs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
