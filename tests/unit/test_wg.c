/* SPDX-License-Identifier: MIT */
/* WireGuard's messages: bytes as the whitepaper draws them, round trips, and what is a message at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/wg.h"

/* Fill memory with bytes that all differ from their neighbours', starting at 'first'. */
static void count_up(void *p, size_t len, uint8_t first)
{
	uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(first + i);
}

static void assert_counts_up(const uint8_t *b, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(b[i], (uint8_t)(first + i));
}

static void assert_zero(const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(b[i], 0);
}

static void initiation_bytes(void **state)
{
	static const uint8_t head[8] = { 1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11 };
	struct wg_initiation m = { .sender = 0x11223344 }, back;
	uint8_t msg[WG_INITIATION_LEN];

	(void)state;
	count_up(m.ephemeral, 32, 1);
	count_up(m.static_sealed, 48, 70);
	count_up(m.timestamp_sealed, 28, 150);
	memset(msg, 0xee, sizeof(msg));
	wg_initiation_write(msg, &m);
	assert_memory_equal(msg, head, 8);
	assert_counts_up(msg + 8, 32, 1);
	assert_counts_up(msg + 40, 48, 70);
	assert_counts_up(msg + 88, 28, 150);
	assert_zero(msg + 116, 32);
	assert_int_equal(wg_classify(msg, sizeof(msg)), WG_INITIATION);

	memset(msg + 116, 0xee, 32);	/* whatever the MACs are, they are not fields */
	wg_initiation_read(&back, msg);
	assert_int_equal(back.sender, m.sender);
	assert_memory_equal(back.ephemeral, m.ephemeral, 32);
	assert_memory_equal(back.static_sealed, m.static_sealed, 48);
	assert_memory_equal(back.timestamp_sealed, m.timestamp_sealed, 28);
}

static void response_bytes(void **state)
{
	static const uint8_t head[12] = { 2, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55 };
	struct wg_response m = { .sender = 0x11223344, .receiver = 0x55667788 }, back;
	uint8_t msg[WG_RESPONSE_LEN];

	(void)state;
	count_up(m.ephemeral, 32, 1);
	count_up(m.empty_sealed, 16, 70);
	memset(msg, 0xee, sizeof(msg));
	wg_response_write(msg, &m);
	assert_memory_equal(msg, head, 12);
	assert_counts_up(msg + 12, 32, 1);
	assert_counts_up(msg + 44, 16, 70);
	assert_zero(msg + 60, 32);
	assert_int_equal(wg_classify(msg, sizeof(msg)), WG_RESPONSE);

	wg_response_read(&back, msg);
	assert_int_equal(back.sender, m.sender);
	assert_int_equal(back.receiver, m.receiver);
	assert_memory_equal(back.ephemeral, m.ephemeral, 32);
	assert_memory_equal(back.empty_sealed, m.empty_sealed, 16);
}

static void cookie_reply_bytes(void **state)
{
	static const uint8_t head[8] = { 3, 0, 0, 0, 0x44, 0x33, 0x22, 0x11 };
	struct wg_cookie_reply m = { .receiver = 0x11223344 }, back;
	uint8_t msg[WG_COOKIE_REPLY_LEN];

	(void)state;
	count_up(m.nonce, 24, 1);
	count_up(m.cookie_sealed, 32, 70);
	memset(msg, 0xee, sizeof(msg));
	wg_cookie_reply_write(msg, &m);
	assert_memory_equal(msg, head, 8);
	assert_counts_up(msg + 8, 24, 1);
	assert_counts_up(msg + 32, 32, 70);
	assert_int_equal(wg_classify(msg, sizeof(msg)), WG_COOKIE_REPLY);

	wg_cookie_reply_read(&back, msg);
	assert_int_equal(back.receiver, m.receiver);
	assert_memory_equal(back.nonce, m.nonce, 24);
	assert_memory_equal(back.cookie_sealed, m.cookie_sealed, 32);
}

static void data_bytes(void **state)
{
	static const uint8_t head[16] = { 4, 0, 0, 0, 0x44, 0x33, 0x22, 0x11,
					  0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01 };
	uint8_t msg[WG_DATA_HEADER + 1];

	(void)state;
	memset(msg, 0xee, sizeof(msg));
	wg_data_header_write(msg, 0x11223344, UINT64_C(0x0102030405060708));
	assert_memory_equal(msg, head, 16);
	assert_int_equal(msg[16], 0xee);
	assert_int_equal(wg_data_receiver(msg), 0x11223344);
	assert_true(wg_data_counter(msg) == UINT64_C(0x0102030405060708));
	wg_data_header_write(msg, UINT32_MAX, UINT64_MAX);
	assert_true(wg_data_receiver(msg) == UINT32_MAX);
	assert_true(wg_data_counter(msg) == UINT64_MAX);
}

static unsigned int expected(unsigned int type, size_t len)
{
	switch (type) {
	case 1:
		return len == 148 ? 1 : 0;
	case 2:
		return len == 92 ? 2 : 0;
	case 3:
		return len == 64 ? 3 : 0;
	case 4:
		return len >= 32 ? 4 : 0;
	default:
		return 0;
	}
}

/* Every type byte with every length; each message in memory of exactly its length, so that a stray read shows. */
static void classify(void **state)
{
	int taken = 0;

	(void)state;
	assert_int_equal(wg_classify((const uint8_t *)"", 0), 0);
	for (size_t len = 1; len <= 200; len++) {
		uint8_t *msg = calloc(1, len);

		assert_non_null(msg);
		for (unsigned int type = 0; type < 256; type++) {
			msg[0] = (uint8_t)type;
			if (wg_classify(msg, len) != expected(type, len))
				fail_msg("type %u, length %zu", type, len);
			taken += expected(type, len) != 0;
			for (size_t at = 1; at < 4 && at < len; at++) {
				msg[at] = (uint8_t)(type | 1);
				assert_int_equal(wg_classify(msg, len), 0);
				msg[at] = 0;
			}
		}
		free(msg);
	}
	assert_int_equal(taken, 3 + 169);
}

static void classify_large(void **state)
{
	static uint8_t msg[65535] = { WG_DATA };

	(void)state;
	assert_int_equal(wg_classify(msg, sizeof(msg)), WG_DATA);
	assert_int_equal(wg_classify(msg, sizeof(msg) - 1), WG_DATA);
	msg[0] = WG_INITIATION;
	assert_int_equal(wg_classify(msg, sizeof(msg)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initiation_bytes),
		cmocka_unit_test(response_bytes),
		cmocka_unit_test(cookie_reply_bytes),
		cmocka_unit_test(data_bytes),
		cmocka_unit_test(classify),
		cmocka_unit_test(classify_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
