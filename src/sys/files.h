/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_FILES_H
#define MESHD_SYS_FILES_H

#include <stddef.h>

#include "base/text.h"

/* Where things are. */
#define MESHD_CONFIG_DIR "/etc/meshd"
#define MESHD_RUN_DIR "/run/meshd"
#define MESHD_STATE_DIR "/var/lib/meshd"
#define MESHD_UAPI_DIR "/var/run/wireguard"

/*
 * Append a whole file of at most 'max' bytes to 'out'. 0 or negative errno (-EFBIG: larger); on failure 'out' is wiped
 * and empty.
 */
int file_read(const char *path, struct text *out, size_t max);

/*
 * Replace a file: written beside it with 'mode' (whatever the umask is), synced, renamed. 0 or negative errno; the old one
 * stays on failure. A symbolic link is followed: the file it points to is replaced. What is neither
 * file nor directory is refused: -EOPNOTSUPP.
 */
int file_replace(const char *path, const void *data, size_t len, unsigned int mode);

/*
 * Make a directory of mode 0700 (parents must exist); fine when it is there, root's and not writable by others.
 * -EPERM: it is not; -ENOTDIR: something else has the name.
 */
int dir_make(const char *path);

/*
 * Take the lock MESHD_RUN_DIR/NAME.lock, which holds our pid while we live. Returns the descriptor (close on exec), -EBUSY
 * when another holds it, or negative errno. The lock belongs to the descriptor and its copies: it goes through
 * fork(2), and ends with lock_release() or when the last copy is closed, by death at the latest.
 */
int lock_take(const char *name);

/* Write our pid into a lock we hold: after fork(2), in the process that keeps it. 0 or negative errno. */
int lock_own(int fd);

/* Remove the lock file and close 'fd'. Copies of 'fd' in other processes lock nothing any more. */
void lock_release(const char *name, int fd);

/*
 * The pid in the lock file of 'name' when somebody holds the lock, 0 when nobody does, or negative errno. Never takes it.
 * -EPERM, -ENOTDIR: MESHD_RUN_DIR is not root's alone, so what it says is not to be believed.
 */
int lock_holder(const char *name);

/* Wait until the lock of 'name' is no longer held by 'holder', but free or somebody else's. 0, -ETIMEDOUT or negative errno. */
int lock_wait(const char *name, int holder, int timeout_ms);

#endif
