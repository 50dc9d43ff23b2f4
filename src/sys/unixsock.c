/* SPDX-License-Identifier: MIT */
/*
 * Unix stream sockets for root alone. Three fences: a directory only root can write to (else anybody could put his
 * own socket in our place and be handed private keys by "wg set"), a socket of mode 0600, and the peer's credentials.
 *
 * The mode is set on the socket before bind(2): the kernel makes the file with that mode less the umask, so it is never
 * more open than 0600, not even for the moment before a chmod, and the umask, which all threads share, is left alone.
 *
 * A socket file outlives its process. Whether one is dead is asked by connecting: only ECONNREFUSED says so.
 */
#include "sys/unixsock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/files.h"

enum {
	LISTEN_BACKLOG = 16,
	PROBE_TIMEOUT_MS = 1000,
};

static int make_address(struct sockaddr_un *sun, const char *dir, const char *name)
{
	int len;

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	len = snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/%s.sock", dir, name);
	return len < 0 || (size_t)len >= sizeof(sun->sun_path) ? -ENAMETOOLONG : 0;
}

/* Make room for a new socket file. A listener whose backlog is full (-ETIMEDOUT) is alive too. */
static int remove_dead(const char *dir, const char *name, const struct sockaddr_un *sun)
{
	struct stat st;
	int fd;

	if (lstat(sun->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = unix_connect(dir, name, PROBE_TIMEOUT_MS);
	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return -EADDRINUSE;
	return unix_unlink(dir, name);
}

int unix_listen(const char *dir, const char *name, int *fd)
{
	struct sockaddr_un sun;
	int error, s;

	error = make_address(&sun, dir, name);
	if (!error)
		error = dir_make(dir);
	if (!error)
		error = remove_dead(dir, name, &sun);
	if (error)
		return error;

	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return -errno;
	if (fchmod(s, 0600) || bind(s, (const struct sockaddr *)&sun, sizeof(sun))) {
		error = -errno;
		close(s);
		return error;
	}
	if (listen(s, LISTEN_BACKLOG)) {
		error = -errno;
		close(s);
		unlink(sun.sun_path);
		return error;
	}
	*fd = s;
	return 0;
}

int unix_unlink(const char *dir, const char *name)
{
	struct sockaddr_un sun;
	int error;

	error = make_address(&sun, dir, name);
	if (error)
		return error;
	return unlink(sun.sun_path) && errno != ENOENT ? -errno : 0;
}

int unix_accept(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return -errno;
	if (!unix_peer_is_root(fd)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

int unix_connect(const char *dir, const char *name, int timeout_ms)
{
	struct timeval limit = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
	struct sockaddr_un sun;
	int error, fd;

	error = make_address(&sun, dir, name);
	if (error)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun))) {
		error = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return error;
	}
	if (!unix_peer_is_root(fd)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

bool unix_peer_is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && cred.uid == 0;
}
