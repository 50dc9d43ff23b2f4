/* SPDX-License-Identifier: MIT */
/* What a process can still do after dropping: tried in forked children, since there is no way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sandbox.h"
#include "sys/privs.h"

#define KEPT (UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_BIND_SERVICE)

/* In a child a failed check ends it with the line's number, as far as an exit status can carry one. */
#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
			_exit(1); \
		} \
	} while (0)

static void run_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A line of /proc/self/status as a number. */
static uint64_t status_number(const char *key, int base)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	uint64_t value = UINT64_MAX;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			value = strtoull(line + strlen(key) + 1, NULL, base);
	fclose(f);
	return value;
}

static uint64_t status_hex(const char *key)
{
	return status_number(key, 16);
}

static void capabilities_body(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	CHECK(privs_have_net_admin());
	/* Something in the ambient and inheritable sets, to be cleared. */
	CHECK(!syscall(SYS_capget, &head, data));
	data[0].inheritable = 1u << CAP_NET_RAW | 1u << CAP_NET_ADMIN;
	CHECK(!syscall(SYS_capset, &head, data));
	CHECK(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
	CHECK(status_hex("CapAmb") == 1u << CAP_NET_RAW);

	CHECK(privs_drop() == 0);
	CHECK(status_hex("CapEff") == KEPT);
	CHECK(status_hex("CapPrm") == KEPT);
	CHECK(status_hex("CapInh") == 0);
	CHECK(status_hex("CapAmb") == 0);
	CHECK(status_hex("CapBnd") == KEPT);
	CHECK(status_hex("NoNewPrivs") == 1);
	CHECK(privs_have_net_admin());
	CHECK(privs_drop() == 0);	/* twice does no harm */
}

static void capabilities(void **state)
{
	(void)state;
	run_child(capabilities_body);
}

static void what_works_body(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(51) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mark = 7;
	int others = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(!privs_drop());
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &mark, sizeof(mark)));
	CHECK(!bind(fd, (struct sockaddr *)&sin, sizeof(sin)));
	CHECK(socket(AF_INET, SOCK_RAW, IPPROTO_UDP) < 0 && errno == EPERM);
	CHECK(mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 && errno == EPERM);
	CHECK(fchown(others, 65534, 65534) < 0 && errno == EPERM);
	CHECK(setuid(65534) < 0 && errno == EPERM);
	/* Root's own files are still root's, a stranger's are not. */
	CHECK(open("/run/mine", O_RDONLY) >= 0);
	CHECK(open("/run/stranger", O_RDONLY) < 0 && errno == EACCES);
}

static void what_works_after_dropping(void **state)
{
	int fd;

	(void)state;
	fd = open("/run/mine", O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	fd = open("/run/stranger", O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, 65534, 65534), 0);
	close(fd);
	run_child(what_works_body);
}

/* Executing something does not bring anything back, though we are uid 0. */
static void exec_body(void)
{
	CHECK(!privs_drop());
	execl("/bin/sh", "sh", "-c", "grep -q '^CapEff:[[:space:]]*0*1400$' /proc/self/status", (char *)NULL);
	_exit(1);
}

static void exec_gains_nothing(void **state)
{
	(void)state;
	assert_int_equal(KEPT, 0x1400);
	run_child(exec_body);
}

/* A service manager's tight bounding set, without CAP_SETPCAP or CAP_NET_BIND_SERVICE. */
static void tight_body(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 1u << CAP_NET_ADMIN | 1u << CAP_KILL } };

	data[0].permitted = data[0].effective;
	CHECK(!syscall(SYS_capset, &head, data));
	CHECK(privs_drop() == 0);
	CHECK(status_hex("CapEff") == UINT64_C(1) << CAP_NET_ADMIN);
	CHECK(status_hex("CapPrm") == UINT64_C(1) << CAP_NET_ADMIN);
	CHECK(status_hex("NoNewPrivs") == 1);
}

static void starts_with_little(void **state)
{
	(void)state;
	run_child(tight_body);
}

static void unprivileged_body(void)
{
	CHECK(!setuid(65534));
	CHECK(!privs_have_net_admin());
	CHECK(privs_drop() == 0);
	CHECK(!privs_have_net_admin());
}

static void unprivileged(void **state)
{
	(void)state;
	run_child(unprivileged_body);
}

static void protect_body(void)
{
	const size_t size = (size_t)256 << 20;
	struct rlimit core, memlock;
	uint8_t *p;

	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
	privs_protect();
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(!getrlimit(RLIMIT_CORE, &core));
	CHECK(core.rlim_cur == 0);
	CHECK(!privs_drop());
	CHECK(!getrlimit(RLIMIT_CORE, &core));
	CHECK(core.rlim_cur == 0 && core.rlim_max == 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);

	/* Large mappings still work without CAP_IPC_LOCK, and only what is touched of them is locked into memory. */
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 1;
	/* Locked where the limit could be raised, which takes CAP_SYS_RESOURCE. */
	CHECK(!getrlimit(RLIMIT_MEMLOCK, &memlock));
#ifdef __SANITIZE_ADDRESS__	/* it turns mlockall() off */
	memlock.rlim_max = 0;
#endif
	CHECK((status_number("VmLck", 10) >= size >> 10) == (memlock.rlim_max == RLIM_INFINITY));
	CHECK(status_number("VmRSS", 10) < size >> 11);
}

static void protects(void **state)
{
	(void)state;
	run_child(protect_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities),
		cmocka_unit_test(what_works_after_dropping),
		cmocka_unit_test(exec_gains_nothing),
		cmocka_unit_test(starts_with_little),
		cmocka_unit_test(unprivileged),
		cmocka_unit_test(protects),
	};

	if (geteuid() != 0) {
		errno = EPERM;
		sandbox_skip("not root");
	}
	sandbox_network();
	sandbox_run_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
