/* SPDX-License-Identifier: MIT */
/* Frames over a socket pair: whole, in pieces, too long, cut off, over a full socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sys/frame.h"

struct pair {
	int a, b;
};

static int set_up(void **state)
{
	static struct pair pair;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	pair = (struct pair){ fds[0], fds[1] };
	*state = &pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	if (p->a >= 0)
		close(p->a);
	if (p->b >= 0)
		close(p->b);
	return 0;
}

static void close_a(struct pair *p)
{
	close(p->a);
	p->a = -1;
}

static void write_raw(int fd, const void *data, size_t len)
{
	assert_int_equal(write(fd, data, len), (ssize_t)len);
}

static void comes_as_sent(void **state)
{
	struct pair *p = *state;
	char *payload;
	size_t len;

	assert_int_equal(frame_send(p->a, FRAME_RESOLVE, "host:1", 6), 0);
	assert_int_equal(frame_send(p->a, FRAME_DOWN, NULL, 0), 0);
	assert_int_equal(frame_receive(p->b, &payload, &len), FRAME_RESOLVE);
	assert_int_equal(len, 6);
	assert_string_equal(payload, "host:1");		/* a zero behind */
	free(payload);
	assert_int_equal(frame_receive(p->b, &payload, &len), FRAME_DOWN);
	assert_int_equal(len, 0);
	assert_string_equal(payload, "");
	free(payload);
}

static void wire_format(void **state)
{
	static const uint8_t want[] = { 64, 3, 0, 0, 0, 'a', 0, 'b' };
	struct pair *p = *state;
	uint8_t got[sizeof(want) + 1];

	assert_int_equal(frame_send(p->a, FRAME_RESOLVED, "a\0b", 3), 0);
	assert_int_equal(read(p->b, got, sizeof(got)), sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
}

/* A child writes byte by byte; the receiver must put it together, on a non-blocking descriptor too. */
static void in_pieces(void **state)
{
	static const uint8_t bytes[] = { FRAME_FAILED, 4, 0, 0, 0, 'n', 'o', 'n', 'e' };
	struct pair *p = *state;
	char *payload;
	size_t len;
	pid_t pid;

	fcntl(p->b, F_SETFL, O_NONBLOCK);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			poll(NULL, 0, 2);
			if (write(p->a, bytes + i, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(frame_receive(p->b, &payload, &len), FRAME_FAILED);
	assert_int_equal(len, 4);
	assert_string_equal(payload, "none");
	free(payload);
	waitpid(pid, NULL, 0);
}

/* Far more than the socket holds: both sides work at the same time. */
static void larger_than_the_socket(void **state)
{
	struct pair *p = *state;
	char *big = malloc(FRAME_MAX), *payload;
	size_t len;
	pid_t pid;
	int status;

	assert_non_null(big);
	for (size_t i = 0; i < FRAME_MAX; i++)
		big[i] = (char)(i * 7 >> 3);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(frame_send(p->a, FRAME_CONFIG, big, FRAME_MAX) ? 1 : 0);
	assert_int_equal(frame_receive(p->b, &payload, &len), FRAME_CONFIG);
	assert_int_equal(len, FRAME_MAX);
	assert_memory_equal(payload, big, FRAME_MAX);
	free(payload);
	free(big);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void too_long(void **state)
{
	struct pair *p = *state;
	uint8_t header[5] = { FRAME_CONFIG };
	char *payload = NULL;
	size_t len;

	assert_int_equal(frame_send(p->a, FRAME_CONFIG, header, FRAME_MAX + (size_t)1), -EMSGSIZE);
	put_le32(header + 1, FRAME_MAX + 1);
	write_raw(p->a, header, sizeof(header));
	assert_int_equal(frame_receive(p->b, &payload, &len), -EMSGSIZE);
	assert_null(payload);
}

static void ends(void **state)
{
	static const uint8_t cut_header[] = { FRAME_MADE, 8, 0 };
	struct pair *p = *state;
	char *payload = NULL;
	size_t len;

	write_raw(p->a, cut_header, sizeof(cut_header));
	close_a(p);
	assert_int_equal(frame_receive(p->b, &payload, &len), -EPROTO);
	assert_int_equal(frame_receive(p->b, &payload, &len), 0);	/* now a clean end */
	assert_null(payload);
}

static void ends_in_the_payload(void **state)
{
	static const uint8_t cut[] = { FRAME_MADE, 8, 0, 0, 0, 1, 2, 3 };
	struct pair *p = *state;
	char *payload = NULL;
	size_t len;

	write_raw(p->a, cut, sizeof(cut));
	close_a(p);
	assert_int_equal(frame_receive(p->b, &payload, &len), -EPROTO);
	assert_null(payload);
}

static void type_zero_is_none(void **state)
{
	static const uint8_t frame[] = { 0, 0, 0, 0, 0 };
	struct pair *p = *state;
	char *payload = NULL;
	size_t len;

	write_raw(p->a, frame, sizeof(frame));
	assert_int_equal(frame_receive(p->b, &payload, &len), -EPROTO);
	assert_null(payload);
}

/* No SIGPIPE, which would end this program. */
static void nobody_there(void **state)
{
	struct pair *p = *state;

	close_a(p);
	assert_int_equal(frame_send(p->b, FRAME_STOP, NULL, 0), -EPIPE);
}

/* What becomes a firewall's rules is looked at first. */
static void facts_are_checked(void **state)
{
	struct frame_made made = { .mark = 7, .address_count = 1 }, out = { .mark = 1 };

	(void)state;
	assert_true(ip_prefix_parse("10.7.0.1/24", &made.addresses[0]));
	assert_true(frame_made_take(&out, &made, sizeof(made)));
	assert_memory_equal(&out, &made, sizeof(made));
	out.mark = 1;
	assert_false(frame_made_take(&out, &made, sizeof(made) - 1));
	made.addresses[0].len = 33;
	assert_false(frame_made_take(&out, &made, sizeof(made)));
	made.addresses[0] = (struct ip_prefix){ .addr = { .family = 5 } };
	assert_false(frame_made_take(&out, &made, sizeof(made)));
	made.address_count = FRAME_ADDRESSES_MAX + 1;
	assert_false(frame_made_take(&out, &made, sizeof(made)));
	assert_int_equal(out.mark, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_as_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wire_format, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(larger_than_the_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_in_the_payload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(type_zero_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_there, set_up, tear_down),
		cmocka_unit_test(facts_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
