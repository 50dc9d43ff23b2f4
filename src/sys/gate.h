/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_GATE_H
#define MESHD_SYS_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * Lets the control thread stop one worker between two turns. The worker pays two plain atomic stores and two loads a
 * turn; it waits only when it is wanted still, the control thread only when the worker is in the middle of a turn.
 */
struct gate {
	_Alignas(64) atomic_bool busy;		/* the worker is in a batch */
	_Alignas(64) atomic_bool wanted;	/* the control thread wants it to stand still */
	pthread_mutex_t mutex;
	pthread_cond_t idle, opened;
};

int gate_init(struct gate *g);
void gate_done(struct gate *g);

/* The worker: around every turn of a few batches. */
void gate_enter(struct gate *g);
void gate_leave(struct gate *g);

/* The control thread; not nested. */
void gate_close(struct gate *g);
void gate_open(struct gate *g);

#endif
