/* SPDX-License-Identifier: MIT */
/*
 * main: a table of commands. A word that is none of them and could be an interface's name is one, for wg-quick calls
 * "meshd wg0"; after "--" every word is a name. Words that later versions will want as commands make no
 * interface either, lest a typing error today be something else tomorrow.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/flows.h"
#include "cli/mesh.h"
#include "cli/paths.h"
#include "cli/routes.h"
#include "cli/status.h"
#include "config.h"
#include "crypto/key.h"
#include "node/config.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *synopsis, *help;
} commands[] = {
	{ "up", cmd_up, "up [-f] [-v] NAME|FILE.conf", "bring an interface up; without a config, make one" },
	{ "down", cmd_down, "down [--planned] NAME|FILE.conf", "take it down" },
	{ "reload", cmd_reload, "reload NAME|FILE.conf", "put a changed config in force; sessions go on" },
	{ "status", cmd_status, "status [NAME] [--json]", "how it is" },
	{ "peers", cmd_peers, "peers [NAME] [--json]", "the peers, a line each" },
	{ "flows", cmd_flows, "flows [NAME] [--json]", "outer flows, and how many inner ones are on each" },
	{ "paths", cmd_paths, "paths [NAME] [PEER] [--json]", "paths to the peers, what they are like, and why one is used; --watch" },
	{ "routes", cmd_routes, "routes [NAME] [--json]", "routes, and why; --all: also those not chosen; --neighbours" },
	{ "init", cmd_init, "init NAME [--node NAME]", "make a mesh, and its first node; --rotate: another key for it" },
	{ "invite", cmd_invite, "invite [NAME] NODE", "a token for a new node; --plain, --replace, --sign, --renew, --delegate" },
	{ "join", cmd_join, "join TOKEN|FILE [NAME]", "become a node of a mesh; --request: without reaching anybody" },
	{ "mesh", cmd_mesh, "mesh [NAME] [--json]", "the nodes of the mesh" },
	{ "revoke", cmd_revoke, "revoke [NAME] NODE", "put a node out, for good; --delegate: it only signs no more" },
	{ "export", cmd_export, "export [NAME] [NODE...]", "the records of the mesh, as a file; --binary, --qr" },
	{ "import", cmd_import, "import FILE|- [NAME]", "take records from a file" },
	{ "genkey", cmd_genkey, "genkey", "write a new private key" },
	{ "genpsk", cmd_genpsk, "genpsk", "write a new preshared key" },
	{ "pubkey", cmd_pubkey, "pubkey", "write the public key of a private one read from standard input" },
};

/* Of DESIGN.md's contract, and not here yet. */
static const char *const reserved[] = {
	"graph", "top",
};

static void print_help(FILE *f)
{
	fprintf(f, "usage: meshd COMMAND ...\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(f, "  meshd %-28s %s\n", commands[i].synopsis, commands[i].help);
	fprintf(f, "  meshd %-28s %s\n", "[-f] [--] NAME", "make a bare interface, for wg(8) and wg-quick(8)");
	fprintf(f, "  meshd %-28s %s\n\n", "--version | help", "this");
	fprintf(f, "NAME is an interface; its config is /etc/meshd/NAME.conf. See meshd(8) and meshd.conf(5).\n");
}

static int usage(void)
{
	print_help(stderr);
	return CLI_USAGE;
}

static bool is_reserved(const char *word)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (!strcmp(word, reserved[i]))
			return true;
	return false;
}

static int run_bare(int argc, char **argv)
{
	bool foreground = false, names_only = false;
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && !names_only; i++) {
		if (!strcmp(argv[i], "--"))
			names_only = true;
		else if (!strcmp(argv[i], "-f") || !strcmp(argv[i], "--foreground"))
			foreground = true;
		else
			return usage();
	}
	if (i != argc - 1 || !config_interface_name(argv[i]))
		return usage();
	if (is_reserved(argv[i]) && !names_only) {
		cli_fail("there is no command \"%s\" in this version (an interface of that name: meshd -- %s)", argv[i], argv[i]);
		return CLI_USAGE;
	}
	return bare_run(argv[i], foreground);
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(word, commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h")) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (!strcmp(word, "--version")) {
		printf("meshd %s\n", PACKAGE_VERSION);
		return CLI_DONE;
	}
	return run_bare(argc, argv);
}

/* What we open later must not become somebody's standard output. */
static bool has_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0 && !close(fd);
}

int main(int argc, char **argv)
{
	if (!has_standard_files() || !crypto_init())
		return cli_fail("the crypto library does not work on this system");
	return run(argc, argv);
}
