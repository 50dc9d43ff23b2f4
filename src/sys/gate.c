/* SPDX-License-Identifier: MIT */
/*
 * Dekker's idea: each side first says what it does and then looks at what the other said, both sequentially consistent, so
 * that never both go on. The slow way, when one has to wait, is a mutex and two conditions.
 */
#include "sys/gate.h"

int gate_init(struct gate *g)
{
	int error;

	atomic_init(&g->busy, false);
	atomic_init(&g->wanted, false);
	error = pthread_mutex_init(&g->mutex, NULL);
	if (!error)
		error = pthread_cond_init(&g->idle, NULL);
	if (!error)
		error = pthread_cond_init(&g->opened, NULL);
	return -error;
}

void gate_done(struct gate *g)
{
	pthread_mutex_destroy(&g->mutex);
	pthread_cond_destroy(&g->idle);
	pthread_cond_destroy(&g->opened);
}

void gate_enter(struct gate *g)
{
	for (;;) {
		atomic_store(&g->busy, true);
		if (!atomic_load(&g->wanted))
			return;
		gate_leave(g);
		pthread_mutex_lock(&g->mutex);
		while (atomic_load(&g->wanted))
			pthread_cond_wait(&g->opened, &g->mutex);
		pthread_mutex_unlock(&g->mutex);
	}
}

void gate_leave(struct gate *g)
{
	atomic_store(&g->busy, false);
	if (!atomic_load(&g->wanted))
		return;
	pthread_mutex_lock(&g->mutex);
	pthread_cond_signal(&g->idle);
	pthread_mutex_unlock(&g->mutex);
}

void gate_close(struct gate *g)
{
	atomic_store(&g->wanted, true);
	if (!atomic_load(&g->busy))
		return;
	pthread_mutex_lock(&g->mutex);
	while (atomic_load(&g->busy))
		pthread_cond_wait(&g->idle, &g->mutex);
	pthread_mutex_unlock(&g->mutex);
}

void gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->mutex);
	atomic_store(&g->wanted, false);
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->mutex);
}
