/* SPDX-License-Identifier: MIT */
/*
 * Files and directories of the daemon's, and the lock of a name.
 *
 * A file is replaced by rename(2), so that a reader or a power cut finds the old or the new, never half of one.
 *
 * The lock is a fcntl(2) lock of an open file description (F_OFD_SETLK). Like flock(2) it goes through fork and dies with its
 * last holder; unlike flock(2) it can be looked at without being taken, so "is somebody there?" never gets in the way of
 * a start. Its file is removed by whoever holds it. So another one may have opened the old file just before: having locked
 * it, he must see that the name still leads to what he locked, or begin again.
 */
#include "sys/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PATH_LEN_MAX = 4096,
	LOCK_TAKE_TRIES = 100,
	LOCK_POLL_MS = 10,
	PID_TRIES = 100,
	PID_TEXT_MAX = 16,
};

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int read_all(int fd, struct text *out, size_t max)
{
	char chunk[4096];
	size_t left = max;
	ssize_t n;

	text_add(out, "");	/* an empty file is a text too */
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (size_t)n > left)
			break;
		text_add_bytes(out, chunk, (size_t)n);
		left -= (size_t)n;
	}
	if (n < 0)
		n = -errno;
	else if (n > 0)
		n = -EFBIG;
	else if (out->failed)
		n = -ENOMEM;
	explicit_bzero(chunk, sizeof(chunk));
	return (int)n;
}

int file_read(const char *path, struct text *out, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error;

	if (fd < 0)
		error = -errno;
	else
		error = read_all(fd, out, max);
	if (fd >= 0)
		close(fd);
	if (error)
		text_wipe(out);
	return error;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Make the new name last through a power cut. Failing changes nothing any more: the new file is in place. */
static void sync_directory_of(const char *path)
{
	char dir[PATH_LEN_MAX];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* The same for a path whose last part is no symbolic link. */
static int replace_target(const char *path, const void *data, size_t len, unsigned int mode)
{
	char tmp[PATH_LEN_MAX];
	int error, fd, n;

	n = snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = write_all(fd, data, len);
	if (!error && (fchmod(fd, mode) || fsync(fd)))
		error = -errno;
	close(fd);
	if (!error && rename(tmp, path))
		error = -errno;
	if (error) {
		unlink(tmp);
		return error;
	}
	sync_directory_of(path);
	return 0;
}

int file_replace(const char *path, const void *data, size_t len, unsigned int mode)
{
	struct stat st;
	char *target;
	int error;

	/* In place of /dev/stdout or a device there must not be a file. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EOPNOTSUPP;
	target = realpath(path, NULL);
	if (!target && errno != ENOENT)
		return -errno;
	error = replace_target(target ? target : path, data, len, mode);
	free(target);
	return error;
}

/* Whether nobody but root can put something there. */
static int dir_check(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid != 0 || st.st_mode & 022 ? -EPERM : 0;
}

int dir_make(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	return dir_check(path);
}

static int lock_path(char path[PATH_LEN_MAX], const char *name)
{
	int n = snprintf(path, PATH_LEN_MAX, MESHD_RUN_DIR "/%s.lock", name);

	return n < 0 || n >= PATH_LEN_MAX ? -ENAMETOOLONG : 0;
}

/* Whether 'path' leads to the file open as 'fd'. */
static bool still_named(const char *path, int fd)
{
	struct stat by_name, by_fd;

	return !lstat(path, &by_name) && !fstat(fd, &by_fd) &&
	       by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

static int try_take(const char *path)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int error, fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &whole))
		error = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	else
		error = still_named(path, fd) ? lock_own(fd) : -EAGAIN;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

int lock_take(const char *name)
{
	char path[PATH_LEN_MAX];
	int fd;

	fd = lock_path(path, name);
	if (!fd)
		fd = dir_make(MESHD_RUN_DIR);
	if (fd)
		return fd;
	for (int i = 0; i < LOCK_TAKE_TRIES; i++) {
		fd = try_take(path);
		if (fd != -EAGAIN)
			return fd;
	}
	return -EBUSY;
}

/* One write over the old, then the rest cut off: at no time is there no pid. Fixed width, so that it is never a mixture. */
int lock_own(int fd)
{
	char text[PID_TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%10d\n", (int)getpid());

	ssize_t n = pwrite(fd, text, (size_t)len, 0);

	if (n < 0)
		return -errno;
	if (n < len)
		return -EIO;
	return ftruncate(fd, len) ? -errno : 0;
}

void lock_release(const char *name, int fd)
{
	char path[PATH_LEN_MAX];

	if (!lock_path(path, name) && still_named(path, fd))
		unlink(path);
	close(fd);
}

/* The pid in a lock file; the holder may have locked it this instant and not have come to write it. */
static int read_pid(int fd)
{
	char text[PID_TEXT_MAX];

	for (int i = 0; i < PID_TRIES; i++) {
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		long pid;

		if (n < 0)
			return -errno;
		text[n] = '\0';
		pid = strtol(text, NULL, 10);
		if (pid > 0 && pid <= INT32_MAX)
			return (int)pid;
		sleep_ms(1);
	}
	return -EIO;
}

int lock_holder(const char *name)
{
	struct flock probe = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_LEN_MAX];
	int fd, pid = 0;

	fd = lock_path(path, name);
	if (!fd)
		fd = dir_check(MESHD_RUN_DIR);
	if (fd)
		return fd == -ENOENT ? 0 : fd;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fcntl(fd, F_OFD_GETLK, &probe))
		pid = -errno;
	else if (probe.l_type != F_UNLCK)
		pid = read_pid(fd);
	close(fd);
	return pid;
}

int lock_wait(const char *name, int holder, int timeout_ms)
{
	for (int waited = 0;; waited += LOCK_POLL_MS) {
		int now = lock_holder(name);

		if (now != holder)
			return now < 0 ? now : 0;
		if (waited >= timeout_ms)
			return -ETIMEDOUT;
		sleep_ms(LOCK_POLL_MS);
	}
}
