/* SPDX-License-Identifier: MIT */
/*
 * The control socket's server: a listener, a few clients, one request and one answer each. What a request means
 * is the handler's business; here are framing, bounds and time.
 *
 * A client is reading or writing, never both, and its one timer is started anew between the two. What takes long is done a slice a turn of the
 * loop in between, when nothing of the client is looked at. Clients above
 * CONTROL_CLIENTS_MAX wait in the listener's backlog: accepting stops while all slots are taken, and goes on when one is
 * free. Anything that is not a request closes the connection without an answer.
 *
 * Reload carries a private key, so what was received is wiped before it is freed, decoded or not. A handler may
 * close the server from within 'down'; nothing of the server is touched after that call.
 */
#include "sys/control.h"

#include <errno.h>
#include <ev.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/key.h"
#include "node/config.h"
#include "sys/files.h"
#include "sys/mesh_control.h"
#include "sys/unixsock.h"

_Static_assert(CONTROL_REQUEST_MAX >= CONFIG_SIZE_MAX + 64, "a config file of any size can be sent");

enum {
	HEADER = 4,
	ACCEPT_RETRY_S = 1,	/* when the system has no descriptors left */
};

struct client {
	ev_io io;
	ev_timer timer;
	struct control_server *server;	/* NULL: this slot is free */
	bool writing;
	Meshd__Request *request;	/* that 'job' is about, and is not done; NULL: none */
	void *job;
	ev_timer go_on;
	bool down, planned;		/* call the handler's down when the answer is away */
	uint8_t header[HEADER];
	size_t header_fill;
	uint8_t *body;			/* the request, later header and body of the answer */
	size_t len, fill;		/* bytes of it, and bytes received or sent */
};

struct control_server {
	struct ev_loop *loop;
	struct control_handler handler;
	ev_io io;
	ev_timer retry;
	char name[16];
	struct client clients[CONTROL_CLIENTS_MAX];
};

static void drop_body(struct client *c)
{
	if (c->body) {
		crypto_wipe(c->body, c->len);
		free(c->body);
	}
	c->body = NULL;
	c->len = c->fill = 0;
}

static void close_client(struct client *c)
{
	struct control_server *s = c->server;

	ev_io_stop(s->loop, &c->io);
	ev_timer_stop(s->loop, &c->timer);
	ev_timer_stop(s->loop, &c->go_on);
	close(c->io.fd);
	drop_body(c);
	if (c->job)
		s->handler.give_up(c->job);
	if (c->request)
		meshd__request__free_unpacked(c->request, NULL);
	c->job = NULL;
	c->request = NULL;
	c->server = NULL;
	if (!ev_is_active(&s->retry))
		ev_io_start(s->loop, &s->io);
}

/* The end of a client that asked for down, whether it took its answer or went away before. */
static void finish_client(struct client *c)
{
	struct control_server *s = c->server;
	bool down = c->down, planned = c->planned;

	close_client(c);
	if (down)
		s->handler.down(s->handler.ctx, planned);	/* 's' may be gone */
}

static bool pack_answer(struct client *c, const Meshd__Response *r)
{
	size_t len = meshd__response__get_packed_size(r);

	drop_body(c);
	if (len > CONTROL_MESSAGE_MAX)
		return false;
	c->body = malloc(HEADER + len);
	if (!c->body)
		return false;
	c->len = HEADER + len;
	put_le32(c->body, (uint32_t)len);
	meshd__response__pack(r, c->body + HEADER);
	return true;
}

static bool answer_error(struct client *c, const char *why)
{
	Meshd__Response r = MESHD__RESPONSE__INIT;

	r.error = (char *)(uintptr_t)why;
	return pack_answer(c, &r);
}

static bool answer_status(struct client *c, const Meshd__StatusRequest *request)
{
	struct control_handler *h = &c->server->handler;
	Meshd__Response r = MESHD__RESPONSE__INIT;
	bool ok;

	r.status = malloc(sizeof(*r.status));
	if (!r.status)
		return false;
	meshd__status__init(r.status);
	ok = h->status(h->ctx, request->sub_sessions, r.status) && pack_answer(c, &r);
	meshd__status__free_unpacked(r.status, NULL);
	return ok || answer_error(c, "the status does not fit into memory or a message");
}

static bool answer_routes(struct client *c)
{
	struct control_handler *h = &c->server->handler;
	Meshd__Response r = MESHD__RESPONSE__INIT;
	bool ok;

	r.routes = malloc(sizeof(*r.routes));
	if (!r.routes)
		return false;
	meshd__routes__init(r.routes);
	ok = h->routes(h->ctx, r.routes) && pack_answer(c, &r);
	meshd__routes__free_unpacked(r.routes, NULL);
	return ok || answer_error(c, "the routes do not fit into memory or a message");
}

static bool answer_paths(struct client *c)
{
	struct control_handler *h = &c->server->handler;
	Meshd__Response r = MESHD__RESPONSE__INIT;
	bool ok;

	r.paths = malloc(sizeof(*r.paths));
	if (!r.paths)
		return false;
	meshd__paths__init(r.paths);
	ok = h->paths(h->ctx, r.paths) && pack_answer(c, &r);
	meshd__paths__free_unpacked(r.paths, NULL);
	return ok || answer_error(c, "the paths do not fit into memory or a message");
}

static bool answer_reload(struct client *c, const Meshd__ReloadRequest *request)
{
	struct control_handler *h = &c->server->handler;
	const char *config = request->config.data ? (const char *)request->config.data : "";
	struct text why = { 0 };
	bool ok;

	if (request->config.len > CONFIG_SIZE_MAX)
		return answer_error(c, "the config file is too long");
	ok = h->reload(h->ctx, config, request->config.len, &why);
	/* Keep the two apart: an empty error would say that it was done. */
	ok = answer_error(c, ok ? "" : why.len ? why.s : "the config was refused");
	text_done(&why);
	return ok;
}

static bool answer_mesh(struct client *c, const Meshd__Request *q)
{
	struct control_handler *h = &c->server->handler;
	Meshd__Response *r = malloc(sizeof(*r));
	struct text why = { 0 };
	bool ok;

	if (!r)
		return false;
	meshd__response__init(r);
	if (!h->mesh(h->ctx, q, &c->job, r, &why))
		ok = answer_error(c, why.len ? why.s : "the request was refused");
	else if (c->job)
		ok = true;
	else
		ok = pack_answer(c, r) || answer_error(c, "the answer does not fit into memory or a message");
	/* A token is as good as its use. */
	if (r->text.len)
		crypto_wipe(r->text.data, r->text.len);
	meshd__response__free_unpacked(r, NULL);
	text_done(&why);
	return ok;
}

/* Carry out a whole request and make its answer. False: it is none, or there is no memory for an answer. */
static bool answer(struct client *c)
{
	Meshd__Request *q = meshd__request__unpack(NULL, c->len, c->body);
	bool ok = false;

	if (!q)
		return false;
	if (c->server->handler.mesh && mesh_control_is(q)) {
		ok = answer_mesh(c, q);
		if (c->job)
			c->request = q;
		else
			meshd__request__free_unpacked(q, NULL);
		return ok;
	}
	switch (q->kind_case) {
	case MESHD__REQUEST__KIND_STATUS:
		ok = answer_status(c, q->status);
		break;
	case MESHD__REQUEST__KIND_ROUTES:
		ok = answer_routes(c);
		break;
	case MESHD__REQUEST__KIND_PATHS:
		ok = answer_paths(c);
		break;
	case MESHD__REQUEST__KIND_DOWN:
		c->down = true;
		c->planned = q->down->planned;
		ok = answer_error(c, "");
		break;
	case MESHD__REQUEST__KIND_RELOAD:
		ok = answer_reload(c, q->reload);
		if (q->reload->config.len)
			crypto_wipe(q->reload->config.data, q->reload->config.len);
		break;
	default:
		/* Of a later version. */
		ok = answer_error(c, "this meshd does not know that request");
	}
	meshd__request__free_unpacked(q, NULL);
	return ok;
}

/* Read up to 'want' bytes. Returns how many, 0 when none are there now, -1 at the end of the connection. */
static ssize_t receive(struct client *c, void *to, size_t want)
{
	ssize_t n = recv(c->io.fd, to, want, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

/* Take the length and make room for that much. */
static bool take_header(struct client *c)
{
	uint32_t len = get_le32(c->header);

	if (!len || len > CONTROL_REQUEST_MAX)
		return false;
	c->body = malloc(len);
	if (!c->body)
		return false;
	c->len = len;
	return true;
}

static void turn_to_writing(struct client *c)
{
	struct control_server *s = c->server;

	c->writing = true;
	c->fill = 0;
	ev_io_stop(s->loop, &c->io);
	ev_io_set(&c->io, c->io.fd, EV_WRITE);
	ev_io_start(s->loop, &c->io);
	/* The handler may have taken its time; the client's begins now. */
	ev_now_update(s->loop);
	ev_timer_again(s->loop, &c->timer);
}

/* What was asked for is not done: a slice of it with each turn of the loop. Until then nobody is read from or written to. */
static void work(struct client *c)
{
	struct control_server *s = c->server;

	ev_io_stop(s->loop, &c->io);
	ev_timer_stop(s->loop, &c->timer);
	ev_timer_set(&c->go_on, 0., 0.);
	ev_timer_start(s->loop, &c->go_on);
}

static void answered(struct client *c, bool ok)
{
	if (!ok)
		finish_client(c);
	else if (c->job)
		work(c);
	else
		turn_to_writing(c);
}

static void on_go_on(struct ev_loop *loop, ev_timer *w, int events)
{
	struct client *c = w->data;
	bool ok = answer_mesh(c, c->request);

	(void)loop;
	(void)events;
	if (!c->job) {
		meshd__request__free_unpacked(c->request, NULL);
		c->request = NULL;
	}
	answered(c, ok);
}

static void read_client(struct client *c)
{
	ssize_t n;

	if (c->header_fill < HEADER) {
		n = receive(c, c->header + c->header_fill, HEADER - c->header_fill);
		if (n > 0)
			c->header_fill += (size_t)n;
		if (n < 0 || (c->header_fill == HEADER && !take_header(c)))
			close_client(c);
		return;
	}
	n = receive(c, c->body + c->fill, c->len - c->fill);
	if (n < 0) {
		close_client(c);
		return;
	}
	c->fill += (size_t)n;
	if (c->fill < c->len)
		return;
	answered(c, answer(c));
}

static void write_client(struct client *c)
{
	ssize_t n = send(c->io.fd, c->body + c->fill, c->len - c->fill, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->fill += (size_t)n;
	if (n < 0 || c->fill == c->len)
		finish_client(c);
}

static void on_client(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;

	(void)loop;
	(void)events;
	if (c->writing)
		write_client(c);
	else
		read_client(c);
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	finish_client(w->data);
}

static struct client *free_slot(struct control_server *s)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (!s->clients[i].server)
			return &s->clients[i];
	return NULL;
}

static void start_client(struct control_server *s, struct client *c, int fd)
{
	memset(c, 0, sizeof(*c));
	c->server = s;
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_timer_init(&c->timer, on_timeout, 0., s->handler.timeout_s);
	ev_timer_init(&c->go_on, on_go_on, 0., 0.);
	c->io.data = c->timer.data = c->go_on.data = c;
	ev_io_start(s->loop, &c->io);
	ev_timer_again(s->loop, &c->timer);
}

/* One client a turn: a listener that stays readable calls again. */
static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct control_server *s = w->data;
	struct client *c = free_slot(s);
	int fd;

	(void)events;
	if (!c) {
		ev_io_stop(loop, w);
		return;
	}
	fd = unix_accept(w->fd);
	if (fd >= 0) {
		start_client(s, c, fd);
	} else if (fd != -EAGAIN && fd != -EPERM) {
		ev_io_stop(loop, w);
		ev_timer_again(loop, &s->retry);
	}
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
	struct control_server *s = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	ev_io_start(loop, &s->io);
}

int control_listen(struct control_server **out, struct ev_loop *loop, const char *name, const struct control_handler *h)
{
	struct control_server *s = calloc(1, sizeof(*s));
	int fd, error;

	if (!s)
		return -ENOMEM;
	if (strlen(name) >= sizeof(s->name)) {
		free(s);
		return -ENAMETOOLONG;
	}
	error = unix_listen(MESHD_RUN_DIR, name, &fd);
	if (error) {
		free(s);
		return error;
	}
	strcpy(s->name, name);
	s->loop = loop;
	s->handler = *h;
	if (s->handler.timeout_s <= 0)
		s->handler.timeout_s = CONTROL_TIMEOUT_S;
	ev_io_init(&s->io, on_accept, fd, EV_READ);
	ev_timer_init(&s->retry, on_retry, 0., ACCEPT_RETRY_S);
	s->io.data = s->retry.data = s;
	ev_io_start(loop, &s->io);
	*out = s;
	return 0;
}

void control_close(struct control_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (s->clients[i].server)
			close_client(&s->clients[i]);
	ev_timer_stop(s->loop, &s->retry);
	ev_io_stop(s->loop, &s->io);
	unix_unlink(MESHD_RUN_DIR, s->name);
	close(s->io.fd);
	free(s);
}
