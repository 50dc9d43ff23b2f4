/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_CONTROL_H
#define MESHD_SYS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

struct control_server;
struct ev_loop;

/*
 * The socket /run/meshd/NAME.sock: mode 0600 in a directory of mode 0700, and root's alone. Messages of
 * proto/control.proto, each behind its length (4 bytes, little-endian). One connection is one request and one answer.
 */
enum {
	CONTROL_MESSAGE_MAX = 16 << 20,		/* an answer */
	CONTROL_REQUEST_MAX = 17 << 20,		/* a request: a config file and a little more */
	CONTROL_CLIENTS_MAX = 8,		/* at a time; more wait to be accepted */
	CONTROL_TIMEOUT_S = 5,			/* for the request, and again for the answer */
};

struct control_handler {
	/*
	 * Fill 's', which is initialised and empty. Everything put there is allocated with malloc() and passes to control,
	 * which frees it with the generated meshd__status__free_unpacked() - also after false, which says that memory
	 * is short. status_fill() (sys/status.h) does just that. 'sub_sessions': the peers' are asked for.
	 */
	bool (*status)(void *ctx, bool sub_sessions, Meshd__Status *s);

	/* The same for what Babel knows: routes_status_fill() (sys/routes_status.h). */
	bool (*routes)(void *ctx, Meshd__Routes *r);

	/* The same for paths: paths_status_fill() (sys/paths_status.h). */
	bool (*paths)(void *ctx, Meshd__Paths *p);

	/*
	 * What mesh_control_is() (sys/mesh_control.h): fill 'r', as above, or false with one line in 'why'. NULL: such requests are not known.
	 * '*job' is NULL at first; set after true, there is more to do: the same is called again in the loop's next turn, or 'give_up' when the server is closed.
	 */
	bool (*mesh)(void *ctx, const Meshd__Request *q, void **job, Meshd__Response *r, struct text *why);
	void (*give_up)(void *job);

	/* Take the interface down; 'planned': it comes back at once. Called when the answer is sent; may call control_close(). */
	void (*down)(void *ctx, bool planned);

	/* Put a new config in force; false with one line in 'why', and nothing changed. 'text' is wiped afterwards. */
	bool (*reload)(void *ctx, const char *text, size_t len, struct text *why);

	void *ctx;
	double timeout_s;	/* 0: CONTROL_TIMEOUT_S */
};

/* Listen, replacing a dead socket of that name; 'h' is copied. 0, -EADDRINUSE when somebody listens there, or negative errno. */
int control_listen(struct control_server **out, struct ev_loop *loop, const char *name, const struct control_handler *h);

/* Close every client and remove the socket; NULL is fine. */
void control_close(struct control_server *s);

#endif
