/* SPDX-License-Identifier: MIT */
#ifndef MESHD_CLI_CLI_H
#define MESHD_CLI_CLI_H

#include <stdbool.h>

/*
 * What the commands share. A command gets its own name as argv[0] and returns the exit status: when it failed it has said why, on
 * stderr, in one line.
 */
enum cli_status {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,		/* called in a wrong way */
};

/* Say "meshd: ..." on stderr; returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Say how 'synopsis' is to be called; returns CLI_USAGE. */
int cli_usage(const char *synopsis);

/* Whether an interface can be made here by this process: CAP_NET_ADMIN and /dev/net/tun. Says what is missing. */
bool cli_check_system(void);

int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_genkey(int argc, char **argv);
int cmd_genpsk(int argc, char **argv);
int cmd_pubkey(int argc, char **argv);

/* A bare interface for wg(8) and wg-quick(8), in the manner of wireguard-go: "meshd [-f] NAME". */
int bare_run(const char *name, bool foreground);

#endif
