/* SPDX-License-Identifier: MIT */
/*
 * Text that grows. The memory doubles, so building costs linear time.
 *
 * Text may hold a private key (a saved config, a UAPI reply), so growing never uses realloc(), which could leave a
 * copy behind: the old memory is overwritten before it is freed. text_wipe() does the same at the end.
 *
 * Invariant: once 's' is not NULL, len < size and s[len] is zero, also after a failure.
 */
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MIN = 64 };

/* Overwrite memory in a way the compiler may not leave out; the crypto library is out of reach down here. */
static void overwrite(void *p, size_t len)
{
	volatile unsigned char *v = p;

	while (len--)
		*v++ = 0;
}

static void release(char *s, size_t size)
{
	if (s)
		overwrite(s, size);
	free(s);
}

/* Make room for 'more' bytes and the terminating zero. */
static bool reserve(struct text *t, size_t more)
{
	size_t size = t->size ? t->size : SIZE_MIN;
	char *s;

	if (t->failed)
		return false;
	if (more < t->size - t->len)
		return true;
	t->failed = true;
	if (more >= SIZE_MAX / 2 - t->len)
		return false;
	while (size <= t->len + more)
		size *= 2;
	s = malloc(size);
	if (!s)
		return false;
	if (t->s)
		memcpy(s, t->s, t->len);
	s[t->len] = '\0';
	release(t->s, t->size);
	t->s = s;
	t->size = size;
	t->failed = false;
	return true;
}

void text_add_bytes(struct text *t, const void *bytes, size_t len)
{
	if (!reserve(t, len))
		return;
	if (len)
		memcpy(t->s + t->len, bytes, len);
	t->len += len;
	t->s[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_add_bytes(t, s, strlen(s));
}

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int need;

	va_start(ap, fmt);
	need = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (need < 0) {
		t->failed = true;
		return;
	}
	if (!reserve(t, (size_t)need))
		return;
	va_start(ap, fmt);
	vsnprintf(t->s + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)need;
}

void text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->s)
		t->s[0] = '\0';
}

void text_done(struct text *t)
{
	free(t->s);
	*t = (struct text){ 0 };
}

void text_wipe(struct text *t)
{
	release(t->s, t->size);
	*t = (struct text){ 0 };
}
