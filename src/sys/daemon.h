/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_DAEMON_H
#define MESHD_SYS_DAEMON_H

#include "base/log.h"

struct config;

/*
 * The daemon proper: TUN, sockets, UAPI and control sockets, one event loop, and a node in the middle. Runs
 * in a process of its own.
 */
struct daemon_options {
	const char *name;		/* of the interface */
	const char *config_file;	/* absolute path, or NULL: bare interface, configured by wg(8) */
	struct config *config;		/* taken over: this process frees it; NULL: bare */
	int parent_fd;			/* frames to and from the parent (sys/frame.h), or -1: no parent */
	struct log log;
	/* Bare interface only: called once when everything works (why NULL) or nothing does (one line). */
	void (*ready)(void *ctx, const char *why);
	void *ctx;
};

/* Run until told to stop. Returns the exit status: 0 after a clean stop. Leaves nothing behind. */
int daemon_run(const struct daemon_options *o);

#endif
