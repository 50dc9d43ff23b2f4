/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_NOTIFY_H
#define MESHD_SYS_NOTIFY_H

/*
 * systemd's notify protocol (sd_notify(3)): lines of VARIABLE=value in a datagram to the socket named by
 * NOTIFY_SOCKET. Without that variable nothing happens.
 */
struct notify {
	int fd;			/* connected; -1: nobody listens */
};

/*
 * Connect to the socket of the environment, and take the variable out of it, so that hooks cannot speak for us. With
 * nobody to tell, or a socket that cannot be reached, later calls do nothing.
 */
void notify_open(struct notify *n);

/* Tell a state, as "READY=1" or "STOPPING=1\nSTATUS=...". Never blocks. */
void notify_send(const struct notify *n, const char *state);

void notify_close(struct notify *n);

#endif
