/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_CLOCK_H
#define MESHD_SYS_CLOCK_H

#include "base/instant.h"
#include "base/rng.h"

/* Both clocks of the system; the monotonic one counts suspended time too (CLOCK_BOOTTIME), as WireGuard's key ages do. */
struct instant clock_now(void);

/* The system's random generator (by libsodium). */
struct rng system_rng(void);

#endif
