/* SPDX-License-Identifier: MIT */
/*
 * The server of WireGuard's configuration protocol (wireguard.com/xplatform): bytes between clients and the pure
 * parser of node/uapi.c. wg(8) connects, asks, reads the answer and goes; but a client may ask again and again.
 *
 * A client is either read or answered, never both: while an answer waits to be written nothing is read, so that what one
 * client can make us hold is one request and one answer. One read and one request a turn of the loop, so that a busy client
 * does not keep packets waiting. A request is executed when it is whole, one half sent never is.
 *
 * Requests and answers hold private keys: what was dealt with is wiped at once, what is left when the client goes.
 */
#include "sys/uapi.h"

#include <errno.h>
#include <ev.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/change.h"
#include "node/uapi.h"
#include "sys/files.h"
#include "sys/unixsock.h"

enum {
	IN_SIZE_MIN = 4096,
	READ_MAX = 256 << 10,		/* in one turn */
	ACCEPT_PAUSE_S = 1,		/* when there are no descriptors */
};

struct client {
	struct uapi_server *server;
	ev_io io;
	ev_timer idle;
	char *in;			/* what came and was not dealt with */
	size_t in_len, in_size, scanned;
	struct text out;		/* the answer being written */
	size_t out_sent;
	bool unserved;			/* more came in with the last request */
	bool closing;			/* once 'out' is written */
};

struct uapi_server {
	struct ev_loop *loop;
	struct uapi_handler handler;
	ev_io accept;
	ev_timer pause;
	struct client *clients[UAPI_CLIENTS_MAX];
	size_t client_count;
	char name[64];
};

static void client_free(struct client *c)
{
	struct uapi_server *s = c->server;

	ev_io_stop(s->loop, &c->io);
	ev_timer_stop(s->loop, &c->idle);
	close(c->io.fd);
	if (c->in)
		explicit_bzero(c->in, c->in_size);
	free(c->in);
	text_wipe(&c->out);
	free(c);
}

/* The client goes; there is a place for the next. */
static void client_remove(struct client *c)
{
	struct uapi_server *s = c->server;

	for (size_t i = 0; i < s->client_count; i++) {
		if (s->clients[i] == c) {
			s->clients[i] = s->clients[--s->client_count];
			break;
		}
	}
	client_free(c);
	if (!ev_is_active(&s->pause))
		ev_io_start(s->loop, &s->accept);
}

static void client_watch(struct client *c, int events)
{
	if ((c->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(c->server->loop, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	ev_io_start(c->server->loop, &c->io);
}

/* Forget the first 'len' bytes of what came in. */
static void consume(struct client *c, size_t len)
{
	memmove(c->in, c->in + len, c->in_len - len);
	explicit_bzero(c->in + c->in_len - len, len);
	c->in_len -= len;
	c->scanned = 0;
	if (!c->in_len) {
		free(c->in);
		c->in = NULL;
		c->in_size = 0;
	}
}

/* Room for more input. Moved by hand: realloc(3) would leave keys behind in freed memory. */
static bool grow(struct client *c)
{
	size_t size = c->in_size ? 2 * c->in_size : IN_SIZE_MIN;
	char *bigger;

	if (c->in_len < c->in_size)
		return true;
	bigger = malloc(size);
	if (!bigger)
		return false;
	if (c->in) {
		memcpy(bigger, c->in, c->in_len);
		explicit_bzero(c->in, c->in_size);
		free(c->in);
	}
	c->in = bigger;
	c->in_size = size;
	return true;
}

static void answer_errno(struct client *c, int error)
{
	text_wipe(&c->out);
	uapi_format_errno(error, &c->out);
}

/* [fe80::1%eth0]:1 -> [fe80::1%2]:1. False: no such interface, or no such address. */
static bool find_scope(struct change_endpoint *e)
{
	const char *percent = strchr(e->name, '%'), *end = strchr(e->name, ']');
	char name[IF_NAMESIZE], numeric[sizeof(e->name) + 10];
	size_t len = (size_t)(end - percent - 1);
	unsigned int index;

	if (len >= sizeof(name))
		return false;
	memcpy(name, percent + 1, len);
	name[len] = '\0';
	index = if_nametoindex(name);
	snprintf(numeric, sizeof(numeric), "%.*s%%%u%s", (int)(percent - e->name), e->name, index, end);
	if (!index || !endpoint_parse(numeric, &e->v[0]))
		return false;
	e->count = 1;
	e->name[0] = '\0';
	return true;
}

static int find_scopes(struct change *change)
{
	for (size_t i = 0; i < change->peer_count; i++) {
		struct change_peer *p = &change->peers[i];

		for (size_t j = 0; j < p->endpoint_count; j++)
			if (p->endpoints[j].name[0] && !find_scope(&p->endpoints[j]))
				return -EINVAL;
	}
	return 0;
}

static void answer_set(struct client *c, size_t len)
{
	const struct uapi_handler *h = &c->server->handler;
	struct change change = { 0 };
	int error = uapi_parse_set(&change, c->in, len);

	if (!error)
		error = find_scopes(&change);
	if (!error)
		error = h->set(h->ctx, &change);
	change_done(&change);
	answer_errno(c, error);
}

static void answer_get(struct client *c)
{
	const struct uapi_handler *h = &c->server->handler;

	h->get(h->ctx, &c->out);
	if (c->out.failed)
		answer_errno(c, -ENOMEM);
}

/* Deal with the first request in what came in, if it is whole. */
static void serve(struct client *c)
{
	size_t used = 0;

	c->unserved = false;
	switch (uapi_request(c->in, c->in_len, &c->scanned, &used)) {
	case UAPI_INCOMPLETE:
		return;
	case UAPI_GET:
		answer_get(c);
		break;
	case UAPI_SET:
		answer_set(c, used);
		break;
	case UAPI_BAD:
		/* Where the next one would start is anybody's guess. */
		answer_errno(c, -EPROTO);
		c->closing = true;
		used = c->in_len;
		break;
	}
	consume(c, used);
	c->unserved = c->in_len > 0;
	if (c->out.failed)
		c->closing = true;	/* not even memory to say so */
}

/* Write what is left of the answer. False: the client has gone. */
static bool flush(struct client *c)
{
	ssize_t n;

	if (c->out_sent < c->out.len) {
		n = send(c->io.fd, c->out.s + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_sent += (size_t)n;
		ev_timer_again(c->server->loop, &c->idle);
	}
	if (c->out_sent == c->out.len) {
		text_wipe(&c->out);
		c->out_sent = 0;
	}
	return true;
}

/* Read some. False: the client has gone, or must. */
static bool fill(struct client *c)
{
	size_t room;
	ssize_t n;

	if (!grow(c)) {
		answer_errno(c, -ENOMEM);
		c->closing = true;
		return true;
	}
	room = c->in_size - c->in_len;
	n = recv(c->io.fd, c->in + c->in_len, room < READ_MAX ? room : READ_MAX, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->in_len += (size_t)n;
	ev_timer_again(c->server->loop, &c->idle);
	return n > 0;
}

/*
 * A turn for one client: go on with the answer, or serve the next request, for which more is read unless it may be here
 * already.
 */
static void on_client(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	bool alive = true;

	(void)loop;
	(void)events;
	if (!c->out.len) {
		if (!c->unserved)
			alive = fill(c);
		if (alive && !c->closing)
			serve(c);
	}
	if (alive && c->out.len)
		alive = flush(c);
	if (!alive || (c->closing && !c->out.len))
		client_remove(c);
	else
		client_watch(c, c->out.len || c->unserved ? EV_WRITE : EV_READ);
}

static void on_idle(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	client_remove(w->data);
}

static bool client_add(struct uapi_server *s, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	c->server = s;
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_init(&c->idle, on_idle);
	c->idle.repeat = s->handler.idle_s > 0 ? s->handler.idle_s : UAPI_IDLE_S;
	c->io.data = c->idle.data = c;
	ev_io_start(s->loop, &c->io);
	ev_timer_again(s->loop, &c->idle);
	s->clients[s->client_count++] = c;
	return true;
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct uapi_server *s = w->data;
	int fd = unix_accept(w->fd);

	(void)events;
	if (fd >= 0) {
		if (!client_add(s, fd))
			close(fd);
		if (s->client_count == UAPI_CLIENTS_MAX)
			ev_io_stop(loop, w);
		return;
	}
	if (fd == -EAGAIN || fd == -EPERM)
		return;
	/* Out of descriptors or memory: the listener stays readable, asking at once would be a busy loop. */
	ev_io_stop(loop, w);
	ev_timer_set(&s->pause, ACCEPT_PAUSE_S, 0.);
	ev_timer_start(loop, &s->pause);
}

static void on_pause(struct ev_loop *loop, ev_timer *w, int events)
{
	struct uapi_server *s = w->data;

	(void)events;
	if (s->client_count < UAPI_CLIENTS_MAX)
		ev_io_start(loop, &s->accept);
}

int uapi_listen(struct uapi_server **out, struct ev_loop *loop, const char *name, const struct uapi_handler *h)
{
	struct uapi_server *s = calloc(1, sizeof(*s));
	int error, fd;

	if (!s)
		return -ENOMEM;
	error = unix_listen(MESHD_UAPI_DIR, name, &fd);
	if (error) {
		free(s);
		return error;
	}
	s->loop = loop;
	s->handler = *h;
	snprintf(s->name, sizeof(s->name), "%s", name);
	ev_io_init(&s->accept, on_accept, fd, EV_READ);
	ev_init(&s->pause, on_pause);
	s->accept.data = s->pause.data = s;
	ev_io_start(loop, &s->accept);
	*out = s;
	return 0;
}

void uapi_close(struct uapi_server *s)
{
	if (!s)
		return;
	while (s->client_count)
		client_free(s->clients[--s->client_count]);
	ev_io_stop(s->loop, &s->accept);
	ev_timer_stop(s->loop, &s->pause);
	unix_unlink(MESHD_UAPI_DIR, s->name);
	close(s->accept.fd);
	free(s);
}
