/* SPDX-License-Identifier: MIT */
/*
 * The state that must survive a restart. Peers remember the newest stamp they took from us and refuse older ones, for good; a
 * machine without a battery for its clock would be locked out until its clock has caught up.
 *
 * The line has a fixed length and is written with one pwrite(2) at offset 0, so the file holds an old stamp or a new one.
 */
#include "sys/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sys/files.h"

enum { STAMP_LEN = 12, LINE_LEN = 2 * STAMP_LEN + 1 };

static bool digit(char c, uint8_t *value)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	if (!at)
		return false;
	*value = (uint8_t)(at - digits);
	return true;
}

static bool parse(const char line[LINE_LEN], uint8_t stamp[STAMP_LEN])
{
	uint8_t out[STAMP_LEN], high, low;

	for (size_t i = 0; i < STAMP_LEN; i++) {
		if (!digit(line[2 * i], &high) || !digit(line[2 * i + 1], &low))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(stamp, out, STAMP_LEN);
	return line[LINE_LEN - 1] == '\n';
}

static int write_line(struct stamp *s, const uint8_t stamp[STAMP_LEN])
{
	char line[LINE_LEN + 1];
	ssize_t n;

	if (s->fd < 0)
		return -EBADF;
	for (size_t i = 0; i < STAMP_LEN; i++)
		snprintf(line + 2 * i, 3, "%02x", stamp[i]);
	line[LINE_LEN - 1] = '\n';
	n = pwrite(s->fd, line, LINE_LEN, 0);
	if (n != LINE_LEN)
		return n < 0 ? -errno : -EIO;
	return fdatasync(s->fd) ? -errno : 0;
}

int stamp_open(struct stamp *s, const char *name, uint8_t saved[12], bool *found)
{
	char path[sizeof(MESHD_STATE_DIR) + 64], line[LINE_LEN];
	int error = dir_make(MESHD_STATE_DIR);

	s->fd = -1;
	*found = false;
	if (error)
		return error;
	snprintf(path, sizeof(path), MESHD_STATE_DIR "/%s.tai64n", name);
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0)
		return -errno;
	*found = pread(s->fd, line, LINE_LEN, 0) == LINE_LEN && parse(line, saved);
	return 0;
}

int stamp_save(struct stamp *s, uint8_t stamp[12])
{
	put_be64(stamp, get_be64(stamp) + STAMP_AHEAD_S);
	return write_line(s, stamp);
}

void stamp_close(struct stamp *s, const uint8_t stamp[12])
{
	if (s->fd < 0)
		return;
	if (get_be64(stamp))
		write_line(s, stamp);
	close(s->fd);
	s->fd = -1;
}
