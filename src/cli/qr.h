/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_QR_H
#define MESHD_CLI_QR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* QR codes in the terminal, by libqrencode if meshd was built with it. */
enum {
	QR_QUIET = 4,		/* modules of white around the code: ISO 18004 wants them */
	QR_BYTES_MAX = 2953,	/* of version 40 at the lowest level of correction */
};

/*
 * Draw 'data' with half blocks, two rows of modules a line. 'colour': white on black whatever the terminal has; else for a terminal with a dark background, and
 * readers take the inverse too. False with one line in 'why': too long, no library, no memory.
 */
bool qr_draw(const void *data, size_t len, bool colour, struct text *out, struct text *why);

/* The drawing alone: 'dark' has width * width modules, row by row. */
void qr_blocks(const uint8_t *dark, unsigned int width, bool colour, struct text *out);

/* To standard output. Says on stderr why not. */
bool qr_print(const void *data, size_t len);

#endif
