/* SPDX-License-Identifier: MIT */
/*
 * A resolver of short-lived children. A job is a child that looks one name up and writes the addresses to a
 * pipe; the end of the pipe is the end of the answer. Whoever is late is killed and his name answered
 * with nothing; the asker will come again. A slot is free only when its child is reaped, so there are never more than
 * RESOLVER_CHILDREN.
 *
 * The child keeps no descriptor but the pipe: a copy of the daemon's socket would hide the parent's death from the
 * daemon. It dies with the parent.
 */
#include "sys/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "sys/program.h"

enum {
	NAME_TEXT_MAX = 1024,		/* longer ones no resolver takes */
	ANSWER_MAX = RESOLVER_ADDRESSES_MAX * (ENDPOINT_TEXT_MAX + 1),
	REAP_AGAIN_MS = 50,		/* a child that closed its pipe but has not ended yet */
};

struct resolver_waiting {
	struct resolver_waiting *next;
	char name[];
};

/* Split at the last colon; brackets go. False: not HOST:PORT. */
static bool split(const char *name, char host[NAME_TEXT_MAX], char port[6])
{
	const char *colon = strrchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : 0;

	if (len && name[0] == '[' && name[len - 1] == ']') {
		name++;
		len -= 2;
	}
	if (!len || len >= NAME_TEXT_MAX || !colon[1] || strlen(colon + 1) > 5)
		return false;
	if (strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	memcpy(host, name, len);
	host[len] = '\0';
	strcpy(port, colon + 1);
	return true;
}

static bool endpoint_of(const struct addrinfo *ai, struct endpoint *e)
{
	*e = (struct endpoint){ 0 };
	if (ai->ai_family == AF_INET) {
		struct sockaddr_in sa;

		memcpy(&sa, ai->ai_addr, sizeof(sa));
		e->addr.family = IP_V4;
		memcpy(e->addr.bytes, &sa.sin_addr, 4);
		e->port = ntohs(sa.sin_port);
	} else if (ai->ai_family == AF_INET6) {
		struct sockaddr_in6 sa;

		memcpy(&sa, ai->ai_addr, sizeof(sa));
		e->addr.family = IP_V6;
		memcpy(e->addr.bytes, &sa.sin6_addr, 16);
		e->port = ntohs(sa.sin6_port);
		e->scope = ip_addr_is_link_local(&e->addr) ? sa.sin6_scope_id : 0;
	}
	return e->addr.family != IP_NONE && e->port;
}

static void lookup_system(const char *host, const char *port, struct text *out)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP };
	struct addrinfo *list = NULL;
	char line[ENDPOINT_TEXT_MAX];
	struct endpoint e;
	int count[2] = { 0, 0 };	/* IPv4, IPv6: many of one do not push the other out */

	if (getaddrinfo(host, port, &hints, &list))
		return;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		if (endpoint_of(ai, &e) && count[e.addr.family == IP_V6]++ < RESOLVER_ADDRESSES_MAX / 2)
			text_addf(out, "%s\n", endpoint_format(&e, line));
	freeaddrinfo(list);
}

/* The result fits a pipe's buffer, so one write does it. */
_Noreturn static void child(const struct resolver *r, const char *name, int fd)
{
	char host[NAME_TEXT_MAX], port[6];
	struct text out = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	program_reset_signals();
	dup2(fd, STDERR_FILENO + 1);
	fd = STDERR_FILENO + 1;
	program_close_from(fd + 1);
	if (split(name, host, port))
		r->lookup(host, port, &out);
	if (out.len && !out.failed)
		(void)!write(fd, out.s, out.len);
	_exit(0);
}

static bool start(struct resolver *r, struct resolver_job *j, const char *name, int64_t now_ms)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	j->name = strdup(name);
	fflush(NULL);
	j->pid = j->name ? fork() : -1;
	if (!j->pid)
		child(r, name, fds[1]);
	close(fds[1]);
	if (j->pid < 0) {
		close(fds[0]);
		free(j->name);
		j->name = NULL;
		return false;
	}
	j->fd = fds[0];
	j->deadline_ms = now_ms + r->limit_ms;
	text_reset(&j->got);
	return true;
}

static struct resolver_job *free_job(struct resolver *r)
{
	for (size_t i = 0; i < RESOLVER_CHILDREN; i++)
		if (!r->jobs[i].name)
			return &r->jobs[i];
	return NULL;
}

static void begin(struct resolver *r, struct resolver_job *j, const char *name, int64_t now_ms)
{
	if (!start(r, j, name, now_ms))
		r->answer(r->ctx, name, "");
}

static bool enqueue(struct resolver *r, const char *name)
{
	size_t len = strlen(name);
	struct resolver_waiting *w;

	if (r->waiting_count == RESOLVER_WAITING_MAX)
		return false;
	w = malloc(sizeof(*w) + len + 1);
	if (!w)
		return false;
	w->next = NULL;
	memcpy(w->name, name, len + 1);
	if (r->last)
		r->last->next = w;
	else
		r->first = w;
	r->last = w;
	r->waiting_count++;
	return true;
}

static struct resolver_waiting *dequeue(struct resolver *r)
{
	struct resolver_waiting *w = r->first;

	if (!w)
		return NULL;
	r->first = w->next;
	if (!r->first)
		r->last = NULL;
	r->waiting_count--;
	return w;
}

void resolver_init(struct resolver *r, void (*answer)(void *ctx, const char *name, const char *addresses), void *ctx)
{
	*r = (struct resolver){ .answer = answer, .ctx = ctx, .lookup = lookup_system, .limit_ms = RESOLVER_LIMIT_MS };
}

void resolver_ask(struct resolver *r, const char *name, int64_t now_ms)
{
	struct resolver_job *j = free_job(r);

	if (j)
		begin(r, j, name, now_ms);
	else if (!enqueue(r, name))
		r->answer(r->ctx, name, "");
}

size_t resolver_fds(const struct resolver *r, struct pollfd fds[RESOLVER_CHILDREN])
{
	size_t n = 0;

	for (size_t i = 0; i < RESOLVER_CHILDREN; i++)
		if (r->jobs[i].name && r->jobs[i].fd >= 0)
			fds[n++] = (struct pollfd){ .fd = r->jobs[i].fd, .events = POLLIN };
	return n;
}

int resolver_timeout_ms(const struct resolver *r, int64_t now_ms)
{
	int64_t least = INT_MAX;

	for (size_t i = 0; i < RESOLVER_CHILDREN; i++) {
		const struct resolver_job *j = &r->jobs[i];
		int64_t left = j->fd < 0 ? REAP_AGAIN_MS : j->deadline_ms - now_ms;

		if (j->name && left < least)
			least = left > 0 ? left : 0;
	}
	return least == INT_MAX ? -1 : (int)least;
}

static void finish(struct resolver *r, struct resolver_job *j, const char *addresses)
{
	close(j->fd);
	j->fd = -1;
	r->answer(r->ctx, j->name, addresses);
}

/* Whether the answer is whole: the child has closed the pipe, or written more than it may. */
static bool take(struct resolver_job *j)
{
	char part[1024];
	ssize_t n;

	while ((n = read(j->fd, part, sizeof(part))) > 0 && j->got.len <= ANSWER_MAX)
		text_add_bytes(&j->got, part, (size_t)n);
	return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static void job_turn(struct resolver *r, struct resolver_job *j, int64_t now_ms)
{
	if (j->fd >= 0 && take(j))
		finish(r, j, j->got.len && !j->got.failed && j->got.len <= ANSWER_MAX ? j->got.s : "");
	if (now_ms >= j->deadline_ms)
		kill(j->pid, SIGKILL);
	if (now_ms >= j->deadline_ms && j->fd >= 0)
		finish(r, j, "");
	if (j->fd < 0 && waitpid(j->pid, NULL, WNOHANG)) {
		free(j->name);
		j->name = NULL;
	}
}

void resolver_turn(struct resolver *r, int64_t now_ms)
{
	struct resolver_waiting *w;
	struct resolver_job *j;

	for (size_t i = 0; i < RESOLVER_CHILDREN; i++)
		if (r->jobs[i].name)
			job_turn(r, &r->jobs[i], now_ms);
	while ((j = free_job(r)) && (w = dequeue(r))) {
		begin(r, j, w->name, now_ms);
		free(w);
	}
}

void resolver_done(struct resolver *r)
{
	struct resolver_waiting *w;

	for (size_t i = 0; i < RESOLVER_CHILDREN; i++) {
		struct resolver_job *j = &r->jobs[i];

		if (j->name) {
			kill(j->pid, SIGKILL);
			waitpid(j->pid, NULL, 0);
			if (j->fd >= 0)
				close(j->fd);
			free(j->name);
		}
		text_done(&j->got);
		*j = (struct resolver_job){ 0 };
	}
	while ((w = dequeue(r)))
		free(w);
}
