/* SPDX-License-Identifier: MIT */
/*
 * The client of the control socket, blocking: the command line has nothing else to do. A connection carries one
 * request and one answer, framed as proto/control.proto says. Whatever the daemon sends is bounded and decoded whole
 * before anything of it is used; a daemon that stays silent costs CLIENT_TIMEOUT_S.
 *
 * A reload's message holds a private key and is wiped after it was sent.
 */
#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/key.h"
#include "node/config.h"
#include "sys/control.h"
#include "sys/files.h"
#include "sys/unixsock.h"

#define SOCKET_SUFFIX ".sock"

enum {
	HEADER = 4,
	PROBE_TIMEOUT_MS = 1000,
};

static void explain_connect(const char *name, int error, struct text *why)
{
	if (error == -ENOENT || error == -ECONNREFUSED)
		text_addf(why, "%s: meshd is not running (start it with: meshd up %s)", name, name);
	else if (error == -EPERM)
		text_addf(why, "%s: who listens on %s/%s.sock is not the superuser: not asked", name, MESHD_RUN_DIR, name);
	else if (error == -EACCES)
		text_addf(why, "%s: only the superuser may ask meshd (try: sudo meshd ...)", name);
	else
		text_addf(why, "%s: cannot reach meshd: %s", name, strerror(-error));
}

static bool send_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* False with errno; an early end is ECONNRESET. */
static bool receive_all(int fd, uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = ECONNRESET;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_request(int fd, const Meshd__Request *q)
{
	size_t len = meshd__request__get_packed_size(q);
	uint8_t *message = malloc(HEADER + len);
	bool ok;

	if (!message) {
		errno = ENOMEM;
		return false;
	}
	put_le32(message, (uint32_t)len);
	meshd__request__pack(q, message + HEADER);
	ok = send_all(fd, message, HEADER + len);
	crypto_wipe(message, HEADER + len);
	free(message);
	return ok;
}

/* NULL with errno; EPROTO: what came is no answer. */
static Meshd__Response *receive_response(int fd)
{
	uint8_t header[HEADER], *body;
	Meshd__Response *r = NULL;
	uint32_t len;

	if (!receive_all(fd, header, HEADER))
		return NULL;
	len = get_le32(header);
	errno = EPROTO;
	if (len > CONTROL_MESSAGE_MAX)
		return NULL;
	body = malloc(len ? len : 1);
	if (!body)
		return NULL;
	if (receive_all(fd, body, len)) {
		r = meshd__response__unpack(NULL, len, body);
		errno = EPROTO;
	}
	free(body);
	return r;
}

static void explain_exchange(const char *name, int error, struct text *why)
{
	if (error == EAGAIN)
		text_addf(why, "%s: meshd does not answer", name);
	else if (error == EPROTO)
		text_addf(why, "%s: meshd gave an answer this program does not understand", name);
	else if (error == ECONNRESET || error == EPIPE)
		text_addf(why, "%s: meshd closed the connection without an answer", name);
	else
		text_addf(why, "%s: asking meshd: %s", name, strerror(error));
}

/* What concerns the interface as a whole begins with its name already. */
static void explain_refusal(const char *name, const char *error, struct text *why)
{
	size_t len = strlen(name);

	if (strncmp(error, name, len) || error[len] != ':')
		text_addf(why, "%s: ", name);
	text_add(why, error);
}

/* One request, one answer. NULL with a reason: no answer, or one that says what went wrong. */
static Meshd__Response *ask(const char *name, const Meshd__Request *q, int timeout_s, struct text *why)
{
	int fd = unix_connect(MESHD_RUN_DIR, name, timeout_s * 1000);
	Meshd__Response *r = NULL;

	if (fd < 0) {
		explain_connect(name, fd, why);
		return NULL;
	}
	if (send_request(fd, q))
		r = receive_response(fd);
	if (!r)
		explain_exchange(name, errno, why);
	close(fd);
	if (r && *r->error) {
		explain_refusal(name, r->error, why);
		meshd__response__free_unpacked(r, NULL);
		r = NULL;
	}
	return r;
}

bool client_status(const char *name, bool sub_sessions, Meshd__Status **out, struct text *why)
{
	Meshd__StatusRequest status = MESHD__STATUS_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	status.sub_sessions = sub_sessions;
	q.kind_case = MESHD__REQUEST__KIND_STATUS;
	q.status = &status;
	r = ask(name, &q, CLIENT_TIMEOUT_S, why);
	if (!r)
		return false;
	*out = r->status;
	r->status = NULL;
	meshd__response__free_unpacked(r, NULL);
	if (!*out)
		explain_exchange(name, EPROTO, why);
	return *out;
}

bool client_routes(const char *name, Meshd__Routes **out, struct text *why)
{
	Meshd__RoutesRequest routes = MESHD__ROUTES_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	q.kind_case = MESHD__REQUEST__KIND_ROUTES;
	q.routes = &routes;
	r = ask(name, &q, CLIENT_TIMEOUT_S, why);
	if (!r)
		return false;
	*out = r->routes;
	r->routes = NULL;
	meshd__response__free_unpacked(r, NULL);
	if (!*out)
		explain_exchange(name, EPROTO, why);
	return *out;
}

bool client_paths(const char *name, Meshd__Paths **out, struct text *why)
{
	Meshd__PathsRequest paths = MESHD__PATHS_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	q.kind_case = MESHD__REQUEST__KIND_PATHS;
	q.paths = &paths;
	r = ask(name, &q, CLIENT_TIMEOUT_S, why);
	if (!r)
		return false;
	*out = r->paths;
	r->paths = NULL;
	meshd__response__free_unpacked(r, NULL);
	if (!*out)
		explain_exchange(name, EPROTO, why);
	return *out;
}

bool client_down(const char *name, bool planned, struct text *why)
{
	Meshd__DownRequest down = MESHD__DOWN_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	down.planned = planned;
	q.kind_case = MESHD__REQUEST__KIND_DOWN;
	q.down = &down;
	r = ask(name, &q, CLIENT_DOWN_S, why);
	if (r)
		meshd__response__free_unpacked(r, NULL);
	return r;
}

bool client_reload(const char *name, const char *config, size_t len, struct text *why)
{
	Meshd__ReloadRequest reload = MESHD__RELOAD_REQUEST__INIT;
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__Response *r;

	if (len > CONFIG_SIZE_MAX) {
		text_addf(why, "%s: the config file is too long", name);
		return false;
	}
	reload.config.data = (uint8_t *)(uintptr_t)config;
	reload.config.len = len;
	q.kind_case = MESHD__REQUEST__KIND_RELOAD;
	q.reload = &reload;
	r = ask(name, &q, CLIENT_TIMEOUT_S, why);
	if (r)
		meshd__response__free_unpacked(r, NULL);
	return r;
}

Meshd__Response *client_ask(const char *name, const Meshd__Request *q, struct text *why)
{
	return ask(name, q, q->kind_case == MESHD__REQUEST__KIND_IMPORT ? CLIENT_IMPORT_S : CLIENT_TIMEOUT_S, why);
}

/* The interface a directory entry is the socket of; false: of none. */
static bool socket_name(char name[CLIENT_NAME_LEN + 1], const char *entry)
{
	size_t len = strlen(entry), suffix = strlen(SOCKET_SUFFIX);

	if (len <= suffix || len - suffix > CLIENT_NAME_LEN || strcmp(entry + len - suffix, SOCKET_SUFFIX))
		return false;
	memcpy(name, entry, len - suffix);
	name[len - suffix] = '\0';
	return config_interface_name(name);
}

/* A socket file may outlive its daemon. Asking means connecting and saying nothing. */
static bool is_alive(const char *name)
{
	int fd = unix_connect(MESHD_RUN_DIR, name, PROBE_TIMEOUT_MS);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -ETIMEDOUT;
}

static bool add_name(struct client_names *names, const char *name)
{
	char (*bigger)[CLIENT_NAME_LEN + 1];

	bigger = reallocarray(names->v, names->count + 1, sizeof(*names->v));
	if (!bigger)
		return false;
	names->v = bigger;
	strcpy(names->v[names->count++], name);
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strverscmp(a, b);
}

bool client_names(struct client_names *names, struct text *why)
{
	DIR *dir = opendir(MESHD_RUN_DIR);
	char name[CLIENT_NAME_LEN + 1];
	struct dirent *e;
	bool ok = true;

	if (!dir && errno == ENOENT)
		return true;
	if (!dir) {
		text_addf(why, "%s: %s%s", MESHD_RUN_DIR, strerror(errno), errno == EACCES ? " (try: sudo meshd ...)" : "");
		return false;
	}
	while (ok && (e = readdir(dir)))
		if (socket_name(name, e->d_name) && is_alive(name))
			ok = add_name(names, name);
	closedir(dir);
	if (!ok)
		text_addf(why, "%s: no memory for the names", MESHD_RUN_DIR);
	else if (names->count)
		qsort(names->v, names->count, sizeof(*names->v), compare_names);
	return ok;
}

void client_names_done(struct client_names *names)
{
	free(names->v);
	*names = (struct client_names){ 0 };
}
