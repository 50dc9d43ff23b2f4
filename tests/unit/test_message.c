/* SPDX-License-Identifier: MIT */
/* Messages of the exchange: there and back, and what is not taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "exchange/message.h"
#include "exchange/token.h"
#include "proto/exchange.pb-c.h"

static uint8_t kept[MESSAGE_MAX];

/* Read from memory of exactly 'len' bytes. */
static bool read_exact(struct message *m, const uint8_t *msg, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool good;

	assert_non_null(copy);
	memcpy(copy, msg, len);
	memset(m, 0xa5, sizeof(*m));
	good = message_read(m, copy, len, kept);
	free(copy);
	return good;
}

/* Write, read again from padded bytes; every shorter cut is refused. */
static void go_round(const struct message *m, struct message *back)
{
	uint8_t msg[MESSAGE_MAX + 16] = { 0 };
	size_t len = message_write(msg, m);

	assert_in_range(len, MESSAGE_HEADER, MESSAGE_MAX);
	assert_int_equal(msg[0], 4);
	assert_int_equal(msg[1], 0);
	assert_int_equal(msg[2] | msg[3] << 8, len - MESSAGE_HEADER);
	for (size_t cut = 0; cut < len; cut++)
		assert_false(read_exact(back, msg, cut));
	assert_true(read_exact(back, msg, len + 16));
	assert_int_equal(back->kind, m->kind);
}

static bool comes_through(const struct message *m)
{
	uint8_t msg[MESSAGE_MAX];
	struct message back;
	size_t len = message_write(msg, m);

	return len && read_exact(&back, msg, len);
}

static void summaries(void **state)
{
	struct message m = { .kind = MESSAGE_SUMMARY, .summary = { .items = 77 } }, back;

	(void)state;
	memset(m.summary.digest, 0x31, sizeof(m.summary.digest));
	go_round(&m, &back);
	assert_memory_equal(back.summary.digest, m.summary.digest, MESSAGE_DIGEST_LEN);
	assert_int_equal(back.summary.items, 77);
}

static void digests(void **state)
{
	struct message m = { .kind = MESSAGE_DIGESTS }, back;

	(void)state;
	for (size_t i = 0; i < MESSAGE_BUCKETS; i++)
		memset(m.digests.v[i], (int)i, ITEM_SHORT_ID);
	go_round(&m, &back);
	assert_memory_equal(back.digests.v, m.digests.v, sizeof(m.digests.v));
}

static void fill_list(struct message *m, size_t count)
{
	*m = (struct message){ .kind = MESSAGE_LIST, .list = { .count = count } };
	memset(m->list.last, 0xff, ITEM_SHORT_ID);
	for (size_t i = 0; i < count; i++)
		m->list.ids[i][2] = (uint8_t)(i + 1);
}

static void lists(void **state)
{
	struct message m, back;

	(void)state;
	fill_list(&m, MESSAGE_IDS_MAX);
	m.list.answer = true;
	go_round(&m, &back);
	assert_int_equal(back.list.count, MESSAGE_IDS_MAX);
	assert_memory_equal(back.list.ids, m.list.ids, sizeof(m.list.ids));
	assert_memory_equal(back.list.last, m.list.last, ITEM_SHORT_ID);
	assert_true(back.list.answer);
	fill_list(&m, 0);
	go_round(&m, &back);
	assert_int_equal(back.list.count, 0);
	/* The ends belong to it. */
	fill_list(&m, 2);
	memcpy(m.list.first, m.list.ids[0], ITEM_SHORT_ID);
	memcpy(m.list.last, m.list.ids[1], ITEM_SHORT_ID);
	go_round(&m, &back);
}

static void lists_out_of_order(void **state)
{
	struct message m;

	(void)state;
	fill_list(&m, 3);
	assert_true(comes_through(&m));
	memcpy(m.list.ids[1], m.list.ids[0], ITEM_SHORT_ID);
	assert_false(comes_through(&m));
	fill_list(&m, 3);
	m.list.ids[2][2] = 1;
	assert_false(comes_through(&m));
	/* Beyond the range. */
	fill_list(&m, 3);
	m.list.first[2] = 2;
	assert_false(comes_through(&m));
	fill_list(&m, 3);
	memset(m.list.last, 0, ITEM_SHORT_ID);
	m.list.last[2] = 2;
	assert_false(comes_through(&m));
	/* Its end before its beginning. */
	fill_list(&m, 0);
	memset(m.list.first, 1, ITEM_SHORT_ID);
	memset(m.list.last, 0, ITEM_SHORT_ID);
	assert_false(comes_through(&m));
	fill_list(&m, 3);
	m.list.count = MESSAGE_IDS_MAX + 1;
	assert_false(comes_through(&m));
}

static void wants(void **state)
{
	struct message m = { .kind = MESSAGE_WANT, .want = { .count = MESSAGE_WANT_MAX, .offset = 3000 } }, back;

	(void)state;
	memset(m.want.ids, 9, sizeof(m.want.ids));
	go_round(&m, &back);
	assert_int_equal(back.want.count, MESSAGE_WANT_MAX);
	assert_int_equal(back.want.offset, 3000);
	assert_memory_equal(back.want.ids, m.want.ids, sizeof(m.want.ids));
	m.want.offset = ITEM_MAX;
	assert_false(comes_through(&m));
	m.want.offset = 0;
	m.want.count = 0;
	assert_false(comes_through(&m));
	m.want.count = MESSAGE_WANT_MAX + 1;
	assert_false(comes_through(&m));
}

static void pieces(void **state)
{
	uint8_t data[MESSAGE_PIECE_MAX];
	struct message m = { .kind = MESSAGE_PIECE }, back;

	(void)state;
	memset(data, 0x42, sizeof(data));
	memset(m.piece.id, 3, ITEM_SHORT_ID);
	m.piece.total = ITEM_MAX;
	m.piece.offset = ITEM_MAX - MESSAGE_PIECE_MAX;
	m.piece.data = data;
	m.piece.len = MESSAGE_PIECE_MAX;
	go_round(&m, &back);
	assert_int_equal(back.piece.total, ITEM_MAX);
	assert_int_equal(back.piece.offset, ITEM_MAX - MESSAGE_PIECE_MAX);
	assert_int_equal(back.piece.len, MESSAGE_PIECE_MAX);
	assert_ptr_equal(back.piece.data, kept);
	assert_memory_equal(back.piece.data, data, sizeof(data));
	m.piece.offset++;
	assert_false(comes_through(&m));
	m.piece.offset = UINT32_MAX;
	assert_false(comes_through(&m));
	m.piece.offset = 0;
	m.piece.total = ITEM_MAX + 1;
	assert_false(comes_through(&m));
	m.piece.total = 100;
	assert_false(comes_through(&m));
	m.piece.len = 0;
	assert_false(comes_through(&m));
	m.piece.total = ITEM_MAX;
	m.piece.len = MESSAGE_PIECE_MAX + 1;
	assert_false(comes_through(&m));
}

static struct record_endpoint an_endpoint(unsigned int i)
{
	return (struct record_endpoint){
		.endpoint = { .addr = { .family = IP_V6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = (uint8_t)(i + 1) } }, .port = 51820 },
		.cost_ms = i, .seen = i & 1, .metered = i & 2,
	};
}

static void punches(void **state)
{
	struct message m = { .kind = MESSAGE_ROUTED_PUNCH, .hops = MESSAGE_HOPS_MAX, .punch = { .count = MESSAGE_PUNCH_MAX, .answer = true } }, back;

	(void)state;
	memset(m.to, 1, KEY_LEN);
	memset(m.from, 2, KEY_LEN);
	for (unsigned int i = 0; i < MESSAGE_PUNCH_MAX; i++)
		m.punch.endpoints[i] = an_endpoint(i);
	go_round(&m, &back);
	assert_memory_equal(back.to, m.to, KEY_LEN);
	assert_memory_equal(back.from, m.from, KEY_LEN);
	assert_int_equal(back.hops, MESSAGE_HOPS_MAX);
	assert_true(back.punch.answer);
	assert_int_equal(back.punch.count, MESSAGE_PUNCH_MAX);
	for (unsigned int i = 0; i < MESSAGE_PUNCH_MAX; i++) {
		assert_true(endpoint_equal(&back.punch.endpoints[i].endpoint, &m.punch.endpoints[i].endpoint));
		assert_int_equal(back.punch.endpoints[i].seen, i & 1);
		assert_int_equal(back.punch.endpoints[i].metered, (i & 2) != 0);
	}
	m.hops++;
	assert_false(comes_through(&m));
	m.hops = 0;
	assert_true(comes_through(&m));
	m.punch.endpoints[3].endpoint.port = 0;
	assert_false(comes_through(&m));
	m.punch.endpoints[3] = an_endpoint(3);
	memset(m.to, 0, KEY_LEN);
	assert_false(comes_through(&m));
}

static void joins(void **state)
{
	uint8_t data[MESSAGE_MAX];
	struct message m = { .kind = MESSAGE_ROUTED_JOIN, .hops = 3, .join = { .answer = true, .total = JOIN_MAX, .want = 7 } }, back;

	(void)state;
	memset(data, 0x17, sizeof(data));
	memset(m.to, 1, KEY_LEN);
	memset(m.from, 2, KEY_LEN);
	memset(m.join.token, 3, KEY_LEN);
	m.join.data = data;
	m.join.len = 900;
	m.join.offset = JOIN_MAX - 900;
	for (int routed = 1; routed >= 0; routed--) {
		m.kind = routed ? MESSAGE_ROUTED_JOIN : MESSAGE_JOIN;
		go_round(&m, &back);
		assert_int_equal(back.hops, routed ? 3 : 0);
		assert_true(back.join.answer);
		assert_memory_equal(back.join.token, m.join.token, KEY_LEN);
		assert_int_equal(back.join.total, JOIN_MAX);
		assert_int_equal(back.join.offset, JOIN_MAX - 900);
		assert_int_equal(back.join.want, 7);
		assert_int_equal(back.join.len, 900);
		assert_memory_equal(back.join.data, data, 900);
	}
	m.join.offset++;
	assert_false(comes_through(&m));
	m.join.offset = 0;
	m.join.len = MESSAGE_MAX;
	assert_int_equal(message_write((uint8_t[MESSAGE_MAX]){ 0 }, &m), 0);
	m.join.len = 10;
	m.join.total = JOIN_MAX + 1;
	assert_false(comes_through(&m));
	m.join.total = 10;
	assert_true(comes_through(&m));
	m.join.want = JOIN_MAX + 1;
	assert_false(comes_through(&m));
	m.join.want = 0;
	memset(m.join.token, 0, KEY_LEN);
	assert_false(comes_through(&m));
}

/* Of a later meshd: no fault. Field 15, a string; an empty message; another kind; a length that lies; not protobuf. */
static void others(void **state)
{
	static const uint8_t later[] = { 4, 0, 4, 0, 0x7a, 2, 'h', 'i' }, empty[] = { 4, 0, 0, 0 }, other[] = { 5, 0, 0, 0 }, ip[] = { 0x45, 0, 0, 0 },
			     lies[] = { 4, 0, 5, 0, 0x7a, 2, 'h', 'i' }, broken[] = { 4, 0, 4, 0, 0x7a, 3, 'h', 'i' }, header[] = { 4, 0, 0 };
	struct message m;

	(void)state;
	assert_true(read_exact(&m, later, sizeof(later)));
	assert_int_equal(m.kind, MESSAGE_NONE);
	assert_true(read_exact(&m, empty, sizeof(empty)));
	assert_int_equal(m.kind, MESSAGE_NONE);
	assert_false(read_exact(&m, other, sizeof(other)));
	assert_false(read_exact(&m, ip, sizeof(ip)));
	assert_false(read_exact(&m, lies, sizeof(lies)));
	assert_false(read_exact(&m, broken, sizeof(broken)));
	assert_false(read_exact(&m, header, sizeof(header)));
	assert_int_equal(message_write((uint8_t[MESSAGE_MAX]){ 0 }, &(struct message){ .kind = MESSAGE_NONE }), 0);
}

/* What a sender of ours would not write: bytes of the wrong length. */
static void wrong_lengths(void **state)
{
	Meshd__Exchange__Message p = MESHD__EXCHANGE__MESSAGE__INIT;
	Meshd__Exchange__Summary s = MESHD__EXCHANGE__SUMMARY__INIT;
	Meshd__Exchange__Want w = MESHD__EXCHANGE__WANT__INIT;
	uint8_t bytes[64] = { 1 }, msg[MESSAGE_MAX] = { 4 };
	struct message m;

	(void)state;
	for (size_t len = 14; len < 19; len++) {
		s.digest.data = bytes;
		s.digest.len = len;
		p.kind_case = MESHD__EXCHANGE__MESSAGE__KIND_SUMMARY;
		p.summary = &s;
		msg[2] = (uint8_t)meshd__exchange__message__pack(&p, msg + MESSAGE_HEADER);
		assert_int_equal(read_exact(&m, msg, sizeof(msg)), len == MESSAGE_DIGEST_LEN);
		w.ids.data = bytes;
		w.ids.len = len;
		p.kind_case = MESHD__EXCHANGE__MESSAGE__KIND_WANT;
		p.want = &w;
		msg[2] = (uint8_t)meshd__exchange__message__pack(&p, msg + MESSAGE_HEADER);
		assert_int_equal(read_exact(&m, msg, sizeof(msg)), len == 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(summaries), cmocka_unit_test(digests), cmocka_unit_test(lists), cmocka_unit_test(lists_out_of_order),
		cmocka_unit_test(wants), cmocka_unit_test(pieces), cmocka_unit_test(punches), cmocka_unit_test(joins), cmocka_unit_test(others),
		cmocka_unit_test(wrong_lengths),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
