/* SPDX-License-Identifier: MIT */
/* Walking over a protobuf message: what is written comes back, and no byte string makes it read behind its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/fields.h"

static void what_is_written_comes_back(void **state)
{
	static const uint64_t numbers[] = { 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX };
	struct text t = { 0 };
	struct fields fields;
	struct field f;

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		fields_add_number(&t, i + 1, numbers[i]);
	fields_add_number(&t, 9, 0);
	fields_add_bytes(&t, 10, "", 0);
	fields_add_element(&t, 11, NULL, 0);
	fields_add_bytes(&t, (1 << 29) - 1, "abc", 3);
	fields_start(&fields, t.s, t.len);
	for (uint32_t i = 0; i < 8; i++) {
		assert_true(fields_next(&fields, &f));
		assert_int_equal(f.number, i + 1);
		assert_int_equal(f.kind, FIELD_NUMBER);
		assert_true(f.value == numbers[i]);
	}
	assert_true(fields_next(&fields, &f));
	assert_int_equal(f.number, 11);
	assert_int_equal(f.len, 0);
	assert_true(fields_next(&fields, &f));
	assert_int_equal(f.number, (1 << 29) - 1);
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.data, "abc", 3);
	assert_false(fields_next(&fields, &f));
	assert_false(fields.bad);
	text_done(&t);
}

/* The bytes as protobuf.dev writes them, fixed ones among them. */
static void known_bytes(void **state)
{
	static const uint8_t bytes[] = { 0x08, 0x96, 0x01, 0x12, 0x01, 'x', 0x1d, 1, 0, 0, 0x80, 0x21, 2, 0, 0, 0, 0, 0, 0, 1 };
	struct fields fields;
	struct field f;

	(void)state;
	fields_start(&fields, bytes, sizeof(bytes));
	assert_true(fields_next(&fields, &f) && f.number == 1 && f.value == 150);
	assert_true(fields_next(&fields, &f) && f.number == 2 && f.len == 1 && *f.data == 'x');
	assert_true(fields_next(&fields, &f) && f.number == 3 && f.value == 0x80000001);
	assert_true(fields_next(&fields, &f) && f.number == 4 && f.value == 0x100000000000002);
	assert_false(fields_next(&fields, &f));
	assert_false(fields.bad);
}

static void assert_bad(const char *bytes, size_t len)
{
	uint8_t *exact = malloc(len);
	struct fields fields;
	struct field f;

	memcpy(exact, bytes, len);
	fields_start(&fields, exact, len);
	while (fields_next(&fields, &f))
		;
	assert_true(fields.bad);
	assert_false(fields_next(&fields, &f));
	free(exact);
}

static void hostile_bytes(void **state)
{
	(void)state;
	assert_bad("\x08", 1);					/* no value */
	assert_bad("\x08\x80", 2);				/* a value without end */
	assert_bad("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11);	/* 65 bits */
	assert_bad("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
	assert_bad("\x00\x01", 2);				/* field 0 */
	assert_bad("\x80\x80\x80\x80\x10\x01", 6);		/* field 2^29 */
	assert_bad("\x12\x02x", 3);				/* longer than what is left */
	assert_bad("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12);	/* 2^64 - 1 of them */
	assert_bad("\x12\xff\xff\xff\xff\x0fx", 7);
	assert_bad("\x1d\x01\x02\x03", 4);			/* fixed, cut */
	assert_bad("\x21\x01\x02\x03\x04\x05\x06\x07", 8);
	assert_bad("\x0b\x0c", 2);				/* a group */
	assert_bad("\x0e", 1);
}

static void copies_want_their_length(void **state)
{
	struct field f = { .kind = FIELD_BYTES, .data = (const uint8_t *)"abcd", .len = 4 };
	char out[5] = "....";

	(void)state;
	assert_false(field_copy(&f, out, 3));
	assert_false(field_text(&f, out, 4));
	assert_string_equal(out, "....");
	assert_true(field_text(&f, out, 5));
	assert_string_equal(out, "abcd");
	f.data = (const uint8_t *)"a\0cd";
	assert_false(field_text(&f, out, 5));
	assert_true(field_copy(&f, out, 4));
	assert_memory_equal(out, "a\0cd", 4);
	f.kind = FIELD_NUMBER;
	assert_false(field_copy(&f, out, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_comes_back),
		cmocka_unit_test(known_bytes),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(copies_want_their_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
