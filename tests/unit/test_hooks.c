/* SPDX-License-Identifier: MIT */
/* Hooks as wg-quick runs them, the programs behind them, what resolvconf is told, and the memory of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "node/config.h"
#include "sys/dns.h"
#include "sys/files.h"
#include "sys/hooks.h"
#include "sys/privs.h"
#include "sys/program.h"
#include "sys/runfile.h"

static char dir[] = "/tmp/meshd-hooks-XXXXXX";

static struct text logged;

static void emit(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	text_addf(&logged, "%s\n", line);
}

static const struct log log_here = { .emit = emit };

static struct runner quiet(void)
{
	struct runner r = runner_plain(&log_here);

	r.to_log = true;
	r.name = "wg0";
	r.config_file = "/etc/meshd/wg0.conf";
	return r;
}

static int set_up(void **state)
{
	(void)state;
	text_reset(&logged);
	return 0;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	(void)state;
	text_done(&logged);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return chdir("/") || system(command);
}

/* The content of a file a hook wrote here. */
static const char *content(const char *path)
{
	static struct text t;

	text_reset(&t);
	return file_read(path, &t, 65536) ? "(none)" : t.s;
}

static bool run(const char *hook, struct text *why)
{
	struct runner r = quiet();
	char copy[512], *list[] = { copy };
	struct config_strings hooks = { .v = list, .count = 1 };

	snprintf(copy, sizeof(copy), "%s", hook);
	return hooks_run(&r, &hooks, why);
}

static void expands(void **state)
{
	static const struct {
		const char *hook, *want;
	} cases[] = {
		/* 1 */ { "ip link show %i", "ip link show wg0" },
		/* 2 */ { "%i%i %", "wg0wg0 %" },
		/* 3 */ { "%%i", "%wg0" },		/* as bash's ${hook//%i/wg0} does */
		/* 4 */ { "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = { 0 };

		print_message("case %zu\n", i + 1);
		hook_expand(cases[i].hook, "wg0", &t);
		assert_string_equal(t.s, cases[i].want);
		text_done(&t);
	}
}

static void runs(void **state)
{
	struct text why = { 0 };

	(void)state;
	assert_true(run("echo \"%i $INTERFACE $CONFIG_FILE\" >ran; echo said; echo louder >&2", &why));
	assert_string_equal(content("ran"), "wg0 wg0 /etc/meshd/wg0.conf\n");
	assert_string_equal(logged.s,
			    "[#] echo \"wg0 $INTERFACE $CONFIG_FILE\" >ran; echo said; echo louder >&2\nsaid\nlouder\n");
	assert_int_equal(why.len, 0);
	text_done(&why);
}

/* Whichever descriptors are free when a hook runs it finds its own: here the output's file would be where the script goes. */
static void any_descriptors(void **state)
{
	int held[PROGRAM_SCRIPT_FD], count = 0;
	struct text why = { 0 };

	(void)state;
	do
		held[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (held[count++] < PROGRAM_SCRIPT_FD - 2 && count < PROGRAM_SCRIPT_FD);
	assert_true(run("echo said", &why));
	assert_string_equal(logged.s, "[#] echo said\nsaid\n");
	while (count)
		close(held[--count]);
	text_done(&why);
}

/* "set -e", and the first that fails is the last that runs. */
static void stops_at_failure(void **state)
{
	char one[] = "false; echo no >after", two[] = "echo no >second";
	char *list[] = { one, two };
	struct config_strings hooks = { .v = list, .count = 2 };
	struct runner r = quiet();
	struct text why = { 0 };

	(void)state;
	assert_false(hooks_run(&r, &hooks, &why));
	assert_string_equal(why.s, "hook failed with status 1: false; echo no >after");
	assert_string_equal(content("after"), "(none)");
	assert_string_equal(content("second"), "(none)");
	text_reset(&why);
	assert_false(run("exit 7", &why));
	assert_non_null(strstr(why.s, "status 7"));
	text_reset(&why);
	assert_false(run("kill -9 $$", &why));
	assert_non_null(strstr(why.s, "status 137"));
	text_done(&why);
}

/* What hooks written for wg-quick may use, where bash is. */
static void speaks_bash(void **state)
{
	struct text why = { 0 };

	(void)state;
	if (access("/bin/bash", X_OK)) {
		print_message("no bash: not tried\n");
		skip();
	}
	assert_true(run("[[ %i =~ ^wg[0-9]$ ]] && cat <(echo sub) >bash; x=aab; echo ${x##*(a)} >>bash", &why));
	assert_string_equal(content("bash"), "sub\nb\n");
	assert_false(run("false | true", &why));	/* pipefail */
	text_done(&why);
}

/* No other user may read a hook in the list of processes, nor the hook find our descriptors. */
static void keeps_secrets(void **state)
{
	struct text why = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_true(run("S=hush; tr '\\0' ' ' </proc/$$/cmdline >cmdline; tr '\\0' ' ' </proc/$$/environ >environ; "
			"for i in /proc/$$/fd/*; do echo ${i##*/}; done >fds", &why));
	assert_non_null(strstr(content("cmdline"), "eval"));
	assert_null(strstr(content("cmdline"), "hush"));
	assert_null(strstr(content("environ"), "hush"));
	assert_null(strstr(content("fds"), "9\n"));
	assert_null(strstr(content("fds"), "8\n"));
	close(fd);
	text_done(&why);
}

/* Blocked and ignored signals are the parent's affair. */
static void resets_signals(void **state)
{
	struct text why = { 0 };
	sigset_t term;

	(void)state;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* 32 and 33 are the C library's own, which nobody can reset; make(1) passes them on ignored. */
	assert_true(run("grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/0000000180000000/0000000000000000/' >signals", &why));
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	assert_string_equal(content("signals"), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	text_done(&why);
}

/* In a child, which protects itself: 0 if a hook of it has the limits it had before, else where it failed. */
static int limits_of_a_hook(void)
{
	const char *compare = "grep -E 'Max (core|locked)' /proc/self/limits | cmp - limits";
	struct rlimit core, memlock;
	struct text why = { 0 };

	if (getrlimit(RLIMIT_CORE, &core) || getrlimit(RLIMIT_MEMLOCK, &memlock) || !core.rlim_max || !memlock.rlim_max)
		return 2;
	core.rlim_cur = core.rlim_max < 4096 ? core.rlim_max : 4096;
	memlock.rlim_cur = memlock.rlim_max < 65536 ? memlock.rlim_max : 65536;
	if (setrlimit(RLIMIT_CORE, &core) || setrlimit(RLIMIT_MEMLOCK, &memlock) ||
	    system("grep -E 'Max (core|locked)' /proc/self/limits >limits"))
		return 3;
	privs_protect();
	privs_protect();	/* as the root parent, forked by the "meshd up" that did it before */
	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur)
		return 4;
	return run(compare, &why) ? 0 : 1;
}

/* What a process of ours does to itself for the sake of its keys is not for what it runs: limits are our caller's. */
static void keeps_limits(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(limits_of_a_hook());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		print_message("there are limits of 0 already: not tried\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* A hook that leaves something running with its output open does not hold us up. */
static void background_does_not_block(void **state)
{
	struct text why = { 0 };
	pid_t left;

	(void)state;
	assert_true(run("sleep 60 & echo $! >left", &why));
	left = atoi(content("left"));
	assert_true(left > 0);
	assert_int_equal(kill(left, SIGKILL), 0);
	text_done(&why);
}

static void programs(void **state)
{
	static const char *const cat[] = { "cat", NULL }, *const none[] = { "meshd-no-such-program", NULL };
	struct runner r = quiet();
	struct text out = { 0 };
	struct program p = { .argv = cat, .input = "in\0put", .input_len = 6, .output = &out };
	struct program nowhere = { .argv = none };
	char path[PROGRAM_PATH_MAX];

	(void)state;
	assert_int_equal(program_run(&r, &p), 0);
	assert_int_equal(out.len, 6);
	assert_memory_equal(out.s, "in\0put", 6);
	assert_int_equal(program_run(&r, &nowhere), -ENOENT);
	assert_true(program_find("cat", path));
	assert_int_equal(access(path, X_OK), 0);
	assert_false(program_find("/", path));		/* executable, but a directory */
	text_done(&out);
}

static void dns_told(void **state)
{
	char a[] = "192.0.2.53", b[] = "2001:db8::53", c[] = "example.org", d[] = "example.net";
	char *servers[] = { a, b }, *search[] = { c, d };
	struct config config = { .dns = { servers, 2 }, .dns_search = { search, 2 } };
	struct text t = { 0 };

	(void)state;
	dns_text(&config, &t);
	assert_string_equal(t.s, "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org example.net\n");
	text_reset(&t);
	config.dns_search.count = 0;
	dns_text(&config, &t);
	assert_string_equal(t.s, "nameserver 192.0.2.53\nnameserver 2001:db8::53\n");
	text_reset(&t);
	config.dns.count = 0;
	config.dns_search.count = 2;
	dns_text(&config, &t);
	assert_int_equal(t.len, 0);
	text_done(&t);
}

static void dns_entries(void **state)
{
	static const struct {
		const char *order, *want;
	} cases[] = {
		/* 1 */ { NULL, "wg0" },
		/* 2 */ { "", "wg0" },
		/* 3 */ { "# order\nlo.inet6\ntun*\ntap*\n", "tun.wg0" },
		/* 4 */ { "lo*x\n@(a|b)*\n*\n", "wg0" },
		/* 5 */ { "  hso-1* \t\n", "hso-1.wg0" },	/* read trims blanks */
		/* 6 */ { "eth*", "eth.wg0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = { 0 };

		print_message("case %zu\n", i + 1);
		dns_entry("wg0", cases[i].order, &t);
		assert_string_equal(t.s, cases[i].want);
		text_done(&t);
	}
}

/* A resolvconf of ours: what it is called with, what it reads, and what becomes of its failure. */
static void dns_calls(void **state)
{
	static const char resolvconf[] = "#!/bin/sh\necho \"$@\" >>calls\ncat >>calls\nexit $RC\n";
	struct runner r = quiet();
	struct text why = { 0 };
	char path[256], *old = strdup(getenv("PATH"));

	(void)state;
	assert_int_equal(mkdir("bin", 0700), 0);
	assert_int_equal(file_replace("bin/resolvconf", resolvconf, strlen(resolvconf), 0755), 0);
	snprintf(path, sizeof(path), "%s/bin:%s", dir, old);
	setenv("PATH", path, 1);
	setenv("RC", "0", 1);
	assert_int_equal(dns_set(&r, "tun.wg0", "nameserver 192.0.2.53\n", &why), 0);
	assert_string_equal(content("calls"), "-a tun.wg0 -m 0 -x\nnameserver 192.0.2.53\n");
	assert_non_null(strstr(logged.s, "[#] resolvconf -a tun.wg0 -m 0 -x\n"));
	setenv("RC", "3", 1);
	assert_int_equal(dns_set(&r, "wg0", "", &why), -EIO);
	assert_string_equal(why.s, "DNS: resolvconf failed with status 3");
	snprintf(path, sizeof(path), "%s", dir);
	setenv("PATH", path, 1);
	assert_int_equal(dns_set(&r, "wg0", "", &why), -ENOENT);
	setenv("PATH", old, 1);
	unsetenv("RC");
	free(old);
	text_done(&why);
}

static void runfiles(void **state)
{
	char config[] = "/etc/meshd/a=b.conf", entry[] = "tun.wg0";
	const struct runfile r = {
		.config_file = config, .dns_entry = entry, .firewall = FIREWALL_IPTABLES, .mark = 0xca6c, .default6 = true,
		.listen_prefix = { .addr = { .family = IP_V6, .bytes = { 0x20, 1, 0xd, 0xb8 } }, .len = 118 },
	};
	struct runfile back;
	struct text t = { 0 };

	(void)state;
	runfile_format(&r, &t);
	assert_true(runfile_parse(&back, t.s));
	assert_string_equal(back.config_file, config);
	assert_string_equal(back.dns_entry, entry);
	assert_int_equal(back.firewall, FIREWALL_IPTABLES);
	assert_int_equal(back.mark, 0xca6c);
	assert_false(back.default4);
	assert_true(back.default6);
	assert_non_null(strstr(t.s, "listen_prefix=2001:db8::/118\n"));
	assert_memory_equal(&back.listen_prefix, &r.listen_prefix, sizeof(r.listen_prefix));
	runfile_done(&back);
	assert_true(runfile_parse(&back, "\nnew=thing\ndns\nfirewall=pf\nmark=7\ndns=a\ndns=b\n"));
	assert_string_equal(back.dns_entry, "b");
	assert_int_equal(back.firewall, FIREWALL_NONE);
	assert_int_equal(back.mark, 7);
	assert_null(back.config_file);
	assert_int_equal(back.listen_prefix.addr.family, IP_NONE);
	runfile_done(&back);
	text_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(expands, set_up),
		cmocka_unit_test_setup(runs, set_up),
		cmocka_unit_test_setup(any_descriptors, set_up),
		cmocka_unit_test_setup(stops_at_failure, set_up),
		cmocka_unit_test_setup(speaks_bash, set_up),
		cmocka_unit_test_setup(keeps_secrets, set_up),
		cmocka_unit_test_setup(resets_signals, set_up),
		cmocka_unit_test_setup(keeps_limits, set_up),
		cmocka_unit_test_setup(background_does_not_block, set_up),
		cmocka_unit_test_setup(programs, set_up),
		cmocka_unit_test_setup(dns_told, set_up),
		cmocka_unit_test_setup(dns_entries, set_up),
		cmocka_unit_test_setup(dns_calls, set_up),
		cmocka_unit_test_setup(runfiles, set_up),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
