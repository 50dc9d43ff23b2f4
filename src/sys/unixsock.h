/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UNIXSOCK_H
#define MESHD_SYS_UNIXSOCK_H

#include <stdbool.h>

/*
 * Unix stream sockets DIR/NAME.sock that only root can talk to: the UAPI socket and the control socket. Everything
 * returns 0 or a descriptor, or a negative errno; descriptors are close-on-exec.
 */

/*
 * Listen on DIR/NAME.sock: DIR is made with mode 0700 when missing (its parent must exist), the socket has mode 0600
 * whatever the umask is, and does not block. A dead socket file of that name is replaced. The caller holds the lock of NAME
 * (sys/files.h), so two never replace each other's. -EADDRINUSE: somebody listens there; -EPERM: DIR is not root's, or
 * others can write to it.
 */
int unix_listen(const char *dir, const char *name, int *fd);

/* Remove DIR/NAME.sock; fine when it is gone. */
int unix_unlink(const char *dir, const char *name);

/*
 * The next client of a listener: a non-blocking descriptor. -EAGAIN: none waits; -EPERM: there was one, but not root, and
 * it has been turned away; -EMFILE and the like: none can be taken now, the client still waits.
 */
int unix_accept(int listener);

/*
 * Connect as a client: a blocking descriptor whose connect, reads and writes each end after timeout_ms (-ETIMEDOUT here,
 * EAGAIN in read(2) and write(2) later; 0: never). -ENOENT: no such socket; -ECONNREFUSED: nobody listens any more;
 * -EPERM: not root listens there.
 */
int unix_connect(const char *dir, const char *name, int timeout_ms);

/* Whether root is at the other end (SO_PEERCRED: who connected, whoever holds the descriptor now). */
bool unix_peer_is_root(int fd);

#endif
