/* SPDX-License-Identifier: MIT */
/*
 * Under EEVDF a thread of the ordinary class has a virtual deadline one slice after it becomes eligible, and the earliest deadline
 * runs. So a shorter slice gets the processor sooner for less at a time; its share stays what its nice value says. Since Linux 6.12
 * sched_setattr(2) takes the slice as the runtime of SCHED_OTHER; older kernels ignore it there.
 */
#include "sys/slice.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLICE_NS = 100 * 1000 };		/* the shortest there is */

/* As the kernel has it, first version; the C library does not. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

enum { POLICY_OTHER = 0 };

void slice_shorten(void)
{
	struct scheduling s = { .size = sizeof(s) };

	/* All else as it is: who started us may have chosen a nice value or another policy. */
	if (syscall(SYS_sched_getattr, 0, &s, sizeof(s), 0) || s.policy != POLICY_OTHER)
		return;
	s.runtime_ns = SLICE_NS;
	(void)syscall(SYS_sched_setattr, 0, &s, 0);
}
