/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_TEXT_H
#define MESHD_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Text being built, in memory that grows, always zero-terminated once anything was
 * added. All zero is empty. When memory is short 'failed' is set and further additions are no-ops,
 * so that a writer checks once, at the end. Free with text_done().
 */
struct text {
	char *s;
	size_t len, size;
	bool failed;
};

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const void *bytes, size_t len);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop the content and the failure, keep the memory. */
void text_reset(struct text *t);

/* Free the memory; text_wipe() overwrites it first, for text that held secrets. */
void text_done(struct text *t);
void text_wipe(struct text *t);

#endif
