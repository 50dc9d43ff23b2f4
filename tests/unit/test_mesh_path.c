/* SPDX-License-Identifier: MIT */
/* Mesh control messages about paths: their very bytes, back and forth, cut off, longer, and with values that mean nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/mesh.h"

union any {
	struct mesh_path_probe probe;
	struct mesh_path_reply reply;
	struct mesh_path_report report;
	struct mesh_addresses addresses;
};

/* Read from memory of exactly 'len' bytes. */
static bool read_any(union any *m, const uint8_t *msg, size_t len)
{
	uint8_t kind = msg[0], *copy = malloc(len ? len : 1);
	bool good = false;

	assert_non_null(copy);
	memcpy(copy, msg, len);
	switch (kind) {
	case MESH_PATH_PROBE: good = mesh_path_probe_read(&m->probe, copy, len); break;
	case MESH_PATH_REPLY: good = mesh_path_reply_read(&m->reply, copy, len); break;
	case MESH_PATH_REPORT: good = mesh_path_report_read(&m->report, copy, len); break;
	case MESH_ADDRESSES: good = mesh_addresses_read(&m->addresses, copy, len); break;
	}
	free(copy);
	return good;
}

static size_t write_any(uint8_t kind, uint8_t *msg, const union any *m)
{
	switch (kind) {
	case MESH_PATH_PROBE: return mesh_path_probe_write(msg, &m->probe);
	case MESH_PATH_REPLY: return mesh_path_reply_write(msg, &m->reply);
	case MESH_PATH_REPORT: return mesh_path_report_write(msg, &m->report);
	case MESH_ADDRESSES: return mesh_addresses_write(msg, &m->addresses);
	default: return 0;
	}
}

static const struct golden {
	size_t len;
	uint8_t msg[60];
} golden[] = {
	/* 0 */ { 16, { 7, 1, 0x34, 0x12, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1 } },
	/* 1 */ { 56, { 8, 0, 0x34, 0x12, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 1, [24] = 2, [32] = 0x78, 0x56, 0x6c, 0xca, 4, [40] = 192, 0, 2, 7 } },
	/* 2 */ { 56, { 8, 0, 1, 0, [36] = 0 } },
	/* 3 */ { 36, { 9, 2, 7, 0, 1, 0, 0xff, 0xff, 2, 0, 3, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0xff, 0xff, 6, 0, 7, 0, 8, 0, 9, 0, 0, 0, 10, 0, 0, 0x80 } },
	/* 4 */ { 4, { 10, 0, 1, 0 } },
	/* 5 */ { 44, { 10, 2, 0xff, 0xff, 4, 1, 0x6c, 0xca, 192, 0, 2, 7, [24] = 6, 0, 1, 0, 0x20, 1, 0xd, 0xb8, [43] = 9 } },
};

enum { GOLDEN = sizeof(golden) / sizeof(golden[0]) };

static void round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOLDEN; i++) {
		uint8_t back[MESH_MESSAGE_MAX];
		union any m;

		memset(&m, 0xee, sizeof(m));
		memset(back, 0xee, sizeof(back));
		assert_true(read_any(&m, golden[i].msg, golden[i].len));
		assert_int_equal(write_any(golden[i].msg[0], back, &m), golden[i].len);
		assert_memory_equal(back, golden[i].msg, golden[i].len);
		assert_int_equal(back[golden[i].len], 0xee);
	}
}

static void fields(void **state)
{
	union any m;

	(void)state;
	assert_true(read_any(&m, golden[0].msg, 16));
	assert_true(m.probe.in_use);
	assert_int_equal(m.probe.path, 0x1234);
	assert_int_equal(m.probe.sequence, 0x01020304);
	assert_true(m.probe.sent_us == UINT64_C(0x0102030405060708));
	assert_true(read_any(&m, golden[1].msg, 56));
	assert_true(m.reply.received_us == 1 && m.reply.replied_us == 2);
	assert_int_equal(m.reply.own, 0x5678);
	assert_int_equal(m.reply.seen.port, 51820);
	assert_int_equal(m.reply.seen.addr.family, IP_V4);
	assert_memory_equal(m.reply.seen.addr.bytes, golden[1].msg + 40, 16);
	assert_true(read_any(&m, golden[3].msg, 36));
	assert_int_equal(m.report.sequence, 7);
	assert_int_equal(m.report.entries[0].loss, 65535);
	assert_int_equal(m.report.entries[0].late, 2);
	assert_int_equal(m.report.entries[0].jitter, 3);
	assert_int_equal(m.report.entries[0].heard, 4);
	assert_int_equal(m.report.entries[1].path, 65535);
	assert_int_equal(m.report.entries[1].rate, 0x8000000a);
	assert_true(read_any(&m, golden[5].msg, 44));
	assert_int_equal(m.addresses.count, 2);
	assert_true(m.addresses.entries[0].metered && !m.addresses.entries[1].metered);
	assert_int_equal(m.addresses.entries[1].endpoint.port, 1);
}

static void refuses_what_is_cut_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOLDEN; i++)
		for (size_t len = 1; len < golden[i].len; len++) {
			union any m, before;

			memset(&m, 0xee, sizeof(m));
			memset(&before, 0xee, sizeof(before));
			if (read_any(&m, golden[i].msg, len))
				fail_msg("message %zu, %zu bytes", i, len);
			assert_memory_equal(&m, &before, sizeof(m));
		}
}

/* A probe is padded to any length; and there may be flags of the future. */
static void ignores_the_future(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOLDEN; i++) {
		uint8_t msg[1500] = { 0 }, back[MESH_MESSAGE_MAX];
		union any m;

		memcpy(msg, golden[i].msg, golden[i].len);
		if (msg[0] == MESH_PATH_PROBE)
			msg[1] |= 0xfe;
		if (i == 5)
			msg[5] |= 0xfe;
		assert_true(read_any(&m, msg, sizeof(msg)));
		assert_int_equal(write_any(msg[0], back, &m), golden[i].len);
		assert_memory_equal(back, golden[i].msg, golden[i].len);
	}
}

static void judges_values(void **state)
{
	static const struct {
		size_t golden;
		uint8_t at, value;
		bool good;
	} c[] = {
		/*  1 */ { 2, 2, 0, false },	/* path 0 */
		/*  2 */ { 2, 36, 5, false },	/* families */
		/*  3 */ { 2, 36, 6, true },
		/*  4 */ { 3, 1, 0, false },	/* counts */
		/*  5 */ { 3, 1, 1, true },
		/*  6 */ { 3, 1, 3, false },
		/*  7 */ { 3, 1, 255, false },
		/*  8 */ { 3, 4, 0, false },	/* path 0 in an entry */
		/*  9 */ { 4, 1, 1, false },
		/* 10 */ { 5, 1, 3, false },
		/* 11 */ { 5, 1, 13, false },
		/* 12 */ { 5, 4, 0, false },	/* families */
		/* 13 */ { 5, 24, 7, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t msg[60];
		union any m;

		memcpy(msg, golden[c[i].golden].msg, sizeof(msg));
		msg[c[i].at] = c[i].value;
		if (read_any(&m, msg, golden[c[i].golden].len) != c[i].good)
			fail_msg("case %zu", i + 1);
	}
}

/* Addresses that mean nothing to somebody else are left out; those around them are not. */
static void leaves_addresses_out(void **state)
{
	static const struct {
		uint8_t family, port, bytes[16];
		bool good;
	} c[] = {
		/*  1 */ { 4, 1, { 192, 0, 2, 1 }, true },
		/*  2 */ { 4, 0, { 192, 0, 2, 1 }, false },
		/*  3 */ { 4, 1, { 0 }, false },
		/*  4 */ { 4, 1, { 127, 1 }, false },
		/*  5 */ { 4, 1, { 169, 254, 1, 1 }, false },
		/*  6 */ { 4, 1, { 169, 253, 1, 1 }, true },
		/*  7 */ { 4, 1, { 224, 0, 0, 1 }, false },
		/*  8 */ { 4, 1, { 255, 255, 255, 255 }, false },
		/*  9 */ { 6, 1, { 0 }, false },
		/* 10 */ { 6, 1, { [15] = 1 }, false },
		/* 11 */ { 6, 1, { 0xfe, 0x80, [15] = 1 }, false },
		/* 12 */ { 6, 1, { 0xff, 2, [15] = 1 }, false },
		/* 13 */ { 6, 1, { [10] = 0xff, 0xff, 192, 0, 2, 1 }, false },
		/* 14 */ { 6, 1, { 0xfd, [15] = 1 }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint8_t msg[64] = { 10, 3, 0, 0, 4, 0, 9, 0, 198, 51, 100, 1 };
		union any m;

		msg[24] = c[i].family;
		msg[26] = c[i].port;
		memcpy(msg + 28, c[i].bytes, 16);
		memcpy(msg + 44, msg + 4, 20);
		assert_true(read_any(&m, msg, sizeof(msg)));
		if (m.addresses.count != 2 + c[i].good || m.addresses.entries[m.addresses.count - 1].endpoint.port != 9)
			fail_msg("case %zu", i + 1);
	}
}

static void stamps(void **state)
{
	static const uint8_t stamp[8] = { 8, 7, 6, 5, 4, 3, 2, 1 };
	uint8_t probe[16] = { 7, 0, 1 }, reply[56] = { 8, 0, 1 }, other[56] = { 9, 1 }, before[56];

	(void)state;
	mesh_stamp(probe, sizeof(probe), UINT64_C(0x0102030405060708));
	assert_memory_equal(probe + 8, stamp, 8);
	mesh_stamp(reply, sizeof(reply), UINT64_C(0x0102030405060708));
	assert_memory_equal(reply + 24, stamp, 8);
	assert_int_equal(reply[23], 0);
	assert_int_equal(reply[32], 0);
	memcpy(before, other, sizeof(other));
	mesh_stamp(other, sizeof(other), UINT64_MAX);
	assert_memory_equal(other, before, sizeof(other));
	memcpy(before, reply, sizeof(reply));
	mesh_stamp(reply, 55, UINT64_MAX);
	mesh_stamp(reply, 0, UINT64_MAX);
	assert_memory_equal(reply, before, sizeof(reply));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(fields),
		cmocka_unit_test(refuses_what_is_cut_off),
		cmocka_unit_test(ignores_the_future),
		cmocka_unit_test(judges_values),
		cmocka_unit_test(leaves_addresses_out),
		cmocka_unit_test(stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
