/* SPDX-License-Identifier: MIT */
/*
 * The server of the configuration protocol with real clients: a forked child plays them, and ends with a line's number on stderr
 * when something is not as it should be, while the test's own process runs the server's event loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "node/change.h"
#include "sandbox.h"
#include "sys/files.h"
#include "sys/uapi.h"
#include "sys/unixsock.h"

#define NAME "tu0"
#define GET_ANSWER "listen_port=7\nerrno=0\n\n"
#define PEER "public_key=c49d3cd0f5ea9a1b4bb2a7c2f2a1b1e0b0a0908070605040302010f0e0d0c0b0\n"

enum {
	IDLE_S = 30,		/* the server's patience: long on a busy machine... */
	SHORT_IDLE_S = 4,	/* ...but where a test waits for its end */
	WATCHDOG_S = 120,
	BIG = 4 << 20,
};

/* The daemon's side: what the handler was asked, and how it shall answer. */
struct daemon {
	struct ev_loop *loop;
	struct uapi_server *server;
	int gets, sets, set_error;
	size_t answer_size;		/* of get, 0: GET_ANSWER */
	uint16_t port;			/* from the last set */
	size_t peers, allowed;
};

static void get(void *ctx, struct text *answer)
{
	struct daemon *d = ctx;

	d->gets++;
	if (!d->answer_size) {
		text_add(answer, GET_ANSWER);
		return;
	}
	while (answer->len < d->answer_size)
		text_add(answer, "0123456789abcde\n");
}

static int set(void *ctx, const struct change *c)
{
	struct daemon *d = ctx;

	d->sets++;
	d->port = c->listen_port;
	d->peers = c->peer_count;
	d->allowed = c->peer_count ? c->peers[0].allowed_count : 0;
	return d->set_error;
}

static int setup_with(void **state, int idle_s)
{
	struct daemon *d = test_calloc(1, sizeof(*d));
	const struct uapi_handler h = { .get = get, .set = set, .ctx = d, .idle_s = idle_s };

	d->loop = ev_loop_new(EVFLAG_AUTO);
	*state = d;
	return uapi_listen(&d->server, d->loop, NAME, &h);
}

static int setup(void **state)
{
	return setup_with(state, IDLE_S);
}

static int setup_impatient(void **state)
{
	return setup_with(state, SHORT_IDLE_S);
}

static int teardown(void **state)
{
	struct daemon *d = *state;

	uapi_close(d->server);
	ev_loop_destroy(d->loop);
	test_free(d);
	return access(MESHD_UAPI_DIR "/" NAME ".sock", F_OK) ? 0 : -1;
}

static void stop(struct ev_loop *loop, ev_io *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)events;
	*(bool *)w->data = true;
	ev_break(loop, EVBREAK_ALL);
}

/* Let 'clients' run in a child and serve it until it ends. */
static void play(struct daemon *d, void (*clients)(void))
{
	bool late = false;
	ev_timer watchdog;
	int ended[2], status;
	ev_io end;
	pid_t pid;

	assert_int_equal(pipe(ended), 0);
	pid = fork();
	if (!pid) {
		close(ended[0]);
		clients();
		_exit(0);
	}
	close(ended[1]);
	ev_io_init(&end, stop, ended[0], EV_READ);
	ev_timer_init(&watchdog, on_watchdog, WATCHDOG_S, 0.);
	watchdog.data = &late;
	ev_now_update(d->loop);
	ev_io_start(d->loop, &end);
	ev_timer_start(d->loop, &watchdog);
	ev_run(d->loop, 0);
	ev_io_stop(d->loop, &end);
	ev_timer_stop(d->loop, &watchdog);
	close(ended[0]);
	if (late)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(late);
	assert_int_equal(status, 0);
}

/* The clients' side. */

#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
			_exit(1); \
		} \
	} while (0)

static int dial(void)
{
	int fd = unix_connect(MESHD_UAPI_DIR, NAME, 60000);

	CHECK(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Exactly this comes, and nothing else just now. */
static void hear(int fd, const char *text)
{
	char got[256];
	size_t len = strlen(text);

	CHECK(len < sizeof(got));
	CHECK(recv(fd, got, len, MSG_WAITALL) == (ssize_t)len);
	CHECK(!memcmp(got, text, len));
	CHECK(recv(fd, got, 1, MSG_DONTWAIT) <= 0);
}

static void hear_end(int fd)
{
	char c;

	CHECK(recv(fd, &c, 1, 0) == 0);
	close(fd);
}

static void one_get(void)
{
	int fd = dial();

	say(fd, "get=1\n\n");
	hear(fd, GET_ANSWER);
	close(fd);
}

static void answers_get(void **state)
{
	struct daemon *d = *state;

	play(d, one_get);
	assert_int_equal(d->gets, 1);
	assert_int_equal(d->sets, 0);
}

static void several_in_turn_client(void)
{
	int fd = dial();

	for (int i = 0; i < 3; i++) {
		say(fd, "get=1\n\n");
		hear(fd, GET_ANSWER);
		say(fd, "set=1\nlisten_port=77\n\n");
		hear(fd, "errno=0\n\n");
	}
	/* Three at once, the last of them in two pieces, and no more to come: all are answered, then the server hangs up. */
	say(fd, "get=1\n\nset=1\nlisten_port=78\n\nget=");
	hear(fd, GET_ANSWER "errno=0\n\n");
	say(fd, "1\n\n");
	CHECK(!shutdown(fd, SHUT_WR));
	hear(fd, GET_ANSWER);
	hear_end(fd);
}

static void several_requests_on_one_connection(void **state)
{
	struct daemon *d = *state;

	play(d, several_in_turn_client);
	assert_int_equal(d->gets, 5);
	assert_int_equal(d->sets, 4);
	assert_int_equal(d->port, 78);
}

static void set_client(void)
{
	int fd = dial();

	say(fd, "set=1\nlisten_port=1234\n" PEER "allowed_ip=10.0.0.0/8\n\n");
	hear(fd, "errno=-98\n\n");
	/* A bad value is answered, and is not the end of the conversation. */
	say(fd, "set=1\nlisten_port=many\n\n");
	hear(fd, "errno=-22\n\n");
	say(fd, "get=1\n\n");
	hear(fd, GET_ANSWER);
	close(fd);
}

static void answers_set(void **state)
{
	struct daemon *d = *state;

	d->set_error = -EADDRINUSE;
	assert_int_equal(EADDRINUSE, 98);
	play(d, set_client);
	assert_int_equal(d->sets, 1);
	assert_int_equal(d->port, 1234);
	assert_int_equal(d->peers, 1);
	assert_int_equal(d->allowed, 1);
}

static void pieces_client(void)
{
	static const char request[] = "set=1\nlisten_port=4321\n\n";
	int fd = dial();

	for (const char *p = request; *p; p++) {
		CHECK(send(fd, p, 1, MSG_NOSIGNAL) == 1);
		usleep(1000);
	}
	hear(fd, "errno=0\n\n");
	say(fd, "get=1\n\n");		/* a shorter one behind it is looked at from its own start */
	hear(fd, GET_ANSWER);
	close(fd);
}

static void byte_by_byte(void **state)
{
	struct daemon *d = *state;

	play(d, pieces_client);
	assert_int_equal(d->port, 4321);
}

static void half_client(void)
{
	int fd = dial();

	say(fd, "set=1\nlisten_port=99\n");
	CHECK(!shutdown(fd, SHUT_WR));
	hear_end(fd);
	fd = dial();
	say(fd, "set=1\nlisten_port=99\n");
	close(fd);
	close(dial());
	one_get();
}

static void half_a_request_is_none(void **state)
{
	struct daemon *d = *state;

	play(d, half_client);
	assert_int_equal(d->sets, 0);
	assert_int_equal(d->gets, 1);
}

static void garbage_client(void)
{
	static const char *const garbage[] = {
		"GET / HTTP/1.1\r\n\r\n", "get=2\n\n", "\n\n", "set=1 \n\n", "\xff\xfe", "get=1\nlisten_port=1\n\n",
	};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = dial();

		say(fd, garbage[i]);
		hear(fd, "errno=-71\n\n");
		hear_end(fd);
	}
	one_get();
}

static void garbage_ends_the_connection(void **state)
{
	struct daemon *d = *state;

	assert_int_equal(EPROTO, 71);
	play(d, garbage_client);
	assert_int_equal(d->sets, 0);
	assert_int_equal(d->gets, 1);
}

static void slow_client(void)
{
	int silent = dial(), half = dial(), fd = dial();

	say(half, "set=1\nlisten_port=5\n");
	/* Slower than the limit in all, but never silent for so long. */
	for (int i = 0; i < 5; i++) {
		usleep(SHORT_IDLE_S * 250000);
		say(fd, "get=1\n\n");
		hear(fd, GET_ANSWER);
	}
	hear_end(silent);
	hear_end(half);
	hear_end(fd);
}

static void silent_clients_are_let_go(void **state)
{
	struct daemon *d = *state;

	play(d, slow_client);
	assert_int_equal(d->gets, 5);
	assert_int_equal(d->sets, 0);
}

static void crowd_client(void)
{
	int fd[UAPI_CLIENTS_MAX + 2];
	struct pollfd p = { .events = POLLIN };

	for (int i = 0; i < UAPI_CLIENTS_MAX + 2; i++)
		fd[i] = dial();
	for (int i = 0; i < UAPI_CLIENTS_MAX; i++) {
		say(fd[i], "get=1\n\n");
		hear(fd[i], GET_ANSWER);
	}
	say(fd[UAPI_CLIENTS_MAX], "get=1\n\n");
	say(fd[UAPI_CLIENTS_MAX + 1], "get=1\n\n");
	p.fd = fd[UAPI_CLIENTS_MAX];
	CHECK(poll(&p, 1, 100) == 0);		/* waits for a place */
	close(fd[3]);
	hear(fd[UAPI_CLIENTS_MAX], GET_ANSWER);
	close(fd[0]);
	hear(fd[UAPI_CLIENTS_MAX + 1], GET_ANSWER);
	/* And again and again: no place is lost. */
	for (int i = 0; i < UAPI_CLIENTS_MAX + 2; i++)
		if (i != 0 && i != 3)
			close(fd[i]);
	for (int i = 0; i < 100; i++)
		one_get();
}

static void a_crowd_takes_turns(void **state)
{
	struct daemon *d = *state;

	play(d, crowd_client);
	assert_int_equal(d->gets, UAPI_CLIENTS_MAX + 2 + 100);
}

static void long_answer_client(void)
{
	static char got[BIG];
	int fd = dial(), deaf = dial();
	struct pollfd gone = { .fd = deaf };

	/* One who asks twice and never reads holds nobody up, and is let go. */
	say(deaf, "get=1\n\nget=1\n\n");
	say(fd, "get=1\n\n");
	for (size_t len = 0; len < BIG;) {
		ssize_t n = recv(fd, got + len, 100000, 0);

		CHECK(n > 0);
		len += (size_t)n;
		usleep(5000);
	}
	for (size_t i = 0; i < BIG; i += 16)
		CHECK(!memcmp(got + i, "0123456789abcde\n", 16));
	close(fd);
	CHECK(poll(&gone, 1, 60000) == 1 && gone.revents & POLLHUP);
	CHECK(send(deaf, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
}

static void long_answers(void **state)
{
	struct daemon *d = *state;

	d->answer_size = BIG;
	play(d, long_answer_client);
	assert_int_equal(d->gets, 2);
}

static void long_request_client(void)
{
	enum { COUNT = 50000 };
	size_t len = 0, size = 256 + (size_t)COUNT * 40;
	char *text = malloc(size);
	int fd = dial();

	len += (size_t)sprintf(text + len, "set=1\n" PEER);
	for (int i = 0; i < COUNT; i++)
		len += (size_t)sprintf(text + len, "allowed_ip=10.%d.%d.1/32\n", i / 256, i % 256);
	len += (size_t)sprintf(text + len, "\n");
	CHECK(len < size);
	say(fd, text);
	hear(fd, "errno=0\n\n");
	free(text);
}

static void long_requests(void **state)
{
	struct daemon *d = *state;

	play(d, long_request_client);
	assert_int_equal(d->peers, 1);
	assert_int_equal(d->allowed, 50000);
}

static void endless_client(void)
{
	static char zeros[1 << 20];
	int fd = dial();
	ssize_t n = 0;
	size_t sent = 0;

	/* A request that never ends is stopped at the limit, with an answer if one listens. */
	memset(zeros, 'a', sizeof(zeros));
	say(fd, "set=1\n");
	while (sent < (size_t)128 << 20 && (n = send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	CHECK(n < 0 && errno == EPIPE);
	hear(fd, "errno=-71\n\n");
	close(fd);
	one_get();
}

static void endless_request(void **state)
{
	struct daemon *d = *state;

	play(d, endless_client);
	assert_int_equal(d->sets, 0);
	assert_int_equal(d->gets, 1);
}

static void second_server(void **state)
{
	const struct uapi_handler h = { .get = get, .set = set };
	struct daemon *d = *state;
	struct uapi_server *other = NULL;
	struct stat st;

	assert_int_equal(uapi_listen(&other, d->loop, NAME, &h), -EADDRINUSE);
	assert_null(other);
	assert_int_equal(stat(MESHD_UAPI_DIR "/" NAME ".sock", &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(uapi_listen(&other, d->loop, "tu1", &h), 0);
	uapi_close(other);
	uapi_close(NULL);
	play(d, one_get);
}

/* A server closed with clients in every state leaves nothing, neither memory nor the socket (see teardown). */
static void leave_busy_client(void)
{
	int fd = dial();

	say(dial(), "get=1\n\n");
	say(dial(), "set=1\nlisten_port=5\n");
	say(fd, "get=1\n\n");
	CHECK(recv(fd, &fd, 1, 0) == 1);
}

static void closed_while_busy(void **state)
{
	struct daemon *d = *state;

	d->answer_size = BIG;
	play(d, leave_busy_client);
	assert_int_equal(d->gets, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_get, setup, teardown),
		cmocka_unit_test_setup_teardown(several_requests_on_one_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_set, setup, teardown),
		cmocka_unit_test_setup_teardown(byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(half_a_request_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_ends_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_clients_are_let_go, setup_impatient, teardown),
		cmocka_unit_test_setup_teardown(a_crowd_takes_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(long_answers, setup_impatient, teardown),
		cmocka_unit_test_setup_teardown(long_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_request, setup, teardown),
		cmocka_unit_test_setup_teardown(second_server, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_while_busy, setup, teardown),
	};

	sandbox_run_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
