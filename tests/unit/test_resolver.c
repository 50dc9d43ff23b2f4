/* SPDX-License-Identifier: MIT */
/*
 * The resolver: names that need no network, names that are none, and lookups of our own that take for ever, crash or
 * talk too much. Time is passed in, so nobody waits ten seconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "sandbox.h"
#include "sys/resolver.h"

enum { ANSWERS_MAX = 32, PATIENCE_TURNS = 3000, TURN_MS = 10 };

static struct {
	char name[64];
	char addresses[2048];
} answers[ANSWERS_MAX];
static size_t answer_count;

static void on_answer(void *ctx, const char *name, const char *addresses)
{
	assert_null(ctx);
	assert_true(answer_count < ANSWERS_MAX);
	snprintf(answers[answer_count].name, sizeof(answers[0].name), "%s", name);
	snprintf(answers[answer_count].addresses, sizeof(answers[0].addresses), "%s", addresses);
	answer_count++;
}

static int set_up(void **state)
{
	static struct resolver r;

	answer_count = 0;
	resolver_init(&r, on_answer, NULL);
	*state = &r;
	return 0;
}

/* Nothing may be left of the children, not even to be waited for. */
static int tear_down(void **state)
{
	resolver_done(*state);
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void turns_until(struct resolver *r, size_t count, int64_t now_ms)
{
	struct pollfd fds[RESOLVER_CHILDREN];

	for (int i = 0; i < PATIENCE_TURNS && answer_count < count; i++) {
		poll(fds, resolver_fds(r, fds), TURN_MS);
		resolver_turn(r, now_ms);
	}
	assert_int_equal(answer_count, count);
}

static void numeric(void **state)
{
	static const struct {
		const char *name, *addresses;
	} cases[] = {
		/* 1 */ { "192.0.2.1:51820", "192.0.2.1:51820\n" },
		/* 2 */ { "[2001:db8::1]:65535", "[2001:db8::1]:65535\n" },
		/* 3 */ { "[fe80::1%lo]:7", "[fe80::1%1]:7\n" },	/* lo is interface 1 in every namespace */
		/* 4 */ { "192.0.2.1:0", "" },				/* nobody listens there */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case %zu\n", i + 1);
		answer_count = 0;
		resolver_ask(*state, cases[i].name, 0);
		turns_until(*state, 1, 0);
		assert_string_equal(answers[0].name, cases[i].name);
		assert_string_equal(answers[0].addresses, cases[i].addresses);
	}
}

static void localhost(void **state)
{
	char first[ENDPOINT_TEXT_MAX];
	struct endpoint e;

	resolver_ask(*state, "localhost:1234", 0);
	turns_until(*state, 1, 0);
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(answers[0].addresses, "\n"), answers[0].addresses);
	assert_true(endpoint_parse(first, &e));
	assert_int_equal(e.port, 1234);
	assert_true(e.addr.bytes[0] == 127 || (e.addr.family == IP_V6 && e.addr.bytes[15] == 1));
}

static void nonsense(void **state)
{
	static const char *const names[] = { "", ":", "host", "host:", ":1", "[]:1", "host:http", "host:123456", "..:1", "a b:1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		print_message("case %zu\n", i + 1);
		answer_count = 0;
		resolver_ask(*state, names[i], 0);
		turns_until(*state, 1, 0);
		assert_string_equal(answers[0].name, names[i]);
		assert_string_equal(answers[0].addresses, "");
	}
}

static void lookup_slow(const char *host, const char *port, struct text *out)
{
	(void)port;
	if (!strcmp(host, "slow"))
		for (;;)
			pause();
	text_addf(out, "%s!\n", host);
}

/* The late one is answered with nothing and killed, and those behind it go on. */
static void late_is_killed(void **state)
{
	struct resolver *r = *state;
	pid_t pid;

	r->lookup = lookup_slow;
	resolver_ask(r, "slow:1", 1000);
	pid = r->jobs[0].pid;
	assert_int_equal(resolver_timeout_ms(r, 1000), RESOLVER_LIMIT_MS);
	resolver_turn(r, 1000 + RESOLVER_LIMIT_MS - 1);
	assert_int_equal(answer_count, 0);
	assert_int_equal(kill(pid, 0), 0);
	resolver_turn(r, 1000 + RESOLVER_LIMIT_MS);
	assert_int_equal(answer_count, 1);
	assert_string_equal(answers[0].name, "slow:1");
	assert_string_equal(answers[0].addresses, "");
	for (int i = 0; i < PATIENCE_TURNS && r->jobs[0].name; i++) {
		poll(NULL, 0, TURN_MS);
		resolver_turn(r, 1000 + RESOLVER_LIMIT_MS);
	}
	assert_null(r->jobs[0].name);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(resolver_timeout_ms(r, 20000), -1);
}

/* Four at a time, the others in their order, each answered once. */
static void waits_in_line(void **state)
{
	struct pollfd fds[RESOLVER_CHILDREN];
	struct resolver *r = *state;
	char name[32];
	int seen = 0;

	r->lookup = lookup_slow;
	for (int i = 0; i < RESOLVER_CHILDREN - 1; i++)
		resolver_ask(r, "slow:1", 0);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "fast%d:1", i);
		resolver_ask(r, name, 0);
	}
	assert_int_equal(resolver_fds(r, fds), RESOLVER_CHILDREN);
	assert_int_equal(r->waiting_count, 5);
	turns_until(r, 6, 1);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "fast%d:1", i);
		seen += !strcmp(answers[i].name, name);
		snprintf(name, sizeof(name), "fast%d!\n", i);
		assert_string_equal(answers[i].addresses, name);
	}
	assert_int_equal(seen, 6);
}

static void lookup_bad(const char *host, const char *port, struct text *out)
{
	(void)port;
	text_add(out, "192.0.2.1:1\n");
	if (!strcmp(host, "crash"))
		raise(SIGKILL);
	for (int i = 0; i < 3000; i++)
		text_add(out, "talk");
}

static void crash_and_flood_are_no_answers(void **state)
{
	struct resolver *r = *state;

	r->lookup = lookup_bad;
	resolver_ask(r, "crash:1", 0);
	turns_until(r, 1, 0);
	assert_string_equal(answers[0].addresses, "");
	resolver_ask(r, "flood:1", 0);
	turns_until(r, 2, 0);
	assert_string_equal(answers[1].addresses, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numeric, set_up, tear_down),
		cmocka_unit_test_setup_teardown(localhost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(late_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waits_in_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(crash_and_flood_are_no_answers, set_up, tear_down),
	};

	/* Where that is permitted no server is asked, whose answer could take long. */
	if (!unshare(CLONE_NEWNET))
		sandbox_link("lo", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
