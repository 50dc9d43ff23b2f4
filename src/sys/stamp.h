/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_STAMP_H
#define MESHD_SYS_STAMP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The last TAI64N stamp sent, kept in /var/lib/meshd/NAME.tai64n, so that handshakes are accepted after a start with a lost or
 * set back clock. One line of 24 hexadecimal digits. The file is kept open, for it is written with few privileges.
 */
enum { STAMP_AHEAD_S = 60 };	/* what is saved is so far ahead: one write a minute at most, none lost in a crash */

struct stamp {
	int fd;			/* -1: cannot be kept, and somebody was told */
};

/* Open or make the file of 'name' and read what it holds. 0 with *found telling whether there was a stamp, or negative errno. */
int stamp_open(struct stamp *s, const char *name, uint8_t saved[12], bool *found);

/* Save 'stamp', moved ahead by STAMP_AHEAD_S; what was written comes back in it. 0 or negative errno. */
int stamp_save(struct stamp *s, uint8_t stamp[12]);

/* Save exactly 'stamp', for a clean end, and close. */
void stamp_close(struct stamp *s, const uint8_t stamp[12]);

#endif
