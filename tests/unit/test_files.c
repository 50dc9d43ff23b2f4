/* SPDX-License-Identifier: MIT */
/* Files, directories and locks, under a /run of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox.h"
#include "sys/files.h"
#include "sys/runfile.h"

#define DIR_A "/run/a"

static int setup(void **state)
{
	(void)state;
	return mkdir(DIR_A, 0755);
}

static int teardown(void **state)
{
	(void)state;
	umask(022);
	return system("rm -rf " DIR_A " " MESHD_RUN_DIR);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void assert_content(const char *path, const char *text)
{
	struct text t = { 0 };

	assert_int_equal(file_read(path, &t, 1 << 20), 0);
	assert_string_equal(t.s, text);
	text_done(&t);
}

static unsigned int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static int entries_in(const char *path)
{
	DIR *d = opendir(path);
	int count = -2;		/* . and .. */

	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static void reads_within_bounds(void **state)
{
	struct text t = { 0 };
	char big[10001];

	(void)state;
	memset(big, 'x', 10000);
	big[10000] = '\0';
	put(DIR_A "/f", big);
	assert_int_equal(file_read(DIR_A "/f", &t, 10000), 0);
	assert_int_equal(t.len, 10000);
	assert_string_equal(t.s, big);
	text_done(&t);
	assert_int_equal(file_read(DIR_A "/f", &t, 9999), -EFBIG);
	assert_null(t.s);
	assert_int_equal(file_read(DIR_A "/f", &t, 0), -EFBIG);
	put(DIR_A "/f", "");
	assert_int_equal(file_read(DIR_A "/f", &t, 0), 0);
	assert_string_equal(t.s, "");
	text_done(&t);
	assert_int_equal(file_read(DIR_A "/none", &t, 10), -ENOENT);
	assert_int_equal(file_read(DIR_A, &t, 10), -EISDIR);
}

static void replaces(void **state)
{
	struct stat before, after;

	(void)state;
	umask(077);
	assert_int_equal(file_replace(DIR_A "/f", "one", 3, 0644), 0);
	assert_content(DIR_A "/f", "one");
	assert_int_equal(mode_of(DIR_A "/f"), 0644);
	umask(0);
	assert_int_equal(stat(DIR_A "/f", &before), 0);
	assert_int_equal(file_replace(DIR_A "/f", "second", 6, 0600), 0);
	assert_int_equal(stat(DIR_A "/f", &after), 0);
	assert_content(DIR_A "/f", "second");
	assert_int_equal(mode_of(DIR_A "/f"), 0600);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(file_replace(DIR_A "/f", "", 0, 0600), 0);
	assert_content(DIR_A "/f", "");
	assert_int_equal(entries_in(DIR_A), 1);

	/* Relative, and where the directory's name is empty. */
	assert_int_equal(chdir(DIR_A), 0);
	assert_int_equal(file_replace("g", "g", 1, 0600), 0);
	assert_content(DIR_A "/g", "g");
	assert_int_equal(chdir("/"), 0);
}

static void replaces_what_a_link_leads_to(void **state)
{
	(void)state;
	put(DIR_A "/real", "old");
	assert_int_equal(symlink("real", DIR_A "/link"), 0);
	assert_int_equal(file_replace(DIR_A "/link", "new", 3, 0600), 0);
	assert_content(DIR_A "/real", "new");
	assert_content(DIR_A "/link", "new");
	assert_int_equal(entries_in(DIR_A), 2);
}

static void failure_leaves_the_old(void **state)
{
	static char big[1 << 20];

	(void)state;
	assert_int_equal(file_replace(DIR_A "/none/f", "x", 1, 0600), -ENOENT);
	assert_int_equal(mkdir(DIR_A "/d", 0755), 0);
	assert_int_equal(file_replace(DIR_A "/d", "x", 1, 0600), -EISDIR);
	assert_int_equal(entries_in(DIR_A), 1);
	assert_int_equal(mkfifo(DIR_A "/p", 0600), 0);
	assert_int_equal(symlink("p", DIR_A "/to-p"), 0);
	assert_int_equal(file_replace(DIR_A "/p", "x", 1, 0600), -EOPNOTSUPP);
	assert_int_equal(file_replace(DIR_A "/to-p", "x", 1, 0600), -EOPNOTSUPP);
	assert_int_equal(entries_in(DIR_A), 3);

	/* A full disk. */
	assert_int_equal(mount("tmpfs", DIR_A "/d", "tmpfs", 0, "size=64k"), 0);
	put(DIR_A "/d/f", "old");
	assert_int_equal(file_replace(DIR_A "/d/f", big, sizeof(big), 0600), -ENOSPC);
	assert_content(DIR_A "/d/f", "old");
	assert_int_equal(entries_in(DIR_A "/d"), 1);
	assert_int_equal(umount(DIR_A "/d"), 0);
}

static void makes_directories(void **state)
{
	(void)state;
	umask(0);
	assert_int_equal(dir_make(DIR_A "/d"), 0);
	assert_int_equal(mode_of(DIR_A "/d"), 0700);
	assert_int_equal(dir_make(DIR_A "/d"), 0);
	assert_int_equal(chmod(DIR_A "/d", 0755), 0);
	assert_int_equal(dir_make(DIR_A "/d"), 0);
	assert_int_equal(chmod(DIR_A "/d", 0702), 0);
	assert_int_equal(dir_make(DIR_A "/d"), -EPERM);
	assert_int_equal(chmod(DIR_A "/d", 0770), 0);
	assert_int_equal(dir_make(DIR_A "/d"), -EPERM);
	assert_int_equal(chmod(DIR_A "/d", 0700), 0);
	assert_int_equal(chown(DIR_A "/d", 65534, 65534), 0);
	assert_int_equal(dir_make(DIR_A "/d"), -EPERM);
	assert_int_equal(dir_make(DIR_A "/none/d"), -ENOENT);
	put(DIR_A "/f", "");
	assert_int_equal(dir_make(DIR_A "/f"), -ENOTDIR);
	assert_int_equal(symlink("/etc", DIR_A "/l"), 0);
	assert_int_equal(dir_make(DIR_A "/l"), -ENOTDIR);
}

static void lock_is_exclusive(void **state)
{
	int fd, other;

	(void)state;
	assert_int_equal(lock_holder("n"), 0);
	fd = lock_take("n");
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(mode_of(MESHD_RUN_DIR "/n.lock"), 0600);
	assert_int_equal(lock_take("n"), -EBUSY);
	assert_int_equal(lock_holder("n"), getpid());
	assert_int_equal(lock_wait("n", getpid(), 30), -ETIMEDOUT);
	other = lock_take("m");
	assert_true(other >= 0);
	lock_release("m", other);
	lock_release("n", fd);
	assert_int_equal(entries_in(MESHD_RUN_DIR), 0);
	assert_int_equal(lock_holder("n"), 0);
	assert_int_equal(lock_wait("n", getpid(), 0), 0);
	fd = lock_take("n");
	assert_true(fd >= 0);
	lock_release("n", fd);
}

static void wait_for_exit(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Somebody tidied /run up while we held the lock: what is there now is another's. */
static void release_leaves_another_file(void **state)
{
	int fd, other;

	(void)state;
	fd = lock_take("n");
	assert_true(fd >= 0);
	assert_int_equal(unlink(MESHD_RUN_DIR "/n.lock"), 0);
	other = lock_take("n");
	assert_true(other >= 0);
	lock_release("n", fd);
	assert_int_equal(lock_holder("n"), getpid());
	lock_release("n", other);
	assert_int_equal(entries_in(MESHD_RUN_DIR), 0);
}

static void closing_gives_it_back(void **state)
{
	int fd;

	(void)state;
	fd = lock_take("n");
	assert_true(fd >= 0);
	close(fd);
	assert_true(mode_of(MESHD_RUN_DIR "/n.lock") > 0);
	assert_int_equal(lock_holder("n"), 0);	/* though the file is there with our pid in it */
}

/* Into the background: the lock goes with the child, who writes his own pid, and ends with him even by SIGKILL. */
static void lock_survives_fork(void **state)
{
	int fd, ready[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	fd = lock_take("n");
	assert_true(fd >= 0);
	pid = fork();
	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || lock_own(fd) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(fd);
	assert_int_equal(lock_take("n"), -EBUSY);
	assert_int_equal(lock_holder("n"), pid);
	kill(pid, SIGKILL);
	assert_int_equal(lock_wait("n", pid, 5000), 0);
	waitpid(pid, NULL, 0);
	/* The dead one's file is no obstacle, nor is its pid. */
	fd = lock_take("n");
	assert_true(fd >= 0);
	assert_int_equal(lock_holder("n"), getpid());
	lock_release("n", fd);
	close(ready[0]);
	close(ready[1]);
}

static void holder_of_nonsense(void **state)
{
	int fd;

	(void)state;
	fd = lock_take("n");
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(lock_holder("n"), -EIO);
	assert_int_equal(lock_own(fd), 0);
	assert_int_equal(lock_holder("n"), getpid());
	lock_release("n", fd);
}

/* A pid that anybody could have put there is not one to send a signal to. */
static void holder_in_a_foreign_directory(void **state)
{
	int fd;

	(void)state;
	fd = lock_take("n");
	assert_true(fd >= 0);
	assert_int_equal(chown(MESHD_RUN_DIR, 65534, 65534), 0);
	assert_int_equal(lock_holder("n"), -EPERM);
	assert_int_equal(chown(MESHD_RUN_DIR, 0, 0), 0);
	assert_int_equal(chmod(MESHD_RUN_DIR, 0777), 0);
	assert_int_equal(lock_holder("n"), -EPERM);
	assert_int_equal(chmod(MESHD_RUN_DIR, 0700), 0);
	assert_int_equal(lock_holder("n"), getpid());
	lock_release("n", fd);
}

/* Who waits for one to go does not wait for the next. */
static void waits_for_one_holder(void **state)
{
	int fd;

	(void)state;
	fd = lock_take("n");
	assert_true(fd >= 0);
	assert_int_equal(lock_wait("n", getpid() + 1, 0), 0);
	assert_int_equal(lock_wait("n", getpid(), 0), -ETIMEDOUT);
	lock_release("n", fd);
}

/* Three processes take and release as fast as they can; never do two hold it, though the file comes and goes. */
static void never_held_twice(void **state)
{
	enum { WORKERS = 3, ROUNDS = 1500 };
	struct {
		atomic_int held, twice, taken;
	} *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[WORKERS];

	(void)state;
	assert_true(shared != MAP_FAILED);
	for (int w = 0; w < WORKERS; w++) {
		pids[w] = fork();
		if (pids[w])
			continue;
		for (int i = 0; i < ROUNDS;) {
			int fd = lock_take("n");

			if (fd == -EBUSY) {
				sched_yield();
				continue;
			}
			if (fd < 0)
				_exit(1);
			shared->twice += atomic_fetch_add(&shared->held, 1) != 0;
			shared->taken++;
			sched_yield();
			atomic_fetch_sub(&shared->held, 1);
			lock_release("n", fd);
			i++;
		}
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++)
		wait_for_exit(pids[w]);
	assert_int_equal(shared->taken, WORKERS * ROUNDS);
	assert_int_equal(shared->twice, 0);
	munmap(shared, sizeof(*shared));
}

/* What the root parent leaves for the "meshd down" that waits: one line, read once, and not by others. */
static void notes(void **state)
{
	struct text t = { 0 };
	struct stat st;

	(void)state;
	assert_false(runfile_take_note("n", &t));
	assert_int_equal(runfile_write_note("n", "no directory"), -ENOENT);
	assert_int_equal(dir_make(MESHD_RUN_DIR), 0);
	assert_int_equal(runfile_write_note("n", "the first"), 0);
	assert_int_equal(runfile_write_note("n", "the disk is full"), 0);
	assert_int_equal(stat(MESHD_RUN_DIR "/n.note", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(runfile_take_note("m", &t));
	assert_true(runfile_take_note("n", &t));
	assert_string_equal(t.s, "the disk is full");
	assert_false(runfile_take_note("n", &t));
	/* A new run forgets what nobody read. */
	assert_int_equal(runfile_write_note("n", "old"), 0);
	assert_true(runfile_take_note("n", NULL));
	assert_int_equal(access(MESHD_RUN_DIR "/n.note", F_OK), -1);
	text_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_within_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(replaces_what_a_link_leads_to, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_leaves_the_old, setup, teardown),
		cmocka_unit_test_setup_teardown(makes_directories, setup, teardown),
		cmocka_unit_test_setup_teardown(lock_is_exclusive, setup, teardown),
		cmocka_unit_test_setup_teardown(release_leaves_another_file, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_gives_it_back, setup, teardown),
		cmocka_unit_test_setup_teardown(lock_survives_fork, setup, teardown),
		cmocka_unit_test_setup_teardown(holder_of_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(holder_in_a_foreign_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_one_holder, setup, teardown),
		cmocka_unit_test_setup_teardown(never_held_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(notes, setup, teardown),
	};

	sandbox_run_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
