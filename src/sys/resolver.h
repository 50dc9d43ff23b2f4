/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_RESOLVER_H
#define MESHD_SYS_RESOLVER_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"

/*
 * Names to addresses by the system's resolver, each in a short-lived child process: getaddrinfo(3) blocks, reads
 * files and loads modules, none of which the asker may do. Driven by the owner's poll loop.
 */
enum {
	RESOLVER_CHILDREN = 4,		/* at a time; more wait */
	RESOLVER_LIMIT_MS = 10000,	/* a child that takes longer is killed */
	RESOLVER_ADDRESSES_MAX = 32,	/* in one answer, half of them of one family at most */
	RESOLVER_WAITING_MAX = 65536,	/* names that wait; more are answered with nothing */
};

struct resolver_waiting;

/* One child. */
struct resolver_job {
	char *name;			/* NULL: free */
	pid_t pid;
	int fd;				/* its answer comes here; -1: answered, to be reaped */
	int64_t deadline_ms;
	struct text got;
};

struct resolver {
	/* 'addresses' is "A:P" one a line as endpoint_parse() reads them, "" when 'name' could not be resolved. */
	void (*answer)(void *ctx, const char *name, const char *addresses);
	void *ctx;
	/* Runs in the child. resolver_init() sets the system's; a test its own. */
	void (*lookup)(const char *host, const char *port, struct text *out);
	int64_t limit_ms;
	struct resolver_job jobs[RESOLVER_CHILDREN];
	struct resolver_waiting *first, *last;
	size_t waiting_count;
};

void resolver_init(struct resolver *r, void (*answer)(void *ctx, const char *name, const char *addresses), void *ctx);

/* Kill the children and forget what waits, without answers. */
void resolver_done(struct resolver *r);

/* Resolve 'name', HOST:PORT or [HOST]:PORT. Each call gets one answer, maybe during this call. */
void resolver_ask(struct resolver *r, const char *name, int64_t now_ms);

/* What to poll for. Returns how many were written. */
size_t resolver_fds(const struct resolver *r, struct pollfd fds[RESOLVER_CHILDREN]);

/* Milliseconds until resolver_turn() is needed even without input, or -1. */
int resolver_timeout_ms(const struct resolver *r, int64_t now_ms);

/* After every poll: take answers, kill who is late, reap who ended, start who waits. */
void resolver_turn(struct resolver *r, int64_t now_ms);

#endif
