/* SPDX-License-Identifier: MIT */
/* Unix sockets for root alone: who gets in, and what is found in the directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"
#include "sys/unixsock.h"

#define DIR "/run/d"
#define SOCKET DIR "/n.sock"

static int teardown(void **state)
{
	(void)state;
	umask(022);
	return system("rm -rf " DIR);
}

static unsigned int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void talks(void **state)
{
	int listener, client, server;
	char c;

	(void)state;
	assert_int_equal(unix_listen(DIR, "n", &listener), 0);
	assert_int_equal(unix_accept(listener), -EAGAIN);
	client = unix_connect(DIR, "n", 2000);
	assert_true(client >= 0);
	server = unix_accept(listener);
	assert_true(server >= 0);
	assert_true(unix_peer_is_root(client));
	assert_true(unix_peer_is_root(server));
	assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(read(server, &c, 1), 1);
	close(client);
	close(server);
	close(listener);
}

static void modes_whatever_the_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077 };
	int listener;

	(void)state;
	for (int i = 0; i < 3; i++) {
		umask(masks[i]);
		assert_int_equal(unix_listen(DIR, "n", &listener), 0);
		assert_int_equal(umask(masks[i]), masks[i]);
		assert_int_equal(mode_of(DIR), 0700);
		assert_int_equal(mode_of(SOCKET), 0600);
		assert_int_equal(unix_unlink(DIR, "n"), 0);
		assert_int_equal(rmdir(DIR), 0);
		close(listener);
	}
	assert_int_equal(unix_unlink(DIR, "n"), 0);	/* gone is fine */
}

static void bad_directories(void **state)
{
	int listener = -1;

	(void)state;
	assert_int_equal(unix_listen("/run/none/d", "n", &listener), -ENOENT);
	assert_int_equal(mkdir(DIR, 0700), 0);
	assert_int_equal(chmod(DIR, 0777), 0);
	assert_int_equal(unix_listen(DIR, "n", &listener), -EPERM);
	assert_int_equal(chmod(DIR, 0700), 0);
	assert_int_equal(chown(DIR, 65534, 0), 0);
	assert_int_equal(unix_listen(DIR, "n", &listener), -EPERM);
	assert_int_equal(chown(DIR, 0, 0), 0);
	assert_int_equal(mkdir(SOCKET, 0700), 0);
	assert_int_equal(unix_listen(DIR, "n", &listener), -EEXIST);
	assert_int_equal(listener, -1);
	assert_int_equal(unix_listen(DIR, "a-name-so-long-that-no-address-of-a-unix-socket-could-ever-hold-it"
				     "-and-then-some-more-of-it-to-be-sure", &listener), -ENAMETOOLONG);
}

static void live_and_dead(void **state)
{
	int listener, other = -1, filler[64], count = 0;

	(void)state;
	assert_int_equal(unix_connect(DIR, "n", 100), -ENOENT);
	assert_int_equal(unix_listen(DIR, "n", &listener), 0);
	assert_int_equal(unix_listen(DIR, "n", &other), -EADDRINUSE);

	/* Its backlog full it is alive all the same, and a client's patience ends. */
	while (count < 64 && (filler[count] = unix_connect(DIR, "n", 100)) >= 0)
		count++;
	assert_in_range(count, 1, 63);
	assert_int_equal(filler[count], -ETIMEDOUT);
	assert_int_equal(unix_listen(DIR, "n", &other), -EADDRINUSE);
	assert_int_equal(other, -1);
	while (count)
		close(filler[--count]);

	close(listener);
	assert_int_equal(mode_of(SOCKET), 0600);	/* dead, but there */
	assert_int_equal(unix_connect(DIR, "n", 100), -ECONNREFUSED);
	assert_int_equal(unix_listen(DIR, "n", &listener), 0);
	other = unix_connect(DIR, "n", 100);
	assert_true(other >= 0);
	close(other);
	close(listener);
}

static void client_times_out(void **state)
{
	int listener, client;
	char c;

	(void)state;
	assert_int_equal(unix_listen(DIR, "n", &listener), 0);
	client = unix_connect(DIR, "n", 50);
	assert_true(client >= 0);
	assert_int_equal(read(client, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(client);
	close(listener);
}

/* Even if somebody opened the directory and the socket to all. */
static void strangers_are_turned_away(void **state)
{
	int listener, status, tries = 0, fd;
	pid_t pid;

	(void)state;
	assert_int_equal(unix_listen(DIR, "n", &listener), 0);
	pid = fork();
	if (!pid)
		_exit(setuid(65534) ? 2 : unix_connect(DIR, "n", 1000) != -EACCES);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(DIR, 0755), 0);
	assert_int_equal(chmod(SOCKET, 0666), 0);
	pid = fork();
	if (!pid) {
		char c;

		fd = setuid(65534) ? -1 : unix_connect(DIR, "n", 30000);
		_exit(fd < 0 ? 3 : read(fd, &c, 1) != 0);	/* end of file at once */
	}
	while ((fd = unix_accept(listener)) == -EAGAIN && tries++ < 3000)
		usleep(10000);
	assert_int_equal(fd, -EPERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(listener);
}

/* Keys are handed only to root: a socket of somebody else's in our place is not talked to. */
static void no_stranger_is_asked(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int ready[2], status;
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(DIR, 0700), 0);
	assert_int_equal(chmod(DIR, 0777), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setuid(65534) || bind(s, (struct sockaddr *)&sun, sizeof(sun)) || listen(s, 1) || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(accept(s, NULL, NULL) < 0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(unix_connect(DIR, "n", 1000), -EPERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(talks, teardown),
		cmocka_unit_test_teardown(modes_whatever_the_umask, teardown),
		cmocka_unit_test_teardown(bad_directories, teardown),
		cmocka_unit_test_teardown(live_and_dead, teardown),
		cmocka_unit_test_teardown(client_times_out, teardown),
		cmocka_unit_test_teardown(strangers_are_turned_away, teardown),
		cmocka_unit_test_teardown(no_stranger_is_asked, teardown),
	};

	sandbox_run_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
