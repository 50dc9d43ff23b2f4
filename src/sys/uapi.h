/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_UAPI_H
#define MESHD_SYS_UAPI_H

#include "base/text.h"

struct change;
struct ev_loop;
struct uapi_server;

/*
 * The socket /var/run/wireguard/NAME.sock: mode 0600 in a directory of root's, a few clients at a time, each bounded in size
 * and time. Requests are answered by two functions of the daemon's, which must not close the server.
 */
enum {
	UAPI_CLIENTS_MAX = 8,	/* further ones wait in the backlog */
	UAPI_IDLE_S = 10,	/* a client that neither reads nor writes for so long is let go */
};

struct uapi_handler {
	void (*get)(void *ctx, struct text *answer);
	int (*set)(void *ctx, const struct change *c);	/* 0 or negative errno */
	void *ctx;
	double idle_s;					/* in place of UAPI_IDLE_S, for tests; 0: that */
};

/* Listen, replacing a dead socket of that name. 0, -EADDRINUSE when somebody listens there, or negative errno. */
int uapi_listen(struct uapi_server **out, struct ev_loop *loop, const char *name, const struct uapi_handler *h);

/* Close every client and remove the socket; NULL is fine. */
void uapi_close(struct uapi_server *s);

#endif
