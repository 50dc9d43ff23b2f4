/* SPDX-License-Identifier: MIT */
/* Mesh control messages: their very bytes, back and forth, cut off, too long, and with values that mean nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/mesh.h"

/* Any of them, for what is the same with all. */
union any {
	struct mesh_capabilities capabilities;
	struct mesh_probe probe;
	struct mesh_reply reply;
	struct mesh_open open;
	struct mesh_report report;
};

/* Read from memory of exactly 'len' bytes. */
static bool read_any(unsigned int kind, union any *m, const uint8_t *msg, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool good = false;

	assert_non_null(copy);
	memcpy(copy, msg, len);
	switch (kind) {
	case MESH_CAPABILITIES: good = mesh_capabilities_read(&m->capabilities, copy, len); break;
	case MESH_PROBE: good = mesh_probe_read(&m->probe, copy, len); break;
	case MESH_REPLY: good = mesh_reply_read(&m->reply, copy, len); break;
	case MESH_OPEN: good = mesh_open_read(&m->open, copy, len); break;
	case MESH_REPORT: good = mesh_report_read(&m->report, copy, len); break;
	}
	free(copy);
	return good;
}

static size_t write_any(unsigned int kind, uint8_t *msg, const union any *m)
{
	switch (kind) {
	case MESH_CAPABILITIES: return mesh_capabilities_write(msg, &m->capabilities);
	case MESH_PROBE: return mesh_probe_write(msg, &m->probe);
	case MESH_REPLY: return mesh_reply_write(msg, &m->reply);
	case MESH_OPEN: return mesh_open_write(msg, &m->open);
	case MESH_REPORT: return mesh_report_write(msg, &m->report);
	default: return 0;
	}
}

/* The messages as they are on the wire; the tests below say what is in them. */
static const struct golden {
	size_t len;
	uint8_t msg[32];
} golden[] = {
	/* 0 */ { 24, { 1, 11, 32, 4, 0x6c, 0xca, 1, 0, 192, 0, 2, 7 } },
	/* 1 */ { 24, { 1, 5, 126, 6, 1, 0, 0xfe, 0xff, 0x20, 1, 0xd, 0xb8, [23] = 9 } },
	/* 2 */ { 24, { 1 } },
	/* 3 */ { 16, { 2, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 8, 7, 6, 5, 4, 3, 2, 1 } },
	/* 4 */ { 24, { 3, 2, 0, 0, 0x44, 0x33, 0x22, 0x11, 8, 7, 6, 5, 4, 3, 2, 1, 0x88, 0x77, 0x66, 0x55 } },
	/* 5 */ { 4, { 5, 0, 12, 0 } },
	/* 6 */ { 10, { 5, 1, 3, 0, 0x34, 0x12, 0, 0, 0xff, 0xff } },
	/* 7 */ { 4, { 5, 1, 0, 0 } },
	/* 8 */ { 24, { 6, 16, 0x34, 0x12, 0x78, 0x56, 1, 0, 0x02, 0x80, [23] = 0x80 } },
};

enum { GOLDEN = sizeof(golden) / sizeof(golden[0]) };

static void round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOLDEN; i++) {
		unsigned int kind = golden[i].msg[0];
		uint8_t back[MESH_MESSAGE_MAX];
		union any m;

		memset(&m, 0xee, sizeof(m));
		memset(back, 0xee, sizeof(back));
		assert_int_equal(mesh_kind(golden[i].msg, golden[i].len), kind);
		assert_true(read_any(kind, &m, golden[i].msg, golden[i].len));
		assert_int_equal(write_any(kind, back, &m), golden[i].len);
		assert_memory_equal(back, golden[i].msg, golden[i].len);
		assert_int_equal(back[golden[i].len], 0xee);
	}
}

static void capabilities_fields(void **state)
{
	union any m;

	(void)state;
	assert_true(read_any(1, &m, golden[0].msg, 24));
	assert_true(m.capabilities.answer && m.capabilities.behind_nat && !m.capabilities.fresh && m.capabilities.prefix);
	assert_int_equal(m.capabilities.flow_sessions, 32);
	assert_int_equal(m.capabilities.features, MESH_FEATURE_ECN);
	assert_int_equal(m.capabilities.seen.addr.family, IP_V4);
	assert_memory_equal(m.capabilities.seen.addr.bytes, golden[0].msg + 8, 16);
	assert_int_equal(m.capabilities.seen.port, 51820);
	assert_int_equal(m.capabilities.seen.scope, 0);

	assert_true(read_any(1, &m, golden[1].msg, 24));
	assert_true(m.capabilities.answer && !m.capabilities.behind_nat && m.capabilities.fresh && !m.capabilities.prefix);
	assert_int_equal(m.capabilities.features, 0xfffe);
	assert_int_equal(m.capabilities.seen.addr.family, IP_V6);
	assert_memory_equal(m.capabilities.seen.addr.bytes, golden[1].msg + 8, 16);
	assert_int_equal(m.capabilities.seen.port, 1);

	assert_true(read_any(1, &m, golden[2].msg, 24));
	assert_true(!m.capabilities.answer && !m.capabilities.behind_nat);
	assert_int_equal(m.capabilities.seen.addr.family, IP_NONE);
}

/* Bytes an address does not have are not taken for some: endpoint_equal() and memcmp() must agree. */
static void seen_is_canonical(void **state)
{
	static const struct {
		uint8_t family, bytes;
		uint16_t port;
	} c[] = {
		/* 1 */ { 0, 0, 0 },
		/* 2 */ { 4, 4, 0xeeee },
		/* 3 */ { 6, 16, 0xeeee },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t msg[24], want[16] = { 0 };
		union any m;

		memset(msg, 0xee, sizeof(msg));
		memset(want, 0xee, c[i].bytes);
		msg[0] = 1;
		msg[3] = c[i].family;
		assert_true(read_any(1, &m, msg, 24));
		if (memcmp(m.capabilities.seen.addr.bytes, want, 16) || m.capabilities.seen.port != c[i].port ||
		    m.capabilities.seen.addr.family != c[i].family || m.capabilities.seen.scope != 0)
			fail_msg("case %zu", i + 1);
	}
}

static void writes_no_more_of_an_address(void **state)
{
	struct mesh_capabilities m = { .seen = { .port = 7, .scope = 3 } };
	uint8_t msg[24];
	static const uint8_t none[24] = { 1 };

	(void)state;
	memset(m.seen.addr.bytes, 0xee, 16);
	assert_int_equal(mesh_capabilities_write(msg, &m), 24);
	assert_memory_equal(msg, none, 24);
	m.seen.addr.family = IP_V4;
	mesh_capabilities_write(msg, &m);
	assert_memory_equal(msg + 12, none + 12, 12);
}

static void probe_and_reply_fields(void **state)
{
	union any m;

	(void)state;
	assert_true(read_any(2, &m, golden[3].msg, 16));
	assert_int_equal(m.probe.token, 0x11223344);
	assert_true(m.probe.stamp == UINT64_C(0x0102030405060708));

	assert_true(read_any(3, &m, golden[4].msg, 24));
	assert_int_equal(m.reply.ecn, 2);
	assert_int_equal(m.reply.token, 0x11223344);
	assert_true(m.reply.stamp == UINT64_C(0x0102030405060708));
	assert_int_equal(m.reply.own_token, 0x55667788);
}

static void open_fields(void **state)
{
	union any m;

	(void)state;
	assert_true(read_any(5, &m, golden[5].msg, 4));
	assert_false(m.open.announce);
	assert_int_equal(m.open.count, 12);
	assert_int_equal(m.open.ports[0], 0);

	assert_true(read_any(5, &m, golden[6].msg, 10));
	assert_true(m.open.announce);
	assert_int_equal(m.open.count, 3);
	assert_int_equal(m.open.ports[0], 0x1234);
	assert_int_equal(m.open.ports[1], 0);
	assert_int_equal(m.open.ports[2], 0xffff);
	assert_false(m.open.ready);
	assert_int_equal(m.open.ports[3], 0);
}

/* What stands behind a request is nothing of it. */
static void requests_have_no_ports(void **state)
{
	uint8_t msg[MESH_MESSAGE_MAX];
	union any m;

	(void)state;
	memcpy(msg, golden[6].msg, 10);
	msg[1] = 0;
	assert_true(read_any(5, &m, msg, 10));
	assert_int_equal(m.open.count, 3);
	for (size_t i = 0; i < MESH_SUB_SESSIONS_MAX; i++)
		assert_int_equal(m.open.ports[i], 0);
	m.open.ports[0] = 7;
	assert_int_equal(write_any(5, msg, &m), 4);
}

static void opens_all(void **state)
{
	uint8_t msg[MESH_MESSAGE_MAX];
	union any m = { .open = { .announce = true, .count = 126 } }, back;

	(void)state;
	for (uint16_t i = 0; i < 126; i++)
		m.open.ports[i] = (uint16_t)(1000 + 400 * i);
	assert_int_equal(write_any(5, msg, &m), 256);
	assert_true(read_any(5, &back, msg, 256));
	assert_int_equal(back.open.count, 126);
	assert_memory_equal(back.open.ports, m.open.ports, sizeof(m.open.ports));
	for (size_t len = 0; len < 256; len++)
		assert_false(read_any(5, &back, msg, len));
}

static void report_fields(void **state)
{
	union any m;

	(void)state;
	assert_true(read_any(6, &m, golden[8].msg, 24));
	assert_int_equal(m.report.want, 16);
	assert_int_equal(m.report.sequence, 0x1234);
	assert_int_equal(m.report.echo, 0x5678);
	assert_true(m.report.ce_on_not_ect);
	for (unsigned int i = 0; i < MESH_SUB_SESSION_BITS; i++)
		assert_int_equal(m.report.heard[i / 8] >> i % 8 & 1, i == 1 || i == 15 || i == 127);
}

/* Each flag by itself, in both directions. */
static void flags_alone(void **state)
{
	static const struct {
		uint8_t kind, at, bits;
	} c[] = {
		/* 1 */ { 1, 1, 1 },
		/* 2 */ { 1, 1, 2 },
		/* 3 */ { 5, 1, 1 },
		/* 4 */ { 6, 6, 1 },
		/* 5 */ { 5, 1, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t msg[24] = { c[i].kind }, back[MESH_MESSAGE_MAX];
		union any m;

		msg[c[i].at] = c[i].bits;
		assert_true(read_any(c[i].kind, &m, msg, 24));
		write_any(c[i].kind, back, &m);
		if (back[c[i].at] != c[i].bits)
			fail_msg("case %zu", i + 1);
	}
}

static void refuses_what_is_cut_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOLDEN; i++)
		for (size_t len = 0; len < golden[i].len; len++) {
			union any m, before;

			memset(&m, 0xee, sizeof(m));
			memset(&before, 0xee, sizeof(before));
			if (read_any(golden[i].msg[0], &m, golden[i].msg, len))
				fail_msg("message %zu, %zu bytes", i, len);
			assert_memory_equal(&m, &before, sizeof(m));
		}
}

/* Longer by padding or by fields of the future, and with flags of the future: the same is read. */
static void ignores_the_future(void **state)
{
	static const struct {
		size_t golden;
		uint8_t at, bits;
	} c[] = {
		/*  1 */ { 0, 1, 0xf0 },	/* flags nobody knows */
		/*  2 */ { 3, 1, 0xff },
		/*  3 */ { 3, 2, 0xff },	/* what is sent as zero */
		/*  4 */ { 3, 3, 0xff },
		/*  5 */ { 4, 2, 0xff },
		/*  6 */ { 4, 3, 0xff },
		/*  7 */ { 4, 20, 0xff },
		/*  8 */ { 4, 23, 0xff },
		/*  9 */ { 5, 1, 0xfc },
		/* 10 */ { 6, 1, 0xfc },
		/* 11 */ { 6, 3, 0xff },
		/* 12 */ { 8, 6, 0xfe },
		/* 13 */ { 8, 7, 0xff },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		const struct golden *g = &golden[c[i].golden];
		uint8_t msg[64], back[MESH_MESSAGE_MAX];
		union any m;

		memset(msg, 0xee, sizeof(msg));
		memcpy(msg, g->msg, g->len);
		msg[c[i].at] |= c[i].bits;
		for (size_t len = g->len; len <= sizeof(msg); len++)
			if (!read_any(msg[0], &m, msg, len) || write_any(msg[0], back, &m) != g->len ||
			    memcmp(back, g->msg, g->len))
				fail_msg("case %zu, %zu bytes", i + 1, len);
	}
}

static void judges_values(void **state)
{
	static const struct {
		size_t golden;
		uint8_t at, value;
		bool good;
		uint8_t read_as;	/* written again */
	} c[] = {
		/*  1 */ { 0, 3, 1, false, 0 },		/* families */
		/*  2 */ { 0, 3, 2, false, 0 },
		/*  3 */ { 0, 3, 5, false, 0 },
		/*  4 */ { 0, 3, 10, false, 0 },
		/*  5 */ { 0, 3, 255, false, 0 },
		/*  6 */ { 0, 3, 6, true, 6 },
		/*  7 */ { 0, 2, 0, true, 0 },		/* flow sessions */
		/*  8 */ { 0, 2, 126, true, 126 },
		/*  9 */ { 0, 2, 127, true, 126 },
		/* 10 */ { 0, 2, 255, true, 126 },
		/* 11 */ { 4, 1, 0, true, 0 },		/* ECN */
		/* 12 */ { 4, 1, 3, true, 3 },
		/* 13 */ { 4, 1, 4, false, 0 },
		/* 14 */ { 4, 1, 255, false, 0 },
		/* 15 */ { 5, 2, 126, true, 126 },	/* counts */
		/* 16 */ { 5, 2, 127, false, 0 },
		/* 17 */ { 5, 2, 255, false, 0 },
		/* 18 */ { 6, 2, 2, true, 2 },
		/* 19 */ { 6, 2, 4, false, 0 },
		/* 20 */ { 6, 2, 127, false, 0 },
		/* 21 */ { 8, 1, 126, true, 126 },	/* sub-sessions wanted */
		/* 22 */ { 8, 1, 127, true, 126 },
		/* 23 */ { 8, 1, 255, true, 126 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		const struct golden *g = &golden[c[i].golden];
		uint8_t msg[32], back[MESH_MESSAGE_MAX];
		union any m;
		bool good;

		memcpy(msg, g->msg, g->len);
		msg[c[i].at] = c[i].value;
		good = read_any(msg[0], &m, msg, g->len);
		if (good)
			write_any(msg[0], back, &m);
		if (good != c[i].good || (good && back[c[i].at] != c[i].read_as))
			fail_msg("case %zu", i + 1);
	}
	/* An announcement of 127, with all of its ports. */
	{
		uint8_t msg[4 + 2 * 127] = { 5, 1, 127 };
		union any m;

		assert_false(read_any(5, &m, msg, sizeof(msg)));
	}
}

static void tells_kinds(void **state)
{
	(void)state;
	assert_int_equal(mesh_kind(golden[0].msg, 0), 0);
	for (unsigned int first = 0; first < 256; first++) {
		uint8_t msg[MESH_MESSAGE_MAX] = { (uint8_t)first };
		union any m;

		assert_int_equal(mesh_kind(msg, 1), first < 16 ? first : 0);
		for (unsigned int kind = 1; kind <= 6; kind++)
			assert_int_equal(read_any(kind, &m, msg, sizeof(msg)), first == kind && kind != MESH_EXCHANGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(capabilities_fields),
		cmocka_unit_test(seen_is_canonical),
		cmocka_unit_test(writes_no_more_of_an_address),
		cmocka_unit_test(probe_and_reply_fields),
		cmocka_unit_test(open_fields),
		cmocka_unit_test(requests_have_no_ports),
		cmocka_unit_test(opens_all),
		cmocka_unit_test(report_fields),
		cmocka_unit_test(flags_alone),
		cmocka_unit_test(refuses_what_is_cut_off),
		cmocka_unit_test(ignores_the_future),
		cmocka_unit_test(judges_values),
		cmocka_unit_test(tells_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
