/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_PRIVS_H
#define MESHD_SYS_PRIVS_H

/* No core dumps, not traceable, secrets not swapped where the limit allows. Call first thing in a process that will hold keys. */
void privs_protect(void);

/* In a fresh child that will run somebody else's program: the limits privs_protect() changed as they were before. */
void privs_restore_limits(void);

/*
 * Keep only what the daemon proper needs - CAP_NET_ADMIN (netlink, SO_MARK, TUN) and CAP_NET_BIND_SERVICE (a listen port
 * below 1024 set later) - and set no_new_privs. 0 or negative errno.
 */
int privs_drop(void);

/* Whether this process has CAP_NET_ADMIN. */
int privs_have_net_admin(void);

#endif
