/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_KSLOT_H
#define MESHD_SYS_KSLOT_H

#include <stdbool.h>

/*
 * A slot: the share of the kernel's priorities and tables that one meshd's routes have (sys/kfib.h), and with it the right to purge all that
 * carries them. DIR/babel-N.slot is locked while it is held, which ends with the process at the latest, and names who has it or had it.
 */
struct kslot {
	int fd;			/* -1: none */
	unsigned int number;
	bool kept;		/* the one before us, of the same name, left its routes on purpose: they are good until ours come */
};

/* Take the slot 'name' had, else one that nobody had, else any that is free. 0, -EBUSY (all are held), or negative errno. */
int kslot_take(struct kslot *s, const char *dir, const char *name);

/* Take the slot 'name' had and nobody holds: to clean up after it. -ENOENT: there is none. */
int kslot_find(struct kslot *s, const char *dir, const char *name);

/*
 * What a run of 'name' that was killed, or was to come back, left in the kernel: purge its slot's routes and rules, and give it back. Opens
 * netlink only if there is one. Returns whether there was.
 */
bool kslot_clean(const char *dir, const char *name);

/* Give it back: 'keep' when routes stay in the kernel for the next of the same name, else the slot is nobody's. */
void kslot_release(struct kslot *s, bool keep);

#endif
