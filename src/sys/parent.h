/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_PARENT_H
#define MESHD_SYS_PARENT_H

#include <stdbool.h>

struct config;

/*
 * The small root parent of a configured interface. It holds the lock of the name, runs PreUp, forks the daemon
 * proper, waits until it works, sets DNS and firewall, runs PostUp - and then waits: for the daemon, for a signal,
 * for "meshd down". At the end it runs PreDown, SaveConfig, takes DNS and firewall back, and PostDown.
 */
struct parent_options {
	const char *name;
	const char *config_file;	/* absolute */
	struct config *config;		/* taken over */
	bool foreground;		/* stay in front, log to stderr, speak systemd's notify protocol */
	bool verbose;
};

/*
 * Bring the interface up. In the background it returns in the calling process when the interface works (0) or
 * does not (1, the reason on stderr); in the foreground when it has been taken down again.
 */
int parent_run(struct parent_options *o);

#endif
