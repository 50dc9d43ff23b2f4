/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_SLICE_H
#define MESHD_SYS_SLICE_H

/*
 * Ask the scheduler for short turns of the calling thread: it runs as much as before, but sooner after it was woken, which is what a
 * packet of a quiet flow waits for on a busy machine. A wish: where the kernel (before Linux 6.12) or a sandbox does not grant it
 * nothing changes.
 */
void slice_shorten(void);

#endif
