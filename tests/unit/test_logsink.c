/* SPDX-License-Identifier: MIT */
/* Log records to stderr, which is a pipe or a file here; and the clocks, which share so little that they fit in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/logsink.h"

static int saved_stderr, pipe_fds[2];

static int setup(void **state)
{
	(void)state;
	saved_stderr = dup(STDERR_FILENO);
	if (pipe2(pipe_fds, O_NONBLOCK) || dup2(pipe_fds[1], STDERR_FILENO) < 0)
		return -1;
	return unsetenv("JOURNAL_STREAM");
}

static int teardown(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return unsetenv("JOURNAL_STREAM");
}

static void assert_written(const char *text)
{
	char got[8192];
	ssize_t n = read(pipe_fds[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, text);
}

static void emit_all(const struct log *log)
{
	log->emit(log->ctx, LOG_LEVEL_ERROR, "e");
	log->emit(log->ctx, LOG_LEVEL_WARNING, "w");
	log->emit(log->ctx, LOG_LEVEL_INFO, "i");
	log->emit(log->ctx, LOG_LEVEL_DEBUG, "d");
}

static void plain_lines(void **state)
{
	struct log quiet = logsink_stderr(false), verbose = logsink_stderr(true);

	(void)state;
	emit_all(&quiet);
	assert_written("e\nw\ni\n");
	emit_all(&verbose);
	assert_written("e\nw\ni\nd\n");
}

static void levels_for_the_journal(void **state)
{
	struct stat st;
	struct log log;
	char stream[64];

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	log = logsink_stderr(true);
	emit_all(&log);
	assert_written("<3>e\n<4>w\n<6>i\n<7>d\n");

	/* The journal was our parent's, but stderr leads elsewhere. */
	assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	log = logsink_stderr(true);
	emit_all(&log);
	assert_written("e\nw\ni\nd\n");
}

static void one_line_whatever_it_holds(void **state)
{
	struct log log = logsink_stderr(false);

	(void)state;
	log.emit(log.ctx, LOG_LEVEL_INFO, "a\nb\033[2Jc\x7f \xc3\xa4%s");
	assert_written("a?b?[2Jc? \xc3\xa4%s\n");
}

/* In a pipe only writes up to PIPE_BUF are never mixed with others'. */
static void long_lines_are_cut(void **state)
{
	static char line[3 * PIPE_BUF], got[3 * PIPE_BUF];
	struct log log = logsink_stderr(false);
	ssize_t n;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	log.emit(log.ctx, LOG_LEVEL_INFO, line);
	n = read(pipe_fds[0], got, sizeof(got));
	assert_in_range(n, 1000, PIPE_BUF);
	assert_int_equal(got[n - 1], '\n');
	assert_int_equal(got[n - 2], 'x');
	assert_null(memchr(got, '\n', (size_t)n - 1));
}

static int64_t read_clock_us(clockid_t id)
{
	struct timespec t;

	assert_int_equal(clock_gettime(id, &t), 0);
	return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

static void clocks(void **state)
{
	int64_t boot = read_clock_us(CLOCK_BOOTTIME), real = read_clock_us(CLOCK_REALTIME);
	struct instant a = clock_now(), b = clock_now();

	(void)state;
	assert_true(a.mono_us > 0);
	assert_true(a.mono_us >= boot && a.mono_us < boot + 10 * US_PER_S);
	assert_true(b.mono_us >= a.mono_us);
	assert_true(a.wall_ns / 1000 >= real - US_PER_S && a.wall_ns / 1000 < real + 10 * US_PER_S);
}

static void random_bytes(void **state)
{
	struct rng rng = system_rng();
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	rng_fill(&rng, a, sizeof(a));
	rng_fill(&rng, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (int i = 0; i < 1000; i++)
		assert_true(rng_below(&rng, 7) < 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(levels_for_the_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(one_line_whatever_it_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, setup, teardown),
		cmocka_unit_test(clocks),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
