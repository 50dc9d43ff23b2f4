/* SPDX-License-Identifier: MIT */
/*
 * The encoding of protocol buffers (protobuf.dev, "Encoding"), as much of it as walking over one message takes: a varint that says which field and how it is
 * written, then a number, or a length and so many bytes. Fields may come in any order; unknown ones are the caller's to skip. Groups are not
 * taken, no message of ours ever had one. A length is compared with what is left before it is used, so that none can be too large.
 */
#include "exchange/fields.h"

#include <string.h>

#include "base/bytes.h"

enum {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
	VARINT_MAX = 10,		/* bytes of one */
};

void fields_start(struct fields *f, const void *data, size_t len)
{
	static const uint8_t nothing[1];

	f->p = len ? data : nothing;
	f->end = f->p + len;
	f->bad = false;
}

static bool read_varint(struct fields *f, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < VARINT_MAX && f->p < f->end; i++) {
		uint8_t byte = *f->p++;

		v |= (uint64_t)(byte & 127) << (7 * i);
		if (byte & 128)
			continue;
		*out = v;
		return i < VARINT_MAX - 1 || byte <= 1;
	}
	return false;
}

static bool read_fixed(struct fields *f, size_t len, uint64_t *out)
{
	if ((size_t)(f->end - f->p) < len)
		return false;
	*out = len == 4 ? get_le32(f->p) : get_le64(f->p);
	f->p += len;
	return true;
}

static bool read_bytes(struct fields *f, struct field *out)
{
	uint64_t len;

	if (!read_varint(f, &len) || len > (uint64_t)(f->end - f->p))
		return false;
	out->kind = FIELD_BYTES;
	out->data = f->p;
	out->len = (size_t)len;
	f->p += len;
	return true;
}

static bool read_field(struct fields *f, struct field *out)
{
	uint64_t tag;

	*out = (struct field){ .kind = FIELD_NUMBER };
	if (!read_varint(f, &tag) || tag >> 3 == 0 || tag >> 3 > (1 << 29) - 1)
		return false;
	out->number = (uint32_t)(tag >> 3);
	switch (tag & 7) {
	case WIRE_VARINT:
		return read_varint(f, &out->value);
	case WIRE_FIXED64:
		return read_fixed(f, 8, &out->value);
	case WIRE_FIXED32:
		return read_fixed(f, 4, &out->value);
	case WIRE_BYTES:
		return read_bytes(f, out);
	default:
		return false;
	}
}

bool fields_next(struct fields *f, struct field *out)
{
	if (f->bad || f->p == f->end)
		return false;
	f->bad = !read_field(f, out);
	return !f->bad;
}

bool field_copy(const struct field *f, void *out, size_t len)
{
	if (f->kind != FIELD_BYTES || f->len != len)
		return false;
	memcpy(out, f->data, len);
	return true;
}

bool field_text(const struct field *f, char *out, size_t size)
{
	if (f->kind != FIELD_BYTES || f->len >= size || (f->len && memchr(f->data, 0, f->len)))
		return false;
	memcpy(out, f->data, f->len);
	out[f->len] = '\0';
	return true;
}

static void add_varint(struct text *out, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
		v >>= 7;
	} while (v);
	text_add_bytes(out, bytes, n);
}

void fields_add_number(struct text *out, uint32_t number, uint64_t value)
{
	if (!value)
		return;
	add_varint(out, (uint64_t)number << 3 | WIRE_VARINT);
	add_varint(out, value);
}

void fields_add_element(struct text *out, uint32_t number, const void *data, size_t len)
{
	add_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
	add_varint(out, len);
	text_add_bytes(out, data, len);
}

void fields_add_bytes(struct text *out, uint32_t number, const void *data, size_t len)
{
	if (len)
		fields_add_element(out, number, data, len);
}
