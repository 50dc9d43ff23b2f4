/* SPDX-License-Identifier: MIT */
/* How commands speak to people, and what they look at before they begin. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/privs.h"

#define TUN_DEVICE "/dev/net/tun"

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("meshd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_FAILED;
}

int cli_usage(const char *synopsis)
{
	fprintf(stderr, "usage: meshd %s\n", synopsis);
	return CLI_USAGE;
}

bool cli_check_system(void)
{
	if (!privs_have_net_admin())
		cli_fail("the capability CAP_NET_ADMIN is missing: run it as root");
	else if (access(TUN_DEVICE, F_OK))
		cli_fail("%s: %s (is the kernel's tun module there?)", TUN_DEVICE, strerror(errno));
	else
		return true;
	return false;
}
