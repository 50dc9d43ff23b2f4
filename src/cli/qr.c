/* SPDX-License-Identifier: MIT */
/*
 * QR codes (ISO/IEC 18004), drawn with the half blocks of Unicode: a character is two modules, one above the other, and about square. What is drawn is the white,
 * so that on a terminal with a dark background the code is the right way round; in colour both are said, and it is so on any.
 *
 * libqrencode does the coding. Without it, and for what is too long for any code, the caller's user gets one line that says so.
 */
#include "cli/qr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "config.h"

#ifdef HAVE_QRENCODE
#include <qrencode.h>
#endif

#define COLOUR_ON "\033[97;40m"
#define COLOUR_OFF "\033[0m"

/* Whether a module is white; around the code all are. */
static bool is_white(const uint8_t *dark, unsigned int width, unsigned int x, unsigned int y)
{
	if (x < QR_QUIET || y < QR_QUIET || x >= width + QR_QUIET || y >= width + QR_QUIET)
		return true;
	return !dark[(y - QR_QUIET) * width + x - QR_QUIET];
}

void qr_blocks(const uint8_t *dark, unsigned int width, bool colour, struct text *out)
{
	unsigned int whole = width + 2 * QR_QUIET;

	for (unsigned int y = 0; y < whole; y += 2) {
		text_add(out, colour ? COLOUR_ON : "");
		for (unsigned int x = 0; x < whole; x++) {
			bool above = is_white(dark, width, x, y), below = is_white(dark, width, x, y + 1);

			text_add(out, above && below ? "\u2588" : above ? "\u2580" : below ? "\u2584" : " ");
		}
		text_add(out, colour ? COLOUR_OFF "\n" : "\n");
	}
}

#ifdef HAVE_QRENCODE

bool qr_draw(const void *data, size_t len, bool colour, struct text *out, struct text *why)
{
	QRcode *code = len <= QR_BYTES_MAX ? QRcode_encodeData((int)len, data, 0, QR_ECLEVEL_L) : NULL;
	size_t count = code ? (size_t)code->width * (size_t)code->width : 0;
	uint8_t *dark = malloc(count + 1);

	if (!code || !dark) {
		if (len > QR_BYTES_MAX)
			text_addf(why, "%zu bytes are too long for a QR code, which holds %d", len, QR_BYTES_MAX);
		else
			text_addf(why, "the QR code cannot be made: %s", strerror(errno));
		free(dark);
		QRcode_free(code);
		return false;
	}
	/* The lowest bit says the colour, the others what the module is for. */
	for (size_t i = 0; i < count; i++)
		dark[i] = code->data[i] & 1;
	qr_blocks(dark, (unsigned int)code->width, colour, out);
	memset(dark, 0, count);
	free(dark);
	QRcode_free(code);
	return true;
}

#else

bool qr_draw(const void *data, size_t len, bool colour, struct text *out, struct text *why)
{
	(void)data;
	(void)len;
	(void)colour;
	(void)out;
	text_add(why, "this meshd was built without libqrencode and draws no QR codes");
	return false;
}

#endif

bool qr_print(const void *data, size_t len)
{
	struct text out = { 0 }, why = { 0 };
	bool ok = qr_draw(data, len, term_wants_colour(), &out, &why);

	if (!ok)
		cli_fail("%s", why.s ? why.s : "out of memory");
	text_done(&why);
	return ok && ask_print(&out);
}
