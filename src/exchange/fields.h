/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_FIELDS_H
#define MESHD_EXCHANGE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/*
 * The fields of a protobuf message, one after the other, where the bytes have to stay what they are: an item in a file is passed on as it was signed, a secret must
 * not be copied to memory that nobody wipes, and what is too many is counted before anything is allocated. All else is protobuf-c's.
 */
struct fields {
	const uint8_t *p, *end;
	bool bad;			/* cut short, or no protobuf */
};

enum field_kind {
	FIELD_NUMBER,			/* varint, fixed32 or fixed64 */
	FIELD_BYTES,
};

struct field {
	uint32_t number;
	enum field_kind kind;
	uint64_t value;
	const uint8_t *data;		/* of what is being read */
	size_t len;
};

void fields_start(struct fields *f, const void *data, size_t len);

/* The next one. False: there is no more, or 'bad' is set. */
bool fields_next(struct fields *f, struct field *out);

/* Bytes of exactly this length; a text without zeros that fits into 'size' with its end. 'out' is untouched otherwise. */
bool field_copy(const struct field *f, void *out, size_t len);
bool field_text(const struct field *f, char *out, size_t size);

/* Writing. What is zero or empty is left out, as proto3 has it. */
void fields_add_number(struct text *out, uint32_t number, uint64_t value);
void fields_add_bytes(struct text *out, uint32_t number, const void *data, size_t len);
/* The same, but an empty one is written: an element of a list. */
void fields_add_element(struct text *out, uint32_t number, const void *data, size_t len);

#endif
