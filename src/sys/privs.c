/* SPDX-License-Identifier: MIT */
/*
 * What a process may still do. capset(2) and prctl(2) are called directly: two bits out of one mask do not ask for a library.
 *
 * The daemon stays uid 0 with nearly no capabilities: it owns the sockets and state files it made, and could not open anybody
 * else's. The bounding set and no_new_privs make sure that nothing it might execute gets more. Capabilities are a
 * thread's: drop before there are threads.
 */
#include "sys/privs.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t keep = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_BIND_SERVICE;

/* As the process was started with them; what it runs for others gets them again. */
static struct {
	bool known;
	struct rlimit core, memlock;
} before;

struct caps {
	uint64_t effective, permitted, inheritable;
};

static int get_caps(struct caps *c)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return -errno;
	c->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	c->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	c->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

static int set_caps(const struct caps *c)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(c->effective >> 32 * i);
		data[i].permitted = (uint32_t)(c->permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(c->inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

/*
 * Every page that is ever touched stays in memory. Only with the limit out of the way: else, once CAP_IPC_LOCK is
 * gone, a large mmap would fail that works without the lock.
 */
static void lock_memory(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	if (!setrlimit(RLIMIT_MEMLOCK, &none))
		mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

void privs_protect(void)
{
	struct rlimit nothing = { 0, 0 };

	/* The first time in the line of our processes; after that they are our own. */
	if (!before.known)
		before.known = !getrlimit(RLIMIT_CORE, &before.core) && !getrlimit(RLIMIT_MEMLOCK, &before.memlock);
	/* None of these can do harm by failing, and there is nothing better to do. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* The hard limit stays, or it could not be given back without CAP_SYS_RESOURCE. */
	if (before.known)
		nothing.rlim_max = before.core.rlim_max;
	setrlimit(RLIMIT_CORE, &nothing);
	lock_memory();
}

void privs_restore_limits(void)
{
	if (!before.known)
		return;
	setrlimit(RLIMIT_CORE, &before.core);
	setrlimit(RLIMIT_MEMLOCK, &before.memlock);
}

/*
 * Take all but 'keep' out of the bounding set. Without CAP_SETPCAP (a service manager's tight bounding set) it stays as it
 * is, and no_new_privs does its work alone.
 */
static int drop_bounding(void)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		int there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (there < 0)
			break;		/* past the last capability this kernel knows */
		if (!there || keep >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EPERM)
			return -errno;
	}
	return 0;
}

int privs_drop(void)
{
	const struct rlimit nothing = { 0, 0 };
	struct caps c;
	int error;

	setrlimit(RLIMIT_CORE, &nothing);	/* for good: who drops runs nothing for others */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	/* Kernels before 4.3 have no ambient set: EINVAL. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno;
	error = drop_bounding();
	if (!error)
		error = get_caps(&c);
	if (error)
		return error;
	c.permitted &= keep;
	c.effective = c.permitted;
	c.inheritable = 0;
	return set_caps(&c);
}

int privs_have_net_admin(void)
{
	struct caps c;

	return !get_caps(&c) && c.effective >> CAP_NET_ADMIN & 1;
}
