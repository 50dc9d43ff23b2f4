/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_SKIP_H
#define MESHD_TESTS_SKIP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* End the whole program as skipped, with the reason: in TAP for the test harness, with exit status 77 for a person. */
static inline void skip_all(const char *what, const char *reason)
{
	const char *format = getenv("CMOCKA_MESSAGE_OUTPUT");

	if (format && !strcmp(format, "TAP")) {
		printf("1..0 # SKIP %s: %s\n", what, reason);
		exit(0);
	}
	printf("skipped: %s: %s\n", what, reason);
	exit(77);
}

#endif
