/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_CLIENT_H
#define MESHD_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "proto/control.pb-c.h"

/*
 * The command line's side of the control socket. Each call is one connection: connect, ask, wait for the answer
 * (at most CLIENT_TIMEOUT_S, or one of the others), close. 'name' is an interface's name, not a file's. On failure a call returns false
 * and 'why' has one line without a newline, ready for stderr, which begins with the name:
 *
 *	wg0: meshd is not running (start it with: meshd up wg0)
 */
enum {
	CLIENT_TIMEOUT_S = 30,
	CLIENT_IMPORT_S = 600,	/* a daemon takes its time over a large file, for other things go on */
	CLIENT_DOWN_S = 5,	/* who does not agree to go by then is told by a signal */
	CLIENT_NAME_LEN = 15,	/* of an interface */
};

/* Ask how things are; 'sub_sessions': in full. '*out' is the caller's: meshd__status__free_unpacked(*out, NULL). */
bool client_status(const char *name, bool sub_sessions, Meshd__Status **out, struct text *why);

/* Ask what Babel knows. '*out' is the caller's: meshd__routes__free_unpacked(*out, NULL). */
bool client_routes(const char *name, Meshd__Routes **out, struct text *why);

/* Ask for the paths to its peers. '*out' is the caller's: meshd__paths__free_unpacked(*out, NULL). */
bool client_paths(const char *name, Meshd__Paths **out, struct text *why);

/* Ask the daemon to take the interface down ('planned': to come back at once). True as soon as it agreed: wait for its lock to see it gone. */
bool client_down(const char *name, bool planned, struct text *why);

/* Put a new config (the text of a file) in force. False: refused, and nothing changed. */
bool client_reload(const char *name, const char *config, size_t len, struct text *why);

/*
 * Ask anything else. NULL: no answer, or one that says what went wrong. The answer is the caller's: meshd__response__free_unpacked(r, NULL); it may hold
 * a secret.
 */
Meshd__Response *client_ask(const char *name, const Meshd__Request *q, struct text *why);

/* Interfaces with a daemon behind their socket. All zero is empty. */
struct client_names {
	char (*v)[CLIENT_NAME_LEN + 1];
	size_t count;
};

/*
 * All running interfaces, sorted, by the sockets in /run/meshd. No such directory: none, and true. Only the superuser
 * can see them; others get false and a reason.
 */
bool client_names(struct client_names *names, struct text *why);
void client_names_done(struct client_names *names);

#endif
